"""Inputs of networks for outfits: the vector, type, colours and labels of each item.

`Items` holds n items of a catalogue; `items[rows]` are those of a batch, in the shape of the rows:
(n,) for one side of pairs, (n, size) for whole outfits. Read `fashionnb.models.compatibility` and
`fashionnb.models.outfit_transformer` next; `fashionnb.outfits.scoring` goes from ids to scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from fashionnb.arrays import check_array
from fashionnb.errors import DataError


@dataclass(frozen=True, eq=False)
class Items:
    """Items as the input of networks for outfits: vector, type, colours and labels of each.

    Parameters
    ----------
    features : Tensor of shape (n, d), float, or (n, 3, height, width)
        The vector of each item, or its image for a network with an encoder. With rows of another
        shape that shape stands in the place of n.
    types : Tensor of shape (n,), int64, optional
        Kind of each item, from 1 on; 0 is unknown.
    colours : Tensor of shape (n, c), float, optional
        For instance `fashionnb.data.colour.colour_histogram`.
    labels : Tensor of shape (n, l), int64, optional
        Further attributes, such as the fabric: known values from 1 on; 0 is unknown.

    Raises
    ------
    DataError
        If the parts disagree in their number of items, a number is NaN or infinite, or types or
        labels are not whole numbers from 0 on. An item without an image has no vector: leave it
        out.
    """

    features: Tensor
    types: Tensor | None = None
    colours: Tensor | None = None
    labels: Tensor | None = None

    def __post_init__(self) -> None:
        rows = tuple(self.features.shape[:1] if self.types is None else self.types.shape)
        remedy = "Give one row of each part for each item; leave out items without a vector."
        for name, shape, kind in (
            ("features", (*rows, "d", ...), "any"),
            ("types", rows, "whole"),
            ("colours", (*rows, "c", ...), "float"),
            ("labels", (*rows, "l", ...), "whole"),
        ):
            part = getattr(self, name)
            if part is not None:
                check_array(part, shape, name, remedy, kind=kind, finite=True)

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: Tensor) -> "Items":
        """Select rows, (n,) or (n, size) int64 or a mask; the parts take the shape of the rows."""
        return Items(*(part if part is None else part[rows] for part in vars(self).values()))

    def to(self, device: torch.device | str) -> "Items":
        """Copy the items to another device."""
        return Items(*(part if part is None else part.to(device) for part in vars(self).values()))


def padded(outfits: Sequence[Sequence[int]]) -> Tensor:
    """Pad outfits of different sizes to one tensor of item rows, the input of outfit networks.

    Parameters
    ----------
    outfits : sequence of sequences of int
        n lists of rows, n and each length 1 or more.

    Returns
    -------
    Tensor of shape (n, size of the largest), int64
        -1 where there is no item. So `rows >= 0` is the mask of items, and `items[rows]` holds an
        arbitrary item elsewhere, which a network must ignore.

    Raises
    ------
    DataError
        If an outfit is empty.
    """
    for number, outfit in enumerate(outfits):
        if not len(outfit):
            raise DataError(f"Outfit {number} is empty; a set has 1 item or more.")
    rows = [torch.as_tensor(outfit, dtype=torch.int64) for outfit in outfits]
    return pad_sequence(rows, batch_first=True, padding_value=-1)


def check_items(
    items: Items,
    model: str,
    *,
    width: int = 0,
    types: int = 0,
    colours: int = 0,
    labels: Sequence[int] = (),
) -> None:
    """Check that items have what a network for outfits takes as its input.

    Parameters
    ----------
    items : Items
        The items to check.
    model : str
        The network's name, for the message.
    width : int
        Length of an item's vector; 0: not needed.
    types : int
        How many types there are, the unknown included; 0: not needed.
    colours : int
        Length of an item's colours; 0: not needed.
    labels : sequence of int
        How many values each label has, the unknown included.

    Raises
    ------
    DataError
        If a needed part is missing or of another width, or a type or label is too high.
    """
    if width:
        check_array(
            items.features, (..., width), f"{model} takes vectors of {width} numbers",
            f"Build it with width={items.features.shape[-1]}, or embed the items with the encoder "
            "it was trained with.",
        )  # fmt: skip
    if types:
        check_array(
            items.types, (...,), f"{model} needs the type of each item, below {types}",
            "Number the types as for its training, 0 where one is unknown.",
            kind="whole", below=types,
        )  # fmt: skip
    if colours:
        check_array(
            items.colours, (..., colours), f"{model} needs the colours of each item",
            "Use `fashionnb.data.colour.colour_histogram`, or build it without colours.",
        )  # fmt: skip
    if labels:
        check_array(
            items.labels, (..., len(labels)), f"{model} needs {len(labels)} labels of each item",
            "Number the values as for its training, 0 where one is unknown.",
            kind="whole", below=labels,
        )  # fmt: skip
