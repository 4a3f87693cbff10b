"""lstm_numba: as its trainer, its estimators and its streams call it."""

import time

import numpy as np

from lstm_numba import GRU, LSTM, SimpleRNN
from lstm_numba.nn.engine import Engine, make_step
from lstm_numba.nn.network import Network, Windows
from lstm_numba.nn.stream import StateStream
from lstm_numba.train.many import train_many

from . import CLIP_NORM, LEARNING_RATE, Work, collection, layer_problem, problem

# The trainer comes back to Python after as many batches as take this long.
CALL_SECONDS = 0.05


def setup(threads):
    """Nothing to set: the number of threads is an argument of each call."""


def train(size, threads):
    """One unit is one training step."""
    network, params, windows, _ = prepared(size)
    return train_on(Engine(network, params, threads, size.batch), windows, size)


def train_on(engine, windows, size):
    """Measure the training steps of an engine."""
    engine.__enter__()
    step = make_step(learning_rate=LEARNING_RATE, clip_norm=CLIP_NORM)
    answer = [engine.train(windows, 0, 1, size.batch, step, done) / size.batch for done in range(3)]
    began = time.perf_counter()
    engine.train(windows, 0, 1, size.batch, step, 3)
    batches = max(1, int(CALL_SECONDS / (time.perf_counter() - began)))
    rows = np.tile(np.arange(size.batch), batches)
    windows = windows._replace(
        starts=windows.starts[rows], target_starts=windows.target_starts[rows]
    )
    done = 4

    def run():
        nonlocal done
        engine.train(windows, 0, batches, size.batch, step, done)
        done += batches

    return Work(run, answer, batches, close=lambda: engine.__exit__(None, None, None))


def infer(size, threads):
    """One unit is one batch."""
    network, params, windows, _ = prepared(size)
    return infer_on(Engine(network, params, threads), windows)


def infer_on(engine, windows):
    """Measure the forecasts of an engine."""
    engine.__enter__()

    def run():
        return engine.forecast(windows)

    return Work(run, run().ravel().tolist(), close=lambda: engine.__exit__(None, None, None))


def stream(size, threads):
    """One unit is one observation."""
    network, params, _, x = prepared(size)
    one = StateStream(network, params)
    answer = [float(one.step(observation)[0, 0]) for observation in x[0]]
    newest = x[0, -1]
    return Work(lambda: one.step(newest), answer)


def many_series(sizes, threads):
    """One unit is one series."""
    values, weights = collection(sizes)
    network = Network(
        seq_len=sizes.seq_len,
        features=1,
        horizon=sizes.horizon,
        targets=1,
        hidden_size=sizes.hidden,
    )
    params = np.tile(_flat(network, weights), (sizes.series, 1))
    n = sizes.points - sizes.seq_len - sizes.horizon + 1
    series = np.arange(sizes.series)[:, None]
    starts = (series * sizes.points + np.arange(n)).ravel()
    flat = values.reshape(-1, 1)
    windows = Windows(flat, starts, flat, starts + sizes.seq_len)
    limits = np.hstack([series * n, series * n + n, 0 * series, 0 * series])

    def run(first=sizes.series):
        return train_many(
            network,
            params[:first],
            windows,
            limits[:first],
            learning_rate=LEARNING_RATE,
            clip_norm=CLIP_NORM,
            max_epochs=sizes.epochs,
            batch_size=sizes.batch,
            seeds=np.arange(first),
            n_threads=threads,
        )

    return Work(run, [trained.train_loss[-1] for trained in run(4)], sizes.series)


def layer(case, threads):
    """One unit is one batch, forward and backward."""
    x, dy, lengths, mask, weights = layer_problem(case)
    make = {"GRU": GRU, "simple RNN": SimpleRNN}.get(case.variant, LSTM)
    options, steps = {
        "ragged": ({}, {"lengths": lengths}),
        "mask": ({}, {"mask": mask}),
        "recurrent dropout": ({"recurrent_dropout": 0.2}, {}),
        "activations": (
            {"activation": "softsign", "recurrent_activation": "hard_sigmoid"},
            {},
        ),
    }.get(case.variant, ({}, {}))
    made = make(case.features, case.hidden, n_jobs=threads, random_state=0, **options)
    for name, weight in made.weights.items():
        weight[...] = weights[name]

    def run():
        y, _ = made(x, training=True, **steps)
        dx, _ = made.backward(dy)
        return y, dx

    y, dx = run()
    return Work(run, [*y[:, :, 0].ravel().tolist(), *dx[:, :, 0].ravel().tolist()])


def prepared(size):
    x, y, weights = problem(size)
    network = Network(
        seq_len=size.seq_len,
        features=size.features,
        horizon=1,
        targets=1,
        hidden_size=size.hidden,
        num_layers=size.layers,
    )
    rows = np.arange(size.batch)
    windows = Windows(x.reshape(-1, size.features), rows * size.seq_len, y, rows)
    return network, _flat(network, weights), windows, x


def _flat(network, weights):
    flat = np.empty(network.layout.size, network.dtype)
    for name, view in network.views(flat).items():
        view[...] = weights[name]
    return flat
