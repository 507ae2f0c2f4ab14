"""Stacks side by side are the stacks of one by one, to the bit and back."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlcodec.codec.coding.lanes import Meters, Stacks
from vlcodec.codec.coding.meter import Meter
from vlcodec.codec.coding.noise import Noise
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.coding.tables import LogisticMixture
from vlcodec.codec.interface import Ints

STEPS = (3, 1, 5)  # symbols of each lane
SECTIONS = ("a", "b", "a")
AXES = pytest.mark.parametrize("axis", [0, -1])


def mixture(rng: np.random.Generator, n: int) -> LogisticMixture:
    logit, centre, scale = (rng.integers(low, high, (n, 2)) for low, high in ((0, 60), (-3000, 3000), (40, 140)))
    return LogisticMixture(logit, centre, scale)


def steps(lanes: int, seed: int) -> list[tuple[LogisticMixture, Ints]]:
    """Distributions and symbols, as a walk over lanes has them."""
    rng = np.random.default_rng(seed)
    return [(mixture(rng, lanes * n), rng.integers(0, 256, lanes * n)) for n in STEPS]


def of_lane(step: tuple[LogisticMixture, Ints], lane: int, lanes: int, axis: int) -> tuple[LogisticMixture, Ints]:
    """What the lane has of a step, were it alone."""
    d, symbols = step
    n = len(symbols) // lanes
    own = np.arange(lane * n, lane * n + n) if axis == 0 else np.arange(lane, lanes * n, lanes)
    return LogisticMixture(d.logit[own], d.centre[own], d.scale[own]), symbols[own]


@AXES
@given(lanes=st.integers(1, 9), seed=st.integers(0, 2**32), bottom=st.binary(max_size=9))
def test_bits_and_back(axis: int, lanes: int, seed: int, bottom: bytes) -> None:
    bottoms = [(bottom + bytes([lane + 1])) * (lane % 3) for lane in range(lanes)]
    walk, stacks = steps(lanes, seed), Stacks(bottoms, axis)
    for distribution, symbols in walk:
        stacks.push(distribution, symbols)
    alone = list[Stack]()
    for lane in range(lanes):
        alone.append(Stack(bottoms[lane]))
        for step in walk:
            alone[-1].push(*of_lane(step, lane, lanes, axis))
    assert stacks.to_bytes() == [stack.to_bytes() for stack in alone]
    assert stacks.bits == sum(stack.bits for stack in alone)
    assert not stacks.exhausted
    back = Stacks(stacks.to_bytes(), axis)
    for distribution, symbols in reversed(walk):
        assert np.array_equal(back.pop(distribution, np.arange(len(symbols))), symbols)
    assert back.to_bytes() == bottoms
    assert back.empty == [not bottom for bottom in bottoms]
    assert back.exhausted == (not any(bottoms))


@AXES
def test_meters_keep_what_a_meter_keeps(axis: int) -> None:
    lanes, bottoms = 4, [bytes(range(1, 90))] * 4
    walk, meters = steps(lanes, 1), Meters(Stacks(bottoms, axis))
    alone = [Meter(Stack(bottom)) for bottom in bottoms]
    every: list[Any] = [meters, *alone]
    for section, step in zip(SECTIONS, walk, strict=True):
        for meter in every:
            meter.section(section)
        meters.push(*step)
        for lane, meter in enumerate(alone):
            meter.push(*of_lane(step, lane, lanes, axis))
    found = {name: bits.tolist() for name, bits in meters.promised.items()}
    assert found == {name: [meter.promised[name] for meter in alone] for name in ("a", "b")}
    assert meters.bits == sum(meter.bits for meter in alone)
    for distribution, symbols in reversed(walk):  # bits-back takes them off again
        assert np.array_equal(meters.pop(distribution, np.arange(len(symbols))), symbols)
    assert sum(meters.promised.values()) == pytest.approx(np.zeros(lanes), abs=1e-9)


def test_a_lane_that_is_exhausted_gives_the_lowest() -> None:
    stacks = Stacks([b"", bytes(range(1, 30))], -1)
    assert (stacks.empty, stacks.exhausted) == ([True, False], False)
    rng = np.random.default_rng(0)
    first, _ = stacks.pop(mixture(rng, 8), np.arange(8)).reshape(4, 2).T
    assert first.tolist() == [0] * 4
    assert stacks.empty == [True, False]


def test_noise_of_lanes_is_that_of_each_alone() -> None:
    lanes, size = 3, 40
    together, alone = Noise(2**50, 2, 1, size, lanes), Noise(2**50, 2, 1, size)
    d = mixture(np.random.default_rng(0), lanes * size)
    found = together.pop(d, np.arange(lanes * size)).reshape(size, lanes)
    for lane in range(lanes):
        own = LogisticMixture(d.logit[lane::lanes], d.centre[lane::lanes], d.scale[lane::lanes])
        assert np.array_equal(found[:, lane], alone.pop(own, np.arange(size)))
    assert np.array_equal(together.words()[::lanes], alone.words())
