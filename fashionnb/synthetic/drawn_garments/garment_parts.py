"""The tailor's table of the `atelier`: a block of garments in the making, to which parts are added from back to front.

Coordinates: x from -0.5 (left) to 0.5, y from 0 (top) to 1. The garments themselves are in `cuts` and
`accessories` beside this file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

Number = float | np.ndarray
Point = tuple[Number, Number] | tuple[Number, Number, bool]
SHARP = True  # as third entry of a control point: a corner here, not a bend


@dataclass(frozen=True)
class Part:
    """One painted layer of a block of b garments.

    who : which items of the block have it: their numbers, or a slice that means all. What follows is of these b items.
    points : control points (2, r, b, k) of r outlines. sharp : (k,) bool.
    material : "fabric", or a name of the palette, or "nothing": a hole.
    relief : how softly the part bulges, in units of the picture; 0 is flat.
    span : about the longest way between two control points, in units of the picture.
    width : of a line, (b,); None for a filled outline. tone : (b,) brightness, 1 as the cloth is.
    turn : (b,) radians by which the cloth is turned, mirrored left and right (sleeves); None for straight.
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
        """The same part for the items in `block` only, which then count from 0."""
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
    """A block of garments of one category in the making.

    chances : (b, m) in [0, 1), used up column by column. warm : (b,), 0 for winter to 1 for summer.
    parts : what was added so far. folds : how deep the cloth falls into folds, and how much they fan out downwards.
    rib : how deep its knitted ribs are.
    """

    chances: np.ndarray
    warm: np.ndarray
    parts: list[Part] = field(default_factory=list)
    folds: tuple[Number, Number] = (0.04, 0.0)
    rib: Number = 0.0
    used: int = 0

    def between(self, low: Number, high: Number) -> np.ndarray:
        """A number for each garment, uniform between `low` and `high`."""
        self.used += 1
        return low + (high - low) * self.chances[:, self.used - 1]

    def perhaps(self, chance: Number) -> np.ndarray:
        """True with this chance, for each garment."""
        return self.between(0.0, 1.0) < chance

    def shape(self, points: Sequence[Point], **how) -> None:
        """Add a filled outline. `how` is as in `line`."""
        self._add([points], None, **how)

    def line(self, points: Sequence[Point], width: Number, **how) -> None:
        """Add a band of this width along an open curve.

        `how` may say `material`, `tone`, `relief`, `turn`, `span` (see `Part`), `both=True` (the same again, mirrored)
        and `show` (b,) bool (which garments have it).
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
    """The whole outline from its right half, listed downwards; its first and last point lie on the middle line."""
    return [*points, *[(-point[0], *point[1:]) for point in points[-2:0:-1]]]


def mix(a: Number, b: Number, share: Number) -> Number:
    """`a` where `share` is 0, `b` where it is 1, and between them."""
    return a + (b - a) * share
