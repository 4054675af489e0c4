"""Losses against their definitions in plain Python, against torch's own and those of pytorch-metric-learning, and at
the places where gradients break."""

import math
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import losses as theirs
from pytorch_metric_learning import miners as their_miners
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.reducers import AvgNonZeroReducer, DoNothingReducer, MeanReducer

from fashionnb.errors import DataError
from fashionnb.losses import (
    batch_all_triplets,
    contrastive,
    info_nce,
    multi_task,
    pairwise_distances,
    similarity_triplet,
    spread,
    supervised_contrastive,
    triplet_margin,
)
from fashionnb.miners import batch_all, batch_hard, semi_hard

KINDS = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
OF_A_BATCH = {
    "batch-hard": lambda z, y: triplet_margin(
        *(z[side] for side in batch_hard(pairwise_distances(z), y))
    ),
    "soft": lambda z, y: triplet_margin(
        *(z[side] for side in batch_hard(pairwise_distances(z), y)), margin="soft"
    ),
    "batch-all": lambda z, y: batch_all_triplets(pairwise_distances(z), y),
    "contrastive": lambda z, y: contrastive(pairwise_distances(z), y),
    "supervised contrastive": supervised_contrastive,
}


def triplet_by_definition(anchor, positive, negative, margin):
    gaps = [
        math.dist(a, p) - math.dist(a, n)
        for a, p, n in zip(anchor, positive, negative, strict=True)
    ]
    losses = [
        math.log(1 + math.exp(gap)) if margin == "soft" else max(0.0, gap + margin) for gap in gaps
    ]
    return sum(losses) / len(losses) if losses else 0.0


def batch_all_by_definition(d, labels, margin):
    everyone = range(len(labels))
    losses = [
        max(0.0, d[a][p] - d[a][n] + margin)
        for a in everyone
        for p in everyone
        for n in everyone
        if a != p and labels[a] == labels[p] != labels[n]
    ]
    counted = [loss for loss in losses if loss > 0]
    return sum(counted) / len(counted) if counted else 0.0


def contrastive_by_definition(d, labels, margin):
    losses = [
        d[i][j] ** 2 if labels[i] == labels[j] else max(0.0, margin - d[i][j]) ** 2
        for i, j in combinations(range(len(labels)), 2)
    ]
    return sum(losses) / len(losses) if losses else 0.0


def supervised_contrastive_by_definition(z, labels, temperature):
    everyone, each = range(len(labels)), []
    for i in everyone:
        similarity = [
            sum(x * y for x, y in zip(z[i], z[j], strict=True)) / temperature for j in everyone
        ]
        others = sum(math.exp(similarity[j]) for j in everyone if j != i)
        positives = [j for j in everyone if j != i and labels[j] == labels[i]]
        if positives:
            each.append(
                -sum(math.log(math.exp(similarity[p]) / others) for p in positives) / len(positives)
            )
    return sum(each) / len(each) if each else 0.0


@st.composite
def batches(draw):
    """Vectors of length 1 in eight directions (duplicates, all identical), and labels (singletons, one class)."""
    n = draw(st.integers(1, 9))
    angles = (
        torch.tensor(
            draw(st.lists(st.integers(0, draw(st.integers(0, 7))), min_size=n, max_size=n))
        )
        * math.pi
        / 4
    )
    labels = draw(st.lists(st.integers(0, draw(st.integers(0, 3))), min_size=n, max_size=n))
    return torch.stack([angles.cos(), angles.sin()], dim=1).double(), torch.tensor(labels)


def space(n=40, d=8, classes=6, seed=0, kind=torch.float64):
    """One class is a singleton."""
    z = torch.nn.functional.normalize(normal(n, d, seed=seed, dtype=torch.float64)).to(kind)
    return z.requires_grad_(), torch.tensor([classes, *(i % classes for i in range(1, n))])


