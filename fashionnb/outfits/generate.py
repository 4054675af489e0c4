"""Suggestions from outfit scores: the weakest item, swaps, completions, whole new outfits.

Everything takes a `fashionnb.outfits.scoring.Scorer`, or any function of outfits (lists of ids)
that returns one score for each, higher for more compatible. Every result is a table, as in
`fashionnb.search.recommend`. `allowed` is a mask over the catalogue, such as
`table["season"] == "Winter"`.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

import numpy as np
import pandas as pd
from sklearn.preprocessing import MultiLabelBinarizer

from fashionnb.data.catalogue import Catalogue
from fashionnb.errors import DataError
from fashionnb.search import ranking

Scores = Callable[[Sequence[Sequence[str]]], np.ndarray]


def leave_one_out(scorer: Scores, outfit: Sequence[str]) -> pd.DataFrame:
    """Suggest the item to leave out of an outfit: rank all by what the score gains without them.

    The first fits least.

    Parameters
    ----------
    scorer : callable
        Scores outfits.
    outfit : sequence of str
        Ids of 3 items or more.

    Returns
    -------
    DataFrame
        One row per item: `rank`, `id`, `without` (the score of the other items), `gain` (that less
        the score of the outfit) and, if the scorer has gradients, `contribution` (see
        `fashionnb.outfits.scoring.Scorer.contributions`; the lowest fits least).

    Raises
    ------
    DataError
        If there are fewer than 3 items, an item is repeated, or the scorer has no such item.
    """
    outfit = _checked(outfit, 3, "Leaving one out")
    others = [[*outfit[:i], *outfit[i + 1 :]] for i in range(len(outfit))]
    scores = scorer([outfit, *others])
    table = pd.DataFrame({"id": outfit, "without": scores[1:], "gain": scores[1:] - scores[0]})
    if hasattr(scorer, "contributions"):
        table["contribution"] = scorer.contributions(outfit)
    return _ranked(table, "gain")


def pair_scores(scorer: Scores, outfit: Sequence[str]) -> pd.DataFrame:
    """Score every pair of items of an outfit by itself, for a heat map.

    Parameters
    ----------
    scorer : callable
        Scores outfits.
    outfit : sequence of str
        Ids of 2 items or more.

    Returns
    -------
    DataFrame
        Square and symmetric, with the ids as index and columns, and NaN on the diagonal.

    Raises
    ------
    DataError
        If there are fewer than 2 items, an item is repeated, or the scorer has no such item.
    """
    outfit = _checked(outfit, 2, "A pair")
    first, second = np.triu_indices(len(outfit), 1)
    pairs = [[outfit[i], outfit[j]] for i, j in zip(first, second, strict=True)]
    values = np.full((len(outfit), len(outfit)), np.nan)
    values[first, second] = values[second, first] = scorer(pairs)
    return pd.DataFrame(values, index=outfit, columns=outfit)


def suggest_swaps(
    scorer: Scores,
    outfit: Sequence[str],
    catalogue: Catalogue,
    top_k: int = 5,
    *,
    item: str | None = None,
    by: str = "category",
    allowed: Sequence[bool] | None = None,
) -> pd.DataFrame:
    """Suggest swaps: the exchanges of one item that improve an outfit most.

    Parameters
    ----------
    scorer : callable
        Scores outfits.
    outfit : sequence of str
        Ids of 2 items or more.
    catalogue : Catalogue
        Where the new item comes from.
    top_k : int
        Number of exchanges.
    item : str, optional
        The item to exchange; without it, any. An item whose `by` is unknown stays.
    by : str
        The column in which the new item must equal the old one.
    allowed : array_like of shape (n,), bool, optional
        The items of the catalogue that may be added; without it all.

    Returns
    -------
    DataFrame
        At most `top_k` rows, the best first: `rank`, `id` (the old item), `swap` (the new one),
        `score` (of the new outfit) and `gain` (that less the score of the old outfit, above 0).
        Equal gains: in the order of outfit and catalogue.

    Raises
    ------
    DataError
        If there are fewer than 2 items, an item is repeated or unknown, `item` is not in the
        outfit or has no value in `by`, the column does not exist, or the mask has another length.
    """
    outfit = _checked(outfit, 2, "A swap")
    members, kinds = _members(catalogue, by, allowed, outfit)
    if item is not None and (item not in outfit or not kinds[item]):
        raise DataError(
            f"{item!r} is not in the outfit {outfit}, or its {by} is not known; "
            "choose another item."
        )
    options = []
    for old in outfit if item is None else [item]:
        same_kind = members.get(kinds[old], []) if kinds[old] else []
        options += [(old, new) for new in same_kind if new not in outfit]
    swapped = [[new if one == old else one for one in outfit] for old, new in options]
    scores = scorer([outfit, *swapped])
    table = pd.DataFrame(options, columns=["id", "swap"], dtype=object)
    table = table.assign(score=scores[1:], gain=scores[1:] - scores[0])
    return _ranked(table[table["gain"] > 0], "gain", top_k)


def complete_outfit(
    scorer: Scores,
    outfit: Sequence[str],
    catalogue: Catalogue,
    wanted: str | Sequence[str],
    top_k: int = 5,
    *,
    by: str = "category",
    allowed: Sequence[bool] | None = None,
) -> pd.DataFrame:
    """Suggest items that complete an outfit: those of a category that fit it best.

    Parameters
    ----------
    scorer : callable
        Scores outfits.
    outfit : sequence of str
        Ids of one item or more.
    catalogue : Catalogue
        Where the new item comes from, n items.
    wanted : str or sequence of str
        A value of the column `by`, or several, of which any will do.
    top_k : int
        Number of items, 1 or more.
    by : str
        The column in which the new item must be as wanted.
    allowed : array_like of shape (n,), bool, optional
        The items of the catalogue that may be added; without it all.

    Returns
    -------
    DataFrame
        At most `top_k` rows, the best first: `rank`, `id`, and `score` of the outfit with it.

    Raises
    ------
    DataError
        If there is no item, an item is repeated or unknown, the column does not exist, or no
        allowed item is of the wanted category.
    """
    outfit = _checked(outfit, 1, "Completing")
    members, _ = _members(catalogue, by, allowed, outfit)
    candidates = [item for item in _of_kind(members, wanted, by) if item not in outfit]
    scores = scorer([[*outfit, item] for item in candidates]) if candidates else []
    return _ranked(pd.DataFrame({"id": candidates, "score": scores}), "score", top_k)


def compose_outfits(
    scorer: Scores,
    catalogue: Catalogue,
    start: str,
    parts: Sequence[str | Sequence[str]],
    top_k: int = 5,
    *,
    by: str = "category",
    beam: int = 20,
    allowed: Sequence[bool] | None = None,
    budget: tuple[str, float] | None = None,
    fits: Callable[[tuple[str, ...]], bool] | None = None,
    diversity: float = 0.0,
) -> pd.DataFrame:
    """Generate new outfits around an item by beam search, one part after the other.

    After each part the `beam` best outfits so far are kept, so the best outfit of all may be
    missed. A wider beam misses less and takes longer.

    Parameters
    ----------
    scorer : callable
        Scores outfits.
    catalogue : Catalogue
        Where the items come from, n of them.
    start : str
        The id of the item that all outfits contain.
    parts : sequence of str, or of sequences of str
        What is added, in this order: a value of `by`, or several, of which any will do.
    top_k : int
        Number of outfits, from 1 to `beam`.
    by : str
        The column that says which items are a part.
    beam : int
        How many outfits are kept after each part.
    allowed : array_like of shape (n,), bool, optional
        The items of the catalogue that may be added; without it all.
    budget : (str, float), optional
        A column of numbers, and the most that all items may cost together. An item whose price is
        unknown is not added.
    fits : callable, optional
        Takes the ids of an outfit, complete or not; False discards it.
    diversity : float
        0 to 1, how much the outfits should differ in their items
        (`fashionnb.search.ranking.diverse`, on scores scaled to 0 to 1).

    Returns
    -------
    DataFrame
        At most `top_k` rows: `rank`, `items` (a tuple of ids, in the order of start and parts),
        `score` and, with a budget, `cost`. Empty if no outfit fulfils the conditions.

    Raises
    ------
    DataError
        If the start is unknown, there are no parts or an allowed item for one of them is missing,
        the column does not exist, the mask has another length, the budget column has no numbers,
        the start alone costs more, or a number is out of range.
    """
    if not parts or not 0 <= diversity <= 1 or not 1 <= top_k <= beam:
        raise DataError(
            "Give one part or more, a diversity from 0 to 1, and 1 <= top_k <= beam; "
            f"got {list(parts)}, {diversity=}, {top_k=}, {beam=}."
        )
    members, _ = _members(catalogue, by, allowed, [start])
    choices = [_of_kind(members, part, by) for part in parts]
    cost, limit = _costs(catalogue, budget)
    if not cost[start] <= limit:
        raise DataError(f"The budget is {limit}, and {start!r} alone costs {cost[start]}.")
    outfits, scores = [(start,)], np.zeros(1)
    for step, candidates in enumerate(choices):
        reserved = sum(min(cost[item] for item in later) for later in choices[step + 1 :])
        outfits = _extended(outfits, candidates, cost, limit, reserved)
        outfits, scores = _best(scorer, outfits, beam, fits)
    order = _diverse(outfits, scores, top_k, diversity)
    items = pd.Series([outfits[row] for row in order], dtype=object)
    table = pd.DataFrame({"items": items, "score": scores[order]})
    if budget is not None:
        table["cost"] = [float(sum(cost[item] for item in outfit)) for outfit in items]
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def _extended(
    outfits: list[tuple[str, ...]],
    candidates: list[str],
    cost: Mapping[str, float],
    limit: float,
    reserved: float,
) -> list[tuple[str, ...]]:
    """The outfits with one more item each; of those with the same items only one is kept."""
    found = {}
    for outfit in outfits:
        spent = sum(cost[item] for item in outfit)
        for item in candidates:
            if item not in outfit and spent + cost[item] + reserved <= limit:
                found[frozenset((*outfit, item))] = (*outfit, item)
    return list(found.values())


def _best(
    scorer: Scores, outfits: list[tuple[str, ...]], n: int, fits: Callable | None
) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """The n outfits with the highest scores among those that fit."""
    scores = np.asarray(scorer(outfits) if outfits else [], float)
    order = np.argsort(-scores, kind="stable")
    fitting = (row for row in order if fits is None or fits(outfits[row]))
    best = np.fromiter(islice(fitting, n), int)
    return [outfits[row] for row in best], scores[best]


def _diverse(
    outfits: list[tuple[str, ...]], scores: np.ndarray, k: int, diversity: float
) -> np.ndarray:
    """Rows of the outfits to show; two are as similar as the share of added items in common."""
    if not diversity or len(outfits) < 2:
        return np.arange(min(k, len(outfits)))
    added = [outfit[1:] for outfit in outfits]
    has = MultiLabelBinarizer().fit_transform(added) * np.float32(1 / np.sqrt(len(added[0])))
    span = np.ptp(scores) or 1.0
    return ranking.diverse((scores - scores.min()) / span, has.astype(np.float32), k, diversity)


def _costs(
    catalogue: Catalogue, budget: tuple[str, float] | None
) -> tuple[dict[str, float], float]:
    """The cost of each item, infinity if it is unknown and 0 without a budget; and the limit."""
    table = catalogue.table
    if budget is None:
        return dict.fromkeys(table["id"], 0.0), np.inf
    column, limit = budget
    if column not in table or not pd.api.types.is_numeric_dtype(table[column]):
        raise DataError(
            f"{catalogue.name} has no column {column!r} of numbers, which a budget needs."
        )
    return dict(zip(table["id"], table[column].astype(float).fillna(np.inf), strict=True)), limit


def _members(
    catalogue: Catalogue, by: str, allowed: Sequence[bool] | None, outfit: Sequence[str]
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The allowed items of each value of a column, and the value of every item.

    The items of `outfit` must be known.
    """
    table = catalogue.table
    if by not in table:
        raise DataError(f"{catalogue.name} has no column {by!r}; it has {', '.join(table)}.")
    kinds = dict(zip(table["id"], table[by], strict=True))
    unknown = [item for item in outfit if item not in kinds]
    if unknown:
        raise DataError(
            f"{catalogue.name} has no item {unknown[0]!r}. Ids look like {', '.join([*kinds][:3])}."
        )
    mask = np.ones(len(table), bool) if allowed is None else np.asarray(allowed)
    if mask.shape != (len(table),) or mask.dtype != bool:
        raise DataError(
            f"`allowed` is one bool for each of {len(table)} items, got {mask.dtype} {mask.shape}."
        )
    return table[mask].groupby(by)["id"].agg(list).to_dict(), kinds


def _of_kind(members: dict[str, list[str]], wanted: str | Sequence[str], by: str) -> list[str]:
    """The items of any of the wanted kinds."""
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    found = [item for kind in wanted for item in members.get(kind, ())]
    if not found:
        there = ", ".join(sorted(map(str, members))[:12]) or "nothing"
        raise DataError(
            f"No allowed item has the {by} {' or '.join(map(repr, wanted))}. There is: {there}."
        )
    return found


def _checked(outfit: Sequence[str], least: int, what: str) -> list[str]:
    outfit = list(outfit)
    if len(outfit) < least:
        raise DataError(f"{what} takes an outfit of {least} item(s) or more, got {len(outfit)}.")
    if len(set(outfit)) < len(outfit):
        raise DataError(f"The same item is repeated in the outfit {outfit}.")
    return outfit


def _ranked(table: pd.DataFrame, column: str, top_k: int | None = None) -> pd.DataFrame:
    """The table with the highest values first, equal ones as they stand, and a column `rank`."""
    if top_k is not None and top_k < 1:
        raise DataError(f"top_k is a whole number, 1 or more; got {top_k!r}.")
    table = table.sort_values(column, ascending=False, kind="stable", ignore_index=True)
    table = table.head(top_k or len(table))
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table
