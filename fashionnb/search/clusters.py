"""Clusters of items that look alike, named by their distinctive attributes.

The vectors alone make the clusters, by k-means; the attributes only name them.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics import silhouette_score

from fashionnb.errors import DataError
from fashionnb.search.ranking import best, similarities

KS = (2, 3, 4, 6, 8, 12, 16, 24)
"""Numbers of clusters that "auto" tries."""

SAMPLE = 2000  # items whose silhouette chooses k: it compares all with all
COMMON = 0.3  # the share of a cluster that must have a value, for the value to be a trait
LIFTED = 1.3  # and how many times the share in the whole catalogue that must be
BATCH = 4096


def cluster_items(vectors: np.ndarray, k: int | str = "auto", seed: int = 0) -> np.ndarray:
    """Divide items into clusters by mini-batch k-means.

    Parameters
    ----------
    vectors : ndarray of shape (n, d), float32
        Each of length 1.
    k : int or "auto"
        How many clusters; "auto" is the number in `KS` with the highest mean silhouette for 2,000
        items.
    seed : int
        Of the first centres and of the sample.

    Returns
    -------
    ndarray of shape (n,), int64
        Cluster numbers, 0 for the largest; of equally large clusters, the one with the first item
        first.

    Raises
    ------
    DataError
        If k is below 1, above n, or another word than "auto".

    References
    ----------
    Sculley (2010), Web-Scale K-Means Clustering.
    """
    n = len(vectors)
    if k == "auto":
        k = _best_k(vectors[np.sort(np.random.default_rng(seed).permutation(n)[:SAMPLE])], seed)
    if not isinstance(k, int | np.integer) or not 1 <= k <= n:
        raise DataError(
            f"The number of groups is 'auto', or a whole number from 1 to {n} (the items); "
            f"got {k!r}."
        )
    return _largest_first(_k_means(vectors, min(int(k), _distinct(vectors)), seed))


@dataclass(frozen=True)
class Trait:
    """A value of an attribute that is more common in a cluster than in the whole catalogue.

    Attributes
    ----------
    column, value : str
    share : float
        The share of the cluster that has it.
    lift : float
        How many times the share in the whole catalogue that is.
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
    """Find the traits of each cluster, at most one value of a column.

    Values are ordered by share · log(lift), what each adds to the difference between the cluster
    and the whole. Unknown values ("") are no traits, but the items that have them count.

    Parameters
    ----------
    labels : ndarray of shape (n,), int64
        From 0, as `cluster_items` gives them.
    table : DataFrame of n rows
    columns : sequence of str
        The attributes, columns of the table.
    most : int
        Traits of a cluster, at most.

    Returns
    -------
    list of tuple of Trait
        One tuple per cluster, the most distinctive trait first; empty if there is none.
    """
    size = np.bincount(labels)
    found: list[list[tuple[float, Trait]]] = [[] for _ in size]
    for column in columns:
        counts = pd.crosstab(labels, table[column].to_numpy()).drop(columns="", errors="ignore")
        if counts.empty:
            continue
        share = counts.to_numpy() / size[:, None]
        usual = counts.to_numpy().sum(0) / len(table)
        distinctive = share * np.log(np.maximum(share, 1e-12) / usual)
        distinctive[(share < COMMON) | (share < LIFTED * usual)] = 0
        for number, value in enumerate(distinctive.argmax(1)):
            if distinctive[number, value] > 0:
                lift = float(share[number, value] / usual[value])
                trait = Trait(column, str(counts.columns[value]), float(share[number, value]), lift)
                found[number].append((distinctive[number, value], trait))
    ordered = [sorted(each, key=lambda one: -one[0])[:most] for each in found]
    return [tuple(trait for _, trait in each) for each in ordered]


def cluster_names(cluster_traits: Sequence[tuple[Trait, ...]]) -> list[str]:
    """Name each cluster by its traits' values, "mixed" without any; repeated names get a number."""
    seen: Counter[str] = Counter()
    names = []
    for some in cluster_traits:
        name = " · ".join(trait.value for trait in some) or "mixed"
        seen[name] += 1
        names.append(f"{name} ({seen[name]})" if seen[name] > 1 else name)
    return names


def cluster_table(
    labels: np.ndarray, vectors: np.ndarray, table: pd.DataFrame, columns: Sequence[str]
) -> pd.DataFrame:
    """The clusters as a table, see `fashionnb.search.recommend.Recommender.clusters`."""
    found, ids, items = traits(labels, table, columns), table["id"].to_numpy(), []
    for number in range(len(found)):
        rows = np.flatnonzero(labels == number)
        typical = similarities(vectors[rows], vectors[rows].mean(0))
        items.append(tuple(ids[rows[best(typical, len(rows))]]))
    distinctive = ["; ".join(map(str, each)) or "nothing: like the whole" for each in found]
    return pd.DataFrame(
        {
            "cluster": np.arange(len(items)),
            "name": cluster_names(found),
            "size": [len(each) for each in items],
            "stands_out": distinctive,
            "items": items,
        }
    )


def _best_k(sample: np.ndarray, seed: int) -> int:
    tried = [k for k in KS if k < _distinct(sample)] or [1]
    return tried[int(np.argmax([_silhouette(sample, _k_means(sample, k, seed)) for k in tried]))]


def _k_means(vectors: np.ndarray, k: int, seed: int) -> np.ndarray:
    return MiniBatchKMeans(k, random_state=seed, batch_size=BATCH, n_init=3).fit_predict(vectors)


def _distinct(vectors: np.ndarray) -> int:
    return len(np.unique(vectors, axis=0))  # k-means cannot separate copies


def _largest_first(labels: np.ndarray) -> np.ndarray:
    """The labels renumbered, the largest cluster first; empty clusters are dropped."""
    _, first, inverse, size = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((first, -size))
    return np.argsort(order)[inverse].astype(np.int64)


def _silhouette(vectors: np.ndarray, labels: np.ndarray) -> float:
    count = len(np.unique(labels))
    return float(silhouette_score(vectors, labels)) if 1 < count < len(labels) else -1.0
