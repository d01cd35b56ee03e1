"""PostgreSQL at work on a clone.

PostgreSQL 15 with a database of pgbench of scale 50 and 8 clients for a minute a run, all else as Debian has it (`fsync`, `full_page_writes` and
`synchronous_commit` are on). Its cluster is cloned while it is stopped: by a clone of a dataset's snapshot (profile `postgres`) that is mounted with
FUSE, by `cp --reflink=always` on XFS, by a snapshot of its subvolume on btrfs; on ext4, for comparison, it is used itself. Each run
has a new clone, which no cache knows; after the start, CHECKPOINT; then the minute. Beside transactions a second stands what
the daemon took of the processors.
"""
import contextlib
import glob
import os
import statistics
from contextlib import ExitStack

from lab import cow, machine
from lab.places import Loop
from lab.results import spread
from lab.shell import Failed, run, script

NEEDS = {"postgres": "postgresql", "mkfs.xfs": "xfsprogs", "mkfs.btrfs": "btrfs-progs"}

FUSE = "cow, clone over FUSE"
PEERS = {"xfs": "XFS reflink clone", "btrfs": "btrfs snapshot", "ext4": "ext4, in place"}
CLIENTS = 8


def postgres(command):
    """Runs a shell's words as the user postgres, with PostgreSQL's programs."""
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not programs:
        raise Failed("PostgreSQL is not installed")
    setting = f"PATH={programs[-1]}:$PATH; cd /tmp; "
    return run(["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "bash", "-euc", setting + command])


@contextlib.contextmanager
def started(folder, socket):
    """A server on a cluster, reached through the directory `socket`; it has ended when this is left."""
    options = f"-k {socket} -c listen_addresses="
    postgres(f"pg_ctl -D {folder} -l {socket}/log -w -t 120 -o '{options}' start || {{ tail {socket}/log; exit 1; }}")
    try:
        yield
    finally:
        postgres(f"pg_ctl -D {folder} -m fast -w -t 120 stop")


def socket_folder(section):
    """Where PostgreSQL's servers listen."""
    socket = f"{section.work}/socket"
    os.mkdir(socket)
    run(["chown", "postgres:", socket])
    return socket


def made(section, socket):
    """A cluster with a database of pgbench, stopped."""
    folder = f"{section.work}/cluster"
    os.mkdir(folder, 0o700)
    run(["chown", "postgres:", folder])
    postgres(f"initdb -D {folder} --auth=trust --no-instructions")
    with started(folder, socket):
        postgres(f"pgbench -h {socket} -i -q -s {section.size(2, 50)} postgres")
        postgres(f"psql -h {socket} -qc 'vacuum analyze' -c checkpoint postgres")
    return folder


def transactions(folder, socket, seconds):
    """Transactions a second on a cluster."""
    with started(folder, socket):
        postgres(f"psql -h {socket} -qc checkpoint postgres")
        said = postgres(f"pgbench -h {socket} -n -c {CLIENTS} -j 2 -T {seconds} postgres")
    return next(float(line.split()[2]) for line in said.splitlines() if line.startswith("tps = "))


class Peer:
    """A file system with the cluster, and clones of it."""

    def __init__(self, loop, cluster):
        self.loop, self.origin, self.cloned = loop, f"{loop.mount}/origin", f"{loop.mount}/clone"
        if loop.kind == "btrfs":
            run(["btrfs", "subvolume", "create", self.origin])
        else:
            os.mkdir(self.origin)
        run(["cp", "-a", cluster, f"{self.origin}/data"])
        loop.sync()

    @contextlib.contextmanager
    def clone(self):
        """A cluster to work on, for as long as it is."""
        if self.loop.kind == "ext4":
            yield f"{self.origin}/data"
            return
        if self.loop.kind == "btrfs":
            run(["btrfs", "subvolume", "snapshot", self.origin, self.cloned])
        else:
            run(["cp", "-a", "--reflink=always", self.origin, self.cloned])
        self.loop.sync()
        yield f"{self.cloned}/data"
        if self.loop.kind == "btrfs":
            run(["btrfs", "subvolume", "delete", "-c", self.cloned])
            run(["btrfs", "subvolume", "sync", self.loop.mount])
        else:
            run(["rm", "-r", self.cloned])


class Ours:
    """The same as a dataset, its snapshot, and clones of that."""

    def __init__(self, daemon, cluster):
        self.daemon = daemon
        daemon.ctl("create", "--profile", "postgres", "origin")
        mount = daemon.mounted("origin")
        run(["cp", "-a", cluster, f"{mount}/data"])
        daemon.unmounted(mount)
        daemon.ctl("snapshot", "origin@made")

    @contextlib.contextmanager
    def clone(self):
        """A cluster to work on, for as long as it is."""
        self.daemon.ctl("clone", "origin@made", "clone")
        mount = self.daemon.mounted("clone")
        yield f"{mount}/data"
        self.daemon.unmounted(mount)
        self.daemon.ctl("destroy", "--now", "--yes", "clone")


def measure(section):
    """The section; see the module's words."""
    seconds, gib = section.size(3, 60), section.size(1, 4)
    socket = socket_folder(section)
    cluster = made(section, socket)
    with ExitStack() as stack:
        own = stack.enter_context(Loop(section.work, "ext4", gib + 2))
        daemon = stack.enter_context(cow.Daemon(f"{own.mount}/cow"))
        places = {FUSE: Ours(daemon, cluster)}
        for kind, name in PEERS.items():
            places[name] = Peer(stack.enter_context(Loop(section.work, kind, gib)), cluster)
        script(f"rm -r {cluster}")

        def case(place):
            before = daemon.cpu_seconds()
            with place.clone() as folder:
                machine.drop_caches()
                rate = transactions(folder, socket, seconds)
            return rate, (daemon.cpu_seconds() - before) / seconds

        cases = {name: lambda place=place: case(place) for name, place in places.items()}
        found = section.interleaved(section.size(1, 3), cases)
    report(section, found)


def report(section, found):
    """The table and the goal."""
    columns = ["cluster", "transactions a second", "daemon, processors"]
    rows = []
    for name, runs in found.items():
        rows.append([name, spread([rate for rate, _ in runs]), spread([cpu for _, cpu in runs]) if name == FUSE else ""])
    section.table(f"pgbench, {CLIENTS} clients", columns, rows)
    rate = {name: statistics.median(rate for rate, _ in runs) for name, runs in found.items()}
    share = rate[FUSE] / rate[PEERS["xfs"]]
    section.goal("at least 80% of the transactions of an XFS reflink clone", f"{share:.0%}", share >= 0.8)
