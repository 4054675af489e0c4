"""Scenes without the product that is asked for: cropped as in the paper, in windows, and whole, as the eyes see them.

`view` looks at every pair of `fashionnb.data.nouns.Scenes` and keeps what it found, so that models of chapter 11 learn
from numbers that were computed once. Products are looked at by `fashionnb.garments`.
"""

import hashlib
import logging
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from fashionnb.checkpoints import fingerprint
from fashionnb.data.images import letterbox
from fashionnb.data.nouns import Scenes
from fashionnb.data.shop_the_look import BOX, scene_pixels
from fashionnb.embed import embed
from fashionnb.files import written_whole
from fashionnb.garments import Features, schooled
from fashionnb.models.eyes import Eyes

logger = logging.getLogger(__name__)
CHUNK = 256  # scenes at a time: memory stays flat, and a killed process loses no more
SIDE, SMALL = 48, 32  # pixels of a crop and of a window, as the eyes get them
WINDOWS = torch.tensor([(x, y, x + 0.5, y + 0.4) for y in (0.0, 0.3, 0.6) for x in (0.0, 0.25, 0.5)])
"""Where the windows of a scene are, (9, 4): left, top, right, bottom, 0 to 1. Each overlaps its neighbours."""


@dataclass(frozen=True, eq=False)
class Views:
    """What the eyes see in n pairs of m scenes. Introduced in chapter 11. Columns have mean 0 and deviation 1."""

    crops: Tensor
    """Of each pair the largest region without the product, (n, d) float32."""
    uncut: Tensor
    """Of each scene all, the product too, (m, d) float32: it shows what cutting is for."""
    windows: Tensor
    """Of each scene its windows, (m, 9, d) float16."""
    scene: Tensor
    """The scene of each pair, (n,) int64."""
    free: Tensor
    """Which windows the box of the pair's product does not touch, (n, 9) bool. No other may be looked at."""

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
    crops = torch.empty_like(found["crops"])
    crops[torch.from_numpy(np.argsort(scene // CHUNK, kind="stable"))] = found["crops"]
    boxes = torch.tensor(scenes.table[BOX].to_numpy(np.float32))
    return Views(
        _standard(crops),
        _standard(found["uncut"]),
        _standard(found["windows"].flatten(0, 1)).unflatten(0, (-1, len(WINDOWS))).half(),
        torch.from_numpy(scene),
        free_windows(boxes),
    )


def free_windows(boxes: Tensor) -> Tensor:
    """Which of `WINDOWS` the box of a product does not touch. Introduced in chapter 11.

    Parameters
    ----------
    boxes : (n, 4) float, left, top, right, bottom, 0 to 1.

    Returns
    -------
    (n, 9) bool.
    """
    left, top, right, bottom = (boxes[:, side, None] for side in range(4))
    x0, y0, x1, y1 = WINDOWS.T
    return (x1 <= left) | (x0 >= right) | (y1 <= top) | (y0 >= bottom)


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
    whole = np.empty((len(keys), SIDE, SIDE, 3), np.uint8)
    small = np.empty((len(keys), len(WINDOWS), SMALL, SMALL, 3), np.uint8)
    for row, key in enumerate(keys):
        picture = part.images.image(key).convert("RGB")
        whole[row] = letterbox(picture, SIDE, 3)
        for number, window in enumerate(WINDOWS.tolist()):
            left, top, right, bottom = np.array(window) * ([picture.width, picture.height] * 2)
            # Rounded towards the inside: nothing from beyond the window is in it.
            corners = int(np.ceil(left)), int(np.ceil(top)), int(right), int(bottom)
            small[row, number] = letterbox(picture.crop(corners), SMALL, 3)
    look = Features(eyes)
    crops, uncut, windows = (
        torch.from_numpy(embed(look, pictures, batch_size=CHUNK, device=device))
        for pictures in (scene_pixels(part, SIDE), whole, small.reshape(-1, SMALL, SMALL, 3))
    )
    return {
        "crops": crops.half(), "uncut": uncut.half(),
        "windows": windows.unflatten(0, (-1, len(WINDOWS))).half(),
    }  # fmt: skip


def _key(part: Scenes, keys: list, eyes: Eyes) -> str:
    digest = hashlib.sha256(f"{fingerprint(eyes.backbone)} {SIDE} {SMALL} {WINDOWS.tolist()}".encode())
    for key in keys:
        images = part.images
        digest.update(images.read(key) if hasattr(images, "read") else images.image(key).tobytes())
    digest.update(part.table[BOX].to_numpy(np.float64).tobytes())
    digest.update(str(part.table["scene"].tolist()).encode())
    return digest.hexdigest()[:32]


def _standard(values: Tensor) -> Tensor:
    values = values.float()
    return (values - values.mean(0)) / (values.std(0, correction=0) + 1e-3)
