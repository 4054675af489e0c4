"""Train any model: `fit` is the loop, `Recipe` its settings, `learning_rate` its schedules.

What a batch is and what its loss is are two functions of the caller, so the loop is the same for
triplets, classes and outfits. It saves itself as it goes: the same call again resumes where it
stopped, with the same numbers to the last bit (on a CPU). How: `fashionnb.training.resume`.
"""

import math
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from numbers import Real
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from fashionnb.errors import CollapseWarning, TrainingError, needs_extra
from fashionnb.models import as_input, evaluating
from fashionnb.training.resume import Run, hash_of, interruptible, seed_of

with needs_extra("notebook", "Training"):
    from accelerate import Accelerator
    from accelerate.utils import convert_outputs_to_fp32

Batch = tuple[Tensor, ...]
Batches = Callable[[int, torch.Generator], Iterable[Batch]]
Loss = Callable[[nn.Module, Batch], Tensor | tuple[Tensor, dict[str, float]]]
COLLAPSED = 0.05
"""The spread below which embeddings count as collapsed: two of them then lie about 0.07 apart (√2
times the spread), so that hardly a triplet keeps a margin of 0.2. On Fashion-MNIST healthy runs
stay above 0.6, an untrained network begins at 0.4, and a collapse ends at 0.003."""
LEAST = {
    "epochs": 1, "batch_size": 1, "learning_rate": 1e-12, "weight_decay": 0, "clip": 0, "seed": 0,
    "average": 0,
}  # fmt: skip
CHOICES = {
    "schedule": ("one-cycle", "constant", "warm-cosine"),
    "precision": ("no", "bf16"),
}


