"""Shapes of drawn clothes: outlines, seams, collars, pockets, buttons.

One function for each category samples the measures of a `Cut`, and returns its parts from back to
front. Each number that varies between two garments of a category is sampled by `cut.between`, and
what depends on the season uses `cut.warm`. Upper garments share `_sleeves`, `_body` and `_opening`,
so that a shirt can look like a coat or a pullover, as real ones do. Shoes and bags are in
`fashionnb.synthetic.drawn_garments.shoes_and_bags`.
"""

from dataclasses import dataclass

import numpy as np

from fashionnb.synthetic.drawn_garments.garment_parts import (
    SHARP,
    Cut,
    Number,
    Part,
    dots,
    line,
    mix,
    shape,
    symmetric,
)

# fmt: off
# Control points are read as rows, not one to a line.


@dataclass(frozen=True)
class _Frame:
    """The measures of an upper garment: half widths (x) and heights (y)."""

    neck: Number  # half the width of the neck
    shoulder: Number  # x of the shoulder's end
    chest: Number  # x under the arm
    hip: Number  # x at the hem
    top: Number  # y of the neck
    drop: Number  # y of the shoulder's end
    armpit: Number  # y
    hem: Number  # y
    depth: Number  # y of the lowest point of the neckline
    vee: Number  # 0 for a round neckline to 1 for a pointed one

    def side(self, grow: float = 0.0) -> tuple[Number, Number]:
        """The point half-way down the neckline, on the right."""
        x = mix(self.neck * 0.88, self.neck * 0.52, self.vee) + grow
        return x, mix(self.top, self.depth, mix(0.64, 0.5, self.vee)) + grow

    def neckline(self) -> list:
        """The front edge of the neck opening, from left to right."""
        (x, y), top = self.side(0.004), self.top + 0.004
        return [(-self.neck, top), (-x, y), (0.0, self.depth + 0.006), (x, y), (self.neck, top)]

    def hemline(self, above: Number) -> list:
        """A line that follows the hem at some height above it."""
        y = self.hem - above
        return [(-self.hip, y), (0.0, self.hem + 0.01 - above), (self.hip, y)]


def _sleeves(
    cut: Cut, f: _Frame, length: Number, angle: Number, arm: Number, cuff: Number,
    band: Number = 0.0,
) -> list[Part]:
    """Two sleeves; `length` 0 means none. `angle` 0 hangs straight; `arm`, `cuff` half widths."""
    worn, parts = length > 0.02, []
    root_x, root_y = (f.shoulder + f.chest) / 2 - 0.012, (f.drop + f.armpit) / 2
    for side in (1, -1):
        lean = angle + cut.between(-0.04, 0.04)
        bend = cut.between(-0.01, 0.025) * (length > 0.3)
        sin, cos = np.sin(lean), np.cos(lean)

        def at(share, wide, side=side, sin=sin, cos=cos, bend=bend):
            out, down = wide + 4 * share * (1 - share) * bend, share * length
            return side * (root_x + sin * down + cos * out), root_y + cos * down - sin * out

        thick = [mix(arm, cuff, share) for share in (0.3, 0.65, 1.0)]
        end = 1.0 - 0.5 * band / np.maximum(length, 0.1)
        parts += [
            shape([
                (side * (f.shoulder - 0.05), f.drop - 0.004), (side * f.shoulder, f.drop),
                at(0.3, thick[0] + 0.004), at(0.65, thick[1]), (*at(1.0, thick[2]), SHARP),
                (*at(1.0, -thick[2]), SHARP), at(0.65, -thick[1]), at(0.3, -thick[0]),
                (side * (f.chest - 0.012), f.armpit + 0.012),
                (side * (f.chest - 0.06), f.armpit - 0.02),
            ], relief=0.024, tone=0.96, turn=lean, show=worn),
            line([
                at(end, wide) for wide in (thick[2] * 1.05, 0.0, -thick[2] * 1.05)
            ], band, tone=0.86, relief=0.008, turn=lean, show=worn & (band > 0), span=0.1),
        ]
    return parts


