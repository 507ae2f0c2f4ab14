"""Folders on the command line: the files in them, and where their results go in a tree like theirs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence

import click

Tree = dict[str, str]  # a file -> its place below the folder that it was found in


def found(sources: Sequence[str], suffixes: tuple[str, ...]) -> Tree:
    """The files of these suffixes in folders, in order of their names, and files that are named themselves.

    Hidden files and folders are left out. Raises UsageError where there is none.
    """
    tree: Tree = {}
    for source in sources:
        if not os.path.isdir(source):
            tree[source] = os.path.basename(source)
            continue
        for folder, folders, names in os.walk(source):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if name.lower().endswith(suffixes) and not name.startswith("."):
                    path = os.path.join(folder, name)
                    tree[path] = os.path.relpath(path, source)
    if not tree:
        raise click.UsageError(f"no files that end in {', '.join(suffixes)}: -r looks into folders")
    return tree


def targets(tree: Tree, out: str | None, derive: Callable[[str], str], suffix: str) -> dict[str, str]:
    """Where each file's result goes: beside it, or into a tree below the folder `out`.

    Files whose results would have one name, as those of a.png and a.jpg, keep their whole names before the suffix.
    """
    if out is not None and os.path.lexists(out) and not os.path.isdir(out):
        raise click.UsageError(f"-o {out}: with -r, it must be a folder")

    def place(source: str) -> str:
        return source if out is None else os.path.join(out, tree[source])

    names = {source: derive(place(source)) for source in tree}
    count = Counter(names.values())
    names = {source: name if count[name] == 1 else place(source) + suffix for source, name in names.items()}
    taken: dict[str, str] = {}
    for source, name in names.items():
        if name in taken:
            raise click.UsageError(f"{source} would be written to {name}, which is the output for {taken[name]}")
        taken[name] = source
    return names
