"""Attributes as numbers: a list of known values for each column, and an encoder that holds one list per column.

Models look up attributes by number. Number 0 is always "unknown": an empty value, or one that the lists do not have.
So a garment with gaps in its description, or a new colour, is no error. `fashionnb.models.fusion` reads these numbers.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from fashionnb.errors import DataError, DataNotFound
from fashionnb.files import write_text

UNKNOWN = 0
"""The number of whatever is not known."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str = Field(min_length=1, description="of the table that it reads")

    @property
    def size(self) -> int:
        """How many numbers there are, the unknown included."""
        return len(self.names) + 1

    def decode(self, numbers: Sequence[int] | np.ndarray) -> list[str]:
        """The name behind each number; "" for 0. Raises `DataError` for a number that there is not."""
        numbers = np.asarray(numbers)
        if len(strange := numbers[(numbers < 0) | (numbers >= self.size)]):
            raise DataError(
                f"{self.column}: numbers go from 0 to {self.size - 1}, got {strange[0]}."
            )
        return np.array(["", *self.names], dtype=object)[numbers].tolist()


class Vocabulary(_Strict):
    """The known values of one column; value i has the number i + 1. Introduced in chapter 07."""

    kind: Literal["words"] = "words"
    values: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> "Vocabulary":
        if twice := [value for value in set(self.values) if self.values.count(value) > 1]:
            raise ValueError(f"the value {min(twice)!r} stands twice")
        return self

    @classmethod
    def fit(cls, column: pd.Series, least: int = 1) -> "Vocabulary":
        """Learn the values that occur `least` times or more, sorted; "" and missing ones do not count.

        Raises
        ------
        DataError : no value occurs so often.
        """
        counts = _text(column)[lambda text: text != ""].value_counts()
        values = tuple(sorted(counts.index[counts >= least]))
        if not values:
            raise DataError(
                f"{column.name}: no value occurs {least} times, so there is nothing to learn from it."
            )
        return cls(column=str(column.name), values=values)

    @property
    def names(self) -> tuple[str, ...]:
        """What the numbers from 1 on are called: the values themselves."""
        return self.values

    def encode(self, column: pd.Series | Sequence[str]) -> np.ndarray:
        """The number of each value, (n,) int64; 0 for "", for a missing value, and for one that is not in the list."""
        return pd.Index(self.values).get_indexer(_text(column)).astype(np.int64) + 1


class Bands(_Strict):
    """A column of numbers, such as a price, cut into bands that hold about equally many items. Chapter 07.

    edges : ascending. A number on an edge belongs to the band above it.
    """

    kind: Literal["bands"] = "bands"
    edges: tuple[FiniteFloat, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ascending(self) -> "Bands":
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError("the edges must ascend")
        return self

    @classmethod
    def fit(cls, column: pd.Series, bands: int = 4) -> "Bands":
        """Learn edges between quantiles. Where many items share a number, bands fall together and there are fewer.

        Raises
        ------
        DataError : fewer than two bands were asked for, or all numbers are the same, or there are none.
        """
        numbers = _numbers(column)
        numbers = numbers[np.isfinite(numbers)]
        if bands < 2 or not len(numbers) or numbers.min() == numbers.max():
            raise DataError(
                f"{column.name}: bands are 2 or more, of two or more different numbers; got {bands} bands."
            )
        # Edges that are numbers of the column, and not the smallest: so no band is empty.
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, bands + 1)[1:-1], method="higher"))
        edges = edges[edges > numbers.min()]
        if not len(edges):
            edges = numbers[numbers > numbers.min()].min(keepdims=True)
        return cls(column=str(column.name), edges=tuple(edges.tolist()))

    @property
    def names(self) -> tuple[str, ...]:
        """What the numbers from 1 on are called, such as "below 20", "20 to 50", "50 or more"."""
        edges = [f"{edge:g}" for edge in self.edges]
        between = [f"{low} to {high}" for low, high in pairwise(edges)]
        return (f"below {edges[0]}", *between, f"{edges[-1]} or more")

    def encode(self, column: pd.Series | Sequence[float]) -> np.ndarray:
        """The number of each item's band, (n,) int64; 0 for what is not a number."""
        numbers = _numbers(column)
        return np.where(
            np.isfinite(numbers), np.searchsorted(self.edges, numbers, side="right") + 1, UNKNOWN
        )


