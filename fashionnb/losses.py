"""Losses of metric learning: triplet, batch-all, contrastive, SupCon, InfoNCE and multi-task.

All take tensors and return a scalar. Which items form a triplet is decided in `fashionnb.miners`;
the loop that minimises a loss is `fashionnb.training`. In the losses of a whole batch a matrix
(n, n) bool can stand in for the labels (n,), for instance that of `fashionnb.miners.alike`.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, relu, softplus

from fashionnb.arrays import (
    at_least_float32,
    check_array,
    check_margin,
    masks_of_distances,
    pair_masks,
)
from fashionnb.errors import DataError

# Added under each square root. At 0 the slope of the root is infinite, and two identical images
# would give NaN gradients.
TINY = 1e-12


def triplet_margin(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float | str = 0.2,
) -> Tensor:
    """Compute the triplet loss, max(0, d(a, p) - d(a, n) + margin), or its soft-margin form.

    The mean over all triplets, also those whose loss is 0. d is the Euclidean distance, not squared
    (FaceNet squares it). The soft margin, log(1 + exp(d(a, p) - d(a, n))), is never 0.

    Parameters
    ----------
    anchor, positive, negative : Tensor of shape (n, d)
        Embeddings; row i of the three is one triplet.
    margin : float or "soft"
        A distance. Between vectors of length 1 no distance exceeds 2.

    Returns
    -------
    Tensor
        Scalar, at least float32; 0 without triplets (n = 0).

    Raises
    ------
    DataError
        If shapes disagree, there is NaN or infinity, or `margin` is unknown.

    References
    ----------
    Hermans, Beyer & Leibe (2017), In Defense of the Triplet Loss.
    Schroff, Kalenichenko & Philbin (2015), FaceNet.
    """
    check_array(anchor, ("n", "d"), "anchor", kind="any", finite=True)
    check_array(positive, anchor.shape, "positive", kind="any", finite=True)
    check_array(negative, anchor.shape, "negative", kind="any", finite=True)
    gap = _distance(anchor, positive) - _distance(anchor, negative)
    if margin == "soft":
        return softplus(gap).sum() / max(len(gap), 1)
    check_margin(margin, "a distance such as 0.2, or 'soft'")
    return relu(gap + margin).sum() / max(len(gap), 1)


def batch_all_triplets(distances: Tensor, labels: Tensor, margin: float = 0.2) -> Tensor:
    """Compute the batch-all triplet loss: that of all triplets of a batch, without listing them.

    The mean over the triplets whose loss is above 0.

    A triplet above 0 adds d(a, p) - d(a, n) + margin. So the sum over all n³ of them is a sum over
    the n² distances, each times the number of triplets in which it is d(a, p), less those in which
    it is d(a, n). Sorting counts them, in O(n² log n) time and O(n²) memory.

    Parameters
    ----------
    distances : Tensor of shape (n, n), float
        Euclidean, from each item to each; see `pairwise_distances`.
    labels : Tensor of shape (n,), int
        The class of each item, or (n, n) bool.
    margin : float
        A distance.

    Returns
    -------
    Tensor
        Scalar, at least float32; 0 for a batch without triplets (one class, or singletons), or
        without one above 0.

    Raises
    ------
    DataError
        If shapes disagree, there is NaN or infinity, or the margin is no number of at least 0.

    References
    ----------
    Hermans, Beyer & Leibe (2017), In Defense of the Triplet Loss, eq. 6.
    """
    positive, negative = masks_of_distances(distances, labels)
    check_margin(margin)
    distances = at_least_float32(distances)
    counts = _triplet_counts(distances.detach(), positive, negative, margin)
    above_0 = counts.clamp_min(0).sum()  # each of them has one positive
    return ((counts * distances).sum() + margin * above_0) / above_0.clamp_min(1)


def contrastive(distances: Tensor, labels: Tensor, margin: float = 1.0) -> Tensor:
    """Compute the contrastive loss of all pairs of a batch.

    d² for a pair of one class, max(0, margin - d)² for a pair of two, and the mean over all
    n (n - 1) / 2 pairs; the factor 1/2 of the paper is left out.

    Parameters
    ----------
    distances : Tensor of shape (n, n), float
        Symmetric, Euclidean; see `pairwise_distances`.
    labels : Tensor of shape (n,), int
        The class of each item, or (n, n) bool.
    margin : float
        A distance.

    Returns
    -------
    Tensor
        Scalar, at least float32; 0 for a single item.

    Raises
    ------
    DataError
        If shapes disagree, there is NaN or infinity, or the margin is no number of at least 0.

    References
    ----------
    Hadsell, Chopra & LeCun (2006), Dimensionality Reduction by Learning an Invariant Mapping,
    eq. 4.
    """
    positive, _ = masks_of_distances(distances, labels)
    check_margin(margin, "a distance such as 1")
    d, n = at_least_float32(distances), len(labels)
    losses = torch.where(positive, d, relu(margin - d)).square()
    return losses.triu(diagonal=1).sum() / max(n * (n - 1) / 2, 1)


def supervised_contrastive(embeddings: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """Compute the supervised contrastive loss (SupCon), a softmax of each item over all others.

    For each anchor the mean of -log softmax over its positives, then the mean over the anchors.
    Where each item has one positive, this is InfoNCE.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Of length 1.
    labels : Tensor of shape (n,), int
        The class of each item, or (n, n) bool.
    temperature : float
        Above 0; cosines are divided by it. The smaller, the more the nearest negatives count.

    Returns
    -------
    Tensor
        Scalar, at least float32. An item without a positive is no anchor (but a negative of the
        others); without any anchor the loss is 0.

    Raises
    ------
    DataError
        If shapes disagree, there is NaN or infinity, a row has not the length 1, or the
        temperature is not above 0.

    References
    ----------
    Khosla et al. (2020), Supervised Contrastive Learning, eq. 2 (L_out).
    van den Oord, Li & Vinyals (2018), Representation Learning with Contrastive Predictive Coding.
    """
    positive, _ = pair_masks(labels)
    check_array(embeddings, (len(labels), "d"), "embeddings", kind="any", finite=True)
    z = at_least_float32(embeddings)
    if not temperature > 0:
        raise DataError(f"temperature is {temperature!r}, it must be above 0, such as 0.1.")
    lengths = z.detach().norm(dim=1)
    if not torch.allclose(lengths, torch.ones_like(lengths), atol=0.02):
        off = int((lengths - 1).abs().argmax())
        raise DataError(
            f"embeddings: row {off} has length {float(lengths[off]):.3g}, it must be 1. "
            "Use torch.nn.functional.normalize(embeddings, dim=1)."
        )
    similarity = z @ z.T / temperature
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    log_shares = log_softmax(similarity.masked_fill(itself, -torch.inf), dim=1)
    each = -log_shares.masked_fill(~positive, 0).sum(1) / positive.sum(1).clamp_min(1)
    return each.sum() / positive.any(1).sum().clamp_min(1)


def info_nce(logits: Tensor, unsure: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Compute the InfoNCE loss of a matrix of logits, the mean of its rows and its columns.

    Each row chooses among the columns, and each column among the rows, as in CLIP.

    Parameters
    ----------
    logits : Tensor of shape (n, m), float
        Similarities divided by a temperature; m is at least n. Row i and column i are a pair;
        columns beyond n are negatives of all rows, and have no row to choose.
    unsure : Tensor of shape (n, m), bool, optional
        True for pairs that may be positives, too (another product of the same scene, the same
        product in another scene). They are no negatives. The pairs (i, i) are never left out.
    smoothing : float
        The share of the target that is spread over all negatives, 0 to below 1.

    Returns
    -------
    Tensor
        Scalar, at least float32.

    Raises
    ------
    DataError
        If shapes disagree, there are no rows, there is NaN or infinity, or the smoothing is no
        share.

    References
    ----------
    Radford et al. (2021), Learning Transferable Visual Models From Natural Language Supervision,
    figure 3.
    """
    check_array(logits, ("n", "m"), "logits", kind="any", finite=True)
    n, m = logits.shape
    if not n or m < n or (unsure is not None and unsure.shape != (n, m)):
        raise DataError(
            "Expected logits (n, m) with m at least n and n at least 1, and unsure of the same "
            f"shape; got {tuple(logits.shape)}"
            f"{'' if unsure is None else f' and {tuple(unsure.shape)}'}."
        )
    if not 0 <= smoothing < 1:
        raise DataError(
            f"smoothing is {smoothing!r}, it must be a share from 0 to below 1, such as 0.1."
        )
    x = at_least_float32(logits)
    pair = torch.eye(n, m, dtype=torch.bool, device=x.device)
    ignored = torch.zeros_like(pair) if unsure is None else unsure & ~pair
    of_columns = _info_nce_of_rows(x[:, :n].T, ignored[:, :n].T, smoothing)
    return (_info_nce_of_rows(x, ignored, smoothing) + of_columns) / 2


