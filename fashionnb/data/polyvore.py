"""Read both Polyvore datasets: outfits that users of a website put together, with questions.

`polyvore-outfits` (Vasileva et al. 2018, "Learning Type-Aware Embeddings for Fashion
Compatibility") has 68,306 outfits of 251,008 items in two editions. `maryland-polyvore` (Han et al.
2017, "Learning Fashion Compatibility with Bidirectional LSTMs") is the older one, with 21,889
outfits; the wrong answers of its questions are of any category, which makes them easier. Photos
stay on disk until they are asked for, and no code in a file is ever run.
"""

import csv
import io
import json
import pickle
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from fashionnb.data.catalogue import Blank, Catalogue, Judged, Outfits
from fashionnb.data.images import FolderImages, ZipImages, find_file, open_images
from fashionnb.data.question_files import parse_blanks, parse_judged
from fashionnb.data.registry import Source
from fashionnb.errors import DataError

EDITIONS = ("disjoint", "nondisjoint")
"""The editions of Polyvore Outfits. In "disjoint" no item is in two splits, so nothing can be
answered from memory; in "nondisjoint" items are shared."""

MARYLAND = "maryland"
"""The edition that stands for Maryland Polyvore."""

SPLITS = {"train": "train", "valid": "validation", "test": "test"}
"""What the files call a split, and what it is called here."""

COUNTS = {
    "disjoint": {"train": 16_995, "validation": 3_000, "test": 15_145},
    "nondisjoint": {"train": 53_306, "validation": 5_000, "test": 10_000},
    MARYLAND: {"train": 17_316, "validation": 1_497, "test": 3_076},
}
"""Outfits of the published files."""

ITEMS = 251_008
"""Items in the published metadata of Polyvore Outfits."""

_METADATA = "polyvore_item_metadata.json"
_FIELDS = ("category_id", "semantic_category", "title", "url_name", "description")
_PRODUCT = re.compile(r"\btid=(\d+)")  # the website's number of a product, in a photo's address
_AGAIN = "Get the authors' files again."


def read(path: Path | str, edition: str = "disjoint") -> Catalogue:
    """Read the items of one edition's outfits; see `read_outfits`."""
    return read_outfits(path, edition).catalogue


def read_outfits(path: Path | str, edition: str = "disjoint") -> Outfits:
    """Read the outfits of one edition, and the items that are in them.

    Parameters
    ----------
    path : path
        The folder or zip of the dataset, or what holds it. The photos of Maryland Polyvore,
        `<set_id>/<index>.jpg`, may lie in any folder of it.
    edition : str
        One of `EDITIONS`, or `MARYLAND`.

    Returns
    -------
    Outfits
        The items of each outfit in the order of their index. The catalogue has the columns `id`,
        `category`, `category_id`, `name` and `image`.

        Polyvore Outfits: `category` is one of 11 semantic ones; `name` is the title, or else the
        name in the address, often ""; and there are `fine` ("" where `categories.csv` does not list
        the number) and `description`.

        Maryland Polyvore: `id` is `<set_id>_<index>`, so a product in two outfits is two items with
        the same `product` (the website's number, "" if unknown); `category` is the name in
        `category_id.txt`, or the number if that lacks it; and there are `price` (float), `likes`
        (int) and `split`.

    Raises
    ------
    DataNotFound
        If there is nothing at `path`.
    DataError
        If the edition is unknown; a file is missing or not of its format; an outfit has fewer than
        two items, the same item or index twice, or stands twice; or an item lacks its metadata, a
        category or a photo.
    """
    dataset = _open(path, edition)
    sets = _sets(dataset)
    table = _maryland_table(dataset, sets) if dataset.maryland else _table(dataset, sets)
    table["image"] = table["id"].map(_photos(dataset))
    if len(missing := table["id"][table["image"].isna()]):
        first = missing.iloc[0]
        raise DataError(
            f"{path}: {len(missing):,} item(s) have no photo, the first is {first}, expected as "
            f"{_photo_name(dataset, first)}. Unpack the authors' photos into the same folder."
        )
    classes = tuple(sorted(set(table["category"])))
    return Outfits(
        Catalogue(dataset.source.name, table, dataset.images, classes),
        {name: outfit.items for name, outfit in sets.items()},
        {name: outfit.split for name, outfit in sets.items()},
    )


