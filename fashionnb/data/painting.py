"""Painting garments: parts laid on the page from back to front, light on them, then the colours.

As in a computer game's renderer, what is painted first is not colour but what colour will be made of: how much of each
pixel the garment covers, how bright it is there, which material it is, and where on the cloth the point lies. The
colours come last, in one go.
"""

import numpy as np

from fashionnb.data import accessories, cuts, drawing
from fashionnb.data.fabrics import PATTERNS, palette, warmth, weave
from fashionnb.data.tailor import Cut, Part

CUTS = {
    "T-shirt/top": cuts.t_shirt,
    "Trouser": cuts.trouser,
    "Pullover": cuts.pullover,
    "Dress": cuts.dress,
    "Coat": cuts.coat,
    "Sandal": accessories.sandal,
    "Shirt": cuts.shirt,
    "Sneaker": accessories.sneaker,
    "Bag": accessories.bag,
    "Ankle boot": accessories.ankle_boot,
}
"""Who makes what, in the order of Fashion-MNIST's classes."""

CHANCES = 72
"""Random numbers that an item is made of: attributes, pose, cloth, cut."""
_POSE, _CLOTH, _CUT = 4, 10, 24  # where those of each kind begin

_PIXELS = 2**17  # painted at a time, so that a block stays in the processor's cache
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

    Introduced in chapter 01.

    Parameters
    ----------
    category : a key of `CUTS`. colour, pattern, season : (n,) int, numbers into `COLOURS`,
        `PATTERNS` and `SEASONS`. chances : (n, CHANCES) in [0, 1), all the randomness there is.
    shape : height and width in pixels. channels : 1 or 3. background : "white" or "black".

    Returns
    -------
    (n, height, width, channels) uint8. One picture does not depend on the others.
    """
    pictures = np.empty((len(chances), *shape, channels), np.uint8)
    step = max(1, _PIXELS // (shape[0] * shape[1]))
    for first in range(0, len(chances), step):
        some = slice(first, first + step)
        pictures[some] = _block(
            category, colour[some], pattern[some], season[some], chances[some], shape, channels, background
        )
    return pictures


def _block(category, colour, pattern, season, chances, shape, channels, background) -> np.ndarray:
    size = min(shape)
    cut = Cut(chances[:, _CUT:], warmth(season))
    CUTS[category](cut)
    pose = _pose(chances[:, _POSE:_CLOTH])
    u, v = _unplace(pose, shape)
    cover, shade, stuff = np.zeros_like(u), np.ones_like(u), {}
    cloth = u.copy(), v.copy()
    for part in cut.parts:
        outlines = _place(_outlines(part, size), pose, shape)
        window, corner = _window(outlines, drawing.reach(part.relief * size) if part.relief else 0, shape)
        seen, bright = cover[window], shade[window]
        inside = drawing.fill(outlines - corner, *seen.shape[1:])
        if part.material == "nothing":
            seen *= 1 - inside
            continue
        tone = part.tone[:, None, None]
        if part.relief:
            tone = tone * _relief(inside, bright, part.relief * size)
        bright += inside * (tone - bright)
        np.maximum(seen, inside, out=seen)
        if part.material != "fabric":
            stuff.setdefault(part.material, np.zeros_like(u))
        for name, weight in stuff.items():
            weight[window] += inside * (np.float32(name == part.material) - weight[window])
        if part.turn is not None or part.relief >= 0.03:  # the cloth of sleeves is turned, that of bodies straight
            _lay_cloth(cloth, window, inside > 0.5, u[window], v[window], part.turn)
    fold = _folds(cut, u, v, chances[:, _CLOTH:])
    shade *= 1 + fold
    colours = palette(colour, season, chances[:, _CLOTH + 3 : _CLOTH + 8])
    planes = _cloth(pattern, cloth[0] + 0.1 * fold, cloth[1], colours, chances[:, _CLOTH + 8 : _CUT], size)
    return _colour(cover, shade, planes, stuff, colours, channels, background)


def _outlines(part: Part, size: int) -> np.ndarray:
    """The part's outlines as fine closed curves (2, r, b, m), still in units of the picture."""
    _, r, b, k = part.points.shape
    steps = int(np.ceil(part.span * size)) + 1
    curves = drawing.smooth(part.points.reshape(2, r * b, k), part.sharp, steps, closed=part.width is None)
    if part.width is not None:
        curves = drawing.ribbon(curves, np.tile(np.broadcast_to(part.width, b), r).astype(np.float32))
    return curves.reshape(2, r, b, -1)


def _window(outlines, margin, shape):
    """The part of the picture that these outlines can touch: as a slice of (b, height, width), and its x, y corner."""
    low = np.floor(outlines.min(axis=(1, 2, 3))).astype(int) - margin
    high = np.ceil(outlines.max(axis=(1, 2, 3))).astype(int) + margin + 1
    left, top = np.clip(low, 0, [shape[1] - 1, shape[0] - 1])
    right, bottom = np.clip(high, [left + 1, top + 1], [shape[1], shape[0]])
    corner = np.float32([left, top])[:, None, None, None]
    return (slice(None), slice(top, bottom), slice(left, right)), corner


