"""The documentation keeps its word: every block of its tutorial, its notebook and its kit runs, and the site builds."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run
from PIL import Image

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def blocks(page: Path) -> list[tuple[str, str]]:
    """(language, text) of every block of a page."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the tutorial begins with, and the kit."""
    with Image.open(ROOT / "samples" / "landscape.png") as image:
        image.crop((100, 60, 148, 92)).save(tmp_path / "photo.png")
    radii = np.random.default_rng(0).uniform(4, 10, 100)
    discs = np.hypot(*np.mgrid[-14:14, -14:14]) < radii[:, None, None]
    np.save(tmp_path / "digits.npy", 255 * discs.astype(np.uint8))
    shutil.copytree(ROOT / "tests" / "golden" / "9", tmp_path / "golden" / "9")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tutorial.md", "conformance.md"])
def test_every_block_runs(folder: Path, name: str) -> None:
    space: dict[str, Any] = {}
    found = blocks(DOCS / name)
    assert found
    for language, text in found:
        if language == "python":
            exec(compile(text, name, "exec"), space)
            continue
        assert language == "sh", "no other language can be run here"
        for line in text.splitlines():
            command, *words = shlex.split(line)
            assert command == "vlcodec"
            done = run(*words, cwd=folder)
            assert done.returncode == int(words == ["compare", "photo.png", "again.png"]), (line, done.stderr)


@pytest.mark.slow
def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ten cells, in order, and what they print is what it shows."""
    monkeypatch.chdir(DOCS)
    cells = json.loads((DOCS / "rates.ipynb").read_text())["cells"]
    assert len(cells) == 10
    space: dict[str, Any] = {}
    printed = list[str]()
    space["print"] = lambda *words: printed.append(" ".join(map(str, words)) + "\n")
    for cell in cells:
        if cell["cell_type"] == "code":
            printed.clear()
            exec(compile("".join(cell["source"]), "rates.ipynb", "exec"), space)
            outputs = [output for output in cell["outputs"] if output["output_type"] == "stream"]
            shown = "".join(line for output in outputs for line in output["text"])
            assert "".join(printed) == shown


def test_the_site_builds(tmp_path: Path) -> None:
    """With every function of the package's own on its page, and the kit."""
    for library in ("mkdocs", "material", "mkdocstrings", "mkdocs_jupyter"):
        pytest.importorskip(library)
    subprocess.run([ROOT / ".ci" / "typing"], check=True)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path / "site")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    page = (tmp_path / "site" / "api.html").read_text()
    import vlcodec

    for name in vlcodec.__all__:
        assert re.search(rf'id="vlcodec\.[\w.]*\b{name}"', page), name
    shutil.unpack_archive(tmp_path / "site" / "conformance.zip", tmp_path / "kit")
    for made in (ROOT / "tests" / "golden" / "9").iterdir():
        assert (tmp_path / "kit" / "9" / made.name).read_bytes() == made.read_bytes()
