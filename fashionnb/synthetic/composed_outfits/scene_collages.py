"""Draw scenes: collages of one outfit's product photos, with the box of each piece known, as Shop-the-Look's files.

The outfits may be real (MANGO's) or composed. Each piece is cut out of its photo, so no wall tells which photo it came
from, and is laid where it is worn, with jitter, on a background that has nothing to do with it; pieces and now and then
a stray object cover each other. It is no street photo: what is measured on it is measured on collages.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fashionnb.data.catalogue import BOX, Catalogue, Outfits
from fashionnb.data.foreground import foreground
from fashionnb.data.shop_the_look import write_lists
from fashionnb.errors import DataError
from fashionnb.files import written_whole
from fashionnb.synthetic.composed_outfits.polyvore_files import write_photos
from fashionnb.synthetic.composed_outfits.rules import kinds, roles

SLOTS = {  # from back to front: centre (x, y), and the largest width and height, in units of the scene
    "bottom": (0.5, 0.63, 0.5, 0.42),
    "dress": (0.5, 0.43, 0.6, 0.6),
    "top": (0.5, 0.29, 0.55, 0.32),
    "layer": (0.27, 0.36, 0.5, 0.4),
    "shoes": (0.5, 0.89, 0.36, 0.15),
    "bag": (0.8, 0.56, 0.32, 0.24),
    "accessory": (0.78, 0.17, 0.26, 0.15),
}
"""Where a piece lies in a scene, by its role."""

VISIBLE = 0.5
"""A piece of which less is to be seen is drawn, but is no pair of scene and product."""

_ASPECT = 0.75  # width over height of a scene
_CUT = 112  # pixels: the height of a piece that was cut out, at most
_KEPT = 4_096  # pieces that are kept for the next scenes, about 100 MB
_BLOCK = 32  # outfits whose pieces are cut out together
_CLUTTER = 0.3  # the chance of a stray object


@dataclass(frozen=True, eq=False)
class Drawn:
    """One scene. Introduced in chapter 11.

    name : 32 hexadecimal digits, as a signature. outfit : whose pieces it shows. picture : uint8 (height, width, 3).
    products : the ids of its pairs. boxes : (n, 4) left, top, right, bottom, 0 to 1, of all that lies within the scene,
    covered or not. visible : (n,) the share of each piece that is to be seen, `VISIBLE` to 1.
    """

    name: str
    outfit: str
    picture: np.ndarray
    products: tuple[str, ...]
    boxes: np.ndarray
    visible: np.ndarray


def draw(outfits: Outfits, size: int = 160, seed: int = 0) -> Iterator[Drawn]:
    """Draw a scene of each outfit, one after the other. Introduced in chapter 11.

    A scene depends on the seed and on its outfit, and on nothing else. What has no role
    (`fashionnb.synthetic.composed_outfits.rules`) is not drawn; an outfit with fewer than two pieces to draw is left
    out. Memory stays flat.

    Parameters
    ----------
    outfits : of a catalogue of photos, on white or before a smooth wall, 48 pixels a side or more.
    size : height in pixels, 64 to 1024; the width is three quarters of it. seed : of everything that is drawn.

    Raises
    ------
    DataError : another size, or a photo that cannot be read or is too small.
    """
    if not 64 <= size <= 1024:
        raise DataError(f"Scenes are 64 to 1024 pixels high; got {size}.")
    pieces = _Pieces(outfits.catalogue)
    names = list(outfits.sets)
    for start in range(0, len(names), _BLOCK):
        block = {
            name: pieces.drawable(outfits.sets[name]) for name in names[start : start + _BLOCK]
        }
        cut = pieces.cut_out({item for items in block.values() for item in items})
        for name, items in block.items():
            if len(items) > 1:
                yield _scene(name, items, [cut[item] for item in items], pieces.role, size, seed)


def write_scenes(outfits: Outfits, folder: Path | str, size: int = 160, seed: int = 0) -> int:
    """Draw a scene of each outfit and write all as Shop-the-Look's files; returns how many. Introduced in chapter 11.

    A field `split` in each line has the split of the outfit. A product's category is its role and its kind. The photos
    of products are as they are in the catalogue. The lists come last: without them nothing can be read.

    Parameters
    ----------
    folder : made if need be. outfits, size, seed : as `draw`.

    Raises
    ------
    DataError : as `draw`; or an id cannot be the name of a file, or there is nothing to draw.
    WriteError : the folder cannot be written.
    """
    folder, rows, scenes = Path(folder), [], 0
    for scene in draw(outfits, size, seed):
        with written_whole(folder / "images" / f"{scene.name}.jpg") as aside:
            Image.fromarray(scene.picture).save(aside, "JPEG", quality=90)
        split = outfits.split[scene.outfit]
        rows += [
            (product, scene.name, *box, split)
            for product, box in zip(scene.products, scene.boxes.round(6).tolist(), strict=True)
        ]
        scenes += 1
    if not rows:
        raise DataError(f"{outfits.catalogue.name}: no outfit has two pieces that can be drawn.")
    table = pd.DataFrame(rows, columns=["product", "scene", *BOX, "split"])
    catalogue = outfits.catalogue
    used = catalogue.take(catalogue.table["id"].isin(set(table["product"])))
    write_photos(used, folder / "images")
    paths = [f"{role}|{kind}" for role, kind in zip(roles(used), kinds(used), strict=True)]
    categories = {
        item: f"Apparel & Accessories|{path}"
        for item, path in zip(used.table["id"], paths, strict=True)
    }
    write_lists(folder, table, categories)
    return scenes


class _Pieces:
    """The pieces of a catalogue, cut out of their photos; those used last are kept."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.images = catalogue.images
        self.key = dict(zip(catalogue.table["id"], catalogue.table["image"], strict=True))
        self.role = dict(zip(catalogue.table["id"], roles(catalogue), strict=True))
        self.kept: dict[str, Image.Image] = {}

    def drawable(self, items: Sequence[str]) -> list[str]:
        """Those with a role, from back to front."""
        return sorted(
            (item for item in items if self.role[item]),
            key=lambda item: list(SLOTS).index(self.role[item]),
        )

    def cut_out(self, items: set[str]) -> dict[str, Image.Image]:
        """Each piece as RGBA, no larger than it is itself. Photos of one size are cut out together."""
        found = {item: self.kept.pop(item) for item in sorted(items) if item in self.kept}
        photos: dict[tuple, list[tuple[str, np.ndarray]]] = {}
        for item in sorted(items - set(found)):
            photo = np.asarray(self.images.image(self.key[item]).convert("RGB"))
            photos.setdefault(photo.shape, []).append((item, photo))
        for several in photos.values():
            masks = foreground(np.stack([photo for _, photo in several]))
            for (item, photo), mask in zip(several, masks, strict=True):
                found[item] = _cut(photo, mask)
        self.kept |= found
        while len(self.kept) > _KEPT:
            del self.kept[next(iter(self.kept))]
        return found


