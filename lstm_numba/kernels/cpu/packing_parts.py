"""Weights as operands of the matrix unit, made from those that ``packing.py`` has packed."""

from numba.extending import register_jitable

from ..jit import subkernel
from ..tile import lanes
from .six_products import PARTS, TILE, K, blocks_of, pack_b


@register_jitable(forceinline=True)
def _pack_panels(rows, block, columns, packed, source, to, part, parts):
    """Panels of 4, 2 or 1 vectors, as ``_pack_transposed`` in ``packing.py`` makes them.

    ``block`` rows belong to one vector of units.
    """
    width, n = lanes(packed), 0
    while n < columns:
        left = (columns - n) // width
        tiles = 4 if left >= 4 else 2 if left >= 2 else 1
        for k in range(part * block, rows, parts * block):
            at = to + (n // width * blocks_of(rows) + k // K * tiles) * PARTS * TILE
            pack_b(packed, source + n * rows + k * tiles * width, block, tiles, at)
        n += tiles * width


@subkernel
def pack_parts(cell, layer, packed, part, parts):
    """Pack the weights of a layer for the matrix unit, from what the same part has packed."""
    width, gates = lanes(packed), cell.gates
    below, rows, block = blocks_of(layer.below), gates * layer.units, gates * width
    inputs = layer.below + layer.x + layer.own
    for j in range(part, layer.units // width, parts):
        w = layer.w + j * inputs * gates * width
        to = layer.w_parts + j * (below + blocks_of(layer.own)) * gates * PARTS * TILE
        pack_b(packed, w, layer.below, gates, to)
        w, to = w + (inputs - layer.own) * gates * width, to + below * gates * PARTS * TILE
        pack_b(packed, w, layer.own, gates, to)
    w, to = layer.w_back_h, layer.w_back_h_parts
    _pack_panels(rows, block, layer.units, packed, w, to, part, parts)
    w, to = layer.w_back_x, layer.w_back_x_parts
    _pack_panels(rows, block, -(-layer.below // width) * width, packed, w, to, part, parts)
