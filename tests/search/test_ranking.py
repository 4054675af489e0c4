"""fashionnb.search.ranking: each order is that of its definition, ties included."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashionnb.search.ranking import best, diverse, similarities

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
