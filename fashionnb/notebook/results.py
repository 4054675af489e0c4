"""Record what a chapter measured, save it as JSON, and load it again.

A chapter opens a `Recorder` with `start`, adds one row for each number, and saves them to
`book/results/<profile>/<chapter>.json`. The classes at the top are the format of that file: rows
are checked when they are added and when they are loaded. `fashionnb.notebook.comparisons` formats
and compares them.
"""

import json
import math
import os
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    model_validator,
)

import fashionnb
from fashionnb import files
from fashionnb.errors import ResultError
from fashionnb.notebook import comparisons, hardware
from fashionnb.profiles import RENAMED, Profile, current_name

METRICS: dict[str, tuple[float, float]] = {
    r"recall@\d+": (0, 1),
    r"precision@\d+": (0, 1),
    r"map@(r|\d+)": (0, 1),
    "mrr": (0, 1),
    "silhouette": (-1, 1),
    "davies_bouldin": (0, math.inf),
    "calinski_harabasz": (0, math.inf),
    "nmi": (0, 1),
    "ami": (-1, 1),
    "trustworthiness": (0, 1),
    "knn_preservation": (0, 1),
    "accuracy": (0, 1),
    "macro_precision": (0, 1),
    "macro_recall": (0, 1),
    "macro_f1": (0, 1),
    "auc": (0, 1),
    "fitb": (0, 1),
    "images_per_second": (0, math.inf),
    "queries_per_second": (0, math.inf),
    "speedup": (0, math.inf),
    "milliseconds": (0, math.inf),
    "megabytes": (0, math.inf),
    "megaflops": (0, math.inf),
    "parameters": (0, math.inf),
}
"""Pattern of a metric's name -> the range of its values. A new metric is added here first."""

# Repeated items in a resample tighten clusters, so the interval of these may miss the value itself.
RESAMPLED = (
    "davies_bouldin",
    "calinski_harabasz",
    "nmi",
    "ami",
    "macro_precision",
    "macro_recall",
    "macro_f1",
)


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, from_attributes=True
    )


class Reference(_Strict):
    """A published result of others for the same thing, recorded beside one of our own.

    Parameters
    ----------
    value : float
        As they report it.
    source : str
        Who reports it, where, and under which protocol.
    """

    value: FiniteFloat
    source: str = Field(min_length=1)


class IntervalModel(_Strict):
    """The interval of a recorded result: its ends, its level and how it was made.

    Parameters
    ----------
    low, high : float
        Its ends.
    level : float
        Its coverage, such as 0.95.
    how : str
        How it was made, such as "bootstrap over 10,000 test items, 1,000 resamples".
    """

    low: FiniteFloat
    high: FiniteFloat
    level: float = Field(0.95, gt=0, lt=1)
    how: str = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _from_tuple(cls, given: Any) -> Any:
        """Read (low, high, how), which chapters write where no function made the interval."""
        if isinstance(given, tuple) and len(given) == 3:
            return dict(zip(("low", "high", "how"), given, strict=True))
        if isinstance(given, dict) or hasattr(given, "how"):
            return given
        raise ValueError(f"an interval is an `Interval` or (low, high, how), got {given!r}")


class Row(_Strict):
    """One recorded result: the value of a metric that a method reached, with its interval.

    Parameters
    ----------
    method : str
        What was measured, as a table names it.
    metric : str
        One of `METRICS`.
    value : float
        A fraction (0.58), never percent.
    interval : IntervalModel
        Of the value.
    data, split : str
        On which data it was measured.
    n : int
        On how many items or questions, at least 1.
    class_ : str, optional
        For a number of one class; `class` in the file.
    role : str, optional
        "baseline", "upper bound" or "ours".
    reference : Reference, optional
        What others report.
    """

    method: str = Field(min_length=1)
    metric: str
    value: FiniteFloat
    interval: IntervalModel
    data: str = Field(min_length=1)
    split: str = Field(min_length=1)
    n: int = Field(ge=1)
    class_: str | None = Field(None, alias="class")
    role: Literal["baseline", "upper bound", "ours"] | None = None
    reference: Reference | None = None

    @model_validator(mode="after")
    def _plausible(self) -> "Row":
        limits = [METRICS[name] for name in METRICS if re.fullmatch(name, self.metric)]
        if not limits:
            names = ", ".join(METRICS).replace(r"(r|\d+)", "r").replace(r"\d+", "k")
            raise ValueError(
                f"there is no metric {self.metric!r}; use one of: {names} "
                "(or add it to fashionnb.notebook.results.METRICS)"
            )
        low, high = limits[0]
        slack = 1e-6  # for sums of floats
        # Only the value must lie in the range: an interval over few seeds may reach beyond it.
        if not low - slack <= self.value <= high + slack:
            raise ValueError(
                f"{self.metric} lies in {low} to {high}, got {self.value}; is it a percentage?"
            )
        contained = self.interval.low - slack <= self.value <= self.interval.high + slack
        if not contained and self.metric not in RESAMPLED:
            raise ValueError(
                f"the interval {self.interval.low} to {self.interval.high} does not contain "
                f"the value {self.value}; was it made for another number?"
            )
        return self

    def shown(self, decimals: int) -> str:
        """Format as "0.56 [0.55, 0.57]"; numbers of 100 or more as "6,282 [6,182, 6,382]"."""
        form = ",.0f" if abs(self.value) >= 100 else f".{decimals}f"
        return f"{self.value:{form}} [{self.interval.low:{form}}, {self.interval.high:{form}}]"


