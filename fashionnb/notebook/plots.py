"""Every figure that the book shows more than once.

Each function draws one message on a white ground of its own (so that it reads on dark pages too), in colours that
colour-blind readers can tell apart, with real garments where a point stands for one. All take arrays, return the
matplotlib figure, and leave showing it to the notebook. Figures that only one chapter needs stay on its page.
"""

import os
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Patch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from fashionnb.data.colour import to_lch, to_oklab

# Okabe and Ito's colours as seaborn orders them: ten classes that stay apart for colour-blind readers.
PALETTE = sns.color_palette("colorblind", 10)
HIT, MISS = "#0173b2", "#de8f05"  # blue and orange, also told apart by a cross on the misses
BOOK_SCRIPT = "../assets/plotly.min.js"  # where a published chapter finds plotly's script


def new(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = (8, 3.2), **options
) -> tuple[Figure, np.ndarray]:
    """A figure on white and its axes, always an array (rows, columns). `size` in inches; `options` as plt.subplots."""
    fig, axes = plt.subplots(
        rows,
        columns,
        figsize=size,
        facecolor="white",
        layout="constrained",
        squeeze=False,
        **options,
    )
    return fig, axes


def garments(
    pictures: np.ndarray, titles: Sequence[str] = (), columns: int = 10, width: float = 8
) -> Figure:
    """Pictures in rows of `columns`. Introduced in chapter 01.

    pictures : (n, height, width, channels) uint8 or float in [0, 1]. titles : up to n short texts, one above each.
    """
    rows = -(-len(pictures) // columns)
    tall = width / columns * pictures.shape[1] / pictures.shape[2] + (0.25 if len(titles) else 0)
    fig, axes = new(rows, columns, (width, max(rows * tall, 0.6)))
    for i, ax in enumerate(axes.flat):
        ax.axis("off")
        if i < len(pictures):
            show(ax, pictures[i])
            if i < len(titles):
                ax.set_title(titles[i], fontsize=7)
    return fig


def wall(pictures: np.ndarray, row_names: Sequence[str], width: float = 8) -> Figure:
    """One named row of pictures for each class. pictures : (rows, columns, height, width, channels). Chapter 01."""
    rows, columns, tall, wide = pictures.shape[:4]
    picture = pictures.transpose(0, 2, 1, 3, 4).reshape(rows * tall, columns * wide, -1)
    fig, axes = new(size=(width, width * picture.shape[0] / picture.shape[1] * 0.9))
    ax = axes[0, 0]
    show(ax, picture)
    ax.set_yticks((np.arange(rows) + 0.5) * tall, row_names, fontsize=9)
    ax.tick_params(length=0)
    ax.set_xticks([])
    sns.despine(ax=ax, left=True, bottom=True)
    return fig


def confusion(
    matrix: np.ndarray, classes: Sequence[str], title: str, ax: Axes | None = None
) -> Figure:
    """A confusion matrix in percent of each true class. matrix : (c, c) counts, rows true, columns said. Chapter 01."""
    percent = 100 * matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    if ax is None:
        _, axes = new(size=(7, 5.6))
        ax = axes[0, 0]
    sns.heatmap(
        percent, annot=True, fmt=".0f", cmap="cividis", vmin=0, vmax=100, ax=ax, linewidths=0.5,
        xticklabels=classes, yticklabels=classes, cbar_kws={"label": "% of the true class"},
    )  # fmt: skip
    ax.set(xlabel="said", ylabel="true", title=title)
    ax.tick_params(axis="x", rotation=45)
    plt.setp(ax.get_xticklabels(), ha="right", rotation_mode="anchor")
    return ax.figure


def curves(history, panels: Mapping[str, Sequence[str]], x: str = "epoch") -> Figure:
    """Training curves. history : one row per epoch. panels : title -> columns drawn in it. Introduced in chapter 02."""
    fig, axes = new(1, len(panels), (4 * len(panels), 2.9))
    for ax, (title, columns) in zip(axes[0], panels.items(), strict=True):
        for column, colour, mark in zip(columns, PALETTE, "osD^v", strict=False):
            ax.plot(
                history[x], history[column], marker=mark, color=colour, label=column, markersize=4
            )
        ax.set(title=title, xlabel=x)
        ax.set_xticks(
            history[x] if len(history) <= 12 else np.linspace(*history[x].iloc[[0, -1]], 6).round()
        )
        if len(columns) > 1:
            ax.legend(frameon=False)
        sns.despine(ax=ax)
    return fig


def per_class(
    values: Mapping[str, Sequence[float]],
    lows: Mapping,
    highs: Mapping,
    classes: Sequence[str],
    xlabel: str,
) -> Figure:
    """A dot with its interval for each class and method. values, lows, highs : method -> (c,). Chapter 02."""
    fig, axes = new(size=(7, 0.42 * len(classes) + 1.2))
    ax = axes[0, 0]
    for i, (method, value) in enumerate(values.items()):
        y = np.arange(len(classes)) + 0.18 * (i - (len(values) - 1) / 2)
        error = np.abs(
            np.array([np.subtract(value, lows[method]), np.subtract(highs[method], value)])
        )
        ax.errorbar(
            value,
            y,
            xerr=error,
            fmt="osD^v"[i % 5],
            color=PALETTE[i],
            label=method,
            markersize=5,
            capsize=2,
        )
    ax.axvline(0, color="grey", linewidth=0.8, linestyle=":")
    ax.set_yticks(range(len(classes)), classes)
    ax.invert_yaxis()
    ax.set_xlabel(xlabel)
    ax.legend(frameon=False, fontsize=8)
    sns.despine(ax=ax)
    return fig


def space(
    ax: Axes, points: np.ndarray, labels: np.ndarray, classes: Sequence[str], title: str
) -> None:
    """A 2-D map of embeddings, each class named where it is densest. points : (n, 2). Introduced in chapter 02."""
    for c, name in enumerate(classes):
        members = points[labels == c]
        if not len(members):
            continue
        ax.scatter(*members.T, s=4, color=PALETTE[c % 10], alpha=0.6, linewidths=0, rasterized=True)
        ax.annotate(
            name, np.median(members, 0), ha="center", va="center", fontsize=7.5, weight="bold",
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.75, "edgecolor": PALETTE[c % 10]},
        )  # fmt: skip
    ax.set(xticks=[], yticks=[], title=title)


