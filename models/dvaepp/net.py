"""DVAE++: global bits under a Boltzmann machine, groups of local gaussians, and pixels from coarse to fine.

Vahdat et al., "DVAE++: Discrete Variational Autoencoders with Overlapping Transformations", sections 5 and 6:

    x ---> encoder --+--> q(z_l | x, s_<l) --(smoothed)--> s --> start -----> h: a stream at a quarter of the side
                     |          |                                             |
                     |     RBM: KL of z                                prior of h_1 | posterior of h_1 <---+
                     |                                                        v                            |
                     +------------------------------------------------ ... prior of h_j | posterior of h_j-+
                                                                              v
                                                        lattice decoder: p(x_0 | s, h) p(x_1 | x_0, s, h) ...

One net has both kinds of posterior of the local groups: the layers at the latents stand twice, gaussian for archives
and uniform for dither, all others are shared. In files s is z. All tensors are (N, H, W, C).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlcodec.models.dvaepp.lattice import COLOURS, LatticeDecoder
from vlcodec.models.dvaepp.rbm import Rbm
from vlcodec.models.dvaepp.smoothing import exponential, log_ratio
from vlcodec.models.layers.activations import FINE_UNIT, UNIT, Elu
from vlcodec.models.layers.ends import Ends
from vlcodec.models.layers.exact import OWN, SQUARE
from vlcodec.models.layers.excite import ExcitedBlock
from vlcodec.models.layers.fine import fine_layer, prove_stream
from vlcodec.models.layers.mode import IntegerModule
from vlcodec.models.layers.posterior import Kind
from vlcodec.models.layers.resnet import space_to_depth

KINDS: tuple[Kind, ...] = ("gaussian", "uniform")
CELLS_PER_UNIT = 8  # of the gaussians' grid: bits-back begins with five bits for an idle latent, not nine
CELL_SCALE = 100  # index of a scale of one cell
LOGIT_LIMIT = 16 * FINE_UNIT  # of q(z = 1 | x)


@dataclass(frozen=True)
class DvaeppShape:
    """Sizes. Grids have a half and a quarter of the side.

    bits: of z, half of them in each side of the machine. layers: of q(z | x), 1, 2 or 4. groups: of local latents;
    locals: of a group, at each position. blocks: at a half of the side and at a quarter, of the encoder; of each scale;
    group_blocks: of each group. mixtures: logistics of a colour, 0 for black and white pictures.
    """

    side: int
    bits: int
    layers: Literal[1, 2, 4]
    prior_hidden: int
    groups: int
    locals: int
    widths: tuple[int, int]
    blocks: tuple[int, int]
    scale_blocks: tuple[int, int]
    group_blocks: int
    squeezed: int
    bottleneck: int
    hidden: int
    mixtures: int

    @property
    def grid(self) -> int:
        """Side of the grid of local latents."""
        return self.side // 4

    @property
    def colours(self) -> int:
        """1 or 3."""
        return COLOURS if self.mixtures else 1


class DvaeppEncoder(nn.Module):
    """x -> features at a quarter of the side, and what the whole picture says."""

    def __init__(self, shape: DvaeppShape) -> None:
        super().__init__()
        a, b = shape.widths
        self.elu = Elu()
        if shape.mixtures:
            self.enter = fine_layer(SQUARE, 4 * COLOURS, a, gain=FINE_UNIT / UNIT, unit=UNIT, input_max=128)
        else:
            self.enter = fine_layer(SQUARE, 4, a, input_max=FINE_UNIT)
        fine, coarse = (shape.side // 2) ** 2, shape.grid**2
        self.high = nn.Sequential(*(ExcitedBlock(a, shape.squeezed, fine) for _ in range(shape.blocks[0])))
        self.down = fine_layer(OWN, 4 * a, b)
        self.low = nn.Sequential(*(ExcitedBlock(b, shape.squeezed, coarse) for _ in range(shape.blocks[1])))
        self.narrow = fine_layer(OWN, b, shape.bottleneck)
        self.whole = fine_layer(OWN, coarse * shape.bottleneck, shape.hidden)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (N, side, side, C), bits as +-1024 or colours in [-128, 127] -> (N, grid, grid, width), (N, hidden)."""
        h = self.high(self.enter(space_to_depth(x, 2)))
        h = self.elu(self.low(self.down(space_to_depth(self.elu(h), 2))))
        return h, self.whole(self.elu(self.narrow(h)).reshape(len(x), -1))


