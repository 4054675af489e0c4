"""Read Clothing Co-Parsing: 1,004 street photos, with the garment label of every pixel.

It is `photos/NNNN.jpg`, `annotations/pixel-level/NNNN.mat` and `label_list.mat`, in a folder or a
zip, as published by Yang, Luo & Lin 2014, "Clothing Co-Parsing by Joint Image Segmentation and
Labeling". It holds people in clothes, not garments on their own, so it is no `Catalogue`. The
published repository has 1,094 further photos with tags only; they are left out.
"""

import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fashionnb.data.checked_files import check_counts
from fashionnb.data.decoding import MOST_PIXELS
from fashionnb.data.images import FolderImages, ZipImages, find_file, open_images
from fashionnb.data.registry import Source
from fashionnb.errors import DataError

COUNTS = {"photos with a mask": 1_004, "labels": 59}
"""What the published files hold. The first label is "null", the background."""

_LABELS, _MASKS, _PHOTOS = "label_list.mat", "annotations/pixel-level/", "photos/"
_AGAIN = "Run `fashionnb data fetch clothing-co-parsing` to get the authors' files again."


@dataclass(frozen=True, eq=False)
class StreetPhotos:
    """Street photos in which the garment of each pixel is labelled.

    Parameters
    ----------
    images : FolderImages or ZipImages
        The files.
    root : str
        The folder of `images` where the dataset lies, "" or ending in "/".
    ids : tuple of str
        The numbers of the photos with a mask, such as "0001", sorted.
    labels : tuple of str
        What the values of a mask mean: labels[0] is "null", hair and skin are labels too.
    """

    images: FolderImages | ZipImages
    root: str
    ids: tuple[str, ...]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def photo(self, item: str) -> Image.Image:
        """Return a photo by its id. Raises `DataError` if it is missing or cannot be decoded."""
        return self.images.image(f"{self.root}{_PHOTOS}{item}.jpg")

    def mask(self, item: str) -> np.ndarray:
        """Return the mask of a photo by its id.

        Parameters
        ----------
        item : str
            One of `ids`.

        Returns
        -------
        array of shape (height, width), uint8
            The label of each pixel of the photo, a position in `labels`.

        Raises
        ------
        DataError
            If it is missing, not a MATLAB file with such a mask, has another size than the photo,
            or a value that no label has.
        """
        key = f"{self.root}{_MASKS}{item}.mat"
        where = self.images.where(key)
        mask = _variable(self.images.read(key), "groundtruth", where)
        width, height = self.photo(item).size
        if mask.shape != (height, width):
            raise DataError(
                f"{where}: a mask of {' x '.join(map(str, mask.shape))}, but the photo has "
                f"{height} rows of {width} pixels. {_AGAIN}"
            )
        # The published masks are doubles.
        if mask.dtype.kind not in "uif" or not np.isin(mask, np.arange(len(self.labels))).all():
            raise DataError(
                f"{where}: expected labels 0 to {len(self.labels) - 1}, got other values. {_AGAIN}"
            )
        return mask.astype(np.uint8)


