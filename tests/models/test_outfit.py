"""fashionnb.models.outfit: the order of a set and its padding change nothing, and it can learn what goes together."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from fashionnb.checkpoints import load, save
from fashionnb.errors import DataError
from fashionnb.models.cost import parameters
from fashionnb.models.items import Items, padded
from fashionnb.models.outfit import Block, OutfitTransformer
from fashionnb.training import Recipe, fit

SIZES = {"width": 6, "types": 5, "colours": 4, "hidden": 16, "layers": 2, "heads": 4, "space": 8}


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
    )


def drawn(size, n=12):
    draw = torch.Generator().manual_seed(size)
    return torch.stack([torch.randperm(40, generator=draw)[:size] for _ in range(n)])


def answers(model, items, there=None):
    """All that a model says of some outfits, in one tensor."""
    wanted = torch.arange(len(items)) % 5
    return torch.cat(
        [model(items, there)[:, None].sigmoid(), model.seek(items, wanted, there), model.seek(items, None, there)], 1
    )


@pytest.mark.parametrize("size", range(1, 20))
def test_the_order_of_items_does_not_matter(size):
    items, rows = wardrobe(), drawn(size)
    shuffle = torch.randperm(size, generator=torch.Generator().manual_seed(2))
    model = transformer()
    torch.testing.assert_close(answers(model, items[rows[:, shuffle]]), answers(model, items[rows]), rtol=0, atol=1e-6)
    before, after = model.attention(items[rows])[..., 1:], model.attention(items[rows[:, shuffle]])[..., 1:]
    torch.testing.assert_close(after[:, :, 0], before[:, :, 0, shuffle], rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [1, 3, 18])
def test_padding_changes_nothing(size):
    items, rows, model = wardrobe(), drawn(size), transformer()
    alone = answers(model, items[rows])
    for garbage in (0, 17, -1):
        more = torch.cat([torch.full((len(rows), 2), garbage), rows, torch.full((len(rows), 3), garbage)], 1)
        there = torch.zeros(more.shape, dtype=torch.bool)
        there[:, 2 : 2 + size] = True
        torch.testing.assert_close(answers(model, items[more], there), alone, rtol=0, atol=1e-6)


def test_nobody_looks_at_what_is_not_there():
    items, model = wardrobe(), transformer()
    rows = padded([[3, 4], [5, 6, 7, 8], [9]])
    attention = model.attention(items[rows], rows >= 0)
    assert attention.shape == (2, 3, 5, 5)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 3, 5))
    assert (attention[:, 0, :, 3:] == 0).all()
    assert (attention[:, 2, :, 2:] == 0).all()
    assert (attention[:, 1] > 0).all()


def test_outfits_of_several_sizes_are_scored_as_each_alone():
    items, model = wardrobe(), transformer()
    outfits = [[3, 4], [5, 6, 7, 8], [9]]
    rows = padded(outfits)
    alone = torch.cat([answers(model, items[torch.tensor([outfit])])[:, :1] for outfit in outfits])
    torch.testing.assert_close(answers(model, items[rows], rows >= 0)[:, :1], alone, rtol=0, atol=1e-6)


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
            weight = [math.exp(float(q[i, head] @ k[j, head]) / math.sqrt(2)) if there[0, j] else 0 for j in range(3)]
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
    assert min((points[i] - points[j]).norm(dim=-1).min() for i in range(5) for j in range(i)) > 1e-3
    assert model.place(items).shape == (40, 8)
    torch.testing.assert_close(model.place(items)[rows], model.place(items[rows]))
    torch.testing.assert_close(model.place(items).norm(dim=1), torch.ones(40))


def test_an_unknown_type_says_nothing():
    model, items = transformer(), wardrobe()
    unknown = Items(items.features, torch.zeros_like(items.types), items.colours)
    without = transformer(types=0)
    without.load_state_dict({name: w for name, w in model.state_dict().items() if not name.startswith("kinds")})
    torch.testing.assert_close(without(items[drawn(3)]), model(unknown[drawn(3)]))


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [({}, 364_289), ({"types": 40, "colours": 24}, 372_481), ({"width": 2048, "layers": 3}, 693_377)],
)
def test_parameters(sizes, expected):
    assert parameters(OutfitTransformer(**sizes)) == expected


def test_every_parameter_is_trained():
    model = transformer().train()
    items = wardrobe()[drawn(4)]
    (model(items).sum() + (model.seek(items, torch.arange(12) % 5) * model.place(items)[:, 0]).sum()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    assert (model.kinds.weight.grad[0] == 0).all()


def test_arguments_build_it_again(tmp_path):
    model = transformer(dropout=0.3)
    back, _ = load(save(model, tmp_path))
    assert torch.equal(back(wardrobe()[drawn(3)]), model(wardrobe()[drawn(3)]))


def test_it_learns_what_only_the_whole_set_shows(tmp_path):
    """Each item is +1 or -1, and an outfit is good if all agree. Two tokens for two tasks, learnt at once."""
    items = Items(torch.tensor([[1.0], [-1.0]]).repeat(10, 1) * torch.eye(1, 6), torch.arange(20) % 4 + 1)

    def batches(_epoch, generator):
        while True:
            sign = torch.randint(0, 2, (64, 1), generator=generator)
            other = torch.randint(0, 2, (64, 4), generator=generator)
            good = torch.rand(64, 1, generator=generator) < 0.5
            rows = 2 * torch.randint(0, 10, (64, 4), generator=generator) + torch.where(good, sign, other)
            yield rows, (rows % 2 == rows[:, :1] % 2).all(1).float()

    def loss(model, batch):
        rows, label = batch
        verdict = binary_cross_entropy_with_logits(model(items[rows]), label)
        good = rows[label > 0]
        choice = model.seek(items[good]) @ model.place(items[torch.tensor([0, 1])]).T
        return verdict + cross_entropy(4 * choice, good[:, 0] % 2)

    model = transformer(colours=0, dropout=0.0)
    fit(model, batches, loss, Recipe(1, 64, 0.01), steps_per_epoch=60, folder=tmp_path, progress=False)
    rows, label = next(batches(1, torch.Generator().manual_seed(9)))
    assert ((model(items[rows]) > 0) == (label > 0)).float().mean() > 0.95
    found = (model.seek(items[rows]) @ model.place(items).T).argmax(1) % 2
    assert (found == rows[:, 0] % 2)[label > 0].float().mean() > 0.95


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m, i: m(i), r"items of n outfits \(n, size, 6\)"),
        (lambda m, i: m(Items(torch.rand(2, 3, 7), torch.ones(2, 3, dtype=torch.int64))), "takes vectors of 6 numbers"),
        (lambda m, i: m(Items(i.features)[drawn(3)]), "needs the type of each item"),
        (lambda m, i: m(Items(i.features, i.types + 1, i.colours)[drawn(3)]), "knows types below 5"),
        (lambda m, i: m(Items(i.features, i.types)[drawn(3)]), "colours of each item, got none"),
        (lambda m, i: m(i[drawn(3)], torch.ones(12, 4, dtype=torch.bool)), "Expected a mask bool"),
        (lambda m, i: m(i[drawn(3)], torch.ones(12, 3)), "Expected a mask bool"),
        (lambda m, i: m(i[drawn(3)], torch.zeros(12, 3, dtype=torch.bool)), "an item in each outfit"),
        (lambda m, i: m.seek(i[drawn(3)], torch.full((12,), 5)), "from 0 .any. to 4"),
        (lambda m, i: m.seek(i[drawn(3)], torch.ones(3, dtype=torch.int64)), "one wanted type for each of 12"),
        (lambda m, i: transformer(types=0).seek(i[drawn(3)], torch.ones(12, dtype=torch.int64)), "one wanted type"),
        (lambda m, i: OutfitTransformer(hidden=10, heads=4), "heads divide hidden"),
        (lambda m, i: OutfitTransformer(width=0), "Sizes are 1 or more"),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(DataError, match=said):
        call(transformer(), wardrobe())
