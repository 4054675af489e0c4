"""fashionnb.data.polyvore: the published layout in small, its quirks, and what is wrong with a damaged copy."""

import io
import json
import pickle
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fashionnb.data import polyvore
from fashionnb.data.catalogue import Judged
from fashionnb.errors import DataError, DataNotFound
from fashionnb.evaluation.compatibility import auc, fitb

CATEGORIES = "2,undefined,\n3,dress,all-body\n41,closed shoes,shoes\n43,pump,shoes\n43,heels,shoes\n51,belt,accessories \n"
PAIRS = [("all-body", "shoes"), ("shoes", "shoes"), ("accessories", "shoes")]


def item(number: str, semantic: str, title: str = "") -> dict:
    return {"url_name": "a name", "description": "", "catgeories": ["x"], "title": title, "related": ["y"],
            "category_id": number, "semantic_category": semantic}  # fmt: skip


ITEMS = {f"d{n}": item("3", "all-body", "Dress") for n in range(4)} | {
    f"s{n}": item("43", "shoes") for n in range(4)
}


def outfit(name: str, *items: str) -> dict:
    return {
        "set_id": name,
        "items": [{"item_id": one, "index": i} for i, one in enumerate(items, start=1)],
    }


def files(**changes) -> dict[str, bytes]:
    """The published layout; `changes` are of its parts."""
    sets = {
        "train": [outfit("10", "d0", "s0")],
        "valid": [outfit("20", "d1", "s1")],
        "test": [outfit("30", "d2", "s2"), outfit("40", "d3", "s3")],
        **changes.get("sets", {}),
    }
    blank = {"question": ["30_1"], "blank_position": 2, "answers": ["30_2", "40_2"]}
    made = {
        "polyvore_item_metadata.json": json.dumps(changes.get("items", ITEMS)),
        "categories.csv": changes.get("categories", CATEGORIES),
    }
    for edition in polyvore.EDITIONS:
        made |= {f"{edition}/{name}.json": json.dumps(rows) for name, rows in sets.items()}
        made[f"{edition}/compatibility_test.txt"] = "1 30_1 30_2\n0 30_1 40_2\n"
        made[f"{edition}/fill_in_blank_test.json"] = json.dumps(changes.get("blanks", [blank]))
        made[f"{edition}/typespaces.p"] = changes.get("typespaces", pickle.dumps(PAIRS))
    picture = io.BytesIO()
    Image.new("RGB", (6, 8)).save(picture, "JPEG")
    made |= {
        f"images/{name}.jpg": picture.getvalue()
        for name in ITEMS
        if name not in changes.get("without", ())
    }
    made = {name: data if isinstance(data, bytes) else data.encode() for name, data in made.items()}
    return {name: data for name, data in made.items() if name not in changes.get("missing", ())}


def copy(folder: Path, **changes) -> Path:
    for name, data in files(**changes).items():
        path = folder / "polyvore_outfits" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@pytest.mark.parametrize("edition", polyvore.EDITIONS)
def test_outfits_and_their_items(tmp_path, edition):
    outfits = polyvore.read_outfits(copy(tmp_path), edition)
    assert outfits.sets == {
        "10": ("d0", "s0"),
        "20": ("d1", "s1"),
        "30": ("d2", "s2"),
        "40": ("d3", "s3"),
    }
    assert outfits.split == {"10": "train", "20": "validation", "30": "test", "40": "test"}
    assert outfits.catalogue.classes == ("all-body", "shoes")
    assert outfits.catalogue.table.iloc[1].to_dict() == {
        "id": "s0",
        "category": "shoes",
        "fine": "pump",  # the first of the two lines for 43
        "category_id": "43",
        "name": "a name",  # its title is empty
        "description": "",
        "image": "polyvore_outfits/images/s0.jpg",
    }
    assert outfits.catalogue.table["name"].iloc[0] == "Dress"
    assert outfits.catalogue.image("d3").size == (6, 8)


def test_a_zip_is_read_like_a_folder(tmp_path):
    with zipfile.ZipFile(tmp_path / "polyvore_outfits.zip", "w") as archive:
        for name, data in files().items():
            archive.writestr(name, data)
    outfits = polyvore.read_outfits(tmp_path / "polyvore_outfits.zip")
    assert len(outfits) == 4
    assert outfits.catalogue.pixels().shape == (8, 8, 6, 3)


