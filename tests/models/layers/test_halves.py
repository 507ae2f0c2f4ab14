"""Layers whose inputs or weights need two bytes: int8 gives the sums that floats give."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vlcodec.models.layers import halves, probe
from vlcodec.models.layers.exact import LINEAR, OWN, SQUARE, STREAM, WIDE, Layer, frozen_copy
from vlcodec.models.layers.halves import MOST, MOST_WEIGHT, fits, split
from vlcodec.models.layers.settings import exact_inference

KINDS = {
    "8 bits": {"bits": 8},
    "11 bits": LINEAR,
    "float64": WIDE,
}


def made(kind: str, beside: int) -> Layer:
    """Frozen, of random weights."""
    torch.manual_seed(0)
    layer = Layer(OWN if beside else SQUARE, 40, 12, beside=beside, **STREAM, **KINDS[kind])  # type: ignore[arg-type]
    with torch.no_grad():
        layer.bias.normal_(0.5, 3)
    return frozen_copy(layer)


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("beside", [0, 3])
@given(seed=st.integers(0, 2**32), size=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)))
@settings(max_examples=8, deadline=None)
def test_sums_are_those_of_floats(kind: str, beside: int, seed: int, size: tuple[int, int, int]) -> None:
    """At whatever place, with all of the inputs' range."""
    layer, rng = made(kind, beside), np.random.default_rng(seed)
    most = layer.input_max
    x, more = (
        torch.from_numpy(rng.choice([-most, most, 0, 127, -128, 128, int(rng.integers(-most, most + 1))], (*size, c)))
        for c in (40, max(beside, 1))
    )
    with exact_inference():
        told = more.float() if beside else None
        expected = layer(x.float(), told)
        probe.carry(layer, True)
        assert layer.halves is not None
        assert torch.equal(layer(x.float(), told), expected)
        above = x[:, :1].float()
        found = layer(x[:, 1:].float(), told if told is None else told[:, 1:], above) if size[1] > 1 else None
    if found is not None and not beside:
        assert torch.equal(found, expected[:, 1:])


def test_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = made("11 bits", 0)
    x = torch.randint(-1023, 1024, (5, 7, 9, 40)).float()
    probe.carry(layer, True)
    with exact_inference():
        expected = layer(x)
        for values, rows in ((1, 2048), (3000, 40), (1 << 20, 6), (1 << 20, 2)):
            monkeypatch.setattr(halves, "VALUES", values)
            monkeypatch.setattr(halves, "ROWS", rows)
            assert torch.equal(layer(x), expected)


@given(st.lists(st.integers(-MOST, MOST), min_size=1, max_size=20))
def test_halves_are_the_whole(values: list[int]) -> None:
    high, low = split(torch.tensor(values).float()).int()
    assert (256 * high + low).tolist() == values


def test_what_does_not_fit_stays_in_floats() -> None:
    """Few inputs, inputs or weights that are too large, sums beyond int32."""
    floats = made("float64", 0).frozen
    small = floats._replace(weight=floats.weight.clamp(-9, 9))
    assert fits(small, MOST)
    assert not fits(small, MOST + 1)
    assert not fits(floats._replace(weight=torch.full_like(floats.weight, MOST_WEIGHT + 1)), 1)
    assert not fits(floats._replace(weight=torch.full_like(floats.weight, MOST_WEIGHT)), MOST)
    narrow = frozen_copy(Layer(SQUARE, 20, 12))
    probe.carry(narrow, True)
    assert narrow.halves is None
    layer = made("8 bits", 0)
    probe.carry(layer, True)
    probe.carry(layer, False)
    assert layer.halves is None


def test_products_of_halves_are_probed() -> None:
    """Of the shapes that they have, weights in two bytes side by side."""
    net = nn.ModuleList([made("8 bits", 0), made("11 bits", 3)])
    probe.carry(net, True)
    cpu = torch.device("cpu")
    assert probe._products(net) == {(360, 12, cpu), (43, 24, cpu)}
    assert probe._right(360, 24, cpu)
