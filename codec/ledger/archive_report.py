"""The rate ledger of an archive: what the models' likelihoods promise for its pictures, and what the file takes."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from vlcodec.codec.coding.archive import Coded
from vlcodec.codec.coding.latents import POSTERIOR, PRIOR
from vlcodec.codec.files import archive_file
from vlcodec.codec.files.archive_file import ArchiveFile

PLACE_BITS = 4.0  # log2 of the dither's values: a latent's place in its cell, sent without shared dither


@dataclass(frozen=True)
class ArchiveReport:
    """What the parts of a lossless and of a lossy archive of the same pictures cost. In bits unless named otherwise.

    elbo: sum of -ELBO over all pictures at the file's own latents, of the nets that coded them; latents_kl and pixels
    are its parts. latents_naive: the same latents without bits-back. dithered: pictures that had to be coded by dither
    before bits-back could begin, and dithered_elbo: what they cost. start_bits: on the stack when it began.
    lanes: of the largest link. overhead: of the lossless file, less names and extra bytes, over elbo.
    lossy_kl: sum of the KL of the lossy archive's latents; lossy_overhead: of its file, likewise, over that.
    """

    pictures: int
    latents_naive: float
    latents_kl: float
    pixels: float
    elbo: float
    dithered: int
    dithered_elbo: float
    start_bits: int
    lanes: int
    stack_written: int
    header_bits: int
    checksum_bits: int
    names_bits: int
    extra_bits: int
    lossless_bytes: int
    overhead: float
    lossy_kl: float
    lossy_bytes: int
    lossy_overhead: float

    def to_dict(self) -> dict[str, int | float]:
        """All fields, by name."""
        return asdict(self)

    def table(self) -> str:
        """A printable table: bits, bits a picture."""
        rows = [
            ("latents, naive", self.latents_naive),
            ("latents, KL", self.latents_kl),
            ("pixels given latents", self.pixels),
            ("-ELBO (KL + pixels)", self.elbo),
            (f"of it, {self.dithered} by dither", self.dithered_elbo),
            ("start-up bits", self.start_bits),
            ("stack, written", self.stack_written),
            ("of it, extra bytes", self.extra_bits),
            ("header", self.header_bits),
            ("checksums", self.checksum_bits),
            ("names", self.names_bits),
            ("lossless archive", 8 * self.lossless_bytes),
            ("lossy: latents, KL", self.lossy_kl),
            ("lossy archive", 8 * self.lossy_bytes),
        ]
        lines = [
            f"{self.pictures} pictures, links of up to {self.lanes} lanes",
            f"{'':24}{'bits':>14}{'a picture':>12}",
        ]
        lines += [f"{name:24}{value:14,.1f}{value / self.pictures:12.3f}" for name, value in rows]
        share = 100 * self.overhead / self.elbo
        lines.append(f"overhead over -ELBO     {self.overhead:14,.1f} bits, {share:.4f} %")
        return "\n".join(lines)


def report(lossless: tuple[ArchiveFile, Coded], lossy: tuple[ArchiveFile, Coded]) -> ArchiveReport:
    """The ledger of both archives of the same pictures, from what their stacks were promised."""
    file, coded = lossless
    size = archive_file.sizes(file)
    start, chained = _of(coded.starter_promised), _of(coded.chained_promised)
    kl, pixels = (start[name] + chained[name] for name in ("kl", "pixels"))
    place_bits = PLACE_BITS * coded.dithered_latents
    lossy_kl = _of(lossy[1].starter_promised)["kl"]
    extra, names = 8 * file.header.extra, 8 * size["names"]
    lossless_bytes, lossy_bytes = len(archive_file.pack(file)), len(archive_file.pack(lossy[0]))
    return ArchiveReport(
        pictures=file.header.count,
        latents_naive=start["prior"] + chained["prior"] + place_bits,
        latents_kl=kl,
        pixels=pixels,
        elbo=kl + pixels,
        dithered=coded.dithered,
        dithered_elbo=start["kl"] + start["pixels"],
        start_bits=coded.start_bits,
        lanes=coded.lanes,
        stack_written=8 * size["stack"],
        header_bits=8 * size["header"],
        checksum_bits=8 * size["checksums"],
        names_bits=names,
        extra_bits=extra,
        lossless_bytes=lossless_bytes,
        overhead=8 * lossless_bytes - extra - names - (kl + pixels),
        lossy_kl=lossy_kl,
        lossy_bytes=lossy_bytes,
        lossy_overhead=8 * lossy_bytes - extra - names - lossy_kl,
    )


def _of(promised: dict[str, float]) -> dict[str, float]:
    """Bits of the prior, of the KL (what the posterior gave is negative) and of the pixels."""
    prior, posterior = promised.get(PRIOR, 0.0), promised.get(POSTERIOR, 0.0)
    rest = sum(bits for name, bits in promised.items() if name not in (PRIOR, POSTERIOR))
    return {"prior": prior, "kl": prior + posterior, "pixels": rest}
