"""Read Fashion-MNIST: 70,000 grey images of garments, 28 x 28, white on black, ten categories.

It is four IDX files, plain or gzipped. Xiao, Rasul & Vollgraf 2017, "Fashion-MNIST: a Novel Image
Dataset for Benchmarking Machine Learning Algorithms", arXiv 1708.07747.
"""

import gzip
import hashlib
import math
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from fashionnb.data.catalogue import Catalogue
from fashionnb.data.images import ArrayImages
from fashionnb.data.registry import Source
from fashionnb.errors import DataError, DataNotFound

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

_PREFIX = {"train": "train", "test": "t10k"}
_AGAIN = "Delete the file and run `fashionnb data fetch fashion-mnist`."
# The magic numbers: 0x0803 is uint8 in 3 dimensions, 0x0801 uint8 in 1.
_IMAGES, _LABELS = 2051, 2049
_MOST_BYTES = 1 << 28  # of a file, unpacked: five times the largest of the four


def read(folder: Path | str) -> Catalogue:
    """Read Fashion-MNIST from a folder with its four IDX files, plain or gzipped.

    The content is not compared with the published one here, since that would take longer than
    reading it; `check` does that. A smaller dataset in the same format is read as well.

    Parameters
    ----------
    folder : path
        Where the files lie.

    Returns
    -------
    Catalogue
        With the columns `id` ("train-00000", ..., "test-09999"), `category`, `split`, `image`;
        images as published, white on black.

    Raises
    ------
    DataNotFound
        If there is no such folder.
    DataError
        If a file is missing or is not IDX (see `read_idx`), the images are not 28 x 28, there are
        not as many labels as images, or a label is above 9.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataNotFound(
            f"{folder}: there is no such folder. Run `fashionnb data fetch fashion-mnist`."
        )
    parts, tables = [], []
    for split in _PREFIX:
        images, labels = _read_split(folder, split)
        parts.append(images)
        ids = [f"{split}-{row:05d}" for row in range(len(labels))]
        categories = np.asarray(CLASSES, dtype=object)[labels]
        tables.append(pd.DataFrame({"id": ids, "category": categories, "split": split}))
    table = pd.concat(tables, ignore_index=True)
    table["image"] = np.arange(len(table))
    return Catalogue(SOURCE.name, table, ArrayImages(np.concatenate(parts)), CLASSES)


def read_idx(path: Path | str) -> np.ndarray:
    """Read one IDX file of Fashion-MNIST, plain or gzipped: images or labels.

    Whether it is gzipped is recognised by its first bytes, not by its name.

    Parameters
    ----------
    path : path
        Of the file.

    Returns
    -------
    array, uint8
        Of shape (n, height, width) for a file of images (magic number 2051), (n,) for labels
        (2049).

    Raises
    ------
    DataError
        If the magic number is another, the file is shorter or longer than its header says, or the
        gzip data is damaged.
    """
    path = Path(path)
    content = _unpacked(path)
    magic = int.from_bytes(content[:4], "big")
    if magic not in (_IMAGES, _LABELS):
        raise DataError(
            f"{path}: not an IDX file of images or labels. It begins with {content[:4]!r} (magic "
            f"number {magic}), expected {_IMAGES} for images or {_LABELS} for labels. {_AGAIN}"
        )
    header = 4 + 4 * (magic & 0xFF)  # the magic number and the size of each dimension
    shape = [int.from_bytes(content[i : i + 4], "big") for i in range(4, header, 4)]
    expected = header + math.prod(shape)
    if len(content) != expected:
        raise DataError(
            f"{path}: its header says {expected:,} bytes, for an array of shape {tuple(shape)}, "
            f"found {len(content):,} bytes. The file looks cut short or damaged. {_AGAIN}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def check(folder: Path | str) -> list[str]:
    """Check that the four files of Fashion-MNIST are as published, by their SHA-256.

    Since the unpacked content is compared, a copy that was packed anew passes.

    Parameters
    ----------
    folder : path
        As in `read`.

    Returns
    -------
    list of str
        One line per file.

    Raises
    ------
    DataNotFound, DataError
        As `read`; or if a file is well-formed but not the published one.
    """
    read(folder)
    findings = []
    for name, published in SOURCE.sha256.items():
        path = _find(Path(folder), name)
        found = hashlib.sha256(_unpacked(path)).hexdigest()
        if found != published:
            raise DataError(
                f"{path}: this is not the published file: the SHA-256 of its unpacked content is "
                f"{found}, expected {published}. {_AGAIN}"
            )
        findings.append(f"{path.name}: the unpacked content is as published (SHA-256)")
    return findings


def _read_split(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 28, 28) and labels (n,) of one split, uint8, checked against each other."""
    image_path = _find(folder, f"{_PREFIX[split]}-images-idx3-ubyte")
    label_path = _find(folder, f"{_PREFIX[split]}-labels-idx1-ubyte")
    images, labels = read_idx(image_path), read_idx(label_path)
    if images.shape != (*labels.shape, 28, 28):
        raise DataError(
            f"{image_path}: expected images of 28 x 28 and one label for each, found images of "
            f"shape {images.shape} and labels of shape {labels.shape}. The two files do not belong "
            "together; delete both and run `fashionnb data fetch fashion-mnist`."
        )
    if len(labels) and labels.max() >= len(CLASSES):
        row = int(labels.argmax())
        raise DataError(
            f"{label_path}: label {labels[row]} in row {row}, expected 0 to {len(CLASSES) - 1}. "
            f"{_AGAIN}"
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


def _unpacked(path: Path) -> bytes:
    """The content of a file, gunzipped if it is gzip; every failure is a `DataError`."""
    try:
        with path.open("rb") as file:
            zipped = file.peek(2).startswith(b"\x1f\x8b")
            return (gzip.GzipFile(fileobj=file) if zipped else file).read(_MOST_BYTES)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(
            f"{path}: the gzip data is damaged or cut short ({error}). {_AGAIN}"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error


_ROOTS = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",  # the one of torchvision
)
_SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
SOURCE = Source(
    name="fashion-mnist",
    title="Fashion-MNIST",
    files=("fashion-mnist",),
    urls={f"{name}.gz": tuple(f"{root}{name}.gz" for root in _ROOTS) for name in _SHA256},
    bytes=30_900_000,
    licence="MIT",
    citation="Xiao, Rasul & Vollgraf 2017, Fashion-MNIST: a Novel Image Dataset for Benchmarking "
    "Machine Learning Algorithms, https://arxiv.org/abs/1708.07747",
    homepage="https://github.com/zalandoresearch/fashion-mnist",
    sha256=_SHA256,
    reader="fashion_mnist",
    read=read,
    check=check,
)
