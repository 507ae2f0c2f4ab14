"""Columns in, columns out: the files and pixels of one by one, whatever else is in the batch."""

import io
from functools import cache
from typing import Any
from unittest import mock

import numpy as np
import pytest
from batch.pictures import SMALL, picture
from compiled_loops import carrier
from PIL import Image

import vlcodec
from vlcodec.batch import CompressBatch, CompressOptions, DecompressBatch, DecompressOptions, RateBatch, columns, lanes
from vlcodec.codec.errors import FormatError, ModelError, VlcodecError
from vlcodec.models import registry, zoo
from vlcodec.models.lanes.layers import cores
from vlcodec.models.layers import settings

DIFFERENT = 7  # pictures; more are these again
SEED = 2**40 + 5


@cache
def alone(model: str, lossless: bool, number: int) -> bytes:
    """What one call makes of a picture."""
    return vlcodec.compress(one(model, number), model=model, lossless=lossless, seed=SEED, device="cpu", jobs=1)


def one(model: str, number: int) -> bytes:
    """A picture that a model takes."""
    if model == SMALL:
        return picture(number, grey=number % DIFFERENT == 5)
    out = io.BytesIO()
    disc = np.hypot(*np.mgrid[-14:14, -14:14]) < 6 + number
    Image.fromarray(255 * disc.astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def rows(model: str, count: int) -> list[bytes]:
    return [one(model, number % DIFFERENT) for number in range(count)]


def options(model: str = SMALL, **others: Any) -> CompressOptions:
    return CompressOptions(model=model, device="cpu", seed=SEED, **others)


def pixels(png: bytes) -> tuple[str, bytes]:
    image = Image.open(io.BytesIO(png))
    return image.mode, image.tobytes()


def check_as_alone(model: str, lossless: bool, count: int) -> None:
    """Files, and what they are decoded to, in every way: every pixel or a sample, another sample, the mean image."""
    made = CompressBatch(options(model, lossless=lossless))({"bytes": rows(model, count)})
    files = [alone(model, lossless, number % DIFFERENT) for number in range(count)]
    assert made["vlz"] == files
    assert made["error"] == [None] * count
    for decode, seed in ((None, None), ("sample", 9), ("mean", None)):
        asked: Any = {"decode": decode, "seed": seed}
        back = DecompressBatch(DecompressOptions(column="vlz", device="cpu", **asked))(made)
        wanted = {file: vlcodec.decompress(file, device="cpu", jobs=1, **asked) for file in set(files)}
        for file, png in zip(files, back["png"], strict=True):
            assert pixels(png) == (wanted[file].mode, wanted[file].tobytes())


@pytest.mark.parametrize("lossless", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("model", [pytest.param(SMALL, marks=pytest.mark.slow), "vlae-mnist"])
def test_lanes_make_what_each_makes_alone(model: str, lossless: bool) -> None:
    together = mock.Mock(side_effect=lanes.write)
    with mock.patch.object(lanes, "write", together):
        for count in (1, 2, 7):
            check_as_alone(model, lossless, count)
    assert {len(call.args[1]) for call in together.call_args_list} >= {2}


TAKERS = [entry for entry in registry.ENTRIES if not entry.retired and zoo.takes(entry).archives]


@pytest.mark.parametrize("entry", TAKERS, ids=lambda entry: f"{entry.name}-{entry.number}")
def test_every_model_of_archives_takes_lanes(entry: registry.Entry) -> None:
    """What the starter of an archive does is what `lanes` rely on."""
    model, out = f"{entry.name}-{entry.number}", list[bytes]()
    for golden in zoo.golden_pictures(entry)[:2]:
        file = io.BytesIO()
        Image.fromarray(golden[..., 0] if golden.shape[-1] == 1 else golden).save(file, "PNG")
        out.append(file.getvalue())
    for lossless in (False, True)[: 1 + zoo.takes(entry).alone]:
        made = CompressBatch(options(model, lossless=lossless))({"bytes": out})
        how: dict[str, Any] = {"model": model, "lossless": lossless, "seed": SEED, "device": "cpu", "jobs": 1}
        assert made["vlz"] == [vlcodec.compress(data, **how) for data in out]


@pytest.mark.slow
@pytest.mark.parametrize("numba", [False, True])
@pytest.mark.parametrize("lossless", [False, True])
def test_sixty_four_lanes_do_too(lossless: bool, numba: bool) -> None:
    with carrier(numba):
        check_as_alone(SMALL, lossless, 64)


@pytest.mark.slow
def test_no_more_lanes_than_a_device_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(columns.MOST_LANES, "cpu", 3)
    check_as_alone("vlae-mnist", True, 8)


def test_a_model_without_lanes() -> None:
    made = CompressBatch(options("photo", quality=2))({"bytes": [picture(i, 20 + i) for i in range(3)]})
    alone: dict[str, Any] = {"model": "photo", "quality": 2, "seed": SEED, "device": "cpu", "jobs": 1}
    for number, file in enumerate(made["vlz"]):
        wanted = vlcodec.compress(picture(number, 20 + number), **alone)
        assert file == wanted
    tiny = CompressBatch(options("photo", quality=0))({"bytes": [picture(0, 40)] * 2})
    assert tiny["vlz"] == [vlcodec.compress(picture(0, 40), quality=0, seed=SEED, device="cpu", jobs=1)] * 2
    back = DecompressBatch(DecompressOptions(column="vlz", device="cpu"))(tiny)
    assert pixels(back["png"][0])[1] == vlcodec.decompress(tiny["vlz"][0], device="cpu").tobytes()


def test_rates_are_those_of_one_by_one() -> None:
    digit = io.BytesIO()
    Image.fromarray(zoo.golden_pictures(registry.by_name("dvaepp-mnist"))[0, ..., 0]).save(digit, "PNG")
    groups = ("dvaepp-mnist", [digit.getvalue()] * 2)
    for model, given in ((SMALL, rows(SMALL, 7)), ("photo", [picture(0, 20)]), groups):
        made = RateBatch(options(model))({"bytes": given})
        for place, row in enumerate(given):
            report = vlcodec.rate(row, model=model, seed=SEED, device="cpu").to_dict()
            del report["groups"], report["parts"]
            assert {name: made[name][place] for name in report} == pytest.approx(report, nan_ok=True)


def test_what_fails_is_a_row() -> None:
    good = picture(0)
    deep = io.BytesIO()
    Image.fromarray(np.zeros((32, 32), np.uint16)).save(deep, "PNG")
    given = [good, b"", good[:90], None, deep.getvalue(), picture(1, 20), bytearray(picture(1)), "text"]
    made = CompressBatch(options())({"name": list("abcdefgh"), "bytes": given})
    assert made["name"] == list("abcdefgh")
    assert "bytes" not in made
    assert made["vlz"] == [alone(SMALL, False, 0), *[None] * 5, alone(SMALL, False, 1), None]
    assert [None if error is None else error[:24] for error in made["error"]] == [
        None,
        "no bytes: an empty file ",
        "damaged or cut short: th",
        "a row must hold the byte",
        "mode I;16 is not support",
        "model agave-cifar10 take",
        None,
        "a row must hold the byte",
    ]
    assert {made[name][1] for name in CompressBatch.columns} == {None}
    hurt = bytearray(alone(SMALL, True, 0))
    hurt[40] ^= 1
    back = DecompressBatch(DecompressOptions(device="cpu"))({"bytes": [bytes(hurt), alone(SMALL, True, 0), b"junk"]})
    assert [error is None for error in back["error"]] == [False, True, False]
    assert pixels(back["png"][1])[1] == Image.open(io.BytesIO(good)).tobytes()


def test_one_that_spoils_its_lanes_is_alone_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a net cannot do together is done one by one."""
    monkeypatch.setattr(lanes, "write", mock.Mock(side_effect=RuntimeError("no")))
    check_as_alone(SMALL, False, 3)
    bad = mock.Mock(side_effect=[RuntimeError("no"), FormatError("a rule"), MemoryError()])
    batch = CompressBatch(options())
    monkeypatch.setattr(batch, "_alone", bad)
    made = batch({"bytes": rows(SMALL, 3)})
    assert made["error"] == ["RuntimeError: no", "a rule", "not enough memory for a picture of this size"]


def test_a_lane_that_is_not_sound_is_found() -> None:
    """Of files whose checksums are right: a stack of another picture's, alone and among others."""
    from vlcodec.codec.files import picture_file

    one, other = (picture_file.unpack(alone(SMALL, True, number)) for number in (0, 1))
    mixed = picture_file.pack(type(one)(one.header, one.latents, other.bands))
    back = DecompressBatch(DecompressOptions(device="cpu"))({"bytes": [alone(SMALL, True, 0), mixed]})
    assert back["error"][0] is None
    assert "rows 0 to 31" in back["error"][1]
    assert back["png"][1] is None


def test_columns_say_what_they_are() -> None:
    file = alone(SMALL, True, 0)
    made = {name: found[0] for name, found in CompressBatch(options(lossless=True))({"bytes": [picture(0)]}).items()}
    assert made.pop("vlz") == file
    assert made.pop("bits_per_pixel") == 8 * len(file) / 1024
    parts = ("header_bits", "latents_written", "pixels_written")
    assert sum(made.pop(part) for part in parts) == 8 * len(file)
    assert made == {
        "width": 32,
        "height": 32,
        "channels": 3,
        "bytes_in": len(picture(0)),
        "bytes_out": len(file),
        "model": "agave-cifar10-41",
        "weights": "e98c",
        "codec": vlcodec.__version__,
        "error": None,
    }


@pytest.mark.parametrize("model", ["photo", SMALL])
def test_near_lossless_files_and_efforts_are_those_of_one_call(model: str) -> None:
    """Models of lanes included, which take such pictures one by one; and back, and their rates."""
    given = [picture(number) for number in (0, 1)]
    asked: dict[str, Any] = {"near_lossless": 2, "effort": 2}
    made = CompressBatch(options(model, **asked))({"bytes": given})
    wanted = [vlcodec.compress(each, model=model, seed=SEED, device="cpu", jobs=1, **asked) for each in given]
    assert made["vlz"] == wanted
    assert vlcodec.info(wanted[0])["near_lossless"] == 2
    back = DecompressBatch(DecompressOptions(device="cpu"))({"bytes": wanted})
    for one_back, original in zip(back["png"], given, strict=True):
        levels = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), int) for data in (one_back, original)]
        assert 0 < np.abs(levels[0] - levels[1]).max() <= 2
    rates = RateBatch(options(model, near_lossless=2))({"bytes": given})
    assert rates["elbo"] == [
        vlcodec.rate(each, model=model, near_lossless=2, seed=SEED, device="cpu").elbo for each in given
    ]
    with pytest.raises(VlcodecError, match="made with an effort of 1, not 3"):
        RateBatch(options(model, effort=3))


