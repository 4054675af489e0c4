"""Drawn garments: a catalogue of synthetic images whose attributes are known exactly.

It needs no download. It takes the place of a dataset that is missing (and the page says so), and
the tests use it. `clothes` and `shoes_and_bags` have the outlines of each category, made of
`garment_parts`; `fabrics` has colours and patterns, `curves_and_fills` the geometry, and
`rendering` makes the image. Numbers measured on drawn garments show that a method works, not how
well it does on photographs.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from fashionnb.data.catalogue import Catalogue
from fashionnb.data.images import ArrayImages
from fashionnb.errors import DataError
from fashionnb.synthetic.drawn_garments.fabrics import COLOURS, PATTERNS, SEASONS
from fashionnb.synthetic.drawn_garments.rendering import CHANCES, CUTS, paint

CATEGORIES = tuple(CUTS)
"""The categories that can be drawn: the ten classes of Fashion-MNIST in their published order."""

SPLITS = {"train": 0.8, "validation": 0.1, "test": 0.1}
SMALLEST, LARGEST = 16, 512  # pixels

_KNOWN = {
    "category": CATEGORIES,
    "colour": tuple(COLOURS),
    "pattern": PATTERNS,
    "season": tuple(SEASONS),
}


def catalogue(
    n: int = 2000,
    size: int | tuple[int, int] = 64,
    seed: int = 0,
    channels: int = 3,
    categories: Sequence[str] = CATEGORIES,
    stands_in_for: str | None = None,
    background: str = "white",
    splits: Mapping[str, float] = SPLITS,
) -> Catalogue:
    """Draw a catalogue of synthetic garments, whose attributes are known exactly.

    Item `i` depends on `seed` and `i` alone: a larger catalogue begins with the same items.

    Parameters
    ----------
    n : int
        Number of items, 1 or more.
    size : int or (int, int)
        Pixels, 16 to 512, one number or (height, width).
    seed : int
        The same seed gives the same catalogue.
    channels : int
        3 for colour, 1 for grey. On black, grey images are inverted, as Fashion-MNIST is.
    categories : sequence of str
        Some of `CATEGORIES`; each is drawn equally often.
    stands_in_for : str, optional
        The name of the missing dataset in whose place this is drawn.
    background : str
        "white" or "black".
    splits : mapping of str to float
        Name of each split -> its share. Shares can be counts: `{"train": 12000, "test": 2000}`.

    Returns
    -------
    Catalogue
        With the columns `id`, `category`, `colour`, `pattern`, `season`, `split`, `image`.

    Raises
    ------
    DataError
        If an argument is out of range or unknown.
    """
    _check(n, channels, categories, background, splits)
    chances = _generator(seed).random((n + -n % len(categories), CHANCES))
    order = np.argsort(chances[:, 0].reshape(-1, len(categories)), axis=1).ravel()[:n]
    chances = chances[:n]
    chosen = {
        "category": np.array([_number("category", name) for name in categories])[order],
        "colour": (chances[:, 1] * len(COLOURS)).astype(int),
        "pattern": np.maximum((chances[:, 2] * (len(PATTERNS) + 2)).astype(int) - 2, 0),
        "season": (chances[:, 3] * len(SEASONS)).astype(int),
    }
    columns = {
        "id": [f"drawn-{i:05d}" for i in range(n)],
        **{kind: np.array(_KNOWN[kind], object)[numbers] for kind, numbers in chosen.items()},
        "split": _deal(n, splits),
        "image": np.arange(n),
    }
    images = ArrayImages(paint(chosen, chances, _checked_size(size), channels, background))
    kept = tuple(name for name in CATEGORIES if name in categories)
    return Catalogue("atelier", pd.DataFrame(columns), images, kept, stands_in_for)


def draw(
    category: str,
    colour: str,
    pattern: str = "Solid",
    season: str = "Summer",
    size: int = 64,
    seed: int = 0,
) -> np.ndarray:
    """Draw one synthetic garment of some category, colour, pattern and season, on white.

    The same seed gives the same shape and pose in every colour, pattern and size.

    Parameters
    ----------
    category, colour, pattern, season : str
        One of `CATEGORIES`, `COLOURS`, `PATTERNS` and `SEASONS`.
    size : int
        Pixels, 16 to 512.
    seed : int
        0 or more.

    Returns
    -------
    ndarray of shape (size, size, 3), uint8
        The image in RGB, 0 to 255.

    Raises
    ------
    DataError
        If an attribute is unknown, or the size is out of range.
    """
    asked = {"category": category, "colour": colour, "pattern": pattern, "season": season}
    chosen = {kind: np.array([_number(kind, name)]) for kind, name in asked.items()}
    chances = _generator(seed).random((1, CHANCES))
    return paint(chosen, chances, _checked_size(size))[0]


def _deal(n: int, splits: Mapping[str, float]) -> np.ndarray:
    """The split of each item; after any number of items the shares are right to within one.

    Each item goes to the split that is furthest below its share.
    """
    shares = np.array(list(splits.values()), float)
    shares /= shares.sum()
    counts, dealt = np.zeros(len(shares)), np.empty(n, int)
    for i in range(n):
        dealt[i] = np.argmax((i + 1) * shares - counts)
        counts[dealt[i]] += 1
    return np.array(list(splits), dtype=object)[dealt]


def _check(n, channels, categories, background, splits) -> None:
    if not isinstance(n, int | np.integer) or n < 1:
        raise DataError(f"n={n!r} garments cannot be drawn; give a whole number, 1 or more.")
    if channels not in (1, 3) or background not in ("white", "black"):
        raise DataError(
            "Garments have 1 (grey) or 3 (colour) channels, on a background that is 'white' or "
            f"'black'; got {channels!r} and {background!r}."
        )
    if isinstance(categories, str) or not len(categories) or len(set(categories)) < len(categories):
        raise DataError(
            f"Expected a list of different categories, got {categories!r}; "
            f"choose from {CATEGORIES}."
        )
    shares = list(splits.values())
    numbers = all(isinstance(share, int | float) and share >= 0 for share in shares)
    if not numbers or not 0 < sum(shares) < np.inf:
        raise DataError(
            f"The splits {dict(splits)} are not shares: give each a number, 0 or more, "
            "not all of them 0."
        )


def _number(kind: str, name: str) -> int:
    """The position of a category, colour, pattern or season among those that can be drawn."""
    if name not in _KNOWN[kind]:
        raise DataError(
            f"There is no {kind} {name!r} to draw; choose one of: {', '.join(_KNOWN[kind])}."
        )
    return _KNOWN[kind].index(name)


def _generator(seed) -> np.random.Generator:
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise DataError(
            f"Garments cannot be drawn from seed {seed!r}; give a whole number, 0 or more."
        )
    return np.random.default_rng(seed)


def _checked_size(size) -> tuple[int, int]:
    shape = tuple(size) if isinstance(size, Sequence) else (size, size)
    if len(shape) != 2 or not all(
        isinstance(s, int | np.integer) and SMALLEST <= s <= LARGEST for s in shape
    ):
        raise DataError(
            f"Garments cannot be drawn at size {size!r}; "
            f"give one number of pixels from {SMALLEST} to {LARGEST}, or (height, width)."
        )
    return int(shape[0]), int(shape[1])
