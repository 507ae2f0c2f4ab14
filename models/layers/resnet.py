"""Residual blocks and changes of resolution, in integer layers. Tensors are (N, H, W, C)."""

from __future__ import annotations

from torch import Tensor, nn

from vlcodec.models.layers.activations import FINE_MAX, STREAM_MAX, Elu, clip, leaky
from vlcodec.models.layers.exact import OWN, SIGNED, SQUARE, STREAM, WIDE, Layer, Taps
from vlcodec.models.layers.fine import fine_layer


class ResBlock(nn.Module):
    """x + conv(leaky(conv(leaky(x)))): a pre-activation residual block of two 3x3 layers."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.first = Layer(SQUARE, channels, hidden, **SIGNED)
        self.second = Layer(SQUARE, hidden, channels, **STREAM, init=0.0)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(leaky(self.first(leaky(x))))


class Block(nn.Module):
    """x + layer(elu(layer(elu(x)))), both with the same taps. bits: of weights. most: of what they take."""

    def __init__(
        self, taps: Taps, channels: int, hidden: int | None = None, bits: int = 8, most: int = FINE_MAX
    ) -> None:
        super().__init__()
        hidden = hidden or channels
        self.elu = Elu(most)
        self.first = fine_layer(taps, channels, hidden, bits=bits, input_max=most)
        self.second = fine_layer(taps, hidden, channels, bits=bits, input_max=most, init=0.1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.elu(self.first(self.elu(x))))


def space_to_depth(x: Tensor, s: int) -> Tensor:
    """(N, H, W, C) -> (N, H/s, W/s, s s C)."""
    n, h, w, c = x.shape
    return x.reshape(n, h // s, s, w // s, s, c).permute(0, 1, 3, 2, 4, 5).reshape(n, h // s, w // s, s * s * c)


def depth_to_space(x: Tensor, s: int) -> Tensor:
    """(N, H, W, s s C) -> (N, sH, sW, C)."""
    n, h, w, c = x.shape
    return x.reshape(n, h, w, s, s, c // (s * s)).permute(0, 1, 3, 2, 4, 5).reshape(n, h * s, w * s, c // (s * s))


class Down(nn.Module):
    """Half the resolution: (N, H, W, a) -> (N, H/2, W/2, b)."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.mix = Layer(OWN, 4 * a, b, init=0.7, **STREAM, **WIDE)

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(space_to_depth(clip(x, STREAM_MAX), 2))


class Up(nn.Module):
    """Twice the resolution: (N, H, W, a) -> (N, 2H, 2W, b)."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.mix = Layer(OWN, a, 4 * b, init=0.7, **STREAM, **WIDE)

    def forward(self, x: Tensor) -> Tensor:
        return depth_to_space(self.mix(clip(x, STREAM_MAX)), 2)
