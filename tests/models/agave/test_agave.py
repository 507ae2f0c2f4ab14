"""The ladder AGAVE: both kinds of latents on both walks, its PixelCNN's options, and the package's model."""

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from agave_parts import NARROW, frozen, pictures, random_ladder
from compiled_loops import both, carrier
from PIL import Image

import vlcodec
from vlcodec.codec.coding.latents import PIXELS, POSTERIOR, PRIOR, choose, dither_of, pop, push
from vlcodec.codec.coding.meter import Meter
from vlcodec.codec.coding.noise import Noise
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.errors import BoundError
from vlcodec.codec.interface import Block, Bytes, Ints, LatentNet
from vlcodec.models.agave import codec
from vlcodec.models.agave.codec import LadderModel, golden_pictures
from vlcodec.models.blocks.pixel_block import PixelBlock
from vlcodec.models.compiled import narrow_lanes, tiles
from vlcodec.models.compiled.narrow_lanes import NarrowLanes
from vlcodec.models.compiled.packed import packed
from vlcodec.models.layers.causal_pixels import centred
from vlcodec.models.layers.exact import layers
from vlcodec.models.layers.masked import Gate, look_whole
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.layers.settings import exact_inference

RoundTrip = Callable[[Block, Ints], bytes]


TILED = NARROW | {"pixel_channels": 32, "pixel_hidden": 32}  # what products of bytes carry
VARIANTS: dict[str, dict[str, Any]] = {
    "local": {},
    "gated": {"gated": True},
    "narrow": NARROW,
    "small": TILED | {"dilations": (0, 0)},
    "grey": TILED | {"context": "grey"},
    "coarse": TILED | {"dilations": (2, 4), "spacing": 2},
}


@pytest.fixture(scope="module", params=VARIANTS)
def model(request: pytest.FixtureRequest) -> LadderModel:
    return frozen(random_ladder(**VARIANTS[request.param]))


def dither(net: LatentNet, count: int) -> Ints:
    return dither_of(net, 0, 0, count, 32, 32)


# ---- walks and coding ----------------------------------------------------------------------------------------------


def test_latents_and_pixels_round_trip(model: LadderModel, check_round_trip: RoundTrip) -> None:
    some = pictures(3)
    chained, dithered = model.chained(), model.single(1)
    none, u = dither(chained, 3), dither(dithered, 3)
    given = chained.posterior(some, none)
    z = given.pop(Stack(np.random.default_rng(0).bytes(1 << 14)))
    k = choose(dithered, some, u)
    assert len(np.unique(k)) > 3
    pixels = chained.pixels(chained.features(z, none), range(32), 32, 3)
    blocks: list[tuple[Block, Ints]] = [(given, z), (chained.prior(none), z), (dithered.prior(u), k)]
    for block, symbols in [*blocks, (pixels, chained.to_symbols(some))]:
        check_round_trip(block, symbols)


def test_bits_back_leaves_the_stack_as_it_was(model: LadderModel) -> None:
    bottom = bytes(np.random.default_rng(0).integers(1, 256, 4000, np.uint8))
    stack = Stack(bottom)
    net = model.chained()
    u = dither(net, 2)
    push(net, pictures(2), u, stack)
    assert stack.to_bytes() != bottom
    assert np.array_equal(pop(net, u, stack, 32, 32, 3), pictures(2))
    assert stack.to_bytes() == bottom


def test_each_quality_has_layers_of_its_own_at_the_latents(check_round_trip: RoundTrip) -> None:
    model, some = frozen(random_ladder(finer=(2.0, 0.5))), pictures(2)
    assert model.qualities == 3
    codes = []
    for quality in (1, 2, 3):
        net = model.single(quality)
        u = dither(net, 2)
        codes.append(choose(net, some, u))
        check_round_trip(net.prior(u), codes[-1])
    assert len({code.tobytes() for code in codes}) == 3
    assert len(list(model.golden())) > len(list(frozen(random_ladder()).golden()))


@pytest.mark.parametrize("lanes", [1, 2, 15, 16, 17])
def test_lanes_do_not_matter(model: LadderModel, lanes: int) -> None:
    """The integers of a picture are the same, whatever stands beside it."""
    some, net = pictures(17), model.single(1)
    u = np.random.default_rng(0).integers(-8, 8, (17, net.latents)) * 2 + 1
    k = choose(net, some, u)
    assert np.array_equal(choose(net, some[:lanes], u[:lanes]), k[:lanes])
    fz = net.features(k, u)
    assert torch.equal(net.features(k[:lanes], u[:lanes]), fz[:lanes])
    symbols = net.to_symbols(some)
    whole = PixelBlock(model.net.pixels, fz, False).parallel(symbols)
    part = PixelBlock(model.net.pixels, fz[:lanes], False).parallel(symbols[..., :lanes])
    for a, b in zip(whole, part, strict=True):
        columns = slice(None), slice(0, lanes)
        for name in ("logit", "centre", "scale"):
            wide, narrow = (getattr(s.distribution, name) for s in (a, b))
            assert np.array_equal(wide.reshape(-1, 17, wide.shape[1])[columns].reshape(narrow.shape), narrow)


