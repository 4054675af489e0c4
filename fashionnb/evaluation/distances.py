"""Euclidean distances between many vectors, some rows at a time, and the checks of embeddings.

60,000 × 60,000 distances never lie in memory at once. Read `fashionnb.evaluation.retrieval` next.
The losses have distances of their own, with gradients: `fashionnb.losses.pairwise_distances`.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from fashionnb.arrays import check_finite, check_shape
from fashionnb.errors import DataError

Array = np.ndarray | Tensor

METRICS = ("euclidean", "cosine")
CHUNK_BYTES = 24 * 2**20

# Sums in float64 are off by about 1e-16 of the squared length, so distances by about 1e-8 of the
# length: well below this.
SAME = 1e-6


def strips(
    queries: Tensor, gallery: Tensor, chunk_bytes: int | None = None
) -> Iterator[tuple[slice, Tensor]]:
    """Yield the Euclidean distances from all queries to the whole gallery, some rows at a time.

    ‖q - g‖² = ‖q‖² + ‖g‖² - 2 q·g is one matrix product. It is computed in float64 and relative
    to the mean of the gallery, because the difference of large numbers loses small distances. Two
    vectors that are closer than a millionth of the query's distance from that mean are at
    distance 0 exactly.

    Parameters
    ----------
    queries, gallery : Tensor of shape (q, d) and (g, d), float64
        As `vectors` returns them.
    chunk_bytes : int, optional
        The size of one strip, by default `CHUNK_BYTES`; the functions that use it need about four
        times as much.

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
    if queries.shape[1] != gallery.shape[1]:
        raise DataError(
            f"The queries have {queries.shape[1]} dimensions and the gallery {gallery.shape[1]}. "
            "Embed both with the same model."
        )
    centre = gallery.mean(0)
    rounding = SAME**2 * centre.norm()  # all that separates equal rows after the subtraction
    gallery = gallery - centre
    gallery_square = gallery.norm(dim=1).square()
    step = max(1, (chunk_bytes or CHUNK_BYTES) // (8 * len(gallery)))
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        query = queries[rows] - centre
        length = query.norm(dim=1, keepdim=True)
        squared = torch.addmm(gallery_square, query, gallery.T, alpha=-2).add_(length.square())
        distances = squared.clamp_min_(0).sqrt_()
        yield rows, distances.masked_fill_(distances <= SAME * length + rounding, 0.0)


def as_numpy(values: Array) -> np.ndarray:
    """Convert a tensor on any device, with or without gradient, or anything like an array."""
    return np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values)


def vectors(values: Array, name: str, metric: str = "euclidean") -> Tensor:
    """Check embeddings and convert them to float64 on the CPU, normalised for "cosine".

    Between vectors of length 1, Euclidean distance d and cosine similarity s are equivalent:
    d² = 2 - 2s.

    Parameters
    ----------
    values : array or Tensor of shape (n, d)
        The embeddings; they are copied.
    name : str
        What they are called in a message.
    metric : {"euclidean", "cosine"}

    Returns
    -------
    Tensor of shape (n, d), float64

    Raises
    ------
    DataError
        If they are not two-dimensional, empty, NaN or infinite, the metric is unknown, or a
        vector of length 0 has no cosine.
    """
    if metric not in METRICS:
        raise DataError(f"There is no metric {metric!r}. Use one of: {', '.join(METRICS)}.")
    checked = np.array(as_numpy(values), dtype=np.float64)
    check_shape(checked, name, ("n", "d"))
    check_finite(checked, name)
    x = torch.from_numpy(checked)
    if metric == "euclidean":
        return x
    length = x.norm(dim=1, keepdim=True)
    if not length.all():
        row = int((length == 0).nonzero()[0, 0])
        raise DataError(
            f"{name}: row {row} has length 0, and so no cosine. Leave it out, or use "
            "metric='euclidean'."
        )
    return x / length


def one_per_row(labels: Array, n: int, name: str) -> np.ndarray:
    """Check that there is one label, of any type, for each of n rows.

    Parameters
    ----------
    labels : array or Tensor of shape (n,)
        Values that can be compared for equality.
    n : int
        How many rows there are.
    name : str
        What the labels are called in a message.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    DataError
        If the shape differs, or a label is NaN.
    """
    labels = as_numpy(labels)
    check_shape(labels, name, (n,), advice="Give one label for each row.")
    if labels.dtype.kind == "f":
        check_finite(labels, name, infinity=True)
    return labels