def _cut(photo: np.ndarray, mask: np.ndarray) -> Image.Image:
    """The piece as RGBA; the whole photo if nothing stands out from its wall."""
    mask = mask if mask.any() else np.ones_like(mask)
    y, x = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    within = slice(y[0], y[-1] + 1), slice(x[0], x[-1] + 1)
    piece = Image.fromarray(np.dstack([photo[within], mask[within].astype(np.uint8) * 255]))
    scale = _CUT / piece.height
    if scale < 1:
        piece = piece.resize((max(1, round(piece.width * scale)), _CUT), Image.Resampling.BOX)
    return piece


def _scene(
    name: str, items: list[str], pieces: list[Image.Image], role: dict, size: int, seed: int
) -> Drawn:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
    rng = np.random.default_rng(int(digest[:16], 16))
    width = round(_ASPECT * size)
    canvas = Image.fromarray(_background(size, width, rng))
    owner = np.full((size, width), -1)
    mirrored, seen = rng.random() < 0.5, set()
    boxes, areas = [], []
    for number, (item, piece) in enumerate(zip(items, pieces, strict=True)):
        x, y, most_wide, most_tall = SLOTS[role[item]]
        if role[item] in seen:  # a second piece of one role lies beside the first
            x, y = x + rng.choice([-0.2, 0.2]), y + rng.uniform(-0.1, 0.1)
        seen.add(role[item])
        x, y = (1 - x if mirrored else x) + rng.normal(0, 0.04), y + rng.normal(0, 0.03)
        scale = rng.uniform(0.85, 1.15) * min(
            most_wide * width / piece.width, most_tall * size / piece.height
        )
        shape = max(3, round(piece.width * scale)), max(3, round(piece.height * scale))
        laid = piece.resize(shape, Image.Resampling.BILINEAR)
        laid = laid.rotate(rng.uniform(-8, 8), Image.Resampling.BILINEAR, expand=True)
        place = round(x * width - laid.width / 2), round(y * size - laid.height / 2)
        canvas.paste(laid, place, laid)
        box, area = _claim(owner, np.asarray(laid)[..., 3] > 127, place, number)
        boxes.append(box)
        areas.append(area)
    if rng.random() < _CLUTTER:
        _stray(canvas, owner, rng)
    visible = np.array(
        [(owner == number).sum() / max(area, 1) for number, area in enumerate(areas)]
    )
    good = [
        number
        for number in range(len(items))
        if boxes[number] is not None and visible[number] >= VISIBLE
    ]
    scaled = np.array([boxes[number] for number in good], float).reshape(-1, 4) / [
        width,
        size,
        width,
        size,
    ]
    return Drawn(
        digest[:32], name, np.asarray(canvas), tuple(items[n] for n in good), scaled, visible[good]
    )


