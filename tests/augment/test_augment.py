"""fashionnb.augment, picture by picture, against what its functions promise."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionnb.augment import erase, mirror, shift
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
