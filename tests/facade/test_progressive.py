"""Progressive codes: groups of latents as chunks, fronts of files that were cut, and what each group costs."""

from pathlib import Path

import numpy as np
import pytest
from commands import failure, ok
from PIL import Image

import vlcodec
from vlcodec.codec.errors import FormatError, ModelError
from vlcodec.codec.files import picture_file
from vlcodec.models import registry, zoo

MODELS = ["dvaepp-mnist", "dvaepp-cifar10"]
GROUPS = 5


def picture(model: str) -> Image.Image:
    pixels = zoo.golden_pictures(registry.by_name(model))[0]
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def ends(data: bytes) -> list[int]:
    """How many bytes of a file hold each of its groups, with the checksum behind it."""
    found = list[int]()
    for size in range(len(data) + 1):
        try:
            groups = len(picture_file.preview(data[:size]).groups)
        except FormatError:
            continue
        if groups > len(found):
            found.append(size)
    return found


@pytest.mark.parametrize("model", MODELS)
def test_the_quality_counts_groups(model: str) -> None:
    image = picture(model)
    files = [vlcodec.compress(image, model=model, quality=quality) for quality in range(1, GROUPS + 1)]
    assert vlcodec.compress(image, model=model) == files[-1]
    assert [len(picture_file.unpack(data).groups) for data in files] == [1, 2, 3, 4, 5]
    assert sorted(files, key=len) == files
    for data in files:
        back = vlcodec.decompress(data)
        assert (back.mode, back.size) == (image.mode, image.size)
        assert back.tobytes() == vlcodec.decompress(data, decode="sample").tobytes()
    with pytest.raises(ModelError, match=f"model {model} has qualities 1 to 5, not 6"):
        vlcodec.compress(image, model=model, quality=6)


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_a_file_that_is_cut_gives_the_coarser_picture(model: str, lossless: bool) -> None:
    """The one that a lossy file of as many groups gives; without asking for it, the cut file is refused."""
    image = picture(model)
    data = vlcodec.compress(image, model=model, lossless=lossless, seed=3)
    places = ends(data)
    assert len(places) == GROUPS
    for quality, place in enumerate(places, 1):
        wanted = vlcodec.decompress(vlcodec.compress(image, model=model, quality=quality, seed=3))
        for size in range(place, min(place + 2, len(data))):
            assert vlcodec.decompress(data[:size], front=True).tobytes() == wanted.tobytes()
            with pytest.raises(FormatError):
                vlcodec.decompress(data[:size])
    for size in range(0, places[0], 3):
        with pytest.raises(FormatError):
            vlcodec.decompress(data[:size], front=True)
    assert (vlcodec.decompress(data, front=True).tobytes() == image.tobytes()) is False
    assert (vlcodec.decompress(data).tobytes() == image.tobytes()) is lossless


@pytest.mark.parametrize("model", MODELS)
def test_a_damaged_group_is_refused(model: str) -> None:
    """Each one has a checksum of its own, also at the end of what has arrived."""
    data = vlcodec.compress(picture(model), model=model)
    place = ends(data)[2]
    for at in range(0, place, 7):
        hurt = bytearray(data[:place])
        hurt[at] ^= 16
        with pytest.raises(vlcodec.VlcodecError):
            vlcodec.decompress(bytes(hurt), front=True)


def test_a_file_with_other_groups_than_its_quality_says() -> None:
    data = vlcodec.compress(picture("dvaepp-mnist"), model="dvaepp-mnist", quality=3)
    file = picture_file.unpack(data)
    for refinements, rule in ((file.refinements[:1], "2 groups"), ((*file.refinements, b""), "4 groups")):
        other = picture_file.File(file.header, file.latents, refinements=refinements)
        with pytest.raises(FormatError, match=f"the file holds {rule} of latents: its model has 3"):
            vlcodec.decompress(picture_file.pack(other))
    one = picture_file.unpack(vlcodec.compress(Image.new("RGB", (9, 7)), model="photo-9"))
    two = picture_file.File(one.header, one.latents, refinements=(b"",))
    with pytest.raises(FormatError, match="the file holds 2 groups of latents: its model has one"):
        vlcodec.decompress(picture_file.pack(two))


@pytest.mark.parametrize("model", MODELS)
def test_the_parts_sum_to_the_elbo(model: str) -> None:
    image = picture(model)
    ledger = vlcodec.rate(image, model=model, samples=2)
    assert len(ledger.groups) == GROUPS
    assert abs(sum(ledger.groups) + ledger.pixels - ledger.elbo) < 1e-6
    assert abs(ledger.latents_kl - sum(ledger.groups)) < 1e-6
    data = vlcodec.compress(image, model=model, lossless=True)
    assert len(data) == ledger.lossless_bytes
    assert len(vlcodec.compress(image, model=model)) == ledger.lossy_bytes
    assert 8 * len(data) == ledger.header_bits + ledger.latents_written + ledger.pixels_written
    assert ledger.likelihood is not None


def test_fronts_of_other_models() -> None:
    """A photograph's front is its preview, which a lossy file of one layer has, too."""
    image = Image.fromarray(np.arange(3 * 20 * 30, dtype=np.uint8).reshape(20, 30, 3))
    data = vlcodec.compress(image, lossless=True, model="photo-37")
    lossy = vlcodec.compress(image, quality=1, model="photo-37")
    assert vlcodec.decompress(data[:-5], front=True).tobytes() == vlcodec.decompress(lossy).tobytes()


def test_the_command_line(tmp_path: Path) -> None:
    image = picture("dvaepp-mnist")
    image.save(tmp_path / "a.png")
    ok("compress", "a.png", "--model", "dvaepp-mnist", "-q", "4", cwd=tmp_path)
    data = (tmp_path / "a.vlz").read_bytes()
    (tmp_path / "cut.vlz").write_bytes(data[: ends(data)[1]])
    assert "cut short" in failure("decompress", "cut.vlz", cwd=tmp_path)
    assert "28x28 L, sample" in ok("decompress", "--front", "cut.vlz", cwd=tmp_path)
    wanted = vlcodec.decompress(vlcodec.compress(image, model="dvaepp-mnist", quality=2))
    assert Image.open(tmp_path / "cut.vlz.png").tobytes() == wanted.tobytes()
    assert "of it, group 5" in ok("rate", "a.png", "--model", "dvaepp-mnist", cwd=tmp_path)
