"""Fabrics of drawn garments: colours, seasons, and woven or printed patterns.

The fabric has its own coordinates (u across, v down, in units of the image), so that stripes can
follow a sleeve.
"""

import numpy as np

COLOURS = {
    "Black": (44, 43, 48),
    "White": (242, 240, 235),
    "Grey": (146, 149, 154),
    "Beige": (216, 195, 162),
    "Brown": (124, 82, 54),
    "Red": (196, 48, 50),
    "Pink": (238, 158, 176),
    "Yellow": (240, 200, 76),
    "Green": (78, 132, 88),
    "Blue": (84, 142, 202),
    "Navy Blue": (38, 54, 104),
    "Purple": (128, 88, 156),
}
PATTERNS = ("Solid", "Striped", "Checked", "Dotted", "Printed")
SEASONS = {
    "Spring": (0.62, (255, 252, 244), 0.09),
    "Summer": (1.0, (255, 236, 190), 0.0),
    "Autumn": (0.33, (150, 92, 44), 0.1),
    "Winter": (0.0, (34, 42, 62), 0.08),
}
"""Season -> its warmth (0 to 1), the tint of its colours, and how much of that is mixed in."""

WARMTH = np.array([warmth for warmth, _, _ in SEASONS.values()])
"""From 0 for winter to 1 for summer, in the order of `SEASONS`."""

# Second colours for each colour: of a stripe, dot, flower, trim or belt.
_BESIDE = {
    "Black": ("White", "Grey", "Red", "Beige"),
    "White": ("Navy Blue", "Black", "Red", "Blue"),
    "Grey": ("White", "Black", "Navy Blue", "Pink"),
    "Beige": ("White", "Brown", "Navy Blue", "Black"),
    "Brown": ("Beige", "White", "Black", "Yellow"),
    "Red": ("White", "Black", "Navy Blue", "Beige"),
    "Pink": ("White", "Red", "Grey", "Purple"),
    "Yellow": ("White", "Black", "Grey", "Brown"),
    "Green": ("White", "Beige", "Black", "Yellow"),
    "Blue": ("White", "Navy Blue", "Beige", "Grey"),
    "Navy Blue": ("White", "Beige", "Red", "Blue"),
    "Purple": ("White", "Pink", "Grey", "Black"),
}
# Fixed random numbers for 1024 cells of a flowered fabric, the same for every fabric.
_SCATTER = np.random.default_rng(7).random((4, 1024), dtype=np.float32)


def palette(colour: np.ndarray, season: np.ndarray, chances: np.ndarray) -> dict[str, np.ndarray]:
    """Choose the colours of the fabric, trim and other materials of each drawn garment.

    Parameters
    ----------
    colour, season : ndarray of shape (b,), int
        Positions in `COLOURS` and `SEASONS`.
    chances : ndarray of shape (b, 5), float32
        Random numbers in [0, 1).

    Returns
    -------
    dict of str to ndarray of shape (b, 3), float32
        For "fabric", "accent", "strap", "light", "sole", "metal" and "button", 0 to 255.
    """
    names, values = list(COLOURS), np.array(list(COLOURS.values()), np.float32)
    beside = np.array([[names.index(other) for other in _BESIDE[name]] for name in names])
    tint = np.array([tint for _, tint, _ in SEASONS.values()], np.float32)[season]
    share = np.array([share for _, _, share in SEASONS.values()], np.float32)[season][:, None]

    own = values[colour] + share * (tint - values[colour])
    own = own * (0.955 + 0.09 * chances[:, :1]) + np.float32([6, 0, -6]) * (
        chances[:, 1:2] - 0.5
    )  # dyes differ a little
    pale, dark = np.float32([244, 241, 234]), np.float32([52, 46, 44])
    leather = np.float32([[60, 48, 42], [148, 98, 62], [196, 152, 104], [40, 40, 44]])[
        (chances[:, 3] * 4).astype(int)
    ]
    bright = (own * np.float32([0.3, 0.6, 0.1])).sum(1) > 120
    return {
        "fabric": np.clip(own, 0, 255),
        "accent": values[beside[colour, (chances[:, 2] * 4).astype(int)]],
        "strap": np.where(chances[:, 4:5] < 0.55, own * 0.9, leather),
        "light": np.broadcast_to(pale, own.shape),
        "sole": np.where(chances[:, 3:4] < 0.6, leather, dark),
        "metal": np.where(
            chances[:, 4:5] < 0.6, np.float32([212, 176, 104]), np.float32([196, 200, 206])
        ),
        "button": np.where(
            bright[:, None] & (chances[:, 3:4] < 0.6),
            own * 0.55,
            np.where(bright[:, None], dark, pale),
        ),
    }


