"""Integer layers: the same bits whatever the walk, batch, size, thread count, library and carrier."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vlcodec.codec.errors import BoundError, ModelError, VlcodecError
from vlcodec.codec.interface import Ints
from vlcodec.models import registry, zoo
from vlcodec.models.agave import training as agave_recipe
from vlcodec.models.agave.net import LadderAgave
from vlcodec.models.layers import exact, shifted
from vlcodec.models.layers.activations import round_through
from vlcodec.models.layers.exact import OWN, SQUARE, Layer, Taps, frozen_copy, layers
from vlcodec.models.layers.fine import prove_stream
from vlcodec.models.layers.masked import FIRST, NEAR
from vlcodec.models.layers.mode import IntegerModule, set_mode
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.photo.codec import PhotoModel
from vlcodec.models.photo.net import GridAgave
from vlcodec.models.vlae import training as vlae_recipe
from vlcodec.models.vlae.net import Vlae
from vlcodec.models.weights.integers import freeze_from, integer_tensors, read_tensors, write_tensors

SHAPES = [(1, 1, 1), (15, 1, 7), (16, 5, 1), (17, 6, 9), (33, 3, 4)]  # N, H, W
CPU = torch.device("cpu")
EDGES = (100, 115)


@dataclass(frozen=True)
class Kind:
    """A layer with random weights; `ties`: weights in halves, so that many sums lie just between two integers."""

    taps: Taps
    beside: int = 0
    carrier: torch.dtype = torch.float32
    bits: int = 8
    ties: bool = False

    def make(self, seed: int = 0) -> Layer:
        gain, low, high = [1, 0.5, 8, 32, 1, 0.25], [0, -8191, -8191, -512, 0, -255], [1023, 8191, 8191, 512, 1023, 255]
        options: dict[str, Any] = {"beside": self.beside, "carrier": self.carrier, "bits": self.bits}
        layer, rng = (
            Layer(self.taps, 5, 6, gain=gain, low=low, high=high, **options),
            torch.Generator().manual_seed(seed),
        )
        with torch.no_grad():
            layer.weight.normal_(0, 0.1, generator=rng)
            layer.bias.normal_(0, 0.5, generator=rng)
            if self.ties:
                layer.weight.mul_(20).round_().div_(2)
                layer.bias.mul_(4).round_().div_(128)
        return layer

    def inputs(self, n: int, h: int, w: int, seed: int = 1) -> tuple[Tensor, Tensor | None]:
        rng = np.random.default_rng(seed)
        x, beside = (rng.integers(-1023, 1024, (n, h, w, c)).astype(np.float32) for c in (5, max(1, self.beside)))
        return torch.from_numpy(x), torch.from_numpy(beside) if self.beside else None


KINDS = {
    "own": Kind(OWN),
    "own, beside": Kind(OWN, beside=3),
    "square": Kind(SQUARE),
    "square, float64": Kind(SQUARE, carrier=torch.float64),
    "square, ties": Kind(SQUARE, ties=True),
    "first": Kind(FIRST, beside=3, bits=11),
    "near": Kind(NEAR),
    "lopsided": Kind(((-1, -2), (0, 0), (2, 1))),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


def frozen(layer: Layer, carrier: torch.dtype | None = None) -> Layer:
    layer.load_integers(*layer.integers(), carrier)
    return layer


def gathered(layer: Layer, x: Tensor, beside: Tensor | None) -> Ints:
    """(N H W, fan_in) int64: what each position sees, zero outside the picture."""
    n, h, w, c = x.shape
    padded = np.zeros((n, h + 8, w + 8, c), np.int64)
    padded[:, 4 : 4 + h, 4 : 4 + w] = x.numpy()
    parts = [padded[:, 4 + dr : 4 + dr + h, 4 + dc : 4 + dc + w] for dr, dc in layer.taps]
    if beside is not None:
        parts.append(beside.numpy().astype(np.int64))
    return np.concatenate(parts, -1).reshape(n * h * w, -1)


def reference(layer: Layer, x: Tensor, beside: Tensor | None) -> Ints:
    """The layer in numpy's int64, rounded half to even."""
    weight, bias, exponent = (t.numpy().astype(np.int64) for t in layer.integers())
    total = gathered(layer, x, beside) @ weight.T + bias
    y = np.rint(total * (layer.gain.numpy().astype(np.float64) * 0.5 ** exponent.astype(np.float64)))
    return np.clip(y, layer.low.numpy(), layer.high.numpy()).astype(np.int64).reshape(*x.shape[:3], -1)


