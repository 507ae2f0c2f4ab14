"""The conditional real NVP: the paper's equations in floating point, and the same on whole cells, undone exactly."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from vapnev_parts import LATENTS, random_net

from vlcodec.codec.coding.latents import StackLow, primed
from vlcodec.codec.coding.meter import Meter
from vlcodec.codec.coding.noise import Noise
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.interface import Ints
from vlcodec.models.vapnev import training as recipe
from vlcodec.models.vapnev.flow import CHANNELS, FINE_SHIFT, HALVES, SIDE, TURNS, Coupling, Flow, FlowShape
from vlcodec.models.vapnev.grid import CELL_BITS, LOG_MAX, LOG_REACH, LOG_UNIT, SHARE, SHIFT_MAX, edges, scales
from vlcodec.models.vapnev.integer_flow import IntegerFlow, moved, spread, squeezed, unmoved, unspread, unsqueezed
from vlcodec.models.vapnev.prior import YPrior


def random_flow(conditional: bool = True) -> Flow:
    """One that float32 inverts."""
    return random_net(conditional=conditional, wild=0.3).flow


def inputs(n: int) -> tuple[Tensor, Tensor]:
    """Pictures in cells, and features of z."""
    rng = torch.Generator().manual_seed(n)
    return 20_000 * torch.randn(n, 32, 32, 3, generator=rng), 1000 * torch.randn(n, LATENTS, generator=rng)


# ---- halves and grids ----------------------------------------------------------------------------------------------


def test_halves_are_halves() -> None:
    for scale, kinds in enumerate(HALVES):
        for first, second in kinds:
            assert len(first) == len(second)
            assert sorted(first + second) == list(range(CHANNELS << scale))


def test_a_checkerboard_is_one() -> None:
    """Of the pixels before the squeeze: a pixel's neighbours in its row and column are in the other half."""
    for scale in range(2):
        channels = (3, 6)[scale]
        r, c = np.indices((8, 8))
        pixels = np.repeat(((r + c) % 2)[:, :, None, None], channels, 2)
        first, second = HALVES[scale][0]
        assert not squeezed(pixels)[:, :, list(first)].any()
        assert squeezed(pixels)[:, :, list(second)].all()


def test_squeezes_are_inverse() -> None:
    x = np.random.default_rng(0).integers(-9, 9, (8, 6, 5, 2))
    assert np.array_equal(unsqueezed(squeezed(x)), x)


def test_levels_are_cells_of_the_logit() -> None:
    found, x = edges(), np.arange(257) / 256
    p = 0.05 + 0.9 * x
    assert np.abs(found - 2**CELL_BITS * np.log(p / (1 - p))).max() <= 0.5 + 1e-9
    assert np.array_equal(found, -found[::-1])
    assert np.diff(found).min() >= 2
    assert np.diff(found).max() <= 2**12


def test_scales_are_those_of_training() -> None:
    said = np.arange(-LOG_REACH, LOG_REACH + 1)
    ln = np.tanh(said / LOG_MAX) * LOG_MAX / LOG_UNIT
    assert np.abs(scales() - SHARE * np.exp(ln)).max() < 3
    assert (scales().min(), scales().max()) == (259, 4050)
    assert scales()[LOG_REACH] == SHARE


# ---- floating point ------------------------------------------------------------------------------------------------


def doubled(coupling: Coupling) -> Callable[[Tensor, Tensor], Tensor]:
    """Eq. 16 by hand, in float64, of what the layers say."""

    def told(seen: Tensor, e: Tensor) -> Tensor:
        first = coupling.leave(coupling.elu(coupling.blocks(coupling.enter(seen)))).double()
        assert coupling.shortcut is not None
        second = coupling.shortcut(e).double()
        size = 2 * coupling.channels
        parts = coupling.mix.weight.split(size, 1)
        a, b1, b2 = (part.diagonal().double() for part in parts)
        gain = coupling.mix.gain.double()
        found: Tensor = a * first * second / 1024 + b1 * first + b2 * second + 1024 * coupling.mix.bias.double()
        return gain * found

    return told


