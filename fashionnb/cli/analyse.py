"""`fashionnb analyse`: describe the garments in a folder of photos, as a detector would."""

from pathlib import Path
from typing import Annotated

import typer

from fashionnb.cli.options import SkipUnreadable

app = typer.Typer()


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
    from fashionnb.apps import analyse as app

    unreadable = "skip" if skip_unreadable else "raise"
    done = app.analyse(folder, out, model=model, unreadable=unreadable, progress=True)
    print(f"{len(done.files):,} photo(s) analysed; the files are in {out}.")
    for photo, reason in done.skipped:
        print(f"skipped {photo}: {reason}")
