"""fashionnb.data.samplers against the definitions: shares, rounds, replay, and several processes."""

from itertools import chain, islice

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionnb.data.samplers import (
    NegativeSampler,
    balanced,
    difficulty,
    shuffled,
    weighted,
)
from fashionnb.errors import DataError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def take(batches, count):
    """The first batches, as lists."""
    return [rows.tolist() for rows in islice(batches, count)]


def by_class(rows, labels):
    """Each class's rows, in the order in which they came."""
    rows = list(rows)
    return {c: [row for row in rows if labels[row] == c] for c in sorted(set(labels))}


def assert_rounds(dealt, everything):
    """Cut into runs of the size of everything, each run has no repeat, and each full one all there is."""
    size = len(everything)
    for begin in range(0, len(dealt), size):
        run = dealt[begin : begin + size]
        assert len(set(run)) == len(run)
        assert set(run) <= set(everything)


@st.composite
def shelves(draw, most_classes=5, most_items=6):
    """Labels 0 to c - 1, mixed, each class with an item or more."""
    sizes = draw(st.lists(st.integers(1, most_items), min_size=1, max_size=most_classes))
    return draw(st.permutations([c for c, size in enumerate(sizes) for _ in range(size)]))


seeds = st.integers(0, 2**31)


@given(st.integers(1, 50), st.integers(1, 60), seeds)
def test_shuffled_gives_every_row_once(n, batch_size, seed):
    batches = take(shuffled(n, batch_size, seeded(seed)), n + 1)
    assert sorted(chain(*batches)) == list(range(n))
    assert [len(batch) for batch in batches] == [
        min(batch_size, n - i) for i in range(0, n, batch_size)
    ]


def test_shuffled_shuffles():
    one, two = (list(chain(*take(shuffled(100, 10, seeded(seed)), 10))) for seed in (0, 1))
    assert one != two != list(range(100)) != one


@settings(deadline=None)
@given(shelves(), st.data(), st.integers(1, 5), seeds)
def test_balanced_is_p_classes_with_k_items_going_round(labels, data, per_class, seed):
    classes = data.draw(st.integers(1, max(labels) + 1))
    batches = take(balanced(torch.tensor(labels), classes, per_class, seeded(seed)), 12)
    in_turn = []
    for rows in batches:
        found = by_class(rows, labels)
        held = [c for c in found if found[c]]
        assert len(rows) == classes * per_class
        assert [len(found[c]) for c in held] == [per_class] * classes
        # The first item of each class, then the second of each, ...
        chosen = [labels[row] for row in rows[:classes]]
        assert [labels[row] for row in rows] == chosen * per_class
        in_turn += chosen
        for c in held:
            # As often as each other, up to one, if the class has at most K; otherwise no item twice.
            assert len(set(found[c])) == min(per_class, labels.count(c))
    assert_rounds(in_turn, sorted(set(labels)))
    everything = by_class(range(len(labels)), labels)
    for c, dealt in by_class(chain(*batches), labels).items():
        assert_rounds(dealt, everything[c])


