"""One file of a detector's findings, `fashion_analysis_<name>.json`: its fields, and the text that it is written as.

What comes from outside is checked field by field, and what is broken is told with its file, item and field. Nothing
here touches the disk: `fashionnb.data.detector` reads and writes the files, with the crops that lie beside them.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, ValidationError

MOST_BYTES = 50_000_000
"""A file larger than this is refused before it is parsed; a photo with a hundred garments needs 30 kB."""

_UNFIT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # control characters, and halves of characters


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("it is empty; leave the field out where nothing is known")
    if _UNFIT.search(value):
        raise ValueError("it holds a control character or half a character")
    return value


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if "\\" in value or ".." in path.parts or path.is_absolute() or re.match("[A-Za-z]:", value):
        raise ValueError(
            'crops lie beside the JSON, so a path that is absolute, climbs with ".." or has a "\\" is refused'
        )
    if not path.name:
        raise ValueError("it is a folder, not a picture")
    return value


def _upright(box: list[float]) -> list[float]:
    left, top, right, bottom = box
    if not (left < right and top < bottom):
        raise ValueError("a box is [x1, y1, x2, y2] with x1 < x2 and y1 < y2")
    return box


Text = Annotated[str, AfterValidator(_text)]
Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Box = Annotated[list[FiniteFloat], Field(min_length=4, max_length=4), AfterValidator(_upright)]


class _Open(BaseModel):
    """Strict in what it knows ("0.9" is no number, nor is true), and keeps the fields that it does not know."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)
    __pydantic_extra__: dict[str, JsonValue]


class Attribute(_Open):
    """One thing that a garment was found to be, and how sure that is (0 to 1)."""

    label: Text
    score: Score


class Item(_Open):
    """One garment that was found in a photo. Introduced in chapter 07.

    crop_file : the picture of this garment alone, a path from the folder of the JSON.
    det_label, det_score : what it is, and how sure that is (0 to 1).
    box : [x1, y1, x2, y2] in pixels of the photo. A detector may look beyond its edges, so a box need not lie within.
    color, pattern, season : None where nothing is known.

    Every other field is kept as it is.
    """

    crop_file: Annotated[Text, AfterValidator(_inside)]
    det_label: Text
    det_score: Score
    box: Box
    color: Attribute | None = None
    pattern: Attribute | None = None
    season: Attribute | None = None


class _File(_Open):
    items: list[Any]


@dataclass(frozen=True)
class Problem:
    """What is wrong: in which file, at which item (counted from 0; None: the whole file), in which field."""

    file: str
    item: int | None
    field: str
    reason: str

    def __str__(self) -> str:
        number = "" if self.item is None else f", item {self.item}"
        return f"{self.file}{number}{self.field and ', '}{self.field}: {self.reason}."


@dataclass(frozen=True)
class Findings:
    """What one file holds.

    items : the good ones, by their number in the file.
    extra : the fields beside `items`.
    problems : one for each broken item, or one for the file.
    """

    items: dict[int, Item]
    extra: dict[str, Any]
    problems: list[Problem]


def parse(data: bytes, where: str) -> Findings:
    """The items of one file. Introduced in chapter 07.

    The text is UTF-8, with or without a byte order mark. NaN, Infinity and numbers that are too large for a float are
    refused; so is a field that stands twice, since one of the two would be lost. Unknown fields are kept.

    Parameters
    ----------
    data : the content of the file.
    where : how problems name the file.

    Returns
    -------
    Findings : the good items, and one problem for each broken one. If the file as a whole cannot be read there are no
        items and one problem, with `item` None.
    """
    try:
        file = _File.model_validate(_load(data))
    except ValidationError as error:
        return Findings({}, {}, [Problem(where, None, *wrong(error))])
    except ValueError as error:
        return Findings({}, {}, [Problem(where, None, "", str(error))])
    items, problems = {}, []
    for number, raw in enumerate(file.items):
        try:
            items[number] = Item.model_validate(raw)
        except ValidationError as error:
            problems.append(Problem(where, number, *wrong(error)))
    return Findings(items, file.model_extra, problems)


def dump(items: Sequence[Item], extra: dict[str, Any]) -> str:
    """The text of a file with these items, one a line, and `extra` fields beside them: what `parse` reads."""
    listed = ",\n".join(f"  {json.dumps(_plain(item), allow_nan=False)}" for item in items)
    beside = "".join(f", {json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in extra.items())
    return f'{{"items": [\n{listed}\n]{beside}}}\n'


def wrong(error: ValidationError) -> tuple[str, str]:
    """The first field that is wrong, as in "color.score", and why."""
    first, *more = error.errors(include_url=False)
    place, value = first["loc"], first["input"]
    if first["type"] == "invalid-json-value":  # in a field that is kept as it is; pydantic adds words of its own
        place = place[: next((i for i, part in enumerate(place) if part in ("dict", "list")), None)]
    if isinstance(value, _Unfit):
        reason = value.reason
    elif first["type"] == "recursion_depth_exceeded":
        place, reason = place[:1], "nested too deeply"
    elif first["type"] == "model_type":
        reason = f"an object {{…}} is wanted, got {value!r:.60}"
    else:
        got = "" if first["type"] == "missing" else f", got {value!r:.60}"
        reason = first["msg"].removeprefix("Value error, ") + got
    fields = {".".join(map(str, found["loc"][:2])) for found in more} - {".".join(map(str, place))}
    rest = f" (and {len(fields)} more field(s): {', '.join(sorted(fields)[:3])})" if fields else ""
    return ".".join(map(str, place)), reason + rest


def _plain(model: Item | Attribute) -> dict[str, Any]:
    """The fields that are known and not None in their order, then the others as they came (their null is kept)."""
    known = {name: getattr(model, name) for name in type(model).model_fields}
    known = {name: _plain(value) if isinstance(value, Attribute) else value for name, value in known.items()}
    return {name: value for name, value in known.items() if value is not None} | model.model_extra


@dataclass(frozen=True)
class _Unfit:
    """Stands where the JSON has something that no field may be; pydantic refuses it and says where it is."""

    reason: str


def _load(data: bytes) -> Any:
    """The JSON in these bytes. Raises ValueError with a reason."""
    if len(data) > MOST_BYTES:
        raise ValueError(f"larger than {MOST_BYTES / 1e6:,.0f} MB, which no photo needs; split it")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    if not text.strip():
        raise ValueError("the file is empty; it was perhaps not written to its end")
    try:
        return json.loads(text, parse_float=_number, parse_constant=_constant, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"not JSON, or cut short ({error.msg} in line {error.lineno}, column {error.colno})"
        ) from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ValueError as error:  # an integer of thousands of digits
        raise ValueError(f"not JSON that can be read ({error})") from error


def _number(text: str) -> "float | _Unfit":
    value = float(text)
    return value if math.isfinite(value) else _Unfit(f"{text:.20} is too large a number")


def _constant(text: str) -> _Unfit:
    return _Unfit(f"{text} is no number in JSON; leave the field out where nothing is known")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = {}
    for key, value in pairs:
        found[key] = _Unfit("the field stands twice, and only one can be right") if key in found else value
    return found
