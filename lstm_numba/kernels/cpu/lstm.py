"""The LSTM layer on a block of ROWS rows: through all of time, forward and backward.

The symbols are those of ``kernels/__init__.py``, the places of the arrays those of ``plan.py``.
"""

from numba.extending import register_jitable

from ..cells import lstm_cell, lstm_cell_grad
from ..jit import subkernel
from ..tile import ROWS, lanes, load, quarters, store, zeros
from .products import add_product, add_weight_gradient, dz_times_weights


@subkernel
def lstm_forward(layer, seq_len, packed, work, keep_tape):
    """Run one layer over a block, oldest step first.

        z[t] = [x[t], 1, h[t]] w
        gates[t], c[t+1], h[t+1] = lstm_cell(z[t], c[t])

    ``work`` holds x and slot 0 of h and c; the rest is written. Without ``keep_tape`` only h is
    kept for all steps.
    """
    width = lanes(work)
    rows = 4 * layer.units  # stride of z in a tape without blocks: 4 gates of all units
    for t in range(seq_len):
        below = layer.tape_below + t * ROWS * layer.row_below
        own = layer.tape + t * ROWS * layer.row + layer.first
        h_new = layer.tape + (t + 1) * ROWS * layer.row + layer.h
        c_old = layer.c + (t * ROWS * layer.units if keep_tape else 0)
        c_new = c_old + (ROWS * layer.units if keep_tape else 0)

        for j in range(0, layer.units, width):
            w = layer.w + 4 * j * (layer.below + layer.own)
            w_own = w + 4 * width * layer.below
            z = zeros(work, ROWS, 4)
            z = add_product(z, work, below, layer.row_below, 1, layer.below, packed, w, 4 * width)
            z = add_product(z, work, own, layer.row, 1, layer.own, packed, w_own, 4 * width)
            zi, zf, zg, zo = quarters(z)

            c_prev = load(work, c_old + j, layer.units, ROWS, 1)
            i, f, g, o, c, h = lstm_cell(zi, zf, zg, zo, c_prev)

            store(work, c_new + j, layer.units, c)
            store(work, h_new + j, layer.row, h)
            if keep_tape:
                gates = layer.z + (t * rows + 4 * j) * ROWS
                store(work, gates, 4 * width, i)
                store(work, gates + width, 4 * width, f)
                store(work, gates + 2 * width, 4 * width, g)
                store(work, gates + 3 * width, 4 * width, o)


@register_jitable(forceinline=True)
def _cell_backward(layer, t, work, dh_at, dc_at, dy_at):
    """Turn the gates of step t into dz, and dc of step t into that of the step before."""
    width = lanes(work)
    c_prev_at = layer.c + t * ROWS * layer.units
    c_at = c_prev_at + ROWS * layer.units
    for j in range(0, layer.units, width):
        gates = layer.z + (t * layer.units + j) * 4 * ROWS
        i = load(work, gates, 4 * width, ROWS, 1)
        f = load(work, gates + width, 4 * width, ROWS, 1)
        g = load(work, gates + 2 * width, 4 * width, ROWS, 1)
        o = load(work, gates + 3 * width, 4 * width, ROWS, 1)
        c_prev = load(work, c_prev_at + j, layer.units, ROWS, 1)
        c = load(work, c_at + j, layer.units, ROWS, 1)
        dc = load(work, dc_at + j, layer.units, ROWS, 1)
        dh = load(work, dh_at + j, layer.units, ROWS, 1)
        if dy_at >= 0:
            dh = dh + load(work, dy_at + j, layer.units, ROWS, 1)

        dzi, dzf, dzg, dzo, dc = lstm_cell_grad(i, f, g, o, c_prev, c, dh, dc)

        store(work, dc_at + j, layer.units, dc)
        store(work, gates, 4 * width, dzi)
        store(work, gates + width, 4 * width, dzf)
        store(work, gates + 2 * width, 4 * width, dzg)
        store(work, gates + 3 * width, 4 * width, dzo)


@subkernel
def lstm_backward(layer, seq_len, chunk, packed, work, partial, dh, dc, dy, dy_given):
    """Pull gradients back through one layer over a block, newest step first.

        dz[t], dc[t] = lstm_cell_grad(gates[t], c[t], c[t+1], dh[t+1] + dy[t], dc[t+1])
        dh[t] = dz[t] w_h^T       dx[t] = dz[t] w_x^T
        dw += sum over t of [x[t], 1, h[t]]^T dz[t]

    Parameters
    ----------
    chunk : int
        Steps after which the weight gradients are taken, from dz that is still in cache.
    dh, dc : int
        Places in ``work`` of (ROWS, units): in, the gradients of the final state; out, dc of the
        initial state.
    dy : int
        Place of (seq_len, ROWS, units): in, the gradient of each step's output, if ``dy_given``;
        out, dx for the layer below, if there is one.
    """
    for last in range(seq_len, 0, -chunk):
        first = max(0, last - chunk)
        for t in range(last - 1, first - 1, -1):
            dy_at = dy + t * ROWS * layer.units
            _cell_backward(layer, t, work, dh, dc, dy_at if dy_given else -1)
            z = layer.z + t * ROWS * 4 * layer.units
            if t > 0:
                dz_times_weights(work, z, layer.units, packed, layer.w_back_h, layer.units, dh)
            if layer.below > 0:
                dz_times_weights(work, z, layer.units, packed, layer.w_back_x, layer.units, dy_at)
        add_weight_gradient(
            work,
            layer.tape_below,
            layer.row_below,
            layer.below,
            layer.z,
            layer.units,
            first,
            last,
            partial,
            layer.partial_below,
        )
        add_weight_gradient(
            work,
            layer.tape + layer.first,
            layer.row,
            layer.own,
            layer.z,
            layer.units,
            first,
            last,
            partial,
            layer.partial_own,
        )
