"""Read clothing-dataset-small: 3,781 photos of single garments taken at home, ten categories.

It is a folder `{train,validation,test}/<category>/<uuid>.jpg`, or a zip of it, such as the archive
from GitHub. Grigorev 2020, "Clothing dataset (small)".
"""

import logging
from collections import Counter
from pathlib import Path

import pandas as pd

from fashionnb.data.catalogue import Catalogue
from fashionnb.data.checked_files import check_counts
from fashionnb.data.decoding import SUFFIXES
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

_PLACE = rf"^(?:(?P<root>.*)/)?(?P<split>{'|'.join(COUNTS)})/(?P<category>[^/]+)/(?P<id>[^/]+)\."
_AGAIN = "Delete it and run `fashionnb data fetch clothing-dataset-small`."
_log = logging.getLogger(__name__)


def read(path: Path | str) -> Catalogue:
    """Read the photos of clothing-dataset-small from a folder or a zip file.

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
    images = open_images(path)
    pictures = pd.Series(
        [name for name in images.names if name.lower().endswith(SUFFIXES)], dtype=str
    )
    table = pictures.str.extract(_PLACE).assign(image=pictures).dropna(subset="split")
    if table.empty:
        raise DataError(
            f"{path}: no photos found. Expected train/<category>/<name>.jpg and so on, at the top "
            f"or below one folder; the files here are {', '.join(images.names[:3]) or 'none'}. "
            f"{_AGAIN}"
        )
    roots = sorted(table["root"].fillna("").unique())
    if len(roots) > 1:
        raise DataError(
            f"{path}: the dataset lies here more than once, "
            f"below {', '.join(roots[:3])!r}. Name one of them."
        )
    if strange := sorted(set(table["category"]) - set(CLASSES)):
        raise DataError(
            f"{path}: unknown category {strange[0]!r}; expected {', '.join(CLASSES)}. {_AGAIN}"
        )
    if elsewhere := len(pictures) - len(table):
        _log.warning(
            "%s: %d pictures lie outside of train, validation and test; they are left out.",
            path,
            elsewhere,
        )
    table["order"] = table["split"].map(list(COUNTS).index)
    table = table.sort_values(["order", "category", "id"], ignore_index=True)
    table = table[["id", "category", "split", "image"]]
    return Catalogue(SOURCE.name, table, images, CLASSES)


def check(path: Path | str) -> list[str]:
    """Check clothing-dataset-small: count the photos of each split, and decode all of them.

    This takes some seconds.

    Parameters
    ----------
    path : path
        As in `read`.

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
    found = Counter("photos in " + catalogue.table["split"])
    published = {f"photos in {split}": expected for split, expected in COUNTS.items()}
    check_counts(path, found, published, _AGAIN)
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