class Run(_Strict):
    """The run that measured the results of a file: hardware, versions, seeds, time.

    Parameters
    ----------
    chapter, profile : str
        What was run.
    seconds : float
        From `start` to `save`.
    peak_memory_mb : float
        Resident memory.
    hardware, device : str
        The processor, cores, memory and GPU of the machine; and what torch computed on.
    precision : str, optional
        "no" is float32; old files do not have it.
    threads : int
        Of the processor.
    versions : dict
        Library -> version.
    seeds : list of int
        The seeds that the numbers depend on.
    date : datetime
        UTC.
    parameters : dict
        Of the run.
    """

    chapter: str = Field(min_length=1)
    profile: Annotated[
        Literal["quick", "standard", "full"], BeforeValidator(lambda name: RENAMED.get(name, name))
    ]
    seconds: float = Field(ge=0)
    peak_memory_mb: float = Field(ge=0)
    hardware: str
    device: str
    precision: Literal["no", "bf16"] | None = None
    threads: int = Field(ge=1)
    versions: dict[str, str]
    seeds: list[int]
    date: datetime
    parameters: dict[str, Any] = {}


class Results(_Strict):
    """The results file of a chapter: its rows, and the run that measured them.

    Parameters
    ----------
    results : list of Row
        The recorded numbers.
    run : Run
        The run.
    """

    results: list[Row]
    run: Run


class Recorder:
    """Recorder of the results that a chapter measures; made by `start`.

    Parameters
    ----------
    chapter : str
        The file name of the chapter without its ending, such as "02-style2vec".
    profile : Profile
        As `fashionnb.profiles.begin` returns it.
    seeds : sequence of int
        The seeds that the numbers depend on.

    Attributes
    ----------
    earlier_seconds : float
        What an interrupted training had cost before it was resumed; counts as time of this run.
    """

    def __init__(self, chapter: str, profile: Profile, seeds: Sequence[int]) -> None:
        self._chapter, self._profile, self._seeds = chapter, profile, list(seeds)
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
        """Record one number.

        The same number measured again (a cell that runs twice) replaces the earlier one.

        Parameters
        ----------
        method, metric, value, data, split, n, role, class_
            As in `Row`.
        interval : Interval or (float, float, str)
            An interval of `fashionnb.evaluation.intervals`, or (low, high, how); 95 % unless it
            has a `level`.
        reference : Reference or (float, str), optional
            What others report: (value, source).

        Returns
        -------
        Row

        Raises
        ------
        ResultError
            If a field breaks the format: an unknown metric, NaN, a percentage, an interval that
            does not contain the value.
        """
        if isinstance(reference, tuple):
            reference = dict(zip(("value", "source"), reference, strict=True))
        fields = {
            "method": method,
            "metric": metric,
            "value": value,
            "interval": interval,
            "data": data,
            "split": split,
            "n": n,
            "class": class_,
            "role": role,
            "reference": reference,
        }
        row = _checked(Row, fields, f"{self._chapter}: {metric!r} of {method!r}")
        self._rows[method, metric, class_, data, split] = row
        return row

    def results(self) -> Results:
        """Return everything recorded so far, as it would be saved now."""
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
            # What `fashionnb run` was given with `-p`.
            "parameters": json.loads(os.environ.get("FASHIONNB_PARAMETERS") or "{}"),
        }
        return _checked(Results, {"results": list(self._rows.values()), "run": run}, self._chapter)

    def save(self) -> Path:
        """Write the results file.

        Returns
        -------
        Path
            Where it is.

        Raises
        ------
        ResultError
            If nothing was recorded.
        WriteError
            If the file cannot be written.
        """
        if not self._rows:
            raise ResultError(f"{self._chapter}: nothing was recorded. Call `add` before `save`.")
        target = results_folder() / self._profile.name / f"{self._chapter}.json"
        text = self.results().model_dump_json(indent=2, by_alias=True, exclude_none=True)
        files.write_text(target, text + "\n")
        return target

    def value(self, method: str, metric: str, class_: str | None = None) -> float:
        """Look up one recorded number, for a sentence.

        Raises
        ------
        ResultError
            If there is none, or one for each of two splits.
        """
        found = [row for key, row in self._rows.items() if key[:3] == (method, metric, class_)]
        if len(found) != 1:
            known = sorted({f"{row.method} · {row.metric}" for row in self._rows.values()})
            of_class = f", class {class_!r}" if class_ else ""
            raise ResultError(
                f"{self._chapter}: {len(found)} rows for {metric!r} of {method!r}{of_class}; "
                f"expected one. Recorded so far: {', '.join(known) or 'nothing'}."
            )
        return found[0].value

    def shown(self, method: str, metric: str) -> str:
        """Format one recorded number; see `fashionnb.notebook.comparisons.shown`."""
        return comparisons.shown(self._rows.values(), method, metric)

    def lead(self, method: str, other: str, metric: str) -> float:
        """Compare two recorded numbers; see `fashionnb.notebook.comparisons.lead`."""
        return comparisons.lead(self._rows.values(), method, other, metric)

    def table(self, metrics: Sequence[str] | None = None) -> pd.DataFrame:
        """Make a table of the recorded numbers; see `fashionnb.notebook.comparisons.table`."""
        return comparisons.table(self._rows.values(), metrics)