def similarity_triplet(right: Tensor, wrong: Tensor, margin: float = 0.2) -> Tensor:
    """Compute the triplet loss of similarities, the mean of max(0, wrong - right + margin).

    Parameters
    ----------
    right, wrong : Tensor of shape (n,)
        Similarities of an anchor with its positive, and with a negative.
    margin : float
        A difference of similarities.

    Returns
    -------
    Tensor
        Scalar, at least float32; 0 without triplets.

    Raises
    ------
    DataError
        If shapes disagree, there is NaN or infinity, or the margin is no number of at least 0.
    """
    check_array(right, ("n",), "right", kind="any", finite=True)
    check_array(wrong, right.shape, "wrong", kind="any", finite=True)
    check_margin(margin, "a difference of similarities such as 0.2")
    losses = relu(at_least_float32(wrong) - at_least_float32(right) + margin)
    return losses.sum() / max(len(losses), 1)


def multi_task(
    metric_loss: Tensor, logits: Tensor, labels: Tensor, weight: float = 0.5
) -> tuple[Tensor, dict[str, float]]:
    """Compute the multi-task loss of a classifier and an embedding: cross-entropy + metric loss.

    Parameters
    ----------
    metric_loss : Tensor
        Scalar, one of the losses above, of the embeddings that also gave the logits.
    logits : Tensor of shape (n, c), float
        Of the classifier: one row for each item, one column for each class.
    labels : Tensor of shape (n,), int
        The class of each item, 0 to c - 1.
    weight : float
        By which the metric loss is multiplied; the cross-entropy has the weight 1.

    Returns
    -------
    loss : Tensor
        Scalar, at least float32.
    numbers : dict of str to float
        Its parts, "cross entropy" and "metric", for `fashionnb.training.fit` to log.

    Raises
    ------
    DataError
        If shapes disagree, there are no rows, there is NaN or infinity in the logits, or a label
        is no class.
    """
    check_array(logits, ("n", "c"), "logits", kind="any", least=1, finite=True)
    n, c = logits.shape
    check_array(labels, (n,), "labels", "Give the class of each row.", kind="whole", below=c)
    entropy = cross_entropy(at_least_float32(logits), labels.long())
    numbers = {"cross entropy": entropy.item(), "metric": metric_loss.item()}
    return entropy + weight * metric_loss, numbers


