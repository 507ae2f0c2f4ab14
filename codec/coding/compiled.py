"""Whether loops over integers run compiled, by numba, or as numpy's functions and torch's layers: the same integers.

numba takes half a second to load, and some more to compile for the first time. So it is loaded for large blocks and
archives, or used where it is loaded already. What it has compiled lies in the user's cache folder, if that can be
written. VLCODEC_NUMBA=0 turns it off.
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
STAMPED = ("kernels", "units", "tiles")  # how the names of files end that kernels are made of
INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # of functions that kernels alone call
Loop = TypeVar("Loop", bound=Callable[..., Any])
_LOCK = threading.RLock()


class _Switch:
    """large: whether a large block has come by. told: who is told, once, that kernels are about to be compiled."""

    large = False
    told: Callable[[], None] | None = None


def expect(symbols: int) -> None:
    """A block of so many symbols, or an archive, is about to be coded."""
    _Switch.large = _Switch.large or symbols > LARGE


def tell(told: Callable[[], None] | None) -> None:
    """Let somebody know, once, where nothing compiled is at hand yet: what follows takes seconds."""
    _Switch.told = told


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

    return _kernel_of(lambda numba: [_array(numba.int64, rank, "A", readonly=True) for rank in ranks])


def wide_kernel(*ranks: int) -> Callable[[Loop], Loop]:
    """Likewise of int32 arrays in C order, which it may write (0: an int64): many of them in one register."""
    return _kernel_of(lambda numba: [_array(numba.int32, rank, "C", readonly=False) for rank in ranks])


def _kernel_of(signature: Callable[[Any], list[Any]]) -> Callable[[Loop], Loop]:
    """signature: of numba's types, made once numba is here."""

    def kernel_of(loop: Loop) -> Loop:
        compiled = cache(lambda: _compiled(loop, signature))

        @wraps(loop)
        def call(*arguments: Any) -> Any:
            return compiled()(*arguments)

        return call  # type: ignore[return-value]

    return kernel_of


def loop(function: Loop) -> Loop:
    """The decorator of a kernel of whatever types its first call has; arrays may be changed. Later calls have these."""
    made: list[Loop] = []

    @wraps(function)
    def call(*arguments: Any) -> Any:
        if not made:
            import numba

            with _LOCK:  # threads that come meanwhile wait, instead of compiling it once more
                if not made:
                    made.append(_made(function, tuple(map(numba.typeof, arguments)), _nrt=False))
        return made[0](*arguments)

    return call  # type: ignore[return-value]


def _array(kind: Any, rank: int, layout: Any, readonly: bool) -> Any:
    from numba.core.types import Array, int64  # numba.types is a module that threads could import half done

    if rank == TABLE:
        return Array(kind, 1, "C", readonly=readonly)
    return Array(kind, rank, layout, readonly=readonly) if rank else int64


def part(loop: Loop) -> Loop:
    """The decorator of a small function that kernels call, and that becomes a part of each."""
    import numba

    return numba.njit(nogil=True, forceinline=True, _nrt=False, **INNER)(loop)  # type: ignore[no-any-return]


def piece(loop: Loop) -> Loop:
    """The decorator of a large one, which is compiled once for all."""
    import numba

    return numba.njit(nogil=True, _nrt=False, **INNER)(loop)  # type: ignore[no-any-return]


def passage(loop: Loop) -> Loop:
    """The decorator of a passage of a kernel: a function of many arguments that is called once or twice."""
    import numba

    return numba.njit(nogil=True, _nrt=False, inline="always", **INNER)(loop)  # type: ignore[no-any-return]


def _compiled(loop: Loop, signature: Callable[[Any], list[Any]]) -> Loop:
    """A kernel of the types that a signature gives."""
    import numba

    return _made(loop, tuple(signature(numba)))


def _made(loop: Loop, signature: tuple[Any, ...], **options: Any) -> Loop:
    """A loop in the machine's code, from the user's cache folder or made anew."""
    import numba

    folder, options = _folder(), {"nogil": True, "no_cfunc_wrapper": True, **options}
    with _LOCK, _cached_in(folder) as cached:
        if _Switch.told is not None and (folder is None or not any(folder.rglob("*.nbi"))):
            _Switch.told()
            _Switch.told = None
        try:
            return numba.njit(signature, cache=cached, **options)(loop)  # type: ignore[no-any-return]
        except Exception:  # a cache that is damaged, full, or gone meanwhile
            return numba.njit(signature, **options)(loop)  # type: ignore[no-any-return]


@contextmanager
def _cached_in(folder: Path | None) -> Iterator[bool]:
    """numba's own settings are the whole process's: they are set while a kernel is compiled.

    The least optimisation makes loops as fast as the most, in two thirds of the time.
    """
    import numba

    others = numba.config.CACHE_DIR, numba.config.OPT
    if folder is not None:
        numba.config.CACHE_DIR = str(folder)
    numba.config.OPT = type(numba.config.OPT)(1)
    try:
        yield folder is not None
    finally:
        numba.config.CACHE_DIR, numba.config.OPT = others


@cache
def _folder() -> Path | None:
    """Where compiled kernels lie, if it can be written.

    numba looks for changes in a kernel's own file alone, but a kernel holds constants of other files: each state of the
    files of kernels and of units has a folder of its own.
    """
    from platformdirs import user_cache_path

    sources = sorted(path for room in ("codec", "models") for path in (SOURCES / room).rglob("*.py"))
    try:
        read = [path.read_bytes() for path in sources if path.stem.endswith(STAMPED)]
        if not read:
            return None
        state = hashlib.sha256(b"".join(read)).hexdigest()[:16]
        folder = user_cache_path("vlcodec", appauthor=False) / "numba" / state
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return None
    return folder
