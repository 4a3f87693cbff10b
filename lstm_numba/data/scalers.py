"""Scaling by column, in float64, fitted on the training part only."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Scaler:
    """An affine map of each column: ``z = (x / 2**exponent - mean) / scale``.

    The power of two is exact. It brings any magnitude that float64 holds near one first,
    so that neither squares nor differences overflow or vanish.

    Attributes
    ----------
    exponent : (columns,) int
    mean, scale : (columns,) float64
        In units of ``2**exponent``.
    """

    exponent: np.ndarray
    mean: np.ndarray
    scale: np.ndarray

    def transform(self, values):
        """Return ``values`` (rows, columns) scaled, in float64."""
        with np.errstate(over="ignore"):
            return (np.ldexp(values, -self.exponent) - self.mean) / self.scale

    def inverse_transform(self, scaled):
        """Return ``scaled`` (..., columns) in the units of the data, in float64."""
        with np.errstate(over="ignore"):
            return np.ldexp(scaled * self.scale + self.mean, self.exponent)


def fit_standard(values, centre=True):
    """Fit the z-score of each column: mean 0, standard deviation 1.

    Two passes over float64 data: an offset of 1e6 on a signal of 1 costs no digits.
    A constant column is given the scale 1.

    Parameters
    ----------
    values : (rows, columns) float64
        The training part, finite.
    centre : bool
        False divides by the standard deviation and leaves the level where it is, for
        ratios to the level to keep their meaning. A constant column is then divided by
        its own size.

    Returns
    -------
    Scaler
    """
    low, high = values.min(axis=0), values.max(axis=0)
    _, exponent = np.frexp(np.maximum(np.abs(low), np.abs(high)))
    near_one = np.ldexp(values, -exponent)
    # The rounded mean of equal values need not be that value; a constant must map to 0.
    constant = low == high
    mean = np.where(constant, near_one[0], near_one.mean(axis=0))
    std = np.sqrt(np.mean((near_one - mean) ** 2, axis=0))
    if centre:
        # One in the units of the data, as far as float64 can say it in units of the column.
        one = np.ldexp(1.0, np.clip(-exponent, -1000, 1000))
        scale = np.where(constant, one, std)
    else:
        scale = np.where(constant, np.where(mean == 0, 1.0, np.abs(mean)), std)
        mean = np.zeros_like(mean)
    return Scaler(exponent, mean, scale)


def lies_below(scaler, values):
    """Return which columns have their farthest value from the mean below it."""
    scaled = scaler.transform(values)
    return -scaled.min(axis=0) > scaled.max(axis=0)


def oriented(scaler, turned):
    """Turn columns upside down.

    A network is not odd in its input. With the columns turned that ``lies_below``, the forecast
    of a series upside down is the forecast of the series, upside down.

    Parameters
    ----------
    scaler : Scaler
        With centre.
    turned : (columns,) bool

    Returns
    -------
    Scaler
        With a negative scale for the columns that are turned.
    """
    return replace(scaler, scale=np.where(turned, -scaler.scale, scaler.scale))


def side_by_side(scalers):
    """Return the scaler of the columns of several scalers, in their order."""
    fields = ("exponent", "mean", "scale")
    return Scaler(*(np.concatenate([getattr(one, name) for one in scalers]) for name in fields))


def columns_of(scaler, columns):
    """Return the scaler of some of the columns of ``scaler``."""
    return Scaler(scaler.exponent[columns], scaler.mean[columns], scaler.scale[columns])


def identity(columns):
    """Return the scaler of ``columns`` columns that changes nothing."""
    return Scaler(np.zeros(columns, dtype=np.int32), np.zeros(columns), np.ones(columns))
