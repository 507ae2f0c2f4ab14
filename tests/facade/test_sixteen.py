"""Pictures of 16 bits: every bit comes back, from the command as well, and no file is larger than a PNG of 16 bits."""

import io
import json
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import ok, run
from PIL import Image

import vlcodec
import vlcodec.pillow
from vlcodec import facade
from vlcodec.codec.errors import FormatError, ImageError
from vlcodec.codec.files import composite_file, picture_file, stored_file
from vlcodec.codec.files.chunks import ICC
from vlcodec.codec.sixteen import EXTRA, Levels
from vlcodec.codec.sixteen_files import png, tiff
from vlcodec.codec.whole import open_whole
from vlcodec.models.photo.codec import golden_pictures

ALLOWED = 16  # bytes more than the PNG
PROFILE = ((ICC, bytes(range(100))),)
PHOTO = np.tile(golden_pictures()[0], (2, 2, 1))[:10, :12].astype(np.uint16)


def photograph(channels: int) -> Levels:
    """A photograph of the golden vector's, 10 x 12, with low bytes of its own."""
    noise = np.random.default_rng(0).integers(0, 900, PHOTO.shape)
    levels: Levels = np.minimum(PHOTO * 250 + noise, 65535).astype(np.uint16)
    if channels < 3:
        levels = levels[..., :1]
    if channels % 2 == 0:
        alpha = np.linspace(0, 65535, 120).reshape(10, 12, 1).astype(np.uint16)
        return np.concatenate([levels, alpha], axis=2)
    return levels


def flat() -> Levels:
    levels = np.full((24, 28, 3), 4660, np.uint16)
    levels[5:15, 8:20] = (60000, 5, 301)
    return levels


PICTURES = {
    "grey": photograph(1),
    "grey with alpha": photograph(2),
    "colour": photograph(3),
    "colour with alpha": photograph(4),
    "8 bits": PHOTO * 257,
    "flat": flat(),
    "noise": np.random.default_rng(1).integers(0, 65536, (3, 4, 3)).astype(np.uint16),
    "a dot": np.full((1, 1, 3), 4660, np.uint16),
}
every = pytest.mark.parametrize("name", PICTURES)


@pytest.fixture(scope="module")
def coded() -> dict[str, bytes]:
    """Files of the model, whatever is smaller."""
    return {
        name: vlcodec.compress(levels, lossless=True, model="photo")
        for name, levels in PICTURES.items()
        if name != "flat"
    }


def squeezed(levels: Levels) -> Levels:
    return levels[..., 0] if levels.shape[2] == 1 else levels


@every
def test_lossless_gives_every_bit_back_and_is_no_larger_than_a_png(name: str) -> None:
    levels = PICTURES[name]
    for source in (png(levels, PROFILE), *([tiff(levels, PROFILE)] if name == "flat" else [])):
        made = vlcodec.compress(source, lossless=True)
        back = vlcodec.decompress_array(made)
        assert back.dtype == np.uint16
        np.testing.assert_array_equal(back, squeezed(levels))
        assert len(made) <= len(png(levels, PROFILE)) + ALLOWED
        facade.verify(made, source)
        about = facade.info(made)
        assert (about["bits"], about["lossless"], about["width"]) == (16, True, levels.shape[1])
        assert sum(size for part, size in about["bytes"].items() if part != "file") == len(made)
    assert open_whole(png(levels, PROFILE)).metadata == PROFILE
    with pytest.raises(FormatError, match="verification failed"):
        facade.verify(made, png(levels ^ np.uint16(1), PROFILE))


def test_what_each_file_is() -> None:
    kinds = {
        name: facade.info(vlcodec.compress(PICTURES[name], lossless=True)) for name in ("colour", "flat", "8 bits")
    }
    assert kinds["colour"]["model"] == "photo"
    assert kinds["flat"]["stored"] == "PNG"
    assert kinds["8 bits"]["bytes"]["low bytes"] <= 8
    with_profile = vlcodec.compress(tiff(PICTURES["flat"], PROFILE), lossless=True)
    assert composite_file.is_composite(with_profile)
    own = png(PICTURES["flat"])
    assert stored_file.unpack_stored(vlcodec.compress(own, lossless=True)).data == own


def test_files_of_the_model_give_every_bit_back(coded: dict[str, bytes]) -> None:
    for name, data in coded.items():
        np.testing.assert_array_equal(vlcodec.decompress_array(data), squeezed(PICTURES[name]))
        facade.verify(data, png(PICTURES[name]))


