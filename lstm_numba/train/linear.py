"""A linear forecast in closed form: where the network's linear path starts.

For windows x of a target and its horizon y, both shifted and scaled as the network does,

    W, b = argmin  sum |y - W x - b|² + λ |W|²

over all windows and targets (ridge regression; Hoerl & Kennard, 1970). λ is the one that
forecasts the validation windows best; without these, generalised cross-validation chooses
(Golub, Heath & Wahba, 1979).
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

# More windows than these do not change the solution, only the time it takes.
_MAX_WINDOWS = 20_000
_PENALTIES = 10.0 ** np.arange(-6.0, 2.5, 0.5)


def _design(network, windows):
    """Return x (rows, columns), y (rows, horizon), scale (rows,) and covariates for every window and target."""
    n = len(windows.starts)
    chosen = np.unique(np.linspace(0, n - 1, min(n, _MAX_WINDOWS)).astype(np.int64))
    history = windows.inputs[:, : network.targets].astype(np.float64)
    x = sliding_window_view(history, network.seq_len, axis=0)[windows.starts[chosen]]
    y = sliding_window_view(windows.targets.astype(np.float64), network.horizon, axis=0)[
        windows.target_starts[chosen]
    ]
    shift, scale = np.zeros(x.shape[:2]), np.ones(x.shape[:2])
    if network.window_norm == "last":
        shift = x[:, :, -1]
    elif network.window_norm == "level":
        shift = scale = x.mean(axis=2)
    x, y = ((a - shift[..., None]) / scale[..., None] for a in (x, y))
    future = None
    if network.future:
        columns = windows.inputs[:, -network.future :].astype(np.float64)
        future = sliding_window_view(columns, network.horizon, axis=0)[
            windows.target_starts[chosen]
        ]
    return x, y, scale, future


class _Sample:
    """Windows of all targets as one regression: x (rows, targets, seq_len), y (rows, targets, horizon)."""

    def __init__(self, network, windows):
        self.x, self.y, self.scale, self.future = _design(network, windows)

    def covariate_effect(self, weight):
        """Effect (rows, targets, horizon) of the covariates known in advance."""
        return 0.0 if self.future is None else np.einsum("dc,nck->ndk", weight, self.future)

    def squared_error(self, forecast):
        """Mean squared error in the units of the inputs."""
        return float(np.mean(((forecast - self.y) * self.scale[..., None]) ** 2))


def _fit_covariates(sample, rest):
    """Least-squares weights (targets, columns) of the covariates for what the windows leave over."""
    columns = sample.future - sample.future.mean(axis=0)
    flat = columns.transpose(0, 2, 1).reshape(-1, columns.shape[1])
    rest = (rest - rest.mean(axis=0)).transpose(1, 0, 2).reshape(rest.shape[1], -1)
    return np.linalg.lstsq(flat, rest.T, rcond=None)[0].T


class _Ridge:
    """Ridge solutions for all penalties from one eigendecomposition."""

    def __init__(self, x, y):
        self.x_mean, self.y_mean = x.mean(axis=0), y.mean(axis=0)
        x = (x - self.x_mean).reshape(-1, x.shape[-1])
        y = (y - self.y_mean).reshape(-1, y.shape[-1])
        self.rows = len(x)
        self.values, self.vectors = np.linalg.eigh(x.T @ x)
        self.values = np.maximum(self.values, 0.0)
        self.projected = self.vectors.T @ (x.T @ y)
        self.unit = self.values.mean() or 1.0

    def solution(self, penalty):
        """Weight (seq_len, horizon) and bias (targets, horizon)."""
        shrunk = self.projected / (self.values + penalty * self.unit)[:, None]
        weight = self.vectors @ shrunk
        return weight, self.y_mean - self.x_mean @ weight

    def degrees_of_freedom(self, penalty):
        return 1 + np.sum(self.values / (self.values + penalty * self.unit))


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
    sample = _Sample(network, windows)
    held_out = _Sample(network, validation) if validation else None
    effect = np.zeros((network.targets, network.future))
    # Windows and covariates explain parts of the same movement: fit them in turn.
    turns = 8 if network.future else 1
    for turn in range(turns):
        ridge = _Ridge(sample.x, sample.y - sample.covariate_effect(effect))
        best = None
        for penalty in _PENALTIES:
            weight, bias = ridge.solution(penalty)
            if held_out:
                forecast = held_out.x @ weight + bias + held_out.covariate_effect(effect)
                error = held_out.squared_error(forecast)
            else:
                forecast = sample.x @ weight + bias + sample.covariate_effect(effect)
                spare = max(1e-3, 1 - ridge.degrees_of_freedom(penalty) / ridge.rows)
                error = sample.squared_error(forecast) / spare**2
            if best is None or error < best[0]:
                best = error, weight, bias
        error, weight, bias = best
        if turn < turns - 1:
            effect = _fit_covariates(sample, sample.y - sample.x @ weight - bias)

    start = {"skip.weight": weight.T, "head.bias": bias.reshape(-1)}
    if network.future:
        start["future.weight"] = effect
    return start, error
