"""How many garments are drawn in a second on one core, at several sizes: `python benchmarks/bench_drawn_garments.py`.

Both clocks are shown: "wall" is what one waits for, "core" is what the processor worked (on a busy machine the fairer
of the two). The best of five runs counts, as it was disturbed least.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = (
    "1"  # before numpy starts its threads
)

import time

from fashionnb.synthetic import drawn_garments


def measure(size: int, n: int, repeats: int = 5) -> tuple[float, float]:
    """Items per second by wall clock and by processor time."""
    walls, cores = [], []
    for _ in range(repeats):
        wall, core = time.perf_counter(), time.process_time()
        drawn_garments.catalogue(n, size)
        walls.append(time.perf_counter() - wall)
        cores.append(time.process_time() - core)
    return n / min(walls), n / min(cores)


if __name__ == "__main__":
    for size, n in ((28, 4000), (64, 2000), (128, 500), (512, 30)):
        wall, core = measure(size, n)
        print(f"{size:4d} px: {wall:6,.0f} items/s wall, {core:6,.0f} items/s core")
