"""Benchmark of an index: recall@10 against queries per second, on one thread.

`jittered` makes a large catalogue out of a small one, `trade_off` measures an index at several
efforts, and `recall` compares what was found with the true neighbours. `benchmarks/bench_index.py`
runs them at any size.
"""

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from fashionnb.arrays import slices
from fashionnb.errors import DataError
from fashionnb.evaluation.intervals import bootstrap
from fashionnb.evaluation.neighbours import check_vectors, nearest_neighbours
from fashionnb.search.faiss_structures import on_one_thread
from fashionnb.search.index import Index

SAMPLE = 1_000  # vectors whose distance to their nearest neighbour is measured


def jittered(vectors: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    """Make n vectors of length 1 to benchmark an index on, by adding noise to real ones.

    Each is a real vector, scaled to length 1, plus Gaussian noise in all directions that is about
    as long as the distance to the nearest neighbour (the median of 1,000). So the copies of one
    vector are a group of about n / m, as similar products are in a shop.

    Parameters
    ----------
    vectors : array of shape (m, d), any real numbers
        At least two, none of length 0.
    n : int
        How many to make; the real ones are repeated in turn.
    seed : int
        Of the noise.

    Returns
    -------
    ndarray of shape (n, d), float32
        Each of length 1.

    Raises
    ------
    DataError
        If there are fewer than two vectors, n is below 1, or
        `fashionnb.evaluation.neighbours.check_vectors` refuses the vectors.
    """
    x, rng = check_vectors(vectors, "vectors", "cosine"), np.random.default_rng(seed)
    if len(x) < 2 or n < 1:
        raise DataError(f"Expected two vectors or more, and n of 1 or more; got {len(x)}, n = {n}.")
    some = x[rng.choice(len(x), min(SAMPLE, len(x)), replace=False)]
    # The nearest of all is the vector itself.
    step = np.sqrt(np.median(nearest_neighbours(some, x, 2)[1][:, 1]))
    scale = np.float32(step / x.shape[1] ** 0.5)
    made = np.resize(x, (n, x.shape[1]))
    for rows in slices(n, 100_000):
        moved = made[rows]
        moved += rng.standard_normal(moved.shape, np.float32) * scale
        moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    return made


def recall(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Compute the share of each query's true neighbours that an approximate index found.

    Parameters
    ----------
    found, true : array of shape (q, k), str
        Ids, as `Index.search` of an approximate and of an exact index gives them.

    Returns
    -------
    ndarray of shape (q,), float64
        From 0 to 1.
    """
    return np.array([np.isin(one, other).mean() for one, other in zip(true, found, strict=True)])


def trade_off(
    index: Index,
    queries: np.ndarray,
    true: np.ndarray,
    efforts: Sequence[int | None] = (None,),
    batch: int = 100,
) -> pd.DataFrame:
    """Benchmark an index on one thread: recall and queries per second at each search effort.

    Parameters
    ----------
    index : Index
        Of any kind.
    queries : array of shape (q, d), any real numbers
        Vectors to search with; they are scaled to length 1.
    true : array of shape (q, k), str
        Ids of the true neighbours, as an exact index gives them.
    efforts : sequence of int or None
        As `Index.search` takes it; None is the effort that the index has.
    batch : int
        Queries that are searched at once. Large batches help "exact" most, since all queries share
        the reading of the vectors.

    Returns
    -------
    DataFrame
        One row per effort: `effort`, `recall` with its 95% interval `low`, `high` (bootstrap over
        the queries), `queries_per_second` (median over the batches) and `slow`, `fast` (the middle
        95% of the batches).

    Raises
    ------
    DataError
        As `Index.search`; if `true` has not one row for each query; if there is no query.
    """
    if len(true) != len(queries) or not len(queries):
        raise DataError(
            f"Expected true neighbours for each query, got {len(queries)} queries "
            f"and {len(true)} rows."
        )
    return pd.DataFrame(
        [on_one_thread(_measured, index, queries, true, effort, batch) for effort in efforts]
    )


def _measured(
    index: Index, queries: np.ndarray, true: np.ndarray, effort: int | None, batch: int
) -> dict[str, float]:
    found, speed = [], []
    index.search(queries[:batch], true.shape[1], effort=effort)  # warm up
    for part in slices(len(queries), batch):
        begun = time.perf_counter()
        found.append(index.search(queries[part], true.shape[1], effort=effort)[0])
        speed.append((part.stop - part.start) / (time.perf_counter() - begun))
    hits = recall(np.vstack(found), true)
    span = bootstrap(hits, of="queries")
    slow, median, fast = np.quantile(speed, [0.025, 0.5, 0.975])
    return {
        "effort": effort or index.effort, "recall": hits.mean(), "low": span.low, "high": span.high,
        "queries_per_second": median, "slow": slow, "fast": fast,
    }  # fmt: skip