def test_items_stand_in_the_order_of_their_index_and_are_named_by_it(tmp_path):
    mixed = {
        "set_id": "30",
        "items": [{"item_id": "s2", "index": 5}, {"item_id": "d2", "index": 2}],
    }
    blank = {"question": ["30_2"], "blank_position": 5, "answers": ["40_2", "30_5"]}
    path = copy(tmp_path, sets={"test": [mixed, outfit("40", "d3", "s3")]}, blanks=[blank])
    assert polyvore.read_outfits(path).sets["30"] == ("d2", "s2")
    (found,) = polyvore.read_blanks(path)
    assert (found.asked, found.answers[found.truth]) == (("d2",), "s2")


def test_the_published_questions(tmp_path):
    blank = {
        "question": ["30_1"],
        "blank_position": 2,
        "answers": ["30_2", "40_2", "40_1", "30_1"][:2],
    }
    path = copy(tmp_path, blanks=[blank] * 8)
    blanks = polyvore.read_blanks(path)
    truth = np.array([one.truth for one in blanks])
    assert Counter(truth.tolist()) == {0: 4, 1: 4}, (
        "the right answer always stands first in the file"
    )
    assert {one.answers[one.truth] for one in blanks} == {"s2"}
    assert fitb(np.zeros((8, 2)), truth).mean() == 0.5
    judged = polyvore.read_judged(path)
    assert judged == [Judged(("d2", "s2"), 1), Judged(("d2", "s3"), 0)]
    assert auc(np.zeros(2), [one.label for one in judged]) == 0.5


