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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from fashionnb import checkpoints
from fashionnb.errors import TrainingError
from fashionnb.files import written_whole

SAVE_EVERY = 60.0  # seconds: what a killed process may lose of a long epoch


class Run:
    """The state of a training run: the epoch and step, the history, and the files to resume from.

    Making one resumes the run that lies in `folder`, if there is one: its weights go into `model`,
    its moments into `optimizer`.

    Parameters
    ----------
    folder : Path
        Where the run is saved.
    model : nn.Module
    optimizer : torch.optim.Optimizer
        Of the model, on its device.
    identity : dict
        What a saved run must have in common with this one. Anything that JSON can hold.
    monitor : str, optional
        The number that decides which epoch is best; without one, no best epoch is kept.
    mode : {"max", "min"}
        Whether a high or a low `monitor` is good.
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
        monitor: str | None = None,
        mode: str = "max",
        writes: bool = True,
    ) -> None:
        if mode not in ("max", "min"):
            raise TrainingError(f"mode is {mode!r}, it must be 'max' or 'min'.")
        self.folder, self.model, self.optimizer, self.writes = folder, model, optimizer, writes
        self.monitor, self.mode = monitor, mode
        # As it will read back from JSON: lists, not tuples.
        self.identity = json.loads(
            json.dumps(identity | {"monitor": monitor, "mode": mode}, default=str)
        )
        self.history: list[dict[str, float]] = []  # one dict per finished epoch
        self.step = 0  # steps done in the current epoch
        self.sums: dict[str, float] = {}  # of the numbers logged in those steps
        self.mean: dict[str, Tensor] = {}  # of the weights, over so many steps:
        self.averaged = 0
        if self.last.exists():
            self._resume()
        self._saved_at = self._clock = time.monotonic()

    @property
    def last(self) -> Path:
        """The file that the run is resumed from."""
        return self.folder / "last.safetensors"

    @property
    def best(self) -> Path:
        """The weights of the best epoch, if a number is monitored."""
        return self.folder / "best.safetensors"

    @property
    def epoch(self) -> int:
        """The current epoch, from 1."""
        return len(self.history) + 1

    @property
    def scores(self) -> list[float]:
        """The monitored number of each finished epoch, with a sign so that higher is better."""
        return [row[self.monitor] * (1 if self.mode == "max" else -1) for row in self.history]

    def table(self) -> pd.DataFrame:
        """The history, one row per finished epoch."""
        return pd.DataFrame(self.history)

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
        if self.monitor is not None and not math.isfinite(row.get(self.monitor, math.nan)):
            got = row.get(self.monitor, "not measured")
            raise TrainingError(
                f"monitor is {self.monitor!r}, which was {got} in epoch {self.epoch}. "
                f"It must be a finite number, one of {', '.join(row)}."
            )
        self.history.append(row)
        self.step, self.sums = 0, {}
        # The best epoch first, so that there is no `last` without it.
        if self.monitor is not None and self.scores[-1] > max(self.scores[:-1], default=-math.inf):
            self._write(self.best, checkpoints.weights(self.model))
        self.save()

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
        tensors = {
            f"model.{name}": tensor for name, tensor in checkpoints.weights(self.model).items()
        }
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{key}": _plain(value) for key, value in state.items()}
        tensors |= {f"mean.{name}": _plain(tensor) for name, tensor in self.mean.items()}
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
        if not self.best.exists():
            raise TrainingError(
                f"{self.best}, the best epoch, is missing. {_start_again(self.folder)}"
            )
        checkpoints.load_weights(self.model, _read(self.best)[0], self.best)

    def load_average(self) -> None:
        """Load the mean of the weights."""
        checkpoints.load_weights(self.model, self.mean, self.last)

    def _write(
        self, path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None
    ) -> None:
        if self.writes:
            with written_whole(path) as aside:
                aside.write_bytes(safetensors.torch.save(tensors, metadata))

    def _resume(self) -> None:
        tensors, metadata = _read(self.last)
        try:
            state = json.loads(metadata["run"])
        except (KeyError, ValueError) as error:
            raise TrainingError(
                f"{self.last} is not a saved training run. {_start_again(self.folder)}"
            ) from error
        state["identity"]["recipe"].pop("patience", None)  # a setting of older files
        if differences := list(_differences(state["identity"], self.identity)):
            more = f"; and {len(differences) - 6} more" if len(differences) > 6 else ""
            raise TrainingError(
                f"{self.folder} holds another training run: {'; '.join(differences[:6])}{more}. "
                f"{_start_again(self.folder)}"
            )
        self.history, self.step, self.sums = state["history"], state["step"], state["sums"]
        self.averaged = state.get("averaged", 0)  # older files have no mean
        checkpoints.load_weights(self.model, _below("model.", tensors), self.last)
        device = next(self.model.parameters()).device
        self.mean = {name: t.to(device) for name, t in _below("mean.", tensors).items()}
        self._fill_optimizer(_below("optimizer.", tensors))

    def _fill_optimizer(self, tensors: dict[str, Tensor]) -> None:
        groups = self.optimizer.param_groups
        parameters = [parameter for group in groups for parameter in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            number, key = name.split(".", 1)
            parameter = parameters[int(number)]
            if tensor.shape == parameter.shape:
                # In the memory layout of its parameter: otherwise sums could round differently.
                tensor = torch.empty_like(parameter).copy_(tensor)
            state.setdefault(int(number), {})[key] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})


def seed_of(*numbers: int) -> int:
    """Combine several numbers, such as (seed, epoch, step), to one seed."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def hash_of(batch: tuple[Tensor, ...]) -> str:
    """Hash the tensors of a batch: equal only for the same data in the same order."""
    digest = hashlib.sha256()
    for tensor in batch:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(_plain(tensor).reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Within the block the first Ctrl-C only sets the event, to stop between two steps."""
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
    except SafetensorError as error:
        raise TrainingError(
            f"{path} is not a whole safetensors file ({error}). {_start_again(path.parent)}"
        ) from error


def _differences(there: Any, now: Any, name: str = "") -> Iterator[str]:
    """What differs between two nested dicts: "learning_rate: 0.001 there, 0.01 now"."""
    if isinstance(there, dict) and isinstance(now, dict):
        for key in there | now:
            yield from _differences(there.get(key), now.get(key), f"{name} {key}".strip())
    elif there != now:
        yield f"{name}: {there} there, {now} now"


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with the prefix, without it."""
    chosen = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors[name] for name in chosen}


def _start_again(folder: Path) -> str:
    return f"To start again, delete {folder} or choose another folder."
