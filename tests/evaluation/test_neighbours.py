"""Exact neighbours: the nearest are those of the definition, for few queries and for many."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionnb.errors import DataError
from fashionnb.evaluation import neighbours
from fashionnb.evaluation.neighbours import check_vectors, nearest_neighbours


def by_definition(queries, gallery, k, leave_one_out=False):
    """Rows and squared distances of the k nearest; of equally distant ones the first."""
    answers = []
    for i, query in enumerate(queries):
        far = [sum((a - b) ** 2 for a, b in zip(query, one, strict=True)) for one in gallery]
        rows = [row for row in range(len(gallery)) if not (leave_one_out and row == i)]
        answers.append(sorted((far[row], row) for row in rows)[:k])
    return [[row for _, row in line] for line in answers], [
        [d for d, _ in line] for line in answers
    ]


@st.composite
def problems(draw):
    """Small whole numbers (exact distances, many ties), so many queries that either way is taken."""
    d = draw(st.integers(1, 3))
    vector = st.lists(st.integers(-3, 3), min_size=d, max_size=d)
    gallery = draw(st.lists(vector, min_size=2, max_size=60))
    queries = draw(st.lists(vector, max_size=3)) * draw(st.sampled_from([1, 20]))
    return queries, gallery, draw(st.integers(1, len(gallery)))


@settings(deadline=None)
@given(problems(), st.sampled_from([0, 3, 16]), st.sampled_from([5, 16_384]))
def test_the_nearest_are_those_of_the_definition(problem, spare, step):
    queries, gallery, k = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "SPARE", spare)
        patch.setattr(neighbours, "STEP", step)
        rows, squared = nearest_neighbours(
            np.array(queries, np.float32).reshape(-1, len(gallery[0])),
            np.array(gallery, np.float32),
            k,
        )
    assert rows.shape == squared.shape == (len(queries), k)
    assert (rows.dtype, squared.dtype) == (np.int64, np.float64)
    assert (rows.tolist(), squared.tolist()) == by_definition(queries, gallery, k)


@settings(deadline=None)
@given(problems())
def test_without_a_gallery_a_query_is_left_out_of_its_own_neighbours(problem):
    _, gallery, k = problem
    rows, squared = nearest_neighbours(
        np.array(gallery, np.float32), None, min(k, len(gallery) - 1)
    )
    expected = by_definition(gallery, gallery, min(k, len(gallery) - 1), leave_one_out=True)
    assert (rows.tolist(), squared.tolist()) == expected


def test_far_from_the_origin_where_the_product_is_most_inaccurate():
    rng = np.random.default_rng(0)
    gallery = (300 + rng.normal(size=(600, 8))).astype(np.float32)
    queries = (300 + rng.normal(size=(25, 8))).astype(np.float32)
    rows, squared = nearest_neighbours(queries, gallery, 5)
    assert rows.tolist() == by_definition(queries.tolist(), gallery.tolist(), 5)[0]
    one_by_one = [nearest_neighbours(query[None], gallery, 5) for query in queries]
    assert np.array_equal(rows, np.concatenate([one[0] for one in one_by_one]))
    assert np.array_equal(squared, np.concatenate([one[1] for one in one_by_one]))


@pytest.mark.parametrize("scale", [1e-30, 1, 1e30])
def test_vectors_are_copied_as_float32_and_scaled_to_length_1_for_cosine(scale):
    given = np.array([[3.0, 4.0], [6.0, 8.0], [-1.0, 0.0]]) * scale
    x = check_vectors(given, "x", "cosine")
    assert x.dtype == np.float32
    assert x == pytest.approx(np.array([[0.6, 0.8], [0.6, 0.8], [-1, 0]]))
    assert x[0].tolist() == x[1].tolist()
    as_they_are = check_vectors(np.float32(given), "x")
    assert np.array_equal(as_they_are, np.float32(given))


def test_a_second_check_for_cosine_changes_nothing():
    once = check_vectors(np.random.default_rng(0).normal(size=(500, 64)), "x", "cosine")
    assert np.array_equal(check_vectors(once, "x", "cosine"), once)


def test_a_tensor_and_no_vectors_are_taken_too():
    tensor = torch.ones(2, 3, requires_grad=True)
    assert check_vectors(tensor, "x").tolist() == [[1, 1, 1]] * 2
    for metric in neighbours.METRICS:
        assert check_vectors(np.empty((0, 3)), "x", metric).shape == (0, 3)


@pytest.mark.parametrize(
    ("values", "metric", "message"),
    [
        ([[1.0, np.nan]], "euclidean", "row 0 holds NaN or infinity"),
        ([[1.0, 0.0], [1e300, 0.0]], "euclidean", "row 1 holds NaN or infinity"),
        ([[1.0], [0.0]], "cosine", "row 1 has length 0"),
        ([1.0], "cosine", r"expected numbers \(n, d\), got float64 of shape \(1,\)"),
        (np.empty((3, 0)), "cosine", "expected numbers"),
        ([["a"]], "cosine", "expected numbers"),
        ([[1j]], "cosine", "expected numbers"),
        ([[1.0]], "dot", "no metric 'dot'"),
    ],
)
def test_what_are_no_vectors(values, metric, message):
    with pytest.raises(DataError, match=message):
        check_vectors(values, "x", metric)
