"""The AGAVE's objective, and its training."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from agave_parts import NARROW, SMALL, pictures, random_ladder

from vlcodec.codec.errors import ImageError
from vlcodec.models.agave import data as cifar10
from vlcodec.models.agave import training as agave_recipe
from vlcodec.models.agave.net import LadderAgave
from vlcodec.models.layers.causal_pixels import centred
from vlcodec.models.layers.mode import Mode, set_mode
from vlcodec.models.training import loop
from vlcodec.models.training.recipe import take_what_fits

# ---- objective -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [256, 64, 8])
def test_the_auxiliary_decoder_is_equation_8(levels: int) -> None:
    """Against the equation, written out for every pixel, with cells between whole levels."""
    net = random_ladder(aux_levels=levels)
    x = centred(pictures(1))
    fz = torch.randint(-500, 500, (1, 32, 32, 5), generator=torch.Generator().manual_seed(0)).float()
    with torch.no_grad():
        found = float(net.auxiliary_nats(x, fz)[0])
        scale = 0.002 * torch.exp(net.aux_scale(torch.zeros(1, 1)).clamp(0, 191) / 16)[0].double()
    c = 256 // levels
    y, mean = x[0].double() + 128, fz[0, ..., :3].double() / 4 + 128
    low = c * torch.floor(y / c) - 0.5
    upper, lower = (torch.sigmoid((edge - mean) / scale) for edge in (low + c, low))
    mass = torch.where(low + c > 255, 1.0, upper) - torch.where(low < 0, 0.0, lower)
    mass = mass * (1 - 2.0**-14) + 2.0**-14 * c / 256
    assert found == pytest.approx(float(-mass.log().sum() / 1024), rel=1e-3)


def test_a_coarse_auxiliary_picture_leaves_the_details_of_the_mean_image_out() -> None:
    net = random_ladder(aux_stride=4)
    with torch.no_grad():
        fz, *_ = net.infer(centred(pictures(2)), "gaussian")
    mean = fz[..., :3]
    blocks = mean.view(2, 8, 4, 8, 4, 3)
    assert (blocks == blocks[:, :, :1, :, :1]).all()
    assert (mean == mean.round()).all()
    terms = net.losses(centred(pictures(2)), [("gaussian", 2)])
    assert (terms["auxiliary"] > 0).all()


def test_apart_the_halves_do_not_touch() -> None:
    net = random_ladder()
    x = centred(pictures(4))
    net.objective(x, [("gaussian", 2), ("uniform", 2)], torch.tensor(1.0), apart=True)["pixels"].sum().backward()
    assert all(p.grad is None or not p.grad.any() for n, p in net.named_parameters() if not n.startswith("pixels."))
    assert net.pixels.predictor.weight.grad is not None


def test_each_quality_has_its_lambda() -> None:
    net = random_ladder(finer=(2.0, 0.5))
    kinds = [(kind, 1) for kind in net.kinds]
    with torch.no_grad():
        terms = net.objective(centred(pictures(4)), kinds, torch.tensor(0.5))
    weighed = (torch.tensor([8.0, 8.0, 2.0, 0.5]) * terms["kl"]).mean() / 2
    expected = terms["pixels"].mean() + terms["auxiliary"].mean() + weighed
    assert float(terms["loss"]) == pytest.approx(float(expected))


def test_a_new_quality_begins_as_the_first() -> None:
    weights = agave_recipe.with_finer(random_ladder().state_dict())
    net = random_ladder(seed=1, finer=(2.0, 0.5))
    take_what_fits(net, weights)
    ends = [net.levels[1].ends[kind].state_dict() for kind in ("uniform", "uniform-2", "uniform-3")]  # type: ignore
    assert all(torch.equal(one, ends[0][name]) for end in ends for name, one in end.items())


def gradients(net: LadderAgave, term: str, **options: Any) -> dict[str, torch.Tensor]:
    """Of a term, by the names of what it reaches."""
    net.zero_grad()
    torch.manual_seed(0)
    net.losses(centred(pictures(2)), [("gaussian", 2)], **options)[term].sum().backward()
    return {name: p.grad for name, p in net.named_parameters() if p.grad is not None and p.grad.any()}


def test_a_vlaes_latents_answer_for_pixels_alone() -> None:
    net = random_ladder(auxiliary=False)
    told = gradients(net, "pixels")
    assert any(name.startswith("encoder.") for name in told)
    rows = told["leave.weight"].view(4, 5, -1)
    assert not rows[:, :3].any()
    assert rows[:, 3:].any()
    assert gradients(net, "auxiliary").keys() == {"leave.weight", "leave.bias", "aux_scale.bias"}


def test_a_new_pixelcnn_teaches_by_degrees() -> None:
    net = random_ladder(auxiliary=False)
    apart, half, whole = (gradients(net, "pixels", joined=share) for share in (0.0, 0.5, 1.0))
    assert all(name.startswith("pixels.") for name in apart)
    name = "encoder.enter.weight"
    assert torch.allclose(2 * half[name], whole[name], rtol=1e-3, atol=1e-6)
    assert torch.equal(apart["pixels.predictor.weight"], whole["pixels.predictor.weight"])
    assert "encoder.enter.weight" in gradients(net, "auxiliary", joined=0.0)


def test_free_nats_leave_the_kl_alone() -> None:
    x, kinds = centred(pictures(2)), [("uniform", 2)]
    losses = []
    for free in (0.0, 1e6):
        net = random_ladder(free_nats=free)
        torch.manual_seed(0)
        losses.append(net.objective(x, kinds, torch.tensor(1.0)))  # type: ignore[arg-type]
    for name in ("kl", "pixels", "auxiliary"):
        assert torch.equal(losses[0][name], losses[1][name])
    assert losses[1]["loss"] > 1e6 > losses[0]["loss"]


def test_rounding_changes_training_little() -> None:
    """The pass that training takes first folds gains into weights, and leaves all rounding out."""
    net, x = random_ladder(), centred(pictures(4))
    terms = []
    modes: tuple[Mode, ...] = ("training", "simulated")
    for mode in modes:
        set_mode(net, mode)
        torch.manual_seed(0)
        terms.append(net.losses(x, [("gaussian", 2), ("uniform", 2)]))
    for name, value in terms[0].items():
        assert torch.allclose(value, terms[1][name], rtol=0.05, atol=0.02), name


# ---- training ------------------------------------------------------------------------------------------------------


def test_a_set_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"must be at cifar10\.npz in the data folder"):
        cifar10.load_cifar10(tmp_path)


def test_training_resumes_exactly(cifar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SAVE_STEPS", 3)
    options: dict[str, Any] = {"steps": 6, "batch": 4, "shape": replace(agave_recipe.SHAPE, **SMALL)}
    straight = agave_recipe.train(cifar_folder, tmp_path / "a", **options)

    def stop(what: str, done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        agave_recipe.train(cifar_folder, tmp_path / "b", progress=stop, **options)
    resumed = agave_recipe.train(cifar_folder, tmp_path / "b", **options)
    assert all(torch.equal(v, resumed.state_dict()[k]) for k, v in straight.state_dict().items())
    last = (tmp_path / "a" / "log.csv").read_text().splitlines()[-2:]
    assert all("bpd" in line and "psnr" in line for line in last)


def test_a_run_from_exported_weights_stays_joint_when_it_is_resumed(cifar_folder: Path) -> None:
    """A checkpoint brings back that it began with exported weights, into a task that was made without them."""
    task = agave_recipe.SmallTask(
        random_ladder(), cifar10.load_cifar10(cifar_folder), 4, torch.device("cpu"), joint=False, exported=False
    )
    _, anneal, _, apart, exact = task.arguments(0, 100, torch.Generator())
    assert (float(anneal) < 1, apart, exact) == (True, True, False)
    task.exported = True
    _, anneal, _, apart, exact = task.arguments(0, 100, torch.Generator())
    assert (float(anneal), apart, exact) == (1.0, False, False)


@pytest.mark.parametrize("exported", [False, True])
def test_rounding_is_simulated_at_the_end(cifar_folder: Path, exported: bool) -> None:
    net, data = random_ladder(), cifar10.load_cifar10(cifar_folder)
    task = agave_recipe.SmallTask(net, data, 4, torch.device("cpu"), joint=False, exported=exported)
    modes = []
    for step in (0, 91, 92, 99):
        *_, exact = task.arguments(step, 100, torch.Generator())
        modes.append(net.mode)
        assert exact == (net.mode == "simulated")
    assert modes == ["training", "training", "simulated", "simulated"]


def test_training_starts_from_another_agaves_pixels(cifar_folder: Path, tmp_path: Path) -> None:
    related = random_ladder(5, stream=1).state_dict()
    net = LadderAgave(replace(agave_recipe.SHAPE, **SMALL))
    take_what_fits(net, related)
    near, old = net.state_dict()["pixels.net.near.0.weight"], related["pixels.net.near.0.weight"]
    assert torch.equal(near[:, : old.shape[1]], old)
    assert not near[:, old.shape[1] :].any()
    options: dict[str, Any] = {"steps": 1, "batch": 2, "rate": 1e-9, "joint": True}
    options["shape"] = replace(agave_recipe.SHAPE, **SMALL)
    options["related"] = {k: v for k, v in related.items() if "predictor" in k}
    trained = agave_recipe.train(cifar_folder, tmp_path / "k", **options)
    assert torch.allclose(trained.pixels.predictor.weight, related["pixels.predictor.weight"], atol=1e-6)


def test_the_pixelcnn_alone(cifar_folder: Path, tmp_path: Path) -> None:
    shape = replace(agave_recipe.SHAPE, **SMALL | NARROW)
    torch.manual_seed(0)
    start = LadderAgave(shape).state_dict()
    options: dict[str, Any] = {"steps": 2, "batch": 4, "shape": shape, "init": start, "part": "pixels"}
    trained = agave_recipe.train(cifar_folder, tmp_path, **options).state_dict()
    changed = {name for name, value in start.items() if not torch.equal(value, trained[name])}
    assert changed
    assert all(name.startswith("pixels.") for name in changed)


def test_minutes_end_the_schedule(cifar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by a second for each group of weights at each step: whatever the steps asked for."""
    clock, rates = [0.0], list[float]()

    def passed(peak: float, step: int, steps: int, decay_from: float) -> float:
        clock[0] += 1
        rates.append(plain(peak, step, steps, decay_from))
        return rates[-1]

    plain = loop.learning_rate
    monkeypatch.setattr(loop, "WARM_UP_STEPS", 1)
    monkeypatch.setattr(loop, "learning_rate", passed)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    shape = replace(agave_recipe.SHAPE, **SMALL | {"dilations": (1,)})
    agave_recipe.train(cifar_folder, tmp_path, shape=shape, batch=2, steps=None, minutes=20.0, rate=1e-9)
    assert rates[0] == rates[len(rates) // 2] == 1e-9
    assert 0.01e-9 <= rates[-1] < 0.1e-9
