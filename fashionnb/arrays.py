"""The one checker of arrays: shape, dtype, values; and what losses and miners make of a batch.

The checks take numpy arrays and torch tensors alike, without importing torch. Checks of one
function only stay in that function. Besides, two helpers: `as_numpy` and `slices`.
"""

import math
from collections.abc import Iterator, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import numpy as np

from fashionnb.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

DTYPES = {"any": "", "integer": "int", "whole": "int"}  # parts of the names of dtypes


def check_array(
    values: Any,
    shape: tuple[int | str | EllipsisType, ...],
    what: str,
    advice: str = "",
    *,
    kind: str = "float",
    least: int = 0,
    below: float | Sequence[int] = math.inf,
    finite: bool = False,
) -> Any:
    """Check that an array has the expected shape, dtype and values, and return it.

    Parameters
    ----------
    values : array, Tensor or None
        None counts as a wrong shape.
    shape : tuple of int, str and Ellipsis
        For each axis its length, or a word where any length will do; an Ellipsis stands for any
        further axes.
    what, advice : str
        How the message begins and ends: what the array is, and what to do.
    kind : {"any", "float", "float32", "integer", "whole", "bool", "uint8"}
        Which dtypes are accepted; "whole" are integers from 0 on.
    least : int
        The smallest length of the axes that are given by a word.
    below : float or sequence of int
        Whole numbers are less than this; a sequence holds one limit for each column.
    finite : bool
        Refuse NaN and infinity.

    Returns
    -------
    array or Tensor
        The array itself.

    Raises
    ------
    DataError
        If shape, dtype or values are others.
    """
    fits = values is not None and _fits(tuple(values.shape), shape, least)
    if not fits or DTYPES.get(kind, kind) not in str(values.dtype):
        got = "none" if values is None else f"{values.dtype} {tuple(values.shape)}"
        wanted = str(tuple(shape)).replace("'", "").replace("Ellipsis", "...")
        by_word = any(isinstance(side, str) for side in shape)
        not_empty = f" with every length at least {least}" if least and by_word else ""
        raise DataError(
            f"{what}: expected {kind.replace('any', 'an array of shape')} {wanted}{not_empty}, "
            f"got {got}. {advice}".strip()
        )
    if kind == "whole" and not _within(values, below):
        limit = "" if below == math.inf else f" to below {below}"
        raise DataError(
            f"{what}: expected whole numbers from 0{limit}, got {int(values.min())} to "
            f"{int(values.max())}. {advice}".strip()
        )
    if finite:
        check_finite(values, what)
    return values


def check_finite(values: Any, what: str, *, infinity: bool = False) -> None:
    """Check that an array holds no NaN and no infinity.

    Parameters
    ----------
    values : array or Tensor
        Of numbers.
    what : str
        What it is called in the message.
    infinity : bool
        Whether infinity is allowed.

    Raises
    ------
    DataError
        If it holds one; the message names the first such row.
    """
    wrong = values != values if infinity else ~(abs(values) < math.inf)
    if wrong.any():
        kinds = "NaN" if infinity else "NaN or infinity"
        n = len(wrong) if wrong.ndim else 1  # a single number is one row
        rows = wrong.reshape(n, -1).any(1)
        raise DataError(
            f"{what}: row {rows.tolist().index(True)} holds {kinds}. "
            "Look at the data, or at the model that computed it. If it diverged in training, try "
            "a smaller learning rate, or clip the gradients."
        )


def check_images(images: "Tensor", channels: int, smallest: int, model: str) -> None:
    """Check that an array of images has the shape, dtype and least size that a network takes.

    Parameters
    ----------
    images : Tensor of shape (n, channels, height, width), float
        In [0, 1].
    channels : int
        How many the network takes.
    smallest : int
        The least height and width in pixels.
    model : str
        The network's name, for the message.

    Raises
    ------
    DataError
        If the shape or the dtype is another, or the images are too small.
    """
    what = f"{model} takes images in [0, 1] of at least {smallest} x {smallest} pixels"
    advice = (
        f"Use `catalogue.tensor(size, channels={channels})`, and `fashionnb.models.as_input` for "
        "uint8."
    )
    check_array(images, ("n", channels, "height", "width"), what, advice)
    if min(images.shape[2:]) < smallest:
        raise DataError(f"{what}, got {tuple(images.shape)}. {advice}")


def check_margin(margin: float, wanted: str = "a distance such as 0.2") -> None:
    """Check that the margin of a loss or miner is a finite number of at least 0.

    Parameters
    ----------
    margin : float
        The margin to check.
    wanted : str
        What it must be, for the message.

    Raises
    ------
    DataError
        If it is a text, negative, infinite or NaN.
    """
    if isinstance(margin, str) or not 0 <= margin < math.inf:
        raise DataError(f"margin is {margin!r}, it must be {wanted}.")


