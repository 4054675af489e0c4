"""Splits that do not leak: the same for everybody, and near-identical outfits always on one side.

A stylist who tries three belts with one outfit has made three outfits that differ by one item. With one of them in
training and one in the test, a model needs only its memory. So such outfits are joined first, and dealt together.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence

import numpy as np

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
"""How outfits are shared out where nobody has published a split."""


def near_identical(sets: Sequence[Collection[str]]) -> np.ndarray:
    """Join sets that are equal or differ by one item, directly or by way of others. Introduced in chapter 08.

    Two sets differ by one item if one has a single item more, or if one item of each is exchanged for another.

    Parameters
    ----------
    sets : n sets of item ids, in any order.

    Returns
    -------
    (n,) int64: the same number for sets that belong together, from 0 in the order of first appearance.
    """
    from scipy.sparse import (
        coo_array,
    )  # here, since whoever opens a catalogue imports this module, too
    from scipy.sparse.csgraph import connected_components

    # A set is tied to each of its subsets without one item. Exchanging an item keeps one of them, adding an item makes
    # the smaller set one of them: so sets that differ by one item are two steps or one step apart in this graph.
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
    """Deal keys to splits by a hash of each, so that everybody gets the same split, whatever else is there.

    Introduced in chapter 08.

    Parameters
    ----------
    keys : n names; equal ones come into the same split.
    salt : the name of the dataset, so that two datasets are dealt independently.
    shares : split -> its share; the shares sum to 1.

    Returns
    -------
    (n,) array of split names.
    """
    place = {
        key: int(hashlib.sha256(f"{salt}:{key}".encode()).hexdigest()[:8], 16) / 16**8
        for key in set(keys)
    }
    edges = np.cumsum(list(shares.values()))[:-1]
    names = np.array(list(shares), dtype=object)
    return names[np.searchsorted(edges, [place[key] for key in keys], side="right")]
