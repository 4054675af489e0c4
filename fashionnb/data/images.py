"""Open, decode and resize images: from an array in memory, a folder or a zip file.

A store (`Images`) gives one image by its key, or many as one array. It has no categories and no
splits: those are in the table of the `Catalogue` that holds it. Every image comes out upright, grey
("L") or RGB, 8 bits a channel.
"""

import io
import logging
import os
import re
import threading
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from fashionnb.arrays import check_array
from fashionnb.errors import DataError, DataNotFound
from fashionnb.profiles import cores

Picture = str | Path | bytes | Image.Image | np.ndarray
"""What `prepared` takes."""

MOST_PIXELS = 50_000_000
"""An image whose header gives more pixels than this is refused before it is decoded."""

MOST_BYTES = 200_000_000
"""A zip member that would unpack to more bytes than this is refused before it is unpacked."""

# Only formats that garments come in. Above all not EPS, which Pillow would hand to Ghostscript.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_BLOCK = 64  # images that a thread decodes at a time; small enough to share the work evenly
_log = logging.getLogger(__name__)


def open_images(path: Path | str) -> "FolderImages | ZipImages":
    """Open the images in a folder or a zip file.

    Parameters
    ----------
    path : path
        The folder or zip file.

    Returns
    -------
    FolderImages or ZipImages
        The store, which decodes an image when it is asked for.

    Raises
    ------
    DataNotFound
        If there is nothing at `path`.
    DataError
        If `path` is a file, but not a zip that can be read safely.
    """
    path = Path(path)
    if not path.exists():
        raise DataNotFound(
            f"{path}: there is no such file or folder. Check the path, or `fashionnb data list`."
        )
    return FolderImages(path) if path.is_dir() else ZipImages(path)


def find_file(images: "FolderImages | ZipImages", name: str, path: Path | str, advice: str) -> str:
    """Find a file in a folder or zip of images; of several copies, the one nearest to the top.

    Parameters
    ----------
    images : FolderImages or ZipImages
        Where to look.
    name : str
        The end of its path, such as "styles.csv" or "dataset/product_data.csv".
    path : path
        Names the folder or zip in messages.
    advice : str
        What to do if it is not there.

    Returns
    -------
    str
        The key of the file.

    Raises
    ------
    DataError
        If there is no such file.
    """
    found = [key for key in images.names if f"/{key}".endswith(f"/{name}")]
    if not found:
        here = ", ".join(images.names[:3]) or "none"
        raise DataError(f"{path}: there is no {name}; the files here are {here}. {advice}")
    return min(found, key=lambda key: (key.count("/"), key))


def decode(data: bytes, where: str) -> Image.Image:
    """Decode the bytes of an image file: upright (EXIF orientation applied), grey or RGB.

    Palettes, CMYK and 16-bit images become 8-bit grey or RGB; transparent parts become white. Of an
    animation the first frame counts.

    Parameters
    ----------
    data : bytes
        A JPEG, PNG, WebP, GIF, BMP or TIFF file.
    where : str
        Names the image in messages.

    Returns
    -------
    PIL.Image.Image
        Of mode "L" or "RGB".

    Raises
    ------
    DataError
        If the bytes are not an image, are cut short, or have more than 50 megapixels (a
        "decompression bomb": a small file that would fill the memory; it is recognised from its
        header, before it is decoded).
    """
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(_bomb(where, str(error))) from error
    except Exception as error:  # hostile bytes make Pillow raise nearly anything
        begins = f"begins with {data[:8]!r}" if data else "is empty"
        raise DataError(
            f"{where}: not a picture (JPEG, PNG, WebP, GIF, BMP or TIFF); it {begins}. "
            "Replace it, or leave it out."
        ) from error
    return _upright(image, where)


def as_stored(images: "Images", key: object) -> bytes:
    """Return the bytes of an image as its store has them, to tell whether the image changed.

    Parameters
    ----------
    images : Images
        The store.
    key : object
        Of the image.

    Returns
    -------
    bytes
        Those of the image's file, or of its pixels if the store has no files.

    Raises
    ------
    DataError
        If there is no such image, or it cannot be read.
    """
    return images.read(key) if hasattr(images, "read") else images.image(key).tobytes()


