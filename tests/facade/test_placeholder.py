"""Quality 0: placeholders of at most 40 bytes, recognisable, of every size and kind."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import ok
from PIL import Image

import vlcodec
from vlcodec.codec.errors import FormatError, ModelError
from vlcodec.codec.files import picture_file as container
from vlcodec.placeholder import BYTES, SIDES, TRIES

Photograph = Callable[[str, int, int], Image.Image]


def small(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB").resize((16, 16), Image.Resampling.BOX), np.float64)


@pytest.mark.parametrize("name", ["astronaut", "cat", "coffee", "rocket", "camera"])
def test_a_photograph_is_recognisable(photograph: Photograph, name: str) -> None:
    """At 16 x 16 at most two thirds of the variance about the mean colour are lost."""
    image = photograph(name, 256, 300)
    data = vlcodec.compress(image, quality=0)
    back = vlcodec.decompress(data)
    assert len(data) <= BYTES
    assert (back.mode, back.size) == (image.mode, image.size)
    true, error = small(image), small(back) - small(image)
    assert np.square(error).mean() < 2 / 3 * np.square(true - true.mean((0, 1))).mean()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 900), (3, 2), (16, 16), (17, 64), (600, 40)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_sizes_and_modes(height: int, width: int, mode: str) -> None:
    r, c = np.indices((height, width))
    image = Image.fromarray(((r * 7 + c * 3) % 256).astype(np.uint8)).convert(mode)
    data = vlcodec.compress(image, quality=0)
    back = vlcodec.decompress(data)
    assert len(data) <= BYTES
    assert (back.mode, back.size) == (mode, (width, height))


def test_it_is_about_as_large_as_fits(photograph: Photograph) -> None:
    """A flat picture is coded large; noise is coded small. The choice is the same every time, whatever the decoding."""
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)
    flat, wild = (vlcodec.compress(Image.fromarray(p), quality=0) for p in (noise // 200 * 0 + 90, noise))
    sides = [container.unpack(data).latents[0] for data in (flat, wild)]
    assert sides[0] > SIDES[0] - TRIES
    assert sides[1] < SIDES[0] - TRIES
    image = photograph("cat", 80, 90)
    data = vlcodec.compress(image, quality=0)
    assert data == vlcodec.compress(image, quality=0)
    assert len({vlcodec.decompress(data, decode=kind).tobytes() for kind in (None, "mean", "sample")}) == 1


def test_a_long_seed_takes_its_bytes(photograph: Photograph) -> None:
    data = vlcodec.compress(photograph("cat", 80, 90), quality=0, seed=2**64 - 1)
    assert vlcodec.info(data)["seed"] == 2**64 - 1
    assert len(data) <= BYTES


def test_the_command_says_that_it_is_the_mean_image(tmp_path: Path, photograph: Photograph) -> None:
    photograph("cat", 20, 30).save(tmp_path / "a.png")
    ok("compress", "a.png", "-q", "0", cwd=tmp_path)
    assert ok("decompress", "a.vlz", cwd=tmp_path).endswith("RGB, mean\n")


def test_what_is_refused(photograph: Photograph) -> None:
    image = photograph("cat", 20, 30)
    for call in (vlcodec.rate, lambda *args, **more: vlcodec.compress(*args, lossless=True, **more, model="photo")):
        with pytest.raises(ModelError, match="quality 0 is a placeholder: a lossless file has a quality from 1 on"):
            call(image, quality=0)
    file = container.unpack(vlcodec.compress(image, quality=0))
    for latents in (b"", b"\0", b"\x41" + file.latents[1:]):
        with pytest.raises(FormatError, match="a placeholder's side is 1 to 64, not"):
            vlcodec.decompress(container.pack(container.File(file.header, latents)))
