"""Where the datasets come from, and where they are on this machine.

A dataset is looked for in `FASHIONNB_DATA`, then in the user's cache, and fetched into the cache if it is in neither.
What there is at all is in `fashionnb.data.register`. Nothing here reads a dataset: that is what the readers beside this
file do. Most programs want `fashionnb.data.load`, which puts the two together.
"""

import os
import shutil
import zipfile
import zlib
from contextlib import suppress
from hashlib import sha256 as new_sha256
from pathlib import Path
from types import ModuleType

from fashionnb.data import downloads
from fashionnb.data.register import SOURCES, Source, get
from fashionnb.errors import DataError, DataNotFound
from fashionnb.files import WriteError, sha256

# A folder of at most this many files is known by its contents; a larger one by names, sizes and times, which is quick.
FEW_FILES = 16

__all__ = [
    "SOURCES",
    "Source",
    "cache_folder",
    "check",
    "fetch",
    "find",
    "fingerprint",
    "get",
    "places",
    "reader",
    "size_of",
]


def cache_folder() -> Path:
    """Where downloads are kept: `FASHIONNB_CACHE`, else the place that this system has for caches. It may not exist."""
    if chosen := os.environ.get("FASHIONNB_CACHE"):
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("fashionnb"))


def places(folder: Path | str | None = None) -> list[Path]:
    """The folders that are searched, first to last: `folder`, or else `FASHIONNB_DATA` if it is set; then the cache.

    Raises
    ------
    DataNotFound : what was given is not a folder, or one that may not be read. Going on without it would run a chapter
        on other data than the reader meant.
    """
    given, what = (str(folder), "The data folder") if folder else (os.environ.get("FASHIONNB_DATA"), "FASHIONNB_DATA")
    if not given:
        return [cache_folder()]
    folder = Path(given).expanduser()
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
        why = "may not be read" if folder.is_dir() else "is not a folder"
        raise DataNotFound(f"{what} is {given!r}, which {why}. Correct it, or leave it out to use the cache.")
    return [folder, cache_folder()]


def find(name: str, folder: Path | str | None = None) -> Path:
    """Where the dataset is on this machine: a folder, or a zip file. `folder` as in `places`. Introduced in chapter 01.

    Raises
    ------
    DataNotFound : it is neither in `FASHIONNB_DATA` nor in the cache; the message says what to do.
    DataError : there is no such source.
    """
    source, searched, incomplete = get(name), places(folder), ""
    for path in (place / file for place in searched for file in source.files):
        if path.exists():
            missing = _missing(source, path) if _is_folder(source) else []
            if not missing:
                return path
            incomplete += f" {path} lacks {', '.join(missing)}."
    raise DataNotFound(
        f"{name} is not on this machine: no {_names(source)} in {' or '.join(map(str, searched))}."
        f"{incomplete} {_advice(source)}"
    )


def fetch(name: str, folder: Path | str | None = None, progress: bool = True) -> Path:
    """Download the dataset into the cache, unless it is on this machine already, and return where it is.

    `folder` as in `places`.

    Files that were fetched whole and checked are kept when a later one fails, and the next call goes on from there.

    Raises
    ------
    DataNotFound : no address gives it, it has to be fetched by hand, or `FASHIONNB_OFFLINE` forbids the network.
    DataError : what came is not the dataset (wrong sha256, wrong counts); it is thrown away.
    WriteError : the cache cannot be written, or the disk is full.
    """
    source = get(name)
    places(folder)  # a wrong folder is reported rather than worked around
    with suppress(DataNotFound):
        return find(name, folder)
    if not source.urls:
        raise DataNotFound(f"{name} cannot be fetched by a program. {_advice(source)}")
    target = cache_folder() / source.files[0]
    # A folder grows file by file, since `find` sees when it is complete; anything else is made ready beside its place.
    workshop = target if _is_folder(source) else target.with_name(f"{name}.part")
    try:
        for file in _missing(source, workshop):
            wanted = source.sha256.get(file.removesuffix(".gz"))
            downloads.download(source.urls[file], workshop / file, sha256=wanted, progress=progress)
        ready = _assemble(source, workshop)
        if ready != target:
            ready.replace(target)
            shutil.rmtree(workshop, ignore_errors=True)
    except DataNotFound as error:
        with suppress(OSError):
            workshop.rmdir()  # if nothing came at all
        raise DataNotFound(f"{error}\nRun it again when there is a network, or {_by_hand(source)}") from error
    except OSError as error:
        if not _is_folder(source) and target.exists():  # another process fetched it meanwhile, and was first
            return target
        raise WriteError(
            f"{name} cannot be put into the cache. {error} FASHIONNB_CACHE can name another folder for it."
        ) from error
    return target


