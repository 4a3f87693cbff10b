"""Gradients of recurrent weights that add up in registers while gradients are pulled back.

A block's share of dW, gates x units, is the sum over steps of dz^T h over its eight rows: one
product of tiles on tensor cores, whose outputs stay where they are. A warp has 32 of the gates'
columns and all units, so a thread as many sums as there are units.
"""

import functools
from typing import Any, NamedTuple

from .equations import on_device
from .instructions import loads, multiplies, writes
from .precision import add_products, keeper, parts_of
from .weights import LANES, ROWS, row_at

# Up to here there are registers for them, besides the weights.
MOST_UNITS = {"plain": 0, "ffma": 0, "3xtf32": 32, "tf32": 64}


class Gradient(NamedTuple):
    """Device functions, and the floats that h takes."""

    size: int
    begin: Any  # (states, 0) -> sums of 0
    keep: Any  # (states, start, numbers): put h into a state
    first: Any  # (thread) -> where in dz, and in h, it begins to read
    add: Any  # (states, dz, h, sums) -> sums
    corner: Any  # (thread) -> column of dz and unit of its first sum
    write: Any  # (address, stride, columns, units, sums): put those within bounds into memory


@functools.cache
def gradient_of(kind, units):
    """Return the ``Gradient`` of layers with up to ``units`` units."""
    columns, apart = 4 * units, (row_at(ROWS, 4 * units), row_at(ROWS, units))
    parts = range(parts_of(kind))
    dz_pair, dz_row, dz_half = (row_at(row, columns) for row in (2, 1, 4))
    h_pair, h_row, h_half = (row_at(row, units) for row in (2, 1, 4))
    # Of a tile's first sum: its column of dz, and its unit.
    tiles = [(column, unit) for column in (0, 16) for unit in range(0, units, 8)]

    @loads(units)
    def begin(machine, place):
        return units * [machine.zero]

    @on_device
    def first(thread):
        lane, gate = thread % LANES, thread % 32 // LANES
        column = thread // 32 * 32 + gate
        dz = lane // 2 * dz_pair + lane % 2 * dz_row + column
        return dz, lane // 2 * h_pair + lane % 2 * h_row + gate

    @on_device
    def corner(thread):
        return thread // 32 * 32 + thread % 32 // LANES, thread % LANES * 2

    @multiplies
    def add(machine, dz, h, sums):
        def read(place, size, *offsets):
            return [[machine.load(place, part * size + at) for at in offsets] for part in parts]

        a = {at: read(dz, apart[0], at, at + 8, dz_half + at, dz_half + at + 8) for at in (0, 16)}
        b = {at: read(h, apart[1], at, h_half + at) for at in range(0, units, 8)}
        found = []
        for k, (column, unit) in enumerate(tiles):
            found += add_products(machine, a[column], b[unit], sums[4 * k :][:4])
        return found

    @writes
    def write(machine, address, stride, columns, units, sums):
        for k, number in enumerate(sums):
            column, unit = tiles[k // 4]
            column, unit = column + k % 4 // 2 * 8, unit + k % 2
            machine.write(address, column, unit, stride, columns, units, number)

    keep = keeper(kind, apart[1])
    return Gradient(parts_of(kind) * apart[1], begin, keep, first, add, corner, write)
