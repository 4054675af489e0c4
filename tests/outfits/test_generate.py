"""fashionnb.outfits.generate: answers against their definitions by exhaustive search, with a scorer in plain Python."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
import torch

from fashionnb.data.catalogue import Catalogue
from fashionnb.data.images import ArrayImages
from fashionnb.errors import DataError
from fashionnb.models.compatibility import CompatibilityMLP
from fashionnb.models.outfit_inputs import Items
from fashionnb.outfits.generate import (
    complete_outfit,
    compose_outfits,
    leave_one_out,
    pair_scores,
    suggest_swaps,
)
from fashionnb.outfits.scoring import Scorer

KINDS = ["top", "bottom", "shoes"]


def shop(n=5):
    """n tops, n bottoms, n shoes, with a value each; outfits whose values are near each other are good."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"category": np.repeat(KINDS, n)})
    table["id"] = [f"{kind}-{i}" for kind in KINDS for i in range(n)]
    table["value"] = rng.normal(size=3 * n)
    table["price"] = rng.integers(5, 50, 3 * n).astype(float)
    table["season"] = np.tile(["Winter", "Summer"], 3 * n)[: 3 * n]
    table["image"] = range(3 * n)
    return Catalogue(
        "a shop", table, ArrayImages(np.zeros((3 * n, 4, 4, 3), np.uint8)), tuple(KINDS)
    )


SHOP = shop()
VALUE = dict(zip(SHOP.table["id"], SHOP.table["value"], strict=True))
PRICE = dict(zip(SHOP.table["id"], SHOP.table["price"], strict=True))
OUTFIT = ["top-0", "bottom-1", "shoes-2"]


def one(outfit):
    return -float(np.mean([abs(VALUE[a] - VALUE[b]) for a, b in combinations(outfit, 2)]))


def scorer(outfits):
    return np.array([one(outfit) for outfit in outfits])


def test_leave_one_out_ranks_by_the_gain_of_the_others():
    outfit = [*OUTFIT, "top-4"]
    found = leave_one_out(scorer, outfit)
    gains = {item: one([x for x in outfit if x != item]) - one(outfit) for item in outfit}
    assert found["id"].tolist() == sorted(outfit, key=lambda item: -gains[item])
    assert found["gain"].tolist() == pytest.approx(sorted(gains.values(), reverse=True))
    assert found["rank"].tolist() == [1, 2, 3, 4]
    assert (found["without"] - found["gain"]).tolist() == pytest.approx([one(outfit)] * 4)
    assert "contribution" not in found


def test_leave_one_out_with_a_model_has_its_gradients():
    torch.manual_seed(0)
    model = Scorer(
        CompatibilityMLP(4, 8), Items(torch.randn(len(SHOP), 4)), SHOP.table["id"].tolist()
    )
    found = leave_one_out(model, OUTFIT)
    assert dict(zip(found["id"], found["contribution"], strict=True)) == pytest.approx(
        dict(zip(OUTFIT, model.contributions(OUTFIT), strict=True))
    )


def test_pair_scores_are_those_of_outfits_of_two():
    found = pair_scores(scorer, OUTFIT)
    for a, b in product(OUTFIT, OUTFIT):
        assert (
            np.isnan(found.loc[a, b]) if a == b else found.loc[a, b] == pytest.approx(one([a, b]))
        )


@pytest.mark.parametrize("season", [None, "Winter"])
@pytest.mark.parametrize("item", [None, "bottom-1"])
def test_swaps_are_the_best_single_exchanges(item, season):
    allowed = None if season is None else SHOP.table["season"] == season
    found = suggest_swaps(scorer, OUTFIT, SHOP, 4, item=item, allowed=allowed)
    expected = []
    for old in OUTFIT if item is None else [item]:
        for new, kind, when in SHOP.table[["id", "category", "season"]].itertuples(index=False):
            if kind == old.split("-")[0] and new != old and season in (None, when):
                gain = one([new if x == old else x for x in OUTFIT]) - one(OUTFIT)
                if gain > 0:
                    expected.append((gain, old, new))
    expected = sorted(expected, key=lambda row: -row[0])[:4]
    assert [*zip(found["id"], found["swap"], strict=True)] == [row[1:] for row in expected]
    assert found["gain"].tolist() == pytest.approx([row[0] for row in expected])


