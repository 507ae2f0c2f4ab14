"""Names of an archive's pictures as file names: what no system takes, or takes for something else, is refused."""

from collections.abc import Sequence
from typing import Final

from vlcodec.codec.errors import FormatError

RESERVED: Final = frozenset(
    ("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in "123456789\N{SUPERSCRIPT ONE}²³"))
)
FORBIDDEN: Final = frozenset('<>:"/\\|?*')


def check_file_names(names: Sequence[str]) -> None:
    """Raises FormatError for a name that must not be made a file, wherever it is extracted, and for two that collide
    where case is not told apart."""
    for name in names:
        rule = _broken(name)
        if rule:
            raise FormatError(f"{name!r} is no file name that every system has: {rule}; -o NAME.npy takes all pictures")
    if len({name.casefold() for name in names}) != len(names):
        raise FormatError("two pictures would get the same file name; -o NAME.npy takes them all")


def _broken(name: str) -> str:
    """The rule that a name breaks, "" for a good one."""
    if any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u2028\u2029" for c in name):
        return "it must have no control characters"
    if set(name) & FORBIDDEN:
        return 'it must have none of < > : " / \\ | ? *'
    if name != name.strip(" ") or name.endswith("."):
        return "it must not begin or end with a space, or end with a dot"
    if name.split(".")[0].rstrip(" ").casefold() in RESERVED:
        return "Windows keeps it for a device"
    return ""