class GlobalPosterior(nn.Module):
    """q(z_l | x, s_<l): hierarchical, each layer's bits independent."""

    def __init__(self, shape: DvaeppShape) -> None:
        super().__init__()
        self.elu, self.size = Elu(), shape.bits // shape.layers
        self.see = nn.ModuleList(
            fine_layer(OWN, self.size * i, shape.hidden, input_max=FINE_UNIT, init=0.5) for i in range(1, shape.layers)
        )
        self.tell = nn.ModuleList(
            fine_layer(OWN, shape.hidden, self.size, low=-LOGIT_LIMIT, high=LOGIT_LIMIT, precise=True, init=0.3)
            for _ in range(shape.layers)
        )

    def logits(self, layer: int, whole: Tensor, earlier: Sequence[Tensor]) -> Tensor:
        """whole (N, hidden), earlier layers' s (N, size) each in [0, 1] -> (N, size), in 1/1024 nat."""
        if layer:
            whole = whole + self.see[layer - 1](FINE_UNIT * torch.cat(list(earlier), -1))
        found: Tensor = self.tell[layer](self.elu(whole))
        return found


class Group(nn.Module):
    """One group of local latents, and what follows it in the stream."""

    def __init__(self, shape: DvaeppShape) -> None:
        super().__init__()
        width = shape.widths[1]
        self.elu = Elu()
        self.merge = fine_layer(OWN, 2 * width, width)
        self.ends = nn.ModuleDict({kind: _ends(kind, shape) for kind in KINDS})
        self.blocks = nn.Sequential(
            *(ExcitedBlock(width, shape.squeezed, shape.grid**2) for _ in range(shape.group_blocks))
        )

    def ends_of(self, kind: Kind) -> Ends:
        """The layers at its latents for a kind of posterior."""
        return cast(Ends, self.ends[kind])

    def merged(self, h: Tensor, seen: Tensor) -> Tensor:
        """What a posterior is made of: elu(h) of the stream, and `seen` of the picture."""
        return self.elu(self.merge(torch.cat((h, seen), -1)))


def _ends(kind: Kind, shape: DvaeppShape) -> Ends:
    return Ends(kind, shape.widths[1], shape.locals, CELLS_PER_UNIT, CELL_SCALE)


