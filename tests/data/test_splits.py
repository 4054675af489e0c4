"""fashionnb.data.splits: near-identical sets against the definition, and splits that are the same everywhere."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionnb.data import splits
from fashionnb.data.splits import by_hash, near_identical


def groups_by_definition(sets):
    """Join equal sets and those that differ by one item (one more, or one exchanged), again and again."""
    group = list(range(len(sets)))
    changed = True
    while changed:
        changed = False
        for i, a in enumerate(sets):
            for j, b in enumerate(sets):
                if len(a - b) <= 1 and len(b - a) <= 1 and group[i] != group[j]:
                    group[i] = group[j] = min(group[i], group[j])
                    changed = True
    order = list(dict.fromkeys(group))
    return [order.index(number) for number in group]


@settings(deadline=None)
@given(
    st.lists(
        st.frozensets(st.sampled_from("abcdefgh"), min_size=2, max_size=5), min_size=1, max_size=12
    )
)
def test_near_identical_sets_are_those_of_the_definition(sets):
    assert near_identical(sets).tolist() == groups_by_definition(sets)


def test_one_item_more_one_exchanged_and_a_chain_are_one_group():
    sets = [
        ("a", "b", "c"),
        ("x", "y", "z"),
        ("c", "a", "b"),
        ("a", "b", "c", "d"),
        ("a", "b", "e"),
        ("a", "f", "e"),
    ]
    assert near_identical(sets).tolist() == [0, 1, 0, 0, 0, 0]
    assert near_identical([("a", "b", "c", "d"), ("a", "b", "e", "f")]).tolist() == [0, 1]


def test_a_split_depends_on_the_key_alone():
    keys = [f"outfit {i}" for i in range(5000)]
    split = by_hash(keys, "toy")
    assert by_hash(keys[::-1], "toy").tolist() == split[::-1].tolist()
    assert by_hash(["outfit 7"] * 3, "toy").tolist() == [split[7]] * 3
    assert (by_hash(keys, "other") != split).mean() > 0.3
    for name, share in (("train", 0.7), ("validation", 0.1), ("test", 0.2)):
        assert abs((split == name).mean() - share) < 0.02


def test_a_split_is_the_same_for_ever():
    """If this fails, results that were published before are not comparable any more."""
    first = ["train", "train", "train", "train", "train", "test"]
    assert by_hash(list("abcdef"), "toy").tolist() == first
    assert set(by_hash(["x"], "toy", {"only": 1.0})) == {"only"}
    assert isinstance(by_hash([], "toy"), np.ndarray)


def test_every_category_has_its_share_whatever_its_hashes():
    keys = [
        f"{category}/{i}" for category, n in {"bags": 40, "coats": 500}.items() for i in range(n)
    ]
    categories = [key.split("/")[0] for key in keys]
    found = splits.by_category(keys, categories, "mine")
    counted = Counter(zip(categories, found, strict=True))
    assert [counted["bags", part] for part in splits.SHARES] == [28, 4, 8]
    assert [counted["coats", part] for part in splits.SHARES] == [350, 50, 100]
    again = splits.by_category(keys[::-1], categories[::-1], "mine")
    assert list(again[::-1]) == list(found), "the order of the keys does not matter"
    assert list(splits.by_category(keys, categories, "yours")) != list(found)
