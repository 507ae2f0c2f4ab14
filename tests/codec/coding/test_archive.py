"""Archives: every picture and the extra bytes back, the same bits everywhere, and damage that is never silent."""

import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import vlcodec
from vlcodec.codec.coding import archive
from vlcodec.codec.coding.archive import LANES, Link, Nets, links, net_of
from vlcodec.codec.coding.latents import PIXELS, POSTERIOR, PRIOR, dither_of, pop, push
from vlcodec.codec.coding.meter import Meter
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.coding.tables import GaussianGrid
from vlcodec.codec.errors import ArchiveDamage, FormatError, ImageError, ModelError
from vlcodec.codec.files import archive_data, archive_file
from vlcodec.codec.files.names import pack_names
from vlcodec.codec.files.wire import seal
from vlcodec.codec.interface import Bytes
from vlcodec.models import registry, zoo
from vlcodec.models.layers.exact import layers
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.vlae.blocks import NoiseBlock
from vlcodec.models.vlae.codec import Chained, VlaeModel, golden_pictures


def strokes(count: int) -> Bytes:
    """(count, 28, 28) uint8, 0 or 255: two bars each, no two pictures alike."""
    rng = np.random.default_rng(count)
    r, c = np.indices((28, 28))
    slopes, offsets = rng.uniform(-1, 1, (count, 2, 1, 1)), rng.uniform(5, 23, (count, 2, 1, 1))
    bars = np.abs(r - offsets - slopes * (c - 14)) < 1.5
    inside = (np.abs(r - 14) < 10) & (np.abs(c - 14) < 8)
    return np.asarray(255 * (bars.any(1) & inside), np.uint8)


def arrays(found: vlcodec.Archive) -> Bytes:
    return np.stack([np.asarray(image) for image in found.images])


@pytest.fixture(scope="module")
def model() -> VlaeModel:
    found = zoo.load(registry.by_name("vlae-mnist"), "cpu")
    assert isinstance(found, VlaeModel)
    return found


def flow_of(net: Chained, n: int) -> NoiseBlock:
    return net.prior(np.zeros((n, net.latents), np.int64))


# ---- round trips ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 10, 70])
@pytest.mark.parametrize("extra", [b"", b"x\0\0", bytes(range(1, 256)) * 2], ids=["alone", "little", "much"])
def test_pictures_names_and_extra_bytes_come_back(count: int, extra: bytes) -> None:
    pictures, names = strokes(count), tuple(f"{i} \N{GREEK SMALL LETTER ALPHA}.png" for i in range(count))
    found = vlcodec.decompress_archive(vlcodec.compress_archive(pictures, names=names, extra=extra))
    assert np.array_equal(arrays(found), pictures)
    assert {image.mode for image in found.images} == {"L"}
    assert (found.names, found.extra) == (names, extra)


def test_all_forms_of_input_are_one() -> None:
    pictures = strokes(5)
    files = []
    for picture in pictures:
        buffer = io.BytesIO()
        Image.fromarray(picture).convert("1").save(buffer, "PNG")
        files.append(buffer.getvalue())
    forms = [pictures, pictures > 0, (pictures > 0).astype(np.uint8), [*map(Image.fromarray, pictures)], files]
    assert len({vlcodec.compress_archive(form) for form in forms}) == 1


def test_a_lossy_archive_regenerates() -> None:
    pictures = strokes(20)
    data = vlcodec.compress_archive(pictures, lossless=False, seed=3, extra=b"e")
    first, again = (vlcodec.decompress_archive(data) for _ in range(2))
    other = vlcodec.decompress_archive(data, seed=4)
    assert np.array_equal(arrays(first), arrays(again))
    assert not np.array_equal(arrays(first), arrays(other))
    assert first.extra == other.extra == b"e"
    assert len(data) < len(vlcodec.compress_archive(pictures)) / 2


def test_bits_back_leaves_the_stack_as_it_was(model: VlaeModel) -> None:
    """Encoding, then decoding: the pictures, and every bit that lay there before."""
    net, pictures = model.chained(), golden_pictures()
    bottom = bytes(np.random.default_rng(0).integers(1, 256, 1000, np.uint8))
    u, stack = dither_of(net, 0, 0, *pictures.shape[:3]), Stack(bottom)
    push(net, pictures, u, stack)
    assert stack.to_bytes() != bottom
    assert np.array_equal(pop(net, u, stack, *pictures.shape[1:]), pictures)
    assert stack.to_bytes() == bottom


