"""Where the datasets come from, and where they are on this machine.

A dataset is looked for in `FASHIONNB_DATA`, then in the user's cache, and fetched into the cache if it is in neither.
What there is at all is in `fashionnb.data.registry`. Nothing here reads a dataset: that is what the readers beside this
file do. Most programs want `fashionnb.datasets.load`, which puts the two together.
"""

import os
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256 as new_sha256
from pathlib import Path
from types import ModuleType

from fashionnb.data import downloads
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


@dataclass(frozen=True)
class Source:
    """One dataset of the book: what it is, where it can be had, and what one may do with it.

    name : what `fashionnb.datasets.load` and the command line call it. title : what a page calls it.
    files : what may lie in the data root, the first that is there counts; a name without a suffix is a folder. If the
        first is a folder, it holds the files of `urls` (those in ".gz" unpacked or not), and counts only if it has all.
    urls : file name -> the addresses that give it, tried in this order. Empty: it cannot be fetched by a program.
    bytes : about how much `fetch` downloads.
    licence, terms, citation, homepage : for people; `terms` is what one must not do, empty if there is nothing to say.
    sha256 : file name -> digest. For a name of `urls` (without ".gz": of the unpacked content) a download must have it;
        for a name of `files` it is that of a copy known to be good. Empty where upstream publishes none: then `check`
        counts what is inside.
    reader : the module of `fashionnb.data` that reads it; None if it has none yet.
    by_hand : how to get it without `fetch`.
    """

    name: str
    title: str
    files: tuple[str, ...]
    bytes: int
    licence: str
    citation: str
    homepage: str
    urls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)
    reader: str | None = None
    terms: str = ""
    by_hand: str = ""


_MNIST = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",  # the one that torchvision uses
)
_PRODUCTS = "https://huggingface.co/datasets/ashraq/fashion-product-images-small/resolve/main/data/"

