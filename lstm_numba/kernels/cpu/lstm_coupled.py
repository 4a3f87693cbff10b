"""One step of an LSTM layer with f = 1 - i on a block of ROWS rows and one vector of units."""

from ..cells import lstm_coupled_cell, lstm_coupled_cell_grad
from ..tile import ROWS, lanes, load, store, thirds, zeros
from .peepholes import add_cell_gradient as add_cell_gradient
from .peepholes import peephole
from .products import add_layer_product


def step_forward(cell, layer, t, j, packed, work, keep_tape, h_at, h_row):
    """z[t] = [x[t], 1, h[t]] w;  gates[t], c[t+1], h[t+1] = lstm_coupled_cell(z[t], p, c[t])"""
    width, units = lanes(work), layer.units
    z = add_layer_product(zeros(work, ROWS, 3), 3, layer, t, j, packed, work)
    zi, zg, zo = thirds(z)
    pi, po = peephole(cell, layer, 0, j, packed), peephole(cell, layer, 1, j, packed)

    c_prev_at = layer.c + (t * ROWS * units if keep_tape else 0) + j
    c_at = c_prev_at + (ROWS * units if keep_tape else 0)
    c_prev = load(work, c_prev_at, units, ROWS, 1)
    i, g, o, c, h = lstm_coupled_cell(cell.acts, zi, zg, zo, pi, po, c_prev)

    store(work, c_at, units, c)
    store(work, h_at + j, h_row, h)
    if keep_tape:
        gates = layer.z + (t * units + j) * 3 * ROWS
        store(work, gates, 3 * width, i)
        store(work, gates + width, 3 * width, g)
        store(work, gates + 2 * width, 3 * width, o)


def step_backward(cell, layer, t, j, packed, work, dh_at, dc_at, dy_at):
    """dz[t], dc[t] = lstm_coupled_cell_grad(gates[t], p, c[t : t+2], dh[t+1] + dy[t], dc[t+1])"""
    width, units = lanes(work), layer.units
    gates = layer.z + (t * units + j) * 3 * ROWS
    i = load(work, gates, 3 * width, ROWS, 1)
    g = load(work, gates + width, 3 * width, ROWS, 1)
    o = load(work, gates + 2 * width, 3 * width, ROWS, 1)
    pi, po = peephole(cell, layer, 0, j, packed), peephole(cell, layer, 1, j, packed)
    c_prev = load(work, layer.c + t * ROWS * units + j, units, ROWS, 1)
    c = load(work, layer.c + (t + 1) * ROWS * units + j, units, ROWS, 1)
    dc = load(work, dc_at + j, units, ROWS, 1)
    dh = load(work, dh_at + j, units, ROWS, 1)
    if dy_at >= 0:
        dh = dh + load(work, dy_at + j, units, ROWS, 1)

    dzi, dzg, dzo, dc = lstm_coupled_cell_grad(cell.acts, i, g, o, pi, po, c_prev, c, dh, dc)

    store(work, dh_at + j, units, zeros(work, ROWS, 1))
    store(work, dc_at + j, units, dc)
    store(work, gates, 3 * width, dzi)
    store(work, gates + width, 3 * width, dzg)
    store(work, gates + 2 * width, 3 * width, dzo)


def gates_of(cell, array):
    """See ``recurrent.py``."""
    return zeros(array, ROWS, 3), cell, zeros(array, ROWS, 3)
