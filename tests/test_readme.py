"""README and docs keep their word: snippets run, links lead somewhere, commands and files that they name exist."""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vlcodec import facade
from vlcodec.cli.group import commands

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What links may name within a page, made of its headings as code hosts make it."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def shown(page: Path) -> Iterator[list[str]]:
    """The commands in a page's blocks, as words."""
    for block in blocks(page, "sh"):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            while words:
                end = words.index("&&") if "&&" in words else len(words)
                yield words[:end]
                words = words[end + 1 :]


def options(words: list[str]) -> set[str]:
    return {word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word)}


def test_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 150


def test_the_snippets_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ramp = Image.linear_gradient("L").resize((40, 24))
    Image.merge("RGB", (ramp, ramp.rotate(180), ramp)).save(tmp_path / "photo.png")
    discs = np.hypot(*np.mgrid[-14:14, -14:14]) < np.arange(6, 10)[:, None, None]
    np.save(tmp_path / "digits.npy", (255 * discs).astype(np.uint8))
    monkeypatch.chdir(tmp_path)
    snippets = blocks(README, "python")
    assert snippets
    for snippet in snippets:
        exec(compile(snippet, "README.md", "exec"), {})


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" not in link:
            place, _, anchor = link.partition("#")
            target = page.parent / place if place else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@every_page
def test_files_that_are_named_exist(page: Path) -> None:
    tops = r"codec|models|cli|tests|benchmarks|samples|docs"
    for name in re.findall(rf"`((?:{tops})/[\w/.-]+\.(?:py|md|txt|json|png|jpg))`", page.read_text()):
        assert (ROOT / name).exists(), name


@every_page
def test_commands_exist(page: Path) -> None:
    models = {row["name"] for row in facade.models()}
    for words in shown(page):
        name, *rest = words
        if name.endswith("vlcodec"):
            command = commands.commands[rest[0]]
            assert options(rest) <= {option for p in command.params for option in (*p.opts, *p.secondary_opts)}, words
            named = [after for before, after in pairwise(rest) if before in ("--model", "train")]
            assert set(named) <= models, words
        elif name.startswith("python") and rest[0].endswith(".py"):
            source = "".join(path.read_text() for path in (ROOT / rest[0], ROOT / "benchmarks" / "common.py"))
            assert all(f'"{option}"' in source for option in options(rest)), words
        elif "/" in name and not name.startswith(".venv/"):
            assert (ROOT / name).exists(), words


def test_a_command_is_found_in_each_readme_block() -> None:
    assert {words[1] for words in shown(README) if words[0].endswith("vlcodec")} >= {"compress", "decompress", "info"}
