"""The registry and the weights files: what a number names, and that a file says all that decoding depends on."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import vlcodec
from vlcodec.codec.errors import ModelError
from vlcodec.codec.files.wire import is_archive
from vlcodec.models import registry, zoo
from vlcodec.models.agave.family import UNTIL_6, UNTIL_31
from vlcodec.models.family import Config
from vlcodec.models.layers.exact import layers, uninitialised
from vlcodec.models.photo.family import ONLY_37, UNTIL_9, UNTIL_37
from vlcodec.models.registry import Entry
from vlcodec.models.vlae.codec import VlaeNets
from vlcodec.models.vlae.family import UNTIL_5
from vlcodec.models.weights.based import tensors_of
from vlcodec.models.weights.integers import write_tensors

CPU = torch.device("cpu")
FOR_EVER = {  # number -> name and digest, as .vlz files hold them
    2: ("vlae-mnist", "c77a"),
    3: ("vlae-mnist-dynamic", "90ab"),
    4: ("vlae-omniglot", "c2fb"),
    5: ("vlae-caltech101", "031b"),
    6: ("agave-cifar10", "af08"),
    8: ("photo", "6805"),
}
UNSAID: dict[int, Config] = {  # by the configs of these numbers
    **dict.fromkeys((2, 3, 4, 5), UNTIL_5),
    6: {**UNTIL_6, **UNTIL_31},
    **dict.fromkeys((8, 9), UNTIL_37),
    **{number: {name: UNTIL_37[name] for name in UNTIL_37.keys() - UNTIL_9.keys()} for number in (36, 37)},
    31: UNTIL_31,
}
FILLED_IN = {registry.AGAVE: {**UNTIL_6, **UNTIL_31}, registry.PHOTO: UNTIL_37, registry.VLAE: UNTIL_5}  # by families
MOST_BYTES = 97_000_000  # of the package's weights
every_entry = pytest.mark.parametrize("entry", registry.ENTRIES, ids=lambda entry: f"{entry.name}-{entry.number}")


def picture_for(entry: Entry) -> Image.Image:
    """One that the model takes."""
    pixels = zoo.golden_pictures(entry)[0]
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    """The package's entries, to be changed."""
    own = list(registry.ENTRIES)
    monkeypatch.setattr(registry, "ENTRIES", own)
    return own


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of the search path."""
    monkeypatch.setenv(registry.VARIABLE, str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


# ---- numbers and names ---------------------------------------------------------------------------------------------


def test_what_was_released_stays() -> None:
    found = {entry.number: (entry.name, entry.in_files.hex()) for entry in registry.ENTRIES}
    assert found | FOR_EVER == found
    assert not {1, 7} & found.keys()  # never released


def test_numbers_and_names() -> None:
    """A number names one entry, among those of the package; a name, its newest."""
    numbers = [entry.number for entry in registry.ENTRIES]
    assert len(set(numbers)) == len(numbers)
    assert all(number in registry.RELEASED for number in numbers)
    for entry in registry.ENTRIES:
        assert entry.file == f"{entry.name}-{entry.number}.safetensors"
        assert registry.by_number(entry.number) is registry.by_name(f"{entry.name}-{entry.number}") is entry
        assert len(entry.in_files) == 2
        assert registry.by_name(entry.name).name == entry.name
        assert registry.by_name(entry.name).number >= entry.number
    with pytest.raises(ModelError, match="unknown model 'phot': known are photo"):
        registry.by_name("phot")
    with pytest.raises(ModelError, match="needs model number 77, which this vlcodec does not have"):
        registry.by_number(77)


def test_ranges_of_numbers_lie_apart() -> None:
    ranges = sorted((registry.RELEASED, registry.PROVISIONAL, registry.OWN), key=lambda r: r.start)
    assert all(a.stop <= b.start for a, b in pairwise(ranges))
    assert ranges[-1].stop == 2**32


def test_a_taken_number_is_refused(entries: list[Entry]) -> None:
    with pytest.raises(ModelError, match="number 45 is taken"):
        registry.add(replace(entries[0], name="other"))
    registry.add(replace(entries[0], number=110))
    assert registry.by_name("photo").number == 110


def test_without_a_digest_of_its_own_files_hold_the_beginning_of_the_sha256() -> None:
    assert Entry(9, "new", registry.PHOTO, "", "ab12" + 60 * "0").in_files == bytes.fromhex("ab12")


@every_entry
def test_files_of_numbers_up_to_8_are_of_version_1(entry: Entry) -> None:
    lossless = zoo.takes(entry).alone  # short lossy files are of version 1
    data = vlcodec.compress(picture_for(entry), model=f"{entry.name}-{entry.number}", lossless=lossless)
    assert vlcodec.info(data)["version"] == data[4] >> 4 == entry.version == (1 if entry.number <= 8 else 2)
    assert [replace(entry, number=n).version for n in (1, 8, 9, registry.OWN.start)] == [1, 1, 2, 2]


# ---- retired weights -----------------------------------------------------------------------------------------------


def test_retired_weights_decode_and_do_not_encode(entries: list[Entry]) -> None:
    entry = registry.by_name("agave-cifar10")
    entries[:] = [other for other in entries if other == entry or zoo.takes(other).archives != "colour"]  # it alone
    image = picture_for(entry)
    archive = vlcodec.compress_archive(np.asarray(image)[None])
    data = vlcodec.compress(image, model="agave-cifar10", lossless=True)
    assert is_archive(archive)
    entries[entries.index(entry)] = replace(entry, retired=True)
    assert vlcodec.decompress(data).tobytes() == image.tobytes()
    assert vlcodec.decompress_archive(archive).images[0].tobytes() == image.tobytes()
    assert vlcodec.info(data)["number"] == entry.number
    with pytest.raises(ModelError, match="unknown model 'agave-cifar10'"):
        vlcodec.compress(image, model="agave-cifar10")
    with pytest.raises(ModelError, match="agave-cifar10-41 is retired: its files are read, and no more are written"):
        vlcodec.compress(image, model="agave-cifar10-41")
    with pytest.raises(ModelError, match="archives hold pictures of 28 x 28, not 32 x 32"):
        vlcodec.compress_archive(np.asarray(image)[None])


def test_a_newer_one_takes_the_name_of_a_retired_one(entries: list[Entry]) -> None:
    old = registry.by_name("photo")
    entries[entries.index(old)] = replace(old, retired=True)
    entries.append(replace(old, number=110))
    assert registry.by_name("photo").number == 110
    assert registry.by_number(old.number).retired


# ---- the package's files -------------------------------------------------------------------------------------------


def test_the_packages_weights_are_small() -> None:
    assert sum(entry.path.stat().st_size for entry in registry.ENTRIES) <= MOST_BYTES
    assert sum(path.stat().st_size for path in registry.PACKAGE.glob("*.safetensors")) <= MOST_BYTES


@every_entry
def test_a_file_is_what_its_number_names(entry: Entry) -> None:
    about = registry.metadata(entry.path)
    assert entry.path.parent == registry.PACKAGE
    assert hashlib.sha256(entry.path.read_bytes()).hexdigest() == entry.sha256
    assert (about["name"], about["number"], about["family"]) == (entry.name, str(entry.number), entry.family)
    assert len(about["golden"]) == 64


def fields(config: Config, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every value of a config."""
    for key, value in config.items():
        yield from fields(value, (*path, key)) if isinstance(value, dict) else [(*path, key)]


