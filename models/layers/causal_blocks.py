"""The autoregressive prior over blocks of coefficients: how far each block's go, and then those alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlcodec.models.layers.activations import UNIT, round_through
from vlcodec.models.layers.causal_latents import SEEN_MAX, mixture_groups, split_parameters
from vlcodec.models.layers.exact import LINEAR, STREAM, Layer, Wide
from vlcodec.models.layers.masked import BEFORE, CausalNet, Group, Look
from vlcodec.models.layers.mixture import FINE

AFAR = 16  # the prior sees large coefficients also in units 16 times as coarse
EXTENT_UNIT = 64  # and an extent in this unit
LOGIT_MAX = 511  # of an extent, in 1/32 nat


class BlockPrior(nn.Module):
    """p(coefficients | quality, what is known of the block): by a causal net, at every position of a grid.

    A block's coefficients, low frequencies first, are in groups. Its extent, the number of groups up to the last that
    is not 0 everywhere, is coded first, and the groups within it then one after the other, as mixtures of logistics.

    Args:
        coefficients: of a block; groups: of them; qualities: steps of the quantiser, told apart by an input for each.
        large: so many of the first group reach beyond what the net sees exactly, as a block's mean does: a causal
            linear predictor moves their mixtures, and the net sees them in coarse units too.
        beside: inputs that are told of each position, behind those of the quality.
    """

    def __init__(
        self,
        coefficients: int,
        groups: int,
        qualities: int,
        channels: int,
        depth: int,
        hidden: int,
        mixtures: int,
        large: int,
        beside: int,
    ) -> None:
        super().__init__()
        self.latents, self.groups, self.qualities, self.mixtures = coefficients, groups, qualities, mixtures
        self.large, self.group = large, coefficients // groups
        count = groups + 1
        extents = Group(0, [1.0] * count, [-float(LOGIT_MAX)] * count, [float(LOGIT_MAX)] * count, [0.0] * count)
        self.net = CausalNet(
            past=coefficients + large + 2,
            own=qualities + beside,
            channels=channels,
            dilations=[1] * depth,
            hidden=hidden,
            groups=[*mixture_groups(groups, self.group, mixtures, more=1), extents],
            input_max=SEEN_MAX,
        )
        wide: Wide = {**LINEAR, "input_max": SEEN_MAX * FINE, "carrier": torch.float64}
        self.predictor = Layer(BEFORE, large, large, **STREAM, **wide)
        with torch.no_grad():  # what lies to the left and above, less what lies between, as a start
            weight = self.predictor.weight.zero_().view(large, len(BEFORE), large)
            for tap, w in (((0, -1), 0.6), ((-1, 0), 0.6), ((-1, -1), -0.3)):
                weight[:, BEFORE.index(tap)] = torch.eye(large) * w

    def extent(self, z: Tensor) -> Tensor:
        """z (..., coefficients) -> (..., 1): groups up to the last that is not 0 everywhere."""
        there = z.unflatten(-1, (self.groups, self.group)).ne(0).any(-1)
        return (there * torch.arange(1, self.groups + 1, device=z.device)).amax(-1, keepdim=True).to(z)

    def base(self, look: Look, z: Tensor | None) -> Tensor:
        """(..., large) in 1/32 step: what is foretold of the large coefficients."""
        return look("large", self.predictor, None if z is None else z[..., : self.large], None)

    def past(self, z: Tensor, extent: Tensor) -> Tensor:
        """z (..., coefficients) in 1/32 step, extent (..., 1) -> what later positions see, with a flag that is 0
        outside."""
        afar = round_through(z[..., : self.large] / AFAR).clamp(-SEEN_MAX, SEEN_MAX)
        return torch.cat(
            (z.clamp(-SEEN_MAX, SEEN_MAX), afar, EXTENT_UNIT * extent, torch.full_like(z[..., :1], UNIT)), -1
        )

    def own(self, quality: int, beyond: int, like: Tensor) -> Tensor:
        """(..., qualities): UNIT for the quality, 0-based, less some hundredths of it for the next one."""
        shares = torch.zeros(self.qualities, device=like.device, dtype=like.dtype)
        further = round(UNIT * beyond / 100)
        shares[quality] = UNIT - further
        if further:
            shares[quality + 1] = further
        return shares.expand(*like.shape[:-1], self.qualities)

    def seen(self, z: Tensor, group: int, extent: Tensor) -> Tensor:
        """What the head of a group sees: the earlier groups' coefficients, and the extent."""
        return torch.cat((z[..., : group * self.group].clamp(-SEEN_MAX, SEEN_MAX), EXTENT_UNIT * extent), -1)

    def extents(self, h: Tensor) -> Tensor:
        """(..., groups + 1) logits of the extent, in 1/32 nat."""
        return self.net.head(self.groups, h, None)

    def head(self, group: int, h: Tensor, seen: Tensor, base: Tensor) -> Tensor:
        """(..., group, 3 mixtures): parameters of the coefficients of one group; base: see `base`."""
        params = split_parameters(self.net.head(group, h, seen), self.group)
        if group:
            return params
        logit, offset, scale = params.chunk(3, -1)
        moved = offset + F.pad(base, (0, self.group - self.large))[..., None]
        return torch.cat((logit, moved, scale), -1)

    def trunk(self, look: Look, z: Tensor, extent: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """What the heads of all positions begin with, see `forward`; and `base`."""
        return self.net.trunk(look, self.past(z, extent), own), self.base(look, z)

    def forward(self, look: Look, z: Tensor, extent: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """z (N, h, w, coefficients) in 1/32 step, extent (N, h, w, 1), own: what `own` gives and what stands beside it
        -> (N, h, w, coefficients, 3 mixtures) and logits of extents (N, h, w, groups + 1), all positions at once."""
        h, base = self.trunk(look, z, extent, own)
        heads = [self.head(g, h, self.seen(z, g, extent), base) for g in range(self.groups)]
        return torch.cat(heads, -2), self.extents(h)
