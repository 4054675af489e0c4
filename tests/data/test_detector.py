"""fashionnb.data.detector: good files read and written without loss, and each broken one told in one clear sentence."""

import copy
import io
import json
import math
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from platforms import unix_only

from fashionnb.data import detector
from fashionnb.data.catalogue import Catalogue
from fashionnb.data.detector import Item, parse, read, salvage, write, write_file
from fashionnb.data.images import ArrayImages
from fashionnb.errors import DataError, DataNotFound
from fashionnb.files import WriteError
from fashionnb.synthetic import drawn_garments

TROUSERS = {
    "crop_file": "det_00_crop.jpg",
    "det_label": "trousers",
    "det_score": 0.997,
    "box": [10, 20.5, 110, 220],
    "color": {"label": "Blue", "score": 0.85},
    "pattern": {"label": "Denim", "score": 1.0},
    "season": {"label": "Spring", "score": 0.8},
}
HAT = {
    "crop_file": "det_01_crop.jpg",
    "det_label": "hat",
    "det_score": 0.5,
    "box": [-1.5, 0, 30, 40],
}


def picture(seed: int = 0, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 8, 3), np.uint8)).save(
        buffer, kind
    )
    return buffer.getvalue()


def lay(folder: Path, *items: dict, name: str = "fashion_analysis_a.json", **extra) -> Path:
    """A detector's file with these items and the crops that they name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(json.dumps({"items": list(items), **extra}))
    for number, item in enumerate(items):
        crop = folder / item["crop_file"]
        crop.parent.mkdir(parents=True, exist_ok=True)
        crop.write_bytes(picture(number))
    return path


def changed(item: dict, field: str, value: object) -> dict:
    """A copy of the item with another value at "color.score" and the like; ... takes the field out."""
    item = copy.deepcopy(item)
    *above, last = field.split(".")
    inner = item
    for name in above:
        inner = inner[name]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return item


def packed(folder: Path) -> Path:
    archive = folder.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as out:
        for file in sorted(folder.rglob("*")):
            out.write(file, file.relative_to(folder))
    return archive


def as_json(folder: Path) -> dict:
    return {
        path.relative_to(folder).as_posix(): json.loads(path.read_text())
        for path in folder.rglob("*.json")
    }


# read


def test_one_file(tmp_path):
    catalogue = read(lay(tmp_path, TROUSERS, HAT))
    assert catalogue.name == "fashion-analysis"
    assert catalogue.classes == ("hat", "trousers")
    first, second = catalogue.table.to_dict("records")
    assert first == {
        "id": "fashion_analysis_a/det_00_crop",
        "category": "trousers",
        "colour": "Blue",
        "pattern": "Denim",
        "season": "Spring",
        "category_score": 0.997,
        "colour_score": 0.85,
        "pattern_score": 1.0,
        "season_score": 0.8,
        "x1": 10.0,
        "y1": 20.5,
        "x2": 110.0,
        "y2": 220.0,
        "source": "fashion_analysis_a.json",
        "crop_file": "det_00_crop.jpg",
        "extra": "",
        "image": "det_00_crop.jpg",
    }
    assert [second[name] for name in ("colour", "pattern", "season", "extra")] == [""] * 4
    assert all(math.isnan(second[f"{name}_score"]) for name in ("colour", "pattern", "season"))
    assert (tmp_path / "det_01_crop.jpg").read_bytes() == picture(1)
    assert catalogue.image("fashion_analysis_a/det_01_crop").size == (8, 12)
    assert catalogue.pixels(size=16).shape == (2, 16, 16, 3)


@pytest.mark.parametrize("how", ["folder", "zip"])
def test_several_files_are_merged_and_ids_stay_apart(tmp_path, how):
    root = tmp_path / "found"
    lay(root / "b", TROUSERS, HAT, name="fashion_analysis_1.json")
    lay(root / "a", HAT, name="fashion_analysis_1.json")
    lay(root, changed(HAT, "crop_file", "crops/hat.png"))
    (root / "other.json").write_text("[]")
    catalogue = read(root if how == "folder" else packed(root))
    assert catalogue.table["id"].tolist() == [
        "a/fashion_analysis_1/det_01_crop",
        "b/fashion_analysis_1/det_00_crop",
        "b/fashion_analysis_1/det_01_crop",
        "fashion_analysis_a/crops/hat",
    ]
    assert catalogue.table["source"].unique().tolist() == [
        "a/fashion_analysis_1.json",
        "b/fashion_analysis_1.json",
        "fashion_analysis_a.json",
    ]
    assert catalogue.table["image"].tolist()[-1] == "crops/hat.png"
    assert catalogue.pixels(size=8).shape == (4, 8, 8, 3)
    assert catalogue.table.attrs["shared_crops"] == 0


def test_crops_that_two_files_claim_are_counted_and_logged(tmp_path, caplog):
    lay(tmp_path, TROUSERS, name="fashion_analysis_1.json")
    lay(tmp_path, TROUSERS, HAT, name="fashion_analysis_2.json")
    catalogue = read(tmp_path)
    assert len(catalogue) == 3
    assert catalogue.table.attrs["shared_crops"] == 1
    assert "both claim the crop det_00_crop.jpg" in caplog.text


def test_a_photo_without_garments_is_no_mistake(tmp_path):
    catalogue = read(lay(tmp_path, photo="wall.jpg"))
    assert (len(catalogue), catalogue.classes) == (0, ())
    assert catalogue.table["colour_score"].dtype == float
    assert catalogue.table.attrs["files"] == {"fashion_analysis_a.json": '{"photo": "wall.jpg"}'}


@pytest.mark.parametrize("null", ["color", "pattern", "season"])
def test_null_means_unknown(tmp_path, null):
    table = read(lay(tmp_path, changed(TROUSERS, null, None))).table
    assert table[detector.ATTRIBUTES[null]].tolist() == [""]


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    path = lay(tmp_path, changed(HAT, "det_label", "bérêt"))
    path.write_text(
        json.dumps({"items": [changed(HAT, "det_label", "bérêt")]}, ensure_ascii=False), "utf-8-sig"
    )
    assert read(path).table["category"].tolist() == ["bérêt"]


# what is broken


BAD = {
    "crop_file": [
        ...,
        3,
        None,
        "",
        " ",
        "/etc/a.jpg",
        "../a.jpg",
        "a/../../a.jpg",
        "C:a.jpg",
        "a\\b.jpg",
        "a\0.jpg",
        ".",
    ],
    "det_label": [..., None, 7, "", "  ", ["hat"], "a\nb", "\ud800"],
    "det_score": [..., None, "0.9", True, -0.01, 1.01, math.nan, math.inf, 10**400, [1]],
    "box": [
        ...,
        None,
        5,
        "1,2,3,4",
        [1, 2, 3],
        [1, 2, 3, 4, 5],
        [5, 2, 5, 4],
        [1, 4, 3, 2],
        {"x1": 1},
    ],
    **{f"{name}": [5, "Blue", [], True] for name in ("color", "pattern", "season")},
    **{f"{name}.label": [..., None, 5, "", "\x1b[0m"] for name in ("color", "pattern", "season")},
    **{
        f"{name}.score": [..., None, "1", False, -1, 2, math.nan]
        for name in ("color", "pattern", "season")
    },
    "unknown": [math.nan, [1, {"deep": math.inf}]],
    "color.unknown": [math.nan],
}
CASES = [(field, value) for field, values in BAD.items() for value in values]
good_items = st.builds(
    lambda box, scores, keep, **texts: {
        **texts,
        "det_score": scores[0],
        "box": [box[0], box[1], box[0] + box[2], box[1] + box[3]],
        **{
            name: {"label": name, "score": s}
            for name, s, k in zip(detector.ATTRIBUTES, scores[1:], keep, strict=True)
            if k
        },
    },
    box=st.tuples(*[st.integers(-5, 500)] * 3, st.floats(0.5, 100)).map(
        lambda b: (*b[:2], abs(b[2]) + 1, b[3])
    ),
    scores=st.tuples(*[st.sampled_from([0, 0.1, 0.997, 1])] * 4),
    keep=st.tuples(*[st.booleans()] * 3),
    det_label=st.sampled_from(["hat", "T-shirt / top", "bérêt", "衣", '"']),
)


@st.composite
def files(draw, least=1):
    """The items of a good file, with crop names of their own."""
    found = draw(st.lists(good_items, min_size=least, max_size=4))
    return [{"crop_file": f"det_{n:02}_crop.jpg", **item} for n, item in enumerate(found)]


@given(items=files(least=2), case=st.sampled_from(CASES), data=st.data())
@settings(max_examples=80, deadline=None)
def test_a_broken_item_is_told_with_file_item_and_field_and_the_others_are_kept(items, case, data):
    field, value = case
    number = data.draw(st.integers(0, len(items) - 1))
    name = field.partition(".")[0]
    if name in detector.ATTRIBUTES:
        items[number][name] = {"label": "x", "score": 0.5}
    broken = [changed(item, field, value) if n == number else item for n, item in enumerate(items)]
    whole, _, _ = parse(json.dumps({"items": items}).encode(), "f.json")
    found, _, (problem,) = parse(json.dumps({"items": broken}).encode(), "f.json")
    assert re.match(rf"f\.json, item {number}, {field}(\.[\w.]+)?: ", problem)
    assert problem.count("\n") == 0
    assert len(problem) < 300
    assert found == {n: item for n, item in whole.items() if n != number}


@given(items=files(), data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_file_that_is_cut_short_is_one_problem_wherever_it_ends(items, data):
    content = json.dumps({"items": items}).encode()
    with pytest.raises(DataError, match=r"^f\.json: not JSON, or cut short"):
        parse(content[: data.draw(st.integers(0, len(content) - 1))], "f.json")


@given(st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["items", "box", "x"]), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_nothing_that_a_file_may_hold_is_passed_over(content):
    try:
        _, _, problems = parse(content, "f.json")
    except DataError as error:
        problems = [str(error)]
    if not problems:
        assert json.loads(content)["items"] == []
    assert all(re.match(r"f\.json(, item \d)?(, .+)?: .", problem) for problem in problems)


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (b"", "f.json: not JSON, or cut short"),
        (b"[]", r"f.json, the whole: Input should be a valid dictionary or .*, got \[\]"),
        (b"null", "Input should be a valid dictionary"),
        (b"{}", "f.json, items: Field required"),
        (b'{"items": {}}', "f.json, items: Input should be a valid list"),
        (
            b'{"items": [7]}',
            "f.json, item 0, the whole: Input should be a valid dictionary or .*, got 7",
        ),
        (b'{"items": [], "items": []}', "f.json, items: .*, got a field that stands twice"),
        (b'{"items": [], "made": NaN}', "f.json, made: .*, got NaN, which is no finite number"),
        (b'{"items": [], "made": 1e999}', "f.json, made: .*, got 1e999, which is no finite number"),
        (b'{"items": [', "not JSON, or cut short .*line 1 column 12"),
        (b'{"items": []} more', "not JSON, or cut short"),
        (b'{"items": "\xe9"}', r"cut short \('utf-8' codec can't decode byte 0xe9 in position 11"),
        (b"[" * 100_000, "maximum recursion depth exceeded"),
        (
            b'{"items": [], "a": ' + b"[" * 400 + b"]" * 400 + b"}",
            r"f.json, a(\.list.\d){4}: Recursion error",
        ),
        (b'{"items": [], "a": ' + b"9" * 5000 + b"}", "Exceeds the limit"),
        (
            b'{"items": [{"crop_file": "a.jpg", "crop_file": "b.jpg"}]}',
            "f.json, item 0, crop_file: .*, got a field that stands twice",
        ),
    ],
)
def test_files_that_are_no_detector_files(content, phrase):
    with pytest.raises(DataError, match=phrase):
        raise DataError(*parse(content, "f.json")[2])


def test_a_huge_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(detector, "MOST_BYTES", 100)
    with pytest.raises(DataError, match=r"fashion_analysis_a.json: larger than"):
        read(lay(tmp_path, TROUSERS))


def test_what_is_good_is_salvaged_and_nothing_is_left_out_in_silence(tmp_path):
    lay(tmp_path / "a", TROUSERS, changed(HAT, "det_score", 1.5))
    lay(tmp_path / "b", TROUSERS, HAT)
    (tmp_path / "b" / "det_01_crop.jpg").unlink()
    lay(tmp_path / "c", TROUSERS).write_text('{"items": [')
    lay(tmp_path / "d", TROUSERS, changed(HAT, "crop_file", "det_00_crop.jpg"))
    catalogue, problems = salvage(tmp_path)
    assert catalogue.table["id"].tolist() == [f"{f}/fashion_analysis_a/det_00_crop" for f in "abd"]
    name = "fashion_analysis_a.json"
    assert [problem.removeprefix(f"{tmp_path}/") for problem in problems] == [
        f"a/{name}, item 1, det_score: Input should be less than or equal to 1, got 1.5.",
        f"b/{name}, item 1, crop_file: there is no picture 'det_01_crop.jpg' beside the file.",
        f"c/{name}: not JSON, or cut short (Expecting value: line 1 column 12 (char 11)).",
        f"d/{name}, item 1, crop_file: 'det_00_crop.jpg' is the crop of an item before it; each item has its own.",
    ]
    with pytest.raises(
        DataError, match=r"4 file\(s\) or item\(s\) are broken, 3 item\(s\) are good"
    ) as caught:
        read(tmp_path)
    assert all(f"  {problem}" in str(caught.value) for problem in problems)
    assert "detector.salvage" in str(caught.value)


def test_a_message_tells_ten_and_counts_the_rest(tmp_path):
    path = lay(tmp_path, *(changed(HAT, "crop_file", f"{n}.jpg") for n in range(13)))
    path.write_text(path.read_text().replace("0.5", "5"))
    with pytest.raises(
        DataError, match=r"13 file\(s\) or item\(s\).*\n(  .*item \d, .*\n){10}  … and 3 more\n"
    ):
        read(path)


def test_problems_in_a_zip(tmp_path):
    lay(tmp_path / "found", TROUSERS, HAT)
    (tmp_path / "found" / "det_00_crop.jpg").unlink()
    archive = packed(tmp_path / "found")
    catalogue, (problem,) = salvage(archive)
    assert problem.startswith(
        f"{archive}, member fashion_analysis_a.json, item 0, crop_file: there is no picture"
    )
    assert len(catalogue) == 1
    archive.write_bytes(archive.read_bytes().replace(b'"det_label"', b'"det_lebal"'))
    with pytest.raises(DataError, match=r"member fashion_analysis_a.json: corrupt"):
        read(archive)


def test_a_folder_without_such_files(tmp_path):
    (tmp_path / "analysis.json").write_text("{}")
    with pytest.raises(
        DataError, match=r"there is no fashion_analysis_\*\.json; the files here are analysis\.json"
    ):
        read(tmp_path)
    with pytest.raises(DataNotFound, match="no such file or folder"):
        read(tmp_path / "nowhere")
    with pytest.raises(DataNotFound, match="no such file or folder"):
        read(tmp_path / "nowhere.json")
    (tmp_path / "a.zip").write_bytes(b"none")
    with pytest.raises(DataError, match="not a zip file"):
        salvage(tmp_path / "a.zip")


@unix_only
def test_a_file_that_may_not_be_read_and_a_name_that_no_disk_has(tmp_path):
    (tmp_path / "fashion_analysis_b.json").symlink_to(tmp_path / "nowhere")
    lay(tmp_path, HAT)
    (tmp_path / "fashion_analysis_a.json").write_text(
        json.dumps({"items": [changed(HAT, "crop_file", "a" * 5000)]})
    )
    _, problems = salvage(tmp_path)
    assert "there is no picture" in problems[0]
    assert "b.json: cannot be read (No such file or directory)." in problems[1]


# write


unknown = st.dictionaries(
    st.sampled_from(["hex", "model_config", "id", "ключ"]),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: (
            st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
        ),
        max_leaves=4,
    ),
    max_size=2,
)


@given(items=files(least=0), more=st.tuples(*[unknown] * 3))
@settings(max_examples=15, deadline=None)
def test_read_then_write_loses_nothing(tmp_path_factory, items, more):
    root = tmp_path_factory.mktemp("found")
    if items:
        items[0] = {**more[0], **items[0]}
        if "color" in items[0]:
            items[0]["color"] = {**more[1], **items[0]["color"]}
    lay(root / "sub", *items, **more[2])
    catalogue = read(root)
    assert write(catalogue, root / "copy") == [root / "copy" / "sub" / "fashion_analysis_a.json"]
    written = (root / "copy" / "sub" / "fashion_analysis_a.json").read_text()
    assert json.loads(written) == {"items": items, **more[2]}
    again = read(root / "copy")
    pd.testing.assert_frame_equal(again.table, catalogue.table)
    assert again.table.attrs == catalogue.table.attrs
    for item in items:
        name = item["crop_file"]
        assert (root / "copy" / "sub" / name).read_bytes() == (root / "sub" / name).read_bytes()
    write(again, root / "copy")  # over itself
    assert (root / "copy" / "sub" / "fashion_analysis_a.json").read_text() == written


def test_a_zip_is_written_as_a_folder_and_a_part_keeps_all_files(tmp_path):
    lay(tmp_path / "found", TROUSERS, name="fashion_analysis_1.json", photo="1.jpg")
    lay(tmp_path / "found", HAT, name="fashion_analysis_2.json")
    catalogue = read(packed(tmp_path / "found"))
    write(catalogue.take([1]), tmp_path / "copy")
    assert as_json(tmp_path / "copy") == {
        "fashion_analysis_1.json": {"items": [], "photo": "1.jpg"},
        "fashion_analysis_2.json": {"items": [HAT]},
    }
    assert sorted(path.name for path in (tmp_path / "copy").glob("*.jpg")) == ["det_01_crop.jpg"]


def test_drawn_garments_are_written_as_detector_files(tmp_path):
    drawn = drawn_garments.catalogue(4, size=32, seed=0)
    table = drawn.table.assign(
        **dict.fromkeys(["category_score", "colour_score", "pattern_score", "season_score"], 0.75),
        x1=0, y1=0, x2=32, y2=32, source="fashion_analysis_drawn.json",
        crop_file=[f"{n}.{'png' if n % 2 else 'jpg'}" for n in range(4)],
    )  # fmt: skip
    images = ArrayImages(drawn.pixels())
    catalogue = Catalogue("drawn", table.assign(image=range(4)), images, drawn.classes)
    write(catalogue, tmp_path)
    found = read(tmp_path)
    assert found.table[["category", "colour", "season"]].equals(
        table[["category", "colour", "season"]]
    )
    assert (np.asarray(found.images.image("1.png")) == images.array[1]).all()
    assert np.abs(np.asarray(found.images.image("0.jpg"), float) - images.array[0]).mean() < 10
    with pytest.raises(DataError, match=r"written as \.jpg, \.jpeg, \.png; got the ending '\.gif'"):
        write(
            Catalogue(
                "drawn", catalogue.table.assign(crop_file="a.gif").head(1), images, drawn.classes
            ),
            tmp_path,
        )


@pytest.mark.parametrize(
    ("column", "value", "phrase"),
    [
        (
            "category_score",
            math.nan,
            "item 'fashion_analysis_a/det_00_crop', det_score: Input should be a finite number",
        ),
        ("colour_score", math.nan, "color.score: Input should be a finite number"),
        ("colour", "", "color.label: it is empty"),
        ("colour", None, "color.label: Input should be a valid string"),
        ("x2", 10.0, "box: a box is"),
        ("crop_file", "../a.jpg", "crop_file: crops lie beside"),
        ("source", "../fashion_analysis_a.json", "is not a relative path"),
        ("source", "fashion_analysis_a.txt", r'that ends in "\.json"'),
        ("extra", "[1]", "its columns break the format"),
        ("extra", "{", "its columns break the format"),
        ("extra", '{"color": 3}', "its columns break the format"),
        ("extra", '{"pattern": {"of": 1}}', "pattern.label: Field required"),
    ],
)
def test_a_catalogue_that_breaks_the_format_is_not_written(tmp_path, column, value, phrase):
    catalogue = read(lay(tmp_path / "in", TROUSERS))
    if column == "extra" and "pattern" in value:
        catalogue.table[["pattern", "pattern_score"]] = ["", math.nan]
    catalogue.table[column] = [value]
    with pytest.raises(DataError, match=phrase):
        write(catalogue, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_items_of_one_crop_and_missing_columns_are_not_written(tmp_path):
    catalogue = read(lay(tmp_path / "in", TROUSERS, HAT))
    catalogue.table["crop_file"] = "a.jpg"
    with pytest.raises(
        DataError, match=r"two items of 'fashion_analysis_a\.json' have the crop 'a\.jpg'"
    ):
        write(catalogue, tmp_path / "out")
    with pytest.raises(DataError, match=r"lacks the column\(s\) category_score, .*crop_file"):
        write(drawn_garments.catalogue(2, size=32, seed=0), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_json_comes_after_its_crops(tmp_path):
    trousers, hat = Item.model_validate(TROUSERS), Item.model_validate(HAT)
    path = tmp_path / "fashion_analysis_x.json"
    gif = hat.model_copy(update={"crop_file": "a.gif"})
    with pytest.raises(DataError, match=r"written as .*; got the ending '\.gif'"):
        write_file(path, [(trousers, picture()), (gif, Image.new("RGB", (3, 4)))])
    assert [file.name for file in tmp_path.iterdir()] == ["det_00_crop.jpg"]
    write_file(path, [(trousers, picture()), (hat, Image.new("RGB", (3, 4)))], {"photo": "x.jpg"})
    assert json.loads(path.read_text()) == {"items": [TROUSERS, HAT], "photo": "x.jpg"}
    assert len(read(tmp_path)) == 2


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(WriteError, match="cannot be written"):
        write(read(lay(tmp_path / "in", HAT)), tmp_path / "out")


def test_the_text_has_one_item_a_line(tmp_path):
    items = [Item.model_validate(item) for item in (HAT, changed(TROUSERS, "hex", None))]
    write_file(tmp_path / "a.json", [(item, b"") for item in items], {"photo": None})
    assert (tmp_path / "a.json").read_text().splitlines() == [
        '{"items": [',
        '  {"crop_file": "det_01_crop.jpg", "det_label": "hat", "det_score": 0.5, "box": [-1.5, 0.0, 30.0, 40.0]},',
        '  {"crop_file": "det_00_crop.jpg", "det_label": "trousers", "det_score": 0.997, '
        '"box": [10.0, 20.5, 110.0, 220.0], "color": {"label": "Blue", "score": 0.85}, '
        '"pattern": {"label": "Denim", "score": 1.0}, "season": {"label": "Spring", "score": 0.8}, "hex": null}',
        '], "photo": null}',
    ]
