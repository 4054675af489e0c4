"""fashionnb.scenes.splits: splits and crops by their definition."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionnb.data.catalogue import BOX, Catalogue, Scenes
from fashionnb.data.images import ArrayImages
from fashionnb.data.splits import by_hash
from fashionnb.errors import DataError
from fashionnb.scenes.features import largest_region, scene_pixels
from fashionnb.scenes.protocol import split_by_pair, split_strictly


def made(pairs, split=None) -> Scenes:
    """Scenes of numbers, with one box."""
    products = sorted({product for _, product in pairs})
    table = pd.DataFrame({"id": products, "category": "a", "image": 0})
    catalogue = Catalogue("made", table, ArrayImages(np.zeros((1, 8, 8), np.uint8)), ("a",))
    rows = pd.DataFrame(pairs, columns=["scene", "product"]).assign(
        left=0.2, top=0.1, right=0.5, bottom=0.6
    )
    return Scenes(catalogue, catalogue.images, rows if split is None else rows.assign(split=split))


some_pairs = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from("abcdefghij")), min_size=1, max_size=60
)


@settings(deadline=None)
@given(some_pairs)
def test_strict_splits_share_no_scene_and_no_product(pairs):
    scenes = made(pairs)
    strict = split_strictly(scenes)
    assert len(strict) + strict.table.attrs["straddling"] == len(pairs)
    for column in ("scene", "product"):
        assert strict.table.groupby(column)["split"].nunique().max() == 1
    # A product keeps at least as many pairs as it would in any other split.
    own = dict(
        zip(
            scenes.table["scene"],
            by_hash(scenes.table["scene"].astype(str), "shop-the-look"),
            strict=True,
        )
    )
    for product in {product for _, product in pairs}:
        homes = [own[scene] for scene, other in pairs if other == product]
        assert (strict.table["product"] == product).sum() == max(
            homes.count(split) for split in homes
        )
    weak = split_by_pair(scenes)
    assert weak.table.groupby(["scene", "product"])["split"].nunique().max() == 1
    assert len(weak) == len(pairs)


def test_a_split_of_scenes_is_kept_and_ties_go_to_the_test():
    pairs = [(0, "a"), (1, "a"), (1, "b"), (2, "b"), (0, "b"), (2, "c"), (1, "d")]
    split = ["train", "test", "test", "validation", "train", "validation", "test"]
    strict = split_strictly(made(pairs, split))
    assert strict.table[["scene", "product", "split"]].to_numpy().tolist() == [
        [1, "a", "test"], [1, "b", "test"], [2, "c", "validation"], [1, "d", "test"],
    ]  # fmt: skip
    assert strict.table.attrs["straddling"] == 3


sides = st.floats(0, 1)


@given(st.lists(st.tuples(sides, sides, sides, sides), min_size=1, max_size=8))
def test_the_largest_region_is_the_largest_of_four(boxes):
    boxes = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in boxes]
    for (left, top, right, bottom), found in zip(
        boxes, largest_region(np.array(boxes)).tolist(), strict=True
    ):
        four = [(0, 0, 1, top), (0, bottom, 1, 1), (0, 0, left, 1), (right, 0, 1, 1)]
        areas = [(c - a) * (d - b) for a, b, c, d in four]
        assert tuple(found) in four
        assert (found[2] - found[0]) * (found[3] - found[1]) == max(areas)
    assert largest_region(np.array([[0.25, 0.25, 0.75, 0.75]])).tolist() == [
        [0, 0, 1, 0.25]
    ]  # the first of equals


@pytest.mark.parametrize(
    "box", [(0.31, 0.4, 0.77, 1), (0.3, 0, 0.77, 0.35), (0.62, 0.1, 1, 0.9), (0, 0.2, 0.33, 0.9)]
)
def test_no_pixel_of_the_product_is_left(box):
    picture = np.full((1, 37, 53, 3), 200, np.uint8)
    left, top, right, bottom = (np.array(box) * [53, 37, 53, 37]).tolist()
    picture[0, int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = 0
    table = pd.DataFrame({"id": ["a"], "category": "a", "image": 0})
    store = ArrayImages(picture)
    row = pd.DataFrame([(0, "a", *box)], columns=["scene", "product", *BOX])
    scenes = Scenes(Catalogue("made", table, store, ("a",)), store, row)
    assert scene_pixels(scenes, (60, 60)).min() >= 199
    assert scene_pixels(scenes, 60, cut=False).min() < 20


def test_what_cannot_be_cropped():
    with pytest.raises(DataError, match=r"Boxes are \(n, 4\)"):
        largest_region(np.zeros(4))
    with pytest.raises(DataError, match="from 0 to 1"):
        largest_region(np.array([[0, 0, 1.5, 1]]))
    scenes = made([(0, "a")])
    scenes.table[BOX] = [0.0, 0.0, 1.0, 1.0]
    with pytest.raises(DataError, match="its product fills the scene"):
        scene_pixels(scenes, 8)
