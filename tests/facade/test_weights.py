"""Weights of one's own and weights in the making: found by number, used by name, and told from what they are not."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import failure, ok, process, run
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

import vlcodec
from vlcodec import facade
from vlcodec.codec.errors import ModelError, ProvisionalWarning
from vlcodec.codec.files import picture_file as container
from vlcodec.models import registry, zoo
from vlcodec.models.registry import Entry
from vlcodec.models.vlae.codec import golden_pictures

OWN, MAKING, MISSING = 2**31 + 5, 65536 + 7, 2**32 - 1
PICTURE = Image.fromarray(golden_pictures()[0, ..., 0])
USE = {"lossless": True, "device": "cpu"}


def numbered(folder: Path, number: int, name: str = "vlae-mnist", file: str = "") -> Path:
    """A copy of the package's weights of digits, under another number."""
    path = folder / (file or f"{name}-{number}.safetensors")
    with safe_open(registry.by_number(2).path, "pt") as weights:
        about = weights.metadata() | {"name": name, "number": str(number)}
        save_file({key: weights.get_tensor(key) for key in weights.keys()}, path, about)  # noqa: SIM118
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One set of weights of one's own, and one in the making."""
    found = tmp_path_factory.mktemp("weights")
    numbered(found, OWN)
    numbered(found, MAKING, "digits")
    return found


@pytest.fixture(autouse=True)
def _search_path_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_chosen", [])
    monkeypatch.delenv(registry.VARIABLE, raising=False)


