"""What walks over grids of latents and of coefficients share: a prior at a step's positions, by torch, and mixtures."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vlcodec.codec.coding.tables import Categorical, LogisticMixture
from vlcodec.codec.interface import Ints, Step
from vlcodec.models.layers.causal_blocks import BlockPrior
from vlcodec.models.layers.causal_latents import LatentPrior
from vlcodec.models.walks.net_walk import to_numpy
from vlcodec.models.walks.wavefront import Front, Skewed

AT_ONCE = 1 << 16  # symbols that are priced together
STRIP_VALUES = 1 << 24  # parameters that are made at once (64 MiB of float32)


@dataclass(frozen=True)
class MixtureStep(Step):
    """A step whose symbols have mixtures of logistics."""

    distribution: LogisticMixture


def mixtures_of(params: Ints, dither: Ints) -> LogisticMixture:
    """params (n, 3 K), dither (n,) or (1,), in 1/32 step."""
    k = params.shape[1] // 3
    return LogisticMixture(params[:, :k], params[:, k : 2 * k] - dither[:, None], params[:, 2 * k :])


def rows_at_once(width: int, values: int) -> int:
    """Rows of a strip of so many parameters a position."""
    return max(1, STRIP_VALUES // (width * values))


class TorchSteps:
    """A prior at a step's positions. own: (1 or h w, own)."""

    def __init__(self, prior: LatentPrior | BlockPrior, own: Tensor, height: int, device: torch.device) -> None:
        self._prior, self._own, self._skewed = prior, own, Skewed(height, device)

    def advance(self, at: Front) -> None:
        """Go to a later step."""
        device, prior = self._own.device, self._prior
        self._z = torch.zeros(len(at.index), prior.latents, dtype=torch.float32, device=device)
        self._skewed.advance(at)
        if isinstance(prior, BlockPrior):
            self._base = prior.base(self._skewed.look, None)
        own = self._own if len(self._own) == 1 else self._own[torch.from_numpy(at.index).to(device)]
        self._h = prior.net.trunk(self._skewed.look, None, own.expand(len(self._z), -1))

    def extents(self) -> Categorical:
        """Of the blocks at the step's positions."""
        assert isinstance(self._prior, BlockPrior)
        return Categorical(to_numpy(self._prior.extents(self._h)))

    def tell(self, extents: Ints) -> None:
        """The extents (n,)."""
        self._extent = torch.from_numpy(extents[:, None]).to(self._z)

    def mixtures(self, group: int, rows: Ints, dither: Ints) -> LogisticMixture:
        """Of a group's latents at some of the step's positions, dither (n group,)."""
        prior, here = self._prior, torch.from_numpy(rows).to(self._z.device)
        h, z = self._h[here], self._z[here]
        if isinstance(prior, BlockPrior):
            params = prior.head(group, h, prior.seen(z, group, self._extent[here]), self._base[here])
        else:
            params = prior.head(group, h, prior.seen(z, group))
        return mixtures_of(to_numpy(params.reshape(-1, params.shape[-1])), dither)

    def put(self, rows: Ints, part: slice, known: Ints) -> None:
        """A group's latents (n, group) at some of the positions, in 1/32 step."""
        self._z[torch.from_numpy(rows).to(self._z.device), part] = torch.from_numpy(known).to(self._z)

    def leave(self) -> None:
        """All latents of the step are known."""
        prior = self._prior
        if isinstance(prior, BlockPrior):
            self._skewed.put("past", prior.past(self._z, self._extent))
            self._skewed.put("large", self._z[:, : prior.large])
        else:
            self._skewed.put("past", prior.past(self._z))
