"""What a file may ask for: pixels, memory, and time for nothing."""

import os
import time
import zlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import vlcodec
from vlcodec import _shared
from vlcodec.codec.errors import ArchiveDamage, FormatError
from vlcodec.codec.files import picture_file as container
from vlcodec.codec.files.archive_file import ArchiveFile, ArchiveHeader, pack
from vlcodec.models import registry
from vlcodec.models.blocks.pixel_block import PixelBlock
from vlcodec.models.photo.codec import golden_pictures

PICTURE = Image.fromarray(np.tile(golden_pictures()[0], (2, 2, 1))[:, :28])


def same(a: Image.Image, b: Image.Image) -> bool:
    return (a.mode, a.size, a.tobytes()) == (b.mode, b.size, b.tobytes())


def test_what_the_machine_cannot_hold_is_refused_before_it_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    data = vlcodec.compress(PICTURE)
    monkeypatch.setattr(os, "sysconf", lambda name: 2**10)
    for call in (lambda: vlcodec.compress(PICTURE), lambda: vlcodec.decompress(data)):
        with pytest.raises(vlcodec.VlcodecError, match=r"needs about 0\.0 GiB of memory; this machine has 0\.0"):
            call()


def test_the_memory_of_a_cgroup_is_all_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The least limit counts; "max" and a file that is not there set none."""
    data = vlcodec.compress(PICTURE)
    places = [tmp_path / name for name in ("none", "memory.max", "limit_in_bytes")]
    monkeypatch.setattr(_shared, "CGROUPS", tuple(map(str, places)))
    places[1].write_text("max\n")
    places[2].write_text(f"{2**40}\n")
    vlcodec.compress(PICTURE)
    places[1].write_text(f"{2**21}\n")
    for call in (lambda: vlcodec.compress(PICTURE), lambda: vlcodec.decompress(data)):
        with pytest.raises(vlcodec.VlcodecError, match=r"28 x 24 needs .* GiB of memory; this machine has 0\.0"):
            call()


# ---- what a caller lets a file ask for -----------------------------------------------------------------------------


@pytest.mark.parametrize("lossless", [False, True])
def test_more_pixels_than_the_caller_allows_are_refused(lossless: bool) -> None:
    data = vlcodec.compress(PICTURE, lossless=lossless, model="photo")
    assert vlcodec.decompress(data, max_pixels=28 * 24).size == (28, 24)
    with pytest.raises(FormatError, match=r"the file asks for 672 pixels: at most 671 are decoded \(--max-pixels\)"):
        vlcodec.decompress(data, max_pixels=28 * 24 - 1)


def test_an_archives_pixels_count_as_a_whole() -> None:
    pictures = np.zeros((3, 28, 28), np.uint8)
    for lossless in (False, True):
        data = vlcodec.compress_archive(pictures, lossless=lossless)
        assert len(vlcodec.decompress_archive(data, max_pixels=3 * 28 * 28).images) == 3
        with pytest.raises(FormatError, match="the file asks for 2,352 pixels: at most 2,351 are decoded"):
            vlcodec.decompress_archive(data, max_pixels=3 * 28 * 28 - 1)


def test_by_default_as_many_pixels_as_pillow_takes() -> None:
    header = container.unpack(vlcodec.compress(PICTURE)).header
    large = container.pack(container.File(replace(header, width=2**14, height=2**14), b""))
    with pytest.raises(FormatError, match="the file asks for 268,435,456 pixels: at most 178,956,970"):
        vlcodec.decompress(large)
    assert Image.MAX_IMAGE_PIXELS == 178_956_970 // 2  # from which on it warns; it refuses twice as many


# ---- empty stacks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grey", [False, True], ids=["rgb", "grey"])
def test_a_black_picture_comes_back(grey: bool) -> None:
    image = Image.new("L" if grey else "RGB", (9, 600))
    assert same(vlcodec.decompress(vlcodec.compress(image, lossless=True, model="photo")), image)


@pytest.mark.parametrize("grey", [False, True], ids=["rgb", "grey"])
def test_an_empty_band_is_black_and_takes_no_steps(grey: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As large as a picture may be, it must not keep the decoder busy: no step of the net is walked for it."""
    walked, steps = list[int](), PixelBlock.step

    def counted(block: PixelBlock, c: int, *rest: Any) -> Any:
        walked.append(c)
        return steps(block, c, *rest)

    monkeypatch.setattr(PixelBlock, "step", counted)
    image = Image.new("L" if grey else "RGB", (40, 600))
    file = container.unpack(vlcodec.compress(image, lossless=True, model="photo"))
    assert walked
    black = [rows * 40 * (1 if grey else 3) for rows in (512, 88)]
    bands = tuple(container.Band(b"", zlib.crc32(bytes(size))) for size in black)
    walked.clear()
    assert same(vlcodec.decompress(container.pack(replace(file, bands=bands))), image)
    assert walked == []
    wrong = (bands[0], replace(bands[1], pixels_crc=bands[1].pixels_crc ^ 1))
    with pytest.raises(FormatError, match="the pixels of rows 512 to 599 do not match their checksum"):
        vlcodec.decompress(container.pack(replace(file, bands=wrong)))
    assert walked == []


def test_every_kind_of_file_with_empty_stacks_is_refused_or_read_at_once() -> None:
    """An attacker's cheapest file: a header that asks for much, and nothing behind it."""
    started = time.process_time()
    entry = registry.by_name("photo")
    header = container.Header(entry.number, entry.in_files, 200, 1100, False, False, 1, 0)
    for quality in (1, 4):
        one = replace(header, quality=quality)
        image = vlcodec.decompress(container.pack(container.File(one, b"")), decode="mean")
        assert image.size == (200, 1100)
        bands = tuple(container.Band(b"", 7) for _ in range(3))
        with pytest.raises(FormatError, match="the pixels of rows 0 to 511 do not match their checksum"):
            vlcodec.decompress(container.pack(container.File(replace(one, lossless=True), b"", bands)))
    with pytest.raises(FormatError, match="a placeholder's side is 1 to 64, not 0"):
        vlcodec.decompress(container.pack(container.File(replace(header, quality=0), b"")))
    assert vlcodec.decompress(container.pack(container.File(replace(header, quality=0), b"\1"))).size == (200, 1100)
    for name, side, grey in (("vlae-mnist", 28, True), ("agave-cifar10", 32, False)):
        entry = registry.by_name(name)
        one = container.Header(entry.number, entry.in_files, side, side, grey, True, 1, 0)
        black = zlib.crc32(bytes(side * side * (1 if grey else 3)))
        data = container.pack(container.File(one, b"", (container.Band(b"", black),)))
        assert not np.asarray(vlcodec.decompress(data)).any()
        lossy = container.pack(container.File(replace(one, lossless=False), b""))
        assert vlcodec.decompress(lossy).size == (side, side)
        many = ArchiveHeader(entry.number, entry.in_files, side, side, 60, True, 60, 0, 0, 0)
        checks = (zlib.crc32(bytes(60 * side * side * (1 if grey else 3))),)
        back = vlcodec.decompress_archive(pack(ArchiveFile(many, (), checks, b""))).images
        assert not any(np.asarray(image).any() for image in back)
        vlcodec.decompress_archive(pack(ArchiveFile(replace(many, lossless=False), (), (), b"")))
        with suppress(ArchiveDamage):  # where latents are the lowest symbols too, these go back onto an empty stack
            chained = vlcodec.decompress_archive(pack(ArchiveFile(replace(many, dithered=0, ratio=1), (), checks, b"")))
            assert not any(np.asarray(image).any() for image in chained.images)
    assert time.process_time() - started < 20
