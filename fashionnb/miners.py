"""Miners: which triplets (anchor, positive, negative) of a batch a loss is computed on.

A miner takes labels, and all but the first also the distances between the items of the batch, for
example those of `fashionnb.losses.pairwise_distances`. It returns three index tensors: anchors,
positives, negatives. No gradient flows through it. The losses of the triplets are in
`fashionnb.losses`.

A matrix (n, n) bool can stand in for the labels (n,), here and in `fashionnb.losses`, where more
than one label decides which items are positives; `alike` makes one.
"""

import torch
from torch import Tensor

from fashionnb.arrays import (
    at_least_float32,
    check_array,
    check_finite,
    check_margin,
    masks_of_distances,
    pair_masks,
)
from fashionnb.errors import DataError

Triplets = tuple[Tensor, Tensor, Tensor]

# Random directions of a high dimension lie about √2 apart; with the margins of Wu et al. the loss
# is 0 from here on.
FAR = 1.4
NEAR = 0.5  # the cutoff of Wu et al.


def alike(attributes: Tensor, threshold: float = 1.0) -> Tensor:
    """Decide which items of a batch a miner takes as positives, by their equal attributes.

    Two items are positives if enough of their attributes are equal, such as three of type, colour,
    season and gender. Unlike equal labels this need not be transitive.

    Parameters
    ----------
    attributes : Tensor of shape (n, a), int
        0 where unknown. Unknown is equal to nothing, not even to unknown.
    threshold : float
        The share of the attributes that must be equal, above 0 and at most 1.

    Returns
    -------
    Tensor of shape (n, n), bool
        Symmetric, and True on the diagonal.

    Raises
    ------
    DataError
        If the attributes are not (n, a) int, or the threshold is not above 0 and at most 1.
    """
    check_array(attributes, ("n", "a"), "attributes", kind="integer")
    if not 0 < threshold <= 1:
        raise DataError(f"The threshold is a share above 0 and up to 1, got {threshold!r}.")
    equal = (attributes[:, None] == attributes[None, :]) & (attributes > 0)
    return (equal.float().mean(2) > threshold - 1e-6).fill_diagonal_(True)  # shares round


def random_triplets(labels: Tensor, generator: torch.Generator | None = None) -> Triplets:
    """Select triplets at random: one positive and one negative for each anchor of a batch.

    Parameters
    ----------
    labels : Tensor of shape (n,), int
        The class of each item, or (n, n) bool.
    generator : torch.Generator, optional
        On the CPU; by default torch's own.

    Returns
    -------
    tuple of 3 Tensor of shape (m,), int64
        Rows of anchors, positives and negatives, with m <= n, on the device of `labels`. An item
        without a positive (a singleton class) or without a negative (a batch of one class) is left
        out.

    Raises
    ------
    DataError
        If `labels` is empty or has another shape.

    References
    ----------
    Schroff, Kalenichenko & Philbin (2015), FaceNet, section 3.
    """
    positive, negative = pair_masks(labels)
    anchors = _usable(positive, negative)
    return anchors, _one_of(positive[anchors], generator), _one_of(negative[anchors], generator)


def batch_hard(distances: Tensor, labels: Tensor) -> Triplets:
    """Select the hardest triplet of each anchor: its farthest positive and nearest negative.

    Ties go to the lower index. An item without a positive (a singleton class) or without a
    negative (a batch of one class) is left out.

    Parameters
    ----------
    distances : Tensor of shape (n, n), float
        From each item to each, in any unit: only the order matters.
    labels : Tensor of shape (n,), int
        The class of each item, or (n, n) bool.

    Returns
    -------
    tuple of 3 Tensor of shape (m,), int64
        Rows of anchors, positives and negatives, with m <= n.

    Raises
    ------
    DataError
        If the shapes disagree, the batch is empty, or a distance is NaN or infinite.

    References
    ----------
    Hermans, Beyer & Leibe (2017), In Defense of the Triplet Loss, eq. 5.
    """
    positive, negative = masks_of_distances(distances, labels)
    farthest = distances.masked_fill(~positive, -torch.inf).argmax(1)
    nearest = distances.masked_fill(~negative, torch.inf).argmin(1)
    anchors = _usable(positive, negative)
    return anchors, farthest[anchors], nearest[anchors]


