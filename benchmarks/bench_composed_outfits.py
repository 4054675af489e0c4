"""Time and memory of outfits composed of the product photos: composing outfits, asking about them, drawing scenes.

    python benchmarks/bench_composed_outfits.py                     10,000 outfits, 1,000 scenes; needs the product photos
    python benchmarks/bench_composed_outfits.py --real              scenes of MANGO's outfits instead

Time is that of the processor, since other programs may be busy. Memory is the peak of this process.
"""

import argparse
import itertools
import resource
import sys
import time

from fashionnb.data import mango, products, registry
from fashionnb.synthetic import composed_outfits


def peak() -> float:
    """The most memory that this process ever held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        2**20 if sys.platform == "darwin" else 2**10
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--outfits", type=int, default=10_000)
    parser.add_argument("--scenes", type=int, default=1_000)
    parser.add_argument("--size", type=int, default=160, help="of a scene, pixels high")
    parser.add_argument("--real", action="store_true", help="scenes of MANGO's outfits")
    chosen = parser.parse_args()
    if chosen.real:
        outfits = mango.read_outfits(registry.find("mango-outfits"))
    else:
        catalogue = products.read(registry.find("fashion-product-images-small"))
        start = time.process_time()
        outfits = composed_outfits.compose(catalogue, chosen.outfits)
        print(f"{len(outfits):,} outfits composed in {time.process_time() - start:.2f} s")
        for hardness in composed_outfits.HARDNESS:
            start = time.process_time()
            n = len(composed_outfits.make_blanks(outfits, hardness))
            print(
                f"{n:,} questions, wrong answers by {hardness!r}: {time.process_time() - start:.2f} s"
            )
    start, scenes, pairs = time.process_time(), 0, 0
    for scene in itertools.islice(
        composed_outfits.draw_scenes(outfits, chosen.size), chosen.scenes
    ):
        scenes, pairs = scenes + 1, pairs + len(scene.products)
        if scenes % 500 == 0:
            rate = scenes / (time.process_time() - start)
            print(
                f"{scenes:,} scenes, {pairs:,} pairs: {rate:.0f} scenes/s, peak {peak():.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
