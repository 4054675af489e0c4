"""Does a classifier say the right class, and does it know when it does not? Accuracy, F1, the first k, calibration.

Labels are whole numbers that count in `classes`, as `fashionnb.data.catalogue.Catalogue.labels` gives them. For
intervals hand these functions to `fashionnb.evaluation.intervals`; `fashionnb.evaluation.report` does so for a whole
model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import Tensor

from fashionnb.errors import DataError
from fashionnb.evaluation.distances import one_per_row

Array = np.ndarray | Tensor

ROUNDING = 1e-3  # by which float32 probabilities may miss a sum of 1


@dataclass(frozen=True, eq=False)
class Classification:
    """What `classification` found. Introduced in chapter 05.

    overall : "accuracy", "macro_precision", "macro_recall", "macro_f1", each a number from 0 to 1.
    per_class : "precision", "recall", "f1", each (c,) float64, and "support" (c,) int64, the number of true items.
    matrix : (c, c) int64, as `confusion` counts.
    """

    overall: dict[str, float]
    per_class: dict[str, np.ndarray]
    matrix: np.ndarray


def confusion(true: Array, said: Array, classes: Sequence) -> np.ndarray:
    """Count how often each class was taken for each. Introduced in chapter 05.

    Parameters
    ----------
    true, said : (n,) int, 0 to c - 1; n at least 1.
    classes : the c names, in the order that the labels count in (`range(c)` where there are none).

    Returns
    -------
    matrix : (c, c) int64; the row is the true class, the column the one that was said.

    Raises
    ------
    DataError : nothing there, shapes disagree, or a label that is no whole number or counts beyond `classes`.
    """
    true, said = _labels(true, "true", classes), _labels(said, "said", classes)
    if len(true) != len(said):
        raise DataError(
            f"There are {len(true)} true labels, but {len(said)} were said: give one of each per item."
        )
    c = len(classes)
    return np.bincount(true * c + said, minlength=c * c).reshape(c, c)


def classification(true: Array, said: Array, classes: Sequence) -> Classification:
    """Score what a classifier said: accuracy, and precision, recall and F1 of each class and on average.

    Introduced in chapter 05. Of a class, precision is the share of right ones among what was called by its name, recall
    the share of its items that were; F1 (van Rijsbergen 1979, "Information Retrieval") is their harmonic mean. A macro
    average counts each class once, however few items it has, where accuracy counts each item once.

    - A class that was never said: precision 0, though nothing was wrongly called by its name. So recall and F1 are 0.
    - A class without true items: recall NaN, since there was nothing to find; precision and F1 are 0 if it was said,
      else NaN. It enters no macro average: what the data do not have, they cannot test.

    scikit-learn says the same with `labels=np.unique(true)` and `zero_division=0`.

    Parameters
    ----------
    true, said, classes : as in `confusion`.

    Raises
    ------
    DataError : as `confusion`.
    """
    matrix = confusion(true, said, classes)
    right, support, spoken = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    there = support > 0
    precision = _share(right, spoken)
    precision[there & (spoken == 0)] = 0.0
    scores = {
        "precision": precision,
        "recall": _share(right, support),
        "f1": _share(2 * right, support + spoken),
    }
    overall = {"accuracy": float(right.sum() / support.sum())}
    overall |= {f"macro_{name}": float(values[there].mean()) for name, values in scores.items()}
    return Classification(overall, {**scores, "support": support}, matrix)


def top_k_hits(scores: Array, true: Array, k: int) -> np.ndarray:
    """Find whether the true class is among the k with the highest scores, item by item. Introduced in chapter 05.

    Equal scores are taken in random order, and the expectation over those orders is given. So a model that gives all c
    classes the same score hits with k / c, not always and not never. The mean over the items is the top-k accuracy.

    Parameters
    ----------
    scores : (n, c) float: logits, or probabilities.
    true : (n,) int, 0 to c - 1.
    k : 1 or more; from c on every item is a hit.

    Returns
    -------
    hits : (n,) float64, 0 to 1; between them only where the true class is tied with others.

    Raises
    ------
    DataError : shapes disagree, NaN or infinity, a label beyond the scores, or a k below 1.
    """
    scores, true = _scores_and_labels(scores, true)
    if k < 1:
        raise DataError(f"The first {k} classes mean nothing: k must be 1 or more.")
    mine = scores[np.arange(len(true)), true][:, None]
    above, tied = (
        (scores > mine).sum(1),
        (scores == mine).sum(1),
    )  # a class is tied with itself: tied is 1 or more
    return np.clip((k - above) / tied, 0.0, 1.0)


def reliability(probabilities: Array, true: Array, bins: int = 15) -> pd.DataFrame:
    """Compare how sure a classifier was with how often it was right. Introduced in chapter 05.

    Guo, Pleiss, Sun & Weinberger 2017, "On Calibration of Modern Neural Networks". The confidence is the highest
    probability of an item. Items are put into bins of equal width, (0, 1/bins], …, (1 - 1/bins, 1], as in that paper.

    Parameters
    ----------
    probabilities : (n, c) float, each row adds up to 1 (a softmax of the logits).
    true : (n,) int, 0 to c - 1.
    bins : how many; 15 in the paper.

    Returns
    -------
    table : one row for each bin that holds items: `above` and `upto`, its edges; `items`, how many; `confidence` and
        `accuracy`, their means; `low` and `high`, between which the accuracy of so few items would fall 19 times in 20
        if the classifier were calibrated (binomial; after Bröcker & Smith 2007, "Increasing the Reliability of
        Reliability Diagrams").

    Raises
    ------
    DataError : shapes disagree, NaN, fewer than one bin, or rows that are no probabilities.
    """
    from scipy.stats import binom

    p, true = _scores_and_labels(probabilities, true)
    if bins < 1:
        raise DataError(f"{bins} bins hold nothing: ask for 1 or more.")
    if p.min() < -ROUNDING or np.abs(p.sum(1) - 1).max() > ROUNDING:
        raise DataError(
            f"Probabilities are 0 or more and each row adds up to 1; these begin at {p.min():.3g} and one row adds up "
            f"to {p.sum(1)[np.abs(p.sum(1) - 1).argmax()]:.3g}. Are they logits? Take their softmax."
        )
    confidence = np.minimum(p.max(1), 1.0)
    edges = np.linspace(0, 1, bins + 1)
    found = pd.DataFrame(
        {
            "bin": np.searchsorted(edges, confidence) - 1,  # an edge belongs to the bin below it
            "confidence": confidence,
            "right": p.argmax(1) == true,
        }
    ).groupby("bin")
    items, sure = found.size(), found["confidence"].mean().clip(upper=1.0)
    low, high = binom.interval(0.95, items, sure)
    table = {
        "above": edges[items.index],
        "upto": edges[items.index + 1],
        "items": items,
        "confidence": sure,
        "accuracy": found["right"].mean(),
        "low": low / items,
        "high": high / items,
    }
    return pd.DataFrame(table).reset_index(drop=True)


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Average the gap between confidence and accuracy over the items of a `reliability` table.

    Introduced in chapter 05. Guo et al. 2017, eq. 3: Σ (items of the bin / n) · |accuracy - confidence|. 0 is
    calibrated; 0.1 means that what is said with a confidence of .9 is right 8 times in 10, or always. With few items in
    a bin chance alone makes gaps, and they do not cancel: even a calibrated classifier then scores above 0.

    Returns
    -------
    error : 0 to 1.
    """
    gaps = (table["accuracy"] - table["confidence"]).abs()
    return float((table["items"] * gaps).sum() / table["items"].sum())


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, NaN where there is no whole."""
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _labels(labels: Array, name: str, classes: Sequence) -> np.ndarray:
    labels = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels)
    if labels.ndim != 1 or not len(labels) or labels.dtype.kind not in "iu":
        raise DataError(
            f"{name}: expected whole numbers (n,) with n at least 1, got {labels.dtype} {labels.shape}. "
            "`Catalogue.labels()` makes them of names."
        )
    if not 0 <= labels.min() <= labels.max() < len(classes):
        raise DataError(
            f"{name}: labels count from 0 to {len(classes) - 1}, these go from {labels.min()} to {labels.max()}."
        )
    return labels.astype(np.int64)


def _scores_and_labels(scores: Array, true: Array) -> tuple[np.ndarray, np.ndarray]:
    scores = scores.detach().cpu().numpy() if isinstance(scores, Tensor) else scores
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or 0 in scores.shape:
        raise DataError(
            f"Expected scores (n, c) with n and c at least 1, got the shape {scores.shape}."
        )
    if not np.isfinite(scores).all():
        row = int(np.flatnonzero(~np.isfinite(scores).all(1))[0])
        raise DataError(
            f"The scores of item {row} hold NaN or infinity. Look at the model, or at the picture."
        )
    return scores, _labels(one_per_row(true, len(scores), "true"), "true", range(scores.shape[1]))