def test_the_flow_is_a_bijection_of_the_whole_grid(model: VlaeModel) -> None:
    net = model.chained()
    symbols, flow = np.random.default_rng(0).integers(0, 4096, (40, net.latents)), flow_of(net, 40)
    symbols[0], symbols[1] = 0, 4095
    noise = flow.to_noise(symbols)
    assert noise.min() >= 0
    assert noise.max() < 4096
    assert np.array_equal(flow.from_noise(noise), symbols)
    assert np.array_equal(flow.to_noise(flow.from_noise(symbols)), symbols)


@pytest.mark.parametrize("lanes", [1, 15, 16, 17, 33])
def test_lanes_do_not_matter(model: VlaeModel, lanes: int) -> None:
    """The integers of a picture are the same, whatever stands beside it."""
    net, pictures = model.chained(), strokes(33)[..., None]
    z = np.random.default_rng(1).integers(1800, 2300, (33, net.latents))
    u = np.zeros_like(z)
    whole, part = (net.posterior(pictures[:n], u[:n]).distribution for n in (33, lanes))
    size = lanes * net.latents
    assert isinstance(whole, GaussianGrid)
    assert isinstance(part, GaussianGrid)
    assert np.array_equal(whole.centre[:size], part.centre)
    assert np.array_equal(whole.scale[:size], part.scale)
    assert np.array_equal(net.prior(u).to_noise(z)[:lanes], net.prior(u[:lanes]).to_noise(z[:lanes]))
    assert torch.equal(net.features(z, u)[:lanes], net.features(z[:lanes], u[:lanes]))


BOTH_KINDS = b"of both kinds of link, the first ones by dither."


@pytest.fixture(scope="module")
def expected() -> bytes:
    """What is written before any setting is changed."""
    data = vlcodec.compress_archive(strokes(8), extra=BOTH_KINDS)
    assert 0 < archive_file.unpack(data).header.dithered < 8
    return data


def test_the_same_bits(expected: bytes, setting: str) -> None:
    assert vlcodec.compress_archive(strokes(8), extra=BOTH_KINDS) == expected, setting
    assert np.array_equal(arrays(vlcodec.decompress_archive(expected)), strokes(8))


@pytest.mark.slow
def test_every_layer_is_in_the_golden_vector(model: VlaeModel) -> None:
    """A tenth more in any one layer's outputs, and the golden integers are others."""

    def golden() -> bytes:
        return b"".join(outputs.tobytes() for outputs in model.golden())

    before = golden()
    for net in (model.chained().net, model.single(1).net):
        for name, layer in layers(net):
            weight, bias, exponent = layer.integers()
            layer.load_integers(weight, bias + (100 * torch.exp2(exponent) / layer.gain).ceil(), exponent)
            assert golden() != before, name
            layer.load_integers(weight, bias, exponent)
    assert golden() == before


# ---- links ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 5, 300, 5000])
@pytest.mark.parametrize(("dithered", "ratio", "extra"), [(0, 5, 80), (5, 5, 0), (1, 3, 40), (300, 0, 0)])
def test_links_cover_every_picture_once(count: int, dithered: int, ratio: int, extra: int) -> None:
    dithered = count if not ratio else min(dithered, count)
    found = list(links(count, dithered, ratio, extra))
    covered = [i for link in reversed(found) for i in range(link.first, link.first + link.count)]
    assert covered == list(range(count))
    assert max(link.count for link in found) <= LANES
    assert sum(link.count for link in found if link.dithered) == dithered


def test_bits_back_without_a_net_for_it_is_refused(model: VlaeModel) -> None:
    nets = Nets(None, model.single(1))
    assert net_of(nets, Link(0, 2, dithered=True)) is nets.starter
    with pytest.raises(FormatError, match="coded by bits-back: its model has no net for it"):
        net_of(nets, Link(0, 2, dithered=False))


def test_without_a_net_for_bits_back_the_starter_codes_all(model: VlaeModel) -> None:
    pictures = strokes(9)[..., None]
    coded = archive.write(Nets(None, model.single(1)), pictures, b"", 0, lossless=True, metered=False)
    assert (coded.dithered, coded.ratio) == (9, 0)


def test_more_is_coded_by_bits_back_than_by_dither() -> None:
    pictures = strokes(60)
    plain, seeded = (archive_file.unpack(vlcodec.compress_archive(pictures, extra=e)).header for e in (b"", b"e" * 400))
    assert plain.dithered < 20
    assert seeded.dithered == 0


# ---- refusals ------------------------------------------------------------------------------------------------------


def refuse(kind: type[Exception], rule: str, *args: object, **options: object) -> None:
    with pytest.raises(kind, match=rule):
        vlcodec.compress_archive(*args, **options)  # type: ignore[arg-type]


