"""What is known of each item of a catalogue, as numbers that can be compared at once.

A recommender asks two things of a table: which items are as somebody wants them, and which agree with one item. What is
not known ("") is neither. `fashionnb.data.attribute_encoder` makes numbers for models instead, which learn what they mean.
"""

import difflib
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fashionnb.data.catalogue import Catalogue
from fashionnb.data.colour import COLOURS, METALS, canonical, dominant_colour, name_colours
from fashionnb.data.foreground import foreground
from fashionnb.data.images import ArrayImages, decode
from fashionnb.errors import DataError, DataNotFound

ATTRIBUTES = ("category", "colour", "pattern", "season", "gender", "usage")
"""What makes two garments alike, apart from their pictures; a catalogue has some of it."""

UNKNOWN = -1
EVERYBODY = "Unisex"
_NO_ATTRIBUTES = ("id", "image", "name")  # columns in which every item has a value of its own
_ALSO = {"autumn": "fall", "fall": "autumn"}
_MOST_NAMED = 12
_SMALLEST, _LARGEST = (
    64,
    256,
)  # pixels: enough to tell a garment from the wall, and to see its colour
_log = logging.getLogger(__name__)


class Attributes:
    """The attributes of a catalogue. Introduced in chapter 07.

    columns : those of `ATTRIBUTES` that it has.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.name, self.table = catalogue.name, catalogue.table
        self.columns = tuple(column for column in ATTRIBUTES if column in self.table)
        self._rows = {item: row for row, item in enumerate(catalogue.table["id"].tolist())}
        self._numbered: dict[str, tuple[np.ndarray, list[str]]] = {}

    def row(self, item: str) -> int:
        """Where an item is in the catalogue. Raises `DataError`, with ids that are like it, if it is not there."""
        if item not in self._rows:
            close = difflib.get_close_matches(str(item), self._rows, 3, 0.6)
            hint = (
                f"Did you mean {' or '.join(close)}?"
                if close
                else f"Ids look like {', '.join([*self._rows][:3])}."
            )
            raise DataError(
                f"{self.name} has no item {item!r}. {hint} (A picture is given by its path.)"
            )
        return self._rows[item]

    def numbers(self, column: str) -> tuple[np.ndarray, list[str]]:
        """The value of each item as a number (n,) int64, `UNKNOWN` for "", and the values that the numbers stand for.

        Raises
        ------
        DataError : there is no such column, or it holds no text that several items could share.
        """
        if column not in self._numbered:
            if not self._is_attribute(column):
                here = [name for name in self.table if self._is_attribute(name)]
                raise DataError(f"{self.name} has no attribute {column!r}{_hint(column, here)}")
            values = [value for value in self.table[column].unique() if value != ""]
            self._numbered[column] = (
                pd.Index(values, dtype=object).get_indexer(self.table[column]),
                values,
            )
        return self._numbered[column]

    def value(self, column: str, said: str) -> str:
        """The value as the catalogue spells it. Case does not matter, autumn is fall, and gray is grey.

        Raises
        ------
        DataError : no item has it; the message names values that are like it, or those that there are.
        """
        numbers, values = self.numbers(column)
        known = {value.casefold(): value for value in values}
        plain = str(said).strip().casefold()
        for spelling in (plain, _ALSO.get(plain) if column == "season" else None):
            if spelling in known:
                return known[spelling]
        if column == "colour":
            with suppress(DataError, KeyError):
                return known[canonical(plain).casefold()]
        counts = np.bincount(numbers[numbers != UNKNOWN], minlength=len(values))
        common = [values[i] for i in np.argsort(-counts, kind="stable")]
        raise DataError(f"{self.name}: no item has the {column} {said!r}{_hint(said, common)}")

    def matching(self, wanted: Mapping[str, str | Sequence[str]]) -> np.ndarray:
        """The items (n,) bool that are as wanted in every column; several values of one column mean any of them.

        Raises
        ------
        DataError : as `value`.
        """
        mask = np.ones(len(self.table), bool)
        for column, said in wanted.items():
            numbers, values = self.numbers(column)
            said = [said] if isinstance(said, str) else said
            mask &= np.isin(numbers, [values.index(self.value(column, one)) for one in said])
        return mask

    def too_much(self, wanted: Mapping[str, str | Sequence[str]]) -> str:
        """Why no item is as wanted: how many there would be without each of the wishes, as text."""
        counts = []
        for column in wanted:
            others = {name: said for name, said in wanted.items() if name != column}
            counts.append(f"{self.matching(others).sum():,} without {column}")
        return (
            f"no item of {self.name} is all of {dict(wanted)}; there would be {', '.join(counts)}"
        )

    def of(self, row: int) -> dict[str, str]:
        """What is known of one item: column -> value, without what is not known."""
        found = {column: self.numbers(column) for column in self.columns}
        return {
            column: values[numbers[row]]
            for column, (numbers, values) in found.items()
            if numbers[row] != UNKNOWN
        }

    def equal(self, column: str, value: str) -> np.ndarray:
        """The items (n,) bool that have this value; none if nobody has it."""
        numbers, values = self.numbers(column)
        return numbers == values.index(value) if value in values else np.zeros(len(numbers), bool)

    def worn_with(
        self, row: int | None, known: Mapping[str, str], wanted: Collection[str]
    ) -> np.ndarray:
        """Garments of another kind, for the same people (n,) bool, apart from what somebody decided himself.

        Another kind is another `sub_category`, or category where there is no such column. Unisex and unknown fit all.

        Parameters
        ----------
        row, known : of the garment that they are to be worn with; row is None if it is not in the catalogue.
        wanted : the columns that somebody decided.
        """
        mask = np.ones(len(self.table), bool)
        kind = "sub_category" if "sub_category" in self.table else "category"
        if row is not None and not {"category", kind} & set(wanted):
            numbers, _ = self.numbers(kind)
            mask &= numbers != numbers[row]
        people = known.get("gender", EVERYBODY)
        if people != EVERYBODY and "gender" not in wanted:
            numbers, values = self.numbers("gender")
            fits = np.array([value in (people, EVERYBODY) for value in values] + [True])
            mask &= fits[numbers]  # UNKNOWN is the last
        return mask

    def seen(self, image: Image.Image) -> dict[str, str]:
        """What can be seen of a garment that is not in the catalogue: its colour, by a name that the catalogue uses.

        Nothing, if the catalogue has no colours.
        """
        if "colour" not in self.columns:
            return {}
        image = image.convert("RGB")
        image.thumbnail((_LARGEST, _LARGEST))
        pixels, larger = np.asarray(image), -(-_SMALLEST // min(image.size))
        pixels = pixels.repeat(larger, 0).repeat(larger, 1)
        mask = foreground(pixels[None])[0]
        rgb, share = dominant_colour(pixels, mask if mask.any() else None)
        used = [
            value
            for value in self.numbers("colour")[1]
            if COLOURS.get(value) and value not in METALS
        ]
        (name,), (score,) = name_colours(rgb[None], used if len(used) > 1 else None)
        _log.info(
            "The picture's colour is %s (%.2f sure), so is %.0f %% of the garment.",
            name,
            score,
            100 * share,
        )
        return {"colour": name}

    def _is_attribute(self, column: str) -> bool:
        if column not in self.table or column in _NO_ATTRIBUTES:
            return False
        return pd.api.types.is_string_dtype(self.table[column])


def as_image(picture: Path | Image.Image | np.ndarray) -> Image.Image:
    """A picture in any of the forms that a recommender takes, as a PIL image. Introduced in chapter 07.

    Raises
    ------
    DataError : it is none, or damaged. DataNotFound : there is no such file.
    """
    if isinstance(picture, Path):
        if not picture.is_file():
            raise DataNotFound(
                f"{picture}: there is no such picture, and no item of that id. Check the path."
            )
        return decode(picture.read_bytes(), str(picture))
    if isinstance(picture, Image.Image):
        return picture
    if isinstance(picture, np.ndarray):
        return ArrayImages(picture[None]).image(0)
    raise DataError(
        f"Ask by an id, or by a picture: a Path, a PIL image or an array; got {type(picture).__name__}."
    )


def _hint(said: object, known: Sequence[str]) -> str:
    """The end of a message: names that are like what was said, and what there is."""
    plain = {name.casefold(): name for name in known}
    close = [
        plain[match] for match in difflib.get_close_matches(str(said).casefold(), plain, 3, 0.6)
    ]
    more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    there = f"There is: {', '.join(known[:_MOST_NAMED]) or 'none'}{more}."
    return f"; did you mean {' or '.join(close)}? {there}" if close else f". {there}"
