"""Integers that a weights file holds beside a net's layers: the same in every mode."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn


class Table(nn.Module):
    """values: of a shape, int8, 0 until they are set."""

    values: Tensor

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.register_buffer("values", torch.zeros(shape, dtype=torch.int8))


def tables(module: nn.Module) -> Iterator[tuple[str, Table]]:
    """Every table of a model, by name, in the order of definition."""
    for name, child in module.named_modules():
        if isinstance(child, Table):
            yield name, child
