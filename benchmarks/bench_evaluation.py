"""Time and memory of `fashionnb.evaluation`, beside scikit-learn and pytorch-metric-learning.

    python benchmarks/bench_evaluation.py            10,000 × 128, with the peers: under a minute
    python benchmarks/bench_evaluation.py --large    60,000 × 128 too, without them: some minutes

Each line is a process of its own, so that its peak memory is its own. Set OMP_NUM_THREADS to fix the threads.
The embeddings are made (ten classes that overlap a little); the times do not depend on what is in them.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable

import numpy as np


def ours_retrieval(x, y):
    from fashionnb.evaluation.retrieval import retrieval

    return lambda: retrieval(x, y).mean()["map@r"]


def ours_neighbours(x, y):
    from fashionnb.evaluation.retrieval import neighbours

    return lambda: neighbours(x, k=5)[1].mean()


def ours_silhouette(x, y):
    from fashionnb.evaluation.clustering import silhouette

    return lambda: silhouette(x, y).mean()


def ours_davies_bouldin(x, y):
    from fashionnb.evaluation.clustering import davies_bouldin

    return lambda: davies_bouldin(x, y)


def ours_bootstrap(x, y):
    from fashionnb.evaluation.intervals import bootstrap

    return lambda: bootstrap(x[:, 0] > 0).low


def metric_learning_retrieval(x, y):
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    include = ("precision_at_1", "mean_reciprocal_rank", "mean_average_precision_at_r")
    calculator = AccuracyCalculator(include=include, k="max_bin_count", device=torch.device("cpu"))
    return lambda: calculator.get_accuracy(torch.from_numpy(x), torch.from_numpy(y))[
        "mean_average_precision_at_r"
    ]


def scikit_learn_silhouette(x, y):
    from sklearn.metrics import silhouette_score

    return lambda: silhouette_score(x, y)


def scikit_learn_davies_bouldin(x, y):
    from sklearn.metrics import davies_bouldin_score

    return lambda: davies_bouldin_score(x, y)


OURS = (ours_retrieval, ours_neighbours, ours_silhouette, ours_davies_bouldin, ours_bootstrap)
PEERS = (metric_learning_retrieval, scikit_learn_silhouette, scikit_learn_davies_bouldin)


def measure(prepare: Callable, n: int) -> tuple[float, float, float]:
    """The value, the seconds of the call (imports left out), and the peak memory of the whole process in MB."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, n)
    x = (rng.normal(size=(10, 128))[y] + 2 * rng.normal(size=(n, 128))).astype(np.float32)
    call = prepare(x, y)
    start = time.perf_counter()
    value = float(call())
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return value, seconds, peak / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--large", action="store_true", help="60,000 × 128 too")
    large = parser.parse_args().large
    print(f"{'what':<30}{'n':>8}{'value':>9}{'seconds':>10}{'peak MB':>9}")
    for prepare, n in [(what, 10_000) for what in OURS + PEERS] + [
        (what, 60_000) for what in OURS * large
    ]:
        with multiprocessing.get_context("spawn").Pool(1) as process:
            value, seconds, peak = process.apply(measure, (prepare, n))
        print(f"{prepare.__name__:<30}{n:>8,}{value:>9.4f}{seconds:>10.2f}{peak:>9.0f}", flush=True)


if __name__ == "__main__":
    main()
