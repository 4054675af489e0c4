"""How much an index finds, and how fast: recall@10 against queries per second, on one thread.

`jittered` makes a large catalogue out of a small one, so that an index can be tried before a shop has a million
products. `trade_off` asks the same queries at several efforts. `benchmarks/bench_index.py` runs both at any size.
"""

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from fashionnb.errors import DataError
from fashionnb.evaluation.intervals import bootstrap
from fashionnb.search.index import Index
from fashionnb.search.index.nearest import nearest, one_thread

SAMPLE = 1_000  # vectors that tell how far neighbours lie from each other


def jittered(vectors: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    """`n` vectors of length 1 around real ones. Introduced in chapter 06.

    Each is a real vector, brought to length 1, plus Gaussian noise in all directions, which is about as long as the
    way from a vector to its nearest neighbour (the median of 1,000). So the copies of one vector stand in a bunch of
    about n / m, as the products of one make do in a shop.

    Parameters
    ----------
    vectors : (m, d) float, m at least 2, none of length 0.
    n : how many to make; the real ones come round again and again.
    seed : the same seed gives the same noise.

    Returns
    -------
    made : (n, d) float32, each of length 1.

    Raises
    ------
    DataError : fewer than two vectors or one of length 0, or n below 1.
    """
    x = np.asarray(vectors, np.float32)
    length = np.linalg.norm(x, axis=1, keepdims=True) if x.ndim == 2 else np.zeros(1)
    if len(x) < 2 or not (length > 0).all() or n < 1:
        raise DataError(
            f"Expected two vectors (m, d) or more, none of length 0, and n of 1 or more; got {x.shape} and n = {n}."
        )
    x, rng = x / length, np.random.default_rng(seed)
    some = x[rng.choice(len(x), min(SAMPLE, len(x)), replace=False)]
    step = np.sqrt(np.median(nearest(some, x, 2)[1][:, 1]))  # the first is the vector itself
    made = np.resize(x, (n, x.shape[1]))
    for rows in np.array_split(np.arange(n), -(-n // 100_000)):
        moved = made[rows] + rng.standard_normal((len(rows), x.shape[1]), np.float32) * np.float32(
            step / x.shape[1] ** 0.5
        )
        made[rows] = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    return made


def trade_off(
    index: Index,
    queries: np.ndarray,
    true: np.ndarray,
    efforts: Sequence[int | None] = (None,),
    batch: int = 100,
) -> pd.DataFrame:
    """What `index` finds and how long it takes, at each effort, on one thread. Introduced in chapter 06.

    Parameters
    ----------
    index : its effort is changed while this measures, and set back.
    queries : (q, d) float.
    true : (q, k) ids of the true neighbours, as an exact index gives them.
    efforts : see `Index.effort`; None is the effort as it is.
    batch : queries that are asked at once. Large batches help "exact" the most, since all queries share the reading of
        the vectors.

    Returns
    -------
    One row per effort: `effort`, `recall` with its 95% interval `low`, `high` (bootstrap over the queries),
        `queries_per_second` (the median over the batches), and `slow`, `fast` (the middle 95% of the batches).

    Raises
    ------
    DataError : as `Index.search`; or there is not one row of `true` for each query; or no query.
    """
    if len(true) != len(queries) or not len(queries):
        raise DataError(
            f"Expected true neighbours for each query, got {len(queries)} queries and {len(true)} rows."
        )
    kept = index.effort, index.recall
    try:
        rows = [_measured(index, queries, true, effort, batch) for effort in efforts]
    finally:
        index._effort, index.recall = kept
    return pd.DataFrame(rows)


def _measured(
    index: Index, queries: np.ndarray, true: np.ndarray, effort: int | None, batch: int
) -> dict[str, float]:
    if effort is not None:
        index.effort = effort
    found, speed = [], []
    with one_thread():
        index.search(queries[:batch], true.shape[1])  # warm up
        for start in range(0, len(queries), batch):
            some = queries[start : start + batch]
            begun = time.perf_counter()
            found.append(index.search(some, true.shape[1])[0])
            speed.append(len(some) / (time.perf_counter() - begun))
    hits = np.array(
        [
            len(set(one) & set(other)) / len(other)
            for one, other in zip(np.vstack(found), true, strict=True)
        ]
    )
    span = bootstrap(hits, of="queries")
    slow, median, fast = np.quantile(speed, [0.025, 0.5, 0.975])
    return {
        "effort": index.effort, "recall": hits.mean(), "low": span.low, "high": span.high,
        "queries_per_second": median, "slow": slow, "fast": fast,
    }  # fmt: skip
