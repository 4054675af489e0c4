"""`fashionnb collect`: download the pictures of a list of links."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command(
    epilog="Examples: [b]fashionnb collect links.csv --out photos[/] · "
    "[b]fashionnb collect links.csv --out photos --pause 3 --again[/]"
)
def collect(
    links: Annotated[
        Path,
        typer.Argument(
            metavar="URLS.csv",
            help="A table with the column url, and id, source and licence if known.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where images/ and manifest.csv are written.")
    ],
    pause: Annotated[
        float, typer.Option(min=0, help="Seconds between two requests to the same host.")
    ] = 1.0,
    megabytes: Annotated[
        int, typer.Option(min=1, max=1000, help="Larger pictures are not downloaded.")
    ] = 20,
    again: Annotated[
        bool, typer.Option("--again", help="Also try dead and refused links once more.")
    ] = False,
    allow_private: Annotated[
        bool,
        typer.Option(
            "--allow-private",
            help="Also contact machines of your own network; only for lists that you trust.",
        ),
    ] = False,
) -> None:
    """Download the pictures of a list of links politely, and report each link without a picture.

    Run it again to resume a list that is not finished.
    """
    from fashionnb.apps import collect as app

    limits = app.Limits(pause=pause, max_bytes=megabytes * 1_000_000)
    table = app.collect(links, out, limits=limits, allow_private=allow_private, again=again)
    print(*app.report(table), sep="\n")
