"""Compose outfits that break no rule, and questions about them with wrong answers that break one.

An outfit is filled role by role: of some random items, the first that is compatible with all items
so far is taken. All outfits are filled at once, so ten thousand take about a second.

A wrong answer always breaks a rule, since one that breaks none would be right, too. It is sampled
from the items of the outfits of the same split, as often as they are used there, so that popularity
does not give it away.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fashionnb.data.catalogue import Blank, Catalogue, Judged, Outfits
from fashionnb.data.polyvore import EDITIONS
from fashionnb.data.question_files import shuffled
from fashionnb.data.splits import SHARES, by_hash, near_identical
from fashionnb.errors import DataError
from fashionnb.synthetic.composed_outfits.rules import ROLES, Rulebook, kinds, roles

HARDNESS = ("any", "type", "rule")
"""How wrong answers are sampled.

"any": any item. "type": of the same kind, so that the kind does not give the answer away.
"rule": of the same kind, and it breaks exactly one rule, so that a model has to learn every rule.
"""

DRESSED = 0.25
"""The probability of a dress in place of top and bottom."""

EXTRAS = {"layer": 0.4, "bag": 0.5, "accessory": 0.5}
"""The probability of each optional item."""

# Roles with few items to choose from come first.
_ORDER = ("bottom", "dress", "top", "shoes", "layer", "bag", "accessory")
_TRIES = 64  # items that are sampled for one role
_TRIES_OF_WRONG = 128  # items that are sampled for one question
_WRONG = 3  # wrong answers of a question
_ROUNDS = 20  # of filling outfits, before an error
_BLOCK = 20_000  # outfits that are filled at once


def compose(
    catalogue: Catalogue, n: int = 10_000, edition: str = "disjoint", seed: int = 0
) -> Outfits:
    """Compose different outfits of three to six items that break no rule of compatibility.

    Each has shoes, and a top and a bottom or a dress; a layer, bag and accessory are optional.

    Parameters
    ----------
    catalogue : Catalogue
        Items without a role (`fashionnb.synthetic.composed_outfits.rules.ROLE_OF`) are left out.
    n : int
        Number of outfits: 70 % train, 10 % validation, 20 % test.
    edition : str
        "disjoint": no item is in two splits. An item keeps the split of the catalogue, if that has
        all three; else its split is a hash of its id. "nondisjoint": near-identical outfits share a
        split.
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
    worn = catalogue.take(roles(catalogue) != "")
    worn = replace(worn, table=worn.table.assign(role=roles(worn)))
    rng, rules = np.random.default_rng(seed), Rulebook(worn)
    shares = SHARES if edition == "disjoint" else {"all": 1}
    where = _splits(worn) if edition == "disjoint" else np.full(len(worn), "all", object)
    found, split = [], []
    for name, share in shares.items():
        pools = {
            role: np.flatnonzero((where == name) & (worn.table["role"] == role)) for role in ROLES
        }
        wanted = round(n * share)
        found += _filled(wanted, pools, rules, rng, f"{worn.name}, {name}")
        split += [name] * wanted
    ids = worn.table["id"].to_numpy()
    sets = {f"look{number:05d}": tuple(ids[rows]) for number, rows in enumerate(found)}
    if edition == "nondisjoint":
        groups = near_identical(list(sets.values())).astype(str)
        split = by_hash(groups.tolist(), f"lookbook {seed}").tolist()
    return Outfits(worn, sets, dict(zip(sets, split, strict=True)))


