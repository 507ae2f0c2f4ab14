"""Layers over lanes give the integers of `exact.Layer`, and nets over lanes those of the nets."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from compiled_loops import both, carrier

import vlcodec
from vlcodec.codec.errors import BoundError
from vlcodec.codec.interface import Bytes, Ints, Model
from vlcodec.models import registry, zoo
from vlcodec.models.lanes import layers as lanes
from vlcodec.models.lanes import pairs
from vlcodec.models.lanes.made import FlowLanes
from vlcodec.models.layers.activations import FINE_MAX, Elu, Rectifier
from vlcodec.models.layers.exact import OWN, SQUARE, Layer, Taps
from vlcodec.models.layers.fine import fine_layer
from vlcodec.models.layers.made import Flow
from vlcodec.models.layers.masked import BEFORE, FIRST, NEAR, spread
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.vlae import codec as vlae
from vlcodec.models.weights.integers import freeze_from, integer_tensors

HEIGHT, WIDTH = 5, 6
MODELS = ["vlae-mnist", "agave-cifar10"]


def frozen_layer(taps: Taps, inputs: int, outputs: int, weights: float = 1.0, **options: Any) -> Layer:
    """A layer of random integers."""
    rng = torch.Generator().manual_seed(inputs)
    layer = fine_layer(taps, inputs, outputs, **options)
    with torch.no_grad():
        layer.weight.normal_(0, weights, generator=rng)
        layer.bias.normal_(0, 1, generator=rng)
    freeze_from(layer, integer_tensors(layer))
    return layer


def inputs_of(layer: Layer, n: int, channels: int) -> torch.Tensor:
    """(n, HEIGHT, WIDTH, channels) integers, the largest ones among them."""
    values = np.random.default_rng(n).integers(-layer.input_max, layer.input_max + 1, (n, HEIGHT, WIDTH, channels))
    values[0] = layer.input_max
    return torch.from_numpy(values).float()


def over_lanes(layer: Layer, x: torch.Tensor, beside: torch.Tensor | None, **options: Any) -> torch.Tensor:
    """What a packed layer makes of (n, H, W, inputs)."""
    places = np.arange(HEIGHT * WIDTH, dtype=np.int32)
    packed, taps = lanes.packed(layer), lanes.neighbours(layer.taps, HEIGHT, WIDTH)
    out = lanes.empty(HEIGHT * WIDTH, layer.outputs, len(x))
    own: dict[str, Any] = {} if beside is None else {"beside": lanes.to_lanes(beside)[:-1]}
    with carrier(numba=True):
        packed.put(lanes.to_lanes(x), taps, places, out, **own, **options)
    return lanes.from_lanes(out, HEIGHT, WIDTH, layer.outputs)


@pytest.fixture(params=[False, True], ids=["each", "pairs"])
def planes(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether channels are summed by twos, where the processor can."""
    with mock.patch("vlcodec.models.lanes.pairs.available", return_value=request.param and pairs.available()):
        yield request.param


@pytest.mark.parametrize("taps", [OWN, SQUARE, BEFORE, NEAR, FIRST, spread(NEAR, 2)])
@pytest.mark.parametrize("most", [FINE_MAX, 2**15, 2**15 - 1, 128])
@pytest.mark.parametrize("n", [1, 5, 18, 64, 70])
def test_layers_are_the_same(planes: bool, taps: Taps, most: int, n: int) -> None:
    layer = frozen_layer(
        taps, 3, 6, beside=2, input_max=most, gain=[0.5, 1, 2, 1, 0.25, 1], low=[0.0, *[-FINE_MAX] * 5]
    )
    wanted = (1 if most < 2**15 else 2) if planes and pairs.available() else 0
    assert lanes.packed(layer).planes == wanted
    x, beside = inputs_of(layer, n, 3), inputs_of(layer, n, 2)
    assert torch.equal(over_lanes(layer, x, beside), layer(x, beside))


@pytest.mark.parametrize(("inputs", "most", "wanted"), [(90, FINE_MAX, 2), (400, 2**15 - 1, 1)])
def test_sums_that_int32_does_not_hold_are_added_up_in_int64(
    planes: bool, inputs: int, most: int, wanted: int
) -> None:
    layer = frozen_layer(SQUARE, inputs, 2, input_max=most)
    packed = lanes.packed(layer)
    assert packed.group < len(SQUARE)
    assert packed.planes == (wanted if planes and pairs.available() else 0)
    for n in (3, 40, 64):
        x = inputs_of(layer, n, inputs)
        assert torch.equal(over_lanes(layer, x, None), layer(x))


def test_factors_of_more_than_16_bits_are_not_paired() -> None:
    layer = frozen_layer(OWN, 2, 1, input_max=1000)
    weight, bias, exponent = layer.integers()
    layer.load_integers(torch.full_like(weight, 2**15), bias, exponent)
    assert lanes.packed(layer).planes == 0
    x = inputs_of(layer, 3, 2)
    assert torch.equal(over_lanes(layer, x, None), layer(x))


