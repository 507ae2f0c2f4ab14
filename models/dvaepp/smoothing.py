"""Smoothing of bits: s in [0, 1] (or beyond) given a bit z, reparameterised through the inverse CDF of q(s | x).

Vahdat et al., "DVAE++", sections 3 and appendices A and B. With q = q(z = 1 | x) = sigmoid(logit), s is drawn by
inverting the CDF of the mixture (1 - q) r(s | 0) + q r(s | 1) at a uniform rho, a differentiable function of the logit.
As the inverse temperature beta grows, s becomes z. All take logit and rho of one shape and give s of that shape.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LOGIT_MAX = 12.0  # q is clipped to [sigmoid(-LOGIT_MAX), sigmoid(LOGIT_MAX)]


def exponential(logit: Tensor, rho: Tensor, beta: Tensor) -> Tensor:
    """Overlapping exponentials r(s|0) = e^(-beta s) / Z, r(s|1) = e^(beta (s - 1)) / Z on [0, 1] (eq. 3).

    s = -ln(m) / beta with m the positive root of m^2 + b m + c = 0, c < 0: (-b + d) / 2 with d = sqrt(b^2 - 4 c), which
    cancels for positive b, where the same root is -2 c / (b + d).
    """
    logit = logit.clamp(-LOGIT_MAX, LOGIT_MAX)
    q, rest = torch.sigmoid(logit), torch.sigmoid(-logit)
    low = torch.exp(-beta)
    b = (rho + low * (q - rho)) / rest - 1
    c = -q * low / rest
    d = torch.sqrt(b.square() - 4 * c)
    above, below = _split(b)
    root = torch.where(b > 0, -2 * c / (above + d), (d - below) / 2)
    return (-torch.log(root) / beta).clamp(0, 1)


def _split(b: Tensor) -> tuple[Tensor, Tensor]:
    """b where it is positive and b where it is not, 0 elsewhere: each form of a root meets its own side alone.

    No clamp, whose gradient at 0 differs between versions of torch: at b = 0 the second has gradient 1, as its root.
    """
    return torch.where(b > 0, b, 0.0), torch.where(b > 0, 0.0, b)


def log_ratio(s: Tensor, beta: Tensor | float) -> Tensor:
    """ln r(s | 1) - ln r(s | 0) of the overlapping exponentials."""
    return beta * (2 * s - 1)


def exponential_log_density(s: Tensor, logit: Tensor, beta: Tensor) -> Tensor:
    """ln of the mixture's density at s."""
    log_z = torch.log(-torch.expm1(-beta)) - torch.log(beta)
    zero, one = F.logsigmoid(-logit) - beta * s, F.logsigmoid(logit) + beta * (s - 1)
    return torch.logaddexp(zero, one) - log_z


def logistic(logit: Tensor, rho: Tensor, beta: Tensor) -> Tensor:
    """Logistics of scale 1 / beta at 0 and 1 (appendix B), on the whole line.

    With m = e^(-beta s), the CDF is (1 - q) / (1 + m) + q / (1 + m e^beta), a quadratic in m once it equals rho.
    """
    logit = logit.clamp(-LOGIT_MAX, LOGIT_MAX)
    q, rest = torch.sigmoid(logit), torch.sigmoid(-logit)
    rho = rho.clamp(1e-6, 1 - 1e-6)
    low = torch.exp(-beta)  # of m' = m e^beta: rho m'^2 low + b m' - (1 - rho) = 0
    b = rho * (1 + low) - rest - q * low
    d = torch.sqrt(b.square() + 4 * rho * low * (1 - rho))
    above, below = _split(b)
    root = torch.where(b > 0, 2 * (1 - rho) / (above + d), (d - below) / (2 * rho * low))
    return 1 - torch.log(root) / beta


def spike_and_exponential(logit: Tensor, rho: Tensor, beta: Tensor) -> Tensor:
    """r(s|0) a spike at 0, r(s|1) = beta e^(beta s) / (e^beta - 1) on [0, 1] (Rolfe 2016): the paper's baseline."""
    logit = logit.clamp(-LOGIT_MAX, LOGIT_MAX)
    q, rest = torch.sigmoid(logit), torch.sigmoid(-logit)
    share = ((rho - rest) / q).clamp_min(0)
    return torch.log1p(share * torch.expm1(beta)) / beta


def concrete(logit: Tensor, rho: Tensor, beta: Tensor) -> Tensor:
    """Binary Concrete, or Gumbel-Softmax, of temperature 1 / beta (Maddison et al. 2016; Jang et al. 2016)."""
    return torch.sigmoid(beta * (logit + torch.logit(rho, eps=1e-6)))
