"""Compare two folders of recorded results, number by number: `book/results/quick` before and after a change.

    python benchmarks/compare_results.py ../before/book/results/quick book/results/quick

Rows are matched by chapter, method, metric, split and class. Speeds are left out, since
they differ from run to run. Ends with status 1 if a row is missing on one side or a number differs in any digit.
"""

import argparse
import json
import sys
from pathlib import Path

TIMED = ("images_per_second", "milliseconds", "queries_per_second", "speedup")
"""Metrics that are measured anew in each run."""


def numbers(folder: Path) -> dict[tuple, tuple]:
    """(chapter, method, metric, split, class) -> value, low, high and n of every recorded row."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        for row in json.loads(path.read_text(encoding="utf-8"))["results"]:
            if row["metric"] in TIMED:
                continue
            place = [
                path.stem,
                *(str(row.get(name)) for name in ("method", "metric", "split", "class")),
            ]
            while tuple(place) in found:  # rows of one name are told apart by their order
                place.append("again")
            interval = row.get("interval") or {}
            found[tuple(place)] = (
                row["value"],
                interval.get("low"),
                interval.get("high"),
                row.get("n"),
            )
    return found


def main() -> int:
    """Print what differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    given = parser.parse_args()
    before, after = numbers(given.before), numbers(given.after)
    if not before or not after:
        print(f"No results in {given.before if not before else given.after}.", file=sys.stderr)
        return 2
    differ = [place for place in before if place in after and before[place] != after[place]]
    for place in differ:
        print("differs:", *place, before[place], "->", after[place])
    for name, some, others in (("gone", before, after), ("new", after, before)):
        for place in some:
            if place not in others:
                print(f"{name}:", *place)
    same = len(before.keys() & after.keys()) - len(differ)
    print(f"{same:,} of {len(before | after):,} rows are equal in every digit.")
    return int(same < len(before | after))


if __name__ == "__main__":
    sys.exit(main())
