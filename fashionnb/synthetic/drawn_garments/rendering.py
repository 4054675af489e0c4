"""Render drawn garments: parts from back to front, light on them, then the colours.

As in deferred shading, the first pass computes what the colour depends on: how much of each pixel
the garment covers, how bright it is there, its material, and its coordinates on the fabric. The
colours follow in a second pass.
"""

from collections.abc import Mapping

import numpy as np

from fashionnb.synthetic.drawn_garments import clothes, curves_and_fills, shoes_and_bags
from fashionnb.synthetic.drawn_garments.fabrics import PATTERNS, WARMTH, palette, weave
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
"""Category -> the function that returns its parts, in the order of Fashion-MNIST's classes."""

CHANCES = 72
"""How many random numbers make an item: attributes, pose, fabric, shape."""
_POSE, _CLOTH, _CUT = 4, 10, 24  # where those of pose, fabric and shape begin

_PAINTED = 2**19  # pixels painted at a time, so that a block stays in the processor's cache
_LIGHT = (0.5, 0.8)  # from the upper left


def paint(
    chosen: Mapping[str, np.ndarray],
    chances: np.ndarray,
    shape: tuple[int, int],
    channels: int = 3,
    background: str = "white",
) -> np.ndarray:
    """Render drawn garments as images: their parts, the light on them, then the colours.

    Parameters
    ----------
    chosen : mapping of str to ndarray of shape (n,), int
        The "category", "colour", "pattern" and "season" of each: positions in `CUTS`, `COLOURS`,
        `PATTERNS` and `SEASONS`.
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
    step = max(1, _PAINTED // (shape[0] * shape[1]))
    for number, draw in enumerate(CUTS.values()):
        rows = np.flatnonzero(chosen["category"] == number)
        for start in range(0, len(rows), step):
            block = rows[start : start + step]
            colour, pattern, season = (
                chosen[name][block] for name in ("colour", "pattern", "season")
            )
            cut = Cut(iter(chances[block, _CUT:].T), WARMTH[season])
            cloth = chances[block, _CLOTH:_CUT].astype(np.float32)
            colours = palette(colour, season, cloth[:, 3:8])
            pose = _pose(chances[block, _POSE:_CLOTH])
            places = _unplaced(pose, shape)
            page = _paint_parts(draw(cut), pose, places, colours)
            fold = _folds(cut, *places, cloth)
            page["bright"] *= 1 + fold
            page["place"][0] += 0.1 * fold  # stripes follow the folds
            planes = _cloth(pattern, page["place"], colours, cloth[:, 8:], min(shape))
            pictures[block] = _finish(page, planes, channels, background)
    return pictures


def _outlines(part: Part, who: np.ndarray | slice, pose, shape) -> np.ndarray:
    """The fine closed outlines (2, r, b, m) of a part in pixels, from its control points."""
    size, b = min(shape), len(pose[0])
    points = part.points(b)[:, :, who]
    _, r, some, k = points.shape
    sharp = np.array([len(point) > 2 for point in part.rings[0]])
    curves = curves_and_fills.smooth(
        points.reshape(2, r * some, k),
        sharp,
        steps=int(np.ceil(part.span * size)) + 1,
        closed=part.width is None,
    )
    if part.width is not None:
        widths = np.full(b, part.width, np.float32)[who]
        curves = curves_and_fills.ribbon(curves, np.tile(widths, r))
    across, down, tilt, right, low = (number[who] for number in pose)
    x, y = curves.reshape(2, r, some, -1)
    x, y = x * across, (y - 0.5) * down
    cos, sin = np.cos(tilt), np.sin(tilt)
    height, width = shape
    return np.stack(
        [
            width / 2 + size * (x * cos - y * sin + right),
            height / 2 + size * (x * sin + y * cos + low),
        ]
    )


def _paint_parts(parts, pose, places, colours) -> dict[str, np.ndarray]:
    """Paint all parts of a block of garments, from back to front.

    The result has fields of shape (..., b, height, width): `cover`, the share of a pixel that is
    garment; `bright`, its brightness; `place`, its two coordinates on the fabric; `cloth`, the
    share that is fabric; and `rest`, the colour (red, green, blue) of the rest, times its share.
    """
    block, shape = places.shape[1:], places.shape[2:]
    page = {
        "cover": np.zeros(block, np.float32),
        "bright": np.ones(block, np.float32),
        "place": places.copy(),
        "cloth": np.ones(block, np.float32),
        "rest": np.zeros((3, *block), np.float32),
    }
    for part in parts:
        if not np.any(part.show):
            continue
        who = slice(None) if part.show is True else np.flatnonzero(part.show)
        outlines = _outlines(part, who, pose, shape)
        margin = curves_and_fills.reach(part.relief * min(shape))
        rows, columns, corner = _window(outlines, margin, shape)
        inside = curves_and_fills.fill(
            outlines - corner, rows.stop - rows.start, columns.stop - columns.start
        )
        here = (..., who, rows, columns)
        piece = {name: field[here] for name, field in page.items()}
        _add(piece, part, who, inside, places[here], colours, min(shape))
        if part.show is not True:  # then the piece is a copy
            for name, field in piece.items():
                page[name][here] = field
    return page


def _add(page, part, who, inside, places, colours, size) -> None:
    """Paint one part, which covers `inside` of each pixel, over this piece of the page."""
    behind = 1 - inside
    if part.material == "nothing":
        page["cover"] *= behind
        return
    light = np.float32(part.tone)
    if part.relief:
        light = light * _relief(inside, page["bright"], part.relief * size)
    page["bright"] += inside * (light - page["bright"])
    np.maximum(page["cover"], inside, out=page["cover"])
    page["cloth"] *= behind
    page["rest"] *= behind
    if part.material == "fabric":
        page["cloth"] += inside
    else:
        page["rest"] += inside * colours[part.material][who].T[:, :, None, None]
    if part.turn is not None:  # the cloth of sleeves is turned ...
        turn = part.turn.astype(np.float32)[who, None, None]
        cos, sin = np.cos(turn), np.sin(turn)
        u, v = np.abs(places[0]), places[1]
        places = np.stack([u * cos - v * sin, u * sin + v * cos])
    if part.turn is not None or part.relief >= 0.03:  # ... that of bodies straight
        np.copyto(page["place"], places, where=inside > 0.5)


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


def _unplaced(pose, shape) -> np.ndarray:
    """The garment coordinates of each pixel's centre, (2, b, height, width), on an even page."""
    across, down, tilt, right, low = (number[:, :, None] for number in pose)
    height, width = shape
    x = ((np.arange(width, dtype=np.float32) + 0.5 - width / 2) / min(shape))[None, None, :] - right
    y = ((np.arange(height, dtype=np.float32) + 0.5 - height / 2) / min(shape))[None, :, None] - low
    u = (x * np.cos(tilt) + y * np.sin(tilt)) / across
    return np.stack([u, (y * np.cos(tilt) - x * np.sin(tilt)) / down + 0.5])


