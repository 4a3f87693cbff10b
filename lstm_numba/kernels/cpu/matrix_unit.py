"""What training on the matrix unit adds to a plan: when it pays, and where its operands lie.

A *group* of blocks, as many as fill the rows of a register, goes through time together. Each block
has a place of its own in ``work``, ``block`` numbers apart; behind them, for all of the group:

sums      (16 rows, gates, lanes)    products of a step with all gates of one vector of units
a_h       what comes from below, then h: an operand as ``six_products.py`` describes it
a_dz      dz of a step
a_inputs  (units / 16, ...)    for the weight gradients: what comes from below, or h
b_dz      (units / lanes, ...)    and dz; both are summed over rows and pairs of steps

In ``packed``, of each layer:

w_parts       (units / lanes, ...)    the weights of what comes from below, then those of h
w_back_parts  (panels, ...)    their transposes, in the panels of ``w_back``
"""

from typing import Any, NamedTuple

import numpy as np

from ..tile import ROWS
from . import amx
from .cell import BeforeStep
from .six_products import PARTS, TILE, blocks_of

GROUP = amx.TILE_ROWS // ROWS  # blocks
GROUP_ROWS = amx.TILE_ROWS
FEWEST_UNITS = 96

# Numbers of dz that a pass over the weight gradients finds in the second-level cache, in parts.
_DZ_NUMBERS = 1 << 16


class NoUnit(NamedTuple):
    """Training on the vector units alone."""

    unused: int = 0


class MatrixUnit(NamedTuple):
    """Training with the matrix unit; see the module's docstring."""

    cell: Any
    layers: np.ndarray  # (GROUP, layers, fields of Layer): where they lie for each block
    block: int  # numbers of ``work`` from one block to the next
    sums: int
    a_h: int
    a_dz: int
    a_inputs: int
    b_dz: int
    steps_at_once: int


def trains_on_unit(network, lanes, batch_size):
    """Return whether batches of a network are trained on the matrix unit.

    With fewer units the time goes into activations, which gain nothing, and into the parts; at 64
    units a step would be 1.05 times as fast, less than the compilation of more kernels is worth.
    """
    return (
        lanes == amx.TILE_ROWS
        and network.cell == "lstm"
        and not network.stateful
        and network.hidden_size >= FEWEST_UNITS
        and batch_size >= amx.TILE_ROWS
        and amx.available()
    )


def place_parts(cell, places, layer):
    """Lay out the weights of a layer as operands."""
    columns, part = cell.gates * layer.units, PARTS * TILE
    vectors, back = layer.units // places.lanes, blocks_of(columns)
    take = places.packed.take
    inputs = blocks_of(layer.below) + blocks_of(layer.own)
    return layer._replace(
        w_parts=take(vectors * inputs * cell.gates * part),
        w_back_h_parts=take(vectors * back * part),
        w_back_x_parts=take(-(-layer.below // places.lanes) * back * part),
    )


def make_matrix_unit(cell, layers, seq_len, work):
    """Lay out a group in ``work``, behind the first block, and return it."""
    block = work.size
    units = layers[0].units
    vectors = units // amx.TILE_ROWS
    work.take((GROUP - 1) * block)
    step_pair = PARTS * TILE * vectors
    pairs = max(1, min(_DZ_NUMBERS // (cell.gates * step_pair), (seq_len + 1) // 2))
    unit = MatrixUnit(
        cell=cell._replace(products=BeforeStep()),
        layers=None,
        block=block,
        sums=work.take(cell.gates * TILE),
        a_h=work.take(2 * blocks_of(units) * PARTS * TILE),
        a_dz=work.take(blocks_of(cell.gates * units) * PARTS * TILE),
        a_inputs=work.take(pairs * step_pair),
        b_dz=work.take(pairs * step_pair * cell.gates),
        steps_at_once=2 * pairs,
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
