"""Which datasets there are, and where they lie on this machine: find, fetch and check them by name.

A dataset is looked for in `FASHIONNB_DATA`, then in the user's cache, and is downloaded into the
cache if it is in neither. What is known of a dataset (its `Source`) stands in the module that reads
it. Most programs want `fashionnb.datasets.load`, which finds and reads a dataset in one call.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256 as new_sha256
from pathlib import Path
from typing import TYPE_CHECKING

from fashionnb.data import downloads
from fashionnb.errors import DataError, DataNotFound
from fashionnb.files import WriteError, only_writer, sha256, write_text

if TYPE_CHECKING:
    from fashionnb.data.catalogue import Catalogue, Outfits, Scenes

_log = logging.getLogger(__name__)

FEW_FILES = 16
"""`fingerprint` hashes the contents of a folder of at most this many files. Of a larger folder it
hashes names, sizes and times of change, which is quick."""


@dataclass(frozen=True)
class Source:
    """Registry entry of one dataset: where it can be had, its licence, and who reads it.

    Parameters
    ----------
    name : str
        What `fashionnb.datasets.load` and the command line call it.
    title : str
        What a page calls it.
    files : tuple of str
        What may lie in a data folder; the first that exists counts. A name without a suffix is a
        folder. If the first is a folder, it holds the files of `urls` (those in ".gz" unpacked or
        not), and counts only if it has all of them.
    bytes : int
        About how much `fetch` downloads.
    licence, citation, homepage : str
        For people.
    reader : str
        The module of `fashionnb.data` that reads it.
    read : callable, path -> Catalogue, optional
        Reads the dataset's items. None if it is no catalogue; its module then says how to read it.
    check : callable, path -> list of str
        What was found to be right, one line each; raises `DataError` if anything is not.
    read_outfits : callable, path -> Outfits, optional
        None if the dataset has no outfits. With `editions` it takes one as its second argument.
    editions : tuple of str
        The names of the several divisions into splits that the dataset has, the usual one first.
    read_scenes : callable, path -> Scenes, optional
        None if the dataset has no scenes.
    assemble : callable, (list of downloaded files, target) -> None, optional
        Makes the dataset of several downloaded files. None: it is downloaded as it is.
    urls : mapping of str to tuple of str
        File name -> the addresses that give it, tried in this order. Empty: a program cannot fetch
        it.
    sha256 : mapping of str to str
        File name -> digest. For a name of `urls` (without ".gz": of the unpacked content) a
        download must have it; for a name of `files` it is that of a copy known to be good. Empty
        where upstream publishes none.
    terms : str
        What one must not do; empty if there is nothing to say.
    by_hand : str
        How to get it without `fetch`.
    """

    name: str
    title: str
    files: tuple[str, ...]
    bytes: int
    licence: str
    citation: str
    homepage: str
    reader: str
    read: "Callable[[Path], Catalogue] | None"
    check: Callable[[Path], list[str]]
    read_outfits: "Callable[..., Outfits] | None" = None
    editions: tuple[str, ...] = ()
    read_scenes: "Callable[[Path], Scenes] | None" = None
    assemble: Callable[[Sequence[Path], Path], None] | None = None
    urls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)
    terms: str = ""
    by_hand: str = ""


@cache
def _sources() -> dict[str, Source]:
    """Every dataset by name, in the order in which the book meets them.

    A new dataset is a module with a `SOURCE`, and one line here.
    """
    # Imported here, so that importing this module stays light; and not by `importlib`, so that
    # `fashionnb.publishing.chapter_dependencies` sees that the readers are reached from here.
    from fashionnb.data import (
        clothing,
        fashion_mnist,
        mango,
        polyvore,
        products,
        shop_the_look,
        street,
    )

    known = (
        fashion_mnist.SOURCE,
        clothing.SOURCE,
        products.SOURCE,
        mango.SOURCE,
        polyvore.SOURCE,
        polyvore.MARYLAND_SOURCE,
        shop_the_look.SOURCE,
        street.SOURCE,
    )
    return {source.name: source for source in known}


def __getattr__(name: str) -> object:
    """`SOURCES`: every dataset by name. Made at first use, since it imports all readers."""
    if name == "SOURCES":
        return _sources()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def get(name: str) -> Source:
    """Get the registry entry of a dataset by its name.

    Parameters
    ----------
    name : str
        Of the dataset, such as "fashion-mnist".

    Returns
    -------
    Source
        What is known of the dataset.

    Raises
    ------
    DataError
        If there is no dataset of this name; the message lists all.
    """
    sources = _sources()
    if name not in sources:
        raise DataError(f"There is no source {name!r}. Use one of: {', '.join(sources)}.")
    return sources[name]


def remedy(name: str) -> str:
    """Return the command that downloads a dataset, or that says how to get it by hand.

    Parameters
    ----------
    name : str
        Of the dataset.

    Returns
    -------
    str
        To be typed, such as "fashionnb data fetch fashion-mnist".
    """
    return f"fashionnb data {'fetch' if get(name).urls else 'check'} {name}"


def cache_folder() -> Path:
    """Return the cache folder, into which registered datasets are downloaded.

    Returns
    -------
    Path
        `FASHIONNB_CACHE`, else the system's place for caches; where that cannot be written, as on
        some hosts of notebooks, a folder for temporary files. The folder may not exist yet.
    """
    if chosen := os.environ.get("FASHIONNB_CACHE"):
        return Path(chosen).expanduser()
    import pooch

    place = Path(pooch.os_cache("fashionnb"))
    nearest = next(one for one in (place, *place.parents) if os.access(one, os.F_OK))
    if nearest.is_dir() and os.access(nearest, os.W_OK):
        return place
    return Path(tempfile.gettempdir()) / "fashionnb"


def places(folder: Path | str | None = None) -> list[Path]:
    """List the folders in which registered datasets are searched: data folder, then cache.

    Parameters
    ----------
    folder : path, optional
        Searched first; without it `FASHIONNB_DATA`, if that is set. The cache comes last.

    Returns
    -------
    list of Path
        One or two folders, first to last.

    Raises
    ------
    DataNotFound
        If the folder that was given does not exist or may not be read. To go on without it would
        run a chapter on other data than the user meant.
    """
    given = folder or os.environ.get("FASHIONNB_DATA")
    if not given:
        return [cache_folder()]
    path = Path(given).expanduser()
    if not path.is_dir() or not os.access(path, os.R_OK | os.X_OK):
        what = "The data folder" if folder else "FASHIONNB_DATA"
        raise DataNotFound(
            f"{what} is {str(given)!r}, which is not a folder, or may not be read. "
            "Correct it, or leave it out to use the cache."
        )
    return [path, cache_folder()]


def find(name: str, folder: Path | str | None = None) -> Path:
    """Find the place of a registered dataset on this machine.

    Parameters
    ----------
    name : str
        Of the dataset.
    folder : path, optional
        As in `places`.

    Returns
    -------
    Path
        A folder or a zip file.

    Raises
    ------
    DataNotFound
        If it is neither in `FASHIONNB_DATA` nor in the cache; the message says what to do.
    DataError
        If there is no dataset of this name.
    """
    source, searched, incomplete = get(name), places(folder), ""
    for path in (place / file for place in searched for file in source.files):
        if path.exists():
            missing = _missing(source, path) if _is_folder(source) else []
            if not missing:
                return path
            incomplete += f" {path} lacks {', '.join(missing)}."
    raise DataNotFound(
        f"{name} is not on this machine: no {_names(source)} in "
        f"{' or '.join(map(str, searched))}.{incomplete} {_advice(source)}"
    )


def fetch(name: str, folder: Path | str | None = None, progress: bool = True) -> Path:
    """Download a registered dataset into the cache, unless it is on this machine already.

    Files that were downloaded and checked are kept when a later one fails, and so is the part of a
    file that came before a transfer broke off; the next call goes on from there. A dataset that
    differs from the one first downloaded on this machine is logged as a warning.

    Parameters
    ----------
    name : str
        Of the dataset.
    folder : path, optional
        As in `places`.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    Path
        A folder or a zip file.

    Raises
    ------
    DataNotFound
        If no address gives it, it has to be fetched by hand, or `FASHIONNB_OFFLINE` forbids the
        network.
    DataError
        If what came is not the dataset (wrong SHA-256, wrong counts); it is deleted.
    WriteError
        If the cache cannot be written, or the disk is full.
    """
    source = get(name)
    places(folder)  # a wrong folder is reported rather than ignored
    with suppress(DataNotFound):
        return find(name, folder)
    if not source.urls:
        raise DataNotFound(f"{name} cannot be fetched by a program. {_advice(source)}")
    try:
        with only_writer(cache_folder(), name, wait=True):
            with suppress(DataNotFound):
                return find(name, folder)  # another process fetched it meanwhile
            return _fetched(source, progress)
    except DataNotFound as error:
        raise DataNotFound(
            f"{error}\nRun it again when there is a network, or {_by_hand(source)}"
        ) from error
    except OSError as error:
        why = str(error)
        if not isinstance(error, WriteError):  # which says what cannot be written
            why = f"{error.filename}: cannot be written ({error.strerror})."
        raise WriteError(
            f"{name} cannot be put into the cache. {why} "
            "FASHIONNB_CACHE can name another folder for it."
        ) from error


def check(name: str, path: Path | str | None = None) -> list[str]:
    """Check a registered dataset: place, size, checksums, and what its reader counts and decodes.

    Parameters
    ----------
    name : str
        Of the dataset.
    path : path, optional
        The folder or file; without it, where `find` finds it.

    Returns
    -------
    list of str
        What was found, one line each.

    Raises
    ------
    DataNotFound
        If it is not on this machine.
    DataError
        If it is damaged or incomplete.
    """
    from fashionnb.data.images import ZipImages  # imported here, as the readers are

    source, path = get(name), find(name) if path is None else Path(path)
    if not path.exists():
        raise DataNotFound(
            f"{path}: there is no such file or folder. Name the place where {name} lies."
        )
    size = sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())
    findings = [f"{source.title} lies in {path}, {size / 1e6:,.1f} MB"]
    if path.is_file():
        known = source.sha256.get(path.name) == sha256(path)
        if known:
            findings.append("byte for byte a copy that is known to be good")
        archive = ZipImages(path)
        for member in archive.names:
            archive.read(member)  # compares its CRC-32
        findings.append(f"all {len(archive.names):,} files in the zip are whole")
    findings += source.check(path)
    if path.is_file() and not known:  # now that it is known to be whole
        findings.append(_first_seen(source, path)[1])
    return findings


def fingerprint(name: str) -> str:
    """Compute a hash of a dataset that changes when its files on this machine do.

    The cache of executed chapters uses it. Files and small folders are hashed by their content,
    wherever they lie; a folder of many files by names, sizes and times of change. Hidden files do
    not count.

    Parameters
    ----------
    name : str
        Of a registered dataset; or the path of a file or folder of one's own.

    Returns
    -------
    str
        A SHA-256 in hexadecimal; "absent" if the dataset is not on this machine.

    Raises
    ------
    DataError
        If there is no dataset of this name, and nothing at this path.
    """
    own = name not in _sources() and Path(name).exists()
    try:
        path = Path(name) if own else find(name)
    except DataNotFound:
        return "absent"
    if path.is_file():
        return sha256(path)
    files = sorted(
        file for file in path.rglob("*") if file.is_file() and not file.name.startswith(".")
    )
    describe = sha256 if len(files) <= FEW_FILES else _size_and_time
    lines = [f"{file.relative_to(path).as_posix()} {describe(file)}" for file in files]
    return new_sha256("\n".join(lines).encode()).hexdigest()


def _first_seen(source: Source, path: Path) -> tuple[bool, str]:
    """Whether a dataset's file is the one that was first seen on this machine, and a line about it.

    For files whose digest nobody published. The first one is noted in the cache, in the format of
    `sha256sum`.
    """
    note = cache_folder() / f"{source.name}.sha256"
    found = sha256(path)
    try:
        first = note.read_text(encoding="utf-8").split()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        with suppress(WriteError):  # where nothing can be kept, there is nothing to compare with
            write_text(note, f"{found}  {path.name}\n")
        return True, f"its sha256 is {found}; no other was seen here before"
    if first == found:
        return True, f"its sha256 is {found}, as when it was first seen here"
    return False, (
        f"this is not the file that was first seen here: its sha256 is {found}, then it was "
        f"{first}. Its content was checked all the same. If the new one is wanted, delete "
        f"{note.name} in the cache."
    )


def _size_and_time(file: Path) -> str:
    return f"{file.stat().st_size} {file.stat().st_mtime_ns}"


def _is_folder(source: Source) -> bool:
    """True if the downloaded files together, as they are, make the dataset."""
    return not Path(source.files[0]).suffix


def _missing(source: Source, folder: Path) -> list[str]:
    """The files of `source.urls` that `folder` has neither as they come nor unpacked."""
    return [
        file
        for file in source.urls
        if not (folder / file).exists() and not (folder / file.removesuffix(".gz")).exists()
    ]


def _fetched(source: Source, progress: bool) -> Path:
    """Download a dataset into the cache."""
    target = cache_folder() / source.files[0]
    # A folder grows file by file, since `find` sees when it is complete. Anything else is
    # assembled beside its place.
    aside = target if _is_folder(source) else target.with_name(f"{source.name}.part")
    try:
        for file in _missing(source, aside):
            wanted = source.sha256.get(file.removesuffix(".gz"))
            downloads.download(source.urls[file], aside / file, sha256=wanted, progress=progress)
    except DataNotFound:
        with suppress(OSError):
            aside.rmdir()  # if it is empty
        raise
    ready = _assembled(source, aside)
    if ready != target:
        ready.replace(target)
        shutil.rmtree(aside, ignore_errors=True)
    if target.is_file():
        same, seen = _first_seen(source, target)
        if not same:
            _log.warning("%s: %s", target.name, seen)
    return target


def _assembled(source: Source, folder: Path) -> Path:
    """Make the dataset of the files downloaded into `folder`, and check it.

    If it is wrong, the folder is deleted: the same files would be wrong the next time too.
    """
    parts = [folder / file for file in source.urls]
    ready = folder if _is_folder(source) else parts[0]
    try:
        if source.assemble:
            ready = folder / source.files[0]
            source.assemble(parts, ready)
        source.check(ready)
    except DataError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return ready


def _advice(source: Source) -> str:
    """What someone without the dataset can do."""
    if source.urls:
        size = f"about {source.bytes / 1e6:,.0f} MB"
        return f"Run `fashionnb data fetch {source.name}` ({size}), or {_by_hand(source)}"
    return (
        f"To get it: {source.by_hand} ({source.homepage}; {source.terms}). "
        f"Then {_by_hand(source)} `fashionnb data check {source.name}` says what is still missing."
    )


def _by_hand(source: Source) -> str:
    return f"put it as {_names(source)} into a folder and set FASHIONNB_DATA to that folder."


def _names(source: Source) -> str:
    return " or ".join(file if Path(file).suffix else f"{file}/" for file in source.files)
