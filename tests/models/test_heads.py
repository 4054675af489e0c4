"""The classifier on top of an encoder: cosines, in float32, that `fit` can train."""

import math

import pytest
import torch
from torch import nn

from fashionnb.checkpoints import fingerprint
from fashionnb.errors import DataError
from fashionnb.models.heads import WithClassifier
from fashionnb.models.style2vec import Style2Vec
from fashionnb.training import Recipe, fit


class Flat(nn.Module):
    """Embeddings that are not of length 1."""

    def __init__(self, dimensions=3):
        super().__init__()
        self.arguments = {"dimensions": dimensions}
        self.linear = nn.Linear(4, dimensions)

    def forward(self, images):
        return self.linear(images.flatten(1))


def images(n=5):
    return torch.rand(n, 1, 2, 2, generator=torch.Generator().manual_seed(0))


def test_a_logit_is_the_scaled_cosine_to_the_classs_direction():
    model = WithClassifier(Flat(), classes=4, scale=7.0)
    z, logits = model(images())
    assert torch.equal(z, model.encoder(images()))
    assert logits.shape == (5, 4)
    for point, row in zip(z.tolist(), logits.tolist(), strict=True):
        for direction, logit in zip(model.directions.tolist(), row, strict=True):
            dot = sum(a * b for a, b in zip(point, direction, strict=True))
            assert logit == pytest.approx(
                7 * dot / math.hypot(*point) / math.hypot(*direction), abs=1e-5
            )


def test_under_autocast_the_logits_keep_all_their_digits():
    model = WithClassifier(Flat(), classes=4)
    with torch.autocast("cpu", torch.bfloat16):
        z, logits = model(images())
    assert z.dtype == torch.bfloat16
    assert logits.dtype == torch.float32
    cosines = nn.functional.cosine_similarity(z.float()[:, None], model.directions[None], dim=2)
    torch.testing.assert_close(
        logits, 16 * cosines, rtol=0, atol=1e-4
    )  # in bfloat16 it would be about 0.05


def test_a_scale_of_16_is_sure_of_ten_classes():
    directions = torch.eye(10)
    model = WithClassifier(Flat(10), 10)
    with torch.no_grad():
        model.directions.copy_(directions)
        model.encoder.forward = lambda _images: directions
    assert model(None)[1].softmax(1).diagonal().min() > 0.999
    model.scale = 1.0
    assert model(None)[1].softmax(1).diagonal().max() < 0.25


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_fit_trains_both_parts_and_the_encoder_stands_alone(tmp_path, precision):
    def batches(_epoch, generator):
        while True:
            labels = torch.randint(2, (16,), generator=generator)
            noise = torch.randint(0, 100, (16, 1, 16, 16), generator=generator)
            yield (noise + 120 * labels[:, None, None, None]).to(torch.uint8), labels

    def loss(model, batch):
        z, logits = model(batch[0])
        assert z.dtype == logits.dtype == torch.float32
        value = nn.functional.cross_entropy(logits, batch[1])
        return value, {"right": (logits.argmax(1) == batch[1]).float().mean()}

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = WithClassifier(Style2Vec(dimensions=4, stem=4, stages=[(8, 2)]), classes=2)
    before = fingerprint(model.encoder), model.directions.clone()
    recipe = Recipe(3, 16, 0.02, precision=precision)
    history = fit(model, batches, loss, recipe, steps_per_epoch=8, folder=tmp_path, progress=False)
    assert history["right"].iloc[-1] > 0.95
    assert fingerprint(model.encoder) != before[0]
    assert not torch.equal(model.directions, before[1])
    assert model.encoder(torch.rand(2, 1, 16, 16)).shape == (2, 4)


@pytest.mark.parametrize(
    ("build", "phrase"),
    [
        (lambda: WithClassifier(nn.Linear(4, 3), 2), "Linear needs `.arguments"),
        (lambda: WithClassifier(Flat(), 1), "2 classes or more"),
        (lambda: WithClassifier(Flat(), 2, scale=0), "scale above 0"),
        (lambda: WithClassifier(Flat(), 2, scale=math.nan), "scale above 0"),
    ],
)
def test_what_it_refuses(build, phrase):
    with pytest.raises(DataError, match=phrase):
        build()
