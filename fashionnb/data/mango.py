"""Read MANGO outfits: 7,842 outfits by the shop's stylists, of 9,222 products with studio photos.

It is `datathon/dataset/product_data.csv`, `outfit_data.csv` and `datathon/images/*.jpg`, in a
folder or a zip, as published for the UPC Datathon 2023 (MANGO 2023, Fashion Compatibility
Challenge). It is downloaded from the organisers' own link, and may not be passed on. They publish
no checksum, so `check` compares counts and ids and decodes every photo; photos may have any size
(239 x 334 as published). How much the backgrounds of its photos reveal about the outfits is
measured in `fashionnb.outfits.baselines`.
"""

from collections import Counter
from pathlib import Path

import pandas as pd

from fashionnb.data.catalogue import Catalogue, Outfits
from fashionnb.data.checked_files import check_counts, parse_table
from fashionnb.data.images import FolderImages, ZipImages, find_file, open_images
from fashionnb.data.registry import Source
from fashionnb.data.splits import SHARES, by_hash, near_identical
from fashionnb.errors import DataError

COLUMNS = {
    "cod_modelo_color": "id",
    "des_product_type": "category",
    "des_agrup_color_eng": "colour",
    "des_product_family": "family",
    "des_product_aggregated_family": "aggregated_family",
    "des_product_category": "department",
    "des_sex": "gender",
    "des_age": "age",
    "des_line": "line",
    "des_fabric": "fabric",
    "cod_color_code": "colour_code",
    "des_color_specification_esp": "colour_name",
    "des_filename": "image",
}
"""The columns of `product_data.csv` and what they are called in the catalogue."""

COUNTS = {
    "products": 9_222,
    "families": 39,
    "types": 123,
    "colours": 10,
    "outfits": 7_842,
    "links": 43_582,
    "repeats": 551,
}
"""What the published files hold; a repeat is an outfit with the same products as an earlier one."""

_GENDERS = {"Female": "Women", "Male": "Men"}
_FABRICS = {
    "P-PLANA": "Woven",
    "K-CIRCULAR": "Jersey",
    "T-TRICOT": "Knit",
    "J-JEANS": "Denim",
    "L-PIEL": "Leather",
    "O-POLIPIEL": "Faux leather",
    "C-COMPLEMENTOS": "Accessory",
}
_NOT_WORN = ("Home", "Beauty")
_AGAIN = "Delete it and run `fashionnb data fetch mango-outfits` to get the organisers' file again."


def read(path: Path | str) -> Catalogue:
    """Read the products of MANGO outfits from a folder or a zip file.

    The shop's ten grouped colours are kept as they are: black and silver are among the greys, beige
    and gold among the whites. The exact colour is in `colour_name`, in Spanish.

    Parameters
    ----------
    path : path
        The folder or zip file.

    Returns
    -------
    Catalogue
        With the columns `id`, `category` (the product's type), `colour` (grouped), `family`,
        `aggregated_family`, `department`, `gender`, `age`, `line`, `fabric`, `colour_code`,
        `colour_name`, `year` (from the photo's name), `collection` (of the two that no outfit
        mixes: "2019" up to 2020, "2023" after), `worn` (False for Home and Beauty products) and
        `image`; rows in the order of the file, all text except `worn`. Products have no split; see
        `read_outfits`.

    Raises
    ------
    DataNotFound
        If there is nothing at `path`.
    DataError
        If it is a file but not a safe zip, lacks a table or a column, a row is incomplete, an id
        stands twice, or a product has no type, no year in its file name, or no photo.
    """
    return _catalogue(open_images(path), path)


def read_outfits(path: Path | str) -> Outfits:
    """Read MANGO's outfits, with their products, and split them.

    No split is published. Here outfits are split by a hash, 70 % train, 10 % validation, 20 % test,
    after joining those that are identical or differ by one product
    (`fashionnb.data.splits.near_identical`). Products are shared between the splits, since the
    stylists used their favourites again and again.

    Parameters
    ----------
    path : path
        The folder or zip file.

    Returns
    -------
    Outfits
        With the products of `read` as their catalogue.

    Raises
    ------
    DataNotFound, DataError
        As `read`; or if an outfit has one product only, the same twice, or an unknown one.
    """
    images = open_images(path)
    catalogue = _catalogue(images, path)
    sets = _sets(images, path)
    groups = near_identical(list(sets.values()))
    # Of each group, the hash of the outfit that stands first decides for all.
    first = pd.Series(list(sets)).groupby(groups).transform("first")
    split = by_hash(first.tolist(), SOURCE.name)
    return Outfits(catalogue, sets, dict(zip(sets, split, strict=True)))


