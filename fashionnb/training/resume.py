"""Save a training run, recognise it, and resume it where it stopped.

The whole run is one file, `last.safetensors`: model, optimizer, the mean of the weights where one
is asked for, and a little JSON with the finished epochs and the sums of the current one. There is
no random state to keep: every epoch and every step has a seed of its own (`seed_of`), so any of
them can be replayed. The loop itself is in `fashionnb.training`.
"""

import hashlib
import json
import math
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from fashionnb.checkpoints import on_cpu
from fashionnb.errors import TrainingError
from fashionnb.files import written_whole
from fashionnb.models import load_weights

SAVE_EVERY = 60.0  # seconds: what a killed process may lose of a long epoch


class Run:
    """State of a training run that can be resumed: epoch, step, history and the saved files.

    Making one resumes the run that lies in `folder`, if there is one: its weights go into `model`,
    its moments into `optimizer`.

    Parameters
    ----------
    folder : Path
        Where the run is saved.
    model : nn.Module
        The network that is trained.
    optimizer : torch.optim.Optimizer
        Of the model, on its device.
    identity : dict
        What a saved run must have in common with this one. Anything that JSON can hold.
    monitor : str or None
        The number that is highest in the best epoch; without one, no best epoch is kept.
    writes : bool
        Of several processes, only the first one writes.

    Raises
    ------
    TrainingError
        If the folder holds another run (the message says what differs), or a file that is no saved
        run.
    """

    def __init__(
        self,
        folder: Path,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        identity: dict[str, Any],
        monitor: str | None,
        writes: bool,
    ) -> None:
        self.folder, self.model, self.optimizer, self.writes = folder, model, optimizer, writes
        self.monitor = monitor
        self.last = folder / "last.safetensors"  # what the run is resumed from
        self.best = folder / "best.safetensors"  # the weights of the best epoch
        # As it will read back from JSON: lists, not tuples.
        self.identity = json.loads(json.dumps(identity | {"monitor": monitor}, default=str))
        self.history: list[dict[str, float]] = []  # one dict per finished epoch
        self.step = 0  # steps done in the current epoch
        self.sums: dict[str, float] = {}  # of the numbers logged in those steps
        self.mean: dict[str, Tensor] = {}  # of the weights, over so many steps:
        self.averaged = 0
        if self.last.exists():
            self._resume()
        self._saved_at = self._clock = time.monotonic()

    @property
    def epoch(self) -> int:
        """The current epoch, from 1."""
        return len(self.history) + 1

    def count(self, numbers: dict[str, float], images: int) -> None:
        """Add one more step: its numbers, its images and its time since the last one."""
        now = time.monotonic()
        for name, number in {**numbers, "images": images, "seconds": now - self._clock}.items():
            self.sums[name] = self.sums.get(name, 0.0) + number
        self.step, self._clock = self.step + 1, now

    def average(self) -> None:
        """Add the current weights to their mean."""
        self.averaged += 1
        with torch.no_grad():
            for name, now in self.model.state_dict().items():
                # The number of batches that batch normalisation counts is not averaged.
                if self.averaged == 1 or not now.is_floating_point():
                    self.mean[name] = now.detach().clone()
                else:
                    self.mean[name] += (now - self.mean[name]) / self.averaged

    def finish_epoch(self, measured: dict[str, float]) -> None:
        """Finish the current epoch with what was measured after it, and save the run.

        Raises
        ------
        TrainingError
            If `validate` returned a name of the loop, or the monitored number is missing or not
            finite.
        WriteError
            If the folder cannot be written.
        """
        sums = dict(self.sums)
        images, seconds = sums.pop("images"), sums.pop("seconds")
        row = {"epoch": self.epoch, **{name: total / self.step for name, total in sums.items()}}
        row |= {"seconds": seconds, "images_per_second": images / max(seconds, 1e-9)}
        if twice := sorted(row.keys() & measured.keys()):
            raise TrainingError(
                f"`validate` returned {', '.join(twice)}, which the loop logs itself. Choose other "
                "names."
            )
        row |= measured
        if self.monitor is not None:
            self._keep_best(row)  # first, so that there is no `last` without it
        self.history.append(row)
        self.step, self.sums = 0, {}
        self.save()

    def _keep_best(self, row: dict[str, float]) -> None:
        got = row.get(self.monitor, "not measured")
        if got == "not measured" or not math.isfinite(got):
            raise TrainingError(
                f"monitor is {self.monitor!r}, which was {got} in epoch {self.epoch}. "
                f"It must be a finite number, one of {', '.join(row)}."
            )
        earlier = [finished[self.monitor] for finished in self.history]
        if got > max(earlier, default=-math.inf):
            self._write(self.best, self.model.state_dict())

    def save_now_and_then(self, stop: threading.Event) -> None:
        """Save every `SAVE_EVERY` seconds; if `stop` is set, now, and raise `KeyboardInterrupt`."""
        if stop.is_set() or time.monotonic() - self._saved_at > SAVE_EVERY:
            self.save()
        if stop.is_set():
            raise KeyboardInterrupt(
                f"stopped and saved in {self.folder}; the same call resumes there"
            )
        self._clock = time.monotonic()  # the time between two steps was not training

    def save(self) -> None:
        """Write the whole run to `last`, in one step. Raises `WriteError`."""
        self._saved_at = time.monotonic()
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for number, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{key}": moment for key, moment in moments.items()}
        tensors |= {f"mean.{name}": tensor for name, tensor in self.mean.items()}
        state = {
            "identity": self.identity,
            "history": self.history,
            "step": self.step,
            "sums": self.sums,
            "averaged": self.averaged,
        }
        self._write(self.last, tensors, {"run": json.dumps(state)})

    def load_best(self) -> None:
        """Load the weights of the best epoch. Raises `TrainingError` if the file is missing."""
        saved, _ = _read(self.best)
        load_weights(self.model, saved, self.best, _start_again(self.folder))

    def _write(
        self, path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None
    ) -> None:
        if self.writes:
            with written_whole(path) as aside:
                aside.write_bytes(safetensors.torch.save(on_cpu(tensors), metadata))

    def _resume(self) -> None:
        tensors, metadata = _read(self.last)
        try:
            state = json.loads(metadata["run"])
        except (KeyError, ValueError) as error:
            raise TrainingError(
                f"{self.last} is not a saved training run. {_start_again(self.folder)}"
            ) from error
        if differences := list(_differences(state["identity"], self.identity)):
            more = f"; and {len(differences) - 6} more" if len(differences) > 6 else ""
            raise TrainingError(
                f"{self.folder} holds another training run: {'; '.join(differences[:6])}{more}. "
                f"{_start_again(self.folder)}"
            )
        self.history, self.step, self.sums = state["history"], state["step"], state["sums"]
        self.averaged = state["averaged"]
        load_weights(self.model, _below("model.", tensors), self.last, _start_again(self.folder))
        device = next(self.model.parameters()).device
        self.mean = {name: t.to(device) for name, t in _below("mean.", tensors).items()}
        self._fill_optimizer(_below("optimizer.", tensors))

    def _fill_optimizer(self, tensors: dict[str, Tensor]) -> None:
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        state: defaultdict[int, dict[str, Tensor]] = defaultdict(dict)
        for name, tensor in tensors.items():
            number, key = name.split(".", 1)
            parameter = parameters[int(number)]
            if tensor.shape == parameter.shape:
                # In the memory layout of its parameter: otherwise sums could round differently.
                tensor = torch.empty_like(parameter).copy_(tensor)
            state[int(number)][key] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})


