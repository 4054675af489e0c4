import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fashionnb.errors import DataError
from fashionnb.outfits.negatives import NegativeSampler


def drawn(rivals, items, k, seed=0):
    return rivals.draw(torch.tensor(items), k, torch.Generator().manual_seed(seed))


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=30),
    st.integers(0, 5),
)
def test_rivals_are_of_the_same_group_and_used(items, seed):
    groups, weights = (
        np.array([group for group, _ in items]),
        np.array([weight for _, weight in items]),
    )
    found = drawn(NegativeSampler(groups, weights), range(len(items)), 8, seed).numpy()
    assert (groups[found] == groups[:, None]).all()
    for row, group in zip(found, groups, strict=True):
        if weights[groups == group].any():
            assert (weights[row] > 0).all()


def test_they_come_as_often_as_they_are_used():
    rivals = NegativeSampler(["a", "b", "a", "b", "a"], [1, 5, 3, 0, 0])
    found = drawn(rivals, [0], 4_000)[0]
    assert set(found.tolist()) == {0, 2}
    assert abs((found == 2).float().mean() - 0.75) < 0.03  # four standard deviations


def test_without_weights_all_are_alike_and_a_seed_repeats_them():
    rivals = NegativeSampler([1, 1, 1, 2])
    found = drawn(rivals, [0, 3], 3_000)
    assert (torch.bincount(found[0], minlength=4)[:3] > 850).all()
    assert (found[1] == 3).all()
    assert torch.equal(found, drawn(rivals, [0, 3], 3_000))
    assert not torch.equal(found, drawn(rivals, [0, 3], 3_000, seed=1))


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [1.0, np.nan]])
def test_weights_that_it_refuses(weights):
    with pytest.raises(DataError, match="a finite weight of 0 or more for each"):
        NegativeSampler(["a", "a"], weights)


@pytest.mark.parametrize(("items", "k"), [([2], 1), ([-1], 1), ([0], 0)])
def test_draws_that_it_refuses(items, k):
    with pytest.raises(DataError, match="rows from 0 to 1"):
        drawn(NegativeSampler(["a", "a"]), items, k)
