"""A band's own correction: its arithmetic, its fit, and both walks with it."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

import vlcodec
from vlcodec.codec.coding.latents import SIDE_INFORMATION
from vlcodec.codec.coding.meter import Meter
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.coding.tables import LogisticMixture, mixture_mean
from vlcodec.codec.interface import Block, Ints
from vlcodec.models.blocks import corrected_block
from vlcodec.models.blocks.corrected_block import CorrectedBlock
from vlcodec.models.photo.codec import PhotoModel
from vlcodec.models.walks import correction, units
from vlcodec.models.walks.correction import (
    TAPS,
    Correction,
    Edges,
    Errors,
    classes_of,
    count,
    error,
    fit_correction,
    likeliest_scale,
    solve,
    strips,
)
from vlcodec.models.walks.dither import CENTRE

RoundTrip = Callable[[Block, Ints], bytes]
Photograph = Callable[[str, int, int], Image.Image]
EDGES: Edges = (100, 115)
WIDE = 110  # a scale index of the middle class, sigma 3.5 levels


def places(rows: int, width: int) -> Ints:
    return np.arange(rows * width, dtype=np.int64)


def test_neighbours_errors_are_where_they_belong() -> None:
    rows, width = 5, 4
    values = np.random.default_rng(0).integers(-255, 256, (rows, width, 3))
    errors = Errors(rows, width, 3)
    errors.put(places(rows, width), values.reshape(-1, 3))
    around = errors.around(places(rows, width)).reshape(rows, width, len(TAPS), 3)
    for r, c in np.ndindex(rows, width):
        for k, (dr, dc) in enumerate(TAPS):
            inside = r + dr >= 0 and 0 <= c + dc < width
            assert np.array_equal(around[r, c, k], values[r + dr, c + dc] if inside else np.zeros(3))
    assert np.array_equal(errors.at(places(rows, width)), values.reshape(-1, 3))


def test_an_error_is_rounded_and_bounded() -> None:
    mean = np.array([0, 1, 2, 5, 6, -2, -3, 32 * 100, -32 * 100])
    assert error(np.zeros(9, np.int64), mean).tolist() == [0, 0, 0, -1, -1, 1, 1, -255, 255]
    assert error(np.array([3]), np.array([0])).tolist() == [24]


def test_a_mixtures_mean_and_width() -> None:
    rng = np.random.default_rng(1)
    logit, centre, scale = (
        rng.integers(-255, 256, (50, 4)),
        rng.integers(-9000, 9000, (50, 4)),
        rng.integers(0, 192, (50, 4)),
    )
    weight = np.exp(logit / 32 - (logit / 32).max(1, keepdims=True))
    expected = (weight * centre).sum(1) / weight.sum(1)
    mixture = LogisticMixture(logit, centre, scale)
    assert np.array_equal(mixture.mean(), mixture_mean(logit, centre))
    assert np.abs(mixture.mean() - expected).max() < 2
    assert np.array_equal(LogisticMixture(logit, centre + 77, scale).mean(), mixture.mean() + 77)
    likeliest = [row[k] for row, k in zip(scale.tolist(), logit.argmax(1), strict=True)]
    assert likeliest_scale(logit, scale).tolist() == likeliest
    scales = np.array([0, 99, 100, 114, 115, 191])
    assert classes_of(scales, EDGES).tolist() == [0, 0, 1, 1, 2, 2]
    assert classes_of(scales, (99,)).tolist() == [0, 1, 1, 1, 1, 1]
    assert not classes_of(scales, ()).any()


def test_a_move_is_the_weighted_sum_of_its_class() -> None:
    rng = np.random.default_rng(2)
    numbers = rng.integers(0, 256, count(3, EDGES))
    around, own = rng.integers(-255, 256, (20, 33)), rng.integers(-255, 256, (20, 3))
    scale = rng.integers(80, 130, 20)
    made = Correction(numbers, 3, EDGES)
    sums, first = made.around(around.astype(np.int16)), 0
    for c in range(3):
        weights = numbers[first : first + 3 * (33 + c)].reshape(3, 33 + c) - 128
        first += weights.size
        seen = np.concatenate((around, own[:, :c]), 1)
        expected = [(int(w @ s) + 32) >> 6 for w, s in zip(weights[classes_of(scale, EDGES)], seen, strict=True)]
        assert made.move(c, sums, own, np.zeros((20, 1), np.int64), scale[:, None]).tolist() == expected
    assert first == len(numbers)


def test_elimination_solves() -> None:
    rng = np.random.default_rng(3)
    a = rng.normal(size=(20, 12))
    matrix, right = a.T @ a + np.eye(12), rng.normal(size=12)
    before = matrix.copy()
    assert np.allclose(solve(matrix, right), np.linalg.solve(matrix, right))
    assert np.array_equal(matrix, before)


def foretold(rows: int, width: int, share: float) -> Errors:
    """Errors of which the left neighbour's share comes again, the rest noise of three levels."""
    rng = np.random.default_rng(4)
    values = rng.normal(0, 3 * units.ERROR_UNIT, (rows, width, 1))
    for c in range(1, width):
        values[:, c] += share * values[:, c - 1]
    errors = Errors(rows, width, 1)
    errors.put(places(rows, width), np.clip(values.round(), -255, 255).astype(np.int64).reshape(-1, 1))
    return errors