def start(chapter: str, profile: Profile, *, seeds: Sequence[int] = (0,)) -> Recorder:
    """Begin recording the results of a chapter, and start its clock.

    Parameters
    ----------
    chapter : str
        The file name of the chapter without its ending, such as "02-style2vec".
    profile : Profile
        As `fashionnb.profiles.begin` returns it.
    seeds : sequence of int
        The seeds that the numbers depend on.

    Returns
    -------
    Recorder
        Without rows.

    Raises
    ------
    ResultError
        If `chapter` is not a plain name.
    """
    if not re.fullmatch(r"\w[\w-]*", chapter):
        raise ResultError(
            "A chapter is named like '02-style2vec' (its file without the ending), "
            f"got {chapter!r}."
        )
    return Recorder(chapter, profile, seeds)


def load(chapter: str, profile: str = "standard", root: Path | str | None = None) -> Results:
    """Load the results file of a chapter, and check it.

    Parameters
    ----------
    chapter : str
        The file name of the chapter without its ending.
    profile : {"quick", "standard", "full"}
        The profile that it ran in.
    root : path, optional
        The folder that holds the profiles. Without it `results_folder`, and then the published
        `book/results`, so that a chapter whose own results are kept elsewhere still finds those of
        the others.

    Returns
    -------
    Results
        The rows, and the run that measured them.

    Raises
    ------
    ResultError
        If the file does not exist, is not JSON, or breaks the format.
    """
    profile = current_name(profile)
    paths = [folder / profile / f"{chapter}.json" for folder in _folders(root)]
    for path in paths:
        if path.is_file():
            try:
                return _checked(Results, path.read_bytes(), path)
            except ResultError as error:
                raise ResultError(
                    f"{error} Delete it, and make it again with "
                    f"`fashionnb run {chapter} --profile {profile}`."
                ) from error
    raise ResultError(
        f"{paths[0]}: there is no such file. "
        f"Results of profile {profile}: {', '.join(recorded(profile, root)) or 'none'}. "
        f"`fashionnb run {chapter} --profile {profile}` makes them."
    )


def recorded(profile: str = "standard", root: Path | str | None = None) -> list[str]:
    """List the chapters that have results in a profile.

    Parameters
    ----------
    profile : {"quick", "standard", "full"}
        The profile that they ran in.
    root : path, optional
        The folder that holds the profiles; without it as in `load`.

    Returns
    -------
    list of str
        Names, in the order of the book.
    """
    folders = [folder / current_name(profile) for folder in _folders(root)]
    found = [path for folder in folders for path in folder.glob("*.json")]
    return sorted({path.stem for path in found if path.is_file()})


