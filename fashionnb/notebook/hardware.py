"""What a number was measured on: the processor, the libraries, the memory that was needed; and how long a call takes.

Small facts for `fashionnb.notebook.results` and `fashionnb.publishing.runner`; nothing here depends on torch or pandas.
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
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def hardware(device: str = "cpu") -> str:
    """The machine in one line, for instance "AMD EPYC 7B13, 2 cores, 24 GB"; with the GPU's name where one is used."""
    parts = [_processor(), f"{(count := cores())} core{'s' if count > 1 else ''}"]
    if memory := _memory_bytes():
        parts.append(f"{memory / 2**30:.0f} GB")
    if device.startswith("cuda"):
        import torch

        parts.append(torch.cuda.get_device_name(device))
    elif device != "cpu":
        parts.append(f"{device} device")
    return ", ".join(parts)


def latency(run: Callable[[], object], repeats: int = 50, warm_up: int = 10) -> list[float]:
    """The seconds that each of `repeats` calls of `run` took, in order. Introduced in chapter 05.

    Before them come `warm_up` calls that are not counted, since the first ones load and arrange things. Report the
    median, and with how many threads: on a machine that does other things too, single calls are late, never early.

    Raises
    ------
    ValueError : no repeats, or a warm-up of fewer than no calls.
    """
    if repeats < 1 or warm_up < 0:
        raise ValueError(
            f"latency counts 1 call or more, after a warm-up of 0 or more; got {repeats} and {warm_up}."
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
    """The most memory (MB, resident) that this process held so far; `RUSAGE_CHILDREN`: its largest finished child."""
    status = Path("/proc/self/status")
    # getrusage begins with what the parent held when it started us; the kernel's own high-water mark does not.
    if (
        who == resource.RUSAGE_SELF
        and status.exists()
        and (mark := re.search(r"VmHWM:\s*(\d+) kB", status.read_text()))
    ):
        return round(int(mark[1]) / 2**10, 1)
    peak = resource.getrusage(who).ru_maxrss
    return round(
        peak / 2**20 if sys.platform == "darwin" else peak / 2**10, 1
    )  # macOS counts bytes, Linux kilobytes


def versions() -> dict[str, str]:
    """The versions that a reader would need to see the same numbers again."""
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
    except (ValueError, OSError):  # a system that does not tell
        return 0
