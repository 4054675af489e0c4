"""Does a model know what goes with what? AUC over outfits and pairs, fill-in-the-blank, Recall@k, each item by item.

Everything takes scores, higher for what goes together better; how they were made is the model's business. Ties are
counted as a fair coin would decide them, so a model that says the same of everything gets exactly one half, or one in
n. There is one value for each question, so that `fashionnb.evaluation.intervals` can say how sure their mean is.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import rankdata

from fashionnb.errors import DataError
from fashionnb.evaluation.intervals import Interval, bootstrap, bootstrap_statistic


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """How often what goes together scores above what does not; a tie counts as one half.

    Introduced in chapter 08. Hanley & McNeil 1982, "The Meaning and Use of the Area under a ROC Curve".

    Parameters
    ----------
    scores : (n,) float, higher for compatible. If a model gives distances, pass them with a minus.
    labels : (n,) 1 or True for compatible, 0 or False for not.

    Returns
    -------
    0 to 1; .5 for chance, and exactly .5 for scores that are all equal.

    Raises
    ------
    DataError : shapes disagree, NaN, a label that is neither 0 nor 1, or only one kind of label.
    """
    scores, labels = _scores(scores), _labels(labels, np.asarray(scores).shape)
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        raise DataError(
            f"AUC compares two kinds; here are {positives} compatible and {negatives} incompatible ones."
        )
    # Twice the ranks are whole numbers, so that equal scores give .5 to the last digit.
    twice = int((2 * rankdata(scores)[labels]).sum())
    return (twice - positives * (positives + 1)) / (2 * positives * negatives)


def pairwise_auc(pair_scores: np.ndarray, owner: np.ndarray, labels: np.ndarray) -> float:
    """AUC over pairs of items instead of outfits, since the mean over a large outfit's pairs says more than over one.

    Introduced in chapter 08. Report it beside `auc`: outfits of different sizes are not compared with each other there.

    Parameters
    ----------
    pair_scores : (m,) float. owner : (m,) int, the outfit of each pair, as `outfit_pairs` gives it.
    labels : (n,) of the outfits, 1 or 0; every pair of an outfit has its outfit's label.

    Raises
    ------
    DataError : as `auc`.
    """
    return auc(pair_scores, np.asarray(labels)[owner])


def fitb(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Fill in the blank: is the right answer's score the highest? One value a question; their mean is the accuracy.

    Introduced in chapter 08. Han et al. 2017, "Learning Fashion Compatibility with Bidirectional LSTMs", section 4.3.

    Parameters
    ----------
    scores : (q, answers) float, higher is better. truth : (q,) int, which answer is right.

    Returns
    -------
    (q,) float64: 1 if it is the highest alone, 1 / n if it is one of n that are equally high, else 0. So a constant
        scorer gets exactly 1 / answers, wherever the right answer stands.

    Raises
    ------
    DataError : shapes disagree, NaN, or a truth that is no answer.
    """
    return recall_at(scores, truth, 1)


def recall_at(scores: np.ndarray, truth: np.ndarray, k: int) -> np.ndarray:
    """Complementary retrieval: is the right item among the k highest? One value a question. Introduced in chapter 10.

    Parameters
    ----------
    scores : (q, g) float, higher is better; -inf for what is no candidate (of another category, say).
    truth : (q,) int, the column of the right item.
    k : 1 or more.

    Returns
    -------
    (q,) float64: 1, 0, or the chance to be among the k if ties are broken at random.

    Raises
    ------
    DataError : shapes disagree, NaN, a truth that is no candidate, or k below 1.
    """
    better, equal = _against_truth(scores, truth)
    if k < 1:
        raise DataError(f"recall@{k} means nothing: k must be 1 or more.")
    return np.clip((k - better) / equal, 0, 1)


