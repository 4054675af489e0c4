"""Training recipes for complete-the-look models, and their scores for a gallery of products.

A `Configuration` says which network is trained with which loss; `CONFIGURATIONS` names the steps
from the baseline v1 to v2, and this book's own networks. The networks are in
`fashionnb.models.complete_the_look`; `fashionnb.scenes.protocol` evaluates the scores.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import nll_loss

from fashionnb.data.samplers import NegativeSampler
from fashionnb.errors import DataError
from fashionnb.losses import info_nce, similarity_triplet, spread
from fashionnb.miners import hardest_negatives
from fashionnb.models import evaluating
from fashionnb.models.complete_the_look import CompleteTheLook, LookAround
from fashionnb.scenes.features import Pairs
from fashionnb.training import Batches, Recipe, fit

_CHUNK = 256  # scenes that are scored at a time


@dataclass(frozen=True)
class Configuration:
    """Configuration of training on scenes: which complete-the-look network, with which loss.

    Parameters
    ----------
    architecture : str
        "towers" (`CompleteTheLook`) or "look around" (`LookAround`).
    hidden, blocks, kind_width : int
        As in `CompleteTheLook`; `LookAround` ignores them.
    use_labels : bool
        The product encoder also reads the labels of a product, such as its colour.
    info_nce : bool
        Contrast each scene with all products of its batch (`fashionnb.losses.info_nce`), not with
        triplets alone.
    triplet_negatives : str
        "any" other product of the batch, one of the same "kind" sampled from all products, or the
        "hardest" of the same kind in the batch.
    triplet_weight : float
        Weight of the triplet loss where it is added to InfoNCE; 0 leaves it out.
    margin : float
        Of the triplet loss, on cosines.
    mask_same_scene : bool
        Other products of the same scene are not used as negatives.
    extra_negatives : int
        Products that are added to the batch for each pair, sampled as often as they are used.
    label_smoothing : float
        Of InfoNCE.
    """

    architecture: str = "towers"
    hidden: int = 512
    blocks: int = 2
    kind_width: int = 64
    use_labels: bool = False
    info_nce: bool = True
    triplet_negatives: str = "hardest"
    triplet_weight: float = 0.5
    margin: float = 0.2
    mask_same_scene: bool = True
    extra_negatives: int = 0
    label_smoothing: float = 0.0

    def build(self, width: int, kinds: int, labels: Sequence[int] = ()) -> nn.Module:
        """Make the network with random weights.

        Parameters
        ----------
        width : int
            Length of the feature vectors.
        kinds : int
            Number of kinds of products.
        labels : sequence of int
            Number of values of each label; read only with `use_labels`.

        Returns
        -------
        CompleteTheLook or LookAround
        """
        labels = labels if self.use_labels else ()
        if self.architecture == "look around":
            return LookAround(width, kinds, labels=labels)
        return CompleteTheLook(
            width,
            kinds,
            hidden=self.hidden,
            blocks=self.blocks if self.hidden else 0,
            kind_width=self.kind_width,
            labels=labels,
        )


_BASELINE = {"info_nce": False, "triplet_negatives": "any", "mask_same_scene": False}
_LOOK_AROUND = {
    "architecture": "look around",
    "triplet_weight": 0,
    "extra_negatives": 2,
    "label_smoothing": 0.05,
}
CONFIGURATIONS = {
    "v1": Configuration(hidden=0, kind_width=0, **_BASELINE),
    "+ kind of product": Configuration(hidden=0, **_BASELINE),
    "+ residual towers": Configuration(**_BASELINE),
    "+ InfoNCE": Configuration(triplet_negatives="any", mask_same_scene=False),
    "+ hard negatives": Configuration(mask_same_scene=False),
    "v2": Configuration(),
    "v2 as published": Configuration(triplet_negatives="kind", mask_same_scene=False),
    "ours without labels": Configuration(**_LOOK_AROUND),
    "ours": Configuration(use_labels=True, **_LOOK_AROUND),
}
"""The steps from v1 to v2, each with one change, and the book's own networks.

