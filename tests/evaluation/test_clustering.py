"""Judges of classes and clusters against their definitions and scikit-learn, and where we decide otherwise."""

import itertools
import math
from collections import Counter
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_samples

from fashionnb.errors import DataError
from fashionnb.evaluation import neighbours
from fashionnb.evaluation.clustering import (
    calinski_harabasz,
    cluster_agreement,
    davies_bouldin,
    silhouette,
    silhouette_per_class,
)


def silhouette_by_definition(points, labels):
    values = []
    for i, point in enumerate(points):
        mean = {}
        for label in set(labels):
            others = [j for j in range(len(points)) if labels[j] == label and j != i]
            if others:
                mean[label] = sum(math.dist(point, points[j]) for j in others) / len(others)
        a, b = mean.pop(labels[i], None), min(mean.values())
        values.append(0.0 if a is None or max(a, b) == 0 else (b - a) / max(a, b))
    return values


@st.composite
def clusters(draw):
    """Points on a grid, so that duplicates and coinciding classes occur; two classes at least, singletons welcome."""
    n = draw(st.integers(3, 14))
    points = draw(
        st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2)), min_size=n, max_size=n)
    )
    labels = draw(
        st.lists(st.integers(0, 3), min_size=n, max_size=n).filter(lambda y: 1 < len(set(y)) < n)
    )
    return points, labels


@settings(deadline=None)
@given(clusters(), st.sampled_from([1, 300, 10**6]))
def test_silhouette_is_the_definition(data, strip_bytes):
    points, labels = data
    with mock.patch.object(neighbours, "STRIP_BYTES", strip_bytes):
        values = silhouette(np.array(points), np.array(labels))
    np.testing.assert_allclose(values, silhouette_by_definition(points, labels), atol=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_scikit_learn_agrees(seed):
    rng = np.random.default_rng(seed)
    y = np.concatenate([rng.integers(0, 6, 300), [99]])  # with a singleton
    x = rng.normal(size=(100, 10))[y] + rng.normal(size=(301, 10))
    np.testing.assert_allclose(silhouette(x, y), silhouette_samples(x, y), atol=1e-7)
    assert davies_bouldin(x, y) == pytest.approx(
        davies_bouldin_score(x, y), rel=1e-7
    )  # theirs gives a singleton a width of 1e-8
    assert calinski_harabasz(x, y) == pytest.approx(calinski_harabasz_score(x, y), rel=1e-9)


def test_tensors_float32_and_names_as_labels_give_the_same():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 5)).astype(np.float32), rng.integers(0, 3, 40)
    names = np.array(["Shirt", "Coat", "Bag"], dtype=object)[y]
    np.testing.assert_allclose(
        silhouette(torch.from_numpy(x), torch.from_numpy(y)), silhouette(x, names), atol=1e-12
    )
    assert davies_bouldin(torch.from_numpy(x), torch.from_numpy(y)) == davies_bouldin(x, y)


def test_per_class_is_the_mean_of_each_class():
    values = np.array([0.0, 1.0, 0.5, -0.5])
    assert silhouette_per_class(values, np.array([3, 1, 3, 1])) == {1: 0.25, 3: 0.25}
    assert silhouette_per_class(values, np.array(["b", "a", "b", "b"], dtype=object)) == {
        "a": 1.0,
        "b": 0.0,
    }


def test_a_collapsed_embedding_has_silhouette_0_and_the_worst_davies_bouldin():
    x, y = np.full((6, 4), 0.1), np.array([0, 1, 2, 0, 1, 2])
    assert silhouette(x, y).tolist() == [0.0] * 6
    assert davies_bouldin(x, y) == math.inf


