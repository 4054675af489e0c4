"""The list of architectures, images as models take them, and what a model costs, against counts by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fashionnb import models
from fashionnb.errors import DataError, ModelMismatch
from fashionnb.models import macs, parameters
from fashionnb.models.style2vec import Style2Vec


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


def test_weights_that_do_not_fit_are_listed():
    with pytest.raises(ModelMismatch) as caught:
        models.load_weights(nn.Linear(3, 2), {"weight": torch.zeros(2, 4)}, "somewhere", "So.")
    message = str(caught.value)
    assert message.startswith("somewhere does not fit the network:\n")
    assert 'Missing key(s) in state_dict: "bias"' in message
    assert "torch.Size([2, 4]) from checkpoint" in message
    assert "current model is torch.Size([2, 3])" in message
    assert message.endswith("So.")


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.Conv2d(3, 8, 5, padding=2), (3, 10, 12), 10 * 12 * 8 * 3 * 25),
        (nn.Conv2d(3, 8, 5, stride=2, padding=2), (3, 10, 12), 5 * 6 * 8 * 3 * 25),
        (
            nn.Conv2d(6, 6, 3, groups=6, padding=1),
            (6, 4, 4),
            4 * 4 * 6 * 9,
        ),  # depthwise: one input channel for each
        (nn.Conv2d(4, 8, 1, groups=2), (4, 2, 2), 2 * 2 * 8 * 2),
        (nn.Conv2d(1, 1, (3, 5)), (1, 3, 5), 15),
        (nn.Sequential(nn.Flatten(), nn.Linear(12, 7)), (3, 2, 2), 12 * 7),
        (
            nn.Linear(6, 7),
            (3, 2, 6),
            3 * 2 * 6 * 7,
        ),  # on the last dimension, for every row and channel
        (nn.Sequential(nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2)), (2, 4, 4), 0),
    ],
)
def test_layers_counted_by_hand(layer, shape, expected):
    assert macs(layer, shape) == expected


def test_a_layer_that_is_called_twice_counts_twice_but_its_parameters_once():
    layer = nn.Conv2d(2, 2, 1, bias=False)
    twice = nn.Sequential(layer, nn.ReLU(), layer)
    assert macs(twice, (2, 3, 3)) == 2 * macs(layer, (2, 3, 3)) == 2 * 36
    assert parameters(twice) == 4


def test_a_mirrored_model_takes_twice_as_many():
    sizes = {"dimensions": 6, "stem": 4, "stages": [(8, 2), (16, 2)]}
    assert macs(Style2Vec(**sizes, mirror=True), (1, 28, 28)) == 2 * macs(
        Style2Vec(**sizes), (1, 28, 28)
    )


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2)), min_size=1, max_size=3
    )
)
def test_every_place_of_every_window_is_counted(layers):
    channels, height, width, expected, network = 4, 9, 11, 0, nn.Sequential()
    for kernel, stride, groups in layers:
        network.append(
            nn.Conv2d(channels, 2 * channels, kernel, stride, padding=1, groups=groups)
        ).append(nn.ReLU())
        height, width = (len(range(0, side + 2 - kernel + 1, stride)) for side in (height, width))
        for _ in range(height * width * 2 * channels):
            expected += channels // groups * kernel * kernel
        channels *= 2
    network.append(nn.AdaptiveAvgPool2d(1)).append(nn.Flatten()).append(nn.Linear(channels, 5))
    assert macs(network, (4, 9, 11)) == expected + 5 * channels


def convolution(inputs, outputs, size, stride):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Block(nn.Module):
    """A basic block of He et al. 2016, table 1; written out here because importing torchvision takes ten seconds."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.residual = nn.Sequential(
            convolution(inputs, outputs, 3, stride), convolution(outputs, outputs, 3, 1)
        )
        self.shortcut = (
            nn.Identity() if inputs == outputs else convolution(inputs, outputs, 1, stride)
        )

    def forward(self, x):
        return self.residual(x) + self.shortcut(x)


def test_resnet18_costs_what_torchvision_publishes():
    """11,689,512 parameters and, at 224 x 224 pixels, "1.81 GFLOPS", which are MACs."""
    stages = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
    blocks = [block for i, o, stride in stages for block in (Block(i, o, stride), Block(o, o, 1))]
    stem = [convolution(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    network = nn.Sequential(
        *stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000)
    )
    assert parameters(network) == 11_689_512
    assert macs(network, (3, 224, 224)) == pytest.approx(1.81e9, rel=0.02)


def test_the_model_is_left_as_it_was():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout())
    network[2].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    macs(network, (1, 5, 5))
    assert [module.training for module in network] == [True, True, False]
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_it_is_left_as_it_was_even_if_it_refuses_the_picture():
    network = Style2Vec(dimensions=6, stem=4, stages=[(8, 2)])
    with pytest.raises(DataError, match="at least"):
        macs(network, (1, 4, 4))
    assert network.training
