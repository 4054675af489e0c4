"""Compatibility metrics against their definitions in plain Python, with many ties, and chance."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionnb.errors import DataError
from fashionnb.evaluation.compatibility import (
    auc,
    by_part,
    fitb,
    mean_by,
    outfit_pairs,
    question_pairs,
    ranks,
    recall_at,
)

few = st.integers(-2, 2)  # so that ties are common


def auc_by_pairs(scores, labels):
    """Every compatible one against every incompatible one."""
    wins = [
        1 if good > bad else Fraction(1, 2) if good == bad else 0
        for good, yes in zip(scores, labels, strict=True)
        if yes
        for bad, no in zip(scores, labels, strict=True)
        if not no
    ]
    return float(Fraction(sum(wins), len(wins)))


def recall_by_orders(scores, truth, k):
    """The share of all orders of equals in which the right one is among the first k."""
    better = sum(score > scores[truth] for score in scores)
    equal = sum(score == scores[truth] for score in scores)
    places = [better + i for i in range(equal)]  # each place is equally likely
    return float(Fraction(sum(place < k for place in places), equal))


@settings(deadline=None)
@given(st.lists(st.tuples(few, st.booleans()), min_size=2, max_size=20))
def test_auc_is_the_share_of_pairs_that_are_won(rows):
    scores, labels = [row[0] for row in rows], [row[1] for row in rows]
    if len(set(labels)) < 2:
        with pytest.raises(DataError, match="two kinds"):
            auc(scores, labels)
    else:
        assert auc(scores, labels) == auc_by_pairs(scores, labels)


@given(
    st.lists(st.booleans(), min_size=2, max_size=30).filter(lambda labels: len(set(labels)) == 2),
    st.floats(-9, 9),
)
def test_a_constant_scorer_has_an_auc_of_one_half_exactly(labels, constant):
    assert auc([constant] * len(labels), labels) == 0.5


def test_scikit_learn_agrees():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=500).round(1), rng.integers(0, 2, 500)
    assert auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert auc(-scores, labels) == pytest.approx(1 - auc(scores, labels))


@settings(deadline=None)
@given(
    st.integers(1, 6).flatmap(
        lambda n: st.lists(st.lists(few, min_size=n, max_size=n), min_size=1, max_size=8)
    ),
    st.data(),
)
def test_recall_and_fitb_are_what_random_ties_give(scores, data):
    n = len(scores[0])
    truth = data.draw(st.lists(st.integers(0, n - 1), min_size=len(scores), max_size=len(scores)))
    for k in (1, 2, 9):
        expected = [
            recall_by_orders(row, right, k) for row, right in zip(scores, truth, strict=True)
        ]
        assert recall_at(scores, truth, k).tolist() == expected
    assert fitb(scores, truth).tolist() == [
        recall_by_orders(row, right, 1) for row, right in zip(scores, truth, strict=True)
    ]


@pytest.mark.parametrize("where", [0, 1, 3])
def test_a_constant_scorer_gets_exactly_a_quarter_wherever_the_right_answer_is(where):
    assert fitb(np.zeros((7, 4)), np.full(7, where)).tolist() == [0.25] * 7
    assert fitb(np.full((7, 4), 1 / 3), np.full(7, where)).mean() == 0.25


def latin_questions(groups):
    """Four items a group; each is right once and wrong three times, and each place is right once."""
    answers, truth = [], []
    for group in range(groups):
        for right in range(4):
            place = (right + group) % 4
            others = [item for item in range(4) if item != right]
            answers.append([4 * group + item for item in (*others[:place], right, *others[place:])])
            truth.append(place)
    return np.array(answers), np.array(truth)


def test_scorers_that_know_only_the_order_get_exactly_a_quarter():
    """By the item's id, forwards and backwards, and by the place in the list."""
    answers, truth = latin_questions(6)
    for scores in (
        answers,
        -answers,
        np.tile(np.arange(4), (24, 1)),
        np.tile([3, 2, 1, 0], (24, 1)),
    ):
        assert fitb(scores.astype(float), truth).mean() == 0.25


def test_an_id_order_scorer_has_an_auc_of_one_half_exactly():
    """Compatible outfits (i, n + i) and incompatible (i, 2n - 1 - i) hold the same items equally often."""
    n = 10
    outfits = [(i, n + i) for i in range(n)] + [(i, 2 * n - 1 - i) for i in range(n)]
    labels = np.repeat([1, 0], n)
    pairs, owner = outfit_pairs(outfits)
    by_id = pairs.sum(1).astype(float)
    assert auc(mean_by(by_id, owner, 2 * n), labels) == 0.5


def test_a_collapsed_model_gets_nothing_for_free():
    """All items on one point, outfits of all sizes, scores that are no round numbers."""
    rng = np.random.default_rng(0)
    outfits = [rng.choice(100, rng.integers(2, 9), replace=False) for _ in range(50)]
    labels = np.arange(50) % 2
    point = rng.normal(size=16)
    pairs, owner = outfit_pairs(outfits)
    scores = np.full(len(pairs), -np.linalg.norm(point * 0.3 - point * 0.1))
    assert auc(mean_by(scores, owner, 50), labels) == 0.5
    pairs, owner = question_pairs(outfits, [[0, 1, 2, 3]] * 50)
    scores = mean_by(np.full(len(pairs), 0.1), owner, 200).reshape(50, 4)
    assert fitb(scores, rng.integers(0, 4, 50)).mean() == 0.25


