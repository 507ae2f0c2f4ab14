"""Pictures of which every level is within some levels of the original."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import ok, run
from PIL import Image

import vlcodec
from vlcodec.codec.errors import FormatError, ModelError
from vlcodec.codec.interface import Bytes

NOISE = np.random.default_rng(3)
COLOURS: Bytes = (np.indices((40, 33)).sum(0)[..., None] * 3 + NOISE.integers(0, 40, (40, 33, 3))).astype(np.uint8)
PICTURE = Image.fromarray(COLOURS)
OPTIONS: dict[str, Any] = {"model": "photo", "device": "cpu"}


def off(a: Image.Image, b: Image.Image) -> int:
    """The largest difference of two pictures' levels."""
    assert (a.mode, a.size) == (b.mode, b.size)
    return int(np.abs(np.asarray(a).astype(int) - np.asarray(b)).max())


@pytest.mark.parametrize("picture", [PICTURE, PICTURE.convert("L")], ids=["rgb", "grey"])
def test_every_level_is_as_near_as_asked(picture: Image.Image) -> None:
    exact = vlcodec.compress(picture, lossless=True, **OPTIONS)
    sizes = [len(exact)]
    for near in (1, 2, 6, 63):
        data = vlcodec.compress(picture, near_lossless=near, **OPTIONS)
        assert data == vlcodec.compress(picture, near_lossless=near, lossless=True, **OPTIONS)
        back = vlcodec.decompress(data, device="cpu")
        assert 0 < off(back, picture) <= near
        about = vlcodec.info(data)
        assert (about["lossless"], about["near_lossless"], about["quality"]) == (False, near, 1)
        sizes.append(len(data))
    assert sizes == sorted(sizes, reverse=True)
    assert "near_lossless" not in vlcodec.info(exact)


def test_its_preview_is_that_of_a_lossless_file() -> None:
    near = vlcodec.compress(PICTURE, near_lossless=5, quality=3, **OPTIONS)
    exact = vlcodec.compress(PICTURE, lossless=True, quality=3, **OPTIONS)
    images = [vlcodec.decompress(data, decode="mean", device="cpu") for data in (near, exact)]
    assert images[0] == images[1]
    front = vlcodec.decompress(near[: vlcodec.info(near)["preview"]], front=True, decode="mean", device="cpu")
    assert front == images[0]


def test_alpha_and_metadata_come_back_exactly() -> None:
    alpha = Image.fromarray(NOISE.integers(0, 256, (40, 33), dtype=np.uint8))
    picture = PICTURE.copy()
    picture.putalpha(alpha)
    picture.info["dpi"] = (300, 300)
    back = vlcodec.decompress(vlcodec.compress(picture, near_lossless=2, **OPTIONS), device="cpu")
    assert back.getchannel("A").tobytes() == alpha.tobytes()
    assert off(back, picture) == 2


def test_a_transparent_colour_becomes_alpha() -> None:
    picture = PICTURE.copy()
    picture.info["transparency"] = tuple(int(level) for level in COLOURS[4, 4])
    back = vlcodec.decompress(vlcodec.compress(picture, near_lossless=2, **OPTIONS), device="cpu")
    assert back.mode == "RGBA"
    assert back.getchannel("A").tobytes() == picture.convert("RGBA").getchannel("A").tobytes()
    assert off(back.convert("RGB"), PICTURE) <= 2


def test_16_bits_are_rounded_to_8() -> None:
    deep = COLOURS[..., 0].astype(np.uint16) * 257
    back = vlcodec.decompress(vlcodec.compress(deep, near_lossless=1, **OPTIONS), device="cpu")
    assert off(back, Image.fromarray(COLOURS[..., 0])) == 1


def test_16_bits_are_verified_as_they_were_rounded(tmp_path: Path) -> None:
    Image.fromarray(COLOURS[..., 0].astype(np.uint16) * 256 + 200).save(tmp_path / "a.png")
    ok("compress", "a.png", "--near-lossless", "1", "--model", "photo", "--verify", cwd=tmp_path)


