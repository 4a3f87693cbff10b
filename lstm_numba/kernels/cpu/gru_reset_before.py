"""One step of a GRU whose reset gate comes before the product of the candidate with h.

A step takes two passes over the units: the first leaves r, z and r·h, the second multiplies r·h
with the weights of the candidate. So does the way back, in the reverse order.
"""

from ..cells import (
    gru_reset,
    gru_reset_before_cell,
    gru_reset_before_cell_grad,
    gru_reset_grad,
)
from ..tile import ROWS, halves, lanes, load, store, thirds, zeros
from .cell import Gates
from .products import add_dz_product, add_product, add_weight_gradient

RESET_UPDATE = Gates(2, 3, 0, 3)
CANDIDATE = Gates(1, 3, 2, 3)


def step_forward(cell, layer, t, j, packed, work, keep_tape, h_at, h_row):
    """zr, zz, zn = [x[t], 1] w_x;  zr, zz += h[t] w_h;  r = gru_reset(zr, h[t])"""
    width, units, slot = lanes(work), layer.units, t if keep_tape else 0
    below = layer.tape_below + t * ROWS * layer.row_below
    own = layer.tape + t * ROWS * layer.row
    w = layer.w + 3 * j * (layer.below + layer.x)
    w_x = w + 3 * width * layer.below
    w_h = cell.w_rz + 2 * j * layer.own

    z = zeros(work, ROWS, 3)
    z = add_product(z, work, below, layer.row_below, 1, layer.below, packed, w, 3 * width)
    z = add_product(z, work, own + layer.first_x, layer.row, 1, layer.x, packed, w_x, 3 * width)
    zr, zz, zn = thirds(z)
    u = zeros(work, ROWS, 2)
    u = add_product(u, work, own + layer.h, layer.row, 1, layer.own, packed, w_h, 2 * width)
    ur, uz = halves(u)

    h_prev = load(work, own + layer.h + j, layer.row, ROWS, 1)
    r, rh = gru_reset(cell.acts, zr + ur, h_prev)

    store(work, cell.rh + slot * ROWS * units + j, units, rh)
    slots = layer.z + (slot * units + j) * 3 * ROWS
    store(work, slots, 3 * width, r)
    store(work, slots + width, 3 * width, zz + uz)
    store(work, slots + 2 * width, 3 * width, zn)


def after_all_units(cell, layer, t, packed, work, keep_tape, h_at, h_row):
    """zn += (r·h[t]) w_n;  h[t+1] = gru_reset_before_cell(zz, zn, h[t])"""
    width, units, slot = lanes(work), layer.units, t if keep_tape else 0
    h = layer.tape + t * ROWS * layer.row + layer.h
    rh = cell.rh + slot * ROWS * units
    for j in range(0, units, width):
        slots = layer.z + (slot * units + j) * 3 * ROWS
        zz = load(work, slots + width, 3 * width, ROWS, 1)
        zn = load(work, slots + 2 * width, 3 * width, ROWS, 1)
        w = cell.w_n + j * layer.own
        zn = add_product(zn, work, rh, units, 1, layer.own, packed, w, width)
        h_prev = load(work, h + j, layer.row, ROWS, 1)
        z, n, h_next = gru_reset_before_cell(cell.acts, zz, zn, h_prev)
        store(work, h_at + j, h_row, h_next)
        store(work, slots + width, 3 * width, z)
        store(work, slots + 2 * width, 3 * width, n)


def step_backward(cell, layer, t, j, packed, work, dh_at, dc_at, dy_at):
    """dzz[t], dzn[t], dh[t] = gru_reset_before_cell_grad(z, n, h[t], dh[t+1] + dy[t])"""
    width, units = lanes(work), layer.units
    slots = layer.z + (t * units + j) * 3 * ROWS
    z = load(work, slots + width, 3 * width, ROWS, 1)
    n = load(work, slots + 2 * width, 3 * width, ROWS, 1)
    h_prev = load(work, layer.tape + t * ROWS * layer.row + layer.h + j, layer.row, ROWS, 1)
    dh = load(work, dh_at + j, units, ROWS, 1)
    if dy_at >= 0:
        dh = dh + load(work, dy_at + j, units, ROWS, 1)

    dzz, dzn, dh = gru_reset_before_cell_grad(cell.acts, z, n, h_prev, dh)

    store(work, dh_at + j, units, dh)
    store(work, slots + width, 3 * width, dzz)
    store(work, slots + 2 * width, 3 * width, dzn)


def after_all_units_backward(cell, layer, t, packed, work, dh):
    """drh = dzn w_n^T;  dzr, dh += gru_reset_grad(r, h[t], drh)"""
    width, units = lanes(work), layer.units
    slots = layer.z + t * ROWS * 3 * units
    h = layer.tape + t * ROWS * layer.row + layer.h
    work[cell.drh : cell.drh + ROWS * units] = 0
    dzn = slots + 2 * width
    add_dz_product(CANDIDATE, units, work, dzn, packed, cell.w_back_n, units, cell.drh)
    for j in range(0, units, width):
        r = load(work, slots + 3 * ROWS * j, 3 * width, ROWS, 1)
        h_prev = load(work, h + j, layer.row, ROWS, 1)
        drh = load(work, cell.drh + j, units, ROWS, 1)
        dzr, dh_prev = gru_reset_grad(cell.acts, r, h_prev, drh)
        store(work, slots + 3 * ROWS * j, 3 * width, dzr)
        store(work, dh + j, units, load(work, dh + j, units, ROWS, 1) + dh_prev)


def add_cell_gradient(cell, layer, start, stop, work, partial):
    """dw_n += (r·h[t])^T dzn[t]"""
    add_weight_gradient(
        zeros(work, ROWS, 1), CANDIDATE, layer.units, work, cell.rh, layer.units, layer.own,
        layer.z + 2 * lanes(work), start, stop, partial, cell.partial_n
    )  # fmt: skip


def clear_row(cell, layer, t, r, work):
    """See ``recurrent.py``."""
    rh = cell.rh + (t * ROWS + r) * layer.units
    work[rh : rh + layer.units] = 0


def gates_of(cell, array):
    """See ``recurrent.py``."""
    return zeros(array, ROWS, 3), RESET_UPDATE, zeros(array, ROWS, 2)
