"""Snapshot and clone.

Ours in process, in a pool with blocks of 4 KiB: each snapshot is of a dataset with one block changed, and each clone is of that snapshot;
durable when the call returns. By size: a sparse file with a block in each step, so that its tree is deep (one for each MiB of the largest, a
million in all). By number: with so many snapshots of the dataset, or clones of one of its snapshots, there already. Busy: while another dataset takes bytes that nothing
compresses, as fast as it goes. The writer makes a write of 4 KiB every 200 microseconds, first alone, then with 20 snapshots a second of what it writes.

btrfs takes writable snapshots of a subvolume with a file of 64 MiB, one block changed before each, and a sync of the file system after (the
snapshot alone is not durable); XFS clones a file of 1 GiB with FICLONE and fsync, whole and after 50,000 random writes. The same calls from one program, without the start of another.
"""
import fcntl
import json
import os
import random
import struct
import time
from statistics import median

from lab.cow import PROGRAMS
from lab.places import Loop
from lab.results import percentile
from lab.shell import have, run

NEEDS = {"mkfs.btrfs": "btrfs-progs", "mkfs.xfs": "xfsprogs"}
# What linux/btrfs.h and linux/fs.h say.
SNAP_CREATE_V2 = (1 << 30) | (4096 << 16) | (0x94 << 8) | 23
FICLONE = 0x40049409
BTRFS_SYNC = (0x94 << 8) | 8
PAGE = 4096


def measure(section):
    samples = section.size(20, 200)
    sizes = section.size([(1, 4), (1024, 256)], [(1, 4), (1024, 64), (65536, 256), (1 << 20, 1024)])
    most = section.size(["100", "100", "1", "100"], ["100000", "10000", "1", "100", "1000", "10000", "100000"])
    with Loop(section.work, "ext4", 12) as place:

        def ours(*words):
            section.settle()
            lines = run([f"{PROGRAMS}/engine-verbs", *words], env=os.environ | {"COW_BENCH_DIR": place.mount}).splitlines()
            found = {}
            for line in lines:
                one = json.loads(line)
                found.setdefault(one["what"], {})[one["kind"]] = one["ms"]
            return found

        by_size = {mib: ours(str(samples), "size", str(mib), str(step))[str(mib)] for mib, step in sizes}
        by_count = ours(str(samples), "count", *most)
        busy = ours(str(section.size(20, 200)), "busy")["busy"]
        writer = ours(str(section.size(20, 200)), "writer")["writer"]
    show(section, by_size, by_count, busy, writer)
    peers(section, samples)


def show(section, by_size, by_count, busy, writer):
    rows = [[f"{size(mib)}, sparse", *quartet(times)] for mib, times in by_size.items()]
    rows += [[f"{int(what.split()[0]):,} {what.split()[1]} there", *quartet(times)] for what, times in by_count.items()]
    rows.append(["busy", *quartet(busy)])
    section.table("Ours, ms:", ["what", "snapshot, median", "99%", "clone, median", "99%"], rows)
    columns = ["a write waits, ms", "median", "99%", "99.9%", "most"]
    waits = {kind: [median(times), *(percentile(times, at) for at in (0.99, 0.999, 1))] for kind, times in writer.items()}
    section.table("A writer beside snapshots:", columns, [[kind, *digits(values)] for kind, values in waits.items()])
    for kind in ("snapshot", "clone"):
        medians = [median(times[kind]) for times in (*by_size.values(), *by_count.values())]
        ratio = max(medians) / min(medians)
        section.goal(f"{kind} flat in size and number", f"slowest {ratio:.2f} times the fastest", ratio <= 1.5)
    found, flush = median(by_count["1 clones" if "1 clones" in by_count else min(by_count)]["clone"]), section.found["machine"]["flush of 4 KiB, ms"]
    section.goal("clone: median <= 1 ms + one flush", f"{found:.2f} ms (a flush {flush} ms)", found <= 1 + flush)
    longest = max(writer["with snapshots"])
    section.goal("no writer waits over 5 ms for a snapshot", f"{longest:.2f} ms at most", longest <= 5)
    lines = {
        f"{kind}, with n {there}": [
            (int(what.split()[0]), median(times[kind])) for what, times in by_count.items() if what.endswith(there)
        ]
        for kind in ("snapshot", "clone")
        for there in ("snapshots", "clones")
    }
    section.plot("verbs-count", "Snapshot and clone, by how many there are", "n", "ms, median", lines, "x")


