"""The list of architectures, and images as models take them."""

import pytest
import torch
from torch import nn

from fashionnb import models
from fashionnb.errors import DataError, ModelMismatch


@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_every_name_leads_to_its_class_and_back(name):
    model = models.architecture(name)()
    assert models.name_of(model) == name
    assert isinstance(model.arguments, dict)


def test_a_class_of_ones_own_can_be_made_known(monkeypatch):
    monkeypatch.setitem(models.ARCHITECTURES, "line", nn.Linear)
    assert models.architecture("line") is nn.Linear
    assert models.name_of(nn.Linear(2, 3)) == "line"


def test_unknown_names_and_classes():
    with pytest.raises(
        ModelMismatch, match=r"no architecture 'resnet'; this fashionnb knows .*style2vec"
    ):
        models.architecture("resnet")
    with pytest.raises(ModelMismatch, match=r"ARCHITECTURES\['a-name'\] = Linear"):
        models.name_of(nn.Linear(2, 3))


def test_images_are_scaled_once():
    bytes_ = torch.tensor([0, 51, 255], dtype=torch.uint8)
    floats = models.as_input(bytes_)
    torch.testing.assert_close(floats, torch.tensor([0, 0.2, 1.0]))
    assert models.as_input(floats) is floats


@pytest.mark.parametrize("dtype", [torch.int64, torch.float64, torch.bool])
def test_images_of_another_kind(dtype):
    with pytest.raises(DataError, match="uint8"):
        models.as_input(torch.zeros(3, dtype=dtype))