def test_pillow_shows_grey_and_refuses_the_rest(coded: dict[str, bytes], tmp_path: Path) -> None:
    image = vlcodec.decompress(coded["grey"])
    assert (image.mode, image.size) == ("I;16", (12, 10))
    np.testing.assert_array_equal(np.asarray(image), PICTURES["grey"][..., 0])
    for source in (image, np.asarray(image)):
        assert vlcodec.compress(source, lossless=True, model="photo") == coded["grey"]
    rule = "Pillow has no mode for 16 bits of colours or alpha: vlcodec.decompress_array gives them"
    for name in ("grey with alpha", "colour", "colour with alpha"):
        with pytest.raises(ImageError, match=rule):
            vlcodec.decompress(coded[name])
        with Image.open(io.BytesIO(coded[name])) as opened, pytest.raises(OSError, match=rule):
            opened.load()
    image.save(tmp_path / "a.vlz", lossless=True)
    with Image.open(tmp_path / "a.vlz") as opened:
        assert opened.mode == "I;16"
        assert opened.tobytes() == image.tobytes()
    with Image.open(io.BytesIO(coded["grey"])) as opened:
        opened.draft(None, None)
        assert opened.mode == "L"
        opened.load()
        assert opened.mode == "L"


@pytest.mark.parametrize("name", ["grey", "colour with alpha", "flat"])
def test_a_preview_has_8_bits(name: str, coded: dict[str, bytes]) -> None:
    data = coded.get(name) or vlcodec.compress(PICTURES[name], lossless=True)
    image = vlcodec.decompress(data, decode="mean")
    high = (PICTURES[name] >> 8).astype(np.uint8)
    assert image.mode == ("L", "LA", "RGB", "RGBA")[high.shape[2] - 1]
    assert np.abs(np.asarray(image).reshape(high.shape)[..., 0].astype(int) - high[..., 0]).mean() < 20
    if name in coded:
        front = vlcodec.decompress(data[: picture_file.preview_size(data)], decode="mean", front=True)
        assert front.mode == ("L" if name == "grey" else "RGB")


def test_lossy_files_have_the_nearest_8_bits() -> None:
    for name in ("grey", "colour with alpha"):
        data = png(PICTURES[name], PROFILE)
        made = vlcodec.compress(data, quality=1)
        eight = open_whole(PICTURES[name]).rounded
        assert "bits" not in facade.info(made)
        assert vlcodec.decompress_array(made).dtype == np.uint8
        alpha = open_whole(vlcodec.decompress(made)).alpha
        np.testing.assert_array_equal(alpha, eight.alpha)
        facade.verify(made, data)
    made = vlcodec.compress_to(PICTURES["colour"], size=300)
    assert vlcodec.decompress_array(made).dtype == np.uint8


@pytest.mark.parametrize("model", ["photo-8", "agave-cifar10"])
def test_models_of_8_bits_say_so(model: str) -> None:
    levels = np.zeros((32, 32, 3), np.uint16)
    with pytest.raises(ImageError, match=f"model {model}.* takes pictures of 8 bits alone: this one has 16"):
        vlcodec.compress(levels, model=model, lossless=True)
    assert facade.info(vlcodec.compress(levels, model=model))["mode"] in ("RGB", "L")


def test_what_takes_8_bits_alone_refuses_16() -> None:
    data = png(PICTURES["colour"])
    for call in (vlcodec.rate, vlcodec.bit_map, lambda image: vlcodec.compress_archive([image, image])):
        with pytest.raises(ImageError, match="more than 8 bits per channel"):
            call(data)


def test_salvage_gives_the_high_bytes(coded: dict[str, bytes]) -> None:
    found = facade.salvage(coded["colour"])
    np.testing.assert_array_equal(np.asarray(found.image), PICTURES["colour"] >> 8)


def test_arrays_of_pictures_of_8_bits() -> None:
    rgb = PHOTO.astype(np.uint8)
    clear = Image.fromarray(rgb[..., 0])
    clear.info["transparency"] = int(rgb[3, 3, 0])
    pictures = {
        "L": Image.fromarray(rgb[..., 0]),
        "RGB": Image.fromarray(rgb),
        "P": Image.fromarray(rgb).quantize(9),
        "1": Image.fromarray(rgb[..., 0] > 99),
        "RGBA": Image.fromarray(np.dstack([rgb, rgb[..., 0]])),
    }
    for mode, image in pictures.items():
        found = vlcodec.decompress_array(vlcodec.compress(image, lossless=True))
        wanted = np.asarray(image.convert({"P": "RGB", "1": "L"}.get(mode, mode)))
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, wanted)
    assert vlcodec.decompress_array(vlcodec.compress(clear, lossless=True)).shape == (10, 12, 2)


