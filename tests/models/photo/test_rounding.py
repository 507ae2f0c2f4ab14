"""Rounding that weighs a latent's bits against its error."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from compiled_loops import both
from PIL import Image

from vlcodec.codec.coding.latents import write_latents
from vlcodec.codec.coding.likelihood import bits_of
from vlcodec.codec.coding.tables import LogisticMixture
from vlcodec.codec.coding.units import CDF_BITS, FINE
from vlcodec.codec.interface import Ints, Step
from vlcodec.models.photo.codec import PhotoModel
from vlcodec.models.photo.rounding import NAT_UNIT, log_mass, nearer_of, rate_distortion_rounded
from vlcodec.models.walks.dither import CENTRE, quantise
from vlcodec.models.walks.latent_steps import MixtureStep


class Independent:
    """A prior of one logistic of so many steps' scale, the same for every latent."""

    def __init__(self, sigma: float) -> None:
        self.scale = round(16 * math.log(sigma / 0.002))

    def given(self, symbols: Ints, places: Ints) -> Iterator[Step]:
        zero = np.zeros((len(places), 1), np.int64)
        yield Step(LogisticMixture(zero, zero, zero + self.scale), places)


def chosen(sigma: float, centres: Ints) -> Ints:
    block: Any = Independent(sigma)
    return rate_distortion_rounded(block, centres) - CENTRE


def test_logarithms() -> None:
    masses = np.unique(np.rint(np.geomspace(256, 1 << CDF_BITS, 5000)).astype(np.int64))
    assert np.abs(log_mass(masses) / NAT_UNIT - np.log(masses)).max() < 1.2 / NAT_UNIT
    assert (np.diff(log_mass(masses)) >= 0).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_dear_symbol_goes_to_zero_unless_its_error_is_large(sign: int) -> None:
    centres = sign * np.arange(0, 49, dtype=np.int64)
    k = sign * chosen(0.1, centres)  # one step from zero costs about 5 nats more than none
    bound = next(int(c) for c in np.abs(centres) if k[c] == 1)
    assert (k == (np.abs(centres) >= bound)).all()
    assert 19 <= bound <= 23  # 32 ((mu / 32)^2 - (mu / 32 - 1)^2) = 5 nats at 18.5


def test_cheap_symbols_stay_and_none_goes_further_than_a_step() -> None:
    centres = np.random.default_rng(0).integers(-100 * FINE, 100 * FINE, 2000)
    centres = centres[centres % FINE != FINE // 2]  # as near to one as to the other
    plain = quantise(centres, np.zeros_like(centres)) - CENTRE
    assert np.array_equal(chosen(100.0, centres), plain)
    moved = np.abs(plain) - np.abs(chosen(0.3, centres))
    assert set(np.unique(moved)) <= {0, 1}


@pytest.mark.parametrize("quality", [1, 4])
def test_choices_of_a_photograph(
    photo: PhotoModel, photograph: Callable[[str, int, int], Image.Image], quality: int
) -> None:
    """Each by the rule, told from the float64 likelihood; together they shorten the file."""
    net, pictures = photo.single(quality), np.asarray(photograph("astronaut", 96, 128))[None]
    mu = net.centres(pictures)
    u = np.zeros_like(mu)
    plain, found = quantise(mu, u), net.posterior(pictures, u).symbols
    sure = 0
    for step in net.prior(u).parallel(plain):
        symbol, centre, now = (x.reshape(-1)[step.index] for x in (plain, mu, found))
        k = symbol - CENTRE
        nearer = k - np.sign(k)
        saved = (bits_of(step.distribution, symbol) - bits_of(step.distribution, nearer + CENTRE)) * math.log(2)
        added = 32 * (np.square(centre / FINE - nearer) - np.square(centre / FINE - k))
        clear = np.abs(saved - added) > 3 / NAT_UNIT
        assert np.array_equal((now != symbol)[clear], (saved > added)[clear])
        sure += int((clear & (k != 0)).sum())
    assert sure > 50
    sizes = [len(write_latents(net, symbols, u)) for symbols in (plain, found)]
    assert sizes[1] < 0.98 * sizes[0]


@pytest.mark.parametrize("price", [5, 32])
def test_compiled_loops_choose_the_same(price: int) -> None:
    """Far symbols and certain ones among them."""
    rng = np.random.default_rng(price)
    n = 4000
    logit, offset = rng.integers(-255, 256, (n, 2)), rng.integers(-4096, 4097, (n, 2))
    scale = rng.integers(0, 192, (n, 2))
    k = np.where(rng.random(n) < 0.8, rng.integers(-9, 10, n), rng.integers(-1023, 1024, n))
    mu = FINE * k + rng.integers(-FINE // 2, FINE // 2, n)

    def found() -> tuple[Ints, Ints]:
        return nearer_of(MixtureStep(LogisticMixture(logit, offset, scale), np.arange(n)), k, mu, price)

    plain, fast = both(found)
    assert np.array_equal(plain, fast)
    assert 0 < (plain[0] != k).mean() < 0.9
