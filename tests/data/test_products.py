"""fashionnb.data.products: the shop's table with its quirks, the pictures, and the Parquet copy."""

import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fashionnb.data import products
from fashionnb.data.products import (
    COLUMNS,
    PATTERNS,
    check,
    convert_parquet,
    pattern_from_name,
    read,
)
from fashionnb.data.splits import by_hash
from fashionnb.errors import DataError, DataNotFound, FashionNBError

HEADER = ",".join(COLUMNS)
SHEET = f"""{HEADER}
10,Men,Apparel,Topwear,Shirts,Navy Blue,Fall,2011,Casual,Turtle Check Men Navy Blue Shirt
11,Women,Accessories,Watches,Watches,NA,Winter,2016,NA,Titan Women Silver Watch
12,Women,Apparel,Topwear,Tops,Red,,,Casual,Forever New Women Striped, Red, Long Top
13,Women,Apparel,Bottomwear,Shorts,Pink,Summer,2011,Sports,"Nike 3.5"" Pink, Printed Short"
14,Women,Personal Care,Lips,Lipstick,Rose,Spring,2017,Casual,Lotus Flower Lipstick
15,Men,Apparel,Topwear,Shirts,White,Fall,2011,Formal,Arrow Men 3.5" Shirt
16,Boys,Apparel,Topwear,Tshirts,Green,Summer,2012,Casual,Ben 10 Boys T-shirt
"""


def picture(seed: int = 0, kind: str = "JPEG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (80, 60, 3), np.uint8)).save(
        out, kind
    )
    return out.getvalue()


PICTURES = {f"images/{item}.jpg": picture(item) for item in range(10, 16)}  # 16 has none


def as_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def sheet_only(tmp_path, sheet):
    return as_zip(tmp_path / "a.zip", PICTURES | {"styles.csv": sheet})


# read


def test_the_table_with_all_its_quirks(tmp_path, caplog):
    caplog.set_level("INFO")
    catalogue = read(sheet_only(tmp_path, SHEET))
    table = catalogue.table.set_index("id")
    assert table.index.tolist() == ["10", "11", "12", "13", "14", "15"]
    assert table.loc["10"].to_dict() == {
        "category": "Shirts",
        "colour": "Navy Blue",
        "pattern": "Checked",
        "season": "Fall",
        "gender": "Men",
        "master_category": "Apparel",
        "sub_category": "Topwear",
        "year": "2011",
        "usage": "Casual",
        "name": "Turtle Check Men Navy Blue Shirt",
        "image": "images/10.jpg",
        "split": table.loc["10", "split"],
    }
    assert table.loc["11", ["colour", "usage", "pattern"]].tolist() == ["", "", ""]
    assert table.loc["12", ["name", "season", "year", "pattern"]].tolist() == [
        "Forever New Women Striped, Red, Long Top",
        "",
        "",
        "Striped",
    ]
    assert table.loc["13", "name"] == 'Nike 3.5" Pink, Printed Short'
    assert table.loc["14", "pattern"] == ""  # nobody wears a lipstick
    assert table.loc["15", "name"] == 'Arrow Men 3.5" Shirt'
    assert not table.isna().any().any()
    assert catalogue.classes == ("Lipstick", "Shirts", "Shorts", "Tops", "Watches")
    assert catalogue.table.attrs == {"without_image": 1, "without_row": 0}
    assert "1 products have no picture, 0 pictures have no product" in caplog.text


def test_folder_zip_and_kaggles_double_archive_are_the_same(tmp_path):
    files = PICTURES | {"styles.csv": ("\ufeff" + SHEET.replace("\n", "\r\n")).encode()}
    for name, data in files.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(data)
    double = {f"myntradataset/{name}": data for name, data in files.items()} | files
    catalogues = [
        read(tmp_path / "folder"),
        read(as_zip(tmp_path / "a.zip", files)),
        read(
            as_zip(tmp_path / "top.zip", {f"some/top/{name}": data for name, data in files.items()})
        ),
        read(as_zip(tmp_path / "kaggle.zip", double)),
    ]
    pixels = catalogues[0].pixels()
    assert pixels.shape == (6, 80, 60, 3)
    for catalogue in catalogues:
        assert catalogue.table.drop(columns="image").equals(
            catalogues[0].table.drop(columns="image")
        )
        assert (catalogue.pixels() == pixels).all()


def test_pictures_without_a_row_are_counted_and_png_is_read(tmp_path):
    files = {
        "styles.csv": SHEET,
        "images/10.png": picture(1, "PNG"),
        "images/99.jpg": picture(),
        "other/11.jpg": picture(),
    }
    catalogue = read(as_zip(tmp_path / "a.zip", files))
    assert catalogue.table["image"].tolist() == ["images/10.png"]
    assert catalogue.table.attrs == {"without_image": 6, "without_row": 1}


def split(*ids: str) -> list[str]:
    return by_hash(ids, products.SOURCE.name, products._SHARES).tolist()


