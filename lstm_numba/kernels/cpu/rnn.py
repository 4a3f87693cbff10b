"""One step of a simple recurrent layer on a block of ROWS rows and one vector of units."""

from ..cells import rnn_cell, rnn_cell_grad
from ..tile import ROWS, lanes, load, store, zeros
from .products import add_product


def step_forward(cell, layer, t, j, packed, work, keep_tape, h_at, h_row):
    """h[t+1] = rnn_cell([x[t], 1, h[t]] w)"""
    width = lanes(work)
    below = layer.tape_below + t * ROWS * layer.row_below
    own = layer.tape + t * ROWS * layer.row
    w = layer.w + j * (layer.below + layer.own)
    w_own = w + width * layer.below

    z = zeros(work, ROWS, 1)
    z = add_product(z, work, below, layer.row_below, 1, layer.below, packed, w, width)
    inputs = own + layer.first_own
    z = add_product(z, work, inputs, layer.row, 1, layer.own, packed, w_own, width)
    slot, h = rnn_cell(cell.acts, z)

    store(work, h_at + j, h_row, h)
    if keep_tape:
        store(work, layer.z + (t * layer.units + j) * ROWS, width, slot)


def step_backward(cell, layer, t, j, packed, work, dh_at, dc_at, dy_at):
    """dz[t] = rnn_cell_grad(h[t+1], dh[t+1] + dy[t])"""
    width, units = lanes(work), layer.units
    slot = layer.z + (t * units + j) * ROWS
    dh = load(work, dh_at + j, units, ROWS, 1)
    if dy_at >= 0:
        dh = dh + load(work, dy_at + j, units, ROWS, 1)
    dz = rnn_cell_grad(cell.acts, load(work, slot, width, ROWS, 1), dh)
    store(work, dh_at + j, units, zeros(work, ROWS, 1))
    store(work, slot, width, dz)


def gates_of(cell, array):
    """See ``recurrent.py``."""
    return zeros(array, ROWS, 1), cell, zeros(array, ROWS, 1)
