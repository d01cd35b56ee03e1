"""Memory and opening.

First files that hardly compress, and are new in every block, are imported with default settings into an empty pool, so that all caches fill; after that nothing is
asked, and `quiet_after` is 20 seconds. Then a pool that is made up: a dataset of 1 TiB of blocks that all differ, a snapshot, and nine clones with changes of their own, 10 TiB in all that can be
read. Each block of 64 KiB compresses to next to nothing, so that the disk has room. The daemon opens it (the time is until it serves), then
is killed and opens it again after that, and answers reads and writes of 4 KiB at random places of the dataset and a clone.
ZFS wants 1.25 GiB of memory for each TiB that it deduplicates (320 bytes a block of 128 KiB, and half of it again).
"""
import os
import random
import shutil
import struct
import time

from lab import machine
from lab.cow import PROGRAMS, Daemon
from lab.shell import run

NEEDS = {}
QUIET_SOON = '[maintenance]\nquiet_after = "20s"\n'


def measure(section):
    idle = imported(section, section.size(1, 4))
    made_up(section, section.size(8, 1024), 9, idle)


def made_up(section, gib, clones, idle_empty):
    folder = f"{section.work}/made-up"
    os.makedirs(f"{folder}/pool")
    section.settle()
    seconds = float(run([f"{PROGRAMS}/engine-generate", f"{folder}/pool", str(gib), str(clones)]))
    section.remark(f"Making it up took {seconds:.0f} s; it takes {run(['du', '-sm', folder]).split()[0]} MiB of disk.")
    machine.drop_caches()
    with Daemon(folder, QUIET_SOON) as daemon:
        daemon.stop()
        machine.drop_caches()
        opened = daemon.start()
        idle = machine.resident_mib(daemon.process)
        mounts = [daemon.mounted(name) for name in ("d", f"clone{clones - 1}")]
        touched = touch(mounts, gib, section.size(2, 60), daemon)
        busy = machine.resident_mib(daemon.process)
        time.sleep(section.size(25, 45))
        quiet = machine.resident_mib(daemon.process)
        for path in list(daemon.mounts):
            run(["umount", "-l", path])
        daemon.mounts = []
        daemon.child.kill()
        daemon.child.wait()
        machine.drop_caches()
        after_kill = daemon.start()
        most = machine.resident_mib(daemon.process, "VmHWM")
    logical = f"{gib / 1024:.2g} TiB, and {clones} clones"
    columns = ["pool", "opens, s", "opens after kill -9, s", "idle, MiB", "after random reads and writes, MiB", "when quiet, MiB", "operations"]
    section.table("A pool that is made up:", columns, [[logical, opened, after_kill, idle, busy, quiet, touched]])
    section.goal("opens in < 1 s", f"{opened:.2f} s, after kill -9 {after_kill:.2f} s", max(opened, after_kill) < 1)
    section.goal("daemon <= 1.5 GiB at 10 TiB", f"{max(busy, most):.0f} MiB", max(busy, most) <= 1536)
    # All that stays beyond an empty daemon's memory, as if all of it was the index.
    each = (quiet - idle_empty) * (1 << 20) / (gib * 8192)
    section.goal("<= 16 bytes of index for each 128 KiB of unique data", f"{each:.1f} bytes with all else that stays", each <= 16)
    shutil.rmtree(folder)


def touch(mounts, gib, seconds, daemon):
    """Reads and writes at random for a while; returns how many."""
    files = [os.open(f"{mount}/{name}", os.O_RDWR) for mount in mounts for name in os.listdir(mount)]
    count, until, rng = 0, time.monotonic() + seconds, random.Random(1)
    while time.monotonic() < until:
        file = files[count % len(files)]
        at = rng.randrange((min(gib, 16) << 30) // 4096) * 4096
        if count % 4:
            os.pread(file, 4096, at)
        else:
            os.pwrite(file, os.urandom(4096), at)
        count += 1
        if not count % 256:
            os.fsync(file)
    for file in files:
        os.close(file)
    return count


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


def imported(section, gib):
    source, rest = f"{section.work}/source", section.size(3, 60)
    os.mkdir(source)
    write_source(source, gib)
    section.settle()
    with Daemon(f"{section.work}/imported", QUIET_SOON) as daemon:
        time.sleep(2)
        idle = machine.resident_mib(daemon.process)
        daemon.ctl("create", "data")
        began = time.perf_counter()
        daemon.ctl("import", source, "data")
        seconds, cpu = time.perf_counter() - began, daemon.cpu_seconds()
        most = machine.resident_mib(daemon.process, "VmHWM")
        time.sleep(3)
        after = machine.resident_mib(daemon.process)
        time.sleep(rest)
        quiet = machine.resident_mib(daemon.process)
    columns = ["imported", "MB/s", "CPU, s", "idle before, MiB", "at most, MiB", "idle after, MiB", "when quiet, MiB"]
    row = [f"{gib} GiB", gib * 1073.741824 / seconds, cpu, idle, most, after, quiet]
    section.table("Memory when caches fill:", columns, [row])
    section.goal("daemon <= 1.5 GiB with all caches full", f"{most:.0f} MiB", most <= 1536)
    shutil.rmtree(source)
    return idle