def test_what_is_smaller_without_a_loss_is_kept_so() -> None:
    flat = Image.new("P", (64, 64))
    assert vlcodec.info(vlcodec.compress(flat, near_lossless=2))["lossless"]


def test_damage_stays_in_its_band() -> None:
    data = bytearray(vlcodec.compress(PICTURE.resize((24, 600)), near_lossless=2, **OPTIONS))
    data[-40] ^= 1
    with pytest.raises(FormatError, match="checksum mismatch"):
        vlcodec.decompress(bytes(data), device="cpu")
    found = vlcodec.salvage(bytes(data), device="cpu")
    assert found.lost == (range(512, 600),)
    assert off(found.image.crop((0, 0, 24, 512)), PICTURE.resize((24, 600)).crop((0, 0, 24, 512))) == 2


def test_the_ledger_adds_up() -> None:
    report = vlcodec.rate(PICTURE, near_lossless=2, samples=2, device="cpu")
    data = vlcodec.compress(PICTURE, near_lossless=2, **OPTIONS)
    assert report.lossless_bytes == len(data)
    assert report.elbo < 8 * len(data) <= 1.001 * report.elbo + 8 * 40
    assert report.likelihood is not None
    assert report.likelihood == pytest.approx(report.elbo, rel=1e-3)
    with pytest.raises(ModelError, match="near-lossless files need a model of levels"):
        vlcodec.rate(PICTURE.crop((0, 0, 28, 28)), model="vlae-mnist", near_lossless=2)
    with pytest.raises(ModelError, match="of single pictures, which vapnev-cifar10-13 is not"):
        vlcodec.rate(PICTURE.crop((0, 0, 32, 32)), model="vapnev-cifar10", near_lossless=2)


def test_small_pictures_of_colour_too() -> None:
    picture = PICTURE.crop((0, 0, 32, 32))
    for model in ("vlae-cifar10", "dvaepp-cifar10"):
        back = vlcodec.decompress(vlcodec.compress(picture, model=model, near_lossless=3, device="cpu"), device="cpu")
        assert 0 < off(back, picture) <= 3


@pytest.mark.parametrize("model", ["vlae-mnist", "agave-cifar10-6", "photo-8", "dvaepp-mnist"])
def test_models_without_levels_and_old_ones_refuse(model: str) -> None:
    with pytest.raises(ModelError, match="near-lossless files need a model of levels that writes version 2"):
        vlcodec.compress(PICTURE.crop((0, 0, 28, 28)), model=model, near_lossless=1)


@pytest.mark.parametrize("near", [-1, 64])
def test_how_near(near: int) -> None:
    with pytest.raises(FormatError, match=f"levels that a pixel may be off is {near}: it must be from 0 to 63"):
        vlcodec.compress(PICTURE, near_lossless=near)


def test_the_command(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "a.png")
    said = ok("compress", "a.png", "--near-lossless", "2", "--model", "photo", "--verify", cwd=tmp_path)
    assert "within 2 levels" in said
    assert "bits" in ok("rate", "a.png", "--near-lossless", "2", cwd=tmp_path)
    done = run("rate", "a.png", "--near-lossless", "2", "--html", "-", cwd=tmp_path)
    assert b"not with --near-lossless" in done.stderr
    ok("decompress", "a.vlz", "-o", "b.png", cwd=tmp_path)
    assert off(Image.open(tmp_path / "b.png"), PICTURE) == 2


@pytest.mark.parametrize("other", ["--lossless", "--lossy", "--size 900", "--psnr 40"])
def test_options_that_exclude_it(other: str, tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "a.png")
    done = run("compress", "a.png", "--near-lossless", "2", *other.split(), cwd=tmp_path)
    assert done.returncode == 2
    assert b"exclude each other" in done.stderr
