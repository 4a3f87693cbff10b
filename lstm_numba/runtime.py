"""What this installation runs on, and how to have it compiled before it is needed."""

import itertools
import os
import platform
from importlib.metadata import version

import numpy as np

from . import __version__
from .kernels.jit import cache_folder
from .kernels.tile import VECTOR_BYTES
from .nn.device import usable_devices
from .nn.network import Network, Windows
from .train.trainer import train


def warmup(device="cpu", dtypes=("float32",), cells=("lstm",)):
    """Compile the kernels of a fit and a forecast, or load them from the disk cache.

    Run it once after installing (in an image, in a notebook's first cell), and later fits start at
    once: compiled kernels are kept on disk, see ``info()["cache"]``. Those of ``scope="local"``,
    ``stateful=True``, streams and layers are not among them: they are compiled at their first use.

    Parameters
    ----------
    device : "cpu" or "cuda"
        Kernels for the GPU are compiled once in each process, and not kept.
    dtypes : iterable of "float32" and "float64"
    cells : iterable of "lstm", "gru" and "rnn"

    Raises
    ------
    ValueError
        For another device.
    RuntimeError
        If there is no GPU that can be used.

    Examples
    --------
    >>> import lstm_numba
    >>> lstm_numba.warmup()
    """
    if device not in ("cpu", "cuda"):
        raise ValueError(f'device must be "cpu" or "cuda", but it is {device!r}.')
    for dtype, cell in itertools.product(dtypes, cells):
        network = Network(
            seq_len=2, features=1, horizon=1, targets=1, cell=cell, hidden_size=1, dtype=dtype
        )
        series, starts = np.arange(4, dtype=dtype)[:, None], np.arange(2)
        windows = Windows(series, starts, series, starts + 2)
        rng = np.random.default_rng(0)
        run = train(
            network, network.init(rng), windows, windows, max_epochs=1, rng=rng, device=device
        )
        network.predict(run.params, windows, device=device)


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
