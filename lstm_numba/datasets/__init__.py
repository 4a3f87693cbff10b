"""Small public-domain series; ``README.md`` beside this file names their sources."""

from importlib import resources

import pandas as pd


def load_air_passengers():
    """Return the monthly totals of international airline passengers, 1949 to 1960.

    In thousands; 144 months with a trend, and a season that grows with the level.
    Series G of Box, Jenkins & Reinsel, *Time Series Analysis*.

    Returns
    -------
    Series of int64, named "passengers"
        With a ``DatetimeIndex`` of month starts.

    Examples
    --------
    >>> from lstm_numba.datasets import load_air_passengers
    >>> load_air_passengers().head(2).tolist()
    [112, 118]
    """
    return _load("air_passengers.csv", "MS")


def load_sunspots():
    """Return the yearly mean numbers of sunspots, 1700 to 2008.

    309 years with a cycle of about eleven of them, from the National Geophysical Data Center.

    Returns
    -------
    Series of float64, named "sunspots"
        With a ``DatetimeIndex`` of year starts.

    Examples
    --------
    >>> from lstm_numba.datasets import load_sunspots
    >>> len(load_sunspots())
    309
    """
    return _load("sunspots.csv", "YS")


def load_co2():
    """Return the monthly mean carbon dioxide in the air over Mauna Loa, 1959 to 2001.

    In parts per million; 516 months with a trend and a small, steady season. Keeling & Whorf,
    Scripps Institution of Oceanography. Three months of 1964 without a measurement hold the
    mean of the same month a year before and after.

    Returns
    -------
    Series of float64, named "co2"
        With a ``DatetimeIndex`` of month starts.

    Examples
    --------
    >>> from lstm_numba.datasets import load_co2
    >>> len(load_co2())
    516
    """
    return _load("co2.csv", "MS")


def _load(file, freq):
    """Read a CSV of two columns, time and value, as a Series with that frequency."""
    with resources.files(__name__).joinpath(file).open() as source:
        frame = pd.read_csv(source, dtype={0: str})
    time, value = frame.columns
    index = pd.DatetimeIndex(pd.to_datetime(frame[time]), freq=freq, name=time)
    return pd.Series(frame[value].to_numpy(), index=index, name=value)
