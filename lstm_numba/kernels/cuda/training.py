"""The training step on the device, and what else runs over many windows.

Every step is the same row of launches, for all models that take part. Nothing waits for the device
but the reading of losses and forecasts at the end of a call.
"""

import numpy as np

from .device import to_device
from .gru import gru_backward, gru_forward
from .head import future_gradient, score_forecast, write_forecast
from .lstm import lstm_backward, lstm_forward
from .product import product
from .resident import backward_kernel, blocks_of_samples, forward_kernel, pack_weights
from .rnn import rnn_backward, rnn_forward
from .rows import blocks_of_rows
from .sums import THREADS
from .updates import add_chunks, clip_and_update, copy_models
from .windows import gather

_FORWARD = {"lstm": lstm_forward, "gru": gru_forward, "rnn": rnn_forward}
_BACKWARD = {"lstm": lstm_backward, "gru": gru_backward, "rnn": rnn_backward}


def _forward(buffers, windows, turn):
    """Gather the windows, run the layers."""
    network, turns, batch = buffers.network, buffers.turns, buffers.batch
    turn.launch(
        gather, *turn.threads(batch * max(network.features, network.targets)),
        turn.models, turns.counter, turns.spans, windows.inputs, turns.starts, buffers.norm,
        buffers.x, buffers.history, buffers.shift, buffers.scale
    )  # fmt: skip
    for k in range(network.num_layers):
        _layer_forward(buffers, k, turn)


def _layer_forward(buffers, k, turn):
    """Take a layer's products with its inputs, and run its recurrence."""
    network, layer, units = buffers.network, buffers.layers[k], buffers.units
    seq_len, batch, hidden = network.seq_len, buffers.batch, network.hidden_size
    columns, gates = buffers.cell.gates * hidden, buffers.flat(f"gates{k}")
    if units:
        forward, backward = buffers.flat(f"packed_forward{k}"), buffers.flat(f"packed_backward{k}")
        turn.launch(
            pack_weights, *turn.threads(4 * units**2),
            turn.models, buffers.params, layer.at, layer.own, hidden, units,
            buffers.products == "tf32", layer.w_x[0], forward, backward
        )  # fmt: skip
    w_x, first = layer.w_x
    product(
        buffers.products,
        turn,
        (seq_len * batch, columns, layer.inputs),
        (layer.x, (layer.x_start, layer.x_row, 1)),
        (w_x, (first, columns, 1)),
        (gates, (0, 0, buffers.cell.slots * hidden)),
    )
    if units:
        blocks, threads = blocks_of_samples(batch, units)
        turn.launch(
            forward_kernel(buffers.products, units), (blocks, turn.count), threads,
            turn.models, (seq_len, batch, hidden), gates, buffers.params, layer.own, forward,
            buffers.flat(f"h{k}"), buffers.flat(f"c{k}")
        )  # fmt: skip
    else:
        blocks, threads = blocks_of_rows(batch, hidden)
        turn.launch(
            _FORWARD[network.cell], (blocks, turn.count), threads,
            turn.models, layer.gates, buffers.params, layer.own, layer.h, layer.c
        )  # fmt: skip


def _last_state(buffers):
    """Return [1, h, 1] of the top layer after the newest step: all h, and where it begins."""
    network = buffers.network
    newest = network.seq_len * buffers.batch * (network.hidden_size + 2)
    return buffers.flat(f"h{network.num_layers - 1}"), newest


def _head_arguments(buffers, windows, turn):
    """Return what ``write_forecast`` and ``score_forecast`` begin with."""
    network, turns = buffers.network, buffers.turns
    places = (
        buffers.place("head.bias"),
        buffers.place("skip.weight") if network.skip else -1,
        buffers.place("future.weight") if network.future else -1,
    )
    return (
        turn.models, turns.counter, turns.spans, buffers.layers[-1].h, buffers.history,
        buffers.params, places, network.future, windows.inputs, turns.target_starts,
        buffers.shift, buffers.scale
    )  # fmt: skip


