"""Parse CSV and JSON files with checks, and say in one message what is wrong with a dataset.

The readers share these; `fashionnb.data.images` finds and reads the files themselves.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from fashionnb.errors import DataError

MOST_LISTED = 10
"""Problems that a message lists."""


def parse_table(
    data: bytes,
    columns: Mapping[str, str],
    where: str,
    advice: str,
    *,
    commas_in_last: bool = False,
) -> pd.DataFrame:
    """Parse and check a CSV file of a dataset: all text, stripped, an unknown value empty.

    Parameters
    ----------
    data : bytes
        Of the file, in UTF-8.
    columns : mapping of str to str
        The columns to keep -> what they are called in the result, in this order.
    where : str
        Names the file in messages.
    advice : str
        What to do if it is broken.
    commas_in_last : bool
        The last column has any further commas of its line, which are not quoted.

    Returns
    -------
    DataFrame
        The columns that were asked for, one row per line of the file, index 0 to n - 1.

    Raises
    ------
    DataError
        If it is not UTF-8 or not CSV, a column is missing, a row has too few or too many fields, or
        a quotation mark is not closed.
    """
    try:
        rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        header = [column.strip() for column in next(rows, [])]
        if missing := [column for column in columns if column not in header]:
            raise DataError(
                f"{where}: the table lacks the column(s) {', '.join(missing)}; "
                f"it has {', '.join(header) or 'none'}. {advice}"
            )
        last = len(header) - 1
        lines = []
        for row in filter(None, rows):  # without empty lines
            if commas_in_last and len(row) > last:
                row[last:] = [",".join(row[last:])]
            if len(row) != len(header):
                raise DataError(
                    f"{where}, line {rows.line_num}: {len(row)} fields, "
                    f"expected {len(header)}. {advice}"
                )
            if any("\n" in field for field in row):
                raise DataError(
                    f"{where}: a quotation mark before line {rows.line_num} is opened and not "
                    f"closed. {advice}"
                )
            lines.append(row)
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 text (byte {error.start}). {advice}") from error
    except csv.Error as error:
        raise DataError(f"{where}, line {rows.line_num}: not CSV ({error}). {advice}") from error
    table = pd.DataFrame(lines, columns=header, dtype=str)[list(columns)].rename(columns=columns)
    return table.apply(lambda column: column.str.strip())


def parse_json(
    data: bytes,
    kind: Any,
    where: str,
    problem: str,
    advice: str,
    object_hook: Callable[[dict], dict] | None = None,
) -> Any:
    """Parse and check a JSON file of a dataset, whose values must have a given type.

    Parameters
    ----------
    data : bytes
        Of the file.
    kind : type
        As pydantic takes it, such as `dict[str, str]`; a number is no text, nor the other way.
    where : str
        Names the file in messages.
    problem : str
        What is wrong if it has another type, such as "expected a list of names".
    advice : str
        What to do then.
    object_hook : callable, optional
        Replaces each object as soon as it is parsed.

    Returns
    -------
    object
        The content, an instance of `kind`.

    Raises
    ------
    DataError
        If it is not JSON, or has another type; with the first place that is wrong.
    """
    try:
        return TypeAdapter(kind).validate_python(
            json.loads(data, object_hook=object_hook), strict=True
        )
    except ValidationError as error:
        raise DataError(f"{where}: {problem} ({first_error(error)}). {advice}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{where}: {problem} (not JSON, or cut short: {error!s:.80}). {advice}"
        ) from error


def first_error(error: ValidationError) -> str:
    """Describe the first error in a checked file, as in "edges: Input should be a list, got 3".

    Parameters
    ----------
    error : pydantic.ValidationError
        What pydantic raised for the content of the file.

    Returns
    -------
    str
        The place that is wrong, and why.
    """
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"][:9])) or "the whole"
    got = "" if first["type"] == "missing" else f", got {first['input']!r:.60}"
    return f"{place}: {first['msg'].removeprefix('Value error, ')}{got}"


def refuse_problems(problems: Sequence[object], summary: str, salvage: str) -> None:
    """Refuse checked files of a dataset that have problems: raise `DataError` and list them.

    Parameters
    ----------
    problems : sequence
        Each with a text of one line; the first ten are listed.
    summary : str
        The first line of the message.
    salvage : str
        The function that reads the rest.
    """
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems[:MOST_LISTED])
        rest = len(problems) - MOST_LISTED
        more = f"\n  … and {rest} more" if rest > 0 else ""
        raise DataError(
            f"{summary}\n{listed}{more}\nCorrect them, or take the good ones with `{salvage}`."
        )


def check_counts(
    path: Path | str, found: Mapping[str, int], published: Mapping[str, int], advice: str
) -> None:
    """Check that the files of a dataset hold as many things as were published.

    Parameters
    ----------
    path : path
        Of the dataset.
    found, published : mapping of str to int
        What is counted -> how much of it.
    advice : str
        What to do about a count that differs.
    """
    for what, expected in published.items():
        if found[what] != expected:
            raise DataError(
                f"{path}: expected {expected:,} {what}, found {found[what]:,}. "
                f"It is not complete. {advice}"
            )
