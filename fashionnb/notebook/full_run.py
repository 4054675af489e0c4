"""Committed results of the `full` profile, for chapters whose networks need hours of training.

In the other profiles such a chapter trains for minutes, which is not enough. Its page says so,
shows the committed results of the full run next to its own, and draws its conclusions from those.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import fashionnb
from fashionnb.notebook.comparisons import cells
from fashionnb.notebook.results import Recorder, load
from fashionnb.notebook.results_format import Results, Row

if TYPE_CHECKING:
    import pandas as pd


def full_run(chapter: str, profile: str = "") -> Results | None:
    """Load the committed results of the full run of a chapter.

    In a checkout they are in `book/results/full`; an installed package contains a copy.

    Parameters
    ----------
    chapter : str
        The file name of the chapter without its ending.
    profile : str
        The profile of this run, if it is a run of that chapter. In "full" there is nothing to
        compare with: this is the full run, and an older one must not decide what its page says.

    Returns
    -------
    Results or None
        None if there are none, or in the full run itself.

    Raises
    ------
    ResultError
        If the file cannot be read, or breaks the format.
    """
    if profile == "full":
        return None
    package = Path(fashionnb.__file__).parent
    # pyproject.toml copies the first folder to the second.
    for folder in (package.parent / "book" / "results", package / "published_results"):
        if (folder / "full" / f"{chapter}.json").exists():
            return load(chapter, "full", folder)
    return None


def training_note(full: Results | None, profile: str, here: str, there: str) -> str:
    """Write the note above the results: how long the networks were trained, and what counts.

    Parameters
    ----------
    full : Results or None
        As `full_run` returns it.
    profile : str
        The profile of this run.
    here, there : str
        How long the networks are trained in this run and in the full one, such as "6 passes of
        100 steps".

    Returns
    -------
    str
        Markdown.
    """
    if profile == "full":
        return f"This is the full run: {there}."
    begin = (
        "**The networks of this run have not converged.** "
        f"In profile `{profile}` they are trained for {here}"
    )
    if full is None:
        return (
            f"{begin}; in `full`, for {there}. No full run came with this copy, "
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
    record: Recorder, full: Results | None, needed: Sequence[str] = ()
) -> tuple[Sequence[Row], str]:
    """Choose the results that a page draws its conclusions from.

    Parameters
    ----------
    record : Recorder
        Of this run.
    full : Results or None
        As `full_run` returns it.
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
    record: Recorder,
    full: Results | None,
    metrics: Sequence[str],
    methods: Sequence[str] | None = None,
) -> "pd.DataFrame":
    """Make a table method × metric of this run and, next to it, of the full run.

    Numbers of single classes are left out.

    Parameters
    ----------
    record : Recorder
        Of this run.
    full : Results or None
        As `full_run` returns it; None leaves its columns out.
    metrics : sequence of str
        The columns.
    methods : sequence of str, optional
        The rows, in their order; without them all.

    Returns
    -------
    DataFrame
        Cells like "0.56 [0.55, 0.57]", and "" where a run has no number.
    """
    import pandas as pd

    runs = {"this run": record.results().results}
    if full:
        runs["full run"] = full.results
    columns = {
        f"{metric}, {name}": cells(rows, metric)
        for metric in metrics
        for name, rows in runs.items()
    }
    frame = pd.DataFrame(columns, dtype=object).rename_axis("method").fillna("")
    return frame if methods is None else frame.reindex(methods, fill_value="")
