"""Maryland Polyvore in fashionnb.data.polyvore: the published files in small, and damaged ones."""

import io
import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fashionnb.data import polyvore, registry
from fashionnb.data.catalogue import Judged
from fashionnb.data.polyvore import MARYLAND, MARYLAND_SOURCE
from fashionnb.errors import DataError, DataNotFound
from fashionnb.evaluation.compatibility import auc, fitb

CATEGORIES = "3 Dresses\n43 Pumps\n106 Bracelets & Bangles\n"


def item(index: int, category: int = 43, **fields) -> dict:
    address = f"http://img2.polyvoreimg.com/cgi/img-thing?.out=jpg&size=m&tid={1000 + category}"
    return {"index": index, "name": " pumps ", "price": 12.5, "likes": 3, "image": address, "categoryid": category,
            **fields}  # fmt: skip


def outfit(name: str, *items: dict) -> dict:
    return {"name": "A name", "views": 8, "items": list(items), "image": "http://a", "likes": 2, "date": "One day ago",
            "set_url": "http://b", "set_id": name, "desc": ""}  # fmt: skip


SETS = {
    "train": [outfit("10", item(1, 3), item(3), item(7, 106))],
    "valid": [outfit("20", item(2, 3), item(4))],
    "test": [outfit("30", item(1, 3), item(5)), outfit("40", item(6), item(2, 3))],
}
BLANK = {"question": ["30_1"], "blank_position": 2, "answers": ["30_5", "40_6", "40_2", "20_4"]}


def files(**changes) -> dict[str, bytes]:
    sets = SETS | changes.get("sets", {})
    made = {f"{name}_no_dup.json": json.dumps(rows) for name, rows in sets.items()}
    made["category_id.txt"] = changes.get("categories", CATEGORIES)
    made["fill_in_the_blank_test.json"] = json.dumps(changes.get("blanks", [BLANK] * 8))
    made["fashion-compatibility-prediction.txt"] = "1 30_1 30_5\n0 30_1 40_6\n"
    picture = io.BytesIO()
    Image.new("RGB", (6, 8)).save(picture, "JPEG")
    for rows in sets.values():
        for row in rows if isinstance(rows, list) else ():
            for one in row.get("items", ()):
                made[f"images/{row['set_id']}/{one['index']}.jpg"] = picture.getvalue()
    made = {
        f"polyvore/{name}": data if isinstance(data, bytes) else data.encode()
        for name, data in made.items()
    }
    return {name: data for name, data in made.items() if name not in changes.get("missing", ())}


def copy(folder: Path, **changes) -> Path:
    for name, data in files(**changes).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def test_outfits_and_their_items_with_gaps_in_the_indices(tmp_path):
    outfits = polyvore.read_outfits(copy(tmp_path), MARYLAND)
    assert outfits.sets == {
        "10": ("10_1", "10_3", "10_7"),
        "20": ("20_2", "20_4"),
        "30": ("30_1", "30_5"),
        "40": ("40_2", "40_6"),  # in the order of the index, not of the file
    }
    assert outfits.split == {"10": "train", "20": "validation", "30": "test", "40": "test"}
    table = outfits.catalogue.table.set_index("id")
    assert table.loc["10_7"].to_dict() == {
        "category": "Bracelets & Bangles",
        "category_id": "106",
        "name": "pumps",
        "product": "1106",
        "price": 12.5,
        "likes": 3,
        "split": "train",
        "image": "polyvore/images/10/7.jpg",
    }
    assert outfits.catalogue.image("40_6").size == (6, 8)
    assert MARYLAND_SOURCE.read(tmp_path).table["id"].tolist() == list(table.index)


def test_a_zip_is_read_like_a_folder_and_photos_may_lie_anywhere(tmp_path):
    with zipfile.ZipFile(tmp_path / "polyvore.zip", "w") as archive:
        for name, data in files().items():
            archive.writestr(name.replace("polyvore/images", "elsewhere/of/images"), data)
    assert len(polyvore.read_outfits(tmp_path / "polyvore.zip", MARYLAND).catalogue.pixels()) == 9


def test_what_an_item_does_not_say(tmp_path):
    bare = {"index": 9}
    path = copy(
        tmp_path,
        sets={"test": [outfit("30", item(1, 3), bare), outfit("40", item(2), item(6, 999))]},
    )
    table = polyvore.read_outfits(path, MARYLAND).catalogue.table.set_index("id")
    assert table.loc["30_9", ["category", "name", "product", "likes"]].tolist() == ["", "", "", 0]
    assert math.isnan(table.loc["30_9", "price"])
    assert table.loc["40_6", "category"] == "999"


