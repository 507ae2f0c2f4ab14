"""A walk whose steps are computed by a net."""

from __future__ import annotations

from contextlib import AbstractContextManager

from torch import Tensor

from vlcodec.codec.coding.walk import Walk
from vlcodec.codec.interface import Ints
from vlcodec.models.layers.settings import stepwise


class NetWalk(Walk):
    """See codec.coding.walk.Walk. Settings that exact products need hold while the steps are walked."""

    def stepping(self) -> AbstractContextManager[None]:
        """See codec.coding.walk.Walk."""
        return stepwise()


def to_numpy(x: Tensor) -> Ints:
    """Integers of a network's output, on the CPU."""
    return x.cpu().numpy().astype("int64")
