"""A model for pictures of one size: a net that is chained by bits-back, and one for each quality of single pictures."""

from __future__ import annotations

from typing import Generic, TypeVar

from vlcodec.codec.interface import LatentNet

Chained = TypeVar("Chained", bound=LatentNet)
Single = TypeVar("Single", bound=LatentNet)


class ByQuality(Generic[Chained, Single]):
    """See codec.interface.Model; a family adds `golden`."""

    def __init__(self, chained: Chained, *singles: Single) -> None:
        self._chained, self._singles, self.qualities = chained, singles, len(singles)

    def single(self, quality: int, hundredths: int = 0) -> Single:
        """See codec.interface.Model."""
        return self._singles[quality - 1]

    def chained(self) -> Chained:
        """See codec.interface.Model."""
        return self._chained
