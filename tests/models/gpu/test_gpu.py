"""Bands that a GPU walks alone: the kernels' integers are the CPU's, in Triton's interpreter and on CUDA.

Triton decides once for a process, when it is imported, whether kernels are compiled or interpreted: here they are
interpreted where there is no CUDA device.
"""

import copy
import importlib
import math
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vlcodec.codec.coding.noise import PIXEL_PURPOSE, Noise
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.coding.tables import DrawnMixture, LogisticMixture, guided_parameters, mixture_mean, mixture_weights
from vlcodec.codec.interface import Ints
from vlcodec.models.blocks.pixel_block import PixelBlock
from vlcodec.models.gpu import band as gpu
from vlcodec.models.gpu.band import LAUNCH, GpuBand, bytes_of, coder_of
from vlcodec.models.gpu.tensors import BLOCK, SHIFTS, WIDE, Sizes, fits, packed, tables
from vlcodec.models.layers.causal_pixels import PixelDecoder
from vlcodec.models.layers.exact import Layer, frozen_copy, layers
from vlcodec.models.walks.correction import Correction, count, error

FEATURES, GUIDE, EDGES = 2, 12, (100, 115)
BOTTOM = b"what lies below"
TESTS = Path(__file__).parents[2]
CUDA = torch.cuda.is_available()
if not CUDA:
    os.environ["TRITON_INTERPRET"] = "1"  # before any test can import triton


