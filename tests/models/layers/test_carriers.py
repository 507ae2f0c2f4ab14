"""int8 carries what floats carry: the same integers in every walk, at every border; a probe tells where it may."""

from collections.abc import Callable
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vlcodec.codec.errors import BoundError, ModelError
from vlcodec.codec.interface import Ints
from vlcodec.models import checks, registry, zoo
from vlcodec.models.layers import carriers, exact, probe
from vlcodec.models.layers.carriers import BYTES, SIGNED_BYTES
from vlcodec.models.layers.exact import Layer, frozen_copy, layers
from vlcodec.models.layers.masked import CausalNet, Group, look_whole
from vlcodec.models.layers.settings import exact_inference, stepwise
from vlcodec.models.photo.codec import PhotoModel, golden_pictures
from vlcodec.models.photo.net import GridAgave
from vlcodec.models.walks.wavefront import Skewed, Strips, fronts

PAST, OWN, SEEN = 5, 4, 2
DILATIONS = [(1, 1), (2,), (3,), (4, 1)]
SIZES = [(1, 1), (1, 9), (9, 1), (7, 11), (12, 5)]
every_dilation = pytest.mark.parametrize("dilations", DILATIONS)
every_size = pytest.mark.parametrize(("height", "width"), SIZES)
Seen = tuple[Tensor, Tensor, Tensor]  # past, own, and what a second group sees


def made(dilations: tuple[int, ...], bits: int = 8) -> CausalNet:
    """A frozen net with random weights, and biases that show where they do not belong."""
    torch.manual_seed(0)
    wide: dict[str, list[float]] = {"gain": [1.0] * 3, "low": [-9999.0] * 3, "high": [9999.0] * 3, "bias": [0.1] * 3}
    net = CausalNet(PAST, OWN, 12, dilations, 9, [Group(0, **wide), Group(SEEN, **wide)], 512, bits=bits)
    with torch.no_grad():
        for _, layer in layers(net):
            layer.weight.normal_(0, (1.5 / layer.weight.shape[1]) ** 0.5)
            layer.bias.normal_(0.5, 0.7)
    return frozen_copy(net)


def inputs(height: int, width: int) -> Seen:
    """Two lanes; past in all of int8."""
    rng = np.random.default_rng(height * width)
    shape, ranges = (2, height, width), ((-128, 127, PAST), (-512, 512, OWN), (-127, 127, SEEN))
    drawn = (rng.integers(low, high + 1, (*shape, channels)) for low, high, channels in ranges)
    past, own, seen = (torch.from_numpy(x).float() for x in drawn)
    return past, own, seen


def heads(net: CausalNet, h: Tensor, seen: Tensor) -> Tensor:
    return torch.cat((net.head(0, h, None), net.head(1, h, seen)), -1)


def whole(net: CausalNet, x: Seen) -> Ints:
    """All at once."""
    with exact_inference():
        return heads(net, net.trunk(look_whole, x[0], x[1]), x[2]).numpy().astype(np.int64)


def in_strips(net: CausalNet, x: Seen, rows: int) -> Ints:
    """From top to bottom, so many rows at a time."""
    strips, found = Strips(), list[Tensor]()
    with exact_inference():
        for r in range(0, x[0].shape[1], rows):
            past, own, seen = (part[:, r : r + rows] for part in x)
            found.append(heads(net, net.trunk(strips.look, past, own), seen))
    return torch.cat(found, 1).numpy().astype(np.int64)


def step_by_step(net: CausalNet, x: Seen) -> Ints:
    """The wavefront's walk."""
    lanes, height, width, _ = x[0].shape
    past, own, seen = (part.permute(1, 2, 0, 3).reshape(height * width, lanes, -1) for part in x)
    found, skewed = np.zeros((height * width, lanes, 6), np.int64), Skewed(height, torch.device("cpu"), lanes)
    with stepwise():
        for at in fronts(height, width):
            skewed.advance(at)
            here = torch.from_numpy(at.index)
            h = net.trunk(skewed.look, None, own[here].flatten(0, 1))
            found[at.index] = heads(net, h, seen[here].flatten(0, 1)).numpy().reshape(-1, lanes, 6)
            skewed.put("past", past[here].flatten(0, 1))
    return np.moveaxis(found.reshape(height, width, lanes, 6), 2, 0)


def by_hand(layer: Layer, x: Ints, beside: Ints | None = None) -> Ints:
    """A layer in numpy's int64 over (N, H, W, inputs), zero outside, rounded half to even."""
    height, width = x.shape[1:3]
    padded = np.pad(x, ((0, 0), (8, 8), (8, 8), (0, 0)))
    parts = [padded[:, 8 + r : 8 + r + height, 8 + c : 8 + c + width] for r, c in layer.taps]
    columns = np.concatenate(parts if beside is None else [*parts, beside], -1)
    weight, bias, exponent = (t.numpy().astype(np.int64) for t in layer.integers())
    total = columns @ weight.T + bias
    y = np.rint(total * (layer.gain.numpy().astype(np.float64) * 0.5 ** exponent.astype(np.float64)))
    return np.clip(y, layer.low.numpy(), layer.high.numpy()).astype(np.int64)


