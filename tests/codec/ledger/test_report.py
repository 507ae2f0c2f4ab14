"""The ledger: a likelihood written apart from the tables, and files that keep to it."""

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import vlcodec
from vlcodec.codec.coding.latents import SIDE_INFORMATION
from vlcodec.codec.coding.likelihood import bits_of, mixture_bits
from vlcodec.codec.coding.meter import Meter
from vlcodec.codec.coding.stack import Stack, split_digits
from vlcodec.codec.coding.tables import Bernoulli, Categorical, LogisticMixture, Uniform
from vlcodec.codec.interface import Distribution, Ints
from vlcodec.codec.ledger.report import log_mean
from vlcodec.models.blocks.pixel_block import Pass, PixelBlock
from vlcodec.models.layers.mixture import nats
from vlcodec.models.photo.codec import PhotoModel, golden_pictures


def mixtures(n: int, seed: int = 0) -> LogisticMixture:
    """n mixtures of three, from spikes to plains, inside the range and outside."""
    rng = np.random.default_rng(seed)
    shape = (n, 3)
    return LogisticMixture(
        rng.integers(-255, 256, shape), rng.integers(-6000, 6000, shape), rng.integers(0, 192, shape)
    )


def every_symbol(d: LogisticMixture) -> tuple[LogisticMixture, np.ndarray]:
    """Each row 256 times, and the symbols 0 .. 255 for each."""
    logit, centre, scale = (np.repeat(x, 256, 0) for x in (d.logit, d.centre, d.scale))
    return LogisticMixture(logit, centre, scale), np.tile(np.arange(256), len(d.logit))


def test_the_likelihood_sums_to_one() -> None:
    p = np.exp2(-mixture_bits(*every_symbol(mixtures(200))))
    assert np.abs(p.reshape(200, 256).sum(1) - 1).max() < 1e-12


def test_the_likelihood_is_the_one_that_was_trained() -> None:
    d, symbols = every_symbol(mixtures(100, 1))
    logit, centre, scale = (torch.from_numpy(x).double() for x in (d.logit, d.centre, d.scale))
    expected = nats(logit, centre, scale, torch.from_numpy(symbols).double() - 128) / math.log(2)
    assert np.abs(mixture_bits(d, symbols) - expected.numpy()).max() < 1e-9


@pytest.mark.parametrize("scale", [0, 40, 80, 110, 140])
def test_the_tables_agree(scale: int) -> None:
    """Symbols drawn from the model cost the same by table and by float64, on average and nearly each."""
    rng = np.random.default_rng(scale)
    n = 5000
    centre = rng.integers(-3000, 3000, (n, 1))
    d = LogisticMixture(np.zeros((n, 1), np.int64), centre, np.full((n, 1), scale))
    noise = rng.logistic(0, 0.002 * math.exp(scale / 16), n)
    symbols = np.clip(np.round(centre[:, 0] / 32 + noise) + 128, 0, 255).astype(np.int64)
    high, low = split_digits(symbols, d.radix)
    rows = np.arange(n)
    table = 48 - np.log2(d.counts([])[rows, high] + 1) - np.log2(d.counts([high])[rows, low] + 1)
    extra = table - mixture_bits(d, symbols)
    assert abs(extra.mean()) < 2e-3
    assert np.quantile(np.abs(extra), 0.95) < 0.1


def test_bits_of_a_block_are_those_of_its_symbols(tiny: PhotoModel) -> None:
    symbols, net = np.random.default_rng(3).integers(0, 256, (5, 6, 3, 1)), tiny.single(1)
    fz = net.features(np.full((1, 1, 4), 128), np.zeros((1, 1, 4), np.int64))
    block = PixelBlock(tiny.net.pixels, net.render(fz, range(5), 6)[None], False)
    flat = symbols.reshape(-1)
    one_by_one = [mixture_bits(s.distribution, flat[s.index]).sum() for s in block.parallel(symbols)]
    assert block.bits(symbols) == pytest.approx(sum(one_by_one))


def test_a_distribution_that_the_ledger_does_not_know() -> None:
    class Strange:
        radix = (2,)

        def counts(self, digits: Sequence[Ints]) -> Ints:
            return np.full((1, 2), 2**23 - 1)

    with pytest.raises(TypeError, match="no float64 likelihood for Strange"):
        Meter(Stack()).push(Strange(), np.zeros(1, np.int64))


@pytest.mark.parametrize(
    "make",
    [
        lambda n: Categorical(np.tile([0, 30, -40, 10], (n, 1))),
        lambda n: Bernoulli(np.full(n, 900)),
        lambda n: Uniform(n, 10),
    ],
    ids=["categorical", "bernoulli", "uniform"],
)
def test_plain_likelihoods_sum_to_one_and_are_the_tables(make: Callable[[int], Distribution]) -> None:
    size = make(1).radix[0]
    bits = bits_of(make(size), np.arange(size))
    assert np.exp2(-bits).sum() == pytest.approx(1, abs=1e-12)
    assert np.abs(bits - (24 - np.log2(make(1).counts([])[0] + 1))).max() < 1e-3


