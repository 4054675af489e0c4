"""The answer of a recommender as a table with reasons.

What is recommended is decided in `fashionnb.search.recommend`; here it is only described: which
attributes agree, how the colours harmonize, and how similar the pictures are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fashionnb.data import colour
from fashionnb.data.catalogue import Catalogue
from fashionnb.errors import DataError


@dataclass(frozen=True, eq=False)
class Query:
    """Item or picture asked for, with what reasons are made of: similarities and attributes.

    Parameters
    ----------
    similarity : ndarray of shape (n,), float32
        Cosine similarity of its picture to that of each item, -1 to 1.
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
    """Make the table of recommended items with the reasons for each, as numbers and in words.

    Parameters
    ----------
    catalogue : Catalogue
        Of n items.
    columns : sequence of str
        The attributes that the catalogue has.
    rows : ndarray of shape (k,), int64
        The recommended items, the best first.
    score : ndarray of shape (k,), float
        Of these items.
    query : Query or None
        What the items are compared with; None if only attributes were asked for.
    asked : sequence of str
        Columns for which values were asked.
    by_colour : bool
        The harmony of the colours is the first reason.

    Returns
    -------
    DataFrame
        One row per item, with the columns of `fashionnb.search.recommend.Recommender`.
    """
    own = {} if query is None else query.values
    table = catalogue.table[["id", *columns]].iloc[rows].reset_index(drop=True)
    garments = table[[*columns]].to_dict("records")
    wanted = catalogue.table[[*asked]].iloc[rows].to_dict("records")
    table.insert(0, "rank", np.arange(1, len(rows) + 1))
    table["score"] = np.asarray(score, np.float64)
    table["similarity"] = np.nan
    if query is not None:
        table["similarity"] = query.similarity[rows].astype(np.float64).clip(-1, 1)
    said = []
    for garment, values, similarity in zip(garments, wanted, table["similarity"], strict=True):
        both = [name for name in columns if garment[name] and name in own]
        agree = tuple(name for name in both if garment[name] == own[name])
        colours = harmony(own.get("colour", ""), garment.get("colour", ""))
        kind = colours.kind if colours.kind != "unknown" else ""
        sentences = list(_sentences(garment, values, agree, len(both), similarity))
        if by_colour:
            pair = f"{garment['colour']} with {own['colour']}"
            sentences.insert(0, f"{pair} is {colours.kind}: {colours.reason}")
        said.append((agree, len(both), kind, "; ".join(sentences)))
    added = pd.DataFrame(said, columns=["agree", "known", "harmony", "reasons"], dtype=object)
    return table.join(added.astype({"known": np.int64}))


def harmony(a: str, b: str) -> colour.Harmony:
    """Rate how well two colours go together, as a reason for a recommendation.

    This is `fashionnb.data.colour.harmony`, where a colour that has no reference is unknown.

    Parameters
    ----------
    a, b : str
        Names of colours in any spelling; "" if unknown.

    Returns
    -------
    fashionnb.data.colour.Harmony
        Of the kind "unknown" if either colour is.
    """
    return colour.harmony(_with_reference(a), _with_reference(b))


def _sentences(
    garment: dict[str, str],
    wanted: dict[str, str],
    agree: tuple[str, ...],
    known: int,
    similarity: float,
) -> Iterator[str]:
    if wanted:
        yield "as asked: " + ", ".join(f"{name} {value}" for name, value in wanted.items())
    if known:
        same = ", ".join(f"{name} {garment[name]}" for name in agree) or "nothing"
        yield f"the same: {same} ({len(agree)} of {known} known attributes)"
    if not np.isnan(similarity):
        yield f"picture similarity {similarity:.2f}"


def _with_reference(name: str) -> str:
    try:
        return name and colour.canonical(name)
    except DataError:
        return ""
