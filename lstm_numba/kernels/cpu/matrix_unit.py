"""What the matrix unit adds to a plan: when it is used, and where its operands lie.

A *group* of blocks, as many as fill the rows of a register, goes through time together. Each block
has a place of its own in ``work``, ``block`` numbers apart; behind them, for all of the group,
operands and sums of products as ``six_products.py`` describes them:

sizes     (16 rows, lanes)           the largest sizes so far, for scales
products  (gates, ...)               sums of the products of a step, of one vector of units
sums      (16 rows, gates, lanes)    the same as floats
a_h       what comes from below, then h
a_dz      dz of a step; four gates of a unit are summed over side by side
dz_sizes  (gates units,)             the largest sizes of dz in some steps, for the scales of b_dz
a_inputs  (columns / lanes, ...)         for the weight gradients: what comes from below, x or h
b_dz      (units / lanes, gates, ...)    and dz; both are summed over rows, and STEPS steps a block

In ``packed``, of each layer:

w_sizes    (K blocks,)                    see ``packing_digits.py``; and one over them
w_digits   (units / lanes, gates, ...)    the weights of what comes from below, then those of h
w_back_h_digits, w_back_x_digits          (columns / lanes, ...)    their transposes
"""

from typing import Any, NamedTuple

import numpy as np

from ..tile import ROWS
from . import amx
from .six_products import SUMS, TILE, K, blocks_of, operand_size

GROUP = amx.TILE_ROWS // ROWS  # blocks
GROUP_ROWS = amx.TILE_ROWS
STEPS = K // GROUP_ROWS

# With fewer units the time goes into activations, which gain nothing, and into the digits. With
# more, sums of 4 hidden_size products of digits, three at a time, may not fit 32 bits.
FEWEST_UNITS, MOST_UNITS = 48, 8192

# Blocks of steps after which the weight gradients are taken: enough to pay for reading and writing
# the sums so far, few enough for dz to be in the second-level cache still.
_STEP_BLOCKS = 5


class NoUnit(NamedTuple):
    """The vector units alone."""

    unused: int = 0


class MatrixUnit(NamedTuple):
    """The matrix unit; see the module's docstring."""

    cell: Any
    layers: np.ndarray  # (GROUP, layers, fields of Layer): where they lie for each block
    block: int  # numbers of ``work`` from one block to the next
    sizes: int
    products: int
    sums: int
    a_h: int
    a_dz: int
    dz_sizes: int
    a_inputs: int
    b_dz: int
    steps_at_once: int


def runs_on_unit(network, lanes):
    """Return whether a network runs on the matrix unit."""
    return (
        lanes == amx.TILE_ROWS
        and network.cell == "lstm"
        and not network.stateful
        and FEWEST_UNITS <= network.hidden_size <= MOST_UNITS
        and amx.available()
    )


def place_digits(cell, places, layer):
    """Lay out the weights of a layer: those of x and its bias for the vector units, others not."""
    vectors, take = layer.units // places.lanes, places.packed.take
    inputs, back = blocks_of(layer.below) + blocks_of(layer.own), operand_size(vectors)
    return layer._replace(
        w=take(layer.x * cell.gates * layer.units),
        w_sizes=take(2 * K * inputs),
        w_digits=take(vectors * cell.gates * operand_size(inputs)),
        w_back_h_digits=take(vectors * back),
        w_back_x_digits=take(-(-layer.below // places.lanes) * back),
    )


def make_matrix_unit(cell, layers, seq_len, work):
    """Lay out a group in ``work``, behind the first block, and return it."""
    block = work.size
    units = layers[0].units
    vectors = units // amx.TILE_ROWS
    work.take((GROUP - 1) * block)
    step_blocks = min(_STEP_BLOCKS, -(-seq_len // STEPS))
    columns = max(max(layer.units, layer.x) for layer in layers)
    unit = MatrixUnit(
        cell=cell,
        layers=None,
        block=block,
        sizes=work.take(TILE),
        products=work.take(cell.gates * SUMS),
        sums=work.take(cell.gates * TILE),
        a_h=work.take(operand_size(2 * blocks_of(units))),
        a_dz=work.take(operand_size(vectors)),
        dz_sizes=work.take(cell.gates * units),
        a_inputs=work.take(-(-columns // amx.TILE_ROWS) * operand_size(step_blocks)),
        b_dz=work.take(cell.gates * vectors * operand_size(step_blocks)),
        steps_at_once=STEPS * step_blocks,
    )
    tables = [[_shifted(unit, layer, b) for layer in layers] for b in range(GROUP)]
    return unit._replace(layers=np.array(tables, dtype=np.int64))


def _shifted(unit, layer, b):
    """Return a layer as it lies for block ``b``."""
    by = b * unit.block
    return layer._replace(
        tape=layer.tape + by,
        tape_below=layer.tape_below + by,
        c=layer.c + by,
        z=layer.z + by,
        sums=unit.sums + b * ROWS * unit.cell.gates * (TILE // amx.TILE_ROWS),
    )
