"""Features of scenes without the hidden product: of the crop, of the other pieces, of the whole.

`view` computes them once for every pair of `fashionnb.data.catalogue.Scenes`; `Pairs` joins them
with the features of the products, which come from `fashionnb.features.garments`.
"""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from fashionnb.checkpoints import fingerprint
from fashionnb.data.catalogue import BOX, Scenes
from fashionnb.data.images import letterbox
from fashionnb.errors import DataError
from fashionnb.features.embedding import embed
from fashionnb.features.garments import FeatureExtractor, pretrained_encoder
from fashionnb.features.store import Features, FeatureStore, digest_of, digests_of
from fashionnb.models.complete_the_look import Scene
from fashionnb.models.multi_stage_encoder import MultiStageEncoder

_log = logging.getLogger(__name__)

CHUNK = 256  # scenes at a time: memory stays flat, and a killed process loses no more
SIDE = 48  # pixels of a crop and of a piece, as the encoder takes them
MOST = 8
"""The largest number of other pieces of a scene that a model reads."""


@dataclass(frozen=True, eq=False)
class Views:
    """Features of the scenes of n pairs, standardised to mean 0 and deviation 1.

    There are m scenes, of which several pairs may share one.

    Parameters
    ----------
    crops : Tensor of shape (n, d), float32
        Of each pair the largest region without the product.
    uncut : Tensor of shape (m, d), float32
        Of each whole scene, products included, to measure how much they give away.
    pieces : Tensor of shape (n, d), float16
        Of what is in the box of each pair. This shows the product itself, so only other pairs of
        the scene may use it.
    boxes : Tensor of shape (n, 4), float32
        The box: left, top, right, bottom, from 0 to 1.
    scene : Tensor of shape (n,), int64
        The scene of each pair.
    others : Tensor of shape (n, 8), int64
        The pairs of its scene whose box does not touch that of the pair; -1 fills the rest.
    """

    crops: Tensor
    uncut: Tensor
    pieces: Tensor
    boxes: Tensor
    scene: Tensor
    others: Tensor

    def to(self, device: torch.device | str) -> "Views":
        """Move to another device."""
        return Views(*(part.to(device) for part in vars(self).values()))


def view(
    scenes: Scenes,
    *,
    encoder: MultiStageEncoder | None = None,
    device: str | None = None,
    cache: Path | str | None = None,
) -> Views:
    """Compute the features of the scene of every pair, without the product of the pair.

    Parameters
    ----------
    scenes : Scenes
        The pairs of a scene stand together.
    encoder : MultiStageEncoder, optional
        By default `fashionnb.features.garments.pretrained_encoder`.
    device : str, optional
        Where to compute; by default where the encoder is.
    cache : Path or str, optional
        A folder, for a `fashionnb.features.store.FeatureStore`.

    Returns
    -------
    Views
        One row per pair; of the whole scenes, one per scene.

    Raises
    ------
    DataError
        If an image cannot be read, or a product fills its whole scene.
    WriteError
        If the cache cannot be written.
    """
    encoder = encoder or pretrained_encoder()
    scene, keys = pd.factorize(scenes.table["scene"])
    boxes = scenes.table[BOX].to_numpy(np.float32)

    def pairs(rows: np.ndarray) -> Features:
        part = replace(scenes, table=scenes.table.iloc[rows].reset_index(drop=True))
        images = {"crops": scene_pixels(part, SIDE), "pieces": _pieces(part)}
        return {name: _encoded(encoder, pixels, device) for name, pixels in images.items()}

    def whole(rows: np.ndarray) -> Features:
        images = [scenes.images.image(keys[row]).convert("RGB") for row in rows]
        pixels = np.stack([letterbox(image, SIDE, 3) for image in images])
        return {"uncut": _encoded(encoder, pixels, device)}

    # Only the backbone computes these features; the rest of the encoder is not trained yet.
    made_by = fingerprint(encoder.backbone), str(SIDE)
    digests = digests_of(scenes.images, keys)
    of_pairs = [
        digest_of(digests[one], box.tobytes()) for one, box in zip(scene, boxes, strict=True)
    ]
    found = {}
    for name, of_each, compute in (("pairs", of_pairs, pairs), ("scenes", digests, whole)):
        store = FeatureStore(cache, name, *made_by)
        found |= store.fill(of_each, compute, chunk=CHUNK)
        store.close()
    crops, uncut, pieces = (torch.from_numpy(found[name]) for name in ("crops", "uncut", "pieces"))
    scene, boxes = torch.from_numpy(scene.astype(np.int64)), torch.tensor(boxes)
    return Views(
        _standard(crops),
        _standard(uncut),
        _standard(pieces).half(),
        boxes,
        scene,
        apart(scene, boxes),
    )


