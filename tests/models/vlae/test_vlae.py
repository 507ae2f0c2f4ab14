"""VLAE: what its PixelCNN sees, its flows, its ELBO, and its training."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vlcodec.codec.coding.latents import choose, dither
from vlcodec.codec.errors import ImageError, ModelError
from vlcodec.codec.interface import Ints
from vlcodec.models import registry, zoo
from vlcodec.models.layers.activations import FINE_MAX, FINE_UNIT, Elu
from vlcodec.models.layers.exact import layers
from vlcodec.models.layers.made import Flow, Made, OneByOne
from vlcodec.models.layers.masked import look_whole
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.training import loop
from vlcodec.models.vlae import codec
from vlcodec.models.vlae import data as binary_data
from vlcodec.models.vlae import training as vlae_recipe
from vlcodec.models.vlae.blocks import BinaryPixelBlock, FlowBlock, NoiseBlock
from vlcodec.models.vlae.codec import Dithered, VlaeModel, VlaeNets
from vlcodec.models.vlae.data import BinarySet, draw, load_binary
from vlcodec.models.vlae.net import Vlae
from vlcodec.models.vlae.training import centre_idle_latents
from vlcodec.models.weights.integers import freeze_from, integer_tensors

TINY: dict[str, Any] = {
    "latents": 6,
    "widths": (4, 6),
    "blocks": (1, 1),
    "bottleneck": 3,
    "hidden": 12,
    "flow_hidden": 20,
    "features": 2,
    "pixel_channels": 5,
}
KINDS: list[dict[str, Any]] = [
    {},
    {"posterior": "uniform"},
    {"posterior": "none"},
    {"window": 3},
    {"window": 0},
    {"dilation": 4},
    {"tied": True},
    {"flow_steps": 0},
    {"flow_in": "posterior"},
    {"posterior": "uniform", "auxiliary": True},
]


def random_net(kind: dict[str, Any], frozen: bool) -> Vlae:
    net, rng = Vlae(replace(vlae_recipe.SHAPE, **TINY | kind)), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for _, layer in layers(net):
            layer.weight.normal_(0, 1 / math.sqrt(layer.weight.shape[1]), generator=rng)
            layer.bias.add_(0.3 * torch.randn(layer.outputs, generator=rng))
    if frozen:
        freeze_from(net, integer_tensors(net))
    return net


def bits(count: int, seed: int = 0) -> Tensor:
    return (torch.rand(count, 28, 28, 1, generator=torch.Generator().manual_seed(seed)) < 0.4).float()


# ---- what a pixel sees ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_pixel_sees_what_its_window_holds(kind: dict[str, Any]) -> None:
    """Integer for integer: a change at one pixel moves logits inside the window behind it, and no other."""
    net = random_net(kind, frozen=True)
    x, features = bits(1), None if kind.get("posterior") == "none" else 700 * torch.randn(1, 28, 28, 2).round()
    other = x.clone()
    other[0, 10, 12] = 1 - other[0, 10, 12]
    with exact_inference():
        one, two = (net.pixels.trunk(look_whole, FINE_UNIT * (2 * v - 1), features)[0, ..., 0] for v in (x, other))
    moved = {(int(r), int(c)) for r, c in (one != two).nonzero()}
    window, step = kind.get("window", 6), kind.get("dilation", 1)
    seen = {
        (10 + step * r, 12 + step * c)
        for r in range(window + 1)
        for c in range(-window, window + 1)
        if (r > 0 or c > 0) and abs(c) <= window and c >= -r
    }
    assert moved <= seen
    assert bool(moved) == bool(window)
    assert all((r - 10) % step == 0 and (c - 12) % step == 0 for r, c in moved)


@pytest.mark.parametrize("kind", [k for k in KINDS if k.get("window") != 0 and k.get("posterior") != "none"], ids=str)
@pytest.mark.parametrize("lanes", [1, 3])
def test_pixels_step_by_step(kind: dict[str, Any], lanes: int, check_round_trip: Callable[..., bytes]) -> None:
    net = random_net(kind, frozen=True)
    features = (700 * torch.randn(lanes, 28, 28, 2)).round()
    symbols = bits(lanes)[..., 0].permute(1, 2, 0)[:, :, None].numpy().astype(np.int64)
    check_round_trip(BinaryPixelBlock(net, features), symbols)


# ---- flows ---------------------------------------------------------------------------------------------------------


def test_made_is_autoregressive() -> None:
    """Exactly zero, not nearly: m_i does not move with x_i, nor with any later one; with earlier ones it does."""
    made = Made(7, 40, 128, 4096, 2048)
    with torch.no_grad():
        made.leave.weight.mul_(20)
    jacobian = torch.autograd.functional.jacobian(lambda x: made(x[None])[0], torch.randn(7) * 200)
    assert torch.equal(jacobian.triu(), torch.zeros(7, 7))
    assert (jacobian.tril(-1) != 0).sum() > 15


@pytest.mark.parametrize("size", [1, 2, 6, 64])
def test_one_by_one_is_all_at_once(size: int) -> None:
    made = Made(size, 30, 128, 2048, 2048)
    freeze_from(made, integer_tensors(made))
    x = torch.randint(-2048, 2048, (5, size)).float()
    with exact_inference():
        whole, walk = made(x), OneByOne(made, 5, torch.device("cpu"))
        for i in range(size):
            assert torch.equal(walk.shift(i), whole[:, i])
            walk.put(i, x[:, i])


@pytest.mark.parametrize("steps", [0, 1, 4])
@pytest.mark.parametrize("alternate", [False, True])
def test_the_flow_and_its_inverse(steps: int, alternate: bool) -> None:
    flow = Flow(5, steps, 20, unit=128, limit=2048, period=4096, alternate=alternate)
    with torch.no_grad():
        for made in flow.mades():
            made.leave.weight.mul_(100)
    freeze_from(flow, integer_tensors(flow))
    z = torch.randint(-2048, 2048, (50, 5)).float()
    with exact_inference():
        noise = flow(z)
        assert noise.abs().max() <= 2048
        assert torch.equal(flow.inverse(noise), z)
        assert torch.equal(flow(flow.inverse(z)), z)
        assert steps == 0 or not torch.equal(noise, z)


@pytest.mark.parametrize("shape", [(1, 1, 6), (4, 6)])
def test_dithered_latents_step_by_step(shape: tuple[int, ...], check_round_trip: Callable[..., bytes]) -> None:
    rng = np.random.default_rng(0)
    net = random_net({"posterior": "uniform"}, frozen=True)
    check_round_trip(FlowBlock(net, 2 * rng.integers(0, 16, shape) - 15), rng.integers(120, 137, shape))


def test_elu() -> None:
    """The table is the function, within rounding; beyond its reach it is -1."""
    x = torch.arange(-30 * FINE_UNIT, 3 * FINE_UNIT, 7).float()
    real = torch.where(x > 0, x, FINE_UNIT * torch.expm1(x / FINE_UNIT))
    elu = Elu()
    trained = elu(x)
    set_mode(elu, "frozen")
    table = elu(x)
    assert float(elu(torch.tensor([1e6]))) == FINE_MAX
    assert torch.equal(table, table.round())
    assert float((table - real).abs().max()) <= 0.501
    assert float((trained - real).abs().max()) < 0.01


# ---- the objective -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_losses(kind: dict[str, Any]) -> None:
    """Finite, and frozen much the same as in training."""
    x = bits(40)
    real, frozen = random_net(kind, frozen=False), random_net(kind, frozen=True)
    means = []
    for net in (real, frozen):
        torch.manual_seed(0)
        with torch.no_grad():
            terms = net.losses(x)
        assert all(v.shape == (40,) and v.isfinite().all() for v in terms.values())
        means.append(float(terms["pixels"].mean()))
    assert means[0] == pytest.approx(means[1], rel=0.02)


def test_a_flow_in_the_posterior_is_the_priors_from_its_other_side() -> None:
    """The same KL of the same draw; the decoder sees what the flow makes of it."""
    before, behind = (random_net({"flow_in": place}, frozen=False) for place in ("prior", "posterior"))
    behind.load_state_dict(before.state_dict())
    drawn = []
    with torch.no_grad():
        for net in (before, behind):
            torch.manual_seed(0)
            drawn.append(net.draw(net.encoder(FINE_UNIT * (2 * bits(5) - 1))))
        (z, kl), (other, same) = drawn
        assert torch.equal(kl, same)
        assert torch.allclose(other, before.flow(z))
        assert not torch.allclose(other, z)


def test_auxiliary_nats_are_those_of_the_mean_image() -> None:
    net, x = random_net({"posterior": "uniform", "auxiliary": True, "kl_weight": 3.0}, frozen=True), bits(4)
    dithered = Dithered(net, torch.device("cpu"))
    fz = (700 * torch.randn(4, 28, 28, 2)).round()
    p = torch.sigmoid(fz[..., :1] / 1024)
    with torch.no_grad():
        torch.manual_seed(0)
        terms = net.objective(x)
        torch.manual_seed(0)
        z, _ = net.draw(net.encoder(FINE_UNIT * (2 * x - 1)))
        q = torch.sigmoid(net.decoder(z)[..., :1] / 1024)
    assert torch.equal(torch.from_numpy(dithered.mean_images(fz, 28, 28) > 0), p > 0.5)
    expected = -torch.where(x > 0, q, 1 - q).log().sum((1, 2, 3))
    assert torch.allclose(terms["auxiliary"], expected, rtol=1e-3)
    loss = terms["pixels"].mean() + terms["auxiliary"].mean() + 3 * terms["kl"].mean().clamp_min(7.84)
    assert float(terms["loss"]) == pytest.approx(float(loss))


def test_each_quality_has_a_net(check_round_trip: Callable[..., bytes]) -> None:
    kinds: dict[str, dict[str, Any]] = {
        "uniform-2": {"posterior": "uniform", "auxiliary": True},
        "gaussian": {},
        "uniform": {"posterior": "uniform"},
    }
    nets = VlaeNets({kind: random_net(shape, frozen=True).shape for kind, shape in kinds.items()})
    for kind, shape in kinds.items():
        nets[kind] = random_net(shape, frozen=True)
    model = VlaeModel(nets, torch.device("cpu"))
    assert model.qualities == 2
    assert [model.single(q).net.shape.auxiliary for q in (1, 2)] == [False, True]
    u = dither(0, (3, 6))
    for net in (model.single(1), model.single(2)):
        check_round_trip(net.prior(u), choose(net, codec.golden_pictures(), u))
    assert len(list(model.golden())) > 20


@pytest.mark.parametrize("posterior", ["gaussian", "uniform"])
def test_importance_sampling_tightens_the_bound(posterior: str) -> None:
    net, x = random_net({"posterior": posterior}, frozen=False).requires_grad_(False), bits(3)
    torch.manual_seed(0)
    nats = net.sampled_nats(x, 200).double()
    assert nats.shape == (3, 200)
    tight = math.log(200) - torch.logsumexp(-nats, 1)
    assert (tight < nats.mean(1)).all()
    one = torch.stack([net.losses(x)["kl"] + net.losses(x)["pixels"] for _ in range(60)]).mean(0)
    assert float(nats.mean()) == pytest.approx(float(one.mean()), rel=0.02)


def test_free_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below 7.84 nats of KL, the mean over a batch, the KL pulls at nothing; above, it pulls with its whole weight."""
    net = random_net({"flow_steps": 0}, frozen=False)
    for kl, pull in (((1.0, 12.0), 0.0), ((1.0, 15.0), 0.5)):
        terms = {"kl": torch.tensor(kl, requires_grad=True), "pixels": torch.tensor([60.0, 80.0])}
        terms["auxiliary"] = torch.zeros(2)
        with monkeypatch.context() as patch:
            patch.setattr(net, "losses", lambda x, terms=terms: dict(terms))
            loss = net.objective(bits(2))["loss"]
        loss.backward()
        assert loss.item() == pytest.approx(70 + (7.84 if not pull else 8.0))
        assert terms["kl"].grad is not None
        assert terms["kl"].grad.tolist() == [pull, pull]


