"""How much a run computes and on which device: the profiles `quick`, `standard` and `full`.

A chapter begins with `run = profiles.begin(profile, device=device, seed=seed)`, and then takes each
number that depends on the profile as `epochs = run.pick(epochs, quick=1, standard=4, full=40)`.
The device is a choice of its own; the precision follows from it.
"""

import logging
import os
import re
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from fashionnb.errors import ProfileError

NAMES = ("quick", "standard", "full")
RENAMED = {"cpu": "standard"}
"""Former name of a profile -> its name."""

PRECISIONS = ("no", "bf16")
T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Profile:
    """Profile of a run: how much it computes, with the device and the seeds that it uses.

    Parameters
    ----------
    name : {"quick", "standard", "full"}
        The size of the run.
    device : str
        The device of torch: "cpu", "cuda" or "mps", or such as "cuda:1".
    precision : {"no", "bf16"}
        "no" is float32.
    threads : int
        How many threads torch may use.
    seeds : tuple of int
        The seeds of experiments that are repeated.
    """

    name: str
    device: str
    precision: str
    threads: int
    seeds: tuple[int, ...]

    def pick(self, chosen: T | None = None, *, quick: T, standard: T, full: T) -> T:
        """Return `chosen` if it is not None, else the value of this profile."""
        values = {"quick": quick, "standard": standard, "full": full}
        return values[self.name] if chosen is None else chosen


def choose(name: str | None = None, device: str | None = None) -> Profile:
    """Choose the profile of a run, and the device, precision, threads and seeds that belong to it.

    The precision is `FASHIONNB_PRECISION`; without that "bf16" on an NVIDIA GPU and on a CPU that
    have instructions for bfloat16.

    Parameters
    ----------
    name : str, optional
        By default `FASHIONNB_PROFILE`, or else "standard".
    device : str, optional
        As in `choose_device`.

    Returns
    -------
    Profile
        The size of the run and all that belongs to it.

    Raises
    ------
    ProfileError
        If the name, the device or the precision is unknown, or this machine has no such device.
    """
    name = current_name(name or os.environ.get("FASHIONNB_PROFILE") or "standard")
    count = threads()  # before torch is imported
    device = choose_device(device)
    seeds = {"quick": (0,), "standard": (0, 1, 2), "full": (0, 1, 2, 3, 4)}[name]
    return Profile(name, device, _precision(device), count, seeds)


def current_name(name: str) -> str:
    """Check the name of a profile, and replace a former one, with a hint in the log.

    Parameters
    ----------
    name : str
        As a user wrote it.

    Returns
    -------
    {"quick", "standard", "full"}
        The name that it has now.

    Raises
    ------
    ProfileError
        If there is no such profile.
    """
    if name in RENAMED:
        _hint(name)
        return RENAMED[name]
    if name not in NAMES:
        raise ProfileError(
            f"There is no profile {name!r}. Use one of: {', '.join(NAMES)} (--profile, or "
            "FASHIONNB_PROFILE)."
        )
    return name


def choose_device(wanted: str | None = None) -> str:
    """Choose the device of torch: the one that is wanted, or the best that is here.

    Parameters
    ----------
    wanted : str, optional
        "cpu", "cuda", "mps", or such as "cuda:1"; "auto" takes CUDA, then MPS, then the CPU. By
        default `FASHIONNB_DEVICE`, or else "auto".

    Returns
    -------
    str
        Never "auto". The CPU is taken without importing torch if that is asked for.

    Raises
    ------
    ProfileError
        If there is no such device, or none on this machine.
    """
    wanted = wanted or os.environ.get("FASHIONNB_DEVICE") or "auto"
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", wanted):
        raise ProfileError(
            f"There is no device {wanted!r}. Use one of: auto, cpu, cuda, mps; or one of several "
            "GPUs, such as cuda:1."
        )
    if wanted == "cpu":
        return wanted
    import torch

    here = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    here += ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()
    if wanted == "auto":
        return next((kind for kind in ("cuda", "mps") if kind in here), "cpu")
    if wanted not in here:
        raise ProfileError(
            f"Device {wanted!r} was asked for, but torch finds none here. Use 'auto' or 'cpu'."
        )
    return wanted


def begin(name: str | None = None, *, device: str | None = None, seed: int = 0) -> Profile:
    """Begin a chapter with a profile: choose it, give torch its threads, and seed everything.

    Parameters
    ----------
    name, device : str, optional
        As in `choose`.
    seed : int
        Of the global random state; see `seed_everything`.

    Returns
    -------
    Profile
        As `choose` returns it.

    Raises
    ------
    ProfileError
        As `choose`.
    """
    import torch

    profile = choose(name, device)
    torch.set_num_threads(profile.threads)
    seed_everything(seed)
    return profile


def seed_everything(seed: int) -> None:
    """Seed the global random state of a run: that of Python, numpy and torch.

    Nothing else here changes it.

    Parameters
    ----------
    seed : int
        From 0 to 2^32 - 1.
    """
    import random

    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  libraries such as umap-learn still read it
    torch.manual_seed(seed)


def threads() -> int:
    """Count the threads that torch may use: `OMP_NUM_THREADS`, or else all cores.

    Returns
    -------
    int
        At least 1. Of a list, which OpenMP allows, the first number counts; what is no number
        counts as unset.
    """
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if re.fullmatch("0*[1-9][0-9]{0,3}", first):
        return int(first)
    os.environ.pop("OMP_NUM_THREADS", None)  # or OpenMP complains of it, here and in each child
    return cores()


def cores() -> int:
    """Count the processor cores that this process may use, a profile's number of threads.

    Returns
    -------
    int
        In a container often fewer than the machine has.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache  # one hint is enough
def _hint(name: str) -> None:
    log.warning("The profile %r is now called %r.", name, RENAMED[name])


def _precision(device: str) -> str:
    chosen = os.environ.get("FASHIONNB_PRECISION")
    if chosen and chosen not in PRECISIONS:
        raise ProfileError(
            f"There is no precision {chosen!r}. Use one of: {', '.join(PRECISIONS)} "
            "(FASHIONNB_PRECISION)."
        )
    if chosen:
        return chosen
    import torch

    if device.startswith("cuda"):  # from Ampere on; an older GPU, as Colab's T4, emulates bfloat16
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "no"
    # A CPU with AVX512-BF16 or AMX trains 1.5 times faster in bfloat16; others emulate it slowly.
    # torch has no public test for it: where a private one is missing, the answer is no.
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    fast_cpu = any(getattr(torch.cpu, probe, bool)() for probe in probes)
    return "bf16" if device == "cpu" and fast_cpu else "no"
