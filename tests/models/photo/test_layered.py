"""Lossy files in two layers: the residual's transform and prior, and what files hold of them."""

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from compiled_loops import carrier
from hypothesis import given, settings
from hypothesis import strategies as st
from layered_parts import LAYERS, layered_net
from PIL import Image

import vlcodec
from vlcodec.codec.errors import FormatError
from vlcodec.codec.files import picture_file
from vlcodec.codec.interface import Block, Ints
from vlcodec.models import registry, zoo
from vlcodec.models.layers.causal_pixels import COLOURS, MEAN_UNIT, centred
from vlcodec.models.layers.exact import frozen_copy
from vlcodec.models.photo.codec import golden_pictures, padded
from vlcodec.models.photo.layered import residual, restoration
from vlcodec.models.photo.layered.between import between
from vlcodec.models.photo.layered.codec import PASSES, Layer, LayeredModel
from vlcodec.models.photo.layered.residual import (
    COEFFICIENTS,
    GROUP,
    MOST,
    ORDER,
    STEP_UNIT,
    coefficients,
    restored,
    steps_of,
)
from vlcodec.models.photo.layered.restoration import mended
from vlcodec.models.photo.net import RESIDUAL_LARGE, GridAgave
from vlcodec.models.photo.rounding import BLOCK_PRICE

RoundTrip = Callable[[Block, Ints], bytes]


@pytest.fixture(scope="module")
def net(agave: Callable[[int], GridAgave]) -> GridAgave:
    return layered_net(agave)


@pytest.fixture(scope="module")
def model(net: GridAgave) -> LayeredModel:
    layers = [Layer(*layer) for layer in LAYERS]
    return LayeredModel(frozen_copy(net), torch.device("cpu"), 0.5, (100, 115), layers)


