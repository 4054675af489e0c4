"""Put items in order: the best by a score, several scores made into one, and a list whose items are not all alike.

All of it on plain arrays, one value per item. What the scores mean is decided in `fashionnb.search.recommend`. Equal
scores are ranked by row, the lower first, and a score says nothing about other items wherever that is possible. So one
item more in the catalogue takes its place in the ranking, and leaves the others in their order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fashionnb.errors import DataError

RRF = 60  # Cormack, Clarke & Büttcher's constant: how little the very first ranks stand out
RIDGE = 1e-3  # keeps weights finite where the judgements leave no doubt


def similarities(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """The product of each vector with the query: cosine similarity if all have length 1. Introduced in chapter 07.

    Row by row, so that equal vectors get equal values wherever they stand. A matrix product is no faster, and differs
    in the last bit between its blocks; then ties would depend on how many items there are.

    Parameters
    ----------
    vectors, query : (n, d) and (d,) float32.

    Returns
    -------
    (n,) float32.
    """
    return np.einsum("nd,d->n", vectors, query)


def best(scores: np.ndarray, k: int, rows: np.ndarray | None = None) -> np.ndarray:
    """The k highest scores, the highest first; equal ones by row. Introduced in chapter 07.

    Parameters
    ----------
    scores : (n,), no NaN. k : how many; fewer if there are fewer.
    rows : (m,) the only rows that count, ascending; None: all.

    Returns
    -------
    (at most k,) int64 rows.
    """
    rows = np.arange(len(scores)) if rows is None else np.asarray(rows, np.int64)
    values = scores[rows]
    if k < len(rows):
        least = np.partition(values, len(rows) - k)[len(rows) - k]
        above, equal = np.flatnonzero(values > least), np.flatnonzero(values == least)
        chosen = np.sort(np.concatenate([above, equal[: k - len(above)]]))
        rows, values = rows[chosen], values[chosen]
    return rows[np.argsort(-values, kind="stable")]


def diverse(relevance: np.ndarray, vectors: np.ndarray, k: int, diversity: float) -> np.ndarray:
    """Choose k of m candidates one after the other, each for its relevance and for being unlike those before it.

    Introduced in chapter 07. Carbonell & Goldstein 1998, "The Use of MMR": maximal marginal relevance. From its
    relevance a candidate loses `diversity` times its similarity to the most similar one already chosen.

    An item that is added to the candidates leaves the order of the others alone only until it is chosen itself; what
    comes after it is compared with it, too.

    Parameters
    ----------
    relevance, vectors : (m,) and (m, d) of length 1, the candidates in the order of their rows, so that ties go to the
        lower row.
    diversity : 0 (the most relevant) to 1 (as unlike as relevant).

    Returns
    -------
    (min(k, m),) int64 positions among the candidates, in the order of choice.
    """
    left = relevance.astype(np.float64)
    nearest = np.zeros(len(left))
    chosen = []
    for _ in range(min(k, len(left))):
        pick = int(np.argmax(left - diversity * nearest))
        chosen.append(pick)
        left[pick] = -np.inf
        np.maximum(nearest, similarities(vectors, vectors[pick]), out=nearest)
    return np.array(chosen, np.int64)


def fuse_scores(signals: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    """The weighted mean of several scores (n,) in [0, 1]; an item's score depends on that item alone. Chapter 07."""
    return sum(weights[name] * signals[name].astype(np.float64) for name in weights) / sum(
        weights.values()
    )


