"""fashionnb.augment.photos against what its functions promise."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionnb.augment import photos as module
from fashionnb.augment.photos import light, mix, on_backdrops, warp
from fashionnb.errors import DataError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def photos(n=4, size=12, seed=0):
    return torch.rand(n, 3, size, size, generator=seeded(seed))


AUGMENT = {
    "warp": lambda x, g: warp(x, x.shape[2], g),
    "light": lambda x, g: light(x, g),
    "backdrops": lambda x, g: on_backdrops(x, x[:, 0] > 0.5, photos(3, 9, seed=9), g),
    "mix": lambda x, g: mix(x, g)[0],
}


@pytest.mark.parametrize("name", AUGMENT)
@given(n=st.integers(1, 5), size=st.integers(6, 16), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_shape_range_and_the_given_pictures_are_kept(name, n, size, seed):
    before = photos(n, size, seed)
    given_ = before.clone()
    after = AUGMENT[name](given_, seeded(seed))
    assert torch.equal(given_, before)
    assert (after.shape, after.dtype) == (before.shape, torch.float32)
    assert after.min() >= -1e-5
    assert after.max() <= 1 + 1e-5


@pytest.mark.parametrize("name", AUGMENT)
def test_only_the_generator_is_random(name):
    images = photos(20)
    torch.manual_seed(1)
    one = AUGMENT[name](images, seeded(5))
    torch.manual_seed(2)
    assert torch.equal(one, AUGMENT[name](images, seeded(5)))
    assert not torch.equal(one, AUGMENT[name](images, seeded(6)))


@pytest.mark.parametrize("name", AUGMENT)
def test_wrong_images_are_refused(name):
    for wrong in (photos().mul(255).byte(), photos().double()):
        with pytest.raises(DataError, match="as_input"):
            AUGMENT[name](wrong, seeded())
    with pytest.raises(DataError, match="as_input"):
        light(photos()[0], seeded())


@pytest.fixture
def unstretched(monkeypatch):
    monkeypatch.setattr(module, "STRETCH", 1)


def test_warp_without_any_change_gives_the_picture_or_its_mirror_image(unstretched):
    x = photos(200, 8)
    half = warp(x, 8, seeded(), zoom=(1, 1), turn=0)
    kept = (half - x).abs().amax((1, 2, 3)) < 1e-4
    assert 60 < kept.sum() < 140
    assert torch.allclose(half[kept], x[kept], atol=1e-5)
    assert torch.allclose(half[~kept], x[~kept].flip(3), atol=1e-5)


def test_warp_keeps_its_window_inside_the_picture_and_fills_what_lies_beyond(unstretched):
    black = torch.zeros(100, 3, 16, 16)
    inside = warp(black, 10, seeded(), zoom=(0.3, 0.9), turn=0)
    assert inside.shape == (100, 3, 10, 10)
    assert inside[:, :, 1:-1, 1:-1].max() < 1e-5
    beyond = warp(black, 16, seeded(), zoom=(2, 2), turn=0)
    filled = (beyond - 1).abs().amax(1) < 1e-5
    assert torch.allclose(filled.float().mean((1, 2)), torch.tensor(0.75), atol=0.13)


def test_warp_zooms_by_as_much_as_it_says(unstretched):
    ramp = (
        torch.linspace(0, 1, 33).expand(1, 3, 33, 33).contiguous()
    )  # grows by 1 / 32 from pixel to pixel
    closer = warp(ramp.repeat(50, 1, 1, 1), 33, seeded(), zoom=(0.5, 0.5), turn=0)
    steps = closer[:, 0, 16].diff(dim=1)[:, 8:-8].abs()  # falling where it is mirrored
    assert torch.allclose(steps, torch.full_like(steps, 0.5 / 32), atol=2e-4)


@given(st.floats(-0.5, 1), st.floats(0, 1), st.integers(-1, 4))
@settings(deadline=None)
def test_warp_refuses_nonsense(least, most, size):
    if 0 < least <= most and size >= 1:
        assert warp(photos(1), size, seeded(), zoom=(least, most)).shape == (1, 3, size, size)
    else:
        with pytest.raises(DataError, match="zoom is"):
            warp(photos(1), size, seeded(), zoom=(least, most))


def test_light_keeps_grey_grey_and_changes_brightness_within_its_strength(monkeypatch):
    grey = torch.full((300, 3, 4, 4), 0.5)
    lit = light(grey, seeded())
    assert torch.allclose(lit, lit[:, :1].expand_as(lit), atol=1e-6)
    assert 0.34 < lit.min() < 0.38
    assert 0.62 < lit.max() < 0.66
    with pytest.raises(DataError, match="RGB"):
        light(grey[:, :1], seeded())
    monkeypatch.setattr(module, "STRENGTH", 0)
    assert torch.allclose(light(photos(), seeded()), photos(), atol=1e-6)


def test_backdrops_leave_the_garment_and_come_from_the_corners():
    garment = torch.full((400, 3, 6, 6), 0.9)
    foreground = torch.zeros(400, 6, 6, dtype=torch.bool)
    foreground[:, 2:4, 2:4] = True
    other = torch.zeros(2, 3, 9, 9)  # black, except for a white middle, which must never be seen
    other[:, :, 3:6, 3:6] = 1
    placed = on_backdrops(garment, foreground, other, seeded(), share=0.25)
    assert torch.equal(placed[:, :, 2:4, 2:4], garment[:, :, 2:4, 2:4])
    outside = placed[:, 0][~foreground].view(400, -1)
    changed = (outside == 0).all(1)
    assert ((outside == 0.9).all(1) | changed).all()
    assert 70 < changed.sum() < 130


@pytest.mark.parametrize(
    ("foreground", "backdrops", "share"),
    [
        (torch.ones(4, 12, 11, dtype=torch.bool), photos(), 0.5),
        (torch.ones(4, 12, 12, dtype=torch.bool), photos()[:0], 0.5),
        (torch.ones(4, 12, 12, dtype=torch.bool), photos(), 1.5),
    ],
)
def test_backdrops_refuse_what_does_not_fit(foreground, backdrops, share):
    with pytest.raises(DataError, match="foreground"):
        on_backdrops(photos(), foreground, backdrops, seeded(), share)


def test_mix_is_a_blend_with_a_partner():
    x = photos(50, 5)
    mixed, partner, share = mix(x, seeded(), alpha=0.7)
    assert sorted(partner.tolist()) == list(range(50))
    assert share.min() >= 0.5
    assert share.max() <= 1
    for i in range(50):
        assert torch.allclose(mixed[i], share[i] * x[i] + (1 - share[i]) * x[partner[i]], atol=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_mix_draws_its_shares_from_the_beta_distribution(alpha):
    """The larger of B and 1 - B has the mean 1/2 + E|B - 1/2|, here found with scipy's quantiles."""
    import numpy as np
    from scipy.stats import beta

    share = mix(torch.zeros(20_000, 1, 1, 1), seeded(), alpha=alpha)[2]
    quantiles = beta(alpha, alpha).ppf((np.arange(100_000) + 0.5) / 100_000)
    assert abs(share.mean().item() - np.maximum(quantiles, 1 - quantiles).mean()) < 0.005
    with pytest.raises(DataError, match="alpha"):
        mix(photos(), seeded(), alpha=0)