"v2" is "+ hard negatives" with other products of the same scene masked. "v2 as published" samples
the negative of a triplet within the leaf category and masks nothing.
"""


def published_recipe(seed: int = 0, device: str = "cpu", precision: str = "no") -> Recipe:
    """Return the settings for training complete-the-look v2 on scenes as published.

    They are AdamW with 3e-4 and weight decay .01, batches of 256, 50 epochs, and the schedule
    warm-up and cosine. The published patience of 10 epochs is left out: it only saves time, since
    `train` keeps the best epoch.

    Parameters
    ----------
    seed : int
        Of the batches and of dropout.
    device : str
        Where to train.
    precision : {"no", "bf16"}
        "no" is float32.

    Returns
    -------
    Recipe
        For `train`.
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
    configuration: Configuration,
    pairs: Pairs,
    rows: Tensor,
    recipe: Recipe,
    folder: Path | str,
    *,
    validate: Callable[[nn.Module], dict[str, float]] | None = None,
    monitor: str | None = None,
    uncut: bool = False,
) -> pd.DataFrame:
    """Train a complete-the-look network on pairs of a scene and a product.

    Parameters
    ----------
    model : Module
        As `Configuration.build` makes it.
    configuration : Configuration
        The loss and its negatives.
    pairs : Pairs
        Scenes and products.
    rows : Tensor of shape (m,), int64
        The training pairs.
    recipe : Recipe
        The settings, with a batch size from 2 to m.
    folder : Path or str
        For the files of the run, as in `fashionnb.training.fit`.
    validate : callable, optional
        Measures the model after each epoch: model -> name -> number.
    monitor : str, optional
        The number of `validate` by which the best epoch is chosen: where it is highest.
    uncut : bool
        Leave the products in the scenes, to measure how much that gives away.

    Returns
    -------
    DataFrame
        The history, one row per epoch.

    Raises
    ------
    DataError
        If there are fewer pairs than a batch has, a batch of one, or unknown triplet negatives.
    TrainingError
        As `fashionnb.training.fit`.
    """
    if configuration.triplet_negatives not in ("any", "kind", "hardest"):
        raise DataError(
            f"There are no triplet_negatives {configuration.triplet_negatives!r}; "
            "use any, kind or hardest."
        )
    if recipe.batch_size < 2:
        raise DataError(
            f"A batch of {recipe.batch_size} contains no negative; raise batch_size to 2 or more."
        )
    if len(rows) < recipe.batch_size:
        raise DataError(
            f"{len(rows)} pairs do not fill a batch of {recipe.batch_size}; lower batch_size."
        )
    about = {
        "configuration": str(configuration),
        "margin": configuration.margin,
        "uncut": uncut,
        "rows": len(rows),
    }
    return fit(
        model,
        _batches(configuration, pairs, rows, recipe.batch_size),
        _loss_of(configuration, pairs.to(recipe.device), rows, uncut),
        recipe,
        steps_per_epoch=len(rows) // recipe.batch_size,
        folder=folder,
        validate=validate,
        monitor=monitor,
        about=about,
        progress=False,
    )


def score_gallery(
    model: nn.Module, pairs: Pairs, rows: Tensor, gallery: Tensor, uncut: bool = False
) -> np.ndarray:
    """Score with a trained network how well products of a gallery fit the scene of each pair.

    Parameters
    ----------
    model : Module
        On any device; afterwards in the mode that it had before.
    pairs : Pairs
        Scenes and products.
    rows : Tensor of shape (q,), int64
        The pairs whose scenes are the queries.
    gallery : Tensor of shape (g,), int64
        Rows of the products.
    uncut : bool
        Leave the products in the scenes.

    Returns
    -------
    ndarray of shape (q, g), float32
        Higher is better.
    """
    pairs = pairs.to(next(model.parameters()).device)
    found = []
    with evaluating(model):
        features, kinds, labels = pairs.products(gallery)
        points = model.product(features, kinds, labels)
        for some in rows.split(_CHUNK):
            scene = model.look(pairs.scene(some, uncut))
            found.append(model.logits(scene, points, kinds).cpu())
    return torch.cat(found).float().numpy()


