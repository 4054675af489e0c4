"""Read and write a garment detector's output: `fashion_analysis_*.json` files with their crops.

The data is the user's own, so there is nothing to download: `read` takes a file, a folder or a zip.
`Item` has the fields of a file. No model is run here.
"""

import json
import logging
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import pandas as pd
from PIL import Image
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    JsonValue,
    ValidationError,
)

from fashionnb.data.catalogue import Catalogue
from fashionnb.data.checked_files import first_error, refuse_problems
from fashionnb.data.images import FolderImages, ZipImages, open_images
from fashionnb.errors import DataError
from fashionnb.files import write_text, written_whole

FILES = "fashion_analysis_*.json"
"""The names of the files that are read from a folder or a zip."""

ATTRIBUTES = {"color": "colour", "pattern": "pattern", "season": "season"}
"""The attributes of a garment: field of the file -> column of the catalogue."""

BOX = ["x1", "y1", "x2", "y2"]
_SCORES = [f"{column}_score" for column in ("category", *ATTRIBUTES.values())]
_COLUMNS = [
    "id",
    "category",
    *ATTRIBUTES.values(),
    *_SCORES,
    *BOX,
    "source",
    "crop_file",
    "extra",
    "image",
]
_KINDS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
_log = logging.getLogger(__name__)

MOST_BYTES = 50_000_000
"""A larger file is refused before it is parsed; a photo with a hundred garments needs 30 kB."""

# Control characters, and halves of characters.
_INVALID_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def _text(value: str) -> str:
    if not value.strip() or _INVALID_TEXT.search(value):
        raise ValueError(
            "it is empty, or holds a control character; leave the field out where nothing is known"
        )
    return value


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    leads_out = path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", value)
    if leads_out or "\\" in value or not path.name:
        raise ValueError(
            'crops lie beside the JSON, so a path that is absolute, climbs with "..", has a "\\" '
            "or names no picture is refused"
        )
    return value


def _upright(box: list[float]) -> list[float]:
    left, top, right, bottom = box
    if not (left < right and top < bottom):
        raise ValueError("a box is [x1, y1, x2, y2] with x1 < x2 and y1 < y2")
    return box


Text = Annotated[str, AfterValidator(_text)]
Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Box = Annotated[list[FiniteFloat], Field(min_length=4, max_length=4), AfterValidator(_upright)]


