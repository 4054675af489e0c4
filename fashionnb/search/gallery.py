"""Where the pictures of a search come from: a folder, a zip file, a dataset or a catalogue.

`open_gallery` lists the pictures without opening one, so that two million of them cost no more than their names.
`prepared` makes one picture, in whatever form a person has it, into the pixels that a model takes. How many pictures
become vectors is in `fashionnb.features.streaming`.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from fashionnb import datasets
from fashionnb.data.catalogue import Catalogue, Images
from fashionnb.data.images import FolderImages, ZipImages, open_images
from fashionnb.data.registry import SOURCES
from fashionnb.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
"""Files of a folder or a zip that count as pictures, by the end of their name in any case. Others are not looked at."""


@dataclass(frozen=True, eq=False)
class Gallery:
    """The pictures that can be found. Introduced in chapter 05.

    source : where they are: the path of a folder or a zip file, or the name of a dataset; empty if they are only in
        memory.
    items : one row per picture, index 0..n-1: `id` (str, unique; a file's path in the folder or the zip), `category`
        (str, "" if unknown; for a file the folder that it lies in) and `image` (the key of the picture in `images`).
    store : the pictures by their key; None: opened at `source` when the first is asked for.
    """

    source: str
    items: pd.DataFrame
    store: Images | None = None

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def images(self) -> Images:
        """The pictures by their key.

        Raises
        ------
        DataNotFound, DataError : they are not at `source` any more, or were only in memory.
        """
        if self.store is not None:
            return self.store
        if not self.source:
            raise DataError(
                "The pictures of this gallery were only in memory when it was made; they cannot be shown."
            )
        return (
            datasets.load(self.source, stand_in=False).images
            if self.source in SOURCES
            else open_images(self.source)
        )

    def take(self, rows: np.ndarray) -> "Gallery":
        """The gallery of these rows only, positions (m,) int."""
        return replace(self, items=self.items.iloc[rows].reset_index(drop=True))

    def paths(self, rows: np.ndarray) -> list[str]:
        """Where the pictures of these rows are, for people: "folder/name", "archive.zip/name" or "dataset/row"."""
        above = f"{self.source}/" if self.source else ""
        return [f"{above}{key}" for key in self.items["image"].iloc[rows]]


def open_gallery(source: Path | str | Catalogue) -> Gallery:
    """List the pictures of a folder, a zip file, a dataset or a catalogue. Introduced in chapter 05.

    A word that `fashionnb data list` knows is a dataset; for a folder of that name write "./fashion-mnist".

    Raises
    ------
    DataNotFound : there is nothing at the path; or the dataset is not on this machine and cannot be fetched.
    DataError : the path is neither a folder nor a safe zip file; or there is no picture, not even an unreadable one.
    """
    if isinstance(source, str) and source in SOURCES:
        source = datasets.load(source, stand_in=False)
    if isinstance(source, Catalogue):
        if not len(source):
            raise DataError(
                f"{source.name}: the catalogue has no items, so there is nothing to search."
            )
        return Gallery(
            _place(source),
            source.table[["id", "category", "image"]].reset_index(drop=True),
            source.images,
        )
    path = Path(source).absolute()
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        raise DataError(
            f"{path} is a single picture. Name the folder or the zip file that holds all of them."
        )
    images = open_images(path)
    names = [name for name in images.names if name.lower().endswith(SUFFIXES)]
    if not names:
        here = ", ".join(images.names[:3]) or "none"
        raise DataError(
            f"{path}: no pictures. Looked for files in {', '.join(SUFFIXES)}; the files here: {here}."
        )
    above = [
        name.rpartition("/")[0].rpartition("/")[2] for name in names
    ]  # "" for a file at the top
    return Gallery(
        str(path), pd.DataFrame({"id": names, "category": above, "image": names}), images
    )


def _place(catalogue: Catalogue) -> str:
    """Where the pictures of a catalogue can be found again."""
    if isinstance(catalogue.images, FolderImages):
        return str(catalogue.images.root.absolute())
    if isinstance(catalogue.images, ZipImages):
        return str(catalogue.images.path.absolute())
    return catalogue.name if catalogue.name in SOURCES and catalogue.stands_in_for is None else ""
