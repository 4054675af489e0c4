"""The FAISS structures behind an `Index`: how each kind is built, searched and tuned to a recall.

They hold vectors (n, d) float32 in rows 0 to n - 1 and give squared Euclidean distances. Ids,
metrics and files are in `fashionnb.search.index`; exact search is in
`fashionnb.evaluation.neighbours`.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import faiss
import numpy as np

from fashionnb.evaluation.neighbours import (
    CHUNK_BYTES,
    nearest_neighbours,
    slices,
    sort_neighbours,
    squared_distances,
)

KINDS = ("exact", "hnsw", "ivf-pq")
LINKS = 16  # of a vector in the graph of "hnsw", and twice as many on its lowest level
CODES = 256  # for each part of a vector in "ivf-pq": one byte
SAMPLE = 1_000  # queries that measure the recall

logger = logging.getLogger(__name__)


def on_one_thread(function: Callable, *arguments: Any) -> Any:
    """Call a function whose FAISS work runs on one core, so that its sums have a fixed order.

    OpenMP keeps the number of threads for each calling thread. The call gets a thread of its own,
    and other threads keep their number.
    """
    with ThreadPoolExecutor(1, initializer=faiss.omp_set_num_threads, initargs=(1,)) as pool:
        return pool.submit(function, *arguments).result()


def build_structure(kind: str, vectors: np.ndarray, seed: int) -> faiss.Index:
    """Build a structure that holds the vectors, on one thread: the same input gives the same bytes.

    Parameters
    ----------
    kind : {"exact", "hnsw", "ivf-pq"}
    vectors : ndarray of shape (n, d), float32
    seed : int
        Of the clustering for "ivf-pq".
    """
    make = {"exact": _exact, "hnsw": _hnsw, "ivf-pq": _ivf_pq}[kind]
    structure = on_one_thread(make, vectors, seed)
    add_vectors(structure, vectors)
    return structure


def add_vectors(structure: faiss.Index, vectors: np.ndarray) -> None:
    """Add vectors (m, d) float32 after those that are there, on one thread."""
    on_one_thread(structure.add, vectors)


def search_structure(
    kind: str,
    structure: faiss.Index,
    queries: np.ndarray,
    k: int,
    effort: int,
    present: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Search an approximate structure.

    Parameters
    ----------
    kind : {"hnsw", "ivf-pq"}
    structure : faiss.Index
    queries : ndarray of shape (q, d), float32
    k : int
        From 1 to n.
    effort : int
        Candidates that the search of the graph keeps, or cells to search.
    present : ndarray of shape (n,), bool, optional
        The vectors that may be found. By default all.

    Returns
    -------
    rows, squared : ndarray of shape (q, k), int64 and float64
        Rows and squared distances, sorted as by
        `fashionnb.evaluation.neighbours.nearest_neighbours`. Some may not be among the nearest.
        Where too few were found, the row is -1.
    """
    selected = None if present is None else row_selector(present)
    candidates = min(4 * k + 40, structure.ntotal)  # of "ivf-pq", to be ranked again
    if kind == "hnsw":
        # Vectors that may not be found take places among the candidates too.
        factor = 1 if present is None else len(present) / present.sum()
        parameters = faiss.SearchParametersHNSW(efSearch=int(max(effort, k) * factor), sel=selected)
    else:
        cells = faiss.SearchParametersPreTransform(
            index_params=faiss.SearchParametersIVF(nprobe=effort, sel=selected)
        )
        parameters = faiss.IndexRefineSearchParameters(
            k_factor=candidates / k, base_index_params=cells
        )
    rows, squared = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    for part in slices(len(queries), max(1, CHUNK_BYTES // (12 * candidates))):
        _search(structure, queries[part], rows[part], squared[part], parameters)
    return sort_neighbours(rows, squared.astype(np.float64))


def row_selector(mask: np.ndarray) -> faiss.IDSelector:
    """A mask over the rows, (n,) bool, in the form that FAISS takes."""
    return faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))


