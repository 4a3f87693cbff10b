"""What a trained network forecasts: any number of steps, and how well it does on windows."""

from typing import NamedTuple

import numpy as np

from ..nn.network import Windows
from . import baselines

# Windows forecast at once for the comparison with the seasonal naive forecast.
CHUNK = 4096


def forecast_steps(network, params, history, steps, covariates=None, n_threads=1):
    """Forecast in network units, block by block of the trained horizon.

    Parameters
    ----------
    history : (n, seq_len, features)
        Newest windows of ``n`` series.
    covariates : (steps, columns), optional
        Of the steps to forecast, the same for all series.

    Returns
    -------
    (n, steps, targets) in the network's dtype
    """
    n, seq_len, horizon = len(history), network.seq_len, network.horizon
    origins = range(seq_len, seq_len + steps, horizon)
    rows = origins[-1] + horizon
    inputs = np.zeros((n, rows, network.features), dtype=network.dtype)
    inputs[:, :seq_len] = history
    if covariates is not None:
        inputs[:, seq_len : seq_len + steps, network.targets :] = covariates
    flat = inputs.reshape(n * rows, network.features)
    targets = np.zeros((n * rows, network.targets), dtype=network.dtype)
    firsts = rows * np.arange(n, dtype=np.int64)
    for origin in origins:
        windows = Windows(flat, firsts + (origin - seq_len), targets, firsts + origin)
        block = network.predict(params, windows, n_threads)
        inputs[:, origin : origin + horizon, : network.targets] = block
    return inputs[:, seq_len : seq_len + steps, : network.targets]


class Comparison(NamedTuple):
    """Errors on the same windows, in the units of the data."""

    rmse: float
    rmse_seasonal_naive: float
    windows: int
    season: int  # 1 where there is no season before the first window's horizon


def compare_with_naive(network, params, windows, scaler, values, season_length, n_threads=1):
    """Compare forecasts of windows with the seasonal naive forecast.

    Parameters
    ----------
    windows : Windows
        Of scaled data; their rows are those of ``values``.
    scaler : Scaler
        Of the targets.
    values : (time, targets) float64

    Returns
    -------
    Comparison
    """
    season = season_length if windows.target_starts[0] >= season_length else 1
    squares, size = np.zeros(2), np.abs(values).max() or 1.0
    for first in range(0, len(windows.starts), CHUNK):
        part = slice(first, first + CHUNK)
        origins = windows.target_starts[part]
        chunk = windows._replace(starts=windows.starts[part], target_starts=origins)
        forecast = network.predict(params, chunk, n_threads).astype(np.float64)
        truth = values[origins[:, np.newaxis] + np.arange(network.horizon)]
        naive = values[baselines.seasonal_naive_rows(origins, network.horizon, season)]
        for k, other in enumerate((scaler.inverse_transform(forecast), naive)):
            squares[k] += np.sum((truth / size - other / size) ** 2)
    count = len(windows.starts) * network.horizon * values.shape[1]
    own, naive = size * np.sqrt(squares / count)
    return Comparison(float(own), float(naive), len(windows.starts), season)