def _lay_cloth(cloth, window, here, u, v, turn) -> None:
    """Say where on the cloth the points of this part lie."""
    if turn is not None:
        cos, sin = (f(turn).astype(np.float32)[:, None, None] for f in (np.cos, np.sin))
        u = np.abs(u)
        u, v = u * cos - v * sin, u * sin + v * cos
    for plane, new in zip(cloth, (u, v), strict=True):
        np.copyto(plane[window], new, where=here)


def _pose(chances: np.ndarray) -> tuple[np.ndarray, ...]:
    """How the garment lies on the page: scale across and down, tilt, shift; each (b, 1)."""
    spread = (chances - 0.5).astype(np.float32)
    across, down, tilt, right, low = (spread[:, k : k + 1] for k in range(5))
    return 1 + 0.08 * across, 0.985 + 0.04 * down, 0.11 * tilt * np.abs(2 * tilt), 0.02 * right, 0.02 * low


def _place(outlines, pose, shape):
    """From garment units to pixels."""
    across, down, tilt, right, low = pose
    height, width = shape
    size = min(shape)
    x, y = outlines[0] * across, (outlines[1] - 0.5) * down
    cos, sin = np.cos(tilt), np.sin(tilt)
    return np.stack([width / 2 + size * (x * cos - y * sin + right), height / 2 + size * (x * sin + y * cos + low)])


def _unplace(pose, shape):
    """The garment coordinates of every pixel's centre: two arrays (b, height, width). The inverse of `_place`."""
    across, down, tilt, right, low = (number[:, :, None] for number in pose)
    height, width = shape
    x = ((np.arange(width, dtype=np.float32) + 0.5 - width / 2) / min(shape))[None, None, :] - right
    y = ((np.arange(height, dtype=np.float32) + 0.5 - height / 2) / min(shape))[None, :, None] - low
    u = (x * np.cos(tilt) + y * np.sin(tilt)) / across
    v = (y * np.cos(tilt) - x * np.sin(tilt)) / down + 0.5
    return u, v


def _relief(inside, shade, soft):
    """The brightness of a part that bulges like a cushion; it also casts a soft shadow on what lies behind."""
    height = drawing.blur(inside, soft)
    shade -= 0.34 * height * shade
    lit = np.empty_like(height)
    lit[:, 1:-1] = _LIGHT[1] * (height[:, 2:] - height[:, :-2])
    lit[:, [0, -1]] = 0
    lit[:, :, 1:-1] += _LIGHT[0] * (height[:, :, 2:] - height[:, :, :-2])
    return (0.82 + 0.18 * height) + (0.3 * soft) * lit


def _folds(cut, u, v, chances):
    """Soft folds, deeper and wider apart towards the hem; and knitted ribs."""
    deep, fan = (np.reshape(np.broadcast_to(x, len(u)), (-1, 1, 1)).astype(np.float32) for x in cut.folds)
    a, b, c = (chances[:, k].astype(np.float32)[:, None, None] for k in range(3))
    across = u / (1 + fan * np.maximum(v - 0.42, 0))
    wave = np.sin((34 + 16 * a) * across + 5 * (b - 0.5) * v + 6.3 * c) + 0.7 * np.sin((17 + 9 * b) * across - 7 * (a - 0.3) * v + 6.3 * a)
    fold = deep * wave * np.clip(2.2 * v - 0.5, 0.1, 1)
    if np.any(cut.rib):
        often = min(150.0, 2.2 * u.shape[2])  # radians; finer than the pixels can hold would only glitter
        fold += np.reshape(cut.rib, (-1, 1, 1)).astype(np.float32) * np.sin(often * u)
    return fold


def _cloth(pattern, u, v, colours, chances, size):
    """The colour of the cloth at every point: three planes (b, height, width), or (b, 1, 1) where all are plain."""
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


def _colour(cover, shade, cloth, stuff, colours, channels, background):
    """From what was painted to pixels."""
    ground = np.float32(255 if background == "white" else 0)
    if background == "white":  # the garment's own shadow on the page
        size = min(cover.shape[1:])
        ground = 255 - 30 * np.roll(drawing.blur(cover, 0.022 * size), max(1, round(0.014 * size)), axis=1)
    gleam = 24 * (shade - 0.86)  # so that black cloth shows its folds as well
    planes = []
    for k in range(3):
        plane = cloth[k] + np.zeros_like(shade) if cloth[k].shape != shade.shape else cloth[k]
        for name, weight in stuff.items():
            plane = plane + weight * (colours[name][:, k, None, None] - plane)
        plane = plane * shade + gleam
        planes.append(plane)
    if channels == 1:
        grey = 0.299 * planes[0] + 0.587 * planes[1] + 0.114 * planes[2]
        planes = [255 - 0.82 * grey if background == "black" else grey]
    picture = np.empty((*cover.shape, channels), np.uint8)
    for k, plane in enumerate(planes):
        plane = np.clip(plane, 0, 255)
        picture[..., k] = np.rint(ground + cover * (plane - ground))
    return picture
