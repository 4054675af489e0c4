"""fashion-product-images-small: 44,441 product photos of a shop, 60 x 80 pixels on white, with attributes.

Reads `styles.csv` and `images/<id>.jpg` from a folder or a zip, as published on Kaggle ("Fashion Product Images
(Small)", Param Aggarwal 2019, MIT), and turns the Parquet copy on Hugging Face into exactly such a zip. The shop's
table has no pattern; `pattern_from_name` reads it from the product's name.
"""

import csv
import hashlib
import io
import logging
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from fashionnb.data.catalogue import Catalogue
from fashionnb.data.images import FolderImages, ZipImages, open_images
from fashionnb.errors import DataError, DataNotFound
from fashionnb.files import written_whole

SOURCE = "fashion-product-images-small"
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
"""What `pattern_from_name` may answer, in the order in which it looks; "" when the name says nothing."""

# A name may say two things ("Floral Print"); the more telling one stands first. "3 Stripes" is a maker's mark, not a
# pattern. The misspellings are the shop's own.
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
_ANY = re.compile(
    rf"\b(?:{'|'.join(_SAID.values())})\b", re.IGNORECASE
)  # most names say none of it
_FIRST = ["id", "category", "colour", "pattern", "season"]  # what one wants to see first of a table
_WORN = ("Apparel", "Accessories", "Footwear")  # a lipstick called "Floral" has no pattern

_COUNTS = (44_446, 44_441)  # rows and pictures, as published on Kaggle
_COUNTS_COPY = (44_072, 44_072)  # and in the copy on Hugging Face
_AGAIN = "Delete it and run `fashionnb data fetch fashion-product-images-small`."
_log = logging.getLogger(__name__)


def read(path: Path | str) -> Catalogue:
    """The products from a folder or a zip file. Introduced in chapter 01.

    `styles.csv` may lie at the top or in a folder below; of several copies (Kaggle's archive has two) the one nearest
    to the top counts. Rows whose names have unquoted commas are put together again. "NA" and empty fields are
    unknown, so both become "". A product without a picture is left out, counted and logged. The shop publishes no
    split: the one here is a hash of the id (80 % train, 10 % validation, 10 % test), the same for every copy.

    Returns
    -------
    Catalogue with the columns `id`, `category` (articleType), `colour` (baseColour), `pattern` (`pattern_from_name`, ""
        for what is not worn), `season`, `year`, `gender`, `usage`, `name`, `master_category`, `sub_category`, `split`
        and `image`, all text; rows in the order of the file. `table.attrs["without_image"]` counts the products left
        out, `table.attrs["without_row"]` the pictures that no row names.

    Raises
    ------
    DataNotFound : there is nothing at `path`.
    DataError : it is a file but not a safe zip, has no `styles.csv`, the table lacks a column, a row has too few fields
        or an id stands twice, or no product has a picture.
    """
    images = open_images(path)
    sheet = _sheet(images, path)
    where = images.where(sheet)
    table = _parse(_text(images.read(sheet), where), where)
    folder = sheet.removesuffix("styles.csv") + "images/"
    inside = (
        name for name in images.names if name.startswith(folder) and "/" not in name[len(folder) :]
    )
    pictures = {name[len(folder) :].rpartition(".")[0]: name for name in inside}
    table["image"] = [pictures.get(item, "") for item in table["id"]]
    bare = table["image"] == ""
    unnamed = len(pictures.keys() - set(table["id"]))
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
    table["pattern"] = [
        pattern_from_name(name) if on else "" for name, on in zip(table["name"], worn, strict=True)
    ]
    table["split"] = table["id"].map(_split)
    table = table.loc[~bare, [*_FIRST, *table.columns.drop(_FIRST)]].reset_index(drop=True)
    classes = tuple(
        sorted(set(table["category"]))
    )  # of what is left: a class without items would confuse every chart
    table.attrs.update(without_image=int(bare.sum()), without_row=unnamed)
    return Catalogue(SOURCE, table, images, classes)


def pattern_from_name(name: str) -> str:
    """The pattern that a product's name speaks of: one of `PATTERNS`, or "" when it speaks of none.

    Introduced in chapter 01. "Highlander Men Check Blue Shirt" is "Checked". Most names say nothing, so "" means
    unknown, not plain. The name is all it looks at; a shirt may be striped without saying so.
    """
    return (
        next((pattern for pattern, said in _RULES if said.search(name)), "")
        if _ANY.search(name)
        else ""
    )


