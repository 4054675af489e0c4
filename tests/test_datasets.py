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
from fashionnb.synthetic import composed_outfits, drawn_garments

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


@pytest.mark.parametrize("name", ["fashion_mnist", "", "no/such/folder"])
@pytest.mark.parametrize("load", [datasets.load, datasets.load_outfits, datasets.load_scenes])
def test_nothing_stands_in_for_a_name_that_is_not_known(nothing, load, name):
    with pytest.raises(DataNotFound, match="no such file or folder, and no dataset of that name"):
        load(name)


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


# One's own garments, outfits and scenes


def test_a_folder_of_classes_is_split_and_its_rare_classes_are_left_out(tmp_path):
    for category, n in {"coats": 80, "bags": 40, "hats": 5}.items():
        (tmp_path / "mine" / category).mkdir(parents=True)
        for i in range(n):
            (tmp_path / "mine" / category / f"{i}.png").write_bytes(encoded())
    found = datasets.load_classes(str(tmp_path / "mine"))
    assert (found.name, found.classes, len(found)) == ("mine", ("bags", "coats"), 120)
    assert set(found.table["split"]) == {"train", "validation", "test"}
    with pytest.raises(DataError, match="mine: expected 100 test images or more, found "):
        datasets.load_classes(str(tmp_path / "mine"), tested=100)
    shutil.rmtree(tmp_path / "mine" / "bags")
    with pytest.raises(DataError, match=r"mine: expected two categories or more .*, found 1\."):
        datasets.load_classes(str(tmp_path / "mine"))


def test_a_dataset_of_classes_is_taken_as_it_is(nothing):
    found, every = datasets.load_classes("fashion-mnist"), datasets.load("fashion-mnist")
    assert found.table.equals(every.table)
    assert found.classes == every.classes


@pytest.fixture(scope="module")
def looks():
    garments = drawn_garments.catalogue(300, size=48)
    editions = ("disjoint", "nondisjoint")
    return {edition: composed_outfits.compose(garments, 90, edition) for edition in editions}


@pytest.fixture(scope="module")
def shelves(tmp_path_factory, looks):
    """A folder of outfits in Polyvore's format, one with a single edition, and one of scenes."""
    folder = tmp_path_factory.mktemp("shelves")
    composed_outfits.write_polyvore(folder / "both", looks, "any")
    composed_outfits.write_polyvore(folder / "one", {"nondisjoint": looks["nondisjoint"]}, "any")
    composed_outfits.write_scenes(looks["nondisjoint"], folder / "scenes", size=64)
    return folder


def test_outfits_of_a_folder_are_named_after_it(nothing, shelves, looks, monkeypatch):
    monkeypatch.chdir(shelves)
    found = datasets.load_outfits("both")
    assert (found.catalogue.name, found.catalogue.stands_in_for) == ("both", None)
    assert found.sets == looks["disjoint"].sets
    assert datasets.load_outfits("both", edition="nondisjoint").split == looks["nondisjoint"].split
    assert datasets.load_outfits(shelves / "one").split == looks["nondisjoint"].split
    assert datasets.load_outfits(found) is found


def test_an_edition_that_is_not_there(nothing, shelves):
    with pytest.raises(DataError, match=r"no edition \(split\) 'disjoint'; it has nondisjoint"):
        datasets.load_outfits(shelves / "one", edition="disjoint")
    with pytest.raises(DataError, match=r"mango-outfits: .* split in one way only"):
        datasets.load_outfits("mango-outfits", edition="disjoint")
    with pytest.raises(DataError, match="there is no polyvore_item_metadata"):
        datasets.load_outfits(shelves / "scenes")


def test_a_registered_dataset_is_read_in_the_edition_that_is_asked_for(shelves, looks, monkeypatch):
    monkeypatch.setenv("FASHIONNB_DATA", str(shelves))
    (shelves / "polyvore-outfits").symlink_to(shelves / "both")
    for edition in (None, *looks):
        found = datasets.load_outfits("polyvore-outfits", edition=edition)
        assert found.split == looks[edition or "disjoint"].split
        assert found.catalogue.name == "polyvore-outfits"


def test_scenes_of_a_folder_and_scenes_drawn_of_outfits(nothing, shelves, looks):
    found = datasets.load_scenes(shelves / "scenes", most=7)
    assert found.catalogue.name == "scenes"
    assert found.table["scene"].nunique() == 7
    assert set(found.catalogue.ids) == set(found.table["product"])
    drawn = datasets.load_scenes(shelves / "one", most=5)
    assert drawn.catalogue.name == "one"
    assert "fine" in drawn.catalogue.table, "what is known of the products is not lost"
    assert drawn.table["scene"].nunique() == 5
    assert datasets.load_scenes(drawn) is drawn


def test_scenes_that_cannot_be_had_are_drawn(nothing, monkeypatch):
    compose = composed_outfits.compose
    monkeypatch.setattr(composed_outfits, "compose", lambda c, _, edition: compose(c, 20, edition))
    for name in ("mango-outfits", "shop-the-look"):
        found = datasets.load_scenes(name, most=4)
        assert found.catalogue.stands_in_for == name
        assert found.table["scene"].nunique() == 4
    with pytest.raises(DataError, match="has no outfits"):
        datasets.load_scenes("fashion-mnist")


def test_a_path_is_made_independent_of_the_working_folder(shelves, monkeypatch):
    monkeypatch.chdir(shelves)
    assert datasets.locate("both") == str(shelves / "both")
    assert datasets.locate("polyvore-outfits") == "polyvore-outfits"
    assert datasets.locate("./scenes") == str(shelves / "scenes")
    with pytest.raises(DataNotFound, match="nowhere: there is no such file or folder"):
        datasets.locate("nowhere")


def test_a_page_says_that_it_ran_on_other_data_than_its_text_is_about(nothing, shelves, few):
    own = datasets.load_outfits(shelves / "both").catalogue
    mango = datasets.load("mango-outfits")
    text = datasets.banner(own, mango, written_for="MANGO outfits").data
    assert text.startswith("> ℹ️ **This page ran on both.** Its text was written for MANGO outfits.")
    assert "**Drawn garments stand in" in text
    assert all(line.startswith(">") for line in text.splitlines())
    assert "This page ran on" not in datasets.banner(mango, written_for="MANGO outfits").data


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
        (lambda folder: folder / "shelf" / "styles.csv", DataError, "the table is empty"),
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
