"""Can a map be believed? What a 2-D picture of an embedding keeps of its neighbourhoods, item by item.

t-SNE and UMAP must break something. Two questions, which can have two answers: are neighbours on the map neighbours in
the space (`trustworthiness`), and how many of the space's neighbours are still neighbours on the map
(`knn_preservation`)? Nothing here judges far distances, sizes and gaps: a map of this kind does not mean to keep them.
"""

import logging

import numpy as np
import torch
from torch import Tensor

from fashionnb.errors import DataError
from fashionnb.evaluation.distances import CHUNK_BYTES, strips, vectors
from fashionnb.evaluation.retrieval import neighbours, order_keys

log = logging.getLogger(__name__)

Array = np.ndarray | Tensor


def keep_umap_compiled() -> None:
    """Let numba keep on disk what it compiles for UMAP, so that it is compiled once and not in every process.

    Introduced in chapter 02. Call it before the first map: that one then takes a second or two, not ten. Maps are the
    same with it and without. Where nothing can be kept (a disk that cannot be written to, another version of
    umap-learn), nothing is.
    """
    from umap import (
        layouts,
        umap_,
        utils,
    )  # only here: it takes seconds, and judging maps needs none of it

    compiled = [
        (utils, "fast_knn_indices"),
        (umap_, "smooth_knn_dist"),
        (umap_, "compute_membership_strengths"),
    ]
    for module, name in [*compiled, (layouts, "_nb_optimize_layout_euclidean_single_epoch")]:
        try:
            getattr(module, name).enable_caching()
        except (AttributeError, RuntimeError) as error:
            log.info("%s is compiled in every process: %s", name, error)


def trustworthiness(
    high: Array, low: Array, k: int = 12, *, chunk_bytes: int = CHUNK_BYTES
) -> np.ndarray:
    """How far away, in the space, are an item's neighbours on the map? 1: all of them are neighbours there too.

    Introduced in chapter 04. Venna & Kaski 2001, "Neighborhood Preservation in Nonlinear Projection Methods". An item j
    among the k nearest of i on the map is the r-th nearest of i in the space, and costs max(0, r - k). The costs of an
    item are added up and divided by k (2n - 3k - 1) / 2, the most there can be. The mean over the items is the
    published number. With the sides exchanged, `trustworthiness(low, high)`, it is called *continuity*.

    Parameters
    ----------
    high, low : (n, d) the space and (n, 2) the map, the same items in the same order; Euclidean distances.
    k : how many neighbours, fewer than n / 2.
    chunk_bytes : memory for one strip of distances. It changes the speed, not the result.

    Returns
    -------
    values : (n,) float64, 0 to 1, one for each item, so that an interval can be made. Distances that are equal in
        float32 are ranked by index, the lower first.

    Raises
    ------
    DataError : not the same items on both sides, k not in 1 to n / 2, or NaN.
    """
    space, on_map = _both(high, low)
    n = len(space)
    if not 1 <= k < n / 2:
        raise DataError(
            f"k = {k} neighbours of {n} items: trustworthiness needs 1 or more, and fewer than n / 2."
        )
    near_on_map = torch.from_numpy(neighbours(on_map, k=k, chunk_bytes=chunk_bytes)[0])
    cost = torch.zeros(n, dtype=torch.int64)
    for rows, distances in strips(space, space, chunk_bytes):
        keys = order_keys(distances, torch.arange(rows.start, rows.stop))
        for key in keys.gather(1, near_on_map[rows]).unbind(1):
            rank = (keys <= key[:, None]).sum(1)  # 1 for the nearest
            cost[rows] += (rank - k).clamp_min_(0)
    return 1 - cost.numpy() * (2 / (k * (2 * n - 3 * k - 1)))


def knn_preservation(
    high: Array, low: Array, k: int = 12, *, chunk_bytes: int = CHUNK_BYTES
) -> np.ndarray:
    """Which share of an item's k nearest in the space is also among its k nearest on the map?

    Introduced in chapter 04. Harsher than `trustworthiness`: a neighbour that slips to place k + 1 is lost. A map that
    is drawn at random keeps k / (n - 1) of them.

    Parameters
    ----------
    high, low : (n, d) the space and (n, 2) the map, the same items in the same order; Euclidean distances.
    k : how many neighbours, fewer than n.
    chunk_bytes : memory for one strip of distances. It changes the speed, not the result.

    Returns
    -------
    values : (n,) float64, 0 to 1, one for each item.

    Raises
    ------
    DataError : not the same items on both sides, k not in 1 to n - 1, or NaN.
    """
    in_space, on_map = (
        neighbours(side, k=k, chunk_bytes=chunk_bytes)[0] for side in _both(high, low)
    )
    return (in_space[:, :, None] == on_map[:, None, :]).any(2).mean(1)


def _both(high: Array, low: Array) -> tuple[Tensor, Tensor]:
    space, on_map = vectors(high, "high"), vectors(low, "low")
    if len(space) != len(on_map):
        raise DataError(
            f"high has {len(space)} items and low {len(on_map)}. Give the embeddings that the map was made of."
        )
    return space, on_map
