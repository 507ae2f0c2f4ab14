"""`train` from end to end, a few steps of small nets: what it writes is found, checked, and codes pictures."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dvaepp_parts import SMALL as DVAEPP_SIZES
from PIL import Image

import vlcodec
from vlcodec import facade
from vlcodec.batch import CompressBatch, CompressOptions, DecompressBatch, DecompressOptions
from vlcodec.codec.coding.latents import choose, dither_of
from vlcodec.codec.errors import ImageError, ModelError, ProvisionalWarning
from vlcodec.codec.files import picture_file
from vlcodec.codec.interface import Bytes
from vlcodec.models import registry, zoo
from vlcodec.models.agave import training as agave_recipe
from vlcodec.models.dvaepp import training as dvaepp_recipe
from vlcodec.models.photo import training as photo_recipe
from vlcodec.models.photo.net import GridAgave
from vlcodec.models.vlae import training as vlae_recipe

LADDER: dict[str, Any] = {
    "latents": (3, 2),
    "widths": (4, 6, 8),
    "blocks": 1,
    "pixel_channels": 6,
    "dilations": (1,),
    "pixel_hidden": 5,
    "stream": 3,
}
VLAE: dict[str, Any] = {
    "latents": 6,
    "widths": (4, 6),
    "blocks": (1, 1),
    "hidden": 12,
    "flow_hidden": 20,
    "pixel_channels": 5,
}


@dataclass(frozen=True)
class Run:
    """What a family is trained on here: its model, its data, a picture that it takes."""

    model: str
    data: Path
    picture: Image.Image
    options: dict[str, Any]

    def __call__(self, out: Path, **options: Any) -> Path:
        return facade.train(self.model, [self.data], out, steps=2, device="cpu", **self.options | options)


@pytest.fixture
def photo_run(tmp_path: Path, agave: Callable[[int], GridAgave], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setitem(photo_recipe.CONFIG, "net", asdict(agave(0).shape))
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    (tmp_path / "pictures").mkdir()
    Image.fromarray(pixels).save(tmp_path / "pictures" / "a.png")
    return Run("photo", tmp_path / "pictures", Image.fromarray(pixels[:20, :30]), {"batch": 4, "patch": 32})


@pytest.fixture
def agave_run(cifar_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setitem(agave_recipe.SHAPES, "agave-cifar10", replace(agave_recipe.SHAPE, **LADDER))
    return Run("agave-cifar10", cifar_folder, Image.fromarray(golden("agave-cifar10")[0]), {"batch": 4})


@pytest.fixture
def vlae_run(binary_sets: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    small = {kind: replace(shape, **VLAE) for kind, shape in vlae_recipe.SHAPES.items()}
    monkeypatch.setattr(vlae_recipe, "SHAPES", small)
    return Run("vlae-mnist", binary_sets, Image.fromarray(golden("vlae-mnist")[0, ..., 0]), {"batch": 5})


@pytest.fixture
def dvaepp_run(binary_sets: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    shape = asdict(replace(dvaepp_recipe.BINARY, **DVAEPP_SIZES))
    monkeypatch.setitem(dvaepp_recipe.CONFIG, "dvaepp-mnist", {"net": shape})
    return Run("dvaepp-mnist", binary_sets, Image.fromarray(golden("dvaepp-mnist")[0, ..., 0]), {"batch": 5})


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the search path."""
    monkeypatch.setenv(registry.VARIABLE, str(tmp_path / "weights"))
    return tmp_path / "weights"


def golden(model: str) -> Bytes:
    return zoo.golden_pictures(registry.by_name(model))


def codes(path: Path, picture: Image.Image) -> bytes:
    """The model of a file codes a picture; returns the lossless file."""
    data = vlcodec.compress(picture, model=path.stem, lossless=True, device="cpu")
    assert vlcodec.decompress(data, device="cpu").tobytes() == picture.tobytes()
    assert vlcodec.info(data)["number"] == int(path.stem.rpartition("-")[2])
    assert vlcodec.info(data)["version"] == data[4] >> 4 == 2
    return data