def test_what_fits_no_picture_is_refused_at_once() -> None:
    with pytest.raises(ModelError, match="unknown model"):
        CompressBatch(CompressOptions(model="nobody", device="cpu"))
    refused: list[tuple[dict[str, Any], str]] = [
        ({"quality": 5}, "has qualities 1 to 3, not 5"),
        ({"quality": 0, "lossless": True}, "has qualities 1 to 3, not 0"),
        ({"threshold": 9}, "a threshold is for models of black and white"),
        ({"model": "vapnev-cifar10", "lossless": True}, "lossless, it makes archives alone"),
        ({"model": "vlae-mnist", "near_lossless": 1}, "near-lossless files need a model of levels"),
    ]
    for wrong, rule in refused:
        with pytest.raises(ModelError, match=rule):
            CompressBatch(options(**wrong))
    with pytest.raises(FormatError, match="a pixel may be off is 64: it must be from 0 to 63"):
        CompressBatch(options(near_lossless=64))
    with pytest.raises(VlcodecError, match="effort is from 1 to 9, not 10"):
        CompressBatch(options(effort=10))
    with pytest.raises(FormatError, match="seed"):
        RateBatch(CompressOptions(model=SMALL, device="cpu", seed=-1))
    with pytest.raises(VlcodecError, match="decode is sample or mean"):
        DecompressOptions(decode="best")  # type: ignore[arg-type]
    with pytest.raises(VlcodecError, match="its bytes in a column 'bytes': it has image"):
        CompressBatch(options())({"image": [picture(0)]})


def test_threads_are_those_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(settings, "_LIMIT", [])
    before = torch.get_num_threads()
    try:
        CompressBatch(options(threads=3))
        assert torch.get_num_threads() == 3
        assert cores() <= 3
        CompressBatch(options(threads=1))
        assert cores() == 1
    finally:
        torch.set_num_threads(before)