def promised(net: LatentNet, some: Bytes, seed: int = 0) -> tuple[float, float]:
    """Bits of the KL and of the pixels, as the ledger has them; bits-back draws z from random bits."""
    meter = Meter(Stack(np.random.default_rng(seed).bytes(1 << 16)))
    push(net, some, dither(net, len(some)), meter)
    return meter.promised[PRIOR] + meter.promised[POSTERIOR], meter.promised[PIXELS]


@pytest.mark.parametrize("kind", ["chained", "dithered"])
def test_the_ledger_says_what_training_says(model: LadderModel, kind: str) -> None:
    some = pictures(20)
    posterior: Any = "gaussian" if kind == "chained" else "uniform"
    torch.manual_seed(0)
    with exact_inference():
        terms = [model.net.losses(centred(some), [(posterior, 20)]) for _ in range(6)]
        sampled = model.net.sampled_nats(centred(some), 6, posterior)
    if kind == "dithered":
        kl, pixels = promised(model.single(1), some)
    else:
        kl, pixels = np.mean([promised(model.chained(), some, seed) for seed in range(6)], 0)
    for name, found in (("kl", kl), ("pixels", pixels)):
        nats = 1024 * torch.stack([t[name].double() for t in terms]).mean(1)
        assert found * math.log(2) / 20 == pytest.approx(float(nats.mean()), rel=0.05), name
    both = 1024 * torch.stack([t["kl"] + t["pixels"] for t in terms]).mean()
    assert float(sampled.mean()) == pytest.approx(float(both), rel=0.01)


def test_a_latent_that_carries_nothing_costs_nothing() -> None:
    net = random_ladder()
    with torch.no_grad():
        for name, layer in layers(net):
            if name.endswith(("shift", "narrowing")):
                layer.weight.zero_()
                layer.bias.zero_()
            if name.endswith("uniform.scale"):
                layer.weight.zero_()
                layer.bias.zero_()
    model, some = frozen(net), pictures(4)
    assert promised(model.chained(), some)[0] == pytest.approx(0, abs=1e-6)
    cost, _ = promised(model.single(1), some)
    assert cost / (4 * model.single(1).latents) < 2e-4


def test_every_layer_is_in_the_golden_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth more in any one layer's outputs, and the golden integers are others; a few of the pixels show it."""
    net = random_ladder(1, dilations=(1,))

    def golden(changed: str | None) -> Iterator[Ints]:
        other = copy.deepcopy(net)
        for name, layer in layers(other):
            if name == changed:
                layer.bias.data += 0.1 + 0.1 * layer.bias.data.abs()
        return frozen(other).golden()

    def same(changed: str | None) -> bool:
        return all(np.array_equal(*both) for both in zip(plain, golden(changed), strict=True))

    monkeypatch.setattr(codec, "CROP", 4)
    plain = list(golden(None))
    assert same(None)
    names = [name for name, _ in layers(net)]
    assert len(names) > 50
    assert [name for name in names if same(name)] == []


@pytest.mark.slow
@pytest.mark.parametrize("guided", [False, True])
def test_a_picture_alone_is_the_same_in_compiled_steps(guided: bool) -> None:
    """Of 8-bit nets, a picture alone is a band, and pictures side by side are lanes: the same pixels are drawn."""
    net = frozen(random_ladder(2, **TILED | {"widths": (4, 8, 8)})).single(1)
    fz = net.features(choose(net, pictures(2), dither(net, 2)), dither(net, 2))
    def drawn() -> Ints:
        one = net.pixels(fz[:1], range(32), 32, 3, guided)
        return one.pop(Noise(0, 1, 0, 32 * 32 * 3) if guided else Stack(np.random.default_rng(0).bytes(1 << 14)))

    numpys, numbas = both(drawn)
    assert np.array_equal(numpys, numbas)
    assert len(np.unique(numpys)) > 20


@pytest.mark.parametrize("variant", VARIANTS)
def test_lanes_compute_what_the_net_does(variant: str) -> None:
    net = random_ladder(2, **VARIANTS[variant] | {"widths": (4, 8, 8)})  # lanes take channels by four
    for numpys, numbas in zip(*both(lambda: list(frozen(copy.deepcopy(net)).golden())), strict=True):
        assert np.array_equal(numpys, numbas)


