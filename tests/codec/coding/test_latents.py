"""Dithered quantisation: an exact sample of the posterior, for the price of the KL divergence."""

from typing import Any

import numpy as np
import pytest

from vlcodec.codec.coding.latents import (
    PIXELS,
    POSTERIOR,
    PRIOR,
    StackLow,
    choose,
    dither,
    dither_of,
    pop,
    push,
    read_latents,
    write_latents,
)
from vlcodec.codec.coding.meter import Meter
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.coding.tables import LogisticMixture
from vlcodec.codec.coding.units import FINE
from vlcodec.codec.coding.walk import OneStep
from vlcodec.codec.errors import FormatError
from vlcodec.codec.interface import Ints, LatentNet, Model
from vlcodec.models import registry, zoo
from vlcodec.models.photo.codec import PhotoModel
from vlcodec.models.vlae.codec import golden_pictures
from vlcodec.models.walks.dither import quantise, reconstruct

N = 20_000
SCALE = 80  # the prior's: 0.002 e^5 = 0.3 steps
SIGMA = 0.002 * np.exp(SCALE / 16)


class LogisticNet:
    """What the coding of latents needs of a net: latents that follow one logistic."""

    posterior_kind = "dithered"

    def shape(self, n: int, height: int, width: int) -> tuple[int, ...]:
        return n, height, width

    def prior(self, u: Ints) -> OneStep:
        column = u.reshape(-1, 1)
        zero = np.zeros_like(column)
        return OneStep(LogisticMixture(zero, zero - column, zero + SCALE), u.shape)


NET: Any = LogisticNet()


def sigmoid(x: np.ndarray) -> np.ndarray:
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
    coded = Stack(write_latents(NET, quantise(mu, u), u)).bits / N

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


def test_every_picture_has_the_dither_of_its_number() -> None:
    together = dither_of(NET, 5, 3, 4, 2, 6)
    assert together.shape == (4, 2, 6)
    for number, one in enumerate(together, start=3):
        assert np.array_equal(one[None], dither(5, (1, 2, 6), number))


@pytest.mark.parametrize(("height", "width", "grid"), [(1, 1, (1, 1)), (16, 17, (1, 2)), (600, 1, (38, 1))])
def test_grid(tiny: PhotoModel, height: int, width: int, grid: tuple[int, int]) -> None:
    """Rounded latents have no dither."""
    net = tiny.single(1)
    assert net.shape(1, height, width) == (*grid, 4)
    u = dither_of(net, 5, 0, 1, height, width)
    assert (u.shape, bool(u.any())) == ((*grid, 4), False)
    assert choose(net, np.zeros((1, height, width, 3), np.uint8), u).shape == (*grid, 4)


@pytest.mark.parametrize("quality", [1, 4])
@pytest.mark.parametrize("shape", [(1, 1, 4), (3, 5, 4), (1, 6, 4), (6, 1, 4)])
def test_round_trip(tiny: PhotoModel, shape: tuple[int, int, int], quality: int) -> None:
    net, u, symbols = tiny.single(quality), dither(2, shape), np.random.default_rng(2).integers(0, 256, shape)
    data = write_latents(net, symbols, u)
    assert np.array_equal(read_latents(net, data, u), symbols)
    for wrong in (data + b"\1", data[:-1] + bytes([data[-1] ^ 1 or 2])):
        with pytest.raises(FormatError, match="latents' stack must be empty"):
            read_latents(net, wrong, u)


# ---- pictures and latents on one stack -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def binary() -> Model:
    return zoo.load(registry.by_name("vlae-mnist"), "cpu")


def chained_of(model: Model) -> LatentNet:
    found = model.chained()
    assert found is not None
    return found


def test_bits_back_needs_bits_to_begin_with(binary: Model) -> None:
    """Fewer than it takes are noticed, not made up."""
    net, pictures = chained_of(binary), golden_pictures()
    u = dither_of(net, 0, 0, *pictures.shape[:3])
    for bottom in (b"", b"too few" * 3):
        with pytest.raises(StackLow):
            push(net, pictures, u, Stack(bottom))
    push(net, pictures, u, Stack(bytes(range(1, 200)) * 3))


@pytest.mark.parametrize("lossless", [False, True])
def test_a_dithered_posterior_takes_no_bits(binary: Model, lossless: bool) -> None:
    """The same pair of functions codes it, on an empty stack; what the sections promise is what is written."""
    net, pictures = binary.single(1), golden_pictures()
    u, stack = dither_of(net, 9, 0, *pictures.shape[:3]), Stack()
    meter = Meter(stack)
    symbols = push(net, pictures, u, meter, lossless)
    assert np.array_equal(symbols, choose(net, pictures, u))
    assert meter.promised.keys() == {PRIOR, *([PIXELS] if lossless else [])}
    assert meter.promised[PRIOR] == pytest.approx(net.prior(u).bits(symbols))
    assert stack.bits == pytest.approx(meter.total, rel=0.01, abs=40)
    if lossless:
        assert np.array_equal(pop(net, u, stack, *pictures.shape[1:]), pictures)
    else:
        assert np.array_equal(net.prior(u).pop(stack), symbols)
    assert stack.empty


def test_a_meter_keeps_what_each_section_promises(binary: Model) -> None:
    """Of bits-back, the posterior gives bits: its section is negative, and all sections are what the stack grew by."""
    net, pictures = chained_of(binary), golden_pictures()
    stack = Stack(np.random.default_rng(0).bytes(1000) + b"\1")
    u, meter, before = dither_of(net, 0, 0, *pictures.shape[:3]), Meter(stack), stack.bits
    symbols = push(net, pictures, u, meter)
    assert meter.promised.keys() == {PRIOR, POSTERIOR, PIXELS}
    assert meter.promised[POSTERIOR] == pytest.approx(-net.posterior(pictures, u).bits(symbols))
    assert meter.promised[PRIOR] == pytest.approx(net.prior(u).bits(symbols))
    assert meter.promised[POSTERIOR] < 0 < meter.promised[PIXELS]
    assert (meter.bits, meter.total) == (stack.bits, sum(meter.promised.values()))
    assert stack.bits - before == pytest.approx(meter.total, rel=0.01, abs=40)


def test_a_meter_alone_counts_what_a_meter_on_a_stack_counts(binary: Model) -> None:
    net, pictures = binary.single(1), golden_pictures()
    u, alone, on_a_stack = dither_of(net, 1, 0, *pictures.shape[:3]), Meter(), Meter(Stack())
    for meter in (alone, on_a_stack):
        push(net, pictures, u, meter)
    assert dict(alone.promised) == dict(on_a_stack.promised)
    assert (alone.bits, alone.exhausted, on_a_stack.exhausted) == (0, False, False)
    with pytest.raises(RuntimeError, match="a meter without a stack has nothing to pop"):
        net.prior(u).pop(alone)
