"""The rate ledger: what the model's likelihood promises for a picture, and what the files really take.

The probabilities here are float64 and written apart from the tables: log-probabilities of the exported integer
model's own outputs, before any rounding of tables. That is the -ELBO that files are held against: lambda, the
auxiliary decoder and training tricks do not enter.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from vlcodec.codec.coding.tables import ARGUMENT_HALF, Bernoulli, GaussianGrid, LogisticMixture
from vlcodec.codec.interface import Distribution, Ints, Steps

Floats = NDArray[np.float64]


def _sigmoid(x: Floats) -> Floats:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def mixture_bits(d: LogisticMixture, symbols: Ints) -> Floats:
    """(n,) -log2 P(symbol) of a mixture of discretised logistics with its uniform floor, in float64."""
    logit = d.logit / 32.0
    weight = np.exp(logit - logit.max(1, keepdims=True))
    weight /= weight.sum(1, keepdims=True)
    sigma = 0.002 * np.exp(d.scale / 16.0)
    distance = (symbols - 128.0)[:, None] - d.centre / 32.0
    flip = np.where(distance > 0, -1.0, 1.0)  # keeps both sigmoids in their accurate tail
    upper, lower = ((flip * distance + half) / sigma for half in (0.5, -0.5))
    first, last = (symbols == 0)[:, None], (symbols == 255)[:, None]
    high = np.where((first & (flip < 0)) | (last & (flip > 0)), 1.0, _sigmoid(upper))
    low = np.where((first & (flip > 0)) | (last & (flip < 0)), 0.0, _sigmoid(lower))
    mass = (weight * (high - low)).sum(1)
    return np.asarray(-np.log2(mass * (1 - 2.0**-14) + 2.0**-22))


def bits(steps: Steps, symbols: Ints) -> float:
    """-log2 P of a block's symbols."""
    flat, total = symbols.reshape(-1), 0.0
    for step in steps.parallel(symbols):
        total += float(bits_of(step.distribution, flat[step.index]).sum())
    return total


def bernoulli_bits(d: Bernoulli, symbols: Ints) -> Floats:
    """(n,) -log2 P(bit), in float64; like the table's, log-odds stay within 16 nats."""
    nats = np.clip(d.logit, -ARGUMENT_HALF, ARGUMENT_HALF) / 1024.0
    return np.asarray(np.logaddexp(0.0, np.where(symbols > 0, -1.0, 1.0) * nats) / np.log(2.0))


def gaussian_bits(d: GaussianGrid, symbols: Ints) -> Floats:
    """(n,) -log2 P(cell) of gaussians on a grid: their density in the middle of the cell, in float64.

    The density, not the mass: what bits-back is held against is the ELBO of the continuous latents.
    """
    sigma = 0.002 * np.exp(d.scale / 16.0)  # cells
    distance = symbols - d.cells // 2 - d.centre / 32.0
    return np.asarray((0.5 * np.square(distance / sigma) + np.log(sigma * np.sqrt(2 * np.pi))) / np.log(2.0))


def log_mean(bits_of_samples: list[float]) -> float:
    """-log2 of the mean of 2^-b: the importance-sampled likelihood, in bits (Burda et al. 2015)."""
    negative = -np.log(2.0) * np.array(bits_of_samples)
    return float(-(np.logaddexp.reduce(negative) - np.log(len(negative))) / np.log(2.0))


def bits_of(distribution: Distribution, symbols: Ints) -> Floats:
    """(n,) -log2 P of symbols. Raises TypeError for a distribution without a float64 twin."""
    if isinstance(distribution, LogisticMixture):
        return mixture_bits(distribution, symbols)
    if isinstance(distribution, Bernoulli):
        return bernoulli_bits(distribution, symbols)
    if isinstance(distribution, GaussianGrid):
        return gaussian_bits(distribution, symbols)
    raise TypeError(f"no float64 likelihood for {type(distribution).__name__}")


@dataclass(frozen=True)
class RateReport:
    """What each part of one picture costs. All in bits unless named otherwise.

    latents_kl: -log2 of the prior's mass on the cells of the file's own latents: KL(q || p) in expectation.
    latents_naive: the same z sent without shared dither, log2 16 bits more for each latent's place in its cell; of a
    rounded posterior no more than the KL.
    pixels: -log2 p(x | z). correction: of these, what the numbers take that fit the model to each band (two-part code).
    elbo: latents_kl + pixels, that is -ELBO. overhead: of the lossless file over it.
    likelihood: importance-sampled with so many samples, smaller than -ELBO, and not reached by a file.
    """

    width: int
    height: int
    channels: int
    quality: int
    latents_naive: float
    latents_kl: float
    pixels: float
    correction: float
    elbo: float
    likelihood: float | None
    samples: int
    header_bits: int
    latents_written: int
    pixels_written: int
    lossy_bytes: int
    lossless_bytes: int
    overhead: float
    psnr_mean_db: float

    def to_dict(self) -> dict[str, int | float | None]:
        """All fields, by name."""
        return asdict(self)

    def table(self) -> str:
        """A printable table: bits, bits/pixel, bits/dim."""
        pixels = self.width * self.height
        rows = [
            ("latents, naive", self.latents_naive),
            ("latents, KL", self.latents_kl),
            ("latents, written", self.latents_written),
            ("pixels given latents", self.pixels),
            *([("of it, correction", self.correction)] if self.correction else []),
            ("pixels, written", self.pixels_written),
            ("header and checksums", self.header_bits),
            ("-ELBO (KL + pixels)", self.elbo),
            *([(f"-log2 p, {self.samples} samples", self.likelihood)] if self.likelihood is not None else []),
            ("lossy file", 8 * self.lossy_bytes),
            ("lossless file", 8 * self.lossless_bytes),
        ]
        lines = [
            f"{self.width} x {self.height}, {self.channels} channels, quality {self.quality}",
            f"{'':24}{'bits':>14}{'bits/pixel':>12}{'bits/dim':>12}",
        ]
        lines += [f"{n:24}{b:14,.1f}{b / pixels:12.4f}{b / pixels / self.channels:12.4f}" for n, b in rows]
        share = 100 * self.overhead / max(self.elbo, 1e-9)
        lines.append(f"overhead over -ELBO   {self.overhead:14,.1f} bits, {share:.4f} %")
        lines.append(f"mean image            {self.psnr_mean_db:14.2f} dB PSNR")
        return "\n".join(lines)