@dataclass(frozen=True)
class Recipe:
    """Settings of a training run: epochs, learning rate and schedule, seed, device and precision.

    Parameters
    ----------
    epochs : int
        How often the model is trained on `steps_per_epoch` batches.
    batch_size : int
        Items in a batch, for `batches`; the loop itself does not use it.
    learning_rate : float
        At its highest, above 0.
    weight_decay : float
        Of AdamW, 0 or more.
    schedule : {"one-cycle", "constant", "warm-cosine"}
        How the learning rate changes, see `learning_rate`.
    clip : float
        The largest norm of the gradient; 0 switches clipping off.
    seed : int
        Of the batches and of dropout.
    device : str
        Where the model is trained: "cpu", "cuda" or "mps", or such as "cuda:1".
    precision : {"no", "bf16"}
        "no" is float32.
    average : int
        The last epochs over whose steps the weights are averaged; 0 keeps those of the last step.

    Raises
    ------
    TrainingError
        If a value is out of its range.

    References
    ----------
    Loshchilov & Hutter (2019), Decoupled Weight Decay Regularization: AdamW.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 1e-4
    schedule: str = "one-cycle"
    clip: float = 1.0
    seed: int = 0
    device: str = "cpu"
    precision: str = "no"
    average: int = 0

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            value = getattr(self, name)
            if not isinstance(value, Real) or not value >= least:
                raise TrainingError(
                    f"Recipe: {name} is {value!r}, it must be a number of at least {least}."
                )
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise TrainingError(
                    f"Recipe: {name} is {getattr(self, name)!r}, it must be one of "
                    f"{', '.join(known)}."
                )
        if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", str(self.device)):
            raise TrainingError(
                f"Recipe: device is {self.device!r}, it must be cpu, cuda, mps or such as cuda:1."
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
    about: dict[str, Any] | None = None,
    progress: bool = True,
    on_epoch: Callable[[pd.DataFrame], None] | None = None,
) -> pd.DataFrame:
    """Train a model in place, or resume the training run that was interrupted in `folder`.

    Parameters
    ----------
    model : nn.Module
        Afterwards in evaluation mode, with the weights of the best epoch if `monitor` is given,
        else of the last step; or with `recipe.average` the mean of the weights, and of the
        statistics of batch normalisation, after each step of the last epochs. `validate` measures
        the weights that are trained, not their mean.
    batches : callable
        Called with the epoch (from 1) and a generator seeded for that epoch; returns tuples of
        tensors, as many as it likes (an endless sampler is fine). It must draw from that generator
        alone, so that the epoch can be replayed. uint8 images (n, c, h, w) are scaled to [0, 1] on
        the device.
    loss : callable
        Returns a scalar for the model and a batch; or that and more numbers to log, averaged over
        the epoch. If one of them is called "spread" (see `fashionnb.losses.spread`), a collapse
        is warned of.
    recipe : Recipe
        The settings of the run.
    steps_per_epoch : int
        Batches that make an epoch.
    folder : path
        For `last.safetensors` (the run) and `best.safetensors`.
    validate : callable, optional
        Measures the model after each epoch, in evaluation mode, in float32 and without gradients.
    monitor : str, optional
        The number that decides which epoch is best: that where it is highest.
    about : dict, optional
        Further settings of the run, such as the "margin". Saved, and compared before resuming.
    progress : bool
        Whether to show a bar.
    on_epoch : callable, optional
        Called with the history after each epoch, and once when a run is resumed; in every
        process. For plots, and for batches that depend on the validation: they keep no state, but
        read in the history what was measured before their epoch.

    Returns
    -------
    DataFrame
        The history, one row per epoch: epoch (from 1), loss, learning_rate (its mean), further
        numbers of `loss`, seconds (without `validate`), images_per_second, and what `validate`
        returned. A finished run returns it at once. `history.attrs["earlier_seconds"]` are those
        seconds that were spent before this call.

    Raises
    ------
    TrainingError
        If the loss is not finite, `batches` ends too early, `monitor` names no number or comes
        with `recipe.average`, the device is missing, or `folder` holds another run.
    KeyboardInterrupt
        After Ctrl-C, when the current step is done and saved. A second Ctrl-C does not wait.

    Warns
    -----
    CollapseWarning
        Once, if the spread of an epoch is below `COLLAPSED`. The training goes on.

    References
    ----------
    Izmailov et al. (2018), Averaging Weights Leads to Wider Optima and Better Generalization.
    """
    if monitor and recipe.average:
        raise TrainingError(
            "Give `monitor` or `recipe.average`: weights are of the best epoch, or a mean over "
            "epochs."
        )
    # Accelerate only distributes here. It keeps the first device and precision of a process for
    # good, and a notebook may ask for others later, so both are ours.
    accelerator = Accelerator(device_placement=False, mixed_precision="no")
    device = _device(recipe, accelerator)
    network, optimizer = accelerator.prepare(model.to(device), _adamw(model, recipe))
    identity = _identity(model, batches, recipe, steps_per_epoch, about)
    run = Run(Path(folder), model, optimizer, identity, monitor, writes=accelerator.is_main_process)
    earlier = sum(row["seconds"] for row in run.history) + run.sums.get("seconds", 0.0)
    if on_epoch and run.history:
        on_epoch(pd.DataFrame(run.history))

    with (
        interruptible() as stop,
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        tqdm(
            total=recipe.epochs * steps_per_epoch,
            initial=(run.epoch - 1) * steps_per_epoch + run.step,
            unit="step",
            disable=not progress or not run.writes,
        ) as bar,
    ):
        while run.epoch <= recipe.epochs:
            network.train()
            with _autocast(model, device, recipe.precision):
                for whole in _rest_of_epoch(batches, recipe, steps_per_epoch, run):
                    batch = _share(whole, accelerator, device)
                    done = (run.epoch - 1 + run.step / steps_per_epoch) / recipe.epochs
                    rate = learning_rate(recipe, done)
                    numbers = _step(network, batch, loss, optimizer, recipe, rate, run, accelerator)
                    if run.epoch > recipe.epochs - recipe.average:
                        run.average()
                    run.count(numbers, _images(batch) * accelerator.num_processes)
                    bar.set_description(f"epoch {run.epoch}", refresh=False)
                    bar.set_postfix(loss=f"{run.sums['loss'] / run.step:.4f}", refresh=False)
                    bar.update()
                    run.save_now_and_then(stop)  # after Ctrl-C: saves, and stops here

            run.finish_epoch(_measure(validate, model, recipe, run, accelerator))
            if run.writes:
                _warn_of_collapse(run.history, recipe, (about or {}).get("margin"))
            if on_epoch:
                on_epoch(pd.DataFrame(run.history))
            run.save_now_and_then(stop)

    accelerator.wait_for_everyone()
    model.eval()
    if monitor:
        run.load_best()
    if recipe.average:
        model.load_state_dict(run.mean)
    history = pd.DataFrame(run.history)
    history.attrs["earlier_seconds"] = earlier
    return history


def learning_rate(recipe: Recipe, done: float) -> float:
    """Compute the learning rate of a training run's schedule at one moment of the run.

    It follows from the moment alone, so there is no state to save.

    Parameters
    ----------
    recipe : Recipe
        Its `schedule` is one of

        - "one-cycle": up from 1/25 during the first 30 %, then down to 0, both along a cosine;
        - "constant";
        - "warm-cosine": up along a line during the first 10 %, then down to 0 along a cosine.
    done : float
        The share of the run that is finished, 0 to 1.

    Returns
    -------
    float
        From 0 to `recipe.learning_rate`.

    References
    ----------
    Smith & Topin (2018), Super-Convergence: "one-cycle".
    Loshchilov & Hutter (2017), SGDR: "warm-cosine".
    """
    warm_up = 0.3 if recipe.schedule == "one-cycle" else 0.1
    if recipe.schedule == "constant":
        share = 1.0
    elif done >= warm_up:
        share = (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up))) / 2
    elif recipe.schedule == "one-cycle":
        share = 1 / 25 + 24 / 25 * (1 - math.cos(math.pi * done / warm_up)) / 2
    else:
        share = done / warm_up
    return recipe.learning_rate * share


def _device(recipe: Recipe, accelerator: Accelerator) -> torch.device:
    """The recipe's device; of several processes each has the GPU that Accelerate gives it."""
    wanted = torch.device(recipe.device)
    if accelerator.num_processes == 1 and wanted.type == "cpu":
        return wanted
    if wanted.type != accelerator.device.type:
        raise TrainingError(
            f"Recipe: device is {recipe.device!r}, but Accelerate finds only "
            f"{accelerator.device.type!r} here. Use device={accelerator.device.type!r}."
        )
    alone = accelerator.num_processes == 1 and wanted.index is not None
    return wanted if alone else accelerator.device


