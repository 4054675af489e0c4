"""The `fashionnb` command. It only parses, calls the package and prints; each command's work is done in its module.

Heavy imports are inside the commands, so that `fashionnb --help` answers at once.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

import fashionnb
from fashionnb.errors import FashionNBError, RunError

app = typer.Typer(
    help="Run the chapters of the book, fetch their data, read their results, publish the site.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    add_completion=False,
)
data_app = typer.Typer(help="The datasets of the book: where they are, and how to get them.", no_args_is_help=True)
app.add_typer(data_app, name="data")

INTERRUPTED = 130

Profile = Annotated[str, typer.Option("--profile", help="quick, cpu or full.", envvar="FASHIONNB_PROFILE")]
Name = Annotated[str, typer.Argument(help="A dataset, as `fashionnb data list` calls it.")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status: 0, 2 after a mistake that has a message, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = app(_join_pairs(words), prog_name="fashionnb", standalone_mode=False) or 0
    except FashionNBError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        status = INTERRUPTED
    except Exception as error:
        if not hasattr(error, "format_message"):  # not typer's word for a wrong option or command
            raise
        if message := error.format_message():  # without a command the help is the message, and was printed
            print(f"{message}\nTry `fashionnb --help`.", file=sys.stderr)
        return 2
    if status == INTERRUPTED:  # typer may have caught the KeyboardInterrupt itself, and kept only this
        print("Interrupted. Training goes on from its last saved state when the same is run again.", file=sys.stderr)
    return status


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"fashionnb {fashionnb.__version__}")
        raise typer.Exit


@app.command(
    epilog="Examples: [b]fashionnb run[/] · [b]fashionnb run 02 --profile quick[/] · "
    "[b]fashionnb run 02 -p epochs 50 -p margin 0.3[/] · [b]fashionnb run 01 02 --jobs 2[/]"
)
def run(
    chapters: Annotated[
        list[str] | None, typer.Argument(help="Numbers (02), names (02-style2vec) or beginnings of names; none: all.")
    ] = None,
    profile: Profile = "cpu",
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="NAME VALUE", help="Set a number of the chapter's parameters cell."),
    ] = None,
    jobs: Annotated[int, typer.Option(help="How many chapters run at the same time.")] = 1,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where notebooks, models and results go, apart from the book's.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Run even what has not changed.")] = False,
) -> None:
    """Run chapters that have changed, or whose data or code has; train with other numbers (-p)."""
    from rich.console import Console

    from fashionnb import runs

    given = dict(_split_pair(pair) for pair in parameter or ())
    outcomes = runs.run(chapters or (), profile, parameters=given, jobs=jobs, out=out, force=force)
    Console().print(runs.report(outcomes))
    if failed := [outcome.error for outcome in outcomes if outcome.error]:
        raise RunError("\n\n".join(failed))


@app.command(epilog="Examples: [b]fashionnb results[/] · [b]fashionnb results --profile full --json[/]")
def results(
    profile: Profile = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Print what the chapters measured."""
    from fashionnb import results as book_results

    found = book_results.load_all(profile)
    if not found:
        folder = book_results.results_folder() / profile
        raise RunError(f"{folder}: no results of profile {profile}. `fashionnb run --profile {profile}` makes them.")
    if as_json:
        dumped = {name: one.model_dump(mode="json", by_alias=True, exclude_none=True) for name, one in found.items()}
        print(json.dumps(dumped, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    Console().print(book_results.as_text(found))


@data_app.command("list", epilog="Example: [b]fashionnb data list[/]")
def data_list() -> None:
    """List the datasets: where each is on this machine and where it comes from, licence, citation, checksums."""
    from fashionnb.data import sources
    from fashionnb.errors import DataNotFound

    for name, source in sources.SOURCES.items():
        try:
            here = str(sources.find(name))
        except DataNotFound:
            here = f"no; `fashionnb data fetch {name}`" if source.urls else f"no; by hand: {source.by_hand}"
        print(f"{name}: {source.title}, {source.bytes / 1e6:,.0f} MB")
        print(f"  here     {here}")
        for addresses in source.urls.values():
            print(f"  from     {' or '.join(addresses)}")
        print(f"  page     {source.homepage}")
        print(f"  licence  {source.licence}{f' ({source.terms})' if source.terms else ''}")
        print(f"  cite     {source.citation}")
        for file, digest in source.sha256.items():
            print(f"  sha256   {digest}  {file}")


@data_app.command("where", epilog="Example: [b]fashionnb data where fashion-mnist[/]")
def data_where(name: Name) -> None:
    """Print where a dataset is."""
    from fashionnb.data import sources

    print(sources.find(name))


@data_app.command("fetch", epilog="Example: [b]fashionnb data fetch fashion-mnist[/]")
def data_fetch(name: Name) -> None:
    """Download a dataset into the cache, unless it is there; print where it is."""
    from fashionnb.data import sources

    print(sources.fetch(name))


@data_app.command("check", epilog="Example: [b]fashionnb data check fashion-product-images-small[/]")
def data_check(name: Name) -> None:
    """Check a dataset against what is known of it: counts, checksums, formats."""
    from fashionnb.data import sources

    for finding in sources.check(name):
        print(finding)


@app.command(epilog="Examples: [b]fashionnb publish[/] · [b]fashionnb publish --profile quick --out site[/]")
def publish(
    profile: Profile = "cpu",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the site goes; else _build/site.")] = None,
) -> None:
    """Build the site from the chapters as they were last run."""
    from fashionnb import publish as publishing

    print(publishing.publish(profile, out).report())


@app.command(epilog="Examples: [b]fashionnb sync[/] · [b]fashionnb sync --check[/]")
def sync(check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if any is stale.")] = False) -> None:
    """Make the notebooks (NN-name.ipynb) anew from their sources (NN-name.md)."""
    from fashionnb import pairs
    from fashionnb.runs.chapters import Book

    folder = Book.find().folder
    if not check:
        for path in pairs.sync(folder):
            print(path)
    elif stale := pairs.stale(folder):
        raise RunError("\n".join(stale))


def _join_pairs(words: list[str]) -> list[str]:
    """Turn `-p NAME VALUE` into `-p NAME=VALUE`: typer has no options that take two words and may be repeated."""
    joined: list[str] = []
    left = iter(words)
    for word in left:
        joined.append(word)
        if word in ("-p", "--parameter"):
            name = next(left, "")
            value = None if "=" in name else next(left, None)
            joined.append(name if value is None else f"{name}={value}")
    return joined


def _split_pair(pair: str) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not (name and equals):
        raise RunError(f"-p takes a name and a value, for instance `-p epochs 50`; got {pair!r}.")
    return name, value


if __name__ == "__main__":
    sys.exit(main())
