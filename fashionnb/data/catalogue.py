"""The three nouns that carry all data: `Catalogue`, `Outfits`, `Scenes`.

A reader turns one file format into one of them; chapters, models and metrics see nothing else. So a chapter runs
unchanged on any dataset that has a reader, and on the drawn `atelier` where the real one is missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from fashionnb.errors import DataError

if TYPE_CHECKING:
    import torch
    from PIL import Image


class Images(Protocol):
    """A way to get pictures by their key (see `fashionnb.data.images`)."""

    def image(self, key: object) -> "Image.Image":
        """One picture, as it is on disk, RGB or grey ("L")."""
        ...

    def pixels(
        self, keys: Sequence, size: int | tuple[int, int] | None, channels: int
    ) -> np.ndarray:
        """Many pictures of one size, uint8 (n, height, width, channels)."""
        ...


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Items: one table and a way to get the picture of each. Introduced in chapter 01.

    name : the source, for instance "fashion-mnist".
    table : one row per item, index 0..n-1. Always the columns `id` (str, unique) and `category` (str); where the source
        has them `split` ("train", "validation", "test"), `colour`, `pattern`, `season`, `gender`, `usage`, `name`, …
        An unknown value is an empty string, never NaN.
    images : pictures, by the key in column `image` of the table.
    classes : the categories in their canonical order; `labels()` counts in it.
    stands_in_for : the source that was asked for, when this is the drawn atelier in its place; otherwise None.
    """

    name: str
    table: pd.DataFrame
    images: Images
    classes: tuple[str, ...]
    stands_in_for: str | None = None

    def __post_init__(self) -> None:
        missing = [column for column in ("id", "category", "image") if column not in self.table]
        if missing:
            raise DataError(
                f"{self.name}: the table lacks the column(s) {', '.join(missing)}; it has {_some(self.table)}."
            )
        twice = self.table["id"][self.table["id"].duplicated()]
        if len(twice):
            raise DataError(
                f"{self.name}: {len(twice)} id(s) stand twice, the first is {twice.iloc[0]!r}. Ids must be unique."
            )
        strange = sorted(set(self.table["category"]) - set(self.classes))
        if strange:
            raise DataError(
                f"{self.name}: unknown categories {_some(strange)}; expected some of {_some(self.classes)}."
            )

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        return f"Catalogue({self.name!r}, {len(self):,} items, {len(self.classes)} categories)"

    def take(self, rows: "np.ndarray | Sequence[int] | pd.Series") -> "Catalogue":
        """The catalogue of these rows only: positions (int) or a mask (bool), in the order given."""
        rows = np.asarray(rows)
        table = self.table.iloc[np.flatnonzero(rows) if rows.dtype == bool else rows.astype(int)]
        return replace(self, table=table.reset_index(drop=True))

    def split(self, name: str) -> "Catalogue":
        """The items of one split. Raises `DataError` if the source has no such split."""
        if "split" not in self.table or not (self.table["split"] == name).any():
            here = sorted(self.table["split"].unique()) if "split" in self.table else []
            raise DataError(f"{self.name} has no split {name!r}; it has {_some(here) or 'none'}.")
        return self.take(self.table["split"] == name)

    def sample(self, n: int, seed: int = 0, by: str | None = None) -> "Catalogue":
        """At most `n` items at random, in table order; `by` a column: at most `n` of each of its values."""
        order = np.random.default_rng(seed).permutation(len(self))
        if by is None:
            return self.take(np.sort(order[:n]))
        rank = self.table.iloc[order].groupby(by, sort=False).cumcount()
        return self.take(np.sort(order[rank.to_numpy() < n]))

    def labels(self, column: str = "category") -> np.ndarray:
        """The column as integers (n,), int64. `category` counts in the order of `classes`, others in sorted order."""
        if column not in self.table:
            raise DataError(f"{self.name} has no column {column!r}; it has {_some(self.table)}.")
        order = self.classes if column == "category" else tuple(sorted(self.table[column].unique()))
        return pd.Categorical(self.table[column], categories=list(order)).codes.astype(np.int64)

    def image(self, item: str) -> "Image.Image":
        """The picture of one item, by id. Raises `DataError` for an unknown id or an unreadable picture."""
        rows = np.flatnonzero(self.table["id"] == item)
        if not len(rows):
            raise DataError(
                f"{self.name} has no item {item!r}; ids look like {_some(self.table['id'])}."
            )
        return self.images.image(self.table["image"].iloc[rows[0]])

    def pixels(self, size: int | tuple[int, int] | None = None, channels: int = 3) -> np.ndarray:
        """All pictures, uint8 (n, height, width, channels), channels 1 or 3.

        `size` (one number, or height and width) letterboxes each picture on white, never stretches it; None keeps the
        size, which must then be the same for all.

        Raises
        ------
        DataError : a picture cannot be read, or the sizes differ and no `size` was given.
        """
        return self.images.pixels(self.table["image"].tolist(), size, channels)

    def tensor(
        self, size: int | tuple[int, int] | None = None, channels: int = 3
    ) -> "torch.Tensor":
        """`pixels` for models: uint8 tensor (n, channels, height, width)."""
        import torch

        return torch.from_numpy(
            np.ascontiguousarray(self.pixels(size, channels).transpose(0, 3, 1, 2))
        )


