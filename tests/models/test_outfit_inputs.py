"""fashionnb.models.outfit_inputs: what models of outfits take, and outfits as one tensor of rows."""

import pytest
import torch

from fashionnb.errors import DataError
from fashionnb.models.outfit_inputs import (
    Items,
    check_items,
    padded,
)


def items(n=5):
    return Items(torch.arange(3.0 * n).view(n, 3), torch.arange(n), torch.rand(n, 24))


@pytest.mark.parametrize("rows", [torch.tensor([3, 1]), torch.tensor([[0, 4], [2, 2], [1, -1]])])
def test_rows_of_any_shape_give_items_of_that_shape(rows):
    found = items()[rows]
    assert found.types.shape == rows.shape
    assert found.features.shape == (*rows.shape, 3)
    assert found.colours.shape == (*rows.shape, 24)
    assert torch.equal(found.features[..., 0], 3.0 * (rows % 5))
    assert Items(torch.rand(5, 3, 8, 8))[rows].features.shape == (*rows.shape, 3, 8, 8)


def test_labels_come_along():
    labels = torch.arange(10).view(5, 2)
    found = Items(torch.rand(5, 3), labels=labels)
    rows = torch.tensor([[0, 4], [2, 2]])
    assert torch.equal(found[rows].labels, labels[rows])
    assert torch.equal(found.to("cpu").labels, labels)
    check_items(found[rows], "Model", width=3, labels=(9, 10))


def test_what_is_not_known_stays_so():
    bare = Items(torch.rand(4, 2))
    assert len(bare) == len(bare.to("cpu")) == 4
    assert bare[torch.tensor([0])].types is bare[torch.tensor([0])].colours is None


def test_outfits_are_padded_to_the_largest():
    rows = padded([[4, 2], [7], [0, 1, 3]])
    assert rows.tolist() == [[4, 2, -1], [7, -1, -1], [0, 1, 3]]
    assert rows.dtype == torch.int64


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Items(torch.tensor([[0.0, 1.0], [torch.nan, 1.0]])), "features: row 1 holds NaN"),
        (
            lambda: Items(torch.rand(2, 2), colours=torch.full((2, 24), torch.inf)),
            "colours: row 0 holds NaN or inf",
        ),
        (lambda: Items(torch.rand(2, 2), torch.ones(3, dtype=torch.int64)), "one row of each part"),
        (lambda: Items(torch.rand(2, 2), colours=torch.rand(3, 24)), "one row of each part"),
        (lambda: Items(torch.rand(2)), "one row of each part"),
        (lambda: Items(torch.rand(2, 2), torch.tensor([1.0, 2.0])), "types: expected whole"),
        (lambda: Items(torch.rand(2, 2), torch.tensor([1, -1])), "types: .* whole numbers from 0"),
        (
            lambda: Items(torch.rand(2, 2), labels=torch.tensor([[1], [-1]])),
            "labels: expected whole numbers from 0, got -1",
        ),
        (
            lambda: Items(torch.rand(2, 2), labels=torch.ones(3, 1, dtype=torch.int64)),
            "one row of each part",
        ),
        (lambda: padded([[1], []]), "Outfit 1 is empty"),
    ],
)
def test_bad_input(build, said):
    with pytest.raises(DataError, match=said):
        build()


LABELLED = Items(torch.rand(2, 2), labels=torch.tensor([[1, 2], [1, 3]]))


@pytest.mark.parametrize(
    ("some", "needs", "said"),
    [
        (items(), {"width": 4}, "Model takes vectors of 4 numbers: .*width=3"),
        (LABELLED, {"types": 4}, "needs the type of each item, below 4: .*got none"),
        (items(), {"types": 4}, "needs the type of each item.* to below 4, got 0 to 4"),
        (LABELLED, {"colours": 24}, r"needs the colours of each item: .*24\), got none"),
        (items(), {"colours": 12}, r"expected float \(..., 12\), got torch.float32 \(5, 24\)"),
        (items(), {"labels": (3,)}, "needs 1 labels of each item: .*got none"),
        (LABELLED, {"labels": (2, 3)}, r"whole numbers from 0 to below \(2, 3\), got 1 to 3"),
    ],
)
def test_what_a_network_needs_and_items_lack(some, needs, said):
    check_items(some, "Model")
    with pytest.raises(DataError, match=said):
        check_items(some, "Model", **needs)
