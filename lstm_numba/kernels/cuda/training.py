"""The training step on the device, and what else runs over many windows.

Every step is a fixed row of launches. Nothing waits for the device but the reading of losses and
forecasts at the end of a call.
"""

import functools

import numpy as np
from numba import cuda

from ..updates import adam_rate
from .gru import gru_backward, gru_forward
from .head import future_gradient, score_forecast, write_forecast
from .lstm import lstm_backward, lstm_forward
from .product import product
from .resident import backward_kernel, blocks_of_samples, forward_kernel, pack_weights
from .rnn import rnn_backward, rnn_forward
from .rows import blocks_of_rows
from .sums import THREADS, sum_into
from .updates import add_chunks, clip_and_update
from .windows import gather

_FORWARD = {"lstm": lstm_forward, "gru": gru_forward, "rnn": rnn_forward}
_BACKWARD = {"lstm": lstm_backward, "gru": gru_backward, "rnn": rnn_backward}


def _threads_for(n):
    """Grid and block for one thread per number."""
    return -(-n // THREADS), THREADS


def _forward(buffers, windows, first, valid):
    """Gather windows ``first`` to ``first + valid`` - 1, run the layers and the head's products."""
    network, batch = buffers.network, buffers.batch
    seq_len, hidden = network.seq_len, network.hidden_size
    columns = buffers.cell.gates * hidden
    slots = buffers.cell.slots * hidden
    gather[_threads_for(batch * max(network.features, network.targets))](
        windows.inputs, windows.starts, first, valid, buffers.norm,
        buffers.x, buffers.history, buffers.shift, buffers.scale
    )  # fmt: skip
    for k, layer in enumerate(buffers.layers):
        product(
            (seq_len * batch, columns, layer.inputs),
            (layer.x, layer.x_row, 1),
            (layer.w_x, columns, 1),
            (buffers.flat(f"gates{k}"), 0, slots),
        )
        _layer_forward(buffers, layer)

    outputs = network.targets * network.horizon
    parts = buffers.flat("parts")
    product(
        (batch, outputs, 1 + hidden),
        (_last_state(buffers), hidden + 2, 1),
        (buffers.weights("head.bias"), outputs, 1),
        (parts, 0, outputs),
    )
    if network.skip:
        rows = batch * network.targets
        product(
            (rows, network.horizon, seq_len),
            (buffers.flat("history"), 1, rows),
            (buffers.weights("skip.weight"), network.horizon, 1),
            (parts[batch * outputs :], 0, network.horizon),
        )


def _layer_forward(buffers, layer):
    """Run the recurrence of a layer, from what its inputs bring to the gates."""
    network, batch, units = buffers.network, buffers.batch, buffers.units
    if units:
        w, forward, backward = layer.w, layer.packed_forward, layer.packed_backward
        pack_weights[_threads_for(forward.size)](w, units, forward, backward)
        forward_kernel(units)[blocks_of_samples(batch, units)](
            layer.gates, w, forward, layer.h, layer.c
        )
    else:
        _FORWARD[network.cell][blocks_of_rows(batch, network.hidden_size)](
            layer.gates, layer.w, layer.h, layer.c
        )


def _last_state(buffers):
    """Return [1, h, 1] of the top layer after the newest step, flat."""
    network = buffers.network
    newest = network.seq_len * buffers.batch * (network.hidden_size + 2)
    return buffers.flat(f"h{network.num_layers - 1}")[newest:]


def _head_arguments(buffers, windows, first, valid):
    """Return what ``write_forecast`` and ``score_forecast`` begin with."""
    future = buffers.network.future
    weights = buffers.weights("future.weight") if future else buffers.params
    return (
        buffers.parts, weights, future, windows.inputs, windows.target_starts, first, valid,
        buffers.shift, buffers.scale
    )  # fmt: skip


def _score(buffers, windows, first, valid, step, losses, at):
    """Put the sum of the losses into ``losses[at]``, and dout of their mean into the buffers."""
    network = buffers.network
    real = np.dtype(network.dtype).type
    weight = real(1.0 / (valid * network.horizon * network.targets))
    score_forecast[_threads_for(buffers.losses.size)](
        *_head_arguments(buffers, windows, first, valid),
        windows.targets, step.loss, real(step.huber_delta), weight, buffers.losses, buffers.dout
    )  # fmt: skip
    sum_into[1, THREADS](buffers.losses, losses, at)


def _weight_gradient(buffers, shape, a, b, at, columns):
    """Put the chunks of a^T b into the partial gradients, from weight ``at`` on."""
    out = buffers.flat("partials")[at:], buffers.n_params, columns
    product(shape, a, b, out, buffers.chunks)


def _head_backward(buffers, windows, first, valid):
    """Take the head's weight gradients, and dh of the final state."""
    network, batch = buffers.network, buffers.batch
    hidden, horizon = network.hidden_size, network.horizon
    outputs = network.targets * horizon
    dout = buffers.flat("dout")
    product(
        (batch, hidden, outputs),
        (dout, outputs, 1),
        (buffers.weights("head.weight"), 1, outputs),
        (buffers.flat(f"dy{network.num_layers - 1}"), 0, hidden),
    )
    _weight_gradient(
        buffers,
        (1 + hidden, outputs, batch),
        (_last_state(buffers), 1, hidden + 2),
        (dout, outputs, 1),
        buffers.place("head.bias"),
        outputs,
    )
    if network.skip:
        rows = batch * network.targets
        _weight_gradient(
            buffers,
            (network.seq_len, horizon, rows),
            (buffers.flat("history"), rows, 1),
            (dout, horizon, 1),
            buffers.place("skip.weight"),
            horizon,
        )
    if network.future:
        future_gradient[network.targets * network.future, THREADS](
            buffers.dout, windows.inputs, windows.target_starts, first, valid, network.future,
            buffers.gradient[buffers.place("future.weight") :]
        )  # fmt: skip


def _layer_backward(buffers, k):
    """Pull gradients back through layer ``k``: its weights', and dy of the layer below."""
    network, cell, batch = buffers.network, buffers.cell, buffers.batch
    hidden, layer = network.hidden_size, buffers.layers[k]
    if buffers.units:
        backward_kernel(buffers.units)[blocks_of_samples(batch, buffers.units)](
            layer.gates, layer.packed_backward, layer.c, layer.dy
        )
    else:
        _BACKWARD[network.cell][blocks_of_rows(batch, hidden)](
            layer.gates, layer.w, layer.h, layer.c, layer.carry, layer.dy
        )

    rows, columns, slots = network.seq_len * batch, cell.gates * hidden, cell.slots * hidden
    dz = buffers.flat(f"gates{k}")
    _weight_gradient(
        buffers,
        (layer.inputs, columns, rows),
        (layer.x, 1, layer.x_row),
        (dz, slots, 1),
        layer.at,
        columns,
    )
    # The candidate of a GRU has a gradient of its own for the part of h, behind the others.
    apart = hidden if cell.x_apart else 0
    own = layer.at + layer.inputs * columns
    h = buffers.flat(f"h{k}"), 1, hidden + 2
    shared = columns - apart
    _weight_gradient(buffers, (1 + hidden, shared, rows), h, (dz, slots, 1), own, columns)
    if apart:
        _weight_gradient(
            buffers, (1 + hidden, apart, rows), h, (dz[columns:], slots, 1), own + shared, columns
        )
    if k:
        product(
            (rows, hidden, columns),
            (dz, slots, 1),
            (layer.w_x, 1, columns),
            (buffers.flat(f"dy{k - 1}"), 0, hidden),
        )


def _add_gradient(buffers):
    """Add up the chunks' gradients."""
    # The covariates' weights come last, and their gradient is not taken in chunks.
    n = buffers.n_params - buffers.network.targets * buffers.network.future
    add_chunks[_threads_for(buffers.n_params)](
        buffers.partials, n, buffers.gradient, buffers.squares
    )


def _update(buffers, step, steps_done):
    """Clip the gradient and take one step of Adam."""
    rate, epsilon = adam_rate(
        step.learning_rate, step.beta1, step.beta2, step.epsilon, steps_done + 1
    )
    real = np.dtype(buffers.network.dtype).type
    # The small constant is that of torch.nn.utils.clip_grad_norm_.
    scalars = (
        step.clip_norm, 1e-6, rate, 1.0 - step.beta1, 1.0 - step.beta2, epsilon,
        step.learning_rate * step.weight_decay
    )  # fmt: skip
    clip_and_update[_threads_for(buffers.n_params)](
        buffers.gradient, buffers.squares, *map(real, scalars),
        buffers.params, buffers.mean, buffers.square
    )  # fmt: skip


def train_batches(buffers, windows, first, last, batch_size, step, steps_done, total, update):
    """Train on batches ``first`` to ``last`` - 1; return ``total`` plus the windows' losses.

    Without ``update`` the weights stay as they are: the gradient of the mean loss of the last batch
    is left in ``buffers.gradient``. ``windows`` are on the device.
    """
    network, n = buffers.network, windows.starts.size
    losses = cuda.device_array(last - first, network.dtype)
    for batch in range(first, last):
        start = batch * batch_size
        valid = min(batch_size, n - start)
        _forward(buffers, windows, start, valid)
        _score(buffers, windows, start, valid, step, losses, batch - first)
        _head_backward(buffers, windows, start, valid)
        for k in reversed(range(network.num_layers)):
            _layer_backward(buffers, k)
        _add_gradient(buffers)
        if update:
            _update(buffers, step, steps_done + batch - first)
    per_window = 1.0 / (network.horizon * network.targets)
    return functools.reduce(
        lambda sum_, loss: sum_ + float(loss) * per_window, losses.copy_to_host(), total
    )


def forecast(buffers, windows, first, valid, out):
    """Write forecasts of windows in the units of the inputs into ``out`` (batch, horizon, targets).

    ``windows`` and ``out`` are on the device.
    """
    _forward(buffers, windows, first, valid)
    write_forecast[_threads_for(buffers.losses.size)](
        *_head_arguments(buffers, windows, first, valid), out
    )


def score(buffers, windows, first, valid, step, losses, at):
    """Put the sum of the losses of windows into ``losses[at]``, on the device."""
    _forward(buffers, windows, first, valid)
    _score(buffers, windows, first, valid, step, losses, at)
