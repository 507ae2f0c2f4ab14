"""Weights files that leave out what a released number holds."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

import vlcodec
from vlcodec.codec.errors import ModelError
from vlcodec.models import registry, zoo
from vlcodec.models.registry import Entry
from vlcodec.models.vlae.codec import golden_pictures
from vlcodec.models.weights.based import beyond, tensors_of
from vlcodec.models.weights.integers import read_tensors, write_tensors

BASE, OWN = registry.by_number(2), registry.OWN.start + 9
PICTURE = Image.fromarray(golden_pictures()[0, ..., 0])


@pytest.fixture
def based(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Digits' weights under a number of one's own, with one bias that is not their base's."""
    monkeypatch.setenv(registry.VARIABLE, str(tmp_path))
    start = zoo.real_weights(BASE.path)
    net = zoo.family(start.family).net(start.config)
    net.load_state_dict(start.weights)
    with torch.no_grad():
        net.get_parameter("uniform.pixels.leave.bias").add_(0.25)
    return zoo.save(net, start.config, "vlae-mnist", registry.VLAE, tmp_path, OWN, BASE)


def changed(path: Path, about: dict[str, str]) -> Path:
    """The file with other metadata."""
    write_tensors(path, read_tensors(path), registry.metadata(path) | about)
    return path


def test_a_file_holds_what_is_its_own(based: Path) -> None:
    own, base = read_tensors(based), read_tensors(BASE.path)
    assert 0 < len(own) <= 3
    assert all(name.startswith("uniform.pixels.leave.") for name in own)
    assert registry.metadata(based)["base"] == "2"
    whole = tensors_of(based)
    assert whole.keys() == base.keys()
    assert {name for name in whole if not whole[name].equal(base[name])} == own.keys()
    assert tensors_of(BASE.path).keys() == base.keys()


def test_it_is_a_model_like_any_other(based: Path) -> None:
    name = f"vlae-mnist-{OWN}"
    data = vlcodec.compress(PICTURE, model=name, lossless=True, device="cpu")
    assert vlcodec.info(data)["number"] == OWN
    assert vlcodec.decompress(data, device="cpu").tobytes() == PICTURE.tobytes()
    again = zoo.real_weights(based).weights["uniform.pixels.leave.bias"]
    first = zoo.real_weights(BASE.path).weights["uniform.pixels.leave.bias"]
    assert torch.allclose(again, first + 0.25, atol=0.01)


@pytest.mark.parametrize("number", ["77", "x", f"{OWN}", "-1"])
def test_a_base_that_is_not_there_is_named(number: str, based: Path) -> None:
    with pytest.raises(ModelError, match=r"needs model number 77|is based on .*, which is no released number"):
        tensors_of(changed(based, {"base": number}))


def test_a_base_that_was_altered_is_refused(based: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / BASE.file
    copy.write_bytes(BASE.path.read_bytes()[:-1] + b"\0\0")
    other = replace(BASE, folder=tmp_path)
    monkeypatch.setattr(registry, "ENTRIES", [other if entry == BASE else entry for entry in registry.ENTRIES])
    with pytest.raises(ModelError, match="is not what number 2 names"):
        tensors_of(based)


def test_what_is_no_base() -> None:
    tensors = read_tensors(BASE.path)
    own = Entry(OWN, "vlae-mnist", registry.VLAE, "", "")
    with pytest.raises(ModelError, match="is not released: weights are based on what stays"):
        beyond(own, tensors)
    tensors.pop("uniform.pixels.leave.bias")
    with pytest.raises(ModelError, match=r"holds uniform.pixels.leave.bias, which .* must have too"):
        beyond(BASE, tensors)
