"""Default parameters on real series: ahead of the naive forecasts, whatever the seed."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lstm_numba import LSTMForecaster, baselines, datasets


def default_forecast(history, horizon, seed):
    return LSTMForecaster(horizon=horizon, random_state=seed).fit(history).predict()


@pytest.mark.parametrize("seed", range(5))
def test_air_passengers(seed):
    y = datasets.load_air_passengers()
    history, truth = y[:-24], y[-24:]
    naive = baselines.rmse(truth, baselines.seasonal_naive(history, 24, season_length=12))
    assert naive == pytest.approx(76.99, abs=0.01)
    # A seasonal naive forecast that knows of the growth scores 56.43.
    assert baselines.rmse(truth, default_forecast(history, 24, seed)) < 56.43


@pytest.mark.parametrize(
    ("load", "horizon"), [(datasets.load_sunspots, 22), (datasets.load_co2, 24)]
)
def test_shipped_series(load, horizon):
    y = load()
    history, truth = y[:-horizon], y[-horizon:]
    error = baselines.rmse(truth, default_forecast(history, horizon, seed=0))
    assert error < baselines.rmse(truth, baselines.naive(history, horizon))
    assert error < baselines.rmse(truth, baselines.seasonal_naive(history, horizon))


def measured(name, column):
    """Return a series of the folder in LSTM_NUMBA_DATA, which is not part of the project."""
    folder = os.environ.get("LSTM_NUMBA_DATA")
    if not folder:
        pytest.skip("the environment variable LSTM_NUMBA_DATA names no folder with the series")
    frame = pd.read_csv(Path(folder) / name)
    return pd.Series(frame[column].to_numpy(float), pd.to_datetime(frame.iloc[:, 0]))


@pytest.mark.parametrize(
    ("name", "column", "freq", "horizon", "season"),
    [
        ("sunspots_monthly.csv.gz", "y", "MS", 24, 12),
        ("vic_electricity_30min.csv.gz", "Demand", "30min", 48, 48),
    ],
)
def test_longer_series_from_several_origins(name, column, freq, horizon, season):
    y = measured(name, column).asfreq(freq)
    errors = []
    for origin in (-1, -5, -9):
        end = len(y) + origin * 3 * horizon
        history, truth = y[end - 2000 : end], y[end : end + horizon]
        forecasts = (
            default_forecast(history, horizon, seed=0),
            baselines.naive(history, horizon),
            baselines.seasonal_naive(history, horizon, season),
        )
        errors.append([baselines.rmse(truth, forecast) for forecast in forecasts])
    own, naive, seasonal = (np.mean(np.square(errors), axis=0)) ** 0.5
    assert own < naive
    assert own < seasonal
