"""At which place does a product that is in the scene come? For rankings of products, one for each scene.

Everything takes scores, higher for what goes better with the scene. The protocol is in the arguments: a gallery of
pairs or of products, all of it or the asked kind only, and which columns are true for which scene. Ties are counted as
a fair shuffle would: whoever says the same of all products gets what chance gets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from scipy.special import gammaln
from torch import Tensor

from fashionnb.data.catalogue import Scenes
from fashionnb.data.splits import SHARES, by_hash
from fashionnb.errors import DataError
from fashionnb.scenes.features import Pairs

_ROWS = 256  # queries at a time, so that little more than the scores lies in memory


@dataclass(frozen=True, eq=False)
class Places:
    """Where the first true product of each of q queries stands. Introduced in chapter 11.

    better : (q,) int64, how many wrong candidates score higher than the best true one.
    equal : (q,) int64, how many candidates, true ones too, score as it does. true : (q,) int64, how many of these are.
    candidates : (q,) int64, among how many.
    """

    better: np.ndarray
    equal: np.ndarray
    true: np.ndarray
    candidates: np.ndarray

    def __len__(self) -> int:
        return len(self.better)

    def recall(self, k: int) -> np.ndarray:
        """Is a true product among the first k? (q,) float64: 1, 0, or the chance that it is, if ties are shuffled.

        Raises `DataError` if k is below 1.
        """
        if k < 1:
            raise DataError(f"recall@{k} means nothing: k must be 1 or more.")
        free = np.clip(
            k - self.better, 0, self.equal
        )  # the places of the tied ones within the first k
        wrong = self.equal - self.true
        # Of all ways to choose who comes first, those with wrong ones only.
        miss = np.exp(_log_choose(np.maximum(wrong, free), free) - _log_choose(self.equal, free))
        return np.where(free > wrong, 1.0, np.where(free == 0, 0.0, 1 - miss))

    @property
    def rank(self) -> np.ndarray:
        """The place of the first true product, 1 is best; with ties the mean over all shuffles, (q,) float64."""
        return self.better + (self.equal + 1) / (self.true + 1)

    @property
    def mrr(self) -> np.ndarray:
        """1 / `rank`, (q,) float64; their mean is the mean reciprocal rank."""
        return 1 / self.rank


def places(
    scores: np.ndarray,
    query: Sequence[int] | np.ndarray,
    right: Sequence[int] | np.ndarray,
    *,
    kinds: tuple[np.ndarray, np.ndarray] | None = None,
    left_out: tuple[np.ndarray, np.ndarray] | None = None,
) -> Places:
    """Rank the gallery for each scene, and look where the first true product comes. Introduced in chapter 11.

    Parameters
    ----------
    scores : (q, g) float, of each query with each product of the gallery.
    query, right : (t,) int each: column `right` is true for row `query`. A query may have many.
    kinds : the kind that each query asks for (q,), and that each product is (g,): only these are candidates. None: all.
    left_out : rows and columns that are neither right nor wrong, such as a product that can be seen in the scene. What
        is true is not left out.

    Raises
    ------
    DataError : shapes disagree, NaN, a row or column that is not there, or a query without a true candidate.
    """
    scores = np.asarray(scores)
    if scores.ndim != 2 or 0 in scores.shape or np.isnan(scores).any():
        raise DataError(
            f"Scores are (queries, gallery) without NaN, got {scores.dtype} {scores.shape}."
        )
    query, right = _within(query, right, scores.shape, "true")
    q, g = scores.shape
    asked, is_kind = (
        (np.zeros(q, int), np.zeros(g, int)) if kinds is None else map(np.asarray, kinds)
    )
    if asked.shape != (q,) or is_kind.shape != (g,):
        raise DataError(
            f"Kinds are ({q},) and ({g},) for scores {scores.shape}; got {asked.shape}, {is_kind.shape}."
        )
    rows, columns = _within(*(left_out or ([], [])), scores.shape, "left out")
    counts = np.empty((4, q), np.int64)
    for start in range(0, q, _ROWS):
        stop = min(start + _ROWS, q)
        some = scores[start:stop]
        candidate = asked[start:stop, None] == is_kind
        here = (rows >= start) & (rows < stop)
        candidate[rows[here] - start, columns[here]] = False
        true = np.zeros_like(candidate)
        here = (query >= start) & (query < stop)
        true[query[here] - start, right[here]] = True
        true &= asked[start:stop, None] == is_kind
        candidate |= true
        if not true.any(1).all():
            lacking = start + int(np.flatnonzero(~true.any(1))[0])
            raise DataError(
                f"Query {lacking} has no true product among its candidates, so it has no rank. Leave it out."
            )
        best = np.where(true, some, -np.inf).max(1, keepdims=True)
        level = candidate & (some == best)
        counts[:, start:stop] = (
            (candidate & (some > best)).sum(1), level.sum(1), (level & true).sum(1), candidate.sum(1)
        )  # fmt: skip
    return Places(*counts)


def binary(right: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Does the true product score above one other of its kind? Introduced in chapter 11. Kang et al. 2019, section 5.

    Parameters
    ----------
    right, wrong : (q,) scores of the true product, and of another one of the same category.

    Returns
    -------
    (q,) float64: 1, 0, or one half for a tie; their mean is the accuracy, .5 for chance.

    Raises
    ------
    DataError : shapes disagree, or NaN.
    """
    right, wrong = np.asarray(right, float), np.asarray(wrong, float)
    if (
        right.ndim != 1
        or right.shape != wrong.shape
        or np.isnan(right).any()
        or np.isnan(wrong).any()
    ):
        raise DataError(
            f"Expected two scores for each query, without NaN; got {right.shape} and {wrong.shape}."
        )
    return (right > wrong) + (right == wrong) / 2


