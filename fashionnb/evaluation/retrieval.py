"""Are an item's nearest neighbours of its own class? Recall@k, Precision@1, MRR, MAP@R, MAP@k, and the neighbours.

Exact and brute force: this measures an embedding. Searching a large catalogue quickly is another matter.

One rule for ties everywhere: distances that are equal in float32 are ranked by gallery index, the lower first. A model
that maps everything to one point therefore gets the score of the gallery's order, not a lucky one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fashionnb.errors import DataError
from fashionnb.evaluation.distances import CHUNK_BYTES, one_per_row, strips, vectors

Array = np.ndarray | Tensor


@dataclass(frozen=True, eq=False)
class Retrieval:
    """What `retrieval` found, query by query. Introduced in chapter 02.

    per_query : metric name -> (m,) float64, one value for each query that has a positive in the gallery.
    queries : (m,) int64, which rows of the queries those are; `labels[result.queries]` are their classes.
    excluded : how many queries have no positive, and so no score.
    """

    per_query: dict[str, np.ndarray]
    queries: np.ndarray
    excluded: int

    def mean(self) -> dict[str, float]:
        """Each metric averaged over the queries."""
        return {metric: float(values.mean()) for metric, values in self.per_query.items()}


def retrieval(
    queries: Array,
    query_labels: Array,
    gallery: Array | None = None,
    gallery_labels: Array | None = None,
    *,
    ks: Sequence[int] = (1, 5, 10),
    metric: str = "euclidean",
    chunk_bytes: int = CHUNK_BYTES,
) -> Retrieval:
    """Rank the gallery for each query, and score where the query's own class (its positives) comes.

    Introduced in chapter 02. For a query with R positives in the gallery:

    - `recall@k`: 1 if any positive is among the first k, else 0. A k beyond the gallery means the whole gallery.
    - `precision@1`: 1 if the first is a positive; the same as `recall@1`.
    - `mrr`: 1 / rank of the first positive, however deep it lies.
    - `map@r`: the mean, over the first R places, of "precision so far" where there is a positive and 0 elsewhere. It
      divides by R, not by the hits found (Musgrave, Belongie & Lim 2020, "A Metric Learning Reality Check", section 3).
    - `map@k`: the mean of "precision so far" over those of the first k places that hold a positive; 0 if none does. It
      divides by the hits found, so one hit in the first place scores as high as k hits.

    With one class only, every score is 1.

    Parameters
    ----------
    queries, query_labels : (q, d) embeddings and (q,) labels.
    gallery, gallery_labels : (g, d) and (g,). Without them each query is ranked against all others; it is left out of
        its own ranking by its index, not by its distance of 0, so that true duplicates count.
    ks : the k of recall@k and map@k.
    metric : "euclidean" or "cosine".
    chunk_bytes : memory for one strip of distances. It changes the speed, not the result.

    Returns
    -------
    Retrieval : scores per query. A query without a positive is excluded and counted.

    Raises
    ------
    DataError : shapes disagree, nothing there, NaN, a k below 1, or no query with a positive.
    """
    if (gallery is None) != (gallery_labels is None):
        raise DataError(
            "A gallery comes with its labels: give both gallery and gallery_labels, or neither."
        )
    if bad := [k for k in ks if k < 1]:
        raise DataError(f"recall@{bad[0]} means nothing: every k in ks must be 1 or more.")
    leave_one_out = gallery is None
    q, g = _both_sides(queries, gallery, metric)
    query_class, gallery_class = _classes(
        one_per_row(query_labels, len(q), "query_labels"),
        None if leave_one_out else one_per_row(gallery_labels, len(g), "gallery_labels"),
    )
    class_size = torch.bincount(gallery_class, minlength=int(query_class.max()) + 1)
    positives = class_size[query_class] - int(leave_one_out)
    kept = (positives > 0).nonzero()[:, 0]
    if not len(kept):
        raise DataError(
            f"None of the {len(q)} queries has an item of its class in the gallery: nothing to measure."
        )

    rank, at_r = (
        torch.empty(len(kept), dtype=torch.int64),
        torch.empty(len(kept), dtype=torch.float64),
    )
    # The query itself, last in its own ranking, is in no list of the first k.
    reaches = {k: min(k, len(g) - int(leave_one_out)) for k in ks}
    at_k = {k: torch.empty(len(kept), dtype=torch.float64) for k in ks}
    for rows, distances in strips(q[kept], g, chunk_bytes):
        itself = kept[rows] if leave_one_out else None
        order = order_keys(distances, itself)
        mine = query_class[kept[rows], None]
        rank[rows] = _rank_of_first_positive(order, gallery_class == mine)
        r = positives[kept[rows]]
        precision = _precision_at_hits(
            order, gallery_class, mine, max(int(r.max()), *reaches.values(), 1)
        )
        at_r[rows] = (precision * (torch.arange(precision.shape[1]) < r[:, None])).sum(1) / r
        for k, reach in reaches.items():
            hits = (precision[:, :reach] > 0).sum(1)
            at_k[k][rows] = precision[:, :reach].sum(1) / hits.clamp_min(1)

    first = rank.numpy()
    scores = {f"recall@{k}": (first <= k).astype(float) for k in ks}
    scores |= {"precision@1": (first == 1).astype(float), "mrr": 1 / first, "map@r": at_r.numpy()}
    scores |= {f"map@{k}": values.numpy() for k, values in at_k.items()}
    return Retrieval(scores, kept.numpy(), len(q) - len(kept))


def neighbours(
    queries: Array,
    gallery: Array | None = None,
    k: int = 5,
    metric: str = "euclidean",
    *,
    chunk_bytes: int = CHUNK_BYTES,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the k nearest of the gallery for each query, nearest first. Introduced in chapter 01.

    Parameters
    ----------
    queries, gallery : (q, d) and (g, d). Without a gallery: the other queries.
    k : how many.
    metric : "euclidean", or "cosine" for 1 - cosine similarity (0 to 2).

    Returns
    -------
    indices, distances : (q, k) int64 rows of the gallery, and (q, k) float32.

    Raises
    ------
    DataError : as `retrieval`, or the gallery has fewer than k items to choose from.
    """
    q, g = _both_sides(queries, gallery, metric)
    available = len(g) - int(gallery is None)
    if not 1 <= k <= available:
        raise DataError(
            f"k = {k} neighbours were asked for, but each query has {available} to choose from."
        )
    nearest = torch.empty(len(q), k, dtype=torch.int64)
    for rows, distances in strips(q, g, chunk_bytes):
        itself = torch.arange(rows.start, rows.stop) if gallery is None else None
        nearest[rows] = order_keys(distances, itself).topk(k, largest=False).values
    distances = _distance(nearest)
    return _index(nearest).numpy(), (
        distances if metric == "euclidean" else distances.square() / 2
    ).numpy()