@st.composite
def triplets(draw):
    """Rows of (anchor, positive, negative) on quarters, so that identical ones occur."""
    n, d = draw(st.integers(0, 6)), draw(st.integers(1, 3))
    row = st.lists(st.integers(-4, 4).map(lambda i: i / 4), min_size=d, max_size=d)
    sides = [draw(st.lists(row, min_size=n, max_size=n)) for _ in range(3)]
    return [torch.tensor(side, dtype=torch.float64).reshape(n, d) for side in sides]


def normal(*shape, seed=0, **options):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), **options)


@settings(deadline=None)
@given(triplets(), st.sampled_from([0.2, 1.2, "soft"]))
def test_triplet_margin_is_the_definition(sides, margin):
    expected = triplet_by_definition(*(side.tolist() for side in sides), margin)
    assert triplet_margin(*sides, margin).item() == pytest.approx(expected, abs=3e-6)


def test_torch_agrees():
    sides = [
        normal(64, 16, seed=seed, dtype=torch.float64, requires_grad=True) for seed in range(3)
    ]
    ours = triplet_margin(*sides, margin=0.5)
    theirs = torch.nn.TripletMarginLoss(margin=0.5, eps=0)(*sides)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-9)
    for a, b in zip(
        torch.autograd.grad(ours, sides), torch.autograd.grad(theirs, sides), strict=True
    ):
        torch.testing.assert_close(a, b)


def test_gradients_are_those_of_the_numbers():
    sides = [normal(5, 3, seed=seed, dtype=torch.float64, requires_grad=True) for seed in range(3)]
    assert torch.autograd.gradcheck(lambda *s: triplet_margin(*s, 0.5), sides)


@pytest.mark.parametrize("kind", KINDS)
def test_identical_images_give_finite_gradients(kind):
    """Where anchor, positive and negative are one picture, the loss is the margin and nothing is pulled."""
    sides = [torch.full((4, 8), 0.35, dtype=kind, requires_grad=True) for _ in range(3)]
    loss = triplet_margin(*sides, 0.2)
    loss.backward()
    assert loss.item() == pytest.approx(0.2, abs=1e-6)
    assert all((side.grad == 0).all() for side in sides)


def test_half_precision_is_summed_in_float32():
    sides = [normal(32, 64, seed=seed).bfloat16() for seed in range(3)]
    loss = triplet_margin(*sides)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(
        triplet_margin(*(side.double() for side in sides)).item(), rel=1e-5
    )


def test_nothing_to_learn_is_a_0_that_can_be_backpropagated():
    near, far = torch.zeros(3, 2, requires_grad=True), torch.full((3, 2), 9.0)
    loss = triplet_margin(near, near, far) + triplet_margin(near[:0], near[:0], far[:0])
    loss.backward()
    assert loss.item() == 0
    assert (near.grad == 0).all()


@settings(deadline=None)
@given(triplets())
def test_pairwise_distances_are_the_definition(sides):
    a, b, _ = sides
    expected = [[math.dist(x, y) for y in b.tolist()] for x in a.tolist()]
    assert pairwise_distances(a, b).tolist() == [
        [pytest.approx(d, abs=2e-6) for d in row] for row in expected
    ]


def test_pairwise_distances_of_a_batch_with_itself():
    x = normal(20, 6)
    torch.testing.assert_close(pairwise_distances(x), pairwise_distances(x, x))
    torch.testing.assert_close(pairwise_distances(x).diagonal(), torch.full((20,), 1e-6))
    torch.testing.assert_close(pairwise_distances(x), torch.cdist(x, x), atol=2e-6, rtol=1e-5)


def test_gradients_of_pairwise_distances():
    sides = [normal(4, 3, seed=seed, dtype=torch.float64, requires_grad=True) for seed in (0, 1)]
    assert torch.autograd.gradcheck(pairwise_distances, sides)


