"""Score outfits by the ids of their items, with any model of `fashionnb.models`.

A pairwise model scores an outfit by the mean over its pairs, a set model scores it as a whole; a
`Scorer` hides the difference. `fashionnb.evaluation.compatibility` evaluates the scores, and
`fashionnb.outfits.generate` makes suggestions from them.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from fashionnb.errors import DataError, ModelMismatch
from fashionnb.evaluation.compatibility import mean_by, outfit_pairs, question_pairs
from fashionnb.models import evaluating
from fashionnb.models.outfit_inputs import Items, padded

_BATCH = 4096  # pairs or outfits that are scored at a time
_ENCODED = 512  # items that are encoded at a time: images are larger than vectors


class Scorer:
    """Score how compatible the items of outfits are, by their ids, with a trained model.

    `scorer(outfits)` returns one score for each outfit, higher for more compatible. Scores are
    logits or minus distances: compare those of one model only. The items are encoded once, when
    the scorer is made; after further training, make a new scorer.

    Parameters
    ----------
    model : Module
        Of `fashionnb.models.compatibility` or `fashionnb.models.outfit_transformer`, or one with
        their methods; on any device. Each module keeps the mode that it is in.
    items : Items
        Features of n items.
    ids : sequence of hashable, length n
        Of the items.

    Raises
    ------
    DataError
        If there is not one id for each item, an id is repeated, or the model refuses the items.
    ModelMismatch
        If the model scores neither pairs nor sets.
    """

    def __init__(self, model: nn.Module, items: Items, ids: Sequence[Hashable]) -> None:
        if not hasattr(model, "pairwise"):
            raise ModelMismatch(
                f"{type(model).__name__} scores neither pairs nor sets: "
                "its class has no `pairwise`. Use a model of `fashionnb.models.compatibility`."
            )
        self.model = model
        self.rows = {item: row for row, item in enumerate(ids)}
        if len(ids) != len(items) or len(self.rows) != len(ids):
            raise DataError(
                f"Expected one id for each of {len(items)} items; got {len(ids)}, "
                f"of which {len(self.rows)} differ."
            )
        self.items = items.to(next(model.parameters()).device)
        if model.pairwise:
            encoded = self._batched(
                torch.arange(len(items)),
                lambda some: model.encode(self.items[some]).features,
                _ENCODED,
            )
            self.items = replace(self.items, features=encoded)

    def __call__(self, outfits: Sequence[Sequence[Hashable]]) -> np.ndarray:
        """Score outfits.

        Parameters
        ----------
        outfits : sequence of sequences of ids
            n outfits.

        Returns
        -------
        ndarray of shape (n,), float64

        Raises
        ------
        DataError
            If there is no outfit, an outfit is empty, an id is unknown or repeated in an outfit,
            or an outfit of a pairwise model has a single item.
        """
        if not len(outfits):
            raise DataError("There is no outfit to score.")
        known = [self._known(outfit) for outfit in outfits]
        if self.model.pairwise:
            pairs, owner = outfit_pairs(known)
            return mean_by(self._pair_scores(pairs), owner, len(known))
        # Outfits of similar size are scored together, so that little is padded. A set model runs
        # once for each item of an outfit, so a batch holds an eighth of the outfits.
        rows, sizes = padded(known), np.array([len(outfit) for outfit in known])
        scores, order = np.empty(len(known)), np.argsort(sizes, kind="stable")
        for some in np.array_split(order, min(-(-8 * len(order) // _BATCH), len(order))):
            part = rows[some, : sizes[some].max()].to(self.items.features.device)
            found = self._batched(
                part, lambda some: self.model(self.items[some], some >= 0), _BATCH
            )
            scores[some] = found.cpu().double().numpy()
        return scores

    def answers(
        self, asked: Sequence[Sequence[Hashable]], answers: Sequence[Sequence[Hashable]]
    ) -> np.ndarray:
        """Score the answers to fill-in-the-blank questions.

        A pairwise model scores an answer by the mean of its pairs with the shown items (pairs
        among the shown items are the same for all answers). A set model predicts where an item of
        the answer's type should lie in its space; an answer scores higher the nearer it is.

        Parameters
        ----------
        asked : sequence of sequences of ids
            The shown items of q questions, one or more each.
        answers : sequence of sequences of ids
            The answers, all of one length a.

        Returns
        -------
        ndarray of shape (q, a), float64
            For `fashionnb.evaluation.compatibility.fitb`.

        Raises
        ------
        DataError
            As for outfits; also if the questions differ in their number of answers.
        """
        shown = [self._known(ids) for ids in asked]
        choices = [self._known(ids) for ids in answers]
        pairs, owner = question_pairs(shown, choices)
        if self.model.pairwise:
            means = mean_by(self._pair_scores(pairs), owner, len(shown) * len(choices[0]))
            return means.reshape(len(shown), -1)
        return self._nearness(padded(shown), torch.tensor(choices))

    def seek(self, outfits: Sequence[Sequence[Hashable]], wanted: Sequence[int]) -> np.ndarray:
        """Compute how near each item lies to the place that a set model predicts.

        Parameters
        ----------
        outfits : sequence of sequences of ids
            m incomplete outfits.
        wanted : sequence of int, length m
            The type of each missing item; 0 for any.

        Returns
        -------
        ndarray of shape (m, n), float64
            Cosines, for `fashionnb.evaluation.compatibility.recall_at`. Set what is no candidate
            to -inf.

        Raises
        ------
        DataError
            As for outfits, or if a type is unknown.
        ModelMismatch
            If the model compares pairs.
        """
        if self.model.pairwise:
            raise ModelMismatch(
                f"{type(self.model).__name__} compares pairs; only a set model can seek an item."
            )
        device = self.items.features.device
        rows = padded([self._known(outfit) for outfit in outfits]).to(device)
        types = torch.as_tensor(np.asarray(wanted), device=device)

        def nearness(some: Tensor) -> Tensor:
            points = self.model.seek(self.items[rows[some]], types[some], rows[some] >= 0)
            return (points @ places.T).cpu()

        with evaluating(self.model):
            places = self.model.place(self.items)
        found = self._batched(torch.arange(len(rows), device=device), nearness, _BATCH)
        return found.double().numpy()

    def contributions(self, outfit: Sequence[Hashable]) -> np.ndarray:
        """Compute how much each item contributes to the score of an outfit: gradient × input.

        To first order this is what the score would lose if the item's vector were 0. The lowest
        contribution fits least. Leaving the item out answers the same question with one more
        score for each item.

        Parameters
        ----------
        outfit : sequence of ids
            m items.

        Returns
        -------
        ndarray of shape (m,), float64

        Raises
        ------
        DataError
            As for outfits.

        References
        ----------
        Shrikumar et al. (2017), Learning Important Features Through Propagating Activation
        Differences.
        """
        rows = self._known(outfit)
        features = self.items.features[rows].detach().clone().requires_grad_()
        items = replace(self.items[torch.tensor(rows)], features=features)
        with evaluating(self.model), torch.enable_grad():
            if self.model.pairwise:
                pairs = torch.from_numpy(outfit_pairs([range(len(rows))])[0])
                score = self.model.compare(items[pairs[:, 0]], items[pairs[:, 1]]).mean()
            else:
                score = self.model(items[torch.arange(len(rows))[None]])[0]
            (gradient,) = torch.autograd.grad(score, features)
        return (gradient * features.detach()).flatten(1).sum(1).cpu().double().numpy()

    def _known(self, outfit: Sequence[Hashable]) -> list[int]:
        """The rows of an outfit's items."""
        unknown = [item for item in outfit if item not in self.rows]
        if unknown:
            ids = ", ".join(map(str, [*self.rows][:3]))
            raise DataError(
                f"There is no vector for the item {unknown[0]!r}: the id is unknown "
                f"(ids look like {ids}), or the item had no image to embed. Leave it out."
            )
        rows = [self.rows[item] for item in outfit]
        if len(set(rows)) < len(rows):
            twice = next(item for item in outfit if list(outfit).count(item) > 1)
            raise DataError(f"The item {twice!r} is repeated in {list(outfit)}.")
        return rows

    def _nearness(self, asked: Tensor, answers: Tensor) -> np.ndarray:
        """The cosine of each answer (q, a) and the place predicted for one of its type, (q, a)."""
        asked, answers = (rows.to(self.items.features.device) for rows in (asked, answers))
        types = self.items.types[answers] if self.model.types else torch.zeros_like(answers)
        number = torch.arange(len(asked), device=asked.device)[:, None].expand_as(answers)
        # Mostly all answers are of one type: each question is asked once for each distinct type.
        queries = torch.stack([number, types], -1).flatten(0, 1)
        queries, which = queries.unique(dim=0, return_inverse=True)
        choices, place = answers.unique(return_inverse=True)

        def seek(some: Tensor) -> Tensor:
            rows = asked[some[:, 0]]
            return self.model.seek(self.items[rows], some[:, 1], rows >= 0)

        sought = self._batched(queries, seek, _BATCH)
        with evaluating(self.model):
            places = self.model.place(self.items[choices])[place]
        near = sought[which].view(*answers.shape, -1) * places
        return near.sum(2).cpu().double().numpy()

    def _pair_scores(self, pairs: np.ndarray) -> np.ndarray:
        rows = torch.from_numpy(pairs).to(self.items.features.device)
        scores = self._batched(
            rows,
            lambda some: self.model.compare(self.items[some[:, 0]], self.items[some[:, 1]]),
            _BATCH,
        )
        return scores.cpu().double().numpy()

    def _batched(self, rows: Tensor, compute: Callable[[Tensor], Tensor], size: int) -> Tensor:
        """What the model, in evaluation mode, computes from some rows at a time."""
        with evaluating(self.model):
            return torch.cat([compute(some) for some in rows.split(size)])
