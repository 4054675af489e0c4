"""Pictures from anywhere: what counts as one, where it came from, and one error for each thing that is none."""

import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fashionnb.data.catalogue import Catalogue
from fashionnb.data.images import ArrayImages, prepared
from fashionnb.errors import DataError, DataNotFound
from fashionnb.search.gallery import Gallery, open_gallery
from fashionnb.synthetic import drawn_garments


def photo(height=20, width=12, seed=0):
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    )


def encoded(image, kind="PNG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.fixture
def shelf(tmp_path):
    """Three pictures, one of them broken, and a file that is none, in a folder and in a zip."""
    files = {
        "a.PNG": encoded(photo()),
        "shoes/b.jpg": b"broken",
        "x/bags/c.webp": encoded(photo(), "WEBP"),
    }
    files |= {"styles.csv": b"id\n", ".hidden.png": b""}
    for name, content in files.items():
        path = tmp_path / "shelf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with zipfile.ZipFile(tmp_path / "shelf.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return tmp_path


@pytest.mark.parametrize("name", ["shelf", "shelf.zip"])
def test_files_are_pictures_by_their_name_and_lie_in_categories(shelf, name):
    gallery = open_gallery(shelf / name)
    assert (
        gallery.items["id"].tolist()
        == gallery.items["image"].tolist()
        == ["a.PNG", "shoes/b.jpg", "x/bags/c.webp"]
    )
    assert gallery.items["category"].tolist() == ["", "shoes", "bags"]
    assert gallery.paths(np.array([2, 0])) == [
        f"{shelf}/{name}/x/bags/c.webp",
        f"{shelf}/{name}/a.PNG",
    ]
    assert gallery.images.image("a.PNG").size == (12, 20)
    again = Gallery(gallery.source, gallery.items)
    assert again.images.image("a.PNG").size == (12, 20)
    assert gallery.take(np.array([1])).items["id"].tolist() == ["shoes/b.jpg"]


def test_a_relative_path_is_found_from_elsewhere_too(shelf, monkeypatch):
    monkeypatch.chdir(shelf)
    gallery = open_gallery("shelf")
    monkeypatch.chdir("/")
    assert Gallery(gallery.source, gallery.items).images.image("a.PNG").size == (12, 20)


def test_a_catalogue_keeps_its_ids_and_categories():
    drawn = drawn_garments.catalogue(12, size=16)
    gallery = open_gallery(drawn)
    assert gallery.items["id"].tolist() == drawn.table["id"].tolist()
    assert gallery.items["category"].tolist() == drawn.table["category"].tolist()
    assert gallery.images is drawn.images
    assert gallery.paths(np.array([3])) == ["3"]
    with pytest.raises(DataError, match="only in memory"):
        _ = Gallery(gallery.source, gallery.items).images


def test_a_catalogue_of_files_is_found_again(shelf):
    gallery = open_gallery(shelf / "shelf")
    table = pd.DataFrame({"id": ["one"], "category": ["bags"], "image": ["x/bags/c.webp"]})
    catalogue = Catalogue("mine", table, gallery.images, ("bags",))
    assert open_gallery(catalogue).source == str(shelf / "shelf")
    assert open_gallery(catalogue).paths(np.array([0])) == [f"{shelf}/shelf/x/bags/c.webp"]


def test_a_drawn_stand_in_is_not_taken_for_the_dataset():
    table = pd.DataFrame({"id": ["0"], "category": ["Bag"], "image": [0]})
    pictures = ArrayImages(np.zeros((1, 28, 28), np.uint8))
    assert (
        open_gallery(Catalogue("fashion-mnist", table, pictures, ("Bag",))).source
        == "fashion-mnist"
    )
    assert (
        open_gallery(Catalogue("fashion-mnist", table, pictures, ("Bag",), "fashion-mnist")).source
        == ""
    )


def test_a_dataset_by_its_name(real_data, monkeypatch):
    monkeypatch.setenv("FASHIONNB_DATA", str(real_data))
    gallery = open_gallery("clothing-dataset-small")
    assert len(gallery) == 3781
    assert gallery.source.startswith(str(real_data))
    assert gallery.paths(np.array([0]))[0].startswith(gallery.source)


@pytest.mark.parametrize(
    ("make", "error", "phrase"),
    [
        (lambda folder: folder / "nowhere", DataNotFound, "no such file or folder"),
        (lambda folder: folder / "shelf" / "a.PNG", DataError, "is a single picture"),
        (lambda folder: folder / "shelf" / "styles.csv", DataError, "not a zip file"),
        (lambda folder: folder / "empty", DataError, "no pictures.*the files here: none"),
        (lambda folder: folder / "texts", DataError, "no pictures.*the files here: readme.txt"),
        (lambda _: drawn_garments.catalogue(3, size=16).take([]), DataError, "has no items"),
    ],
)
def test_where_there_is_nothing_to_search(shelf, make, error, phrase):
    (shelf / "empty").mkdir()
    (shelf / "texts").mkdir()
    (shelf / "texts" / "readme.txt").touch()
    with pytest.raises(error, match=phrase):
        open_gallery(make(shelf))


# One picture


def test_all_ways_to_give_a_picture_are_the_same(tmp_path):
    image = photo(8, 8)
    (tmp_path / "one.png").write_bytes(encoded(image))
    array = np.asarray(image)
    ways = [
        tmp_path / "one.png",
        str(tmp_path / "one.png"),
        encoded(image),
        image,
        array,
        array / 255,
    ]
    ways += [array.astype(np.float32) / 255, Image.open(tmp_path / "one.png")]
    for way in ways:
        np.testing.assert_array_equal(prepared(way, 8, 3), array)
    grey = array[..., 0]
    for way in (grey, grey[..., None]):
        np.testing.assert_array_equal(prepared(way, 8, 1)[..., 0], grey)
    see_through = np.dstack([array, np.zeros((8, 8), np.uint8)])
    assert (prepared(see_through, 8, 3) == 255).all()


def test_a_pil_image_is_turned_upright_and_left_as_it_was():
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = Image.open(io.BytesIO(encoded(photo(4, 8), exif=exif)))
    np.testing.assert_array_equal(prepared(lying, (8, 4), 3), np.rot90(np.asarray(photo(4, 8)), -1))
    assert lying.size == (8, 4)


def test_a_pil_image_with_a_damaged_exif_block_is_still_a_picture():
    image = photo(8, 8)
    image.info["exif"] = b"Exif\0\0MX\0*\0\0\0\x08\0\0"
    np.testing.assert_array_equal(prepared(image, 8, 3), np.asarray(photo(8, 8)))


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "HSV", "LAB"]
)
def test_pil_images_of_every_mode(mode):
    assert prepared(Image.new(mode, (3, 2)), 4, 3).shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("picture", "error", "phrase"),
    [
        ("nowhere.jpg", DataNotFound, "nowhere.jpg: there is no such picture"),
        (".", DataError, "cannot be read .*directory"),
        ("a\0b", DataError, "cannot be read"),
        ("a" * 500, DataError, "cannot be read"),
        (b"", DataError, "the bytes given: not a picture.*is empty"),
        (b"hello", DataError, "not a picture"),
        (encoded(photo())[:-100], DataError, "cut short or damaged"),
        (Image.new("F", (2, 2)), DataError, "mode 'F'"),
        (Image.new("RGB", (0, 2)), DataError, "0 x 2 pixels"),
        (Image.new("1", (10_001, 10_000)), DataError, "10001 x 10000 pixels"),
        (Image.open(io.BytesIO(encoded(photo())[:-100])), DataError, "cannot be made into pixels"),
        (np.zeros((0, 3), np.uint8), DataError, r"got \(0, 3\)"),
        (np.zeros((3, 3, 2), np.uint8), DataError, r"got \(3, 3, 2\)"),
        (np.zeros((1, 3, 3, 3), np.uint8), DataError, r"got \(1, 3, 3, 3\)"),
        (np.zeros((3, 3), int), DataError, "got int64"),
        (np.full((3, 3), 200.0), DataError, "goes from 200 to 200"),
        (np.full((3, 3), np.nan), DataError, "goes from nan"),
        (7, DataError, "got int"),
        (None, DataError, "got NoneType"),
    ],
    ids=lambda given: given[:20] if isinstance(given, str) else type(given).__name__,
)
def test_what_is_no_picture(picture, error, phrase, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=phrase):
        prepared(picture, 8, 3)
