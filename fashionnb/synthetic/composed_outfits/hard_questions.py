"""Questions about composed outfits, with wrong answers at three hardnesses.

A wrong answer always breaks a rule, since one that breaks none would be right, too. It is drawn from the pieces that
the outfits of the same split wear, as often as they are worn there, so popularity does not give it away.
"""

from collections import defaultdict

import numpy as np

from fashionnb.data.catalogue import Blank, Judged, Outfits
from fashionnb.data.question_files import shuffled
from fashionnb.errors import DataError
from fashionnb.synthetic.composed_outfits.rules import Rulebook, kinds

HARDNESS = ("any", "type", "rule")
"""How wrong answers are drawn. "any": any piece. "type": of the same kind, so that a second pair of shoes is not the
answer to everything. "rule": of the same kind, and it breaks one rule only, so that every rule must be known."""

_TRIES = 128  # pieces that are drawn for one place


def make_blanks(
    outfits: Outfits,
    hardness: str = "type",
    split: str = "test",
    *,
    answers: int = 4,
    seed: int = 0,
) -> list[Blank]:
    """Ask for a random piece of each outfit. Introduced in chapter 08.

    The right answer stands at each place equally often, give or take one. A piece is not asked for if too few wrong
    answers for it were found; an outfit with no piece to ask for gets no question.

    Parameters
    ----------
    outfits : as `fashionnb.synthetic.composed_outfits.composition.compose` gives them. hardness : one of `HARDNESS`.
    split : whose outfits are asked about. answers : to choose from, the right one included; 2 or more.
    seed : the same seed gives the same questions.

    Raises
    ------
    DataError : an unknown hardness, a split without outfits, fewer than 2 answers, or no question at all.
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
            f"No piece of the {split} outfits has {answers - 1} wrong answers ({hardness})."
        )
    return shuffled(found, seed)


def make_judged(
    outfits: Outfits, hardness: str = "type", split: str = "test", *, seed: int = 0
) -> list[Judged]:
    """Each outfit, and beside it a set that breaks a rule. Introduced in chapter 08.

    "any" and "type" exchange every piece; "rule" exchanges one piece, so that the set breaks exactly one rule. Outfits
    for which none was found are left out. Parameters and errors as `make_blanks`.

    Returns
    -------
    Outfits (label 1) and their counterparts (label 0) in turn, as many of each.
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
    """The pieces that the outfits of one split wear, each as often as it is worn."""

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
                f"There is no outfit in the split {split!r}; there is {sorted(set(outfits.split.values()))}."
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
        """At most `n` different wrong pieces in the place of `right` beside `asked`."""
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
