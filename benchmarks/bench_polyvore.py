"""Time and memory of reading a copy of Polyvore Outfits' layout with made-up items.

    python benchmarks/bench_polyvore.py                     10,000 outfits of 5 items
    python benchmarks/bench_polyvore.py --outfits 20000     twice as many

The photos are empty files: reading must not open one. It is read three times; memory is what each adds to the peak of
this process, so the second and the third should add next to nothing. The descriptions are as long as real ones.
"""

import argparse
import json
import pickle
import resource
import sys
import tempfile
import time
from pathlib import Path

from fashionnb.data import polyvore


def write(folder: Path, outfits: int, items: int = 5) -> None:
    """All outfits of both editions: 60 % train, 10 % valid, 30 % test, no item shared."""
    ids = [f"{100_000_000 + n}" for n in range(outfits * items)]
    (folder / "images").mkdir()
    for item in ids:
        (folder / "images" / f"{item}.jpg").touch()
    row = {"url_name": "a name", "description": "word " * 60, "catgeories": ["Women's Fashion"] * 3, "title": "",
           "related": ["this", "that"] * 5, "category_id": "3", "semantic_category": "all-body"}  # fmt: skip
    (folder / "polyvore_item_metadata.json").write_text(json.dumps(dict.fromkeys(ids, row)))
    (folder / "categories.csv").write_text("3,dress,all-body\n41,closed shoes,shoes\n")
    rows = [
        {
            "set_id": str(n),
            "items": [{"item_id": ids[n * items + i], "index": i + 1} for i in range(items)],
        }
        for n in range(outfits)
    ]
    first, second = outfits * 6 // 10, outfits * 7 // 10
    parts = {"train": rows[:first], "valid": rows[first:second], "test": rows[second:]}
    for edition in polyvore.EDITIONS:
        (folder / edition).mkdir()
        (folder / edition / "typespaces.p").write_bytes(pickle.dumps([("all-body", "shoes")]))
        for name, some in parts.items():
            (folder / edition / f"{name}.json").write_text(json.dumps(some))


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
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), chosen.outfits)
        for number in (1, 2, 3):
            before, start, started = peak(), time.perf_counter(), time.process_time()
            outfits = polyvore.read_outfits(folder)
            seconds, busy = time.perf_counter() - start, time.process_time() - started
            print(
                f"{number}: {len(outfits):,} outfits, {len(outfits.catalogue):,} items in {seconds:.2f} s ",
                end="",
            )
            print(
                f"({busy:.2f} s of the processor), {peak() - before:.0f} MB more at the peak",
                flush=True,
            )
            del outfits  # or two would be held while the next is read


if __name__ == "__main__":
    main()
