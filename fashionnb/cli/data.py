"""`fashionnb data`: the datasets of the book, where they are, and how to get them."""

from typing import Annotated

import typer

from fashionnb.data import registry
from fashionnb.errors import DataNotFound

app = typer.Typer(
    help="The datasets of the book: where they are, and how to get them.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="The name of a dataset, from `fashionnb data list`.")]


@app.command("list", epilog="Example: [b]fashionnb data list[/]")
def data_list() -> None:
    """List the datasets: where each is on this machine, its origin, licence and citation."""
    for name, source in registry.SOURCES.items():
        print(f"{name}: {source.title}, {source.bytes / 1e6:,.0f} MB\n  here     {_place(name)}")
        for addresses in source.urls.values():
            print(f"  from     {' or '.join(addresses)}")
        print(
            f"  page     {source.homepage}\n"
            f"  licence  {source.licence}{f' ({source.terms})' if source.terms else ''}\n"
            f"  cite     {source.citation}"
        )
        for file, digest in source.sha256.items():
            print(f"  sha256   {digest}  {file}")


@app.command("where", epilog="Example: [b]fashionnb data where fashion-mnist[/]")
def data_where(name: Name) -> None:
    """Print where a dataset is."""
    print(registry.find(name))


@app.command("fetch", epilog="Example: [b]fashionnb data fetch fashion-mnist[/]")
def data_fetch(name: Name) -> None:
    """Download a dataset into the cache, unless it is there; print where it is.

    A download that broke off goes on where it stopped.
    """
    print(registry.fetch(name))


@app.command("check", epilog="Example: [b]fashionnb data check fashion-product-images-small[/]")
def data_check(
    name: Name,
    path: Annotated[
        str | None, typer.Argument(help="Where it is; by default where `data where` finds it.")
    ] = None,
) -> None:
    """Check the counts, checksums and formats of a dataset, or say what is missing."""
    print(*registry.check(name, path), sep="\n")


def _place(name: str) -> str:
    """Where a dataset is on this machine, or how to get it."""
    try:
        return str(registry.find(name))
    except DataNotFound as error:
        if str(error).startswith("FASHIONNB_DATA"):
            return f"not known: {error}"
        return f"no; `{registry.remedy(name)}`{'' if registry.get(name).urls else ' says how'}"
