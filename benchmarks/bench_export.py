"""Time of the small networks of chapter 05 on one thread: torch, the ONNX file, and the ONNX file in 8-bit integers.

    python benchmarks/bench_export.py                a minute on a quiet core
    python benchmarks/bench_export.py --repeats 10   seconds

Both backbones of the encoder, one photo at a time and 64 at once. The three take turns, after warm-up calls that are
not counted, so that whatever else the machine does hits all of them. Beside the time: the size of the file, and how far
its output is from torch's, in 8 bits as the mean cosine. The weights are random and the photos drawn, so the cosine is
but a hint; chapter 05 measures it on a trained network. Times are wall clock: run it on a quiet machine, pinned to one
core.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch

from fashionnb.export import OnnxModel, to_onnx
from fashionnb.models import as_input
from fashionnb.models.mobilenet import BACKBONES, SiameseEncoder
from fashionnb.notebook.hardware import hardware, latency

SIZE, BATCH = 64, 64


def photos(n: int) -> np.ndarray:
    """Patches of colour, uint8 (n, 64, 64, 3)."""
    return (
        np.random.default_rng(0)
        .integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
        .repeat(8, 1)
        .repeat(8, 2)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--repeats", type=int, default=100, help="rounds for one photo; a tenth of them for 64"
    )
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{hardware()}; torch {torch.__version__}")
    print(
        f"{'backbone':<10}{'what':<8}{'MB':>6}{'one: median ms':>16}{'fastest':>9}{'64: photos/s':>14}  beside torch"
    )
    for backbone in BACKBONES:
        torch.manual_seed(0)
        model = SiameseEncoder(backbone=backbone)
        for _ in range(10):  # so that the batch norms know something of the photos
            model(as_input(torch.from_numpy(photos(BATCH)).permute(0, 3, 1, 2)))
        model.eval()

        @torch.inference_mode()
        def eager(images: np.ndarray, model: torch.nn.Module = model) -> np.ndarray:
            return model(as_input(torch.from_numpy(images).permute(0, 3, 1, 2))).numpy()

        with tempfile.TemporaryDirectory() as folder:
            plain = to_onnx(model, Path(folder) / "plain.onnx", size=SIZE)
            small = to_onnx(model, Path(folder) / "small.onnx", size=SIZE, calibration=photos(100))
            rows = (
                ("torch", eager, "", ""),
                (
                    "ONNX",
                    OnnxModel(plain.path, threads=1),
                    plain.bytes,
                    f"differs by {plain.difference:.1e}",
                ),
                (
                    "8 bits",
                    OnnxModel(small.path, threads=1),
                    small.bytes,
                    f"cosine {small.cosine:.4f}",
                ),
            )
        one, many = ([[] for _ in rows] for _ in range(2))
        for images, times, rounds in (
            (photos(1), one, chosen.repeats),
            (photos(BATCH), many, chosen.repeats // 10),
        ):
            for turn in range(max(1, rounds)):
                for (_, run, *_), seconds in zip(rows, times, strict=True):
                    seconds += latency(
                        lambda run=run, images=images: run(images), 1, warm_up=0 if turn else 3
                    )
        for (name, _, size, said), of_one, of_many in zip(rows, one, many, strict=True):
            megabytes = f"{size / 1e6:.2f}" if size else ""
            median, many_a_second = (
                statistics.median(of_one) * 1e3,
                BATCH / statistics.median(of_many),
            )
            row = f"{megabytes:>6}{median:>16.2f}{min(of_one) * 1e3:>9.2f}{many_a_second:>14,.0f}"
            print(f"{backbone:<10}{name:<8}{row}  {said}", flush=True)


if __name__ == "__main__":
    main()
