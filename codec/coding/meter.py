"""The ledger's stack: it keeps what the likelihood promises for the symbols that pass, by section."""

from __future__ import annotations

from collections import defaultdict

from vlcodec.codec.coding.likelihood import bits_of
from vlcodec.codec.interface import Coder, Distribution, Ints


class Meter:
    """Counts -log2 P of what is pushed, less that of what is popped, and hands it on to a stack, if there is one.

    promised: bits by section, in float64 and apart from the tables (`coding.likelihood`).
    """

    exhausted = False

    def __init__(self, stack: Coder | None = None) -> None:
        self._stack, self._section = stack, ""
        self.promised: defaultdict[str, float] = defaultdict(float)

    @property
    def total(self) -> float:
        """Bits of all sections."""
        return sum(self.promised.values())

    @property
    def bits(self) -> int:
        """See codec.interface.Coder."""
        return self._stack.bits if self._stack is not None else 0

    def section(self, name: str) -> None:
        """See codec.interface.Coder."""
        self._section = name

    def book(self, bits: float) -> None:
        """See codec.interface.Coder."""
        self.promised[self._section] += bits

    def push(self, distribution: Distribution, symbols: Ints) -> None:
        """See codec.interface.Coder."""
        self.promised[self._section] += float(bits_of(distribution, symbols).sum())
        if self._stack is not None:
            self._stack.push(distribution, symbols)

    def pop(self, distribution: Distribution, index: Ints) -> Ints:
        """See codec.interface.Source. Raises RuntimeError without a stack."""
        if self._stack is None:
            raise RuntimeError("a meter without a stack has nothing to pop: give it one")
        symbols = self._stack.pop(distribution, index)
        self.promised[self._section] -= float(bits_of(distribution, symbols).sum())
        return symbols