@pytest.mark.parametrize("kind", KINDS)
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
        (
            ((4, 2), (3, 2), (4, 2)),
            {},
            r"positive: expected an array of shape \(4, 2\), got torch.float32 \(3, 2\)",
        ),
        (((4, 2), (4, 3), (4, 2)), {}, r"positive: expected an array of shape \(4, 2\)"),
        (((4,), (4,), (4,)), {}, r"anchor: expected an array of shape \(n, d\)"),
        (
            ((4, 2), (4, 2), (4, 2)),
            {"margin": "hard"},
            "margin is 'hard', it must be a distance such as 0.2, or 'soft'",
        ),
        (((4, 2), (4, 2), (4, 2)), {"margin": math.nan}, "margin is nan"),
        (((4, 2), (4, 2), (4, 2)), {"margin": -0.1}, "margin is -0.1"),
    ],
)
def test_bad_triplets(shapes, options, phrase):
    with pytest.raises(DataError, match=phrase):
        triplet_margin(*(torch.zeros(shape) for shape in shapes), **options)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_is_refused_even_where_relu_would_lose_it(value):
    sides = [torch.zeros(3, 2) for _ in range(3)]
    sides[2][1, 0] = value
    with pytest.raises(
        DataError, match=r"negative: row 1 holds NaN or infinity.*smaller learning rate"
    ):
        triplet_margin(*sides)


def test_bad_input_of_pairwise_distances():
    with pytest.raises(DataError, match=r"b: expected an array of shape \(m, 3\)"):
        pairwise_distances(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(DataError, match="a: row 0 holds NaN"):
        pairwise_distances(torch.full((1, 2), math.nan))


# Distances of the eight directions differ by far more than rounding, and so do they from each other and the margins.
@settings(deadline=None)
@given(batches(), st.sampled_from([0.2137, 0.9, 5.0]))
def test_batch_all_triplets_is_the_sum_over_all(batch, margin):
    z, y = batch
    distances = pairwise_distances(z)
    expected = batch_all_by_definition(distances.tolist(), y.tolist(), margin)
    assert batch_all_triplets(distances, y, margin).item() == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.25, 1.0]))
def test_a_triplet_exactly_on_the_margin_is_not_counted(seed, margin):
    """Distances on quarters, so that many losses are exactly 0."""
    generator = torch.Generator().manual_seed(seed)
    distances = torch.randint(0, 9, (10, 10), generator=generator).double() / 4
    y = torch.randint(0, 3, (10,), generator=generator)
    expected = batch_all_by_definition(distances.tolist(), y.tolist(), margin)
    assert batch_all_triplets(distances, y, margin).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("margin", [0.0, 0.2, 3.0])
@pytest.mark.parametrize("classes", [1, 2, 39, 8])
def test_gradients_of_batch_all_triplets_are_those_of_the_list(margin, classes):
    z, y = space(classes=classes)
    ours = batch_all_triplets(pairwise_distances(z), y, margin)
    one_by_one = triplet_margin(
        *(z[side] for side in batch_all(pairwise_distances(z), y, margin)), margin
    )
    torch.testing.assert_close(ours, one_by_one)
    gradients = (torch.autograd.grad(loss, z)[0] for loss in (ours, one_by_one))
    torch.testing.assert_close(*gradients)


@settings(deadline=None)
@given(batches(), st.sampled_from([0.5, 1.0, 3.0]))
def test_contrastive_is_the_definition(batch, margin):
    z, y = batch
    distances = pairwise_distances(z)
    expected = contrastive_by_definition(distances.tolist(), y.tolist(), margin)
    assert contrastive(distances, y, margin).item() == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(batches(), st.sampled_from([0.05, 0.1, 1.0]))
def test_supervised_contrastive_is_the_definition(batch, temperature):
    z, y = batch
    expected = supervised_contrastive_by_definition(z.tolist(), y.tolist(), temperature)
    assert supervised_contrastive(z, y, temperature).item() == pytest.approx(expected, abs=1e-6)


