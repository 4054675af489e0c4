"""What a chapter measured, written down so that nobody types a number by hand.

A chapter opens a `Recorder` with `start`, adds one row for each number, and saves: the rows land in
`book/results/<profile>/<chapter>.json`, checked when they are written and again when they are read. Tables and prose
read them back with `load`, `Recorder.table` and `to_frame`. The format is in `fashionnb.notebook.results_format`.
"""

import json
import logging
import math
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashionnb import files
from fashionnb.errors import ResultError
from fashionnb.notebook import hardware
from fashionnb.notebook.results_format import (
    METRICS,
    IntervalModel,
    Reference,
    Results,
    Row,
    Run,
    checked,
)
from fashionnb.profiles import Profile

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Group

__all__ = [
    "METRICS",
    "IntervalModel",
    "Recorder",
    "Reference",
    "Results",
    "Row",
    "Run",
    "as_text",
    "best",
    "checkout",
    "gap",
    "lead",
    "load",
    "load_all",
    "models_folder",
    "recorded",
    "results_folder",
    "rows_by_method",
    "shown",
    "start",
    "to_frame",
    "value",
]

log = logging.getLogger(__name__)

COLUMNS = [
    *("chapter", "profile", "method", "metric", "class", "value", "low", "high", "level", "how"),
    *("data", "split", "n", "role", "reference", "source"),
]
"""The columns of `to_frame`."""


