"""Read both Polyvore datasets: outfits that users of a website put together, with questions.

`polyvore-outfits` (Vasileva et al. 2018, "Learning Type-Aware Embeddings for Fashion
Compatibility") has 68,306 outfits of 251,008 items in two editions. `maryland-polyvore` (Han et al.
2017, "Learning Fashion Compatibility with Bidirectional LSTMs") is the older one, with 21,889
outfits; the wrong answers of its questions are of any category, which makes them easier. Photos
stay on disk until they are asked for, and no code in a file is ever run.
"""

import io
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import BaseModel, Field, StrictStr, TypeAdapter, ValidationError

from fashionnb.data.catalogue import Blank, Catalogue, Judged, Outfits
from fashionnb.data.checked_files import MOST_LISTED, check_counts, parse_json
from fashionnb.data.images import FolderImages, ZipImages, find_file, open_images
from fashionnb.data.question_files import parse_blanks, parse_judged, parse_questions
from fashionnb.data.registry import Source
from fashionnb.errors import DataError
from fashionnb.files import written_whole

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
_FIELDS = ["category_id", "semantic_category", "title", "url_name", "description"]
_FILES = {
    "outfits": "{edition}/{split}.json",
    "blanks": "{edition}/fill_in_blank_{split}.json",
    "judged": "{edition}/compatibility_{split}.txt",
}
_QUESTIONS = ("blanks", "judged")
_MARYLAND_FILES = {
    "outfits": "{split}_no_dup.json",
    "blanks": "fill_in_the_blank_{split}.json",
    "judged": "fashion-compatibility-prediction.txt",
}
_PRODUCT = r"\btid=(\d+)"  # the website's number of a product, in a photo's address
# A line of categories.csv; spaces are stray, and two numbers stand there twice.
_CATEGORY = r'^(?P<number>\d+) *, *(?P<fine>"[^"]*"|[^,"]*) *, *(?P<semantic>"[^"]*"|[^,"]*)$'
_AGAIN = "Get the authors' files again."
_PAIRS = TypeAdapter(Annotated[list[tuple[StrictStr, StrictStr]], Field(min_length=1)])


def read(path: Path | str, edition: str = "disjoint") -> Catalogue:
    """Read the items in the outfits of one edition of Polyvore.

    Parameters
    ----------
    path : path
        As in `read_outfits`.
    edition : str
        One of `EDITIONS`, or `MARYLAND`.

    Returns
    -------
    Catalogue
        As that of `read_outfits`.

    Raises
    ------
    DataNotFound, DataError
        As `read_outfits`.
    """
    return read_outfits(path, edition).catalogue