# ---- walks ---------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[1, 6], ids=["a product a tap", "gathered"])
def gathering(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of a dense layer, whatever its inputs."""
    monkeypatch.setattr(shifted, "LEAST_INPUTS", request.param)


@every_kind
@pytest.mark.usefixtures("gathering")
def test_dense_step_and_reference_agree(kind: Kind, setting: str) -> None:
    layer = kind.make()
    for shape in SHAPES:
        x, beside = kind.inputs(*shape)
        expected = reference(layer, x, beside)
        assert len(np.unique(expected)) > min(expected.size, 6) // 2
        for carrier in (None, torch.float64):
            frozen(layer, carrier)
            with exact_inference():
                dense = layer(x, beside)
                step = layer.step([torch.from_numpy(gathered(layer, x, beside)).float()])
            assert np.array_equal(dense.numpy(), expected)
            assert np.array_equal(step.numpy().reshape(expected.shape), expected)


@every_kind
@pytest.mark.usefixtures("gathering")
@pytest.mark.parametrize("values", [1, 500])
def test_tiles_change_nothing(kind: Kind, values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, (x, beside) = frozen(kind.make()), kind.inputs(2, 7, 5)
    monkeypatch.setattr(exact, "TILE_VALUES", values)
    monkeypatch.setattr(shifted, "ROWS", values // 20)
    assert np.array_equal(layer(x, beside).detach().numpy(), reference(layer, x, beside))


@every_kind
@pytest.mark.usefixtures("gathering")
@pytest.mark.parametrize("cut", [1, 3])
def test_a_part_under_the_rows_above_it(kind: Kind, cut: int) -> None:
    layer, (x, beside) = frozen(kind.make()), kind.inputs(2, 7, 5)
    above = nn.functional.pad(x, (0, 0, 0, 0, 4, 0))[:, 4 + cut - layer.above : 4 + cut]
    part = layer(x[:, cut:], None if beside is None else beside[:, cut:], above)
    assert torch.equal(part, layer(x, beside)[:, cut:])


@pytest.mark.parametrize(("value", "carrier"), [(1, torch.float32), (8191, torch.float64)])
def test_float32_serves_where_the_values_at_hand_allow_it(value: int, carrier: torch.dtype) -> None:
    kind = Kind(SQUARE, carrier=torch.float64, bits=11)
    layer, x = frozen(kind.make()), torch.full((1, 3, 4, 5), float(value))
    x[0, 1, 2] *= -1
    narrowed = shifted.narrowed(layer.frozen, x)
    assert {part.dtype for part in narrowed} == {carrier}
    padded = nn.functional.pad(x, (0, 0, 1, 1, 1, 1))
    made = torch.empty(1, 3, 4, 6)
    shifted.fill(made, padded, narrowed, layer.corners, layer._requantised)
    assert np.array_equal(made.numpy(), reference(layer, x, None))


def test_positions_of_a_step_take_the_same_path() -> None:
    layer, (x, beside) = frozen(KINDS["own, beside"].make()), KINDS["own, beside"].inputs(1, 4, 5)
    assert beside is not None
    assert torch.equal(layer(x.reshape(20, 5), beside.reshape(20, 3)), layer(x, beside).view(20, 6))


@every_kind
def test_training_simulates_the_integers(kind: Kind) -> None:
    """Simulated, the training walk gives what the frozen layer gives; in training, it does not."""
    layer, (x, beside) = kind.make(), kind.inputs(3, 6, 7)
    real = layer(x, beside)
    set_mode(layer, "simulated")
    simulated = layer(x, beside)
    assert not torch.equal(real, simulated)
    assert torch.equal(simulated, frozen(layer)(x, beside))


def test_a_net_is_frozen_by_its_integers_alone(agave: Callable[[int], GridAgave]) -> None:
    """Every mode is told by the module itself; back in training, integers are forgotten."""
    net = agave(0)
    with pytest.raises(RuntimeError, match="load integers first"):
        set_mode(net, "frozen")
    frozen_net = frozen_copy(net)
    modules = [part for part in frozen_net.modules() if isinstance(part, IntegerModule)]
    assert len(modules) > len(list(layers(net)))
    assert {part.mode for part in modules} == {"frozen"}
    assert {part.mode for part in net.modules() if isinstance(part, IntegerModule)} == {"training"}
    z = torch.full((1, 1, 1, 4), 40.0)
    assert not frozen_net.decoder.body(z, [(0, 1)]).requires_grad
    set_mode(frozen_net, "simulated")
    assert frozen_net.decoder.body(z, [(0, 1)]).requires_grad
    with pytest.raises(RuntimeError, match="load integers first"):
        set_mode(frozen_net, "frozen")


@every_kind
def test_a_frozen_layer_tells_its_integers(kind: Kind) -> None:
    layer = kind.make()
    weight, bias, exponent = layer.integers()
    others = (weight // 3, bias + 3, exponent - 1)
    layer.load_integers(*others)
    assert all(torch.equal(one, other) for one, other in zip(layer.integers(), others, strict=True))


def test_rounding_passes_gradients_through() -> None:
    x = torch.tensor([0.5, 1.5, 2.4, -0.5], requires_grad=True)
    y = round_through(x)
    y.sum().backward()
    assert y.tolist() == [0, 2, 2, 0]
    assert x.grad is not None
    assert x.grad.tolist() == [1, 1, 1, 1]


def test_a_walk_of_steps_needs_integers() -> None:
    with pytest.raises(RuntimeError, match="load integers first"):
        KINDS["own"].make().step([torch.zeros(1, 5)])


# ---- bounds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0, 1e-9, 1e-3, 1, 1e2])
@every_kind
def test_integers_keep_to_their_bits_and_bounds(kind: Kind, scale: float) -> None:
    layer = kind.make()
    with torch.no_grad():
        layer.weight.mul_(scale)
    weight, bias, exponent = layer.integers()
    layer.prove(weight, bias)
    assert weight.abs().max() <= layer.weight_max
    assert torch.equal(weight, weight.round())
    error = (layer.weight.double() - weight * torch.exp2(-exponent)[:, None]).abs() * torch.exp2(exponent)[:, None]
    assert error.max() <= 0.5


@pytest.mark.parametrize(("carrier", "limit"), [(torch.float32, 2**24), (torch.float64, 2**53)])
def test_the_bound_is_sharp(carrier: torch.dtype, limit: int) -> None:
    layer = Layer(OWN, 2, 1, input_max=1, carrier=carrier, low=-(2.0**60), high=2.0**60)
    exponent = torch.zeros(1, dtype=torch.float64)
    weight, bias = torch.tensor([[limit // 2, -limit // 4]]).double(), torch.tensor([limit // 4 - 1]).double()
    layer.load_integers(weight, bias, exponent)
    assert layer.step([torch.tensor([[1.0, -1.0]])]).item() == np.float32(limit - 1)
    with pytest.raises(BoundError, match="does not hold exactly"):
        layer.load_integers(weight, bias + 1, exponent)
    with pytest.raises(BoundError, match="does not hold exactly"):
        layer.load_integers(weight, -bias - 1, exponent)


@pytest.mark.parametrize("gain", [3, 0.0, -2.0, math.inf, [1, 1, 0.3]])
def test_a_gain_is_a_power_of_two(gain: float | list[float]) -> None:
    with pytest.raises(BoundError, match="a gain must be a power of two"):
        Layer(OWN, 2, 3, gain=gain)


def test_a_stream_that_is_too_long_is_refused() -> None:
    prove_stream(127)
    long = replace(vlae_recipe.SHAPE, window=70), replace(agave_recipe.SHAPE, blocks=126)
    for make in (lambda: Vlae(long[0]), lambda: LadderAgave(long[1])):
        with pytest.raises(BoundError, match="a residual stream of") as caught:
            make()
        assert isinstance(caught.value, VlcodecError)


def test_export_names_the_layer_that_breaks_the_bound(agave: Callable[[int], GridAgave], tmp_path: Path) -> None:
    net = agave(0)
    with torch.no_grad():
        net.pixels.net.near[1].weight.mul_(1e9)  # type: ignore[operator]
    with pytest.raises(BoundError, match=r"layer pixels\.net\.near\.1: a sum can reach"):
        zoo.save(net, config_of(net), "photo", registry.PHOTO, tmp_path)
    assert list(tmp_path.iterdir()) == []


# ---- whole models --------------------------------------------------------------------------------------------------


def config_of(net: GridAgave) -> dict[str, Any]:
    return {"net": asdict(net.shape), "guide_width": 0.5, "correction_edges": EDGES}


def golden_of(net: GridAgave, guide_width: float = 0.5, edges: tuple[int, ...] = EDGES) -> str:
    return zoo.golden_digest(PhotoModel(net, CPU, guide_width, edges).golden())


def test_the_golden_vector_holds_under_every_setting(photo: PhotoModel, setting: str) -> None:
    """Every output that a table is made of, at every quality."""
    golden = registry.metadata(registry.by_name("photo").path)["golden"]
    assert zoo.golden_digest(photo.golden()) == golden


def test_the_golden_vector_holds_in_wider_carriers() -> None:
    path = registry.by_name("photo").path
    model = zoo.frozen(path, CPU, "float64")
    zoo.check(model, path, "cpu")
    assert isinstance(model, PhotoModel)
    kinds = {tensor.dtype for _, layer in layers(model.net) for tensor in layer.frozen}
    assert kinds == {torch.float64}


def test_export_and_load(agave: Callable[[int], GridAgave], tmp_path: Path) -> None:
    net, other = agave(1), agave(2)
    before = integer_tensors(net)
    path = zoo.save(net, config_of(net), "photo", registry.PHOTO, tmp_path, registry.PROVISIONAL.start)
    tensors, metadata = read_tensors(path), registry.metadata(path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name] == [f"photo-{metadata['number']}.safetensors"]
    assert (metadata["name"], metadata["family"]) == ("photo", registry.PHOTO)
    assert tensors.keys() == before.keys()
    assert all(torch.equal(tensors[k], before[k]) and tensors[k].dtype == before[k].dtype for k in tensors)
    assert {t.dtype for k, t in tensors.items() if k.endswith("weight")} == {torch.int8, torch.int16}

    freeze_from(other, tensors)
    assert golden_of(other) == metadata["golden"] == golden_of(net)
    zoo.check(zoo.frozen(path, CPU), path, "cpu")
    for frozen_net in (net, other):
        set_mode(frozen_net, "training")
    for (name, mine), (_, theirs) in zip(layers(net), layers(other), strict=True):
        assert torch.equal(mine.weight, theirs.weight), name
        assert torch.equal(
            mine.weight.double() * 2.0 ** tensors[f"{name}.exponent"][:, None], tensors[f"{name}.weight"]
        )


def test_every_layer_is_in_the_golden_vector(agave: Callable[[int], GridAgave]) -> None:
    """One unit more in any one layer's biases, and the vector is another; a layer that it cannot see proves nothing."""
    net = agave(3)
    tensors = integer_tensors(net)
    freeze_from(net, tensors)
    model = PhotoModel(net, CPU, 0.5, EDGES)
    golden = list(model.golden())

    def same() -> bool:
        return all(np.array_equal(*both) for both in zip(golden, model.golden(), strict=True))

    unseen = []
    for name, layer in layers(net):
        bias = tensors[f"{name}.bias"].double()
        nudge = 3 * torch.exp2(tensors[f"{name}.exponent"].double()) / layer.gain.double()
        parts = (tensors[f"{name}.weight"].double(), bias + nudge.ceil(), tensors[f"{name}.exponent"].double())
        layer.load_integers(*parts)
        unseen += [name] * same()
        layer.load_integers(parts[0], bias, parts[2])
    assert unseen == []
    assert same()


def test_the_guide_and_the_corrections_edges_are_in_the_golden_vector() -> None:
    """What the config says beside the net: how wide a sample's guide is, and where each class of pixels begins."""
    entry = registry.by_number(37)
    photo = zoo.load(entry, "cpu")
    assert isinstance(photo, PhotoModel)
    edges: list[tuple[int, ...]] = [(70, 90, 110), (69, 90, 110), (71, 90, 110), (70, 90, 109), (70, 90), (70,), ()]
    models = [PhotoModel(photo.net, CPU, 0.5, each) for each in edges]
    models.append(PhotoModel(photo.net, CPU, 0.51, edges[0]))
    digests = [zoo.golden_digest(model.golden()) for model in models]
    assert digests[0] == registry.metadata(entry.path)["golden"]
    assert len(set(digests)) == len(models)


def test_weights_that_do_not_fit_are_refused(agave: Callable[[int], GridAgave], tmp_path: Path) -> None:
    whole, path = registry.by_name("photo-9").path, tmp_path / "photo-8.safetensors"
    tensors, metadata = read_tensors(whole), registry.metadata(whole)

    def refused(rule: str) -> None:
        with pytest.raises(ModelError, match=rule):
            zoo.check(zoo.frozen(path, CPU), path, "cpu")

    refused("not a file of exported weights")
    path.write_bytes(b"no weights")
    refused("not a file of exported weights")
    write_tensors(path, integer_tensors(agave(0)), metadata)
    refused("do not fit the model at layer encoder")
    write_tensors(path, {k: v for k, v in tensors.items() if k != "prior.net.first.bias"}, metadata)
    refused(r"do not fit the model at layer prior\.net\.first")
    write_tensors(path, tensors, metadata | {"golden": "0" * 64})
    refused(r"does not reproduce the golden vector of photo-8\.safetensors: it is refused")
    tensors["pixels.predictor.bias"] = tensors["pixels.predictor.bias"] + 1
    tensors["pixels.predictor.weight"][0, 10] += 100
    write_tensors(path, tensors, metadata)
    refused("does not reproduce the golden vector")


def test_tanh_is_a_table_once_frozen(tiny: PhotoModel) -> None:
    squash = tiny.net.pixels.noise
    v = torch.arange(-9000.0, 9001)
    expected = 127 * torch.tanh(v.double().clamp(-8191, 8191) / (32 * 16))
    assert (squash(v) - expected).abs().max() <= 0.5 + 1e-6
    assert squash(torch.tensor([0.0, 1e6])).tolist() == [0, round(127 * math.tanh(8191 / 512))]
