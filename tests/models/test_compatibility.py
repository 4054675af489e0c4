"""fashionnb.models.compatibility: pairs without an order, parameters as stated."""

import json

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from fashionnb.checkpoints import load_model, save
from fashionnb.errors import DataError
from fashionnb.losses import triplet_margin
from fashionnb.models import parameters
from fashionnb.models.compatibility import (
    CompatibilityMLP,
    PolaniaNet,
    TypeAware,
    type_pairs,
)
from fashionnb.models.mobilenet import MobileNetClassifier, PhotoFeatures, transfer
from fashionnb.models.outfit_inputs import Items
from fashionnb.models.pretrained import VGG16
from fashionnb.models.style2vec import Style2Vec
from fashionnb.training import Recipe, fit

PAIRS = [[1, 2], [2, 3]]


def items(n=20, width=6, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return Items(
        torch.randn(n, width, generator=draw),
        torch.arange(n) % 4,
        torch.rand(n, 24, generator=draw),
    )


def built(kind, *arguments, **more):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(*arguments, **more).eval()


MODELS = [
    lambda: built(CompatibilityMLP, 6, 10),
    lambda: built(PolaniaNet, width=6),
    lambda: built(PolaniaNet, width=6, colours=False),
    lambda: built(TypeAware, 6, 5, 4, PAIRS),
]


@pytest.mark.parametrize("build", MODELS)
def test_pairs_have_no_order(build):
    a, b, model = items(), items(seed=1)[torch.randperm(20)], build()
    if isinstance(model, TypeAware):
        model.masks.data.uniform_(-1, 1, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model(a, b), model(b, a))
    assert model(a, b).shape == (20,)
    assert model(a, b).unique().numel() == 20  # it does look at them


@pytest.mark.parametrize("build", MODELS)
def test_an_item_is_encoded_once_for_all_its_pairs(build):
    wardrobe, model = items(), build()
    first, second = torch.tensor([0, 0, 5]), torch.tensor([1, 7, 0])
    encoded = model.encode(wardrobe)
    torch.testing.assert_close(
        model.compare(encoded[first], encoded[second]), model(wardrobe[first], wardrobe[second])
    )


@pytest.mark.parametrize("build", MODELS)
def test_every_parameter_is_trained(build):
    model = build().train()
    (
        model(items(), items(seed=1)[torch.arange(20).roll(1)]) * torch.linspace(-1, 1, 20)
    ).sum().backward()
    assert [
        name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ] == []


@pytest.mark.parametrize("build", MODELS)
def test_arguments_build_it_again(build, tmp_path):
    model = build()
    back = load_model(save(model, tmp_path))
    card = back.card
    assert card.arguments == json.loads(json.dumps(model.arguments))
    assert torch.equal(back(items(), items(seed=1)), model(items(), items(seed=1)))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: CompatibilityMLP(), 2_098_177),
        (lambda: CompatibilityMLP(512, 256), 1024 * 256 + 256 + 256 + 1),
        (lambda: PolaniaNet(), 154_625),
        (lambda: PolaniaNet(colours=False), 148_481),
        (lambda: PolaniaNet("small"), 607_897),
        (lambda: PolaniaNet("vgg16"), 14_869_313),
        (lambda: PhotoFeatures(), 453_272),
        (lambda: PhotoFeatures(backbone="inverted"), 461_064),
        (lambda: TypeAware(512, 64, 12, [(1, 2), (2, 1), (3, 3)]), 512 * 64 + 64 + 2 * 64),
    ],
)
def test_parameters(model, expected):
    assert parameters(model()) == expected


def test_the_mlp_is_two_layers_on_both_orders():
    model, a, b = built(CompatibilityMLP, 6, 10), items(), items(seed=1)
    (w1, b1), (w2, b2) = (
        (layer.weight, layer.bias) for layer in (model.layers[0], model.layers[3])
    )

    def one_order(x, y):
        return (torch.cat([x, y], 1) @ w1.T + b1).clamp_min(0) @ w2[0] + b2

    there, back = one_order(a.features, b.features), one_order(b.features, a.features)
    torch.testing.assert_close(model(a, b), (there + back) / 2)