class Recorder:
    """Collects the rows of one chapter. Made by `start`. Introduced in chapter 01.

    earlier_seconds : what training that was taken up again had cost before; it counts as time of this run.
    """

    def __init__(
        self, chapter: str, profile: Profile, seeds: Sequence[int], parameters: Mapping[str, Any]
    ) -> None:
        self._chapter, self._profile = chapter, profile
        self._seeds, self._parameters = [int(seed) for seed in seeds], dict(parameters)
        self._begun, self.earlier_seconds = time.perf_counter(), 0.0
        self._rows: dict[tuple, Row] = {}

    def add(
        self,
        method: str,
        metric: str,
        value: float,
        interval: Any,
        *,
        data: str,
        split: str,
        n: int,
        role: str | None = None,
        class_: str | None = None,
        reference: Reference | tuple[float, str] | None = None,
    ) -> Row:
        """Record one number; the same number measured again (a cell run twice) replaces the former.

        Parameters
        ----------
        interval : an `evaluation.intervals.Interval`, or (low, high, how). 95 % unless it has its own `level`.
        reference : what others report, (value, source).
        others : as in `Row`.

        Raises
        ------
        ResultError : a field breaks the format: an unknown metric, NaN, a percentage, an interval beside the value.
        """
        where = f"{self._chapter}: {metric!r} of {method!r}"
        row = checked(
            Row,
            {
                "method": method,
                "metric": metric,
                "value": _plain(value),
                "interval": _interval(interval, where),
                "data": data,
                "split": split,
                "n": _plain(n),
                "class": class_,
                "role": role,
                "reference": dict(zip(("value", "source"), reference, strict=True))
                if isinstance(reference, tuple)
                else reference,
            },
            where,
        )
        self._rows[method, metric, class_, data, split] = row
        return row

    def results(self) -> Results:
        """Everything recorded so far, as it would be saved now."""
        run = {
            "chapter": self._chapter,
            "profile": self._profile.name,
            "seconds": round(time.perf_counter() - self._begun + self.earlier_seconds, 1),
            "peak_memory_mb": hardware.peak_memory_mb(),
            "hardware": hardware.hardware(self._profile.device),
            "device": self._profile.device,
            "precision": self._profile.precision,
            "threads": self._profile.threads,
            "versions": hardware.versions(),
            "seeds": self._seeds,
            "date": datetime.now(UTC).replace(microsecond=0),
            "parameters": self._parameters,
        }
        return checked(Results, {"results": list(self._rows.values()), "run": run}, self._chapter)

    def save(self) -> Path:
        """Write the file, whole; return where it is. Raises `ResultError` with nothing to save, and `WriteError`."""
        if not self._rows:
            raise ResultError(f"{self._chapter}: nothing was recorded. Call `add` before `save`.")
        target = results_folder() / self._profile.name / f"{self._chapter}.json"
        dumped = self.results().model_dump(mode="json", by_alias=True, exclude_none=True)
        files.write_text(
            target, json.dumps(dumped, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        )
        log.info("%s: %d rows written to %s", self._chapter, len(self._rows), target)
        return target

    def value(self, method: str, metric: str, class_: str | None = None) -> float:
        """One recorded number, for a sentence. Raises `ResultError` if there is none, or one for each of two splits."""
        found = [row for key, row in self._rows.items() if key[:3] == (method, metric, class_)]
        if len(found) != 1:
            recorded = (
                ", ".join(sorted({f"{row.method} · {row.metric}" for row in self._rows.values()}))
                or "nothing"
            )
            raise ResultError(
                f"{self._chapter}: {len(found)} rows for {metric!r} of {method!r}"
                f"{f', class {class_!r}' if class_ else ''}; wanted one. Recorded so far: {recorded}."
            )
        return found[0].value

    def shown(self, method: str, metric: str) -> str:
        """One recorded number for a sentence; see the function `shown`."""
        return shown(self._rows.values(), method, metric)

    def lead(self, method: str, other: str, metric: str) -> float:
        """How far one recorded number lies above another; see the function `lead`."""
        return lead(self._rows.values(), method, other, metric)

    def table(self, metrics: Sequence[str] | None = None) -> "pd.DataFrame":
        """Method × metric, each cell "0.56 [0.55, 0.57]", for display; numbers that others report come last.

        Rows of single classes are left out. Columns `role`, `data` and `split` appear where they tell rows apart.
        """
        return _table([row for row in self._rows.values() if row.class_ is None], metrics)


def start(
    chapter: str,
    profile: Profile,
    *,
    seeds: Sequence[int] = (0,),
    parameters: Mapping[str, Any] | None = None,
) -> Recorder:
    """Begin recording for a chapter and start its clock. Introduced in chapter 01.

    Parameters
    ----------
    chapter : the chapter's file name without its ending, for instance "02-style2vec".
    profile : what `profiles.begin` returned.
    seeds : the seeds that the numbers depend on.
    parameters : numbers the run was made with; without them those given to `fashionnb run` with `-p`.

    Raises
    ------
    ResultError : `chapter` is not a plain name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", chapter) or chapter.endswith(
        (".md", ".ipynb", ".json")
    ):
        raise ResultError(
            f"A chapter is named like '02-style2vec' (its file without the ending), got {chapter!r}."
        )
    if parameters is None:
        parameters = json.loads(os.environ.get("FASHIONNB_PARAMETERS") or "{}")
    return Recorder(chapter, profile, seeds, parameters)


def load(chapter: str, profile: str = "cpu", root: Path | str | None = None) -> Results:
    """Read one results file and check it.

    Parameters
    ----------
    root : the folder that holds the profiles. Without it `results_folder`, and then the published `book/results`: a
        chapter whose own results are kept apart still reads those of the others.

    Raises
    ------
    ResultError : the file is not there, is not JSON, or breaks the format.
    """
    there = [folder / profile for folder in _reading(root)]
    path = next((at / f"{chapter}.json" for at in there if (at / f"{chapter}.json").exists()), None)
    if path is None:
        here = ", ".join(recorded(profile, root)) or "none"
        raise ResultError(
            f"{there[0] / chapter}.json: there is no such file. Results of profile {profile}: {here}. "
            f"`fashionnb run {chapter} --profile {profile}` makes them."
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ResultError(
            f"{path}: cannot be read ({error}). Restore the file, or run the chapter again."
        ) from error
    return checked(Results, text, path)


def recorded(profile: str = "cpu", root: Path | str | None = None) -> list[str]:
    """The chapters that have results in a profile, in the order of the book."""
    return sorted(
        {path.stem for folder in _reading(root) for path in (folder / profile).glob("*.json")}
    )


def load_all(profile: str = "cpu", root: Path | str | None = None) -> dict[str, Results]:
    """All results of a profile, by chapter, in the order of the book. Raises `ResultError` as `load`."""
    return {chapter: load(chapter, profile, root) for chapter in recorded(profile, root)}


def shown(rows: Iterable[Row], method: str, metric: str) -> str:
    """One number with its interval, for a sentence: "0.560 [0.551, 0.569]", or "not measured"."""
    row = _of_test(rows, method, metric)
    return row.shown(3) if row else "not measured"


def value(rows: Iterable[Row], method: str, metric: str) -> float:
    """One number, for the condition of a claim; NaN where it was not measured."""
    row = _of_test(rows, method, metric)
    return row.value if row else math.nan


def lead(rows: Iterable[Row], method: str, other: str, metric: str) -> float:
    """How far the interval of a method lies above that of another one; for the condition of a claim.

    Negative where they overlap, NaN where one of the two was not measured.
    """
    rows = list(rows)
    ours, theirs = _of_test(rows, method, metric), _of_test(rows, other, metric)
    return ours.interval.low - theirs.interval.high if ours and theirs else math.nan


def gap(rows: Iterable[Row], method: str, other: str, metric: str) -> float:
    """How far the intervals of two methods lie apart, whichever is higher; for claims that neither is clearly better.

    Negative where they overlap, NaN where one of the two was not measured.
    """
    rows = list(rows)
    return max(lead(rows, method, other, metric), lead(rows, other, method, metric))


def best(rows: Iterable[Row], methods: Sequence[str], metric: str) -> str:
    """The one of the methods with the highest value; those that were not measured come last."""
    rows = list(rows)
    found = {method: row.value for method in methods if (row := _of_test(rows, method, metric))}
    return max(methods, key=lambda method: found.get(method, -math.inf))


def rows_by_method(rows: Iterable[Row], metric: str) -> dict[str, str]:
    """Method -> "0.56 [0.55, 0.57]", of the rows over all classes with this metric."""
    return {row.method: _cell(row) for row in rows if row.metric == metric and row.class_ is None}


def _of_test(rows: Iterable[Row], method: str, metric: str) -> Row | None:
    """The number over all classes, on the test split if there is one."""
    found = [row for row in rows if (row.method, row.metric, row.class_) == (method, metric, None)]
    return min(found, key=lambda row: row.split != "test", default=None)


def to_frame(results: Results | Iterable[Results]) -> "pd.DataFrame":
    """One line per row, with the columns in `COLUMNS`. What is not there is an empty string (NaN in `reference`)."""
    import pandas as pd

    lines = [
        {
            "chapter": one.run.chapter,
            "profile": one.run.profile,
            "method": row.method,
            "metric": row.metric,
            "class": row.class_ or "",
            "value": row.value,
            "low": row.interval.low,
            "high": row.interval.high,
            "level": row.interval.level,
            "how": row.interval.how,
            "data": row.data,
            "split": row.split,
            "n": row.n,
            "role": row.role or "",
            "reference": row.reference.value if row.reference else math.nan,
            "source": row.reference.source if row.reference else "",
        }
        for one in ([results] if isinstance(results, Results) else results)
        for row in one.results
    ]
    return pd.DataFrame(lines, columns=COLUMNS)


def as_text(found: Mapping[str, Results]) -> "Group":
    """What `load_all` found, as tables for the terminal, to be printed by rich: one for each chapter."""
    from rich.console import Group
    from rich.table import Table

    tables = []
    for chapter, one in found.items():
        run = one.run
        title = f"{chapter} · {run.profile} · {run.seconds:,.0f} s · {run.hardware} · {run.date:%Y-%m-%d}"
        table = Table(
            "method",
            "metric",
            "class",
            "value",
            "data",
            "split",
            "n",
            title=title,
            title_justify="left",
        )
        for row in one.results:
            place = (row.data, row.split, f"{row.n:,}")
            table.add_row(row.method, row.metric, row.class_ or "", _cell(row), *place)
        tables.append(table)
    return Group(*tables)


def checkout(start: Path | str | None = None) -> Path | None:
    """The folder with `_toc.yml` and `book/` that `start` (the working folder) lies in; None outside of a checkout."""
    start = Path(start or Path.cwd()).resolve()
    return next(
        (
            at
            for at in (start, *start.parents)
            if (at / "_toc.yml").is_file() and (at / "book").is_dir()
        ),
        None,
    )


def results_folder() -> Path:
    """Where results lie: `FASHIONNB_RESULTS`, else `book/results` of the checkout, else `results` here."""
    if named := os.environ.get("FASHIONNB_RESULTS"):
        return Path(named)
    root = checkout()
    return root / "book" / "results" if root else Path("results").resolve()


def models_folder(chapter: str, profile: Profile | str) -> Path:
    """Where a chapter puts the models that it trains: `<models>/<chapter>/<profile>`; made by whoever writes there.

    Introduced in chapter 02. `<models>` is `FASHIONNB_MODELS`, else `_build/models` of the checkout, else `models`.
    `fashionnb run` hands a chapter an empty folder, except to go on with a run that was interrupted.
    """
    name = profile if isinstance(profile, str) else profile.name
    if named := os.environ.get("FASHIONNB_MODELS"):
        return Path(named) / chapter / name
    root = checkout()
    return (root / "_build" / "models" if root else Path("models").resolve()) / chapter / name


def _reading(root: Path | str | None) -> list[Path]:
    """Where results are looked for, in this order."""
    if root is not None:
        return [Path(root)]
    published = checkout()
    return list(
        dict.fromkeys([results_folder(), *([published / "book" / "results"] if published else [])])
    )


def _plain(number: Any) -> Any:
    """A numpy or torch scalar as Python's own number; pydantic judges anything else."""
    return number.item() if hasattr(number, "item") else number


def _interval(interval: Any, where: str) -> dict[str, Any]:
    """The fields of an `Interval`, or of (low, high, how)."""
    if isinstance(interval, tuple) and len(interval) == 3:
        return dict(zip(("low", "high", "how"), (_plain(part) for part in interval), strict=True))
    if all(hasattr(interval, name) for name in ("low", "high", "how")):
        level = {"level": interval.level} if hasattr(interval, "level") else {}
        return {
            "low": _plain(interval.low),
            "high": _plain(interval.high),
            "how": interval.how,
            **level,
        }
    raise ResultError(
        f"{where}: an interval is an `Interval` or (low, high, how), got {interval!r}."
    )


def _cell(row: Row) -> str:
    """ "0.56 [0.55, 0.57]", with as many decimals as the interval can tell apart (2 to 4)."""
    half = (row.interval.high - row.interval.low) / 2
    decimals = min(4, max(2, math.ceil(-math.log10(half)))) if half > 0 else 3
    return row.shown(decimals)


def _table(rows: list[Row], metrics: Sequence[str] | None) -> "pd.DataFrame":
    import pandas as pd

    shown = list(metrics or dict.fromkeys(row.metric for row in rows))
    rows = [row for row in rows if row.metric in shown]
    telling = [
        column for column in ("data", "split") if len({getattr(row, column) for row in rows}) > 1
    ]
    lines: dict[tuple, dict[str, str]] = {}
    for row in rows:
        place = {column: getattr(row, column) for column in telling}
        line = lines.setdefault(
            (row.method, *place.values()), {"method": row.method, "role": row.role or "", **place}
        )
        line[row.metric] = _cell(row)
    for row in rows:
        if row.reference:
            line = lines.setdefault(
                ("reported", row.reference.source), {"method": row.reference.source}
            )
            line["role"], line[row.metric] = "reported elsewhere", f"{row.reference.value:g}"
    columns = ["role"] if any(line.get("role") for line in lines.values()) else []
    frame = pd.DataFrame(lines.values(), columns=["method", *columns, *telling, *shown])
    return frame.fillna("").set_index("method")
