"""float32 products on the matrix unit: six products of digits.

With x = d1 2^8 + d2 + d3 2^-8 and w = e1 2^8 + e2 + e3 2^-8, each times its worth (``digits.py``)

    x w  =  2^16 d1 e1  +  2^8 (d1 e2 + d2 e1)  +  d1 e3 + d2 e2 + d3 e1

up to terms of 2^-24 of the largest products, the precision of float32. The three sums, one for each
power of two, are integers and exact: a product has the same bits whatever else is multiplied along
with it. The unit is 32 times as fast as the vector units, so six products are still faster than
one. Ootomo, Ozaki & Yokota (2024), "DGEMM on Integer Matrix Multiplication Unit".

Operands lie in memory as the registers read them, each a *tile* of 16 rows x 64 bytes, in blocks of
K = 64 of what is summed over, behind the scales of 16 rows or columns and what a unit of their
digits is worth::

    a     scales, worths, (blocks, digits, 16 rows, 64)         of a product with 16 rows
    b     scales, worths, (blocks, digits, 16, 16 columns, 4)   and 16 columns
    sums  (3, 16 rows, 16 columns)                              integers

The last four of b are numbers that are summed over. The sum may be taken in any order as long as
both operands keep to it: see ``group.py``.
"""

from numba.core import types
from numba.extending import intrinsic, register_jitable

from ..parts import PART, subkernel
from ..tile import ROWS, lanes, load, spread, store, zeros
from . import amx
from .digits import larger_size, scale_of, value, worth_of, write_digits
from .transpose import load_square, transpose

K = 4 * amx.TILE_ROWS  # numbers that one block sums over
DIGITS = 3
TILE = amx.TILE_ROWS * amx.TILE_BYTES // 4  # float32 numbers that a tile takes
BLOCK = DIGITS * TILE
SUMS = 3 * TILE
HEAD = 2 * amx.TILE_ROWS  # scales and worths

_SUMS, _OF_A, _OF_B = 0, 3, 6  # registers: three, three and two


@register_jitable(**PART)
def blocks_of(n):
    """Return how many blocks of K hold ``n`` numbers."""
    return -(-n // K)


# operands


@register_jitable(**PART)
def operand_size(blocks):
    """Return how many numbers an operand takes."""
    return HEAD + blocks * BLOCK


@register_jitable(**PART)
def write_scales(array, operand, largest):
    """Write the scales of an operand, from the largest size in each row or column."""
    store(array, operand, 0, scale_of(largest))
    store(array, operand + lanes(array), 0, worth_of(largest))


@register_jitable(**PART)
def write_four(array, operand, block, row, scale, x0, x1, x2, x3):
    """Write a row of a block from four vectors of floats.

    As row of an operand a: of the block's numbers to be summed over, the first sixteen, the next
    sixteen, ...; number k of each stands beside k of the others. As row of an operand b: four
    numbers for each column.
    """
    at = operand + HEAD + block * BLOCK + row * lanes(array)
    write_digits(array, at, TILE, scale, x0, x1, x2, x3)


@register_jitable(**PART)
def write_row(array, operand, block, row, scale, source, distance):
    """Write a row of a block from four vectors of the same array, as ``write_four``."""
    x0, x1 = load(array, source, 0, 1, 1), load(array, source + distance, 0, 1, 1)
    x2 = load(array, source + 2 * distance, 0, 1, 1)
    x3 = load(array, source + 3 * distance, 0, 1, 1)
    write_four(array, operand, block, row, scale, x0, x1, x2, x3)


@subkernel
def _transpose_tile(array, at):
    """Rows for columns."""
    width = lanes(array)
    store(array, at, width, transpose(load_square(array, at, width)))


@register_jitable(**PART)
def transpose_block(array, operand, block):
    """From an operand b to an operand a, or back."""
    for digit in range(DIGITS):
        _transpose_tile(array, operand + HEAD + block * BLOCK + digit * TILE)


@register_jitable(**PART)
def largest_of_columns(array, at, rows):
    """Return the largest size in each column of ``rows`` vectors that lie side by side."""
    width = lanes(array)
    largest = zeros(array, 1, 1)
    for row in range(rows):
        largest = larger_size(largest, load(array, at + row * width, 0, 1, 1))
    return largest


@register_jitable(**PART)
def largest_of_rows(array, at):
    """Return the largest size in each row of a tile in memory, which is transposed."""
    _transpose_tile(array, at)
    return largest_of_columns(array, at, lanes(array))


# products


def _place(context, builder, array_type, array, start, offset=0):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [builder.add(start, start.type(offset))])


@intrinsic
def _clear_sums(typing_context):
    def codegen(context, builder, signature, args):
        for power in range(3):
            amx.clear(builder, _SUMS + power)
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _write_sums(typing_context, array, start):
    def codegen(context, builder, signature, args):
        row = args[1].type(amx.TILE_BYTES)
        for power in range(3):
            place = _place(context, builder, array, *args, power * TILE)
            amx.write(builder, _SUMS + power, place, row)
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@intrinsic
def _add_block(typing_context, a_array, a, b_array, b):
    """sums += a b, for one block of K."""

    def codegen(context, builder, signature, args):
        row = args[1].type(amx.TILE_BYTES)

        def read(register, array_type, array, start, digit):
            place = _place(context, builder, array_type, array, start, digit * TILE)
            amx.read(builder, register, place, row)

        for digit in range(DIGITS):
            read(_OF_A + digit, a_array, *args[:2], digit)
        for digit in range(DIGITS):
            register = _OF_B + digit % 2
            read(register, b_array, *args[2:], digit)
            for other in range(DIGITS - digit):
                amx.multiply_add(builder, _SUMS + digit + other, _OF_A + other, register)
        return context.get_dummy_value()

    return types.void(a_array, types.intp, b_array, types.intp), codegen


@register_jitable(**PART)
def multiply(blocks, a_array, a, b_array, b, sums_array, sums):
    """sums = a b"""
    _clear_sums()
    for block in range(blocks):
        at = HEAD + block * BLOCK
        _add_block(a_array, a + at, b_array, b + at)
    _write_sums(sums_array, sums)


@register_jitable(**PART)
def product(array, sums, row, a, b_array, b):
    """Return the tile of rows ``row``, ... of a product, from the sums of ``multiply``."""
    width = lanes(array)
    at = sums + row * width
    s1 = load(array, at, width, ROWS, 1)
    s2 = load(array, at + TILE, width, ROWS, 1)
    s3 = load(array, at + 2 * TILE, width, ROWS, 1)
    # One after the other: the product of both worths may be too small for a float32.
    a_worth = spread(s1, array, a + width + row)
    return value(s1, s2, s3) * a_worth * load(b_array, b + width, 0, ROWS, 1)
