"""The slow, obvious twin of the network: NumPy, float64, one row and one step at a time.

Every fast path of the package is compared with these functions, so they follow the
textbook and share no code with the package. ``network`` is anything with the attributes
of ``lstm_numba.nn.network.Network``, ``windows`` anything with those of ``Windows``, and
``weights`` a dict of float64 arrays under torch's names.
"""

import numpy as np


def sigmoid(z):
    """σ(z) = ½ + ½ tanh(½ z)"""
    return 0.5 + 0.5 * np.tanh(0.5 * z)


def lstm_forward(x, w, h0=0.0, c0=0.0):
    """Run one layer over one row, from a state of zero or the one given.

    x : (seq_len, in)  ->  h : (seq_len + 1, hidden), tape : what the way back needs
    """
    seq_len, hidden = len(x), w["weight_hh"].shape[1]
    h, c = np.zeros((seq_len + 1, hidden)), np.zeros((seq_len + 1, hidden))
    h[0], c[0] = h0, c0
    gates = np.zeros((seq_len, 4, hidden))
    for t in range(seq_len):
        zi, zf, zg, zo = np.split(w["weight_ih"] @ x[t] + w["weight_hh"] @ h[t] + w["bias"], 4)
        i, f, g, o = sigmoid(zi), sigmoid(zf), np.tanh(zg), sigmoid(zo)
        c[t + 1] = f * c[t] + i * g
        h[t + 1] = o * np.tanh(c[t + 1])
        gates[t] = i, f, g, o
    return h, (c, gates)


def lstm_backward(x, w, h, tape, dh_above):
    """Pull ``dh_above``, the (seq_len, hidden) gradient of the outputs, back through the layer.

    Returns dx (seq_len, in) and the gradient by name.
    """
    c, gates = tape
    dx, gradient = np.zeros_like(x), {name: np.zeros_like(weight) for name, weight in w.items()}
    dh, dc = np.zeros(h.shape[1]), np.zeros(h.shape[1])
    for t in reversed(range(len(x))):
        i, f, g, o = gates[t]
        dh = dh + dh_above[t]
        y = np.tanh(c[t + 1])
        dc = dc + dh * o * (1 - y**2)
        dzi = dc * g * i * (1 - i)
        dzf = dc * c[t] * f * (1 - f)
        dzg = dc * i * (1 - g**2)
        dzo = dh * y * o * (1 - o)
        dz = np.concatenate([dzi, dzf, dzg, dzo])
        gradient["weight_ih"] += np.outer(dz, x[t])
        gradient["weight_hh"] += np.outer(dz, h[t])
        gradient["bias"] += dz
        dx[t] = w["weight_ih"].T @ dz
        dh = w["weight_hh"].T @ dz
        dc = dc * f
    return dx, gradient


def gru_forward(x, w, h0=0.0, c0=0.0):
    """``lstm_forward`` for a GRU whose reset gate follows the product, as torch's."""
    seq_len, hidden = len(x), w["weight_hh"].shape[1]
    h, gates = np.zeros((seq_len + 1, hidden)), np.zeros((seq_len, 4, hidden))
    h[0] = h0
    for t in range(seq_len):
        xr, xz, xn = np.split(w["weight_ih"] @ x[t] + w["bias_ih"], 3)
        ur, uz, un = np.split(w["weight_hh"] @ h[t] + w["bias_hh"], 3)
        r, z = sigmoid(xr + ur), sigmoid(xz + uz)
        n = np.tanh(xn + r * un)
        h[t + 1] = (1 - z) * n + z * h[t]
        gates[t] = r, z, n, un
    return h, gates


def gru_backward(x, w, h, gates, dh_above):
    """``lstm_backward`` for a GRU."""
    dx, gradient = np.zeros_like(x), {name: np.zeros_like(weight) for name, weight in w.items()}
    dh = np.zeros(h.shape[1])
    for t in reversed(range(len(x))):
        r, z, n, un = gates[t]
        dh = dh + dh_above[t]
        dn = dh * (1 - z) * (1 - n**2)
        dr = dn * un * r * (1 - r)
        dz = dh * (h[t] - n) * z * (1 - z)
        from_x, from_h = np.concatenate([dr, dz, dn]), np.concatenate([dr, dz, dn * r])
        gradient["weight_ih"] += np.outer(from_x, x[t])
        gradient["weight_hh"] += np.outer(from_h, h[t])
        gradient["bias_ih"] += from_x
        gradient["bias_hh"] += from_h
        dx[t] = w["weight_ih"].T @ from_x
        dh = dh * z + w["weight_hh"].T @ from_h
    return dx, gradient


