"""First and second ingest
How fast data comes in until it is durable, what is stored for it, and what it costs in processor time. Three sets: a PostgreSQL
cluster of pgbench's tables; a tree of small files, sources in kind (text mostly, one file of eight is incompressible); and files that
nothing compresses. Then the cluster once more, after pgbench's transactions.

cow has its pool on ext4 on a loop device, and takes each set three ways: by `import` in process (`engine-ingest`), by `cp -a` onto a FUSE
mount, and over NFS on the loopback, by a client that commits each file (its processor time counts too). Profiles are `postgres`, `tree` and
`default`. Each way ends with a snapshot, which is durable when it returns. The peers: `cp -a` and `sync -f` onto btrfs and ext4, on loop
devices likewise; restic, borg and casync into a repository on such an ext4. Sources are in the page cache before.

The second time, `import` writes into the same dataset (in place: all is read, and compared with what is there, block by block), or into another one (a fresh copy: all is sent, and what is stored already is found by its hash); btrfs takes a
snapshot and then `rsync --inplace --no-whole-file`; restic and borg keep another archive from the same path.

MB are 10^6 bytes. Stored are the bytes in use: of btrfs, ext4 and the archives whole blocks of 4 KiB, of cow what lives in its segments. Processor time is
the whole machine's, kernel threads included. Cases run in turn; those with a spread (median, least to most) three times, twice for the tree, the slow ones once.
"""
import json
import os
import statistics
import time
from dataclasses import dataclass

from lab import machine, sets
from lab.archives import Archive
from lab.cow import PROGRAMS, Daemon
from lab.places import Loop
from lab.results import spread
from lab.shell import have, run, script

NEEDS = {
    "pg_ctlcluster": "postgresql",
    "mkfs.btrfs": "btrfs-progs",
    "rsync": "rsync",
    "restic": "restic",
    "borg": "borgbackup",
    "casync": "casync",
}
GIB = 7
OURS = ("import", "FUSE", "NFS")
# What runs in every repetition; the others run in the first.
OFTEN = ("import", "btrfs zstd:1", "ext4")
SIZES = {"postgres": (8 << 10, 64 << 10), "tree": (16 << 10, 128 << 10), "default": (16 << 10, 64 << 10)}


@dataclass
class Taken:
    """What a set took: the time until it was durable, processor time of the machine, and bytes stored for it."""

    seconds: float
    cpu: float
    stored: int


@dataclass
class Source:
    """A set, the profile that cow keeps it with, and what became of it later, if that is ingested too."""

    title: str
    profile: str
    folder: str
    files: int
    bytes: int
    peers: tuple
    changed: str = None


def measure(section):
    """Takes each set in turn; COW_BENCH_SETS chooses some of them."""
    makers = {"cluster": cluster, "tree": tree, "incompressible": incompressible}
    if not have("pg_ctlcluster", NEEDS["pg_ctlcluster"]):
        del makers["cluster"]
    chosen = os.environ.get("COW_BENCH_SETS", ",".join(makers)).split(",")
    for name in chosen:
        began = time.perf_counter()
        source = makers[name](section)
        print(f"made {name} in {time.perf_counter() - began:.0f} s", flush=True)
        found = ingested(section, source)
        first_table(section, source, found)
        if "btrfs zstd:1" not in found:
            section.remark(f"There is no btrfs to set the {source.title} beside.")
            continue
        {"cluster": cluster_goals, "tree": tree_goals, "incompressible": disk_goals}[name](section, source, found)
        script(f"rm -rf {source.folder} {source.changed or ''}")


def cluster(section):
    """pgbench's cluster, and the same after transactions."""
    postgres = sets.Postgres(section.work)
    folder = postgres.made("cluster", section.size(3, 60))
    changed = postgres.changed(folder, "changed", section.size(400, 20_000))
    peers = ("restic", "borg lz4", "borg zstd,3", "casync")
    return Source("PostgreSQL cluster", "postgres", folder, *sets.size(folder), peers, changed)


def tree(section):
    """Many small files."""
    folder = sets.tree(f"{section.work}/tree", section.size(2000, 100_000))
    return Source("tree of small files", "tree", folder, *sets.size(folder), ("restic", "borg zstd,3", "casync"))


def incompressible(section):
    """Few large files of random bytes."""
    folder = sets.incompressible(f"{section.work}/random", 4, section.size(16, 512))
    return Source("incompressible files", "default", folder, *sets.size(folder), ("restic", "borg lz4", "casync"))


