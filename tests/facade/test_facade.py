"""vlcodec in Python: pictures in, bytes out, and back."""

import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import vlcodec
from vlcodec import facade
from vlcodec.codec import errors
from vlcodec.codec.errors import FormatError, ImageError, ModelError
from vlcodec.codec.files import picture_file as container
from vlcodec.codec.image import png_bytes
from vlcodec.models import registry, zoo
from vlcodec.models.blocks import pixel_block
from vlcodec.models.layers import exact
from vlcodec.models.photo.codec import PhotoLatents, golden_pictures

SIZES = [(1, 1), (1, 7), (7, 1), (3, 5), (17, 31), (1, 200), (519, 7)]
PICTURE = Image.fromarray(np.tile(golden_pictures()[0], (2, 2, 1))[:, :28])
GREY = PICTURE.getchannel(0)


def noise(height: int, width: int, grey: bool) -> Image.Image:
    """Noise over a ramp: no two rows alike."""
    rng = np.random.default_rng(height * 10_000 + width)
    shape = (height, width) if grey else (height, width, 3)
    ramp = np.add.outer(np.arange(height), np.arange(width))
    return Image.fromarray(((ramp if grey else ramp[..., None]) + rng.integers(0, 40, shape)).astype(np.uint8))


def same(a: Image.Image, b: Image.Image) -> bool:
    return (a.mode, a.size, a.tobytes()) == (b.mode, b.size, b.tobytes())


# ---- round trips ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grey", [False, True], ids=["rgb", "grey"])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_lossless_gives_every_pixel_back(height: int, width: int, grey: bool) -> None:
    image = noise(height, width, grey)
    data = vlcodec.compress(image, lossless=True, model="photo")
    assert same(vlcodec.decompress(data), image)
    assert len(container.unpack(data).bands) == -(-height // 512)


@pytest.mark.parametrize("grey", [False, True], ids=["rgb", "grey"])
@pytest.mark.parametrize(("height", "width"), SIZES[:6])
def test_lossy_gives_size_and_mode_back(height: int, width: int, grey: bool) -> None:
    image = noise(height, width, grey)
    data = vlcodec.compress(image)
    for decode in (None, "sample", "mean"):
        back = vlcodec.decompress(data, decode=decode)
        assert (back.mode, back.size) == (image.mode, image.size)
    assert same(vlcodec.decompress(data), vlcodec.decompress(data, decode="sample"))


@pytest.mark.parametrize("name", ["astronaut", "camera", "cat", "coffee", "rocket"])
@pytest.mark.parametrize("quality", [1, 2, 3, 4])
def test_photographs_at_each_quality(
    photograph: Callable[[str, int, int], Image.Image], name: str, quality: int
) -> None:
    image = photograph(name, 32, 40)
    data = vlcodec.compress(image, lossless=True, quality=quality, seed=quality, model="photo")
    assert same(vlcodec.decompress(data), image)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["astronaut", "camera", "cat", "coffee", "rocket", "brick", "moon", "page", "text"])
def test_whole_photographs(photograph: Callable[[str, int, int], Image.Image], name: str) -> None:
    from skimage import data

    image = Image.fromarray(getattr(data, name)())
    assert same(vlcodec.decompress(vlcodec.compress(image, lossless=True, model="photo")), image)


# ---- what compress takes -------------------------------------------------------------------------------------------


def test_a_picture_from_anywhere_gives_the_same_bytes(tmp_path: Path) -> None:
    png, path = png_bytes(PICTURE), tmp_path / "a.png"
    path.write_bytes(png)
    sources: list[Any] = [PICTURE, PICTURE.copy(), path, str(path), png, io.BytesIO(png)]
    assert len({vlcodec.compress(source) for source in sources}) == 1


@pytest.mark.parametrize("lossless", [False, True])
def test_defaults(lossless: bool) -> None:
    header = container.read_header(vlcodec.compress(PICTURE, lossless=lossless, model="photo"))
    assert header == container.Header(
        model_id=registry.by_name("photo").number,
        digest=registry.by_name("photo").in_files,
        width=28,
        height=24,
        grey=False,
        lossless=lossless,
        quality=1 if lossless else 3,
        seed=0,
        version=2,
    )


@pytest.mark.parametrize(
    ("options", "error", "rule"),
    [
        ({"quality": -1}, ModelError, "model photo has qualities 0 to 9, with two decimals, not -1"),
        ({"quality": 10}, ModelError, "model photo has qualities 0 to 9, with two decimals, not 10"),
        ({"quality": 0, "model": "vlae-mnist"}, ModelError, "model vlae-mnist has qualities 1 to 3, not 0"),
        ({"model": "phot"}, ModelError, "unknown model 'phot'"),
        ({"seed": -1}, FormatError, "the seed is -1: it must be from 0 to"),
        ({"seed": 2**64}, FormatError, "the seed is 18446744073709551616"),
        ({"device": "tpu"}, ModelError, "a device is auto, cpu or cuda, not 'tpu'"),
    ],
)
def test_options_out_of_bounds(options: dict[str, Any], error: type[Exception], rule: str) -> None:
    for call in (vlcodec.compress, vlcodec.rate):
        with pytest.raises(error, match=rule):
            call(PICTURE, **options)


