"""`fashionnb evaluate`: measure a saved model on a dataset, or on the pictures of a shop."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from fashionnb.cli.options import MODEL_HELP, Json, Size

if TYPE_CHECKING:
    from fashionnb.evaluation.report import Evaluation

app = typer.Typer(
    help="Measure a saved model on a dataset or on your own pictures.", no_args_is_help=True
)

Model = Annotated[str, typer.Argument(help=MODEL_HELP)]
Data = Annotated[
    str,
    typer.Option(
        "--data",
        help="A name from `fashionnb data list`; or a folder of <class>/<name>.jpg or "
        "<split>/<class>/<name>.jpg.",
    ),
]


@app.command(
    epilog="Examples: "
    "[b]fashionnb evaluate classifier models/mine --data clothing-dataset-small[/] · "
    "[b]fashionnb evaluate classifier models/mine --data photos --json[/]"
)
def classifier(
    model: Model,
    data: Data,
    split: Annotated[
        str | None,
        typer.Option(
            help="The split to measure on; by default test, or all of a folder without splits."
        ),
    ] = None,
    size: Size = None,
    as_json: Json = False,
) -> None:
    """Measure accuracy, precision, recall and F1 with intervals, by class, and the confusions."""
    from fashionnb.evaluation.report import evaluate_classifier

    _show(evaluate_classifier(model, data, split, size=size), as_json)


@app.command(
    epilog="Examples: [b]fashionnb evaluate search style2vec --data fashion-mnist[/] · "
    "[b]fashionnb evaluate search models/mine --data photos --json[/]"
)
def search(
    model: Model,
    data: Data,
    gallery: Annotated[
        str | None, typer.Option(help="The split to search in; by default train.")
    ] = None,
    queries: Annotated[
        str | None,
        typer.Option(
            help="The split with the queries; by default test. In a folder without splits, each "
            "picture is searched for among all others."
        ),
    ] = None,
    size: Size = None,
    as_json: Json = False,
) -> None:
    """Measure recall at 1, 5 and 10, MRR and MAP@R, with intervals and by class."""
    from fashionnb.evaluation.report import evaluate_search

    _show(evaluate_search(model, data, gallery, queries, size=size), as_json)


def _show(measured: "Evaluation", as_json: bool) -> None:
    if as_json:
        print(json.dumps(measured.as_dict(), indent=2, ensure_ascii=False))
    else:
        print(measured.as_text())
