"""Classification against its definition in plain Python and against scikit-learn, with classes that are missing."""

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from fashionnb.errors import DataError
from fashionnb.evaluation.classification import (
    classification,
    confusion,
    expected_calibration_error,
    reliability,
)
from fashionnb.evaluation.intervals import bootstrap_statistic


@st.composite
def labelled(draw):
    """Few items and up to four classes, so that classes are often missing from what is true or from what was predicted."""
    c = draw(st.integers(1, 4))
    pairs = draw(
        st.lists(st.tuples(st.integers(0, c - 1), st.integers(0, c - 1)), min_size=1, max_size=12)
    )
    true, predicted = zip(*pairs, strict=True)
    return np.array(true), np.array(predicted), c


def by_definition(true, predicted, label):
    """Precision, recall and F1 of one class, None where there is nothing to divide by."""
    right = sum(t == s == label for t, s in zip(true, predicted, strict=True))
    of_it, called = true.count(label), predicted.count(label)
    precision = Fraction(right, called) if called else (0 if of_it else None)
    return (
        precision,
        Fraction(right, of_it) if of_it else None,
        Fraction(2 * right, of_it + called) if of_it + called else None,
    )


def number(value):
    return math.nan if value is None else float(value)


@settings(deadline=None)
@given(labelled())
def test_every_score_is_the_definition(data):
    true, predicted, c = data
    found = classification(true, predicted, range(c))
    expected = [by_definition(true.tolist(), predicted.tolist(), label) for label in range(c)]
    for column, name in enumerate(("precision", "recall", "f1")):
        np.testing.assert_allclose(
            found.per_class[name], [number(row[column]) for row in expected], rtol=1e-12
        )
        there = [row[column] for label, row in enumerate(expected) if label in true]
        assert found.overall[f"macro_{name}"] == pytest.approx(float(sum(there) / len(there)))
    assert found.overall["accuracy"] == pytest.approx(
        sum(t == s for t, s in zip(true, predicted, strict=True)) / len(true)
    )
    assert found.per_class["support"].tolist() == [true.tolist().count(label) for label in range(c)]


@settings(deadline=None)
@given(labelled())
def test_the_confusion_is_counted_pair_by_pair(data):
    true, predicted, c = data
    expected = [[0] * c for _ in range(c)]
    for t, s in zip(true, predicted, strict=True):
        expected[t][s] += 1
    matrix = confusion(true, predicted, [f"class {label}" for label in range(c)])
    assert matrix.tolist() == expected
    assert matrix.dtype == np.int64


@pytest.mark.filterwarnings("ignore:A single label was found")
@settings(deadline=None, max_examples=40)
@given(labelled())
def test_scikit_learn_agrees(data):
    true, predicted, c = data
    found, there = classification(true, predicted, range(c)), np.unique(true)
    assert (
        confusion(true, predicted, range(c)).tolist()
        == metrics.confusion_matrix(true, predicted, labels=range(c)).tolist()
    )
    assert found.overall["accuracy"] == pytest.approx(metrics.accuracy_score(true, predicted))
    options = {"labels": there, "zero_division": 0}
    macro = metrics.precision_recall_fscore_support(true, predicted, average="macro", **options)
    ours = [found.overall[f"macro_{name}"] for name in ("precision", "recall", "f1")]
    np.testing.assert_allclose(ours, macro[:3])
    each = metrics.precision_recall_fscore_support(true, predicted, average=None, **options)
    for name, theirs in zip(("precision", "recall", "f1", "support"), each, strict=True):
        np.testing.assert_allclose(found.per_class[name][there], theirs)


def test_classes_that_are_missing_on_one_side_or_both():
    """0 is right, 1 is never predicted, 2 is never true but predicted, 3 is neither."""
    found = classification(
        np.array([0, 0, 1]), np.array([0, 2, 0]), ["hat", "skirt", "dress", "coat"]
    )
    np.testing.assert_equal(found.per_class["precision"], [0.5, 0, 0, np.nan])
    np.testing.assert_equal(found.per_class["recall"], [0.5, 0, np.nan, np.nan])
    np.testing.assert_equal(found.per_class["f1"], [0.5, 0, 0, np.nan])
    assert found.per_class["support"].tolist() == [2, 1, 0, 0]
    assert (
        found.overall["macro_f1"] == 0.25
    )  # over hat and skirt; four classes would make it 1/8, three 1/6


def test_a_bootstrap_takes_it_even_where_resamples_miss_classes():
    true, predicted = np.array([0, 0, 0, 1, 2]), np.array([0, 0, 1, 1, 0])
    macro = bootstrap_statistic(
        lambda rows: classification(true[rows], predicted[rows], range(3)).overall["macro_f1"], 5
    )
    assert (
        0
        <= macro.low
        < classification(true, predicted, range(3)).overall["macro_f1"]
        < macro.high
        <= 1
    )