def semi_hard(distances: Tensor, labels: Tensor) -> Triplets:
    """Select semi-hard triplets: for each positive pair the nearest negative that is farther.

    Where no negative is farther, the farthest of all is taken, as is usual: otherwise the pairs
    with the largest loss would never be trained on. There is no margin here, since a negative
    beyond it has a loss of 0 anyway. Ties go to the lower index.

    Parameters
    ----------
    distances : Tensor of shape (n, n), float
        From each item to each, in any unit: only the order matters.
    labels : Tensor of shape (n,), int
        The class of each item, or (n, n) bool.

    Returns
    -------
    tuple of 3 Tensor of shape (m,), int64
        Rows of anchors, positives and negatives: one triplet for each ordered pair of one class, so
        m < n². Items of a singleton class or of a batch of one class are left out.

    Raises
    ------
    DataError
        If the shapes disagree, the batch is empty, or a distance is NaN or infinite.

    References
    ----------
    Schroff, Kalenichenko & Philbin (2015), FaceNet, eq. 4.
    """
    positive, negative = masks_of_distances(distances, labels)
    distances = at_least_float32(distances.detach())
    ascending, items = distances.masked_fill(~negative, torch.inf).sort(dim=1, stable=True)
    next_farther = torch.searchsorted(ascending, distances, right=True)
    farthest = torch.searchsorted(
        ascending, distances.masked_fill(~negative, -torch.inf).amax(1, keepdim=True)
    )
    chosen = items.gather(1, torch.minimum(next_farther, farthest))
    anchors, positives = (positive & negative.any(1, keepdim=True)).nonzero(as_tuple=True)
    return anchors, positives, chosen[anchors, positives]


def batch_all(distances: Tensor, labels: Tensor, margin: float = 0.2) -> Triplets:
    """List all triplets of a batch whose loss, max(0, d(a, p) - d(a, n) + margin), is above 0.

    For small batches: with n items in c equal classes it takes some 10 n³/c bytes and 24 more for
    each triplet, gigabytes for 1,024 items. To train on all triplets use
    `fashionnb.losses.batch_all_triplets`, which lists none.

    Parameters
    ----------
    distances : Tensor of shape (n, n), float
        From each item to each, in the unit of the margin.
    labels : Tensor of shape (n,), int
        The class of each item, or (n, n) bool.
    margin : float
        A distance.

    Returns
    -------
    tuple of 3 Tensor of shape (m,), int64
        Rows of anchors, positives and negatives, sorted by anchor, then by positive and negative.

    Raises
    ------
    DataError
        If the shapes disagree, the batch is empty, a distance is NaN or infinite, or the margin is
        no distance.

    References
    ----------
    Hermans, Beyer & Leibe (2017), In Defense of the Triplet Loss, eq. 6.
    """
    positive, negative = masks_of_distances(distances, labels)
    check_margin(margin)
    distances = at_least_float32(distances.detach())
    anchors, positives = positive.nonzero(as_tuple=True)
    gap = distances[anchors, positives][:, None] - distances[anchors]
    pair, negatives = (negative[anchors] & (gap + margin > 0)).nonzero(as_tuple=True)
    return anchors[pair], positives[pair], negatives