def test_a_coupling_is_equation_16() -> None:
    flow, e = random_flow(), inputs(2)[1]
    coupling = flow.turns(0)[0].coupling(1)
    seen = torch.randn(2, SIDE, SIDE, coupling.channels) * 1000
    found, expected = coupling(seen, e), doubled(coupling)(seen, e)
    assert torch.allclose(found.double(), expected, rtol=1e-4, atol=1e-2)
    other = coupling(seen, e + 500)
    assert not torch.allclose(found, other)


def test_a_blind_flow_does_not_see_z() -> None:
    flow, (x, e) = random_flow(conditional=False), inputs(2)
    assert torch.equal(flow(x, e)[0], flow(x, 0 * e)[0])
    assert not torch.equal(random_flow()(x, e)[0], random_flow()(x, 0 * e)[0])


@pytest.mark.parametrize("conditional", [True, False])
def test_the_inverse_in_floating_point(conditional: bool) -> None:
    flow, (x, e) = random_flow(conditional), inputs(3)
    with torch.no_grad():
        y, _ = flow(x, e)
        assert (y - x.reshape(y.shape)).abs().max() > 1000
        assert ((flow.inverse(y, e) - x).abs().max() / x.abs().max()) < 1e-5


def test_log_determinants_are_autograds() -> None:
    flow, e = random_flow(), inputs(1)[1]
    x = 20_000 * torch.randn(1, 32, 32, 3)

    def of(flat: Tensor) -> Tensor:
        y: Tensor = flow(flat.view(1, 32, 32, 3), e)[0]
        return y.flatten()

    jacobian = torch.autograd.functional.jacobian(of, x.flatten(), vectorize=True)
    assert isinstance(jacobian, Tensor)
    found = float(flow(x, e)[1].detach())
    assert torch.linalg.slogdet(jacobian.double())[1].item() == pytest.approx(found, rel=1e-5)


# ---- whole cells ---------------------------------------------------------------------------------------------------

VALUES = st.integers(-(2**33), 2**33)


@settings(max_examples=50)
@given(st.lists(st.tuples(VALUES, st.integers(259, 4050), st.integers(-SHIFT_MAX, SHIFT_MAX)), min_size=1, max_size=30))
def test_a_move_is_undone(rows: list[tuple[int, int, int]]) -> None:
    x, ratio, shift = (np.array(column).reshape(-1, 1) for column in zip(*rows, strict=True))
    stack = primed(1, 0)
    bottom = stack.to_bytes()
    y = moved(x, ratio, shift, stack)
    assert (np.abs(y - shift - x * ratio / SHARE) <= np.abs(x) * 1e-12 + ratio / SHARE + 1).all()
    assert np.array_equal(unmoved(y, ratio, shift, stack), x)
    assert stack.to_bytes() == bottom


def test_a_move_costs_its_jacobian() -> None:
    rng = np.random.default_rng(0)
    ratio = rng.integers(259, 4051, (100_000, 1))
    stack, x = primed(20, 0), rng.integers(-50_000, 50_000, ratio.shape)
    before, meter = stack.bits, Meter(stack)
    moved(x, ratio, 0 * x, meter)
    exactly = -np.log2(ratio / SHARE).sum()
    assert meter.total == pytest.approx(exactly)
    assert abs(stack.bits - before - exactly) / len(x) < 0.001


