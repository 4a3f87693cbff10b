"""A network that takes its observations one by one and keeps its state in between."""

import dataclasses

import numpy as np

from ..kernels.cpu import VECTOR_BYTES, Windows, make_plan, start_stream, stream_step
from ..kernels.jit import entry_point
from .engine import make_buffers


class NetworkStream:
    """A network advanced by one observation at a time, at a cost that no history changes.

    After t steps its forecast is, to the bit, that of the network on a window of these t steps.

    Parameters
    ----------
    network : Network
        Without ``window_norm``, ``skip`` and ``future``, which look at a whole window.
    params : array, (network.layout.size,)

    Raises
    ------
    ValueError
        For a network that looks at a whole window.
    """

    def __init__(self, network, params):
        whole = [name for name in ("window_norm", "skip", "future") if getattr(network, name)]
        if whole:
            raise ValueError(
                "A stream keeps a state and no window, but the network was made with "
                f"{', '.join(f'{name}={getattr(network, name)!r}' for name in whole)}."
            )
        self.network = dataclasses.replace(network, seq_len=1)
        dtype = np.dtype(network.dtype)
        plan = make_plan(self.network, VECTOR_BYTES // dtype.itemsize)
        buffers = make_buffers(plan, dtype, 1, 0)
        buffers.params[: plan.n_params] = params
        self._weights = plan, buffers.params, buffers.packed
        nothing = np.empty((0, 0), dtype), np.empty(0, np.int64)
        nothing_yet = Windows(*nothing, *nothing)
        self._x = np.empty(network.features, dtype)
        self._out = np.empty((network.horizon, network.targets), dtype)
        self._work = buffers.work[0]
        self._step_args = *self._weights, nothing_yet, self._x, self._work, self._out
        self._advance = entry_point(stream_step, self._step_args)
        self.reset()

    def reset(self):
        """Set the state to zero."""
        start_stream(*self._weights, self._work)

    def step(self, x):
        """Take one observation, (features,); return the forecast, (horizon, targets).

        The array that is returned is the same at each step, and overwritten by the next.
        """
        self._x[:] = x
        self._advance(*self._step_args)
        return self._out