# ---- data and training ---------------------------------------------------------------------------------------------


def test_fixed_draws() -> None:
    """Bernoulli(grey / 255), by numpy's Philox words alone."""
    grey = np.arange(256, dtype=np.uint8).reshape(1, 16, 16).repeat(4000, 0)
    drawn = draw(grey, 3, 1)
    assert np.array_equal(drawn, draw(grey, 3, 1))
    assert not np.array_equal(drawn, draw(grey, 3, 2))
    assert (drawn[:, 0, 0] == 0).all()
    assert (drawn[:, 15, 15] == 1).all()
    assert np.abs(drawn.mean(0).reshape(-1) - np.arange(256) / 255).max() < 0.04
    assert draw(np.full((1, 2, 4), 128, np.uint8), 1, 1).tolist() == [[[1, 1, 1, 0], [0, 0, 0, 0]]]


def test_sets(binary_sets: Path, tmp_path: Path) -> None:
    for name in binary_data.SOURCES:
        found = load_binary(name, binary_sets)
        assert set(np.unique(found.valid)) | set(np.unique(found.test)) == {0, 1}
        with np.load(binary_sets / binary_data.SOURCES[name].file) as file:
            train = file["train_images" if name == "vlae-mnist-dynamic" else "train"]
        assert np.array_equal(found.train, train[:40] if found.grey else np.unpackbits(train, 1).reshape(-1, 28, 28))
        batch = found.batch(7, torch.Generator().manual_seed(0))
        assert batch.shape == (7, 28, 28, 1)
        assert set(batch.unique().tolist()) == {0.0, 1.0}
    with pytest.raises(ImageError, match="must be at mnist_static_binarized"):
        load_binary("vlae-mnist", tmp_path)


