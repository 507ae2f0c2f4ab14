"""numba is loaded where it pays, and where it or its cache is not to be had, files are the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LOADED = """
import sys
import numpy as np
from vlcodec.codec.coding import compiled
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.coding.tables import LogisticMixture
from vlcodec.codec.coding.walk import OneStep

def block(n):
    column = np.zeros((n, 1), np.int64)
    return OneStep(LogisticMixture(column, column, column + 100), (n,))

def pushed(n):
    stack = Stack()
    block(n).push(np.arange(n) % 256, stack)
    assert np.array_equal(block(n).pop(stack), np.arange(n) % 256)
    return "numba" in sys.modules

print(pushed(compiled.LARGE), pushed(compiled.LARGE + 1), compiled.runs())
"""


def python(code: str, cache: Path, *options: str, **settings: str) -> str:
    """What a process of its own prints, warnings being errors."""
    left_out = {"VLCODEC_NUMBA", "NUMBA_CACHE_DIR"}
    own = {name: value for name, value in os.environ.items() if name not in left_out}
    command = [sys.executable, "-W", "error", *options, "-c", code]
    environment = own | {"XDG_CACHE_HOME": str(cache)} | settings
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_numba_is_loaded_for_large_blocks_and_keeps_what_it_compiles(tmp_path: Path) -> None:
    assert python(LOADED, tmp_path) == "False True True"
    kept = {path.name.split("-")[0] for path in (tmp_path / "vlcodec" / "numba").rglob("*.nbc")}
    assert kept == {"kernels.mixture_weights", "kernels.mixture_around", "kernels.mixture_counts"}
    for path in (tmp_path / "vlcodec" / "numba").rglob("*.nb?"):
        path.write_bytes(b"damaged")
    assert python(LOADED, tmp_path) == "False True True"


def test_what_takes_seconds_once_is_told_once(tmp_path: Path) -> None:
    asking = "from vlcodec.codec.coding import compiled\ncompiled.tell(lambda: print('told'))\n" + LOADED
    assert python(asking, tmp_path).split() == ["told", "False", "True", "True"]
    assert python(asking, tmp_path) == "False True True"


@pytest.mark.parametrize("settings", [{"VLCODEC_NUMBA": "0"}, {"NUMBA_DISABLE_JIT": "1"}])
def test_numba_can_be_turned_off(tmp_path: Path, settings: dict[str, str]) -> None:
    assert python(LOADED, tmp_path, **settings).split()[::2] == ["False", "False"]


def test_where_numba_is_missing_numpy_does(tmp_path: Path) -> None:
    (tmp_path / "numba.py").write_text("raise ImportError('no numba for this Python')")
    missing = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + LOADED
    assert python(missing, tmp_path) == "False False False"


def test_a_cache_that_cannot_be_written_is_no_matter(tmp_path: Path) -> None:
    file = tmp_path / "a file, no folder"
    file.write_text("")
    assert python(LOADED, file) == "False True True"
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
