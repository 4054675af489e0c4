"""Read fashion-product-images-small: 44,441 product photos of 60 x 80 pixels, with attributes.

It is `styles.csv` and `images/<id>.jpg` in a folder or a zip, as published on Kaggle ("Fashion
Product Images (Small)", Param Aggarwal 2019). The Parquet copy on Hugging Face is turned into such
a zip. The table has no pattern; `pattern_from_name` reads it from the product's name.
"""

import logging
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fashionnb.data.catalogue import Catalogue
from fashionnb.data.checked_files import parse_table
from fashionnb.data.images import find_file, open_images
from fashionnb.data.registry import Source
from fashionnb.data.splits import by_hash
from fashionnb.errors import DataError
from fashionnb.files import written_whole

COLUMNS = {
    "id": "id",
    "gender": "gender",
    "masterCategory": "master_category",
    "subCategory": "sub_category",
    "articleType": "category",
    "baseColour": "colour",
    "season": "season",
    "year": "year",
    "usage": "usage",
    "productDisplayName": "name",
}
"""The columns of `styles.csv` and what they are called in the catalogue."""

PATTERNS = (
    "Colour-blocked",
    "Striped",
    "Checked",
    "Dotted",
    "Floral",
    "Embroidered",
    "Printed",
    "Solid",
)
"""What `pattern_from_name` may answer, in the order in which it looks."""

# A name may hold two patterns ("Floral Print"): the more specific one stands first. "3 Stripes" is
# a brand's mark, not a pattern. The misspellings are the shop's own.
_SAID = {
    "Colour-blocked": r"colou?r[ -]?block(?:ed|ing)?",
    "Striped": r"(?:self-|pin)?(?:striped|stripped|stripy|striper|(?<!3 )(?<!3-)stripes?)",
    "Checked": r"(?:check(?:s|ed|ered|erd)?|plaid(?:s|ed)?|ginghams?|tartan|argyle)",
    "Dotted": r"(?:polka(?: dots?)?|dots?|dotted|spots|spotted|spotty)",
    "Floral": r"(?:florals?|flowers?|flowery)",
    "Embroidered": r"embroid(?:ered|ery|ed|ary)",
    "Printed": r"(?:(?:multi|geo)?print(?:s|ed)?|graphics?|paisley|batik|bandhani|camo(?:uflage)?)",
    "Solid": r"(?:solids?|plain)",
}
_RULES = tuple(
    (pattern, re.compile(rf"\b{_SAID[pattern]}\b", re.IGNORECASE)) for pattern in PATTERNS
)
_FIRST = ["id", "category", "colour", "pattern", "season"]  # columns, before all others
_SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
_WORN = ("Apparel", "Accessories", "Footwear")  # a lipstick called "Floral" has no pattern

_COUNTS = (44_446, 44_441)  # rows and pictures, as published on Kaggle
_COUNTS_COPY = (44_072, 44_072)  # and in the copy on Hugging Face
_AGAIN = "Delete it and run `fashionnb data fetch fashion-product-images-small`."
_log = logging.getLogger(__name__)


def read(path: Path | str) -> Catalogue:
    """Read the products of Fashion Product Images (Small) from a folder or a zip file.

    Rows whose names have unquoted commas are repaired. "NA" and empty fields are unknown, and
    become "". A product without an image is left out, counted and logged. No split is published:
    the one here is a hash of the id (80 % train, 10 % validation, 10 % test).

    Parameters
    ----------
    path : path
        `styles.csv` may lie at the top of it or in a folder below; of several copies (Kaggle's
        archive has two) the one nearest to the top counts.

    Returns
    -------
    Catalogue
        With the columns `id`, `category` (articleType), `colour` (baseColour), `pattern`
        (`pattern_from_name`, "" for what is not worn), `season`, `year`, `gender`, `usage`, `name`,
        `master_category`, `sub_category`, `split` and `image`, all text; rows in the order of the
        file. `table.attrs["without_image"]` counts the products left out,
        `table.attrs["without_row"]` the images without a row.

    Raises
    ------
    DataNotFound
        If there is nothing at `path`.
    DataError
        If it is a file but not a safe zip, has no `styles.csv`, the table lacks a column, a row has
        too few fields, an id stands twice, or no product has an image.
    """
    images = open_images(path)
    advice = f"Expected styles.csv and images/<id>.jpg. {_AGAIN}"
    sheet = find_file(images, "styles.csv", path, advice)
    where = images.where(sheet)
    table = parse_table(images.read(sheet), COLUMNS, where, _AGAIN, commas_in_last=True)
    table = table.replace("NA", "")
    folder = sheet.removesuffix("styles.csv") + "images/"
    pictures = {name.rpartition(".")[0]: name for name in images.names if name.startswith(folder)}
    expected = folder + table["id"]
    table["image"] = expected.map(pictures)
    bare = table["image"].isna()
    unnamed = len(pictures.keys() - set(expected))
    if bare.all():
        raise DataError(
            f"{path}: no product has a picture. Expected them as {folder}<id>.jpg. {_AGAIN}"
        )
    if bare.any() or unnamed:
        _log.info(
            "%s: %d products have no picture, %d pictures have no product.",
            path,
            bare.sum(),
            unnamed,
        )
    worn = table["master_category"].isin(_WORN)
    table["pattern"] = table["name"].where(worn, "").map(pattern_from_name)
    table["split"] = by_hash(table["id"].tolist(), SOURCE.name, _SHARES)
    table = table.loc[~bare, [*_FIRST, *table.columns.drop(_FIRST)]].reset_index(drop=True)
    classes = tuple(sorted(set(table["category"])))  # each has an item
    table.attrs.update(without_image=int(bare.sum()), without_row=unnamed)
    return Catalogue(SOURCE.name, table, images, classes)


