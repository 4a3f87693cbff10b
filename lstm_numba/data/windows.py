"""Windows of a series: as views for users, as first rows for the network."""

import math

import numpy as np
import pandas as pd

from .. import _checks

# A series without a known season may have one nevertheless, or a slow cycle.
SHORTEST_MEMORY = 24

# An epoch updates the weights once for each segment of a stream: more streams, fewer updates.
LEAST_SEGMENTS = 50


def make_windows(series, seq_len, horizon, stride=1):
    """Cut a series into windows and the steps that follow each of them.

    Nothing is copied: both results are read-only views of the data (pandas copies a
    frame whose columns lie apart in memory, once).

    Parameters
    ----------
    series : array of shape (time,) or (time, features), Series or DataFrame
        Observations from old to new.
    seq_len : int
        Steps in a window.
    horizon : int
        Steps after a window.
    stride : int, default=1
        Steps from the start of a window to the start of the next.

    Returns
    -------
    x : ndarray of shape (batch, seq_len, features)
    y : ndarray of shape (batch, horizon, features)
        ``y[n]`` are the ``horizon`` observations after ``x[n]``.

    Raises
    ------
    ValueError
        If the series does not hold one window and one horizon, has more than two
        dimensions, or a parameter is not a positive int.

    Examples
    --------
    >>> from lstm_numba import make_windows
    >>> x, y = make_windows([1, 2, 3, 4, 5], seq_len=3, horizon=1)
    >>> x.shape, y.shape
    ((2, 3, 1), (2, 1, 1))
    >>> x[1].ravel().tolist(), y[1].ravel().tolist()
    ([2, 3, 4], [5])
    """
    seq_len, horizon, stride = (
        _checks.check_parameter(name, value, "make_windows", rule=_checks.PARAMETERS["horizon"])
        for name, value in (("seq_len", seq_len), ("horizon", horizon), ("stride", stride))
    )
    is_pandas = isinstance(series, (pd.Series, pd.DataFrame))
    values = series.to_numpy() if is_pandas else np.asarray(series)
    if values.ndim not in (1, 2):
        raise ValueError(
            "series must have the shape (time,) or (time, features), but has "
            f"{values.ndim} dimensions (shape={values.shape})."
        )
    _checks.check_long_enough(len(values), seq_len, horizon, "series")
    values = values[:, np.newaxis] if values.ndim == 1 else values
    x = np.lib.stride_tricks.sliding_window_view(values[:-horizon], seq_len, axis=0)
    y = np.lib.stride_tricks.sliding_window_view(values[seq_len:], horizon, axis=0)
    return x[::stride].transpose(0, 2, 1), y[::stride].transpose(0, 2, 1)


def validation_size(n, horizon, fraction):
    """Return the rows of the validation part at the end of ``n`` rows: one horizon at least."""
    return max(horizon, math.ceil(fraction * n))


def window_starts(n, seq_len, horizon, n_valid=0):
    """Return the first rows of the training and of the validation windows.

    A validation window lies before the targets that are its own: it may reach back into the
    training part, but no training window has a target in the validation part.

    Parameters
    ----------
    n : int
        Rows of the series.
    n_valid : int
        Rows of the validation part, the last ones.

    Returns
    -------
    training, validation : (windows,) int64
        The targets of a window start ``seq_len`` rows after it.
    """
    training = np.arange(n - n_valid - seq_len - horizon + 1, dtype=np.int64)
    first = n - n_valid - seq_len if n_valid else n
    validation = np.arange(first, n - seq_len - horizon + 1, dtype=np.int64)
    return training, validation


def choose_seq_len(n_training, horizon, season_length):
    """Choose how many steps a window holds where the user left it open.

    Whole seasons, at least two, that cover the horizon and ``SHORTEST_MEMORY`` steps; no
    more than leaves as many training windows as a window has steps; but one whole season
    where one can be had at all.

    Parameters
    ----------
    n_training : int
        Rows of the training part.

    Returns
    -------
    int
        1 at least, also where the series is too short for that.
    """
    covered = max(2 * season_length, horizon, SHORTEST_MEMORY)
    wanted = math.ceil(covered / season_length) * season_length
    affordable = (n_training - horizon + 1) // 2
    if affordable < season_length <= n_training - horizon:
        return season_length
    return max(1, min(wanted, affordable))


def training_streams(n, seq_len, horizon, most):
    """Cut a series into streams that are read side by side.

    As many as may be, of equal length but for the last, each of whole segments of ``seq_len`` steps
    and of ``LEAST_SEGMENTS`` at least; one stream where the series is too short for two. After each
    step of a stream the series still holds a horizon.

    Parameters
    ----------
    n : int
        Rows of the training part, one more than ``horizon`` at least.
    most : int
        Streams at most.

    Returns
    -------
    starts, lengths : (streams,) int64
        First row, and number of rows.
    """
    steps = n - horizon
    segments = math.ceil(steps / seq_len)
    count = max(1, min(most, segments // LEAST_SEGMENTS))
    length = math.ceil(segments / count) * seq_len
    starts = np.arange(0, steps, length, dtype=np.int64)
    return starts, np.minimum(length, steps - starts)
