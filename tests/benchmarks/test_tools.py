"""What benchmarks measure with, and other codecs: were these wrong, every figure in the README would be."""

import importlib
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from vlcodec.models import registry

common, memory, peers, lossless = map(importlib.import_module, ("common", "memory", "peers", "lossless"))

JPEG = peers.lossy()["JPEG"]


def picture(width: int = 192, height: int = 176, mode: str = "RGB") -> Image.Image:
    made: Image.Image = memory.photo_like(width, height).convert(mode)
    return made


def noisy(image: Image.Image, sigma: float) -> Image.Image:
    pixels = np.asarray(image) + np.random.default_rng(1).normal(0, sigma, np.asarray(image).shape)
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


# ---- quality


def test_psnr_is_that_of_the_definition() -> None:
    grey = Image.new("RGB", (4, 3), (100, 100, 100))
    assert common.psnr(grey, grey) == math.inf
    assert common.psnr(grey, Image.new("RGB", (4, 3), (110, 110, 110))) == pytest.approx(28.1308, abs=1e-4)
    assert common.psnr(Image.new("L", (2, 2), 0), Image.new("L", (2, 2), 255)) == 0


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_ms_ssim_is_one_for_equal_pictures_and_falls_with_noise(mode: str) -> None:
    image = picture(mode=mode)
    values = [common.ms_ssim(image, noisy(image, sigma)) for sigma in (0, 5, 20, 80)]
    assert values[0] == pytest.approx(1)
    assert values == sorted(values, reverse=True)
    assert 0 <= values[-1] < 0.9


def test_ms_ssim_sees_luma_alone() -> None:
    image = np.asarray(picture()).astype(int)
    same_luma = image.clip(60, 180) + np.array([0, 10, -51])  # 0.587 * 10 - 0.114 * 51 is nearly 0
    a, b = (Image.fromarray(x.astype(np.uint8)) for x in (image.clip(60, 180), same_luma))
    assert common.ms_ssim(a, b) == pytest.approx(1, abs=1e-4)


def test_ms_ssim_of_a_constant_shift_is_the_luminance_term_of_the_coarsest_scale() -> None:
    a, b = Image.new("L", (176, 176), 100), Image.new("L", (176, 176), 120)
    c1 = 2.55**2
    expected = ((2 * 100 * 120 + c1) / (100**2 + 120**2 + c1)) ** common.likeness.SCALE_WEIGHTS[-1]
    assert common.ms_ssim(a, b) == pytest.approx(expected)


def test_ms_ssim_refuses_what_has_no_five_scales() -> None:
    with pytest.raises(ValueError, match="at least 176"):
        common.ms_ssim(picture(200, 175), picture(200, 175))


# ---- other codecs


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_lossless_files_of_the_others_are_lossless(mode: str, tmp_path: Path) -> None:
    image = picture(40, 30, mode)
    for name in ("PNG", "WebP"):
        (tmp_path / name).write_bytes(peers.lossless()[name](image))
        with Image.open(tmp_path / name) as back:
            assert back.convert(mode).tobytes() == image.tobytes()


@pytest.mark.parametrize("name", ["JPEG", "WebP"])
@pytest.mark.parametrize("size", [3000, 5000, 20000, 10**6])
def test_the_best_fit_is_within_the_size_and_nothing_better_is(name: str, size: int) -> None:
    codec, image = peers.lossy()[name], picture()
    best = peers.fit(codec, image, size)
    assert best.fits
    assert len(best.data) <= size
    assert best.data == codec.encode(image, best.setting)
    assert best.setting == codec.settings[-1] or len(codec.encode(image, best.setting + 1)) > size


def test_a_codec_that_cannot_go_so_low_shows_its_lowest() -> None:
    best = peers.fit(JPEG, picture(), 100)
    assert (best.fits, best.setting) == (False, 1)
    assert len(best.data) > 100


def test_without_its_tools_jpeg_xl_is_left_out_with_a_note(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "_has_jpeg_xl", peers._has_jpeg_xl.__wrapped__)
    monkeypatch.setenv("PATH", os.devnull)
    avif = ["AVIF"] if features.check("avif") else []
    assert [*peers.lossless(), *peers.lossy()] == ["PNG", "WebP", "JPEG", "WebP", *avif]
    assert peers.versions()["cjxl"] is None
    assert "JPEG XL is left out" in capsys.readouterr().err


# ---- pictures and results


def test_pictures_are_those_of_the_folders_or_of_the_list(tmp_path: Path) -> None:
    for name in ("b.png", "a.WEBP", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in common.pictures([tmp_path])] == ["a.WEBP", "b.png"]
    names = tmp_path / "notes.txt"
    names.write_text("b.png\n")
    assert [path.name for path in common.pictures([tmp_path], names)] == ["b.png"]
    names.write_text("b.png\nc.png\n")
    with pytest.raises(SystemExit, match=r"none of the folders: c\.png"):
        common.pictures([tmp_path], names)


def test_results_name_machine_and_model(tmp_path: Path) -> None:
    common.keep(tmp_path / "new" / "a.json", {"value": 1 / 3})
    kept = json.loads((tmp_path / "new" / "a.json").read_text())
    assert kept["value"] == 0.333333
    entry = registry.by_name("photo")
    assert kept["model"] == {"name": "photo", "number": entry.number, "sha256": entry.sha256}
    assert {"cpu", "cores", "torch", "threads"} <= kept["hardware"].keys()


def test_a_table_is_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    common.show(["a", "b"], [["1", "2"]])
    assert capsys.readouterr().out == "| a | b |\n| --- | ---: |\n| 1 | 2 |\n"