def _claim(
    owner: np.ndarray, mask: np.ndarray, place: tuple[int, int], number: int
) -> tuple[tuple | None, int]:
    """Mark the pixels of a piece as its own: its box within the scene, None if it lies outside, and all its pixels."""
    x, y = place
    area = int(mask.sum())
    mask = mask[max(0, -y) : max(0, owner.shape[0] - y), max(0, -x) : max(0, owner.shape[1] - x)]
    if not mask.any():
        return None, area
    x, y = max(0, x), max(0, y)
    owner[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = number
    down, across = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return (x + across[0], y + down[0], x + across[-1] + 1, y + down[-1] + 1), area


def _background(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """A wall, a wall and a floor, stripes, or clouds of colour: uint8 (height, width, 3)."""
    kind, (one, other) = rng.integers(4), rng.uniform(40, 250, (2, 3))
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    if kind == 0:
        share = np.cos(angle := rng.uniform(0, 2 * np.pi)) * down + np.sin(angle) * across
    elif kind == 1:
        share = 0.2 * down + (down > rng.uniform(0.55, 0.9))
    elif kind == 2:
        share = 0.5 + 0.5 * np.sign(
            np.sin(rng.uniform(12, 60) * (across + rng.uniform(-1, 1) * down))
        )
    else:
        coarse = Image.fromarray(rng.integers(0, 256, (5, 4), np.uint8))
        share = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / 255
    picture = (
        one + (other - one) * np.clip(share, 0, 1)[..., None] + rng.normal(0, 3, (height, width, 1))
    )
    return np.clip(picture, 0, 255).astype(np.uint8)


def _stray(canvas: Image.Image, owner: np.ndarray, rng: np.random.Generator) -> None:
    """Lay a plain object over the scene."""
    height, width = owner.shape
    w, h = int(rng.uniform(0.06, 0.25) * width), int(rng.uniform(0.06, 0.25) * height)
    x, y = int(rng.uniform(0, width - w)), int(rng.uniform(0, height - h))
    canvas.paste(tuple(rng.integers(256, size=3).tolist()), (x, y, x + w, y + h))
    owner[y : y + h, x : x + w] = -1
