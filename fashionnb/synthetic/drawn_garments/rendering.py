"""Render drawn garments: parts from back to front, light on them, then the colours.

As in deferred shading, the first pass computes what the colour depends on: how much of each pixel
the garment covers, how bright it is there, its material, and its coordinates on the fabric. The
colours follow in a second pass.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from fashionnb.synthetic.drawn_garments import clothes, curves_and_fills, shoes_and_bags
from fashionnb.synthetic.drawn_garments.fabrics import PATTERNS, palette, warmth, weave
from fashionnb.synthetic.drawn_garments.garment_parts import Cut, Part

CUTS = {
    "T-shirt/top": clothes.t_shirt,
    "Trouser": clothes.trouser,
    "Pullover": clothes.pullover,
    "Dress": clothes.dress,
    "Coat": clothes.coat,
    "Sandal": shoes_and_bags.sandal,
    "Shirt": clothes.shirt,
    "Sneaker": shoes_and_bags.sneaker,
    "Bag": shoes_and_bags.bag,
    "Ankle boot": shoes_and_bags.ankle_boot,
}
"""Category -> the function that adds its parts, in the order of Fashion-MNIST's classes."""

CHANCES = 72
"""How many random numbers make an item: attributes, pose, fabric, shape."""
_POSE, _CLOTH, _CUT = 4, 10, 24  # where those of pose, fabric and shape begin

_PAINTED = 2**18  # pixels painted at a time, so that a block stays in the processor's cache
_CUT_OUT = 2**21  # pixels whose outlines are made at a time, so that Python's own work is shared
_LIGHT = (0.5, 0.8)  # from the upper left


