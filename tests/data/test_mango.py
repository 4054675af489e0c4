"""fashionnb.data.mango: the shop's tables, its outfits and their splits, on a small copy and on the real thing."""

import io
import zipfile
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fashionnb import datasets
from fashionnb.data import mango, registry
from fashionnb.data.images import ZipImages
from fashionnb.data.splits import near_identical
from fashionnb.errors import DataError, DataNotFound

HEADER = (
    "cod_modelo_color,cod_color_code,des_color_specification_esp,des_agrup_color_eng,des_sex,des_age,des_line,"
    "des_fabric,des_product_category,des_product_aggregated_family,des_product_family,des_product_type,des_filename"
)


def product(
    item,
    family="Shirt",
    kind="Blouse",
    colour="GREY",
    year=2019,
    department="Tops",
    fabric="P-PLANA",
):
    file = f"datathon/images/{year}_{item.replace('-', '_')}.jpg"
    return f"{item},99,NEGRO,{colour},Female,Adult,SHE,{fabric},{department},{family}s,{family},{kind},{file}"


PRODUCTS = [
    product("10-99"),
    product("11-01", "Trousers", "Trousers", colour="WHITE", year=2020, fabric="J-JEANS"),
    product("12-02", "Footwear", "Sandals", year=2023, fabric="C-COMPLEMENTOS"),
    product("13-OR", "Fragances", "Fragance", department="Beauty", year=2024),
]
OUTFITS = [
    (1, "10-99"),
    (1, "11-01"),
    (1, "13-OR"),
    (2, "12-02"),
    (2, "10-99"),
    (7, "11-01"),
    (7, "10-99"),
    (7, "13-OR"),
]


def jpeg(number: int = 0, size=(16, 22)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (10 * number, 80, 90)).save(buffer, "JPEG")
    return buffer.getvalue()


