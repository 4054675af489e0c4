"""Exact neighbours and strips of distances are those of the definition, whatever their size."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionnb.errors import DataError
from fashionnb.evaluation import neighbours
from fashionnb.evaluation.neighbours import (
    check_vectors,
    nearest_neighbours,
    strips,
    vectors,
)


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


def all_distances(queries, gallery):
    both = strips(vectors(queries, "q"), vectors(gallery, "g"))
    return torch.cat([distances for _, distances in both])


def test_distances_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(7, 5)), rng.normal(size=(9, 5))
    expected = np.linalg.norm(queries[:, None] - gallery[None], axis=2)
    np.testing.assert_allclose(all_distances(queries, gallery), expected, rtol=1e-12)


def test_no_strip_is_larger_than_it_may_be_and_together_they_are_all_rows(monkeypatch):
    monkeypatch.setattr(neighbours, "STRIP_BYTES", 8 * 50 * 7)
    x = vectors(np.random.default_rng(0).normal(size=(50, 3)), "x")
    seen = []
    for rows, distances in strips(x, x):
        assert distances.nbytes <= 8 * 50 * 7
        seen += range(50)[rows]
    assert seen == list(range(50))


def test_equal_rows_are_at_distance_0_exactly():
    x = np.random.default_rng(1).normal(size=(40, 300)).astype(np.float32)
    distances = all_distances(x, np.concatenate([x, x]))
    assert (distances == 0).sum() == 80


def test_a_far_away_origin_does_not_drown_the_distances():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(30, 4))
    np.testing.assert_allclose(all_distances(x + 1e7, x + 1e7), all_distances(x, x), atol=1e-6)


def test_one_far_outlier_does_not_drown_the_distances():
    x = np.random.default_rng(3).normal(size=(30, 4))
    x[-1] = 1e4
    expected = np.linalg.norm(x[:-1, None] - x[None, :-1], axis=2)
    np.testing.assert_allclose(all_distances(x, x)[:-1, :-1], expected, rtol=1e-4, atol=1e-12)


def test_directions_that_differ_by_rounding_only_are_one_place():
    x = np.linspace(0.1, 7.3, 50)[:, None] * np.random.default_rng(4).normal(size=16)
    x = vectors(x, "x", "cosine")
    assert all((distances == 0).all() for _, distances in strips(x, x))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.uint8, np.int64])
def test_any_kind_of_number_and_tensors_become_float64(kind):
    values = np.array([[1, 2], [3, 4]], dtype=kind)
    for x in (values, torch.from_numpy(values)):
        made = vectors(x, "x")
        assert made.dtype == torch.float64
        assert made.tolist() == [[1, 2], [3, 4]]


def test_the_input_is_left_alone_and_may_be_read_only():
    values = np.ones((3, 2))
    values.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vectors(values, "x").add_(1)
    assert (values == 1).all()


@pytest.mark.parametrize(
    ("values", "metric", "phrase"),
    [
        (np.ones(3), "euclidean", r"x: expected numbers \(n, d\).*\(3,\)"),
        (np.ones((0, 3)), "euclidean", r"every length at least 1, got float64 \(0, 3\)"),
        (np.ones((3, 0)), "euclidean", r"\(3, 0\)"),
        (np.array([[1.0, 2], [np.nan, 1]]), "euclidean", "x: row 1 holds NaN or infinity"),
        (np.array([[1.0, np.inf]]), "euclidean", "row 0 holds NaN or infinity"),
        (np.array([[1.0], [0.0]]), "cosine", "row 1 has length 0"),
        (np.ones((2, 2)), "manhattan", "no metric 'manhattan'. Use one of: cosine, euclidean"),
    ],
)
def test_bad_embeddings(values, metric, phrase):
    with pytest.raises(DataError, match=phrase):
        vectors(values, "x", metric)


def test_two_models_do_not_mix():
    with pytest.raises(DataError, match="queries have 3 dimensions and the gallery 4"):
        all_distances(np.ones((2, 3)), np.ones((2, 4)))