def mosaic(
    points: np.ndarray,
    pictures: np.ndarray,
    labels: np.ndarray,
    rows: int,
    classes: Sequence[str],
    width: float = 10,
) -> Figure:
    """Lay out garments on a grid so that neighbours in the map stay neighbours. Introduced in chapter 02.

    The n = rows × columns cells are matched to the points with the smallest sum of squared distances (Kuhn 1955).

    points : (n, 2). pictures : (n, height, width, 1) uint8, light on dark. labels : (n,), the tint of each garment;
    `classes` names the tints below the picture.
    """
    columns = len(points) // rows
    points = points[: rows * columns].astype(float)
    points = (points.argsort(0).argsort(0) + 0.5) / len(
        points
    )  # ranks: spread evenly, so that few garments move far
    cells = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(-1, 2)
    centres = (cells + 0.5) / [columns, rows]
    _, cell = linear_sum_assignment(cdist(points, centres, "sqeuclidean"))
    tall, wide = pictures.shape[1:3]
    canvas = np.ones((rows * tall, columns * wide, 3))
    for picture, label, (column, row) in zip(pictures, labels, cells[cell], strict=False):
        ink = picture.astype(float) / 255 * (1 - np.array(PALETTE[label % 10]) * 0.85)
        canvas[row * tall : (row + 1) * tall, column * wide : (column + 1) * wide] = 1 - ink
    fig, axes = new(size=(width, width * rows * tall / (columns * wide) + 0.3))
    axes[0, 0].imshow(canvas, interpolation="antialiased")
    axes[0, 0].axis("off")
    tints = [
        Patch(color=np.array(PALETTE[c % 10]) * 0.85, label=name) for c, name in enumerate(classes)
    ]
    fig.legend(
        handles=tints,
        loc="outside lower center",
        ncols=10,
        frameon=False,
        fontsize=7,
        handlelength=1,
    )
    return fig


def neighbours(
    queries: np.ndarray, found: np.ndarray, hits: np.ndarray, titles: Sequence[str] = ()
) -> Figure:
    """Each query with its nearest neighbours, hits framed in blue, misses in orange with a cross. Chapter 02.

    queries : (q, height, width, channels). found : (q, k, height, width, channels). hits : (q, k) bool.
    titles : (q,) names of the queries.
    """
    q, k = hits.shape
    fig, axes = new(q, k + 1, (min(0.85 * (k + 1), 9), 0.9 * q + 0.3))
    for i in range(q):
        show(axes[i, 0], queries[i])
        axes[i, 0].set_ylabel(
            titles[i] if titles else "", fontsize=8, rotation=0, ha="right", va="center"
        )
        for j in range(k):
            ax = axes[i, j + 1]
            show(ax, found[i, j])
            _frame(ax, hits[i, j])
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    axes[0, 0].set_title("query", fontsize=8)
    for j in range(k):
        axes[0, j + 1].set_title(f"{j + 1}", fontsize=8)
    return fig


def differences(ax: Axes, means: Sequence[float], spans: Sequence, names: Sequence[str]) -> None:
    """A dot with its interval for each difference: blue above 0, orange below, hollow where 0 lies inside. Chapter 03.

    means : (m,). spans : (m,) each with `low` and `high`. names : (m,), from top to bottom.
    """
    for y, (mean, span) in enumerate(zip(means, spans, strict=True)):
        colour = HIT if span.low > 0 else MISS if span.high < 0 else "#777777"
        ax.plot([span.low, span.high], [y, y], color=colour, linewidth=2)
        ax.plot(
            mean,
            y,
            "o",
            markeredgecolor=colour,
            color="white" if span.low <= 0 <= span.high else colour,
        )
    ax.axvline(0, color="grey", linewidth=0.8)
    ax.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
    ax.locator_params(axis="x", nbins=5)
    sns.despine(ax=ax)


