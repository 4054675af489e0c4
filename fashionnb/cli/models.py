"""`fashionnb export` and `fashionnb evaluate`: ship a trained model as one file, and measure it."""

from pathlib import Path
from typing import Annotated

import typer

from fashionnb.cli.options import (
    EMBEDDING_MODEL_HELP,
    MODEL_HELP,
    Columns,
    Json,
    Size,
    open_data,
    print_json,
)
from fashionnb.errors import DataError
from fashionnb.files import check_target

app = typer.Typer()
evaluate = typer.Typer(
    help="Measure a saved model on a dataset or on your own pictures.", no_args_is_help=True
)

CALIBRATION_PICTURES = 300  # more change little but the time

Model = Annotated[str, typer.Argument(help=MODEL_HELP)]
Data = Annotated[
    str,
    typer.Option(
        "--data",
        help="A name from `fashionnb data list`; a folder of <class>/<name>.jpg or "
        "<split>/<class>/<name>.jpg; or a shop's own table (.csv, .tsv, .jsonl, .parquet, .xlsx).",
    ),
]


@app.command(
    epilog="Examples: [b]fashionnb export style2vec style2vec.onnx[/] · "
    "[b]fashionnb export models/mine mine.onnx[/] · "
    "[b]fashionnb export models/mine small.onnx --int8 photos[/]"
)
def export(
    model: Annotated[str, typer.Argument(help=EMBEDDING_MODEL_HELP)],
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    size: Size = None,
    int8: Annotated[
        str | None,
        typer.Option(
            metavar="PHOTOS",
            help="Compute in 8-bit integers, calibrated on these photos: a folder, a zip file, "
            "or a name from `fashionnb data list`.",
        ),
    ] = None,
) -> None:
    """Write a model as one ONNX file, compare its outputs with those of torch, and time it."""
    import numpy as np

    from fashionnb import checkpoints, datasets
    from fashionnb.export import TOLERANCE, OnnxModel, to_onnx
    from fashionnb.notebook.hardware import hardware, latency

    check_target(out)
    trained = checkpoints.load_model(model)
    card = trained.card
    checkpoints.check_task(card, model, "embedding", "classification")
    size = checkpoints.image_size(card, model, size)
    calibration = None
    if int8 is not None:
        photos = datasets.open_catalogue(int8).sample(CALIBRATION_PICTURES)
        calibration = photos.pixels(size, card.channels)
    done = to_onnx(
        trained,
        out,
        size=size,
        channels=card.channels,
        classes=card.classes,
        licence=card.licence,
        calibration=calibration,
    )
    run = OnnxModel(out, threads=1)
    one = np.zeros((1, *run.size, card.channels), np.uint8)
    milliseconds = 1_000 * np.median(latency(lambda: run(one)))
    height, width = run.size
    print(
        f"{out}: {card.architecture}, {done.precision}, {done.bytes / 1e6:.2f} MB\n"
        f"  takes     uint8 (n, {height}, {width}, {card.channels}), any n; scaling is inside"
    )
    if int8 is None:
        print(
            f"  checked   differs from torch by at most {done.difference:.1e}, "
            f"{TOLERANCE:g} is allowed"
        )
    else:
        print(
            "  measured  on pictures kept back from calibration: "
            f"cosine to torch {done.cosine:.4f} in the mean,\n"
            f"            no number differs by more than {done.difference:.2g}"
        )
    print(f"  one image {milliseconds:.1f} ms, median of 50, one thread ({hardware()})")


@evaluate.command(
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
    columns: Columns = None,
    as_json: Json = False,
) -> None:
    """Measure accuracy, precision, recall and F1 with intervals, by class, and the confusions."""
    from fashionnb.evaluation.report import evaluate_classifier

    _show(evaluate_classifier(model, open_data(data, columns), split, size=size), as_json)


@evaluate.command(
    epilog="Examples: [b]fashionnb evaluate search style2vec --data fashion-mnist[/] · "
    "[b]fashionnb evaluate search models/mine --data photos --json[/] · "
    "[b]fashionnb evaluate search siamese --data shop.csv --judgements clicks.csv[/]"
)
def search(
    model: Annotated[str, typer.Argument(help=EMBEDDING_MODEL_HELP)],
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
    judgements: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="Measure against these pairs instead of classes: a table with the columns query, "
            "relevant (ids) and, if wanted, grade, such as clicks.",
        ),
    ] = None,
    size: Size = None,
    columns: Columns = None,
    as_json: Json = False,
) -> None:
    """Measure recall at 1, 5 and 10, MRR and MAP@R or nDCG, with intervals and by class."""
    from fashionnb.evaluation.report import evaluate_judgements, evaluate_search

    if judgements and (gallery or queries):
        raise DataError("--judgements name the queries; leave --gallery and --queries out.")
    catalogue = open_data(data, columns)
    if judgements:
        measured = evaluate_judgements(model, catalogue, judgements, size=size)
    else:
        measured = evaluate_search(model, catalogue, gallery, queries, size=size)
    _show(measured, as_json)


def _show(measured, as_json: bool) -> None:
    if as_json:
        print_json(measured.as_dict())
    else:
        print(measured.as_text())
