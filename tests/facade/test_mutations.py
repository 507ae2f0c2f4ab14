"""Mutated files whose checksums were made good, decoded: no crash, no hang, and no lossless picture that is wrong."""

import importlib
import io
import json
import random
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limits import quickly
from PIL import Image, UnidentifiedImageError

import vlcodec
import vlcodec.pillow
from vlcodec.codec.coding.planes import pack_planes
from vlcodec.codec.errors import VlcodecError
from vlcodec.codec.files import composite_file
from vlcodec.codec.files.composite_file import Composite, Planes
from vlcodec.codec.interface import Bytes

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
mutations = importlib.import_module("mutations")


@dataclass(frozen=True)
class Known:
    """A small file, and the pixels (H, W) or (H, W, C) of the picture that it was made of; uint8 or uint16."""

    data: bytes
    pixels: Any


@cache
def known() -> list[Known]:
    """Of both versions, lossless and lossy, grey and colour, with alpha, palettes and 16 bits, up to 16 x 16."""
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    smooth = np.add.outer(np.arange(4) * 40, np.arange(5) * 9).astype(np.uint8)
    pictures = [noise[:2, :3], noise[:3, :2, 0], smooth, noise[:1, :1], noise]
    files = [
        Known(vlcodec.compress(pixels, model=model, lossless=lossless), pixels)
        for pixels in pictures
        for model in ("photo", "photo-8")
        for lossless in (True, False)
    ]
    clear = np.concatenate([noise[:3, :4], smooth[:3, :4, None]], axis=2)
    indexed = Image.fromarray(smooth // 9 * 9).convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
    images = [indexed, Image.new("1", (9, 7))]
    others = [Known(vlcodec.compress(image, lossless=True), np.asarray(image)) for image in images]
    deep = smooth * np.uint16(256) + noise[:4, :5, 0]
    beside = [Known(vlcodec.compress(pixels, model="photo", lossless=True), pixels) for pixels in (clear, deep)]
    return [*others, *beside, Known(packed_planes(smooth), smooth), *files]


def is_known(found: Bytes) -> bool:
    """Whether it is a picture, or what is left of one by a table that calls alpha or low bytes what may be skipped."""
    pictures = [file.pixels for file in known()]
    left = [pixels[..., :3] for pixels in pictures] + [pixels >> 8 for pixels in pictures if pixels.dtype == np.uint16]
    return any(np.array_equal(found, pixels) for pixels in pictures + left)


def packed_planes(levels: Bytes) -> bytes:
    """A composite of planes, whatever is smaller."""
    height, width = levels.shape
    planes = Planes(width, height, 1, pack_planes(levels[..., None]))
    return composite_file.pack_composite(Composite(planes=planes))


def check(seed: int) -> bool:
    """Whether a mutation is read; if it says that it is lossless, and of the same picture, it gives every pixel."""
    rng = random.Random(seed)
    file = rng.choice(known()[: -4 if rng.random() < 0.9 else None])  # the largest ones take longest
    data = mutations.repaired(mutations.mutated(file.data, [other.data for other in known()], rng))
    with quickly():
        try:
            found = np.asarray(vlcodec.decompress(data, max_pixels=256))
        except VlcodecError:
            return False
    about = vlcodec.info(data)
    assert found.shape[:2] == (about["height"], about["width"])
    if about["lossless"]:
        assert is_known(found)
    return True


@pytest.mark.parametrize("part", range(4))
def test_two_thousand_mutations(part: int) -> None:
    read = [check(seed) for seed in range(500 * part, 500 * part + 500)]
    assert 0 < sum(read) < len(read)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(40))
def test_twenty_thousand_mutations(part: int) -> None:
    for seed in range(500 * part, 500 * part + 500):
        check(10**6 + seed)


@pytest.mark.filterwarnings("ignore")  # of archives, and of pictures that Pillow finds large
@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_pillow_meets_no_stranger_error(seed: int) -> None:
    rng = random.Random(seed)
    files = mutations.seeds()
    data = mutations.mutated(rng.choice(files), files, rng)
    try:
        image = Image.open(io.BytesIO(mutations.repaired(data)))
    except (UnidentifiedImageError, Image.DecompressionBombError):
        return
    assert min(image.size) > 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_mutations_without_a_network(seed: int) -> None:
    """What benchmarks/mutations.py does a million times."""
    rng, files = random.Random(seed), mutations.seeds()
    for _ in range(20):
        data = mutations.mutated(rng.choice(files), files, rng)
        list(mutations.read_all(data))
        with mutations.trusting():
            list(mutations.read_all(data))


def test_repaired_files_are_what_they_were() -> None:
    for file in known():
        assert mutations.repaired(file.data) == file.data
        damaged = bytearray(file.data)
        damaged[-1] ^= 1
        assert mutations.repaired(bytes(damaged)) == file.data


def test_the_script_counts(tmp_path: Path) -> None:
    mutations.main(["--count", "1500", "--seed", "5", "--out", str(tmp_path / "out.json")])
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["count"] == 1500
    assert found["slowest_seconds"] < 2
    assert found["accepted"]["picture, checksums right"] > 100


def test_the_script_finds_what_is_not_an_error_of_ours(tmp_path: Path) -> None:
    with (
        mock.patch.dict(mutations.READERS, wrong=lambda data: data[10**6]),
        pytest.raises(SystemExit, match=r"as it is: IndexError"),
    ):
        mutations.main(["--count", "3", "--out", str(tmp_path / "out.json")])


def test_atheris_reaches_the_readers(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    command = [sys.executable, "fuzz.py", str(tmp_path / "corpus"), "-runs=300"]
    done = subprocess.run(command, cwd=Path(mutations.__file__ or "").parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Done 300 runs" in done.stderr