def test_the_split_of_an_id_never_changes():
    assert split("15970", "10", "12", "17") == [
        "validation",
        "train",
        "test",
        "test",
    ]
    shares = pd.Series(split(*map(str, range(20_000)))).value_counts(normalize=True)
    # 20,000 draws: a share of .1 has a standard error of .002
    assert shares["train"] == pytest.approx(0.8, abs=0.012)
    assert shares["validation"] == pytest.approx(0.1, abs=0.009)
    assert shares["test"] == pytest.approx(0.1, abs=0.009)


# what is refused


@pytest.mark.parametrize("column", COLUMNS)
def test_a_table_without_a_column_is_refused(tmp_path, column):
    with pytest.raises(
        DataError,
        match=rf"a\.zip, member styles\.csv: the table lacks the column\(s\) {column}; it has",
    ):
        read(sheet_only(tmp_path, SHEET.replace(column, "other", 1)))


def test_an_empty_table_is_refused(tmp_path):
    with pytest.raises(DataError, match="lacks the column"):
        read(sheet_only(tmp_path, ""))
    with pytest.raises(DataError, match="no product has a picture"):
        read(sheet_only(tmp_path, HEADER + "\n"))


def test_a_row_that_is_too_short_is_refused_with_its_line(tmp_path):
    with pytest.raises(DataError, match=r"styles\.csv, line 9: 3 fields, expected 10"):
        read(sheet_only(tmp_path, SHEET + "17,Men,Apparel\n"))


def test_a_quotation_mark_that_is_not_closed_is_refused_instead_of_swallowing_rows(tmp_path):
    with pytest.raises(DataError, match="opened and not closed"):
        read(sheet_only(tmp_path, SHEET.replace("Turtle Check", '"Turtle Check')))


def test_a_table_that_is_not_text_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"not UTF-8 text \(byte 0\)"):
        read(sheet_only(tmp_path, b"\xff\xfe\x00" + SHEET.encode("utf-16-le")))


def test_an_id_that_stands_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match="stand twice, the first is '10'"):
        read(sheet_only(tmp_path, SHEET + SHEET.splitlines()[1] + "\n"))


def test_a_place_without_table_or_pictures_is_refused(tmp_path):
    with pytest.raises(
        DataError, match=r"there is no styles\.csv; the files here are images/10\.jpg"
    ):
        read(as_zip(tmp_path / "a.zip", PICTURES))
    with pytest.raises(
        DataError, match=r"no product has a picture. Expected them as images/<id>\.jpg"
    ):
        read(as_zip(tmp_path / "b.zip", {"styles.csv": SHEET}))
    with pytest.raises(DataNotFound, match="no such file or folder"):
        read(tmp_path / "nowhere")


def test_check_counts_and_decodes(tmp_path, monkeypatch):
    path = sheet_only(tmp_path, SHEET)
    with pytest.raises(
        DataError, match=r"expected 44,446 rows with 44,441 pictures or .* found 7 with 6"
    ):
        check(path)
    monkeypatch.setattr(products, "_COUNTS", (7, 6))
    assert check(path) == [
        "7 rows in styles.csv, 1 of them without a picture",
        "all 6 pictures can be decoded",
    ]
    bad = as_zip(tmp_path / "bad.zip", PICTURES | {"styles.csv": SHEET, "images/12.jpg": b"<html>"})
    with pytest.raises(DataError, match=r"images/12\.jpg: not a picture"):
        check(bad)


# patterns


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("John Miller Men Striped White Shirt", "Striped"),
        ("Classic Polo Men's White T-shirt with Dark Blue Stripes", "Striped"),
        ("Fabindia Blue Self-Striped Saree", "Striped"),
        ("ADIDAS Mens Stripped Polo T-shirt", "Striped"),
        ("ADIDAS Men 3 Stripe Black Polo T-shirt", ""),
        ("Provogue Men Pack of 3 Striped Socks", "Striped"),
        ("Highlander Men Check Blue Shirt", "Checked"),
        ("John Players Men Gingham Blue Shirt", "Checked"),
        ("Forever New Women Peach With Polka Dots Top", "Dotted"),
        ("Red Rose White & Red Dot Print Bath Robe", "Dotted"),
        ("W Women Floral Print Blue Kurta", "Floral"),
        ("Lotus Herbals Floralstay Copper Toast Lip Color 424", ""),
        ("Mother Earth Women Embroided Beige Kurta", "Embroidered"),
        ("Tantra Unisex PRINTED Red Tshirts", "Printed"),
        ("Puma Men Graphic Black T-shirt", "Printed"),
        ("Nike Men Sprint Running Shoes", ""),
        ("ADIDAS Men Color Block Navy Blue T-shirt", "Colour-blocked"),
        ("109F Women Black & Cream-Coloured Colourblocked Printed Tunic", "Colour-blocked"),
        ("Nike Men Solid Black Shorts", "Solid"),
        ("Jealous 21 Women Plain Pink Top", "Solid"),
        ("Rockport Men Ed Plaintoe Brown Formal Shoes", ""),
        ("Titan Women Silver Watch", ""),
        ("", ""),
    ],
)
def test_the_pattern_that_a_name_speaks_of(name, pattern):
    assert pattern_from_name(name) == pattern


