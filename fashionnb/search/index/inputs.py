"""What an index accepts, vectors and ids, checked and made ready. The messages name the first row that is wrong."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from fashionnb.errors import DataError


def floats(values: np.ndarray, name: str) -> np.ndarray:
    """Vectors as a new array (n, d) float32, all finite."""
    x = np.asarray(values)
    if x.ndim != 2 or not x.shape[1] or x.dtype.kind not in "fiu":
        raise DataError(
            f"{name}: expected numbers (n, d), got {x.dtype} of shape {x.shape}. For a single vector: vector[None]."
        )
    with np.errstate(over="ignore"):  # too large for float32 becomes infinity, and is found next
        x = np.array(x, np.float32, order="C")
    if (bad := np.flatnonzero(~np.isfinite(largest(x)))).size:
        raise DataError(
            f"{name}: row {bad[0]} holds NaN or infinity (in float32). Look at the model, or the picture, that made it."
        )
    return x


def unit(x: np.ndarray, name: str) -> np.ndarray:
    """Bring vectors to length 1, in place."""
    size = largest(x)
    if (bad := np.flatnonzero(size == 0)).size:
        raise DataError(
            f"{name}: row {bad[0]} has length 0, and so no cosine. Leave it out, or build with metric='euclidean'."
        )
    x /= size[:, None]  # first, so that squares are neither too large nor too small
    x /= np.sqrt(np.einsum("nd,nd->n", x, x))[:, None]
    return x


def largest(x: np.ndarray) -> np.ndarray:
    """The largest absolute value of each row; NaN if there is one. Without an array as large as x."""
    return np.maximum(x.max(1), -x.min(1))


def strings(ids: Sequence[str]) -> pa.StringArray:
    """Ids as Arrow keeps them: the letters of all in one piece, four bytes more for each, and no Python objects."""
    if isinstance(ids, str):
        raise DataError(
            f"Ids are a sequence of strings, got the single string {ids!r}. Write [{ids!r}]."
        )
    try:
        array = pa.array(list(ids), pa.string())
    except (TypeError, ValueError) as error:
        raise DataError(
            f"Ids are strings: {error}. Make them strings, for instance by [str(id) for id in ids]."
        ) from error
    if array.null_count:
        raise DataError(
            f"Ids are strings, but {array.null_count} of these {len(array)} are None or NaN."
        )
    return array


def check_one_each(ids: pa.StringArray, n: int) -> None:
    """There are n ids, all different."""
    if len(ids) != n:
        raise DataError(f"{n} vectors need {n} ids, got {len(ids)}.")
    check_different(ids)


def check_different(ids: pa.StringArray) -> None:
    """No id stands twice."""
    if len(ids.unique()) < len(ids):
        twice = Counter(ids.to_pylist()).most_common(1)[0]
        raise DataError(f"Ids must all be different: {twice[0]!r} is there {twice[1]} times.")
