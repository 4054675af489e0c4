"""Parts of drawn garments: outlines, lines and dots that are added from back to front.

Coordinates: x from -0.5 (left) to 0.5, y from 0 (top) to 1. The garments themselves are in
`clothes` and `shoes_and_bags`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

Number = float | np.ndarray
Point = tuple[Number, Number] | tuple[Number, Number, bool]
SHARP = True  # as third entry of a control point: a corner


@dataclass(frozen=True)
class Part:
    """One painted layer of a block of garments.

    Parameters
    ----------
    who : ndarray of int, or slice
        The b items of the block that have this part.
    points : ndarray of shape (2, r, b, k)
        Control points of r outlines.
    sharp : ndarray of shape (k,), bool
        Where the outline has a corner.
    material : str
        "fabric", or a name of the palette, or "nothing" for a hole.
    relief : float
        How softly the part bulges, in units of the image; 0 is flat.
    span : float
        About the longest distance of two control points, in units of the image.
    width : ndarray of shape (b,), optional
        Of a line; None for a filled outline.
    tone : ndarray of shape (b,)
        Brightness; 1 leaves it as it is.
    turn : ndarray of shape (b,), optional
        Radians by which the fabric is turned, mirrored left and right, for sleeves.
    """

    who: np.ndarray | slice
    points: np.ndarray
    sharp: np.ndarray
    material: str
    relief: float
    span: float
    width: np.ndarray | None
    tone: np.ndarray
    turn: np.ndarray | None

    def some(self, block: slice) -> "Part":
        """Take the part for the items in `block`, which are then numbered from 0."""
        who, some = slice(None), block
        if not isinstance(self.who, slice):
            some = slice(*np.searchsorted(self.who, [block.start, block.stop]))
            who = self.who[some] - block.start
        own = {
            name: x if x is None else x[some]
            for name, x in vars(self).items()
            if name in ("width", "tone", "turn")
        }
        return replace(self, who=who, points=self.points[:, :, some], **own)


@dataclass
class Cut:
    """A block of b garments of one category, to which parts are added.

    Parameters
    ----------
    chances : ndarray of shape (b, m)
        Random numbers in [0, 1), which are used column by column.
    warm : ndarray of shape (b,)
        From 0 for winter to 1 for summer.
    parts : list of Part
        The parts so far.
    folds : pair of float or ndarray
        Depth of the folds of the fabric, and how much they fan out downwards.
    rib : float or ndarray
        Depth of its knitted ribs.
    used : int
        How many columns of `chances` were used.
    """

    chances: np.ndarray
    warm: np.ndarray
    parts: list[Part] = field(default_factory=list)
    folds: tuple[Number, Number] = (0.04, 0.0)
    rib: Number = 0.0
    used: int = 0

    def between(self, low: Number, high: Number) -> np.ndarray:
        """Sample a number for each garment, uniform between `low` and `high`."""
        self.used += 1
        return low + (high - low) * self.chances[:, self.used - 1]

    def perhaps(self, chance: Number) -> np.ndarray:
        """Sample a bool for each garment, True with this probability."""
        return self.between(0.0, 1.0) < chance

    def shape(self, points: Sequence[Point], **how) -> None:
        """Add a filled outline. `how` is as in `line`."""
        self._add([points], None, **how)

    def line(self, points: Sequence[Point], width: Number, **how) -> None:
        """Add a band along an open curve.

        Parameters
        ----------
        points : sequence of points
            Control points.
        width : float or ndarray
            Of the band.
        **how
            `material`, `tone`, `relief`, `turn`, `span` as in `Part`; `both=True` adds a mirror
            image, too; `show` (b,) bool says which garments have it.
        """
        self._add([points], width, **how)

    def dots(self, centres: Sequence[Point], radius: float, **how) -> None:
        """Add small discs: buttons, eyelets. `how` is as in `line`."""
        rim = [(np.cos(turn) * radius, np.sin(turn) * radius) for turn in np.arange(6) * np.pi / 3]
        self._add(
            [[(x + dx, y + dy) for dx, dy in rim] for x, y in centres], None, span=0.05, **how
        )

    def _add(
        self,
        rings,
        width,
        material="fabric",
        tone=1.0,
        relief=0.0,
        turn=None,
        both=False,
        show=True,
        span=0.2,
    ) -> None:
        b = len(self.warm)
        points = np.empty((2, len(rings), b, len(rings[0])), np.float32)
        for r, ring in enumerate(rings):
            for k, point in enumerate(ring):
                points[0, r, :, k], points[1, r, :, k] = point[:2]
        if both:
            points = np.concatenate(
                [points, points * np.float32([-1, 1])[:, None, None, None]], axis=1
            )
        sharp = np.array([len(point) > 2 for point in rings[0]])
        own = {"width": width, "tone": tone, "turn": turn}
        own = {name: x if x is None else np.full(b, x, np.float32) for name, x in own.items()}
        who = slice(None)
        if show is not True:
            who = np.flatnonzero(show)
            points, own = (
                points[:, :, who],
                {name: x if x is None else x[who] for name, x in own.items()},
            )
        if points.size:
            self.parts.append(Part(who, points, sharp, material, relief, span, **own))


def symmetric(points: Sequence[Point]) -> list[Point]:
    """Mirror the right half of an outline, listed downwards; its ends lie on the middle line."""
    return [*points, *[(-point[0], *point[1:]) for point in points[-2:0:-1]]]


def mix(a: Number, b: Number, share: Number) -> Number:
    """Interpolate linearly: `a` where `share` is 0, `b` where it is 1."""
    return a + (b - a) * share
