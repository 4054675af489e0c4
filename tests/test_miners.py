"""fashionnb.miners against the definitions, and against pytorch-metric-learning."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import miners as theirs
from pytorch_metric_learning.distances import LpDistance

from fashionnb.errors import DataError
from fashionnb.losses import pairwise_distances
from fashionnb.miners import (
    alike,
    batch_all,
    batch_hard,
    distance_weighted,
    hardest_negatives,
    random_triplets,
    semi_hard,
)

ON_DISTANCES = {
    "batch_hard": batch_hard,
    "semi_hard": semi_hard,
    "batch_all": batch_all,
    "distance_weighted": lambda distances, labels: distance_weighted(distances, labels, 8),
}
KINDS = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def positives_of(labels, a):
    return [j for j, c in enumerate(labels) if j != a and c == labels[a]]


def negatives_of(labels, a):
    return [j for j, c in enumerate(labels) if c != labels[a]]


def batch_hard_by_definition(d, labels):
    triplets = []
    for a in range(len(labels)):
        positives, negatives = positives_of(labels, a), negatives_of(labels, a)
        if positives and negatives:  # max and min give the first of several
            triplets.append(
                (a, max(positives, key=d[a].__getitem__), min(negatives, key=d[a].__getitem__))
            )
    return triplets


def semi_hard_by_definition(d, labels):
    triplets = []
    for a in range(len(labels)):
        for p in positives_of(labels, a):
            negatives = negatives_of(labels, a)
            farther = [n for n in negatives if d[a][n] > d[a][p]]
            if farther:
                triplets.append((a, p, min(farther, key=d[a].__getitem__)))
            elif negatives:
                triplets.append((a, p, max(negatives, key=d[a].__getitem__)))
    return triplets


def batch_all_by_definition(d, labels, margin):
    return [
        (a, p, n)
        for a in range(len(labels))
        for p in positives_of(labels, a)
        for n in negatives_of(labels, a)
        if d[a][p] - d[a][n] + margin > 0
    ]


@st.composite
def batches(draw):
    """Symmetric distances on quarters from 0 to 2 (ties and duplicates), and labels (singletons, one class)."""
    n = draw(st.integers(1, 9))
    labels = draw(st.lists(st.integers(0, draw(st.integers(0, 3))), min_size=n, max_size=n))
    quarters = (
        torch.tensor(draw(st.lists(st.integers(0, 8), min_size=n * n, max_size=n * n))).reshape(
            n, n
        )
        / 4
    )
    distances = quarters.triu(1) + quarters.triu(1).T
    return distances.to(draw(st.sampled_from(KINDS))), torch.tensor(labels)


def listed(triplets):
    assert all(side.dtype == torch.int64 for side in triplets)
    return list(zip(*(side.tolist() for side in triplets), strict=True))


def space(n=48, d=8, classes=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z = torch.nn.functional.normalize(torch.randn(n, d, generator=generator, dtype=torch.float64))
    return z, torch.randint(0, classes, (n,), generator=generator)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(0, 2**31))
def test_random_triplets_keep_their_promise(labels, seed):
    y = torch.tensor(labels, dtype=torch.int64)
    anchors, positives, negatives = random_triplets(y, torch.Generator().manual_seed(seed))
    usable = [
        i for i, c in enumerate(labels) if labels.count(c) > 1 and labels.count(c) < len(labels)
    ]
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


@settings(deadline=None)
@given(batches())
def test_batch_hard_is_the_exhaustive_search(batch):
    distances, labels = batch
    assert listed(batch_hard(distances, labels)) == batch_hard_by_definition(
        distances.tolist(), labels.tolist()
    )


@settings(deadline=None)
@given(batches())
def test_semi_hard_is_the_exhaustive_search(batch):
    distances, labels = batch
    assert listed(semi_hard(distances, labels)) == semi_hard_by_definition(
        distances.tolist(), labels.tolist()
    )


def test_ties_go_to_the_lower_index_also_where_sorting_would_shuffle_them():
    generator = torch.Generator().manual_seed(0)
    distances = torch.randint(0, 9, (150, 150), generator=generator) / 4
    labels = torch.randint(0, 5, (150,), generator=generator)
    for mine, definition in [
        (batch_hard, batch_hard_by_definition),
        (semi_hard, semi_hard_by_definition),
    ]:
        assert listed(mine(distances, labels)) == definition(distances.tolist(), labels.tolist())


# A quarter is exact in binary: triplets that lie exactly on the margin must be left out.
@settings(deadline=None)
@given(batches(), st.sampled_from([0.0, 0.2, 0.25, 1.0, 3.0]))
def test_batch_all_is_the_exhaustive_search(batch, margin):
    distances, labels = batch
    expected = batch_all_by_definition(distances.tolist(), labels.tolist(), margin)
    assert listed(batch_all(distances, labels, margin)) == expected


@pytest.mark.parametrize(
    "mine", [batch_all, lambda d, y: distance_weighted(d, y, 16, torch.Generator().manual_seed(0))]
)
def test_half_precision_is_rounded_no_further(mine):
    distances = 2 * torch.rand(300, 300, generator=torch.Generator().manual_seed(0)).bfloat16()
    y = torch.arange(300) % 5
    assert all(map(torch.equal, mine(distances, y), mine(distances.double(), y)))


@settings(deadline=None)
@given(batches(), st.sampled_from([2, 3, 128, 4096]), st.integers(0, 2**31))
def test_distance_weighted_keeps_its_promise(batch, dimensions, seed):
    distances, y = batch
    labels = y.tolist()
    triplets = listed(
        distance_weighted(distances, y, dimensions, torch.Generator().manual_seed(seed))
    )
    assert [a for a, _, _ in triplets] == [
        a for a, _, _ in batch_hard_by_definition(distances.tolist(), labels)
    ]
    assert all(
        p in positives_of(labels, a) and n in negatives_of(labels, a) for a, p, n in triplets
    )


@pytest.mark.parametrize("dimensions", [2, 3, 8, 24])
def test_distance_weighted_draws_in_inverse_proportion_to_the_density(dimensions):
    to_negatives = torch.tensor([0.1, 0.5, 0.8, 1.1, 1.4, 2.0])
    clipped = [min(max(d, 0.5), 1.4) for d in to_negatives.tolist()]
    weights = [
        1 / (d ** (dimensions - 2) * (1 - d * d / 4) ** ((dimensions - 3) / 2)) for d in clipped
    ]
    distances, y = torch.zeros(106, 106), torch.tensor([0] * 100 + [1, 1, 1, 2, 2, 3])
    distances[:100, 100:] = to_negatives
    generator, draws = torch.Generator().manual_seed(0), 10_000
    negatives = torch.cat(
        [
            distance_weighted(distances, y, dimensions, generator)[2][:100]
            for _ in range(draws // 100)
        ]
    )
    for weight, drawn in zip(
        weights, (negatives - 100).bincount(minlength=6).tolist(), strict=True
    ):
        share = weight / sum(weights)
        # Five standard deviations of a binomial, and one draw for the rarest.
        assert drawn == pytest.approx(
            draws * share, abs=5 * (draws * share * (1 - share)) ** 0.5 + 1
        )


def test_a_margin_changes_nothing_for_a_semi_hard_negative_but_its_loss():
    """Their list of all semi-hard negatives, with a margin that lets all of them in: ours is the nearest of each pair.

    LpDistance(normalize_embeddings=False) is our distance; theirs normalises unless told.
    """
    z, y = space()
    distances = pairwise_distances(z)
    miner = theirs.TripletMarginMiner(
        4.0, "semihard", distance=LpDistance(normalize_embeddings=False)
    )
    nearest = {}
    for a, p, n in zip(*(side.tolist() for side in miner(z, y)), strict=True):
        nearest[a, p] = min(
            nearest.get((a, p), n), n, key=lambda item, a=a: distances[a, item].item()
        )
    found = {(a, p): n for a, p, n in listed(semi_hard(distances, y))}
    assert len(nearest) > 300
    assert {pair: found[pair] for pair in nearest} == nearest
    assert all(
        distances[a, n] == distances[a, y != y[a]].max()
        for (a, p), n in found.items()
        if (a, p) not in nearest
    )


@pytest.mark.parametrize("seed", range(3))
def test_pytorch_metric_learning_finds_the_same_hard_triplets(seed):
    z, y = space(seed=seed)
    miner = theirs.BatchHardMiner(distance=LpDistance(normalize_embeddings=False))
    assert listed(batch_hard(pairwise_distances(z), y)) == sorted(listed(miner(z, y)))


@pytest.mark.parametrize("margin", [0.05, 0.2, 0.7])
def test_pytorch_metric_learning_lists_the_same_triplets(margin):
    """Theirs lets a loss of exactly 0 in; there is none among these."""
    z, y = space()
    miner = theirs.TripletMarginMiner(
        margin, "all", distance=LpDistance(normalize_embeddings=False)
    )
    assert listed(batch_all(pairwise_distances(z), y, margin)) == sorted(listed(miner(z, y)))


@pytest.mark.parametrize(
    "mine", [random_triplets, lambda y, g: distance_weighted(torch.ones(40, 40), y, 8, g)]
)
def test_the_same_seed_gives_the_same_triplets(mine):
    y = torch.arange(40) % 4
    one, two, other = (mine(y, torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert listed(one) == listed(two) != listed(other)


@pytest.mark.parametrize("mine", ON_DISTANCES.values(), ids=ON_DISTANCES)
def test_a_collapsed_batch_and_distances_with_a_gradient_can_be_mined(mine):
    z = torch.full((6, 4), 0.5, requires_grad=True)
    y = torch.tensor([0, 1, 0, 1, 2, 0])
    anchors, positives, negatives = mine(pairwise_distances(z), y)
    assert set(anchors.tolist()) == {0, 1, 2, 3, 5}  # 4 is alone in its class
    assert (anchors != positives).all()
    assert (y[anchors] == y[positives]).all()
    assert (y[anchors] != y[negatives]).all()


@st.composite
def described(draw):
    """Items with up to three attributes of few values (0 is unknown), and a threshold."""
    n, a = draw(st.integers(1, 7)), draw(st.integers(1, 3))
    attributes = draw(
        st.lists(st.lists(st.integers(0, 2), min_size=a, max_size=a), min_size=n, max_size=n)
    )
    return attributes, draw(st.integers(1, 12))


@settings(deadline=None)
@given(described())
def test_alike_is_the_rule_as_it_is_written(items):
    attributes, twelfths = items
    found = alike(torch.tensor(attributes), twelfths / 12).tolist()
    for i, one in enumerate(attributes):
        for j, other in enumerate(attributes):
            same = sum(a == b != 0 for a, b in zip(one, other, strict=True))
            assert found[i][j] == (i == j or 12 * same >= twelfths * len(one))


def test_a_rule_need_not_be_transitive():
    bag, other, shirt = [1, 1], [1, 2], [2, 2]
    matrix = alike(torch.tensor([bag, other, shirt]), threshold=0.5)
    assert matrix.tolist() == [[True, True, False], [True, True, True], [False, True, True]]
    anchors, positives, negatives = batch_hard(
        torch.tensor([[0.0, 1, 2], [1, 0, 1], [2, 1, 0]]), matrix
    )
    assert listed((anchors, positives, negatives)) == [
        (0, 1, 2),
        (2, 1, 0),
    ]  # the one in the middle has no negative


@pytest.mark.parametrize("mine", ON_DISTANCES.values(), ids=ON_DISTANCES)
def test_a_matrix_says_what_labels_say(mine):
    z, y = space()
    matrix = (y[:, None] == y).fill_diagonal_(False)  # whatever the diagonal holds
    with torch.random.fork_rng():
        torch.manual_seed(0)
        by_labels = mine(pairwise_distances(z), y)
        torch.manual_seed(0)
        assert listed(mine(pairwise_distances(z), matrix)) == listed(by_labels)
    first, second = (random_triplets(who, torch.Generator().manual_seed(0)) for who in (y, matrix))
    assert listed(first) == listed(second)


@pytest.mark.parametrize(
    ("wrong", "phrase"),
    [
        (
            (torch.zeros(3, dtype=torch.int64),),
            r"integer \(n, a\), got torch.int64 \(3,\)",
        ),
        ((torch.zeros(3, 2),), "attributes: expected integer"),
        ((torch.zeros(3, 2, dtype=torch.int64), 0.0), "share above 0 and up to 1"),
        ((torch.zeros(3, 2, dtype=torch.int64), 1.1), "share above 0 and up to 1"),
    ],
)
def test_rules_that_are_none(wrong, phrase):
    with pytest.raises(DataError, match=phrase):
        alike(*wrong)


@pytest.mark.parametrize("mine", [random_triplets, lambda y: batch_hard(torch.zeros(3, 3), y)])
@pytest.mark.parametrize("shape", [(3, 2), (0,), (3, 3)])
def test_labels_of_another_shape_are_refused(mine, shape):
    with pytest.raises(DataError, match=r"shape \(n,\)"):
        mine(torch.zeros(shape))


@pytest.mark.parametrize("mine", ON_DISTANCES.values(), ids=ON_DISTANCES)
def test_bad_distances_are_refused(mine):
    y = torch.tensor([0, 0, 1])
    with pytest.raises(DataError, match=r"got torch.float32 \(3, 2\). Use pairwise_distances"):
        mine(torch.zeros(3, 2), y)
    for value in (math.nan, math.inf):
        distances = torch.zeros(3, 3)
        distances[2, 0] = value
        with pytest.raises(DataError, match="distances: row 2 holds NaN or infinity"):
            mine(distances, y)


@pytest.mark.parametrize(
    ("distance", "options", "phrase"),
    [
        (2.5, {}, r"distances run from 0 to 2, got 2.5 to 2.5. Normalise"),
        (-0.5, {}, "distances run from 0 to 2"),
        (1.0, {"dimensions": 1}, "dimensions of at least 2"),
    ],
)
def test_distances_that_are_none_of_the_unit_sphere(distance, options, phrase):
    with pytest.raises(DataError, match=phrase):
        distance_weighted(
            torch.full((3, 3), distance), torch.tensor([0, 0, 1]), **{"dimensions": 8, **options}
        )


@pytest.mark.parametrize("margin", ["soft", math.nan, -0.1])
def test_a_margin_that_is_no_distance_is_refused(margin):
    with pytest.raises(DataError, match="it must be a distance such as"):
        batch_all(torch.zeros(3, 3), torch.tensor([0, 0, 1]), margin)


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 4), st.integers(0, 99))
def test_hardest_rivals_is_the_exhaustive_search(n, more, seed):
    generator = torch.Generator().manual_seed(seed)
    similar = torch.randint(-2, 3, (n, n + more), generator=generator).float()
    kinds = torch.randint(0, 3, (n + more,), generator=generator)
    unsure = torch.rand(n, n + more, generator=generator) < 0.3
    expected = []
    for i in range(n):
        others = [
            j for j in range(n + more) if j != i and kinds[j] == kinds[i] and not unsure[i, j]
        ]
        if others:
            expected.append((i, i, max(others, key=lambda j, i=i: (float(similar[i, j]), -j))))
    found = hardest_negatives(similar, kinds, unsure)
    assert list(zip(*(part.tolist() for part in found), strict=True)) == expected


@pytest.mark.parametrize(
    ("similar", "kinds", "phrase"),
    [
        (torch.zeros(3, 2), torch.zeros(2), "m at least n"),
        (torch.zeros(2, 2), torch.zeros(3), "kinds"),
        (torch.full((2, 2), torch.nan), torch.zeros(2), "NaN"),
    ],
)
def test_hardest_rivals_refuses(similar, kinds, phrase):
    with pytest.raises(DataError, match=phrase):
        hardest_negatives(similar, kinds)
