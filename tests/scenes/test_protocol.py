"""fashionnb.scenes.protocol: ranks of hits, against sorting by hand and every order of ties."""

from itertools import pairwise, permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionnb.data.catalogue import Catalogue, Scenes
from fashionnb.data.images import ArrayImages
from fashionnb.data.splits import by_hash
from fashionnb.errors import DataError
from fashionnb.scenes.protocol import rank_hits, split_by_pair, split_strictly


def mask(shape, rows, columns):
    """The cells of a table."""
    cells = np.zeros(shape, bool)
    cells[rows, columns] = True
    return cells


def by_hand(scores, true, k):
    """Over all orders that the scores allow: recall@k, and the mean rank of the first hit."""
    orders = [
        order
        for order in permutations(range(len(scores)))
        if all(scores[a] >= scores[b] for a, b in pairwise(order))
    ]
    first = [min(order.index(column) for column in true) + 1 for order in orders]
    return sum(place <= k for place in first) / len(first), sum(first) / len(first)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_as_by_hand(data):
    n = data.draw(st.integers(1, 6))
    scores = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    true = data.draw(st.sets(st.integers(0, n - 1), min_size=1))
    found = rank_hits(np.array([scores], float), mask((1, n), [0] * len(true), sorted(true)))
    for k in range(1, n + 2):
        share, place = by_hand(scores, true, k)
        assert found.recall(k)[0] == pytest.approx(share, abs=1e-9)
        # The first true one of the best score: lower true ones come later in every order.
        assert found.rank[0] == pytest.approx(place)
    assert found.reciprocal_rank[0] == pytest.approx(1 / found.rank[0])


def test_a_constant_scorer_gets_chance():
    found = rank_hits(np.zeros((3, 200)), mask((3, 200), [0, 1, 2], [0, 100, 199]))
    assert found.recall(10) == pytest.approx([0.05] * 3)
    assert found.rank == pytest.approx([100.5] * 3)
    assert (found.candidates == 200).all()


def test_the_first_of_many_hits_counts():
    scores = np.array([[5.0, 4, 3, 2], [1, 2, 3, 4]])
    found = rank_hits(scores, mask((2, 4), [0, 0, 1], [1, 3, 0]))
    assert found.rank.tolist() == [2, 4]


def test_only_candidates_are_ranked():
    scores = np.array([[9.0, 8, 7, 6]])
    found = rank_hits(scores, mask((1, 4), 0, 3), mask((1, 4), 0, [1, 3]))
    assert (found.rank.tolist(), found.candidates.tolist()) == ([2], [2])


@pytest.mark.parametrize(
    ("call", "phrase"),
    [
        (lambda: rank_hits(np.zeros(3), mask((1, 3), 0, 0)), r"\(queries, gallery\) = \(1, 3\)"),
        (lambda: rank_hits(np.full((1, 2), np.nan), mask((1, 2), 0, 0)), "without NaN"),
        (lambda: rank_hits(np.zeros((2, 2)), mask((2, 2), 0, 0)), "Query 1 has no hit"),
        (lambda: rank_hits(np.zeros((1, 2)), mask((1, 2), 0, 0)).recall(0), "k must be 1"),
    ],
)
def test_bad_input(call, phrase):
    with pytest.raises(DataError, match=phrase):
        call()


def made(pairs, split=None) -> Scenes:
    """Scenes of numbers, with one box."""
    products = sorted({product for _, product in pairs})
    table = pd.DataFrame({"id": products, "category": "a", "image": 0})
    catalogue = Catalogue("made", table, ArrayImages(np.zeros((1, 8, 8), np.uint8)), ("a",))
    rows = pd.DataFrame(pairs, columns=["scene", "product"]).assign(
        left=0.2, top=0.1, right=0.5, bottom=0.6
    )
    return Scenes(catalogue, catalogue.images, rows if split is None else rows.assign(split=split))


some_pairs = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from("abcdefghij")), min_size=1, max_size=60
)


@settings(deadline=None)
@given(some_pairs)
def test_strict_splits_share_no_scene_and_no_product(pairs):
    scenes = made(pairs)
    strict = split_strictly(scenes)
    assert len(strict) + strict.table.attrs["straddling"] == len(pairs)
    for column in ("scene", "product"):
        assert strict.table.groupby(column)["split"].nunique().max() == 1
    # A product keeps at least as many pairs as it would in any other split.
    own = dict(
        zip(
            scenes.table["scene"],
            by_hash(scenes.table["scene"].astype(str), "shop-the-look"),
            strict=True,
        )
    )
    for product in {product for _, product in pairs}:
        homes = [own[scene] for scene, other in pairs if other == product]
        assert (strict.table["product"] == product).sum() == max(
            homes.count(split) for split in homes
        )
    weak = split_by_pair(scenes)
    assert weak.table.groupby(["scene", "product"])["split"].nunique().max() == 1
    assert len(weak) == len(pairs)


def test_a_split_of_scenes_is_kept_and_ties_go_to_the_test():
    pairs = [(0, "a"), (1, "a"), (1, "b"), (2, "b"), (0, "b"), (2, "c"), (1, "d")]
    split = ["train", "test", "test", "validation", "train", "validation", "test"]
    strict = split_strictly(made(pairs, split))
    assert strict.table[["scene", "product", "split"]].to_numpy().tolist() == [
        [1, "a", "test"], [1, "b", "test"], [2, "c", "validation"], [1, "d", "test"],
    ]  # fmt: skip
    assert strict.table.attrs["straddling"] == 3
