"""Options that several commands share, and the table that two of them print."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

MODEL_HELP = "A model's folder (card.json, model.safetensors), or the name of a published model."
EMBEDDING_MODEL_HELP = f"{MODEL_HELP[:-1]}, or siglip, resnet50 or vgg16."
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
Html = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Also write a web page that shows the answer.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
SkipUnreadable = Annotated[
    bool,
    typer.Option(
        "--skip-unreadable", help="Leave out pictures that cannot be read, and list them."
    ),
]


def print_table(table: "pd.DataFrame") -> None:
    """Print a table of text for people, with its columns aligned on the left."""
    padded = {name: column.str.ljust(column.str.len().max()) for name, column in table.items()}
    print(table.assign(**padded).to_string(index=False, justify="left"))