def published(folder: Path, groups: int) -> Path:
    """Test outfits and questions as they were published, the right answer listed first.

    Each group has four outfits of a dress and shoes. All four pairs of shoes are the answers for each of the dresses.
    In the incompatible sets every item stands as often as in the compatible ones.
    """
    items = {f"{kind}{n:03d}": item("43", "shoes") for n in range(4 * groups) for kind in "ds"}
    # Ids in no order that an outfit's items share, as downloaded ids are.
    names = dict(
        zip(sorted(items), np.random.default_rng(0).permutation(sorted(items)), strict=True)
    )
    called = [f"{n}" for n in range(1000, 1000 + 4 * groups)]
    sets = [outfit(called[n], names[f"d{n:03d}"], names[f"s{n:03d}"]) for n in range(4 * groups)]
    blanks, lines = [], []
    for n in range(4 * groups):
        group = [4 * (n // 4) + i for i in range(4)]
        answers = [n, *(other for other in group if other != n)]
        choice = [f"{called[other]}_2" for other in answers]
        blanks.append({"question": [f"{called[n]}_1"], "blank_position": 2, "answers": choice})
        lines += [
            f"1 {called[n]}_1 {called[n]}_2",
            f"0 {called[n]}_1 {called[group[(n + 1) % 4]]}_2",
        ]
    copy(folder, items=items | ITEMS, sets={"test": sets}, blanks=blanks)
    for name in items:
        (folder / "polyvore_outfits" / "images" / f"{name}.jpg").touch()
    (folder / "polyvore_outfits" / "disjoint" / "compatibility_test.txt").write_text(
        "\n".join(lines)
    )
    return folder


def by_id(item: str) -> float:
    return float(int.from_bytes(item.encode()))


SCORERS = {  # of an item beside another: they know nothing of what goes together
    "constant": lambda one, other: 0.3,
    "collapsed": lambda one, other: -np.linalg.norm(np.full(16, 0.1) * 3 - np.full(16, 0.3)),
    "by id": lambda one, other: by_id(other),
    "by id, backwards": lambda one, other: -by_id(other),
}


@pytest.mark.parametrize("scorer", SCORERS.values(), ids=list(SCORERS))
def test_who_knows_nothing_gets_a_quarter_and_one_half_exactly(tmp_path, scorer):
    path = published(tmp_path, 6)
    blanks, judged = polyvore.read_blanks(path), polyvore.read_judged(path)
    assert (len(blanks), len(judged)) == (24, 48)
    scores = np.array(
        [[scorer(blank.asked[0], answer) for answer in blank.answers] for blank in blanks]
    )
    assert fitb(scores, np.array([blank.truth for blank in blanks])).mean() == 0.25
    scores = [scorer(*one.items) for one in judged]
    assert auc(scores, [one.label for one in judged]) == 0.5


def test_who_takes_the_first_or_the_last_answer_gets_a_quarter_exactly(tmp_path):
    blanks = polyvore.read_blanks(published(tmp_path, 6))
    truth = np.array([blank.truth for blank in blanks])
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        assert fitb(np.tile(order, (24, 1)), truth).mean() == 0.25


def test_an_item_may_get_its_category_from_its_number(tmp_path):
    items = ITEMS | {"s1": item("51", ""), "s2": item("999", "bags")}
    table = polyvore.read_outfits(copy(tmp_path, items=items)).catalogue.table.set_index("id")
    assert table.loc["s1", ["category", "fine"]].tolist() == ["accessories", "belt"]
    assert table.loc["s2", ["category", "fine"]].tolist() == ["bags", ""]


def test_a_quoted_name_of_a_category_may_hold_a_comma(tmp_path):
    items = ITEMS | {"s1": item("51", "")}
    categories = CATEGORIES.replace("51,belt,", '51,"belts, braces",')
    folder = copy(tmp_path, items=items, categories=categories)
    table = polyvore.read_outfits(folder).catalogue.table.set_index("id")
    assert table.loc["s1", ["category", "fine"]].tolist() == ["accessories", "belts, braces"]


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        (
            {"sets": {"test": [outfit("30", "d2")]}},
            r"test\.json: .*two items or more .*\(0\.items: List should have at least 2 items",
        ),
        ({"sets": {"test": [outfit("30", "d2", "d2")]}}, "outfit '30' has the item d2 twice"),
        ({"sets": {"test": [outfit("10", "d2", "s2")]}}, "outfit '10' stands twice"),
        (
            {"sets": {"test": [outfit("30", "d2", "zz")]}},
            r"1 item\(s\) of outfits are not in it, the first is 'zz'",
        ),
        (
            {"sets": {"test": [{"set_id": "30"}]}},
            r"test\.json: expected a list of outfits with set_id, two items.*\(0\.items: Field required\)",
        ),
        ({"sets": {"test": {"a": 1}}}, "expected a list of outfits"),
        (
            {"without": ["s2"]},
            r"1 item\(s\) have no photo, the first is s2, expected as images/s2\.jpg",
        ),
        (
            {"items": ITEMS | {"s2": item("2", "")}},
            "item 's2' has no semantic_category, and categories.csv has none for the number '2'",
        ),
        ({"items": ITEMS | {"s2": {}}}, "item 's2' has no semantic_category"),
        ({"items": [1, 2]}, "expected a dictionary of items"),
        (
            {"categories": "id,fine,semantic\n"},
            r"categories\.csv, line 1: expected a number and two names, no header",
        ),
        ({"missing": ["disjoint/valid.json"]}, r"valid\.json: there is no such file"),
        (
            {"missing": ["polyvore_item_metadata.json"]},
            r"there is no polyvore_item_metadata\.json; the files here are",
        ),
    ],
)
def test_bad_input(tmp_path, changes, phrase):
    with pytest.raises(DataError, match=phrase):
        polyvore.read_outfits(copy(tmp_path, **changes))


def test_what_else_cannot_be_read(tmp_path):
    with pytest.raises(DataNotFound, match="no such file or folder"):
        polyvore.read_outfits(tmp_path / "nothing")
    path = copy(
        tmp_path, blanks=[{"question": ["30_1"], "blank_position": 2, "answers": ["40_1", "40_2"]}]
    )
    with pytest.raises(
        DataError, match="no edition 'easy' of Polyvore; use one of disjoint, nondisjoint, maryland"
    ):
        polyvore.read_outfits(path, "easy")
    with pytest.raises(
        DataError, match=r"fill_in_blank_test\.json, question 0: .* the right one is missing"
    ):
        polyvore.read_blanks(path)
    with pytest.raises(DataError, match="no split 'valid'; use one of train, validation, test"):
        polyvore.read_judged(path, split="valid")
    with pytest.raises(DataError, match=r"compatibility_valid\.txt: there is no such file"):
        polyvore.read_judged(path, split="validation")