def read_blanks(
    path: Path | str, edition: str = "disjoint", split: str = "test", seed: int = 0
) -> list[Blank]:
    """Read the published fill-in-the-blank questions of a split.

    Parameters
    ----------
    path, edition
        As in `read_outfits`.
    split : str
        "test" or, in Polyvore Outfits, "validation".
    seed : int
        Of the order of the answers.

    Raises
    ------
    DataNotFound, DataError
        As `read_outfits`, and as `fashionnb.data.question_files.parse_blanks`.
    """
    dataset = _open(path, edition)
    data, where = dataset.read(dataset.blanks(_published(split, dataset)))
    return parse_blanks(data, _names(_sets(dataset)), where, seed)


def read_judged(path: Path | str, edition: str = "disjoint", split: str = "test") -> list[Judged]:
    """Read the published compatible and incompatible sets of a split.

    Parameters
    ----------
    path, edition, split
        As in `read_blanks`.

    Raises
    ------
    DataNotFound, DataError
        As `read_outfits`, and as `fashionnb.data.question_files.parse_judged`.
    """
    dataset = _open(path, edition)
    data, where = dataset.read(dataset.judged(_published(split, dataset)))
    return parse_judged(data, _names(_sets(dataset)), where)


def read_typespaces(path: Path | str, edition: str = "disjoint") -> dict[frozenset[str], int]:
    """Read which pairs of categories share an embedding space, and its number.

    A pair has no order: look it up as `spaces[frozenset((one, other))]`, also where both are the
    same category.

    Parameters
    ----------
    path : path
        As in `read_outfits`.
    edition : str
        One of `EDITIONS`.

    Raises
    ------
    DataNotFound
        If there is nothing at `path`.
    DataError
        If there is no `typespaces.p`, or it holds anything but a list of pairs of strings. No code
        in it is run.
    """
    dataset = _open(path, edition)
    of_edition = f"{dataset.root}{edition}/typespaces.p"
    beside = f"{edition}/typespaces.p" if of_edition in dataset.images.names else "typespaces.p"
    data, where = dataset.read(beside)
    pairs = _unpickled(data, where)
    if not isinstance(pairs, list) or not pairs or not all(map(_is_pair, pairs)):
        raise DataError(
            f"{where}: expected a list of pairs of categories, got something else. {_AGAIN}"
        )
    spaces: dict[frozenset[str], int] = {}
    for pair in pairs:
        spaces.setdefault(frozenset(pair), len(spaces))
    return spaces


def dangling(path: Path | str, edition: str = "disjoint") -> list[str]:
    """List every item without metadata or photo, and every name in a question without an item.

    In Maryland Polyvore: every item without a photo, and every category without a name.

    Parameters
    ----------
    path, edition
        As in `read_outfits`.

    Returns
    -------
    list of str
        One line each, in order.

    Raises
    ------
    DataNotFound, DataError
        As `read_outfits`, except for what is listed.
    """
    dataset = _open(path, edition)
    sets = _sets(dataset)
    photos = _photos(dataset)
    known = None if dataset.maryland else _metadata(dataset)
    lines = []
    for name, outfit in sets.items():
        for item in outfit.items:
            if known is not None and item not in known:
                lines.append(f"outfit {name}: item {item} is not in {_METADATA}")
            if item not in photos:
                lines.append(
                    f"outfit {name}: item {item} has no photo {_photo_name(dataset, item)}"
                )
    return lines + (
        _unnamed_categories(dataset, sets) if dataset.maryland else _unknown_names(dataset, sets)
    )


def check(path: Path | str, editions: tuple[str, ...] = EDITIONS) -> list[str]:
    """Compare the counts of outfits and items with the published ones, and look for dangling ids.

    Parameters
    ----------
    path : path
        As in `read_outfits`.
    editions : tuple of str
        The editions that it should hold.

    Returns
    -------
    list of str
        One line for each thing that was found to be right.

    Raises
    ------
    DataNotFound, DataError
        As `read_outfits`; or if a count is not the published one; or if ids dangle: all are listed.
    """
    lines = []
    if MARYLAND not in editions:
        if (items := len(_metadata(_open(path, editions[0])))) != ITEMS:
            raise DataError(
                f"{path}: expected {ITEMS:,} items in the metadata, found {items:,}. {_AGAIN}"
            )
        lines.append(f"{items:,} items in the metadata")
    for edition in editions:
        lines += _check_edition(path, edition)
    if MARYLAND in editions:
        lines.append(f"{len(read_blanks(path, MARYLAND)):,} fill-in-the-blank questions")
    return lines


