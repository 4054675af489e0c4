"""Shapes of drawn shoes and bags. Shoes are seen from the side, toe to the left.

As in `fashionnb.synthetic.drawn_garments.clothes`, one function for each category returns its
parts from back to front.
"""

import numpy as np

from fashionnb.synthetic.drawn_garments.garment_parts import (
    SHARP,
    Cut,
    Part,
    dots,
    line,
    mix,
    shape,
    symmetric,
)

# fmt: off
# Control points are read as rows, not one to a line.


def sandal(cut: Cut) -> list[Part]:
    """Shape drawn sandals: flat, wedge or heel, with straps over the foot.

    Parameters
    ----------
    cut : Cut
        Samples the measures of the block of garments.

    Returns
    -------
    list of Part
        From back to front.
    """
    heel = cut.between(0.0, 1.0) ** 1.4 * 0.27
    wedge = cut.perhaps(0.4)
    thick = cut.between(0.03, 0.05)
    base = 0.66 + 0.5 * heel  # flat ones lie higher, so that all are in the middle of the page
    up, floor = base - heel, base + thick
    ankle, front = up - cut.between(0.24, 0.3), up - cut.between(0.2, 0.24)
    toe, instep = base - cut.between(0.13, 0.16), mix(base, up, 0.45) - cut.between(0.19, 0.24)
    band, style = cut.between(0.024, 0.06), cut.between(0, 1)
    laced, crossed, strapped = style > 0.35, style > 0.65, cut.perhaps(0.6)
    slung = cut.perhaps(0.75)
    bow = cut.perhaps(0.25)
    sole = [
        (-0.45, base - 0.015), (-0.36, base), (-0.16, base - 0.004), (0.08, mix(base, up, 0.62)),
        (0.27, up), (0.42, up - 0.012),
    ]
    cut.folds = (0.0, 0.0)
    return [
        shape([
            (0.42, up), (0.43, floor, SHARP), (0.3, floor, SHARP), (0.0, floor),
            (-0.2, floor, SHARP), (-0.1, base), (0.1, mix(base, up, 0.6)), (0.28, up),
        ], material="sole", relief=0.02, show=wedge),
        shape([
            (0.42, up, SHARP), (0.415, mix(up, floor, 0.6)), (0.405, floor, SHARP),
            (0.355, floor, SHARP), (0.34, mix(up, floor, 0.5)), (0.27, up + 0.01, SHARP),
        ], material="sole", relief=0.01, show=~wedge),
        # Three layers: the far side of each strap, the sole, the near side.
        line([
            (0.385, ankle + 0.03), (0.25, ankle - 0.012), (0.12, front + 0.01), (0.1, front + 0.04),
        ], 0.02, tone=0.6, show=strapped, span=0.2),
        line([(-0.22, toe + 0.01), (-0.16, base - 0.07), (-0.14, base)], band, tone=0.6, span=0.12),
        line([
            (-0.02, instep + 0.01), (0.06, instep + 0.1), (0.07, mix(base, up, 0.5)),
        ], band, tone=0.6, show=laced, span=0.16),
        shape([*sole, *[(x, y + thick) for x, y in reversed(sole)]], material="sole", relief=0.016),
        line([(x, y + 0.004) for x, y in sole], 0.014, material="light", span=0.3),
        line([
            (-0.4, base), (-0.36, mix(base, toe, 0.6)), (-0.27, toe), (-0.2, toe + 0.012),
        ], band * 1.15, relief=0.012, span=0.14),
        line([
            (-0.2, base), (-0.26, mix(base, toe, 0.55)), (-0.27, toe),
        ], band, relief=0.012, show=slung, span=0.12),
        line([
            (-0.2, base - 0.004), (-0.12, mix(base, instep, 0.55)), (-0.02, instep),
        ], band, relief=0.012, show=laced, span=0.18),
        line([
            (0.03, mix(base, up, 0.42)), (0.0, mix(base, instep, 0.75)), (-0.03, instep),
        ], band, relief=0.012, show=crossed, span=0.16),
        shape([
            (0.3, up, SHARP), (0.425, up - 0.006, SHARP), (0.42, mix(up, ankle, 0.5)),
            (0.405, ankle + 0.01, SHARP), (0.36, ankle + 0.03, SHARP), (0.355, mix(up, ankle, 0.4)),
        ], relief=0.014, show=strapped, span=0.2),
        line([
            (0.385, ankle + 0.03), (0.27, ankle + 0.065), (0.15, front + 0.07), (0.1, front + 0.04),
        ], 0.028, relief=0.01, show=strapped, span=0.2),
        dots([(0.2, mix(ankle, front, 0.6) + 0.068)], 0.016, material="metal", show=strapped),
        dots([(-0.27, toe)], 0.03, material="accent", relief=0.01, show=bow),
    ]


