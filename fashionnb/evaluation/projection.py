"""How much of an embedding's neighbourhoods a 2-D map (t-SNE, UMAP) keeps, item by item.

`trustworthiness`: are neighbours on the map neighbours in the space? `knn_preservation`: how many
of the neighbours in the space are still neighbours on the map? Large distances, sizes and gaps are
not measured: such maps do not try to keep them.
"""

import logging

import numpy as np
import torch
from torch import Tensor

from fashionnb.errors import DataError
from fashionnb.evaluation.neighbours import Array, strips, vectors
from fashionnb.evaluation.retrieval import neighbours, order_keys

log = logging.getLogger(__name__)


def keep_umap_compiled() -> None:
    """Keep on disk what numba compiles for UMAP projections, so that later ones start at once.

    Call it before the first map, which then takes a second or two, not ten: nothing is compiled
    again in every process. Maps are the same with it and without. Where nothing can be kept (a
    read-only disk, another version of umap-learn), it only logs that.
    """
    # Only here: umap takes seconds to import, and measuring maps does not need it.
    from umap import layouts, umap_, utils

    compiled = [
        (utils, "fast_knn_indices"),
        (umap_, "smooth_knn_dist"),
        (umap_, "compute_membership_strengths"),
        (layouts, "_nb_optimize_layout_euclidean_single_epoch"),
    ]
    for module, name in compiled:
        try:
            getattr(module, name).enable_caching()
        except (AttributeError, RuntimeError) as error:
            log.info("%s is compiled in every process: %s", name, error)


def trustworthiness(high: Array, low: Array, k: int = 12) -> np.ndarray:
    """Compute the trustworthiness of a projection: whether neighbours on the map are so in space.

    An item j among the k nearest of i on the map is the r-th nearest of i in the space, and costs
    max(0, r - k). The costs of an item are added up and divided by k (2n - 3k - 1) / 2, the
    largest possible sum. The mean over the items is the published number. With the sides
    exchanged, `trustworthiness(low, high)`, it is called *continuity*.

    Parameters
    ----------
    high : array of shape (n, d)
        The space.
    low : array of shape (n, 2)
        The map, of the same items in the same order.
    k : int
        How many neighbours, fewer than n / 2.

    Returns
    -------
    ndarray of shape (n,), float64
        0 to 1 (all neighbours on the map are neighbours in the space), one for each item.
        Distances that are equal in float32 are ranked by index, the lower first.

    Raises
    ------
    DataError
        If the two sides differ in their items, k is not in 1 to n / 2, or there is NaN.

    References
    ----------
    Venna & Kaski (2001), Neighborhood Preservation in Nonlinear Projection Methods.
    """
    space, on_map = _both(high, low)
    n = len(space)
    if not 1 <= k < n / 2:
        raise DataError(
            f"k = {k} neighbours of {n} items: trustworthiness needs 1 or more, and fewer than "
            "n / 2."
        )
    near_on_map = torch.from_numpy(neighbours(on_map, k=k)[0])
    cost = torch.zeros(n, dtype=torch.int64)
    for rows, distances in strips(space, space):
        keys = order_keys(distances, torch.arange(rows.start, rows.stop))
        for key in keys.gather(1, near_on_map[rows]).unbind(1):
            rank = (keys <= key[:, None]).sum(1)  # 1 for the nearest
            cost[rows] += (rank - k).clamp_min_(0)
    return 1 - cost.numpy() * (2 / (k * (2 * n - 3 * k - 1)))


def knn_preservation(high: Array, low: Array, k: int = 12) -> np.ndarray:
    """Compute the kNN preservation of a projection: the share of neighbours that the map keeps.

    For each item, the share of its k nearest in the space that are also so on the map. Stricter
    than `trustworthiness`: a neighbour that slips to place k + 1 is lost. A random map keeps k / (n
    - 1) of them.

    Parameters
    ----------
    high : array of shape (n, d)
        The space, as in `trustworthiness`.
    low : array of shape (n, 2)
        The map, of the same items in the same order.
    k : int
        How many neighbours, fewer than n.

    Returns
    -------
    ndarray of shape (n,), float64
        0 to 1, one for each item.

    Raises
    ------
    DataError
        If the two sides differ in their items, k is not in 1 to n - 1, or there is NaN.
    """
    in_space, on_map = (neighbours(side, k=k)[0] for side in _both(high, low))
    return (in_space[:, :, None] == on_map[:, None, :]).any(2).mean(1)


def _both(high: Array, low: Array) -> tuple[Tensor, Tensor]:
    space, on_map = vectors(high, "high"), vectors(low, "low")
    if len(space) != len(on_map):
        raise DataError(
            f"high has {len(space)} items and low {len(on_map)}. Give the embeddings that the map "
            "was made of."
        )
    return space, on_map
