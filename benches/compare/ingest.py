#!/usr/bin/env python3
"""Ingest of a PostgreSQL cluster: the engine and btrfs zstd:1 beside each other, in one run.

A cluster is made with pgbench (scale SCALE), copied, and changed by TX transactions of 4 clients. Then, REPS times in
turn: both sets go into a fresh engine (engine-ingest, in process), and into a fresh btrfs (compress=zstd:1) on a loop
device: cp -a of the first, a snapshot, rsync --inplace of the second. What is timed ends when all is durable. Sources are read into
the page cache before. The engine's pool lies on a loop device with ext4, so that both pay for the loop.

Prints medians (least to most) as a Markdown table. Needs root, btrfs-progs, rsync, PostgreSQL 15.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAMS = "/usr/lib/postgresql/15/bin"
CONFIGURATION = """
shared_buffers = 256MB
max_wal_size = 256MB
min_wal_size = 80MB
listen_addresses = ''
port = 5499
autovacuum = off
"""


def run(command, **more):
    """Runs a command; its output is shown only when it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}")
    return done.stdout


def postgres(*command):
    """Runs one of PostgreSQL's programs as the user that may."""
    return run(["runuser", "-u", "postgres", "--", f"{PROGRAMS}/{command[0]}", *command[1:]], cwd="/")


def make_clusters(work, scale, transactions):
    """Makes the two sets: a cluster, and the same one after transactions."""
    os.chmod(work, 0o755)
    base, changed, socket = (f"{work}/{name}" for name in ("cluster", "changed", "socket"))
    for folder in (base, socket):
        os.mkdir(folder)
        shutil.chown(folder, "postgres")
    postgres("initdb", "-D", base, "-k", "--no-sync", "-A", "trust")
    with open(f"{base}/postgresql.conf", "a") as file:
        file.write(CONFIGURATION + f"unix_socket_directories = '{socket}'\n")
    at = ["-h", socket, "-p", "5499"]
    postgres("pg_ctl", "-D", base, "-w", "-l", f"{socket}/log", "start")
    postgres("createdb", *at, "bench")
    postgres("pgbench", *at, "-i", "-q", "-s", str(scale), "bench")
    postgres("pg_ctl", "-D", base, "-w", "-m", "fast", "stop")
    run(["cp", "-a", base, changed])
    postgres("pg_ctl", "-D", changed, "-w", "-l", f"{socket}/log", "start")
    postgres("pgbench", *at, "-n", "-c", "4", "-j", "2", "-t", str(transactions // 4), "--random-seed=1", "bench")
    postgres("pg_ctl", "-D", changed, "-w", "-m", "fast", "stop")
    return base, changed


def warm(folder):
    """Reads a set into the page cache."""
    run(["bash", "-c", f"find {folder} -type f -print0 | xargs -0 cat >/dev/null"])


def size(folder):
    """The bytes of all files below a folder."""
    paths = (os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)
    return sum(os.lstat(path).st_size for path in paths)


class Loop:
    """A file system on a loop device with direct I/O, gone when left."""

    def __init__(self, work, kind, options, gib):
        self.image, self.mount, self.kind, self.options, self.gib = f"{work}/image", f"{work}/mount", kind, options, gib

    def __enter__(self):
        os.makedirs(self.mount, exist_ok=True)
        run(["fallocate", "-l", f"{self.gib}G", self.image])
        self.device = run(["losetup", "--direct-io=on", "-f", "--show", self.image]).strip()
        quiet = {"btrfs": ["-q", "-f", "-K"], "ext4": ["-q", "-F", "-E", "nodiscard,lazy_itable_init=0"]}[self.kind]
        run([f"mkfs.{self.kind}", *quiet, self.device])
        run(["mount", "-o", self.options, self.device, self.mount])
        return self.mount

    def __exit__(self, *_):
        run(["umount", self.mount])
        run(["losetup", "-d", self.device])
        os.unlink(self.image)


def btrfs_used(mount):
    """Bytes in use once everything is committed."""
    run(["btrfs", "filesystem", "sync", mount])
    usage = run(["btrfs", "filesystem", "usage", "-b", mount]).splitlines()
    return int(next(line.split()[1] for line in usage if line.strip().startswith("Used:")))


def timed(script):
    """Seconds that a shell script takes."""
    start = time.perf_counter()
    run(["bash", "-ec", script])
    return time.perf_counter() - start


def ingest_btrfs(work, base, changed):
    """Seconds and stored bytes of the first and the second ingest."""
    with Loop(work, "btrfs", "noatime,nodiscard,compress=zstd:1", 6) as mount:
        run(["btrfs", "subvolume", "create", f"{mount}/current"])
        empty = btrfs_used(mount)
        warm(base)
        first = timed(f"cp -a --reflink=never {base}/. {mount}/current/; sync -f {mount}")
        after_first = btrfs_used(mount)
        warm(changed)
        second = timed(
            f"btrfs subvolume snapshot -r {mount}/current {mount}/snapshot; "
            f"rsync -a --inplace --no-whole-file --delete {changed}/ {mount}/current/; sync -f {mount}"
        )
        return [(first, after_first - empty), (second, btrfs_used(mount) - after_first)]


def ingest_engine(work, base, changed, program):
    """Seconds and stored bytes of the first and the second ingest."""
    with Loop(work, "ext4", "noatime", 6) as mount:
        warm(base)
        warm(changed)
        sizes = ["--block", "8192", "--extent", "32768"]
        lines = run([program, *sizes, base, changed], env=os.environ | {"COW_BENCH_DIR": mount}).splitlines()
        found = [json.loads(line) for line in lines]
        return [(one["seconds"], one["stored_bytes"]) for one in found]


def show(values, digits=1):
    """The median, and the least and the most."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=20)
    parser.add_argument("--transactions", type=int, default=20000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--program", default="target/release/engine-ingest")
    options = parser.parse_args()
    work = tempfile.mkdtemp(prefix="cow-compare-", dir=os.environ.get("COW_BENCH_DIR"))
    try:
        base, changed = make_clusters(work, options.scale, options.transactions)
        program = os.path.abspath(options.program)
        peers = {
            "engine": lambda: ingest_engine(work, base, changed, program),
            "btrfs zstd:1": lambda: ingest_btrfs(work, base, changed),
        }
        results = {name: [] for name in peers}
        for _ in range(options.repetitions):
            for name, ingest in peers.items():
                results[name].append(ingest())
        print(f"First set {size(base) / 1e6:.0f} MB, second {size(changed) / 1e6:.0f} MB\n")
        print("| ingest | first, MB/s | first, stored MB | second, seconds | second, stored MB more |")
        print("|---|---|---|---|---|")
        for name, rounds in results.items():
            speed = [size(base) / 1e6 / one[0][0] for one in rounds]
            stored = [[one[at][1] / 1e6 for one in rounds] for at in (0, 1)]
            seconds = [one[1][0] for one in rounds]
            print(f"| {name} | {show(speed, 0)} | {show(stored[0])} | {show(seconds)} | {show(stored[1])} |")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