_ALL = (
    Source(
        name="fashion-mnist",
        title="Fashion-MNIST",
        files=("fashion-mnist",),
        urls={
            f"{part}.gz": tuple(f"{root}{part}.gz" for root in _MNIST)
            for part in (
                "train-images-idx3-ubyte",
                "train-labels-idx1-ubyte",
                "t10k-images-idx3-ubyte",
                "t10k-labels-idx1-ubyte",
            )
        },
        bytes=30_900_000,
        licence="MIT",
        citation="Xiao, Rasul & Vollgraf 2017, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning "
        "Algorithms, https://arxiv.org/abs/1708.07747",
        homepage="https://github.com/zalandoresearch/fashion-mnist",
        sha256={
            "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
        reader="fashion_mnist",
    ),
    Source(
        name="clothing-dataset-small",
        title="Clothing dataset (small)",
        files=("clothing-dataset-small.zip", "clothing-dataset-small"),
        urls={
            "archive.zip": (
                "https://github.com/alexeygrigorev/clothing-dataset-small/archive/refs/heads/master.zip",
                "https://codeload.github.com/alexeygrigorev/clothing-dataset-small/zip/refs/heads/master",
            )
        },
        bytes=105_000_000,
        licence="CC0",
        citation="Grigorev 2020, Clothing dataset: 5,000 images, "
        "https://github.com/alexeygrigorev/clothing-dataset-small",
        homepage="https://github.com/alexeygrigorev/clothing-dataset-small",
        sha256={
            "clothing-dataset-small.zip": "630676993354bc4588a28146dde0c243b470b6fffe4a55149472501eec432607"
        },
        reader="clothing",
    ),
    Source(
        name="fashion-product-images-small",
        title="Fashion product images (small)",
        files=("fashion-product-images-small.zip", "fashion-product-images-small"),
        urls={
            part: (_PRODUCTS + part,)
            for part in (
                "train-00000-of-00002-6cff4c59f91661c3.parquet",
                "train-00001-of-00002-bb459e5ac5f01e71.parquet",
            )
        },
        bytes=271_000_000,
        licence="MIT",
        citation="Aggarwal 2019, Fashion Product Images (Small), "
        "https://www.kaggle.com/datasets/paramaggarwal/fashion-product-images-small",
        homepage="https://www.kaggle.com/datasets/paramaggarwal/fashion-product-images-small",
        sha256={
            "fashion-product-images-small.zip": "95f3e176d492af053aaf3a0141efe62cf6e4542453561905cdfd03df6f4e353c"
        },
        reader="products",
    ),
    Source(
        name="mango-outfits",
        title="MANGO outfits",
        files=("mango-outfits.zip", "mango-outfits"),
        bytes=37_000_000,
        licence="none stated: published for the challenge",
        terms="link to it, never redistribute it",
        citation="MANGO 2023, UPC Datathon: Fashion Compatibility Challenge, "
        "https://github.com/data-science-mango/datathon-2023-fashion-compatibility",
        homepage="https://github.com/data-science-mango/datathon-2023-fashion-compatibility",
        sha256={
            "mango-outfits.zip": "1ab279e91a129b21bece5ad8113ba524ed12ac4c3fb399f3a89f4ebadd6fe449"
        },
        by_hand="Download datathon.zip from the link on the organisers' page",
        reader="mango",
    ),
    Source(
        name="polyvore-outfits",
        title="Polyvore Outfits",
        files=(
            "polyvore-outfits.zip",
            "polyvore-outfits",
            "polyvore_outfits.zip",
            "polyvore_outfits",
        ),
        bytes=2_600_000_000,
        licence="CC BY 4.0 for what the authors added; the photos are their makers'",
        terms="for research; do not redistribute the photos",
        citation="Vasileva et al. 2018, Learning Type-Aware Embeddings for Fashion Compatibility, "
        "https://arxiv.org/abs/1803.09196",
        homepage="https://github.com/mvasil/fashion-compatibility",
        by_hand="Download polyvore_outfits from the link on the authors' page, which needs no account; "
        "the copy on Hugging Face, mvasil/polyvore-outfits, needs one",
        reader="polyvore",
    ),
    Source(
        name="maryland-polyvore",
        title="Maryland Polyvore",
        files=("maryland-polyvore", "maryland-polyvore.zip"),
        bytes=2_000_000_000,
        licence="Apache-2.0 for the lists; the photos are their makers'",
        terms="do not redistribute the photos",
        citation="Han et al. 2017, Learning Fashion Compatibility with Bidirectional LSTMs, "
        "https://arxiv.org/abs/1707.05691",
        homepage="https://github.com/xthan/polyvore-dataset",
        by_hand="Download polyvore.tar.gz and polyvore-images.tar.gz from the links on the authors' page, which need "
        "no account, and unpack both into one folder",
        reader="maryland",
    ),
    Source(
        name="shop-the-look",
        title="Shop-the-Look",
        files=("shop-the-look",),
        urls={
            file: (f"https://raw.githubusercontent.com/kang205/STL-Dataset/master/{file}",)
            for file in ("fashion.json", "fashion-cat.json")
        },
        bytes=15_000_000,
        licence="none stated; the pictures are their makers'",
        terms="pictures come separately, by `fashionnb collect`; do not redistribute them",
        citation="Kang et al. 2019, Complete the Look: Scene-based Complementary Product Recommendation, "
        "https://arxiv.org/abs/1812.01748",
        homepage="https://github.com/kang205/STL-Dataset",
        reader="shop_the_look",
    ),
)

SOURCES: dict[str, Source] = {source.name: source for source in _ALL}
"""All sources by name, in the order in which the book meets them."""


def get(name: str) -> Source:
    """The source called `name`. Raises `DataError` if there is none."""
    if name not in SOURCES:
        raise DataError(f"There is no source {name!r}. Use one of: {', '.join(SOURCES)}.")
    return SOURCES[name]


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
    given, what = (
        (str(folder), "The data folder")
        if folder
        else (os.environ.get("FASHIONNB_DATA"), "FASHIONNB_DATA")
    )
    if not given:
        return [cache_folder()]
    folder = Path(given).expanduser()
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
        why = "may not be read" if folder.is_dir() else "is not a folder"
        raise DataNotFound(
            f"{what} is {given!r}, which {why}. Correct it, or leave it out to use the cache."
        )
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
        raise DataNotFound(
            f"{error}\nRun it again when there is a network, or {_by_hand(source)}"
        ) from error
    except OSError as error:
        if (
            not _is_folder(source) and target.exists()
        ):  # another process fetched it meanwhile, and was first
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
        raise DataNotFound(
            f"{path}: there is no such file or folder. Name the place where {name} lies."
        )
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
    files = sorted(
        file for file in path.rglob("*") if file.is_file() and not file.name.startswith(".")
    )
    few = len(files) <= FEW_FILES
    lines = [
        f"{file.relative_to(path).as_posix()} {sha256(file) if few else _stamp(file)}"
        for file in files
    ]
    return new_sha256("\n".join(lines).encode()).hexdigest()


def reader(name: str) -> ModuleType:
    """The module that reads this source: it has `read(path)` and `check(path)`. Raises `DataError` if there is none."""
    # Imported by name, not by importlib: so the cache of executed chapters sees that a chapter reaches the readers.
    from fashionnb.data import (
        clothing,
        fashion_mnist,
        mango,
        maryland,
        polyvore,
        products,
        shop_the_look,
    )

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
        raise DataError(
            f"{path}: not a zip file that can be read ({error}). Delete it and fetch it again."
        ) from error
    if bad:
        raise DataError(
            f"{path}: member {bad!r} is damaged (its CRC-32 is wrong). Delete the file and fetch it again."
        )
    return f"all {n:,} members of the zip file are whole"


def _stamp(file: Path) -> str:
    return f"{file.stat().st_size} {file.stat().st_mtime_ns}"
