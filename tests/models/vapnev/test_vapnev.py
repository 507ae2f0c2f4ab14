"""VAPNEV as a codec: archives, lossy files, rates in parts, lanes, the same bits everywhere, and its training."""

import math
import zlib
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compiled_loops import carrier
from PIL import Image
from vapnev_parts import random_net

import vlcodec
from vlcodec import facade
from vlcodec.codec.coding.latents import StackLow, choose, dither_of, pop, primed, push
from vlcodec.codec.coding.meter import Meter
from vlcodec.codec.coding.noise import Noise
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.errors import FormatError, ImageError, ModelError
from vlcodec.codec.files import archive_file, picture_file
from vlcodec.codec.interface import Bytes, Ints, LatentNet
from vlcodec.models import registry, zoo
from vlcodec.models.layers.causal_pixels import centred
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.training import loop
from vlcodec.models.vapnev import data as pictures_of
from vlcodec.models.vapnev import training as recipe
from vlcodec.models.vapnev.codec import VapnevModel, golden_pictures
from vlcodec.models.vapnev.net import SIZE, Vapnev, half_square
from vlcodec.models.weights.integers import freeze_from, integer_tensors

NAME = "vapnev-cifar10"
CPU = torch.device("cpu")
TINY: dict[str, Any] = {"latents": 8, "features": 8, "width": 4, "flow_widths": (4, 8), "flow_blocks": 1}


def frozen(net: Vapnev) -> VapnevModel:
    freeze_from(net, integer_tensors(net))
    return VapnevModel(net, CPU)


@pytest.fixture(scope="module", params=[True, False], ids=["conditional", "blind"])
def model(request: pytest.FixtureRequest) -> VapnevModel:
    return frozen(random_net(conditional=request.param))


def pictures(count: int) -> Bytes:
    """(count, 32, 32, 3): golden pictures, shifted, no two alike."""
    both = golden_pictures()
    return np.stack([np.roll(both[n % 2], (n, 3 * n), (0, 1)) for n in range(count)])


def dither(net: LatentNet, count: int) -> Ints:
    return dither_of(net, 0, 0, count, 32, 32)


def coded(net: LatentNet, some: Bytes) -> tuple[bytes, dict[str, float], int]:
    """The stack after pictures were pushed, what the ledger has, and the bits it grew by."""
    stack = primed(len(some), 1)
    before, meter = stack.bits, Meter(stack)
    push(net, some, dither(net, len(some)), meter)
    return stack.to_bytes(), dict(meter.promised), stack.bits - before


# ---- coding --------------------------------------------------------------------------------------------------------


def test_pictures_and_the_stack_come_back(model: VapnevModel) -> None:
    extremes = np.stack([np.zeros((32, 32, 3)), np.full((32, 32, 3), 255), *pictures(2)]).astype(np.uint8)
    for net in (model.chained(), model.single(1)):
        data, _, _ = coded(net, extremes)
        stack = Stack(data)
        assert np.array_equal(pop(net, dither(net, 4), stack, 32, 32, 3), extremes)
        assert stack.to_bytes() == primed(4, 1).to_bytes()


def test_parts_add_up_to_what_is_written(model: VapnevModel) -> None:
    some = pictures(3)
    for net in (model.chained(), model.single(1)):
        _, promised, grown = coded(net, some)
        assert promised["8 bits"] == 8 * 3 * SIZE
        assert promised["dequantisation"] == pytest.approx(0, abs=1e-6)
        assert sum(promised.values()) == pytest.approx(grown, rel=2e-3)


def test_the_ledger_is_the_float_nets_elbo(model: VapnevModel) -> None:
    """Part by part, over a few draws, of the net in integers and of the equations in floating point."""
    net, some = model.chained(), pictures(2)
    parts = {name: bits / (2 * SIZE) for name, bits in coded(net, some)[1].items()}
    with exact_inference():
        torch.manual_seed(0)
        theirs = [net.net.losses(centred(some), [("gaussian", 2)]) for _ in range(8)]
    means = {k: float(np.mean([t[k].mean() for t in theirs])) / math.log(2) for k in theirs[0]}
    assert parts["log-determinants"] == pytest.approx(means["determinants"], abs=0.02)
    assert parts["logit"] + parts["8 bits"] == pytest.approx(means["cells"] + 14, abs=1e-4)
    assert parts["prior"] + parts["posterior"] == pytest.approx(means["kl"], abs=0.01)


@pytest.mark.parametrize("size", [0, 1000, 5000])
def test_too_few_bits_are_told_before_anything_is_wrong(model: VapnevModel, size: int) -> None:
    stack = Stack(np.random.default_rng(0).bytes(size) + b"\1")
    with pytest.raises(StackLow):
        push(model.chained(), pictures(1), dither(model.chained(), 1), stack)