class _ExtraKept(BaseModel):
    """Strict in known fields ("0.9" is no number, nor is true); unknown fields are kept."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)
    __pydantic_extra__: dict[str, JsonValue]


class Attribute(_ExtraKept):
    """Attribute of a garment, such as its colour, as a detector labels it.

    Parameters
    ----------
    label : str
        The detector's word for it.
    score : float
        The detector's confidence in the label, 0 to 1.
    **extra_data : JSON value
        Unknown fields, which are kept as they are.
    """

    label: Text
    score: Score


class Item(_ExtraKept):
    """One garment that a detector found in a photo, as its JSON file lists it.

    Parameters
    ----------
    crop_file : str
        The image of this garment alone, a path from the folder of the JSON.
    det_label : str
        The category.
    det_score : float
        The confidence in it, 0 to 1.
    box : list of 4 float
        [x1, y1, x2, y2] in pixels of the photo. It may reach beyond the photo.
    color, pattern, season : Attribute, optional
        What the detector says of them.
    **extra_data : JSON value
        Unknown fields, which are kept as they are.
    """

    crop_file: Annotated[Text, AfterValidator(_inside)]
    det_label: Text
    det_score: Score
    box: Box
    color: Attribute | None = None
    pattern: Attribute | None = None
    season: Attribute | None = None


class _DetectorFile(_ExtraKept):
    items: list[Any]


def parse(data: bytes, where: str) -> tuple[dict[int, Item], dict[str, Any], list[str]]:
    """Parse a JSON file of a garment detector into good items and problems.

    The text is UTF-8, with or without a byte order mark. NaN, Infinity, numbers that are too large
    for a float, and fields that stand twice are refused. Unknown fields are kept.

    Parameters
    ----------
    data : bytes
        The content of the file.
    where : str
        Names the file in problems.

    Returns
    -------
    items : dict of int to Item
        The good ones, by their number in the file.
    extra : dict
        The fields beside `items`.
    problems : list of str
        One for each broken item: the file, the item, the field, such as "color.score", and what is
        wrong.

    Raises
    ------
    DataError
        If the file as a whole cannot be read.
    """
    if len(data) > MOST_BYTES:
        raise DataError(
            f"{where}: larger than {MOST_BYTES / 1e6:,.0f} MB, which no photo needs; split it."
        )
    try:
        content = json.loads(
            data, parse_float=_number, parse_constant=_number, object_pairs_hook=_once
        )
        file = _DetectorFile.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{where}, {first_error(error)}.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON, or cut short ({error!s:.80}).") from error
    items, problems = {}, []
    for number, raw in enumerate(file.items):
        try:
            items[number] = Item.model_validate(raw)
        except ValidationError as error:
            problems.append(f"{where}, item {number}, {first_error(error)}.")
    return items, file.model_extra, problems


@dataclass(frozen=True, repr=False)
class _Refused:
    """Replaces a value that no field may have; pydantic then refuses it, and reports its place."""

    reason: str

    def __repr__(self) -> str:
        return self.reason


def _number(text: str) -> "float | _Refused":
    value = float(text)
    if math.isfinite(value):
        return value
    return _Refused(f"{text:.20}, which is no finite number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = {}
    for key, value in pairs:
        found[key] = _Refused("a field that stands twice") if key in found else value
    return found


def read(path: Path | str) -> Catalogue:
    """Read the garments that a detector found in photos, from its JSON files and crops.

    Nothing is left out: if anything is broken this raises, and `salvage` gives the rest.

    Parameters
    ----------
    path : path
        One JSON file; or a folder or a zip, with `fashion_analysis_*.json` in it or in the folders
        below.

    Returns
    -------
    Catalogue
        One row per item, in the order of the files' names and of the items in them. `id` is
        "<file>/<crop>" without their endings. `category` (det_label), `colour`, `pattern`, `season`
        are text, "" if unknown; `category_score`, `colour_score`, ... (0 to 1) are then NaN. `x1`,
        `y1`, `x2`, `y2` are the box in pixels of the photo, `source` the JSON as a path from the
        folder, `crop_file` as written there, `extra` the item's unknown fields as JSON, "" without
        any. `table.attrs["files"]` holds for each `source` the fields beside its items, as JSON.
        `table.attrs["shared_crops"]` counts the items whose crop another file lists too; each is
        logged, since one photo's crops may have been written over another's.

    Raises
    ------
    DataNotFound
        If there is nothing at `path`.
    DataError
        If there is no such file in the folder or zip; or if a file, an item or a field is broken,
        or a crop is missing. The message counts them, and lists the file, the number of the item
        (from 0) and the field of the first ten.
    """
    catalogue, problems = salvage(path)
    summary = (
        f"{path}: {len(problems)} file(s) or item(s) are broken, {len(catalogue)} item(s) are good."
    )
    refuse_problems(problems, summary, "fashionnb.data.detector.salvage")
    return catalogue


def salvage(path: Path | str) -> tuple[Catalogue, list[str]]:
    """Read the good items of a garment detector's JSON files, and what is wrong with the others.

    Parameters
    ----------
    path : path
        As in `read`.

    Returns
    -------
    catalogue : Catalogue
        The good items, as `read` gives them.
    problems : list of str
        One for each item that was left out, as those of `parse`, and one for each file that cannot
        be read.

    Raises
    ------
    DataNotFound, DataError
        As `read`, but only if there are no files at all, or `path` is not a zip that can be read.
    """
    images, sources = _open(Path(path))
    members = set(images.names) if isinstance(images, ZipImages) else None
    rows, files, problems = {}, {}, []
    for source in sources:
        where = images.where(source)
        try:
            items, extra, found = parse(images.read(source), where)
        except DataError as error:
            problems.append(str(error))
            continue
        problems += found
        files[source] = json.dumps(extra) if extra else ""
        for number, item in items.items():
            row = _row(item, source)
            place = f"{where}, item {number}, crop_file"
            if not _here(images, members, row["image"]):
                problems.append(f"{place}: there is no picture {item.crop_file!r} beside the file.")
            elif row["id"] in rows:
                problems.append(
                    f"{place}: {item.crop_file!r} is the crop of an item before it; each item has "
                    "its own."
                )
            else:
                rows[row["id"]] = row
    table = pd.DataFrame(list(rows.values()), columns=_COLUMNS).astype(
        dict.fromkeys([*_SCORES, *BOX], float)
    )
    shared = table[table["image"].duplicated(keep=False)]
    for crop, claims in shared.groupby("image")["source"]:
        _log.warning("%s both claim the crop %s.", " and ".join(claims), crop)
    table.attrs.update(files=files, shared_crops=len(shared) - shared["image"].nunique())
    return Catalogue(
        "fashion-analysis", table, images, tuple(sorted(set(table["category"])))
    ), problems


def write(catalogue: Catalogue, folder: Path | str) -> list[Path]:
    """Write a catalogue as JSON files of a garment detector, each with its crops beside it.

    What `read` gave is written so that it reads the same again. Images of a folder or a zip are
    copied byte for byte, others are encoded according to the ending of `crop_file`. A JSON is
    written after its crops.

    Parameters
    ----------
    catalogue : Catalogue
        With the columns that `read` makes; `extra` may be missing.
    folder : path
        Made if need be; files of the same name are replaced.

    Returns
    -------
    list of Path
        The JSON files.

    Raises
    ------
    DataError
        If a column is missing, a value breaks the format, or two items of a file have one crop;
        nothing is written then. Also if an image cannot be read.
    WriteError
        If the folder cannot be written.
    """
    table, folder = catalogue.table, Path(folder)
    if missing := [column for column in _COLUMNS if column not in table and column != "extra"]:
        raise DataError(
            f"{catalogue.name}: to be written as detector files it lacks the column(s) "
            f"{', '.join(missing)}."
        )
    extras = {
        source: json.loads(extra or "{}") for source, extra in table.attrs.get("files", {}).items()
    }
    items = [_item(row, catalogue.name) for row in table.to_dict("records")]
    if len(twice := table[table.duplicated(["source", "crop_file"])]):
        source, crop_file = twice[["source", "crop_file"]].iloc[0]
        raise DataError(f"{catalogue.name}: two items of {source!r} have the crop {crop_file!r}.")
    sources = list(dict.fromkeys([*extras, *table["source"]]))
    for source in sources:
        path = PurePosixPath(source)
        if path.suffix != ".json" or path.is_absolute() or ".." in path.parts or "\\" in source:
            raise DataError(
                f"{catalogue.name}: the source {source!r} is not a relative path that ends in "
                '".json".'
            )
    read_bytes = getattr(catalogue.images, "read", catalogue.images.image)
    rows = table.groupby("source").indices
    for source in sources:
        found = rows.get(source, [])
        garments = ((items[row], read_bytes(table["image"].iloc[row])) for row in found)
        write_file(folder / source, garments, extras.get(source))
    return [folder / source for source in sources]


def write_file(
    path: Path | str,
    garments: Iterable[tuple[Item, bytes | Image.Image]],
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write the crops of one photo, then the JSON file of a garment detector that lists them.

    Parameters
    ----------
    path : path
        The JSON, one item a line. `read` finds it in a folder if it is called
        `fashion_analysis_<name>.json`.
    garments : iterable of (Item, bytes or PIL.Image.Image)
        Each item with its crop, in the order in which they are written. Bytes are written as they
        are; an image is encoded according to the ending of `crop_file`.
    extra : mapping, optional
        Further fields of the file, beside its items.

    Raises
    ------
    DataError
        If an item breaks the format, or an image is to be encoded, and the ending is not .jpg,
        .jpeg or .png.
    WriteError
        If the folder cannot be written.
    """
    path, garments = Path(path), list(garments)
    listed = ",\n".join(
        f"  {json.dumps(item.model_dump(exclude_unset=True), allow_nan=False)}"
        for item, _ in garments
    )
    beside = "".join(
        f", {json.dumps(key)}: {json.dumps(value, allow_nan=False)}"
        for key, value in (extra or {}).items()
    )
    text = f'{{"items": [\n{listed}\n]{beside}}}\n'
    _, _, problems = parse(text.encode(), str(path))  # what is written is what is read
    if problems:
        raise DataError(f"{problems[0]} It was not written.")
    for item, crop in garments:
        ending = PurePosixPath(item.crop_file).suffix.lower()
        with written_whole(path.parent / item.crop_file) as aside:
            if isinstance(crop, bytes):
                aside.write_bytes(crop)
            elif ending in _KINDS:
                crop.save(aside, _KINDS[ending], quality=95)
            else:
                raise DataError(
                    f"{path}: a crop is written as {', '.join(_KINDS)}; got the ending {ending!r}."
                )
    write_text(path, text)


