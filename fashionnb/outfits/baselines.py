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
    return _mean_over_shown(blanks, catalogue, np.asarray(labels), np.equal)


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

    def nearness(answers: np.ndarray, shown: np.ndarray) -> np.ndarray:
        return -np.linalg.norm(answers - shown, axis=2)

    features = np.asarray(features, float).reshape(len(features), -1)
    return _mean_over_shown(blanks, catalogue, features, nearness)


def _mean_over_shown(
    blanks: Sequence[Blank], catalogue: Catalogue, values: np.ndarray, compare: Callable
) -> np.ndarray:
    """The comparison of each answer's value with those of the shown items, averaged over them."""
    if len(values) != len(catalogue):
        raise DataError(
            f"Expected one value for each of the {len(catalogue)} items of the catalogue, "
            f"got {len(values)}."
        )
    row = {item: number for number, item in enumerate(catalogue.table["id"])}
    scores = []
    for blank in blanks:
        unknown = [item for item in (*blank.asked, *blank.answers) if item not in row]
        if unknown:
            raise DataError(f"A question shows {unknown[0]!r}, which is not in {catalogue.name}.")
        answers, shown = ([row[item] for item in some] for some in (blank.answers, blank.asked))
        scores.append(compare(values[answers][:, None], values[shown]).mean(1))
    return _scores(scores)


def _scores(rows: Sequence[Sequence[float]]) -> np.ndarray:
    if len({len(row) for row in rows}) != 1:
        raise DataError("Expected one question or more, all with the same number of answers.")
    return np.array(rows, dtype=float)
