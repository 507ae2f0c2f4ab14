"""The man pages, by click-man, and the shells' completions, click's own: made of the commands as they are.

    python desktop/pages.py
"""

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class
from click_man.core import write_man_pages

import vlcodec
from vlcodec.cli.group import commands

ROOT = Path(__file__).parent
COMPLETIONS = {"bash": "vlcodec", "zsh": "_vlcodec", "fish": "vlcodec.fish"}  # as each shell looks for it


def main(root: Path = ROOT) -> None:
    """Writes both beneath a folder."""
    pages, completions = root / "man", root / "completions"
    for folder in (pages, completions):
        folder.mkdir(exist_ok=True)
    for page in pages.glob("*.1"):  # of commands that are no more
        page.unlink()
    os.environ["COLUMNS"] = "80"
    write_man_pages("vlcodec", commands, version=vlcodec.__version__, target_dir=str(pages), date=vlcodec.__version__)
    for shell, name in COMPLETIONS.items():
        (completions / name).write_text(completion(shell, commands))


def completion(shell: str, command: click.Command) -> str:
    """The script that a shell sources."""
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click completes nothing in {shell}")
    return found(command, {}, "vlcodec", "_VLCODEC_COMPLETE").source() + "\n"


if __name__ == "__main__":
    main()
