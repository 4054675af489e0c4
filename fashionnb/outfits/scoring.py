"""From ids to scores: a model of outfits, and the items that it knows, as one function of outfits.

A model that compares pairs scores an outfit by the mean over its pairs, a model of sets scores it whole; whoever asks
need not know which it is. How good the scores are is measured by `fashionnb.evaluation.compatibility`; explanations,
swaps and new outfits (`fashionnb.outfits.generate`) take a `Scorer`, or any function like it.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from fashionnb.errors import DataError, ModelMismatch
from fashionnb.evaluation.compatibility import mean_by, outfit_pairs, question_pairs
from fashionnb.models.outfit_inputs import Items, padded


class Scorer:
    """Say how well outfits go together, by the ids of their items. Introduced in chapter 08.

    Items are looked at once, when it is made; if the model learns more, make another. `scorer(outfits)` gives one score
    for each, higher for what goes together better; a logit or minus a distance, so compare scores of one model only.

    Parameters
    ----------
    model : of `fashionnb.models.compatibility` or `fashionnb.models.outfit_transformer`, or one with their methods; on
        any device, and left in the mode that it is in.
    items : n, what the model knows of each. ids : of the n items.
    batch_size : pairs or outfits at a time.

    Raises
    ------
    DataError : not one id for each item, the same id twice, or items that the model refuses.
    ModelMismatch : the model scores neither pairs nor sets.
    """

    def __init__(
        self, model: nn.Module, items: Items, ids: Sequence[Hashable], *, batch_size: int = 4096
    ) -> None:
        if not hasattr(model, "pairwise"):
            raise ModelMismatch(
                f"{type(model).__name__} scores neither pairs nor sets: its class has no `pairwise`."
            )
        self.model, self.batch_size, self.rows = (
            model,
            batch_size,
            {item: row for row, item in enumerate(ids)},
        )
        if len(ids) != len(items) or len(self.rows) != len(ids):
            raise DataError(
                f"Expected one id for each of {len(items)} items; got {len(ids)}, of which {len(self.rows)} differ."
            )
        items = items.to(next(model.parameters()).device)
        self.items = self._encoded(items) if model.pairwise else items

    def __call__(self, outfits: Sequence[Sequence[Hashable]]) -> np.ndarray:
        """The score of each outfit, (n,) float64.

        Raises
        ------
        DataError : no outfit, an unknown id or one without a vector, an item twice in an outfit, an empty outfit; or
            one of a single item, where pairs are compared.
        """
        return self._scores([self._known(outfit) for outfit in outfits])

    def pairs(self, pairs: Sequence[Sequence[Hashable]]) -> np.ndarray:
        """The score of each pair of items, (m,) float64. Errors as for outfits."""
        rows = [self._known(pair) for pair in pairs]
        return (
            self._pair_scores(np.array(rows).reshape(-1, 2))
            if self.model.pairwise
            else self._scores(rows)
        )

    def answers(
        self, asked: Sequence[Sequence[Hashable]], answers: Sequence[Sequence[Hashable]]
    ) -> np.ndarray:
        """Score each answer to each fill-in-the-blank question, for `fashionnb.evaluation.compatibility.fitb`.

        Of pairs the mean of those with the answer counts (those within the question are the same for all answers); a
        model of sets seeks an item of the answer's type, and what lies nearest is the best.

        Parameters
        ----------
        asked : q questions, each of one id or more. answers : q lists of ids, all of one length a.

        Returns
        -------
        (q, a) float64.

        Raises
        ------
        DataError : as for outfits; or the questions differ in their number of answers.
        """
        asked, answers = ([self._known(some) for some in rows] for rows in (asked, answers))
        pairs, owner = question_pairs(asked, answers)
        if self.model.pairwise:
            return mean_by(self._pair_scores(pairs), owner, len(asked) * len(answers[0])).reshape(
                len(asked), -1
            )
        return self._near(padded(asked), torch.tensor(answers))

    def seek(
        self, outfits: Sequence[Sequence[Hashable]], wanted: Sequence[int] | None = None
    ) -> np.ndarray:
        """How near each item lies to where each outfit's missing one should: (outfits, n) float64, cosines.

        For `fashionnb.evaluation.compatibility.recall_at`; set what is no candidate to -inf.

        Parameters
        ----------
        wanted : the type that is looked for, one number for each outfit; None: any.

        Raises
        ------
        DataError : as for outfits, or an unknown type. ModelMismatch : a model of pairs.
        """
        if self.model.pairwise:
            raise ModelMismatch(
                f"{type(self.model).__name__} compares pairs; only a model of sets seeks in its space."
            )
        rows, device = (
            padded([self._known(outfit) for outfit in outfits]),
            self.items.features.device,
        )
        rows, found = rows.to(device), []
        kinds = None if wanted is None else torch.as_tensor(np.asarray(wanted), device=device)
        with _at_work(self.model):
            places = self.model.place(self.items)
            for start in range(0, len(rows), self.batch_size):
                some = slice(start, start + self.batch_size)
                kind = None if kinds is None else kinds[some]
                found.append(
                    (
                        self.model.seek(self.items[rows[some]], kind, rows[some] >= 0) @ places.T
                    ).cpu()
                )
        return torch.cat(found).double().numpy()

    def contributions(self, outfit: Sequence[Hashable]) -> np.ndarray:
        """How much each item does for the outfit's score, by its gradient: (size,) float64; the lowest breaks it.

        The gradient of the score by an item's vector, times the vector: to first order, what the score would lose if
        the vector were 0 (Shrikumar et al. 2017, "Learning Important Features Through Propagating Activation
        Differences", call it gradient × input). Taking the item out asks the same, and waits for a score each.

        Raises
        ------
        DataError : as for outfits.
        """
        rows = self._known(outfit)
        features = self.items.features[rows].detach().clone().requires_grad_()
        items = self.items[torch.tensor(rows, device=features.device)]
        items = replace(items, features=features)
        with _at_work(self.model), torch.enable_grad():
            if self.model.pairwise:
                pairs = torch.from_numpy(outfit_pairs([range(len(rows))])[0])
                score = self.model.compare(items[pairs[:, 0]], items[pairs[:, 1]]).mean()
            else:
                score = self.model(items[torch.arange(len(rows))[None]])[0]
            (gradient,) = torch.autograd.grad(score, features)
        return (gradient * features.detach()).flatten(1).sum(1).double().cpu().numpy()

    def _known(self, outfit: Sequence[Hashable]) -> list[int]:
        """The rows of an outfit's items."""
        if strange := [item for item in outfit if item not in self.rows]:
            ids = ", ".join(map(str, [*self.rows][:3]))
            raise DataError(
                f"There is no vector for the item {strange[0]!r}: the id is unknown (they look like {ids}), or it had "
                "no picture to embed."
            )
        rows = [self.rows[item] for item in outfit]
        if len(set(rows)) < len(rows):
            twice = next(item for item in outfit if list(outfit).count(item) > 1)
            raise DataError(f"The item {twice!r} stands twice in {list(outfit)}.")
        return rows

    def _scores(self, outfits: list[list[int]]) -> np.ndarray:
        if not outfits:
            raise DataError("There is no outfit to score.")
        if self.model.pairwise:
            pairs, owner = outfit_pairs(outfits)
            return mean_by(self._pair_scores(pairs), owner, len(outfits))
        # Small outfits with small ones, so that little is padded; each is looked at once for each of its items.
        rows, sizes = padded(outfits), np.array([len(outfit) for outfit in outfits])
        scores, order = np.empty(len(outfits)), np.argsort(sizes, kind="stable")
        for some in np.array_split(order, min(-(-8 * len(order) // self.batch_size), len(order))):
            part = rows[some, : sizes[some].max()].to(self.items.features.device)
            scores[some] = self._batched(part, lambda some: self.model(self.items[some], some >= 0))
        return scores

    def _near(self, asked: Tensor, answers: Tensor) -> np.ndarray:
        """How near each answer (q, a) lies to where its question (q, size) seeks one of its type: (q, a) float64."""
        asked, answers = (rows.to(self.items.features.device) for rows in (asked, answers))
        kinds = self.items.types[answers] if self.model.types else torch.zeros_like(answers)
        number = torch.arange(len(asked), device=asked.device)[:, None].expand_as(answers)
        # Mostly all answers are of one type: each question is asked once for each type among them.
        each, which = (
            torch.stack([number, kinds], -1).flatten(0, 1).unique(dim=0, return_inverse=True)
        )
        choices, place = answers.unique(return_inverse=True)
        with _at_work(self.model):
            points = [
                self.model.seek(self.items[asked[some]], kind, asked[some] >= 0)
                for some, kind in (part.unbind(1) for part in each.split(self.batch_size))
            ]
            near = (
                torch.cat(points)[which].view(*answers.shape, -1)
                * self.model.place(self.items[choices])[place]
            )
        return near.sum(2).double().cpu().numpy()

    def _pair_scores(self, pairs: np.ndarray) -> np.ndarray:
        rows = torch.from_numpy(pairs).to(self.items.features.device)
        return self._batched(
            rows, lambda some: self.model.compare(self.items[some[:, 0]], self.items[some[:, 1]])
        )

    def _batched(self, rows: Tensor, score: Callable[[Tensor], Tensor]) -> np.ndarray:
        with _at_work(self.model):
            return (
                torch.cat([score(some).cpu() for some in rows.split(self.batch_size)])
                .double()
                .numpy()
            )

    def _encoded(self, items: Items) -> Items:
        every = torch.arange(len(items), device=items.features.device)
        with _at_work(self.model):  # pictures are larger than vectors: fewer at a time
            parts = [
                self.model.encode(items[some]).features
                for some in every.split(min(self.batch_size, 512))
            ]
        return replace(items, features=torch.cat(parts))


@contextmanager
def _at_work(model: nn.Module) -> Iterator[None]:
    """The model in eval mode and without gradients; afterwards every part is in the mode that it was in."""
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        with torch.no_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training
