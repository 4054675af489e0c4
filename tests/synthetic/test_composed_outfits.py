"""fashionnb.synthetic.composed_outfits: its rules from the definition in plain Python, what is composed, asked, and
written."""

from collections import Counter
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionnb.data import colour, polyvore
from fashionnb.data.catalogue import Catalogue
from fashionnb.data.images import ArrayImages
from fashionnb.errors import DataError, WriteError
from fashionnb.evaluation.compatibility import auc, fitb, mean_by, outfit_pairs, question_pairs
from fashionnb.synthetic import composed_outfits, drawn_garments
from fashionnb.synthetic.composed_outfits.rules import ROLE_OF, kinds

COLUMNS = {
    "category": [
        "Tshirts",
        "Jeans",
        "Dresses",
        "Heels",
        "Handbags",
        "Watches",
        "Jackets",
        "Lipstick",
    ],
    "gender": ["Men", "Women", "Unisex", "Boys", ""],
    "usage": ["Casual", "Smart Casual", "Formal", "Sports", "Ethnic", "Party", ""],
    "season": ["Spring", "Summer", "Fall", "Autumn", "Winter", ""],
    "colour": [
        "Black",
        "White",
        "Blue",
        "Green",
        "Red",
        "Yellow",
        "Navy Blue",
        "Multi",
        "no such colour",
        "",
    ],
    "pattern": ["Solid", "Striped", ""],
}


def shop(rows: list[tuple]) -> Catalogue:
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table = table.assign(id=[f"i{n}" for n in range(len(rows))], image=range(len(rows)))
    pictures = ArrayImages(np.zeros((len(rows), 8, 8), np.uint8))
    return Catalogue("shop", table, pictures, tuple(sorted(set(table["category"]))))


def break_which(a: dict, b: dict) -> set[str]:
    """From the definition, one rule after another."""
    found = set()
    one, other = ROLE_OF.get(a["category"]), ROLE_OF.get(b["category"])
    if one and (
        one == other or {one, other} == {"dress", "top"} or {one, other} == {"dress", "bottom"}
    ):
        found.add("role")
    if {"", "Unisex"}.isdisjoint({a["gender"], b["gender"]}) and a["gender"] != b["gender"]:
        found.add("gender")
    smart = (
        {"Casual", "Smart Casual"},
        {"Formal", "Smart Casual"},
        {"Formal", "Party"},
        {"Smart Casual", "Party"},
    )
    if (
        a["usage"]
        and b["usage"]
        and a["usage"] != b["usage"]
        and {a["usage"], b["usage"]} not in smart
    ):
        found.add("usage")
    seasons = {"Fall" if season == "Autumn" else season for season in (a["season"], b["season"])}
    if seasons in ({"Spring", "Fall"}, {"Summer", "Winter"}):
        found.add("season")
    if (
        "no such colour" not in (a["colour"], b["colour"])
        and colour.harmony(a["colour"], b["colour"]).kind == "weak"
    ):
        found.add("colour")
    loud = [x["pattern"] == "Striped" or x["colour"] in ("Red", "Yellow", "Multi") for x in (a, b)]
    if all(loud):
        found.add("focal")
    return found


pieces = st.tuples(*(st.sampled_from(values) for values in COLUMNS.values()))


@settings(max_examples=80, deadline=None)
@given(st.lists(pieces, min_size=2, max_size=6))
def test_rules_are_those_of_the_definition(rows):
    catalogue = shop(rows)
    items = catalogue.table.to_dict("records")
    pairs = list(combinations(range(len(items)), 2))
    expected = [break_which(items[i], items[j]) for i, j in pairs]
    counts = Counter(rule for found in expected for rule in found)
    whole = [item["id"] for item in items]
    assert composed_outfits.broken(catalogue, [whole, whole[:1]]).tolist() == [
        [counts[r] for r in composed_outfits.RULES],
        [0] * 6,
    ]
    scores = composed_outfits.oracle(catalogue, [(whole[i], whole[j]) for i, j in pairs])
    assert scores.tolist() == [-len(found) for found in expected]


def test_attributes_that_a_catalogue_does_not_have_break_nothing():
    table = shop([("Heels", "Men", "Sports", "Summer", "Red", "Striped")] * 2).table[
        ["id", "category", "image"]
    ]
    catalogue = Catalogue("bare", table, ArrayImages(np.zeros((2, 8, 8), np.uint8)), ("Heels",))
    assert composed_outfits.broken(catalogue, [("i0", "i1")]).tolist() == [[1, 0, 0, 0, 0, 0]]


@pytest.fixture(scope="module")
def drawn() -> Catalogue:
    return drawn_garments.catalogue(1_200, size=16)


@pytest.fixture(scope="module", params=composed_outfits.EDITIONS)
def outfits(request, drawn):
    return composed_outfits.compose(drawn, 400, request.param, seed=3)


