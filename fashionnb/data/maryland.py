"""Maryland Polyvore: 21,889 outfits of a website's users, the older of the two Polyvore sets, with its questions.

Reads `{train,valid,test}_no_dup.json`, `category_id.txt`, `fill_in_the_blank_test.json` and
`fashion-compatibility-prediction.txt` as published by Han et al. 2017, "Learning Fashion Compatibility with
Bidirectional LSTMs", and the photos `<set_id>/<index>.jpg`. Its wrong answers are of any kind, which flatters every
model; `fashionnb.data.polyvore` reads the harder set that came after it.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fashionnb.data.catalogue import Blank, Catalogue, Judged, Outfits
from fashionnb.data.images import FolderImages, ZipImages, open_images
from fashionnb.data.question_files import parse_blanks, parse_judged
from fashionnb.errors import DataError

SOURCE = "maryland-polyvore"
SPLITS = {"train": "train", "valid": "validation", "test": "test"}
"""What the files call a split, and what it is called here."""

COUNTS = {"train": 17_316, "validation": 1_497, "test": 3_076}
"""Outfits of the published files."""

_SHEET = "train_no_dup.json"
_THING = re.compile(
    r"\btid=(\d+)"
)  # of the address of a photo: the website's own number of the product
_AGAIN = "Get the authors' files again."


def read(path: Path | str) -> Catalogue:
    """The items that are in an outfit; see `read_outfits`. Introduced in chapter 08."""
    return read_outfits(path).catalogue


def read_outfits(path: Path | str) -> Outfits:
    """The outfits and their items. Introduced in chapter 08.

    An item is called `<set_id>_<index>`, as the questions call it. Items that were no fashion are not in the files, so
    the indices of an outfit have gaps. One product in two outfits is two items here, with the same `product`.

    Parameters
    ----------
    path : the folder or zip with the three files, and the photos `<set_id>/<index>.jpg` in any folder of it.

    Returns
    -------
    Outfits with the items of each in the order of their index. The catalogue has the columns `id`, `category` (the name
        in `category_id.txt`; the number where that knows none), `category_id`, `name`, `product` (the website's number,
        "" where the photo's address has none), `price`, `likes` (float and int), `split` and `image`.

    Raises
    ------
    DataNotFound : there is nothing at `path`.
    DataError : a file is missing or not of its format; an outfit stands twice, has one item only, or an index twice; or
        an item has no photo.
    """
    images, root = _open(path)
    sets = _sets(images, root)
    names, photos = _categories(images, root), _photos(images)
    if missing := _without_photo(sets, photos):
        raise DataError(
            f"{path}: {len(missing):,} item(s) have no photo, the first is {missing[0]}, expected as "
            f"{missing[0].replace('_', '/')}.jpg. Unpack the authors' photos into the same folder."
        )
    rows = []
    for outfit in sets.values():
        for item in outfit.items:
            place = f"{outfit.name}_{item['index']}"
            number = str(item.get("categoryid", ""))
            thing = _THING.search(str(item.get("image", "")))
            price, likes = item.get("price"), item.get("likes")
            rows.append(
                (
                    place,
                    names.get(number, number),
                    number,
                    str(item.get("name") or "").strip(),
                    thing[1] if thing else "",
                    float(price) if isinstance(price, int | float) else float("nan"),
                    likes if type(likes) is int else 0,
                    outfit.split,
                    photos[place],
                )
            )
    columns = [
        "id",
        "category",
        "category_id",
        "name",
        "product",
        "price",
        "likes",
        "split",
        "image",
    ]
    table = pd.DataFrame(rows, columns=columns)
    catalogue = Catalogue(SOURCE, table, images, tuple(sorted(set(table["category"]))))
    split = {outfit.name: outfit.split for outfit in sets.values()}
    return Outfits(catalogue, {outfit.name: outfit.ids for outfit in sets.values()}, split)


def read_blanks(path: Path | str, seed: int = 0) -> list[Blank]:
    """The published fill-in-the-blank questions, which are about the test outfits. Introduced in chapter 08.

    Raises
    ------
    DataNotFound, DataError : as `read_outfits`, and as `fashionnb.data.question_files.read_blanks`.
    """
    images, root = _open(path)
    data, where = _file(images, f"{root}fill_in_the_blank_test.json")
    return parse_blanks(data, _names(_sets(images, root)), where, seed)


def read_judged(path: Path | str) -> list[Judged]:
    """The published compatible and incompatible sets, of items of the test outfits. Introduced in chapter 08.

    Raises
    ------
    DataNotFound, DataError : as `read_outfits`, and as `fashionnb.data.question_files.read_judged`.
    """
    images, root = _open(path)
    data, where = _file(images, f"{root}fashion-compatibility-prediction.txt")
    return parse_judged(data, _names(_sets(images, root)), where)


def dangling(path: Path | str) -> list[str]:
    """Every item without a photo, and every category without a name: one line each, in order.

    Raises
    ------
    DataNotFound, DataError : as `read_outfits`, but for what is reported here.
    """
    images, root = _open(path)
    sets = _sets(images, root)
    names, photos = _categories(images, root), _photos(images)
    lines = [
        f"item {item} has no photo {item.replace('_', '/')}.jpg"
        for item in _without_photo(sets, photos)
    ]
    numbers = Counter(
        str(item.get("categoryid", "")) for outfit in sets.values() for item in outfit.items
    )
    lines += [
        f"category {number!r} of {count:,} item(s) is not in category_id.txt"
        for number, count in numbers.items()
        if number not in names
    ]
    return lines


def check(path: Path | str) -> list[str]:
    """Count outfits and questions beside the published numbers, and look for dangling ids.

    Returns
    -------
    One line for each thing that was found to be right.

    Raises
    ------
    DataNotFound, DataError : as `read_outfits` and `read_blanks`; or a count is not the published one; or ids dangle:
        all are listed.
    """
    if loose := dangling(path):
        raise DataError(f"{path}: {len(loose):,} ids dangle. {_AGAIN}\n" + "\n".join(loose))
    images, root = _open(path)
    sets = _sets(images, root)
    found = Counter(outfit.split for outfit in sets.values())
    if found != COUNTS:
        raise DataError(f"{path}: expected outfits {COUNTS}, found {dict(found)}. {_AGAIN}")
    sizes = [len(outfit.items) for outfit in sets.values()]
    gaps = sum(outfit.items[-1]["index"] > len(outfit.items) for outfit in sets.values())
    return [
        f"{', '.join(f'{n:,} {split}' for split, n in found.items())} outfits, {min(sizes)} to {max(sizes)} items each",
        f"the indices of {gaps:,} outfits have gaps; no id dangles",
        f"{len(read_blanks(path)):,} fill-in-the-blank questions",
    ]


@dataclass(frozen=True)
class _Set:
    """One outfit as it is in the file, its items in the order of their index."""

    name: str
    split: str
    items: tuple[dict, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(f"{self.name}_{item['index']}" for item in self.items)


def _open(path: Path | str) -> tuple[FolderImages | ZipImages, str]:
    """The files, and the folder in them where the outfits lie: "" or one that ends with "/"."""
    images = open_images(path)
    found = [name for name in images.names if f"/{name}".endswith(f"/{_SHEET}")]
    if not found:
        here = ", ".join(images.names[:3]) or "none"
        raise DataError(f"{path}: there is no {_SHEET}; the files here are {here}. {_AGAIN}")
    return images, min(found, key=lambda name: (name.count("/"), name)).removesuffix(_SHEET)


def _sets(images: FolderImages | ZipImages, root: str) -> dict[str, _Set]:
    sets: dict[str, _Set] = {}
    for published, split in SPLITS.items():
        data, where = _file(images, f"{root}{published}_no_dup.json")
        try:
            rows = [
                (row["set_id"], sorted(row["items"], key=lambda item: item["index"]))
                for row in json.loads(data)
            ]
            if not all(type(item["index"]) is int for _, items in rows for item in items):
                raise TypeError("an index is not a whole number")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DataError(
                f"{where}: expected a list of outfits with set_id, items and the index of each ({error!r:.120}). "
                f"{_AGAIN}"
            ) from error
        for outfit, items in rows:
            if not isinstance(outfit, str) or outfit in sets:
                raise DataError(
                    f"{where}: outfit {outfit!r} stands twice, or its set_id is no text. {_AGAIN}"
                )
            if len(items) < 2:
                raise DataError(
                    f"{where}: outfit {outfit!r} has {len(items)} item(s), so nothing goes with it."
                )
            index = [item["index"] for item in items]
            if len(set(index)) < len(index):
                raise DataError(f"{where}: outfit {outfit!r} has an index twice: {index}. {_AGAIN}")
            sets[outfit] = _Set(outfit, split, tuple(items))
    return sets


def _names(sets: dict[str, _Set]) -> dict[str, str]:
    """What the question files call an item -> its id: here the same."""
    return {item: item for outfit in sets.values() for item in outfit.ids}


def _categories(images: FolderImages | ZipImages, root: str) -> dict[str, str]:
    """Number -> name: "3 Day Dresses" on each line."""
    data, where = _file(images, f"{root}category_id.txt")
    found = {}
    for line, text in enumerate(data.decode("utf-8-sig", errors="replace").splitlines(), start=1):
        if not text.strip():
            continue
        number, _, name = text.strip().partition(" ")
        if not number.isdigit() or not name.strip():
            raise DataError(
                f"{where}, line {line}: expected a number and a name, got {text[:60]!r}. {_AGAIN}"
            )
        found[number] = name.strip()
    return found


def _photos(images: FolderImages | ZipImages) -> dict[str, str]:
    """`<set_id>_<index>` -> its photo, whatever folder the folders of the outfits lie in."""
    found = {}
    for name in images.names:
        *_, folder, file = ("", *name.split("/"))
        stem, _, ending = file.rpartition(".")
        if ending == "jpg" and stem.isdigit():
            found[f"{folder}_{stem}"] = name
    return found


def _without_photo(sets: dict[str, _Set], photos: dict[str, str]) -> list[str]:
    return [item for outfit in sets.values() for item in outfit.ids if item not in photos]


def _file(images: FolderImages | ZipImages, name: str) -> tuple[bytes, str]:
    """The bytes of a file, and how messages name it."""
    if name not in images.names:
        raise DataError(f"{images.where(name)}: there is no such file. {_AGAIN}")
    return images.read(name), images.where(name)