def test_nothing_to_swap_is_an_empty_table():
    best = min(
        product(*([f"{kind}-{i}" for i in range(5)] for kind in KINDS)),
        key=lambda outfit: -one(outfit),
    )
    found = suggest_swaps(scorer, best, SHOP)
    assert len(found) == 0
    assert list(found) == ["rank", "id", "swap", "score", "gain"]


def test_an_item_of_unknown_kind_stays():
    table = SHOP.table.copy()
    table["family"] = table["category"].where(table["id"] != "top-0", "")
    found = suggest_swaps(
        scorer, OUTFIT, Catalogue("a shop", table, None, tuple(KINDS)), 99, by="family"
    )
    assert len(found)
    assert "top-0" not in found["id"].tolist()
    with pytest.raises(DataError, match="family is not known"):
        suggest_swaps(
            scorer,
            OUTFIT,
            Catalogue("a shop", table, None, tuple(KINDS)),
            by="family",
            item="top-0",
        )


def test_completion_is_the_best_addition():
    found = complete_outfit(scorer, ["top-0", "bottom-1"], SHOP, "shoes", 3)
    expected = sorted(
        (f"shoes-{i}" for i in range(5)), key=lambda x: -one(["top-0", "bottom-1", x])
    )[:3]
    assert found["id"].tolist() == expected
    assert found["score"].tolist() == pytest.approx(
        [one(["top-0", "bottom-1", x]) for x in expected]
    )
    both = complete_outfit(scorer, ["top-0"], SHOP, ["top", "shoes"], 99)
    assert len(both) == 9  # not the top itself


def everything(start, parts):
    return [
        (start, *rest) for rest in product(*([f"{part}-{i}" for i in range(5)] for part in parts))
    ]


def test_a_wide_beam_finds_the_best_of_all():
    found = compose_outfits(scorer, SHOP, "top-0", ["bottom", "shoes"], 4, beam=25)
    expected = sorted(everything("top-0", ["bottom", "shoes"]), key=lambda outfit: -one(outfit))[:4]
    assert found["items"].tolist() == expected
    assert found["score"].tolist() == pytest.approx([one(outfit) for outfit in expected])
    assert "cost" not in found


def test_a_beam_of_one_is_greedy():
    found = compose_outfits(scorer, SHOP, "top-0", ["bottom", "shoes"], 1, beam=1)
    bottom = max((f"bottom-{i}" for i in range(5)), key=lambda x: one(["top-0", x]))
    shoes = max((f"shoes-{i}" for i in range(5)), key=lambda x: one(["top-0", bottom, x]))
    assert found["items"].tolist() == [("top-0", bottom, shoes)]


def test_conditions_are_kept():
    most, winter = 60.0, SHOP.table["season"] == "Winter"
    season = dict(zip(SHOP.table["id"], SHOP.table["season"], strict=True))

    def unlike(items):
        return "shoes-0" not in items

    found = compose_outfits(
        scorer,
        SHOP,
        "top-0",
        ["bottom", "shoes"],
        9,
        beam=25,
        allowed=winter,
        budget=("price", most),
        fits=unlike,
    )
    expected = [
        outfit
        for outfit in everything("top-0", ["bottom", "shoes"])
        if sum(PRICE[x] for x in outfit) <= most
        and all(season[x] == "Winter" for x in outfit[1:])
        and unlike(outfit)
    ]
    assert 0 < len(expected) < 12
    assert found["items"].tolist() == sorted(expected, key=lambda outfit: -one(outfit))[:9]
    assert found["cost"].tolist() == [sum(PRICE[x] for x in outfit) for outfit in found["items"]]


