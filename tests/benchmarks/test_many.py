"""Benchmarks of batches, of opening files and of everyday pictures as whole scripts, on few pictures."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

batches, batch_memory, opening = map(importlib.import_module, ("batches", "batch_memory", "opening"))
everyday, many_files, memory = map(importlib.import_module, ("everyday", "many_files", "memory"))


def test_photographs_of_a_batch_are_middles(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    wide = memory.photo_like(516, 512)
    tall = wide.transpose(Image.Transpose.ROTATE_90)
    for name, image in (("a.png", wide), ("b.png", memory.photo_like(400, 700)), ("c.png", tall)):
        image.save(tmp_path / "from" / name)
    batches.fill(tmp_path / "to", "photos", [tmp_path / "from"], 5)
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == ["00000.png", "00001.png"]
    with Image.open(tmp_path / "to" / "00000.png") as made:
        assert made.tobytes() == wide.crop((2, 0, 514, 512)).tobytes()


def test_ways_of_a_batch_are_held_against_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.photo_like(600, 520).save(tmp_path / "a.png")
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
    memory.photo_like(600, 520).save(tmp_path / "a.png")
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
    sample = Path(__file__).parents[2] / "samples" / "landscape.q1.vlz"
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
            memory.photo_like(20 + number, 20).save(tmp_path / name / f"{number}.png")
    sources = [str(tmp_path / "small"), str(tmp_path / "photos")]
    many_files.main([*sources, "--small", "11", "--photos", "2", "--out", str(tmp_path / "a.json")])
    found = json.loads((tmp_path / "a.json").read_text())
    assert (found["small"], found["photos"], len(found["mib"])) == (11, 2, 10)
    assert min(found["mib"]) > 10
