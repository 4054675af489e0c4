"""fashionnb.augment against what its functions promise: pixels that move, then colour photos."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionnb import augment as module
from fashionnb.augment import erase, light, mirror, mix, on_backdrops, shift, warp
from fashionnb.errors import DataError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(n=6, channels=1, height=7, width=5, dtype=torch.uint8, seed=0):
    """Pictures whose pixels are all different from 0, so that what was filled can be told."""
    whole = torch.randint(
        1, 256, (n, channels, height, width), generator=seeded(seed), dtype=torch.uint8
    )
    return whole if dtype == torch.uint8 else whole / 255


def holes(before, after):
    """Where the pictures differ, (n, h, w) bool, any channel."""
    return (before != after).any(1)


def box(hole):
    """Top, left, height and width of the smallest box around the True of (h, w)."""
    y, x = hole.nonzero(as_tuple=True)
    return int(y.min()), int(x.min()), int(y.max() - y.min()) + 1, int(x.max() - x.min()) + 1


KINDS = [torch.uint8, torch.float32]
AUGMENT = {
    "mirror": lambda x, g: mirror(x, g),
    "shift": lambda x, g: shift(x, 2, g),
    "erase": lambda x, g: erase(x, g),
}


@pytest.mark.parametrize("name", AUGMENT)
@given(
    st.sampled_from(KINDS),
    st.integers(0, 4),
    st.integers(1, 3),
    st.integers(3, 8),
    st.integers(3, 8),
)
@settings(deadline=None, max_examples=30)
def test_shape_dtype_and_the_given_pictures_are_kept(name, dtype, n, channels, height, width):
    before = pictures(n, channels, height, width, dtype)
    given_ = before.clone()
    after = AUGMENT[name](given_, seeded())
    assert torch.equal(given_, before)
    assert (after.shape, after.dtype) == (before.shape, dtype)
    assert n == 0 or after.data_ptr() != given_.data_ptr()


@pytest.mark.parametrize("name", AUGMENT)
def test_only_the_generator_is_random(name):
    images = pictures(50)
    torch.manual_seed(1)
    one = AUGMENT[name](images, seeded(5))
    state = torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(AUGMENT[name](images, seeded(5)), one)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(AUGMENT[name](images, seeded(6)), one)


@pytest.mark.parametrize("dtype", KINDS)
def test_mirror_swaps_left_and_right_in_half(dtype):
    before = pictures(1_500, 3, 2, 4, dtype)
    after = mirror(before, seeded())
    swapped = 0
    for old, new in zip(before.tolist(), after.tolist(), strict=True):
        turned = [[row[::-1] for row in channel] for channel in old]
        assert new in (old, turned)
        swapped += new == turned
    # Binomial(1500, 0.5): five deviations.
    assert abs(swapped - 750) <= 5 * math.sqrt(1_500 / 4)


@given(st.integers(0, 3), st.integers(1, 3), st.sampled_from(KINDS), st.integers(0, 2**31))
@settings(deadline=None)
def test_shift_moves_each_picture_by_whole_pixels(pixels, channels, dtype, seed):
    before = pictures(3, channels, 5, 4, dtype, seed)
    for old, new in zip(before.tolist(), shift(before, pixels, seeded(seed)).tolist(), strict=True):
        assert any(new == moved(old, dy, dx) for dy in span(pixels) for dx in span(pixels))


def span(pixels):
    return range(-pixels, pixels + 1)


def moved(picture, dy, dx):
    """From the definition: the pixel at (y, x) comes from (y + dy, x + dx), or is black."""
    height, width = len(picture[0]), len(picture[0][0])
    return [
        [
            [
                channel[y + dy][x + dx] if 0 <= y + dy < height and 0 <= x + dx < width else 0
                for x in range(width)
            ]
            for y in range(height)
        ]
        for channel in picture
    ]  # fmt: skip


def test_all_moves_are_equally_likely():
    before = pictures(1).expand(9_000, -1, -1, -1)
    counts = shift(before, 1, seeded()).flatten(1).unique(dim=0, return_counts=True)[1]
    assert len(counts) == 9
    # Binomial(9000, 1/9): five deviations are 149.
    assert counts.sub(1_000).abs().max() < 149


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("share", [0, 0.3, 1])
def test_erase_takes_one_rectangle_of_the_area_in_a_share(dtype, share):
    before = pictures(1_000, 3, 28, 20, dtype)
    changed = holes(before, erase(before, seeded(), share, (0.05, 0.2)))
    erased = changed.flatten(1).any(1)
    assert abs(int(erased.sum()) - 1_000 * share) <= 5 * math.sqrt(1_000 * share * (1 - share))
    if share:  # uniform: five deviations of the mean are 5 × 24.2 / √300 at most
        assert changed[erased].sum((1, 2)).float().mean().item() == pytest.approx(
            0.125 * 28 * 20, abs=7
        )
    for hole in changed[erased]:
        top, left, tall, wide = box(hole)
        assert hole[top : top + tall, left : left + wide].all()
        assert hole.sum() == tall * wide
        # The sides are rounded, each by half a pixel at most.
        assert (tall - 0.5) * (wide - 0.5) <= 0.2 * 28 * 20
        assert (tall + 0.5) * (wide + 0.5) >= 0.05 * 28 * 20 or wide == 20 or tall == 28


def test_erased_rectangles_are_anywhere_tall_and_wide():
    before = pictures(3_000, 3, 28, 28)
    changed = holes(before, erase(before, seeded(), 1))
    often = changed.float().mean(0)
    assert often.min() > 0  # the corners too
    assert (often - often.flip(0)).abs().max() < 0.06
    assert (often - often.T).abs().max() < 0.06
    stretch = changed.any(2).sum(1) / changed.any(1).sum(1)
    assert stretch.max() > 2.5
    assert stretch.min() < 1 / 2.5
    assert stretch.log().mean().abs() < 0.1


@pytest.mark.parametrize("dtype", KINDS)
def test_erase_can_take_the_whole_picture(dtype):
    before = pictures(300, 3, 6, 6, dtype)
    changed = holes(before, erase(before, seeded(), 1, (1.0, 1.0)))
    assert changed.flatten(1).all(1).any()
    assert (changed.any(1).all(1) | changed.any(2).all(1)).all(), (
        "one side is always cut to the picture's"
    )


@pytest.mark.parametrize("dtype", KINDS)
def test_noise_is_noise(dtype):
    flat = torch.zeros(400, 1, 20, 20, dtype=dtype)
    after = erase(flat, seeded(), 1, (0.3, 0.3))
    highest = 255 if dtype == torch.uint8 else 1
    noise = after[after != 0].double() / highest
    assert noise.min() < 0.05
    assert noise.max() > 0.95
    assert noise.mean().item() == pytest.approx(0.5, abs=0.1)
    assert len(noise.unique()) > 100
    again = erase(flat, seeded(1), 1, (0.3, 0.3))
    assert set(after.unique().tolist()) != set(again.unique().tolist())


@pytest.mark.parametrize(
    ("augment", "phrase"),
    [
        (lambda x, g: mirror(x.double(), g), "uint8"),
        (lambda x, g: mirror(x[0], g), "shape"),
        (lambda x, g: erase(x, g, 1.5), "share is a part"),
        (lambda x, g: erase(x, g, float("nan")), "share is a part"),
        (lambda x, g: shift(x.half(), 1, g), "uint8"),
        (lambda x, g: shift(x, -1, g), "0 to 4 pixels"),
        (lambda x, g: shift(x, 5, g), "0 to 4 pixels"),
        (lambda x, g: erase(x.long(), g), "uint8"),
        (lambda x, g: erase(x, g, -0.5), "share is a part"),
        (lambda x, g: erase(x, g, area=(0, 0.3)), "0 < least"),
        (lambda x, g: erase(x, g, area=(0.3, 0.2)), "0 < least"),
        (lambda x, g: erase(x, g, area=(0.3, 1.2)), "0 < least"),
    ],
)
def test_bad_input_is_refused(augment, phrase):
    with pytest.raises(DataError, match=phrase):
        augment(pictures(), seeded())


# Colour photos


def photos(n=4, size=12, seed=0):
    return torch.rand(n, 3, size, size, generator=seeded(seed))


PHOTOS = {
    "warp": lambda x, g: warp(x, x.shape[2], g),
    "light": lambda x, g: light(x, g),
    "backdrops": lambda x, g: on_backdrops(x, x[:, 0] > 0.5, photos(3, 9, seed=9), g),
    "mix": lambda x, g: mix(x, g)[0],
}


@pytest.mark.parametrize("name", PHOTOS)
@given(n=st.integers(1, 5), size=st.integers(6, 16), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_shape_range_and_the_given_photos_are_kept(name, n, size, seed):
    before = photos(n, size, seed)
    given_ = before.clone()
    after = PHOTOS[name](given_, seeded(seed))
    assert torch.equal(given_, before)
    assert (after.shape, after.dtype) == (before.shape, torch.float32)
    assert after.min() >= -1e-5
    assert after.max() <= 1 + 1e-5


@pytest.mark.parametrize("name", PHOTOS)
def test_only_the_generator_is_random_for_photos(name):
    images = photos(20)
    torch.manual_seed(1)
    one = PHOTOS[name](images, seeded(5))
    torch.manual_seed(2)
    assert torch.equal(one, PHOTOS[name](images, seeded(5)))
    assert not torch.equal(one, PHOTOS[name](images, seeded(6)))


@pytest.mark.parametrize("name", PHOTOS)
def test_wrong_images_are_refused(name):
    for wrong in (photos().mul(255).byte(), photos().double()):
        with pytest.raises(DataError, match="as_input"):
            PHOTOS[name](wrong, seeded())
    with pytest.raises(DataError, match="as_input"):
        light(photos()[0], seeded())


@pytest.fixture
def unstretched(monkeypatch):
    monkeypatch.setattr(module, "WARP_STRETCH", 1)


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
