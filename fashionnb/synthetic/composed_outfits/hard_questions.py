"""Questions about composed outfits, with wrong answers of three levels of hardness.

A wrong answer always breaks a rule, since one that breaks none would be right, too. It is sampled
from the items of the outfits of the same split, as often as they are used there, so that popularity
does not give it away.
"""

from collections import defaultdict

import numpy as np

from fashionnb.data.catalogue import Blank, Judged, Outfits
from fashionnb.data.question_files import shuffled
from fashionnb.errors import DataError
from fashionnb.synthetic.composed_outfits.rules import Rulebook, kinds

HARDNESS = ("any", "type", "rule")
"""How wrong answers are sampled.

"any": any item. "type": of the same kind, so that the kind does not give the answer away.
"rule": of the same kind, and it breaks exactly one rule, so that a model has to learn every rule.
"""

_TRIES = 128  # items that are sampled for one question


def make_blanks(
    outfits: Outfits,
    hardness: str = "type",
    split: str = "test",
    *,
    answers: int = 4,
    seed: int = 0,
) -> list[Blank]:
    """Make fill-in-the-blank questions that ask for a random item of each outfit.

    The right answer stands at each position equally often, give or take one. An item is not asked
    for if too few wrong answers were found; an outfit without an item to ask for gets no question.

    Parameters
    ----------
    outfits : Outfits
        As `fashionnb.synthetic.composed_outfits.composition.compose` returns them.
    hardness : str
        One of `HARDNESS`.
    split : str
        The outfits of this split are used.
    answers : int
        Number of answers, the right one included; 2 or more.
    seed : int
        The same seed gives the same questions.

    Returns
    -------
    list of Blank

    Raises
    ------
    DataError
        If the hardness is unknown, the split has no outfit, there are fewer than 2 answers, or no
        question can be made.
    """
    if answers < 2:
        raise DataError(f"A question has 2 answers or more; got {answers}.")
    rng, pool, found = np.random.default_rng(seed), _Pool(outfits, hardness, split), []
    for outfit, rows in pool.sets.items():
        for place in rng.permutation(len(rows)):
            asked = np.delete(rows, place)
            wrong = pool.wrong(rows[place], asked, answers - 1, rng)
            if len(wrong) == answers - 1:
                ids = pool.ids
                found.append(
                    Blank(
                        outfit,
                        tuple(ids[asked]),
                        (*ids[rows[place : place + 1]], *ids[wrong]),
                        0,
                        int(place) + 1,
                    )
                )
                break
    if not found:
        raise DataError(
            f"No item of the {split} outfits has {answers - 1} wrong answers ({hardness})."
        )
    return shuffled(found, seed)


def make_judged(
    outfits: Outfits, hardness: str = "type", split: str = "test", *, seed: int = 0
) -> list[Judged]:
    """Make compatibility questions: outfits, and sets that break a rule.

    "any" and "type" exchange every item; "rule" exchanges one item, so that the set breaks exactly
    one rule. Outfits for which no such set was found are left out.

    Parameters
    ----------
    outfits, hardness, split, seed
        As in `make_blanks`.

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
    for _, rows in pool.sets.items():
        other = pool.exchanged(rows, rng)
        if other is not None:
            found += [Judged(tuple(pool.ids[rows]), 1), Judged(tuple(pool.ids[other]), 0)]
    if not found:
        raise DataError(f"No {split} outfit has a counterpart that breaks a rule ({hardness}).")
    return found


class _Pool:
    """The items of the outfits of one split, each as often as it is used."""

    def __init__(self, outfits: Outfits, hardness: str, split: str) -> None:
        if hardness not in HARDNESS:
            raise DataError(f"There is no hardness {hardness!r}; use one of {', '.join(HARDNESS)}.")
        self.hardness, self.rules = hardness, Rulebook(outfits.catalogue)
        self.ids = outfits.catalogue.table["id"].to_numpy()
        self.sets = {
            o: self.rules.rows(items)
            for o, items in outfits.sets.items()
            if outfits.split[o] == split
        }
        if not self.sets:
            raise DataError(
                f"There is no outfit in the split {split!r}; "
                f"there is {sorted(set(outfits.split.values()))}."
            )
        self.kind = (
            np.zeros(len(self.ids), int)
            if hardness == "any"
            else np.unique(kinds(outfits.catalogue).astype(str), return_inverse=True)[1]
        )
        worn = np.concatenate(list(self.sets.values()))
        members = defaultdict(list)
        for row in worn.tolist():
            members[self.kind[row]].append(row)
        self.members = {kind: np.array(rows) for kind, rows in members.items()}

    def wrong(self, right: int, asked: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """At most `n` different wrong answers in the place of `right`, given the `asked` items."""
        drawn = rng.choice(self.members[self.kind[right]], _TRIES)
        bits = np.bitwise_or.reduce(self.rules.broken(asked[:, None], drawn), axis=0)
        bad = np.bitwise_count(bits) == 1 if self.hardness == "rule" else bits > 0
        bad &= ~np.isin(drawn, asked) & (drawn != right)
        _, first = np.unique(drawn[bad], return_index=True)
        return drawn[bad][np.sort(first)[:n]]

    def exchanged(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """A set that breaks a rule, in place of an outfit."""
        if self.hardness == "rule":
            for place in rng.permutation(len(rows)):
                wrong = self.wrong(rows[place], np.delete(rows, place), 1, rng)
                if len(wrong):
                    return np.concatenate([rows[:place], wrong, rows[place + 1 :]])
            return None
        drawn = np.stack([rng.choice(self.members[self.kind[row]], _TRIES) for row in rows])
        one, other = np.triu_indices(len(rows), 1)
        twice = (drawn[one] == drawn[other]).any(0) | np.isin(drawn, rows).any(0)
        bad = (self.rules.broken(drawn[one], drawn[other]) > 0).any(0) & ~twice
        return drawn[:, bad.argmax()] if bad.any() else None
