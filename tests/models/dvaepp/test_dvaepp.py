"""The DVAE++ nets: walks and coding, groups of latents, the lattice, the objective, training."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vlcodec.codec.coding.groups import group_bits, read_groups, write_groups
from vlcodec.codec.coding.latents import PIXELS, POSTERIOR, PRIOR, choose, dither_of, pop, push
from vlcodec.codec.coding.meter import Meter
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.errors import FormatError, ImageError
from vlcodec.codec.interface import Block, Bytes, Ints, LatentNet
from vlcodec.models.dvaepp import training
from vlcodec.models.dvaepp.codec import DvaeppModel, golden_pictures
from vlcodec.models.dvaepp.data import Pictures, load_pictures
from vlcodec.models.dvaepp.lattice import SCALES, cells_of
from vlcodec.models.dvaepp.net import Dvaepp, DvaeppShape
from vlcodec.models.dvaepp.rbm import all_bits
from vlcodec.models.layers.causal_pixels import centred
from vlcodec.models.layers.exact import frozen_copy, layers
from vlcodec.models.layers.excite import Excite
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.layers.posterior import Kind
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.training import loop
from vlcodec.models.weights.integers import freeze_from, integer_tensors

SMALL: dict[str, Any] = {
    "groups": 2,
    "locals": 2,
    "widths": (4, 6),
    "blocks": (1, 1),
    "scale_blocks": (1, 1),
    "squeezed": 3,
    "bottleneck": 2,
    "hidden": 8,
}
KINDS: dict[str, dict[str, Any]] = {
    "binary": {},
    "four layers": {"layers": 4},
    "one layer": {"layers": 1},
    "colour": {"bits": 20, "prior_hidden": 12, "mixtures": 2},
}
RoundTrip = Callable[[Block, Ints], bytes]


def shape_of(kind: str) -> DvaeppShape:
    return replace(training.COLOUR if kind == "colour" else training.BINARY, **SMALL | KINDS[kind])


def random_net(kind: str, seed: int = 0) -> Dvaepp:
    """A small net of random weights whose latents carry something."""
    torch.manual_seed(seed)
    net, rng = Dvaepp(shape_of(kind)), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, layer in layers(net):
            gain = 3.0 if name.endswith(("uniform.shift", "tell.0", "tell.1")) else 0.8
            layer.weight.normal_(0, gain / math.sqrt(layer.weight.shape[1]), generator=rng)
            layer.bias.add_(0.2 * torch.randn(layer.outputs, generator=rng))
    return net


def frozen(net: Dvaepp) -> DvaeppModel:
    freeze_from(net, integer_tensors(net))
    return DvaeppModel(net, torch.device("cpu"))


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest) -> DvaeppModel:
    return frozen(random_net(request.param))


def pictures(model: DvaeppModel, count: int) -> Bytes:
    """Golden pictures, shifted, no two alike."""
    both = golden_pictures(model.net.shape.side, model.net.shape.colours)
    return np.stack([np.roll(both[n % 2], (n, 3 * n), (0, 1)) for n in range(count)])


def dither(net: LatentNet, some: Bytes) -> Ints:
    return dither_of(net, 0, 0, *some.shape[:3])


def real(model: DvaeppModel, some: Bytes) -> Tensor:
    """As the net takes them in training."""
    return centred(some) if model.net.shape.mixtures else torch.from_numpy(some > 0).float()


# ---- walks and coding ------------------------------------------------------------------------------------------------


def test_latents_and_pixels_round_trip(model: DvaeppModel, check_round_trip: RoundTrip) -> None:
    some = pictures(model, 3)
    chained, dithered = model.chained(), model.single(model.qualities)
    none, u = dither(chained, some), dither(dithered, some)
    given = chained.posterior(some, none)
    z = given.pop(Stack(np.random.default_rng(0).bytes(1 << 14)))
    k = choose(dithered, some, u)
    bits = model.net.shape.bits
    assert set(np.unique(k[:, :bits])) == {0, 1}
    assert len(np.unique(k[:, bits:])) > 3
    blocks: list[tuple[Block, Ints]] = [(given, z), (chained.prior(none), z), (dithered.prior(u), k)]
    for net, symbols in ((chained, z), (dithered, k)):
        fz = net.features(symbols, none if net is chained else u)
        blocks.append((net.pixels(fz, range(some.shape[1]), some.shape[2], some.shape[3]), net.to_symbols(some)))
    for block, known in blocks:
        check_round_trip(block, known)


def test_bits_back_leaves_the_stack_as_it_was(model: DvaeppModel) -> None:
    bottom = bytes(np.random.default_rng(0).integers(1, 256, 4000, np.uint8))
    stack, net, some = Stack(bottom), model.chained(), pictures(model, 2)
    u = dither(net, some)
    push(net, some, u, stack)
    assert stack.to_bytes() != bottom
    assert np.array_equal(pop(net, u, stack, *some.shape[1:]), some)
    assert stack.to_bytes() == bottom


def test_what_stands_beside_a_picture_does_not_matter(model: DvaeppModel, setting: str) -> None:
    """The integers of a picture are the same in a batch of one, and whatever a caller has set."""
    some, net = pictures(model, 5), model.single(model.qualities)
    u = np.random.default_rng(0).integers(-8, 8, (5, net.latents)) * 2 + 1
    k = choose(net, some, u)
    fz = net.features(k, u)
    for i in range(5):
        assert np.array_equal(choose(net, some[i : i + 1], u[i : i + 1]), k[i : i + 1])
        assert torch.equal(net.features(k[i : i + 1], u[i : i + 1]), fz[i : i + 1])


def promised(net: LatentNet, some: Bytes, seed: int = 0) -> tuple[float, float]:
    """Bits of the KL and of the pixels, as the ledger has them; bits-back draws z from random bits."""
    meter = Meter(Stack(np.random.default_rng(seed).bytes(1 << 16)))
    push(net, some, dither(net, some), meter)
    return meter.promised[PRIOR] + meter.promised[POSTERIOR], meter.promised[PIXELS]


def test_the_ledger_says_what_training_says(model: DvaeppModel) -> None:
    """-ELBO of the bits that bits-back draws is that of `sampled_nats`, z of 0 and 1."""
    some = pictures(model, 20)
    torch.manual_seed(0)
    with exact_inference():
        wanted = model.net.sampled_nats(real(model, some), 8, "gaussian").double().mean()
    found = np.mean([sum(promised(model.chained(), some, seed)) for seed in range(8)])
    assert found * math.log(2) / 20 == pytest.approx(float(wanted), rel=0.02)


@pytest.mark.slow
def test_every_layer_is_in_the_golden_vector() -> None:
    """More in any one layer's outputs, and the golden integers are others."""
    for kind in ("binary", "colour"):
        net = random_net(kind, 1)
        plain = list(frozen(copy.deepcopy(net)).golden())
        names = [name for name, _ in layers(net)]
        assert len(names) > 50
        silent = []
        for changed in names:
            other = copy.deepcopy(net)
            for name, layer in layers(other):
                if name == changed:
                    layer.bias.data += 0.3 + 0.3 * layer.bias.data.abs()
            golden = frozen(other).golden()
            if all(np.array_equal(*both) for both in zip(plain, golden, strict=True)):
                silent.append(changed)
        assert silent == ["rbm.own"]  # of which the table is made, or what the autoregressive net learns


