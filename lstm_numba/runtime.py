"""What this installation runs on, and how to have it compiled before it is needed."""

import dataclasses
import itertools
import os
import platform
from importlib.metadata import version

import numpy as np

from . import __version__
from .kernels.jit import cache_folder
from .kernels.tile import VECTOR_BYTES
from .nn.device import usable_devices
from .nn.layers import GRU, LSTM, SimpleRNN
from .nn.network import Network, Windows
from .nn.segments import Streams, forecast_streams, zero_states
from .nn.stream import StateStream, WindowStream
from .train.many import train_many
from .train.trainer import train


def warmup(device="cpu", dtypes=("float32",), cells=("lstm",), parts=("windows",)):
    """Compile the kernels of a fit and a forecast, or load them from the disk cache.

    Run it once after installing (in an image, in a notebook's first cell), and later fits start at
    once: compiled kernels are kept on disk, see ``info()["cache"]``. What is not asked for is
    compiled at its first use.

    Parameters
    ----------
    device : "cpu" or "cuda"
        Kernels for the GPU are compiled once in each process, and not kept.
    dtypes : iterable of "float32" and "float64"
    cells : iterable of "lstm", "gru" and "rnn"
    parts : iterable of str, or "all"
        Uses that have kernels of their own: "windows", the fit and forecast of an estimator;
        "local", of ``scope="local"``; "stateful", of ``stateful=True`` with its updates; "stream";
        "layers", ``LSTM``, ``GRU`` and ``SimpleRNN`` with their defaults. Each takes some 10
        seconds, and there is "windows" alone for "cuda".

    Raises
    ------
    ValueError
        For another device or part.
    RuntimeError
        If there is no GPU that can be used.

    Examples
    --------
    >>> import lstm_numba
    >>> lstm_numba.warmup()
    """
    if device not in ("cpu", "cuda"):
        raise ValueError(f'device must be "cpu" or "cuda", but it is {device!r}.')
    parts = tuple(_PARTS) if isinstance(parts, str) and parts == "all" else tuple(parts)
    for part in parts:
        if part not in _PARTS:
            raise ValueError(
                f'parts must be "all" or some of {", ".join(_PARTS)}, but hold {part!r}.'
            )
    for dtype, cell in itertools.product(dtypes, cells):
        network = Network(
            seq_len=2, features=1, horizon=1, targets=1, cell=cell, hidden_size=1, dtype=dtype
        )
        if device == "cuda":
            _warm_windows(network, "cuda")
            continue
        for part in parts:
            _PARTS[part](network)


def _both(network):
    """A small network and a wide one, which may run with other kernels."""
    return network, dataclasses.replace(network, hidden_size=64)


def _windows_of(network, n=2):
    series, starts = np.arange(n + 2, dtype=network.dtype)[:, None], np.arange(n)
    return Windows(series, starts, series, starts + 2)


def _trained(network, data, device="cpu"):
    rng = np.random.default_rng(0)
    run = train(network, network.init(rng), data, data, max_epochs=1, rng=rng, device=device)
    return run.params


def _warm_windows(network, device="cpu"):
    for model in _both(network) if device == "cpu" else (network,):
        windows = _windows_of(model)
        model.predict(_trained(model, windows, device), windows, device=device)


def _warm_local(network):
    for model in _both(network):
        params = model.init(np.random.default_rng(0))[None]
        limits, seeds = np.array([[0, 1, 1, 2]]), np.zeros(1, np.uint64)
        windows = _windows_of(model, 2)
        train_many(model, params, windows, limits, max_epochs=1, seeds=seeds)


def _warm_stateful(network):
    network = dataclasses.replace(network, stateful=True)
    series, one = np.arange(4, dtype=network.dtype)[:, None], np.ones(1, np.int64)
    streams = Streams(series, series, 0 * one, 3 * one, one)
    params = _trained(network, streams)
    forecast_streams(network, params, streams, zero_states(network, 1))


def _warm_stream(network):
    for model in _both(network):
        params = model.init(np.random.default_rng(0))
        StateStream(model, params).step([0.0])
        WindowStream(model, params, np.zeros((model.seq_len, 1), model.dtype)).step([0.0])


def _warm_layer(network):
    layer = {"lstm": LSTM, "gru": GRU, "rnn": SimpleRNN}[network.cell](1, 1, dtype=network.dtype)
    y, _ = layer(np.zeros((1, 1, 1)), training=True)
    layer.backward(y)


_PARTS = {
    "windows": _warm_windows,
    "local": _warm_local,
    "stateful": _warm_stateful,
    "stream": _warm_stream,
    "layers": _warm_layer,
}


def info():
    """Return versions, cores, vector width, devices and the folder of compiled kernels.

    Returns
    -------
    dict
        ``versions``, ``cores`` (those this process may use), ``vector_bits``, ``devices`` (with
        "cuda" where a GPU can be used), ``cache``.

    Examples
    --------
    >>> import lstm_numba
    >>> sorted(lstm_numba.info())
    ['cache', 'cores', 'devices', 'vector_bits', 'versions']
    """
    packages = ("numba", "llvmlite", "numpy", "pandas", "scikit-learn")
    usable = getattr(os, "sched_getaffinity", None)
    return {
        "versions": {"lstm_numba": __version__, "python": platform.python_version()}
        | {package: version(package) for package in packages},
        "cores": len(usable(0)) if usable else os.cpu_count(),
        "vector_bits": 8 * VECTOR_BYTES,
        "devices": usable_devices(),
        "cache": cache_folder(),
    }
