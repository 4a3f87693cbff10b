"""From the chunks' weight gradients to one gradient, its norm, and the next weights."""

import math

from numba import cuda

from .equations import adam
from .rows import model_of_block
from .sums import THREADS, sum_of_block
from .turns import NOW


@cuda.jit
def add_chunks(models, partials, order, n, gradient, squares):
    """gradient[model, :n] = sum of the chunks, in their order; squares[model, block] = its square.

    One thread per weight, whose parts stand at ``order`` among those of a chunk; the others, behind
    ``n``, are there already.
    """
    parts = cuda.shared.array(THREADS, gradient.dtype)
    model, k = model_of_block(models), cuda.grid(1)
    total = gradient.dtype.type(0)
    if k < n:
        for chunk in range(partials.shape[1]):
            total += partials[model, chunk, order[k]]
        gradient[model, k] = total
    elif k < gradient.shape[1]:
        total = gradient[model, k]
    square = sum_of_block(parts, total * total)
    if cuda.threadIdx.x == 0:
        squares[model, cuda.blockIdx.x] = square


@cuda.jit
def clip_and_update(
    models, counter, rates, gradient, squares, clip_norm, tiny, blend1, blend2, decay,
    params, mean, square
):  # fmt: skip
    """Clip the gradient to a global norm and take one step of Adam; one thread per weight.

    ``counter`` and ``rates`` are those of ``Turns``.
    """
    parts = cuda.shared.array(THREADS, gradient.dtype)
    model, k = model_of_block(models), cuda.grid(1)
    total = gradient.dtype.type(0)
    for block in range(cuda.threadIdx.x, squares.shape[1], THREADS):
        total += squares[model, block]
    norm = math.sqrt(sum_of_block(parts, total))
    # A norm that overflows must not pass for a step of length zero.
    clip = min(gradient.dtype.type(1), clip_norm / (norm + tiny))
    if not math.isfinite(norm):
        clip = norm - norm
    if k < gradient.shape[1]:
        turn = counter[NOW]
        rate, epsilon = rates[turn, model, 1], rates[turn, model, 2]
        params[model, k], mean[model, k], square[model, k] = adam(
            params[model, k], clip * gradient[model, k], mean[model, k], square[model, k],
            rate, blend1, blend2, epsilon, decay
        )  # fmt: skip


@cuda.jit
def copy_models(models, source, target):
    """target[model] = source[model], of the models that take part; one thread per number."""
    model, k = model_of_block(models), cuda.grid(1)
    if k < source.shape[1]:
        target[model, k] = source[model, k]