def rnn_forward(x, w, h0=0.0, c0=0.0):
    """``lstm_forward`` for the simple recurrent unit."""
    h = np.zeros((len(x) + 1, w["weight_hh"].shape[1]))
    h[0] = h0
    for t in range(len(x)):
        h[t + 1] = np.tanh(w["weight_ih"] @ x[t] + w["weight_hh"] @ h[t] + w["bias"])
    return h, None


def rnn_backward(x, w, h, tape, dh_above):
    """``lstm_backward`` for the simple recurrent unit."""
    dx, gradient = np.zeros_like(x), {name: np.zeros_like(weight) for name, weight in w.items()}
    dh = np.zeros(h.shape[1])
    for t in reversed(range(len(x))):
        dz = (dh + dh_above[t]) * (1 - h[t + 1] ** 2)
        gradient["weight_ih"] += np.outer(dz, x[t])
        gradient["weight_hh"] += np.outer(dz, h[t])
        gradient["bias"] += dz
        dx[t] = w["weight_ih"].T @ dz
        dh = w["weight_hh"].T @ dz
    return dx, gradient


FORWARD = {"lstm": lstm_forward, "gru": gru_forward, "rnn": rnn_forward}
BACKWARD = {"lstm": lstm_backward, "gru": gru_backward, "rnn": rnn_backward}


def of_layer(weights, k):
    """Return the weights of layer ``k`` under their names without the number."""
    mark = f"_l{k}"
    return {name.removesuffix(mark): w for name, w in weights.items() if name.endswith(mark)}


def shift_and_scale(network, history):
    """Return the shift and scale of each target: history is (seq_len, targets)."""
    if network.window_norm == "last":
        return history[-1].copy(), np.ones(network.targets)
    if network.window_norm == "level":
        return history.mean(axis=0), history.mean(axis=0)
    return np.zeros(network.targets), np.ones(network.targets)


def forward_row(network, weights, windows, row):
    """Run the stack and the head over one row; return all that the way back needs.

    out : (horizon, targets), in normalised units
    tape : one (x, h, the layer's own tape) per layer
    window : (seq_len, features), normalised
    known : (horizon, future), the covariates at the forecast steps
    """
    start, target_start = windows.starts[row], windows.target_starts[row]
    steps = slice(target_start, target_start + network.horizon)
    window = np.array(windows.inputs[start : start + network.seq_len], dtype=np.float64)
    shift, scale = np.zeros(network.targets), np.ones(network.targets)
    if network.window_norm is not None:
        shift, scale = shift_and_scale(network, window[:, : network.targets])
        window[:, : network.targets] = (window[:, : network.targets] - shift) / scale

    tape = []
    x = window
    for k in range(network.num_layers):
        h, of_steps = FORWARD[network.cell](x, of_layer(weights, k))
        tape.append((x, h, of_steps))
        x = h[1:]

    dense = weights["head.weight"] @ x[-1] + weights["head.bias"]
    out = dense.reshape(network.targets, network.horizon).T.copy()
    known = np.zeros((network.horizon, 0))
    if network.skip:
        out += weights["skip.weight"] @ window[:, : network.targets]
    if network.future:
        known = np.array(windows.inputs[steps, network.features - network.future :], np.float64)
        out += known @ weights["future.weight"].T
    return out, tape, window, known, shift, scale


def predict(network, weights, windows):
    """Return the forecasts in input units, (n, horizon, targets)."""
    forecasts = np.zeros((len(windows.starts), network.horizon, network.targets))
    for row in range(len(windows.starts)):
        out, _, _, _, shift, scale = forward_row(network, weights, windows, row)
        forecasts[row] = out * scale + shift
    return forecasts


def loss_at(error, loss, huber_delta):
    """Return the loss of each error and its derivative."""
    if loss == "mse":
        return error**2, 2 * error
    if loss == "mae":
        return np.abs(error), np.sign(error)
    inside = np.abs(error) <= huber_delta
    value = np.where(inside, error**2 / 2, huber_delta * (np.abs(error) - huber_delta / 2))
    return value, np.where(inside, error, huber_delta * np.sign(error))


