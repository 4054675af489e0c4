"""The nearest of an array of vectors, exactly: every distance is looked at, none is trusted further than it is right.

`fashionnb.search.index` uses it for its exact kind, for searches among some items only, and to measure what the
approximate kinds in `fashionnb.search.index.structures` miss. Distances are squared here.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import faiss
import numpy as np

MANY = 20  # queries, from which on one product of matrices is faster than going through all vectors for each
SPARE = 16  # candidates beyond k, since rounding may mix up the order near the k-th
CHUNK_BYTES = 32 * 2**20


def nearest(queries: np.ndarray, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest vectors of each query. Introduced in chapter 06.

    Many queries at once go through ‖q - v‖² = ‖q‖² + ‖v‖² - 2 q·v, which is one product of matrices and several times
    faster. But the difference of large numbers is a rough one, so it only chooses candidates, and queries whose k-th
    neighbour lies too close behind the others to be sure of are searched again, one vector at a time.

    Parameters
    ----------
    queries, vectors : (q, d) and (n, d) float32, their squares far from the limits of float32.
    k : 1 to n.

    Returns
    -------
    rows, squared : (q, k) int64 and float64: which vectors, and their squared Euclidean distances, nearest first; of
        equal distances (as float32) the lower row first.
    """
    parts = [
        _nearest(chunk, vectors, k) for chunk in chunks(queries, 8 * vectors.shape[1] * (k + SPARE))
    ]
    rows, distances = zip(*parts, strict=True)
    return np.concatenate(rows), np.concatenate(distances)


def squared_distances(queries: np.ndarray, vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """From each query to the vectors in its row of `rows` (q, k): (q, k) float64, right to the last digits."""
    difference = vectors[rows].astype(np.float64) - queries[:, None]
    return np.einsum("qkd,qkd->qk", difference, difference)


def in_order(rows: np.ndarray, squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort each query's neighbours by distance (as float32), equal ones by row."""
    order = np.lexsort((rows, squared.astype(np.float32)), axis=-1)
    return np.take_along_axis(rows, order, 1), np.take_along_axis(squared, order, 1)


def chunks(queries: np.ndarray, bytes_each: int) -> Iterator[np.ndarray]:
    """The queries, so many at a time that results of so many bytes each take about 32 MB; at least one chunk."""
    step = max(1, CHUNK_BYTES // bytes_each)
    for start in range(0, len(queries) or 1, step):
        yield queries[start : start + step]


@contextmanager
def one_thread() -> Iterator[None]:
    """FAISS computes on one thread within the block, and the order of its sums is always the same."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


class _Products:
    """FAISS uses products of matrices from `MANY` queries on within the block (recent versions: from 128,000 on).

    The setting is one for all threads: the first block to be entered changes it, and the last to be left restores it.
    """

    def __init__(self) -> None:
        self.lock, self.inside, self.before = threading.Lock(), 0, None

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.before = faiss.cvar.distance_compute_blas_threshold
                faiss.cvar.distance_compute_blas_threshold = MANY
            self.inside += 1

    def __exit__(self, *_) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                faiss.cvar.distance_compute_blas_threshold = self.before


products = _Products()


def _nearest(queries: np.ndarray, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    if len(queries) < MANY:
        rows = faiss.knn(queries, vectors, k)[1]
        return in_order(rows, squared_distances(queries, vectors, rows))
    candidates = min(k + SPARE, len(vectors))
    with products:
        rough, rows = faiss.knn(queries, vectors, candidates)
    rows, squared = in_order(rows, squared_distances(queries, vectors, rows))
    if candidates < len(vectors):
        doubtful = _doubtful(queries, vectors, rough[:, -1], squared[:, k - 1])
        for start in range(0, len(doubtful), MANY - 1):
            some = doubtful[start : start + MANY - 1]
            rows[some, :k], squared[some, :k] = _nearest(queries[some], vectors, k)
    return rows[:, :k], squared[:, :k]


def _doubtful(
    queries: np.ndarray, vectors: np.ndarray, rough: np.ndarray, kth: np.ndarray
) -> np.ndarray:
    """Queries of which a vector beyond the last candidate might still be as near as the k-th neighbour.

    Sums in float32 run in eight lanes or more: each takes d / 8 roundings and a few to put the lanes together.
    """
    longest = np.sqrt(np.einsum("nd,nd->n", vectors, vectors).max())
    length = np.linalg.norm(queries, axis=1) + longest
    roundings = 8 + vectors.shape[1] / 8
    return np.flatnonzero(rough - kth <= roundings * np.finfo(np.float32).eps / 2 * length**2)
