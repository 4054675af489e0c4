"""Exact nearest neighbours, all distances strip by strip, and the check of arrays of vectors.

The one routine of the package for this, with the one check of arrays of vectors. It works on numpy
arrays; only `vectors`, which prepares all distances in float64 for the metrics, imports torch. The
losses have distances of their own, with gradients: `fashionnb.losses.pairwise_distances`. Cosine
similarity is a matter of preparation: between vectors of length 1, squared Euclidean distance is 2
- 2 cosine. `fashionnb.search.index` searches approximately.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Union

import faiss
import numpy as np

from fashionnb.arrays import as_numpy, check_array, check_finite, slices
from fashionnb.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

Array = Union[np.ndarray, "Tensor"]

METRICS = ("cosine", "euclidean")
FEW = 20  # queries; for fewer, FAISS computes each difference instead of a matrix product
SPARE = 16  # candidates beyond k, since rounding may mix up the order near the k-th
STEP = 16_384  # rows of the gallery in one matrix product
CHUNK_BYTES = 32 * 2**20
STRIP_BYTES = 24 * 2**20  # of distances; the functions that use `strips` need some four times this
# A relative difference that is rounding only: of lengths in float32; and in `strips`, where sums in
# float64 are off by about 1e-16 of the squared length, so distances by about 1e-8 of the length.
SAME = 1e-6


def nearest_neighbours(
    queries: np.ndarray, gallery: np.ndarray | None, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find the k exact nearest neighbours of each query among the vectors of a gallery.

    Many queries are compared with the gallery by a matrix product, ‖q - g‖² = ‖q‖² + ‖g‖² - 2 q·g,
    which is fast, but inaccurate where distances are small. So it only selects candidates, whose
    distances are then computed from differences in float64. A query for which rounding could have
    excluded a neighbour is searched again without the product.

    Parameters
    ----------
    queries : ndarray of shape (q, d), float32
        As `check_vectors` returns them. Their squares must be within the range of float32.
    gallery : ndarray of shape (n, d), float32, or None
        None searches among the queries themselves. A query is then left out of its own neighbours,
        by its row and not by its distance of 0, so that true duplicates are found.
    k : int
        From 1 to n; to n - 1 without a gallery.

    Returns
    -------
    rows : ndarray of shape (q, k), int64
        Rows of the gallery, the nearest first. Of equal distances (in float32) the lower row is
        first.
    squared : ndarray of shape (q, k), float64
        Squared Euclidean distances.

    Raises
    ------
    DataError
        If the two sides have different dimensions.
    """
    if gallery is None:
        return _without_itself(*nearest_neighbours(queries, queries, min(k + 1, len(queries))))
    _check_dimensions(queries, gallery)
    rows, squared = np.empty((len(queries), k), np.int64), np.empty((len(queries), k))
    direct = len(queries) < FEW or len(gallery) <= k + SPARE
    bytes_each = 4 * STEP + 8 * gallery.shape[1] * (k + SPARE)
    search = _by_differences if direct else _by_product
    for part in slices(len(queries), FEW - 1 if direct else max(FEW, CHUNK_BYTES // bytes_each)):
        rows[part], squared[part] = search(queries[part], gallery, k)
    return rows, squared


def squared_distances(queries: np.ndarray, gallery: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Compute the squared Euclidean distances from each query to the neighbours listed for it.

    Parameters
    ----------
    queries : ndarray of shape (q, d), float32
        The vectors to measure from.
    gallery : ndarray of shape (n, d), float32
        The vectors of which some are neighbours.
    rows : ndarray of shape (q, k), int64
        For each query the rows of the gallery that are its neighbours.

    Returns
    -------
    ndarray of shape (q, k), float64
        Computed from differences in float64.
    """
    difference = gallery[rows].astype(np.float64) - queries[:, None]
    return np.einsum("qkd,qkd->qk", difference, difference)


def sort_neighbours(rows: np.ndarray, squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort the neighbours of each query by distance (in float32), equally distant ones by row.

    Parameters
    ----------
    rows : ndarray of shape (q, k), int64
        Rows of the gallery.
    squared : ndarray of shape (q, k), float64
        Their squared distances to the query.

    Returns
    -------
    rows : ndarray of shape (q, k), int64
        The same rows, the nearest first.
    squared : ndarray of shape (q, k), float64
        Their squared distances, ascending.
    """
    order = np.lexsort((rows, squared.astype(np.float32)), axis=-1)
    return np.take_along_axis(rows, order, 1), np.take_along_axis(squared, order, 1)


def check_vectors(values: np.ndarray, name: str, metric: str = "euclidean") -> np.ndarray:
    """Check the vectors of a nearest-neighbour search, and copy them to float32.

    If the metric is "cosine" they are scaled to length 1. A vector whose length is 1 up to rounding
    stays as it is, so a second check changes nothing.

    Parameters
    ----------
    values : array of shape (n, d), any real numbers
        A tensor is taken too. n may be 0.
    name : str
        What the vectors are, for messages.
    metric : {"euclidean", "cosine"}
        How the search compares them.

    Returns
    -------
    ndarray of shape (n, d), float32
        A copy, each row of length 1 if the metric is "cosine".

    Raises
    ------
    DataError
        If the shape is another, values are not numbers, NaN or infinite (in float32), the metric is
        unknown, or a vector has length 0 and therefore no cosine.
    """
    x = _checked(values, name, metric, np.float32)
    return x if metric == "euclidean" else _unit_length(x)


def vectors(values: Array, name: str, metric: str = "euclidean") -> "Tensor":
    """Check embeddings, and copy them to float64 on the CPU for exact distances and neighbours.

    Parameters
    ----------
    values : array or Tensor of shape (n, d)
        The embeddings; they are copied.
    name : str
        What they are called in a message.
    metric : {"euclidean", "cosine"}
        How they will be compared.

    Returns
    -------
    Tensor of shape (n, d), float64
        Each row of length 1 if the metric is "cosine".

    Raises
    ------
    DataError
        As `check_vectors`, or if there are none.
    """
    import torch  # only here, since a search needs none of it

    checked = _checked(values, name, metric, np.float64)
    check_array(checked, ("n", "d"), name, least=1)
    x = torch.from_numpy(checked)
    return x if metric == "euclidean" else x / x.norm(dim=1, keepdim=True)


def strips(queries: "Tensor", gallery: "Tensor") -> Iterator[tuple[slice, "Tensor"]]:
    """Yield all distances between queries and gallery, to find neighbours, some queries at a time.

    Distances are Euclidean. ‖q - g‖² = ‖q‖² + ‖g‖² - 2 q·g is one matrix product. It is computed in
    float64 and relative to the mean of the gallery, because the difference of large numbers loses
    small distances. Two vectors that are closer than a millionth of the query's distance from that
    mean are at distance 0 exactly.

    Parameters
    ----------
    queries : Tensor of shape (q, d), float64
        As `vectors` returns them.
    gallery : Tensor of shape (g, d), float64
        As `vectors` returns them.

    Yields
    ------
    rows : slice
        Which queries these are.
    distances : Tensor of shape (rows, g), float64
        May be changed in place.

    Raises
    ------
    DataError
        If the two sides have different dimensions.
    """
    _check_dimensions(queries, gallery)
    centre = gallery.mean(0)
    rounding = SAME**2 * centre.norm()  # all that separates equal rows after the subtraction
    gallery = gallery - centre
    gallery_square = gallery.norm(dim=1).square()
    for rows in slices(len(queries), max(1, STRIP_BYTES // (8 * len(gallery)))):
        query = queries[rows] - centre
        length = query.norm(dim=1, keepdim=True)
        squared = gallery_square.addmm(query, gallery.T, alpha=-2).add_(length.square())
        distances = squared.clamp_min_(0).sqrt_()
        yield rows, distances.masked_fill_(distances <= SAME * length + rounding, 0.0)


def _check_dimensions(queries: Array, gallery: Array) -> None:
    if queries.shape[1] != gallery.shape[1]:
        raise DataError(
            f"The queries have {queries.shape[1]} dimensions and the gallery {gallery.shape[1]}. "
            "Embed both with the same model."
        )


def _largest(x: np.ndarray) -> np.ndarray:
    """The largest absolute value of each row, (n,), without a second array of the size of x."""
    return np.maximum(x.max(1), -x.min(1))


def _checked(values: Array, name: str, metric: str, dtype: type) -> np.ndarray:
    if metric not in METRICS:
        raise DataError(f"There is no metric {metric!r}. Use one of: {', '.join(METRICS)}.")
    x = as_numpy(values)
    if x.ndim != 2 or not x.shape[1] or x.dtype.kind not in "fiub":
        raise DataError(
            f"{name}: expected numbers (n, d), got {x.dtype} of shape {x.shape}. "
            "For a single vector: vector[None]."
        )
    with np.errstate(over="ignore"):  # too large for float32 becomes infinity, and is found next
        x = np.array(x, dtype, order="C")
    size = _largest(x)
    check_finite(size, name)
    if metric == "cosine" and not size.all():
        raise DataError(
            f"{name}: row {int((size == 0).argmax())} has length 0, and so no cosine. "
            "Leave it out, or use metric='euclidean'."
        )
    return x


def _unit_length(x: np.ndarray) -> np.ndarray:
    size = _largest(x)
    with np.errstate(over="ignore"):
        kept = np.abs(np.linalg.norm(x, axis=1) - 1) < SAME
    size[kept] = 1
    x /= size[:, None]  # first, so that squares are neither too large nor too small
    length = np.sqrt(np.einsum("nd,nd->n", x, x))
    length[kept] = 1
    x /= length[:, None]
    return x


def _without_itself(rows: np.ndarray, squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    itself = rows == np.arange(len(rows))[:, None]
    itself[~itself.any(1), -1] = (
        True  # more than k duplicates come before it: drop the last of them
    )
    return rows[~itself].reshape(len(rows), -1), squared[~itself].reshape(len(rows), -1)


def _by_differences(
    queries: np.ndarray, gallery: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    rows = faiss.knn(queries, gallery, k)[1]
    return sort_neighbours(rows, squared_distances(queries, gallery, rows))


def _by_product(queries: np.ndarray, gallery: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    rough, rows = _candidates(queries, gallery, k + SPARE)
    rows, squared = sort_neighbours(rows, squared_distances(queries, gallery, rows))
    rows, squared = rows[:, :k], squared[:, :k]
    doubtful = np.flatnonzero(rough[:, -1] - squared[:, -1] <= _rounding(queries, gallery))
    for part in slices(len(doubtful), FEW - 1):
        again = doubtful[part]
        rows[again], squared[again] = _by_differences(queries[again], gallery, k)
    return rows, squared


def _candidates(queries: np.ndarray, gallery: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The n nearest by the product, in no order: squared distances and rows, (q, n) each."""
    squared, rows = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
    for part in slices(len(gallery), STEP):
        distances = faiss.pairwise_distances(queries, gallery[part])
        near, columns = faiss.kmin(distances, min(n, distances.shape[1]))
        squared, rows = np.hstack([squared, near]), np.hstack([rows, columns + part.start])
        squared, columns = faiss.kmin(squared, min(n, squared.shape[1]))
        rows = np.take_along_axis(rows, columns, 1)
    return squared, rows


def _rounding(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """How wrong a squared distance by the product can be, (q,).

    Sums in float32 run in eight lanes or more: each takes d / 8 roundings and a few to combine
    them.
    """
    longest = np.sqrt(np.einsum("nd,nd->n", gallery, gallery).max())
    length = np.linalg.norm(queries, axis=1) + longest
    return (8 + gallery.shape[1] / 8) * np.finfo(np.float32).eps / 2 * length**2