PICTURES = [("astronaut", 48, 64), ("camera", 40, 40), ("cat", 33, 17), ("coffee", 1, 1), ("rocket", 7, 60)]


@pytest.mark.parametrize("quality", [1, 4])
@pytest.mark.parametrize(("name", "height", "width"), PICTURES)
def test_files_keep_to_the_bound(
    photograph: Callable[[str, int, int], Image.Image], name: str, height: int, width: int, quality: int
) -> None:
    image = photograph(name, height, width)
    r = vlcodec.rate(image, quality=quality, seed=3)
    assert r.lossless_bytes <= 1.001 * r.elbo / 8 + 40
    assert r.lossless_bytes >= r.elbo / 8 * 0.999
    assert r.latents_written == pytest.approx(r.latents_kl, rel=2e-3, abs=32)
    assert r.lossless_bytes == len(vlcodec.compress(image, lossless=True, quality=quality, seed=3, model="photo"))
    assert r.lossy_bytes == len(vlcodec.compress(image, quality=quality, seed=3, model="photo"))


def test_the_ledger_adds_up() -> None:
    picture = golden_pictures()[0]
    r = vlcodec.rate(Image.fromarray(picture))
    assert (r.width, r.height, r.channels, r.quality) == (18, 12, 3, 1)
    assert 8 * r.lossless_bytes == r.header_bits + r.latents_written + r.pixels_written
    assert r.residual_written is not None
    assert 0 < 8 * r.lossy_bytes - r.latents_written - r.residual_written < 8 * 30
    assert r.elbo == r.latents_kl + r.pixels
    assert r.overhead == 8 * r.lossless_bytes - r.elbo
    assert r.latents_naive == r.latents_kl  # rounded latents have no place in their cells

    mean = vlcodec.decompress(vlcodec.compress(Image.fromarray(picture), quality=1, model="photo"), decode="mean")
    error = np.square(np.asarray(mean).astype(float) - picture).mean()
    assert r.psnr_mean_db == pytest.approx(10 * math.log10(255**2 / error))


def test_rate_encodes_once(photograph: Callable[[str, int, int], Image.Image], monkeypatch: pytest.MonkeyPatch) -> None:
    """One pass of the net over each band's pixels serves the file and the ledger."""
    passes, see = list[Ints](), PixelBlock.see

    def counted(block: PixelBlock, symbols: Ints) -> Pass:
        passes.append(symbols)
        return see(block, symbols)

    monkeypatch.setattr(PixelBlock, "see", counted)
    for height, bands in ((20, 1), (515, 2)):
        image = photograph("rocket", 427, 3).resize((3, height))
        passes.clear()
        r = vlcodec.rate(image, seed=2)
        assert sorted(len(symbols) for symbols in passes) == [height - 512 * (bands - 1)] + [512] * (bands - 1)
        assert r.lossless_bytes == len(vlcodec.compress(image, lossless=True, seed=2, model="photo"))
        assert r.lossy_bytes == len(vlcodec.compress(image, quality=1, seed=2, model="photo"))


def test_side_information_is_a_part_of_the_pixels(photograph: Callable[[str, int, int], Image.Image]) -> None:
    """One bit of a band without a correction; all its bytes besides where it has one, as a grain that repeats has."""
    plain = vlcodec.rate(photograph("cat", 24, 24))
    assert plain.side_information == pytest.approx(1)
    assert "of it, side information" in plain.table()
    with Image.open(Path(__file__).parents[2] / "golden" / "pictures" / "grain.png") as grain:
        corrected = vlcodec.rate(grain)
    assert 1 + 5 * 408 < corrected.side_information < 1 + 8 * 408  # numbers, which a logistic tells
    assert corrected.side_information < corrected.pixels
    assert SIDE_INFORMATION == "side information"


def test_grey_is_one_channel(photograph: Callable[[str, int, int], Image.Image], tmp_path: Path) -> None:
    image = photograph("camera", 20, 30)
    image.save(tmp_path / "grey.png")
    r = vlcodec.rate(tmp_path / "grey.png")
    assert r.channels == 1
    assert r == vlcodec.rate(io.BytesIO((tmp_path / "grey.png").read_bytes()))
    assert r.pixels < vlcodec.rate(image.convert("RGB")).pixels


def test_the_likelihood_of_samples_is_the_mean_of_their_probabilities() -> None:
    assert log_mean([1.0, 3.0]) == pytest.approx(-math.log2((0.5 + 0.125) / 2))
    assert log_mean([5000.0]) == pytest.approx(5000)


def test_report() -> None:
    r = vlcodec.rate(Image.fromarray(golden_pictures()[0]))
    fields, table = r.to_dict(), r.table()
    assert fields["elbo"] == r.elbo
    assert f"{r.elbo:,.1f}" in table
    assert f"{r.elbo / (12 * 18 * 3):.4f}" in table
    assert f"{r.psnr_mean_db:.2f} dB" in table
