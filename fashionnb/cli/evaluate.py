"""`fashionnb evaluate`: how good a saved model is on a dataset, or on the pictures of a shop."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fashionnb.evaluation.report import Evaluation

app = typer.Typer(
    help="Measure a saved model on a dataset or on your own pictures.", no_args_is_help=True
)

Model = Annotated[
    str,
    typer.Argument(help="A model's folder (card.json, model.safetensors), or a published name."),
]
Data = Annotated[
    str,
    typer.Option(
        "--data",
        help="A dataset of `fashionnb data list`; or a folder of <class>/<name>.jpg or <split>/<class>/<name>.jpg.",
    ),
]
Size = Annotated[
    int | None,
    typer.Option(min=1, help="Height and width of the pictures; else as the model's card says."),
]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command(
    epilog="Examples: [b]fashionnb evaluate classifier models/mine --data clothing-dataset-small[/] · "
    "[b]fashionnb evaluate classifier models/mine --data photos --json[/]"
)
def classifier(
    model: Model,
    data: Data,
    split: Annotated[
        str | None,
        typer.Option(help="Which part of the data; else test, or all of a folder without splits."),
    ] = None,
    size: Size = None,
    as_json: Json = False,
) -> None:
    """Accuracy, precision, recall and F1 with intervals, each class, and what it was taken for."""
    from fashionnb.evaluation.report import evaluate_classifier

    _show(evaluate_classifier(model, data, split, size=size), as_json)


@app.command(
    epilog="Examples: [b]fashionnb evaluate search style2vec --data fashion-mnist[/] · "
    "[b]fashionnb evaluate search models/mine --data photos --json[/]"
)
def search(
    model: Model,
    data: Data,
    gallery: Annotated[str | None, typer.Option(help="The split to search in; else train.")] = None,
    queries: Annotated[
        str | None,
        typer.Option(
            help="The split to search by; else test. Of a folder without splits: all in all."
        ),
    ] = None,
    size: Size = None,
    as_json: Json = False,
) -> None:
    """How often the first 1, 5 and 10 found hold the query's class; MRR and MAP@R; with intervals, and by class."""
    from fashionnb.evaluation.report import evaluate_search

    _show(evaluate_search(model, data, gallery, queries, size=size), as_json)


def _show(measured: "Evaluation", as_json: bool) -> None:
    if as_json:
        import json

        print(json.dumps(measured.as_dict(), indent=2, ensure_ascii=False))
        return
    print(measured.as_text())