def size(mib):
    return f"{mib >> 20} TiB" if mib >> 20 else f"{mib >> 10} GiB" if mib >> 10 else f"{mib} MiB"


def quartet(times):
    return digits([median(times["snapshot"]), percentile(times["snapshot"], 0.99), median(times["clone"]), percentile(times["clone"], 0.99)])


def digits(values):
    return [f"{value:.3f}" if value < 0.1 else f"{value:.2f}" for value in values]


def peers(section, samples):
    rows = []
    if have("mkfs.btrfs", "btrfs-progs"):
        section.settle()
        with Loop(section.work, "btrfs", 4) as place:
            rows += btrfs(place, samples, section.size([1, 20], [1, 100, 1000]))
    if have("mkfs.xfs", "xfsprogs"):
        section.settle()
        with Loop(section.work, "xfs", 8) as place:
            rows += xfs(place, section.size(5, 20), section.size(64, 1024), section.size(1000, 50000))
    section.table("Peers, ms:", ["what", "median", "99%"], rows)


def filled(path, mib):
    """A file of random bytes, written for good."""
    with open(path, "wb") as file:
        for _ in range(mib):
            file.write(os.urandom(1 << 20))
        os.fsync(file.fileno())
    return os.open(path, os.O_RDWR)


def btrfs(place, samples, numbers):
    """Writable snapshots of a subvolume, with ever more of them there."""
    run(["btrfs", "subvolume", "create", f"{place.mount}/live"])
    file, root = filled(f"{place.mount}/live/file", 64), os.open(place.mount, os.O_RDONLY)
    live = os.open(f"{place.mount}/live", os.O_RDONLY)
    rows, there = [], 0

    def snapshot():
        nonlocal there
        os.pwrite(file, os.urandom(PAGE), 0)
        there += 1
        began = time.perf_counter()
        name = f"s{there}".encode()
        fcntl.ioctl(root, SNAP_CREATE_V2, bytearray(struct.pack("qQQ4Q4040s", live, 0, 0, 0, 0, 0, 0, name)))
        fcntl.ioctl(root, BTRFS_SYNC)
        return (time.perf_counter() - began) * 1e3

    for number in numbers:
        while there < number:
            snapshot()
        times = [snapshot() for _ in range(samples // 4)]
        rows.append([f"btrfs, {number:,} snapshots there", median(times), percentile(times, 0.99)])
    for one in (file, root, live):
        os.close(one)
    return rows


def xfs(place, samples, mib, writes):
    """Reflink clones of a file, whole and fragmented."""
    file, rows, number = filled(f"{place.mount}/file", mib), [], 0

    def clone():
        nonlocal number
        number += 1
        to = os.open(f"{place.mount}/clone{number}", os.O_RDWR | os.O_CREAT)
        began = time.perf_counter()
        fcntl.ioctl(to, FICLONE, file)
        os.fsync(to)
        took = (time.perf_counter() - began) * 1e3
        os.close(to)
        return took

    for title in (f"XFS, a clone of {mib:,} MiB", f"XFS, the same after {writes:,} random writes"):
        times = [clone() for _ in range(samples)]
        rows.append([title, median(times), percentile(times, 0.99)])
        for _ in range(writes):
            os.pwrite(file, os.urandom(PAGE), random.randrange(mib << 8) * PAGE)
        os.fsync(file)
    os.close(file)
    return rows