class Dvaepp(IntegerModule):
    """Encoder, posteriors, priors and decoder of one trained model, and the objective that trains them."""

    def __init__(self, shape: DvaeppShape) -> None:
        super().__init__()
        self.shape = shape
        groups, scales = shape.groups * (1 + shape.group_blocks), 3 * (1 + max(shape.scale_blocks))
        prove_stream(1 + groups + scales)  # the longest
        width = shape.widths[1]
        self.elu, self.encoder, self.posterior = Elu(), DvaeppEncoder(shape), GlobalPosterior(shape)
        self.rbm = Rbm(shape.bits // 2, shape.prior_hidden)
        self.begin = fine_layer(OWN, shape.bits, shape.hidden, input_max=FINE_UNIT)
        self.widen = fine_layer(OWN, shape.hidden, shape.grid**2 * shape.bottleneck)
        self.start = fine_layer(OWN, shape.bottleneck, width)
        self.groups = nn.ModuleList(Group(shape) for _ in range(shape.groups))
        self.decoder = LatticeDecoder(shape.side, shape.widths, shape.scale_blocks, shape.squeezed, shape.mixtures)

    # ---- the way down ------------------------------------------------------------------------------------------------

    def top(self, s: Tensor) -> Tensor:
        """s (N, bits) in [0, 1] -> the stream (N, grid, grid, width) before the first group."""
        h = self.elu(self.widen(self.elu(self.begin(FINE_UNIT * s))))
        found: Tensor = self.start(h.reshape(len(s), self.shape.grid, self.shape.grid, -1))
        return found

    def group(self, j: int) -> Group:
        """A group of local latents."""
        return cast(Group, self.groups[j])

    def forget(self, kind: Kind) -> None:
        """Begin anew with the layers at the latents of a kind of posterior."""
        for j in range(self.shape.groups):
            self.group(j).ends_of(kind).load_state_dict(_ends(kind, self.shape).state_dict())

    def inputs(self, x: Tensor) -> Tensor:
        """Pictures as the encoder takes them: bits (of 0 and 1) as +-1024, colours as they are."""
        return x if self.shape.mixtures else FINE_UNIT * (2 * x - 1)

    # ---- objective ---------------------------------------------------------------------------------------------------

    def smoothed(self, whole: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
        """s ~ q(s | x) (N, bits), and KL(q(z, s | x) || p(z, s)) without ln Z (N,): section 5's analytic form."""
        drawn: list[Tensor] = []  # torch.compile knows no list[Tensor]()
        means: list[Tensor] = []
        posteriors: list[Tensor] = []
        entropy = whole.new_zeros(len(whole))
        for layer in range(self.shape.layers):
            logit = self.posterior.logits(layer, whole, drawn).float() / FINE_UNIT
            s = exponential(logit, torch.rand_like(logit), beta)
            mean = torch.sigmoid(logit)
            entropy = entropy + (F.softplus(logit) - mean * logit).sum(-1)
            means.append(mean)
            posteriors.append(torch.sigmoid(logit + log_ratio(s, beta)))
            drawn.append(s)
        first, second = torch.cat(means, -1).split(self.rbm.bits, -1)
        # given s, z1 is told by its posterior; one layer's bits are independent of each other
        coupled = first if self.shape.layers == 1 else torch.cat(posteriors, -1)[:, : self.rbm.bits]
        return torch.cat(drawn, -1), -entropy - self.rbm.score(first, second, coupled)

    def _descend(
        self, h: Tensor, seen: Tensor, kinds: Sequence[tuple[Kind, int]], kept: Tensor
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """KL of each group (N,), their one-sample estimates together (N,), and the stream after the last group.

        kinds: (posterior, how many pictures of the batch), in order. kept: (N,) how many groups each picture has; the
        latents of the others are at their priors' centres, as in a file that has been cut.
        """
        counts, sampled = [count for _, count in kinds], h.new_zeros(len(h))
        kl: list[Tensor] = []
        for j in range(self.shape.groups):
            group, told, has = self.group(j), self.elu(h), kept > j
            merged = group.merged(told, seen)
            parts = zip(kinds, told.split(counts), merged.split(counts), has.split(counts), strict=True)
            entered: list[Tensor] = []
            exact: list[Tensor] = []
            once: list[Tensor] = []
            for (kind, _), top, both, own in parts:
                ends = group.ends_of(kind)
                prior = ends.prior(top)
                z, exactly, estimate = ends.draw(prior, ends.posterior(both, prior))
                entered.append(ends.enter(torch.where(own.view(-1, 1, 1, 1), z, ends.middle(prior))))
                exact.append(exactly.sum((1, 2, 3)))
                once.append(estimate.sum((1, 2, 3)))
            h = group.blocks(h + torch.cat(entered))
            kl.append(has * torch.cat(exact))
            sampled = sampled + torch.cat(once)
        return kl, sampled, h

    def losses(
        self, x: Tensor, kinds: Sequence[tuple[Kind, int]], beta: Tensor, log_z: Tensor, kept: Tensor
    ) -> dict[str, Tensor]:
        """Nats per picture, (N,) each: bits, locals, pixels; and (groups, N), the locals' parts. x (N, side, side, C);
        log_z: the machine's. kept: see `_descend`."""
        seen, whole = self.encoder(self.inputs(x))
        s, bits = self.smoothed(whole, beta)
        groups, _, stream = self._descend(self.top(s), seen, kinds, kept)
        kl = torch.stack(groups)
        return {"bits": bits + log_z, "groups": kl, "locals": kl.sum(0), "pixels": self.decoder.nats(stream, x)}

    def objective(
        self,
        x: Tensor,
        kinds: Sequence[tuple[Kind, int]],
        chains: tuple[Tensor, Tensor],
        beta: Tensor,
        log_z: Tensor,
        anneal: Tensor,
        free: tuple[Tensor, float],
        kept: Tensor,
    ) -> dict[str, Tensor]:
        """losses, and "loss": with the KL's weight, and so many nats that cost nothing (of z; of each group, for each
        kind of posterior). kept: see `_descend`.

        ln Z has the value given, and its gradient from the chains: E[d(-E)].
        """
        score = self.rbm.score(*chains).mean()
        terms = self.losses(x, kinds, beta, log_z + score - score.detach(), kept)
        kl = anneal * terms["bits"].mean()
        kl = torch.where(free[0] > 0, torch.maximum(kl, free[0]), kl)
        parts = terms.pop("groups").split([count for _, count in kinds], 1)
        for part in parts:
            kl = kl + part.shape[1] / len(x) * (anneal * part.mean(1)).clamp_min(free[1]).sum()
        terms["loss"] = terms["pixels"].mean() + kl
        return terms

    def sampled_nats(self, x: Tensor, samples: int, kind: Kind) -> Tensor:
        """(N, samples) ln q(z, h | x) - ln p(x, z, h) with z of 0 and 1, as they are coded, in nats per picture.

        Their mean is -ELBO; -ln of the mean of e^-nats is the importance-sampled likelihood (Burda et al. 2015).
        """
        seen, whole = (t.repeat_interleave(samples, 0) for t in self.encoder(self.inputs(x)))
        bits: list[Tensor] = []
        nats = whole.new_zeros(len(whole))
        for layer in range(self.shape.layers):
            logit = self.posterior.logits(layer, whole, bits) / FINE_UNIT
            z = torch.bernoulli(torch.sigmoid(logit))
            nats = nats - F.binary_cross_entropy_with_logits(logit, z, reduction="none").sum(-1)
            bits.append(z)
        z = torch.cat(bits, -1)
        nats = nats + self.rbm.coded_nats(*z.split(self.rbm.bits, -1))
        every = z.new_full((len(z),), self.shape.groups)
        _, sampled, h = self._descend(self.top(z), seen, [(kind, len(z))], every)
        return (nats + sampled + self.decoder.nats(h, x.repeat_interleave(samples, 0))).view(len(x), samples)
