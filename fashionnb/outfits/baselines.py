"""Ways to answer questions about outfits without looking at what goes together. Measure them before believing a model.

The answer that is most used, that hangs before the same wall, that is of the same year, that has the same colour: each
scorer here knows one such thing and nothing else. On MANGO outfits with naive questions, popularity alone is right in
about half (chapter 08). The questions come from `fashionnb.outfits.questions`.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from fashionnb.data.catalogue import Blank, Catalogue, Outfits
from fashionnb.errors import DataError


def by_popularity(blanks: Sequence[Blank], outfits: Outfits, split: str = "train") -> np.ndarray:
    """Score each answer by the number of outfits of a split that have it. Introduced in chapter 08.

    Returns
    -------
    (questions, answers) float64, higher is better.

    Raises
    ------
    DataError : the split has no outfit, or the questions differ in their number of answers.
    """
    if split not in outfits.split.values():
        raise DataError(f"There is no outfit in the split {split!r} to count items in.")
    uses = Counter(
        item
        for outfit, items in outfits.sets.items()
        if outfits.split[outfit] == split
        for item in items
    )
    return _scores([[uses[answer] for answer in blank.answers] for blank in blanks])


def by_label(blanks: Sequence[Blank], catalogue: Catalogue, labels: Sequence) -> np.ndarray:
    """Score each answer by the share of the shown items that have its label. Introduced in chapter 08.

    Parameters
    ----------
    labels : (n,) one for each item of the catalogue: its colour, its year.

    Returns
    -------
    (questions, answers) float64, from 0 to 1.

    Raises
    ------
    DataError : not one label for each item, an unknown item, or the questions differ in their number of answers.
    """
    labels, row = _one_each(labels, catalogue)
    return _scores(
        [
            [np.mean(labels[row(blank.asked)] == label) for label in labels[row(blank.answers)]]
            for blank in blanks
        ]
    )


def by_nearness(blanks: Sequence[Blank], catalogue: Catalogue, features: np.ndarray) -> np.ndarray:
    """Score each answer by minus its mean distance to the shown items. Introduced in chapter 08.

    Parameters
    ----------
    features : (n, d) float, a row for each item: the colour of its wall, its colour histogram, an embedding.

    Returns
    -------
    (questions, answers) float64, at most 0.

    Raises
    ------
    DataError : as `by_label`.
    """
    features, row = _one_each(features, catalogue)
    features = features.reshape(len(features), -1).astype(float)
    scores = []
    for blank in blanks:
        apart = features[row(blank.answers)][:, None] - features[row(blank.asked)]
        scores.append(-np.linalg.norm(apart, axis=2).mean(1))
    return _scores(scores)


def aspects(catalogue: Catalogue) -> np.ndarray:
    """Width over height of each picture, as it is on disk: (n, 1) float64. Introduced in chapter 08.

    It decodes every picture, which takes a second for some thousand.
    """
    sizes = [catalogue.images.image(key).size for key in catalogue.table["image"]]
    return np.array([[width / height] for width, height in sizes]).reshape(-1, 1)


def _one_each(values: Sequence, catalogue: Catalogue):
    """The values as an array, and a function from item ids to rows."""
    values = np.asarray(values)
    if len(values) != len(catalogue):
        raise DataError(
            f"Expected one value for each of {len(catalogue)} items of the catalogue, got {len(values)}."
        )
    rows = {item: i for i, item in enumerate(catalogue.table["id"])}

    def row(items: Sequence[str]) -> list[int]:
        if strange := [item for item in items if item not in rows]:
            raise DataError(
                f"The question names {strange[0]!r}, which {catalogue.name} does not have."
            )
        return [rows[item] for item in items]

    return values, row


def _scores(rows: Sequence[Sequence[float]]) -> np.ndarray:
    if len({len(row) for row in rows}) != 1:
        raise DataError("There must be questions, and all with the same number of answers.")
    return np.array(rows, dtype=float)