def ruler(
    ax: Axes, distances: np.ndarray, pictures: np.ndarray, shown: int = 60, rows: int = 4
) -> None:
    """Lay garments along a ruler, each at its distance. distances : (n,). Introduced in chapter 03.

    pictures : (n, height, width, channels). shown : how many at most, taken evenly from the nearest to the farthest.
    """
    order = np.argsort(distances, kind="stable")
    for place, i in enumerate(
        order[np.linspace(0, len(order) - 1, min(shown, len(order))).astype(int)]
    ):
        picture = pictures[i]
        grey = {"cmap": "gray"} if picture.shape[-1] == 1 else {}
        image = OffsetImage(picture.squeeze(), zoom=22 / picture.shape[0], **grey)
        ax.add_artist(AnnotationBbox(image, (distances[i], place % rows), frameon=False, pad=0))
    ax.set(xlim=(0, 1.05 * distances.max()), ylim=(rows - 0.4, -0.6), yticks=[])


def colour_wheel(
    colours: Mapping[str, tuple[int, int, int]], rings: Sequence[float] = (0.1, 0.2)
) -> Figure:
    """Named colours by their hue (around) and chroma (outwards) in OKLCh. Introduced in chapter 07.

    colours : name -> sRGB, 0 to 255. rings : chromas at which a circle is drawn.
    """
    fig, axes = new(size=(6.2, 6.2), subplot_kw={"projection": "polar"})
    ax = axes[0, 0]
    rgb = np.array(list(colours.values()), np.uint8).reshape(-1, 3)
    lightness, chroma, hue = to_lch(to_oklab(rgb)).T
    ax.scatter(
        np.radians(hue), chroma, s=170, c=rgb / 255, edgecolors="#444", linewidths=0.6, zorder=3
    )
    for name, light, around, outwards in zip(
        colours, lightness, np.radians(hue), chroma, strict=True
    ):
        place = {
            "xytext": (0, 9),
            "textcoords": "offset points",
            "ha": "center",
            "va": "bottom",
            "zorder": 4,
        }
        ax.annotate(f"{name} {light:.2f}", (around, outwards), fontsize=6.5, **place)
    ax.set(
        ylim=(0, 1.15 * max([*rings, *chroma])),
        yticks=rings,
        yticklabels=[f"{ring:g}" for ring in rings],
    )
    ax.set_xticks(np.radians(range(0, 360, 45)))
    ax.tick_params(labelsize=7, colors="#666")
    ax.set_title("hue around, chroma outwards; the number is the lightness", fontsize=9)
    return fig


def among(ax: Axes, values: np.ndarray, pictures: np.ndarray, decimals: int = 2) -> None:
    """Numbers between garments, which stand along the top and the left side. NaN stays empty. Introduced in chapter 10.

    values : (n, n), row by column. pictures : (n, height, width, channels) of the rows, and of the columns.
    """
    image = ax.imshow(np.ma.masked_invalid(values), cmap="cividis")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            ink = "black" if image.norm(value) > 0.6 else "white"
            ax.text(j, i, f"{value:.{decimals}f}", ha="center", va="center", color=ink, fontsize=8)
    for i, picture in enumerate(pictures):
        grey = {"cmap": "gray"} if picture.shape[-1] == 1 else {}
        for at, beside, side in (((-0.5, i), (-4, 0), (1, 0.5)), ((i, -0.5), (0, 4), (0.5, 0))):
            small = OffsetImage(picture.squeeze(), zoom=34 / picture.shape[0], **grey)
            box = {"xybox": beside, "boxcoords": "offset points", "box_alignment": side}
            ax.add_artist(
                AnnotationBbox(small, at, frameon=False, pad=0, annotation_clip=False, **box)
            )
    ax.set(xticks=[], yticks=[])
    sns.despine(ax=ax, left=True, bottom=True)


def show(ax: Axes, picture: np.ndarray) -> None:
    """One picture on an axis. picture : (height, width, channels), channels 1 or 3."""
    if picture.shape[-1] == 1:
        ax.imshow(picture[..., 0], cmap="gray")
    else:
        ax.imshow(picture)


def use_book_renderer() -> None:
    """Let plotly figures find plotly's script beside the page: for the published site, which asks no other host."""
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


def _frame(ax: Axes, hit: bool) -> None:
    for spine in ax.spines.values():
        spine.set(color=HIT if hit else MISS, linewidth=2.5)
    if not hit:
        ax.plot(0.92, 0.92, "X", color=MISS, markersize=6, transform=ax.transAxes, clip_on=False)


if os.environ.get("FASHIONNB_BOOK"):
    use_book_renderer()
