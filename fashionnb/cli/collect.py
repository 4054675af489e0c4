"""`fashionnb collect`: fetch the pictures of a list of links."""

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
            metavar="URLS.csv", help="A table with the column url; id, source, licence if known."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where images/ and manifest.csv go.")],
    pause: Annotated[
        float, typer.Option(min=0, help="Seconds between two requests to one host.")
    ] = 1.0,
    megabytes: Annotated[
        int, typer.Option(min=1, max=1000, help="A larger picture is not taken.")
    ] = 20,
    again: Annotated[
        bool, typer.Option("--again", help="Ask once more for dead and refused links, too.")
    ] = False,
    allow_private: Annotated[
        bool,
        typer.Option(
            "--allow-private",
            help="Ask machines of your own network, too; for lists that you trust.",
        ),
    ] = False,
) -> None:
    """Fetch the pictures of a list of links, politely; run it again to go on. Tell of each link without a picture."""
    from fashionnb.apps import collect as collecting

    limits = collecting.Limits(pause=pause, bytes=megabytes * 1_000_000)
    table = collecting.collect(links, out, limits=limits, allow_private=allow_private, again=again)
    for line in collecting.report(table):
        print(line)