def _open(path: Path) -> tuple[FolderImages | ZipImages, list[str]]:
    """The store, and the names of the JSON files in it."""
    if path.is_file() and path.suffix.lower() != ".zip":
        return FolderImages(path.parent), [path.name]
    images = open_images(path)
    sources = [name for name in images.names if PurePosixPath(name).match(FILES)]
    if not sources:
        here = ", ".join(images.names[:3]) or "none"
        raise DataError(
            f"{path}: there is no {FILES}; the files here are {here}. "
            "Give the folder in which a detector wrote its JSON and crops, or one JSON file."
        )
    return images, sources


def _row(item: Item, source: str) -> dict[str, Any]:
    """The item as a row of the table."""
    file, crop = PurePosixPath(source), PurePosixPath(item.crop_file)
    extra = dict(item.model_extra)
    row = {
        "id": (file.with_suffix("") / crop.with_suffix("")).as_posix(),
        "category": item.det_label,
        "category_score": item.det_score,
        **dict(zip(BOX, item.box, strict=True)),
        "source": source,
        "crop_file": item.crop_file,
        "image": (file.parent / crop).as_posix(),
    }
    for field, column in ATTRIBUTES.items():
        attribute: Attribute | None = getattr(item, field)
        row[column] = attribute.label if attribute else ""
        row[f"{column}_score"] = attribute.score if attribute else math.nan
        if attribute and attribute.model_extra:
            extra[field] = attribute.model_extra
    return {**row, "extra": json.dumps(extra) if extra else ""}


def _item(row: Mapping[str, Any], where: str) -> Item:
    """The row as an item. Raises `DataError`."""
    try:
        values = json.loads(row.get("extra") or "{}")
        values |= {
            "crop_file": row["crop_file"],
            "det_label": row["category"],
            "det_score": row["category_score"],
            "box": [row[side] for side in BOX],
        }
        for field, column in ATTRIBUTES.items():
            known = {"label": row[column], "score": row[f"{column}_score"]}
            if known["label"] or not math.isnan(known["score"]):
                values[field] = values.get(field, {}) | known
        return Item.model_validate(values)
    except ValidationError as error:
        raise DataError(
            f"{where}, item {row['id']!r}, {first_error(error)}. Nothing was written."
        ) from error
    except (TypeError, json.JSONDecodeError) as error:
        raise DataError(
            f"{where}, item {row['id']!r}: its columns break the format ({error})."
        ) from error


def _here(images: FolderImages | ZipImages, members: set[str] | None, name: str) -> bool:
    # `Path.is_file` would raise for a name that is too long for any file.
    return os.path.isfile(images.root / name) if members is None else name in members  # noqa: PTH113
