"""Compiled steps over a latent grid compute what torch's walk does, to the bit."""


import numpy as np
import pytest
import torch
from compiled_loops import both, carrier

from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.coding.units import FINE
from vlcodec.codec.interface import Ints
from vlcodec.models.layers.causal_latents import SEEN_MAX, LatentPrior
from vlcodec.models.layers.exact import frozen_copy, layers
from vlcodec.models.walks import compiled_latents, latent_block
from vlcodec.models.walks.dither import quantise, quantise_far
from vlcodec.models.walks.latent_block import LatentBlock

CPU = torch.device("cpu")
BESIDE = 5
SIZES = [(1, 1), (1, 6), (7, 1), (9, 14), (20, 5)]


def prior(seed: int, large: int, loud: float) -> LatentPrior:
    """A frozen net of random weights: quiet ones, or so loud that values are clamped everywhere."""
    torch.manual_seed(seed)
    net, rng = LatentPrior(12, 3, 2, 16, 2, 8, 2, large, BESIDE), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, layer in layers(net):
            layer.weight.mul_(loud)
            layer.bias.add_(loud * torch.randn(layer.outputs, generator=rng))
    return frozen_copy(net)


def block(net: LatentPrior, size: tuple[int, int]) -> tuple[LatentBlock, Ints]:
    """A grid, and symbols most of which are 0, some far away."""
    rng = np.random.default_rng(sum(size))
    shape = (*size, net.latents)
    beside = torch.from_numpy(rng.integers(-SEEN_MAX, SEEN_MAX + 1, (size[0] * size[1], BESIDE))).float()
    mu = np.where(rng.random(shape) < 0.3, rng.normal(0, 300, shape), 0)
    mu = np.where(rng.random(shape) < 0.03, FINE * rng.integers(-1100, 1100, shape), mu).astype(np.int64)
    symbols = quantise_far(mu) if net.large else quantise(mu, np.zeros((), np.int64))
    return LatentBlock(net, np.zeros(symbols.shape, np.int64), 1, CPU, 0, beside), symbols


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("large", "loud"), [(3, 1.0), (3, 8.0), (0, 1.0)])
def test_both_walks_give_the_symbols_and_the_mixtures(size: tuple[int, int], large: int, loud: float) -> None:
    net = prior(0, large, loud)
    grid, symbols = block(net, size)
    stack = Stack()
    with carrier(numba=False):
        grid.push(symbols, stack)
    data = stack.to_bytes()

    def decoded() -> list[Ints]:
        back, found = Stack(data), list[Ints]()
        walk = grid.sequential()
        step = next(walk)
        try:
            while True:
                known = back.pop(step.distribution, step.index)
                if isinstance(step, latent_block.MixtureStep):
                    mixture = step.distribution
                    found += [known, *(part.copy() for part in (mixture.logit, mixture.centre, mixture.scale))]
                step = walk.send(known)
        except StopIteration:
            assert back.empty
        return found

    plain, fast = both(decoded)
    assert len(plain) == len(fast)
    assert all(np.array_equal(*pair) for pair in zip(plain, fast, strict=True))
    with carrier(numba=True):
        assert np.array_equal(grid.pop(Stack(data)), symbols)


def test_what_compiled_steps_serve() -> None:
    net = prior(1, 0, 1.0)
    grid, _ = block(net, (3, 4))
    with carrier(numba=True):
        assert compiled_latents.serves(net, CPU)
        assert isinstance(grid._walk(), compiled_latents.CompiledSteps)
        dithered = LatentBlock(net, np.ones(grid.shape, np.int64), 0, CPU, 0, torch.zeros(12, BESIDE))
        assert isinstance(dithered._walk(), latent_block.TorchSteps)
    with carrier(numba=False):
        assert not compiled_latents.serves(net, CPU)
        assert isinstance(grid._walk(), latent_block.TorchSteps)


def test_arrays_follow_what_a_prior_is_frozen_to() -> None:
    net = prior(2, 3, 1.0)
    first = compiled_latents._packed(net)
    assert compiled_latents._packed(net) is first
    other = prior(3, 3, 1.0)
    integers = {name: layer.integers() for name, layer in layers(other)}
    for name, layer in layers(net):
        layer.load_integers(*integers[name])
    assert compiled_latents._packed(net) is not first


def test_outputs_come_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    grid, symbols = block(prior(0, 3, 1.0), (9, 14))
    whole = grid._outputs(symbols)
    for rows in (1, 4):
        monkeypatch.setattr(latent_block, "STRIP_VALUES", rows * 14 * 6 * 12)
        assert np.array_equal(grid._outputs(symbols), whole)
