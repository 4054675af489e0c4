"""Confidence intervals of metrics: over test items (bootstrap), or over seeds (Student's t).

A bootstrap keeps the trained model and asks what another sample of test items would have given.
Seeds keep the test items and ask what another training run would have given. `Interval.how` says
which of the two it is.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from fashionnb.arrays import check_array, check_finite
from fashionnb.errors import DataError

LEVEL = 0.95  # how often an interval covers the true value
BATCH = 100_000  # items that are drawn at a time: more are slower, since they leave the cache


@dataclass(frozen=True)
class Interval:
    """Confidence interval of a metric: its two ends, and how they were computed.

    Parameters
    ----------
    low : float
        The lower end.
    high : float
        The upper end.
    how : str
        How it was made, in words.
    level : float
        How often such an interval covers the true value, 0 to 1.
    """

    low: float
    high: float
    how: str
    level: float = LEVEL

    def __str__(self) -> str:
        return f"[{self.low:.3f}, {self.high:.3f}]"


def bootstrap(
    values: np.ndarray,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    of: str = "test items",
) -> Interval:
    """Compute a bootstrap confidence interval for the mean of one value per item.

    For the difference of two methods on the same items give the differences: items that are hard
    for both then cancel out. Values that are all equal give an interval without width.

    Parameters
    ----------
    values : array of shape (n,)
        Numbers or booleans, for instance `Retrieval.per_query["recall@1"]`.
    n_resamples : int
        How often n items are drawn with replacement.
    seed : int
        The same seed draws the same items.
    of : str
        What the items are, for the sentence in `Interval.how`.

    Returns
    -------
    Interval
        By the percentile method.

    Raises
    ------
    DataError
        If there are no values, NaN, more than one dimension, or fewer than 2 resamples.

    References
    ----------
    Efron (1979), Bootstrap Methods: Another Look at the Jackknife.
    """
    values = _numbers(values)
    return _bootstrap(values, np.mean, of, n_resamples, seed, vectorized=True)[0]


def bootstrap_statistic(
    statistic: Callable[[np.ndarray], float],
    n: int,
    *,
    groups: Sequence[Hashable] | np.ndarray | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
    of: str = "test items",
) -> Interval:
    """Compute a bootstrap confidence interval for any statistic of rows, such as macro-F1.

    `bootstrap_statistic(lambda rows: davies_bouldin(x[rows], labels[rows]), len(x))`.

    Parameters
    ----------
    statistic : callable
        Takes the rows that were drawn, (n,) int64 with repeats, and returns the number for them.
    n : int
        How many rows there are.
    groups : sequence of length n, optional
        The group of each row. Whole groups are drawn, for instance all questions about an outfit:
        they are not independent, and drawing them one by one gives an interval that is too narrow.
    n_resamples : int
        How often rows, or groups, are drawn with replacement.
    seed : int
        The same seed draws the same rows.
    of : str
        What the rows, or groups, are, for the sentence in `Interval.how`.

    Returns
    -------
    Interval
        By the percentile method.

    Raises
    ------
    DataError
        As `bootstrap`, or if the statistic returned NaN or infinity.
    """
    if groups is None:
        return _bootstrap(np.arange(n), statistic, of, n_resamples, seed)[0]
    number = _numbered(groups, n)
    members = np.split(np.argsort(number, kind="stable"), np.bincount(number).cumsum())[:-1]

    def of_groups(drawn: np.ndarray) -> float:
        return statistic(np.concatenate([members[group] for group in drawn]))

    return _bootstrap(np.arange(len(members)), of_groups, of, n_resamples, seed)[0]


def bootstrap_statistics(
    statistic: Callable[[np.ndarray], Sequence[float]],
    n: int,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    of: str = "test items",
) -> list[Interval]:
    """Compute bootstrap confidence intervals for several statistics of the same rows at once.

    The same as `bootstrap_statistic` for each of them, but each draw of rows is scored once.

    Parameters
    ----------
    statistic : callable
        Takes the rows that were drawn, (n,) int64 with repeats, and returns m numbers for them.
    n : int
        How many rows there are.
    n_resamples : int
        How often rows are drawn with replacement.
    seed : int
        The same seed draws the same rows.
    of : str
        What the rows are, for the sentence in `Interval.how`.

    Returns
    -------
    list of m Interval
        By the percentile method.

    Raises
    ------
    DataError
        As `bootstrap_statistic`.
    """
    return _bootstrap(np.arange(n), statistic, of, n_resamples, seed)


def bootstrap_groups(
    values: np.ndarray,
    groups: Sequence[Hashable] | np.ndarray,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    of: str = "groups",
) -> list[Interval]:
    """Compute bootstrap confidence intervals for means of columns by drawing groups of rows.

    The same as `bootstrap_statistic` with groups for the mean of each column, and much faster.

    Parameters
    ----------
    values : array of shape (n, m)
        Numbers or booleans.
    groups : sequence of length n
        The group of each row. Groups are drawn once for all columns.
    n_resamples : int
        How often groups are drawn with replacement.
    seed : int
        The same seed draws the same groups.
    of : str
        What the groups are, for the sentence in `Interval.how`.

    Returns
    -------
    list of m Interval
        One for each column, by the percentile method.

    Raises
    ------
    DataError
        As `bootstrap`, or if values and groups disagree.
    """
    values = np.asarray(values, float)
    check_array(values, ("n", "m"), "values", least=1, finite=True)
    number = _numbered(groups, len(values))
    totals = np.stack([np.bincount(number, column) for column in values.T], 1)
    sizes = np.bincount(number)

    def means(drawn: np.ndarray) -> np.ndarray:
        times = np.bincount(drawn, minlength=len(sizes))
        return times @ totals / (times @ sizes)

    return _bootstrap(np.arange(len(sizes)), means, of, n_resamples, seed)


def over_seeds(values: Sequence[float] | np.ndarray) -> Interval:
    """Compute Student's t confidence interval for the mean of a number over several seeds.

    mean ± t · s / √n. It takes the runs to be roughly normal, and is wide for two or three.

    Parameters
    ----------
    values : sequence of float
        One number for each seed.

    Returns
    -------
    Interval
        Around the mean, and as wide on both sides.

    Raises
    ------
    DataError
        If there are fewer than two seeds, or NaN.

    References
    ----------
    Student (1908), The Probable Error of a Mean.
    """
    from scipy.special import stdtrit

    values = _numbers(values)
    n = len(values)
    if n < 2:
        raise DataError(
            "One seed shows no spread: run two or more, or give a bootstrap interval over the test "
            "items."
        )
    reach = stdtrit(n - 1, (1 + LEVEL) / 2) * values.std(ddof=1) / np.sqrt(n)
    how = f"Student's t over {n} seeds"
    return Interval(float(values.mean() - reach), float(values.mean() + reach), how)


def _bootstrap(
    data: np.ndarray,
    statistic: Callable,
    of: str,
    n_resamples: int,
    seed: int,
    vectorized: bool = False,
) -> list[Interval]:
    """The intervals of a statistic that returns one number or several, by percentiles."""
    from scipy import stats

    def in_float(drawn: np.ndarray, **axis: int) -> np.ndarray:
        return np.asarray(statistic(drawn, **axis), float)  # scipy refuses quantiles of integers

    n = len(data)
    if n < 1 or n_resamples < 2:
        raise DataError(
            f"A bootstrap needs 1 item and 2 resamples or more, got {n} and {n_resamples}."
        )
    with np.errstate(invalid="ignore"):  # infinity is refused below
        found = stats.bootstrap(
            (np.repeat(data, 2) if n == 1 else data,),  # scipy refuses a single item
            in_float,
            n_resamples=n_resamples,
            batch=max(1, BATCH // n),
            vectorized=vectorized,
            confidence_level=LEVEL,
            method="percentile",
            random_state=np.random.default_rng(seed),
        )
    check_finite(found.bootstrap_distribution.T, "The statistic of the resamples")
    how = f"bootstrap over {n:,} {of}, {n_resamples:,} resamples"
    ends = np.atleast_2d(np.stack(found.confidence_interval, -1))
    return [Interval(float(low), float(high), how) for low, high in ends]


def _numbered(groups: Sequence[Hashable] | np.ndarray, n: int) -> np.ndarray:
    """The number of each row's group, from 0."""
    groups = np.asarray(groups)
    check_array(groups, (n,), "groups", "Give the group of each row.", kind="any")
    return np.unique(groups, return_inverse=True)[1]


def _numbers(values: Sequence[float] | np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    advice = "Give one value for each item."
    return check_array(values, ("n",), "values", advice, least=1, finite=True)
