"""How a training run is saved, recognised and taken up again where it stopped.

The loop in `fashionnb.training` stays short because this is here. The whole run is one file, `last.safetensors`: model,
optimizer, the mean of the weights where one is asked for, and a little JSON with the finished epochs and the sums of
the one under way. There is no random state to keep: every epoch and every step draws from a seed of its own
(`seed_of`), so any of them can be replayed.
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
    """Where a training run stands: the epoch and step, the history, and the files to go on from.

    Introduced in chapter 02. Making one takes up the run that lies in `folder`, if there is one: its weights go into
    `model`, its moments into `optimizer`.

    Parameters
    ----------
    folder : where the run is saved.
    model, optimizer : what is trained, on its device.
    identity : what a saved run must agree in. Anything that JSON can hold.
    monitor, mode : the number that says which epoch is best ("max" or "min"); without one, no best epoch is kept.
    writes : of several processes, only the first one writes.

    Raises
    ------
    TrainingError : the folder holds another run (the message says what differs), or a file that is no saved run.
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
        self.step = 0  # steps done in the epoch under way
        self.sums: dict[str, float] = {}  # of the numbers logged in those steps
        self.mean: dict[str, Tensor] = {}  # of the weights, over so many steps:
        self.averaged = 0
        if self.last.exists():
            self._take_up()
        self._saved_at = self._clock = time.monotonic()

    @property
    def last(self) -> Path:
        """The file that the run is taken up from."""
        return self.folder / "last.safetensors"

    @property
    def best(self) -> Path:
        """The weights of the best epoch, if a number is monitored."""
        return self.folder / "best.safetensors"

    @property
    def epoch(self) -> int:
        """The epoch under way, from 1."""
        return len(self.history) + 1

    @property
    def scores(self) -> list[float]:
        """How good each finished epoch was, higher is better: the monitored number, or else the loss."""
        if self.monitor is None:
            return [-row["loss"] for row in self.history]
        return [row[self.monitor] * (1 if self.mode == "max" else -1) for row in self.history]

    def table(self) -> pd.DataFrame:
        """The history, one row per finished epoch."""
        return pd.DataFrame(self.history)

    def count(self, numbers: dict[str, float], images: int) -> None:
        """Count one more step: its numbers, its images and its time since the last one."""
        now = time.monotonic()
        for name, number in {**numbers, "images": images, "seconds": now - self._clock}.items():
            self.sums[name] = self.sums.get(name, 0.0) + number
        self.step, self._clock = self.step + 1, now

    def average(self) -> None:
        """Take the weights, as they are after this step, into their mean."""
        self.averaged += 1
        with torch.no_grad():
            for name, now in self.model.state_dict().items():
                if (
                    self.averaged == 1 or not now.is_floating_point()
                ):  # a count of batches is not averaged
                    self.mean[name] = now.detach().clone()
                else:
                    self.mean[name] += (now - self.mean[name]) / self.averaged

    def finish_epoch(self, measured: dict[str, float]) -> None:
        """Close the epoch under way with what was measured after it, and save. Raises `TrainingError`, `WriteError`."""
        sums = dict(self.sums)
        images, seconds = sums.pop("images"), sums.pop("seconds")
        row = {"epoch": self.epoch, **{name: total / self.step for name, total in sums.items()}}
        row |= {"seconds": seconds, "images_per_second": images / max(seconds, 1e-9)}
        if twice := sorted(row.keys() & measured.keys()):
            raise TrainingError(
                f"`validate` returned {', '.join(twice)}, which the loop logs itself. Choose other names."
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
        if (
            self.monitor is not None
            and self.scores.index(max(self.scores)) == len(self.history) - 1
        ):
            self._write(
                self.best, checkpoints.weights(self.model)
            )  # first, so that `last` never lacks its best
        self.save()

    def save_now_and_then(self, stop: threading.Event) -> None:
        """Save if the last time is long ago. If `stop` is set: save in any case, and raise `KeyboardInterrupt`."""
        if stop.is_set() or time.monotonic() - self._saved_at > SAVE_EVERY:
            self.save()
        if stop.is_set():
            raise KeyboardInterrupt(
                f"stopped and saved in {self.folder}; the same call goes on from there"
            )
        self._clock = time.monotonic()  # what came between two steps was not training

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
        }
        state["averaged"] = self.averaged
        self._write(self.last, tensors, {"run": json.dumps(state)})

    def load_best(self) -> None:
        """Put the weights of the best epoch into the model. Raises `TrainingError` if the file is gone."""
        if not self.best.exists():
            raise TrainingError(
                f"{self.best} is gone, and with it the best epoch. {_afresh(self.folder)}"
            )
        checkpoints.load_weights(self.model, _read(self.best)[0], self.best)

    def load_average(self) -> None:
        """Put the mean of the weights into the model."""
        checkpoints.load_weights(self.model, self.mean, self.last)

    def _write(
        self, path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None
    ) -> None:
        if self.writes:
            with written_whole(path) as aside:
                aside.write_bytes(safetensors.torch.save(tensors, metadata))

    def _take_up(self) -> None:
        tensors, metadata = _read(self.last)
        try:
            state = json.loads(metadata["run"])
        except (KeyError, ValueError) as error:
            raise TrainingError(
                f"{self.last} is not a saved training run. {_afresh(self.folder)}"
            ) from error
        if differences := list(_differences(state["identity"], self.identity)):
            raise TrainingError(
                f"{self.folder} holds another training run: {'; '.join(differences[:6])}"
                f"{f'; and {len(differences) - 6} more' if len(differences) > 6 else ''}. {_afresh(self.folder)}"
            )
        self.history, self.step, self.sums = state["history"], state["step"], state["sums"]
        saved = {
            name.removeprefix("model."): t
            for name, t in tensors.items()
            if name.startswith("model.")
        }
        checkpoints.load_weights(self.model, saved, self.last)
        device = next(self.model.parameters()).device
        self.averaged = state.get("averaged", 0)  # older files have no mean
        self.mean = {
            n.removeprefix("mean."): t.to(device)
            for n, t in tensors.items()
            if n.startswith("mean.")
        }
        self._fill_optimizer(
            {name: t for name, t in tensors.items() if name.startswith("optimizer.")}
        )

    def _fill_optimizer(self, tensors: dict[str, Tensor]) -> None:
        parameters = [
            parameter for group in self.optimizer.param_groups for parameter in group["params"]
        ]
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            _, number, key = name.split(".", 2)
            parameter = parameters[int(number)]
            # A moment lies in memory as its parameter does; otherwise the sums could round differently than before.
            same = tensor.shape == parameter.shape
            state.setdefault(int(number), {})[key] = (
                torch.empty_like(parameter).copy_(tensor) if same else tensor
            )
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})


