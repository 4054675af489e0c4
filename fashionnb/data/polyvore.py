"""Polyvore Outfits: 68,306 outfits of 251,008 items that users of a website put together, with published questions.

Reads the folder or zip `polyvore_outfits` as published by Vasileva et al. 2018, "Learning Type-Aware Embeddings for
Fashion Compatibility". The photos stay on disk until they are asked for. No code in a file is ever run: the list of
type pairs comes as a pickle, and is read by `fashionnb.data.plain_pickle`.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fashionnb.data.catalogue import Blank, Catalogue, Judged, Outfits
from fashionnb.data.images import FolderImages, ZipImages, open_images
from fashionnb.data.plain_pickle import parse_plain
from fashionnb.data.question_files import parse_blanks, parse_judged
from fashionnb.errors import DataError

SOURCE = "polyvore-outfits"
EDITIONS = ("disjoint", "nondisjoint")
"""In "disjoint" no item is in two splits, so nothing can be answered from memory; in "nondisjoint" items are shared."""

SPLITS = {"train": "train", "valid": "validation", "test": "test"}
"""What the files call a split, and what it is called here."""

COUNTS = {
    "disjoint": {"train": 16_995, "validation": 3_000, "test": 15_145},
    "nondisjoint": {"train": 53_306, "validation": 5_000, "test": 10_000},
}
"""Outfits of the published files."""

ITEMS = 251_008
"""Items in the published metadata."""

_AGAIN = "Get the authors' files again."


def read(path: Path | str) -> Catalogue:
    """The items of the outfits of the edition "disjoint"; see `read_outfits`. Introduced in chapter 08."""
    return read_outfits(path).catalogue


def read_outfits(path: Path | str, edition: str = "disjoint") -> Outfits:
    """The outfits of one edition, and the items that are in them. Introduced in chapter 08.

    Parameters
    ----------
    path : the folder or zip; `polyvore_outfits` itself, or what holds it. edition : one of `EDITIONS`.

    Returns
    -------
    Outfits with the items of each in the order of their index. The catalogue holds items that are in an outfit, in the
        order of first appearance: `id`, `category` (one of the 11 semantic ones), `fine` ("" where `categories.csv`
        does not know the number), `category_id`, `name` (the title, or else the name in the address; often ""),
        `description` and `image`.

    Raises
    ------
    DataNotFound : there is nothing at `path`.
    DataError : an unknown edition; a file is missing or not of its format; an outfit has one item only, or an item
        twice, or stands twice; an item is not in the metadata, or has no category or no photo.
    """
    images, root = _open(path, edition)
    sets = _sets(images, root, edition)
    table = _table(images, root, [item for outfit in sets.values() for item in outfit.items])
    outfits = {name: outfit.items for name, outfit in sets.items()}
    classes = tuple(sorted(set(table["category"])))
    return Outfits(
        Catalogue(SOURCE, table, images, classes),
        outfits,
        {n: outfit.split for n, outfit in sets.items()},
    )


def read_blanks(
    path: Path | str, edition: str = "disjoint", split: str = "test", seed: int = 0
) -> list[Blank]:
    """The published fill-in-the-blank questions of a split. Introduced in chapter 08.

    Raises
    ------
    DataNotFound, DataError : as `read_outfits`, and as `fashionnb.data.question_files.read_blanks`.
    """
    images, root = _open(path, edition)
    data, where = _file(images, f"{root}{edition}/fill_in_blank_{_published(split)}.json")
    return parse_blanks(data, _names(_sets(images, root, edition)), where, seed)


def read_judged(path: Path | str, edition: str = "disjoint", split: str = "test") -> list[Judged]:
    """The published compatible and incompatible sets of a split. Introduced in chapter 08.

    Raises
    ------
    DataNotFound, DataError : as `read_outfits`, and as `fashionnb.data.question_files.read_judged`.
    """
    images, root = _open(path, edition)
    data, where = _file(images, f"{root}{edition}/compatibility_{_published(split)}.txt")
    return parse_judged(data, _names(_sets(images, root, edition)), where)


def read_typespaces(path: Path | str, edition: str = "disjoint") -> dict[frozenset[str], int]:
    """Which pairs of categories share an embedding space, and its number. Introduced in chapter 08.

    A pair has no order: look it up as `spaces[frozenset((one, other))]`, also where both are the same category.

    Raises
    ------
    DataNotFound : there is nothing at `path`.
    DataError : no `typespaces.p`, or it holds anything but a list of pairs of strings. No code in it is run.
    """
    images, root = _open(path, edition)
    beside = f"{root}{edition}/typespaces.p"
    data, where = _file(images, beside if _has(images, beside) else f"{root}typespaces.p")
    pairs = parse_plain(data, where)
    good = isinstance(pairs, list) and all(
        isinstance(pair, tuple | list)
        and len(pair) == 2
        and all(isinstance(kind, str) for kind in pair)
        for pair in pairs
    )
    if not good or not pairs:
        raise DataError(
            f"{where}: expected a list of pairs of categories, got something else. {_AGAIN}"
        )
    spaces: dict[frozenset[str], int] = {}
    for pair in pairs:
        spaces.setdefault(frozenset(pair), len(spaces))
    return spaces


def dangling(path: Path | str, edition: str = "disjoint") -> list[str]:
    """Every item of an outfit that the metadata does not know, or that has no photo, and every name in a question file
    that is no item of an outfit: one line each, in order.

    Raises
    ------
    DataNotFound, DataError : as `read_outfits`, but for what is reported here.
    """
    images, root = _open(path, edition)
    known, photos = _metadata(images, root), set(images.names)
    lines = []
    sets = _sets(images, root, edition)
    for name, outfit in sets.items():
        for item in outfit.items:
            if item not in known:
                lines.append(f"outfit {name}: item {item} is not in polyvore_item_metadata.json")
            if f"{root}images/{item}.jpg" not in photos:
                lines.append(f"outfit {name}: item {item} has no photo images/{item}.jpg")
    names = _names(sets)
    for file in (
        "compatibility_valid.txt",
        "compatibility_test.txt",
        "fill_in_blank_valid.json",
        "fill_in_blank_test.json",
    ):
        if _has(images, f"{root}{edition}/{file}"):
            asked = dict.fromkeys(_asked(*_file(images, f"{root}{edition}/{file}")))
            lines += [
                f"{file}: {name} is no item of an outfit" for name in asked if name not in names
            ]
    return lines


def check(path: Path | str) -> list[str]:
    """Count outfits and items of both editions beside the published numbers, and look for dangling ids.

    Returns
    -------
    One line for each thing that was found to be right.

    Raises
    ------
    DataNotFound, DataError : as `read_outfits`; or a count is not the published one; or ids dangle: all are listed.
    """
    images, root = _open(path, EDITIONS[0])
    if (items := len(_metadata(images, root))) != ITEMS:
        raise DataError(
            f"{path}: expected {ITEMS:,} items in the metadata, found {items:,}. {_AGAIN}"
        )
    lines = [f"{items:,} items in the metadata"]
    for edition in EDITIONS:
        if loose := dangling(path, edition):
            raise DataError(
                f"{path}, {edition}: {len(loose):,} ids dangle. {_AGAIN}\n" + "\n".join(loose)
            )
        sets = _sets(images, root, edition)
        found = Counter(outfit.split for outfit in sets.values())
        if found != COUNTS[edition]:
            raise DataError(
                f"{path}: expected {edition} outfits {COUNTS[edition]}, found {dict(found)}. {_AGAIN}"
            )
        used = {
            split: {i for o in sets.values() if o.split == split for i in o.items}
            for split in found
        }
        lines.append(
            f"{edition}: {', '.join(f'{n:,} {split}' for split, n in found.items())} outfits"
        )
        shared = len(used["train"] & used["test"])
        lines.append(f"{edition}: {shared:,} items are in training and in the test; no id dangles")
    return lines


@dataclass(frozen=True)
class _Set:
    """One outfit: its split, its items, and what the question files call each."""

    split: str
    items: tuple[str, ...]
    index: tuple[int, ...]


def _open(path: Path | str, edition: str) -> tuple[FolderImages | ZipImages, str]:
    """The files, and the folder in them where the metadata lies: "" or one that ends with "/"."""
    if edition not in EDITIONS:
        raise DataError(
            f"There is no edition {edition!r} of Polyvore Outfits; use one of {', '.join(EDITIONS)}."
        )
    images = open_images(path)
    sheet = "polyvore_item_metadata.json"
    found = [name for name in images.names if f"/{name}".endswith(f"/{sheet}")]
    if not found:
        here = ", ".join(images.names[:3]) or "none"
        raise DataError(f"{path}: there is no {sheet}; the files here are {here}. {_AGAIN}")
    return images, min(found, key=lambda name: (name.count("/"), name)).removesuffix(sheet)


def _sets(images: FolderImages | ZipImages, root: str, edition: str) -> dict[str, _Set]:
    sets: dict[str, _Set] = {}
    for published, split in SPLITS.items():
        data, where = _file(images, f"{root}{edition}/{published}.json")
        try:
            rows = [
                (row["set_id"], sorted((item["index"], item["item_id"]) for item in row["items"]))
                for row in json.loads(data)
            ]
            if not all(
                type(i) is int and isinstance(item, str) for _, items in rows for i, item in items
            ):
                raise TypeError("an index is not a whole number, or an item_id no text")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise DataError(
                f"{where}: expected a list of outfits with set_id, items, item_id and index ({error!r:.120}). {_AGAIN}"
            ) from error
        for outfit, items in rows:
            index, ids = tuple(i for i, _ in items), tuple(item for _, item in items)
            if (
                not isinstance(outfit, str) or outfit in sets
            ):  # one name, two outfits: no question could name its items
                raise DataError(
                    f"{where}: outfit {outfit!r} stands twice, or its set_id is no text. {_AGAIN}"
                )
            if len(items) < 2:
                raise DataError(
                    f"{where}: outfit {outfit!r} has {len(items)} item(s), so nothing goes with it."
                )
            if len(set(index)) < len(index) or len(set(ids)) < len(ids):
                twice = (
                    next(item for item in ids if ids.count(item) > 1)
                    if len(set(ids)) < len(ids)
                    else "an index"
                )
                raise DataError(f"{where}: outfit {outfit!r} has {twice} twice. {_AGAIN}")
            sets[outfit] = _Set(split, ids, index)
    return sets


def _names(sets: Mapping[str, _Set]) -> dict[str, str]:
    """What the question files call an item -> its id."""
    return {
        f"{name}_{i}": item
        for name, outfit in sets.items()
        for i, item in zip(outfit.index, outfit.items, strict=True)
    }


_FIELDS = ("category_id", "semantic_category", "title", "url_name", "description")


def _asked(data: bytes, where: str) -> Iterator[str]:
    """Every name of an item in a question file."""
    if where.endswith(".txt"):
        for line in data.decode(errors="replace").splitlines():
            yield from line.split()[1:]
        return
    try:
        for row in json.loads(data):
            yield from (str(name) for name in (*row["question"], *row["answers"]))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(
            f"{where}: not a fill-in-the-blank file ({error!r:.120}). {_AGAIN}"
        ) from error


def _metadata(images: FolderImages | ZipImages, root: str) -> dict[str, tuple]:
    """Item id -> its values of `_FIELDS`, as they are in the file; None for one that is missing."""
    data, where = _file(images, f"{root}polyvore_item_metadata.json")

    def kept(pairs: list[tuple]) -> tuple | dict:
        # Each item comes by here as soon as it is parsed, so what is not wanted is never held for all of them.
        if pairs and all(isinstance(value, tuple) for _, value in pairs):
            return dict(pairs)
        row = dict(pairs)
        return tuple(row.get(field) for field in _FIELDS)

    try:
        known = json.loads(data, object_pairs_hook=kept)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON, or cut short ({error!r:.120}). {_AGAIN}") from error
    if not isinstance(known, dict):
        raise DataError(
            f"{where}: expected a dictionary of items, each with {', '.join(_FIELDS)}. {_AGAIN}"
        )
    return known


def _table(images: FolderImages | ZipImages, root: str, items: list[str]) -> pd.DataFrame:
    items = list(dict.fromkeys(items))
    known, photos, fine = _metadata(images, root), set(images.names), _categories(images, root)
    where = images.where(f"{root}polyvore_item_metadata.json")
    if strange := [item for item in items if item not in known]:
        raise DataError(
            f"{where}: {len(strange)} item(s) of outfits are not in it, the first is {strange[0]!r}. {_AGAIN}"
        )
    if bare := [item for item in items if f"{root}images/{item}.jpg" not in photos]:
        raise DataError(
            f"{images.where(root + 'images')}: {len(bare)} item(s) have no photo, the first is {bare[0]}.jpg. {_AGAIN}"
        )
    rows = []
    for item in items:
        number, semantic, title, url_name, description = (
            str(value or "").strip() for value in known[item]
        )
        semantic = semantic or fine.get(number, ("", ""))[1]
        if not semantic:
            raise DataError(
                f"{where}: item {item!r} has no semantic_category, and categories.csv knows none. {_AGAIN}"
            )
        row = (item, semantic, fine.get(number, ("",))[0], number, title or url_name, description)
        rows.append((*row, f"{root}images/{item}.jpg"))
    columns = ["id", "category", "fine", "category_id", "name", "description", "image"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _categories(images: FolderImages | ZipImages, root: str) -> dict[str, tuple[str, str]]:
    """Number -> fine and semantic category. The file has no header, stray spaces, and two numbers twice: first wins."""
    data, where = _file(images, f"{root}categories.csv")
    found: dict[str, tuple[str, str]] = {}
    rows = csv.reader(io.StringIO(data.decode("utf-8-sig", errors="replace"), newline=""))
    for line, row in enumerate(rows, start=1):
        if not row:
            continue
        if len(row) != 3 or not row[0].strip().isdigit():
            raise DataError(
                f"{where}, line {line}: expected a number and two names, no header; got {row!r:.80}. {_AGAIN}"
            )
        number, fine, semantic = (field.strip() for field in row)
        found.setdefault(number, (fine, semantic))
    return found


def _published(split: str) -> str:
    for published, name in SPLITS.items():
        if name == split:
            return published
    raise DataError(f"There is no split {split!r}; use one of {', '.join(SPLITS.values())}.")


def _has(images: FolderImages | ZipImages, name: str) -> bool:
    return name in images.names


def _file(images: FolderImages | ZipImages, name: str) -> tuple[bytes, str]:
    """The bytes of a file, and how messages name it."""
    if not _has(images, name):
        raise DataError(f"{images.where(name)}: there is no such file. {_AGAIN}")
    return images.read(name), images.where(name)
