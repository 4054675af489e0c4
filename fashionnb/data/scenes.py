"""Scenes and the products in them, whatever they were read from: fair splits, and pictures without the product.

`fashionnb.data.shop_the_look` reads scenes, and `fashionnb.data.lookbook` draws them. What models see of them is made
by `fashionnb.scenery`.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from fashionnb.data.images import letterbox
from fashionnb.data.nouns import Scenes
from fashionnb.data.splits import SHARES, by_hash
from fashionnb.errors import DataError

BOX = ["left", "top", "right", "bottom"]
REGIONS = ("above", "below", "left", "right")
"""The parts of a scene beside a box, in the order in which `largest_region` looks at them."""

_SALT = "shop-the-look"  # of the hash that deals pairs and scenes


def split_by_pair(scenes: Scenes) -> Scenes:
    """Deal the pairs to splits one by one, by a hash, as others did. Introduced in chapter 11.

    Weak: a scene, and a product, may be in training and in the test. For parity with published numbers only.
    """
    keys = (scenes.table["scene"].astype(str) + " " + scenes.table["product"]).tolist()
    return replace(scenes, table=scenes.table.assign(split=by_hash(keys, _SALT)))


def split_strictly(scenes: Scenes) -> Scenes:
    """Splits that share neither a scene nor a product. Introduced in chapter 11.

    A scene has the split that the table gives it, or one by a hash. A product goes where most of its pairs are, in a
    tie to test before validation before train. Pairs whose product went elsewhere are left out;
    `table.attrs["straddling"]` counts them.
    """
    table = scenes.table
    own = table["split"] if "split" in table else pd.Series(by_hash(table["scene"].astype(str), _SALT), table.index)
    counts = pd.crosstab(table["product"], own).reindex(columns=list(SHARES)[::-1], fill_value=0)
    home = table["product"].map(counts.idxmax(axis=1))  # the first of equals
    kept = table.assign(split=own)[(home == own).to_numpy()].reset_index(drop=True)
    kept.attrs.update(table.attrs, straddling=len(table) - len(kept))
    return replace(scenes, table=kept)


def largest_region(boxes: np.ndarray) -> np.ndarray:
    """The largest part of each scene without its product. Introduced in chapter 11. Kang et al. 2019, section 3.

    Of the four rectangles above, below, left and right of the box, each as wide or as high as the scene, the one with
    the largest area; of equals the first in this order.

    Parameters
    ----------
    boxes : (n, 4) float, left, top, right, bottom, from 0 to 1.

    Returns
    -------
    (n, 4) float64, likewise. Where the box fills the whole scene it has no area.

    Raises
    ------
    DataError : another shape, or a box that is not within 0 to 1.
    """
    boxes = np.asarray(boxes, float)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not ((boxes >= 0) & (boxes <= 1)).all():
        raise DataError(f"Boxes are (n, 4): left, top, right, bottom, from 0 to 1; got {boxes.shape}.")
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


def scene_pixels(scenes: Scenes, size: int | tuple[int, int], cut: bool = True) -> np.ndarray:
    """The scene of every pair, cropped to `largest_region` of its box. Introduced in chapter 11.

    Parameters
    ----------
    size : each is letterboxed to it, on white. cut : False leaves the product in, which shows how much that gives away.

    Returns
    -------
    uint8 (pairs, height, width, 3)

    Raises
    ------
    DataError : a picture cannot be read, or a product fills its whole scene.
    """
    height, width = (size, size) if isinstance(size, int) else size
    regions = largest_region(scenes.table[BOX].to_numpy(float))
    out = np.empty((len(scenes), height, width, 3), np.uint8)
    last, picture = None, None  # the pairs of a scene stand together
    for row, key in enumerate(scenes.table["scene"]):
        if picture is None or key != last:
            last, picture = key, scenes.images.image(key)
        part = picture
        if cut:
            left, top, right, bottom = regions[row] * ([picture.width, picture.height] * 2)
            # Rounded towards the outside: a pixel that the box touches is not kept.
            corners = int(np.ceil(left)), int(np.ceil(top)), int(right), int(bottom)
            if corners[0] >= corners[2] or corners[1] >= corners[3]:
                raise DataError(f"Pair {row}: its product fills the scene {key!r}, so nothing is left without it.")
            part = picture.crop(corners)
        out[row] = letterbox(part, (height, width), 3)
    return out
