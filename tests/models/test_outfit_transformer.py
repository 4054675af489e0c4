"""fashionnb.models.outfit_transformer: the order of a set and its padding change nothing, and it can learn what goes
together."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from fashionnb.checkpoints import load_model, save
from fashionnb.errors import DataError
from fashionnb.models import parameters
from fashionnb.models.outfit_inputs import Items, padded
from fashionnb.models.outfit_transformer import Block, OutfitTransformer
from fashionnb.training import Recipe, fit

SIZES = {
    "width": 6,
    "types": 5,
    "colours": 4,
    "labels": (3, 7),
    "hidden": 16,
    "layers": 2,
    "heads": 4,
}


def transformer(**more):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return OutfitTransformer(**(SIZES | more)).eval()


def wardrobe(n=40):
    draw = torch.Generator().manual_seed(1)
    return Items(
        torch.randn(n, 6, generator=draw),
        torch.randint(0, 5, (n,), generator=draw),
        torch.rand(n, 4, generator=draw),
        torch.stack([torch.randint(0, count, (n,), generator=draw) for count in (3, 7)], 1),
    )


def drawn(size, n=12):
    draw = torch.Generator().manual_seed(size)
    return torch.stack([torch.randperm(40, generator=draw)[:size] for _ in range(n)])


def answers(model, items, there=None):
    """All that a model says of some outfits, in one tensor."""
    wanted = torch.arange(len(items)) % 5
    return torch.cat(
        [
            model(items, there)[:, None],
            model.seek(items, wanted, there),
            model.seek(items, None, there),
        ],
        1,
    )


@pytest.mark.parametrize("size", range(1, 20))
def test_the_order_of_items_does_not_matter(size):
    items, rows = wardrobe(), drawn(size)
    shuffle = torch.randperm(size, generator=torch.Generator().manual_seed(2))
    model = transformer()
    torch.testing.assert_close(
        answers(model, items[rows[:, shuffle]]), answers(model, items[rows]), rtol=0, atol=1e-6
    )
    before, after = model.attention(items[rows]), model.attention(items[rows[:, shuffle]])
    torch.testing.assert_close(after, before[:, shuffle][:, :, shuffle], rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [1, 3, 18])
def test_padding_changes_nothing(size):
    items, rows, model = wardrobe(), drawn(size), transformer()
    alone = answers(model, items[rows])
    for garbage in (0, 17, -1):
        more = torch.cat(
            [torch.full((len(rows), 2), garbage), rows, torch.full((len(rows), 3), garbage)], 1
        )
        there = torch.zeros(more.shape, dtype=torch.bool)
        there[:, 2 : 2 + size] = True
        torch.testing.assert_close(answers(model, items[more], there), alone, rtol=0, atol=1e-6)


def test_nobody_looks_at_what_is_not_there_or_at_what_is_looked_for():
    items, model = wardrobe(), transformer()
    outfits = [[3, 4], [5, 6, 7, 8], [9]]
    rows = padded(outfits)
    attention = model.attention(items[rows], rows >= 0)
    assert attention.shape == (3, 4, 4)
    for paid, outfit in zip(attention, outfits, strict=True):
        seen = torch.zeros(4, 4, dtype=torch.bool)
        seen[: len(outfit), : len(outfit)] = ~torch.eye(len(outfit), dtype=torch.bool)
        assert ((paid > 0) == seen).all()
        assert (paid.sum(1) < 1).all()


def test_an_outfit_is_as_good_as_its_items_lie_where_the_others_want_them():
    items, model = wardrobe(), transformer()
    for outfit in ([3, 4], [5, 6, 7, 8, 30], [9]):
        near = []
        for item in outfit:
            others, one = (
                torch.tensor([other for other in outfit if other != item]),
                torch.tensor([item]),
            )
            with torch.no_grad():
                if len(others):
                    point = model.seek(items[others[None]], items.types[one])
                else:  # nothing to look at
                    nothing = model.worn(items[one[None]])
                    point = model._read(items.types[one], nothing, torch.tensor([[False]]))[0]
                near.append((point * model.place(items[one])).sum().item())
        assert model(items[torch.tensor([outfit])]).item() == pytest.approx(
            sum(near) / len(near), abs=1e-6
        )


def test_outfits_of_several_sizes_are_scored_as_each_alone():
    items, model = wardrobe(), transformer()
    outfits = [[3, 4], [5, 6, 7, 8], [9]]
    rows = padded(outfits)
    alone = torch.cat([answers(model, items[torch.tensor([outfit])])[:, :1] for outfit in outfits])
    torch.testing.assert_close(
        answers(model, items[rows], rows >= 0)[:, :1], alone, rtol=0, atol=1e-6
    )


@torch.no_grad()
def test_one_block_is_attention_as_the_paper_writes_it():
    """Head by head and token by token, in plain Python."""
    torch.manual_seed(0)
    block, x = Block(4, 2).eval().double(), torch.randn(1, 3, 4, dtype=torch.float64)
    there = torch.tensor([[True, True, False]])
    calm = block.before(x)[0]
    q, k, v = block.ask(calm).split(4, 1)
    looked, paid = torch.zeros(3, 4, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64)
    for i in range(3):
        for head in (slice(0, 2), slice(2, 4)):
            weight = [
                math.exp(float(q[i, head] @ k[j, head]) / math.sqrt(2)) if there[0, j] else 0
                for j in range(3)
            ]
            for j in range(3):
                share = weight[j] / sum(weight)
                looked[i, head] += share * v[j, head]
                paid[i, j] += share / 2
    halfway = x[0] + block.answer(looked)
    out, attention = block(x, there)
    torch.testing.assert_close(attention[0], paid)
    torch.testing.assert_close(out[0], halfway + block.think(block.between(halfway)))


def test_points_have_length_one_and_the_wanted_type_counts():
    items, model = wardrobe(), transformer()
    rows = drawn(3)
    points = torch.stack([model.seek(items[rows], torch.full((12,), kind)) for kind in range(5)])
    torch.testing.assert_close(points.norm(dim=-1), torch.ones(5, 12))
    torch.testing.assert_close(points[0], model.seek(items[rows]))  # 0 is any
    assert (
        min((points[i] - points[j]).norm(dim=-1).min() for i in range(5) for j in range(i)) > 1e-3
    )
    assert model.place(items).shape == (40, 16)
    torch.testing.assert_close(model.place(items)[rows], model.place(items[rows]))
    torch.testing.assert_close(model.place(items).norm(dim=1), torch.ones(40))


def test_what_is_unknown_says_nothing():
    """Nobody can tell an unknown value from one whose table is all 0s."""
    model, items = transformer(), wardrobe()
    unknown = Items(items.features, items.types, items.colours, torch.zeros_like(items.labels))
    assert (model.worn.meanings[1].weight[0] == 0).all()
    with torch.no_grad():
        for encoder in (model.worn, model.offered):
            for table in encoder.meanings[1:]:
                table.weight.zero_()
    torch.testing.assert_close(model(items[drawn(3)]), model(unknown[drawn(3)]))


def test_it_works_with_vectors_alone():
    model, items = transformer(types=0, colours=0, labels=()), Items(wardrobe().features)
    assert model(items[drawn(3)]).shape == (12,)
    torch.testing.assert_close(
        model.seek(items[drawn(3)]), model.seek(items[drawn(3)], torch.zeros(12).long())
    )


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({}, 393_217),
        ({"types": 40, "colours": 24, "labels": (9, 5)}, 426_337),
        ({"width": 2048, "layers": 3}, 1_057_825),
    ],
)
def test_parameters(sizes, expected):
    assert parameters(OutfitTransformer(**sizes)) == expected


def test_every_parameter_is_trained():
    model = transformer().train()
    items = wardrobe()[drawn(4)]
    (model(items) * model.sharpness).sum().backward()
    assert [
        name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ] == []
    assert (model.worn.meanings[0].weight.grad[0] == 0).all()


def test_arguments_build_it_again(tmp_path):
    model = transformer(dropout=0.3)
    back = load_model(save(model, tmp_path))
    assert torch.equal(back(wardrobe()[drawn(3)]), model(wardrobe()[drawn(3)]))


def test_it_learns_what_goes_with_what(tmp_path):
    """Each item is +1 or -1, and an outfit is good if all agree."""
    items = Items(
        torch.tensor([[1.0], [-1.0]]).repeat(10, 1) * torch.eye(1, 6), torch.arange(20) % 4 + 1
    )

    def batches(_epoch, generator):
        while True:
            yield (
                2 * torch.randint(0, 10, (64, 4), generator=generator)
                + torch.arange(64)[:, None] % 2,
            )

    def loss(model, batch):
        rows = batch[0]
        choice = (
            model.seek(items[rows[:, 1:]], items.types[rows[:, 0]])
            @ model.place(items[torch.tensor([0, 1])]).T
        )
        return cross_entropy(model.sharpness.exp() * choice, rows[:, 0] % 2)

    model = transformer(colours=0, labels=(), dropout=0.0)
    fit(
        model,
        batches,
        loss,
        Recipe(1, 64, 0.01),
        steps_per_epoch=40,
        folder=tmp_path,
        progress=False,
    )
    draw = torch.Generator().manual_seed(9)
    good = next(batches(1, draw))[0]
    mixed = torch.where(
        torch.arange(4) == torch.randint(0, 4, (64, 1), generator=draw), good ^ 1, good
    )
    assert (model(items[good]) > model(items[mixed])).float().mean() > 0.95
    found = (model.seek(items[good]) @ model.place(items).T).argmax(1) % 2
    assert (found == good[:, 0] % 2).float().mean() > 0.95


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m, i: m(i), r"Items of outfits: expected float \(n, size, width\)"),
        (
            lambda m, i: m(Items(torch.rand(2, 3, 7), torch.ones(2, 3, dtype=torch.int64))),
            "takes vectors of 6 numbers",
        ),
        (
            lambda m, i: m(Items(i.features, None, i.colours)[drawn(3)]),
            "needs the type of each item",
        ),
        (
            lambda m, i: m(Items(i.features, i.types + 1, i.colours)[drawn(3)]),
            "below 5, got",
        ),
        (
            lambda m, i: m(Items(i.features, i.types)[drawn(3)]),
            r"colours of each item: expected float \(..., 4\), got none",
        ),
        (
            lambda m, i: m(Items(i.features, i.types, i.colours)[drawn(3)]),
            "needs 2 labels of each item: .*, got none",
        ),
        (
            lambda m, i: m(Items(i.features, i.types, i.colours, i.labels + 1)[drawn(3)]),
            r"below \(3, 7\), got",
        ),
        (
            lambda m, i: m(i[drawn(3)], torch.ones(12, 4, dtype=torch.bool)),
            r"Mask of items: expected bool \(12, 3\)",
        ),
        (lambda m, i: m(i[drawn(3)], torch.ones(12, 3)), "Mask of items: expected bool"),
        (lambda m, i: m.seek(i[drawn(3)], torch.full((12,), 5)), "from 0 to below 5, got 5"),
        (
            lambda m, i: m.seek(i[drawn(3)], torch.ones(3, dtype=torch.int64)),
            r"One wanted type for each outfit: expected whole \(12,\)",
        ),
        (
            lambda m, i: transformer(types=0).seek(i[drawn(3)], torch.ones(12, dtype=torch.int64)),
            "from 0 to below 1, got 1",
        ),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(DataError, match=said):
        call(transformer(), wardrobe())
