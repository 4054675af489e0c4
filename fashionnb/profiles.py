"""How much a run computes: the profiles `quick` (tests), `cpu` (the default) and `full`.

A chapter begins with `run = profiles.begin(profile, seed=seed)`, and then takes each number that
depends on the profile as `epochs = run.pick(epochs, quick=1, cpu=4, full=40)`. Device, precision,
threads and seeds come from the profile, too.
"""

import os
from dataclasses import dataclass
from typing import TypeVar

from fashionnb.errors import ProfileError

NAMES = ("quick", "cpu", "full")
PRECISIONS = ("no", "bf16")
T = TypeVar("T")


@dataclass(frozen=True)
class Profile:
    """Profile of a run: how much it computes, on which device, and with which seeds.

    Parameters
    ----------
    name : {"quick", "cpu", "full"}
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

    def pick(self, chosen: T | None = None, *, quick: T, cpu: T, full: T) -> T:
        """Return `chosen` if it is not None, else the value of this profile."""
        return {"quick": quick, "cpu": cpu, "full": full}[self.name] if chosen is None else chosen


def choose(name: str | None = None, device: str | None = None) -> Profile:
    """Choose the profile of a run, and the device, precision, threads and seeds that belong to it.

    `quick` and `cpu` stay on the CPU, so that everybody can reproduce what is published; `full`
    uses a GPU where there is one. The precision is `FASHIONNB_PRECISION`; without that "bf16" on
    an NVIDIA GPU and on a CPU with instructions for bfloat16.

    Parameters
    ----------
    name : str, optional
        By default `FASHIONNB_PROFILE`, or else "cpu".
    device : str, optional
        Replaces the profile's own, for instance "cuda".

    Returns
    -------
    Profile
        The size of the run and all that belongs to it.

    Raises
    ------
    ProfileError
        If the name, the device or the precision is unknown, or this machine has no such device.
    """
    name = name or os.environ.get("FASHIONNB_PROFILE") or "cpu"
    if name not in NAMES:
        raise ProfileError(
            f"There is no profile {name!r}. Use one of: {', '.join(NAMES)} (FASHIONNB_PROFILE or "
            "-p)."
        )
    device = _device(name, device)
    threads = int(os.environ.get("OMP_NUM_THREADS") or 0) or cores()
    seeds = {"quick": (0,), "cpu": (0, 1, 2), "full": (0, 1, 2, 3, 4)}[name]
    return Profile(name, device, _precision(device), threads, seeds)


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


def cores() -> int:
    """Count the processor cores that this process may use, a profile's number of threads.

    Returns
    -------
    int
        In a container often fewer than the machine has.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _device(profile: str, wanted: str | None) -> str:
    """The device that is wanted; without one the CPU, or for `full` the best that torch finds."""
    import torch

    here = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if not wanted:
        return next(kind for kind in here if here[kind]) if profile == "full" else "cpu"
    kind = wanted.split(":")[0]
    if kind not in here:
        raise ProfileError(f"There is no device {wanted!r}. Use one of: {', '.join(sorted(here))}.")
    if not here[kind]:
        raise ProfileError(
            f"Device {wanted!r} was asked for, but torch finds none here. Leave it out, or use "
            "'cpu'."
        )
    return wanted


def _precision(device: str) -> str:
    import torch

    chosen = os.environ.get("FASHIONNB_PRECISION")
    if chosen and chosen not in PRECISIONS:
        raise ProfileError(
            f"There is no precision {chosen!r}. Use one of: {', '.join(PRECISIONS)} "
            "(FASHIONNB_PRECISION)."
        )
    if chosen:
        return chosen
    # A CPU with AVX512-BF16 or AMX trains 1.5 times faster in bfloat16; others emulate it slowly.
    # torch has no public test for it: where a private one is missing, the answer is no.
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    fast_cpu = any(getattr(torch.cpu, probe, bool)() for probe in probes)
    return "bf16" if device == "cuda" or (device == "cpu" and fast_cpu) else "no"
