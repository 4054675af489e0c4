"""fashionnb.models.multi_stage_encoder: backbone stages and colours in one embedding."""

import pytest
import torch

from fashionnb.checkpoints import load_model, save
from fashionnb.errors import DataError
from fashionnb.models.fusion import AttributeHeads, Fusion
from fashionnb.models.mobilenet import MobileNetClassifier, transfer
from fashionnb.models.multi_stage_encoder import MultiStageEncoder


def encoder(**more):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MultiStageEncoder(dimensions=8, hidden=12, **more).eval()


def photos(n=5, size=40):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(1))


def test_features_once_or_photos_each_time_are_the_same():
    model = encoder()
    features = model.features(photos())
    assert features.shape == (5, model.width)
    torch.testing.assert_close(model(features), model(photos()))
    torch.testing.assert_close(model(photos()).norm(dim=1), torch.ones(5))


@pytest.mark.parametrize("backbone", ["dense", "inverted"])
def test_stages_are_averaged_and_the_tiny_picture_comes_last(backbone):
    model = encoder(backbone=backbone)
    grey = torch.full((1, 3, 64, 64), 0.5)
    features = model.features(grey)[0]
    torch.testing.assert_close(features[-192:], torch.full((192,), 0.5))
    x = (grey - model.mean) / model.std
    for block in model.backbone:
        x = block(x)
    last = features[: -192 - 216][-x.shape[1] :]
    torch.testing.assert_close(last, x.mean((2, 3))[0])


def test_colours_count_what_is_there():
    image = torch.zeros(1, 3, 32, 32)
    image[0, :, :16, :16] = 1.0  # one quarter white, one red, two black
    image[0, 0, 16:, 16:] = 1.0
    tiny = 3 * 8 * 8  # features of the tiny copy, which are the last
    found = encoder().features(image)[0, -tiny - 216 : -tiny]
    want = {0: 0.5, 215: 0.25, 36 * 5: 0.25}
    for number, share in enumerate(found.square().tolist()):
        assert share == pytest.approx(want.get(number, 0))


def test_standardised_features_are_centred():
    model, features = (
        encoder(),
        torch.randn(50, encoder().width, generator=torch.Generator().manual_seed(2)) * 7 + 3,
    )
    model.standardise(features)
    plain = (features - model.centre) / model.spread
    torch.testing.assert_close(plain.mean(0), torch.zeros(model.width), atol=1e-5, rtol=0)
    torch.testing.assert_close(plain.std(0), torch.ones(model.width), atol=1e-3, rtol=0)


def test_it_takes_the_backbone_of_a_classifier():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        trained, model = MobileNetClassifier(4, "dense", mean=(0.1, 0.2, 0.3)), encoder()
    transfer(trained, model)
    assert torch.equal(model.backbone[0][0].weight, trained.backbone[0][0].weight)
    assert model.arguments["mean"] == trained.arguments["mean"]


@pytest.mark.parametrize(
    "model",
    [
        AttributeHeads((3, 4), MultiStageEncoder(8, hidden=12)),
        Fusion((3, 4), MultiStageEncoder(8, hidden=12), 6),
    ],
)
def test_saved_within_another_model_it_comes_back(model, tmp_path):
    model.encoder.standardise(torch.rand(9, model.encoder.width))
    back = load_model(save(model, tmp_path))
    again, before = back(photos()), model.eval()(photos())
    assert all(torch.equal(a, b) for a, b in zip(again, before, strict=True))
    assert getattr(back, "channels", 3) == 3


@pytest.mark.parametrize(
    ("given", "phrase"),
    [
        (torch.rand(2, 1, 40, 40), r"float \(n, 3, height, width\)"),
        (torch.rand(2, 3, 20, 40), "at least 32 x 32"),
        (torch.zeros(2, 3, 40, 40, dtype=torch.uint8), "as_input"),
        (torch.rand(2, 10), r"Features of photos: expected float \(n, \d+\)"),
    ],
)
def test_what_does_not_fit_is_refused(given, phrase):
    with pytest.raises(DataError, match=phrase):
        encoder()(given)
    with pytest.raises(DataError, match="no backbone 'eagle'"):
        MultiStageEncoder(backbone="eagle")
