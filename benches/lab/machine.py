"""What this machine is, and how busy."""
import os
import statistics
import time

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def facts(folder):
    """Words for the machine: processor, memory, kernel, and what a flush takes in a folder."""
    with open("/proc/cpuinfo") as file:
        models = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    with open("/proc/meminfo") as file:
        gib = int(file.readline().split()[1]) / (1 << 20)
    kernel = ".".join(os.uname().release.split(".")[:2])
    return {
        "processor": models[0] if models else os.uname().machine,
        "cores": os.cpu_count(),
        "memory, GiB": round(gib),
        "kernel": f"Linux {kernel}",
        "flush of 4 KiB, ms": round(flush_seconds(folder) * 1e3, 2),
    }


def flush_seconds(folder):
    """The median time of a write of 4 KiB to a file that was written before, and its flush."""
    path = f"{folder}/flush"
    times = []
    with open(path, "wb", buffering=0) as file:
        file.write(bytes(1 << 20))
        os.fsync(file.fileno())
        for number in range(200):
            start = time.perf_counter()
            os.pwrite(file.fileno(), os.urandom(4096), number % 256 * 4096)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    os.unlink(path)
    return statistics.median(times)


def _processor_times():
    with open("/proc/stat") as file:
        fields = [int(text) for text in file.readline().split()[1:9]]
    return sum(fields), fields[3] + fields[4]


def busy_share(seconds=0.4):
    """The share of the processors' time that somebody takes just now."""
    total, idle = _processor_times()
    time.sleep(seconds)
    total_after, idle_after = _processor_times()
    return 1 - (idle_after - idle) / max(1, total_after - total)


def busy_seconds():
    """Processor time that anybody took since the start, the kernel's threads among them: over all processors, in seconds."""
    total, idle = _processor_times()
    return (total - idle) / CLOCK_TICKS


def settle(patience=20.0):
    """Writes everything back, and waits, not for ever, until nobody else is busy; returns how busy it still was."""
    os.sync()
    until = time.monotonic() + patience
    while (share := busy_share()) > 0.2 and time.monotonic() < until:
        pass
    return share


def drop_caches():
    """Lets the kernel forget what it has read."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")


def cpu_seconds(process):
    """User and system time of a living process, all threads, in seconds."""
    with open(f"/proc/{process}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def resident_mib(process, field="VmRSS"):
    """VmRSS or VmHWM of a process."""
    with open(f"/proc/{process}/status") as file:
        line = next(line for line in file if line.startswith(field))
    return int(line.split()[1]) / 1024
