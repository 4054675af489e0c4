"""fashionnb.synthetic.drawn_garments.curves_and_fills: curves, coverage and blur by definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fashionnb.synthetic.drawn_garments import curves_and_fills

SIZE = 24


def dense(corners, steps=80):
    """A polygon (k, 2) as one closed outline of short edges, (2, 1, 1, k * steps)."""
    corners = np.asarray(corners, np.float32).T[:, None]
    return curves_and_fills.smooth(corners, np.ones(corners.shape[2], bool), steps)[:, None]


def counted(corners, size=SIZE, fine=12):
    """Coverage by counting: of fine x fine points in each pixel, how many lie inside (even-odd rule)."""
    places = (np.arange(size * fine) + 0.5) / fine
    x, y = np.meshgrid(places, places)
    inside = np.zeros(x.shape, bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        crosses = (y0 <= y) != (y1 <= y)
        inside ^= crosses & (x < x0 + (y - y0) / np.where(crosses, y1 - y0, 1) * (x1 - x0))
    return inside.reshape(size, fine, size, fine).mean((1, 3))


@settings(max_examples=40, deadline=None)
@given(arrays(float, (3, 2), elements=st.floats(-6, SIZE + 6)))
def test_coverage_is_what_counting_finds_also_beyond_the_edges_of_the_picture(triangle):
    found = curves_and_fills.fill(dense(triangle), SIZE, SIZE)[0]
    assert (
        np.abs(found - counted(triangle)).max() < 0.2
    )  # one pixel: twelve lines of points, and half an edge's step
    assert abs(found.sum() - counted(triangle).sum()) < 0.02 * SIZE * 4


def test_a_square_on_the_grid_is_exact_and_leaves_no_streaks():
    found = curves_and_fills.fill(dense([(4, 3), (10, 3), (10, 8.5), (4, 8.5)]), 16, 20)[0]
    wanted = np.zeros((16, 20))
    wanted[3:8, 4:10], wanted[8, 4:10] = 1, 0.5
    assert np.abs(found - wanted).max() < 1e-4


def test_outlines_that_turn_the_same_way_unite():
    one, two = (
        dense([(2, 2), (12, 2), (12, 12), (2, 12)]),
        dense([(8, 6), (18, 6), (18, 16), (8, 16)]),
    )
    together = curves_and_fills.fill(np.concatenate([one, two], axis=1), 20, 20)[0]
    apart = np.maximum(curves_and_fills.fill(one, 20, 20)[0], curves_and_fills.fill(two, 20, 20)[0])
    assert np.abs(together - apart).max() < 1e-4


@settings(max_examples=30, deadline=None)
@given(arrays(np.float32, (2, 3, 6), elements=st.floats(0, 20, width=32)), st.booleans())
def test_a_curve_goes_through_its_points_and_knows_no_neighbours(points, closed):
    sharp = np.array([True, False, False, True, False, False])
    curve = curves_and_fills.smooth(points, sharp, 5, closed)
    assert np.allclose(curve[..., ::5], points, atol=1e-4)
    assert np.array_equal(curve[:, 1:2], curves_and_fills.smooth(points[:, 1:2], sharp, 5, closed))


def test_corners_are_joined_by_straight_lines():
    curve = curves_and_fills.smooth(np.array([[[0, 4, 4]], [[0, 0, 4]]]), np.ones(3, bool), 4)
    assert np.allclose(
        curve[1, 0, :5], 0, atol=1e-6
    )  # along y = 0 from the first corner to the second
    assert np.allclose(curve[0, 0, 4:9], 4, atol=1e-6)


def test_a_ribbon_has_the_width_asked_for_and_none_where_the_line_has_no_length():
    line = np.stack([np.linspace(4, 16, 60), np.full(60, 10.0)]).astype(np.float32)[:, None]
    area = curves_and_fills.fill(curves_and_fills.ribbon(line, np.float32([3]))[:, None], 20, 20)[
        0
    ].sum()
    assert area == pytest.approx(12 * 3, rel=0.01)
    nowhere = np.full((2, 1, 10), 5, np.float32)
    assert (
        curves_and_fills.fill(
            curves_and_fills.ribbon(nowhere, np.float32([3]))[:, None], 20, 20
        ).sum()
        == 0
    )


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.6])
def test_blur_keeps_the_sum_reaches_no_further_and_is_gaussian(sigma):
    field = np.zeros((1, 31, 31), np.float32)
    field[0, 15, 15] = 1
    soft = curves_and_fills.blur(field, sigma)[0]
    assert soft.sum() == pytest.approx(1, abs=0.01)
    assert np.abs(soft - soft.T).max() < 0.002  # it counts in 1023rds
    away = np.abs(np.arange(31) - 15)
    assert soft[away > curves_and_fills.reach(sigma)].max(initial=0) == 0
    wanted = np.exp(-0.5 * (away / sigma) ** 2)
    assert np.abs(soft.sum(0) - wanted / wanted.sum()).max() < 0.01


def test_blur_is_the_same_in_every_window_to_the_last_bit():
    rng = np.random.default_rng(0)
    field = np.zeros((1, 40, 40), np.float32)
    field[0, 12:20, 14:25] = rng.random((8, 11))
    edge = curves_and_fills.reach(2.0)
    window = slice(12 - edge, 20 + edge), slice(14 - edge, 25 + edge)
    assert np.array_equal(
        curves_and_fills.blur(field[:, *window], 2.0), curves_and_fills.blur(field, 2.0)[:, *window]
    )
