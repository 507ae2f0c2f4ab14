"""Benchmarks of photographs as whole scripts, on pictures too small to mean anything."""

import importlib
import json
import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import vlcodec
from vlcodec import _shared

common, lossless, lossy, peers = map(importlib.import_module, ("common", "lossless", "lossy", "peers"))
speed, rd, pace, growth, effort = map(importlib.import_module, ("speed", "rd", "pace", "growth", "effort"))
near_lossless, crops, memory = map(importlib.import_module, ("near_lossless", "crops", "memory"))
targets = importlib.import_module("targets")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one picture; the only other codecs are quick ones."""
    monkeypatch.setattr(peers, "_has_jpeg_xl", lambda: False)
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


def test_lossless(folder: Path, tmp_path: Path) -> None:
    memory.photo_like(24, 20).save(folder / "a.png")
    assert lossless.main([str(folder), "--out", str(tmp_path / "a.json"), "--device", "cpu"]) == 0
    [row] = json.loads((tmp_path / "a.json").read_text())["pictures"]
    assert row["identical"]
    assert row["within_bound"]
    assert row["bytes"]["vlcodec"] * 8 == pytest.approx(row["bits_per_dim"]["vlcodec"] * 24 * 20 * 3, abs=0.01)


def test_near_lossless(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without CharLS: what stands in for it makes files of a byte a level, one level off."""
    monkeypatch.setattr(near_lossless, "jpeg_ls_of", lambda levels, near: (levels.size, levels + (near > 0)))
    memory.photo_like(24, 20).save(folder / "a.png")
    command = [str(folder), "--levels", "2", "--out", str(tmp_path / "a.json")]
    assert near_lossless.main(command) == 0
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["pictures"][0]["off"] == {"vlcodec, 0": 0, "JPEG-LS, 0": 0, "vlcodec, 2": 2, "JPEG-LS, 2": 1}
    assert found["mean"]["vlcodec, 2"] < found["mean"]["vlcodec, 0"] < found["mean"]["JPEG-LS, 0"] == 8
    most = found["pictures"][0]["most_saved"]
    assert most["0"] == 0 < found["mean"]["vlcodec, 0"] - found["mean"]["vlcodec, 2"] < most["2"]
    monkeypatch.setattr(near_lossless, "jpeg_ls_of", lambda levels, near: (levels.size, levels + 3))
    assert near_lossless.main(command) == 1


