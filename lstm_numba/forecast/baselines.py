"""Forecasts that any model has to beat, and the measures to compare them with."""

import numpy as np

from .. import _checks
from ..data.tables import read_table


def naive(y, horizon):
    """Forecast the last observation.

    Parameters
    ----------
    y : Series, DataFrame or array of shape (time,) or (time, targets)
    horizon : int

    Returns
    -------
    Series, DataFrame or ndarray
        In the form of ``y``; pandas with the index of the next ``horizon`` steps.

    Raises
    ------
    ValueError, TypeError
        See `LSTMForecaster.fit`, which has the same demands on ``y``.

    Examples
    --------
    >>> from lstm_numba import baselines
    >>> baselines.naive([1.0, 3.0, 2.0], horizon=2).tolist()
    [2.0, 2.0]
    """
    return seasonal_naive(y, horizon, season_length=1)


def seasonal_naive(y, horizon, season_length=None):
    """Forecast the last season, over and over.

    Parameters
    ----------
    y : Series, DataFrame or array of shape (time,) or (time, targets)
    horizon : int
    season_length : int, optional
        Steps in a season. By default taken from the frequency of the index: 12 for
        months, 24 for hours, and so on; 1 where there is none.

    Returns
    -------
    Series, DataFrame or ndarray
        In the form of ``y``; pandas with the index of the next ``horizon`` steps.

    Raises
    ------
    ValueError, TypeError
        If ``y`` is shorter than a season; else as `naive`.

    Examples
    --------
    >>> from lstm_numba import baselines
    >>> baselines.seasonal_naive([1.0, 3.0, 2.0, 4.0], horizon=3, season_length=2).tolist()
    [2.0, 4.0, 2.0]
    """
    horizon = _checks.check_parameter("horizon", horizon, "seasonal_naive")
    season_length = _checks.check_parameter("season_length", season_length, "seasonal_naive")
    table = read_table(y, "y")
    form = table.form
    if season_length is None:
        season_length = form.calendar.season_length() if form.calendar else 1
    n = len(table.values)
    if n < season_length:
        raise ValueError(
            f"y must hold at least one season of {season_length} observations, but has {n} "
            "sample(s). Give a longer series or a smaller season_length."
        )
    return form.dress(table.values[seasonal_naive_rows([n], horizon, season_length)[0]])


def drift(y, horizon):
    """Go on from the last observation by the mean step of the series.

    Parameters
    ----------
    y : Series, DataFrame or array of shape (time,) or (time, targets)
    horizon : int

    Returns
    -------
    Series, DataFrame or ndarray
        In the form of ``y``; pandas with the index of the next ``horizon`` steps.

    Raises
    ------
    ValueError, TypeError
        If ``y`` has less than two observations; else as `naive`.

    Examples
    --------
    >>> from lstm_numba import baselines
    >>> baselines.drift([1.0, 3.0, 2.0], horizon=2).tolist()
    [2.5, 3.0]
    """
    horizon = _checks.check_parameter("horizon", horizon, "drift")
    table = read_table(y, "y")
    values = table.values
    if len(values) < 2:
        raise ValueError(f"y must hold at least 2 observations, but has {len(values)} sample(s).")
    # Divided before subtracted: the range of large numbers may overflow.
    step = values[-1] / (len(values) - 1) - values[0] / (len(values) - 1)
    return table.form.dress(values[-1] + np.arange(1, horizon + 1)[:, np.newaxis] * step)


def seasonal_naive_rows(origins, horizon, season_length):
    """Return the rows that the seasonal naive forecast repeats.

    Parameters
    ----------
    origins : (n,) int
        First rows to forecast, each at least ``season_length``.

    Returns
    -------
    (n, horizon) int
    """
    return np.asarray(origins)[:, np.newaxis] - season_length + np.arange(horizon) % season_length


def rmse(y_true, y_pred):
    """Return the root of the mean squared error.

    Parameters
    ----------
    y_true, y_pred : array-like of the same shape
        Compared position by position.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> from lstm_numba import baselines
    >>> baselines.rmse([1.0, 2.0], [1.0, 4.0])
    1.4142135623730951
    """
    return float(np.sqrt(np.mean(_errors(y_true, y_pred) ** 2)))


def mase(y_true, y_pred, y_train, season_length=1):
    """Return the mean absolute scaled error of Hyndman & Koehler (2006).

    The mean absolute error, divided by that of the seasonal naive forecast one season
    ahead over the training part: below 1 is better.

    Parameters
    ----------
    y_true, y_pred : array-like of the same shape
    y_train : array-like
        One series: what the forecast was made from.
    season_length : int, default=1

    Returns
    -------
    float
        NaN when the training part repeats its season exactly.

    Raises
    ------
    ValueError
        If the shapes differ, or ``y_train`` is not longer than a season.

    Examples
    --------
    >>> from lstm_numba import baselines
    >>> baselines.mase([4.0, 5.0], [4.0, 6.0], y_train=[1.0, 2.0, 3.0])
    0.5
    """
    at_least_one = _checks.PARAMETERS["horizon"]
    season_length = _checks.check_parameter("season_length", season_length, "mase", at_least_one)
    errors = _errors(y_true, y_pred)
    known = np.asarray(y_train, dtype=np.float64)
    if len(known) <= season_length:
        raise ValueError(
            f"y_train must hold more than a season of {season_length} observations, but has "
            f"{len(known)}."
        )
    scale = np.mean(np.abs(known[season_length:] - known[:-season_length]))
    return float(np.mean(np.abs(errors)) / scale) if scale > 0 else float("nan")


def _errors(y_true, y_pred):
    truth = np.asarray(y_true, dtype=np.float64)
    forecast = np.asarray(y_pred, dtype=np.float64)
    if truth.shape != forecast.shape:
        raise ValueError(
            f"y_true and y_pred must have the same shape, but have {truth.shape} and "
            f"{forecast.shape}."
        )
    return truth - forecast
