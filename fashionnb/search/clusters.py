"""Clusters of items that look alike, named by their distinctive attributes.

The vectors alone make the clusters, by k-means; the attributes only name them.
"""

from collections.abc import Sequence

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
MOST_TRAITS = 3  # of a cluster
BATCH = 4096


def cluster_items(vectors: np.ndarray, k: int | str = "auto", seed: int = 0) -> np.ndarray:
    """Divide a catalogue's items into clusters of similar vectors by mini-batch k-means.

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


def traits(labels: np.ndarray, table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Find the traits of each cluster: attributes more common there than in the whole catalogue.

    A cluster has at most three, and at most one value of a column. They are ordered by
    share · log(lift), what each adds to the difference between the cluster and the whole. Unknown
    values ("") are no traits, but the items that have them count.

    Parameters
    ----------
    labels : ndarray of shape (n,), int64
        From 0, as `cluster_items` gives them.
    table : DataFrame of n rows
        The catalogue's table, one row per item.
    columns : sequence of str
        The attributes, columns of the table.

    Returns
    -------
    DataFrame
        One row per trait, the most distinctive first: `cluster`, `column`, `value`, `share` (the
        share of the cluster that has it) and `lift` (how many times the share in the whole
        catalogue that is).
    """
    items = table[[*columns]].assign(cluster=labels).melt("cluster", var_name="column")
    items["column"] = pd.Categorical(items["column"], columns)  # for the order of equal traits
    items = items[items["value"] != ""]
    found = items.groupby(["cluster", "column", "value"], observed=True).size()
    found = found.rename("count").reset_index()
    everywhere = found.groupby(["column", "value"], observed=True)["count"].transform("sum")
    usual = everywhere / len(table)
    found["share"] = found.pop("count") / np.bincount(labels)[found["cluster"]]
    found["lift"] = found["share"] / usual
    found["distinctive"] = found["share"] * np.log(found["lift"])
    found = found[(found["share"] >= COMMON) & (found["share"] >= LIFTED * usual)]
    found = found.sort_values("distinctive", ascending=False, kind="stable")
    found = found.drop_duplicates(["cluster", "column"]).drop(columns="distinctive")
    return found.groupby("cluster").head(MOST_TRAITS)


def cluster_table(
    labels: np.ndarray, vectors: np.ndarray, table: pd.DataFrame, columns: Sequence[str]
) -> pd.DataFrame:
    """Make the table of clusters: the name, size, distinctive attributes and items of each.

    A cluster is named by its traits, or "mixed" without any; of equal names the later get a number.

    Parameters
    ----------
    labels : ndarray of shape (n,), int64
        Cluster numbers from 0, as `cluster_items` gives them.
    vectors : ndarray of shape (n, d), float32
        One per item, each of length 1.
    table : DataFrame of n rows
        The catalogue's table, one row per item, with the column `id`.
    columns : sequence of str
        The attributes that name clusters, columns of the table.

    Returns
    -------
    DataFrame
        One row per cluster, with the columns of `fashionnb.search.recommend.Recommender.clusters`.
    """
    found = traits(labels, table, columns)
    ids = table["id"].to_numpy()
    clusters = []
    for number in range(labels.max() + 1):
        mine = found[found["cluster"] == number]
        distinctive = [
            f"{trait.column} {trait.value} ({trait.share:.0%}, {trait.lift:.1f} times the usual)"
            for trait in mine.itertuples()
        ]
        rows = np.flatnonzero(labels == number)
        typical = similarities(vectors[rows], vectors[rows].mean(0))
        clusters.append(
            {
                "cluster": number,
                "name": " · ".join(mine["value"]) or "mixed",
                "size": len(rows),
                "stands_out": "; ".join(distinctive) or "nothing: like the whole",
                "items": tuple(ids[rows[best(typical, len(rows))]]),
            }
        )
    made = pd.DataFrame(clusters)
    earlier = made.groupby("name").cumcount()
    made.loc[earlier > 0, "name"] += " (" + (earlier + 1).astype(str) + ")"
    return made


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
