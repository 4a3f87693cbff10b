"""Sums over many numbers in an order that is always the same."""

from numba import cuda

from .equations import on_device
from .rows import model_of_block

# Threads of a block that adds up; a power of two.
THREADS = 128


@on_device
def sum_of_block(parts, value):
    """Add up one value of each thread, as a tree; all threads get the sum.

    ``parts`` is a shared array of THREADS numbers.
    """
    thread = cuda.threadIdx.x
    parts[thread] = value
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if thread < half:
            parts[thread] += parts[thread + half]
        cuda.syncthreads()
        half //= 2
    total = parts[0]
    cuda.syncthreads()
    return total


@cuda.jit
def sum_into(models, values, sums, at):
    """sums[at, model] = the sum of all values of a model; one block each."""
    parts = cuda.shared.array(THREADS, values.dtype)
    model = model_of_block(models)
    total = values.dtype.type(0)
    for k in range(cuda.threadIdx.x, values.shape[1], THREADS):
        total += values[model, k]
    total = sum_of_block(parts, total)
    if cuda.threadIdx.x == 0:
        sums[at, model] = total