def test_fit_finds_what_foretells() -> None:
    rows, width = 150, 200
    numbers = fit_correction(foretold(rows, width, 0.4), np.full((rows * width, 1), WIDE, np.int16), EDGES)
    weights = (numbers.reshape(3, len(TAPS)) - 128) / 256
    expected = np.zeros(len(TAPS))
    expected[TAPS.index((0, -1))] = 0.4
    assert np.abs(weights[1] - expected).max() < 0.05
    assert not weights[[0, 2]].any()  # classes without a pixel


def test_what_does_not_pay_is_not_sent() -> None:
    for rows, width, share in ((150, 200, 0.0), (10, 12, 0.4)):
        scales = np.full((rows * width, 1), WIDE, np.int16)
        assert not fit_correction(foretold(rows, width, share), scales, EDGES).size


def test_the_fit_does_not_depend_on_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    errors, scales = foretold(90, 120, 0.4), np.full((90 * 120, 1), WIDE, np.int16)
    numbers = fit_correction(errors, scales, EDGES)
    assert numbers.size
    monkeypatch.setattr(correction, "STRIP", 777)
    assert sum(len(part) for part in strips(90 * 120)) == 90 * 120
    assert np.array_equal(fit_correction(errors, scales, EDGES), numbers)


def test_the_largest_sums_are_exact() -> None:
    """Every term of the normal equations at its largest, as many as are fitted: below 2^53, where float64 is exact."""
    precisions, limits = correction._precisions()
    assert int(precisions.max()) * units.ERROR_MAX**2 * (correction.FITTED + correction.STRIP) < 2**53
    assert int(limits.max()) <= units.ERROR_MAX
    assert units.ERROR_MAX * 128 * (3 * len(TAPS) + 2) < 2**24  # a move's sum in float32


