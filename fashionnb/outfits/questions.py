"""Make questions from outfits: fill in the blank, and outfits to tell from random sets.

How hard a question is depends on its wrong answers: see `PROTOCOLS`. The answers are scored by a
model (`fashionnb.outfits.scoring`) or by `fashionnb.outfits.baselines`, and the scores are
evaluated by `fashionnb.evaluation.compatibility`. `fashionnb.data.question_files` reads and writes
questions.
"""

from collections import Counter, defaultdict

import numpy as np

from fashionnb.data.catalogue import Blank, Judged, Outfits
from fashionnb.data.question_files import shuffled
from fashionnb.errors import DataError

PROTOCOLS = ("naive", "strict")
"""How wrong answers are sampled.

"naive": of the same family, each item equally likely, as is common. "strict": of the same family
and the same collection, each item as likely as it is used in the same split, so that neither
popularity nor the age of a photo gives the answer away; meant for photos without background.
"""

_WRONG = 3  # wrong answers of a question


def make_blanks(
    outfits: Outfits,
    protocol: str = "strict",
    split: str = "test",
    *,
    per_outfit: int = 1,
    seed: int = 0,
) -> list[Blank]:
    """Make fill-in-the-blank questions from outfits, with wrong answers of the same family.

    A question has four answers. A repeated outfit gets one question. No wrong answer completes
    another real outfit. The right answer stands at each position equally often, give or take one.
    An item is not asked for if its family is too small, or if the catalogue says that it is not
    `worn`; an outfit without an item to ask for gets no question.

    Parameters
    ----------
    outfits : Outfits
        Naive wrong answers come from all of them; from the same split if no item is in two splits.
    protocol : str
        One of `PROTOCOLS`. The family is the column `family`, or else `category`.
    split : str
        The outfits of this split are used.
    per_outfit : int
        At most so many questions about one outfit, each for another item.
    seed : int
        The same seed gives the same questions; keep the file for other versions of numpy.

    Returns
    -------
    list of Blank
        In the order of the outfits.

    Raises
    ------
    DataError
        If the protocol is unknown, the split has no outfit, `per_outfit` is below 1, or no question
        can be made.
    """
    if per_outfit < 1:
        raise DataError(f"An outfit has 1 question or more; got {per_outfit}.")
    rng, pool, found = np.random.default_rng(seed), _Pool(outfits, protocol, split), []
    for outfit, items in pool.asked:
        missing = per_outfit
        for place in rng.permutation(len(items)):
            right, shown = items[place], items[:place] + items[place + 1 :]
            excluded = {right, *shown, *pool.completing[frozenset(shown)]}
            wrong = pool.sample(right, excluded, _WRONG, rng)
            if wrong:
                found.append(Blank(outfit, shown, (right, *wrong), 0, int(place) + 1))
                missing -= 1
            if not missing:
                break
    if not found:
        raise DataError(
            f"No item of the {split} outfits has {_WRONG} others of its family as wrong answers. "
            "Give more outfits."
        )
    return shuffled(found, seed)


def make_judged(
    outfits: Outfits, protocol: str = "strict", split: str = "test", *, seed: int = 0
) -> list[Judged]:
    """Make compatibility questions from outfits: real ones, and random sets of the same families.

    Every item of an outfit is exchanged for one of its family, so that the two sets differ in
    nothing but compatibility. Outfits with an item that cannot be exchanged are left out, and a
    repeated outfit is used once.

    Parameters
    ----------
    outfits : Outfits
        Where the sets come from, as in `make_blanks`.
    protocol : str
        One of `PROTOCOLS`.
    split : str
        The outfits of this split are used.
    seed : int
        The same seed gives the same questions.

    Returns
    -------
    list of Judged
        Outfits (label 1) and random sets (label 0) in turn, as many of each.

    Raises
    ------
    DataError
        As `make_blanks`.
    """
    rng, pool, found = np.random.default_rng(seed), _Pool(outfits, protocol, split), []
    for _, items in pool.asked:
        random_set: list[str] = []
        for item in items:
            random_set += pool.sample(item, {item, *items, *random_set}, 1, rng)
        if len(random_set) == len(items) and frozenset(random_set) not in pool.known:
            found += [Judged(items, 1), Judged(tuple(random_set), 0)]
    if not found:
        raise DataError(
            f"No {split} outfit can be exchanged item by item for others of the same families."
        )
    return found


class _Pool:
    """Items that may be wrong answers, by family."""

    def __init__(self, outfits: Outfits, protocol: str, split: str) -> None:
        if protocol not in PROTOCOLS:
            raise DataError(
                f"There is no protocol {protocol!r}; use one of {', '.join(PROTOCOLS)}."
            )
        distinct = _distinct(outfits, {split})
        self.asked = [(outfit, items) for outfit, items in distinct if len(items) > 1]
        if not self.asked:
            splits = sorted(set(outfits.split.values()))
            raise DataError(f"There is no outfit in the split {split!r}; there is {splits}.")
        table = outfits.catalogue.table
        columns = ["family" if "family" in table else "category"]
        if protocol == "strict" and "collection" in table:
            columns.append("collection")
        families = table[columns].itertuples(index=False, name=None)
        self.family = dict(zip(table["id"], families, strict=True))
        self.worn = dict(zip(table["id"], table["worn"], strict=True)) if "worn" in table else {}
        self.known = {frozenset(items) for items in outfits.sets.values()}
        # For each outfit without one of its items, the items that complete an outfit.
        self.completing: dict[frozenset, set[str]] = defaultdict(set)
        for items in self.known:
            for item in items:
                self.completing[items - {item}].add(item)
        uses = Counter(item for items in _sources(outfits, protocol, split) for item in items)
        self.weights = uses if protocol == "strict" else dict.fromkeys(uses, 1)
        self.members = defaultdict(list)
        for item in uses:
            self.members[self.family[item]].append(item)

    def sample(self, item: str, excluded: set[str], n: int, rng: np.random.Generator) -> list[str]:
        """`n` items of the family of `item`; none if there are too few, or it is not worn."""
        if not self.worn.get(item, True):
            return []
        members = self.members[self.family[item]]
        free = np.array([member not in excluded for member in members])
        if free.sum() < n:
            return []
        chances = free * np.array([self.weights[member] for member in members], float)
        return rng.choice(members, n, replace=False, p=chances / chances.sum()).tolist()


def _sources(outfits: Outfits, protocol: str, split: str) -> list[tuple[str, ...]]:
    """The sets whose items may be wrong answers, each once, in the order of the files.

    Strict ones are of the same split. If uses elsewhere counted, training would have seen the wrong
    answers more often than the right ones: on MANGO outfits, the answer that training saw least
    often was right in 34 % of the questions.
    """
    items_of = defaultdict(set)
    for outfit, items in outfits.sets.items():
        items_of[outfits.split[outfit]].update(items)
    disjoint = sum(map(len, items_of.values())) == len(set().union(*items_of.values()))
    splits = set(items_of) if protocol == "naive" and not disjoint else {split}
    return [items for _, items in _distinct(outfits, splits)]


def _distinct(outfits: Outfits, splits: set[str]) -> list[tuple[str, tuple[str, ...]]]:
    """The outfits of some splits, of those with the same items the first."""
    found: dict[frozenset, tuple[str, tuple[str, ...]]] = {}
    for outfit, items in outfits.sets.items():
        if outfits.split[outfit] in splits:
            found.setdefault(frozenset(items), (outfit, tuple(items)))
    return list(found.values())