def test_grey_pictures_are_drawn_anew() -> None:
    found = BinarySet(np.full((1, 28, 28), 128, np.uint8), *(np.zeros((1, 28, 28), np.uint8),) * 2, grey=True)
    one, two = found.batch(2, torch.Generator().manual_seed(0))
    assert 0.4 < float(one.mean()) < 0.6
    assert not torch.equal(one, two)


@pytest.mark.parametrize("posterior", ["gaussian", "uniform"])
def test_training_resumes_exactly(
    posterior: str, binary_sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOG_STEPS", 1)
    options: dict[str, Any] = {"steps": 6, "batch": 5}
    options["shape"] = replace(vlae_recipe.SHAPE, **TINY | {"posterior": posterior})
    straight = vlae_recipe.train("vlae-mnist", binary_sets, tmp_path / "a", **options)

    class Stopped(Exception):
        pass

    def stop(what: str, done: int, total: int) -> None:
        if done == 3:
            raise Stopped

    monkeypatch.setattr(loop, "SAVE_STEPS", 2)
    with pytest.raises(Stopped):
        vlae_recipe.train("vlae-mnist", binary_sets, tmp_path / "b", progress=stop, **options)
    resumed = vlae_recipe.train("vlae-mnist", binary_sets, tmp_path / "b", **options)
    for (name, one), (_, two) in zip(straight.named_parameters(), resumed.named_parameters(), strict=True):
        assert torch.equal(one, two), name
    rows = (tmp_path / "a" / "log.csv").read_text().splitlines()
    assert rows[0] == "step,seconds,loss,pixels,kl,auxiliary"
    assert "elbo" in rows[-1]


def test_idle_latents_cost_less_once_they_are_centred() -> None:
    """A prior that is off by more than 1/32 step pays for noise over the edge of a cell; centred, next to nothing."""
    net, pictures = random_net({"posterior": "uniform"}, frozen=False), bits(200)
    with torch.no_grad():
        net.encoder.centre.weight.mul_(1e-4)
        for made in net.flow.mades():
            made.leave.weight.mul_(1e-3)
        off = net.flow(net.encoder(1024 * (2 * pictures - 1))[0]).median(0).values / 32
        net.flow.mades()[-1].leave.bias.add_(off + 0.05)
        net.spread.bias.fill_(0.01)

    def cost() -> float:
        frozen = copy.deepcopy(net)
        freeze_from(frozen, integer_tensors(frozen))
        model, u = Dithered(frozen, torch.device("cpu")), dither(0, (len(pictures), 6))
        symbols = choose(model, (255 * pictures).numpy().astype(np.uint8), u)
        return model.prior(u).bits(symbols) / len(pictures)

    before = cost()
    centre_idle_latents(net, pictures)
    assert before > 0.5
    assert cost() < 0.05


def test_a_net_starts_from_a_related_one(binary_sets: Path, tmp_path: Path) -> None:
    """All that does not touch the latents is taken."""
    related = random_net({}, frozen=False).state_dict()
    options: dict[str, Any] = {"steps": 1, "batch": 2, "rate": 0.0}
    options["shape"] = replace(vlae_recipe.SHAPE, **TINY | {"posterior": "uniform"})
    net = vlae_recipe.train("vlae-mnist", binary_sets, tmp_path / "a", related=related, **options)
    same = {name for name, value in net.named_parameters() if name in related and torch.equal(value, related[name])}
    assert {"encoder.enter.weight", "pixels.leave.bias", "decoder.hidden.weight"} <= same
    assert not {name for name in same if name.startswith(("flow.", "encoder.centre.weight", "decoder.enter.weight"))}


def test_a_file_may_hold_one_net(tmp_path: Path) -> None:
    """While a model is in training; it can be started from, but not used."""
    shape = replace(vlae_recipe.SHAPE, **TINY)
    config = {"nets": {"gaussian": asdict(shape)}}
    path = zoo.save(VlaeNets({"gaussian": shape}), config, "vlae-mnist", registry.VLAE, tmp_path)
    assert registry.metadata(path)["golden"] == ""
    assert {name.split(".")[0] for name in zoo.real_weights(path).weights} == {"gaussian"}
    with pytest.raises(ModelError, match=r"^\S+ holds a part of a model: it can be trained on, and not used$"):
        zoo.frozen(path, torch.device("cpu"))


# ---- a whole model -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_layer_is_in_the_golden_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth more in any one layer's outputs, and the golden integers are others; a few of the pixels show it."""
    shapes = {kind: replace(vlae_recipe.SHAPE, **TINY | {"posterior": kind}) for kind in ("gaussian", "uniform")}
    nets = VlaeNets(shapes)
    for kind in shapes:
        nets.of(kind).load_state_dict(random_net({"posterior": kind}, frozen=False).state_dict())

    def golden(changed: str | None) -> Iterator[Ints]:
        other = copy.deepcopy(nets)
        for name, layer in layers(other):
            if name == changed:
                layer.bias.data += 0.1 + 0.1 * layer.bias.data.abs()
        freeze_from(other, integer_tensors(other))
        return VlaeModel(other, torch.device("cpu")).golden()

    def same(changed: str | None) -> bool:
        return all(np.array_equal(*both) for both in zip(plain, golden(changed), strict=True))

    monkeypatch.setattr(codec, "CROP", 4)
    plain = list(golden(None))
    assert same(None)
    names = [name for name, _ in layers(nets)]
    assert len(names) > 60
    assert [name for name in names if same(name)] == []


def test_latents_of_bits_back_are_noise_that_flows() -> None:
    """What is coded is the noise: a standard gaussian's, whatever the flow makes of it."""
    net, rng = random_net({}, frozen=True), np.random.default_rng(0)
    block = NoiseBlock(net, 4, torch.device("cpu"))
    symbols = rng.integers(0, 4096, block.shape)
    noise = block.to_noise(symbols)
    assert not np.array_equal(noise, symbols)
    assert np.array_equal(block.from_noise(noise), symbols)
    x = (noise - 2048) / 128
    bits = (x**2 / 2 + math.log(128 * math.sqrt(2 * math.pi))) / math.log(2)
    assert block.bits(symbols) == pytest.approx(bits.sum(), rel=0.01)
