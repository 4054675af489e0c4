"""Recall@k, Precision@1, MRR, MAP@R, MAP@k of an embedding, and its exact nearest neighbours.

Exact and by brute force, because this measures an embedding; a large catalogue is searched with
`fashionnb.search.index`.

One rule for ties: distances that are equal in float32 are ranked by gallery index, the lower
first. A model that maps everything to one point therefore gets the score of the gallery's order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fashionnb.arrays import check_labels
from fashionnb.errors import DataError
from fashionnb.evaluation.neighbours import (
    Array,
    check_vectors,
    nearest_neighbours,
    strips,
    vectors,
)


@dataclass(frozen=True, eq=False)
class Retrieval:
    """Retrieval metrics of each query: recall, precision, reciprocal rank and average precision.

    Parameters
    ----------
    per_query : dict of str to ndarray of shape (m,), float64
        For each metric one value for each query that has a positive in the gallery.
    queries : ndarray of shape (m,), int64
        Which rows of the queries those are; `labels[result.queries]` are their classes.
    excluded : int
        How many queries have no positive, and so no score.
    """

    per_query: dict[str, np.ndarray]
    queries: np.ndarray
    excluded: int

    def mean(self) -> dict[str, float]:
        """Average each metric over the queries."""
        return {metric: float(values.mean()) for metric, values in self.per_query.items()}


def retrieval(
    queries: Array,
    query_labels: Array,
    gallery: Array | None = None,
    gallery_labels: Array | None = None,
    *,
    ks: Sequence[int] = (1, 5, 10),
    metric: str = "euclidean",
) -> Retrieval:
    """Compute Recall@k, Precision@1, MRR, MAP@R and MAP@k of a retrieval by embeddings.

    The gallery is ranked by distance for each query, and items with the query's label are the
    positives. For a query with R positives in the gallery:

    - `recall@k`: 1 if any positive is among the first k, else 0. A k beyond the gallery means the
      whole gallery.
    - `precision@1`: 1 if the first is a positive; the same as `recall@1`.
    - `mrr`: 1 / rank of the first positive.
    - `map@r`: the mean, over the first R places, of the precision up to a place that holds a
      positive, and of 0 elsewhere. It divides by R, not by the number of hits.
    - `map@k`: the mean of the precision up to each of the first k places that holds a positive; 0
      without any. It divides by the number of hits, so one hit in the first place scores as high
      as k hits.

    With one class only, every score is 1.

    Parameters
    ----------
    queries : array of shape (q, d)
        Embeddings of the items that are searched by.
    query_labels : array of shape (q,)
        Their classes.
    gallery : array of shape (g, d), optional
        Embeddings that are ranked. Without a gallery each query is ranked against all others; it
        is left out of its own ranking by its index, not by its distance of 0, so that true
        duplicates count.
    gallery_labels : array of shape (g,), optional
        The classes of the gallery.
    ks : sequence of int
        The k of recall@k and map@k, each 1 or more.
    metric : {"euclidean", "cosine"}
        The distance by which the gallery is ranked.

    Returns
    -------
    Retrieval
        The scores of each query; a query without a positive is excluded and counted.

    Raises
    ------
    DataError
        If shapes disagree, an array is empty or has NaN, a k is below 1, or no query has a
        positive.

    References
    ----------
    Musgrave, Belongie & Lim (2020), A Metric Learning Reality Check, section 3: MAP@R.
    """
    if (gallery is None) != (gallery_labels is None):
        raise DataError(
            "A gallery comes with its labels: give both gallery and gallery_labels, or neither."
        )
    if bad := [k for k in ks if k < 1]:
        raise DataError(f"recall@{bad[0]} means nothing: every k in ks must be 1 or more.")
    leave_one_out = gallery is None
    q, g = _both_sides(queries, gallery, metric)
    query_class, gallery_class = _both_classes(query_labels, len(q), gallery_labels, len(g))
    class_size = torch.bincount(gallery_class, minlength=int(query_class.max()) + 1)
    positives = class_size[query_class] - int(leave_one_out)
    kept = (positives > 0).nonzero()[:, 0]
    if not len(kept):
        raise DataError(
            f"None of the {len(q)} queries has an item of its class in the gallery: nothing to "
            "measure."
        )
    # The query itself, last in its own ranking, is in no list of the first k.
    reaches = {k: min(k, len(g) - int(leave_one_out)) for k in ks}
    parts = []
    for rows, distances in strips(q[kept], g):
        query = kept[rows]
        keys = order_keys(distances, query if leave_one_out else None)
        parts.append(_scores(keys, gallery_class, query_class[query], positives[query], reaches))
    scores = {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}
    return Retrieval(scores, kept.numpy(), len(q) - len(kept))


def neighbours(
    queries: Array, gallery: Array | None = None, k: int = 5, metric: str = "euclidean"
) -> tuple[np.ndarray, np.ndarray]:
    """Find the k nearest items of each query, as a retrieval ranks them.

    Parameters
    ----------
    queries : array of shape (q, d)
        Embeddings of the items that are searched by.
    gallery : array of shape (g, d), optional
        Embeddings that are searched. Without a gallery: the other queries.
    k : int
        How many items, from 1 to the number that there are to choose from.
    metric : {"euclidean", "cosine"}
        "cosine" is 1 - cosine similarity, 0 to 2.

    Returns
    -------
    indices : ndarray of shape (q, k), int64
        Rows of the gallery.
    distances : ndarray of shape (q, k), float32
        From the query, by the metric.

    Raises
    ------
    DataError
        As `retrieval`, or if the gallery has fewer than k items to choose from.
    """
    q = check_vectors(queries, "queries", metric)
    g = None if gallery is None else check_vectors(gallery, "gallery", metric)
    available = len(q) - 1 if g is None else len(g)
    if not 1 <= k <= available:
        raise DataError(
            f"k = {k} neighbours were asked for, but each query has {available} to choose from."
        )
    rows, squared = nearest_neighbours(q, g, k)
    distances = squared / 2 if metric == "cosine" else np.sqrt(squared)
    return rows, distances.astype(np.float32)


def order_keys(distances: Tensor, itself: Tensor | None) -> Tensor:
    """Convert a retrieval's distances to integers that sort by distance, then by gallery index.

    All keys of a row are different. A key holds the float32 distance in its upper 32 bits
    (non-negative floats sort as their bits do) and the index in its lower.

    Parameters
    ----------
    distances : Tensor of shape (r, g), float
        Non-negative, as `fashionnb.evaluation.neighbours.strips` yields them; changed in place.
    itself : Tensor of shape (r,), int64, or None
        The index of each query in the gallery, if it is there: it comes last in its own row.

    Returns
    -------
    Tensor of shape (r, g), int64
        The keys; the lowest of a row is the nearest.
    """
    if itself is not None:
        distances[torch.arange(len(itself)), itself] = torch.inf
    bits = distances.float().view(torch.int32).long()
    return bits.bitwise_left_shift_(32).bitwise_or_(torch.arange(distances.shape[1]))


def _index(keys: Tensor) -> Tensor:
    return keys & (2**32 - 1)


def _scores(
    keys: Tensor, gallery_class: Tensor, query_class: Tensor, r: Tensor, reaches: dict[int, int]
) -> dict[str, Tensor]:
    """All metrics of some queries, from the keys that order the gallery for each."""
    query_class = query_class[:, None]
    positive = gallery_class == query_class
    nearest = torch.where(positive, keys, torch.iinfo(torch.int64).max).amin(1, keepdim=True)
    rank = (keys <= nearest).sum(
        1
    )  # of the nearest positive; never the query itself, which is last
    places = max(int(r.max()), *reaches.values(), 1)
    precision = _precision_at_hits(keys, gallery_class, query_class, places)
    within_r = torch.arange(places) < r[:, None]
    scores = {f"recall@{k}": (rank <= k).double() for k in reaches}
    scores |= {"precision@1": (rank == 1).double(), "mrr": 1 / rank.double()}
    scores["map@r"] = (precision * within_r).sum(1) / r
    for k, reach in reaches.items():
        hits = (precision[:, :reach] > 0).sum(1)
        scores[f"map@{k}"] = precision[:, :reach].sum(1) / hits.clamp_min(1)
    return scores


def _precision_at_hits(
    keys: Tensor, gallery_class: Tensor, query_class: Tensor, places: int
) -> Tensor:
    """The precision up to each place that holds a positive, 0 at the others, (r, places)."""
    ranked = keys.topk(places, largest=False).values
    place = torch.arange(1, places + 1, dtype=torch.float64)
    hit = gallery_class[_index(ranked)] == query_class
    return hit * hit.cumsum(1) / place


def _both_sides(queries: Array, gallery: Array | None, metric: str) -> tuple[Tensor, Tensor]:
    q = vectors(queries, "queries", metric)
    return q, q if gallery is None else vectors(gallery, "gallery", metric)


def _both_classes(
    query_labels: Array, q: int, gallery_labels: Array | None, g: int
) -> tuple[Tensor, Tensor]:
    """Labels as numbers from 0, the same numbers on both sides."""
    labels = check_labels(query_labels, q, "query_labels")
    if gallery_labels is None:
        numbers = torch.from_numpy(np.unique(labels, return_inverse=True)[1])
        return numbers, numbers
    both = np.concatenate([labels, check_labels(gallery_labels, g, "gallery_labels")])
    numbers = torch.from_numpy(np.unique(both, return_inverse=True)[1])
    return numbers[:q], numbers[q:]
