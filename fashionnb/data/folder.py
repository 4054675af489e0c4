"""Read images of your own: a folder for each category, `<category>/<name>.jpg`, or a zip of such.

Where the folders at the top are called train, validation and test, they are the splits, and the
categories lie in them. The datasets of the book have readers of their own, which
`fashionnb.data.registry` lists.
"""

import logging
from pathlib import Path

import pandas as pd

from fashionnb.data.catalogue import Catalogue
from fashionnb.data.images import open_images
from fashionnb.errors import DataError

SPLITS = ("train", "validation", "test")
"""Folders at the top that are splits, not categories."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
"""Files that count as images, by the end of their name in any case."""

_log = logging.getLogger(__name__)


def read(path: Path | str) -> Catalogue:
    """Read a folder or a zip of your own images, with a subfolder for each category.

    The category of an image is the folder that it lies in. An image at the top, or directly in a
    split, has the category "", which means unknown. Images are not decoded here; other files are
    left out and counted in the log.

    Parameters
    ----------
    path : path
        The folder or zip file.

    Returns
    -------
    Catalogue
        Named after the folder, with the columns `id` (the path in the folder, with "/"),
        `category`, `split` ("" without splits) and `image`, sorted by path. Its classes are the
        categories in sorted order.

    Raises
    ------
    DataNotFound
        If there is nothing at `path`.
    DataError
        If it is a file but not a safe zip, there is no image, or only some of the folders at the
        top are splits.
    """
    path = Path(path).absolute()
    images = open_images(path)
    names = [name for name in images.names if name.lower().endswith(SUFFIXES)]
    if not names:
        raise DataError(
            f"{path}: no pictures. Expected <category>/<name>.jpg or train/<category>/<name>.jpg "
            f"({', '.join(SUFFIXES)}); the files here are {', '.join(images.names[:3]) or 'none'}."
        )
    if others := len(images.names) - len(names):
        _log.info("%s: %d files are no pictures; they are left out.", path, others)
    above = [name.split("/")[:-1] for name in names]
    tops = {folders[0] for folders in above if folders}
    has_splits = not tops.isdisjoint(SPLITS)
    if has_splits and (strange := sorted(tops.difference(SPLITS))):
        raise DataError(
            f"{path}: {', '.join(sorted(tops.intersection(SPLITS)))} are splits, but "
            f"{strange[0]!r} beside them is none. "
            f"Call the splits {', '.join(SPLITS)}, or let all folders at the top be categories."
        )
    splits = [folders[0] if has_splits and folders else "" for folders in above]
    inside = [folders[1:] if has_splits else folders for folders in above]
    categories = [folders[-1] if folders else "" for folders in inside]
    table = pd.DataFrame({"id": names, "category": categories, "split": splits, "image": names})
    return Catalogue(path.name.removesuffix(".zip"), table, images, tuple(sorted(set(categories))))
