"""One new family: archives that begin with another model's pictures, rates, and the command line, with nothing else
touched. (The contract is tests/test_contract.py's.)"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import toy
import vlcodec
from toy.codec import golden_pictures
from vlcodec.codec.errors import ModelError
from vlcodec.codec.files import archive_file, picture_file
from vlcodec.codec.interface import Bytes
from vlcodec.models import registry


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "ENTRIES", [*registry.ENTRIES, *toy.ENTRIES])


def pictures(count: int) -> Bytes:
    """(count, 8, 8), no two alike."""
    return np.concatenate([np.roll(golden_pictures()[..., 0], n, 1) + np.uint8(n) for n in range(count)])[:count]


def arrays(found: vlcodec.Archive) -> Bytes:
    return np.stack([np.asarray(image) for image in found.images])


@pytest.mark.parametrize("lossless", [False, True])
def test_single_pictures(lossless: bool) -> None:
    """Lossless of version 2; lossy ones are short, and of version 1."""
    image = Image.fromarray(pictures(1)[0])
    data = vlcodec.compress(image, model="toy", lossless=lossless)
    version = 1 + lossless
    assert picture_file.read_header(data).version == version
    assert (vlcodec.info(data)["model"], vlcodec.info(data)["version"]) == ("toy", version)
    back = vlcodec.decompress(data)
    assert (back.mode, back.size) == ("L", (8, 8))
    assert (back.tobytes() == image.tobytes()) == lossless
    assert vlcodec.decompress(data, decode="mean").tobytes() != image.tobytes()


@pytest.mark.parametrize("count", [1, 2, 40])
def test_archives_without_bits_back(count: int) -> None:
    some = pictures(count)
    data = vlcodec.compress_archive(some, model="toy", extra=b"e\0")
    found = vlcodec.decompress_archive(data)
    assert np.array_equal(arrays(found), some)
    assert found.extra == b"e\0"
    header = archive_file.unpack(data).header
    assert (header.version, header.dithered) == (2, count)


def test_an_archive_begins_with_another_models_pictures() -> None:
    some = pictures(60)
    data = vlcodec.compress_archive(some, model="toy-chained")
    header = archive_file.unpack(data).header
    starter, own = toy.ENTRIES
    assert header.starter == archive_file.Starter(starter.number, starter.in_files)
    assert header.model_id == own.number
    assert 0 < header.dithered < 20
    assert np.array_equal(arrays(vlcodec.decompress_archive(data)), some)


def test_what_is_all_the_starters_is_its_own_archive() -> None:
    for lossless in (False, True):
        data = vlcodec.compress_archive(pictures(1), model="toy-chained", lossless=lossless)
        assert archive_file.unpack(data).header.model_id == toy.ENTRIES[0].number
        assert len(vlcodec.decompress_archive(data).images) == 1


def test_a_single_picture_of_bits_back_is_refused_with_a_sentence() -> None:
    with pytest.raises(ModelError, match="bits-back has no bits to begin a single picture with"):
        vlcodec.compress(Image.fromarray(pictures(1)[0]), model="toy-chained")


def test_rates() -> None:
    some = pictures(30)
    one = vlcodec.rate(Image.fromarray(some[0]), model="toy")
    assert 8 * one.lossless_bytes == one.header_bits + one.latents_written + one.pixels_written
    assert one.elbo == pytest.approx(one.latents_kl + one.pixels)
    assert one.latents_naive == one.latents_kl
    for model in ("toy", "toy-chained"):
        many = vlcodec.rate_archive(some, model=model)
        assert many.lossless_bytes == len(vlcodec.compress_archive(some, model=model))
        assert abs(many.overhead) < 0.02 * many.elbo + 500
        assert many.elbo == pytest.approx(many.latents_kl + many.pixels)
    assert many.latents_naive > many.latents_kl  # what bits-back saves


def test_damage_is_refused() -> None:
    data = vlcodec.compress_archive(pictures(10), model="toy-chained")
    for place in range(len(data)):
        hurt = bytearray(data)
        hurt[place] ^= 64
        with pytest.raises(vlcodec.VlcodecError):
            vlcodec.decompress_archive(bytes(hurt))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, picture in enumerate(pictures(3)):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    return tmp_path


@pytest.mark.slow
def test_the_command_line(folder: Path) -> None:
    """Models, compress, decompress, rate, train: with the family in the registry, no command knows of it."""

    def run(*args: str) -> str:
        command = [sys.executable, "-m", "toy", *args]
        path = {"PYTHONPATH": str(Path(toy.FOLDER).parent)}
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=dict(os_environ()) | path)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert "toy-chained" in run("models")
    run("compress", "0.png", "--model", "toy", "--lossless", "--verify")
    run("decompress", "0.vlz", "-o", "back.png")
    assert Image.open(folder / "back.png").tobytes() == pictures(1)[0].tobytes()
    run("compress", "0.png", "1.png", "2.png", "-o", "all.vlz", "--model", "toy-chained", "--verify")
    run("decompress", "all.vlz", "-o", "all.npy")
    assert np.array_equal(np.load(folder / "all.npy"), pictures(3))
    assert "-ELBO" in run("rate", "0.png", "--model", "toy")
    path = run("train", "toy", str(folder), "-o", "run").split()[0]
    run("compress", "1.png", "--weights", "run", "--model", Path(path).stem, "--lossless")
    assert run("info", "1.vlz", "--weights", "run").startswith("1.vlz")


def os_environ() -> dict[str, str]:
    """What the command sees beside the path."""
    import os

    return dict(os.environ)
