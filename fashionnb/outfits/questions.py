"""Questions about outfits: which item fills the blank, and do these go together? Made with a seed, kept in files.

The files are Polyvore's own (Vasileva et al. 2018, "Learning Type-Aware Embeddings for Fashion Compatibility"), so that
published and self-made questions are read alike. How hard a question is depends on its wrong answers: see `PROTOCOLS`.
Scores for the answers come from models, or from `fashionnb.outfits.baselines`; `fashionnb.evaluation` counts them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from fashionnb.data.catalogue import Blank, Judged, Outfits
from fashionnb.data.question_files import shuffled
from fashionnb.errors import DataError

PROTOCOLS = ("naive", "strict")
"""How wrong answers are drawn. "naive": of the same family, each item equally likely, as the field does it. "strict":
of the same family and the same collection, each item as likely as it is used in the same split, so that neither how
popular it is nor the age of its photo gives the answer away; meant for photos whose background is removed."""


def make_blanks(
    outfits: Outfits,
    protocol: str = "strict",
    split: str = "test",
    *,
    answers: int = 4,
    per_outfit: int = 1,
    seed: int = 0,
) -> list[Blank]:
    """Ask for an item of each outfit, among wrong answers of its family. Introduced in chapter 08.

    A repeated outfit is asked about once. No wrong answer makes the rest another real outfit. The right answer stands
    at each place equally often, give or take one. An item is not asked for if there are too few of its family, or if
    the catalogue says that it is not `worn`; an outfit with no item to ask for gets no question.

    Parameters
    ----------
    outfits : naive wrong answers come from all of them, but from the same split only if no item is in two splits.
    protocol : one of `PROTOCOLS`. The family is the catalogue's column `family`, or else `category`.
    split : whose outfits are asked about.
    answers : to choose from, the right one included; 2 or more.
    per_outfit : at most so many questions about one outfit, each for another item.
    seed : the same seed gives the same questions; keep the file for other versions of numpy.

    Raises
    ------
    DataError : an unknown protocol, a split without outfits, fewer than 2 answers, or no question at all.
    """
    if answers < 2 or per_outfit < 1:
        raise DataError(
            f"A question has 2 answers or more, an outfit 1 question or more; got {answers}, {per_outfit}."
        )
    rng, pool, found = np.random.default_rng(seed), _Pool(outfits, protocol, split), []
    for outfit, items in _distinct(outfits, split):
        left = per_outfit
        for place in rng.permutation(len(items)):
            right, asked = items[place], items[:place] + items[place + 1 :]
            wrong = pool.draw(right, asked, answers - 1, rng) if left else None
            if wrong:
                found.append(Blank(outfit, asked, (right, *wrong), 0, int(place) + 1))
                left -= 1
    if not found:
        raise DataError(
            f"No item of the {split} outfits has {answers - 1} others of its family to be asked among."
        )
    return shuffled(found, seed)


def make_judged(
    outfits: Outfits, protocol: str = "strict", split: str = "test", *, seed: int = 0
) -> list[Judged]:
    """Each outfit, and beside it as many items of the same families that nobody put together. Introduced in chapter 08.

    Every item is exchanged for one of its family, so the two differ in nothing but whether they go together. Outfits
    with an item that cannot be exchanged are left out, and repeated ones come once. Parameters and errors as
    `make_blanks`.

    Returns
    -------
    Outfits (label 1) and their counterparts (label 0) in turn, as many of each.
    """
    rng, pool, found = np.random.default_rng(seed), _Pool(outfits, protocol, split), []
    for _, items in _distinct(outfits, split):
        other: list[str] = []
        for item in items:
            drawn = pool.draw(item, (*items, *other), 1, rng, complete=False)
            other += drawn
        if len(other) == len(items) and frozenset(other) not in pool.known:
            found += [Judged(items, 1), Judged(tuple(other), 0)]
    if not found:
        raise DataError(f"No {split} outfit has a counterpart of the same families.")
    return found


class _Pool:
    """Items to draw wrong answers from, by family."""

    def __init__(self, outfits: Outfits, protocol: str, split: str) -> None:
        if protocol not in PROTOCOLS:
            raise DataError(
                f"There is no protocol {protocol!r}; use one of {', '.join(PROTOCOLS)}."
            )
        table = outfits.catalogue.table
        columns = ["family" if "family" in table else "category"]
        if protocol == "strict" and "collection" in table:
            columns.append("collection")
        self.family = dict(
            zip(table["id"], table[columns].itertuples(index=False, name=None), strict=True)
        )
        self.worn = dict(zip(table["id"], table["worn"], strict=True)) if "worn" in table else {}
        self.known = {frozenset(items) for items in outfits.sets.values()}
        self.completing: dict[frozenset, set[str]] = defaultdict(
            set
        )  # what makes a set a real outfit
        for items in self.known:
            for item in items:
                self.completing[items - {item}].add(item)
        uses = Counter(
            item for items in self._drawn_from(outfits, protocol, split) for item in items
        )
        members = defaultdict(list)
        for item in uses:
            members[self.family[item]].append(item)
        self.members = {family: np.array(items, dtype=object) for family, items in members.items()}
        self.weights = {
            family: np.array(
                [uses[item] if protocol == "strict" else 1 for item in items], dtype=float
            )
            for family, items in members.items()
        }

    def draw(
        self,
        item: str,
        others: tuple[str, ...],
        n: int,
        rng: np.random.Generator,
        complete: bool = True,
    ) -> list[str]:
        """`n` items of the family of `item` that are not with it; none if there are too few, or it is not worn."""
        if not self.worn.get(item, True):
            return []
        barred = {item, *others}
        if complete:
            barred |= self.completing.get(frozenset(others), set())
        members, weights = self.members[self.family[item]], self.weights[self.family[item]]
        free = np.array([member not in barred for member in members])
        if free.sum() < n:
            return []
        chances = weights * free
        return rng.choice(members, n, replace=False, p=chances / chances.sum()).tolist()

    def _drawn_from(self, outfits: Outfits, protocol: str, split: str) -> Iterator[tuple[str, ...]]:
        """The sets whose items may be wrong answers, each once, in the order of the files.

        Strict ones are of the same split. If uses elsewhere counted, the wrong answers would be known from training
        more often than the right ones: on MANGO outfits, the answer least seen there was right in 34 % of questions.
        """
        splits = defaultdict(set)
        for outfit, items in outfits.sets.items():
            splits[outfits.split[outfit]].update(items)
        disjoint = sum(map(len, splits.values())) == len(set().union(*splits.values()))
        seen: set[frozenset] = set()
        for outfit, items in outfits.sets.items():
            here = outfits.split[outfit] == split or (protocol == "naive" and not disjoint)
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
        raise DataError(
            f"There is no outfit in the split {split!r}; there is {sorted(set(outfits.split.values()))}."
        )
    return list(found.values())
