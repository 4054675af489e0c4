"""Time and memory of the triplets of a batch, beside pytorch-metric-learning: a forward and a backward pass.

    python benchmarks/bench_triplets.py                1,024 × 128, ten classes: minutes, and 4 GB of memory for theirs
    python benchmarks/bench_triplets.py --items 256    a small batch: seconds

Ours and theirs take turns, after one pass each that is not counted, so that whatever else the machine does hits both.
Peak memory is what a pass adds, in a process of its own. Both compute the same number: Euclidean distances, embeddings
not normalised again, a margin of 0.2, the mean over losses above 0. Set OMP_NUM_THREADS to fix the threads.
"""

import argparse
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable

import torch


def ours_batch_hard() -> Callable:
    from fashionnb.losses import pairwise_distances, triplet_margin
    from fashionnb.miners import batch_hard

    def loss(z, y):
        with torch.no_grad():
            distances = pairwise_distances(z)
        anchors, positives, negatives = batch_hard(distances, y)
        return triplet_margin(z[anchors], z[positives], z[negatives])

    return loss


def theirs_batch_hard() -> Callable:
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.miners import BatchHardMiner
    from pytorch_metric_learning.reducers import MeanReducer

    distance = LpDistance(normalize_embeddings=False)
    miner = BatchHardMiner(distance=distance)
    loss = TripletMarginLoss(0.2, distance=distance, reducer=MeanReducer())
    return lambda z, y: loss(z, y, miner(z, y))


def ours_batch_all() -> Callable:
    from fashionnb.losses import batch_all_triplets, pairwise_distances

    return lambda z, y: batch_all_triplets(pairwise_distances(z), y)


def theirs_batch_all() -> Callable:
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import TripletMarginLoss

    return TripletMarginLoss(0.2, distance=LpDistance(normalize_embeddings=False))


PAIRS = ((ours_batch_hard, theirs_batch_hard), (ours_batch_all, theirs_batch_all))


def batch(items: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ten classes that overlap, on the unit sphere."""
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(0, 10, (items,), generator=generator)
    z = torch.randn(10, 128, generator=generator)[y] + 2 * torch.randn(
        items, 128, generator=generator
    )
    return torch.nn.functional.normalize(z).requires_grad_(), y


def seconds(loss: Callable, z: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    """Of one pass, and the value of the loss."""
    z.grad = None
    start = time.perf_counter()
    value = loss(z, y)
    value.backward()
    return time.perf_counter() - start, value.item()


def peak() -> float:
    """The most memory that this process ever held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        2**20 if sys.platform == "darwin" else 2**10
    )


def memory(prepare: Callable, items: int) -> float:
    """MB that the passes add to the peak of this process, after a small one that loads whatever is loaded late."""
    loss = prepare()
    seconds(loss, *batch(32))
    before = peak()
    seconds(loss, *batch(items))
    return peak() - before


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=1_024, help="of the batch")
    parser.add_argument("--repeats", type=int, default=7, help="of each; the median is printed")
    chosen = parser.parse_args()
    # Before anything large happens here: on Linux a new process begins with the peak of the one that started it.
    megabytes = {}
    for prepare in (*PAIRS[0], *PAIRS[1]):
        with multiprocessing.get_context("spawn").Pool(1) as process:
            megabytes[prepare] = process.apply(memory, (prepare, chosen.items))
    z, y = batch(chosen.items)
    print(f"{'what':<20}{'loss':>9}{'median ms':>11}{'fastest':>9}{'peak MB':>9}")
    for pair in PAIRS:
        losses = [prepare() for prepare in pair]
        turns = [[seconds(loss, z, y) for loss in losses] for _ in range(1 + chosen.repeats)][1:]
        for prepare, passes in zip(pair, zip(*turns, strict=True), strict=True):
            times, value = [1_000 * of_one for of_one, _ in passes], passes[0][1]
            row = f"{value:>9.5f}{statistics.median(times):>11.1f}{min(times):>9.1f}{megabytes[prepare]:>9.0f}"
            print(f"{prepare.__name__:<20}{row}", flush=True)


if __name__ == "__main__":
    main()
