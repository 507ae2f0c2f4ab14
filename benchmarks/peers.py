"""The other codecs: their lossless files, and their best lossy files within a size.

They get the pixels alone, without metadata. JPEG XL needs cjxl and djxl on the path (Debian and Ubuntu:
`apt-get install libjxl-tools`); where they are absent its columns are left out, with a note.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import PIL
from common import say
from PIL import Image, features

from vlcodec.codec import peers
from vlcodec.codec.interface import Bytes
from vlcodec.codec.peers import Fit, Lossy, fit, opened, saved

__all__ = [
    "Fit",
    "Lossy",
    "decoded",
    "fit",
    "jpeg_ls_planes",
    "lossless",
    "lossy",
    "saved",
    "slow_lossless",
    "slowest",
    "versions",
]


def lossless() -> dict[str, Callable[[Image.Image], bytes]]:
    """The lossless codecs at hand, by name."""
    found: dict[str, Callable[[Image.Image], bytes]] = {
        "PNG": lambda image: saved(image, "PNG", optimize=True),
        "WebP": lambda image: saved(image, "WEBP", lossless=True, method=6, quality=100),
    }
    if _has_jpeg_xl():
        found["JPEG XL e7"] = lambda image: _cjxl(image, distance=0, effort=7)
        found["JPEG XL e9"] = lambda image: _cjxl(image, distance=0, effort=9)
    return found


def slow_lossless() -> dict[str, Callable[[Image.Image], bytes]]:
    """Likewise, and what takes their encoders longest: larger groups of cjxl, efforts and codecs of other libraries.

    JPEG XL at effort 10 is that of imagecodecs, JPEG-LS that of pyjpegls (from PyPI), where they are installed.
    """
    found = lossless() | {"JPEG 2000": _jpeg_2000}
    if _has_jpeg_xl():
        found["JPEG XL e9 -g 3"] = lambda image: _cjxl(image, 0, 9, "-g", "3")
    if find_spec("imagecodecs") is not None:
        found["JPEG XL e10"] = _jxl_10
    if find_spec("jpeg_ls") is not None:
        found["JPEG-LS"] = lambda image: b"".join(jpeg_ls_planes(np.asarray(image), 0))
    return found


def _jpeg_2000(image: Image.Image) -> bytes:
    return saved(image, "JPEG2000", irreversible=False, mct=len(image.getbands()) == 3)  # with its colour transform


def _jxl_10(image: Image.Image) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.jpegxl_encode(np.asarray(image), lossless=True, effort=10))


def jpeg_ls_planes(levels: Bytes, near: int) -> list[bytes]:
    """A picture (H, W, C), or (H, W), as a JPEG-LS file for each channel, as these are smaller than one of all."""
    import jpeg_ls

    planes = levels.reshape(*levels.shape[:2], -1)
    return [bytes(jpeg_ls.encode_array(np.ascontiguousarray(planes[..., c]), near)) for c in range(planes.shape[2])]


def decoded(data: bytes) -> Image.Image:
    """The picture of one of their lossless files."""
    return _djxl(data) if data.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL")) else opened(data)


def lossy() -> dict[str, Lossy]:
    """The lossy codecs at hand, by name; of Pillow's see `vlcodec.codec.peers`."""
    found = peers.lossy()
    if _has_jpeg_xl():
        distances = [25 / 1.04**step for step in range(160)]  # 25 is cjxl's largest; the last is 0.05
        found["JPEG XL"] = Lossy(distances, lambda i, distance: _cjxl(i, distance, effort=7), _djxl)
    return found


def slowest() -> dict[str, Lossy]:
    """AVIF, as slow as its encoder goes."""
    if not features.check("avif"):
        return {}
    return {"AVIF, slowest": Lossy(range(101), lambda i, q: saved(i, "AVIF", quality=q, speed=0), opened)}


def versions() -> dict[str, str | None]:
    """Of the libraries behind them; PNG is Pillow's own."""
    tool = subprocess.run(["cjxl", "--version"], capture_output=True, text=True).stdout if _has_jpeg_xl() else ""
    return {
        "Pillow": PIL.__version__,
        "libjpeg-turbo": features.version("libjpeg_turbo"),
        "libwebp": features.version("webp"),
        "libavif": features.version("avif"),
        "cjxl": tool.split()[1] if tool else None,
    }


@cache
def _has_jpeg_xl() -> bool:
    found = bool(shutil.which("cjxl") and shutil.which("djxl"))
    if not found:
        say("note: no cjxl and djxl on the path (libjxl-tools), so JPEG XL is left out")
    return found


def _cjxl(image: Image.Image, distance: float, effort: int, *options: str) -> bytes:
    with TemporaryDirectory() as folder:
        image.save(Path(folder, "a.png"))
        return _made(folder, "cjxl", "a.png", "b.jxl", "-d", f"{distance:.4f}", "-e", str(effort), *options)


def _djxl(data: bytes) -> Image.Image:
    with TemporaryDirectory() as folder:
        Path(folder, "a.jxl").write_bytes(data)
        return opened(_made(folder, "djxl", "a.jxl", "b.png"))


def _made(folder: str, command: str, source: str, target: str, *options: str) -> bytes:
    """The bytes of the file that a command makes of another."""
    subprocess.run([command, source, target, *options], cwd=folder, check=True, capture_output=True)
    return Path(folder, target).read_bytes()
