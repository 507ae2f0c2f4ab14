"""Latents that a lossy file's encoder has searched for."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import ok
from PIL import Image

import vlcodec
from vlcodec import _shared
from vlcodec.codec.coding import latents
from vlcodec.codec.files import picture_file
from vlcodec.codec.interface import Bytes
from vlcodec.estimates import expected_to_compress
from vlcodec.models.layers.causal_pixels import centred
from vlcodec.models.photo import refining, search
from vlcodec.models.photo.codec import PhotoModel
from vlcodec.models.photo.net import smooth_error
from vlcodec.models.photo.refining import refined
from vlcodec.models.walks.dither import CENTRE

WIDTH, HEIGHT = 158, 90
OPTIONS: dict[str, Any] = {"model": "photo-37", "device": "cpu"}


def scene() -> Bytes:
    """(H, W, 3): a gradient, an edge, texture."""
    r, c, k = np.indices((HEIGHT, WIDTH, 3))
    waves = 20 * np.sin(r / 3) * np.cos(c / 5) * (c > WIDTH // 2)
    levels: Bytes = np.clip(40 + r + 40 * (r + 2 * c > 160) + 15 * k + waves, 0, 255).astype(np.uint8)
    return levels


PICTURE = Image.fromarray(scene())


def worth(model: PhotoModel, data: bytes, quality: int, picture: Image.Image) -> float:
    """The objective of a real file, in nats; the less the better."""
    shape = model.net.shape
    pixels, mean = (np.asarray(im.convert("RGB"))[None] for im in (picture, vlcodec.decompress(data, decode="mean")))
    error = centred(mean) - centred(pixels)
    sigma, weight = shape.aux_sigma[quality - 1], shape.kl_weight[quality - 1]
    spread = float(error.square().mean() + smooth_error(error)[0])
    latents = len(picture_file.unpack(data).latents)
    return 3 * WIDTH * HEIGHT * spread / (2 * sigma**2 * weight) + 8 * latents * math.log(2)


@pytest.fixture(scope="module")
def photo() -> PhotoModel:
    from vlcodec.models import registry, zoo

    model = zoo.load(registry.by_number(37), "cpu")
    assert isinstance(model, PhotoModel)
    return model


@pytest.mark.parametrize(("mode", "quality"), [("RGB", 1), ("RGB", 4), ("L", 2)])
def test_a_refined_file_is_worth_more(photo: PhotoModel, mode: str, quality: int) -> None:
    picture = PICTURE.convert(mode)
    plain, quick, slow = (vlcodec.compress(picture, quality=quality, effort=e, **OPTIONS) for e in (1, 3, 7))
    costs = [worth(photo, data, quality, picture) for data in (plain, quick, slow)]
    assert costs[2] < costs[1] < costs[0]
    assert costs[2] < 0.97 * costs[0]
    assert vlcodec.compress(picture, quality=quality, effort=3, **OPTIONS) == quick


def test_windows_cover_the_picture(photo: PhotoModel, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = vlcodec.compress(PICTURE, quality=2, effort=5, **OPTIONS)
    monkeypatch.setattr(refining, "SIDE", 3)
    monkeypatch.setattr(search, "MARGIN", 2)
    told = list[tuple[str, int, int]]()
    parts = vlcodec.compress(PICTURE, quality=2, effort=5, progress=lambda *at: told.append(at), **OPTIONS)
    assert [at[1:] for at in told if at[0] == "refining"][-1] == (8 * 12, 8 * 12)  # windows of 3 x 3 of 6 x 10 latents
    plain, one, several = (
        worth(photo, data, 2, PICTURE)
        for data in (vlcodec.compress(PICTURE, quality=2, **OPTIONS), whole, parts)
    )
    assert several - one < 0.2 * (plain - one)
    monkeypatch.setattr(search, "MARGIN", 0)
    _, _, before, after = moved(photo)
    assert all((before[r : r + 3, c : c + 3] != after[r : r + 3, c : c + 3]).any() for r in (0, 3) for c in (0, 3, 6))


def moved(model: PhotoModel) -> tuple[int, int, torch.Tensor, torch.Tensor]:
    """Latents of noise before and after."""
    x = torch.from_numpy(np.random.default_rng(1).integers(-128, 128, (96, 144, 3))).float()
    k = torch.zeros(6, 9, model.net.shape.latents)
    return 6, 9, k, refined(model.net, 3, x, k, 2)


@pytest.mark.parametrize(("mode", "near"), [("RGB", 0), ("L", 0), ("RGB", 2)])
def test_latents_of_lossless_files(
    photograph: Callable[[str, int, int], Image.Image], monkeypatch: pytest.MonkeyPatch, mode: str, near: int
) -> None:
    """They are searched for what they and the pixels take together: here from latents on that say nothing."""
    monkeypatch.setattr(_shared, "EFFORTS", (0,) * 9)
    monkeypatch.setattr(_shared, "SEARCHES", (0, 5, *[0] * 7))
    monkeypatch.setattr(latents, "choose", lambda net, pixels, _: np.full(net.shape(1, *pixels.shape[1:3]), CENTRE))
    monkeypatch.setattr(refining, "CODED_SIDE", 4)  # two windows
    picture = photograph("cat", 96, 64).convert(mode)
    how: dict[str, Any] = {"near_lossless": near} if near else {"lossless": True}
    plain, slow = (vlcodec.compress(picture, effort=effort, **how, **OPTIONS) for effort in (1, 2))
    assert len(slow) < 0.985 * len(plain)
    found = np.asarray(vlcodec.decompress(slow)).astype(int)
    assert np.abs(found - np.asarray(picture)).max() <= near
    assert vlcodec.compress(picture, effort=2, **how, **OPTIONS) == slow


def test_the_command(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "a.png")
    ok("compress", "a.png", "-e", "4", "--verify", "--model", "photo-37", cwd=tmp_path)
    assert (tmp_path / "a.vlz").read_bytes() == vlcodec.compress(PICTURE, effort=4, **OPTIONS)
    ok("compress", "a.png", "-e", "3", "--size", "900", "-o", "b.vlz", "--model", "photo-37", cwd=tmp_path)
    assert 0 < len((tmp_path / "b.vlz").read_bytes()) <= 900
    image = (tmp_path / "a.png").read_bytes()
    slow, quick = (expected_to_compress(image, effort=effort).seconds for effort in (9, 1))
    assert slow - quick == pytest.approx((45 + 5) * 2e-6 * WIDTH * HEIGHT)


def test_models_without_such_latents_make_their_usual_files() -> None:
    picture = PICTURE.crop((0, 0, 32, 32))
    assert vlcodec.compress(picture, model="vlae-cifar10", effort=9) == vlcodec.compress(picture, model="vlae-cifar10")