def test_an_animation_is_an_array_by_frames() -> None:
    out = io.BytesIO()
    first = Image.new("RGB", (8, 6), (255, 0, 0))
    first.save(out, "WEBP", save_all=True, append_images=[Image.new("RGB", (8, 6), (0, 255, 0))], lossless=True)
    made = vlcodec.compress(out.getvalue())
    with pytest.raises(ImageError, match="an array holds one picture of it, which frame chooses"):
        vlcodec.decompress_array(made)
    assert vlcodec.decompress_array(made, frame=2).shape == (6, 8, 4)


# ---- the command ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["grey", "colour with alpha", "flat"])
def test_the_command_writes_files_of_16_bits(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(PICTURES[name], PROFILE))
    assert "16 bits" in ok("compress", "--lossless", "--verify", "a.png", cwd=tmp_path)
    assert "  bits         16\n" in ok("info", "a.vlz", cwd=tmp_path)
    for target in ("b.png", "b.tif"):
        said = json.loads(ok("decompress", "a.vlz", "-o", target, "--json", cwd=tmp_path))
        assert (said["bits"], said["width"]) == (16, PICTURES[name].shape[1])
        whole = open_whole(tmp_path / target)
        np.testing.assert_array_equal(whole.deep, PICTURES[name])
        assert whole.metadata == PROFILE
    assert ", 16 bits, " in ok("decompress", "a.vlz", cwd=tmp_path)
    done = run("decompress", "a.vlz", "-o", "b.webp", cwd=tmp_path)
    assert (done.returncode, (tmp_path / "b.webp").exists()) == (1, False)
    assert done.stderr == b"vlcodec: a.vlz: a WebP holds 8 bits alone: 16 bits are written as PNG or TIFF\n"
    ok("decompress", "a.vlz", "--decode", "mean", "-o", "mean.webp", cwd=tmp_path)
    assert open_whole(tmp_path / "mean.webp").low is None


def test_the_command_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    (tmp_path / "a.png").write_bytes(png(PICTURES["colour"]))
    done = run("compress", "--lossless", "a.png", cwd=tmp_path)
    assert (done.returncode, done.stderr.decode()) == (1, f"vlcodec: a.png: {EXTRA}\n")


# ---- hostile files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["cut", "kind", "checksum", "more", "of other channels"])
def test_low_bytes_that_are_damaged(change: str, coded: dict[str, bytes]) -> None:
    file = picture_file.unpack(coded["noise"])
    low = {
        "cut": file.low[:-1],
        "kind": b"\x07" + file.low[1:],
        "checksum": file.low[:1] + b"\0" + file.low[2:],
        "more": file.low + b"\0",
        "of other channels": picture_file.unpack(coded["grey"]).low,
    }[change]
    with pytest.raises(FormatError, match=r"low bytes|planes|plane"):
        vlcodec.decompress_array(picture_file.pack(replace(file, low=low)))
    assert vlcodec.decompress(picture_file.pack(replace(file, low=low)), decode="mean").mode == "RGB"


def test_low_bytes_stand_in_lossless_pictures_alone(coded: dict[str, bytes]) -> None:
    file = picture_file.unpack(coded["grey"])
    rule = "low bytes of 16-bit levels must stand in a lossless picture's file without a palette"
    wrong: list[dict[str, Any]] = [
        {"palette": b"\0"},
        {"header": replace(file.header, lossless=False), "bands": ()},
    ]
    for fields in wrong:
        with pytest.raises(FormatError, match=rule):
            replace(file, **fields)
    with pytest.raises(FormatError, match="version 1 holds one group of latents and pixels alone"):
        replace(file, header=replace(file.header, version=1))


def test_a_lossy_file_with_low_bytes_is_refused(coded: dict[str, bytes]) -> None:
    """Their chunk in the place of one of alpha, which a lossy file may have."""
    levels = PICTURES["grey with alpha"]
    eight = Image.fromarray((levels >> 8).astype(np.uint8)[..., 0])
    eight.putalpha(Image.fromarray((levels >> 8).astype(np.uint8)[..., 1]))
    data = bytearray(vlcodec.compress(eight, quality=1, model="photo-37"))
    at = data.index(bytes([16 << 1]), 11)  # the type of the last chunk
    data[at] = 20 << 1
    front = at + 1 + 2  # its length is a varint of 2 bytes
    from binascii import crc_hqx

    data[front : front + 2] = crc_hqx(bytes(data[:front]), 0xFFFF).to_bytes(2, "little")
    latents = picture_file.preview_size(bytes(data))
    assert latents is not None
    data[latents - 4 : latents] = zlib.crc32(data[: latents - 4]).to_bytes(4, "little")
    data[-4:] = zlib.crc32(data[:-4]).to_bytes(4, "little")
    with pytest.raises(FormatError, match="must stand in a lossless picture's file"):
        vlcodec.decompress(bytes(data))
