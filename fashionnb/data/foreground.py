"""Separate the garment from the background in studio photos, without a network.

The background of a studio photo is smooth: its colour changes slowly from the border of the image
inwards. So a smooth surface is fitted to the border, in CIELAB, and what can be reached from the
border without leaving that surface is background. It is not for photos of people or rooms, and of a
white garment on white only shaded outlines and folds can be found.
"""

import numpy as np
from PIL import Image
from scipy import ndimage

from fashionnb.arrays import check_array, slices
from fashionnb.data.colour import TO_XYZ, cube_root, linear
from fashionnb.errors import DataError

WORKING_HEIGHT = 112
"""Masks are found at about this height: averaging pixels reduces noise and time."""

_SMALLEST, _LARGEST = 64, 256  # pixels of a photo in which one garment is found
_CHUNK = 64  # images at a time, which bounds the memory
# How far from the surface a pixel of the background may be, in CIELAB: at least, at most.
_NEAR, _LOOSE = 2.0, 8.0
_NEAR_PALE = 1.1  # instead of _NEAR, where hardly any pixel differs from the background
_ROUGH = 4.0  # a shadow is soft: it changes by less than this, in L, within 3 × 3 pixels
_CONTRAST = 10.0  # a garment that differs less than this from the background is a pale one
# Neighbours within an image, not across the images of a chunk.
_PLANE = np.pad(np.ones((1, 3, 3), bool), ((1, 1), (0, 0), (0, 0)))
_CROSS = _PLANE & ndimage.generate_binary_structure(3, 1)

# sRGB -> linear light -> XYZ over its white point -> the cube root of CIE Lab, as tables.
_LINEAR = linear(np.arange(256) / 255).astype(np.float32)
_TO_XYZ = TO_XYZ.astype(np.float32)
_STEPS = 32_000  # so that int16 can count them
_ROOT = cube_root(np.arange(_STEPS + 2) / _STEPS).astype(np.float32)


def foreground(images: np.ndarray) -> np.ndarray:
    """Separate the foreground, a garment, from the background of each studio photo.

    The mask of a photo depends on that photo alone, whatever else is in `images`.

    1. A smooth surface is fitted to the border, and fitted again to all pixels near it that can be
       reached from the border.
    2. Background is what is reached from the border through pixels that are near the surface. Next
       to a strong colour the tolerance is larger, since JPEG smears colours; a darker pixel of the
       same hue is a shadow, and counts as background.
    3. Enclosed pieces of background (within a hoop, under a handle) and faint small pieces far from
       the garment are removed.

    Parameters
    ----------
    images : array of shape (n, height, width, 3), uint8
        As they were photographed, not letterboxed: white bars are a second background.

    Returns
    -------
    array of shape (n, height, width), bool
        True where the garment is.

    Raises
    ------
    DataError
        If images are not uint8 of that shape, or a side is below 48 pixels.
    """
    _check(images)
    masks = np.empty(images.shape[:3], bool)
    factor = max(1, round(images.shape[1] / WORKING_HEIGHT))
    for rows in slices(len(images), _CHUNK):
        small = _garment(_lab(_shrunk(images[rows], factor)))
        large = small.repeat(factor, 1).repeat(factor, 2)
        masks[rows] = large[:, : images.shape[1], : images.shape[2]]
    return masks


