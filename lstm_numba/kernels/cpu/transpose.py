"""Square tiles, of as many rows as lanes, and their transposes in registers."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ..tile import Tile, lanes_of, read_rows


@intrinsic
def load_square(typing_context, array, start, stride):
    """Tile whose row r is the vector at ``start + r stride``, with as many rows as lanes."""
    tile = Tile(array.dtype, lanes_of(array.dtype), 1)

    def codegen(context, builder, signature, args):
        return read_rows(context, builder, tile, array, *args)

    return tile(array, types.intp, types.intp), codegen


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