def test_pictures_that_are_refused() -> None:
    for source in (b"no picture", PICTURE.convert("CMYK"), Path("missing.png")):
        with pytest.raises(ImageError):
            vlcodec.compress(source)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_no_cuda() -> None:
    with pytest.raises(ModelError, match="no CUDA device is available"):
        vlcodec.compress(PICTURE, device="cuda")


# ---- seeds and decodings -------------------------------------------------------------------------------------------


def test_seeds() -> None:
    """A seed moves the pixels; the latents of photo have no dither that it could move."""
    one, two = (vlcodec.compress(PICTURE, seed=seed) for seed in (1, 2**64 - 1))
    assert one != two
    assert container.unpack(one).latents == container.unpack(two).latents
    samples = [vlcodec.decompress(one, seed=seed).tobytes() for seed in (None, 1, 2)]
    assert samples[0] == samples[1] != samples[2]
    means = [vlcodec.decompress(one, decode="mean", seed=seed).tobytes() for seed in (None, 2)]
    assert means[0] == means[1] == vlcodec.decompress(two, decode="mean").tobytes()
    assert samples[0] != vlcodec.decompress(two).tobytes()


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_bounds(seed: int) -> None:
    with pytest.raises(FormatError, match=f"the seed is {seed}"):
        vlcodec.decompress(vlcodec.compress(PICTURE), seed=seed)


@pytest.mark.parametrize("image", [PICTURE, GREY], ids=["rgb", "grey"])
def test_a_lossless_file_holds_its_preview(image: Image.Image) -> None:
    """What a lossy file of one layer holds; of two layers, the first one."""
    for model in ("photo-37", "photo"):
        whole = vlcodec.compress(image, lossless=True, seed=5, model=model)
        lossy = vlcodec.compress(image, quality=1, seed=5, model=model)
        for decode in ("mean", "sample"):
            one, other = (vlcodec.decompress(data, decode=decode) for data in (whole, lossy))
            assert same(one, other) == (model == "photo-37")
            assert np.abs(np.asarray(one, int) - np.asarray(image, int)).mean() < 40
        assert same(vlcodec.decompress(whole, seed=9), image)


def test_progress_is_told_to_the_end() -> None:
    seen: list[tuple[str, int, int]] = []
    vlcodec.decompress(vlcodec.compress(PICTURE, lossless=True, progress=lambda *a: seen.append(a)))
    assert {what for what, _, _ in seen} == {"latents", "pixels"}
    for what in ("latents", "pixels"):
        shares = [done / total for name, done, total in seen if name == what]
        assert shares == sorted(shares)
        assert shares[-1] == 1


# ---- info, models, verify, selftest --------------------------------------------------------------------------------


def test_info() -> None:
    data = vlcodec.compress(GREY, lossless=True, quality=2, seed=7, model="photo")
    about = vlcodec.info(data)
    parts, expected = about.pop("bytes"), about.pop("expected")
    assert 1 < expected["seconds"] < 10
    assert 2**29 < expected["memory"] < 2**30
    assert parts["latents"] < about.pop("preview") < len(data) - parts["pixels"]
    assert about == {
        "model": "photo",
        "number": 45,
        "weights": registry.by_name("photo").in_files.hex(),
        "version": 2,
        "width": 28,
        "height": 24,
        "mode": "L",
        "lossless": True,
        "quality": 2,
        "seed": 7,
        "bands": 1,
    }
    assert parts.pop("file") == sum(parts.values()) == len(data)


def test_info_needs_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "a.vlz").write_bytes(vlcodec.compress(PICTURE))
    code = """if True:
        import json, sys, vlcodec
        heavy = sorted({"torch", "numpy", "PIL", "constriction"} & sys.modules.keys())
        print(json.dumps([vlcodec.info(open("a.vlz", "rb").read())["width"], heavy]))
    """
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=True)
    assert json.loads(done.stdout) == [28, []]


