"""Near duplicates in a catalogue: the same file, a smaller copy, the same garment again.

How near "the same" is depends on the model and the pictures, so the threshold comes from examples:
`threshold_from` takes items with a copy of each. The search is exact, and its memory grows with the
number of near pairs. For millions of items, search an approximate `fashionnb.search.index.Index`
for the neighbours of each instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.cluster import DBSCAN

from fashionnb.errors import DataError
from fashionnb.evaluation.neighbours import (
    SAME,
    Array,
    check_vectors,
    nearest_neighbours,
    squared_distances,
)


def near_duplicates(embeddings: Array, ids: Sequence[str], threshold: float) -> pd.DataFrame:
    """Group the near duplicates of a catalogue: items no farther apart than a threshold.

    Two items are in one group if a chain of near items leads from one to the other (single
    linkage), so the two ends of a long chain may be farther apart: look at the largest groups
    before anything is deleted.

    Parameters
    ----------
    embeddings : array of shape (n, d), any real numbers
        One per item, none of length 0.
    ids : sequence of n str
        Of the items.
    threshold : float
        The largest distance of two copies, as 1 - cosine similarity (0 to 2); 0 finds equal
        directions. See `threshold_from`.

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
    x = check_vectors(embeddings, "embeddings", "cosine")
    if len(ids) != len(x) or not len(x):
        raise DataError(
            f"Expected one id for each of {len(x)} embeddings, at least one; got {len(ids)} ids."
        )
    if not threshold >= 0:
        raise DataError(f"The threshold is a distance, 0 or more; got {threshold!r}.")
    nearest = _distance_to_nearest(x)
    rows = np.flatnonzero(nearest <= np.float32(threshold))
    group = rows
    if len(rows):
        # With one item enough for a group, its groups are the chains within a Euclidean distance.
        near = np.sqrt(2 * threshold) + SAME
        group = DBSCAN(near, min_samples=1, algorithm="brute").fit_predict(x[rows])
    found = pd.DataFrame(
        {"group": group, "id": np.asarray(ids, dtype=object)[rows], "distance": nearest[rows]}
    )
    size = found.groupby("group")["id"].transform("size")
    found = found.assign(size=-size)[size > 1].sort_values(["size", "group"], kind="stable")
    found["group"] = pd.factorize(found["group"])[0]
    return found.drop(columns="size").reset_index(drop=True)


@dataclass(frozen=True)
class Threshold:
    """Threshold of distance up to which two items count as near duplicates, with its errors.

    Parameters
    ----------
    distance : float
        The threshold, as 1 - cosine similarity (0 to 2).
    missed : float
        Share of the copies that are farther apart, 0 to 1.
    mistaken : float
        Share of the items that have a different item within this distance, 0 to 1.
    """

    distance: float
    missed: float
    mistaken: float


def threshold_from(embeddings: Array, copies: Array) -> Threshold:
    """Find the threshold for near duplicates with the fewest errors, from items and their copies.

    Copies are easily made: save the pictures again as small JPEG files, crop them a little, and
    embed both. For each item two distances count: to its copy, which should be within the
    threshold, and to the nearest *other* item, which should not. Real duplicates among the items
    count as errors here, so leave out those that are known.

    Parameters
    ----------
    embeddings, copies : array of shape (n, d), any real numbers
        n is at least 2; row i of both is the same item.

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
    x = check_vectors(embeddings, "embeddings", "cosine")
    y = check_vectors(copies, "copies", "cosine")
    if x.shape != y.shape or len(x) < 2:
        raise DataError(
            f"Expected a copy of each item and two items or more, got {len(x)} items and "
            f"{len(y)} copies, of {x.shape[1]} and {y.shape[1]} dimensions."
        )
    copy = _cosine_distance(squared_distances(x, y, np.arange(len(x))[:, None])[:, 0])
    other = _distance_to_nearest(x)
    seen = np.unique(np.concatenate([copy, other]))
    # Between two neighbouring distances all thresholds are equal.
    tried = np.concatenate([[seen[0] / 2], (seen[:-1] + seen[1:]) / 2, seen[-1:]])
    missed = 1 - np.searchsorted(np.sort(copy), tried, side="right") / len(x)
    mistaken = np.searchsorted(np.sort(other), tried, side="right") / len(x)
    best = int(np.argmin(np.round((missed + mistaken) * len(x))))
    return Threshold(float(tried[best]), float(missed[best]), float(mistaken[best]))


def _distance_to_nearest(x: np.ndarray) -> np.ndarray:
    """From each item to the nearest other, (n,) float32."""
    if len(x) < 2:
        return np.full(len(x), np.inf, np.float32)
    return _cosine_distance(nearest_neighbours(x, None, 1)[1][:, 0])


def _cosine_distance(squared: np.ndarray) -> np.ndarray:
    """1 - cosine similarity, float32, from squared distances between vectors of length 1.

    Distances below a millionth are rounding, and count as 0.
    """
    return np.where(squared <= SAME**2, 0, squared / 2).astype(np.float32)
