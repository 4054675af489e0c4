"""Facts about the machine of a run: processor, memory, library versions; and latency of a call.

Nothing here imports torch or pandas, except for the name of a GPU that is used.
"""

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import timeit
from collections.abc import Callable
from pathlib import Path

import fashionnb
from fashionnb.profiles import cores


def hardware(device: str = "cpu") -> str:
    """Describe the hardware of this machine in one line: processor, cores, memory, GPU.

    Parameters
    ----------
    device : str
        The device of torch that is used; the name of a GPU is added.

    Returns
    -------
    str
        For instance "AMD EPYC 7B13, 2 cores, 24 GB".
    """
    count = cores()
    memory = f"{_memory_bytes() / 2**30:.0f} GB"
    parts = [_processor(), f"{count} core{'s' if count > 1 else ''}", memory]
    if device.startswith("cuda"):
        import torch

        parts.append(torch.cuda.get_device_name(device))
    elif device != "cpu":
        parts.append(f"{device} device")
    return ", ".join(parts)


def latency(run: Callable[[], object], repeats: int = 50, warm_up: int = 10) -> list[float]:
    """Measure how long calls of a function take on this hardware.

    Report the median, and the number of threads: on a machine that does other work, too, single
    calls take longer.

    Parameters
    ----------
    run : callable
        Takes no arguments.
    repeats : int
        Calls that are measured.
    warm_up : int
        Calls before them that are not measured, since the first ones load and allocate.

    Returns
    -------
    list of float
        The seconds of each measured call, in order.
    """
    return timeit.repeat(run, number=1, repeat=warm_up + repeats)[warm_up:]


def peak_memory_mb(children: bool = False) -> float:
    """Measure the largest resident memory that this process had on this machine so far.

    Parameters
    ----------
    children : bool
        Measure the largest finished child process instead.

    Returns
    -------
    float
        In MB (2**20 bytes). Windows does not know it of finished processes: 0.
    """
    status = Path("/proc/self/status")
    # getrusage starts from the parent's memory; the peak that the kernel reports does not.
    if (
        not children
        and status.exists()
        and (mark := re.search(r"VmHWM:\s*(\d+) kB", status.read_text("utf-8")))
    ):
        return round(int(mark[1]) / 2**10, 1)
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return 0.0 if children else round(psutil.Process().memory_info().peak_wset / 2**20, 1)
    peak = resource.getrusage(
        resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF
    ).ru_maxrss
    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux kilobytes
    return round(peak / unit, 1)


def versions() -> dict[str, str]:
    """List the library versions that are recorded, like the hardware, with the results of a run.

    Returns
    -------
    dict of str to str
        Name -> version, of Python, fashionnb and the libraries that compute.
    """
    libraries = {
        name: importlib.metadata.version(name) for name in ("torch", "numpy", "scikit-learn")
    }
    return {"python": platform.python_version(), "fashionnb": fashionnb.__version__, **libraries}


def _memory_bytes() -> int:
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    import psutil

    return psutil.virtual_memory().total


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists() and (
        model := re.search(r"^model name\s*:\s*(.+)$", listing.read_text("utf-8"), re.MULTILINE)
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
