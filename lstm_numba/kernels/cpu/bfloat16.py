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
