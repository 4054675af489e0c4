"""An interactive map of garments: point at a dot and see the picture behind it.

One plotly figure that needs no kernel and asks no other host: all pictures travel in one sheet inside the page, and the
one piece of JavaScript here cuts the right one out. For still maps see `fashionnb.notebook.plots.space`.
"""

import base64
import io
import json
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
from IPython.display import HTML
from PIL import Image

from fashionnb.errors import DataError
from fashionnb.evaluation.distances import one_per_row
from fashionnb.notebook import plots

COLOURS = plots.PALETTE.as_hex()
CONFIG = {
    "responsive": True,
    "displaylogo": False,
    "modeBarButtons": [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
}
SYMBOLS = (
    "circle",
    "square",
    "diamond",
    "cross",
    "x",
    "triangle-up",
    "triangle-down",
    "pentagon",
    "star",
    "hexagram",
)
EDGE = {"color": "#555", "width": 0.4}  # so that the light colours stand out from white
SHOWN = 112  # pixels on the screen: the longer side of the picture beside the pointer
LARGEST = 16_383  # pixels: the longest side that WebP can hold
QUALITY = 90  # of WebP: 28 × 28 pixels take some 250 bytes

# A press hides the picture and a point shows it, so that fingers, which cannot hover, see it on a tap.
BEHAVIOUR = """
const {classes, wide, tall, columns, zoom, source} = {known};
const figure = document.getElementById("{plot_id}");
const sheet = Object.assign(new Image(), {src: source});
const card = document.createElement("div"), words = document.createElement("div");
const canvas = Object.assign(document.createElement("canvas"), {width: wide * zoom, height: tall * zoom});
card.className = "garment";
card.style.cssText = "position: absolute; z-index: 9; display: none; pointer-events: none; padding: 4px;"
    + "background: #fff; color: #222; border: 1px solid #777; font: 12px/1.3 sans-serif; text-align: center";
canvas.style.cssText = "display: block; margin: auto";
words.style.maxWidth = Math.max(wide * zoom, 90) + "px";
card.append(canvas, words);
figure.style.position = "relative";
figure.append(card);

function show(event) {
    const {customdata: [row, label, guess], bbox} = event.points[0];
    canvas.getContext("2d").drawImage(
        sheet, row % columns * wide, Math.floor(row / columns) * tall, wide, tall, 0, 0, canvas.width, canvas.height);
    words.textContent = classes[label] + (guess === label ? "" : ", taken for " + classes[guess]);
    card.style.display = "block";
    const right = bbox.x1 - figure.offsetLeft + 8, left = bbox.x0 - figure.offsetLeft - 8 - card.offsetWidth;
    card.style.left = (right + card.offsetWidth < figure.clientWidth ? right : Math.max(left, 0)) + "px";
    const top = (bbox.y0 + bbox.y1 - card.offsetHeight) / 2 - figure.offsetTop;
    card.style.top = Math.max(0, Math.min(top, figure.clientHeight - card.offsetHeight)) + "px";
}
const hide = () => card.style.display = "none";
figure.addEventListener("pointerdown", hide, true);
figure.on("plotly_unhover", hide);
figure.on("plotly_hover", show);
figure.on("plotly_click", show);
if (matchMedia("(pointer: coarse)").matches) Plotly.relayout(figure, {dragmode: false});  // let the page scroll
"""


def explorer(
    points: np.ndarray,
    pictures: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    predicted: np.ndarray | None = None,
    title: str = "",
    height: int = 600,
) -> HTML:
    """Draw a map on which each point shows its garment, for the page and for the notebook. Introduced in chapter 04.

    Pointing at a dot, or tapping it, shows its picture and class. A click in the legend hides a class, a double click
    hides all others; dragging zooms, a double click goes back. With `predicted`, two buttons colour the dots by class
    or by error, and the picture says what its garment was taken for. Classes differ in symbol as well as in colour.

    The pictures are packed with a little loss (WebP): 5,000 of 28 × 28 pixels make 2 MB of HTML. In a notebook plotly's
    script, 4.8 MB, comes along, so that it works offline; the published book has that script once, beside its pages.

    Parameters
    ----------
    points : (n, 2) the map.
    pictures : (n, height, width, channels) uint8, channels 1 or 3. Make large ones smaller: they are shown 112 pixels
        wide or tall.
    labels : (n,) int, rows of `classes`.
    classes : (c,) names.
    predicted : (n,) int, what each garment was taken for; where it is not its label, that is an error.
    title : above the map.
    height : of the whole figure, in pixels; it is as wide as the page.

    Raises
    ------
    DataError : shapes disagree, NaN, a label that is no row of `classes`, pictures that are not uint8, or pictures too
        many and too large for one sheet.
    """
    points, pictures = np.asarray(points, np.float32), np.asarray(pictures)
    n = len(points)
    if not n or points.shape != (n, 2) or not np.isfinite(points).all():
        raise DataError(
            f"points: expected a map (n, 2) of finite numbers, got the shape {points.shape}, or NaN in it."
        )
    if (
        len(pictures) != n
        or pictures.ndim != 4
        or pictures.shape[3] not in (1, 3)
        or pictures.dtype != np.uint8
    ):
        raise DataError(
            f"pictures: expected one for each of {n} points, uint8 (n, height, width, channels) with 1 or 3 channels, "
            f"got {pictures.dtype} {pictures.shape}."
        )
    labels = _rows_of(classes, labels, n, "labels")
    said = labels if predicted is None else _rows_of(classes, predicted, n, "predicted")
    about = np.stack([np.arange(n), labels, said], 1).astype(np.int32)

    figure = go.Figure(_by_class(points, about, classes))
    figure.update_layout(
        template="none", height=height, title=title, hovermode="closest", paper_bgcolor="white", font_color="#222",
        margin={"l": 8, "r": 8, "t": 90 if title else 60, "b": 8}, xaxis_visible=False, yaxis_visible=False,
        legend={"orientation": "h", "y": -0.01, "yanchor": "top", "itemsizing": "constant"},
    )  # fmt: skip
    if predicted is not None:
        figure.add_traces(_by_error(points, about))
        figure.update_layout(updatemenus=[_colour_buttons(len(classes))])
    html = pio.to_html(
        figure,
        config=CONFIG,
        include_plotlyjs=plots.BOOK_SCRIPT if pio.renderers.default == "book" else True,
        include_mathjax=False,
        post_script=_behaviour(pictures, classes),
        full_html=False,
    )
    return HTML(html)


def _by_class(points: np.ndarray, about: np.ndarray, classes: Sequence[str]) -> list[go.Scatter]:
    return [
        _dots(points, about, about[:, 1] == c, name, COLOURS[c % 10], SYMBOLS[(c + c // 10) % 10])
        for c, name in enumerate(classes)
    ]


def _by_error(points: np.ndarray, about: np.ndarray) -> list[go.Scatter]:
    """Two entries that are not shown at first: the garments taken for what they are, and on top of them the others."""
    wrong = about[:, 1] != about[:, 2]
    right = _dots(points, about, ~wrong, f"right ({(~wrong).sum():,})", plots.HIT, "circle")
    mistaken = _dots(points, about, wrong, f"mistaken ({wrong.sum():,})", plots.MISS, "x")
    return [dots.update(visible=False) for dots in (right, mistaken)]


def _colour_buttons(c: int) -> dict:
    """The buttons that show either the c classes or the two entries after them."""
    shown = {
        "colour by class": [True] * c + [False] * 2,
        "colour by error": [False] * c + [True] * 2,
    }
    buttons = [
        {"label": name, "method": "restyle", "args": [{"visible": on}]}
        for name, on in shown.items()
    ]
    place = {"x": 0, "xanchor": "left", "y": 1.01, "yanchor": "bottom", "pad": {"b": 4}}
    return {
        "type": "buttons",
        "direction": "right",
        "buttons": buttons,
        "bgcolor": "white",
        **place,
    }


def _dots(
    points: np.ndarray, about: np.ndarray, which: np.ndarray, name: str, colour: str, symbol: str
) -> go.Scatter:
    """The points where `which` (n,) bool is true, as one entry of the legend."""
    return go.Scatter(
        x=points[which, 0], y=points[which, 1], customdata=about[which], mode="markers", name=name, hoverinfo="none",
        marker={"color": colour, "symbol": symbol, "size": 6, "opacity": 0.8, "line": EDGE},
    )  # fmt: skip


def _behaviour(pictures: np.ndarray, classes: Sequence[str]) -> str:
    """The JavaScript that shows a point's picture, with the sheet of all pictures in it."""
    n, tall, wide, channels = pictures.shape
    columns = int(np.ceil(np.sqrt(n)))
    rows = -(-n // columns)
    if max(rows * tall, columns * wide) > LARGEST:
        raise DataError(
            f"{n:,} pictures of {wide} × {tall} pixels do not fit on a sheet of {LARGEST:,} × {LARGEST:,}. "
            "Show fewer of them, or make them smaller."
        )
    sheet = np.zeros((rows * columns, tall, wide, channels), np.uint8)
    sheet[:n] = pictures
    sheet = sheet.reshape(rows, columns, tall, wide, channels).transpose(0, 2, 1, 3, 4)
    sheet = sheet.reshape(rows * tall, columns * wide, channels)
    packed = io.BytesIO()
    Image.fromarray(sheet.squeeze(2) if channels == 1 else sheet).save(
        packed, "webp", quality=QUALITY
    )
    source = "data:image/webp;base64," + base64.b64encode(packed.getvalue()).decode()
    known = {
        "classes": [str(name) for name in classes],
        "wide": wide,
        "tall": tall,
        "columns": columns,
    }
    known |= {"zoom": SHOWN / max(wide, tall), "source": source}
    return BEHAVIOUR.replace(
        "{known}", json.dumps(known).replace("<", "\\u003c")
    )  # no name may end the script


def _rows_of(classes: Sequence[str], labels: np.ndarray, n: int, name: str) -> np.ndarray:
    labels = one_per_row(labels, n, name)
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= len(classes):
        raise DataError(
            f"{name}: expected whole numbers from 0 to {len(classes) - 1}, rows of `classes`, got {labels.dtype} from "
            f"{labels.min()} to {labels.max()}."
        )
    return labels
