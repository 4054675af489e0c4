"""An interactive map of garments: hovering over a point shows its image.

A plotly figure that needs no kernel and no other host: all images are in one sprite sheet inside
the page, and a piece of JavaScript cuts out the one that is asked for. For static maps see
`fashionnb.notebook.plots.embedding_map`.
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

from fashionnb.arrays import check_array, check_labels
from fashionnb.errors import DataError
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
EDGE = {"color": "#555", "width": 0.4}  # so that light colours can be seen on white
SHOWN = 112  # pixels on the screen: the longer side of the image at the pointer
LARGEST = 16_383  # pixels: the longest side that WebP can hold
QUALITY = 90  # of WebP: 28 × 28 pixels take some 250 bytes

# Touching the figure hides the image and tapping a point shows it: a touch screen has no hover.
BEHAVIOUR = """
const {classes, wide, tall, columns, zoom, source} = {known};
const figure = document.getElementById("{plot_id}");
const sheet = Object.assign(new Image(), {src: source});
const card = document.createElement("div"), words = document.createElement("div");
const canvas = document.createElement("canvas");
Object.assign(canvas, {width: wide * zoom, height: tall * zoom});
card.className = "garment";
card.style.cssText = "position: absolute; z-index: 9; display: none; pointer-events: none;"
    + "padding: 4px; background: #fff; color: #222; border: 1px solid #777;"
    + "font: 12px/1.3 sans-serif; text-align: center";
canvas.style.cssText = "display: block; margin: auto";
words.style.maxWidth = Math.max(wide * zoom, 90) + "px";
card.append(canvas, words);
figure.style.position = "relative";
figure.append(card);

