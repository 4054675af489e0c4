"""Read images of your own: a folder for each category, `<category>/<name>.jpg`, or a zip of such.

Where folders are called train, validation and test, or another usual way, they are the splits, and
the categories lie in them. The datasets of the book have readers of their own, which
`fashionnb.data.registry` lists.
"""

import re
import unicodedata
from pathlib import Path

import pandas as pd

from fashionnb.data.catalogue import Catalogue
from fashionnb.data.decoding import FORMATS
from fashionnb.data.images import as_text, list_pictures, open_images, path_on_disk
from fashionnb.errors import DataError

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development"),
    "test": ("test", "testing"),
    "query": ("query", "queries"),
    "gallery": ("gallery",),
}
"""The splits -> what their folders are called, in any case and also as in `test_set`, `val2017`."""

# Folders of a shop may be called so, too: alone they are no splits.
_WEAK = ("dev", "development", "query", "queries", "gallery")
_SPELLINGS = {name: split for split, names in SPLITS.items() for name in names}
_AFFIX = "set|data|images?|imgs?|pictures?|photos?|split"
_SPLIT = re.compile(
    rf"(?:(?:{_AFFIX})[ ._-]+)?({'|'.join(sorted(_SPELLINGS, key=len, reverse=True))})"
    rf"(?:[ ._-]*(?:{_AFFIX}))?[ ._-]*\d*"
)


def read(path: Path | str) -> Catalogue:
    """Read a folder or a zip of your own images, with a subfolder for each category.

    The category of an image is the folder that it lies in. An image at the top, or directly in a
    split, has the category "", which means unknown. Splits lie at the top or below one folder that
    all of them share. Images are not decoded here; other files are left out and counted in a
    warning.

    Parameters
    ----------
    path : path
        The folder or zip file.

    Returns
    -------
    Catalogue
        Named after the folder, with the columns `id` (the path in the folder, with "/"),
        `category`, `split` (a key of `SPLITS`; "" without splits) and `image`, sorted by path. Its
        classes are the categories in sorted order.

    Raises
    ------
    DataNotFound
        If there is nothing at `path`.
    DataError
        If it is a file but not a safe zip, there is no image, or the folders are called like splits
        and do not lie like splits.
    """
    path = path_on_disk(path).absolute()
    images = open_images(path)
    keys = list_pictures(images, path)
    if not keys:
        raise DataError(
            f"{path}: no pictures. Expected <category>/<name>.jpg or train/<category>/<name>.jpg "
            f"({FORMATS}); the files here are {', '.join(images.names[:3]) or 'none'}."
        )
    names = [unicodedata.normalize("NFC", key) for key in keys]
    if len(set(names)) < len(names):  # two files whose names look the same
        names = keys
    splits, categories = _places(path, [name.split("/")[:-1] for name in names])
    table = pd.DataFrame({"id": names, "category": categories, "split": splits, "image": keys})
    name = as_text(path.name).removesuffix(".zip")
    return Catalogue(name, table, images, tuple(sorted(set(categories))))


def _places(path: Path, folders: list[list[str]]) -> tuple[list[str], list[str]]:
    """The split and the category of each image, from the folders that it lies in."""
    names = {name for above in folders for name in above}
    splits = _splits(names)
    if unknown := sorted(_like_splits(names).difference(splits)):
        raise DataError(
            f"{path}: the folders {', '.join(unknown[:4])} look like splits, but are called in no "
            f"usual way. Call them {', '.join(SPLITS)}, or in no such way."
        )
    depths = [
        next((i for i, name in enumerate(above) if name in splits), None) for above in folders
    ]
    tops = {tuple(above[:i]) for above, i in zip(folders, depths, strict=True) if i is not None}
    top = next(iter(tops), ())
    strange = {
        "/".join(above)
        for above, i in zip(folders, depths, strict=True)
        if i is None and tuple(above) != top[: len(above)]  # an image above the splits is in none
    }
    if tops and (len(tops) > 1 or strange):
        if len(set(splits.values())) > 1 or () in tops or not strange:
            _refuse(path, folders, depths, strange)
        splits = {}  # one category among others has such a name
    found, categories = [], []
    for above, i in zip(folders, depths, strict=True):
        split = splits.get(above[i], "") if i is not None else ""
        inside = above[i + 1 :] if split else [] if splits else above
        while inside and splits.get(inside[0]) == split:  # some archives hold train/train/
            inside = inside[1:]
        if not splits.keys().isdisjoint(inside):
            _refuse(path, folders, depths, {"/".join(above)})
        found.append(split)
        categories.append(inside[-1] if inside else "")
    return found, categories


def _splits(names: set[str]) -> dict[str, str]:
    """Which folders are called like a split, and which split that is."""
    words = {name: match[1] for name in names if (match := _SPLIT.fullmatch(name.casefold()))}
    splits = {name: _SPELLINGS[word] for name, word in words.items()}
    return splits if set(words.values()).difference(_WEAK) or len(set(splits.values())) > 1 else {}


def _like_splits(names: set[str]) -> set[str]:
    """The folders that contain the names of two splits or more, such as a_train and a_test."""
    words = {name: set(re.findall(r"[a-z]+", name.casefold())) for name in names}
    strong = _SPELLINGS.keys() - set(_WEAK)
    like = {name: _SPELLINGS[min(word & strong)] for name, word in words.items() if word & strong}
    return set(like) if len(set(like.values())) > 1 else set()


def _refuse(
    path: Path, folders: list[list[str]], depths: list[int | None], strange: set[str]
) -> None:
    """Say which folders are called like splits, and why they cannot be."""
    zipped = zip(folders, depths, strict=True)
    called = sorted({"/".join(above[: i + 1]) for above, i in zipped if i is not None})
    but = f"{min(strange)!r} beside them is none" if strange else "they lie in different folders"
    raise DataError(
        f"{path}: {', '.join(called[:6])} are called like splits, but {but}. Expected "
        f"<split>/<category>/<name>.jpg for all pictures, at the top or below one folder, with the "
        f"splits {', '.join(SPLITS)}; or no folder of such a name."
    )
