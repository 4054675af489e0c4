"""`fashionnb demo`: the web demo on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from fashionnb.cli.options import CATALOGUE_HELP

app = typer.Typer()


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
) -> None:
    """Serve a web page with similar garments for a photo, outfits for it, and their scores."""
    from fashionnb.apps.demo.backend import open_backend
    from fashionnb.apps.demo.server import Server, is_loopback

    server = Server(open_backend(data, progress=True), host, 0 if screenshots else port)
    if screenshots is not None:
        from fashionnb.apps.demo.screenshots import take

        with server:
            print(*take(server.address, screenshots), sep="\n")
        return
    print(f"The demo is on {server.address} (Ctrl-C ends it).", flush=True)
    if not is_loopback(host):
        print("Everybody who can reach this machine can use it; there is no password.", flush=True)
    server.run()
