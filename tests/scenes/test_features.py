"""fashionnb.scenes.features: no feature of a scene shows the hidden product."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fashionnb.data.catalogue import BOX, Catalogue, Scenes
from fashionnb.data.images import ArrayImages, FolderImages
from fashionnb.errors import DataError
from fashionnb.models.multi_stage_encoder import MultiStageEncoder
from fashionnb.scenes.features import (
    MOST,
    apart,
    largest_region,
    scene_pixels,
    view,
    with_surroundings,
)

GREEN, BLUE = (20, 160, 20), (20, 20, 200)


def scenes(folder, products=("red", "red"), hidden=(200, 20, 20)) -> Scenes:
    """Three scenes: a box above or below the middle, painted in `hidden`; the rest green or blue."""
    rows = []
    for number, rest in enumerate((GREEN, BLUE, GREEN)):
        picture = np.full((80, 60, 3), rest, np.uint8)
        top = 0 if number else 60
        picture[top : top + 20, 6:54] = hidden
        Image.fromarray(picture).save(folder / f"s{number}.png")
        rows += [
            (f"s{number}.png", product, 0.1, top / 80, 0.9, (top + 20) / 80) for product in products
        ]
    Image.new("RGB", (20, 20), (200, 20, 20)).save(folder / "red.png")
    catalogue = Catalogue(
        "shop",
        pd.DataFrame({"id": ["red"], "category": "Tops", "image": ["red.png"]}),
        FolderImages(folder),
        ("Tops",),
    )
    table = pd.DataFrame(rows, columns=["scene", "product", "left", "top", "right", "bottom"])
    return Scenes(catalogue, FolderImages(folder), table)


def test_nothing_of_the_product_is_seen(tmp_path):
    encoder = MultiStageEncoder()
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
    red, white = (
        view(scenes(one), encoder=encoder),
        view(scenes(other, hidden=(250, 250, 250)), encoder=encoder),
    )
    torch.testing.assert_close(red.crops, white.crops)
    for found in (red, white):
        assert (found.others == -1).all(), "both boxes of a scene are the same"
        assert found.pieces.shape == (6, encoder.width)
        assert found.scene.tolist() == [0, 0, 1, 1, 2, 2]


def test_uncut_shows_the_product(tmp_path):
    found = view(scenes(tmp_path, ["red"]), encoder=MultiStageEncoder())
    assert (found.crops[0] - found.crops[2]).norm() < 1e-3, "cut, two green scenes are alike"
    assert (found.uncut[0] - found.uncut[2]).norm() > 1, "the product lies elsewhere"


def test_a_piece_is_what_is_in_its_box_alone(tmp_path):
    data = scenes(tmp_path)
    below = data.table["top"] == 0
    data.table.loc[1, ["top", "bottom"]] = [0.0, 0.2]  # green
    data.table.loc[3, ["top", "bottom"]] = [0.5, 0.9]  # blue
    found = view(data, encoder=MultiStageEncoder())
    assert below.tolist() == [False, False, True, True, True, True]
    assert found.others[:, 0].tolist() == [1, 0, 3, 2, -1, -1]
    assert (found.pieces[0] - found.pieces[2]).norm() < 0.1, "both are red"
    assert (found.pieces[0] - found.pieces[1]).norm() > 1


@given(st.integers(0, 99), st.integers(1, 14))
def test_pieces_apart_do_not_touch(seed, n):
    generator = torch.Generator().manual_seed(seed)
    start, size = (
        torch.randint(0, 4, (n, 2), generator=generator),
        torch.randint(1, 3, (n, 2), generator=generator),
    )
    boxes, scene = (
        torch.cat([start, start + size], 1) / 6,
        torch.randint(0, 2, (n,), generator=generator),
    )
    for row, others in enumerate(apart(scene, boxes).tolist()):
        left, top, right, bottom = boxes[row].tolist()
        free = [
            other
            for other, (x0, y0, x1, y1) in enumerate(boxes.tolist())
            if other != row
            and scene[other] == scene[row]
            and (x1 <= left or x0 >= right or y1 <= top or y0 >= bottom)
        ][:MOST]
        assert others == free + [-1] * (MOST - len(free))


def test_chunks_and_the_cache_do_not_show(tmp_path, monkeypatch):
    data, encoder = scenes(tmp_path), MultiStageEncoder()
    whole = view(data, encoder=encoder)
    monkeypatch.setattr("fashionnb.scenes.features.CHUNK", 2)
    parts = view(data, encoder=encoder, cache=tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 2
    again = view(data, encoder=encoder, cache=tmp_path / "cache")
    next(iter((tmp_path / "cache").iterdir())).write_bytes(b"broken")
    mended = view(data, encoder=encoder, cache=tmp_path / "cache")
    for name in ("crops", "uncut", "pieces", "boxes", "scene", "others"):
        for other in (parts, again, mended):
            torch.testing.assert_close(
                getattr(whole, name), getattr(other, name), atol=0.02, rtol=0.02
            )


def test_another_picture_is_looked_at_again(tmp_path):
    data, encoder = scenes(tmp_path), MultiStageEncoder()
    one = view(data, encoder=encoder, cache=tmp_path / "cache")
    Image.new("RGB", (60, 80), (200, 200, 10)).save(tmp_path / "s1.png")
    assert not torch.allclose(
        one.crops, view(data, encoder=encoder, cache=tmp_path / "cache").crops
    )


def test_a_product_that_fills_its_scene_is_refused(tmp_path):
    data = scenes(tmp_path)
    data.table.loc[0, ["left", "top", "right", "bottom"]] = [0.0, 0.0, 1.0, 1.0]
    with pytest.raises(DataError, match="fills the scene"):
        view(data, encoder=MultiStageEncoder())


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
    data = Scenes(Catalogue("made", table, store, ("a",)), store, row)
    assert scene_pixels(data, (60, 60)).min() >= 199
    assert picture.min() < 20


def test_what_cannot_be_cropped(tmp_path):
    with pytest.raises(DataError, match=r"Boxes are \(n, 4\)"):
        largest_region(np.zeros(4))
    with pytest.raises(DataError, match="from 0 to 1"):
        largest_region(np.array([[0, 0, 1.5, 1]]))
    whole = scenes(tmp_path)
    whole.table[BOX] = [0.0, 0.0, 1.0, 1.0]
    with pytest.raises(DataError, match="its product fills the scene"):
        scene_pixels(whole, 8)


def test_pairs_whose_product_fills_the_scene_are_left_out_and_counted(tmp_path, caplog):
    every = scenes(tmp_path)
    assert with_surroundings(every) is every
    table = every.table.copy()
    table.loc[[1, 3], BOX] = [0.0, 0.0, 1.0, 0.99]
    kept = with_surroundings(Scenes(every.catalogue, every.images, table))
    assert kept.table.equals(table.drop(index=[1, 3]).reset_index(drop=True))
    assert "2 of 6 pairs of shop are left out" in caplog.text
    table[BOX] = [0.0, 0.0, 1.0, 1.0]
    with pytest.raises(DataError, match="6 of 6 pairs of shop: the product fills the whole scene"):
        with_surroundings(Scenes(every.catalogue, every.images, table))
