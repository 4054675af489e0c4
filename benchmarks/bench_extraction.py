"""Photos a second from JPEG files to embeddings, on one thread: EfficientNet-Lite and our small encoder, at several sizes.

    python benchmarks/bench_extraction.py              some minutes on a quiet core
    python benchmarks/bench_extraction.py --photos 8   seconds

The photos are drawn garments of 1,080 x 1,340 pixels with the noise of a camera, saved as JPEG. "decoded smaller" is what
the search engine does: a JPEG of which the network needs far fewer pixels is decoded at a half, a quarter or an eighth of
its size. Beside photos a second: milliseconds of decoding and of the network for each, and the least cosine between the
embeddings of both ways. Wall clock: run it on a quiet machine, pinned to one core.
"""

import argparse
import io
import time
from unittest import mock

import numpy as np
import torch
from PIL import Image

from fashionnb.checkpoints import load_model
from fashionnb.data import decoding
from fashionnb.data.images import prepared
from fashionnb.features.embedding import embed
from fashionnb.notebook.hardware import hardware
from fashionnb.synthetic import drawn_garments

CASES = [
    ("siamese", 64),
    *((f"efficientnet-lite{kind}", size) for kind in (0, 2) for size in (128, 224)),
]
BATCH = 32


def photos(n: int) -> list[bytes]:
    """JPEG files of 1,080 x 1,340 pixels."""
    noise = np.random.default_rng(0)
    files = []
    for pixels in drawn_garments.catalogue(n, (335, 270), channels=3).pixels():
        large = np.asarray(Image.fromarray(pixels).resize((1080, 1340), Image.Resampling.BICUBIC))
        large = (large + noise.normal(0, 4, large.shape)).clip(0, 255).astype(np.uint8)
        out = io.BytesIO()
        Image.fromarray(large).save(out, "JPEG", quality=90)
        files.append(out.getvalue())
    return files


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=64)
    files = photos(parser.parse_args().photos)
    torch.set_num_threads(1)
    print(f"{len(files)} JPEG files of 1,080 x 1,340 pixels, {hardware()}, one thread")
    print(
        f"{'model':<20}{'pixels':>7}  {'decoded':<9}{'a second':>9}{'decode ms':>11}{'net ms':>8}{'least cosine':>14}"
    )
    for name, size in CASES:
        model = load_model(name)
        embed(model, prepared(files[0], size, 3)[None])  # not counted
        whole = None
        for way, spare in (("whole", np.inf), ("smaller", decoding.SPARE)):
            with mock.patch.object(decoding, "SPARE", spare):
                began = time.perf_counter()
                pixels = np.stack([prepared(file, size, 3) for file in files])
                decoded = time.perf_counter()
                vectors = embed(model, pixels, batch_size=BATCH)
                done = time.perf_counter()
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            whole = vectors if whole is None else whole
            each = 1_000 / len(files)
            print(
                f"{name:<20}{size:>7}  {way:<9}{len(files) / (done - began):>9.1f}"
                f"{each * (decoded - began):>11.1f}{each * (done - decoded):>8.1f}"
                f"{(whole * vectors).sum(1).min():>14.4f}"
            )


if __name__ == "__main__":
    main()