def _body(f: _Frame, waist: Number) -> Part:
    return shape(symmetric([
        (0.0, f.top + 0.02), (f.neck, f.top, SHARP), (f.shoulder, f.drop, SHARP),
        (np.minimum(f.shoulder, f.chest) - 0.012, mix(f.drop, f.armpit, 0.6)),
        (f.chest, f.armpit, SHARP), (mix(f.chest, waist, 0.6), mix(f.armpit, f.hem, 0.22)),
        (waist, mix(f.armpit, f.hem, 0.45)),
        (mix(waist, f.hip, 0.7), mix(f.armpit, f.hem, 0.74)), (f.hip, f.hem, SHARP),
        (f.hip * 0.5, f.hem + 0.008), (0.0, f.hem + 0.01),
    ]), relief=0.04)


def _opening(f: _Frame, show: np.ndarray | bool = True) -> list[Part]:
    """The inside of the back, seen through the neck, with its label."""
    return [
        shape(symmetric([
            (0.0, f.top + 0.016), (f.neck, f.top - 0.001, SHARP), f.side(), (0.0, f.depth),
        ]), tone=0.58, show=show, span=0.2),
        line([
            (-0.017, f.top + 0.036), (0.017, f.top + 0.036),
        ], 0.02, material="light", tone=0.86, show=show, span=0.06),
    ]


def t_shirt(cut: Cut) -> list[Part]:
    """Shape drawn T-shirts, tops and long-sleeved tees.

    Parameters
    ----------
    cut : Cut
        Samples the measures of the block of garments.

    Returns
    -------
    list of Part
        From back to front.
    """
    vee = cut.between(0, 1) ** 2
    strappy, long = cut.perhaps(0.35 * cut.warm), cut.perhaps(0.45 * (1 - cut.warm))
    top, chest = cut.between(0.08, 0.11), cut.between(0.185, 0.22)
    f = _Frame(
        neck=cut.between(0.075, 0.105), chest=chest, hip=chest + cut.between(-0.015, 0.022),
        shoulder=np.where(strappy, cut.between(0.13, 0.16), cut.between(0.19, 0.225)), top=top,
        drop=top + np.where(strappy, 0.012, 0.05), armpit=cut.between(0.31, 0.35),
        hem=cut.between(0.76, 0.93),
        depth=cut.between(0.15, 0.19) + 0.09 * vee, vee=vee,
    )
    sleeves = _sleeves(
        cut, f,
        np.where(strappy, 0, np.where(long, cut.between(0.46, 0.58), cut.between(0.09, 0.22))),
        np.where(long, cut.between(0.12, 0.34), cut.between(0.5, 0.85)), 0.084,
        np.where(long, 0.042, cut.between(0.07, 0.088)),
    )
    waist = chest - cut.between(0.0, 0.03)
    ringer = cut.perhaps(0.25)
    pocket = cut.perhaps(0.25)
    x, y = 0.1, f.armpit + 0.03
    cut.folds = (cut.between(0.03, 0.07), 0.3)
    return [
        *sleeves, _body(f, waist), *_opening(f),
        line(f.neckline(), 0.018, tone=0.88, show=~ringer, span=0.12),
        line(f.neckline(), 0.018, material="accent", show=ringer, span=0.12),
        line(f.hemline(0.022), 0.005, tone=0.84, span=0.25),
        line([
            (x - 0.04, y, SHARP), (x - 0.04, y + 0.07), (x, y + 0.09), (x + 0.04, y + 0.07),
            (x + 0.04, y, SHARP),
        ], 0.006, tone=0.8, show=pocket, span=0.1),
        line([(x - 0.043, y), (x + 0.043, y)], 0.018, tone=0.88, show=pocket, span=0.1),
    ]


