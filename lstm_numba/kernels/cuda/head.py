"""The head: forecasts in the units of the data; in training the loss, and where gradients begin.

    out[d, k] = head[d, k] [1, h] + sum over t of skip[k, t] x[t, d] + future[d] v[k]

v[k] are the covariates known in advance for step k.
"""

from numba import cuda

from .equations import on_device, pointwise_loss
from .rows import model_of_block, times_columns, times_row
from .sums import THREADS, sum_of_block
from .turns import NOW, end_turn

# Rows of the batch that a block of ``score_forecast`` takes.
ROWS = 4


@on_device
def _output(h, history, params, places, future, inputs, start, n, d, k, outputs):
    """out[d, k] of row n; ``places`` are those of head, skip (-1 if there is none) and future."""
    head, skip, covariates = places
    seq_len, _, targets = history.shape
    horizon = outputs // targets
    out = times_columns(h[seq_len, n], params, head + d * horizon + k, outputs)
    if skip >= 0:
        for t in range(seq_len):
            out += history[t, n, d] * params[skip + t * horizon + k]
    for column in range(future):
        v = inputs[start + k, inputs.shape[1] - future + column]
        out += params[covariates + d * future + column] * v
    return out


@cuda.jit
def write_forecast(
    models, counter, spans, h, history, params, places, future, inputs, target_starts, shift, scale,
    out
):  # fmt: skip
    """out[model, n, k, d] = the forecast, shift and scale of its window undone; one thread each.

    Parameters
    ----------
    models, counter, spans                      of ``Turns``
    h, history                                  in: of the top layer; see ``Layer`` and ``gather``
    params : (models, n_params)                 in
    places : (3,) int                           where the weights of head, skip and covariates begin
    shift, scale : (models, batch, targets)     in
    """
    model, turn = model_of_block(models), counter[NOW]
    first, valid = spans[turn, model, 0], spans[turn, model, 1]
    _, _, horizon, targets = out.shape
    thread = cuda.grid(1)
    n, d, k = thread // (targets * horizon), thread // horizon % targets, thread % horizon
    if n < valid:
        start = target_starts[first + n]
        value = _output(
            h[model], history[model], params[model], places, future, inputs, start, n, d, k,
            targets * horizon
        )  # fmt: skip
        out[model, n, k, d] = value * scale[model, n, d] + shift[model, n, d]
    end_turn(counter)


@cuda.jit
def score_forecast(
    models, counter, spans, h, history, params, places, future, inputs, target_starts, shift, scale,
    rates, actual, kind, delta, losses, dout, dy
):  # fmt: skip
    """Sum up the losses of ROWS rows, and begin the gradient of the mean; one block for them.

    Parameters
    ----------
    models, counter, spans, rates               of ``Turns``
    h to scale                                  as in ``write_forecast``
    actual : (time, targets)                    in: the series that are forecast
    kind, delta                                 see ``pointwise_loss``
    losses : (turns, models, blocks)            out: of this turn
    dout : (models, batch, targets horizon)     out: 0 for rows beyond the last window
    dy : (models, 1, batch, hidden)             out: gradients of the newest h
    """
    parts = cuda.shared.array(THREADS, dout.dtype)
    model, turn = model_of_block(models), counter[NOW]
    first, valid, weight = spans[turn, model, 0], spans[turn, model, 1], rates[turn, model, 0]
    _, batch, targets = shift.shape
    outputs, hidden = dout.shape[2], dy.shape[3]
    horizon = outputs // targets
    row = cuda.blockIdx.x * ROWS
    rows = min(ROWS, batch - row)
    zero = weight - weight

    total = zero
    for item in range(cuda.threadIdx.x, rows * outputs, THREADS):
        n, output = row + item // outputs, item % outputs
        d, k = output // horizon, output % horizon
        loss, derivative = zero, zero
        if n < valid:
            start = target_starts[first + n]
            value = _output(
                h[model], history[model], params[model], places, future, inputs, start, n, d, k,
                outputs
            )  # fmt: skip
            target = (actual[start + k, d] - shift[model, n, d]) / scale[model, n, d]
            loss, derivative = pointwise_loss(kind, delta, value - target)
        total += loss
        dout[model, n, output] = weight * derivative
    total = sum_of_block(parts, total)
    if cuda.threadIdx.x == 0:
        losses[turn, model, cuda.blockIdx.x] = total

    # All of dout is there: threads have met to sum up.
    for item in range(cuda.threadIdx.x, rows * hidden, THREADS):
        n, j = row + item // hidden, item % hidden
        weights = places[0] + (1 + j) * outputs
        dy[model, 0, n, j] = times_row(dout[model, n], params[model], weights, 0, outputs)
    end_turn(counter)


@cuda.jit
def future_gradient(models, counter, spans, dout, inputs, target_starts, future, gradient, start):
    """gradient[model, start + d future + column] = sum of dout v; one block each."""
    parts = cuda.shared.array(THREADS, dout.dtype)
    model, turn = model_of_block(models), counter[NOW]
    first, valid = spans[turn, model, 0], spans[turn, model, 1]
    # One block for each of the weights, (targets, future).
    horizon = dout.shape[2] // (cuda.gridDim.x // future)
    d, column = cuda.blockIdx.x // future, cuda.blockIdx.x % future
    total = dout.dtype.type(0)
    for thread in range(cuda.threadIdx.x, valid * horizon, cuda.blockDim.x):
        n, k = thread // horizon, thread % horizon
        v = inputs[target_starts[first + n] + k, inputs.shape[1] - future + column]
        total += dout[model, n, d * horizon + k] * v
    total = sum_of_block(parts, total)
    if cuda.threadIdx.x == 0:
        gradient[model, start + cuda.blockIdx.x] = total
