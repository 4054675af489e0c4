"""Baselines for fill-in-the-blank questions that know nothing of what goes together.

Each function here scores the answers by one property alone: how often an item is used, its colour,
the colour of its background. Measure them before you believe a model: on MANGO outfits with naive
questions, popularity alone answers about half. Questions come from `fashionnb.outfits.questions`.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from fashionnb.data.catalogue import Blank, Catalogue, Outfits
from fashionnb.errors import DataError


def by_popularity(blanks: Sequence[Blank], outfits: Outfits) -> np.ndarray:
    """Score answers to fill-in-the-blank questions by popularity in training alone, a baseline.

    An answer's score is the number of training outfits that contain it.

    Parameters
    ----------
    blanks : sequence of Blank
        q questions with a answers each.
    outfits : Outfits
        Where uses are counted.

    Returns
    -------
    ndarray of shape (q, a), float64
        Higher is better.

    Raises
    ------
    DataError
        If there is no training outfit, or the questions differ in their number of answers.
    """
    if "train" not in outfits.split.values():
        raise DataError("There is no outfit in the split 'train' to count items in.")
    training = [items for outfit, items in outfits.sets.items() if outfits.split[outfit] == "train"]
    uses = Counter(item for items in training for item in items)
    return _scores([[uses[answer] for answer in blank.answers] for blank in blanks])


def by_label(blanks: Sequence[Blank], catalogue: Catalogue, labels: Sequence) -> np.ndarray:
    """Score answers to fill-in-the-blank questions by one label alone, a baseline.

    An answer's score is the share of the shown items that have its label.

    Parameters
    ----------
    blanks : sequence of Blank
        q questions with a answers each.
    catalogue : Catalogue
        n items.
    labels : array_like of shape (n,)
        One for each item of the catalogue, such as its colour or its year.

    Returns
    -------
    ndarray of shape (q, a), float64
        From 0 to 1.

    Raises
    ------
    DataError
        If there is not one label for each item, an item is unknown, or the questions differ in
        their number of answers.
    """
    labels, rows = _values_and_rows(labels, catalogue)
    scores = []
    for blank in blanks:
        shown = labels[rows(blank.asked)]
        scores.append([np.mean(shown == label) for label in labels[rows(blank.answers)]])
    return _scores(scores)


def by_distance(blanks: Sequence[Blank], catalogue: Catalogue, features: np.ndarray) -> np.ndarray:
    """Score answers to fill-in-the-blank questions by distance alone, a baseline.

    An answer's score is minus its mean distance to the shown items.

    Parameters
    ----------
    blanks : sequence of Blank
        q questions with a answers each.
    catalogue : Catalogue
        n items.
    features : ndarray of shape (n, d), float
        Of each item: the colour of its background, its colour histogram, an embedding.

    Returns
    -------
    ndarray of shape (q, a), float64
        At most 0.

    Raises
    ------
    DataError
        As `by_label`.
    """
    features, rows = _values_and_rows(features, catalogue)
    features = features.reshape(len(features), -1).astype(float)
    scores = []
    for blank in blanks:
        differences = features[rows(blank.answers)][:, None] - features[rows(blank.asked)]
        scores.append(-np.linalg.norm(differences, axis=2).mean(1))
    return _scores(scores)


def _values_and_rows(
    values: Sequence, catalogue: Catalogue
) -> tuple[np.ndarray, Callable[[Sequence[str]], list[int]]]:
    """The values as an array, and a function from item ids to rows."""
    values = np.asarray(values)
    if len(values) != len(catalogue):
        raise DataError(
            f"Expected one value for each of the {len(catalogue)} items of the catalogue, "
            f"got {len(values)}."
        )
    known = {item: row for row, item in enumerate(catalogue.table["id"])}

    def rows(items: Sequence[str]) -> list[int]:
        unknown = [item for item in items if item not in known]
        if unknown:
            raise DataError(f"A question shows {unknown[0]!r}, which is not in {catalogue.name}.")
        return [known[item] for item in items]

    return values, rows


def _scores(rows: Sequence[Sequence[float]]) -> np.ndarray:
    if len({len(row) for row in rows}) != 1:
        raise DataError("Expected one question or more, all with the same number of answers.")
    return np.array(rows, dtype=float)
