"""fashionnb.weight_priors: each term is its closed form, constants included; gradients; rows and columns."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import laplace
from scipy.stats import matrix_normal as scipy_matrix_normal

from fashionnb.errors import DataError
from fashionnb.models.compatibility import PolaniaNet
from fashionnb.weight_priors import MAPLoss, laplacian, matrix_normal, shrunk_covariance


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def covariance(size, seed=0, dtype=torch.float64):
    x = drawn(size, size + 3, seed=seed)
    return (x @ x.T / size + 0.1 * torch.eye(size, dtype=torch.float64)).to(dtype)


def closed_form(w, u, v):
    """½ tr(V⁻¹ Wᵀ U⁻¹ W) + (p/2) log|U| + (n/2) log|V| + (np/2) log 2π, with inverses and determinants."""
    n, p = w.shape
    trace = torch.trace(torch.inverse(v) @ w.T @ torch.inverse(u) @ w)
    constants = (
        p / 2 * torch.logdet(u) + n / 2 * torch.logdet(v) + n * p / 2 * math.log(2 * math.pi)
    )
    return (trace / 2 + constants).item()


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_matrix_normal_is_its_closed_form(n, p, seed):
    w, u, v = drawn(n, p, seed=seed), covariance(n, seed), covariance(p, seed + 1)
    found = matrix_normal(w, u, v)
    assert found.item() == pytest.approx(closed_form(w, u, v))
    assert found.item() == pytest.approx(
        -scipy_matrix_normal.logpdf(w.numpy(), None, u.numpy(), v.numpy())
    )


def test_matrix_normal_with_identities_is_half_the_sum_of_squares():
    w = drawn(3, 5)
    expected = w.square().sum().item() / 2 + 15 / 2 * math.log(2 * math.pi)
    for u, v in (
        (None, None),
        (torch.eye(3), None),
        (None, torch.eye(5)),
        (torch.eye(3), torch.eye(5)),
    ):
        assert matrix_normal(w, u, v).item() == pytest.approx(expected)


def test_matrix_normal_is_a_multivariate_normal_of_the_columns_one_below_the_other():
    w, u, v = drawn(2, 3), covariance(2), covariance(3, 1)
    whole = torch.distributions.MultivariateNormal(
        torch.zeros(6, dtype=torch.float64), torch.kron(v, u)
    )
    assert matrix_normal(w, u, v).item() == pytest.approx(-whole.log_prob(w.T.reshape(-1)).item())


def test_covariance_between_input_units_is_that_of_the_columns():
    """PyTorch's weight is (outputs, inputs). Two inputs that always come together should have similar weights."""
    layer = torch.nn.Linear(
        4, 4, bias=False, dtype=torch.float64
    )  # square, so that no shape warns of an exchange
    together = torch.eye(4, dtype=torch.float64)
    together[0, 1] = together[1, 0] = 0.9
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[:, 0] = layer.weight[:, 1] = torch.tensor(
            [1.0, -1, 1, -1]
        )  # inputs 0 and 1 agree
    agreeing = MAPLoss(normal=1, columns=[together]).normal([layer.weight])
    with torch.no_grad():
        layer.weight[:, 1] *= -1  # now they contradict each other
    contradicting = MAPLoss(normal=1, columns=[together]).normal([layer.weight])
    assert (contradicting - agreeing).item() == pytest.approx(
        4 * (1 / 0.1 - 1 / 1.9)
    )  # 4 outputs × (λ⁻¹ of (1,-1) - of (1,1))
    # Exchanged, the rows 0 and 1 would be what belongs together, and they contradict each other in both cases.
    assert matrix_normal(layer.weight, rows=together).item() != pytest.approx(contradicting.item())
    assert matrix_normal(layer.weight.T, rows=together).item() == pytest.approx(
        contradicting.item()
    )


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(-5, 5), max_size=8), st.floats(0.05, 4))
def test_laplacian_is_its_closed_form(values, scale):
    w = torch.tensor(values, dtype=torch.float64)
    assert laplacian(w, scale).item() == pytest.approx(
        sum(abs(x) / scale + math.log(2 * scale) for x in values)
    )
    assert laplacian([w, w], scale).item() == pytest.approx(
        -2 * laplace.logpdf(values, scale=scale).sum()
    )


