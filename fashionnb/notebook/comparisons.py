"""Recorded numbers in sentences, conditions and tables.

For tables and for the claims of a chapter: what one method reached, how far it lies above another,
which of several is best, and how a short run compares with the committed full one. Rows come from
`fashionnb.notebook.results`.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from rich.console import Group

    from fashionnb.notebook.results import Recorder, Results, Row

NOT_MEASURED = "not measured"


def shown(rows: Collection["Row"], method: str, metric: str) -> str:
    """Format the result of a method with its interval, for a sentence that compares methods.

    Parameters
    ----------
    rows : collection of Row
        The recorded numbers.
    method, metric : str
        Which number.

    Returns
    -------
    str
        "0.560 [0.551, 0.569]", or "not measured".
    """
    row = _overall(rows, method, metric)
    return row.shown(3) if row else NOT_MEASURED


def value(rows: Collection["Row"], method: str, metric: str) -> float:
    """Look up the result of a method, for a comparison in the condition of a claim.

    Parameters
    ----------
    rows : collection of Row
        The recorded numbers.
    method, metric : str
        Which number.

    Returns
    -------
    float
        NaN where it was not measured.
    """
    row = _overall(rows, method, metric)
    return row.value if row else math.nan


def lead(rows: Collection["Row"], method: str, other: str, metric: str) -> float:
    """Compare two methods: how far the interval of the first lies above that of the other.

    Parameters
    ----------
    rows : collection of Row
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
    ours, theirs = _overall(rows, method, metric), _overall(rows, other, metric)
    return ours.interval.low - theirs.interval.high if ours and theirs else math.nan


