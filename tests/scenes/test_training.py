"""fashionnb.scenes.training: every configuration learns a rule, and scores what it was given."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from fashionnb.errors import DataError
from fashionnb.scenes.features import Pairs, Views
from fashionnb.scenes.protocol import held_out
from fashionnb.scenes.training import (
    CONFIGURATIONS,
    Configuration,
    _batches,
    _loss_of,
    published_recipe,
    score_gallery,
    train,
)
from fashionnb.training import Recipe

WIDTH, KINDS, PRODUCTS, LABELS = 16, 3, 24, 5


def pairs(n=192, seed=0) -> Pairs:
    """A product suits a scene if its vector, turned, is what lies in the scene."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(PRODUCTS, WIDTH, generator=generator)
    turn = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(9)))[0]
    product = torch.randint(PRODUCTS, (n,), generator=generator)
    seen = features[product] @ turn + 0.1 * torch.randn(n, WIDTH, generator=generator)
    others = torch.full((n, 8), -1)
    others[:, 0] = torch.arange(n).roll(1)
    pieces, boxes = (
        torch.randn(n, WIDTH, generator=generator).half(),
        torch.rand(n, 4, generator=generator),
    )
    views = Views(seen, seen.clone(), pieces, boxes, torch.arange(n), others)
    labels = torch.randint(LABELS, (PRODUCTS, 2), generator=generator)
    return Pairs(views, product, features, torch.arange(PRODUCTS) % KINDS, labels)


@pytest.mark.parametrize("name", ["v1", "v2", "v2 as published", "ours without labels", "ours"])
def test_every_configuration_learns_what_fits(name, tmp_path):
    data, gallery = pairs(), torch.arange(PRODUCTS)
    torch.manual_seed(0)
    model = CONFIGURATIONS[name].build(WIDTH, KINDS, [LABELS, LABELS])
    rows, held = torch.arange(128), torch.arange(128, 192)

    def first(model):
        return float(
            (
                score_gallery(model, data, held, gallery).argmax(1) == data.product[held].numpy()
            ).mean()
        )

    before = first(model)
    train(
        model,
        CONFIGURATIONS[name],
        data,
        rows,
        Recipe(15, 32, 3e-3, weight_decay=0.01, schedule="warm-cosine"),
        tmp_path,
    )
    assert before < 0.25
    assert first(model) > 0.6  # seeds 0 to 4: .80 to 1 for all configurations


def test_configurations_differ_by_one_step_each():
    steps = [
        CONFIGURATIONS[name]
        for name in (
            "v1",
            "+ kind of product",
            "+ residual towers",
            "+ InfoNCE",
            "+ hard negatives",
            "v2",
        )
    ]
    changed = [
        [
            field
            for field in Configuration.__dataclass_fields__
            if getattr(one, field) != getattr(other, field)
        ]
        for one, other in pairwise(steps)
    ]
    assert changed == [
        ["kind_width"],
        ["hidden"],
        ["info_nce"],
        ["triplet_negatives"],
        ["mask_same_scene"],
    ]


def test_published_recipe():
    recipe = published_recipe(seed=3)
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate) == (50, 256, 3e-4)
    assert (recipe.weight_decay, recipe.clip, recipe.seed) == (0.01, 1.0, 3)


