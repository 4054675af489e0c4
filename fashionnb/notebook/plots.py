"""Matplotlib figures of the book: grids of images, training curves, maps, intervals, neighbours.

All have a white background, so that they can be read on dark pages, and colours that colour-blind
readers can tell apart. A function takes arrays and returns the figure, or draws on an axis that it
is given. Images are (height, width, channels) with 1 or 3 channels, uint8 or float in [0, 1].
"""

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from fashionnb.data.colour import to_lch, to_oklab
from fashionnb.errors import needs_extra

with needs_extra("notebook", "A figure"):
    import matplotlib.pyplot as plt
    import seaborn as sns
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage
    from matplotlib.patches import Patch
    from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    import pandas as pd

# Okabe and Ito's colours as seaborn orders them: ten classes that colour-blind readers tell apart.
PALETTE = sns.color_palette("colorblind", 10)
HIT, MISS = "#0173b2", "#de8f05"  # blue and orange; misses also get a cross
MARKS = "osD^v"
BOOK_SCRIPT = "../assets/plotly.min.js"  # plotly's script, seen from a published chapter


def new_figure(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = (8, 3.2), **options
) -> tuple[Figure, np.ndarray]:
    """Make an empty matplotlib figure on white, for a plot in a chapter.

    Parameters
    ----------
    rows, columns : int
        Of axes.
    size : (float, float)
        Width and height in inches.
    **options
        As in `matplotlib.pyplot.subplots`.

    Returns
    -------
    figure : Figure
        The figure.
    axes : ndarray of Axes, shape (rows, columns)
        Its axes, an array also if there is only one.
    """
    return plt.subplots(
        rows,
        columns,
        figsize=size,
        facecolor="white",
        layout="constrained",
        squeeze=False,
        **options,
    )


