"""What the demo asks: which garments are like this photo, what completes it, and does this outfit go together?

A `Stylist` is all that the page knows of models. It works with any catalogue: similar garments come from a published
network and the colour that is seen (`fashionnb.search.recommend`), outfits from a judge
(`fashionnb.apps.demo.outfit_rules`). A photo that is not of the catalogue takes part in outfits through the garment
that is most like it, its stand-in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from PIL import Image

from fashionnb import datasets
from fashionnb.apps.demo.outfit_rules import Rules, thrown_together
from fashionnb.data.catalogue import Catalogue
from fashionnb.data.registry import cache_folder
from fashionnb.errors import DataError
from fashionnb.outfits import generate
from fashionnb.search import ranking
from fashionnb.search.engine import VisualSearchEngine
from fashionnb.search.recommend import COPIES, Recommender
from fashionnb.synthetic import drawn_garments
from fashionnb.synthetic.composed_outfits.rules import ROLES, roles

LOOKS = "siamese"
"""The published model that says which garments are alike."""

DRAWN, SIZE = 480, 128
"""How many garments the embedded catalogue has, and their size in pixels: few enough to be drawn in a second or two."""

LARGEST_OUTFIT = 8
"""Pieces that an outfit may have."""

CONSIDERED = 1_000
"""Garments of each role that may complete an outfit: of more a random choice, so that answers are quick."""

AMONG = 100  # the most similar garments are looked through for one that is a copy of the photo
POOL, DIVERSITY = (
    10,
    0.2,
)  # of so many times the garments that are shown, some are chosen that are not all black shoes


class Judge(Protocol):
    """Whoever says how well garments go together."""

    about: str

    def __call__(self, outfits: Sequence[Sequence[str]]) -> np.ndarray:
        """One score for each outfit, higher for better."""
        ...

    def why(self, one: str, other: str) -> tuple[list[str], list[str]]:
        """What speaks for two items together, and what against."""
        ...


@dataclass(frozen=True, eq=False)
class Verdict:
    """How well an outfit goes together. Introduced in chapter 11.

    score : the judge's. better_than : the share of sets of as many pieces, drawn at random, that score lower, 0 to 1.
    breaks : the item that should go, for the others score higher without it; None if all may stay.
    reasons : what speaks against that item, or else for the outfit.
    swap : an item of the same role in its place that makes the outfit better, or None.
    """

    score: float
    better_than: float
    breaks: str | None
    reasons: tuple[str, ...]
    swap: str | None


class Stylist:
    """Answer the demo's three questions about one catalogue. Introduced in chapter 11.

    Parameters
    ----------
    recommender : of the catalogue; with `embed`, so that photos can be asked by.
    judge : None: `fashionnb.apps.demo.outfit_rules.Rules`.
    """

    def __init__(self, recommender: Recommender, judge: Judge | None = None) -> None:
        plain = recommender.catalogue
        table = plain.table.assign(role=roles(plain))
        self.catalogue = Catalogue(
            plain.name, table, plain.images, plain.classes, plain.stands_in_for
        )
        self.recommender = recommender
        self.row = {item: row for row, item in enumerate(table["id"])}
        self.roles = tuple(role for role in ROLES if (table["role"] == role).any())
        """The roles that the catalogue's garments have, in the order in which a person dresses."""
        order = np.random.default_rng(0).permutation(len(table))
        nth = table.iloc[order].groupby("role").cumcount().sort_index()
        self._considered = {
            role: ((nth < CONSIDERED) & (table["role"] == role)).to_numpy() for role in self.roles
        }
        self.judge = judge or Rules(self.catalogue)
        self._random = thrown_together(self.judge, self.catalogue) if len(self.roles) > 1 else {}

    def similar(self, photo: Image.Image | str, k: int = 12) -> pd.DataFrame:
        """The garments that look most like a photo, or like an item: a table of `fashionnb.search.recommend`.

        The picture counts twice, the colour once, if the catalogue has colours. A photo of the very garment finds it
        first, whatever colour is seen in it.

        Raises
        ------
        DataError : an unknown id, or k below 1.
        """
        weights = {"image": 2.0}
        if "colour" in self.recommender.attributes.columns:
            weights["colour"] = 1.0
        found = self.recommender.ensemble_recommend(photo, weights, max(k, AMONG))
        copy = found["similarity"] >= 1 - COPIES
        found = found.iloc[np.argsort(~copy, kind="stable")].head(k).reset_index(drop=True)
        return found.assign(rank=np.arange(1, len(found) + 1))

    def stand_in(self, photo: Image.Image) -> str:
        """The garment that takes a photo's place in outfits: the one most like it. Errors as `similar`."""
        return self.similar(photo, 1)["id"].iloc[0]

    def complete(self, asked: Image.Image | Sequence[str], role: str, k: int = 4) -> pd.DataFrame:
        """The garments of a role that go best with a photo or with items, a little unlike each other, and why.

        Returns
        -------
        At most k rows, the first chosen first: `rank`, `id`, `score` and `reasons`.

        Raises
        ------
        DataError : no item, an unknown one, the same one twice, or nothing has the role.
        """
        items = [self.stand_in(asked)] if isinstance(asked, Image.Image) else list(asked)
        found = generate.complete(
            self.judge, items, self._beside(items, role), role, POOL * k, by="role"
        )
        rows = [self.row[item] for item in found["id"]]
        chosen = ranking.diverse(
            found["score"].to_numpy(), self.recommender.vectors[rows], k, DIVERSITY
        )
        found = found.iloc[chosen].reset_index(drop=True).assign(rank=np.arange(1, len(chosen) + 1))
        found["reasons"] = pd.Series([self._for(items, item) for item in found["id"]], dtype=object)
        return found

    def missing(self, items: Sequence[str]) -> tuple[str, ...]:
        """The roles that could complete these items: those that they lack, and that break no rule beside them.

        Raises
        ------
        DataError : an unknown item.
        """
        here = {self._role(item) for item in items}
        covered = here | ({"top", "bottom"} if "dress" in here else set())
        covered |= {"dress"} if here & {"top", "bottom"} else set()
        return tuple(role for role in self.roles if role not in covered)

    def score(self, items: Sequence[str]) -> Verdict:
        """Judge an outfit.

        Raises
        ------
        DataError : fewer than two items, or more than `LARGEST_OUTFIT`; an unknown one, or the same one twice.
        """
        items = list(items)
        if not 2 <= len(items) <= LARGEST_OUTFIT or len(set(items)) < len(items):
            raise DataError(f"An outfit has 2 to {LARGEST_OUTFIT} different pieces; got {items}.")
        score = float(self.judge([items])[0])
        sizes = self._random[min(len(items), max(self._random))]
        share = float(np.searchsorted(sizes, score) / len(sizes))
        worst = self._worst(items)
        if worst is None:
            pairs = [self.judge.why(a, b) for i, a in enumerate(items) for b in items[i + 1 :]]
            good = list(dict.fromkeys(reason for pair in pairs for reason in pair[0]))
            return Verdict(score, share, None, tuple(good), None)
        against = [self.judge.why(worst, other)[1] for other in items if other != worst]
        reasons = tuple(dict.fromkeys(reason for some in against for reason in some))
        return Verdict(score, share, worst, reasons, self._instead(items, worst))

    def caption(self, item: str) -> str:
        """What an item is, in a few words: "Blue Striped Shirt"."""
        known = self.recommender.attributes.of(self.row[item])
        words = [known.get("colour", ""), known.get("pattern", ""), known.get("category", "")]
        return " ".join(word for word in words if word and word != "Solid") or item

    def _role(self, item: str) -> str:
        if item not in self.row:
            raise DataError(f"{self.catalogue.name} has no item {item!r:.60}.")
        return self.catalogue.table["role"].iloc[self.row[item]]

    def _beside(self, items: Sequence[str], role: str) -> Catalogue:
        """These items, and the garments of a role that are considered: to search all 40,000 for them takes a second."""
        mask = (
            self._considered[role].copy()
            if role in self._considered
            else np.zeros(len(self.catalogue), bool)
        )
        for item in items:
            self._role(item)
            mask[self.row[item]] = True
        return self.catalogue.take(mask)

    def _for(self, items: Sequence[str], item: str) -> str:
        """What speaks for an item beside others, and what against."""
        pairs = [self.judge.why(other, item) for other in items]
        good, bad = (
            list(dict.fromkeys(reason for pair in pairs for reason in pair[side]))
            for side in (0, 1)
        )
        return "; ".join([*good, *(f"but {reason}" for reason in bad)])

    def _instead(self, items: list[str], item: str) -> str | None:
        """What of the same role would be better in an item's place."""
        if not self._role(item):
            return None
        around = self._beside(items, self._role(item))
        found = generate.swaps(self.judge, items, around, 1, item=item, by="role")
        return found["swap"].iloc[0] if len(found) else None

    def _worst(self, items: list[str]) -> str | None:
        """The item that breaks an outfit: something speaks against it, and the others score higher without it."""
        if len(items) == 2:
            return items[1] if self.judge.why(*items)[1] else None
        table = generate.what_breaks(self.judge, items)
        for row in table.itertuples():
            if row.gain > 0 and any(
                self.judge.why(row.id, other)[1] for other in items if other != row.id
            ):
                return row.id
        return None


def open_stylist(data: str = "atelier", *, progress: bool = False) -> Stylist:
    """The stylist of a catalogue, whose pictures' vectors are kept in the cache. Introduced in chapter 11.

    Parameters
    ----------
    data : as `fashionnb.datasets.open_catalogue` takes it; "atelier" is smaller here, and its pictures larger.
    progress : show a bar while pictures are embedded.

    Raises
    ------
    DataNotFound : there is no such dataset, file or folder.
    DataError : it is damaged, or holds no picture. WriteError : the cache cannot be written.
    """
    catalogue = (
        drawn_garments.catalogue(DRAWN, SIZE)
        if data == "atelier"
        else datasets.open_catalogue(data)
    )
    engine = VisualSearchEngine(LOOKS)
    vectors = engine.embed_dataset(
        catalogue, cache=cache_folder() / "vectors", progress=progress
    ).vectors
    # A photo that is a copy of a garment should find it, so nothing counts as a copy.
    found = Recommender(
        catalogue, vectors, embed=engine.embed_image, copies=-1, model=engine.fingerprint
    )
    return Stylist(found)