def test_what_is_refused() -> None:
    one = strokes(1)
    refuse(ImageError, "no pictures: an archive holds at least one", [])
    refuse(ImageError, "no pictures", np.zeros((0, 28, 28), np.uint8))
    refuse(ModelError, "picture 0: archives hold .* 28 x 28 or 32 x 32, not 27 x 28", np.zeros((1, 28, 27), np.uint8))
    refuse(
        ModelError,
        "picture 1: .* not 30 x 28; model photo takes any size",
        [Image.fromarray(one[0]), Image.new("L", (30, 28))],
    )
    refuse(ImageError, "picture 0: .* black and white pictures", np.full((1, 28, 28), 99, np.uint8))
    refuse(ImageError, r"an array of pictures is \(N, H, W\)", np.zeros((2, 28, 28, 4), np.uint8))
    refuse(ImageError, "archives of model agave-cifar10 hold colour pictures", np.zeros((2, 32, 32), np.uint8))
    refuse(ImageError, r"an array of pictures is \(N, H, W\)", np.zeros((2, 28, 28), np.float32))
    refuse(ModelError, "model photo does not take archives; these do: vlae-mnist", one, model="photo")
    refuse(ModelError, "unknown model", one, model="vlae")
    refuse(FormatError, "2 names for 1 pictures", one, names=["a", "b"])
    refuse(FormatError, "two pictures have the same name", strokes(2), names=["a", "a"])
    for name in ("", "a/b", "..", "a\0b", "a\\b"):
        refuse(FormatError, "a name must be a file's own", one, names=[name])
    refuse(FormatError, "the seed is -1", one, seed=-1)


def test_a_threshold_makes_black_and_white() -> None:
    grey = np.full((1, 28, 28), 100, np.uint8)
    grey[0, 5:9, 5:9] = 200
    found = vlcodec.decompress_archive(vlcodec.compress_archive(grey, threshold=150))
    assert np.array_equal(arrays(found), np.where(grey >= 150, 255, 0))
    with pytest.raises(ModelError, match="keeps grey as it is"):
        vlcodec.compress(Image.fromarray(grey[0]), threshold=1)
    with pytest.raises(ImageError, match="a threshold is a grey level from 0 to 255"):
        vlcodec.compress_archive(grey, threshold=300)


# ---- damage --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sound() -> tuple[Bytes, bytes]:
    pictures = strokes(24)
    return pictures, vlcodec.compress_archive(pictures, names=[f"{i}.png" for i in range(24)])


