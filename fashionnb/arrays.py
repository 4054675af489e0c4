"""Checks and conversions of arrays that losses, miners, weight priors and metrics share.

All of them take numpy arrays and torch tensors alike, and import neither. Checks of one function
only stay in that function.
"""

import math
from typing import TYPE_CHECKING, Any

from fashionnb.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor


def check_shape(
    values: Any,
    name: str,
    shape: tuple[str | int, ...],
    *,
    least: int = 1,
    integers: bool = False,
    advice: str = "",
) -> None:
    """Check the shape of an array, and whether it holds integers.

    Parameters
    ----------
    values : array or Tensor
    name : str
        What it is called in the message.
    shape : tuple of str or int
        For each axis its letter, where any length will do, or its length.
    least : int
        The smallest length of the axes that are given by a letter.
    integers : bool
        Whether other dtypes are refused.
    advice : str
        What to do about it, for the end of the message.

    Raises
    ------
    DataError
        If the array has another shape or dtype.
    """
    fits = len(values.shape) == len(shape) and all(
        length == wanted if isinstance(wanted, int) else length >= least
        for length, wanted in zip(values.shape, shape, strict=True)
    )
    if not fits or (integers and "int" not in str(values.dtype)):
        wanted = f"{'integers' if integers else 'an array'} of shape {shape}".replace("'", "")
        by_letter = any(isinstance(length, str) for length in shape)
        not_empty = f" with every length at least {least}" if least and by_letter else ""
        raise DataError(
            f"{name}: expected {wanted}{not_empty}, got {values.dtype} {tuple(values.shape)}. "
            f"{advice}".strip()
        )


def check_finite(values: Any, name: str, *, infinity: bool = False) -> None:
    """Check that an array holds no NaN and no infinity.

    Parameters
    ----------
    values : array or Tensor
        Of numbers.
    name : str
        What it is called in the message.
    infinity : bool
        Whether infinity is allowed.

    Raises
    ------
    DataError
        If it does; with the first row that holds one.
    """
    wrong = values != values if infinity else ~(abs(values) < math.inf)
    if wrong.any():
        kinds = "NaN" if infinity else "NaN or infinity"
        rows = wrong.reshape((*wrong.shape, 1)[0], -1).any(1)
        raise DataError(
            f"{name}: row {rows.tolist().index(True)} holds {kinds}. "
            "Look at the data, or at the model that computed it. If it diverged in training, try "
            "a smaller learning rate, or clip the gradients."
        )


def check_margin(margin: float, wanted: str = "a distance such as 0.2") -> None:
    """Check that a margin is a finite number of at least 0. Raises `DataError`."""
    if isinstance(margin, str) or not 0 <= margin < math.inf:
        raise DataError(f"margin is {margin!r}, it must be {wanted}.")


def at_least_float32(x: "Tensor") -> "Tensor":
    """Convert half precision and integers to float32; float32 and float64 stay as they are."""
    return x if x.is_floating_point() and x.dtype.itemsize >= 4 else x.float()


def pair_masks(labels: "Tensor") -> tuple["Tensor", "Tensor"]:
    """Mark the positives and the negatives of each item of a batch.

    Parameters
    ----------
    labels : Tensor of shape (n,), or (n, n) bool
        The class of each item; or, for each pair, whether the two are positives.

    Returns
    -------
    positive, negative : Tensor of shape (n, n), bool
        No item is a positive or a negative of itself.

    Raises
    ------
    DataError
        If the labels have another shape.
    """
    if labels.ndim == 2 and "bool" in str(labels.dtype):
        check_shape(labels, "labels", (len(labels), len(labels)))
        same = labels.clone().fill_diagonal_(True)
    else:
        advice = "Whether two items are positives may also be given for each pair, as (n, n) bool."
        check_shape(labels, "labels", ("n",), advice=advice)
        same = labels[:, None] == labels[None, :]
    return same.clone().fill_diagonal_(False), ~same


def masks_of_distances(distances: "Tensor", labels: "Tensor") -> tuple["Tensor", "Tensor"]:
    """Check the distances of a batch, and mark its positives and negatives as `pair_masks` does.

    Raises
    ------
    DataError
        If the shapes disagree, the batch is empty, or a distance is NaN or infinite.
    """
    masks = pair_masks(labels)
    n = len(labels)
    check_shape(distances, "distances", (n, n), advice="Use pairwise_distances(embeddings).")
    check_finite(distances, "distances")
    return masks