def trouser(cut: Cut) -> list[Part]:
    """Shape drawn trousers: skinny to wide, full length or cropped.

    Parameters
    ----------
    cut : Cut
        Samples the measures of the block of garments.

    Returns
    -------
    list of Part
        From back to front.
    """
    waist, top = cut.between(0.125, 0.165), cut.between(0.04, 0.07)
    hip = waist + cut.between(0.015, 0.04)
    crotch = cut.between(0.34, 0.4)
    foot = np.where(cut.perhaps(0.4 * cut.warm), cut.between(0.72, 0.86), cut.between(0.91, 0.965))
    inner, wide = cut.between(0.012, 0.06), cut.between(0.07, 0.17)
    outer = inner + wide
    pinch = cut.between(0.0, 0.02)
    knee = mix(crotch, foot, 0.45)
    knee_out, knee_in = mix(hip, outer, 0.55) - pinch, inner * 0.62 + pinch * 0.4
    pressed, turned = cut.perhaps(0.45), cut.perhaps(0.3)
    cut.folds = (cut.between(0.03, 0.07), 0.1)
    return [
        shape(symmetric([
            (0.0, top + 0.008), (waist, top, SHARP),
            (mix(waist, hip, 0.75), mix(top, crotch, 0.35)), (hip, mix(top, crotch, 0.75)),
            (mix(hip, knee_out, 0.55), mix(crotch, knee, 0.45)), (knee_out, knee),
            (mix(knee_out, outer, 0.5), mix(knee, foot, 0.5)), (outer, foot, SHARP),
            (inner + wide / 2, foot + 0.006), (inner, foot, SHARP),
            (mix(knee_in, inner, 0.5), mix(knee, foot, 0.5)), (knee_in, knee), (0.0, crotch, SHARP),
        ]), relief=0.03),
        shape(symmetric([
            (0.0, top + 0.012), (waist - 0.004, top + 0.001, SHARP), (waist * 0.6, top + 0.022),
            (0.0, top + 0.028),
        ]), tone=0.55, span=0.12),
        line([
            (-waist - 0.006, top + 0.04), (0.0, top + 0.062), (waist + 0.006, top + 0.04),
        ], 0.007, tone=0.7, span=0.2),
        line([
            (0.0, top + 0.03), (0.0, mix(top, crotch, 0.5)), (0.0, crotch),
        ], 0.007, tone=0.72, span=0.2),
        line([
            (0.036, top + 0.06), (0.035, mix(top, crotch, 0.5)), (0.002, mix(top, crotch, 0.7)),
        ], 0.005, tone=0.8, span=0.2),
        line([
            (waist * 0.58, top + 0.054), (waist * 0.7, top + 0.1),
            (mix(waist, hip, 0.8), top + 0.135),
        ], 0.009, tone=0.68, both=True, span=0.1),
        line([
            (waist * 0.6, top + 0.15), ((knee_out + knee_in) / 2, knee), (inner + wide / 2, foot),
        ], 0.01, tone=1.09, both=True, show=pressed),
        line([
            (inner - 0.002, foot - 0.02), (inner + wide / 2, foot - 0.014),
            (outer + 0.002, foot - 0.02),
        ], 0.042, tone=0.9, relief=0.01, both=True, show=turned, span=0.1),
        *[line([
            (waist * x, top + 0.002 + 0.016 * (1 - x)), (waist * x, top + 0.052),
        ], 0.012, tone=0.84, both=True, span=0.05) for x in (0.3, 0.78)],
        dots([(0.0, top + 0.046)], 0.011, material="metal"),
    ]


def pullover(cut: Cut) -> list[Part]:
    """Shape drawn pullovers and sweatshirts: crew, V or roll neck, ribbed edges.

    Parameters
    ----------
    cut : Cut
        Samples the measures of the block of garments.

    Returns
    -------
    list of Part
        From back to front.
    """
    vee = cut.between(0, 1) * cut.perhaps(0.35)
    roll = cut.perhaps(0.45 * (1 - cut.warm)) & (vee == 0)
    top, chest = cut.between(0.085, 0.11), cut.between(0.195, 0.235)
    f = _Frame(
        neck=np.where(roll, cut.between(0.06, 0.075), cut.between(0.075, 0.1)), chest=chest,
        hip=chest - cut.between(0.0, 0.035), shoulder=cut.between(0.185, 0.23), top=top,
        drop=top + cut.between(0.045, 0.07), armpit=cut.between(0.33, 0.38),
        hem=cut.between(0.76, 0.92),
        depth=np.where(roll, 0.125, cut.between(0.14, 0.175)) + 0.12 * vee, vee=vee,
    )
    band = cut.between(0.035, 0.065)
    sleeves = _sleeves(
        cut, f, cut.between(0.48, 0.6), cut.between(0.08, 0.3), cut.between(0.078, 0.094),
        cut.between(0.036, 0.05), band,
    )
    waist = chest - cut.between(-0.005, 0.02)
    y = f.top - 0.045
    stripe = cut.perhaps(0.18)
    cut.folds = (cut.between(0.025, 0.055), 0.2)
    cut.rib = np.where(cut.perhaps(0.9 - 0.5 * cut.warm), 0.05, 0.0)
    return [
        *sleeves, _body(f, waist), *_opening(f),
        line(f.hemline(band * 0.5), band, tone=0.88, relief=0.01, span=0.25),
        line(f.neckline(), 0.03, tone=0.9, relief=0.006, show=~roll, span=0.12),
        shape(symmetric([
            (0.0, y + 0.004), (f.neck * 0.92, y), (f.neck * 1.08, f.top + 0.015),
            (f.neck * 0.7, f.top + 0.055), (0.0, f.top + 0.068),
        ]), tone=0.96, relief=0.016, show=roll, span=0.12),
        shape(symmetric([
            (0.0, y + 0.003), (f.neck * 0.85, y + 0.006), (f.neck * 0.5, y + 0.016),
            (0.0, y + 0.019),
        ]), tone=0.6, show=roll, span=0.08),
        *[line([
            (-f.chest, f.armpit + down), (0.0, f.armpit + down + 0.01), (f.chest, f.armpit + down),
        ], 0.045, material="accent", show=stripe, span=0.25) for down in (0.08, 0.16)],
    ]