def _loss_of(configuration: Configuration, pairs: Pairs, rows: Tensor, uncut: bool) -> Callable:
    """The loss of a model and a batch, as `fashionnb.training.fit` calls it."""
    n_products = len(pairs.features)
    known = pairs.views.scene[rows] * n_products + pairs.product[rows]  # one number for each pair
    loss_of_batch = (
        _look_around_loss if configuration.architecture == "look around" else _tower_loss
    )

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, float]]:
        rows, sampled = batch
        columns = torch.cat([pairs.product[rows], sampled.T.flatten()])
        features, kinds, labels = pairs.products(columns)
        points = model.product(features, kinds, labels)
        scene = model.look(pairs.scene(rows, uncut))
        same_scene = torch.isin(pairs.views.scene[rows, None] * n_products + columns, known)
        value = loss_of_batch(configuration, model, scene, points, kinds, same_scene)
        return value, {"spread": spread(points)}

    return loss


def _look_around_loss(
    configuration: Configuration,
    model: LookAround,
    scene: tuple[Tensor, Tensor],
    points: Tensor,
    kinds: Tensor,
    same_scene: Tensor,
) -> Tensor:
    """Choose the kind first, then a product among those of this kind."""
    n = len(same_scene)
    used = n * (1 + configuration.extra_negatives)
    logits = model.logits_of_a_kind(scene, points[:used], kinds[:n])
    masked = (kinds[:n, None] != kinds[:used]) | same_scene[:, :used]
    contrast = info_nce(logits, masked, configuration.label_smoothing)
    return contrast + nll_loss(scene[1], kinds[:n])


def _tower_loss(
    configuration: Configuration,
    model: CompleteTheLook,
    scene: Tensor,
    points: Tensor,
    kinds: Tensor,
    same_scene: Tensor,
) -> Tensor:
    similar = scene @ points.T
    value, weight = points.new_zeros(()), 1.0
    if configuration.info_nce:
        used = len(same_scene) * (1 + configuration.extra_negatives)
        masked = same_scene[:, :used] if configuration.mask_same_scene else None
        logits = model.logits(scene, points[:used], kinds[:used])
        value = info_nce(logits, masked, configuration.label_smoothing)
        weight = configuration.triplet_weight
    anchors, positives, negatives = _triplets(configuration, similar, kinds, same_scene)
    positive, negative = similar[anchors, positives], similar[anchors, negatives]
    return value + weight * similarity_triplet(positive, negative, configuration.margin)


def _triplets(
    configuration: Configuration, similar: Tensor, kinds: Tensor, same_scene: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Anchors, positives and negatives, each (m,) int64."""
    if configuration.triplet_negatives == "hardest":
        masked = same_scene if configuration.mask_same_scene else None
        return hardest_negatives(similar, kinds, masked)
    n, columns = similar.shape
    anchors = torch.arange(n, device=similar.device)
    if configuration.triplet_negatives == "kind":
        negatives = columns - n + anchors  # the last sampled products are those for the triplets
    else:
        negatives = (anchors + torch.randint(1, n, (n,), device=similar.device)) % n
    anchors = anchors[~same_scene[anchors, negatives]]  # a sampled product may be a positive
    return anchors, anchors, negatives[anchors]


def _batches(configuration: Configuration, pairs: Pairs, rows: Tensor, size: int) -> Batches:
    """Pairs in a new order in each epoch, and for each pair sampled negatives, (b, r)."""
    positives = pairs.product[rows]
    used = torch.bincount(positives, minlength=len(pairs.features)) > 0
    sampler = NegativeSampler(pairs.kinds.numpy(), used.numpy())

    def batches(epoch: int, generator: torch.Generator):
        for some in rows[torch.randperm(len(rows), generator=generator)].split(size):
            shape = (len(some), configuration.extra_negatives)
            sampled = [positives[torch.randint(len(positives), shape, generator=generator)]]
            if configuration.triplet_negatives == "kind":
                sampled.append(sampler.draw(pairs.product[some], 1, generator))
            yield some, torch.cat(sampled, 1)

    return batches