def read_outfits(path: Path | str, edition: str = "disjoint") -> Outfits:
    """Read the outfits of one edition of Polyvore, and the items that are in them.

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
    items = _items(dataset)
    table = _maryland_table(dataset, items) if dataset.maryland else _table(dataset, items)
    table["image"] = table["id"].map(dataset.photo_name).map(_photos(dataset))
    if len(missing := table["id"][table["image"].isna()]):
        first = missing.iloc[0]
        raise DataError(
            f"{path}: {len(missing):,} item(s) have no photo, the first is {first}, expected as "
            f"{dataset.photo_name(first)}. Unpack the authors' photos into the same folder."
        )
    source = MARYLAND_SOURCE if dataset.maryland else SOURCE
    return Outfits(
        Catalogue(source.name, table, dataset.images, tuple(sorted(set(table["category"])))),
        items.groupby("outfit", sort=False)["id"].agg(tuple).to_dict(),
        dict(zip(items["outfit"], items["split"], strict=True)),
    )


def editions_in(path: Path | str) -> tuple[str, ...]:
    """Find which editions of Polyvore Outfits a copy of its files holds.

    Parameters
    ----------
    path : path
        As in `read_outfits`.

    Returns
    -------
    tuple of str
        Those of `EDITIONS` whose training outfits are there.

    Raises
    ------
    DataNotFound
        If there is nothing at `path`.
    DataError
        If the metadata of the items are not there, or no edition is.
    """
    dataset = _open(path, EDITIONS[0])
    files = {
        edition: dataset.root + _FILES["outfits"].format(edition=edition, split="train")
        for edition in EDITIONS
    }
    found = tuple(edition for edition, file in files.items() if file in dataset.images.names)
    if not found:
        raise DataError(f"{path}: there is neither {' nor '.join(files.values())}, with outfits.")
    return found


def read_blanks(
    path: Path | str, edition: str = "disjoint", split: str = "test", seed: int = 0
) -> list[Blank]:
    """Read the fill-in-the-blank questions that Polyvore publishes for a split.

    Parameters
    ----------
    path : path
        As in `read_outfits`.
    edition : str
        One of `EDITIONS`, or `MARYLAND`.
    split : str
        "test" or, in Polyvore Outfits, "validation".
    seed : int
        Of the order of the answers.

    Returns
    -------
    list of Blank
        In the order of the file.

    Raises
    ------
    DataNotFound, DataError
        As `read_outfits`, and as `fashionnb.data.question_files.parse_blanks`.
    """
    dataset = _open(path, edition)
    data, where = dataset.read(dataset.file("blanks", _published(split, dataset)))
    return parse_blanks(data, _names(_items(dataset)), where, seed)


def read_judged(path: Path | str, edition: str = "disjoint", split: str = "test") -> list[Judged]:
    """Read the compatibility questions that Polyvore publishes for a split.

    Parameters
    ----------
    path : path
        As in `read_outfits`.
    edition : str
        One of `EDITIONS`, or `MARYLAND`.
    split : str
        "test" or, in Polyvore Outfits, "validation".

    Returns
    -------
    list of Judged
        In the order of the file.

    Raises
    ------
    DataNotFound, DataError
        As `read_outfits`, and as `fashionnb.data.question_files.parse_judged`.
    """
    dataset = _open(path, edition)
    data, where = dataset.read(dataset.file("judged", _published(split, dataset)))
    return parse_judged(data, _names(_items(dataset)), where)


def read_typespaces(path: Path | str, edition: str = "disjoint") -> dict[frozenset[str], int]:
    """Read the type spaces of Polyvore Outfits: which pairs of categories share an embedding space.

    A pair has no order: look it up as `spaces[frozenset((one, other))]`, also where both are the
    same category.

    Parameters
    ----------
    path : path
        As in `read_outfits`.
    edition : str
        One of `EDITIONS`.

    Returns
    -------
    dict of frozenset of str to int
        Pair of categories -> the number of its space, from 0.

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
    try:
        # Python 2 wrote bytes where there are strings today.
        content = _PlainUnpickler(io.BytesIO(data), encoding="latin-1").load()
        pairs = _PAIRS.validate_python(content)
    except ValidationError:
        raise DataError(
            f"{where}: expected a list of pairs of categories, got something else. {_AGAIN}"
        ) from None  # its text may be endless: a few bytes can unpickle to 2^60 words
    except DataError as error:
        raise DataError(
            f"{where}: the pickle holds more than lists, tuples and strings ({error}). Such a file "
            "could run code, so it is refused and nothing in it was run. Do not trust it."
        ) from error
    except Exception as error:  # hostile bytes make pickle raise nearly anything
        raise DataError(
            f"{where}: not a pickle, or one that is cut short ({error!r:.120}). Get it again."
        ) from error
    distinct = dict.fromkeys(map(frozenset, pairs))
    return {pair: number for number, pair in enumerate(distinct)}