def distance_weighted(
    distances: Tensor,
    labels: Tensor,
    dimensions: int,
    generator: torch.Generator | None = None,
) -> Triplets:
    """Select triplets by distance-weighted sampling: negatives at all distances are equally likely.

    Each anchor gets a random positive, and a negative that is drawn by its distance. On the unit
    sphere of d dimensions a random item lies at distance D with a density proportional
    to D^(d-2) (1 - D²/4)^((d-3)/2); each negative is weighted with the inverse of that. Distances
    below 0.5 have the weight of 0.5, so that the few nearest, often mislabelled, are not
    drawn all the time. Those above 1.4 have the weight of 1.4 (the program of the paper never
    draws these; here an anchor with only far negatives keeps one).

    Parameters
    ----------
    distances : Tensor of shape (n, n), float
        Euclidean, not squared, between vectors of length 1.
    labels : Tensor of shape (n,), int
        The class of each item, or (n, n) bool.
    dimensions : int
        d, of the embeddings, at least 2.
    generator : torch.Generator, optional
        On the CPU; by default torch's own.

    Returns
    -------
    tuple of 3 Tensor of shape (m,), int64
        Rows of anchors, positives and negatives, with m <= n. An item without a positive (a
        singleton class) or without a negative (a batch of one class) is left out.

    Raises
    ------
    DataError
        If the shapes disagree, the batch is empty, a distance is NaN, negative or above 2, or
        `dimensions` is below 2.

    References
    ----------
    Wu, Manmatha, Smola & Krähenbühl (2017), Sampling Matters in Deep Embedding Learning,
    section 4.
    """
    positive, negative = masks_of_distances(distances, labels)
    distances = at_least_float32(distances.detach())
    if distances.min() < 0 or distances.max() > 2.02:
        raise DataError(
            f"Between vectors of length 1 distances run from 0 to 2, got {distances.min():.3g} to "
            f"{distances.max():.3g}. Normalise the embeddings, and do not square the distances."
        )
    if dimensions < 2:
        raise DataError(f"distance_weighted wants dimensions of at least 2, got {dimensions}.")
    d, near = dimensions, distances.clamp(NEAR, FAR)
    log_weights = (2 - d) * near.log() - (d - 3) / 2 * (1 - near.square() / 4).log()
    # The smallest of exponential variables with the means 1 / weight is each one with a
    # probability proportional to its weight. Logarithms never overflow.
    times = torch.empty(distances.shape).exponential_(generator=generator)
    log_times = times.log().to(distances.device) - log_weights
    anchors = _usable(positive, negative)
    first = log_times.masked_fill(~negative, torch.inf).argmin(1)
    return anchors, _one_of(positive[anchors], generator), first[anchors]


def hardest_negatives(
    similarities: Tensor, kinds: Tensor, unsure: Tensor | None = None
) -> Triplets:
    """Select the hardest triplets: a scene, its product and the most similar other of that kind.

    Parameters
    ----------
    similarities : Tensor of shape (n, m), float
        Of scenes with products; m is at least n, and scene i and product i are a pair.
    kinds : Tensor of shape (m,), int
        The kind of each product.
    unsure : Tensor of shape (n, m), bool, optional
        True for pairs that may be positives, too (see `fashionnb.losses.info_nce`); never selected.

    Returns
    -------
    tuple of 3 Tensor of shape (k,), int64
        Rows of scenes, and columns of right and wrong products, with k <= n. A pair whose kind has
        no other product is left out; ties go to the lower index.

    Raises
    ------
    DataError
        If shapes disagree, or a similarity is NaN or infinite.
    """
    n, m = similarities.shape if similarities.ndim == 2 else (0, -1)
    if m < n or kinds.shape != (m,) or (unsure is not None and unsure.shape != (n, m)):
        raise DataError(
            "Expected similarities (n, m), m at least n, and kinds (m,); got "
            f"{tuple(similarities.shape)} and {tuple(kinds.shape)}."
        )
    check_finite(similarities, "similarities")
    allowed = (kinds[:n, None] == kinds).fill_diagonal_(False)
    if unsure is not None:
        allowed &= ~unsure
    anchors = allowed.any(1).nonzero(as_tuple=True)[0]
    hardest = similarities.detach().masked_fill(~allowed, -torch.inf).argmax(1)
    return anchors, anchors, hardest[anchors]


def _usable(positive: Tensor, negative: Tensor) -> Tensor:
    """The items that have both a positive and a negative, (m,) int64."""
    return (positive.any(1) & negative.any(1)).nonzero(as_tuple=True)[0]


def _one_of(allowed: Tensor, generator: torch.Generator | None) -> Tensor:
    """A random allowed column of each row, all equally likely; each row has at least one."""
    lots = torch.rand(allowed.shape, generator=generator).to(allowed.device)
    return lots.masked_fill(~allowed, -1).argmax(1)