# ---- groups ----------------------------------------------------------------------------------------------------------


def test_groups_are_chunks_of_their_own(model: DvaeppModel) -> None:
    """Read again, and the first ones are the same whatever follows; together they cost what the prior says."""
    some = pictures(model, 1)
    whole = model.single(model.qualities)
    u = dither(whole, some)
    symbols = choose(whole, some, u)
    chunks = write_groups(whole, symbols, u)
    assert len(chunks) == model.qualities == 3
    for quality in (1, 2, 3):
        net = model.single(quality)
        part = dither(net, some)
        assert np.array_equal(part, u[:, : net.latents])
        found = read_groups(net, chunks[:quality], part)
        assert np.array_equal(found, choose(net, some, part))
        assert np.array_equal(found, symbols[:, : net.latents])
        assert write_groups(net, found, part) == chunks[:quality]
        assert sum(group_bits(net, found, part)) == pytest.approx(net.prior(part).bits(found))


def test_a_group_that_does_not_end_as_it_began(model: DvaeppModel) -> None:
    net, some = model.single(2), pictures(model, 1)
    u = dither(net, some)
    first, second = write_groups(net, choose(net, some, u), u)
    with pytest.raises(FormatError, match="the stack of group 2 must be empty after its last latent"):
        read_groups(net, (first, second + b"\1\2\3\4\5"), u)
    with pytest.raises(FormatError, match="the stack of group 1 must be empty"):
        read_groups(net, (first + b"\1\2\3\4\5\6\7\1", second), u)


# ---- the lattice -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [28, 32])
def test_the_scales_lie_on_disjoint_lattices(side: int) -> None:
    places = torch.arange(side * side, dtype=torch.float64).view(1, side, side, 1)
    octaves = cells_of(places)
    found = torch.cat([octaves[scale.octave][..., list(scale.new)].reshape(-1) for scale in SCALES])
    assert torch.equal(found.sort().values, places.reshape(-1))
    known = set[float]()
    for scale in SCALES:  # what is looked at has been coded before
        assert set(octaves[scale.octave][..., list(scale.known)].reshape(-1).tolist()) <= known
        known |= set(octaves[scale.octave][..., list(scale.new)].reshape(-1).tolist())