def test_nothing_has_no_prior():
    assert laplacian([]) == MAPLoss(normal=1).normal([]) == 0


def test_gradients():
    w, u, v = drawn(3, 4).requires_grad_(), covariance(3), covariance(4, 1)
    assert torch.autograd.gradcheck(lambda w: matrix_normal(w, u, v), w)
    assert torch.autograd.gradcheck(lambda w: laplacian(w, 0.3), w)
    whole = MAPLoss(0.1, 0.2, 0.3, columns=[v])
    logits, labels = drawn(5).requires_grad_(), torch.tensor([1.0, 0, 0, 1, 1], dtype=torch.float64)
    assert torch.autograd.gradcheck(whole.cross_entropy, (logits, labels))
    assert torch.autograd.gradcheck(
        lambda *x: whole(x[0], labels, [x[1]], [x[2]])[0], (logits, w, drawn(2, 3, 3, 3))
    )


def test_the_gradient_of_the_normal_prior_is_that_of_the_textbook():
    w, u, v = drawn(3, 4).requires_grad_(), covariance(3), covariance(4, 1)
    matrix_normal(w, u, v).backward()
    torch.testing.assert_close(w.grad, torch.inverse(u) @ w.detach() @ torch.inverse(v))


def test_the_whole_is_the_weighted_sum_of_its_terms():
    logits, labels = drawn(6), torch.tensor([1, 0, 1, 1, 0, 0])
    judges, filters = (
        [drawn(3, 4, seed=1), drawn(1, 3, seed=2)],
        [drawn(2, 3, 3, 3, seed=3), drawn(4, 2, seed=4)],
    )
    columns = [covariance(4), None]
    loss, numbers = MAPLoss(0.1, 0.2, 0.3, columns=columns)(logits, labels, judges, filters)
    p = logits.sigmoid()
    entropy = -torch.where(labels > 0, p, 1 - p).log().mean().item()
    normal = sum(closed_form(w, torch.eye(len(w)).double(), v) for w, v in
                 zip(judges, [columns[0], torch.eye(3).double()], strict=True))  # fmt: skip
    sparse = sum(w.abs().sum().item() + w.numel() * math.log(2) for w in filters)
    judged = sum(w.abs().sum().item() + w.numel() * math.log(2) for w in judges)
    expected = {"cross entropy": entropy, "normal": normal, "filters": sparse, "classifier": judged}
    assert numbers == pytest.approx(expected)
    assert loss.item() == pytest.approx(entropy + 0.1 * normal + 0.2 * sparse + 0.3 * judged)


def test_weights_of_one_over_n_make_it_minus_the_log_posterior():
    logits, labels, w = (
        drawn(6),
        torch.tensor([1.0, 0, 1, 1, 0, 0], dtype=torch.float64),
        drawn(2, 3),
    )
    loss, _ = MAPLoss(normal=1 / 6)(logits, labels, [w])
    likelihood = torch.distributions.Bernoulli(logits=logits).log_prob(labels).sum()
    prior = torch.distributions.Normal(0, 1).log_prob(w).sum()
    assert loss.item() == pytest.approx(-(likelihood + prior).item() / 6)


def test_without_priors_it_is_the_cross_entropy():
    logits, labels = drawn(4), torch.tensor([1.0, 0, 1, 0])
    loss, numbers = MAPLoss()(logits, labels, [drawn(2, 2)], [drawn(2, 2)])
    assert list(numbers) == ["cross entropy"]
    assert loss.item() == pytest.approx(numbers["cross entropy"])