def test_the_loss_knows_the_training_products_of_a_scene(monkeypatch):
    data, rows = pairs(60), torch.arange(40)
    data.views.scene[:] = data.views.scene // 4
    seen = []

    def loss_of_batch(*arguments):
        seen.append(arguments[-1])
        return torch.zeros(())

    monkeypatch.setattr("fashionnb.scenes.training._tower_loss", loss_of_batch)
    model = CONFIGURATIONS["v1"].build(WIDTH, KINDS)
    some, sampled = torch.arange(7, 22, 3), torch.randint(PRODUCTS, (5, 9))
    _loss_of(CONFIGURATIONS["v1"], data, rows, uncut=False)(model, (some, sampled))
    known = set(zip(data.views.scene[:40].tolist(), data.product[:40].tolist(), strict=True))
    columns = [*data.product[some].tolist(), *sampled.T.flatten().tolist()]
    assert seen[0].tolist() == [
        [(row // 4, one) in known for one in columns] for row in some.tolist()
    ]


@pytest.mark.parametrize(
    "configuration",
    [
        Configuration(extra_negatives=2),
        Configuration(triplet_negatives="kind"),
        Configuration(triplet_negatives="any", extra_negatives=1),
        Configuration(),
    ],
)
def test_drawn_products_are_of_the_training_pairs_and_of_their_kind(configuration):
    data, rows = pairs(), torch.arange(40)
    batches = list(_batches(configuration, data, rows, 16)(1, torch.Generator().manual_seed(0)))
    assert torch.cat([some for some, _ in batches]).sort().values.tolist() == rows.tolist()
    for some, drawn in batches:
        assert drawn.shape == (
            len(some),
            configuration.extra_negatives + (configuration.triplet_negatives == "kind"),
        )
        assert np.isin(drawn, data.product[rows]).all()
        if configuration.triplet_negatives == "kind":
            assert (data.kinds[drawn] == data.kinds[data.product[some]][:, None]).all()


def test_extra_negatives_are_sampled_as_often_as_they_are_used():
    data, rows = pairs(4_000), torch.arange(4_000)
    data.product[:3_000] = 5
    batches = list(
        _batches(Configuration(extra_negatives=3), data, rows, 500)(
            1, torch.Generator().manual_seed(0)
        )
    )
    drawn = torch.cat([drawn.flatten() for _, drawn in batches])
    assert (drawn == 5).float().mean() == pytest.approx(
        0.75 + 0.25 / PRODUCTS, abs=0.02
    )  # 12,000 draws: 5 deviations


def test_uncut_scenes_are_seen_whole():
    data = pairs(4)
    data.views.uncut[:] = 7
    assert (data.scene(torch.tensor([1, 2]), uncut=True)[0] == 7).all()
    crops, there, pieces, boxes = data.scene(torch.tensor([1, 2]))
    torch.testing.assert_close(crops, data.views.crops[1:3])
    torch.testing.assert_close(pieces, data.views.pieces[:2].float())
    torch.testing.assert_close(boxes, data.views.boxes[:2])
    assert there.sum(1).tolist() == [1, 1]


def queries_of(scene, product, kinds):
    n, p = len(scene), len(kinds)
    nothing = torch.zeros(n, 1)
    views = Views(
        nothing, nothing, nothing, torch.zeros(n, 4), torch.tensor(scene), torch.full((n, 8), -1)
    )
    nothing = torch.zeros(p, 0)
    data = Pairs(views, torch.tensor(product), nothing, torch.tensor(kinds), nothing.long())
    return held_out(data, torch.arange(n))


def test_ranks_by_hand():
    queries = queries_of([0, 0, 1, 2], [3, 5, 5, 0], [0, 0, 0, 0, 1, 1])
    assert queries.gallery.tolist() == [0, 3, 5]
    assert queries.hidden.tolist() == [1, 2, 2, 0]
    scores = np.array([[0.5, 0.1, 0.9], [0.5, 0.1, 0.4], [0.3, 0.2, 0.1], [0.9, 0.3, 0.3]])
    found = queries.ranks(scores)
    assert found["all kinds"].rank.tolist() == [
        2,
        2,
        3,
        1,
    ]  # the first scene's other product is not in the way
    assert found["its kind"].rank.tolist() == [2, 1, 1, 1]
    assert found["any of the scene"].rank.tolist() == [1, 2, 3, 1]
    # The gallery of pairs is 3, 5, 5, 0: product 5 stands there twice; one row is the hit.
    assert queries.published_ranks(scores).rank.tolist() == [4, 2.5, 3.5, 1]


def test_binary_choice_compares_with_a_product_of_the_kind():
    queries = queries_of([0, 0, 1, 2, 2], [0, 1, 2, 3, 1], [0, 0, 0, 1])
    scores = np.zeros((5, 4))
    scores[:, 2] = 1
    # 3 has no other of its kind; in the scenes of 0 and 1 only 2 may be drawn; 2 wins against each.
    right = queries.binary_choice(scores)
    assert len(right) == 4
    assert right[:3].tolist() == [0, 0, 1]
    assert queries.binary_choice(np.zeros((5, 4))).tolist() == [0.5] * 4
    with pytest.raises(DataError, match="NaN"):
        queries.binary_choice(np.full((5, 4), np.nan))


def test_chunks_do_not_change_the_scores(monkeypatch):
    data, model = pairs(), CONFIGURATIONS["ours"].build(WIDTH, KINDS, [LABELS, LABELS])
    whole = score_gallery(model, data, torch.arange(50), torch.arange(PRODUCTS))
    monkeypatch.setattr("fashionnb.scenes.training._CHUNK", 7)
    np.testing.assert_allclose(
        whole, score_gallery(model, data, torch.arange(50), torch.arange(PRODUCTS)), atol=1e-5
    )


def test_bad_input(tmp_path):
    data, recipe = pairs(), Recipe(1, 64, 1e-3)
    model = CONFIGURATIONS["v1"].build(WIDTH, KINDS)
    with pytest.raises(DataError, match="do not fill a batch"):
        train(model, CONFIGURATIONS["v1"], data, torch.arange(9), recipe, tmp_path)
    with pytest.raises(DataError, match="contains no negative"):
        train(model, CONFIGURATIONS["v1"], data, torch.arange(9), Recipe(1, 1, 1e-3), tmp_path)
    with pytest.raises(DataError, match="no triplet_negatives 'easy'"):
        train(
            model, Configuration(triplet_negatives="easy"), data, torch.arange(90), recipe, tmp_path
        )
    for kinds, labels in (
        (data.kinds[:3], data.labels),
        (data.kinds, data.labels[:3]),
        (data.kinds, data.kinds),
    ):
        with pytest.raises(DataError, match="a kind and a row of labels"):
            Pairs(data.views, data.product, data.features, kinds, labels)


def test_a_frozen_part_stays_in_evaluation_mode():
    data, model = pairs(), CONFIGURATIONS["v2"].build(WIDTH, KINDS).train()
    frozen = next(part for part in model.modules() if isinstance(part, torch.nn.Dropout)).eval()
    score_gallery(model, data, torch.arange(5), torch.arange(PRODUCTS))
    assert model.training
    assert not frozen.training
