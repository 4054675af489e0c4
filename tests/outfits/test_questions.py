"""fashionnb.outfits.questions: what is asked, what is never asked, and Polyvore's own files there and back."""

import inspect
import json
import os
import subprocess
import sys
from collections import Counter
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionnb.data import mango, question_files, registry
from fashionnb.data.catalogue import Blank, Catalogue, Judged, Outfits
from fashionnb.data.images import ArrayImages
from fashionnb.errors import DataError
from fashionnb.evaluation.compatibility import auc, fitb
from fashionnb.outfits import questions


def shop(
    items: dict[str, tuple], sets: dict[str, tuple], split: dict[str, str] | None = None
) -> Outfits:
    """Outfits of items that are given as id -> (family, collection, worn)."""
    columns = list(zip(*items.values(), strict=True))
    table = pd.DataFrame(dict(zip(("family", "collection", "worn"), columns, strict=True)))
    table = table.assign(id=list(items), category=table["family"], image=range(len(items)))
    catalogue = Catalogue(
        "shop",
        table,
        ArrayImages(np.zeros((len(items), 8, 8), np.uint8)),
        tuple(sorted({*columns[0]})),
    )
    return Outfits(catalogue, sets, split or dict.fromkeys(sets, "test"))


@st.composite
def shops(draw):
    """Two to nine outfits of few items of two families and two collections: repeats and near-repeats are common."""
    kinds = st.tuples(
        st.sampled_from(["top", "shoe"]),
        st.sampled_from(["2019", "2023"]),
        st.sampled_from([True, True, False]),
    )
    items = {f"i{n}": kind for n, kind in enumerate(draw(st.lists(kinds, min_size=4, max_size=10)))}
    some = st.lists(st.sampled_from(sorted(items)), min_size=1, max_size=4, unique=True)
    sets = {
        str(n): tuple(one) for n, one in enumerate(draw(st.lists(some, min_size=2, max_size=9)))
    }
    split = {outfit: draw(st.sampled_from(["train", "test"])) for outfit in sets}
    return shop(items, sets, split)


def may_be_wrong(outfits: Outfits, protocol: str, right: str, asked: tuple[str, ...]) -> set[str]:
    """From the definition: who may stand beside the right answer."""
    rows = {row.id: row for row in outfits.catalogue.table.itertuples()}
    here = {outfits.split[outfit]: set() for outfit in outfits.sets}
    for outfit, items in outfits.sets.items():
        here[outfits.split[outfit]] |= set(items)
    shared = bool(set.intersection(*here.values())) if len(here) > 1 else False
    pool = (
        set().union(*here.values()) if shared and protocol == "naive" else here.get("test", set())
    )
    known = [set(items) for items in outfits.sets.values()]
    return {
        item
        for item in pool - {right, *asked}
        if rows[item].family == rows[right].family
        and (protocol == "naive" or rows[item].collection == rows[right].collection)
        and {item, *asked} not in known
    }


@pytest.mark.parametrize("protocol", questions.PROTOCOLS)
@settings(max_examples=60, deadline=None)
@given(outfits=shops(), seed=st.integers(0, 5))
def test_questions_are_those_of_the_definition(protocol, outfits, seed):
    askable = {
        frozenset(items)
        for outfit, items in outfits.sets.items()
        if outfits.split[outfit] == "test" and len(items) > 1
        for i, right in enumerate(items)
        if outfits.catalogue.table.set_index("id").loc[right, "worn"]
        and len(may_be_wrong(outfits, protocol, right, items[:i] + items[i + 1 :])) >= 2
    }
    try:
        with mock.patch.object(questions, "_WRONG", 2):
            blanks = questions.make_blanks(outfits, protocol, seed=seed)
    except DataError:
        blanks = []
    assert Counter(
        frozenset({*blank.asked, blank.answers[blank.truth]}) for blank in blanks
    ) == Counter(askable)
    for blank in blanks:
        items, right = outfits.sets[blank.outfit], blank.answers[blank.truth]
        assert items[blank.position - 1] == right
        assert blank.asked == items[: blank.position - 1] + items[blank.position :]
        wrong = set(blank.answers) - {right}
        assert len(wrong) == len(blank.answers) - 1 == 2
        assert wrong <= may_be_wrong(outfits, protocol, right, blank.asked)


