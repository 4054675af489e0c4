"""What a map keeps of its neighbourhoods, against the definitions and scikit-learn."""

import math
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.manifold import trustworthiness as peer

from fashionnb.errors import DataError
from fashionnb.evaluation import neighbours
from fashionnb.evaluation.projection import keep_umap_compiled, knn_preservation, trustworthiness


def ranked(points, i):
    """The other items from near to far; equals by index, the lower first."""
    return sorted(
        (j for j in range(len(points)) if j != i),
        key=lambda j: (math.dist(points[i], points[j]), j),
    )


def trustworthiness_by_definition(high, low, k):
    n, values = len(high), []
    for i in range(n):
        in_space = ranked(high, i)
        cost = sum(max(0, in_space.index(j) + 1 - k) for j in ranked(low, i)[:k])
        values.append(1 - 2 * cost / (k * (2 * n - 3 * k - 1)))
    return values


def preservation_by_definition(high, low, k):
    return [len(set(ranked(high, i)[:k]) & set(ranked(low, i)[:k])) / k for i in range(len(high))]


@st.composite
def maps(draw):
    """A space and a map of it on grids, so that duplicates and ties occur; and a k for them."""
    n = draw(st.integers(3, 12))
    spot = st.integers(-2, 2)
    high = draw(st.lists(st.tuples(spot, spot, spot), min_size=n, max_size=n))
    low = draw(st.lists(st.tuples(spot, spot), min_size=n, max_size=n))
    return high, low, draw(st.integers(1, (n - 1) // 2))


@settings(deadline=None)
@given(maps(), st.sampled_from([1, 300, 10**6]))
def test_both_are_their_definitions(data, strip_bytes):
    high, low, k = data
    arrays = np.array(high), np.array(low)
    with mock.patch.object(neighbours, "STRIP_BYTES", strip_bytes):
        values, kept = trustworthiness(*arrays, k), knn_preservation(*arrays, k)
    np.testing.assert_allclose(values, trustworthiness_by_definition(high, low, k), atol=1e-12)
    np.testing.assert_allclose(kept, preservation_by_definition(high, low, k), atol=1e-12)


@pytest.mark.parametrize(("n", "k"), [(200, 12), (31, 15), (50, 1)])
def test_scikit_learn_agrees(n, k):
    x = np.random.default_rng(n).normal(size=(n, 8))
    assert trustworthiness(x, x[:, :2], k).mean() == pytest.approx(
        peer(x, x[:, :2], n_neighbors=k), abs=1e-12
    )


def test_a_faithful_map_is_perfect_and_a_turned_one_too():
    x = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    turned = torch.from_numpy(x @ np.array([[0.6, -0.8], [0.8, 0.6]], np.float32) * 3 + 1)
    assert trustworthiness(x, turned, 5).tolist() == [1.0] * 60
    assert knn_preservation(x, turned, 5).tolist() == [1.0] * 60


def test_folding_a_line_is_untrue_and_cutting_it_loses():
    """Folded, strangers become neighbours; cut, neighbours are lost, and few strangers come instead."""
    line = np.arange(40.0)[:, None]
    folded = np.minimum(line, 39.2 - line)
    cut = np.where(line < 20, line, line + 1000)
    assert (
        trustworthiness(line, folded, 4).mean() < 0.8 < 0.99 < trustworthiness(line, cut, 4).mean()
    )
    assert (
        0.4
        < knn_preservation(line, folded, 4).mean()
        < 0.6
        < 0.9
        < knn_preservation(line, cut, 4).mean()
        < 1
    )


def test_a_random_map_keeps_what_chance_keeps():
    """k / (n - 1) = 0.05; over 20 seeds the mean of 202 items lay in 0.038 to 0.064."""
    rng = np.random.default_rng(0)
    assert (
        0.03
        < knn_preservation(rng.normal(size=(202, 5)), rng.normal(size=(202, 2)), 10).mean()
        < 0.07
    )


@pytest.mark.parametrize("measure", [trustworthiness, knn_preservation])
@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        (lambda x, y: (x[:4], y, 1), "high has 4 items and low 5"),
        (lambda x, y: (x * np.nan, y, 1), "high: row 0 holds NaN"),
        (lambda x, y: (x, y * np.nan, 1), "low: row 0 holds NaN"),
        (lambda x, y: (x, y[:, 0], 1), r"low: expected .*\(5,\)"),
        (lambda x, y: (x, y, 0), "k = 0 neighbours"),
        (lambda x, y: (x, y, 5), "k = 5 neighbours"),
    ],
)
def test_bad_input(measure, change, phrase):
    x = np.random.default_rng(0).normal(size=(5, 3))
    with pytest.raises(DataError, match=phrase):
        measure(*change(x, x[:, :2]))


def test_half_the_items_cannot_all_be_neighbours():
    x = np.eye(6)
    with pytest.raises(DataError, match=r"k = 3 neighbours of 6 items.*fewer than n / 2"):
        trustworthiness(x, x, 3)
    assert knn_preservation(x, x, 5).tolist() == [1.0] * 6


def test_umap_is_kept_compiled_and_where_that_cannot_be_it_goes_on(caplog, monkeypatch):
    from numba.core.caching import FunctionCache
    from umap import umap_, utils

    with caplog.at_level("INFO", logger="fashionnb"):
        keep_umap_compiled()
    assert caplog.text == "", "umap-learn has changed: nothing is wrong but the seconds"
    assert isinstance(umap_.smooth_knn_dist._cache, FunctionCache)

    def nowhere():
        raise RuntimeError("no place to keep it")

    monkeypatch.setattr(umap_.smooth_knn_dist, "enable_caching", nowhere)
    monkeypatch.delattr(utils, "fast_knn_indices")
    with caplog.at_level("INFO", logger="fashionnb"):
        keep_umap_compiled()
    assert "smooth_knn_dist is compiled in every process: no place to keep it" in caplog.text
    assert "fast_knn_indices is compiled in every process" in caplog.text
