"""fashionnb.models.fusion: a picture, attributes, or both make one point, and pictures name attributes."""

import json

import pytest
import torch
from torch import nn

from fashionnb.checkpoints import load_model, save
from fashionnb.errors import DataError
from fashionnb.models.fusion import (
    PHOTO,
    AttributeHeads,
    Fusion,
    modality_dropout,
)
from fashionnb.models.style2vec import Style2Vec
from fashionnb.training import Recipe, fit

TINY = {"dimensions": 8, "channels": 3, "stem": 4, "stages": [[8, 2]], "mean": 0.5, "std": 0.5}
SIZES = (4, 3)


def fusion(**more):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Fusion(SIZES, TINY, dimensions=12, width=5, hidden=20, **more).eval()


def images(n=6):
    return torch.rand(n, 3, 16, 12, generator=torch.Generator().manual_seed(1))


ATTRIBUTES = torch.tensor([[1, 2], [3, 1], [0, 2], [2, 0], [0, 0], [1, 1]])


@pytest.mark.parametrize("given", [(images(), ATTRIBUTES), (images(), None), (None, ATTRIBUTES)])
def test_every_kind_of_query_is_a_point_on_the_sphere(given):
    z = fusion()(*given)
    assert z.shape == (6, 12)
    assert z.dtype == torch.float32
    torch.testing.assert_close(z.norm(dim=1), torch.ones(6))
    assert len(z.round(decimals=5).unique(dim=0)) == 6  # six different queries


def test_both_is_another_point_than_either():
    model = fusion()
    points = torch.stack([model(images(), ATTRIBUTES), model(images()), model(None, ATTRIBUTES)])
    known = (ATTRIBUTES > 0).any(1)
    apart = torch.stack([(points[i] - points[j]).norm(dim=1) for i, j in ((0, 1), (0, 2), (1, 2))])
    assert apart[:, known].min() > 1e-3
    assert apart[0, ~known].max() == 0  # whose attributes are all unknown might as well have none


def test_a_picture_that_is_not_seen_does_not_count():
    model = fusion()
    seen = torch.tensor([True, False] * 3)
    mixed = model(images(), ATTRIBUTES, seen)
    torch.testing.assert_close(mixed[seen], model(images(), ATTRIBUTES)[seen])
    torch.testing.assert_close(mixed[~seen], model(None, ATTRIBUTES)[~seen])
    vectors = torch.full((6, 8), torch.nan)
    assert model.fuse(vectors, ATTRIBUTES, torch.zeros(6, dtype=bool)).isfinite().all()


def test_unknown_is_not_a_value_that_could_be_mistaken_for_one():
    """Zeros and a flag: even with a vector of zeros for a known value, known and unknown differ."""
    model = fusion()
    with torch.no_grad():
        for table in model.fuse.tables:
            table.weight.zero_()
    first = model(None, torch.tensor([[0, 1], [1, 1], [2, 1]]))
    torch.testing.assert_close(first[1], first[2])
    assert (first[0] - first[1]).norm() > 1e-3


def test_the_parts_are_the_whole():
    model = fusion()
    torch.testing.assert_close(
        model.fuse(model.encoder(images()), ATTRIBUTES), model(images(), ATTRIBUTES)
    )


def test_without_attributes_it_is_an_image_encoder():
    model = Fusion(encoder=TINY).eval()
    assert model(images()).shape == (6, 128)
    with pytest.raises(DataError, match=r"Attributes .*expected whole \(6, 0\), got .*\(6, 2\)"):
        model(images(), ATTRIBUTES)


@pytest.mark.parametrize("build", [lambda: fusion(), lambda: AttributeHeads(SIZES, TINY)])
def test_every_parameter_is_trained(build):
    model = build().train()
    out = (
        model(images(), ATTRIBUTES) if isinstance(model, Fusion) else torch.cat(model(images()), 1)
    )
    (out * torch.linspace(-1, 1, out.shape[1])).sum().backward()
    assert [
        name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ] == []


def test_the_unknowns_vector_stays_zero(tmp_path):
    model = fusion().train()
    fit(
        model,
        lambda _epoch, _generator: iter([(images(), ATTRIBUTES)] * 3),
        lambda model, batch: model(*batch)[:, 0].mean(),
        Recipe(1, 6, 0.01),
        steps_per_epoch=3,
        folder=tmp_path,
        progress=False,
    )
    assert all(table.weight[0].abs().sum() == 0 for table in model.fuse.tables)
    assert model.fuse.tables[0].weight[1].abs().sum() > 0


@pytest.mark.parametrize(
    "model",
    [
        Fusion((5, 2, 9), TINY, dimensions=7, width=3, hidden=11),
        Fusion((2,), Style2Vec(**TINY)),
        AttributeHeads((5, 2, 9), TINY, scale=8.0),
    ],
)
def test_arguments_build_it_again(model, tmp_path):
    back = load_model(save(model, tmp_path))
    card = back.card
    assert card.arguments == json.loads(json.dumps(model.arguments)) == back.arguments
    again, before = back(images()), model.eval()(images())
    assert all(torch.equal(a, b) for a, b in zip(again, before, strict=True))


