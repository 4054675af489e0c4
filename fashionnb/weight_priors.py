"""Priors on the weights of PolaniaNet, as terms of a loss: Laplacian and matrix-normal.

Maximum a posteriori (MAP): the loss is minus the logarithm of the likelihood times the prior, so
each prior is a term that is added. Each term is a function, constants included, and `MAPLoss` adds
them with their weights. All take tensors; the network is in `fashionnb.models.compatibility`.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from fashionnb.arrays import at_least_float32, check_array, check_finite
from fashionnb.errors import DataError


def laplacian(weights: Sequence[Tensor] | Tensor, scale: float = 1.0) -> Tensor:
    """Compute the Laplacian prior of weights: minus the log density of a Laplace distribution.

    The sum of ``|w| / b + log 2b`` over all weights, with the scale b. Its minimum has many weights
    at exactly 0: sparsity.

    Parameters
    ----------
    weights : Tensor, or sequence of Tensor
        Of any shape.
    scale : float
        b, above 0; the smaller, the nearer to 0 the weights are expected to be.

    Returns
    -------
    Tensor
        Scalar, at least float32; 0 without any weight. It may be below 0, as any minus log
        density.

    Raises
    ------
    DataError
        If the scale is not above 0, or there is NaN or infinity among the weights.

    References
    ----------
    Tibshirani (1996), Regression Shrinkage and Selection via the Lasso.
    """
    if not 0 < scale < math.inf:
        raise DataError(f"The scale of a Laplace distribution is above 0; got {scale!r}.")
    weights = [weights] if isinstance(weights, Tensor) else weights
    terms = [_checked(w).abs().sum() / scale + w.numel() * math.log(2 * scale) for w in weights]
    return _total(terms)


def matrix_normal(
    weight: Tensor, rows: Tensor | None = None, columns: Tensor | None = None
) -> Tensor:
    """Compute the matrix-normal prior of a layer's weights: minus its log density around 0.

    ``½ tr(V⁻¹ Wᵀ U⁻¹ W) + (p/2) log|U| + (n/2) log|V| + (np/2) log 2π`` for W of n rows and p
    columns. In PyTorch the weight of a linear layer is (outputs, inputs). "Correlations between
    the input units", which the paper of PolaniaNet is about, are therefore the covariance of the
    *columns*, V.

    Parameters
    ----------
    weight : Tensor of shape (n, p)
        W.
    rows : Tensor of shape (n, n), optional
        U, symmetric and positive definite: the covariance of the rows; by default the identity.
        No gradient goes into it.
    columns : Tensor of shape (p, p), optional
        V, the same for the columns.

    Returns
    -------
    Tensor
        Scalar, at least float32; with two identities half the sum of squares, and the constant.

    Raises
    ------
    DataError
        If the shapes disagree, there is NaN or infinity, or a covariance is not symmetric or not
        positive definite.

    References
    ----------
    Gupta & Nagar (1999), Matrix Variate Distributions, chapter 2.
    """
    return _matrix_normal(weight, _factor(rows), _factor(columns))


def shrunk_covariance(values: Tensor, share: float = 0.1) -> Tensor:
    """Compute a shrunk covariance of a layer's units, for the matrix-normal prior of weights.

    It is mixed with the identity, so that it can be inverted: (1 - share) S + share (tr S / p) I,
    with S the covariance (divided by n) of p units over n samples; divided by the mean variance, so
    that it contains the correlations of the units and not their scale.

    Parameters
    ----------
    values : Tensor of shape (n, p)
        The units of a layer for n samples; n is 2 or more.
    share : float
        Of the identity, above 0 and up to 1.

    Returns
    -------
    Tensor of shape (p, p)
        At least float32, with the mean 1 on its diagonal.

    Raises
    ------
    DataError
        If the shape differs, there is NaN or infinity, units never change, or the share is out of
        its range.

    References
    ----------
    Ledoit & Wolf (2004), A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices.
    """
    if values.ndim != 2 or len(values) < 2 or not values.shape[1] or not 0 < share <= 1:
        raise DataError(
            "Expected the units of two samples or more (n, p), and a share above 0, up to 1; got "
            f"{tuple(values.shape)} and {share!r}."
        )
    x = _checked(values.detach())
    x = x - x.mean(0)
    covariance = x.T @ x / len(x)
    mean = covariance.diagonal().mean()
    if not mean > 0:
        raise DataError("The units are the same for all samples, so they have no covariance.")
    identity = torch.eye(len(covariance), dtype=x.dtype, device=x.device)
    return (1 - share) * covariance / mean + share * identity


class MAPLoss:
    """Loss of PolaniaNet: binary cross-entropy plus weighted priors on its weights.

    A matrix-normal prior on the weights of the classifier's layers and a Laplacian prior on the
    siamese filters, as in the paper; and, which the paper does not have, a Laplacian prior on the
    weights of the classifier. The cross-entropy is a mean over pairs, so weights of
    1 / (number of training pairs) make the whole minus the log posterior, divided by that number.
    A prior with the weight 0 is neither computed nor logged.

    Parameters
    ----------
    normal, filters, classifier : float
        The weights of the three priors, 0 or more.
    columns : sequence of Tensor or None, optional
        The covariance V between the input units of each layer of the classifier, for instance
        `shrunk_covariance` of the layer's inputs; None for the identity, by default for all.

    Raises
    ------
    DataError
        If a weight is negative, or a covariance as in `matrix_normal`.

    References
    ----------
    Polanía & Gupte (2019), Learning Fashion Compatibility Across Apparel Categories for Outfit
    Recommendation.
    """

    def __init__(
        self,
        normal: float = 0.0,
        filters: float = 0.0,
        classifier: float = 0.0,
        columns: Sequence[Tensor | None] | None = None,
    ) -> None:
        self.weights = {"normal": normal, "filters": filters, "classifier": classifier}
        if not all(0 <= weight < math.inf for weight in self.weights.values()):
            raise DataError(f"Weights of priors are 0 or more; got {self.weights}.")
        # The factors are computed once, here: a step of training only solves with them.
        self.columns = [_factor(each) for each in columns or ()]

    def __call__(
        self,
        logits: Tensor,
        labels: Tensor,
        judges: Sequence[Tensor] = (),
        filters: Sequence[Tensor] = (),
    ) -> tuple[Tensor, dict[str, float]]:
        """Compute the loss, and its terms without their weights, for `fashionnb.training.fit`.

        Parameters
        ----------
        logits : Tensor of shape (n,), float
        labels : Tensor of shape (n,)
            0 or 1.
        judges, filters : sequence of Tensor
            The weights of the classifier and of the siamese filters, as `judges()` and `filters()`
            of `fashionnb.models.compatibility.PolaniaNet` return them.

        Returns
        -------
        loss : Tensor
            Scalar, at least float32.
        numbers : dict of str to float
            "cross entropy", and each prior with a weight by the name of the weight.

        Raises
        ------
        DataError
            If shapes disagree, there is NaN or infinity, a label is neither 0 nor 1, or there is
            not one covariance for each layer.
        """
        terms = {"cross entropy": self.cross_entropy(logits, labels)}
        if self.weights["normal"]:
            terms["normal"] = self.normal(judges)
        if self.weights["filters"]:
            terms["filters"] = laplacian(filters)
        if self.weights["classifier"]:
            terms["classifier"] = laplacian(judges)
        loss = sum(self.weights.get(name, 1.0) * x.to(logits.device) for name, x in terms.items())
        return loss, {name: term.item() for name, term in terms.items()}

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compute the mean binary cross-entropy: -log of the probability of the true label."""
        check_array(logits, ("n",), "logits", kind="any", least=1)
        check_array(labels, logits.shape, "labels", "Give one label for each logit.", kind="any")
        if not ((labels == 0) | (labels == 1)).all():
            raise DataError(f"Labels are 1 (compatible) or 0; got {labels.unique().tolist()[:4]}.")
        logits = _checked(logits)
        return binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))

    def normal(self, judges: Sequence[Tensor]) -> Tensor:
        """Compute the sum of `matrix_normal` over the classifier's layers, with the covariances."""
        columns = self.columns or [None] * len(judges)
        if len(columns) != len(judges):
            raise DataError(
                f"Give one covariance for each of {len(judges)} layers of the classifier, None for "
                f"the identity; got {len(columns)}."
            )
        pairs = zip(judges, columns, strict=True)
        return _total([_matrix_normal(weight, None, factor) for weight, factor in pairs])


