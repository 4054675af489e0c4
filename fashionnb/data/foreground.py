"""Which part of a studio photo is the garment, and which the photographer's wall?

A studio's backdrop is smooth: its colour changes slowly from the border of the picture inwards. So a smooth surface is
fitted to the border, in a colour space that follows the eye, and what can be reached from the border without leaving
that surface is backdrop. It needs no training and no network. It is not for photos of people or rooms, and a white
garment on a white wall can only be found where the light gives its outline away.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image
from scipy import ndimage

from fashionnb.data.catalogue import Catalogue, Images
from fashionnb.data.images import letterbox
from fashionnb.errors import DataError

WORKING_HEIGHT = 112
"""Masks are found at about this height: averaging pixels takes the noise away, and the time."""

_CHUNK = 64  # pictures at a time, so that memory stays flat
_NEAR, _LOOSE = (
    2.0,
    8.0,
)  # how far from the surface a pixel of the backdrop may lie, in Lab: at least, at most
_NEAR_PALE = 1.1  # the first of the two, where hardly anything stands out from the backdrop
_ROUGH = 4.0  # a shadow is soft: it changes by less than this, in L, within 3 × 3 pixels
_CONTRAST = 10.0  # an item that differs less than this from the backdrop is a pale one
_PLANE = np.zeros(
    (3, 3, 3), bool
)  # neighbours within a picture: not across the pictures of a chunk
_PLANE[1] = True
_CROSS = _PLANE & ndimage.generate_binary_structure(3, 1)

# sRGB -> linear light -> XYZ over its white point -> the cube root of CIE Lab, as tables.
_LINEAR = np.arange(256) / 255
_LINEAR = np.where(_LINEAR <= 0.04045, _LINEAR / 12.92, ((_LINEAR + 0.055) / 1.055) ** 2.4).astype(
    np.float32
)
_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_TO_XYZ = (_TO_XYZ / _TO_XYZ.sum(1, keepdims=True)).astype(np.float32)
_STEPS = 32_000  # so that int16 can count them
_ROOT = np.arange(_STEPS + 2) / _STEPS
_ROOT = np.where(
    _ROOT > (6 / 29) ** 3, np.cbrt(_ROOT), _ROOT / (3 * (6 / 29) ** 2) + 4 / 29
).astype(np.float32)


def foreground(images: np.ndarray) -> np.ndarray:
    """Find the garment in each studio photo. Introduced in chapter 08.

    The mask of a photo depends on that photo alone, whatever else is in `images`.

    1. Fit a smooth surface to the border, and fit it again to all that can be reached from there.
    2. Backdrop is what is reached from the border through pixels that are near the surface. Beside a strong colour
       "near" is wider, since JPEG smears colours; darker without another hue is a shadow, and belongs to the wall.
    3. Enclosed pieces of wall (within a hoop, under a handle) go, and so do faint scraps far from any garment.

    Parameters
    ----------
    images : (n, height, width, 3) uint8, as they were photographed: not letterboxed, since white bars are another wall.

    Returns
    -------
    mask : (n, height, width) bool, True where the garment is.

    Raises
    ------
    DataError : not uint8 of that shape, or a picture smaller than 48 pixels.
    """
    _check(images)
    masks = np.empty(images.shape[:3], bool)
    for rows in _chunks(len(images)):
        factor = _factor(images)
        small = _garment(_lab(_shrunk(images[rows], factor)))
        masks[rows] = small.repeat(factor, 1).repeat(factor, 2)[
            :, : images.shape[1], : images.shape[2]
        ]
    return masks


def remove_background(images: np.ndarray) -> np.ndarray:
    """Put each garment on white. Introduced in chapter 08.

    Parameters
    ----------
    images : as `foreground`.

    Returns
    -------
    uint8 of the same shape; the given ones are left as they are.

    Raises
    ------
    DataError : as `foreground`.
    """
    return np.where(foreground(images)[..., None], images, np.uint8(255))


def backdrop_colours(images: np.ndarray) -> np.ndarray:
    """Describe the wall of each photo by the colours of its four corners. Introduced in chapter 08.

    A shortcut to measure, not a feature to use: it knows nothing of the garment.

    Parameters
    ----------
    images : as `foreground`.

    Returns
    -------
    (n, 12) float32: L, a, b (CIE Lab, D65) of the corners top left, top right, bottom left, bottom right.

    Raises
    ------
    DataError : as `foreground`.
    """
    _check(images)
    tall, wide = (max(2, side // 16) for side in images.shape[1:3])
    corners = [
        images[:, y, x]
        for y in (slice(tall), slice(-tall, None))
        for x in (slice(wide), slice(-wide, None))
    ]
    return np.concatenate(
        [np.median(_lab(corner), axis=(1, 2)) for corner in corners], axis=1
    ).astype(np.float32)


def on_white(catalogue: Catalogue) -> Catalogue:
    """The same catalogue with every garment cut out and put on white. Introduced in chapter 08.

    A picture is cut out when it is asked for, so this call costs nothing, and asking twice costs twice.
    """
    return replace(catalogue, images=_CutOut(catalogue.images))


class _CutOut:
    """The pictures of another store, without their backdrops."""

    def __init__(self, images: Images) -> None:
        self.images = images

    def image(self, key: object) -> Image.Image:
        """One picture, RGB, the garment on white."""
        return Image.fromarray(
            remove_background(np.asarray(self.images.image(key).convert("RGB"))[None])[0]
        )

    def pixels(
        self, keys: Sequence, size: int | tuple[int, int] | None = None, channels: int = 3
    ) -> np.ndarray:
        """Many pictures of one size; see `fashionnb.data.images.FolderImages.pixels`."""
        if not len(keys):
            return self.images.pixels(keys, size, channels)
        asked = self.images.image(keys[0]).size[::-1] if size is None else size
        parts = []
        for rows in _chunks(len(keys)):
            pictures = [np.asarray(self.images.image(key).convert("RGB")) for key in keys[rows]]
            shapes = {picture.shape for picture in pictures}
            if size is None and shapes != {(*asked, 3)}:
                raise DataError(
                    f"The pictures differ in size: {sorted(shapes | {(*asked, 3)})[:2]}. Give a size."
                )
            cut = dict.fromkeys(range(len(pictures)))  # in this order, whatever their shapes
            for shape in shapes:
                alike = [row for row, picture in enumerate(pictures) if picture.shape == shape]
                cut.update(
                    zip(
                        alike,
                        remove_background(np.stack([pictures[row] for row in alike])),
                        strict=True,
                    )
                )
            parts.append(
                np.stack(
                    [
                        letterbox(Image.fromarray(picture), asked, channels)
                        for picture in cut.values()
                    ]
                )
            )
        return np.concatenate(parts)


def _garment(colours: np.ndarray) -> np.ndarray:
    """The mask of a chunk of small pictures in Lab, (n, h, w, 3) float32."""
    light, hue = _distance_from_backdrop(colours)
    distance = np.hypot(light, hue)
    nearby = ndimage.maximum_filter(
        distance, (1, 9, 9)
    )  # the strongest contrast within four pixels
    clear = (distance > _CONTRAST).mean((1, 2), keepdims=True) > 0.02
    near = np.clip(0.15 * nearby, np.where(clear, _NEAR, _NEAR_PALE), _LOOSE)
    rough = ndimage.maximum_filter(light, (1, 3, 3)) - ndimage.minimum_filter(light, (1, 3, 3))
    soft = ((rough < _ROUGH) | (nearby > 2 * _CONTRAST)) & (hue < np.minimum(near, 4))
    shadow = (light < 0) & (light > -np.minimum(0.35 * nearby, 25)) & soft
    like_backdrop = (np.abs(light) < np.minimum(near, 3)) & (hue < near) | shadow
    garment = ~_reached(like_backdrop)
    garment &= ~_enclosed_backdrop(garment & (like_backdrop | (distance < 3)), distance, rough)
    garment = _without_scraps(garment, distance, rough, hue)
    return _pale_ones_closed(garment, distance)


def _distance_from_backdrop(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much lighter than the fitted backdrop each pixel is, and how far in hue: two (n, h, w)."""
    n, h, w, _ = colours.shape
    flat = colours.reshape(n, h * w, 3)
    border = np.ones((h, w), bool)
    border[2:-2, 2:-2] = False
    rows = border.ravel()
    simple, rich = _polynomials(h, w, 2), _polynomials(h, w, 4)
    # Something may stick out of the picture: begin near the border's median, then leave out what fits badly.
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
    """Smooth pieces that are like the backdrop, and surrounded by what is not: the wall seen through a hoop."""
    ids, count = ndimage.label(candidates, _CROSS)
    around = ndimage.maximum_filter(ids, (1, 3, 3)) * (ids == 0)
    inside, roughness = (_mean(values, ids, count) for values in (distance, rough))
    outside = _mean(ndimage.maximum_filter(distance, (1, 5, 5)), around, count)
    hole = (outside > np.maximum(4 * inside, 0.7 * _CONTRAST)) & (
        roughness < np.maximum(1, 0.2 * outside)
    )
    return hole[ids] & candidates


