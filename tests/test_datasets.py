import gzip
import io
import logging
import re
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from fashionnb import datasets
from fashionnb.data import fashion_mnist, registry
from fashionnb.errors import DataError, DataNotFound
from fashionnb.synthetic import drawn_garments

READABLE = [name for name, source in registry.SOURCES.items() if source.read]
SHAPES = {  # of the pictures and of the splits, as drawn
    "fashion-mnist": ((28, 28, 1), {"train": 12_000, "test": 2_000}),
    "clothing-dataset-small": ((64, 64, 3), {"train": 3_068, "validation": 341, "test": 372}),
    "fashion-product-images-small": ((80, 60, 3), {"train": 1_600, "validation": 200, "test": 200}),
    "mango-outfits": ((112, 80, 3), {"train": 600}),
    "polyvore-outfits": ((96, 96, 3), {"train": 600}),
    "shop-the-look": ((96, 96, 3), {"train": 600}),
    "maryland-polyvore": ((96, 96, 3), {"train": 400, "validation": 100, "test": 100}),
}


@pytest.fixture
def nothing(cache, monkeypatch) -> None:
    """A machine without data and without network."""
    monkeypatch.setenv("FASHIONNB_OFFLINE", "1")


@pytest.fixture
def few(monkeypatch) -> None:
    """Stand-ins of twenty items, for tests that do not look at their shape."""
    monkeypatch.setattr(
        datasets, "_drawn", lambda name: drawn_garments.catalogue(20, size=16, stands_in_for=name)
    )


@pytest.mark.parametrize(
    ("name", "n"),
    [
        ("fashion-mnist", 70_000),
        ("clothing-dataset-small", 3_781),
        ("fashion-product-images-small", 44_441),
    ],
)
def test_the_real_data_are_loaded_where_they_are(real_data, name, n):
    catalogue = datasets.load(name)
    assert (catalogue.name, len(catalogue), catalogue.stands_in_for) == (name, n, None)
    assert datasets.banner(catalogue) is None
    assert (catalogue.table["split"] == "test").any()


@pytest.mark.parametrize("name", READABLE)
def test_drawn_garments_stand_in_shaped_like_the_real_ones(nothing, caplog, name):
    with caplog.at_level(logging.WARNING):
        catalogue = datasets.load(name)
    assert catalogue.stands_in_for == name
    shape, splits = SHAPES[name]
    assert catalogue.table["split"].value_counts().to_dict() == splits
    some = catalogue.take(np.arange(50))
    assert some.pixels(channels=shape[2]).shape == (50, *shape)
    assert some.stands_in_for == name
    if name == "fashion-mnist":  # its classes in its order, white on black
        assert catalogue.classes == fashion_mnist.CLASSES
        assert np.median(some.pixels(channels=1)[:, [0, 0, -1, -1], [0, -1, 0, -1]]) == 0
    assert len(caplog.records) == 1
    assert f"`{registry.remedy(name)}`" in caplog.text
    assert (
        str(registry.cache_folder()) not in caplog.text
    )  # the warning may land on a published page


def test_without_stand_in_a_missing_dataset_is_an_error(nothing):
    with pytest.raises(DataNotFound, match="FASHIONNB_OFFLINE"):
        datasets.load("fashion-mnist", stand_in=False)


def test_a_cache_that_cannot_be_written_is_no_reason_not_to_run(few, server, tmp_path, monkeypatch):
    monkeypatch.delenv("FASHIONNB_DATA", raising=False)
    monkeypatch.delenv("FASHIONNB_OFFLINE", raising=False)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FASHIONNB_CACHE", str(tmp_path / "file" / "cache"))
    assert datasets.load("clothing-dataset-small").stands_in_for == "clothing-dataset-small"


def test_nothing_stands_in_for_a_wrong_setting(nothing, tmp_path, monkeypatch):
    monkeypatch.setenv("FASHIONNB_DATA", str(tmp_path / "misspelt"))
    with pytest.raises(DataNotFound, match="not a folder"):
        datasets.load("fashion-mnist")


def test_nothing_stands_in_for_damaged_data(nothing, tmp_path, monkeypatch):
    (tmp_path / "fashion-mnist").mkdir()
    for file in registry.get("fashion-mnist").urls:
        (tmp_path / "fashion-mnist" / file).write_bytes(gzip.compress(b"not IDX"))
    monkeypatch.setenv("FASHIONNB_DATA", str(tmp_path))
    with pytest.raises(DataError, match="not an IDX file"):
        datasets.load("fashion-mnist")


@pytest.mark.parametrize("name", ["fashion_mnist", "atelier", ""])
def test_nothing_stands_in_for_a_name_that_is_not_known(nothing, name):
    with pytest.raises(DataError, match="There is no source"):
        datasets.load(name)


