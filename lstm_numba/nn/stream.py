"""A network that takes its observations one by one.

``StateStream`` keeps the state of the recurrent layers: a step costs what one step of the
recurrence costs. ``WindowStream`` keeps the last window and runs it anew, as training did: its
forecasts are those of ``Network.predict``.
"""

import dataclasses

import numpy as np

from ..kernels.cpu import (
    VECTOR_BYTES,
    Layer,
    Windows,
    forecast_window,
    make_plan,
    start_stream,
    stream_step,
)
from ..kernels.jit import entry_point
from .engine import make_buffers
from .segments import zero_states


class _Stream:
    """Weights packed once, and the arrays of one forecast."""

    def __init__(self, network, params):
        self.network = network
        self._dtype = np.dtype(network.dtype)
        plan = make_plan(network, VECTOR_BYTES // self._dtype.itemsize)
        buffers = make_buffers(plan, self._dtype, 1, 0)
        buffers.params[: plan.n_params] = params
        self._weights = plan, buffers.params, buffers.packed
        self._work = buffers.work[0]
        start_stream(*self._weights, self._work)


class StateStream(_Stream):
    """A network advanced by one observation at a time, at a cost that no history changes.

    After t steps from a state of zero its forecast is, to the bit, that of the network on a window
    of these t steps.

    Parameters
    ----------
    network : Network
        Without ``window_norm``, ``skip`` and ``future``, which look at a whole window.
    params : array, (network.layout.size,)
    states : States, optional
        Of one stream: where it goes on; by default from zero.

    Raises
    ------
    ValueError
        For a network that looks at a whole window.
    """

    def __init__(self, network, params, states=None):
        whole = [name for name in ("window_norm", "skip", "future") if getattr(network, name)]
        if whole:
            raise ValueError(
                "A stream that keeps a state has no window, but the network was made with "
                f"{', '.join(f'{name}={getattr(network, name)!r}' for name in whole)}. "
                "Use WindowStream."
            )
        super().__init__(dataclasses.replace(network, seq_len=1), params)
        self._begin = zero_states(network, 1) if states is None else states
        self.reset()
        self._x = np.empty(network.features, self._dtype)
        self._out = np.empty((network.horizon, network.targets), self._dtype)
        self._step_args = *self._weights, self._x, self._work, self._out
        self._advance = entry_point(stream_step, self._step_args)

    def reset(self):
        """Set the state to where it began."""
        start_stream(*self._weights, self._work)
        for row, h, c in zip(self._weights[0].layers, *self._begin, strict=True):
            layer = Layer(*row)
            first = layer.tape + layer.h
            self._work[first : first + layer.hidden] = h[0]
            self._work[layer.c : layer.c + layer.hidden] = c[0]

    def step(self, x):
        """Take one observation, (features,); return the forecast, (horizon, targets).

        The array that is returned is the same at each step, and overwritten by the next.
        """
        self._x[:] = x
        self._advance(*self._step_args)
        return self._out


class WindowStream(_Stream):
    """A network on the last window of a growing series.

    Parameters
    ----------
    network : Network
        Without ``future``: a forecast would need covariates that a step does not bring.
    params : array, (network.layout.size,)
    history : array, (seq_len, features)
        The window that the first step shifts by one.
    """

    def __init__(self, network, params, history):
        super().__init__(network, params)
        # Windows move through a longer array, so that not every step shifts all rows.
        self._rows = np.empty((8 * network.seq_len, network.features), self._dtype)
        self._rows[: network.seq_len] = history
        self._start = np.zeros(1, np.int64)
        targets = np.empty((0, network.targets), self._dtype)
        windows = Windows(self._rows, self._start, targets, np.zeros(1, np.int64))
        self._out = np.empty((1, network.horizon, network.targets), self._dtype)
        self._step_args = *self._weights, windows, self._work, self._out
        self._advance = entry_point(forecast_window, self._step_args)

    def step(self, x):
        """Take one observation, (features,); return the forecast, (horizon, targets).

        The array that is returned is the same at each step, and overwritten by the next.
        """
        first, seq_len = self._start[0] + 1, self.network.seq_len
        if first + seq_len > len(self._rows):
            self._rows[: seq_len - 1] = self._rows[first:]
            first = 0
        self._rows[first + seq_len - 1] = x
        self._start[0] = first
        self._advance(*self._step_args)
        return self._out[0]
