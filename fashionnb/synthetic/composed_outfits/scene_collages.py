"""Scene collages: the product photos of an outfit in one image, with the box of each item.

The outfits are real (MANGO's) or composed. Each item is cut out of its photo, so that the
background does not give the photo away, and is placed where it is worn, with jitter, on a random
background; items and random objects can cover each other. A collage is not a street photo: always
say that a number was measured on collages. `write_scenes` writes the format of Shop the Look.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fashionnb.data.catalogue import BOX, Outfits, Scenes
from fashionnb.data.foreground import foreground
from fashionnb.data.shop_the_look import PAIRS, read_scenes, write_lists
from fashionnb.errors import DataError
from fashionnb.files import written_whole
from fashionnb.synthetic.composed_outfits.polyvore_files import write_photos
from fashionnb.synthetic.composed_outfits.rules import kinds, roles

# From back to front: centre (x, y), and the largest width and height, in units of the scene.
SLOTS = {
    "bottom": (0.5, 0.63, 0.5, 0.42),
    "dress": (0.5, 0.43, 0.6, 0.6),
    "top": (0.5, 0.29, 0.55, 0.32),
    "layer": (0.27, 0.36, 0.5, 0.4),
    "shoes": (0.5, 0.89, 0.36, 0.15),
    "bag": (0.8, 0.56, 0.32, 0.24),
    "accessory": (0.78, 0.17, 0.26, 0.15),
}
"""Where an item lies in a scene, by its role."""

VISIBLE = 0.5
"""An item whose visible share is smaller is drawn, but makes no pair of scene and product."""

_ASPECT = 0.75  # width over height of a scene
_CUT = 112  # pixels: the largest height of an item that was cut out
_KEPT = 4_096  # items that are kept for the next scenes, about 100 MB; then all are forgotten
_BLOCK = 32  # outfits whose items are cut out together
_CLUTTER = 0.3  # the probability of an unrelated object
_IS_OPAQUE = [0] * 128 + [255] * 128  # of each value of the alpha channel


@dataclass(frozen=True, eq=False)
class DrawnScene:
    """Scene collage of n visible items of one outfit, with the box of each.

    Parameters
    ----------
    name : str
        32 hexadecimal digits, a hash of seed and outfit.
    outfit : str
        The id of the outfit.
    picture : ndarray of shape (height, width, 3), uint8
        The image.
    products : tuple of str
        The ids of the items.
    boxes : ndarray of shape (n, 4)
        Left, top, right, bottom, from 0 to 1, of each item within the scene, covered or not.
    visible : ndarray of shape (n,)
        The visible share of each item, `VISIBLE` to 1.
    """

    name: str
    outfit: str
    picture: np.ndarray
    products: tuple[str, ...]
    boxes: np.ndarray
    visible: np.ndarray


def draw_scenes(outfits: Outfits, size: int = 160, seed: int = 0) -> Iterator[DrawnScene]:
    """Draw a scene collage of each outfit, one after the other.

    A scene depends on the seed and on its outfit alone. Items without a role
    (`fashionnb.synthetic.composed_outfits.rules`) are not drawn, and outfits with fewer than two
    items to draw are left out.

    Parameters
    ----------
    outfits : Outfits
        Of a catalogue of photos on a white or plain background, 48 pixels a side or more.
    size : int
        Height in pixels, 64 to 1024; the width is three quarters of it.
    seed : int
        The same seed gives the same scenes.

    Yields
    ------
    DrawnScene

    Raises
    ------
    DataError
        If the size is out of range, or a photo cannot be read or is too small.
    """
    if not 64 <= size <= 1024:
        raise DataError(f"Scenes are 64 to 1024 pixels high; got {size}.")
    catalogue = outfits.catalogue
    role = dict(zip(catalogue.ids, roles(catalogue), strict=True))
    photo = dict(zip(catalogue.ids, catalogue.table["image"], strict=True))
    names, pieces = list(outfits.sets), {}
    for start in range(0, len(names), _BLOCK):
        block = {
            name: [item for item in outfits.sets[name] if role[item]]
            for name in names[start : start + _BLOCK]
        }
        if len(pieces) > _KEPT:
            pieces = {}
        missing = {item for items in block.values() for item in items} - set(pieces)
        pieces |= _cut_out({item: catalogue.images.image(photo[item]) for item in sorted(missing)})
        for name, items in block.items():
            if len(items) > 1:
                yield _scene(name, items, pieces, role, size, seed)


def write_scenes(outfits: Outfits, folder: Path | str, size: int = 160, seed: int = 0) -> None:
    """Draw a scene collage of each outfit, and write them in the format of Shop-the-Look.

    A field `split` in each line has the split of the outfit. The category of a product is its role
    and its kind. The photos of products are those of the catalogue. The lists are written last, and
    nothing can be read without them.

    Parameters
    ----------
    outfits : Outfits
        As in `draw_scenes`.
    folder : path
        Created if it does not exist.
    size : int
        Height of a scene in pixels, 64 to 1024.
    seed : int
        The same seed gives the same scenes.

    Raises
    ------
    DataError
        As `draw_scenes`; also if an id cannot be a file name, or there is nothing to draw.
    WriteError
        If the folder cannot be written.
    """
    folder, rows, catalogue = Path(folder), [], outfits.catalogue
    for scene in draw_scenes(outfits, size, seed):
        with written_whole(folder / "images" / f"{scene.name}.jpg") as aside:
            Image.fromarray(scene.picture).save(aside, "JPEG", quality=90)
        rows += [
            (product, scene.name, *box, outfits.split[scene.outfit])
            for product, box in zip(scene.products, scene.boxes.round(6).tolist(), strict=True)
        ]
    if not rows:
        raise DataError(f"{catalogue.name}: no outfit has two pieces that can be drawn.")
    table = pd.DataFrame(rows, columns=["product", "scene", *BOX, "split"])
    used = catalogue.take(catalogue.table["id"].isin(table["product"]))
    write_photos(used, folder / "images")
    categories = {
        item: f"Apparel & Accessories|{role}|{kind}"
        for item, role, kind in zip(used.ids, roles(used), kinds(used), strict=True)
    }
    write_lists(folder, table, categories)


def drawn_scenes(outfits: Outfits, folder: Path | str, seed: int = 0) -> Scenes:
    """Draw a scene collage of each outfit, or read those that were drawn and kept before.

    Parameters
    ----------
    outfits : Outfits
        As in `draw_scenes`.
    folder : path
        Where scenes are kept, under a hash of the seed, the outfits and their photos.
    seed : int
        The same seed gives the same scenes.

    Returns
    -------
    Scenes
        With the catalogue of the outfits.

    Raises
    ------
    DataError, WriteError
        As `write_scenes`.
    """
    catalogue = outfits.catalogue
    digest = hashlib.sha256(f"{seed} {sorted(outfits.sets.items())}".encode())
    if hasattr(catalogue.images, "read"):  # photos in files may change, drawn garments do not
        for key in catalogue.table["image"]:
            digest.update(hashlib.sha256(catalogue.images.read(key)).digest())
    kept = Path(folder) / digest.hexdigest()[:16]
    if not (kept / PAIRS).exists():  # it is written last
        write_scenes(outfits, kept, seed=seed)
    return replace(read_scenes(kept), catalogue=catalogue)


def _cut_out(photos: Mapping[str, Image.Image]) -> dict[str, Image.Image]:
    """Each item as RGBA, cropped to itself. Photos of one size are cut out together."""
    arrays = {item: np.asarray(photo.convert("RGB")) for item, photo in photos.items()}
    found = {}
    for shape in {array.shape for array in arrays.values()}:
        alike = [item for item in arrays if arrays[item].shape == shape]
        masks = foreground(np.stack([arrays[item] for item in alike]))
        for item, mask in zip(alike, masks, strict=True):
            found[item] = _cropped(arrays[item], mask)
    return found


def _cropped(photo: np.ndarray, mask: np.ndarray) -> Image.Image:
    """The item as RGBA; the whole photo if it has no foreground."""
    mask = mask if mask.any() else np.ones_like(mask)
    piece = Image.fromarray(np.dstack([photo, mask.astype(np.uint8) * 255]))
    piece = piece.crop(piece.getchannel("A").getbbox())
    if piece.height <= _CUT:
        return piece
    width = max(1, round(piece.width * (_CUT / piece.height)))
    return piece.resize((width, _CUT), Image.Resampling.BOX)


def _scene(
    name: str,
    items: Sequence[str],
    pieces: Mapping[str, Image.Image],
    role: Mapping[str, str],
    size: int,
    seed: int,
) -> DrawnScene:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
    rng = np.random.default_rng(int(digest[:16], 16))
    width = round(_ASPECT * size)
    canvas = Image.fromarray(_background(size, width, rng))
    owner = np.full((size, width), -1)
    mirrored = rng.random() < 0.5
    items = sorted(items, key=lambda item: list(SLOTS).index(role[item]))
    boxes, areas = [], []
    for number, item in enumerate(items):
        piece = pieces[item]
        x, y, most_wide, most_tall = SLOTS[role[item]]
        if number and role[item] == role[items[number - 1]]:  # it lies beside the first of its role
            x, y = x + rng.choice([-0.2, 0.2]), y + rng.uniform(-0.1, 0.1)
        x, y = (1 - x if mirrored else x) + rng.normal(0, 0.04), y + rng.normal(0, 0.03)
        scale = rng.uniform(0.85, 1.15) * min(
            most_wide * width / piece.width, most_tall * size / piece.height
        )
        shape = max(3, round(piece.width * scale)), max(3, round(piece.height * scale))
        laid = piece.resize(shape, Image.Resampling.BILINEAR)
        laid = laid.rotate(rng.uniform(-8, 8), Image.Resampling.BILINEAR, expand=True)
        place = round(x * width - laid.width / 2), round(y * size - laid.height / 2)
        canvas.paste(laid, place, laid)
        covered = laid.getchannel("A").point(_IS_OPAQUE)
        within = Image.new("L", canvas.size)
        within.paste(covered, place)
        owner[np.asarray(within) > 0] = number
        boxes.append(within.getbbox() or (0, 0, 0, 0))  # nothing where the item lies outside
        areas.append(np.count_nonzero(covered))
    if rng.random() < _CLUTTER:
        _lay_over(canvas, owner, rng)
    visible = np.bincount(owner[owner >= 0], minlength=len(items)) / np.maximum(areas, 1)
    good = np.flatnonzero(visible >= VISIBLE)
    return DrawnScene(
        digest[:32],
        name,
        np.asarray(canvas),
        tuple(items[number] for number in good),
        np.array(boxes)[good] / [width, size, width, size],
        visible[good],
    )


def _background(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """A gradient, a wall and a floor, stripes, or clouds of colour: uint8 (height, width, 3)."""
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


def _lay_over(canvas: Image.Image, owner: np.ndarray, rng: np.random.Generator) -> None:
    """Lay a plain, unrelated object over the scene."""
    height, width = owner.shape
    w, h = int(rng.uniform(0.06, 0.25) * width), int(rng.uniform(0.06, 0.25) * height)
    x, y = int(rng.uniform(0, width - w)), int(rng.uniform(0, height - h))
    canvas.paste(tuple(rng.integers(256, size=3).tolist()), (x, y, x + w, y + h))
    owner[y : y + h, x : x + w] = -1
