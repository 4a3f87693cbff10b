"""What the recurrent layers share: which row a thread works on, and its products with weights."""

from numba import cuda

from .equations import on_device

# Most threads of a block: of one row, and in all.
_MOST_UNITS, _MOST_THREADS = 256, 256


def blocks_of_rows(batch, hidden):
    """Return grid and block for ``batch`` rows: threads (units, rows), a block for some rows."""
    units = min(hidden, _MOST_UNITS)
    rows = max(1, min(batch, 4, _MOST_THREADS // units))
    return -(-batch // rows), (units, rows)


@on_device
def row_of_thread():
    """Row of the batch that this thread works on; may lie beyond the last."""
    return cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y


@on_device
def times_columns(h, w, column):
    """Sum over k of h[k] w[k, column]."""
    total = w.dtype.type(0)
    for k in range(w.shape[0]):
        total += h[k] * w[k, column]
    return total


@on_device
def times_row(dz, w, row, first, last):
    """Sum over columns ``first`` to ``last`` - 1 of dz[column] w[row, column]."""
    total = w.dtype.type(0)
    for column in range(first, last):
        total += dz[column] * w[row, column]
    return total