def extreme_pictures() -> Ints:
    """(32, 32, 3, 4) levels: black, white, both, and noise."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (32, 32, 3))
    return np.stack([0 * noise, 0 * noise + 255, 255 * (noise % 2), noise], -1)


def told_by(seed: int) -> Callable[[tuple[int, int, int], Ints], Ints]:
    """Couplings that say anything, up to what layers can say, as a function of what they see."""

    def told(which: tuple[int, int, int], seen: Ints) -> Ints:
        mixed = (seen * 2654435761 + 97 * sum(which) + seed) >> 7
        both = np.concatenate((mixed % 6001 - 3000, (mixed >> 3) % (2 * SHIFT_MAX + 1) - SHIFT_MAX), 2)
        half = np.arange(both.shape[2]) // seen.shape[2]
        both[:1] = np.array([2**17 - 1, -SHIFT_MAX])[half, None]
        both[1:2] = np.array([-(2**17) + 1, SHIFT_MAX])[half, None]
        return both

    return told


@pytest.mark.parametrize("seed", range(3))
def test_the_whole_flow_is_undone(seed: int) -> None:
    """Whatever couplings say, at the bounds of all that they can say; with the stack, bit for bit."""
    flow, levels = IntegerFlow(told_by(seed)), extreme_pictures()
    stack = primed(4, seed)
    bottom = stack.to_bytes()
    y = flow.push(spread(levels, stack), stack)
    assert 2**20 < np.abs(y).max() < 2**33
    assert np.array_equal(unspread(flow.pop(y, stack), stack), levels)
    assert stack.to_bytes() == bottom


def test_any_y_is_inverted() -> None:
    """What no picture leads to, as damaged files and samples have it: levels all the same, and no bound is passed."""
    flow, rng = IntegerFlow(told_by(0)), np.random.default_rng(0)
    y = rng.integers(-(2**33), 2**33, (SIDE, SIDE, CHANNELS, 2))
    for source in (Noise(0, 2, 0, 2 * 3072), Stack(b"damaged")):
        cells = flow.pop(y, source)
        assert np.abs(cells).max() < 2**49
        levels = unspread(cells, source)
        assert 0 <= levels.min() <= levels.max() <= 255


def test_a_stack_without_bits_is_refused() -> None:
    levels = extreme_pictures()
    for size in (0, 100, 4000):
        stack = Stack(np.random.default_rng(0).bytes(size) + b"\1")
        with pytest.raises(StackLow):
            IntegerFlow(told_by(0)).push(spread(levels, stack), stack)


# ---- the prior of y ------------------------------------------------------------------------------------------------


def test_the_prior_of_y_round_trips_beyond_its_table() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(-30_000, 30_000, (4, 4, 12, 2))
    y[0, 0, :8, 0] = [2**33 - 1, -(2**33) + 1, 2**18, -(2**18), 2**18 - 128, -(2**18) + 64, 2**18 + 64, -(2**18) - 65]
    prior = YPrior(rng.integers(-60_000, 60_000, y.shape), rng.integers(122, 192, y.shape))
    for bottom in (b"", b"below"):
        stack = Stack(bottom)
        prior.push(y, stack)
        assert np.array_equal(prior.pop(stack), y)
        assert stack.to_bytes() == bottom


def test_the_prior_of_y_costs_its_density() -> None:
    rng = np.random.default_rng(0)
    prior = YPrior(rng.integers(-30_000, 30_000, (16, 16, 12, 4)), rng.integers(140, 192, (16, 16, 12, 4)))
    y = prior.pop(Noise(0, 2, 0, prior.centre.size))
    sigma = 0.002 * np.exp(prior.scale / 16) * 128
    distance = (y + 0.5 - prior.centre * 4) / sigma
    density = np.log2(sigma * math.sqrt(2 * math.pi)) + 0.5 * np.square(distance) / math.log(2)
    stack, meter = Stack(), Meter()
    prior.push(y, stack)
    prior.push(y, meter)
    assert meter.total == pytest.approx(density.sum(), rel=1e-4)
    assert stack.bits == pytest.approx(density.sum(), rel=1e-3)


def test_cells_and_units_agree() -> None:
    assert FINE_SHIFT == CELL_BITS - 10
    assert len(HALVES) * len(HALVES[0]) * TURNS == 12
    assert FlowShape((64, 96), 2, True).widths == recipe.SHAPE.flow_widths