def check(path: Path | str) -> list[str]:
    """Count rows and pictures, and decode every picture (some seconds).

    Returns
    -------
    One line for each thing that was found to be right.

    Raises
    ------
    DataNotFound : as `read`.
    DataError : as `read`; or the counts are neither those of Kaggle nor those of the copy on Hugging Face; or a picture
        cannot be decoded.
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
            f"{path}: expected {wanted}, found {found[0]:,} with {found[1]:,}. It is not complete. {_AGAIN}"
        )
    catalogue.pixels(size=8)
    return [
        f"{found[0]:,} rows in styles.csv, {without} of them without a picture",
        f"all {found[1]:,} pictures can be decoded",
    ]


def convert_parquet(parquet_files: Sequence[Path | str], out_zip: Path | str) -> Path:
    """Turn the Parquet copy of the dataset into a zip with `styles.csv` and `images/`, as `read` wants it.

    The bytes of the pictures stay as they are. The same files give the same zip, byte for byte.

    Parameters
    ----------
    parquet_files : the parts of the copy, in order; the columns of `styles.csv` and `image`, a struct with `bytes`.
    out_zip : the zip to write, whole or not at all.

    Returns
    -------
    The path of the zip.

    Raises
    ------
    DataNotFound : a part is not there.
    DataError : a part is not Parquet, is cut short, lacks a column, or repeats an id.
    WriteError : the zip cannot be written.
    """
    sheet = io.StringIO(newline="")
    rows = csv.writer(sheet, lineterminator="\n")
    rows.writerow(COLUMNS)
    seen: set[str] = set()
    with written_whole(out_zip) as aside, zipfile.ZipFile(aside, "w") as archive:
        for part in parquet_files:
            for row in _parquet_rows(Path(part)):
                item = str(row["id"])
                if not item.isalnum() or item in seen:
                    raise DataError(
                        f"{part}: the id {item!r} stands twice, or is not a number. {_AGAIN}"
                    )
                seen.add(item)
                rows.writerow([_field(row[column]) for column in COLUMNS])
                picture = (row["image"] or {}).get("bytes")
                if picture:
                    suffix = "png" if picture.startswith(b"\x89PNG") else "jpg"
                    archive.writestr(_member(f"images/{item}.{suffix}"), picture)
        archive.writestr(
            _member("styles.csv"), sheet.getvalue(), compress_type=zipfile.ZIP_DEFLATED
        )
    return Path(out_zip)


def _parquet_rows(part: Path) -> Iterator[dict]:
    """The rows of one Parquet file, a thousand in memory at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not part.exists():
        raise DataNotFound(f"{part}: there is no such file. {_AGAIN}")
    try:
        with pq.ParquetFile(part) as file:
            wanted = [*COLUMNS, "image"]
            if missing := [column for column in wanted if column not in file.schema_arrow.names]:
                raise DataError(
                    f"{part}: the table lacks the column(s) {', '.join(missing)}. {_AGAIN}"
                )
            if not pa.types.is_struct(file.schema_arrow.field("image").type):
                raise DataError(f"{part}: the column image has no bytes in it. {_AGAIN}")
            for batch in file.iter_batches(1000, columns=wanted):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{part}: not a Parquet file, or one that is cut short ({error}). {_AGAIN}"
        ) from error


def _field(value: object) -> str:
    """A value as `styles.csv` has it: nothing for an unknown one, and a year that Parquet holds as 2011.0 as 2011."""
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) else str(value)


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)  # dated 1980: a zip that depends on nothing but its content
    member.external_attr = 0o644 << 16
    return member


def _sheet(images: FolderImages | ZipImages, path: Path | str) -> str:
    """The name of the `styles.csv` nearest to the top."""
    sheets = [name for name in images.names if f"/{name}".endswith("/styles.csv")]
    if not sheets:
        raise DataError(
            f"{path}: there is no styles.csv; the files here are {', '.join(images.names[:3]) or 'none'}. "
            f"Expected styles.csv and images/<id>.jpg. {_AGAIN}"
        )
    return min(sheets, key=lambda name: (name.count("/"), name))


def _text(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 text (byte {error.start}). {_AGAIN}") from error


def _parse(text: str, where: str) -> pd.DataFrame:
    """The table of `styles.csv` with the catalogue's column names. Commas beyond the last column belong to the name."""
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        header = [column.strip() for column in next(rows, [])]
        if missing := [column for column in COLUMNS if column not in header]:
            raise DataError(
                f"{where}: the table lacks the column(s) {', '.join(missing)}; "
                f"it has {', '.join(header) or 'none'}. {_AGAIN}"
            )
        last = len(header) - 1
        lines = []
        for row in rows:
            if not row:
                continue
            if len(row) <= last:
                raise DataError(
                    f"{where}, line {rows.line_num}: {len(row)} fields, expected {len(header)}. {_AGAIN}"
                )
            lines.append([*row[:last], ",".join(row[last:])])
            if "\n" in lines[-1][last]:
                raise DataError(
                    f"{where}: a quotation mark before line {rows.line_num} is opened and not closed. {_AGAIN}"
                )
    except csv.Error as error:
        raise DataError(f"{where}, line {rows.line_num}: not CSV ({error}). {_AGAIN}") from error
    table = pd.DataFrame(lines, columns=header, dtype=str)[[*COLUMNS]].rename(columns=COLUMNS)
    table = table.apply(lambda column: column.str.strip())
    return table.replace("NA", "")


def _split(item: str) -> str:
    """The same split for an id everywhere and for ever: the first 8 hexadecimal digits of a hash, as a share of one."""
    share = int(hashlib.sha256(f"{SOURCE}:{item}".encode()).hexdigest()[:8], 16) / 16**8
    return "train" if share < 0.8 else "validation" if share < 0.9 else "test"
