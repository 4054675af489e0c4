"""Strips of distances: exact where it matters, whatever their size, and one clear error for each bad input."""

import warnings

import numpy as np
import pytest
import torch

from fashionnb.errors import DataError
from fashionnb.evaluation.distances import one_per_row, strips, vectors


def all_distances(queries, gallery, **options):
    return torch.cat(
        [
            distances
            for _, distances in strips(vectors(queries, "q"), vectors(gallery, "g"), **options)
        ]
    )


def test_distances_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(7, 5)), rng.normal(size=(9, 5))
    expected = np.linalg.norm(queries[:, None] - gallery[None], axis=2)
    np.testing.assert_allclose(all_distances(queries, gallery), expected, rtol=1e-12)


def test_no_strip_is_larger_than_asked_and_together_they_are_all_rows():
    x = vectors(np.random.default_rng(0).normal(size=(50, 3)), "x")
    seen = []
    for rows, distances in strips(x, x, chunk_bytes=8 * 50 * 7):
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
    for given in (values, torch.from_numpy(values)):
        made = vectors(given, "x")
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
        (np.ones(3), "euclidean", r"x: expected an array of shape \(n, d\).*\(3,\)"),
        (np.ones((0, 3)), "euclidean", r"every length at least 1, got float64 \(0, 3\)"),
        (np.ones((3, 0)), "euclidean", r"\(3, 0\)"),
        (np.array([[1.0, 2], [np.nan, 1]]), "euclidean", "x: row 1 holds NaN or infinity"),
        (np.array([[1.0, np.inf]]), "euclidean", "row 0 holds NaN or infinity"),
        (np.array([[1.0], [0.0]]), "cosine", "row 1 has length 0"),
        (np.ones((2, 2)), "manhattan", "no metric 'manhattan'. Use one of: euclidean, cosine"),
    ],
)
def test_bad_embeddings(values, metric, phrase):
    with pytest.raises(DataError, match=phrase):
        vectors(values, "x", metric)


@pytest.mark.parametrize(
    ("labels", "phrase"),
    [
        (np.zeros(2), r"y: expected an array of shape \(3,\), got float64 \(2,\). Give one label"),
        (np.zeros((3, 1)), r"\(3, 1\)"),
        (np.array([0, 1, np.nan]), "y: row 2 holds NaN"),
    ],
)
def test_bad_labels(labels, phrase):
    with pytest.raises(DataError, match=phrase):
        one_per_row(labels, 3, "y")


def test_two_models_do_not_mix():
    with pytest.raises(DataError, match="queries have 3 dimensions and the gallery 4"):
        all_distances(np.ones((2, 3)), np.ones((2, 4)))
