"""`fashionnb export`: write a trained model as one ONNX file, and check it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fashionnb.cli.options import MODEL_HELP, Size

if TYPE_CHECKING:
    import numpy as np

app = typer.Typer()

CALIBRATION_PICTURES = 300  # more change little but the time


@app.command(
    epilog="Examples: [b]fashionnb export style2vec style2vec.onnx[/] · "
    "[b]fashionnb export models/mine mine.onnx[/] · "
    "[b]fashionnb export models/mine small.onnx --int8 photos[/]"
)
def export(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
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
    import statistics

    import numpy as np

    from fashionnb import checkpoints
    from fashionnb.export import TOLERANCE, OnnxModel, to_onnx
    from fashionnb.notebook.hardware import hardware, latency

    trained = checkpoints.load_model(model)
    card = trained.card
    size = checkpoints.image_size(card, model, size)
    done = to_onnx(
        trained,
        out,
        size=size,
        channels=card.channels,
        classes=card.classes,
        licence=card.licence,
        calibration=None if int8 is None else _pictures(int8, size, card.channels),
    )
    run = OnnxModel(out, threads=1)
    one = np.zeros((1, *run.size, card.channels), np.uint8)
    milliseconds = 1_000 * statistics.median(latency(lambda: run(one)))
    height, width = run.size
    print(f"{out}: {card.architecture}, {done.precision}, {done.bytes / 1e6:.2f} MB")
    print(f"  takes     uint8 (n, {height}, {width}, {card.channels}), any n; scaling is inside")
    if int8 is None:
        print(
            f"  checked   differs from torch by at most {done.difference:.1e}, "
            f"{TOLERANCE:g} is allowed"
        )
    else:
        print(
            "  measured  on pictures kept back from calibration: "
            f"cosine to torch {done.cosine:.4f} in the mean,"
        )
        print(f"            no number differs by more than {done.difference:.2g}")
    print(f"  one image {milliseconds:.1f} ms, median of 50, one thread ({hardware()})")


def _pictures(source: str, size: int, channels: int) -> "np.ndarray":
    """A random sample of the pictures of a folder, a zip file or a dataset, always the same."""
    import numpy as np

    from fashionnb import datasets

    gallery = datasets.open_catalogue(source)
    order = np.random.default_rng(0).permutation(len(gallery))
    chosen = gallery.take(np.sort(order[:CALIBRATION_PICTURES]))
    return chosen.images.pixels(chosen.table["image"].tolist(), size, channels)
