"""The rows of a wavefront's step, for compiled loops: see `wavefront.front`."""

from __future__ import annotations

from vlcodec.codec.coding.compiled import part


@part
def first_row(step: int, width: int) -> int:
    """Of the positions."""
    return max(0, (step - width + 2) // 2)


@part
def last_row(step: int, height: int) -> int:
    """Of the positions, and one more."""
    return min(height - 1, step // 2) + 1
