"""Make splits that do not leak: equal on every machine, near-identical outfits in the same split.

A stylist who tries three belts with one outfit makes three outfits that differ by one item. With
one of them in training and another in the test set, a model needs only its memory. So such outfits
are joined first, and put into a split together.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
"""The share of each split where none is published."""


def near_identical(sets: Sequence[Collection[str]]) -> np.ndarray:
    """Group near-identical outfits, at most one item apart, so that no split separates them.

    Two sets differ by one item if one has a single item more, or if one item of each is exchanged
    for another.

    Parameters
    ----------
    sets : sequence of n collections of str
        Item ids, in any order.

    Returns
    -------
    array of shape (n,), int64
        The same number for sets of one group, from 0 in the order of first appearance.
    """
    from scipy.sparse import coo_array  # imported here, since every reader imports this module
    from scipy.sparse.csgraph import connected_components

    # Each set is connected with its subsets without one item. Sets that differ by one exchanged
    # item share such a subset; if one set has an item more, the other is such a subset. So sets
    # that differ by one item are two steps or one step apart in this graph.
    nodes: dict[frozenset, int] = {}
    sources, targets, own = [], [], []
    for items in map(frozenset, sets):
        here = nodes.setdefault(items, len(nodes))
        own.append(here)
        for item in items:
            sources.append(here)
            targets.append(nodes.setdefault(items - {item}, len(nodes)))
    graph = coo_array(
        (np.ones(len(sources), bool), (sources, targets)), shape=(len(nodes), len(nodes))
    )
    _, component = connected_components(graph, directed=False)
    _, first, groups = np.unique(component[own], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[groups].astype(np.int64)


def by_hash(keys: Sequence[str], salt: str, shares: Mapping[str, float] = SHARES) -> np.ndarray:
    """Split keys into training, validation and test by a hash of each, and of nothing else.

    Parameters
    ----------
    keys : sequence of n str
        Equal keys come into the same split.
    salt : str
        The name of the dataset, so that the splits of two datasets are independent.
    shares : mapping of str to float
        Split -> its share; the shares sum to 1.

    Returns
    -------
    array of shape (n,), object
        Names of splits.
    """
    place = {key: _hash(salt, key) / 16**8 for key in set(keys)}
    edges = np.cumsum(list(shares.values()))[:-1]
    names = np.array(list(shares), dtype=object)
    return names[np.searchsorted(edges, [place[key] for key in keys], side="right")]


def by_category(
    keys: Sequence[str],
    categories: Sequence[str],
    salt: str,
    shares: Mapping[str, float] = SHARES,
) -> np.ndarray:
    """Split keys so that each category has its share of training, validation and test.

    Within a category the keys are taken in the order of their hashes, so that a small one is not
    short of a split by chance, as it can be with `by_hash`.

    Parameters
    ----------
    keys : sequence of n str
        All different.
    categories : sequence of n str
        The category of each key.
    salt : str
        As in `by_hash`.
    shares : mapping of str to float
        Split -> its share; the shares sum to 1.

    Returns
    -------
    array of shape (n,), object
        Names of splits.
    """
    order = pd.Series([_hash(salt, key) for key in keys]).groupby(list(categories))
    edges = np.cumsum(list(shares.values()))[:-1].round(9)
    names = np.array(list(shares), dtype=object)
    return names[np.searchsorted(edges, order.rank(method="first", pct=True))]


def _hash(salt: str, key: str) -> int:
    """A number below 16^8."""
    return int(hashlib.sha256(f"{salt}:{key}".encode()).hexdigest()[:8], 16)
