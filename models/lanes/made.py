"""A frozen flow over many pictures side by side, in both directions: what `made.Flow` computes, over lanes."""

from __future__ import annotations

import numpy as np

from vlcodec.models.lanes.layers import empty, filled, own, packed, parts_of, spread_out
from vlcodec.models.lanes.units import Wide
from vlcodec.models.layers.made import Flow, Made


class MadeLanes:
    """See `made.Made`."""

    def __init__(self, made: Made) -> None:
        self._hidden, self._parts = made.middle.inputs, parts_of(made.middle.inputs)
        both = (made.enter, 1), (made.middle, self._parts), (made.leave, self._parts)
        self._enter, self._middle, self._leave = (packed(*layer) for layer in both)
        self._single = [packed(*layer, pairs=False) for layer in both]
        self._units = np.array(made.ends, np.int32)

    def shifts(self, x: Wide) -> Wide:
        """m(x), (size, lanes)."""
        size, lanes = x.shape
        h = empty(1, size, lanes)
        h[0, :size] = x
        h = self._enter.whole(h, own(1))
        for layer in (self._middle, self._leave):
            taps = np.arange(self._parts, dtype=np.int32)[None]
            h = layer.whole(spread_out(h, self._parts, self._hidden // self._parts), taps)
        return h[0, :size]

    def undo(self, x: Wide, period: int) -> None:
        """x - m(x) = noise is solved for x, in place of the noise, on a cyclic grid."""
        from vlcodec.models.lanes import kernels

        enter, middle, leave = self._single
        part = filled(self._hidden // self._parts)  # of the hidden units
        group = min(enter.weight.shape[1], middle.group * part, leave.group * part)
        kernels.unshifted(
            x,
            self._units,
            enter.weight,
            enter.ends,
            middle.weight,
            middle.ends,
            leave.weight,
            leave.ends,
            group,
            period,
        )


class FlowLanes:
    """See `made.Flow`."""

    def __init__(self, flow: Flow) -> None:
        self._steps = [MadeLanes(step) for step in flow.mades()]
        self._period, self._order = flow.period, -1 if flow.alternate else 1

    def to_noise(self, z: Wide) -> Wide:
        """Latents (size, lanes) -> noise."""
        half = self._period // 2
        for step in self._steps:
            z = z - step.shifts(z)
            z = ((z + half) % self._period - half if half else z)[:: self._order]
        return z

    def from_noise(self, noise: Wide) -> Wide:
        """The inverse of to_noise, on a cyclic grid."""
        for step in reversed(self._steps):
            noise = noise[:: self._order].copy()
            step.undo(noise, self._period)
        return noise
