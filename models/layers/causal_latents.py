"""The autoregressive prior over a latent grid: every latent from the ones above and to the left, and earlier groups."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vlcodec.models.layers.activations import UNIT
from vlcodec.models.layers.masked import CausalNet, Group, Look
from vlcodec.models.layers.mixture import layout

SEEN_MAX = 1023  # the prior sees latents clamped to +-1023/32 steps


def mixture_groups(groups: int, group: int, mixtures: int, more: int = 0) -> list[Group]:
    """Heads of groups of latents; more: channels that each sees behind those of the earlier groups."""
    gain, low, high, bias = layout(mixtures, 2.0, scale=1.0)
    return [Group(g * group + more, gain * group, low * group, high * group, bias * group) for g in range(groups)]


class LatentPrior(nn.Module):
    """p(z | quality): mixtures of logistics for the latents of a position, in groups, by a causal net.

    Args:
        latents: per position; groups: coded one after the other; qualities: rates, told apart by an input for each.
    """

    def __init__(
        self, latents: int, groups: int, qualities: int, channels: int, depth: int, hidden: int, mixtures: int
    ) -> None:
        super().__init__()
        self.latents, self.groups, self.qualities, self.mixtures = latents, groups, qualities, mixtures
        self.group = latents // groups
        self.net = CausalNet(
            past=latents + 1,
            own=qualities,
            channels=channels,
            dilations=[1] * depth,
            hidden=hidden,
            groups=mixture_groups(groups, self.group, mixtures),
            input_max=SEEN_MAX,
        )

    def past(self, z: Tensor) -> Tensor:
        """z (..., latents) in 1/32 step -> what later positions see of it, with a flag that is 0 outside."""
        return torch.cat((z.clamp(-SEEN_MAX, SEEN_MAX), torch.full_like(z[..., :1], UNIT)), -1)

    def own(self, quality: int, like: Tensor) -> Tensor:
        """(..., qualities): UNIT for the quality, 0-based."""
        flags = torch.zeros(self.qualities, device=like.device, dtype=like.dtype)
        flags[quality] = UNIT
        return flags.expand(*like.shape[:-1], self.qualities)

    def seen(self, z: Tensor, group: int) -> Tensor | None:
        """What the head of a group sees of the earlier groups' latents."""
        return z[..., : group * self.group].clamp(-SEEN_MAX, SEEN_MAX) if group else None

    def head(self, group: int, h: Tensor, seen: Tensor | None) -> Tensor:
        """(..., group, 3 mixtures): parameters of the latents of one group."""
        return split_parameters(self.net.head(group, h, seen), self.group)

    def forward(self, look: Look, z: Tensor, own: Tensor) -> Tensor:
        """z (N, h, w, latents) in 1/32 step -> (N, h, w, latents, 3 mixtures), all positions at once; own: what
        `own` gives."""
        h = self.net.trunk(look, self.past(z), own)
        return torch.cat([self.head(g, h, self.seen(z, g)) for g in range(self.groups)], -2)


def split_parameters(parameters: Tensor, latents: int) -> Tensor:
    """(..., latents 3 K) of a head -> (..., latents, 3 K)."""
    shape: Sequence[int] = parameters.shape
    return parameters.view(*shape[:-1], latents, shape[-1] // latents)
