"""Causality: nothing that comes later, or is not known yet, touches a bit; what comes earlier does."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from vlcodec.models.layers.exact import Layer
from vlcodec.models.layers.masked import FIRST, NEAR, CausalNet, Group, look_whole
from vlcodec.models.photo.codec import PhotoModel
from vlcodec.models.weights.integers import freeze_from, integer_tensors

HEIGHT, WIDTH = 5, 7
PAST, OWN, SEEN = 3, 2, 2
CENTRE = (2, 3)


def step(r: int, c: int) -> int:
    return c + 2 * r


def places() -> Iterator[tuple[int, int]]:
    return ((r, c) for r in range(HEIGHT) for c in range(WIDTH))


def causal_net() -> CausalNet:
    """Two groups, random weights, in the training walk."""
    torch.manual_seed(0)
    wide: dict[str, list[float]] = {"gain": [1.0] * 2, "low": [-9999.0] * 2, "high": [9999.0] * 2, "bias": [0.1, -0.2]}
    net = CausalNet(PAST, OWN, 8, (1, 1), 8, [Group(0, **wide), Group(SEEN, **wide)], 512)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, Layer):
                module.weight.normal_(0, (1 / module.weight.shape[1]) ** 0.5)
                module.bias.normal_(1, 1)
    return net


def inputs(seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Past, own and the earlier group's symbols."""
    rng = torch.Generator().manual_seed(seed)
    return tuple(  # type: ignore[return-value]
        torch.randint(-200, 201, (1, HEIGHT, WIDTH, c), generator=rng).float() for c in (PAST, OWN, SEEN)
    )


def outputs(net: CausalNet, past: Tensor, own: Tensor, seen: Tensor) -> Tensor:
    """(2, H, W, 2): the parameters of both groups."""
    h = net.trunk(look_whole, past, own)
    return torch.cat([net.head(0, h, None), net.head(1, h, seen)])


@pytest.mark.parametrize("taps", [FIRST, NEAR], ids=["first", "near"])
def test_every_tap_lies_in_an_earlier_step(taps: tuple[tuple[int, int], ...]) -> None:
    others = [tap for tap in taps if tap != (0, 0)]
    assert all(step(*tap) < 0 for tap in others)
    assert len(set(taps)) == len(taps)
    assert ((0, 0) in taps) == (taps is NEAR)


def test_the_jacobian_is_exactly_zero_to_the_future() -> None:
    net, (past, own, seen) = causal_net(), inputs()
    jacobian = torch.autograd.functional.jacobian(lambda *x: outputs(net, *x), (past, own, seen))
    to_past, to_own, to_seen = (j.abs().sum((3, 4, -1)) for j in jacobian)  # (group, H, W, H, W)
    reached = set()
    for r, c in places():
        for i, j in places():
            influence = to_past[:, r, c, i, j]
            if step(i, j) >= step(r, c):
                assert influence.tolist() == [0, 0]
            elif (influence > 0).all():
                reached.add((i - r, j - c))
            assert to_seen[0, r, c, i, j] == 0
            if step(i, j) > step(r, c) or (step(i, j) == step(r, c) and (i, j) != (r, c)):
                assert to_own[:, r, c, i, j].tolist() == [0, 0]
                assert to_seen[1, r, c, i, j] == 0
    assert reached >= set(FIRST)
    centre = (*CENTRE, *CENTRE)
    assert to_own[:, *centre].min() > 0
    assert to_seen[1, *centre] > 0


def frozen(net: CausalNet) -> CausalNet:
    freeze_from(net, integer_tensors(net))
    return net


def test_frozen_integers_do_not_move_for_the_future() -> None:
    net, (past, own, seen) = frozen(causal_net()), inputs()
    with torch.no_grad():
        before = outputs(net, past, own, seen)
        for r, c in places():
            changed = past.clone()
            changed[0, r, c] += 150
            moved = (outputs(net, changed, own, seen) != before).any(-1)  # (2, H, W)
            later = torch.tensor([[step(i, j) > step(r, c) for j in range(WIDTH)] for i in range(HEIGHT)])
            assert not moved[:, ~later].any()
            for dr, dc in FIRST:
                if r - dr < HEIGHT and 0 <= c - dc < WIDTH:
                    assert moved[:, r - dr, c - dc].any()

        other = seen.clone()
        other[0, CENTRE[0], CENTRE[1]] += 150
        moved = (outputs(net, past, own, other) != before).any(-1)
        assert moved.nonzero().tolist() == [[1, *CENTRE]]


@pytest.mark.parametrize("colour", [0, 1, 2])
def test_pixels_depend_on_earlier_pixels_and_channels_alone(tiny: PhotoModel, colour: int) -> None:
    """One channel of one pixel changes: only later steps, and later channels of its own pixel, may."""
    rng = torch.Generator().manual_seed(2)
    x = torch.randint(-100, 101, (1, HEIGHT, WIDTH, 3), generator=rng).float()
    fz = torch.randint(-300, 301, (1, HEIGHT, WIDTH, 5), generator=rng).float()

    def parameters(x: Tensor) -> list[Tensor]:
        up = torch.nn.functional.pad(x, (0, 0, 0, 0, 1, 0))[:, :-1]
        heads, base = tiny.net.pixels(look_whole, x, up, fz, [])
        return [torch.cat((head, base[..., c : c + 1]), -1)[0] for c, head in enumerate(heads)]

    reached = set()
    with torch.no_grad():
        before = parameters(x)
        for r, c in places():
            changed = x.clone()
            changed[0, r, c, colour] += 27
            for channel, (old, new) in enumerate(zip(before, parameters(changed), strict=True)):
                for i, j in (old != new).any(-1).nonzero().tolist():
                    assert step(i, j) > step(r, c) or ((i, j) == (r, c) and channel > colour)
                    reached.add((r - i, c - j, channel))
    assert reached >= {(*tap, channel) for tap in FIRST for channel in range(3)}
    assert reached >= {(0, 0, channel) for channel in range(colour + 1, 3)}


@pytest.mark.parametrize("latent", [0, 1, 2, 3])
def test_latents_depend_on_earlier_positions_and_groups_alone(tiny: PhotoModel, latent: int) -> None:
    prior, rng = tiny.net.prior, torch.Generator().manual_seed(3)
    z = torch.randint(-300, 301, (1, HEIGHT, WIDTH, 4), generator=rng).float()
    own, group, reached = prior.own(1, z), latent // prior.group, set()
    with torch.no_grad():
        before = prior(look_whole, z, own)
        for r, c in places():
            changed = z.clone()
            changed[0, r, c, latent] += 300
            moved = (prior(look_whole, changed, own) != before).any(-1)[0]  # (H, W, latents)
            for i, j, other in moved.nonzero().tolist():
                assert step(i, j) > step(r, c) or ((i, j) == (r, c) and other // prior.group > group)
                reached.add((r - i, c - j, other))
    assert reached >= {(*tap, other) for tap in FIRST for other in range(4)}
    assert reached >= {(0, 0, other) for other in range((group + 1) * prior.group, 4)}