def paint(
    category: str,
    colour: np.ndarray,
    pattern: np.ndarray,
    season: np.ndarray,
    chances: np.ndarray,
    shape: tuple[int, int],
    channels: int = 3,
    background: str = "white",
) -> np.ndarray:
    """Paint garments of one category.

    Parameters
    ----------
    category : str
        A key of `CUTS`.
    colour, pattern, season : ndarray of shape (n,), int
        Positions in `COLOURS`, `PATTERNS` and `SEASONS`.
    chances : ndarray of shape (n, CHANCES)
        Random numbers in [0, 1); there is no other randomness.
    shape : (int, int)
        Height and width in pixels.
    channels : int
        1 or 3.
    background : str
        "white" or "black".

    Returns
    -------
    ndarray of shape (n, height, width, channels), uint8
        One image does not depend on the others.
    """
    pictures = np.empty((len(chances), *shape, channels), np.uint8)
    pixels = shape[0] * shape[1]
    for group in _slices(len(chances), _CUT_OUT // pixels):
        cut = Cut(chances[group, _CUT:], warmth(season[group]))
        CUTS[category](cut)
        pose = _pose(chances[group, _POSE:_CLOTH])
        parts = [_lay_out(part, pose, shape) for part in cut.parts]
        cloth = chances[group, _CLOTH:_CUT].astype(np.float32)
        colours = palette(colour[group], season[group], cloth[:, 3:8])
        folds = [np.full(len(cloth), number, np.float32) for number in (*cut.folds, cut.rib)]
        for block in _slices(len(cloth), _PAINTED // pixels):
            u, v = _unplace([number[block] for number in pose], shape)
            dyes = {name: values[block] for name, values in colours.items()}
            page = _paint_parts(parts, block, u, v, dyes)
            fold = _folds([number[block] for number in folds], u, v, cloth[block])
            page["bright"] *= 1 + fold
            u, v = page["u"] + 0.1 * fold, page["v"]  # stripes follow the folds
            planes = _cloth(pattern[group][block], u, v, dyes, cloth[block, 8:], min(shape))
            pictures[group][block] = _finish(page, planes, channels, background)
    return pictures


def _slices(n: int, step: int) -> Iterator[slice]:
    """Slices of at most `step` (and at least 1) that make up `range(n)`."""
    step = max(1, step)
    return (slice(first, min(first + step, n)) for first in range(0, n, step))


def _lay_out(part: Part, pose, shape) -> Part:
    """The part with fine closed outlines (2, r, b, m) in pixels instead of control points."""
    size = min(shape)
    _, r, b, k = part.points.shape
    steps = int(np.ceil(part.span * size)) + 1
    curves = curves_and_fills.smooth(
        part.points.reshape(2, r * b, k), part.sharp, steps, closed=part.width is None
    )
    if part.width is not None:
        curves = curves_and_fills.ribbon(curves, np.tile(part.width, r))
    across, down, tilt, right, low = (number[part.who] for number in pose)
    x, y = curves.reshape(2, r, b, -1)
    x, y = x * across, (y - 0.5) * down
    cos, sin = np.cos(tilt), np.sin(tilt)
    height, width = shape
    x, y = (
        width / 2 + size * (x * cos - y * sin + right),
        height / 2 + size * (x * sin + y * cos + low),
    )
    return replace(part, points=np.stack([x, y]))


def _paint_parts(parts, block, u, v, colours) -> dict[str, np.ndarray]:
    """Paint all parts of a block of garments, from back to front.

    The result has fields of shape (b, height, width): `cover`, the share of a pixel that is
    garment; `bright`, its brightness; `u` and `v`, its coordinates on the fabric; `cloth`, the
    share that is fabric; and `red`, `green`, `blue`, the colour of the rest, times its share.
    """
    size = min(u.shape[1:])
    page = {name: np.zeros_like(u) for name in ("cover", "red", "green", "blue")}
    page |= {"bright": np.ones_like(u), "cloth": np.ones_like(u), "u": u.copy(), "v": v.copy()}
    for part in parts:
        part = part.some(block)
        if not part.points.size:
            continue
        rows, columns, corner = _window(
            part.points, curves_and_fills.reach(part.relief * size), u.shape[1:]
        )
        inside = curves_and_fills.fill(
            part.points - corner, rows.stop - rows.start, columns.stop - columns.start
        )
        here = (part.who, rows, columns)
        piece = {name: field[here] for name, field in page.items()}
        _add(piece, part, inside, u[here], v[here], colours, size)
        if not isinstance(part.who, slice):  # then the piece is a copy
            for name, field in piece.items():
                page[name][here] = field
    return page


def _add(page, part, inside, u, v, colours, size) -> None:
    """Paint one part, which covers `inside` of each pixel, over this piece of the page."""
    behind = 1 - inside
    if part.material == "nothing":
        page["cover"] *= behind
        return
    light = part.tone[:, None, None]
    if part.relief:
        light = light * _relief(inside, page["bright"], part.relief * size)
    page["bright"] += inside * (light - page["bright"])
    np.maximum(page["cover"], inside, out=page["cover"])
    for name in ("cloth", "red", "green", "blue"):
        page[name] *= behind
    if part.material == "fabric":
        page["cloth"] += inside
    else:
        for name, value in zip(
            ("red", "green", "blue"), colours[part.material][part.who].T, strict=True
        ):
            page[name] += inside * value[:, None, None]
    if part.turn is not None:  # the cloth of sleeves is turned ...
        cos, sin = (f(part.turn)[:, None, None] for f in (np.cos, np.sin))
        u, v = np.abs(u) * cos - v * sin, np.abs(u) * sin + v * cos
    if (
        part.turn is not None or part.relief >= 0.03
    ):  # ... that of bodies straight; small parts keep it
        mostly = inside > 0.5
        np.copyto(page["u"], u, where=mostly)
        np.copyto(page["v"], v, where=mostly)


def _window(outlines, margin, shape):
    """The rows and columns that these outlines can touch, and their first corner (x, y)."""
    low = np.floor(outlines.min(axis=(1, 2, 3))).astype(int) - margin
    high = np.ceil(outlines.max(axis=(1, 2, 3))).astype(int) + margin + 1
    left, top = np.clip(low, 0, [shape[1] - 1, shape[0] - 1])
    right, bottom = np.clip(high, [left + 1, top + 1], [shape[1], shape[0]])
    return slice(top, bottom), slice(left, right), np.float32([left, top])[:, None, None, None]


def _pose(chances: np.ndarray) -> tuple[np.ndarray, ...]:
    """How the garment lies on the page: scale across and down, tilt, shift; each (b, 1)."""
    spread = (chances - 0.5).astype(np.float32)
    across, down, tilt, right, low = (spread[:, k : k + 1] for k in range(5))
    return (
        1 + 0.08 * across,
        0.985 + 0.04 * down,
        0.11 * tilt * np.abs(2 * tilt),
        0.02 * right,
        0.02 * low,
    )


def _unplace(pose, shape):
    """The garment coordinates of each pixel's centre, two (b, height, width); undoes `_lay_out`."""
    across, down, tilt, right, low = (number[:, :, None] for number in pose)
    height, width = shape
    x = ((np.arange(width, dtype=np.float32) + 0.5 - width / 2) / min(shape))[None, None, :] - right
    y = ((np.arange(height, dtype=np.float32) + 0.5 - height / 2) / min(shape))[None, :, None] - low
    u = (x * np.cos(tilt) + y * np.sin(tilt)) / across
    v = (y * np.cos(tilt) - x * np.sin(tilt)) / down + 0.5
    return u, v


def _relief(inside, bright, soft):
    """The light on a part that bulges; it also casts a soft shadow on what is behind (`bright`)."""
    height = curves_and_fills.blur(inside, soft)
    bright *= 1 - 0.34 * height
    light = 0.82 + 0.18 * height
    height *= 0.3 * soft
    light[:, 1:-1] += _LIGHT[1] * (height[:, 2:] - height[:, :-2])
    light[:, :, 1:-1] += _LIGHT[0] * (height[:, :, 2:] - height[:, :, :-2])
    return light


def _folds(folds, u, v, chances):
    """Soft folds, deeper and wider apart towards the hem; and knitted ribs."""
    deep, fan, rib = (number[:, None, None] for number in folds)
    a, b, c = (chances[:, k, None, None] for k in range(3))
    across = u / (1 + fan * np.maximum(v - 0.42, 0))
    fold = np.sin((34 + 16 * a) * across + (5 * (b - 0.5)) * v + 6.3 * c)
    fold += 0.7 * np.sin((17 + 9 * b) * across - (7 * (a - 0.3)) * v + 6.3 * a)
    fold *= deep * np.clip(2.2 * v - 0.5, 0.1, 1)
    if rib.any():
        often = min(150.0, 2.2 * min(u.shape[1:]))  # radians; no finer than the pixels
        fold += rib * np.sin(often * u)
    return fold


def _cloth(pattern, u, v, colours, chances, size):
    """The colour of the fabric: three planes (b, height, width), or (b, 1, 1) if all are solid."""
    fabric, accent = colours["fabric"], colours["accent"]
    planes = [fabric[:, k, None, None] for k in range(3)]
    if not pattern.any():
        return planes
    planes = [np.broadcast_to(plane, u.shape).copy() for plane in planes]
    for number in np.unique(pattern[pattern > 0]):
        some = np.flatnonzero(pattern == number)
        second, third = weave(PATTERNS[number], u[some], v[some], chances[some], size)
        for k in range(3):
            own, other = fabric[some, k, None, None], accent[some, k, None, None]
            mixed = own + second * (other - own)
            planes[k][some] = mixed + third * (0.7 * own - mixed)
    return planes


def _finish(page, planes, channels, background):
    """Compute the pixels from the painted fields."""
    gleam = 42 * (page["bright"] - 0.93)  # so that folds of black fabric can be seen
    planes = [plane * page["cloth"] for plane in planes]
    for plane, other in zip(planes, ("red", "green", "blue"), strict=True):
        plane += page[other]
        plane *= page["bright"]
        plane += gleam
    if channels == 1:
        grey = 0.299 * planes[0] + 0.587 * planes[1] + 0.114 * planes[2]
        planes = [255 - 0.82 * grey if background == "black" else grey]
    beside = 1 - page["cover"]
    if background == "white":  # the garment's own shadow on the page
        size = min(page["cover"].shape[1:])
        shadow = curves_and_fills.blur(page["cover"], 0.022 * size)
        beside *= 255 - 30 * np.roll(shadow, max(1, round(0.014 * size)), axis=1)
    else:
        beside *= 0
    picture = np.empty((*page["cover"].shape, channels), np.uint8)
    for k, plane in enumerate(planes):
        np.clip(plane, 0, 255, out=plane)
        plane *= page["cover"]
        plane += beside
        picture[..., k] = np.rint(plane, out=plane)
    return picture