def test_every_dangling_id_is_reported(tmp_path):
    path = copy(tmp_path, sets={"test": [outfit("30", "d2", "zz")]}, without=["d0", "s1"])
    assert polyvore.dangling(path) == [
        "outfit 10: item d0 has no photo images/d0.jpg",
        "outfit 20: item s1 has no photo images/s1.jpg",
        "outfit 30: item zz is not in polyvore_item_metadata.json",
        "outfit 30: item zz has no photo images/zz.jpg",
        "compatibility_test.txt: 40_2 is no item of an outfit",
        "fill_in_blank_test.json: 40_2 is no item of an outfit",
    ]
    with pytest.raises(DataError, match=r"fill_in_blank_test\.json: not a fill-in-the-blank file"):
        polyvore.dangling(copy(tmp_path, blanks={"question": []}))


def test_check_counts_beside_what_was_published(tmp_path, monkeypatch):
    path = copy(tmp_path, without=["s1"])
    with pytest.raises(DataError, match="expected 251,008 items in the metadata, found 8"):
        polyvore.check(path)
    monkeypatch.setattr(polyvore, "ITEMS", 8)
    with pytest.raises(DataError, match=r"disjoint: 1 ids dangle.*\n.*item s1 has no photo"):
        polyvore.check(path)
    copy(tmp_path)
    with pytest.raises(DataError, match=r"expected disjoint outfits .*, found \{'train': 1"):
        polyvore.check(path)
    counts = {"train": 1, "validation": 1, "test": 2}
    monkeypatch.setattr(polyvore, "COUNTS", dict.fromkeys(polyvore.EDITIONS, counts))
    assert polyvore.check(path)[1:4] == [
        "disjoint: 1 train, 1 validation, 2 test outfits, 2 to 2 items each",
        "disjoint: 0 items are in training and in the test; no id dangles",
        "disjoint: 1 fill-in-the-blank questions",
    ]


def test_check_lists_every_missing_file_and_counts_the_photos(tmp_path):
    missing = ("categories.csv", "disjoint/valid.json", "nondisjoint/compatibility_test.txt")
    with pytest.raises(
        DataError, match=f"8 photos are here; missing: {', '.join(missing)}"
    ) as caught:
        polyvore.check(copy(tmp_path, missing=missing))
    assert caught.match("Get the authors' files again")


def test_of_many_dangling_ids_ten_are_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(polyvore, "ITEMS", 8)
    path = copy(tmp_path, sets={"test": [outfit(str(n), f"x{n}", f"y{n}") for n in range(30, 50)]})
    with pytest.raises(DataError, match=r"80 ids dangle, 40 for want of a photo") as caught:
        polyvore.check(path)
    assert len(str(caught.value).splitlines()) == 12
    assert str(caught.value).endswith("… and 70 more")


def test_photos_in_parquet_files_are_asked_to_be_unpacked_and_are(tmp_path, monkeypatch):
    path = copy(tmp_path, without=list(ITEMS))
    folder = path / "polyvore_outfits" / "data" / "disjoint"
    folder.mkdir(parents=True)
    for part, names in enumerate((("d0", "d1", "s0"), ("d1", "s1"))):
        rows = [
            {"item_id": name, "image": {"bytes": name.encode(), "path": None}} for name in names
        ]
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{part}.parquet")
    with pytest.raises(DataError, match=r"0 photos are here.*packed in 2 Parquet.*unpack_photos"):
        polyvore.check(path)
    assert polyvore.unpack_photos(path / "polyvore_outfits") == 4
    photos = path / "polyvore_outfits" / "images"
    assert {file.name: file.read_text() for file in photos.iterdir()} == {
        f"{name}.jpg": name for name in ("d0", "d1", "s0", "s1")
    }
    assert polyvore.unpack_photos(path) == 4  # beside another folder of photos
    assert polyvore.unpack_photos(path) == 0


