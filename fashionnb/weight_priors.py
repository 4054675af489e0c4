"""What PolaniaNet believes of its weights before it has seen an outfit, as terms of a loss.

Maximum a posteriori (MAP): the loss is minus the logarithm of the likelihood times the prior, so each belief is a term
that is added. Each term is here by itself, constants included, and `MAPLoss` adds them with their weights. They know
tensors only; the network is in `fashionnb.models.compatibility`.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from fashionnb.errors import DataError


def laplacian(weights: Sequence[Tensor] | Tensor, scale: float = 1.0) -> Tensor:
    """Minus the log density of weights that are mostly near 0: ``|w| / b + log 2b``, summed over all. Chapter 09.

    A Laplace distribution around 0 with the scale b. Its minimum has many weights at exactly 0: sparsity (Tibshirani
    1996, "Regression Shrinkage and Selection via the Lasso").

    Parameters
    ----------
    weights : one tensor, or several. Without any number the sum is 0.
    scale : b, above 0; the smaller, the nearer to 0 the weights are believed to be.

    Returns
    -------
    loss : scalar, at least float32. It may be below 0, as any minus log density.

    Raises
    ------
    DataError : a scale that is not above 0, or NaN or infinity among the weights.
    """
    if not 0 < scale < math.inf:
        raise DataError(f"The scale of a Laplace distribution is above 0; got {scale!r}.")
    weights = [weights] if isinstance(weights, Tensor) else list(weights)
    terms = [_checked(w).abs().sum() / scale + w.numel() * math.log(2 * scale) for w in weights]
    return torch.stack(terms).sum() if terms else torch.zeros(())


def matrix_normal(
    weight: Tensor, rows: Tensor | None = None, columns: Tensor | None = None
) -> Tensor:
    """Minus the log density of a matrix whose rows, and whose columns, belong together. Introduced in chapter 09.

    ``½ tr(V⁻¹ Wᵀ U⁻¹ W) + (p/2) log|U| + (n/2) log|V| + (np/2) log 2π`` for W of n rows and p columns: the
    matrix-variate normal distribution around 0 (Gupta & Nagar 1999, "Matrix Variate Distributions", chapter 2).

    In PyTorch a linear layer's weight is (outputs, inputs). "Correlations between the input units", which the paper is
    about, are therefore the covariance of the *columns*, V.

    Parameters
    ----------
    weight : W, (n, p).
    rows : U, (n, n), symmetric and positive definite: how the rows vary together. None: the identity.
    columns : V, (p, p), the same for the columns. Both are given, not learnt: no gradient goes into them.

    Returns
    -------
    loss : scalar, at least float32; with two identities half the sum of squares, and the constant.

    Raises
    ------
    DataError : other shapes, NaN or infinity; or a covariance that is not symmetric, or not positive definite.
    """
    return _matrix_normal(weight, _factor(rows), _factor(columns))


def shrunk_covariance(values: Tensor, share: float = 0.1) -> Tensor:
    """The covariance of some units, mixed with equal variances so that it can be inverted. Introduced in chapter 09.

    (1 - share) S + share (tr S / p) I, with S the covariance (divided by n) of p units over n samples. Ledoit & Wolf
    2004, "A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices". Divided by the mean variance, so
    that it says which units belong together and not how large they are.

    Parameters
    ----------
    values : (n, p), the units of a layer for n samples; n is 2 or more.
    share : of the identity, above 0 and up to 1.

    Returns
    -------
    (p, p), at least float32, with the mean 1 on its diagonal.

    Raises
    ------
    DataError : another shape, NaN or infinity, units that never change, or a share outside its range.
    """
    if values.ndim != 2 or len(values) < 2 or not values.shape[1] or not 0 < share <= 1:
        raise DataError(
            f"Expected the units of two samples or more (n, p), and a share above 0, up to 1; got "
            f"{tuple(values.shape)} and {share!r}."
        )
    x = _checked(values.detach())
    x = x - x.mean(0)
    covariance = x.T @ x / len(x)
    mean = covariance.diagonal().mean()
    if not mean > 0:
        raise DataError("The units are the same for all samples, so they have no covariance.")
    return (1 - share) * covariance / mean + share * torch.eye(
        len(covariance), dtype=x.dtype, device=x.device
    )


class MAPLoss:
    """Cross-entropy and the priors of PolaniaNet, each with its weight. Introduced in chapter 09.

    After Polanià & Gupte 2019: binary cross-entropy, a matrix-normal prior on the weights of the layers that judge, a
    Laplacian prior on the siamese filters; and, which the paper lacks, a Laplacian prior on the judging weights.
    The cross-entropy is a mean over pairs. So weights of 1 / (number of training pairs) make the whole minus the log
    posterior, divided by that number. A prior with the weight 0 is neither computed nor logged.

    Parameters
    ----------
    normal, filters, classifier : the weights of the three priors, 0 or more.
    rows, columns : the covariances U and V of each judging layer, None for the identity; None: all are the identity.
        `columns` are those between input units, for instance `shrunk_covariance` of what the layer is fed.
    filter_scale, classifier_scale : b of the two Laplacians.

    Raises
    ------
    DataError : a negative weight, a scale that is not above 0, or a covariance as in `matrix_normal`.
    """

    def __init__(
        self,
        normal: float = 0.0,
        filters: float = 0.0,
        classifier: float = 0.0,
        rows: Sequence[Tensor | None] | None = None,
        columns: Sequence[Tensor | None] | None = None,
        filter_scale: float = 1.0,
        classifier_scale: float = 1.0,
    ) -> None:
        self.weights = {"normal": normal, "filters": filters, "classifier": classifier}
        if not all(0 <= weight < math.inf for weight in self.weights.values()):
            raise DataError(f"Weights of priors are 0 or more; got {self.weights}.")
        self.scales = {"filters": filter_scale, "classifier": classifier_scale}
        if not all(0 < scale < math.inf for scale in self.scales.values()):
            raise DataError(f"The scales of Laplace distributions are above 0; got {self.scales}.")
        # Their factors are computed once, here: a step of training only solves with them.
        self.rows, self.columns = (
            [_factor(each) for each in some or ()] for some in (rows, columns)
        )

    def __call__(
        self,
        logits: Tensor,
        labels: Tensor,
        judges: Sequence[Tensor] = (),
        filters: Sequence[Tensor] = (),
    ) -> tuple[Tensor, dict[str, float]]:
        """The loss, and its terms as numbers, without their weights, for `fashionnb.training.fit` to log.

        Parameters
        ----------
        logits, labels : (n,) float and (n,) 0 or 1.
        judges, filters : the weights that the priors are about, as `judges()` and `filters()` of
            `fashionnb.models.compatibility.PolaniaNet` give them.

        Returns
        -------
        loss, numbers : scalar, at least float32; "cross entropy", and the priors that count by their weights' names.

        Raises
        ------
        DataError : shapes disagree, NaN or infinity, labels other than 0 and 1, or not one covariance for each layer.
        """
        terms = {"cross entropy": self.cross_entropy(logits, labels)}
        for name, compute in {
            "normal": lambda: self.normal(judges),
            "filters": lambda: self.filters(filters),
            "classifier": lambda: self.classifier(judges),
        }.items():
            if self.weights[name]:
                terms[name] = compute().to(logits.device)
        loss = sum(self.weights.get(name, 1.0) * term for name, term in terms.items())
        return loss, {name: term.item() for name, term in terms.items()}

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean binary cross-entropy: -log of the probability given to what is true, over the pairs."""
        if logits.shape != labels.shape or logits.ndim != 1 or not len(logits):
            raise DataError(
                f"Expected logits (n,) and labels (n,), n at least 1; got {tuple(logits.shape)} and "
                f"{tuple(labels.shape)}."
            )
        if not ((labels == 0) | (labels == 1)).all():
            raise DataError(
                f"Labels are 1 (goes together) or 0; got {labels.unique().tolist()[:4]}."
            )
        logits = _checked(logits)
        return binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))

    def normal(self, judges: Sequence[Tensor]) -> Tensor:
        """The sum of `matrix_normal` over the judging layers, with their covariances."""
        given = {
            "rows": self.rows or [None] * len(judges),
            "columns": self.columns or [None] * len(judges),
        }
        if any(len(some) != len(judges) for some in given.values()):
            raise DataError(
                f"Give one covariance for each of {len(judges)} judging layers, None for the identity; got "
                f"{', '.join(f'{len(some)} for the {name}' for name, some in given.items())}."
            )
        terms = [_matrix_normal(*each) for each in zip(judges, *given.values(), strict=True)]
        return torch.stack(terms).sum() if terms else torch.zeros(())

    def filters(self, filters: Sequence[Tensor]) -> Tensor:
        """`laplacian` of the siamese filters."""
        return laplacian(filters, self.scales["filters"])

    def classifier(self, judges: Sequence[Tensor]) -> Tensor:
        """`laplacian` of the judging layers."""
        return laplacian(judges, self.scales["classifier"])


