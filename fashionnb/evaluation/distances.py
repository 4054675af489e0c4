"""Distances between many vectors, a strip of rows at a time: 60,000 × 60,000 of them never lie in memory at once.

Shared by `retrieval` and `clustering`, which also get their input checks here. Nothing in it learns: a loss needs
gradients and has its own distances in `fashionnb.losses`.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from fashionnb.errors import DataError

METRICS = ("euclidean", "cosine")
CHUNK_BYTES = 24 * 2**20

# Float64 sums are off by about 1e-16 of the squared length, so distances by about 1e-8 of the length: well below this.
SAME = 1e-6


def strips(
    queries: Tensor, gallery: Tensor, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[tuple[slice, Tensor]]:
    """Go through the Euclidean distances from all queries to all of the gallery, some rows at a time.

    Introduced in chapter 02. Uses ‖q - g‖² = ‖q‖² + ‖g‖² - 2 q·g, which is one matrix product; in float64 and around
    the gallery's mean, because the difference of large numbers would drown the distance between near twins. What is
    closer than rounding can tell, a millionth of the query's distance from that mean, is at distance 0 exactly.

    Parameters
    ----------
    queries, gallery : (q, d) and (g, d) float64, as `vectors` gives them.
    chunk_bytes : the size of one strip; those who use it need about four times as much.

    Yields
    ------
    rows, distances : which queries these are (a slice), and their distances, float64 (rows, g), yours to change.
    """
    if queries.shape[1] != gallery.shape[1]:
        raise DataError(
            f"The queries have {queries.shape[1]} dimensions and the gallery {gallery.shape[1]}. "
            "Embed both with the same model."
        )
    centre = gallery.mean(0)
    rounding = SAME**2 * centre.norm()  # all that separates the rows of a gallery in one place
    gallery = gallery - centre
    gallery_square = gallery.norm(dim=1).square()
    step = max(1, chunk_bytes // (8 * len(gallery)))
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        query = queries[rows] - centre
        length = query.norm(dim=1, keepdim=True)
        squared = torch.addmm(gallery_square, query, gallery.T, alpha=-2).add_(length.square())
        distances = squared.clamp_min_(0).sqrt_()
        yield rows, distances.masked_fill_(distances <= SAME * length + rounding, 0.0)


def vectors(values: np.ndarray | Tensor, name: str, metric: str = "euclidean") -> Tensor:
    """Check embeddings and make them a float64 tensor (n, d) on the CPU; of length 1 if the metric is "cosine".

    Between vectors of length 1, Euclidean distance d and cosine similarity s say the same: d² = 2 - 2s.

    Raises
    ------
    DataError : not two-dimensional, empty, NaN or infinite, an unknown metric, or cosine of a vector of length 0.
    """
    if metric not in METRICS:
        raise DataError(f"There is no metric {metric!r}. Use one of: {', '.join(METRICS)}.")
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    x = torch.from_numpy(np.array(values, dtype=np.float64))
    if x.ndim != 2 or 0 in x.shape:
        raise DataError(
            f"{name}: expected embeddings (n, d) with n and d at least 1, got the shape {tuple(x.shape)}."
        )
    length = x.norm(dim=1, keepdim=True)
    if not length.isfinite().all():
        row = int((~length.isfinite()).nonzero()[0, 0])
        raise DataError(
            f"{name}: row {row} holds NaN or infinity. Look at the model, or at the picture, that made it."
        )
    if metric == "euclidean":
        return x
    if not length.all():
        row = int((length == 0).nonzero()[0, 0])
        raise DataError(
            f"{name}: row {row} has length 0, and so no cosine. Leave it out, or use metric='euclidean'."
        )
    return x / length


def one_per_row(labels: np.ndarray | Tensor, n: int, name: str) -> np.ndarray:
    """Check labels (any values that can be compared for equality) and make them an array (n,). Raises `DataError`."""
    labels = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels)
    if labels.shape != (n,):
        raise DataError(
            f"{name}: expected one label for each of {n} embeddings, got the shape {labels.shape}."
        )
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        raise DataError(
            f"{name}: label {int(np.flatnonzero(np.isnan(labels))[0])} is NaN. Every item needs a class."
        )
    return labels