def fuse_ranks(signals: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    """Weighted reciprocal rank fusion: sum of weight / (60 + rank), from 0 to 1. Introduced in chapter 07.

    Cormack, Clarke & Büttcher 2009, "Reciprocal Rank Fusion Outperforms Condorcet". It needs no common scale, for only
    ranks count; equal values share the best rank of their group. But a rank depends on the other items: one item more
    can change the order of two others. Where that must not be, use `fuse_scores`.
    """
    total = np.zeros(len(next(iter(signals.values()))))
    for name, weight in weights.items():
        ascending = np.sort(signals[name])
        rank = len(ascending) - np.searchsorted(ascending, signals[name], side="right") + 1
        total += weight / (RRF + rank)
    return total * (RRF + 1) / sum(weights.values())


@dataclass(frozen=True, eq=False)
class Learnt:
    """Weights that were learnt from judgements, and what they are worth. Introduced in chapter 07.

    weights : signal -> share, 0 or more, 1 in all.
    auc, auc_equal : (q,) one for each query, held out when the weights for it were learnt: the chance that a relevant
        item stands above another, with those weights and with equal ones. 0.5 is a coin. Compare the two query by query
        (`fashionnb.evaluation.intervals`).
    """

    weights: dict[str, float]
    auc: np.ndarray
    auc_equal: np.ndarray


def learn_weights(
    signals: np.ndarray,
    relevant: np.ndarray,
    queries: np.ndarray,
    names: Sequence[str],
    folds: int = 5,
    seed: int = 0,
) -> Learnt:
    """Learn from judgements how much each signal counts. Introduced in chapter 07.

    Logistic regression with weights of 0 or more. Only the order within a query matters, so each signal counts from its
    mean over the query's items, and every query weighs the same, half for its relevant items. How good the weights are
    is measured by cross-validation over queries: those of a fold are scored by what the other folds taught.

    Parameters
    ----------
    signals : (j, m), one row per judgement. names : of the m signals.
    relevant : (j,) bool. queries : (j,) any labels; which judgements belong together.
    folds : 2 or more; fewer if there are fewer queries. seed : of the dealing of queries to folds.

    Returns
    -------
    Learnt : weights from all judgements.

    Raises
    ------
    DataError : shapes disagree, NaN, or fewer than two queries that have both a relevant item and another.
    """
    signals, relevant, queries = (
        np.asarray(signals, np.float64),
        np.asarray(relevant, bool),
        np.asarray(queries),
    )
    if signals.shape != (len(relevant), len(names)) or queries.shape != relevant.shape:
        raise DataError(
            f"Expected signals (j, {len(names)}), relevant (j,) and queries (j,), got {signals.shape}, "
            f"{relevant.shape} and {queries.shape}."
        )
    if not np.isfinite(signals).all():
        raise DataError("A signal is NaN or infinite; signals lie in [0, 1].")
    groups = [np.flatnonzero(queries == query) for query in np.unique(queries)]
    groups = [rows for rows in groups if 0 < relevant[rows].sum() < len(rows)]
    if len(groups) < 2 or folds < 2:
        raise DataError(
            f"Learning weights takes two folds and two queries or more that have both a relevant item and another; "
            f"got {folds} folds and {len(groups)} such queries."
        )
    fold = np.random.default_rng(seed).permutation(len(groups)) % min(folds, len(groups))
    auc, equal = np.empty(len(groups)), np.empty(len(groups))
    for held_out in range(fold.max() + 1):
        weights = _fit(signals, relevant, [groups[i] for i in np.flatnonzero(fold != held_out)])
        for i in np.flatnonzero(fold == held_out):
            auc[i] = _auc(signals[groups[i]] @ weights, relevant[groups[i]])
            equal[i] = _auc(signals[groups[i]].sum(1), relevant[groups[i]])
    weights = _fit(signals, relevant, groups)
    return Learnt(dict(zip(names, weights.tolist(), strict=True)), auc, equal)


def _fit(signals: np.ndarray, relevant: np.ndarray, groups: Sequence[np.ndarray]) -> np.ndarray:
    """Weights (m,), 0 or more, 1 in all."""
    x = np.concatenate([signals[rows] - signals[rows].mean(0) for rows in groups])
    sign = np.concatenate([np.where(relevant[rows], 1.0, -1.0) for rows in groups])
    share = np.concatenate(
        [0.5 / np.where(relevant[rows], *_counts(relevant[rows])) for rows in groups]
    ) / len(groups)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (x @ weights)
        slope = -share * sign / (1 + np.exp(np.minimum(margin, 500)))
        value = (share * np.logaddexp(0, -margin)).sum() + RIDGE / 2 * weights @ weights
        return value, x.T @ slope + RIDGE * weights

    m = signals.shape[1]
    from scipy.optimize import (
        minimize,
    )  # takes half a second to import, which who only asks need not wait for

    weights = minimize(loss, np.ones(m), jac=True, method="L-BFGS-B", bounds=[(0, None)] * m).x
    return weights / weights.sum() if weights.sum() > 0 else np.full(m, 1 / m)


def _counts(relevant: np.ndarray) -> tuple[int, int]:
    return int(relevant.sum()), int((~relevant).sum())


def _auc(scores: np.ndarray, relevant: np.ndarray) -> float:
    """The share of pairs of a relevant and another item in which the relevant one scores higher; a tie is half."""
    scores = np.round(scores, 12)  # sums of the same signals in another order are ties
    other = np.sort(scores[~relevant])
    below = np.searchsorted(other, scores[relevant], "left") + np.searchsorted(
        other, scores[relevant], "right"
    )
    return float(below.mean() / 2 / len(other))
