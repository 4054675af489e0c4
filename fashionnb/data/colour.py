"""Convert, name and compare colours: CIELAB, OKLCh, dominant colour, histograms, colour harmony.

CIELAB measures how different two colours look. OKLCh keeps the hue of a colour when it gets lighter
or paler, so hues can be compared: names of colours and the rules of `harmony` use it.
Everything takes arrays or names, not datasets. `fashionnb.search.recommend` uses it.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage

from fashionnb.arrays import check_array
from fashionnb.errors import DataError

COLOURS: dict[str, tuple[int, int, int] | None] = {
    "Black": (40, 40, 44), "Charcoal": (72, 74, 80), "Grey": (150, 152, 156),
    "Grey Melange": (178, 178, 180), "White": (245, 244, 240), "Off White": (236, 229, 212),
    "Cream": (238, 224, 190), "Beige": (216, 195, 162), "Skin": (228, 188, 160),
    "Nude": (226, 190, 160), "Khaki": (184, 168, 128), "Tan": (188, 150, 112),
    "Taupe": (140, 124, 112), "Mushroom Brown": (150, 130, 110), "Brown": (124, 82, 54),
    "Coffee Brown": (75, 52, 42), "Red": (196, 48, 50), "Maroon": (115, 35, 48),
    "Burgundy": (105, 30, 50), "Rust": (165, 80, 45), "Orange": (232, 124, 52),
    "Peach": (248, 185, 150), "Rose": (222, 140, 145), "Pink": (238, 158, 176),
    "Magenta": (200, 50, 125), "Mauve": (170, 130, 155), "Lavender": (185, 155, 215),
    "Purple": (128, 88, 156), "Yellow": (245, 215, 80), "Mustard": (205, 155, 50),
    "Olive": (105, 105, 60), "Green": (78, 132, 88), "Lime Green": (160, 205, 60),
    "Fluorescent Green": (180, 245, 60), "Sea Green": (90, 175, 150), "Teal": (0, 115, 125),
    "Turquoise Blue": (64, 190, 200), "Blue": (74, 125, 195), "Navy Blue": (38, 54, 104),
    "Silver": (200, 202, 206), "Steel": (170, 175, 182), "Metallic": (150, 150, 155),
    "Gold": (205, 170, 90), "Bronze": (140, 105, 65), "Copper": (176, 112, 80),
    "Multi": None,
}  # fmt: skip
"""The colour names of the book's datasets, and a reference colour (sRGB) for each, less bright than
a screen could show, as cloth is. None: several colours."""

# More references for naming, mostly as bright as a screen shows them.
_BRIGHT = {
    "Red": [(255, 0, 0)], "Maroon": [(128, 0, 0)], "Brown": [(139, 69, 19)],
    "Tan": [(210, 180, 140)], "Cream": [(245, 245, 220)],
    "Orange": [(255, 165, 0), (255, 110, 0)], "Peach": [(255, 218, 185)],
    "Pink": [(255, 105, 180), (255, 192, 203), (255, 140, 130)],
    "Magenta": [(255, 0, 255), (255, 0, 127)], "Purple": [(128, 0, 128), (170, 0, 230)],
    "Lavender": [(225, 200, 245)], "Yellow": [(255, 255, 0)],
    "Olive": [(128, 128, 0)], "Green": [(0, 128, 0), (0, 200, 0), (140, 220, 140)],
    "Lime Green": [(110, 220, 30)], "Teal": [(0, 90, 90)], "Turquoise Blue": [(0, 255, 255)],
    "Blue": [(0, 0, 255), (30, 60, 190), (170, 205, 240)], "Navy Blue": [(0, 0, 128)],
    "Black": [(0, 0, 0)], "Grey": [(112, 112, 112)],
    "White": [(255, 255, 255)],
}  # fmt: skip

METALS = ("Silver", "Steel", "Metallic", "Gold", "Bronze", "Copper")
"""Names of a shine, not of a colour: no pixel gets such a name, and `harmony` takes them as
neutral."""

# The rules of `harmony`, in OKLCh: lightness 0 to 1, chroma (strength) 0 to 0.32, hue in degrees.
ALIKE = 0.04  # colours nearer than this look the same
APART = 0.125  # colours nearer than this look like a match that failed
PALE = 0.075  # a neutral has less chroma than this,
DARK, PALE_IF_DARK = 0.40, 0.10  # or less than PALE_IF_DARK if its lightness is below DARK
ONE_HUE, RELATED, OPPOSED = 15, 65, 115  # degrees between hues: at most, at most, at least
BASE = {
    "neutral": 0.75,
    "analogous": 0.65,
    "complementary": 0.6,
    "same": 0.6,
    "weak": 0.1,
    "unknown": 0.5,
}
"""The kinds of harmony, and the score of each without contrast in lightness."""
FULL_CONTRAST = 0.4  # a difference in lightness that adds the whole quarter point for contrast

_ALSO = {
    "gray": "grey", "navy": "navy blue", "turquoise": "turquoise blue", "violet": "purple",
    "multicolor": "multi", "multicolour": "multi",
    "multicolored": "multi", "multicoloured": "multi",
}  # fmt: skip
_STEPS = 8  # of each channel in `colour_histogram`
_CHROMA = 0.12  # chroma at which a colour is half as far from grey as it can be, for its name
_BIN = 0.06  # width of a bin of `dominant_colour` along each axis of `_by_hue`
_WINDOW = (5, 3, 3)  # bins that count as one colour: folds and shadows vary the lightness most

TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
TO_XYZ /= TO_XYZ.sum(1, keepdims=True)  # in units of white, so that a grey has no hue
"""Linear sRGB (D65) to XYZ, as IEC 61966-2-1 has it, white being 1."""
_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_KNEE = 6 / 29  # below its cube the cube root of CIELAB is a straight line


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """Convert colours from sRGB to CIELAB (D65).

    Parameters
    ----------
    rgb : array of shape (..., 3)
        uint8, or floats in [0, 1].

    Returns
    -------
    array of shape (..., 3), float64
        L 0 to 100, a (green to red) and b (blue to yellow), 0 for a grey.

    Raises
    ------
    DataError
        If the shape or type is another, or floats are outside [0, 1].

    References
    ----------
    CIE 15:2004, Colorimetry.
    """
    x, y, z = np.moveaxis(cube_root(_light(rgb) @ TO_XYZ.T), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def from_lab(lab: np.ndarray) -> np.ndarray:
    """Convert colours from CIELAB (D65) to sRGB.

    Parameters
    ----------
    lab : array of shape (..., 3)
        L 0 to 100, a (green to red) and b (blue to yellow).

    Returns
    -------
    array of shape (..., 3), float64
        Red, green and blue, clipped to [0, 1].

    References
    ----------
    CIE 15:2004, Colorimetry.
    """
    lab = np.asarray(lab, float)
    y = (lab[..., 0] + 16) / 116
    root = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], -1)
    xyz = np.where(root > _KNEE, root**3, 3 * _KNEE**2 * (root - 4 / 29))
    linear = np.clip(xyz @ np.linalg.inv(TO_XYZ).T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def to_oklab(rgb: np.ndarray) -> np.ndarray:
    """Convert colours from sRGB to OKLab.

    Parameters
    ----------
    rgb : array of shape (..., 3)
        uint8, or floats in [0, 1].

    Returns
    -------
    array of shape (..., 3), float64
        L 0 to 1, a (green to red) and b (blue to yellow).

    Raises
    ------
    DataError
        If the shape or type is another, or floats are outside [0, 1].

    References
    ----------
    Ottosson (2020), A perceptual color space for image processing.
    """
    return np.cbrt(_light(rgb) @ _TO_LMS.T) @ _TO_OKLAB.T


def linear(rgb: np.ndarray) -> np.ndarray:
    """Convert colours from sRGB to linear light, as in IEC 61966-2-1.

    Parameters
    ----------
    rgb : array of any shape, float
        sRGB values in [0, 1].

    Returns
    -------
    array of the same shape, float
        Amounts of light in [0, 1].
    """
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def cube_root(xyz: np.ndarray) -> np.ndarray:
    """Compute the cube root that defines CIELAB colours; near black it is a straight line.

    Parameters
    ----------
    xyz : array of any shape, float
        CIE XYZ values, white being 1.

    Returns
    -------
    array of the same shape, float
        1 for white, 4 / 29 for black.

    References
    ----------
    CIE 15:2004, Colorimetry.
    """
    return np.where(xyz > _KNEE**3, np.cbrt(xyz), xyz / (3 * _KNEE**2) + 4 / 29)


def to_lch(lab: np.ndarray) -> np.ndarray:
    """Convert colours from CIELAB or OKLab to lightness, chroma and hue.

    Parameters
    ----------
    lab : array of shape (..., 3)
        Lightness, a and b.

    Returns
    -------
    array of shape (..., 3), float64
        Lightness and chroma in the units of `lab`; hue in degrees, 0 to 360.
    """
    lightness, a, b = np.moveaxis(np.asarray(lab, float), -1, 0)
    return np.stack([lightness, np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360], -1)


def name_colours(
    rgb: np.ndarray, names: Sequence[str] | None = None
) -> tuple[list[str], np.ndarray]:
    """Name each colour after the nearest reference colour, hue first.

    The distance is that of OKLCh, with chroma C compressed to C / (C + 0.12). So the bright blue of
    a screen and the dull one of cloth are near each other, and both are far from purple. In CIELAB,
    pure blue would be nearest to a purple.

    Parameters
    ----------
    rgb : array of shape (n, 3)
        uint8, or floats in [0, 1].
    names : sequence of str, optional
        The names to choose from, two or more; by default all of `COLOURS` except metals and
        "Multi".

    Returns
    -------
    names : list of str
        One for each colour; of two equally near ones the first.
    scores : array of shape (n,), float64
        From 0.5, where a second name is as near, to 1 for a reference colour itself. How much of a
        garment has the colour is not in it: multiply by the share from `dominant_colour`.

    Raises
    ------
    DataError
        If the shape of the colours is another, a name has no reference colour, or there are fewer
        than two names.
    """
    rgb = check_array(np.asarray(rgb), ("n", 3), "Colours to be named", kind="any")
    if names is None:
        names = [name for name, one in COLOURS.items() if one is not None and name not in METALS]
    names = [canonical(name) for name in names]
    if bare := [name for name in names if COLOURS[name] is None]:
        raise DataError(
            f"No pixel can be called {bare[0]!r}: that is not one colour. Leave it out."
        )
    if len(set(names)) < 2:
        raise DataError(
            f"To choose a name takes two or more different ones, got {', '.join(names) or 'none'}."
        )
    space = _by_hue(rgb)
    apart = np.stack(
        [
            np.linalg.norm(space[:, None] - _by_hue(references), axis=-1).min(1)
            for references in ([COLOURS[name], *_BRIGHT.get(name, [])] for name in names)
        ],
        axis=1,
    )
    first, second = np.sort(apart, axis=1)[:, :2].T
    scores = np.divide(second, first + second, out=np.full(len(rgb), 0.5), where=second > 0)
    return [names[i] for i in apart.argmin(1)], scores


def dominant_colour(
    picture: np.ndarray, mask: np.ndarray | None = None
) -> tuple[np.ndarray, float]:
    """Find the colour that most of a garment has, and how much of it.

    A mean would mix the stripes of a shirt to a colour that it does not have. Therefore it is the
    window in the space of `name_colours` that holds the most pixels. The window is wide enough for
    the folds and shadows of one cloth; in a narrow one an even rest of the background would win.
    The result is deterministic.

    Parameters
    ----------
    picture : array of shape (height, width, 3)
        uint8, or floats in [0, 1].
    mask : array of shape (height, width), bool, optional
        True where the garment is (`fashionnb.data.foreground.foreground`); by default everywhere.

    Returns
    -------
    colour : array of shape (3,), uint8
        sRGB, the median of the pixels in the window.
    share : float
        Of the garment's pixels in the window, 0 to 1.

    Raises
    ------
    DataError
        If the shape is another, or the mask marks no pixel.
    """
    picture = np.asarray(picture)
    mask = np.ones(picture.shape[:2], bool) if mask is None else np.asarray(mask, bool)
    if picture.ndim != 3 or mask.shape != picture.shape[:2]:
        raise DataError(
            "Expected a picture (height, width, 3) and a mask (height, width), "
            f"got {picture.shape} and {mask.shape}."
        )
    if not mask.any():
        raise DataError("The mask marks no pixel, so there is no garment that could have a colour.")
    pixels = picture[mask]
    cell = np.floor(_by_hue(pixels) / _BIN).astype(int)
    cell -= cell.min(0)
    counts = np.zeros(cell.max(0) + 1)
    np.add.at(counts, tuple(cell.T), 1)
    for axis, width in enumerate(_WINDOW):
        counts = ndimage.convolve1d(counts, np.ones(width), axis, mode="constant")
    fullest = np.array(np.unravel_index(counts.argmax(), counts.shape))
    there = (np.abs(cell - fullest) <= np.array(_WINDOW) // 2).all(1)
    colour = np.median(to_lab(pixels[there]), axis=0)
    return np.round(255 * from_lab(colour)).astype(np.uint8), float(there.mean())


def colour_histogram(images: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Compute a colour histogram of each garment, 8 bins each for red, green and blue.

    PolaniaNet takes these 24 numbers.

    Parameters
    ----------
    images : array of shape (n, height, width, 3), uint8
        RGB, 0 to 255.
    mask : array of shape (n, height, width), bool, optional
        True where the garment is (`fashionnb.data.foreground.foreground`); by default everywhere.

    Returns
    -------
    array of shape (n, 24), float32
        The bins of each channel sum to 1. An image whose mask is empty is counted whole.

    Raises
    ------
    DataError
        If a shape or type is another.
    """
    check_array(images, ("n", "height", "width", 3), "Images", kind="uint8")
    if mask is not None:
        check_array(mask, images.shape[:3], "Masks", kind="bool")
    counts = np.empty((len(images), 3 * _STEPS), np.float32)
    for i, picture in enumerate(images):
        pixels = picture[mask[i]] if mask is not None and mask[i].any() else picture.reshape(-1, 3)
        step = pixels.astype(np.int64) * _STEPS // 256 + _STEPS * np.arange(3)
        counts[i] = np.bincount(step.ravel(), minlength=3 * _STEPS) / len(pixels)
    return counts


