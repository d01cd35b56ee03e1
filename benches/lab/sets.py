"""Sets of files to copy: a database's cluster, a tree of small files, and bytes that nothing compresses. All by seed."""
import glob
import os
import random
import shutil

from lab.shell import run, script

CLUSTER = """
shared_buffers = 256MB
max_wal_size = 256MB
min_wal_size = 80MB
listen_addresses = ''
fsync = off
synchronous_commit = off
autovacuum = off
"""
PAGE = 8192
# A file of the tree is of this many bytes in the middle, and so much wider spread, at most 1 MiB.
TREE_MEDIAN, TREE_SPREAD, TREE_MAX = 4400, 1.42, 1 << 20


def size(folder):
    """How many files are below a folder, and their bytes."""
    paths = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]
    return len(paths), sum(os.lstat(path).st_size for path in paths)


def warm(folder):
    """Reads a set into the page cache."""
    script(f"find {folder}/ -type f -print0 | xargs -0 cat >/dev/null")


class Postgres:
    """Clusters of PostgreSQL in `work`, run by the user postgres."""

    def __init__(self, work):
        self.work, self.socket = work, f"{work}/socket"
        self.programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        os.mkdir(self.socket)
        shutil.chown(self.socket, "postgres")

    def _do(self, command):
        given = f"export PATH={self.programs}:$PATH PGHOST={self.socket}; cd {self.socket}; {command}"
        run(["runuser", "-u", "postgres", "--", "bash", "-euc", given])

    def _running(self, folder, command):
        begin, end = f"pg_ctl -D {folder} -w -t 120", f"-o '-k {self.socket}' -l {self.socket}/log start"
        self._do(f"{begin} {end}; trap '{begin} -m fast stop' EXIT; {command}")

    def made(self, name, scale):
        """A cluster of pgbench's tables, some 15 MB for each of `scale`; stopped."""
        folder = f"{self.work}/{name}"
        os.mkdir(folder)
        shutil.chown(folder, "postgres")
        self._do(f"initdb -D {folder} -k --no-sync -A trust")
        with open(f"{folder}/postgresql.conf", "a") as file:
            file.write(CLUSTER)
        self._running(folder, f"pgbench -i -q -s {scale} postgres; psql -qc checkpoint postgres")
        return folder

    def changed(self, folder, name, transactions):
        """A copy of a cluster after so many of pgbench's transactions; stopped."""
        copy = f"{self.work}/{name}"
        run(["cp", "-a", folder, copy])
        pgbench = f"pgbench -n -c 4 -j 2 -t {transactions // 4} --random-seed=1 postgres"
        self._running(copy, pgbench)
        return copy


def changed_bytes(before, after):
    """Bytes of the pages of 8 KiB below `after` that are not at the same place below `before`."""
    changed = 0
    for at, _, names in os.walk(after):
        for name in names:
            path = os.path.join(at, name)
            old = os.path.join(before, os.path.relpath(path, after))
            changed += _changed_in(old if os.path.exists(old) else os.devnull, path)
    return changed


def _changed_in(before, after):
    changed = 0
    with open(before, "rb") as old, open(after, "rb") as new:
        while piece := new.read(PAGE * 128):
            other = old.read(len(piece))
            if piece != other:
                pages = range(0, len(piece), PAGE)
                changed += sum(len(piece[at : at + PAGE]) for at in pages if piece[at : at + PAGE] != other[at : at + PAGE])
    return changed


def tree(folder, files, seed=1):
    """A tree as of sources: text in most files, of a few KiB mostly, and bytes that nothing compresses in one of eight."""
    chance = random.Random(seed)
    lines = _lines(chance, 60_000)
    for number in range(files):
        place = f"{folder}/{number // 1000:03}/{number // 25 % 40:02}"
        if number % 25 == 0:
            os.makedirs(place)
        length = min(TREE_MAX, int(chance.lognormvariate(0, TREE_SPREAD) * TREE_MEDIAN) + 1)
        if number % 8 == 7:
            content = chance.randbytes(length)
        else:
            content = b"".join(chance.choices(lines, k=length // 36 + 1))[:length]
        with open(f"{place}/{number:06}.rs", "wb", buffering=0) as file:
            file.write(content)
    return folder


def _lines(chance, count):
    """Lines that no two files have in the same order: words, the common ones far more often, names and numbers."""
    words = ["".join(chance.choices("etaoinsrhldcumfpgwybvk", k=chance.randint(2, 9))) for _ in range(4000)]
    weights = [1 / (rank + 4) for rank in range(len(words))]
    lines = []
    for _ in range(count):
        found = chance.choices(words, weights, k=chance.randint(2, 9))
        if chance.random() < 0.5:
            found.append(f"{chance.getrandbits(32):x}")
        lines.append((" " * 4 * chance.randint(0, 3) + chance.choice([" ", "_", "(", ", ", "."]).join(found) + ";\n").encode())
    return lines


def incompressible(folder, files, mebibytes, seed=2):
    """Files of so many MiB each, of random bytes."""
    chance = random.Random(seed)
    os.mkdir(folder)
    for number in range(files):
        with open(f"{folder}/{number}.bin", "wb", buffering=0) as file:
            for _ in range(mebibytes):
                file.write(chance.randbytes(1 << 20))
    return folder
