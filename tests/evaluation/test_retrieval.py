"""Retrieval against its definition, written out in plain Python, where ties, duplicates and singletons are common."""

from fractions import Fraction
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionnb.errors import DataError
from fashionnb.evaluation import neighbours as exact
from fashionnb.evaluation.retrieval import neighbours, retrieval


def ranking(query, gallery, leave_out=None):
    """Gallery rows, nearest first, the lower index first among equals. Exact for whole numbers."""
    squared = [
        sum((int(a) - int(b)) ** 2 for a, b in zip(query, item, strict=True)) for item in gallery
    ]
    return [i for i in sorted(range(len(gallery)), key=lambda i: (squared[i], i)) if i != leave_out]


def by_definition(query, label, gallery, gallery_labels, k, leave_out=None):
    """recall@k, MRR, MAP@R and MAP@k of one query, or None without a positive."""
    hits = [gallery_labels[i] == label for i in ranking(query, gallery, leave_out)]
    r = sum(hits)
    if r == 0:
        return None
    precision = [Fraction(sum(hits[: i + 1]), i + 1) if hits[i] else 0 for i in range(len(hits))]
    at_k = sum(precision[:k]) / max(sum(hits[:k]), 1)
    return (
        float(any(hits[:k])),
        1 / (hits.index(True) + 1),
        float(sum(precision[:r]) / r),
        float(at_k),
    )


@st.composite
def items(draw, d=2, smallest=1):
    """Points on a small grid (so many ties and duplicates) with few labels (so singletons, and one class, occur)."""
    n = draw(st.integers(smallest, 14))
    points = draw(st.lists(st.tuples(*[st.integers(-2, 2)] * d), min_size=n, max_size=n))
    labels = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    return np.array(points, dtype=np.float32), np.array(labels)


def agrees(result, expected, k):
    kept = [i for i, scores in enumerate(expected) if scores is not None]
    assert result.queries.tolist() == kept
    assert result.excluded == len(expected) - len(kept)
    for metric, column in ((f"recall@{k}", 0), ("mrr", 1), ("map@r", 2), (f"map@{k}", 3)):
        np.testing.assert_allclose(
            result.per_query[metric], [expected[i][column] for i in kept], rtol=1e-12
        )
    np.testing.assert_array_equal(result.per_query["precision@1"], result.per_query["mrr"] == 1)


@settings(deadline=None)
@given(items(), st.integers(1, 16), st.sampled_from([1, 300, 10**6]))
def test_leave_one_out_is_the_definition(data, k, strip_bytes):
    x, y = data
    expected = [by_definition(x[i], y[i], x, y, k, leave_out=i) for i in range(len(x))]
    if not any(expected):
        with pytest.raises(DataError, match="nothing to measure"):
            retrieval(x, y, ks=(k,))
    else:
        with mock.patch.object(exact, "STRIP_BYTES", strip_bytes):
            agrees(retrieval(x, y, ks=(k,)), expected, k)


@settings(deadline=None)
@given(items(), items(), st.integers(1, 16), st.sampled_from([1, 300, 10**6]))
def test_query_and_gallery_is_the_definition(queries, gallery, k, strip_bytes):
    (q, qy), (g, gy) = queries, gallery
    expected = [by_definition(q[i], qy[i], g, gy, k) for i in range(len(q))]
    if not any(expected):
        with pytest.raises(DataError, match="nothing to measure"):
            retrieval(q, qy, g, gy, ks=(k,))
    else:
        with mock.patch.object(exact, "STRIP_BYTES", strip_bytes):
            agrees(retrieval(q, qy, g, gy, ks=(k,)), expected, k)


@settings(deadline=None)
@given(items(d=3), items(d=3, smallest=5), st.integers(1, 5))
def test_neighbours_are_the_sorted_gallery(queries, gallery, k):
    (q, _), (g, _) = queries, gallery
    indices, apart = neighbours(q, g, k)
    assert indices.tolist() == [ranking(query, g)[:k] for query in q]
    np.testing.assert_allclose(apart, np.linalg.norm(q[:, None] - g[indices], axis=2), rtol=1e-6)


@settings(deadline=None)
@given(items(smallest=4), st.integers(1, 3))
def test_neighbours_leave_out_the_item_itself_but_not_its_duplicates(data, k):
    x, _ = data
    assert neighbours(x, k=k)[0].tolist() == [
        ranking(x[i], x, leave_out=i)[:k] for i in range(len(x))
    ]


def test_duplicates_of_any_number_are_ranked_by_index():
    rng = np.random.default_rng(0)
    some = rng.normal(size=(20, 100)).astype(np.float32)
    indices, _ = neighbours(rng.normal(size=(30, 100)), np.concatenate([some] * 4), k=80)
    runs = indices.reshape(30, 20, 4)
    np.testing.assert_array_equal(runs, runs[:, :, :1] + np.array([0, 20, 40, 60]))


def test_a_collapsed_embedding_scores_what_the_gallery_order_gives():
    """All on one spot: every query sees the gallery in its order, so the first item decides for all but itself."""
    x, y = np.full((6, 3), 0.1), np.array([0, 1, 1, 0, 1, 1])
    result = retrieval(x, y, ks=(1,))
    assert result.per_query["recall@1"].tolist() == [0, 0, 0, 1, 0, 0]


