"""A network set up to run on a device: one engine for the CPU, one for an NVIDIA GPU."""

import functools
import math
import operator

import numpy as np

from ..kernels import load
from .engine import Engine

# Device memory that a forecast of many windows may take at once, in bytes.
_FORECAST_BYTES = 1 << 28

# Multiply-adds of a batch's forward pass (windows x seq_len x weights) from which the GPU is taken:
# a training step then costs a processor of 100 GFLOP/s some 6 ms, and the chain of steps of a GPU
# less than 1 ms; what remains has to pay for compiling its kernels, some seconds a process. An
# estimate, not a measurement: that is ``benchmarks.auto_device``.
_WORTH_A_GPU = 100_000_000


def make_engine(network, params, n_threads=1, batch_size=0, device="cpu"):
    """Return an engine on ``device``, "cpu" or "cuda"; parameters as of ``Engine``."""
    if device == "cpu":
        return Engine(network, params, n_threads, batch_size)
    return CudaEngine(network, params, batch_size)


def choose_device(device, network, n):
    """Return "cpu" or "cuda"; what "auto" means for a batch of ``n`` windows.

    The GPU, if one can be used and the batch is large enough: ``n * seq_len`` times the number of
    weights reaches 10^8, which is estimated, not measured yet. Small work does not even look for a
    GPU. Streams with a state run on the CPU alone.

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
        # Series and their targets, of training and of validation.
        self._copy = functools.lru_cache(maxsize=4)(lambda key: to_device(key.array, key.dtype))

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


class OnDevice:
    """What engines share: models of one network on a device, and the series that they read.

    Parameters
    ----------
    network : Network
    params : array, (models, network.layout.size)
        Copied.

    Raises
    ------
    RuntimeError
        If there is no GPU that can be used, or it fails.
    MemoryError
        If it has too little memory left.
    """

    def __init__(self, network, params):
        self._kernels = load("cuda")
        self._kernels.check_device()
        self._network = network
        self._mirror = _Mirror(self._kernels.to_device)
        with self._kernels.clear_errors():
            self._params = self._kernels.to_device(params, network.dtype)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        """Let go of the device's memory."""
        for name in [name for name in vars(self) if name not in ("_kernels", "_network")]:
            setattr(self, name, None)

    def _on_device(self, windows):
        dtype = self._network.dtype
        return windows._replace(
            inputs=self._mirror(windows.inputs, dtype), targets=self._mirror(windows.targets, dtype)
        )


def _batches(n, batch_size, first=0, last=None):
    """Return the spans (batches, 2) of batches ``first`` to ``last`` - 1 of ``n`` windows."""
    starts = batch_size * np.arange(first, -(-n // batch_size) if last is None else last)
    return np.stack([starts, np.minimum(batch_size, n - starts)], axis=1)


class CudaEngine(OnDevice):
    """``Engine`` on an NVIDIA GPU; use as a context manager, like it.

    Weights, gradients and Adam's moments live on the device; ``params`` and ``gradient`` are
    copies. Parameters are those of ``Engine``, errors those of ``OnDevice``.
    """

    def __init__(self, network, params, batch_size=0):
        super().__init__(network, np.asarray(params)[np.newaxis])
        self._forecasting = None
        if batch_size:
            with self._kernels.clear_errors():
                self._training = self._kernels.Buffers(network, self._params, batch_size, True)

    @property
    def params(self):
        """Flat weights, (network.layout.size,): a copy."""
        with self._kernels.clear_errors():
            return self._params.copy_to_host()[0]

    @property
    def gradient(self):
        """Flat gradient of the last batch, (network.layout.size,): a copy."""
        with self._kernels.clear_errors():
            return self._training.gradient.copy_to_host()[0]

    def pieces(self, n):
        """Leave the batches of an epoch together: Python hears Ctrl-C between two launches."""
        yield 0, n

    def train(self, windows, first, last, batch_size, step, steps_done, total=0.0, update=True):
        """Train on batches ``first`` to ``last`` - 1; return ``total`` plus the windows' losses."""
        spans = _batches(len(windows.starts), batch_size, first, last)[:, np.newaxis]
        with self._kernels.clear_errors():
            losses = self._kernels.train_batches(
                self._training, self._on_device(windows), spans, step, np.array([steps_done]),
                update
            )  # fmt: skip
        return functools.reduce(operator.add, losses[:, 0].tolist(), total)

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
        n, network = len(windows.starts), self._network
        out = np.empty((n, network.horizon, network.targets), network.dtype)
        with self._kernels.clear_errors():
            buffers, windows = self._buffers_for(n), self._on_device(windows)
            spans = _batches(n, buffers.batch)
            pieces = self._kernels.forecast(buffers, windows, spans[:, np.newaxis])
            for (first, valid), piece in zip(spans, pieces, strict=True):
                out[first : first + valid] = piece[0, :valid]
        return out

    def loss(self, windows, step):
        """Return the mean loss over all windows."""
        n = len(windows.starts)
        with self._kernels.clear_errors():
            buffers, windows = self._buffers_for(n), self._on_device(windows)
            spans = _batches(n, buffers.batch)[:, np.newaxis]
            return math.fsum(self._kernels.score(buffers, windows, spans, step).ravel()) / n


class CudaModels(OnDevice):
    """Models of one network that train side by side on an NVIDIA GPU; use as a context manager.

    Parameters
    ----------
    network : Network
    params : array, (models, network.layout.size)
    batch_size : int
        Largest batch of a model.
    """

    def __init__(self, network, params, batch_size):
        super().__init__(network, params)
        with self._kernels.clear_errors():
            self._best = self._kernels.to_device(params, network.dtype)
            self._buffers = self._kernels.Buffers(network, self._params, batch_size, True)

    @property
    def best(self):
        """The weights that were kept last, or where training began: a copy."""
        with self._kernels.clear_errors():
            return self._best.copy_to_host()

    def keep(self, models):
        """Keep the weights of some models, (some,) int."""
        with self._kernels.clear_errors():
            self._kernels.keep(models, self._params, self._best)

    def train(self, windows, spans, step, steps_done):
        """Train each model on its batches, and return their losses; see ``train_batches``."""
        with self._kernels.clear_errors():
            return self._kernels.train_batches(
                self._buffers, self._on_device(windows), spans, step, steps_done
            )

    def score(self, windows, spans, step):
        """Return the losses of batches."""
        with self._kernels.clear_errors():
            return self._kernels.score(self._buffers, self._on_device(windows), spans, step)
