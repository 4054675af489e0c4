"""Evaluation protocols of complete-the-look: splits, held-out queries, and ranks of the products.

A query is a scene, the gallery holds products, and a hit is a product that belongs to the scene.
Scores are higher for products that fit better. Ties are counted as a random order of the tied
candidates would: a model that gives all products the same score is as good as chance.
"""

from collections.abc import Sequence
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
        misses = self.tied - self.tied_hits
        # Of all ways to fill these places with tied candidates, those without a hit.
        ways = _log_choose(np.maximum(misses, places), places)
        no_hit = np.exp(ways - _log_choose(self.tied, places))
        return np.where(places > misses, 1.0, np.where(places == 0, 0.0, 1 - no_hit))

    @property
    def rank(self) -> np.ndarray:
        """The rank of the first hit, 1 is best; with ties the mean over all orders, (q,)."""
        return self.above + (self.tied + 1) / (self.tied_hits + 1)

    @property
    def reciprocal_rank(self) -> np.ndarray:
        """1 / `rank`, (q,) float64; their mean is the mean reciprocal rank (MRR)."""
        return 1 / self.rank


def rank_hits(
    scores: np.ndarray,
    query: Sequence[int] | np.ndarray,
    hit: Sequence[int] | np.ndarray,
    *,
    kinds: tuple[np.ndarray, np.ndarray] | None = None,
    ignored: tuple[np.ndarray, np.ndarray] | None = None,
) -> Ranks:
    """Rank the gallery of products for each query scene, and find the first hit, for a protocol.

    Parameters
    ----------
    scores : ndarray of shape (q, g), float
        Of each query with each product of the gallery.
    query, hit : array_like of shape (t,), int
        Column `hit` is a hit of row `query`. A query may have several.
    kinds : pair of ndarray, optional
        The kind that each query asks for (q,), and that of each product (g,): only these are
        candidates. Without it all are.
    ignored : pair of ndarray, optional
        Rows and columns that are neither hits nor candidates, such as a product that can be seen
        in the scene. A hit is never ignored.

    Returns
    -------
    Ranks
        Of the q queries.

    Raises
    ------
    DataError
        If shapes disagree, a score is NaN, a row or column does not exist, or a query has no hit
        among its candidates.
    """
    scores = np.asarray(scores)
    if scores.ndim != 2 or 0 in scores.shape or np.isnan(scores).any():
        raise DataError(
            f"Scores are (queries, gallery) without NaN, got {scores.dtype} {scores.shape}."
        )
    is_hit = _mask(query, hit, scores.shape, "A hit")
    candidate = is_hit | ~_mask(*(ignored or ([], [])), scores.shape, "An ignored candidate")
    if kinds is not None:
        wanted, gallery = map(np.asarray, kinds)
        if (*wanted.shape, *gallery.shape) != scores.shape:
            raise DataError(
                f"Kinds are (queries,) and (gallery,) for scores {scores.shape}; "
                f"got {wanted.shape}, {gallery.shape}."
            )
        right_kind = wanted[:, None] == gallery
        is_hit &= right_kind
        candidate &= right_kind
    lacking = np.flatnonzero(~is_hit.any(1))
    if len(lacking):
        raise DataError(
            f"Query {lacking[0]} has no hit among its candidates, so it has no rank. Leave it out."
        )
    best = np.where(is_hit, scores, -np.inf).max(1, keepdims=True)
    tied = candidate & (scores == best)
    above = candidate & (scores > best)
    return Ranks(above.sum(1), tied.sum(1), (tied & is_hit).sum(1), candidate.sum(1))


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
    if "split" in table:
        own = table["split"]
    else:
        own = pd.Series(by_hash(table["scene"].astype(str), _SALT), table.index)
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
    query, hit : ndarray of shape (t,), int64
        Every gallery column that belongs to the scene of each query.
    kinds : pair of ndarray
        Of the hidden products (q,), and of the gallery (g,).
    """

    rows: Tensor
    gallery: Tensor
    hidden: np.ndarray
    query: np.ndarray
    hit: np.ndarray
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
        each, other = np.arange(len(self.hidden)), self.hit != self.hidden[self.query]
        ignored = self.query[other], self.hit[other]
        return {
            "all kinds": rank_hits(scores, each, self.hidden, ignored=ignored),
            "its kind": rank_hits(scores, each, self.hidden, kinds=self.kinds, ignored=ignored),
            "any of the scene": rank_hits(scores, self.query, self.hit),
        }

    def published_ranks(self, scores: np.ndarray) -> Ranks:
        """Evaluate scores (q, g) by the published protocol: a gallery of pairs with one hit each.

        A product of several pairs stands in the gallery once for each, and only the query's own
        row counts as a hit.
        """
        each = np.arange(len(self.hidden))
        return rank_hits(scores[:, self.hidden], each, each)

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
        rng, allowed = np.random.default_rng(seed), self.kinds[0][:, None] == self.kinds[1]
        allowed[self.query, self.hit] = False
        each = np.flatnonzero(allowed.any(1))
        chances = rng.random((len(each), allowed.shape[1]))
        negative = np.where(allowed[each], chances, -1).argmax(1)
        hidden, other = scores[each, self.hidden[each]], scores[each, negative]
        return (hidden > other) + (hidden == other) / 2


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
    """
    gallery = pairs.product[rows].unique()
    hidden = torch.searchsorted(gallery, pairs.product[rows])
    scene = pairs.views.scene[rows].unique(return_inverse=True)[1]
    in_scene = torch.zeros(int(scene.max()) + 1, len(gallery), dtype=torch.bool)
    in_scene[scene, hidden] = True
    query, hit = in_scene[scene].nonzero(as_tuple=True)
    kinds = pairs.kinds[pairs.product[rows]].numpy(), pairs.kinds[gallery].numpy()
    return HeldOut(rows, gallery, hidden.numpy(), query.numpy(), hit.numpy(), kinds)


def _mask(
    rows: Sequence[int], columns: Sequence[int], shape: tuple[int, int], what: str
) -> np.ndarray:
    """The cells of a table as a mask."""
    cells = np.asarray(rows, np.int64), np.asarray(columns, np.int64)
    if cells[0].shape != cells[1].shape or not all(
        ((side >= 0) & (side < most)).all() for side, most in zip(cells, shape, strict=True)
    ):
        raise DataError(f"{what} is a row and a column within {shape}, one column for each row.")
    mask = np.zeros(shape, bool)
    mask[cells] = True
    return mask


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
