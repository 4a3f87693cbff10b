"""A linear forecast in closed form: where the network's linear path starts.

For windows x of a target and its horizon y, both shifted and scaled as the network does,

    W, b = argmin  sum |y - W x - b|² + λ |W|²

over all windows and targets (ridge regression; Hoerl & Kennard, 1970). λ is the one that
forecasts the validation windows best. Without these it weighs as much as ten observations:
cross-validation is misled by windows that overlap, and chooses far too little.
"""

import functools
import threading

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from threadpoolctl import ThreadpoolController

# More windows than this do not change the solution, only the time it takes.
_MAX_WINDOWS = 20_000
# In units of the mean eigenvalue of x'x, which grows with the rows.
_PENALTIES = 10.0 ** np.arange(-6.0, 2.5, 0.5)
# Observations that the penalty is worth when there is no validation part to choose it.
_OBSERVATIONS = 10


def _design(network, windows):
    """Return windows, horizons, scales and covariates of all windows and targets.

    Returns
    -------
    x : (rows, targets, seq_len)
    y : (rows, targets, horizon)
    scale : (rows, targets)
    future : (rows, columns, horizon) or None
    """
    starts, target_starts = windows.starts, windows.target_starts
    n = len(starts)
    if n > _MAX_WINDOWS:
        chosen = np.unique(np.linspace(0, n - 1, _MAX_WINDOWS).astype(np.int64))
        starts, target_starts = starts[chosen], target_starts[chosen]
    history = windows.inputs[:, : network.targets].astype(np.float64)
    x = sliding_window_view(history, network.seq_len, axis=0)[starts]
    targets = windows.targets.astype(np.float64)
    y = sliding_window_view(targets, network.horizon, axis=0)[target_starts]
    scale = np.ones(x.shape[:2])
    if network.window_norm == "last":
        last = x[:, :, -1:]
        x, y = x - last, y - last
    elif network.window_norm == "level":
        scale = x.mean(axis=2)
        level = scale[..., None]
        x, y = (x - level) / level, (y - level) / level
    future = None
    if network.future:
        columns = windows.inputs[:, -network.future :].astype(np.float64)
        future = sliding_window_view(columns, network.horizon, axis=0)[target_starts]
    return x, y, scale, future


class _Sample:
    """Windows of all targets as one regression; shapes as in ``_design``."""

    def __init__(self, network, windows):
        self.x, self.y, self.scale, self.future = _design(network, windows)

    def without(self, effect):
        """What is left of y (rows, targets, horizon) without the effect of known covariates."""
        if self.future is None:
            return self.y
        return self.y - np.einsum("dc,nck->ndk", effect, self.future)


def _fit_covariates(sample, rest):
    """Least-squares weights (targets, columns) of covariates for what the windows leave over."""
    columns = sample.future - sample.future.mean(axis=0)
    flat = columns.transpose(0, 2, 1).reshape(-1, columns.shape[1])
    rest = (rest - rest.mean(axis=0)).transpose(1, 0, 2).reshape(rest.shape[1], -1)
    return np.linalg.lstsq(flat, rest.T, rcond=None)[0].T


class _Ridge:
    """Ridge solutions for all penalties from one eigendecomposition, V diag(s) V' = x'x."""

    def __init__(self, x, y):
        self.x_mean, self.y_mean = x.mean(axis=0), y.mean(axis=0)
        x = (x - self.x_mean).reshape(-1, x.shape[-1])
        y = (y - self.y_mean).reshape(-1, y.shape[-1])
        self.rows = len(x)
        values, self.vectors = np.linalg.eigh(x.T @ x)
        values = np.maximum(values, 0.0)
        damped = values + _PENALTIES[:, None] * (values.mean() or 1.0)
        # (penalties, seq_len, horizon): weights on the eigenvectors.
        self.shrunk = (self.vectors.T @ (x.T @ y)) / damped[..., None]
        self.freedom = 1 + (values / damped).sum(axis=1)

    def solution(self, k):
        """Weight (seq_len, horizon) and bias (targets, horizon) of penalty ``k``."""
        weight = self.vectors @ self.shrunk[k]
        return weight, self.y_mean - self.x_mean @ weight

    def errors(self, x, y, scale):
        """Mean squared error of each penalty in the units of the inputs.

            |y - x w|² = |y|² - 2 w'x'y + w'x'x w

        so windows are read once for all penalties.
        """
        scale = scale[..., None]
        x = ((x - self.x_mean) * scale).reshape(-1, x.shape[-1])
        y = ((y - self.y_mean) * scale).reshape(-1, y.shape[-1])
        cross = self.vectors.T @ (x.T @ y)
        gram = self.vectors.T @ (x.T @ x) @ self.vectors
        explained = np.sum(self.shrunk * (2 * cross - gram @ self.shrunk), axis=(1, 2))
        return np.maximum(np.vdot(y, y) - explained, 0.0) / y.size


# The bits of a product or a decomposition depend on the number of BLAS threads, which is a setting
# of the process: one fit at a time has it.
_ONE_BLAS_THREAD = threading.Lock()


@functools.cache
def _blas():
    return ThreadpoolController()


def fit_linear(network, windows, validation=None):
    """Fit the linear path of a network in closed form.

    Parameters
    ----------
    network : Network
        With ``skip``.
    windows, validation : Windows

    Returns
    -------
    start : dict of str to array
        ``skip.weight``, ``head.bias`` and, with covariates known in advance, ``future.weight``,
        shaped as in ``network.views``.
    error : float
        Mean squared error in the units of the inputs: on ``validation``, or without it the
        generalised cross-validation of ``windows``. It compares values of ``window_norm``.
    """
    with _ONE_BLAS_THREAD, _blas().limit(limits=1, user_api="blas"):
        return _fit_linear(network, windows, validation)


def _fit_linear(network, windows, validation):
    sample = _Sample(network, windows)
    held_out = _Sample(network, validation) if validation else None
    effect = np.zeros((network.targets, network.future))
    # Windows and covariates explain parts of the same movement: fit them in turn.
    turns = 8 if network.future else 1
    for turn in range(turns):
        rest = sample.without(effect)
        ridge = _Ridge(sample.x, rest)
        if held_out:
            errors = ridge.errors(held_out.x, held_out.without(effect), held_out.scale)
            best = int(np.argmin(errors))
        else:
            spare = np.maximum(1e-3, 1 - ridge.freedom / ridge.rows)
            errors = ridge.errors(sample.x, rest, sample.scale) / spare**2
            best = int(np.argmin(np.abs(np.log(_PENALTIES * ridge.rows / _OBSERVATIONS))))
        weight, bias = ridge.solution(best)
        if turn < turns - 1:
            effect = _fit_covariates(sample, sample.y - sample.x @ weight - bias)

    start = {"skip.weight": weight.T, "head.bias": bias.reshape(-1)}
    if network.future:
        start["future.weight"] = effect
    return start, float(errors[best])
