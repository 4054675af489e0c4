"""The three types that hold all data: `Catalogue`, `Outfits`, `Scenes`; and questions on outfits.

A reader turns one file format into one of them; chapters, models and metrics see nothing else. So a
chapter runs unchanged on any dataset that has a reader, and on drawn garments where the real ones
are missing.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image

from fashionnb.data.images import Images
from fashionnb.errors import DataError

if TYPE_CHECKING:
    import torch


_log = logging.getLogger(__name__)

BOX = ["left", "top", "right", "bottom"]
"""The columns of a box: shares of the width and height of the scene, 0 to 1."""


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Catalogue of items: a table with one row per item, and the image of each.

    Parameters
    ----------
    name : str
        The dataset, for instance "fashion-mnist".
    table : DataFrame
        One row per item, index 0 to n - 1. Always the columns `id` (str, unique), `category` (str)
        and `image` (a key); where the dataset has them `split` ("train", "validation", "test"),
        `colour`, `pattern`, `season`, `gender`, `usage`, `name` and others. An unknown value is an
        empty string, never NaN.
    images : Images
        Gives the image for a key.
    classes : tuple of str
        The categories; the label of an item is the position of its category here.
    stands_in_for : str, optional
        The dataset that was asked for, if these are drawn garments in its place.

    Raises
    ------
    DataError
        If a column is missing, an id stands twice, or a category is not in `classes`.
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
                f"{self.name}: the table lacks the column(s) {', '.join(missing)}; "
                f"it has {_some(self.table)}."
            )
        twice = self.table["id"][self.table["id"].duplicated()]
        if len(twice):
            raise DataError(
                f"{self.name}: {len(twice)} id(s) stand twice, the first is {twice.iloc[0]!r}. "
                "Ids must be unique: give each item its own, or take out what is there twice."
            )
        strange = sorted(set(self.table["category"]) - set(self.classes))
        if strange:
            raise DataError(
                f"{self.name}: unknown categories {_some(strange)}; "
                f"expected some of {_some(self.classes)}."
            )

    def __len__(self) -> int:
        return len(self.table)

    @property
    def dataset(self) -> str:
        """The dataset that was asked for: these are its items, or drawn garments in their place."""
        return self.stands_in_for or self.name

    @property
    def ids(self) -> list[str]:
        """The ids of the items, in the order of the table."""
        return self.table["id"].tolist()

    def __repr__(self) -> str:
        return f"Catalogue({self.name!r}, {len(self):,} items, {len(self.classes)} categories)"

    def take(self, rows: "np.ndarray | Sequence[int] | pd.Series") -> "Catalogue":
        """Select rows: positions (int) or a mask (bool), in the order given."""
        rows = np.asarray(rows)
        table = self.table.iloc[np.flatnonzero(rows) if rows.dtype == bool else rows.astype(int)]
        return replace(self, table=table.reset_index(drop=True))

    def split(self, name: str) -> "Catalogue":
        """Select the items of one split. Raises `DataError` if there is no such split."""
        if "split" not in self.table or not (self.table["split"] == name).any():
            here = sorted(self.table["split"].unique()) if "split" in self.table else []
            raise DataError(f"{self.name} has no split {name!r}; it has {_some(here) or 'none'}.")
        return self.take(self.table["split"] == name)

    def require(self, *columns: str) -> "Catalogue":
        """Return the catalogue itself; `DataError` if it lacks one of some columns, or it is empty.

        A chapter that asks about colours calls it before it computes anything.
        """
        known = [name for name in columns if name in self.table and (self.table[name] != "").any()]
        if missing := [name for name in columns if name not in known]:
            raise DataError(
                f"{self.name}: nothing is known of the {' or the '.join(missing)} of its items, "
                f"which is needed here; its columns are {_some(self.table)}."
            )
        return self

    def sample(self, n: int, seed: int = 0, by: str | None = None) -> "Catalogue":
        """Select at most `n` items at random, in table order.

        Parameters
        ----------
        n : int
            At most so many; with `by`, of each value.
        seed : int
            Of the choice.
        by : str, optional
            A column.
        """
        order = np.random.default_rng(seed).permutation(len(self))
        if by is None:
            return self.take(np.sort(order[:n]))
        rank = self.table.iloc[order].groupby(by, sort=False).cumcount()
        return self.take(np.sort(order[rank.to_numpy() < n]))

    def labels(self) -> np.ndarray:
        """Return the categories as integers, int64 of shape (n,), in the order of `classes`."""
        return pd.Index(self.classes).get_indexer(self.table["category"]).astype(np.int64)

    def image(self, item: str) -> Image.Image:
        """Return the image of one item, by id.

        Raises `DataError` if the id is unknown or the image cannot be read.
        """
        rows = np.flatnonzero(self.table["id"] == item)
        if not len(rows):
            raise DataError(
                f"{self.name} has no item {item!r}; ids look like {_some(self.table['id'])}."
            )
        return self.images.image(self.table["image"].iloc[rows[0]])

    def pixels(self, size: int | tuple[int, int] | None = None, channels: int = 3) -> np.ndarray:
        """Return all images as one array.

        Parameters
        ----------
        size : int or (int, int), optional
            Letterbox each image to this size (one number, or height and width). Without it all
            images must have one size.
        channels : int
            1 (grey) or 3 (RGB).

        Returns
        -------
        array of shape (n, height, width, channels), uint8

        Raises
        ------
        DataError
            If an image cannot be read, or the sizes differ and no `size` was given.
        """
        return self.images.pixels(self.table["image"].tolist(), size, channels)

    def tensor(
        self, size: int | tuple[int, int] | None = None, channels: int = 3
    ) -> "torch.Tensor":
        """Return `pixels` as a tensor for models: uint8 of shape (n, channels, height, width)."""
        import torch

        return torch.from_numpy(
            np.ascontiguousarray(self.pixels(size, channels).transpose(0, 3, 1, 2))
        )


@dataclass(frozen=True, eq=False)
class Outfits:
    """Outfits of one catalogue: sets of its items that go together, in splits.

    Parameters
    ----------
    catalogue : Catalogue
        The items.
    sets : mapping of str to tuple of str
        Outfit id -> item ids.
    split : mapping of str to str
        Outfit id -> "train", "validation" or "test".

    Raises
    ------
    DataError
        If an outfit has an item that the catalogue lacks, or is in no split.
    """

    catalogue: Catalogue
    sets: Mapping[str, tuple[str, ...]]
    split: Mapping[str, str]

    def __post_init__(self) -> None:
        if strange := set().union(*self.sets.values()) - set(self.catalogue.ids):
            raise DataError(
                f"{len(strange)} item(s) of the outfits are not in {self.catalogue.name}, "
                f"one is {min(strange)!r}."
            )
        if missing := [outfit for outfit in self.sets if outfit not in self.split]:
            raise DataError(
                f"{len(missing)} outfit(s) are in no split, the first is {missing[0]!r}."
            )

    def __len__(self) -> int:
        return len(self.sets)

    def sample(self, n: int | None, seed: int = 0) -> "Outfits":
        """Select at most `n` outfits (None: all) at random, in order, and the items in them."""
        names = list(self.sets)
        return self._only(
            {names[i] for i in np.random.default_rng(seed).permutation(len(names))[:n]}
        )

    def limit(self, most: Mapping[str, int | None], seed: int = 0) -> "Outfits":
        """Select so many outfits of each split at random, in their order, and the items in them.

        Parameters
        ----------
        most : mapping of str to int
            Split -> how many; None for all. Of a split that has fewer all are kept, and a warning
            is logged.
        seed : int
            Of the choice.

        Returns
        -------
        Outfits
            With all outfits of the splits that are not named.

        Raises
        ------
        DataError
            If less than one outfit of a split is asked for.
        """
        rng, left_out = np.random.default_rng(seed), set()
        for split, n in most.items():
            if n is None:
                continue
            if n < 1:
                raise DataError(f"Expected 1 outfit or more of the split {split}, got {n}.")
            here = [name for name in self.sets if self.split[name] == split]
            if len(here) < n:
                counts = f"{n:,}", split, self.catalogue.name, f"{len(here):,}"
                _log.warning("%s outfits for %s were asked for; %s has %s: all are used.", *counts)
            left_out |= {here[i] for i in rng.permutation(len(here))[n:]}
        return self._only(set(self.sets) - left_out)

    def _only(self, names: Collection[str]) -> "Outfits":
        kept = [name for name in self.sets if name in names]
        held = {item for name in kept for item in self.sets[name]}
        catalogue = self.catalogue.take(self.catalogue.table["id"].isin(held))
        return Outfits(
            catalogue,
            {name: self.sets[name] for name in kept},
            {name: self.split[name] for name in kept},
        )


@dataclass(frozen=True, eq=False)
class Scenes:
    """Scenes with products of one catalogue: images, and the box around each product.

    Parameters
    ----------
    catalogue : Catalogue
        The products.
    images : Images
        The scenes, by the key in column `scene` of the table.
    table : DataFrame
        One row per pair: `scene` (key), `product` (item id), `left`, `top`, `right`, `bottom` (0 to
        1), and optionally `split`.

    Raises
    ------
    DataError
        If a column is missing, a box is not within 0 to 1, or the catalogue lacks a product.
    """

    catalogue: Catalogue
    images: Images
    table: pd.DataFrame

    def __post_init__(self) -> None:
        columns = ["scene", "product", *BOX]
        if missing := [column for column in columns if column not in self.table]:
            raise DataError(
                f"Scenes lack the column(s) {', '.join(missing)}; "
                f"the table has {_some(self.table)}."
            )
        box = self.table[BOX].to_numpy(float)
        good = ((box >= 0) & (box <= 1)).all(1) & (box[:, :2] < box[:, 2:]).all(1)
        if not good.all():
            row = int(np.flatnonzero(~good)[0])
            raise DataError(
                f"Scene row {row}: box {box[row].tolist()} is not (left, top, right, bottom) "
                "within 0 to 1."
            )
        if strange := set(self.table["product"]) - set(self.catalogue.ids):
            raise DataError(
                f"{len(strange)} product(s) are not in {self.catalogue.name}, "
                f"one is {min(strange)!r}."
            )

    def __len__(self) -> int:
        return len(self.table)

    def sample(self, n: int | None, seed: int = 0) -> "Scenes":
        """Select at most `n` scenes (None: all) at random, in order, and the products in them."""
        keys = self.table["scene"].unique()
        kept = keys[np.random.default_rng(seed).permutation(len(keys))[:n]]
        table = self.table[self.table["scene"].isin(kept)].reset_index(drop=True)
        shown = self.catalogue.table["id"].isin(table["product"])
        return replace(self, catalogue=self.catalogue.take(shown), table=table)


def _some(names: "Sequence[str] | pd.DataFrame | pd.Series") -> str:
    """The first six names, for a message."""
    names = [str(name) for name in names]
    return ", ".join(names[:6]) + (f", … ({len(names)} in all)" if len(names) > 6 else "")


@dataclass(frozen=True)
class Blank:
    """Fill-in-the-blank question, a type beside `Catalogue` and `Outfits`: items and answers.

    Parameters
    ----------
    outfit : str
        The outfit in question; questions about one outfit are drawn together in a bootstrap.
    asked : tuple of str
        The ids of the items that are shown.
    answers : tuple of str
        The ids to choose from.
    truth : int
        Which of the answers is right, from 0.
    position : int
        Where the blank is in the outfit, 1 for the first item.
    """

    outfit: str
    asked: tuple[str, ...]
    answers: tuple[str, ...]
    truth: int
    position: int


@dataclass(frozen=True)
class Judged:
    """Compatibility question, a type beside `Catalogue` and `Outfits`: items and a label.

    Parameters
    ----------
    items : tuple of str
        The ids of the items.
    label : int
        1 if they are an outfit, 0 if they are a random combination.
    """

    items: tuple[str, ...]
    label: int
