"""Smoothing: each draw follows its mixture, and its gradient is the inverse CDF's, against numerical integration."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vlcodec.models.dvaepp import smoothing

Density = Callable[[Tensor, Tensor], Tensor]  # r(s | 0), r(s | 1) at s, given beta
BETAS = [3.0, 8.0, 16.0]
LOGITS = [-6.0, -1.0, 0.0, 0.3, 5.0]
GRID = 200_001


def exponentials(s: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
    z = (1 - torch.exp(-beta)) / beta
    inside = (s >= 0) & (s <= 1)
    return inside * torch.exp(-beta * s) / z, inside * torch.exp(beta * (s - 1)) / z


def logistics(s: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
    def density(x: Tensor) -> Tensor:
        return beta * torch.sigmoid(beta * x) * torch.sigmoid(-beta * x)

    return density(s), density(s - 1)


MIXTURES = {
    "exponential": (smoothing.exponential, exponentials, (0.0, 1.0)),
    "logistic": (smoothing.logistic, logistics, (-8.0, 9.0)),
}


def cdf(density: Callable[..., tuple[Tensor, Tensor]], low: float, s: float, q: Tensor, beta: Tensor) -> Tensor:
    """Of the mixture at s, by the trapezium rule."""
    grid = torch.linspace(low, s, GRID, dtype=torch.float64)
    zero, one = density(grid, beta)
    return torch.trapezoid((1 - q) * zero + q * one, grid)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("logit", LOGITS)
@pytest.mark.parametrize("name", MIXTURES)
def test_a_draw_inverts_the_mixtures_cdf(name: str, logit: float, beta: float) -> None:
    draw, density, (low, _) = MIXTURES[name]
    b, q = torch.tensor(beta, dtype=torch.float64), torch.sigmoid(torch.tensor(logit, dtype=torch.float64))
    for rho in (0.02, 0.3, 0.5, 0.77, 0.98):
        s = draw(torch.tensor([logit], dtype=torch.float64), torch.tensor([rho], dtype=torch.float64), b)
        assert float(cdf(density, low, float(s), q, b)) == pytest.approx(rho, abs=2e-6)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("logit", LOGITS)
@pytest.mark.parametrize("name", MIXTURES)
def test_its_gradient_is_the_implicit_one(name: str, logit: float, beta: float) -> None:
    """ds/dlogit = -(dF/dlogit) / density at s."""
    draw, density, (low, _) = MIXTURES[name]
    b = torch.tensor(beta, dtype=torch.float64)
    for rho in (0.1, 0.5, 0.9):
        x = torch.tensor([logit], dtype=torch.float64, requires_grad=True)
        drawn = draw(x, torch.tensor([rho], dtype=torch.float64), b)
        (found,) = torch.autograd.grad(drawn.sum(), x)
        q, s = torch.sigmoid(x.detach()), drawn.detach()
        zero, one = density(s, b)
        nothing = torch.zeros((), dtype=torch.float64)
        parts = [cdf(density, low, float(s), at, b) for at in (nothing, nothing + 1)]
        wanted = -q * (1 - q) * (parts[1] - parts[0]) / ((1 - q) * zero + q * one)
        assert float(found) == pytest.approx(float(wanted), rel=1e-4, abs=1e-7)


@given(
    st.floats(-40, 40),
    st.floats(0, 1, exclude_max=True),
    st.floats(1, 40),
    st.sampled_from(["exponential", "logistic"]),
)
@settings(max_examples=300, deadline=None)
def test_no_argument_gives_what_is_not_finite(logit: float, rho: float, beta: float, name: str) -> None:
    """In float32, as training has it."""
    x = torch.tensor([logit], requires_grad=True)
    s = MIXTURES[name][0](x, torch.tensor([rho]), torch.tensor(beta))
    (gradient,) = torch.autograd.grad(s.sum(), x)
    assert torch.isfinite(s).all()
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize(
    "draw", [smoothing.exponential, smoothing.logistic, smoothing.spike_and_exponential, smoothing.concrete]
)
def test_at_great_beta_a_draw_is_the_bit(draw: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    rng = torch.Generator().manual_seed(0)
    logit = torch.tensor(0.7, dtype=torch.float64)
    rho = torch.rand(20_000, generator=rng, dtype=torch.float64)
    s = draw(logit.expand(20_000), rho, torch.tensor(300.0, dtype=torch.float64))
    near = (s < 0.1) | (s > 0.9)
    assert float(near.double().mean()) > 0.97
    assert float((s > 0.5).double().mean()) == pytest.approx(float(torch.sigmoid(logit)), abs=0.012)


def test_spike_and_exponential() -> None:
    """With probability 1 - q exactly 0; above, the CDF of the exponential."""
    logit, beta = torch.tensor(0.4, dtype=torch.float64), torch.tensor(6.0, dtype=torch.float64)
    q = torch.sigmoid(logit)
    rho = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)
    s = smoothing.spike_and_exponential(logit.expand(999), rho, beta)
    assert torch.equal(s == 0, rho <= 1 - q)
    above = s[s > 0]
    mass = torch.expm1(beta * above) / torch.expm1(beta)
    torch.testing.assert_close(1 - q + q * mass, rho[s > 0])


def test_concrete() -> None:
    """Its CDF is sigmoid(logit(c) / beta - logit)."""
    logit, beta, c = torch.tensor(0.4, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64), 0.3
    rho = torch.linspace(0.0005, 0.9995, 1000, dtype=torch.float64)
    s = smoothing.concrete(logit.expand(1000), rho, beta)
    below = torch.sigmoid(torch.logit(torch.tensor(c, dtype=torch.float64)) / beta - logit)
    assert float((s <= c).double().mean()) == pytest.approx(float(below), abs=1e-3)


def test_the_density_of_the_mixture_and_the_posterior_of_a_bit() -> None:
    beta = torch.tensor(7.0, dtype=torch.float64)
    for logit in LOGITS:
        x = torch.tensor(logit, dtype=torch.float64)
        q, s = torch.sigmoid(x), torch.linspace(0, 1, GRID, dtype=torch.float64)
        zero, one = exponentials(s, beta)
        density = (1 - q) * zero + q * one
        torch.testing.assert_close(smoothing.exponential_log_density(s, x, beta), density.log())
        assert float(torch.trapezoid(density, s)) == pytest.approx(1, abs=1e-6)
        torch.testing.assert_close(torch.sigmoid(x + smoothing.log_ratio(s, beta)), q * one / density)