class AttributeEncoder(BaseModel):
    """Several columns of a catalogue as numbers. Introduced in chapter 07. Made by `fit`, or read by `load`.

    parts : one `Vocabulary` or `Bands` for each column.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    parts: tuple[Annotated[Vocabulary | Bands, Field(discriminator="kind")], ...] = Field(
        min_length=1
    )

    @model_validator(mode="after")
    def _each_column_once(self) -> "AttributeEncoder":
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"a column stands twice: {', '.join(self.columns)}")
        return self

    @classmethod
    def fit(
        cls,
        table: pd.DataFrame,
        columns: Sequence[str],
        *,
        bands: Mapping[str, int] | None = None,
        least: int = 1,
    ) -> "AttributeEncoder":
        """Learn the values of some columns from a catalogue's table. Use its training items only.

        A further column is one more name: `fit(train.table, [*columns, "brand"], bands={"price": 5})`.

        Parameters
        ----------
        table : one row per item, an unknown value is "".
        columns : of words.
        bands : column of numbers -> how many bands.
        least : how often a word must occur; rarer ones are unknown.

        Raises
        ------
        DataError : the table lacks a column, or one holds nothing to learn from.
        """
        bands = bands or {}
        if missing := [column for column in (*columns, *bands) if column not in table]:
            raise DataError(
                f"The table lacks the column(s) {', '.join(missing)}; it has {', '.join(table)}."
            )
        words = [Vocabulary.fit(table[column], least) for column in columns]
        return cls(
            parts=(*words, *(Bands.fit(table[column], count) for column, count in bands.items()))
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns, in the order of the numbers that `encode` gives."""
        return tuple(part.column for part in self.parts)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many numbers each column has, the unknown included."""
        return tuple(part.size for part in self.parts)

    def encode(self, table: pd.DataFrame) -> np.ndarray:
        """The attributes of each row, (n, columns) int64. A column that the table lacks is unknown throughout."""
        blank = np.zeros(len(table), dtype=np.int64)
        known = [
            part.encode(table[part.column]) if part.column in table else blank
            for part in self.parts
        ]
        return np.stack(known, axis=1)

    def decode(self, numbers: np.ndarray) -> pd.DataFrame:
        """The table behind such numbers (n, columns); "" where 0. Raises `DataError` for numbers that do not fit."""
        numbers = np.asarray(numbers)
        if numbers.ndim != 2 or numbers.shape[1] != len(self.parts):
            raise DataError(
                f"Expected numbers (n, {len(self.parts)}) for {', '.join(self.columns)}; got {numbers.shape}."
            )
        return pd.DataFrame(
            {part.column: part.decode(numbers[:, i]) for i, part in enumerate(self.parts)}
        )

    def save(self, path: Path | str) -> None:
        """Write it as JSON. Raises `WriteError`."""
        write_text(path, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def load(cls, path: Path | str) -> "AttributeEncoder":
        """Read what `save` wrote.

        Raises
        ------
        DataNotFound : there is no such file.
        DataError : it is not JSON, or not of this format; the message names the file and the field.
        """
        path = Path(path)
        if not path.is_file():
            raise DataNotFound(
                f"{path}: there is no such file. `AttributeEncoder.save` writes one."
            )
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "the whole"
            problem = first["msg"].removeprefix("Value error, ")
            raise DataError(
                f"{path}: {field}: {problem}. Fit the encoder again, and save it."
            ) from error


def _text(column: pd.Series | Sequence[str]) -> pd.Series:
    return pd.Series(column, dtype=object).fillna("").astype(str)


def _numbers(column: pd.Series | Sequence[float]) -> np.ndarray:
    """As floats; NaN for what is not a number."""
    return pd.to_numeric(pd.Series(column), errors="coerce").to_numpy(float, na_value=math.nan)
