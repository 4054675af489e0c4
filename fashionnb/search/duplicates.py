"""Items that are the same twice: the same file, the same photo made smaller, the same garment photographed again.

How near is "the same" depends on the model and on the pictures, so the threshold comes from examples: `threshold_from`
takes items that are known to be copies and says where they part from the others. It compares every item with every
other, exactly; for millions of items ask a `fashionnb.search.index.Index` for each one's neighbours instead.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from fashionnb.errors import DataError
from fashionnb.evaluation.distances import CHUNK_BYTES, SAME, strips, vectors

MOST_PAIRS = 1_000_000  # near pairs that are kept before they are folded into groups


def near_duplicates(
    embeddings: np.ndarray | Tensor,
    ids: Sequence[str],
    threshold: float,
    *,
    metric: str = "cosine",
    chunk_bytes: int = CHUNK_BYTES,
) -> pd.DataFrame:
    """Group the items that are no farther apart than `threshold`. Introduced in chapter 06.

    Two items are in one group if a chain of near items leads from one to the other (single linkage), so the two ends of
    a long chain may be farther apart: look at the largest groups before anything is deleted.

    Parameters
    ----------
    embeddings, ids : (n, d), and the n names of the items.
    threshold : the largest distance of two copies; 0 finds equal vectors. See `threshold_from`.
    metric : "cosine" for 1 - cosine similarity (0 to 2), or "euclidean".
    chunk_bytes : memory for one strip of distances. It changes the speed, not the result.

    Returns
    -------
    One row per item that has a near duplicate: `group` (from 0, the largest group first, then by the first item), `id`,
        and `distance` to the nearest other item (float). Within a group in the order of `ids`.

    Raises
    ------
    DataError : shapes disagree, nothing there, NaN, or a threshold that is no distance.
    """
    x = vectors(embeddings, "embeddings", metric)
    if len(ids) != len(x):
        raise DataError(f"Expected one id for each of {len(x)} embeddings, got {len(ids)} ids.")
    if not threshold >= 0:
        raise DataError(f"The threshold is a distance, 0 or more; got {threshold!r}.")
    group, nearest, near, waiting = np.arange(len(x)), np.empty(len(x)), [], 0
    for start, distances in _to_others(x, metric, chunk_bytes):
        nearest[start : start + len(distances)] = distances.min(1)
        rows, columns = np.nonzero(distances <= np.float32(threshold))
        near.append((rows + start, columns))
        waiting += len(rows)
        if waiting > MOST_PAIRS:
            group, near, waiting = _joined(group, near), [], 0
    return _table(_joined(group, near), np.asarray(ids, dtype=object), nearest)


@dataclass(frozen=True)
class Threshold:
    """Where copies part from different items. Introduced in chapter 06.

    distance : the threshold, in the unit of the metric. missed : share of the copies that are farther apart.
    mistaken : share of the items that have a different item within this distance.
    """

    distance: float
    missed: float
    mistaken: float


def threshold_from(
    embeddings: np.ndarray | Tensor,
    copies: np.ndarray | Tensor,
    *,
    metric: str = "cosine",
    chunk_bytes: int = CHUNK_BYTES,
) -> Threshold:
    """The threshold with the fewest mistakes, from items and a copy of each. Introduced in chapter 06.

    Copies are easily made: save the pictures again as small JPEG files, cut off an edge, and embed both. For each item
    two distances count: to its copy, which should be within the threshold, and to the nearest *other* item, which
    should not. Real duplicates among the items count as mistakes here, so leave out those that are known.

    Parameters
    ----------
    embeddings, copies : (n, d) each, n at least 2; row i of both is the same item.
    metric, chunk_bytes : as in `near_duplicates`.

    Returns
    -------
    Threshold : halfway between two of those distances, where misses and mistakes together are the fewest; of several
        such places the smallest.

    Raises
    ------
    DataError : shapes disagree, fewer than two items, NaN.
    """
    x, y = vectors(embeddings, "embeddings", metric), vectors(copies, "copies", metric)
    if len(x) != len(y) or len(x) < 2:
        raise DataError(
            f"Expected a copy of each item and two items or more, got {len(x)} items and {len(y)} copies."
        )
    apart = (x - y).norm(dim=1)
    copy = _in_metric(apart.masked_fill(apart <= SAME * y.norm(dim=1), 0.0), metric)
    other = np.concatenate(
        [distances.min(1) for _, distances in _to_others(x, metric, chunk_bytes)]
    )
    seen = np.unique(np.concatenate([copy, other]))
    # Between two distances that follow each other all thresholds are alike.
    tried = np.concatenate([[seen[0] / 2], (seen[:-1] + seen[1:]) / 2, seen[-1:]])
    missed = 1 - np.searchsorted(np.sort(copy), tried, side="right") / len(x)
    mistaken = np.searchsorted(np.sort(other), tried, side="right") / len(x)
    best = int(np.argmin(np.round((missed + mistaken) * len(x))))
    return Threshold(float(tried[best]), float(missed[best]), float(mistaken[best]))


def _to_others(x: Tensor, metric: str, chunk_bytes: int) -> Iterator[tuple[int, np.ndarray]]:
    """Strips of distances from items to all items, each with the number of its first; infinite to the item itself.

    In float32: what is equal there counts as equal, as in `fashionnb.evaluation.retrieval`.
    """
    for rows, distances in strips(x, x, chunk_bytes):
        strip = _in_metric(distances, metric)
        strip[np.arange(len(strip)), np.arange(rows.start, rows.stop)] = (
            np.inf
        )  # by its place: real copies are at 0 too
        yield rows.start, strip


def _in_metric(distances: Tensor, metric: str) -> np.ndarray:
    """Euclidean distances, changed in place, as float32 in the unit of the metric: 1 - cosine is half the square."""
    return (distances if metric == "euclidean" else distances.square_() / 2).float().numpy()


def _joined(group: np.ndarray, near: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Join the groups of these pairs. A group (n,) is known by its first item; each item is linked to it once more."""
    rows, columns = (
        np.concatenate(side) for side in zip(*near, (np.arange(len(group)), group), strict=True)
    )
    links = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(len(group), len(group)))
    number = connected_components(links, directed=False)[1]
    return np.unique(number, return_index=True)[1][number]


def _table(group: np.ndarray, ids: np.ndarray, nearest: np.ndarray) -> pd.DataFrame:
    size = np.bincount(group)[group]
    rows = np.flatnonzero(size > 1)
    rows = rows[np.lexsort((rows, group[rows], -size[rows]))]
    number = np.cumsum(np.diff(group[rows], prepend=group[rows[:1]]) != 0)
    return pd.DataFrame({"group": number, "id": ids[rows], "distance": nearest[rows]})