def spread(embeddings: Tensor) -> float:
    """Measure the spread of a batch of embeddings, to be logged with a loss: 0 is a collapse.

    It is the root mean square distance to their mean: 0 if all are the same point (a collapse); for
    vectors of length 1 at most 1. A loss function that logs it as "spread" lets
    `fashionnb.training.fit` watch for a collapse.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        The embeddings of a batch; n is at least 1.

    Returns
    -------
    float
        Without gradient.

    Raises
    ------
    DataError
        If they are not (n, d), there are no rows, or there is NaN or infinity.
    """
    check_array(embeddings, ("n", "d"), "embeddings", kind="any", least=1, finite=True)
    z = at_least_float32(embeddings.detach())
    return (z - z.mean(0)).square().sum(1).mean().sqrt().item()


def pairwise_distances(a: Tensor, b: Tensor | None = None) -> Tensor:
    """Compute the Euclidean distances between rows of embeddings, with gradients, for a loss.

    ‖a - b‖² = ‖a‖² + ‖b‖² - 2 a·b is one matrix product, so a large batch is fast. The price is
    rounding: rows that are closer than it can tell (in float32 about 0.002, where rows lie 1 from
    the centre of `b`) count as identical. Identical rows are at distance 1e-6, with a gradient of
    0.

    Parameters
    ----------
    a : Tensor of shape (n, d)
        Embeddings; distances are from each of its rows.
    b : Tensor of shape (m, d), optional
        Embeddings that distances are to; by default `a`.

    Returns
    -------
    Tensor of shape (n, m)
        From each row of `a` to each row of `b`, at least float32.

    Raises
    ------
    DataError
        If they are not (n, d) and (m, d), or there is NaN or infinity.
    """
    b = a if b is None else b
    check_array(a, ("n", "d"), "a", kind="any", finite=True)
    check_array(b, ("m", a.shape[1]), "b", kind="any", finite=True)
    a, b = at_least_float32(a), at_least_float32(b)
    # Moving all rows alike changes no distance, and small numbers round less.
    centre = b.detach().sum(0) / max(len(b), 1)
    a, b = a - centre, b - centre
    scale = a.square().sum(1)[:, None] + b.square().sum(1)
    squares = scale - 2 * a @ b.T
    squares = squares.masked_fill(squares <= 16 * torch.finfo(squares.dtype).eps * scale, 0)
    return (squares + TINY).sqrt()


def _triplet_counts(distances: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """In how many triplets above 0 each distance is d(a, p) (+) or d(a, n) (-), (n, n)."""
    # With each negative that is nearer than its distance plus the margin, a positive makes a
    # triplet above 0. In each row the anchor's positives come first, the nearest of them before.
    most = int(positive.sum(1).max())
    limit, column = (distances + margin).masked_fill(~positive, torch.inf).topk(most, largest=False)
    # For each negative: how many positives make no triplet with it. The others make one.
    without = torch.searchsorted(limit, distances, right=True)
    as_negative = (positive.sum(1, keepdim=True) - without) * negative
    # The i-th positive makes one with each negative that at most i positives make none with.
    by_rank = limit.new_zeros(len(limit), most + 1).scatter_add_(1, without, negative.to(limit))
    counted = by_rank.cumsum(1)[:, :-1]
    as_positive = torch.zeros_like(distances).scatter_(1, column, counted) * positive
    return as_positive - as_negative


def _info_nce_of_rows(x: Tensor, ignored: Tensor, smoothing: float) -> Tensor:
    """The mean loss of the rows, each of which has its positive on the diagonal."""
    logs = log_softmax(x.masked_fill(ignored, -torch.inf), dim=1)
    negative = ~ignored.clone().fill_diagonal_(True)
    of_negatives = logs.masked_fill(~negative, 0).sum(1) / negative.sum(1).clamp_min(1)
    return -((1 - smoothing) * logs.diagonal() + smoothing * of_negatives).mean()


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """The Euclidean distance of each row of `a` to the same row of `b`, (n,)."""
    return ((at_least_float32(a) - at_least_float32(b)).square().sum(1) + TINY).sqrt()
