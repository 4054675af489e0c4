"""Losses for metric learning: numbers that fall as items of one class move together and the others apart.

They know tensors only. Which items meet in a loss is the business of `fashionnb.miners`;
the loop that minimises it is `fashionnb.training`. Labels (n,) say who is alike; in the losses of a whole batch a
matrix (n, n) bool can say it instead, for instance that of `fashionnb.miners.alike`.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, relu, softplus

from fashionnb.errors import DataError

# Added under each square root. At 0 the root's slope is infinite, and two identical images would give NaN gradients.
TINY = 1e-12


def triplet_margin(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float | str = 0.2,
    reduce: str = "mean",
) -> Tensor:
    """Ask that each anchor be nearer to its positive than to its negative, by the margin at least.

    Introduced in chapter 02. max(0, d(a, p) - d(a, n) + margin), with the Euclidean distance d not squared, as in
    Hermans, Beyer & Leibe 2017, "In Defense of the Triplet Loss"; Schroff et al. 2015, "FaceNet", square it. From
    chapter 03 on also their soft margin, log(1 + exp(d(a, p) - d(a, n))), which never stops asking.

    Parameters
    ----------
    anchor, positive, negative : (n, d) embeddings; row i of the three is one triplet.
    margin : a distance, or "soft". Between vectors of length 1 no distance exceeds 2.
    reduce : "mean" over all triplets, or "nonzero": over those whose loss is not yet 0. Two different losses. With a
        soft margin no loss is 0, so there is only "mean".

    Returns
    -------
    loss : scalar, at least float32. Without triplets (n = 0), or without one above 0, it is 0.

    Raises
    ------
    DataError : shapes disagree, NaN or infinity, an unknown `reduce` or `margin`, or "soft" with "nonzero".
    """
    _check_alike(anchor=anchor, positive=positive, negative=negative)
    gap = _distance(anchor, positive) - _distance(anchor, negative)
    if margin == "soft":
        if reduce != "mean":
            raise DataError(f"With a soft margin no loss is 0: use reduce='mean', not {reduce!r}.")
        return softplus(gap).sum() / max(len(gap), 1)
    _check_margin(margin, "a distance such as 0.2, or 'soft'")
    losses = relu(gap + margin)
    return losses.sum() / _how_many(reduce, len(losses), (losses > 0).sum())


def batch_all_triplets(
    distances: Tensor, labels: Tensor, margin: float = 0.2, reduce: str = "nonzero"
) -> Tensor:
    """The triplet loss of all triplets of a batch, without listing one of them.

    Introduced in chapter 03. Hermans, Beyer & Leibe 2017, "In Defense of the Triplet Loss", eq. 6. A triplet above 0
    adds d(a, p) - d(a, n) + margin. So the sum over all n³ of them is a sum over the n² distances, each times the
    number of triplets that want it smaller, less those that want it larger. Sorting counts them, in O(n² log n) time
    and O(n²) memory.

    Parameters
    ----------
    distances : (n, n) float, Euclidean, from each item to each; see `pairwise_distances`.
    labels : (n,) int.
    margin : a distance.
    reduce : "nonzero": the mean over the triplets whose loss is not yet 0, or "mean" over all.

    Returns
    -------
    loss : scalar, at least float32; 0 for a batch without triplets (one class, or singletons), or without one above 0.

    Raises
    ------
    DataError : shapes disagree, NaN or infinity, an unknown `reduce`, or a margin that is no number of at least 0.
    """
    positive, negative = _pairs(distances, labels)
    _check_margin(margin, "a distance such as 0.2")
    distances = _at_least_float32(distances)
    wishes = _wishes(distances.detach(), positive, negative, margin)
    above_0 = wishes.clamp_min(0).sum()  # each of them has one positive
    triplets = (positive.sum(1) * negative.sum(1)).sum()
    return ((wishes * distances).sum() + margin * above_0) / _how_many(reduce, triplets, above_0)


def contrastive(distances: Tensor, labels: Tensor, margin: float = 1.0) -> Tensor:
    """Pull each pair of one class together, and push each other pair apart until the margin lies between.

    Introduced in chapter 03. Hadsell, Chopra & LeCun 2006, "Dimensionality Reduction by Learning an Invariant Mapping",
    eq. 4, without its factor 1/2: d² for a pair of one class, max(0, margin - d)² for another, and the mean over all
    n (n - 1) / 2 pairs, each counted once.

    Parameters
    ----------
    distances : (n, n) float, symmetric, Euclidean; see `pairwise_distances`.
    labels : (n,) int.
    margin : a distance.

    Returns
    -------
    loss : scalar, at least float32; 0 for a single item.

    Raises
    ------
    DataError : shapes disagree, NaN or infinity, or a margin that is no number of at least 0.
    """
    positive, _ = _pairs(distances, labels)
    _check_margin(margin, "a distance such as 1")
    d, n = _at_least_float32(distances), len(labels)
    losses = torch.where(positive, d, relu(margin - d)).square()
    return losses.triu(diagonal=1).sum() / max(n * (n - 1) / 2, 1)


def supervised_contrastive(embeddings: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """Let each item choose its positives among all others, by a softmax over their similarity.

    Introduced in chapter 03. Khosla et al. 2020, "Supervised Contrastive Learning", eq. 2 (L_out): for each anchor the
    mean of -log softmax over its positives, then the mean over the anchors. Where each item has one positive, this is
    InfoNCE (van den Oord, Li & Vinyals 2018, "Representation Learning with Contrastive Predictive Coding").

    Parameters
    ----------
    embeddings : (n, d), of length 1.
    labels : (n,) int.
    temperature : above 0. Cosines are divided by it: the smaller, the more the nearest negatives count.

    Returns
    -------
    loss : scalar, at least float32. An item without a positive is no anchor (but others must tell it apart); without
        any anchor the loss is 0.

    Raises
    ------
    DataError : shapes disagree, NaN or infinity, a row whose length is not 1, or a temperature that is not above 0.
    """
    _check_rows(embeddings=embeddings)
    z = _at_least_float32(embeddings)
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
    positive, _ = _pairs(similarity, labels)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    chosen = log_softmax(similarity.masked_fill(itself, -torch.inf), dim=1)
    each = -chosen.masked_fill(~positive, 0).sum(1) / positive.sum(1).clamp_min(1)
    return each.sum() / positive.any(1).sum().clamp_min(1)


def info_nce(logits: Tensor, unsure: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Let each row choose its partner among all columns, and each column its partner among all rows.

    Introduced in chapter 11. Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
    Supervision", figure 3; InfoNCE (van den Oord, Li & Vinyals 2018) both ways, and the mean of the two.

    Parameters
    ----------
    logits : (n, m) float, m at least n: similarities divided by a temperature. Row i and column i are a pair; columns
        beyond n are wrong answers for all rows, and choose nobody.
    unsure : (n, m) bool, True for what might be right, too, though it is not the pair: another product of the same
        scene, the same product in another scene. It is no wrong answer. The pairs themselves are never left out.
    smoothing : the share of the target that is spread over all wrong answers, 0 to below 1.

    Returns
    -------
    loss : scalar, at least float32.

    Raises
    ------
    DataError : shapes disagree, no rows, NaN or infinity, or a smoothing that is no share.
    """
    _check_rows(logits=logits)
    n, m = logits.shape
    if not n or m < n or (unsure is not None and unsure.shape != (n, m)):
        raise DataError(
            f"Expected logits (n, m) with m at least n and n at least 1, and unsure of the same shape; got "
            f"{tuple(logits.shape)}{'' if unsure is None else f' and {tuple(unsure.shape)}'}."
        )
    if not 0 <= smoothing < 1:
        raise DataError(
            f"smoothing is {smoothing!r}, it must be a share from 0 to below 1, such as 0.1."
        )
    x = _at_least_float32(logits)
    pair = torch.eye(n, m, dtype=torch.bool, device=x.device)
    out = torch.zeros_like(pair) if unsure is None else unsure & ~pair

    def chosen(x: Tensor, out: Tensor) -> Tensor:
        logs = log_softmax(x.masked_fill(out, -torch.inf), dim=1)
        wrong = ~out.clone().fill_diagonal_(True)
        spread_out = logs.masked_fill(~wrong, 0).sum(1) / wrong.sum(1).clamp_min(1)
        return -((1 - smoothing) * logs.diagonal() + smoothing * spread_out).mean()

    return (chosen(x, out) + chosen(x[:, :n].T, out[:, :n].T)) / 2