@pytest.mark.parametrize("lanes", [1, 2, 16, 17])
def test_lanes_do_not_matter(model: VapnevModel, lanes: int) -> None:
    """A picture's sample and mean are the same, whatever stands beside it."""
    net, some = model.single(1), pictures(17)
    u = dither(net, 17)
    k = choose(net, some, u)
    whole, part = net.features(k, u), net.features(k[:lanes], u[:lanes])
    assert np.array_equal(choose(net, some[:lanes], u[:lanes]), k[:lanes])
    assert np.array_equal(net.mean_images(part, 32, 32), net.mean_images(whole, 32, 32)[:lanes])
    assert np.array_equal(part.prior.centre, whole.prior.centre[..., :lanes])


@pytest.mark.parametrize("count", [1, 3, 33])
def test_compiled_lanes_compute_the_same(model: VapnevModel, count: int) -> None:
    some = pictures(count)
    found = []
    for numba in (False, True):
        with carrier(numba=numba):
            found.append([coded(net, some)[0] for net in (model.chained(), model.single(1))])
    assert found[0] == found[1]


@pytest.fixture(scope="module")
def golden(model: VapnevModel) -> list[Ints]:
    return list(model.golden())


def test_the_same_bits_under_every_setting(model: VapnevModel, golden: list[Ints], setting: str) -> None:
    for part, known in zip(model.golden(), golden, strict=True):
        assert np.array_equal(part, known)


def test_a_sample_differs_by_its_seed_and_has_no_wild_values(model: VapnevModel) -> None:
    net = model.single(1)
    u = dither(net, 1)
    block = net.pixels(net.features(choose(net, pictures(1), u), u), range(32), 32, 3)
    drawn = [block.pop(Noise(seed, 2, 0, SIZE)) for seed in (1, 1, 2)]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


# ---- files ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a small net's weights, in a folder of the search path."""
    monkeypatch.setenv(registry.VARIABLE, str(tmp_path))
    net = random_net(wild=0.3)
    config = {"net": asdict(net.shape), "kinds": net.kinds}
    return zoo.save(net, config, NAME, registry.VAPNEV, tmp_path).stem


def test_archives_begin_with_another_models_pictures(own: str) -> None:
    some = pictures(14)
    data = vlcodec.compress_archive(some, model=own, extra=b"kept\0")
    header = archive_file.unpack(data).header
    assert header.starter is not None
    assert registry.by_number(header.starter.model_id).name == "agave-cifar10"
    assert 0 < header.dithered < 14
    back = vlcodec.decompress_archive(data)
    assert np.array_equal(np.stack([np.asarray(image) for image in back.images]), some)
    assert back.extra == b"kept\0"
    report = vlcodec.rate_archive(some, model=own)
    assert report.lossless_bytes < 1.005 * report.elbo / 8 + 100


def test_damage_is_refused(own: str) -> None:
    """Wherever a word of the stack is another: what it leads the flow to is no picture, and breaks nothing."""
    data = vlcodec.compress_archive(pictures(8), model=own)
    for place in np.linspace(60, len(data) - 5, 3).astype(int):
        hurt = bytearray(data)
        hurt[place] ^= 64
        with pytest.raises(vlcodec.VlcodecError):
            vlcodec.decompress_archive(bytes(hurt))
        sound = bytes(hurt[:-4]) + zlib.crc32(bytes(hurt[:-4])).to_bytes(4, "little")
        with pytest.raises(vlcodec.VlcodecError):
            vlcodec.decompress_archive(sound)


