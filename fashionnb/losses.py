"""Losses for metric learning: numbers that fall as items of one class move together and the others apart.

They know tensors only. Which items meet in a loss is the business of `fashionnb.miners`;
the loop that minimises it is `fashionnb.training`.
"""

import torch
from torch import Tensor
from torch.nn.functional import relu

from fashionnb.errors import DataError

# Added under each square root. At 0 the root's slope is infinite, and two identical images would give NaN gradients.
TINY = 1e-12


def triplet_margin(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 0.2, reduce: str = "mean"
) -> Tensor:
    """Ask that each anchor be nearer to its positive than to its negative, by the margin at least.

    Introduced in chapter 02. max(0, d(a, p) - d(a, n) + margin), with the Euclidean distance d not squared, as in
    Hermans, Beyer & Leibe 2017, "In Defense of the Triplet Loss"; Schroff et al. 2015, "FaceNet", square it.

    Parameters
    ----------
    anchor, positive, negative : (n, d) embeddings; row i of the three is one triplet.
    margin : a distance. Between vectors of length 1 no distance exceeds 2.
    reduce : "mean" over all triplets, or "nonzero": over those whose loss is not yet 0. Two different losses.

    Returns
    -------
    loss : scalar, at least float32. Without triplets (n = 0), or without one above 0, it is 0.

    Raises
    ------
    DataError : shapes disagree, NaN or infinity, or an unknown `reduce`.
    """
    _check_alike(anchor=anchor, positive=positive, negative=negative)
    losses = relu(_distance(anchor, positive) - _distance(anchor, negative) + margin)
    if reduce == "mean":
        return losses.sum() / max(len(losses), 1)
    if reduce == "nonzero":
        return losses.sum() / (losses > 0).sum().clamp_min(1)
    raise DataError(f"There is no reduce={reduce!r}. Use 'mean' or 'nonzero'.")


def pairwise_distances(a: Tensor, b: Tensor | None = None, squared: bool = False) -> Tensor:
    """Measure the Euclidean distance from each row of `a` to each row of `b`.

    Introduced in chapter 03. One matrix product, ‖a - b‖² = ‖a‖² + ‖b‖² - 2 a·b, so a large batch is fast. The price is
    rounding: rows that are closer than it can tell (in float32 about 0.002, where rows lie 1 from the centre of `b`)
    count as identical. Identical rows are at distance 1e-6, or 0 squared, and pull with a gradient of 0.

    Parameters
    ----------
    a, b : (n, d) and (m, d); without `b`, `a` with itself.
    squared : leave out the root.

    Returns
    -------
    distances : (n, m), at least float32.

    Raises
    ------
    DataError : not (n, d) and (m, d), NaN, or infinity.
    """
    b = a if b is None else b
    _check_rows(a=a, b=b)
    a, b = _at_least_float32(a), _at_least_float32(b)
    # Moving all rows alike changes no distance, and small numbers round less.
    centre = b.detach().sum(0) / max(len(b), 1)
    a, b = a - centre, b - centre
    scale = a.square().sum(1)[:, None] + b.square().sum(1)
    squares = scale - 2 * a @ b.T
    squares = squares.masked_fill(squares <= 16 * torch.finfo(squares.dtype).eps * scale, 0)
    return squares if squared else (squares + TINY).sqrt()


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """The Euclidean distance of each row of `a` to the same row of `b`, (n,)."""
    return ((_at_least_float32(a) - _at_least_float32(b)).square().sum(1) + TINY).sqrt()


def _at_least_float32(x: Tensor) -> Tensor:
    """Half precision would round `TINY` to 0."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _check_alike(**embeddings: Tensor) -> None:
    _check_rows(**embeddings)
    shapes = {name: tuple(x.shape) for name, x in embeddings.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(f"Row i of each must belong to triplet i, so all need one shape (n, d); got {shapes}.")


def _check_rows(**embeddings: Tensor) -> None:
    shapes = {name: tuple(x.shape) for name, x in embeddings.items()}
    if any(len(shape) != 2 for shape in shapes.values()) or len({shape[1] for shape in shapes.values()}) > 1:
        raise DataError(f"Expected embeddings (n, d) of one dimension d; got the shapes {shapes}.")
    for name, x in embeddings.items():
        if not x.isfinite().all():
            row = int((~x.isfinite()).any(1).nonzero()[0, 0])
            raise DataError(
                f"{name}: row {row} holds NaN or infinity. Either the images do, or the training has diverged: "
                "try a smaller learning rate, or clip the gradients."
            )
