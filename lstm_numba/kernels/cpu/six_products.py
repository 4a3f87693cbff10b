"""float32 products on the matrix unit: six products of bfloat16 parts.

With x = x1 + x2 + x3 and w = w1 + w2 + w3 (see ``bfloat16.py``; part k is 2^-8k of the whole)

    x w  =  x3 w1 + x2 w2 + x1 w3  +  x2 w1 + x1 w2  +  x1 w1

up to terms of 2^-24 of it, the precision of float32; the sums are float32 anyway. Henry, Tang &
Heinecke (2019), "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision
Computations". The unit is sixteen times as fast as the vector units, so six products are still
faster than one.

Operands of a product of m rows with n columns lie in memory as the registers read them, each a
*tile* of 256 float32 numbers, in blocks of K = 32 of what is summed over::

    a    (blocks, parts, 16 rows, 32)                bfloat16
    b    (blocks, parts, n tiles, 16, 16 columns, 2)  bfloat16; the last two: k and k + 1

The sum may be taken in any order as long as both operands keep to it: see ``group.py``.
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, register_jitable

from ..tile import lanes, load, store
from . import amx
from .bfloat16 import pair, store_narrow, three_parts

K = 32  # numbers that one block sums over
PARTS = 3
COLUMNS = 16  # of a tile of sums
TILE = amx.TILE_ROWS * COLUMNS  # float32 numbers that a tile takes


@register_jitable(forceinline=True)
def blocks_of(n):
    """Return how many blocks of K hold ``n`` numbers."""
    return -(-n // K)


@register_jitable(forceinline=True)
def write_a(array, a, row, k, x):
    """Write a tile of floats, one vector wide: of rows ``row``, ... numbers ``k``, ... to sum over.

    A vector is half a block of K.
    """
    at = a + k // K * PARTS * TILE + row * (K // 2) + k % K // 2
    x1, x2, x3 = three_parts(x)
    store_narrow(array, at, K // 2, x1)
    store_narrow(array, at + TILE, K // 2, x2)
    store_narrow(array, at + 2 * TILE, K // 2, x3)


@register_jitable(forceinline=True)
def write_pairs(array, at, part, even, odd):
    """Write two tiles of floats as pairs; those of the next part stand ``part`` further on."""
    even1, even2, even3 = three_parts(even)
    odd1, odd2, odd3 = three_parts(odd)
    width = lanes(array)
    store(array, at, width, pair(even1, odd1))
    store(array, at + part, width, pair(even2, odd2))
    store(array, at + 2 * part, width, pair(even3, odd3))


@register_jitable(forceinline=True)
def pack_b(packed, source, count, tiles, b):
    """Write ``count`` rows of ``tiles`` vectors each; what the last block lacks is left as it is.

    An odd row has the one behind it for a partner: a must be zero there.
    """
    width = lanes(packed)
    step = tiles * width
    for k in range(0, count, 2):
        at = b + k // K * PARTS * tiles * TILE + k % K // 2 * width
        for tile in range(tiles):
            even = load(packed, source + k * step + tile * width, 0, 1, 1)
            odd = load(packed, source + (k + 1) * step + tile * width, 0, 1, 1)
            write_pairs(packed, at + tile * TILE, tiles * TILE, even, odd)


def _place(context, builder, array_type, array, start, offset=0):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [builder.add(start, start.type(offset))])


@intrinsic
def clear_sums(typing_context, like):
    """Set the sums to zero: of as many tiles, 16 rows x 16 columns, as ``like`` has vectors."""

    def codegen(context, builder, signature, args):
        for c in range(like.vectors):
            amx.clear(builder, c)
        return context.get_dummy_value()

    return types.void(like), codegen


def _transfer(emit):
    @intrinsic
    def move(typing_context, like, array, start, distance):
        def codegen(context, builder, signature, args):
            n_bytes = builder.mul(args[3], args[3].type(4))
            for c in range(like.vectors):
                place = _place(context, builder, array, *args[1:3], c * COLUMNS)
                emit(builder, c, place, n_bytes)
            return context.get_dummy_value()

        return types.void(like, array, types.intp, types.intp), codegen

    return move


read_sums = _transfer(amx.read)
read_sums.__doc__ = "Read the sums, row r from ``start + r distance`` on."
write_sums = _transfer(amx.write)
write_sums.__doc__ = "Write the sums, row r from ``start + r distance`` on."


@intrinsic
def _add_block(typing_context, like, a_array, a, b_array, b):
    """sums += a b, for one block of K.

    Registers: sums 0 to 3, the parts of a 4 to 6, a part of b 7. Each part of b is used for all its
    products at once: b comes from the second-level cache.
    """
    of_a, of_b = 4, 4 + PARTS

    def codegen(context, builder, signature, args):
        row = args[2].type(amx.TILE_BYTES)

        def read(register, array_type, array, start, tile):
            place = _place(context, builder, array_type, array, start, tile * TILE)
            amx.read(builder, register, place, row)

        for part in range(PARTS):
            read(of_a + part, a_array, *args[1:3], part)
        for part in range(PARTS):
            for c in range(like.vectors):
                read(of_b, b_array, *args[3:5], part * like.vectors + c)
                for other in range(PARTS - part):
                    amx.multiply_add(builder, c, of_a + other, of_b)
        return context.get_dummy_value()

    return types.void(like, a_array, types.intp, b_array, types.intp), codegen


@intrinsic
def _vectors(typing_context, like):
    return types.intp(like), lambda context, builder, signature, args: ir.IntType(64)(like.vectors)


@register_jitable(forceinline=True)
def add_blocks(like, blocks, a_array, a, b_array, b):
    """sums += a b, for consecutive blocks of K; ``like`` has at most four vectors."""
    for block in range(blocks):
        at = b + block * PARTS * _vectors(like) * TILE
        _add_block(like, a_array, a + block * PARTS * TILE, b_array, at)
