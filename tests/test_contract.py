"""The contract: what every model that is known must keep, so that the codec may rely on it."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
import toy

from vlcodec.codec.coding.latents import choose, dither_of, pop, primed, push
from vlcodec.codec.coding.meter import Meter
from vlcodec.codec.coding.noise import Noise
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.errors import ModelError
from vlcodec.codec.interface import Block, Bytes, Ints, LatentNet, Model
from vlcodec.models import registry, zoo
from vlcodec.models.family import Takes
from vlcodec.models.registry import Entry

RoundTrip = Callable[..., bytes]


LONG = {31}  # numbers that take longest, of a family that another number stands for
ENTRIES = [
    pytest.param(entry, id=f"{entry.name}-{entry.number}", marks=[pytest.mark.slow] * (entry.number in LONG))
    for entry in [*registry.ENTRIES, *toy.ENTRIES]
]


@pytest.fixture(scope="module", params=ENTRIES)
def entry(request: pytest.FixtureRequest) -> Iterator[Entry]:
    """The package's models, and those of a family in the tests' own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "ENTRIES", [*registry.ENTRIES, *toy.ENTRIES])
        yield request.param


@pytest.fixture(scope="module")
def model(entry: Entry) -> Model:
    return zoo.load(entry, "cpu")


@pytest.fixture(scope="module")
def takes(entry: Entry) -> Takes:
    return zoo.takes(entry)


@pytest.fixture(scope="module")
def pictures(entry: Entry) -> Bytes:
    """(n, H, W, C) of a kind that the model takes."""
    return zoo.golden_pictures(entry)


@pytest.fixture(scope="module")
def nets(model: Model) -> list[LatentNet]:
    """At the lowest and the highest quality, if there are single pictures, and the one for archives, if there is."""
    chained, singles = model.chained(), list[LatentNet]()
    try:
        singles = [model.single(quality) for quality in sorted({1, model.qualities})]
    except ModelError:
        assert chained is not None
    return [*singles, *([chained] if chained is not None else [])]


@pytest.fixture(scope="module")
def kinds(pictures: Bytes, takes: Takes) -> list[Bytes]:
    """One picture as it is, and in grey where colours are taken; two where they lie side by side."""
    one = pictures[:1]
    found = [one] if takes.bilevel or one.shape[-1] == 1 else [one, one[..., :1]]
    return [*found, pictures] if len(pictures) > 1 else found


