"""The attributes of a catalogue's items: to select and compare items by, and to give reasons with.

A recommender asks which items have the attributes that are wanted, and which agree with one item;
an unknown value ("") does neither. `table_with_reasons` describes what it chose: which attributes
agree, how the colours harmonize, and how similar the pictures are.
`fashionnb.data.attribute_encoder` encodes attributes for models instead.
"""

import difflib
import logging
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image

from fashionnb.data import colour, foreground
from fashionnb.data.catalogue import Catalogue
from fashionnb.data.images import as_text
from fashionnb.errors import DataError

ATTRIBUTES = ("category", "colour", "pattern", "season", "gender", "usage")
"""Attributes by which two garments are compared; a catalogue has some of them."""

UNISEX = "Unisex"
UNIQUE = ("id", "image", "name")  # columns in which every item has its own value
SYNONYMS = {"autumn": "fall", "fall": "autumn"}
MOST_LISTED = 12  # values in a message
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
        if not self.has(item):
            raise DataError(
                f"{self.name} has no item {item!r}{_hint(item, [*self._rows])} "
                "(A picture is given by its path.)"
            )
        return self._rows.get(item, self._rows.get(_one_form(item)))

    def has(self, item: str) -> bool:
        """Is there an item of this id, in any of the ways to write its letters?"""
        return item in self._rows or _one_form(item) in self._rows

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
            numbers, values = pd.factorize(self.table[column].replace("", None))
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
        known = {_one_form(value).casefold(): value for value in values}
        plain = _one_form(str(wanted)).strip().casefold()
        if plain not in known and column == "season":
            plain = SYNONYMS.get(plain, plain)
        if plain not in known and column == "colour":
            with suppress(DataError):
                plain = colour.canonical(plain).casefold()
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
        rgb, share = colour.dominant_colour(*foreground.garment(image))
        used = [
            value
            for value in self.numbers("colour")[1]
            if colour.COLOURS.get(value) and value not in colour.METALS
        ]
        (name,), (score,) = colour.name_colours(rgb[None], used if len(used) > 1 else None)
        logger.info(
            "The picture's colour is %s (%.2f sure), so is %.0f %% of the garment.",
            name,
            score,
            100 * share,
        )
        return {"colour": name}


@dataclass(frozen=True, eq=False)
class Query:
    """Item or picture asked for, with what reasons are made of: similarities and attributes.

    If only attributes were asked for, the similarities are NaN, and there are no values.

    Parameters
    ----------
    similarity : ndarray of shape (n,), float32
        Cosine similarity of its picture to that of each item, -1 to 1.
    values : dict of str to str
        Its known attributes: column -> value.
    row : int or None
        Its row in the catalogue; None if it is not one of the items.
    """

    similarity: np.ndarray
    values: dict[str, str]
    row: int | None


def table_with_reasons(
    catalogue: Catalogue,
    columns: Sequence[str],
    rows: np.ndarray,
    score: np.ndarray,
    query: Query,
    asked: Sequence[str] = (),
    by_colour: bool = False,
) -> pd.DataFrame:
    """Make the table of recommended items with the reasons for each, as numbers and in words.

    Parameters
    ----------
    catalogue : Catalogue
        Of n items.
    columns : sequence of str
        The attributes that the catalogue has.
    rows : ndarray of shape (k,), int64
        The recommended items, the best first.
    score : ndarray of shape (k,), float
        Of these items.
    query : Query
        What the items are compared with.
    asked : sequence of str
        Columns for which values were asked.
    by_colour : bool
        The harmony of the colours is the first reason.

    Returns
    -------
    DataFrame
        One row per item, with the columns of `fashionnb.search.recommend.Recommender`.
    """
    own = query.values
    table = catalogue.table[["id", *columns]].iloc[rows].reset_index(drop=True)
    garments = table[[*columns]].to_dict("records")
    wanted: list[dict[str, str]] = [{} for _ in rows]
    if asked:  # of a table without columns, pandas 2 gives no records
        wanted = catalogue.table[[*asked]].iloc[rows].to_dict("records")
    table.insert(0, "rank", np.arange(1, len(rows) + 1))
    similarity = query.similarity[rows].astype(np.float64).clip(-1, 1)
    table = table.assign(score=np.asarray(score, np.float64), similarity=similarity)
    said = []
    for garment, values, alike in zip(garments, wanted, similarity, strict=True):
        both = [name for name in columns if garment[name] and name in own]
        agree = tuple(name for name in both if garment[name] == own[name])
        colours = harmony(own.get("colour", ""), garment.get("colour", ""))
        kind = "" if colours.kind == "unknown" else colours.kind
        sentences = list(_sentences(garment, values, agree, len(both), alike))
        if by_colour:
            pair = f"{garment['colour']} with {own['colour']}"
            sentences.insert(0, f"{pair} is {colours.kind}: {colours.reason}")
        said.append((agree, len(both), kind, "; ".join(sentences)))
    added = pd.DataFrame(said, columns=["agree", "known", "harmony", "reasons"], dtype=object)
    return table.join(added.astype({"known": np.int64}))


def harmony(a: str, b: str) -> colour.Harmony:
    """Rate how well two colours go together, as a reason for a recommendation.

    This is `fashionnb.data.colour.harmony`, where a colour that has no reference is unknown.

    Parameters
    ----------
    a, b : str
        Names of colours in any spelling; "" if unknown.

    Returns
    -------
    fashionnb.data.colour.Harmony
        Of the kind "unknown" if either colour is.
    """
    return colour.harmony(_with_reference(a), _with_reference(b))


def _sentences(
    garment: dict[str, str],
    wanted: dict[str, str],
    agree: tuple[str, ...],
    known: int,
    similarity: float,
) -> Iterator[str]:
    if wanted:
        yield "as asked: " + ", ".join(f"{name} {value}" for name, value in wanted.items())
    if known:
        same = ", ".join(f"{name} {garment[name]}" for name in agree) or "nothing"
        yield f"the same: {same} ({len(agree)} of {known} known attributes)"
    if not np.isnan(similarity):
        yield f"picture similarity {similarity:.2f}"


def _one_form(text: str) -> str:
    """The text with letters such as é as one character, not as e and an accent."""
    return unicodedata.normalize("NFC", as_text(text))


def _with_reference(name: str) -> str:
    try:
        return name and colour.canonical(name)
    except DataError:
        return ""


def _hint(wanted: object, known: Sequence[str]) -> str:
    """The end of a message: similar names, and what there is."""
    plain = {name.casefold(): name for name in known}
    close = [
        plain[match] for match in difflib.get_close_matches(str(wanted).casefold(), plain, 3, 0.6)
    ]
    more = f" and {len(known) - MOST_LISTED} more" if len(known) > MOST_LISTED else ""
    there = f"There is: {', '.join(known[:MOST_LISTED]) or 'none'}{more}."
    return f"; did you mean {' or '.join(close)}? {there}" if close else f". {there}"
