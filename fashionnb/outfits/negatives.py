"""Wrong answers by the thousand: items of the same group, drawn as often as they are used.

`fashionnb.outfits.questions` draws the wrong answers of questions, carefully and one by one. Training needs many more,
and anew in every pass; they are drawn here, a whole batch at once, by one look-up in a running sum.
"""

from collections.abc import Hashable, Sequence

import numpy as np
import torch
from torch import Tensor

from fashionnb.errors import DataError


class NegativeSampler:
    """Items that could stand in each other's place. Introduced in chapter 08.

    Parameters
    ----------
    groups : (n,) what each item is: only items of one group are rivals. Family and collection together, for instance.
    weights : (n,) 0 or more, how often each is drawn within its group: its uses in training; None: all alike. In a
        group in which nothing has a weight, all are alike.

    Raises
    ------
    DataError : no items, numbers that disagree, or a weight that is negative or not finite.
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
                f"Expected a finite weight of 0 or more for each of {len(number)} items, 1 at least."
            )
        total = np.bincount(number, weights)
        weights = np.where(total[number] > 0, weights, 1.0)
        order = np.argsort(number, kind="stable")
        self.order, self.group = torch.from_numpy(order), torch.from_numpy(number)
        self.sums = torch.from_numpy(np.cumsum(weights[order]))
        self.ends = self.sums[torch.from_numpy(np.cumsum(np.bincount(number)) - 1)]
        self.starts = torch.cat([torch.zeros(1, dtype=torch.float64), self.ends[:-1]])

    def draw(self, items: Tensor, k: int, generator: torch.Generator) -> Tensor:
        """`k` rivals of each item, with repeats; the item itself may be among them, so compare before use.

        Parameters
        ----------
        items : (b,) int64, rows. generator : on the CPU.

        Returns
        -------
        rivals : (b, k) int64, rows.

        Raises
        ------
        DataError : `k` below 1, or a row that there is not.
        """
        if k < 1 or (
            len(items) and not 0 <= int(items.min()) <= int(items.max()) < len(self.group)
        ):
            raise DataError(
                f"Expected rows from 0 to {len(self.group) - 1} and k of 1 or more, got {k=}."
            )
        low, high = (edge[self.group[items]][:, None] for edge in (self.starts, self.ends))
        chosen = low + torch.rand(len(items), k, generator=generator, dtype=torch.float64) * (
            high - low
        )
        # The first sum above the number chosen; rounding must not lead into the next group.
        place = torch.searchsorted(self.sums, chosen, right=True)
        last = torch.searchsorted(self.sums, high, right=False)
        return self.order[torch.minimum(place, last)]