def test_models() -> None:
    entry, *others = facade.models()
    assert [(e["name"], e["number"], e["qualities"]) for e in others] == [
        ("photo", 37, [0, 1, 2, 3, 4]),
        ("photo", 36, [0, 1, 2, 3, 4]),
        ("photo", 9, [0, 1, 2, 3, 4]),
        ("photo", 8, [0, 1, 2, 3, 4]),
        ("vlae-mnist", 2, [1]),
        ("vlae-mnist-dynamic", 3, [1]),
        ("vlae-omniglot", 4, [1]),
        ("vlae-caltech101", 5, [1]),
        ("agave-cifar10", 6, [1]),
        ("vapnev-cifar10", 13, [1]),
        ("dvaepp-mnist", 20, [1, 2, 3, 4, 5]),
        ("dvaepp-caltech101", 21, [1, 2, 3, 4, 5]),
        ("dvaepp-cifar10", 22, [1, 2, 3, 4, 5]),
        ("dvaepp-mnist", 38, [1, 2, 3, 4, 5]),
        ("dvaepp-caltech101", 39, [1, 2, 3, 4, 5]),
        ("dvaepp-cifar10", 40, [1, 2, 3, 4, 5]),
        ("vlae-cifar10", 31, [1]),
        ("agave-cifar10", 41, [1, 2, 3]),
        ("vlae-cifar10-small", 42, [1]),
        ("vlae-cifar10-grey", 43, [1]),
        ("vlae-cifar10-coarse", 44, [1]),
        ("vlae-mnist", 32, [1, 2, 3]),
        ("vlae-caltech101", 33, [1, 2, 3]),
        ("vlae-omniglot", 34, [1, 2, 3]),
        ("vlae-mnist-dynamic", 35, [1, 2, 3]),
    ]
    assert (entry["name"], entry["number"], entry["qualities"]) == ("photo", 45, list(range(10)))
    path = registry.by_name("photo").path
    assert entry["bytes"] == path.stat().st_size
    assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert bytes.fromhex(entry["digest"]) == registry.by_name("photo").in_files


def test_weights_that_a_model_cannot_start_from(tmp_path: Path) -> None:
    digits = registry.by_name("vlae-mnist").path
    with pytest.raises(ModelError, match="agave-cifar10 takes nothing from weights of vlae-mnist"):
        facade.train("agave-cifar10", [tmp_path], tmp_path / "run", steps=4, init=digits)


def test_verify() -> None:
    lossless, lossy = vlcodec.compress(PICTURE, lossless=True, model="photo"), vlcodec.compress(PICTURE)
    other = PICTURE.copy()
    other.putpixel((3, 4), (1, 2, 3))
    for data in (lossless, lossy):
        facade.verify(data, png_bytes(PICTURE))
        with pytest.raises(FormatError, match="another size or kind"):
            facade.verify(data, png_bytes(GREY))
        with pytest.raises(FormatError, match="another size or kind"):
            facade.verify(data, png_bytes(PICTURE.crop((0, 0, 28, 23))))
    facade.verify(lossy, png_bytes(other))
    with pytest.raises(FormatError, match="does not give every pixel back"):
        facade.verify(lossless, png_bytes(other))


def test_selftest(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [(r["check"], r["ok"]) for r in facade.selftest(device="cpu")] == [
        ("golden vector", True),
        ("lossless round trip", True),
        ("regeneration", True),
    ]
    monkeypatch.setattr("vlcodec.models.zoo.golden_digest", lambda outputs: "another")
    failed = facade.selftest(device="cpu")[0]
    assert (failed["ok"], "does not reproduce the golden vector" in failed["detail"]) == (False, True)


def test_running_out_of_memory_is_an_error_with_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")):

        def fail(*args: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(PhotoLatents, "posterior", fail)
        with pytest.raises(vlcodec.VlcodecError, match="not enough memory for a picture of this size"):
            vlcodec.compress(PICTURE)
    monkeypatch.setattr(PhotoLatents, "posterior", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        vlcodec.compress(PICTURE)


# ---- the same bits everywhere --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def expected() -> tuple[bytes, ...]:
    return everything()


def everything() -> tuple[bytes, ...]:
    """Files and pixels of a picture."""
    lossy, lossless = vlcodec.compress(PICTURE), vlcodec.compress(PICTURE, lossless=True, model="photo")
    assert same(vlcodec.decompress(lossless), PICTURE)
    return lossy, lossless, *(vlcodec.decompress(lossy, decode=d).tobytes() for d in ("sample", "mean"))


def test_the_same_bits_under_every_setting(expected: tuple[bytes, ...], setting: str) -> None:
    assert everything() == expected


def test_the_same_bits_in_float64(expected: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    model = zoo.frozen(registry.by_name("photo").path, torch.device("cpu"), "float64")
    monkeypatch.setattr(zoo, "load", lambda entry, device: model)
    assert everything() == expected


def test_the_same_bits_in_other_pieces(expected: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "TILE_VALUES", 5000)
    monkeypatch.setattr(pixel_block, "STRIP_PIXELS", 100)
    monkeypatch.setattr("vlcodec.models.photo.codec.STRIP_ROWS", 4)
    assert everything() == expected


# ---- errors --------------------------------------------------------------------------------------------------------


def test_every_class_of_errors_is_public() -> None:
    found = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == errors.__name__
    }
    assert {"VlcodecError", "FormatError", "ImageError", "ModelError", "BoundError", "OutputError"} < found.keys()
    assert found.keys() <= set(vlcodec.__all__)
    for name, kind in found.items():
        assert getattr(vlcodec, name) is kind
        assert issubclass(kind, UserWarning if name.endswith("Warning") else vlcodec.VlcodecError)
