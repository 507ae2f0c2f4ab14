"""Frozen files decode to the same pixels for ever, on every device; the encoder may only get better.

They are made by make_golden.py.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from make_golden import OF_ONE_SIZE, digest, digests, made
from PIL import Image

import vlcodec

FOLDER = Path(__file__).with_name("golden")
RECORD = FOLDER / "golden.json"
GOLDEN: dict[str, dict[str, Any]] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
every_file = pytest.mark.parametrize("name", GOLDEN)
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")]),
]


def compress(name: str, device: str) -> bytes:
    with Image.open(FOLDER / GOLDEN[name]["picture"]) as picture:
        return made(picture, GOLDEN[name]["options"], device)


def test_there_are_files_of_every_kind() -> None:
    assert {p.stem for p in FOLDER.glob("*.vlz")} == GOLDEN.keys()
    kinds = {(e["picture"], e["options"].get("lossless", False)) for e in GOLDEN.values()}
    assert kinds >= {("rgb.png", False), ("rgb.png", True), ("grey.png", False), ("grey.png", True), ("tall.png", True)}
    assert ("grain.png", True) in kinds  # its band is corrected
    assert {e["options"].get("quality") for e in GOLDEN.values()} >= {1, 2, 3, 4}
    of_one_size = {
        (e["options"].get("model"), e["options"].get("archive", False), e["options"].get("lossless"))
        for e in GOLDEN.values()
    }
    assert of_one_size >= {(m, many, kept) for m in OF_ONE_SIZE for many in (False, True) for kept in (False, True)}


@pytest.mark.parametrize("device", DEVICES)
@every_file
def test_decodes_as_recorded(name: str, device: str) -> None:
    entry, data = GOLDEN[name], (FOLDER / f"{name}.vlz").read_bytes()
    found = digests(data, device)
    assert found == {kind: entry[kind] for kind in found}
    if entry["options"].get("lossless"):
        with Image.open(FOLDER / entry["picture"]) as original:
            assert digest(original) == found["pixels"]


@every_file
def test_encodes_no_worse_than_recorded(name: str) -> None:
    entry = GOLDEN[name]
    assert entry["bytes"] == (FOLDER / f"{name}.vlz").stat().st_size
    assert len(compress(name, "cpu")) <= 1.01 * entry["bytes"]


# ---- the same on CUDA, whatever its settings -----------------------------------------------------------------------


@pytest.fixture(params=["as it is", "TF32"])
def _cuda(request: pytest.FixtureRequest) -> Iterator[None]:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA")
    torch.set_float32_matmul_precision("highest" if request.param == "as it is" else "high")
    yield
    torch.set_float32_matmul_precision("highest")


@pytest.mark.gpu
@pytest.mark.usefixtures("_cuda")
@every_file
def test_cuda_writes_the_same_file(name: str) -> None:
    assert compress(name, "cuda") == compress(name, "cpu")


@pytest.mark.gpu
@pytest.mark.usefixtures("_cuda")
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (67, 131), (530, 40), (256, 384)])
def test_cuda_and_cpu_read_each_other(height: int, width: int) -> None:
    rng = np.random.default_rng(height)
    r, c, k = np.indices((height, width, 3))
    picture = ((2 * r + 3 * c + 50 * k) % 256 + rng.integers(-9, 10, (height, width, 3))).clip(0, 255)
    image = Image.fromarray(picture.astype(np.uint8))
    for options in ({"lossless": True}, {"quality": 4, "seed": 9}):
        files = {device: vlcodec.compress(image, device=device, **options) for device in ("cpu", "cuda")}
        assert files["cpu"] == files["cuda"]
        decoded = [vlcodec.decompress(files["cpu"], device=device).tobytes() for device in ("cpu", "cuda")]
        assert decoded[0] == decoded[1]
        assert decoded[0] == image.tobytes() or "quality" in options
