"""The answer of a recommender as a table with reasons, as a figure, and as entries of a page.

What is recommended is decided in `fashionnb.search.recommend`; here it is only described: which
attributes agree, how the colours harmonize, and how similar the pictures are.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fashionnb.data import colour
from fashionnb.data.catalogue import Catalogue
from fashionnb.errors import DataError
from fashionnb.search.results_page import Entry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Query:
    """The item or picture that recommendations are asked for.

    Attributes
    ----------
    similarity : ndarray of shape (n,), float32
        Cosine similarity of its picture to that of each item.
    values : dict of str to str
        Its known attributes: column -> value.
    row : int or None
        Its row in the catalogue; None if it is not one of the items.
    """

    similarity: np.ndarray
    values: dict[str, str]
    row: int | None


def table_with_reasons(
    catalogue: Catalogue,
    columns: Sequence[str],
    rows: np.ndarray,
    score: np.ndarray,
    query: Query | None,
    asked: Sequence[str] = (),
    by_colour: bool = False,
) -> pd.DataFrame:
    """Make the table of an answer, see `fashionnb.search.recommend.Recommender` for its columns.

    Parameters
    ----------
    catalogue : Catalogue
    columns : sequence of str
        The attributes that the catalogue has.
    rows, score : ndarray of shape (k,)
        The items, the best first.
    query : Query, optional
    asked : sequence of str
        Columns for which values were asked.
    by_colour : bool
        The harmony of the colours is the first reason.
    """
    own = {} if query is None else query.values
    table = catalogue.table[["id", *columns]].iloc[rows].reset_index(drop=True)
    garments = table[[*columns]].to_dict("records")
    table.insert(0, "rank", np.arange(1, len(rows) + 1))
    table["score"] = np.asarray(score, np.float64)
    table["similarity"] = np.nan
    if query is not None:
        table["similarity"] = query.similarity[rows].astype(np.float64).clip(-1, 1)
    known = [[name for name in columns if garment[name] and name in own] for garment in garments]
    agree = [
        tuple(name for name in both if garment[name] == own[name])
        for garment, both in zip(garments, known, strict=True)
    ]
    harmonies = [harmony(own.get("colour", ""), garment.get("colour", "")) for garment in garments]
    kinds = [each.kind if each.kind != "unknown" else "" for each in harmonies]
    table["agree"] = pd.Series(agree, dtype=object)
    table["known"] = np.array([len(both) for both in known], np.int64)
    table["harmony"] = pd.Series(kinds, dtype=object)
    wanted = catalogue.table[[*asked]].iloc[rows].to_dict("records")
    reasons = []
    for row, garment, values, found in zip(
        table.itertuples(), garments, wanted, harmonies, strict=True
    ):
        sentences = list(_sentences(row, garment, values))
        if by_colour:
            colours = f"{garment['colour']} with {own['colour']}"
            sentences.insert(0, f"{colours} is {found.kind}: {found.reason}")
        reasons.append("; ".join(sentences))
    table["reasons"] = pd.Series(reasons, dtype=object)
    return table


def results_figure(
    catalogue: Catalogue, table: pd.DataFrame, columns: Sequence[str], size: int
) -> "Figure":
    """A figure of the garments of an answer, each with its first two attributes and its score."""
    from fashionnb.notebook import plots

    if not len(table):
        raise DataError("There is nothing to show: the answer is empty, and the log says why.")
    titles = [
        "\n".join([*row[[*columns[:2]]], f"{row['score']:.2f}"]) for _, row in table.iterrows()
    ]
    pixels = _items(catalogue, table).pixels(size)
    return plots.image_grid(pixels, titles, columns=min(len(table), 6))


def page_entries(catalogue: Catalogue, table: pd.DataFrame, columns: Sequence[str]) -> list[Entry]:
    """The garments of an answer for a page. A picture that cannot be read is omitted and logged."""
    keys, found = _items(catalogue, table).table["image"], []
    for row, key in zip(table.to_dict("records"), keys, strict=True):
        try:
            picture = catalogue.images.image(key)
        except DataError as error:
            logger.warning("A garment is shown without its picture. %s", error)
            picture = None
        what = ", ".join(row[name] for name in columns if row[name]) or row["id"]
        found.append(Entry(picture, f"{row['rank']}. {what}", f"{row['reasons']} · {row['id']}"))
    return found


def harmony(a: str, b: str) -> colour.Harmony:
    """`fashionnb.data.colour.harmony`, where a colour that has no reference is unknown."""
    return colour.harmony(_with_reference(a), _with_reference(b))


def _sentences(row, garment: dict[str, str], wanted: dict[str, str]) -> Iterator[str]:
    if wanted:
        yield "as asked: " + ", ".join(f"{name} {value}" for name, value in wanted.items())
    if row.known:
        same = ", ".join(f"{name} {garment[name]}" for name in row.agree) or "nothing"
        yield f"the same: {same} ({len(row.agree)} of {row.known} known attributes)"
    if not np.isnan(row.similarity):
        yield f"picture similarity {row.similarity:.2f}"


def _items(catalogue: Catalogue, table: pd.DataFrame) -> Catalogue:
    return catalogue.take(pd.Index(catalogue.table["id"]).get_indexer(table["id"]))


def _with_reference(name: str) -> str:
    try:
        return name and colour.canonical(name)
    except DataError:
        return ""