@pytest.fixture(params=["variable", "call"])
def searched(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both ways in which a folder comes onto the search path."""
    if request.param == "variable":
        monkeypatch.setenv(registry.VARIABLE, f"{folder / 'none'}:{folder}")
    else:
        facade.search_weights_in(folder)
    return folder


# ---- found and used ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("searched")
def test_weights_of_ones_own_compress_and_decompress() -> None:
    data = vlcodec.compress(PICTURE, model=f"vlae-mnist-{OWN}", **USE)  # type: ignore[arg-type]
    assert container.read_header(data).model_id == OWN
    assert vlcodec.info(data)["number"] == OWN
    assert vlcodec.decompress(data).tobytes() == PICTURE.tobytes()
    official = vlcodec.compress(PICTURE, model="vlae-mnist-2", **USE)  # type: ignore[arg-type]
    assert container.read_header(official).model_id == 2
    assert container.unpack(official).bands == container.unpack(data).bands


@pytest.mark.usefixtures("searched")
def test_they_are_listed_and_make_archives() -> None:
    numbers = [row["number"] for row in facade.models()]
    known = [entry.number for entry in registry.ENTRIES]
    assert numbers[: len(known)] == known
    assert set(numbers[len(known) :]) == {OWN, MAKING}
    pictures = golden_pictures()[..., 0]
    data = vlcodec.compress_archive(pictures, model=f"vlae-mnist-{OWN}")
    back = vlcodec.decompress_archive(data)
    assert np.array_equal(np.stack([np.asarray(image) for image in back.images]), pictures)


@pytest.mark.usefixtures("searched")
def test_what_is_in_the_making_warns_whoever_reads_it() -> None:
    data = vlcodec.compress(PICTURE, model="digits", **USE)  # type: ignore[arg-type]
    with pytest.warns(ProvisionalWarning, match=f"model digits-{MAKING} is weights in the making: nothing is promised"):
        assert vlcodec.decompress(data).tobytes() == PICTURE.tobytes()
    archive = vlcodec.compress_archive(golden_pictures()[..., 0], model=f"digits-{MAKING}")
    with pytest.warns(ProvisionalWarning, match="nothing is promised"):
        vlcodec.decompress_archive(archive)


def test_on_the_command_line(folder: Path, tmp_path: Path) -> None:
    """--weights is the search path of one command; a warning is one line, and no failure."""
    PICTURE.save(tmp_path / "a.png")
    where = ("--weights", str(folder))
    ok("compress", "a.png", "--model", f"vlae-mnist-{OWN}", "--lossless", "--quiet", *where, cwd=tmp_path)
    assert ok("decompress", "a.vlz", *where, cwd=tmp_path).endswith("28x28 L, lossless\n")
    assert f"{OWN:>12}" in ok("models", *where, cwd=tmp_path)
    assert f"number       {OWN}\n" in ok("info", "a.vlz", *where, cwd=tmp_path)
    (line,) = failure("decompress", "a.vlz", "-o", "b.png", cwd=tmp_path).splitlines()
    assert line.startswith(f"vlcodec: a.vlz: the file needs model number {OWN} (weights of its writer's), ")
    run("compress", "a.png", "--model", "digits", "--lossless", "-o", "m.vlz", "--quiet", *where, cwd=tmp_path)
    done = process("decompress", "m.vlz", "--quiet", cwd=tmp_path, env={registry.VARIABLE: str(folder)})
    warning = f"vlcodec: warning: model digits-{MAKING} is weights in the making: nothing is promised for files made"
    assert (done.returncode, done.stdout) == (0, b"")
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(warning)
    with Image.open(tmp_path / "m.vlz.png") as back:
        assert back.tobytes() == PICTURE.tobytes()
    assert "does not exist" in failure("models", "--weights", "none", cwd=tmp_path, code=2)


# ---- not found -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (77, ""),
        (MAKING + 1, "weights in the making, of which nothing is promised"),
        (MISSING, "weights of its writer's"),
    ],
)
def test_an_unknown_number_says_what_is_looked_for_and_where(searched: Path, number: int, kind: str) -> None:
    file = container.unpack(vlcodec.compress(PICTURE, model="vlae-mnist", **USE))  # type: ignore[arg-type]
    data = container.pack(replace(file, header=replace(file.header, model_id=number)))
    for call in (vlcodec.decompress, vlcodec.info):
        with pytest.raises(ModelError) as caught:
            call(data)
        said = str(caught.value)
        assert f"needs model number {number}{f' ({kind})' if kind else ''}, which this vlcodec does not have" in said
        assert f"no *-{number}.safetensors is in the package, " in said
        assert str(searched) in said
        assert registry.VARIABLE in said
        assert "\n" not in said


@pytest.mark.usefixtures("searched")
def test_an_unknown_name_says_what_is_known() -> None:
    for name in ("nobody", f"vlae-mnist-{MISSING}", f"digits-{OWN}"):
        with pytest.raises(ModelError, match=f"unknown model '{name}': known are photo, vlae-mnist, .*, digits"):
            vlcodec.compress(PICTURE, model=name)


def test_a_missing_file_says_which_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(registry, "PACKAGE", tmp_path)
    zoo.load.cache_clear()
    with pytest.raises(ModelError, match=r"the weights vlae-mnist-2\.safetensors are missing: they were looked for in"):
        vlcodec.compress(PICTURE, model="vlae-mnist-2")


def test_released_weights_are_found_on_the_search_path_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package without weights, as a distribution may ship it."""
    entry = registry.by_number(2)
    shutil.copy(entry.path, tmp_path)
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(registry, "PACKAGE", tmp_path / "empty")
    facade.search_weights_in(tmp_path)
    assert entry.path == tmp_path / "vlae-mnist-2.safetensors"
    assert zoo.load.__wrapped__(entry, "cpu").qualities == 1


# ---- others than they say ------------------------------------------------------------------------------------------


def test_a_file_whose_sha_256_is_not_the_registrys_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = registry.by_number(2)
    data = bytearray(entry.path.read_bytes())
    data[-1] ^= 1
    (tmp_path / entry.file).write_bytes(data)
    monkeypatch.setattr(registry, "PACKAGE", tmp_path)
    digest = hashlib.sha256(data).hexdigest()
    with pytest.raises(ModelError, match=f"{entry.file} is not what number 2 names: its SHA-256 is {digest}"):
        zoo.load.__wrapped__(entry, "cpu")


@pytest.mark.usefixtures("searched")
def test_other_weights_under_the_number_are_refused() -> None:
    file = container.unpack(vlcodec.compress(PICTURE, model=f"vlae-mnist-{OWN}", **USE))  # type: ignore[arg-type]
    data = container.pack(replace(file, header=replace(file.header, digest=b"\0\1")))
    rule = rf"made with other weights of model vlae-mnist \(0001; number {OWN} here is {file.header.digest.hex()}\)"
    with pytest.raises(ModelError, match=rule):
        vlcodec.decompress(data)


def test_a_file_is_named_by_what_it_holds(tmp_path: Path) -> None:
    numbered(tmp_path, OWN, file=f"vlae-mnist-{OWN + 1}.safetensors")
    facade.search_weights_in(tmp_path)
    rule = f"vlae-mnist-{OWN + 1}.safetensors must be named by what it holds: vlae-mnist-{OWN}"
    with pytest.raises(ModelError, match=rule):
        facade.models()


def too_long_a_header(data: bytes) -> bytes:
    return b"\xff" * 8 + data[8:]


def no_json(data: bytes) -> bytes:
    return data[:8] + b"[" + data[9:]


@pytest.mark.parametrize("damage", [too_long_a_header, no_json, lambda data: data[:3]])
def test_what_is_no_file_of_weights_is_refused(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = numbered(tmp_path, OWN)
    path.write_bytes(damage(path.read_bytes()))
    facade.search_weights_in(tmp_path)
    with pytest.raises(ModelError, match="not a file of exported weights"):
        facade.models()


def test_a_family_that_is_not_known_is_refused(tmp_path: Path) -> None:
    path = tmp_path / f"digits-{OWN}.safetensors"
    with safe_open(registry.by_name("vlae-mnist").path, "pt") as weights:
        about = weights.metadata() | {"name": "digits", "number": str(OWN), "family": "os"}
        save_file({"a": weights.get_tensor(next(iter(weights.keys())))}, path, about)
    facade.search_weights_in(tmp_path)
    with pytest.raises(ModelError, match="no family 'os' is known to this vlcodec"):
        vlcodec.compress(PICTURE, model="digits")


def test_a_number_names_one_set_of_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "ENTRIES", list(registry.ENTRIES))
    taken = replace(registry.by_name("photo"), name="another")
    with pytest.raises(ModelError, match="number 45 is taken: a number names one set of weights for ever"):
        registry.add(taken)
    registry.add(replace(taken, number=10))
    assert registry.by_number(10).name == "another"
    assert isinstance(registry.by_number(10), Entry)
    assert len({entry.number for entry in registry.ENTRIES}) == len(registry.ENTRIES)


def test_the_newest_of_a_name_that_encodes_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    old = registry.by_name("photo")
    later = [replace(old, number=110), replace(old, number=111, retired=True)]
    monkeypatch.setattr(registry, "ENTRIES", [*registry.ENTRIES, *later])
    assert registry.by_name("photo").number == 110
    assert [registry.by_name(f"photo-{number}").number for number in (9, 110, 111)] == [9, 110, 111]
