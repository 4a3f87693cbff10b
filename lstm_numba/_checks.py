"""The checks that a user can trip over, each with its message.

A message says what must hold, what was found (by name) and what to do about it.
Checks run before training, and in front of kernels, which trust their input.
"""

import numbers
import warnings

import numpy as np
import pandas as pd

# float64 holds every integer up to here; beyond, neighbours merge.
LARGEST_EXACT_INTEGER = 2**53


class InvalidParameterError(ValueError, TypeError):
    """A parameter of a public function or estimator has a wrong type or value."""


# --- parameters --------------------------------------------------------------


def _is_int(value):
    # A span of time is an integer for NumPy.
    return isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.timedelta64))


def whole(low):
    """Rule of an int from ``low`` on; a rule is a test of a value, and its text."""

    def holds(value):
        return _is_int(value) and value >= low

    return holds, f"an int in the range [{low}, inf)"


def real(low, high, closed_low):
    """Rule of a float between ``low`` and ``high``."""

    def holds(value):
        if not isinstance(value, numbers.Real) or isinstance(value, bool):
            return False
        return low < value < high or (closed_low and value == low)

    return holds, f"a float in the range {'[' if closed_low else '('}{low}, {high})"


def one_of(*choices):
    """Rule of a str that is one of ``choices``."""

    def holds(value):
        return isinstance(value, str) and value in choices

    return holds, "one of " + ", ".join(repr(choice) for choice in choices)


def or_none(rule):
    """Rule of None beside what ``rule`` allows."""
    holds, text = rule
    return (lambda value: value is None or holds(value)), text + ", or None"


def _holds_flag(value):
    return isinstance(value, (bool, np.bool_))


def _holds_verbose(value):
    return _holds_flag(value) or whole(0)[0](value)


def _holds_n_jobs(value):
    return whole(-(2**31))[0](value) and value != 0


def _holds_dtype(value):
    try:
        return value is not None and np.dtype(value) in (np.float32, np.float64)
    except TypeError:
        return False


def _holds_random_state(value):
    if isinstance(value, np.random.RandomState):
        return True
    return whole(0)[0](value) and value < 2**32


flag = _holds_flag, "a bool"

PARAMETERS = {
    "horizon": whole(1),
    "stride": whole(1),
    "seq_len": or_none(whole(1)),
    "scope": one_of("global", "local"),
    "cell": one_of("lstm", "gru", "rnn"),
    "hidden_size": whole(1),
    "num_layers": whole(1),
    "loss": one_of("mse", "mae", "huber"),
    "scaler": or_none(one_of("standard")),
    "window_norm": or_none(one_of("auto", "last", "level")),
    "linear_skip": flag,
    "stateful": flag,
    "season_length": or_none(whole(1)),
    "learning_rate": real(0, np.inf, closed_low=False),
    "weight_decay": real(0, np.inf, closed_low=True),
    "clip_norm": real(0, np.inf, closed_low=False),
    "max_epochs": whole(1),
    "batch_size": whole(1),
    "early_stopping": flag,
    "validation_fraction": real(0, 1, closed_low=False),
    "n_iter_no_change": whole(1),
    "dtype": (_holds_dtype, "'float32' or 'float64'"),
    "device": one_of("auto", "cpu", "cuda"),
    "precision": one_of("float32", "tf32"),
    "n_jobs": or_none((_holds_n_jobs, "an int other than 0")),
    "random_state": or_none((_holds_random_state, "an int in [0, 2**32), a RandomState")),
    "warm_start": flag,
    "verbose": (_holds_verbose, "a bool or an int in the range [0, inf)"),
}


def plain(value):
    """Return an int of NumPy as one of Python, which does not overflow; all else as it is."""
    return int(value) if isinstance(value, np.integer) and _is_int(value) else value


def check_parameter(name, value, owner, rule=None):
    """Return ``value``, `plain`; raise unless the parameter ``name`` of ``owner`` may have it."""
    holds, text = rule or PARAMETERS[name]
    if not holds(value):
        raise InvalidParameterError(
            f"The {name!r} parameter of {owner} must be {text}. Got {value!r} instead."
        )
    return plain(value)


def check_parameters(values, owner):
    """Check every item of the dict ``values``; see `check_parameter`."""
    for name, value in values.items():
        check_parameter(name, value, owner)


def check_stateful(scope, window_norm):
    """Raise unless the other parameters have a meaning with stateful=True."""
    if scope == "local":
        raise InvalidParameterError(
            "stateful=True is not supported with scope='local'. Use scope='global', one model that "
            "keeps a state for each series, or fit the series one by one."
        )
    if window_norm not in (None, "auto"):
        raise InvalidParameterError(
            f"window_norm={window_norm!r} looks at a whole window, and with stateful=True there is "
            "none: the network reads step after step. Use window_norm='auto' or None."
        )


# --- values ------------------------------------------------------------------


def check_numeric(column, label):
    """Return a 1-D array or Series as a new float64 array, missing values as NaN.

    Parameters
    ----------
    column : 1-D ndarray or Series
    label : str
        What the messages call it, such as ``"column 'price' of X"``.

    Raises
    ------
    TypeError
        Text, categories, dates, durations, containers.
    ValueError
        Complex numbers.

    Warns
    -----
    UserWarning
        Integers that float64 cannot tell apart.
    """
    dtype = column.dtype
    if dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {label} must hold real numbers.")
    if dtype.kind == "O" and not pd.api.types.is_extension_array_dtype(dtype):
        return _objects_as_floats(column, label)
    if not pd.api.types.is_numeric_dtype(dtype):
        hint = "encode it as numbers first"
        if dtype.kind in "mM":
            hint = (
                "if it says when a row was observed, make it the index, with set_index; otherwise "
                "make the numbers you mean of it (hour, weekday, days since ...)"
            )
        raise TypeError(f"{label} must be numeric, but has dtype {dtype}; {hint}.")
    if dtype.kind in "iu":
        _warn_about_large_integers(column, label)
    if isinstance(column, pd.Series):
        return column.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    return np.array(column, dtype=np.float64)