def test_a_narrow_beam_does_not_run_out_of_money():
    """What the cheapest of the later parts cost is put aside."""
    table = SHOP.table.assign(price=1.0)
    table.loc[table["category"] == "shoes", "price"] = 10.0
    best = max((f"bottom-{i}" for i in range(5)), key=lambda x: one(["top-0", x]))
    table.loc[table["id"] == best, "price"] = 5.0
    catalogue = Catalogue("a shop", table, None, tuple(KINDS))
    found = compose_outfits(
        scorer, catalogue, "top-0", ["bottom", "shoes"], 1, beam=1, budget=("price", 12.0)
    )
    assert found["cost"].tolist() == [12.0]
    table.loc[table["id"] == best, "price"] = np.nan  # a price that nobody knows
    found = compose_outfits(scorer, catalogue, "top-0", ["bottom"], 5, budget=("price", 12.0))
    assert len(found) == 4


def test_what_cannot_be_is_an_empty_table():
    found = compose_outfits(scorer, SHOP, "top-0", ["bottom"], fits=lambda items: False)
    assert list(found) == ["rank", "items", "score"]
    assert len(found) == 0
    assert (
        len(
            compose_outfits(scorer, SHOP, "top-0", ["bottom"], budget=("price", PRICE["top-0"] + 1))
        )
        == 0
    )


def test_two_of_a_kind_are_one_outfit_whatever_their_order():
    found = compose_outfits(scorer, SHOP, "top-0", ["shoes", "shoes"], 20, beam=20)
    assert len({frozenset(items) for items in found["items"]}) == len(found) == 10


def test_diversity_shows_outfits_that_share_less():
    def shared(table):
        return np.mean([len({*a[1:]} & {*b[1:]}) for a, b in combinations(table["items"], 2)])

    plain, diverse = (
        compose_outfits(scorer, SHOP, "top-0", ["bottom", "shoes"], 4, beam=25, diversity=d)
        for d in (0.0, 1.0)
    )
    assert diverse["items"].iloc[0] == plain["items"].iloc[0]
    assert shared(diverse) < shared(plain)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: leave_one_out(scorer, OUTFIT[:2]), r"outfit of 3 item\(s\) or more, got 2"),
        (lambda: leave_one_out(scorer, ["top-0", "top-0", "top-1"]), "is repeated"),
        (lambda: pair_scores(scorer, ["top-0"]), r"2 item\(s\) or more, got 1"),
        (
            lambda: suggest_swaps(scorer, ["top-0", "hat-1"], SHOP),
            "no item 'hat-1'.*look like top-0",
        ),
        (lambda: suggest_swaps(scorer, OUTFIT, SHOP, item="top-1"), "not in the outfit"),
        (lambda: suggest_swaps(scorer, OUTFIT, SHOP, 0), "top_k is a whole number"),
        (lambda: suggest_swaps(scorer, OUTFIT, SHOP, by="role"), "no column 'role'"),
        (
            lambda: suggest_swaps(scorer, OUTFIT, SHOP, allowed=[True]),
            "one bool for each of 15 items",
        ),
        (lambda: suggest_swaps(scorer, OUTFIT, SHOP, allowed=[1] * 15), "one bool for each"),
        (lambda: complete_outfit(scorer, [], SHOP, "shoes"), r"1 item\(s\) or more"),
        (
            lambda: complete_outfit(scorer, ["top-0"], SHOP, "hat"),
            "category 'hat'. There is: bottom, shoes, top",
        ),
        (lambda: compose_outfits(scorer, SHOP, "hat-0", ["shoes"]), "no item 'hat-0'"),
        (lambda: compose_outfits(scorer, SHOP, "top-0", []), "one part or more"),
        (lambda: compose_outfits(scorer, SHOP, "top-0", ["hat"]), "category 'hat'"),
        (
            lambda: compose_outfits(scorer, SHOP, "top-0", ["shoes"], diversity=2),
            "diversity from 0 to 1",
        ),
        (lambda: compose_outfits(scorer, SHOP, "top-0", ["shoes"], 5, beam=4), "top_k <= beam"),
        (
            lambda: compose_outfits(scorer, SHOP, "top-0", ["shoes"], budget=("season", 9)),
            "no column 'season' of numbers",
        ),
        (
            lambda: compose_outfits(scorer, SHOP, "top-0", ["shoes"], budget=("price", 1)),
            "'top-0' alone costs",
        ),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(DataError, match=said):
        call()