def test_with_one_positive_each_supervised_contrastive_is_info_nce():
    one, other = (torch.nn.functional.normalize(normal(6, 4, seed=seed)) for seed in (0, 1))
    z = torch.cat([one, other])
    logits = (z @ z.T / 0.1).fill_diagonal_(-math.inf)
    expected = torch.nn.functional.cross_entropy(logits, torch.arange(12).roll(6))
    torch.testing.assert_close(supervised_contrastive(z, torch.arange(6).repeat(2)), expected)


@settings(deadline=None)
@given(batches(), st.sampled_from(KINDS), st.sampled_from(sorted(OF_A_BATCH)))
def test_any_batch_in_any_precision_gives_a_finite_loss_and_finite_gradients(batch, kind, name):
    z, y = batch[0].to(kind).requires_grad_(), batch[1]
    loss = OF_A_BATCH[name](z, y)
    loss.backward()
    assert loss.dtype == torch.promote_types(kind, torch.float32)
    assert loss.isfinite()
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("name", OF_A_BATCH)
def test_half_precision_loses_no_more_than_its_rounding(name):
    z, y = space(kind=torch.bfloat16)
    assert OF_A_BATCH[name](z, y).item() == pytest.approx(
        OF_A_BATCH[name](z.double(), y).item(), rel=1e-5
    )


@pytest.mark.parametrize(
    "loss", [batch_all_triplets, contrastive, lambda x, y: multi_task(torch.zeros(()), x, y)[0]]
)
def test_half_precision_distances_and_logits_are_summed_in_float32(loss):
    z, y = space(classes=9)
    x = pairwise_distances(z).detach().bfloat16()
    assert loss(x, y).item() == pytest.approx(loss(x.double(), y).item(), rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "value"),
    [
        ("batch-hard", 0.2),
        ("soft", math.log(2)),
        ("batch-all", 0.2),
        ("supervised contrastive", math.log(11)),
    ],
)
def test_what_a_loss_is_where_everything_has_collapsed(loss, value):
    """Chapter 03 shows it: nothing is pulled anywhere, and the loss stands at a known number."""
    z, y = torch.full((12, 16), 0.25, requires_grad=True), torch.arange(12) % 3
    collapsed = OF_A_BATCH[loss](z, y)
    collapsed.backward()
    assert collapsed.item() == pytest.approx(value, abs=1e-6)
    torch.testing.assert_close(z.grad, torch.zeros_like(z))


@pytest.mark.parametrize("name", OF_A_BATCH)
def test_gradients_of_a_batch(name):
    z, y = space(n=8, d=3, classes=2)
    # The length is checked, not a part of the function: a step of 1e-6 stays within its tolerance.
    assert torch.autograd.gradcheck(lambda z: OF_A_BATCH[name](z, y), z)


def agree(z, ours, other):
    """The same number and the same gradient, to 1e-5."""
    torch.testing.assert_close(ours, other, rtol=1e-5, atol=1e-5)
    gradients = (torch.autograd.grad(loss, z)[0] for loss in (ours, other))
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)


# Theirs normalises unless told, has a margin of 0.05, and takes the mean over losses above 0 (AvgNonZeroReducer).
EUCLIDEAN = {"distance": LpDistance(normalize_embeddings=False)}


@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
def test_pytorch_metric_learning_agrees_on_batch_hard(kind):
    z, y = space(kind=kind)
    ours = triplet_margin(*(z[side] for side in batch_hard(pairwise_distances(z), y)), 0.2)
    loss = theirs.TripletMarginLoss(margin=0.2, reducer=MeanReducer(), **EUCLIDEAN)
    agree(z, ours, loss(z, y, their_miners.BatchHardMiner(**EUCLIDEAN)(z, y)))


def test_pytorch_metric_learning_agrees_on_semi_hard_triplets():
    """Theirs lists all semi-hard triplets of a pair, ours the nearest: given the same ones, the losses are equal."""
    z, y = space()
    triplets = semi_hard(pairwise_distances(z), y)
    loss = theirs.TripletMarginLoss(margin=0.2, reducer=MeanReducer(), **EUCLIDEAN)
    agree(z, triplet_margin(*(z[side] for side in triplets), 0.2), loss(z, y, triplets))