def read(path: Path | str) -> StreetPhotos:
    """Read the street photos of Clothing Co-Parsing that have a mask.

    Photos and masks are listed here, and opened when they are asked for.

    Parameters
    ----------
    path : path
        The folder or zip file.

    Returns
    -------
    StreetPhotos
        In the order of their numbers.

    Raises
    ------
    DataNotFound
        If there is nothing at `path`.
    DataError
        If there is no list of labels, or it is none; there is no mask; or a mask has no photo.
    """
    images = open_images(path)
    key = find_file(images, _LABELS, path, _AGAIN)
    root, where = key.removesuffix(_LABELS), images.where(key)
    listed = _variable(images.read(key), "label_list", where)
    cells = [cell.item() for cell in listed.flat if getattr(cell, "size", 0) == 1]
    labels = [cell for cell in cells if isinstance(cell, str)]
    if not 1 < len(labels) == len(set(labels)) <= 256:
        raise DataError(
            f"{where}: expected a list of up to 256 distinct labels, got {len(labels)} that are "
            f"text. {_AGAIN}"
        )
    folder = f"{root}{_MASKS}"
    ids = sorted(
        name.removeprefix(folder).removesuffix(".mat")
        for name in images.names
        if name.startswith(folder) and name.endswith(".mat")
    )
    if not ids:
        raise DataError(f"{path}: there is no mask {_MASKS}NNNN.mat in it. {_AGAIN}")
    here = set(images.names)
    if missing := [item for item in ids if f"{root}{_PHOTOS}{item}.jpg" not in here]:
        raise DataError(
            f"{path}: {len(missing):,} masks have no photo, the first is {missing[0]}, expected as "
            f"{_PHOTOS}{missing[0]}.jpg. {_AGAIN}"
        )
    return StreetPhotos(images, root, tuple(ids), tuple(labels))


def check(path: Path | str) -> list[str]:
    """Check Clothing Co-Parsing: count labels and masks, and open every photo and its mask.

    This takes some seconds.

    Parameters
    ----------
    path : path
        As in `read`.

    Returns
    -------
    list of str
        One line for each thing that was found to be right.

    Raises
    ------
    DataNotFound, DataError
        As `read` and `StreetPhotos.mask`; or if a count is not the published one.
    """
    street = read(path)
    found = dict(zip(COUNTS, (len(street), len(street.labels)), strict=True))
    check_counts(path, found, COUNTS, _AGAIN)
    seen: Counter[int] = Counter()
    for item in street.ids:
        seen.update(np.unique(street.mask(item)).tolist())
    common = ", ".join(f"{street.labels[label]} ({n:,})" for label, n in seen.most_common(6))
    return [
        f"{len(street):,} photos, each with a mask of its size, all decoded",
        f"{len(street.labels)} labels; those in the most photos are {common}",
    ]


def _variable(data: bytes, name: str, where: str) -> np.ndarray:
    """A variable of a MATLAB file; its size is looked at before it is unpacked."""
    from scipy.io import loadmat, whosmat

    try:
        shapes = {found: shape for found, shape, _ in whosmat(io.BytesIO(data))}
        if name not in shapes:
            raise DataError(f"{where}: it has no variable {name!r}. {_AGAIN}")
        if len(shapes[name]) != 2 or np.prod(shapes[name], dtype=float) > MOST_PIXELS:
            raise DataError(f"{where}: {name} has the shape {shapes[name]}. {_AGAIN}")
        return np.asarray(loadmat(io.BytesIO(data), variable_names=[name])[name])
    except DataError:
        raise
    except Exception as error:  # hostile bytes make scipy raise nearly anything
        raise DataError(
            f"{where}: not a MATLAB file of version 5, or cut short ({error!s:.80}). {_AGAIN}"
        ) from error


_REPOSITORY = "bearpaw/clothing-co-parsing"
SOURCE = Source(
    name="clothing-co-parsing",
    title="Clothing Co-Parsing",
    files=("clothing-co-parsing.zip", "clothing-co-parsing"),
    urls={
        "archive.zip": (
            f"https://github.com/{_REPOSITORY}/archive/refs/heads/master.zip",
            f"https://codeload.github.com/{_REPOSITORY}/zip/refs/heads/master",
        )
    },
    bytes=132_000_000,
    licence="Apache-2.0 for the repository; the rights of the photographers are unclear",
    terms="link to it, never redistribute it",
    citation="Yang, Luo & Lin 2014, Clothing Co-Parsing by Joint Image Segmentation and Labeling, "
    f"https://github.com/{_REPOSITORY}",
    homepage=f"https://github.com/{_REPOSITORY}",
    sha256={
        "clothing-co-parsing.zip": (
            "9b90c7b38456a52e8e1cc796cb6d94bea553917cd23b430790a8e4e53a4fb98d"
        )
    },
    reader="street",
    read=None,
    check=check,
)
