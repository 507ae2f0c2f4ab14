"""Benchmarks of small pictures, and studies, as whole scripts, on sets too small to mean anything."""

import importlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vlcodec.models.agave import training as agave_recipe
from vlcodec.models.agave.net import LadderAgave
from vlcodec.models.vapnev import data as cifar_pictures
from vlcodec.models.vlae import training as vlae_recipe

archives, likelihood, vlae_study = map(importlib.import_module, ("archives", "likelihood", "vlae_study"))
agave_study, singles, vapnev_study = map(importlib.import_module, ("agave_study", "singles", "vapnev_study"))
classifiers, survival, survival_plot = map(importlib.import_module, ("classifiers", "survival", "survival_plot"))


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
    survival.main(["agave-cifar10-6", str(cifar_folder), str(tmp_path / "a.pt"), "--pictures", "4", "--out", str(out)])
    found = json.loads(out.read_text())
    names = [row["name"] for row in found["rows"]]
    assert [name.partition(", ")[0] for name in names] == ["-q 1", "-q 1", "principal components", "JPEG", "WebP"]
    mean, _, components, *_ = found["rows"]
    assert 0 < components["bits"] <= mean["bits"]
    assert all(0 <= row["agreement"] <= 1 for row in found["rows"])
    assert all(file["most"] >= file["mean"] > mean["bits"] / 8 for file in found["files"])


def test_agreement_over_bits() -> None:
    """Each kind from few bits to many, whatever the table; what is told twice, once."""
    rows = [("-q 2, mean image", 40, 0.5), ("-q 1, mean image", 20, 0.25), ("--size 24, mean image (all)", 190, 1.0)]
    others = [("-q 1, sample", 20, 0.5), ("WebP, smallest", 900, 0.75)]
    tables = [{"rows": [dict(zip(("name", "bits", "agreement"), row, strict=True)) for row in (*part, others[1])]}
              for part in (rows, others)]  # fmt: skip
    found = survival_plot.series(tables)
    assert found["mean image"] == [(20, 25), (40, 50)]
    assert (found["sample"], found["WebP"], found["JPEG"]) == ([(20, 50)], [(900, 75)], [])


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
