"""A clone is overwritten at random, then read in order.

A file of 1 GiB, of pages of 8 KiB that are compressible by half, is cloned: by a clone of a dataset's snapshot (profile `postgres`)
that is mounted with FUSE, by `cp --reflink=always` on XFS, by a snapshot of its subvolume on btrfs; on ext4, for comparison, the file itself is
taken. fio overwrites 65,536 pages of it at random, or as many as it can in three seconds, with O_DIRECT, a new clone each time: one thread, 16 threads, and one thread
with an fsync after each write. What was written is made durable in the end, and that time counts; until then O_DIRECT has it in the device's
hands, and over FUSE in the daemon's. In process, `engine-overwrite` does the same with the engine's own calls.

Then a third of the pages of another clone are overwritten at random through the page cache, with an fsync after each 1,000 (the table's last
column), and `dd` reads the file in order, cold: caches are dropped, ours with the daemon, which is started again. The same of a fresh copy of the clone (ours in a
dataset without deduplication, which would share the blocks), and of the clone once the daemon has cleaned up in the background. Peers have no such cleaning.
"""
import json
import os
import statistics
import subprocess
import time
from contextlib import ExitStack

from lab import cow, machine
from lab.places import Loop
from lab.results import spread
from lab.shell import run

NEEDS = {"fio": "fio", "mkfs.xfs": "xfsprogs", "mkfs.btrfs": "btrfs-progs"}

PAGE = 8192
# Threads, and what else fio is told.
MODES = {"depth 1": (1, []), "depth 16": (16, []), "fsync each": (1, ["--fsync=1"])}
WRITES_MAX = 65_536
BATCHED = "fsync each 1,000"
PEERS = {"xfs": "XFS reflink clone", "btrfs": "btrfs snapshot", "ext4": "ext4, in place"}
GIB = {"xfs": 4, "btrfs": 4, "ext4": 2}
FUSE, IN_PROCESS = "cow, clone over FUSE", "cow, clone in process"
SCANS = ["overwritten", "fresh copy", "cleaned"]


class Peer:
    """A file system with the file, and clones of it."""

    def __init__(self, loop, source):
        self.loop, self.origin = loop, f"{loop.mount}/origin"
        if loop.kind == "btrfs":
            run(["btrfs", "subvolume", "create", self.origin])
        else:
            os.mkdir(self.origin)
        run(["cp", source, f"{self.origin}/file"])
        loop.sync()

    def clone(self):
        """A file to overwrite."""
        if self.loop.kind == "ext4":
            return f"{self.origin}/file"
        cloned = f"{self.loop.mount}/clone"
        if self.loop.kind == "btrfs":
            run(["btrfs", "subvolume", "snapshot", self.origin, cloned])
        else:
            run(["cp", "-r", "--reflink=always", self.origin, cloned])
        self.loop.sync()
        return f"{cloned}/file"

    def drop_clone(self):
        """Takes it away, and waits until its space is back."""
        cloned = f"{self.loop.mount}/clone"
        if self.loop.kind == "btrfs":
            run(["btrfs", "subvolume", "delete", "-c", cloned])
            run(["btrfs", "subvolume", "sync", self.loop.mount])
        elif self.loop.kind == "xfs":
            run(["rm", "-r", cloned])
        self.loop.sync()

    def copy(self):
        """A fresh copy of the clone."""
        copied = f"{self.loop.mount}/copy"
        run(["cp", "--reflink=never", f"{self.loop.mount}/clone/file", copied])
        synced(copied)
        return copied

    def drop_copy(self):
        """Takes the copy away."""
        os.unlink(f"{self.loop.mount}/copy")

    def cold(self):
        """Forgets what is cached."""
        machine.drop_caches()


