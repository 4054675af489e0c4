"""fashionnb.search.ranking: each order is the one that its definition gives, ties included."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashionnb.errors import DataError
from fashionnb.search.ranking import (
    best,
    diverse,
    fuse_ranks,
    fuse_scores,
    learn_weights,
    similarities,
)

few_values = st.lists(st.integers(0, 3), min_size=1, max_size=12)  # so few that there are ties


def directions(values: list[tuple[int, int]]) -> np.ndarray:
    """Vectors of length 1 in the plane, (n, 2) float32; many are equal."""
    x = np.array(values, np.float32) + np.float32(0.5)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@given(few_values, st.integers(1, 14), st.data())
def test_best_is_the_sorted_beginning(scores, k, data):
    rows = sorted(data.draw(st.sets(st.sampled_from(range(len(scores))))))
    expected = sorted(rows, key=lambda row: (-scores[row], row))[:k]
    assert best(np.array(scores, float), k, np.array(rows, int)).tolist() == expected
    everything = sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:k]
    assert best(np.array(scores, float), k).tolist() == everything


@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 2**32 - 1), st.data())
def test_a_similarity_does_not_depend_on_the_company(d, n, seed, data):
    """Bit by bit: else two copies of a garment would be ranked by where they stand in memory."""
    x = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    together = similarities(x, x[0])
    assert together == pytest.approx(x @ x[0], abs=1e-4)
    some = data.draw(st.permutations(range(n)))[: data.draw(st.integers(1, n))]
    assert similarities(x[some], x[0]).tobytes() == together[some].tobytes()


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.tuples(st.integers(0, 3), st.integers(0, 3))),
        min_size=1,
        max_size=10,
    ),
    st.integers(1, 12),
    st.sampled_from([0, 0.25, 0.5, 1]),
)
def test_diverse_is_maximal_marginal_relevance(items, k, diversity):
    relevance, vectors = (
        [score / 4 for score, _ in items],
        directions([place for _, place in items]),
    )
    chosen, left = [], list(range(len(items)))
    while left and len(chosen) < k:
        likeness = {
            row: [float(similarities(vectors[[row]], vectors[one])[0]) for one in chosen]
            for row in left
        }
        gain = {row: relevance[row] - diversity * max([0, *likeness[row]]) for row in left}
        pick = max(left, key=lambda row: (gain[row], -row))
        chosen.append(pick)
        left.remove(pick)
    assert diverse(np.array(relevance), vectors, k, diversity).tolist() == chosen


def test_without_diversity_the_most_relevant_with_it_the_other_garment():
    relevance, vectors = np.array([0.9, 0.89, 0.6]), directions([(3, 0), (3, 0), (0, 3)])
    assert diverse(relevance, vectors, 2, 0).tolist() == [0, 1]
    assert diverse(relevance, vectors, 2, 0.5).tolist() == [0, 2]


def test_no_candidates_no_choice():
    assert diverse(np.zeros(0), np.zeros((0, 2), np.float32), 3, 0.5).tolist() == []
    assert best(np.zeros(3), 2, np.array([], int)).tolist() == []


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=10),
    st.integers(0, 3),
)
def test_fusions_are_their_definitions(items, weight):
    signals = {"a": np.array([a for a, _ in items]) / 3, "b": np.array([b for _, b in items]) / 3}
    weights = {"a": 1, "b": weight}
    mean = [(a / 3 + weight * b / 3) / (1 + weight) for a, b in items]
    assert fuse_scores(signals, weights) == pytest.approx(mean)
    ranks = [[1 + sum(other[i] > item[i] for other in items) for i in (0, 1)] for item in items]
    fused = [(1 / (60 + a) + weight / (60 + b)) * 61 / (1 + weight) for a, b in ranks]
    assert fuse_ranks(signals, weights) == pytest.approx(fused)
    assert fuse_ranks(signals, weights).max() <= 1 + 1e-12


def test_one_item_more_can_swap_two_others_where_ranks_are_fused_but_not_where_scores_are():
    """Why scores are fused unless ranks are asked for."""
    signals = {"a": np.array([0.9, 0.5]), "b": np.array([0.3, 0.6])}
    more = {"a": np.append(signals["a"], [0.7, 0.6]), "b": np.append(signals["b"], [0.0, 0.1])}
    weights = {"a": 1, "b": 1.02}
    assert fuse_ranks(signals, weights)[1] > fuse_ranks(signals, weights)[0]
    assert fuse_ranks(more, weights)[1] < fuse_ranks(more, weights)[0]
    assert (fuse_scores(more, weights)[:2] == fuse_scores(signals, weights)).all()


def judged(
    queries: int, each: int = 20, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Judgements that follow signal 0 mostly, signal 1 a little, signal 2 not at all, signal 3 the wrong way."""
    rng = np.random.default_rng(seed)
    signals = rng.random((queries * each, 4))
    level = np.repeat(
        rng.normal(0, 3, queries), each
    )  # some queries have many relevant items, some few
    signals[:, 0] += np.repeat(
        rng.random(queries), each
    )  # and some score high throughout, which says nothing
    centred = signals - np.repeat(signals.reshape(queries, each, 4).mean(1), each, axis=0)
    chance = 1 / (1 + np.exp(-(8 * centred[:, 0] + 3 * centred[:, 1] - 3 * centred[:, 3] + level)))
    return signals, rng.random(len(chance)) < chance, np.repeat(np.arange(queries), each)


