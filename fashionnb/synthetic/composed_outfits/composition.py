"""Compose outfits that break no rule, from the items of a catalogue.

An outfit is filled role by role: of some random items, the first that is compatible with all items
so far is taken. All outfits are filled at once, so ten thousand take about a second.
"""

from collections.abc import Mapping

import numpy as np

from fashionnb.data.catalogue import Catalogue, Outfits
from fashionnb.data.splits import SHARES, by_hash, near_identical
from fashionnb.errors import DataError
from fashionnb.synthetic.composed_outfits.rules import ROLES, Rulebook, roles

EDITIONS = ("disjoint", "nondisjoint")
"""In "disjoint" no item is in two splits; in "nondisjoint" near-identical outfits share a split."""

DRESSED = 0.25
"""The probability of a dress in place of top and bottom."""

EXTRAS = {"layer": 0.4, "bag": 0.5, "accessory": 0.5}
"""The probability of each optional item."""

# Roles with few items to choose from come first.
_ORDER = ("bottom", "dress", "top", "shoes", "layer", "bag", "accessory")
_TRIES = 64  # items that are sampled for one role
_ROUNDS = 20  # of filling outfits, before an error
_BLOCK = 20_000  # outfits that are filled at once


def compose(
    catalogue: Catalogue, n: int = 10_000, edition: str = "disjoint", seed: int = 0
) -> Outfits:
    """Compose different outfits of three to six items that break no rule.

    Each has shoes, and a top and a bottom or a dress; a layer, bag and accessory are optional.

    Parameters
    ----------
    catalogue : Catalogue
        Items without a role (`fashionnb.synthetic.composed_outfits.rules.ROLE_OF`) are left out.
    n : int
        Number of outfits: 70 % train, 10 % validation, 20 % test.
    edition : str
        One of `EDITIONS`. In "disjoint" an item keeps the split of the catalogue, if that has all
        three; else its split is a hash of its id.
    seed : int
        The same seed gives the same outfits.

    Returns
    -------
    Outfits
        With ids "look00000" and so on. Their catalogue has only items with a role, which is in the
        column `role`.

    Raises
    ------
    DataError
        If the edition is unknown, `n` is below 10, a split has no shoes or the like, or the
        catalogue is too small for so many different outfits.
    """
    if edition not in EDITIONS:
        raise DataError(f"There is no edition {edition!r}; use one of {', '.join(EDITIONS)}.")
    if n < 10:
        raise DataError(f"Compose 10 outfits or more, so that each split has some; got {n}.")
    role = roles(catalogue)
    worn = catalogue.take(role != "")
    table = worn.table.assign(role=role[role != ""])
    worn = Catalogue(worn.name, table, worn.images, worn.classes, worn.stands_in_for)
    rng, rules = np.random.default_rng(seed), Rulebook(worn)
    where = _splits(worn) if edition == "disjoint" else np.full(len(worn), "all", object)
    found, split = [], []
    for name in SHARES if edition == "disjoint" else ("all",):
        pools = {
            kind: np.flatnonzero((where == name) & (worn.table["role"] == kind)) for kind in ROLES
        }
        some = n if name == "all" else round(n * SHARES[name])
        found += _filled(some, pools, rules, rng, f"{worn.name}, {name}")
        split += [name] * some
    ids = worn.table["id"].to_numpy()
    sets = {f"look{number:05d}": tuple(ids[rows]) for number, rows in enumerate(found)}
    if edition == "nondisjoint":
        groups = near_identical(list(sets.values()))
        split = by_hash([str(group) for group in groups], f"lookbook {seed}").tolist()
    return Outfits(worn, sets, dict(zip(sets, split, strict=True)))


def _splits(catalogue: Catalogue) -> np.ndarray:
    """The split of each item: the catalogue's own, or one by a hash of its id."""
    if "split" in catalogue.table and set(SHARES) <= set(catalogue.table["split"]):
        return catalogue.table["split"].to_numpy(object)
    return by_hash(catalogue.table["id"].tolist(), "lookbook")


def _filled(
    n: int, pools: Mapping[str, np.ndarray], rules: Rulebook, rng: np.random.Generator, where: str
) -> list:
    """`n` different outfits, each a list of rows in the order of `ROLES`."""
    _check(pools, where)
    found: dict[frozenset, list[int]] = {}
    for _ in range(_ROUNDS):
        if len(found) >= n:
            break
        chosen = _filled_once(min(_BLOCK, int(1.3 * (n - len(found))) + 16), pools, rules, rng)
        for row in chosen:
            items = row[row >= 0].tolist()
            found.setdefault(frozenset(items), items)
    if len(found) < n:
        raise DataError(
            f"{where}: only {len(found):,} different outfits were found, not {n:,}. "
            "Ask for fewer, or give more items."
        )
    return list(found.values())[:n]


def _filled_once(
    n: int, pools: Mapping[str, np.ndarray], rules: Rulebook, rng: np.random.Generator
) -> np.ndarray:
    """Fill `n` outfits, without those that fail: (m, 7) rows of the catalogue, -1 for no item."""
    wanted = _templates(n, pools, rng)
    chosen = np.full((n, len(ROLES)), -1, np.int64)
    alive = np.ones(n, bool)
    for role in _ORDER:
        column = ROLES.index(role)
        who = np.flatnonzero(wanted[:, column] & alive)
        if not len(who):
            continue
        drawn = rng.choice(pools[role], (len(who), _TRIES))
        fits = np.ones(drawn.shape, bool)
        for other in range(len(ROLES)):
            there = chosen[who, other]
            fits &= (rules.broken(there[:, None], drawn) == 0) | (there < 0)[:, None]
        chosen[who, column] = drawn[np.arange(len(who)), fits.argmax(1)]
        alive[who] = fits.any(1)
    return chosen[alive]


def _templates(n: int, pools: Mapping[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Which roles each outfit is to have, (n, 7) bool."""
    has = {role: len(pool) > 0 for role, pool in pools.items()}
    extras = {role: (rng.random(n) < chance) & has[role] for role, chance in EXTRAS.items()}
    there = [role for role in EXTRAS if has[role]]
    split = has["top"] and has["bottom"]
    dress = (rng.random(n) < (DRESSED if split else 1)) & (has["dress"] and bool(there))
    if there:  # a dress and shoes alone are two items
        bare = dress & ~np.logical_or.reduce(list(extras.values()))
        one = rng.integers(len(there), size=n)
        for number, role in enumerate(there):
            extras[role] |= bare & (one == number)
    return np.stack(
        [{"dress": dress, "shoes": np.full(n, True), **extras}.get(role, ~dress) for role in ROLES],
        1,
    )


def _check(pools: Mapping[str, np.ndarray], where: str) -> None:
    has = [role for role in ROLES if len(pools[role])]
    extra = set(has) & set(EXTRAS)
    if "shoes" not in has or not ({"top", "bottom"} <= set(has) or ("dress" in has and extra)):
        raise DataError(
            f"{where}: outfits need shoes, and tops and bottoms, or dresses and something with "
            f"them; there is only {', '.join(has) or 'nothing to wear'}."
        )
