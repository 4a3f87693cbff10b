"""Baselines and measures, against loops and numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lstm_numba import baselines, datasets

MONTHS = pd.Series(
    np.arange(30.0) ** 2, index=pd.date_range("2020-01-01", periods=30, freq="MS"), name="y"
)


def test_naive():
    assert_array_equal(baselines.naive(MONTHS, 4), [841.0] * 4)


@pytest.mark.parametrize("season", [1, 2, 5, 12, 30])
@pytest.mark.parametrize("horizon", [1, 5, 40])
def test_seasonal_naive_matches_a_loop(season, horizon):
    known = list(MONTHS)
    for _ in range(horizon):
        known.append(known[-season])
    assert_array_equal(baselines.seasonal_naive(MONTHS, horizon, season), known[30:])


def test_season_of_the_index():
    assert_array_equal(
        baselines.seasonal_naive(MONTHS, 20), baselines.seasonal_naive(MONTHS, 20, 12)
    )
    bare = MONTHS.to_numpy()
    assert_array_equal(baselines.seasonal_naive(bare, 3), baselines.naive(bare, 3))


def test_drift_goes_on_along_the_line_from_first_to_last():
    assert_allclose(baselines.drift(MONTHS, 3), 841 + 29 * np.arange(1, 4))
    assert_allclose(baselines.drift([1e308, -1e308, 0.0], 1), [-5e307])


@pytest.mark.parametrize("forecast", [baselines.naive, baselines.seasonal_naive, baselines.drift])
def test_forms(forecast):
    found = forecast(MONTHS, 5)
    pd.testing.assert_index_equal(found.index, pd.date_range("2022-07-01", periods=5, freq="MS"))
    assert found.name == "y"
    frame = forecast(pd.DataFrame({"a": MONTHS, "b": -MONTHS}), 5)
    assert list(frame.columns) == ["a", "b"]
    assert_array_equal(frame["a"], found)
    assert_array_equal(frame["b"], -found)
    assert forecast(MONTHS.to_numpy(), 5).shape == (5,)
    assert forecast(frame.to_numpy(), 2).shape == (2, 2)


@pytest.mark.parametrize("forecast", [baselines.naive, baselines.seasonal_naive, baselines.drift])
def test_bad_input(forecast):
    for horizon in (0, 1.5, "3", None):
        with pytest.raises(ValueError, match="'horizon' parameter"):
            forecast(MONTHS, horizon)
    with pytest.raises(ValueError, match="NaN"):
        forecast(MONTHS.where(MONTHS > 5), 3)
    with pytest.raises(ValueError, match="must be regular"):
        forecast(MONTHS.drop(MONTHS.index[5]), 3)
    with pytest.raises(ValueError, match=r"0 sample"):
        forecast([], 3)


def test_too_short():
    with pytest.raises(ValueError, match="season of 12 observations, but has 11"):
        baselines.seasonal_naive(MONTHS[:11], 3)
    with pytest.raises(ValueError, match="at least 2 observations, but has 1"):
        baselines.drift([1.0], 3)


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_small_integers_of_numpy(kind):
    y = np.arange(300.0) ** 2
    expected = baselines.seasonal_naive(y, 127, 120)
    assert_array_equal(baselines.seasonal_naive(y, kind(127), kind(120)), expected)
    assert_array_equal(baselines.drift(y, kind(127)), baselines.drift(y, 127))
    assert baselines.mase([1], [2], y, kind(120)) == baselines.mase([1], [2], y, 120)


def test_rmse():
    assert baselines.rmse([1, 2, 3], [1, 2, 6]) == pytest.approx(np.sqrt(3))
    with pytest.raises(ValueError, match=r"\(3,\) and \(2,\)"):
        baselines.rmse([1, 2, 3], [1, 2])


def test_mase():
    # Seasonal differences of the known part: 3, 3, 3.
    assert baselines.mase([10, 11], [4, 14], [1, 2, 3, 4, 5, 6], season_length=3) == 1.5
    assert np.isnan(baselines.mase([1], [2], [5, 5, 5]))
    with pytest.raises(ValueError, match="more than a season of 3"):
        baselines.mase([1], [2], [1, 2, 3], season_length=3)
    with pytest.raises(ValueError, match="'season_length' parameter"):
        baselines.mase([1], [2], [1, 2, 3], season_length=0)


def test_known_scores_on_air_passengers():
    y = datasets.load_air_passengers()
    history, truth = y[:-24], y[-24:]
    assert round(baselines.rmse(truth, baselines.seasonal_naive(history, 24)), 2) == 76.99