@pytest.mark.parametrize("protocol", questions.PROTOCOLS)
@settings(max_examples=60, deadline=None)
@given(outfits=shops())
def test_a_counterpart_has_the_same_families_and_is_no_outfit(protocol, outfits):
    family = dict(
        zip(outfits.catalogue.table["id"], outfits.catalogue.table["family"], strict=True)
    )
    known = set(map(frozenset, outfits.sets.values()))
    try:
        judged = questions.make_judged(outfits, protocol)
    except DataError:
        judged = []
    for real, other in zip(judged[::2], judged[1::2], strict=True):
        assert (real.label, other.label) == (1, 0)
        assert real.items in outfits.sets.values()
        assert [family[item] for item in real.items] == [family[item] for item in other.items]
        assert len({*real.items, *other.items}) == 2 * len(real.items)
        assert frozenset(other.items) not in known


def belts(n: int = 1_200) -> Outfits:
    """`n` test outfits with the belt b0. In 1, 3 and 6 others are the belts b1, b2 and b3 of the same collection, in 10
    is b4 of another one, and in 9 of another split is b5; so is b0 once."""
    uses = {"b0": n, "b1": 1, "b2": 3, "b3": 6, "b4": 10, "b5": 9}
    pairs = [(f"t-{belt}-{i}", belt) for belt, times in uses.items() for i in range(times)]
    pairs.append(("t-other", "b0"))
    items = {top: ("top", "2019", False) for top, _ in pairs}
    items |= {belt: ("belt", "2023" if belt == "b4" else "2019", True) for belt in uses}
    split = {
        f"{top}+": "train" if belt == "b5" or top == "t-other" else "test" for top, belt in pairs
    }
    return shop(items, {f"{top}+": (top, belt) for top, belt in pairs}, split)


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("naive", {"b1": 1 / 5, "b2": 1 / 5, "b3": 1 / 5, "b4": 1 / 5, "b5": 1 / 5}),
        ("strict", {"b1": 1 / 10, "b2": 3 / 10, "b3": 6 / 10}),
    ],
)
def test_wrong_answers_are_as_likely_as_the_protocol_says(protocol, expected, monkeypatch):
    monkeypatch.setattr(questions, "_WRONG", 1)
    blanks = [b for b in questions.make_blanks(belts(), protocol) if b.answers[b.truth] == "b0"]
    assert len(blanks) == 1_200
    drawn = Counter(blank.answers[1 - blank.truth] for blank in blanks)
    assert set(drawn) == set(expected)
    for belt, share in expected.items():  # within four standard deviations
        assert (
            abs(drawn[belt] / len(blanks) - share) < 4 * (share * (1 - share) / len(blanks)) ** 0.5
        )


@pytest.mark.parametrize("protocol", questions.PROTOCOLS)
def test_the_right_answer_stands_at_each_place_equally_often(protocol):
    blanks = questions.make_blanks(belts(380 if protocol == "naive" else 390), protocol)
    truth = np.array([blank.truth for blank in blanks])
    assert np.bincount(truth).tolist() == [100, 100, 100, 100]
    assert (truth[:8] != np.arange(8) % 4).any(), "in a random order"
    assert fitb(np.zeros((400, 4)), truth).mean() == 0.25
    assert fitb(np.tile([4.0, 3.0, 2.0, 1.0], (400, 1)), truth).mean() == 0.25


