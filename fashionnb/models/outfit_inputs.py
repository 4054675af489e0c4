"""What models of outfits know of each item: its vector, its type, its colours, its labels. All take the same `Items`.

A catalogue's `Items` hold n of them; `items[rows]` are those of a batch, in whatever shape the rows have: (n,) for one
side of some pairs, (n, size) for whole outfits. Read `fashionnb.models.compatibility` and
`fashionnb.models.outfit_transformer` next; `fashionnb.outfits.scoring` goes from ids to scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fashionnb.errors import DataError

UNKNOWN_TYPE = 0
"""The number of an item's type where nobody knows it; known types count from 1."""


@dataclass(frozen=True, eq=False)
class Items:
    """Items as models of outfits take them. Introduced in chapter 08.

    features : (n, d) float, the vector of each item, or (n, 3, height, width) images for a model that has an encoder.
        With rows of another shape that shape stands in the place of n.
    types : (n,) int64, what kind of thing each is, from 1 on; 0 is unknown. None: nobody said.
    colours : (n, c) float, the colours of each, for instance `fashionnb.data.colour.colour_histogram`. None: not
        measured.
    labels : (n, l) int64, what else is said of each, such as its fabric: known values from 1 on; 0 is unknown. None:
        nobody said.

    Raises `DataError` if the parts disagree in their number of items, a number is NaN or infinite, or types or labels
    are not whole numbers from 0 on. An item without a picture has no vector: leave it out, or give it one that says so.
    """

    features: Tensor
    types: Tensor | None = None
    colours: Tensor | None = None
    labels: Tensor | None = None

    def __post_init__(self) -> None:
        dimensions = 1 if self.types is None else self.types.ndim
        shape = self.features.shape[:dimensions] if self.types is None else self.types.shape
        for name in ("features", "colours", "labels"):
            part = getattr(self, name)
            if part is None:
                continue
            if part.ndim < 2 or part.shape[: len(shape)] != shape:
                raise DataError(
                    f"Items need one row of each kind for each item; got {name} {tuple(part.shape)} for "
                    f"{'types' if self.types is not None else 'features'} {tuple(shape)}."
                )
            if part.is_floating_point() and not part.isfinite().all():
                row = int((~part.isfinite()).flatten(1).any(1).nonzero()[0, 0])
                raise DataError(
                    f"{name}: row {row} holds NaN or infinity. An item without a picture has no vector; leave it out."
                )
        for name in ("types", "labels"):
            part = getattr(self, name)
            if part is not None and (part.is_floating_point() or (part < 0).any()):
                raise DataError(
                    f"{name.capitalize()} are whole numbers from 1 on, 0 for an unknown one; got {part.dtype} from "
                    f"{part.min().item()} on."
                )

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: Tensor) -> "Items":
        """The items of these rows, (n,) or (n, size) int64 or a mask; the parts keep the shape of the rows."""
        return Items(*(part if part is None else part[rows] for part in self._parts()))

    def to(self, device: torch.device | str) -> "Items":
        """The same on another device."""
        return Items(*(part if part is None else part.to(device) for part in self._parts()))

    def _parts(self) -> tuple[Tensor | None, ...]:
        return self.features, self.types, self.colours, self.labels


def padded(outfits: Sequence[Sequence[int]]) -> Tensor:
    """Outfits of different sizes as one tensor of rows. Introduced in chapter 10.

    Parameters
    ----------
    outfits : n lists of rows, each of 1 or more.

    Returns
    -------
    rows : (n, size of the largest) int64; -1 where there is no item. So `rows >= 0` says where there is one, and
        `items[rows]` holds just any item where there is none, which a model must not look at.

    Raises
    ------
    DataError : no outfit, an empty one, a negative row, or one item twice in an outfit.
    """
    if not len(outfits):
        raise DataError("There is no outfit.")
    for number, outfit in enumerate(outfits):
        if not len(outfit):
            raise DataError(f"Outfit {number} is empty; a set has 1 item or more.")
        if len(set(outfit)) < len(outfit) or min(outfit) < 0:
            raise DataError(f"Outfit {number} has an item twice, or a row below 0: {list(outfit)}.")
    size = max(map(len, outfits))
    return torch.tensor(
        [[*outfit, *[-1] * (size - len(outfit))] for outfit in outfits], dtype=torch.int64
    )


def check_features(items: Items, width: int, model: str) -> Tensor:
    """The vectors of `items`, if they are `width` numbers each. Raises `DataError` that names the `model` otherwise."""
    if items.features.shape[-1] != width or not items.features.is_floating_point():
        raise DataError(
            f"{model} takes vectors of {width} numbers, got {items.features.dtype} {tuple(items.features.shape)}. "
            f"Build it with width={items.features.shape[-1]}, or embed the items with the encoder it was trained with."
        )
    return items.features


def check_types(items: Items, types: int, model: str) -> Tensor:
    """The types of `items`, if each is below `types`. Raises `DataError` that names the `model` otherwise."""
    if items.types is None:
        raise DataError(
            f"{model} needs the type of each item (0 where it is unknown), and these items have none."
        )
    if len(items.types) and int(items.types.max()) >= types:
        raise DataError(
            f"{model} knows types below {types}, got {int(items.types.max())}. Number the types as for its training."
        )
    return items.types


def check_colours(items: Items, colours: int, model: str) -> Tensor:
    """The colours of `items`, if they are `colours` numbers each. Raises `DataError` that names the `model` if not."""
    got = None if items.colours is None else items.colours.shape[-1]
    if got != colours:
        raise DataError(
            f"{model} takes {colours} numbers for the colours of each item, got {got or 'none'}. "
            "Use `fashionnb.data.colour.colour_histogram`, or build it without colours."
        )
    return items.colours


def check_labels(items: Items, labels: Sequence[int], model: str) -> Tensor:
    """The labels of `items`, if there are as many, each below its number. Raises `DataError` that names the `model`."""
    got = None if items.labels is None else items.labels.shape[-1]
    if got != len(labels):
        raise DataError(
            f"{model} takes {len(labels)} labels of each item (0 where one is unknown), got {got or 'none'}."
        )
    most = items.labels.flatten(0, -2).amax(0).tolist() if items.labels.numel() else []
    if over := [
        i for i, (value, count) in enumerate(zip(most, labels, strict=bool(most))) if value >= count
    ]:
        raise DataError(
            f"{model} knows values of label {over[0]} below {labels[over[0]]}, got {most[over[0]]}. Number the values "
            "as for its training."
        )
    return items.labels
