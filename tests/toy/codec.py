"""The codec: rounded latents for single pictures and an archive's first ones, or bits-back alone."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch

from toy.net import QUARTERS, VALUES, ToyNet
from vlcodec.codec.coding.tables import Categorical, LogisticMixture
from vlcodec.codec.coding.walk import OneStep, Settled
from vlcodec.codec.errors import ModelError
from vlcodec.codec.interface import Block, Bytes, Ints
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.walks.golden import both_walks
from vlcodec.models.walks.net_walk import to_numpy

NEARNESS = 100  # 1/32 nat that q(z | x) falls by from one level to the next


class ToyLatents:
    """See codec.interface.LatentNet. f(z): (n, H, W) centres in 1/32 level."""

    least_ratio = 1

    def __init__(self, net: ToyNet) -> None:
        self.net, self.side = net, net.shape.side
        self.posterior_kind: Literal["rounded", "bits-back"] = "bits-back" if net.shape.chained else "rounded"

    def shape(self, n: int, height: int, width: int) -> tuple[int, ...]:
        """(n, QUARTERS)."""
        return n, QUARTERS

    def posterior(self, pictures: Bytes, u: Ints) -> Block:
        """The mean level of each quarter, as it is or spread a little."""
        half = self.side // 2
        means = pictures.reshape(len(pictures), 2, half, 2, half).sum((2, 4), dtype=np.int64) // half**2
        k = means.reshape(len(pictures), QUARTERS) // (256 // VALUES)
        if not self.net.shape.chained:
            return Settled(k)
        logit = -NEARNESS * np.abs(k.reshape(-1, 1) - np.arange(VALUES))
        return OneStep(Categorical(logit), k.shape)

    def prior(self, u: Ints) -> OneStep:
        """Each latent alone."""
        with exact_inference():
            logits = to_numpy(self.net.logits())
        return OneStep(Categorical(np.repeat(logits[None], u.size, 0)), u.shape)

    def features(self, symbols: Ints, u: Ints) -> Ints:
        """f(z)."""
        with exact_inference():
            centres = to_numpy(self.net.decoder(torch.from_numpy(symbols).float()))
        quarters = centres.reshape(-1, 2, 2)
        return quarters.repeat(self.side // 2, 1).repeat(self.side // 2, 2)

    def mean_images(self, fz: Ints, height: int, width: int) -> Bytes:
        """(n, H, W, 1)."""
        return (fz[..., None] // 32 + 128).clip(0, 255).astype(np.uint8)

    def pixels(self, fz: Ints, rows: range, width: int, colours: int, guided: bool = False) -> OneStep:
        """Independent logistics: block (H, W, 1, n)."""
        centre = fz.transpose(1, 2, 0).reshape(-1, 1)
        scale = np.full_like(centre, self.net.shape.scale)
        return OneStep(LogisticMixture(np.zeros_like(centre), centre, scale), (self.side, self.side, 1, len(fz)))

    def to_symbols(self, pictures: Bytes) -> Ints:
        """(n, H, W, 1) -> (H, W, 1, n)."""
        return pictures.transpose(1, 2, 3, 0).astype(np.int64)

    def to_pictures(self, symbols: Ints) -> Bytes:
        """The inverse of to_symbols."""
        return np.ascontiguousarray(symbols.transpose(3, 0, 1, 2)).astype(np.uint8)


class ToyModel:
    """See codec.interface.Model."""

    qualities = 1

    def __init__(self, net: ToyNet) -> None:
        self._net, self._latents = net, ToyLatents(net)

    def single(self, quality: int, hundredths: int = 0) -> ToyLatents:
        """See codec.interface.Model."""
        if self._net.shape.chained:
            raise ModelError("the model codes archives alone: bits-back has no bits to begin a single picture with")
        return self._latents

    def chained(self) -> ToyLatents | None:
        """See codec.interface.Model."""
        return self._latents if self._net.shape.chained else None

    def golden(self) -> Iterator[Ints]:
        """All that tables are made of."""
        net, pictures = self._latents, golden_pictures()
        z = np.arange(len(pictures) * QUARTERS).reshape(-1, QUARTERS) % VALUES
        yield to_numpy(self._net.logits())
        yield net.features(z, z)
        yield from both_walks(net.pixels(net.features(z, z), range(8), 8, 1), net.to_symbols(pictures))


def golden_pictures() -> Bytes:
    """(5, 8, 8, 1) uint8: ramps with some texture."""
    n, r, c = np.indices((5, 8, 8), dtype=np.int64)
    levels: Bytes = ((40 * n + 9 * r + 13 * c + (r * c * 37 + n) % 11) % 256).astype(np.uint8)[..., None]
    return levels
