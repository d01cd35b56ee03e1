"""Runs a section: `python3 -m lab.run [--quick] NAME`, in benches. COW_BENCH_DIR says where its data goes.

A section is a module of `sections` with a docstring, which is what RESULTS.md says of it (its first line is the title), the
Debian packages it wants as NEEDS ({program: package}), and `measure(section)`.
"""
import argparse
import importlib
import os
import shutil
import signal
import sys
import tempfile

from lab.results import Section
from lab.shell import Failed, have


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="little of everything, to see that it works; keeps no results")
    parser.add_argument("name")
    options = parser.parse_args()
    # So that what is mounted is also unmounted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    module = importlib.import_module(f"sections.{options.name}")
    title, _, text = module.__doc__.partition("\n")
    work = tempfile.mkdtemp(prefix=f"cow-bench-{options.name}-", dir=os.environ.get("COW_BENCH_DIR"))
    os.chmod(work, 0o755)
    os.environ["COW_BENCH_DIR"] = work
    try:
        section = Section(options.name, title.rstrip("."), text.strip(), work, options.quick)
        for program, package in module.NEEDS.items():
            if not have(program, package):
                section.remark(f"{package} is not installed, and was left out.")
        module.measure(section)
        section.save()
    except Failed as failed:
        sys.exit(f"tools/bench {options.name}: {failed}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
