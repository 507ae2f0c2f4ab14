"""Golden vectors are checked once, and the record of it is no more than a saving of time."""

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy
import pytest
import torch

from vlcodec import facade
from vlcodec.codec.errors import ModelError
from vlcodec.codec.interface import Ints, Model, Source
from vlcodec.models import checks, registry, zoo
from vlcodec.models.blocks.pixel_block import PixelBlock
from vlcodec.models.blocks.together import pop_together
from vlcodec.models.photo import codec as photo_codec

ENTRY = registry.by_name("vlae-mnist")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, empty: what vlcodec keeps there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "vlcodec"


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files whose golden vectors were computed."""
    found, check = list[Path](), zoo.check

    def counted(model: Model, path: Path, device: str) -> None:
        found.append(path)
        check(model, path, device)

    monkeypatch.setattr(zoo, "check", counted)
    return found


def load() -> None:
    """As a new process does."""
    zoo.load.__wrapped__(ENTRY, "cpu")


def test_the_record_spares_the_second_check(cache: Path, checked: list[Path]) -> None:
    load()
    assert [path.name for path in cache.iterdir()] == ["checks.json"]
    load()
    assert checked == [ENTRY.path]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"\xff\0 no JSON"),
        lambda path: path.write_text('{"an": "object"}'),
        lambda path: path.write_text("[1, null, []]"),
        lambda path: path.write_text(""),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["bytes", "object", "numbers", "nothing", "gone", "folder"],
)
def test_a_damaged_record_is_ignored(cache: Path, checked: list[Path], damage: Callable[[Path], object]) -> None:
    load()
    damage(cache / "checks.json")
    load()
    assert len(checked) == 2


def test_a_folder_that_cannot_be_written_costs_the_check_alone(
    cache: Path, checked: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.parent.mkdir(exist_ok=True)
    cache.write_text("a file where the folder should be")
    load()
    load()
    assert len(checked) == 2
    assert cache.read_text().startswith("a file")

    def fail() -> Path:
        raise OSError

    cache.unlink()
    monkeypatch.setattr(Path, "write_text", lambda *args: fail())
    load()
    assert len(checked) == 3


@pytest.mark.usefixtures("cache")
def test_the_record_is_of_these_weights_this_device_and_these_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    checks.record("weights", "cpu", "int8")
    assert checks.passed("weights", "cpu") == "int8"
    assert not checks.passed("others", "cpu")
    for target, name, value in (
        (torch, "__version__", "0.0"),
        (numpy, "__version__", "0.0"),
        (checks, "_processor", lambda: "another"),
        (checks, "_sources", lambda: "others"),
        (platform, "machine", lambda: "another"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(target, name, value)
            assert not checks.passed("weights", "cpu"), name
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "get_device_name", lambda: "a card")
        assert not checks.passed("weights", "cuda")
        checks.record("weights", "cuda", "float32")
        assert checks.passed("weights", "cuda")
        patch.setattr(torch.cuda, "get_device_name", lambda: "another card")
        assert not checks.passed("weights", "cuda")
    assert checks.passed("weights", "cpu")


def test_the_record_does_not_grow_without_end(cache: Path) -> None:
    for number in range(checks.KEPT + 5):
        checks.record(str(number), "cpu", "float32")
    checks.record("7", "cpu", "float32")
    assert len(json.loads((cache / "checks.json").read_text())) == checks.KEPT
    assert [checks.passed(str(n), "cpu") for n in (3, 7, checks.KEPT + 4)] == [None, "float32", "float32"]


def test_what_fails_is_refused_and_not_recorded(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "golden_digest", lambda outputs: "another")
    for _ in range(2):
        with pytest.raises(ModelError, match=r"device cpu does not reproduce the golden vector of vlae-mnist-32"):
            load()
    assert not cache.exists()


@pytest.mark.usefixtures("cache")
def test_selftest_always_computes_the_whole(checked: list[Path]) -> None:
    load()
    load()
    for _ in range(2):
        assert all(result["ok"] for result in facade.selftest(model="vlae-mnist", device="cpu"))
    assert len(checked) >= 3


# ---- what encoding depends on --------------------------------------------------------------------------------------

PHOTOS = [entry for entry in registry.ENTRIES if entry.front is not None]


@pytest.mark.parametrize("entry", PHOTOS, ids=lambda entry: str(entry.number))
def test_the_front_ends_before_any_walk(entry: registry.Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    model, walks = zoo.frozen(entry.path, torch.device("cpu")), list[int]()

    def walked(blocks: Sequence[PixelBlock], sources: Sequence[Source]) -> list[Ints]:
        walks.append(len(blocks))
        return pop_together(blocks, sources)

    monkeypatch.setattr(photo_codec, "pop_together", walked)
    zoo.check_front(model, entry, "cpu")
    assert not walks
    arrays, _ = entry.front or (0, "")
    golden = model.golden()
    assert len(list(islice(golden, arrays))) == arrays
    assert not walks
    next(golden)
    assert walks


def test_to_encode_the_front_is_checked_and_to_decode_the_rest(cache: Path, checked: list[Path]) -> None:
    entry = PHOTOS[0]
    model = zoo.load.__wrapped__(entry, "cpu")
    assert not checked
    assert checks.passed(entry.sha256, "cpu") is None
    carrier = checks.passed(entry.sha256 + zoo.FRONT, "cpu")
    assert carrier in zoo.CARRIERS
    assert zoo._HALF[entry, "cpu"] == carrier
    assert zoo.whole(entry, "cpu") is zoo.load(entry, "cpu") is not model
    assert checked == [entry.path]
    assert checks.passed(entry.sha256, "cpu") is not None
    zoo.whole(entry, "cpu")
    zoo.load.__wrapped__(entry, "cpu")
    assert checked == [entry.path]
    assert (entry, "cpu") not in zoo._HALF


def test_another_front_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = replace(PHOTOS[0], front=(5, "00" * 32))
    with pytest.raises(ModelError, match=f"^device cpu does not reproduce the golden vector of {entry.file}: "):
        zoo.load.__wrapped__(entry, "cpu")
    assert not (cache / "checks.json").exists()
