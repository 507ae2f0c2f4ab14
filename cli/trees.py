"""Folders on the command line: the files in them, and where their results go in a tree like theirs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence

import click

from vlcodec.cli import files

Tree = dict[str, str]  # a file -> its place below the folder that it was found in


def found(sources: Sequence[str], suffixes: tuple[str, ...]) -> tuple[Tree, list[OSError]]:
    """The files of these suffixes in folders, in order of their names, and files that are named themselves; and why
    folders could not be looked into.

    Hidden files and folders are left out, and what is no regular file. Raises UsageError where there is none.
    """
    if files.STREAM in sources:
        raise click.UsageError("-r looks into folders: stdin is none")
    tree: Tree = {}
    unread: list[OSError] = []
    for source in sources:
        if not os.path.isdir(source):
            tree[source] = os.path.basename(source)
            continue
        for folder, folders, names in os.walk(source, onerror=unread.append):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = os.path.join(folder, name)
                if name.lower().endswith(suffixes) and not name.startswith(".") and os.path.isfile(path):
                    tree[path] = os.path.relpath(path, source)
    if not tree and not unread:
        raise click.UsageError(f"no files that end in {', '.join(suffixes)}: -r looks into folders")
    return tree, unread


def targets(tree: Tree, out: str | None, derive: Callable[[str], str], suffix: str) -> dict[str, str]:
    """Where each file's result goes: beside it, or into a tree below the folder `out`.

    Files whose results would have one name, as those of a.png and a.jpg, keep their whole names before the suffix; so
    a name depends on the files beside it. Raises UsageError where one file would be written over another.
    """
    if out == files.STREAM or (out is not None and os.path.lexists(out) and not os.path.isdir(out)):
        raise click.UsageError(f"-o {out}: with -r, it must be a folder")

    def place(source: str) -> str:
        return source if out is None else os.path.join(out, tree[source])

    names = {source: derive(place(source)) for source in tree}
    while True:  # a whole name may be that of another: of a.png.png the result was a.png.vlz
        count = Counter(names.values())
        longer = {source: place(source) + suffix for source, name in names.items() if count[name] > 1}
        if longer.items() <= names.items():
            break
        names |= longer
    files.check_apart(tree, names.items())
    return names