def _score(buffers, windows, turn, step):
    """Sum up the losses, and put dout of their mean and dy into the buffers."""
    turns, real = buffers.turns, np.dtype(buffers.network.dtype).type
    turn.launch(
        score_forecast, (turns.losses.shape[2], turn.count), THREADS,
        *_head_arguments(buffers, windows, turn),
        turns.rates, windows.targets, step.loss, real(step.huber_delta),
        turns.losses, buffers.dout, buffers.layers[-1].dy
    )  # fmt: skip


def _weight_gradient(kind, buffers, turn, shape, a, b, at, columns):
    """Put the chunks of a^T b into the partial gradients, from weight ``at`` on."""
    out = buffers.flat("partials"), (at, buffers.n_params, columns)
    product(kind, turn, shape, a, b, out, buffers.chunks)


def _head_backward(buffers, windows, turn):
    """Take the head's weight gradients."""
    network, turns, batch = buffers.network, buffers.turns, buffers.batch
    hidden, horizon = network.hidden_size, network.horizon
    outputs = network.targets * horizon
    dout = buffers.flat("dout")
    last, at = _last_state(buffers)
    _weight_gradient(
        buffers.exact,
        buffers,
        turn,
        (1 + hidden, outputs, batch),
        (last, (at, 1, hidden + 2)),
        (dout, (0, outputs, 1)),
        buffers.place("head.bias"),
        outputs,
    )
    if network.skip:
        rows = batch * network.targets
        _weight_gradient(
            buffers.exact,
            buffers,
            turn,
            (network.seq_len, horizon, rows),
            (buffers.flat("history"), (0, rows, 1)),
            (dout, (0, horizon, 1)),
            buffers.place("skip.weight"),
            horizon,
        )
    if network.future:
        grid = network.targets * network.future, turn.count
        turn.launch(
            future_gradient, grid, THREADS,
            turn.models, turns.counter, turns.spans, buffers.dout, windows.inputs,
            turns.target_starts, network.future, buffers.gradient, buffers.place("future.weight")
        )  # fmt: skip


def _layer_backward(buffers, k, turn):
    """Pull gradients back through layer ``k``: its weights', and dy of the layer below."""
    network, cell, batch = buffers.network, buffers.cell, buffers.batch
    hidden, layer = network.hidden_size, buffers.layers[k]
    if buffers.units:
        blocks, threads = blocks_of_samples(batch, buffers.units)
        blocks = min(blocks, buffers.chunks) if buffers.adds_up else blocks
        turn.launch(
            backward_kernel(buffers.products, buffers.units), (blocks, turn.count), threads,
            turn.models, (network.seq_len, batch, hidden), buffers.flat(f"gates{k}"),
            buffers.flat(f"packed_backward{k}"), buffers.flat(f"h{k}"), buffers.flat(f"c{k}"),
            buffers.flat(f"dy{k}"), layer.dy.shape[1], layer.own, buffers.n_params,
            buffers.flat("partials")
        )  # fmt: skip
    else:
        blocks, threads = blocks_of_rows(batch, hidden)
        turn.launch(
            _BACKWARD[network.cell], (blocks, turn.count), threads,
            turn.models, layer.gates, buffers.params, layer.own, layer.h, layer.c, layer.carry,
            layer.dy
        )  # fmt: skip

    rows, columns, slots = network.seq_len * batch, cell.gates * hidden, cell.slots * hidden
    dz = buffers.flat(f"gates{k}")

    def add(first, inputs, source, at, places=columns):
        """Take the gradients of some rows of weights: of ``inputs`` of ``source``."""
        shape, b = (inputs, places, rows), (dz, (first, slots, 1))
        _weight_gradient(buffers.products, buffers, turn, shape, source, b, at, columns)

    # The ones beside x carry the bias. A GRU has another for h, and its candidate a gradient of its
    # own for the part of h, behind the others.
    apart = hidden if cell.x_apart else 0
    x, h = (layer.x, (layer.x_start, 1, layer.x_row)), (buffers.flat(f"h{k}"), (0, 1, hidden + 2))
    if apart:
        add(0, layer.inputs, x, layer.at)
        add(0, 1 + hidden, h, layer.own, columns - apart)
        add(columns, 1 + hidden, h, layer.own + columns - apart, apart)
    else:
        add(0, layer.inputs + 1, x, layer.at)
    if not apart and not buffers.adds_up:
        h = h[0], (1, 1, hidden + 2)
        add(0, hidden, h, layer.own + columns)
    if k:
        product(
            buffers.products,
            turn,
            (rows, hidden, columns),
            (dz, (0, slots, 1)),
            (layer.w_x[0], (layer.w_x[1], 1, columns)),
            (buffers.flat(f"dy{k - 1}"), (0, 0, hidden)),
        )


