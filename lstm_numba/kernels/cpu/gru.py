"""One step of a GRU layer on a block of ROWS rows and one vector of units."""

from ..cells import gru_cell, gru_cell_grad
from ..tile import ROWS, lanes, load, side_by_side, store, thirds, zeros
from .products import add_product


def step_forward(cell, layer, t, j, packed, work, keep_tape, h_at, h_row):
    """zn, zr, zz = [x[t], 1] w_x;  zr, zz, un += [1, h[t]] w_h;  h[t+1] = gru_cell(...)"""
    width, units = lanes(work), layer.units
    below = layer.tape_below + t * ROWS * layer.row_below
    own = layer.tape + t * ROWS * layer.row
    w = layer.w + 3 * j * (layer.below + layer.x + layer.own)
    w_x = w + 3 * width * layer.below
    w_h = w_x + 3 * width * layer.x

    z = zeros(work, ROWS, 3)
    z = add_product(z, work, below, layer.row_below, 1, layer.below, packed, w, 3 * width)
    z = add_product(z, work, own + layer.first_x, layer.row, 1, layer.x, packed, w_x, 3 * width)
    zn, zr, zz = thirds(z)
    z = side_by_side(zr, zz, zeros(work, ROWS, 1))
    h = own + layer.first_own
    z = add_product(z, work, h, layer.row, 1, layer.own, packed, w_h, 3 * width)
    zr, zz, un = thirds(z)

    h_prev = load(work, own + layer.h + j, layer.row, ROWS, 1)
    r, z, n, h = gru_cell(cell.acts, zr, zz, zn, un, h_prev)

    store(work, h_at + j, h_row, h)
    if keep_tape:
        slots = layer.z + (t * units + j) * 4 * ROWS
        store(work, slots, 4 * width, n)
        store(work, slots + width, 4 * width, r)
        store(work, slots + 2 * width, 4 * width, z)
        store(work, slots + 3 * width, 4 * width, un)


def step_backward(cell, layer, t, j, packed, work, dh_at, dc_at, dy_at):
    """dz[t], dh[t] = gru_cell_grad(gates[t], h[t], dh[t+1] + dy[t])"""
    width, units = lanes(work), layer.units
    slots = layer.z + (t * units + j) * 4 * ROWS
    n = load(work, slots, 4 * width, ROWS, 1)
    r = load(work, slots + width, 4 * width, ROWS, 1)
    z = load(work, slots + 2 * width, 4 * width, ROWS, 1)
    un = load(work, slots + 3 * width, 4 * width, ROWS, 1)
    h_prev = load(work, layer.tape + t * ROWS * layer.row + layer.h + j, layer.row, ROWS, 1)
    dh = load(work, dh_at + j, units, ROWS, 1)
    if dy_at >= 0:
        dh = dh + load(work, dy_at + j, units, ROWS, 1)

    dzr, dzz, dzn, dun, dh = gru_cell_grad(cell.acts, r, z, n, un, h_prev, dh)

    store(work, dh_at + j, units, dh)
    store(work, slots, 4 * width, dzn)
    store(work, slots + width, 4 * width, dzr)
    store(work, slots + 2 * width, 4 * width, dzz)
    store(work, slots + 3 * width, 4 * width, dun)


def gates_of(cell, array):
    """See ``recurrent.py``."""
    return zeros(array, ROWS, 3), cell, zeros(array, ROWS, 3)