def test_polania_is_a_product_of_features_beside_a_product_of_colours():
    model, a, b = built(PolaniaNet), items(width=512), items(width=512, seed=1)
    x = torch.cat([a.features * b.features, a.colours * b.colours], 1)
    assert x.shape == (20, 536)
    for i in (0, 4):
        linear, norm = model.judge[i], model.judge[i + 1]
        norm.running_mean.uniform_()
        x = x @ linear.weight.T + linear.bias
        x = (x - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
        x = x.clamp_min(0)
    torch.testing.assert_close(
        model(a, b), (x @ model.judge[8].weight.T + model.judge[8].bias)[:, 0]
    )
    assert [type(layer).__name__ for layer in model.judge] == 2 * [
        "Linear",
        "BatchNorm1d",
        "ReLU",
        "Dropout",
    ] + ["Linear"]
    assert model.judge[3].p == 0.5


def test_polania_without_colours_does_not_see_them():
    a, b = items(), items(seed=1)
    for colours in (True, False):
        model = built(PolaniaNet, width=6, colours=colours)
        # The judge is new, so that small numbers matter: let it look at colours only.
        other = Items(b.features, b.types, 1 - b.colours)
        assert torch.equal(model(a, b), model(a, other)) is not colours
    assert built(PolaniaNet, width=6, colours=False)(
        Items(a.features), Items(b.features)
    ).shape == (20,)


@pytest.mark.parametrize("encoder", ["small", PhotoFeatures(backbone="inverted"), VGG16(size=32)])
def test_polania_with_an_encoder_looks_at_pictures(encoder, tmp_path):
    model = built(PolaniaNet, encoder)
    draw = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=draw)
    seen = Items(pictures, colours=torch.rand(4, 24, generator=draw))
    a, b = seen[torch.tensor([0, 1, 2])], seen[torch.tensor([3, 2, 0])]
    encoded = model.encode(seen)
    assert encoded.features.shape == (4, 512)
    assert (encoded.features >= 0).all()
    back = load_model(save(model, tmp_path))
    torch.testing.assert_close(back(a, b), model(a, b))
    floats = Items(seen.features / 255, colours=seen.colours)
    torch.testing.assert_close(model.encode(floats).features, encoded.features)
    assert len(model.filters()) == sum(
        isinstance(m, nn.Conv2d | nn.Linear) for m in model.encoder.modules()
    )
    assert [tuple(weight.shape) for weight in model.judges()] == [(256, 536), (64, 256), (1, 64)]


def test_the_small_encoder_takes_over_a_trained_backbone():
    trained, model = MobileNetClassifier(3, "dense"), PolaniaNet("small")
    transfer(trained, model.encoder)
    for mine, theirs in zip(
        model.encoder.backbone.parameters(), trained.backbone.parameters(), strict=True
    ):
        assert torch.equal(mine, theirs)


def test_what_is_shared_without_an_encoder():
    assert PolaniaNet().filters() == []
    assert [tuple(w.shape) for w in PolaniaNet(width=6).filters()] == [(512, 6)]


def test_type_aware_measures_each_pair_of_types_in_its_space():
    model, a, b = (
        built(TypeAware, 6, 5, 4, PAIRS),
        items(),
        items(seed=1)[torch.tensor([*range(1, 20), 0])],
    )
    model.masks.data.uniform_(0.5, 2, generator=torch.Generator().manual_seed(0))
    scores, unit = model(a, b), nn.functional.normalize
    for i in range(20):
        pair = sorted((int(a.types[i]), int(b.types[i])))
        mask = model.masks[PAIRS.index(pair)] if pair in PAIRS else torch.ones(5)
        x, y = (unit(unit(model.general(z.features[i]), dim=0) * mask, dim=0) for z in (a, b))
        assert scores[i].item() == pytest.approx(-(x - y).norm().item(), abs=1e-5)
    assert {tuple(sorted(p)) for p in zip(a.types.tolist(), b.types.tolist(), strict=True)} >= {
        (1, 2),
        (2, 3),
        (0, 1),
    }


def test_a_pair_of_types_without_a_mask_is_compared_in_general():
    """Also where a type is unknown; so before training all pairs are."""
    model, a, b = built(TypeAware, 6, 5, 4, PAIRS), items(), items(seed=1)
    before = model(a, b)
    model.masks.data.uniform_(0.5, 2, generator=torch.Generator().manual_seed(0))
    same = a.types == b.types  # no mask for these
    assert torch.equal(model(a, b)[same], before[same])
    general = -(model.encode(a).features - model.encode(b).features).norm(dim=1)
    torch.testing.assert_close(before, general, rtol=1e-5, atol=1e-5)


