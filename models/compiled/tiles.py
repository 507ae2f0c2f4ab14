"""One tile of an 8-bit layer, in the machine's own instructions: products, sums, requantisation, all in registers.

numba makes no use of instructions that multiply bytes, so the tile is written in LLVM's terms: VNNI's `vpdpbusd` adds
four products of an unsigned and a signed byte to a sum of 32 bits, without saturation. A loop around tiles reaches the
processor's peak; nothing is gathered, as a layer's taps are read where they lie.

    sums       int32 sums, bias included
    bytes      clamp(round(multiplier x sum), 0, 255) as bytes
    stream     a residual stream gains clamp(round(multiplier x sum), -8191, 8191); its rectified values as bytes

Sums are below 2^24, so that float32 holds them; multipliers are powers of two, and rounding is half to even.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from vlcodec.models.layers.activations import STREAM_MAX, UNIT

LANES, VECTORS, BYTES = 16, 2, 4  # sums in a register; registers a row; products in a sum
OUTPUTS = LANES * VECTORS  # of a tile
ROWS = 8  # of a tile
BYTE_MAX = 255.0
Epilogue = Literal["sums", "bytes", "stream"]

_I8, _I32, _I64, _F32 = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType()
_SUMS, _REALS, _BYTES = (ir.VectorType(kind, LANES) for kind in (_I32, _F32, _I8))


@cache
def available() -> bool:
    """Whether the processor has the instruction."""
    return bool(llvm.get_host_cpu_features().get("avx512vnni", False))


def tile(rows: int, epilogue: Epilogue) -> Any:
    """The intrinsic of a tile of so many rows and of OUTPUTS outputs.

    Its arguments are addresses and int64: `bases` of the address of each tap's first row, `taps`, `row` of the tile,
    `stride` of inputs in bytes, `quads` of inputs a tap, `weight`, `bias` and `multiplier` of the tile's outputs,
    `out` and its `step` in bytes, `stream` and its step in bytes.
    """

    @intrinsic  # type: ignore[untyped-decorator]
    def run(
        context: Any, bases: Any, taps: Any, row: Any, stride: Any, quads: Any, weight: Any, bias: Any, multiplier: Any,
        out: Any, step: Any, stream: Any, stream_step: Any,
    ) -> Any:  # fmt: skip
        signature = types.void(*[types.int64] * 12)

        def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
            bases, taps, row, stride, quads, weight, *rest = arguments
            sums = _products(b, rows, bases, taps, b.mul(row, stride), stride, quads, weight)
            _finish(b, epilogue, sums, row, *rest)
            return context.get_dummy_value()

        return signature, generate

    return run


def _products(
    b: Any, rows: int, bases: Any, taps: Any, first: Any, stride: Any, quads: Any, weight: Any
) -> list[list[Any]]:
    """Sums [rows][VECTORS] over all taps and inputs: two loops, whose sums stay in registers."""
    entry = b.block
    outer, inner, after, done = (b.append_basic_block(name) for name in ("tap", "quad", "next", "done"))
    b.branch(outer)
    b.position_at_end(outer)
    tap = b.phi(_I64)
    tap.add_incoming(_I64(0), entry)
    begun = [[b.phi(_SUMS) for _ in range(VECTORS)] for _ in range(rows)]
    base = b.add(b.load(b.gep(_pointer(b, bases, _I64), [tap])), first)
    inputs = [_pointer(b, b.add(base, b.mul(stride, _I64(r))), _I32) for r in range(rows)]
    weights = b.gep(_pointer(b, weight, _SUMS), [b.mul(b.mul(tap, quads), _I64(VECTORS))])
    b.branch(inner)
    b.position_at_end(inner)
    quad = b.phi(_I64)
    quad.add_incoming(_I64(0), outer)
    sums = [[b.phi(_SUMS) for _ in range(VECTORS)] for _ in range(rows)]
    columns = [b.load(b.gep(weights, [b.add(b.mul(quad, _I64(VECTORS)), _I64(v))]), align=1) for v in range(VECTORS)]
    added = list[list[Any]]()
    for r in range(rows):
        four = _splat(b, b.load(b.gep(inputs[r], [quad]), align=1), _SUMS)
        added.append([
            _call(b, "llvm.x86.avx512.vpdpbusd.512", _SUMS, sums[r][v], four, columns[v]) for v in range(VECTORS)
        ])  # fmt: skip
    following = b.add(quad, _I64(1))
    quad.add_incoming(following, inner)
    b.cbranch(b.icmp_signed("<", following, quads), inner, after)
    b.position_at_end(after)
    following = b.add(tap, _I64(1))
    tap.add_incoming(following, after)
    b.cbranch(b.icmp_signed("<", following, taps), outer, done)
    b.position_at_end(done)
    for r in range(rows):
        for v in range(VECTORS):
            begun[r][v].add_incoming(ir.Constant(_SUMS, [0] * LANES), entry)
            begun[r][v].add_incoming(added[r][v], after)
            sums[r][v].add_incoming(begun[r][v], outer)
            sums[r][v].add_incoming(added[r][v], inner)
    return added


def _finish(
    b: Any, epilogue: Epilogue, sums: list[list[Any]], row: Any, bias: Any, multiplier: Any, out: Any, step: Any,
    stream: Any, stream_step: Any,
) -> None:  # fmt: skip
    """Store what becomes of the sums."""
    for v in range(VECTORS):
        own = b.load(b.gep(_pointer(b, bias, _SUMS), [_I64(v)]), align=1)
        scale = b.load(b.gep(_pointer(b, multiplier, _REALS), [_I64(v)]), align=1)
        for r, total in enumerate(sums):
            at = b.add(row, _I64(r))
            to = b.add(out, b.mul(at, step))
            whole = b.add(total[v], own)
            if epilogue == "sums":
                b.store(whole, b.gep(_pointer(b, to, _SUMS), [_I64(v)]), align=1)
                continue
            y = _call(b, "llvm.rint.v16f32", _REALS, b.fmul(b.sitofp(whole, _REALS), scale))
            if epilogue == "stream":
                kept = b.gep(_pointer(b, b.add(stream, b.mul(at, stream_step)), _REALS), [_I64(v)])
                y = b.fadd(_clamped(b, y, -STREAM_MAX, STREAM_MAX), b.load(kept, align=1))
                b.store(y, kept, align=1)
                y = _call(b, "llvm.rint.v16f32", _REALS, b.fmul(y, _splat(b, _F32(SHRINK), _REALS)))
            narrow = b.trunc(b.fptosi(_clamped(b, y, 0.0, BYTE_MAX), _SUMS), _BYTES)
            b.store(narrow, b.gep(_pointer(b, to, _BYTES), [_I64(v)]), align=1)


SHRINK = 16 / UNIT  # from the stream's unit to that of 8-bit activations


def _pointer(b: Any, address: Any, kind: Any) -> Any:
    return b.inttoptr(address, kind.as_pointer())


def _splat(b: Any, value: Any, kind: Any) -> Any:
    """A vector of equal values."""
    empty = ir.Constant(kind, ir.Undefined)
    one = b.insert_element(empty, value, _I32(0))
    return b.shuffle_vector(one, empty, ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES))


def _call(b: Any, name: str, kind: Any, *arguments: Any) -> Any:
    function = ir.FunctionType(kind, [argument.type for argument in arguments])
    return b.call(cgutils.get_or_insert_function(b.module, function, name), arguments)


def _clamped(b: Any, y: Any, low: float, high: float) -> Any:
    y = _call(b, "llvm.maxnum.v16f32", _REALS, y, _splat(b, _F32(low), _REALS))
    return _call(b, "llvm.minnum.v16f32", _REALS, y, _splat(b, _F32(high), _REALS))
