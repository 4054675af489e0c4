"""The three structures of FAISS behind `fashionnb.search.index`: how each is built, searched, and set to work.

They hold vectors (n, d) float32 that are ready for them, in rows 0 to n - 1, and give squared Euclidean distances.
"""

import logging

import faiss
import numpy as np

from fashionnb.search.index.nearest import (
    chunks,
    in_order,
    nearest,
    one_thread,
    products,
    squared_distances,
)

KINDS = ("exact", "hnsw", "ivf-pq")
LINKS = 16  # of a vector in the graph of "hnsw", and twice as many on its lowest level
CODES = 256  # of each part of a vector in "ivf-pq": a byte
SAMPLE = 1_000  # queries that measure the recall

logger = logging.getLogger(__name__)


def build(kind: str, vectors: np.ndarray, seed: int) -> faiss.Index:
    """A structure that holds the vectors. Introduced in chapter 06."""
    make = {"exact": _exact, "hnsw": _hnsw, "ivf-pq": _ivf_pq}[kind]
    with one_thread(), products:
        structure = make(vectors, seed)
        structure.add(vectors)
    return structure


def search(
    kind: str,
    structure: faiss.Index,
    queries: np.ndarray,
    k: int,
    effort: int,
    present: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours as an approximate structure finds them. Introduced in chapter 06.

    Parameters
    ----------
    kind : "hnsw" or "ivf-pq".
    queries : (q, d) float32.
    k : 1 to n.
    effort : candidates that the walk through the graph keeps, or cells to look into.
    present : a mask (n,), bool: the vectors that may be found. None: all.

    Returns
    -------
    rows, squared : (q, k), as `fashionnb.search.index.nearest.nearest` gives them, but not all are the nearest; with
        rows of -1 at the end where too few were found.
    """
    passes = None if present is None else selector(present)
    candidates = min(4 * k + 40, structure.ntotal)  # of "ivf-pq", to be ranked again
    if kind == "hnsw":
        # Vectors that may not be found are candidates, too.
        spread = 1 if present is None else len(present) / present.sum()
        how = faiss.SearchParametersHNSW(efSearch=int(max(effort, k) * spread), sel=passes)
    else:
        cells = faiss.SearchParametersPreTransform(
            index_params=faiss.SearchParametersIVF(nprobe=effort, sel=passes)
        )
        how = faiss.IndexRefineSearchParameters(k_factor=candidates / k, base_index_params=cells)
    parts = []
    for chunk in chunks(queries, 12 * candidates):
        with products:
            squared, rows = _search(structure, chunk, k, how)
        parts.append(in_order(rows, squared.astype(np.float64)))
    rows, squared = zip(*parts, strict=True)
    return np.concatenate(rows), np.concatenate(squared)


def selector(mask: np.ndarray) -> faiss.IDSelector:
    """A mask (n,), bool, as FAISS takes it."""
    return faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))


def least_effort(
    kind: str, structure: faiss.Index, vectors: np.ndarray, wanted: float, unit: bool, seed: int
) -> tuple[int, float]:
    """The least effort, in steps of √2, that finds as much as is wanted, and the recall@10 that it has.

    Introduced in chapter 06. The queries are up to 1,000 of the vectors, each moved at random by about as much as its
    neighbours lie away from it. A vector of the structure itself would not do: "hnsw" comes to it, and so to its links,
    more easily than to the neighbours of a new one.

    Parameters
    ----------
    vectors : (n, d), those in the structure.
    wanted : recall@10, 0 to 1.
    unit : the vectors have length 1, and the queries shall have, too.

    Returns
    -------
    effort, recall : if no effort reaches what is wanted, the greatest, and a warning is logged.
    """
    least, most = (8, 1_024) if kind == "hnsw" else (1, _cells(len(vectors)))
    if not len(vectors):
        return least, 1.0
    rng, k = np.random.default_rng(seed), min(10, len(vectors))
    items = vectors[np.sort(rng.choice(len(vectors), min(SAMPLE, len(vectors)), replace=False))]
    steps = vectors[nearest(items, vectors, k)[0]] - items[:, None]
    queries = items + np.einsum(
        "qkd,qk->qd", steps, rng.normal(size=steps.shape[:2]) / k**0.5
    ).astype(np.float32)
    if unit:
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    farthest = nearest(queries, vectors, k)[1][:, -1:] * (
        1 + 1e-6
    )  # what is as far as the k-th is as good
    for effort in sorted({min(round(least * 2 ** (step / 2)), most) for step in range(40)}):
        found, _ = search(kind, structure, queries, k, effort)
        hits = (squared_distances(queries, vectors, found) <= farthest) & (found >= 0)
        if (recall := float(hits.mean())) >= wanted:
            return effort, recall
    logger.warning(
        "%s: recall@10 is %.3f even at effort %d, %.3f was wanted.", kind, recall, effort, wanted
    )
    return effort, recall


def _search(
    structure: faiss.Index, x: np.ndarray, k: int, how: faiss.SearchParameters
) -> tuple[np.ndarray, np.ndarray]:
    """`structure.search(x, k, params=how)`, and also where `faiss.contrib.torch_utils` was imported.

    pytorch-metric-learning imports it, and it replaces `search` for the whole process by one without `params`.
    """
    x = np.ascontiguousarray(x, np.float32)
    squared, rows = np.empty((len(x), k), np.float32), np.empty((len(x), k), np.int64)
    structure.search_c(
        len(x), faiss.swig_ptr(x), k, faiss.swig_ptr(squared), faiss.swig_ptr(rows), how
    )
    return squared, rows


def _exact(vectors: np.ndarray, seed: int) -> faiss.Index:
    return faiss.IndexFlatL2(vectors.shape[1])


def _hnsw(vectors: np.ndarray, seed: int) -> faiss.Index:
    return faiss.IndexHNSWFlat(vectors.shape[1], LINKS)


def _ivf_pq(vectors: np.ndarray, seed: int) -> faiss.Index:
    """Cells and codes for the first look, and all vectors in float16 for the second.

    A code has one byte for four dimensions. They are not the vector's own but the axes of a PCA, dealt out so that each
    four vary equally (Ge et al. 2013, "Optimized Product Quantization"). Trained embeddings vary along few directions;
    with as many bits for each of the others, those would be too coarse to tell neighbours apart.
    """
    d = vectors.shape[1]
    parts = max(1, min(d, CODES) // 4)
    inside = min(d, CODES) // parts * parts
    axes = faiss.PCAMatrix(d, inside)
    axes.balanced_bins = parts
    cells = faiss.IndexIVFPQ(faiss.IndexFlatL2(inside), inside, _cells(len(vectors)), parts, 8)
    for clustering in (cells.cp, cells.pq.cp):
        # FAISS warns about few vectors on the screen; the recall is measured, and says more.
        clustering.seed, clustering.min_points_per_centroid, clustering.max_points_per_centroid = (
            seed,
            1,
            64,
        )
    rough = faiss.IndexPreTransform(axes, cells)
    rough.train(vectors)
    return faiss.IndexRefine(rough, faiss.IndexScalarQuantizer(d, faiss.ScalarQuantizer.QT_fp16))


def _cells(n: int) -> int:
    return int(n**0.5)
