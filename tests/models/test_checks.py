"""fashionnb.models.checks: what is accepted, and that each message says what was expected and given."""

import pytest
import torch

from fashionnb.errors import DataError
from fashionnb.models.checks import check_images, check_sizes, check_tensor


@pytest.mark.parametrize(
    ("tensor", "shape", "more"),
    [
        (torch.rand(2, 3), ("n", 3), {}),
        (torch.rand(2, 3), (2, "d"), {"finite": True}),
        (torch.rand(3), (..., 3), {}),
        (torch.rand(4, 5, 3), (..., 3), {}),
        (torch.rand(4, 5, 3), (4, "d", ...), {}),
        (torch.ones(2, dtype=torch.bool), ("n",), {"kind": "bool"}),
        (torch.ones(2, dtype=torch.uint8), ("n",), {"kind": "any"}),
        (torch.tensor([0, 3]), ("n",), {"kind": "whole", "below": 4}),
        (torch.tensor([[0, 3], [1, 0]]), ("n", 2), {"kind": "whole", "below": [2, 4]}),
        (torch.zeros(2, 0, dtype=torch.int64), ("n", 0), {"kind": "whole", "below": []}),
        (torch.zeros(0, 3), ("n", 3), {"finite": True}),
    ],
)
def test_what_fits_comes_back(tensor, shape, more):
    assert check_tensor(tensor, shape, "Vectors", "Do this.", **more) is tensor


@pytest.mark.parametrize(
    ("tensor", "shape", "more", "said"),
    [
        (None, ("n", 3), {}, r"Vectors: expected float \(n, 3\), got none. Do this."),
        (torch.rand(2, 4), ("n", 3), {}, r"expected float \(n, 3\), got torch.float32 \(2, 4\)"),
        (torch.rand(3), ("n", 3), {}, r"got torch.float32 \(3,\)"),
        (torch.rand(3), (..., 2, 3), {}, r"\(..., 2, 3\), got torch.float32 \(3,\)"),
        (torch.rand(3), (3, "d", ...), {}, r"\(3, d, ...\), got torch.float32 \(3,\)"),
        (torch.ones(2, 3, dtype=torch.int64), ("n", 3), {}, "got torch.int64"),
        (torch.rand(2), ("n",), {"kind": "whole"}, r"expected whole \(n,\), got torch.float32"),
        (torch.ones(2), (2,), {"kind": "bool"}, "expected bool"),
        (torch.tensor([0, -1]), (2,), {"kind": "whole"}, "whole numbers from 0, got -1 to 0"),
        (
            torch.tensor([0, 4]),
            (2,),
            {"kind": "whole", "below": 4},
            "from 0 to below 4, got 0 to 4",
        ),
        (
            torch.tensor([[0, 3], [2, 0]]),
            ("n", 2),
            {"kind": "whole", "below": [2, 4]},
            r"to below \[2, 4\], got 0 to 3",
        ),
        (torch.tensor([[0.0], [torch.nan]]), ("n", 1), {"finite": True}, "row 1 holds NaN or inf"),
        (torch.tensor([[torch.inf]]), ("n", 1), {"finite": True}, "row 0 holds NaN or inf"),
    ],
)
def test_what_does_not_fit_is_refused(tensor, shape, more, said):
    with pytest.raises(DataError, match=said):
        check_tensor(tensor, shape, "Vectors", "Do this.", **more)


def test_images():
    images = torch.rand(2, 3, 32, 40)
    assert check_images(images, 3, 32, "Network") is images
    for wrong, said in (
        (
            images[:, :1],
            r"expected float \(n, 3, height, width\), got torch.float32 \(2, 1, 32, 40\)",
        ),
        (images[:, :, 1:], r"at least 32 x 32 pixels, got \(2, 3, 31, 40\)"),
        ((images * 255).to(torch.uint8), "got torch.uint8.*as_input"),
    ):
        with pytest.raises(DataError, match=said):
            check_images(wrong, 3, 32, "Network")


def test_sizes():
    check_sizes(width=1, hidden=2)
    with pytest.raises(DataError, match="Sizes are 1 or more; got width=1, hidden=0"):
        check_sizes(width=1, hidden=0)