class Ours:
    """The same as a dataset, its snapshot, and clones of that."""

    def __init__(self, daemon, source):
        self.daemon, self.clones = daemon, 0
        daemon.ctl("create", "--profile", "postgres", "origin")
        mount = daemon.mounted("origin")
        run(["cp", source, f"{mount}/file"])
        synced(f"{mount}/file")
        daemon.unmounted(mount)
        daemon.ctl("snapshot", "origin@made")

    def clone(self):
        """A file to overwrite."""
        self.clones += 1
        self.daemon.ctl("clone", "origin@made", f"clone{self.clones}")
        self.cloned = self.daemon.mounted(f"clone{self.clones}")
        return f"{self.cloned}/file"

    def drop_clone(self):
        """Takes it away."""
        self.daemon.unmounted(self.cloned)
        self.daemon.ctl("destroy", "--now", "--yes", f"clone{self.clones}")

    def copy(self):
        """A fresh copy of the clone."""
        self.daemon.ctl("create", "--profile", "postgres", "-o", "dedup=off", f"copy{self.clones}")
        self.copied = self.daemon.mounted(f"copy{self.clones}")
        run(["cp", f"{self.cloned}/file", f"{self.copied}/file"])
        synced(f"{self.copied}/file")
        return f"{self.copied}/file"

    def drop_copy(self):
        """Takes the copy away."""
        self.daemon.unmounted(self.copied)
        self.daemon.ctl("destroy", "--now", "--yes", f"copy{self.clones}")

    def cold(self):
        """Forgets what is cached."""
        self.daemon.stop()
        machine.drop_caches()
        self.daemon.start()


def synced(path):
    """Makes a file durable: sync -f does not reach a FUSE file system."""
    file = os.open(path, os.O_RDWR)
    os.fsync(file)
    os.close(file)


def fio(path, mib, *more):
    """Random writes of pages never seen before; returns how many there were and how long they took."""
    command = ["fio", "--name=overwrite", f"--filename={path}", f"--size={mib}M", "--rw=randwrite", f"--bs={PAGE}"]
    command += ["--ioengine=psync", "--thread", "--group_reporting", "--randrepeat=0", "--norandommap", "--output-format=json"]
    command += ["--refill_buffers", "--buffer_compress_percentage=50", f"--buffer_compress_chunk={PAGE}", *more]
    found = json.loads(run(command, stderr=subprocess.DEVNULL))["jobs"][0]["write"]
    return found["total_ios"], found["runtime"] / 1e3


def rates(place, mib, seconds):
    """Writes a second in each mode, to a clone each."""
    found = {}
    for mode, (threads, flags) in MODES.items():
        path = place.clone()
        limits = [f"--numjobs={threads}", f"--number_ios={WRITES_MAX // threads}", f"--runtime={seconds}"]
        writes, took = fio(path, mib, "--direct=1", *limits, *flags)
        began = time.perf_counter()
        synced(path)
        found[mode] = writes / (took + time.perf_counter() - began)
        place.drop_clone()
    return found


def scans(place, mib):
    """Overwrites a third of a clone: writes a second, and the seconds that reading it takes then, and reading a fresh copy."""
    path = place.clone()
    writes = (mib << 20) // PAGE // 3
    written, took = fio(path, mib, f"--number_ios={writes}", "--fsync=1000", "--end_fsync=1")
    copied = place.copy()
    found = {BATCHED: written / took, "overwritten": scan(place, path), "fresh copy": scan(place, copied)}
    if isinstance(place, Ours):
        wait_for_cleaning(place.daemon)
        found["cleaned"] = scan(place, path)
    place.drop_copy()
    place.drop_clone()
    return found


def scan(place, path):
    """Seconds that reading a file in order takes, cold."""
    place.cold()
    began = time.perf_counter()
    run(["dd", f"if={path}", "of=/dev/null", "bs=1M", "status=none"])
    return time.perf_counter() - began


