"""Retrieval measured against judgements: pairs of items that people found alike, with grades.

`fashionnb.evaluation.retrieval` takes all items of a class as relevant; here each query has its own
few, such as what customers clicked or an editor chose.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from fashionnb.evaluation.neighbours import Array, strips, vectors
from fashionnb.evaluation.retrieval import order_keys


def judged_retrieval(
    embeddings: Array, judged: Mapping[int, Mapping[int, float]], ks: Sequence[int] = (1, 5, 10)
) -> dict[str, np.ndarray]:
    """Score the retrieval of judged items: recall at k, MRR and nDCG of each query.

    Each query is searched among all other items by cosine similarity; of equally similar ones the
    lower row is first.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d)
        Of all items.
    judged : mapping of int to mapping of int to float
        Row of a query -> rows that are relevant to it, others than itself, each with its grade
        above 0.
    ks : sequence of int
        How many of the first items count.

    Returns
    -------
    dict of str to ndarray of shape (queries,), float64
        "recall@k": the share of the relevant items among the first k; "mrr": 1 / rank of the first
        relevant item; "ndcg@k": the discounted sum of grades among the first k, as a share of the
        largest that is possible.

    Raises
    ------
    DataError
        If the embeddings have NaN or a length of 0.

    References
    ----------
    Jarvelin & Kekalainen (2002), Cumulated Gain-Based Evaluation of IR Techniques.
    """
    gallery = vectors(embeddings, "embeddings", "cosine")
    queries = torch.tensor(list(judged))
    rows: list[dict[str, float]] = []
    for part, distances in strips(gallery[queries], gallery):
        keys = order_keys(distances, queries[part])
        for own, query in zip(keys, queries[part].tolist(), strict=True):
            relevant = judged[query]
            ranks = np.array([int((own <= own[row]).sum()) for row in relevant])
            rows.append(_scores(ranks, np.array([*relevant.values()], float), ks))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _scores(ranks: np.ndarray, grades: np.ndarray, ks: Sequence[int]) -> dict[str, float]:
    """All metrics of one query, from the ranks (from 1) and grades of what is relevant."""
    ideal = np.sort(grades)[::-1] / np.log2(np.arange(2, len(grades) + 2))
    gains = grades / np.log2(ranks + 1)
    scores = {f"recall@{k}": float((ranks <= k).mean()) for k in ks}
    scores["mrr"] = 1 / float(ranks.min())
    return scores | {f"ndcg@{k}": float(gains[ranks <= k].sum() / ideal[:k].sum()) for k in ks}
