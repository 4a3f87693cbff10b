"""A stream gives, step by step and to the bit, what the batch path gives."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from lstm_numba import LSTMForecaster, datasets
from lstm_numba.nn.network import Network, Windows
from lstm_numba.nn.stream import StateStream


def forecaster(**options):
    return LSTMForecaster(
        horizon=3, seq_len=5, hidden_size=4, max_epochs=2, random_state=0, **options
    )


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).standard_normal((60, 2))


def window_forecasts(model, values, n):
    """Forecasts after each of the last ``n`` rows, of all windows in one batch."""
    network = model.network_
    scaled = model._target_scaler.transform(values).astype(network.dtype)
    starts = np.arange(len(values) - n, len(values)) - network.seq_len + 1
    unseen = np.zeros((network.horizon, network.targets), network.dtype)
    windows = Windows(scaled, starts, unseen, np.zeros(n, np.int64))
    found = network.predict(model.params_, windows).astype(np.float64)
    return model._target_scaler.inverse_transform(found)


@pytest.mark.parametrize("window_norm", [None, "last"])
def test_steps_equal_the_batch(noise, window_norm):  # r01
    model = forecaster(window_norm=window_norm).fit(noise[:40])
    stream, other = model.stream(), model.stream()
    before = model.predict()
    expected = window_forecasts(model, noise, 20)
    for k, row in enumerate(noise[40:]):
        found = stream.step(row)
        assert np.array_equal(found, expected[k])
    assert np.array_equal(other.step(noise[40]), expected[0])
    assert np.array_equal(model.predict(), before)


def test_one_target_gives_one_number_a_step(noise):
    model = forecaster().fit(pd.Series(noise[:40, 0]))
    assert model.stream().step(0.5).shape == (3,)


def test_a_refused_observation_changes_nothing(noise):  # r01
    model = forecaster().fit(noise[:40])
    stream, expected = model.stream(), model.stream().step(noise[40])
    with pytest.raises(ValueError, match="must be finite"):
        stream.step([1.0, np.nan])
    with pytest.raises(ValueError, match=r"2 target\(s\), but its shape is \(3,\)"):
        stream.step([1.0, 2.0, 3.0])
    with pytest.raises(TypeError, match="but it is 'high'"):
        stream.step("high")
    assert np.array_equal(stream.step(noise[40]), expected)


def test_a_constant_series_that_moves_is_no_longer_constant():
    stream = forecaster().fit(np.full(40, 7.0)).stream()
    assert (stream.step(7.0) == 7.0).all()
    assert np.isfinite(stream.step(9.0)).all()


def test_streams_need_one_series_without_covariates(noise):
    y = datasets.load_air_passengers()
    with_covariates = forecaster().fit(pd.DataFrame({"days": y.index.days_in_month}, y.index), y)
    with pytest.raises(ValueError, match="covariates days"):
        with_covariates.stream()
    panel = pd.DataFrame({"unique_id": ["a"] * 40, "y": noise[:40, 0]})
    with pytest.raises(ValueError, match="fitted on a panel"):
        forecaster().fit(panel).stream()


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_kept_state_equals_ever_longer_windows(noise, cell):
    network = Network(1, 2, 4, 2, cell=cell, hidden_size=7, num_layers=2)
    params = network.init(np.random.default_rng(1))
    x = noise.astype(np.float32)
    stream = StateStream(network, params)
    for _ in range(2):
        for t in range(12):
            found = stream.step(x[t])
            whole = dataclasses.replace(network, seq_len=t + 1)
            windows = Windows(x, np.zeros(1, np.int64), x, np.zeros(1, np.int64))
            assert np.array_equal(found, whole.predict(params, windows)[0])
        stream.reset()


def test_a_kept_state_has_no_window():
    with pytest.raises(ValueError, match=r"window_norm='last', skip=True"):
        StateStream(Network(4, 1, 1, 1, skip=True, window_norm="last"), None)