def weave(
    pattern: str, u: np.ndarray, v: np.ndarray, chances: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weave a patterned fabric: how much of its second and third colour each point shows.

    Parameters
    ----------
    pattern : str
        One of `PATTERNS` except "Solid".
    u, v : ndarray of shape (b, h, w)
        Coordinates of the fabric.
    chances : ndarray of shape (b, 4)
        Random numbers in [0, 1).
    size : int
        Pixels to one unit of the fabric: edges are one pixel soft, and no motif is finer than a
        pixel.

    Returns
    -------
    second : ndarray of shape (b, h, w), float32
        The share of the second colour, 0 to 1.
    third : ndarray of shape (b, h, w), float32, or float
        The share of the third colour, 0 to 1; 0.0 if the pattern has two colours.
    """
    a, b, c, d = (chances[:, k].astype(np.float32)[:, None, None] for k in range(4))
    if pattern == "Striped":
        upright = d < 0.3
        return _bands(
            np.where(upright, u, v), np.minimum(7 + 11 * a, size / 5), 0.26 + 0.24 * b, size
        ), 0.0
    if pattern == "Checked":
        often, wide = np.minimum(5 + 7 * a, size / 7), 0.3 + 0.2 * b
        across, down = _bands(u, often, wide, size), _bands(v, often, wide, size)
        fine = np.where(
            c < 0.5,
            _bands(u + 0.25 / often, often, 0.07, size)
            + _bands(v + 0.25 / often, often, 0.07, size),
            0,
        )
        return 0.42 * (across + down), 0.5 * np.minimum(fine, 1)
    if pattern == "Dotted":
        often, big = np.minimum(6 + 9 * a, size / 6), 0.16 + 0.14 * b
        x, y = u * often, v * often
        shift = 0.5 * (np.floor(y) % 2)
        x, y = x + shift - np.floor(x + shift) - 0.5, y - np.floor(y) - 0.5
        return np.clip(0.5 + (big - np.sqrt(x * x + y * y)) * (size / often), 0, 1), 0.0
    return _flowers(u, v, a, b, c, d, size)


def _bands(x, often, wide, size):
    """Stripes: `often` to the unit, each filling `wide` of its period."""
    phase = x * often
    away = np.abs(phase - np.floor(phase) - 0.5)
    return np.clip(0.5 + (wide / 2 - away) * (size / often), 0, 1)


def _flowers(u, v, a, b, c, d, size):
    """Scattered five-petalled flowers, each in a cell of its own."""
    often = np.minimum(5 + 4 * a, size / 9)
    x, y = u * often + 40 * c, v * often + 40 * d
    row = np.floor(y)
    x += 0.5 * (row % 2)
    column = np.floor(x)
    place = (
        column.astype(np.int32) * 37 + row.astype(np.int32) * 101 + (b * 1023).astype(np.int32)
    ) % 1024
    right, low, turn, big = _SCATTER[:, place]
    x, y = x - column - 0.5 - 0.2 * (right - 0.5), y - row - 0.5 - 0.2 * (low - 0.5)
    far = np.sqrt(x * x + y * y)
    petals = 0.55 + 0.45 * np.sqrt(np.abs(np.cos(2.5 * (np.arctan2(y, x) + 6.3 * turn))))
    soft = size / often
    return np.clip(0.5 + ((0.27 + 0.15 * big) * petals - far) * soft, 0, 1), np.clip(
        0.5 + (0.1 - far) * soft, 0, 1
    )
