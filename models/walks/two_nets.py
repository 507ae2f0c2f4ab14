"""A model of two nets for pictures of one size: one that is chained by bits-back, one for single pictures."""

from __future__ import annotations

from typing import Generic, TypeVar

from vlcodec.codec.interface import LatentNet

Chained = TypeVar("Chained", bound=LatentNet)
Single = TypeVar("Single", bound=LatentNet)


class TwoNets(Generic[Chained, Single]):
    """See codec.interface.Model; a family adds `golden`."""

    qualities = 1

    def __init__(self, chained: Chained, single: Single) -> None:
        self._chained, self._single = chained, single

    def single(self, quality: int, hundredths: int = 0) -> Single:
        """See codec.interface.Model."""
        return self._single

    def chained(self) -> Chained:
        """See codec.interface.Model."""
        return self._chained
