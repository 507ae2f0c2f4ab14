"""Maps of bits, comparisons, and the page: what they show is what the files hold."""

import io
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import vlcodec
from vlcodec.codec.ledger.bit_map import bright, coloured

Photograph = Callable[[str, int, int], Image.Image]


@pytest.fixture(scope="module")
def picture(photograph: Photograph) -> Image.Image:
    return photograph("astronaut", 40, 56)


# ---- maps


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_map_adds_up_to_the_ledger(picture: Image.Image, mode: str) -> None:
    image = picture.convert(mode)
    bits, report = vlcodec.bit_map(image), vlcodec.rate(image)
    assert bits.shape == (40, 56)
    assert (bits > 0).all()
    assert bits.sum() == pytest.approx(report.pixels - report.side_information, abs=1e-6 * report.pixels)


def test_a_map_of_several_bands(tiny_bands: Image.Image) -> None:
    bits, report = vlcodec.bit_map(tiny_bands, jobs=2), vlcodec.rate(tiny_bands)
    assert bits.shape == (600, 3)
    assert bits.sum() == pytest.approx(report.pixels - report.side_information, abs=1e-6 * report.pixels)


@pytest.fixture
def tiny_bands() -> Image.Image:
    """Two bands of few pixels."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (600, 3, 3), np.uint8))


def test_a_map_shows_where_a_picture_is_hard() -> None:
    pixels = np.full((32, 64), 128, np.uint8)
    pixels[:, 32:] = np.random.default_rng(0).integers(0, 256, (32, 32))
    bits = vlcodec.bit_map(pixels)
    assert bits[:, 34:].mean() > 4 * bits[:, :30].mean()


@pytest.mark.parametrize("model", ["vlae-mnist", "dvaepp-mnist"])
def test_a_map_of_black_and_white(model: str) -> None:
    pixels = np.zeros((28, 28), np.uint8)
    pixels[6:22, 12:16] = 255
    bits = vlcodec.bit_map(pixels, model=model)
    assert bits.sum() == pytest.approx(vlcodec.rate(pixels, model=model).pixels)


def test_a_model_of_archives_has_no_map() -> None:
    with pytest.raises(vlcodec.ModelError, match="archives alone"):
        vlcodec.bit_map(np.zeros((32, 32, 3), np.uint8), model="vapnev-cifar10")


def test_colours_are_brighter_for_more_bits() -> None:
    found = coloured(np.linspace(-1, 12, 200)[None], 10.0)[0].astype(int).sum(1)
    assert (np.diff(found) >= 0).all()
    assert (found[0], found[-1]) == (4, 752)
    assert coloured(np.zeros((2, 3)), 0.0).shape == (2, 3, 3)
    assert bright(np.arange(1000.0)) == pytest.approx(994.0, abs=0.1)


# ---- comparisons


def test_identical_pictures(picture: Image.Image) -> None:
    data = vlcodec.compress(picture, lossless=True)
    found = vlcodec.compare(picture, data)
    assert (found.identical, found.differing, found.largest, found.psnr_db) == (True, 0, 0, math.inf)
    assert found.to_dict()["psnr_db"] is None
    assert "identical  yes" in found.table()


def test_pictures_that_differ(tmp_path: Path) -> None:
    a = np.full((10, 20, 3), 100, np.uint8)
    b = a.copy()
    b[0, :5, 1] += 7
    Image.fromarray(b).save(tmp_path / "b.png")
    found = vlcodec.compare(a, tmp_path / "b.png")
    assert (found.identical, found.differing, found.largest, found.ms_ssim) == (False, 0.025, 7, None)
    assert found.psnr_db == pytest.approx(10 * math.log10(255**2 / (5 * 49 / 600)))
    assert "2.50 % of the pixels, by 7 levels at most" in found.table()


def test_large_pictures_have_ms_ssim(photograph: Photograph) -> None:
    a = photograph("astronaut", 176, 180)
    assert vlcodec.compare(a, a).ms_ssim == pytest.approx(1)
    assert "MS-SSIM" in vlcodec.compare(a, a).table()


def test_pictures_of_different_sizes_are_refused(picture: Image.Image) -> None:
    with pytest.raises(vlcodec.ImageError, match="56 x 40 and 40 x 56: only those of one size"):
        vlcodec.compare(picture, picture.rotate(90, expand=True))


def test_alpha_is_a_fourth_channel() -> None:
    icon = Image.new("RGBA", (12, 9), (10, 20, 30, 128))
    data = vlcodec.compress(icon, lossless=True)
    found = vlcodec.compare(icon, data)
    assert (found.identical, found.mode) == (True, "RGBA")
    assert "identical  yes, as RGBA" in found.table()
    opaque = vlcodec.compare(icon, icon.convert("RGB"))
    assert (opaque.identical, opaque.largest) == (False, 127)
    assert opaque.psnr_db == pytest.approx(10 * math.log10(255**2 / (127**2 / 4)))
    clear = icon.quantize(2)
    assert vlcodec.compare(clear, clear.convert("RGBA")).identical
    assert vlcodec.compare(Image.new("1", (3, 3), 1), Image.new("RGB", (3, 3), "white")).mode == "RGB"


def test_16_bits_are_compared() -> None:
    deep = np.arange(108, dtype=np.uint16).reshape(9, 12) * 601
    data = vlcodec.compress(deep, lossless=True)
    assert vlcodec.compare(deep, data).identical
    near = deep.copy()
    near[0, 0] += 1
    found = vlcodec.compare(near, data)
    assert (found.identical, found.largest) == (False, 1)
    assert found.psnr_db == pytest.approx(10 * math.log10(65535**2 * 108))
    eight = np.arange(108, dtype=np.uint8).reshape(9, 12)
    assert vlcodec.compare(eight, eight.astype(np.uint16) * 257).identical


def test_frames_are_not_compared() -> None:
    out = io.BytesIO()
    Image.new("L", (9, 9)).save(out, "GIF", save_all=True, append_images=[Image.new("L", (9, 9), 90)])
    for source in (out.getvalue(), vlcodec.compress(out.getvalue())):
        with pytest.raises(vlcodec.ImageError, match="2 frames or pages"):
            vlcodec.compare(np.zeros((9, 9), np.uint8), source)


# ---- the page


@pytest.fixture(scope="module")
def page() -> str:
    pixels = np.zeros((28, 28), np.uint8)
    pixels[6:22, 12:16] = 255
    return vlcodec.rate_page(pixels, model="vlae-mnist", name="<script>alert(1)</script>")


def held(page: str) -> dict[str, Any]:
    """What a page holds."""
    (line,) = re.findall(r"^const report = (.*);$", page, re.MULTILINE)
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_page_asks_for_nothing(page: str) -> None:
    assert not re.findall(r"(?:src|href)=|https?:|url\(|@import", page)


def test_names_on_a_page_are_text(page: str) -> None:
    assert page.count("<script>") == page.count("</script>") == 1
    assert held(page)["name"] == "<script>alert(1)</script>"


def test_a_page_holds_what_files_hold(page: str) -> None:
    pixels = np.zeros((28, 28), np.uint8)
    pixels[6:22, 12:16] = 255
    found, data = held(page), vlcodec.compress(pixels, model="vlae-mnist")
    assert found["ledger"] == vlcodec.rate(pixels, model="vlae-mnist").table()
    *_, shot = found["shots"]
    assert len(found["shots"]) == 3
    assert shot["bytes"] == len(data)
    assert list(shot["pictures"])[:4] == ["sample", "mean", "JPEG", "WebP"]
    mean = np.asarray(vlcodec.decompress(data, decode="mean")).astype(float)
    assert shot["pictures"]["mean"]["psnr"] == pytest.approx(10 * math.log10(255**2 / np.square(mean - pixels).mean()))
    assert not shot["pictures"]["JPEG"]["fits"]  # nothing of JPEG's is so small
    assert shot["pictures"]["JPEG"]["bytes"] > len(data)
