"""Check the shape, the type and the values of an array, with one message for all of them."""

from collections.abc import Sequence

import numpy as np

from fashionnb.errors import DataError


def check_array(array: np.ndarray, what: str, shape: Sequence[str | int], dtype: type) -> None:
    """Raise `DataError` unless an array has this shape and type, and only finite numbers.

    Parameters
    ----------
    array : array
        Of any shape and type.
    what : str
        What the array is, in messages.
    shape : sequence of str and int
        One entry for each axis: a number is its length, a name stands for any length.
    dtype : type
        Of NumPy, such as `np.uint8`, `np.bool_`, or `np.integer` for integers of any size.
    """
    fixed = {axis: length for axis, length in enumerate(shape) if isinstance(length, int)}
    right = array.ndim == len(shape) and np.issubdtype(array.dtype, dtype)
    if not right or any(array.shape[axis] != length for axis, length in fixed.items()):
        wanted = ", ".join(map(str, shape))
        raise DataError(
            f"{what}: expected {dtype.__name__.strip('_')} ({wanted}), "
            f"got {array.dtype} {array.shape}."
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"{what}: expected finite numbers, got NaN or infinity.")
