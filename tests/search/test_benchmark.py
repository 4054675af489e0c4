"""Jittered vectors are as far from the real ones as documented; trade_off counts correctly."""

import faiss
import numpy as np
import pytest

from fashionnb.errors import DataError
from fashionnb.search.benchmark import jittered, recall, trade_off
from fashionnb.search.index import Index

REAL = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)


def test_jittered_vectors_are_as_far_from_real_ones_as_these_from_each_other():
    unit = REAL / np.linalg.norm(REAL, axis=1, keepdims=True)
    distances = np.linalg.norm(unit[:, None] - unit[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    made = jittered(REAL, 1_000)
    moved = np.linalg.norm(made - unit[np.arange(1_000) % 400], axis=1)
    # Scaling to length 1 removes the noise along the vector. Over ten seeds: 0.81 to 0.84.
    assert 0.75 < np.median(moved) / np.median(distances.min(1)) < 0.9
    assert made.shape == (1_000, 8)
    assert made.dtype == np.float32
    assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)


def test_the_same_seed_gives_the_same_vectors():
    assert np.array_equal(jittered(REAL, 50, seed=3), jittered(REAL, 50, seed=3))
    assert not np.array_equal(jittered(REAL, 50, seed=3), jittered(REAL, 50, seed=4))


@pytest.mark.parametrize(
    ("vectors", "n", "message"),
    [
        (REAL[:1], 5, "two vectors"),
        (np.empty((0, 4)), 5, "two vectors"),
        (REAL, 0, "n of 1 or more"),
        (np.zeros((3, 4)), 5, "row 0 has length 0"),
        (REAL[0], 5, "expected numbers"),
    ],
)
def test_jittered_refuses(vectors, n, message):
    with pytest.raises(DataError, match=message):
        jittered(vectors, n)


@pytest.fixture(scope="module")
def asked():
    made = jittered(REAL, 1_040)
    queries, vectors = made[:40], made[40:]
    ids = [str(i) for i in range(1_000)]
    true = np.argsort(-queries @ vectors.T, axis=1, kind="stable")[:, :10].astype(str)
    return (
        queries,
        true,
        {kind: Index.build(vectors, ids, kind=kind) for kind in ("exact", "ivf-pq", "hnsw")},
    )


def test_an_exact_index_finds_all(asked):
    queries, true, indexes = asked
    table = trade_off(indexes["exact"], queries, true, batch=15)
    assert table.loc[0, ["recall", "low", "high"]].tolist() == [1, 1, 1]
    assert 0 < table.loc[0, "slow"] <= table.loc[0, "queries_per_second"] <= table.loc[0, "fast"]


@pytest.mark.parametrize("kind", ["ivf-pq", "hnsw"])
def test_recall_is_the_share_of_true_neighbours_at_each_effort(asked, kind):
    queries, true, indexes = asked
    index = indexes[kind]
    before, efforts = (index.effort, index.recall), (1, 12, 31)
    table = trade_off(index, queries, true, efforts)
    assert table["effort"].tolist() == list(efforts)
    assert (index.effort, index.recall) == before
    for effort, measured in zip(efforts, table["recall"], strict=True):
        found = index.search(queries, 10, effort=effort)[0]
        hits = [
            sum(one in row for one in wanted)
            for wanted, row in zip(true.tolist(), found.tolist(), strict=True)
        ]
        assert measured == pytest.approx(sum(hits) / 400)


def test_it_measures_on_one_thread_and_leaves_the_others(asked, monkeypatch):
    queries, true, indexes = asked
    before, seen = faiss.omp_get_max_threads(), []
    search = Index.search

    def watched(*arguments, **options):
        seen.append(faiss.omp_get_max_threads())
        return search(*arguments, **options)

    monkeypatch.setattr(Index, "search", watched)
    trade_off(indexes["exact"], queries, true)
    assert set(seen) == {1}
    assert faiss.omp_get_max_threads() == before


def test_recall():
    shares = recall([["a", "b"], ["c", "d"]], [["b", "x"], ["c", "d"]])
    assert shares.tolist() == [0.5, 1]


@pytest.mark.parametrize("part", [slice(0, 0), slice(0, 7)])
def test_trade_off_refuses(asked, part):
    queries, true, indexes = asked
    with pytest.raises(DataError, match="true neighbours"):
        trade_off(indexes["exact"], queries[part], true[: min(1, part.stop)])
