"""How far the headline figures and the claims of the chapters move between seeds, thread counts and precisions.

    python benchmarks/spread_of_claims.py run                        all chapters, three seeds, two settings: hours
    python benchmarks/spread_of_claims.py run 02 05 --seeds 0 1      some of it
    python benchmarks/spread_of_claims.py table                      what there is, as Markdown
    python benchmarks/spread_of_claims.py table --also clone=../clone

Each piece is one chapter with one seed in one setting, run by `fashionnb` into `_build/spread/<setting>/<seed>`. What
has not changed is not run again, so it may be stopped at any time and goes on where it was. The table has the rows that
the front page asks for, and every claim: in how many of the runs it held, and between which values it moved.
"""

import argparse
import math
import os
from collections import defaultdict
from pathlib import Path

import nbformat

from fashionnb.notebook import results
from fashionnb.notebook.claims import Claim, claims_in
from fashionnb.notebook.results import Row
from fashionnb.publishing import run_book
from fashionnb.publishing.chapters import Book
from fashionnb.publishing.site_markdown import RESULT_HERE

SETTINGS = {
    "1 thread, float32": {"OMP_NUM_THREADS": "1", "FASHIONNB_PRECISION": "no"},
    "2 threads": {"OMP_NUM_THREADS": "2"},
    "plain kernels": {
        "OMP_NUM_THREADS": "1",
        "FASHIONNB_PRECISION": "no",
        "ATEN_CPU_CAPABILITY": "default",
    },
}
"""Name -> what the environment is given. Without a precision the machine takes its own (bfloat16 where it has it)."""


def run(
    book: Book, chapters: list[str], settings: list[str], seeds: list[int], profile: str, jobs: int
) -> None:
    """Run every piece that is not there yet."""
    for setting in settings:
        os.environ.update(SETTINGS[setting])
        for seed in seeds:
            print(f"--- {setting}, seed {seed}", flush=True)
            out = book.build / "spread" / setting / str(seed)
            parameters = {"seed": str(seed)}
            options = {
                "jobs": jobs,
                "out": out,
                "book": book,
                "say": lambda line: print(line, flush=True),
            }
            for outcome in run_book.run(chapters, profile, parameters=parameters, **options):
                print(outcome.error, flush=True) if outcome.error else None
        for name in SETTINGS[setting]:
            del os.environ[name]


def places(book: Book, also: list[str]) -> dict[str, tuple[Path, Path]]:
    """Name of a run -> where its notebooks and its results lie, above the profiles."""
    found = {}
    for folder in sorted((book.build / "spread").glob("*/*")):
        found[f"{folder.parent.name}, seed {folder.name}"] = folder / "run", folder / "results"
    found["published"] = Path("none"), book.folder / "results"
    for pair in also:
        name, _, root = pair.partition("=")
        found[name] = Path(root, "_build", "run"), Path(root, "book", "results")
    return found


def headlines(
    book: Book, where: dict[str, tuple[Path, Path]], profile: str
) -> dict[tuple, dict[str, Row]]:
    """The rows that the front page asks for: (chapter, method, metric) -> run -> row."""
    found = defaultdict(dict)
    for *asked, full in RESULT_HERE.findall((book.folder / "index.md").read_text(encoding="utf-8")):
        chapter, method, metric = asked
        if full:  # committed: no run of this profile moves it
            continue
        for name, (_, folder) in where.items():
            if chapter not in results.recorded(profile, folder):
                continue
            rows = [
                row for row in results.load(chapter, profile, folder).results if row.class_ is None
            ]
            rows = [row for row in rows if (row.method, row.metric) == (method, metric)]
            if rows:
                found[tuple(asked)][name] = min(rows, key=lambda row: row.split != "test")
    return found


def claims(where: dict[str, tuple[Path, Path]], profile: str) -> dict[tuple, dict[str, Claim]]:
    """Every claim: (chapter, its place among the claims of the chapter) -> run -> claim."""
    found = defaultdict(dict)
    for name, (folder, _) in where.items():
        for path in sorted((folder / profile).glob("*.ipynb")):
            for place, one in enumerate(claims_in(nbformat.read(path, as_version=4))):
                found[path.stem, place][name] = one
    return dict(sorted(found.items()))


def table(book: Book, also: list[str], profile: str) -> None:
    """Print both tables as Markdown."""
    where = places(book, also)
    print(
        "| chapter | method | metric | printed interval | runs | lowest | highest | moves by more than its interval |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for (chapter, method, metric), found in headlines(book, where, profile).items():
        values = [row.value for row in found.values()]
        printed = found.get("published") or next(iter(found.values()))
        wide = printed.interval.high - printed.interval.low
        beyond = "yes" if max(values) - min(values) > wide else "no"
        ends = f"{min(values):.3f} | {max(values):.3f}"
        print(
            f"| {chapter[:2]} | {method} | {metric} | {printed.shown(3)} | {len(values)} | {ends} | {beyond} |"
        )
    print("\n| chapter | claim | held | lowest | highest | expected |\n|---|---|---|---|---|---|")
    for (chapter, _), found in claims(where, profile).items():
        values = [one.measured for one in found.values() if not math.isnan(one.measured)] or [
            math.nan
        ]
        one = next(iter(found.values()))
        held = f"{sum(each.holds for each in found.values())} of {len(found)}"
        expected = one.finding.partition("expected ")[2]
        print(
            f"| {chapter[:2]} | {one.in_short} | {held} | {min(values):.3g} | {max(values):.3g} | {expected} |"
        )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    running, printing = commands.add_parser("run"), commands.add_parser("table")
    running.add_argument("chapters", nargs="*", help="numbers or names; none: all")
    running.add_argument(
        "--settings", nargs="+", choices=list(SETTINGS), default=list(SETTINGS)[:2]
    )
    running.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    running.add_argument(
        "--jobs", type=int, default=1, help="chapters at a time (their threads are then shared)"
    )
    printing.add_argument(
        "--also", nargs="*", default=[], metavar="NAME=CHECKOUT", help="other checkouts to read"
    )
    for one in (running, printing):
        one.add_argument("--profile", default="standard")
    given = parser.parse_args()
    book = Book.find()
    if given.command == "run":
        run(book, given.chapters, given.settings, given.seeds, given.profile, given.jobs)
    else:
        table(book, given.also, given.profile)


if __name__ == "__main__":
    main()