def apart(scene: Tensor, boxes: Tensor) -> Tensor:
    """Find the other pieces of a scene whose features may be read when a pair's product is hidden.

    A box that touches the product's box may show some of the product, so it is left out.

    Parameters
    ----------
    scene : Tensor of shape (n,), int64
        The scene of each pair.
    boxes : Tensor of shape (n, 4), float
        Left, top, right, bottom.

    Returns
    -------
    Tensor of shape (n, 8), int64
        Pairs of the same scene whose box does not touch, in their order; -1 fills the rest.
    """
    found = torch.full((len(scene), MOST), -1)
    count = scene.unique(return_counts=True)[1]
    for rows in scene.argsort(stable=True).split(count.tolist()):
        left, top, right, bottom = boxes[rows].T[:, :, None]
        beside = (right <= left.T) | (left >= right.T)
        free = beside | (bottom <= top.T) | (top >= bottom.T)
        for row, pieces in zip(rows, free, strict=True):
            others = rows[pieces][:MOST]
            found[row, : len(others)] = others
    return found


def _in_pixels(
    scenes: Scenes, boxes: np.ndarray
) -> Iterator[tuple[Image.Image, tuple[int, int, int, int]]]:
    """The scene of each pair, and a box in it, rounded towards the inside."""
    last, picture = None, None  # the pairs of a scene stand together
    for key, box in zip(scenes.table["scene"], boxes, strict=True):
        if picture is None or key != last:
            last, picture = key, scenes.images.image(key)
        left, top, right, bottom = box * ([picture.width, picture.height] * 2)
        yield picture, (math.ceil(left), math.ceil(top), int(right), int(bottom))


def _pieces(scenes: Scenes) -> np.ndarray:
    """What is in the box of every pair, uint8 (pairs, SIDE, SIDE, 3)."""
    pieces = np.empty((len(scenes), SIDE, SIDE, 3), np.uint8)
    boxes = scenes.table[BOX].to_numpy(float)
    for row, (picture, (left, top, right, bottom)) in enumerate(_in_pixels(scenes, boxes)):
        # One pixel at least; otherwise nothing of a neighbour is in it.
        left, top = min(left, picture.width - 1), min(top, picture.height - 1)
        piece = picture.crop((left, top, max(left + 1, right), max(top + 1, bottom)))
        pieces[row] = letterbox(piece, SIDE, 3)
    return pieces


def _encoded(encoder: MultiStageEncoder, pixels: np.ndarray, device: str | None) -> np.ndarray:
    return embed(FeatureExtractor(encoder), pixels, batch_size=CHUNK, device=device).astype(
        np.float16
    )


def _standard(values: Tensor) -> Tensor:
    values = values.float()
    return (values - values.mean(0)) / (values.std(0, correction=0) + 1e-3)


def largest_region(boxes: np.ndarray) -> np.ndarray:
    """Find the region of each scene that features are taken of: the largest without its product.

    Of the four rectangles above, below, left and right of the box, each as wide or as high as the
    scene, this is the one with the largest area; of equals the first in this order.

    Parameters
    ----------
    boxes : ndarray of shape (n, 4), float
        Left, top, right, bottom, from 0 to 1.

    Returns
    -------
    ndarray of shape (n, 4), float64
        In the same form. Where the box fills the whole scene the rectangle has no area.

    Raises
    ------
    DataError
        If the shape differs, or a box is not within 0 to 1.

    References
    ----------
    Kang et al. (2019), Complete the Look: Scene-based Complementary Product Recommendation,
    section 3.
    """
    boxes = np.asarray(boxes, float)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not ((boxes >= 0) & (boxes <= 1)).all():
        raise DataError(
            f"Boxes are (n, 4): left, top, right, bottom, from 0 to 1; got {boxes.shape}."
        )
    left, top, right, bottom = boxes.T
    zero, one = np.zeros(len(boxes)), np.ones(len(boxes))
    regions = np.stack(
        [
            np.stack([zero, zero, one, top], 1),
            np.stack([zero, bottom, one, one], 1),
            np.stack([zero, zero, left, one], 1),
            np.stack([right, zero, one, one], 1),
        ]
    )
    largest = np.stack([top, 1 - bottom, left, 1 - right]).argmax(0)
    return regions[largest, np.arange(len(boxes))]


