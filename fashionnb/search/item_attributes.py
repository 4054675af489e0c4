"""The attributes of a catalogue's items, as numbers that are compared for all items at once.

A recommender asks which items have the attributes that are wanted, and which agree with one item.
An unknown value ("") does neither. `fashionnb.data.attribute_encoder` encodes attributes for models
instead.
"""

import difflib
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

import numpy as np
import pandas as pd
from PIL import Image

from fashionnb.data.catalogue import Catalogue
from fashionnb.data.colour import COLOURS, METALS, canonical, dominant_colour, name_colours
from fashionnb.data.foreground import foreground
from fashionnb.errors import DataError

ATTRIBUTES = ("category", "colour", "pattern", "season", "gender", "usage")
"""Attributes by which two garments are compared; a catalogue has some of them."""

UNISEX = "Unisex"
UNIQUE = ("id", "image", "name")  # columns in which every item has its own value
SYNONYMS = {"autumn": "fall", "fall": "autumn"}
MOST_LISTED = 12  # values in a message
SMALLEST, LARGEST = 64, 256  # pixels: enough to separate garment and background, and for the colour
logger = logging.getLogger(__name__)


class Attributes:
    """Attributes of all items of a catalogue, to select and compare the items by.

    Parameters
    ----------
    catalogue : Catalogue
        Of n items.

    Attributes
    ----------
    columns : tuple of str
        Those of `ATTRIBUTES` that it has.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.name, self.table = catalogue.name, catalogue.table
        self.columns = tuple(column for column in ATTRIBUTES if column in self.table)
        self._rows = {item: row for row, item in enumerate(catalogue.table["id"].tolist())}
        self._numbered: dict[str, tuple[np.ndarray, list[str]]] = {}

    def row(self, item: str) -> int:
        """The row of an item in the catalogue.

        Raises
        ------
        DataError
            If it is not there; the message names similar ids.
        """
        if item not in self._rows:
            raise DataError(
                f"{self.name} has no item {item!r}{_hint(item, [*self._rows])} "
                "(A picture is given by its path.)"
            )
        return self._rows[item]

    def numbers(self, column: str) -> tuple[np.ndarray, list[str]]:
        """The value of each item as a number.

        Returns
        -------
        numbers : ndarray of shape (n,), int64
            -1 for "".
        values : list of str
            The values that the numbers stand for.

        Raises
        ------
        DataError
            If there is no such column, or it is not text that several items could share.
        """
        if column not in self._numbered:
            texts = [
                name
                for name in self.table.columns.difference(UNIQUE, sort=False)
                if pd.api.types.is_string_dtype(self.table[name])
            ]
            if column not in texts:
                raise DataError(f"{self.name} has no attribute {column!r}{_hint(column, texts)}")
            known = self.table[column].where(self.table[column] != "")
            numbers, values = pd.factorize(known)
            self._numbered[column] = numbers, values.tolist()
        return self._numbered[column]

    def value(self, column: str, wanted: str) -> str:
        """A value as the catalogue spells it. Case is ignored, autumn is fall, gray is grey.

        Raises
        ------
        DataError
            If no item has it; the message names similar values, or those that there are.
        """
        numbers, values = self.numbers(column)
        known = {value.casefold(): value for value in values}
        plain = str(wanted).strip().casefold()
        if plain not in known and column == "season":
            plain = SYNONYMS.get(plain, plain)
        if plain not in known and column == "colour":
            with suppress(DataError):
                plain = canonical(plain).casefold()
        if plain not in known:
            counts = np.bincount(numbers[numbers >= 0], minlength=len(values))
            common = [values[i] for i in np.argsort(-counts, kind="stable")]
            raise DataError(
                f"{self.name}: no item has the {column} {wanted!r}{_hint(wanted, common)}"
            )
        return known[plain]

    def matching(self, wanted: Mapping[str, str | Sequence[str]]) -> np.ndarray:
        """The items, (n,) bool, that are as wanted in every column; of several values any.

        Raises
        ------
        DataError
            As `value`.
        """
        mask = np.ones(len(self.table), bool)
        for column, any_of in wanted.items():
            numbers, values = self.numbers(column)
            any_of = [any_of] if isinstance(any_of, str) else any_of
            mask &= np.isin(numbers, [values.index(self.value(column, one)) for one in any_of])
        return mask

    def why_no_match(self, wanted: Mapping[str, str | Sequence[str]]) -> str:
        """Why no item is as wanted: how many there would be without each condition, as text."""
        counts = []
        for column in wanted:
            others = {name: value for name, value in wanted.items() if name != column}
            counts.append(f"{self.matching(others).sum():,} without {column}")
        return (
            f"no item of {self.name} is all of {dict(wanted)}; there would be {', '.join(counts)}"
        )

    def of(self, row: int) -> dict[str, str]:
        """The known attributes of one item: column -> value."""
        item = self.table[[*self.columns]].iloc[row]
        return item[item != ""].to_dict()

    def equal(self, column: str, value: str) -> np.ndarray:
        """The items, (n,) bool, that have this value; none if it is unknown ("")."""
        return (self.table[column] == value).to_numpy() & (value != "")

    def worn_with(
        self, row: int | None, known: Mapping[str, str], wanted: Collection[str]
    ) -> np.ndarray:
        """The garments of another kind, for the same people, (n,) bool.

        Another kind is another `sub_category`, or category where there is no such column. Unisex
        and unknown fit all.

        Parameters
        ----------
        row : int or None
            Of the garment that they are worn with; None if it is not in the catalogue.
        known : mapping of str to str
            The known attributes of that garment.
        wanted : collection of str
            Columns for which values were asked; these are not restricted here.
        """
        mask = np.ones(len(self.table), bool)
        kind = "sub_category" if "sub_category" in self.table else "category"
        if row is not None and not {"category", kind} & set(wanted):
            mask &= (self.table[kind] != self.table[kind].iloc[row]).to_numpy()
        people = known.get("gender", UNISEX)
        if people != UNISEX and "gender" not in wanted:
            mask &= self.table["gender"].isin([people, UNISEX, ""]).to_numpy()
        return mask

    def from_picture(self, image: Image.Image) -> dict[str, str]:
        """The attributes that a picture shows: its colour, by a name that the catalogue uses.

        Empty if the catalogue has no colours.
        """
        if "colour" not in self.columns:
            return {}
        image = image.convert("RGB")
        image.thumbnail((LARGEST, LARGEST))
        pixels, larger = np.asarray(image), -(-SMALLEST // min(image.size))
        pixels = pixels.repeat(larger, 0).repeat(larger, 1)
        mask = foreground(pixels[None])[0]
        rgb, share = dominant_colour(pixels, mask if mask.any() else None)
        used = [
            value
            for value in self.numbers("colour")[1]
            if COLOURS.get(value) and value not in METALS
        ]
        (name,), (score,) = name_colours(rgb[None], used if len(used) > 1 else None)
        logger.info(
            "The picture's colour is %s (%.2f sure), so is %.0f %% of the garment.",
            name,
            score,
            100 * share,
        )
        return {"colour": name}


def _hint(wanted: object, known: Sequence[str]) -> str:
    """The end of a message: similar names, and what there is."""
    plain = {name.casefold(): name for name in known}
    close = [
        plain[match] for match in difflib.get_close_matches(str(wanted).casefold(), plain, 3, 0.6)
    ]
    more = f" and {len(known) - MOST_LISTED} more" if len(known) > MOST_LISTED else ""
    there = f"There is: {', '.join(known[:MOST_LISTED]) or 'none'}{more}."
    return f"; did you mean {' or '.join(close)}? {there}" if close else f". {there}"
