"""Recorded numbers in sentences, conditions and tables.

For tables and for the claims of a chapter: what one method reached, how far it lies above another,
which of several is best. Rows come from `fashionnb.notebook.results`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from fashionnb.notebook.results_format import Results, Row

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Group


def shown(rows: Iterable[Row], method: str, metric: str) -> str:
    """Format one number with its interval: "0.560 [0.551, 0.569]", or "not measured"."""
    row = _overall(rows, method, metric)
    return row.shown(3) if row else "not measured"


def value(rows: Iterable[Row], method: str, metric: str) -> float:
    """Look up one number, for the condition of a claim; NaN where it was not measured."""
    row = _overall(rows, method, metric)
    return row.value if row else math.nan


def lead(rows: Iterable[Row], method: str, other: str, metric: str) -> float:
    """Compute how far the interval of a method lies above that of another one.

    Parameters
    ----------
    rows : iterable of Row
        The recorded numbers.
    method, other : str
        The methods to compare.
    metric : str
        The metric to compare by.

    Returns
    -------
    float
        Negative where the intervals overlap, NaN where a method was not measured.
    """
    rows = list(rows)
    ours, theirs = _overall(rows, method, metric), _overall(rows, other, metric)
    return ours.interval.low - theirs.interval.high if ours and theirs else math.nan


def gap(rows: Iterable[Row], method: str, other: str, metric: str) -> float:
    """Compute how far the intervals of two methods lie apart, whichever is higher; see `lead`.

    For claims that neither method is clearly better.
    """
    rows = list(rows)
    return max(lead(rows, method, other, metric), lead(rows, other, method, metric))


def best(rows: Iterable[Row], methods: Sequence[str], metric: str) -> str:
    """Choose the method with the highest value; methods that were not measured come last."""
    rows = list(rows)
    found = {method: row.value for method in methods if (row := _overall(rows, method, metric))}
    return max(methods, key=lambda method: found.get(method, -math.inf))


def cells(rows: Iterable[Row], metric: str) -> dict[str, str]:
    """Format the numbers of a metric over all classes: method -> "0.56 [0.55, 0.57]"."""
    return {row.method: _cell(row) for row in rows if row.metric == metric and row.class_ is None}


def table(rows: Iterable[Row], metrics: Sequence[str] | None = None) -> "pd.DataFrame":
    """Make a table method × metric for display, with cells like "0.56 [0.55, 0.57]".

    Numbers of single classes are left out, and numbers that others report come last. Columns
    `role`, `data` and `split` appear where they tell rows apart.

    Parameters
    ----------
    rows : iterable of Row
        The recorded numbers.
    metrics : sequence of str, optional
        The columns, in their order; without them all.
    """
    import pandas as pd

    rows = [row for row in rows if row.class_ is None]
    columns = list(metrics or dict.fromkeys(row.metric for row in rows))
    rows = [row for row in rows if row.metric in columns]
    apart = [name for name in ("data", "split") if len({getattr(row, name) for row in rows}) > 1]
    lines: dict[tuple, dict[str, str]] = {}
    for row in rows:
        place = {name: getattr(row, name) for name in apart}
        start = {"method": row.method, "role": row.role or "", **place}
        line = lines.setdefault((row.method, *place.values()), start)
        line[row.metric] = _cell(row)
    for row in rows:
        if row.reference:
            start = {"method": row.reference.source, "role": "reported elsewhere"}
            line = lines.setdefault(("reported", row.reference.source), start)
            line[row.metric] = f"{row.reference.value:g}"
    role = ["role"] if any(line["role"] for line in lines.values()) else []
    frame = pd.DataFrame(lines.values(), columns=["method", *role, *apart, *columns])
    return frame.fillna("").set_index("method")


def terminal_tables(found: Mapping[str, Results]) -> "Group":
    """Make one table for each chapter, to be printed on a terminal by rich.

    Parameters
    ----------
    found : mapping of str to Results
        As `fashionnb.notebook.results.load_all` returns it.
    """
    from rich.console import Group
    from rich.table import Table

    tables = []
    for chapter, one in found.items():
        run = one.run
        made = f"{run.seconds:,.0f} s · {run.hardware} · {run.date:%Y-%m-%d}"
        title = f"{chapter} · {run.profile} · {made}"
        columns = ("method", "metric", "class", "value", "data", "split", "n")
        lines = Table(*columns, title=title, title_justify="left")
        for row in one.results:
            place = (row.data, row.split, f"{row.n:,}")
            lines.add_row(row.method, row.metric, row.class_ or "", _cell(row), *place)
        tables.append(lines)
    return Group(*tables)


def _overall(rows: Iterable[Row], method: str, metric: str) -> Row | None:
    """The number over all classes, on the test split if there is one."""
    found = [row for row in rows if (row.method, row.metric, row.class_) == (method, metric, None)]
    return min(found, key=lambda row: row.split != "test", default=None)


def _cell(row: Row) -> str:
    """ "0.56 [0.55, 0.57]", with as many decimals as the interval can tell apart (2 to 4)."""
    half = (row.interval.high - row.interval.low) / 2
    decimals = min(4, max(2, math.ceil(-math.log10(half)))) if half > 0 else 3
    return row.shown(decimals)