def test_a_pixel_depends_on_coarser_ones_alone() -> None:
    """Gradients of a scale's parameters, by all pixels: none at its own scale and at the finer ones."""
    net = random_net("binary")
    set_mode(net, "training")
    x = torch.rand(1, 28, 28, 1, requires_grad=True)
    places = cells_of(torch.arange(784.0).view(1, 28, 28, 1))
    h, known = torch.randn(1, 7, 7, 6) * 1024, set[int]()
    for k, scale in enumerate(SCALES):
        h, raw, _ = net.decoder.step(k, h, 1024 * cells_of(x)[scale.octave])
        if k:
            (gradient,) = torch.autograd.grad(raw.square().sum(), x, retain_graph=True)
            assert {int(i) for i in gradient.reshape(-1).nonzero()} == known
        known |= {int(i) for i in places[scale.octave][..., list(scale.new)].reshape(-1)}


# ---- excitation ------------------------------------------------------------------------------------------------------


def test_excitation_in_training_is_that_of_the_codec() -> None:
    torch.manual_seed(0)
    excite = Excite(6, 4, 49)
    x = (torch.randn(3, 7, 7, 6) * 3000).round()
    with torch.no_grad():
        trained = excite(x)
        coded = frozen_copy(excite)(x)
    assert (coded == coded.round()).all()
    assert (coded - trained).abs().max() < 0.02 * x.abs().max()
    assert not torch.allclose(trained, x * (trained / x).mean(), rtol=0.01)


# ---- objective -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["binary", "four layers"])
def test_the_analytic_kl_of_the_bits(kind: str) -> None:
    """Section 5's form, on average over s, is E ln q(z) - ln p(z), without ln Z; here z and s are drawn together from
    the inference model."""
    net = random_net(kind)
    torch.manual_seed(1)
    beta = torch.tensor(5.0)
    count = 60_000
    whole = torch.randn(1, 8).mul(2000).expand(count, 8)
    with torch.no_grad():
        _, analytic = net.smoothed(whole, beta)
        bits, drawn, log_q = list[Tensor](), list[Tensor](), torch.zeros(count)
        for layer in range(net.shape.layers):
            logit = net.posterior.logits(layer, whole, drawn) / 1024
            z = torch.bernoulli(torch.sigmoid(logit))
            log_q = log_q - torch.nn.functional.binary_cross_entropy_with_logits(logit, z, reduction="none").sum(-1)
            rho = torch.rand_like(z)  # s given z: the inverse CDF of one exponential
            low = torch.exp(-beta)
            zero, one = -torch.log(1 - rho * (1 - low)) / beta, 1 + torch.log(low + rho * (1 - low)) / beta
            drawn.append(torch.where(z > 0, one, zero))
            bits.append(z)
        first, second = torch.cat(bits, -1).split(net.rbm.bits, -1)
        sampled = log_q - net.rbm.score(first, second)
    error = float((sampled.std() + analytic.std()) / math.sqrt(count))
    assert abs(float(analytic.mean() - sampled.mean())) < 4 * error
    assert float(analytic.std()) < float(sampled.std())


def test_one_layer_is_the_mean_field() -> None:
    net = random_net("one layer")
    whole = torch.randn(3, 8) * 1000
    with torch.no_grad():
        _, found = net.smoothed(whole, torch.tensor(6.0))
        q = torch.sigmoid(net.posterior.logits(0, whole, []) / 1024).double()
        bits = all_bits(16, q)
        p = torch.where(bits[:, None] > 0, q, 1 - q).prod(-1)  # (2^16, 3)
        score = net.rbm.score(*bits.float().split(8, -1)).double()[:, None]
        wanted = (p * (p.log() - score)).sum(0)
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-3)


def test_bits_alone_leave_the_groups_out() -> None:
    """With every picture left to the bits, nothing of the groups' latents is charged or learnt."""
    net = random_net("binary")
    x = (torch.rand(4, 28, 28, 1) < 0.3).float()
    one, nothing = torch.tensor(1.0), torch.tensor(0.0)
    kinds: list[tuple[Kind, int]] = [("gaussian", 3), ("uniform", 1)]
    terms = net.objective(x, kinds, net.rbm.sample(), torch.tensor(6.0), nothing, one, (nothing, 0.0), one)
    assert not terms["locals"].any()
    terms["loss"].backward()
    ends = [p.grad for name, p in net.named_parameters() if ".ends." in name]
    assert all(g is None or not g.any() for g in ends)
    assert net.posterior.tell[1].weight.grad is not None


