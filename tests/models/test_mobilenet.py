"""fashionnb.models.mobilenet: shapes, sizes as the docstrings state them, transfer, and what is refused."""

import pytest
import torch
from torch.nn.functional import normalize

from fashionnb import checkpoints
from fashionnb.errors import DataError, ModelMismatch
from fashionnb.models.mobilenet import (
    BACKBONES,
    DenseBackbone,
    InvertedResidual,
    MobileNetBackbone,
    MobileNetClassifier,
    SiameseEncoder,
    transfer,
)
from fashionnb.models.style2vec import Style2Vec

KINDS = list(BACKBONES)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def photos(n=3, size=64, seed=0):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def test_parameter_counts_are_those_of_the_docstrings():
    assert (count(MobileNetBackbone()), count(DenseBackbone())) == (427_784, 419_992)
    assert (count(MobileNetClassifier()), count(MobileNetClassifier(backbone="dense"))) == (
        428_434,
        420_642,
    )
    for classifier in (MobileNetClassifier(), MobileNetClassifier(backbone="dense")):
        assert count(classifier) <= 430_000
    assert abs(count(MobileNetClassifier()) / 429_000 - 1) < 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_backbones_make_maps(kind):
    backbone = BACKBONES[kind]()
    assert backbone(photos(2)).shape == (2, 64, 4, 4)
    assert backbone(photos(2, 96)).shape == (2, 64, 6, 6)


def test_inverted_residual_adds_its_input_only_where_the_shapes_agree():
    x = photos(2, 8).repeat(1, 2, 1, 1)
    same, other = InvertedResidual(6, 6).eval(), InvertedResidual(6, 8, stride=2).eval()
    assert torch.allclose(same(x) - x, same.blocks(x), atol=1e-6)
    assert torch.equal(other(x), other.blocks(x))
    assert other(x).shape == (2, 8, 4, 4)
    depthwise = same.blocks[2][0]
    assert depthwise.groups == depthwise.in_channels == 36


@pytest.mark.parametrize("kind", KINDS)
def test_classifier_and_encoder(kind):
    torch.manual_seed(0)
    classifier, encoder = MobileNetClassifier(7, kind).eval(), SiameseEncoder(16, kind).eval()
    assert classifier(photos()).shape == (3, 7)
    z = encoder(photos())
    assert z.shape == (3, 16)
    assert torch.allclose(z.norm(dim=1), torch.ones(3), atol=1e-5)
    # One photo gives the same alone and among others.
    assert torch.allclose(encoder(photos()[:1]), z[:1], atol=1e-5)


def test_with_mirror_a_photo_and_its_mirror_image_are_one():
    torch.manual_seed(0)
    x = photos()
    for model in (
        MobileNetClassifier(5, "dense", mirror=True),
        SiameseEncoder(8, "dense", mirror=True),
    ):
        model.eval()
        assert torch.allclose(model(x), model(x.flip(3)), atol=1e-5)
    classifier = MobileNetClassifier(5, "dense", mirror=True).eval()
    single = MobileNetClassifier(5, "dense").eval()
    single.load_state_dict(classifier.state_dict())
    wanted = (single(x).softmax(1) + single(x.flip(3)).softmax(1)) / 2
    assert torch.allclose(classifier(x).softmax(1), wanted, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_transfer_copies_the_backbone_and_its_normalisation(kind):
    trained = MobileNetClassifier(4, kind, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)).eval()
    encoder = SiameseEncoder(8, kind).eval()
    head = encoder.head.weight.clone()
    transfer(trained, encoder)
    assert torch.equal(trained.features(photos()), encoder.features(photos()))
    assert torch.equal(encoder.head.weight, head)
    assert encoder.arguments["mean"] == [0.1, 0.2, 0.3]
    with torch.no_grad():  # a copy: what is trained on does not change where it came from
        next(encoder.backbone.parameters()).add_(1)
    assert not torch.equal(trained.features(photos()), encoder.features(photos()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (MobileNetClassifier(4, "dense"), SiameseEncoder(8, "inverted")),
        (Style2Vec(channels=3), SiameseEncoder(8, "dense")),
    ],
)
def test_transfer_between_kinds_is_refused(one, other):
    with pytest.raises(ModelMismatch, match="of its own kind"):
        transfer(one, other)


@pytest.mark.parametrize("model", [MobileNetClassifier(3, "dense"), SiameseEncoder(8, "dense")])
@pytest.mark.parametrize(
    ("images", "phrase"),
    [
        (torch.rand(2, 1, 64, 64), r"takes images .*\(n, 3, height, width\)"),
        (torch.rand(3, 64, 64), "got"),
        (torch.rand(2, 3, 31, 64), "at least 32 x 32"),
        (torch.zeros(2, 3, 64, 64, dtype=torch.uint8), "as_input"),
    ],
)
def test_wrong_images_are_refused(model, images, phrase):
    with pytest.raises(DataError, match=phrase):
        model(images)


@pytest.mark.parametrize(
    ("make", "phrase"),
    [
        (lambda: MobileNetClassifier(3, "round"), "no backbone 'round'; there are inverted, dense"),
    ],
)
def test_wrong_arguments_are_refused(make, phrase):
    with pytest.raises(DataError, match=phrase):
        make()


@pytest.mark.parametrize("model", [MobileNetClassifier(3, "dense", mirror=True), SiameseEncoder(8)])
def test_checkpoints_build_them_again(model, tmp_path):
    again = checkpoints.load_model(checkpoints.save(model.eval(), tmp_path / "model"))
    assert torch.equal(model(photos()), again(photos()))


def test_gradients_reach_every_parameter():
    for kind in KINDS:
        encoder = SiameseEncoder(8, kind)
        z = encoder(photos(4))
        (z - normalize(torch.ones_like(z))).square().sum().backward()
        assert all(
            parameter.grad is not None and parameter.grad.isfinite().all()
            for parameter in encoder.parameters()
        )
