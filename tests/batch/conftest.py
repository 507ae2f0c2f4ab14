"""Sources for the tests of batches."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from batch.pictures import picture

from vlcodec.models.layers import settings


@pytest.fixture(autouse=True)
def _all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a batch sets for its process is set back."""
    monkeypatch.setattr(settings, "_LIMIT", list(settings._LIMIT))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures in two folders, a damaged one, and what is no picture."""
    place = tmp_path / "pictures"
    (place / "b").mkdir(parents=True)
    for name, number in (("a.png", 0), ("b/c.png", 1), ("b/d.png", 2)):
        (place / name).write_bytes(picture(number))
    (place / "b" / "broken.png").write_bytes(picture(3)[:100])
    (place / "notes.txt").write_text("no picture")
    return place


@pytest.fixture
def make_tar(tmp_path: Path) -> Callable[[dict[str, bytes]], Path]:
    """Members by name -> a tar of them."""

    def make(members: dict[str, bytes]) -> Path:
        path = tmp_path / "set" / "train-00.tar"
        path.parent.mkdir(exist_ok=True)
        with tarfile.open(path, "w") as tar:
            for name, data in members.items():
                about = tarfile.TarInfo(name)
                about.size = len(data)
                tar.addfile(about, io.BytesIO(data))
        return path

    return make
