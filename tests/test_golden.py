"""Frozen files decode to the same pixels for ever, on every device; encoders write the newest of them, byte by byte.

They are made by make_golden.py, and only ever added to.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import make_golden
import numpy as np
import pytest
import torch
from compiled_loops import carrier
from make_golden import COMPOSITES, FOLDER, MACHINES, PICTURES, cases, digest, digests, made, manifest, newest
from PIL import Image

import vlcodec
from vlcodec.models import registry

RELEASED = [entry for entry in registry.ENTRIES if entry.number in registry.RELEASED]
GOLDEN = {(entry.number, name): row for entry in RELEASED for name, row in manifest(entry.number).items()}
FOLDERS: tuple[int | str, ...] = (*(entry.number for entry in RELEASED), "composites")
ALL = {(folder, name): row for folder in FOLDERS for name, row in manifest(folder).items()}
every_file = pytest.mark.parametrize(("number", "name"), GOLDEN, ids=lambda value: str(value))
LARGE = {"archive", "tall"}  # what takes seconds; of number 2 it is always read
every_file_of_all = pytest.mark.parametrize(("number", "name"), ALL, ids=lambda value: str(value))
every_file_in_time = pytest.mark.parametrize(
    ("number", "name"),
    [
        pytest.param(number, name, marks=[pytest.mark.slow] * (number != 2 and bool(LARGE & {*name.split("-")})))
        for number, name in ALL
    ],
    ids=lambda value: str(value),
)
every_number = pytest.mark.parametrize("entry", RELEASED, ids=lambda entry: str(entry.number))
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")]),
]


def compress(number: int, name: str, device: str) -> bytes:
    row = GOLDEN[number, name]
    model = f"{registry.by_number(number).name}-{number}"  # a name alone is the newest
    with Image.open(PICTURES / row["picture"]) as picture:
        return made(picture, row["options"] | {"model": model}, device)


@every_number
def test_every_number_has_files_of_every_kind(entry: registry.Entry) -> None:
    rows = manifest(entry.number)
    assert {name.split(".")[0] for name in rows} == cases(entry).keys()
    assert {path.name for path in (FOLDER / str(entry.number)).glob("*.vlz")} == rows.keys()
    assert any(row["seeds"] for row in rows.values())


@every_number
def test_a_released_number_is_one_set_of_weights(entry: registry.Entry) -> None:
    """What the registry says is held against what was written down when the number was released."""
    written = (FOLDER / str(entry.number) / "weights.sha256").read_text().strip()
    assert entry.sha256 == written == hashlib.sha256(entry.path.read_bytes()).hexdigest()


def test_composites_are_what_the_encoder_writes() -> None:
    assert {name for number, name in ALL if number == "composites"} == {f"{case}.vlz" for case in COMPOSITES}
    for case, (picture, options, _) in COMPOSITES.items():
        with Image.open(PICTURES / f"{picture}.png") as image:
            assert made(image, options) == (FOLDER / "composites" / f"{case}.vlz").read_bytes()


@every_file_of_all
def test_files_are_frozen(number: int | str, name: str) -> None:
    data, row = (FOLDER / str(number) / name).read_bytes(), ALL[number, name]
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (row["sha256"], row["bytes"])


def test_no_file_is_written_over(tmp_path: Path) -> None:
    rows: dict[str, dict[str, Any]] = {}
    assert make_golden.add(tmp_path, rows, "a", {}, b"first") == "a.vlz"
    assert make_golden.add(tmp_path, rows, "a", {}, b"second") == "a.2.vlz"
    assert newest(rows, "a") == "a.2.vlz"
    del rows["a.2.vlz"]
    with pytest.raises(FileExistsError):
        make_golden.add(tmp_path, rows, "a", {}, b"third")
    assert (tmp_path / "a.2.vlz").read_bytes() == b"second"


@pytest.mark.parametrize("device", DEVICES)
@every_file_in_time
def test_decodes_as_recorded(number: int | str, name: str, device: str) -> None:
    row, data = ALL[number, name], (FOLDER / str(number) / name).read_bytes()
    found = digests(data, device)
    assert found == {kind: row[kind] for kind in found}
    if row["options"].get("lossless"):
        with Image.open(PICTURES / row["picture"]) as original:
            assert digest(original) == found["pixels"]


@every_number
def test_encoders_write_the_newest_files(entry: registry.Entry) -> None:
    """Other bytes need a golden file of their own, and may be at most 1 % more than the first ones."""
    rows = manifest(entry.number)
    for case in cases(entry) if not entry.retired else ():
        name = newest(rows, case)
        assert name is not None
        if MACHINES & rows[name]["options"].keys():
            continue
        data = compress(entry.number, name, "cpu")
        assert hashlib.sha256(data).hexdigest() == rows[name]["sha256"], name
        assert len(data) <= 1.01 * rows[f"{case}.vlz"]["bytes"]


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (2, "vlae-mnist-archive-lossless.vlz"),
        (6, "agave-cifar10-archive-lossless.vlz"),
        (8, "grain-lossless.2.vlz"),
        (8, "grey-lossless.2.vlz"),
        (8, "rgb-seed.2.vlz"),
        (9, "grain-lossless.vlz"),
        (9, "grey-lossless.vlz"),
        (9, "rgb-seed.vlz"),
        (9, "tall-lossless.vlz"),
    ],
)
def test_compiled_loops_make_and_read_the_same_files(number: int, name: str) -> None:
    """All other files are made and read by numpy alone."""
    row, data = GOLDEN[number, name], (FOLDER / str(number) / name).read_bytes()
    with carrier(numba=True):
        assert compress(number, name, "cpu") == data
        found = digests(data)
    assert found == {kind: row[kind] for kind in found}


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
def test_cuda_writes_the_same_file(number: int, name: str) -> None:
    if MACHINES & GOLDEN[number, name]["options"].keys():
        pytest.skip("what is learned depends on the machine")
    assert compress(number, name, "cuda") == compress(number, name, "cpu")


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
