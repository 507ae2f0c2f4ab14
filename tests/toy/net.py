"""The net: four latents, one for each quarter of a picture, to four levels; and a prior of each latent alone."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vlcodec.models.layers.exact import OWN, Layer

QUARTERS, VALUES = 4, 16  # latents of a picture, and levels of each
GAIN = 32  # 1/32 level


@dataclass(frozen=True)
class ToyShape:
    """side: of a picture, pixels. scale: index of the pixels' logistic. chained: whether z is coded by bits-back."""

    side: int
    scale: int
    chained: bool


class ToyNet(nn.Module):
    """See above."""

    def __init__(self, shape: ToyShape) -> None:
        super().__init__()
        self.shape = shape
        self.decoder = Layer(OWN, QUARTERS, QUARTERS, gain=GAIN, low=-8191, high=8191, input_max=VALUES)
        self.prior = Layer(OWN, 1, VALUES, low=-1023, high=1023, input_max=1)
        with torch.no_grad():
            self.decoder.weight.copy_(16 * torch.eye(QUARTERS))
            self.decoder.bias.fill_((8 - 128) / self.decoder.unit)
            self.prior.weight.zero_()

    def logits(self) -> Tensor:
        """(VALUES,) of a latent, in 1/32 nat."""
        found: Tensor = self.prior(torch.zeros(1, 1))[0]
        return found
