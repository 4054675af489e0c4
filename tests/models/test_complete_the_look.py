"""Two towers, and one that looks around: their sizes, their geometry, what they must not see, what they refuse."""

import math

import pytest
import torch
from torch import nn

from fashionnb.checkpoints import load_model, save
from fashionnb.errors import DataError
from fashionnb.models.complete_the_look import (
    COLDEST,
    HOTTEST,
    CompleteTheLook,
    LookAround,
    Tower,
)

WIDTH, KINDS = 12, 5


def scene(n=3, width=WIDTH, seed=0):
    generator = torch.Generator().manual_seed(seed)
    crops, there = (
        torch.randn(n, width, generator=generator),
        torch.rand(n, 5, generator=generator) < 0.6,
    )
    t = int(there.sum())
    return (
        crops,
        there,
        torch.randn(t, width, generator=generator),
        torch.rand(t, 4, generator=generator),
    )


def products(m=6, width=WIDTH):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(m, width, generator=generator), torch.arange(m) % KINDS


def small(kind=CompleteTheLook, **arguments):
    torch.manual_seed(0)
    return kind(WIDTH, KINDS, dimensions=8, **{"hidden": 16, **arguments}).eval()


def test_labels_count_and_0_says_nothing():
    for kind in (CompleteTheLook, LookAround):
        model, (features, kinds) = small(kind, labels=[4, 3]), products()
        labels = torch.tensor([[1, 2], [0, 0], [3, 1], [0, 2], [1, 0], [2, 2]])
        points = model.product(features, kinds, labels)
        assert not torch.allclose(points[0], model.product(features, kinds, 0 * labels)[0])
        torch.testing.assert_close(points[1], model.product(features, kinds, 0 * labels)[1])
        for wrong in (None, labels[:, :1], labels + 1):
            with pytest.raises(DataError, match="takes 2 labels"):
                model.product(features, kinds, wrong)


def test_the_defaults_are_the_published_towers():
    model = CompleteTheLook()
    layers = [layer for layer in model.scene.modules() if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in layers] == [
        (768, 512),
        (512, 512),
        (512, 512),
        (512, 256),
    ]
    assert (model.product.layers[0].in_features, model.product.kind.embedding_dim) == (768 + 64, 64)
    assert len(model.product.layers) == 4 + 2 + 1  # entry, two residual layers, projection
    assert model.log_temperature.exp().item() == pytest.approx(0.07)


def test_the_baseline_is_one_projection_each():
    model = small(hidden=0, kind_width=0)
    assert sorted(name for name, _ in model.named_parameters()) == [
        "log_temperature",
        "product.layers.bias",
        "product.layers.weight",
        "scene.layers.bias",
        "scene.layers.weight",
    ]
    features, kinds = products()
    torch.testing.assert_close(model.product(features, kinds), model.product(features, 0 * kinds))


def test_points_lie_on_the_sphere_and_logits_are_their_cosines():
    model = small()
    features, kinds = products()
    points, looked = model.product(features, kinds), model.look(scene())
    torch.testing.assert_close(points.norm(dim=1), torch.ones(6))
    torch.testing.assert_close(looked.norm(dim=1), torch.ones(3))
    expected = [[(looked[i] @ points[j]).item() for j in range(6)] for i in range(3)]
    cosines = model.logits(looked, points, kinds) * model.log_temperature.exp()
    torch.testing.assert_close(cosines, torch.tensor(expected))


def cosines_by_hand(model, looked, points, kinds):
    """Of each product and the point of its kind, one pair at a time."""
    own = torch.stack([model.towards(looked[0][:, k]) for k in range(KINDS)], 1)
    torch.testing.assert_close(own.norm(dim=-1), torch.ones(3, KINDS))
    return torch.tensor([[own[i, kinds[j]] @ points[j] for j in range(6)] for i in range(3)])


def test_the_temperature_stays_within_its_bounds():
    model = small()
    features, kinds = products()
    points, looked = model.product(features, kinds), model.look(scene())
    for temperature, used in ((1e-6, COLDEST), (0.07, 0.07), (50.0, HOTTEST)):
        model.log_temperature.data.fill_(math.log(temperature))
        expected = looked @ points.T / used
        torch.testing.assert_close(model.logits(looked, points, kinds), expected)