def test_composed_outfits_break_no_rule(outfits):
    table = outfits.catalogue.table.set_index("id")
    assert len(outfits) == len(set(map(frozenset, outfits.sets.values()))) == 400
    assert not composed_outfits.broken(outfits.catalogue, list(outfits.sets.values())).any()
    for items in outfits.sets.values():
        worn = table.loc[list(items), "role"].tolist()
        assert 3 <= len(worn) == len(set(worn)) <= 6
        assert "shoes" in worn
        assert ("dress" in worn) != ({"top", "bottom"} <= set(worn))


def test_nothing_is_in_two_splits_that_should_not_be(drawn):
    disjoint = composed_outfits.compose(drawn, 400)
    assert Counter(disjoint.split.values()) == {"train": 280, "validation": 40, "test": 80}
    own = dict(zip(drawn.table["id"], drawn.table["split"], strict=True))
    assert all(
        own[item] == disjoint.split[o] for o, items in disjoint.sets.items() for item in items
    )
    without = Catalogue("a", drawn.table.drop(columns="split"), drawn.images, drawn.classes)
    dealt = composed_outfits.compose(without, 400)
    used = [
        {i for o, items in dealt.sets.items() if dealt.split[o] == s for i in items}
        for s in ("train", "test")
    ]
    assert used[0].isdisjoint(used[1])
    shared = composed_outfits.compose(drawn.take(range(120)), 400, "nondisjoint")
    near = [
        (a, b)
        for a, b in combinations(shared.sets, 2)
        if len({*shared.sets[a]} ^ {*shared.sets[b]}) <= 1
    ]
    near += [
        (a, b) for a, b in combinations(shared.sets, 2) if len({*shared.sets[a]} ^ {*shared.sets[b]}) == 2
        and len(shared.sets[a]) == len(shared.sets[b])
    ]  # fmt: skip
    assert len(near) > 5
    assert all(shared.split[a] == shared.split[b] for a, b in near)


def test_the_seed_is_all_that_counts(drawn):
    one, again, other = (composed_outfits.compose(drawn, 100, seed=seed) for seed in (1, 1, 2))
    assert one.sets == again.sets
    assert one.sets != other.sets
    assert composed_outfits.make_blanks(one, "rule") == composed_outfits.make_blanks(again, "rule")
    assert composed_outfits.make_judged(one) == composed_outfits.make_judged(again)


@pytest.mark.parametrize("hardness", composed_outfits.HARDNESS)
def test_wrong_answers_break_rules_and_the_oracle_knows(outfits, hardness):
    table, catalogue = outfits.catalogue.table, outfits.catalogue
    kind = dict(zip(table["id"], kinds(catalogue), strict=True))
    blanks = composed_outfits.make_blanks(outfits, hardness)
    judged = composed_outfits.make_judged(outfits, hardness)
    tests = sum(split == "test" for split in outfits.split.values())
    assert len(blanks) > 0.9 * tests
    assert len(judged) > 0.9 * 2 * tests
    worn = {
        item for o, items in outfits.sets.items() if outfits.split[o] == "test" for item in items
    }
    for blank in blanks:
        right = blank.answers[blank.truth]
        before = blank.position - 1
        assert (*blank.asked[:before], right, *blank.asked[before:]) == outfits.sets[blank.outfit]
        wrong = set(blank.answers) - {right}
        assert len(wrong) == 3
        assert wrong <= worn - set(blank.asked)
        assert hardness == "any" or {kind[answer] for answer in wrong} == {kind[right]}
    wrong = [
        (*b.asked, answer) for b in blanks for answer in b.answers if answer != b.answers[b.truth]
    ]
    for good, bad in zip(judged[::2], judged[1::2], strict=True):
        assert (good.label, bad.label, len(bad.items)) == (1, 0, len(good.items))
        assert len(set(bad.items)) == len(bad.items)
        assert len({*good.items} - {*bad.items}) == (1 if hardness == "rule" else len(good.items))
        assert hardness == "any" or [kind[item] for item in good.items] == [
            kind[item] for item in bad.items
        ]
    rules = (
        composed_outfits.broken(catalogue, [*wrong, *(one.items for one in judged[1::2])]) > 0
    ).sum(1)
    assert (rules == 1).all() if hardness == "rule" else (rules >= 1).all()
    pairs, owner = outfit_pairs([one.items for one in judged])
    scores = mean_by(composed_outfits.oracle(catalogue, pairs), owner, len(judged))
    assert auc(scores, [one.label for one in judged]) >= 0.97
    pairs, owner = question_pairs([b.asked for b in blanks], [b.answers for b in blanks])
    scores = mean_by(composed_outfits.oracle(catalogue, pairs), owner, 4 * len(blanks)).reshape(
        -1, 4
    )
    truth = np.array([blank.truth for blank in blanks])
    assert fitb(scores, truth).mean() >= 0.97
    assert fitb(np.zeros_like(scores), truth).mean() == 0.25


