#!/usr/bin/env python3
"""Memory of the daemon: idle at first, at most while GIB are imported with default settings, idle again, and once it was quiet.

The data is new in every block and hardly compresses, so that all caches fill. The source is a directory beside the pool; both
lie in COW_BENCH_DIR. Prints a line of a Markdown table. Needs twice GIB of disk.
"""
import argparse
import os
import shutil
import struct
import subprocess
import tempfile
import time


def resident(process, field):
    """VmRSS or VmHWM of a process, in MiB."""
    with open(f"/proc/{process.pid}/status") as status:
        line = next(line for line in status if line.startswith(field))
    return int(line.split()[1]) / 1024


def cpu_seconds(process):
    """User and system time of a process."""
    with open(f"/proc/{process.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def write_source(folder, gib):
    """Files of 1 GiB each, whose blocks of 4 KiB all differ."""
    piece = bytearray(os.urandom(1 << 20))
    number = 0
    for file in range(gib):
        with open(f"{folder}/{file}", "wb") as out:
            for _ in range(1024):
                for offset in range(0, 1 << 20, 4096):
                    struct.pack_into("<Q", piece, offset, number)
                    number += 1
                out.write(piece)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=int, default=20)
    parser.add_argument("--programs", default="target/release")
    parser.add_argument("--rest", type=int, default=60, help="seconds to wait for the last idle figure")
    parser.add_argument("--quiet-after", type=int, default=20, help="seconds until the daemon gives memory back")
    options = parser.parse_args()
    work = tempfile.mkdtemp(prefix="cow-memory-", dir=os.environ.get("COW_BENCH_DIR"))
    socket = f"{work}/socket"
    with open(f"{work}/config", "w") as config:
        config.write(f'[maintenance]\nquiet_after = "{options.quiet_after}s"\n')
    flags = ["--config", f"{work}/config", "--pool", f"{work}/pool", "--nfs", "127.0.0.1:0", "--control", socket]
    daemon = None
    try:
        os.mkdir(f"{work}/source")
        write_source(f"{work}/source", options.gib)
        log = open(f"{work}/log", "w")
        daemon = subprocess.Popen([f"{options.programs}/cowd", *flags], stdout=log, stderr=log)
        while not os.path.exists(socket) and daemon.poll() is None:
            time.sleep(0.1)
        time.sleep(2)
        idle = resident(daemon, "VmRSS")
        cowctl = [f"{options.programs}/cowctl", "--socket", socket]
        subprocess.run([*cowctl, "create", "data"], check=True, stdout=log)
        start = time.perf_counter()
        subprocess.run([*cowctl, "import", f"{work}/source", "data"], check=True, stdout=log)
        seconds = time.perf_counter() - start
        cpu = cpu_seconds(daemon)
        peak = resident(daemon, "VmHWM")
        time.sleep(min(5, options.rest))
        after = resident(daemon, "VmRSS")
        time.sleep(max(0, options.rest - 5))
        quiet = resident(daemon, "VmRSS")
        print("| imported | MB/s | CPU, s | idle before, MiB | at most, MiB | idle after, MiB | when quiet, MiB |")
        print("|---|---|---|---|---|---|---|")
        speed = options.gib * 1073.741824 / seconds
        print(f"| {options.gib} GiB | {speed:.0f} | {cpu:.1f} | {idle:.0f} | {peak:.0f} | {after:.0f} | {quiet:.0f} |")
    finally:
        if daemon:
            daemon.terminate()
            daemon.wait()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
