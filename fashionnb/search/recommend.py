"""Recommendations with their reasons: like this, as wanted, goes with this.

A `Recommender` knows a catalogue's attributes and one vector per item, and says of everything that it recommends which
attributes agree and how alike the pictures are. How items are put in order is in `fashionnb.search.ranking`, groups of
items in `fashionnb.search.clusters`, colours in `fashionnb.data.colour`. `fashionnb recommend` does the same in a
shell.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image

from fashionnb.data import colour
from fashionnb.data.catalogue import Catalogue
from fashionnb.errors import DataError
from fashionnb.features import vector_files as stored
from fashionnb.search import ranking
from fashionnb.search.item_attributes import Attributes, as_image
from fashionnb.search.reasons import Query, entries, explained, figure, harmony
from fashionnb.search.results_page import Entry, page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Item = str | Path | Image.Image | np.ndarray

GOES = ("same", "analogous", "complementary", "neutral")
"""The kinds of `fashionnb.data.colour.harmony` that go together."""

OCCASION = ("season", "usage", "gender")
"""Attributes that two garments should share to be worn together."""

COPIES = 1e-4
POOL = 10  # diversity is chosen from so many times the garments that were asked for, the most relevant ones
FULL_DIFFERENCE = 0.5  # colours that differ by so much in OKLab have nothing in common
_log = logging.getLogger(__name__)


class Recommender:
    """Recommend items of a catalogue, and say why. Introduced in chapter 07.

    Every answer is a table, the best first, with the columns `rank` (from 1), `id`, the attributes that the catalogue
    has, `score`, `similarity` (cosine, NaN where nothing was compared), `agree` (a tuple: the attributes that are known
    of both and equal), `known` (how many are known of both), `harmony` (of the two colours, "" if unknown) and
    `reasons` (the same in words). An unknown value never counts as agreement. If nothing is found, the table has
    the same columns and no rows, and the log says why.

    All answers leave out the item that was asked by, and its copies. Ties go to the item that stands first in the
    catalogue, and a score depends on that item and the query alone: so a new item takes its place in an answer and
    leaves the others in their order. It cannot be so with `diversity` above 0, where each item is compared with those
    before it, nor with `fusion="ranks"`, where scores are ranks.

    Every method takes attributes as further words: `season="Winter"`, `category=["Shirts", "Tops"]` (any of them), and
    any other text column of the catalogue. Case does not matter; `color` is `colour`.

    Parameters
    ----------
    catalogue : of n items. vectors : (n, d), one per item in its order; made to length 1.
    seed : of what is drawn: the first centres of `clusters`, the folds of `learn_weights`.
    embed : picture -> vector (d,), for pictures that are not in the catalogue; for instance `embed_image` of a
        `fashionnb.search.engine.VisualSearchEngine`.
    copies : an item is a copy of the query if 1 - cosine similarity is at most this;
        `fashionnb.search.duplicates.threshold_from` finds a value for a model.
    model : the fingerprint of the model that made the vectors, to be saved with them.

    Raises
    ------
    DataError : not one vector per item, NaN, or a vector of length 0.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        vectors: np.ndarray,
        *,
        seed: int = 0,
        embed: Callable[[Image.Image], np.ndarray] | None = None,
        copies: float = COPIES,
        model: str = "",
    ) -> None:
        self.catalogue, self.seed, self.embed, self.copies, self.model = (
            catalogue,
            seed,
            embed,
            copies,
            model,
        )
        self.vectors = stored.unit(vectors, len(catalogue), catalogue.name)
        self.attributes = Attributes(catalogue)

    def find_similar_items(
        self, item: Item, top_k: int = 10, *, diversity: float = 0.0, **wanted: str | Sequence[str]
    ) -> pd.DataFrame:
        """The items whose pictures are most like this one's.

        Parameters
        ----------
        item : the id of an item; or a picture: a path, a PIL image, or an array uint8 (height, width, 1 or 3).
        top_k : how many; fewer if there are fewer. diversity : 0 to 1, how much they should differ from each other
            (`fashionnb.search.ranking.diverse`). wanted : attributes that they must have.

        Raises
        ------
        DataError : an unknown id, attribute or value (the message names close ones); a top_k below 1; a diversity
            outside [0, 1]; a picture, and no `embed`.
        DataNotFound : there is no such file.
        """
        query = self._query(item)
        return self._answer(query.similarity, query, wanted, top_k, diversity)

    def recommend_by_attributes(
        self, *, top_k: int = 10, diversity: float = 0.0, **wanted: str | Sequence[str]
    ) -> pd.DataFrame:
        """Items that have all of these attributes, in the order of the catalogue; with `diversity`, unlike each other.

        Raises
        ------
        DataError : no attribute was given; else as `find_similar_items`.
        """
        if not wanted:
            raise DataError(
                f"Say what is wanted, for instance colour='Blue'. There is: {', '.join(self.attributes.columns)}."
            )
        return self._answer(np.ones(len(self.vectors)), None, wanted, top_k, diversity)

    def get_seasonal_recommendations(
        self, season: str, top_k: int = 10, *, diversity: float = 0.0, **wanted: str | Sequence[str]
    ) -> pd.DataFrame:
        """Items for a season: `recommend_by_attributes` with that season. Autumn and fall are one."""
        return self.recommend_by_attributes(
            season=season, top_k=top_k, diversity=diversity, **wanted
        )

    def get_color_coordinated_items(
        self,
        item: Item,
        top_k: int = 10,
        *,
        kinds: str | Sequence[str] = GOES,
        diversity: float = 0.0,
        **wanted: str | Sequence[str],
    ) -> pd.DataFrame:
        """Items to wear with this one: of another kind, for the same people, in a colour that goes with its colour.

        The score is two thirds the colours' (`fashionnb.data.colour.harmony`), one third how many of season, usage and
        gender are the same. Of another kind means another `sub_category` if the catalogue has that, else another
        category, unless `wanted` says which. Men are not sent to women's clothes, nor the other way, unless `wanted`
        says so; Unisex and unknown fit everybody. An item without one known colour gets no answer.

        Parameters
        ----------
        kinds : of harmony that count: one or several of `GOES`, or "weak" to see what does not go.
        item, top_k, diversity, wanted : as in `find_similar_items`. Of a picture the colour is seen, nothing else.

        Raises
        ------
        DataError : as `find_similar_items`; a harmony that there is not; a catalogue without colours.
        """
        kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
        if strange := [kind for kind in kinds if kind not in (*GOES, "weak")]:
            raise DataError(
                f"There is no harmony {strange[0]!r}; there is: {', '.join(GOES)}, weak."
            )
        query = self._query(item)
        numbers, _ = self.attributes.numbers("colour")
        found = self._harmonies(query)
        allowed = np.isin([each.kind for each in found], kinds)[numbers]
        allowed &= self.attributes.worn_with(query.row, query.values, wanted)
        score = np.array([each.score for each in found])[numbers]
        shared = [
            self.attributes.equal(name, query.values[name])
            for name in OCCASION
            if name in query.values
        ]
        if shared:
            score = (2 * score + np.mean(shared, axis=0)) / 3
        return self._answer(score, query, wanted, top_k, diversity, allowed=allowed)

    def ensemble_recommend(
        self,
        item: Item,
        weights: Mapping[str, float] | None = None,
        top_k: int = 10,
        *,
        fusion: str = "scores",
        diversity: float = 0.0,
        **wanted: str | Sequence[str],
    ) -> pd.DataFrame:
        """Items that are like this one in several ways at once: its picture, and its attributes.

        Parameters
        ----------
        weights : signal -> 0 or more, as `signals` names them; those not given count nothing. None: the picture counts
            as much as all attributes together. `learn_weights` finds better ones.
        fusion : "scores", the weighted mean of the signals; or "ranks", weighted reciprocal rank fusion
            (`fashionnb.search.ranking.fuse_ranks`).
        item, top_k, diversity, wanted : as in `find_similar_items`.

        Raises
        ------
        DataError : as `find_similar_items`; an unknown signal or fusion; a negative weight, or none above 0.
        """
        if fusion not in ("scores", "ranks"):
            raise DataError(f"fusion is 'scores' or 'ranks', got {fusion!r}.")
        query = self._query(item)
        signals = self._signals(query)
        weights = (
            dict.fromkeys(signals, 1.0) | {"image": max(1, len(signals) - 1)}
            if weights is None
            else weights
        )
        if strange := [name for name in weights if name not in signals]:
            raise DataError(f"There is no signal {strange[0]!r}; there is: {', '.join(signals)}.")
        if (
            not all(0 <= weight < np.inf for weight in weights.values())
            or not sum(weights.values()) > 0
        ):
            raise DataError(f"Weights are 0 or more, and not all 0; got {dict(weights)}.")
        fuse = ranking.fuse_scores if fusion == "scores" else ranking.fuse_ranks
        return self._answer(fuse(signals, weights), query, wanted, top_k, diversity)

    def signals(self, item: Item) -> dict[str, np.ndarray]:
        """How like this item every item is, in each way by itself: name -> (n,) from 0 to 1.

        `image` is (1 + cosine similarity) / 2. An attribute is 1 where it is known of both and equal, else 0; `colour`
        falls with the distance of the two colours in OKLab instead, from 1 to 0.

        Raises
        ------
        DataError, DataNotFound : as `find_similar_items`.
        """
        return self._signals(self._query(item))

    def learn_weights(self, judgements: pd.DataFrame, folds: int = 5) -> ranking.Learnt:
        """Learn the weights for `ensemble_recommend` from what people found relevant.

        Parameters
        ----------
        judgements : the columns `item` and `other` (ids) and `relevant` (bool), one row per judgement.
        folds : of the cross-validation, see `fashionnb.search.ranking.learn_weights`.

        Raises
        ------
        DataError : a column is missing, an unknown id, or too few judgements.
        """
        if missing := [
            column for column in ("item", "other", "relevant") if column not in judgements
        ]:
            raise DataError(
                f"Judgements have the columns item, other and relevant; {', '.join(missing)} is missing."
            )
        found, order = [], []
        for item, rows in judgements.groupby("item", sort=False).indices.items():
            signals = self._signals(self._query(item))
            others = [self.attributes.row(other) for other in judgements["other"].iloc[rows]]
            found.append(np.stack([values[others] for values in signals.values()], axis=1))
            order.append(rows)
        if not found:
            raise DataError("There are no judgements to learn from.")
        order = np.concatenate(order)
        judged = judgements.iloc[order]
        return ranking.learn_weights(
            np.concatenate(found),
            judged["relevant"],
            judged["item"],
            tuple(signals),
            folds,
            self.seed,
        )

    def clusters(self, k: int | str = "auto") -> pd.DataFrame:
        """Groups of items whose pictures are alike, named by the attributes that stand out in them.

        Parameters
        ----------
        k : how many groups; "auto" chooses by silhouette (`fashionnb.search.clusters.group`).

        Returns
        -------
        One row per group, the largest first: `cluster` (from 0), `name`, `size`, `stands_out` (the attributes, their
            share in the group, and how many times the usual that is) and `items` (the ids, most typical first).

        Raises
        ------
        DataError : a k that is not from 1 to n.
        """
        from fashionnb.search import (
            clusters,
        )  # scikit-learn and torch, which nothing else here needs

        labels = clusters.group(self.vectors, k, self.seed)
        return clusters.described(
            labels, self.vectors, self.catalogue.table, self.attributes.columns
        )

    def show(self, table: pd.DataFrame, size: int = 96) -> "Figure":
        """A figure of the garments of an answer, with what they are and their scores. `size` : pixels of each.

        Raises
        ------
        DataError : the answer is empty, or a picture cannot be read.
        """
        return figure(self.catalogue, table, self.attributes.columns, size)

    def as_page(self, table: pd.DataFrame, title: str, item: Item | None = None) -> str:
        """One HTML document that shows an answer, its reasons, and what was asked by; nothing in it is fetched.

        Raises
        ------
        DataError, DataNotFound : the item is not there, or its picture cannot be read.
        """
        asked = None
        if item is not None:
            asked = Entry(
                self.catalogue.image(item) if isinstance(item, str) else as_image(item),
                "what was asked by",
            )
        return page(title, entries(self.catalogue, table, self.attributes.columns), query=asked)

    def save(self, path: Path | str) -> None:
        """Write the vectors to one file, with their ids and the model's fingerprint. Raises `WriteError`."""
        ids = self.catalogue.table["id"].tolist()
        stored.save(path, stored.Vectors(self.vectors, ids, self.catalogue.name, self.model))

    @classmethod
    def load(
        cls, path: Path | str, catalogue: Catalogue, *, model: str = "", **options
    ) -> "Recommender":
        """The recommender for this catalogue with the vectors that `save` wrote; it may be a part of the one saved.

        Parameters
        ----------
        model : the fingerprint that the vectors should have; "": any. options : as the class takes them.

        Raises
        ------
        DataNotFound, DataError, ModelMismatch : as `fashionnb.features.vector_files.load`.
        """
        found = stored.load(path, catalogue.table["id"].tolist(), model)
        return cls(catalogue, found.values, model=found.model, **options)

    def _query(self, item: Item) -> Query:
        if isinstance(item, str):
            row = self.attributes.row(item)
            return Query(
                ranking.similarities(self.vectors, self.vectors[row]), self.attributes.of(row), row
            )
        if self.embed is None:
            raise DataError(
                "To ask by a picture takes the model that made the vectors: give `embed` (--model in a shell)."
            )
        image = as_image(item)
        vector = stored.unit(np.asarray(self.embed(image))[None], 1, "the picture")[0]
        if vector.shape != self.vectors[0].shape:
            raise DataError(
                f"The picture's vector has {len(vector)} numbers, those of {self.catalogue.name} have "
                f"{self.vectors.shape[1]}. Embed both with the same model."
            )
        return Query(ranking.similarities(self.vectors, vector), self.attributes.seen(image), None)

    def _harmonies(self, query: Query) -> list[colour.Harmony]:
        """Of the query's colour with each colour of the catalogue by its number; the last, -1, is unknown."""
        _, values = self.attributes.numbers("colour")
        return [harmony(query.values.get("colour", ""), value) for value in (*values, "")]

    def _signals(self, query: Query) -> dict[str, np.ndarray]:
        signals = {"image": (1 + query.similarity.clip(-1, 1)) / 2}
        for column in self.attributes.columns:
            value = query.values.get(column, "")
            signals[column] = self.attributes.equal(column, value).astype(np.float32)
        if query.values.get("colour"):
            numbers, _ = self.attributes.numbers("colour")
            near = np.array(
                [1 - each.difference / FULL_DIFFERENCE for each in self._harmonies(query)]
            )
            signals["colour"] = np.maximum(
                signals["colour"], np.nan_to_num(near).clip(0, 1)[numbers]
            )
        return signals

    def _answer(
        self,
        score: np.ndarray,
        query: Query | None,
        wanted: Mapping[str, str | Sequence[str]],
        top_k: int,
        diversity: float,
        allowed: np.ndarray | None = None,
    ) -> pd.DataFrame:
        """The table of the best items that are as wanted; `allowed` (n,) bool, if only those go with the query."""
        if not isinstance(top_k, int | np.integer) or top_k < 1:
            raise DataError(f"top_k is a whole number, 1 or more; got {top_k!r}.")
        if not 0 <= diversity <= 1:
            raise DataError(
                f"diversity goes from 0 (the most relevant) to 1 (the most unlike); got {diversity!r}."
            )
        wanted = {
            "colour" if column == "color" else column: said for column, said in wanted.items()
        }
        mask = self.attributes.matching(wanted)
        if not mask.any():
            _log.warning("Nothing was found: %s.", self.attributes.too_much(wanted))
        for rule, what in self._rules(query, allowed):
            if mask.any() and not (mask & rule).any():
                _log.warning("Nothing was found: %s.", what)
            mask &= rule
        rows = np.flatnonzero(mask)
        if diversity:
            rows = np.sort(ranking.best(score, POOL * top_k, rows))
            rows = rows[ranking.diverse(score[rows], self.vectors[rows], top_k, diversity)]
        else:
            rows = ranking.best(score, top_k, rows)
        columns = self.attributes.columns
        return explained(
            self.catalogue,
            columns,
            rows,
            score[rows],
            query,
            [*wanted],
            by_colour=allowed is not None,
        )

    def _rules(
        self, query: Query | None, allowed: np.ndarray | None
    ) -> Iterator[tuple[np.ndarray, str]]:
        """What else decides whether an item may be in an answer, (n,) bool, and what to say if none may."""
        if allowed is not None:
            yield (
                allowed,
                "no such item has a colour that goes with it, is of another kind and for the same people",
            )
        if query is not None:
            other = query.similarity < 1 - self.copies
            if query.row is not None:
                other[query.row] = False
            yield other, "there is nothing else but the item itself and its copies"