def knn_predict(
    train: Array, train_labels: Array, queries: Array, k: int = 5, metric: str = "euclidean"
) -> np.ndarray:
    """Give each query the label of most of its k nearest training items. Introduced in chapter 01.

    Where several labels have the most votes, the one whose item is nearest wins.

    Returns
    -------
    labels : (q,), of the type of `train_labels`.

    Raises
    ------
    DataError : as `neighbours`.
    """
    labels = one_per_row(train_labels, len(train), "train_labels")
    near = labels[neighbours(queries, train, k, metric)[0]]
    votes = sum(
        (near == near[:, [i]]).astype(int) for i in range(k)
    )  # (q, k): how many neighbours agree with each
    return near[
        np.arange(len(near)), votes.argmax(1)
    ]  # argmax takes the first of equals, and that is the nearest


def order_keys(distances: Tensor, itself: Tensor | None) -> Tensor:
    """Make each distance an integer, so that keys sort by distance and then by index, and no two of a row are equal.

    Introduced in chapter 02. The key holds the distance in its upper 32 bits (non-negative floats sort as their bits
    do) and the index in its lower.

    Parameters
    ----------
    distances : (r, g) float, non-negative, as `fashionnb.evaluation.distances.strips` gives them; changed in place.
    itself : (r,) int64, where each query stands in the gallery: it comes last in its own row. None: nowhere.

    Returns
    -------
    keys : (r, g) int64.
    """
    if itself is not None:
        distances[torch.arange(len(itself)), itself] = torch.inf
    bits = distances.float().view(torch.int32).long()
    return bits.bitwise_left_shift_(32).bitwise_or_(torch.arange(distances.shape[1]))


def _index(keys: Tensor) -> Tensor:
    return keys & (2**32 - 1)


def _distance(keys: Tensor) -> Tensor:
    return (keys >> 32).int().view(torch.float32)


def _rank_of_first_positive(order: Tensor, positive: Tensor) -> Tensor:
    """1 for the first place: how many items come no later than the nearest positive.

    The query itself, last in the order, is of its own class too; it never is the nearest.
    """
    nearest = torch.where(positive, order, torch.iinfo(torch.int64).max).amin(1, keepdim=True)
    return (order <= nearest).sum(1)


def _precision_at_hits(order: Tensor, gallery_class: Tensor, mine: Tensor, places: int) -> Tensor:
    """Precision so far at each of the first places that holds a positive, 0 at the others, (r, places) float64."""
    ranked = order.topk(places, largest=False).values
    place = torch.arange(1, places + 1, dtype=torch.float64)
    hit = gallery_class[_index(ranked)] == mine
    return hit * hit.cumsum(1) / place


def _both_sides(queries: Array, gallery: Array | None, metric: str) -> tuple[Tensor, Tensor]:
    q = vectors(queries, "queries", metric)
    return q, q if gallery is None else vectors(gallery, "gallery", metric)


def _classes(query_labels: np.ndarray, gallery_labels: np.ndarray | None) -> tuple[Tensor, Tensor]:
    """Labels as numbers from 0, the same for both sides."""
    if gallery_labels is None:
        numbers = torch.from_numpy(np.unique(query_labels, return_inverse=True)[1])
        return numbers, numbers
    both = np.unique(np.concatenate([query_labels, gallery_labels]), return_inverse=True)[1]
    return torch.from_numpy(both[: len(query_labels)]), torch.from_numpy(both[len(query_labels) :])
