"""Training of the DVAE++ nets: exact resumption, the uniform posterior by itself, data."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dvaepp_parts import random_net, shape_of

from vlcodec.codec.errors import ImageError
from vlcodec.models.dvaepp import training
from vlcodec.models.dvaepp.data import Pictures, load_pictures
from vlcodec.models.training import loop


@pytest.mark.parametrize("name", ["dvaepp-caltech101", "dvaepp-mnist"])
def test_training_resumes_exactly(
    name: str, binary_sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chains included."""
    monkeypatch.setattr(loop, "SAVE_STEPS", 3)
    options: dict[str, Any] = {"steps": 6, "batch": 4, "shape": shape_of("binary")}
    straight = training.train(name, binary_sets, tmp_path / "a", **options)

    def stop(what: str, done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(name, binary_sets, tmp_path / "b", progress=stop, **options)
    resumed = training.train(name, binary_sets, tmp_path / "b", **options)
    assert all(torch.equal(v, resumed.state_dict()[k]) for k, v in straight.state_dict().items())
    assert (tmp_path / "a" / "log.csv").read_text().count("elbo") == 2


def test_the_uniform_posterior_is_trained_by_itself(binary_sets: Path, tmp_path: Path) -> None:
    """Its layers at the latents begin anew, and all others stay as they are."""
    options: dict[str, Any] = {"steps": 4, "batch": 8, "shape": shape_of("binary")}
    before = random_net("binary").state_dict()
    net = training.train("dvaepp-mnist", binary_sets, tmp_path, init=before, part="uniform", **options)
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    learned = {name for name in before if ".ends.uniform." in name}
    assert changed - {"rbm.chains"} == learned
    assert all(value.isfinite().all() for value in net.state_dict().values())


def test_a_schedule_by_the_clock_ends_with_the_minutes(
    binary_sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However fast it goes, the last step's learning rate is what a schedule ends with."""
    rates = list[float]()

    def noted(peak: float, step: int, steps: int, decay_from: float) -> float:
        rates.append(rate(peak, step, steps, decay_from))
        return rates[-1]

    rate = loop.learning_rate
    monkeypatch.setattr(loop, "WARM_UP_STEPS", 1)
    monkeypatch.setattr(loop, "learning_rate", noted)
    training.train(
        "dvaepp-mnist", binary_sets, tmp_path, steps=None, minutes=0.05, batch=2, shape=shape_of("binary"), rate=1e-3
    )
    assert len(rates) > 10
    assert max(rates) == 1e-3
    assert rates[-1] < 2e-4


def test_silhouettes_are_moved_and_mirrored() -> None:
    x = torch.zeros(1, 28, 28, 1, dtype=torch.uint8)
    x[0, 10, 5] = 1
    batch = Pictures(x, x, moved=2, mirrored=True).batch(400, torch.Generator().manual_seed(0))
    places = {tuple(at) for at in batch[..., 0].nonzero()[:, 1:].tolist()}
    assert places == {(10 + r, c + d) for r in range(-2, 3) for c in (5, 22) for d in range(-2, 3)}
    assert (batch.sum((1, 2, 3)) == 1).all()


def test_sets_that_are_missing_or_wrong(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"must be at cifar10\.npz in the data folder"):
        load_pictures("dvaepp-cifar10", tmp_path)
    np.savez(tmp_path / "cifar10.npz", train_images=np.zeros((1000, 32, 32, 3), np.uint8))
    with pytest.raises(ImageError, match="must hold more than 1000 training pictures"):
        load_pictures("dvaepp-cifar10", tmp_path)
    np.savez(tmp_path / "cifar10.npz", train_images=np.zeros((1002, 32, 32, 3), np.uint8))
    found = load_pictures("dvaepp-cifar10", tmp_path)
    assert (len(found.train), len(found.valid), found.mirrored) == (2, 1000, True)
    with pytest.raises(ImageError, match="mnist_static_binarized"):
        load_pictures("dvaepp-mnist", tmp_path)