def _check_edition(path: Path | str, edition: str) -> list[str]:
    if loose := dangling(path, edition):
        raise DataError(
            f"{path}, {edition}: {len(loose):,} ids dangle. {_AGAIN}\n" + "\n".join(loose)
        )
    sets = _sets(_open(path, edition))
    found = Counter(outfit.split for outfit in sets.values())
    if found != COUNTS[edition]:
        raise DataError(
            f"{path}: expected {edition} outfits {COUNTS[edition]}, found {dict(found)}. {_AGAIN}"
        )
    used = {split: set() for split in found}
    for outfit in sets.values():
        used[outfit.split].update(outfit.items)
    sizes = [len(outfit.items) for outfit in sets.values()]
    counts = ", ".join(f"{n:,} {split}" for split, n in found.items())
    shared = len(used["train"] & used["test"])
    return [
        f"{edition}: {counts} outfits, {min(sizes)} to {max(sizes)} items each",
        f"{edition}: {shared:,} items are in training and in the test; no id dangles",
    ]


@dataclass(frozen=True)
class _Dataset:
    """The files of one edition; `root` is the folder in them where it lies, "" or ending in "/"."""

    images: FolderImages | ZipImages
    root: str
    edition: str

    @property
    def maryland(self) -> bool:
        return self.edition == MARYLAND

    @property
    def source(self) -> Source:
        return MARYLAND_SOURCE if self.maryland else SOURCE

    def outfits(self, split: str) -> str:
        """The file of a split's outfits."""
        return f"{split}_no_dup.json" if self.maryland else f"{self.edition}/{split}.json"

    def blanks(self, split: str) -> str:
        """The file of a split's fill-in-the-blank questions."""
        if self.maryland:
            return f"fill_in_the_blank_{split}.json"
        return f"{self.edition}/fill_in_blank_{split}.json"

    def judged(self, split: str) -> str:
        """The file of a split's compatible and incompatible sets."""
        if self.maryland:
            return "fashion-compatibility-prediction.txt"
        return f"{self.edition}/compatibility_{split}.txt"

    def read(self, name: str) -> tuple[bytes, str]:
        """The bytes of a file, and how messages name it."""
        where = self.images.where(self.root + name)
        if self.root + name not in self.images.names:
            raise DataError(f"{where}: there is no such file. {_AGAIN}")
        return self.images.read(self.root + name), where


@dataclass(frozen=True)
class _Set:
    """One outfit: its split, the ids of its items, their indices, and their rows in the file."""

    split: str
    items: tuple[str, ...]
    index: tuple[int, ...]
    rows: tuple[dict, ...]


def _open(path: Path | str, edition: str) -> _Dataset:
    if edition not in COUNTS:
        raise DataError(
            f"There is no edition {edition!r} of Polyvore; use one of {', '.join(COUNTS)}."
        )
    images = open_images(path)
    sheet = "train_no_dup.json" if edition == MARYLAND else _METADATA
    return _Dataset(images, find_file(images, sheet, path, _AGAIN).removesuffix(sheet), edition)


def _sets(dataset: _Dataset) -> dict[str, _Set]:
    """Outfit -> its items in the order of their index."""
    sets: dict[str, _Set] = {}
    for published, split in SPLITS.items():
        data, where = dataset.read(dataset.outfits(published))
        for name, rows in _rows(data, where):
            if not isinstance(name, str) or name in sets:
                raise DataError(
                    f"{where}: outfit {name!r} stands twice, or its set_id is no text. {_AGAIN}"
                )
            sets[name] = _set(name, split, rows, dataset, where)
    return sets


def _rows(data: bytes, where: str) -> list[tuple[str, list[dict]]]:
    """The outfits of a file: the name of each, and its items in the order of their index."""
    try:
        outfits = [
            (row["set_id"], sorted(row["items"], key=lambda item: item["index"]))
            for row in json.loads(data)
        ]
        if not all(type(item["index"]) is int for _, items in outfits for item in items):
            raise TypeError("an index is not a whole number")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{where}: expected a list of outfits with set_id, items and the index of each "
            f"({error!r:.120}). {_AGAIN}"
        ) from error
    return outfits


