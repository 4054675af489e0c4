"""fashionnb.data.shop_the_look: the published lists in small, malformed lines, crops and splits by their definition."""

import io
import json
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from fashionnb.data import registry
from fashionnb.data import shop_the_look as stl
from fashionnb.errors import DataError, DataNotFound

P = [f"{n:032x}" for n in range(0xAB00, 0xAB04)]
S = [f"{n:032x}" for n in range(0xCD00, 0xCD03)]
KINDS = dict(
    zip(
        P,
        ["A|Shoes", "A|Clothing|Pants", "A|Shoes", "A|Clothing|Outerwear|Coats & Jackets"],
        strict=True,
    )
)


def pair(scene: str, product: str, *box: float, **fields) -> dict:
    return {
        "product": product,
        "scene": scene,
        "bbox": list(box or (0.25, 0.5, 0.75, 1.0)),
        **fields,
    }


ROWS = [pair(S[0], P[0]), pair(S[0], P[1], 0.0, 0, 0.5, 0.25), pair(S[1], P[2]), pair(S[2], P[3])]


def jpeg(number: int = 0, size=(8, 12)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (20 * number, 80, 90)).save(buffer, "JPEG")
    return buffer.getvalue()


def copy(folder: Path, rows=ROWS, kinds=KINDS, without=()) -> Path:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "fashion.json").write_text("\n".join(lines) + "\n")
    (folder / "fashion-cat.json").write_text(kinds if isinstance(kinds, str) else json.dumps(kinds))
    for number, name in enumerate([*S, *P]):
        if name not in without:
            (folder / "images" / f"{name}.jpg").write_bytes(jpeg(number))
    return folder


def test_pairs_and_products(tmp_path):
    scenes = stl.read_scenes(copy(tmp_path))
    assert scenes.table.iloc[1].to_dict() == {
        "scene": f"images/{S[0]}.jpg", "product": P[1], "left": 0, "top": 0, "right": 0.5, "bottom": 0.25,
    }  # fmt: skip
    assert scenes.catalogue.classes == ("Coats & Jackets", "Pants", "Shoes")
    assert scenes.catalogue.table.iloc[1].to_dict() == {
        "id": P[1], "category": "Pants", "path": "A|Clothing|Pants", "image": f"images/{P[1]}.jpg",
    }  # fmt: skip
    assert scenes.images.image(scenes.table["scene"][0]).size == (8, 12)
    assert stl.read(tmp_path).table["id"].tolist() == P
    assert scenes.table.attrs == dict.fromkeys(scenes.table.attrs, 0)


def test_a_zip_is_read_like_a_folder(tmp_path):
    copy(tmp_path / "a")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in (tmp_path / "a").rglob("*.*"):
            archive.write(file, f"STL-Dataset/{file.relative_to(tmp_path / 'a')}")
    assert len(stl.read_scenes(tmp_path / "a.zip")) == 4


def test_pairs_without_a_picture_are_left_out_and_counted(tmp_path):
    scenes = stl.read_scenes(copy(tmp_path, [*ROWS, ROWS[2]], without=[S[0], P[3]]))
    assert scenes.table["product"].tolist() == [P[2], P[2]]
    assert scenes.catalogue.table["id"].tolist() == [P[2]]
    assert scenes.table.attrs == {
        "pairs_without_image": 3, "scenes_without_image": 1, "products_without_image": 1, "repeats": 1,
    }  # fmt: skip
    with pytest.raises(
        DataError, match=r"no pair of 4 has both pictures here.*links.*fashionnb collect"
    ):
        stl.read_scenes(copy(tmp_path / "b", without=S))


def test_a_manifest_says_whose_picture_a_file_is(tmp_path):
    path = copy(tmp_path, without=[P[2]])
    rows = [f"{P[2]},images/{P[0]}.jpg,duplicate", f"{P[3]},,dead", f"{S[0]},../../etc/passwd,ok"]
    (path / "manifest.csv").write_text("id,file,status\n" + "\n".join(rows) + "\n")
    scenes = stl.read_scenes(path)
    assert scenes.catalogue.table["image"].tolist() == [f"images/{P[n]}.jpg" for n in (0, 1, 0, 3)]
    assert scenes.table["scene"][0] == f"images/{S[0]}.jpg"


@pytest.mark.parametrize(
    "manifest",
    [
        "file,status\nimages/a.jpg,ok\n",
        "name;file\n1;2\n",
        "",
        "id,file\n1\n",
        "id,file\n1,2,3,4\n",
    ],
)
def test_a_manifest_without_ids_or_files_names_nothing(tmp_path, manifest):
    path = copy(tmp_path)
    whole = stl.read_scenes(path).catalogue.table
    (path / "manifest.csv").write_text(manifest.replace("a.jpg", f"{P[0]}.jpg"))
    pd.testing.assert_frame_equal(stl.read_scenes(path).catalogue.table, whole)


def test_a_manifest_that_is_no_table_is_one_error(tmp_path):
    path = copy(tmp_path)
    (path / "manifest.csv").write_text("id,file\n" + "x" * 200_000 + ",y\n")
    with pytest.raises(DataError, match=r"manifest\.csv: not CSV"):
        stl.read_scenes(path)


def test_links_are_what_collect_wants(tmp_path):
    table = stl.links(copy(tmp_path, without=[*S, *P]))
    assert table["id"].tolist() == [*S, *P]
    name = "cdab9160072dd1800038227960ff6467"
    assert stl.url(name) == f"http://i.pinimg.com/400x/cd/ab/91/{name}.jpg"
    assert table["url"].tolist() == [stl.url(name) for name in table["id"]]


