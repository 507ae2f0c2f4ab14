"""The chunks of a picture's latents: one, or a group after the other where a net refines what it has told.

A group's chunk is a stack of its own, coded given the groups before it, so that a file may end after any of them. What
the mean image of all latents lacks is a further group of lossy files, where a net says it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from vlcodec.codec.coding.latents import read_latents, write_latents
from vlcodec.codec.coding.short_code import ShortCode
from vlcodec.codec.coding.stack import Stack
from vlcodec.codec.errors import FormatError
from vlcodec.codec.interface import Block, Ints, LatentNet, Layered, Tick


@runtime_checkable
class Grouped(Protocol):
    """What a LatentNet offers besides, whose quality says how many groups of latents a file has."""

    @property
    def parts(self) -> Sequence[slice]:
        """The groups' places among a picture's latents, one after the other."""

    def part(self, number: int, symbols: Ints, u: Ints) -> Block:
        """p of a group, (n, its latents), given the groups before it in symbols (n, latents)."""


@runtime_checkable
class Short(Protocol):
    """What a LatentNet says besides, of few latents: whether a file's chunk of them is a short code, not a stack."""

    short_code: bool


def coder_of(net: LatentNet) -> type[ShortCode] | type[Stack]:
    """What a net's chunks of latents are."""
    return ShortCode if isinstance(net, Short) and net.short_code else Stack


def check_groups(net: LatentNet, groups: Sequence[bytes], lossless: bool) -> None:
    """Raises FormatError unless a file has as many groups as its net codes; of a lossy file the last may be missing,
    where it is what a mean image lacks."""
    layered = isinstance(net, Layered) and not lossless
    wanted = len(net.parts) if isinstance(net, Grouped) else 1
    if len(groups) != wanted and not (layered and len(groups) == 2):
        known = "one or two" if layered else "one" if wanted == 1 else str(wanted)
        raise FormatError(f"the file holds {len(groups)} groups of latents: its model has {known}")


def parts_of(net: LatentNet, symbols: Ints, u: Ints) -> Iterator[tuple[slice, Block]]:
    """Each group's place among the latents, and p of it, given what symbols (n, latents) hold of the groups before it
    by then."""
    if not isinstance(net, Grouped):
        yield slice(None), net.prior(u)
        return
    for number, place in enumerate(net.parts):
        yield place, net.part(number, symbols, u)


def write_groups(net: LatentNet, symbols: Ints, u: Ints, tick: Tick | None = None) -> tuple[bytes, ...]:
    """The stacks, or short codes, of all groups."""
    coder = coder_of(net)
    if not isinstance(net, Grouped):
        return (write_latents(net, symbols, u, tick, coder),)
    found = list[bytes]()
    for number, (place, block) in enumerate(parts_of(net, symbols, u)):
        stack = coder()
        block.push(symbols[:, place], stack)
        found.append(stack.to_bytes())
        if tick is not None:
            tick(number + 1, len(net.parts))
    return tuple(found)


def read_groups(net: LatentNet, groups: Sequence[bytes], u: Ints, tick: Tick | None = None) -> Ints:
    """The latents' symbols. Raises FormatError where a stack does not end as it began."""
    coder = coder_of(net)
    if not isinstance(net, Grouped):
        return read_latents(net, groups[0], u, tick, coder)
    symbols: Ints = u * 0
    for number, (place, block) in enumerate(parts_of(net, symbols, u)):
        stack = coder(groups[number])
        symbols[:, place] = block.pop(stack)
        if not stack.empty:
            raise FormatError(f"the stack of group {number + 1} must be empty after its last latent; it is not")
        if tick is not None:
            tick(number + 1, len(net.parts))
    return symbols


def write_lacking(net: Layered, symbols: Ints, fz: Any) -> bytes:
    """The stack of what f(z) lacks."""
    stack = Stack()
    net.residual(fz).push(symbols, stack)
    return stack.to_bytes()


def read_lacking(net: Layered, data: bytes, fz: Any, changes: bytes, tick: Tick | None = None) -> Any:
    """f(z) with what it lacked. Raises FormatError where the stack does not end as it began, and for changes of the
    decoder that are none."""
    stack = Stack(data)
    symbols = net.residual(fz).pop(stack, tick)
    if not stack.empty:
        raise FormatError("the residual's stack must be empty after its last symbol; it is not")
    return net.completed(fz, symbols, changes)


def group_bits(net: LatentNet, symbols: Ints, u: Ints) -> list[float]:
    """-log2 P of each group's symbols, in float64, apart from any table."""
    return [block.bits(symbols[:, place]) for place, block in parts_of(net, symbols, u)]