def check(name: str, path: Path | str | None = None) -> list[str]:
    """Look at the dataset closely and return what was found, one line each: place, size, checksum, counts.

    Parameters
    ----------
    name : of the dataset.
    path : where it is, a folder or a file; without it, where `find` finds it.

    Raises
    ------
    DataNotFound : it is not on this machine.
    DataError : it is damaged or incomplete.
    """
    source, path = get(name), find(name) if path is None else Path(path)
    if not path.exists():
        raise DataNotFound(f"{path}: there is no such file or folder. Name the place where {name} lies.")
    findings = [f"{source.title} lies in {path}, {size_of(path) / 1e6:,.1f} MB"]
    if path.is_file():
        if source.sha256.get(path.name) == sha256(path):
            findings.append("byte for byte a copy that is known to be good")
        findings.append(_check_zip(path))
    if source.reader:
        findings += reader(name).check(path)
    return findings


def fingerprint(name: str) -> str:
    """A hash that changes when the dataset on this machine does; "absent" where there is none.

    The cache of executed chapters asks for it. Files and small folders go by their content, wherever they lie; a folder
    of many files goes by the names, sizes and times of change. Hidden files do not count.
    """
    try:
        path = find(name)
    except DataNotFound:
        return "absent"
    if path.is_file():
        return sha256(path)
    files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    few = len(files) <= FEW_FILES
    lines = [f"{file.relative_to(path).as_posix()} {sha256(file) if few else _stamp(file)}" for file in files]
    return new_sha256("\n".join(lines).encode()).hexdigest()


def reader(name: str) -> ModuleType:
    """The module that reads this source: it has `read(path)` and `check(path)`. Raises `DataError` if there is none."""
    # Imported by name, not by importlib: so the cache of executed chapters sees that a chapter reaches the readers.
    from fashionnb.data import clothing, fashion_mnist, mango, maryland, polyvore, products, shop_the_look

    modules = {
        "clothing": clothing,
        "fashion_mnist": fashion_mnist,
        "mango": mango,
        "maryland": maryland,
        "polyvore": polyvore,
        "products": products,
        "shop_the_look": shop_the_look,
    }
    source = get(name)
    if source.reader is None:
        raise DataError(
            f"{name} can be found and checked, but this version has no reader that makes a catalogue of it."
        )
    return modules[source.reader]


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _is_folder(source: Source) -> bool:
    """True if the downloaded files together, as they are, make the dataset."""
    return not Path(source.files[0]).suffix


def _missing(source: Source, folder: Path) -> list[str]:
    """The files of `source.urls` that `folder` does not have, neither as they come nor unpacked."""
    return [
        file
        for file in source.urls
        if not (folder / file).exists() and not (folder / file.removesuffix(".gz")).exists()
    ]


def _assemble(source: Source, workshop: Path) -> Path:
    """Make of the downloaded files what `find` looks for, inside `workshop`, and let the reader check it.

    If it is not the dataset, the workshop is emptied: a file that passed its first check but is wrong would be wrong
    the next time too.
    """
    parts = [workshop / file for file in source.urls]
    ready = workshop if _is_folder(source) else parts[0]
    try:
        if ready.suffix == ".parquet":
            from fashionnb.data import products

            ready = products.convert_parquet(parts, workshop / source.files[0])
        if source.reader:
            reader(source.name).check(ready)
    except DataError:
        shutil.rmtree(workshop, ignore_errors=True)
        raise
    return ready


def _advice(source: Source) -> str:
    """What someone without the dataset can do."""
    if source.urls:
        return f"Run `fashionnb data fetch {source.name}` (about {source.bytes / 1e6:,.0f} MB), or {_by_hand(source)}"
    return f"{source.by_hand} ({source.homepage}; {source.terms}). Then {_by_hand(source)}"


def _by_hand(source: Source) -> str:
    return f"put it as {_names(source)} into a folder and set FASHIONNB_DATA to that folder."


def _names(source: Source) -> str:
    return " or ".join(file if Path(file).suffix else f"{file}/" for file in source.files)


def _check_zip(path: Path) -> str:
    """Read every member of the zip file, as its checksums (CRC-32) ask for."""
    try:
        with zipfile.ZipFile(path) as archive:
            bad, n = archive.testzip(), len(archive.namelist())
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise DataError(f"{path}: not a zip file that can be read ({error}). Delete it and fetch it again.") from error
    if bad:
        raise DataError(f"{path}: member {bad!r} is damaged (its CRC-32 is wrong). Delete the file and fetch it again.")
    return f"all {n:,} members of the zip file are whole"


def _stamp(file: Path) -> str:
    return f"{file.stat().st_size} {file.stat().st_mtime_ns}"
