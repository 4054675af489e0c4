"""Which pictures make up a batch: all in turn, as many of each class, or more of the classes that are hard.

A sampler gives index tensors, the rows of one batch after another; taking the pictures of these rows, and augmenting
them, is the caller's business (see `fashionnb.augment`). All chance comes from the generator. With the one that
`fashionnb.training.fit` hands out, an epoch can be replayed and taken up in its middle, and several processes draw the
same batches. `fit` gives each process a run of rows; the samplers by class lay the classes out so that each run has
its part of every class.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from fashionnb.errors import DataError


def shuffled(n: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """All rows once, in a new order. Introduced in chapter 03.

    Parameters
    ----------
    n : how many rows there are.
    batch_size : rows of a batch; the last one holds what is left.
    generator : on the CPU.

    Yields
    ------
    rows : (batch_size,) int64.

    Raises
    ------
    DataError : `n` or `batch_size` below 1.
    """
    _check_counts(n=n, batch_size=batch_size)
    yield from torch.randperm(n, generator=generator).split(batch_size)


def balanced(
    labels: Tensor, classes: int, per_class: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """P × K: for ever batches of P classes with K items of each, so that every item meets others of its class.

    Introduced in chapter 03. Hermans, Beyer & Leibe 2017, "In Defense of the Triplet Loss", section 2.

    Everything goes round: a class gives each of its items once before any comes again, and each class has its turn
    before any has another. An item is twice in a batch only if its class has fewer than K. Another call, such as that
    for the next epoch, begins anew.

    Parameters
    ----------
    labels : (n,) int, of all rows.
    classes, per_class : P and K.
    generator : on the CPU.

    Yields
    ------
    rows : (P · K,) int64: the first item of each class, then the second of each, and so on. Split among w processes,
        each has K / w items of every class (rounded up or down); K of at least 2 w leaves no item without a positive.

    Raises
    ------
    DataError : no labels, or not (n,) int; P or K below 1; P above the number of classes.
    """
    _check_counts(classes=classes, per_class=per_class)
    decks = _decks(labels, generator)
    if classes > len(decks):
        raise DataError(
            f"A batch of {classes} classes was asked for, but there are {len(decks)}: ask for fewer."
        )
    turns = _Deck(np.arange(len(decks)), generator)
    while True:
        hands = [decks[c].deal(per_class) for c in turns.deal(classes)]
        yield torch.from_numpy(np.stack(hands, axis=1).ravel())


def weighted(
    labels: Tensor, weights: Tensor | Sequence[float], batch_size: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """For ever batches in which each class has the share that its weight says; see `difficulty` for such weights.

    Introduced in chapter 03. A batch of B holds B · weight / (sum of weights) items of a class, rounded up or down by
    one lot for all classes (systematic sampling, Madow 1949), so that in the long run the shares are exact. A
    class's items go round as in `balanced`.

    Parameters
    ----------
    labels : (n,) int, of all rows: 0 to c - 1.
    weights : (c,) positive; only their ratios matter.
    batch_size : B.
    generator : on the CPU.

    Yields
    ------
    rows : (B,) int64, each class spread evenly over the batch. Split among w processes, each has about 1 / w of every
        class.

    Raises
    ------
    DataError : not (n,) int labels, or a class without an item; not one positive, finite weight for each class;
        B below 1.
    """
    _check_counts(batch_size=batch_size)
    decks = _decks(labels, generator)
    weights = _numbers(weights, "weights")
    if not (weights > 0).all():
        raise DataError(
            f"Weights must be positive, or a class is never seen; got {weights.tolist()}."
        )
    if labels.unique().tolist() != list(range(len(weights))):
        raise DataError(
            f"{len(weights)} weights are for the labels 0 to {len(weights) - 1}, each with an item or more; "
            f"the labels are {_some(labels.unique().tolist())}."
        )
    edges = (
        (weights / weights.sum() * batch_size).cumsum().round(6)
    )  # rounded, so that the last is batch_size itself
    while True:
        counts = np.diff(
            np.floor(edges + torch.rand(1, generator=generator).item()), prepend=0
        ).astype(int)
        rows = np.concatenate([deck.deal(count) for deck, count in zip(decks, counts, strict=True)])
        places = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])
        yield torch.from_numpy(rows[places.argsort(kind="stable")])


def difficulty(scores: Tensor | Sequence[float], floor: float = 0.5, power: float = 1.0) -> Tensor:
    """How much of a batch each class should get, from how well it does: weights for `weighted`.

    Introduced in chapter 03. A class's weight grows with what its score lacks to 1:
    floor + (1 - floor) · lack, where lack = (1 - score)^power, divided by its mean over the classes.

    Parameters
    ----------
    scores : (c,) at most 1, higher is better: the mean silhouette of each class, its accuracy or its recall. Measure
        them on validation pictures.
    floor : the weight of a class without fault, 0 to 1. At 1 all classes weigh the same.
    power : above 1, the hardest classes stand out more; at 0 all weigh the same.

    Returns
    -------
    weights : (c,) float64, at least `floor`, 1 in the mean. All 1 if no class lacks anything.

    Raises
    ------
    DataError : no scores, NaN, infinity, a score above 1; `floor` outside 0 to 1, or `power` below 0.
    """
    scores = _numbers(scores, "scores")
    if scores.max() > 1:
        raise DataError(
            f"Scores are at most 1, as silhouette and accuracy are; got {scores.max():g}. Percent?"
        )
    if not 0 <= floor <= 1 or not 0 <= power < float("inf"):
        raise DataError(
            f"floor lies between 0 and 1 and power is 0 or more; got floor={floor}, power={power}."
        )
    lack = 1 - scores
    lack = (lack / lack.max()) ** power if lack.any() else np.ones_like(lack)
    return torch.from_numpy(floor + (1 - floor) * lack / lack.mean())


def difficulty_from_confusion(
    matrix: Tensor | np.ndarray | Sequence[Sequence[float]], floor: float = 0.5, power: float = 1.0
) -> Tensor:
    """`difficulty` by each class's F1 score, which falls with confusions in either direction.

    Introduced in chapter 03. Recall alone would call a class easy into which everything is put.

    Parameters
    ----------
    matrix : (c, c) counts, 0 or more; a row for each true class, a column for what its items were taken for.
    floor, power : as in `difficulty`.

    Returns
    -------
    weights : (c,) float64, as `difficulty` gives them.

    Raises
    ------
    DataError : `matrix` is not square, holds NaN, infinity or a negative number, or a class has no item (an empty row).
    """
    matrix = np.asarray(matrix, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
        raise DataError(
            f"A confusion matrix is square, a row and a column for each class; got {matrix.shape}."
        )
    if not np.isfinite(matrix).all() or (matrix < 0).any():
        raise DataError(
            "A confusion matrix holds counts, 0 or more; this one has NaN, infinity or a negative number."
        )
    true, taken = matrix.sum(1), matrix.sum(0)
    if (true == 0).any():
        raise DataError(
            f"Class {int(true.argmin())} has no item in the confusion matrix, so nobody knows how hard it is: "
            "measure on pictures of every class."
        )
    return difficulty(2 * matrix.diagonal() / (true + taken), floor, power)


class _Deck:
    """Cards that are dealt until none is left, then shuffled and dealt again."""

    def __init__(self, cards: np.ndarray, generator: torch.Generator) -> None:
        self.cards, self.generator, self.left = cards, generator, cards[:0]

    def deal(self, count: int) -> np.ndarray:
        hand, self.left = self.left[:count], self.left[count:]
        while len(hand) < count:
            fresh = self.cards[torch.randperm(len(self.cards), generator=self.generator).numpy()]
            # What is in this hand goes to the bottom: no card twice in a hand, as long as there are others.
            held = np.isin(fresh, hand)
            fresh = np.concatenate([fresh[~held], fresh[held]])
            missing = count - len(hand)
            hand, self.left = np.concatenate([hand, fresh[:missing]]), fresh[missing:]
        return hand


def _decks(labels: Tensor, generator: torch.Generator) -> list[_Deck]:
    """A deck of rows for each class, in sorted order of the labels."""
    if labels.dim() != 1 or not len(labels) or labels.is_floating_point():
        raise DataError(
            f"Labels are integers of shape (n,), n at least 1; got {labels.dtype} {tuple(labels.shape)}."
        )
    sizes = labels.unique(return_counts=True)[1].tolist()
    return [
        _Deck(rows.cpu().numpy(), generator) for rows in labels.argsort(stable=True).split(sizes)
    ]


def _numbers(values: Tensor | Sequence[float], name: str) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise DataError(
            f"{name} must be finite numbers, one for each class; got {_some(values.tolist())}."
        )
    return values


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise DataError(f"{name} must be 1 or more, got {count}.")


def _some(values: object) -> str:
    text = str(values)
    return text if len(text) < 80 else f"{text[:76]} ..."
