"""Files whose model has learned their picture."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import ok, run
from PIL import Image

import vlcodec
from vlcodec import _shared, adaptive
from vlcodec.codec.coding.likelihood import bits_of
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.coding.tables import LogisticMixture
from vlcodec.codec.errors import FormatError, VlcodecError
from vlcodec.codec.files import picture_file
from vlcodec.codec.files.picture_file import File
from vlcodec.estimates import expected_to_compress
from vlcodec.models import registry, zoo
from vlcodec.models.layers.causal_pixels import PixelDecoder
from vlcodec.models.layers.exact import Layer
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.photo import adapting
from vlcodec.models.photo.adapted import (
    MOST,
    _move,
    adapted,
    pack_changes,
    sizes,
    unpack_changes,
)
from vlcodec.models.photo.codec import PhotoLatents, PhotoModel
from vlcodec.models.photo.factors import large_layers, unit_of

RANK = 8
OPTIONS: dict[str, Any] = {"model": "photo", "device": "cpu"}
RNG = np.random.default_rng(2)
ROWS, COLUMNS = 560, 64
STRIPES = np.where(np.arange(ROWS)[:, None, None] // 2 % 2, 60, 190) + RNG.integers(0, 24, (ROWS, COLUMNS, 3))
PICTURE = Image.fromarray(STRIPES.astype(np.uint8))  # a pattern that pays, in two bands


@pytest.fixture(scope="module")
def net() -> PhotoLatents:
    model = zoo.load(registry.by_number(9), "cpu")
    assert isinstance(model, PhotoModel)
    return model.single(1)


@pytest.fixture(scope="module", autouse=True)
def _small_steps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_shared, "EFFORTS", (0, 2, 2, 2, 2, 2, 2, 2, 24))
        patch.setattr(_shared, "SEARCHES", (0,) * 9)  # see tests/models/photo/test_refining.py
        for name, value in (("PATCH", 32), ("PATCHES", 2), ("RATE", 2.0)):
            patch.setattr(adapting, name, value)
        yield


@pytest.fixture(scope="module")
def made() -> bytes:
    """A file that holds what was learned."""
    return vlcodec.compress(PICTURE, lossless=True, effort=9, **OPTIONS)


def factors_for(decoder: PixelDecoder) -> list[torch.Tensor]:
    """Random ones, of a model whose weights files have none."""
    rng = np.random.default_rng(3)
    shapes = [(RANK, layer.weight.shape[1]) for layer in large_layers(decoder)]
    return [torch.from_numpy(rng.integers(-127, 128, shape, np.int8)) for shape in shapes]


def learned(data: bytes) -> File:
    found = picture_file.unpack(data)
    assert found.changes
    return found


@pytest.mark.parametrize(("mode", "near"), [("RGB", 0), ("RGB", 2), ("L", 0)])
def test_what_is_learned_pays_and_decodes(mode: str, near: int, made: bytes) -> None:
    picture = PICTURE.convert(mode)
    plain = vlcodec.compress(picture, lossless=True, near_lossless=near, **OPTIONS)
    data = made
    if mode != "RGB" or near:
        data = vlcodec.compress(picture, lossless=True, near_lossless=near, effort=9, **OPTIONS)
    assert len(data) < len(plain)
    assert learned(data).latents == picture_file.unpack(plain).latents
    back = vlcodec.decompress(data, device="cpu")
    assert np.abs(np.asarray(back).astype(int) - np.asarray(picture)).max() <= near
    assert vlcodec.info(data)["bytes"]["changes"] == len(learned(data).changes)
    for how in ("mean", "sample"):  # which know nothing of it
        images = [vlcodec.decompress(one, decode=how, device="cpu") for one in (data, plain)]
        assert images[0].tobytes() == images[1].tobytes()


def test_what_does_not_pay_is_left_out() -> None:
    picture = PICTURE.crop((0, 0, 24, 20))
    files = [vlcodec.compress(picture, lossless=True, effort=effort, **OPTIONS) for effort in (1, 4)]
    assert files[0] == files[1]


def test_models_that_cannot_learn_make_their_usual_files() -> None:
    picture = PICTURE.crop((0, 0, 32, 32))
    shared: dict[str, Any] = {"model": "vlae-cifar10", "lossless": True, "device": "cpu"}
    assert vlcodec.compress(picture, effort=9, **shared) == vlcodec.compress(picture, **shared)


def test_changes_come_back(net: PhotoLatents) -> None:
    coded = net._pixels.coded()
    lengths = sizes(coded, factors_for(coded))
    changes = [RNG.integers(-20, 21, n) * RNG.integers(0, 2, n) for n in lengths]
    biases = [changes[0], *(0 * part for part in changes[1:])]
    for some in (changes, biases, [0 * part for part in changes], [np.clip(9 * part, -127, 127) for part in changes]):
        found = unpack_changes(pack_changes(some), lengths)
        assert all(map(np.array_equal, found, some))
    assert len(lengths) == 17
    for data in (pack_changes(changes), pack_changes(biases)):
        with pytest.raises(FormatError, match="stack of changes of weights must be empty"):
            unpack_changes(data + b"\1", lengths)
    packed = pack_changes(changes)
    fronts = (b"\xc8", b"\xff\xc8", b"\xfe\xc8", b"\xfe\x60\xc8")
    for wrong in (front + packed[len(front) :] for front in fronts):
        with pytest.raises(FormatError, match="with a scale of 200: it must be at most 191"):
            unpack_changes(wrong, lengths)
    with pytest.raises(FormatError, match="changes of weights end within their mixtures"):
        unpack_changes(packed[:40], lengths)


def test_changes_under_one_logistic_each_are_still_read(net: PhotoLatents) -> None:
    """As files of number 9, and the first ones of number 36, have them."""
    coded = net._pixels.coded()
    lengths = sizes(coded, factors_for(coded))
    changes = [RNG.integers(-9, 10, n) for n in lengths]
    for parts, start in ((changes, b"\xff"), (changes[:1], b"")):
        scales, stack = bytes(range(120, 120 + len(parts))), Stack()
        for part, scale in reversed(list(zip(parts, scales, strict=True))):
            zero = np.zeros((len(part), 1), np.int64)
            stack.push(LogisticMixture(zero, zero, zero + scale), part + 128)
        found = unpack_changes(start + scales + stack.to_bytes(), lengths)
        assert all(map(np.array_equal, found, [*parts, *(0 * part for part in changes[len(parts) :])]))


def test_most_changes_are_none(net: PhotoLatents) -> None:
    """A mixture tells few large changes among many small ones for less than one logistic would."""
    lengths = [1000, *[0] * 16]
    rare = np.where(RNG.random(1000) < 0.1, RNG.integers(-40, 41, 1000), 0)
    found = len(pack_changes([rare, *[np.zeros(0, np.int64)] * 16]))
    assert np.array_equal(unpack_changes(pack_changes([rare, *[np.zeros(0, np.int64)] * 16]), lengths)[0], rare)
    zero = np.zeros((1000, 1), np.int64)
    logistics = [LogisticMixture(zero, zero, zero + scale) for scale in range(60, 180)]
    least = min(float(bits_of(each, rare + 128).sum()) for each in logistics) / 8
    assert found < 0.8 * least


def test_without_changes_a_network_is_what_it_was(net: PhotoLatents) -> None:
    coded = net._pixels.coded()
    factors = factors_for(coded)
    same = adapted(coded, [np.zeros(n, np.int64) for n in sizes(coded, factors)], factors)
    for (_, a), (_, b) in zip(coded.named_modules(), same.named_modules(), strict=True):
        if hasattr(a, "integers"):
            assert all(x.equal(y) for x, y in zip(a.integers(), b.integers(), strict=True))


def test_changes_that_leave_the_exact_range_are_refused(net: PhotoLatents) -> None:
    coded = net._pixels.coded()
    with pytest.raises(FormatError, match=r"changes of weights that layer .* does not take: a sum can reach"):
        adapted(coded, [np.full(sizes(coded, [])[0], 10**9)], [])


def test_weights_move_by_factors_and_stay_within_8_bits(net: PhotoLatents) -> None:
    coded = net._pixels.coded()
    factors = factors_for(coded)
    changes = [np.zeros(n, np.int64) for n in sizes(coded, factors)]
    changes[-1][3 * RANK + 1] = -40  # of the last channel's hidden layer
    changes[-1][4 * RANK : 5 * RANK] = MOST
    layers = [decoder.net.hidden[2] for decoder in (coded, adapted(coded, changes, factors))]
    before, after = (layer.integers() for layer in layers if isinstance(layer, Layer))
    weight, _, exponent = (part.numpy() for part in before)
    moved, unit = after[0].numpy(), unit_of(before[0], before[2])
    added = -40 * factors[-1][1].numpy().astype(int) * 2.0 ** (exponent[3] + unit)
    assert np.array_equal(moved[3], np.clip(weight[3] + np.rint(added), -127, 127))
    assert (moved[3] != weight[3]).any()
    assert np.abs(moved).max() == 127
    assert np.array_equal(np.delete(moved, [3, 4], 0), np.delete(weight, [3, 4], 0))
    mean = np.abs(weight * 2.0 ** -exponent[:, None]).mean()
    assert 2.0**unit * 2**10 <= mean < 2.0**unit * 2**11


def test_what_training_simulates_is_what_files_compute(net: PhotoLatents) -> None:
    """The loss of learned changes, rounded, is what the changed network takes."""
    coded = net._pixels.coded()
    layer = copy.deepcopy(coded.net.near[1])
    assert isinstance(layer, Layer)
    factors, expected = factors_for(coded)[3], copy.deepcopy(layer)
    changes = RNG.integers(-20, 21, (layer.outputs, RANK))
    _move(expected, np.zeros(layer.outputs, np.int64), (changes, factors))
    moved = adapting._MovedWeights(layer, factors)
    set_mode(layer, "training")
    with torch.no_grad():
        moved.changes.copy_(torch.from_numpy(changes))
        layer.weight.copy_(moved(layer.weight))
    real = [weight * torch.exp2(-exponent)[:, None] for weight, _, exponent in (layer.integers(), expected.integers())]
    assert torch.equal(*real)


@pytest.mark.parametrize("strip", [0, 1, 40])
def test_hostile_changes(strip: int, made: bytes) -> None:
    """Cut, or of another kind: one sentence."""
    file = learned(made)
    changes = file.changes[:-strip] if strip else b"\x7a"
    with pytest.raises(FormatError):
        vlcodec.decompress(picture_file.pack(replace(file, changes=changes)), device="cpu")


def test_a_file_without_bands_holds_none() -> None:
    file = picture_file.unpack(vlcodec.compress(PICTURE, quality=1, **{**OPTIONS, "model": "photo-37"}))
    with pytest.raises(FormatError, match="changes of weights, and nothing that was coded with them"):
        vlcodec.decompress(picture_file.pack(replace(file, changes=b"\x7a")), device="cpu")
    small = {"model": "vlae-cifar10", "lossless": True, "device": "cpu"}
    file = picture_file.unpack(vlcodec.compress(PICTURE.crop((0, 0, 32, 32)), **small))  # type: ignore[arg-type]
    with pytest.raises(FormatError, match="changes of weights, which its model does not take"):
        vlcodec.decompress(picture_file.pack(replace(file, changes=b"\x7a")), device="cpu")


def test_damage_stays_in_its_band(made: bytes) -> None:
    data = bytearray(made)
    data[-40] ^= 1
    found = vlcodec.salvage(bytes(data), device="cpu")
    assert found.lost == (range(512, ROWS),)
    assert found.image.crop((0, 0, COLUMNS, 512)).tobytes() == PICTURE.crop((0, 0, COLUMNS, 512)).tobytes()


def test_efforts_that_there_are_not(tmp_path: Path) -> None:
    for effort in (0, 10):
        with pytest.raises(VlcodecError, match=f"effort is from 1 to 9, not {effort}"):
            vlcodec.compress(PICTURE, lossless=True, effort=effort)
    PICTURE.save(tmp_path / "a.png")
    assert run("compress", "a.png", "--lossless", "-e", "10", cwd=tmp_path).returncode == 2


def test_the_command_says_the_time_beforehand(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "a.png")
    ok("compress", "a.png", "--lossless", "--model", "photo", "-e", "9", "--verify", cwd=tmp_path)
    learned((tmp_path / "a.vlz").read_bytes())
    image = (tmp_path / "a.png").read_bytes()
    slow, quick = (expected_to_compress(image, lossless=True, effort=effort).seconds for effort in (9, 1))
    assert slow - quick == pytest.approx(24 * 0.175)


def test_a_file_is_never_larger_for_it(monkeypatch: pytest.MonkeyPatch, net: PhotoLatents) -> None:
    """Whatever is learned."""

    def learned(self: PhotoLatents, *_: Any) -> bytes:
        return pack_changes([RNG.integers(-60, 61, size) for size in sizes(self._pixels.coded(), self._factors)])

    monkeypatch.setattr(PhotoLatents, "learned", learned)
    files = [vlcodec.compress(PICTURE, lossless=True, effort=effort, **OPTIONS) for effort in (1, 2)]
    assert files[0] == files[1]
    assert adaptive.as_file_has_it(net, picture_file.unpack(files[1])) is net