def test_a_perfect_scorer_is_perfect():
    truth = np.array([0, 3, 2])
    scores = np.eye(4)[truth]
    assert fitb(scores, truth).tolist() == [1, 1, 1]
    assert fitb(-scores, truth).tolist() == [0, 0, 0]
    assert ranks(scores, truth).tolist() == [1, 1, 1]
    assert auc([0.1, 0.9, 0.8], [0, 1, 1]) == 1


def test_ranks_put_equals_in_their_middle():
    assert ranks([[3.0, 3, 3, 1]], [1]).tolist() == [2]
    assert ranks([[3.0, 3, 2, 1]], [3]).tolist() == [4]
    assert ranks([[-np.inf, 3, 2, 1]], [3]).tolist() == [3]


def test_what_is_no_candidate_is_not_ranked():
    scores = np.array([[0.9, 0.5, 0.4, 0.1]])
    assert recall_at(scores, np.array([2]), 1) == 0
    scores[:, :2] = -np.inf
    assert recall_at(scores, np.array([2]), 1) == 1
    with pytest.raises(DataError, match="no candidate"):
        recall_at(scores, np.array([0]), 1)


@given(
    st.lists(
        st.lists(st.integers(0, 50), min_size=2, max_size=6, unique=True), min_size=1, max_size=6
    )
)
def test_outfit_pairs_are_all_pairs(outfits):
    pairs, owner = outfit_pairs(outfits)
    expected = [
        (number, a, b) for number, items in enumerate(outfits) for a, b in combinations(items, 2)
    ]
    assert [(o, a, b) for o, (a, b) in zip(owner.tolist(), pairs.tolist(), strict=True)] == expected


def test_question_pairs_join_each_answer_with_each_item():
    pairs, owner = question_pairs([["a", "b"], ["c"]], [["x", "y"], ["y", "z"]])
    assert pairs.tolist() == [
        ["a", "x"],
        ["b", "x"],
        ["a", "y"],
        ["b", "y"],
        ["c", "y"],
        ["c", "z"],
    ]
    assert owner.tolist() == [0, 0, 1, 1, 2, 3]
    scores = mean_by(np.array([1.0, 3, 0, 0, 5, 7]), owner, 4).reshape(2, 2)
    assert scores.tolist() == [[2, 0], [5, 7]]


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(-100, 100)), min_size=1, max_size=30))
def test_mean_by_is_the_mean(rows):
    rows = [*rows, *((owner, 1.5) for owner in range(5))]
    owner, values = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    expected = [values[owner == i].mean() for i in range(5)]
    np.testing.assert_allclose(mean_by(values, owner, 5), expected, atol=1e-9)


def test_parts_come_with_their_own_intervals_largest_first():
    values = np.array([1.0, 0, 1, 1, 0.25])
    parts = by_part(values, ["shoes", "bag", "shoes", "shoes", "bag"])
    assert parts[["part", "questions", "mean"]].to_numpy().tolist() == [
        ["shoes", 3, 1.0],
        ["bag", 2, 0.125],
    ]
    assert parts.loc[0, "low"] == parts.loc[0, "high"] == 1
    assert (parts["questions"] * parts["mean"]).sum() == pytest.approx(values.sum())


@pytest.mark.parametrize(
    ("call", "phrase"),
    [
        (lambda: auc([0.1, np.nan], [0, 1]), "scores: row 1 holds NaN"),
        (lambda: auc([0.1, 0.2], [0, 1, 1]), "labels: expected .*one label for each"),
        (lambda: auc([0.1, 0.2], [0, 2]), r"Labels are 1 \(compatible\) or 0"),
        (lambda: auc([0.1, 0.2], [1, 1]), "2 compatible and 0 incompatible"),
        (lambda: auc([], []), "at least 1"),
        (lambda: fitb(np.zeros(4), np.zeros(4, int)), r"scores: expected .*\(questions, answers\)"),
        (
            lambda: fitb(np.zeros((2, 4)), np.zeros(3, int)),
            r"truth: expected whole \(2,\)",
        ),
        (lambda: fitb(np.zeros((2, 4)), np.zeros(2)), "truth: expected whole"),
        (lambda: fitb(np.zeros((2, 4)), np.array([0, 4])), "from 0 to below 4"),
        (
            lambda: fitb(np.array([[0, np.nan]]), np.array([0])),
            "scores: row 0 holds NaN",
        ),
        (lambda: recall_at(np.zeros((1, 4)), np.array([0]), 0), "recall@0 means nothing"),
        (lambda: outfit_pairs([("a", "b"), ("c",)]), "Outfit 1 has 1 item"),
        (lambda: question_pairs([["a"]], [["b"], ["c"]]), "one list of answers each"),
        (lambda: question_pairs([["a"], ["b"]], [["b"], ["c", "d"]]), "same length"),
        (lambda: question_pairs([[]], [["b"]]), "shows no item"),
        (lambda: mean_by(np.zeros(3), np.array([0, 0, 2]), 3), "number 1 has none"),
        (lambda: mean_by(np.zeros(3), np.array([0, 1]), 2), "owner: expected .*one owner for each"),
        (lambda: by_part(np.zeros(3), ["a"]), "parts: expected .*one part for each"),
    ],
)
def test_bad_input(call, phrase):
    with pytest.raises(DataError, match=phrase):
        call()
