"""Checks of what networks are given: sizes, tensors and images.

Each check raises one `DataError` that says what was expected, what was given and what to do. Read
`fashionnb.models.outfit_inputs` for the inputs of networks that judge outfits.
"""

from collections.abc import Sequence
from types import EllipsisType

import torch
from torch import Tensor

from fashionnb.errors import DataError


def check_sizes(**sizes: int) -> None:
    """Refuse sizes below 1.

    Parameters
    ----------
    **sizes : int
        By name, so that the message can list them.

    Raises
    ------
    DataError
        If a size is below 1.
    """
    if min(sizes.values()) < 1:
        got = ", ".join(f"{name}={size}" for name, size in sizes.items())
        raise DataError(f"Sizes are 1 or more; got {got}.")


def check_tensor(
    tensor: Tensor | None,
    shape: tuple[int | str | EllipsisType, ...],
    what: str,
    remedy: str,
    *,
    kind: str = "float",
    below: int | Sequence[int] | None = None,
    finite: bool = False,
) -> Tensor:
    """Return a tensor whose shape, dtype and values are as expected, and refuse any other.

    Parameters
    ----------
    tensor : Tensor or None
        None counts as a wrong shape.
    shape : tuple of int, str and Ellipsis
        A number has to agree, a word stands for any number; an Ellipsis at the beginning or the end
        stands for any further dimensions.
    what, remedy : str
        How the message begins and ends: what is expected, and what to do.
    kind : {"float", "whole", "bool", "any"}
        Which dtypes are accepted; "whole" are integers from 0 on.
    below : int or sequence of int, optional
        Whole numbers are less than this; a sequence holds one limit for each column.
    finite : bool
        Refuse NaN and infinity.

    Returns
    -------
    Tensor
        The tensor itself.

    Raises
    ------
    DataError
        If shape, dtype or values are others.
    """
    if (
        tensor is None
        or not _fits(tuple(tensor.shape), shape)
        or kind not in ("any", _kind(tensor))
    ):
        got = "none" if tensor is None else f"{tensor.dtype} {tuple(tensor.shape)}"
        wanted = str(shape).replace("'", "").replace("Ellipsis", "...")
        raise DataError(f"{what}: expected {kind} {wanted}, got {got}. {remedy}")
    if kind == "whole" and not _within(tensor, below):
        limit = "" if below is None else f" to below {below}"
        got = f"{int(tensor.min())} to {int(tensor.max())}"
        raise DataError(f"{what}: expected whole numbers from 0{limit}, got {got}. {remedy}")
    if finite and not tensor.isfinite().all():
        row = int((~tensor.isfinite()).flatten(1).any(1).nonzero()[0, 0])
        raise DataError(f"{what}: row {row} holds NaN or infinity. {remedy}")
    return tensor


def check_images(images: Tensor, channels: int, smallest: int, model: str) -> Tensor:
    """Return images that a network can take, and refuse others.

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

    Returns
    -------
    Tensor
        The images themselves.

    Raises
    ------
    DataError
        If the shape or the dtype is another, or the images are too small.
    """
    what = f"{model} takes images in [0, 1] of at least {smallest} x {smallest} pixels"
    remedy = (
        f"Use `catalogue.tensor(size, channels={channels})`, and `fashionnb.models.as_input` for "
        "uint8."
    )
    shape = ("n", channels, "height", "width")
    check_tensor(images, shape, what, remedy)
    if min(images.shape[2:]) < smallest:
        raise DataError(f"{what}, got {tuple(images.shape)}. {remedy}")
    return images


def _fits(shape: tuple[int, ...], expected: tuple[int | str | EllipsisType, ...]) -> bool:
    fixed = [side for side in expected if side is not ...]
    if expected[0] is ...:
        shape = shape[max(0, len(shape) - len(fixed)) :]
    elif expected[-1] is ...:
        shape = shape[: len(fixed)]
    if len(shape) != len(fixed):
        return False
    return all(isinstance(side, str) or got == side for got, side in zip(shape, fixed, strict=True))


def _kind(tensor: Tensor) -> str:
    if tensor.is_floating_point():
        return "float"
    return "bool" if tensor.dtype == torch.bool else "whole"


def _within(numbers: Tensor, below: int | Sequence[int] | None) -> bool:
    if below is not None and (numbers >= torch.as_tensor(below, device=numbers.device)).any():
        return False
    return not (numbers < 0).any()
