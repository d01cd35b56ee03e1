"""Programs that keep copies in a repository of their own: restic, borg and casync. Nothing is encrypted where that can be left out."""
import os

from lab.shell import run


class Archive:
    """A repository of a kind, `restic`, `borg lz4`, `borg zstd,3` or `casync`, in a folder of a Loop, with its caches beside the mount."""

    def __init__(self, kind, loop):
        self.kind, _, self.compression = kind.partition(" ")
        self.loop, self.repository = loop, f"{loop.mount}/repository"
        self.environment = os.environ | {
            "RESTIC_REPOSITORY": self.repository,
            "RESTIC_PASSWORD": "none",
            "RESTIC_CACHE_DIR": f"{loop.folder}/cache",
            "BORG_BASE_DIR": f"{loop.folder}/borg",
            "BORG_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        }
        os.mkdir(self.repository)
        make = {"restic": "restic init", "borg": "borg init -e none " + self.repository, "casync": "true"}[self.kind]
        run(make.split(), env=self.environment)

    def add(self, folder, name):
        """Keeps what is in a folder, durably. What was kept from a folder of the same path is compared by size and time, not by inode."""
        keep = {
            "restic": "restic backup -q --ignore-inode --ignore-ctime .",
            "borg": f"borg create --noatime --files-cache=mtime,size -C {self.compression} {self.repository}::{name} .",
            "casync": f"casync make --store={self.repository}/store.castr {self.repository}/{name}.caidx . >/dev/null",
        }[self.kind]
        command = f"cd {folder}; {keep}; sync -f {self.repository}"
        run(["bash", "-euo", "pipefail", "-c", command], env=self.environment)