def dangling(path: Path | str, edition: str = "disjoint") -> list[str]:
    """List the dangling ids in Polyvore's files, one line each.

    They are every item without metadata or photo, and every name in a question without an item.
    In Maryland Polyvore: every item without a photo, and every category without a name.

    Parameters
    ----------
    path : path
        As in `read_outfits`.
    edition : str
        One of `EDITIONS`, or `MARYLAND`.

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
    items = _items(dataset)
    photos = _photos(dataset)
    known = None if dataset.maryland else _metadata(dataset)
    lines = []
    for outfit, item in zip(items["outfit"], items["id"], strict=True):
        if known is not None and item not in known:
            lines.append(f"outfit {outfit}: item {item} is not in {_METADATA}")
        if dataset.photo_name(item) not in photos:
            lines.append(f"outfit {outfit}: item {item} has no photo {dataset.photo_name(item)}")
    if dataset.maryland:
        number = items["categoryid"].fillna("").astype(str)
        unnamed = number[~number.isin(_maryland_categories(dataset).index)].value_counts(sort=False)
        return lines + [
            f"category {number!r} of {count:,} item(s) is not in category_id.txt"
            for number, count in unnamed.items()
        ]
    return lines + _unknown_names(dataset, items)


def check(path: Path | str, editions: tuple[str, ...] = EDITIONS) -> list[str]:
    """Check the files of Polyvore: counts as published, and no dangling ids.

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
        As `read_outfits`; or if files are missing: all are listed; or a count is not the published
        one; or ids dangle: the first ten are listed.
    """
    _refuse_missing(path, editions)
    lines = []
    if MARYLAND not in editions:
        what = "items in the metadata"
        check_counts(path, {what: len(_metadata(_open(path, editions[0])))}, {what: ITEMS}, _AGAIN)
        lines.append(f"{ITEMS:,} items in the metadata")
    for edition in editions:
        lines += _check_edition(path, edition)
    return lines


def unpack_photos(folder: Path | str) -> int:
    """Unpack the photos of Polyvore Outfits from the Parquet files of the authors' present copy.

    Each becomes `images/<item_id>.jpg` in the folder, byte for byte; those that are there already
    are left as they are, so it can be run again after an interruption.

    Parameters
    ----------
    folder : path
        Where the copy was downloaded to, with Parquet files in any folder of it.

    Returns
    -------
    int
        How many photos were written.

    Raises
    ------
    DataError
        If there is no Parquet file, or one is damaged or lacks `item_id` or `image`.
    WriteError
        If a photo cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder, written = Path(folder), 0
    parts = sorted(folder.rglob("*.parquet"))
    if not parts:
        raise DataError(f"{folder}: there is no Parquet file in it. {_AGAIN}")
    for part in parts:
        try:
            for batch in pq.ParquetFile(part).iter_batches(500, columns=["item_id", "image"]):
                for row in batch.to_pylist():
                    name = str(row["item_id"])
                    if not name.isalnum():
                        raise DataError(f"{part}: {name!r:.40} is no id of an item. {_AGAIN}")
                    photo, content = folder / "images" / f"{name}.jpg", row["image"]["bytes"]
                    if not photo.exists():
                        with written_whole(photo) as aside:
                            aside.write_bytes(content)
                        written += 1
        except (pa.ArrowException, KeyError, TypeError) as error:
            raise DataError(
                f"{part}: no whole Parquet file with the columns item_id and image, a struct with "
                f"bytes ({error!s:.80}). {_AGAIN}"
            ) from error
    return written


def _refuse_missing(path: Path | str, editions: tuple[str, ...]) -> None:
    """Raise `DataError` with every file that a copy of Polyvore lacks, and what to do about it."""
    images = open_images(path)
    here = images.names
    if MARYLAND in editions:
        wanted = [_MARYLAND_FILES["outfits"].format(split=split) for split in SPLITS]
        wanted += [_MARYLAND_FILES["blanks"].format(split="test"), _MARYLAND_FILES["judged"]]
        wanted += ["category_id.txt"]
    else:
        wanted = [_METADATA, "categories.csv"]
        for edition in editions:
            files = [_FILES["outfits"].format(edition=edition, split=split) for split in SPLITS]
            asked = (_FILES[kind].format(edition=edition, split="test") for kind in _QUESTIONS)
            wanted += [*files, *asked]
    missing = [name for name in wanted if not any(f"/{key}".endswith(f"/{name}") for key in here)]
    photos = sum(name.endswith(".jpg") for name in here)
    packed = sum(name.endswith(".parquet") for name in here)
    advice = _AGAIN
    if not photos and packed:
        advice = (
            f'The photos are still packed in {packed} Parquet file(s): `python -c "from '
            f'fashionnb.data.polyvore import unpack_photos; unpack_photos({str(path)!r})"` '
            "unpacks them."
        )
    if missing or not photos:
        listed = ", ".join(missing) or "nothing else"
        raise DataError(f"{path}: {photos:,} photos are here; missing: {listed}. {advice}")


