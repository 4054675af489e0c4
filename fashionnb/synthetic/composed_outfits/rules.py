"""Rules of composed outfits: which two items are compatible, by their attributes alone.

Each rule is about two items, and an outfit is good if no two of its items break a rule. An unknown
attribute breaks no rule. The rules are those of style guides. They are no claim about what people
wear, but a ground truth that a model can be tested against.
"""

from collections.abc import Sequence
from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd

from fashionnb.data import colour
from fashionnb.data.catalogue import Catalogue
from fashionnb.errors import DataError
from fashionnb.synthetic.composed_outfits.role_words import WORDS, role_of

ROLES = ("top", "bottom", "dress", "layer", "shoes", "bag", "accessory")
"""The role of an item in an outfit. A layer is worn over a top or a dress."""

RULES = ("role", "gender", "usage", "season", "colour", "focal")
"""The rules that two items can break.

role : one item for each role, and no top or bottom with a dress.
gender : all for one gender; "Unisex" goes with each.
usage : all for one occasion, or for two of one group of `OCCASIONS`.
season : of one season, or of two that follow each other.
colour : the two colours are not "weak" together (`fashionnb.data.colour.harmony`).
focal : at most one focal item, by a pattern, by many colours, or by a chroma of `VIVID` or more.
"""

OCCASIONS = (
    {"Casual", "Smart Casual", "Travel"},
    {"Formal", "Smart Casual", "Party"},
    {"Sports"},
    {"Ethnic"},
)
"""Occasions that go together."""

VIVID = 0.15
"""From this chroma on (OKLCh) a colour makes an item focal: red, orange, yellow and the like."""

# Each season goes with itself and its neighbours.
_OPPOSITE = ({"Spring", "Autumn"}, {"Summer", "Winter"})
# Names of the book's catalogues: drawn garments, product photos, MANGO's families, and Polyvore's
# semantic categories, which are written in small letters.
_PIECES = {
    "top": "T-shirt/top; Pullover; Shirt; Tshirts; Shirts; Tops; Kurtas; Kurtis; Tunics; "
    "Sweatshirts; Sweaters; Lounge Tshirts; T-shirt; Poloshirts; Bodysuits; Sweater; tops",
    "bottom": "Trouser; Jeans; Shorts; Trousers; Track Pants; Leggings; Capris; Skirts; Jeggings; "
    "Patiala; Churidar; Salwar; Leggings and joggers; bottoms",
    "dress": "Dress; Dresses; Jumpsuit; all-body",
    "layer": "Coat; Jackets; Blazers; Waistcoat; Shrug; Rain Jacket; Nehru Jackets; Cardigans; "
    "Coats; Puffer coats; Trenchcoats; Parkas; Leather jackets; Vest; Outer Vest; outerwear",
    "shoes": "Sandal; Sneaker; Ankle boot; Casual Shoes; Sports Shoes; Heels; Sandals; "
    "Formal Shoes; Flats; Flip Flops; Sports Sandals; Footwear; shoes",
    "bag": "Bag; Handbags; Backpacks; Clutches; Messenger Bag; Duffel Bag; Laptop Bag; Rucksacks; "
    "Bags; bags",
    "accessory": "Watches; Belts; Sunglasses; Caps; Hat; Scarves; Stoles; Mufflers; Ties; "
    "Earrings; Pendant; Ring; Necklace and Chains; Bangle; Bracelet; Jewellery Set; Jewellery; "
    "Glasses; Hats, scarves and gloves; Belts and Ties; accessories; jewellery; hats; scarves; "
    "sunglasses",
    # Rare types of the product photos, of which no composed outfit has been made.
    "": "Beauty Accessory; Booties; Gloves; Hair Accessory; Lounge Pants; Lounge Shorts; "
    "Rain Trousers; Robe; Shoe Accessories; Shoe Laces; Ties and Cufflinks; Travel Accessory; "
    "Trolley Bag",
}
ROLE_OF = (
    WORDS
    | {role: role for role in ROLES}  # as in files that the book wrote
    | {name.strip(): role for role, names in _PIECES.items() for name in names.split(";")}
)
"""Category (of drawn garments, product photos, Polyvore) or family (of MANGO outfits) -> role.

Of other names `fashionnb.synthetic.composed_outfits.role_words.role_of` looks at the words. What is
no piece of an outfit has no role: underwear, socks, sarees, perfume.
"""


def kinds(catalogue: Catalogue) -> np.ndarray:
    """Return the kind of each item, from which the rules of composed outfits take its role.

    Parameters
    ----------
    catalogue : Catalogue
        The items.

    Returns
    -------
    ndarray of shape (n,), str
        The column `family`, or else `category`.
    """
    return catalogue.table["family" if "family" in catalogue.table else "category"].to_numpy(object)


def roles(catalogue: Catalogue) -> np.ndarray:
    """Return the role of each item by the rules of composed outfits: top, bottom, shoes and so on.

    Parameters
    ----------
    catalogue : Catalogue
        The items.

    Returns
    -------
    ndarray of shape (n,), str
        One of `ROLES` for each item, or "" for none.
    """
    found = [ROLE_OF[kind] if kind in ROLE_OF else role_of(kind) for kind in kinds(catalogue)]
    return np.array(found, dtype=object)