@pytest.mark.parametrize("name", ["photo_run", "agave_run", "dvaepp_run"])
def test_what_is_trained_codes(name: str, weights: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(name)
    path = run(weights)
    written, number, suffix = path.stem.rpartition("-")[0], int(path.stem.rpartition("-")[2]), path.suffix
    assert (written, suffix, path.parent) == (run.model, ".safetensors", weights)
    assert number in registry.OWN
    assert {p.name for p in weights.iterdir()} == {"checkpoint.pt", "log.csv", path.name}
    assert registry.by_number(number).name == run.model
    assert registry.by_name(run.model).number < registry.PROVISIONAL.start
    data = codes(path, run.picture)

    again = run(tmp_path / "again")
    assert (again.name, again.read_bytes()) == (path.name, path.read_bytes())
    other = run(weights / "other", seed=1, init=path)
    assert other.name != path.name
    assert zoo.config_of(other) == zoo.config_of(path)
    path.unlink()
    with pytest.raises(ModelError, match=f"needs model number {number} .weights of its writer's."):
        vlcodec.decompress(data)


def test_a_dvaepps_uniform_posterior_follows_the_rest(dvaepp_run: Run, weights: Path) -> None:
    with pytest.raises(ModelError, match=r"^the uniform posterior is trained from exported weights: they are missing$"):
        dvaepp_run(weights / "none", part="uniform")
    path = dvaepp_run(weights / "on", part="uniform", init=dvaepp_run(weights))
    path.rename(weights / path.name)
    codes(weights / path.name, dvaepp_run.picture)


def test_a_vlae_is_trained_in_two_parts(vlae_run: Run, weights: Path, tmp_path: Path) -> None:
    """One net alone is refused with one sentence; with the other one the file is whole, and codes archives, too."""
    part = vlae_run(weights)
    assert zoo.config_of(part)["nets"].keys() == {"gaussian"}
    with pytest.raises(ModelError, match=f"^{part.name} holds a part of a model: it can be trained on, and not used$"):
        vlcodec.compress(vlae_run.picture, model=part.stem)
    whole = vlae_run(weights / "whole", part="uniform", init=part)
    whole.rename(weights / whole.name)
    assert zoo.config_of(weights / whole.name)["nets"].keys() == {"gaussian", "uniform"}
    codes(weights / whole.name, vlae_run.picture)
    some = np.repeat(golden("vlae-mnist")[..., 0], 3, 0)
    data = vlcodec.compress_archive(some, model=whole.stem)
    assert vlcodec.info(data)["model"] == "vlae-mnist"
    assert np.array_equal(np.stack([np.asarray(i) for i in vlcodec.decompress_archive(data).images]), some)

    kept, start = (zoo.real_weights(p).weights for p in (weights / whole.name, part))
    assert all(torch.equal(kept[name], value) for name, value in start.items())


def png_of(image: Image.Image) -> bytes:
    stream = BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def test_short_codes_side_by_side_are_those_of_one_by_one(vlae_run: Run, weights: Path) -> None:
    """Lossy and lossless: a chunk of latents without the bits that a stack begins with."""
    path = vlae_run(weights / "whole", part="uniform", init=vlae_run(weights))
    path.rename(weights / path.name)
    assert zoo.config_of(weights / path.name)["short_code"]
    net = zoo.load(registry.by_name(path.stem), "cpu").single(1)
    digits = [Image.fromarray(picture[..., 0]) for picture in golden("vlae-mnist")]
    pngs = [png_of(digit) for digit in digits]
    for lossless in (False, True):
        alone = [vlcodec.compress(digit, model=path.stem, lossless=lossless) for digit in digits]
        batch = CompressBatch(CompressOptions(model=path.stem, lossless=lossless, device="cpu"))
        assert batch({"bytes": pngs})["vlz"] == alone
        back = DecompressBatch(DecompressOptions(column="vlz", decode="mean", device="cpu"))({"vlz": alone})
        means = [vlcodec.decompress(data, decode="mean").tobytes() for data in alone]
        assert [Image.open(BytesIO(data)).tobytes() for data in back["png"]] == means
        for digit, data in zip(digits, alone, strict=True):
            assert lossless == (vlcodec.decompress(data).tobytes() == digit.tobytes())
            latents = picture_file.unpack(data).latents
            u = dither_of(net, 0, 0, 1, 28, 28)
            bits = net.prior(u).bits(choose(net, np.asarray(digit)[None, ..., None], u))
            assert len(latents) <= bits / 8 + 1


@pytest.mark.parametrize("name", ["photo_run", "agave_run"])
def test_weights_in_the_making(name: str, weights: Path, request: pytest.FixtureRequest) -> None:
    """A provisional number is taken as it is asked for, and whoever reads such a file is warned."""
    run: Run = request.getfixturevalue(name)
    number = registry.PROVISIONAL.start + 3
    path = run(weights, number=number)
    assert path.name == f"{run.model}-{number}.safetensors"
    data = vlcodec.compress(run.picture, model=path.stem)
    with pytest.warns(ProvisionalWarning, match=f"model {run.model}-{number} is weights in the making"):
        vlcodec.decompress(data)


@pytest.mark.parametrize("number", [-1, 0, 8, 9, 2**16 - 1, 2**17, 2**31 - 1, 2**32])
def test_a_number_that_is_not_free(number: int, photo_run: Run, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"^number {number} is not free: weights in the making have 65536 to 131071, "):
        photo_run(tmp_path / "out", number=number)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_trained(photo_run: Run, agave_run: Run, vlae_run: Run, weights: Path) -> None:
    """Each is one sentence, said before anything is written."""
    mnist = registry.by_name("vlae-mnist").path
    refused: list[tuple[Run, dict[str, Any], str]] = [
        (photo_run, {"part": "gaussian"}, "autoencoder, pixels, factors, residual, restoration, texture, not gaussian"),
        (photo_run, {"patch": 40}, "a patch's side is a multiple of 16"),
        (photo_run, {"batch": 3}, "a batch has at least 4"),
        (photo_run, {"init": mnist}, "model photo takes nothing from weights of vlae-mnist"),
        (photo_run, {"exclude": ["a.png"]}, "there is no picture to train on"),
        (photo_run, {"resume": True}, "resume goes on from a checkpoint"),
        (agave_run, {"init": mnist}, "model agave-cifar10 takes nothing from weights of vlae-mnist"),
        (vlae_run, {"part": "all"}, "of model vlae-mnist are gaussian, uniform, uniform-2, uniform-3, not all"),
        (replace(vlae_run, model="photos"), {}, "unknown model 'photos'"),
    ]
    for run, options, rule in refused:
        with pytest.raises((ModelError, ImageError), match=rule):
            run(weights, **options)
    assert not weights.exists()


def test_agave_starts_from_photos_pixels(
    photo_run: Run, agave_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of photo's weights the PixelCNN's, where they fit."""
    start = photo_run(tmp_path / "photo")
    sizes: dict[str, Any] = {"features": 2, "pixel_channels": 8, "pixel_hidden": 8, "mixtures": 2}
    monkeypatch.setitem(agave_recipe.SHAPES, "agave-cifar10", replace(agave_recipe.SHAPE, **sizes))
    made = zoo.real_weights(agave_run(tmp_path / "agave", init=start, rate=0.0)).weights
    photo = zoo.real_weights(start).weights
    taken = {name for name, value in made.items() if name in photo and torch.equal(value, photo[name])}
    assert {"pixels.predictor.weight", "pixels.net.out.0.weight", "pixels.net.hidden.1.weight"} <= taken
    assert all(name.startswith("pixels.") or not made[name].any() for name in taken)
