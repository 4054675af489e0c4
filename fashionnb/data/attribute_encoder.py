"""Encode attributes of a catalogue's table (colour, pattern, price, ...) as integers for a model.

Number 0 is always "unknown": an empty value, or one that was not in the table when the encoder was
fitted. So a garment with gaps in its description, or a new colour, is no error.
`fashionnb.models.fusion` takes these numbers.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from fashionnb.data.checked_files import first_error
from fashionnb.errors import DataError, DataNotFound
from fashionnb.files import write_text


class _ColumnEncoder(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str = Field(min_length=1, description="of the table that it reads")

    @property
    def size(self) -> int:
        """How many numbers there are, with the one for unknown."""
        return len(self.names) + 1

    def decode(self, numbers: Sequence[int] | np.ndarray) -> list[str]:
        """Return the name of each number; "" for 0. Raises `DataError` for an invalid number."""
        numbers = np.asarray(numbers)
        if len(strange := numbers[(numbers < 0) | (numbers >= self.size)]):
            raise DataError(
                f"{self.column}: numbers go from 0 to {self.size - 1}, got {strange[0]}."
            )
        return np.array(["", *self.names], dtype=object)[numbers].tolist()


class Vocabulary(_ColumnEncoder):
    """Encode one attribute in words, such as a colour: value i of the list has the number i + 1.

    Parameters
    ----------
    column : str
        The column of the table that it reads.
    kind : {"words"}
        Tells the two kinds of encoder apart in a file.
    values : tuple of str
        The known values, each once.
    """

    kind: Literal["words"] = "words"
    values: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> "Vocabulary":
        if twice := [value for value in set(self.values) if self.values.count(value) > 1]:
            raise ValueError(f"the value {min(twice)!r} stands twice")
        return self

    @classmethod
    def fit(cls, column: pd.Series) -> "Vocabulary":
        """List the values, sorted; "" and missing do not count.

        Raises
        ------
        DataError
            If there is no value.
        """
        values = sorted(set(_text(column)) - {""})
        if not values:
            raise DataError(f"{column.name}: it has no value, so there is nothing to encode.")
        return cls(column=str(column.name), values=tuple(values))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the numbers from 1 on: the values themselves."""
        return self.values

    def encode(self, column: pd.Series | Sequence[str]) -> np.ndarray:
        """Return the number of each value, int64 of shape (n,); 0 if missing or not in the list."""
        return pd.Index(self.values).get_indexer(_text(column)).astype(np.int64) + 1


class Bands(_ColumnEncoder):
    """Encode one attribute in numbers, such as a price, by bands with about equally many items.

    Parameters
    ----------
    column : str
        The column of the table that it reads.
    kind : {"bands"}
        Tells the two kinds of encoder apart in a file.
    edges : tuple of float
        Ascending. A number on an edge belongs to the band above it.
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
        """Take quantiles as edges. Where many items share a number, there are fewer bands.

        Raises
        ------
        DataError
            If fewer than two bands are wanted, or all numbers are the same, or there are none.
        """
        numbers = _numbers(column)
        numbers = numbers[np.isfinite(numbers)]
        if bands < 2 or not len(numbers) or numbers.min() == numbers.max():
            raise DataError(
                f"{column.name}: bands are 2 or more, of two or more different numbers; "
                f"got {bands} bands."
            )
        # Edges are numbers of the column other than the smallest, so no band is empty.
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, bands + 1)[1:-1], method="higher"))
        edges = edges[edges > numbers.min()]
        if not len(edges):
            edges = numbers[numbers > numbers.min()].min(keepdims=True)
        return cls(column=str(column.name), edges=tuple(edges.tolist()))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the numbers from 1 on, such as "below 20", "20 to 50", "50 or more"."""
        edges = [f"{edge:g}" for edge in self.edges]
        between = [f"{low} to {high}" for low, high in pairwise(edges)]
        return (f"below {edges[0]}", *between, f"{edges[-1]} or more")

    def encode(self, column: pd.Series | Sequence[float]) -> np.ndarray:
        """Return the number of each item's band, int64 of shape (n,); 0 for what is no number."""
        numbers = _numbers(column)
        return np.where(
            np.isfinite(numbers), np.searchsorted(self.edges, numbers, side="right") + 1, 0
        )


class AttributeEncoder(BaseModel):
    """Encode several attributes of a catalogue's items as integers for a model.

    Parameters
    ----------
    parts : tuple of Vocabulary or Bands
        One for each column.
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
    ) -> "AttributeEncoder":
        """Fit an encoder to some columns of a catalogue's table. Use its training items only.

        Parameters
        ----------
        table : DataFrame
            One row per item; an unknown value is "".
        columns : sequence of str
            Columns of words.
        bands : mapping of str to int, optional
            Column of numbers -> how many bands.

        Raises
        ------
        DataError
            If the table lacks a column, or a column has no values.
        """
        bands = bands or {}
        if missing := [column for column in (*columns, *bands) if column not in table]:
            raise DataError(
                f"The table lacks the column(s) {', '.join(missing)}; it has {', '.join(table)}."
            )
        words = [Vocabulary.fit(table[column]) for column in columns]
        return cls(
            parts=(*words, *(Bands.fit(table[column], count) for column, count in bands.items()))
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns, in the order of the numbers that `encode` gives."""
        return tuple(part.column for part in self.parts)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many numbers each column has, with the one for unknown."""
        return tuple(part.size for part in self.parts)

    def encode(self, table: pd.DataFrame) -> np.ndarray:
        """Return the numbers of each row, int64 of shape (n, columns).

        A column that the table lacks is unknown throughout.
        """
        known = table.reindex(columns=list(self.columns), fill_value="")
        return np.stack([part.encode(known[part.column]) for part in self.parts], axis=1)

    def save(self, path: Path | str) -> None:
        """Write it as JSON. Raises `WriteError`."""
        write_text(path, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def load(cls, path: Path | str) -> "AttributeEncoder":
        """Read what `save` wrote.

        Raises
        ------
        DataNotFound
            If there is no such file.
        DataError
            If it is not JSON or not of this format; the message names the file and the field.
        """
        path = Path(path)
        if not path.is_file():
            raise DataNotFound(
                f"{path}: there is no such file. `AttributeEncoder.save` writes one."
            )
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise DataError(
                f"{path}: {first_error(error)}. Fit the encoder again, and save it."
            ) from error


def _text(column: pd.Series | Sequence[str]) -> pd.Series:
    return pd.Series(column, dtype=object).fillna("").astype(str)


def _numbers(column: pd.Series | Sequence[float]) -> np.ndarray:
    """As floats; NaN for what is not a number."""
    return pd.to_numeric(pd.Series(column), errors="coerce").to_numpy(float, na_value=math.nan)
