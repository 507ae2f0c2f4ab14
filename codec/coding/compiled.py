"""Whether loops over integers run compiled, by numba, or as numpy's functions: the same integers, sooner.

numba takes half a second to load, and some more to compile for the first time. So it is loaded for large blocks, or
used where it is loaded already. What it has compiled lies in the user's cache folder, if that can be written.
VLCODEC_NUMBA=0 turns it off.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from typing import Any, TypeVar

TABLE = -1  # in place of a rank: an array of rank 1 in one piece, which is quicker to look up
LARGE = 1 << 17  # symbols of a block above which loading numba pays: a photograph of 210 x 210 in colour
SOURCES = Path(__file__).parents[2]
Loop = TypeVar("Loop", bound=Callable[..., Any])
_LOCK = threading.RLock()


class _Switch:
    """large: whether a large block has come by."""

    large = False


def expect(symbols: int) -> None:
    """A block of so many symbols is about to be coded."""
    _Switch.large = _Switch.large or symbols > LARGE


def runs() -> bool:
    """Whether modules of kernels are to be used; a caller imports them only then."""
    return (_Switch.large or "numba" in sys.modules) and _usable()


@cache
def _usable() -> bool:
    """Whether numba is wanted, is there and compiles; it may not know a new Python or numpy yet."""
    if os.environ.get("VLCODEC_NUMBA") == "0":
        return False
    try:
        import numba
    except ImportError:
        return False
    return not numba.config.DISABLE_JIT


def kernel(*ranks: int) -> Callable[[Loop], Loop]:
    """The decorator of a function of int64 arrays of these ranks (0: an integer) that is compiled at its first call.

    Arrays are read, whatever their strides but those of a TABLE; what a kernel makes it returns.
    """

    def kernel_of(loop: Loop) -> Loop:
        compiled = cache(lambda: _compiled(loop, ranks))

        @wraps(loop)
        def call(*arguments: Any) -> Any:
            return compiled()(*arguments)

        return call  # type: ignore[return-value]

    return kernel_of


def part(loop: Loop) -> Loop:
    """The decorator of a function that kernels call, and that becomes a part of each."""
    import numba

    return numba.njit(nogil=True, inline="always")(loop)  # type: ignore[no-any-return]


def _compiled(loop: Loop, ranks: tuple[int, ...]) -> Loop:
    """A loop in the machine's code, from the user's cache folder or made anew."""
    import numba
    from numba.types import Array, int64

    kinds = {0: int64, TABLE: Array(int64, 1, "C", readonly=True)}
    signature = tuple(kinds.get(rank) or Array(int64, rank, "A", readonly=True) for rank in ranks)
    with _LOCK, _cached_in(_folder()) as cached:
        try:
            return numba.njit(signature, nogil=True, cache=cached)(loop)  # type: ignore[no-any-return]
        except Exception:  # a cache that is damaged, full, or gone meanwhile
            return numba.njit(signature, nogil=True)(loop)  # type: ignore[no-any-return]


@contextmanager
def _cached_in(folder: Path | None) -> Iterator[bool]:
    """numba's own setting of the folder is the whole process's: it is set while a kernel is compiled."""
    import numba

    others = numba.config.CACHE_DIR
    if folder is not None:
        numba.config.CACHE_DIR = str(folder)
    try:
        yield folder is not None
    finally:
        numba.config.CACHE_DIR = others


@cache
def _folder() -> Path | None:
    """Where compiled kernels lie, if it can be written.

    numba looks for changes in a kernel's own file alone, but a kernel holds constants of other files: each state of the
    files of kernels and of units has a folder of its own.
    """
    from platformdirs import user_cache_path

    sources = sorted(path for room in ("codec", "models") for path in (SOURCES / room).rglob("*.py"))
    try:
        read = [path.read_bytes() for path in sources if path.stem in ("kernels", "units")]
        if not read:
            return None
        state = hashlib.sha256(b"".join(read)).hexdigest()[:16]
        folder = user_cache_path("vlcodec", appauthor=False) / "numba" / state
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return None
    return folder
