"""Training: exact resumption, a start from exported weights, and widened data that stay pictures."""

import csv
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image

from vlcodec.codec.interface import Bytes
from vlcodec.models import registry, zoo
from vlcodec.models.layers.exact import frozen_copy
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.photo import training as module
from vlcodec.models.photo.data import draw_patches, find_pictures, make_pool, read_rgb, widen
from vlcodec.models.photo.net import GridAgave
from vlcodec.models.photo.training import measure, split_batch, train
from vlcodec.models.training import loop
from vlcodec.models.training.loop import learning_rate
from vlcodec.models.weights.integers import read_tensors

STEPS = 6


def scene() -> Bytes:
    """(40, 56, 3) uint8: gradients, edges and pseudo-random texture, from integers alone."""
    r, c, k = np.indices((40, 56, 3), dtype=np.int64)
    texture = (((r * 57 + c * 131 + k * 17) * 2654435761) >> 13) % 61
    smooth, block = 3 * r + 2 * c + 40 * k, 90 * ((r // 10 + c // 14) % 2)
    return np.asarray((smooth + np.where(c > 28, texture, 0) + np.where(r > 20, block, 0)) % 256, np.uint8)


SCENE = scene()
OPTIONS: dict[str, Any] = {"batch": 4, "patch": 32, "variants": 1}


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Two small pictures, one of them grey."""
    for name, pixels in (("a.png", SCENE), ("b.png", np.repeat(SCENE[::-1, :, :1], 3, 2))):
        Image.fromarray(pixels).save(tmp_path / name)
    return [tmp_path / "a.png", tmp_path / "b.png"]


@pytest.fixture
def options(agave: Callable[[int], GridAgave], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Of a run that renews its pool and writes its log within a few steps."""
    monkeypatch.setattr(module, "POOL_STEPS", 2)
    monkeypatch.setattr(module, "ROUNDED_FROM", 0.8)
    monkeypatch.setattr(loop, "LOG_STEPS", 1)
    return OPTIONS | {"shape": agave(0).shape, "steps": STEPS}


def exported(net: GridAgave, folder: Path) -> Path:
    config = {"net": asdict(net.shape), "guide_width": 0.5, "correction_edges": (100, 115)}
    return zoo.save(net, config, "photo", registry.PHOTO, folder)


def weights(net: GridAgave) -> dict[str, list[float]]:
    return {k: v.flatten().tolist() for k, v in net.state_dict().items()}


# ---- the loop ------------------------------------------------------------------------------------------------------


def test_a_run(pictures: list[Path], tmp_path: Path, options: dict[str, Any]) -> None:
    seen: list[tuple[str, int, int]] = []
    progress = lambda *args: seen.append(args)  # noqa: E731
    net = train(pictures, tmp_path / "out", validation=pictures[:1], progress=progress, **options)
    assert seen == [("train", step, STEPS) for step in range(1, STEPS + 1)]
    assert net.mode == "simulated"
    rows = list(csv.reader((tmp_path / "out" / "log.csv").read_text().splitlines()))
    steps = [*map(str, range(1, STEPS + 1))]
    assert [row[0] for row in rows] == ["step", *steps, f"# step {STEPS}", *["# held out"] * 4]
    terms = np.array([row[2:] for row in rows[1 : STEPS + 1]], float)  # loss, pixels, kl, mse
    assert np.isfinite(terms).all()
    assert (terms > 0).all()
    assert terms[:, 1].max() < 3 * 14 * math.log(2) + 30  # nats of a pixel: the floor bounds each channel
    checkpoint = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)
    for name, value in net.named_parameters():
        assert value.isfinite().all()
        assert torch.equal(value, checkpoint["average"][name])
    assert not torch.equal(checkpoint["model"]["encoder.enter.weight"], net.encoder.enter.weight)


def test_a_resumed_run_is_the_same_run(
    pictures: list[Path], tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped by its time limit after three steps, in the middle of a pool's life, and resumed: bit for bit."""
    straight = train(pictures, tmp_path / "straight", **options)

    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock.now))

    def stop(what: str, done: int, total: int) -> None:
        clock.now = 61.0 if done == 3 else clock.now

    half = train(pictures, tmp_path / "halves", minutes=1, progress=stop, **options)
    torch.manual_seed(12345)
    whole = train(pictures, tmp_path / "halves", minutes=1, **options)
    assert weights(half) != weights(straight) == weights(whole)
    checkpoints = [torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("straight", "halves")]
    assert checkpoints[0]["step"] == checkpoints[1]["step"] == STEPS
    for key in ("model", "average"):
        for name, value in checkpoints[0][key].items():
            assert torch.equal(value, checkpoints[1][key][name]), (key, name)
    assert torch.equal(checkpoints[0]["rng"], checkpoints[1]["rng"])


