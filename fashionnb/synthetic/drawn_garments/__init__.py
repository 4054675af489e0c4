"""The atelier: garments that are drawn, not photographed, so that every attribute is known exactly.

It needs no download. Where a real dataset is missing it stands in for it (and the page says so), and all tests draw
from it. A picture is made like a real garment: `cuts` has the outlines, `fabrics` the cloth, `drawing` the pencil;
`painting` lays the parts on the page and lets light fall on them. Numbers measured on drawn garments say how a
method works, never how well it does on photographs.
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
"""What can be drawn: the ten classes of Fashion-MNIST, in their published order."""

SPLITS = {"train": 0.8, "validation": 0.1, "test": 0.1}
SMALLEST, LARGEST = 16, 512  # pixels


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
    """Draw `n` garments. Introduced in chapter 01.

    Item `i` depends on `seed` and `i` alone: asking for more items never changes earlier ones.

    Parameters
    ----------
    n : how many; 1 or more. size : pixels, 16 to 512, one number or (height, width). seed : of everything.
    channels : 3 for colour, 1 for grey. On black, grey pictures are negatives, as Fashion-MNIST was published.
    categories : some of `CATEGORIES`; each comes equally often.
    stands_in_for : the name of the dataset that is missing, if this is drawn in its place.
    background : "white" or "black".
    splits : name of each split and its share; shares may be counts, such as `{"train": 12000, "test": 2000}`.

    Returns
    -------
    A catalogue with the columns `id`, `category`, `colour`, `pattern`, `season`, `split`, `image`.

    Raises
    ------
    DataError : a size, a category, a share or another argument that cannot be drawn.
    """
    _check(n, channels, categories, background, splits)
    shape = _check_size(size)
    chances = _generator(seed).random((n + -n % len(categories), CHANCES))
    order = np.argsort(chances[:, 0].reshape(-1, len(categories)), axis=1).ravel()[:n]
    chances = chances[:n]
    chosen = {
        "category": np.array([CATEGORIES.index(name) for name in categories])[order],
        "colour": (chances[:, 1] * len(COLOURS)).astype(int),
        "pattern": np.maximum((chances[:, 2] * (len(PATTERNS) + 2)).astype(int) - 2, 0),
        "season": (chances[:, 3] * len(SEASONS)).astype(int),
    }
    pictures = _paint(chosen, chances, shape, channels, background)
    named = {
        "category": CATEGORIES,
        "colour": tuple(COLOURS),
        "pattern": PATTERNS,
        "season": SEASONS,
    }
    table = pd.DataFrame({"id": [f"drawn-{i:05d}" for i in range(n)]})
    for column, numbers in chosen.items():
        table[column] = np.array(named[column], dtype=object)[numbers]
    table["split"] = _deal(n, splits)
    table["image"] = np.arange(n)
    kept = tuple(name for name in CATEGORIES if name in categories)
    return Catalogue("atelier", table, ArrayImages(pictures), kept, stands_in_for)


def draw(
    category: str,
    colour: str,
    pattern: str = "Solid",
    season: str = "Summer",
    size: int = 64,
    seed: int = 0,
) -> np.ndarray:
    """Draw one garment on white: uint8 (size, size, 3). Introduced in chapter 01.

    The same seed gives the same cut and pose in every colour, pattern and size.

    Raises
    ------
    DataError : an attribute that the atelier does not know, or a size outside 16 to 512.
    """
    chosen = {}
    asked = {"category": category, "colour": colour, "pattern": pattern, "season": season}
    known = {
        "category": CATEGORIES,
        "colour": tuple(COLOURS),
        "pattern": PATTERNS,
        "season": SEASONS,
    }
    for kind, name in asked.items():
        if name not in known[kind]:
            raise DataError(
                f"The atelier knows no {kind} {name!r}; choose one of: {', '.join(known[kind])}."
            )
        chosen[kind] = np.array([known[kind].index(name)])
    shape = _check_size(size)
    chances = _generator(seed).random((1, CHANCES))
    return _paint(chosen, chances, shape, 3, "white")[0]


def _paint(chosen, chances, shape, channels, background) -> np.ndarray:
    pictures = np.empty((len(chances), *shape, channels), np.uint8)
    for number in np.unique(chosen["category"]):
        rows = np.flatnonzero(chosen["category"] == number)
        look = (chosen[kind][rows] for kind in ("colour", "pattern", "season"))
        pictures[rows] = paint(
            CATEGORIES[number], *look, chances[rows], shape, channels, background
        )
    return pictures


def _deal(n: int, splits: Mapping[str, float]) -> np.ndarray:
    """Deal items to the splits one by one, so that after any number of items the shares are right to within one.

    Each goes to the split that lags most behind its share.
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
        raise DataError(
            f"The atelier was asked for n={n!r} items; ask for a whole number, 1 or more."
        )
    if channels not in (1, 3):
        raise DataError(f"The atelier draws 1 (grey) or 3 (colour) channels, not {channels!r}.")
    if background not in ("white", "black"):
        raise DataError(f"The atelier draws on 'white' or 'black', not on {background!r}.")
    if isinstance(categories, str) or not len(categories) or len(set(categories)) < len(categories):
        raise DataError(
            f"Expected a list of different categories, got {categories!r}; choose from {CATEGORIES}."
        )
    if strange := [name for name in categories if name not in CATEGORIES]:
        raise DataError(
            f"The atelier knows no category {strange[0]!r}; choose some of: {', '.join(CATEGORIES)}."
        )
    shares = list(splits.values())
    if (
        not all(isinstance(share, int | float) and share >= 0 for share in shares)
        or not 0 < sum(shares) < np.inf
    ):
        raise DataError(
            f"The splits {dict(splits)} are not shares: give each a number, 0 or more, not all of them 0."
        )


def _generator(seed) -> np.random.Generator:
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise DataError(
            f"The atelier cannot draw from seed {seed!r}; give a whole number, 0 or more."
        )
    return np.random.default_rng(seed)


def _check_size(size) -> tuple[int, int]:
    shape = tuple(size) if isinstance(size, Sequence) else (size, size)
    if len(shape) != 2 or not all(
        isinstance(s, int | np.integer) and SMALLEST <= s <= LARGEST for s in shape
    ):
        raise DataError(
            f"The atelier cannot draw at size {size!r}; "
            f"give one number of pixels from {SMALLEST} to {LARGEST}, or (height, width)."
        )
    return int(shape[0]), int(shape[1])
