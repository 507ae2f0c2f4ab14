"""The local PixelCNN conditioned on f(z): every pixel from its causal neighbours and from the latents' features.

Pixels are integers in [-128, 127] in the order G, R, B. A causal linear predictor gives each channel a `base`; the
mixture is centred there, and moved by learned shares of what is known besides: the errors of the pixel's earlier
channels, and the distance to the mean image. Beside raw values the net sees squashed local differences, amplified so
that one grey level counts in smooth places.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlcodec.codec.coding.lookup import tanh_table
from vlcodec.codec.interface import Bytes
from vlcodec.models.layers.activations import UNIT, round_through
from vlcodec.models.layers.carriers import MIDDLE
from vlcodec.models.layers.exact import SQUARE, Layer, Taps
from vlcodec.models.layers.masked import FIRST, NEAR, CausalNet, Group, Look, spread
from vlcodec.models.layers.mixture import FINE, layout
from vlcodec.models.layers.mode import IntegerModule

MEAN_UNIT = 4  # the mean image is in 1/4 level
FEATURE_MAX = 512  # |f(z)|
SQUASH_HALF = 8191  # squashed values are clamped to this, in 1/32 level
SQUASH_UNIT = 127
EDGE, NOISE, ERROR, COLOUR = Fraction(16, 5), Fraction(16), Fraction(32, 5), Fraction(16)  # widths in levels
PAST = 22
COLOURS = 3
ORDER = [1, 0, 2]  # R, G, B <-> G, R, B: its own inverse
Context = Literal["colour", "grey"]  # what later pixels see of a pixel


def centred(pictures: Bytes) -> Tensor:
    """(..., 3) uint8 RGB -> float in [-128, 127], in the order G, R, B."""
    return torch.from_numpy(pictures[..., ORDER]).float() - 128


class Squash(IntegerModule):
    """round(127 tanh(v / width)), frozen by a table; v in 1/32 level."""

    table: Tensor

    def __init__(self, width: Fraction) -> None:
        super().__init__()
        self.width = float(width * FINE)
        values = tanh_table(width * FINE, SQUASH_HALF, SQUASH_UNIT)
        self.register_buffer("table", torch.from_numpy(values).float(), False)

    def forward(self, v: Tensor) -> Tensor:
        if self.mode != "frozen":
            return round_through(SQUASH_UNIT * torch.tanh(v / self.width))
        return self.table[v.clamp(-SQUASH_HALF, SQUASH_HALF).long() + SQUASH_HALF]


class PixelDecoder(nn.Module):
    """p(x | z): mixtures of discretised logistics on G, then R, then B of every pixel.

    Args:
        features: channels of f(z) beside the mean image's three. dilations, gated, bits: see masked.CausalNet.
        told: further channels of f(z), 0 or 1: how noisy the pixels are that the net sees, the same everywhere.
        stream: channels of the feature stream, non-masked layers over f(z), one beside each layer of the PixelCNN
            (Lucas & Verbeek, section 4.1); 0 shows f(z) to the first layer alone.
        context: what later pixels see of a pixel: "grey" is its brightness alone. spacing: 2 makes them see every
            other row and column alone (Chen et al., section 3: the window chooses what is left to the latents).
    """

    def __init__(
        self,
        features: int,
        channels: int,
        dilations: Sequence[int],
        hidden: int,
        mixtures: int,
        stream: int = 0,
        gated: bool = False,
        bits: int = 10,
        told: int = 0,
        context: Context = "colour",
        spacing: int = 1,
    ) -> None:
        super().__init__()
        self.mixtures, self.features = mixtures, features
        self.grey, self.spacing = context == "grey", spacing
        seen = spread(FIRST, spacing)
        self.predictor = Layer(
            seen, COLOURS, COLOURS, gain=FINE, low=-8191, high=8191, input_max=128, bits=11, precise=True
        )
        self.edge, self.noise, self.error, self.colour = Squash(EDGE), Squash(NOISE), Squash(ERROR), Squash(COLOUR)
        gain, low, high, bias = layout(mixtures, 8.0, scale=4.0)
        share = [[0.0], [0.9, 0.0], [0.45, 0.45, 0.0]]  # of the earlier channels' errors, then of the mean image
        self.net = CausalNet(
            past=PAST,
            own=COLOURS + features + COLOURS + told,
            channels=channels,
            dilations=dilations,
            hidden=hidden,
            groups=[
                Group(c, gain + [1.0] * (c + 1), low + [-127.0] * (c + 1), high + [127.0] * (c + 1), bias + share[c])
                for c in range(COLOURS)
            ],
            input_max=FEATURE_MAX,
            stream=stream,
            gated=gated,
            bits=bits,
            spacing=spacing,
        )
        if stream:
            inputs = [COLOURS + features] + [stream] * (len(dilations) - 1)
            self.stream = nn.ModuleList(Layer(SQUARE, n, stream) for n in inputs)
        with torch.no_grad():  # the gradient predictor, 3/4 (left + up) - 1/2 (up left), of each channel from itself
            weight = self.predictor.weight.zero_().view(COLOURS, len(FIRST), COLOURS)
            for tap, w in (((0, -1), 0.75), ((-1, 0), 0.75), ((-1, -1), -0.5)):
                weight[:, FIRST.index(tap)] = torch.eye(COLOURS) * w

    @property
    def narrow(self) -> bool:
        """Whether activations have 8 bits; samples of such nets are drawn by inversion."""
        return self.net.relu.most < 2 * MIDDLE

    def context(self, x: Tensor) -> Tensor:
        """(..., 3) -> what later pixels see of pixels: these, or their brightness (2 G + R + B) / 4, three times."""
        if not self.grey:
            return x
        brightness = ((x.sum(-1, keepdim=True) + x[..., :1] + 2) / 4).floor()
        return brightness.expand_as(x)

    @property
    def beside(self) -> Taps:
        """The neighbours whose differences to a pixel later ones see."""
        return (0, -self.spacing), (-self.spacing, 0)

    @property
    def plain(self) -> bool:
        """Whether all layers see close neighbours, and these as they are."""
        far = self.grey or self.spacing > 1
        return not far and all(len(layer.taps) == len(NEAR) for layer in cast(Iterable[Layer], self.net.near))

    def past(self, x: Tensor, left: Tensor, up: Tensor, base: Tensor, mean: Tensor) -> Tensor:
        """(..., PAST): what later positions see of a position, once its pixel is known.

        x, and left and up of it as `beside` says: as `context` gives them.
        """
        steps = FINE * torch.cat((x - left, x - up), -1)
        one = torch.full_like(x[..., :1], UNIT)
        error, off = self.error(FINE * x - base), self.noise(FINE * x - FINE // MEAN_UNIT * mean)
        return torch.cat((x, one, self.noise(steps), self.edge(steps), error, off), -1)

    def own(self, base: Tensor, fz: Tensor) -> Tensor:
        """(..., own): what a position sees of itself before its pixel is known."""
        beside, told = fz[..., : COLOURS + self.features], fz[..., COLOURS + self.features :]
        return torch.cat((beside, self.noise(FINE // MEAN_UNIT * fz[..., :COLOURS] - base), told), -1)

    def seen(self, errors: list[Tensor]) -> Tensor | None:
        """What a channel's head sees of the earlier channels' errors, each (..., 1) in 1/32 level."""
        return self.colour(torch.cat(errors, -1)) if errors else None

    def streams(self, fz: Tensor) -> list[Tensor]:
        """f(z) (N, H, W, 3 + features) -> (N, H, W, stream) in [0, 1023] for each layer; none without a stream."""
        found: list[Tensor] = []
        h = fz
        for layer in getattr(self, "stream", ()):
            h = layer(h)
            found.append(h)
        return found

    def forward(
        self, look: Look, x: Tensor, up: Tensor, fz: Tensor, streams: Sequence[Tensor], colours: int = COLOURS
    ) -> tuple[list[Tensor], Tensor]:
        """x and the pixels `spacing` rows above each (N, H, W, 3) in [-128, 127], fz (N, H, W, 3 + features), `streams`
        of it.

        Returns the raw parameters of the first `colours` channels, (N, H, W, 3 mixtures + c + 1) for channel c, and
        the base.
        """
        seen = self.context(x)
        base = look("x", self.predictor, seen, None)
        left = F.pad(seen, (0, 0, self.spacing, 0))[..., : -self.spacing, :]
        past = self.past(seen, left, self.context(up), base, fz[..., :COLOURS])
        h = self.net.trunk(look, past, self.own(base, fz), streams)
        errors = (FINE * x - base).split(1, -1)
        return [self.net.head(c, h, self.seen(list(errors[:c]))) for c in range(colours)], base