def _factor(covariance: Tensor | None) -> Tensor | None:
    """The lower triangle L, float64, with L Lᵀ = covariance; None for the identity."""
    if covariance is None:
        return None
    shape = ("p", len(covariance))
    check_array(covariance, shape, "covariance", "It is square.", kind="any", least=1)
    exact = _checked(covariance.detach()).cpu().double()  # on the CPU, since MPS has no float64
    precision = torch.finfo(at_least_float32(covariance).dtype).eps
    if (exact - exact.T).abs().max() > 1e3 * precision * exact.abs().max():
        raise DataError("A covariance is symmetric, and this one is not. Use (V + V.T) / 2.")
    factor, failed = torch.linalg.cholesky_ex(exact)
    smallest, largest = factor.diagonal().square().min(), exact.diagonal().max()
    if failed or not smallest > len(exact) * precision * largest:
        raise DataError(
            f"The covariance {tuple(covariance.shape)} is singular or not positive definite, so it "
            "cannot be inverted. Mix the identity into it, as "
            "`fashionnb.weight_priors.shrunk_covariance` does."
        )
    return factor


def _matrix_normal(weight: Tensor, rows: Tensor | None, columns: Tensor | None) -> Tensor:
    """`matrix_normal` with the factors of U and V."""
    check_array(weight, ("n", "p"), "weight", kind="any", least=1)
    n, p = weight.shape
    for name, factor, size in (("rows", rows, n), ("columns", columns, p)):
        if factor is not None and len(factor) != size:
            raise DataError(
                f"The covariance of the {name} of a weight {(n, p)} is {(size, size)}, got "
                f"{tuple(factor.shape)}. PyTorch's linear weights are (outputs, inputs): inputs "
                "are the columns."
            )
    # With U = L Lᵀ and V = M Mᵀ the trace is the sum of squares of L⁻¹ W M⁻ᵀ, and log|U| twice
    # that of the diagonal of L.
    x, constant = _checked(weight), n * p / 2 * math.log(2 * math.pi)
    if rows is not None:
        x = torch.linalg.solve_triangular(rows.to(x), x, upper=False)
        constant += p * rows.diagonal().log().sum().item()
    if columns is not None:
        x = torch.linalg.solve_triangular(columns.T.to(x), x, upper=True, left=False)
        constant += n * columns.diagonal().log().sum().item()
    return x.square().sum() / 2 + constant


def _total(terms: list[Tensor]) -> Tensor:
    return torch.stack(terms).sum() if terms else torch.zeros(())


def _checked(x: Tensor) -> Tensor:
    """At least float32, since sums in half precision lose most of what they add."""
    check_finite(x, "tensor")
    return at_least_float32(x)
