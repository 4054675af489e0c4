"""Figures whose drawing holds a decision. The rest is looked at in the chapters, which draw it."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.offsetbox import AnnotationBbox

from fashionnb.notebook import plots


@pytest.fixture
def ax():
    fig, axes = plots.new_figure()
    yield axes[0, 0]
    plots.plt.close(fig)


def test_images_along_an_axis_stand_at_their_distance(ax):
    distances = np.random.default_rng(0).permutation(np.linspace(0.1, 1.9, 200))
    plots.images_along_axis(ax, distances, np.zeros((200, 28, 28, 1), np.uint8))
    placed = [artist.xy for artist in ax.artists if isinstance(artist, AnnotationBbox)]
    assert len(placed) == 60
    assert [y for _, y in placed[:5]] == [0, 1, 2, 3, 0]
    found = [x for x, _ in placed]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (distances.min(), distances.max())
    assert ax.get_xlim()[1] > distances.max()


@pytest.mark.parametrize("channels", [1, 3])
def test_fewer_images_than_could_be_shown(ax, channels):
    plots.images_along_axis(ax, np.array([0.4, 0.2]), np.zeros((2, 9, 7, channels), np.uint8))
    assert [artist.xy[0] for artist in ax.artists] == [0.2, 0.4]


def test_differences_are_filled_only_where_they_are_beyond_doubt(ax):
    spans = [
        SimpleNamespace(low=low, high=high) for low, high in ((0.1, 0.3), (-0.3, -0.1), (-0.1, 0.3))
    ]
    plots.differences(ax, [0.2, -0.2, 0.1], spans, ["better", "worse", "unsure"])
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [to_hex(dot.get_markerfacecolor()) for dot in dots] == [plots.HIT, plots.MISS, "#ffffff"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["better", "worse", "unsure"]
    assert ax.yaxis_inverted()  # the first name on top


def test_a_colour_wheel_puts_each_name_at_its_hue_and_chroma():
    colours = {
        "red": (255, 0, 0),
        "lime": (0, 255, 0),
        "blue": (0, 0, 255),
        "grey": (128, 128, 128),
    }
    figure = plots.colour_wheel(colours)
    placed = {text.get_text().split()[0]: text.xy for text in figure.axes[0].texts}
    expected = {
        "red": (29.2, 0.258),
        "lime": (142.5, 0.295),
        "blue": (264.1, 0.313),
    }  # CSS Color Module Level 4
    for name, (hue, chroma) in expected.items():
        assert np.degrees(placed[name][0]) == pytest.approx(hue, abs=0.1)
        assert placed[name][1] == pytest.approx(chroma, abs=1e-3)
    assert placed["grey"][1] == pytest.approx(0, abs=1e-4)
    dots = figure.axes[0].collections[0]
    assert dots.get_facecolors()[:, :3].tolist() == pytest.approx(
        np.array(list(colours.values())) / 255
    )
    plots.plt.close(figure)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_pair_heatmap_has_numbers_and_nothing_where_there_is_none(ax, channels):
    plots.pair_heatmap(
        ax, np.array([[np.nan, 0.25], [1, np.nan]]), np.zeros((2, 9, 7, channels), np.uint8)
    )
    assert [(text.get_position(), text.get_text()) for text in ax.texts] == [
        ((1.5, 0.5), "0.25"),
        ((0.5, 1.5), "1.00"),
    ]
    placed = [artist.xy for artist in ax.artists if isinstance(artist, AnnotationBbox)]
    assert placed == [(0, 0.5), (0.5, 0), (0, 1.5), (1.5, 0)]
