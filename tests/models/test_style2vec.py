"""Style2Vec: its size, its sphere, what it refuses; and the classifier on top of an encoder."""

import json
import math

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from fashionnb.checkpoints import fingerprint, load_model, save
from fashionnb.errors import DataError
from fashionnb.models.style2vec import Style2Vec, WithClassifier
from fashionnb.training import Recipe, fit

SMALL = {"stem": 8, "stages": ((16, 2), (24, 2), (32, 1))}


def images(n=3, channels=1, height=28, width=28):
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(0))


def test_it_is_as_small_as_the_book_says():
    assert sum(parameter.numel() for parameter in Style2Vec().parameters()) == 491_168


def test_the_default_network_has_the_names_it_always_had():
    parts = ("shortcut", "residual.0", "residual.2")
    convolutions = ["stem.0", *(f"stages.{block}.{part}" for block in range(3) for part in parts)]
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    expected = {"mean", "std", "head.weight", "head.bias"}
    expected |= {f"{name}.0.weight" for name in convolutions}
    expected |= {f"{name}.1.{part}" for name in convolutions for part in norm}
    assert set(Style2Vec().state_dict()) == expected


@pytest.mark.parametrize("size", [(16, 16), (28, 28), (17, 33), (64, 64), (80, 60)])
@pytest.mark.parametrize("channels", [1, 3])
def test_embeddings_have_length_one_at_any_size(size, channels):
    model = Style2Vec(dimensions=20, channels=channels, **SMALL)
    z = model(images(4, channels, *size))
    assert z.shape == (4, 20)
    assert z.dtype == torch.float32
    torch.testing.assert_close(z.norm(dim=1), torch.ones(4))
    assert model.features(images(4, channels, *size)).shape == (4, 32)


def test_no_images_give_no_embeddings():
    assert Style2Vec(**SMALL).eval()(images(0)).shape == (0, 128)


def test_in_eval_mode_an_image_does_not_depend_on_its_batch():
    model = Style2Vec(**SMALL).eval()
    batch = images(6)
    torch.testing.assert_close(model(batch)[2:3], model(batch[2:3]), rtol=1e-4, atol=1e-5)


def test_it_normalises_inside():
    model = Style2Vec(channels=3, **SMALL, mean=(0.1, 0.2, 0.3), std=0.5).eval()
    plain = Style2Vec(channels=3, **SMALL, mean=0.0, std=1.0).eval()
    plain.load_state_dict(model.state_dict() | {"mean": plain.mean, "std": plain.std})
    x = images(2, 3)
    by_hand = (x - torch.tensor([0.1, 0.2, 0.3]).reshape(1, 3, 1, 1)) / 0.5
    torch.testing.assert_close(model(x), plain(by_hand), rtol=1e-4, atol=1e-5)


def test_every_parameter_is_trained():
    model = Style2Vec(**SMALL)
    (model(images()) * torch.linspace(-1, 1, 128)).sum().backward()
    silent = [
        name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]
    assert silent == []


def test_its_arguments_build_it_again(tmp_path):
    model = Style2Vec(
        dimensions=7,
        channels=3,
        stem=8,
        stages=((8, 1), (8, 1), (12, 2)),
        mirror=True,
        mean=[0.5, 0.4, 0.3],
    )
    back = load_model(save(model, tmp_path))
    card = back.card
    assert card.arguments == json.loads(json.dumps(model.arguments)) == back.arguments
    assert card.arguments["stages"] == [[8, 1], [8, 1], [12, 2]]
    assert torch.equal(back(images(channels=3)), model.eval()(images(channels=3)))


@pytest.mark.parametrize(
    ("stages", "smallest"),
    [([(6, 1)], 4), ([(8, 2), (8, 1), (8, 1)], 8), ([(8, 2), (8, 2), (8, 2), (9, 1)], 32)],
)
def test_other_stages(stages, smallest):
    model = Style2Vec(dimensions=5, stem=6, stages=stages)
    assert model.smallest == smallest
    x = images(3, 1, smallest, smallest + 3)
    assert model.features(x).shape == (3, stages[-1][0])
    torch.testing.assert_close(model(x).norm(dim=1), torch.ones(3))
    with pytest.raises(DataError, match=f"at least {smallest} x {smallest}"):
        model(images(3, 1, smallest - 1, smallest))


def test_a_stem_that_keeps_the_size_leaves_the_stages_four_times_as_much_to_look_at():
    whole, half = (
        Style2Vec(stem=8, stem_stride=stride, stages=[(16, 2)]).eval() for stride in (1, 2)
    )
    assert whole.stem(images(1)).shape == (1, 8, 28, 28)
    assert half.stem(images(1)).shape == (1, 8, 14, 14)
    assert (whole.smallest, half.smallest) == (4, 8)


def test_a_block_that_keeps_its_shape_hands_its_input_on():
    block = Style2Vec(stem=6, stages=[(6, 1)]).stages[0]
    for parameter in block.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.rand(2, 6, 5, 5)
    assert torch.equal(block(x), x)
    shortcuts = [
        type(block.shortcut).__name__
        for block in Style2Vec(stem=6, stages=[(6, 2), (6, 1), (8, 1)]).stages
    ]
    assert shortcuts == ["Sequential", "Identity", "Sequential"]


def test_mirrored_pictures_have_the_same_embedding_if_asked_for():
    model, x = Style2Vec(**SMALL, mirror=True), images()
    plain = Style2Vec(**SMALL)
    plain.load_state_dict(model.state_dict())
    assert torch.equal(model(x), plain(x))  # in training each picture is by itself
    plain.load_state_dict(model.state_dict())
    model.eval(), plain.eval()
    torch.testing.assert_close(model(x), normalize(plain(x) + plain(x.flip(3))))
    torch.testing.assert_close(model(x), model(x.flip(3)))
    assert (plain(x) - plain(x.flip(3))).norm(dim=1).min() > 1e-3


@pytest.mark.parametrize("mirror", [False, True])
def test_lengths_are_exact_in_half_precision(mirror):
    model = Style2Vec(**SMALL, mirror=mirror).eval()
    with torch.autocast("cpu", torch.bfloat16):
        assert model.features(images()).dtype == torch.bfloat16
        z = model(images())
    assert z.dtype == torch.float32
    torch.testing.assert_close(z.norm(dim=1), torch.ones(3), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "phrase"),
    [
        (images(channels=3), r"\(n, 1, height, width\), got torch.float32 \(3, 3, 28, 28\)"),
        (images(height=15), "at least 16 x 16"),
        (images()[0], r"got torch.float32 \(1, 28, 28\)"),
        ((images() * 255).to(torch.uint8), "got torch.uint8.*as_input"),
    ],
)
def test_what_it_refuses(wrong, phrase):
    with pytest.raises(DataError, match=phrase):
        Style2Vec(**SMALL)(wrong)


class Flat(nn.Module):
    """Embeddings that are not of length 1."""

    def __init__(self, dimensions=3):
        super().__init__()
        self.arguments = {"dimensions": dimensions}
        self.linear = nn.Linear(4, dimensions)

    def forward(self, images):
        return self.linear(images.flatten(1))


def test_a_logit_is_the_scaled_cosine_to_the_classs_direction():
    model = WithClassifier(Flat(), classes=4, scale=7.0)
    z, logits = model(images(5, 1, 2, 2))
    assert torch.equal(z, model.encoder(images(5, 1, 2, 2)))
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
        z, logits = model(images(5, 1, 2, 2))
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