def test_a_constant_scorer_has_an_auc_of_one_half():
    judged = questions.make_judged(
        shop(
            {f"i{n}": ("top", "2019", True) for n in range(12)},
            {"1": ("i0", "i1"), "2": ("i2", "i3", "i4")},
        )
    )
    assert auc(np.ones(len(judged)), [row.label for row in judged]) == 0.5


def test_a_seed_gives_its_questions_and_another_seed_others():
    outfits = belts(60)
    assert questions.make_blanks(outfits, seed=3) == questions.make_blanks(outfits, seed=3)
    assert questions.make_blanks(outfits, seed=3) != questions.make_blanks(outfits, seed=4)
    many = shop(
        {f"i{n}": ("top", "2019", True) for n in range(40)},
        {str(n): (f"i{2 * n}", f"i{2 * n + 1}") for n in range(20)},
    )
    assert questions.make_judged(many, seed=3) == questions.make_judged(many, seed=3)
    assert questions.make_judged(many, seed=3) != questions.make_judged(many, seed=4)


def large() -> Outfits:
    """Twenty outfits of four items of one family."""
    items = {f"i{n}": ("top", "2019", True) for n in range(50)}
    return shop(
        items, {str(n): tuple(f"i{(7 * n + i * i) % 50}" for i in range(4)) for n in range(20)}
    )