@pytest.mark.parametrize("scale", [1e-12, 1, 1e12])
def test_davies_bouldin_does_not_depend_on_the_scale_and_origin(scale):
    """scikit-learn alone gives 0, the best, where all distances are below 1e-8."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), np.arange(40) % 4
    assert davies_bouldin(scale * (x + 5), y) == pytest.approx(davies_bouldin_score(x, y))


def test_two_of_three_centres_on_one_point_are_the_worst_davies_bouldin():
    x = np.array([[-1.0], [1], [-2], [2], [8], [12]])
    assert davies_bouldin(x, np.array([0, 0, 1, 1, 2, 2])) == math.inf


def test_davies_bouldin_of_two_known_classes():
    """Widths 1 and 2, centres 10 apart: (1 + 2) / 10 for both classes."""
    assert davies_bouldin(
        np.array([[-1.0], [1], [8], [12]]), np.array([0, 0, 1, 1])
    ) == pytest.approx(0.3)


def test_classes_without_width_are_the_best():
    assert davies_bouldin(np.array([[0.0], [0], [5]]), np.array([0, 0, 1])) == 0


def calinski_harabasz_by_definition(points, labels):
    def mean(members):
        return [sum(values) / len(members) for values in zip(*members, strict=True)]

    groups = {
        label: [p for p, y in zip(points, labels, strict=True) if y == label]
        for label in set(labels)
    }
    between = sum(math.dist(mean(groups[y]), mean(points)) ** 2 for y in labels)
    within = sum(math.dist(p, mean(groups[y])) ** 2 for p, y in zip(points, labels, strict=True))
    n, c = len(points), len(groups)
    return (
        (between / (c - 1)) / (within / (n - c))
        if within > 1e-9
        else None
        if between > 1e-9
        else 0.0
    )


@settings(deadline=None)
@given(clusters())
def test_calinski_harabasz_is_the_definition(data):
    expected = calinski_harabasz_by_definition(*data)
    ours = calinski_harabasz(*map(np.array, data))
    assert ours == (math.inf if expected is None else pytest.approx(expected, rel=1e-6, abs=1e-9))


def test_calinski_harabasz_of_a_collapsed_embedding_is_the_worst():
    y = np.array([0, 1, 2, 0, 1, 2, 0])
    assert calinski_harabasz(np.full((7, 4), 0.1), y) == 0
    assert calinski_harabasz(np.eye(3)[y] + 0.1, y) == math.inf


def mutual_information(a, b):
    n, joint, ones, others = len(a), Counter(zip(a, b, strict=True)), Counter(a), Counter(b)
    return sum(m / n * math.log(m * n / (ones[i] * others[j])) for (i, j), m in joint.items())


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=6).filter(
        lambda pairs: (
            len({label for _, label in pairs}) > 1
            and len({label for _, label in pairs}) >= len({clump for clump, _ in pairs})
        )
    )
)
def test_cluster_agreement_is_the_definition(pairs):
    """Clumps far apart, no more than classes, so that k-means finds them; chance is every order of the labels."""
    clump, label = zip(*pairs, strict=True)
    x = np.array(clump)[:, None] * 100.0
    found = cluster_agreement(x, np.array(label))
    mean_entropy = (mutual_information(clump, clump) + mutual_information(label, label)) / 2
    agreed = mutual_information(clump, label)
    chance = np.mean([mutual_information(clump, other) for other in itertools.permutations(label)])
    assert found["nmi"] == pytest.approx(agreed / mean_entropy, abs=1e-9)
    if abs(mean_entropy - chance) > 1e-9:
        assert found["ami"] == pytest.approx((agreed - chance) / (mean_entropy - chance), abs=1e-9)


def test_cluster_agreement_of_classes_apart_of_chance_and_of_a_collapsed_embedding():
    """Chance: over 20 seeds AMI lay in -0.02 to 0.04."""
    rng = np.random.default_rng(0)
    y = np.repeat(["Bag", "Coat", "Shirt"], 40)
    x = np.repeat(np.eye(3) * 20, 40, axis=0) + rng.normal(size=(120, 3))
    assert cluster_agreement(x, y) == {"nmi": pytest.approx(1), "ami": pytest.approx(1)}
    assert cluster_agreement(torch.from_numpy(x), y) == cluster_agreement(x, y)
    assert abs(cluster_agreement(rng.normal(size=(120, 3)), y)["ami"]) < 0.06
    assert cluster_agreement(np.full((6, 4), 0.1), np.array([0, 1, 2, 0, 1, 2])) == {
        "nmi": 0,
        "ami": 0,
    }


def test_the_seed_decides_where_k_means_starts():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(80, 4)), rng.integers(0, 5, 80)
    assert cluster_agreement(x, y, seed=3) == cluster_agreement(x, y, seed=3)
    assert len({cluster_agreement(x, y, seed=seed)["nmi"] for seed in range(5)}) > 1


LABELS = r"labels: expected an array of shape \(4,\)"


@pytest.mark.parametrize(
    ("call", "phrase"),
    [
        (lambda x, y: silhouette(x, y * 0), r"All 4 items are of one class \(0\)"),
        (lambda x, y: silhouette(x, np.arange(4)), "class of its own"),
        (lambda x, y: silhouette(x * np.nan, y), "embeddings: row 0 holds NaN"),
        (lambda x, y: silhouette(x, y[:3]), LABELS),
        (lambda x, y: silhouette(x[:0], y[:0]), r"\(0, 2\)"),
        (
            lambda x, y: silhouette_per_class(np.zeros(4), y[:3]),
            LABELS,
        ),
        (lambda x, y: davies_bouldin(x, y * 0), "All 4 items are of one class"),
        (lambda x, y: davies_bouldin(x, np.arange(4)), "class of its own"),
        (lambda x, y: davies_bouldin(x * np.nan, y), "embeddings: row 0 holds NaN"),
        (lambda x, y: davies_bouldin(x, y[:3]), LABELS),
        (lambda x, y: calinski_harabasz(x, y * 0), "All 4 items are of one class"),
        (lambda x, y: calinski_harabasz(x, np.arange(4)), "class of its own"),
        (lambda x, y: calinski_harabasz(x * np.nan, y), "embeddings: row 0 holds NaN"),
        (lambda x, y: cluster_agreement(x, y * 0), "All 4 items are of one class"),
        (lambda x, y: cluster_agreement(x * np.nan, y), "embeddings: row 0 holds NaN"),
        (lambda x, y: cluster_agreement(x, y[:3]), LABELS),
    ],
)
def test_bad_input(call, phrase):
    x = np.array([[0.0, 1], [1, 0], [2, 2], [3, 1]])
    with pytest.raises(DataError, match=phrase):
        call(x, np.array([0, 0, 1, 1]))
