"""Where the pictures of a search come from: a folder, a zip file, a dataset or a catalogue.

`open_gallery` lists the pictures without opening one, so that two million of them cost no more than their names.
`prepared` makes one picture, in whatever form a person has it, into the pixels that a model takes. How many pictures
become vectors is in `fashionnb.search.stream`.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from fashionnb import data
from fashionnb.data.images import MOST_PIXELS, FolderImages, ZipImages, decode, letterbox, open_images
from fashionnb.data.nouns import Catalogue, Images
from fashionnb.data.register import SOURCES
from fashionnb.errors import DataError, DataNotFound

Picture = str | Path | bytes | Image.Image | np.ndarray

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
            raise DataError("The pictures of this gallery were only in memory when it was made; they cannot be shown.")
        return data.load(self.source, stand_in=False).images if self.source in SOURCES else open_images(self.source)

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
        source = data.load(source, stand_in=False)
    if isinstance(source, Catalogue):
        if not len(source):
            raise DataError(f"{source.name}: the catalogue has no items, so there is nothing to search.")
        return Gallery(_place(source), source.table[["id", "category", "image"]].reset_index(drop=True), source.images)
    path = Path(source).absolute()
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        raise DataError(f"{path} is a single picture. Name the folder or the zip file that holds all of them.")
    images = open_images(path)
    names = [name for name in images.names if name.lower().endswith(SUFFIXES)]
    if not names:
        here = ", ".join(images.names[:3]) or "none"
        raise DataError(f"{path}: no pictures. Looked for files in {', '.join(SUFFIXES)}; the files here: {here}.")
    above = [name.rpartition("/")[0].rpartition("/")[2] for name in names]  # "" for a file at the top
    return Gallery(str(path), pd.DataFrame({"id": names, "category": above, "image": names}), images)


def prepared(picture: Picture, size: int | tuple[int, int], channels: int) -> np.ndarray:
    """One picture as models take it: upright, in the middle of a white ground, never stretched.

    Introduced in chapter 05.

    Parameters
    ----------
    picture : a path; the bytes of a picture file; a PIL image; or an array (height, width) or (height, width, 1, 3 or
        4), uint8 or floats in [0, 1]. Transparent parts become white. Of an animation the first frame counts; of a
        PIL image the one that it shows.
    size, channels : as `fashionnb.data.images.letterbox` has them.

    Returns
    -------
    uint8 (height, width, channels)

    Raises
    ------
    DataNotFound : there is no such file.
    DataError : it is not a picture, damaged, empty, or has more than 50 megapixels.
    """
    if isinstance(picture, str | Path):
        picture = decode(_bytes(picture), str(picture))
    elif isinstance(picture, bytes | bytearray):
        picture = decode(bytes(picture), "the bytes given")
    elif isinstance(picture, np.ndarray):
        picture = _from_array(picture)
    elif not isinstance(picture, Image.Image):
        raise DataError(
            f"A picture is a path, the bytes of a file, a PIL image or an array; got {type(picture).__name__}."
        )
    if not 0 < picture.width * picture.height <= MOST_PIXELS:
        raise DataError(
            f"The picture has {picture.width} x {picture.height} pixels; expected 1 to {MOST_PIXELS:,} in all."
        )
    try:
        picture.load()  # a PIL image that was opened from a file is decoded only now
        with suppress(Exception):  # a damaged EXIF block is no reason to lose a picture
            picture = ImageOps.exif_transpose(picture)
        return letterbox(picture, size, channels)
    except DataError:
        raise
    except Exception as error:  # hostile bytes make Pillow's plugins raise nearly anything
        raise DataError(f"The PIL image (mode {picture.mode!r}) cannot be made into pixels: {error}.") from error


def _place(catalogue: Catalogue) -> str:
    """Where the pictures of a catalogue can be found again."""
    if isinstance(catalogue.images, FolderImages):
        return str(catalogue.images.root.absolute())
    if isinstance(catalogue.images, ZipImages):
        return str(catalogue.images.path.absolute())
    return catalogue.name if catalogue.name in SOURCES and catalogue.stands_in_for is None else ""


def _bytes(path: Path | str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise DataNotFound(f"{path}: there is no such picture. Check the path.") from error
    except (OSError, ValueError) as error:  # a folder, no permission; a name that no file can have
        raise DataError(f"{path}: cannot be read ({error}). Name one picture file.") from error


def _from_array(array: np.ndarray) -> Image.Image:
    plain = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if plain.ndim not in (2, 3) or (plain.ndim == 3 and plain.shape[2] not in (3, 4)) or not plain.size:
        raise DataError(f"An array of one picture is (height, width) or (height, width, 1, 3 or 4), got {array.shape}.")
    if plain.dtype.kind == "f":
        if not (plain.min() >= 0 and plain.max() <= 1):
            raise DataError(
                f"A picture of floats lies in [0, 1], this one goes from {plain.min():.3g} to {plain.max():.3g}. "
                "Divide by 255, or pass uint8."
            )
        plain = (plain * 255).round().astype(np.uint8)
    if plain.dtype != np.uint8:
        raise DataError(f"A picture is uint8 (0 to 255) or floats (0 to 1), got {plain.dtype}.")
    return Image.fromarray(np.ascontiguousarray(plain))
