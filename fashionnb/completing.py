"""How a model learns to complete a look, and what it says of every product: from v1's recipe to v2's, step by step.

A `Way` says what a model is taught by; `WAYS` has those of chapter 11 by name. `learn` teaches, `scores` asks. The
models are in `fashionnb.models.complete_the_look`, the questions' answers are judged by
`fashionnb.evaluation.completing`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from fashionnb.data.rivals import Rivals
from fashionnb.errors import DataError
from fashionnb.losses import info_nce, similarity_triplet, spread
from fashionnb.miners import hardest_rivals
from fashionnb.models.complete_the_look import CompleteTheLook, LookAround
from fashionnb.scenery import Views
from fashionnb.training import Batches, Recipe, fit

_STRIP = 256  # scenes that are asked at a time


@dataclass(frozen=True, eq=False)
class Pairs:
    """n pairs of a scene and a product that is cut out of it, and p products. Introduced in chapter 11.

    views : of the scenes, n rows. product : (n,) int64, a row of the products.
    features : (p, d) float32. kinds : (p,) int64, from 0 on.

    Raises `DataError` if they disagree.
    """

    views: Views
    product: Tensor
    features: Tensor
    kinds: Tensor

    def __post_init__(self) -> None:
        n, p = len(self.views), len(self.features)
        if self.product.shape != (n,) or self.kinds.shape != (p,) or (n and int(self.product.max()) >= p):
            raise DataError(
                f"Expected one product, below {p}, for each of {n} pairs, and a kind for each of {p} products; got "
                f"{tuple(self.product.shape)} and {tuple(self.kinds.shape)}."
            )

    def __len__(self) -> int:
        return len(self.product)

    def scene(self, rows: Tensor, uncut: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """The scenes of these pairs as the models take them; `uncut` leaves the product in, everywhere."""
        scene, free = self.views.scene[rows], self.views.free[rows]
        crops = self.views.uncut[scene] if uncut else self.views.crops[rows]
        return crops, self.views.windows[scene].float(), torch.ones_like(free) if uncut else free

    def to(self, device: str) -> "Pairs":
        """The same on another device."""
        return Pairs(self.views.to(device), *(part.to(device) for part in (self.product, self.features, self.kinds)))


@dataclass(frozen=True)
class Way:
    """What a model is, and what it is taught by. Introduced in chapter 11.

    model : "towers" or "look around". hidden, blocks, kind_width : of `CompleteTheLook`.
    contrast : each scene chooses among all products of its batch (`fashionnb.losses.info_nce`), not by triplets alone.
    negatives : of the triplets: "any" product at random, one of the same "kind", or the "hardest" of the same kind.
    triplet : the weight of the triplets beside the contrast. margin : of their cosines.
    masked : other products of the same scene are no wrong answers.
    rivals : products of the same kind that join the batch for each pair, as wrong answers.
    smoothing : of the contrast.
    """

    model: str = "towers"
    hidden: int = 512
    blocks: int = 2
    kind_width: int = 64
    contrast: bool = True
    negatives: str = "hardest"
    triplet: float = 0.5
    margin: float = 0.2
    masked: bool = True
    rivals: int = 0
    smoothing: float = 0.0

    def build(self, width: int, kinds: int) -> nn.Module:
        """The model, with random weights, for vectors of `width` numbers and so many kinds."""
        if self.model == "look around":
            return LookAround(width, kinds)
        return CompleteTheLook(
            width, kinds, hidden=self.hidden, blocks=self.blocks if self.hidden else 0, kind_width=self.kind_width
        )


_PLAIN = {"contrast": False, "negatives": "any", "masked": False}
WAYS = {
    "v1": Way(hidden=0, kind_width=0, **_PLAIN),
    "+ kind of product": Way(hidden=0, **_PLAIN),
    "+ residual towers": Way(**_PLAIN),
    "+ InfoNCE": Way(negatives="any", masked=False),
    "+ hard negatives": Way(masked=False),
    "v2": Way(),
    "v2 as published": Way(negatives="kind", masked=False),
    "ours": Way("look around", rivals=1, smoothing=0.1),
}
"""The steps from v1 to v2, each with one change more; and what came of it. "v2" is "+ hard negatives" with siblings
masked; "v2 as published" draws the wrong product of a triplet at random within the leaf category, and masks nothing."""


def published_recipe(seed: int = 0, device: str = "cpu", precision: str = "no") -> Recipe:
    """v2's numbers as published: AdamW 3e-4, decay .01, batches of 256, warm-up and cosine, 50 epochs.

    Introduced in chapter 11. Its patience of 10 epochs only saves time: `learn` keeps the best epoch anyway.
    """
    return Recipe(
        50, 256, 3e-4, weight_decay=0.01, schedule="warm-cosine", seed=seed, device=device, precision=precision
    )


def learn(
    model: nn.Module,
    way: Way,
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
    model : as `Way.build` makes it. rows : (m,) int64, the pairs to learn from.
    validate, monitor, folder : as `fashionnb.training.fit`. uncut : leave the products in the scenes.

    Returns
    -------
    history : one row per epoch.

    Raises
    ------
    DataError : fewer pairs than fill a batch, or negatives of an unknown kind.
    TrainingError : as `fashionnb.training.fit`.
    """
    if way.negatives not in ("any", "kind", "hardest"):
        raise DataError(f"There are no negatives {way.negatives!r}; there are any, kind, hardest.")
    if len(rows) < recipe.batch_size:
        raise DataError(f"{len(rows)} pairs do not fill a batch of {recipe.batch_size}; lower batch_size.")
    there = pairs.to(recipe.device)
    known = _Known(pairs.views.scene[rows], pairs.product[rows], len(pairs.features), recipe.device)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, float]]:
        rows, drawn = batch
        n, columns = len(rows), torch.cat([there.product[rows], drawn.T.flatten()])
        kinds = there.kinds[columns]
        points = model.product(there.features[columns], kinds)
        looked = model.look(there.scene(rows, uncut))
        unsure = known(there.views.scene[rows], columns)
        value, similar = points.new_zeros(()), model.similarities(looked, points, kinds)
        if way.contrast:
            used = n + n * way.rivals
            logits = model.logits(looked, points[:used], kinds[:used])
            value = info_nce(logits, unsure[:, :used] if way.masked else None, way.smoothing)
        if way.negatives == "hardest":
            a, p, wrong = hardest_rivals(similar, kinds, unsure if way.masked else None)
        else:  # the last of what was drawn is there for the triplets; by chance it may be right
            a = torch.arange(n, device=rows.device)
            a = a[~unsure[a, len(columns) - n + a]]
            p, wrong = a, len(columns) - n + a
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
def scores(model: nn.Module, pairs: Pairs, rows: Tensor, gallery: Tensor, uncut: bool = False) -> np.ndarray:
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
    kinds = pairs.kinds[gallery].to(device)
    points = model.product(pairs.features[gallery].to(device), kinds)
    found = [
        model.logits(model.look(tuple(part.to(device) for part in pairs.scene(some, uncut))), points, kinds).cpu()
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


def _batches(way: Way, pairs: Pairs, rows: Tensor, size: int) -> Batches:
    """Pairs in a new order in each epoch, and for each some products drawn as wrong answers, (n, r)."""
    used = pairs.product[rows].unique()
    by_kind, any_kind = Rivals(pairs.kinds[used].numpy()), Rivals(np.zeros(len(used)))
    place = torch.zeros(len(pairs.features), dtype=torch.int64)
    place[used] = torch.arange(len(used))

    def batches(epoch: int, generator: torch.Generator):
        for some in rows[torch.randperm(len(rows), generator=generator)].split(size):
            own = place[pairs.product[some]]
            drawn = [by_kind.draw(own, way.rivals, generator)] if way.rivals else []
            if way.negatives != "hardest":
                drawn.append((any_kind if way.negatives == "any" else by_kind).draw(own, 1, generator))
            yield some, used[torch.cat(drawn, 1)] if drawn else used.new_empty(len(some), 0)

    return batches
