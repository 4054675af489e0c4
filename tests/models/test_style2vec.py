"""Style2Vec: its size, its sphere, what it refuses."""

import pytest
import torch

from fashionnb.errors import DataError
from fashionnb.models.style2vec import Style2Vec


def images(n=3, channels=1, height=28, width=28):
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(0))


def test_it_is_as_small_as_the_book_says():
    assert sum(parameter.numel() for parameter in Style2Vec().parameters()) == 491_168


@pytest.mark.parametrize("size", [(16, 16), (28, 28), (17, 33), (64, 64), (80, 60)])
@pytest.mark.parametrize("channels", [1, 3])
def test_embeddings_have_length_one_at_any_size(size, channels):
    model = Style2Vec(dimensions=20, channels=channels, width=8)
    z = model(images(4, channels, *size))
    assert z.shape == (4, 20)
    assert z.dtype == torch.float32
    torch.testing.assert_close(z.norm(dim=1), torch.ones(4))
    assert model.features(images(4, channels, *size)).shape == (4, 32)


def test_no_images_give_no_embeddings():
    assert Style2Vec(width=8).eval()(images(0)).shape == (0, 128)


def test_in_eval_mode_an_image_does_not_depend_on_its_batch():
    model = Style2Vec(width=8).eval()
    batch = images(6)
    torch.testing.assert_close(model(batch)[2:3], model(batch[2:3]), rtol=1e-4, atol=1e-5)


def test_it_normalises_inside():
    model = Style2Vec(width=8, channels=3, mean=(0.1, 0.2, 0.3), std=0.5).eval()
    plain = Style2Vec(width=8, channels=3, mean=0.0, std=1.0).eval()
    plain.load_state_dict(model.state_dict() | {"mean": plain.mean, "std": plain.std})
    x = images(2, 3)
    by_hand = (x - torch.tensor([0.1, 0.2, 0.3]).reshape(1, 3, 1, 1)) / 0.5
    torch.testing.assert_close(model(x), plain(by_hand), rtol=1e-4, atol=1e-5)


def test_every_parameter_is_trained():
    model = Style2Vec(width=8)
    (model(images()) * torch.linspace(-1, 1, 128)).sum().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


def test_its_arguments_build_it_again():
    model = Style2Vec(dimensions=7, channels=3, width=4, mean=[0.5, 0.4, 0.3], std=0.2)
    Style2Vec(**model.arguments).load_state_dict(model.state_dict())


@pytest.mark.parametrize(
    ("wrong", "phrase"),
    [
        (images(channels=3), r"\(n, 1, height, width\).*got \(3, 3, 28, 28\)"),
        (images(height=15), "at least 16 x 16"),
        (images()[0], r"got \(1, 28, 28\)"),
        ((images() * 255).to(torch.uint8), r"float32 in \[0, 1\], got torch.uint8"),
    ],
)
def test_what_it_refuses(wrong, phrase):
    with pytest.raises(DataError, match=phrase):
        Style2Vec(width=4)(wrong)