def sneaker(cut: Cut) -> list[Part]:
    """Shape drawn sneakers: sole, upper and laces.

    They may be higher in winter.

    Parameters
    ----------
    cut : Cut
        Samples the measures of the block of garments.

    Returns
    -------
    list of Part
        From back to front.
    """
    high = np.where(
        cut.perhaps(0.5 - 0.4 * cut.warm), cut.between(0.1, 0.17), cut.between(-0.02, 0.03)
    )
    thick, rise = cut.between(0.055, 0.1), 0.06 - 0.4 * np.maximum(high, 0)
    base = 0.735 - rise
    floor = base + thick
    heel, tongue, toe = 0.44 - high - rise, 0.4 - high - rise, cut.between(0.6, 0.635) - rise
    cap, tab, style = cut.perhaps(0.5), cut.perhaps(0.6), cut.between(0, 1)
    laces = [
        (mix(0.03, -0.17, share), mix(tongue + 0.07 + high * 0.1, toe - 0.035, share))
        for share in (0.1, 0.36, 0.62, 0.88)
    ]
    cut.folds = (0.0, 0.0)
    return [
        shape([
            (0.37, heel, SHARP), (0.29, heel - 0.015), (0.14, tongue + 0.03),
            (0.05, tongue - 0.015, SHARP), (0.05, tongue + 0.08), (0.2, heel + 0.09),
            (0.35, heel + 0.05),
        ], tone=0.5, span=0.2),
        shape([
            (0.07, tongue - 0.02), (0.02, tongue - 0.03), (-0.03, tongue + 0.03),
            (-0.2, toe - 0.045), (-0.12, toe - 0.015), (0.08, tongue + 0.1),
        ], tone=0.92, relief=0.012),
        shape([
            (0.385, heel - 0.012), (0.345, heel + 0.012), (0.26, heel + 0.065),
            (0.13, tongue + 0.1 + high * 0.12), (0.055, tongue + 0.05, SHARP),
            (-0.02, tongue + 0.1 + high * 0.35), (-0.18, toe - 0.045), (-0.3, toe),
            (-0.41, base - 0.06), (-0.455, base), (-0.44, base + 0.03, SHARP), (-0.2, base + 0.03),
            (0.1, base + 0.03), (0.4, base + 0.03, SHARP), (0.425, base - 0.075),
            (0.395, base - 0.175),
        ], relief=0.032),
        shape([
            (-0.285, toe + 0.004), (-0.36, toe + 0.022), (-0.43, base - 0.045),
            (-0.455, base + 0.02, SHARP), (-0.29, base + 0.02, SHARP), (-0.25, base - 0.055),
        ], material="light", relief=0.014, show=cap, span=0.16),
        line([
            (-0.27, toe - 0.004), (-0.24, base - 0.055), (-0.27, base + 0.01),
        ], 0.008, tone=0.72, show=~cap, span=0.12),
        shape([
            (0.385, heel), (0.33, heel + 0.03), (0.31, base - 0.115), (0.3, base + 0.02, SHARP),
            (0.41, base + 0.02, SHARP), (0.42, base - 0.075), (0.393, base - 0.175),
        ], material="accent", relief=0.014, show=tab, span=0.25),
        *[line([
            (-0.03 + right, base - 0.135), (0.05 + right, base + 0.01),
        ], 0.026, material="accent", show=style < 0.35, span=0.18) for right in (0.0, 0.065, 0.13)],
        line([
            (-0.16, base - 0.055), (0.0, base - 0.03), (0.14, base - 0.075), (0.25, base - 0.165),
        ], 0.034, material="accent", show=(style > 0.35) & (style < 0.7), span=0.18),
        line([
            (0.045, tongue + 0.065), (-0.03, tongue + 0.14 + high * 0.35), (-0.17, toe - 0.01),
        ], 0.04, tone=0.84, relief=0.006, span=0.2),
        *[line([
            (x - 0.035, y - 0.004), (x, y + 0.006), (x + 0.035, y + 0.04),
        ], 0.016, material="light", relief=0.004, span=0.05) for x, y in laces],
        shape([
            (-0.468, base - 0.01), (-0.2, base + 0.004), (0.1, base + 0.004), (0.3, base - 0.004),
            (0.435, base - 0.02, SHARP), (0.44, floor, SHARP), (0.2, floor), (-0.1, floor),
            (-0.36, floor), (-0.46, floor - 0.035),
        ], material="light", relief=0.014),
        line([
            (-0.45, floor - 0.02), (-0.36, floor), (-0.1, floor), (0.2, floor), (0.44, floor),
        ], 0.016, material="sole", span=0.3),
    ]


