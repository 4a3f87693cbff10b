"""Panels: many series in one array, one after the other, with their ids and times."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .. import _checks
from .calendar import Calendar, check_kind

ID, TIME, VALUE = "unique_id", "ds", "y"


@dataclass(frozen=True)
class Panel:
    """Series of any lengths in one array.

    Attributes
    ----------
    values : (rows, 1) float64
        Series after series, each from old to new. A copy.
    bounds : (series + 1,) int64
        Series k is ``values[bounds[k]:bounds[k + 1]]``.
    form : PanelForm or Form
        How forecasts, (steps, series), are handed back.
    season_length : int
        Customary steps in a season, the same for all series.
    ids : pandas Index
        In the order of their first appearance.
    labels : list of str
        What messages call the series.
    """

    values: np.ndarray
    bounds: np.ndarray
    form: object
    season_length: int
    ids: pd.Index
    labels: list

    def __len__(self):
        return len(self.labels)

    @property
    def lengths(self):
        """Observations of each series, (series,)."""
        return np.diff(self.bounds)

    def series(self, k):
        """Values of series ``k``, (time, 1)."""
        return self.values[self.bounds[k] : self.bounds[k + 1]]


@dataclass(frozen=True)
class PanelForm:
    """The times of the series of a panel, and the container that it came in.

    Attributes
    ----------
    ids : pandas Index
    calendars : list of Calendar
        One per series.
    has_times : bool
        False where rows were only counted.
    levels : list or None
        Names of the two levels of the index; None for a frame in long form.
    name : hashable
        Of the Series or of the column of the frame with such an index.
    is_frame : bool
    """

    ids: pd.Index
    calendars: list
    has_times: bool
    levels: list | None
    name: object
    is_frame: bool

    def dress(self, values):
        """Give ``values`` (steps, series), the steps after the data, the form of the data."""
        steps = len(values)
        # Most series end at the same time.
        following = {calendar: calendar.future(steps) for calendar in set(self.calendars)}
        first, *others = (following[calendar] for calendar in self.calendars)
        times, ids = first.append(others), self.ids.repeat(steps)
        values = values.T.reshape(-1)
        if self.levels is None:
            return pd.DataFrame({ID: ids, TIME: times, VALUE: values})
        index = pd.MultiIndex.from_arrays([ids, times], names=self.levels)
        if self.is_frame:
            return pd.DataFrame({self.name: values}, index=index)
        return pd.Series(values, index=index, name=self.name)


def is_panel(data):
    """Whether ``data`` are many series in rows: with a column unique_id, or an (id, time) index."""
    if isinstance(data, pd.DataFrame) and ID in data.columns:
        return True
    return isinstance(data, (pd.Series, pd.DataFrame)) and data.index.nlevels == 2


def panel_of_columns(table):
    """Return the columns of a `Table` as the series of a panel."""
    rows, columns = table.values.shape
    form = table.form
    return Panel(
        values=np.ascontiguousarray(table.values.T).reshape(-1, 1),
        bounds=rows * np.arange(columns + 1),
        form=form,
        season_length=form.calendar.season_length() if form.calendar else 1,
        ids=pd.Index(range(columns) if table.names is None else table.names),
        labels=table.labels,
    )


def read_panel(data, what, like=None):
    """Read a panel, in long form or with an index of ids and times.

    The rows of different series may be mixed; those of one series must be in order.

    Parameters
    ----------
    data : DataFrame with the columns unique_id, y and, if times are known, ds; or Series or
        DataFrame of one column with a MultiIndex of ids and times.
    what : str
        What the messages call it.
    like : PanelForm, optional
        Of the panel that this one goes on from.

    Returns
    -------
    Panel

    Raises
    ------
    TypeError
        Values that are not numbers, times that are no time axis, ids of several types.
    ValueError
        Missing columns, columns that are none of these, values that are not finite, times that
        are missing, there twice, out of order or irregular, series of different frequencies; the
        series are named.
    """
    _checks.check_not_empty((len(data), 1), what)
    is_frame = isinstance(data, pd.DataFrame)
    if is_frame and ID in data.columns:
        _check_columns(data, what)
        ids, column, levels, name = data[ID], data[VALUE], None, VALUE
        times = pd.Index(data[TIME]) if TIME in data.columns else None
    else:
        _check_one_column(data, what)
        ids, times = (data.index.get_level_values(k) for k in (0, 1))
        column = data.iloc[:, 0] if is_frame else data
        levels, name = list(data.index.names), column.name
    codes, ids = _read_ids(ids, what)
    order = np.argsort(codes, kind="stable")
    lengths = np.bincount(codes)
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    values = _checks.check_numeric(column, f"column {name!r} of {what}")[order]

    if times is None:
        calendars = [Calendar(int(n) - 1, 1, TIME) for n in lengths]
    else:
        check_kind(times, f"times of {what}")
        times = times[order]
        _check_order(times, codes[order], ids)
        step_of = None if like is None else like.calendars[0]
        calendars = _read_calendars(times, bounds, ids, step_of)
    _check_values(values, times, bounds, ids)
    form = PanelForm(ids, calendars, times is not None, levels, name, is_frame)
    labels = [f"series {one!r}" for one in ids.tolist()]
    season_length = calendars[0].season_length()
    return Panel(values[:, np.newaxis], bounds, form, season_length, ids, labels)


def _check_columns(data, what):
    names = list(data.columns)
    if not data.columns.is_unique:
        twice = data.columns[data.columns.duplicated()][0]
        raise ValueError(f"The columns of {what} must be unique, but {twice!r} is there twice.")
    others = [name for name in names if name not in (ID, TIME, VALUE)]
    if VALUE not in names or others:
        found = ", ".join(repr(name) for name in names)
        raise ValueError(
            f"A frame with a column {ID!r} is a panel: it must have the columns {ID!r}, {VALUE!r} "
            f"and, if times are known, {TIME!r}, but {what} has {found}. Rename the columns, and "
            "drop others: covariates are not supported for panels yet."
        )


def _check_one_column(data, what):
    if data.ndim == 2 and data.shape[1] != 1:
        raise ValueError(
            f"A frame with an index of two levels (id, time) must have one column, but {what} has "
            f"{data.shape[1]}. Take one of them: covariates and several targets are not supported "
            "for panels yet."
        )


def _read_ids(ids, what):
    """Return the number of the series of each row, and the ids in order of appearance."""
    codes, unique = pd.factorize(ids)
    if (codes < 0).any():
        row = int(np.argmax(codes < 0))
        raise ValueError(
            f"Each row of {what} must have an id, but it is missing at position {row}."
        )
    kind = pd.api.types.infer_dtype(ids)
    if kind.startswith("mixed"):
        types = sorted({type(one).__name__ for one in unique})
        raise TypeError(
            f"The ids of {what} must be of one type, but are {', '.join(types)} ({kind}). Convert "
            "them, for example with astype(str)."
        )
    return codes, pd.Index(unique)


def _check_values(values, times, bounds, ids):
    """Raise unless all values are finite; name series and first positions."""
    bad = np.flatnonzero(~np.isfinite(values))
    if not bad.size:
        return
    series, first = np.unique(np.searchsorted(bounds, bad, side="right") - 1, return_index=True)
    faults = []
    for k, row in zip(series, bad[first], strict=True):
        kind = "NaN (missing values)" if np.isnan(values[row]) else "infinity (inf)"
        time = "" if times is None else f" ({times[row]})"
        faults.append(f"{ids[k]!r} contains {kind} at position {row - bounds[k]}{time}")
    raise ValueError(
        f"The values of each series must be finite, but {_checks.first_three(faults)}. Fill such "
        "values (for example with interpolate() by series), or drop these series."
    )


def _check_order(times, codes, ids):
    """Raise unless the times of each series, in rows sorted by series, are there and increase."""
    if times.hasnans:
        series = np.unique(codes[times.isna()])
        raise ValueError(
            "The times of each series must not be missing, but they are (NaT) in those of "
            f"{_checks.first_three([repr(ids[k]) for k in series])}. Drop these rows."
        )
    clock = _clock(times)
    late = (codes[1:] == codes[:-1]) & (clock[1:] <= clock[:-1])
    if not late.any():
        return
    pairs = pd.DataFrame({ID: codes, TIME: clock})
    twice = pairs.duplicated().to_numpy()
    if twice.any():
        rows = np.flatnonzero(twice)
        rows = rows[np.unique(codes[rows], return_index=True)[1]]
        named = _checks.first_three([f"{ids[codes[row]]!r} has {times[row]} twice" for row in rows])
        raise ValueError(
            f"The times of each series must be unique, but {named} (duplicate time). Keep one row "
            f"per series and time, for example with drop_duplicates or groupby."
        )
    rows = np.flatnonzero(late) + 1
    rows = rows[np.unique(codes[rows], return_index=True)[1]]
    named = _checks.first_three(
        [f"{ids[codes[row]]!r} has {times[row]} after {times[row - 1]}" for row in rows]
    )
    raise ValueError(
        f"Each series must be sorted from old to new, but {named}. Sort the rows by id and time."
    )


def _clock(times):
    """Return times as int64 that increase with them."""
    return times.asi8 if hasattr(times, "asi8") else times.to_numpy(dtype=np.int64)


def _read_calendars(times, bounds, ids, like):
    """Return the calendar of each series; raise where one is irregular or unlike the others."""
    known, faults = {}, {}
    calendars = [None] * len(ids)
    clock = _clock(times)
    # The longest series tells its frequency best, and the others have it most of the time.
    for k in np.argsort(-np.diff(bounds), kind="stable"):
        index = times[bounds[k] : bounds[k + 1]]
        # Most panels repeat the same times: read them once.
        key = (clock[bounds[k] : bounds[k + 1]]).tobytes()
        if key not in known:
            try:
                known[key] = Calendar.from_index(index, like)
            except ValueError as error:
                faults[k] = error
                continue
            like = like or known[key]
        calendars[k] = known[key]
    if faults:
        k = min(faults)
        others = [repr(ids[other]) for other in sorted(faults) if other != k]
        more = f" The same holds for {_checks.first_three(others)}." if others else ""
        raise ValueError(f"The times of series {ids[k]!r} cannot be read. {faults[k]}{more}")
    season = like.season_length()
    unlike = [k for k in range(len(ids)) if calendars[k].season_length() != season]
    if unlike:
        steps = [f"{ids[k]!r} has {calendars[k].step}" for k in unlike]
        raise ValueError(
            f"All series must have the same frequency ({like.step}), but "
            f"{_checks.first_three(steps)}. Fit panels of other frequencies on their own."
        )
    return calendars
