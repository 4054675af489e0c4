"""Which triplets of a batch to learn from.

A miner takes labels (from chapter 03 on also distances) and returns three index tensors: anchors, positives, negatives.
It knows nothing of pictures or models. What to do with the triplets is the business of `fashionnb.losses`.
"""

import torch
from torch import Tensor

from fashionnb.errors import DataError


def random_triplets(labels: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """For each item a random positive (never itself) and a random negative.

    Introduced in chapter 02. Schroff, Kalenichenko & Philbin 2015, "FaceNet", section 3.

    Parameters
    ----------
    labels : (n,) int.
    generator : the source of randomness, on the CPU; without one torch's own.

    Returns
    -------
    anchors, positives, negatives : (m,) int64 each, m <= n, on the device of `labels`. An item without a positive (a
        singleton class) or without a negative (a one-class batch) is no anchor.

    Raises
    ------
    DataError : `labels` is empty or not one-dimensional.
    """
    if labels.dim() != 1 or not len(labels):
        raise DataError(f"random_triplets wants labels of shape (n,) with n at least 1, got {tuple(labels.shape)}.")
    same = labels[:, None] == labels[None, :]
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    anchors = (positive.any(1) & ~same.all(1)).nonzero(as_tuple=True)[0]
    return anchors, _one_of(positive[anchors], generator), _one_of(~same[anchors], generator)


def _one_of(allowed: Tensor, generator: torch.Generator | None) -> Tensor:
    """In each row one of the allowed columns, all equally likely. allowed : (m, n) bool, at least one in each row."""
    lottery = torch.rand(allowed.shape, generator=generator).to(allowed.device)
    return lottery.masked_fill(~allowed, -1).argmax(1)