def test_tensors_are_taken():
    true, predicted = torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0])
    assert classification(true, predicted, "ab").overall["accuracy"] == pytest.approx(2 / 3)


@st.composite
def certain(draw):
    """Two-class probabilities in sixteenths, exact in binary, so that they fall on the edges of bins."""
    n = draw(st.integers(1, 20))
    first = draw(st.lists(st.integers(0, 16), min_size=n, max_size=n))
    return np.array(first) / 16, draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))


@settings(deadline=None, max_examples=50)
@given(certain(), st.sampled_from([1, 2, 8, 16]))
def test_reliability_is_the_definition(data, bins):
    first, true = data
    sure = [
        (max(p, 1 - p), float((0 if p >= 0.5 else 1) == t))
        for p, t in zip(first, true, strict=True)
    ]
    table = reliability(np.stack([first, 1 - first], 1), np.array(true), bins)
    rows, error = [], 0.0
    for m in range(bins):
        inside = [item for item in sure if m / bins < item[0] <= (m + 1) / bins]
        if inside:
            confidence, accuracy = (
                sum(values) / len(inside) for values in zip(*inside, strict=True)
            )
            rows.append([m / bins, (m + 1) / bins, len(inside), confidence, accuracy])
            error += len(inside) / len(sure) * abs(accuracy - confidence)
    found = table[["above", "upto", "items", "confidence", "accuracy"]]
    np.testing.assert_allclose(found.to_numpy(float), rows)
    assert expected_calibration_error(table) == pytest.approx(error)


def test_a_calibrated_classifier_stays_between_low_and_high_about_19_times_in_20():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, (100, 200))
    right = rng.random(sure.shape) < sure
    tables = [
        reliability(np.stack([p, 1 - p], 1), (~r).astype(int), 10)
        for p, r in zip(sure, right, strict=True)
    ]
    table = pd.concat(tables)
    inside = ((table["low"] <= table["accuracy"]) & (table["accuracy"] <= table["high"])).mean()
    # .95 promised, and counts are whole numbers, which makes it wider: .966 to .986 over eleven other seeds.
    assert 0.955 < inside < 0.995


def test_an_overconfident_classifier_is_detected():
    """Always sure, right half the time: the gap is 1/2, and half is far below what chance would leave of certainty."""
    table = reliability(np.array([[1.0, 0.0]] * 20), np.array([0, 1] * 10))
    assert len(table) == 1
    assert expected_calibration_error(table) == 0.5
    assert table[["low", "high"]].iloc[0].tolist() == [1, 1]


def test_float32_rounding_is_no_mistake():
    logits = torch.randn(500, 10, generator=torch.Generator().manual_seed(0)) * 20
    table = reliability(torch.softmax(logits, 1), torch.zeros(500, dtype=torch.int64))
    assert table["items"].sum() == 500
    assert (table["upto"] <= 1).all()
    assert np.isfinite(table.to_numpy(float)).all()


P = np.full((3, 2), 0.5)
Y = np.array([0, 1, 1])


@pytest.mark.parametrize(
    ("call", "phrase"),
    [
        (
            lambda: confusion(Y, Y[:2], "ab"),
            r"predicted: .*\(3,\).*\(2,\).*one label for each item",
        ),
        (
            lambda: confusion(Y[:0], Y[:0], "ab"),
            r"true: expected whole .* got int64 \(0,\)",
        ),
        (lambda: confusion(Y, P, "ab"), "predicted: expected whole"),
        (
            lambda: confusion(Y, np.array(["a", "b", "b"]), "ab"),
            r"predicted: .*`Catalogue.labels\(\)`",
        ),
        (lambda: classification(Y, Y.astype(float), "ab"), "predicted: expected whole"),
        (lambda: classification(Y, Y, "a"), "true: .* from 0 to below 1, got 0 to 1"),
        (
            lambda: classification(Y, Y - 1, "ab"),
            "predicted: expected whole numbers from 0 to below 2, got -1 to 0",
        ),
        (lambda: reliability(P, Y, 0), "0 bins hold nothing"),
        (lambda: reliability(P * 3, Y), "row adds up to 3. Are they logits"),
        (lambda: reliability(np.array([[2, -1]] * 3), Y), "begin at -1"),
        (lambda: reliability(P, Y[:2]), r"true: expected whole \(3,\)"),
        (lambda: reliability(P, Y + 1), "true: .* from 0 to below 2"),
        (lambda: reliability(P * np.nan, Y), "probabilities: row 0 holds NaN"),
        (lambda: reliability(P[:0], Y[:0]), r"probabilities: expected float \(n, c\)"),
    ],
)
def test_bad_input(call, phrase):
    with pytest.raises(DataError, match=f"(?i){phrase}"):
        call()
