"""Default parameters on real series: ahead of the naive forecasts, whatever the seed."""

import os
from pathlib import Path

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


def measured(name, column):
    """Return a series of the folder in LSTM_NUMBA_DATA, which is not part of the project."""
    folder = os.environ.get("LSTM_NUMBA_DATA")
    if not folder:
        pytest.skip("the environment variable LSTM_NUMBA_DATA names no folder with the series")
    frame = pd.read_csv(Path(folder) / name)
    return pd.Series(frame[column].to_numpy(float), pd.to_datetime(frame.iloc[:, 0]))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("name", "column", "freq", "horizon"),
    [
        ("sunspots_monthly.csv.gz", "y", "MS", 24),
        ("vic_electricity_30min.csv.gz", "Demand", "30min", 48),
    ],
)
def test_longer_series(name, column, freq, horizon, seed):
    y = measured(name, column)[-4000:].asfreq(freq)
    history, truth = y[:-horizon], y[-horizon:]
    forecast = default_forecast(history, horizon, seed)
    error = baselines.rmse(truth, forecast)
    assert error < baselines.rmse(truth, baselines.naive(history, horizon))
    season = {"MS": 12, "30min": 48}[freq]
    assert error < baselines.rmse(truth, baselines.seasonal_naive(history, horizon, season))
