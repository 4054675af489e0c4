"""`fashionnb export`: a trained model as one ONNX file, checked."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fashionnb.errors import ModelMismatch

if TYPE_CHECKING:
    import numpy as np

app = typer.Typer()

CALIBRATED = 300  # pictures at most: more change little but the time


@app.command(
    epilog="Examples: [b]fashionnb export style2vec style2vec.onnx[/] · "
    "[b]fashionnb export models/mine mine.onnx[/] · [b]fashionnb export models/mine small.onnx --int8 photos[/]"
)
def export(
    model: Annotated[
        str,
        typer.Argument(
            help="A model's folder (card.json, model.safetensors), or a published name."
        ),
    ],
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    size: Annotated[
        int | None,
        typer.Option(min=1, help="Height and width of the pictures; else as its card says."),
    ] = None,
    int8: Annotated[
        str | None,
        typer.Option(
            metavar="PHOTOS",
            help="Compute in 8-bit integers, scaled on these: a folder, a zip, a dataset.",
        ),
    ] = None,
) -> None:
    """Write a model as one ONNX file, compare it with torch, and time it."""
    import statistics

    import numpy as np

    from fashionnb import checkpoints
    from fashionnb.export import TOLERANCE, OnnxModel, to_onnx
    from fashionnb.notebook.hardware import hardware, latency
    from fashionnb.search.engine import SIZES

    folder = Path(model) if Path(model).is_dir() else checkpoints.published(model)
    trained, card = checkpoints.load(folder)
    size = size or card.training.get("size") or SIZES.get(card.data)
    if size is None:
        raise ModelMismatch(
            f"{folder}: the card does not say how large the pictures were that the model was trained on "
            "(`size` in `training`). Add it, for instance --size 64."
        )
    channels: int = trained.channels
    pictures = None if int8 is None else _pictures(int8, size, channels)
    done = to_onnx(
        trained,
        out,
        size=size,
        channels=channels,
        classes=card.classes,
        licence=card.licence,
        calibration=pictures,
    )
    run = OnnxModel(out, threads=1)
    one = np.zeros((1, *run.size, channels), np.uint8)
    milliseconds = 1_000 * statistics.median(latency(lambda: run(one)))
    print(f"{out}: {card.architecture}, {done.precision}, {done.bytes / 1e6:.2f} MB")
    print(
        f"  takes     uint8 (n, {run.size[0]}, {run.size[1]}, {channels}), any n; scaling is inside"
    )
    if int8 is None:
        print(
            f"  checked   differs from torch by at most {done.difference:.1e}, {TOLERANCE:g} is allowed"
        )
    else:
        print(
            f"  measured  on pictures kept back from calibration: cosine to torch {done.cosine:.4f} in the mean,"
        )
        print(f"            no number differs by more than {done.difference:.2g}")
    print(f"  one image {milliseconds:.1f} ms, median of 50, one thread ({hardware()})")


def _pictures(source: str, size: int, channels: int) -> "np.ndarray":
    """Some of the pictures of a folder, a zip file or a dataset, by chance but always the same."""
    import numpy as np

    from fashionnb import datasets

    gallery = datasets.open_catalogue(source)
    chosen = gallery.take(np.sort(np.random.default_rng(0).permutation(len(gallery))[:CALIBRATED]))
    return chosen.images.pixels(chosen.table["image"].tolist(), size, channels)