MALFORMED = {
    '{"product": "0027': "Invalid JSON: EOF while parsing",
    "[1, 2]": "Input should be an object, got [1, 2]",
    "[" * 100_000: "Invalid JSON: recursion limit exceeded",
    json.dumps({"product": P[0], "bbox": [0, 0, 1, 1]}): "scene: Field required",
    json.dumps(
        pair(S[0], "../../x")
    ): "product: String should match pattern '^[A-Za-z0-9_-][\\w.-]{0,99}$', got '../../x'",
    json.dumps(pair(S[0], P[0], 0.1, 0.2, 0.3)): "bbox.3: Field required",
    json.dumps(
        pair(S[0], P[0], 0.1, 0.2, 0.3, True)
    ): "bbox.3: Input should be a valid number, got True",
    json.dumps(
        pair(S[0], P[0], 0.5, 0.2, 0.5, 1)
    ): "bbox: it is not left < right and top < bottom within 0 to 1, got [0.5, 0.2, 0.5, 1]",
    json.dumps(pair(S[0], P[0], 0.1, 0.2, 0.3, 1.01)): "bbox: it is not left < right",
    json.dumps(pair(S[0], P[0], 0.1, 0.2, float("nan"), 1)): "bbox: it is not left < right",
    json.dumps(pair(S[0], "f" * 32)): f"product: it is not in fashion-cat.json, got '{'f' * 32}'",
    json.dumps(
        pair(S[0], P[0], split="valid")
    ): "split: Input should be '', 'train', 'validation' or 'test', got 'valid'",
}


@pytest.mark.parametrize(("line", "phrase"), MALFORMED.items(), ids=range(len(MALFORMED)))
def test_a_malformed_line_is_reported_with_its_number(tmp_path, line, phrase):
    path = copy(tmp_path, [ROWS[0], "", line, *ROWS[1:]])
    scenes, problems = stl.salvage(path)
    assert len(scenes) == 4
    assert [problem.partition(": ")[0] for problem in problems] == [
        f"{path / 'fashion.json'}, line 3"
    ]
    assert phrase in problems[0]
    with pytest.raises(
        DataError,
        match=r"1 line\(s\) are malformed, 4 pair\(s\) are good.\n.*fashion\.json, line 3: ",
    ):
        stl.read_scenes(path)


def test_a_line_that_is_no_text_is_malformed(tmp_path):
    path = copy(tmp_path)
    data = (path / "fashion.json").read_bytes()
    (path / "fashion.json").write_bytes(
        data.replace(S[1].encode(), b"\xff" + S[1].encode()[1:]).replace(b"\n", b"\r\n")
    )
    scenes, (problem,) = stl.salvage(path)
    assert len(scenes) == 3
    assert "fashion.json, line 3: scene: String should match pattern" in problem


def test_many_malformed_lines_are_counted(tmp_path):
    path = copy(tmp_path, [*MALFORMED, *ROWS])
    with pytest.raises(
        DataError, match=r"12 line\(s\) are malformed[\s\S]*line 10: [\s\S]*… and 2 more"
    ):
        stl.read_scenes(path)
    with pytest.raises(DataError, match=r"there is no good pair in it, and 12 malformed"):
        stl.salvage(copy(tmp_path / "b", MALFORMED))


@pytest.mark.parametrize(
    ("kinds", "phrase"),
    [
        ("{", r"fashion-cat\.json: expected a dictionary.*not JSON, or cut short"),
        ("[]", r"fashion-cat\.json: expected a dictionary"),
        ({P[0]: 3}, "expected a dictionary, product -> category as text"),
        ({P[0]: "|"}, "expected a dictionary"),
    ],
)
def test_categories_that_are_none(tmp_path, kinds, phrase):
    with pytest.raises(DataError, match=phrase):
        stl.read_scenes(copy(tmp_path, kinds=kinds))


def test_lists_that_are_not_there(tmp_path):
    with pytest.raises(DataNotFound, match="no such file or folder"):
        stl.read_scenes(tmp_path / "nothing")
    (copy(tmp_path) / "fashion-cat.json").unlink()
    with pytest.raises(DataError, match=r"there is no fashion-cat\.json; the files here are"):
        stl.read_scenes(tmp_path)
    (tmp_path / "fashion.json").unlink()
    with pytest.raises(DataError, match=r"there is no fashion\.json; the files here are images"):
        stl.read_scenes(tmp_path)


def test_check_counts(tmp_path, monkeypatch):
    path = copy(tmp_path, [*ROWS, "{"], without=[S[1], P[0], P[3]])
    with pytest.raises(DataError, match=r"expected 38,111 products in fashion-cat\.json, found 4"):
        registry.check(stl.SOURCE.name, path)
    monkeypatch.setattr(stl, "COUNTS", dict(zip(stl.COUNTS, (4, 3), strict=True)))
    first, second, third, *rest = stl.check(path)
    assert first == "4 products of 3 leaf categories"
    assert second == "4 pairs of 3 scenes and 4 products"
    assert third.startswith("1 malformed line(s); ")
    *rest, advice = rest
    assert rest == ["2 of 3 pictures of scenes are here", "2 of 4 pictures of products are here"]
    assert f"fashionnb collect links.csv --out {path}" in advice