def check(path: Path | str) -> list[str]:
    """Check MANGO outfits: count products, outfits and repeats, and decode every photo.

    This takes some seconds.

    Parameters
    ----------
    path : path
        The folder or zip file.

    Returns
    -------
    list of str
        One line for each thing that was found to be right, and what is worth knowing of it.

    Raises
    ------
    DataNotFound, DataError
        As `read_outfits`; or if a count is not the published one, or a photo cannot be decoded.
    """
    outfits = read_outfits(path)
    table = outfits.catalogue.table
    sizes = [len(items) for items in outfits.sets.values()]
    distinct = {frozenset(items) for items in outfits.sets.values()}
    found = {
        "products": len(table),
        "families": table["family"].nunique(),
        "types": table["category"].nunique(),
        "colours": table["colour"].nunique(),
        "outfits": len(sizes),
        "links": sum(sizes),
        "repeats": len(sizes) - len(distinct),
    }
    check_counts(path, found, COUNTS, _AGAIN)
    uses = Counter(item for items in outfits.sets.values() for item in items)
    favourite, most = uses.most_common(1)[0]
    groups = near_identical(list(outfits.sets.values())).max() + 1
    splits = Counter(outfits.split.values())
    years = table["year"].value_counts().sort_index()
    by_year = ", ".join(f"{year} {count:,}" for year, count in years.items())
    by_split = ", ".join(f"{splits[name]:,} {name}" for name in SHARES)
    shapes = Counter(outfits.catalogue.images.image(name).size for name in table["image"])
    by_size = ", ".join(f"{n:,} of {width} x {height}" for (width, height), n in shapes.items())
    return [
        f"{found['products']:,} products of {found['families']} families, {found['types']} types, "
        f"{found['colours']} grouped colours",
        f"{(~table['worn']).sum()} of them are Home or Beauty products, which nobody wears",
        f"photos by year: {by_year}",
        f"{found['outfits']:,} outfits, {found['links']:,} links, "
        f"{min(sizes)} to {max(sizes)} products each",
        f"{found['repeats']} outfits repeat another's set; with those that differ by one product "
        f"there are {groups:,} groups",
        f"splits by group: {by_split}",
        f"the favourite, {favourite}, is in {most} outfits; {len(table) - len(uses)} products are "
        "in none",
        f"all {len(table):,} photos can be decoded: {by_size} pixels",
    ]


def _sets(images: FolderImages | ZipImages, path: Path | str) -> dict[str, tuple]:
    """Outfit -> its products."""
    sheet = find_file(images, "dataset/outfit_data.csv", path, _AGAIN)
    where = images.where(sheet)
    columns = {"cod_outfit": "outfit", "cod_modelo_color": "id"}
    table = parse_table(images.read(sheet), columns, where, _AGAIN)
    if len(twice := table[table.duplicated()]):
        outfit, item = twice.iloc[0]
        raise DataError(
            f"{where}, line {twice.index[0] + 2}: outfit {outfit!r} has the product {item!r} "
            f"twice. {_AGAIN}"
        )
    sets = table.groupby("outfit", sort=False)["id"].agg(tuple).to_dict()
    if alone := [outfit for outfit, items in sets.items() if len(items) < 2]:
        raise DataError(
            f"{where}: outfit {alone[0]!r} has one product only, so nothing goes with it. {_AGAIN}"
        )
    return sets


def _catalogue(images: FolderImages | ZipImages, path: Path | str) -> Catalogue:
    sheet = find_file(images, "dataset/product_data.csv", path, _AGAIN)
    where = images.where(sheet)
    table = parse_table(images.read(sheet), COLUMNS, where, _AGAIN)
    files = table["image"].str.rpartition("/")[2]
    table["year"] = files.str.extract(r"^(20\d\d)_", expand=False)
    if len(undated := files[table["year"].isna()]):
        raise DataError(
            f"{where}: the photo {undated.iloc[0]!r} does not begin with a year, as in "
            f"2019_41085800_02.jpg. {_AGAIN}"
        )
    # The photos lie beside the folder of the tables.
    table["image"] = sheet.removesuffix("dataset/product_data.csv") + "images/" + files
    missing = table[~table["image"].isin(set(images.names))]
    if len(missing):
        raise DataError(
            f"{path}: {len(missing)} products have no photo, the first is {missing['id'].iloc[0]}, "
            f"expected as {missing['image'].iloc[0]}. {_AGAIN}"
        )
    for column in ("id", "category"):
        if (empty := table.index[table[column] == ""]).size:
            raise DataError(f"{where}, line {empty[0] + 2}: the product has no {column}. {_AGAIN}")
    table["colour"] = table["colour"].str.capitalize()
    table["gender"] = table["gender"].replace(_GENDERS)
    table["fabric"] = table["fabric"].replace(_FABRICS)
    table["collection"] = ["2019" if year <= "2020" else "2023" for year in table["year"]]
    table["worn"] = ~table["department"].isin(_NOT_WORN)
    table["image"] = table.pop("image")  # last, as everywhere
    return Catalogue(SOURCE.name, table, images, tuple(sorted(set(table["category"]))))


SOURCE = Source(
    name="mango-outfits",
    title="MANGO outfits",
    files=("mango-outfits.zip", "mango-outfits"),
    # Taken from the organisers' README and their description of the tables; no machine on which
    # this was written could reach it.
    urls={
        "datathon.zip": ("https://mng-datathon-upc.s3.eu-west-1.amazonaws.com/datathon.zip",),
    },
    bytes=80_000_000,  # estimated: photos of that size took 60 to 110 MB, by their quality
    licence="none stated: published for the challenge",
    terms="link to it, never redistribute it",
    citation="MANGO 2023, UPC Datathon: Fashion Compatibility Challenge, "
    "https://github.com/data-science-mango/datathon-2023-fashion-compatibility",
    homepage="https://github.com/data-science-mango/datathon-2023-fashion-compatibility",
    sha256={
        "mango-outfits.zip": "1ab279e91a129b21bece5ad8113ba524ed12ac4c3fb399f3a89f4ebadd6fe449"
    },
    reader="mango",
    read=read,
    read_outfits=read_outfits,
    check=check,
)
