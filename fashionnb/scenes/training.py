"""How a model learns to complete a look, and what it says of every product: from v1's recipe to v2's, step by step.

A `Configuration` says what a model is taught by; `CONFIGURATIONS` has those of chapter 11 by name. `train` teaches, `scores` asks. The
models are in `fashionnb.models.complete_the_look`. An `HeldOut` asks about scenes that were held back, by the strict and
by the published protocol, and `fashionnb.scenes.protocol` judges the answers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import nll_loss

from fashionnb.errors import DataError
from fashionnb.losses import info_nce, similarity_triplet, spread
from fashionnb.miners import hardest_negatives
from fashionnb.models.complete_the_look import CompleteTheLook, LookAround
from fashionnb.outfits.negatives import NegativeSampler
from fashionnb.scenes.features import Pairs
from fashionnb.training import Batches, Recipe, fit

_STRIP = 256  # scenes that are asked at a time


@dataclass(frozen=True)
class Configuration:
    """What a model is, and what it is taught by. Introduced in chapter 11.

    model : "towers" or "look around". hidden, blocks, kind_width : of `CompleteTheLook`.
    labels : the tower of products reads what the shop says of them.
    contrast : each scene chooses among all products of its batch (`fashionnb.losses.info_nce`), not by triplets alone.
    negatives : of the triplets: "any" other product of the batch, one of the same "kind" drawn from all, or the
        "hardest" of the same kind in the batch.
    triplet : the weight of the triplets beside the contrast; 0: none. margin : of their cosines.
    masked : other products of the same scene are no wrong answers.
    extra_negatives : so many products that join the batch for each pair, drawn as often as they are used, as wrong answers.
    smoothing : of the contrast.
    """

    model: str = "towers"
    hidden: int = 512
    blocks: int = 2
    kind_width: int = 64
    labels: bool = False
    contrast: bool = True
    negatives: str = "hardest"
    triplet: float = 0.5
    margin: float = 0.2
    masked: bool = True
    extra_negatives: int = 0
    smoothing: float = 0.0

    def build(self, width: int, kinds: int, labels: Sequence[int] = ()) -> nn.Module:
        """The model, with random weights: for vectors of `width` numbers, so many kinds, labels of so many values."""
        labels = labels if self.labels else ()
        if self.model == "look around":
            return LookAround(width, kinds, labels=labels)
        blocks = self.blocks if self.hidden else 0
        return CompleteTheLook(
            width,
            kinds,
            hidden=self.hidden,
            blocks=blocks,
            kind_width=self.kind_width,
            labels=labels,
        )


_PLAIN = {"contrast": False, "negatives": "any", "masked": False}
CONFIGURATIONS = {
    "v1": Configuration(hidden=0, kind_width=0, **_PLAIN),
    "+ kind of product": Configuration(hidden=0, **_PLAIN),
    "+ residual towers": Configuration(**_PLAIN),
    "+ InfoNCE": Configuration(negatives="any", masked=False),
    "+ hard negatives": Configuration(masked=False),
    "v2": Configuration(),
    "v2 as published": Configuration(negatives="kind", masked=False),
    "ours without labels": Configuration(
        "look around", triplet=0, extra_negatives=2, smoothing=0.05
    ),
    "ours": Configuration("look around", labels=True, triplet=0, extra_negatives=2, smoothing=0.05),
}
"""The steps from v1 to v2, each with one change more; and what came of it. "v2" is "+ hard negatives" with siblings
masked; "v2 as published" draws the wrong product of a triplet at random within the leaf category, and masks nothing."""


def published_recipe(seed: int = 0, device: str = "cpu", precision: str = "no") -> Recipe:
    """v2's numbers as published: AdamW 3e-4, decay .01, batches of 256, warm-up and cosine, 50 epochs.

    Introduced in chapter 11. Its patience of 10 epochs only saves time: `train` keeps the best epoch anyway.
    """
    return Recipe(
        50,
        256,
        3e-4,
        weight_decay=0.01,
        schedule="warm-cosine",
        seed=seed,
        device=device,
        precision=precision,
    )


def train(
    model: nn.Module,
    way: Configuration,
    pairs: Pairs,
    rows: Tensor,
    recipe: Recipe,
    folder: Path | str,
    *,
    validate: Callable[[nn.Module], dict[str, float]] | None = None,
    monitor: str | None = None,
    uncut: bool = False,
) -> pd.DataFrame:
    """Teach a model by some of the pairs. Introduced in chapter 11.

    Parameters
    ----------
    model : as `Configuration.build` makes it. rows : (m,) int64, the pairs to learn from.
    validate, monitor, folder : as `fashionnb.training.fit`. uncut : leave the products in the scenes.

    Returns
    -------
    history : one row per epoch.

    Raises
    ------
    DataError : fewer pairs than fill a batch, a batch of one, or negatives of an unknown kind.
    TrainingError : as `fashionnb.training.fit`.
    """
    if way.negatives not in ("any", "kind", "hardest"):
        raise DataError(f"There are no negatives {way.negatives!r}; there are any, kind, hardest.")
    if recipe.batch_size < 2:
        raise DataError(
            f"In a batch of {recipe.batch_size} there is no wrong product; raise batch_size."
        )
    if len(rows) < recipe.batch_size:
        raise DataError(
            f"{len(rows)} pairs do not fill a batch of {recipe.batch_size}; lower batch_size."
        )
    there = pairs.to(recipe.device)
    known = _Known(pairs.views.scene[rows], pairs.product[rows], len(pairs.features), recipe.device)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, float]]:
        rows, drawn = batch
        n, columns = len(rows), torch.cat([there.product[rows], drawn.T.flatten()])
        features, kinds, labels = there.products(columns)
        points = model.product(features, kinds, labels)
        looked = model.look(there.scene(rows, uncut))
        unsure = known(there.views.scene[rows], columns)
        used = n + n * way.extra_negatives
        if way.model == "look around":  # the kind first, then a product among those of this kind
            logits = model.logits_of_a_kind(looked, points[:used], kinds[:n])
            other = kinds[:n, None] != kinds[:used]
            value = info_nce(logits, other | unsure[:, :used], way.smoothing) + nll_loss(
                looked[1], kinds[:n]
            )
            return value, {"spread": spread(points)}
        similar = model.similarities(looked, points, kinds)
        value = points.new_zeros(())
        if way.contrast:
            logits = model.logits(looked, points[:used], kinds[:used])
            value = info_nce(logits, unsure[:, :used] if way.masked else None, way.smoothing)
        if way.negatives == "hardest":
            a, p, wrong = hardest_negatives(similar, kinds, unsure if way.masked else None)
        else:
            a = torch.arange(n, device=rows.device)
            if way.negatives == "kind":
                wrong = len(columns) - n + a  # the last of what was drawn is there for the triplets
            else:
                wrong = (a + torch.randint(1, n, (n,), device=rows.device)) % n
            a = a[~unsure[a, wrong]]  # by chance it may be right
            p, wrong = a, wrong[a]
        weight = way.triplet if way.contrast else 1.0
        value = value + weight * similarity_triplet(similar[a, p], similar[a, wrong], way.margin)
        return value, {"spread": spread(points)}

    batches = _batches(way, pairs, rows, recipe.batch_size)
    return fit(
        model, batches, loss, recipe, steps_per_epoch=len(rows) // recipe.batch_size, folder=folder,
        validate=validate, monitor=monitor, progress=False,
        about={"way": str(way), "margin": way.margin, "uncut": uncut, "rows": len(rows)},
    )  # fmt: skip


@torch.no_grad()
def scores(
    model: nn.Module, pairs: Pairs, rows: Tensor, gallery: Tensor, uncut: bool = False
) -> np.ndarray:
    """How well each product of a gallery fits the scene of each pair. Introduced in chapter 11.

    Parameters
    ----------
    rows : (q,) int64, of the pairs. gallery : (g,) int64, rows of the products. uncut : leave the products in.

    Returns
    -------
    (q, g) float32, higher is better.
    """
    was, device = model.training, next(model.parameters()).device
    model.eval()
    features, kinds, labels = (
        part if part is None else part.to(device) for part in pairs.products(gallery)
    )
    points = model.product(features, kinds, labels)
    found = [
        model.logits(
            model.look(tuple(part.to(device) for part in pairs.scene(some, uncut))), points, kinds
        ).cpu()
        for some in rows.split(_STRIP)
    ]
    model.train(was)
    return torch.cat(found).float().numpy()


class _Known:
    """Which products are known to be in which scene."""

    def __init__(self, scene: Tensor, product: Tensor, products: int, device: str) -> None:
        self.products = products
        self.codes = (scene * products + product).unique().to(device)

    def __call__(self, scene: Tensor, product: Tensor) -> Tensor:
        """(n,) and (m,) -> (n, m) bool."""
        asked = scene[:, None] * self.products + product
        place = torch.searchsorted(self.codes, asked).clamp_max(len(self.codes) - 1)
        return self.codes[place] == asked


def _batches(way: Configuration, pairs: Pairs, rows: Tensor, size: int) -> Batches:
    """Pairs in a new order in each epoch, and for each some products drawn as wrong answers, (n, r)."""
    own = pairs.product[rows]
    used = own.unique()
    extra_negatives = (
        NegativeSampler(pairs.kinds[used].numpy()) if way.negatives == "kind" else None
    )
    place = torch.zeros(len(pairs.features), dtype=torch.int64)
    place[used] = torch.arange(len(used))

    def batches(epoch: int, generator: torch.Generator):
        for some in rows[torch.randperm(len(rows), generator=generator)].split(size):
            drawn = [
                own[torch.randint(len(own), (len(some), way.extra_negatives), generator=generator)]
            ]
            if extra_negatives is not None:
                drawn.append(used[extra_negatives.draw(place[pairs.product[some]], 1, generator)])
            yield some, torch.cat(drawn, 1)

    return batches
