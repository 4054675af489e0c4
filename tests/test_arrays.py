"""Checks of arrays and tensors: what fits passes, anything else is described in the message."""

import math

import numpy as np
import pytest
import torch

from fashionnb.arrays import (
    at_least_float32,
    check_finite,
    check_margin,
    check_shape,
    masks_of_distances,
    pair_masks,
)
from fashionnb.errors import DataError

KINDS = pytest.mark.parametrize("kind", [np.array, torch.tensor])


@KINDS
def test_a_shape_that_fits(kind):
    x = kind([[1, 2], [3, 4], [5, 6]])
    check_shape(x, "x", ("n", "d"), integers=True)
    check_shape(x, "x", (3, "d"))
    check_shape(x[:0], "x", ("n", 2), least=0)


@KINDS
@pytest.mark.parametrize(
    ("shape", "options", "phrase"),
    [
        (("n",), {}, r"x: expected an array of shape \(n,\) with every length at least 1, got "),
        ((3, "d"), {}, r"of shape \(3, d\)"),
        (("n", "d"), {"least": 3}, "every length at least 3"),
        (("n", "d"), {"integers": True}, r"integers of shape \(n, d\).*float32 \(2, 2\)"),
        (("n",), {"advice": "Do this."}, r"\(2, 2\). Do this.$"),
    ],
)
def test_another_shape_or_dtype_is_refused(kind, shape, options, phrase):
    x = kind([[1, 2], [3, 4]])
    x = x.float() if kind is torch.tensor else x.astype(np.float32)
    with pytest.raises(DataError, match=phrase):
        check_shape(x, "x", shape, **options)


@KINDS
@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 1, 1)])
def test_the_first_row_that_is_not_finite_is_named(kind, shape):
    for value in (math.nan, math.inf, -math.inf):
        x = kind([0.0, 1.0, value, value]).reshape(shape)
        with pytest.raises(DataError, match="x: row 2 holds NaN or infinity"):
            check_finite(x, "x")
    check_finite(kind([0.0, math.inf]), "x", infinity=True)
    check_finite(kind([1, 2]), "x")
    with pytest.raises(DataError, match=r"x: row 1 holds NaN\. Look"):
        check_finite(kind([math.inf, math.nan]), "x", infinity=True)
    with pytest.raises(DataError, match="x: row 0 holds NaN"):
        check_finite(kind(math.nan), "x")


def test_margins():
    check_margin(0)
    for margin in ("soft", -0.1, math.nan, math.inf):
        with pytest.raises(DataError, match=r"margin is .*, it must be a distance such as 0\.2"):
            check_margin(margin)


def test_half_precision_becomes_float32_and_more_stays():
    for given, expected in {
        torch.float16: torch.float32,
        torch.bfloat16: torch.float32,
        torch.float32: torch.float32,
        torch.float64: torch.float64,
        torch.int64: torch.float32,
    }.items():
        assert at_least_float32(torch.ones(2, dtype=given)).dtype == expected


def test_masks_of_labels_and_of_a_matrix():
    labels = torch.tensor([0, 0, 1])
    positive, negative = pair_masks(labels)
    assert positive.tolist() == [[False, True, False], [True, False, False], [False] * 3]
    assert negative.tolist() == [[False, False, True], [False, False, True], [True, True, False]]
    matrix = labels[:, None] == labels
    for given in (matrix, matrix.clone().fill_diagonal_(False)):
        before = given.clone()
        for mask, expected in zip(pair_masks(given), (positive, negative), strict=True):
            assert torch.equal(mask, expected)
        assert torch.equal(given, before)


def test_distances_of_another_batch_are_refused():
    labels = torch.tensor([0, 0, 1])
    with pytest.raises(DataError, match=r"distances: expected .*\(3, 3\).* pairwise_distances"):
        masks_of_distances(torch.zeros(3, 2), labels)
    with pytest.raises(DataError, match=r"labels: expected an array of shape \(n,\)"):
        masks_of_distances(torch.zeros(3, 3), labels[:, None])
    with pytest.raises(DataError, match="distances: row 0 holds NaN"):
        masks_of_distances(torch.full((3, 3), torch.nan), labels)
