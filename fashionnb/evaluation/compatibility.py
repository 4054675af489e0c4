"""Metrics of outfit models: AUC, fill-in-the-blank, Recall@k and ranks, one value per question.

All take scores, higher for items that go together better. Ties are counted by their expectation
under random order, so a model that gives everything the same score gets exactly one half, or one
in n. There is one value for each question, for `fashionnb.evaluation.intervals`.
"""

from collections.abc import Hashable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from fashionnb.arrays import check_array, check_finite
from fashionnb.errors import DataError
from fashionnb.evaluation.intervals import bootstrap


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Compute the AUC of compatibility scores: the share of pairs in the right order.

    A pair is one compatible and one incompatible outfit; a tie counts as one half.

    Parameters
    ----------
    scores : array of shape (n,), float
        Higher for compatible. Give distances with a minus.
    labels : array of shape (n,)
        1 or True for compatible, 0 or False for not.

    Returns
    -------
    float
        0 to 1; .5 for chance, and exactly .5 for scores that are all equal.

    Raises
    ------
    DataError
        If shapes disagree, there is NaN, a label is neither 0 nor 1, or there is only one kind.

    References
    ----------
    Hanley & McNeil (1982), The Meaning and Use of the Area under a ROC Curve.
    """
    scores = _scores(scores)
    labels = np.asarray(labels)
    check_array(labels, scores.shape, "labels", "Give one label for each score.", kind="any")
    if not np.isin(labels, (0, 1)).all():
        raise DataError(f"Labels are 1 (compatible) or 0; got {sorted(set(labels.tolist()))[:4]}.")
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        raise DataError(
            f"AUC compares two kinds; got {positives} compatible and {negatives} incompatible ones."
        )
    # Twice the ranks are whole numbers, so that equal scores give .5 to the last digit.
    twice = int((2 * rankdata(scores)[labels.astype(bool)]).sum())
    return (twice - positives * (positives + 1)) / (2 * positives * negatives)


def fitb(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Score fill-in-the-blank questions: whether the right answer has the highest score.

    There is one value for each question, and their mean is the accuracy.

    Parameters
    ----------
    scores : array of shape (q, answers), float
        Higher is better.
    truth : array of shape (q,), int
        Which answer is right.

    Returns
    -------
    ndarray of shape (q,), float64
        1 if the right answer is the highest alone, 1 / n if it is one of n that are equally high,
        else 0.

    Raises
    ------
    DataError
        If shapes disagree, there is NaN, or a truth is no answer.

    References
    ----------
    Han et al. (2017), Learning Fashion Compatibility with Bidirectional LSTMs, section 4.3.
    """
    return recall_at(scores, truth, 1)


def recall_at(scores: np.ndarray, truth: np.ndarray, k: int) -> np.ndarray:
    """Compute Recall@k of outfit questions: whether the right item is among the k best.

    Parameters
    ----------
    scores : array of shape (q, g), float
        Higher is better; -inf for what is no candidate (of another category, say).
    truth : array of shape (q,), int
        The column of the right item.
    k : int
        How many items count as found, 1 or more.

    Returns
    -------
    ndarray of shape (q,), float64
        1, 0, or the probability to be among the k if ties are broken at random.

    Raises
    ------
    DataError
        If shapes disagree, there is NaN, a truth is no candidate, or k is below 1.
    """
    better, equal = _better_and_equal(scores, truth)
    if k < 1:
        raise DataError(f"recall@{k} means nothing: k must be 1 or more.")
    return np.clip((k - better) / equal, 0, 1)


