"""Compiled steps over a latent grid compute what torch's walk does, to the bit."""


import numpy as np
import pytest
import torch
from compiled_loops import both, carrier

from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.interface import Ints
from vlcodec.models.blocks.latent_block import LatentBlock
from vlcodec.models.blocks.residual_block import ResidualBlock
from vlcodec.models.compiled import latents as compiled_latents
from vlcodec.models.layers.causal_blocks import BlockPrior
from vlcodec.models.layers.causal_latents import SEEN_MAX, LatentPrior
from vlcodec.models.layers.exact import frozen_copy, layers
from vlcodec.models.walks import latent_steps
from vlcodec.models.walks.dither import CENTRE

CPU = torch.device("cpu")
BELOW = bytes(range(1, 30))
BESIDE = 5
SIZES = [(1, 1), (1, 6), (7, 1), (9, 14), (20, 5)]


AnyPrior = LatentPrior | BlockPrior


def prior(seed: int, large: int, loud: float) -> AnyPrior:
    """A frozen net of random weights: quiet ones, or so loud that values are clamped everywhere. large: of blocks."""
    torch.manual_seed(seed)
    sizes = 12, 3, 2, 16, 2, 8, 2
    net = BlockPrior(*sizes, large, BESIDE) if large else LatentPrior(*sizes)
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, layer in layers(net):
            layer.weight.mul_(loud)
            layer.bias.add_(loud * torch.randn(layer.outputs, generator=rng))
    return frozen_copy(net)


def block(net: AnyPrior, size: tuple[int, int]) -> tuple[LatentBlock | ResidualBlock, Ints]:
    """A grid, and symbols most of which are 0; of blocks some are far away, and many have none at the end."""
    rng = np.random.default_rng(sum(size))
    shape = (*size, net.latents)
    steps = np.where(rng.random(shape) < 0.3, rng.normal(0, 9, shape), 0)
    if isinstance(net, LatentPrior):
        return LatentBlock(net, np.zeros(shape, np.int64), 1, CPU), steps.astype(np.int64).clip(-128, 127) + CENTRE
    steps = np.where(rng.random(shape) < 0.03, rng.integers(-1100, 1100, shape), steps).astype(np.int64)
    steps *= np.arange(net.latents) < net.group * rng.integers(0, net.groups + 1, (*size, 1))
    beside = torch.from_numpy(rng.integers(-SEEN_MAX, SEEN_MAX + 1, (size[0] * size[1], BESIDE))).float()
    grid = ResidualBlock(net, size, 1, 0, beside)
    return grid, grid.layout.symbols(steps)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("large", "loud"), [(3, 1.0), (3, 8.0), (0, 1.0)])
def test_both_walks_give_the_symbols(size: tuple[int, int], large: int, loud: float) -> None:
    """Torch's and the compiled one; what lies below is left as it was."""
    grid, symbols = block(prior(0, large, loud), size)
    stack = Stack(BELOW)
    with carrier(numba=False):
        grid.push(symbols, stack)
    data = stack.to_bytes()

    def popped() -> tuple[Ints, bytes]:
        back = Stack(data)
        return grid.pop(back), back.to_bytes()

    for found, below in both(popped):
        assert np.array_equal(found, symbols)
        assert below == BELOW


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("large", [0, 3])
def test_steps_that_are_pushed_together_give_the_same_bits(
    size: tuple[int, int], large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many, in however many threads; and what the ledger counts is the same."""
    grid, symbols = block(prior(0, large, 1.0), size)
    ticks = list[tuple[int, int]]()

    def pushed() -> tuple[bytes, float]:
        stack = Stack(BELOW)
        grid.push(symbols, stack, lambda done, total: ticks.append((done, total)))
        return stack.to_bytes(), grid.bits(symbols)

    for at_once, threads in ((1, 3), (300, 2), (1 << 14, 1)):
        monkeypatch.setattr(torch, "get_num_threads", lambda count=threads: count)
        for module in ("latent_block", "residual_block"):
            monkeypatch.setattr(f"vlcodec.models.blocks.{module}.AT_ONCE", at_once)
        plain, fast = both(pushed)
        assert plain == fast
    assert all(0 < done <= total for done, total in ticks)
    assert ticks[-1] == (grid.count, grid.count)


@pytest.mark.parametrize("length", [0, 1, 4, 9, 60, 4000])
@pytest.mark.parametrize(("large", "loud"), [(3, 1.0), (3, 8.0), (0, 1.0)])
def test_any_bytes_are_popped_alike(length: int, large: int, loud: float) -> None:
    """Where they end, symbols are 0 from the next step on; what lies below is left as it was."""
    grid, symbols = block(prior(0, large, loud), (9, 14))
    data = np.random.default_rng(length).bytes(length).rstrip(b"\0")

    def popped() -> tuple[Ints, bytes, Ints, bytes]:
        any_bytes, below = Stack(data), Stack(data)
        found = grid.pop(any_bytes)
        with carrier(numba=False):
            grid.push(symbols, below)
        return found, any_bytes.to_bytes(), grid.pop(below), below.to_bytes()

    plain, fast = both(popped)
    assert np.array_equal(plain[0], fast[0])
    assert plain[1] == fast[1]
    for _, _, again, below in (plain, fast):
        assert np.array_equal(again, symbols)
        assert below == data


def test_progress_is_told_while_steps_are_popped() -> None:
    grid, symbols = block(prior(0, 3, 1.0), (9, 14))
    stack, ticks = Stack(BELOW), list[tuple[int, int]]()
    with carrier(numba=True):
        grid.push(symbols, stack)
        grid.pop(stack, lambda done, total: ticks.append((done, total)))
    assert ticks == sorted(ticks)
    assert ticks[-1] == (grid.count, grid.count)


def test_what_compiled_steps_serve() -> None:
    net = prior(1, 0, 1.0)
    grid, _ = block(net, (3, 4))
    with carrier(numba=True):
        assert compiled_latents.serves(net, CPU)
        assert grid.compiled() is not None
        assert isinstance(net, LatentPrior)
        assert LatentBlock(net, np.ones(grid.shape, np.int64), 0, CPU).compiled() is None  # with dither
    with carrier(numba=False):
        assert not compiled_latents.serves(net, CPU)
        assert grid.compiled() is None


def test_arrays_follow_what_a_prior_is_frozen_to() -> None:
    net = prior(2, 3, 1.0)
    first = compiled_latents._packed(net)
    assert compiled_latents._packed(net) is first
    other = prior(3, 3, 1.0)
    integers = {name: layer.integers() for name, layer in layers(other)}
    for name, layer in layers(net):
        layer.load_integers(*integers[name])
    assert compiled_latents._packed(net) is not first


@pytest.mark.parametrize("large", [0, 3])
def test_outputs_come_in_strips(monkeypatch: pytest.MonkeyPatch, large: int) -> None:
    grid, symbols = block(prior(0, large, 1.0), (9, 14))

    def steps() -> list[Ints]:
        return [part for step in grid.parallel(symbols) if isinstance(step, latent_steps.MixtureStep)
                for part in (step.index, step.distribution.logit, step.distribution.centre)]  # fmt: skip

    whole = steps()
    for rows in (1, 4):
        monkeypatch.setattr(latent_steps, "STRIP_VALUES", rows * 14 * 6 * 12)
        assert all(map(np.array_equal, steps(), whole))
