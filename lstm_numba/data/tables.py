"""Series, frames and arrays as one float64 table, and back."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .. import _checks
from .calendar import Calendar


@dataclass(frozen=True)
class Table:
    """Numbers in columns, with what is needed to give others the same form.

    Attributes
    ----------
    values : (rows, columns) float64, C order
        A copy: neither later edits of the source nor of results touch it.
    names : list or None
        Column names of a DataFrame, the name of a Series; None for arrays.
    index : pandas Index or None
        None for arrays.
    ndim : int
        1 for a Series or vector, 2 for a frame or matrix.
    labels : list of str
        What messages call the columns.
    """

    values: np.ndarray
    names: list | None
    index: pd.Index | None
    ndim: int
    labels: list

    @property
    def form(self):
        """The form alone, for `Form.dress`; raises when the index is not a regular time axis."""
        calendar = None if self.index is None else Calendar.from_index(self.index)
        return Form(self.names, self.ndim, calendar)


@dataclass(frozen=True)
class Form:
    """How results are handed back: the kind of container that the data came in."""

    names: list | None
    ndim: int
    calendar: Calendar | None

    def dress(self, values):
        """Give ``values`` (steps, columns), the steps after the data, the form of the data."""
        if self.names is None:
            return values[:, 0] if self.ndim == 1 else values
        index = self.calendar.future(len(values))
        if self.ndim == 1:
            return pd.Series(values[:, 0], index=index, name=self.names[0])
        return pd.DataFrame(values, index=index, columns=pd.Index(self.names))


def read_table(data, what):
    """Read a Series, DataFrame or array of one or two dimensions as a finite `Table`.

    Parameters
    ----------
    data : Series, DataFrame or array-like
    what : str
        What the messages call it: "y", "X".

    Raises
    ------
    TypeError
        Columns that are not numbers; sparse matrices.
    ValueError
        Empty, complex or not finite data, more than two dimensions, repeated column names.
    """
    if isinstance(data, pd.DataFrame):
        columns = [data.iloc[:, k] for k in range(data.shape[1])]
        names, index, ndim, shape = list(data.columns), data.index, 2, data.shape
        if not data.columns.is_unique:
            twice = data.columns[data.columns.duplicated()][0]
            raise ValueError(f"The columns of {what} must be unique, but {twice!r} is there twice.")
    elif isinstance(data, pd.Series):
        columns, names, index, ndim, shape = [data], [data.name], data.index, 1, (len(data), 1)
    else:
        array = _as_array(data, what)
        ndim, shape = array.ndim, (len(array), 1) if array.ndim == 1 else array.shape
        columns = list(array.reshape(shape).T)
        names = index = None
    _checks.check_not_empty(shape, what)
    labels = [what]
    if ndim == 2:
        labels = [f"column {name!r} of {what}" for name in names or range(shape[1])]
    values = np.empty(shape)
    for k, column in enumerate(columns):
        values[:, k] = _checks.check_numeric(column, labels[k])
    _checks.check_finite(values, labels, index)
    return Table(values, names, index, ndim, labels)


def _as_array(data, what):
    """Return anything that is no pandas object as an array of one or two dimensions."""
    if hasattr(data, "toarray"):
        raise TypeError(
            f"Sparse data was passed as {what}, but dense data is required. Use .toarray()."
        )
    if isinstance(data, np.ma.MaskedArray):
        data = np.ma.filled(data.astype(np.float64), np.nan)
    array = np.asarray(data)
    if array.ndim not in (1, 2):
        raise ValueError(
            f"{what} must have one or two dimensions, rows being time steps, but has {array.ndim} "
            f"(shape={array.shape})."
        )
    return array
