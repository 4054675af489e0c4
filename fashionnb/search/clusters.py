"""Groups of items that look alike, and names for them made from the attributes that stand out.

The vectors make the groups, without looking at a single attribute; the attributes only name them. A value stands out
if it is much more common in the group than in the whole catalogue.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.cluster import MiniBatchKMeans

from fashionnb.errors import DataError
from fashionnb.evaluation.clustering import silhouette
from fashionnb.search.ranking import best, similarities

KS = (2, 3, 4, 6, 8, 12, 16, 24)
"""Numbers of groups that "auto" tries."""

SAMPLE = 2000  # items whose silhouette decides between them: the silhouette compares all with all
COMMON, LIFTED = (
    0.3,
    1.3,
)  # a value stands out if so large a share of the group has it, and so many times the usual
_BATCH = 4096


def group(vectors: np.ndarray, k: int | str = "auto", seed: int = 0) -> np.ndarray:
    """Divide items into groups by k-means. Introduced in chapter 07. Sculley 2010, "Web-Scale K-Means Clustering".

    Parameters
    ----------
    vectors : (n, d) of length 1. seed : of the first centres, and of the sample.
    k : how many groups; "auto": the number in `KS` with the highest mean silhouette when 2,000 items are divided so.

    Returns
    -------
    labels : (n,) int64, 0 for the largest group; of groups of one size, that with the first item comes first.

    Raises
    ------
    DataError : a k below 1, above n, or another word than "auto".
    """
    n = len(vectors)
    if k == "auto":
        sample = vectors[np.sort(np.random.default_rng(seed).permutation(n)[:SAMPLE])]
        tried = [count for count in KS if count < _distinct(sample)] or [1]
        k = tried[
            int(np.argmax([_silhouette(sample, _means(sample, count, seed)) for count in tried]))
        ]
    if not isinstance(k, int | np.integer) or not 1 <= k <= n:
        raise DataError(
            f"The number of groups is 'auto', or a whole number from 1 to {n} (the items); got {k!r}."
        )
    return _ordered(_means(vectors, min(int(k), _distinct(vectors)), seed))


@dataclass(frozen=True)
class Trait:
    """A value that stands out in a group. Introduced in chapter 07.

    share : of the group that has it. lift : how many times the share in the whole catalogue that is.
    """

    column: str
    value: str
    share: float
    lift: float

    def __str__(self) -> str:
        return f"{self.column} {self.value} ({self.share:.0%}, {self.lift:.1f} times the usual)"


def traits(
    labels: np.ndarray, table: pd.DataFrame, columns: Sequence[str], most: int = 3
) -> list[tuple[Trait, ...]]:
    """What stands out in each group, at most one value of a column. Introduced in chapter 07.

    Values are ordered by share · log(lift), what each adds to the difference between the group and the whole. Unknown
    values ("") never stand out, but the items that have them count as items.

    Parameters
    ----------
    labels : (n,) int from 0, as `group` gives them. table : n rows. columns : of the table.

    Returns
    -------
    One tuple per group, the most telling trait first; empty where the group is like the whole.
    """
    size = np.bincount(labels)
    found: list[list[tuple[float, Trait]]] = [[] for _ in size]
    for column in columns:
        counts = pd.crosstab(labels, table[column].to_numpy()).drop(columns="", errors="ignore")
        if counts.empty:
            continue
        share = counts.to_numpy() / size[:, None]
        usual = counts.to_numpy().sum(0) / len(table)
        telling = share * np.log(np.maximum(share, 1e-12) / usual)
        telling[(share < COMMON) | (share < LIFTED * usual)] = 0
        for number, value in enumerate(telling.argmax(1)):
            if telling[number, value] > 0:
                lift = float(share[number, value] / usual[value])
                trait = Trait(column, str(counts.columns[value]), float(share[number, value]), lift)
                found[number].append((telling[number, value], trait))
    return [
        tuple(trait for _, trait in sorted(each, key=lambda one: -one[0])[:most]) for each in found
    ]


def names(stands_out: Sequence[tuple[Trait, ...]]) -> list[str]:
    """Name each group by its traits' values, "mixed" without any; a second of one name gets a number. Chapter 07."""
    plain = [
        " · ".join(trait.value for trait in group_traits) or "mixed" for group_traits in stands_out
    ]
    seen = [plain[: i + 1].count(name) for i, name in enumerate(plain)]
    return [f"{name} ({nth})" if nth > 1 else name for name, nth in zip(plain, seen, strict=True)]


def described(
    labels: np.ndarray, vectors: np.ndarray, table: pd.DataFrame, columns: Sequence[str]
) -> pd.DataFrame:
    """The groups as a table, see `fashionnb.search.recommend.Recommender.clusters`. Introduced in chapter 07."""
    found, ids, items = traits(labels, table, columns), table["id"].to_numpy(), []
    for number in range(len(found)):
        rows = np.flatnonzero(labels == number)
        typical = similarities(vectors[rows], vectors[rows].mean(0))
        items.append(tuple(ids[rows[best(typical, len(rows))]]))
    return pd.DataFrame(
        {
            "cluster": np.arange(len(items)),
            "name": names(found),
            "size": [len(each) for each in items],
            "stands_out": [
                "; ".join(map(str, each)) or "nothing: like the whole" for each in found
            ],
            "items": items,
        }
    )


def _means(vectors: np.ndarray, k: int, seed: int) -> np.ndarray:
    return MiniBatchKMeans(k, random_state=seed, batch_size=_BATCH, n_init=3).fit_predict(vectors)


def _distinct(vectors: np.ndarray) -> int:
    return len(np.unique(vectors, axis=0))  # k-means cannot part copies


def _ordered(labels: np.ndarray) -> np.ndarray:
    """The labels renumbered, the largest group first; empty groups go."""
    _, first, inverse, size = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((first, -size))
    return np.argsort(order)[inverse].astype(np.int64)


def _silhouette(vectors: np.ndarray, labels: np.ndarray) -> float:
    count = len(np.unique(labels))
    return float(silhouette(vectors, labels).mean()) if 1 < count < len(labels) else -1.0
