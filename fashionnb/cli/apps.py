"""`fashionnb analyse`, `collect` and `demo`: describe photos, download pictures, try it all out."""

from pathlib import Path
from typing import Annotated

import typer

from fashionnb.cli.options import (
    CATALOGUE_HELP,
    Columns,
    SkipUnreadable,
    print_report,
    read_columns,
)

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
    from fashionnb.apps import collect as collecting

    table = collecting.collect(
        links, out, pause=pause, max_bytes=megabytes * 1_000_000, allow_private=allow_private,
        again=again,
    )  # fmt: skip
    print(*collecting.report(table), sep="\n")


@app.command(
    epilog="Examples: [b]fashionnb analyse my-photos --out found[/] · "
    "[b]fashionnb analyse my-photos --out found --skip-unreadable[/] · "
    "then [b]fashionnb recommend --data found --colour Blue[/]"
)
def analyse(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Photos of one garment each, on a plain background."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Where fashion_analysis_*.json and the crops are written."
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="The folder of a trained multi-task model; by default the published one.",
        ),
    ] = None,
    skip_unreadable: SkipUnreadable = False,
) -> None:
    """Find the garment in each photo, and write its type, colour, pattern and season."""
    from fashionnb.apps.analyse import analyse as analyse_photos

    files, skipped = analyse_photos(folder, out, model=model, skip_unreadable=skip_unreadable)
    print(f"{len(files):,} photo(s) analysed; the files are in {out}.")
    for photo, reason in skipped.items():
        print(f"skipped {photo}: {reason}")


@app.command(
    epilog="Examples: [b]fashionnb demo[/] · "
    "[b]fashionnb demo --data mango-outfits --port 8001[/] · "
    "[b]fashionnb demo --data my-photos/[/] · [b]fashionnb demo --screenshots pictures/[/]"
)
def demo(
    data: Annotated[str, typer.Option(metavar="NAME|PATH", help=CATALOGUE_HELP)] = "drawn",
    host: Annotated[
        str,
        typer.Option(
            help="Who can use it: 127.0.0.1 this machine only, 0.0.0.0 everybody who can reach it."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to serve on; 0 takes any free one.")] = 8000,
    screenshots: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write pictures of the page into this folder, and end."),
    ] = None,
    columns: Columns = None,
) -> None:
    """Serve a web page with similar garments for a photo, outfits for it, and their scores."""
    from fashionnb.apps.demo import screenshots as pictures
    from fashionnb.apps.demo.backend import open_backend
    from fashionnb.apps.demo.server import Server, is_loopback

    backend = open_backend(data, read_columns(columns))
    print_report(backend.catalogue)
    if backend.without_role:
        names = [f"{name or 'no category'} ({n:,})" for name, n in backend.without_role.items()]
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        print(f"In no outfit, since the name is no known garment: {', '.join(names[:8])}{more}.")
    server = Server(backend, host, 0 if screenshots else port)
    if screenshots is not None:
        with server:
            print(*pictures.take(server.address, screenshots), sep="\n")
        return
    print(f"The demo is on {server.address} (Ctrl-C ends it).", flush=True)
    if not is_loopback(host):
        print("Everybody who can reach this machine can use it; there is no password.", flush=True)
    server.run()
