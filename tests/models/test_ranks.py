"""Several processes train one net: what one would with their whole batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vlcodec.codec.errors import ModelError
from vlcodec.models.photo.training import split_batch
from vlcodec.models.training.ranks import Ranks, here, joined

SCRIPT, TESTS = Path(__file__).with_name("ranks_run.py"), Path(__file__).parents[1]
Weights = dict[str, Tensor]


def train(
    out: Path,
    processes: int,
    batch: int = 12,
    steps: int = 250,
    end: int = -1,
    noise: float = 0.0,
    minutes: float = 0.0,
) -> list[Weights]:
    """The weights that each process ends with, of those that do."""
    words = [str(word) for word in (SCRIPT, out, batch, steps, end, noise, minutes)]
    if processes > 1:
        words = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *words]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *words], cwd=TESTS, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [torch.load(path) for path in sorted(out.glob("weights-*.pt"))]


def distance(one: Weights, other: Weights) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [7, 12])
def test_two_train_what_one_does_with_their_whole_batch(batch: int, tmp_path: Path) -> None:
    (alone,) = train(tmp_path / "one", 1, batch)
    both = train(tmp_path / "two", 2, batch)
    assert distance(both[0], both[1]) == 0
    assert distance(alone, both[0]) < 1e-5
    (half,) = train(tmp_path / "half", 1, batch // 2)
    assert distance(alone, half) > 1e-3
    logs = [(tmp_path / name / "log.csv").read_text().splitlines() for name in ("one", "two")]
    assert len(logs[0]) == len(logs[1]) == 5  # a head, two rows, the end, the measure
    for one, two in zip(logs[0][1:3], logs[1][1:3], strict=True):
        assert [float(x) for x in one.split(",")[2:]] == pytest.approx([float(x) for x in two.split(",")[2:]], abs=2e-5)
    assert logs[1][4] == "# held out,rank 0.0000"
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == [
        "checkpoint.pt", "log.csv", "weights-0.pt", "weights-1.pt"
    ]  # fmt: skip


@pytest.mark.slow
def test_they_go_on_exactly(tmp_path: Path) -> None:
    """Noise of each process included."""
    whole = train(tmp_path / "whole", 2, noise=0.3, steps=120)
    assert train(tmp_path / "part", 2, noise=0.3, steps=120, end=50) == []
    again = train(tmp_path / "part", 2, noise=0.3, steps=120)
    assert distance(whole[0], again[0]) == distance(again[0], again[1]) == 0
    (alone,) = train(tmp_path / "alone", 1, noise=0.3, steps=120)
    assert distance(alone, whole[0]) > 1e-4  # whose second half of the noise is another one


@pytest.mark.slow
def test_another_number_of_processes_goes_on(tmp_path: Path) -> None:
    train(tmp_path, 1, steps=120, end=50)
    both = train(tmp_path, 2, steps=120)
    (alone,) = train(tmp_path / "alone", 1, steps=120)
    assert distance(alone, both[0]) < 1e-5


@pytest.mark.slow
def test_the_clock_stops_all_at_one_step(tmp_path: Path) -> None:
    both = train(tmp_path, 2, steps=10**9, minutes=0.02)
    assert distance(both[0], both[1]) == 0


def test_shares_are_whole_and_weighed() -> None:
    x, scalar = torch.arange(7), torch.tensor(3.0)
    shares = [Ranks(rank, 3).share((x, scalar, True)) for rank in range(3)]
    assert sorted(torch.cat([own[0] for own, _ in shares]).tolist()) == list(range(7))
    assert all(own[1:] == (scalar, True) for own, _ in shares)
    means = torch.stack([weight * own[0].double().mean() for own, weight in shares])
    assert float(means.mean()) == pytest.approx(3.0)
    with pytest.raises(ModelError, match="a batch of 7 cannot be shared by 8 processes"):
        Ranks(0, 8).share((x,))


def test_shares_of_a_photo_batch_have_its_qualities() -> None:
    """Every quality has a part of a batch, one after the other, and the same part of every share."""
    whole, half = (torch.tensor([q for q, n in split_batch(size, 6) for _ in range(n)]) for size in (32, 16))
    for rank in range(2):
        ((own,), weight) = Ranks(rank, 2).share((whole,))
        assert (own.tolist(), weight) == (half.tolist(), 1.0)


def test_without_torchrun_there_is_one() -> None:
    with joined("cpu") as device:
        assert (here(), device) == (Ranks(0, 1), "cpu")
    arguments = (torch.arange(2),)
    assert Ranks().share(arguments) == (arguments, 1.0)