def wait_for_cleaning(daemon):
    """Waits until the background has had nothing to do for a while: it looks each two seconds."""
    calm_since, before = time.monotonic(), None
    while time.monotonic() < calm_since + 6:
        metrics = daemon.metrics()
        now = [metrics[f"cow_{name}"] for name in ("cleaned_bytes_total", "reclaimed_pointers_total", "backlog_changes")]
        if now != before:
            calm_since, before = time.monotonic(), now
        time.sleep(0.5)


def in_process(place, mib, seconds):
    """What engine-overwrite prints: writes a second in each mode, and seconds of each scan."""
    output = run([f"{cow.PROGRAMS}/engine-overwrite", str(mib), str(seconds)], env=os.environ | {"COW_BENCH_DIR": place.mount})
    found = dict(line.split(": ") for line in output.replace("sync each", "fsync each").splitlines())
    numbers = {name: float(text.split("/")[0].split()[0]) for name, text in found.items()}
    return {name: (mib << 20) / 1e6 / value if name in SCANS else value for name, value in numbers.items()}


def measure(section):
    """The section; see the module's words."""
    mib, seconds = section.size(64, 1024), section.size(1, 3)
    source = f"{section.work}/source"
    with open(source, "wb") as file:
        for number in range(mib):
            file.write(b"".join(os.urandom(PAGE // 2) + bytes([number % 256]) * (PAGE // 2) for _ in range(128)))
    with ExitStack() as stack:
        loops = {kind: stack.enter_context(Loop(section.work, kind, section.size(1, gib))) for kind, gib in GIB.items()}
        own = stack.enter_context(Loop(section.work, "ext4", section.size(3, 5)))
        daemon = stack.enter_context(cow.Daemon(f"{own.mount}/cow", '[maintenance]\nundelete_window = "0s"\n'))
        places = {FUSE: Ours(daemon, source)} | {PEERS[kind]: Peer(loop, source) for kind, loop in loops.items()}
        os.unlink(source)
        engine_runs = []

        def engine():
            engine_runs.append(in_process(own, mib, seconds))
            return engine_runs[-1]

        cases = {name: lambda place=place: rates(place, mib, seconds) for name, place in places.items()}
        found = section.interleaved(section.size(1, 3), cases | {IN_PROCESS: engine})
        cases = {name: lambda place=place: scans(place, mib) for name, place in places.items() if name != PEERS["ext4"]}
        read = section.interleaved(section.size(1, 2), cases) | {IN_PROCESS: engine_runs}
    report(section, mib, found, read)


def report(section, mib, found, read):
    """Tables and goals."""
    names = [FUSE, IN_PROCESS, *PEERS.values()]
    modes = [*MODES, BATCHED]
    runs = {name: found[name] + ([] if name == IN_PROCESS else read.get(name, [])) for name in names}
    rates_of = {name: {mode: [one[mode] for one in runs[name] if mode in one] for mode in modes} for name in names}
    rows = [[name, *(spread(some) if some else "" for some in rates_of[name].values())] for name in names]
    section.table("Random writes of 8 KiB to a clone, a second", ["clone", *modes], rows)
    rows = []
    for name in names[:-1]:
        times = [[one[what] for one in read[name] if what in one] for what in SCANS]
        rows.append([name, *(spread([(mib << 20) / 1e6 / value for value in some]) if some else "" for some in times)])
    section.table("The file in order after a third was overwritten, MB/s", ["clone", *SCANS], rows)
    for mode in modes:
        rate = {name: statistics.median(rates_of[name][mode] or [0]) for name in names}
        best = max(rate[PEERS["xfs"]], rate[PEERS["btrfs"]])
        for name in (FUSE, IN_PROCESS):
            section.goal(f"{name}, {mode}: at least the better of XFS and btrfs", f"{rate[name] / best:.2f} times", rate[name] >= best)
    for name in (FUSE, IN_PROCESS):
        ratio = statistics.median(one["cleaned"] / one["fresh copy"] for one in read[name])
        section.goal(f"{name}: read after cleaning within 1.3 times a fresh copy's time", f"{ratio:.2f} times", ratio <= 1.3)
