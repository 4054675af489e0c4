"""How sure is a number? Intervals for metrics: over other test items (bootstrap), or over other seeds (Student's t).

A bootstrap keeps the trained model and asks what another draw of test items would have given. Seeds keep the test items
and ask what another training run would have given. A good table says which of the two it shows: `Interval.how` does.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from fashionnb.errors import DataError


@dataclass(frozen=True)
class Interval:
    """A confidence interval. Introduced in chapter 02.

    low, high : its ends. how : how it was made, in words. level : how often such an interval covers the truth.
    """

    low: float
    high: float
    how: str
    level: float = 0.95

    def __str__(self) -> str:
        return f"[{self.low:.3f}, {self.high:.3f}]"


def bootstrap(
    values: np.ndarray,
    *,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    of: str = "test items",
) -> Interval:
    """Find an interval for the mean of `values`, one for each item, by drawing the items again and again.

    Introduced in chapter 02. Efron 1979, "Bootstrap Methods"; the percentile method. For the difference of two methods
    on the same items give the differences: items that are hard for both then cancel out. Values that are all equal give
    an interval without width: the bootstrap cannot imagine what it has not seen.

    Parameters
    ----------
    values : (n,) numbers or booleans, for instance `Retrieval.per_query["recall@1"]`.
    n_resamples : how often to draw n items with replacement.
    level : the share of resampled means that the interval holds.
    seed : the same seed draws the same items.
    of : what the items are, for the sentence in `how`.

    Raises
    ------
    DataError : no values, NaN, not one-dimensional, a level outside 0 to 1, or fewer than 2 resamples.
    """
    values = _numbers(values)
    return bootstrap_statistic(
        lambda rows: values[rows].mean(),
        len(values),
        n_resamples=n_resamples,
        level=level,
        seed=seed,
        of=of,
    )


def bootstrap_statistic(
    statistic: Callable[[np.ndarray], float],
    n: int,
    *,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    of: str = "test items",
) -> Interval:
    """Find an interval for a number that is no mean of per-item values, such as Davies–Bouldin or macro-F1.

    Introduced in chapter 02. Otherwise as `bootstrap`:
    `bootstrap_statistic(lambda rows: davies_bouldin(x[rows], labels[rows]), len(x))`.

    Parameters
    ----------
    statistic : takes the rows that were drawn, (n,) int64 with repeats, and gives the number for them.
    n : how many items there are to draw from.

    Raises
    ------
    DataError : as `bootstrap`, or the statistic gave NaN or infinity.
    """
    if n < 1 or n_resamples < 2:
        raise DataError(
            f"A bootstrap needs 1 item and 2 resamples or more, got {n} and {n_resamples}."
        )
    tail = _tail(level)
    rng = np.random.default_rng(seed)
    drawn = np.array([statistic(rng.integers(n, size=n)) for _ in range(n_resamples)], dtype=float)
    if not np.isfinite(drawn).all():
        where = int(np.flatnonzero(~np.isfinite(drawn))[0])
        raise DataError(
            f"Resample {where} gave {drawn[where]}: there is no interval for a number that can be infinite."
        )
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(
        float(low), float(high), f"bootstrap over {n:,} {of}, {n_resamples:,} resamples", level
    )


def bootstrap_groups(
    values: np.ndarray,
    groups: Sequence[Hashable] | np.ndarray,
    *,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    of: str = "groups",
) -> list[Interval]:
    """Find intervals for the means of several columns by drawing whole groups: the questions about one scene, say.

    Introduced in chapter 11. Such questions are no strangers to each other, and drawing them one by one gives intervals
    that are too narrow. Groups are drawn once for all columns. For numbers that are no means there is
    `fashionnb.evaluation.compatibility.over_groups`.

    Parameters
    ----------
    values : (n, m) numbers or booleans. groups : (n,) the group of each row.
    n_resamples, level, seed, of : as `bootstrap`.

    Returns
    -------
    m intervals.

    Raises
    ------
    DataError : as `bootstrap`, or values and groups disagree.
    """
    values = np.asarray(values, float)
    number = np.unique(np.asarray(groups), return_inverse=True)[1]
    if values.ndim != 2 or not values.size or number.shape != values.shape[:1] or n_resamples < 2:
        raise DataError(
            f"Expected values (n, m) with a group for each row, and 2 resamples or more; got {values.shape}, "
            f"{number.shape} and {n_resamples}."
        )
    if not np.isfinite(values).all():
        raise DataError("Some values are NaN or infinite. Leave such rows out.")
    tail, rng = _tail(level), np.random.default_rng(seed)
    totals = np.stack(
        [np.bincount(number, column) for column in (np.ones(len(values)), *values.T)], 1
    )
    g = len(totals)
    sums = np.stack(
        [np.bincount(rng.integers(g, size=g), minlength=g) @ totals for _ in range(n_resamples)]
    )
    ends = np.quantile(sums[:, 1:] / sums[:, :1], [tail, 1 - tail], axis=0)
    how = f"bootstrap over {g:,} {of}, {n_resamples:,} resamples"
    return [Interval(float(low), float(high), how, level) for low, high in ends.T]


def over_seeds(values: Sequence[float] | np.ndarray, *, level: float = 0.95) -> Interval:
    """Find an interval for the mean of one number that was measured with several seeds.

    Introduced in chapter 03. Student 1908, "The Probable Error of a Mean": mean ± t · s / √n. It takes the runs to be
    roughly normal, and is wide for two or three of them, as it should be.

    Parameters
    ----------
    values : (n,) numbers, one for each seed.

    Raises
    ------
    DataError : fewer than two seeds, NaN, or a level outside 0 to 1.
    """
    values = _numbers(values)
    n = len(values)
    if n < 2:
        raise DataError(
            "One seed shows no spread: run two or more, or give a bootstrap interval over the test items."
        )
    reach = stdtrit(n - 1, 1 - _tail(level)) * values.std(ddof=1) / np.sqrt(n)
    return Interval(
        float(values.mean() - reach),
        float(values.mean() + reach),
        f"Student's t over {n} seeds",
        level,
    )


def _numbers(values: Sequence[float] | np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or not len(values):
        raise DataError(
            f"Expected one value for each item, (n,) with n at least 1, got the shape {values.shape}."
        )
    if not np.isfinite(values).all():
        raise DataError(
            f"Value {int(np.flatnonzero(~np.isfinite(values))[0])} is NaN or infinite. Leave such items out."
        )
    return values


def _tail(level: float) -> float:
    """What the interval leaves out on each side."""
    if not 0 < level < 1:
        raise DataError(f"A level lies between 0 and 1, for instance 0.95; got {level}.")
    return (1 - level) / 2
