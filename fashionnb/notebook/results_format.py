"""Format of a results file: the metrics, the fields of a row, the facts about a run.

`fashionnb.notebook.results` writes and reads these files. `checked` turns a `ValidationError` of
pydantic into a `ResultError` of one line.
"""

import math
import re
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    field_validator,
    model_validator,
)

from fashionnb.errors import ResultError

Model = TypeVar("Model", bound=BaseModel)

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
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Reference(_Strict):
    """A number that others report for the same thing.

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
    """An interval of a number.

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

    @model_validator(mode="after")
    def _in_order(self) -> "IntervalModel":
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        return self


class Row(_Strict):
    """One measured number.

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
        On how many items or questions.
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

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        if _range(metric) is None:
            names = ", ".join(METRICS).replace(r"(r|\d+)", "r").replace(r"\d+", "k")
            raise ValueError(
                f"there is no metric {metric!r}; use one of: {names} (or add it to results_format.METRICS)"
            )
        return metric

    @model_validator(mode="after")
    def _plausible(self) -> "Row":
        low, high = _range(self.metric)
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
    """Facts about the run that measured the rows of a file.

    Parameters
    ----------
    chapter, profile : str
        What was run.
    seconds : float
        From `start` to `save`.
    peak_memory_mb : float
        Resident memory.
    hardware, device : str
        On which machine.
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
    profile: Literal["quick", "cpu", "full"]
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
    """A results file: the rows, and the run that measured them."""

    results: list[Row]
    run: Run


def checked(model: type[Model], values: dict | str, where: Path | str) -> Model:
    """Validate a dict or JSON text.

    Parameters
    ----------
    model : type
        A pydantic model.
    values : dict or str
        Its fields, or JSON text.
    where : path or str
        The beginning of an error message.

    Raises
    ------
    ResultError
        With `where` and the first problem.
    """
    try:
        if isinstance(values, str):
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


def _range(metric: str) -> tuple[float, float] | None:
    return next((limits for name, limits in METRICS.items() if re.fullmatch(name, metric)), None)