def test_no_starter_no_archive(own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [e for e in registry.ENTRIES if zoo.takes(e).archives != "colour" or not zoo.takes(e).alone]
    monkeypatch.setattr(registry, "ENTRIES", left)
    with pytest.raises(ModelError, match="needs another one for an archive's first pictures"):
        vlcodec.compress_archive(pictures(3), model=own)


def test_a_single_lossless_file_is_refused_with_a_sentence(own: str) -> None:
    image = Image.fromarray(pictures(1)[0])
    with pytest.raises(ModelError, match="takes bits off a stack before it codes a pixel, and a single picture"):
        vlcodec.compress(image, model=own, lossless=True)
    file = picture_file.unpack(vlcodec.compress(image, model=own))
    header = replace(file.header, lossless=True)
    made = picture_file.pack(replace(file, header=header, bands=(picture_file.Band(b"\1\2\3", 0),)))
    with pytest.raises(FormatError, match="makes no lossless files of single pictures"):
        vlcodec.decompress(made)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_lossy_files(own: str, mode: str) -> None:
    image = Image.fromarray(pictures(1)[0]).convert(mode)
    data = vlcodec.compress(image, model=own)
    mean, sample, other = (
        vlcodec.decompress(data, **options) for options in ({"decode": "mean"}, {}, {"seed": 5})
    )
    assert {picture.mode for picture in (mean, sample, other)} == {mode}
    assert len({picture.tobytes() for picture in (mean, sample, other)}) == 3
    assert vlcodec.decompress(data).tobytes() == sample.tobytes()


def test_rates_in_parts(own: str) -> None:
    r = vlcodec.rate(Image.fromarray(pictures(2)[1]), model=own, samples=4)
    assert list(r.parts) == ["dequantisation", "logit", "8 bits", "log-determinants", "prior of y"]
    assert r.latents_kl + sum(r.parts.values()) == pytest.approx(r.elbo, abs=1e-6)
    assert r.chained
    assert 8 * r.lossless_bytes == pytest.approx(r.elbo, rel=0.01, abs=40)
    assert r.likelihood is not None
    assert r.lossy_bytes < 100
    assert "of it, log-determinants" in r.table()
    assert "added to an archive" in r.table()


def test_the_self_test_is_an_archive(own: str) -> None:
    checks = facade.selftest(model=own)
    assert all(check["ok"] for check in checks), checks
    assert "for 12 pictures" in checks[1]["detail"]


# ---- training ------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pictures_of, "HELD_OUT", 6)
    np.savez(tmp_path / pictures_of.FILE, train_images=pictures(30))
    return tmp_path


class Clock:
    """A twentieth of a second passes with each look at it."""

    def __init__(self) -> None:
        self._looks = count()

    def monotonic(self) -> float:
        return next(self._looks) / 20


@pytest.mark.slow
def test_training_learns_and_its_schedule_ends_with_the_minutes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOG_STEPS", 10)
    monkeypatch.setattr(loop, "WARM_UP_STEPS", 5)
    monkeypatch.setattr(loop, "time", Clock())
    seen = list[tuple[int, int]]()
    plain = recipe.FlowTask.arguments

    def noted(task: recipe.FlowTask, step: int, steps: int, rng: torch.Generator) -> tuple[Any, ...]:
        seen.append((step, steps))
        return plain(task, step, steps, rng)

    monkeypatch.setattr(recipe.FlowTask, "arguments", noted)
    shape = replace(recipe.SHAPE, **TINY)
    recipe.train(folder, tmp_path / "run", steps=None, minutes=0.15, batch=4, rate=5e-3, shape=shape)
    rows = [line.split(",") for line in (tmp_path / "run" / "log.csv").read_text().splitlines()[1:]]
    losses = [float(row[2]) for row in rows if not row[0].startswith("#")]
    assert len(losses) > 4
    assert losses[-1] < losses[0] - 0.3
    assert [steps < 1.1 * (step + 1) for step, steps in seen[-3:]] == [True] * 3
    step, steps = seen[len(seen) // 2]
    assert step / steps == pytest.approx(0.5, abs=0.05)
    assert len([row for row in rows if row[0] == "# held out"]) == 2


def test_a_mirrored_half_and_shares_of_both_posteriors() -> None:
    assert recipe.shares(("gaussian", "uniform"), 10) == [("gaussian", 8), ("uniform", 2)]
    assert recipe.shares(("gaussian",), 10) == [("gaussian", 10)]


def test_wide_layers_take_smaller_steps(folder: Path) -> None:
    net = Vapnev(replace(recipe.SHAPE, **TINY | {"flow_widths": (32, 8)}))
    task = recipe.FlowTask(net, *pictures_of.load(folder), 4, CPU, exported=False)
    (optimiser,) = task.optimisers(1e-3)
    found = {id(p): group["share"] for group in optimiser.param_groups for p in group["params"]}
    assert len(found) == len(list(net.parameters()))
    for name, p in net.named_parameters():
        assert found[id(p)] == (min(1.0, 192 / p.shape[-1]) if name.endswith("weight") else 1.0)


def test_values_far_from_all_expectations_pull_no_harder() -> None:
    d = torch.tensor([1.0, -8.0, 9.0, 1000.0], requires_grad=True)
    half_square(d, robust=True).sum().backward()
    assert d.grad is not None
    assert d.grad.tolist() == [1, -8, 8, 8]
    assert half_square(d, robust=False)[-1] == 500_000


@pytest.mark.parametrize(
    "arrays",
    [{}, {"train_images": np.zeros((3, 32, 32, 3), np.uint8)}, {"train_images": np.zeros((30, 32, 32), np.uint8)}],
)
def test_data_that_does_not_fit_is_refused(arrays: dict[str, Any], folder: Path) -> None:
    np.savez(folder / pictures_of.FILE, **arrays)
    with pytest.raises(ImageError, match="pictures must be"):
        pictures_of.load(folder)


def test_two_folders_and_other_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    train: Callable[..., Path] = facade.train
    with pytest.raises(ImageError, match="is in one folder"):
        train(NAME, [folder, folder], tmp_path / "a", steps=4)
    with pytest.raises(ModelError, match="takes nothing from weights of photo"):
        train(NAME, [folder], tmp_path / "b", steps=4, init=registry.by_name("photo").path)