@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
@pytest.mark.parametrize("margin", [0.05, 0.2, 1.0])
def test_pytorch_metric_learning_agrees_on_batch_all(margin, kind):
    """Theirs takes all triplets where it is given none."""
    z, y = space(kind=kind)
    loss = theirs.TripletMarginLoss(margin=margin, reducer=AvgNonZeroReducer(), **EUCLIDEAN)
    agree(z, batch_all_triplets(pairwise_distances(z), y, margin), loss(z, y))


def test_pytorch_metric_learning_agrees_on_the_soft_margin():
    """Theirs adds its margin inside the softplus, so it must be 0."""
    z, y = space()
    loss = theirs.TripletMarginLoss(margin=0, smooth_loss=True, reducer=MeanReducer(), **EUCLIDEAN)
    agree(z, OF_A_BATCH["soft"](z, y), loss(z, y, their_miners.BatchHardMiner(**EUCLIDEAN)(z, y)))


def test_pytorch_metric_learning_agrees_on_contrastive():
    """Theirs squares nothing, and adds the means of both kinds of pair: so its losses pair by pair, each pair twice."""
    z, y = space()
    loss = theirs.ContrastiveLoss(
        pos_margin=0, neg_margin=1.2, reducer=DoNothingReducer(), **EUCLIDEAN
    )
    pairs = torch.cat([kind["losses"] for kind in loss(z, y).values()])
    agree(z, contrastive(pairwise_distances(z), y, 1.2), pairs.square().mean())


@pytest.mark.parametrize("temperature", [0.05, 0.1, 1.0])
def test_pytorch_metric_learning_agrees_on_supervised_contrastive(temperature):
    """Theirs normalises: of length 1 already, only the gradient along the vector differs, which normalising removes."""
    z, y = space()
    unit = torch.nn.functional.normalize(z)
    agree(z, supervised_contrastive(unit, y, temperature), theirs.SupConLoss(temperature)(z, y))


@settings(deadline=None)
@given(batches(), st.sampled_from(KINDS))
def test_spread_is_the_definition(batch, kind):
    z = batch[0].to(kind)
    rows = z.tolist()
    mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    expected = (sum(math.dist(row, mean) ** 2 for row in rows) / len(rows)) ** 0.5
    assert spread(z.requires_grad_()) == pytest.approx(expected, abs=1e-6)


def test_spread_runs_from_a_point_to_the_whole_sphere():
    assert spread(torch.full((9, 16), 0.25)) == 0
    assert spread(torch.cat([torch.eye(4), -torch.eye(4)])) == 1


def test_multi_task_is_the_definition():
    logits, labels, metric = normal(5, 3, dtype=torch.float64), [0, 2, 1, 1, 0], torch.tensor(0.7)
    entropies = []
    for row, label in zip(logits.tolist(), labels, strict=True):
        logs = [x - math.log(sum(map(math.exp, row))) for x in row]
        entropies.append(-logs[label])
    entropy = sum(entropies) / 5
    loss, numbers = multi_task(metric, logits, torch.tensor(labels), 0.3)
    assert loss.item() == pytest.approx(entropy + 0.3 * 0.7)
    assert numbers == {"cross entropy": pytest.approx(entropy), "metric": pytest.approx(0.7)}


def test_multi_task_teaches_both():
    z, logits = (normal(6, 3, seed=seed).bfloat16().requires_grad_() for seed in (0, 1))
    y = torch.arange(6) % 3
    loss, _ = multi_task(contrastive(pairwise_distances(z), y), logits, y)
    loss.backward()
    assert loss.dtype == torch.float32
    assert all(x.grad.isfinite().all() and x.grad.any() for x in (z, logits))


