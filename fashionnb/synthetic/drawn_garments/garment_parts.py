"""Parts of drawn garments: outlines, lines and dots, which are painted from back to front.

Coordinates: x from -0.5 (left) to 0.5, y from 0 (top) to 1. A number is one for all garments of a
block, or an array with one for each. The garments themselves are in `clothes` and `shoes_and_bags`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

Number = float | np.ndarray
Point = tuple[Number, Number] | tuple[Number, Number, bool]
SHARP = True  # as third entry of a control point: a corner


@dataclass(frozen=True)
class Part:
    """Part of a drawn garment: one painted layer, for a block of b garments.

    Parameters
    ----------
    rings : sequence of sequences of points
        Control points of one or more outlines.
    width : float or ndarray of shape (b,), optional
        Of a line; None for a filled outline.
    material : str
        "fabric", or a name of the palette, or "nothing" for a hole.
    tone : float or ndarray of shape (b,)
        Brightness; 1 leaves it as it is.
    relief : float
        How softly the part bulges, in units of the image; 0 is flat.
    turn : ndarray of shape (b,), optional
        Radians by which the fabric is turned, mirrored left and right, for sleeves.
    both : bool
        Whether there is a mirror image, too.
    show : True or ndarray of shape (b,), bool
        Which garments have this part.
    span : float
        About the longest distance of two control points, in units of the image.
    """

    rings: Sequence[Sequence[Point]]
    width: Number | None = None
    material: str = "fabric"
    tone: Number = 1.0
    relief: float = 0.0
    turn: np.ndarray | None = None
    both: bool = False
    show: np.ndarray | bool = True
    span: float = 0.2

    def points(self, b: int) -> np.ndarray:
        """Return the control points (2, r, b, k) of r outlines, for each garment of the block."""
        points = np.empty((2, len(self.rings), b, len(self.rings[0])), np.float32)
        for r, ring in enumerate(self.rings):
            for k, point in enumerate(ring):
                points[0, r, :, k], points[1, r, :, k] = point[:2]
        mirrored = points * np.float32([-1, 1])[:, None, None, None]
        return np.concatenate([points, mirrored], axis=1) if self.both else points


@dataclass
class Cut:
    """Measures of a block of b drawn garments of one category, from which their parts are made.

    Parameters
    ----------
    chances : iterator of ndarray of shape (b,)
        Random numbers in [0, 1), which are used one array after the other.
    warm : ndarray of shape (b,)
        From 0 for winter to 1 for summer.
    folds : pair of float or ndarray
        Depth of the folds of the fabric, and how much they fan out downwards.
    rib : float or ndarray
        Depth of its knitted ribs.
    """

    chances: Iterator[np.ndarray]
    warm: np.ndarray
    folds: tuple[Number, Number] = (0.04, 0.0)
    rib: Number = 0.0

    def between(self, low: Number, high: Number) -> np.ndarray:
        """Sample a number for each garment, uniform between `low` and `high`."""
        return low + (high - low) * next(self.chances)

    def perhaps(self, chance: Number) -> np.ndarray:
        """Sample a bool for each garment, True with this probability."""
        return self.between(0.0, 1.0) < chance


def shape(points: Sequence[Point], **look) -> Part:
    """Make a garment part of a filled outline.

    Parameters
    ----------
    points : sequence of points
        Control points of the closed outline.
    **look : object
        What else a `Part` has.

    Returns
    -------
    Part
        The filled outline.
    """
    return Part([points], **look)


def line(points: Sequence[Point], width: Number, **look) -> Part:
    """Make a garment part of a band along an open curve, such as a seam or a strap.

    Parameters
    ----------
    points : sequence of points
        Control points of the curve.
    width : float or ndarray of shape (b,)
        Of the band, in units of the image.
    **look : object
        What else a `Part` has.

    Returns
    -------
    Part
        The band.
    """
    return Part([points], width, **look)


def dots(centres: Sequence[Point], radius: float, **look) -> Part:
    """Make a garment part of small discs, such as buttons or eyelets.

    Parameters
    ----------
    centres : sequence of points
        The centre of each disc.
    radius : float
        Of all discs, in units of the image.
    **look : object
        What else a `Part` has.

    Returns
    -------
    Part
        The discs.
    """
    rim = [(np.cos(turn) * radius, np.sin(turn) * radius) for turn in np.arange(6) * np.pi / 3]
    return Part([[(x + dx, y + dy) for dx, dy in rim] for x, y in centres], span=0.05, **look)


def symmetric(points: Sequence[Point]) -> list[Point]:
    """Complete the outline of a symmetric garment part by mirroring its right half.

    Parameters
    ----------
    points : sequence of points
        The right half, listed downwards; its ends lie on the middle line.

    Returns
    -------
    list of points
        The closed outline.
    """
    return [*points, *[(-point[0], *point[1:]) for point in points[-2:0:-1]]]


def mix(a: Number, b: Number, share: Number) -> Number:
    """Interpolate linearly between two measures of a garment part.

    Parameters
    ----------
    a : float or ndarray of shape (b,)
        The measure where `share` is 0.
    b : float or ndarray of shape (b,)
        The measure where `share` is 1.
    share : float or ndarray of shape (b,)
        Of `b`.

    Returns
    -------
    float or ndarray of shape (b,)
        The measure in between.
    """
    return a + (b - a) * share