@contextmanager
def _autocast(model: nn.Module, device: torch.device, precision: str) -> Iterator[None]:
    """Within the block the model computes in bfloat16, if asked to, and returns float32."""
    if precision == "no":
        yield
        return
    half = torch.autocast(device.type, torch.bfloat16)(model.forward)
    model.forward = convert_outputs_to_fp32(half)
    try:
        yield
    finally:
        del model.forward  # that of its class is used again


def _rest_of_epoch(batches: Batches, recipe: Recipe, steps: int, run: Run) -> Iterator[Batch]:
    """The batches of the current epoch that were not trained on yet."""
    drawn = run.step
    for batch in islice(batches(run.epoch, _generator(recipe, run.epoch)), drawn, steps):
        yield batch
        drawn += 1
    if drawn < steps:
        raise TrainingError(
            f"Epoch {run.epoch}: `batches` ended after {drawn} batches, {steps} were expected. "
            f"Set steps_per_epoch to {drawn}, or let `batches` be endless."
        )


def _share(batch: Batch, accelerator: Accelerator, device: torch.device) -> Batch:
    """The part of a batch that this process trains on, on its device."""
    count, own = accelerator.num_processes, accelerator.process_index
    return tuple(_scaled(part.tensor_split(count)[own].to(device)) for part in batch)


def _scaled(tensor: Tensor) -> Tensor:
    return as_input(tensor) if tensor.dtype == torch.uint8 and tensor.ndim == 4 else tensor


def _images(batch: Batch) -> int:
    return sum(len(part) for part in batch if part.ndim == 4) or len(batch[0])


