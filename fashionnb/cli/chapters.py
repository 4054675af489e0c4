"""`fashionnb run`, `results`, `publish` and `sync`: run the chapters and publish the book."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from fashionnb.cli.options import Json, print_json, print_table
from fashionnb.errors import RunError, needs_extra
from fashionnb.profiles import current_name

app = typer.Typer()

Strict = Annotated[
    bool, typer.Option("--strict", help="End with status 1 if a claim of a chapter did not hold.")
]
Profile = Annotated[
    str,
    typer.Option(
        "--profile",
        help="How much work: quick (seconds), standard (minutes) or full.",
        envvar="FASHIONNB_PROFILE",
        callback=current_name,
    ),
]


@app.command(
    epilog="Examples: [b]fashionnb run[/] · [b]fashionnb run 02 --profile quick[/] · "
    "[b]fashionnb run 02 -p epochs 50 -p margin 0.3[/] · [b]fashionnb run 01 02 --jobs 2[/] · "
    "[b]fashionnb run polanianet -p outfits my/folder[/]"
)
def run(
    chapters: Annotated[
        list[str] | None,
        typer.Argument(
            help="Numbers (02), names (02-style2vec) or parts of one (style2vec); by default all."
        ),
    ] = None,
    profile: Profile = "standard",
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter",
            "-p",
            metavar="NAME VALUE",
            help="Set one of the parameters at the top of the chapter; may be repeated.",
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            help="auto (CUDA, else MPS, else the CPU), cpu, cuda or mps; one of several GPUs: "
            "cuda:1.",
            envvar="FASHIONNB_DEVICE",
        ),
    ] = "auto",
    jobs: Annotated[int, typer.Option(help="How many chapters run at the same time.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where notebooks, models and results are written, instead of the book's folders.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also run chapters that have not changed.")
    ] = False,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="The longest that a chapter may take, 0 for no limit; by default 60, "
            "and no limit in the profile full."
        ),
    ] = None,
    strict: Strict = False,
) -> int:
    """Run the chapters whose text, data or code has changed, if need be with other parameters.

    A chapter that fails stops no other. The status is 1 if one failed, or with --strict if a claim
    did not hold.
    """
    with _needs_book():
        from fashionnb.publishing import run_book

    outcomes = run_book.run(
        chapters or (),
        profile,
        device=device,
        parameters=dict(_split_pair(pair) for pair in parameter or ()),
        jobs=jobs,
        out=out,
        force=force,
        minutes=minutes,
        say=partial(print, flush=True),
    )
    print_table(run_book.report(outcomes))
    for line in run_book.not_held({outcome.chapter: outcome.claims for outcome in outcomes}):
        print(line)
    failed = [outcome.error for outcome in outcomes if outcome.error]
    if failed:
        print("\n\n".join(failed), file=sys.stderr)
    not_held = strict and any(outcome.claims for outcome in outcomes)
    return int(bool(failed) or not_held)


@app.command(
    "results",
    epilog="Examples: [b]fashionnb results[/] · [b]fashionnb results --profile full --json[/]",
)
def print_results(profile: Profile = "standard", as_json: Json = False) -> None:
    """Print what the chapters measured."""
    from fashionnb.notebook import comparisons, results

    found = results.load_all(profile)
    if not found:
        folder = results.results_folder() / profile
        raise RunError(
            f"{folder}: no results of profile {profile}. "
            f"`fashionnb run --profile {profile}` makes them."
        )
    if as_json:
        print_json(
            {
                name: one.model_dump(mode="json", by_alias=True, exclude_none=True)
                for name, one in found.items()
            }
        )
    else:
        print_table(comparisons.terminal_tables(found))


@app.command(
    epilog="Examples: [b]fashionnb publish[/] · [b]fashionnb publish --profile quick --out site[/]"
)
def publish(
    profile: Profile = "standard",
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the site is written; by default _build/site."),
    ] = None,
    strict: Strict = False,
) -> int:
    """Build the site from the chapters as they were last run.

    The page of a chapter that failed says so. The status is then 1, or with --strict if a claim did
    not hold.
    """
    with _needs_book():
        from fashionnb.publishing import site as publishing

    site = publishing.publish(profile, out)
    print(site.report())
    failed = any(chapter.error for chapter in site.chapters)
    not_held = strict and any(chapter.claims for chapter in site.chapters)
    return int(failed or not_held)


@app.command(epilog="Examples: [b]fashionnb sync[/] · [b]fashionnb sync --check[/]")
def sync(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if a notebook is out of date.")
    ] = False,
) -> None:
    """Make the notebooks (NN-name.ipynb) from their sources (NN-name.md)."""
    with _needs_book():
        from fashionnb.publishing import chapters

    book = chapters.Book.find()
    if not check:
        for path in chapters.sync(book):
            print(path)
    elif stale := chapters.stale(book):
        raise RunError("\n".join(stale))


_needs_book = partial(needs_extra, "book", "Running or publishing the book")


def _split_pair(pair: str) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not (name and equals):
        raise RunError(f"-p takes a name and a value, for instance `-p epochs 50`; got {pair!r}.")
    return name, value