def broken(catalogue: Catalogue, sets: Sequence[Sequence[str]]) -> np.ndarray:
    """Count the pairs of items in each set that break each rule of composed outfits.

    Parameters
    ----------
    catalogue : Catalogue
        A column that is missing is unknown.
    sets : sequence of sequences of str
        m sets of item ids.

    Returns
    -------
    ndarray of shape (m, 6), int64
        In the order of `RULES`; a row of zeros is a good outfit.

    Raises
    ------
    DataError
        If the catalogue has no such item.
    """
    rules = Rulebook(catalogue)
    counts = np.zeros((len(sets), len(RULES)), np.int64)
    for number, items in enumerate(sets):
        one, other = np.array([*combinations(rules.rows(items), 2)], np.int64).reshape(-1, 2).T
        bits = np.unpackbits(rules.broken(one, other)[:, None], axis=1, bitorder="little")
        counts[number] = bits[:, : len(RULES)].sum(0)
    return counts


def oracle(catalogue: Catalogue, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """Score pairs of items by the rules of composed outfits: an oracle for models.

    Parameters
    ----------
    catalogue : Catalogue
        As in `broken`.
    pairs : sequence of (str, str)
        m pairs of item ids, such as `fashionnb.evaluation.compatibility` makes of outfits.

    Returns
    -------
    ndarray of shape (m,), float64
        Minus the number of rules that the two items break; 0 is best.

    Raises
    ------
    DataError
        If the catalogue has no such item.
    """
    rules = Rulebook(catalogue)
    one, other = (rules.rows([pair[side] for pair in pairs]) for side in (0, 1))
    return -np.bitwise_count(rules.broken(one, other)).astype(float)


class Rulebook:
    """Rules of composed outfits, evaluated for a whole catalogue: millions of pairs a second.

    Items with the same attributes have the same profile. For each two profiles there is one byte,
    with a bit for each rule that they break.

    Parameters
    ----------
    catalogue : Catalogue
        As in `broken`.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.name = catalogue.name
        self._row = {item: row for row, item in enumerate(catalogue.table["id"])}
        values = _attributes(catalogue)
        self.profile = values.groupby(list(RULES), sort=False).ngroup().to_numpy()
        profiles = values.drop_duplicates()
        self._bits = np.zeros((len(profiles), len(profiles)), np.uint8)
        for bit, rule in enumerate(RULES):
            code, names = pd.factorize(profiles[rule])
            clash = np.array([[_clash(rule, one, other) for other in names] for one in names])
            self._bits |= clash[code[:, None], code].astype(np.uint8) << bit

    def rows(self, items: Sequence[str]) -> np.ndarray:
        """Look up ids as rows of the catalogue, (n,) int64; `DataError` for an unknown id."""
        if strange := [item for item in items if item not in self._row]:
            raise DataError(
                f"{self.name} has no item {strange[0]!r}, so no rule can be applied to it."
            )
        return np.array([self._row[item] for item in items], np.int64)

    def broken(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Look up the rules that two rows break: uint8, bit i for `RULES[i]`; shapes broadcast."""
        return self._bits[self.profile[one], self.profile[other]]


def _attributes(catalogue: Catalogue) -> pd.DataFrame:
    """One column for each rule: the attribute that it compares."""
    table = catalogue.table
    known = {
        name: table[name] if name in table else pd.Series("", index=table.index)
        for name in ("gender", "usage", "season", "colour", "pattern")
    }
    tone = known["colour"].map(_tone)
    return pd.DataFrame(
        {
            "role": roles(catalogue),
            "gender": known["gender"].replace("Unisex", ""),
            "usage": known["usage"],
            "season": known["season"].replace("Fall", "Autumn"),
            "colour": tone,
            "focal": tone.map(_is_focal) | ~known["pattern"].isin(["", "Solid"]),
        }
    )


@cache
def _tone(name: str) -> str:
    """The name of a colour in `fashionnb.data.colour`; "" if it has none."""
    try:
        return colour.canonical(name)
    except DataError:
        return ""


@cache
def _is_focal(name: str) -> bool:
    if not name or name in colour.METALS:
        return False
    rgb = colour.COLOURS[name]
    return rgb is None or bool(colour.to_lch(colour.to_oklab(np.array(rgb, np.uint8)))[1] >= VIVID)


def _clash(rule: str, one: str | bool, other: str | bool) -> bool:
    """Whether two attributes break a rule; an unknown one breaks none."""
    if not (one and other):
        return False
    if rule == "colour":
        return colour.harmony(one, other).kind == "weak"
    pair = {one, other}
    clashes = {
        "role": one == other or pair in ({"dress", "top"}, {"dress", "bottom"}),
        "gender": one != other,
        "usage": one != other and not any(pair <= group for group in OCCASIONS),
        "season": pair in _OPPOSITE,
        "focal": True,
    }
    return clashes[rule]