def loss_and_gradient(network, weights, windows, loss="mse", huber_delta=1.0):
    """Return the mean loss over rows, steps and targets, and its gradient by name."""
    gradient = {name: np.zeros_like(weight) for name, weight in weights.items()}
    n = len(windows.starts)
    count = n * network.horizon * network.targets
    total = 0.0
    for row in range(n):
        out, tape, window, known, shift, scale = forward_row(network, weights, windows, row)
        first = windows.target_starts[row]
        actual = np.array(windows.targets[first : first + network.horizon], dtype=np.float64)
        value, slope = loss_at(out - (actual - shift) / scale, loss, huber_delta)
        total += value.sum() / count
        dout = slope / count

        if network.skip:
            gradient["skip.weight"] += dout @ window[:, : network.targets].T
        if network.future:
            gradient["future.weight"] += dout.T @ known
        ddense = dout.T.reshape(-1)
        gradient["head.weight"] += np.outer(ddense, tape[-1][1][-1])
        gradient["head.bias"] += ddense
        dh_above = np.zeros((network.seq_len, network.hidden_size))
        dh_above[-1] = weights["head.weight"].T @ ddense
        for k in reversed(range(network.num_layers)):
            x, h, of_steps = tape[k]
            dh_above, of_weights = BACKWARD[network.cell](
                x, of_layer(weights, k), h, of_steps, dh_above
            )
            for name, g in of_weights.items():
                gradient[f"{name}_l{k}"] += g
    return total, gradient


def read_stream(network, weights, x, state):
    """Run the stack over x (steps, features), from h and c, each (layers, hidden).

    Returns the tape of each layer, as ``forward_row``, and h and c after the last step.
    """
    tape, h_end, c_end = [], [], []
    for k in range(network.num_layers):
        h, of_steps = FORWARD[network.cell](x, of_layer(weights, k), state[0][k], state[1][k])
        tape.append((x, h, of_steps))
        h_end.append(h[-1])
        c_end.append(of_steps[0][-1] if network.cell == "lstm" else np.zeros_like(h[-1]))
        x = h[1:]
    return tape, (np.array(h_end), np.array(c_end))


def forecast_from(network, weights, inputs, h, origin):
    """Return the forecast (horizon, targets) from h, of the rows from ``origin`` on, and what is
    known of them."""
    dense = weights["head.weight"] @ h + weights["head.bias"]
    out = dense.reshape(network.targets, network.horizon).T.copy()
    known = inputs[origin : origin + network.horizon, network.features - network.future :]
    if network.future:
        out += known @ weights["future.weight"].T
    return out, known


def segment_loss_and_gradient(
    network, weights, inputs, targets, start, steps, state, read_from=1, loss="mse", huber_delta=1.0
):
    """Sum up the losses of the forecasts after steps ``read_from``, ..., ``steps`` of one segment.

    Returns the sum, its gradient by name, where ``state`` is a constant, and the state after the
    segment.
    """
    inputs, targets = inputs.astype(np.float64), targets.astype(np.float64)
    gradient = {name: np.zeros_like(weight) for name, weight in weights.items()}
    tape, end = read_stream(network, weights, inputs[start : start + steps], state)
    dh_above = np.zeros((steps, network.hidden_size))
    total = 0.0
    for t in range(read_from, steps + 1):
        h = tape[-1][1][t]
        out, known = forecast_from(network, weights, inputs, h, start + t)
        actual = targets[start + t : start + t + network.horizon]
        value, dout = loss_at(out - actual, loss, huber_delta)
        total += value.sum()
        if network.future:
            gradient["future.weight"] += dout.T @ known
        ddense = dout.T.reshape(-1)
        gradient["head.weight"] += np.outer(ddense, h)
        gradient["head.bias"] += ddense
        dh_above[t - 1] = weights["head.weight"].T @ ddense
    for k in reversed(range(network.num_layers)):
        x, h, of_steps = tape[k]
        dh_above, of_weights = BACKWARD[network.cell](
            x, of_layer(weights, k), h, of_steps, dh_above
        )
        for name, g in of_weights.items():
            gradient[f"{name}_l{k}"] += g
    return total, gradient, end


def clip(gradient, max_norm):
    """Scale the gradient in place to the global norm, as torch's ``clip_grad_norm_``."""
    norm = np.sqrt(sum(np.sum(g**2) for g in gradient.values()))
    for g in gradient.values():
        g *= min(1.0, max_norm / (norm + 1e-6))