def test_identical_items_are_safe():
    model = built(TypeAware, 6, 5, 4, PAIRS)
    score = model(items(), items())
    assert score.abs().max() < 1e-5
    score.sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_type_pairs_are_unordered_and_known():
    a, b = torch.tensor([3, 1, 2, 0, 2]), torch.tensor([1, 3, 2, 2, 3])
    assert type_pairs(a, b) == [[1, 3], [2, 2], [2, 3]]


def test_type_aware_learns_what_no_single_space_says(tmp_path):
    """With type 2 the first number must agree, with type 3 the second, whatever the other does."""
    numbers = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    types = torch.arange(1, 4).repeat_interleave(4)
    wardrobe = Items(numbers.repeat(3, 1), types)
    anchor = torch.arange(4).repeat(2)
    positive = torch.tensor(
        [5, 4, 7, 6, 10, 11, 8, 9]
    )  # agrees in the one number, but not in the other
    negative = torch.tensor([6, 7, 4, 5, 9, 8, 11, 10])  # the other way round

    def batches(_epoch, generator):
        while True:
            yield (torch.randint(0, 8, (32,), generator=generator),)

    def loss(model, batch):
        three = (wardrobe[rows[batch[0]]] for rows in (anchor, positive, negative))
        return triplet_margin(*model.triplet(*three), margin=0.3)

    def right(pairs):
        model = built(TypeAware, 2, 8, 4, pairs)
        fit(model, batches, loss, Recipe(1, 32, 0.03), steps_per_epoch=100, folder=tmp_path / str(len(pairs)),
            progress=False)  # fmt: skip
        good, bad = (model(wardrobe[anchor], wardrobe[rows]) for rows in (positive, negative))
        return (good > bad).float().mean()

    assert right([(1, 2), (1, 3)]) == 1
    assert right([]) <= 0.5  # there the two rules ask for opposite orders


def test_polania_learns_whether_two_agree(tmp_path):
    def batches(_epoch, generator):
        while True:
            x = torch.randn(64, 2, 6, generator=generator).sign()
            x[:, 1, 0] = x[:, 0, 0] * (label := torch.randn(64, generator=generator).sign())
            yield x, (label > 0).float()

    def loss(model, batch):
        return binary_cross_entropy_with_logits(
            model(Items(batch[0][:, 0]), Items(batch[0][:, 1])), batch[1]
        )

    model = built(PolaniaNet, width=6, colours=False, dropout=0.0)
    fit(
        model,
        batches,
        loss,
        Recipe(1, 64, 0.01),
        steps_per_epoch=60,
        folder=tmp_path,
        progress=False,
    )
    x, label = next(batches(1, torch.Generator().manual_seed(5)))
    assert ((model(Items(x[:, 0]), Items(x[:, 1])) > 0) == (label > 0)).float().mean() > 0.9


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: built(CompatibilityMLP, 7)(items(), items()),
            "CompatibilityMLP takes vectors of 7 numbers: .*width=6",
        ),
        (lambda: built(PolaniaNet)(items(), items()), "PolaniaNet takes vectors of 512"),
        (
            lambda: built(PolaniaNet, width=6)(Items(items().features), items()),
            r"needs the colours of each item: .*got none",
        ),
        (lambda: PolaniaNet("resnet"), "no encoder 'resnet'; there is vgg16, small"),
        (lambda: PolaniaNet(Style2Vec()), "VGG16 or PhotoFeatures with 512 .*got a Style2Vec"),
        (lambda: PolaniaNet(PhotoFeatures(64)), "with 512 features; got .*'dimensions': 64"),
        (
            lambda: built(TypeAware, 6, 5, 4, PAIRS)(Items(items().features), items()),
            "needs the type of each item",
        ),
        (lambda: built(TypeAware, 6, 5, 3, [])(items(), items()), "below 3, got 0 to 3"),
        (lambda: built(TypeAware, 7, 5, 4, [])(items(), items()), "TypeAware takes vectors of 7"),
        (lambda: TypeAware(6, 5, 4, [(1, 4)]), "types from 1 to 3"),
        (lambda: TypeAware(6, 5, 4, [(0, 1)]), "types from 1 to 3"),
        (
            lambda: built(TypeAware, 6, 5, 4, PAIRS).triplet(
                items(), items(), items()[torch.arange(20).roll(1)]
            ),
            "Triplet 0: the negative is of type 3, the positive of type 0",
        ),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(DataError, match=said):
        call()