def test_the_published_questions(tmp_path):
    path = copy(tmp_path)
    blanks = polyvore.read_blanks(path, MARYLAND)
    truth = np.array([blank.truth for blank in blanks])
    assert sorted(truth.tolist()) == [0, 0, 1, 1, 2, 2, 3, 3], (
        "the right answer always stands first in the file"
    )
    assert {blank.answers[blank.truth] for blank in blanks} == {"30_5"}
    assert fitb(np.zeros((8, 4)), truth).mean() == 0.25
    judged = polyvore.read_judged(path, MARYLAND)
    assert judged == [Judged(("30_1", "30_5"), 1), Judged(("30_1", "40_6"), 0)]
    assert auc(np.zeros(2), [one.label for one in judged]) == 0.5


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        (
            {"sets": {"test": [outfit("30", item(1))]}},
            r"test_no_dup\.json: .*two items or more .*\(0\.items: List should have at least 2 items",
        ),
        (
            {"sets": {"test": [outfit("30", item(1), item(1))]}},
            r"outfit '30' has the index 1 twice",
        ),
        ({"sets": {"test": [outfit("10", item(1), item(2))]}}, "outfit '10' stands twice"),
        (
            {"sets": {"test": [outfit("30", item("1"), item("2"))]}},
            r"items\.0\.index: Input should be a valid integer",
        ),
        (
            {"sets": {"test": [{"items": []}]}},
            r"test_no_dup\.json: expected a list of outfits with set_id",
        ),
        ({"sets": {"test": {"a": 1}}}, "expected a list of outfits"),
        ({"categories": "3\n"}, r"category_id\.txt, line 1: expected a number and a name, got '3'"),
        ({"missing": ["polyvore/category_id.txt"]}, r"category_id\.txt: there is no such file"),
        ({"missing": ["polyvore/valid_no_dup.json"]}, r"valid_no_dup\.json: there is no such file"),
        (
            {"missing": ["polyvore/train_no_dup.json"]},
            r"there is no train_no_dup\.json; the files here are",
        ),
        (
            {"missing": ["polyvore/images/30/5.jpg"]},
            r"1 item\(s\) have no photo, the first is 30_5, expected as 30/5",
        ),
    ],
)
def test_bad_input(tmp_path, changes, phrase):
    with pytest.raises(DataError, match=phrase):
        polyvore.read_outfits(copy(tmp_path, **changes), MARYLAND)


def test_what_else_cannot_be_read(tmp_path):
    with pytest.raises(DataNotFound, match="no such file or folder"):
        polyvore.read_outfits(tmp_path / "nothing", MARYLAND)
    path = copy(tmp_path, blanks=[BLANK | {"answers": ["40_2", "40_6"]}])
    with pytest.raises(
        DataError, match=r"fill_in_the_blank_test\.json, question 0: .* the right one is missing"
    ):
        polyvore.read_blanks(path, MARYLAND)
    path = copy(tmp_path, blanks=[BLANK | {"answers": ["30_5", "40_7"]}])
    with pytest.raises(DataError, match="question 0: there is no item '40_7'"):
        polyvore.read_blanks(path, MARYLAND)
    with pytest.raises(DataError, match="about its test outfits only; got the split 'validation'"):
        polyvore.read_judged(path, MARYLAND, "validation")


def test_check_counts_and_lists_what_dangles(tmp_path, monkeypatch):
    lost = ["polyvore/images/20/4.jpg", "polyvore/images/10/1.jpg"]
    path = copy(tmp_path / "a", categories="3 Dresses\n43 Pumps\n", missing=lost)
    assert polyvore.dangling(path, MARYLAND) == [
        "outfit 10: item 10_1 has no photo 10/1.jpg",
        "outfit 20: item 20_4 has no photo 20/4.jpg",
        "category '106' of 1 item(s) is not in category_id.txt",
    ]
    with pytest.raises(DataError, match=r"3 ids dangle.*\n.*\n.*item 20_4 has no photo"):
        registry.check(MARYLAND_SOURCE.name, path)
    path = copy(tmp_path / "b")
    with pytest.raises(DataError, match=r"expected maryland outfits .*17316.*, found \{'train': 1"):
        MARYLAND_SOURCE.check(path)
    monkeypatch.setitem(polyvore.COUNTS, MARYLAND, {"train": 1, "validation": 1, "test": 2})
    assert MARYLAND_SOURCE.check(path) == [
        "maryland: 1 train, 1 validation, 2 test outfits, 2 to 3 items each",
        "maryland: 0 items are in training and in the test; no id dangles",
        "maryland: 8 fill-in-the-blank questions",
    ]