def test_the_kind_of_a_product_counts():
    model = small()
    features, kinds = products()
    assert not torch.allclose(
        model.product(features, kinds), model.product(features, (kinds + 1) % KINDS)
    )


def test_scenes_see_their_own_pieces():
    model = small(LookAround)
    crops, there, pieces, boxes = scene()
    whole, first = model.look((crops, there, pieces, boxes)), int(there[0].sum())
    assert 0 < first < len(pieces)
    changed = torch.cat([pieces[:first], -pieces[first:]])
    for one, other in zip(whole, model.look((crops, there, changed, boxes)), strict=True):
        torch.testing.assert_close(one[0], other[0])
        assert not torch.allclose(one[1:], other[1:])
    for one, other in zip(
        whole, model.look((crops[:1], there[:1], pieces[:first], boxes[:first])), strict=True
    ):
        torch.testing.assert_close(one[:1], other)


def test_the_order_of_pieces_does_not_matter():
    model, order = small(LookAround), torch.tensor([2, 0, 1])
    crops, _, pieces, boxes = scene()
    there = torch.tensor([[True, True, False, True, False]])
    one = crops[:1], there, pieces[:3], boxes[:3]
    other = crops[:1], there.roll(1, 1), pieces[:3][order], boxes[:3][order]
    for before, after in zip(model.look(one), model.look(other), strict=True):
        torch.testing.assert_close(before, after)


def test_with_no_piece_left_the_crop_says_all():
    model = small(LookAround)
    crops, there, pieces, boxes = scene()
    points, likely = model.look((crops, torch.zeros_like(there), pieces[:0], boxes[:0]))
    assert points.isfinite().all()
    torch.testing.assert_close(likely.exp().sum(1), torch.ones(3))


def test_logits_of_looking_around_are_shares():
    model = small(LookAround)
    features, kinds = products()
    points, looked = model.product(features, kinds), model.look(scene())
    shares = model.logits(looked, points, kinds).exp()
    for kind in range(KINDS):
        torch.testing.assert_close(shares[:, kinds == kind].sum(1), looked[1][:, kind].exp())
    cosines = cosines_by_hand(model, looked, points, kinds) / 0.07
    of_a_kind = kinds == 0
    torch.testing.assert_close(
        shares[:, of_a_kind] / looked[1].exp()[:, :1],
        cosines[:, of_a_kind].softmax(1),
        atol=1e-5,
        rtol=1e-5,
    )
    asked = model.logits_of_a_kind(looked, points, torch.tensor([0, 1, 0]))
    torch.testing.assert_close(asked[0, of_a_kind], cosines[0, of_a_kind])
    torch.testing.assert_close(asked[1, kinds == 1], cosines[1, kinds == 1])


@pytest.mark.parametrize("kind", [CompleteTheLook, LookAround])
def test_saved_and_loaded_it_says_the_same(kind, tmp_path):
    model = small(kind)
    again = load_model(save(model, tmp_path))
    features, kinds = products()
    for one, other in ((model, again),):
        torch.testing.assert_close(one.product(features, kinds), other.product(features, kinds))
        torch.testing.assert_close(one.look(scene()), other.look(scene()))


@pytest.mark.parametrize(
    ("call", "phrase"),
    [
        (
            lambda: Tower(4, 2, 0, 0, 0.0)(torch.zeros(2, 3)),
            r"Vectors of scenes or products: expected float \(n, 4\), got .*\(2, 3\).*width",
        ),
        (
            lambda: Tower(4, 2, 0, 0, 0.0)(torch.zeros(2, 4, dtype=torch.int64)),
            "torch.int64",
        ),
        (
            lambda: Tower(4, 2, 0, 0, 0.0, 2, 2)(torch.zeros(1, 4), torch.tensor([2])),
            "Kinds of products: expected whole numbers from 0 to below 2, got 2",
        ),
        (lambda: small(LookAround).look(scene(width=7)), "Vectors of scenes"),
    ],
)
def test_bad_input(call, phrase):
    with pytest.raises(DataError, match=phrase):
        call()
