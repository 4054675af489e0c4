"""Checkpoints: what is written comes back, names are found, and what does not fit is refused."""

import json
import tomllib
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import nn

from fashionnb import checkpoints, models
from fashionnb.checkpoints import (
    fingerprint,
    image_size,
    list_models,
    load_model,
    save,
)
from fashionnb.errors import DataNotFound, ModelMismatch
from fashionnb.files import sha256
from fashionnb.models import pretrained
from fashionnb.models.compatibility import PolaniaNet
from fashionnb.models.style2vec import Style2Vec


@pytest.fixture
def model():
    return Style2Vec(dimensions=6, stem=4, stages=[(8, 2), (16, 2)])


@pytest.fixture
def folder(tmp_path, model):
    return save(
        model,
        tmp_path / "model",
        {"data": "fashion-mnist", "metrics": {"recall@1": 0.9}, "seeds": [0]},
    )


def edit(folder, **changes):
    """Change fields of the card; None removes one."""
    card = json.loads((folder / "card.json").read_text()) | changes
    (folder / "card.json").write_text(
        json.dumps({name: value for name, value in card.items() if value is not None})
    )


def replace_weights(folder, tensors):
    save_file(tensors, folder / "model.safetensors")
    edit(folder, sha256=sha256(folder / "model.safetensors"))


def test_what_was_saved_comes_back(folder, model):
    back = load_model(folder)
    card = back.card
    assert fingerprint(back) == fingerprint(model)
    assert not back.training
    images = torch.rand(2, 1, 28, 28)
    assert torch.equal(back(images), model.eval()(images))
    assert card.architecture == "style2vec"
    assert card.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert card.metrics == {"recall@1": 0.9}
    assert (card.task, card.size, card.channels) == ("embedding", None, 1)
    assert set(card.versions) == {"fashionnb", "torch", "python"}
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "model.safetensors"]


def test_weights_that_are_shared_are_saved_too(tmp_path, monkeypatch):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.arguments, self.task = {}, "embedding"
            self.one = nn.Linear(3, 3)
            self.other = self.one

    monkeypatch.setitem(models.ARCHITECTURES, "tied", Tied)
    tied = Tied()
    back = load_model(save(tied, tmp_path))
    card = back.card
    assert back.one is back.other
    assert fingerprint(back) == fingerprint(tied)
    assert card.parameters == 12


def test_saving_again_replaces(folder, model):
    with torch.no_grad():
        model.head.bias += 1
    save(model, folder)
    assert fingerprint(load_model(folder)) == fingerprint(model)


@pytest.mark.parametrize("name", ["card.json", "model.safetensors"])
def test_a_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(DataNotFound, match=f"{name} is not there"):
        load_model(folder)


def test_weights_that_were_changed(folder):
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelMismatch, match="SHA-256 is"):
        load_model(folder)


def test_weights_of_other_shapes_are_listed_with_both(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["head.weight"] = torch.zeros(5, 16)
    tensors["extra"] = torch.zeros(2)
    del tensors["head.bias"]
    replace_weights(folder, tensors)
    with pytest.raises(ModelMismatch) as caught:
        load_model(folder)
    message = str(caught.value)
    assert "model.safetensors does not fit the network" in message
    assert "head.weight: copying a param with shape torch.Size([5, 16])" in message
    assert "current model is torch.Size([6, 16])" in message
    assert 'Missing key(s) in state_dict: "head.bias"' in message
    assert 'Unexpected key(s) in state_dict: "extra"' in message


def test_many_wrong_shapes_are_cut_short(folder):
    edit(folder, arguments={"stem": 8})
    with pytest.raises(ModelMismatch, match=r"… and \d+ more"):
        load_model(folder)


def test_no_safetensors_file(folder):
    path = folder / "model.safetensors"
    path.write_bytes(b"nonsense")
    edit(folder, sha256=sha256(path))
    with pytest.raises(ModelMismatch, match="is not a safetensors file"):
        load_model(folder)


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"architecture": "resnet"}, "no architecture 'resnet'"),
        ({"arguments": {"depth": 3}}, "cannot be built.*depth"),
        ({"arguments": {"stem": -4}}, "cannot be built"),
        ({"sha256": None}, "SHA-256 is .*but its card says"),
        ({"colour": "blue"}, "colour: Extra inputs"),
        ({"parameters": None}, "parameters: Field required"),
        (
            {"task": None},
            'card.json: task: Field required. Add .*"task": "embedding".*"size" and "channels"',
        ),
        ({"task": "search"}, "task: Input should be .*The tasks are embedding, classification"),
        ({"size": "large"}, "size.*valid integer"),
        ({"metrics": {"recall@1": "good"}}, "metrics.recall@1"),
    ],
)
def test_a_broken_card(folder, change, phrase):
    edit(folder, **change)
    with pytest.raises(ModelMismatch, match=phrase):
        load_model(folder)


