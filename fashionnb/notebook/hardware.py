"""Facts about the machine of a run: processor, memory, library versions; and latency of a call.

Nothing here imports torch or pandas, except for the name of a GPU that is used.
"""

import importlib.metadata
import os
import platform
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def cores() -> int:
    """Count the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def hardware(device: str = "cpu") -> str:
    """Describe the machine in one line, such as "AMD EPYC 7B13, 2 cores, 24 GB".

    Parameters
    ----------
    device : str
        The device of torch that is used; the name of a GPU is added.
    """
    count = cores()
    parts = [_processor(), f"{count} core{'s' if count > 1 else ''}"]
    if memory := _memory_bytes():
        parts.append(f"{memory / 2**30:.0f} GB")
    if device.startswith("cuda"):
        import torch

        parts.append(torch.cuda.get_device_name(device))
    elif device != "cpu":
        parts.append(f"{device} device")
    return ", ".join(parts)


def latency(run: Callable[[], object], repeats: int = 50, warm_up: int = 10) -> list[float]:
    """Measure how long calls of a function take.

    Report the median, and the number of threads: on a machine that does other work, too, single
    calls take longer.

    Parameters
    ----------
    run : callable
        Takes no arguments.
    repeats : int
        Calls that are measured; 1 or more.
    warm_up : int
        Calls before them that are not measured, since the first ones load and allocate.

    Returns
    -------
    list of float
        Seconds of each measured call, in order.

    Raises
    ------
    ValueError
        If a number is too small.
    """
    if repeats < 1 or warm_up < 0:
        raise ValueError(
            "latency counts 1 call or more, after a warm-up of 0 or more; "
            f"got {repeats} and {warm_up}."
        )
    for _ in range(warm_up):
        run()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds


def peak_memory_mb(who: int = resource.RUSAGE_SELF) -> float:
    """Return the largest resident memory in MB that this process had so far.

    Parameters
    ----------
    who : int
        `resource.RUSAGE_CHILDREN` asks for the largest finished child process instead.
    """
    status = Path("/proc/self/status")
    # getrusage starts from the parent's memory; the peak that the kernel reports does not.
    if (
        who == resource.RUSAGE_SELF
        and status.exists()
        and (mark := re.search(r"VmHWM:\s*(\d+) kB", status.read_text()))
    ):
        return round(int(mark[1]) / 2**10, 1)
    peak = resource.getrusage(who).ru_maxrss
    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux kilobytes
    return round(peak / unit, 1)


def versions() -> dict[str, str]:
    """Collect the versions that are needed to reproduce the numbers of a run."""
    found = {"python": platform.python_version()}
    for name in ("fashionnb", "torch", "numpy", "scikit-learn"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists() and (
        model := re.search(r"^model name\s*:\s*(.+)$", listing.read_text(), re.MULTILINE)
    ):
        return " ".join(model[1].split())
    if sys.platform == "darwin":
        asked = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.stdout.strip():
            return asked.stdout.strip()
    return platform.processor() or platform.machine() or "unknown processor"


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):  # not known on this system
        return 0