@pytest.fixture(scope="module")
def bands(pictures: Bytes, takes: Takes) -> list[range]:
    """Two of them, cut at a multiple of four, or a picture of one size whole."""
    height = pictures.shape[1]
    edges = [0, height] if takes.side is not None else [0, height // 8 * 4, height]
    return [range(*pair) for pair in pairwise(edges)]


def latents_of(net: LatentNet, pictures: Bytes) -> tuple[Ints, Ints]:
    """Symbols of some latents, and the dither; bits-back draws them from bits that lie on the stack."""
    u = dither_of(net, 3, 0, *pictures.shape[:3])
    stack = Stack(np.random.default_rng(0).bytes(1 << 16) + b"\1")
    return net.posterior(pictures, u).pop(stack), u


def pixel_blocks(net: LatentNet, pictures: Bytes, bands: list[range]) -> Iterator[tuple[Block, Ints]]:
    """All bands of pictures."""
    symbols, u = latents_of(net, pictures)
    fz = net.features(symbols, u)
    for rows in bands:
        block = net.pixels(fz, rows, pictures.shape[2], pictures.shape[3])
        yield block, net.to_symbols(pictures[:, rows.start : rows.stop])


def test_shapes_and_ranges(nets: list[LatentNet], kinds: list[Bytes], takes: Takes) -> None:
    for net in nets:
        for pictures in kinds:
            n, height, width, _ = pictures.shape
            symbols, u = latents_of(net, pictures)
            assert symbols.shape == u.shape == net.shape(n, height, width)
            assert u.any() == (net.posterior_kind == "dithered")
            assert np.array_equal(symbols, latents_of(net, pictures)[0])
            mean = net.mean_images(net.features(symbols, u), height, width)
            assert mean.dtype == np.uint8
            assert mean.shape in [(n, height, width, 1), (n, height, width, 3)]
    codes = {latents_of(net, kinds[0])[0].tobytes() for net in nets}
    assert len(codes) == len({getattr(net, "quality", i) for i, net in enumerate(nets)})  # of two layers, the first's


def test_pixels_and_symbols(nets: list[LatentNet], kinds: list[Bytes]) -> None:
    for net in nets:
        for pictures in kinds:
            symbols = net.to_symbols(pictures)
            assert symbols.shape == (*pictures.shape[1:], len(pictures))
            back = net.to_pictures(symbols)
            assert np.array_equal(back, pictures)
            assert back.dtype == np.uint8


def test_latents_round_trip(nets: list[LatentNet], kinds: list[Bytes], check_round_trip: RoundTrip) -> None:
    for net in nets:
        symbols, u = latents_of(net, kinds[0])
        check_round_trip(net.prior(u), symbols)
        if net.posterior_kind == "bits-back":
            check_round_trip(net.posterior(kinds[0], u), symbols)
        else:
            assert np.array_equal(choose(net, kinds[0], u), symbols)


def test_pixels_round_trip(
    nets: list[LatentNet], kinds: list[Bytes], bands: list[range], takes: Takes, check_round_trip: RoundTrip
) -> None:
    for net in nets:
        for pictures in kinds:
            below = b"" if takes.alone else primed(len(pictures), 0).to_bytes()
            for block, symbols in pixel_blocks(net, pictures, bands):
                check_round_trip(block, symbols, below)


def test_bits_are_what_is_pushed(
    nets: list[LatentNet], kinds: list[Bytes], bands: list[range], takes: Takes
) -> None:
    """The ledger's bits and the coded ones are nearly the same, by code apart."""
    for net in nets:
        symbols, u = latents_of(net, kinds[0])
        blocks = [(net.prior(u), symbols), *pixel_blocks(net, kinds[0], bands)]
        for block, known in blocks:
            stack = Stack() if takes.alone else primed(1, 0)
            meter = Meter(stack)
            before = stack.bits
            block.push(known, meter)
            assert block.bits(known) == pytest.approx(meter.total)
            # a symbol that the model thinks nearly impossible costs no more than a table's 24 bits
            assert stack.bits - before == pytest.approx(meter.total, rel=0.03, abs=80)


def test_pictures_come_back_and_the_stack_is_as_it_was(nets: list[LatentNet], kinds: list[Bytes], takes: Takes) -> None:
    bottom = np.random.default_rng(1).bytes(1 << 15) + b"\1"
    for net in nets:
        for pictures in kinds:
            u, stack = dither_of(net, 5, 0, *pictures.shape[:3]), Stack(bottom)
            push(net, pictures, u, stack)
            assert stack.to_bytes() != bottom
            back = pop(net, u, stack, *pictures.shape[1:])
            assert np.array_equal(back, pictures)
            assert stack.to_bytes() == bottom


def test_sampling_is_decoding(
    nets: list[LatentNet], kinds: list[Bytes], bands: list[range], takes: Takes
) -> None:
    """The same seed draws the same sample, another seed another, but where all is black; coded and decoded, it comes
    back."""
    for net in nets:
        others = 0
        for pictures in kinds:
            symbols, u = latents_of(net, pictures)
            block = net.pixels(net.features(symbols, u), bands[0], pictures.shape[2], pictures.shape[3], guided=True)
            size = int(np.prod(block.shape))
            drawn = block.pop(Noise(1, 2, 0, size))
            assert np.array_equal(drawn, block.pop(Noise(1, 2, 0, size)))
            others += not np.array_equal(drawn, block.pop(Noise(2, 2, 0, size)))
            stack = Stack() if takes.alone else primed(len(pictures), 0)
            below = stack.to_bytes()
            block.push(drawn, stack)
            back = Stack(stack.to_bytes())
            assert np.array_equal(block.pop(back), drawn)
            assert back.to_bytes() == below
        assert others


def test_an_empty_stack_holds_the_lowest_symbols(
    nets: list[LatentNet], kinds: list[Bytes], bands: list[range], takes: Takes
) -> None:
    if not takes.alone:
        pytest.skip("pixels take bits off the stack, and an empty one has none")
    for net in nets:
        symbols, u = latents_of(net, kinds[0])
        block = net.pixels(net.features(symbols, u), bands[0], *kinds[0].shape[2:])
        assert not block.pop(Stack()).any()
        stack = Stack()
        block.push(np.zeros(block.shape, np.int64), stack)
        assert not block.pop(stack).any()


def test_the_golden_vector_is_reproduced(entry: Entry, model: Model) -> None:
    zoo.check(model, entry.path, "cpu")