class Adam:
    """Kingma & Ba (2015), weight decay decoupled as in Loshchilov & Hutter (2019)."""

    def __init__(self, weights, learning_rate, weight_decay=0.0):
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.m = {name: np.zeros_like(weight) for name, weight in weights.items()}
        self.v = {name: np.zeros_like(weight) for name, weight in weights.items()}
        self.steps = 0

    def update(self, weights, gradient):
        """Take one step: ``weights`` change in place."""
        self.steps += 1
        for name, w in weights.items():
            g, m, v = gradient[name], self.m[name], self.v[name]
            w *= 1 - self.learning_rate * self.weight_decay
            m[:] = 0.9 * m + 0.1 * g
            v[:] = 0.999 * v + 0.001 * g**2
            m_hat = m / (1 - 0.9**self.steps)
            v_hat = v / (1 - 0.999**self.steps)
            w -= self.learning_rate * m_hat / (np.sqrt(v_hat) + 1e-8)


def train_epoch(network, weights, adam, windows, order, batch_size, clip_norm, **loss):
    """Visit the windows in ``order``; return the mean of the losses seen on the way."""
    total = 0.0
    for first in range(0, len(order), batch_size):
        rows = order[first : first + batch_size]
        batch = windows._replace(
            starts=windows.starts[rows], target_starts=windows.target_starts[rows]
        )
        value, gradient = loss_and_gradient(network, weights, batch, **loss)
        clip(gradient, clip_norm)
        adam.update(weights, gradient)
        total += value * len(rows) / len(order)
    return total


def stream_batches(lengths, order, seq_len, batch_size):
    """Return batches of segments (stream, first step, steps), those of a stream in their order."""
    batches = []
    for first in range(0, max(lengths), seq_len):
        going_on = [k for k in order if lengths[k] > first]
        for n in range(0, len(going_on), batch_size):
            chosen = going_on[n : n + batch_size]
            batches.append([(k, first, min(seq_len, lengths[k] - first)) for k in chosen])
    return batches


def train_stream_epoch(network, weights, adam, streams, order, batch_size, clip_norm, **loss):
    """Read all streams from a state of zero; return the mean of the losses seen on the way."""
    zero = np.zeros((2, network.num_layers, network.hidden_size))
    states = dict.fromkeys(order, zero)
    per_step = network.horizon * network.targets
    total = 0.0
    for batch in stream_batches(streams.lengths, order, network.seq_len, batch_size):
        gradient = {name: np.zeros_like(weight) for name, weight in weights.items()}
        count = sum(steps for _, _, steps in batch)
        for k, first, steps in batch:
            start = streams.starts[k] + first
            value, of_segment, states[k] = segment_loss_and_gradient(
                network, weights, streams.inputs, streams.targets, start, steps, states[k], **loss
            )
            total += value / per_step
            for name, g in of_segment.items():
                gradient[name] += g / (count * per_step)
        clip(gradient, clip_norm)
        adam.update(weights, gradient)
    return total / sum(streams.lengths)


def stream_loss(network, weights, streams, **loss):
    """Return the mean loss of the forecasts of streams, each read from a state of zero."""
    zero = np.zeros((2, network.num_layers, network.hidden_size))
    total, count = 0.0, 0
    for start, length, read_from in zip(
        streams.starts, streams.lengths, streams.read_from, strict=True
    ):
        value, _, _ = segment_loss_and_gradient(
            network,
            weights,
            streams.inputs,
            streams.targets,
            start,
            length,
            zero,
            read_from,
            **loss,
        )
        total += value
        count += (length + 1 - read_from) * network.horizon * network.targets
    return total / count


def random_windows(network, n, rng):
    """Return inputs, starts, targets and target_starts of ``n`` windows in float64.

    Windows overlap, come in any order, and the targets do not follow their window, so a
    mixed-up index shows. All values are positive, as ``window_norm="level"`` wants them.
    """
    time = network.seq_len + network.horizon + n + 3
    inputs = rng.uniform(0.5, 2.0, (time, network.features))
    targets = rng.uniform(0.5, 2.0, (time, network.targets))
    starts = rng.integers(0, time - network.seq_len + 1, n)
    target_starts = rng.integers(0, time - network.horizon + 1, n)
    return inputs, starts, targets, target_starts
