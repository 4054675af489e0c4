"""Ask a model of outfits: what breaks this one, what would be better, what goes with this item?

Everything works with a `fashionnb.outfits.scoring.Scorer`, or with any function that takes outfits (lists of ids) and
gives one score for each, higher for better. Every answer is a table, as in `fashionnb.search.recommend`. What may be
chosen is a mask over the catalogue, made with pandas: `table["season"] == "Winter"`.
"""

from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np
import pandas as pd

from fashionnb.data.catalogue import Catalogue
from fashionnb.errors import DataError
from fashionnb.search import ranking

Scores = Callable[[Sequence[Sequence[str]]], np.ndarray]


def what_breaks(scorer: Scores, outfit: Sequence[str]) -> pd.DataFrame:
    """Which item fits least: leave each out, and see what the others score. Introduced in chapter 08.

    Returns
    -------
    One row for each item, the one that breaks the outfit most first: `rank`, `id`, `without` (the score of the others),
        `gain` (that less the score of all) and, if the scorer has gradients, `contribution`
        (`fashionnb.outfits.scoring.Scorer.contributions`; the lowest fits least).

    Raises
    ------
    DataError : fewer than 3 items, the same one twice, or one that the scorer does not know.
    """
    outfit = _checked(outfit, 3, "Leaving one out")
    scores = scorer([outfit, *([*outfit[:i], *outfit[i + 1 :]] for i in range(len(outfit)))])
    table = pd.DataFrame({"id": outfit, "without": scores[1:], "gain": scores[1:] - scores[0]})
    if hasattr(scorer, "contributions"):
        table["contribution"] = scorer.contributions(outfit)
    return _ranked(table, "gain")


def pair_scores(scorer: Scores, outfit: Sequence[str]) -> pd.DataFrame:
    """How well each two of its items go together by themselves, for a heat map. Introduced in chapter 08.

    Returns
    -------
    A square table with the ids as index and columns, NaN on the diagonal; what the scorer says of each two.

    Raises
    ------
    DataError : fewer than 2 items, the same one twice, or one that the scorer does not know.
    """
    outfit = _checked(outfit, 2, "A pair")
    first, second = np.triu_indices(len(outfit), 1)
    values = np.full((len(outfit), len(outfit)), np.nan)
    values[first, second] = scorer(
        [[outfit[i], outfit[j]] for i, j in zip(first, second, strict=True)]
    )
    values[second, first] = values[first, second]
    return pd.DataFrame(values, index=outfit, columns=outfit)


def swaps(
    scorer: Scores,
    outfit: Sequence[str],
    catalogue: Catalogue,
    top_k: int = 5,
    *,
    item: str | None = None,
    by: str = "category",
    allowed: Sequence[bool] | None = None,
) -> pd.DataFrame:
    """Swap this for that: single exchanges that make an outfit better. Introduced in chapter 08.

    Parameters
    ----------
    item : what is to be exchanged; None: whatever gains most. An item of which `by` is not known stays.
    by : the column in which the new item must be like the old one.
    allowed : (n,) bool, which items of the catalogue may come in; None: all.

    Returns
    -------
    At most `top_k` rows, the best first: `rank`, `id` (goes), `swap` (comes), `score` (of the new outfit) and `gain`
        (that less the score of the old one, above 0). Equal gains: the order of outfit and catalogue.

    Raises
    ------
    DataError : fewer than 2 items, the same one twice, or one that is not in the catalogue or not known to the scorer;
        an `item` that is not in the outfit or without a value in `by`; no such column; a mask of another length.
    """
    outfit = _checked(outfit, 2, "A swap")
    members, kinds = _members(catalogue, by, allowed)
    _in_catalogue(outfit, kinds, catalogue)
    if item is not None and (item not in outfit or not kinds[item]):
        raise DataError(
            f"{item!r} is not in the outfit {outfit}, or its {by} is not known; nothing can be swapped for it."
        )
    options = [
        (old, new)
        for old in (outfit if item is None else [item])
        if kinds[old]
        for new in members.get(kinds[old], ())
        if new not in outfit
    ]
    scores = scorer(
        [outfit, *([new if one == old else one for one in outfit] for old, new in options)]
    )
    table = pd.DataFrame(options, columns=["id", "swap"], dtype=object)
    table["score"], table["gain"] = scores[1:], scores[1:] - scores[0]
    return _ranked(table[table["gain"] > 0], "gain", top_k)


