"""The benchmarks as whole scripts, on pictures too small to mean anything."""

import importlib
import json
import math
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import vlcodec
from vlcodec import _shared
from vlcodec.models.agave import training as agave_recipe
from vlcodec.models.agave.net import LadderAgave
from vlcodec.models.vapnev import data as cifar_pictures
from vlcodec.models.vlae import training as vlae_recipe

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
names = ("common", "lossless", "lossy", "memory", "peers", "speed", "archives", "likelihood", "vlae_study")
common, lossless, lossy, memory, peers, speed, archives, likelihood, vlae_study = map(importlib.import_module, names)
agave_study, singles, rd, pace = map(importlib.import_module, ("agave_study", "singles", "rd", "pace"))
vapnev_study = importlib.import_module("vapnev_study")
growth, classifiers, survival = map(importlib.import_module, ("growth", "classifiers", "survival"))
batches, batch_memory, opening = map(importlib.import_module, ("batches", "batch_memory", "opening"))
everyday, many_files = map(importlib.import_module, ("everyday", "many_files"))
effort, near_lossless, crops = map(importlib.import_module, ("effort", "near_lossless", "crops"))


def picture(width: int = 192, height: int = 176, mode: str = "RGB") -> Image.Image:
    made: Image.Image = memory.photo_like(width, height).convert(mode)
    return made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one picture; the only other codecs are quick ones."""
    monkeypatch.setattr(peers, "_has_jpeg_xl", lambda: False)
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


def test_lossless(folder: Path, tmp_path: Path) -> None:
    picture(24, 20).save(folder / "a.png")
    assert lossless.main([str(folder), "--out", str(tmp_path / "a.json"), "--device", "cpu"]) == 0
    [row] = json.loads((tmp_path / "a.json").read_text())["pictures"]
    assert row["identical"]
    assert row["within_bound"]
    assert row["bytes"]["vlcodec"] * 8 == pytest.approx(row["bits_per_dim"]["vlcodec"] * 24 * 20 * 3, abs=0.01)


def test_near_lossless(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without CharLS: what stands in for it makes files of a byte a level, one level off."""
    monkeypatch.setattr(near_lossless, "jpeg_ls_of", lambda levels, near: (levels.size, levels + (near > 0)))
    picture(24, 20).save(folder / "a.png")
    command = [str(folder), "--levels", "2", "--out", str(tmp_path / "a.json")]
    assert near_lossless.main(command) == 0
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["pictures"][0]["off"] == {"vlcodec, 0": 0, "JPEG-LS, 0": 0, "vlcodec, 2": 2, "JPEG-LS, 2": 1}
    assert found["mean"]["vlcodec, 2"] < found["mean"]["vlcodec, 0"] < found["mean"]["JPEG-LS, 0"] == 8
    monkeypatch.setattr(near_lossless, "jpeg_ls_of", lambda levels, near: (levels.size, levels + 3))
    assert near_lossless.main(command) == 1