def bag(cut: Cut) -> list[Part]:
    """Shape drawn bags: totes with two handles, or a flap, a clasp and one strap.

    Parameters
    ----------
    cut : Cut
        Samples the measures of the block of garments.

    Returns
    -------
    list of Part
        From back to front.
    """
    flap = cut.perhaps(0.5)
    top = np.where(flap, cut.between(0.42, 0.52), cut.between(0.34, 0.46))
    base, rise = cut.between(0.86, 0.93), cut.between(0.06, 0.2)
    wide, foot = cut.between(0.24, 0.36), cut.between(0.26, 0.4)
    hold = np.where(flap, wide * 0.96, wide * cut.between(0.4, 0.7))
    thin = np.where(flap, 0.022, cut.between(0.024, 0.036))
    arch = [
        (-hold, top + 0.02), (-hold * 0.94, mix(top, rise, 0.55)), (-hold * 0.5, rise + 0.012),
        (0.0, rise), (hold * 0.5, rise + 0.012), (hold * 0.94, mix(top, rise, 0.55)),
        (hold, top + 0.02),
    ]
    bottom = [
        (foot - 0.006, base - 0.03), (foot - 0.04, base), (foot * 0.5, base + 0.004),
        (0.0, base + 0.005),
    ]
    panel, seam = cut.perhaps(0.4) & ~flap, mix(top, base, 0.72)
    fold = mix(top, base, cut.between(0.45, 0.7))
    quilted = cut.perhaps(0.4) & flap
    charm = cut.perhaps(0.22)
    cut.folds = (cut.between(0.0, 0.03), 0.2)
    return [
        line([
            (x * 0.94, y - 0.025) for x, y in arch
        ], thin, material="strap", tone=0.68, relief=0.008, show=~flap, span=0.25),
        shape(symmetric([
            (0.0, top), (wide * 0.6, top), (wide, top + 0.004, SHARP),
            (mix(wide, foot, 0.35), mix(top, base, 0.35)),
            (mix(wide, foot, 0.8), mix(top, base, 0.75)), *bottom,
        ]), relief=0.036),
        shape(symmetric([
            (0.0, seam), (mix(wide, foot, 0.72), seam, SHARP), *bottom,
        ]), material="strap", relief=0.02, show=panel),
        line([
            (-wide, top + 0.012), (0.0, top + 0.012), (wide, top + 0.012),
        ], 0.024, material="strap", relief=0.008, show=~flap),
        shape(symmetric([
            (0.0, top - 0.006), (wide * 0.6, top - 0.008), (wide + 0.01, top + 0.006),
            (wide + 0.004, mix(top, fold, 0.55)), (wide * 0.72, fold - 0.015), (0.0, fold + 0.012),
        ]), tone=1.03, relief=0.02, show=flap),
        line([
            (-wide * 0.93, mix(top, fold, 0.5)), (-wide * 0.68, fold - 0.04), (0.0, fold - 0.014),
            (wide * 0.68, fold - 0.04), (wide * 0.93, mix(top, fold, 0.5)),
        ], 0.006, tone=0.74, show=flap),
        line(arch, thin, material="strap", relief=0.01, span=0.25),
        dots([(-hold, top + 0.03), (hold, top + 0.03)], 0.018, material="metal", relief=0.006),
        line([
            (0.0, fold - 0.045), (0.0, fold + 0.03),
        ], 0.05, material="metal", relief=0.01, show=flap, span=0.08),
        line([
            (-0.014, fold - 0.006), (0.014, fold - 0.006),
        ], 0.012, material="sole", show=flap, span=0.05),
        *[line([
            (wide * x, fold + 0.02), (mix(wide * x, 0.0, 0.6), base - 0.02),
        ], 0.006, tone=0.8, show=quilted) for x in (-0.45, 0.45, -0.9, 0.9)],
        line([
            (hold, top + 0.03), (hold - 0.01, top + 0.09), (hold - 0.004, top + 0.15),
        ], 0.012, material="accent", show=charm, span=0.08),
        dots([(hold - 0.004, top + 0.17)], 0.03, material="accent", relief=0.012, show=charm),
    ]