def _objects_as_floats(column, label):
    values = np.empty(len(column))
    for row, item in enumerate(column):
        if item is None or item is pd.NA:
            values[row] = np.nan
        elif isinstance(item, numbers.Complex) and not isinstance(item, numbers.Real):
            raise ValueError(f"Complex data not supported: {label} must hold real numbers.")
        elif isinstance(item, (np.ndarray, np.datetime64, np.timedelta64)) or not hasattr(
            type(item), "__float__"
        ):
            raise TypeError(
                f"{label} must be numeric, but position {row} holds {item!r}; an argument must be "
                "no string or container but a number. Convert it first (pandas.to_numeric)."
            )
        else:
            values[row] = float(item)
    return values


def _warn_about_large_integers(column, label):
    # numpy compares a uint64 with a Python int without wrapping.
    values = column.dropna() if isinstance(column, pd.Series) else column
    if len(values) and max(int(values.max()), -int(values.min())) > LARGEST_EXACT_INTEGER:
        warnings.warn(
            f"{label} holds integers beyond 2**53, which float64 rounds; subtract a constant "
            "or use a coarser unit if the last digits matter.",
            UserWarning,
            stacklevel=2,
        )


def check_finite(values, labels, index=None):
    """Raise unless every entry of ``values`` (rows, columns) is finite.

    The message names the column, the first position and, with an ``index``, its label.
    """
    if np.isfinite(values).all():
        return
    row, col = np.argwhere(~np.isfinite(values))[0]
    missing = np.isnan(values[row, col])
    kind = "NaN (missing values)" if missing else "infinity (inf)"
    count = int((np.isnan if missing else np.isinf)(values[:, col]).sum())
    where = f"position {row}" + (f" ({index[row]})" if index is not None else "")
    raise ValueError(
        f"{labels[col]} must be finite, but contains {kind} {count} time{'s' * (count > 1)}, first "
        f"at {where}. Fill such values (for example with interpolate()) or leave out "
        "that part of the data."
    )


def check_representable(values, dtype, what):
    """Raise unless scaled ``values`` are finite in the network's ``dtype``."""
    with np.errstate(over="ignore"):
        finite = np.isfinite(values.astype(dtype, copy=False)).all()
    if not finite:
        raise ValueError(
            f"The magnitude of {what} is too large for {np.dtype(dtype).name} after scaling. "
            "Rescale the data, or use scaler='standard' and dtype='float64'."
        )


def check_axes_of_outputs(y):
    """Raise where numbers that belong to windows have an axis too many."""
    shape = getattr(y, "shape", ())
    if len(shape) > 2:
        hint = " Of what make_windows returns for one target, give y[:, :, 0]." * (shape[-1] == 1)
        raise ValueError(
            f"y must have the shape (batch,) or (batch, outputs), but has {shape}.{hint}"
        )


def check_forecast_finite(values):
    """Raise when a forecast left the range of numbers."""
    if not np.isfinite(values).all():
        raise ValueError(
            "The forecast contains infinity (inf) or NaN: the data are so large that it cannot "
            "be given in their units, or a forecast fed back into the network ran away. Rescale "
            "the data, or ask for fewer steps."
        )


def check_positive(values, labels):
    """Raise unless all ``values`` (rows, targets) are positive, as window_norm='level' needs."""
    bad = np.argwhere(values <= 0)
    if bad.size:
        row, col = bad[0]
        raise ValueError(
            f"window_norm='level' needs positive data, but {labels[col]} holds "
            f"{values[row, col]:g} at position {row}. Use window_norm='last' or 'auto'."
        )


# --- shapes and lengths ------------------------------------------------------


def check_not_empty(shape, what):
    """Raise when a table of ``shape`` (rows, columns) has no rows or no columns."""
    for size, unit in zip(shape, ("sample(s)", "feature(s)"), strict=True):
        if size == 0:
            raise ValueError(
                f"Found {what} with 0 {unit} (shape={tuple(shape)}) while a minimum of 1 "
                "is required."
            )


def check_long_enough(n, seq_len, horizon, what="y"):
    """Raise unless ``n`` observations hold one window and the horizon after it."""
    if n < seq_len + horizon:
        raise ValueError(
            f"{what} must hold at least {seq_len + horizon} observations (seq_len={seq_len} + "
            f"horizon={horizon}), but has {n} sample(s). Give a longer series, or use a "
            "smaller seq_len or horizon."
        )


def first_three(items):
    """Return the first three of a list of texts as one, and how many more there are."""
    more = f" and {len(items) - 3} more" if len(items) > 3 else ""
    return ", ".join(items[:3]) + more


def check_all_long_enough(lengths, labels, seq_len, horizon):
    """Raise unless each series of a panel holds one window and the horizon after it."""
    need = seq_len + horizon
    short = np.flatnonzero(lengths < need)
    if short.size:
        named = first_three([f"{labels[k]} has {lengths[k]}" for k in short])
        raise ValueError(
            f"Each series must hold at least {need} observations (seq_len={seq_len} + "
            f"horizon={horizon}), but {named}. Use a smaller seq_len or horizon, or drop the short "
            "series."
        )
