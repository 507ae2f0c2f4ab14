"""The rate ledger of an archive: what the models' likelihoods promise for its pictures, and what the file takes."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from vlcodec.codec.coding.archive import Coded, Models, link_dither, links
from vlcodec.codec.coding.dither import reconstruct
from vlcodec.codec.files import archive_file
from vlcodec.codec.files.archive_file import ArchiveFile
from vlcodec.codec.interface import Bytes, Ints
from vlcodec.codec.ledger.report import bits


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


def report(
    models: Models, pictures: Bytes, seed: int, lossless: tuple[ArchiveFile, Coded], lossy: tuple[ArchiveFile, Coded]
) -> ArchiveReport:
    """The ledger of both archives of the same pictures."""
    file, coded = lossless
    size = archive_file.sizes(file)
    kl = given = naive = by_dither = 0.0
    lanes = 0
    plan = links(file.header.count, coded.dithered, coded.ratio, file.header.extra)
    for link, latents in zip(plan, coded.latents, strict=True):
        part = pictures[link.first : link.first + link.count]
        costs = _dithered(models, part, latents, link_dither(models, link, seed)) if link.dithered else None
        cost, all_of_z, pixels = costs or _chained(models, part, latents)
        kl, naive, given = kl + cost, naive + all_of_z, given + pixels
        by_dither += cost + pixels if link.dithered else 0.0
        lanes = max(lanes, link.count)
    lossy_kl = 0.0
    for link, latents in zip(links(len(pictures), len(pictures), 0, 0), lossy[1].latents, strict=True):
        lossy_kl += bits(models.dithered.prior(link_dither(models, link, seed)), latents)
    extra, names = 8 * file.header.extra, 8 * size["names"]
    lossless_bytes, lossy_bytes = len(archive_file.pack(file)), len(archive_file.pack(lossy[0]))
    return ArchiveReport(
        pictures=len(pictures),
        latents_naive=naive,
        latents_kl=kl,
        pixels=given,
        elbo=kl + given,
        dithered=coded.dithered,
        dithered_elbo=by_dither,
        start_bits=coded.start_bits,
        lanes=lanes,
        stack_written=8 * size["stack"],
        header_bits=8 * size["header"],
        checksum_bits=8 * size["checksums"],
        names_bits=names,
        extra_bits=extra,
        lossless_bytes=lossless_bytes,
        overhead=8 * lossless_bytes - extra - names - (kl + given),
        lossy_kl=lossy_kl,
        lossy_bytes=lossy_bytes,
        lossy_overhead=8 * lossy_bytes - extra - names - lossy_kl,
    )


def _chained(models: Models, pictures: Bytes, z: Ints) -> tuple[float, float, float]:
    """Bits of KL, of the latents without bits-back, and of pixels."""
    model = models.chained
    prior, posterior = bits(model.prior(len(pictures)), model.to_noise(z)), bits(model.given(pictures), z)
    return prior - posterior, prior, bits(model.pixels(z), model.to_symbols(pictures))


def _dithered(models: Models, pictures: Bytes, symbols: Ints, u: Ints) -> tuple[float, float, float]:
    model = models.dithered
    prior = bits(model.prior(u), symbols)
    return prior, prior + 4.0 * symbols.size, bits(model.pixels(reconstruct(symbols, u)), model.to_symbols(pictures))