@pytest.fixture
def name(net: GridAgave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Weights of one's own, on the search path."""
    config = {"net": asdict(net.shape), "guide_width": 0.5, "correction": (70, 90, 110), "layers": LAYERS}
    monkeypatch.setenv(registry.VARIABLE, str(tmp_path))
    return zoo.save(net, config, "photo", registry.PHOTO, tmp_path).stem


@pytest.fixture
def picture() -> Image.Image:
    return Image.fromarray(golden_pictures()[0])


# ---- the transform ---------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32), st.sampled_from([1, 30, 1020]))
@settings(max_examples=25)
def test_coefficients_that_are_rounded_give_the_residual_back(seed: int, most: int) -> None:
    """Within a level, of sixteenths that are not quantised; energy is kept."""
    x = torch.from_numpy(np.random.default_rng(seed).integers(-most, most + 1, (2, 16, 24, COLOURS))).float()
    found = coefficients(x)
    assert found.shape == (2, 2, 3, COEFFICIENTS)
    assert (restored(found.round()) - x).abs().max() <= 4
    assert float(found.square().sum() / 16) == pytest.approx(float(x.double().square().sum()), rel=0.01)


def test_sums_stay_exact_whatever_a_file_says() -> None:
    """In integers of any size the same, at the largest coefficients: no sum reaches 2^53."""
    signs = np.random.default_rng(0).choice([-1, 1], (1, 1, 1, COEFFICIENTS))
    values = torch.from_numpy(signs * 4 * MOST)
    exact = np.zeros((COLOURS, 8, 8), object)
    exact.reshape(-1)[ORDER.numpy()] = [int(v) * MOST for v in signs.reshape(-1)]
    cosines, colours = ([[int(v) for v in row] for row in m] for m in (residual.COSINES, residual.COLOUR_MATRIX))
    c, m = np.array(cosines, object), np.array(colours, object)
    whole = np.einsum("kc,kij->cij", m, np.array([c.T @ part @ c for part in exact], object))
    assert max(abs(v) for v in whole.reshape(-1)) < 2**53
    wanted = [[[(v + (1 << 31)) >> 32 for v in row] for row in part] for part in whole]
    assert restored(values)[0].permute(2, 0, 1).tolist() == wanted


def test_low_frequencies_come_first_and_means_have_finer_steps() -> None:
    """Of each frequency the brightness comes in a group before the colours, but for the highest four."""
    assert sorted(ORDER.tolist()) == list(range(COEFFICIENTS))
    assert ORDER[:3].tolist() == [0, 1, 8]
    assert set(ORDER[GROUP : GROUP + 2].tolist()) == {64, 128}
    group = {int(place): i // GROUP for i, place in enumerate(ORDER)}
    late = [place for place in range(64) if any(group[place] >= group[64 * k + place] for k in (1, 2))]
    assert len(late) == 4
    assert min(place // 8 + place % 8 for place in late) >= 12
    steps = steps_of(torch.tensor([100, 2000]))
    assert steps[:, ORDER == 0].tolist() == [[38], [750]]
    assert steps[0, 3:].tolist() == [100] * (COEFFICIENTS - 3)
    assert steps[1, 3:].unique().tolist() == [1100, 2000]
    assert sorted(ORDER[steps[1] == 1100].tolist()) == [64, 128]  # means of both colours
    assert torch.equal(steps[0], steps_of(100))
    flat = coefficients(torch.full((1, 8, 8, COLOURS), 40.0))[0, 0, 0]
    assert flat[0] == pytest.approx(40 * 4 * 8 * 3**0.5, rel=1e-3)
    assert flat[1:].abs().max() < 5


# ---- the layer -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quality", [(1, 0), (1, 40), (3, 0)])
def test_both_walks_and_the_stack(model: LayeredModel, check_round_trip: RoundTrip, quality: tuple[int, int]) -> None:
    net, picture = model.single(*quality), golden_pictures()
    u = np.zeros(net.shape(1, *picture.shape[1:3]), np.int64)
    fz = net.features(net.rounded(net.centres(picture), u), u)
    symbols = net.lacking(picture, fz)
    assert symbols.shape == (2, 4, COEFFICIENTS + 1 + RESIDUAL_LARGE)
    assert len(np.unique(symbols[..., :COEFFICIENTS])) > 3
    check_round_trip(net.residual(fz), symbols)


def test_threads_choose_as_one_does(model: LayeredModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """With numpy's functions and with compiled loops, a few coefficients at a time or all of them."""
    net, picture, found = model.single(3), golden_pictures(), list[Ints]()
    u = np.zeros(net.shape(1, *picture.shape[1:3]), np.int64)
    fz = net.features(net.rounded(net.centres(picture), u), u)
    for numba, threads, at_once in ((False, 1, 1 << 14), (False, 3, 24), (True, 3, 24), (True, 2, 1 << 14)):
        monkeypatch.setattr(torch, "get_num_threads", lambda count=threads: count)
        monkeypatch.setattr("vlcodec.models.blocks.residual_block.AT_ONCE", at_once)
        with carrier(numba=numba):
            found.append(net.lacking(picture, fz))
    assert all(np.array_equal(found[0], other) for other in found[1:])
    assert found[0].any()


def test_more_passes_of_rounding_are_worth_it(model: LayeredModel) -> None:
    """Errors and bits together, or no less at least, of a net that knows nothing."""
    picture, asked = golden_pictures(), list[float]()
    for quality in (2, 3):
        net = model.single(quality)
        u = np.zeros(net.shape(1, 12, 18), np.int64)
        fz = net.features(net.rounded(net.centres(picture), u), u)
        for passes in (1, PASSES):
            symbols = net.lacking(picture, fz, passes)
            error = MEAN_UNIT * padded(picture) - net.mean_of(fz, range(16)) - net.residual_of(symbols, range(16))
            squared = float(error.double().square().sum()) * (STEP_UNIT / MEAN_UNIT / net._quantiser) ** 2
            asked.append(net.residual(fz).bits(symbols) * math.log(2) + BLOCK_PRICE * squared)
    assert asked[1] < 1.001 * asked[0]
    assert asked[3] < 1.001 * asked[2]


def test_it_brings_the_mean_image_nearer(model: LayeredModel) -> None:
    """The more so the finer the step; a symbol of 0 everywhere changes nothing."""
    picture, errors = golden_pictures(), list[float]()
    for quality, hundredths in ((2, 0), (2, 50), (3, 0)):
        net = model.single(quality, hundredths)
        u = np.zeros(net.shape(1, 12, 18), np.int64)
        fz = net.features(net.rounded(net.centres(picture), u), u)
        whole = net.completed(fz, net.lacking(picture, fz))
        errors.append(float(np.square(net.mean_images(whole, 12, 18).astype(float) - picture).mean()))
        none = np.zeros((2, 4, COEFFICIENTS + 1 + RESIDUAL_LARGE), np.int64)
        assert not net.residual_of(none, range(16)).any()
    assert errors == sorted(errors, reverse=True)
    plain = float(np.square(net.mean_images(fz, 12, 18).astype(float) - picture).mean())
    assert errors[0] < plain
    assert errors[-1] < 60
    x, mean = MEAN_UNIT * centred(picture), net.render(whole, range(12), 18)[..., :COLOURS]
    assert (x[0] - mean).abs().mean() / MEAN_UNIT < 10


def test_steps_and_guides_get_finer_with_the_quality(model: LayeredModel) -> None:
    nets = [model.single(quality, hundredths) for quality in (2, 3) for hundredths in (0, 30, 99) if quality < 3]
    nets.append(model.single(3))
    steps, guides = ([getattr(net, name) for net in nets] for name in ("_quantiser", "guide"))
    assert steps == sorted(steps, reverse=True)
    assert (steps[0], steps[-1]) == (320, 160)
    assert guides == sorted(guides, reverse=True)
    assert Layer(0, 50, 150).at(50) == (1, 0)
    assert [between(640, 160, h) for h in (0, 50, 99)] == [640, 320, 162]


def test_strips_mend_as_one(net: GridAgave, monkeypatch: pytest.MonkeyPatch) -> None:
    frozen, rng = frozen_copy(net).restoration, torch.Generator().manual_seed(0)
    mean, added = (torch.randint(-600, 601, (1, 28, 16, 3), generator=rng).float() for _ in range(2))
    body = torch.randint(-1023, 1024, (1, 7, 4, 8), generator=rng).float()

    def rendered(rows: range) -> torch.Tensor:
        return mean[:, rows.start : rows.stop]

    with torch.inference_mode():
        whole = mended(frozen, rendered, added, body, torch.tensor([64.0, 0, 0]))
        monkeypatch.setattr(restoration, "ROWS", 2)
        assert torch.equal(mended(frozen, rendered, added, body, torch.tensor([64.0, 0, 0])), whole)
        assert not torch.equal(mended(frozen, rendered, added, body, torch.tensor([0, 64.0, 0])), whole)
    assert not torch.equal(whole, added)


# ---- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("numba", [False, True])
def test_the_same_bits_where_other_types_are_usual(name: str, picture: Image.Image, numba: bool) -> None:
    """Whatever torch's default is."""
    with carrier(numba=False):
        data = vlcodec.compress(picture, model=name, quality=2, effort=2)
        shown = vlcodec.decompress(data, decode="mean").tobytes()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with carrier(numba=numba):
            assert vlcodec.compress(picture, model=name, quality=2, effort=2) == data
            assert vlcodec.decompress(data, decode="mean").tobytes() == shown
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_same_bits_in_inference_mode(name: str, picture: Image.Image) -> None:
    data = vlcodec.compress(picture, model=name, quality=2)
    shown = vlcodec.decompress(data, decode="mean").tobytes()
    with torch.inference_mode():
        assert vlcodec.compress(picture, model=name, quality=2) == data
        assert vlcodec.decompress(data, decode="mean").tobytes() == shown


def test_the_ledger_tells_of_the_residual(name: str, picture: Image.Image) -> None:
    """Beside what the lossless file says: the lossy file's size, and its mean image's distance."""
    ledger = vlcodec.rate(picture, model=name, quality=2.5)
    lossy = vlcodec.compress(picture, model=name, quality=2.5)
    assert ledger.lossy_bytes == len(lossy)
    assert ledger.residual_written == 8 * len(picture_file.unpack(lossy).groups[1])
    assert ledger.residual == pytest.approx(ledger.residual_written, abs=40)
    error = np.square(np.asarray(vlcodec.decompress(lossy, decode="mean")).astype(float) - np.asarray(picture)).mean()
    assert ledger.psnr_mean_db == pytest.approx(10 * math.log10(255**2 / error), abs=1e-6)
    assert ledger.elbo == ledger.latents_kl + ledger.pixels
    assert "residual, written" in ledger.table()
    assert ledger.lossless_bytes == len(vlcodec.compress(picture, model=name, quality=2.5, lossless=True))


def test_a_lossy_file_has_two_groups_and_may_lose_the_second(name: str, picture: Image.Image) -> None:
    data = vlcodec.compress(picture, model=name, quality=2.5, device="cpu")
    file = picture_file.unpack(data)
    assert len(file.groups) == 2
    assert file.groups[1]
    cut = data[: len(data) - 4 - len(file.groups[1])]
    with pytest.raises(FormatError):
        vlcodec.decompress(cut, device="cpu")
    first = vlcodec.decompress(cut, front=True, decode="mean", device="cpu")
    whole = vlcodec.decompress(data, decode="mean", device="cpu")
    original = np.asarray(picture).astype(int)
    errors = [np.square(np.asarray(image).astype(int) - original).mean() for image in (whole, first)]
    assert errors[0] < errors[1]
    drawn = vlcodec.decompress(data, device="cpu")
    assert drawn.tobytes() != whole.tobytes()
    assert drawn.tobytes() == vlcodec.decompress(data, device="cpu").tobytes()


def test_a_lossless_file_has_latents_alone(name: str, picture: Image.Image) -> None:
    data = vlcodec.compress(picture, model=name, lossless=True, device="cpu")
    file = picture_file.unpack(data)
    assert len(file.groups) == 1
    assert vlcodec.decompress(data, device="cpu").tobytes() == picture.tobytes()
    assert vlcodec.decompress(data, decode="mean", device="cpu").size == picture.size
    more = picture_file.pack(replace(file, refinements=(b"\1",)))
    with pytest.raises(FormatError, match="the file holds 2 groups of latents: its model has one"):
        vlcodec.decompress(more, device="cpu")


def test_groups_that_do_not_belong(name: str, picture: Image.Image) -> None:
    file = picture_file.unpack(vlcodec.compress(picture, model=name, quality=2, device="cpu"))
    longer = file.groups[1] + b"\1\2\3\4\5\6\7\1"
    for groups, rule in (
        ((longer,), "the residual's stack must be empty after its last symbol; it is not"),
        ((file.groups[1], b"\1"), "the file holds 3 groups of latents: its model has one or two"),
    ):
        with pytest.raises(FormatError, match=rule):
            vlcodec.decompress(picture_file.pack(replace(file, refinements=groups)), device="cpu")
    tiny = picture_file.unpack(vlcodec.compress(picture, model=name, quality=0, device="cpu"))
    more = picture_file.pack(replace(tiny, header=replace(tiny.header, version=2), refinements=(b"\1",)))
    with pytest.raises(FormatError, match="the file holds 2 groups of latents: its model has one"):
        vlcodec.decompress(more, device="cpu")


def test_its_integers_are_in_the_golden_vector(net: GridAgave, model: LayeredModel) -> None:
    changed = GridAgave(net.shape)
    changed.load_state_dict(net.state_dict())
    with torch.no_grad():
        changed.residual.net.first.bias.add_(1)
    layers = [Layer(*layer) for layer in LAYERS]
    other = LayeredModel(frozen_copy(changed), torch.device("cpu"), 0.5, (100, 115), layers)
    both = [list(each.golden()) for each in (model, other)]
    assert len(both[0]) == len(both[1])
    assert not all(np.array_equal(a, b) for a, b in zip(*both, strict=True))
