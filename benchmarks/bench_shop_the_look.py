"""Time of reading a copy of Shop-the-Look's real size with made-up pairs.

    python benchmarks/bench_shop_the_look.py                  72,000 pairs of 29,000 scenes and 38,111 products

The pictures are empty files: reading must not open one. It is read three times.
"""

import argparse
import json
import tempfile
import time
from hashlib import md5
from pathlib import Path

import numpy as np

from fashionnb.data import shop_the_look
from fashionnb.scenes.protocol import split_strictly

SCENES, PRODUCTS, LEAVES = 29_000, 38_111, 10


def write(folder: Path, pairs: int) -> None:
    names = [md5(str(n).encode()).hexdigest() for n in range(SCENES + PRODUCTS)]
    (folder / "images").mkdir()
    for name in names:
        (folder / "images" / f"{name}.jpg").touch()
    rng = np.random.default_rng(0)
    # Every scene and every product once, then at random.
    scenes = np.r_[np.arange(SCENES), rng.integers(SCENES, size=pairs)][:pairs]
    products = np.r_[rng.permutation(PRODUCTS), rng.integers(PRODUCTS, size=pairs)][:pairs]
    corners = np.sort(rng.random((pairs, 2, 2)), axis=1).reshape(pairs, 4).round(6) * 0.99 + [
        0,
        0,
        0.01,
        0.01,
    ]
    lines = [
        json.dumps({"product": names[SCENES + product], "scene": names[scene], "bbox": box})
        for scene, product, box in zip(scenes, products, corners.tolist(), strict=True)
    ]
    (folder / "fashion.json").write_text("\n".join(lines))
    kinds = {
        name: f"Apparel & Accessories|Clothing|Leaf {n % LEAVES}"
        for n, name in enumerate(names[SCENES:])
    }
    (folder / "fashion-cat.json").write_text(json.dumps(kinds))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=72_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), chosen.pairs)
        for number in (1, 2, 3):
            start = time.perf_counter()
            scenes = shop_the_look.read_scenes(folder)
            read = time.perf_counter() - start
            strict = split_strictly(scenes)
            split = time.perf_counter() - start - read
            print(
                f"{number}: {len(scenes):,} pairs, {len(scenes.catalogue):,} products in {read:.2f} s; ",
                end="",
            )
            print(f"strict splits keep {len(strict):,} of them, in {split:.2f} s", flush=True)


if __name__ == "__main__":
    main()
