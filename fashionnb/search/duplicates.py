"""Near duplicates in a catalogue: the same file, a smaller copy, the same garment again.

How near "the same" is depends on the model and the pictures, so the threshold comes from examples:
`threshold_from` takes items with a copy of each. The search is exact. For millions of items, search
an approximate `fashionnb.search.index.Index` for the neighbours of each instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from fashionnb.errors import DataError
from fashionnb.evaluation.neighbours import (
    SAME,
    check_vectors,
    nearest_neighbours,
    slices,
    squared_distances,
)

FIRST_K = 8  # neighbours that are looked at first; more where all of these are near
MOST_PAIRS = 1_000_000  # of an item and a neighbour, at a time


def near_duplicates(
    embeddings: np.ndarray | Tensor,
    ids: Sequence[str],
    threshold: float,
    *,
    metric: str = "cosine",
) -> pd.DataFrame:
    """Group the items that are no farther apart than a threshold.

    Two items are in one group if a chain of near items leads from one to the other (single
    linkage), so the two ends of a long chain may be farther apart: look at the largest groups
    before anything is deleted.

    Parameters
    ----------
    embeddings : array of shape (n, d), any real numbers
    ids : sequence of n str
    threshold : float
        The largest distance of two copies; 0 finds equal vectors. See `threshold_from`.
    metric : {"cosine", "euclidean"}
        "cosine" is 1 - cosine similarity (0 to 2).

    Returns
    -------
    DataFrame
        One row per item that has a near duplicate: `group` (from 0, the largest group first, then
        by the first item), `id`, and `distance` to the nearest other item (float). Within a group
        in the order of `ids`.

    Raises
    ------
    DataError
        If `fashionnb.evaluation.neighbours.check_vectors` refuses the embeddings, there is not one
        id for each, or the threshold is not a distance.
    """
    x = check_vectors(embeddings, "embeddings", metric)
    if len(ids) != len(x) or not len(x):
        raise DataError(
            f"Expected one id for each of {len(x)} embeddings, at least one; got {len(ids)} ids."
        )
    if not threshold >= 0:
        raise DataError(f"The threshold is a distance, 0 or more; got {threshold!r}.")
    nearest = _distance_to_nearest(x, metric)
    threshold = np.float32(threshold)
    group = _groups(x, np.flatnonzero(nearest <= threshold), threshold, metric)
    return _table(group, np.asarray(ids, dtype=object), nearest)


@dataclass(frozen=True)
class Threshold:
    """The distance that separates copies from different items, and its errors.

    Attributes
    ----------
    distance : float
        The threshold, in the unit of the metric.
    missed : float
        Share of the copies that are farther apart.
    mistaken : float
        Share of the items that have a different item within this distance.
    """

    distance: float
    missed: float
    mistaken: float


def threshold_from(
    embeddings: np.ndarray | Tensor,
    copies: np.ndarray | Tensor,
    *,
    metric: str = "cosine",
) -> Threshold:
    """Find the threshold with the fewest errors, from items and a copy of each.

    Copies are easily made: save the pictures again as small JPEG files, crop them a little, and
    embed both. For each item two distances count: to its copy, which should be within the
    threshold, and to the nearest *other* item, which should not. Real duplicates among the items
    count as errors here, so leave out those that are known.

    Parameters
    ----------
    embeddings, copies : array of shape (n, d), any real numbers
        n is at least 2; row i of both is the same item.
    metric : {"cosine", "euclidean"}
        As in `near_duplicates`.

    Returns
    -------
    Threshold
        Halfway between two of those distances, where both errors together are the fewest; of
        several such places the smallest.

    Raises
    ------
    DataError
        If the shapes disagree, there are fewer than two items, or
        `fashionnb.evaluation.neighbours.check_vectors` refuses either.
    """
    x, y = (
        check_vectors(embeddings, "embeddings", metric),
        check_vectors(copies, "copies", metric),
    )
    if x.shape != y.shape or len(x) < 2:
        raise DataError(
            f"Expected a copy of each item and two items or more, got {len(x)} items and "
            f"{len(y)} copies, of {x.shape[1]} and {y.shape[1]} dimensions."
        )
    copy = _in_metric(squared_distances(x, y, np.arange(len(x))[:, None]), y, metric)[:, 0]
    other = _distance_to_nearest(x, metric)
    seen = np.unique(np.concatenate([copy, other]))
    # Between two neighbouring distances all thresholds are equal.
    tried = np.concatenate([[seen[0] / 2], (seen[:-1] + seen[1:]) / 2, seen[-1:]])
    missed = 1 - np.searchsorted(np.sort(copy), tried, side="right") / len(x)
    mistaken = np.searchsorted(np.sort(other), tried, side="right") / len(x)
    best = int(np.argmin(np.round((missed + mistaken) * len(x))))
    return Threshold(float(tried[best]), float(missed[best]), float(mistaken[best]))


def _distance_to_nearest(x: np.ndarray, metric: str) -> np.ndarray:
    """From each item to the nearest other, (n,) float32."""
    if len(x) < 2:
        return np.full(len(x), np.inf, np.float32)
    return _in_metric(nearest_neighbours(x, None, 1)[1], x, metric)[:, 0]


def _groups(x: np.ndarray, rows: np.ndarray, threshold: np.float32, metric: str) -> np.ndarray:
    """The group of each item, (n,), by the row of its first item. `rows` have a near item."""
    group, k = np.arange(len(x)), min(FIRST_K, len(x))
    while len(rows) and group.any():
        crowded = []
        for part in slices(len(rows), max(1, MOST_PAIRS // k)):
            queries = x[rows[part]]
            neighbours, squared = nearest_neighbours(queries, x, k)
            near = _in_metric(squared, queries, metric) <= threshold
            item, place = np.nonzero(near)
            group = _join(group, rows[part][item], neighbours[item, place])
            crowded.append(rows[part][near.all(1)])
        # Where all k neighbours are near, there may be more.
        rows = np.concatenate(crowded) if k < len(x) else rows[:0]
        k = min(4 * k, len(x))
    return group


def _in_metric(squared: np.ndarray, queries: np.ndarray, metric: str) -> np.ndarray:
    """Squared distances (q, k) from the queries as float32 distances in the unit of the metric.

    Distances below a millionth of the query's length are rounding, and count as 0.
    """
    rounding = SAME**2 * np.einsum("nd,nd->n", queries, queries, dtype=np.float64)
    squared = np.where(squared <= rounding[:, None], 0, squared)
    return (np.sqrt(squared) if metric == "euclidean" else squared / 2).astype(np.float32)


def _join(group: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Join the groups (n,) of these pairs of rows."""
    rows = np.concatenate([rows, np.arange(len(group))])
    columns = np.concatenate([columns, group])
    links = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(len(group), len(group)))
    number = connected_components(links, directed=False)[1]
    return np.unique(number, return_index=True)[1][number]


def _table(group: np.ndarray, ids: np.ndarray, nearest: np.ndarray) -> pd.DataFrame:
    size = np.bincount(group)[group]
    rows = np.flatnonzero(size > 1)
    rows = rows[np.lexsort((rows, group[rows], -size[rows]))]
    number = np.cumsum(np.diff(group[rows], prepend=group[rows[:1]]) != 0)
    return pd.DataFrame({"group": number, "id": ids[rows], "distance": nearest[rows]})
