"""fashionnb.data.clothing: the folder, a zip of it and the GitHub archive are the same catalogue."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from fashionnb.data import clothing
from fashionnb.data.clothing import CLASSES, COUNTS, check, read
from fashionnb.errors import DataError, DataNotFound

SIZES = {"train": 3, "validation": 1, "test": 2}


def jpeg(seed: int, width: int = 30) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, width, 3), np.uint8)).save(
        out, "JPEG"
    )
    return out.getvalue()


PHOTOS = {
    f"{split}/{category}/{split}-{category}-{row}.jpg": jpeg(row, width=30 + row)
    for split, n in SIZES.items()
    for category in CLASSES
    for row in range(n)
}


def as_folder(path, files):
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def as_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_folder_zip_and_github_archive_are_the_same(tmp_path):
    top = "clothing-dataset-small-master/"
    readme = {f"{top}README.md": b"# Clothing", f"{top}LICENSE": b"CC0", f"{top}.gitignore": b"x"}
    shuffled = {top + name: PHOTOS[name] for name in sorted(PHOTOS, reverse=True)}
    catalogues = [
        read(as_folder(tmp_path / "folder", PHOTOS)),
        read(as_folder(tmp_path / "deep", {top + name: data for name, data in PHOTOS.items()})),
        read(as_zip(tmp_path / "a.zip", PHOTOS)),
        read(as_zip(tmp_path / "github.zip", readme | shuffled)),
    ]
    pixels = catalogues[0].pixels(size=16)
    for catalogue in catalogues:
        assert catalogue.classes == CLASSES
        assert catalogue.table.drop(columns="image").equals(
            catalogues[0].table.drop(columns="image")
        )
        assert (catalogue.pixels(size=16) == pixels).all()


def test_rows_are_sorted_and_name_split_category_and_id(tmp_path):
    table = read(as_zip(tmp_path / "a.zip", PHOTOS)).table
    assert table["split"].drop_duplicates().tolist() == ["train", "validation", "test"]
    assert table["split"].value_counts().to_dict() == {split: 10 * n for split, n in SIZES.items()}
    assert table.iloc[0].to_dict() == {
        "id": "train-dress-0",
        "category": "dress",
        "split": "train",
        "image": "train/dress/train-dress-0.jpg",
    }
    assert table["id"].is_unique


def test_other_suffixes_are_read_and_pictures_elsewhere_are_counted(tmp_path, caplog):
    files = {
        "test/hat/a.JPEG": jpeg(1),
        "test/hat/b.png": jpeg(2),
        "docs/hat/cover.jpg": jpeg(3),
        "logo.png": jpeg(4),
    }
    catalogue = read(as_zip(tmp_path / "a.zip", files))
    assert catalogue.table["id"].tolist() == ["a", "b"]
    assert "2 pictures lie outside" in caplog.text


def test_an_unknown_category_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"unknown category 'socks'; expected dress, hat"):
        read(as_zip(tmp_path / "a.zip", PHOTOS | {"train/socks/x.jpg": jpeg(1)}))


def test_a_dataset_that_lies_there_twice_is_refused(tmp_path):
    twice = PHOTOS | {f"copy/{name}": data for name, data in PHOTOS.items()}
    with pytest.raises(DataError, match="more than once"):
        read(as_folder(tmp_path / "folder", twice))


@pytest.mark.parametrize("files", [{}, {"README.md": b"x"}, {"dress/x.jpg": b"x"}])
def test_a_place_without_photos_is_refused(tmp_path, files):
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=r"no photos found. Expected train/<category>"):
        read(as_folder(tmp_path / "folder", files))


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(DataNotFound, match="no such file or folder"):
        read(tmp_path / "nowhere.zip")


def test_an_unreadable_jpeg_is_named(tmp_path):
    catalogue = read(as_zip(tmp_path / "a.zip", PHOTOS | {"test/hat/broken.jpg": jpeg(1)[:700]}))
    with pytest.raises(
        DataError, match=r"member test/hat/broken\.jpg: the picture cannot be decoded"
    ):
        catalogue.pixels(size=16)


def test_check_counts_and_decodes(tmp_path, monkeypatch):
    path = as_zip(tmp_path / "a.zip", PHOTOS)
    with pytest.raises(DataError, match="expected 3,068 photos in train, found 30"):
        check(path)
    monkeypatch.setattr(clothing, "COUNTS", {split: 10 * n for split, n in SIZES.items()})
    assert check(path) == [
        "train: 30 photos",
        "validation: 10 photos",
        "test: 20 photos",
        "all 60 photos can be decoded",
    ]
    bad = as_zip(tmp_path / "bad.zip", PHOTOS | {"test/hat/test-hat-1.jpg": b"<html>"})
    with pytest.raises(DataError, match=r"test-hat-1\.jpg: not a picture"):
        check(bad)


def test_the_real_photos(real_data):
    catalogue = read(real_data / "clothing-dataset-small.zip")
    assert catalogue.table["split"].value_counts().to_dict() == COUNTS
    counts = catalogue.table.groupby("split")["category"].value_counts()
    assert counts["test"]["hat"] == counts["test"]["skirt"] == 12
    assert counts["train"]["skirt"] == 112
    assert counts["train"]["t-shirt"] == 795
    assert catalogue.split("test").pixels(64).shape == (372, 64, 64, 3)
