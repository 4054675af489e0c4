"""fashionnb.data.folder: what the folders of someone's own pictures say, and what is refused."""

import io
import os
import sys
import unicodedata
import zipfile

import numpy as np
import pytest
from PIL import Image

from fashionnb.data.folder import read
from fashionnb.data.images import open_picture
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
    assert columns(read(shop("women/hat/a.jpg", "men/hat/a.jpg", "trainers/a.jpg"))) == [
        ["men/hat/a.jpg", "hat", ""],
        ["trainers/a.jpg", "trainers", ""],
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
    files = {
        "hat/notes.txt": b"x",
        "prices.csv": b"x",
        ".hidden/a.jpg": b"x",
        "hat/.DS_Store": b"x",
    }
    assert columns(read(shop("hat/a.jpg", **files))) == [["hat/a.jpg", "hat", ""]]
    assert "shop: 2 file(s) are left out" in caplog.text
    assert "(1 .txt, 1 .csv)" in caplog.text


@pytest.mark.parametrize("files", [{}, {"readme.txt": b"x"}, {"hat/.a.jpg": b"x"}])
def test_a_place_without_pictures_is_refused(shop, files):
    with pytest.raises(DataError, match=r"shop: no pictures. Expected <category>/<name>.jpg"):
        read(shop(**files))


@pytest.mark.parametrize(
    ("names", "phrase"),
    [
        (("train/hat/a.jpg", "hat/a.jpg"), "train are called like splits, but 'hat' beside them"),
        (("train/hat/a.jpg", "eval/hat/a.jpg"), "but 'eval/hat' beside them is none"),
        (("x/train/hat/a.jpg", "y/test/hat/a.jpg"), "x/train, y/test .*lie in different folders"),
        (("hat/train/a.jpg", "dress/train/a.jpg"), "lie in different folders"),
        (
            ("x/train/hat/a.jpg", "x/val/hat/a.jpg", "y/hat/a.jpg"),
            "but 'y/hat' beside them is none",
        ),
        (("train/test/a.jpg", "train/hat/a.jpg"), "but 'train/test' beside them is none"),
        (("train_a/hat/a.jpg", "test_a/hat/a.jpg"), "test_a, train_a look like splits"),
    ],
)
def test_what_is_nearly_a_layout_of_splits_is_refused(shop, names, phrase):
    with pytest.raises(DataError, match=phrase):
        read(shop(*names))


@pytest.mark.parametrize("top", ["", "clothing-master/", "a/b/"])
@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train", "validation", "test"), ("train", "validation", "test")),
        (("training", "valid", "testing"), ("train", "validation", "test")),
        (("Train", "VAL", "Test"), ("train", "validation", "test")),
        (("train_set", "dev", "test-images"), ("train", "validation", "test")),
        (("train2017", "val2017", "test2017"), ("train", "validation", "test")),
        (("train", "query", "gallery"), ("train", "query", "gallery")),
    ],
)
def test_splits_are_found_under_any_top_and_by_any_usual_name(shop, top, names, splits):
    catalogue = read(shop(*[f"{top}{name}/hat/{name}.jpg" for name in names], "cover.png"))
    found = dict(catalogue.table[catalogue.table["category"] == "hat"][["id", "split"]].to_numpy())
    expected = {f"{top}{n}/hat/{n}.jpg": s for n, s in zip(names, splits, strict=True)}
    assert found == expected
    assert catalogue.table.set_index("id").loc["cover.png", "split"] == ""


def test_a_folder_of_a_split_in_itself_is_one(shop):
    assert columns(read(shop("train/train/hat/a.jpg", "test/test/b.jpg"))) == [
        ["test/test/b.jpg", "", "test"],
        ["train/train/hat/a.jpg", "hat", "train"],
    ]


@pytest.mark.parametrize(
    "names", [("gallery/x/a.jpg", "more/y/b.jpg"), ("shoes/test/a.jpg", "hats/b.jpg")]
)
def test_one_category_may_be_called_like_a_split(shop, names):
    assert set(read(shop(*names)).table["split"]) == {""}


def test_pictures_are_told_by_their_first_bytes(shop, caplog):
    names = ["a.jpg", "b.jfif", "c.jpe", "d", "e.jpg?width=800", "f.jpg.1", "C:g.jpg"]
    shop = shop(*names, **{"h.avif": picture(form="AVIF"), ".i.jpg": picture(), "._a.jpg": b"\0\5"})
    (shop / "notes").write_text("BM is not always a bitmap")
    catalogue = read(shop)
    assert set(catalogue.table["id"]) == {*names, "h.avif"}
    assert catalogue.pixels(8).shape == (8, 8, 8, 3)
    assert (
        "2 file(s) are left out, since they are no pictures or are hidden (1 no ending, 1 hidden)"
        in caplog.text
    )


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_links_to_folders_are_followed_once(shop, tmp_path):
    shop = shop("tops/a.jpg")
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere" / "b.jpg").write_bytes(picture(1))
    (shop / "trousers").symlink_to(tmp_path / "elsewhere")
    (shop / "also-tops").symlink_to(shop / "tops")
    (shop / "tops" / "loop").symlink_to(shop)
    (tmp_path / "elsewhere" / "deep" / "up").symlink_to(tmp_path / "elsewhere")
    catalogue = read(shop)
    assert catalogue.table["id"].tolist() == ["tops/a.jpg", "trousers/b.jpg"]
    assert catalogue.classes == ("tops", "trousers")
    assert len(catalogue.pixels(8)) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_utf8_is_escaped(shop, tmp_path):
    shop = shop("hat/a.jpg")
    (shop / "hat" / "a.jpg").rename(shop / "hat" / "robe_d\udce9t\udce9.jpg")
    catalogue = read(shop)
    assert catalogue.ids == ["hat/robe_d\\xe9t\\xe9.jpg"]
    catalogue.ids[0].encode()
    assert catalogue.image(catalogue.ids[0]).size == (16, 20)
    assert open_picture(shop / catalogue.ids[0]).size == (16, 20)


def test_a_name_may_be_in_another_normal_form_than_the_keyboards(shop):
    apart, composed = (unicodedata.normalize(form, "Été/robe.jpg") for form in ("NFD", "NFC"))
    shop = shop(apart)
    catalogue = read(shop)
    assert catalogue.ids == [composed]
    assert catalogue.classes == (composed[:3],)
    assert catalogue.image(composed).size == (16, 20)
    assert open_picture(shop / composed).size == (16, 20)


def test_a_zip_of_a_program_for_windows_has_folders(shop, tmp_path):
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        for name in ("train\\hat\\a.jpg", "test\\hat\\b.jpg"):
            archive.writestr(name, picture())
    catalogue = read(tmp_path / "w.zip")
    assert columns(catalogue) == [
        ["test/hat/b.jpg", "hat", "test"],
        ["train/hat/a.jpg", "hat", "train"],
    ]
    assert len(catalogue.pixels(8)) == 2


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