def garment(photo: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """Separate the garment in one photo of any size from its smooth background.

    Parameters
    ----------
    photo : PIL image
        As it was photographed.

    Returns
    -------
    pixels : ndarray of shape (height, width, 3), uint8
        The photo in a size in which the foreground is found well and fast.
    mask : ndarray of shape (height, width), bool
        True where the garment is: everywhere if none is found, as of a white shirt on white.
    """
    small = photo.convert("RGB")
    small.thumbnail((_LARGEST, _LARGEST))
    larger = -(-_SMALLEST // min(small.size))
    pixels = np.asarray(small).repeat(larger, 0).repeat(larger, 1)
    mask = foreground(pixels[None])[0]
    return pixels, mask if mask.any() else np.ones_like(mask)


def backdrop_colours(images: np.ndarray) -> np.ndarray:
    """Describe the background behind the foreground of each studio photo by its corner colours.

    It shows how much a model could learn from the background alone.

    Parameters
    ----------
    images : array of shape (n, height, width, 3), uint8
        As in `foreground`.

    Returns
    -------
    array of shape (n, 12), float32
        L, a, b (CIELAB, D65) of the corners top left, top right, bottom left, bottom right.

    Raises
    ------
    DataError
        As `foreground`.
    """
    _check(images)
    tall, wide = (max(2, side // 16) for side in images.shape[1:3])
    corners = [
        images[:, y, x]
        for y in (slice(tall), slice(-tall, None))
        for x in (slice(wide), slice(-wide, None))
    ]
    medians = [np.median(_lab(corner), axis=(1, 2)) for corner in corners]
    return np.concatenate(medians, axis=1).astype(np.float32)


def _garment(colours: np.ndarray) -> np.ndarray:
    """The mask of a chunk of small images in CIELAB, (n, h, w, 3) float32."""
    light, hue = _distance_from_backdrop(colours)
    distance = np.hypot(light, hue)
    nearby = ndimage.maximum_filter(distance, (1, 9, 9))  # strongest contrast within four pixels
    clear = (distance > _CONTRAST).mean((1, 2), keepdims=True) > 0.02
    near = np.clip(0.15 * nearby, np.where(clear, _NEAR, _NEAR_PALE), _LOOSE)
    rough = ndimage.maximum_filter(light, (1, 3, 3)) - ndimage.minimum_filter(light, (1, 3, 3))
    soft = ((rough < _ROUGH) | (nearby > 2 * _CONTRAST)) & (hue < np.minimum(near, 4))
    shadow = (light < 0) & (light > -np.minimum(0.35 * nearby, 25)) & soft
    like_backdrop = (np.abs(light) < np.minimum(near, 3)) & (hue < near) | shadow
    garment = ~_reached(like_backdrop)
    garment &= ~_enclosed_backdrop(garment & (like_backdrop | (distance < 3)), distance, rough)
    garment = _without_small_pieces(garment, distance, rough, hue)
    return _pale_ones_closed(garment, distance)


def _distance_from_backdrop(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much lighter than the fitted background each pixel is, and how far in hue: (n, h, w)."""
    n, h, w, _ = colours.shape
    flat = colours.reshape(n, h * w, 3)
    border = np.ones((h, w), bool)
    border[2:-2, 2:-2] = False
    rows = border.ravel()
    simple, rich = _polynomials(h, w, 2), _polynomials(h, w, 4)
    # The garment may touch the border: start with pixels near the border's median, then leave out
    # those that fit badly.
    edge = flat[:, rows]
    weights = np.abs(edge - np.median(edge, 1, keepdims=True)).max(-1) < 18
    for _ in range(3):
        surface = _fit(simple[rows], edge, weights)
        off = np.abs(_surface(simple[rows], surface) - edge).max(-1)
        weights = off < np.maximum(3 * np.median(off, 1, keepdims=True), 1.5)
    blurred = _blurred(colours)
    off = blurred - _surface(simple, surface).reshape(colours.shape)
    some = border.copy()
    some[::3, ::3] = True  # every ninth pixel is enough for fifteen coefficients
    rows = some.ravel()
    for near in (2.5, 2.0):
        sure = ndimage.binary_erosion(
            _reached((off**2).sum(-1) < near**2), _PLANE, iterations=2, border_value=1
        )
        surface = _fit(rich[rows], flat[:, rows], sure.reshape(n, -1)[:, rows])
        off = blurred - _surface(rich, surface).reshape(colours.shape)
    return off[..., 0], np.hypot(off[..., 1], off[..., 2])


def _enclosed_backdrop(
    candidates: np.ndarray, distance: np.ndarray, rough: np.ndarray
) -> np.ndarray:
    """Smooth pieces like the background that are surrounded by the garment, as within a hoop."""
    ids, count = ndimage.label(candidates, _CROSS)
    around = ndimage.maximum_filter(ids, (1, 3, 3)) * (ids == 0)
    inside, roughness = (_mean(values, ids, count) for values in (distance, rough))
    outside = _mean(ndimage.maximum_filter(distance, (1, 5, 5)), around, count)
    hole = (outside > np.maximum(4 * inside, 0.7 * _CONTRAST)) & (
        roughness < np.maximum(1, 0.2 * outside)
    )
    return hole[ids] & candidates


def _without_small_pieces(
    garment: np.ndarray, distance: np.ndarray, rough: np.ndarray, hue: np.ndarray
) -> np.ndarray:
    """The mask without tiny pieces, and without soft ones that are faint or grey (shadows)."""
    ids, count = ndimage.label(garment, _PLANE)
    strongest, most_hue = (_most(values, ids, count) for values in (distance, hue))
    picture = np.zeros(count + 1, int)
    picture[ids[garment]] = np.nonzero(garment)[0]
    contrast = (distance * garment).max((1, 2))[picture]  # of the image that a piece is in
    faint = strongest < np.minimum(0.25 * contrast, _CONTRAST)
    soft = _mean(rough, ids, count) < _ROUGH
    tiny = np.bincount(ids.ravel(), minlength=count + 1) < 4
    # Where all is pale, grey pieces may be the garment.
    grey = (most_hue < 4) & (contrast > 3 * _CONTRAST)
    kept = (strongest >= 0.5 * contrast) | ~(tiny | (soft & (faint | grey)))
    return kept[ids] & garment


def _pale_ones_closed(garment: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Of a pale garment only outlines and folds are found: close gaps, fill what they enclose."""
    strong = (garment & (distance > _CONTRAST)).sum((1, 2))
    pale = strong < 0.25 * garment.sum((1, 2))
    if pale.any():
        padded = np.pad(garment[pale], ((0, 0), (4, 4), (4, 4)))
        closed = ndimage.binary_closing(padded, _PLANE, iterations=4)
        filled = ~_reached(~closed[:, 4:-4, 4:-4])
        # A necklace encloses a much larger area than its own.
        cloth = filled.sum((1, 2)) < 4 * garment[pale].sum((1, 2))
        garment[pale] = np.where(cloth[:, None, None], filled, garment[pale])
    return garment


def _mean(values: np.ndarray, ids: np.ndarray, count: int) -> np.ndarray:
    """The mean of each piece, (count + 1,); piece 0 is all that belongs to none."""
    ids = ids.ravel()
    return np.bincount(ids, values.ravel(), count + 1) / np.maximum(
        np.bincount(ids, minlength=count + 1), 1
    )


def _most(values: np.ndarray, ids: np.ndarray, count: int) -> np.ndarray:
    """The largest value of each piece, (count + 1,); 0 for piece 0."""
    found, inside = np.zeros(count + 1, values.dtype), ids > 0
    np.maximum.at(found, ids[inside], values[inside])
    return found


def _reached(free: np.ndarray) -> np.ndarray:
    """Which free pixels, (n, h, w) bool, are connected with the border of their image."""
    ids, count = ndimage.label(free, _CROSS)
    touched = np.zeros(count + 1, bool)
    for side in (ids[:, 0], ids[:, -1], ids[:, :, 0], ids[:, :, -1]):
        touched[side] = True
    touched[0] = False  # 0 is what is not free
    return touched[ids]


def _polynomials(h: int, w: int, degree: int) -> np.ndarray:
    """All products x^i y^j up to a degree at every pixel, (h·w, terms), x and y from -1 to 1."""
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    terms = [x**i * y**j for i in range(degree + 1) for j in range(degree + 1 - i)]
    return np.stack(terms, -1).reshape(h * w, -1)


def _fit(terms: np.ndarray, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Least squares for each image: terms (p, k), values (n, p, 3), weights (n, p) -> (n, k, 3).

    In float64 and image by image: in one product for all, the rounding of an image would depend on
    the others.
    """
    k = terms.shape[1]
    weighted = (weights[..., None] * terms).swapaxes(1, 2)
    # A little ridge, for images with few usable pixels.
    return np.linalg.solve(weighted @ terms + 0.3 * np.eye(k), weighted @ values.astype(np.float64))


def _surface(terms: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """The fitted surface of each image at p pixels, (n, p, 3) float32."""
    return (terms @ coefficients).astype(np.float32)


def _blurred(colours: np.ndarray) -> np.ndarray:
    """The mean over 3 × 3 pixels."""
    padded = np.pad(colours, ((0, 0), (1, 1), (1, 1), (0, 0)), "edge")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 9


def _lab(colours: np.ndarray) -> np.ndarray:
    """`fashionnb.data.colour.to_lab` of uint8 by tables: within 0.1, ten times as fast, float32."""
    r, g, b = (_LINEAR[colours[..., channel]] for channel in range(3))
    # Sums round equally on every processor; a matrix product does not.
    xyz = ((red * r + green * g + blue * b) * _STEPS for red, green, blue in _TO_XYZ)
    x, y, z = (_ROOT[(part + 0.5).astype(np.int16)] for part in xyz)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def _shrunk(images: np.ndarray, factor: int) -> np.ndarray:
    """Images smaller by a whole factor, each pixel the mean of a block; edges are padded."""
    missing = [-side % factor for side in images.shape[1:3]]
    images = np.pad(images, ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0)), "edge")
    total = sum(
        images[:, y::factor, x::factor].astype(np.uint32)
        for y in range(factor)
        for x in range(factor)
    )
    return ((total + factor**2 // 2) // factor**2).astype(np.uint8)


def _check(images: np.ndarray) -> None:
    check_array(images, ("n", "height", "width", 3), "Studio photos", kind="uint8")
    if min(images.shape[1:3]) < 48:
        raise DataError(f"Studio photos: expected 48 pixels or more a side, got {images.shape}.")