@pytest.mark.parametrize("loss", OF_A_BATCH.values(), ids=OF_A_BATCH)
def test_a_matrix_says_what_labels_say(loss):
    z, y = torch.nn.functional.normalize(normal(12, 3)), torch.arange(12) % 4
    matrix = (y[:, None] == y).fill_diagonal_(False)  # whatever the diagonal holds
    assert torch.equal(loss(z, matrix), loss(z, y))


def test_a_matrix_that_no_labels_could_say():
    """The first is like the second and the second like the third, but the third not like the first."""
    z = torch.nn.functional.normalize(normal(3, 2))
    chain = torch.tensor([[1, 1, 0], [1, 1, 1], [0, 1, 1]], dtype=torch.bool)
    cosines = (z @ z.T / 0.5).tolist()

    def chosen(a, p):
        return -math.log(
            math.exp(cosines[a][p]) / sum(math.exp(cosines[a][j]) for j in range(3) if j != a)
        )

    expected = (chosen(0, 1) + (chosen(1, 0) + chosen(1, 2)) / 2 + chosen(2, 1)) / 3
    assert supervised_contrastive(z, chain, 0.5).item() == pytest.approx(expected, rel=1e-5)
    d = pairwise_distances(z)
    triplets = [(0, 1, 2), (2, 1, 0)]
    each = [(d[a, p] - d[a, n] + 1).item() for a, p, n in triplets]
    assert min(each) > 0
    assert batch_all_triplets(d, chain, 1.0).item() == pytest.approx(sum(each) / 2, rel=1e-5)


@pytest.mark.parametrize("loss", [batch_all_triplets, contrastive])
def test_bad_distances_are_refused(loss):
    y = torch.tensor([0, 0, 1])
    for distances, labels in [
        (torch.zeros(3, 2), y),
        (torch.zeros(0, 0), y[:0]),
        (torch.zeros(3, 3), y[:, None]),
        (torch.zeros(3, 3), torch.eye(3)),
    ]:
        with pytest.raises(
            DataError,
            match=r"(labels: expected an array of shape \(n,\)|distances: expected .*\(3, 3\))",
        ):
            loss(distances, labels)
    for value in (math.nan, math.inf):
        with pytest.raises(DataError, match="distances: row 0 holds NaN or infinity"):
            loss(torch.full((3, 3), value), y)
    for margin in ("soft", math.nan, -1):
        with pytest.raises(DataError, match="it must be a distance such as"):
            loss(torch.zeros(3, 3), y, margin)


@pytest.mark.parametrize(
    ("embeddings", "options", "phrase"),
    [
        (
            torch.eye(3) * torch.tensor([[1.0], [1.5], [1.0]]),
            {},
            r"row 1 has length 1.5, it must be 1. Use .*normalize",
        ),
        (torch.full((3, 2), math.nan), {}, "embeddings: row 0 holds NaN"),
        (torch.eye(4), {}, r"embeddings: expected an array of shape \(3, d\)"),
        (torch.eye(3), {"temperature": 0}, "temperature is 0, it must be above 0"),
        (torch.eye(3), {"temperature": math.nan}, "temperature is nan"),
    ],
)
def test_bad_input_of_supervised_contrastive(embeddings, options, phrase):
    with pytest.raises(DataError, match=phrase):
        supervised_contrastive(embeddings, torch.tensor([0, 0, 1]), **options)


def test_bad_input_of_spread():
    with pytest.raises(DataError, match=r"embeddings: expected an array .* at least 1"):
        spread(torch.zeros(0, 3))
    with pytest.raises(DataError, match="embeddings: row 0 holds NaN"):
        spread(torch.full((2, 3), math.nan))