def make_blanks(
    outfits: Outfits, hardness: str = "type", split: str = "test", *, seed: int = 0
) -> list[Blank]:
    """Make fill-in-the-blank questions on composed outfits; each wrong answer breaks a rule.

    A question has four answers. The right answer stands at each position equally often, give or
    take one. An item is not asked for if too few wrong answers were found; an outfit without an
    item to ask for gets no question.

    Parameters
    ----------
    outfits : Outfits
        As `fashionnb.synthetic.composed_outfits.composition.compose` returns them.
    hardness : str
        One of `HARDNESS`.
    split : str
        The outfits of this split are used.
    seed : int
        The same seed gives the same questions.

    Returns
    -------
    list of Blank
        At most one question for each outfit, about a random item of it.

    Raises
    ------
    DataError
        If the hardness is unknown, the split has no outfit, or no question can be made.
    """
    rng, pool, found = np.random.default_rng(seed), _Pool(outfits, hardness, split), []
    for outfit, rows in pool.sets.items():
        place, wrong = pool.question(rows, _WRONG, rng)
        if len(wrong):
            asked = tuple(pool.ids[np.delete(rows, place)])
            answers = tuple(pool.ids[[rows[place], *wrong]])
            found.append(Blank(outfit, asked, answers, 0, place + 1))
    if not found:
        raise DataError(f"No item of the {split} outfits has {_WRONG} wrong answers ({hardness}).")
    return shuffled(found, seed)


def make_judged(
    outfits: Outfits, hardness: str = "type", split: str = "test", *, seed: int = 0
) -> list[Judged]:
    """Make compatibility questions on composed outfits: outfits, and sets that break a rule.

    "any" and "type" exchange every item; "rule" exchanges one item, so that the set breaks exactly
    one rule. Outfits for which no such set was found are left out.

    Parameters
    ----------
    outfits : Outfits
        As in `make_blanks`.
    hardness : str
        One of `HARDNESS`.
    split : str
        The outfits of this split are used.
    seed : int
        The same seed gives the same questions.

    Returns
    -------
    list of Judged
        Outfits (label 1) and sets that break a rule (label 0) in turn, as many of each.

    Raises
    ------
    DataError
        As `make_blanks`.
    """
    rng, pool, found = np.random.default_rng(seed), _Pool(outfits, hardness, split), []
    for rows in pool.sets.values():
        other = pool.exchanged(rows, rng)
        if other is not None:
            found += [Judged(tuple(pool.ids[rows]), 1), Judged(tuple(pool.ids[other]), 0)]
    if not found:
        raise DataError(f"No {split} outfit has a counterpart that breaks a rule ({hardness}).")
    return found


def _splits(catalogue: Catalogue) -> np.ndarray:
    """The split of each item: the catalogue's own, or one by a hash of its id."""
    if "split" in catalogue.table and set(SHARES) <= set(catalogue.table["split"]):
        return catalogue.table["split"].to_numpy(object)
    return by_hash(catalogue.ids, "lookbook")


def _filled(
    n: int, pools: Mapping[str, np.ndarray], rules: Rulebook, rng: np.random.Generator, where: str
) -> list[list[int]]:
    """`n` different outfits, each a list of rows in the order of `ROLES`."""
    has = [role for role, pool in pools.items() if len(pool)]
    dressed = "dress" in has and not set(EXTRAS).isdisjoint(has)
    if "shoes" not in has or not ({"top", "bottom"}.issubset(has) or dressed):
        raise DataError(
            f"{where}: outfits need shoes, and tops and bottoms, or dresses and something with "
            f"them; there is only {', '.join(has) or 'nothing to wear'}."
        )
    found: dict[frozenset, list[int]] = {}
    for _ in range(_ROUNDS):
        tried = min(_BLOCK, int(1.3 * (n - len(found))) + 16)
        for row in _filled_once(tried, pools, rules, rng):
            items = row[row >= 0].tolist()
            found.setdefault(frozenset(items), items)
        if len(found) >= n:
            return list(found.values())[:n]
    raise DataError(
        f"{where}: only {len(found):,} different outfits were found, not {n:,}. "
        "Ask for fewer, or give more items."
    )


def _filled_once(
    n: int, pools: Mapping[str, np.ndarray], rules: Rulebook, rng: np.random.Generator
) -> np.ndarray:
    """Fill `n` outfits, without those that fail: (m, 7) rows of the catalogue, -1 for no item."""
    wanted = _templates(n, {role for role, pool in pools.items() if len(pool)}, rng)
    chosen = np.full((n, len(ROLES)), -1, np.int64)
    alive = np.ones(n, bool)
    for role in _ORDER:
        who = np.flatnonzero(wanted[role] & alive)
        drawn = rng.choice(pools[role], (len(who), _TRIES))
        there = chosen[who][:, :, None]
        fits = ((rules.broken(there, drawn[:, None]) == 0) | (there < 0)).all(1)
        chosen[who, ROLES.index(role)] = drawn[np.arange(len(who)), fits.argmax(1)]
        alive[who] = fits.any(1)
    return chosen[alive]


