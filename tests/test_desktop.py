"""What desktops and shells are told of .vlz files is true."""

import ast
import configparser
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType

import pytest
from commands import ok
from PIL import Image

import vlcodec
from vlcodec.codec.files.stored_file import Stored, pack_stored
from vlcodec.codec.files.wire import MAGIC
from vlcodec.pillow import MEDIA_TYPE

ROOT = Path(__file__).parents[1]
DESKTOP = ROOT / "desktop"
SAMPLE = ROOT / "samples" / "landscape.q1.vlz"
MAGIC_OF = {
    "8/rgb-lossless.vlz": "picture, lossless, version 1",
    "8/rgb-q1.vlz": "picture, lossy, version 1",
    "9/black-q3.vlz": "picture, version 2",
    "2/*archive*.vlz": "archive of pictures, version 1",
    "13/*archive*.vlz": "archive of pictures, version 2",
}


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    """The script that makes pages and completions."""
    pytest.importorskip("click_man")
    spec = importlib.util.spec_from_file_location("pages", DESKTOP / "pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tool(name: str) -> str:
    """The path of a program; without it the test is skipped."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def said(*words: object) -> str:
    return subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True).stdout


def test_pages_and_completions_are_those_of_the_commands(pages: ModuleType, tmp_path: Path) -> None:
    """If not: python desktop/pages.py"""
    pages.main(tmp_path)
    made = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.parts[0] for path in made} == {"man", "completions"}
    kept = {path: (DESKTOP / path).read_text() for path in made}
    assert kept == made
    assert len(kept) == sum(1 for name in ("man", "completions") for _ in (DESKTOP / name).iterdir())


def test_the_shell_completes(tmp_path: Path) -> None:
    """bash, with the installed command on its path."""
    command = Path(sys.executable).with_name("vlcodec")
    script = f"""
        source {DESKTOP / "completions" / "vlcodec"}
        COMP_WORDS=({command} decompress --dec); COMP_CWORD=2
        _vlcodec_completion {command}; echo "${{COMPREPLY[@]}}"
        COMP_WORDS=({command} info {SAMPLE.parent}/); COMP_CWORD=2
        compopt() {{ echo "files: $1 $2"; }}
        _vlcodec_completion {command}
    """
    assert said(tool("bash"), "-c", script) == "--decode\nfiles: -o default\n"


@pytest.mark.parametrize(("pattern", "expected"), MAGIC_OF.items())
def test_file_knows_them(pattern: str, expected: str) -> None:
    files = sorted((ROOT / "tests" / "golden").glob(pattern))
    assert files
    for path in files:
        assert said(tool("file"), "-b", "-m", DESKTOP / "magic", path).strip().endswith(expected)
        assert said(tool("file"), "-b", "--mime-type", "-m", DESKTOP / "magic", path).strip() == MEDIA_TYPE


def test_file_knows_a_stored_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.vlz"
    path.write_bytes(pack_stored(Stored("PNG", b"...")))
    assert said(tool("file"), "-b", "-m", DESKTOP / "magic", path) == "vlcodec picture, stored, version 2\n"


def test_the_media_type_is_known_by_name_and_by_magic(tmp_path: Path) -> None:
    names = {"m": "http://www.freedesktop.org/standards/shared-mime-info"}
    kind = ET.parse(DESKTOP / "vlcodec.xml").getroot().find("m:mime-type", names)
    assert kind is not None
    match, glob = kind.find("m:magic/m:match", names), kind.find("m:glob", names)
    assert match is not None
    assert glob is not None
    assert kind.get("type") == MEDIA_TYPE
    assert glob.get("pattern") == "*.vlz"
    assert ast.literal_eval(f'b"{match.get("value")}"') == MAGIC
    folder = tmp_path / "mime" / "packages"
    folder.mkdir(parents=True)
    shutil.copy(DESKTOP / "vlcodec.xml", folder)
    said(tool("update-mime-database"), folder.parent)
    assert f"{MEDIA_TYPE}:*.vlz" in (folder.parent / "globs2").read_text()
    assert MAGIC in (folder.parent / "magic").read_bytes()


def test_the_thumbnail_is_the_mean_image(tmp_path: Path) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(DESKTOP / "vlcodec.thumbnailer")
    entry = parser["Thumbnailer Entry"]
    assert entry["MimeType"] == f"{MEDIA_TYPE};"
    assert shutil.which(entry["TryExec"], path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    target = tmp_path / "thumbnail.png"
    target.touch()  # desktops hand over a name that is taken
    command, *words = shlex.split(entry["Exec"])
    assert command == "vlcodec"
    ok(*(word.replace("%i", str(SAMPLE)).replace("%o", str(target)) for word in words), cwd=tmp_path)
    with Image.open(target) as image:
        assert image.tobytes() == vlcodec.decompress(SAMPLE.read_bytes(), decode="mean").tobytes()
