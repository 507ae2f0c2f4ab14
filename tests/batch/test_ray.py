"""Runs on a real Ray cluster of two workers, begun here: the bytes of a run without it, whatever dies."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batch.dying import DyingOutput
from batch.engines import snippet
from batch.pictures import SMALL, picture

import vlcodec
from vlcodec.batch import CompressOptions, driver, run
from vlcodec.codec.errors import ModelError

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore")]  # of what Ray warns, in any version
ray = pytest.importorskip("ray")
parquet = pytest.importorskip("pyarrow.parquet")
OPTIONS = CompressOptions(model=SMALL, device="cpu", lossless=True)
MANY, BROKEN = 200, 2  # one in a hundred


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))  # workers import what dies
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=2**27)
    yield
    ray.shutdown()


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A folder of pictures, a few of them cut off."""
    place = tmp_path / "many"
    place.mkdir()
    for number in range(MANY):
        data = picture(number)
        (place / f"{number:03}.png").write_bytes(data[:90] if number % (MANY // BROKEN) == 7 else data)
    return place


def rows(out: Path) -> dict[str, dict[str, Any]]:
    """All rows, by id; none of them twice."""
    found = parquet.read_table(out).to_pylist()
    by_id = {row["id"]: row for row in found}
    assert len(by_id) == len(found)
    return by_id


@pytest.mark.usefixtures("cluster")
def test_both_engines_write_the_same_shards(many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made, whole = run("many", Path("ray"), "compress", OPTIONS, engine="ray", jobs=2, rows=40)
    run(str(many), tmp_path / "local", "compress", OPTIONS, jobs=1, rows=40)
    assert (made.pictures, made.failed) == (whole.pictures, whole.failed) == (MANY - BROKEN, BROKEN)
    one, other = ({path.name: path.read_bytes() for path in (tmp_path / e).glob("*.parquet")} for e in ("ray", "local"))
    assert one == other
    again, whole = run(str(many), tmp_path / "ray", "compress", OPTIONS, engine="ray", jobs=2)
    assert (again.pictures, again.failed, whole.pictures) == (0, 0, MANY - BROKEN)
    with pytest.raises(ModelError, match="has qualities 1 to 3, not 9"):
        run("many", Path("nine"), "compress", CompressOptions(model=SMALL, quality=9), engine="ray", jobs=1)


@pytest.mark.usefixtures("cluster")
def test_killed_workers_lose_nothing(many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "Output", DyingOutput)
    run(str(many), tmp_path / "out", "compress", OPTIONS, engine="ray", jobs=2, rows=20)
    assert {path.name for path in tmp_path.glob("out *")} == {"out in a write", "out between two writes"}
    found = rows(tmp_path / "out")
    assert sorted(found) == [f"{number:03}.png" for number in range(MANY)]
    assert sum(row["error"] is not None for row in found.values()) == BROKEN
    wanted = vlcodec.compress(picture(5), model=SMALL, lossless=True, device="cpu")
    assert found["005.png"]["vlz"] == wanted


@pytest.mark.usefixtures("cluster")
def test_the_class_serves_rays_own_readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As docs/scale.md has it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number in range(4):
        (tmp_path / "photos" / f"{number}.png").write_bytes(picture(number, 20) if number else b"broken")
    code = snippet("ray")
    for name in ("photos", "files"):  # workers have a folder of their own
        code = code.replace(f'"{name}"', repr(str(tmp_path / name)))
    exec(compile(code, "scale.md", "exec"), {})
    found = {Path(row["path"]).name: row for row in parquet.read_table(tmp_path / "files").to_pylist()}
    assert sorted(found) == [f"{number}.png" for number in range(4)]
    assert found["0.png"]["error"].startswith("not a picture")
    for number in range(1, 4):
        made = vlcodec.compress(picture(number, 20), lossless=True, device="cpu", model="photo")
        assert found[f"{number}.png"]["vlz"] == made


def test_a_cluster_is_begun_and_ended(many: Path, tmp_path: Path) -> None:
    ray.shutdown()
    made, _ = run(str(many / "00*.png"), tmp_path / "out", "compress", OPTIONS, engine="ray", jobs=1)
    assert (made.pictures, made.failed) == (9, 1)
    assert not ray.is_initialized()