def dress(cut: Cut) -> list[Part]:
    """Shape drawn dresses: strappy to long-sleeved, close to flared, knee to floor.

    Parameters
    ----------
    cut : Cut
        Samples the measures of the block of garments.

    Returns
    -------
    list of Part
        From back to front.
    """
    vee, flare = cut.between(0, 1), cut.between(0, 1)
    strappy, long = cut.perhaps(0.15 + 0.5 * cut.warm), cut.perhaps(0.7 * (1 - cut.warm))
    shoulder = np.where(strappy, cut.between(0.085, 0.125), cut.between(0.14, 0.165))
    chest, hem = cut.between(0.125, 0.15), cut.between(0.82, 0.965)
    f = _Frame(
        neck=np.where(strappy, shoulder - cut.between(0.018, 0.04), cut.between(0.065, 0.09)),
        shoulder=shoulder,
        chest=chest, hip=mix(cut.between(0.12, 0.15), cut.between(0.26, 0.37), flare),
        top=0.06 + 0 * hem,
        drop=0.06 + np.where(strappy, 0.008, 0.035), armpit=cut.between(0.24, 0.28), hem=hem,
        depth=cut.between(0.13, 0.18) + 0.06 * vee, vee=vee,
    )
    sleeves = _sleeves(
        cut, f,
        np.where(strappy, 0.0, np.where(long, cut.between(0.34, 0.5), cut.between(0.06, 0.16))),
        np.where(long, cut.between(0.14, 0.3), cut.between(0.45, 0.75)), 0.062,
        np.where(long, cut.between(0.034, 0.06), 0.062),
    )
    waist, y_waist = chest - cut.between(0.005, 0.035), cut.between(0.38, 0.47)
    hip, y_hip = mix(chest + 0.012, 0.19, flare), y_waist + 0.13
    inner, wave = np.minimum(f.shoulder, chest) - 0.01, 0.009 * flare
    across = [(-waist - 0.002, y_waist), (0.0, y_waist + 0.01), (waist + 0.002, y_waist)]
    seamed = cut.perhaps(0.6)
    belted = cut.perhaps(0.3)
    tiered = cut.perhaps(0.25)
    tiers = [(mix(hip, f.hip, share), mix(y_hip, hem, share)) for share in (0.4, 0.72)]
    cut.folds = (mix(0.045, 0.13, flare), mix(0.6, 2.0, flare))
    return [
        *sleeves,
        shape(symmetric([
            (0.0, f.top + 0.02), (f.neck, f.top, SHARP), (f.shoulder, f.drop, SHARP),
            (inner, mix(f.drop, f.armpit, 0.62)), (chest, f.armpit, SHARP),
            (mix(chest, waist, 0.5), mix(f.armpit, y_waist, 0.5)), (waist, y_waist), (hip, y_hip),
            (mix(hip, f.hip, 0.5), mix(y_hip, hem, 0.5)), (f.hip, hem - 0.014, SHARP),
            (f.hip * 0.75, hem + wave), (f.hip * 0.5, hem - wave),
            (f.hip * 0.25, hem + 0.004 + wave), (0.0, hem),
        ]), relief=0.034),
        *_opening(f, show=~strappy),
        # Between straps one sees the wall behind, so there the opening is cut out.
        shape(symmetric([
            (0.0, f.top - 0.05), (f.neck, f.top - 0.05, SHARP), (f.neck, f.top + 0.005), f.side(),
            (0.0, f.depth),
        ]), material="nothing", show=strappy, span=0.2),
        line(across, 0.007, tone=0.74, show=seamed, span=0.2),
        line(across, 0.034, material="accent", relief=0.006, show=belted, span=0.2),
        *[line([
            (-x, y), (-x * 0.5, y + 0.012), (0.0, y + 0.014), (x * 0.5, y + 0.012), (x, y),
        ], 0.01, tone=0.74, show=tiered, span=0.2) for x, y in tiers],
    ]


