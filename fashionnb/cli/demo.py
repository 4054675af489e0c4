"""`fashionnb demo`: the web demo on this machine."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command(
    epilog="Examples: [b]fashionnb demo[/] · [b]fashionnb demo --data mango-outfits --port 8001[/] · "
    "[b]fashionnb demo --data my-photos/[/] · [b]fashionnb demo --screenshots pictures/[/]"
)
def demo(
    data: Annotated[
        str,
        typer.Option(
            metavar="NAME|PATH",
            help="The catalogue: 'atelier' (drawn), a name from `fashionnb data list`, a detector's JSON or the folder "
            "of it, or a folder of pictures.",
        ),
    ] = "atelier",
    host: Annotated[
        str,
        typer.Option(
            help="Who may come: 127.0.0.1 is this machine only, 0.0.0.0 everybody who can reach it."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes any that is free.")] = 8000,
    screenshots: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Serve nobody: put pictures of the page there, and end."),
    ] = None,
) -> None:
    """Serve the demo: similar garments for a photo, what completes the look, and a score for your outfit."""
    from fashionnb.apps.demo import request_guard
    from fashionnb.apps.demo.server import Server
    from fashionnb.apps.demo.stylist import open_stylist

    server = Server(
        open_stylist(data, progress=data != "atelier"), host, 0 if screenshots else port
    )
    if screenshots is not None:
        from fashionnb.apps.demo.screenshots import take

        with server:
            print(*take(server.address, screenshots), sep="\n")
        return
    print(f"The demo is on {server.address} (Ctrl-C ends it).", flush=True)
    if not request_guard.loopback(host):
        print("Everybody who can reach this machine can use it; there is no password.", flush=True)
    server.run()
