"""Open and resize images: from an array in memory, a folder or a zip file.

A store (`Images`) gives one image by its key, or many as one array. It has no categories and no
splits: those are in the table of the `Catalogue` that holds it. Every image comes out upright, grey
("L") or RGB, 8 bits a channel. `fashionnb.data.decoding` decodes the files.
"""

import logging
import os
import re
import threading
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from fashionnb.arrays import check_array
from fashionnb.data.decoding import (
    MOST_BYTES,
    SUFFIXES,
    as_grey_or_rgb,
    bomb_message,
    decode,
    is_blank,
    is_picture,
    upright,
)
from fashionnb.errors import DataError, DataNotFound
from fashionnb.profiles import cores

Picture = str | Path | bytes | Image.Image | np.ndarray
"""What `prepared` takes."""

_HEAD = 32  # bytes of a file that tell what it is
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
    path = path_on_disk(path)
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


def list_pictures(images: "FolderImages | ZipImages", path: Path | str) -> list[str]:
    """List the image files in a folder or zip file; others are counted in a warning.

    A file with a usual ending (`SUFFIXES`) counts, and is opened later. Every other file is told by
    its first bytes.

    Parameters
    ----------
    images : FolderImages or ZipImages
        Where to look.
    path : path
        Names the folder or zip in messages.

    Returns
    -------
    list of str
        The keys of the images, sorted.
    """
    named = {key for key in images.names if key.lower().endswith(SUFFIXES)}
    found = [key for key in images.names if key in named or is_picture(images.begins(key))]
    others = sorted(set(images.names).difference(found))
    endings = Counter(PurePosixPath(key).suffix.lower() or "no ending" for key in others)
    # Not "._shirt.jpg", which is what macOS writes beside a file on another disk.
    hidden = [key for key in images.hidden if "/._" not in f"/{key}"]
    endings["hidden"] = sum(is_picture(images.begins(key)) for key in hidden)
    counts = ", ".join(f"{count} {ending}" for ending, count in endings.most_common() if count)
    if counts:
        _log.warning(
            "%s: %d file(s) are left out, since they are no pictures or are hidden (%s).",
            path,
            endings.total(),
            counts,
        )
    return found


def is_picture_file(path: Path | str) -> bool:
    """Tell whether a file is an image, by its ending or its first bytes.

    Parameters
    ----------
    path : path
        Of a file that exists.

    Returns
    -------
    bool
        As `list_pictures` tells it.
    """
    path = Path(path)
    return path.suffix.lower() in SUFFIXES or is_picture(
        FolderImages(path.parent).begins(path.name)
    )


def warn_of_blank(blank: Sequence, n: int) -> None:
    """Warn in the log if some of the images that were read are blank.

    Parameters
    ----------
    blank : sequence
        Names of the blank images.
    n : int
        How many images were read.
    """
    if blank:
        _log.warning(
            "%d of %d pictures are blank (one colour), the first is %s. To a model all of them "
            "look alike: replace them, or leave them out.",
            len(blank),
            n,
            blank[0],
        )


def path_on_disk(path: Path | str) -> Path:
    """Find the file or folder that a name means, if its spelling in bytes is another.

    The same letters can be written in two ways (é as one character, or as e and an accent), and a
    byte that is no UTF-8 is written as in ``caf\\xe9.jpg``.

    Parameters
    ----------
    path : path
        As a person or a table gives it.

    Returns
    -------
    Path
        What is there; `path` itself, if nothing is.
    """
    path = Path(path)
    if str(path).isascii() and "\\x" not in str(path):
        return path
    with suppress(OSError, ValueError):  # a name that no file can have
        if path.exists():
            return path
        raw = re.sub(
            r"\\x([89a-f][0-9a-f])", lambda byte: chr(0xDC00 + int(byte[1], 16)), str(path)
        )
        spellings = (unicodedata.normalize("NFC", raw), unicodedata.normalize("NFD", raw), raw)
        for other in map(Path, spellings):
            if other.exists():
                return other
    return path