def without(config: Config, path: tuple[str, ...]) -> Config:
    """A config without one value."""
    first, *rest = path
    return {k: without(v, tuple(rest)) if k == first else v for k, v in config.items() if k != first or rest}


def shapes_of(net: Any) -> dict[str, Any]:
    """All fields of a net's shapes, as a config has them."""
    def plain(shape: Any) -> Any:
        return json.loads(json.dumps(asdict(shape)))

    if isinstance(net, VlaeNets):
        return {"nets": {kind: plain(net.of(kind).shape) for kind in net}}
    return {"net": plain(net.shape)}


@every_entry
def test_a_config_is_complete(entry: Entry) -> None:
    """Nothing that decoding depends on is a default in code: without any one value there is no model."""
    kind, config = zoo.family(entry.family), zoo.config_of(entry.path)
    with uninitialised():
        net = kind.net(config)
    held = {name.removesuffix(".weight") for name in tensors_of(entry.path) if name.endswith(".weight")}
    assert {name for name, _ in layers(net)} == held
    shapes = shapes_of(net)
    unsaid = json.loads(json.dumps(UNSAID.get(entry.number, {})))
    if "nets" in shapes:
        nets: Config = config["nets"]
        said = {kind: shape if UNTIL_5.keys() & shape.keys() else unsaid | shape for kind, shape in nets.items()}
        assert said == shapes["nets"]
    else:
        assert unsaid | {k: v for k, v in config["net"].items() if k != ONLY_37} == shapes["net"]
    paths = list(fields(config))
    assert len(paths) > 6
    for path in paths:
        if path[-1] in {*FILLED_IN.get(entry.family, {}), ONLY_37, "layers"}:  # without it the golden vector is another
            continue
        incomplete = without(config, path)
        assert path not in fields(incomplete)
        with pytest.raises((KeyError, TypeError)):
            kind.freeze(net if path[0] not in ("net", "nets", "kinds") else kind.net(incomplete), incomplete, CPU)


