"""Runs on this machine: sources, outputs, second runs, workers and drivers that die."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import commands
import pytest
from batch.dying import DeadlyOutput, DyingOutput
from batch.pictures import SMALL, picture
from PIL import Image

import vlcodec
from vlcodec.batch import CompressOptions, DecompressOptions, driver, run
from vlcodec.codec.errors import ModelError, OutputError, VlcodecError

pa = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402

OPTIONS = CompressOptions(model=SMALL, device="cpu")
IDS = ["a.png", "b/broken.png", "b/c.png", "b/d.png"]


def rows(out: Path) -> dict[str, dict[str, Any]]:
    """All rows of an output, by id; none of them twice."""
    found = parquet.read_table(out).to_pylist()
    by_id = {row["id"]: row for row in found}
    assert len(by_id) == len(found)
    return by_id


def check_rows(out: Path, lossless: bool = False) -> None:
    """Of the pictures in the fixture `folder`."""
    found = rows(out)
    assert sorted(found) == IDS
    for name, number in (("a.png", 0), ("b/c.png", 1), ("b/d.png", 2)):
        assert found[name]["error"] is None
        wanted = vlcodec.compress(picture(number), model=SMALL, lossless=lossless, device="cpu")
        assert found[name]["vlz"] == wanted
        assert found[name]["bytes_out"] == len(wanted)
    assert found["b/broken.png"]["vlz"] is found["b/broken.png"]["bytes_out"] is None
    assert found["b/broken.png"]["error"].startswith("damaged or cut short")


def state(out: Path) -> dict[str, tuple[int, bytes]]:
    """Every file, with the time it was made at."""
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in out.rglob("*") if path.is_file()}


def test_a_folder_becomes_a_table(folder: Path, tmp_path: Path) -> None:
    seen = list[tuple[str, int, int]]()
    how: dict[str, Any] = {"jobs": 1, "rows": 3, "progress": lambda *said: seen.append(said)}
    made, whole = run(str(folder), tmp_path / "out", "compress", OPTIONS, **how)
    check_rows(tmp_path / "out")
    assert (made.pictures, made.failed) == (whole.pictures, whole.failed) == (3, 1)
    assert made.plain == sum(len(picture(number)) for number in range(3))
    assert made.coded == sum(row["bytes_out"] or 0 for row in rows(tmp_path / "out").values())
    assert sum(whole.rates.values()) == 3
    assert [(done, total) for _, done, total in seen] == [(3, 4), (4, 4)]
    assert "pictures/s" in seen[0][0]
    shards = sorted((tmp_path / "out").glob("*.parquet"))
    assert len(shards) == 2
    stats = [json.loads((tmp_path / "out" / "_stats" / f"{shard.stem}.json").read_text()) for shard in shards]
    assert sum(part["pictures"] for part in stats) == 3
    assert {name for part in stats for name in part["errors"]} == {"b/broken.png"}
    assert not list((tmp_path / "out").rglob("*.part"))


def test_a_second_run_does_what_is_missing_alone(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(str(folder), out, "compress", OPTIONS, jobs=1)
    before = state(out)
    made, whole = run(str(folder), out, "compress", OPTIONS, jobs=1)
    assert (made.pictures, made.failed, whole.pictures, whole.failed) == (0, 0, 3, 1)
    assert {path: found for path, found in state(out).items() if "_run" not in path} == {
        path: found for path, found in before.items() if "_run" not in path
    }
    (folder / "b" / "new.png").write_bytes(picture(9))
    made, whole = run(str(folder), out, "compress", OPTIONS, jobs=1)
    assert (made.pictures, whole.pictures) == (1, 4)
    assert sorted(rows(out)) == [*IDS, "b/new.png"]
    shard = next(out.glob("*.parquet"))
    shard.unlink()
    run(str(folder), out, "compress", OPTIONS, jobs=1)
    assert sorted(rows(out)) == [*IDS, "b/new.png"]


def test_a_retry_writes_the_same(folder: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        run(str(folder), tmp_path / name, "compress", OPTIONS, jobs=1, rows=2)
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / n).glob("*.parquet")} for n in ("one", "two"))
    assert first == second
    run(str(folder), tmp_path / "other", "compress", CompressOptions(model=SMALL, seed=1, device="cpu"), jobs=1, rows=2)
    assert {p.name for p in (tmp_path / "other").glob("*.parquet")}.isdisjoint(first)


def test_other_settings_are_another_output(folder: Path, tmp_path: Path) -> None:
    run(str(folder), tmp_path / "out", "compress", OPTIONS, jobs=1)
    other = CompressOptions(model=SMALL, device="cpu", lossless=True, seed=3)
    with pytest.raises(OutputError, match="made with other settings: lossless, seed"):
        run(str(folder), tmp_path / "out", "compress", other, jobs=1)
    with pytest.raises(OutputError, match="not empty, and not the output of a batch"):
        run(str(folder), folder, "compress", OPTIONS, jobs=1)
    with pytest.raises(ModelError, match="has qualities 1 to 3, not 9"):  # by a worker, whose error is the run's
        run(str(folder), tmp_path / "nine", "compress", CompressOptions(model=SMALL, quality=9), jobs=2)
    with pytest.raises(VlcodecError, match="is no folder, no file and no pattern"):
        run(str(tmp_path / "nowhere"), tmp_path / "x", "compress", OPTIONS, jobs=1)
    with pytest.raises(VlcodecError, match="the task rate makes no files"):
        run(str(folder), tmp_path / "x", "rate", OPTIONS, jobs=1, files=True)
    assert not (tmp_path / "x").exists()


def test_files_in_mirrored_folders_and_back(folder: Path, tmp_path: Path) -> None:
    (folder / "b" / "c.jpg").write_bytes(picture(4))  # another one of the same stem
    lossless = CompressOptions(model=SMALL, device="cpu", lossless=True)
    run(str(folder), tmp_path / "out", "compress", lossless, jobs=1, files=True)
    found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.vlz"))
    assert found == ["a.png.vlz", "b/c.jpg.vlz", "b/c.png.vlz", "b/d.png.vlz"]
    table = rows(tmp_path / "out" / "_table")
    assert "vlz" not in table["a.png"]
    assert table["b/c.png"]["bytes_out"] == (tmp_path / "out" / "b" / "c.png.vlz").stat().st_size
    made, _ = run(str(folder), tmp_path / "out", "compress", lossless, jobs=1, files=True)
    assert made.pictures == 0
    run(str(tmp_path / "out"), tmp_path / "back", "decompress", DecompressOptions(device="cpu"), jobs=1, files=True)
    for name in ("a.png", "b/c.png", "b/d.png"):
        with Image.open(tmp_path / "back" / f"{name}.vlz.png") as image, Image.open(folder / name) as original:
            assert image.tobytes() == original.tobytes()


def test_tars_patterns_and_parquet(
    folder: Path, tmp_path: Path, make_tar: Callable[[dict[str, bytes]], Path]
) -> None:
    members = {"000.png": picture(0), "000.json": b"{}", "001.png": picture(1), "../up.png": picture(2)}
    tar = make_tar(members | {"/x.png": b"", "2.jpg": b"?"})
    run(str(tar.parent), tmp_path / "out", "compress", OPTIONS, jobs=1)
    found = rows(tmp_path / "out")
    errors = {name: (row["error"] or "")[:20] for name, row in found.items()}
    assert errors == {
        "train-00.tar/000.png": "",
        "train-00.tar/001.png": "",
        "train-00.tar/../up.png": "its name leads out o",
        "train-00.tar//x.png": "its name leads out o",
        "train-00.tar/2.jpg": "not a picture: none ",
    }
    assert found["train-00.tar/001.png"]["vlz"] == vlcodec.compress(picture(1), model=SMALL, device="cpu")
    whole = tar.read_bytes()
    for cut in (1200, 1700, 700, 100):  # in a header, in a member, in the first ones
        tar.write_bytes(whole[:cut])
        run(str(tar), tmp_path / f"cut {cut}", "compress", OPTIONS, jobs=1)
        found = rows(tmp_path / f"cut {cut}")
        assert ("train-00.tar/000.png" in found) == (cut > 512)
        assert "tar" in found["train-00.tar"]["error"]

    given = pa.table({"image": [picture(n) for n in range(5)] + [None], "caption": list("abcdef")})
    parquet.write_table(given, tmp_path / "set.parquet", row_group_size=2)
    asked = CompressOptions(model=SMALL, device="cpu", column="image")
    run(str(tmp_path / "set.parquet"), tmp_path / "two", "compress", asked, jobs=1, rows=4)
    found = rows(tmp_path / "two")
    assert sorted(found) == [f"set.parquet/{n:08}" for n in range(6)]
    assert found["set.parquet/00000003"]["vlz"] == vlcodec.compress(picture(3), model=SMALL, device="cpu")
    assert found["set.parquet/00000005"]["error"] == "the row has no bytes"
    with pytest.raises(VlcodecError, match="has no column 'bytes': it has image, caption"):
        run(str(tmp_path / "set.parquet"), tmp_path / "three", "compress", OPTIONS, jobs=1)
    (tmp_path / "set.parquet").write_bytes(b"PAR1 and no more")
    run(str(tmp_path / "set.parquet"), tmp_path / "four", "compress", asked, jobs=1)
    assert rows(tmp_path / "four")["set.parquet"]["error"].startswith("cannot be read as parquet")

    run(str(folder / "**" / "c*.png"), tmp_path / "five", "compress", OPTIONS, jobs=1)
    assert list(rows(tmp_path / "five")) == ["b/c.png"]


def test_rates_and_decompression_of_an_output(folder: Path, tmp_path: Path) -> None:
    run(str(folder), tmp_path / "rates", "rate", OPTIONS, jobs=1)
    row = rows(tmp_path / "rates")["b/c.png"]
    report = vlcodec.rate(picture(1), model=SMALL, device="cpu").to_dict()
    numbers = {name: value for name, value in report.items() if name not in ("parts", "groups")}
    assert {name: row[name] for name in numbers} == pytest.approx(numbers, nan_ok=True)
    run(str(folder), tmp_path / "out", "compress", OPTIONS, jobs=1)
    how = DecompressOptions(column="vlz", device="cpu", decode="mean")
    _, whole = run(str(tmp_path / "out"), tmp_path / "back", "decompress", how, jobs=1)
    assert (whole.pictures, whole.failed) == (3, 1)


def test_two_processes_make_what_one_makes(folder: Path, tmp_path: Path) -> None:
    run(str(folder), tmp_path / "two", "compress", OPTIONS, jobs=2, rows=2)
    run(str(folder), tmp_path / "one", "compress", OPTIONS, jobs=1, rows=2)
    check_rows(tmp_path / "two")
    assert {p.name: p.read_bytes() for p in (tmp_path / "one").glob("*.parquet")} == {
        p.name: p.read_bytes() for p in (tmp_path / "two").glob("*.parquet")
    }


def test_killed_workers_lose_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "Output", DyingOutput)
    run(str(folder), tmp_path / "out", "compress", OPTIONS, jobs=2, rows=1)
    assert {path.name for path in tmp_path.glob("out *")} == {"out in a write", "out between two writes"}
    check_rows(tmp_path / "out")


@pytest.mark.slow
def test_a_unit_that_kills_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "Output", DeadlyOutput)
    with pytest.raises(VlcodecError, match="workers die: 3 did while they worked on pictures from"):
        run(str(folder), tmp_path / "out", "compress", OPTIONS, jobs=2, rows=1)
    assert "b/broken.png" not in rows(tmp_path / "out")
    monkeypatch.undo()
    run(str(folder), tmp_path / "out", "compress", OPTIONS, jobs=1)
    check_rows(tmp_path / "out")


def test_a_killed_driver_and_a_second_run(folder: Path, tmp_path: Path) -> None:
    for number in range(10, 40):
        (folder / f"{number}.png").write_bytes(picture(number))
    words = ["batch", str(folder), "-o", str(tmp_path / "out"), "--model", SMALL, "-j", "2", "--rows", "1", "--quiet"]
    first = subprocess.Popen([sys.executable, "-m", "vlcodec", *words, "--device", "cpu"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("out/*.parquet")):
        assert time.monotonic() < deadline
        assert first.poll() is None
        time.sleep(0.02)
    children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert len(children) >= 2
    while any(Path(f"/proc/{child}").exists() and "Z" not in status(child) for child in children):
        assert time.monotonic() < deadline  # workers end with their driver
        time.sleep(0.02)
    done = rows(tmp_path / "out")
    assert 0 < len(done) < 34
    made, whole = run(str(folder), tmp_path / "out", "compress", OPTIONS, jobs=1)
    assert made.pictures + made.failed == 34 - len(done)
    assert (whole.pictures, whole.failed) == (33, 1)
    assert len(rows(tmp_path / "out")) == 34


def status(process: str) -> str:
    """The state letter of a process that the test started."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_the_command(folder: Path, tmp_path: Path) -> None:
    words = ("batch", "pictures", "-o", "out", "--model", SMALL, "--device", "cpu", "-j", "1")
    done = commands.run(*words, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == b"vlcodec: 1 pictures failed: the column error in out says why\n"
    assert b"out: 3 pictures done; in all\n" in done.stdout
    assert b"bits/pixel" in done.stdout
    (folder / "b" / "broken.png").unlink()
    again = json.loads(commands.ok(*words, "--json", cwd=tmp_path))
    assert (again["made"]["pictures"], again["whole"]["pictures"], again["whole"]["failed"]) == (0, 3, 1)
    words = ("batch", "pictures", "-o", "rates", "--task", "rate", "--model", SMALL, "-j", "1")
    commands.ok(*words, "--quiet", cwd=tmp_path)
    assert len(rows(tmp_path / "rates")) == 3
    near = ("--near-lossless", "2", "-e", "2", "--model", SMALL, "-j", "1", "--quiet")
    commands.ok("batch", "pictures", "-o", "near", *near, cwd=tmp_path)
    assert {vlcodec.info(row["vlz"])["near_lossless"] for row in rows(tmp_path / "near").values()} == {2}
    for wrong in (
        ("--task", "decompress", "--lossless"), ("--task", "decompress", "-e", "3"), ("--decode", "mean"),
        ("--lossless", "--near-lossless", "1"), ("--task", "rate", "-e", "2"),
    ):  # fmt: skip
        assert commands.run("batch", "pictures", "-o", "no", *wrong, cwd=tmp_path).returncode == 2
    missing = commands.failure("batch", "pictures", "-o", "rates", "-j", "1", cwd=tmp_path)
    assert "made with other settings: model, task" in missing