def _without_scraps(
    garment: np.ndarray, distance: np.ndarray, rough: np.ndarray, hue: np.ndarray
) -> np.ndarray:
    """The mask without pieces that are tiny, and without soft ones that are faint or grey: those are shadows."""
    ids, count = ndimage.label(garment, _PLANE)
    strongest, reddest = (_most(values, ids, count) for values in (distance, hue))
    picture = np.zeros(count + 1, int)
    picture[ids[garment]] = np.nonzero(garment)[0]
    contrast = (distance * garment).max((1, 2))[picture]  # of the picture that a piece is in
    faint = strongest < np.minimum(0.25 * contrast, _CONTRAST)
    soft = _mean(rough, ids, count) < _ROUGH
    tiny = np.bincount(ids.ravel(), minlength=count + 1) < 4
    grey = (reddest < 4) & (
        contrast > 3 * _CONTRAST
    )  # where all is pale, grey pieces may well be the garment
    kept = (strongest >= 0.5 * contrast) | ~(tiny | (soft & (faint | grey)))
    return kept[ids] & garment


def _pale_ones_closed(garment: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Of a pale garment only outline and folds were found: close the gaps, and fill what they enclose."""
    strong = (garment & (distance > _CONTRAST)).sum((1, 2))
    pale = strong < 0.25 * garment.sum((1, 2))
    if pale.any():
        closed = ndimage.binary_closing(
            np.pad(garment[pale], ((0, 0), (4, 4), (4, 4))), _PLANE, iterations=4
        )
        filled = ~_reached(~closed[:, 4:-4, 4:-4])
        # A necklace encloses much more than it is.
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
    """Which of the free pixels, (n, h, w) bool, can be reached from the border of their picture through free ones."""
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
    """Least squares for each picture: terms (p, k), values (n, p, 3), weights (n, p) -> coefficients (n, k, 3).

    In float64 and picture by picture: one product for all would round each picture by what else is in the chunk.
    """
    k = terms.shape[1]
    weighted = (weights[..., None] * terms).swapaxes(1, 2)
    # A little ridge: where a picture leaves too few pixels, the surface stays flat instead of wild.
    return np.linalg.solve(weighted @ terms + 0.3 * np.eye(k), weighted @ values.astype(np.float64))


def _surface(terms: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """The fitted surface of each picture at p pixels, (n, p, 3) float32."""
    return (terms @ coefficients).astype(np.float32)


def _blurred(colours: np.ndarray) -> np.ndarray:
    """The mean over 3 × 3 pixels."""
    padded = np.pad(colours, ((0, 0), (1, 1), (1, 1), (0, 0)), "edge")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 9


def _factor(images: np.ndarray) -> int:
    return max(1, round(images.shape[1] / WORKING_HEIGHT))


def _lab(colours: np.ndarray) -> np.ndarray:
    """`fashionnb.data.colour.to_lab` of uint8 by tables, to within 0.1 and ten times as fast; float32."""
    r, g, b = (_LINEAR[colours[..., channel]] for channel in range(3))
    # Sums, not a matrix product: those round alike on every processor.
    xyz = ((red * r + green * g + blue * b) * _STEPS for red, green, blue in _TO_XYZ)
    x, y, z = (_ROOT[(part + 0.5).astype(np.int16)] for part in xyz)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def _shrunk(images: np.ndarray, factor: int) -> np.ndarray:
    """Pictures smaller by a whole factor, each pixel the mean of a block; the last row and column fill up the rest."""
    missing = [-side % factor for side in images.shape[1:3]]
    images = np.pad(images, ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0)), "edge")
    total = sum(
        images[:, y::factor, x::factor].astype(np.uint32)
        for y in range(factor)
        for x in range(factor)
    )
    return ((total + factor**2 // 2) // factor**2).astype(np.uint8)


def _chunks(n: int) -> Iterator[slice]:
    for start in range(0, n, _CHUNK):
        yield slice(start, min(start + _CHUNK, n))


def _check(images: np.ndarray) -> None:
    if (
        images.dtype != np.uint8
        or images.ndim != 4
        or images.shape[3] != 3
        or min(images.shape[1:3]) < 48
    ):
        raise DataError(
            "Studio photos are uint8 (n, height, width, 3), 48 pixels or more a side; "
            f"got {images.dtype} {images.shape}."
        )
