"""What a family of models is: one object that makes nets, codecs and trainings of it.

A family's `family.py` holds it as FAMILY. Importing that file is instant; torch comes with the work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from vlcodec.codec.interface import Bytes, Model, Progress

Config = Mapping[str, Any]  # what the weights' metadata say of a net: all that shapes what it computes


@dataclass(frozen=True)
class Takes:
    """What pictures a model takes.

    side: of pictures of one size; None for any. bilevel: black and white alone, as grey.
    archives: "grey" or "colour" where many pictures go into one file, "" where they do not. placeholders: quality 0.
    between: qualities have decimals.
    alone: whether a lossless file may hold a single picture; where pixels are coded by bits-back it has no bits to
    begin with.
    """

    side: int | None
    bilevel: bool
    archives: str
    placeholders: bool = False
    between: bool = False
    alone: bool = True


@dataclass(frozen=True)
class Training:
    """What `vlcodec train` asks for; see `vlcodec.training.train`. init: weights to start from, and their family."""

    name: str
    data: tuple[Path, ...]
    out: Path
    exclude: tuple[str, ...]
    steps: int | None
    minutes: float | None
    seed: int
    device: str
    part: str
    batch: int | None
    patch: int
    rate: float | None
    init: Init | None
    progress: Progress | None


@dataclass(frozen=True)
class Init:
    """Exported weights as real ones, by the names of parameters."""

    name: str
    family: str
    config: Config
    weights: Mapping[str, Tensor]


@dataclass(frozen=True)
class Family:
    """Functions that make a family's models.

    net: the untrained net of a config. freeze: a frozen net as a codec. takes: of a config. whole: whether a config's
    net lacks no part. golden_pictures: (n, H, W, C) uint8, of a kind that the models take, from integers alone.
    parts: what can be trained, the default first. train: the trained net and its config.
    """

    net: Callable[[Config], nn.Module]
    freeze: Callable[[nn.Module, Config, torch.device], Model]
    takes: Callable[[Config], Takes]
    golden_pictures: Callable[[], Bytes]
    parts: tuple[str, ...]
    train: Callable[[Training], tuple[nn.Module, Config]]
    qualities: Callable[[Config], int] = lambda config: 1
    whole: Callable[[Config], bool] = lambda config: True
