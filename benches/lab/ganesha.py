"""nfs-ganesha, the peer of the NFS server: one process that exports directories of this host by NFS version 3."""
import os
import socket
import subprocess
import time

from lab.shell import Failed

NFS_PORT, MOUNT_PORT = 12_149, 12_150
PATIENCE = 30.0

CORE = """NFS_CORE_PARAM {{
    NFS_Protocols = 3; NFS_Port = {port}; MNT_Port = {mount_port};
    Enable_NLM = false; Enable_RQUOTA = false; Bind_addr = {address}; Enable_UDP = none;
}}
LOG {{ Default_Log_Level = WARN; }}
"""
EXPORT = """EXPORT {{
    Export_Id = {number}; Path = {path}; Pseudo = /e{number}; Protocols = 3; Transports = TCP;
    Access_Type = RW; Squash = No_Root_Squash; SecType = sys; FSAL {{ Name = VFS; }}
}}
"""


class Ganesha:
    """Serves directories at an address of this host until left. `port` is of NFS, `mount_port` of MOUNT, `process` its number."""

    def __init__(self, work, exports, address="127.0.0.1"):
        self.work, self.exports, self.address = work, exports, address
        self.port, self.mount_port = NFS_PORT, MOUNT_PORT
        self.child, self.rpcbind = None, None

    def __enter__(self):
        exports = [EXPORT.format(number=number + 1, path=path) for number, path in enumerate(self.exports)]
        with open(f"{self.work}/ganesha.conf", "w") as file:
            file.write(CORE.format(port=NFS_PORT, mount_port=MOUNT_PORT, address=self.address) + "".join(exports))
        # It wants to be known to an rpcbind, and ends without one.
        for folder in ("/run/ganesha", "/var/lib/nfs/ganesha", "/run/rpcbind"):
            os.makedirs(folder, exist_ok=True)
        try:
            if not listens(111):
                # With -h 127.0.0.1 it aborts; it listens there anyway.
                self.rpcbind = spawn(["rpcbind", "-f", "-w", "-h", "127.0.0.2"])
                self._await(111, self.rpcbind)
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        """Starts it, and waits until it serves."""
        log = f"{self.work}/ganesha.log"
        files = ["-f", f"{self.work}/ganesha.conf", "-L", log, "-p", f"{self.work}/ganesha.pid"]
        self.child = spawn(["ganesha.nfsd", "-F", *files, "-N", "NIV_WARN"])
        self._await(NFS_PORT, self.child, self.address)
        self._await(MOUNT_PORT, self.child, self.address)
        self.process = self.child.pid

    def _await(self, port, child, address="127.0.0.1"):
        until = time.monotonic() + PATIENCE
        while not listens(port, address):
            if child.poll() is not None or time.monotonic() > until:
                raise Failed(f"{child.args[0]} does not serve; {self.work}/ganesha.log may say why:\n{self._log()}")
            time.sleep(0.05)

    def _log(self):
        try:
            with open(f"{self.work}/ganesha.log") as file:
                return file.read()[-2000:]
        except OSError:
            return ""

    def stop(self):
        """Ends it."""
        end(self.child)

    def __exit__(self, *_):
        end(self.child)
        end(self.rpcbind)


def spawn(command):
    environment = os.environ | {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def end(child):
    if child is None or child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(15)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def listens(port, address="127.0.0.1"):
    try:
        socket.create_connection((address, port), 0.5).close()
        return True
    except OSError:
        return False