def _within(
    rows: Sequence[int], columns: Sequence[int], shape: tuple[int, int], what: str
) -> list[np.ndarray]:
    pair = [np.asarray(side, np.int64) for side in (rows, columns)]
    good = pair[0].ndim == 1 and pair[0].shape == pair[1].shape
    if not good or any(
        ((side < 0) | (side >= most)).any() for side, most in zip(pair, shape, strict=True)
    ):
        raise DataError(
            f"What is {what} must be a row and a column within {shape}, one column for each row."
        )
    return pair


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


_SALT = "shop-the-look"  # of the hash that deals pairs and scenes


def split_by_pair(scenes: Scenes) -> Scenes:
    """Deal the pairs to splits one by one, by a hash, as others did. Introduced in chapter 11.

    Weak: a scene, and a product, may be in training and in the test. For parity with published numbers only.
    """
    keys = (scenes.table["scene"].astype(str) + " " + scenes.table["product"]).tolist()
    return replace(scenes, table=scenes.table.assign(split=by_hash(keys, _SALT)))


def split_strictly(scenes: Scenes) -> Scenes:
    """Splits that share neither a scene nor a product. Introduced in chapter 11.

    A scene has the split that the table gives it, or one by a hash. A product goes where most of its pairs are, in a
    tie to test before validation before train. Pairs whose product went elsewhere are left out;
    `table.attrs["straddling"]` counts them.
    """
    table = scenes.table
    own = (
        table["split"]
        if "split" in table
        else pd.Series(by_hash(table["scene"].astype(str), _SALT), table.index)
    )
    counts = pd.crosstab(table["product"], own).reindex(columns=list(SHARES)[::-1], fill_value=0)
    home = table["product"].map(counts.idxmax(axis=1))  # the first of equals
    kept = table.assign(split=own)[(home == own).to_numpy()].reset_index(drop=True)
    kept.attrs.update(table.attrs, straddling=len(table) - len(kept))
    return replace(scenes, table=kept)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """q scenes, each with one product hidden, and g products to choose from: those of all q, each once. Chapter 11.

    rows : (q,) int64, of the pairs. gallery : (g,) int64, rows of the products. own : (q,) columns of the hidden ones.
    query, right : (t,) each, every true column of each query. kinds : of the queries (q,), of the gallery (g,).
    """

    rows: Tensor
    gallery: Tensor
    own: np.ndarray
    query: np.ndarray
    right: np.ndarray
    kinds: tuple[np.ndarray, np.ndarray]

    def places(self, scores: np.ndarray) -> dict[str, Places]:
        """Judge scores (q, g) by the strict protocol.

        Returns
        -------
        "all kinds" : where the hidden product stands among all. "its kind" : among those of its kind. In both, other
            products of the scene are neither right nor wrong. "any of the scene" : where the first of the scene's
            products stands, the hidden one or another that was held back with it.
        """
        each, siblings = np.arange(len(self.own)), self.right != self.own[self.query]
        left_out = self.query[siblings], self.right[siblings]
        return {
            "all kinds": places(scores, each, self.own, left_out=left_out),
            "its kind": places(scores, each, self.own, kinds=self.kinds, left_out=left_out),
            "any of the scene": places(scores, self.query, self.right),
        }

    def published(self, scores: np.ndarray) -> Places:
        """Judge scores (q, g) by the published protocol: a gallery of pairs, in which only the own row is right.

        A product that is in many pairs stands in the gallery as often, each time but one as a wrong answer.
        """
        each = np.arange(len(self.own))
        return places(scores[:, self.own], each, each)

    def binary(self, scores: np.ndarray, seed: int = 0) -> np.ndarray:
        """Is the hidden product above another of its kind, drawn at random? (m,) float64 1, 0 or .5; m <= q.

        Kang et al. 2019, section 5. Products of the same scene are not drawn; queries with nothing to draw are left
        out.
        """
        rng, allowed = np.random.default_rng(seed), self.kinds[0][:, None] == self.kinds[1]
        allowed[self.query, self.right] = False
        each = np.flatnonzero(allowed.any(1))
        wrong = np.where(allowed[each], rng.random((len(each), allowed.shape[1])), -1).argmax(1)
        return binary(scores[each, self.own[each]], scores[each, wrong])


def held_out(pairs: Pairs, rows: Tensor) -> HeldOut:
    """Ask about these pairs. Introduced in chapter 11. rows : (q,) int64, of the pairs."""
    gallery = pairs.product[rows].unique()
    own = torch.searchsorted(gallery, pairs.product[rows])
    scene = pairs.views.scene[rows].unique(return_inverse=True)[1]
    true = torch.zeros(int(scene.max()) + 1, len(gallery), dtype=torch.bool)
    true[scene, own] = True
    query, right = true[scene].nonzero(as_tuple=True)
    kinds = pairs.kinds[pairs.product[rows]].numpy(), pairs.kinds[gallery].numpy()
    return HeldOut(rows, gallery, own.numpy(), query.numpy(), right.numpy(), kinds)
