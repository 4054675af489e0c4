"""Fashion-MNIST: 70,000 grey pictures of garments, 28 x 28, white on black, ten categories.

Reads the four IDX files as published, plain or gzipped. Xiao, Rasul & Vollgraf 2017, "Fashion-MNIST: a Novel Image
Dataset for Benchmarking Machine Learning Algorithms", arXiv 1708.07747. Where the files come from is said in
`fashionnb.data.registry`.
"""

import gzip
import hashlib
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from fashionnb.data.catalogue import Catalogue
from fashionnb.data.images import ArrayImages
from fashionnb.errors import DataError, DataNotFound

SOURCE = "fashion-mnist"
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""The categories in the published order: label 0 is "T-shirt/top"."""

MD5 = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
"""The published checksums of the four files, unpacked."""

_PREFIX = {"train": "train", "test": "t10k"}
_AGAIN = "Delete the file and run `fashionnb data fetch fashion-mnist`."
_IMAGES, _LABELS = (
    2051,
    2049,
)  # the magic numbers: 0x0803 is uint8 in 3 dimensions, 0x0801 uint8 in 1
_MOST_BYTES = 1 << 30  # twenty times the largest of the four files


def read(folder: Path | str, split: str | None = None) -> Catalogue:
    """Fashion-MNIST from a folder with its four IDX files, plain or `.gz`. Introduced in chapter 01.

    The content is not hashed here, since that would take longer than reading it: see `check`. A smaller set in the
    same format is read as well.

    Parameters
    ----------
    folder : where the files lie.
    split : "train" or "test" to read only that one; None for both, train first.

    Returns
    -------
    Catalogue with the columns `id` ("train-00000", ..., "test-09999"), `category`, `split`, `image`; pictures as
        published, white on black.

    Raises
    ------
    DataNotFound : there is no such folder.
    DataError : a file is missing, is not IDX (see `read_idx`), the pictures are not 28 x 28, there are not as many
        labels as pictures, or a label is above 9.
    """
    if split not in (None, *_PREFIX):
        raise DataError(f"{SOURCE} has no split {split!r}; it has {', '.join(_PREFIX)}.")
    folder = Path(folder)
    if not folder.is_dir():
        raise DataNotFound(
            f"{folder}: there is no such folder. Run `fashionnb data fetch fashion-mnist`."
        )
    names = tuple(_PREFIX) if split is None else (split,)
    arrays = {name: _read_split(folder, name) for name in names}
    labels = np.concatenate([arrays[name][1] for name in names])
    table = pd.DataFrame(
        {
            "id": [f"{name}-{row:05d}" for name in names for row in range(len(arrays[name][1]))],
            "category": np.asarray(CLASSES, dtype=object)[labels],
            "split": np.repeat(
                np.asarray(names, dtype=object), [len(arrays[name][1]) for name in names]
            ),
            "image": np.arange(len(labels)),
        }
    )
    return Catalogue(
        SOURCE, table, ArrayImages(np.concatenate([arrays[name][0] for name in names])), CLASSES
    )


def read_idx(path: Path | str) -> np.ndarray:
    """One IDX file, plain or gzipped (told by its first bytes, not by its name).

    Returns
    -------
    uint8 (n, height, width) for a file of images (magic number 2051), uint8 (n,) for labels (2049).

    Raises
    ------
    DataError : the magic number is another, the file is shorter or longer than its header says, or the gzip data is
        damaged.
    """
    path = Path(path)
    with _unpacked(path) as file:
        start = file.read(4)
        magic = int.from_bytes(start, "big")
        if len(start) < 4 or magic not in (_IMAGES, _LABELS):
            raise DataError(
                f"{path}: not an IDX file of images or labels. It begins with {start!r} (magic number {magic}), "
                f"expected {_IMAGES} for images or {_LABELS} for labels. {_AGAIN}"
            )
        dimensions = magic & 0xFF
        header = file.read(4 * dimensions)
        if len(header) < 4 * dimensions:
            raise DataError(
                f"{path}: the file ends within its header. It looks cut short. {_AGAIN}"
            )
        shape = struct.unpack(f">{dimensions}I", header)
        size = math.prod(shape)
        if size > _MOST_BYTES:
            raise DataError(
                f"{path}: the header claims {size:,} bytes, shape {shape}; that cannot be. It is damaged. {_AGAIN}"
            )
        # One byte more than promised, to see whether the file ends there; this also makes gzip check its sum.
        content = file.read(size + 1)
    if len(content) < size:
        raise DataError(
            f"{path}: the header promises {shape[0]:,} entries ({size:,} bytes), found {len(content):,} bytes. "
            f"The file looks cut short. {_AGAIN}"
        )
    if len(content) > size:
        raise DataError(
            f"{path}: more follows after the {shape[0]:,} entries ({size:,} bytes) that the header promises. "
            f"The file is damaged, or its header is. {_AGAIN}"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def check(folder: Path | str) -> list[str]:
    """Compare the four files, unpacked, with the published MD5 sums, so that any faithful repack passes.

    Returns
    -------
    One line per file that says what is there.

    Raises
    ------
    DataNotFound : there is no such folder.
    DataError : as `read`, or a file is well-formed but not the published one.
    """
    catalogue = read(folder)
    counts = catalogue.table["split"].value_counts()
    findings = []
    for name, published in MD5.items():
        path = _find(Path(folder), name)
        with _unpacked(path) as file:
            found = hashlib.file_digest(
                file, lambda: hashlib.md5(usedforsecurity=False)
            ).hexdigest()
        if found != published:
            raise DataError(
                f"{path}: this is not the published file: the MD5 of its unpacked content is {found}, "
                f"expected {published}. {_AGAIN}"
            )
        kind, split = name.split("-")[1], "train" if name.startswith("train") else "test"
        findings.append(
            f"{path.name}: {counts[split]:,} {kind}, MD5 of the unpacked content {found} as published"
        )
    return findings


def _read_split(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 (n, 28, 28) and labels uint8 (n,) of one split, checked against each other."""
    image_path, label_path = (
        _find(folder, f"{_PREFIX[split]}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1")
    )
    images, labels = read_idx(image_path), read_idx(label_path)
    if images.shape[1:] != (28, 28):
        raise DataError(
            f"{image_path}: expected pictures of 28 x 28, found shape {images.shape}. {_AGAIN}"
        )
    if labels.ndim != 1:
        raise DataError(
            f"{label_path}: expected a list of labels, found shape {labels.shape}. {_AGAIN}"
        )
    if len(images) != len(labels):
        raise DataError(
            f"{image_path}: expected {len(labels):,} images for {len(labels):,} labels, found {len(images):,}. "
            "The two files do not belong together; delete both and run `fashionnb data fetch fashion-mnist`."
        )
    if len(labels) and labels.max() >= len(CLASSES):
        row = int(labels.argmax())
        raise DataError(
            f"{label_path}: label {labels[row]} in row {row}, expected 0 to {len(CLASSES) - 1}. {_AGAIN}"
        )
    return images, labels


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(
        f"{folder}: neither {name} nor {name}.gz is there. Fashion-MNIST is four files; "
        "put the missing one beside the others, or run `fashionnb data fetch fashion-mnist`."
    )


@contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    """The file opened for reading, gunzipped if it is gzip; whatever goes wrong while reading becomes a `DataError`."""
    try:
        with path.open("rb") as probe:
            zipped = probe.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as file:
            yield file
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(
            f"{path}: the gzip data is damaged or cut short ({error}). {_AGAIN}"
        ) from error
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error