@pytest.mark.parametrize("world", [2, 4])
@pytest.mark.parametrize(("classes", "per_class"), [(10, 20), (3, 9), (4, 8)])
def test_each_process_has_its_part_of_every_class(world, classes, per_class):
    """Cut as `fashionnb.training.fit` cuts a batch, no item is left without a positive or a negative."""
    labels = torch.arange(600) % 10
    for rows in islice(balanced(labels, classes, per_class, seeded()), 20):
        for share in labels[rows].tensor_split(world):
            counts = share.bincount()
            counts = counts[counts > 0]
            assert len(counts) == classes
            assert counts.min() >= max(2, per_class // world)
            assert counts.max() <= -(-per_class // world)


@settings(deadline=None)
@given(shelves(), st.data(), st.integers(1, 30), seeds)
def test_weighted_gives_each_class_its_share_going_round(labels, data, batch_size, seed):
    classes = max(labels) + 1
    weights = data.draw(
        st.lists(st.sampled_from([0.1, 0.5, 1.0, 3.0]), min_size=classes, max_size=classes)
    )
    batches = take(weighted(torch.tensor(labels), weights, batch_size, seeded(seed)), 12)
    for rows in batches:
        assert len(rows) == batch_size
        for c, found in by_class(rows, labels).items():
            wanted = batch_size * weights[c] / sum(weights)
            assert wanted - 1 < len(found) < wanted + 1 or len(found) == pytest.approx(wanted)
            assert len(set(found)) == min(len(found), labels.count(c))
    everything = by_class(range(len(labels)), labels)
    for c, dealt in by_class(chain(*batches), labels).items():
        assert_rounds(dealt, everything[c])


def test_weighted_shares_are_exact_in_the_long_run():
    """Rounding up is as likely as the fraction says: systematic sampling."""
    weights = torch.tensor([0.6, 1.0, 1.7, 0.7])
    labels = torch.arange(80) % 4
    rows = torch.cat(list(islice(weighted(labels, weights, 10, seeded()), 4_000)))
    share = labels[rows].bincount() / len(rows)
    # A count of the batch is one of two whole numbers, so its deviation is at most 1/2: five are 5 × 0.05 / √4000.
    assert share.sub(weights / weights.sum()).abs().max() < 0.004


def test_equal_weights_give_equal_counts():
    labels = torch.arange(70) % 7
    for rows in islice(weighted(labels, [0.3] * 7, 49, seeded()), 200):
        assert labels[rows].bincount().tolist() == [7] * 7


@pytest.mark.parametrize("lot", [0, 1 - 2**-24])
def test_the_extreme_lots_give_equal_counts_too(lot, monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *_, generator: torch.tensor([lot]))
    for classes in range(1, 60):
        labels = torch.arange(2 * classes) % classes
        rows = next(weighted(labels, [0.1] * classes, 3 * classes, seeded()))
        assert labels[rows].bincount().tolist() == [3] * classes


@settings(deadline=None)
@given(st.lists(st.floats(0.5, 2), min_size=10, max_size=10), st.sampled_from([2, 4]), seeds)
def test_each_process_has_about_its_part_of_the_weights(weights, world, seed):
    labels = torch.arange(1_000) % 10
    rows = next(weighted(labels, weights, 200, seeded(seed)))
    whole = labels[rows].bincount(minlength=10)
    for share in labels[rows].tensor_split(world):
        # The places are even within 1/2 item of a class, and cut within 5 items (half the classes) of the even cut.
        reach = 2 * (0.5 + 5 / 200 * whole)
        assert ((share.bincount(minlength=10) - whole / world).abs() <= reach).all()


MAKERS = {
    "shuffled": lambda generator: shuffled(90, 30, generator),
    "balanced": lambda generator: balanced(torch.arange(90) % 9, 6, 5, generator),
    "weighted": lambda generator: weighted(torch.arange(90) % 9, [1.0] * 8 + [2.5], 30, generator),
}


@pytest.mark.parametrize("name", MAKERS)
def test_only_the_generator_is_random(name):
    """The same for every process, and for an epoch that is replayed; the global state is neither used nor touched."""
    torch.manual_seed(1)
    one = take(MAKERS[name](seeded(5)), 3)
    state = torch.get_rng_state()
    torch.manual_seed(2)
    assert take(MAKERS[name](seeded(5)), 3) == one
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)
    assert take(MAKERS[name](seeded(6)), 3) != one


@pytest.mark.parametrize("name", MAKERS)
def test_rows_are_int64(name):
    assert next(MAKERS[name](seeded())).dtype == torch.int64


@pytest.mark.parametrize(
    ("batches", "phrase"),
    [
        (lambda y, g: shuffled(0, 4, g), "n must be 1 or more"),
        (lambda y, g: shuffled(4, 0, g), "batch_size must be 1"),
        (lambda y, g: balanced(y, 4, 2, g), "there are 3"),
        (lambda y, g: balanced(y, 0, 2, g), "classes must be 1"),
        (lambda y, g: balanced(y, 2, 0, g), "per_class must be 1"),
        (lambda y, g: balanced(y[:0], 2, 2, g), "Labels: expected integer .* at least 1"),
        (lambda y, g: balanced(y[None], 2, 2, g), r"Labels: expected integer \(n,\)"),
        (lambda y, g: balanced(y.float(), 2, 2, g), r"expected integer \(n,\) .*got torch.float32"),
        (lambda y, g: weighted(y, [1, 1, 1], 0, g), "batch_size must be 1"),
        (lambda y, g: weighted(y, [1, 0, 1], 8, g), "positive"),
        (lambda y, g: weighted(y, [1, float("nan"), 1], 8, g), "NaN or infinity"),
        (lambda y, g: weighted(y, [1, 1], 8, g), "labels 0 to 1"),
        (lambda y, g: weighted(y, [1, 1, 1, 1], 8, g), "labels 0 to 3"),
        (lambda y, g: weighted(y - 1, [1, 1, 1], 8, g), "labels are"),
        (lambda y, g: weighted(y[:0], [1, 1, 1], 8, g), "Labels: expected integer .* at least 1"),
    ],
)
def test_bad_input_is_refused(batches, phrase):
    with pytest.raises(DataError, match=phrase):
        next(batches(torch.tensor([0, 1, 2, 0, 1, 2]), seeded()))


# T-shirt, Trouser and Shirt, as a small network's silhouettes may be.
@pytest.mark.parametrize("kind", [list, np.array, torch.tensor, pd.Series])
def test_difficulty_by_hand(kind):
    weights = difficulty(kind([0.38, 0.85, 0.02]), floor=0.25)
    assert weights.tolist() == pytest.approx(
        [0.25 + 0.75 * lack / 0.5833333 for lack in (0.62, 0.15, 0.98)]
    )


scores = st.lists(st.floats(-1, 1), min_size=1, max_size=10)


@given(scores, st.floats(0, 1))
def test_difficulty_keeps_its_promise(scores, floor):
    weights = difficulty(scores, floor)
    assert weights.dtype == torch.float64
    assert weights.mean().item() == pytest.approx(1)
    assert weights.min() >= floor - 1e-12
    order = np.argsort(scores, kind="stable")
    assert (np.diff(weights.numpy()[order]) <= 1e-12).all(), (
        "the lower the score, the greater the weight"
    )


@pytest.mark.parametrize("same", [[1.0, 1.0], [0.3, 0.3, 0.3], [-1.0]])
def test_equal_scores_weigh_the_same(same):
    assert difficulty(same).tolist() == pytest.approx([1.0] * len(same))


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (([],), "one for each class"),
        (([[0.5]],), "one for each class"),
        (([0.5, float("nan")],), "NaN or infinity"),
        (([88.0, 90.0],), "Percent"),
        (([0.5], -0.1), "floor lies between 0 and 1"),
        (([0.5], 1.1), "floor lies between 0 and 1"),
        (([0.5], float("nan")), "floor lies between 0 and 1"),
    ],
)
def test_bad_scores_are_refused(arguments, phrase):
    with pytest.raises(DataError, match=phrase):
        difficulty(*arguments)