def test_one_class_is_always_right_and_a_k_beyond_the_gallery_is_all_of_it():
    result = retrieval(np.random.default_rng(0).normal(size=(4, 2)), np.zeros(4), ks=(1, 100))
    assert set(result.mean().values()) == {1.0}


def test_a_singleton_is_excluded_and_counted():
    result = retrieval(np.array([[0.0], [1], [2]]), np.array([5, 7, 5]))
    assert result.excluded == 1
    assert result.queries.tolist() == [0, 2]
    assert result.mean()["map@r"] == 0  # the item of class 7 stands between the two


def test_map_divides_by_r_and_not_by_the_hits():
    """R = 3, and the first three places are hit, miss, hit: (1/1 + 2/3) / 3, while dividing by hits gives 5/6."""
    gallery = np.array([[1.0], [2], [3], [4]])
    result = retrieval(np.array([[0.0]]), np.array([1]), gallery, np.array([1, 0, 1, 1]))
    assert result.mean()["map@r"] == pytest.approx((1 + 2 / 3) / 3)


def test_map_at_k_divides_by_the_hits_and_not_by_r():
    """Hit, miss, hit, and a fourth positive out of sight: (1/1 + 2/3) / 2. Without any hit it is 0."""
    gallery = np.array([[1.0], [2], [3], [4]])
    result = retrieval(
        np.array([[0.0], [9.0]]), np.array([1, 0]), gallery, np.array([1, 0, 1, 1]), ks=(2, 3)
    )
    assert result.per_query["map@3"].tolist() == pytest.approx([(1 + 2 / 3) / 2, 1 / 3])
    assert result.per_query["map@2"].tolist() == [1, 0]


def test_cosine_sees_directions_only():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(20, 4))
    stretched = x * rng.uniform(0.1, 10, size=(20, 1))
    indices, apart = neighbours(stretched, k=5, metric="cosine")
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosine = 1 - unit @ unit.T
    np.fill_diagonal(cosine, np.inf)
    np.testing.assert_array_equal(indices, np.argsort(cosine, axis=1)[:, :5])
    np.testing.assert_allclose(apart, np.sort(cosine, axis=1)[:, :5], rtol=1e-5)


def test_arrays_tensors_and_names_as_labels_give_the_same():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(30, 4)).astype(np.float32), rng.integers(0, 3, 30)
    expected = retrieval(x, y).mean()
    assert retrieval(torch.from_numpy(x).requires_grad_(), torch.from_numpy(y)).mean() == expected
    names = np.array(["Shirt", "Coat", "Bag"], dtype=object)[y]
    assert retrieval(x, names).mean() == expected


def test_peers_agree():
    accuracy_calculator = pytest.importorskip("pytorch_metric_learning.utils.accuracy_calculator")
    rng = np.random.default_rng(5)
    y = np.sort(rng.integers(0, 5, 200))
    x = (rng.normal(size=(5, 8))[y] + rng.normal(size=(200, 8))).astype(np.float32)
    names = {
        "precision_at_1": "precision@1",
        "mean_reciprocal_rank": "mrr",
        "mean_average_precision_at_r": "map@r",
    }
    peer = accuracy_calculator.AccuracyCalculator(
        include=tuple(names), k=199, device=torch.device("cpu")
    )
    theirs = peer.get_accuracy(torch.from_numpy(x), torch.from_numpy(y))
    ours = retrieval(x, y).mean()
    assert {name: pytest.approx(ours[names[name]], abs=1e-6) for name in names} == theirs


@pytest.mark.parametrize(
    ("call", "phrase"),
    [
        (lambda x, y: retrieval(x, y, x), "give both gallery and gallery_labels"),
        (lambda x, y: retrieval(x, y, None, y), "give both gallery and gallery_labels"),
        (lambda x, y: retrieval(x, y, ks=(1, 0)), "recall@0 means nothing"),
        (lambda x, y: retrieval(x, y[:-1]), r"query_labels: expected .*\(4,\)"),
        (
            lambda x, y: retrieval(x, y, x, y[:-1]),
            r"gallery_labels: expected .*\(4,\)",
        ),
        (lambda x, y: retrieval(x * np.nan, y), "queries: row 0 holds NaN"),
        (lambda x, y: retrieval(x, y, x * np.nan, y), "gallery: row 0 holds NaN"),
        (lambda x, y: retrieval(x[:0], y[:0]), r"queries: expected .*\(0, 2\)"),
        (lambda x, y: retrieval(x, y, x[:0], y[:0]), r"gallery: expected .*\(0, 2\)"),
        (lambda x, y: retrieval(x, np.arange(4)), "None of the 4 queries"),
        (lambda x, y: retrieval(x[:1], y[:1]), "None of the 1 queries"),
        (lambda x, y: retrieval(x, y, x + 1, y + 9), "None of the 4 queries"),
        (lambda x, y: retrieval(x, y, metric="dot"), "no metric 'dot'"),
        (lambda x, y: neighbours(x, k=4), "k = 4 neighbours were asked for, but each query has 3"),
        (lambda x, y: neighbours(x, x, k=5), "each query has 4"),
        (lambda x, y: neighbours(x, k=0), "k = 0"),
    ],
)
def test_bad_input(call, phrase):
    x = np.array([[0.0, 1], [1, 0], [2, 2], [3, 1]])
    with pytest.raises(DataError, match=phrase):
        call(x, np.array([0, 0, 1, 1]))