def test_streams_and_activations_are_the_same(planes: bool) -> None:
    layer, elu = frozen_layer(SQUARE, 4, 5, weights=0.05), Elu()
    set_mode(elu, "frozen")
    x, before = inputs_of(layer, 4, 4), inputs_of(layer, 4, 5) // 2
    stream = lanes.to_lanes(before)
    found = over_lanes(layer, x, None, stream=stream, active=lanes.elu())
    after = before + layer(x)
    assert torch.equal(lanes.from_lanes(stream, HEIGHT, WIDTH, 5), after)
    assert torch.equal(found, elu(after))
    for bits, relu in lanes.RELU.items():
        rectifier = Rectifier(bits)
        set_mode(rectifier, "frozen")
        assert torch.equal(over_lanes(layer, x, None, active=relu), rectifier(layer(x)))


def test_what_lanes_cannot_carry_is_told() -> None:
    with pytest.raises(BoundError, match="int32"):
        lanes.packed(frozen_layer(OWN, 900, 1))
    finer = frozen_layer(OWN, 1, 1, gain=2.0**30)
    with pytest.raises(BoundError, match="finer"):
        lanes.packed(finer)


@pytest.mark.parametrize(("size", "hidden"), [(1, 4), (6, 20), (9, 30), (64, 160)])
def test_flows_are_the_same(size: int, hidden: int) -> None:
    flow = Flow(size, 3, hidden, unit=128, limit=2048, period=4096, alternate=True)
    with torch.no_grad():
        for step in flow.mades():
            step.leave.weight.mul_(10)
    freeze_from(flow, integer_tensors(flow))
    z = torch.from_numpy(np.random.default_rng(size).integers(-2048, 2048, (17, size))).float()
    with carrier(numba=True):
        packed, across = FlowLanes(flow), z.T.int().numpy()
        noise = packed.to_noise(across)
        assert np.array_equal(packed.from_noise(noise), across)
    assert np.array_equal(noise.T, flow(z).numpy())


def test_shares_cover_the_lanes() -> None:
    for cores in (1, 2, 3, 16):
        with mock.patch.object(lanes, "cores", return_value=cores):
            for count in (1, 15, 31, 32, 33, 203, 256):
                parts = lanes.shares(count)
                assert len(parts) <= cores
                assert [i for part in parts for i in range(count)[part]] == list(range(count))
                assert all(part.stop > part.start for part in parts)


@pytest.mark.parametrize("name", MODELS)
def test_golden_vectors_are_the_same(name: str) -> None:
    model: Model = zoo.load(registry.by_name(name), "cpu")
    for numpys, numbas in zip(*both(lambda: list(model.golden())), strict=True):
        assert np.array_equal(numpys, numbas)


@pytest.mark.parametrize("kind", [{}, {"window": 3}, {"window": 0}, {"dilation": 4}, {"tied": True}, {"features": 3}])
def test_small_vlaes_are_the_same(kind: dict[str, Any]) -> None:
    from vlcodec.models.vlae.training import SHAPE

    vectors = {"latents": 6, "bottleneck": 3, "hidden": 12, "flow_hidden": 20}
    sizes: dict[str, Any] = {"widths": (4, 6), "blocks": (1, 1), **vectors}
    shape = replace(SHAPE, **sizes, **{"features": 2, "pixel_channels": 5} | kind)
    nets = vlae.VlaeNets({"gaussian": shape, "uniform": replace(shape, posterior="uniform")})
    freeze_from(nets, integer_tensors(nets))
    model = vlae.VlaeModel(nets, torch.device("cpu"))
    for numpys, numbas in zip(*both(lambda: list(model.golden())), strict=True):
        assert np.array_equal(numpys, numbas)


def digits(count: int) -> Bytes:
    """(count, 28, 28): rolled golden pictures."""
    some = vlae.golden_pictures()[..., 0]
    return np.stack([np.roll(some[n % 3], (n, 3 * n), (0, 1)) for n in range(count)])


@pytest.mark.parametrize("lossless", [True, False])
def test_archives_are_the_same(lossless: bool) -> None:
    pictures = digits(40)
    numpys, numbas = both(lambda: vlcodec.compress_archive(pictures, model="vlae-mnist", lossless=lossless))
    assert numpys == numbas
    found: list[list[Any]] = [list(archive.images) for archive in both(lambda: vlcodec.decompress_archive(numpys))]
    for one, other, picture in zip(*found, pictures, strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(other))
        assert not lossless or np.array_equal(np.asarray(one), picture)


@pytest.mark.parametrize("latents", ["chained", "single"])
def test_many_lanes_in_threads_are_the_same(latents: str) -> None:
    model: Model = zoo.load(registry.by_name("vlae-mnist"), "cpu")
    net = model.chained() if latents == "chained" else model.single(1)
    assert net is not None
    pictures = digits(40)[..., None]
    u = np.ones(net.shape(40, 28, 28), np.int64)

    def logits() -> list[Ints]:
        z = net.posterior(pictures, u).pop(mock.Mock(exhausted=False, pop=lambda d, index: d.centre // 32 + 2048))
        block = net.pixels(net.features(z, u), range(28), 28, 1)
        return [step.distribution.logit for step in block.parallel(net.to_symbols(pictures))]  # type: ignore[attr-defined]

    with mock.patch.object(lanes, "cores", return_value=2):
        for numpys, numbas in zip(*both(logits), strict=True):
            assert np.array_equal(numpys, numbas)
