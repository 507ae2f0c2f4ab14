"""Dithered quantisation: an exact sample of the posterior, for the price of the KL divergence."""

from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import pytest

from vlcodec.codec.coding.dither import quantise, reconstruct
from vlcodec.codec.coding.latents import dither, grid_shape, read_latents, write_latents
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.coding.tables import FINE, LogisticMixture
from vlcodec.codec.errors import FormatError
from vlcodec.codec.interface import Ints, Step
from vlcodec.models.photo.codec import PhotoModel

N = 20_000
SCALE = 80  # the prior's: 0.002 e^5 = 0.3 steps
SIGMA = 0.002 * np.exp(SCALE / 16)


class LogisticPrior:
    """A model whose latents follow one logistic, whatever the quality, in one step."""

    def __init__(self, u: Ints) -> None:
        self.shape, self.count, self.u = u.shape, 1, u.reshape(-1, 1)

    def step(self) -> Step:
        zero = np.zeros_like(self.u)
        return Step(LogisticMixture(zero, zero - self.u, zero + SCALE), np.arange(self.u.size))

    def sequential(self) -> Generator[Step, Ints, None]:
        yield self.step()

    def parallel(self, symbols: Ints) -> Iterator[Step]:
        yield self.step()


class LogisticModel:
    """What the coding of latents needs of a model."""

    stride, latents = 16, 1

    def prior(self, u: Ints, quality: int) -> LogisticPrior:
        return LogisticPrior(u)


MODEL: Any = LogisticModel()


def sigmoid(x: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return 0.5 + 0.5 * np.tanh(x / 2)


@pytest.mark.parametrize("centre", [0, 15, 16, 17, 1000, -1001])
def test_z_is_uniform_about_the_centre(centre: int) -> None:
    mu, u = np.full(N, centre), dither(7, (N,))
    offset = reconstruct(quantise(mu, u), u) - mu
    assert offset.min() >= -FINE // 2
    assert offset.max() <= FINE // 2
    counts = np.unique(offset, return_counts=True)[1]
    assert len(counts) == 16
    assert np.abs(counts / N - 1 / 16).max() < 0.01


def test_the_price_is_the_kl_divergence() -> None:
    """Coded bits are on average E_q[-log2 P(cell about z)], the KL of U(mu - 1/2, mu + 1/2) from the cells' prior;
    the density at a point, in the cell's place, would not do."""
    mu = np.random.default_rng(0).integers(-40, 41, (N, 1))
    u = dither(1, mu.shape)
    coded = Stack(write_latents(MODEL, quantise(mu, u), u, 1)).bits / N

    z = mu / FINE + (np.arange(64) + 0.5) / 64 - 0.5  # (N, 64) over the posterior
    cell = sigmoid((z + 0.5) / SIGMA) - sigmoid((z - 0.5) / SIGMA)
    density = sigmoid(z / SIGMA) * sigmoid(-z / SIGMA) / SIGMA
    kl, pointwise = -np.log2(cell).mean(), -np.log2(density).mean()
    assert coded == pytest.approx(kl, abs=0.015)
    assert abs(pointwise - kl) > 0.1


def test_quantise_and_reconstruct_are_exact() -> None:
    rng, u = np.random.default_rng(1), dither(3, (50, 40))
    symbols = rng.integers(0, 256, u.shape)
    assert np.array_equal(quantise(reconstruct(symbols, u), u), symbols)
    assert np.array_equal(reconstruct(symbols, u), 32 * symbols - 4096 + u)


def test_far_centres_stay_in_the_alphabet() -> None:
    mu, u = np.array([-9999, 9999]), np.array([15, -15])
    assert quantise(mu, u).tolist() == [0, 255]


def test_dither_depends_on_the_seed_alone() -> None:
    u = dither(5, (6, 7, 8))
    assert np.array_equal(u.reshape(-1)[:100], dither(5, (100,)))
    assert (u == dither(6, (6, 7, 8))).mean() < 0.15
    assert np.array_equal(np.unique(dither(5, (1000,))), np.arange(-15, 16, 2))
    assert dither(5, (6,)).tolist() == [1, 3, 1, 3, -5, 15]


@pytest.mark.parametrize(("height", "width", "grid"), [(1, 1, (1, 1)), (16, 17, (1, 2)), (600, 1, (38, 1))])
def test_grid(tiny: PhotoModel, height: int, width: int, grid: tuple[int, int]) -> None:
    assert grid_shape(tiny, height, width) == (*grid, 4)
    assert tiny.encode(np.zeros((height, width, 3), np.uint8), 1, dither(0, (*grid, 4))).shape == (*grid, 4)


@pytest.mark.parametrize("quality", [1, 4])
@pytest.mark.parametrize("shape", [(1, 1, 4), (3, 5, 4), (1, 6, 4), (6, 1, 4)])
def test_round_trip(tiny: PhotoModel, shape: tuple[int, int, int], quality: int) -> None:
    u, symbols = dither(2, shape), np.random.default_rng(2).integers(0, 256, shape)
    data = write_latents(tiny, symbols, u, quality)
    assert np.array_equal(read_latents(tiny, data, u, quality), reconstruct(symbols, u))
    for wrong in (data + b"\1", data[:-1] + bytes([data[-1] ^ 1 or 2])):
        with pytest.raises(FormatError, match="latents' stack must be empty"):
            read_latents(tiny, wrong, u, quality)
