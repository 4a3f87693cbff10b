"""One step of an LSTM layer on a block of ROWS rows and one vector of units."""

from ..cells import lstm_cell, lstm_cell_grad
from ..tile import ROWS, lanes, load, quarters, store, zeros
from .products import gate_sums


def step_forward(cell, layer, t, j, packed, work, keep_tape, h_at, h_row):
    """z[t] = [x[t], 1, h[t]] w;  gates[t], c[t+1], h[t+1] = lstm_cell(z[t], c[t])"""
    width, units = lanes(work), layer.units
    z = gate_sums(cell.products, zeros(work, ROWS, 4), 4, layer, t, j, packed, work)
    zi, zf, zg, zo = quarters(z)

    c_prev_at = layer.c + (t * ROWS * units if keep_tape else 0) + j
    c_at = c_prev_at + (ROWS * units if keep_tape else 0)
    i, f, g, o, c, h = lstm_cell(cell.acts, zi, zf, zg, zo, load(work, c_prev_at, units, ROWS, 1))

    store(work, c_at, units, c)
    store(work, h_at + j, h_row, h)
    if keep_tape:
        gates = layer.z + (t * units + j) * 4 * ROWS
        store(work, gates, 4 * width, i)
        store(work, gates + width, 4 * width, f)
        store(work, gates + 2 * width, 4 * width, g)
        store(work, gates + 3 * width, 4 * width, o)


def step_backward(cell, layer, t, j, packed, work, dh_at, dc_at, dy_at):
    """dz[t], dc[t] = lstm_cell_grad(gates[t], c[t], c[t+1], dh[t+1] + dy[t], dc[t+1])"""
    width, units = lanes(work), layer.units
    gates = layer.z + (t * units + j) * 4 * ROWS
    i = load(work, gates, 4 * width, ROWS, 1)
    f = load(work, gates + width, 4 * width, ROWS, 1)
    g = load(work, gates + 2 * width, 4 * width, ROWS, 1)
    o = load(work, gates + 3 * width, 4 * width, ROWS, 1)
    c_prev = load(work, layer.c + t * ROWS * units + j, units, ROWS, 1)
    c = load(work, layer.c + (t + 1) * ROWS * units + j, units, ROWS, 1)
    dc = load(work, dc_at + j, units, ROWS, 1)
    dh = load(work, dh_at + j, units, ROWS, 1)
    if dy_at >= 0:
        dh = dh + load(work, dy_at + j, units, ROWS, 1)

    dzi, dzf, dzg, dzo, dc = lstm_cell_grad(cell.acts, i, f, g, o, c_prev, c, dh, dc)

    store(work, dh_at + j, units, zeros(work, ROWS, 1))
    store(work, dc_at + j, units, dc)
    store(work, gates, 4 * width, dzi)
    store(work, gates + width, 4 * width, dzf)
    store(work, gates + 2 * width, 4 * width, dzg)
    store(work, gates + 3 * width, 4 * width, dzo)


def gates_of(cell, array):
    """See ``recurrent.py``."""
    return zeros(array, ROWS, 4), cell, zeros(array, ROWS, 4)