def complete(
    scorer: Scores,
    outfit: Sequence[str],
    catalogue: Catalogue,
    wanted: str | Sequence[str],
    top_k: int = 5,
    *,
    by: str = "category",
    allowed: Sequence[bool] | None = None,
) -> pd.DataFrame:
    """The items of a kind that go best with these. Introduced in chapter 10.

    Parameters
    ----------
    wanted : a value of the column `by`, or several: any of them. allowed : as in `swaps`.

    Returns
    -------
    At most `top_k` rows, the best first: `rank`, `id`, and `score` of the outfit with it.

    Raises
    ------
    DataError : no item, the same one twice, or an unknown one; no such column; nothing that is of the kind and allowed.
    """
    outfit = _checked(outfit, 1, "Completing")
    members, kinds = _members(catalogue, by, allowed)
    _in_catalogue(outfit, kinds, catalogue)
    found = [one for one in _of(members, wanted, by) if one not in outfit]
    scores = scorer([[*outfit, one] for one in found]) if found else []
    return _ranked(pd.DataFrame({"id": found, "score": scores}), "score", top_k)


def compose(
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
    """Make outfits around an item, one part after the other, by beam search. Introduced in chapter 10.

    After each part the `beam` best outfits so far are kept, so the best of all may be missed; a wider beam looks
    longer and misses less.

    Parameters
    ----------
    start : the id of the item that all have. parts : what is added, in this order: a value of `by`, or several.
    beam : how many outfits are kept on the way; `top_k` at least.
    allowed : (n,) bool, which items may be added (season, gender, stock); None: all.
    budget : a column of numbers, and the most that the items, the first included, may cost together. An item whose
        price is not known is not added.
    fits : takes the ids of an outfit, whole or in the making; False throws it away (a third colour, say).
    diversity : 0 to 1, how much the outfits of the answer should differ in their items
        (`fashionnb.search.ranking.diverse`, on scores scaled to 0 to 1).

    Returns
    -------
    At most `top_k` rows: `rank`, `items` (a tuple of ids, in the order of start and parts), `score` and, with a budget,
        `cost`. None if nothing fulfils the conditions.

    Raises
    ------
    DataError : an unknown start; no parts, or a value of `by` that nothing allowed has; no such column; a mask of
        another length; a budget of a column without numbers or less than the start costs; a diversity outside [0, 1].
    """
    if not parts or not 0 <= diversity <= 1 or not 1 <= top_k <= beam:
        raise DataError(
            f"Give one part or more, a diversity from 0 to 1, and 1 <= top_k <= beam; got {list(parts)}, {diversity=}, "
            f"{top_k=}, {beam=}."
        )
    members, kinds = _members(catalogue, by, allowed)
    _in_catalogue([start], kinds, catalogue)
    choices = [_of(members, part, by) for part in parts]
    cost = _costs(catalogue, budget)
    most = np.inf if budget is None else budget[1]
    if not cost[start] <= most:
        raise DataError(f"The budget is {most}, and {start!r} alone costs {cost[start]}.")
    kept, scores = [(start,)], np.zeros(1)
    for step, some in enumerate(choices):
        rest = sum(min(cost[one] for one in later) for later in choices[step + 1 :])
        # Outfits of the same items are one, whatever the order they came in.
        grown = {
            frozenset((*outfit, one)): (*outfit, one)
            for outfit in kept
            for one in some
            if one not in outfit and sum(cost[each] for each in outfit) + cost[one] + rest <= most
        }
        if not grown:
            kept, scores = [], np.zeros(0)
            break
        outfits = [*grown.values()]
        value = np.asarray(scorer(outfits), float)
        order = np.argsort(-value, kind="stable").tolist()
        best = list(islice((row for row in order if fits is None or fits(outfits[row])), beam))
        kept, scores = [outfits[row] for row in best], value[best]
    order = _diverse(kept, scores, top_k, diversity)
    table = pd.DataFrame(
        {"items": pd.Series([kept[row] for row in order], dtype=object), "score": scores[order]}
    )
    if budget is not None:
        table["cost"] = [float(sum(cost[one] for one in items)) for items in table["items"]]
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def _diverse(
    outfits: list[tuple[str, ...]], scores: np.ndarray, k: int, diversity: float
) -> np.ndarray:
    """Rows of the outfits to show. Two are as alike as the share of their added items that is the same."""
    if not diversity or len(outfits) < 2:
        return np.arange(min(k, len(outfits)))
    column = {
        item: i
        for i, item in enumerate(dict.fromkeys(item for outfit in outfits for item in outfit[1:]))
    }
    has = np.zeros((len(outfits), len(column)), np.float32)
    for row, outfit in enumerate(outfits):
        has[row, [column[item] for item in outfit[1:]]] = 1 / np.sqrt(len(outfit) - 1)
    span = np.ptp(scores) or 1.0
    return ranking.diverse((scores - scores.min()) / span, has, k, diversity)


def _costs(catalogue: Catalogue, budget: tuple[str, float] | None) -> dict[str, float]:
    """What each item costs, infinity if that is not known; 0 without a budget."""
    ids = catalogue.table["id"]
    if budget is None:
        return dict.fromkeys(ids, 0.0)
    column = budget[0]
    if column not in catalogue.table or not pd.api.types.is_numeric_dtype(catalogue.table[column]):
        raise DataError(
            f"{catalogue.name} has no column {column!r} of numbers to hold against a budget."
        )
    return dict(zip(ids, catalogue.table[column].astype(float).fillna(np.inf), strict=True))


def _members(
    catalogue: Catalogue, by: str, allowed: Sequence[bool] | None
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The allowed items of each value of a column, and the value of every item."""
    table = catalogue.table
    if by not in table:
        raise DataError(f"{catalogue.name} has no column {by!r}; it has {', '.join(table)}.")
    mask = np.ones(len(table), bool) if allowed is None else np.asarray(allowed)
    if mask.shape != (len(table),) or mask.dtype != bool:
        raise DataError(
            f"`allowed` is one bool for each of {len(table)} items, got {mask.dtype} {mask.shape}."
        )
    members: dict[str, list[str]] = {}
    for item, kind in table.loc[mask, ["id", by]].itertuples(index=False):
        members.setdefault(kind, []).append(item)
    return members, dict(zip(table["id"], table[by], strict=True))


def _of(members: dict[str, list[str]], wanted: str | Sequence[str], by: str) -> list[str]:
    """The items of any of these kinds."""
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    found = [item for kind in wanted for item in members.get(kind, ())]
    if not found:
        there = ", ".join(sorted(map(str, members))[:12]) or "nothing"
        raise DataError(
            f"Nothing that is allowed has the {by} {' or '.join(map(repr, wanted))}. There is: {there}."
        )
    return found


def _in_catalogue(items: Sequence[str], kinds: dict[str, str], catalogue: Catalogue) -> None:
    if strange := [item for item in items if item not in kinds]:
        raise DataError(
            f"{catalogue.name} has no item {strange[0]!r}. Ids look like {', '.join([*kinds][:3])}."
        )


def _checked(outfit: Sequence[str], least: int, what: str) -> list[str]:
    outfit = list(outfit)
    if len(outfit) < least:
        raise DataError(f"{what} takes an outfit of {least} item(s) or more, got {len(outfit)}.")
    if len(set(outfit)) < len(outfit):
        raise DataError(f"The same item stands twice in the outfit {outfit}.")
    return outfit


def _ranked(table: pd.DataFrame, column: str, top_k: int | None = None) -> pd.DataFrame:
    """The table with the highest values first, equal ones as they stand, and a column `rank` from 1."""
    if top_k is not None and top_k < 1:
        raise DataError(f"top_k is a whole number, 1 or more; got {top_k!r}.")
    table = table.sort_values(column, ascending=False, kind="stable", ignore_index=True).head(
        top_k or len(table)
    )
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table
