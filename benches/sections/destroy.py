"""Destroying, and who notices.

A file of 512 MiB with snapshots that lost some of it to random writes of 4 KiB: 300 snapshots with 500 writes between any two, and 4,000 with 50.
Then 1,000 clones of one snapshot, each with a file of 64 KiB written over and one of its own. Beside all of it lies a second dataset (subvolume) with a file of 64 MiB, in which a writer
makes 8 KiB durable every 2 ms: first alone for 10 seconds, then from the first destroy until all space is back. Ours is the daemon, mounted with FUSE, and `cowctl
destroy --now` of all names in one call (with the snapshots of a range, as users say it, where there is one); btrfs is given `btrfs subvolume
delete` of all names in one call, and is done when its list of deleted subvolumes is empty. Blocks of 4 KiB. What they held is, for ours, what is stored and live;
segments that are half empty are cleaned later.
"""
import json
import os
import subprocess
import time
from statistics import median

from lab.cow import PROGRAMS, Daemon
from lab.places import Loop
from lab.results import percentile
from lab.shell import have, run

NEEDS = {"mkfs.btrfs": "btrfs-progs"}
PATIENCE_SECONDS = 240


class Writer:
    """The writer beside; `waits` has the milliseconds of each write once it is left."""

    def __init__(self, folder):
        self.path = f"{folder}/beside"

    def __enter__(self):
        command = [f"{PROGRAMS}/paced-writer", self.path, "64", "2000"]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        self.waits = json.loads(self.child.communicate()[0] or "[]")


class Ours:
    """The daemon on ext4."""

    name = "ours"

    def __init__(self, section):
        self.place = Loop(section.work, "ext4", 8)

    def __enter__(self):
        self.place.__enter__()
        # What is closed is kept by name, so that no mount holds it.
        self.daemon = Daemon(f"{self.place.mount}/cow").__enter__()
        for name in ("live", "beside"):
            self.daemon.ctl("create", "-o", "blocksize=4K", name)
        self.live, self.beside = self.daemon.mounted("live"), self.daemon.mounted("beside")
        self.keep = f"{PROGRAMS}/cowctl --socket {self.daemon.socket} snapshot live@{{}}"
        return self

    def __exit__(self, *_):
        self.daemon.__exit__()
        self.place.__exit__()

    def clones(self, number):
        self.daemon.ctl("snapshot", "live@origin")
        names = [f"clone{one}" for one in range(number)]
        for name in names:
            self.daemon.ctl("clone", "live@origin", name)
            path = self.daemon.mounted(name)
            write_over(path)
            self.daemon.unmounted(path)
        return names

    def destroy(self, names):
        self.daemon.ctl("destroy", "--now", "--yes", *names)

    def snapshots(self, number):
        return [f"live@{one}" for one in range(1, number + 1)]

    def bytes(self):
        return self.daemon.asked("status")["space"]["live"]

    def all_back(self):
        status = self.daemon.asked("status")
        # The writer's own changes are never all in their place.
        return not status["destroyed"] and not status["backlog"]["reclaims"] and status["backlog"]["changes"] < 5000


class Btrfs:
    """btrfs, its live data in a subvolume."""

    name = "btrfs"

    def __init__(self, section):
        self.place = Loop(section.work, "btrfs", 8)

    def __enter__(self):
        self.place.__enter__()
        self.live, self.beside = f"{self.place.mount}/live", f"{self.place.mount}/next"
        for path in (self.live, self.beside):
            run(["btrfs", "subvolume", "create", path])
        self.keep = f"btrfs subvolume snapshot -r {self.live} {self.place.mount}/kept{{}}"
        return self

    def __exit__(self, *_):
        self.place.__exit__()

    def clones(self, number):
        run(["btrfs", "subvolume", "snapshot", "-r", self.live, f"{self.place.mount}/origin"])
        names = [f"{self.place.mount}/clone{one}" for one in range(number)]
        for name in names:
            run(["btrfs", "subvolume", "snapshot", f"{self.place.mount}/origin", name])
            write_over(name)
        return names

    def destroy(self, names):
        run(["btrfs", "subvolume", "delete", *names])

    def snapshots(self, number):
        return [f"{self.place.mount}/kept{one}" for one in range(1, number + 1)]

    def bytes(self):
        return self.place.used()

    def all_back(self):
        # Lists what is deleted and not yet cleaned.
        return not run(["btrfs", "subvolume", "list", "-d", self.place.mount]).strip()