def band_of(model: PhotoModel, rows: int, width: int, grey: bool = False) -> CorrectedBlock:
    """A band of pixels given random latents."""
    net = model.single(2)
    z = np.random.default_rng(5).integers(-400, 400, net.shape(1, rows, width))
    fz, colours = net.features(CENTRE + z // 32, z % 32), 1 if grey else 3
    assert not isinstance(net.pixels(fz, range(rows), width, colours, guided=True), CorrectedBlock)
    block = net.pixels(fz, range(rows), width, colours)
    assert isinstance(block, CorrectedBlock)
    return block


@pytest.mark.parametrize("edges", [EDGES, (), (90, 105, 120)], ids=str)
@pytest.mark.parametrize("grey", [False, True], ids=["rgb", "grey"])
def test_both_walks_are_corrected_alike(
    tiny: PhotoModel, check_round_trip: RoundTrip, grey: bool, edges: Edges
) -> None:
    band, rng = band_of(tiny, 9, 21, grey).band, np.random.default_rng(5)
    symbols = rng.integers(0, 256, band.shape)
    numbers = rng.integers(0, 256, count(band.colours, edges))
    plain = check_round_trip(band, symbols)
    assert check_round_trip(band.corrected(Correction(numbers, band.colours, edges)), symbols) != plain
    assert check_round_trip(band, symbols) == plain


def test_a_textured_photograph_is_corrected(photograph: Photograph) -> None:
    """The numbers are sent, told to the decoder, counted in -ELBO, and save more than they cost."""
    image = photograph("cat", 160, 200)
    data = vlcodec.compress(image, model="photo-8", lossless=True)
    assert vlcodec.decompress(data).tobytes() == image.tobytes()
    report = vlcodec.rate(image, model="photo-8")
    assert report.lossless_bytes == len(data)
    assert report.side_information == 8 * count(3, EDGES) + 1
    assert report.lossless_bytes <= 1.001 * report.elbo / 8 + 32
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(correction, "LEAST_RETURN", 1e9)
        plain = vlcodec.compress(image, model="photo-8", lossless=True)
    assert len(data) < 0.997 * len(plain)


@pytest.mark.parametrize("pays", [True, False])
def test_what_is_told_comes_back(
    tiny: PhotoModel, check_round_trip: RoundTrip, monkeypatch: pytest.MonkeyPatch, pays: bool
) -> None:
    """Numbers from the encoder reach the decoder through the stack, before the pixels, and the ledger counts them."""
    block, rng, used = band_of(tiny, 4, 5), np.random.default_rng(6), list[list[int]]()
    assert block.edges == EDGES
    numbers = rng.integers(0, 256, count(3, EDGES) if pays else 0)

    def noted(numbers: Ints, colours: int, edges: Edges) -> Correction:
        used.append(numbers.tolist())
        return Correction(numbers, colours, edges)

    monkeypatch.setattr(corrected_block, "fit_correction", lambda *_: numbers)
    monkeypatch.setattr(corrected_block, "Correction", noted)
    symbols, stack, meter = rng.integers(0, 256, block.shape), Stack(), Meter()
    block.push(symbols, stack)
    assert np.array_equal(block.pop(stack), symbols)
    assert stack.empty
    assert used == [numbers.tolist()] * (2 if pays else 0)
    block.push(symbols, meter)
    assert meter.promised[SIDE_INFORMATION] == 8 * numbers.size + 1
    check_round_trip(block, symbols)


@pytest.mark.parametrize(("deviation", "bits"), [(0, 1.1), (6, 5.0), (40, 7.8), (1e9, 6.5)])
def test_numbers_near_their_middle_take_few_bits(
    tiny: PhotoModel, check_round_trip: RoundTrip, monkeypatch: pytest.MonkeyPatch, deviation: float, bits: float
) -> None:
    """Under a logistic, whatever they are; those of photographs deviate by 6 or so."""
    band, rng = band_of(tiny, 4, 5).band, np.random.default_rng(6)
    numbers = np.clip(np.rint(rng.normal(128, deviation, count(3, EDGES))), 0, 255).astype(np.int64)
    monkeypatch.setattr(corrected_block, "fit_correction", lambda *_: numbers)
    block, symbols, meter = CorrectedBlock(band, EDGES, True), rng.integers(0, 256, band.shape), Meter()
    block.push(symbols, meter)
    assert meter.promised[SIDE_INFORMATION] < bits * numbers.size
    assert meter.promised[SIDE_INFORMATION] > (bits - 1.2) * numbers.size
    check_round_trip(block, symbols)