def _set(name: str, split: str, rows: list[dict], dataset: _Dataset, where: str) -> _Set:
    index = [row["index"] for row in rows]
    items = [f"{name}_{i}" for i in index] if dataset.maryland else [r.get("item_id") for r in rows]
    if not all(isinstance(item, str) for item in items):
        raise DataError(f"{where}: outfit {name!r} has an item whose item_id is no text. {_AGAIN}")
    if len(items) < 2:
        raise DataError(
            f"{where}: outfit {name!r} has {len(items)} item(s), so nothing goes with it."
        )
    for what, values in (("index", index), ("item", items)):
        if len(set(values)) < len(values):
            twice = next(value for value in values if values.count(value) > 1)
            raise DataError(f"{where}: outfit {name!r} has the {what} {twice} twice. {_AGAIN}")
    return _Set(split, tuple(items), tuple(index), tuple(rows) if dataset.maryland else ())


def _names(sets: Mapping[str, _Set]) -> dict[str, str]:
    """What the question files call an item -> its id."""
    return {
        f"{name}_{i}": item
        for name, outfit in sets.items()
        for i, item in zip(outfit.index, outfit.items, strict=True)
    }


def _published(split: str, dataset: _Dataset) -> str:
    """What the files call a split that has questions."""
    if dataset.maryland and split != "test":
        raise DataError(
            f"Maryland Polyvore has questions about its test outfits only; got the split {split!r}."
        )
    for published, name in SPLITS.items():
        if name == split:
            return published
    raise DataError(f"There is no split {split!r}; use one of {', '.join(SPLITS.values())}.")


def _photos(dataset: _Dataset) -> dict[str, str]:
    """Item id -> its photo."""
    found = {}
    for name in dataset.images.names:
        folder, _, file = name.rpartition("/")
        stem, _, ending = file.rpartition(".")
        if ending != "jpg":
            continue
        if not dataset.maryland and f"{folder}/" == f"{dataset.root}images/":
            found[stem] = name
        elif dataset.maryland and stem.isdigit():
            found[f"{folder.rpartition('/')[2]}_{stem}"] = name
    return found


def _photo_name(dataset: _Dataset, item: str) -> str:
    """The file in which the photo of an item is expected."""
    return f"{item.replace('_', '/')}.jpg" if dataset.maryland else f"images/{item}.jpg"


def _metadata(dataset: _Dataset) -> dict[str, tuple]:
    """Item id -> its values of `_FIELDS`, as they are in the file; None for one that is missing."""
    data, where = dataset.read(_METADATA)

    def kept(pairs: list[tuple]) -> tuple | dict:
        # Called for each item as soon as it is parsed, so that the other fields take no memory.
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


