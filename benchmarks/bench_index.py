"""Recall against speed of the three kinds of index, on one thread: the table of chapter 06, at any size.

    python benchmarks/bench_index.py                              1,000,000 x 64 drawn vectors, minutes
    python benchmarks/bench_index.py --items 20000                seconds
    python benchmarks/bench_index.py --vectors embeddings.npy     your own vectors, jittered up to --items

Queries are jittered vectors that the index does not hold, in batches of 100 and of 1. In batches, the exact index is at
its best: all queries share the reading of the vectors. Times are wall clock: run it on a quiet machine, pinned to one
core. Without --vectors the catalogue is 20,000 points around 500 centres, along a few directions each.
"""

import argparse
import time

import numpy as np

from fashionnb.notebook.hardware import hardware
from fashionnb.search.benchmark import jittered, trade_off
from fashionnb.search.faiss_structures import KINDS
from fashionnb.search.index import Index

EFFORTS = {
    "exact": (None,),
    "ivf-pq": (1, 2, 4, 8, 16, 32, 64, 128, 256),
    "hnsw": (16, 32, 64, 128, 256, 512),
}


def drawn(dimensions: int, seed: int = 0) -> np.ndarray:
    """Points around centres, (20000, dimensions)."""
    rng = np.random.default_rng(seed)
    axes = rng.normal(size=(16, dimensions))
    centres = rng.normal(size=(500, 16))
    return (centres[rng.integers(500, size=20_000)] + 0.3 * rng.normal(size=(20_000, 16))) @ axes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--dimensions", type=int, default=64, help="of the drawn vectors")
    parser.add_argument("--vectors", help="an .npy file of real vectors (m, d)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["exact", "ivf-pq", "hnsw"])
    parser.add_argument("--queries", type=int, default=1_000)
    chosen = parser.parse_args()
    real = np.load(chosen.vectors) if chosen.vectors else drawn(chosen.dimensions)
    made = jittered(real, chosen.items + chosen.queries)
    order = np.random.default_rng(1).permutation(len(made))[: chosen.queries]
    queries, vectors = made[order], np.delete(made, order, axis=0)
    ids, true, exact = [str(i) for i in range(len(vectors))], None, {}
    print(f"{hardware()}; {len(vectors):,} x {vectors.shape[1]}")
    names = (
        "kind",
        "batch",
        "effort",
        "recall@10",
        "queries/s",
        "beside exact",
        "MB",
        "built in s",
    )
    print("".join(f"{name:>13}" for name in names))
    for kind in dict.fromkeys(["exact", *chosen.kinds]):
        begun = time.perf_counter()
        index = Index.build(vectors, ids, kind=kind)
        built = time.perf_counter() - begun
        true = index.search(queries, 10)[0] if true is None else true
        for batch in (100, 1):
            n = len(queries) if batch > 1 else min(100, len(queries))
            for row in trade_off(index, queries[:n], true[:n], EFFORTS[kind], batch).itertuples():
                speed = row.queries_per_second
                exact.setdefault(batch, speed)
                cells = (
                    *(
                        kind,
                        batch,
                        row.effort or "",
                        f"{row.recall:.4f}",
                        f"{speed:,.0f}",
                        f"{speed / exact[batch]:.1f}x",
                    ),
                    *(f"{index.memory_bytes / 1e6:.0f}", f"{built:.0f}"),
                )
                print("".join(f"{cell:>13}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