def seed_of(*numbers: int) -> int:
    """One seed from several numbers, such as (seed, epoch, step), unlike that of any other combination."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def hash_of(batch: tuple[Tensor, ...]) -> str:
    """A short hash of the tensors of a batch: equal only for the same data, drawn in the same way."""
    digest = hashlib.sha256()
    for tensor in batch:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(_plain(tensor).reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Within the block Ctrl-C only sets the event, so that the loop can stop between steps; a second one interrupts."""
    asked = threading.Event()
    if (
        threading.current_thread() is not threading.main_thread()
    ):  # Python hears signals in the main thread only
        yield asked
        return

    def hear(_number: int, _frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = signal.signal(signal.SIGINT, hear)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise TrainingError(
            f"{path} is not a whole safetensors file ({error}). {_afresh(path.parent)}"
        ) from error


def _differences(there: Any, now: Any, name: str = "") -> Iterator[str]:
    """What differs between two nested dicts, as "learning_rate: 0.001 there, 0.01 now"."""
    if isinstance(there, dict) and isinstance(now, dict):
        for key in there | now:
            yield from _differences(there.get(key), now.get(key), f"{name} {key}".strip())
    elif there != now:
        yield f"{name}: {there} there, {now} now"


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()


def _afresh(folder: Path) -> str:
    return f"To start afresh, delete {folder} or choose another folder."