@dataclass(frozen=True)
class Harmony:
    """Harmony of two colours: how well they go together, and why.

    Parameters
    ----------
    kind : str
        A key of `BASE`.
    score : float
        0 to 1; at least 0.6 for colours that go together, at most 0.35 for others.
    reason : str
        The kind in words.
    difference : float
        Distance in OKLab; NaN if the kind is "unknown".
    """

    kind: str
    score: float
    reason: str
    difference: float = np.nan


@cache
def harmony(a: str, b: str) -> Harmony:
    """Rate how well two colours go together, by their names and rules of colour harmony.

    Colours please if they are alike, similar or opposed; what lies between looks like a mistake.
    The first rule that fits decides:

    1. Nearly the same colour (`ALIKE`): same.
    2. One is neutral (little chroma, or a metal): neutral, but weak if they are too near to be
       distinguished.
    3. Hues at most 15° apart: same, in another shade; again weak if too near.
    4. At most 65°: analogous.
    5. Less than 115°: weak.
    6. More: complementary.

    The score is that of the kind, and up to a quarter more for contrast in lightness.

    Parameters
    ----------
    a, b : str
        Names in `COLOURS`, in any case; "gray", "navy" and the like are understood.

    Returns
    -------
    Harmony
        The same for (a, b) and (b, a). "Multi" and "" (unknown) are "unknown" with every colour.

    Raises
    ------
    DataError
        If a name is unknown.

    References
    ----------
    Moon & Spencer (1944), Geometric Formulation of Classical Color Harmony.
    """
    names = sorted(name and canonical(name) for name in (a, b))
    for name in names:
        if not name or COLOURS[name] is None:
            reason = f"{name or 'no colour given'}: no colour of its own to compare"
            return Harmony("unknown", BASE["unknown"], reason)
    both = to_oklab(np.array([COLOURS[name] for name in names], np.uint8))
    lightness, chroma, hue = to_lch(both).T
    metal = np.array([name in METALS for name in names])
    neutral = metal | (chroma < np.where(lightness < DARK, PALE_IF_DARK, PALE))
    difference = float(np.linalg.norm(both[0] - both[1]))
    contrast = float(abs(lightness[0] - lightness[1]))
    between = np.nan if neutral.any() else float(abs((hue[0] - hue[1] + 180) % 360 - 180))
    kind, reason = _rule(names, neutral, difference, between)
    score = BASE[kind] + 0.25 * min(1.0, contrast / FULL_CONTRAST)
    return Harmony(kind, score, reason, difference)


