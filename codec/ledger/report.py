"""The rate ledger: what the model's likelihood promises for a picture, and what the files really take.

The -ELBO that files are held against is the exported integer model's (`coding.likelihood`): lambda, the auxiliary
decoder and training tricks do not enter.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vlcodec.codec.coding.latents import PIXELS
from vlcodec.codec.interface import Bytes
from vlcodec.codec.likeness import psnr

MOST_DB = 138.0


def log_mean(bits_of_samples: list[float]) -> float:
    """-log2 of the mean of 2^-b: the importance-sampled likelihood, in bits (Burda et al. 2015)."""
    negative = -np.log(2.0) * np.array(bits_of_samples)
    return float(-(np.logaddexp.reduce(negative) - np.log(len(negative))) / np.log(2.0))


def psnr_db(image: Bytes, original: Bytes) -> float:
    """Of pixels (..., C) uint8, in dB; MOST_DB for equal ones, since JSON has nothing infinite."""
    return min(MOST_DB, psnr(image, original))


@dataclass(frozen=True)
class RateReport:
    """What each part of one picture costs. All in bits unless named otherwise.

    groups: of latents_kl, what each group of latents costs: one, unless the model is progressive.
    latents_kl: -log2 of the prior's mass on the cells of the file's own latents: KL(q || p) in expectation.
    latents_naive: the same z sent without shared dither, log2 16 bits more for each latent's place in its cell; of a
    rounded posterior no more than the KL.
    pixels: -log2 p(x | z). side_information: of these, what is sent to fit the model to each band (two-part code).
    parts: of the pixels, by section of the ledger.
    chained: the model makes archives alone. What is written of latents and pixels, and lossless_bytes, is then what the
    picture adds to an archive's stack, its latents and pixels in one, by one draw of all that bits-back takes off.
    residual: of a lossy file in layers, -log2 P of what its mean image lacks; no part of the lossless file.
    elbo: latents_kl + pixels, that is -ELBO. overhead: of the lossless file over it.
    likelihood: importance-sampled with so many samples, smaller than -ELBO, and not reached by a file.
    """

    width: int
    height: int
    channels: int
    quality: float
    latents_naive: float
    latents_kl: float
    groups: tuple[float, ...]
    pixels: float
    side_information: float
    parts: dict[str, float]
    chained: bool
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
    residual: float = 0.0
    residual_written: int = 0

    def to_dict(self) -> dict[str, Any]:
        """All fields, by name."""
        return asdict(self)

    def table(self) -> str:
        """A printable table: bits, bits/pixel, bits/dim."""
        pixels = self.width * self.height
        rows = [
            ("latents, naive", self.latents_naive),
            ("latents, KL", self.latents_kl),
            *([(f"of it, group {i + 1}", bits) for i, bits in enumerate(self.groups)] if len(self.groups) > 1 else []),
            ("latents, written", self.latents_written),
            ("pixels given latents", self.pixels),
            *((f"of it, {name}", bits) for name, bits in self.parts.items() if len(self.parts) > 1 and name != PIXELS),
            ("pixels, written", self.pixels_written),
            ("header and checksums", self.header_bits),
            *([("residual", self.residual)] if self.residual_written else []),
            *([("residual, written", self.residual_written)] if self.residual_written else []),
            ("-ELBO (KL + pixels)", self.elbo),
            *([(f"-log2 p, {self.samples} samples", self.likelihood)] if self.likelihood is not None else []),
            ("lossy file", 8 * self.lossy_bytes),
            ("added to an archive" if self.chained else "lossless file", 8 * self.lossless_bytes),
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
