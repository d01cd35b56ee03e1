"""Rounds: does it decay?

Each round writes 2,000 pages of 4 KiB, of bytes never seen before, at random places of a file of 1 GiB, makes them durable, and takes a
snapshot. The engine in process goes on for 1,000 rounds, the others for 100 or as many as they do in two minutes. btrfs takes its snapshots with
`btrfs subvolume snapshot -r`, XFS with `cp --reflink=always`, and ours over FUSE and NFS with `cowctl snapshot`: each costs
the start of a program, some 3 ms. Blocks of 4 KiB. Over NFS the client is a program with 16 calls in flight. Writes go through the page cache
where there is one, and the time ends with fsync or COMMIT. Bytes written are those that the device below was given.
"""
import json
import os
from statistics import median

from lab.cow import PROGRAMS, Daemon
from lab.places import Loop
from lab.results import spread
from lab.shell import have, run

NEEDS = {"mkfs.btrfs": "btrfs-progs", "mkfs.xfs": "xfsprogs"}
PAGE = 4096


def measure(section):
    rounds, others, writes, mib = section.size(20, 1000), section.size(5, 100), section.size(500, 2000), section.size(64, 1024)
    most = section.size(10, 120)
    shape = ["--writes", str(writes), "--mib", str(mib), "--seconds", str(most)]

    def played(place, words, number=others, **environment):
        device = os.path.basename(place.device)
        command = [f"{PROGRAMS}/rounds", *shape, "--rounds", str(number), "--device", device, *words]
        lines = run(command, env=os.environ | environment).splitlines()
        return [json.loads(line) for line in lines]

    found = {}
    section.settle()
    with Loop(section.work, "ext4", 18) as place:
        found["engine"] = played(place, ["engine"], rounds, COW_BENCH_DIR=place.mount)
    for front in ("FUSE", "NFS"):
        section.settle()
        with Loop(section.work, "ext4", 5) as place:
            found[f"ours over {front}"] = over(front, place, played)
    if have("mkfs.xfs", "xfsprogs"):
        section.settle()
        with Loop(section.work, "xfs", 8) as place:
            os.mkdir(f"{place.mount}/kept")
            keep = f"cp --reflink=always {place.mount}/file {place.mount}/kept/{{}}"
            found["XFS, reflink"] = played(place, ["--snapshot", keep, "file", f"{place.mount}/file"])
    if have("mkfs.btrfs", "btrfs-progs"):
        section.settle()
        with Loop(section.work, "btrfs", 8) as place:
            run(["btrfs", "subvolume", "create", f"{place.mount}/live"])
            keep = f"btrfs subvolume snapshot -r {place.mount}/live {place.mount}/kept{{}}"
            found["btrfs"] = played(place, ["--snapshot", keep, "file", f"{place.mount}/live/file"])
    show(section, found, writes)


def over(front, place, played):
    """The rounds through the daemon."""
    with Daemon(f"{place.mount}/cow") as daemon:
        daemon.ctl("create", "-o", "blocksize=4K", "rounds")
        keep = f"{PROGRAMS}/cowctl --socket {daemon.socket} snapshot rounds@{{}}"
        if front == "FUSE":
            return played(place, ["--snapshot", keep, "file", f"{daemon.mounted('rounds')}/file"])
        return played(place, ["--snapshot", keep, "nfs", f"127.0.0.1:{daemon.port}", "/rounds"])


def show(section, found, writes):
    rows, tail = [], {}
    for name, rounds in found.items():
        length = min(100, max(1, len(rounds) // 2))
        ends = {"first": rounds[:length], "last": rounds[-length:]}
        for end, part in ends.items():
            tail[name, end] = {
                "writes": median(one["writes_per_second"] for one in part),
                "snapshot": median(one["snapshot_ms"] for one in part),
                "bytes": sum(one["device_bytes"] for one in part) / (len(part) * writes * PAGE),
            }
            one = tail[name, end]
            title = f"{name}, {end} {length} of {len(rounds)}"
            rows.append([title, one["writes"], one["snapshot"], spread([r["snapshot_ms"] for r in part]), one["bytes"]])
    section.table(
        "Medians of rounds:",
        ["rounds", "writes/s", "snapshot, ms", "(least to most)", "bytes written a byte"],
        [[row[0], row[1], row[2], row[3].partition(" ")[2], row[4]] for row in rows],
    )
    section.plot("rounds-writes", "Random writes while snapshots pile up", "round", "writes/s", lines(found, "writes_per_second"), "xy")
    section.plot("rounds-snapshot", "Snapshots while snapshots pile up", "round", "snapshot, ms", lines(found, "snapshot_ms"), "xy")
    first, last = tail["engine", "first"], tail["engine", "last"]
    ratio = last["writes"] / first["writes"]
    section.goal("last 100 rounds within 10% of the first 100 in writes/s", f"{ratio:.2f} of it", ratio >= 0.9)
    ratio = last["snapshot"] / first["snapshot"]
    section.goal("... and in the snapshot's time", f"{ratio:.2f} of it", ratio <= 1.1)
    section.goal("write amplification <= 3 at the end", f"{last['bytes']:.2f}", last["bytes"] <= 3)
    if ("XFS, reflink", "last") in tail:
        xfs = tail["XFS, reflink", "last"]["writes"]
        section.goal("at least XFS's writes/s", f"{last['writes'] / xfs:.1f} times", last["writes"] >= xfs)


def lines(found, field):
    """For plots: medians of as many rounds as lie between two marks, so that few points show all."""
    marks = [1, 2, 5, 10, 20, 50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]
    drawn = {}
    for name, rounds in found.items():
        points, before = [], 0
        for mark in marks:
            part = [one[field] for one in rounds[before:mark]]
            if part:
                points.append((min(mark, len(rounds)), median(part)))
            before = mark
        drawn[name] = points
    return drawn
