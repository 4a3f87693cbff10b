"""From the chunks' weight gradients to one gradient, its norm, and the next weights."""

import math

from numba import cuda

from .equations import adam
from .sums import THREADS, sum_of_block


@cuda.jit
def add_chunks(partials, n, gradient, squares):
    """gradient[:n] = sum of the chunks, in their order; squares[block] = its sum of squares.

    One thread per weight; the others, behind ``n``, are there already.
    """
    parts = cuda.shared.array(THREADS, gradient.dtype)
    k = cuda.grid(1)
    total = gradient.dtype.type(0)
    if k < n:
        for chunk in range(partials.shape[0]):
            total += partials[chunk, k]
        gradient[k] = total
    elif k < gradient.shape[0]:
        total = gradient[k]
    square = sum_of_block(parts, total * total)
    if cuda.threadIdx.x == 0:
        squares[cuda.blockIdx.x] = square


@cuda.jit
def clip_and_update(
    gradient, squares, clip_norm, tiny, rate, blend1, blend2, epsilon, decay, params, mean, square
):
    """Clip the gradient to a global norm and take one step of Adam; one thread per weight."""
    parts = cuda.shared.array(THREADS, gradient.dtype)
    total = gradient.dtype.type(0)
    for k in range(cuda.threadIdx.x, squares.shape[0], THREADS):
        total += squares[k]
    norm = math.sqrt(sum_of_block(parts, total))
    # A norm that overflows must not pass for a step of length zero.
    clip = min(gradient.dtype.type(1), clip_norm / (norm + tiny))
    if not math.isfinite(norm):
        clip = norm - norm
    k = cuda.grid(1)
    if k < gradient.shape[0]:
        params[k], mean[k], square[k] = adam(
            params[k], clip * gradient[k], mean[k], square[k], rate, blend1, blend2, epsilon, decay
        )
