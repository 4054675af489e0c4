"""Evaluation protocols of complete-the-look: splits, held-out queries, and ranks of the products.

A query is a scene, the gallery holds products, and a hit is a product that belongs to the scene.
Scores are higher for products that fit better. Ties are counted as a random order of the tied
candidates would: a model that gives all products the same score is as good as chance.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from scipy.special import gammaln
from torch import Tensor

from fashionnb.arrays import check_finite
from fashionnb.data.catalogue import Scenes
from fashionnb.data.splits import SHARES, by_hash
from fashionnb.errors import DataError
from fashionnb.scenes.features import Pairs

_SALT = "shop-the-look"  # of the hash that assigns pairs and scenes to splits


@dataclass(frozen=True, eq=False)
class Ranks:
    """Rank of the first hit of each of q queries, as complete-the-look protocols evaluate it.

    Parameters
    ----------
    above : ndarray of shape (q,), int64
        How many candidates score higher than the best hit.
    tied : ndarray of shape (q,), int64
        How many candidates, hits included, score as the best hit does.
    tied_hits : ndarray of shape (q,), int64
        How many of the tied candidates are hits.
    candidates : ndarray of shape (q,), int64
        How many candidates are ranked.
    """

    above: np.ndarray
    tied: np.ndarray
    tied_hits: np.ndarray
    candidates: np.ndarray

    def recall(self, k: int) -> np.ndarray:
        """Compute recall@k of each query.

        Parameters
        ----------
        k : int
            1 or more.

        Returns
        -------
        ndarray of shape (q,), float64
            1 if a hit is among the first k, 0 if not; with ties, the chance that it is.

        Raises
        ------
        DataError
            If k is below 1.
        """
        if k < 1:
            raise DataError(f"recall@{k} is not defined: k must be 1 or more.")
        places = np.clip(k - self.above, 0, self.tied)  # of tied candidates, within the first k
        # Of all ways to fill these places with tied candidates, those without a hit. There is
        # none, with a logarithm of -inf, if there are more places than misses.
        without_hit = _log_choose(self.tied - self.tied_hits, places)
        return 1 - np.exp(without_hit - _log_choose(self.tied, places))

    @property
    def rank(self) -> np.ndarray:
        """The rank of the first hit, 1 is best; with ties the mean over all orders, (q,)."""
        return self.above + (self.tied + 1) / (self.tied_hits + 1)

    @property
    def reciprocal_rank(self) -> np.ndarray:
        """1 / `rank`, (q,) float64; their mean is the mean reciprocal rank (MRR)."""
        return 1 / self.rank


def rank_hits(scores: np.ndarray, hits: np.ndarray, candidates: np.ndarray | None = None) -> Ranks:
    """Rank the gallery of products for each query scene, and find the first hit, for a protocol.

    Parameters
    ----------
    scores : ndarray of shape (q, g), float
        Of each query with each product of the gallery.
    hits : ndarray of shape (q, g), bool
        The products that count as found. A query may have several.
    candidates : ndarray of shape (q, g), bool, optional
        The products that are ranked, all hits among them; without it all.

    Returns
    -------
    Ranks
        Of the q queries.

    Raises
    ------
    DataError
        If shapes disagree, a score is NaN, or a query has no hit.
    """
    scores = np.asarray(scores)
    if scores.shape != hits.shape or np.isnan(scores).any():
        raise DataError(
            f"Scores are (queries, gallery) = {hits.shape} without NaN, got {scores.dtype} "
            f"{scores.shape}."
        )
    lacking = np.flatnonzero(~hits.any(1))
    if len(lacking):
        raise DataError(f"Query {lacking[0]} has no hit, so it has no rank. Leave it out.")
    candidates = np.ones_like(hits) if candidates is None else candidates
    best = np.where(hits, scores, -np.inf).max(1, keepdims=True)
    tied = candidates & (scores == best)
    above = candidates & (scores > best)
    return Ranks(above.sum(1), tied.sum(1), (tied & hits).sum(1), candidates.sum(1))


def split_by_pair(scenes: Scenes) -> Scenes:
    """Split scenes by the protocol of published work: single pairs, by a hash.

    A scene, and a product, can be in training and in the test set: use this only to compare with
    published numbers, and `split_strictly` otherwise.

    Parameters
    ----------
    scenes : Scenes
        n pairs; a column `split` is replaced.

    Returns
    -------
    Scenes
        The same pairs, with the column `split` ("train", "validation" or "test").
    """
    keys = (scenes.table["scene"].astype(str) + " " + scenes.table["product"]).tolist()
    return replace(scenes, table=scenes.table.assign(split=by_hash(keys, _SALT)))


def split_strictly(scenes: Scenes) -> Scenes:
    """Split scenes by the strict protocol: splits share neither a scene nor a product.

    A scene has the split that the table gives it, or one by a hash. A product goes where most of
    its pairs are, in a tie to test before validation before train.

    Parameters
    ----------
    scenes : Scenes
        n pairs.

    Returns
    -------
    Scenes
        With the column `split`, and without the pairs whose product went to another split than
        their scene; `table.attrs["straddling"]` counts these.
    """
    table = scenes.table
    by_scene = pd.Series(by_hash(table["scene"].astype(str), _SALT), table.index)
    own = table.get("split", by_scene)
    counts = pd.crosstab(table["product"], own).reindex(columns=list(SHARES)[::-1], fill_value=0)
    home = table["product"].map(counts.idxmax(axis=1))  # the first of equals
    kept = table.assign(split=own)[(home == own).to_numpy()].reset_index(drop=True)
    kept.attrs.update(table.attrs, straddling=len(table) - len(kept))
    return replace(scenes, table=kept)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Held-out queries of an evaluation protocol: q scenes with hidden products, and a gallery.

    Each scene has one hidden product. The gallery holds the g hidden products of all queries, each
    once. Made by `held_out`.

    Parameters
    ----------
    rows : Tensor of shape (q,), int64
        The pairs.
    gallery : Tensor of shape (g,), int64
        Rows of the products.
    hidden : ndarray of shape (q,), int64
        The gallery column of each hidden product.
    in_scene : ndarray of shape (q, g), bool
        Which products of the gallery belong to the scene of each query.
    kinds : pair of ndarray
        Of the hidden products (q,), and of the gallery (g,).
    """

    rows: Tensor
    gallery: Tensor
    hidden: np.ndarray
    in_scene: np.ndarray
    kinds: tuple[np.ndarray, np.ndarray]

    def ranks(self, scores: np.ndarray) -> dict[str, Ranks]:
        """Evaluate scores by the strict protocol.

        Parameters
        ----------
        scores : ndarray of shape (q, g), float
            Of each query with each product of the gallery.

        Returns
        -------
        dict of str to Ranks
            "all kinds": the hidden product among all; "its kind": among those of its kind. In
            both, other products of the scene are ignored. "any of the scene": the first of the
            scene's products, the hidden one or another one that was held out with it.
        """
        hidden = np.arange(len(self.gallery)) == self.hidden[:, None]
        candidates = hidden | ~self.in_scene
        return {
            "all kinds": rank_hits(scores, hidden, candidates),
            "its kind": rank_hits(scores, hidden, candidates & self._same_kind()),
            "any of the scene": rank_hits(scores, self.in_scene),
        }

    def published_ranks(self, scores: np.ndarray) -> Ranks:
        """Evaluate scores (q, g) by the published protocol: a gallery of pairs with one hit each.

        A product of several pairs stands in the gallery once for each, and only the query's own
        row counts as a hit.
        """
        return rank_hits(scores[:, self.hidden], np.eye(len(self.hidden), dtype=bool))

    def binary_choice(self, scores: np.ndarray, seed: int = 0) -> np.ndarray:
        """Compare the hidden product with a random one of its kind.

        Products of the same scene are not sampled, and queries with nothing to sample are left
        out.

        Parameters
        ----------
        scores : ndarray of shape (q, g), float
            Of each query with each product of the gallery.
        seed : int
            The same seed gives the same negatives.

        Returns
        -------
        ndarray of shape (m,), float64
            With m <= q: 1 if the hidden product scores higher, 0 if not, and one half for a tie;
            their mean is the accuracy, .5 for chance.

        Raises
        ------
        DataError
            If a score is NaN.

        References
        ----------
        Kang et al. (2019), Complete the Look: Scene-based Complementary Product Recommendation,
        section 5.
        """
        check_finite(scores, "scores", infinity=True)
        allowed = self._same_kind() & ~self.in_scene
        each = np.flatnonzero(allowed.any(1))
        chances = np.random.default_rng(seed).random((len(each), allowed.shape[1]))
        negative = np.where(allowed[each], chances, -1).argmax(1)
        hidden, other = scores[each, self.hidden[each]], scores[each, negative]
        return (hidden > other) + (hidden == other) / 2

    def _same_kind(self) -> np.ndarray:
        return self.kinds[0][:, None] == self.kinds[1]


def held_out(pairs: Pairs, rows: Tensor) -> HeldOut:
    """Make held-out query scenes from pairs for an evaluation protocol, and a gallery of products.

    Parameters
    ----------
    pairs : Pairs
        Scenes and products.
    rows : Tensor of shape (q,), int64
        The pairs to evaluate.

    Returns
    -------
    HeldOut
        One query per pair.

    Raises
    ------
    DataError
        If there is no pair.
    """
    if not len(rows):
        raise DataError(
            "There is no pair of a scene and a product to evaluate, so a split is empty. "
            "Give more scenes."
        )
    gallery = pairs.product[rows].unique()
    hidden = torch.searchsorted(gallery, pairs.product[rows])
    scene = pairs.views.scene[rows].unique(return_inverse=True)[1]
    in_scene = torch.zeros(int(scene.max()) + 1, len(gallery), dtype=torch.bool)
    in_scene[scene, hidden] = True
    kinds = pairs.kinds[pairs.product[rows]].numpy(), pairs.kinds[gallery].numpy()
    return HeldOut(rows, gallery, hidden.numpy(), in_scene[scene].numpy(), kinds)


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
