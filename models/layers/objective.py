"""AGAVE: a variational autoencoder whose auxiliary decoder keeps the latents in use beside a PixelCNN.

Lucas & Verbeek, "Auxiliary Guided Autoregressive Variational Autoencoders", eq. 7:

    x ---> encoder ---> q(z | x) ---(sample)---> z ---> decoder ---> f(z) --------------+
                           |                     |                   |                  |
                           +------- KL --------- p(z)           mean image       PixelCNN, also of
                                                                     |            the pixels before
                                                                 auxiliary              |
                                                                  p(y | z)          p(x | x<, z)

    loss = -ln p(x | x<, z) - ln p(y | z) + lambda KL(q(z | x) || p(z))

Two autoencoders share it: `grid` for pictures of any size (latents on a grid at 1/16, an autoregressive prior, several
qualities), and `ladder` for pictures of one small size (levels of latents, each given the ones above).

All tensors are (N, H, W, C); pixels are integers in [-128, 127] in the order G, R, B.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vlcodec.models.layers.activations import round_through
from vlcodec.models.layers.causal_pixels import MEAN_UNIT, PixelDecoder
from vlcodec.models.layers.masked import look_whole
from vlcodec.models.layers.mixture import FINE, nats
from vlcodec.models.layers.mode import IntegerModule


class Agave(IntegerModule):
    """What both autoencoders share: the PixelCNN, and the objective."""

    pixels: PixelDecoder

    def pixel_nats(
        self,
        x: Tensor,
        fz: Tensor,
        grey: Tensor | None = None,
        seen: Tensor | None = None,
        width: float | Tensor = 1.0,
    ) -> Tensor:
        """(N,) -ln p(x | z) per pixel.

        x (N, H, W, 3), fz (N, H, W, 3 + features), grey (N,) 1 where only the first channel's symbols would be coded.
        seen: what the net sees in place of x, like x. width: of the cells in whose middles x is, in levels, of all or
        (N, 1, 1, 1).
        """
        mixtures = self.mixtures(x if seen is None else seen, fz)
        terms = [nats(*m, x[..., c], width).mean((1, 2)) for c, m in enumerate(mixtures)]
        rest = terms[1] + terms[2]
        return terms[0] + (rest if grey is None else (1 - grey) * rest)

    def mixtures(self, x: Tensor, fz: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Of each channel, from the pixels x that it sees: logits, centres and scales, (N, H, W, K) each."""
        up = F.pad(x, (0, 0, 0, 0, self.pixels.spacing, 0))[:, : -self.pixels.spacing]
        heads, base = self.pixels(look_whole, x, up, fz, self.pixels.streams(fz))
        found, k = list[tuple[Tensor, Tensor, Tensor]](), self.pixels.mixtures
        for c, head in enumerate(heads):
            logit, offset, scale, share = head.split([k] * 3 + [c + 1], -1)
            before, own = slice(c), slice(c, c + 1)
            mean = FINE // MEAN_UNIT * fz[..., own]
            known = torch.cat((FINE * x[..., before] - base[..., before], mean - base[..., own]), -1)
            shift = round_through((share * known).sum(-1, keepdim=True) / 64)
            found.append((logit, base[..., own] + shift + offset, scale))
        return found


def loss_of(terms: dict[str, Tensor], kl_weight: Tensor | float) -> Tensor:
    """Eq. 7, the mean over pictures: terms (N,) each, in nats per pixel; kl_weight is lambda."""
    return (terms["pixels"] + terms["auxiliary"] + kl_weight * terms["kl"]).mean()
