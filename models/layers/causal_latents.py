"""The autoregressive prior over a latent grid: every latent from the ones above and to the left, and earlier groups."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlcodec.models.layers.activations import UNIT, round_through
from vlcodec.models.layers.exact import LINEAR, STREAM, Layer, Wide
from vlcodec.models.layers.masked import BEFORE, CausalNet, Group, Look
from vlcodec.models.layers.mixture import FINE, layout

SEEN_MAX = 1023  # the prior sees latents clamped to +-1023/32 steps
AFAR = 16  # and the large ones also in units 16 times as coarse


class LatentPrior(nn.Module):
    """p(z | quality): mixtures of logistics for the latents of a position, in groups, by a causal net.

    Args:
        latents: per position; groups: coded one after the other; qualities: rates, told apart by an input for each.
        large: so many of the first group reach beyond what the net sees exactly, as a block's mean does: a causal
            linear predictor moves their mixtures, and the net sees them in coarse units too.
        beside: inputs that are told of each position, behind those of the quality.
    """

    def __init__(
        self,
        latents: int,
        groups: int,
        qualities: int,
        channels: int,
        depth: int,
        hidden: int,
        mixtures: int,
        large: int = 0,
        beside: int = 0,
    ) -> None:
        super().__init__()
        self.large = large
        self.latents, self.groups, self.qualities, self.mixtures = latents, groups, qualities, mixtures
        self.group = latents // groups
        gain, low, high, bias = layout(mixtures, 2.0, scale=1.0)
        self.net = CausalNet(
            past=latents + large + 1,
            own=qualities + beside,
            channels=channels,
            dilations=[1] * depth,
            hidden=hidden,
            groups=[
                Group(g * self.group, gain * self.group, low * self.group, high * self.group, bias * self.group)
                for g in range(groups)
            ],
            input_max=SEEN_MAX,
        )
        if large:
            wide: Wide = {**LINEAR, "input_max": SEEN_MAX * FINE, "carrier": torch.float64}
            self.predictor = Layer(BEFORE, large, large, **STREAM, **wide)
            with torch.no_grad():  # what lies to the left and above, less what lies between, as a start
                weight = self.predictor.weight.zero_().view(large, len(BEFORE), large)
                for tap, w in (((0, -1), 0.6), ((-1, 0), 0.6), ((-1, -1), -0.3)):
                    weight[:, BEFORE.index(tap)] = torch.eye(large) * w

    def base(self, look: Look, z: Tensor | None) -> Tensor | None:
        """(..., large) in 1/32 step: what is foretold of the large latents; None where there are none."""
        known = None if z is None else z[..., : self.large]
        return look("large", self.predictor, known, None) if self.large else None

    def past(self, z: Tensor) -> Tensor:
        """z (..., latents) in 1/32 step -> what later positions see of it, with a flag that is 0 outside."""
        afar = round_through(z[..., : self.large] / AFAR).clamp(-SEEN_MAX, SEEN_MAX)
        return torch.cat((z.clamp(-SEEN_MAX, SEEN_MAX), afar, torch.full_like(z[..., :1], UNIT)), -1)

    def own(self, quality: int, like: Tensor, beyond: int = 0) -> Tensor:
        """(..., qualities): UNIT for the quality (0-based); some hundredths of it for the next one."""
        shares = torch.zeros(self.qualities, device=like.device, dtype=like.dtype)
        further = round(UNIT * beyond / 100)
        shares[quality] = UNIT - further
        if further:
            shares[quality + 1] = further
        return shares.expand(*like.shape[:-1], self.qualities)

    def seen(self, z: Tensor, group: int) -> Tensor | None:
        """What the head of a group sees of the earlier groups' latents."""
        return z[..., : group * self.group].clamp(-SEEN_MAX, SEEN_MAX) if group else None

    def head(self, group: int, h: Tensor, seen: Tensor | None, base: Tensor | None = None) -> Tensor:
        """(..., group, 3 mixtures): parameters of the latents of one group; base: see `base`."""
        y = self.net.head(group, h, seen)
        params = y.view(*y.shape[:-1], self.group, 3 * self.mixtures)
        if group or base is None:
            return params
        logit, offset, scale = params.chunk(3, -1)
        moved = offset + F.pad(base, (0, self.group - self.large))[..., None]
        return torch.cat((logit, moved, scale), -1)

    def forward(self, look: Look, z: Tensor, own: Tensor) -> Tensor:
        """z (N, h, w, latents) in 1/32 step -> (N, h, w, latents, 3 mixtures), all positions at once; own: what
        `own` gives, and what stands beside it."""
        base = self.base(look, z)
        h = self.net.trunk(look, self.past(z), own)
        return torch.cat([self.head(g, h, self.seen(z, g), base) for g in range(self.groups)], -2)
