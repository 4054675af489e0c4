"""Which triplets of a batch to learn from.

A miner takes labels, and all but the first also the distances between the items of the batch, for example those of
`fashionnb.losses.pairwise_distances`. It returns three index tensors: anchors, positives, negatives. It knows nothing
of pictures or models, and no gradient flows through it. What to do with the triplets is the business of
`fashionnb.losses`.

Where it takes more than one label to say who is alike, a matrix (n, n) bool stands in for the labels (n,), here and in
the losses of `fashionnb.losses`; `alike` makes one.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fashionnb.errors import DataError

Triplets = tuple[Tensor, Tensor, Tensor]

# Random directions of a high dimension lie about √2 apart; with the authors' margins the loss is 0 from here on.
FAR = 1.4


def alike(
    attributes: Tensor, weights: Sequence[float] | None = None, threshold: float = 1.0
) -> Tensor:
    """Decide which items are alike: those whose equal attributes weigh enough. Introduced in chapter 07.

    A rule such as "the same type, and at least one of colour and season". Unlike equal labels it need not be
    transitive: a may be like b and b like c, and a not like c.

    Parameters
    ----------
    attributes : (n, a) int, 0 where unknown. Unknown is equal to nothing, not even to unknown.
    weights : (a,) 0 or more, what each attribute counts; None: all the same.
    threshold : the share of the whole weight that must be equal, above 0 and at most 1. At 1 all attributes must be
        equal that count at all.

    Returns
    -------
    alike : (n, n) bool, symmetric; each item is like itself.

    Raises
    ------
    DataError : not (n, a) int; not one weight for each attribute, one below 0, or none above 0; a threshold that is not
        above 0 and at most 1.
    """
    if attributes.dim() != 2 or attributes.is_floating_point():
        raise DataError(
            f"Attributes are integers of shape (n, a), got {attributes.dtype} {tuple(attributes.shape)}."
        )
    weights = (
        torch.ones(attributes.shape[1])
        if weights is None
        else torch.as_tensor(weights, dtype=torch.float32)
    )
    if (
        weights.shape != attributes.shape[1:]
        or not (weights >= 0).all()
        or not 0 < weights.sum() < torch.inf
    ):
        raise DataError(
            f"Give each of {attributes.shape[1]} attributes a weight of 0 or more; got {weights.tolist()}."
        )
    if not 0 < threshold <= 1:
        raise DataError(f"The threshold is a share above 0 and up to 1, got {threshold!r}.")
    equal = (attributes[:, None] == attributes[None, :]) & (attributes > 0)
    share = equal.float() @ (weights / weights.sum()).to(attributes.device)
    return (share > threshold - 1e-6).fill_diagonal_(True)  # sums of shares round


def random_triplets(labels: Tensor, generator: torch.Generator | None = None) -> Triplets:
    """For each item a random positive (never itself) and a random negative.

    Introduced in chapter 02. Schroff, Kalenichenko & Philbin 2015, "FaceNet", section 3.

    Parameters
    ----------
    labels : (n,) int.
    generator : the source of randomness, on the CPU; without one torch's own.

    Returns
    -------
    anchors, positives, negatives : (m,) int64 each, m <= n, on the device of `labels`. An item without a positive (a
        singleton class) or without a negative (a one-class batch) is no anchor.

    Raises
    ------
    DataError : `labels` is empty or not one-dimensional.
    """
    positive, negative = _alike_and_other(labels)
    anchors = _usable(positive, negative)
    return anchors, _one_of(positive[anchors], generator), _one_of(negative[anchors], generator)


def batch_hard(distances: Tensor, labels: Tensor) -> Triplets:
    """For each item its farthest positive and its nearest negative.

    Introduced in chapter 03. Hermans, Beyer & Leibe 2017, "In Defense of the Triplet Loss", eq. 5.

    Parameters
    ----------
    distances : (n, n) float, from each item to each; any unit, only the order matters.
    labels : (n,) int.

    Returns
    -------
    anchors, positives, negatives : (m,) int64 each, m <= n. An item without a positive (a singleton class) or without
        a negative (a one-class batch) is no anchor; ties go to the lower index.

    Raises
    ------
    DataError : the shapes disagree, the batch is empty, or a distance is NaN or infinite.
    """
    distances, positive, negative = _checked(distances, labels)
    farthest = distances.masked_fill(~positive, -torch.inf).argmax(1)
    nearest = distances.masked_fill(~negative, torch.inf).argmin(1)
    anchors = _usable(positive, negative)
    return anchors, farthest[anchors], nearest[anchors]


def semi_hard(distances: Tensor, labels: Tensor) -> Triplets:
    """For each pair of anchor and positive the nearest of the negatives that are farther than the positive.

    Introduced in chapter 03. Schroff, Kalenichenko & Philbin 2015, "FaceNet", eq. 4. Where no negative is farther, the
    farthest of all is taken, as is usual: left out, just the pairs that are most wrong would never be learned. There
    is no margin here, since a negative beyond it has a loss of 0 anyway.

    Parameters
    ----------
    distances : (n, n) float, from each item to each; any unit, only the order matters.
    labels : (n,) int.

    Returns
    -------
    anchors, positives, negatives : (m,) int64 each, one triplet for each ordered pair of one class, m < n². Items of a
        singleton class or of a one-class batch are no anchors; ties go to the lower index. Memory grows with n².

    Raises
    ------
    DataError : the shapes disagree, the batch is empty, or a distance is NaN or infinite.
    """
    distances, positive, negative = _checked(distances, labels)
    ascending, items = distances.masked_fill(~negative, torch.inf).sort(dim=1, stable=True)
    next_farther = torch.searchsorted(ascending, distances, right=True)
    farthest = torch.searchsorted(
        ascending, distances.masked_fill(~negative, -torch.inf).amax(1, keepdim=True)
    )
    chosen = items.gather(1, torch.minimum(next_farther, farthest))
    anchors, positives = (positive & negative.any(1, keepdim=True)).nonzero(as_tuple=True)
    return anchors, positives, chosen[anchors, positives]


def batch_all(distances: Tensor, labels: Tensor, margin: float = 0.2) -> Triplets:
    """List every triplet whose loss is above 0.

    Introduced in chapter 03. Hermans, Beyer & Leibe 2017, "In Defense of the Triplet Loss", eq. 6. Good for looking at
    small batches: with n items in c equal classes it takes some 10 n³/c bytes and 24 more for each triplet it lists,
    gigabytes for 1,024 items. To train on all triplets use `fashionnb.losses.batch_all_triplets`, which lists none.

    Parameters
    ----------
    distances : (n, n) float, from each item to each, in the unit of the margin.
    labels : (n,) int.
    margin : the loss of a triplet is max(0, d(a, p) - d(a, n) + margin).

    Returns
    -------
    anchors, positives, negatives : (m,) int64 each, in the order of the anchors, then of the positives and negatives.

    Raises
    ------
    DataError : the shapes disagree, the batch is empty, a distance is NaN or infinite, or the margin is no distance.
    """
    distances, positive, negative = _checked(distances, labels)
    if isinstance(margin, str) or not 0 <= margin < torch.inf:
        raise DataError(f"margin is {margin!r}, it must be a distance such as 0.2.")
    anchors, positives = positive.nonzero(as_tuple=True)
    gap = distances[anchors, positives][:, None] - distances[anchors]
    pair, negatives = (negative[anchors] & (gap + margin > 0)).nonzero(as_tuple=True)
    return anchors[pair], positives[pair], negatives


def distance_weighted(
    distances: Tensor,
    labels: Tensor,
    dimensions: int,
    generator: torch.Generator | None = None,
    cutoff: float = 0.5,
) -> Triplets:
    """For each item a random positive, and a random negative drawn so that every distance has the same chance.

    Introduced in chapter 03. Wu, Manmatha, Smola & Krähenbühl 2017, "Sampling Matters in Deep Embedding Learning",
    section 4. On the unit sphere of d dimensions a random item lies at distance D with a density proportional to
    D^(d-2) (1 - D²/4)^((d-3)/2); each negative is weighted with the inverse of that. Distances below `cutoff` weigh as
    much as `cutoff`, so that the few nearest, often mislabelled, do not take it all. Those above 1.4 weigh as little
    as 1.4 (the authors' program never draws these; here an anchor with only far negatives keeps one).

    Parameters
    ----------
    distances : (n, n) float, Euclidean, not squared, between vectors of length 1.
    labels : (n,) int.
    dimensions : d, of the embeddings, at least 2.
    generator : the source of randomness, on the CPU; without one torch's own.
    cutoff : a distance above 0 and below 1.4.

    Returns
    -------
    anchors, positives, negatives : (m,) int64 each, m <= n. An item without a positive (a singleton class) or without
        a negative (a one-class batch) is no anchor.

    Raises
    ------
    DataError : the shapes disagree, the batch is empty, a distance is NaN, negative or above 2, or `dimensions` or
        `cutoff` is out of its range.
    """
    distances, positive, negative = _checked(distances, labels)
    if distances.min() < 0 or distances.max() > 2.02:
        raise DataError(
            f"Between vectors of length 1 distances run from 0 to 2, got {distances.min():.3g} to "
            f"{distances.max():.3g}. Normalise the embeddings, and do not square the distances."
        )
    if dimensions < 2 or not 0 < cutoff < FAR:
        raise DataError(
            f"distance_weighted wants dimensions of at least 2 and a cutoff between 0 and {FAR}, "
            f"got {dimensions} and {cutoff}."
        )
    d, near = dimensions, distances.clamp(cutoff, FAR)
    log_weights = (2 - d) * near.log() - (d - 3) / 2 * (1 - near.square() / 4).log()
    # Each negative waits a random time, on average 1 / weight; the first to come is drawn. Logarithms never overflow.
    log_times = (
        torch.empty(distances.shape).exponential_(generator=generator).log().to(distances.device)
        - log_weights
    )
    anchors = _usable(positive, negative)
    first = log_times.masked_fill(~negative, torch.inf).argmin(1)
    return anchors, _one_of(positive[anchors], generator), first[anchors]


def hardest_negatives(
    similarities: Tensor, kinds: Tensor, unsure: Tensor | None = None
) -> Triplets:
    """For each pair of a scene and a product the product of the same kind that suits the scene best but is not its own.

    Introduced in chapter 11. A second pair of shoes is a harder wrong answer than a hat, and the pair of shoes that the
    network likes best is the hardest.

    Parameters
    ----------
    similarities : (n, m) float, m at least n, of scenes with products; scene i and product i are a pair.
    kinds : (m,) int, of the products.
    unsure : (n, m) bool, True for what might be right, too (see `fashionnb.losses.info_nce`); never drawn.

    Returns
    -------
    anchors, positives, negatives : (k,) int64 each, k <= n: rows, and columns of right and wrong products. A pair whose
        kind has no other product here is left out; ties go to the lower index.

    Raises
    ------
    DataError : shapes disagree, or a similarity is NaN or infinite.
    """
    n, m = similarities.shape if similarities.ndim == 2 else (0, -1)
    if m < n or kinds.shape != (m,) or (unsure is not None and unsure.shape != (n, m)):
        raise DataError(
            f"Expected similarities (n, m), m at least n, and kinds (m,); got {tuple(similarities.shape)} and "
            f"{tuple(kinds.shape)}."
        )
    if not similarities.isfinite().all():
        raise DataError(
            "similarities: there is NaN or infinity in them. Look at the embeddings they were made of."
        )
    allowed = (kinds[:n, None] == kinds).fill_diagonal_(False)
    if unsure is not None:
        allowed &= ~unsure
    anchors = allowed.any(1).nonzero(as_tuple=True)[0]
    hardest = similarities.detach().masked_fill(~allowed, -torch.inf).argmax(1)
    return anchors, anchors, hardest[anchors]


def _alike_and_other(labels: Tensor) -> tuple[Tensor, Tensor]:
    """For each item which are its positives (itself is none) and which its negatives, (n, n) bool each."""
    given = labels.dim() == 2 and labels.dtype == torch.bool and labels.shape[0] == labels.shape[1]
    if not (labels.dim() == 1 or given) or not len(labels):
        raise DataError(
            "A miner wants labels of shape (n,) with n at least 1, or who is alike as (n, n) bool; "
            f"got {tuple(labels.shape)} {labels.dtype}."
        )
    same = labels.clone().fill_diagonal_(True) if given else labels[:, None] == labels[None, :]
    return same.clone().fill_diagonal_(False), ~same


def _checked(distances: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The distances, at least float32 and without gradient, and who is positive and negative to whom."""
    positive, negative = _alike_and_other(labels)
    if distances.shape != positive.shape:
        raise DataError(
            f"Expected distances of shape (n, n) for n labels, got {tuple(distances.shape)} for {len(labels)}. "
            "Use pairwise_distances(embeddings)."
        )
    if not distances.isfinite().all():
        row = int((~distances.isfinite()).any(1).nonzero()[0, 0])
        raise DataError(
            f"distances: row {row} holds NaN or infinity. Look at the embeddings they were measured on."
        )
    return (
        distances.detach().to(torch.promote_types(distances.dtype, torch.float32)),
        positive,
        negative,
    )


def _usable(positive: Tensor, negative: Tensor) -> Tensor:
    """The items that have both a positive and a negative, (m,) int64."""
    return (positive.any(1) & negative.any(1)).nonzero(as_tuple=True)[0]


def _one_of(allowed: Tensor, generator: torch.Generator | None) -> Tensor:
    """In each row one of the allowed columns, all equally likely. allowed : (m, n) bool, at least one in each row."""
    lottery = torch.rand(allowed.shape, generator=generator).to(allowed.device)
    return lottery.masked_fill(~allowed, -1).argmax(1)