def pattern_from_name(name: str) -> str:
    """Read the pattern of a product from its name, such as "Checked" or "Floral".

    "Highlander Men Check Blue Shirt" is "Checked". Most names have no pattern, so "" means unknown,
    not plain.

    Parameters
    ----------
    name : str
        The product's name in the shop.

    Returns
    -------
    str
        One of `PATTERNS`, or "" if there is none in the name.
    """
    for pattern, words in _RULES:
        if words.search(name):
            return pattern
    return ""


def check(path: Path | str) -> list[str]:
    """Check Fashion Product Images (Small): count products and images, and decode every image.

    This takes some seconds.

    Parameters
    ----------
    path : path
        As in `read`.

    Returns
    -------
    list of str
        One line for each thing that was found to be right.

    Raises
    ------
    DataNotFound, DataError
        As `read`; or if the counts are neither those of Kaggle nor those of the copy on Hugging
        Face, or an image cannot be decoded.
    """
    catalogue = read(path)
    without = catalogue.table.attrs["without_image"]
    found = (len(catalogue) + without, len(catalogue))
    if found not in (_COUNTS, _COUNTS_COPY):
        wanted = " or ".join(
            f"{rows:,} rows with {pictures:,} pictures"
            for rows, pictures in (_COUNTS, _COUNTS_COPY)
        )
        raise DataError(
            f"{path}: expected {wanted}, found {found[0]:,} with {found[1]:,}. "
            f"It is not complete. {_AGAIN}"
        )
    catalogue.pixels(size=8)
    return [
        f"{found[0]:,} rows in styles.csv, {without} of them without a picture",
        f"all {found[1]:,} pictures can be decoded",
    ]


def convert_parquet(parquet_files: Sequence[Path | str], out_zip: Path | str) -> None:
    """Convert the Parquet copy of Fashion Product Images (Small) into a zip for `read`.

    The bytes of the images stay as they are. The same files give the same zip, byte for byte.

    Parameters
    ----------
    parquet_files : sequence of path
        The parts of the copy, in order, with the columns of `styles.csv` and `image`, a struct with
        `bytes`.
    out_zip : path
        The zip to write, whole or not at all.

    Raises
    ------
    DataError
        If a part does not exist, is not Parquet, is cut short, lacks a column, or repeats an id.
    WriteError
        If the zip cannot be written.
    """
    table = pd.concat([_read_parquet(Path(part)) for part in parquet_files], ignore_index=True)
    table["id"] = table["id"].astype(str)
    if len(wrong := table["id"][table["id"].duplicated() | ~table["id"].str.isalnum()]):
        raise DataError(
            f"{out_zip}: the id {wrong.iloc[0]!r} stands twice in its Parquet files, or is not a "
            f"number. {_AGAIN}"
        )
    years = table["year"].astype("Int64")  # gaps make them floats
    sheet = table[[*COLUMNS]].assign(year=years).to_csv(index=False, lineterminator="\n")
    with written_whole(out_zip) as aside, zipfile.ZipFile(aside, "w") as archive:
        for item, image in zip(table["id"], table["image"], strict=True):
            if picture := (image or {}).get("bytes"):
                suffix = "png" if picture.startswith(b"\x89PNG") else "jpg"
                archive.writestr(_member(f"images/{item}.{suffix}"), picture)
        archive.writestr(_member("styles.csv"), sheet, compress_type=zipfile.ZIP_DEFLATED)


def _read_parquet(part: Path) -> pd.DataFrame:
    import pyarrow as pa

    try:
        table = pd.read_parquet(part, columns=[*COLUMNS, "image"])
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{part}: no whole Parquet file with the columns of styles.csv and image ({error}). "
            f"{_AGAIN}"
        ) from error
    if not {dict, type(None)}.issuperset(table["image"].map(type)):
        raise DataError(f"{part}: the column image has no bytes in it. {_AGAIN}")
    return table


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)  # dated 1980: a zip that depends on nothing but its content
    member.external_attr = 0o644 << 16
    return member


_ROOT = "https://huggingface.co/datasets/ashraq/fashion-product-images-small/resolve/main/data/"
SOURCE = Source(
    name="fashion-product-images-small",
    title="Fashion product images (small)",
    files=("fashion-product-images-small.zip", "fashion-product-images-small"),
    urls={
        part: (_ROOT + part,)
        for part in (
            "train-00000-of-00002-6cff4c59f91661c3.parquet",
            "train-00001-of-00002-bb459e5ac5f01e71.parquet",
        )
    },
    bytes=271_000_000,
    licence="MIT",
    citation="Aggarwal 2019, Fashion Product Images (Small), "
    "https://www.kaggle.com/datasets/paramaggarwal/fashion-product-images-small",
    homepage="https://www.kaggle.com/datasets/paramaggarwal/fashion-product-images-small",
    sha256={
        "fashion-product-images-small.zip": (
            "95f3e176d492af053aaf3a0141efe62cf6e4542453561905cdfd03df6f4e353c"
        )
    },
    reader="products",
    read=read,
    check=check,
    assemble=convert_parquet,
)
