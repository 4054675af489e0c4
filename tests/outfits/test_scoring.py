"""fashionnb.outfits.scoring: outfits, pairs and answers by id, the same for models of pairs and of sets."""

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import nn

from fashionnb.errors import DataError, ModelMismatch
from fashionnb.evaluation.compatibility import fitb
from fashionnb.models.compatibility import CompatibilityMLP, PolaniaNet, TypeAware
from fashionnb.models.outfit_inputs import Items
from fashionnb.models.outfit_transformer import OutfitTransformer
from fashionnb.outfits import scoring
from fashionnb.outfits.scoring import Scorer

IDS = [f"item-{row}" for row in range(30)]


def items(width=6):
    draw = torch.Generator().manual_seed(0)
    return Items(
        torch.randn(30, width, generator=draw),
        torch.arange(30) % 4,
        torch.rand(30, 24, generator=draw),
    )


MODELS = {
    "mlp": lambda: CompatibilityMLP(6, 10, dropout=0.5),
    "polania": lambda: PolaniaNet(width=6),
    "type-aware": lambda: TypeAware(6, 5, 4, [(1, 2)]),
    "sets": lambda: OutfitTransformer(6, 4, 24, hidden=16, heads=2),
}
PAIRWISE = ("mlp", "polania", "type-aware")
OUTFITS = [
    ["item-3", "item-8", "item-1"],
    ["item-2", "item-9"],
    ["item-4", "item-5", "item-6", "item-7"],
]


