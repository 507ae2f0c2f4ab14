"""Shapes of nets as plain values, as the metadata of weights hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

Shape = TypeVar("Shape")


def shape_of(kind: type[Shape], values: Mapping[str, Any]) -> Shape:
    """A shape of a kind from its fields, lists of which become tuples. Raises TypeError for a field too many."""
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