# the Parquet copy


def as_parquet(path, rows: range, **changed) -> None:
    frame = pd.DataFrame(
        {
            "id": list(rows),
            "gender": "Men",
            "masterCategory": "Apparel",
            "subCategory": "Topwear",
            "articleType": ["Shirts", "Tops"][rows[0] % 2],
            "baseColour": [None, *["Red"] * (len(rows) - 1)],
            "season": "Fall",
            "year": [float("nan"), *[2011.0] * (len(rows) - 1)],
            "usage": "Casual",
            "productDisplayName": [f'Striped, "{item}"' for item in rows],
            "image": [
                {"bytes": picture(item, "PNG" if item % 2 else "JPEG"), "path": None}
                for item in rows
            ],
        }
    )
    frame.assign(**changed).to_parquet(path)


def test_the_parquet_copy_becomes_a_zip_that_reads_the_same(tmp_path):
    as_parquet(tmp_path / "0.parquet", range(100, 1300))  # more than one batch
    as_parquet(tmp_path / "1.parquet", range(2000, 2003))
    parts = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    path = tmp_path / "new" / "products.zip"
    convert_parquet(parts, path)
    catalogue = read(path)
    assert len(catalogue) == 1203
    assert catalogue.table["id"].tolist() == [
        str(item) for item in (*range(100, 1300), *range(2000, 2003))
    ]
    row = catalogue.table.set_index("id").loc
    assert row["101", ["colour", "year", "name", "image"]].tolist() == [
        "Red",
        "2011",
        'Striped, "101"',
        "images/101.png",
    ]
    assert row["100", ["colour", "year"]].tolist() == ["", ""]
    assert (
        np.asarray(catalogue.image("102")) == np.asarray(Image.open(io.BytesIO(picture(102))))
    ).all()
    again = tmp_path / "again.zip"
    convert_parquet(parts, again)
    assert again.read_bytes() == path.read_bytes()


def test_a_row_without_picture_in_the_parquet_copy_is_counted(tmp_path):
    images = [None, {"bytes": None, "path": "x.jpg"}, {"bytes": picture(), "path": None}]
    as_parquet(tmp_path / "0.parquet", range(3), image=images)
    convert_parquet([tmp_path / "0.parquet"], tmp_path / "a.zip")
    catalogue = read(tmp_path / "a.zip")
    assert catalogue.table["id"].tolist() == ["2"]
    assert catalogue.table.attrs["without_image"] == 2


def test_a_parquet_copy_that_is_not_one_is_refused_and_leaves_nothing(tmp_path):
    as_parquet(tmp_path / "good.parquet", range(3))
    good = (tmp_path / "good.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(good[: len(good) // 2])
    (tmp_path / "page.parquet").write_bytes(b"<html>Not found</html>")
    hollow = bytearray(good)
    hollow[100:900] = bytes(800)
    (tmp_path / "hollow.parquet").write_bytes(hollow)
    as_parquet(tmp_path / "flat.parquet", range(3), image="x")
    pd.read_parquet(tmp_path / "good.parquet").drop(columns="season").to_parquet(
        tmp_path / "narrow.parquet"
    )
    as_parquet(tmp_path / "named.parquet", range(3), id=["a", "../b", "c"])
    before = sorted(tmp_path.iterdir())
    for names, message in {
        ("cut",): "no whole Parquet file",
        ("page",): "no whole Parquet file",
        ("good", "hollow"): "hollow",
        ("flat",): "the column image has no bytes",
        ("narrow",): r"with the columns of styles\.csv and image \(.*season",
        ("good", "good"): "the id '0' stands twice",
        ("named",): r"the id '\.\./b'",
        ("missing",): r"missing\.parquet: no whole Parquet file",
    }.items():
        with pytest.raises(FashionNBError, match=message):
            convert_parquet([tmp_path / f"{name}.parquet" for name in names], tmp_path / "out.zip")
        assert sorted(tmp_path.iterdir()) == before


def test_the_real_products(real_data):
    catalogue = read(real_data / "fashion-product-images-small.zip")
    assert len(catalogue) == 44_441
    assert len(catalogue.classes) == 142
    assert catalogue.table.attrs == {"without_image": 5, "without_row": 0}
    assert (catalogue.table["usage"] == "").sum() == 317  # 316 "NA" and one empty
    assert not catalogue.table.isin(["NA"]).any().any()
    assert set(catalogue.table["pattern"]) == {*PATTERNS, ""}
    assert catalogue.table["season"].isin(["Spring", "Summer", "Fall", "Winter", ""]).all()
    assert catalogue.sample(200).pixels((80, 60)).shape == (200, 80, 60, 3)
