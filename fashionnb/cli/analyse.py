"""`fashionnb analyse`: name what is in a folder of product photos, as a detector would."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command(
    epilog="Examples: [b]fashionnb analyse my-photos --out found[/] · "
    "[b]fashionnb analyse my-photos --out found --skip-unreadable[/] · "
    "then [b]fashionnb recommend --data found --colour Blue[/]"
)
def analyse(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Photos of one garment each, on a plain ground."),
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where fashion_analysis_*.json and the crops go.")
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Chapter 07's multitask model; else the published one."
        ),
    ] = None,
    skip_unreadable: Annotated[
        bool,
        typer.Option(
            "--skip-unreadable", help="Leave out photos that cannot be read, and tell of them."
        ),
    ] = False,
) -> None:
    """Find the garment in each photo, name type, colour, pattern and season, and write a detector's files."""
    from fashionnb.apps import analyse as analysing

    done = analysing.analyse(
        folder, out, model=model, unreadable="skip" if skip_unreadable else "raise", progress=True
    )
    print(f"{len(done.files):,} photo(s) analysed; the files are in {out}.")
    for photo, why in done.skipped:
        print(f"skipped {photo}: {why}")