@pytest.mark.slow
def test_a_flipped_bit_is_never_silent(sound: tuple[Bytes, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures before the damage come back with the error, and what comes back is right."""
    pictures = sound[0][:12]
    for module in (archive, archive_data):
        monkeypatch.setattr(module, "CHECKED", 4)
    data = vlcodec.compress_archive(pictures)
    given = set()
    for place in range(0, len(data), len(data) // 29):
        hurt = bytearray(data)
        hurt[place] ^= 16
        with pytest.raises((FormatError, ModelError)) as caught:
            vlcodec.decompress_archive(bytes(hurt))
        if isinstance(caught.value, ArchiveDamage):
            known = caught.value.pictures
            assert np.array_equal(known, pictures[: len(known)])
            given.add(len(known))
    assert given >= {0, 4, 8}


def test_what_is_cut_off_is_refused(sound: tuple[Bytes, bytes]) -> None:
    _, data = sound
    for size in (0, 3, 5, 12, 18, 30, len(data) - 1):
        with pytest.raises((FormatError, ModelError)):
            vlcodec.decompress_archive(data[:size])
    with pytest.raises(FormatError):
        vlcodec.decompress_archive(data + b"\0")


def headers() -> Iterator[tuple[dict[str, int], str]]:
    yield {"count": 2**24}, "names for|too many"
    yield {"dithered": 25}, "number of dithered pictures is 25"
    yield {"ratio": 0}, "the ratio is 0"
    yield {"width": 27}, "does not make archives of pictures of 27 x 28"
    yield {"model_id": registry.by_name("photo").number}, "other weights|does not make archives"
    yield {"model_id": 99}, "needs model number 99"


@pytest.mark.parametrize(("change", "rule"), list(headers()))
def test_headers_that_lie(sound: tuple[Bytes, bytes], change: dict[str, int], rule: str) -> None:
    _, data = sound
    file = archive_file.unpack(data)
    header = object.__new__(archive_file.ArchiveHeader)
    header.__dict__.update(file.header.__dict__ | change)
    lie = object.__new__(archive_file.ArchiveFile)
    lie.__dict__.update(file.__dict__ | {"header": header})
    with pytest.raises((FormatError, ModelError), match=rule):
        vlcodec.decompress_archive(archive_file.pack(lie))


def test_names_that_cannot_be_read(sound: tuple[Bytes, bytes]) -> None:
    file = archive_file.unpack(sound[1])
    data = bytearray(archive_file.pack(file))
    at = data.index(pack_names(file.names))
    data[at : at + 5] = b"\xff" * 5
    with pytest.raises(FormatError, match="the names"):
        archive_file.unpack(seal(data[:-4]))


def test_each_kind_is_refused_by_the_others_reader(sound: tuple[Bytes, bytes]) -> None:
    with pytest.raises(FormatError, match="an archive of pictures, not a picture"):
        vlcodec.decompress(sound[1])
    picture = vlcodec.compress(Image.fromarray(sound[0][0]), model="vlae-mnist")
    with pytest.raises(FormatError, match="not an archive"):
        vlcodec.decompress_archive(picture + bytes(4) if len(picture) < 19 else picture)


# ---- what a file says ----------------------------------------------------------------------------------------------


def test_info(sound: tuple[Bytes, bytes]) -> None:
    said = vlcodec.info(sound[1])
    assert (said["model"], said["pictures"], said["lossless"]) == ("vlae-mnist", 24, True)
    assert said["names"] == [f"{i}.png" for i in range(24)]
    parts = said["bytes"]
    assert parts.pop("file") == len(sound[1]) == sum(parts.values())


def test_the_ledger(sound: tuple[Bytes, bytes]) -> None:
    pictures, _ = sound
    names = [f"{i}.png" for i in range(24)]
    r = vlcodec.rate_archive(pictures, names=names, extra=b"abc")
    assert r.lossless_bytes == len(vlcodec.compress_archive(pictures, names=names, extra=b"abc"))
    assert r.elbo == pytest.approx(r.latents_kl + r.pixels)
    assert 8 * r.lossless_bytes == r.stack_written + r.header_bits + r.checksum_bits + r.names_bits
    assert abs(r.overhead) < 0.02 * r.elbo + 400
    assert r.latents_naive > r.latents_kl
    assert r.lossy_kl < r.elbo
    assert r.dithered == archive_file.unpack(vlcodec.compress_archive(pictures, extra=b"abc")).header.dithered
    assert f"of it, {r.dithered} by dither" in r.table()
    assert archive_file.CHECKED == 512


@pytest.mark.parametrize("kind", ["chained", pytest.param("dithered", marks=pytest.mark.slow)])
def test_the_nets_promise_is_the_ledgers(model: VlaeModel, kind: str) -> None:
    """What training minimises, in nats of KL and pixels, is what the coded symbols cost in bits."""
    pictures = np.concatenate([strokes(200)[..., None], golden_pictures()])
    net = model.chained() if kind == "chained" else model.single(1)
    torch.manual_seed(0)
    with exact_inference():
        terms = [net.net.losses(torch.from_numpy(pictures > 0).float()) for _ in range(4)]
    meter = Meter(Stack(np.random.default_rng(0).bytes(1 << 16) + b"\1"))
    push(net, pictures, dither_of(net, 0, 0, *pictures.shape[:3]), meter)
    promised = {"kl": meter.promised[PRIOR] + meter.promised[POSTERIOR], "pixels": meter.promised[PIXELS]}
    assert (meter.promised[POSTERIOR] < 0) == (kind == "chained")
    for name, found in promised.items():
        nats = torch.stack([t[name].double() for t in terms]).mean(1)
        assert found * math.log(2) / len(pictures) == pytest.approx(float(nats.mean()), rel=0.02), name


def test_a_single_picture(sound: tuple[Bytes, bytes], tmp_path: Path) -> None:
    """By dither, at its honest price."""
    image = Image.fromarray(sound[0][3])
    image.save(tmp_path / "a.png")
    lossless = vlcodec.compress(tmp_path / "a.png", model="vlae-mnist", lossless=True)
    back = vlcodec.decompress(lossless)
    assert (back.mode, back.tobytes()) == ("L", image.tobytes())
    lossy = vlcodec.compress(image, model="vlae-mnist")
    for how in ("sample", "mean"):
        assert set(np.unique(np.asarray(vlcodec.decompress(lossy, decode=how)))) <= {0, 255}
    report = vlcodec.rate(image, model="vlae-mnist", samples=5)
    assert report.likelihood is not None
    assert report.samples == 5
