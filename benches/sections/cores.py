"""One core and two.

The same work with all of it, clients too, on one processor (`taskset -c 0`) and on two. Hash and compress: a file of 1 GiB of database pages is
imported, in process, into an empty dataset with blocks of 8 KiB. Hash: it is imported into another dataset, where all of it is found again. NFS: a
client reads a file of 256 MiB that the daemon has in its caches, at random places in calls of 8 KiB, and in order in calls of 1 MiB, 16 in flight; client and server share the processors.
"""
import json
import os
from statistics import median

from lab.cow import PROGRAMS, Daemon
from lab.places import Loop
from lab.results import spread
from lab.shell import run

NEEDS = {}


def measure(section):
    if (os.cpu_count() or 1) < 2:
        section.remark("There is one core only: left out.")
        return
    source = f"{section.work}/source"
    os.mkdir(source)
    run([f"{PROGRAMS}/bench-data", "database", str(section.size(64, 1024)), f"{source}/pages"])

    def case(cores):
        return lambda: ingest(section, source, cores) | reads(section, cores)

    found = section.interleaved(section.size(1, 3), {1: case("0"), 2: case("0,1")})
    rows = []
    for what in found[1][0]:
        speeds = {cores: [one[what] for one in runs] for cores, runs in found.items()}
        ratio = median(speeds[2]) / median(speeds[1])
        rows.append([f"{what}, MB/s", spread(speeds[1]), spread(speeds[2]), f"{ratio:.2f}"])
        section.goal(f"{what} scales >= 1.7 times to two cores", f"{ratio:.2f}", ratio >= 1.7)
    section.table("Speed:", ["what", "one core", "two", "ratio"], rows)


def ingest(section, source, cores):
    with Loop(section.work, "ext4", section.size(2, 4)) as place:
        sizes = ["--block", "8192", "--extent", "32768"]
        run(["bash", "-c", f"cat {source}/* >/dev/null"])
        command = ["taskset", "-c", cores, f"{PROGRAMS}/engine-ingest", *sizes, source, source]
        lines = run(command, env=os.environ | {"COW_BENCH_DIR": place.mount}).splitlines()
        first, second = (json.loads(line) for line in lines)
        return {name: one["bytes"] / 1e6 / one["seconds"] for name, one in (("hash and compress", first), ("hash", second))}


def reads(section, cores):
    mib, seconds = section.size(32, 256), section.size(1, 5)
    with Loop(section.work, "ext4", 2) as place, Daemon(f"{place.mount}/cow") as daemon:
        daemon.ctl("create", "--profile", "postgres", "read")
        run(["taskset", "-a", "-p", "-c", cores, str(daemon.process)])
        server = f"server=127.0.0.1:{daemon.port}", f"mount={daemon.port}", "export=/read", f"mib={mib}"
        load = ["taskset", "-c", cores, f"{PROGRAMS}/nfs-load"]
        run([*load, "write", *server, "depth=16"])
        found = {}
        for name, row in (("NFS reads of 8 KiB", "random-read"), ("NFS reads in order", "read")):
            # Once before, so that all is in the daemon's caches.
            run([*load, "read", *server, "depth=16"])
            one = json.loads(run([*load, row, *server, "depth=16", f"seconds={seconds}"]))
            found[name] = one["bytes"] / 1e6 / one["seconds"]
        return found