def canonical(name: str) -> str:
    """Find the canonical name of a colour for another spelling of it: "gray", "off-white".

    Parameters
    ----------
    name : str
        A name of a colour, in any case.

    Returns
    -------
    str
        A key of `COLOURS`.

    Raises
    ------
    DataError
        If the name is unknown; the message lists similar ones.
    """
    plain = " ".join(name.casefold().replace("-", " ").replace("_", " ").split())
    plain = _ALSO.get(plain, plain.replace("gray", "grey"))
    known = {known.casefold(): known for known in COLOURS}
    if plain not in known:
        close = [known[match] for match in difflib.get_close_matches(plain, known, 3, 0.6)]
        hint = (
            f"Did you mean {' or '.join(close)}?" if close else f"Known are: {', '.join(COLOURS)}."
        )
        raise DataError(f"There is no colour {name!r}. {hint}")
    return known[plain]


def _by_hue(rgb: np.ndarray) -> np.ndarray:
    """Where colours lie for naming, (..., 3): lightness, and a and b of OKLab with less chroma."""
    lab = to_oklab(np.asarray(rgb, np.uint8) if isinstance(rgb, list) else rgb)
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    lab[..., 1:] /= (chroma + _CHROMA)[..., None]
    return lab


def _rule(names: list[str], neutral: np.ndarray, difference: float, hue: float) -> tuple[str, str]:
    """The kind and the reason; `hue` is NaN if one colour is neutral."""
    if difference < ALIKE:
        return "same", "the same colour to the eye"
    if difference < APART and not hue > ONE_HUE:
        return "weak", f"too near to be told apart, too far to match ({difference:.2f})"
    if neutral.any():
        neutral_one = names[neutral.argmax()]
        return "neutral", f"{neutral_one} is a neutral, and there is contrast ({difference:.2f})"
    if hue <= ONE_HUE:
        return "same", f"shades of one hue ({hue:.0f}° apart)"
    if hue <= RELATED:
        return "analogous", f"neighbouring hues ({hue:.0f}° apart)"
    if hue < OPPOSED:
        return "weak", f"hues {hue:.0f}° apart: neither kin nor opposites"
    return "complementary", f"opposite hues ({hue:.0f}° apart)"


def _light(rgb: np.ndarray) -> np.ndarray:
    """Check sRGB, and convert it to amounts of light, (..., 3) from 0 to 1."""
    what = "Colours, with red, green and blue in their last axis"
    rgb = check_array(np.asarray(rgb), (..., 3), what, kind="any")
    if rgb.dtype == np.uint8:
        rgb = rgb / 255
    elif rgb.dtype.kind != "f":
        raise DataError(f"Colours are uint8 (0 to 255) or floats (0 to 1), got {rgb.dtype}.")
    elif rgb.size and not (rgb.min() >= 0 and rgb.max() <= 1):
        raise DataError(
            f"Colours of floats lie in [0, 1], these go from {rgb.min():.3g} to {rgb.max():.3g}."
        )
    return linear(rgb)