def test_it_fits_polania():
    model = PolaniaNet(width=6)
    columns = [shrunk_covariance(drawn(50, 536, dtype=torch.float32)), None, None]
    loss, numbers = MAPLoss(1e-4, 1e-5, 1e-5, columns=columns)(
        torch.zeros(4, requires_grad=True), torch.ones(4), model.judges(), model.filters()
    )
    loss.backward()
    assert numbers["cross entropy"] == pytest.approx(math.log(2))
    assert numbers["filters"] == pytest.approx(laplacian(model.filters()).item())
    assert all(w.grad.abs().sum() > 0 for w in (*model.judges(), *model.filters()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    w = torch.full((300, 300), 0.1, dtype=dtype)
    exact = w.float()
    columns = covariance(300, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = [laplacian(w), matrix_normal(w), matrix_normal(w, columns=columns)]
        found.append(MAPLoss(1.0)(torch.zeros(3, dtype=dtype), torch.ones(3), [w])[0])
    assert [x.dtype for x in found] == 4 * [torch.float32]
    expected = [laplacian(exact), matrix_normal(exact), matrix_normal(exact, columns=columns)]
    torch.testing.assert_close(found[:3], expected)
    assert found[2].item() == pytest.approx(
        matrix_normal(exact.double(), columns=columns.double()).item(), rel=1e-3
    )


def test_shrunk_covariance_is_its_definition_and_can_be_inverted():
    x = drawn(5, 8, seed=3)  # fewer samples than units: the covariance itself is singular
    s = torch.cov(x.T, correction=0)
    expected = 0.8 * s / (torch.trace(s) / 8) + 0.2 * torch.eye(8, dtype=torch.float64)
    found = shrunk_covariance(x, 0.2)
    torch.testing.assert_close(found, expected)
    assert found.diagonal().mean().item() == pytest.approx(1)
    assert matrix_normal(drawn(2, 8), columns=found).isfinite()
    torch.testing.assert_close(
        shrunk_covariance(100 * x, 0.2), found
    )  # how large the units are does not matter


SINGULAR = torch.ones(3, 3)
w = torch.ones(2, 3)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: matrix_normal(w, columns=SINGULAR),
            "singular or not positive definite.*shrunk_covariance",
        ),
        (lambda: matrix_normal(w, columns=torch.zeros(3, 3)), "singular"),
        (lambda: matrix_normal(w, columns=torch.cov(drawn(3, 3).float())), "singular"),
        (
            lambda: matrix_normal(w, rows=torch.tensor([[1.0, 2.0], [2.0, 1.0]])),
            "not positive definite",
        ),
        (lambda: matrix_normal(w, rows=torch.tensor([[1.0, 0.5], [0.0, 1.0]])), "symmetric"),
        (
            lambda: matrix_normal(w, rows=torch.eye(3)),
            r"rows of a weight \(2, 3\) is \(2, 2\), got \(3, 3\)",
        ),
        (lambda: matrix_normal(w, columns=torch.eye(2)), r"inputs are the columns"),
        (lambda: matrix_normal(w, columns=torch.ones(3)), "covariance: expected .*square"),
        (
            lambda: matrix_normal(torch.ones(2, 3, 3)),
            r"weight: expected an array of shape \(n, p\)",
        ),
        (lambda: matrix_normal(w * torch.nan), "NaN or infinity"),
        (lambda: matrix_normal(w, columns=torch.eye(3) * torch.inf), "NaN or infinity"),
        (lambda: laplacian(w * torch.inf), "NaN or infinity"),
        (lambda: laplacian(w, 0), "scale of a Laplace distribution is above 0"),
        (lambda: MAPLoss(normal=-1), "Weights of priors are 0 or more"),
        (lambda: MAPLoss(normal=1, columns=[SINGULAR]), "singular"),
        (
            lambda: MAPLoss(normal=1, columns=[None])(torch.ones(2), torch.ones(2), [w, w]),
            "2 layers of the classifier.*got 1",
        ),
        (
            lambda: MAPLoss()(torch.ones(2), torch.ones(3)),
            r"labels: expected an array of shape \(2,\)",
        ),
        (lambda: MAPLoss()(torch.ones(0), torch.ones(0)), "every length at least 1"),
        (
            lambda: MAPLoss()(torch.ones(2), torch.tensor([1.0, 2.0])),
            "Labels are 1 .compatible. or 0",
        ),
        (lambda: MAPLoss()(torch.tensor([torch.nan]), torch.ones(1)), "NaN"),
        (lambda: shrunk_covariance(torch.ones(1, 3)), "two samples or more"),
        (lambda: shrunk_covariance(torch.ones(4, 3)), "the same for all samples"),
        (lambda: shrunk_covariance(torch.rand(4, 3), 0), "share above 0"),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(DataError, match=said):
        call()