def test_weights_are_learnt_and_beat_equal_ones():
    learnt = learn_weights(*judged(80), names=("image", "colour", "noise", "wrong"))
    assert sum(learnt.weights.values()) == pytest.approx(1)
    assert learnt.weights["image"] > 2 * learnt.weights["colour"] > 4 * learnt.weights["noise"]
    assert learnt.weights["wrong"] == 0
    assert learnt.auc.mean() > learnt.auc_equal.mean() + 0.1
    assert len(learnt.auc) == len(learnt.auc_equal) <= 80


def test_auc_counts_pairs_and_half_of_ties():
    signals, relevant = (
        np.array([[3.0], [2], [2], [1], [2], [5]]),
        np.array([1, 0, 1, 0, 0, 1], bool),
    )
    learnt = learn_weights(signals, relevant, np.array([0, 0, 0, 0, 1, 1]), ["one"], folds=2)
    assert learnt.auc.tolist() == [(2 + 1.5) / 4, 1.0]
    assert learnt.weights == {"one": 1.0}


def test_a_held_out_query_does_not_teach():
    """Two queries that contradict each other: each is scored by what the other taught."""
    signals = np.array([[1.0, 0.1], [0.0, 0.2], [0.0, 1.0], [1.0, 0.0]])
    learnt = learn_weights(
        signals, np.array([1, 0, 1, 0], bool), np.array(["x", "x", "y", "y"]), ["a", "b"], folds=2
    )
    assert learnt.auc.tolist() == [0.0, 0.0]


def test_where_no_signal_helps_all_count_the_same():
    signals = np.array([[0.0, 0.0], [1.0, 1.0]] * 4)
    learnt = learn_weights(
        signals, np.tile([True, False], 4), np.repeat(np.arange(4), 2), ["a", "b"]
    )
    assert learnt.weights == {"a": 0.5, "b": 0.5}


def test_the_same_seed_learns_the_same():
    first, second = (learn_weights(*judged(12), names="abcd", seed=3) for _ in range(2))
    assert first.weights == second.weights
    assert first.auc.tolist() == second.auc.tolist()


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"names": ["a"]}, "Expected signals (j, 1)"),
        ({"folds": 1}, "two folds"),
        ({"relevant": np.ones(40, bool)}, "two queries or more that have both"),
        ({"signals": np.full((40, 4), np.nan)}, "NaN"),
    ],
)
def test_judgements_that_teach_nothing(change, phrase):
    signals, relevant, queries = judged(2)
    with pytest.raises(DataError) as raised:
        learn_weights(
            **(
                {"signals": signals, "relevant": relevant, "queries": queries, "names": "abcd"}
                | change
            )
        )
    assert phrase in str(raised.value)
