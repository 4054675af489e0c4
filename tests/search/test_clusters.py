"""fashionnb.search.clusters: planted clusters are found, and named by their traits."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from fashionnb.errors import DataError
from fashionnb.search.clusters import cluster_items, cluster_table, traits


def planted(sizes: tuple[int, ...], d: int = 16, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around well separated directions, shuffled, and the group of each."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    x = np.eye(d)[truth] + rng.normal(0, 0.05, (len(truth), d))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), truth


@pytest.mark.parametrize("k", ["auto", 4])
def test_planted_groups_are_found_largest_first(k):
    vectors, truth = planted((40, 90, 60, 20))
    labels = cluster_items(vectors, k)
    assert adjusted_rand_score(truth, labels) == 1
    assert np.bincount(labels).tolist() == [90, 60, 40, 20]
    assert cluster_items(vectors, k).tolist() == labels.tolist()


def test_of_groups_of_one_size_that_with_the_first_item_comes_first():
    vectors, _ = planted((30, 30, 30))
    labels = cluster_items(vectors, 3)
    first = [int(np.flatnonzero(labels == number)[0]) for number in range(3)]
    assert first == sorted(first)
    assert labels[0] == 0


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_items_are_one_group_or_two(n):
    vectors, _ = planted((1,) * n)
    labels = cluster_items(vectors)
    assert len(labels) == n
    assert set(labels) <= {0, 1}


def test_copies_cannot_be_parted():
    vectors = np.repeat(np.eye(3, dtype=np.float32)[:2], 5, axis=0)
    assert set(cluster_items(vectors, 6)) == {0, 1}
    assert set(cluster_items(vectors[:5])) == {0}


@pytest.mark.parametrize("k", [0, 11, 2.0, "many"])
def test_no_number_of_groups(k):
    with pytest.raises(DataError, match="'auto', or a whole number from 1 to 10"):
        cluster_items(planted((10,))[0], k)


def test_a_value_stands_out_by_its_share_against_the_whole():
    labels = np.repeat([0, 1], [6, 4])
    table = pd.DataFrame(
        {
            "category": ["Shirts"] * 5 + ["Tops"] + ["Shoes"] * 4,
            "gender": ["Men"] * 10,  # common everywhere: tells nothing
            "season": [""] * 5 + ["Winter"] + [""] * 3 + ["Winter"],  # not known of most
        }
    )
    found = traits(labels, table, ["category", "gender", "season"]).sort_values("cluster")
    assert found["cluster"].tolist() == [0, 1]
    assert found["column"].tolist() == ["category", "category"]
    assert found["value"].tolist() == ["Shirts", "Shoes"]
    assert found["share"].tolist() == pytest.approx([5 / 6, 1])
    assert found["lift"].tolist() == pytest.approx([5 / 6 / 0.5, 2.5])


def test_the_most_telling_trait_comes_first_and_no_more_than_three():
    labels = np.repeat([0, 1], [10, 90])
    table = pd.DataFrame(
        {name: np.where(labels == 0, "yes", "no") for name in ("a", "b", "c", "d")}
    )
    table.loc[:2, "b"] = "no"  # b says less of group 0 than the others
    found = traits(labels, table, ["b", "a", "c", "d"])
    assert found["column"][found["cluster"] == 0].tolist() == ["a", "c", "d"]


def test_what_is_not_known_never_stands_out():
    table = pd.DataFrame({"colour": [""] * 4})
    assert traits(np.array([0, 0, 1, 1]), table, ["colour"]).empty
    assert traits(np.array([0, 0, 1, 1]), table, []).empty


def test_names_are_of_the_traits_and_differ():
    shirts, hats = ("Shirt", "Men"), ("Hat", "Women")
    kinds = [shirts, shirts, hats, ("Hat", "Men"), ("Shirt", "Women")]
    table = pd.DataFrame(kinds * 2, columns=["category", "gender"])
    table["id"] = [f"i{row}" for row in table.index]
    labels = np.array([0, 0, 2, 3, 3, 1, 1, 2, 3, 3])
    vectors = np.ones((10, 1), np.float32)
    found = cluster_table(labels, vectors, table, ["category", "gender"])
    assert found["name"].tolist() == ["Shirt · Men", "Shirt · Men (2)", "Hat · Women", "mixed"]
    assert found["stands_out"].tolist() == [
        "category Shirt (100%, 1.7 times the usual); gender Men (100%, 1.7 times the usual)",
        "category Shirt (100%, 1.7 times the usual); gender Men (100%, 1.7 times the usual)",
        "category Hat (100%, 2.5 times the usual); gender Women (100%, 2.5 times the usual)",
        "nothing: like the whole",
    ]


def test_the_table_of_groups_lists_every_item_once_the_most_typical_first():
    vectors, truth = planted((12, 30))
    table = pd.DataFrame(
        {"id": [f"i{i}" for i in range(42)], "category": np.array(["Bag", "Shoe"])[truth]}
    )
    found = cluster_table(cluster_items(vectors, 2), vectors, table, ["category"])
    assert found["name"].tolist() == ["Shoe", "Bag"]
    assert found["size"].tolist() == [30, 12]
    assert sorted(item for items in found["items"] for item in items) == sorted(table["id"])
    members = np.array([int(item[1:]) for item in found["items"][1]])
    typical = vectors[members] @ vectors[members].mean(0)
    assert (np.diff(typical) <= 1e-6).all()
    assert set(truth[members]) == {0}
