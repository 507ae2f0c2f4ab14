"""Files whose model has learned their picture."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import failure, ok, run
from PIL import Image

import vlcodec
from vlcodec import _shared, adaptive
from vlcodec.codec.errors import FormatError, VlcodecError
from vlcodec.codec.files import picture_file
from vlcodec.codec.files.picture_file import File
from vlcodec.estimates import expected_to_compress
from vlcodec.models import registry, zoo
from vlcodec.models.photo import adapting
from vlcodec.models.photo.adapted import adapted, count, pack_changes, unpack_changes
from vlcodec.models.photo.codec import PhotoLatents, PhotoModel

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
        for name, value in (("PATCH", 32), ("PATCHES", 2), ("RATE", 0.03)):
            patch.setattr(adapting, name, value)
        yield


@pytest.fixture(scope="module")
def made() -> bytes:
    """A file that holds what was learned."""
    return vlcodec.compress(PICTURE, lossless=True, effort=9, **OPTIONS)


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
    size = count(net._pixels.coded())
    changes = RNG.integers(-20, 21, size) * RNG.integers(0, 2, size)
    for some in (changes, changes * 0, np.clip(changes * 9, -127, 127)):
        assert np.array_equal(unpack_changes(pack_changes(some), size), some)
    with pytest.raises(FormatError, match="stack of changes of weights must be empty"):
        unpack_changes(pack_changes(changes) + b"\1", size)
    with pytest.raises(FormatError, match="with a scale of 200: it must be at most 191"):
        unpack_changes(b"\xc8" + pack_changes(changes)[1:], size)


def test_without_changes_a_network_is_what_it_was(net: PhotoLatents) -> None:
    coded = net._pixels.coded()
    same = adapted(coded, np.zeros(count(coded), np.int64))
    for (_, a), (_, b) in zip(coded.named_modules(), same.named_modules(), strict=True):
        if hasattr(a, "integers"):
            assert all(x.equal(y) for x, y in zip(a.integers(), b.integers(), strict=True))


def test_changes_that_leave_the_exact_range_are_refused(net: PhotoLatents) -> None:
    coded = net._pixels.coded()
    with pytest.raises(FormatError, match=r"changes of weights that layer .* does not take: a sum can reach"):
        adapted(coded, np.full(count(coded), 10**9))


@pytest.mark.parametrize("strip", [0, 1, 40])
def test_hostile_changes(strip: int, made: bytes) -> None:
    """Cut, or of another kind: one sentence."""
    file = learned(made)
    changes = file.changes[:-strip] if strip else b"\x7a"
    with pytest.raises(FormatError):
        vlcodec.decompress(picture_file.pack(replace(file, changes=changes)), device="cpu")


def test_a_file_without_bands_holds_none() -> None:
    file = picture_file.unpack(vlcodec.compress(PICTURE, quality=1, **OPTIONS))
    with pytest.raises(FormatError, match="changes of weights, and no pixels that were coded with them"):
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
    with pytest.raises(VlcodecError, match="effort is spent on lossless and near-lossless files"):
        vlcodec.compress(PICTURE, effort=2)
    PICTURE.save(tmp_path / "a.png")
    said = failure("compress", "a.png", "-e", "5", cwd=tmp_path, code=2)
    assert "--effort is spent on --lossless and --near-lossless files" in said
    assert run("compress", "a.png", "--lossless", "-e", "10", cwd=tmp_path).returncode == 2


def test_the_command_says_the_time_beforehand(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "a.png")
    ok("compress", "a.png", "--lossless", "--model", "photo", "-e", "9", "--verify", cwd=tmp_path)
    learned((tmp_path / "a.vlz").read_bytes())
    image = (tmp_path / "a.png").read_bytes()
    slow, quick = (expected_to_compress(image, lossless=True, effort=effort).seconds for effort in (9, 1))
    assert slow - quick == pytest.approx(24 * 0.35)


def test_a_file_is_never_larger_for_it(monkeypatch: pytest.MonkeyPatch, net: PhotoLatents) -> None:
    """Whatever is learned."""
    size = count(net._pixels.coded())
    monkeypatch.setattr(PhotoLatents, "learned", lambda *_: pack_changes(RNG.integers(-60, 61, size)))
    files = [vlcodec.compress(PICTURE, lossless=True, effort=effort, **OPTIONS) for effort in (1, 2)]
    assert files[0] == files[1]
    assert adaptive.as_file_has_it(net, picture_file.unpack(files[1])) is net