def image_grid(
    images: np.ndarray, titles: Sequence[str] = (), columns: int = 10, width: float = 8
) -> Figure:
    """Plot images in a grid, with a short title above each.

    Parameters
    ----------
    images : ndarray of shape (n, height, width, channels)
        Of one size.
    titles : sequence of str
        Up to n short texts, one above each image.
    columns : int
        Images in a row.
    width : float
        Of the figure, in inches.

    Returns
    -------
    Figure
        The figure.
    """
    rows = -(-len(images) // columns)
    height = width / columns * images.shape[1] / images.shape[2] + 0.25 * bool(len(titles))
    fig, axes = new_figure(rows, columns, (width, max(rows * height, 0.6)))
    for ax, image, title in itertools.zip_longest(axes.flat, images, titles):
        ax.axis("off")
        if image is not None:
            show_image(ax, image)
            ax.set_title(title, fontsize=7)
    return fig


def class_rows(images: np.ndarray, names: Sequence[str], width: float = 8) -> Figure:
    """Plot one named row of images for each class.

    Parameters
    ----------
    images : ndarray of shape (rows, columns, height, width, channels)
        Of one size.
    names : sequence of str
        Of the rows.
    width : float
        Of the figure, in inches.

    Returns
    -------
    Figure
        The figure.
    """
    rows, columns, tall, wide = images.shape[:4]
    image = images.transpose(0, 2, 1, 3, 4).reshape(rows * tall, columns * wide, -1)
    fig, axes = new_figure(size=(width, width * image.shape[0] / image.shape[1] * 0.9))
    ax = axes[0, 0]
    show_image(ax, image)
    ax.set_yticks((np.arange(rows) + 0.5) * tall, names, fontsize=9)
    ax.tick_params(length=0)
    ax.set_xticks([])
    sns.despine(ax=ax, left=True, bottom=True)
    return fig


def confusion_matrix(counts: np.ndarray, classes: Sequence[str], title: str) -> Figure:
    """Plot a confusion matrix in percent of each true class.

    Parameters
    ----------
    counts : ndarray of shape (c, c)
        Rows are true classes, columns are predicted ones.
    classes : sequence of str, length c
        Names.
    title : str
        Above the matrix.

    Returns
    -------
    Figure
        The figure.
    """
    percent = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    fig, axes = new_figure(size=(7, 5.6))
    ax = axes[0, 0]
    sns.heatmap(
        percent, annot=True, fmt=".0f", cmap="cividis", vmin=0, vmax=100, ax=ax, linewidths=0.5,
        xticklabels=classes, yticklabels=classes, cbar_kws={"label": "% of the true class"},
    )  # fmt: skip
    ax.set(xlabel="predicted", ylabel="true", title=title)
    ax.tick_params(axis="x", rotation=45)
    plt.setp(ax.get_xticklabels(), ha="right", rotation_mode="anchor")
    return fig


def training_curves(
    history: "pd.DataFrame", panels: Mapping[str, Sequence[str]], x: str = "epoch"
) -> Figure:
    """Plot training curves, one panel beside the other.

    Parameters
    ----------
    history : DataFrame
        One row per epoch, as `fashionnb.training.fit` returns it.
    panels : mapping of str to sequence of str
        Title -> the columns that are drawn in the panel.
    x : str
        The column of the horizontal axis.

    Returns
    -------
    Figure
        The figure.
    """
    fig, axes = new_figure(1, len(panels), (4 * len(panels), 2.9))
    for ax, (title, columns) in zip(axes[0], panels.items(), strict=True):
        for column, colour, mark in zip(columns, PALETTE, MARKS, strict=False):
            ax.plot(
                history[x], history[column], marker=mark, color=colour, label=column, markersize=4
            )
        ax.set(title=title, xlabel=x)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(columns) > 1:
            ax.legend(frameon=False)
        sns.despine(ax=ax)
    return fig


def class_intervals(
    values: Mapping[str, Sequence[float]],
    lows: Mapping[str, Sequence[float]],
    highs: Mapping[str, Sequence[float]],
    classes: Sequence[str],
    xlabel: str,
) -> Figure:
    """Plot a dot with its interval for each class and method.

    Parameters
    ----------
    values, lows, highs : mapping of str to sequence of float, length c
        Method -> the value of each class, and the ends of its interval.
    classes : sequence of str, length c
        Names, from top to bottom.
    xlabel : str
        What the values are, with their unit.

    Returns
    -------
    Figure
        The figure.
    """
    fig, axes = new_figure(size=(7, 0.42 * len(classes) + 1.2))
    ax = axes[0, 0]
    for i, (method, value) in enumerate(values.items()):
        y = np.arange(len(classes)) + 0.18 * (i - (len(values) - 1) / 2)
        error = np.abs([np.subtract(value, lows[method]), np.subtract(highs[method], value)])
        ax.errorbar(
            value, y, xerr=error, fmt=MARKS[i % 5], color=PALETTE[i], label=method, markersize=5,
            capsize=2,
        )  # fmt: skip
    ax.axvline(0, color="grey", linewidth=0.8, linestyle=":")
    ax.set_yticks(range(len(classes)), classes)
    ax.invert_yaxis()
    ax.set_xlabel(xlabel)
    ax.legend(frameon=False, fontsize=8)
    sns.despine(ax=ax)
    return fig


def embedding_map(
    ax: Axes, points: np.ndarray, labels: np.ndarray, classes: Sequence[str], title: str
) -> None:
    """Plot a map of embeddings in two dimensions, with the name of each class at its median.

    Parameters
    ----------
    ax : Axes
        To draw on.
    points : ndarray of shape (n, 2)
        The map.
    labels : ndarray of shape (n,), int
        Positions in `classes`.
    classes : sequence of str
        Names.
    title : str
        Above the map.
    """
    for c, name in enumerate(classes):
        members = points[labels == c]
        if not len(members):
            continue
        colour = PALETTE[c % 10]
        ax.scatter(*members.T, s=4, color=colour, alpha=0.6, linewidths=0, rasterized=True)
        box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.75}
        ax.annotate(
            name, np.median(members, 0), ha="center", va="center", fontsize=7.5, weight="bold",
            bbox={**box, "edgecolor": colour},
        )  # fmt: skip
    ax.set(xticks=[], yticks=[], title=title)


