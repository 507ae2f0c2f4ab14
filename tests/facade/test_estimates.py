"""What work is expected to take, told before it is done."""

import json
import threading
import time
from pathlib import Path

import pytest
from commands import failure, loaded, ok
from PIL import Image

import vlcodec
from vlcodec import estimates, facade
from vlcodec.codec.files.picture_file import Header
from vlcodec.estimates import PACE, START, Estimate, expected, of_header

HEADER = Header(9, b"ab", 4000, 3000, False, True, 1, 0, 2)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "_compiled", lambda: True)


@pytest.mark.parametrize(
    ("work", "size", "jobs", "measured"),
    [
        ("compress --lossless", (774, 516), 2, 2.00),
        ("decompress", (774, 516), 2, 2.35),
        ("sample", (774, 516), 2, 1.66),
        ("compress --lossless", (3000, 2000), 1, 29.94),
        ("compress --lossless", (3000, 2000), 2, 23.59),
        ("decompress", (3000, 2000), 1, 32.79),
        ("decompress", (3000, 2000), 2, 23.26),
        ("sample", (3000, 2000), 2, 17.14),
        ("compress", (768, 512), 2, 0.305),
        ("mean", (768, 512), 2, 0.519),
    ],
)
def test_it_is_what_the_benchmarks_took(
    work: estimates.Work, size: tuple[int, int], jobs: int, measured: float
) -> None:
    """docs/benchmarks.md, of the calls alone; a process starts first."""
    assert expected(work, *size, jobs).seconds - START == pytest.approx(measured, rel=0.15)


def test_more_takes_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    for work in PACE:
        small, large = expected(work, 100, 100, 1), expected(work, 1000, 2000, 1)
        assert START < small.seconds < large.seconds
        assert small.memory < large.memory
    one, two = (expected("decompress", 1000, 5000, jobs) for jobs in (1, 2))
    assert two.seconds < one.seconds
    assert two.memory > one.memory
    assert expected("decompress", 1000, 500, 2) == expected("decompress", 1000, 500, 1)  # one band is one thread's
    fast = expected("sample", 1000, 1000, 1).seconds
    monkeypatch.setattr(estimates, "_compiled", lambda: False)
    assert expected("sample", 1000, 1000, 1).seconds > 3 * fast


def test_a_file_says_which_work_it_takes() -> None:
    sizes = (HEADER.width, HEADER.height)
    assert of_header(HEADER, jobs=2) == expected("decompress", *sizes, 2)
    assert of_header(HEADER, "mean", 2) == expected("mean", *sizes, 2)
    data = vlcodec.compress(Image.new("L", (20, 30)), model="photo")
    assert vlcodec.expected_to_decompress(data[:40], jobs=1) == expected("sample", 20, 30, 1)
    placeholder = vlcodec.compress(Image.new("L", (20, 30)), quality=0)
    assert vlcodec.expected_to_decompress(placeholder) == expected("mean", 20, 30)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (60, 40), "teal").save(tmp_path / "a.png")
    Image.new("RGBA", (60, 40)).save(tmp_path / "b.tif")
    return tmp_path


@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA"])
def test_a_file_without_a_model_is_expected_too(mode: str) -> None:
    data = vlcodec.compress(Image.new(mode, (20, 30)), lossless=True)
    assert vlcodec.expected_to_decompress(data) == expected("kept", 20, 30)


def test_a_dry_run_writes_nothing(folder: Path) -> None:
    line = expected("compress --lossless", 60, 40)
    assert ok("compress", "a.png", "--lossless", "--dry-run", cwd=folder) == f"a.png  60x40, {line}\n"
    found = json.loads(ok("compress", "a.png", "--dry-run", "--json", cwd=folder))
    assert (found["input"], found["width"], found["height"]) == ("a.png", 60, 40)
    assert found["memory"] == expected("compress", 60, 40).memory
    assert sorted(path.name for path in folder.iterdir()) == ["a.png", "b.tif"]

    (folder / "a.vlz").write_bytes(vlcodec.compress(folder / "a.png", lossless=True, model="photo"))
    assert ok("compress", "a.png", "--lossless", "--dry-run", cwd=folder) == f"a.png  60x40, {line}\n"
    text = ok("decompress", "a.vlz", "--dry-run", "--decode", "mean", cwd=folder)
    assert text == f"a.vlz  60x40, {expected('mean', 60, 40)}\n"
    assert not (folder / "a.vlz.png").exists()
    assert loaded("decompress", "a.vlz", "--dry-run", cwd=folder).isdisjoint({"torch", "numba", "constriction"})
    text = ok("info", "a.vlz", cwd=folder)
    assert f"\n  expected     {expected('decompress', 60, 40)} to decompress\n" in text


def test_a_dry_run_refuses_what_the_header_tells(folder: Path) -> None:
    (folder / "c.png").write_bytes(b"no picture")
    assert "c.png: not a picture" in failure("compress", "c.png", "--dry-run", cwd=folder)
    assert "c.png: not a .vlz file" in failure("decompress", "c.png", "--dry-run", cwd=folder)


def test_a_picture_of_too_many_pixels_is_refused(folder: Path) -> None:
    ok("compress", "a.png", "--max-pixels", "2400", "--quiet", cwd=folder)
    rule = "a.png: too large: 60 x 40 are more than 2,399 pixels"
    assert rule in failure("compress", "a.png", "--max-pixels", "2399", "--force", cwd=folder)


def test_pictures_side_by_side_share_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many at a time as fit, and one that does not fit alone."""
    each = estimates.needed(1000, 1000)[0]
    monkeypatch.setattr(estimates, "present_memory", lambda: estimates.PROCESS_BYTES + 2 * each)
    room, lock, at_work, most = facade.Room(), threading.Lock(), [0], list[int]()

    def work(memory: int) -> None:
        with room.of(Estimate(1000, 1000, 1.0, estimates.PROCESS_BYTES + memory)):
            with lock:
                at_work[0] += 1
                most.append(at_work[0])
            time.sleep(0.01)
            with lock:
                at_work[0] -= 1

    list(facade.side_by_side(work, [each] * 8, 8))
    assert max(most) == 2
    most.clear()
    list(facade.side_by_side(work, [3 * each] * 3, 3))
    assert most == [1, 1, 1]
    with room.of(None):
        assert room._users == 1
