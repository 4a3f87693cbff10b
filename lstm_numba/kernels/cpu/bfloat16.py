"""A float32 as the sum of three bfloat16, on register tiles.

A bfloat16 is the upper half of a float32: 8 bits of precision, and the whole range. Three of them
hold the 24 bits of a float32::

    x = x1 + x2 + x3        x1 = x rounded to 8 bits,  x2 = x - x1 rounded,  x3 what is left

Parts stay float32 numbers, whose lower half is zero, until they are stored.
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, register_jitable

from ..tile import Tile, elementwise

_UPPER, _HALF = 0xFFFF0000, 0x8000


def _integers(x):
    """Return the LLVM type of integers of the size of the floats ``x``, and its constants."""
    integer = ir.VectorType(ir.IntType(32), x.type.count)
    return integer, lambda value: ir.Constant(integer, [value] * x.type.count)


def _emit_rounded(builder, x):
    integer, constant = _integers(x)
    bits = builder.add(builder.bitcast(x, integer), constant(_HALF))
    return builder.bitcast(builder.and_(bits, constant(_UPPER)), x.type)


_rounded = elementwise(_emit_rounded, 1)


@register_jitable(forceinline=True)
def three_parts(x):
    """Return x1, x2, x3."""
    x1 = _rounded(x)
    rest = x - x1
    x2 = _rounded(rest)
    return x1, x2, rest - x2


def _emit_pair(builder, first, second):
    integer, constant = _integers(first)
    low = builder.lshr(builder.bitcast(first, integer), constant(16))
    high = builder.and_(builder.bitcast(second, integer), constant(_UPPER))
    return builder.bitcast(builder.or_(low, high), first.type)


pair = elementwise(_emit_pair, 2)
pair.__doc__ = "Two parts in the halves of one number: the first, then the second."


@intrinsic
def store_narrow(typing_context, array, start, distance, tile):
    """Write row r of a tile of parts as bfloat16, two to a number, from start + r distance on."""
    if not isinstance(tile, Tile) or tile.pieces != 1:
        return None

    def codegen(context, builder, signature, args):
        data = context.make_array(array)(context, builder, args[0]).data
        narrow = ir.VectorType(ir.IntType(16), tile.lanes)
        for r in range(tile.rows):
            row = builder.extract_value(args[3], r)
            integer, constant = _integers(row)
            bits = builder.lshr(builder.bitcast(row, integer), constant(16))
            index = builder.add(args[1], builder.mul(args[2], args[2].type(r)))
            place = builder.bitcast(builder.gep(data, [index]), narrow.as_pointer())
            builder.store(builder.trunc(bits, narrow), place).align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, tile), codegen


def _network(n):
    """Yield the stages of a transposition of n x n: the distance of partners, and both picks.

    Exchanging the off-diagonal quarters of all squares of 2d rows, for d = 1, 2, 4 ..., transposes.
    """
    d = 1
    while d < n:
        upper = [k if not k & d else n + (k ^ d) for k in range(n)]
        lower = [k | d if not k & d else n + k for k in range(n)]
        yield d, upper, lower
        d *= 2


@intrinsic
def transpose(typing_context, tile):
    """Rows for lanes, of a tile with as many rows as lanes."""
    if not isinstance(tile, Tile) or tile.pieces != 1 or tile.rows != tile.lanes:
        return None

    def codegen(context, builder, signature, args):
        n = tile.rows
        rows = [builder.extract_value(args[0], r) for r in range(n)]
        index = ir.VectorType(ir.IntType(32), n)
        for d, upper, lower in _network(n):
            for r in range(n):
                if not r & d:
                    a, b = rows[r], rows[r | d]
                    rows[r] = builder.shuffle_vector(a, b, ir.Constant(index, upper))
                    rows[r | d] = builder.shuffle_vector(a, b, ir.Constant(index, lower))
        out = ir.Constant(context.get_value_type(tile), ir.Undefined)
        for r in range(n):
            out = builder.insert_value(out, rows[r], r)
        return out

    return tile(tile), codegen
