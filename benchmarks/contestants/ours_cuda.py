"""lstm_numba on an NVIDIA GPU: from host arrays to a loss or forecasts on the host."""

from dataclasses import replace

from lstm_numba.nn.device import make_engine

from .ours import infer_on, prepared, train_on


def setup(threads):
    """Nothing to set."""


def train(size, threads, precision="float32"):
    """One unit is one training step."""
    network, params, windows, _ = prepared(size)
    network = replace(network, precision=precision)
    engine = make_engine(network, params, batch_size=size.batch, device="cuda")
    return train_on(engine, windows, size)


def infer(size, threads, precision="float32"):
    """One unit is one batch."""
    network, params, windows, _ = prepared(size)
    network = replace(network, precision=precision)
    return infer_on(make_engine(network, params, device="cuda"), windows)
