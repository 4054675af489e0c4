"""How long a recommendation takes among all 44,441 products, and how long the shop takes to open.

    python benchmarks/bench_recommend.py

"Cold" is a process of its own: the catalogue is read from its zip and the 128-d vectors from their file. Libraries are
imported before the clock starts, and the files are in the system's cache. "Warm" is the median and the slowest of many
calls, each for another item. Aim: warm below 50 ms on one core, cold below 3 s. Set OMP_NUM_THREADS=1 to fix the
threads. FASHIONNB_DATA says where the products are; the vectors are random, which changes no time.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

NAME = "fashion-product-images-small"

COLD = """
import sys, time
import numpy, pandas
from fashionnb import datasets
from fashionnb.search import recommend
wall, cpu = time.perf_counter(), time.process_time()
recommend.open_recommender(datasets.open_catalogue("fashion-product-images-small"), sys.argv[1])
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def main() -> None:
    from fashionnb import datasets
    from fashionnb.search.recommend import Recommender

    catalogue = datasets.open_catalogue(NAME)
    vectors = np.random.default_rng(0).standard_normal((len(catalogue), 128)).astype(np.float32)
    recommender = Recommender(catalogue, vectors)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "shop.vectors"
        recommender.save(file)
        runs = [
            subprocess.run(
                [sys.executable, "-c", COLD, str(file)], capture_output=True, text=True, check=True
            ).stdout
            for _ in range(3)
        ]
    wall, cpu = zip(*(map(float, run.split()) for run in runs), strict=True)
    print(f"{len(catalogue):,} products of 128 numbers")
    print(
        f"cold: {statistics.median(wall):.2f} s, of which {statistics.median(cpu):.2f} s of computing (median of 3)"
    )
    items = catalogue.table["id"].sample(40, random_state=0).tolist()
    ways = {
        "find_similar_items": lambda item: recommender.find_similar_items(item),
        "… with a season": lambda item: recommender.find_similar_items(item, season="Winter"),
        "… with diversity 0.3": lambda item: recommender.find_similar_items(item, diversity=0.3),
        "recommend_by_attributes": lambda item: recommender.recommend_by_attributes(
            colour="Blue", season="Winter"
        ),
        "get_color_coordinated_items": lambda item: recommender.get_color_coordinated_items(item),
        "ensemble_recommend": lambda item: recommender.ensemble_recommend(item),
    }
    print(f"{'warm, ms':<30}{'median':>8}{'slowest':>9}")
    for name, ask in ways.items():
        ask(items[0])
        times = []
        for item in items:
            start = time.perf_counter()
            ask(item)
            times.append(1_000 * (time.perf_counter() - start))
        print(f"{name:<30}{statistics.median(times):>8.1f}{max(times):>9.1f}", flush=True)


if __name__ == "__main__":
    main()