def shop(
    path,
    products=PRODUCTS,
    outfits=OUTFITS,
    header=HEADER,
    without=(),
    prefix="datathon/",
    size=(16, 22),
):
    """A small zip of the published layout."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{prefix}dataset/product_data.csv", "\n".join([header, *products]) + "\n")
        lines = ["cod_outfit,cod_modelo_color", *(f"{outfit},{item}" for outfit, item in outfits)]
        archive.writestr(f"{prefix}dataset/outfit_data.csv", "\n".join(lines) + "\n")
        for number, row in enumerate(products):
            name = row.rsplit("/", 1)[-1]
            if name not in without:
                archive.writestr(f"{prefix}images/{name}", jpeg(number, size))
    return path


def mirrored(monkeypatch, server, *answers) -> None:
    """The small zip counts as the whole dataset, and is had from this machine: each answer at an address of its own."""
    found = {
        "products": 4,
        "families": 4,
        "types": 4,
        "colours": 2,
        "outfits": 3,
        "links": 8,
        "repeats": 1,
    }
    monkeypatch.setattr(mango, "COUNTS", found)
    urls = tuple(server.url(f"{i}/datathon.zip", answer) for i, answer in enumerate(answers))
    source = replace(mango.SOURCE, urls={"datathon.zip": urls})
    monkeypatch.setitem(registry.SOURCES, source.name, source)


def test_products_are_read_with_the_names_of_the_house(tmp_path):
    catalogue = mango.read(shop(tmp_path / "mango.zip"))
    row = catalogue.table.iloc[1]
    assert row.to_dict() == {
        "id": "11-01",
        "category": "Trousers",
        "colour": "White",
        "family": "Trousers",
        "aggregated_family": "Trouserss",
        "department": "Tops",
        "gender": "Women",
        "age": "Adult",
        "line": "SHE",
        "fabric": "Denim",
        "colour_code": "99",
        "colour_name": "NEGRO",
        "year": "2020",
        "collection": "2019",
        "worn": True,
        "image": "datathon/images/2020_11_01.jpg",
    }
    assert catalogue.table["collection"].tolist() == ["2019", "2019", "2023", "2023"]
    assert catalogue.table["worn"].tolist() == [True, True, True, False]
    assert catalogue.classes == ("Blouse", "Fragance", "Sandals", "Trousers")
    assert catalogue.pixels().shape == (4, 22, 16, 3)


def test_outfits_keep_their_products_in_the_order_of_the_file(tmp_path):
    outfits = mango.read_outfits(shop(tmp_path / "mango.zip"))
    assert outfits.sets == {
        "1": ("10-99", "11-01", "13-OR"),
        "2": ("12-02", "10-99"),
        "7": ("11-01", "10-99", "13-OR"),
    }
    assert outfits.split["1"] == outfits.split["7"]  # the same set


def test_a_folder_is_read_like_a_zip_wherever_it_begins(tmp_path):
    zipfile.ZipFile(shop(tmp_path / "mango.zip", prefix="")).extractall(tmp_path / "mango-outfits")
    from_folder, from_zip = (
        mango.read_outfits(tmp_path / name) for name in ("mango-outfits", "mango.zip")
    )
    assert from_folder.sets == from_zip.sets
    assert from_folder.split == from_zip.split
    np.testing.assert_array_equal(from_folder.catalogue.pixels(), from_zip.catalogue.pixels())


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        ({"outfits": [*OUTFITS, (9, "12-02")]}, "outfit '9' has one product only"),
        (
            {"outfits": [*OUTFITS, (2, "12-02")]},
            r"line 10: outfit '2' has the product '12-02' twice",
        ),
        (
            {"outfits": [*OUTFITS, (2, "99-99")]},
            r"1 item\(s\) of the outfits are not in mango-outfits, one is '99-99'",
        ),
        ({"without": ["2019_10_99.jpg"]}, "1 products have no photo, the first is 10-99"),
        (
            {"products": [*PRODUCTS, product("14-01", kind="")]},
            "line 6: the product has no category",
        ),
        ({"products": [*PRODUCTS, product("")]}, "line 6: the product has no id"),
        (
            {"products": [*PRODUCTS, product("10-99", year=2023)]},
            "id.* stand twice, the first is '10-99'",
        ),
        ({"products": [*PRODUCTS, product("14-01", year="x")]}, "does not begin with a year"),
        ({"products": [*PRODUCTS, "14-01,99"]}, "line 6: 2 fields, expected 13"),
        ({"products": [*PRODUCTS, product("14-01") + ",more"]}, "line 6: 14 fields, expected 13"),
        ({"header": HEADER.replace("des_sex", "sex")}, r"lacks the column\(s\) des_sex"),
    ],
)
def test_bad_input(tmp_path, changes, phrase):
    with pytest.raises(DataError, match=phrase):
        mango.read_outfits(shop(tmp_path / "mango.zip", **changes))


def test_something_else_is_not_taken_for_the_dataset(tmp_path):
    with pytest.raises(DataNotFound, match="no such file"):
        mango.read(tmp_path / "nothing")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(
        DataError, match=r"there is no dataset/product_data\.csv; the files here are readme\.txt"
    ):
        mango.read(tmp_path / "other.zip")


def test_check_refuses_a_part_of_it(tmp_path):
    with pytest.raises(DataError, match="expected 9,222 products, found 4"):
        mango.check(shop(tmp_path / "mango.zip"))


@pytest.mark.parametrize("size", [(239, 334), (160, 224)])
def test_the_organisers_file_arrives_whatever_the_size_of_its_photos(
    tmp_path, server, cache, monkeypatch, size
):
    whole = shop(tmp_path / "datathon.zip", size=size).read_bytes()
    mirrored(monkeypatch, server, 404, whole)
    outfits = datasets.load_outfits("mango-outfits", stand_in=False)
    assert outfits.catalogue.take([0]).pixels().shape == (1, *size[::-1], 3)
    assert server.asked == ["/0/datathon.zip", "/1/datathon.zip"]
    findings = registry.check("mango-outfits")
    assert f"all 4 photos can be decoded: 4 of {size[0]} x {size[1]} pixels" in findings
    assert any("as when it was first seen here" in line for line in findings)


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        ({"without": ["2019_10_99.jpg"]}, "1 products have no photo, the first is 10-99"),
        ({"outfits": OUTFITS[:5]}, "expected 3 outfits, found 2"),
    ],
)
def test_a_file_without_checksum_is_looked_through_before_it_is_kept(
    tmp_path, server, cache, monkeypatch, caplog, changes, phrase
):
    mirrored(monkeypatch, server, shop(tmp_path / "datathon.zip", **changes).read_bytes())
    with pytest.raises(DataError, match=phrase):
        registry.fetch("mango-outfits", progress=False)
    assert not cache.exists()
    drawn = object()
    monkeypatch.setattr(datasets, "_drawn", lambda name: drawn)
    monkeypatch.setattr(datasets.composed_outfits, "compose", lambda catalogue, *_: catalogue)
    assert datasets.load_outfits("mango-outfits") is drawn
    assert "drawn garments stand in. `fashionnb data fetch mango-outfits` tells why" in caplog.text


def test_a_photo_that_cannot_be_decoded_is_found(tmp_path, monkeypatch, server):
    path = shop(tmp_path / "mango.zip", without=["2019_10_99.jpg"])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("datathon/images/2019_10_99.jpg", jpeg()[:200])
    mirrored(monkeypatch, server)
    with pytest.raises(DataError, match=r"2019_10_99\.jpg: .*(cut short|not a picture)"):
        mango.check(path)


@pytest.fixture(scope="module")
def real(real_data):
    return mango.read_outfits(registry.find("mango-outfits"))


def test_the_real_outfits_are_complete(real):
    assert len(real.catalogue) == mango.COUNTS["products"]
    assert sum(map(len, real.sets.values())) == mango.COUNTS["links"]
    assert len(real) - len(set(map(frozenset, real.sets.values()))) == mango.COUNTS["repeats"]
    assert real.catalogue.table["year"].value_counts().head(2).to_dict() == {
        "2023": 4827,
        "2019": 4258,
    }
    assert (~real.catalogue.table["worn"]).sum() == 91
    assert (
        Counter(item for items in real.sets.values() for item in items).most_common(1)[0][1] == 637
    )


def test_no_outfit_mixes_the_two_collections(real):
    collection = dict(
        zip(real.catalogue.table["id"], real.catalogue.table["collection"], strict=True)
    )
    assert all(len({collection[item] for item in items}) == 1 for items in real.sets.values())


def test_near_identical_outfits_never_straddle_a_split(real):
    groups = near_identical(list(real.sets.values()))
    split_of = {}
    for outfit, group in zip(real.sets, groups, strict=True):
        assert split_of.setdefault(group, real.split[outfit]) == real.split[outfit]
    counts = Counter(real.split.values())
    # If this fails, results that were published before are not comparable any more.
    assert counts == {"train": 5_484, "validation": 809, "test": 1_549}


def test_check_reports_the_real_outfits_beside_what_was_published(real_data, monkeypatch):
    tiny = Image.new("RGB", (3, 4))
    # To decode 9,222 photos takes seconds.
    monkeypatch.setattr(ZipImages, "image", lambda self, key: tiny)
    findings = mango.check(registry.find("mango-outfits"))
    assert "7,842 outfits, 43,582 links, 2 to 15 products each" in findings
    assert any(line.startswith("551 outfits repeat another's set") for line in findings)
    assert "the favourite, 53080809-OR, is in 637 outfits; 0 products are in none" in findings


def test_load_finds_the_real_products(real_data):
    catalogue = datasets.load("mango-outfits")
    assert (catalogue.name, len(catalogue), catalogue.stands_in_for) == (
        "mango-outfits",
        9_222,
        None,
    )
    assert catalogue.take([0, 9_221]).pixels().shape == (2, 224, 160, 3)