def coat(cut: Cut) -> list[Part]:
    """Shape drawn coats and jackets: lapels or collar, buttons, pockets.

    They are longer when it is cold.

    Parameters
    ----------
    cut : Cut
        Samples the measures of the block of garments.

    Returns
    -------
    list of Part
        From back to front.
    """
    top, chest = cut.between(0.07, 0.095), cut.between(0.19, 0.225)
    f = _Frame(
        neck=cut.between(0.07, 0.09), chest=chest, hip=chest + cut.between(-0.01, 0.045),
        shoulder=cut.between(0.19, 0.225), top=top, drop=top + cut.between(0.045, 0.06),
        armpit=cut.between(0.3, 0.34),
        hem=mix(cut.between(0.88, 0.965), cut.between(0.72, 0.9), cut.warm),
        depth=cut.between(0.28, 0.44), vee=1.0,
    )
    sleeves = _sleeves(
        cut, f, cut.between(0.52, 0.62), cut.between(0.07, 0.22), cut.between(0.075, 0.09),
        cut.between(0.045, 0.058),
        np.where(cut.perhaps(0.4), 0.045, 0.0),
    )
    waist = chest - cut.between(0.0, 0.03)
    lapelled, over = cut.perhaps(0.72), cut.between(0.0, 0.03)
    wide, notch = cut.between(0.035, 0.075), mix(f.top, f.depth, 0.36)
    double = cut.perhaps(0.4) & lapelled
    patch, pocket = cut.perhaps(0.5), mix(f.armpit, f.hem, 0.56)
    belted, belt = cut.perhaps(0.25), mix(f.armpit, f.hem, 0.38)
    fur = cut.perhaps(0.35 * (1 - cut.warm))
    collar = f.top - 0.014
    rows = [mix(f.depth + 0.03, np.minimum(f.hem, 0.8), share) for share in (0.0, 0.28, 0.56)]
    cut.folds = (cut.between(0.025, 0.05), 0.35)
    return [
        *sleeves, _body(f, waist), *_opening(f),
        # A coat without lapels is buttoned up to a turned-down collar.
        shape(symmetric([
            (0.0, f.top + 0.02), (f.neck * 0.97, f.top, SHARP), f.side(0.012),
            (0.0, f.depth + 0.01),
        ]), show=~lapelled, span=0.2),
        line([
            (0.0, np.where(lapelled, f.depth, f.top + 0.03)), (over, mix(f.depth, f.hem, 0.35)),
            (over, mix(f.depth, f.hem, 0.7)), (over, f.hem + 0.008),
        ], 0.01, tone=0.58),
        shape([
            (0.004, f.depth + 0.012, SHARP), (f.neck * 0.52, mix(f.top, f.depth, 0.5)),
            (f.neck - 0.004, f.top + 0.004, SHARP), (f.neck + 0.03, f.top + 0.028, SHARP),
            (f.neck + 0.01, notch - 0.012, SHARP), (f.neck + wide, notch - 0.022, SHARP),
            (f.neck * 0.6 + wide * 0.5, mix(notch, f.depth, 0.55)),
        ], tone=1.05, relief=0.01, both=True, show=lapelled, span=0.16),
        line([
            (f.neck + 0.028, f.top + 0.032, SHARP), (f.neck + 0.008, notch - 0.014),
            (f.neck * 0.55, notch + 0.004, SHARP),
        ], 0.007, tone=0.66, both=True, show=lapelled, span=0.1),
        shape(symmetric([
            (0.0, collar - 0.004), (f.neck * 0.95, collar - 0.006, SHARP),
            (f.neck * 1.25, f.top + 0.05), (f.neck * 0.9, f.top + 0.085, SHARP),
            (0.0, f.top + 0.045),
        ]), tone=1.03, relief=0.014, show=~lapelled, span=0.12),
        dots([
            (np.where(double, 0.055, over - 0.022), y) for y in rows
        ], 0.014, material="button", relief=0.006),
        dots([(-0.045, y) for y in rows], 0.014, material="button", relief=0.006, show=double),
        line([
            (0.075, pocket + 0.012), (0.16, pocket - 0.012),
        ], 0.022, tone=0.8, relief=0.007, both=True, show=~patch, span=0.1),
        shape([
            (0.075, pocket, SHARP), (0.16, pocket, SHARP), (0.16, pocket + 0.1),
            (0.118, pocket + 0.115), (0.075, pocket + 0.1),
        ], relief=0.012, both=True, show=patch, span=0.12),
        line([
            (-chest, belt), (0.0, belt + 0.012), (chest, belt),
        ], 0.036, tone=0.84, relief=0.008, show=belted, span=0.25),
        line([
            (0.0, belt + 0.012), (0.03, belt + 0.06), (0.026, belt + 0.12),
        ], 0.026, tone=0.88, relief=0.008, show=belted, span=0.1),
        line([
            (-0.03, f.top + 0.16), (-f.neck - 0.01, f.top + 0.035), (0.0, f.top - 0.012),
            (f.neck + 0.01, f.top + 0.035), (0.03, f.top + 0.16),
        ], 0.055, material="light", relief=0.02, show=fur, span=0.16),
    ]