def _table(dataset: _Dataset, sets: Mapping[str, _Set]) -> pd.DataFrame:
    """The items of Polyvore Outfits, without their photos."""
    items = dict.fromkeys(item for outfit in sets.values() for item in outfit.items)
    known, categories = _metadata(dataset), _categories(dataset)
    where = dataset.images.where(dataset.root + _METADATA)
    if strange := [item for item in items if item not in known]:
        raise DataError(
            f"{where}: {len(strange)} item(s) of outfits are not in it, the first is "
            f"{strange[0]!r}. {_AGAIN}"
        )
    rows = []
    for item in items:
        number, semantic, title, url_name, description = (
            str(value or "").strip() for value in known[item]
        )
        fine, semantic_of_number = categories.get(number, ("", ""))
        category = semantic or semantic_of_number
        if not category:
            raise DataError(
                f"{where}: item {item!r} has no semantic_category, and categories.csv has none for "
                f"the number {number!r}. {_AGAIN}"
            )
        rows.append((item, category, fine, number, title or url_name, description))
    columns = ["id", "category", "fine", "category_id", "name", "description"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _categories(dataset: _Dataset) -> dict[str, tuple[str, str]]:
    """Number -> fine and semantic category.

    The file has no header and stray spaces. Two numbers stand there twice: the first line counts.
    """
    data, where = dataset.read("categories.csv")
    found: dict[str, tuple[str, str]] = {}
    rows = csv.reader(io.StringIO(data.decode("utf-8-sig", errors="replace"), newline=""))
    for line, row in enumerate(rows, start=1):
        if not row:
            continue
        if len(row) != 3 or not row[0].strip().isdigit():
            raise DataError(
                f"{where}, line {line}: expected a number and two names, no header; "
                f"got {row!r:.80}. {_AGAIN}"
            )
        number, fine, semantic = (field.strip() for field in row)
        found.setdefault(number, (fine, semantic))
    return found


def _unknown_names(dataset: _Dataset, sets: Mapping[str, _Set]) -> list[str]:
    """Every name in a question file of Polyvore Outfits that is no item of an outfit."""
    names = _names(sets)
    lines = []
    for name_of in (dataset.judged, dataset.blanks):
        for split in ("valid", "test"):
            name = name_of(split)
            if dataset.root + name not in dataset.images.names:
                continue
            file = name.rpartition("/")[2]
            for asked in dict.fromkeys(_asked(*dataset.read(name))):
                if asked not in names:
                    lines.append(f"{file}: {asked} is no item of an outfit")
    return lines


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


def _maryland_table(dataset: _Dataset, sets: Mapping[str, _Set]) -> pd.DataFrame:
    """The items of Maryland Polyvore, without their photos."""
    names = _maryland_categories(dataset)
    rows = []
    for outfit in sets.values():
        for item, row in zip(outfit.items, outfit.rows, strict=True):
            number = str(row.get("categoryid", ""))
            product = _PRODUCT.search(str(row.get("image", "")))
            price, likes = row.get("price"), row.get("likes")
            rows.append(
                (
                    item,
                    names.get(number, number),
                    number,
                    str(row.get("name") or "").strip(),
                    product[1] if product else "",
                    float(price) if isinstance(price, int | float) else float("nan"),
                    likes if type(likes) is int else 0,
                    outfit.split,
                )
            )
    columns = ["id", "category", "category_id", "name", "product", "price", "likes", "split"]
    return pd.DataFrame(rows, columns=columns)


def _maryland_categories(dataset: _Dataset) -> dict[str, str]:
    """Number -> name, from lines such as "3 Day Dresses"."""
    data, where = dataset.read("category_id.txt")
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


def _unnamed_categories(dataset: _Dataset, sets: Mapping[str, _Set]) -> list[str]:
    """Every category of an item in Maryland Polyvore that has no name."""
    names = _maryland_categories(dataset)
    rows = [row for outfit in sets.values() for row in outfit.rows]
    numbers = Counter(str(row.get("categoryid", "")) for row in rows)
    return [
        f"category {number!r} of {count:,} item(s) is not in category_id.txt"
        for number, count in numbers.items()
        if number not in names
    ]


class _PlainUnpickler(pickle.Unpickler):
    """Reads a pickle of plain values; whatever names a class or a function is refused.

    A pickle can only run what it has looked up before, which `find_class` does.
    """

    def find_class(self, module: str, name: str) -> object:
        raise DataError(f"it asks for {module}.{name}")


def _unpickled(data: bytes, where: str) -> object:
    """The plain values in a pickle, of Python 2 or 3."""
    try:
        return _PlainUnpickler(io.BytesIO(data), encoding="latin-1").load()
    except DataError as error:
        raise DataError(
            f"{where}: the pickle holds more than lists, tuples and strings ({error}). Such a file "
            "could run code, so it is refused and nothing in it was run. Do not trust it."
        ) from error
    except Exception as error:  # hostile bytes make pickle raise nearly anything
        raise DataError(
            f"{where}: not a pickle, or one that is cut short ({error!r:.120}). Get it again."
        ) from error


def _is_pair(pair: object) -> bool:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        return False
    return all(isinstance(category, str) for category in pair)


SOURCE = Source(
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
    read=read,
    read_outfits=read_outfits,
    check=check,
)

MARYLAND_SOURCE = Source(
    name="maryland-polyvore",
    title="Maryland Polyvore",
    files=("maryland-polyvore", "maryland-polyvore.zip"),
    bytes=2_000_000_000,
    licence="Apache-2.0 for the lists; the photos are their makers'",
    terms="do not redistribute the photos",
    citation="Han et al. 2017, Learning Fashion Compatibility with Bidirectional LSTMs, "
    "https://arxiv.org/abs/1707.05691",
    homepage="https://github.com/xthan/polyvore-dataset",
    by_hand="Download polyvore.tar.gz and polyvore-images.tar.gz from the links on the authors' "
    "page, which need no account, and unpack both into one folder",
    reader="polyvore",
    read=partial(read, edition=MARYLAND),
    read_outfits=partial(read_outfits, edition=MARYLAND),
    check=partial(check, editions=(MARYLAND,)),
)