@pytest.mark.parametrize("config", ["", "{}", '{"net": {}}', '{"net": 3}', '{"net": {"unknown": 1}}'])
def test_a_config_that_does_not_fit_is_refused(config: str, folder: Path) -> None:
    """With one sentence, by whatever asks for it first."""
    path = folder / f"photo-{registry.OWN.start}.safetensors"
    about = {"name": "photo", "number": f"{registry.OWN.start}", "family": registry.PHOTO, "golden": ""}
    write_tensors(path, {}, about | {"config": config})
    entry = registry.by_number(registry.OWN.start)
    rule = "does not fit its family" if config else "have no config"
    calls: list[Callable[[], object]] = [
        lambda: zoo.frozen(path, CPU),
        lambda: zoo.real_weights(path),
        lambda: zoo.qualities(entry),
    ]
    for call in calls:
        with pytest.raises(ModelError, match=rule):
            call()


# ---- the search path -----------------------------------------------------------------------------------------------


def put(folder: Path, own: int, /, **changed: str) -> Path:
    """A file of the search path, as far as the registry looks."""
    about = {"name": "vlae-mnist", "number": f"{own}", "family": registry.VLAE, "golden": "", "config": "{}"}
    path = folder / f"vlae-mnist-{own}.safetensors"
    write_tensors(path, {}, about | changed)
    return path


def test_weights_outside_the_package(folder: Path) -> None:
    """Found by number; by name only where the package has none of it. Released numbers are the package's alone."""
    mine, making, released = registry.OWN.start + 5, registry.PROVISIONAL.start, 10
    for number in (mine, making, released):
        path = put(folder, number)
    found = {entry.number: entry for entry in registry.outside()}
    assert found.keys() == {mine, making}
    assert registry.by_number(mine) == found[mine]
    assert (found[mine].provisional, found[making].provisional) == (False, True)
    assert found[mine].path.parent == folder
    assert found[mine].in_files == hashlib.sha256(found[mine].path.read_bytes()).digest()[:2]
    assert registry.by_name("vlae-mnist").number == 32
    assert registry.by_name(f"vlae-mnist-{mine}").number == mine
    with pytest.raises(ModelError, match="needs model number 10, which"):
        registry.by_number(released)
    with pytest.raises(ModelError, match="weights in the making, of which nothing is promised"):
        registry.by_number(making + 1)
    assert path.exists()


def test_a_file_that_is_written_anew_is_read_anew(folder: Path) -> None:
    number = registry.OWN.start
    put(folder, number)
    before = registry.by_number(number)
    path = put(folder, number, golden="another")
    after = registry.by_number(number)
    assert registry.metadata(path)["golden"] == "another"
    assert before.sha256 != after.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("changed", [{"name": "other"}, {"number": "7"}])
def test_a_file_is_named_by_what_it_holds(changed: dict[str, str], folder: Path) -> None:
    put(folder, registry.OWN.start, **changed)
    with pytest.raises(ModelError, match="must be named by what it holds"):
        registry.by_number(registry.OWN.start)
    assert registry.by_number(45) is registry.by_name("photo")  # the package's are found all the same


def test_a_family_that_is_not_known(folder: Path) -> None:
    path = put(folder, registry.OWN.start, family="os")
    for call in (lambda: zoo.frozen(path, CPU), lambda: zoo.takes(registry.by_number(registry.OWN.start))):
        with pytest.raises(ModelError, match="no family 'os' is known"):
            call()


def test_weights_that_are_missing(tmp_path: Path, entries: list[Entry], monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule says which file is looked for, and where."""
    monkeypatch.setenv(registry.VARIABLE, str(tmp_path))
    monkeypatch.setattr(registry, "PACKAGE", tmp_path / "package")
    file = registry.by_name("photo").file
    rule = f"the weights {file} are missing: they were looked for in the package, {tmp_path}; "
    with pytest.raises(ModelError, match=rule):
        vlcodec.compress(Image.new("L", (4, 4)))


def test_other_weights_under_a_number_are_refused(entries: list[Entry]) -> None:
    entry = registry.by_name("photo")
    other = replace(entry, sha256="0" * 64)
    rule = f"{entry.file} is not what number {entry.number} names: its SHA-256 is {entry.sha256}"
    with pytest.raises(ModelError, match=rule):
        zoo.load(other, "cpu")
    data = vlcodec.compress(Image.new("L", (4, 4)), model="photo")
    entries[entries.index(entry)] = replace(entry, digest="beef")
    rule = rf"made with other weights of model photo \({entry.sha256[:4]}; number {entry.number} here is beef\)"
    with pytest.raises(ModelError, match=rule):
        vlcodec.decompress(data)
