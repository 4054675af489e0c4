"""Judge outfits by the lookbook's rules and by colour, from what a catalogue says of its garments.

A judge is a function of outfits, as `fashionnb.outfits.generate` takes it, that also gives its reasons. This one learns
nothing, so it is there at once with any catalogue that has kinds and colours, and its reasons are its whole
calculation. On garments that are drawn the rules are the truth; of real taste they are what any style guide says.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from fashionnb.data.catalogue import Catalogue
from fashionnb.errors import DataError
from fashionnb.search.item_attributes import Attributes
from fashionnb.search.reasons import harmony
from fashionnb.synthetic.composed_outfits.rules import RULES, Rulebook, roles

SHARED = ("season", "usage", "gender")
"""Attributes that are worth a word where two garments have them in common."""

GOES = {
    "same": "one hue",
    "analogous": "neighbouring hues",
    "complementary": "opposite hues",
    "neutral": "a neutral",
}
"""Kinds of `fashionnb.data.colour.harmony` that speak for two garments, in words."""

_SET_BY_SET = 300  # sets of each size that an outfit is measured against


class Rules:
    """Score outfits by rules that can be read. Introduced in chapter 11.

    Two pieces have two thirds of the harmony of their colours (`fashionnb.data.colour.harmony`, 0 to 1), one third of
    the share of season, usage and gender that they have in common, and lose one for each rule of
    `fashionnb.synthetic.composed_outfits.rules.RULES` that they break. An outfit has the mean over its pairs.

    Parameters
    ----------
    catalogue : whose items are judged. What is not known of them breaks no rule.
    """

    about = (
        "The rules of the lookbook and the harmony of colours, from the catalogue's attributes. Nothing was trained: "
        "the reasons are the whole calculation."
    )
    """What answers, for people."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.rules = Rulebook(catalogue)
        self.attributes = Attributes(catalogue)
        self._role = roles(catalogue)
        self._colour = np.full(len(catalogue), -1)
        names: list[str] = []
        if "colour" in self.attributes.columns:
            self._colour, names = self.attributes.numbers("colour")
        every = [*names, ""]  # the last, -1, is unknown
        shared = [
            self.attributes.numbers(name)[0] for name in SHARED if name in self.attributes.columns
        ]
        self._shared = np.array(shared, np.int64).reshape(len(shared), len(catalogue))
        self._harmony = np.array([[harmony(one, other).score for other in every] for one in every])

    def __call__(self, outfits: Sequence[Sequence[str]]) -> np.ndarray:
        """The score of each outfit (n,) float64, 1 at best.

        Raises
        ------
        DataError : no outfit, one of fewer than two items, or an id that the catalogue does not have.
        """
        rows = [self.rules.rows(outfit) for outfit in outfits]
        pairs = [
            (number, *pair) for number, some in enumerate(rows) for pair in combinations(some, 2)
        ]
        owner, one, other = np.array(pairs, np.int64).reshape(-1, 3).T
        count = np.bincount(owner, minlength=len(outfits))
        if not len(outfits) or not count.all():
            raise DataError("Give an outfit or more, each of two items or more.")
        score = self._harmony[self._colour[one], self._colour[other]]
        if len(self._shared):
            a, b = self._shared[:, one], self._shared[:, other]
            score = (2 * score + ((a == b) & (a >= 0)).mean(0)) / 3
        score = score - np.bitwise_count(self.rules.broken(one, other))
        return np.bincount(owner, score, minlength=len(outfits)) / count

    def why(self, one: str, other: str) -> tuple[list[str], list[str]]:
        """What speaks for the two together, and what against: sentences without a full stop.

        Raises
        ------
        DataError : an id that the catalogue does not have.
        """
        rows = self.rules.rows([one, other])
        bits = int(self.rules.broken(*rows))
        a, b = (self.attributes.of(row) for row in rows)
        good, bad = [], []
        if "colour" in a and "colour" in b:
            found = harmony(a["colour"], b["colour"])
            if found.kind in GOES:
                good.append(f"{a['colour']} with {b['colour']}: {GOES[found.kind]}")
            elif found.kind == "weak":
                bad.append(f"{a['colour']} with {b['colour']}: {found.reason}")
        good += [f"both {a[name]}" for name in SHARED if name in a and a[name] == b.get(name)]
        for bit, rule in enumerate(RULES):
            if bits >> bit & 1 and rule != "colour":
                bad.append(self._against(rule, *rows, a, b))
        return good, bad

    def _against(
        self, rule: str, one: int, other: int, a: dict[str, str], b: dict[str, str]
    ) -> str:
        if rule == "role":
            roles = self._role[one], self._role[other]
            return (
                f"two of one role ({roles[0]})"
                if roles[0] == roles[1]
                else f"a {roles[0]} beside a {roles[1]}"
            )
        if rule == "focal":
            return "both draw the eye, by a pattern or a strong colour"
        return f"{rule}: {a[rule]} against {b[rule]}"


def thrown_together(judge, catalogue: Catalogue, seed: int = 0) -> dict[int, np.ndarray]:
    """Scores of sets that were thrown together, by their size, sorted: what "good" is measured against.

    Whatever a judge's scores mean, the share of such sets that score lower can be understood. Introduced in
    chapter 11.

    Parameters
    ----------
    judge : outfits -> scores. catalogue : of two items with a role or more. seed : of the draw.

    Returns
    -------
    size -> (m,) float64, for sizes from 2 to as many roles as there are. Each piece of a set has another role.

    Raises
    ------
    DataError : the catalogue has fewer than two roles.
    """
    role, ids = roles(catalogue), catalogue.table["id"].to_numpy()
    members = [ids[role == name] for name in sorted(set(role) - {""})]
    if len(members) < 2:
        raise DataError(
            f"{catalogue.name}: outfits need garments of two roles or more, such as tops and bottoms."
        )
    rng, found = np.random.default_rng(seed), {}
    for size in range(2, len(members) + 1):
        chosen = [rng.permutation(len(members))[:size] for _ in range(_SET_BY_SET)]
        found[size] = np.sort(judge([[rng.choice(members[i]) for i in some] for some in chosen]))
    return found
