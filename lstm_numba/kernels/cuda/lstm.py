"""An LSTM layer through all of time: a block of threads takes some rows, and never meets another.

Threads of a row share its units; between two steps they meet at a barrier.
"""

from numba import cuda

from .equations import STANDARD, lstm_cell, lstm_cell_grad
from .rows import model_of_block, row_of_thread, times_columns, times_row


@cuda.jit
def lstm_forward(models, gates, params, start, h, c):
    """Run the layer of each model, oldest step first.

        z[t] = x[t] w_x + [1, h[t]] w           gates[t], c[t+1], h[t+1] = lstm_cell(z[t], c[t])

    Parameters
    ----------
    models : (models,) int64                    in: those that take part first
    gates : (models, seq_len, batch, 4 hidden)  in: x w_x; out: activations
    params : (models, n_params)                 in: from ``start`` on w (1 + hidden, 4 hidden), bias
                                                and recurrent weights
    h : (models, seq_len + 1, batch, 1 + hidden + 1)
                                                in: ones around h, slot 0; out: h of later slots
    c : (models, seq_len + 1, batch, hidden)    in: slot 0; out: later slots
    """
    model = model_of_block(models)
    gates, w, h, c = gates[model], params[model], h[model], c[model]
    seq_len, batch, columns = gates.shape
    hidden = columns // 4
    n = row_of_thread()
    for t in range(seq_len):
        for j in range(cuda.threadIdx.x, hidden if n < batch else 0, cuda.blockDim.x):
            z, h_prev = gates[t, n], h[t, n]
            i, f, g, o = j, hidden + j, 2 * hidden + j, 3 * hidden + j
            zi = z[i] + times_columns(h_prev, w, start + i, columns)
            zf = z[f] + times_columns(h_prev, w, start + f, columns)
            zg = z[g] + times_columns(h_prev, w, start + g, columns)
            zo = z[o] + times_columns(h_prev, w, start + o, columns)
            z[i], z[f], z[g], z[o], c[t + 1, n, j], h[t + 1, n, 1 + j] = lstm_cell(
                STANDARD, zi, zf, zg, zo, c[t, n, j]
            )
        cuda.syncthreads()


@cuda.jit
def lstm_backward(models, gates, params, start, h, c, carry, dy):
    """Pull gradients back through the layer of each model, newest step first.

    Parameters
    ----------
    gates : (models, seq_len, batch, 4 hidden)  in: activations; out: dz
    models, params, start, h, c                 in: as in ``lstm_forward``
    carry : (models, batch, hidden)             scratch: gradients of c
    dy : (models, steps, batch, hidden)         in: gradients of h after each of the last steps
    """
    model = model_of_block(models)
    gates, w, c = gates[model], params[model], c[model]
    carry, dy = carry[model], dy[model]
    seq_len, batch, columns = gates.shape
    hidden = columns // 4
    n = row_of_thread()
    zero = gates.dtype.type(0)
    for t in range(seq_len - 1, -1, -1):
        outputs = t - (seq_len - dy.shape[0])
        for j in range(cuda.threadIdx.x, hidden if n < batch else 0, cuda.blockDim.x):
            z = gates[t, n]
            i, f, g, o = j, hidden + j, 2 * hidden + j, 3 * hidden + j
            dh_next, dc_next = zero, zero
            if t < seq_len - 1:
                dh_next = times_row(gates[t + 1, n], w, start + (1 + j) * columns, 0, columns)
                dc_next = carry[n, j]
            if outputs >= 0:
                dh_next += dy[outputs, n, j]
            z[i], z[f], z[g], z[o], carry[n, j] = lstm_cell_grad(
                STANDARD, z[i], z[f], z[g], z[o], c[t, n, j], c[t + 1, n, j], dh_next, dc_next
            )
        cuda.syncthreads()