def similarity_triplet(right: Tensor, wrong: Tensor, margin: float = 0.2) -> Tensor:
    """Ask that each right similarity be above the wrong one, by the margin at least. Introduced in chapter 11.

    max(0, wrong - right + margin), the mean over all triplets: `triplet_margin` for those who have cosines already.

    Parameters
    ----------
    right, wrong : (n,) similarities of an anchor with its positive, and with a negative.
    margin : a difference of similarities.

    Returns
    -------
    loss : scalar, at least float32; 0 without triplets.

    Raises
    ------
    DataError : shapes disagree, NaN or infinity, or a margin that is no number of at least 0.
    """
    if right.ndim != 1 or right.shape != wrong.shape:
        raise DataError(
            f"Expected two similarities for each triplet, got {tuple(right.shape)}, {tuple(wrong.shape)}."
        )
    _check_rows(right=right[:, None], wrong=wrong[:, None])
    _check_margin(margin, "a difference of similarities such as 0.2")
    losses = relu(_at_least_float32(wrong) - _at_least_float32(right) + margin)
    return losses.sum() / max(len(losses), 1)


def multi_task(
    metric_loss: Tensor, logits: Tensor, labels: Tensor, weight: float = 0.5, smoothing: float = 0.0
) -> tuple[Tensor, dict[str, float]]:
    """Learn to name the class and to keep the classes apart at once: cross-entropy + weight × metric loss.

    Introduced in chapter 03.

    Parameters
    ----------
    metric_loss : scalar, one of the losses above, of the embeddings that also gave the logits.
    logits : (n, c). labels : (n,) int, 0 to c - 1.
    weight : of the metric loss; the cross-entropy has 1.
    smoothing : the share of the target that is spread over all classes (Szegedy et al. 2016, "Rethinking the Inception
        Architecture", section 7), 0 to 1.

    Returns
    -------
    loss, numbers : the scalar, at least float32, and its parts, "cross entropy" and "metric", for
        `fashionnb.training.fit` to log.

    Raises
    ------
    DataError : shapes disagree, no rows, NaN or infinity in the logits, a label that is no class, or a smoothing that
        is no share.
    """
    _check_rows(logits=logits)
    n, c = logits.shape
    if not n or labels.shape != (n,) or not ((labels >= 0) & (labels < c)).all():
        raise DataError(
            f"Logits of shape {(n, c)} want labels of shape {(n,)}, from 0 to {c - 1}, and at least one; "
            f"got shape {tuple(labels.shape)}, {labels.unique().tolist()[:12]}."
        )
    if not 0 <= smoothing <= 1:
        raise DataError(f"smoothing is {smoothing!r}, it must be a share from 0 to 1, such as 0.1.")
    entropy = cross_entropy(_at_least_float32(logits), labels.long(), label_smoothing=smoothing)
    return entropy + weight * metric_loss, {
        "cross entropy": entropy.item(),
        "metric": metric_loss.item(),
    }