def test_bytes_that_are_wrong_are_left_to_int32(monkeypatch: pytest.MonkeyPatch) -> None:
    if not tiles.available():
        pytest.skip("the processor multiplies no bytes")
    decoder = frozen(random_ladder(**TILED)).net.pixels
    with carrier(numba=True):
        NarrowLanes(decoder)
        wrong = packed(decoder)
        wrong.out.weight[1, 0, 0, 0, 0, 0] ^= 64
        monkeypatch.setattr(narrow_lanes, "packed", lambda _: wrong)
        with pytest.raises(BoundError, match="were found to be wrong"):
            NarrowLanes(decoder)
        with pytest.raises(BoundError, match="do not carry"):
            NarrowLanes(frozen(random_ladder()).net.pixels)


@pytest.mark.parametrize(("variant", "shown"), [("local", "colour"), ("grey", "brightness"), ("coarse", "every other")])
def test_the_window_shows_what_its_name_says(variant: str, shown: str) -> None:
    """Which changes of one pixel, of those before, change what is told of the others."""
    decoder = frozen(random_ladder(3, **VARIANTS[variant])).net.pixels
    x = torch.from_numpy(np.random.default_rng(0).integers(-100, 100, (1, 9, 9, 3))).float()
    fz = torch.zeros(1, 9, 9, 5)

    def told(x: torch.Tensor) -> torch.Tensor:
        up = torch.nn.functional.pad(x, (0, 0, 0, 0, decoder.spacing, 0))[:, : -decoder.spacing]
        with exact_inference():
            found, base = decoder(look_whole, x, up, fz, decoder.streams(fz))
        return torch.cat((found[0], base), -1)[0]

    colour, light = x.clone(), x.clone()
    colour[0, 4, 4] += torch.tensor([0.0, 20.0, -20.0])
    light[0, 4, 4] += 20
    seen_colour, seen_light = ((told(y) != told(x)).any(-1) for y in (colour, light))
    assert seen_colour.any() == (shown != "brightness")
    assert seen_light.any()
    assert not seen_light[:4].any()
    assert not seen_light[4, :5].any()
    assert seen_light[5::2].any() == (shown != "every other")
    assert seen_light[4, 5::2].any() == (shown != "every other")


def test_gates_in_training_are_those_of_the_codec() -> None:
    y = torch.arange(-1023.0, 1024)
    both = torch.cat((y[:, None].expand(-1, 7), y[::341].expand(2047, 7)), -1)
    gate = Gate()
    trained = gate(both)
    set_mode(gate, "frozen")
    coded = gate(both)
    assert (coded - trained).abs().max() <= 1
    assert coded.min() < -1000
    assert (coded == coded.round()).all()
    assert (coded[y == 0] == 0).all()


# ---- the package's model -------------------------------------------------------------------------------------------


def test_single_files_and_what_they_cost() -> None:
    image = Image.fromarray(golden_pictures()[0])
    ledger = vlcodec.rate(image, model="agave-cifar10", samples=3)
    file = vlcodec.compress(image, model="agave-cifar10", lossless=True)
    assert vlcodec.decompress(file).tobytes() == image.tobytes()
    assert len(file) == ledger.lossless_bytes <= 1.003 * ledger.elbo / 8 + 32
    assert ledger.latents_kl > 1
    assert ledger.likelihood is not None
    lossy = vlcodec.compress(image, model="agave-cifar10", quality=1)
    assert len(lossy) == ledger.lossy_bytes <= ledger.latents_kl / 8 + 24
    first, again, other = (vlcodec.decompress(lossy, seed=seed).tobytes() for seed in (None, 0, 1))
    assert first == again != other
    grey = image.convert("L")
    back = vlcodec.decompress(vlcodec.compress(grey, model="agave-cifar10", lossless=True))
    assert (back.mode, back.tobytes()) == ("L", grey.tobytes())


@pytest.mark.parametrize("count", [1, 2, 9])
def test_archives(count: int) -> None:
    some = pictures(count)
    data = vlcodec.compress_archive(some, extra=b"x\0")
    assert vlcodec.info(data)["model"] == "agave-cifar10"
    found = vlcodec.decompress_archive(data)
    assert np.array_equal(np.stack([np.asarray(image) for image in found.images]), some)
    assert {image.mode for image in found.images} == {"RGB"}
    assert found.extra == b"x\0"


def test_what_an_archive_costs(photograph: Callable[[str, int, int], Image.Image]) -> None:
    """Natural pictures: those that the model thinks wild leave bits on the stack that are not as good as random."""
    some = [photograph("astronaut", 32 * n, 32 * n).resize((32, 32), Image.Resampling.BOX) for n in range(2, 9)]
    report = vlcodec.rate_archive(some)
    assert report.lossless_bytes == len(vlcodec.compress_archive(some))
    assert report.dithered == 1
    assert 0 < report.overhead < 0.003 * report.elbo + 8 * 40
    assert 0 < report.lossy_overhead < 8 * 30
