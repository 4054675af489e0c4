"""Scenes without the product that is asked for: cropped as in the paper, by piece, and whole, as the eyes see them.

`view` looks at every pair of `fashionnb.data.nouns.Scenes` and keeps what it found, so that models of chapter 11 learn
from numbers that were computed once. Products are looked at by `fashionnb.garments`.
"""

import hashlib
import logging
import math
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from fashionnb.checkpoints import fingerprint
from fashionnb.data.images import as_stored, letterbox
from fashionnb.data.nouns import Scenes
from fashionnb.data.scenes import BOX, scene_pixels
from fashionnb.embed import embed
from fashionnb.files import written_whole
from fashionnb.garments import Features, schooled
from fashionnb.models.eyes import Eyes

logger = logging.getLogger(__name__)
CHUNK = 256  # scenes at a time: memory stays flat, and a killed process loses no more
SIDE = 48  # pixels of a crop and of a piece, as the eyes get them
MOST = 8
"""So many other pieces of a scene are looked at, at most."""


@dataclass(frozen=True, eq=False)
class Views:
    """What the eyes see in n pairs of m scenes. Introduced in chapter 11. Columns have mean 0 and deviation 1."""

    crops: Tensor
    """Of each pair the largest region without the product, (n, d) float32."""
    uncut: Tensor
    """Of each scene all, the product too, (m, d) float32: it shows what cutting is for."""
    pieces: Tensor
    """Of each pair what is in the box, (n, d) float16. It is the product itself, so only other pairs may look at it."""
    boxes: Tensor
    """Where it is, (n, 4) float32: left, top, right, bottom, 0 to 1."""
    scene: Tensor
    """The scene of each pair, (n,) int64."""
    others: Tensor
    """The pairs of its scene whose box does not touch that of the pair, (n, 8) int64; -1 where there are no more."""

    def __len__(self) -> int:
        return len(self.crops)

    def to(self, device: torch.device | str) -> "Views":
        """The same on another device."""
        return Views(*(getattr(self, field.name).to(device) for field in fields(self)))


def view(
    scenes: Scenes, *, eyes: Eyes | None = None, device: str | None = None, cache: Path | str | None = None
) -> Views:
    """Look at the scene of every pair. Introduced in chapter 11.

    Parameters
    ----------
    scenes : pairs; those of a scene stand together.
    eyes : None: those of `fashionnb.garments.schooled`.
    device : where the eyes work; None: where they are.
    cache : a folder. What was seen is kept there, some scenes a file, under a hash of the eyes' weights, of the
        pictures and of the boxes.

    Raises
    ------
    DataError : a picture cannot be read, or a product fills its whole scene.
    WriteError : the cache cannot be written.
    """
    eyes = eyes or schooled()
    keys = scenes.table["scene"].drop_duplicates().tolist()
    place = {key: row for row, key in enumerate(keys)}
    scene = scenes.table["scene"].map(place).to_numpy(np.int64, copy=True)
    parts = []
    for start in range(0, len(keys), CHUNK):
        rows = (scene >= start) & (scene < start + CHUNK)
        part = replace(scenes, table=scenes.table[rows].reset_index(drop=True))
        parts.append(_kept(part, keys[start : start + CHUNK], eyes, device, cache))
    found = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    # The parts come in the order of the scenes; the pairs go back to where they were.
    back = torch.from_numpy(np.argsort(np.argsort(scene // CHUNK, kind="stable")))
    boxes = torch.tensor(scenes.table[BOX].to_numpy(np.float32))
    return Views(
        _standard(found["crops"][back]),
        _standard(found["uncut"]),
        _standard(found["pieces"][back]).half(),
        boxes,
        torch.from_numpy(scene),
        apart(torch.from_numpy(scene), boxes),
    )


def apart(scene: Tensor, boxes: Tensor) -> Tensor:
    """Which pieces of its scene may be looked at when a pair's product is hidden. Introduced in chapter 11.

    Boxes that touch the product's may show some of it.

    Parameters
    ----------
    scene : (n,) int64. boxes : (n, 4) float, left, top, right, bottom.

    Returns
    -------
    (n, 8) int64, pairs of the same scene whose box does not touch, in their order; -1 where there are no more.
    """
    place, count = scene.unique(return_inverse=True, return_counts=True)[1:]
    order = torch.argsort(place, stable=True)
    slot = torch.arange(len(scene)) - (count.cumsum(0) - count)[place[order]]
    table = torch.full((len(count), int(count.max()) if len(count) else 0), -1)  # a row for each scene
    table[place[order], slot] = order
    left, top, right, bottom = boxes[table].unbind(-1)
    beside = (right[..., None] <= left[:, None]) | (right[:, None] <= left[..., None])
    free = beside | (bottom[..., None] <= top[:, None]) | (bottom[:, None] <= top[..., None])
    free &= (table >= 0)[:, None]
    nth = free.cumsum(-1) - 1
    there, one, other = (free & (nth < MOST) & (table >= 0)[..., None]).nonzero(as_tuple=True)
    found = torch.full((len(scene), MOST), -1)
    found[table[there, one], nth[there, one, other]] = table[there, other]
    return found


def _kept(part: Scenes, keys: list, eyes: Eyes, device: str | None, cache: Path | str | None) -> dict[str, Tensor]:
    if cache is None:
        return _seen(part, keys, eyes, device)
    file = Path(cache) / f"{_key(part, keys, eyes)}.safetensors"
    if file.exists():
        try:
            return safetensors.torch.load_file(file)
        except (SafetensorError, OSError) as error:
            logger.warning("%s is broken (%s); looking at its scenes again.", file, error)
    found = _seen(part, keys, eyes, device)
    with written_whole(file) as aside:
        aside.write_bytes(safetensors.torch.save(found))
    return found


def _seen(part: Scenes, keys: list, eyes: Eyes, device: str | None) -> dict[str, Tensor]:
    pictures = {key: part.images.image(key).convert("RGB") for key in keys}
    whole = np.stack([letterbox(picture, SIDE, 3) for picture in pictures.values()])
    pieces = np.empty((len(part), SIDE, SIDE, 3), np.uint8)
    for row, (key, *box) in enumerate(part.table[["scene", *BOX]].itertuples(index=False, name=None)):
        picture = pictures[key]
        left, top, right, bottom = np.array(box) * ([picture.width, picture.height] * 2)
        # Rounded towards the inside, so that nothing of a neighbour is in it; one pixel at least.
        left, top = min(math.ceil(left), picture.width - 1), min(math.ceil(top), picture.height - 1)
        pieces[row] = letterbox(
            picture.crop((left, top, max(left + 1, int(right)), max(top + 1, int(bottom)))), SIDE, 3
        )
    look = Features(eyes)
    return {
        name: torch.from_numpy(embed(look, pixels, batch_size=CHUNK, device=device)).half()
        for name, pixels in (("crops", scene_pixels(part, SIDE)), ("uncut", whole), ("pieces", pieces))
    }


def _key(part: Scenes, keys: list, eyes: Eyes) -> str:
    digest = hashlib.sha256(f"{fingerprint(eyes.backbone)} {SIDE} pieces".encode())
    for key in keys:
        digest.update(as_stored(part.images, key))
    digest.update(part.table[BOX].to_numpy(np.float64).tobytes())
    digest.update(str(part.table["scene"].tolist()).encode())
    return digest.hexdigest()[:32]


def _standard(values: Tensor) -> Tensor:
    values = values.float()
    return (values - values.mean(0)) / (values.std(0, correction=0) + 1e-3)
