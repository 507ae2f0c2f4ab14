"""Variants of the DVAE++ nets for the paper's third comparison, in real numbers: not for files.

A Bernoulli prior is a machine without couplings. Bernoulli locals take the place of the gaussian ones in every group:
bits smoothed by exponentials, with the marginal bound (eq. 5) of their own, and of 0 and 1 once they are measured.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlcodec.models.dvaepp.net import Dvaepp, DvaeppShape
from vlcodec.models.dvaepp.smoothing import exponential, exponential_log_density
from vlcodec.models.dvaepp.training import DvaeppTask
from vlcodec.models.layers.activations import FINE_UNIT
from vlcodec.models.layers.ends import head
from vlcodec.models.layers.exact import OWN
from vlcodec.models.layers.fine import fine_layer
from vlcodec.models.layers.mode import IntegerModule

BETA = 10.0  # inverse temperature of the locals
LIMIT = 16 * FINE_UNIT


class BernoulliEnds(IntegerModule):
    """See layers.ends.Ends: parameters are log-odds, in 1/1024 nat; once measured, bits are 0 or 1."""

    def __init__(self, width: int, latents: int) -> None:
        super().__init__()
        self.logit, self.shift = (head(width, latents, 1.0, -LIMIT, LIMIT) for _ in range(2))
        self.enter = fine_layer(OWN, latents, width, input_max=FINE_UNIT)

    def prior(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """h (N, s, s, width) -> log-odds (N, s, s, latents), twice."""
        logit = self.logit(h)
        return logit, logit

    def posterior(self, merged: Tensor, prior: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Likewise, as a difference to the prior."""
        logit = prior[0] + self.shift(merged)
        return logit, logit

    def middle(self, prior: tuple[Tensor, Tensor]) -> Tensor:
        """Mean bits under the prior, as +-1024."""
        return FINE_UNIT * (2 * torch.sigmoid(prior[0] / FINE_UNIT) - 1)

    def draw(self, prior: tuple[Tensor, Tensor], posterior: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Smoothed bits as +-1024, and one-sample estimates of the KL (N, s, s, latents), twice."""
        p, q = prior[0] / FINE_UNIT, posterior[0] / FINE_UNIT
        if not torch.is_grad_enabled():
            z = torch.bernoulli(torch.sigmoid(q))
            cost = F.binary_cross_entropy_with_logits
            kl = cost(p, z, reduction="none") - cost(q, z, reduction="none")
            return FINE_UNIT * (2 * z - 1), kl, kl
        beta = q.new_tensor(BETA)
        s = exponential(q, torch.rand_like(q), beta)
        kl = exponential_log_density(s, q, beta) - exponential_log_density(s, p, beta)
        return FINE_UNIT * (2 * s - 1), kl, kl


class VariantNet(Dvaepp):
    """A net with a Bernoulli prior, or with Bernoulli locals, or with both."""

    def __init__(self, shape: DvaeppShape, coupled: bool, gaussian: bool) -> None:
        super().__init__(shape)
        if not coupled:
            self.rbm.other.register_buffer("mask", torch.zeros_like(self.rbm.other.weight), False)
            with torch.no_grad():
                self.rbm.other.weight.zero_()
        if not gaussian:
            for j in range(shape.groups):
                self.group(j).ends = nn.ModuleDict({"gaussian": BernoulliEnds(shape.widths[1], shape.locals)})


def smaller(shape: DvaeppShape) -> DvaeppShape:
    """A net that is trained in minutes on one core."""
    return replace(shape, widths=(16, 32), blocks=(1, 1), scale_blocks=(1, 1), hidden=128)


class VariantTask(DvaeppTask):
    """See training.DvaeppTask."""

    def measure(self) -> list[dict[str, float]]:
        """Nothing: a study measures on test pictures."""
        return []