def _relief(inside, bright, soft):
    """The light on a part that bulges; it also casts a soft shadow on what is behind (`bright`)."""
    height = curves_and_fills.blur(inside, soft)
    bright *= 1 - 0.34 * height
    light = 0.82 + 0.18 * height
    height *= 0.3 * soft
    light[:, 1:-1] += _LIGHT[1] * (height[:, 2:] - height[:, :-2])
    light[:, :, 1:-1] += _LIGHT[0] * (height[:, :, 2:] - height[:, :, :-2])
    return light


def _folds(cut, u, v, chances):
    """Soft folds, deeper and wider apart towards the hem; and knitted ribs."""
    deep, fan, rib = (
        np.full(len(u), number, np.float32)[:, None, None] for number in (*cut.folds, cut.rib)
    )
    a, b, c = (chances[:, k, None, None] for k in range(3))
    across = u / (1 + fan * np.maximum(v - 0.42, 0))
    fold = np.sin((34 + 16 * a) * across + (5 * (b - 0.5)) * v + 6.3 * c)
    fold += 0.7 * np.sin((17 + 9 * b) * across - (7 * (a - 0.3)) * v + 6.3 * a)
    fold *= deep * np.clip(2.2 * v - 0.5, 0.1, 1)
    if rib.any():
        often = min(150.0, 2.2 * min(u.shape[1:]))  # radians; no finer than the pixels
        fold += rib * np.sin(often * u)
    return fold


def _cloth(pattern, places, colours, chances, size):
    """The colour of the fabric: three planes, (3, b, height, width)."""
    fabric, accent = (colours[name].T[:, :, None, None] for name in ("fabric", "accent"))
    planes = np.broadcast_to(fabric, (3, *places.shape[1:])).copy()
    for number in np.unique(pattern[pattern > 0]):
        some = np.flatnonzero(pattern == number)
        second, third = weave(PATTERNS[number], *places[:, some], chances[some], size)
        mixed = fabric[:, some] + second * (accent[:, some] - fabric[:, some])
        planes[:, some] = mixed + third * (0.7 * fabric[:, some] - mixed)
    return planes


def _finish(page, planes, channels, background):
    """Compute the pixels (b, height, width, channels) from the painted fields."""
    cover, bright = page["cover"], page["bright"]
    planes = (planes * page["cloth"] + page["rest"]) * bright
    planes += 42 * (bright - 0.93)  # a gleam, so that folds of black fabric can be seen
    if channels == 1:
        grey = 0.299 * planes[0] + 0.587 * planes[1] + 0.114 * planes[2]
        planes = (255 - 0.82 * grey if background == "black" else grey)[None]
    planes = np.clip(planes, 0, 255) * cover
    if background == "white":  # with the garment's own shadow on the page
        size = min(cover.shape[1:])
        shadow = np.roll(curves_and_fills.blur(cover, 0.022 * size), max(1, round(0.014 * size)), 1)
        planes += (1 - cover) * (255 - 30 * shadow)
    return np.rint(planes).astype(np.uint8).transpose(1, 2, 3, 0)
