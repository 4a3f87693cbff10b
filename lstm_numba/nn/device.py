"""A network set up to run on a device: one engine for the CPU, one for an NVIDIA GPU."""

import functools
import math

import numpy as np

from ..kernels import load
from ..kernels.cpu import Windows
from .engine import Engine

# Device memory that a forecast of many windows may take at once, in bytes.
_FORECAST_BYTES = 1 << 28

# Multiply-adds of a batch's forward pass (windows x seq_len x weights) from which the GPU is taken:
# a training step then costs a processor of 100 GFLOP/s some 6 ms, and the launches and the chain of
# steps of a GPU 1 to 2 ms. An estimate, not a measurement.
_WORTH_A_GPU = 100_000_000


def make_engine(network, params, n_threads=1, batch_size=0, device="cpu"):
    """Return an engine on ``device``, "cpu" or "cuda"; parameters as of ``Engine``."""
    if device == "cpu":
        return Engine(network, params, n_threads, batch_size)
    return CudaEngine(network, params, batch_size)


def choose_device(device, network, n):
    """Return "cpu" or "cuda"; what "auto" means for a batch of ``n`` windows.

    The GPU, if one can be used and the batch is large enough: ``n * seq_len`` times the number of
    weights reaches 10^8. Small work does not even look for a GPU. Streams with a state run on the
    CPU alone.

    Raises
    ------
    ValueError
        If "cuda" is asked for a stateful network.
    """
    if network.stateful:
        if device == "cuda":
            raise ValueError(
                "stateful=True trains on the CPU, but device='cuda' was asked for. Use "
                "device='auto' or 'cpu', or stateful=False."
            )
        return "cpu"
    if device != "auto":
        return device
    if n * network.seq_len * network.layout.size < _WORTH_A_GPU:
        return "cpu"
    kernels = load("cuda")
    return "cpu" if kernels.is_simulated() or kernels.why_not() else "cuda"


def usable_devices():
    """Return the devices that networks can be run on here."""
    kernels = load("cuda")
    return ["cpu"] if kernels.is_simulated() or kernels.why_not() else ["cpu", "cuda"]


class _Mirror:
    """Device copies of the arrays that were used last, so that a series travels once.

    An array must not be changed while the engine that reads it lives.
    """

    def __init__(self, to_device):
        # Series and their targets, starts and target starts, of training and of validation.
        self._copy = functools.lru_cache(maxsize=8)(lambda key: to_device(key.array, key.dtype))

    def __call__(self, array, dtype):
        return self._copy(_Same(array, np.dtype(dtype)))


class _Same:
    """An array as a key: equal to itself alone."""

    def __init__(self, array, dtype):
        self.array, self.dtype = array, dtype

    def __hash__(self):
        return hash((id(self.array), self.dtype))

    def __eq__(self, other):
        return self.array is other.array and self.dtype == other.dtype


class CudaEngine:
    """``Engine`` on an NVIDIA GPU; use as a context manager, like it.

    Weights, gradients and Adam's moments live on the device; ``params`` and ``gradient`` are
    copies.

    Raises
    ------
    RuntimeError
        If there is no GPU that can be used, or it fails.
    MemoryError
        If it has too little memory left.
    """

    def __init__(self, network, params, batch_size=0):
        self._kernels = load("cuda")
        self._kernels.check_device()
        self._network, self._batch_size = network, batch_size
        self._mirror = _Mirror(self._kernels.to_device)
        self._forecasting = None
        with self._kernels.clear_errors():
            self._params = self._kernels.to_device(params, network.dtype)
            if batch_size:
                self._training = self._kernels.Buffers(network, self._params, batch_size, True)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        """Let go of the device's memory."""
        self._params = self._training = self._forecasting = self._mirror = None

    @property
    def params(self):
        """Flat weights, (network.layout.size,): a copy."""
        with self._kernels.clear_errors():
            return self._params.copy_to_host()

    @property
    def gradient(self):
        """Flat gradient of the last batch, (network.layout.size,): a copy."""
        with self._kernels.clear_errors():
            return self._training.gradient.copy_to_host()

    def _on_device(self, windows):
        kinds = (self._network.dtype, np.int64, self._network.dtype, np.int64)
        return Windows(*map(self._mirror, windows, kinds))

    def train(self, windows, first, last, batch_size, step, steps_done, total=0.0, update=True):
        """Train on batches ``first`` to ``last`` - 1; return ``total`` plus the windows' losses."""
        with self._kernels.clear_errors():
            return self._kernels.train_batches(
                self._training, self._on_device(windows), first, last, batch_size, step,
                steps_done, total, update
            )  # fmt: skip

    def _buffers_for(self, n):
        """Return buffers for forecasts, as many rows at once as ``n`` windows and memory ask."""
        network = self._network
        numbers = network.features + (network.num_layers + 1) * 7 * network.hidden_size
        affordable = _FORECAST_BYTES // (8 * numbers * (network.seq_len + 1))
        rows = max(1, min(n, affordable))
        if self._forecasting is None or self._forecasting.batch < rows:
            self._forecasting = None
            self._forecasting = self._kernels.Buffers(network, self._params, rows, False)
        return self._forecasting

    def forecast(self, windows):
        """Return forecasts (n, horizon, targets) in the units of the inputs."""
        n, network, kernels = len(windows.starts), self._network, self._kernels
        out = np.empty((n, network.horizon, network.targets), network.dtype)
        with kernels.clear_errors():
            buffers, windows = self._buffers_for(n), self._on_device(windows)
            shape = (buffers.batch, network.horizon, network.targets)
            rows = kernels.allocate({"out": shape}, network.dtype)["out"]
            for first in range(0, n, buffers.batch):
                valid = min(buffers.batch, n - first)
                kernels.forecast(buffers, windows, first, valid, rows)
                out[first : first + valid] = rows.copy_to_host()[:valid]
        return out

    def loss(self, windows, step):
        """Return the mean loss over all windows."""
        n, network, kernels = len(windows.starts), self._network, self._kernels
        with kernels.clear_errors():
            buffers, windows = self._buffers_for(n), self._on_device(windows)
            pieces = range(0, n, buffers.batch)
            losses = kernels.allocate({"losses": (len(pieces),)}, network.dtype)["losses"]
            for at, first in enumerate(pieces):
                kernels.score(
                    buffers, windows, first, min(buffers.batch, n - first), step, losses, at
                )
            total = math.fsum(losses.copy_to_host())
        return total / (n * network.horizon * network.targets)