def _step(
    network: nn.Module,
    batch: Batch,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    rate: float,
    run: Run,
    accelerator: Accelerator,
) -> dict[str, float]:
    """Train on one batch, and return the numbers to log."""
    torch.manual_seed(seed_of(recipe.seed, run.epoch, run.step))  # any step can be replayed
    for group in optimizer.param_groups:
        group["lr"] = rate
    result = loss(network, batch)
    value, more = result if isinstance(result, tuple) else (result, {})
    numbers = _means({"loss": value.detach(), **more}, accelerator)
    if not math.isfinite(numbers["loss"]):
        raise TrainingError(
            f"The loss became {numbers['loss']} in epoch {run.epoch}, step {run.step + 1}, at a "
            f"learning rate of {rate:.2g}. Try a lower learning_rate (now "
            f"{recipe.learning_rate:g}), a gradient clip (now {recipe.clip:g}; 1 is usual) or "
            f"precision='no' (now {recipe.precision!r}); and look for NaN in the data. Then choose "
            f"another folder, or delete {run.folder}: it holds the run that failed."
        )
    optimizer.zero_grad()
    accelerator.backward(value)
    if recipe.clip:
        accelerator.clip_grad_norm_(network.parameters(), recipe.clip)
    optimizer.step()
    return {**numbers, "learning_rate": rate}


def _means(numbers: dict[str, float | Tensor], accelerator: Accelerator) -> dict[str, float]:
    """The numbers, averaged over all processes, so that they all decide the same."""
    if accelerator.num_processes == 1:
        return {name: float(number) for name, number in numbers.items()}
    tensors = {
        name: torch.as_tensor(number, dtype=torch.float32, device=accelerator.device)
        for name, number in numbers.items()
    }
    means = accelerator.reduce(tensors, "mean")
    return {name: mean.item() for name, mean in means.items()}


def _measure(
    validate: Callable | None, model: nn.Module, recipe: Recipe, run: Run, accelerator: Accelerator
) -> dict[str, float]:
    if validate is None:
        return {}
    torch.manual_seed(seed_of(recipe.seed, run.epoch, run.step))
    with evaluating(model):
        return _means(validate(model), accelerator)


def _generator(recipe: Recipe, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(recipe.seed, epoch))


def _identity(
    model: nn.Module,
    batches: Batches,
    recipe: Recipe,
    steps_per_epoch: int,
    about: dict[str, Any] | None,
) -> dict[str, Any]:
    """What a saved run must have in common with this one: recipe, model, data and their order."""
    first = next(iter(batches(1, _generator(recipe, 1))), None)
    if first is None:
        raise TrainingError(
            "`batches` returned not a single batch. Is the training set empty, or the batch size "
            "too large?"
        )
    return {
        "recipe": asdict(recipe),
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
    """AdamW, with weight decay for matrices and kernels, and none for gains and biases."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    shrinking = {"params": [parameter for parameter in trained if parameter.ndim > 1]}
    others = {
        "params": [parameter for parameter in trained if parameter.ndim <= 1],
        "weight_decay": 0.0,
    }
    fused = recipe.device != "mps"  # one pass over all weights; the same numbers
    return torch.optim.AdamW([shrinking, others], weight_decay=recipe.weight_decay, fused=fused)


def _warn_of_collapse(history: list[dict[str, float]], recipe: Recipe, margin: Any) -> None:
    """Warn in the first epoch whose embeddings are nearly one point."""
    collapsed = [row.get("spread", math.inf) < COLLAPSED for row in history]
    if not collapsed[-1] or any(collapsed[:-1]):
        return
    epoch, loss, spread = (history[-1][name] for name in ("epoch", "loss", "spread"))
    levels = {"the margin": margin, "ln 2 = 0.693, where a soft margin ends": math.log(2)}
    near = [
        name for name, x in levels.items() if isinstance(x, Real) and abs(loss - x) < 0.05 * abs(x)
    ]
    stands = f": it stands at {near[0]}" if near else ""
    warm_up = "" if recipe.schedule == "one-cycle" else " or a warm-up (schedule='one-cycle')"
    warnings.warn(
        f"The embeddings collapsed in epoch {epoch}: their spread is {spread:.2g} (0: all pictures "
        f"are one point, 1: they fill the sphere), and the loss is {loss:.3f}{stands}. "
        "Training goes on, but rarely recovers. "
        "Try, in another folder, random or semi-hard negatives for the first epochs, the hardest "
        f"of smaller batches, a lower learning_rate (now {recipe.learning_rate:g}){warm_up}, a "
        "margin instead of the soft margin, or the supervised contrastive loss.",
        CollapseWarning,
        stacklevel=3,
    )