@pytest.mark.parametrize("seed", range(3))
def test_what_is_written_is_read_back_by_the_reader_of_polyvore(tmp_path, drawn, seed):
    editions = {
        name: composed_outfits.compose(drawn, 200, name, seed) for name in composed_outfits.EDITIONS
    }
    composed_outfits.write_polyvore(tmp_path, editions, "type", seed)
    for name, made in editions.items():
        read = polyvore.read_outfits(tmp_path, name)
        assert (read.sets, read.split) == (made.sets, made.split)
        table, own = read.catalogue.table.set_index("id"), made.catalogue.table.set_index("id")
        assert (table["category"] == own.loc[table.index, "role"]).all()
        assert (table["fine"] == own.loc[table.index, "category"]).all()
        apart = (
            read.catalogue.pixels().astype(int)
            - made.catalogue.take([own.index.get_loc(item) for item in table.index]).pixels()
        )
        assert np.abs(apart).mean() < 6  # JPEG
        for split in ("validation", "test"):
            asked = {(b.outfit, b.asked, frozenset(b.answers), b.answers[b.truth]) for b in
                     composed_outfits.make_blanks(made, "type", split, seed=seed)}  # fmt: skip
            found = polyvore.read_blanks(tmp_path, name, split)
            assert {
                (b.outfit, b.asked, frozenset(b.answers), b.answers[b.truth]) for b in found
            } == asked
            assert polyvore.read_judged(tmp_path, name, split) == composed_outfits.make_judged(
                made, "type", split, seed=seed
            )
        roles = set(table["category"])
        assert {frozenset(pair) for pair in combinations(roles, 2)} <= set(
            polyvore.read_typespaces(tmp_path, name)
        )
        assert polyvore.dangling(tmp_path, name) == []


def test_photos_are_copied_byte_for_byte_where_they_are_jpeg(tmp_path, drawn):
    made = composed_outfits.compose(drawn, 200)
    composed_outfits.write_polyvore(tmp_path / "a", {"disjoint": made})
    read = polyvore.read_outfits(tmp_path / "a")
    roles = dict(zip(made.catalogue.table["id"], made.catalogue.table["role"], strict=True))
    table = read.catalogue.table.assign(role=read.catalogue.table["id"].map(roles))
    table["category"] = table["fine"]
    again = Catalogue("again", table, read.catalogue.images, tuple(set(table["category"])))
    composed_outfits.write_polyvore(
        tmp_path / "b", {"disjoint": type(made)(again, read.sets, read.split)}, "any"
    )
    photos = sorted((tmp_path / "a" / "images").iterdir())
    assert photos
    assert all(
        photo.read_bytes() == (tmp_path / "b" / "images" / photo.name).read_bytes()
        for photo in photos
    )


@pytest.mark.parametrize(
    ("call", "phrase"),
    [
        (
            lambda c: composed_outfits.compose(c, edition="easy"),
            "no edition 'easy'; use one of disjoint",
        ),
        (lambda c: composed_outfits.compose(c, 9), "Compose 10 outfits or more"),
        (
            lambda c: composed_outfits.compose(
                c.take(c.table["category"] != "Sandal").sample(8), 10
            ),
            "outfits need shoes",
        ),
        (
            lambda c: composed_outfits.compose(c.sample(3, by="category"), 1_000, "nondisjoint"),
            "different outfits were found",
        ),
        (
            lambda c: composed_outfits.make_blanks(composed_outfits.compose(c, 40), "hard"),
            "no hardness 'hard'; use one of any, type",
        ),
        (
            lambda c: composed_outfits.make_blanks(composed_outfits.compose(c, 40), split="valid"),
            "no outfit in the split 'valid'",
        ),
        (
            lambda c: composed_outfits.make_blanks(
                composed_outfits.compose(c.take(range(200)), 10), "rule"
            ),
            "has 3 wrong answers",
        ),
        (lambda c: composed_outfits.broken(c, [("drawn-00001", "zz")]), "atelier has no item 'zz'"),
        (lambda c: composed_outfits.oracle(c, [("drawn-00001", "zz")]), "atelier has no item 'zz'"),
        (
            lambda c: composed_outfits.write_polyvore("never", {}),
            "Expected outfits for disjoint, nondisjoint or both, got none",
        ),
        (
            lambda c: composed_outfits.write_polyvore(
                "never", {"easy": composed_outfits.compose(c, 40)}
            ),
            "got .'easy'",
        ),
    ],
)
def test_bad_input(drawn, call, phrase):
    with pytest.raises(DataError, match=phrase):
        call(drawn)


def test_what_cannot_be_written(tmp_path, drawn):
    made = composed_outfits.compose(drawn, 200)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match="cannot be written"):
        composed_outfits.write_polyvore(tmp_path / "file" / "folder", {"disjoint": made})
    table = made.catalogue.table
    bad = Catalogue(
        "bad", table.assign(id="../" + table["id"]), made.catalogue.images, made.catalogue.classes
    )
    sets = {o: tuple(f"../{item}" for item in items) for o, items in made.sets.items()}
    with pytest.raises(
        DataError, match=r"the id '\.\./drawn-.* cannot be the name of a photo's file"
    ):
        composed_outfits.write_polyvore(
            tmp_path / "out", {"disjoint": type(made)(bad, sets, made.split)}
        )
    with pytest.raises(DataError, match="different catalogues"):
        composed_outfits.write_polyvore(
            tmp_path, {"disjoint": made, "nondisjoint": type(made)(bad, sets, made.split)}
        )
