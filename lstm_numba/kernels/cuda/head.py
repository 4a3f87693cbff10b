"""What the head adds to its matrix products: known covariates, the loss, the units of the data.

    out[d, k] = head[d, k] [1, h] + sum over t of skip[k, t] x[t, d] + future[d] v[k]

v[k] are the covariates known in advance for step k.
"""

from numba import cuda

from .equations import on_device, pointwise_loss
from .sums import THREADS, sum_of_block


@on_device
def _output(parts, future_weight, future, inputs, start, n, d, k):
    """out[d, k] of row n, from its two products (parts, batch, targets, horizon)."""
    out = parts[0, n, d, k]
    if parts.shape[0] > 1:
        out += parts[1, n, d, k]
    for column in range(future):
        v = inputs[start + k, inputs.shape[1] - future + column]
        out += future_weight[d * future + column] * v
    return out


@cuda.jit
def write_forecast(
    parts, future_weight, future, inputs, target_starts, first, valid, shift, scale, out
):
    """out[n, k, d] = the forecast, shift and scale of its window undone; one thread each."""
    _, _, targets, horizon = parts.shape
    at = cuda.grid(1)
    n, d, k = at // (targets * horizon), at // horizon % targets, at % horizon
    if n < valid:
        start = target_starts[first + n]
        value = _output(parts, future_weight, future, inputs, start, n, d, k)
        out[n, k, d] = value * scale[n, d] + shift[n, d]


@cuda.jit
def score_forecast(
    parts, future_weight, future, inputs, target_starts, first, valid, shift, scale,
    actual, kind, delta, weight, losses, dout
):  # fmt: skip
    """Write the loss of each output, and ``weight`` times its derivative; one thread each.

    Parameters
    ----------
    actual : (time, targets)                    in: the series that are forecast
    kind, delta                                 see ``pointwise_loss``
    losses : (batch targets horizon,)           out: 0 for rows beyond ``valid``
    dout : (batch, targets, horizon)            out: the same
    """
    _, batch, targets, horizon = parts.shape
    at = cuda.grid(1)
    n, d, k = at // (targets * horizon), at // horizon % targets, at % horizon
    if n >= batch:
        return
    loss, derivative = weight - weight, weight - weight
    if n < valid:
        start = target_starts[first + n]
        value = _output(parts, future_weight, future, inputs, start, n, d, k)
        target = (actual[start + k, d] - shift[n, d]) / scale[n, d]
        loss, derivative = pointwise_loss(kind, delta, value - target)
    losses[at] = loss
    dout[n, d, k] = weight * derivative


@cuda.jit
def future_gradient(dout, inputs, target_starts, first, valid, future, gradient):
    """gradient[d future + column] = sum of dout v; one block each."""
    parts = cuda.shared.array(THREADS, dout.dtype)
    horizon = dout.shape[2]
    d, column = cuda.blockIdx.x // future, cuda.blockIdx.x % future
    total = dout.dtype.type(0)
    for at in range(cuda.threadIdx.x, valid * horizon, cuda.blockDim.x):
        n, k = at // horizon, at % horizon
        v = inputs[target_starts[first + n] + k, inputs.shape[1] - future + column]
        total += dout[n, d, k] * v
    total = sum_of_block(parts, total)
    if cuda.threadIdx.x == 0:
        gradient[cuda.blockIdx.x] = total