@pytest.fixture(scope="module", params=["interpreter", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Where kernels run."""
    pytest.importorskip("triton", reason="triton is not installed")
    if request.param != ("cuda" if CUDA else "interpreter"):
        pytest.skip("kernels run on CUDA here" if CUDA else "no CUDA")
    return torch.device("cuda" if CUDA else "cpu")


@pytest.fixture
def parts(device: torch.device) -> ModuleType:
    return importlib.import_module("triton_parts")


# ---- bands ---------------------------------------------------------------------------------------------------------


def decoder_of(
    channels: int = 8, dilations: tuple[int, ...] = (1,), hidden: int = 8, loud: float = 1.0, bits: int = 8
) -> PixelDecoder:
    """A frozen network with random weights, and biases that show where they do not belong."""
    net, rng = PixelDecoder(FEATURES, channels, dilations, hidden, 3, bits=bits), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, layer in layers(net):
            if name != "predictor":
                scale = loud * (0.3 if "params" in name else 1.0) * math.sqrt(2 / layer.weight.shape[1])
                layer.weight.normal_(0, scale, generator=rng)
            layer.bias.add_(0.3 * torch.randn(layer.outputs, generator=rng))
    return frozen_copy(net)


def moved(decoder: PixelDecoder, device: torch.device) -> PixelDecoder:
    """A copy on a device, where loaded integers do not follow by themselves."""
    there = copy.deepcopy(decoder).to(device)
    for (_, layer), (_, here) in zip(layers(there), layers(decoder), strict=True):
        layer.load_integers(*here.integers())
    return there


def features_of(lanes: int, height: int, width: int) -> Tensor:
    rng = np.random.default_rng(height * width)
    return torch.from_numpy(rng.integers(-512, 513, (lanes, height, width, 3 + FEATURES)).astype(np.float32))


def noise_of(block: PixelBlock) -> Noise:
    return Noise(7, PIXEL_PURPOSE, 3, math.prod(block.shape))


def check(decoder: PixelDecoder, fz: Tensor, grey: bool, device: torch.device) -> None:
    """A band is drawn, and decoded, as the CPU has it; with a correction, if it is of one lane."""
    drawn = PixelBlock(decoder, fz, grey, GUIDE)
    symbols = drawn.pop(noise_of(drawn))
    numbers = np.random.default_rng(1).integers(0, 256, count(drawn.colours, EDGES))
    correction = Correction(numbers, drawn.colours, EDGES) if len(fz) == 1 else None
    stack, block = Stack(BOTTOM), PixelBlock(decoder, fz, grey, correction=correction)
    block.push(symbols, stack)
    there, decoder = fz.to(device), moved(decoder, device)
    assert np.array_equal(GpuBand(decoder, there, drawn.colours, GUIDE, None).pop(noise_of(drawn)), symbols)
    back = Stack(stack.to_bytes())
    assert np.array_equal(GpuBand(decoder, there, drawn.colours, None, correction).pop(back), symbols)
    assert back.to_bytes() == BOTTOM


@pytest.mark.parametrize(
    ("lanes", "height", "width", "grey"),
    [(1, 1, 1, False), (1, 2, 4, False), (2, 2, 3, True), (1, 1, 4, True), (1, 3, 1, False)],
)
def test_a_band_is_the_cpus(device: torch.device, lanes: int, height: int, width: int, grey: bool) -> None:
    check(decoder_of(), features_of(lanes, height, width), grey, device)


def test_dilated_and_loud(device: torch.device) -> None:
    """Taps further apart, sums beyond every range."""
    check(decoder_of(channels=40, dilations=(2,), hidden=33, loud=4.0), features_of(1, 3, 3), False, device)


@pytest.mark.slow
@pytest.mark.parametrize("grey", [False, True], ids=["rgb", "grey"])
def test_a_whole_picture_is_the_cpus(device: torch.device, grey: bool) -> None:
    """Of the sizes in use, in blocks that are full, empty and cut off."""
    check(decoder_of(96, (1,) * 6, 64), features_of(1 + grey, 32, 34), grey, device)


@pytest.mark.slow
@pytest.mark.parametrize("capability", ["80", "90"])
def test_kernels_compile_for_a_gpu_that_is_not_there(capability: str, tmp_path: Path) -> None:
    pytest.importorskip("triton", reason="triton is not installed")
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    command = [sys.executable, "-W", "error", str(TESTS / "compile_kernels.py"), capability]
    lines = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {line.split()[0] for line in lines} == {"draw", "see", "open_channel", "pop", "split", "close"}
    assert max(int(line.split("shared memory: ")[1].split()[0]) for line in lines) < 48 << 10
    assert all(int(line.split()[-1]) for line in lines if line.split()[0] in ("draw", "see", "open_channel"))


@pytest.mark.parametrize("looked", [1, 3, 64])
def test_an_exhausted_stack_gives_zeros(device: torch.device, looked: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "LOOKED", looked)
    decoder, fz = decoder_of(), features_of(1, 1, 3)
    for data in (b"", b"\x01\x02\x03\x04"):
        stacks = Stack(data), Stack(data)
        expected = PixelBlock(decoder, fz, True).pop(stacks[0])
        there = GpuBand(moved(decoder, device), fz.to(device), 1, None, None)
        assert np.array_equal(there.pop(stacks[1]), expected)
        assert stacks[0].to_bytes() == stacks[1].to_bytes()


def test_every_step_ticks(device: torch.device) -> None:
    ticks = list[tuple[int, int]]()
    band = GpuBand(moved(decoder_of(), device), features_of(1, 1, 2).to(device), 3, GUIDE, None)
    band.pop(Noise(0, PIXEL_PURPOSE, 0, 6), lambda done, total: ticks.append((done, total)))
    assert ticks == [(3, 6), (6, 6)]


# ---- which bands -----------------------------------------------------------------------------------------------------


def test_a_block_takes_the_kernels_where_they_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    block = PixelBlock(decoder_of(), features_of(1, 2, 2), False, GUIDE)
    walked = block.pop(noise_of(block))
    monkeypatch.setattr(GpuBand, "pop", lambda band, source, tick: walked + 1)
    assert np.array_equal(block.pop(noise_of(block)), walked)
    monkeypatch.setattr(GpuBand, "serves", lambda band, source: True)
    assert np.array_equal(block.pop(noise_of(block)), walked + 1)


def test_no_kernels_on_a_cpu() -> None:
    block = GpuBand(decoder_of(), features_of(1, 1, 1), 3, GUIDE, None)
    assert not block.serves(Noise(0, PIXEL_PURPOSE, 0, 3))


@pytest.mark.gpu
@pytest.mark.skipif(not CUDA, reason="no CUDA")
def test_which_bands_kernels_serve() -> None:
    pytest.importorskip("triton")
    cuda = torch.device("cuda")
    decoder, fz = moved(decoder_of(), cuda), features_of(1, 1, 1).to(cuda)
    correction = Correction(np.full(count(3, EDGES), 128), 3, EDGES)
    noise, stack = Noise(0, PIXEL_PURPOSE, 0, 3), Stack()
    for guide, own, served in ((GUIDE, None, [noise]), (None, None, [stack]), (None, correction, [stack])):
        band = GpuBand(decoder, fz, 3, guide, own)
        assert [source for source in (noise, stack) if band.serves(source)] == served
    assert not GpuBand(moved(decoder_of(bits=10), cuda), fz, 3, GUIDE, None).serves(noise)


def test_which_networks_fit() -> None:
    decoder = decoder_of()
    assert fits(decoder)
    assert not fits(decoder_of(bits=10))
    assert not fits(frozen_copy(PixelDecoder(FEATURES, 8, [1], 8, WIDE + 1, bits=8)))
    layer = decoder.net.params[0]
    assert isinstance(layer, Layer)
    weight, bias, exponent = layer.integers()
    layer.load_integers(2 * weight, bias, exponent)
    assert not fits(decoder)  # more than 8 bits
    layer.load_integers(weight, bias, exponent - 8)
    assert not fits(decoder)  # sums that are widened


# ---- the stack -------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=40).map(lambda data: data.rstrip(b"\0")))
def test_a_coder_is_its_bytes(data: bytes) -> None:
    coder, queue = coder_of(data)
    assert bytes_of(coder, queue) == data
    stack = Stack(BOTTOM)
    stack.refill(data)
    assert stack.to_bytes() == data


# ---- arithmetic at its extremes --------------------------------------------------------------------------------------


def test_rounding_is_half_to_even(device: torch.device, parts: ModuleType) -> None:
    shift = torch.arange(SHIFTS[0], SHIFTS[1] + 1, dtype=torch.int32).repeat_interleave(12)
    near = torch.tensor([-3, -2, -1, 0, 1, 2]).repeat(2 * (SHIFTS[1] + 1)) * 2.0 ** (shift - 1) // 1
    x = (near + torch.tensor([0, 0, 0, 0, 0, 0, 1, -1, 1, -1, 1, -1]).repeat(SHIFTS[1] + 1)).to(torch.int32)
    x, shift = (torch.nn.functional.pad(t, (0, 256 - len(t)), value=v) for t, v in ((x, 2**24 - 1), (shift, 20)))
    found = torch.empty_like(x, device=device)
    parts.round_all[(1,)](x.to(device), shift.to(device), found, n=256, **LAUNCH)
    assert torch.equal(found.cpu(), (x.double() / 2.0**shift).round().to(torch.int32))


def test_division_rounds_down(device: torch.device, parts: ModuleType) -> None:
    a = np.array([-7, -6, -1, 0, 1, 6, 7, -(2**62), 2**62, -(2**62) + 1, 5, -5, 2**40, -(2**40), 3, -3])
    for b in (1, 2, 3, 7, 2**42 + 1, 2**62):
        divisor, found = torch.full((16,), b, device=device), torch.empty(16, dtype=torch.int64, device=device)
        parts.divide_all[(1,)](torch.from_numpy(a).to(device), divisor, found, n=16, **LAUNCH)
        assert np.array_equal(found.cpu(), a // b)


def test_errors_are_clamped(device: torch.device, parts: ModuleType) -> None:
    known = np.resize([-128, -1, 0, 127], 64)
    mean = np.repeat([-100_000, -4096, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 4064, 4090, 100_000, 17], 4)
    found = torch.empty(64, dtype=torch.int32, device=device)
    there = (torch.from_numpy(x).to(device, torch.int32) for x in (known, mean))
    parts.find_errors[(1,)](*there, found, n=64, **LAUNCH)
    assert np.array_equal(found.cpu(), error(known, mean))


def sizes_of(mixtures: int) -> Sizes:
    return packed(decoder_of(), 3, 3 + FEATURES, 0)[0]._replace(mixtures=mixtures)


def test_products_of_extremes(device: torch.device, parts: ModuleType) -> None:
    """All of one sign, where int8 kernels saturate, and random ones."""
    rng = torch.Generator().manual_seed(0)
    for inputs, outputs in ((32, 16), (128, 128)):
        x = torch.randint(-128, 128, (BLOCK, inputs), generator=rng)
        weight = torch.randint(-127, 128, (outputs, inputs), generator=rng)
        x[0], x[1], weight[0], weight[1] = -128, 127, 127, -127
        rule = torch.zeros(4, outputs, dtype=torch.int32)
        rule[2], rule[3] = -(2**30), 2**30
        found = torch.empty(BLOCK, outputs, dtype=torch.int32, device=device)
        bytes_ = (part.to(device, torch.int8) for part in (x, weight))
        shape = {"inputs": inputs, "outputs": outputs, "sizes": sizes_of(3)}
        parts.multiply[(1,)](*bytes_, rule.to(device), found, **shape, **LAUNCH)
        assert torch.equal(found.cpu(), (x.double() @ weight.double().t()).to(torch.int32))


def mixtures(k: int) -> tuple[Ints, Ints, Ints, Ints]:
    """(BLOCK, k) logits, centres, scales, of ordinary and of extreme ones, and (BLOCK,) means."""
    rng = np.random.default_rng(k)
    logit, centre = rng.integers(-255, 256, (BLOCK, k)), rng.integers(-5000, 5000, (BLOCK, k))
    scale, mean = rng.integers(0, 192, (BLOCK, k)), rng.integers(-4096, 4097, BLOCK)
    logit[:3], centre[:6] = [[-255], [255], [0]], [[-90_000], [90_000], [0], [15], [16], [17]]
    logit[3, 0], logit[3, 1:] = 255, -255
    scale[:4], mean[:4] = [[0], [191], [0], [191]], [4096, -4096, 0, 4096]
    return logit, centre, scale, mean


def wide(x: Ints, device: torch.device, kind: torch.dtype = torch.int64) -> Tensor:
    """(BLOCK, k) in the first columns of (BLOCK, WIDE)."""
    return torch.from_numpy(np.pad(x, ((0, 0), (0, WIDE - x.shape[1])))).to(device, kind)


@pytest.mark.parametrize("variance", [1, GUIDE, 2**16])
def test_guided_parameters(device: torch.device, parts: ModuleType, variance: int) -> None:
    logit, centre, scale, mean = mixtures(4)
    found = wide(logit, device), wide(centre, device), wide(scale, device, torch.int32)
    there = torch.from_numpy(mean).to(device, torch.int32)
    parts.guide_all[(1,)](tables(device), *found, there, variance, sizes=sizes_of(4), **LAUNCH)
    expected = guided_parameters(LogisticMixture(logit, centre, scale), mean, variance)
    for mine, numpys in zip(found, expected, strict=True):
        assert np.array_equal(mine[:, :4].cpu(), numpys)


@pytest.mark.parametrize("k", [1, 4, WIDE])
def test_mixtures(device: torch.device, parts: ModuleType, k: int) -> None:
    """Weights, means, symbols drawn and tables of both digits."""
    logit, centre, scale = (x[:, :k] for x in mixtures(max(k, 2))[:3])
    words = np.random.default_rng(0).integers(0, 2**64, BLOCK, np.uint64, endpoint=False)
    words[:2], words[8:10] = [0, 2**64 - 1], [0, 2**64 - 1]
    empty: dict[str, Any] = {"dtype": torch.int64, "device": device}
    weight, mean, symbol = (torch.empty(*size, **empty) for size in ((BLOCK, WIDE), (BLOCK,), (BLOCK,)))
    bounds = torch.empty(2, BLOCK, WIDE, dtype=torch.int32, device=device)
    given = wide(logit, device), wide(centre, device), wide(scale, device, torch.int32)
    there = torch.from_numpy(words.view(np.int64)).to(device)
    found = weight, mean, symbol, bounds
    parts.describe[(1,)](tables(device), *given, there, *found, sizes=sizes_of(k), **LAUNCH)
    assert np.array_equal(weight[:, :k].cpu(), mixture_weights(logit))
    assert np.array_equal(mean.cpu(), mixture_mean(logit, centre))
    drawn = DrawnMixture(logit, centre, scale).inverse(words)
    assert np.array_equal(symbol.cpu(), drawn)
    mixture = LogisticMixture(logit, centre, scale)
    for digits, mine in zip(([], [drawn // WIDE]), bounds.cpu(), strict=True):
        frequencies = mixture.counts(digits) + 1
        assert np.array_equal(mine, frequencies.cumsum(1) - frequencies)