def load_all(profile: str = "standard") -> dict[str, Results]:
    """Load the results of all chapters that were recorded in a profile.

    Parameters
    ----------
    profile : {"quick", "standard", "full"}
        The profile that they ran in.

    Returns
    -------
    dict of str to Results
        Chapter -> its results, in the order of the book.

    Raises
    ------
    ResultError
        If a file is not JSON, or breaks the format.
    """
    return {chapter: load(chapter, profile) for chapter in recorded(profile)}


def full_run(chapter: str, profile: str = "", *, data: str = "") -> Results | None:
    """Load the committed results of a chapter's `full` run, in which networks train for hours.

    In the other profiles such a chapter trains for minutes, which is not enough. Its page says so,
    shows the committed results next to its own, and draws its conclusions from those. In a checkout
    they are in `book/results/full`; an installed package contains a copy.

    Parameters
    ----------
    chapter : str
        The file name of the chapter without its ending.
    profile : str
        The profile of this run, if it is a run of that chapter. In "full" there is nothing to
        compare with: this is the full run, and an older one must not decide what its page says.
    data : str
        The dataset that this run is about. A full run on other data says nothing about it.

    Returns
    -------
    Results or None
        None if there are none, if they are of other data, or in the full run itself.

    Raises
    ------
    ResultError
        If the file cannot be read, or breaks the format.
    """
    package = Path(fashionnb.__file__).parent
    # pyproject.toml copies the first folder to the second.
    for folder in (package.parent / "book" / "results", package / "published_results"):
        if profile != "full" and chapter in recorded("full", folder):
            found = load(chapter, "full", folder)
            return found if data in ("", *(row.data for row in found.results)) else None
    return None


def checkout(start: Path | str | None = None) -> Path | None:
    """Find the root of the repository, in which the results of the book are committed.

    It is the nearest folder with `_toc.yml` and `book/`.

    Parameters
    ----------
    start : path, optional
        The folder where the search begins; without it the working folder.

    Returns
    -------
    Path or None
        None outside of a checkout.
    """
    start = Path(start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "_toc.yml").is_file() and (folder / "book").is_dir():
            return folder
    return None


def results_folder() -> Path:
    """Return the folder to which chapters write their results.

    Returns
    -------
    Path
        `FASHIONNB_RESULTS`, else `book/results` of the checkout, else `results` in the working
        folder.
    """
    return _folder("FASHIONNB_RESULTS", "book/results", "results")


def models_folder(chapter: str, profile: str) -> Path:
    """Return the folder, beside that of the results, to which a chapter saves the models it trains.

    It is not made here. `fashionnb run` gives a chapter an empty folder, except to resume a run
    that was interrupted.

    Parameters
    ----------
    chapter : str
        The file name of the chapter without its ending.
    profile : {"quick", "standard", "full"}
        The profile of this run.

    Returns
    -------
    Path
        `<models>/<chapter>/<profile>`, where `<models>` is `FASHIONNB_MODELS`, else `_build/models`
        of the checkout, else `models` in the working folder.
    """
    return _folder("FASHIONNB_MODELS", "_build/models", "models") / chapter / profile


def _folder(variable: str, in_checkout: str, elsewhere: str) -> Path:
    if named := os.environ.get(variable):
        return Path(named)
    root = checkout()
    return root / in_checkout if root else Path.cwd() / elsewhere


def _folders(root: Path | str | None) -> list[Path]:
    """Where results are looked for, in this order."""
    if root is not None:
        return [Path(root)]
    published = checkout()
    return [results_folder(), *([published / "book" / "results"] if published else [])]


def _checked(model: type[BaseModel], values: dict | bytes, where: Path | str) -> Any:
    """Validate fields or JSON; `ResultError`, beginning with `where`, has the first problem."""
    try:
        if isinstance(values, bytes):
            return model.model_validate_json(values)
        return model.model_validate(values)
    except ValidationError as error:
        first, *more = error.errors(include_url=False)
        field = ".".join(str(part) for part in first["loc"])
        problem = first["msg"].removeprefix("Value error, ")
        input_is_shown = first["type"] not in ("value_error", "missing", "json_invalid")
        parts = [
            f"{where}: ",
            f"{field}: " if field else "",
            problem,
            f", got {first['input']!r}" if input_is_shown else "",
            f" (and {len(more)} more)" if more else "",
        ]
        raise ResultError(f"{''.join(parts)}.") from error