def spread(embeddings: Tensor) -> float:
    """How wide a batch lies: the root mean square distance of the embeddings to their mean.

    Introduced in chapter 03. 0 if all are the same point (a collapse); for vectors of length 1 at most 1. A loss
    function that logs it as "spread" lets `fashionnb.training.fit` watch for a collapse.

    Parameters
    ----------
    embeddings : (n, d), n at least 1.

    Returns
    -------
    spread : a number, without gradient.

    Raises
    ------
    DataError : not (n, d), no rows, NaN, or infinity.
    """
    _check_rows(embeddings=embeddings)
    if not len(embeddings):
        raise DataError(
            f"The spread of no embeddings is undefined: got shape {tuple(embeddings.shape)}."
        )
    z = _at_least_float32(embeddings.detach())
    return (z - z.mean(0)).square().sum(1).mean().sqrt().item()


def pairwise_distances(a: Tensor, b: Tensor | None = None, squared: bool = False) -> Tensor:
    """Measure the Euclidean distance from each row of `a` to each row of `b`.

    Introduced in chapter 03. One matrix product, ‖a - b‖² = ‖a‖² + ‖b‖² - 2 a·b, so a large batch is fast. The price is
    rounding: rows that are closer than it can tell (in float32 about 0.002, where rows lie 1 from the centre of `b`)
    count as identical. Identical rows are at distance 1e-6, or 0 squared, and pull with a gradient of 0.

    Parameters
    ----------
    a, b : (n, d) and (m, d); without `b`, `a` with itself.
    squared : leave out the root.

    Returns
    -------
    distances : (n, m), at least float32.

    Raises
    ------
    DataError : not (n, d) and (m, d), NaN, or infinity.
    """
    b = a if b is None else b
    _check_rows(a=a, b=b)
    a, b = _at_least_float32(a), _at_least_float32(b)
    # Moving all rows alike changes no distance, and small numbers round less.
    centre = b.detach().sum(0) / max(len(b), 1)
    a, b = a - centre, b - centre
    scale = a.square().sum(1)[:, None] + b.square().sum(1)
    squares = scale - 2 * a @ b.T
    squares = squares.masked_fill(squares <= 16 * torch.finfo(squares.dtype).eps * scale, 0)
    return squares if squared else (squares + TINY).sqrt()


