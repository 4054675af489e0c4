"""The list of architectures, and images as models take them."""

import pytest
import torch
from torch import nn

from fashionnb import models
from fashionnb.errors import DataError, ModelMismatch


@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_every_name_leads_to_its_class_and_back(name):
    with torch.device("meta"):  # no memory and no time for weights
        model = models.architecture(name)()
    assert models.name_of(model) == name
    assert isinstance(model.arguments, dict)
    assert model.task in models.TASKS


def test_a_class_of_ones_own_can_be_made_known(monkeypatch):
    monkeypatch.setitem(models.ARCHITECTURES, "line", nn.Linear)
    assert models.architecture("line") is nn.Linear
    assert models.name_of(nn.Linear(2, 3)) == "line"


def test_unknown_names_and_classes():
    with pytest.raises(ModelMismatch, match=r"no architecture 'resnet'; there are .*style2vec"):
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


def test_evaluating_restores_the_mode_of_every_module():
    frozen = nn.Dropout().eval()
    model = nn.Sequential(nn.Dropout(), frozen)
    with models.evaluating(model) as same:
        assert same is model
        assert not any(module.training for module in model.modules())
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()
    assert [module.training for module in model.modules()] == [True, True, False]
    with pytest.raises(RuntimeError, match="on purpose"), models.evaluating(model):
        raise RuntimeError("on purpose")
    assert [module.training for module in model.modules()] == [True, True, False]
