"""A shop's own table: what is understood, what is found, and what is told."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fashionnb.data import shop_table
from fashionnb.datasets import open_catalogue
from fashionnb.errors import DataError, DataNotFound

PICTURES = ("photos/a.jpg", "photos/below/B.JPG", "photos/c d.png", "4.jpg", "photos/café.jpg")


@pytest.fixture
def shop(tmp_path):
    for name in PICTURES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (5, 4)).save(tmp_path / name)
    return tmp_path


def read(shop, text, name="shop.csv", columns=None, encoding="utf-8"):
    (shop / name).write_bytes(text.encode(encoding))
    return shop_table.read(shop / name, columns)


@pytest.mark.parametrize(
    ("header", "ours"),
    [
        ("id,image,category,colour", "id image category colour"),
        ("SKU;Image URL;Product Type;Color", "id image category colour"),
        ("Artikelnummer\tBild\tKategorie\tFarbe", "id image category colour"),
        ("référence|photo|catégorie|couleur", "id image category colour"),
        ("código,imagen,categoría,color", "id image category colour"),
        ("codice,immagine,tipo,colore", "id image category colour"),
        ("article_id,file_name,articleType,baseColour", "id image category colour"),
        ("id,photo,season,Geschlecht", "id image season gender"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_columns_are_understood_by_their_usual_names(shop, header, ours, encoding):
    sign = next(sign for sign in ",;\t|" if sign in header)
    found = read(
        shop, f"{header}\n" + sign.join(["1", "photos/a.jpg", "x", "y"]), encoding=encoding
    )
    table = found.table
    assert table[ours.split()].values.tolist() == [["1", "photos/a.jpg", "x", "y"]]
    assert found.image("1").size == (5, 4)
    assert "understood: " in table.attrs["report"][1]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("photos/a.jpg", "photos/a.jpg"),
        ("a.jpg", "photos/a.jpg"),
        ("a", "photos/a.jpg"),
        ("./photos/A.JPG", "photos/a.jpg"),
        ("photos\\below\\b.jpg", "photos/below/B.JPG"),
        ("C:\\shop\\photos\\a.jpg", "photos/a.jpg"),
        ("/home/someone/shop/photos/a.jpg", "photos/a.jpg"),
        ("https://cdn.example/x/c%20d.png?width=300#top", "photos/c d.png"),
        ("photos/cafe\u0301.jpg", "photos/café.jpg"),
        ("nothing.jpg", ""),
        ("../../etc/passwd", ""),
        ("https://cdn.example/", ""),
        ("manifest.csv", ""),
        ("shop.csv", ""),
        ("shop", ""),
    ],
)
def test_a_picture_is_named_by_path_address_or_id(shop, value, found):
    table = read(shop, f"id,image\n4,\nx,{value}\n").table.set_index("id")["image"]
    assert table["4"] == "4.jpg"
    assert table.get("x", "") == found


def test_addresses_that_were_collected(shop):
    rows = [
        "id,url,final_url,file",
        "17,http://s/1?a=b,http://s/2,images/url-77.jpg",
        "18,http://s/9,,",
    ]
    (shop / "got" / "images").mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(shop / "got" / "images" / "url-77.jpg")
    (shop / "got" / "manifest.csv").write_text("\n".join(rows))
    found = read(shop, "id,image\nx,http://s/1?a=b\ny,http://s/9\n")
    assert found.table["image"].tolist() == ["got/images/url-77.jpg"]
    assert "1 of 2 rows: y (http://s/9)" in "\n".join(found.table.attrs["report"])
    # The manifest itself is a table, too.
    assert shop_table.read(shop / "got" / "manifest.csv").ids == ["17"]


def test_what_is_left_out_is_counted(shop):
    found = read(shop, "id,image,price\n1,a.jpg,3\n1,a.jpg,4\n,b.jpg,\n3,,\n5,no.jpg,\n")
    assert found.ids == ["1", "photos/below/B.JPG"]
    report = "\n".join(found.table.attrs["report"])
    for said in (
        "2 items",
        "kept as they are: price",
        "2 of 5 rows: 3 (none named), 5 (no.jpg)",
        "1 rows",
    ):
        assert said in report
    assert found.table["price"].tolist() == ["3", ""]
    assert found.take([0]).table.attrs["report"] == found.table.attrs["report"]


def test_other_kinds_of_tables(shop):
    rows = [
        {"sku": 1, "images": ["photos/a.jpg", "x.jpg"], "split": "Val"},
        {"sku": 4.0, "price": None},
    ]
    (shop / "s.jsonl").write_text("\n\n".join(map(json.dumps, rows)))
    pd.DataFrame(
        {"id": [1, 4], "image": ["a.jpg", None], "split": ["val", "test"], "x": [np.nan, 2]}
    ).to_parquet(shop / "s.parquet")
    for name in ("s.jsonl", "s.parquet"):
        found = open_catalogue(shop / name)
        assert found.ids == ["1", "4"]
        assert found.table["image"].tolist() == ["photos/a.jpg", "4.jpg"]
        assert found.table["split"][0] == "validation"
        assert not found.table.isna().any(axis=None)


def test_excel(shop, monkeypatch):
    frame = pd.DataFrame({"Bild": ["a.jpg"], "Preis": [3.0]}, dtype=object)
    monkeypatch.setattr(pd, "read_excel", lambda *_, **__: frame)
    (shop / "s.xlsx").touch()
    assert shop_table.read(shop / "s.xlsx").table[["id", "Preis"]].values.tolist() == [
        ["photos/a.jpg", "3"]
    ]
    monkeypatch.setattr(pd, "read_excel", lambda *_, **__: (_ for _ in ()).throw(ImportError))
    with pytest.raises(DataError, match="pip install openpyxl"):
        shop_table.read(shop / "s.xlsx")


def test_columns_as_one_is_told(shop):
    text = "a,b,colour,image\nphotos/a.jpg,Hemd,red,4.jpg\n"
    table = read(shop, text, columns={"image": "a", "kategorie": "b"}).table
    assert table.loc[0, ["image", "category", "colour"]].tolist() == ["photos/a.jpg", "Hemd", "red"]
    with pytest.raises(DataError, match="there is no column 'z'; the columns are a, b"):
        read(shop, text, columns={"image": "z"})
    with pytest.raises(DataError, match="'weight' is none of ours, which are id, image"):
        read(shop, text, columns={"weight": "a"})


@pytest.mark.parametrize(
    ("name", "text", "phrase"),
    [
        ("s.csv", "", "the table is empty"),
        ("s.csv", "id,image\n", "the table is empty"),
        ("s.csv", "a,b\n1,2\n", "no column says the picture or the id; the columns are a, b"),
        ("s.csv", "id,image\n1\n", "line 2: 1 fields, expected 2"),
        ("s.csv", "id,image\n1,a,b\n", "line 2: 3 fields, expected 2"),
        ("s.csv", "id,id\n1,2\n", "the column 'id' stands twice"),
        ("s.csv", "id,image\n9,no.jpg\n", "no row of 1 has a picture here; the first is 9"),
        ("s.csv", "id,image\n1," + "x" * 200_000, "not CSV"),
        ("s.jsonl", "{", "line 1: not JSON"),
        ("s.jsonl", "[1]", "line 1: expected an object"),
        ("s.parquet", "PAR1 no", "not a Parquet file"),
        ("s.xlsx", "no", "not an Excel file"),
    ],
)
def test_what_is_no_table_is_one_error(shop, name, text, phrase):
    with pytest.raises(DataError, match=phrase):
        read(shop, text, name)


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(DataNotFound, match="there is no such file"):
        shop_table.read(tmp_path / "no.csv")
    with pytest.raises(DataNotFound):
        shop_table.read_judgements(tmp_path / "no.csv")
    (tmp_path / "x.docx").touch()
    with pytest.raises(DataError, match="tables end in"):
        shop_table.read_judgements(tmp_path / "x.docx")


def test_judgements(tmp_path):
    (tmp_path / "j.csv").write_text("Query ID;relevant_id;Score\na;b;1\na;b;3\na;c;0\nb;a;0.5\n")
    found = shop_table.read_judgements(tmp_path / "j.csv")
    assert found.values.tolist() == [["a", "b", 3.0], ["b", "a", 0.5]]
