"""The DVAE++ nets: walks and coding, groups of latents, the lattice and the objective."""

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from dvaepp_parts import KINDS, random_net
from torch import Tensor

from vlcodec.codec.coding.groups import group_bits, read_groups, write_groups
from vlcodec.codec.coding.latents import PIXELS, POSTERIOR, PRIOR, choose, dither_of, pop, push
from vlcodec.codec.coding.meter import Meter
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.errors import FormatError
from vlcodec.codec.interface import Block, Bytes, Ints, LatentNet
from vlcodec.models.dvaepp.codec import DvaeppModel, golden_pictures
from vlcodec.models.dvaepp.lattice import SCALES, cells_of
from vlcodec.models.dvaepp.net import Dvaepp
from vlcodec.models.dvaepp.rbm import all_bits
from vlcodec.models.layers.causal_pixels import centred
from vlcodec.models.layers.exact import frozen_copy, layers
from vlcodec.models.layers.excite import Excite
from vlcodec.models.layers.mode import set_mode
from vlcodec.models.layers.posterior import Kind
from vlcodec.models.layers.settings import exact_inference
from vlcodec.models.weights.integers import freeze_from, integer_tensors

RoundTrip = Callable[[Block, Ints], bytes]


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


@pytest.mark.parametrize("kept", [0, 1])
def test_a_picture_with_fewer_groups_learns_and_pays_for_these_alone(kept: int) -> None:
    net = random_net("binary")
    assert net.shape.groups > 1
    x = (torch.rand(4, 28, 28, 1) < 0.3).float()
    one, nothing, groups = torch.tensor(1.0), torch.tensor(0.0), torch.full((4,), kept)
    kinds: list[tuple[Kind, int]] = [("gaussian", 3), ("uniform", 1)]
    terms = net.objective(x, kinds, net.rbm.sample(), torch.tensor(6.0), nothing, one, (nothing, 0.0), groups)
    assert bool(terms["locals"].any()) == (kept > 0)
    terms["loss"].backward()
    for j in range(net.shape.groups):
        for kind, _ in kinds:
            told = net.group(j).ends_of(kind).shift.weight.grad  # the posterior's alone
            assert (told is not None and bool(told.any())) == (j < kept)
    assert net.posterior.tell[1].weight.grad is not None


def test_groups_that_are_left_out_are_those_of_a_file_that_is_cut(model: DvaeppModel) -> None:
    """Their latents are where the priors have their centres, in training as in the codec."""
    some, net, single = pictures(model, 3), model.net, model.single(1)
    u = dither(single, some)
    k = choose(single, some, u)
    with exact_inference():
        seen, _ = net.encoder(net.inputs(real(model, some)))
        top = net.top(torch.from_numpy(k).float())
        for kind in ("gaussian", "uniform"):
            *_, stream = net._descend(top, seen, [(kind, 3)], torch.zeros(3))
            assert torch.equal(stream, single.features(k, u)) == (kind == "uniform")


def test_the_machine_learns_by_its_chains() -> None:
    """The loss has ln Z's value as given, and its gradient from the chains."""
    net = random_net("binary")
    x = (torch.rand(4, 28, 28, 1) < 0.3).float()
    chains = net.rbm.sample()
    one, nothing = torch.tensor(1.0), torch.tensor(0.0)
    losses, gradients = list[float](), list[Tensor]()
    for log_z, z in ((0.0, chains), (5.0, chains), (0.0, (1 - chains[0], 1 - chains[1]))):
        torch.manual_seed(0)
        every = torch.full((4,), net.shape.groups)
        terms = net.objective(
            x, [("gaussian", 4)], z, torch.tensor(6.0), torch.tensor(log_z), one, (nothing, 0.0), every
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
