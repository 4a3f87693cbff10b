"""A GRU layer through all of time; see ``lstm.py``."""

from numba import cuda

from .equations import STANDARD, gru_cell, gru_cell_grad
from .rows import model_of_block, row_of_thread, times_columns, times_row


@cuda.jit
def gru_forward(models, gates, params, start, h, c):
    """Run the layer of each model, oldest step first.

        z[t] = [x[t], 1] w_x        u[t] = [1, h[t]] w
        gates[t], h[t+1] = gru_cell(zr + ur, zz + uz, zn, un, h[t])

    Parameters
    ----------
    gates : (models, seq_len, batch, 4 hidden)  in: zr, zz, zn; out: activations r, z, n, and un
    models, params, start, h                    as in ``lstm_forward``, w (1 + hidden, 3 hidden)
    c                                           not used: a GRU has no cell state
    """
    model = model_of_block(models)
    gates, w, h = gates[model], params[model], h[model]
    seq_len, batch, slots = gates.shape
    hidden = slots // 4
    columns = 3 * hidden
    n = row_of_thread()
    for t in range(seq_len):
        for j in range(cuda.threadIdx.x, hidden if n < batch else 0, cuda.blockDim.x):
            a, h_prev = gates[t, n], h[t, n]
            r, z, m, u = j, hidden + j, 2 * hidden + j, 3 * hidden + j
            zr = a[r] + times_columns(h_prev, w, start + r, columns)
            zz = a[z] + times_columns(h_prev, w, start + z, columns)
            un = times_columns(h_prev, w, start + m, columns)
            a[r], a[z], a[m], h[t + 1, n, 1 + j] = gru_cell(
                STANDARD, zr, zz, a[m], un, h_prev[1 + j]
            )
            a[u] = un
        cuda.syncthreads()


@cuda.jit
def gru_backward(models, gates, params, start, h, c, carry, dy):
    """Pull gradients back through the layer of each model, newest step first.

    Parameters
    ----------
    gates : (models, seq_len, batch, 4 hidden)  in: r, z, n, un; out: dzr, dzz, dzn, dun
    models, params, start, h, dy                as in ``lstm_backward``
    carry : (models, batch, hidden)             scratch: what reaches h past the products
    c                                           not used
    """
    model = model_of_block(models)
    gates, w, h = gates[model], params[model], h[model]
    carry, dy = carry[model], dy[model]
    seq_len, batch, slots = gates.shape
    hidden = slots // 4
    columns = 3 * hidden
    n = row_of_thread()
    zero = gates.dtype.type(0)
    for t in range(seq_len - 1, -1, -1):
        outputs = t - (seq_len - dy.shape[0])
        for j in range(cuda.threadIdx.x, hidden if n < batch else 0, cuda.blockDim.x):
            a = gates[t, n]
            r, z, m, u = j, hidden + j, 2 * hidden + j, 3 * hidden + j
            dh_next = zero
            if t < seq_len - 1:
                # Columns of w are r, z, n; the gradient of the last belongs to un.
                later, row = gates[t + 1, n], start + (1 + j) * columns
                dh_next = carry[n, j] + times_row(later, w, row, 0, 2 * hidden)
                dh_next += times_row(later[hidden:], w, row, 2 * hidden, 3 * hidden)
            if outputs >= 0:
                dh_next += dy[outputs, n, j]
            a[r], a[z], a[m], a[u], carry[n, j] = gru_cell_grad(
                STANDARD, a[r], a[z], a[m], a[u], h[t, n, 1 + j], dh_next
            )
        cuda.syncthreads()