def gap(rows: Collection["Row"], method: str, other: str, metric: str) -> float:
    """Compare two methods: how far their intervals lie apart, whichever is higher.

    For claims that neither method is clearly better; see `lead`.

    Parameters
    ----------
    rows : collection of Row
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
    return max(lead(rows, method, other, metric), lead(rows, other, method, metric))


def best(rows: Collection["Row"], methods: Sequence[str], metric: str) -> str:
    """Compare methods by a metric, and return the one with the highest value.

    Parameters
    ----------
    rows : collection of Row
        The recorded numbers.
    methods : sequence of str
        One or more methods; those that were not measured come last.
    metric : str
        The metric to compare by.

    Returns
    -------
    str
        One of `methods`; of equal ones the first.
    """
    found = {method: row.value for method in methods if (row := _overall(rows, method, metric))}
    return max(methods, key=lambda method: found.get(method, -math.inf))


def table(rows: Collection["Row"], metrics: Sequence[str] | None = None) -> pd.DataFrame:
    """Make a table that compares methods by several metrics, with cells like "0.56 [0.55, 0.57]".

    Numbers of single classes are left out, and numbers that others report come last. Columns
    `role`, `data` and `split` appear where they tell rows apart.

    Parameters
    ----------
    rows : collection of Row
        The recorded numbers.
    metrics : sequence of str, optional
        The columns, in their order; without them all.

    Returns
    -------
    DataFrame
        A row per method (the index), a column per metric.
    """
    rows = [row for row in rows if row.class_ is None]
    columns = list(metrics or dict.fromkeys(row.metric for row in rows))
    rows = [row for row in rows if row.metric in columns]
    apart = [name for name in ("data", "split") if len({getattr(row, name) for row in rows}) > 1]
    lines: dict[tuple, dict[str, str]] = {}
    for row in rows:
        place = {name: getattr(row, name) for name in apart}
        start = {"method": row.method, "role": row.role or "", **place}
        lines.setdefault((row.method, *place.values()), start)[row.metric] = _cell(row)
    for row in rows:
        if row.reference:
            start = {"method": row.reference.source, "role": "reported elsewhere"}
            key = ("reported", row.reference.source)
            lines.setdefault(key, start)[row.metric] = f"{row.reference.value:g}"
    frame = pd.DataFrame(lines.values(), columns=["method", "role", *apart, *columns])
    frame = frame.fillna("").set_index("method")
    return frame if any(frame["role"]) else frame.drop(columns="role")


def terminal_tables(found: Mapping[str, "Results"]) -> "Group":
    """Make tables that list and compare what each chapter recorded, to be printed on a terminal.

    Parameters
    ----------
    found : mapping of str to Results
        As `fashionnb.notebook.results.load_all` returns it.

    Returns
    -------
    Group
        For rich: one table for each chapter.
    """
    from rich.console import Group
    from rich.table import Table

    tables = []
    for chapter, one in found.items():
        run = one.run
        made = f"{run.seconds:,.0f} s · {run.hardware} · {run.date:%Y-%m-%d}"
        columns = ("method", "metric", "class", "value", "data", "split", "n")
        lines = Table(*columns, title=f"{chapter} · {run.profile} · {made}", title_justify="left")
        for column in lines.columns:
            column.overflow = "fold"  # what is cut cannot be read, nor copied
        for row in one.results:
            place = (row.data, row.split, f"{row.n:,}")
            lines.add_row(row.method, row.metric, row.class_ or "", _cell(row), *place)
        tables.append(lines)
    return Group(*tables)


def training_note(full: "Results | None", profile: str, here: str, there: str) -> str:
    """Write the note that compares how long networks are trained in this run and in the full one.

    Parameters
    ----------
    full : Results or None
        As `fashionnb.notebook.results.full_run` returns it.
    profile : str
        The profile of this run.
    here, there : str
        How long the networks are trained in this run and in the full one, such as "6 passes of
        100 steps".

    Returns
    -------
    str
        Markdown, which also says from which of the two runs conclusions are drawn.
    """
    if profile == "full":
        return f"This is the full run: {there}."
    begin = (
        "**The networks of this run have not converged.** "
        f"In profile `{profile}` they are trained for {here}"
    )
    if full is None:
        return (
            f"{begin}; in `full`, for {there}. No full run on these data came with this copy, "
            "so this page cannot compare methods."
        )
    run = full.run
    precision = "bfloat16" if run.precision == "bf16" else "float32"
    seeds = ", ".join(map(str, run.seeds))
    data = ", ".join(dict.fromkeys(row.data for row in full.results))
    made = (
        f"{run.date:%Y-%m-%d}, {run.seconds:,.0f} seconds on {run.hardware}, {precision}, "
        f"seeds {seeds}; data: {data}"
    )
    return (
        f"{begin}. The full run, whose results came with the book, trains them for {there} "
        f"({made}). The table shows both. Conclusions about methods are drawn from the full run "
        "alone."
    )


def conclusive_rows(
    record: "Recorder", full: "Results | None", needed: Sequence[str] = ()
) -> tuple[Sequence["Row"], str]:
    """Choose the results by which a page compares methods: those of the full run, or of this one.

    Parameters
    ----------
    record : Recorder
        Of this run.
    full : Results or None
        As `fashionnb.notebook.results.full_run` returns it.
    needed : sequence of str
        The methods that the conclusion is about.

    Returns
    -------
    rows : sequence of Row
        Those of the full run, if it measured all needed methods; else those of this run.
    where : str
        "in the full run" or "in this run".
    """
    if full and set(needed) <= {row.method for row in full.results}:
        return full.results, "in the full run"
    return record.results().results, "in this run"


def side_by_side(
    record: "Recorder",
    full: "Results | None",
    metrics: Sequence[str],
    methods: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Make a table that compares this run with the full run: a row per method.

    Numbers of single classes are left out.

    Parameters
    ----------
    record : Recorder
        Of this run.
    full : Results or None
        As `fashionnb.notebook.results.full_run` returns it; None leaves its columns out.
    metrics : sequence of str
        The columns.
    methods : sequence of str, optional
        The rows, in their order; without them all.

    Returns
    -------
    DataFrame
        Cells like "0.56 [0.55, 0.57]", and "" where a run has no number.
    """
    runs = {"this run": record.results().results}
    if full:
        runs["full run"] = full.results
    columns = {
        f"{metric}, {name}": _cells(rows, metric)
        for metric in metrics
        for name, rows in runs.items()
    }
    frame = pd.DataFrame(columns, dtype=object).rename_axis("method").fillna("")
    return frame if methods is None else frame.reindex(methods, fill_value="")


def _overall(rows: Collection["Row"], method: str, metric: str) -> "Row | None":
    """The number over all classes, on the test split if there is one."""
    found = [row for row in rows if (row.method, row.metric, row.class_) == (method, metric, None)]
    return min(found, key=lambda row: row.split != "test", default=None)


def _cells(rows: Collection["Row"], metric: str) -> dict[str, str]:
    """The numbers of a metric over all classes: method -> "0.56 [0.55, 0.57]"."""
    return {row.method: _cell(row) for row in rows if row.metric == metric and row.class_ is None}


def _cell(row: "Row") -> str:
    """ "0.56 [0.55, 0.57]", with as many decimals as the interval can tell apart (2 to 4)."""
    half = (row.interval.high - row.interval.low) / 2
    decimals = min(4, max(2, math.ceil(-math.log10(half)))) if half > 0 else 3
    return row.shown(decimals)
