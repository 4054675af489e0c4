"""Recommend items of a catalogue, with reasons: similar items, and items to wear together.

A `Recommender` has a catalogue's attributes and one vector per item. It gives tables that say which
attributes agree and how similar the pictures are (`fashionnb.search.item_attributes`). Ranking is
in `fashionnb.search.ranking`, clusters of items in `fashionnb.search.clusters`, colours in
`fashionnb.data.colour`. `fashionnb recommend` does the same from the command line.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image

from fashionnb.data import colour
from fashionnb.data.catalogue import Catalogue
from fashionnb.data.images import open_picture
from fashionnb.errors import DataError
from fashionnb.evaluation.neighbours import check_vectors
from fashionnb.features import vector_files
from fashionnb.files import check_target
from fashionnb.search import ranking
from fashionnb.search.item_attributes import Attributes, Query, harmony, table_with_reasons
from fashionnb.search.results_page import Entry, open_readable, page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Item = str | Path | Image.Image | np.ndarray

COMPATIBLE = ("same", "analogous", "complementary", "neutral")
"""The kinds of `fashionnb.data.colour.harmony` that go together."""

OCCASION = ("season", "usage", "gender")
"""Attributes that two garments should share to be worn together."""

COPIES = 1e-4  # 1 - cosine similarity up to which an item is a copy of the query
POOL = 10  # diversity chooses from so many times the number of items asked for, the most relevant
SHOWN = 96  # pixels of a garment in a figure
FULL_DIFFERENCE = 0.5  # colours that differ by so much in OKLab have nothing in common
logger = logging.getLogger(__name__)


class Recommender:
    """Recommender of one catalogue: items that are similar or worn together, each with its reasons.

    Every answer is a table, the best first, with the columns `rank` (from 1), `id`, the attributes
    that the catalogue has, `score`, `similarity` (cosine, NaN where nothing was compared), `agree`
    (a tuple: the attributes that are known for both and equal), `known` (how many are known for
    both), `harmony` (of the two colours, "" if unknown) and `reasons` (the same in words). An
    unknown value never counts as agreement. If nothing is found, the table has the same columns and
    no rows, and the log says why.

    All answers leave out the query item and its copies. Ties go to the item that is first in the
    catalogue. A score depends on that item and the query only, so a new item takes its place in an
    answer and leaves the others in their order. With `diversity` above 0 this is not so: each item
    is compared with those before it.

    Every method takes attributes as further keywords: ``season="Winter"``,
    ``category=["Shirts", "Tops"]`` (any of them), and any other text column of the catalogue. Case
    does not matter; ``color`` is ``colour``.

    Parameters
    ----------
    catalogue : Catalogue
        Of n items.
    vectors : array of shape (n, d), any real numbers
        One per item, in the order of the catalogue; scaled to length 1.
    seed : int
        Of the first centres of `clusters`.
    embed : callable, optional
        Picture -> vector (d,), for pictures that are not in the catalogue; for instance
        `embed_image` of a `fashionnb.search.engine.VisualSearchEngine`.
    copies : float
        An item is a copy of the query if 1 - cosine similarity is at most this;
        `fashionnb.search.duplicates.threshold_from` finds a value for a model.
    model : str
        The fingerprint of the model that made the vectors, saved with them.
    size : str
        Of the images that the model saw, saved with the vectors.

    Raises
    ------
    DataError
        If there is not one vector per item, or one is NaN or of length 0.
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
        size: str = "",
    ) -> None:
        self.catalogue, self.seed, self.embed = catalogue, seed, embed
        self.copies, self.model, self.size = copies, model, size
        self.vectors = check_vectors(vectors, catalogue.name, "cosine")
        if len(self.vectors) != len(catalogue):
            raise DataError(
                f"{catalogue.name}: expected one vector for each of {len(catalogue):,} items, "
                f"(n, d); got the shape {self.vectors.shape}."
            )
        self.attributes = Attributes(catalogue)

    def find_similar_items(
        self, item: Item, top_k: int = 10, *, diversity: float = 0.0, **wanted: str | Sequence[str]
    ) -> pd.DataFrame:
        """Find the items whose pictures are most similar to that of an item or to a picture.

        Parameters
        ----------
        item : str, Path, PIL image or ndarray
            The id of an item; or a picture, as `fashionnb.data.images.open_picture` takes it, but
            its path as a Path.
        top_k : int
            How many; fewer if there are fewer.
        diversity : float
            How much they should differ from each other, 0 to 1
            (`fashionnb.search.ranking.diverse`).
        **wanted : str or sequence of str
            Attributes that they must have.

        Returns
        -------
        DataFrame

        Raises
        ------
        DataError
            For an unknown id, attribute or value (the message names close ones), a top_k below 1, a
            diversity outside [0, 1], or a picture without `embed`.
        DataNotFound
            If there is no such file.
        """
        query = self._query(item)
        return self._answer(query.similarity, query, wanted, top_k, diversity)

    def recommend_by_attributes(
        self, *, top_k: int = 10, diversity: float = 0.0, **wanted: str | Sequence[str]
    ) -> pd.DataFrame:
        """Find items that have all of these attributes, in the order of the catalogue.

        Raises
        ------
        DataError
            If no attribute was given; else as `find_similar_items`.
        """
        if not wanted:
            raise DataError(
                "Say what is wanted, for instance colour='Blue'. "
                f"There is: {', '.join(self.attributes.columns)}."
            )
        n = len(self.vectors)
        nothing = Query(np.full(n, np.nan, np.float32), {}, None)
        return self._answer(np.ones(n), nothing, wanted, top_k, diversity)

    def get_seasonal_recommendations(
        self, season: str, top_k: int = 10, *, diversity: float = 0.0, **wanted: str | Sequence[str]
    ) -> pd.DataFrame:
        """Find items for a season, by `recommend_by_attributes`. Autumn and fall are the same."""
        return self.recommend_by_attributes(
            season=season, top_k=top_k, diversity=diversity, **wanted
        )

    def get_color_coordinated_items(
        self, item: Item, top_k: int = 10, *, diversity: float = 0.0, **wanted: str | Sequence[str]
    ) -> pd.DataFrame:
        """Find items to wear with this one: another kind, the same people, a compatible colour.

        Two thirds of the score are the harmony of the colours (`fashionnb.data.colour.harmony`),
        one third is how many of season, usage and gender are the same. Another kind is another
        `sub_category` if the catalogue has that column, else another category, unless `wanted`
        gives one. Items for men and for women are not combined unless `wanted` gives a gender;
        Unisex and unknown fit everybody. An item without one known colour gets no answer.

        Parameters
        ----------
        item, top_k, diversity, **wanted
            As in `find_similar_items`. Of a picture only the colour is recognized.

        Returns
        -------
        DataFrame

        Raises
        ------
        DataError
            As `find_similar_items`, or for a catalogue without colours.
        """
        query = self._query(item)
        numbers, found = self._harmonies(query)
        allowed = np.isin([each.kind for each in found], COMPATIBLE)[numbers]
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
        diversity: float = 0.0,
        **wanted: str | Sequence[str],
    ) -> pd.DataFrame:
        """Find items that are similar in several ways at once: by picture and by attributes.

        The score is the weighted mean of the signals.

        Parameters
        ----------
        weights : mapping of str to float, optional
            Signal -> weight, 0 or more; `signals` lists them, and those not given count nothing. By
            default the picture counts as much as all attributes together.
        item, top_k, diversity, **wanted
            As in `find_similar_items`.

        Returns
        -------
        DataFrame

        Raises
        ------
        DataError
            As `find_similar_items`, for an unknown signal, a negative weight, or no weight above 0.
        """
        query = self._query(item)
        signals = self._signals(query)
        if weights is None:
            weights = dict.fromkeys(signals, 1.0) | {"image": max(1, len(signals) - 1)}
        if unknown := [name for name in weights if name not in signals]:
            raise DataError(f"There is no signal {unknown[0]!r}; there is: {', '.join(signals)}.")
        values = [*weights.values()]
        if not all(0 <= weight < np.inf for weight in values) or not sum(values) > 0:
            raise DataError(f"Weights are 0 or more, and not all 0; got {dict(weights)}.")
        total = sum(weight * signals[name].astype(np.float64) for name, weight in weights.items())
        return self._answer(total / sum(values), query, wanted, top_k, diversity)

    def signals(self, item: Item) -> dict[str, np.ndarray]:
        """The similarity of every item to this one, in each way: name -> (n,) from 0 to 1.

        `image` is (1 + cosine similarity) / 2. An attribute is 1 where it is known for both and
        equal, else 0; `colour` decreases with the distance of the two colours in OKLab instead,
        from 1 to 0.

        Raises
        ------
        DataError, DataNotFound
            As `find_similar_items`.
        """
        return self._signals(self._query(item))

    def clusters(self, k: int | str = "auto") -> pd.DataFrame:
        """Clusters of items whose pictures are similar, named by distinctive attributes.

        Parameters
        ----------
        k : int or "auto"
            How many clusters; "auto" chooses by silhouette
            (`fashionnb.search.clusters.cluster_items`).

        Returns
        -------
        DataFrame
            One row per cluster, the largest first: `cluster` (from 0), `name`, `size`, `stands_out`
            (the attributes, their share in the cluster, and how many times the usual that is) and
            `items` (the ids, most typical first).

        Raises
        ------
        DataError
            If k is not from 1 to n.
        """
        from fashionnb.search import clusters  # scikit-learn, which nothing else here needs

        labels = clusters.cluster_items(self.vectors, k, self.seed)
        return clusters.cluster_table(
            labels, self.vectors, self.catalogue.table, self.attributes.columns
        )

    def show(self, table: pd.DataFrame) -> "Figure":
        """A figure of the garments of an answer, each with its first two attributes and its score.

        Raises
        ------
        DataError
            If the answer is empty, or a picture cannot be read.
        """
        from fashionnb.notebook import plots

        if not len(table):
            raise DataError("There is nothing to show: the answer is empty, and the log says why.")
        above = [*self.attributes.columns[:2]]
        titles = ["\n".join([*row[above], f"{row['score']:.2f}"]) for _, row in table.iterrows()]
        pixels = self._items(table).pixels(SHOWN)
        return plots.image_grid(pixels, titles, columns=min(len(table), 6))

    def as_page(self, table: pd.DataFrame, title: str, item: Item | None = None) -> str:
        """One HTML document that shows an answer, its reasons, and the query.

        An item whose picture cannot be read is shown without, and the log says so.

        Raises
        ------
        DataError, DataNotFound
            If there is no such item, or its picture cannot be read.
        """
        asked = None
        if item is not None:
            picture = self.catalogue.image(item) if isinstance(item, str) else open_picture(item)
            asked = Entry(picture, "what was asked by")
        entries = []
        pictures = open_readable(self.catalogue.images, self._items(table).table["image"])
        for row, picture in zip(table.to_dict("records"), pictures, strict=True):
            known = [row[name] for name in self.attributes.columns if row[name]]
            caption = f"{row['rank']}. {', '.join(known) or row['id']}"
            entries.append(Entry(picture, caption, f"{row['reasons']} · {row['id']}"))
        return page(title, entries, query=asked)

    def save(self, path: Path | str) -> None:
        """Write the vectors to one file, with what they were made from.

        Raises
        ------
        WriteError
            If the file cannot be written.
        """
        contents = vector_files.contents_of(self.catalogue)
        about = self.catalogue.name, self.model, self.size, contents
        vector_files.save(path, vector_files.Vectors(self.vectors, self.catalogue.ids, *about))

    @classmethod
    def load(
        cls,
        path: Path | str,
        catalogue: Catalogue,
        *,
        model: str = "",
        skip_missing: bool = False,
        **options,
    ) -> "Recommender":
        """A recommender for this catalogue, or a part of it, with the vectors that `save` wrote.

        Parameters
        ----------
        path : Path or str
        catalogue : Catalogue
        model : str
            The fingerprint that the vectors should have; "" is any.
        skip_missing : bool
            Leave out items that the file has no vectors of; they are counted in the log.
        **options
            As the class takes them.

        Raises
        ------
        DataNotFound, DataError, ModelMismatch
            As `fashionnb.features.vector_files.load`; or if images have changed since.
        """
        if skip_missing:
            catalogue = _with_vectors(path, catalogue)
        found = vector_files.load(path, catalogue.ids, model)
        changed = vector_files.changed(found, catalogue)
        if changed.any():
            raise DataError(
                f"{path}: {changed.sum():,} of {len(catalogue):,} pictures have changed since "
                f"these vectors were made, the first is {catalogue.ids[changed.argmax()]!r}. Name "
                "the model that made them (--model): then these are embedded again."
            )
        return cls(catalogue, found.values, model=found.model, size=found.size, **options)

    def _items(self, table: pd.DataFrame) -> Catalogue:
        """The items of an answer."""
        return self.catalogue.take([self.attributes.row(item) for item in table["id"]])

    def _query(self, item: Item) -> Query:
        if isinstance(item, str):
            row = self.attributes.row(item)
            similarity = ranking.similarities(self.vectors, self.vectors[row])
            return Query(similarity, self.attributes.of(row), row)
        if self.embed is None:
            raise DataError(
                "A picture as the query needs the model that made the vectors: "
                "give `embed` (--model on the command line)."
            )
        image = open_picture(item)
        vector = check_vectors(np.asarray(self.embed(image))[None], "the picture", "cosine")[0]
        if vector.shape != self.vectors[0].shape:
            raise DataError(
                f"The picture's vector has {len(vector)} numbers, those of {self.catalogue.name} "
                f"have {self.vectors.shape[1]}. Embed both with the same model."
            )
        similarity = ranking.similarities(self.vectors, vector)
        return Query(similarity, self.attributes.from_picture(image), None)

    def _harmonies(self, query: Query) -> tuple[np.ndarray, list[colour.Harmony]]:
        """The number of each item's colour, and that colour's harmony with the query's.

        The last harmony is that of the unknown colour, whose number is -1.
        """
        numbers, values = self.attributes.numbers("colour")
        own = query.values.get("colour", "")
        return numbers, [harmony(own, value) for value in (*values, "")]

    def _signals(self, query: Query) -> dict[str, np.ndarray]:
        signals = {"image": (1 + query.similarity.clip(-1, 1)) / 2}
        for column in self.attributes.columns:
            value = query.values.get(column, "")
            signals[column] = self.attributes.equal(column, value).astype(np.float32)
        if query.values.get("colour"):
            numbers, found = self._harmonies(query)
            difference = np.array([each.difference for each in found])
            near = np.nan_to_num(1 - difference / FULL_DIFFERENCE).clip(0, 1)
            signals["colour"] = np.maximum(signals["colour"], near[numbers])
        return signals

    def _answer(
        self,
        score: np.ndarray,
        query: Query,
        wanted: Mapping[str, str | Sequence[str]],
        top_k: int,
        diversity: float,
        allowed: np.ndarray | None = None,
    ) -> pd.DataFrame:
        """The table of the best items as wanted; `allowed` (n,) bool by colour and kind."""
        if not isinstance(top_k, int | np.integer) or top_k < 1:
            raise DataError(f"top_k is a whole number, 1 or more; got {top_k!r}.")
        if not 0 <= diversity <= 1:
            raise DataError(
                "diversity goes from 0 (the most relevant) to 1 (the most different); "
                f"got {diversity!r}."
            )
        wanted = {
            "colour" if column == "color" else column: value for column, value in wanted.items()
        }
        rows = np.flatnonzero(self._eligible(query, wanted, allowed))
        if diversity:
            rows = np.sort(ranking.best(score, POOL * top_k, rows))
            rows = rows[ranking.diverse(score[rows], self.vectors[rows], top_k, diversity)]
        else:
            rows = ranking.best(score, top_k, rows)
        return table_with_reasons(
            self.catalogue, self.attributes.columns, rows, score[rows], query, [*wanted],
            by_colour=allowed is not None,
        )  # fmt: skip

    def _eligible(
        self,
        query: Query,
        wanted: Mapping[str, str | Sequence[str]],
        allowed: np.ndarray | None,
    ) -> np.ndarray:
        """The items, (n,) bool, that may be in an answer. If there are none, the log says why."""
        as_wanted = self.attributes.matching(wanted)
        suitable = as_wanted if allowed is None else as_wanted & allowed
        mask = suitable & ~(query.similarity >= 1 - self.copies)
        if query.row is not None:
            mask[query.row] = False
        if not as_wanted.any():
            logger.warning("Nothing was found: %s.", self.attributes.why_no_match(wanted))
        elif not suitable.any():
            logger.warning(
                "Nothing was found: no such item has a colour that goes with it, is of another "
                "kind and for the same people."
            )
        elif not mask.any():
            logger.warning(
                "Nothing was found: there is nothing else but the item itself and its copies."
            )
        return mask