def ingested(section, source):
    """Takes a set in by all ways; returns [first, second, ..] of each time, by way."""
    section.source = f"{section.work}/source"
    cases = {"import": lambda: imported(section, source)}
    if source.changed:
        cases["import, in place"] = lambda: imported(section, source, "--in-place")
    cases["FUSE"] = lambda: over_fuse(section, source)
    cases["NFS"] = lambda: over_nfs(section, source)
    for kind in ("btrfs", "btrfs zstd:1", "btrfs zstd:3", "ext4"):
        if kind == "ext4" or have("mkfs.btrfs", NEEDS["mkfs.btrfs"]):
            cases[kind] = lambda kind=kind: copied(section, source, *kind.split())
    for kind in source.peers:
        if have(kind.split()[0], NEEDS[kind.split()[0]]):
            cases[kind] = lambda kind=kind: archived(section, source, kind)
    if not source.changed and source.profile == "default":
        cases["dd, direct I/O"] = lambda: directly(section, source)
    found = section.interleaved(1, cases)
    often = {name: case for name, case in cases.items() if name.startswith(OFTEN) or name.startswith("dd")}
    # A hundred thousand files take a while.
    repetitions = section.size(0, 1 if source.profile == "tree" else 2)
    for name, more in section.interleaved(repetitions, often).items():
        found[name] += more
    return found


def taken(used, work):
    """Does a piece of work; says what it took. `used` tells the bytes in use."""
    before, cpu, start = used(), machine.busy_seconds(), time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    return Taken(seconds, machine.busy_seconds() - cpu, used() - before)


def imported(section, source, *flags):
    """The daemon's import, in process."""
    with Loop(section.work, "ext4", GIB) as loop:
        folders = [source.folder, source.changed] if source.changed else [source.folder]
        for folder in folders:
            sets.warm(folder)
        block, extent = SIZES[source.profile]
        command = [f"{PROGRAMS}/engine-ingest", "--block", str(block), "--extent", str(extent), *flags, *folders]
        lines = run(command, env=os.environ | {"COW_BENCH_DIR": loop.mount}).splitlines()
        return [Taken(one["seconds"], one["cpu_seconds"], one["stored_bytes"]) for one in map(json.loads, lines)]


def served(section, source, copy):
    """Into a dataset of a daemon, by `copy(daemon)`, and a snapshot of it."""
    with Loop(section.work, "ext4", GIB) as loop, Daemon(f"{loop.mount}/cow") as daemon:
        daemon.ctl("create", "--profile", source.profile, "first")
        work = copy(daemon)
        sets.warm(source.folder)

        def all_of_it():
            work()
            daemon.ctl("snapshot", "first@copied")

        return [taken(lambda: daemon.asked("space")["pool"]["live"], all_of_it)]


def over_fuse(section, source):
    """cp onto a mount."""

    def copy(daemon):
        mount = daemon.mounted("first")
        return lambda: script(f"cp -a {source.folder}/. {mount}/; sync -f {mount}")

    return served(section, source, copy)


def over_nfs(section, source):
    """The tests' client, which writes with 8 calls in flight on each of 4 connections."""

    def copy(daemon):
        return lambda: run([f"{PROGRAMS}/nfs-copy", source.folder, f"nfs://127.0.0.1:{daemon.port}/first"])

    return served(section, source, copy)


def copied(section, source, kind, compression=""):
    """cp onto another file system; what changed by rsync, over a snapshot of btrfs."""
    options = f"compress={compression}" if compression else ""
    with Loop(section.work, kind, GIB, options) as loop:
        current = f"{loop.mount}/current"
        run(["btrfs", "subvolume", "create", current] if kind == "btrfs" else ["mkdir", current])
        sets.warm(source.folder)
        copy = f"cp -a --reflink=never {source.folder}/. {current}/; sync -f {loop.mount}"
        results = [taken(loop.used, lambda: script(copy))]
        if source.changed and compression:
            sets.warm(source.changed)
            snapshot = f"btrfs subvolume snapshot -r {current} {loop.mount}/snapshot"
            sync = f"rsync -a --inplace --no-whole-file --delete {source.changed}/ {current}/; sync -f {loop.mount}"
            results.append(taken(loop.used, lambda: script(f"{snapshot}; {sync}")))
        return results


def archived(section, source, kind):
    """Into a repository; what changed from the same path, which is a link's."""
    with Loop(section.work, "ext4", GIB) as loop:
        archive, results = Archive(kind, loop), []
        for name, folder in (("first", source.folder), ("second", source.changed)):
            # casync's second archive is none of the peers: it reads and hashes all, as slowly as the first time.
            if folder and (name, kind) != ("second", "casync"):
                script(f"ln -sfn {folder} {section.source}")
                sets.warm(folder)
                results.append(taken(loop.used, lambda name=name: archive.add(section.source, name)))
        return results