def ankle_boot(cut: Cut) -> list[Part]:
    """Shape drawn ankle boots: Chelsea, laced or zipped.

    There may be fur at the top when it is cold.

    Parameters
    ----------
    cut : Cut
        Samples the measures of the block of garments.

    Returns
    -------
    list of Part
        From back to front.
    """
    heel, base, top = cut.between(0.035, 0.15), 0.85, cut.between(0.12, 0.26)
    up, lean = base - heel, cut.between(-0.015, 0.015)
    front, back = cut.between(-0.06, 0.0), 0.29 + lean
    point, ankle = cut.between(0.02, 0.07), mix(top, up, 0.62)
    middle, floor = mix(front, back, 0.5), base + 0.045
    arch = [(-0.05, mix(base, up, 0.35) + 0.01), (0.12, mix(base, up, 0.9))]
    style = cut.between(0, 1)
    gore, laced, zipped = style < 0.4, (style >= 0.4) & (style < 0.75), style >= 0.75
    high = mix(top, ankle, 0.75)
    laces = [
        (mix(front, front - 0.03, share**2), mix(top + 0.05, ankle + 0.03, share))
        for share in (0.06, 0.3, 0.54, 0.78, 1.0)
    ]
    seamed = cut.perhaps(0.4)
    fur = cut.perhaps(0.6 * (1 - cut.warm) ** 2)
    rim = np.where(fur, 0.04, cut.between(0.018, 0.034))
    cut.folds = (0.012, 0.0)
    return [
        shape([
            (0.08, up - 0.01), (0.3, up - 0.01, SHARP), (0.312, mix(up, floor, 0.5)),
            (0.3, floor, SHARP), (0.13, floor, SHARP), (0.115, mix(up, floor, 0.5)),
        ], material="sole", relief=0.014, span=0.2),
        shape([
            (front + 0.01, top + 0.01), (middle, top - 0.022), (back - 0.01, top + 0.006),
            (middle, top + 0.05),
        ], tone=0.5, span=0.2),
        shape([
            (front, top + 0.015, SHARP), (front + 0.012, mix(top, ankle, 0.5)),
            (front - 0.012, ankle), (-0.13, mix(ankle, base, 0.46)), (-0.29, base - 0.16),
            (-0.4, base - 0.1 - point * 0.2), (-0.455 + point * 0.3, base - 0.03),
            (-0.43, base + 0.012, SHARP), (-0.22, base + 0.015), *arch, (0.302, up + 0.004, SHARP),
            (0.318, mix(ankle, up, 0.6)), (0.272 + lean, ankle), (back, top + 0.01, SHARP),
            (middle, top + 0.045),
        ], relief=0.034),
        shape([
            (middle - 0.055, top + 0.045), (middle + 0.055, top + 0.04), (middle + 0.035, high),
            (middle, ankle + 0.05), (middle - 0.035, high),
        ], tone=0.62, relief=0.008, show=gore, span=0.2),
        line([
            (front + 0.06, top + 0.05), (front + 0.055, mix(top, ankle, 0.6)),
            (front + 0.03, ankle + 0.02), (-0.11, mix(ankle, base, 0.55)),
        ], 0.008, tone=0.66, show=laced, span=0.2),
        *[line([
            (x - 0.004, y), (x + 0.025, y + 0.008), (x + 0.06, y - 0.012),
        ], 0.015, material="light", relief=0.004, show=laced, span=0.05) for x, y in laces],
        line([
            (middle + 0.06, top + 0.04), (middle + 0.05, ankle), (middle + 0.07, up - 0.06),
        ], 0.012, material="metal", show=zipped, span=0.25),
        line([
            (-0.3, base - 0.155), (-0.235, base - 0.09), (-0.25, base + 0.01),
        ], 0.007, tone=0.72, show=seamed, span=0.12),
        line([
            (back - 0.004, top + 0.03), (back + 0.02, top - 0.03), (back - 0.02, top - 0.03),
            (back - 0.02, top + 0.03),
        ], 0.014, tone=0.8, show=gore, span=0.08),
        line([
            (-0.45 + point * 0.3, base + 0.006), (-0.38, base + 0.022), (-0.22, base + 0.026),
            *[(x, y + 0.011) for x, y in arch], (0.308, up + 0.008),
        ], rim, material="sole", relief=0.008, span=0.2),
        line([
            (front - 0.006, top + 0.02), (middle, top + 0.046), (back + 0.006, top + 0.016),
        ], 0.07, material="light", relief=0.024, show=fur, span=0.2),
    ]
