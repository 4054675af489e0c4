"""clothing-dataset-small: 3,781 photos of single garments as people take them at home, ten categories.

Reads the folder `{train,validation,test}/<category>/<uuid>.jpg`, or a zip of it, the GitHub archive included. Grigorev
2020, "Clothing dataset (small)", CC0. Where it comes from is said in `fashionnb.data.registry`.
"""

import logging
from collections import Counter
from pathlib import Path, PurePosixPath

import pandas as pd

from fashionnb.data.catalogue import Catalogue
from fashionnb.data.images import open_images
from fashionnb.errors import DataError

SOURCE = "clothing-dataset-small"
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
    """The photos from a folder or a zip file. Introduced in chapter 01.

    The three split folders may lie at the top or below one common folder. Pictures are not decoded here: see `check`.

    Returns
    -------
    Catalogue with the columns `id` (the file name without suffix), `category`, `split`, `image`; sorted by split
        (train, validation, test), category and id, so that folder and zip give the same rows.

    Raises
    ------
    DataNotFound : there is nothing at `path`.
    DataError : it is a file but not a safe zip, holds no such photos, holds them twice, or has an unknown category.
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
            f"{path}: no photos found. Expected train/<category>/<name>.jpg and so on, at the top or below one folder; "
            f"the files here are {', '.join(images.names[:3]) or 'none'}. {_AGAIN}"
        )
    if len(roots) > 1:
        raise DataError(
            f"{path}: the dataset lies here more than once, below {', '.join(sorted(roots)[:3])!r}. Name one of them."
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
    table = pd.DataFrame(rows, columns=["id", "category", "split", "image"])
    order = table["split"].map(list(COUNTS).index)
    table = (
        table.assign(order=order)
        .sort_values(["order", "category", "id"], ignore_index=True)
        .drop(columns="order")
    )
    return Catalogue(SOURCE, table, images, CLASSES)


def check(path: Path | str) -> list[str]:
    """Count the photos of each split and decode every one of them (some seconds).

    Returns
    -------
    One line per split, and one for the decoding.

    Raises
    ------
    DataNotFound : as `read`.
    DataError : as `read`; or a count is not the published one; or a photo cannot be decoded.
    """
    catalogue = read(path)
    found = Counter(catalogue.table["split"])
    for split, expected in COUNTS.items():
        if found[split] != expected:
            raise DataError(
                f"{path}: expected {expected:,} photos in {split}, found {found[split]:,}. It is not complete. {_AGAIN}"
            )
    catalogue.pixels(size=8)
    lines = [f"{split}: {expected:,} photos" for split, expected in COUNTS.items()]
    return [*lines, f"all {len(catalogue):,} photos can be decoded"]
