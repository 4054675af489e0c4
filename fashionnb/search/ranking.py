"""Rank items: the best by a score, and diverse lists.

All functions take plain arrays with one value per item; what the scores mean is decided in
`fashionnb.search.recommend`. Equal scores are ranked by row, the lower first. A score depends on
its own item only, so an item that is added takes its place and leaves the others in their order.
"""

import numpy as np


def similarities(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Compute the cosine similarity of each item's vector to a query, to rank the items by.

    It is computed as a product, which is the cosine if all have length 1, and row by row, so that
    equal vectors get equal values wherever they are. A matrix product is no faster and differs in
    the last bit between its blocks, so ties would depend on the number of items.

    Parameters
    ----------
    vectors : ndarray of shape (n, d), float32
        One per item.
    query : ndarray of shape (d,), float32
        The vector to compare with.

    Returns
    -------
    ndarray of shape (n,), float32
        From -1 to 1 if all have length 1.
    """
    return np.einsum("nd,d->n", vectors, query)


def best(scores: np.ndarray, k: int, rows: np.ndarray | None = None) -> np.ndarray:
    """Rank items by their scores: the rows of the k highest, the highest first.

    Equal scores are in the order of the rows.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Of the items, without NaN.
    k : int
        How many, 1 or more.
    rows : ndarray of shape (m,), int64, optional
        The only rows that count, ascending. By default all.

    Returns
    -------
    ndarray of shape (min(k, m),), int64
        Rows.
    """
    rows = np.arange(len(scores)) if rows is None else np.asarray(rows, np.int64)
    return rows[np.argsort(-scores[rows], kind="stable")[:k]]


def diverse(relevance: np.ndarray, vectors: np.ndarray, k: int, diversity: float) -> np.ndarray:
    """Rank candidates for relevance and diversity: each should differ from those before.

    This is maximal marginal relevance: a candidate's relevance is reduced by `diversity` times its
    similarity to the most similar candidate chosen before. So an added candidate leaves the order
    of the others alone only until it is chosen itself.

    Parameters
    ----------
    relevance : ndarray of shape (m,)
        The candidates in the order of their rows, so that ties go to the lower row.
    vectors : ndarray of shape (m, d), float32
        Each of length 1.
    k : int
        How many to choose.
    diversity : float
        From 0 (relevance only) to 1.

    Returns
    -------
    ndarray of shape (min(k, m),), int64
        Positions among the candidates, in the order of choice.

    References
    ----------
    Carbonell & Goldstein (1998), The Use of MMR, Diversity-Based Reranking for Reordering
    Documents.
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
