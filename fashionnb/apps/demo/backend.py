"""What the demo computes: similar garments, garments that complete a look, scores of outfits.

The page needs nothing but a `DemoBackend`. It works with any catalogue: similar garments are found
by a published network and by colour (`fashionnb.search.recommend`), outfits are scored by rules
(`fashionnb.apps.demo.rule_based_scorer`). In outfits, a photo that is not in the catalogue is
represented by the garment most similar to it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np
import pandas as pd
from PIL import Image

from fashionnb import datasets
from fashionnb.apps.demo.rule_based_scorer import RuleBasedScorer, random_outfit_scores
from fashionnb.data.catalogue import Catalogue
from fashionnb.data.registry import cache_folder
from fashionnb.errors import DataError
from fashionnb.outfits import generate
from fashionnb.search import ranking
from fashionnb.search.recommend import COPIES, Recommender, open_recommender
from fashionnb.synthetic import drawn_garments
from fashionnb.synthetic.composed_outfits.rules import ROLES, kinds, roles

MODEL = "siamese"
"""The published model whose embeddings say which garments are similar."""

DRAWN_NAMES = ("drawn", "atelier")
"""What the catalogue of drawn garments is called."""

DRAWN_GARMENTS, DRAWN_SIZE = 480, 128
"""Number of drawn garments and their size in pixels: few enough to draw in a second or two."""

MAX_OUTFIT = 8
"""Items that an outfit may have."""

MAX_CANDIDATES = 1_000
"""Garments of each role that may complete an outfit; of more, a random choice, to answer fast."""

_COPY_CANDIDATES = 100  # the most similar garments, among which a copy of the photo is looked for
_POOL, _DIVERSITY = 10, 0.2  # results are chosen for diversity from a pool, 10 times as large


@dataclass(frozen=True, eq=False)
class OutfitScore:
    """Answer of the demo's backend on an outfit: its score, its weakest item, and a better one.

    Parameters
    ----------
    score : float
        Of `fashionnb.apps.demo.rule_based_scorer.RuleBasedScorer`, at best 1.
    share_below : float
        The share of random outfits of the same size that score lower, 0 to 1.
    weakest : str or None
        The item that should go, because the others score higher without it; None if all may stay.
    reasons : tuple of str
        What counts against the weakest item; without one, what counts for the outfit.
    replacement : str or None
        An item of the same role that makes the outfit better in place of the weakest.
    """

    score: float
    share_below: float
    weakest: str | None
    reasons: tuple[str, ...]
    replacement: str | None


class DemoBackend:
    """Backend of the demo: it finds similar garments and scores outfits of one catalogue.

    Parameters
    ----------
    recommender : Recommender
        Of the catalogue; with `embed`, so that photos can be queries.

    Attributes
    ----------
    catalogue : Catalogue
        That of the recommender, with the column `role`.
    roles : tuple of str
        The roles that occur in the catalogue, in the order in which a person dresses.
    without_role : dict of str to int
        Category -> number of its garments, if its name says no role: they are in no outfit.
    scores_outfits : bool
        Whether there are two roles, without which there are no outfits.
    scorer : RuleBasedScorer
        Scores the outfits.
    """

    def __init__(self, recommender: Recommender) -> None:
        catalogue = recommender.catalogue
        table = catalogue.table.assign(role=roles(catalogue))
        self.catalogue = replace(catalogue, table=table)
        self.recommender = recommender
        self.roles = tuple(role for role in ROLES if (table["role"] == role).any())
        self.without_role = (
            pd.Series(kinds(catalogue)[table["role"] == ""]).value_counts().to_dict()
        )
        self.scores_outfits = len(self.roles) > 1
        self.scorer = RuleBasedScorer(self.catalogue)

    @cached_property
    def _random_scores(self) -> dict[int, np.ndarray]:
        return random_outfit_scores(self.scorer, self.catalogue)

    def row(self, item: str) -> int:
        """Return the row of an item in the catalogue; `DataError` if it is not there."""
        return self.recommender.attributes.row(item)

    def similar(self, query: Image.Image | str, k: int = 12) -> pd.DataFrame:
        """Find the garments that look most like a photo or like an item.

        The image counts twice, the colour once, if the catalogue has colours. A photo of a garment
        of the catalogue finds that garment first, whatever colour is detected in it.

        Parameters
        ----------
        query : Image or str
            A photo, or the id of an item.
        k : int
            How many garments.

        Returns
        -------
        DataFrame
            As the methods of `fashionnb.search.recommend.Recommender`.

        Raises
        ------
        DataError
            If the id is unknown, or k is below 1.
        """
        weights = {"image": 2.0}
        if "colour" in self.recommender.attributes.columns:
            weights["colour"] = 1.0
        found = self.recommender.ensemble_recommend(query, weights, max(k, _COPY_CANDIDATES))
        copy = found["similarity"] >= 1 - COPIES
        found = found.iloc[np.argsort(~copy, kind="stable")].head(k).reset_index(drop=True)
        return found.assign(rank=np.arange(1, len(found) + 1))

    def complete(self, items: Sequence[str], role: str, k: int = 4) -> pd.DataFrame:
        """Find the garments of a role that go best with some items, and say why.

        Of garments that score nearly the same, those that differ from each other are preferred.

        Parameters
        ----------
        items : sequence of str
            Item ids.
        role : str
            One of `roles`.
        k : int
            How many garments.

        Returns
        -------
        DataFrame
            At most k rows, the first chosen first: `rank`, `id`, `score` and `reasons`.

        Raises
        ------
        DataError
            If there is no item, an unknown one, one twice, or no garment of the role.
        """
        nearby = self._with_candidates(items, role)
        found = generate.complete_outfit(self.scorer, items, nearby, role, _POOL * k, by="role")
        vectors = self.recommender.vectors[[self.row(item) for item in found["id"]]]
        chosen = ranking.diverse(found["score"].to_numpy(), vectors, k, _DIVERSITY)
        found = found.iloc[chosen].reset_index(drop=True).assign(rank=np.arange(1, len(chosen) + 1))
        reasons = []
        for item in found["id"]:
            supporting, opposing = self._reasons((other, item) for other in items)
            reasons.append("; ".join([*supporting, *(f"but {reason}" for reason in opposing)]))
        return found.assign(reasons=pd.Series(reasons, dtype=object))

    def missing(self, items: Sequence[str]) -> tuple[str, ...]:
        """List the roles that could complete these items without breaking a rule.

        Raises
        ------
        DataError
            If an item is unknown.
        """
        covered = {self._role(item) for item in items}
        if "dress" in covered:
            covered |= {"top", "bottom"}
        elif covered & {"top", "bottom"}:
            covered.add("dress")
        return tuple(role for role in self.roles if role not in covered)

    def score(self, items: Sequence[str]) -> OutfitScore:
        """Score an outfit, name its weakest item, and look for a better one.

        Raises
        ------
        DataError
            If there are fewer than two items or more than `MAX_OUTFIT`, an unknown one, or one
            twice; or if the catalogue has no outfits.
        """
        items = list(items)
        if not 2 <= len(items) <= MAX_OUTFIT or len(set(items)) < len(items):
            raise DataError(f"An outfit has 2 to {MAX_OUTFIT} different pieces; got {items}.")
        score = float(self.scorer([items])[0])
        random_scores = self._random_scores[min(len(items), max(self._random_scores))]
        share_below = float(np.searchsorted(random_scores, score) / len(random_scores))
        weakest = self._weakest(items)
        if weakest is None:
            supporting, _ = self._reasons(combinations(items, 2))
            return OutfitScore(score, share_below, None, tuple(supporting), None)
        reasons = tuple(self._against(weakest, items))
        return OutfitScore(score, share_below, weakest, reasons, self._replacement(items, weakest))

    def caption(self, item: str) -> str:
        """Describe an item in a few words, such as "Blue Striped Shirt"."""
        known = self.recommender.attributes.of(self.row(item))
        words = [known.get("colour", ""), known.get("pattern", ""), known.get("category", "")]
        return " ".join(word for word in words if word and word != "Solid") or item

    def _role(self, item: str) -> str:
        return self.catalogue.table["role"].iloc[self.row(item)]

    def _with_candidates(self, items: Sequence[str], role: str) -> Catalogue:
        """These items and the candidates of a role; searching all 40,000 garments is slow."""
        rows = np.flatnonzero(self.catalogue.table["role"] == role)
        some = np.random.default_rng(0).permutation(rows)[:MAX_CANDIDATES]
        return self.catalogue.take(np.union1d(some, [self.row(item) for item in items]))

    def _reasons(self, pairs: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
        """What counts for and what against some pairs of items, each reason once."""
        supporting, opposing = {}, {}
        for one, other in pairs:
            good, bad = self.scorer.reasons(one, other)
            supporting |= dict.fromkeys(good)
            opposing |= dict.fromkeys(bad)
        return list(supporting), list(opposing)

    def _against(self, item: str, outfit: Sequence[str]) -> list[str]:
        return self._reasons((item, other) for other in outfit if other != item)[1]

    def _replacement(self, items: list[str], item: str) -> str | None:
        """The garment of the same role that would be best in an item's place."""
        role = self._role(item)
        if not role:
            return None
        nearby = self._with_candidates(items, role)
        found = generate.suggest_swaps(self.scorer, items, nearby, 1, item=item, by="role")
        return found["swap"].iloc[0] if len(found) else None

    def _weakest(self, items: list[str]) -> str | None:
        """The item with something against it without which the others score highest."""
        if len(items) == 2:
            return items[1] if self._against(items[1], items) else None
        for row in generate.leave_one_out(self.scorer, items).itertuples():
            if row.gain > 0 and self._against(row.id, items):
                return row.id
        return None


def open_backend(data: str = "drawn", columns: Mapping[str, str] | None = None) -> DemoBackend:
    """Open a catalogue as the backend of the demo; embeddings of its images are cached.

    Parameters
    ----------
    data : str
        As `fashionnb.datasets.open_catalogue` takes it. Of "drawn" there are fewer garments here,
        in larger pictures.
    columns : mapping of str to str, optional
        Of a table, as `fashionnb.datasets.open_catalogue` takes it.

    Returns
    -------
    DemoBackend
        Of the catalogue.

    Raises
    ------
    DataNotFound
        If there is no such dataset, file or folder.
    DataError
        If it is damaged, or holds no picture.
    WriteError
        If the cache cannot be written.
    """
    if data in DRAWN_NAMES:
        catalogue = drawn_garments.catalogue(DRAWN_GARMENTS, DRAWN_SIZE)
    else:
        catalogue = datasets.open_catalogue(data, columns)
    recommender = open_recommender(catalogue, model=MODEL, cache=cache_folder() / "vectors")
    recommender.copies = -1  # a photo that is a copy of a garment should find it
    return DemoBackend(recommender)
