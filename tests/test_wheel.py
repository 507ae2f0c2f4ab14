"""The wheel opens files of every released number: what is installed is all that is needed.

It is built from what is committed and installed in an environment of its own, which borrows the libraries of this one.
"""

import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vlcodec

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"
NUMBERS = sorted(
    int(number)
    for line in re.findall(r"^Numbers released: (.*)\.$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    for number in line.split(", ")
)


def run(*words: object, cwd: Path) -> str:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # it may lead to a checkout
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    run("git", "clone", "--quiet", ROOT, folder / "clone", cwd=folder)  # a checkout's build/lib may be stale
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, folder / "clone", cwd=folder)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "home", symlinks=True)
    made = folder / "home" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", made, "install", "--no-deps", wheel, cwd=folder)
    (site,) = (folder / "home" / "lib").glob("python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))  # whose own .pth files are not read from here
    return made


def test_the_installed_package_is_the_wheel(python: Path, tmp_path: Path) -> None:
    home = Path(run(python, "-c", "import vlcodec; print(vlcodec.__file__)", cwd=tmp_path).strip())
    assert home.is_relative_to(python.parents[1])


@pytest.mark.parametrize("number", NUMBERS)
def test_it_opens_files_of_every_released_number(number: int, python: Path, tmp_path: Path) -> None:
    files = sorted((GOLDEN / str(number)).glob("*.vlz"))
    file = next(file for file in files if "pictures" not in vlcodec.info(file.read_bytes()))  # not an archive
    run(python, "-m", "vlcodec", "decompress", file, "-o", tmp_path / "out.png", cwd=tmp_path)
    with Image.open(tmp_path / "out.png") as image:
        assert np.array_equal(np.asarray(image), np.asarray(vlcodec.decompress(file.read_bytes())))


def test_every_number_with_golden_files_is_released_or_newer() -> None:
    assert NUMBERS
    assert {int(folder.name) for folder in GOLDEN.iterdir() if folder.name.isdigit()} >= set(NUMBERS)
