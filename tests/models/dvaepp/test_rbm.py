"""The Boltzmann machine: sums against enumeration, chains against exact gradients, and what its bits are coded with."""

import math

import pytest
import torch
from torch import Tensor

from vlcodec.models.dvaepp.rbm import Rbm, all_bits, index_of
from vlcodec.models.layers.exact import frozen_copy


def machine(bits: int, hidden: int = 0, strength: float = 1.0) -> Rbm:
    torch.manual_seed(bits)
    rbm = Rbm(bits, hidden)
    with torch.no_grad():
        rbm.own.bias.normal_(0, strength)
        rbm.other.bias.normal_(0, strength)
        rbm.other.weight.normal_(0, strength)
    return rbm


def everything(rbm: Rbm) -> tuple[Tensor, Tensor]:
    """All pairs of z1 and z2."""
    bits = all_bits(rbm.bits, rbm.own.bias)
    return bits.repeat_interleave(len(bits), 0), bits.repeat(len(bits), 1)


def test_bits_and_their_numbers() -> None:
    bits = all_bits(5, torch.zeros(0))
    assert bits[19].tolist() == [1, 0, 0, 1, 1]
    assert index_of(bits).tolist() == list(range(32))


def test_the_normaliser_and_the_marginal() -> None:
    rbm = machine(6)
    first, second = everything(rbm)
    score = rbm.score(first, second).detach().double()
    assert rbm.log_z() == pytest.approx(float(torch.logsumexp(score, 0)), abs=1e-4)
    marginal = torch.logsumexp(score.view(64, 64), 1)
    torch.testing.assert_close(rbm.free(all_bits(6, first)).detach().double(), marginal, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("bits", "strength"), [(8, 1.0), (8, 2.0), (12, 0.5)])
def test_annealed_importance_sampling_finds_the_normaliser(bits: int, strength: float) -> None:
    rbm = machine(bits, strength=strength) if bits <= 8 else machine(bits, 16, strength)
    assert rbm.annealed_log_z(1000) == pytest.approx(rbm.log_z(), abs=0.1)


def test_chains_give_the_normalisers_gradient() -> None:
    rbm = machine(5, strength=0.7)
    parameters = [rbm.own.bias, rbm.other.bias, rbm.other.weight]
    exact = torch.autograd.grad(torch.logsumexp(rbm.free(all_bits(5, rbm.own.bias)), 0), parameters)
    sums = [torch.zeros_like(p) for p in parameters]
    rbm.sample(50)
    for _ in range(400):
        found = torch.autograd.grad(rbm.score(*rbm.sample(2)).mean(), parameters)
        sums = [s + f / 400 for s, f in zip(sums, found, strict=True)]
    for estimate, wanted in zip(sums, exact, strict=True):
        torch.testing.assert_close(estimate, wanted, rtol=0, atol=0.02)


def test_chains_are_kept_with_the_weights() -> None:
    rbm = machine(5)
    rbm.sample()
    again = machine(5)
    again.load_state_dict(rbm.state_dict())
    assert torch.equal(again.chains, rbm.chains)


def test_a_table_codes_the_machine() -> None:
    """Frozen, within what 8-bit weights and 1/32 nat of the table leave."""
    rbm = machine(6)
    rbm.settle()
    first, second = everything(rbm)
    nats = frozen_copy(rbm).coded_nats(first, second).detach()
    wanted = rbm.log_z() - rbm.score(first, second).detach()
    assert float(torch.exp(-nats.double()).sum()) == pytest.approx(1, abs=1e-5)
    assert float((nats - wanted)[wanted < 12].abs().max()) < 0.1
    assert 0 <= float((torch.exp(-wanted) * (nats - wanted)).sum()) < 0.001


def test_an_autoregressive_net_codes_the_machine() -> None:
    rbm = machine(10, hidden=64, strength=0.6)
    before = float(extra(rbm))
    rbm.settle(steps=300, batch=1024)
    assert 0 < float(extra(rbm)) < min(0.05, before / 10)


def extra(rbm: Rbm) -> Tensor:
    """KL of z1 from the machine to what codes it, in nats."""
    with torch.no_grad():
        bits = all_bits(rbm.bits, rbm.own.bias)
        log_p = rbm.free(bits) - rbm.log_z()
        return (log_p.exp() * (log_p + rbm.first_nats(bits))).sum()


def test_a_mean_of_the_energy_where_z2_depends_on_z1() -> None:
    """E z1 W z2 is coupled; linear terms take the plain means."""
    rbm = machine(3)
    a1, a2, w = rbm.parameters_of()
    first, second, coupled = torch.rand(3, 4, 3).unbind()
    wanted = first @ a1 + second @ a2 + torch.einsum("ni,ij,nj->n", coupled, w, second)
    torch.testing.assert_close(rbm.score(first, second, coupled), wanted)
    assert math.isfinite(float(rbm.score(first, second).sum().detach()))
