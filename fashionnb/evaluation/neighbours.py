"""Exact nearest neighbours, by Euclidean distance, and the check of arrays of vectors.

The one routine of the package for this, with the one check of arrays of vectors. It works on numpy
arrays and does not import torch. Cosine similarity is a matter of preparation: between vectors of
length 1, squared Euclidean distance is 2 - 2 cosine. `fashionnb.search.index` searches
approximately.
"""

from collections.abc import Iterator

import faiss
import numpy as np

from fashionnb.errors import DataError

METRICS = ("cosine", "euclidean")
FEW = 20  # queries; for fewer, FAISS computes each difference instead of a matrix product
SPARE = 16  # candidates beyond k, since rounding may mix up the order near the k-th
STEP = 16_384  # rows of the gallery in one matrix product
CHUNK_BYTES = 32 * 2**20
SAME = 1e-6  # relative difference of lengths that is rounding only, in float32


def nearest_neighbours(
    queries: np.ndarray, gallery: np.ndarray | None, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find the k nearest vectors of the gallery for each query, exactly.

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
    """
    if gallery is None:
        return _without_itself(*nearest_neighbours(queries, queries, min(k + 1, len(queries))))
    rows, squared = np.empty((len(queries), k), np.int64), np.empty((len(queries), k))
    direct = len(queries) < FEW or len(gallery) <= k + SPARE
    bytes_each = 4 * STEP + 8 * gallery.shape[1] * (k + SPARE)
    search = _by_differences if direct else _by_product
    for part in slices(len(queries), FEW - 1 if direct else max(FEW, CHUNK_BYTES // bytes_each)):
        rows[part], squared[part] = search(queries[part], gallery, k)
    return rows, squared


def squared_distances(queries: np.ndarray, gallery: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Squared distances from each query to the gallery's vectors in its row of `rows`, in float64.

    Parameters
    ----------
    queries, gallery : ndarray of shape (q, d) and (n, d)
    rows : ndarray of shape (q, k), int64

    Returns
    -------
    ndarray of shape (q, k), float64
    """
    difference = gallery[rows].astype(np.float64) - queries[:, None]
    return np.einsum("qkd,qkd->qk", difference, difference)


def sort_neighbours(rows: np.ndarray, squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort the neighbours of each query by distance (in float32), equally distant ones by row."""
    order = np.lexsort((rows, squared.astype(np.float32)), axis=-1)
    return np.take_along_axis(rows, order, 1), np.take_along_axis(squared, order, 1)


def check_vectors(values: np.ndarray, name: str, metric: str = "euclidean") -> np.ndarray:
    """Check an array of vectors and copy it to float32; to length 1 if the metric is "cosine".

    A vector whose length is 1 up to rounding stays as it is, so a second check changes nothing.

    Parameters
    ----------
    values : array of shape (n, d), any real numbers
        A tensor is taken too. n may be 0.
    name : str
        What the vectors are, for messages.
    metric : {"euclidean", "cosine"}

    Returns
    -------
    ndarray of shape (n, d), float32

    Raises
    ------
    DataError
        If the shape is another, values are not numbers, NaN or infinite (in float32), the metric is
        unknown, or a vector has length 0 and therefore no cosine.
    """
    if metric not in METRICS:
        raise DataError(f"There is no metric {metric!r}. Use one of: {', '.join(METRICS)}.")
    x = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    if x.ndim != 2 or not x.shape[1] or x.dtype.kind not in "fiu":
        raise DataError(
            f"{name}: expected numbers (n, d), got {x.dtype} of shape {x.shape}. "
            "For a single vector: vector[None]."
        )
    with np.errstate(over="ignore"):  # too large for float32 becomes infinity, and is found next
        x = np.array(x, np.float32, order="C")
    if (bad := np.flatnonzero(~np.isfinite(largest(x)))).size:
        raise DataError(
            f"{name}: row {bad[0]} holds NaN or infinity (in float32). "
            "Look at the model, or the picture, that made it."
        )
    return x if metric == "euclidean" else _unit_length(x, name)


def largest(x: np.ndarray) -> np.ndarray:
    """The largest absolute value of each row, (n,), without a second array of the size of x."""
    return np.maximum(x.max(1), -x.min(1))


def slices(n: int, size: int) -> Iterator[slice]:
    """Cut n rows into slices of at most `size` rows."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def _unit_length(x: np.ndarray, name: str) -> np.ndarray:
    size = largest(x)
    if (bad := np.flatnonzero(size == 0)).size:
        raise DataError(
            f"{name}: row {bad[0]} has length 0, and so no cosine. "
            "Leave it out, or use metric='euclidean'."
        )
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