def _templates(n: int, has: set[str], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Which of `n` outfits are to have an item of each role, (n,) bool."""
    extras = {role: (rng.random(n) < chance) & (role in has) for role, chance in EXTRAS.items()}
    there = [role for role in EXTRAS if role in has]
    often = DRESSED if {"top", "bottom"} <= has else 1
    dress = (rng.random(n) < often) & ("dress" in has and bool(there))
    if there:  # a dress and shoes alone are two items
        bare = dress & ~np.logical_or.reduce(list(extras.values()))
        one = rng.integers(len(there), size=n)
        for number, role in enumerate(there):
            extras[role] |= bare & (one == number)
    return extras | {"top": ~dress, "bottom": ~dress, "dress": dress, "shoes": np.ones(n, bool)}


class _Pool:
    """The items of the outfits of one split, each as often as it is used."""

    def __init__(self, outfits: Outfits, hardness: str, split: str) -> None:
        if hardness not in HARDNESS:
            raise DataError(f"There is no hardness {hardness!r}; use one of {', '.join(HARDNESS)}.")
        self.hardness, self.rules = hardness, Rulebook(outfits.catalogue)
        self.ids = outfits.catalogue.table["id"].to_numpy()
        self.sets = {
            outfit: self.rules.rows(items)
            for outfit, items in outfits.sets.items()
            if outfits.split[outfit] == split
        }
        if not self.sets:
            raise DataError(
                f"There is no outfit in the split {split!r}; "
                f"there is {sorted(set(outfits.split.values()))}."
            )
        one_kind = np.full(len(self.ids), "any", object)
        self.kind = one_kind if hardness == "any" else kinds(outfits.catalogue)
        worn = np.concatenate(list(self.sets.values()))
        self.members = {kind: worn[self.kind[worn] == kind] for kind in set(self.kind[worn])}

    def wrong(self, right: int, asked: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """At most `n` different wrong answers in the place of `right`, given the `asked` items."""
        drawn = rng.choice(self.members[self.kind[right]], _TRIES_OF_WRONG)
        bits = np.bitwise_or.reduce(self.rules.broken(asked[:, None], drawn), axis=0)
        bad = np.bitwise_count(bits) == 1 if self.hardness == "rule" else bits > 0
        bad &= ~np.isin(drawn, asked) & (drawn != right)
        _, first = np.unique(drawn[bad], return_index=True)
        return drawn[bad][np.sort(first)[:n]]

    def question(
        self, rows: np.ndarray, n: int, rng: np.random.Generator
    ) -> tuple[int, np.ndarray]:
        """A random place of an outfit, and `n` wrong answers for it; if there are too few, none."""
        for place in rng.permutation(len(rows)):
            wrong = self.wrong(rows[place], np.delete(rows, place), n, rng)
            if len(wrong) == n:
                return int(place), wrong
        return 0, wrong[:0]

    def exchanged(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """A set that breaks a rule, in place of an outfit."""
        if self.hardness == "rule":
            place, wrong = self.question(rows, 1, rng)
            return np.array([*rows[:place], *wrong, *rows[place + 1 :]]) if len(wrong) else None
        drawn = np.stack(
            [rng.choice(self.members[self.kind[row]], _TRIES_OF_WRONG) for row in rows]
        )
        one, other = np.triu_indices(len(rows), 1)
        twice = (drawn[one] == drawn[other]).any(0) | np.isin(drawn, rows).any(0)
        bad = (self.rules.broken(drawn[one], drawn[other]) > 0).any(0) & ~twice
        return drawn[:, bad.argmax()] if bad.any() else None
