"""Options that several groups of commands share, and how they print."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fashionnb.errors import DataError, UnreadableImages

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

    from fashionnb.data.catalogue import Catalogue

MODEL_HELP = "A model's folder (card.json, model.safetensors), or the name of a published model."
EMBEDDING_MODEL_HELP = (
    f"{MODEL_HELP[:-1]}, such as siamese or efficientnet-lite2 (the extra `pretrained`)."
)
SEARCH_MODEL_HELP = f"{EMBEDDING_MODEL_HELP[:-1]}; or an ONNX file of `fashionnb export`."
CATALOGUE_HELP = (
    "The catalogue: a name from `fashionnb data list`, 'drawn' for drawn garments, a detector's "
    "JSON file or the folder with it, a shop's own table (.csv, .tsv, .jsonl, .parquet, .xlsx), or "
    "a folder of pictures."
)

Size = Annotated[
    int | None,
    typer.Option(
        min=1, help="Height and width of the model's input in pixels; by default as its card says."
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        metavar="OURS=THEIRS,…",
        help="Of a table: which of its columns is ours, where its name does not say it, such as "
        "image=foto,category=kategorie.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
SkipUnreadable = Annotated[
    bool,
    typer.Option(
        "--skip-unreadable", help="Leave out pictures that cannot be read, and list them."
    ),
]


def print_json(content: Any) -> None:
    """Print plain values or a DataFrame as JSON, in ASCII: every program and terminal takes it."""
    if hasattr(content, "to_json"):
        content = json.loads(content.to_json(orient="records"))
    print(json.dumps(content, indent=2))


def print_table(content: "RenderableType") -> None:
    """Print tables of rich; into a file or a pipe as wide as they are."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 1_000
    console.print(content)


@contextmanager
def offer_to_skip(skipped: bool) -> Iterator[None]:
    """Say of pictures that cannot be read that this command can leave them out."""
    try:
        yield
    except UnreadableImages as error:
        if skipped:
            raise
        raise DataError(
            f"{error} Or leave out all that cannot be read: --skip-unreadable."
        ) from error


def print_left_out(unreadable: "pd.DataFrame") -> None:
    """Print why each picture was left out."""
    for why in unreadable["why"]:
        print(f"left out: {why}")


def read_columns(text: str | None) -> dict[str, str]:
    """The mapping that `--columns image=foto,category=kategorie` names."""
    pairs = [pair.split("=", 1) for pair in (text or "").split(",") if pair.strip()]
    if any(len(pair) < 2 or not all(map(str.strip, pair)) for pair in pairs):
        raise DataError(
            f"--columns takes pairs such as image=foto,category=kategorie; got {text!r}."
        )
    return {ours.strip(): theirs.strip() for ours, theirs in pairs}


def print_report(catalogue: "Catalogue") -> "Catalogue":
    """Print what a reader says of a table, apart from the answer; return the catalogue."""
    for line in catalogue.table.attrs.get("report", ()):
        print(line, file=sys.stderr)
    return catalogue


def open_data(source: str, columns: str | None) -> "Catalogue":
    """Open what `--data` and `--columns` name, and print what its reader says of it."""
    from fashionnb import datasets

    return print_report(datasets.open_catalogue(source, read_columns(columns)))
