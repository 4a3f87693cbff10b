"""What a trained network forecasts: any number of steps, and how well it does on windows."""

from typing import NamedTuple

import numpy as np

from ..nn.network import Windows
from ..nn.segments import Streams, forecast_streams, zero_states
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


def forecast_from_states(network, params, states, steps, covariates=None):
    """``forecast_steps`` for a network that keeps its state: from the states of ``n`` series."""
    n, horizon = states.h.shape[1], network.horizon
    rows = horizon * -(-steps // horizon)
    inputs = np.zeros((n, rows, network.features), dtype=network.dtype)
    if covariates is not None:
        inputs[:, :steps, network.targets :] = covariates
    flat = inputs.reshape(n * rows, network.features)
    firsts = rows * np.arange(n, dtype=np.int64)
    # The steps that have been forecast are read like observations; at first there are none.
    for origin in range(0, rows, horizon):
        read = min(origin, horizon)
        lengths = np.full(n, read)
        streams = Streams(flat, flat, firsts + origin - read, lengths, lengths)
        block, origins, states = forecast_streams(network, params, streams, states)
        inputs[origins // rows, origin : origin + horizon, : network.targets] = block
    return inputs[:, :steps, : network.targets]


def advance_states(network, params, states, rows, n_threads=1):
    """Return the states of series after they have read on.

    Parameters
    ----------
    states : States
        Not changed.
    rows : list of (time, features) arrays
        Of each series, in network units.
    """
    lengths = np.array([len(own) for own in rows])
    inputs = np.concatenate(rows)
    streams = Streams(inputs, inputs, np.cumsum(lengths) - lengths, lengths, lengths + 1)
    return forecast_streams(network, params, streams, states, n_threads)[2]


def _forecasts(network, params, part, n_threads, device):
    """Yield origins and forecasts of all windows or streams, some at once."""
    if network.stateful:
        begin = zero_states(network, len(part))
        forecasts, origins, _ = forecast_streams(network, params, part, begin, n_threads)
        for first in range(0, len(origins), CHUNK):
            yield origins[first : first + CHUNK], forecasts[first : first + CHUNK]
        return
    for first in range(0, len(part.starts), CHUNK):
        starts, origins = (a[first : first + CHUNK] for a in (part.starts, part.target_starts))
        chunk = part._replace(starts=starts, target_starts=origins)
        yield origins, network.predict(params, chunk, n_threads, device)


class Comparison(NamedTuple):
    """Errors on the same windows, in the units of the data."""

    rmse: float
    rmse_seasonal_naive: float
    windows: int
    season: int  # 1 where there is no season before the first window's horizon


def compare_with_naive(
    network, params, part, scaler, values, season_length, n_threads=1, device="cpu"
):
    """Compare forecasts with the seasonal naive forecast.

    Parameters
    ----------
    part : Windows, or Streams for a network that is ``stateful``
        Of scaled data; their rows are those of ``values``.
    scaler : Scaler
        Of the targets.
    values : (time, targets) float64

    Returns
    -------
    Comparison
    """
    season, count = None, 0
    squares, size = np.zeros(2), np.abs(values).max() or 1.0
    for origins, forecast in _forecasts(network, params, part, n_threads, device):
        if season is None:
            season = season_length if origins[0] >= season_length else 1
        own = scaler.inverse_transform(forecast.astype(np.float64))
        truth = values[origins[:, np.newaxis] + np.arange(network.horizon)]
        naive = values[baselines.seasonal_naive_rows(origins, network.horizon, season)]
        for k, other in enumerate((own, naive)):
            squares[k] += np.sum((truth / size - other / size) ** 2)
        count += len(origins)
    own, naive = size * np.sqrt(squares / (count * network.horizon * values.shape[1]))
    return Comparison(float(own), float(naive), count, season)
