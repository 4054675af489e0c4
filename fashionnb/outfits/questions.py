"""Make questions from outfits: fill in the blank, and outfits to tell from random sets.

How hard a question is depends on its wrong answers: see `PROTOCOLS`. The answers are scored by a
model (`fashionnb.outfits.scoring`) or by `fashionnb.outfits.baselines`, and the scores are
evaluated by `fashionnb.evaluation.compatibility`. `fashionnb.data.question_files` reads and writes
questions.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator

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


def make_blanks(
    outfits: Outfits,
    protocol: str = "strict",
    split: str = "test",
    *,
    answers: int = 4,
    per_outfit: int = 1,
    seed: int = 0,
) -> list[Blank]:
    """Make fill-in-the-blank questions with wrong answers of the same family.

    A repeated outfit gets one question. No wrong answer completes another real outfit. The right
    answer stands at each position equally often, give or take one. An item is not asked for if its
    family is too small, or if the catalogue says that it is not `worn`; an outfit without an item
    to ask for gets no question.

    Parameters
    ----------
    outfits : Outfits
        Naive wrong answers come from all of them; from the same split if no item is in two splits.
    protocol : str
        One of `PROTOCOLS`. The family is the column `family`, or else `category`.
    split : str
        The outfits of this split are used.
    answers : int
        Number of answers, the right one included; 2 or more.
    per_outfit : int
        At most so many questions about one outfit, each for another item.
    seed : int
        The same seed gives the same questions; keep the file for other versions of numpy.

    Returns
    -------
    list of Blank

    Raises
    ------
    DataError
        If the protocol is unknown, the split has no outfit, a number is too small, or no question
        can be made.
    """
    if answers < 2 or per_outfit < 1:
        raise DataError(
            "A question has 2 answers or more, an outfit 1 question or more; "
            f"got {answers}, {per_outfit}."
        )
    rng, pool, found = np.random.default_rng(seed), _Pool(outfits, protocol, split), []
    for outfit, items in _distinct(outfits, split):
        missing = per_outfit
        for place in rng.permutation(len(items)):
            right, shown = items[place], items[:place] + items[place + 1 :]
            wrong = pool.wrong_answers(right, shown, answers - 1, rng)
            if wrong:
                found.append(Blank(outfit, shown, (right, *wrong), 0, int(place) + 1))
                missing -= 1
            if not missing:
                break
    if not found:
        raise DataError(
            f"No item of the {split} outfits has {answers - 1} others of its family as wrong "
            "answers. Ask for fewer answers, or give more outfits."
        )
    return shuffled(found, seed)


def make_judged(
    outfits: Outfits, protocol: str = "strict", split: str = "test", *, seed: int = 0
) -> list[Judged]:
    """Make compatibility questions: real outfits, and random sets of the same families.

    Every item of an outfit is exchanged for one of its family, so that the two sets differ in
    nothing but compatibility. Outfits with an item that cannot be exchanged are left out, and a
    repeated outfit is used once.

    Parameters
    ----------
    outfits, protocol, split, seed
        As in `make_blanks`.

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
    for _, items in _distinct(outfits, split):
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
        table = outfits.catalogue.table
        columns = ["family" if "family" in table else "category"]
        if protocol == "strict" and "collection" in table:
            columns.append("collection")
        families = table[columns].itertuples(index=False, name=None)
        self.family = dict(zip(table["id"], families, strict=True))
        self.worn = dict(zip(table["id"], table["worn"], strict=True)) if "worn" in table else {}
        self.known = {frozenset(items) for items in outfits.sets.values()}
        self.completing = _completing(self.known)
        uses: Counter[str] = Counter()
        for items in _sources(outfits, protocol, split):
            uses.update(items)
        members = defaultdict(list)
        for item in uses:
            members[self.family[item]].append(item)
        self.members, self.weights = {}, {}
        for family, items in members.items():
            weights = [uses[item] if protocol == "strict" else 1 for item in items]
            self.members[family] = np.array(items, dtype=object)
            self.weights[family] = np.array(weights, dtype=float)

    def wrong_answers(
        self, right: str, shown: tuple[str, ...], n: int, rng: np.random.Generator
    ) -> list[str]:
        """As `sample`, without items that would complete another real outfit."""
        completing = self.completing.get(frozenset(shown), set())
        return self.sample(right, {right, *shown, *completing}, n, rng)

    def sample(self, item: str, excluded: set[str], n: int, rng: np.random.Generator) -> list[str]:
        """`n` items of the family of `item`; none if there are too few, or it is not worn."""
        if not self.worn.get(item, True):
            return []
        members, weights = self.members[self.family[item]], self.weights[self.family[item]]
        free = np.array([member not in excluded for member in members])
        if free.sum() < n:
            return []
        chances = weights * free
        return rng.choice(members, n, replace=False, p=chances / chances.sum()).tolist()


def _completing(known: set[frozenset]) -> dict[frozenset, set[str]]:
    """For each outfit without one of its items, the items that complete an outfit."""
    completing: dict[frozenset, set[str]] = defaultdict(set)
    for items in known:
        for item in items:
            completing[items - {item}].add(item)
    return completing


def _sources(outfits: Outfits, protocol: str, split: str) -> Iterator[tuple[str, ...]]:
    """The sets whose items may be wrong answers, each once, in the order of the files.

    Strict ones are of the same split. If uses elsewhere counted, training would have seen the wrong
    answers more often than the right ones: on MANGO outfits, the answer that training saw least
    often was right in 34 % of the questions.
    """
    splits = defaultdict(set)
    for outfit, items in outfits.sets.items():
        splits[outfits.split[outfit]].update(items)
    disjoint = sum(map(len, splits.values())) == len(set().union(*splits.values()))
    every_split = protocol == "naive" and not disjoint
    seen: set[frozenset] = set()
    for outfit, items in outfits.sets.items():
        here = every_split or outfits.split[outfit] == split
        if here and frozenset(items) not in seen:
            seen.add(frozenset(items))
            yield items  # not the frozenset, whose order differs from one process to the next


def _distinct(outfits: Outfits, split: str) -> list[tuple[str, tuple[str, ...]]]:
    """The outfits of a split, of those with the same items the first."""
    found: dict[frozenset, tuple[str, tuple[str, ...]]] = {}
    for outfit, items in outfits.sets.items():
        if outfits.split[outfit] == split and len(items) > 1:
            found.setdefault(frozenset(items), (outfit, tuple(items)))
    if not found:
        splits = sorted(set(outfits.split.values()))
        raise DataError(f"There is no outfit in the split {split!r}; there is {splits}.")
    return list(found.values())
