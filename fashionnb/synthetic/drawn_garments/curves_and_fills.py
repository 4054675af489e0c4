"""Curves, filled outlines and blur, for many pictures at once: the pencil of the `atelier`.

An outline is a few control points; `smooth` turns them into a fine closed curve, `ribbon` into a band along an open
one, and `fill` into coverage: for each pixel, how much of it lies inside (so edges are soft, never jagged). Everything
works on a block of `b` drawings together, and what comes out for one drawing does not depend on its neighbours in the
block. It knows nothing of clothes; those are in `fashionnb.synthetic.drawn_garments.clothes`.
"""

from functools import cache

import numpy as np


def smooth(points: np.ndarray, sharp: np.ndarray, steps: int, closed: bool = True) -> np.ndarray:
    """A curve through control points: a cubic Hermite spline with the tangents of Catmull and Rom.

    Introduced in chapter 01.

    Parameters
    ----------
    points : (2, b, k) float, x and y, any unit. sharp : (k,) bool, True where the curve has a corner instead of a bend.
    steps : points of the result for each span between two control points.
    closed : whether the last point leads back to the first.

    Returns
    -------
    (2, b, k * steps) float32 for a closed curve, (2, b, (k - 1) * steps + 1) for an open one.
    """
    points = np.asarray(points, np.float32)
    if not closed:
        sharp = sharp.copy()
        sharp[[0, -1]] = True
    k = points.shape[2]
    last, following = np.arange(-1, k - 1), np.arange(1, k + 1) % k
    chord = points[..., following] - points
    length = np.sqrt(chord[0] ** 2 + chord[1] ** 2) + np.float32(1e-6)
    ahead = chord / length
    behind, before = ahead[..., last], length[:, last]
    tangent = (before * ahead + length * behind) / (before + length)
    leave = np.where(sharp, ahead, tangent) * length
    arrive = np.where(sharp[following], ahead, tangent[..., following]) * length
    t = np.arange(steps, dtype=np.float32) / steps
    curve = points[..., None] + (t * t * (3 - 2 * t)) * chord[..., None]
    curve += (t * (1 - t) ** 2) * leave[..., None]
    curve += (t * t * (t - 1)) * arrive[..., None]
    curve = curve.reshape(2, points.shape[1], -1)
    return curve if closed else curve[..., : (k - 1) * steps + 1]


def ribbon(line: np.ndarray, width: np.ndarray | float) -> np.ndarray:
    """The closed outline (2, b, 2 * m) of a band of this width, a number or (b,), along an open line (2, b, m)."""
    x, y = np.gradient(line, axis=2)
    half = np.reshape(width, (-1, 1)) / (2 * np.sqrt(x * x + y * y) + np.float32(1e-6))
    aside = np.stack([-y * half, x * half])
    return np.concatenate([line + aside, (line - aside)[..., ::-1]], axis=2)


def fill(outlines: np.ndarray, height: int, width: int) -> np.ndarray:
    """How much of each pixel lies inside the outlines.

    Each short edge of an outline adds its width to the pixel it passes through, split by how high in the pixel it
    passes; a running sum down the column then counts every pixel below an upper edge as inside, until the lower edge
    takes it back. Font renderers work in this way.

    Parameters
    ----------
    outlines : (2, r, b, m) in pixels, x and y: r closed curves for each of b drawings, their edges not much longer than
        a pixel. Curves that turn the same way unite.

    Returns
    -------
    (b, height, width) float32, 0 outside to 1 inside.
    """
    x0, y0 = start = outlines.astype(np.float64)
    x1, y1 = start[..., np.arange(1, start.shape[-1] + 1) % start.shape[-1]]
    b = outlines.shape[2]
    y = np.clip((y0 + y1) / 2, 0, height)
    x0, x1 = np.clip(x0, 0, width), np.clip(x1, 0, width)
    row, left = y.astype(np.int64), np.floor(np.minimum(x0, x1))
    below = y - row
    cell = (row * b + np.arange(b)[:, None]) * (width + 1) + left.astype(np.int64)
    line = b * (width + 1)
    places, weights = [], []
    for column in range(int(np.abs(x1 - x0).max(initial=0)) + 2):
        side = left + column
        run = np.clip(x1, side, side + 1) - np.clip(x0, side, side + 1)
        lower = run * below
        places += [cell + column, cell + (column + line)]
        weights += [run - lower, lower]
    places, weights = np.concatenate(places, axis=None), np.concatenate(weights, axis=None)
    size = (height + 2) * line
    area = np.bincount(places, weights, minlength=size)[:size].reshape(height + 2, b, width + 1)
    for down in range(1, height):
        area[down] += area[down - 1]
    inside = np.empty((b, height, width), np.float32)
    np.abs(area[:height, :, :width].transpose(1, 0, 2), out=inside, casting="same_kind")
    return np.minimum(inside, 1, out=inside)


def blur(field: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian blur of (b, height, width), values 0 to 1, by `sigma` pixels, cut off at `reach(sigma)`; zeros around.

    It counts in whole numbers (1023 to the unit), which float32 adds without rounding. So the result is the same to
    the last bit whatever the order of the sum: on every machine, and for every window that holds the drawing.
    """
    _, height, width = field.shape
    down, across = _gauss(height, sigma), _gauss(width, sigma)
    once = np.rint(field * 1023) @ across
    once *= np.float32(1 / 4096)
    twice = down @ np.rint(once, out=once)
    twice *= np.float32(1 / 4096 / 1023)
    return twice


def reach(sigma: float) -> int:
    """How many pixels away `blur` still puts something."""
    return int(np.ceil(2.7 * sigma))


@cache
def _gauss(n: int, sigma: float) -> np.ndarray:
    """The matrix (n, n) that blurs a line of n pixels, in 4096ths."""
    taps = np.arange(-reach(sigma), reach(sigma) + 1)
    kernel = np.exp(-0.5 * (taps / sigma) ** 2)
    kernel = np.rint(4096 * kernel / kernel.sum())
    kernel[len(taps) // 2] += 4096 - kernel.sum()
    matrix = np.zeros((n, n), np.float32)
    for tap, weight in zip(taps, kernel, strict=True):
        matrix += np.eye(n, k=int(tap), dtype=np.float32) * np.float32(weight)
    return matrix