@pytest.mark.parametrize("start", [None, 7])
def test_rounding_is_simulated_at_the_end(
    pictures: list[Path],
    tmp_path: Path,
    options: dict[str, Any],
    agave: Callable[[int], GridAgave],
    monkeypatch: pytest.MonkeyPatch,
    start: int | None,
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(module, "set_mode", lambda model, mode: seen.append(mode))
    train(pictures, tmp_path / "out", init=None if start is None else agave(start).state_dict(), **options)
    assert seen == ["training"] * 5 + ["simulated"]


@pytest.mark.parametrize(("part", "until_the_end"), [("all", "simulated"), ("autoencoder", "training")])
def test_an_exported_net_of_8_bits_goes_on_as_the_trained_part_needs(
    pictures: list[Path],
    tmp_path: Path,
    options: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    part: Literal["all", "autoencoder"],
    until_the_end: str,
) -> None:
    """The pixel network has learned with rounding; the autoencoder alone learns at full speed until the end."""
    seen: list[str] = []

    def note(model: torch.nn.Module, mode: Literal["training", "simulated"]) -> None:
        if isinstance(model, GridAgave):
            seen.append(mode)

    monkeypatch.setattr(module, "set_mode", note)
    narrow = options | {"shape": replace(options["shape"], pixel_bits=8)}
    train(pictures, tmp_path / "out", init=GridAgave(narrow["shape"]).state_dict(), part=part, **narrow)
    assert seen == [until_the_end] * 5 + ["simulated"]


def test_seeds(pictures: list[Path], tmp_path: Path, options: dict[str, Any]) -> None:
    options |= {"steps": 1}
    one, again, other = (train(pictures, tmp_path / str(i), seed=s, **options) for i, s in enumerate((1, 1, 2)))
    assert weights(one) == weights(again) != weights(other)


def test_a_start_from_exported_weights(
    pictures: list[Path], tmp_path: Path, options: dict[str, Any], agave: Callable[[int], GridAgave]
) -> None:
    """At a rate of zero the weights are those of the file; at another they have moved from there."""
    net = agave(7)
    path = exported(net, tmp_path)
    start = zoo.real_weights(path)
    set_mode(net, "training")
    assert (start.name, start.config) == ("photo", zoo.config_of(path))
    options |= {"init": start.weights, "steps": 1}
    still = train(pictures, tmp_path / "still", rate=0.0, **options)
    moved = train(pictures, tmp_path / "moved", rate=1e-3, **options)
    assert weights(still) == weights(net) != weights(moved)
    for name, values in weights(moved).items():
        assert np.abs(np.subtract(values, weights(net)[name])).max() < 1e-3


def test_the_weights_of_a_file() -> None:
    path = registry.by_number(8).path  # whose activations all have one unit
    integers, real = read_tensors(path), zoo.real_weights(path).weights
    assert len(integers) == 3 * len(real) / 2
    for name in (name.removesuffix(".weight") for name in real if name.endswith(".weight")):
        scale = torch.exp2(integers[f"{name}.exponent"].double())
        assert torch.equal(real[f"{name}.weight"] * scale[:, None], integers[f"{name}.weight"].double())
        assert torch.equal(real[f"{name}.bias"] * scale * 64, integers[f"{name}.bias"].double())


def test_what_is_exported_is_what_was_trained(agave: Callable[[int], GridAgave], tmp_path: Path) -> None:
    """The integer model's losses are those of the simulation that ended the training."""
    net, x = agave(8), torch.from_numpy(SCENE[None, :32, :48]).float()[..., [1, 0, 2]] - 128
    set_mode(net, "simulated")

    def losses() -> list[float]:
        torch.manual_seed(0)
        with torch.no_grad():
            return [float(v) for v in net.losses(x, torch.zeros(1), [(2, 1)]).values()]

    simulated = losses()
    exported(net, tmp_path)
    assert losses() == pytest.approx(simulated, rel=1e-3)


def test_measure(agave: Callable[[int], GridAgave]) -> None:
    rows = measure(frozen_copy(agave(0)), [SCENE, SCENE[:, ::-1].copy()], torch.device("cpu"))
    assert [row["quality"] for row in rows] == [1, 2, 3, 4]
    assert all(row["latent_bpp"] > 0 and row["bpd"] > 0 and math.isfinite(row["psnr"]) for row in rows)


def test_schedule() -> None:
    rates = np.array([learning_rate(1.0, step, 10_000) for step in range(10_001)])
    assert (np.diff(rates[:200]) > 0).all()
    assert (rates[200:7000] == 1).all()
    assert (np.diff(rates[7001:]) < 0).all()
    assert rates[-1] == pytest.approx(0.01)


@pytest.mark.parametrize("batch", [6, 7, 10, 64])
@pytest.mark.parametrize("qualities", [4, 6])
def test_every_quality_has_its_share_of_a_batch(batch: int, qualities: int) -> None:
    split = split_batch(batch, qualities)
    assert [quality for quality, _ in split] == list(range(qualities))
    assert sum(count for _, count in split) == batch
    assert min(count for _, count in split) >= 1


# ---- data ----------------------------------------------------------------------------------------------------------


def test_find_pictures(tmp_path: Path) -> None:
    for name in ("b.png", "sub/a.JPG", "sub/deep/c.webp", "notes.txt", "sub/b.png", "lone.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def names(*args: Any) -> list[str]:
        return [p.relative_to(tmp_path).as_posix() for p in find_pictures(*args)]

    assert names([tmp_path]) == ["b.png", "lone.png", "sub/a.JPG", "sub/b.png", "sub/deep/c.webp"]
    assert names([tmp_path], ["b.png", "c.webp", "absent.png"]) == ["lone.png", "sub/a.JPG"]
    assert names([tmp_path / "sub" / "deep", tmp_path / "lone.png", tmp_path / "notes.txt"]) == [
        "sub/deep/c.webp",
        "lone.png",
    ]


def test_widening_gives_pictures() -> None:
    variants = [widen(SCENE, np.random.default_rng(seed), 33) for seed in range(300)]
    for pixels in variants:
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3
        assert min(pixels.shape[:2]) >= 33
    assert len({v.tobytes() for v in variants}) > 200
    assert np.array_equal(variants[5], widen(SCENE, np.random.default_rng(5), 33))
    grey = sum(bool((v == v[..., :1]).all()) for v in variants)
    assert 5 < grey < 50


def test_pool() -> None:
    pool = make_pool([SCENE, SCENE[:20]], 3, [1, 2], 24)
    assert len(pool) >= 4
    assert np.array_equal(pool[0], SCENE)
    assert all(min(p.shape[:2]) >= 24 for p in pool)
    again, other = make_pool([SCENE, SCENE[:20]], 3, [1, 2], 24), make_pool([SCENE, SCENE[:20]], 3, [1, 3], 24)
    assert all(np.array_equal(a, b) for a, b in zip(pool, again, strict=True))
    assert [p.tobytes() for p in pool] != [p.tobytes() for p in other]


def test_patches_are_parts_of_pictures() -> None:
    """Channels come as G, R, B less 128; flips and transpositions alone; grey is told."""
    r, c = np.indices((40, 60), dtype=np.uint8)
    colour = torch.from_numpy(np.stack([r, c, 100 + r], -1))
    grey = torch.full((30, 30, 3), 9, dtype=torch.uint8)
    x, is_grey = draw_patches([colour, grey], 64, 16, torch.Generator().manual_seed(0))
    assert x.shape == (64, 16, 16, 3)
    assert {0.0, 1.0} == set(is_grey.tolist())
    assert 3 <= is_grey.sum() <= 35
    turned = set()
    for patch, flag in zip(x + 128, is_grey.tolist(), strict=True):
        if flag:
            assert (patch == 9).all()
            continue
        green, red, blue = patch.unbind(-1)
        assert torch.equal(blue, red + 100)
        steps = [(v[1, 0] - v[0, 0], v[0, 1] - v[0, 0]) for v in (green, red)]
        turned.add(tuple(float(s) for pair in steps for s in pair))
        for values, (down, across) in zip((green, red), steps, strict=True):
            assert torch.equal(values, values[0, 0] + down * torch.arange(16)[:, None] + across * torch.arange(16))
    assert turned == {(0, 1, 1, 0), (0, -1, 1, 0), (1, 0, 0, 1), (-1, 0, 0, 1)}


def test_reading(pictures: list[Path]) -> None:
    assert np.array_equal(read_rgb(pictures[0]), SCENE)