def ranks(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The place of the right item among the candidates, 1 for the first; among equals, the middle one.

    Introduced in chapter 10. Parameters and errors as `recall_at`.

    Returns
    -------
    (q,) float64.
    """
    better, equal = _against_truth(scores, truth)
    return better + (equal + 1) / 2


def outfit_pairs(outfits: Sequence[Sequence[Hashable]]) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of items within each outfit, to be scored in one go. Introduced in chapter 08.

    Parameters
    ----------
    outfits : n sets of items, rows of a catalogue for instance; each has two items or more.

    Returns
    -------
    pairs, owner : (m, 2) of the items' type, and (m,) int64: the outfit that each pair belongs to.

    Raises
    ------
    DataError : an outfit has one item only, or none.
    """
    for number, items in enumerate(outfits):
        if len(items) < 2:
            raise DataError(
                f"Outfit {number} has {len(items)} item(s); nothing goes with it. Two or more are needed."
            )
    pairs = [pair for items in outfits for pair in combinations(items, 2)]
    sizes = np.array([len(items) for items in outfits], dtype=np.int64)
    return np.array(pairs).reshape(-1, 2), np.repeat(
        np.arange(len(outfits)), sizes * (sizes - 1) // 2
    )


def question_pairs(
    asked: Sequence[Sequence[Hashable]], answers: Sequence[Sequence[Hashable]]
) -> tuple[np.ndarray, np.ndarray]:
    """Each answer with each item of its question, to be scored in one go. Introduced in chapter 08.

    The pairs within the question are left out: they are the same for all its answers.

    Parameters
    ----------
    asked : q questions, each of one item or more. answers : q lists of answers, all of one length a.

    Returns
    -------
    pairs, owner : (m, 2), the asked item first; and (m,) int64, counting answers row by row. What `fitb` takes is
        `mean_by(scores, owner, q * a).reshape(q, a)`.

    Raises
    ------
    DataError : a question has no item, or the questions differ in their number of answers.
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
    """The mean of the values of each owner: an outfit's score is the mean over its pairs. Introduced in chapter 08.

    Within one question mean and sum rank the answers alike; between outfits only the mean is fair to small ones.

    Parameters
    ----------
    values : (m,) float. owner : (m,) int from 0 to n - 1.

    Returns
    -------
    (n,) float64.

    Raises
    ------
    DataError : shapes disagree, NaN, or an owner without a value.
    """
    values, owner = _scores(values), np.asarray(owner)
    if values.shape != owner.shape:
        raise DataError(f"Expected one owner for each of {len(values)} values, got {owner.shape}.")
    count = np.bincount(owner, minlength=n)
    if len(count) > n or not count.all():
        raise DataError(
            f"Every one of {n} owners needs a value; number {int(count[:n].argmin())} has none."
        )
    # Equal values give exactly themselves: the sum of what differs from the first is then exactly 0.
    first = np.empty(n)
    first[owner[::-1]] = values[::-1]
    return first + np.bincount(owner, values - first[owner], minlength=n) / count


def over_groups(
    statistic: Callable[[np.ndarray], float],
    groups: Sequence[Hashable],
    *,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    of: str = "outfits",
) -> Interval:
    """An interval by drawing whole groups: all questions of an outfit, or all pairs of it, come and go together.

    Introduced in chapter 08. Questions about one outfit are not independent; drawing them one by one gives an interval
    that is too narrow.

    Parameters
    ----------
    statistic : takes rows, (m,) int64 with repeats, and gives the number for them: `lambda rows: values[rows].mean()`.
    groups : (m,) which group each row belongs to.
    n_resamples, level, seed, of : as `fashionnb.evaluation.intervals.bootstrap`.

    Raises
    ------
    DataError : as `fashionnb.evaluation.intervals.bootstrap_statistic`.
    """
    _, number = np.unique(np.asarray(groups), return_inverse=True)
    order = np.argsort(number, kind="stable")
    rows = np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
    return bootstrap_statistic(
        lambda drawn: statistic(np.concatenate([rows[group] for group in drawn])),
        len(rows) if len(number) else 0,
        n_resamples=n_resamples,
        level=level,
        seed=seed,
        of=of,
    )


@dataclass(frozen=True)
class Part:
    """The mean over one part of the questions, such as those that ask for shoes. Introduced in chapter 08.

    name : of the part. n : how many questions. mean : of their values. interval : of the mean, over questions.
    """

    name: str
    n: int
    mean: float
    interval: Interval


def by_part(values: np.ndarray, parts: Sequence[str], *, seed: int = 0) -> list[Part]:
    """Break a mean down: one row for each part (role, category), the largest part first. Introduced in chapter 08.

    Parameters
    ----------
    values : (q,) float, as `fitb` gives them. parts : (q,) the part of each question.

    Raises
    ------
    DataError : shapes disagree, or NaN.
    """
    values, parts = _scores(values), np.asarray(parts)
    if parts.shape != values.shape:
        raise DataError(f"Expected one part for each of {len(values)} values, got {parts.shape}.")
    names, counts = np.unique(parts, return_counts=True)
    rows = [
        (str(name), values[parts == name]) for name in names[np.argsort(-counts, kind="stable")]
    ]
    return [
        Part(name, len(some), float(some.mean()), bootstrap(some, seed=seed, of="questions"))
        for name, some in rows
    ]


def _against_truth(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many score better than the right one, and how many the same, itself included: two (q,) ints."""
    scores, truth = np.asarray(scores, dtype=float), np.asarray(truth)
    if (
        scores.ndim != 2
        or not scores.size
        or truth.shape != scores.shape[:1]
        or truth.dtype.kind not in "iu"
    ):
        raise DataError(
            f"Expected scores (questions, answers) and the right answer of each (questions,) as integers; "
            f"got {scores.shape} and {truth.dtype} {truth.shape}."
        )
    if np.isnan(scores).any():
        raise DataError(
            f"Question {int(np.isnan(scores).any(1).argmax())} has a score that is NaN."
        )
    if not ((truth >= 0) & (truth < scores.shape[1])).all():
        raise DataError(
            f"The right answer is a number from 0 to {scores.shape[1] - 1}; got {truth.min()} to {truth.max()}."
        )
    right = scores[np.arange(len(scores)), truth][:, None]
    if np.isneginf(right).any():
        raise DataError(
            f"The right answer of question {int(np.isneginf(right).argmax())} is no candidate: it has -inf."
        )
    return (scores > right).sum(1), (scores == right).sum(1)


def _scores(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, dtype=float)
    if scores.ndim != 1 or not len(scores):
        raise DataError(
            f"Expected one score each, (n,) with n at least 1; got the shape {scores.shape}."
        )
    if np.isnan(scores).any():
        raise DataError(f"Score {int(np.isnan(scores).argmax())} is NaN.")
    return scores


def _labels(labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != shape:
        raise DataError(f"Expected one label for each of {shape} scores, got {labels.shape}.")
    if not np.isin(labels, (0, 1)).all():
        raise DataError(f"Labels are 1 (compatible) or 0; got {sorted(set(labels.tolist()))[:4]}.")
    return labels.astype(bool)
