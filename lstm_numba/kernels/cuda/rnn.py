"""A simple recurrent layer through all of time; see ``lstm.py``."""

from numba import cuda

from .equations import STANDARD, rnn_cell, rnn_cell_grad
from .rows import model_of_block, row_of_thread, times_columns, times_row


@cuda.jit
def rnn_forward(models, gates, params, start, h, c):
    """h[t+1] = rnn_cell(x[t] w_x + [1, h[t]] w); arguments as in ``lstm_forward``."""
    model = model_of_block(models)
    gates, w, h = gates[model], params[model], h[model]
    seq_len, batch, hidden = gates.shape
    n = row_of_thread()
    for t in range(seq_len):
        for j in range(cuda.threadIdx.x, hidden if n < batch else 0, cuda.blockDim.x):
            z = gates[t, n, j] + times_columns(h[t, n], w, start + j, hidden)
            _, h[t + 1, n, 1 + j] = rnn_cell(STANDARD, z)
        cuda.syncthreads()


@cuda.jit
def rnn_backward(models, gates, params, start, h, c, carry, dy):
    """Put dz into ``gates``; arguments as in ``lstm_backward``, c and carry are not used."""
    model = model_of_block(models)
    gates, w, h, dy = gates[model], params[model], h[model], dy[model]
    seq_len, batch, hidden = gates.shape
    n = row_of_thread()
    zero = gates.dtype.type(0)
    for t in range(seq_len - 1, -1, -1):
        outputs = t - (seq_len - dy.shape[0])
        for j in range(cuda.threadIdx.x, hidden if n < batch else 0, cuda.blockDim.x):
            dh_next = zero
            if t < seq_len - 1:
                dh_next = times_row(gates[t + 1, n], w, start + (1 + j) * hidden, 0, hidden)
            if outputs >= 0:
                dh_next += dy[outputs, n, j]
            gates[t, n, j] = rnn_cell_grad(STANDARD, h[t + 1, n, 1 + j], dh_next)
        cuda.syncthreads()
