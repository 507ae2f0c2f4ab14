"""The prior of the global bits: a restricted Boltzmann machine, p(z1, z2) = e^(a1 z1 + a2 z2 + z1 W z2) / Z.

Vahdat et al., "DVAE++", section 5. Its normaliser's gradient comes from persistent chains (Tieleman 2008), its value
from enumeration where one side has few bits, otherwise from annealed importance sampling (Salakhutdinov & Murray 2008).
What files are coded with is p(z1) in a form that can be coded, a table or an autoregressive net, then p(z2 | z1), which
is factorial.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlcodec.models.layers.activations import FINE_UNIT
from vlcodec.models.layers.exact import OWN
from vlcodec.models.layers.fine import fine_layer
from vlcodec.models.layers.made import Made
from vlcodec.models.layers.mixture import LOGIT_UNIT

TABLE_BITS = 8  # of z1, at most, for its marginal to be a table
ENUMERATED = 12  # bits of one side, at most, for exact sums
CHAINS, SWEEPS = 256, 5  # of Gibbs sampling, each training step
RUNGS, PARTICLES = 1000, 512  # of annealed importance sampling
LOGIT_LIMIT = 16 * FINE_UNIT  # of coded bits


class Rbm(nn.Module):
    """bits: of z1, and of z2. hidden: of the autoregressive net for p(z1), where it is not a table.

    All energies are in nats; the layers' integers are in 1/1024 nat, of bits that are 0 or 1024.
    """

    chains: Tensor

    def __init__(self, bits: int, hidden: int) -> None:
        super().__init__()
        self.bits = bits
        self.own = fine_layer(OWN, 1, bits, precise=True, init=0.0)  # a1, of which nothing is coded
        self.other = fine_layer(
            OWN, bits, bits, low=-LOGIT_LIMIT, high=LOGIT_LIMIT, input_max=FINE_UNIT, precise=True, init=0.02
        )  # W and a2: the log-odds of z2 given z1
        if bits <= TABLE_BITS:
            gain = LOGIT_UNIT / FINE_UNIT
            self.table = fine_layer(OWN, 1, 2**bits, gain=gain, low=-511, high=0, precise=True, init=0.0)
        else:
            self.made = Made(bits, hidden, FINE_UNIT, FINE_UNIT, LOGIT_LIMIT)
        self.register_buffer("chains", (torch.rand(CHAINS, bits) < 0.5).float())  # z1: kept in checkpoints

    def parameters_of(self) -> tuple[Tensor, Tensor, Tensor]:
        """a1 (bits,), a2 (bits,), W (bits of z1, bits of z2)."""
        return self.own.bias, self.other.bias, self.other.used().t()

    def score(self, first: Tensor, second: Tensor, coupled: Tensor | None = None) -> Tensor:
        """-E (N,) of z1 and z2 (N, bits), or its mean where they are independent and these are means.

        coupled: the mean of z1 that goes with that of z2, where z2 depends on more than z1's own mean.
        """
        a1, a2, w = self.parameters_of()
        with torch.autocast(first.device.type, enabled=False):
            return first @ a1 + second @ a2 + (((first if coupled is None else coupled) @ w) * second).sum(-1)

    def free(self, first: Tensor) -> Tensor:
        """ln of the sum of e^-E over z2, (N,) of z1 (N, bits)."""
        a1, a2, w = self.parameters_of()
        return first @ a1 + F.softplus(a2 + first @ w).sum(-1)

    @torch.no_grad()
    def sample(self, sweeps: int = SWEEPS) -> tuple[Tensor, Tensor]:
        """Move the chains; z1 and z2 (CHAINS, bits)."""
        a1, a2, w = self.parameters_of()
        first = self.chains
        for _ in range(sweeps):
            second = torch.bernoulli(torch.sigmoid(a2 + first @ w))
            first = torch.bernoulli(torch.sigmoid(a1 + second @ w.t()))
        self.chains.copy_(first)
        return first, torch.bernoulli(torch.sigmoid(a2 + first @ w))

    def log_z(self, rungs: int = RUNGS) -> float:
        """ln Z."""
        return float(self.exact_log_z()) if self.bits <= ENUMERATED else self.annealed_log_z(rungs)

    @torch.no_grad()
    def exact_log_z(self) -> Tensor:
        """ln Z () by enumeration of z1."""
        return torch.logsumexp(self.free(all_bits(self.bits, self.own.bias)).double(), 0).float()

    @torch.no_grad()
    def annealed_log_z(self, rungs: int, particles: int = PARTICLES) -> float:
        """ln Z by annealed importance sampling from independent fair bits, in float64."""
        a1, a2, w = (p.double() for p in self.parameters_of())
        first = torch.bernoulli(torch.full((particles, self.bits), 0.5, dtype=torch.float64, device=w.device))
        before = torch.full((particles,), self.bits * math.log(2), dtype=torch.float64, device=w.device)
        weight = torch.zeros_like(before)
        for t in torch.linspace(0, 1, rungs + 1, dtype=torch.float64)[1:].tolist():
            weight += t * (first @ a1) + F.softplus(t * (a2 + first @ w)).sum(-1) - before
            second = torch.bernoulli(torch.sigmoid(t * (a2 + first @ w)))
            first = torch.bernoulli(torch.sigmoid(t * (a1 + second @ w.t())))
            before = t * (first @ a1) + F.softplus(t * (a2 + first @ w)).sum(-1)
        return float(torch.logsumexp(weight, 0)) - math.log(particles) + 2 * self.bits * math.log(2)

    def coded_nats(self, first: Tensor, second: Tensor) -> Tensor:
        """(N,) -ln p(z1, z2) as files are coded, of bits (N, bits) of 0 and 1."""
        nats = F.binary_cross_entropy_with_logits(self.other(FINE_UNIT * first) / FINE_UNIT, second, reduction="none")
        return self.first_nats(first) + nats.sum(-1)

    def first_nats(self, first: Tensor) -> Tensor:
        """(N,) -ln p(z1) as it is coded."""
        if self.bits <= TABLE_BITS:
            logits = self.table(first.new_zeros(1, 1))[0] / LOGIT_UNIT
            return torch.logsumexp(logits, 0) - logits[index_of(first)]
        logit = self.made(FINE_UNIT * first) / FINE_UNIT
        return F.binary_cross_entropy_with_logits(logit, first, reduction="none").sum(-1)

    def settle(self, steps: int = 1500, batch: int = 1024, rate: float = 3e-3) -> None:
        """Bring p(z1) as it is coded to the machine's: its table by enumeration, its net by samples."""
        if self.bits <= TABLE_BITS:
            with torch.no_grad():
                free = self.free(all_bits(self.bits, self.own.bias))
                self.table.bias.copy_(free - free.max())
            return
        optimiser = torch.optim.Adam(self.made.parameters(), lr=rate)
        for step in range(steps):
            optimiser.param_groups[0]["lr"] = rate * (1 - step / steps)
            parts = [self.sample(2)[0].clone() for _ in range(batch // CHAINS)]
            loss = self.first_nats(torch.cat(parts)).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()


def all_bits(count: int, like: Tensor) -> Tensor:
    """(2^count, count) of 0 and 1, the first bit the most significant."""
    numbers = torch.arange(2**count, device=like.device)
    places = torch.arange(count - 1, -1, -1, device=like.device)
    return (numbers[:, None] >> places & 1).to(like.dtype)


def index_of(bits: Tensor) -> Tensor:
    """(N, count) of 0 and 1 -> (N,) their rows in `all_bits`."""
    places = torch.arange(bits.shape[-1] - 1, -1, -1, device=bits.device)
    return (bits.long() << places).sum(-1)
