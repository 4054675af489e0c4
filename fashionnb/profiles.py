"""How big a run is: `quick` (tests), `cpu` (the default, published), `full` (a GPU, or a patient CPU).

A chapter asks once, at its top, `run = profiles.begin(profile, seed=seed)`, and then for each number that depends on
the profile `epochs = run.pick(epochs, quick=1, cpu=4, full=40)`. Device, precision, threads and seeds follow from it.
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
    """What a run may spend.

    name : "quick", "cpu" or "full". device : "cpu", "cuda" or "mps". precision : "no" (float32) or "bf16".
    threads : how many threads torch may use. seeds : the seeds of experiments that are repeated.
    """

    name: str
    device: str
    precision: str
    threads: int
    seeds: tuple[int, ...]

    def pick(self, chosen: T | None = None, *, quick: T, cpu: T, full: T) -> T:
        """Return `chosen` if the reader set it, else the value that this profile stands for."""
        return {"quick": quick, "cpu": cpu, "full": full}[self.name] if chosen is None else chosen


def choose(name: str | None = None, device: str | None = None) -> Profile:
    """The profile called `name`; without a name the one in `FASHIONNB_PROFILE`; without that, `cpu`.

    Introduced in chapter 02. `device` (for instance "cuda") overrides the profile's own. `quick` and `cpu` stay on the
    CPU, so that what they publish can be had by everyone; `full` takes a GPU where there is one. The precision is
    `FASHIONNB_PRECISION`; without that "bf16" on a GPU of NVIDIA and on a CPU that multiplies bfloat16 itself.

    Raises
    ------
    ProfileError : the name, the device or the precision is not known, or the device is not in this machine.
    """
    name = name or os.environ.get("FASHIONNB_PROFILE") or "cpu"
    if name not in NAMES:
        raise ProfileError(
            f"There is no profile {name!r}. Use one of: {', '.join(NAMES)} (FASHIONNB_PROFILE or -p)."
        )
    device = _check_device(device) if device else ("cpu" if name != "full" else _best_device())
    threads = int(os.environ.get("OMP_NUM_THREADS") or 0) or _cores()
    seeds = {"quick": (0,), "cpu": (0, 1, 2), "full": (0, 1, 2, 3, 4)}[name]
    return Profile(name, device, _precision(device), threads, seeds)


def begin(name: str | None = None, *, device: str | None = None, seed: int = 0) -> Profile:
    """Choose a profile, give torch its threads, and seed everything. The first call of every chapter.

    Raises
    ------
    ProfileError : as `choose`.
    """
    import torch

    profile = choose(name, device)
    torch.set_num_threads(profile.threads)
    seed_everything(seed)
    return profile


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch. The only place in fashionnb that touches their global state."""
    import random

    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  libraries such as umap-learn still read it
    torch.manual_seed(seed)


def _cores() -> int:
    """The cores that this process may use: in a container often fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _precision(device: str) -> str:
    chosen = os.environ.get("FASHIONNB_PRECISION")
    if chosen and chosen not in PRECISIONS:
        raise ProfileError(
            f"There is no precision {chosen!r}. Use one of: {', '.join(PRECISIONS)} (FASHIONNB_PRECISION)."
        )
    if chosen:
        return chosen
    import torch

    # A CPU with AVX512-BF16 or AMX trains 1.5 times faster in bfloat16; others only imitate it, slowly. The probes
    # are private to torch: where one is gone, the answer is no.
    probes = (
        getattr(torch.cpu, f"_is_{name}_supported", bool) for name in ("avx512_bf16", "amx_tile")
    )
    return (
        "bf16"
        if device == "cuda" or (device == "cpu" and any(probe() for probe in probes))
        else "no"
    )


def _check_device(device: str) -> str:
    import torch

    here = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    kind = device.split(":")[0]
    if kind not in here:
        raise ProfileError(f"There is no device {device!r}. Use one of: {', '.join(here)}.")
    if not here[kind]:
        raise ProfileError(
            f"Device {device!r} was asked for, but torch finds none here. Leave it out, or use 'cpu'."
        )
    return device
