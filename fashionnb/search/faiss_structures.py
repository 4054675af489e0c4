"""The FAISS structures behind an `Index`: how each kind is built, searched and tuned to a recall.

They hold vectors (n, d) float32 in rows 0 to n - 1 and give squared Euclidean distances. Ids and
files are in `fashionnb.search.index`; exact search is in `fashionnb.evaluation.neighbours`.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import faiss
import numpy as np

from fashionnb.arrays import slices
from fashionnb.evaluation.neighbours import (
    CHUNK_BYTES,
    nearest_neighbours,
    sort_neighbours,
    squared_distances,
)

KINDS = ("exact", "hnsw", "ivf-pq")
LINKS = 16  # of a vector in the graph of "hnsw", and twice as many on its lowest level
CODES = 256  # for each part of a vector in "ivf-pq": one byte
SAMPLE = 1_000  # queries that measure the recall

logger = logging.getLogger(__name__)


def on_one_thread(function: Callable, *arguments: Any) -> Any:
    """Call a function with FAISS on one thread, so that its sums have a fixed order.

    OpenMP keeps the number of threads for each calling thread. The call gets a thread of its own,
    and other threads keep their number.

    Parameters
    ----------
    function : callable
        Does the work in FAISS.
    *arguments : Any
        Passed on to the function.

    Returns
    -------
    Any
        What the function returns.
    """
    with ThreadPoolExecutor(1, initializer=faiss.omp_set_num_threads, initargs=(1,)) as pool:
        return pool.submit(function, *arguments).result()


def build_structure(kind: str, vectors: np.ndarray, seed: int) -> faiss.Index:
    """Build the FAISS structure of an index, on one thread: the same input gives the same bytes.

    Parameters
    ----------
    kind : {"exact", "hnsw", "ivf-pq"}
        As in `fashionnb.search.index.Index`.
    vectors : ndarray of shape (n, d), float32
        Each of length 1.
    seed : int
        Of the clustering for "ivf-pq".

    Returns
    -------
    faiss.Index
        The structure, with the n vectors in it.
    """
    if kind == "exact":
        structure = faiss.IndexFlatL2(vectors.shape[1])
    elif kind == "hnsw":
        structure = faiss.IndexHNSWFlat(vectors.shape[1], LINKS)
    else:
        structure = on_one_thread(_trained_ivf_pq, vectors, seed)
    on_one_thread(structure.add, vectors)
    return structure


def search_structure(
    kind: str, structure: faiss.Index, queries: np.ndarray, k: int, effort: int
) -> tuple[np.ndarray, np.ndarray]:
    """Search an approximate FAISS structure ("hnsw" or "ivf-pq") for the neighbours of queries.

    Parameters
    ----------
    kind : {"hnsw", "ivf-pq"}
        Of the structure.
    structure : faiss.Index
        Of n vectors, as `build_structure` makes it.
    queries : ndarray of shape (q, d), float32
        Each of length 1.
    k : int
        Number of neighbours, from 1 to n.
    effort : int
        Candidates that the search of the graph keeps, or cells to search; 1 or more.

    Returns
    -------
    rows : ndarray of shape (q, k), int64
        Rows of the vectors, sorted as by
        `fashionnb.evaluation.neighbours.nearest_neighbours`. Some may not be among the nearest.
        Where too few were found, the row is -1.
    squared : ndarray of shape (q, k), float64
        Their squared Euclidean distances.
    """
    candidates = min(4 * k + 40, structure.ntotal)  # of "ivf-pq", to be ranked again
    if kind == "hnsw":
        parameters = faiss.SearchParametersHNSW(efSearch=max(effort, k))
    else:
        cells = faiss.SearchParametersPreTransform(
            index_params=faiss.SearchParametersIVF(nprobe=effort)
        )
        parameters = faiss.IndexRefineSearchParameters(
            k_factor=candidates / k, base_index_params=cells
        )
    rows, squared = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    for part in slices(len(queries), max(1, CHUNK_BYTES // (12 * candidates))):
        # Not `search`: pytorch-metric-learning imports `faiss.contrib.torch_utils`, which replaces
        # it by a method without parameters.
        structure.search_c(
            part.stop - part.start, faiss.swig_ptr(queries[part]), k,
            faiss.swig_ptr(squared[part]), faiss.swig_ptr(rows[part]), parameters,
        )  # fmt: skip
    return sort_neighbours(rows, squared.astype(np.float64))


def least_effort(
    kind: str,
    structure: faiss.Index,
    vectors: np.ndarray,
    wanted: float,
    seed: int,
) -> tuple[int, float]:
    """Find the least search effort of a FAISS structure with the recall@10 that is wanted.

    Efforts are tried in steps of √2. The queries are up to 1,000 of the vectors, each moved at
    random by about as much as its neighbours are distant from it. The vectors themselves would not
    do: "hnsw" reaches a vector that it holds, and therefore its links, more easily than the
    neighbours of a new vector.

    Parameters
    ----------
    kind : {"hnsw", "ivf-pq"}
        Of the structure.
    structure : faiss.Index
        As `build_structure` makes it.
    vectors : ndarray of shape (n, d), float32
        Those in the structure, each of length 1.
    wanted : float
        Recall@10, 0 to 1.
    seed : int
        Of the sample of queries.

    Returns
    -------
    effort : int
        The greatest if none is enough; a warning is then logged.
    recall : float
        The recall@10 measured with it.
    """
    least, most = (8, 1_024) if kind == "hnsw" else (1, _cells(len(vectors)))
    k = min(10, len(vectors))
    queries = _moved_sample(vectors, k, seed)
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
    moved = items + np.einsum("qkd,qk->qd", steps, weights).astype(np.float32)
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)


def _trained_ivf_pq(vectors: np.ndarray, seed: int) -> faiss.Index:
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
