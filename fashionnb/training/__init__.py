"""One training loop for every model of the book.

`fit` is the loop, `Recipe` the few numbers that steer it. What a batch is and what its loss is are the caller's two
functions, so the loop is the same for triplets, classes and outfits. It saves itself as it goes: run the same thing
again and it goes on where it stopped, on the same numbers to the last bit (on a CPU). How: `fashionnb.training.resume`.
"""

import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from numbers import Real
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from tqdm import tqdm

from fashionnb.errors import CollapseWarning, TrainingError
from fashionnb.models import as_input
from fashionnb.training.resume import Run, hash_of, interruptible, seed_of

Batch = tuple[Tensor, ...]
Batches = Callable[[int, torch.Generator], Iterable[Batch]]
Loss = Callable[[nn.Module, Batch], Tensor | tuple[Tensor, dict[str, float]]]
SCHEDULES = ("one-cycle", "plateau", "constant", "warm-cosine")
COLLAPSED = 0.05
"""The spread below which embeddings count as collapsed: two of them then lie about 0.07 apart (√2 times the spread), so
that hardly a triplet keeps a margin of 0.2. On Fashion-MNIST healthy runs stay above 0.6, an untrained network begins
at 0.4, and a collapse ends at 0.003."""


@dataclass(frozen=True)
class Recipe:
    """The numbers that steer a training run. Introduced in chapter 02.

    epochs, batch_size : how long, and how many at a time (the loop leaves the latter to `batches`).
    learning_rate : at its highest. schedule : how it moves, see `learning_rate`; patience : epochs, for "plateau".
    weight_decay : of AdamW (Loshchilov & Hutter 2019). clip : the longest gradient, as a norm; 0 switches it off.
    average : the last so many epochs over whose steps the weights are averaged; 0 keeps the weights of the last step.
    seed : of the batches and of dropout. device : "cpu", "cuda" or "mps". precision : "no" (float32) or "bf16".

    Raises `TrainingError` for a value that makes no sense.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 1e-4
    schedule: str = "one-cycle"
    patience: int = 3
    clip: float = 1.0
    seed: int = 0
    device: str = "cpu"
    precision: str = "no"
    average: int = 0

    def __post_init__(self) -> None:
        for name, least in {
            "epochs": 1,
            "batch_size": 1,
            "patience": 1,
            "weight_decay": 0,
            "clip": 0,
            "seed": 0,
            "average": 0,
        }.items():
            value = getattr(self, name)
            if not isinstance(value, Real) or not value >= least:
                raise TrainingError(
                    f"Recipe: {name} is {value!r}, it must be a number of at least {least}."
                )
        if not isinstance(self.learning_rate, Real) or not 0 < self.learning_rate < math.inf:
            raise TrainingError(
                f"Recipe: learning_rate is {self.learning_rate!r}, it must be positive, such as 0.001."
            )
        if self.average > self.epochs:
            raise TrainingError(
                f"Recipe: average is {self.average!r}, more than the {self.epochs} epochs."
            )
        choices = {
            "schedule": SCHEDULES,
            "device": ("cpu", "cuda", "mps"),
            "precision": ("no", "bf16"),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise TrainingError(
                    f"Recipe: {name} is {getattr(self, name)!r}, it must be one of {', '.join(known)}."
                )


def fit(
    model: nn.Module,
    batches: Batches,
    loss: Loss,
    recipe: Recipe,
    *,
    steps_per_epoch: int,
    folder: Path | str,
    validate: Callable[[nn.Module], dict[str, float]] | None = None,
    monitor: str | None = None,
    mode: str = "max",
    about: dict[str, Any] | None = None,
    progress: bool = True,
    on_epoch: Callable[[pd.DataFrame], None] | None = None,
) -> pd.DataFrame:
    """Train `model` in place, or go on with what an interrupted `fit` left in `folder`. Introduced in chapter 02.

    Parameters
    ----------
    model : afterwards in eval mode, with the weights of the best epoch if `monitor` is given, else of the last step; or
        with `recipe.average` the mean of the weights, and of the statistics of batch normalisation, after each step of
        the last epochs (Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization").
        `validate` measures the weights that are trained, not their mean.
    batches : called with the epoch (from 1) and a generator seeded for that epoch; gives tuples of tensors, as many as
        it likes (an endless sampler is fine). It must draw from that generator alone, so that the epoch can be
        replayed. uint8 images (n, c, h, w) are scaled to [0, 1] on the device.
    loss : gives a scalar for the model and a batch; or that and more numbers to log, averaged over the epoch. If one of
        them is called "spread" (the root mean square distance of the embeddings to their mean), it is watched.
    steps_per_epoch : batches that make an epoch.
    folder : for `last.safetensors` (the run) and `best.safetensors`.
    validate : measures the model, in eval mode, in float32 and without gradients, after each epoch.
    monitor, mode : the number that says which epoch is best, and whether "max" or "min" is good. It also drives the
        schedule "plateau" (without it the training loss does).
    about : whatever else makes this run what it is, such as the "margin". Saved, and compared before going on.
    progress : show a bar.
    on_epoch : called with the history after each epoch, and once when a run is taken up again; in every process. For
        curves that grow, and for batches that follow the validation: they keep no state, they read in the history what
        was measured before their epoch.

    Returns
    -------
    history : one row per epoch: epoch (from 1), loss, learning_rate (its mean), further numbers of `loss`,
        seconds (without `validate`), images_per_second, and what `validate` returned. A finished run gives it at once.
        `history.attrs["earlier_seconds"]` are those seconds that were spent before this call, by what it went on with.

    Raises
    ------
    TrainingError : the loss is not finite, `batches` runs dry, `monitor` names no number or comes with
        `recipe.average`, the device is missing, or `folder` holds another run.
    KeyboardInterrupt : after Ctrl-C, when the step under way is done and saved. A second Ctrl-C does not wait.

    Warns
    -----
    CollapseWarning : once, if the spread of an epoch is below `COLLAPSED`; with what to try. The training goes on.
    """
    if monitor and recipe.average:
        raise TrainingError(
            "Give `monitor` or `recipe.average`: weights are of the best epoch, or a mean over epochs."
        )
    accelerator = _accelerator(recipe)
    network, optimizer = accelerator.prepare(model, _adamw(model, recipe))
    identity = _identity(model, batches, recipe, steps_per_epoch, about)
    run = Run(
        Path(folder), model, optimizer, identity, monitor, mode, writes=accelerator.is_main_process
    )
    earlier = sum(row["seconds"] for row in run.history) + run.sums.get("seconds", 0.0)
    if on_epoch and run.history:
        on_epoch(run.table())

    with (
        interruptible() as stop,
        _tidily(accelerator, network),
        _bar(recipe, steps_per_epoch, run, progress) as bar,
    ):
        while run.epoch <= recipe.epochs:
            network.train()
            for batch in _rest_of_epoch(batches, recipe, steps_per_epoch, run, accelerator):
                torch.manual_seed(
                    seed_of(recipe.seed, run.epoch, run.step)
                )  # for dropout: any step can be replayed
                rate = learning_rate(
                    recipe, (run.epoch - 1 + run.step / steps_per_epoch) / recipe.epochs, run.scores
                )
                for group in optimizer.param_groups:
                    group["lr"] = rate

                value, numbers = _value_and_numbers(loss(network, batch), accelerator)
                if not math.isfinite(numbers["loss"]):
                    raise TrainingError(_not_finite(numbers["loss"], recipe, rate, run))
                optimizer.zero_grad()
                accelerator.backward(value)
                if recipe.clip:
                    accelerator.clip_grad_norm_(network.parameters(), recipe.clip)
                optimizer.step()
                if run.epoch > recipe.epochs - recipe.average:
                    run.average()

                run.count(
                    {**numbers, "learning_rate": rate}, _images(batch) * accelerator.num_processes
                )
                _show(bar, run)
                run.save_now_and_then(stop)  # after Ctrl-C: saves, and stops here

            run.finish_epoch(_measure(validate, model, recipe, run, accelerator))
            if run.writes:
                _warn_of_collapse(run.history, recipe, (about or {}).get("margin"))
            if on_epoch:
                on_epoch(run.table())
            run.save_now_and_then(stop)

    accelerator.wait_for_everyone()
    model.eval()
    if monitor:
        run.load_best()
    if recipe.average:
        run.load_average()
    history = run.table()
    history.attrs["earlier_seconds"] = earlier
    return history


def learning_rate(recipe: Recipe, done: float, scores: Sequence[float] = ()) -> float:
    """The learning rate at one moment of a run: a plain function, so that there is no scheduler to save.

    Introduced in chapter 02.

    Parameters
    ----------
    recipe : its `schedule` is one of

        - "one-cycle" (Smith & Topin 2018, "Super-Convergence"): up from 1/25 during the first 30 %, then down to 0,
          both along a cosine;
        - "plateau": a tenth each time that `patience` epochs brought no new best score;
        - "constant";
        - "warm-cosine": up along a line during the first 10 %, then down to 0 along a cosine (Loshchilov & Hutter 2017,
          "SGDR").
    done : the share of the run that lies behind, 0 to 1.
    scores : of the finished epochs, higher is better.
    """
    if recipe.schedule == "one-cycle":
        if done < 0.3:
            return recipe.learning_rate * (
                1 / 25 + 24 / 25 * (1 - math.cos(math.pi * done / 0.3)) / 2
            )
        return recipe.learning_rate * (1 + math.cos(math.pi * (done - 0.3) / 0.7)) / 2
    if recipe.schedule == "warm-cosine":
        return recipe.learning_rate * (
            done / 0.1 if done < 0.1 else (1 + math.cos(math.pi * (done - 0.1) / 0.9)) / 2
        )
    if recipe.schedule == "plateau":
        best, waited, drops = -math.inf, 0, 0
        for score in scores:
            waited = 0 if score > best else waited + 1
            best = max(best, score)
            if waited == recipe.patience:
                waited, drops = 0, drops + 1
        return recipe.learning_rate * 0.1**drops
    return recipe.learning_rate


def _rest_of_epoch(
    batches: Batches, recipe: Recipe, steps: int, run: Run, accelerator: Accelerator
) -> Iterator[tuple[Tensor, ...]]:
    """The batches of the epoch under way that were not yet trained on: this process's share, on its device."""
    drawn = run.step
    for batch in islice(batches(run.epoch, _generator(recipe, run.epoch)), drawn, steps):
        shares = (
            part.tensor_split(accelerator.num_processes)[accelerator.process_index]
            for part in batch
        )
        yield tuple(_scaled(share.to(accelerator.device)) for share in shares)
        drawn += 1
    if drawn < steps:
        raise TrainingError(
            f"Epoch {run.epoch}: `batches` ran dry after {drawn} batches, {steps} were announced. "
            f"Set steps_per_epoch to {drawn}, or let `batches` go on for ever."
        )


def _images(batch: Batch) -> int:
    return sum(len(part) for part in batch if part.ndim == 4) or len(batch[0])


def _scaled(tensor: Tensor) -> Tensor:
    return as_input(tensor) if tensor.dtype == torch.uint8 and tensor.ndim == 4 else tensor


def _value_and_numbers(result: Any, accelerator: Accelerator) -> tuple[Tensor, dict[str, float]]:
    """What to go downhill on, and what to log."""
    value, numbers = result if isinstance(result, tuple) else (result, {})
    return value, _means({"loss": value.detach(), **numbers}, accelerator)


def _means(numbers: dict[str, float | Tensor], accelerator: Accelerator) -> dict[str, float]:
    """The numbers, averaged over all processes, so that they all take the same decisions."""
    if accelerator.num_processes == 1:
        return {name: float(number) for name, number in numbers.items()}
    tensors = {
        name: torch.as_tensor(number, dtype=torch.float32) for name, number in numbers.items()
    }
    return {
        name: accelerator.reduce(t.to(accelerator.device), "mean").item()
        for name, t in tensors.items()
    }


def _measure(
    validate: Callable | None, model: nn.Module, recipe: Recipe, run: Run, accelerator: Accelerator
) -> dict[str, float]:
    if validate is None:
        return {}
    model.eval()
    torch.manual_seed(seed_of(recipe.seed, run.epoch, run.step))
    with torch.no_grad(), _in_float32(model):
        return _means(validate(model), accelerator)


@contextmanager
def _in_float32(model: nn.Module) -> Iterator[None]:
    """Measured as it will be used: without the bfloat16 that Accelerate wraps around `forward` for training."""
    wrapped, own = (
        model.forward,
        getattr(model, "_original_forward", None),
    )  # None: it trains in float32 anyway
    if own:
        model.forward = own
    try:
        yield
    finally:
        if own:
            model.forward = wrapped


def _generator(recipe: Recipe, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(recipe.seed, epoch))


def _identity(
    model: nn.Module,
    batches: Batches,
    recipe: Recipe,
    steps_per_epoch: int,
    about: dict[str, Any] | None,
) -> dict[str, Any]:
    """What a saved run must agree in before it is taken up: the recipe, the model, the data and its order."""
    first = next(iter(batches(1, _generator(recipe, 1))), None)
    if first is None:
        raise TrainingError(
            "`batches` gave not a single batch. Is the training set empty, or the batch size too large?"
        )
    settings = asdict(recipe)
    if not recipe.average:
        del settings[
            "average"
        ]  # as in the files of runs that were saved before there was such a setting
    return {
        "recipe": settings,
        "steps_per_epoch": steps_per_epoch,
        "about": about or {},
        "model": {
            "class": type(model).__qualname__,
            "arguments": getattr(model, "arguments", None),
        },
        "weights": {
            name: f"{tuple(parameter.shape)}{'' if parameter.requires_grad else ' frozen'}"
            for name, parameter in model.named_parameters()
        },
        "first batch": hash_of(first),
    }


def _adamw(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """The optimizer. Matrices and kernels shrink; gains and biases would lose what a norm or a layer is to put out."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    shrinking = {"params": [parameter for parameter in trained if parameter.ndim > 1]}
    others = {
        "params": [parameter for parameter in trained if parameter.ndim <= 1],
        "weight_decay": 0.0,
    }
    fused = recipe.device != "mps"  # one pass over all weights; the same numbers
    return torch.optim.AdamW([shrinking, others], weight_decay=recipe.weight_decay, fused=fused)


def _accelerator(recipe: Recipe) -> Accelerator:
    """Accelerate for the recipe's device and precision."""
    if AcceleratorState._shared_state:
        # Accelerate keeps the first device and precision of a process for good; a notebook may ask for others later.
        state = AcceleratorState()
        if (state.device.type, state.mixed_precision) != (recipe.device, recipe.precision):
            AcceleratorState._reset_state(
                reset_partial_state=int(os.environ.get("WORLD_SIZE", 1)) == 1
            )
    accelerator = Accelerator(cpu=recipe.device == "cpu", mixed_precision=recipe.precision)
    if accelerator.device.type != recipe.device:
        raise TrainingError(
            f"Recipe: device is {recipe.device!r}, but torch finds only {accelerator.device.type!r} here. "
            f"Use device={accelerator.device.type!r}."
        )
    return accelerator


@contextmanager
def _tidily(accelerator: Accelerator, network: nn.Module) -> Iterator[None]:
    """Afterwards, however it ends, the caller's random state and the model's own `forward` are as they were."""
    with torch.random.fork_rng([accelerator.device] if accelerator.device.type == "cuda" else []):
        try:
            yield
        finally:
            accelerator.unwrap_model(network, keep_fp32_wrapper=False)


def _bar(recipe: Recipe, steps_per_epoch: int, run: Run, progress: bool) -> tqdm:
    done = (run.epoch - 1) * steps_per_epoch + run.step
    hidden = not progress or not run.writes
    return tqdm(total=recipe.epochs * steps_per_epoch, initial=done, unit="step", disable=hidden)


def _show(bar: tqdm, run: Run) -> None:
    bar.set_description(f"epoch {run.epoch}", refresh=False)
    bar.set_postfix(loss=f"{run.sums['loss'] / run.step:.4f}", refresh=False)
    bar.update()


def _warn_of_collapse(history: list[dict[str, float]], recipe: Recipe, margin: Any) -> None:
    """Say so in the first epoch whose embeddings are all but one point: what was seen, and what to try."""
    collapsed = [row.get("spread", math.inf) < COLLAPSED for row in history]
    if not collapsed[-1] or any(collapsed[:-1]):
        return
    epoch, loss, spread = (history[-1][name] for name in ("epoch", "loss", "spread"))
    levels = {"the margin": margin, "ln 2 = 0.693, where a soft margin ends": math.log(2)}
    stands = [
        name for name, x in levels.items() if isinstance(x, Real) and abs(loss - x) < 0.05 * abs(x)
    ]
    warm_up = "" if recipe.schedule == "one-cycle" else " or a warm-up (schedule='one-cycle')"
    warnings.warn(
        f"The embeddings collapsed in epoch {epoch}: their spread is {spread:.2g} (0: all pictures are one point, 1: "
        f"they fill the sphere), and the loss is {loss:.3f}{f': it stands at {stands[0]}' if stands else ''}. Training "
        "goes on, but seldom recovers. Try, in another folder, random or semi-hard negatives for the first epochs, "
        f"the hardest of smaller groups, a lower learning_rate (now {recipe.learning_rate:g}){warm_up}, a margin "
        "instead of the soft margin, or the supervised contrastive loss.",
        CollapseWarning,
        stacklevel=3,
    )


def _not_finite(value: float, recipe: Recipe, rate: float, run: Run) -> str:
    return (
        f"The loss became {value} in epoch {run.epoch}, step {run.step + 1}, at a learning rate of {rate:.2g}. "
        f"Try a lower learning_rate (now {recipe.learning_rate:g}), a gradient clip (now {recipe.clip:g}; 1 is usual) "
        f"or precision='no' (now {recipe.precision!r}); and look for NaN in the data. "
        f"Then choose another folder, or delete {run.folder}: it holds the run that failed."
    )
