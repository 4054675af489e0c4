"""fashionnb.synthetic.drawn_garments.fabrics: distinct colours, and patterns that can be seen."""

from itertools import combinations

import numpy as np
import pytest

from fashionnb.synthetic.drawn_garments.fabrics import (
    COLOURS,
    PATTERNS,
    SEASONS,
    WARMTH,
    palette,
    weave,
)


def test_there_are_twelve_colours_five_patterns_and_four_seasons():
    assert (len(COLOURS), len(PATTERNS), len(SEASONS)) == (12, 5, 4)


def test_no_two_colours_are_close():
    apart = {
        (a, b): np.linalg.norm(np.subtract(COLOURS[a], COLOURS[b]))
        for a, b in combinations(COLOURS, 2)
    }
    assert min(apart.values()) > 45, min(apart, key=apart.get)


def test_seasons_go_from_cold_to_warm():
    warm = dict(zip(SEASONS, WARMTH, strict=True))
    assert sorted(warm, key=warm.get) == ["Winter", "Autumn", "Spring", "Summer"]


def test_the_dyed_cloth_is_nearest_to_its_own_colour_in_every_season():
    values = np.array(list(COLOURS.values()))
    colour, season = (grid.ravel() for grid in np.meshgrid(np.arange(12), np.arange(4)))
    for chance in (0.02, 0.5, 0.98):
        dyed = palette(colour, season, np.full((48, 5), chance))["fabric"]
        nearest = np.linalg.norm(dyed[:, None] - values[None], axis=2).argmin(1)
        assert np.array_equal(nearest, colour)


def test_every_material_has_a_colour_and_the_accent_differs_from_the_cloth():
    colours = palette(np.arange(12), np.zeros(12, int), np.random.default_rng(0).random((12, 5)))
    assert set(colours) == {"fabric", "accent", "strap", "light", "sole", "metal", "button"}
    assert all(
        value.shape == (12, 3) and value.min() >= 0 and value.max() <= 255
        for value in colours.values()
    )
    assert np.linalg.norm(colours["accent"] - colours["fabric"], axis=1).min() > 30


@pytest.mark.parametrize("pattern", PATTERNS[1:])
@pytest.mark.parametrize("size", [28, 64, 256])
def test_a_pattern_is_there_and_leaves_the_first_colour_in_the_lead(pattern, size):
    grid = (np.arange(size, dtype=np.float32) + 0.5) / size
    u, v = np.broadcast_arrays(
        grid[None, None, :] - 0.5, grid[None, :, None] + np.zeros((30, 1, 1), np.float32)
    )
    second, third = weave(pattern, u, v, np.random.default_rng(3).random((30, 4)), size)
    assert second.min() >= 0
    assert second.max() <= 1
    assert 0 <= np.min(third) <= np.max(third) <= 1
    shown = second.mean((1, 2))
    assert shown.min() > 0.05
    assert shown.mean() < 0.5
    assert second.std((1, 2)).min() > 0.1  # not an even tint


def test_striped_cloth_is_striped_one_way_and_checked_cloth_both_ways():
    grid = (np.arange(64, dtype=np.float32) + 0.5) / 64
    u, v = np.broadcast_arrays(grid[None, None, :], grid[None, :, None])
    flat = np.array([[0.2, 0.5, 0.9, 0.9]])
    lines, _ = weave("Striped", u, v, flat, 64)
    assert lines.mean(2).std() > 0.2
    assert lines.mean(1).std() < 1e-6
    squares, _ = weave("Checked", u, v, flat, 64)
    assert squares.mean(2).std() > 0.1
    assert squares.mean(1).std() > 0.1
