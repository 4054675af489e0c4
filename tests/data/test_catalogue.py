"""fashionnb.data.catalogue: what a catalogue, outfits and scenes promise."""

import numpy as np
import pandas as pd
import pytest

from fashionnb.data.catalogue import BOX, Catalogue, Outfits, Scenes
from fashionnb.data.images import ArrayImages
from fashionnb.errors import DataError
from fashionnb.synthetic import drawn_garments


@pytest.fixture
def catalogue():
    table = pd.DataFrame(
        {
            "id": list("abcdef"),
            "category": ["Bag", "Shirt", "Bag", "Shirt", "Shirt", "Bag"],
            "colour": ["red", "blue", "", "red", "blue", "red"],
            "split": ["train"] * 4 + ["test"] * 2,
            "image": range(6),
        }
    )
    pictures = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 6, 3), np.uint8)
    return Catalogue("tiny", table, ArrayImages(pictures), classes=("Shirt", "Bag"))


def test_rows_are_taken_by_position_and_by_mask_in_the_order_given(catalogue):
    assert list(catalogue.take([4, 0]).table["id"]) == ["e", "a"]
    assert list(catalogue.take(catalogue.table["category"] == "Bag").table["id"]) == ["a", "c", "f"]
    assert list(catalogue.take([4, 0]).table.index) == [0, 1]


def test_labels_count_in_the_order_of_the_classes(catalogue):
    assert catalogue.labels().tolist() == [1, 0, 1, 0, 0, 1]
    assert catalogue.take([0]).labels().tolist() == [1]  # the same number in every subset


def test_split_and_sample(catalogue):
    assert list(catalogue.split("test").table["id"]) == ["e", "f"]
    assert len(catalogue.sample(4, seed=1)) == 4
    assert list(catalogue.sample(4, seed=1).table["id"]) == list(
        catalogue.sample(4, seed=1).table["id"]
    )
    assert catalogue.sample(2, by="category").table["category"].value_counts().to_dict() == {
        "Shirt": 2,
        "Bag": 2,
    }
    assert len(catalogue.sample(100)) == 6


def test_pictures_follow_the_rows(catalogue):
    backwards = catalogue.take([5, 4, 3])
    assert backwards.pixels()[:, 0, 0, 0].tolist() == [5, 4, 3]
    assert tuple(backwards.tensor().shape) == (3, 3, 8, 6)
    assert np.asarray(backwards.image("e"))[0, 0, 0] == 4


def test_what_is_not_there_is_said(catalogue):
    with pytest.raises(DataError, match="no split 'validation'; it has test, train"):
        catalogue.split("validation")
    with pytest.raises(DataError, match="no item 'zebra'"):
        catalogue.image("zebra")


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        (lambda table: table.drop(columns="category"), r"lacks the column\(s\) category"),
        (lambda table: table.assign(id="a"), "ids? must be unique|Ids must be unique"),
        (lambda table: table.assign(category="Spaceship"), "unknown categories Spaceship"),
    ],
)
def test_a_broken_table_is_refused(catalogue, change, phrase):
    with pytest.raises(DataError, match=phrase):
        Catalogue("tiny", change(catalogue.table), catalogue.images, catalogue.classes)


def test_outfits_name_only_items_of_their_catalogue(catalogue):
    assert len(Outfits(catalogue, {"o1": ("a", "b")}, {"o1": "train"})) == 1
    with pytest.raises(DataError, match="'zebra'"):
        Outfits(catalogue, {"o1": ("a", "zebra")}, {"o1": "train"})
    with pytest.raises(DataError, match="in no split"):
        Outfits(catalogue, {"o1": ("a", "b")}, {})


def test_a_sample_of_outfits_holds_only_their_items(catalogue):
    sets = {f"look {i}": (a, b) for i, (a, b) in enumerate(["ab", "bc", "cd", "de", "ef"])}
    outfits = Outfits(catalogue, sets, dict.fromkeys(sets, "train"))
    some = outfits.sample(2, seed=1)
    assert list(some.sets) == list(some.split) == sorted(some.sets)
    assert len(some) == 2
    assert set(some.catalogue.table["id"]) == {
        item for items in some.sets.values() for item in items
    }
    assert len({tuple(outfits.sample(2, seed).sets) for seed in range(20)}) > 3
    every = outfits.sample(9)
    assert list(every.sets) == list(sets)
    assert list(every.catalogue.table["id"]) == list("abcdef")


@pytest.mark.parametrize(
    "box", [(0.5, 0.1, 0.4, 0.9), (-0.1, 0, 1, 1), (0, 0, 1, 1.2), (0, float("nan"), 1, 1)]
)
def test_scenes_refuse_boxes_outside_the_picture(catalogue, box):
    columns = ["left", "top", "right", "bottom"]
    row = {"scene": "s", "product": "a", **dict(zip(columns, (0.1, 0.1, 0.5, 0.5), strict=True))}
    assert len(Scenes(catalogue, catalogue.images, pd.DataFrame([row]))) == 1
    with pytest.raises(DataError, match="Scene row 0"):
        Scenes(
            catalogue, catalogue.images, pd.DataFrame([row | dict(zip(columns, box, strict=True))])
        )


def test_scenes_refuse_unknown_products(catalogue):
    row = {"scene": "s", "product": "zebra", "left": 0.0, "top": 0.0, "right": 1.0, "bottom": 1.0}
    with pytest.raises(DataError, match="zebra"):
        Scenes(catalogue, catalogue.images, pd.DataFrame([row]))


def test_ids_are_those_of_the_table_in_its_order():
    catalogue = drawn_garments.catalogue(5, size=16)
    assert catalogue.take([3, 1]).ids == catalogue.table["id"].iloc[[3, 1]].tolist()


def test_so_many_outfits_of_each_split(catalogue, caplog):
    sets = {f"o{n}": ("a", "b") if n else ("b", "c") for n in range(9)}
    split = {name: "test" if name in ("o1", "o2") else "train" for name in sets}
    outfits = Outfits(catalogue, sets, split)
    some = outfits.limit({"train": 3, "validation": None}, seed=1)
    assert sorted(some.split.values()) == ["test"] * 2 + ["train"] * 3
    assert list(some.sets) == [name for name in sets if name in some.sets]
    assert set(some.catalogue.ids) == {item for items in some.sets.values() for item in items}
    assert outfits.limit({"train": 3}, seed=1).sets == some.sets
    assert not caplog.records
    assert outfits.limit({"train": 7, "test": 5}).sets == sets
    assert "5 outfits for test were asked for" in caplog.text
    assert "has 2: all are used" in caplog.text
    with pytest.raises(DataError, match="Expected 1 outfit or more of the split train, got 0"):
        outfits.limit({"train": 0})


def test_a_sample_of_scenes_holds_whole_scenes_and_their_products_alone(catalogue):
    rows = [(f"s{n}", item, 0, 0, 0.5, 0.5) for n in range(4) for item in ("a", "b")]
    table = pd.DataFrame([*rows, ("s4", "c", 0, 0, 1, 1)], columns=["scene", "product", *BOX])
    scenes = Scenes(catalogue, catalogue.images, table)
    for seed in range(8):
        some = scenes.sample(2, seed)
        assert some.table["scene"].nunique() == 2
        assert len(some) == table["scene"].isin(some.table["scene"]).sum()
        assert set(some.catalogue.ids) == set(some.table["product"])
    assert len(scenes.sample(99)) == len(scenes)
