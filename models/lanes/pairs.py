"""Sums of products of 16-bit integers in the machine's own instruction, over many pictures side by side.

numba makes no use of instructions that multiply pairs of integers, so the tile is written in LLVM's terms: VNNI's
`vpdpwssd` adds two products of 16-bit integers to a sum of 32 bits, without saturation (modulo 2^32).
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from vlcodec.models.lanes.units import BLOCK, VECTOR

VECTORS = 2  # registers of lanes in a tile
_I32, _I64 = ir.IntType(32), ir.IntType(64)
_SUMS = ir.VectorType(_I32, VECTOR)
_SAME = ir.Constant(_SUMS, [0] * VECTOR)


@cache
def available() -> bool:
    """Whether the processor has the instruction."""
    return bool(llvm.get_host_cpu_features().get("avx512vnni", False))


@intrinsic  # type: ignore[untyped-decorator]
def add_pairs(
    context: Any, sums: Any, sums_step: Any, x: Any, x_step: Any, weight: Any, weight_step: Any, count: Any
) -> Any:
    """Add, to BLOCK rows of VECTORS registers of sums, the products of so many rows of pairs with each row's weights.

    All are addresses and int64; steps are from row to row, in bytes.
    """
    signature = types.void(*[types.int64] * 7)

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        sums, sums_step, x, x_step, weight, weight_step, count = arguments
        tile = list(product(range(BLOCK), range(VECTORS)))
        rows = [_pointer(b, b.add(sums, b.mul(sums_step, _I64(o))), _SUMS) for o in range(BLOCK)]
        places = [b.gep(rows[o], [_I64(v)]) for o, v in tile]
        begun = [b.load(place, align=1) for place in places]
        weights = [_pointer(b, b.add(weight, b.mul(weight_step, _I64(o))), _I32) for o in range(BLOCK)]
        entry, loop, done = b.block, b.append_basic_block("pair"), b.append_basic_block("done")
        b.branch(loop)
        b.position_at_end(loop)
        pair = b.phi(_I64)
        pair.add_incoming(_I64(0), entry)
        held = [b.phi(_SUMS) for _ in tile]
        row = _pointer(b, b.add(x, b.mul(pair, x_step)), _SUMS)
        columns = [b.load(b.gep(row, [_I64(v)]), align=1) for v in range(VECTORS)]
        factors = [_splat(b, b.load(b.gep(own, [pair]), align=1)) for own in weights]
        added = [_products(b, total, columns[v], factors[o]) for total, (o, v) in zip(held, tile, strict=True)]
        following = b.add(pair, _I64(1))
        pair.add_incoming(following, loop)
        for first, value, last in zip(begun, held, added, strict=True):
            value.add_incoming(first, entry)
            value.add_incoming(last, loop)
        b.cbranch(b.icmp_signed("<", following, count), loop, done)
        b.position_at_end(done)
        for place, value in zip(places, added, strict=True):
            b.store(value, place, align=1)
        return context.get_dummy_value()

    return signature, generate


def _pointer(b: Any, address: Any, kind: Any) -> Any:
    return b.inttoptr(address, kind.as_pointer())


def _splat(b: Any, value: Any) -> Any:
    """A register of equal values."""
    return b.shuffle_vector(b.insert_element(ir.Constant(_SUMS, ir.Undefined), value, _I32(0)), _SAME, _SAME)


def _products(b: Any, total: Any, x: Any, weight: Any) -> Any:
    kind = ir.FunctionType(_SUMS, [_SUMS] * 3)
    return b.call(cgutils.get_or_insert_function(b.module, kind, "llvm.x86.avx512.vpdpwssd.512"), [total, x, weight])