def as_text(name: str) -> str:
    """Make a file's name plain text: a byte that is no UTF-8 becomes, for instance, ``\\xe9``.

    Parameters
    ----------
    name : str
        As the operating system gives it, with surrogates for such bytes.

    Returns
    -------
    str
        What can be printed and saved; `path_on_disk` finds the file.
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace") if not name.isascii() else name


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
    image = as_grey_or_rgb(image, "the picture").convert(mode)
    scale = min(height / image.height, width / image.width)
    fitted = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    image = image.resize(fitted, Image.Resampling.BICUBIC)
    canvas = Image.new(mode, (width, height), "white")
    canvas.paste(image, ((width - fitted[0]) // 2, (height - fitted[1]) // 2))
    return np.array(canvas).reshape(height, width, channels)


def open_picture(picture: Picture, size: int | tuple[int, int] | None = None) -> Image.Image:
    """Open an image given in any form: a path, the bytes of a file, a PIL image or an array.

    Parameters
    ----------
    picture : path, bytes, PIL.Image.Image or array
        A file; the bytes of one; or an array of shape (height, width) or (height, width, 1, 3 or
        4), uint8 or floats in [0, 1]. Of an animation the first frame counts; of a PIL image the
        one that it shows.
    size : int or (int, int), optional
        Of a file no more pixels are decoded than scaling it down into this size needs, see
        `fashionnb.data.decoding.decode`.

    Returns
    -------
    PIL.Image.Image
        Upright; what is transparent in files and PIL images becomes white, or grey behind a pale
        garment.

    Raises
    ------
    DataNotFound
        If there is no such file.
    DataError
        If it is not an image, damaged, empty, or has too many pixels.
    """
    if isinstance(picture, str | Path):
        return decode(_bytes(picture), str(picture), size)
    if isinstance(picture, bytes | bytearray):
        return decode(bytes(picture), "the bytes given", size)
    if isinstance(picture, np.ndarray):
        return _from_array(picture)
    if isinstance(picture, Image.Image):
        return upright(picture, "the PIL image")
    raise DataError(
        "A picture is a path, the bytes of a file, a PIL image or an array; "
        f"got {type(picture).__name__}."
    )


def prepared(picture: Picture, size: int | tuple[int, int], channels: int) -> np.ndarray:
    """Prepare an image in any form as pixels for a model: upright, letterboxed on white.

    Parameters
    ----------
    picture : path, bytes, PIL.Image.Image or array
        As `open_picture` takes it.
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
        If it is not an image, damaged, empty, or has too many pixels.
    """
    return letterbox(open_picture(picture, size), size, channels)


class Images:
    """Base class of the image stores, which give the images of a catalogue by their keys.

    A store of files also has `names`, those of all files, sorted, without hidden files and
    `__MACOSX`; `hidden`, the names of hidden files; `read` and `begins`, which give all bytes of a
    file and the first ones; and `where`, how messages name it.
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
        blank = []

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
                if is_blank(picture):
                    blank.append(self.where(keys[row]))

        with ThreadPoolExecutor(min(cores(), 8)) as pool:
            # The list waits for all; the first error ends it and cancels the rest.
            list(pool.map(fill, range(0, len(keys), _BLOCK)))
        warn_of_blank(sorted(blank), len(keys))
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
    def _listed(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The names of the files, and of the hidden files; nothing in a hidden folder."""
        shown, hidden = [], []
        for folder, files in _walk(self.root):
            inside = Path(folder).relative_to(self.root).as_posix()
            # Joined as text: a Path for each file takes five times as long.
            above = "" if inside == "." else f"{inside}/"
            for name in files:
                (hidden if _hidden(name) else shown).append(as_text(above + name))
        return tuple(sorted(shown)), tuple(sorted(hidden))

    @property
    def names(self) -> tuple[str, ...]:
        """Every file below the folder, sorted, without hidden files and `__MACOSX`.

        Links to folders are followed, each real folder once.
        """
        return self._listed[0]

    @property
    def hidden(self) -> tuple[str, ...]:
        """Every hidden file below the folder, sorted, without hidden folders."""
        return self._listed[1]

    def where(self, key: str) -> str:
        """How messages name this file."""
        return as_text(str(self.root / key))

    def begins(self, key: str) -> bytes:
        """The first 32 bytes of a file; none, if it is no file or cannot be read."""
        try:
            path = path_on_disk(self.root / key)
            return path.open("rb").read(_HEAD) if path.is_file() else b""
        except OSError:
            return b""

    def read(self, key: str) -> bytes:
        """The bytes of a file. Raises `DataError` if it does not exist or is not in the folder."""
        if _leads_out(key):
            raise DataError(
                f"{self.root}: the name {key!r} leads out of the folder; it is refused."
            )
        try:
            return path_on_disk(self.root / key).read_bytes()
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
                f"{self.path}: not a zip file, or one that is cut short ({error}). Name a folder "
                "or a zip file of pictures; if it should be one, get it again from where it came."
            ) from error
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror or error}).") from error
        # Some programs for Windows write "\\" where the format has "/".
        members = {name.replace("\\", "/"): name for name in self._zip.namelist()}
        if refused := [name for name in members if _leads_out(name)]:
            self._zip.close()
            raise DataError(
                f"{self.path}: the member {refused[0]!r} leads out of the archive (path "
                "traversal). A dataset has no such member: do not trust this file, and get it from "
                "its source."
            )
        self._members = {name: own for name, own in members.items() if not name.endswith("/")}
        self.names = tuple(sorted(name for name in self._members if not _hidden(name)))
        self.hidden = tuple(sorted(set(self._members).difference(self.names)))

    def where(self, key: str) -> str:
        """How messages name this member."""
        return f"{self.path}, member {key}"

    def begins(self, key: str) -> bytes:
        """The first 32 bytes of a member; none, if it cannot be read."""
        try:
            with self._lock, self._zip.open(self._members[key]) as file:
                return file.read(_HEAD)
        except Exception:  # of zlib, lzma, struct, zipfile; RuntimeError if encrypted
            return b""

    def read(self, key: str) -> bytes:
        """The bytes of a member.

        Raises
        ------
        DataError
            If it does not exist, or is damaged, encrypted or larger than `MOST_BYTES`.
        """
        try:
            member = self._zip.getinfo(self._members[key])
        except KeyError as error:
            raise DataError(f"{self.path}: there is no member {key!r} in this zip.") from error
        if member.file_size > MOST_BYTES:
            raise DataError(
                bomb_message(self.where(key), f"{member.file_size / 1e6:,.0f} MB when unpacked")
            )
        try:
            with self._lock:  # members share one file position
                return self._zip.read(member)
        except Exception as error:  # of zlib, lzma, struct, zipfile; RuntimeError if encrypted
            raise DataError(
                f"{self.where(key)}: corrupt or unreadable ({error}). "
                "Get the zip again from where it came, or make it anew."
            ) from error


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


def _walk(root: Path) -> Iterator[tuple[str, list[str]]]:
    """The folders below one, and their files. Links to folders are followed after real folders."""
    seen, waiting = set(), [str(root)]
    while waiting:
        for folder, below, files in os.walk(waiting.pop(0), onerror=_cannot_list):
            status = Path(folder).stat()
            below[:] = sorted(name for name in below if not _hidden(name))
            if (here := (status.st_dev, status.st_ino)) in seen:
                below.clear()
                continue
            seen.add(here)
            paths = [Path(folder, name) for name in below]
            waiting += [str(path) for path in paths if path.is_symlink()]
            yield folder, files


def _cannot_list(error: OSError) -> None:
    raise DataError(
        f"{error.filename}: the folder cannot be listed ({error.strerror}). "
        "Get the right to read it, or move it elsewhere."
    ) from error


def _leads_out(name: str) -> bool:
    """True for a name that is absolute or climbs with "..", on any operating system."""
    windows = os.name == "nt"
    parts = (name.replace("\\", "/") if windows else name).split("/")
    # Elsewhere "C:shirt.jpg" is a plain name.
    drive = re.match(r"[A-Za-z]:" if windows else r"[A-Za-z]:/", name)
    return parts[0] == "" or ".." in parts or drive is not None


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _bytes(path: Path | str) -> bytes:
    try:
        return path_on_disk(path).read_bytes()
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