def shirt(cut: Cut) -> list[Part]:
    """Shape drawn shirts: collar, buttons down the front, cuffs.

    Sleeves may be short in summer.

    Parameters
    ----------
    cut : Cut
        Samples the measures of the block of garments.

    Returns
    -------
    list of Part
        From back to front.
    """
    short = cut.perhaps(0.6 * cut.warm)
    top, chest = cut.between(0.08, 0.105), cut.between(0.18, 0.218)
    f = _Frame(
        neck=cut.between(0.062, 0.08), chest=chest, hip=chest + cut.between(-0.01, 0.025),
        shoulder=cut.between(0.18, 0.218), top=top, drop=top + cut.between(0.04, 0.055),
        armpit=cut.between(0.31, 0.35), hem=cut.between(0.8, 0.94), depth=cut.between(0.15, 0.23),
        vee=0.9,
    )
    sleeves = _sleeves(
        cut, f, np.where(short, cut.between(0.16, 0.24), cut.between(0.5, 0.6)),
        np.where(short, cut.between(0.4, 0.7), cut.between(0.08, 0.28)), 0.08,
        np.where(short, 0.076, cut.between(0.038, 0.046)), np.where(short, 0.018, 0.05),
    )
    waist = chest - cut.between(0.0, 0.04)
    buttoned = cut.perhaps(0.8)
    point, collar = cut.between(0.05, 0.1), f.top - 0.014
    pocketed, x, y = cut.perhaps(0.45), 0.105, f.armpit + 0.03
    rows = [mix(f.depth + 0.04, f.hem - 0.05, share) for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)]
    front = [f.depth, mix(f.depth, f.hem, 0.33), mix(f.depth, f.hem, 0.67), f.hem + 0.008]
    cut.folds = (cut.between(0.03, 0.065), 0.3)
    return [
        *sleeves, _body(f, waist), *_opening(f),
        line([(0.0, y) for y in front], 0.042, tone=1.04, relief=0.008),
        line([(-0.022, y) for y in front], 0.006, tone=0.74),
        dots([(0.0, y) for y in rows], 0.009, material="button", show=buttoned),
        line([
            (-f.neck * 0.98, f.top + 0.002), (0.0, f.top + 0.018), (f.neck * 0.98, f.top + 0.002),
        ], 0.022, tone=0.82, span=0.12),
        shape([
            (0.002, f.depth + 0.008, SHARP), (f.neck * 0.55, mix(f.top, f.depth, 0.45)),
            (f.neck * 0.86, collar, SHARP), (f.neck * 1.12, f.top + 0.012),
            (f.neck * 1.05, mix(f.top, f.depth, 0.55)),
            (f.neck * 0.5 + point * 0.55, f.depth + point * 0.5, SHARP),
        ], tone=1.05, relief=0.01, both=True, span=0.14),
        shape([
            (x - 0.042, y, SHARP), (x + 0.042, y, SHARP), (x + 0.042, y + 0.075, SHARP),
            (x, y + 0.095, SHARP), (x - 0.042, y + 0.075, SHARP),
        ], relief=0.01, show=pocketed, span=0.1),
        line([
            (x - 0.042, y + 0.014), (x + 0.042, y + 0.014),
        ], 0.006, tone=0.78, show=pocketed, span=0.1),
        line(f.hemline(0.018), 0.005, tone=0.84, span=0.25),
    ]
