"""fashionnb.miners against the definitions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fashionnb.errors import DataError
from fashionnb.miners import random_triplets


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(0, 2**31))
def test_random_triplets_keep_their_promise(labels, seed):
    y = torch.tensor(labels, dtype=torch.int64)
    anchors, positives, negatives = random_triplets(y, torch.Generator().manual_seed(seed))
    usable = [i for i, c in enumerate(labels) if labels.count(c) > 1 and labels.count(c) < len(labels)]
    assert anchors.tolist() == usable
    for a, p, n in zip(anchors.tolist(), positives.tolist(), negatives.tolist(), strict=True):
        assert a != p
        assert labels[a] == labels[p] != labels[n]


def test_every_candidate_is_equally_likely():
    y = torch.tensor([0, 0, 0, 1, 1, 2])
    generator = torch.Generator().manual_seed(0)
    draws = [random_triplets(y, generator) for _ in range(3_000)]
    positives = torch.stack([p for _, p, _ in draws])[:, 0].bincount(minlength=6)
    negatives = torch.stack([n for _, _, n in draws])[:, 0].bincount(minlength=6)
    # Binomial(3000, 1/2) and (3000, 1/3): five standard deviations are 137 and 129.
    assert positives[[1, 2]].sub(1_500).abs().max() < 137
    assert negatives[[3, 4, 5]].sub(1_000).abs().max() < 129


def test_the_same_seed_gives_the_same_triplets():
    y = torch.arange(40) % 4
    one, two = (random_triplets(y, torch.Generator().manual_seed(5)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("shape", [(3, 2), (0,)])
def test_labels_of_another_shape_are_refused(shape):
    with pytest.raises(DataError, match=r"shape \(n,\)"):
        random_triplets(torch.zeros(shape))