@pytest.mark.parametrize("name", ["drawn", "atelier"])
def test_drawn_garments_are_opened_by_name(nothing, monkeypatch, name):
    monkeypatch.setattr(drawn_garments, "catalogue", lambda: "2,000 garments")
    assert datasets.open_catalogue(name) == "2,000 garments"


def test_data_that_are_in_the_cache_are_loaded_without_the_network(real_data, nothing, monkeypatch):
    cache = registry.cache_folder()
    shutil.copytree(real_data / "fashion-mnist", cache / "fashion-mnist", symlinks=True)
    catalogue = datasets.load("fashion-mnist")
    assert (len(catalogue), catalogue.stands_in_for) == (70_000, None)


def test_the_banner_names_every_missing_dataset_once_and_stays_a_block_quote(nothing, few):
    mnist, clothing = datasets.load("fashion-mnist"), datasets.load("clothing-dataset-small")
    text = datasets.banner(mnist, clothing, clothing.split("test")).data
    assert all(line.startswith(">") for line in text.splitlines())
    assert "not comparable" in text
    for name, title in (
        ("fashion-mnist", "Fashion-MNIST"),
        ("clothing-dataset-small", "Clothing dataset (small)"),
    ):
        assert len(re.findall(re.escape(f"**{title}**"), text)) == 1
        assert text.count(f"`fashionnb data fetch {name}`") == 1


def test_the_banner_names_the_command_that_says_how_to_get_what_no_program_fetches(nothing, few):
    text = datasets.banner(datasets.load("polyvore-outfits"), datasets.load("mango-outfits")).data
    assert "`fashionnb data check polyvore-outfits`, `fashionnb data fetch mango-outfits`" in text


def test_photos_of_people_are_no_catalogue(nothing):
    with pytest.raises(
        DataError, match=r"no catalogue of garments; `fashionnb\.data\.street` reads"
    ):
        datasets.load("clothing-co-parsing")


def test_there_is_no_banner_over_real_data_or_none():
    assert datasets.banner() is None


def test_outfits_that_cannot_be_had_are_composed_of_drawn_garments(nothing):
    outfits = datasets.load_outfits("mango-outfits")
    assert outfits.catalogue.stands_in_for == "mango-outfits"
    assert set(outfits.split.values()) == {"train", "validation", "test"}
    assert len(outfits) == 1_000
    with pytest.raises(DataNotFound):
        datasets.load_outfits("mango-outfits", stand_in=False)


def test_a_dataset_without_outfits_has_none(nothing):
    with pytest.raises(DataError, match="has no outfits"):
        datasets.load_outfits("clothing-dataset-small")


# Any catalogue


def encoded(kind="PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (12, 20), (200, 30, 30)).save(out, kind)
    return out.getvalue()


@pytest.fixture
def shelf(tmp_path):
    """Three images, one of them broken, and files that are none, in a folder and in a zip."""
    files = {"a.PNG": encoded(), "shoes/b.jpg": b"broken", "x/bags/c.webp": encoded("WEBP")}
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
def test_images_of_a_folder_or_a_zip_lie_in_categories(shelf, name):
    found = datasets.open_catalogue(shelf / name)
    assert found.table["id"].tolist() == ["a.PNG", "shoes/b.jpg", "x/bags/c.webp"]
    assert found.table["category"].tolist() == ["", "shoes", "bags"]
    assert found.image("a.PNG").size == (12, 20)
    assert datasets.open_catalogue(str(shelf / name)).table.equals(found.table)


def test_a_catalogue_is_given_back_and_a_dataset_is_known_by_its_name(real_data, monkeypatch):
    monkeypatch.setenv("FASHIONNB_DATA", str(real_data))
    found = datasets.open_catalogue("clothing-dataset-small")
    assert len(found) == 3781
    assert datasets.open_catalogue(found) is found


@pytest.mark.parametrize(
    ("make", "error", "phrase"),
    [
        (lambda folder: folder / "nowhere", DataNotFound, "no such file or folder.*The datasets: "),
        (lambda folder: folder / "shelf" / "a.PNG", DataError, "is a single image"),
        (lambda folder: folder / "shelf" / "styles.csv", DataError, "not a zip file"),
        (lambda folder: folder / "empty", DataError, "no pictures.*the files here are none"),
        (lambda folder: folder / "texts", DataError, "no pictures.*the files here are readme.txt"),
        (lambda _: drawn_garments.catalogue(3, size=16).take([]), DataError, "has no items"),
    ],
)
def test_where_there_is_no_catalogue(shelf, make, error, phrase):
    (shelf / "empty").mkdir()
    (shelf / "texts").mkdir()
    (shelf / "texts" / "readme.txt").touch()
    with pytest.raises(error, match=phrase):
        datasets.open_catalogue(make(shelf))
