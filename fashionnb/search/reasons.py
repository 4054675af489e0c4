"""An answer of the recommender as a table that says why: which attributes agree, how alike the pictures are, in words.

`fashionnb.search.recommend` decides what is recommended; here nothing is decided, only told.
"""

import logging
from collections.abc import Sequence
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

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Query:
    """What was asked by. Introduced in chapter 07.

    similarity : (n,) how like its picture that of each item is. values : what is known of it, column -> value.
    row : where it is in the catalogue; None if it is not one of its items.
    """

    similarity: np.ndarray
    values: dict[str, str]
    row: int | None


def explained(
    catalogue: Catalogue,
    columns: Sequence[str],
    rows: np.ndarray,
    score: np.ndarray,
    query: Query | None,
    asked: Sequence[str] = (),
    by_colour: bool = False,
) -> pd.DataFrame:
    """The table of an answer, see `fashionnb.search.recommend.Recommender`. Introduced in chapter 07.

    Parameters
    ----------
    columns : the attributes that the catalogue has. rows, score : (k,) the items, the best first.
    asked : attributes that somebody named. by_colour : the colours are the first reason.
    """
    own = {} if query is None else query.values
    table = catalogue.table[["id", *columns]].iloc[rows].reset_index(drop=True)
    garments = table[[*columns]].to_dict("records")
    table.insert(0, "rank", np.arange(1, len(rows) + 1))
    table["score"] = np.asarray(score, np.float64)
    table["similarity"] = (
        np.nan if query is None else query.similarity[rows].astype(np.float64).clip(-1, 1)
    )
    known = [[name for name in columns if garment[name] and name in own] for garment in garments]
    agree = [tuple(name for name in both if garment[name] == own[name])
             for garment, both in zip(garments, known, strict=True)]  # fmt: skip
    found = [harmony(own.get("colour", ""), garment.get("colour", "")) for garment in garments]
    reasons = []
    for i, garment in enumerate(garments):
        said = (
            [f"{garment['colour']} with {own['colour']} is {found[i].kind}: {found[i].reason}"]
            if by_colour
            else []
        )
        if asked:
            said.append(
                "as asked: "
                + ", ".join(f"{name} {catalogue.table[name].iloc[rows[i]]}" for name in asked)
            )
        if known[i]:
            same = ", ".join(f"{name} {garment[name]}" for name in agree[i]) or "nothing"
            said.append(f"the same: {same} ({len(agree[i])} of {len(known[i])} known attributes)")
        if query is not None:
            said.append(f"picture similarity {table['similarity'].iloc[i]:.2f}")
        reasons.append("; ".join(said))
    table["agree"] = pd.Series(agree, dtype=object)
    table["known"] = np.array([len(both) for both in known], np.int64)
    table["harmony"] = pd.Series(
        [each.kind if each.kind != "unknown" else "" for each in found], dtype=object
    )
    table["reasons"] = pd.Series(reasons, dtype=object)
    return table


def figure(
    catalogue: Catalogue, table: pd.DataFrame, columns: Sequence[str], size: int
) -> "Figure":
    """The garments of an answer, each with the first two attributes and its score. Introduced in chapter 07."""
    from fashionnb.notebook import plots

    if not len(table):
        raise DataError("There is nothing to show: the answer is empty, and the log says why.")
    titles = [
        "\n".join([*row[[*columns[:2]]], f"{row['score']:.2f}"]) for _, row in table.iterrows()
    ]
    return plots.garments(_found(catalogue, table).pixels(size), titles, columns=min(len(table), 6))


def entries(catalogue: Catalogue, table: pd.DataFrame, columns: Sequence[str]) -> list[Entry]:
    """The garments of an answer for a page; one whose picture cannot be read is there without it, as the log says."""
    shown = []
    for row, key in zip(
        table.to_dict("records"), _found(catalogue, table).table["image"], strict=True
    ):
        try:
            picture = catalogue.images.image(key)
        except DataError as error:
            _log.warning("A garment is shown without its picture. %s", error)
            picture = None
        what = ", ".join(row[name] for name in columns if row[name])
        shown.append(
            Entry(picture, f"{row['rank']}. {what or row['id']}", f"{row['reasons']} · {row['id']}")
        )
    return shown


def harmony(a: str, b: str) -> colour.Harmony:
    """`fashionnb.data.colour.harmony`, with colours that have no reference (a shop has its own words) as not known."""
    return colour.harmony(_named(a), _named(b))


def _found(catalogue: Catalogue, table: pd.DataFrame) -> Catalogue:
    return catalogue.take(pd.Index(catalogue.table["id"]).get_indexer(table["id"]))


def _named(name: str) -> str:
    try:
        return name and colour.canonical(name)
    except DataError:
        return ""