def test_the_machine_learns_by_its_chains() -> None:
    """The loss has ln Z's value as given, and its gradient from the chains."""
    net = random_net("binary")
    x = (torch.rand(4, 28, 28, 1) < 0.3).float()
    chains = net.rbm.sample()
    one, nothing = torch.tensor(1.0), torch.tensor(0.0)
    losses, gradients = list[float](), list[Tensor]()
    for log_z, z in ((0.0, chains), (5.0, chains), (0.0, (1 - chains[0], 1 - chains[1]))):
        torch.manual_seed(0)
        terms = net.objective(
            x, [("gaussian", 4)], z, torch.tensor(6.0), torch.tensor(log_z), one, (nothing, 0.0), nothing
        )
        losses.append(float(terms["loss"].detach()))
        gradients.append(torch.autograd.grad(terms["loss"], net.rbm.own.bias)[0])
    assert losses[1] - losses[0] == pytest.approx(5, abs=1e-3)
    assert losses[2] == pytest.approx(losses[0], abs=1e-3)
    assert torch.allclose(gradients[0], gradients[1], atol=1e-5)
    difference = (chains[0] - (1 - chains[0])).mean(0)
    torch.testing.assert_close(gradients[0] - gradients[2], difference, rtol=1e-3, atol=1e-4)


def test_importance_sampling_comes_down() -> None:
    """More samples, a smaller -ln p, never above -ELBO."""
    net = random_net("binary")
    x = (torch.rand(6, 28, 28, 1, generator=torch.Generator().manual_seed(0)) < 0.3).float()
    torch.manual_seed(0)
    with torch.no_grad():
        nats = net.sampled_nats(x, 64, "gaussian").double()
    elbo = nats.mean()
    eight = -(torch.logsumexp(-nats.view(6, 8, 8), 2) - math.log(8)).mean()
    all_of_them = -(torch.logsumexp(-nats, 1) - math.log(64)).mean()
    assert float(elbo) > float(eight) > float(all_of_them)


# ---- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dvaepp-caltech101", "dvaepp-mnist"])
def test_training_resumes_exactly(
    name: str, binary_sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chains included."""
    monkeypatch.setattr(loop, "SAVE_STEPS", 3)
    options: dict[str, Any] = {"steps": 6, "batch": 4, "shape": shape_of("binary")}
    straight = training.train(name, binary_sets, tmp_path / "a", **options)

    def stop(what: str, done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(name, binary_sets, tmp_path / "b", progress=stop, **options)
    resumed = training.train(name, binary_sets, tmp_path / "b", **options)
    assert all(torch.equal(v, resumed.state_dict()[k]) for k, v in straight.state_dict().items())
    assert (tmp_path / "a" / "log.csv").read_text().count("elbo") == 2


def test_a_schedule_by_the_clock_ends_with_the_minutes(
    binary_sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However fast it goes, the last step's learning rate is what a schedule ends with."""
    rates = list[float]()

    def noted(peak: float, step: int, steps: int, decay_from: float) -> float:
        rates.append(rate(peak, step, steps, decay_from))
        return rates[-1]

    rate = loop.learning_rate
    monkeypatch.setattr(loop, "WARM_UP_STEPS", 1)
    monkeypatch.setattr(loop, "learning_rate", noted)
    training.train(
        "dvaepp-mnist", binary_sets, tmp_path, steps=None, minutes=0.05, batch=2, shape=shape_of("binary"), rate=1e-3
    )
    assert len(rates) > 10
    assert max(rates) == 1e-3
    assert rates[-1] < 2e-4


def test_silhouettes_are_moved_and_mirrored() -> None:
    x = torch.zeros(1, 28, 28, 1, dtype=torch.uint8)
    x[0, 10, 5] = 1
    batch = Pictures(x, x, moved=2, mirrored=True).batch(400, torch.Generator().manual_seed(0))
    places = {tuple(at) for at in batch[..., 0].nonzero()[:, 1:].tolist()}
    assert places == {(10 + r, c + d) for r in range(-2, 3) for c in (5, 22) for d in range(-2, 3)}
    assert (batch.sum((1, 2, 3)) == 1).all()


def test_sets_that_are_missing_or_wrong(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"must be at cifar10\.npz in the data folder"):
        load_pictures("dvaepp-cifar10", tmp_path)
    np.savez(tmp_path / "cifar10.npz", train_images=np.zeros((1000, 32, 32, 3), np.uint8))
    with pytest.raises(ImageError, match="must hold more than 1000 training pictures"):
        load_pictures("dvaepp-cifar10", tmp_path)
    np.savez(tmp_path / "cifar10.npz", train_images=np.zeros((1002, 32, 32, 3), np.uint8))
    found = load_pictures("dvaepp-cifar10", tmp_path)
    assert (len(found.train), len(found.valid), found.mirrored) == (2, 1000, True)
    with pytest.raises(ImageError, match="mnist_static_binarized"):
        load_pictures("dvaepp-mnist", tmp_path)