function show(event) {
    const {customdata: [row, label, guess], bbox} = event.points[0];
    const x = row % columns * wide, y = Math.floor(row / columns) * tall;
    canvas.getContext("2d").drawImage(
        sheet, x, y, wide, tall, 0, 0, canvas.width, canvas.height);
    words.textContent = classes[label] + (guess === label ? "" : ", taken for " + classes[guess]);
    card.style.display = "block";
    const right = bbox.x1 - figure.offsetLeft + 8;
    const left = bbox.x0 - figure.offsetLeft - 8 - card.offsetWidth;
    const fits = right + card.offsetWidth < figure.clientWidth;
    card.style.left = (fits ? right : Math.max(left, 0)) + "px";
    const top = (bbox.y0 + bbox.y1 - card.offsetHeight) / 2 - figure.offsetTop;
    card.style.top = Math.max(0, Math.min(top, figure.clientHeight - card.offsetHeight)) + "px";
}
const hide = () => card.style.display = "none";
figure.addEventListener("pointerdown", hide, true);
figure.on("plotly_unhover", hide);
figure.on("plotly_hover", show);
figure.on("plotly_click", show);
// On a touch screen a drag scrolls the page.
if (matchMedia("(pointer: coarse)").matches) Plotly.relayout(figure, {dragmode: false});
"""


def explorer(
    points: np.ndarray,
    images: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    predicted: np.ndarray | None = None,
) -> HTML:
    """Draw an interactive map of embeddings to explore: each point shows the image of its garment.

    Hovering over a point, or tapping it, shows its image and class. A click in the legend hides a
    class, a double click hides all others; dragging zooms, a double click resets. With `predicted`,
    two buttons colour the points by class or by error. Classes differ in symbol as well as colour.

    Images are compressed with a small loss (WebP): 5,000 of 28 × 28 pixels make 2 MB of HTML. A
    notebook also contains plotly's script, 4.8 MB, so that it works offline; the published book has
    that script once, next to its pages.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
        The map.
    images : ndarray of shape (n, height, width, channels), uint8
        With 1 or 3 channels. Make large ones smaller: they are shown 112 pixels wide or tall.
    labels : ndarray of shape (n,), int
        Positions in `classes`.
    classes : sequence of str
        Names.
    predicted : ndarray of shape (n,), int, optional
        The predicted class of each garment.

    Returns
    -------
    HTML
        The map, which needs no kernel and no other host.

    Raises
    ------
    DataError
        If shapes disagree, a coordinate is not finite, a label is not a position in `classes`,
        images are not uint8, or the images are too many and too large for one sprite sheet.
    """
    points, images = np.asarray(points, np.float32), np.asarray(images)
    _check(points, images)
    labels = _class_positions(classes, labels, len(points), "labels")
    guesses = labels
    if predicted is not None:
        guesses = _class_positions(classes, predicted, len(points), "predicted")
    about = np.stack([np.arange(len(points)), labels, guesses], 1).astype(np.int32)

    figure = go.Figure()
    for c, name in enumerate(classes):
        symbol = SYMBOLS[(c + c // 10) % 10]
        figure.add_trace(_dots(points, about, labels == c, name, COLOURS[c % 10], symbol))
    figure.update_layout(
        template="none", height=600, hovermode="closest", paper_bgcolor="white",
        font_color="#222", margin={"l": 8, "r": 8, "t": 60, "b": 8},
        xaxis_visible=False, yaxis_visible=False,
        legend={"orientation": "h", "y": -0.01, "yanchor": "top", "itemsizing": "constant"},
    )  # fmt: skip
    if predicted is not None:
        _add_errors(figure, points, about)
    html = pio.to_html(
        figure,
        config=CONFIG,
        include_plotlyjs=plots.BOOK_SCRIPT if pio.renderers.default == "book" else True,
        include_mathjax=False,
        post_script=_behaviour(images, classes),
        full_html=False,
    )
    return HTML(html)


def _check(points: np.ndarray, images: np.ndarray) -> None:
    check_array(points, ("n", 2), "points", "Give a map.", kind="any", least=1, finite=True)
    in_shape = images.shape[:1] == points.shape[:1] and images.shape[3:] in ((1,), (3,))
    if not in_shape or images.dtype != np.uint8:
        raise DataError(
            f"images: expected one for each of {len(points)} points, "
            "uint8 (n, height, width, channels) "
            f"with 1 or 3 channels, got {images.dtype} {images.shape}."
        )


def _add_errors(figure: go.Figure, points: np.ndarray, about: np.ndarray) -> None:
    """Add correct predictions and on top of them the errors, and the buttons that show these."""
    c, wrong = len(figure.data), about[:, 1] != about[:, 2]
    right = _dots(points, about, ~wrong, f"right ({(~wrong).sum():,})", plots.HIT, "circle")
    mistaken = _dots(points, about, wrong, f"mistaken ({wrong.sum():,})", plots.MISS, "x")
    figure.add_traces([dots.update(visible=False) for dots in (right, mistaken)])
    by_class = [True] * c + [False] * 2
    by_error = [False] * c + [True] * 2
    buttons = [
        {"label": f"colour by {name}", "method": "restyle", "args": [{"visible": shown}]}
        for name, shown in (("class", by_class), ("error", by_error))
    ]
    figure.update_layout(
        updatemenus=[
            {
                "type": "buttons",
                "direction": "right",
                "buttons": buttons,
                "bgcolor": "white",
                "x": 0,
                "xanchor": "left",
                "y": 1.01,
                "yanchor": "bottom",
                "pad": {"b": 4},
            }
        ]
    )


def _dots(
    points: np.ndarray, about: np.ndarray, which: np.ndarray, name: str, colour: str, symbol: str
) -> go.Scatter:
    """The points where `which` (n,) bool is true, as one entry of the legend."""
    return go.Scatter(
        x=points[which, 0], y=points[which, 1], customdata=about[which], mode="markers",
        name=name, hoverinfo="none",
        marker={"color": colour, "symbol": symbol, "size": 6, "opacity": 0.8, "line": EDGE},
    )  # fmt: skip


def _behaviour(images: np.ndarray, classes: Sequence[str]) -> str:
    """The JavaScript that shows a point's image, with the sprite sheet of all images in it."""
    n, tall, wide, channels = images.shape
    columns = int(np.ceil(np.sqrt(n)))
    rows = -(-n // columns)
    if max(rows * tall, columns * wide) > LARGEST:
        raise DataError(
            f"{n:,} images of {wide} × {tall} pixels do not fit on a sheet of {LARGEST:,} × "
            f"{LARGEST:,}. Show fewer of them, or make them smaller."
        )
    sheet = np.zeros((rows * columns, tall, wide, channels), np.uint8)
    sheet[:n] = images
    sheet = sheet.reshape(rows, columns, tall, wide, channels).transpose(0, 2, 1, 3, 4)
    sheet = sheet.reshape(rows * tall, columns * wide, channels)
    known = {
        "classes": [str(name) for name in classes],
        "wide": wide,
        "tall": tall,
        "columns": columns,
        "zoom": SHOWN / max(wide, tall),
        "source": webp_url(sheet, QUALITY),
    }
    text = json.dumps(known).replace("<", "\\u003c")  # no name may end the script
    return BEHAVIOUR.replace("{known}", text)


def webp_url(image: np.ndarray, quality: int) -> str:
    """Encode an image as a data URL, for an interactive map or quiz that needs no other file.

    Parameters
    ----------
    image : ndarray of shape (height, width, channels), uint8
        With 1 or 3 channels.
    quality : int
        Of WebP, 0 to 100.

    Returns
    -------
    str
        The URL, with the image compressed as WebP in it.
    """
    packed = io.BytesIO()
    single = image.squeeze(2) if image.shape[2] == 1 else image
    Image.fromarray(single).save(packed, "webp", quality=quality)
    return "data:image/webp;base64," + base64.b64encode(packed.getvalue()).decode()


def _class_positions(classes: Sequence[str], labels: np.ndarray, n: int, name: str) -> np.ndarray:
    labels = check_labels(labels, n, name)
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= len(classes):
        raise DataError(
            f"{name}: expected whole numbers from 0 to {len(classes) - 1}, positions in `classes`, "
            f"got {labels.dtype} from {labels.min()} to {labels.max()}."
        )
    return labels