def test_a_seed_gives_its_questions_in_every_process():
    """The order of a set of strings is another in each."""
    code = "\n".join(
        [
            "import numpy as np, pandas as pd",
            "from fashionnb.outfits import questions",
            "from fashionnb.data.images import ArrayImages",
            "from fashionnb.data.catalogue import Catalogue, Outfits",
            inspect.getsource(shop),
            inspect.getsource(large),
            "print(*(questions.make_blanks(large(), protocol) for protocol in questions.PROTOCOLS))",
        ]
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    here = [questions.make_blanks(large(), protocol) for protocol in questions.PROTOCOLS]
    assert done.stdout == " ".join(map(str, here)) + "\n"


def test_several_questions_about_one_outfit_ask_for_different_items():
    outfits = shop(
        {f"i{n}": ("top", "2019", True) for n in range(12)},
        {"1": ("i0", "i1", "i2"), "2": tuple(f"i{n}" for n in range(3, 12))},
    )
    blanks = questions.make_blanks(outfits, per_outfit=2)
    assert Counter(blank.outfit for blank in blanks) == {"1": 2, "2": 2}
    assert len({(blank.outfit, blank.position) for blank in blanks}) == len(blanks)


def test_disjoint_splits_do_not_lend_each_other_wrong_answers():
    items = {f"{split}{n}": ("top", "2019", True) for split in ("test", "train") for n in range(8)}
    sets = {
        split + str(n): (f"{split}{n}", f"{split}{n + 1}")
        for split in ("test", "train")
        for n in (0, 2, 4, 6)
    }
    outfits = shop(items, sets, {outfit: outfit[:-1] for outfit in sets})
    blanks = questions.make_blanks(outfits)
    assert len(blanks) == 4
    assert all(answer.startswith("test") for blank in blanks for answer in blank.answers)


@pytest.mark.parametrize("protocol", questions.PROTOCOLS)
def test_files_there_and_back(tmp_path, protocol):
    items = {f"i{n}": (("top", "shoe")[n % 2], "2019", True) for n in range(30)}
    sets = {f"{n}": tuple(f"i{(7 * n + i) % 30}" for i in range(2 + n % 4)) for n in range(15)}
    outfits = shop(items, sets)
    names = {
        f"{outfit}_{place}": item
        for outfit, some in outfits.sets.items()
        for place, item in enumerate(some, start=1)
    }
    blanks, judged = (
        questions.make_blanks(outfits, protocol),
        questions.make_judged(outfits, protocol),
    )
    question_files.write_blanks(tmp_path / "fill_in_blank_test.json", blanks, outfits)
    question_files.write_judged(tmp_path / "compatibility_test.txt", judged, outfits)
    written = (tmp_path / "fill_in_blank_test.json").read_bytes()
    again = question_files.parse_blanks(written, names, "here")
    for before, after in zip(blanks, again, strict=True):
        assert (before.outfit, before.asked, before.position) == (
            after.outfit,
            after.asked,
            after.position,
        )
        assert before.answers[before.truth] == after.answers[after.truth]
        assert set(before.answers) == set(after.answers)
    assert question_files.parse_blanks(written, names, "here") == again
    written = (tmp_path / "compatibility_test.txt").read_bytes()
    assert question_files.parse_judged(written, names, "here") == judged


NAMES = {
    f"{outfit}_{i}": f"item-{outfit}-{i}"
    for outfit in ("100", "200", "300", "4_0")
    for i in range(1, 5)
}


def question(answers=("100_3", "200_1", "300_1"), asked=("100_1", "100_2"), position=3) -> dict:
    return {"question": list(asked), "blank_position": position, "answers": list(answers)}


def parse(*rows: dict, seed: int = 0) -> list[Blank]:
    return question_files.parse_blanks(
        json.dumps(rows).encode(), NAMES, "fill_in_blank_test.json", seed
    )


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_right_answer_is_known_by_its_outfit_wherever_it_stands(place):
    answers = ["200_1", "300_1"]
    answers.insert(place, "100_3")
    (blank,) = parse(question(answers))
    assert blank.answers[blank.truth] == "item-100-3"
    assert (blank.outfit, blank.asked, blank.position) == ("100", ("item-100-1", "item-100-2"), 3)


def test_of_two_answers_from_the_outfit_the_one_at_the_blank_is_right():
    (blank,) = parse(question(["100_4", "100_3", "200_1"]))
    assert blank.answers[blank.truth] == "item-100-3"


def test_an_outfit_may_have_an_underscore_in_its_name():
    (blank,) = parse(question(["4_0_2", "100_2"], ["4_0_1"], 2))
    assert (blank.outfit, blank.answers[blank.truth]) == ("4_0", "item-4_0-2")


def test_a_file_with_the_right_answer_always_first_tells_nothing_by_it():
    blanks = parse(*[question()] * 99)
    assert Counter(blank.truth for blank in blanks) == {0: 33, 1: 33, 2: 33}
    assert [blank.truth for blank in blanks] != [
        blank.truth for blank in parse(*[question()] * 99, seed=1)
    ]


@pytest.mark.parametrize(
    ("row", "phrase"),
    [
        (
            question(["200_3", "300_1"]),
            r"question 0: no single answer is of outfit '100', so the right one is missing",
        ),
        (question(["100_2", "100_4", "300_1"], ["100_1"]), "the right one is missing"),
        (question(["100_3", "999_1"]), "question 0: there is no item '999_1'"),
        (question(asked=["100_1", "100_9"]), "there is no item '100_9'"),
        (question(["100_3", "200_1", "200_1"]), "the same item stands twice in its answers"),
        (question(asked=["100_1", "100_1"]), "the same item stands twice in its question"),
        (
            question(asked=["100_1", "200_1"]),
            "it asks about outfit '100', but shows '200_1' of another",
        ),
        (
            question(["100_3"]),
            r"not a fill-in-the-blank file.*0\.answers: List .* at least 2 items",
        ),
        (question(asked=[]), r"not a fill-in-the-blank file.*0\.question: List .* at least 1 item"),
        (question(["100_3", 7]), "not a fill-in-the-blank file"),
        (question(position="three"), "not a fill-in-the-blank file"),
        (
            {"question": ["100_1"], "answers": ["100_2", "200_1"]},
            "not a fill-in-the-blank file.*blank_position",
        ),
    ],
)
def test_questions_that_make_no_sense(row, phrase):
    with pytest.raises(DataError, match=phrase):
        parse(row)


@pytest.mark.parametrize("content", [b"<html>", b"[" * 200_000, b"5", b"[5]", b"\xff\xfe"])
def test_what_is_no_file_of_questions(content):
    with pytest.raises(DataError, match="not a fill-in-the-blank file"):
        question_files.parse_blanks(content, NAMES, "here")


def test_an_empty_file_of_questions():
    with pytest.raises(DataError, match="there is no question in it"):
        parse()
    with pytest.raises(DataError, match="the file is empty"):
        question_files.parse_judged(b"\n", NAMES, "here")


def test_outfits_to_judge_as_published():
    judged = question_files.parse_judged(b"1 100_1 100_2 100_3\n\n0 200_1 300_2\r\n", NAMES, "here")
    assert judged == [
        Judged(("item-100-1", "item-100-2", "item-100-3"), 1),
        Judged(("item-200-1", "item-300-2"), 0),
    ]


@pytest.mark.parametrize(
    ("line", "phrase"),
    [
        ("2 100_1 100_2", "here, line 2: expected 0 or 1"),
        ("1 100_1", "line 2: expected 0 or 1 and the names of two items or more"),
        ("1 100_1 999_1", "line 2: there is no item '999_1'"),
        ("1 100_1 100_2 100_1", "line 2: the same item stands twice in the line: '100_1'"),
    ],
)
def test_outfits_that_cannot_be_judged(line, phrase):
    with pytest.raises(DataError, match=phrase):
        question_files.parse_judged(f"1 100_1 100_2\n{line}\n".encode(), NAMES, "here")


def test_an_item_without_an_outfit_has_no_name_in_a_file(tmp_path):
    outfits = shop(
        {"a": ("top", "", True), "b": ("top", "", True), "c": ("top", "", True)}, {"1": ("a", "b")}
    )
    with pytest.raises(DataError, match="'c' is in no outfit"):
        question_files.write_blanks(
            tmp_path / "f.json", [Blank("1", ("a",), ("b", "c"), 0, 2)], outfits
        )
    assert not (tmp_path / "f.json").exists()


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        ({"protocol": "easy"}, "no protocol 'easy'; use one of naive, strict"),
        ({"split": "valid"}, "no outfit in the split 'valid'"),
        ({"per_outfit": 0}, "1 question or more"),
    ],
)
def test_questions_that_cannot_be_made(changes, phrase):
    with pytest.raises(DataError, match=phrase):
        questions.make_blanks(belts(8), **changes)