def _wishes(distances: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """How many triplets above 0 want each distance smaller (+) or larger (-), (n, n)."""
    # The reach of a positive is its distance and the margin: with each negative that is nearer, it makes a triplet
    # above 0. In each row the anchor's positives come first, the shortest reach before.
    most = int(positive.sum(1).max())
    reach, column = (distances + margin).masked_fill(~positive, torch.inf).topk(most, largest=False)
    # For each negative: how many positives do not reach it. The others want it farther away.
    too_short = torch.searchsorted(reach, distances, right=True)
    larger = (positive.sum(1, keepdim=True) - too_short) * negative
    # The i-th positive reaches the negatives that i positives at most are too short for. They want it nearer.
    reached = (
        reach.new_zeros(len(reach), most + 1)
        .scatter_add_(1, too_short, negative.to(reach))
        .cumsum(1)[:, :-1]
    )
    smaller = torch.zeros_like(distances).scatter_(1, column, reached) * positive
    return smaller - larger


def _how_many(reduce: str, triplets: int | Tensor, above_0: Tensor) -> Tensor:
    """What to divide the sum by, at least 1."""
    if reduce not in ("mean", "nonzero"):
        raise DataError(f"There is no reduce={reduce!r}. Use 'mean' or 'nonzero'.")
    return torch.as_tensor(triplets if reduce == "mean" else above_0).clamp_min(1)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """The Euclidean distance of each row of `a` to the same row of `b`, (n,)."""
    return ((_at_least_float32(a) - _at_least_float32(b)).square().sum(1) + TINY).sqrt()


def _at_least_float32(x: Tensor) -> Tensor:
    """Half precision would round `TINY` to 0."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _pairs(distances: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """For each item which are its positives (itself is none) and which its negatives, (n, n) bool each."""
    given = labels.dim() == 2 and labels.dtype == torch.bool and labels.shape[0] == labels.shape[1]
    if (
        not (labels.dim() == 1 or given)
        or not len(labels)
        or distances.shape != (len(labels), len(labels))
    ):
        raise DataError(
            f"Expected labels (n,) of at least one item and distances (n, n) or embeddings (n, d) of the same n; "
            f"got labels {tuple(labels.shape)} and {tuple(distances.shape)}. Who is alike may also be (n, n) bool."
        )
    _check_rows(distances=distances)
    same = labels.clone().fill_diagonal_(True) if given else labels[:, None] == labels[None, :]
    return same.clone().fill_diagonal_(False), ~same


def _check_margin(margin: float, wanted: str) -> None:
    if isinstance(margin, str) or not 0 <= margin < torch.inf:
        raise DataError(f"margin is {margin!r}, it must be {wanted}.")


def _check_alike(**embeddings: Tensor) -> None:
    _check_rows(**embeddings)
    shapes = {name: tuple(x.shape) for name, x in embeddings.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(
            f"Row i of each must belong to triplet i, so all need one shape (n, d); got {shapes}."
        )


def _check_rows(**embeddings: Tensor) -> None:
    shapes = {name: tuple(x.shape) for name, x in embeddings.items()}
    if (
        any(len(shape) != 2 for shape in shapes.values())
        or len({shape[1] for shape in shapes.values()}) > 1
    ):
        raise DataError(f"Expected embeddings (n, d) of one dimension d; got the shapes {shapes}.")
    for name, x in embeddings.items():
        if not x.isfinite().all():
            row = int((~x.isfinite()).any(1).nonzero()[0, 0])
            raise DataError(
                f"{name}: row {row} holds NaN or infinity. Either the images do, or the training has diverged: "
                "try a smaller learning rate, or clip the gradients."
            )
