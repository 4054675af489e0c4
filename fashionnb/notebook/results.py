"""Record what a chapter measured, save it as JSON, and load it again.

A chapter opens a `Recorder` with `start`, adds one row for each number, and saves them to
`book/results/<profile>/<chapter>.json`. Rows are checked against `fashionnb.notebook.results_format`
when they are added and when they are loaded. `fashionnb.notebook.comparisons` formats and compares
them.
"""

import json
import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashionnb import files
from fashionnb.errors import ResultError
from fashionnb.notebook import comparisons, hardware
from fashionnb.notebook.results_format import Reference, Results, Row, checked
from fashionnb.profiles import Profile

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


class Recorder:
    """Collect the numbers that a chapter measures; made by `start`.

    Attributes
    ----------
    earlier_seconds : float
        What an interrupted training had cost before it was resumed; counts as time of this run.
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
        """Record one number.

        The same number measured again (a cell that runs twice) replaces the earlier one.

        Parameters
        ----------
        method, metric, value, data, split, n, role, class_
            As in `fashionnb.notebook.results_format.Row`.
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
        where = f"{self._chapter}: {metric!r} of {method!r}"
        if isinstance(reference, tuple):
            reference = dict(zip(("value", "source"), reference, strict=True))
        fields = {
            "method": method,
            "metric": metric,
            "value": _python_number(value),
            "interval": _interval(interval, where),
            "data": data,
            "split": split,
            "n": _python_number(n),
            "class": class_,
            "role": role,
            "reference": reference,
        }
        row = checked(Row, fields, where)
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
            "parameters": self._parameters,
        }
        return checked(Results, {"results": list(self._rows.values()), "run": run}, self._chapter)

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
        dumped = self.results().model_dump(mode="json", by_alias=True, exclude_none=True)
        text = json.dumps(dumped, indent=2, ensure_ascii=False, allow_nan=False)
        files.write_text(target, text + "\n")
        log.info("%s: %d rows written to %s", self._chapter, len(self._rows), target)
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

    def table(self, metrics: Sequence[str] | None = None) -> "pd.DataFrame":
        """Make a table of the recorded numbers; see `fashionnb.notebook.comparisons.table`."""
        return comparisons.table(self._rows.values(), metrics)


def start(
    chapter: str,
    profile: Profile,
    *,
    seeds: Sequence[int] = (0,),
    parameters: Mapping[str, Any] | None = None,
) -> Recorder:
    """Begin recording for a chapter, and start its clock.

    Parameters
    ----------
    chapter : str
        The file name of the chapter without its ending, such as "02-style2vec".
    profile : Profile
        As `fashionnb.profiles.begin` returns it.
    seeds : sequence of int
        The seeds that the numbers depend on.
    parameters : mapping, optional
        Parameters of the run; without them those given to `fashionnb run` with `-p`.

    Returns
    -------
    Recorder

    Raises
    ------
    ResultError
        If `chapter` is not a plain name.
    """
    endings = (".md", ".ipynb", ".json")
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", chapter) or chapter.endswith(endings):
        raise ResultError(
            "A chapter is named like '02-style2vec' (its file without the ending), "
            f"got {chapter!r}."
        )
    if parameters is None:
        parameters = json.loads(os.environ.get("FASHIONNB_PARAMETERS") or "{}")
    return Recorder(chapter, profile, seeds, parameters)


def load(chapter: str, profile: str = "cpu", root: Path | str | None = None) -> Results:
    """Load one results file and check it.

    Parameters
    ----------
    chapter : str
        The file name of the chapter without its ending.
    profile : str
        "quick", "cpu" or "full".
    root : path, optional
        The folder that holds the profiles. Without it `results_folder`, and then the published
        `book/results`, so that a chapter whose own results are kept elsewhere still finds those of
        the others.

    Returns
    -------
    Results

    Raises
    ------
    ResultError
        If the file does not exist, is not JSON, or breaks the format.
    """
    folders = [folder / profile for folder in _folders(root)]
    paths = [folder / f"{chapter}.json" for folder in folders]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        raise ResultError(
            f"{paths[0]}: there is no such file. "
            f"Results of profile {profile}: {', '.join(recorded(profile, root)) or 'none'}. "
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
    """List the chapters that have results in a profile, in the order of the book."""
    found = set()
    for folder in _folders(root):
        found |= {path.stem for path in (folder / profile).glob("*.json")}
    return sorted(found)


def load_all(profile: str = "cpu", root: Path | str | None = None) -> dict[str, Results]:
    """Load all results of a profile, by chapter, in the order of the book; errors as `load`."""
    return {chapter: load(chapter, profile, root) for chapter in recorded(profile, root)}


def checkout(start: Path | str | None = None) -> Path | None:
    """Find the root of the repository: the nearest folder with `_toc.yml` and `book/`.

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
    """Return the folder of results.

    `FASHIONNB_RESULTS`, else `book/results` of the checkout, else `results` in the working folder.
    """
    return _folder("FASHIONNB_RESULTS", Path("book", "results"), Path("results"))


def models_folder(chapter: str, profile: Profile | str) -> Path:
    """Return the folder for the models that a chapter trains: `<models>/<chapter>/<profile>`.

    `<models>` is `FASHIONNB_MODELS`, else `_build/models` of the checkout, else `models` in the
    working folder. It is not made here. `fashionnb run` gives a chapter an empty folder, except to
    resume a run that was interrupted.
    """
    name = profile if isinstance(profile, str) else profile.name
    return _folder("FASHIONNB_MODELS", Path("_build", "models"), Path("models")) / chapter / name


def _folder(variable: str, in_checkout: Path, elsewhere: Path) -> Path:
    if named := os.environ.get(variable):
        return Path(named)
    root = checkout()
    return root / in_checkout if root else elsewhere.resolve()


def _folders(root: Path | str | None) -> list[Path]:
    """Where results are looked for, in this order."""
    if root is not None:
        return [Path(root)]
    published = checkout()
    found = [results_folder()]
    if published:
        found.append(published / "book" / "results")
    return list(dict.fromkeys(found))


def _python_number(number: Any) -> Any:
    """A numpy or torch scalar as Python's own number; pydantic checks anything else."""
    return number.item() if hasattr(number, "item") else number


def _interval(interval: Any, where: str) -> dict[str, Any]:
    """The fields of an `Interval`, or of (low, high, how)."""
    if isinstance(interval, tuple) and len(interval) == 3:
        fields = dict(zip(("low", "high", "how"), interval, strict=True))
    elif all(hasattr(interval, name) for name in ("low", "high", "how")):
        names = ("low", "high", "how", "level")
        fields = {name: getattr(interval, name) for name in names if hasattr(interval, name)}
    else:
        raise ResultError(
            f"{where}: an interval is an `Interval` or (low, high, how), got {interval!r}."
        )
    return {name: _python_number(value) for name, value in fields.items()}
