"""Geometry of drawn garments: smooth curves, filled outlines and blur, for many images at once.

An outline is a few control points. `smooth` turns them into a fine closed curve, `ribbon` into a
band along an open one, and `fill` into coverage: the share of each pixel that lies inside, so that
edges are anti-aliased. Everything works on a block of `b` drawings, and the result for one drawing
does not depend on the others in the block.
"""

from functools import cache

import numpy as np
from scipy import ndimage


def smooth(points: np.ndarray, sharp: np.ndarray, steps: int, closed: bool = True) -> np.ndarray:
    """Draw a smooth curve through control points: a Hermite spline with Catmull–Rom tangents.

    Parameters
    ----------
    points : ndarray of shape (2, b, k), float
        x and y, in any unit.
    sharp : ndarray of shape (k,), bool
        True where the curve has a corner.
    steps : int
        Points of the result for each span between two control points.
    closed : bool
        Whether the last point is joined to the first.

    Returns
    -------
    ndarray of shape (2, b, k * steps), float32
        For an open curve of shape (2, b, (k - 1) * steps + 1).
    """
    points = np.asarray(points, np.float32)
    if not closed:
        sharp = sharp.copy()
        sharp[[0, -1]] = True
    chord = np.roll(points, -1, axis=2) - points
    length = np.sqrt(chord[0] ** 2 + chord[1] ** 2) + np.float32(1e-6)
    ahead = chord / length
    behind, before = np.roll(ahead, 1, axis=2), np.roll(length, 1, axis=1)
    tangent = (before * ahead + length * behind) / (before + length)
    leave = np.where(sharp, ahead, tangent) * length
    arrive = np.where(np.roll(sharp, -1), ahead, np.roll(tangent, -1, axis=2)) * length
    t = np.arange(steps, dtype=np.float32) / steps
    curve = (
        points[..., None]
        + (t * t * (3 - 2 * t)) * chord[..., None]
        + (t * (1 - t) ** 2) * leave[..., None]
        + (t * t * (t - 1)) * arrive[..., None]
    )
    curve = curve.reshape(2, points.shape[1], -1)
    return curve if closed else curve[..., : curve.shape[2] - steps + 1]


def ribbon(line: np.ndarray, width: np.ndarray | float) -> np.ndarray:
    """Outline a band along an open curve: a closed curve, half the width away on either side.

    Parameters
    ----------
    line : ndarray of shape (2, b, m)
        x and y.
    width : float or ndarray of shape (b,)
        Of the band.

    Returns
    -------
    ndarray of shape (2, b, 2 * m)
        x and y, along one side and back along the other.
    """
    x, y = np.gradient(line, axis=2)
    half = np.reshape(width, (-1, 1)) / (2 * np.sqrt(x * x + y * y) + np.float32(1e-6))
    aside = np.stack([-y * half, x * half])
    return np.concatenate([line + aside, (line - aside)[..., ::-1]], axis=2)


def fill(outlines: np.ndarray, height: int, width: int) -> np.ndarray:
    """Fill closed curves: compute how much of each pixel lies inside these outlines.

    As in font renderers, each short edge adds its width to the pixel that it passes through, split
    by its height in the pixel. A cumulative sum down the column then counts each pixel below an
    upper edge as inside, until the lower edge subtracts it.

    Parameters
    ----------
    outlines : ndarray of shape (2, r, b, m)
        x and y in pixels: r closed curves for each of b drawings, with edges not much longer than a
        pixel. Curves of the same orientation are united.
    height, width : int
        Of the image, in pixels.

    Returns
    -------
    ndarray of shape (b, height, width), float32
        From 0 (outside) to 1 (inside).
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
    inside = np.abs(area[:height, :, :width].cumsum(0).transpose(1, 0, 2))
    return np.minimum(np.ascontiguousarray(inside, np.float32), 1)


def blur(field: np.ndarray, sigma: float) -> np.ndarray:
    """Blur filled curves by a Gaussian, with the same bits on every machine.

    It computes with integers (1023 to the unit), which float32 adds without rounding, so the order
    of a sum does not matter, nor does the window that is blurred.

    Parameters
    ----------
    field : ndarray of shape (b, height, width)
        Values 0 to 1; outside they are 0.
    sigma : float
        In pixels; the kernel is cut off at `reach(sigma)`.

    Returns
    -------
    ndarray of shape (b, height, width), float32
        Values 0 to 1.
    """
    _, height, width = field.shape
    once = np.rint(field * 1023) @ _gauss(width, sigma)
    twice = _gauss(height, sigma) @ np.rint(once * np.float32(1 / 4096))
    return twice * np.float32(1 / 4096 / 1023)


def reach(sigma: float) -> int:
    """Return the radius of the kernel with which filled curves are blurred.

    Parameters
    ----------
    sigma : float
        Of the Gaussian, in pixels.

    Returns
    -------
    int
        In pixels.
    """
    return int(np.ceil(2.7 * sigma))


@cache
def _gauss(n: int, sigma: float) -> np.ndarray:
    """The matrix (n, n) that blurs a line of n pixels, in 4096ths."""
    taps = np.arange(-reach(sigma), reach(sigma) + 1)
    kernel = np.exp(-0.5 * (taps / sigma) ** 2)
    kernel = np.rint(4096 * kernel / kernel.sum())
    kernel[len(taps) // 2] += 4096 - kernel.sum()
    return ndimage.convolve1d(np.eye(n, dtype=np.float32), kernel, mode="constant")
