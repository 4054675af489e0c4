"""Sample negatives for training: items of the same group, as often as they are used.

`fashionnb.outfits.questions` samples the wrong answers of test questions one by one. Training needs
many more, new ones in every epoch; they are sampled here for a whole batch at once, by one search
in a cumulative sum.
"""

from collections.abc import Hashable, Sequence

import numpy as np
import torch
from torch import Tensor

from fashionnb.errors import DataError


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