def test_effort(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured is not measured again."""
    picture(24, 20).save(folder / "a.png")
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
    picture(176, 176).save(folder / "a.png")
    monkeypatch.setattr(lossy, "QUALITIES", (1,))
    monkeypatch.setattr(lossy, "lpips", lambda path: lambda a, b: 1 - common.ms_ssim(a, b))
    command = [str(folder), "--out", str(tmp_path / "a.json"), "--device", "cpu"]
    lossy.main([*command, "--lpips", "metric.onnx", "--effort", "2"])
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
    picture(130, 120).save(folder / "a.png")
    monkeypatch.setattr(crops, "SCENES", (crops.Scene("corner", "a.png", (10, 20)),))
    crops.main([str(folder), "--effort", "1", "--qualities", "2", "--out", str(tmp_path / "crops")])
    with Image.open(tmp_path / "crops" / "corner.webp") as sheet:
        cell = crops.SCALE * crops.SIDE
        columns = 3 + len(crops.peers.lossy().keys() & set(crops.SHOWN))
        assert sheet.size == (columns * (cell + crops.MARGIN) - crops.MARGIN, cell + crops.TEXT)
        shown = np.asarray(sheet.convert("RGB").crop((0, crops.TEXT, cell, crops.TEXT + cell)))[1::3, 1::3].astype(int)
    original = np.asarray(picture(130, 120).convert("RGB"))[20:116, 10:106]
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


def test_curves(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(48, 32).save(folder / "a.png")
    monkeypatch.setattr(rd, "POINTS", 3)
    rd.main([str(folder), "--out", str(tmp_path / "a.json"), "--device", "cpu"])
    found = json.loads((tmp_path / "a.json").read_text())
    [row] = found["pictures"]
    assert len(row["curves"]["vlcodec"]) == len(rd.QUALITIES)
    assert found["bd_rate"].keys() == row["bd_rate"].keys() == row["curves"].keys() - {"vlcodec"}


def test_pace(folder: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        picture(24, 20).save(folder / name)
    pace.main([str(folder), "--out", str(tmp_path / "a.json"), "--pictures", "2"])
    found = json.loads((tmp_path / "a.json").read_text())
    assert len(found["pictures"]) == 2
    assert all(value > 0 for row in found["mean"].values() for value in row.values())


def test_speed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(24, 20).save(folder / "a.png")
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
def test_archives(binary_sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "SINGLES", 3)
    threads = torch.get_num_threads()
    archives.main(["vlae-mnist", str(binary_sets), "--out", str(tmp_path / "a.json"), "--count", "12"])
    assert torch.get_num_threads() == threads
    row = json.loads((tmp_path / "a.json").read_text())
    assert row["identical"]
    assert row["round_trips"] == {"1": True, "2": True, "10": True, "12": True}
    assert row["bytes"] == row["ledger"]["lossless_bytes"]
    assert {"PNG, one sheet", "PNG, one by one", "xz of packed bits"} <= row["others"].keys()


def test_likelihood_goes_on_where_it_stopped(
    binary_sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(out: str) -> dict[str, float]:
        likelihood.main(["vlae-mnist", str(binary_sets), "--samples", "3", "--out", str(tmp_path / out)])
        summary: dict[str, float] = json.loads((tmp_path / out).read_text())["nats_a_picture"]
        return summary

    whole = run("a.json")
    assert 0 < whole["likelihood"] < whole["elbo"]
    assert 0 < whole["likelihood_error"] < whole["likelihood"]
    straight, done = likelihood.nats_of, list[int]()

    def stop(net: object, picture: object, samples: int, seed: int, at_once: int) -> tuple[float, float]:
        if seed == 7 and not done:
            done.append(seed)
            raise KeyboardInterrupt
        found: tuple[float, float] = straight(net, picture, samples, seed, at_once)
        return found

    monkeypatch.setattr(likelihood, "nats_of", stop)
    monkeypatch.setattr(likelihood, "KEPT_EVERY", 5)
    with pytest.raises(KeyboardInterrupt):
        run("b.json")
    assert len(json.loads((tmp_path / "b.json").read_text())["nats"]) == 5
    capsys.readouterr()
    assert run("b.json") == whole
    assert capsys.readouterr().err.startswith("10 of 20")


def test_vlae_study(binary_sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: dict[str, Any] = {"latents": 6, "widths": (4, 6), "blocks": (1, 1), "hidden": 8}
    small = replace(vlae_recipe.SHAPE, **sizes, flow_hidden=9, pixel_channels=4)
    runs = {
        "uniform posterior": vlae_study.Run(replace(small, posterior="uniform")),
        "unconditional PixelCNN": vlae_study.Run(replace(small, posterior="none"), "vlae-caltech101"),
        **{f"IAF, seed {n}": vlae_study.Run(replace(small, flow_in="posterior"), seed=n) for n in range(2)},
    }
    monkeypatch.setitem(vlae_study.STUDIES, "variants", runs)
    monkeypatch.setattr(vlae_study, "MEASURED", 5)
    vlae_study.main(["variants", str(binary_sets), "--steps", "2", "--out", str(tmp_path / "a.json")])
    study = json.loads((tmp_path / "a.json").read_text())
    assert study["variants"].keys() == runs.keys()
    assert study["variants"]["unconditional PixelCNN"]["kl_bits"] == 0
    assert len(study["originals"]) == len(study["variants"]["uniform posterior"]["regenerated"]) == 2 * 20 * 98
    (_, mean), (_, deviation) = vlae_study.over_seeds(study["variants"])
    elbos = [study["variants"][f"IAF, seed {n}"]["elbo_nats"] for n in range(2)]
    assert mean["elbo_nats"] == pytest.approx(sum(elbos) / 2)
    assert deviation["elbo_nats"] == pytest.approx(abs(elbos[0] - elbos[1]) / math.sqrt(2))


def test_agave_study(cifar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny: dict[str, Any] = {"latents": (2, 1), "widths": (4, 6, 8), "blocks": 1, "pixel_channels": 4, "dilations": (1,)}
    variants = {str(n): replace(agave_recipe.SHAPE, **tiny, aux_levels=n) for n in (256, 8)}
    monkeypatch.setitem(agave_study.STUDIES, "levels", variants)
    arguments = ["levels", str(cifar_folder), "--steps", "2", "--seeds", "2", "--out", str(tmp_path / "a.json")]
    agave_study.main(arguments)
    study = json.loads((tmp_path / "a.json").read_text())
    assert study["variants"].keys() == {*variants, *(f"{name}, seed 1" for name in variants)}
    assert study["variants"]["8"]["bpd"] > 0
    assert {"pictures"} == study["variants"]["8"].keys() - study["variants"]["8, seed 1"].keys()
    mean, deviation = agave_study.over_seeds(study["variants"])["8"]["bpd"]
    assert mean == pytest.approx((study["variants"]["8"]["bpd"] + study["variants"]["8, seed 1"]["bpd"]) / 2)
    assert deviation > 0
    monkeypatch.setattr(agave_study, "train", None)  # what is done is not trained again
    agave_study.main(arguments)
    agave_study.main([*arguments, "--plot"])


def test_a_net_without_features_takes_what_looks_at_none() -> None:
    tiny: dict[str, Any] = {"latents": (2, 1), "widths": (4, 6, 8), "blocks": 1, "pixel_channels": 4, "dilations": (1,)}
    whole, alone = (LadderAgave(replace(agave_recipe.SHAPE, **tiny, features=n), ("gaussian",)) for n in (5, 0))
    alone.load_state_dict(agave_study.without_features(whole.state_dict(), 5))
    x = torch.randint(-128, 128, (2, 32, 32, 3), generator=torch.Generator().manual_seed(0)).float()
    fz = torch.zeros(2, 32, 32, 8)
    fz[..., :3] = x // 2
    with torch.no_grad():
        assert torch.equal(whole.pixel_nats(x, fz), alone.pixel_nats(x, fz[..., :3]))


def test_vapnev_study(cifar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar_pictures, "HELD_OUT", 6)
    tiny = replace(vapnev_study.SMALL, latents=4, features=4, width=4, flow_widths=(4, 4), flow_blocks=1)
    variants = {"see": tiny, "blind": replace(tiny, conditional=False)}
    monkeypatch.setattr(vapnev_study, "VARIANTS", variants)
    arguments = [str(cifar_folder), "--steps", "4", "--batch", "2", "--out", str(tmp_path / "a.json")]
    vapnev_study.main(arguments)
    study = json.loads((tmp_path / "a.json").read_text())["variants"]
    assert study.keys() == variants.keys()
    assert study["blind"]["weights"] < study["see"]["weights"]
    monkeypatch.setattr(vapnev_study, "train", None)  # what is done is not trained again
    vapnev_study.main(arguments)


@pytest.mark.slow
def test_singles(cifar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(singles, "TIMED", 2)
    singles.main([str(cifar_folder), "--pictures", "2", "--out", str(tmp_path / "a.json")])
    row = json.loads((tmp_path / "a.json").read_text())
    assert row["identical"]
    assert row["pictures"] == 2
    assert row["decode_archive_of_100_seconds"] > 0


def test_a_classifier_learns_and_is_kept(tmp_path: Path) -> None:
    """Bright and dark pictures, of either label."""
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    some = (rng.integers(0, 60, (200, 28, 28)) + 150 * labels[:, None, None]).astype(np.uint8)
    data = classifiers.Labelled(torch.from_numpy(some[..., None]).float() / 255, torch.from_numpy(labels))
    net = classifiers.train(data, 2, "as it is", width=2, epochs=30, mirrored=True, device="cpu")
    assert (classifiers.classes_of(net, some) == labels).mean() > 0.95
    classifiers.save(net, tmp_path / "a.pt")
    kept = classifiers.classes_of(classifiers.load(tmp_path / "a.pt"), some)
    assert np.array_equal(kept, classifiers.classes_of(net.half().float(), some))


def test_survival(cifar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survival, "SINGLES", 1)
    classifiers.save(classifiers.Classifier(3, 10, 4), tmp_path / "a.pt")
    out = tmp_path / "a.json"
    survival.main(["agave-cifar10", str(cifar_folder), str(tmp_path / "a.pt"), "--pictures", "4", "--out", str(out)])
    found = json.loads(out.read_text())
    names = [row["name"] for row in found["rows"]]
    assert [name.partition(", ")[0] for name in names] == ["-q 1", "-q 1", "principal components", "JPEG", "WebP"]
    mean, _, components, *_ = found["rows"]
    assert 0 < components["bits"] <= mean["bits"]
    assert all(0 <= row["agreement"] <= 1 for row in found["rows"])
    assert all(file["most"] >= file["mean"] > mean["bits"] / 8 for file in found["files"])


def test_survival_within_a_size(binary_sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some pictures at one quality and some at another, as their files fit."""
    monkeypatch.setattr(survival, "SINGLES", 1)
    classifiers.save(classifiers.Classifier(1, 10, 4), tmp_path / "a.pt")
    out, start = tmp_path / "a.json", ["vlae-mnist", str(binary_sets), str(tmp_path / "a.pt"), "--pictures", "3"]
    survival.main([*start, "--size", "200", "--out", str(out)])
    row = next(row for row in json.loads(out.read_text())["rows"] if row["name"].startswith("--size 200"))
    assert row["name"] == "--size 200, mean image (-q 3 100.0 %)"
    assert 8 * 15 < row["bits"] <= 8 * 200
    with pytest.raises(ValueError, match="picture 0 has no file of at most 14 bytes"):
        survival.main([*start, "--size", "14", "--out", str(out)])


@pytest.mark.slow
def test_a_revision_against_itself(binary_sets: Path, tmp_path: Path) -> None:
    picture(24, 20).save(tmp_path / "a.png")
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
    image = picture(30, 20)
    pixels = np.asarray(growth.sized(image, millions))
    assert pixels.shape == (size[1], size[0], 3)
    assert np.array_equal(pixels[:20, :30], np.asarray(image)[: size[1], : size[0]])
    assert np.array_equal(pixels[20:40, :30], np.asarray(image)[::-1][: max(0, size[1] - 20), : size[0]])


@pytest.mark.slow
def test_growth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(30, 20).save(tmp_path / "a.png")
    monkeypatch.setattr(growth, "SIZES", (0.0002, 0.0006, 1))
    growth.main([str(tmp_path / "a.png"), "--most", "0.5", "--out", str(tmp_path / "a.json")])
    rows = json.loads((tmp_path / "a.json").read_text())["sizes"]
    assert [row["width"] for row in rows] == [16, 30]
    assert all(row[work] > 0 for row in rows for work in growth.WORKS)


def test_photographs_of_a_batch_are_middles(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    wide = picture(516, 512)
    tall = wide.transpose(Image.Transpose.ROTATE_90)
    for name, image in (("a.png", wide), ("b.png", picture(400, 700)), ("c.png", tall)):
        image.save(tmp_path / "from" / name)
    batches.fill(tmp_path / "to", "photos", [tmp_path / "from"], 5)
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == ["00000.png", "00001.png"]
    with Image.open(tmp_path / "to" / "00000.png") as made:
        assert made.tobytes() == wide.crop((2, 0, 514, 512)).tobytes()


def test_ways_of_a_batch_are_held_against_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(600, 520).save(tmp_path / "a.png")
    monkeypatch.setattr(batches, "own_process", lambda work, *arguments: work(*arguments))
    ways = {name: (lambda *_, name=name: {"seconds": 1.0, "digests": {"a": name[0]}}, ()) for name in ("x1", "x2", "y")}
    monkeypatch.setattr(batches, "WAYS", ways)

    def same(chosen: list[str], before: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = batches.measure("photos", [tmp_path], 3, True, chosen, 1, before)
        return found

    first = same(["x1", "x2"], {})
    assert (first["pictures"], first["same_bytes"], sorted(first["ways"])) == (1, True, ["x1", "x2"])
    second = same(["y"], first)
    assert (second["same_bytes"], sorted(second["ways"])) == (False, ["x1", "x2", "y"])
    assert sorted(same(["y"], first | {"pictures": 2})["ways"]) == ["y"]


def test_the_median_of_a_batchs_rounds_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(600, 520).save(tmp_path / "a.png")
    monkeypatch.setattr(batches, "own_process", lambda work, *arguments: work(*arguments))

    def measured(bytes_of_rounds: str) -> dict[str, Any]:
        rounds = iter(zip((3.0, 9.0, 4.0), bytes_of_rounds, strict=True))

        def work(*_: Any) -> dict[str, Any]:
            seconds, made = next(rounds)
            return {"seconds": seconds, "digests": {"a": made}}

        monkeypatch.setattr(batches, "WAYS", {"x": (work, ())})
        found: dict[str, Any] = batches.measure("photos", [tmp_path], 3, True, ["x"], 3, {})
        return found

    found = measured("aaa")
    assert (found["ways"]["x"]["seconds"], found["ways"]["x"]["all_seconds"]) == (4.0, [3.0, 9.0, 4.0])
    assert found["same_bytes"]
    assert not measured("aba")["same_bytes"]


def test_rows_of_the_memory_benchmark_are_pictures(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    batch_memory.fill(tmp_path / "set.parquet", 2300)
    file = parquet.ParquetFile(tmp_path / "set.parquet")
    assert (file.metadata.num_rows, file.num_row_groups) == (2300, 3)
    values = file.read()["bytes"].to_pylist()
    assert values[0] == values[2000] != values[1999]
    assert batch_memory.peak_mib("self") > 10


def test_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "RUNS", 3)
    sample = Path(__file__).parents[1] / "samples" / "landscape.q1.vlz"
    opening.main([str(sample), "--out", str(tmp_path / "out.json")])
    (row,) = json.loads((tmp_path / "out.json").read_text())["files"]
    assert 0 < row["median"] <= row["slowest"]
    assert row["median"] < 0.005  # a fifth of a millisecond is usual


def test_everyday(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of each kind, one that is refused, and a second run that does nothing again."""
    ramp = Image.linear_gradient("L").resize((20, 16))
    for name, image in {
        "emoji_noto/a.png": ramp.convert("RGB").quantize(8),
        "icons_tango_32/b.png": Image.merge("RGBA", (ramp, ramp.rotate(180), ramp, ramp)),
        "documents_tesseract/c.tif": ramp.convert("1"),
        "photos_lomiri/d.tif": Image.new("CMYK", (3, 2)),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        image.save(tmp_path / name, dpi=(72, 72))
    out = tmp_path / "everyday.json"
    everyday.main([str(tmp_path), "--out", str(out)])
    rows = json.loads(out.read_text())["pictures"]
    assert [row.get("identical") for row in rows.values()] == [True, True, True, None]
    assert all(row["over"] <= 16 for row in rows.values() if "over" in row)
    assert "CMYK" in rows["photos_lomiri/d.tif"]["error"]
    assert len(capsys.readouterr().out.splitlines()) == 2 + 4
    monkeypatch.setattr(everyday, "measured", lambda data: 1 / 0)
    everyday.main([str(tmp_path), "--out", str(out)])
    assert json.loads(out.read_text())["pictures"] == rows


@pytest.mark.slow
def test_many_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, count in (("small", 2), ("photos", 1)):
        (tmp_path / name).mkdir()
        for number in range(count):
            picture(20 + number, 20).save(tmp_path / name / f"{number}.png")
    sources = [str(tmp_path / "small"), str(tmp_path / "photos")]
    many_files.main([*sources, "--small", "11", "--photos", "2", "--out", str(tmp_path / "a.json")])
    found = json.loads((tmp_path / "a.json").read_text())
    assert (found["small"], found["photos"], len(found["mib"])) == (11, 2, 10)
    assert min(found["mib"]) > 10
