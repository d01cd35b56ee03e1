"""A guest on this host, whose kernel mounts what a server exports: user-mode Linux, as tests/guest boots it.

It is a process with this host's root file system, and a network of its own to ADDRESS, where the servers listen. What it does
is a case: a file of benches/guest, which finds what was set for it as variables of the shell, and beside them what tests/guest/lib has.
"""
import os
import shlex
import shutil
import signal
import subprocess

from lab.shell import Failed, run

ADDRESS, TAP = "198.51.100.1", "cow-bench"
HERE = os.path.abspath(f"{os.path.dirname(__file__)}/../..")
MEMORY_MIB = 2048
NEEDS = {"linux.uml": "user-mode-linux", "mount.nfs": "nfs-common", "depmod": "kmod", "ip": "iproute2"}


class Network:
    """The wire between this host and its guests, until left."""

    def __enter__(self):
        self.__exit__()
        try:
            run(["ip", "tuntap", "add", TAP, "mode", "tap"])
            run(["ip", "address", "add", f"{ADDRESS}/24", "dev", TAP])
            run(["ip", "link", "set", TAP, "up"])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "link", "delete", TAP], capture_output=True, check=False)


class Guest:
    """Boots guests that play a case. `work` is a directory for what they need; it has to be on this host's root file system."""

    def __init__(self, work):
        self.folder, self.home, self.programs = f"{work}/guest", f"{work}/guest-home", f"{work}/guest-programs"
        self.cache, self.kernel = run([f"{HERE}/tests/guest/prepare"], stderr=None).split()
        shutil.copytree(f"{HERE}/tests/guest", self.home)
        shutil.copytree(f"{HERE}/benches/guest", f"{self.home}/cases", dirs_exist_ok=True)
        os.mkdir(self.programs)

    def play(self, case, seconds_max, **settings):
        """Boots a guest, which plays a case and ends; returns what it reported."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(f"{self.folder}/1/uml")
        settings = {"full": 1, "client": "nfs", "server": ADDRESS} | settings
        self._write("settings", "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in settings.items()))
        self._write("case", f"{case}\n")
        with open(f"{self.folder}/1/console", "wb") as console:
            child = subprocess.Popen(
                self._command(),
                cwd=f"{self.cache}/{self.kernel}",
                env=os.environ | {"TMPDIR": "/dev/shm"},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        try:
            child.wait(seconds_max)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # It is several processes.
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        if not os.path.exists(f"{self.folder}/passed"):
            raise Failed(f"the guest's case {case} failed:\n{self._read('1/console')}\n{self._read('1/log')}")
        return self._read("1/summary")

    def _command(self):
        with open(f"{self.cache}/{self.kernel}/arguments") as file:
            arguments = file.read().split()
        places = {"folder": self.folder, "home": self.home, "programs": self.programs, "cache": self.cache}
        arguments += [f"guest.{name}={path}" for name, path in places.items()]
        arguments += [f"guest.kernel={self.kernel}", "guest.number=1", f"mem={MEMORY_MIB}M"]
        arguments += ["rootfstype=hostfs", "rootflags=/", "rw", f"init={self.home}/init", "con0=null,fd:1", "con=null", "ssl=null", "quiet"]
        wire = f"vec0:transport=tap,ifname={TAP},depth=256,gro=1,mac=02:00:00:00:00:11"
        # As tests/guest/stage says: some of these kernels do not start where addresses are randomised, or by another loader.
        start = ["setpriv", "--pdeathsig", "KILL", "setarch", "-R", "env", "LD_LIBRARY_PATH=.", "./linux.uml"]
        return [*start, *arguments, wire, f"uml_dir={self.folder}/1/uml", "umid=guest"]

    def _write(self, name, text):
        with open(f"{self.folder}/{name}", "w") as file:
            file.write(text)

    def _read(self, name):
        try:
            with open(f"{self.folder}/{name}", errors="replace") as file:
                return file.read()[-3000:]
        except OSError:
            return ""
