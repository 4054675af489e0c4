"""fashionnb.data.folder: what the folders of someone's own pictures say, and what is refused."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from fashionnb.data.folder import read
from fashionnb.errors import DataError, DataNotFound


def picture(seed: int = 0, form: str = "JPEG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 16, 3), np.uint8)).save(
        out, form
    )
    return out.getvalue()


@pytest.fixture
def shop(tmp_path):
    """A function that makes the folder "shop" of these files, each a picture unless it is given bytes."""

    def shop(*names, **files):
        folder = tmp_path / "shop"
        folder.mkdir()
        for name, content in {
            **{name: picture(i) for i, name in enumerate(names)},
            **files,
        }.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder

    return shop


def columns(catalogue):
    return catalogue.table[["id", "category", "split"]].to_numpy().tolist()


def test_folders_are_categories(shop):
    catalogue = read(shop("hat/b.jpg", "dress/1.JPG", "hat/a.png"))
    assert catalogue.name == "shop"
    assert catalogue.classes == ("dress", "hat")
    assert columns(catalogue) == [
        ["dress/1.JPG", "dress", ""],
        ["hat/a.png", "hat", ""],
        ["hat/b.jpg", "hat", ""],
    ]
    assert catalogue.labels().tolist() == [0, 1, 1]
    assert catalogue.pixels(16).shape == (3, 16, 16, 3)


def test_folders_of_splits_hold_folders_of_categories(shop):
    catalogue = read(
        shop("train/hat/a.jpg", "train/dress/a.jpg", "validation/hat/b.jpg", "test/hat/c.jpg")
    )
    assert catalogue.classes == ("dress", "hat")
    assert columns(catalogue.split("train")) == [
        ["train/dress/a.jpg", "dress", "train"],
        ["train/hat/a.jpg", "hat", "train"],
    ]
    assert [len(catalogue.split(name)) for name in ("validation", "test")] == [1, 1]


def test_one_split_alone_is_a_split(shop):
    assert columns(read(shop("test/hat/a.jpg"))) == [["test/hat/a.jpg", "hat", "test"]]


def test_the_innermost_folder_is_the_category(shop):
    assert columns(read(shop("women/hat/a.jpg", "men/hat/a.jpg", "train2/a.jpg"))) == [
        ["men/hat/a.jpg", "hat", ""],
        ["train2/a.jpg", "train2", ""],
        ["women/hat/a.jpg", "hat", ""],
    ]


def test_pictures_in_no_category_have_an_unknown_one(shop):
    catalogue = read(shop("a.jpg", "test/hat/a.jpg", "test/b.jpg"))
    assert columns(catalogue) == [
        ["a.jpg", "", ""],
        ["test/b.jpg", "", "test"],
        ["test/hat/a.jpg", "hat", "test"],
    ]
    assert catalogue.classes == ("", "hat")


def test_a_folder_without_folders_is_one_unknown_category(shop):
    catalogue = read(shop("a.jpg", "b.webp"))
    assert catalogue.classes == ("",)
    assert len(catalogue) == 2


def test_a_zip_says_the_same(shop, tmp_path):
    folder = shop("train/hat/a.jpg", "test/dress/b.jpg")
    with zipfile.ZipFile(tmp_path / "shop.zip", "w") as archive:
        for file in folder.rglob("*.jpg"):
            archive.write(file, file.relative_to(folder))
    zipped, plain = read(tmp_path / "shop.zip"), read(folder)
    assert zipped.name == plain.name == "shop"
    assert zipped.table.equals(plain.table)
    assert (zipped.pixels(8) == plain.pixels(8)).all()


def test_other_files_are_left_out_and_counted(shop, caplog):
    caplog.set_level("INFO")
    files = {
        "hat/notes.txt": b"x",
        "prices.csv": b"x",
        ".hidden/a.jpg": b"x",
        "hat/.DS_Store": b"x",
    }
    assert columns(read(shop("hat/a.jpg", **files))) == [["hat/a.jpg", "hat", ""]]
    assert "2 files are no pictures" in caplog.text


@pytest.mark.parametrize("files", [{}, {"readme.txt": b"x"}, {"hat/.a.jpg": b"x"}])
def test_a_place_without_pictures_is_refused(shop, files):
    with pytest.raises(DataError, match=r"shop: no pictures. Expected <category>/<name>.jpg"):
        read(shop(**files))


@pytest.mark.parametrize("other", ["val/hat/a.jpg", "hat/a.jpg", "Test/hat/a.jpg"])
def test_splits_and_other_folders_side_by_side_are_refused(shop, other):
    with pytest.raises(
        DataError, match=r"train are splits, but '(val|hat|Test)' beside them is none"
    ):
        read(shop("train/hat/a.jpg", other))


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(DataNotFound, match="no such file or folder"):
        read(tmp_path / "nowhere")


def test_a_file_that_is_no_zip(shop):
    with pytest.raises(DataError, match="not a zip file"):
        read(shop("hat/a.jpg") / "hat" / "a.jpg")


def test_an_unreadable_picture_is_named_when_it_is_asked_for(shop):
    catalogue = read(shop("hat/a.jpg", **{"hat/bad.jpg": picture(1)[:-200]}))
    assert len(catalogue) == 2
    with pytest.raises(DataError, match=r"bad\.jpg: the picture cannot be decoded"):
        catalogue.pixels(8)
