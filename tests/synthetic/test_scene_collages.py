"""fashionnb.synthetic.composed_outfits.scene_collages: what is drawn, where its boxes are, and Shop-the-Look's files
there and back."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fashionnb.data import polyvore, shop_the_look
from fashionnb.data.catalogue import BOX, Catalogue, Outfits
from fashionnb.data.images import ArrayImages
from fashionnb.errors import DataError, WriteError
from fashionnb.scenes.features import scene_pixels
from fashionnb.scenes.protocol import split_strictly
from fashionnb.synthetic import composed_outfits, drawn_garments
from fashionnb.synthetic.composed_outfits import scene_collages

COLOURS = {
    "top": (250, 0, 0),
    "bottom": (0, 0, 250),
    "shoes": (0, 200, 0),
    "bag": (200, 0, 200),
    "hat": (1, 1, 1),
}


@pytest.fixture(scope="module")
def outfits() -> Outfits:
    return composed_outfits.compose(drawn_garments.catalogue(300, size=48), 40)


@pytest.fixture(scope="module")
def plain() -> Outfits:
    """Pieces of one colour each, rectangles on white; a lipstick that is not drawn; an outfit of it and one piece."""
    pictures = np.full((5, 64, 48, 3), 255, np.uint8)
    for number, colour in enumerate(COLOURS.values()):
        pictures[number, 8:56, 10:38] = colour
    kinds = ["Shirt", "Jeans", "Sneaker", "Bag", "Lipstick"]
    table = pd.DataFrame({"id": list(COLOURS), "category": kinds, "image": range(5)})
    catalogue = Catalogue("plain", table, ArrayImages(pictures), tuple(sorted(kinds)))
    sets = {str(n): ("shoes", "top", "bag", "bottom", "hat") for n in range(40)} | {
        "alone": ("top", "hat")
    }
    return Outfits(catalogue, sets, dict.fromkeys(sets, "test"))


def test_boxes_are_where_the_pieces_are(plain, monkeypatch):
    """On grey, without stray objects, every pixel of a piece's colour lies in its box, and reaches its sides."""
    monkeypatch.setattr(scene_collages, "_CLUTTER", 0)
    monkeypatch.setattr(
        scene_collages, "_background", lambda h, w, rng: np.full((h, w, 3), 128, np.uint8)
    )
    drawn = list(composed_outfits.draw_scenes(plain, 160))
    assert [scene.outfit for scene in drawn] == [str(n) for n in range(40)]
    whole = 0
    for scene in drawn:
        assert scene.picture.shape == (160, 120, 3)
        assert len(set(scene.products)) == len(scene.products) >= 2
        assert "hat" not in scene.products
        boxes = (scene.boxes * [120, 160, 120, 160]).round().astype(int)
        for product, (left, top, right, bottom), visible in zip(
            scene.products, boxes, scene.visible, strict=True
        ):
            apart = np.abs(scene.picture.astype(int) - COLOURS[product]).max(2)
            y, x = np.nonzero(apart < 40)
            assert left - 1 <= x.min()
            assert x.max() <= right
            assert top - 1 <= y.min()
            assert y.max() <= bottom
            assert scene_collages.VISIBLE <= visible <= 1
            if (
                visible == 1
            ):  # something was laid at each side; a rim of white may be cut out with a piece
                whole += 1
                laid = (scene.picture[top:bottom, left:right] != 128).any(2)
                assert laid[0].any()
                assert laid[-1].any()
                assert laid[:, 0].any()
                assert laid[:, -1].any()
                assert x.max() - x.min() >= 0.4 * (right - left)
                assert y.max() - y.min() >= 0.4 * (bottom - top)
    assert whole > 40


def test_what_is_covered_is_no_pair(plain, monkeypatch):
    monkeypatch.setattr(
        scene_collages, "SLOTS", dict.fromkeys(scene_collages.SLOTS, (0.5, 0.5, 0.5, 0.5))
    )
    drawn = list(composed_outfits.draw_scenes(plain, 96))
    assert all(len(scene.products) < 4 for scene in drawn)
    assert all(scene.visible.min() >= scene_collages.VISIBLE for scene in drawn if scene.products)


def same(one, other) -> None:
    """Equal to the last pixel, whatever was cut out together with it."""
    assert (one.name, one.outfit, one.products) == (other.name, other.outfit, other.products)
    np.testing.assert_array_equal(one.picture, other.picture)
    np.testing.assert_array_equal(one.boxes, other.boxes)
    np.testing.assert_array_equal(one.visible, other.visible)