def _check_edition(path: Path | str, edition: str) -> list[str]:
    if loose := dangling(path, edition):
        photos = sum(" has no photo " in line for line in loose)
        listed = "\n".join(loose[:MOST_LISTED])
        more = f"\n… and {len(loose) - MOST_LISTED:,} more" if len(loose) > MOST_LISTED else ""
        raise DataError(
            f"{path}, {edition}: {len(loose):,} ids dangle, {photos:,} for want of a photo. "
            f"{_AGAIN}\n{listed}{more}"
        )
    items = _items(_open(path, edition))
    found = items.groupby("split", sort=False)["outfit"].nunique().to_dict()
    if found != COUNTS[edition]:
        raise DataError(
            f"{path}: expected {edition} outfits {COUNTS[edition]}, found {found}. {_AGAIN}"
        )
    sizes = items.groupby("outfit").size()
    counts = ", ".join(f"{n:,} {split}" for split, n in found.items())
    used = items.groupby("split")["id"].agg(set)
    shared = used["train"] & used["test"]
    return [
        f"{edition}: {counts} outfits, {sizes.min()} to {sizes.max()} items each",
        f"{edition}: {len(shared):,} items are in training and in the test; no id dangles",
        f"{edition}: {len(read_blanks(path, edition)):,} fill-in-the-blank questions",
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

    def file(self, kind: str, split: str) -> str:
        """The file of a split's outfits, or of its questions: a key of `_FILES`."""
        files = _MARYLAND_FILES if self.maryland else _FILES
        return files[kind].format(edition=self.edition, split=split)

    def photo_name(self, item: str) -> str:
        """The file of an item's photo, and the folder that it lies in."""
        return "/".join(item.rsplit("_", 1)) + ".jpg" if self.maryland else f"images/{item}.jpg"

    def read(self, name: str) -> tuple[bytes, str]:
        """The bytes of a file, and how messages name it."""
        where = self.images.where(self.root + name)
        if self.root + name not in self.images.names:
            raise DataError(f"{where}: there is no such file. {_AGAIN}")
        return self.images.read(self.root + name), where


class _Item(BaseModel):
    """What the files say of an item: Polyvore Outfits its id, Maryland Polyvore what follows."""

    index: int
    item_id: str = ""
    name: Any = None
    categoryid: Any = None
    image: Any = None
    price: Any = None
    likes: Any = None


class _Outfit(BaseModel):
    """An outfit as the files have it."""

    set_id: str
    items: list[_Item] = Field(min_length=2)


def _open(path: Path | str, edition: str) -> _Dataset:
    if edition not in COUNTS:
        raise DataError(
            f"There is no edition {edition!r} of Polyvore; use one of {', '.join(COUNTS)}."
        )
    images = open_images(path)
    sheet = "train_no_dup.json" if edition == MARYLAND else _METADATA
    return _Dataset(images, find_file(images, sheet, path, _AGAIN).removesuffix(sheet), edition)


def _items(dataset: _Dataset) -> pd.DataFrame:
    """One row for each item of an outfit, in the order of their index.

    The columns are `outfit`, `split`, `id`, and the fields of the items in the file.
    """
    problem = "expected a list of outfits with set_id, two items or more and the index of each"
    rows, names = [], set()
    for published, split in SPLITS.items():
        data, where = dataset.read(dataset.file("outfits", published))
        for outfit in parse_json(data, list[_Outfit], where, problem, _AGAIN):
            if outfit.set_id in names:
                raise DataError(f"{where}: outfit {outfit.set_id!r} stands twice. {_AGAIN}")
            names.add(outfit.set_id)
            for item in sorted(outfit.items, key=lambda item: item.index):
                rows.append({"outfit": outfit.set_id, "split": split, **item.model_dump()})
    table = pd.DataFrame(rows, columns=["outfit", "split", *_Item.model_fields], dtype=object)
    if dataset.maryland:
        table["id"] = table["outfit"] + "_" + table["index"].astype(str)
    else:
        table["id"] = table["item_id"]
    for what, column in (("index", "index"), ("item", "id")):
        if len(twice := table[table.duplicated(["outfit", column])]):
            outfit, value = twice[["outfit", column]].iloc[0]
            raise DataError(
                f"{dataset.images.where(dataset.root)}: outfit {outfit!r} has the {what} {value} "
                f"twice. {_AGAIN}"
            )
    return table


def _names(items: pd.DataFrame) -> dict[str, str]:
    """What the question files call an item -> its id."""
    return dict(zip(items["outfit"] + "_" + items["index"].astype(str), items["id"], strict=True))


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
    """`photo_name` -> the photo, in any folder."""
    return {"/".join(name.split("/")[-2:]): name for name in dataset.images.names}


def _metadata(dataset: _Dataset) -> dict[str, dict]:
    """Item id -> its fields."""

    def slim(row: dict) -> dict:
        # Called for each item as soon as it is parsed, so that its lists take no memory.
        row.pop("catgeories", None)  # the published files spell it so
        row.pop("related", None)
        return row

    data, where = dataset.read(_METADATA)
    problem = f"expected a dictionary of items, each with {', '.join(_FIELDS)}"
    return parse_json(data, dict[str, Any], where, problem, _AGAIN, slim)


def _table(dataset: _Dataset, items: pd.DataFrame) -> pd.DataFrame:
    """The items of Polyvore Outfits, without their photos."""
    known = _metadata(dataset)
    categories = _named_numbers(
        dataset, "categories.csv", _CATEGORY, "a number and two names, no header"
    )
    where = dataset.images.where(dataset.root + _METADATA)
    ids = items["id"].drop_duplicates()
    if strange := [item for item in ids if not isinstance(known.get(item), dict)]:
        raise DataError(
            f"{where}: {len(strange)} item(s) of outfits are not in it, the first is "
            f"{strange[0]!r}. {_AGAIN}"
        )
    found = pd.DataFrame([known[item] for item in ids], columns=_FIELDS, dtype=object)
    found = found.fillna("").astype(str).apply(lambda column: column.str.strip())
    number = found["category_id"]
    fine, semantic = (number.map(categories[name]).fillna("") for name in ("fine", "semantic"))
    table = pd.DataFrame(
        {
            "id": ids.to_numpy(),
            "category": found["semantic_category"].where(lambda column: column != "", semantic),
            "fine": fine,
            "category_id": number,
            "name": found["title"].where(lambda column: column != "", found["url_name"]),
            "description": found["description"],
        },
        dtype=object,
    )
    if len(bare := table[table["category"] == ""]):
        raise DataError(
            f"{where}: item {bare['id'].iloc[0]!r} has no semantic_category, and categories.csv "
            f"has none for the number {bare['category_id'].iloc[0]!r}. {_AGAIN}"
        )
    return table


def _named_numbers(dataset: _Dataset, name: str, pattern: str, wanted: str) -> pd.DataFrame:
    """The names of categories by number, from lines of a pattern; the first of each counts."""
    data, where = dataset.read(name)
    lines = pd.Series(
        data.decode("utf-8-sig", errors="replace").splitlines(), dtype=str
    ).str.strip()
    lines = lines[lines != ""]
    found = lines.str.extract(pattern).apply(lambda column: column.str.strip(' "'))
    if not len(lines):
        raise DataError(f"{where}: the file is empty, expected lines of {wanted}. {_AGAIN}")
    if len(wrong := lines[found["number"].isna()]):
        raise DataError(
            f"{where}, line {wrong.index[0] + 1}: expected {wanted}, got {wrong.iloc[0]!r:.60}. "
            f"{_AGAIN}"
        )
    return found.drop_duplicates("number").set_index("number")


def _unknown_names(dataset: _Dataset, items: pd.DataFrame) -> list[str]:
    """Every name in a question file of Polyvore Outfits that is no item of an outfit."""
    names = _names(items)
    lines = []
    for kind in ("judged", "blanks"):
        for split in ("valid", "test"):
            name = dataset.file(kind, split)
            if dataset.root + name not in dataset.images.names:
                continue
            for asked in dict.fromkeys(_asked(*dataset.read(name))):
                if asked not in names:
                    lines.append(f"{name.rpartition('/')[2]}: {asked} is no item of an outfit")
    return lines


def _asked(data: bytes, where: str) -> Iterator[str]:
    """Every name of an item in a question file."""
    if where.endswith(".txt"):
        for line in data.decode(errors="replace").splitlines():
            yield from line.split()[1:]
        return
    for row in parse_questions(data, where):
        yield from row.question + row.answers


def _maryland_table(dataset: _Dataset, items: pd.DataFrame) -> pd.DataFrame:
    """The items of Maryland Polyvore, without their photos."""
    number = items["categoryid"].fillna("").astype(str)
    products = items["image"].astype(str).str.extract(_PRODUCT, expand=False)
    return pd.DataFrame(
        {
            "id": items["id"],
            "category": number.map(_maryland_categories(dataset)).fillna(number),
            "category_id": number,
            "name": items["name"].fillna("").astype(str).str.strip(),
            "product": products.fillna(""),
            "price": pd.to_numeric(items["price"], errors="coerce").astype(float),
            "likes": pd.to_numeric(items["likes"], errors="coerce").fillna(0).astype(int),
            "split": items["split"].astype(str),
        }
    )


def _maryland_categories(dataset: _Dataset) -> pd.Series:
    """Number -> name, from lines such as "3 Day Dresses"."""
    return _named_numbers(
        dataset, "category_id.txt", r"^(?P<number>\d+)\s+(?P<name>.+)", "a number and a name"
    )["name"]


class _PlainUnpickler(pickle.Unpickler):
    """Reads a pickle of plain values; whatever names a class or a function is refused.

    A pickle can only run what it has looked up before, which `find_class` does.
    """

    def find_class(self, module: str, name: str) -> object:
        raise DataError(f"it asks for {module}.{name}")


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
    # As the authors' README names them, the first one in its older versions. Whether they answer
    # could not be tried where this was written.
    by_hand="download the zip (6 GB) from the authors' older link, which needs no account, "
    "https://drive.google.com/file/d/13-J4fAPZahauaGycw3j_YvbAHO7tOTW5/view. If that is dead, "
    "accept the terms of mvasil/polyvore-outfits on Hugging Face with a free account, run `hf "
    "download mvasil/polyvore-outfits --repo-type dataset --local-dir polyvore-outfits`, and then "
    '`python -c "from fashionnb.data.polyvore import unpack_photos; '
    "unpack_photos('polyvore-outfits')\"`",
    reader="polyvore",
    read=read,
    read_outfits=read_outfits,
    editions=EDITIONS,
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
    by_hand="download polyvore.tar.gz and polyvore-images.tar.gz from the links on the authors' "
    "page, which need no account, and unpack both into one folder",
    reader="polyvore",
    read=partial(read, edition=MARYLAND),
    read_outfits=partial(read_outfits, edition=MARYLAND),
    check=partial(check, editions=(MARYLAND,)),
)
