"""Checks of arrays and tensors: what fits passes, anything else is described in the message."""

import math

import numpy as np
import pytest
import torch

from fashionnb.arrays import (
    at_least_float32,
    check_array,
    check_finite,
    check_images,
    check_labels,
    check_margin,
    masks_of_distances,
    pair_masks,
)
from fashionnb.errors import DataError

KINDS = pytest.mark.parametrize("kind", [np.array, torch.tensor])


@KINDS
def test_numpy_and_torch_alike(kind):
    x = kind([[1, 2], [3, 4], [5, 6]])
    assert check_array(x, ("n", "d"), "x", kind="integer") is x
    check_array(x, (3, "d"), "x", kind="whole", below=[6, 7])
    check_array(x[:0], ("n", 2), "x", kind="any")
    check_array(x > 1, ("n", 2), "x", kind="bool")
    for shape, options, phrase in (
        (
            ("n",),
            {"least": 1},
            r"x: expected an array of shape \(n,\) with every length at least 1",
        ),
        ((3, "d"), {"least": 4}, "every length at least 4"),
        ((3, "d"), {"kind": "float"}, r"expected float \(3, d\), got .*int64 \(3, 2\). Do this.$"),
        ((3, "d"), {"kind": "uint8"}, "expected uint8"),
        ((3, "d"), {"kind": "whole", "below": 6}, "to below 6, got 1 to 6. Do this.$"),
    ):
        with pytest.raises(DataError, match=phrase):
            check_array(x, shape, "x", "Do this.", **{"kind": "any", **options})


@pytest.mark.parametrize(
    ("tensor", "shape", "more"),
    [
        (torch.rand(2, 3), ("n", 3), {}),
        (torch.rand(2, 3), (2, "d"), {"finite": True}),
        (torch.rand(3), (..., 3), {}),
        (torch.rand(4, 5, 3), (..., 3), {}),
        (torch.rand(4, 5, 3), (4, "d", ...), {}),
        (torch.ones(2, dtype=torch.bool), ("n",), {"kind": "bool"}),
        (torch.ones(2, dtype=torch.uint8), ("n",), {"kind": "any"}),
        (torch.tensor([0, 3]), ("n",), {"kind": "whole", "below": 4}),
        (torch.tensor([[0, 3], [1, 0]]), ("n", 2), {"kind": "whole", "below": [2, 4]}),
        (torch.zeros(2, 0, dtype=torch.int64), ("n", 0), {"kind": "whole", "below": []}),
        (torch.zeros(0, 3), ("n", 3), {"finite": True}),
    ],
)
def test_what_fits_comes_back(tensor, shape, more):
    assert check_array(tensor, shape, "Vectors", "Do this.", **more) is tensor


@pytest.mark.parametrize(
    ("tensor", "shape", "more", "said"),
    [
        (None, ("n", 3), {}, r"Vectors: expected float \(n, 3\), got none. Do this."),
        (torch.rand(2, 4), ("n", 3), {}, r"expected float \(n, 3\), got torch.float32 \(2, 4\)"),
        (torch.rand(3), ("n", 3), {}, r"got torch.float32 \(3,\)"),
        (torch.rand(3), (..., 2, 3), {}, r"\(..., 2, 3\), got torch.float32 \(3,\)"),
        (torch.rand(3), (3, "d", ...), {}, r"\(3, d, ...\), got torch.float32 \(3,\)"),
        (torch.ones(2, 3, dtype=torch.int64), ("n", 3), {}, "got torch.int64"),
        (torch.rand(2), ("n",), {"kind": "whole"}, r"expected whole \(n,\), got torch.float32"),
        (torch.ones(2), (2,), {"kind": "bool"}, "expected bool"),
        (torch.tensor([0, -1]), (2,), {"kind": "whole"}, "whole numbers from 0, got -1 to 0"),
        (
            torch.tensor([0, 4]),
            (2,),
            {"kind": "whole", "below": 4},
            "from 0 to below 4, got 0 to 4",
        ),
        (
            torch.tensor([[0, 3], [2, 0]]),
            ("n", 2),
            {"kind": "whole", "below": [2, 4]},
            r"to below \[2, 4\], got 0 to 3",
        ),
        (torch.tensor([[0.0], [torch.nan]]), ("n", 1), {"finite": True}, "row 1 holds NaN or inf"),
        (torch.tensor([[torch.inf]]), ("n", 1), {"finite": True}, "row 0 holds NaN or inf"),
    ],
)
def test_what_does_not_fit_is_refused(tensor, shape, more, said):
    with pytest.raises(DataError, match=said):
        check_array(tensor, shape, "Vectors", "Do this.", **more)


def test_images():
    images = torch.rand(2, 3, 32, 40)
    check_images(images, 3, 32, "Network")
    for wrong, said in (
        (
            images[:, :1],
            r"expected float \(n, 3, height, width\), got torch.float32 \(2, 1, 32, 40\)",
        ),
        (images[:, :, 1:], r"at least 32 x 32 pixels, got \(2, 3, 31, 40\)"),
        ((images * 255).to(torch.uint8), "got torch.uint8.*as_input"),
    ):
        with pytest.raises(DataError, match=said):
            check_images(wrong, 3, 32, "Network")


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
        check_labels(labels, 3, "y")