def negatives(sampler, items, k, seed=0):
    return sampler.draw(torch.tensor(items), k, torch.Generator().manual_seed(seed))


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=30),
    st.integers(0, 5),
)
def test_negatives_are_of_the_same_group_and_used(items, seed):
    groups, weights = (
        np.array([group for group, _ in items]),
        np.array([weight for _, weight in items]),
    )
    found = negatives(NegativeSampler(groups, weights), range(len(items)), 8, seed).numpy()
    assert (groups[found] == groups[:, None]).all()
    for row, group in zip(found, groups, strict=True):
        if weights[groups == group].any():
            assert (weights[row] > 0).all()


def test_negatives_come_as_often_as_they_are_used():
    sampler = NegativeSampler(["a", "b", "a", "b", "a"], [1, 5, 3, 0, 0])
    found = negatives(sampler, [0], 4_000)[0]
    assert set(found.tolist()) == {0, 2}
    assert abs((found == 2).float().mean() - 0.75) < 0.03  # four standard deviations


def test_without_weights_all_negatives_are_alike_and_a_seed_repeats_them():
    sampler = NegativeSampler([1, 1, 1, 2])
    found = negatives(sampler, [0, 3], 3_000)
    assert (torch.bincount(found[0], minlength=4)[:3] > 850).all()
    assert (found[1] == 3).all()
    assert torch.equal(found, negatives(sampler, [0, 3], 3_000))
    assert not torch.equal(found, negatives(sampler, [0, 3], 3_000, seed=1))


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [1.0, np.nan]])
def test_weights_of_negatives_that_are_refused(weights):
    with pytest.raises(DataError, match="a finite weight of 0 or more for each"):
        NegativeSampler(["a", "a"], weights)


@pytest.mark.parametrize(("items", "k"), [([2], 1), ([-1], 1), ([0], 0)])
def test_negatives_that_are_refused(items, k):
    with pytest.raises(DataError, match="rows from 0 to 1"):
        negatives(NegativeSampler(["a", "a"]), items, k)