def test_a_card_that_is_no_json(folder):
    (folder / "card.json").write_text("nonsense")
    with pytest.raises(ModelMismatch, match="Invalid JSON"):
        load_model(folder)


@pytest.mark.parametrize(
    ("card", "phrase"),
    [
        ({"dataset": "x"}, "dataset: Extra inputs.*fields are .*data"),
        ({"metrics": {"auc": float("nan")}}, "metrics.auc.*finite"),
        ({"sha256": "0"}, "sha256 follow from the model"),
    ],
)
def test_a_card_that_cannot_be_saved_leaves_nothing(tmp_path, model, card, phrase):
    with pytest.raises(ModelMismatch, match=phrase):
        save(model, tmp_path / "new", card)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "home", ["book/checkpoints", "fashionnb/published"], ids=["checkout", "installed"]
)
def test_a_published_model_is_found(tmp_path, monkeypatch, model, home):
    monkeypatch.setattr("fashionnb.__file__", str(tmp_path / "fashionnb" / "__init__.py"))
    save(model, tmp_path / home / "small")
    assert fingerprint(load_model(checkpoints.published("small"))) == fingerprint(model)


def test_a_model_that_was_not_published(tmp_path, monkeypatch, model):
    monkeypatch.setattr("fashionnb.__file__", str(tmp_path / "fashionnb" / "__init__.py"))
    with pytest.raises(
        DataNotFound, match=r"No model 'small' .*there is: none.*Install fashionnb again"
    ):
        checkpoints.published("small")
    save(model, tmp_path / "book" / "checkpoints" / "large")
    with pytest.raises(DataNotFound, match="there is: large"):
        checkpoints.published("small")


def test_the_wheel_brings_the_published_models_and_full_results_along():
    settings = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    expected = {
        "book/checkpoints": "fashionnb/published",
        "book/results/full": "fashionnb/published_results/full",
    }
    assert wheel["sources"] == expected
    assert set(expected) < set(wheel["only-include"])


def test_the_fingerprint_sees_weights_and_nothing_else(model):
    before = fingerprint(model)
    assert fingerprint(model.train().to(memory_format=torch.contiguous_format)) == before
    with torch.no_grad():
        model.stem[0][1].running_mean[0] += 1e-6  # a buffer, not a parameter
    assert fingerprint(model) != before
    assert fingerprint(nn.Linear(2, 2)) != fingerprint(nn.Linear(2, 2))


def test_task_and_input_are_taken_from_the_network_or_given(tmp_path, monkeypatch, model):
    for card, expected in (
        ({}, ("embedding", None, 1)),
        ({"training": {"size": 32}}, ("embedding", 32, 1)),
        ({"training": {"size": 32}, "size": (24, 16)}, ("embedding", (24, 16), 1)),
        ({"task": "classification"}, ("classification", None, 1)),
    ):
        card = checkpoints.read_card(save(model, tmp_path / "model", card))
        assert (card.task, card.size, card.channels) == expected
    nested = PolaniaNet("small")
    assert checkpoints.read_card(save(nested, tmp_path / "polania")).channels == 3
    assert checkpoints.read_card(save(PolaniaNet(), tmp_path / "vectors")).channels is None
    monkeypatch.setitem(models.ARCHITECTURES, "line", Line)
    with pytest.raises(
        ModelMismatch, match=r"The card: task: Input should be .*Add what the network is for"
    ):
        save(Line(), tmp_path / "line")
    save(Line(), tmp_path / "line", {"task": "outfit"})


