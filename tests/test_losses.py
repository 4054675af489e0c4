"""Losses against their definitions in plain Python, against torch's own, and at the places where gradients break."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionnb.errors import DataError
from fashionnb.losses import pairwise_distances, triplet_margin


def triplet_by_definition(anchor, positive, negative, margin, reduce):
    losses = [
        max(0.0, math.dist(a, p) - math.dist(a, n) + margin) for a, p, n in zip(anchor, positive, negative, strict=True)
    ]
    counted = losses if reduce == "mean" else [loss for loss in losses if loss > 0]
    return sum(counted) / len(counted) if counted else 0.0


@st.composite
def triplets(draw):
    """Rows of (anchor, positive, negative) on quarters, so that identical ones occur."""
    n, d = draw(st.integers(0, 6)), draw(st.integers(1, 3))
    row = st.lists(st.integers(-4, 4).map(lambda i: i / 4), min_size=d, max_size=d)
    sides = [draw(st.lists(row, min_size=n, max_size=n)) for _ in range(3)]
    return [torch.tensor(side, dtype=torch.float64).reshape(n, d) for side in sides]


def normal(*shape, seed=0, **options):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), **options)


# A margin of 0.2137 keeps every loss off 0 by far more than the 1e-6 under the root, so "above 0" has one answer.
@settings(deadline=None)
@given(triplets(), st.sampled_from([0.2137, 1.2137]), st.sampled_from(["mean", "nonzero"]))
def test_triplet_margin_is_the_definition(sides, margin, reduce):
    expected = triplet_by_definition(*(side.tolist() for side in sides), margin, reduce)
    assert triplet_margin(*sides, margin, reduce).item() == pytest.approx(expected, abs=3e-6)


def test_torch_agrees():
    sides = [normal(64, 16, seed=seed, dtype=torch.float64, requires_grad=True) for seed in range(3)]
    ours = triplet_margin(*sides, margin=0.5)
    theirs = torch.nn.TripletMarginLoss(margin=0.5, eps=0)(*sides)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-9)
    for a, b in zip(torch.autograd.grad(ours, sides), torch.autograd.grad(theirs, sides), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("reduce", ["mean", "nonzero"])
def test_gradients_are_those_of_the_numbers(reduce):
    sides = [normal(5, 3, seed=seed, dtype=torch.float64, requires_grad=True) for seed in range(3)]
    assert torch.autograd.gradcheck(lambda *s: triplet_margin(*s, 0.5, reduce), sides)


@pytest.mark.parametrize("reduce", ["mean", "nonzero"])
@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_identical_images_give_finite_gradients(kind, reduce):
    """Where anchor, positive and negative are one picture, the loss is the margin and nothing is pulled."""
    sides = [torch.full((4, 8), 0.35, dtype=kind, requires_grad=True) for _ in range(3)]
    loss = triplet_margin(*sides, 0.2, reduce)
    loss.backward()
    assert loss.item() == pytest.approx(0.2, abs=1e-6)
    assert all((side.grad == 0).all() for side in sides)


def test_half_precision_is_summed_in_float32():
    sides = [normal(32, 64, seed=seed).bfloat16() for seed in range(3)]
    loss = triplet_margin(*sides)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(triplet_margin(*(side.double() for side in sides)).item(), rel=1e-5)


@pytest.mark.parametrize("reduce", ["mean", "nonzero"])
def test_nothing_to_learn_is_a_0_that_can_be_backpropagated(reduce):
    near, far = torch.zeros(3, 2, requires_grad=True), torch.full((3, 2), 9.0)
    loss = triplet_margin(near, near, far, 0.2, reduce) + triplet_margin(near[:0], near[:0], far[:0], 0.2, reduce)
    loss.backward()
    assert loss.item() == 0
    assert (near.grad == 0).all()


@settings(deadline=None)
@given(triplets(), st.booleans())
def test_pairwise_distances_are_the_definition(sides, squared):
    a, b, _ = sides
    power = 2 if squared else 1
    expected = [[math.dist(x, y) ** power for y in b.tolist()] for x in a.tolist()]
    assert pairwise_distances(a, b, squared).tolist() == [[pytest.approx(d, abs=2e-6) for d in row] for row in expected]


def test_pairwise_distances_of_a_batch_with_itself():
    x = normal(20, 6)
    torch.testing.assert_close(pairwise_distances(x), pairwise_distances(x, x))
    torch.testing.assert_close(pairwise_distances(x).diagonal(), torch.full((20,), 1e-6))
    torch.testing.assert_close(pairwise_distances(x), torch.cdist(x, x), atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("squared", [True, False])
def test_gradients_of_pairwise_distances(squared):
    sides = [normal(4, 3, seed=seed, dtype=torch.float64, requires_grad=True) for seed in (0, 1)]
    assert torch.autograd.gradcheck(lambda a, b: pairwise_distances(a, b, squared), sides)


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("different", [1, 16])
def test_duplicates_in_a_batch_do_not_disturb_each_other(kind, different):
    """Rounding in the matrix product, times the steep root at 0, must not become a gradient."""
    x = torch.nn.functional.normalize(normal(different, 128)).to(kind).repeat(8, 1).requires_grad_()
    same = torch.eye(different, dtype=torch.bool).repeat(8, 8)
    distances = pairwise_distances(x)
    distances[same].sum().backward()
    assert (distances[same] < 2e-6).all()
    assert (distances[~same] > 0.5).all()
    assert (x.grad == 0).all()


def test_a_nearly_collapsed_batch_still_has_its_distances():
    x = torch.nn.functional.normalize(torch.ones(1, 128) + 1e-4 * normal(30, 128))
    torch.testing.assert_close(
        pairwise_distances(x).double(), torch.cdist(x.double(), x.double()), rtol=1e-3, atol=2e-6
    )


@pytest.mark.parametrize(
    ("shapes", "options", "phrase"),
    [
        (((4, 2), (3, 2), (4, 2)), {}, r"all need one shape \(n, d\)"),
        (((4, 2), (4, 3), (4, 2)), {}, "one dimension d"),
        (((4,), (4,), (4,)), {}, r"Expected embeddings \(n, d\)"),
        (((4, 2), (4, 2), (4, 2)), {"reduce": "sum"}, "no reduce='sum'. Use 'mean' or 'nonzero'"),
    ],
)
def test_bad_triplets(shapes, options, phrase):
    with pytest.raises(DataError, match=phrase):
        triplet_margin(*(torch.zeros(shape) for shape in shapes), **options)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("reduce", ["mean", "nonzero"])
def test_nan_is_refused_even_where_the_reducer_would_lose_it(value, reduce):
    sides = [torch.zeros(3, 2) for _ in range(3)]
    sides[2][1, 0] = value
    with pytest.raises(DataError, match=r"negative: row 1 holds NaN or infinity.*smaller learning rate"):
        triplet_margin(*sides, reduce=reduce)


def test_bad_input_of_pairwise_distances():
    with pytest.raises(DataError, match="one dimension d"):
        pairwise_distances(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(DataError, match="a: row 0 holds NaN"):
        pairwise_distances(torch.full((1, 2), math.nan))