def model_of(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MODELS[name]()


def by_hand(model, outfit):
    """The score of one outfit, alone and pair by pair."""
    rows, model = [IDS.index(item) for item in outfit], model.eval()
    with torch.no_grad():
        if not model.pairwise:
            return model(items()[torch.tensor([rows])]).item()
        return np.mean([model(items()[[a]], items()[[b]]).item() for a, b in combinations(rows, 2)])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("batch_size", [1, 4096])
def test_outfits_are_scored_as_each_by_hand(name, batch_size, monkeypatch):
    monkeypatch.setattr(scoring, "_BATCH", batch_size)
    model = model_of(name).train()
    scores = Scorer(model, items(), IDS)(OUTFITS)
    assert model.training  # as it was found
    assert scores.dtype == np.float64
    assert scores == pytest.approx([by_hand(model, outfit) for outfit in OUTFITS], abs=1e-5)


@pytest.mark.parametrize("name", PAIRWISE)
def test_answers_are_ranked_as_the_completed_outfits_are(name):
    """The pairs within a question are the same for all its answers, so that both ways rank alike."""
    asked = [["item-1", "item-2"], ["item-3", "item-4"]]
    answers = [["item-5", "item-6", "item-7"], ["item-8", "item-9", "item-10"]]
    scorer = Scorer(model_of(name), items(), IDS)
    found = scorer.answers(asked, answers)
    whole = np.array(
        [scorer([[*q, a] for a in some]) for q, some in zip(asked, answers, strict=True)]
    )
    assert found.shape == (2, 3)
    assert (found.argsort(1) == whole.argsort(1)).all()


def test_a_set_is_asked_where_an_item_of_each_answers_type_should_lie(monkeypatch):
    monkeypatch.setattr(scoring, "_BATCH", 2)
    asked = [["item-1", "item-2"], ["item-3", "item-4", "item-9"], ["item-6"]]
    answers = [
        ["item-5", "item-9"],
        ["item-8", "item-10"],
        ["item-6", "item-11"],
    ]  # of one type, of two, shown already
    model, found = model_of("sets"), Scorer(model_of("sets"), items(), IDS).answers(asked, answers)
    model.eval()
    for i, (question, some) in enumerate(zip(asked, answers, strict=True)):
        for j, one in enumerate(some):
            rows, row = (
                torch.tensor([[IDS.index(item) for item in question]]),
                torch.tensor([IDS.index(one)]),
            )
            with torch.no_grad():
                point = model.seek(items()[rows], items().types[row])
                assert found[i, j] == pytest.approx(
                    (point * model.place(items()[row])).sum().item(), abs=1e-6
                )


def test_outfits_of_all_sizes_keep_their_order(monkeypatch):
    outfits = [
        IDS[start : start + size]
        for start, size in zip(range(11), (5, 1, 19, 3, 2, 7, 1, 4, 12, 6, 2), strict=True)
    ]
    model = model_of("sets")
    for batch_size in (1, 24, 4096):
        monkeypatch.setattr(scoring, "_BATCH", batch_size)
        scores = Scorer(model, items(), IDS)(outfits)
        assert scores == pytest.approx([by_hand(model, outfit) for outfit in outfits], abs=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_an_answer_that_is_shown_already_is_no_error(name):
    """Two names of one item are in a published file."""
    assert np.isfinite(
        Scorer(model_of(name), items(), IDS).answers([["item-1", "item-2"]], [["item-1", "item-3"]])
    ).all()


@pytest.mark.parametrize("name", MODELS)
def test_a_collapsed_model_gets_exactly_one_in_n(name):
    model = model_of(name)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    asked, answers = [["item-1", "item-2"]] * 5, [["item-3", "item-4", "item-5", "item-6"]] * 5
    found = Scorer(model, items(), IDS).answers(asked, answers)
    assert fitb(found, np.array([0, 1, 2, 3, 0])).mean() == 0.25


@pytest.mark.parametrize("name", MODELS)
def test_contributions_are_the_slope_of_the_score(name):
    """Against differences: how the score moves as one vector is made a little longer."""
    model, outfit, step = model_of(name), OUTFITS[2], 1e-2
    if model.pairwise:  # what is scaled is what the model made of the items
        with torch.no_grad():
            vectors = model.eval().encode(items()).features
    else:
        vectors = items().features
    found = Scorer(model, items(), IDS).contributions(outfit)
    for place, item in enumerate(outfit):
        score = []
        for factor in (1 + step, 1 - step):
            moved = vectors.clone()
            moved[IDS.index(item)] *= factor
            scorer = Scorer(model, items(), IDS)
            scorer.items = Items(moved, scorer.items.types, scorer.items.colours)
            score.append(scorer([outfit])[0])
        assert found[place] == pytest.approx((score[0] - score[1]) / (2 * step), abs=2e-3)


def test_seeking_is_nearness_in_the_space_of_the_model(monkeypatch):
    monkeypatch.setattr(scoring, "_BATCH", 2)
    model = model_of("sets")
    scorer = Scorer(model, items(), IDS)
    found = scorer.seek(OUTFITS, [1, 0, 3])
    assert found.shape == (3, 30)
    rows = torch.tensor([[2, 9]])
    with torch.no_grad():
        point = model.eval().seek(items()[rows], torch.tensor([0]))
        expected = (point @ model.place(items()).T)[0]
    assert found[1] == pytest.approx(expected.numpy(), abs=1e-6)
    of_any_type = scorer.seek(OUTFITS, [0, 0, 0])
    assert of_any_type[1] == pytest.approx(found[1])
    assert np.abs(of_any_type[0] - found[0]).max() > 1e-4


def test_an_outfit_of_one_is_a_set_but_no_pair():
    assert np.isfinite(Scorer(model_of("sets"), items(), IDS)([["item-1"]])).all()
    for name in PAIRWISE:
        with pytest.raises(DataError, match=r"1 item\(s\): a pair needs two"):
            Scorer(model_of(name), items(), IDS)([["item-1"]])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda s: s([["item-1", "item-99"]]), "no vector for the item 'item-99'.*no image"),
        (lambda s: s([["item-1", "item-2", "item-1"]]), "'item-1' is repeated"),
        (lambda s: s([]), "no outfit"),
        (lambda s: s([["item-1", "item-2"], []]), "Outfit 1"),
        (
            lambda s: s.answers([["item-1"]], [["item-2", "nothing"]]),
            "no vector for the item 'nothing'",
        ),
        (
            lambda s: s.answers([["item-1"], ["item-2"]], [["item-3"], ["item-4", "item-5"]]),
            "same length",
        ),
        (lambda s: s.answers([[]], [["item-3"]]), "no item at all"),
        (lambda s: s.contributions(["item-1", "nothing"]), "no vector"),
    ],
)
def test_bad_outfits(name, call, said):
    with pytest.raises(DataError, match=said):
        call(Scorer(model_of(name), items(), IDS))


def test_what_cannot_be_a_scorer():
    with pytest.raises(DataError, match="one id for each of 30 items; got 2"):
        Scorer(model_of("mlp"), items(), ["a", "b"])
    with pytest.raises(DataError, match="of which 1 differ"):
        Scorer(model_of("mlp"), items(), ["a"] * 30)
    with pytest.raises(DataError, match="takes vectors of 6 numbers"):
        Scorer(model_of("mlp"), items(width=7), IDS)
    with pytest.raises(DataError, match="NaN"):
        Scorer(model_of("mlp"), Items(torch.full((30, 6), torch.nan)), IDS)
    with pytest.raises(ModelMismatch, match="neither pairs nor sets"):
        Scorer(nn.Linear(6, 1), items(), IDS)
    with pytest.raises(ModelMismatch, match="only a set model"):
        Scorer(model_of("mlp"), items(), IDS).seek(OUTFITS, [0, 0, 0])