def _add_gradient(buffers, turn):
    """Add up the chunks' gradients."""
    # The covariates' weights come last, and their gradient is not taken in chunks.
    n = buffers.n_params - buffers.network.targets * buffers.network.future
    turn.launch(
        add_chunks,
        *turn.threads(buffers.n_params),
        turn.models,
        buffers.partials,
        buffers.order,
        n,
        buffers.gradient,
        buffers.squares,
    )


def _update(buffers, turn, step):
    """Clip the gradient and take one step of Adam."""
    real = np.dtype(buffers.network.dtype).type
    # The small constant is that of torch.nn.utils.clip_grad_norm_.
    scalars = (
        step.clip_norm, 1e-6, 1.0 - step.beta1, 1.0 - step.beta2,
        step.learning_rate * step.weight_decay
    )  # fmt: skip
    turn.launch(
        clip_and_update, *turn.threads(buffers.n_params),
        turn.models, buffers.turns.counter, buffers.turns.rates, buffers.gradient, buffers.squares,
        *map(real, scalars), buffers.params, buffers.mean, buffers.square
    )  # fmt: skip


def _train(buffers, windows, step, update, turn):
    """Add the launches of a training step to a turn."""
    _forward(buffers, windows, turn)
    _score(buffers, windows, turn, step)
    _head_backward(buffers, windows, turn)
    for k in reversed(range(buffers.network.num_layers)):
        _layer_backward(buffers, k, turn)
    _add_gradient(buffers, turn)
    if update:
        _update(buffers, turn, step)


def train_batches(buffers, windows, spans, step, steps_done, update=True):
    """Train each model on its batches, one after the other.

    Parameters
    ----------
    buffers : Buffers
    windows : Windows
        Of all models: inputs and targets on the device, the rest on the host.
    spans, step, steps_done
        See ``Turns.load``.
    update : bool
        False: the weights stay as they are, and ``buffers.gradient`` is left with the gradient of
        the mean loss of the last batch.

    Returns
    -------
    losses : (turns, models) float64
        Sums over the windows of a batch.
    """

    def add_launches(turn):
        _train(buffers, windows, step, update, turn)

    turns, kind = buffers.turns, ("train", step, update)
    for count, times in turns.load(windows, spans, step, steps_done):
        turns.turn(kind, windows, count, add_launches).run(times)
    return turns.losses_of_call()


def score(buffers, windows, spans, step):
    """Return the losses of batches, as ``train_batches`` does, and leave the weights alone."""

    def add_launches(turn):
        _forward(buffers, windows, turn)
        _score(buffers, windows, turn, step)

    turns, kind = buffers.turns, ("score", step)
    for count, times in turns.load(windows, spans):
        turns.turn(kind, windows, count, add_launches).run(times)
    return turns.losses_of_call()


def forecast(buffers, windows, spans):
    """Yield forecasts of each turn in the units of the inputs, (models, batch, horizon, targets).

    Of a model that has fewer windows than a batch has rows, the others are undefined.
    """

    def add_launches(turn):
        _forward(buffers, windows, turn)
        turn.launch(
            write_forecast, *turn.threads(buffers.out.size // buffers.models),
            *_head_arguments(buffers, windows, turn), buffers.out
        )  # fmt: skip

    turns = buffers.turns
    for count, times in turns.load(windows, spans):
        for _ in range(times):
            turns.turn(("forecast",), windows, count, add_launches).run()
            yield buffers.out.copy_to_host()


def keep(models, source, target):
    """target[model] = source[model] for each of ``models``, (some,) int; on the device."""
    grid = -(-source.shape[1] // THREADS), models.size
    copy_models[grid, THREADS](to_device(models, np.int64), source, target)
