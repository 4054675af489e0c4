"""Scoring by rules: the score against a plain calculation, the reasons against the attributes."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from fashionnb.apps.demo.rule_based_scorer import RuleBasedScorer, random_outfit_scores
from fashionnb.data.catalogue import Catalogue
from fashionnb.data.colour import harmony
from fashionnb.data.images import ArrayImages
from fashionnb.errors import DataError
from fashionnb.synthetic import composed_outfits, drawn_garments

GARMENTS = {
    "shirt": ("Shirt", "White", "Solid", "Summer"),
    "jeans": ("Jeans", "Navy Blue", "Solid", "Spring"),
    "dress": ("Dress", "Red", "Solid", "Summer"),
    "boots": ("Ankle boot", "Green", "Dotted", "Winter"),
    "bag": ("Bag", "", "Solid", ""),
}


def wardrobe(names=tuple(GARMENTS), columns=("category", "colour", "pattern", "season")):
    table = pd.DataFrame(
        [GARMENTS[name] for name in names], columns=["category", "colour", "pattern", "season"]
    )
    table = table[[*columns]].assign(image=range(len(names)))
    table.insert(0, "id", names)
    classes = tuple(table["category"].unique())
    return Catalogue(
        "wardrobe", table, ArrayImages(np.zeros((len(names), 4, 4, 3), np.uint8)), classes
    )


def plain_score(catalogue, outfit):
    """By the definition, pair by pair."""
    known, scores = catalogue.table.set_index("id"), []
    for one, other in combinations(outfit, 2):
        a, b = known.loc[one], known.loc[other]
        shared = float(a["season"] == b["season"] != "")
        rules = composed_outfits.broken(catalogue, [[one, other]]).sum()
        scores.append((2 * harmony(a["colour"], b["colour"]).score + shared) / 3 - rules)
    return sum(scores) / len(scores)


def test_scores_are_the_mean_over_pairs():
    drawn = drawn_garments.catalogue(60, 16)
    rng = np.random.default_rng(0)
    outfits = [rng.choice(drawn.table["id"], size, replace=False).tolist() for size in (2, 3, 5)]
    expected = [plain_score(drawn, outfit) for outfit in outfits]
    assert RuleBasedScorer(drawn)(outfits) == pytest.approx(expected)


def test_the_order_of_the_pieces_does_not_matter():
    scorer = RuleBasedScorer(wardrobe())
    assert scorer([["shirt", "jeans", "bag"], ["bag", "shirt", "jeans"]]) == pytest.approx(
        [scorer([["jeans", "bag", "shirt"]])[0]] * 2
    )


def test_what_is_not_known_is_neither_good_nor_bad():
    scorer = RuleBasedScorer(wardrobe(columns=("category",)))
    assert scorer([["shirt", "jeans"]]) == pytest.approx([harmony("", "").score])
    assert scorer.reasons("shirt", "jeans") == ([], [])
    assert RuleBasedScorer(wardrobe()).reasons("shirt", "bag") == ([], [])


@pytest.mark.parametrize(
    ("pair", "good", "bad"),
    [
        (("shirt", "jeans"), ["White with Navy Blue: a neutral"], []),
        (
            ("shirt", "dress"),
            ["White with Red: a neutral", "both Summer"],
            ["a top with a dress"],
        ),
        (
            ("dress", "boots"),
            ["Red with Green: opposite hues"],
            ["season: Summer against Winter", "two focal pieces"],
        ),
    ],
)
def test_reasons_are_read_from_the_attributes(pair, good, bad):
    found = RuleBasedScorer(wardrobe()).reasons(*pair)
    assert found[0] == good
    assert sorted(bad) == sorted(
        next(text for text in bad if said.startswith(text)) for said in found[1]
    )


def test_two_of_one_role_are_a_reason_against():
    assert (
        "two of one role (shoes)"
        in RuleBasedScorer(drawn_garments.catalogue(40, 16)).reasons(*of("Sandal", 2))[1]
    )


def of(category, n):
    table = drawn_garments.catalogue(40, 16).table
    return table.loc[table["category"] == category, "id"].head(n)


def test_an_unknown_item_is_refused():
    with pytest.raises(DataError, match="no item 'hat'"):
        RuleBasedScorer(wardrobe())([["shirt", "hat"]])


def test_random_outfits_have_a_piece_for_each_role_and_are_sorted():
    drawn, seen = drawn_garments.catalogue(60, 16), []
    role = dict(zip(drawn.table["id"], composed_outfits.roles(drawn), strict=True))

    def scorer(outfits):
        seen.extend(outfits)
        return -np.arange(len(outfits), dtype=float)

    found = random_outfit_scores(scorer, drawn)
    assert sorted(found) == [2, 3, 4, 5, 6]  # no accessories are drawn
    assert all((np.diff(scores) >= 0).all() for scores in found.values())
    assert all(len({role[item] for item in outfit}) == len(outfit) for outfit in seen)
    again = (
        random_outfit_scores(RuleBasedScorer(drawn), drawn),
        random_outfit_scores(RuleBasedScorer(drawn), drawn),
    )
    assert all(np.array_equal(again[0][size], again[1][size]) for size in found)


def test_outfits_that_break_no_rule_beat_those_that_were_random_outfit_scores():
    """So that "of 100 sets" means something. Over seeds 0 to 9 the share was .93 to .96."""
    drawn = drawn_garments.catalogue(400, 16)
    scorer = RuleBasedScorer(drawn)
    good = scorer(list(composed_outfits.compose(drawn, 200, "nondisjoint").sets.values()))
    assert np.mean(np.searchsorted(random_outfit_scores(scorer, drawn)[4], good) / 300) > 0.85


def test_one_role_makes_no_outfit():
    with pytest.raises(DataError, match="two roles or more"):
        random_outfit_scores(lambda outfits: np.zeros(len(outfits)), wardrobe(("shirt",)))
