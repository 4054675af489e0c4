"""Options that several groups of commands share."""

from typing import Annotated

import typer

MODEL_HELP = "A model's folder (card.json, model.safetensors), or the name of a published model."
CATALOGUE_HELP = (
    "The catalogue: a name from `fashionnb data list`, 'drawn' for drawn garments, a detector's "
    "JSON file or the folder with it, or a folder of pictures."
)

Size = Annotated[
    int | None,
    typer.Option(
        min=1, help="Height and width of the model's input in pixels; by default as its card says."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
SkipUnreadable = Annotated[
    bool,
    typer.Option(
        "--skip-unreadable", help="Leave out pictures that cannot be read, and list them."
    ),
]