def _factor(covariance: Tensor | None) -> Tensor | None:
    """The lower triangle L, float64, with L Lᵀ = covariance; None for the identity."""
    if covariance is None:
        return None
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1]:
        raise DataError(f"A covariance is a square matrix, got {tuple(covariance.shape)}.")
    exact = _checked(covariance.detach()).cpu().double()  # on the CPU, since MPS has no float64
    largest, precision = (
        exact.diagonal().max(),
        torch.finfo(_at_least_float32(covariance).dtype).eps,
    )
    if (exact - exact.T).abs().max() > 1e3 * precision * exact.abs().max():
        raise DataError("A covariance is symmetric, and this one is not. Use (V + V.T) / 2.")
    factor, failed = torch.linalg.cholesky_ex(exact)
    smallest = factor.diagonal().square().min()
    if failed or not smallest > len(exact) * precision * largest:
        raise DataError(
            f"The covariance {tuple(covariance.shape)} is singular or not positive definite, so it cannot be inverted. "
            "Mix the identity into it, as `fashionnb.weight_priors.shrunk_covariance` does."
        )
    return factor


def _matrix_normal(weight: Tensor, rows: Tensor | None, columns: Tensor | None) -> Tensor:
    """`matrix_normal` with the factors of U and V."""
    if weight.ndim != 2:
        raise DataError(
            f"A matrix-normal prior is about a matrix (n, p), got {tuple(weight.shape)}."
        )
    n, p = weight.shape
    for name, factor, size in (("rows", rows, n), ("columns", columns, p)):
        if factor is not None and len(factor) != size:
            raise DataError(
                f"The covariance of the {name} of a weight {(n, p)} is {(size, size)}, got {tuple(factor.shape)}. "
                "PyTorch's linear weights are (outputs, inputs): inputs are the columns."
            )
    # With U = L Lᵀ and V = M Mᵀ the trace is the sum of squares of L⁻¹ W M⁻ᵀ, and log|U| twice that of L's diagonal.
    x, constant = _checked(weight), n * p / 2 * math.log(2 * math.pi)
    if rows is not None:
        x = torch.linalg.solve_triangular(rows.to(x), x, upper=False)
        constant += p * rows.diagonal().log().sum().item()
    if columns is not None:
        x = torch.linalg.solve_triangular(columns.T.to(x), x, upper=True, left=False)
        constant += n * columns.diagonal().log().sum().item()
    return x.square().sum() / 2 + constant


def _checked(x: Tensor) -> Tensor:
    """At least float32, since sums in half precision lose most of what they add."""
    if not x.isfinite().all():
        raise DataError(
            f"NaN or infinity in a tensor {tuple(x.shape)}: the training has diverged, or the data do."
        )
    return _at_least_float32(x)


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