def test_targets(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    memory.photo_like(64, 48).save(folder / "a.png")
    command = [str(folder), "--shares", "0.5", "--out", str(tmp_path / "a.json")]
    assert targets.main(command) == 0
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["kept"]
    assert [row["wish"] for row in found["files"]] == ["bpp", "size", "psnr"]
    assert all(abs(row["off_percent"]) < 10 for row in found["files"])
    assert found["files"][1]["off_percent"] <= 0 <= found["files"][2]["off_percent"]
    assert "| --psnr | 1 |" in capsys.readouterr().out
    larger = vlcodec.compress(folder / "a.png", model="photo", quality=9)
    monkeypatch.setattr(vlcodec, "compress_to", lambda picture, **wanted: larger)
    assert targets.main(command) == 1


def test_effort(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured is not measured again."""
    memory.photo_like(24, 20).save(folder / "a.png")
    monkeypatch.setattr(_shared, "EFFORTS", (0, 1))
    command = [str(folder), "--efforts", "1", "2", "--out", str(tmp_path / "a.json")]
    for plot in ([], ["--plot", str(tmp_path / "a.png")] if find_spec("matplotlib") else []):
        assert effort.main(command + plot) == 0
    rows = json.loads((tmp_path / "a.json").read_text())["rows"]
    assert [(row["codec"], row.get("identical")) for row in rows[:4]] == [
        ("effort 1", True),
        ("effort 2", True),
        ("PNG", None),
        ("WebP", None),
    ]
    assert len({row["codec"] for row in rows}) == len(rows) >= 5
    assert (tmp_path / "a.png").exists() == (find_spec("matplotlib") is not None)
    assert rows[1]["bits_per_dim"] <= rows[0]["bits_per_dim"]


def test_lossy(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    memory.photo_like(176, 176).save(folder / "a.png")
    monkeypatch.setattr(lossy, "lpips", lambda path: lambda a, b: 1 - common.ms_ssim(a, b))
    command = [str(folder), "--out", str(tmp_path / "a.json"), "--device", "cpu"]
    lossy.main([*command, "--lpips", "metric.onnx", "--effort", "2", "--qualities", "1"])
    said = capsys.readouterr().out
    assert "LPIPS, the smaller the better" in said
    assert "Errors of luma" in said
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["effort"] == 2
    [row] = found["pictures"]
    assert row["bytes"] == len(vlcodec.compress(folder / "a.png", model="photo", quality=1, effort=2))
    assert {"JPEG", "WebP"} <= row["peers"].keys() <= {"JPEG", "WebP", "AVIF"}
    assert row["mean"]["lpips"] == pytest.approx(1 - row["mean"]["ms_ssim"], abs=1e-5)
    assert found["mean"]["1"]["sample"]["lpips"] == row["sample"]["lpips"]
    assert all(not peer["fits"] or peer["bytes"] <= row["bytes"] for peer in row["peers"].values())


def test_crops(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.photo_like(130, 120).save(folder / "a.png")
    monkeypatch.setattr(crops, "SCENES", (crops.Scene("corner", "a.png", (10, 20)),))
    crops.main([str(folder), "--effort", "1", "--qualities", "2", "--out", str(tmp_path / "crops")])
    with Image.open(tmp_path / "crops" / "corner.webp") as sheet:
        cell = crops.SCALE * crops.SIDE
        columns = 3 + len(crops.peers.lossy().keys() & set(crops.SHOWN))
        assert sheet.size == (columns * (cell + crops.MARGIN) - crops.MARGIN, cell + crops.TEXT)
        shown = np.asarray(sheet.convert("RGB").crop((0, crops.TEXT, cell, crops.TEXT + cell)))[1::3, 1::3].astype(int)
    original = np.asarray(memory.photo_like(130, 120).convert("RGB"))[20:116, 10:106]
    assert np.abs(shown - original).mean() < 12


def test_errors_of_smooth_areas() -> None:
    """Of averages alone: noise that cancels out in each square counts nothing."""
    levels = np.full((19, 24, 3), 100, np.uint8)
    noisy = levels.copy()
    noisy[::2], noisy[1:16:2] = 110, 90
    grey, blue = levels + np.uint8(3), levels.copy()
    blue[..., 2] += 20
    plain = Image.fromarray(levels)
    assert common.smooth_errors(plain, Image.fromarray(noisy)) == pytest.approx((0, 0))
    assert common.smooth_errors(plain, Image.fromarray(grey)) == pytest.approx((3, 0), abs=1e-4)
    luma, chroma = common.smooth_errors(plain, Image.fromarray(blue))
    assert (luma, chroma) == pytest.approx((2.28, math.hypot(10, 1.626) / math.sqrt(2)), rel=1e-3)


def test_the_difference_in_rate_of_two_curves() -> None:
    """Half the rate everywhere is 50 % less, whatever the points; curves that do not meet have none."""
    curve = [(0.1 * 2**i, 24.0 + 3 * i + 0.1 * i * i) for i in range(5)]
    half = [(rate / 2, quality) for rate, quality in curve]
    assert rd.bd_rate(half, curve) == pytest.approx(-50)
    assert rd.bd_rate(curve, half[1:4]) == pytest.approx(100, abs=0.1)
    assert rd.bd_rate(curve, [*curve, (9.0, 20.0)]) == pytest.approx(0)
    assert math.isnan(rd.bd_rate(curve, [(1.0, 50.0), (2.0, 60.0)]))
    fine = [(0.1 * 2 ** (i / 8), 24.0 + i / 2) for i in range(50)]  # up to 7 bits/pixel
    dearer = [(rate * (10 if rate > rd.RATES[1] else 1), quality) for rate, quality in fine]
    assert rd.bd_rate(fine, dearer) == pytest.approx(0, abs=1)


def test_curves(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.photo_like(48, 32).save(folder / "a.png")
    monkeypatch.setattr(rd, "POINTS", 3)
    rd.main([str(folder), "--out", str(tmp_path / "a.json"), "--device", "cpu"])
    found = json.loads((tmp_path / "a.json").read_text())
    [row] = found["pictures"]
    assert len(row["curves"]["vlcodec"]) == len(common.qualities_of("photo")) == 9
    assert found["bd_rate"].keys() == row["bd_rate"].keys() == row["curves"].keys() - {"vlcodec"}


def test_pace(folder: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        memory.photo_like(24, 20).save(folder / name)
    pace.main([str(folder), "--out", str(tmp_path / "a.json"), "--pictures", "2"])
    found = json.loads((tmp_path / "a.json").read_text())
    assert len(found["pictures"]) == 2
    assert all(value > 0 for row in found["mean"].values() for value in row.values())


def test_speed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.photo_like(24, 20).save(folder / "a.png")
    monkeypatch.setattr(speed, "seconds", lambda work: common.seconds(work, runs=1))
    threads = torch.get_num_threads()
    try:
        command = [str(folder / "a.png"), "--out", str(tmp_path / "a.json"), "--device", "cpu", "--threads", "1"]
        assert speed.main(command) == 0
    finally:
        torch.set_num_threads(threads)
    seconds = json.loads((tmp_path / "a.json").read_text())["seconds"]["cpu"]
    assert all(value > 0 for value in seconds.values())


@pytest.mark.slow
def test_a_revision_against_itself(binary_sets: Path, tmp_path: Path) -> None:
    memory.photo_like(24, 20).save(tmp_path / "a.png")
    sizes = ["--rounds", "1", "--archive", str(binary_sets), "--digits", "3", "--out", str(tmp_path / "a.json")]
    assert speed.main([str(tmp_path / "a.png"), "--against", "HEAD", *sizes]) == 0
    results = json.loads((tmp_path / "a.json").read_text())["results"]
    assert results.keys() == {"a.png", "archive"}
    for row in (row for rows in results.values() for row in rows.values()):
        assert row["same"]
        assert row["ratio"] == pytest.approx(row["now"] / row["before"], abs=1e-2)
        assert row["now_peak_mib"] > 100


@pytest.mark.parametrize(("millions", "size"), [(0.00015, (15, 10)), (0.0006, (30, 20)), (0.0054, (90, 60))])
def test_pictures_that_grow_are_made_of_the_picture_and_its_mirror_images(
    millions: float, size: tuple[int, int]
) -> None:
    image = memory.photo_like(30, 20)
    pixels = np.asarray(growth.sized(image, millions))
    assert pixels.shape == (size[1], size[0], 3)
    assert np.array_equal(pixels[:20, :30], np.asarray(image)[: size[1], : size[0]])
    assert np.array_equal(pixels[20:40, :30], np.asarray(image)[::-1][: max(0, size[1] - 20), : size[0]])


@pytest.mark.slow
def test_growth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.photo_like(30, 20).save(tmp_path / "a.png")
    monkeypatch.setattr(growth, "SIZES", (0.0002, 0.0006, 1))
    growth.main([str(tmp_path / "a.png"), "--most", "0.5", "--out", str(tmp_path / "a.json")])
    rows = json.loads((tmp_path / "a.json").read_text())["sizes"]
    assert [row["width"] for row in rows] == [16, 30]
    assert all(row[work] > 0 for row in rows for work in growth.WORKS)