def ranks(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Compute the rank of the item that completes the outfit among the candidates of a question.

    Parameters
    ----------
    scores : array of shape (q, g), float
        Of each candidate, as in `recall_at`.
    truth : array of shape (q,), int
        The column of the right item.

    Returns
    -------
    ndarray of shape (q,), float64
        1 for the first; among equals, the middle.

    Raises
    ------
    DataError
        As `recall_at`.
    """
    better, equal = _better_and_equal(scores, truth)
    return better + (equal + 1) / 2


def outfit_pairs(outfits: Sequence[Sequence[Hashable]]) -> tuple[np.ndarray, np.ndarray]:
    """List all pairs of items within each outfit, so that one call scores their compatibility.

    Parameters
    ----------
    outfits : sequence of n sequences
        Items, rows of a catalogue for instance; each outfit has two or more.

    Returns
    -------
    pairs : ndarray of shape (m, 2)
        Of the items' type.
    owner : ndarray of shape (m,), int64
        The outfit of each pair.

    Raises
    ------
    DataError
        If an outfit has fewer than two items.
    """
    sizes = np.array([len(items) for items in outfits], dtype=np.int64)
    if (sizes < 2).any():
        short = int((sizes < 2).argmax())
        raise DataError(f"Outfit {short} has {sizes[short]} item(s): a pair needs two or more.")
    pairs = [pair for items in outfits for pair in combinations(items, 2)]
    owner = np.repeat(np.arange(len(outfits)), sizes * (sizes - 1) // 2)
    return np.array(pairs).reshape(-1, 2), owner


def question_pairs(
    asked: Sequence[Sequence[Hashable]], answers: Sequence[Sequence[Hashable]]
) -> tuple[np.ndarray, np.ndarray]:
    """List each answer of a fill-in-the-blank question with each item of its outfit, as pairs.

    They can be scored in one call. The pairs within the question are left out: they are the same
    for all its answers.

    Parameters
    ----------
    asked : sequence of q sequences
        The items of each question, one or more.
    answers : sequence of q sequences
        All of one length a.

    Returns
    -------
    pairs : ndarray of shape (m, 2)
        The asked item first.
    owner : ndarray of shape (m,), int64
        The answer, counted row by row: `mean_by(scores, owner, q * a).reshape(q, a)` is what
        `fitb` takes.

    Raises
    ------
    DataError
        If a question has no item, or the questions differ in their number of answers.
    """
    if len(asked) != len(answers) or len({len(choice) for choice in answers}) != 1:
        raise DataError("Questions need one list of answers each, all of the same length.")
    if empty := [number for number, items in enumerate(asked) if not len(items)]:
        raise DataError(f"Question {empty[0]} shows no item at all.")
    pairs = [
        (item, one)
        for items, choice in zip(asked, answers, strict=True)
        for one in choice
        for item in items
    ]
    sizes = np.repeat([len(items) for items in asked], len(answers[0]))
    return np.array(pairs), np.repeat(np.arange(len(sizes)), sizes)


def mean_by(values: np.ndarray, owner: np.ndarray, n: int) -> np.ndarray:
    """Average values by owner, such as the compatibility of the pairs of each outfit.

    Parameters
    ----------
    values : array of shape (m,), float
        For instance the scores of pairs.
    owner : array of shape (m,), int
        To which owner, such as an outfit, each belongs: 0 to n - 1.
    n : int
        How many owners there are.

    Returns
    -------
    ndarray of shape (n,), float64
        The mean of each owner.

    Raises
    ------
    DataError
        If shapes disagree, there is NaN, or an owner has no value.
    """
    values, owner = _scores(values), np.asarray(owner)
    check_array(owner, values.shape, "owner", "Give one owner for each value.", kind="integer")
    count = np.bincount(owner, minlength=n)
    if len(count) > n or not count.all():
        raise DataError(
            f"Every one of {n} owners needs a value; number {int(count[:n].argmin())} has none."
        )
    # Equal values give exactly themselves: the sum of the differences from the first is exactly 0.
    first = np.empty(n)
    first[owner[::-1]] = values[::-1]
    return first + np.bincount(owner, values - first[owner], minlength=n) / count


def by_part(values: np.ndarray, parts: Sequence[str], *, seed: int = 0) -> pd.DataFrame:
    """Average the scores of outfit questions by part, such as role or category, largest first.

    Parameters
    ----------
    values : array of shape (q,), float
        As `fitb` returns them.
    parts : sequence of length q
        The part of each question.
    seed : int
        Of the intervals.

    Returns
    -------
    DataFrame
        One row for each part: `part`, its name; `questions`, how many; `mean`, of their values;
        `low` and `high`, the ends of its interval over questions.

    Raises
    ------
    DataError
        If shapes disagree, or there is NaN.
    """
    values, parts = _scores(values), np.asarray(parts)
    check_array(parts, values.shape, "parts", "Give one part for each value.", kind="any")
    names, counts = np.unique(parts, return_counts=True)
    rows = []
    for name in names[np.argsort(-counts, kind="stable")]:
        some = values[parts == name]
        interval = bootstrap(some, seed=seed, of="questions")
        rows.append((name, len(some), some.mean(), interval.low, interval.high))
    return pd.DataFrame(rows, columns=["part", "questions", "mean", "low", "high"])


def _better_and_equal(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many answers score better than the right one, and how many the same, itself included."""
    scores, truth = np.asarray(scores, dtype=float), np.asarray(truth)
    check_array(scores, ("questions", "answers"), "scores", least=1)
    check_finite(scores, "scores", infinity=True)
    advice = "Give the number of the right answer of each question."
    q, answers = scores.shape
    check_array(truth, (q,), "truth", advice, kind="whole", below=answers)
    right = scores[np.arange(q), truth][:, None]
    if np.isneginf(right).any():
        raise DataError(
            f"The right answer of question {int(np.isneginf(right).argmax())} is no candidate: its "
            "score is -inf."
        )
    return (scores > right).sum(1), (scores == right).sum(1)


def _scores(scores: np.ndarray) -> np.ndarray:
    scores = check_array(np.asarray(scores, dtype=float), ("n",), "scores", least=1)
    check_finite(scores, "scores", infinity=True)
    return scores
