"""The paper's feed-forward models on bits alone (sections 7.1 and 7.2), in real numbers: not for files.

    x ---> q(z1 | x) --> s1 ---> q(z2 | x, s1) --> s2          prior: Bernoulli, p(z2 | s1) told by s1, or the machine
                         s1, s2 ---> p(x | s1, s2)

Every arrow is a linear layer, or two hidden ones of 200 tanh units before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlcodec.models.dvaepp import smoothing
from vlcodec.models.dvaepp.data import Pictures
from vlcodec.models.dvaepp.rbm import Rbm

HIDDEN = 200
PIXELS = 28 * 28
SMOOTHINGS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "exponential": smoothing.exponential,
    "logistic": smoothing.logistic,
    "spike": smoothing.spike_and_exponential,
    "concrete": smoothing.concrete,
}


@dataclass(frozen=True)
class FlatShape:
    """layers: of bits, with so many each. bound: joint (eq. 4), marginal (eq. 5, of exponentials), rbm (section 5)."""

    bits: int
    layers: Literal[1, 2]
    nonlinear: bool
    smoothing: str
    bound: Literal["joint", "marginal", "rbm"]
    beta: tuple[float, float]


class FlatNet(nn.Module):
    """mean: (784,) of the training pictures, which the encoder subtracts and the decoder begins with."""

    mean: Tensor

    def __init__(self, shape: FlatShape, mean: Tensor) -> None:
        super().__init__()
        self.shape, n = shape, shape.bits
        self.register_buffer("mean", mean)
        self.encoders = nn.ModuleList(self._map(PIXELS + n * i, n) for i in range(shape.layers))
        self.decoder = self._map(n * shape.layers, PIXELS)
        if shape.bound == "rbm":
            self.rbm = Rbm(n * shape.layers // 2, 1)
        else:
            self.first = nn.Parameter(torch.zeros(n))
            self.priors = nn.ModuleList(self._map(n * i, n) for i in range(1, shape.layers))
        with torch.no_grad():
            cast(nn.Linear, self.decoder[-1]).bias.copy_(torch.logit(mean.clamp(0.001, 0.999)))

    def _map(self, inputs: int, outputs: int) -> nn.Sequential:
        if not self.shape.nonlinear:
            return nn.Sequential(nn.Linear(inputs, outputs))
        hidden = [nn.Linear(inputs, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh()]
        return nn.Sequential(*hidden, nn.Linear(HIDDEN, outputs))

    def posterior(self, x: Tensor, s: list[Tensor]) -> Tensor:
        """Log-odds of the layer's bits given x (N, 784) and the earlier layers' s."""
        found: Tensor = self.encoders[len(s)](torch.cat([x - self.mean, *(2 * t - 1 for t in s)], -1))
        return found

    def prior(self, s: list[Tensor]) -> Tensor:
        """Likewise of the directed prior."""
        return self.priors[len(s) - 1](torch.cat([2 * t - 1 for t in s], -1)) if s else self.first

    def pixel_nats(self, x: Tensor, s: list[Tensor]) -> Tensor:
        """(N,) -ln p(x | s)."""
        logit = self.decoder(torch.cat([2 * t - 1 for t in s], -1))
        return F.binary_cross_entropy_with_logits(logit, x, reduction="none").sum(-1)

    def objective(self, x: Tensor, beta: Tensor, chains: tuple[Tensor, Tensor] | None) -> dict[str, Tensor]:
        """ "loss": the bound's mean over pictures, but for ln Z, whose gradient alone the chains give."""
        drawn, logits, kl = list[Tensor](), list[Tensor](), x.new_zeros(len(x))
        for _ in range(self.shape.layers):
            logit = self.posterior(x, drawn)
            s = SMOOTHINGS[self.shape.smoothing](logit, torch.rand_like(logit), beta)
            if self.shape.bound == "marginal":
                prior = self.prior(drawn).expand_as(logit)
                density = smoothing.exponential_log_density
                kl = kl + (density(s, logit, beta) - density(s, prior, beta)).sum(-1)
            elif self.shape.bound == "joint":
                prior, q = self.prior(drawn).expand_as(logit), torch.sigmoid(logit)
                kl = kl + (F.softplus(prior) - q * prior - F.softplus(logit) + q * logit).sum(-1)
            else:
                kl = kl - (F.softplus(logit) - torch.sigmoid(logit) * logit).sum(-1)
            logits.append(logit)
            drawn.append(s)
        loss = (self.pixel_nats(x, drawn) + kl).mean()
        if chains is not None:
            loss = loss - self._score(logits, drawn, beta).mean() + self.rbm.score(*chains).mean()
        return {"loss": loss}

    def _score(self, logits: list[Tensor], drawn: list[Tensor], beta: Tensor) -> Tensor:
        """-E, on average over z given s."""
        first, second = torch.sigmoid(torch.cat(logits, -1)).split(self.rbm.bits, -1)
        if self.shape.layers == 1:
            return self.rbm.score(first, second)
        given = torch.sigmoid(logits[0] + smoothing.log_ratio(drawn[0], beta))
        # of a spike z is known once s is: the gradient then goes through s alone
        coupled = given if self.shape.smoothing == "exponential" else drawn[0]
        return self.rbm.score(first, second, coupled)

    def sampled_nats(self, x: Tensor, samples: int, log_z: float) -> Tensor:
        """(N, samples) ln q(z | x) - ln p(x, z) at infinite beta. x (N, 784) of 0 and 1."""
        x = x.repeat_interleave(samples, 0)
        bits, nats = list[Tensor](), x.new_zeros(len(x))
        for _ in range(self.shape.layers):
            logit = self.posterior(x, bits)
            z = torch.bernoulli(torch.sigmoid(logit))
            nats = nats - F.binary_cross_entropy_with_logits(logit, z, reduction="none").sum(-1)
            if self.shape.bound != "rbm":
                prior = self.prior(bits).expand_as(z)
                nats = nats + F.binary_cross_entropy_with_logits(prior, z, reduction="none").sum(-1)
            bits.append(z)
        if self.shape.bound == "rbm":
            nats = nats + log_z - self.rbm.score(*torch.cat(bits, -1).split(self.rbm.bits, -1))
        return (nats + self.pixel_nats(x, bits)).view(-1, samples)


class FlatTask:
    """See models.training.loop.Task: Adam with an epsilon of 10^-3, beta rising over the run."""

    terms: tuple[str, ...] = ("loss",)
    average = 0.998
    exported = False

    def __init__(self, net: FlatNet, data: Pictures, batch: int) -> None:
        self.net, self._data, self._batch = net, data, batch
        self.objective: Callable[..., dict[str, Tensor]] = net.objective

    def optimisers(self, rate: float) -> list[torch.optim.Optimizer]:
        """Adam."""
        return [torch.optim.Adam([{"params": list(self.net.parameters()), "share": 1.0}], lr=rate, eps=1e-3)]

    def arguments(self, step: int, steps: int, rng: torch.Generator) -> tuple[Any, ...]:
        """Of the objective at a step."""
        low, high = self.net.shape.beta
        beta = torch.tensor(low + (high - low) * step / steps)
        x = self._data.batch(self._batch, rng).reshape(self._batch, -1)
        return x, beta, self.net.rbm.sample() if self.net.shape.bound == "rbm" else None

    def finish(self) -> None:
        """Nothing."""

    def measure(self) -> list[dict[str, float]]:
        """Nothing: a study measures on test pictures."""
        return []