def test_a_scene_depends_on_the_seed_and_its_outfit_alone(outfits):
    few = Outfits(outfits.catalogue, dict(list(outfits.sets.items())[5:9]), outfits.split)
    whole = {scene.outfit: scene for scene in composed_outfits.draw_scenes(outfits, 64, seed=1)}
    for scene in composed_outfits.draw_scenes(outfits, 64, seed=1):
        np.testing.assert_array_equal(scene.picture, whole[scene.outfit].picture)
        np.testing.assert_array_equal(scene.boxes, whole[scene.outfit].boxes)
    for scene in composed_outfits.draw_scenes(few, 64, seed=1):
        same(scene, whole[scene.outfit])
    other = {scene.outfit: scene for scene in composed_outfits.draw_scenes(few, 64, seed=2)}
    assert all((scene.picture != whole[name].picture).any() for name, scene in other.items())
    assert len({scene.name for scene in [*whole.values(), *other.values()]}) == len(whole) + len(
        other
    )


def test_pieces_are_forgotten_so_that_memory_stays_flat(outfits, monkeypatch):
    expected = list(composed_outfits.draw_scenes(outfits, 64))
    monkeypatch.setattr(scene_collages, "_KEPT", 3)
    monkeypatch.setattr(scene_collages, "_BLOCK", 2)
    cut = []
    cut_out = scene_collages._cut_out
    monkeypatch.setattr(
        scene_collages, "_cut_out", lambda photos: (cut.extend(photos), cut_out(photos))[1]
    )
    for before, scene in zip(expected, composed_outfits.draw_scenes(outfits, 64), strict=True):
        same(scene, before)
    assert len(cut) > len(set(cut)), "forgotten, and cut out again"


def test_backgrounds_vary(outfits):
    corners = np.array(
        [scene.picture[:4, :4].mean((0, 1)) for scene in composed_outfits.draw_scenes(outfits, 64)]
    )
    assert corners.std(0).min() > 30


def test_scenes_are_written_as_shop_the_look_and_read_back(outfits, tmp_path):
    composed_outfits.write_scenes(outfits, tmp_path, 96, seed=4)
    read = shop_the_look.read_scenes(tmp_path)
    assert read.table["scene"].nunique() == 40
    drawn = list(composed_outfits.draw_scenes(outfits, 96, seed=4))
    expected = [
        (f"images/{scene.name}.jpg", product, *box, outfits.split[scene.outfit])
        for scene in drawn
        for product, box in zip(scene.products, scene.boxes.round(6).tolist(), strict=True)
    ]
    columns = ["scene", "product", *BOX, "split"]
    assert list(read.table[columns].itertuples(index=False, name=None)) == expected
    own = outfits.catalogue.table.set_index("id")
    table = read.catalogue.table.set_index("id")
    assert (table["category"] == own.loc[table.index, "category"]).all()
    assert table["path"].str.startswith("Apparel & Accessories|").all()
    apart = np.asarray(read.images.image(expected[0][0])).astype(int) - drawn[0].picture
    assert np.abs(apart).mean() < 12  # JPEG, of noise
    strict = split_strictly(read)
    assert strict.table.attrs["straddling"] == 0, (
        "in a disjoint lookbook no product is in two splits"
    )
    assert scene_pixels(strict, 32).shape == (len(strict), 32, 32, 3)


def test_bad_input(plain, tmp_path):
    with pytest.raises(DataError, match="Scenes are 64 to 1024 pixels high; got 32"):
        next(composed_outfits.draw_scenes(plain, 32))
    alone = Outfits(plain.catalogue, {"alone": ("top", "hat")}, plain.split)
    with pytest.raises(DataError, match="plain: no outfit has two pieces that can be drawn"):
        composed_outfits.write_scenes(alone, tmp_path / "a")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match="cannot be written"):
        composed_outfits.write_scenes(plain, tmp_path / "file" / "folder")
    Image.new("RGB", (20, 20)).save(tmp_path / "small.jpg")
    small = Catalogue(
        "small",
        plain.catalogue.table,
        ArrayImages(np.zeros((5, 20, 20, 3), np.uint8)),
        plain.catalogue.classes,
    )
    with pytest.raises(DataError, match="48 pixels or more a side"):
        next(composed_outfits.draw_scenes(Outfits(small, plain.sets, plain.split)))


def test_drawn_scenes_are_kept_until_a_photo_changes(tmp_path):
    composed_outfits.write_polyvore(
        tmp_path / "mine",
        {"disjoint": composed_outfits.compose(drawn_garments.catalogue(300, size=48), 90)},
        "any",
    )
    mine = polyvore.read_outfits(tmp_path / "mine")
    first = composed_outfits.drawn_scenes(mine, tmp_path / "kept")
    assert first.catalogue is mine.catalogue
    again = composed_outfits.drawn_scenes(mine, tmp_path / "kept")
    assert again.table.equals(first.table)
    assert len(list((tmp_path / "kept").iterdir())) == 1
    photo = tmp_path / "mine" / mine.catalogue.table["image"].iloc[0]
    Image.new("RGB", (60, 80), "red").save(photo)
    composed_outfits.drawn_scenes(mine, tmp_path / "kept")
    assert len(list((tmp_path / "kept").iterdir())) == 2
