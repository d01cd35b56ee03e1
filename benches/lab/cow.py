"""The daemon, as its users run it: a release build in a process of its own, its pool on a file system made for it."""
import contextlib
import http.client
import json
import os
import socket
import subprocess
import time

from lab import machine
from lab.shell import Failed, run

PROGRAMS = os.path.abspath(f"{os.path.dirname(__file__)}/../../target/release")


class Daemon:
    """cowd on a free port of an address, with its pool in `folder`/pool, until left. `port` is of NFS, `process` its number."""

    def __init__(self, folder, configuration="", address="127.0.0.1"):
        self.folder, self.configuration, self.address = folder, configuration, address
        self.socket = f"{folder}/control.sock"
        self.mounts, self.child = [], None

    def __enter__(self):
        os.makedirs(self.folder, exist_ok=True)
        with open(f"{self.folder}/cowd.toml", "w") as file:
            file.write(self.configuration)
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        """Starts it, and waits until it serves; returns the seconds until then."""
        flags = ["--config", f"{self.folder}/cowd.toml", "--pool", f"{self.folder}/pool"]
        flags += ["--nfs", f"{self.address}:0", "--control", self.socket]
        began = time.perf_counter()
        with open(f"{self.folder}/log", "a") as log:
            command = [f"{PROGRAMS}/cowd", *flags]
            self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        for line in self.child.stdout:
            if line.startswith("cowd: nfs "):
                self.port = int(line.rsplit(":", 1)[1])
            if line.strip() == "cowd: ready":
                self.process = self.child.pid
                return time.perf_counter() - began
        with open(f"{self.folder}/log") as log:
            raise Failed(f"cowd does not start:\n{log.read()}")

    def stop(self):
        """Ends it as a service manager does."""
        self.child.terminate()
        self.child.wait()

    def __exit__(self, *_):
        for path in self.mounts:
            subprocess.run(["umount", path], capture_output=True, check=False)
        if self.child:
            self.stop()

    def ctl(self, *words):
        """What a cowctl verb prints."""
        return run([f"{PROGRAMS}/cowctl", "--socket", self.socket, *words])

    def asked(self, *words):
        """What a cowctl verb answers as JSON."""
        return json.loads(self.ctl("--json", *words))["data"]

    def metrics(self):
        """What it counts: {name: number}, of those without labels."""
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        with contextlib.closing(connection):
            connection.sock.connect(self.socket)
            connection.request("GET", "/metrics")
            lines = connection.getresponse().read().decode().splitlines()
        return {line.split()[0]: float(line.split()[1]) for line in lines if not line.startswith("#") and "{" not in line}

    def mounted(self, name):
        """Mounts a dataset or snapshot with FUSE; returns where."""
        path = f"{self.folder}/mounts/{name.replace('/', '_')}"
        os.makedirs(path, exist_ok=True)
        self.ctl("mount", "--allow-other", name, path)
        self.mounts.append(path)
        return path

    def unmounted(self, path):
        """Ends such a mount."""
        self.ctl("umount", path)
        self.mounts.remove(path)

    def cpu_seconds(self):
        """Processor time that it took so far."""
        return machine.cpu_seconds(self.process)
