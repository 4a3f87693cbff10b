"""torch at its best on a CPU: oneDNN's LSTM, fused Adam, subnormal numbers flushed to zero."""

import itertools

import torch
from torch import nn

from . import CLIP_NORM, LEARNING_RATE, Work, collection, fastest, layer_problem, problem


def setup(threads):
    """Flush subnormals before the threads start: they inherit the mode of the first one."""
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads)


class Network(nn.Module):
    """LSTM layers and a linear head."""

    def __init__(self, features, hidden, layers, outputs, weights):
        super().__init__()
        self.lstm = nn.LSTM(features, hidden, layers, batch_first=True)
        self.head = nn.Linear(hidden, outputs)
        self.take(weights)

    @torch.no_grad()
    def take(self, weights):
        """Copy weights; the second of torch's two biases is 0 and is not trained."""
        for name, own in self.lstm.named_parameters():
            if name.startswith("bias_hh"):
                own.zero_().requires_grad_(False)
            else:
                own.copy_(torch.from_numpy(weights[name.replace("bias_ih", "bias")]))
        self.head.weight.copy_(torch.from_numpy(weights["head.weight"]))
        self.head.bias.copy_(torch.from_numpy(weights["head.bias"]))

    def forward(self, x):
        """Forecast from the newest state."""
        return self.head(self.lstm(x)[0][:, -1])


def _trainer(network):
    """Return a function of a batch that takes one training step and returns the loss."""
    params = [own for own in network.parameters() if own.requires_grad]
    adam = torch.optim.Adam(params, lr=LEARNING_RATE, fused=True)

    def step(x, y):
        adam.zero_grad()
        loss = nn.functional.mse_loss(network(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(params, CLIP_NORM)
        adam.step()
        return loss.detach()

    return step


def _prepared(size):
    x, y, weights = problem(size)
    network = Network(size.features, size.hidden, size.layers, 1, weights)
    return network, torch.from_numpy(x), torch.from_numpy(y)


def train(size, threads):
    """One unit is one training step."""
    network, x, y = _prepared(size)
    step = _trainer(network)
    answer = [float(step(x, y)) for _ in range(3)]
    return Work(lambda: step(x, y), answer)


def infer(size, threads):
    """One unit is one batch."""
    network, x, _ = _prepared(size)

    @torch.inference_mode()
    def run():
        return network(x)

    return Work(run, run().ravel().tolist())


def stream(size, threads):
    """One unit is one observation; the faster of two ways."""
    network, x, _ = _prepared(size)
    lstm, head = network.lstm, network.head
    cell = nn.LSTMCell(size.features, size.hidden)
    cell.load_state_dict({name.removesuffix("_l0"): own for name, own in lstm.state_dict().items()})

    def by_layer(observation, state):
        out, state = lstm(observation[None], state)
        return head(out[:, -1]), state

    def by_cell(observation, state):
        state = cell(observation, state)
        return head(state[0]), state

    # Entered once, not at each observation.
    inference = torch.inference_mode()
    inference.__enter__()
    ways = (by_layer, (1, 1, size.hidden), "LSTM"), (by_cell, (1, size.hidden), "LSTMCell")
    work = fastest(_stream(advance, x, shape, note) for advance, shape, note in ways)
    work.close = lambda: inference.__exit__(None, None, None)
    return work


def _stream(advance, x, shape, note):
    state = torch.zeros(shape), torch.zeros(shape)

    def run(observation=x[:, -1]):
        nonlocal state
        out, state = advance(observation, state)
        return out

    answer = [float(run(observation)) for observation in x.unbind(1)]
    return Work(run, answer, note=note)


def many_series(sizes, threads):
    """One unit is one series: a loop over its batches, as one writes it in torch."""
    values, weights = collection(sizes)
    values = torch.from_numpy(values)
    torch.manual_seed(0)

    def fit(series):
        pairs = series.unfold(0, sizes.seq_len + sizes.horizon, 1)
        x, y = pairs[:, : sizes.seq_len, None], pairs[:, sizes.seq_len :]
        step = _trainer(Network(1, sizes.hidden, 1, sizes.horizon, weights))
        for _ in range(sizes.epochs):
            total = 0.0
            for rows in torch.randperm(len(x)).split(sizes.batch):
                total += step(x[rows], y[rows]) * len(rows)
        return float(total) / len(x)

    answer = [fit(series) for series in values[:4]]
    series = itertools.cycle(values)
    return Work(lambda: fit(next(series)), answer)


def _layer(case, weights):
    """Return a module with the weights of a case."""
    kind = {"GRU": nn.GRU, "simple RNN": nn.RNN}.get(case.variant, nn.LSTM)
    made = kind(case.features, case.hidden, batch_first=True)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            weight[...] = torch.from_numpy(weights[name])
    return made


def layer(case, threads):
    """One unit is one batch, forward and backward; ragged rows in a packed sequence."""
    x, dy, lengths, _, weights = layer_problem(case)
    made = _layer(case, weights)
    x, dy = torch.from_numpy(x).requires_grad_(), torch.from_numpy(dy)
    lengths = torch.from_numpy(lengths)

    def plain():
        return made(x)[0]

    def ragged():
        packed = nn.utils.rnn.pack_padded_sequence(
            x, lengths, batch_first=True, enforce_sorted=False
        )
        y, _ = made(packed)
        return nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=case.seq_len)[0]

    forward = ragged if case.variant == "ragged" else plain

    def run():
        x.grad = None
        y = forward()
        y.backward(dy)
        return y, x.grad

    y, dx = run()
    return Work(run, [*y[:, :, 0].ravel().tolist(), *dx[:, :, 0].ravel().tolist()])