class Line(nn.Linear):
    """A network that does not say its task."""

    def __init__(self):
        super().__init__(1, 1)
        self.arguments = {}


def test_a_folder_and_a_name_are_opened_with_their_card(folder, tmp_path, monkeypatch, model):
    monkeypatch.setattr("fashionnb.__file__", str(tmp_path / "fashionnb" / "__init__.py"))
    save(model, tmp_path / "book" / "checkpoints" / "small", {"description": "A small one."})
    for name in (folder, str(folder), "small"):
        opened = load_model(name)
        assert not opened.training
        assert opened.card.architecture == "style2vec"
        assert fingerprint(opened) == fingerprint(model)
    table = list_models()
    assert list(table.index) == ["small", *pretrained.NAMES]
    small = table.loc["small"]
    assert (small["task"], small["description"], small["source"], small["here"]) == (
        "embedding", "A small one.", "comes with fashionnb", True,
    )  # fmt: skip
    assert small["parameters"] == models.parameters(model)
    lite = table.loc["efficientnet-lite2"]
    assert (lite["size"], lite["dimensions"], lite["licence"]) == (260, 1280, "Apache-2.0")
    with pytest.raises(DataNotFound, match=r"No model 'smal' came .* there is: small; and.*lite0"):
        load_model("smal")


def test_a_network_published_elsewhere_is_opened_with_a_card(tmp_path, monkeypatch):
    def network(weights=None):
        bottleneck = torchvision.models.resnet.Bottleneck
        return torchvision.models.ResNet(bottleneck, [1, 1, 1, 1], width_per_group=2)

    monkeypatch.setattr(torchvision.models, "resnet50", network)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("FASHIONNB_OFFLINE", "1")
    source = network()
    torch.save(source.state_dict(), tmp_path / "mine.pth")
    opened = load_model(f"resnet50:{tmp_path / 'mine.pth'}")
    assert torch.equal(opened.network.conv1.weight, source.conv1.weight)
    assert not opened.training
    card = opened.card
    assert (card.architecture, card.task, card.size, card.channels) == (
        "resnet50", "embedding", 224, 3,
    )  # fmt: skip
    with pytest.raises(DataNotFound, match=r"FASHIONNB_OFFLINE.*`fusion` for product photos"):
        load_model("resnet50")
    monkeypatch.chdir(tmp_path)
    save(Style2Vec(stem=4, stages=[(8, 2)]), "resnet50")
    assert load_model("resnet50").card.architecture == "style2vec"  # a folder is meant first


def test_committed_checkpoints_say_what_they_take():
    told = {}
    for name in ("style2vec", "siamese", "fusion", "school", "multitask", "outfit-transformer"):
        card = checkpoints.read_card(checkpoints.published(name))
        assert card.task == models.architecture(card.architecture).task
        told[name] = (card.task, card.size, card.channels)
    assert told == {
        "style2vec": ("embedding", 28, 1),
        "siamese": ("embedding", 64, 3),
        "fusion": ("embedding", 64, 3),
        "school": ("classification", 64, 3),
        "multitask": ("attributes", 64, 3),
        "outfit-transformer": ("outfit", None, None),
    }


@pytest.mark.parametrize(("name", "numbers"), [("fusion", 128), ("siamese", 64)])
def test_the_alternatives_are_as_wide_as_is_said(name, numbers):
    assert f"`{name}` for p" in pretrained.ALTERNATIVES
    assert f"{numbers}" in pretrained.ALTERNATIVES
    assert load_model(name)(torch.zeros(1, 3, 64, 64)).shape == (1, numbers)


def test_the_size_of_images(folder, tmp_path):
    _ = load_model(folder)
    card = _.card
    assert image_size(card, folder, 24) == 24
    assert image_size(card.model_copy(update={"size": 28}), folder) == 28
    with pytest.raises(ModelMismatch, match=r"model: its card does not say how large .*size=64"):
        image_size(card, folder)
    with pytest.raises(ModelMismatch, match="style2vec is no model of pictures"):
        image_size(card.model_copy(update={"channels": None}), folder, 24)
