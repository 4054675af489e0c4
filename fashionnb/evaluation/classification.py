"""Metrics of a classifier: accuracy, precision, recall, F1, confusion and calibration.

Labels are integers that count in `classes`, as `fashionnb.data.catalogue.Catalogue.labels` returns
them. For intervals see `fashionnb.evaluation.intervals`; `fashionnb.evaluation.report` measures a
whole checkpoint.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fashionnb.arrays import as_numpy, check_array
from fashionnb.errors import DataError
from fashionnb.evaluation.neighbours import Array

ROUNDING = 1e-3  # by which float32 probabilities may miss a sum of 1


@dataclass(frozen=True, eq=False)
class Classification:
    """Accuracy, precision, recall and F1 of a classifier, for each class and on average.

    Parameters
    ----------
    overall : dict of str to float
        "accuracy", "macro_precision", "macro_recall" and "macro_f1", each from 0 to 1.
    per_class : dict of str to ndarray of shape (c,)
        "precision", "recall" and "f1", float64, and "support", int64: the number of true items.
    """

    overall: dict[str, float]
    per_class: dict[str, np.ndarray]


def confusion(true: Array, predicted: Array, classes: Sequence) -> np.ndarray:
    """Compute a classifier's confusion matrix: how often each class was predicted as each class.

    Parameters
    ----------
    true : array of shape (n,), int
        The true class of each item, 0 to c - 1; n is at least 1.
    predicted : array of shape (n,), int
        The class that was predicted, 0 to c - 1.
    classes : sequence of length c
        The names, in the order that the labels count in (`range(c)` where there are none).

    Returns
    -------
    ndarray of shape (c, c), int64
        The row is the true class, the column the predicted one.

    Raises
    ------
    DataError
        If there are no items, the shapes disagree, or a label is no integer or beyond `classes`.
    """
    from sklearn.metrics import confusion_matrix

    true, predicted = _both(true, predicted, classes)
    return confusion_matrix(true, predicted, labels=range(len(classes)))


def classification(true: Array, predicted: Array, classes: Sequence) -> Classification:
    """Compute the accuracy of a classifier, and precision, recall and F1 of each of its classes.

    The precision of a class is the share of its predictions that are right, its recall the share
    of its items that are found; F1 is their harmonic mean. A macro average counts each class once,
    however few items it has; accuracy counts each item once.

    - A class that was never predicted: precision, recall and F1 are 0.
    - A class without true items: recall is NaN; precision and F1 are 0 if it was predicted, else
      NaN. It enters no macro average.

    Parameters
    ----------
    true : array of shape (n,), int
        The true class of each item, as in `confusion`.
    predicted : array of shape (n,), int
        The class that was predicted.
    classes : sequence of length c
        The names of the classes.

    Returns
    -------
    Classification
        The scores of each class, and their averages.

    Raises
    ------
    DataError
        As `confusion`.

    References
    ----------
    van Rijsbergen (1979), Information Retrieval, chapter 7: F1.
    """
    from sklearn.metrics import precision_recall_fscore_support

    true, predicted = _both(true, predicted, classes)
    precision, recall, f1, support = precision_recall_fscore_support(
        true, predicted, labels=range(len(classes)), zero_division=np.nan
    )
    present = support > 0
    precision[present] = np.nan_to_num(precision[present])
    scores = {"precision": precision, "recall": recall, "f1": f1}
    overall = {"accuracy": float((true == predicted).mean())}
    overall |= {f"macro_{name}": float(values[present].mean()) for name, values in scores.items()}
    return Classification(overall, {**scores, "support": support})


def reliability(probabilities: Array, true: Array, bins: int = 15) -> pd.DataFrame:
    """Compare the confidence of a classifier with its accuracy, bin by bin.

    The confidence is the highest probability of an item. Items are put into bins of equal width,
    (0, 1/bins], …, (1 - 1/bins, 1].

    Parameters
    ----------
    probabilities : array of shape (n, c), float
        Each row adds up to 1 (a softmax of the logits).
    true : array of shape (n,), int
        The true class of each item, 0 to c - 1.
    bins : int
        How many bins there are, 1 or more.

    Returns
    -------
    DataFrame
        One row for each bin that holds items: `above` and `upto`, its edges; `items`, how many;
        `confidence` and `accuracy`, their means; `low` and `high`, between which the accuracy of
        so few items lies with a probability of 95 % if the classifier is calibrated (binomial).

    Raises
    ------
    DataError
        If shapes disagree, there is NaN, fewer than one bin, or rows are no probabilities.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger (2017), On Calibration of Modern Neural Networks.
    Bröcker & Smith (2007), Increasing the Reliability of Reliability Diagrams: `low` and `high`.
    """
    from scipy.stats import binom

    p = _probabilities(probabilities)
    true = _labels(true, "true", range(p.shape[1]), len(p))
    if bins < 1:
        raise DataError(f"{bins} bins hold nothing: ask for 1 or more.")
    confidence = np.minimum(p.max(1), 1.0)
    edges = np.linspace(0, 1, bins + 1)
    in_bins = pd.DataFrame(
        {
            "bin": np.searchsorted(edges, confidence) - 1,  # an edge belongs to the bin below it
            "confidence": confidence,
            "right": p.argmax(1) == true,
        }
    ).groupby("bin")
    items = in_bins.size()
    confidence = in_bins["confidence"].mean().clip(upper=1.0)
    low, high = binom.interval(0.95, items, confidence)
    table = {
        "above": edges[items.index],
        "upto": edges[items.index + 1],
        "items": items,
        "confidence": confidence,
        "accuracy": in_bins["right"].mean(),
        "low": low / items,
        "high": high / items,
    }
    return pd.DataFrame(table).reset_index(drop=True)


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Compute the expected calibration error of a classifier: mean gap of confidence and accuracy.

    Σ (items of the bin / n) · ``|accuracy - confidence|``. With few items in a bin chance alone
    makes gaps, and they do not cancel: even a calibrated classifier then scores above 0.

    Parameters
    ----------
    table : DataFrame
        As `reliability` returns it.

    Returns
    -------
    float
        0 (calibrated) to 1.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger (2017), On Calibration of Modern Neural Networks, eq. 3.
    """
    gaps = (table["accuracy"] - table["confidence"]).abs()
    return float((table["items"] * gaps).sum() / table["items"].sum())


def _both(true: Array, predicted: Array, classes: Sequence) -> tuple[np.ndarray, np.ndarray]:
    true = _labels(true, "true", classes, "n")
    return true, _labels(predicted, "predicted", classes, len(true))


def _labels(labels: Array, name: str, classes: Sequence, n: int | str) -> np.ndarray:
    advice = "Give one label for each item; `Catalogue.labels()` makes them of names."
    return check_array(
        as_numpy(labels), (n,), name, advice, kind="whole", least=1, below=len(classes)
    )


def _probabilities(values: Array) -> np.ndarray:
    p = as_numpy(values).astype(np.float64)
    check_array(p, ("n", "c"), "probabilities", least=1, finite=True)
    off = np.abs(p.sum(1) - 1)
    if p.min() < -ROUNDING or off.max() > ROUNDING:
        raise DataError(
            f"Probabilities are 0 or more and each row adds up to 1; these begin at {p.min():.3g} "
            f"and one row adds up to {p.sum(1)[off.argmax()]:.3g}. Are they logits? Take their "
            "softmax."
        )
    return p