def seed_of(*numbers: int) -> int:
    """Combine (seed, epoch, step) to the seed of one training step, so that it can be replayed.

    Parameters
    ----------
    *numbers : int
        Each 0 or more.

    Returns
    -------
    int
        The same for the same numbers in the same order, 0 to below 2⁶⁴.
    """
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def hash_of(batch: tuple[Tensor, ...]) -> str:
    """Hash the tensors of a training batch, to recognise the data of a run that is resumed.

    Parameters
    ----------
    batch : tuple of Tensor
        On any device.

    Returns
    -------
    str
        16 hexadecimal digits, equal only for the same data in the same order.
    """
    digest = hashlib.sha256()
    for tensor in batch:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Let Ctrl-C end a training run between two steps, so that it is saved and can be resumed.

    Within the block the first Ctrl-C only sets the event; a second one interrupts at once.

    Yields
    ------
    threading.Event
        Set when the run is to stop.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only that one gets signals
        yield asked
        return

    def handle(_number: int, _frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (FileNotFoundError, SafetensorError) as error:
        raise TrainingError(
            f"{path} is missing or not a whole safetensors file ({error}). "
            f"{_start_again(path.parent)}"
        ) from error


def _differences(there: Any, now: Any, name: str = "") -> Iterator[str]:
    """What differs between two nested dicts: "learning_rate: 0.001 there, 0.01 now"."""
    if isinstance(there, dict) and isinstance(now, dict):
        for key in there | now:
            yield from _differences(there.get(key), now.get(key), f"{name} {key}".strip())
    elif there != now:
        yield f"{name}: {there} there, {now} now"


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with the prefix, without it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _start_again(folder: Path) -> str:
    return f"To start again, delete {folder} or choose another folder."