def open_recommender(
    catalogue: Catalogue,
    vectors: Path | str | None = None,
    model: Path | str | None = None,
    *,
    size: int | None = None,
    cache: Path | str | None = None,
    skip_unreadable: bool = False,
) -> Recommender:
    """Open a recommender for a catalogue, with vectors from a file or from a model.

    Parameters
    ----------
    catalogue : Catalogue
        Whose items are recommended.
    vectors : Path or str, optional
        A file that `Recommender.save` wrote. With a model, it is written if there is none, and
        images that have changed since, or had another size, are embedded again.
    model : Path or str, optional
        A folder with a trained model, or the name of a published one. With it, pictures that are
        not in the catalogue can be the query; without it, the file must be there.
    size : int, optional
        Of the pictures in pixels, as in `fashionnb.search.engine.VisualSearchEngine`.
    cache : Path or str, optional
        A folder for the vectors, as in
        `fashionnb.search.engine.VisualSearchEngine.embed_dataset`.
    skip_unreadable : bool
        Leave out items whose pictures cannot be read, or that the file has no vectors of; they are
        counted in the log.

    Returns
    -------
    Recommender
        Of the catalogue.

    Raises
    ------
    DataError
        If neither a file nor a model is given; or as `Recommender.load`.
    DataNotFound, ModelMismatch
        As `Recommender.load`, or if the model is missing or broken.
    WriteError
        If the vectors cannot be written.
    """
    if model is None:
        if vectors is None:
            raise DataError(
                "Comparing pictures needs their vectors: name a file of them (--vectors FILE), "
                "a model to make them (--model style2vec), or both, to make them once."
            )
        return Recommender.load(vectors, catalogue, skip_missing=skip_unreadable)
    from fashionnb.search.engine import VisualSearchEngine  # torch, which nothing else here needs

    if vectors is not None:
        check_target(vectors)
    engine = VisualSearchEngine(model, size=size)
    pixels = str(engine.size)
    stale = np.ones(len(catalogue), bool)
    values = None
    if vectors is not None and Path(vectors).exists():
        if skip_unreadable:
            catalogue = _with_vectors(vectors, catalogue)
        found = vector_files.load(vectors, catalogue.ids, engine.fingerprint)
        stale = vector_files.changed(found, catalogue) | (found.size not in ("", pixels))
        values = found.values
    if stale.any():
        if values is not None:
            logger.warning(
                "%s: %d of %d pictures have changed since, or had another size; they are embedded "
                "again.",
                vectors,
                stale.sum(),
                len(catalogue),
            )
        new = engine.embed_dataset(
            catalogue.take(stale), cache=cache, skip_unreadable=skip_unreadable
        )
        if values is None:
            values = np.empty((len(catalogue), new.vectors.shape[1]), np.float32)
        read = catalogue.table["id"].isin(new.gallery.ids).to_numpy()
        values[read] = new.vectors
        catalogue, values = catalogue.take(~stale | read), values[~stale | read]
    made = Recommender(
        catalogue, values, model=engine.fingerprint, size=pixels, embed=engine.embed_image
    )
    if vectors is not None and stale.any():
        made.save(vectors)
    return made


def _with_vectors(path: Path | str, catalogue: Catalogue) -> Catalogue:
    """The items that a file has vectors of."""
    known = catalogue.table["id"].isin(vector_files.load(path).ids)
    if not known.all():
        logger.warning("%d item(s) have no vector and are left out.", (~known).sum())
    return catalogue.take(known)


def without_pictures(catalogue: Catalogue) -> Recommender:
    """Make a recommender without vectors, which can recommend by attributes only.

    Parameters
    ----------
    catalogue : Catalogue
        Whose items are recommended.

    Returns
    -------
    Recommender
        To be used for `Recommender.recommend_by_attributes` only.
    """
    return Recommender(catalogue, np.ones((len(catalogue), 1), np.float32))