@dataclass(frozen=True, eq=False)
class Outfits:
    """Sets of items of one catalogue that go together, in splits. Introduced in chapter 08.

    catalogue : where the items are. sets : outfit id -> item ids. split : outfit id -> "train", "validation" or "test".
    """

    catalogue: Catalogue
    sets: Mapping[str, tuple[str, ...]]
    split: Mapping[str, str]

    def __post_init__(self) -> None:
        known = set(self.catalogue.table["id"])
        for outfit, items in self.sets.items():
            strange = [item for item in items if item not in known]
            if strange:
                raise DataError(
                    f"Outfit {outfit!r} names {strange[0]!r}, which {self.catalogue.name} does not have."
                )
        if missing := [outfit for outfit in self.sets if outfit not in self.split]:
            raise DataError(
                f"{len(missing)} outfit(s) are in no split, the first is {missing[0]!r}."
            )

    def __len__(self) -> int:
        return len(self.sets)

    def sample(self, n: int, seed: int = 0) -> "Outfits":
        """At most `n` outfits at random, in their order, with those items of the catalogue that they hold."""
        names = list(self.sets)
        kept = [names[i] for i in np.sort(np.random.default_rng(seed).permutation(len(names))[:n])]
        held = {item for name in kept for item in self.sets[name]}
        catalogue = self.catalogue.take(self.catalogue.table["id"].isin(held))
        return Outfits(
            catalogue,
            {name: self.sets[name] for name in kept},
            {name: self.split[name] for name in kept},
        )


@dataclass(frozen=True, eq=False)
class Scenes:
    """Scene pictures, each with the box that one product of the catalogue fills in it. Introduced in chapter 11.

    catalogue : the products. images : scene pictures by key.
    table : one row per pair: `scene` (key), `product` (item id), `left`, `top`, `right`, `bottom` (0 to 1), `split`.
    """

    catalogue: Catalogue
    images: Images
    table: pd.DataFrame

    def __post_init__(self) -> None:
        columns = ("scene", "product", "left", "top", "right", "bottom")
        if missing := [column for column in columns if column not in self.table]:
            raise DataError(
                f"Scenes lack the column(s) {', '.join(missing)}; the table has {_some(self.table)}."
            )
        box = self.table[list(columns[2:])].to_numpy(float)
        good = (
            (box >= 0).all(1)
            & (box <= 1).all(1)
            & (box[:, 0] < box[:, 2])
            & (box[:, 1] < box[:, 3])
        )
        if not good.all():
            row = int(np.flatnonzero(~good)[0])
            raise DataError(
                f"Scene row {row}: box {box[row].tolist()} is not (left, top, right, bottom) within 0 to 1."
            )
        if strange := set(self.table["product"]) - set(self.catalogue.table["id"]):
            raise DataError(
                f"{len(strange)} product(s) are not in {self.catalogue.name}, one is {next(iter(strange))!r}."
            )

    def __len__(self) -> int:
        return len(self.table)


def _some(names: "Sequence[str] | pd.DataFrame | pd.Series", most: int = 6) -> str:
    """The first few names, for a message."""
    names = [str(name) for name in names]
    return ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "")


@dataclass(frozen=True)
class Blank:
    """One fill-in-the-blank question. Introduced in chapter 08.

    outfit : the outfit that it is about; questions about one outfit are drawn together in a bootstrap.
    asked : the ids of the items that are shown. answers : the ids to choose from. truth : which of them is right.
    position : where the blank is in the outfit, 1 for the first item.
    """

    outfit: str
    asked: tuple[str, ...]
    answers: tuple[str, ...]
    truth: int
    position: int


@dataclass(frozen=True)
class Judged:
    """Items that are an outfit (`label` 1) or only thrown together (0). Introduced in chapter 08."""

    items: tuple[str, ...]
    label: int


BOX = ["left", "top", "right", "bottom"]
