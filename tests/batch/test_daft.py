"""Another engine wraps the same class: Daft, as docs/scale.md has it."""

from pathlib import Path

import pytest
from batch.engines import snippet
from batch.pictures import picture

import vlcodec

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore")]  # of what Daft warns, in any version
pytest.importorskip("daft")
parquet = pytest.importorskip("pyarrow.parquet")


def test_the_snippet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number in range(4):
        (tmp_path / "photos" / f"{number}.png").write_bytes(picture(number, 20) if number else b"broken")
    exec(compile(snippet("daft"), "scale.md", "exec"), {"__name__": "snippet"})
    found = {Path(row["path"]).name: row for row in parquet.read_table(tmp_path / "files").to_pylist()}
    assert sorted(found) == [f"{number}.png" for number in range(4)]
    assert found["0.png"]["error"].startswith("not a picture")
    for number in range(1, 4):
        assert found[f"{number}.png"]["vlz"] == vlcodec.compress(picture(number, 20), lossless=True, model="photo")
