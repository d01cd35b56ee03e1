"""PostgreSQL at work on a clone that is mounted by NFS.

A guest kernel on this host (user-mode Linux, 2 GiB) mounts a clone of a cluster of PostgreSQL 15 by NFS version 3 (`hard`, `nolock`) and works on it with pgbench: scale 50, 8
clients, a minute a run, all else as Debian has it. The server is this host's cowd, which exports a clone of a dataset's snapshot (profile `postgres`), or nfs-ganesha 4.3
(VFS), which exports a snapshot of a subvolume of btrfs; both have their data on a loop device with direct I/O. Each run has a new clone, which no cache knows, and a newly booted
guest; after the start, CHECKPOINT; then the minute. The guest, PostgreSQL and the server share the cores. A system call takes such a guest many times
as long as a machine, so what counts is the one beside the other. The last column is what the server's process took of the processors.
"""
import contextlib
import os
import statistics
from contextlib import ExitStack

from lab import cow, guest, machine
from lab.ganesha import Ganesha
from lab.places import Loop
from lab.results import spread
from lab.shell import run
from sections.pgbench import CLIENTS, Ours, Peer, made, socket_folder

NEEDS = {"postgres": "postgresql", "mkfs.btrfs": "btrfs-progs", "ganesha.nfsd": "nfs-ganesha-vfs", "rpcbind": "rpcbind"} | guest.NEEDS

NFS, GANESHA = "cow, clone", "Ganesha, btrfs snapshot"


@contextlib.contextmanager
def mounted(peer, path):
    """The clone of a btrfs, mounted at a place of its own."""
    os.makedirs(path, exist_ok=True)
    run(["mount", "-t", "btrfs", "-o", "noatime,subvol=clone", peer.loop.device, path])
    try:
        yield path
    finally:
        run(["umount", path])


def measure(section):
    """The section; see the module's words."""
    seconds, gib = section.size(3, 60), section.size(1, 4)
    socket = socket_folder(section)
    cluster = made(section, socket)
    machines = guest.Guest(section.work)
    configuration = f'[exports]\nrules = ["{guest.ADDRESS}/24 rw no_root_squash"]\n'
    with ExitStack() as stack:
        stack.enter_context(guest.Network())
        own = stack.enter_context(Loop(section.work, "ext4", gib + 2))
        daemon = stack.enter_context(cow.Daemon(f"{own.mount}/cow", configuration, guest.ADDRESS))
        ours = Ours(daemon, cluster)
        peer = Peer(stack.enter_context(Loop(section.work, "btrfs", gib)), cluster)

        def played(server, mount_port, export):
            machine.drop_caches()
            before = machine.cpu_seconds(server.process)
            settings = {"port": server.port, "mount_port": mount_port, "export": export}
            rate = machines.play("pgbench", seconds + 240, seconds=seconds, clients=CLIENTS, **settings)
            return float(rate), (machine.cpu_seconds(server.process) - before) / seconds

        def by_cow():
            with ours.clone():
                return played(daemon, daemon.port, "/clone")

        def by_ganesha():
            # It exports what is mounted, not a subvolume in it.
            with peer.clone(), mounted(peer, f"{section.work}/export") as export:
                with Ganesha(section.work, [export], guest.ADDRESS) as ganesha:
                    return played(ganesha, ganesha.mount_port, export)

        found = section.interleaved(section.size(1, 3), {NFS: by_cow, GANESHA: by_ganesha})
    columns = ["server", "transactions a second", "server, processors"]
    rows = [[name, spread([rate for rate, _ in runs]), spread([cpu for _, cpu in runs])] for name, runs in found.items()]
    section.table(f"pgbench in a guest, {CLIENTS} clients", columns, rows)
    rate = {name: statistics.median(rate for rate, _ in runs) for name, runs in found.items()}
    section.goal("ahead of Ganesha on btrfs", f"{rate[NFS] / rate[GANESHA]:.2f} times", rate[NFS] > rate[GANESHA])