def letterbox(image: Image.Image, size: int | tuple[int, int], channels: int) -> np.ndarray:
    """Resize an image without stretching it, centred on white (letterboxing).

    Scaling is bicubic with antialiasing, up and down.

    Parameters
    ----------
    image : PIL.Image.Image
        Of any size and mode.
    size : int or (int, int)
        Pixels: one number for a square, or (height, width).
    channels : int
        1 (grey) or 3 (RGB).

    Returns
    -------
    array of shape (height, width, channels), uint8
        The pixels, 0 to 255.

    Raises
    ------
    DataError
        If `size` is not positive, or `channels` is neither 1 nor 3.
    """
    height, width = _height_width(size)
    mode = _mode(channels)
    image = _plain(image, "the picture").convert(mode)
    scale = min(height / image.height, width / image.width)
    fitted = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    image = image.resize(fitted, Image.Resampling.BICUBIC)
    canvas = Image.new(mode, (width, height), "white")
    canvas.paste(image, ((width - fitted[0]) // 2, (height - fitted[1]) // 2))
    return np.array(canvas).reshape(height, width, channels)


def open_picture(picture: Picture) -> Image.Image:
    """Open an image given in any form: a path, the bytes of a file, a PIL image or an array.

    Parameters
    ----------
    picture : path, bytes, PIL.Image.Image or array
        A file; the bytes of one; or an array of shape (height, width) or (height, width, 1, 3 or
        4), uint8 or floats in [0, 1]. Of an animation the first frame counts; of a PIL image the
        one that it shows.

    Returns
    -------
    PIL.Image.Image
        Upright; transparent parts of files and PIL images are white.

    Raises
    ------
    DataNotFound
        If there is no such file.
    DataError
        If it is not an image, damaged, empty, or has more than 50 megapixels.
    """
    if isinstance(picture, str | Path):
        return decode(_bytes(picture), str(picture))
    if isinstance(picture, bytes | bytearray):
        return decode(bytes(picture), "the bytes given")
    if isinstance(picture, np.ndarray):
        return _from_array(picture)
    if isinstance(picture, Image.Image):
        return _upright(picture, "the PIL image")
    raise DataError(
        "A picture is a path, the bytes of a file, a PIL image or an array; "
        f"got {type(picture).__name__}."
    )


def prepared(picture: Picture, size: int | tuple[int, int], channels: int) -> np.ndarray:
    """Prepare an image in any form as pixels for a model: upright, letterboxed on white.

    Parameters
    ----------
    picture : path, bytes, PIL.Image.Image or array
        As `open_picture` takes it. Transparent parts become white.
    size : int or (int, int)
        Pixels: one number for a square, or (height, width).
    channels : int
        1 (grey) or 3 (RGB).

    Returns
    -------
    array of shape (height, width, channels), uint8
        The pixels, 0 to 255.

    Raises
    ------
    DataNotFound
        If there is no such file.
    DataError
        If it is not an image, damaged, empty, or has more than 50 megapixels.
    """
    return letterbox(open_picture(picture), size, channels)


class Images:
    """Base class of the image stores, which give the images of a catalogue by their keys.

    A store of files also has `names`, those of all files, sorted, without hidden files and
    `__MACOSX`; `read`, which gives the bytes of a file; and `where`, how messages name it.
    """

    def image(self, key: str) -> Image.Image:
        """One image, upright, grey ("L") or RGB. Raises `DataError`; see `decode`, `read`."""
        return decode(self.read(key), self.where(key))

    def pixels(
        self, keys: Sequence, size: int | tuple[int, int] | None = None, channels: int = 3
    ) -> np.ndarray:
        """Many images as one array, decoded and scaled by a few threads.

        Pillow decodes and scales without Python's global lock.

        Parameters
        ----------
        keys : sequence
            Which images, in which order.
        size : int or (int, int), optional
            Letterbox each to this size (see `letterbox`). Without it all must have one size.
        channels : int
            1 (grey) or 3 (RGB).

        Returns
        -------
        array of shape (n, height, width, channels), uint8

        Raises
        ------
        DataError
            If an image cannot be read, or sizes differ and no `size` was given.
        """
        if size is None and not len(keys):
            return np.empty((0, 0, 0, channels), np.uint8)
        shape = self.image(keys[0]).size[::-1] if size is None else _height_width(size)
        out = np.empty((len(keys), *shape, channels), np.uint8)

        def fill(start: int) -> None:
            for row in range(start, min(start + _BLOCK, len(keys))):
                picture = self.image(keys[row])
                if size is None and picture.size[::-1] != shape:
                    raise DataError(
                        f"{self.where(keys[row])}: {picture.width} x {picture.height} pixels, but "
                        f"the first picture has {shape[1]} x {shape[0]}. Give a size to bring all "
                        f"to one, for instance size={shape}."
                    )
                out[row] = letterbox(picture, shape, channels)

        with ThreadPoolExecutor(min(cores(), 8)) as pool:
            # The list waits for all; the first error ends it and cancels the rest.
            list(pool.map(fill, range(0, len(keys), _BLOCK)))
        return out


class ArrayImages(Images):
    """Image store in memory: an array, whose rows are the keys of the images.

    Parameters
    ----------
    array : array of shape (n, height, width) or (n, height, width, 1 or 3), uint8
        The images, grey or RGB.

    Raises
    ------
    DataError
        If the array has another shape or type.
    """

    def __init__(self, array: np.ndarray) -> None:
        array = np.asarray(array)
        array = array[..., None] if array.ndim == 3 else array
        channels = 1 if array.shape[-1:] == (1,) else 3
        self.array = check_array(
            array, ("n", "height", "width", channels), "Images in memory", kind="uint8"
        )

    def image(self, key: int) -> Image.Image:
        """The image in row `key`. Raises `DataError` for a row that does not exist."""
        picture = self.array[self._rows([key])[0]]
        return Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)

    def pixels(
        self, keys: Sequence[int], size: int | tuple[int, int] | None = None, channels: int = 3
    ) -> np.ndarray:
        """The images in rows `keys` as one array; without threads if none is scaled."""
        rows = self._rows(keys)
        _, height, width, here = self.array.shape
        if size is None or _height_width(size) == (height, width):
            if channels == here:
                return self.array[rows]
            if (here, channels) == (1, 3):
                return self.array[rows].repeat(3, axis=3)
        return super().pixels(rows.tolist(), size, channels)

    def _rows(self, keys: Sequence[int]) -> np.ndarray:
        rows = np.asarray(keys) if len(keys) else np.zeros(0, np.int64)
        if rows.dtype.kind not in "iu" or not ((rows >= 0) & (rows < len(self.array))).all():
            raise DataError(
                f"Keys of an array are its rows, integers from 0 to {len(self.array) - 1}; "
                f"got {keys!r:.60}."
            )
        return rows


# fsspec would give one store for folders and zips. Measured, it took 1.8 times as long to read
# 1,000 images from a zip and 7 times as long to list a folder of 20,000, and the checks below, of
# names that lead out and of sizes, would still be needed. So Python's own modules read both.


class FolderImages(Images):
    """Image store that reads from a folder and the folders below it.

    The key of an image is its path from `root`, with "/".

    Parameters
    ----------
    root : path
        The folder.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every file below the folder, sorted, without hidden files and `__MACOSX`."""
        found = []
        for folder, below, files in os.walk(self.root):
            below[:] = [name for name in below if not _hidden(name)]
            inside = Path(folder).relative_to(self.root).as_posix()
            # Joined as text: a Path for each file takes five times as long.
            above = "" if inside == "." else f"{inside}/"
            found += [above + name for name in files if not _hidden(name)]
        return tuple(sorted(found))

    def where(self, key: str) -> str:
        """How messages name this file."""
        return str(self.root / key)

    def read(self, key: str) -> bytes:
        """The bytes of a file. Raises `DataError` if it does not exist or is not in the folder."""
        if _leads_out(key):
            raise DataError(
                f"{self.root}: the name {key!r} leads out of the folder; it is refused."
            )
        try:
            return (self.root / key).read_bytes()
        except OSError as error:
            raise DataError(
                f"{self.where(key)}: cannot be read ({error.strerror or error})."
            ) from error


class ZipImages(Images):
    """Image store that reads from a zip file without unpacking it.

    The file is opened once, and several threads may read it.

    Parameters
    ----------
    path : path
        The zip file.

    Raises
    ------
    DataError
        If it is not a zip file, or if the name of a member is absolute or leads out of the archive
        with "..".
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            self._zip = zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise DataError(
                f"{self.path}: not a zip file, or one that is cut short ({error}). "
                "Delete it and fetch it again."
            ) from error
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror or error}).") from error
        members = self._zip.namelist()
        if refused := [name for name in members if _leads_out(name)]:
            self._zip.close()
            raise DataError(
                f"{self.path}: the member {refused[0]!r} leads out of the archive (path "
                "traversal). A dataset has no such member: do not trust this file, and get it from "
                "its source."
            )
        files = [name for name in members if not name.endswith("/")]
        self.names = tuple(sorted(name for name in files if not _hidden(name)))

    def where(self, key: str) -> str:
        """How messages name this member."""
        return f"{self.path}, member {key}"

    def read(self, key: str) -> bytes:
        """The bytes of a member.

        Raises
        ------
        DataError
            If it does not exist, or is damaged, encrypted or larger than `MOST_BYTES`.
        """
        try:
            member = self._zip.getinfo(key)
        except KeyError as error:
            raise DataError(f"{self.path}: there is no member {key!r} in this zip.") from error
        if member.file_size > MOST_BYTES:
            raise DataError(
                _bomb(self.where(key), f"{member.file_size / 1e6:,.0f} MB when unpacked")
            )
        try:
            with self._lock:  # members share one file position
                return self._zip.read(member)
        except Exception as error:  # of zlib, lzma, struct, zipfile; RuntimeError if encrypted
            raise DataError(
                f"{self.where(key)}: corrupt or unreadable ({error}). "
                "Delete the zip and fetch it again."
            ) from error


def _upright(image: Image.Image, where: str) -> Image.Image:
    """The image decoded, upright, grey ("L") or RGB; `image` itself is left as it is."""
    if image.width * image.height > MOST_PIXELS:
        raise DataError(_bomb(where, f"{image.width} x {image.height} pixels"))
    if not image.width * image.height:
        raise DataError(f"{where}: {image.width} x {image.height} pixels, so there is no picture.")
    try:
        image.load()
    except Exception as error:  # hostile bytes make Pillow raise nearly anything
        raise DataError(
            f"{where}: the picture cannot be decoded ({error}). It looks cut short or damaged; "
            "get it again."
        ) from error
    try:
        image = ImageOps.exif_transpose(image)
    except Exception:  # a damaged EXIF block is no reason to lose a picture that decodes
        _log.warning("%s: the EXIF block is damaged; the picture may lie on its side.", where)
    return _plain(image, where)


def _plain(image: Image.Image, where: str) -> Image.Image:
    """The image as "L" or "RGB", transparent parts on white."""
    if image.mode in ("F", "La"):  # floats have no agreed black and white; Pillow lacks La to L
        raise DataError(
            f"{where}: pictures of mode {image.mode!r} cannot be turned into grey or RGB."
        )
    if image.mode.startswith("I"):  # 16 bits a pixel, whatever Pillow calls it
        values = np.clip(np.asarray(image).astype(np.int32), 0, 65535)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8))
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white
    target = "L" if grey else "RGB"
    return image if image.mode == target else image.convert(target)


def _height_width(size: int | tuple[int, int]) -> tuple[int, int]:
    shape = (size, size) if isinstance(size, int | np.integer) else tuple(size)
    if len(shape) != 2 or min(shape) < 1:
        raise DataError(
            f"A size is one positive number of pixels, or (height, width); got {size!r}."
        )
    return int(shape[0]), int(shape[1])


def _mode(channels: int) -> str:
    if channels not in (1, 3):
        raise DataError(f"Pictures have 1 channel (grey) or 3 (RGB); got channels={channels!r}.")
    return "L" if channels == 1 else "RGB"


def _leads_out(name: str) -> bool:
    """True for a name that is absolute or climbs with "..", on any operating system."""
    name = name.replace("\\", "/")
    return (
        name.startswith("/") or ".." in name.split("/") or re.match(r"[A-Za-z]:", name) is not None
    )


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _bomb(where: str, size: str) -> str:
    return (
        f"{where}: {size} is more than a picture of a garment can be (a decompression bomb?). "
        f"At most {MOST_PIXELS / 1e6:.0f} megapixels and {MOST_BYTES / 1e6:.0f} MB are accepted; "
        "shrink it, or leave it out."
    )


def _bytes(path: Path | str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise DataNotFound(f"{path}: there is no such picture. Check the path.") from error
    except (OSError, ValueError) as error:  # a folder, no permission; a name that no file can have
        raise DataError(f"{path}: cannot be read ({error}). Name one picture file.") from error


def _from_array(array: np.ndarray) -> Image.Image:
    plain = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    floats = plain.dtype.kind == "f"
    fits = plain.ndim >= 2 and plain.shape[2:] in ((), (3,), (4,)) and plain.size
    if not fits or not (floats or plain.dtype == np.uint8):
        raise DataError(
            "An array of one picture is (height, width) or (height, width, 1, 3 or 4), of uint8 "
            f"(0 to 255) or floats (0 to 1); got {array.dtype} {array.shape}."
        )
    if floats:
        if not (plain.min() >= 0 and plain.max() <= 1):
            raise DataError(
                f"A picture of floats lies in [0, 1], this one goes from {plain.min():.3g} to "
                f"{plain.max():.3g}. Divide by 255, or pass uint8."
            )
        plain = (plain * 255).round().astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(plain))