def test_a_family_that_is_too_small(monkeypatch):
    monkeypatch.setattr(questions, "_WRONG", 29)
    with pytest.raises(DataError, match="has 29 others of its family"):
        questions.make_blanks(belts(8))


def test_outfits_without_counterparts():
    with pytest.raises(DataError, match="No test outfit can be exchanged item by item"):
        questions.make_judged(
            shop({"a": ("top", "", True), "b": ("shoe", "", True)}, {"1": ("a", "b")})
        )


def test_real_questions(real_data):
    outfits = mango.read_outfits(registry.find("mango-outfits"))
    table = outfits.catalogue.table
    family, collection = (
        dict(zip(table["id"], table[column], strict=True)) for column in ("family", "collection")
    )
    known = set(map(frozenset, outfits.sets.values()))
    for protocol in questions.PROTOCOLS:
        blanks = questions.make_blanks(outfits, protocol)
        assert len(blanks) > 1_300
        assert all(len({family[answer] for answer in blank.answers}) == 1 for blank in blanks)
        complete = [
            [frozenset({*blank.asked, answer}) in known for answer in blank.answers]
            for blank in blanks
        ]
        assert [row.index(True) for row in complete] == [blank.truth for blank in blanks]
        assert all(sum(row) == 1 for row in complete)
    assert all(
        len({collection[answer] for answer in blank.answers}) == 1 for blank in blanks
    )  # the strict ones