@pytest.mark.parametrize(
    ("rows", "phrase"),
    [
        ([{"item_id": "../../x", "image": {"bytes": b"x"}}], "is no id of an item"),
        ([{"image": {"bytes": b"x"}}], "no whole Parquet file with the columns item_id and image"),
        ([{"item_id": "1", "image": b"x"}], "no whole Parquet file with the columns"),
        (None, "no whole Parquet file"),
    ],
)
def test_a_parquet_file_that_holds_no_photos(tmp_path, rows, phrase):
    with pytest.raises(DataError, match="there is no Parquet file"):
        polyvore.unpack_photos(tmp_path)
    if rows is None:
        (tmp_path / "a.parquet").write_bytes(b"PAR1 cut short")
    else:
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=phrase):
        polyvore.unpack_photos(tmp_path)
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_typespaces_have_no_order(tmp_path, protocol):
    spaces = polyvore.read_typespaces(
        copy(tmp_path, typespaces=pickle.dumps([*PAIRS, PAIRS[0][::-1]], protocol))
    )
    assert len(spaces) == 3
    for number, (one, other) in enumerate(PAIRS):
        assert spaces[frozenset((one, other))] == spaces[frozenset((other, one))] == number


@pytest.mark.parametrize(
    "written",
    [
        b"(lp0\n(S'bags'\np1\nS'tops'\np2\ntp3\na(g2\ng1\ntp4\na.",
        b"\x80\x02]q\x00U\x04bagsU\x04tops\x86a.",
    ],
)
def test_typespaces_written_by_python_2(tmp_path, written):
    assert polyvore.read_typespaces(copy(tmp_path, typespaces=written)) == {
        frozenset(("bags", "tops")): 0
    }


class Trap:
    """What a malicious file does: when it is unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_malicious_pickle_is_refused_and_nothing_is_run(tmp_path, protocol):
    sprung = tmp_path / "sprung"
    path = copy(tmp_path, typespaces=pickle.dumps([*PAIRS, Trap(sprung)], protocol))
    with pytest.raises(DataError, match="could run code, so it is refused"):
        polyvore.read_typespaces(path)
    assert not sprung.exists()
    pickle.loads(pickle.dumps(Trap(sprung), protocol)).close()
    assert sprung.exists(), "the trap works where pickles are run"


@pytest.mark.parametrize(
    "content", [b"", b"<html>", pickle.dumps(PAIRS)[:-3], b".", b"a.", b"(.", b"g9\n.", b"Pid\n."]
)
def test_a_pickle_that_is_damaged(tmp_path, content):
    with pytest.raises(DataError, match="not a pickle, or one that is cut short"):
        polyvore.read_typespaces(copy(tmp_path, typespaces=content))


def test_pickles_of_another_kind(tmp_path):
    others = ([], ["bags"], [("a", "b", "c")], ("a", "b"), "text", {"a": "b"}, [1.5], [("a", 1)])
    for other in others:
        with pytest.raises(DataError, match="expected a list of pairs of categories"):
            polyvore.read_typespaces(copy(tmp_path, typespaces=pickle.dumps(other)))
    for unsafe in (len, b"bytes", {"a"}):  # what is made by a call, in some protocol or in all
        with pytest.raises(DataError, match="could run code"):
            polyvore.read_typespaces(copy(tmp_path, typespaces=pickle.dumps(unsafe, 0)))
    laughs: tuple = ("a", "b")
    for _ in range(60):  # a few bytes that would print as 2^60 words
        laughs = (laughs, laughs)
    with pytest.raises(DataError, match="expected a list of pairs"):
        polyvore.read_typespaces(copy(tmp_path, typespaces=pickle.dumps([laughs])))


def test_the_editions_that_are_there(tmp_path):
    assert polyvore.editions_in(copy(tmp_path / "a")) == ("disjoint", "nondisjoint")
    path = copy(tmp_path / "b", missing=["disjoint/train.json"])
    assert polyvore.editions_in(path) == ("nondisjoint",)
    missing = ["disjoint/train.json", "nondisjoint/train.json"]
    with pytest.raises(
        DataError, match=r"neither .*disjoint/train\.json nor .*nondisjoint/train\.json"
    ):
        polyvore.editions_in(copy(tmp_path / "c", missing=missing))
