"""Judged retrieval, against the definitions written out."""

import math

import numpy as np

from fashionnb.evaluation.judgements import judged_retrieval


def by_hand(vectors, query, grades, ks):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    others = [row for row in range(len(vectors)) if row != query]
    ranked = sorted(others, key=lambda row: (-float(unit[row] @ unit[query]), row))
    place = {row: number for number, row in enumerate(ranked, start=1)}
    scores = {"mrr": max(1 / place[row] for row in grades)}
    for k in ks:
        first = [row for row in ranked[:k] if row in grades]
        scores[f"recall@{k}"] = len(first) / len(grades)
        best = sorted(grades.values(), reverse=True)[:k]
        ideal = sum(grade / math.log2(1 + rank) for rank, grade in enumerate(best, start=1))
        scores[f"ndcg@{k}"] = sum(grades[row] / math.log2(1 + place[row]) for row in first) / ideal
    return scores


def test_all_metrics_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((30, 4))
    judged = {
        query: {
            int(row): float(rng.integers(1, 4)) for row in rng.permutation(30)[:4] if row != query
        }
        for query in (0, 7, 29)
    }
    found = judged_retrieval(vectors, judged, (1, 3, 10))
    for place, (query, grades) in enumerate(judged.items()):
        expected = by_hand(vectors, query, grades, (1, 3, 10))
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert np.isclose(found[name][place], value), name


def test_a_copy_of_the_query_is_found_first_and_the_query_itself_never():
    vectors = np.array([[1.0, 0], [1, 0], [0, 1], [1, 1]])
    found = judged_retrieval(vectors, {0: {1: 1.0}, 2: {3: 1.0, 0: 5.0}})
    assert found["mrr"].tolist() == [1, 1]
    assert found["recall@1"].tolist() == [1, 0.5]
    assert found["ndcg@1"].tolist() == [1, 0.2]
