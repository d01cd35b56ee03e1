"""File systems to measure on: each on a loop device with direct I/O, so that all pay alike for the loop, and gone when left."""
import os
import shutil
import tempfile
import time

from lab.shell import Failed, run

MAKE = {
    "btrfs": ["mkfs.btrfs", "-q", "-f", "-K"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-K", "-m", "reflink=1"],
    "ext4": ["mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"],
}
OPTIONS = {"btrfs": "noatime,nodiscard", "xfs": "noatime", "ext4": "noatime"}


class Loop:
    """A file system of a kind with mount options, in a preallocated image in `work`. `mount` is where it is, `device` what below."""

    def __init__(self, work, kind, gib, options=""):
        self.work, self.kind, self.gib = work, kind, gib
        self.options = OPTIONS[kind] + ("," + options if options else "")

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix=f"{self.kind}-", dir=self.work)
        # What is measured may run as a user of its own.
        os.chmod(self.folder, 0o755)
        self.image, self.mount, self.device = f"{self.folder}/image", f"{self.folder}/mount", None
        try:
            os.mkdir(self.mount)
            run(["fallocate", "-l", f"{self.gib}G", self.image])
            self.device = run(["losetup", "--direct-io=on", "-f", "--show", self.image]).strip()
            run([*MAKE[self.kind], self.device])
            self._mount()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for _ in range(50):
            if not os.path.ismount(self.mount):
                break
            try:
                run(["umount", self.mount])
            except Failed:
                # A cleaner of the file system's own, or what is only just ending, holds it for a moment.
                time.sleep(0.2)
        if self.device:
            run(["losetup", "-d", self.device])
        shutil.rmtree(self.folder, ignore_errors=True)

    def _mount(self):
        run(["mount", "-t", self.kind, "-o", self.options, self.device, self.mount])

    def remount(self):
        """Mounts it anew: what is read next comes from the device."""
        run(["umount", self.mount])
        self._mount()

    def sync(self):
        """Makes everything durable."""
        run(["sync", "-f", self.mount])

    def used(self):
        """Bytes in use once everything is durable."""
        if self.kind == "btrfs":
            run(["btrfs", "filesystem", "sync", self.mount])
            usage = run(["btrfs", "filesystem", "usage", "-b", self.mount]).splitlines()
            return int(next(line.split()[1] for line in usage if line.strip().startswith("Used:")))
        self.sync()
        found = os.statvfs(self.mount)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def written(self):
        """Bytes that were written to the device so far."""
        return device_bytes_written(os.path.basename(self.device))


def device_bytes_written(name):
    """Bytes written to a block device since it was made, by the kernel's count."""
    with open(f"/sys/block/{name}/stat") as file:
        return int(file.read().split()[6]) * 512
