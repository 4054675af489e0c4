"""Places of true products, against sorting by hand and shuffling ties in every way."""

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionnb.errors import DataError
from fashionnb.scenes.protocol import binary, places


def by_hand(scores, true, k):
    """Over all orders that the scores allow: how often a true one is among the first k, and its mean place."""
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
    found = places(np.array([scores], float), [0] * len(true), sorted(true))
    for k in range(1, n + 2):
        share, place = by_hand(scores, true, k)
        assert found.recall(k)[0] == pytest.approx(share, abs=1e-9)
        # The first true one of the best score: lower true ones come later in every order.
        assert found.rank[0] == pytest.approx(place)
    assert found.mrr[0] == pytest.approx(1 / found.rank[0])


def test_a_constant_scorer_gets_chance():
    found = places(np.zeros((3, 200)), [0, 1, 2], [0, 100, 199])
    assert found.recall(10) == pytest.approx([0.05] * 3)
    assert found.rank == pytest.approx([100.5] * 3)
    assert (found.candidates == 200).all()


def test_the_first_of_many_true_ones_counts():
    scores = np.array([[5.0, 4, 3, 2], [1, 2, 3, 4]])
    found = places(scores, [0, 0, 1], [1, 3, 0])
    assert found.rank.tolist() == [2, 4]


def test_only_the_asked_kind():
    scores = np.array([[9.0, 8, 7, 6]])
    found = places(scores, [0, 0], [2, 3], kinds=(np.array(["b"]), np.array(["a", "b", "a", "b"])))
    assert (found.rank.tolist(), found.candidates.tolist()) == ([2], [2])


def test_what_is_left_out_is_neither_right_nor_wrong():
    scores = np.array([[9.0, 8, 7, 6]])
    found = places(scores, [0], [2], left_out=([0, 0], [0, 2]))  # what is true stays
    assert (found.rank.tolist(), found.candidates.tolist()) == ([2], [3])


def test_strips_do_not_show(monkeypatch):
    rng = np.random.default_rng(0)
    scores, query, right = (
        rng.integers(0, 9, (7, 30)).astype(float),
        np.arange(7),
        rng.integers(0, 30, 7),
    )
    out = (np.array([0, 3, 6]), np.array([4, 4, 4]))
    whole = places(scores, query, right, left_out=out)
    monkeypatch.setattr("fashionnb.scenes.protocol._ROWS", 2)
    parts = places(scores, query, right, left_out=out)
    np.testing.assert_array_equal(whole.rank, parts.rank)
    np.testing.assert_array_equal(whole.candidates, parts.candidates)


def test_binary():
    assert binary([1, 2, 3], [0, 2, 4]).tolist() == [1, 0.5, 0]


@pytest.mark.parametrize(
    ("call", "phrase"),
    [
        (lambda: places(np.zeros(3), [0], [0]), r"\(queries, gallery\)"),
        (lambda: places(np.full((1, 2), np.nan), [0], [0]), "without NaN"),
        (lambda: places(np.zeros((1, 2)), [0], [2]), "a row and a column within"),
        (lambda: places(np.zeros((1, 2)), [0, 0], [1]), "one column for each row"),
        (lambda: places(np.zeros((1, 2)), [0], [0], left_out=([1], [0])), "left out"),
        (lambda: places(np.zeros((2, 2)), [0], [0]), "Query 1 has no true product"),
        (lambda: places(np.zeros((1, 2)), [0], [0], kinds=(["a"], ["b", "a"])), "no true product"),
        (lambda: places(np.zeros((1, 2)), [0], [0], kinds=(["a"], ["a"])), "Kinds are"),
        (lambda: places(np.zeros((1, 2)), [0], [0]).recall(0), "k must be 1"),
        (lambda: binary([1.0], [1.0, 2.0]), "two scores for each query"),
        (lambda: binary([np.nan], [1.0]), "without NaN"),
    ],
)
def test_bad_input(call, phrase):
    with pytest.raises(DataError, match=phrase):
        call()
