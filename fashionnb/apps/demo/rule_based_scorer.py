"""Score outfits by rules of composition and by colour harmony, from a catalogue's attributes.

`RuleBasedScorer` is a function of outfits, as `fashionnb.outfits.generate` takes it, that also
gives reasons. There is nothing to train, so it works at once on any catalogue with categories and
colours, and its reasons are its whole calculation. Outfits of drawn garments are composed by the
same rules; for real outfits they are what style guides recommend.
"""

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from fashionnb.data.catalogue import Catalogue
from fashionnb.errors import DataError
from fashionnb.search.item_attributes import Attributes, harmony
from fashionnb.synthetic.composed_outfits.rules import RULES, Rulebook, roles

SHARED_ATTRIBUTES = ("season", "usage", "gender")
"""Attributes that count in favour of two garments when they agree."""

HARMONIES = {
    "same": "one hue",
    "analogous": "neighbouring hues",
    "complementary": "opposite hues",
    "neutral": "a neutral",
}
"""Kinds of `fashionnb.data.colour.harmony` that count in favour of two garments, in words."""

_RANDOM_OUTFITS = 300  # of each size


class RuleBasedScorer:
    """Score outfits of the demo by rules of composition and colour harmony, with reasons.

    A pair of garments scores two thirds of the harmony of their colours
    (`fashionnb.data.colour.harmony`, 0 to 1) plus one third of the share of season, usage and
    gender in which they agree, minus one for each rule of
    `fashionnb.synthetic.composed_outfits.rules.RULES` that they break. An outfit scores the mean
    over its pairs.

    Parameters
    ----------
    catalogue : Catalogue
        Its items are scored. An unknown attribute breaks no rule.
    """

    description = (
        "rules of composition and the harmony of colours, from the catalogue's attributes. "
        "Nothing is trained: the reasons are the whole calculation."
    )
    """How outfits are scored, for people."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.rules = Rulebook(catalogue)
        self.attributes = Attributes(catalogue)
        self._roles = roles(catalogue)
        self._colours = np.full(len(catalogue), -1)
        names: list[str] = []
        if "colour" in self.attributes.columns:
            self._colours, names = self.attributes.numbers("colour")
        colours = [*names, ""]  # the last, -1, is unknown
        self._harmony = np.array(
            [[harmony(one, other).score for other in colours] for one in colours]
        )
        shared = [name for name in SHARED_ATTRIBUTES if name in self.attributes.columns]
        values = [self.attributes.numbers(name)[0] for name in shared]
        self._shared = np.array(values, np.int64).reshape(len(shared), len(catalogue))

    def __call__(self, outfits: Sequence[Sequence[str]]) -> np.ndarray:
        """Score each outfit.

        Parameters
        ----------
        outfits : sequence of n sequences of str
            Item ids, two or more for each outfit.

        Returns
        -------
        ndarray of shape (n,), float64
            At best 1.

        Raises
        ------
        DataError
            If an id is unknown.
        """
        rows = [self.rules.rows(outfit) for outfit in outfits]
        pairs = [
            (number, *pair) for number, some in enumerate(rows) for pair in combinations(some, 2)
        ]
        owner, one, other = np.array(pairs, np.int64).reshape(-1, 3).T
        count = np.bincount(owner, minlength=len(outfits))
        score = self._harmony[self._colours[one], self._colours[other]]
        if len(self._shared):
            a, b = self._shared[:, one], self._shared[:, other]
            score = (2 * score + ((a == b) & (a >= 0)).mean(0)) / 3
        score = score - np.bitwise_count(self.rules.broken(one, other))
        return np.bincount(owner, score, minlength=len(outfits)) / count

    def reasons(self, one: str, other: str) -> tuple[list[str], list[str]]:
        """List what counts for and what counts against wearing two items together.

        Parameters
        ----------
        one, other : str
            Item ids.

        Returns
        -------
        supporting, opposing : list of str
            Phrases without a full stop.

        Raises
        ------
        DataError
            If an id is unknown.
        """
        rows = self.rules.rows([one, other])
        a, b = (self.attributes.of(row) for row in rows)
        supporting, opposing = [], []
        found = harmony(a.get("colour", ""), b.get("colour", ""))
        if found.kind in HARMONIES:
            supporting.append(f"{a['colour']} with {b['colour']}: {HARMONIES[found.kind]}")
        elif found.kind == "weak":
            opposing.append(f"{a['colour']} with {b['colour']}: {found.reason}")
        for name in SHARED_ATTRIBUTES:
            if name in a and a[name] == b.get(name):
                supporting.append(f"both {a[name]}")
        broken = int(self.rules.broken(*rows))
        for bit, rule in enumerate(RULES):
            if broken >> bit & 1 and rule != "colour":  # the colours have their reason already
                opposing.append(self._broken_rule(rule, rows, a, b))
        return supporting, opposing

    def _broken_rule(
        self, rule: str, rows: Sequence[int], a: dict[str, str], b: dict[str, str]
    ) -> str:
        if rule == "role":
            one, other = self._roles[list(rows)]
            return f"two of one role ({one})" if one == other else f"a {one} with a {other}"
        if rule == "focal":
            return "two focal pieces, each with a pattern or a strong colour"
        return f"{rule}: {a[rule]} against {b[rule]}"


def random_outfit_scores(
    scorer: Callable[[Sequence[Sequence[str]]], np.ndarray], catalogue: Catalogue
) -> dict[int, np.ndarray]:
    """Score random outfits, by which the demo explains its rule-based scores.

    Whatever the unit of a scorer, the share of random outfits that score lower can be understood.

    Parameters
    ----------
    scorer : callable
        From outfits to their scores.
    catalogue : Catalogue
        With items of two roles or more.

    Returns
    -------
    dict of int to ndarray of shape (m,), float64
        The sorted scores for each size of outfit, from 2 to the number of roles. The items of an
        outfit all have different roles.

    Raises
    ------
    DataError
        If the catalogue has fewer than two roles.
    """
    role, ids = roles(catalogue), catalogue.table["id"].to_numpy()
    members = [ids[role == name] for name in sorted(set(role) - {""})]
    if len(members) < 2:
        raise DataError(
            f"{catalogue.name}: outfits need garments of two roles or more, "
            "such as tops and bottoms."
        )
    rng, found = np.random.default_rng(0), {}
    for size in range(2, len(members) + 1):
        chosen = [rng.permutation(len(members))[:size] for _ in range(_RANDOM_OUTFITS)]
        outfits = [[rng.choice(members[i]) for i in some] for some in chosen]
        found[size] = np.sort(scorer(outfits))
    return found
