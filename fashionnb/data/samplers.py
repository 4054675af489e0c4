"""Sample batches: shuffled, balanced by class, or weighted; and negatives for outfits.

A sampler gives index tensors, the rows of one batch after another; the caller takes the images of
these rows and augments them (see `fashionnb.augment`). All randomness comes from the generator.
With the one that `fashionnb.training.fit` passes on, an epoch can be repeated or resumed in its
middle, and several processes draw the same batches. `fit` gives each process a block of consecutive
rows; `balanced` and `weighted` order the rows so that each block has its part of every class.

`NegativeSampler` samples wrong items for a whole batch at once, by one search in a cumulative sum;
the wrong answers of test questions are sampled one by one in `fashionnb.outfits.questions`.
"""

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from fashionnb.arrays import check_array
from fashionnb.errors import DataError


def shuffled(n: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Sample batches without replacement: yield all rows once, in random order.

    Parameters
    ----------
    n : int
        Number of rows.
    batch_size : int
        Rows of a batch; the last batch has the rest.
    generator : torch.Generator
        On the CPU.

    Yields
    ------
    rows : Tensor of shape (batch_size,), int64

    Raises
    ------
    DataError
        If `n` or `batch_size` is below 1.
    """
    _check_counts(n=n, batch_size=batch_size)
    yield from torch.randperm(n, generator=generator).split(batch_size)


def balanced(
    labels: Tensor, classes: int, per_class: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """Sample class-balanced batches without end: P classes with K items of each (P × K).

    Items of a class, and classes, are drawn without replacement until all were drawn, then again.
    An item is twice in a batch only if its class has fewer than K. Each call starts anew.

    Parameters
    ----------
    labels : Tensor of shape (n,), int
        Of all rows.
    classes, per_class : int
        P and K.
    generator : torch.Generator
        On the CPU.

    Yields
    ------
    rows : Tensor of shape (P · K,), int64
        The first item of each class, then the second of each, and so on. Split among w processes,
        each has K / w items of every class (rounded up or down); K of at least 2 w leaves no item
        without a positive.

    Raises
    ------
    DataError
        If there are no labels or they are not (n,) int; P or K is below 1; or P is above the number
        of classes.

    References
    ----------
    Hermans, Beyer & Leibe (2017), In Defense of the Triplet Loss, section 2.
    """
    _check_counts(classes=classes, per_class=per_class)
    by_class = _draws_by_class(labels, generator)
    if classes > len(by_class):
        raise DataError(
            f"A batch of {classes} classes was asked for, but there are {len(by_class)}: "
            "ask for fewer."
        )
    turns = _Draws(np.arange(len(by_class)), generator)
    while True:
        rows = [by_class[c].draw(per_class) for c in turns.draw(classes)]
        yield torch.from_numpy(np.stack(rows, axis=1).ravel())


def weighted(
    labels: Tensor, weights: Tensor | Sequence[float], batch_size: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """Sample batches without end in which each class has a share according to its weight.

    A batch of B holds B · weight / (sum of weights) items of a class, rounded up or down with one
    random number for all classes (systematic sampling), so that in the long run the shares are
    exact. Items of a class are drawn as in `balanced`. For weights see `difficulty`.

    Parameters
    ----------
    labels : Tensor of shape (n,), int
        Of all rows: 0 to c - 1.
    weights : Tensor or sequence of float of shape (c,)
        Positive; only their ratios matter.
    batch_size : int
        B.
    generator : torch.Generator
        On the CPU.

    Yields
    ------
    rows : Tensor of shape (B,), int64
        Each class is spread evenly over the batch. Split among w processes, each has about 1 / w of
        every class.

    Raises
    ------
    DataError
        If labels are not (n,) int, or a class has no item; weights are not one positive, finite
        number for each class; or B is below 1.

    References
    ----------
    Madow (1949), On the Theory of Systematic Sampling, II.
    """
    _check_counts(batch_size=batch_size)
    by_class = _draws_by_class(labels, generator)
    weights = _numbers(weights, "weights")
    if not (weights > 0).all():
        raise DataError(
            f"Weights must be positive, or a class is never seen; got {weights.tolist()}."
        )
    if labels.unique().tolist() != list(range(len(weights))):
        raise DataError(
            f"{len(weights)} weights are for the labels 0 to {len(weights) - 1}, each with an item "
            f"or more; the labels are {labels.unique().tolist()!s:.80}."
        )
    # Rounded, so that the last edge is batch_size exactly.
    edges = (weights / weights.sum() * batch_size).cumsum().round(6)
    while True:
        start = torch.rand(1, generator=generator).item()
        counts = np.diff(np.floor(edges + start), prepend=0).astype(int)
        rows = np.concatenate(
            [draws.draw(count) for draws, count in zip(by_class, counts, strict=True)]
        )
        places = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])
        yield torch.from_numpy(rows[places.argsort(kind="stable")])


def difficulty(scores: Tensor | Sequence[float], floor: float = 0.5) -> Tensor:
    """Turn the score of each class into its weight for sampling: the lower, the more often.

    The weight of a class is floor + (1 - floor) · error, where error = 1 - score, divided by its
    mean over the classes.

    Parameters
    ----------
    scores : Tensor or sequence of float of shape (c,)
        At most 1, higher is better: the mean silhouette of each class, its accuracy or its recall,
        measured on validation images.
    floor : float
        The weight of a class with score 1; 0 to 1. At 1 all classes have the same weight.

    Returns
    -------
    Tensor of shape (c,), float64
        At least `floor`, with mean 1. All 1 if every score is 1.

    Raises
    ------
    DataError
        If there are no scores, NaN, infinity or a score above 1; or `floor` is outside 0 to 1.
    """
    scores = _numbers(scores, "scores")
    if scores.max() > 1:
        raise DataError(
            f"Scores are at most 1, as silhouette and accuracy are; got {scores.max():g}. Percent?"
        )
    if not 0 <= floor <= 1:
        raise DataError(f"floor lies between 0 and 1, got {floor}.")
    error = 1 - scores
    error = error / error.max() if error.any() else np.ones_like(error)
    return torch.from_numpy(floor + (1 - floor) * error / error.mean())


class NegativeSampler:
    """Sample negatives to train outfit models: items of the same group, in proportion to weights.

    Parameters
    ----------
    groups : sequence of hashable, length n
        The group of each item, such as its family, or family and collection together.
    weights : ndarray of shape (n,), optional
        0 or more: how often an item is sampled within its group, such as its uses in training.
        Without weights, and in a group where all are 0, items are sampled uniformly.

    Raises
    ------
    DataError
        If there is no item, the lengths disagree, or a weight is negative or not finite.
    """

    def __init__(self, groups: Sequence[Hashable], weights: np.ndarray | None = None) -> None:
        number = np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
        weights = np.ones(len(number)) if weights is None else np.asarray(weights, dtype=float)
        if (
            not len(number)
            or weights.shape != number.shape
            or not (np.isfinite(weights) & (weights >= 0)).all()
        ):
            raise DataError(
                "Expected one item or more and a finite weight of 0 or more for each; "
                f"got {len(number)} items and weights of shape {weights.shape}."
            )
        total = np.bincount(number, weights)
        weights = np.where(total[number] > 0, weights, 1.0)
        order = np.argsort(number, kind="stable")
        self.order, self.group = torch.from_numpy(order), torch.from_numpy(number)
        self.sums = torch.from_numpy(np.cumsum(weights[order]))
        self.ends = self.sums[torch.from_numpy(np.cumsum(np.bincount(number)) - 1)]
        self.starts = torch.cat([torch.zeros(1, dtype=torch.float64), self.ends[:-1]])

    def draw(self, items: Tensor, k: int, generator: torch.Generator) -> Tensor:
        """Sample `k` items of the group of each item, with replacement.

        The item itself may be among them: compare before use.

        Parameters
        ----------
        items : Tensor of shape (b,), int64
            Rows.
        k : int
            1 or more.
        generator : torch.Generator
            On the CPU.

        Returns
        -------
        Tensor of shape (b, k), int64
            Rows.

        Raises
        ------
        DataError
            If `k` is below 1, or a row does not exist.
        """
        n = len(self.group)
        if k < 1 or (len(items) and not 0 <= int(items.min()) <= int(items.max()) < n):
            raise DataError(f"Expected rows from 0 to {n - 1} and k of 1 or more, got {k=}.")
        group = self.group[items][:, None]
        low, high = self.starts[group], self.ends[group]
        share = torch.rand(len(items), k, generator=generator, dtype=torch.float64)
        chosen = low + share * (high - low)
        # The first sum above the chosen number; rounding must not lead into the next group.
        place = torch.searchsorted(self.sums, chosen, right=True)
        last = torch.searchsorted(self.sums, high, right=False)
        return self.order[torch.minimum(place, last)]


class _Draws:
    """Draws rows without replacement; when all were drawn, they are shuffled and drawn again."""

    def __init__(self, rows: np.ndarray, generator: torch.Generator) -> None:
        self.rows, self.generator, self.left = rows, generator, rows[:0]

    def draw(self, count: int) -> np.ndarray:
        drawn, self.left = self.left[:count], self.left[count:]
        while len(drawn) < count:
            fresh = self.rows[torch.randperm(len(self.rows), generator=self.generator).numpy()]
            # What was drawn in this call goes to the end, so that no row comes twice in it as long
            # as there are others.
            again = np.isin(fresh, drawn)
            fresh = np.concatenate([fresh[~again], fresh[again]])
            missing = count - len(drawn)
            drawn, self.left = np.concatenate([drawn, fresh[:missing]]), fresh[missing:]
        return drawn


def _draws_by_class(labels: Tensor, generator: torch.Generator) -> list[_Draws]:
    """The rows of each class, in sorted order of the labels."""
    check_array(labels, ("n",), "Labels", kind="integer", least=1)
    sizes = labels.unique(return_counts=True)[1].tolist()
    rows = labels.argsort(stable=True).split(sizes)
    return [_Draws(part.cpu().numpy(), generator) for part in rows]


def _numbers(values: Tensor | Sequence[float], name: str) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    return check_array(values, ("c",), f"{name}, one for each class", least=1, finite=True)


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise DataError(f"{name} must be 1 or more, got {count}.")
