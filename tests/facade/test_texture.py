"""How much of what is drawn is shown: from the mean image to the sample."""

from pathlib import Path

import numpy as np
import pytest
from commands import failure, ok, run
from PIL import Image

import vlcodec
from vlcodec.codec.errors import VlcodecError

NOISE = np.random.default_rng(5).integers(0, 90, (48, 40, 3), dtype=np.uint8)
PICTURE = Image.fromarray(NOISE + np.arange(40, dtype=np.uint8)[None, :, None])


@pytest.fixture(scope="module", params=["RGB", "L"])
def data(request: pytest.FixtureRequest) -> bytes:
    return vlcodec.compress(PICTURE.convert(request.param), quality=1, model="photo", device="cpu")


def levels(data: bytes, **options: float | str) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    found = vlcodec.decompress(data, device="cpu", **options)  # type: ignore[arg-type]
    return np.asarray(found).astype(np.int64)


def test_the_ends_are_the_mean_image_and_the_sample(data: bytes) -> None:
    assert np.array_equal(levels(data, texture=0.0), levels(data, decode="mean"))
    assert np.array_equal(levels(data, texture=1.0), levels(data))
    assert np.array_equal(levels(data, texture=0.996, seed=4), levels(data, seed=4))  # hundredths


@pytest.mark.parametrize("texture", [0.01, 0.25, 0.5, 0.99])
def test_between_them_each_level_is_on_its_way(data: bytes, texture: float) -> None:
    mean, sample = levels(data, decode="mean"), levels(data)
    assert np.abs(levels(data, texture=texture) - (mean + texture * (sample - mean))).max() <= 0.5
    array = vlcodec.decompress_array(data, texture=texture, device="cpu")
    assert np.array_equal(array, levels(data, texture=texture))


def test_what_is_not_drawn_stays_as_it_is() -> None:
    exact = vlcodec.compress(PICTURE, lossless=True, model="photo", device="cpu")
    assert np.array_equal(levels(exact, texture=0.3), np.asarray(PICTURE))
    assert not np.array_equal(levels(exact, texture=0.3, decode="sample"), levels(exact, decode="sample"))


@pytest.mark.parametrize("texture", [-0.1, 1.1, float("nan")])
def test_out_of_range(data: bytes, texture: float) -> None:
    with pytest.raises(VlcodecError, match="texture is from 0, the mean image, to 1, not"):
        vlcodec.decompress(data, texture=texture)


def test_the_command(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.vlz").write_bytes(data)
    ok("decompress", "a.vlz", "-o", "b.png", "--texture", "0.5", cwd=tmp_path)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.png")), levels(data, texture=0.5))
    said = failure("decompress", "a.vlz", "--texture", "0.5", "--decode", "mean", cwd=tmp_path, code=2)
    assert "not with the mean image alone" in said
    assert run("decompress", "a.vlz", "--texture", "1.5", cwd=tmp_path).returncode == 2
