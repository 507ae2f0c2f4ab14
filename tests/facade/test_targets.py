"""Files of a size, or of a PSNR, that was asked for: the best quality that is allowed, the least that is enough."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import failure, ok, run
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import vlcodec
from vlcodec import targets
from vlcodec.codec.errors import ModelError


@given(st.integers(1, 600), st.data())
def test_by_halves_the_last_good_level_is_found(count: int, data: st.DataObject) -> None:
    good, seen = data.draw(st.integers(0, count)), list[int]()

    def made(level: int) -> Any:
        seen.append(level)
        return level

    levels, allowed = range(100, 100 + count), 100 + good
    found: Any = targets._last(levels, made, lambda level: level < allowed, None)  # type: ignore[operator]
    assert found == (99 + good if good else None)
    assert len(seen) <= count.bit_length()


@pytest.fixture(scope="module")
def qualities() -> dict[int, bytes]:
    return {q: vlcodec.compress(picture(), model="photo-37", quality=q, device="cpu") for q in (1, 2, 3, 4)}


def picture() -> Image.Image:
    r, c, k = np.indices((40, 56, 3))
    return Image.fromarray(((5 * r + 3 * c + 40 * k + 90 * ((r // 9 + c // 7) % 2)) % 256).astype(np.uint8))


def test_the_best_that_fits(qualities: dict[int, bytes]) -> None:
    for q, data in qualities.items():
        assert vlcodec.compress_to(picture(), model="photo-37", size=len(data), device="cpu") == data
        more = qualities[q + 1] if q < 4 else data
        assert vlcodec.compress_to(picture(), model="photo-37", size=len(more) - (q < 4), device="cpu") == data
    bpp = 8 * len(qualities[2]) / (40 * 56)
    assert vlcodec.compress_to(picture(), model="photo-37", bpp=bpp + 1e-9, device="cpu") == qualities[2]


def test_the_least_that_is_enough(qualities: dict[int, bytes]) -> None:
    original, reached = np.asarray(picture(), np.float64), dict[int, float]()
    for q, data in qualities.items():
        mean = np.asarray(vlcodec.decompress(data, decode="mean", device="cpu"), np.float64)
        reached[q] = 10 * np.log10(255**2 / np.square(mean - original).mean())
    assert sorted(reached.values()) == list(reached.values())
    for q in (1, 2, 3):
        for more, found in ((-1e-6, q), (1e-6, q + 1)):
            wanted = reached[q] + more
            assert vlcodec.compress_to(picture(), model="photo-37", psnr=wanted, device="cpu") == qualities[found]


def test_without_a_model_the_best_is_what_keeps_every_pixel() -> None:
    board = Image.fromarray((np.indices((40, 56)).sum(0) // 8 % 2 * 99).astype(np.uint8))
    kept = vlcodec.compress(board, lossless=True, device="cpu")
    assert len(kept) < len(vlcodec.compress(board, model="photo-37", quality=1, device="cpu"))
    assert vlcodec.compress_to(board, size=len(kept), device="cpu") == kept
    assert vlcodec.compress_to(board, psnr=12, device="cpu") == kept
    with pytest.raises(ModelError, match="makes no file of at most"):
        vlcodec.compress_to(board, size=len(kept) - 1, device="cpu")


def test_what_cannot_be(qualities: dict[int, bytes]) -> None:
    least = f"of at most 20 bytes of this picture: the smallest has {len(qualities[1]):,}"
    with pytest.raises(ModelError, match=f"^model photo makes no file {least}$"):
        vlcodec.compress_to(picture(), model="photo-37", size=20, device="cpu")
    with pytest.raises(ModelError, match=r"^model photo makes no file of at least 90 dB of this picture"):
        vlcodec.compress_to(picture(), model="photo-37", psnr=90, device="cpu")
    for wishes in ({}, {"size": 100, "psnr": 30.0}):
        with pytest.raises(ModelError, match=r"^a file is made to one of three: a size, bits per pixel or a PSNR$"):
            vlcodec.compress_to(picture(), model="photo-37", **wishes)  # type: ignore[arg-type]
    for name, wrong in (("bpp", math.inf), ("bpp", math.nan), ("psnr", math.nan)):
        with pytest.raises(ModelError, match=r"must be a finite number, not (inf|nan)"):
            vlcodec.compress_to(picture(), **{name: wrong})  # type: ignore[arg-type]
    for wrong in (math.inf, math.nan):
        with pytest.raises(ModelError, match="model photo has qualities 0 to 4"):
            vlcodec.compress(picture(), quality=wrong, model="photo-37")


def test_by_the_command(tmp_path: Path, qualities: dict[int, bytes]) -> None:
    picture().save(tmp_path / "a.png")
    ok("compress", "a.png", "--model", "photo-37", "--size", str(len(qualities[3]) + 1), "--quiet", cwd=tmp_path)
    assert (tmp_path / "a.vlz").read_bytes() == qualities[3]
    said = failure("compress", "a.png", "--model", "photo-37", "--size", "9", "--force", cwd=tmp_path)
    assert "a.png: model photo makes no file of at most 9 bytes of this picture: the smallest has " in said
    assert (tmp_path / "a.vlz").read_bytes() == qualities[3]
    for wrong in (["--size", "900", "-q", "2"], ["--psnr", "30", "--lossless"], ["--bpp", "1", "--psnr", "30"]):
        done = run("compress", "a.png", *wrong, cwd=tmp_path)
        assert done.returncode == 2
        assert b"exclude each other" in done.stderr
