"""Running programs: their output is shown only when they fail."""
import os
import resource
import shutil
import subprocess
import sys
import time


class Failed(Exception):
    """A program ended with an error; the message says which, and what it printed."""


def run(command, **more):
    """Runs a command and returns what it printed."""
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} | more
    done = subprocess.run(command, **more)
    if done.returncode:
        raise Failed(f"{' '.join(command)} failed:\n{done.stdout}")
    return done.stdout


def script(text):
    """Runs a script of bash, which ends at the first error."""
    return run(["bash", "-euo", "pipefail", "-c", text])


def timed(text):
    """Seconds that a script takes, and seconds of processor time of what it started and awaited."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    script(text)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def have(program, package):
    """Whether a program is there, after Debian's package was installed if it was not."""
    paths = os.environ["PATH"] + ":/usr/sbin:/sbin"
    if shutil.which(program, path=paths) or os.path.exists(program):
        return True
    print(f"installing {package}", file=sys.stderr)
    command = ["apt-get", "install", "-y", "--no-install-recommends", package]
    subprocess.run(command, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, capture_output=True, check=False)
    return shutil.which(program, path=paths) is not None