def image_mosaic(
    points: np.ndarray,
    images: np.ndarray,
    labels: np.ndarray,
    rows: int,
    classes: Sequence[str],
) -> Figure:
    """Plot images as a mosaic, on a grid where neighbours in a map of embeddings stay neighbours.

    The n = rows × columns cells are matched to the points with the smallest sum of squared
    distances, after each coordinate was replaced by its rank.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
        The map.
    images : ndarray of shape (n, height, width, 1), uint8
        Light on dark.
    labels : ndarray of shape (n,), int
        The class of each image, which is shown by its tint.
    rows : int
        Of the grid.
    classes : sequence of str
        Names, for the legend.

    Returns
    -------
    Figure
        The figure.

    References
    ----------
    Kuhn (1955), The Hungarian Method for the Assignment Problem.
    """
    columns = len(points) // rows
    points = points[: rows * columns].astype(float)
    points = (points.argsort(0).argsort(0) + 0.5) / len(points)  # spread evenly: few move far
    cells = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(-1, 2)
    centres = (cells + 0.5) / [columns, rows]
    _, cell = linear_sum_assignment(cdist(points, centres, "sqeuclidean"))
    tall, wide = images.shape[1:3]
    canvas = np.ones((rows * tall, columns * wide, 3))
    tints = np.array(PALETTE) * 0.85
    for image, label, (column, row) in zip(images, labels, cells[cell], strict=False):
        ink = image.astype(float) / 255 * (1 - tints[label % 10])
        canvas[row * tall : (row + 1) * tall, column * wide : (column + 1) * wide] = 1 - ink
    fig, axes = new_figure(size=(10, 10 * rows * tall / (columns * wide) + 0.3))
    axes[0, 0].imshow(canvas, interpolation="antialiased")
    axes[0, 0].axis("off")
    fig.legend(
        handles=[Patch(color=tints[c % 10], label=name) for c, name in enumerate(classes)],
        loc="outside lower center", ncols=10, frameon=False, fontsize=7, handlelength=1,
    )  # fmt: skip
    return fig


def neighbours(
    queries: np.ndarray, found: np.ndarray, hits: np.ndarray, titles: Sequence[str] = ()
) -> Figure:
    """Plot query images with their nearest neighbours: hits framed in blue, misses in orange.

    Misses are crossed, too.

    Parameters
    ----------
    queries : ndarray of shape (q, height, width, channels)
        Images.
    found : ndarray of shape (q, k, height, width, channels)
        Images of the neighbours, the nearest first.
    hits : ndarray of shape (q, k), bool
        Which neighbours are hits.
    titles : sequence of str, length q
        Names of the queries.

    Returns
    -------
    Figure
        The figure.
    """
    q, k = hits.shape
    size = (min(0.85 * (k + 1), 9), 0.9 * q + 0.3)
    fig, axes = new_figure(q, k + 1, size, subplot_kw={"xticks": [], "yticks": []})
    for row, query, images, are_hits in zip(axes, queries, found, hits, strict=True):
        show_image(row[0], query)
        for ax, image, hit in zip(row[1:], images, are_hits, strict=True):
            show_image(ax, image)
            _frame(ax, hit)
    for ax, title in zip(axes[:, 0], titles, strict=False):
        ax.set_ylabel(title, fontsize=8, rotation=0, ha="right", va="center")
    for ax, title in zip(axes[0], ["query", *range(1, k + 1)], strict=True):
        ax.set_title(title, fontsize=8)
    return fig


def differences(ax: Axes, means: Sequence[float], spans: Sequence, names: Sequence[str]) -> None:
    """Plot a dot with its interval for each difference, coloured by its sign.

    Above 0 it is blue, below 0 orange, and hollow where the interval contains 0.

    Parameters
    ----------
    ax : Axes
        To draw on.
    means : sequence of float, length m
        The differences.
    spans : sequence of Interval, length m
        Each with `low` and `high`.
    names : sequence of str, length m
        From top to bottom.
    """
    for y, (mean, span) in enumerate(zip(means, spans, strict=True)):
        colour = HIT if span.low > 0 else MISS if span.high < 0 else "#777777"
        fill = "white" if span.low <= 0 <= span.high else colour
        ax.plot([span.low, span.high], [y, y], color=colour, linewidth=2)
        ax.plot(mean, y, "o", markeredgecolor=colour, color=fill)
    ax.axvline(0, color="grey", linewidth=0.8)
    ax.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
    ax.locator_params(axis="x", nbins=5)
    sns.despine(ax=ax)


def images_along_axis(ax: Axes, distances: np.ndarray, images: np.ndarray) -> None:
    """Plot images along the horizontal axis, each at its distance.

    At most 60 are shown, taken evenly from the nearest to the farthest. They alternate between four
    heights, so that few overlap.

    Parameters
    ----------
    ax : Axes
        To draw on.
    distances : ndarray of shape (n,)
        Where each image is drawn.
    images : ndarray of shape (n, height, width, channels)
        Of one size.
    """
    order = np.argsort(distances, kind="stable")
    some = order[np.linspace(0, len(order) - 1, min(60, len(order))).astype(int)]
    for place, i in enumerate(some):
        small = _small(images[i], 22)
        ax.add_artist(AnnotationBbox(small, (distances[i], place % 4), frameon=False, pad=0))
    ax.set(xlim=(0, 1.05 * distances.max()), ylim=(3.6, -0.6), yticks=[])


