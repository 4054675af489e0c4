"""fashionnb.data.street: the published layout in small, as doubles and as bytes, and what is wrong with a damaged copy."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from fashionnb.data import registry, street
from fashionnb.errors import DataError, DataNotFound

LABELS = ("null", "bag", "t-shirt", "hair")
MASK = np.array([[0, 0, 1, 0, 0, 0], [0, 2, 2, 3, 0, 0], [0, 2, 2, 0, 0, 0], [0, 0, 0, 0, 0, 0]])


def mat(**variables) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, variables, do_compression=True)
    return buffer.getvalue()


def cells(names) -> np.ndarray:
    return np.array([names], dtype=object)


def photo(size=(6, 4)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (90, 80, 70)).save(buffer, "JPEG")
    return buffer.getvalue()


def files(**changes) -> dict[str, bytes]:
    """The published layout: two photos with masks, one with tags only; `changes` are of its files, None is without."""
    made = {"label_list.mat": mat(label_list=cells(LABELS)), "README.md": b"-"}
    for number, kind in (("0001", float), ("0002", np.uint8)):
        made[f"photos/{number}.jpg"] = photo()
        made[f"annotations/pixel-level/{number}.mat"] = mat(groundtruth=MASK.astype(kind))
    made |= {"photos/1005.jpg": photo(), "annotations/image-level/1005.mat": mat(tags=[[1], [2]])}
    made |= changes
    return {name: data for name, data in made.items() if data is not None}


def copy(path: Path, root: str = "clothing-co-parsing-master/", **changes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files(**changes).items():
            archive.writestr(root + name, data)
    return path


@pytest.mark.parametrize("root", ["", "clothing-co-parsing/"])
def test_photos_masks_and_labels_are_read_from_a_zip_and_a_folder(tmp_path, root):
    path = copy(tmp_path / "street.zip", root)
    zipfile.ZipFile(path).extractall(tmp_path / "street")
    for here in (path, tmp_path / "street"):
        found = street.read(here)
        assert (found.ids, found.labels, len(found)) == (("0001", "0002"), LABELS, 2)
        for item in found.ids:
            assert found.photo(item).size == (6, 4)
            assert found.mask(item).dtype == np.uint8
            np.testing.assert_array_equal(found.mask(item), MASK)


MASK_2 = "annotations/pixel-level/0002.mat"


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        ({"label_list.mat": None}, r"there is no label_list\.mat"),
        ({"label_list.mat": b"<html>"}, "not a MATLAB file"),
        ({"label_list.mat": mat(labels=1)}, "it has no variable 'label_list'"),
        ({"label_list.mat": mat(label_list=cells(["null", "bag", "bag"]))}, "distinct labels"),
        ({"label_list.mat": mat(label_list=np.eye(9))}, "distinct labels"),
        (
            {"photos/0002.jpg": None},
            r"1 masks have no photo, the first is 0002, expected as photos/0002\.jpg",
        ),
        (
            dict.fromkeys([MASK_2, MASK_2.replace("2", "1")]),
            r"there is no mask annotations/pixel-level/NNNN\.mat",
        ),
    ],
)
def test_a_copy_that_is_not_the_dataset(tmp_path, changes, phrase):
    with pytest.raises(DataError, match=phrase):
        street.read(copy(tmp_path / "street.zip", **changes))


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        ({"photos/0002.jpg": photo((4, 6))}, "a mask of 4 x 6, but the photo has 6 rows of 4"),
        ({"photos/0002.jpg": photo()[:150]}, "cut short|not a picture"),
        ({MASK_2: mat(groundtruth=MASK + 1)}, "expected labels 0 to 3, got other values"),
        ({MASK_2: mat(groundtruth=MASK / 2)}, "expected labels 0 to 3, got other values"),
        ({MASK_2: mat(groundtruth=MASK.astype(float) * np.nan)}, "expected labels 0 to 3"),
        ({MASK_2: mat(groundtruth=MASK.astype(str))}, "a mask of|expected labels"),
        ({MASK_2: mat(tags=MASK)}, "it has no variable 'groundtruth'"),
        ({MASK_2: mat(groundtruth=np.zeros((2, 2, 2)))}, r"groundtruth has the shape \(2, 2, 2\)"),
        ({MASK_2: mat(groundtruth=MASK)[:-20]}, "not a MATLAB file of version 5, or cut short"),
        ({MASK_2: b""}, "not a MATLAB file of version 5, or cut short"),
    ],
)
def test_a_mask_that_is_none(tmp_path, changes, phrase, monkeypatch):
    path = copy(tmp_path / "street.zip", **changes)
    monkeypatch.setattr(street, "COUNTS", {"photos with a mask": 2, "labels": 4})
    found = street.read(path)
    assert found.mask("0001").shape == MASK.shape
    for ask in (lambda: found.mask("0002"), lambda: street.check(path)):
        with pytest.raises(DataError, match=phrase):
            ask()


def test_an_enormous_mask_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(street, "MOST_PIXELS", 20)
    with pytest.raises(DataError, match=r"groundtruth has the shape \(4, 6\)"):
        street.read(
            copy(tmp_path / "street.zip", **{"label_list.mat": mat(label_list=cells(LABELS))})
        ).mask("0001")


def test_nothing_there_and_no_such_photo(tmp_path):
    with pytest.raises(DataNotFound, match="no such file"):
        street.read(tmp_path / "nothing")
    with pytest.raises(DataError, match="there is no member"):
        street.read(copy(tmp_path / "street.zip")).photo("0003")


def test_it_is_fetched_from_the_authors_repository_and_checked(
    tmp_path, server, cache, monkeypatch
):
    whole = copy(tmp_path / "archive.zip").read_bytes()
    urls = {"archive.zip": (server.url("gone", 404), server.url("archive.zip", whole))}
    monkeypatch.setitem(registry.SOURCES, street.SOURCE.name, replace(street.SOURCE, urls=urls))
    with pytest.raises(DataError, match="expected 1,004 photos with a mask, found 2"):
        registry.fetch("clothing-co-parsing", progress=False)
    monkeypatch.setattr(street, "COUNTS", {"photos with a mask": 2, "labels": 4})
    path = registry.fetch("clothing-co-parsing", progress=False)
    assert path == cache / "clothing-co-parsing.zip"
    assert registry.check("clothing-co-parsing")[-3:-1] == [
        "2 photos, each with a mask of its size, all decoded",
        "4 labels; those in the most photos are null (2), bag (2), t-shirt (2), hair (2)",
    ]


def test_the_real_photos(real_data):
    found = street.read(registry.find("clothing-co-parsing"))
    assert (len(found), len(found.labels)) == tuple(street.COUNTS.values())
    assert found.labels[0] == "null"
    assert {"hair", "skin", "dress"} < set(found.labels)
    for item in found.ids[::100]:
        assert found.mask(item).shape == found.photo(item).size[::-1]
