"""A float32 as three signed bytes of a fixed-point number, on register tiles.

Numbers that are summed over have a scale in common. With m the largest of their sizes,

    x = (d1 2^8 + d2 + d3 2^-8) worth        digits d1, d2, d3 from -128 to 127
    worth = 2^8 m / LARGEST

to within m 2^-22: half a unit of the third digit, and the rounding of the scale and of the worth.
Products of digits and their sums are integers, and exact.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, register_jitable

from ..parts import PART
from ..tile import Tile, at_least, elementwise, lanes, store

# 0x7F7F7F, whose digits are all 127, less what the rounding of m and of x / m may add.
LARGEST = 8_355_710.0

# A smaller m counts as this, for a finite scale.
_TINY = 1e-31

_SIZE, _EXPONENT, _DIGITS = 0x7FFFFFFF, 0x7F800000, 0x808080


def _integers(x):
    """Return the LLVM type of integers of the size of the floats ``x``, and its constants."""
    integer = ir.VectorType(ir.IntType(32), x.type.count)
    return integer, lambda value: ir.Constant(integer, [value] * x.type.count)


# scales


def _emit_larger_size(builder, largest, x):
    # As integers, floats of one sign are in order, and a NaN is beyond infinity: it is kept.
    integer, constant = _integers(x)
    size = builder.and_(builder.bitcast(x, integer), constant(_SIZE))
    largest = builder.bitcast(largest, integer)
    larger = builder.select(builder.icmp_signed(">", size, largest), size, largest)
    return builder.bitcast(larger, x.type)


larger_size = elementwise(_emit_larger_size, 2)
larger_size.__doc__ = "The larger of ``largest``, which is not negative, and |x|; or a NaN."


@intrinsic
def largest_of_tile(typing_context, tile):
    """The largest size in each lane, over all rows."""
    if not isinstance(tile, Tile) or tile.pieces != 1:
        return None
    one = Tile(tile.scalar, 1, tile.vectors)

    def codegen(context, builder, signature, args):
        out = ir.Constant(context.get_value_type(one), None)
        for row in range(tile.rows):
            known, x = builder.extract_value(out, 0), builder.extract_value(args[0], row)
            out = builder.insert_value(out, _emit_larger_size(builder, known, x), 0)
        return out

    return one(tile), codegen


@register_jitable(**PART)
def scale_of(largest):
    """Return what numbers of at most this size are multiplied with, to be integers."""
    return LARGEST / at_least(largest, _TINY)


@register_jitable(**PART)
def worth_of(largest):
    """Return what a unit of the second digit is worth; not finite if ``largest`` is not."""
    return at_least(largest, _TINY) * (256.0 / LARGEST)


def _emit_power_below(builder, x):
    integer, constant = _integers(x)
    return builder.bitcast(builder.and_(builder.bitcast(x, integer), constant(_EXPONENT)), x.type)


_power_below = elementwise(_emit_power_below, 1)


@register_jitable(**PART)
def power_below(largest):
    """Return the power of two below; infinity if ``largest`` is not finite."""
    return _power_below(at_least(largest, _TINY))


# digits


def _emit_digits(builder, x, scale):
    integer, constant = _integers(x)
    n, kind = x.type.count, ir.FunctionType(integer, [x.type])
    nearest = cgutils.get_or_insert_function(builder.module, kind, f"llvm.lrint.v{n}i32.v{n}f32")
    rounded = builder.call(nearest, [builder.fmul(x, scale)])
    # With 128 added to each digit none is negative, and none borrows from the next; a digit + 128
    # with the upper bit turned is the digit.
    shifted = builder.add(rounded, constant(_DIGITS))
    return builder.bitcast(builder.xor(shifted, constant(_DIGITS)), x.type)


digits = elementwise(_emit_digits, 2)
digits.__doc__ = "The lower three bytes of each number: d3, d2, d1 of ``x`` with its ``scale``."


def _choose(builder, mask, a, b):
    """Bits of ``a`` where ``mask`` is 1, else of ``b``."""
    _, constant = _integers(a)
    return builder.or_(
        builder.and_(a, constant(mask)), builder.and_(b, constant(~mask & 0xFFFFFFFF))
    )


def _emit_four(builder, u):
    """From four vectors of digits to d1, d2 and d3 of all four, side by side."""
    integer, constant = _integers(u[0])
    u = [builder.bitcast(x, integer) for x in u]

    def up(x, bits):
        return builder.shl(x, constant(bits))

    def down(x, bits):
        return builder.lshr(x, constant(bits))

    even, lower, upper = 0x00FF00FF, 0x0000FFFF, 0x00FFFFFF
    first = _choose(builder, even, u[0], up(u[1], 8))
    second = _choose(builder, even, u[2], up(u[3], 8))
    d1 = _choose(builder, lower, down(first, 16), second)
    d3 = _choose(builder, lower, first, up(second, 16))
    first = _choose(builder, 0xFF, down(u[0], 8), u[1])
    second = _choose(builder, upper, up(u[2], 8), up(u[3], 16))
    d2 = _choose(builder, lower, first, second)
    return d1, d2, d3


@intrinsic
def _side_by_side(typing_context, u0, u1, u2, u3):
    """Three tiles: of each digit those of four numbers, as the bytes of one, in this order."""
    if not isinstance(u0, Tile) or u0.pieces != 1 or {u1, u2, u3} != {u0}:
        return None

    def codegen(context, builder, signature, args):
        tiles = [ir.Constant(context.get_value_type(u0), ir.Undefined) for _ in range(3)]
        for row in range(u0.rows):
            four = [builder.extract_value(u, row) for u in args]
            kind = four[0].type
            for k, digit in enumerate(_emit_four(builder, four)):
                tiles[k] = builder.insert_value(tiles[k], builder.bitcast(digit, kind), row)
        return context.make_tuple(builder, signature.return_type, tiles)

    return types.UniTuple(u0, 3)(u0, u0, u0, u0), codegen


@register_jitable(**PART)
def write_digits(array, at, apart, scale, x0, x1, x2, x3):
    """Write the digits of four tiles, side by side: row after row d1, ``apart`` further d2, and d3.

    Parameters
    ----------
    scale : tile
        Of each row or lane.
    x0, x1, x2, x3 : tile
        One vector wide; four of their numbers become one.
    """
    width = lanes(array)
    d1, d2, d3 = _side_by_side(
        digits(x0, scale), digits(x1, scale), digits(x2, scale), digits(x3, scale)
    )
    store(array, at, width, d1)
    store(array, at + apart, width, d2)
    store(array, at + 2 * apart, width, d3)


# sums of products


def _emit_value(builder, s1, s2, s3):
    integer, _ = _integers(s1)
    power = ir.Constant(s1.type, [256.0] * s1.type.count)
    flags = ("contract",)
    s1, s2, s3 = (builder.sitofp(builder.bitcast(s, integer), power.type) for s in (s1, s2, s3))
    for s in (s2, s3):
        s1 = builder.fadd(builder.fmul(s1, power, flags=flags), s, flags=flags)
    return s1


value = elementwise(_emit_value, 3)
value.__doc__ = "s1 2^16 + s2 2^8 + s3 of three integers."
