"""Time steps: is an index regular, what follows it, how long is its season."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

# Steps of one season for the frequencies whose step is a calendar unit: the week of
# days, the year of everything longer. Keys are pandas' names without anchor ("W-SUN").
_SEASON_OF_UNIT = {
    "D": 7,
    **dict.fromkeys(("B", "C"), 5),
    "W": 52,
    **dict.fromkeys(("SME", "SMS"), 24),
    **dict.fromkeys(("M", "ME", "MS", "BME", "BMS", "CBME", "CBMS", "WOM", "LWOM"), 12),
    **dict.fromkeys(("Q", "QE", "QS", "BQE", "BQS"), 4),
}
_SECONDS = {"h": 3600, "min": 60, "s": 1}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
# Arguments of pandas.DateOffset.
_UNIT_OF_WORD = {
    **{"seconds": "s", "minutes": "min", "hours": "h"},
    **{"days": "D", "weeks": "W", "months": "M"},
}


@dataclass(frozen=True)
class Calendar:
    """The time axis of a series, reduced to its last step and the way to the next.

    Attributes
    ----------
    last : int, Timestamp or Period
        The last time step of the series.
    step : int or pandas offset
        From one time step to the next.
    name : hashable or None
        Name of the index.
    """

    last: object
    step: object
    name: object = None

    @classmethod
    def from_index(cls, index, like=None):
        """Read a calendar off a regular pandas index.

        Accepts integers with a constant step, a ``DatetimeIndex`` (its frequency is
        inferred where it has none; any unit, any time zone) and a ``PeriodIndex``.

        Parameters
        ----------
        index : pandas Index
        like : Calendar, optional
            Its step is taken where it fits: a stamp or two do not tell their frequency.

        Raises
        ------
        TypeError
            Any other kind of index.
        ValueError
            Gaps, duplicates, missing, unsorted or irregular time steps.
        """
        check_kind(index)
        if isinstance(index, pd.DatetimeIndex):
            _check_increasing(index)
            if like and isinstance(like.last, pd.Timestamp) and _has_step(index, like.step):
                return cls(index[-1], like.step, index.name)
            step = index.freq if index.freq is not None else _infer_offset(index)
            return cls(index[-1], step, index.name)
        if isinstance(index, pd.PeriodIndex):
            _check_increasing(index)
            _check_equal(index, pd.period_range(index[0], periods=len(index), freq=index.freq))
            return cls(index[-1], index.freq, index.name)
        _check_increasing(index)
        step = int(index[1]) - int(index[0]) if len(index) > 1 else like.step if like else 1
        start = int(index[0])
        _check_equal(index, pd.RangeIndex(start, start + step * len(index), step))
        return cls(int(index[-1]), step, index.name)

    def future(self, steps):
        """Return the index of the next ``steps`` time steps.

        Hours are absolute and days local: over a change of the clock an hourly index has
        no hole, and midnight stays midnight.
        """
        if isinstance(self.last, pd.Period):
            return pd.period_range(self.last, periods=steps + 1, name=self.name)[1:]
        if isinstance(self.last, pd.Timestamp):
            # From a stamp of its own time zone: naive stamps could fall into the hour that
            # a change of the clock leaves out or repeats.
            stamps = pd.date_range(
                self.last, periods=steps + 1, freq=self.step, unit=self.last.unit, name=self.name
            )
            return stamps[1:]
        start = self.last + self.step
        return pd.RangeIndex(start, start + steps * self.step, self.step, name=self.name)

    def season_length(self):
        """Return the customary number of steps in a season, 1 where there is none.

        A day for steps of a minute or more, an hour for seconds, a week for days, a year
        for weeks and longer: hourly 24, 30 minutes 48, daily 7, business days 5, weekly 52,
        monthly 12, quarterly 4, yearly and plain numbers 1.
        """
        if isinstance(self.step, int):
            return 1
        unit, count = _unit_and_count(self.step)
        if unit in _SECONDS:
            count *= _SECONDS[unit]
            if count % _DAY == 0:
                unit, count = "D", count // _DAY
            else:
                season = _DAY if count >= _MINUTE else _HOUR
                return season // count if season % count == 0 else 1
        season = _SEASON_OF_UNIT.get(unit, 1)
        return season // count if season % count == 0 else 1


def _unit_and_count(step):
    """Return the unit of a pandas offset, without anchor, and how many of it are a step."""
    if type(step) is pd.DateOffset:
        (word, count), *others = (step.kwds or {"days": 1}).items()
        return (None if others else _UNIT_OF_WORD.get(word)), count * step.n
    return step.rule_code.split("-")[0], step.n


def check_kind(index, what="index"):
    """Raise unless ``index`` holds dates, periods or integers."""
    if isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex)):
        return
    if isinstance(index, pd.MultiIndex) or not pd.api.types.is_integer_dtype(index.dtype):
        raise TypeError(
            f"The {what} must be a DatetimeIndex, a PeriodIndex or integers, but is a "
            f"{type(index).__name__} of dtype {index.dtype}. Use pandas.to_datetime for dates, "
            "or reset_index(drop=True) to number the rows."
        )


def _check_increasing(index):
    """Raise unless the time steps are there, unique and in order; name the first fault."""
    if index.hasnans:
        row = int(np.argmax(index.isna()))
        raise ValueError(f"The index must have no missing times, but position {row} is NaT.")
    if not index.is_unique:
        raise ValueError(
            f"The index must be unique, but {index[index.duplicated()][0]} is there twice "
            "(duplicate time). Keep one row per time step, for example with "
            "groupby(level=0).mean()."
        )
    if not index.is_monotonic_increasing:
        row = int(np.argmax(np.asarray(index[1:] < index[:-1]))) + 1
        raise ValueError(
            f"The index must be sorted from old to new, but position {row} ({index[row]}) comes "
            f"after {index[row - 1]}. Use sort_index()."
        )


def _check_equal(index, regular):
    """Raise unless ``index`` equals the ``regular`` one; name the first time that differs."""
    differs = np.flatnonzero(np.asarray(index != regular))
    if differs.size:
        row = int(differs[0])
        raise ValueError(
            f"The index must be regular, without gaps, but {index[row]} at position {row} follows "
            f"{index[row - 1]} where {regular[row]} is due. Fill the gaps (asfreq, reindex), or "
            "use reset_index(drop=True) to number the rows."
        )


def _infer_offset(index):
    """Return the offset between the stamps of an increasing ``DatetimeIndex``."""
    if len(index) < 3:
        raise ValueError(
            f"The frequency of a DatetimeIndex cannot be inferred from {len(index)} stamp(s). "
            "Set it: y = y.asfreq('D')."
        )
    for offset in _candidates(index):
        if _has_step(index, offset):
            return offset
    row = _first_odd_step(index)
    raise ValueError(
        f"The index must be regular, without gaps, but the step from {index[row]} to "
        f"{index[row + 1]} is {index[row + 1] - index[row]}, unlike the others. Fill the gaps "
        "(y.asfreq(...), reindex), or use reset_index(drop=True) to number the rows."
    )


def _has_step(index, offset):
    """Whether the stamps follow each other by ``offset``."""
    regular = pd.date_range(index[0], periods=len(index), freq=offset, unit=index.unit)
    return np.array_equal(regular.asi8, index.asi8)


def _candidates(index):
    """Yield the offsets that might have made ``index``: pandas' guess, then whole months."""
    # Unlike pandas.infer_freq, an offset in every version of pandas.
    inferred = pd.DatetimeIndex(index, freq="infer").freq
    if inferred is not None:
        yield inferred
    first, second = index[0], index[1]
    months = 12 * (second.year - first.year) + second.month - first.month
    if months > 0 and first.day == second.day:
        yield pd.DateOffset(months=months)


def _first_odd_step(index):
    """Return the row before the step that differs most from the usual one."""
    steps = np.diff(index.asi8).astype(np.float64)
    usual = np.median(steps)
    return int(np.argmax(np.maximum(steps / usual, usual / steps)))
