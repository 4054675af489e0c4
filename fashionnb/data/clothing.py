"""Read clothing-dataset-small: 3,781 photos of single garments taken at home, ten categories.

It is a folder `{train,validation,test}/<category>/<uuid>.jpg`, or a zip of it, such as the archive
from GitHub. Grigorev 2020, "Clothing dataset (small)".
"""

import logging
from collections import Counter
from pathlib import Path, PurePosixPath

import pandas as pd

from fashionnb.data.catalogue import Catalogue
from fashionnb.data.images import open_images
from fashionnb.data.registry import Source
from fashionnb.errors import DataError

CLASSES = (
    "dress",
    "hat",
    "longsleeve",
    "outwear",
    "pants",
    "shirt",
    "shoes",
    "shorts",
    "skirt",
    "t-shirt",
)
"""The categories, as the folders are called, in alphabetical order."""

COUNTS = {"train": 3068, "validation": 341, "test": 372}
"""How many photos each split has as published."""

_SUFFIXES = (".jpg", ".jpeg", ".png")
_AGAIN = "Delete it and run `fashionnb data fetch clothing-dataset-small`."
_log = logging.getLogger(__name__)


def read(path: Path | str) -> Catalogue:
    """Read the photos from a folder or a zip file.

    Photos are not decoded here; `check` does that.

    Parameters
    ----------
    path : path
        The three split folders lie at the top of it, or below one common folder.

    Returns
    -------
    Catalogue
        With the columns `id` (the file name without suffix), `category`, `split`, `image`; sorted
        by split (train, validation, test), category and id, so that folder and zip give the same
        rows.

    Raises
    ------
    DataNotFound
        If there is nothing at `path`.
    DataError
        If it is a file but not a safe zip, holds no such photos, holds them twice, or has an
        unknown category.
    """
    path = Path(path)
    images = open_images(path)
    rows, roots, elsewhere = [], set(), 0
    for name in images.names:
        *above, split, category, file = ("", "", *PurePosixPath(name).parts)
        if PurePosixPath(file).suffix.lower() not in _SUFFIXES:
            continue
        if split not in COUNTS:
            elsewhere += 1
            continue
        roots.add("/".join(above).strip("/"))
        rows.append((PurePosixPath(file).stem, category, split, name))
    if not rows:
        raise DataError(
            f"{path}: no photos found. Expected train/<category>/<name>.jpg and so on, at the top "
            f"or below one folder; the files here are {', '.join(images.names[:3]) or 'none'}. "
            f"{_AGAIN}"
        )
    if len(roots) > 1:
        raise DataError(
            f"{path}: the dataset lies here more than once, "
            f"below {', '.join(sorted(roots)[:3])!r}. Name one of them."
        )
    if strange := sorted({row[1] for row in rows} - set(CLASSES)):
        raise DataError(
            f"{path}: unknown category {strange[0]!r}; expected {', '.join(CLASSES)}. {_AGAIN}"
        )
    if elsewhere:
        _log.warning(
            "%s: %d pictures lie outside of train, validation and test; they are left out.",
            path,
            elsewhere,
        )
    splits = list(COUNTS)
    rows.sort(key=lambda row: (splits.index(row[2]), row[1], row[0]))
    table = pd.DataFrame(rows, columns=["id", "category", "split", "image"])
    return Catalogue(SOURCE.name, table, images, CLASSES)


def check(path: Path | str) -> list[str]:
    """Count the photos of each split and decode all of them (some seconds).

    Returns
    -------
    list of str
        One line per split, and one for the decoding.

    Raises
    ------
    DataNotFound, DataError
        As `read`; or if a count is not the published one, or a photo cannot be decoded.
    """
    catalogue = read(path)
    found = Counter(catalogue.table["split"])
    for split, expected in COUNTS.items():
        if found[split] != expected:
            raise DataError(
                f"{path}: expected {expected:,} photos in {split}, found {found[split]:,}. "
                f"It is not complete. {_AGAIN}"
            )
    catalogue.pixels(size=8)
    lines = [f"{split}: {expected:,} photos" for split, expected in COUNTS.items()]
    return [*lines, f"all {len(catalogue):,} photos can be decoded"]


_REPOSITORY = "alexeygrigorev/clothing-dataset-small"
SOURCE = Source(
    name="clothing-dataset-small",
    title="Clothing dataset (small)",
    files=("clothing-dataset-small.zip", "clothing-dataset-small"),
    urls={
        "archive.zip": (
            f"https://github.com/{_REPOSITORY}/archive/refs/heads/master.zip",
            f"https://codeload.github.com/{_REPOSITORY}/zip/refs/heads/master",
        )
    },
    bytes=105_000_000,
    licence="CC0",
    citation=f"Grigorev 2020, Clothing dataset: 5,000 images, https://github.com/{_REPOSITORY}",
    homepage=f"https://github.com/{_REPOSITORY}",
    sha256={
        "clothing-dataset-small.zip": (
            "630676993354bc4588a28146dde0c243b470b6fffe4a55149472501eec432607"
        )
    },
    reader="clothing",
    read=read,
    check=check,
)