def write_over(folder):
    for name in ("file", "own"):
        with open(f"{folder}/{name}", "r+b" if name == "file" else "wb") as file:
            file.write(os.urandom(64 << 10))
            file.flush()
            os.fsync(file.fileno())


def measure(section):
    kinds = section.size(
        {"20 snapshots": (20, 50), "20 clones": (20, None)},
        {"300 snapshots": (300, 500), "4,000 snapshots": (4000, 50), "1,000 clones": (1000, None)},
    )
    sides = [Ours] + ([Btrfs] if have("mkfs.btrfs", "btrfs-progs") else [])
    rows, found = [], {}
    for kind, (number, writes) in kinds.items():
        for side in sides:
            section.settle()
            with side(section) as there:
                one = found[kind, there.name] = destroyed(section, there, number, writes)
                sizes = [one["full"] / 1e6, one["grown"] / 1e6]
                row = [f"{kind}, {there.name}", one["call"] * 1e3, one["back"], *sizes, *one["alone"], *one["meanwhile"]]
                rows.append(row)
    columns = ["what", "destroy returns, ms", "all is free, s", "they held, MB", "left of it, MB", "a write alone, median ms", "99%", "meanwhile, median", "99%"]
    section.table("Destroys:", columns, rows)
    goals(section, kinds, found)


def destroyed(section, there, number, writes):
    """Makes, then destroys: seconds of the call, seconds until the space is back, and what the writer waited."""
    mib = section.size(32, 512)
    run([f"{PROGRAMS}/rounds", "--rounds", "0", "--mib", str(mib), "file", f"{there.live}/file"])
    with Writer(there.beside):
        time.sleep(1)
    before = there.bytes()
    if writes:
        shape = ["--rounds", str(number), "--writes", str(writes), "--mib", str(mib)]
        run([f"{PROGRAMS}/rounds", *shape, "--snapshot", there.keep, "file", f"{there.live}/file"])
        names = there.snapshots(number)
    else:
        names = there.clones(number)
    section.settle()
    full = there.bytes() - before
    with Writer(there.beside) as alone:
        time.sleep(section.size(2, 10))
    with Writer(there.beside) as meanwhile:
        began = time.perf_counter()
        there.destroy(names)
        call = time.perf_counter() - began
        while not there.all_back() and time.perf_counter() - began < PATIENCE_SECONDS:
            time.sleep(0.2)
        back = time.perf_counter() - began
        # Enough of them for a percentile.
        time.sleep(max(0, 2 - back))
    pairs = {"alone": alone.waits, "meanwhile": meanwhile.waits}
    sizes = {"full": full, "grown": there.bytes() - before}
    return {"call": call, "back": back} | sizes | {name: [median(waits), percentile(waits, 0.99)] for name, waits in pairs.items()}


def goals(section, kinds, found):
    for kind in kinds:
        ours, peer = found[kind, "ours"], found.get((kind, "btrfs"))
        section.goal(f"destroy of {kind} returns at once", f"{ours['call'] * 1e3:.0f} ms", ours["call"] < 0.5)
        ratio = ours["meanwhile"][1] / ours["alone"][1]
        section.goal("... others' 99% within twice what it is alone", f"{ratio:.1f} times", ratio <= 2)
        if peer:
            text = f"{ours['back']:.1f} s; btrfs {peer['back']:.1f} s"
            section.goal("... all space back before btrfs's cleaner is done", text, ours["back"] <= peer["back"])