def net_by_hand(net: CausalNet, x: Seen) -> Ints:
    """The net in numpy's int64."""
    past, own, seen = (part.numpy().astype(np.int64) for part in x)

    def relu(h: Ints) -> Ints:
        return np.clip(np.rint(h / 4), 0, 255).astype(np.int64)

    h = by_hand(net.first, past, own)
    for near, out in zip(net.near, net.out, strict=True):
        assert isinstance(near, Layer)
        assert isinstance(out, Layer)
        h = h + by_hand(out, by_hand(near, relu(h)))
    ends = list[Ints]()
    for hidden, params, known in zip(net.hidden, net.params, (None, seen), strict=True):
        assert isinstance(hidden, Layer)
        assert isinstance(params, Layer)
        ends.append(by_hand(params, by_hand(hidden, relu(h), known)))
    return np.concatenate(ends, -1)


# ---- walks ---------------------------------------------------------------------------------------------------------


@every_dilation
@every_size
def test_both_walks_in_both_carriers_are_the_integers(dilations: tuple[int, ...], height: int, width: int) -> None:
    net, x = made(dilations), inputs(height, width)
    expected = net_by_hand(net, x)
    assert len(np.unique(expected)) > min(expected.size, 40) // 3
    for in_int8 in (False, True):
        probe.carry(net, in_int8)
        assert np.array_equal(whole(net, x), expected)
        assert np.array_equal(step_by_step(net, x), expected)
        for rows in (1, 5):
            assert np.array_equal(in_strips(net, x, rows), expected)


def test_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = made((1, 4)), inputs(9, 11)
    expected = whole(net, x)
    probe.carry(net, True)
    for values, rows in ((1, 2048), (700, 7), (1 << 20, 50)):
        monkeypatch.setattr(exact, "INT8_VALUES", values)
        monkeypatch.setattr(exact, "INT8_ROWS", rows)
        assert np.array_equal(whole(net, x), expected)


def test_buffers_hold_bytes_and_stand_for_zero() -> None:
    net, x = made((1, 2)), inputs(4, 5)
    probe.carry(net, True)
    skewed, (past, own) = Skewed(4, torch.device("cpu"), 2), (part.permute(1, 2, 0, 3).flatten(0, 1) for part in x[:2])
    with stepwise():
        for at in fronts(4, 5):
            skewed.advance(at)
            here = torch.from_numpy(at.index)
            net.trunk(skewed.look, None, own[here].flatten(0, 1))
            skewed.put("past", past[here].flatten(0, 1))
    kept = {name: stored for name, (_, stored) in skewed.buffers.items()}
    assert kept == {"past": SIGNED_BYTES, "near0": BYTES, "near1": BYTES}
    for name, (buffer, stored) in skewed.buffers.items():
        assert buffer.dtype == torch.int8
        assert (buffer[:, :4] == -stored.shift).all(), name


def test_what_is_not_frozen_or_too_wide_stays_in_floats() -> None:
    net = made((1,), bits=10)
    assert not probe.narrow_layers(net)
    assert not probe.int8_serves(net)
    probe.carry(net, True)
    assert {tensor.dtype for tensor in (whole_h(net),)} == {torch.float32}


def whole_h(net: CausalNet) -> Tensor:
    """What the trunk puts out, as it is kept."""
    past, own, _ = inputs(3, 4)
    with exact_inference():
        return net.trunk(look_whole, past, own)


def test_integers_outlive_the_carrier() -> None:
    """Floats stay at hand, and training forgets int8 as it forgets them."""
    net, x = made((1,)), inputs(5, 6)
    before, expected = net.first.integers(), whole(net, x)
    probe.carry(net, True)
    assert whole_h(net).dtype == torch.int8
    assert all(torch.equal(one, other) for one, other in zip(net.first.integers(), before, strict=True))
    probe.carry(net, False)
    assert whole_h(net).dtype == torch.float32
    assert np.array_equal(whole(net, x), expected)


def test_outputs_too_fine_for_bytes_are_refused() -> None:
    net = made((1,))
    near = net.near[0]
    assert isinstance(near, Layer)
    weight, bias, exponent = near.integers()
    near.load_integers(weight, bias, exponent + 20)
    with pytest.raises(BoundError, match="do not fit int8"):
        probe.carry(net, True)
    assert whole_h(net).dtype == torch.float32
    assert not probe.int8_serves(net)


# ---- probe ---------------------------------------------------------------------------------------------------------


