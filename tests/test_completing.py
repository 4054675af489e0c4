"""Teaching and asking: every way learns a rule that can be learnt, and says what it was asked."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from fashionnb.completing import WAYS, Pairs, Way, _batches, _Known, learn, published_recipe, scores
from fashionnb.errors import DataError
from fashionnb.scenery import Views
from fashionnb.training import Recipe

WIDTH, KINDS, PRODUCTS = 16, 3, 24


def pairs(n=192, seed=0) -> Pairs:
    """A product suits a scene if its vector, turned, is what lies in the scene."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(PRODUCTS, WIDTH, generator=generator)
    turn = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(9)))[0]
    product = torch.randint(PRODUCTS, (n,), generator=generator)
    seen = features[product] @ turn + 0.1 * torch.randn(n, WIDTH, generator=generator)
    windows = torch.randn(n, 9, WIDTH, generator=generator)
    windows[:, 4] = seen
    free = torch.ones(n, 9, dtype=torch.bool)
    views = Views(seen, seen.clone(), windows.half(), torch.arange(n), free)
    return Pairs(views, product, features, torch.arange(PRODUCTS) % KINDS)


@pytest.mark.parametrize("name", ["v1", "v2", "v2 as published", "ours"])
def test_every_way_learns_what_suits(name, tmp_path):
    data, gallery = pairs(), torch.arange(PRODUCTS)
    torch.manual_seed(0)
    model = WAYS[name].build(WIDTH, KINDS)
    rows, held = torch.arange(128), torch.arange(128, 192)

    def first(model):
        return float((scores(model, data, held, gallery).argmax(1) == data.product[held].numpy()).mean())

    before = first(model)
    learn(model, WAYS[name], data, rows, Recipe(15, 32, 3e-3, weight_decay=0.01, schedule="warm-cosine"), tmp_path)
    assert before < 0.25
    assert first(model) > 0.6  # seeds 0 to 4: .80 to 1 for all ways


def test_ways_differ_by_one_step_each():
    steps = [
        WAYS[name] for name in ("v1", "+ kind of product", "+ residual towers", "+ InfoNCE", "+ hard negatives", "v2")
    ]
    changed = [
        [field for field in Way.__dataclass_fields__ if getattr(one, field) != getattr(other, field)]
        for one, other in pairwise(steps)
    ]
    assert changed == [["kind_width"], ["hidden"], ["contrast"], ["negatives"], ["masked"]]


def test_published_recipe():
    recipe = published_recipe(seed=3)
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate, recipe.weight_decay, recipe.clip, recipe.seed) == (
        50, 256, 3e-4, 0.01, 1.0, 3
    )  # fmt: skip


def test_known_products_of_a_scene():
    scene, product = torch.tensor([0, 0, 2, 5]), torch.tensor([1, 3, 1, 0])
    known = _Known(scene, product, 4, "cpu")
    truth = set(zip(scene.tolist(), product.tolist(), strict=True))
    asked = known(torch.arange(7), torch.arange(4))
    assert asked.tolist() == [[(s, p) in truth for p in range(4)] for s in range(7)]


@pytest.mark.parametrize("way", [Way(rivals=2), Way(negatives="kind"), Way(negatives="any", rivals=1), Way()])
def test_drawn_products_are_of_the_training_pairs_and_of_their_kind(way):
    data, rows = pairs(), torch.arange(40)
    batches = list(_batches(way, data, rows, 16)(1, torch.Generator().manual_seed(0)))
    assert torch.cat([some for some, _ in batches]).sort().values.tolist() == rows.tolist()
    for some, drawn in batches:
        assert drawn.shape == (len(some), way.rivals + (way.negatives != "hardest"))
        assert np.isin(drawn, data.product[rows]).all()
        of_a_kind = drawn if way.negatives != "any" else drawn[:, : way.rivals]
        assert (data.kinds[of_a_kind] == data.kinds[data.product[some]][:, None]).all()


def test_uncut_scenes_are_seen_whole():
    data = pairs(4)
    data.views.uncut[:] = 7
    data.views.free[:] = False
    crops, _, free = data.scene(torch.tensor([1, 2]), uncut=True)
    assert (crops == 7).all()
    assert free.all()
    crops, _, free = data.scene(torch.tensor([1, 2]))
    assert not (crops == 7).any()
    assert not free.any()


def test_strips_do_not_show(monkeypatch):
    data, model = pairs(), WAYS["ours"].build(WIDTH, KINDS)
    whole = scores(model, data, torch.arange(50), torch.arange(PRODUCTS))
    monkeypatch.setattr("fashionnb.completing._STRIP", 7)
    np.testing.assert_allclose(whole, scores(model, data, torch.arange(50), torch.arange(PRODUCTS)), atol=1e-5)


def test_bad_input(tmp_path):
    data, recipe = pairs(), Recipe(1, 64, 1e-3)
    model = WAYS["v1"].build(WIDTH, KINDS)
    with pytest.raises(DataError, match="do not fill a batch"):
        learn(model, WAYS["v1"], data, torch.arange(9), recipe, tmp_path)
    with pytest.raises(DataError, match="no negatives 'easy'"):
        learn(model, Way(negatives="easy"), data, torch.arange(90), recipe, tmp_path)
    with pytest.raises(DataError, match="a kind for each"):
        Pairs(data.views, data.product, data.features, data.kinds[:3])