def at_least_float32(x: "Tensor") -> "Tensor":
    """Convert a tensor of half precision or integers to float32; leave float32 and float64.

    Parameters
    ----------
    x : Tensor of any shape and dtype
        The numbers to convert.

    Returns
    -------
    Tensor, float32 or float64
        Of the same shape; the tensor itself if its precision suffices.
    """
    return x if x.is_floating_point() and x.dtype.itemsize >= 4 else x.float()


def pair_masks(labels: "Tensor") -> tuple["Tensor", "Tensor"]:
    """Make the masks of positives and negatives of a batch from the array of its labels.

    Parameters
    ----------
    labels : Tensor of shape (n,), or (n, n) bool
        The class of each item; or, for each pair, whether the two are positives.

    Returns
    -------
    positive : Tensor of shape (n, n), bool
        Where two items are positives of each other; no item is one of itself.
    negative : Tensor of shape (n, n), bool
        Where they are negatives; no item is one of itself.

    Raises
    ------
    DataError
        If the labels have another shape.
    """
    if labels.ndim == 2 and "bool" in str(labels.dtype):
        check_array(labels, (len(labels), len(labels)), "labels", kind="bool")
        same = labels.clone().fill_diagonal_(True)
    else:
        advice = "Whether two items are positives may also be given for each pair, as (n, n) bool."
        check_array(labels, ("n",), "labels", advice, kind="any", least=1)
        same = labels[:, None] == labels[None, :]
    return same.clone().fill_diagonal_(False), ~same


def masks_of_distances(distances: "Tensor", labels: "Tensor") -> tuple["Tensor", "Tensor"]:
    """Check the array of a batch's distances, and make its masks of positives and negatives.

    Parameters
    ----------
    distances : Tensor of shape (n, n), float
        From each item to each, for instance of `fashionnb.losses.pairwise_distances`.
    labels : Tensor of shape (n,), or (n, n) bool
        As in `pair_masks`.

    Returns
    -------
    positive : Tensor of shape (n, n), bool
        As `pair_masks` returns it.
    negative : Tensor of shape (n, n), bool
        As `pair_masks` returns it.

    Raises
    ------
    DataError
        If the shapes disagree, the batch is empty, or a distance is NaN or infinite.
    """
    masks = pair_masks(labels)
    n = len(labels)
    advice = "Use pairwise_distances(embeddings)."
    check_array(distances, (n, n), "distances", advice, kind="any", finite=True)
    return masks


def as_numpy(values: Any) -> np.ndarray:
    """Convert a tensor on any device, or anything else like an array, to a numpy array.

    Parameters
    ----------
    values : array, Tensor or sequence
        A tensor may have a gradient, which is left behind.

    Returns
    -------
    ndarray
        Of the same shape and dtype, without a copy where possible.
    """
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def check_labels(labels: Any, n: int, name: str) -> np.ndarray:
    """Check that an array of labels, of any type, has one label for each of n rows.

    Parameters
    ----------
    labels : array or Tensor of shape (n,)
        Values that can be compared for equality.
    n : int
        How many rows there are.
    name : str
        What the labels are called in a message.

    Returns
    -------
    ndarray of shape (n,)
        The labels, on the CPU.

    Raises
    ------
    DataError
        If the shape differs, or a label is NaN.
    """
    labels = as_numpy(labels)
    check_array(labels, (n,), name, "Give one label for each row.", kind="any")
    if labels.dtype.kind == "f":
        check_finite(labels, name, infinity=True)
    return labels


def slices(n: int, size: int) -> Iterator[slice]:
    """Cut an array of n rows into slices of at most `size` rows.

    Parameters
    ----------
    n : int
        How many rows there are, 0 or more.
    size : int
        The largest number of rows in a slice, 1 or more.

    Yields
    ------
    slice
        The next rows, from the first to the last.
    """
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def _fits(shape: tuple[int, ...], wanted: tuple, least: int) -> bool:
    if ... in wanted:
        at = wanted.index(...)
        further = len(shape) - len(wanted) + 1
        wanted = (*wanted[:at], *["any"] * further, *wanted[at + 1 :])
    return len(shape) == len(wanted) and all(
        length == side if isinstance(side, int) else length >= least
        for length, side in zip(shape, wanted, strict=True)
    )


def _within(numbers: Any, below: float | Sequence[int]) -> bool:
    if isinstance(below, Sequence):
        return all(_within(numbers[..., column], limit) for column, limit in enumerate(below))
    return not ((numbers < 0) | (numbers >= below)).any()