def directly(section, source):
    """What the disk takes: the same files by dd onto ext4, past the page cache."""
    with Loop(section.work, "ext4", GIB) as loop:
        sets.warm(source.folder)
        command = f"for file in {source.folder}/*; do dd if=$file of={loop.mount}/${{file##*/}} bs=4M oflag=direct; done"
        return [taken(loop.used, lambda: script(f"{command}; sync -f {loop.mount}"))]


def first_table(section, source, found):
    """The table of the first ingest of a set."""
    rows = []
    for name, results in found.items():
        firsts = [one[0] for one in results]
        speeds = [source.bytes / 1e6 / one.seconds for one in firsts]
        stored = statistics.median(one.stored / 1e6 for one in firsts)
        cpu = statistics.median(one.cpu / source.bytes * 1e9 for one in firsts)
        if name != "import, in place":
            rows.append([f"cow, {name}" if name in OURS else name, spread(speeds), stored, cpu])
    title = f"First ingest of a {source.title}: {source.files:,} files, {source.bytes / 1e6:,.0f} MB"
    title = title.replace("a incompressible", "incompressible")
    section.table(title, ["into", "MB/s", "stored, MB", "processor, s/GB"], rows)


def speed(source, found, name):
    """The median MB/s of the first ingest."""
    return source.bytes / 1e6 / statistics.median(one[0].seconds for one in found[name])


def stored(found, name, at=0):
    """The median MB that were stored for the first or second ingest."""
    return statistics.median(one[at].stored for one in found[name]) / 1e6


def cluster_goals(section, source, found):
    """A database's first ingest, and all of the second."""
    ratio = speed(source, found, "import") / speed(source, found, "btrfs zstd:1")
    ours, theirs = stored(found, "import"), stored(found, "btrfs zstd:1")
    words = f"{ratio:.2f} times; {ours:.1f} MB beside {theirs:.1f}"
    section.goal("database: >= 1.5 times btrfs zstd:1, and fewer bytes stored", words, ratio >= 1.5 and ours < theirs)
    changed = sets.changed_bytes(source.folder, source.changed) / 1e6
    second_table(section, source, found, changed)
    second_goals(section, found, changed)


def second_table(section, source, found, changed):
    """The table of the second ingest."""
    names = {
        "import": "cow, import as a fresh copy",
        "import, in place": "cow, import in place",
        "btrfs zstd:1": "btrfs zstd:1, snapshot and rsync",
        "btrfs zstd:3": "btrfs zstd:3, snapshot and rsync",
    }
    rows = []
    for name, results in found.items():
        seconds = [one[1].seconds for one in results if len(one) > 1]
        if seconds:
            cpu = statistics.median(one[1].cpu for one in results)
            rows.append([names.get(name, name), spread(seconds), stored(found, name, 1), cpu])
    _, length = sets.size(source.changed)
    title = f"Second ingest: {length / 1e6:,.0f} MB, of which {changed:,.0f} in changed pages of 8 KiB"
    section.table(title, ["by", "seconds", "stored more, MB", "processor, s"], rows)


def second_goals(section, found, changed):
    """Time beside the best of the peers, and bytes beside what changed."""
    seconds = {name: statistics.median(one[1].seconds for one in found[name]) for name in found if len(found[name][0]) > 1}
    peers = {name: took for name, took in seconds.items() if not name.startswith("import")}
    best = min(peers, key=peers.get)
    fresh, in_place = (peers[best] / seconds[name] for name in ("import", "import, in place"))
    words = f"{fresh:.1f} times as fast as {best} as a fresh copy, {in_place:.1f} in place"
    section.goal("second ingest, where the client sends everything: >= 3 times the best peer", words, fresh >= 3)
    added = max(stored(found, name, 1) for name in ("import", "import, in place"))
    words = f"{added / changed:.2f} times ({added:.0f} MB, compressed)"
    section.goal("second ingest: stored within 1.3 times the changed pages of 8 KiB", words, added <= 1.3 * changed)


def tree_goals(section, source, found):
    """The tree's first ingest."""
    ours = speed(source, found, "import")
    btrfs, ext4 = ours / speed(source, found, "btrfs zstd:1"), speed(source, found, "ext4") / ours
    section.goal("tree: as fast as btrfs zstd:1, by import", f"{btrfs:.2f} times as fast", btrfs >= 1)
    section.goal("tree: within 1.3 times of plain ext4, by import", f"{ext4:.2f} times ext4's time", ext4 <= 1.3)


def disk_goals(section, source, found):
    """What does not compress, beside the disk: whichever of dd and cp onto ext4 is faster."""
    disk = max(speed(source, found, name) for name in ("dd, direct I/O", "ext4"))
    share = speed(source, found, "import") / disk
    section.goal("incompressible: >= 70% of the disk, which is the better of dd and cp onto ext4", f"{share:.0%}", share >= 0.7)
