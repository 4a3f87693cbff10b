"""What the recurrent layers share: the model and the row of a thread, and products with weights.

A grid has one row of blocks for each model that takes part.
"""

from numba import cuda

from .equations import on_device

# Most threads of a block: of one row, and in all.
_MOST_UNITS, _MOST_THREADS = 256, 256


def blocks_of_rows(batch, hidden):
    """Return blocks, of some rows each, and their threads, (units, rows)."""
    units = min(hidden, _MOST_UNITS)
    rows = max(1, min(batch, 4, _MOST_THREADS // units))
    return -(-batch // rows), (units, rows)


@on_device
def model_of_block(models):
    """The model that this block works on; ``models`` holds those that take part first."""
    return models[cuda.blockIdx.y]


@on_device
def row_of_thread():
    """Row of the batch that this thread works on; may lie beyond the last."""
    return cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y


@on_device
def is_first_thread():
    """Whether this is the one thread of a grid that does what is done once."""
    block, thread = cuda.blockIdx, cuda.threadIdx
    return block.x == 0 and block.y == 0 and thread.x == 0 and thread.y == 0


@on_device
def times_columns(h, w, at, columns):
    """Sum over k of h[k] w[k, column], of the 1 before h too; w[0, column] stands at ``at``."""
    total = w.dtype.type(0)
    for k in range(h.shape[0] - 1):
        total += h[k] * w[at + k * columns]
    return total


@on_device
def times_row(dz, w, at, first, last):
    """Sum over columns ``first`` to ``last`` - 1 of dz[column] w[at + column]."""
    total = w.dtype.type(0)
    for column in range(first, last):
        total += dz[column] * w[at + column]
    return total