@pytest.mark.parametrize(
    ("logits", "labels", "phrase"),
    [
        (
            torch.zeros(2, 3),
            torch.tensor([0, 3]),
            "labels: expected whole numbers from 0 to below 3, got 0 to 3",
        ),
        (torch.zeros(2, 3), torch.tensor([0, -1]), "from 0 to below 3"),
        (torch.zeros(2, 3), torch.tensor([0, 1, 2]), r"labels: expected whole \(2,\)"),
        (torch.zeros(0, 3), torch.tensor([], dtype=torch.int64), "every length at least 1"),
        (torch.full((2, 3), math.nan), torch.tensor([0, 1]), "logits: row 0 holds NaN"),
    ],
)
def test_bad_input_of_multi_task(logits, labels, phrase):
    with pytest.raises(DataError, match=phrase):
        multi_task(torch.tensor(0.0), logits, labels)


def info_nce_by_hand(logits, unsure, smoothing):
    """Row by row, column by column, from the definition."""
    n, m = len(logits), len(logits[0])

    def one(own, others):
        everything = math.log(math.exp(own) + sum(map(math.exp, others)))
        wrong = [other - everything for other in others]
        return -(1 - smoothing) * (own - everything) - smoothing * (
            sum(wrong) / len(wrong) if wrong else 0
        )

    rows = [
        one(logits[i][i], [logits[i][j] for j in range(m) if j != i and not unsure[i][j]])
        for i in range(n)
    ]
    columns = [
        one(logits[j][j], [logits[i][j] for i in range(n) if i != j and not unsure[i][j]])
        for j in range(n)
    ]
    return (sum(rows) + sum(columns)) / (2 * n)


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(0, 3), st.sampled_from([0.0, 0.1, 0.5]), st.integers(0, 99))
def test_info_nce_is_the_definition(n, more, smoothing, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, n + more, generator=generator)
    unsure = torch.rand(n, n + more, generator=generator) < 0.3
    found = info_nce(logits, unsure, smoothing)
    assert float(found) == pytest.approx(
        info_nce_by_hand(logits.tolist(), unsure.tolist(), smoothing), abs=1e-5
    )


def test_info_nce_of_equal_logits_is_chance():
    assert float(info_nce(torch.zeros(8, 8))) == pytest.approx(math.log(8))


def test_info_nce_does_not_push_what_is_unsure():
    logits = torch.zeros(3, 3, requires_grad=True)
    unsure = torch.zeros(3, 3, dtype=torch.bool)
    unsure[0, 1] = True
    info_nce(logits, unsure).backward()
    assert logits.grad[0, 1] == 0
    assert (logits.grad[[0, 1], [2, 0]] > 0).all()
    assert logits.grad.diagonal().max() < 0


def test_similarity_triplet():
    right, wrong = torch.tensor([0.9, 0.5, 0.1]), torch.tensor([0.1, 0.4, 0.3])
    assert float(similarity_triplet(right, wrong, 0.2)) == pytest.approx((0 + 0.1 + 0.4) / 3)
    assert float(similarity_triplet(right[:0], wrong[:0])) == 0


@pytest.mark.parametrize(
    ("call", "phrase"),
    [
        (lambda: info_nce(torch.zeros(3, 2)), "m at least n"),
        (lambda: info_nce(torch.zeros(0, 2)), "m at least n"),
        (
            lambda: info_nce(torch.zeros(2, 2), torch.zeros(2, 3, dtype=torch.bool)),
            "of the same shape",
        ),
        (lambda: info_nce(torch.full((2, 2), torch.nan)), "NaN"),
        (lambda: info_nce(torch.zeros(2, 2), smoothing=1), "smoothing is 1"),
        (
            lambda: similarity_triplet(torch.zeros(2), torch.zeros(3)),
            r"wrong: expected an array of shape \(2,\)",
        ),
        (lambda: similarity_triplet(torch.zeros(2), torch.full((2,), torch.inf)), "infinity"),
        (lambda: similarity_triplet(torch.zeros(2), torch.zeros(2), -1), "margin is -1"),
    ],
)
def test_bad_input_of_similarities(call, phrase):
    with pytest.raises(DataError, match=phrase):
        call()