def with_surroundings(scenes: Scenes, least: float = 0.02) -> Scenes:
    """Select the pairs whose scene shows more than their product, to take features of the rest.

    Parameters
    ----------
    scenes : Scenes
        Pairs.
    least : float
        What the largest region without the product must have of the scene, 0 to 1.

    Returns
    -------
    Scenes
        With the same catalogue; a warning is logged if pairs were left out.

    Raises
    ------
    DataError
        If no pair is left.
    """
    left, top, right, bottom = largest_region(scenes.table[BOX].to_numpy(float)).T
    kept = (right - left) * (bottom - top) >= least
    if kept.all():
        return scenes
    counts = f"{(~kept).sum():,} of {len(kept):,} pairs of {scenes.catalogue.name}"
    if not kept.any():
        raise DataError(f"{counts}: the product fills the whole scene. Draw boxes around products.")
    _log.warning("%s are left out: the product fills the whole scene.", counts)
    return replace(scenes, table=scenes.table[kept].reset_index(drop=True))


def scene_pixels(scenes: Scenes, size: int | tuple[int, int]) -> np.ndarray:
    """Crop the scene of every pair to its largest region without the product, to take features of.

    The region is `largest_region` of its box.

    Parameters
    ----------
    scenes : Scenes
        Pairs; those of a scene stand together.
    size : int or (int, int)
        Height and width in pixels; each crop is letterboxed to it, on white.

    Returns
    -------
    ndarray of shape (n, height, width, 3), uint8
        One crop per pair.

    Raises
    ------
    DataError
        If an image cannot be read, or a product fills its whole scene.
    """
    regions = largest_region(scenes.table[BOX].to_numpy(float))
    crops = []
    for row, (picture, (left, top, right, bottom)) in enumerate(_in_pixels(scenes, regions)):
        if left >= right or top >= bottom:
            key = scenes.table["scene"].iloc[row]
            raise DataError(
                f"Pair {row}: its product fills the scene {key!r}; nothing is left around it."
            )
        crops.append(letterbox(picture.crop((left, top, right, bottom)), size, 3))
    return np.stack(crops)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of a scene and a product that is cut out of it, with the features of both.

    Parameters
    ----------
    views : Views
        Of the scenes, n rows.
    product : Tensor of shape (n,), int64
        A row of the products.
    features : Tensor of shape (p, d), float32
        Of the products.
    kinds : Tensor of shape (p,), int64
        The kind of each product, from 0 on.
    labels : Tensor of shape (p, l), int64
        Other metadata of each product, such as its colour: known values from 1 on, 0 is unknown.

    Raises
    ------
    DataError
        If the shapes disagree, or a row of `product` does not exist.
    """

    views: Views
    product: Tensor
    features: Tensor
    kinds: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        n, p = len(self.views.crops), len(self.features)
        shapes = [tuple(part.shape) for part in (self.product, self.kinds, self.labels)]
        good = shapes[:2] == [(n,), (p,)] and self.labels.ndim == 2 and len(self.labels) == p
        if not good or (n and int(self.product.max()) >= p):
            raise DataError(
                f"Expected one product, below {p}, for each of {n} pairs, "
                "and a kind and a row of labels "
                f"for each of {p} products; got {', '.join(map(str, shapes))}."
            )

    def scene(self, rows: Tensor, uncut: bool = False) -> Scene:
        """Take the scenes of some pairs as models read them; `uncut` leaves the products in."""
        views = self.views
        others = views.others[rows]
        there = others >= 0
        seen = others[there]
        crops = views.uncut[views.scene[rows]] if uncut else views.crops[rows]
        return crops, there, views.pieces[seen].float(), views.boxes[seen]

    def products(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Take features, kinds and labels of some products, as the models read them."""
        return self.features[rows], self.kinds[rows], self.labels[rows]

    def to(self, device: torch.device | str) -> "Pairs":
        """Move to another device."""
        return Pairs(*(part.to(device) for part in vars(self).values()))
