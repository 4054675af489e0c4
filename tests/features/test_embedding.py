"""Images to vectors: the same whatever the batches, the model left as it was, and a cache that is never wrong."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fashionnb.errors import DataError
from fashionnb.features.embedding import as_tensor, embed
from fashionnb.features.store import PROBE
from fashionnb.models.style2vec import Style2Vec


class Mean(nn.Module):
    """Each channel's mean, times a weight; counts the images that it is shown."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.norm = nn.BatchNorm2d(1).eval()  # frozen
        self.shown = 0

    def forward(self, images):
        assert not self.training
        assert images.dtype == torch.float32
        self.shown += len(images)
        return images.mean((2, 3)) * self.weight


def pictures(n=10, channels=1):
    return torch.randint(
        0, 256, (n, channels, 5, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(n)
    )


@given(st.integers(0, 9), st.integers(1, 12))
def test_batches_make_no_difference(n, batch_size):
    images = pictures(n, channels=3)
    expected = np.array(
        [[channel.mean() / 255 for channel in image] for image in images.numpy()]
    ).reshape(n, 3)
    vectors = embed(Mean(), images, batch_size=batch_size)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, rtol=1e-5)


def test_all_ways_to_hold_images_are_the_same():
    tensor = pictures(channels=3)
    array = tensor.permute(0, 2, 3, 1).numpy()
    expected = embed(Mean(), tensor)
    for images in (array, array.astype(np.float32) / 255, array / 255.0, tensor.float() / 255):
        np.testing.assert_allclose(embed(Mean(), images), expected, rtol=1e-5)
    grey = pictures()
    np.testing.assert_array_equal(embed(Mean(), grey.numpy()[:, 0]), embed(Mean(), grey))


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(training):
    model = Mean().train(training)
    model.norm.eval()
    embed(model, pictures())
    assert model.training is training
    assert not model.norm.training
    with pytest.raises(DataError):
        embed(Style2Vec(stem=4, stages=[(8, 2), (8, 2)]).train(training), pictures())
    assert model.weight.grad is None


def test_the_mode_is_restored_after_an_error():
    model = Style2Vec(stem=4, stages=[(8, 2), (8, 2)]).train()
    with pytest.raises(DataError, match="at least 16 x 16"):
        embed(model, pictures())
    assert all(module.training for module in model.modules())


def test_the_cache_spares_the_work(tmp_path):
    model = Mean()
    first = embed(model, pictures(), cache=tmp_path)
    model.shown = 0
    np.testing.assert_array_equal(embed(model, pictures(), cache=tmp_path), first)
    assert model.shown == 4  # the probe
    assert len(list(tmp_path.iterdir())) == 1


def test_the_cache_notices_other_weights_images_and_code(tmp_path, monkeypatch):
    model, images = Mean(), pictures()
    plain = embed(model, images, cache=tmp_path)
    with torch.no_grad():
        model.weight += 1
    np.testing.assert_allclose(embed(model, images, cache=tmp_path), 2 * plain, rtol=1e-6)
    np.testing.assert_allclose(embed(model, images // 2, cache=tmp_path), embed(model, images // 2))
    forward = Mean.forward
    monkeypatch.setattr(Mean, "forward", lambda self, images: 3 * forward(self, images))
    np.testing.assert_allclose(embed(model, images, cache=tmp_path), 6 * plain, rtol=1e-6)


@pytest.mark.parametrize(
    "spoil", [lambda content: content[:-20], lambda content: b"", lambda content: b"x" * 99]
)
def test_a_broken_cache_is_computed_again(tmp_path, spoil):
    first = embed(Mean(), pictures(), cache=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(spoil(file.read_bytes()))
    np.testing.assert_array_equal(embed(Mean(), pictures(), cache=tmp_path), first)
    again = Mean()
    np.testing.assert_array_equal(embed(again, pictures(), cache=tmp_path), first)
    assert again.shown == PROBE, "the file is whole again"


def test_nan_from_the_model_is_not_taken_for_a_good_cache(tmp_path):
    model = Mean()
    with torch.no_grad():
        model.weight *= float("nan")
    embed(model, pictures(), cache=tmp_path)
    model.shown = 0
    embed(model, pictures(), cache=tmp_path)
    assert model.shown == len(pictures())


@pytest.mark.parametrize(
    ("images", "phrase"),
    [
        (np.zeros((3, 4)), r"\(n, height, width\[, channels\]\), got \(3, 4\)"),
        (torch.zeros(3, 4, 4), r"\(n, channels, height, width\), got"),
        (
            torch.full((1, 1, 4, 4), 200.0),
            r"lie in \[0, 1\], these go from 200 to 200.*Divide by 255",
        ),
        (torch.full((1, 1, 4, 4), float("nan")), "these go from nan"),
        (np.zeros((1, 4, 4), dtype=np.int32), "got torch.int32"),
    ],
)
def test_what_is_no_image(images, phrase):
    with pytest.raises(DataError, match=phrase):
        as_tensor(images)


@pytest.mark.filterwarnings("error")
def test_an_array_that_may_not_be_written_is_fine():
    array = np.zeros((2, 4, 4), dtype=np.uint8)
    array.flags.writeable = False
    assert as_tensor(array).shape == (2, 1, 4, 4)