def least_effort(
    kind: str,
    structure: faiss.Index,
    vectors: np.ndarray,
    wanted: float,
    unit_length: bool,
    seed: int,
) -> tuple[int, float]:
    """Find the least effort, in steps of √2, whose recall@10 is at least the one wanted.

    The queries are up to 1,000 of the vectors, each moved at random by about as much as its
    neighbours are distant from it. The vectors themselves would not do: "hnsw" reaches a vector
    that it holds, and therefore its links, more easily than the neighbours of a new vector.

    Parameters
    ----------
    kind : {"hnsw", "ivf-pq"}
    structure : faiss.Index
    vectors : ndarray of shape (n, d), float32
        Those in the structure.
    wanted : float
        Recall@10, 0 to 1.
    unit_length : bool
        The vectors have length 1, and the queries need it too.
    seed : int

    Returns
    -------
    effort : int
        The greatest if none is enough; a warning is then logged.
    recall : float
        The recall@10 measured with it.
    """
    least, most = (8, 1_024) if kind == "hnsw" else (1, _cells(len(vectors)))
    if not len(vectors):
        return least, 1.0
    k = min(10, len(vectors))
    queries = _moved_sample(vectors, k, seed)
    if unit_length:
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    # Whatever is no farther than the true k-th neighbour is as good.
    farthest = nearest_neighbours(queries, vectors, k)[1][:, -1:] * (1 + 1e-6)
    for effort in sorted({min(round(least * 2 ** (step / 2)), most) for step in range(40)}):
        found, _ = search_structure(kind, structure, queries, k, effort)
        hits = (squared_distances(queries, vectors, found) <= farthest) & (found >= 0)
        if (recall := float(hits.mean())) >= wanted:
            return effort, recall
    logger.warning(
        "%s: recall@10 is %.3f even at effort %d, %.3f was wanted.", kind, recall, effort, wanted
    )
    return effort, recall


def _moved_sample(vectors: np.ndarray, k: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    items = vectors[np.sort(rng.choice(len(vectors), min(SAMPLE, len(vectors)), replace=False))]
    steps = vectors[nearest_neighbours(items, vectors, k)[0]] - items[:, None]
    weights = rng.normal(size=steps.shape[:2]) / k**0.5
    return items + np.einsum("qkd,qk->qd", steps, weights).astype(np.float32)


def _search(
    structure: faiss.Index,
    queries: np.ndarray,
    rows: np.ndarray,
    squared: np.ndarray,
    parameters: faiss.SearchParameters,
) -> None:
    """`structure.search` with parameters, also after `faiss.contrib.torch_utils` was imported.

    pytorch-metric-learning imports it, and it replaces `search` by a method without parameters.
    """
    structure.search_c(
        len(queries), faiss.swig_ptr(np.ascontiguousarray(queries)), rows.shape[1],
        faiss.swig_ptr(squared), faiss.swig_ptr(rows), parameters,
    )  # fmt: skip


def _exact(vectors: np.ndarray, seed: int) -> faiss.Index:
    return faiss.IndexFlatL2(vectors.shape[1])


def _hnsw(vectors: np.ndarray, seed: int) -> faiss.Index:
    return faiss.IndexHNSWFlat(vectors.shape[1], LINKS)


def _ivf_pq(vectors: np.ndarray, seed: int) -> faiss.Index:
    """Cells and codes to select candidates, and all vectors in float16 to rank them.

    A code has one byte for four dimensions. These are axes of a PCA, distributed so that each four
    have equal variance (Ge et al. 2013, Optimized Product Quantization). Trained embeddings vary
    along few directions; with as many bits for each of the others, the codes of those few would be
    too coarse.
    """
    d = vectors.shape[1]
    parts = max(1, min(d, CODES) // 4)
    inside = min(d, CODES) // parts * parts
    axes = faiss.PCAMatrix(d, inside)
    axes.balanced_bins = parts
    cells = faiss.IndexIVFPQ(faiss.IndexFlatL2(inside), inside, _cells(len(vectors)), parts, 8)
    for clustering in (cells.cp, cells.pq.cp):
        clustering.seed = seed
        clustering.min_points_per_centroid = 1  # no warning on the screen: the recall is measured
        clustering.max_points_per_centroid = 64
    rough = faiss.IndexPreTransform(axes, cells)
    rough.train(vectors)
    return faiss.IndexRefine(rough, faiss.IndexScalarQuantizer(d, faiss.ScalarQuantizer.QT_fp16))


def _cells(n: int) -> int:
    return int(n**0.5)
