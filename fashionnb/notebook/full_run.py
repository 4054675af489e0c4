"""What a chapter shows whose networks only the `full` profile trains until they have converged.

In the `quick` and `cpu` profiles a chapter trains for minutes. Where that is not enough, its page says so, shows the
committed results of the full run next to its own, and draws its conclusions from those.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import fashionnb
from fashionnb.notebook.results import Recorder, load, rows_by_method
from fashionnb.notebook.results_format import Results, Row

if TYPE_CHECKING:
    import pandas as pd


def full_run(chapter: str, profile: str = "") -> Results | None:
    """The committed results of the full run of a chapter; None if there are none.

    In a checkout they lie in ``book/results/full``; an installed package brings them along.

    Parameters
    ----------
    profile : that of this run, if `chapter` is the one that is running. In `full` there is nothing to compare with:
        this run is the full run, and an older one must not decide what it says. Then the answer is None.

    Raises
    ------
    ResultError : the file cannot be read, or breaks the format.
    """
    if profile == "full":
        return None
    package = Path(fashionnb.__file__).parent
    homes = (
        package.parent / "book" / "results",
        package / "published_results",
    )  # pyproject.toml copies one to the other
    home = next((home for home in homes if (home / "full" / f"{chapter}.json").exists()), None)
    return load(chapter, "full", home) if home else None


def not_converged(full: Results | None, profile: str, here: str, there: str) -> str:
    """Markdown for above the results: how long this run trains, how long the full run did, and which one counts.

    Parameters
    ----------
    full : what `full_run` gave. profile : that of this run. here, there : in words, how long the networks are trained
        in this run and in the full one, for instance "6 passes of 100 steps".
    """
    if profile == "full":
        return f"This is the full run: {there}."
    begin = f"**The networks of this run have not converged.** In profile `{profile}` they are trained for {here}"
    if full is None:
        return f"{begin}; in `full`, for {there}. No full run came with this copy, so this page cannot compare methods."
    run = full.run
    made = (
        f"{run.date:%Y-%m-%d}, {run.seconds:,.0f} seconds on {run.hardware}, "
        f"{'bfloat16' if run.precision == 'bf16' else 'float32'}, seeds {', '.join(map(str, run.seeds))}; "
        f"data: {', '.join(dict.fromkeys(row.data for row in full.results))}"
    )
    return (
        f"{begin}. The full run, whose results came with the book, trains them for {there} ({made}). The table shows "
        "both. Conclusions about methods are drawn from the full run alone."
    )


def decisive(
    record: Recorder, full: Results | None, needed: Sequence[str] = ()
) -> tuple[Sequence[Row], str]:
    """The rows that a page draws its conclusions from, and which they are: "in the full run" or "in this run".

    Parameters
    ----------
    full : what `full_run` gave; if None, the rows that this run recorded so far.
    needed : methods that the conclusion is about; if the full run did not measure all of them, this run's rows.
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
    """Method × metric, for each metric what this run measured and what the full run did; "" where one did not.

    Only rows over all classes; `full` may be None, and then its columns are missing. methods : the rows, in their
    order; None: all.
    """
    import pandas as pd

    runs = {"this run": record.results().results, **({"full run": full.results} if full else {})}
    columns = {
        f"{metric}, {name}": rows_by_method(rows, metric)
        for metric in metrics
        for name, rows in runs.items()
    }
    frame = pd.DataFrame(columns, dtype=object).rename_axis("method").fillna("")
    return frame if methods is None else frame.reindex(methods, fill_value="")