def open_recommender(
    catalogue: Catalogue,
    vectors: Path | str | None = None,
    model: Path | str | None = None,
    *,
    size: int | None = None,
    cache: Path | str | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Recommender:
    """A recommender for a catalogue, whose vectors are read from a file, or made by a model. Introduced in chapter 07.

    Parameters
    ----------
    vectors : a file that `Recommender.save` wrote; if there is none, the model's vectors are written there.
    model : a folder with a trained model, or the name of a published one. With it, pictures that are not in the
        catalogue can be asked by; without it, the file must be there.
    size, cache, progress : of the pictures, of their vectors and of embedding them, as
        `fashionnb.search.engine.VisualSearchEngine` has them.

    Raises
    ------
    DataError : neither a file nor a model; or as `Recommender.load`.
    DataNotFound, ModelMismatch : as `Recommender.load`, or the model is not there, or broken.
    WriteError : the vectors cannot be written.
    """
    if model is None:
        if vectors is None:
            raise DataError(
                "To compare pictures takes their vectors: name a file of them (--vectors FILE), a model to make them "
                "(--model style2vec), or both, to make them once."
            )
        return Recommender.load(vectors, catalogue, seed=seed)
    from fashionnb.search.engine import VisualSearchEngine  # torch, which nothing else here needs

    engine = VisualSearchEngine(model, size=size)
    options = {"model": engine.fingerprint, "embed": engine.embed_image, "seed": seed}
    if vectors is not None and Path(vectors).exists():
        return Recommender.load(vectors, catalogue, **options)
    made = Recommender(
        catalogue,
        engine.embed_dataset(catalogue, cache=cache, progress=progress).vectors,
        **options,
    )
    if vectors is not None:
        made.save(vectors)
    return made


def without_pictures(catalogue: Catalogue, seed: int = 0) -> Recommender:
    """A recommender that knows attributes only, for `recommend_by_attributes`: no vectors needed. Chapter 07."""
    return Recommender(catalogue, np.ones((len(catalogue), 1), np.float32), seed=seed)