def colour_wheel(colours: Mapping[str, tuple[int, int, int]]) -> Figure:
    """Plot named colours by their hue (around) and chroma (outwards) in OKLCh.

    Parameters
    ----------
    colours : mapping of str to (int, int, int)
        Name -> sRGB, 0 to 255.

    Returns
    -------
    Figure
        The figure.
    """
    fig, axes = new_figure(size=(6.2, 6.2), subplot_kw={"projection": "polar"})
    ax = axes[0, 0]
    rgb = np.array(list(colours.values()), np.uint8).reshape(-1, 3)
    lightness, chroma, hue = to_lch(to_oklab(rgb)).T
    angles = np.radians(hue)
    ax.scatter(angles, chroma, s=170, c=rgb / 255, edgecolors="#444", linewidths=0.6, zorder=3)
    for name, light, angle, radius in zip(colours, lightness, angles, chroma, strict=True):
        ax.annotate(
            f"{name} {light:.2f}", (angle, radius), fontsize=6.5, xytext=(0, 9),
            textcoords="offset points", ha="center", va="bottom", zorder=4,
        )  # fmt: skip
    ax.set(ylim=(0, 1.15 * max(0.2, *chroma)), yticks=(0.1, 0.2), yticklabels=("0.1", "0.2"))
    ax.set_xticks(np.radians(range(0, 360, 45)))
    ax.tick_params(labelsize=7, colors="#666")
    ax.set_title("hue around, chroma outwards; the number is the lightness", fontsize=9)
    return fig


def pair_heatmap(ax: Axes, values: np.ndarray, images: np.ndarray) -> None:
    """Plot a heatmap of the numbers of all pairs of images, which stand at its top and left side.

    Parameters
    ----------
    ax : Axes
        To draw on.
    values : ndarray of shape (n, n)
        Row by column; NaN stays empty.
    images : ndarray of shape (n, height, width, channels)
        Of the rows, and of the columns.
    """
    sns.heatmap(
        values, mask=np.isnan(values), annot=True, fmt=".2f", annot_kws={"fontsize": 8},
        cmap="cividis", cbar=False, square=True, xticklabels=False, yticklabels=False, ax=ax,
    )  # fmt: skip
    for i, image in enumerate(images):
        _attach(ax, image, (0, i + 0.5), (-4, 0), (1, 0.5))
        _attach(ax, image, (i + 0.5, 0), (0, 4), (0.5, 0))


def show_image(ax: Axes, image: np.ndarray) -> None:
    """Plot one image on an axis.

    Parameters
    ----------
    ax : Axes
        To draw on.
    image : ndarray of shape (height, width, channels)
        With 1 or 3 channels, uint8 or float in [0, 1].
    """
    ax.imshow(image, cmap="gray")  # the map is for one channel


def use_book_renderer() -> None:
    """Let interactive plots of the published site load plotly's script from the site itself."""
    import plotly.io as pio
    from plotly.io.base_renderers import MimetypeRenderer

    class BookRenderer(MimetypeRenderer):
        def to_mimebundle(self, fig_dict: dict) -> dict:
            html = pio.to_html(
                fig_dict, full_html=False, include_mathjax=False, include_plotlyjs=BOOK_SCRIPT
            )
            return {"text/html": html}

    pio.renderers["book"] = BookRenderer()
    pio.renderers.default = "book"


def _small(image: np.ndarray, height: int) -> OffsetImage:
    return OffsetImage(image.squeeze(), zoom=height / image.shape[0], cmap="gray")


def _attach(
    ax: Axes,
    image: np.ndarray,
    at: tuple[float, float],
    offset: tuple[float, float],
    alignment: tuple[float, float],
) -> None:
    """A small image outside of the axis, `offset` points from a place in it."""
    box = AnnotationBbox(
        _small(image, 34), at, xybox=offset, boxcoords="offset points", box_alignment=alignment,
        frameon=False, pad=0, annotation_clip=False,
    )  # fmt: skip
    ax.add_artist(box)


def _frame(ax: Axes, hit: bool) -> None:
    plt.setp(ax.spines.values(), color=HIT if hit else MISS, linewidth=2.5)
    if not hit:
        ax.plot(0.92, 0.92, "X", color=MISS, markersize=6, transform=ax.transAxes, clip_on=False)


if os.environ.get("FASHIONNB_BOOK"):
    use_book_renderer()
