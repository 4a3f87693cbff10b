"""Sums over many numbers in an order that is always the same."""

from numba import cuda

from .equations import on_device

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
