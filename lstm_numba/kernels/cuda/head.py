"""What the head adds to its matrix products: known covariates, the loss, the units of the data.

    out[d, k] = head[d, k] [1, h] + sum over t of skip[k, t] x[t, d] + future[d] v[k]

v[k] are the covariates known in advance for step k.
"""

from numba import cuda

from .equations import on_device, pointwise_loss
from .rows import model_of_block
from .sums import THREADS, sum_of_block


@on_device
def _output(parts, params, at, future, inputs, start, n, d, k):
    """out[d, k] of row n, from its two products (parts, batch, targets, horizon)."""
    out = parts[0, n, d, k]
    if parts.shape[0] > 1:
        out += parts[1, n, d, k]
    for column in range(future):
        v = inputs[start + k, inputs.shape[1] - future + column]
        out += params[at + d * future + column] * v
    return out


@cuda.jit
def write_forecast(
    models, at, spans, parts, params, weights_at, future, inputs, target_starts, shift, scale, out
):
    """out[model, n, k, d] = the forecast, shift and scale of its window undone; one thread each.

    Parameters
    ----------
    models, at, spans                           of a ``Turn``
    parts : (models, products, batch, targets, horizon)
    params : (models, n_params)                 in: from ``weights_at`` on those of covariates
    shift, scale : (models, batch, targets)     in
    """
    model = model_of_block(models)
    first, valid = spans[at, model, 0], spans[at, model, 1]
    _, _, _, targets, horizon = parts.shape
    thread = cuda.grid(1)
    n, d, k = thread // (targets * horizon), thread // horizon % targets, thread % horizon
    if n < valid:
        start = target_starts[first + n]
        value = _output(parts[model], params[model], weights_at, future, inputs, start, n, d, k)
        out[model, n, k, d] = value * scale[model, n, d] + shift[model, n, d]


@cuda.jit
def score_forecast(
    models, at, spans, parts, params, weights_at, future, inputs, target_starts, shift, scale,
    rates, actual, kind, delta, losses, dout
):  # fmt: skip
    """Write the loss of each output, and its share in the derivative of the mean; one thread each.

    Parameters
    ----------
    models, at, spans, rates                    of a ``Turn``
    parts to scale                              as in ``write_forecast``
    actual : (time, targets)                    in: the series that are forecast
    kind, delta                                 see ``pointwise_loss``
    losses : (models, batch targets horizon)    out: 0 for rows beyond the last window
    dout : (models, batch, targets, horizon)    out: the same
    """
    model = model_of_block(models)
    first, valid, weight = spans[at, model, 0], spans[at, model, 1], rates[at, model, 0]
    _, _, batch, targets, horizon = parts.shape
    thread = cuda.grid(1)
    n, d, k = thread // (targets * horizon), thread // horizon % targets, thread % horizon
    if n >= batch:
        return
    loss, derivative = weight - weight, weight - weight
    if n < valid:
        start = target_starts[first + n]
        value = _output(parts[model], params[model], weights_at, future, inputs, start, n, d, k)
        target = (actual[start + k, d] - shift[model, n, d]) / scale[model, n, d]
        loss, derivative = pointwise_loss(kind, delta, value - target)
    losses[model, thread] = loss
    dout[model, n, d, k] = weight * derivative


@cuda.jit
def future_gradient(models, at, spans, dout, inputs, target_starts, future, gradient, start):
    """gradient[model, start + d future + column] = sum of dout v; one block each."""
    parts = cuda.shared.array(THREADS, dout.dtype)
    model = model_of_block(models)
    first, valid = spans[at, model, 0], spans[at, model, 1]
    horizon = dout.shape[3]
    d, column = cuda.blockIdx.x // future, cuda.blockIdx.x % future
    total = dout.dtype.type(0)
    for thread in range(cuda.threadIdx.x, valid * horizon, cuda.blockDim.x):
        n, k = thread // horizon, thread % horizon
        v = inputs[target_starts[first + n] + k, inputs.shape[1] - future + column]
        total += dout[model, n, d, k] * v
    total = sum_of_block(parts, total)
    if cuda.threadIdx.x == 0:
        gradient[model, start + cuda.blockIdx.x] = total