def saturating(columns: Tensor, weight: Tensor) -> Tensor:
    """Sums of pairs in 16 bits, as kernels before VNNI have them: unsigned inputs, signed weights."""
    products = (columns.to(torch.int32) + 128)[:, :, None] * weight.to(torch.int32)
    if products.shape[1] % 2:
        products = torch.nn.functional.pad(products, (0, 0, 0, 1))
    pairs = products.unflatten(1, (-1, 2)).sum(2).clamp(-(2**15), 2**15 - 1)
    sums: Tensor = (pairs.sum(1) - 128 * weight.to(torch.int32).sum(0)).to(torch.int32)
    return sums


def test_the_probe_finds_what_saturates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is right and fast it is taken; where sums of pairs saturate, or all of it is slow, it is not."""
    net = made((1,))
    monkeypatch.setattr(probe, "_faster", lambda shapes: True)
    assert probe.int8_serves(net)
    assert whole_h(net).dtype == torch.float32
    with monkeypatch.context() as patch:
        patch.setattr(torch, "_int_mm", saturating)
        assert not probe.int8_serves(net)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "_int_mm", lambda a, b: (_ for _ in ()).throw(RuntimeError("not implemented")))
        assert not probe.int8_serves(net)
    monkeypatch.setattr(probe, "_faster", lambda shapes: False)
    assert not probe.int8_serves(net)


def test_products_are_padded_as_cuda_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows from 17, inputs and outputs in multiples of 8."""
    shapes = list[tuple[torch.Size, torch.Size]]()
    product = torch._int_mm

    def watched(a: Tensor, b: Tensor) -> Tensor:
        shapes.append((a.shape, b.shape))
        return product(a, b)

    monkeypatch.setattr(torch, "_int_mm", watched)
    monkeypatch.setattr(carriers, "PADDED", ("cpu",))
    net, x = made((1, 3)), inputs(3, 5)
    expected = whole(net, x)
    probe.carry(net, True)
    assert np.array_equal(step_by_step(net, x), expected)
    assert {k % 8 for a, b in shapes for k in (a[1], *b)} == {0}
    assert min(a[0] for a, _ in shapes) == 17


# ---- choice --------------------------------------------------------------------------------------------------------


@pytest.fixture
def narrow(agave: Callable[[int], GridAgave], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> registry.Entry:
    """Weights whose pixel network has 8-bit activations, and a record of checks of their own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(zoo.VARIABLE, raising=False)
    net = GridAgave(replace(agave(0).shape, pixel_bits=8))
    net.load_state_dict(agave(0).state_dict())
    config = {"net": asdict(net.shape), "guide_width": 0.5, "correction_edges": (100, 115)}
    path = zoo.save(net, config, "photo", registry.PHOTO, tmp_path, registry.PROVISIONAL.start)
    digest = sha256(path.read_bytes()).hexdigest()
    return registry.Entry(registry.PROVISIONAL.start, "photo", registry.PHOTO, "", digest, folder=tmp_path)


def load(entry: registry.Entry) -> tuple[PhotoModel, str | None]:
    """As a new process does; and what the record says afterwards."""
    model = zoo.load.__wrapped__(entry, "cpu")
    assert isinstance(model, PhotoModel)
    return model, checks.passed(entry.sha256, "cpu")


def in_int8(model: PhotoModel) -> bool:
    return model.net.pixels.net.first.stored == SIGNED_BYTES


def test_the_probe_runs_once_and_its_choice_is_kept(narrow: registry.Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, serves = list[bool](), [True]

    def probed(net: Any) -> bool:
        asked.append(True)
        return serves[0]

    monkeypatch.setattr(probe, "int8_serves", probed)
    for _ in range(2):
        model, kept = load(narrow)
        assert (in_int8(model), kept, len(asked)) == (True, "int8", 1)
    monkeypatch.setattr(checks, "_processor", lambda: "another")
    serves[0] = False
    model, kept = load(narrow)
    assert (in_int8(model), kept, len(asked)) == (False, "float32", 2)


def test_the_environment_forces_a_carrier(narrow: registry.Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Golden vectors are checked in it, and the record follows."""
    pictures = golden_pictures()
    found = set()
    for name in zoo.CARRIERS:
        monkeypatch.setenv(zoo.VARIABLE, name)
        model, kept = load(narrow)
        assert (kept, in_int8(model)) == (name, name == "int8")
        found.add(zoo.golden_digest(iter([model.single(0).centres(pictures)])) + zoo.golden_digest(model.golden()))
    assert len(found) == 1
    monkeypatch.setenv(zoo.VARIABLE, "int4")
    with pytest.raises(ModelError, match="VLCODEC_CARRIER is float32, float64, int8, not 'int4'"):
        load(narrow)


def test_nets_without_narrow_layers_are_not_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_right", lambda layer: pytest.fail("probed"))
    assert zoo.carried(registry.by_number(8).path, torch.device("cpu"), None)[1] == "float32"
