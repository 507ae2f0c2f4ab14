"""What a net computes with: the one switch of all modules that are integers once they are frozen.

    training    real weights, activations in float, noise as smooth as gradients want it
    simulated   likewise, but layers round weights, and outputs where they are not fine; gradients pass straight through
    frozen      loaded integers, tables in place of functions, noise on the coder's grid: what files are made with

The mode is the module's own: it follows neither from gradients being on nor from torch's `train` and `eval`.
"""

from __future__ import annotations

from typing import Literal

from torch import nn

Mode = Literal["training", "simulated", "frozen"]


class IntegerModule(nn.Module):
    """A module whose arithmetic depends on the mode; `set_mode` sets it, through a whole net."""

    def __init__(self) -> None:
        super().__init__()
        self.mode: Mode = "training"

    @property
    def has_integers(self) -> bool:
        """Whether it can be frozen as it is."""
        return True

    def change(self, mode: Mode) -> None:
        """Take on a mode; called by `set_mode`."""
        self.mode = mode

    def carry(self, in_int8: bool) -> None:
        """Let int8 carry what fits it, or floats; called by `probe.carry`, on frozen modules."""


def set_mode(module: nn.Module, mode: Mode) -> None:
    """Set the mode of a module and of all in it.

    Raises RuntimeError, and changes nothing, where it is to be frozen and a layer has no integers.
    """
    parts = [part for part in module.modules() if isinstance(part, IntegerModule)]
    if mode == "frozen" and not all(part.has_integers for part in parts):
        raise RuntimeError("a net is frozen by its layers' integers: load integers first")
    for part in parts:
        part.change(mode)