def test_a_trained_encoder_can_be_handed_over():
    encoder = Style2Vec(**TINY)
    assert Fusion(SIZES, encoder).encoder is encoder
    assert AttributeHeads(SIZES, encoder).encoder is encoder
    assert Fusion().encoder.arguments["stages"] == PHOTO["stages"]


def test_heads_never_answer_unknown_and_say_how_sure_they_are():
    model = AttributeHeads(SIZES, TINY).eval()
    logits = model(images())
    assert [tuple(part.shape) for part in logits] == [(6, 3), (6, 2)]
    numbers, sure = model.name(images())
    for i, part in enumerate(logits):
        for row, number, probability in zip(
            part.tolist(), numbers[:, i].tolist(), sure[:, i].tolist(), strict=True
        ):
            assert number == 1 + row.index(max(row))
            assert probability == pytest.approx(torch.tensor(row).softmax(0).max().item())


def test_heads_learn_two_attributes_at_once(tmp_path):
    def batches(_epoch, generator):
        while True:
            attributes = torch.stack(
                [torch.randint(1, size, (16,), generator=generator) for size in (3, 4)], 1
            )
            pictures = torch.zeros(16, 3, 16, 16, dtype=torch.uint8)
            pictures[:, 0] = 80 * attributes[:, 0, None, None]  # how red
            pictures[:, 1] = 60 * attributes[:, 1, None, None]  # how green
            yield pictures, attributes

    def loss(model, batch):
        each = [
            nn.functional.cross_entropy(part, batch[1][:, i] - 1)
            for i, part in enumerate(model(batch[0]))
        ]
        return sum(each)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AttributeHeads((3, 4), TINY)
    fit(
        model,
        batches,
        loss,
        Recipe(4, 16, 0.02),
        steps_per_epoch=10,
        folder=tmp_path,
        progress=False,
    )
    pictures, attributes = next(batches(1, torch.Generator().manual_seed(5)))
    assert (model.name(pictures.float() / 255)[0] == attributes).float().mean() > 0.9


def test_lengths_are_exact_in_half_precision():
    with torch.autocast("cpu", torch.bfloat16):
        z = fusion()(images(), ATTRIBUTES)
    assert z.dtype == torch.float32
    torch.testing.assert_close(z.norm(dim=1), torch.ones(6), rtol=0, atol=1e-6)


def test_what_is_forgotten_has_the_shares_that_were_asked_for():
    attributes = torch.randint(1, 9, (20_000, 4), generator=torch.Generator().manual_seed(0))
    left, seen = modality_dropout(
        attributes, torch.Generator().manual_seed(1), each=0.3, every=0.1, picture=0.2
    )
    hidden = left == 0
    assert torch.equal(left[~hidden], attributes[~hidden])
    assert 1 - seen.float().mean() == pytest.approx(
        0.2 * (1 - 0.3**4), abs=0.01
    )  # where nothing would be left, it is
    assert hidden.all(1).float().mean() == pytest.approx(0.1 + 0.9 * 0.3**4, abs=0.01)
    assert hidden.float().mean() == pytest.approx(0.1 + 0.9 * 0.3, abs=0.01)
    assert (seen | ~hidden.all(1)).all()


def test_forgetting_follows_its_generator_and_leaves_what_it_was_given():
    attributes = ATTRIBUTES.clone()
    a, b, c = (
        modality_dropout(attributes, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(a[0], b[0])
    assert torch.equal(a[1], b[1])
    assert not (torch.equal(a[0], c[0]) and torch.equal(a[1], c[1]))
    assert torch.equal(attributes, ATTRIBUTES)
    nothing, seen = modality_dropout(
        attributes, torch.Generator().manual_seed(0), each=0, every=0, picture=0
    )
    assert torch.equal(nothing, attributes)
    assert seen.all()


@pytest.mark.parametrize(
    "chances", [{"each": 1.1}, {"each": -0.1}, {"every": 0.6, "picture": 0.6}, {"picture": -0.1}]
)
def test_chances_that_are_none(chances):
    with pytest.raises(DataError, match="Probabilities are 0 to 1"):
        modality_dropout(ATTRIBUTES, torch.Generator(), **chances)


@pytest.mark.parametrize(
    ("wrong", "phrase"),
    [
        ((None, None), "images, or attributes, or both"),
        ((images(), ATTRIBUTES[:5]), r"got .*\(5, 2\)"),
        ((images(), ATTRIBUTES[:, :1]), r"expected whole \(6, 2\), got .*\(6, 1\).*trained with"),
        ((None, ATTRIBUTES + 2), r"whole numbers from 0 to below \[4, 3\], got 2 to 5"),
        ((None, ATTRIBUTES - 1), "got -1 to 2"),
        ((None, ATTRIBUTES.float()), "torch.float32"),
    ],
)
def test_what_it_refuses(wrong, phrase):
    with pytest.raises(DataError, match=phrase):
        fusion()(*wrong)


@pytest.mark.parametrize("sizes", [(), (3, 1)])
def test_heads_without_an_answer(sizes):
    with pytest.raises(DataError, match="a value besides the unknown"):
        AttributeHeads(sizes, TINY)
