"""Every check that a user can trip over, with its message.

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


def whole(low):
    """Rule of an int from ``low`` on; a rule is a test of a value, and its text."""

    def holds(value):
        is_int = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        return is_int and value >= low

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


def check_parameter(name, value, owner, rule=None):
    """Raise unless ``value`` is allowed for the parameter ``name`` of ``owner``."""
    holds, text = rule or PARAMETERS[name]
    if not holds(value):
        raise InvalidParameterError(
            f"The {name!r} parameter of {owner} must be {text}. Got {value!r} instead."
        )


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


# --- covariates --------------------------------------------------------------


def check_covariate_rows(n_rows, n_targets, x_index, y_index):
    """Raise unless the covariates X of a fit have the rows of y, in the same order."""
    if n_rows != n_targets:
        raise ValueError(
            f"X and y must have one row per time step each, but X has {n_rows} rows and y has "
            f"{n_targets} (inconsistent numbers of samples)."
        )
    if x_index is not None and y_index is not None and not _same_times(x_index, y_index):
        row = int(np.argmax(np.asarray(x_index != y_index)))
        raise ValueError(
            f"The indices of X and y are not aligned: row {row} is {x_index[row]} in X and "
            f"{y_index[row]} in y. Use X = X.loc[y.index]."
        )


def _same_times(index, other):
    # Index.equals also compares the unit of stamps in some versions of pandas.
    return len(index) == len(other) and bool(np.all(index == other))


def check_covariates_given(names, X):
    """Raise unless X is there exactly when the estimator was fitted with covariates."""
    if names and X is None:
        listed = ", ".join(names)
        raise ValueError(
            f"The forecaster was fitted with covariates ({listed}), so predict needs their "
            "future values: give X with one row per step to forecast."
        )
    if not names and X is not None:
        raise ValueError(
            "The forecaster was fitted without covariates, so predict takes no X. Fit it with "
            "fit(X, y) to use covariates, or ask for a number of steps with predict(horizon=...)."
        )


def check_covariates_of_update(names, X_new):
    """Raise unless X_new is there exactly when the estimator was fitted with covariates."""
    if names and X_new is None:
        raise ValueError(
            f"The forecaster was fitted with covariates ({first_three(names)}), so update needs "
            "them for the steps of y_new too: give X_new with one row per step."
        )
    if not names and X_new is not None:
        raise ValueError(
            "The forecaster was fitted without covariates, so update takes no X_new. Leave it out."
        )


def check_new_columns(found, expected, what):
    """Raise unless new observations have as many columns as the data of the fit."""
    if found != expected:
        raise ValueError(
            f"{what} must have the {expected} column(s) of the data of the fit, but has {found}. "
            "Give all of them, in their order."
        )


def check_new_names(found, expected, what):
    """Raise unless new observations have the columns of the data of the fit, in their order."""
    if found != expected:
        raise ValueError(
            f"The columns of {what} must be those of the fit, {expected!r}, but are {found!r}. "
            f"Use {what}[{expected!r}]."
        )


def check_covariate_names(found, expected):
    """Raise unless the columns of a frame are those of the fit, in the same order."""
    found, expected = list(found), list(expected)
    if found == expected:
        return
    lines = ["The feature names should match those that were passed during fit."]
    unseen = [name for name in found if name not in expected]
    missing = [name for name in expected if name not in found]
    if unseen:
        lines += ["Feature names unseen at fit time:", *(f"- {name}" for name in unseen)]
    if missing:
        lines += ["Feature names seen at fit time, yet now missing:"]
        lines += [f"- {name}" for name in missing]
    if not unseen and not missing:
        lines += [
            "Feature names must be in the same order as they were in fit.",
            f"Use X[{expected!r}].",
        ]
    raise ValueError("\n".join(lines) + "\n")


def check_future_index(found, expected, what="X"):
    """Raise unless ``found`` holds exactly the time steps ``expected`` after the data."""
    if found is None or expected is None or _same_times(found, expected):
        return
    if type(found) is type(expected) or found.dtype == expected.dtype:
        differs = np.flatnonzero(np.asarray(found != expected))
        row = int(differs[0]) if differs.size else 0
        seen = f"row {row} is {found[row]} instead of {expected[row]}"
    else:
        seen = f"its index is a {type(found).__name__} of dtype {found.dtype}"
    raise ValueError(
        f"The rows of {what} must be the {len(expected)} steps that follow the data of the fit, "
        f"{expected[0]} to {expected[-1]}, but {seen}."
    )


def check_future_end(last, expected, what):
    """Raise unless the regular times that end with ``last`` are the ``expected`` ones."""
    if last != expected[-1]:
        raise ValueError(
            f"The rows of {what} must be the {len(expected)} steps that follow the data of the "
            f"fit, {expected[0]} to {expected[-1]}, but the last one is {last}."
        )


def check_future_rows(n_rows, horizon):
    """Raise unless the rows of X are the steps asked for."""
    if horizon is not None and n_rows != horizon:
        raise ValueError(
            f"X must have one row per step: horizon={horizon} was asked for, but X has {n_rows} "
            "rows. Leave horizon out, or give the rows of the steps."
        )


def check_streamable(is_panel, covariate_names):
    """Raise unless a fitted forecaster can be fed one observation at a time."""
    if is_panel:
        raise ValueError(
            "A stream follows one series, but the forecaster was fitted on a panel. Fit a "
            "forecaster on the series that goes on."
        )
    if covariate_names:
        raise ValueError(
            "A stream brings observations of y alone, but the forecaster was fitted with the "
            f"covariates {first_three(covariate_names)}, which a forecast needs for all its "
            "steps. Fit without covariates, or use predict(X)."
        )


def check_observation(value, n_targets):
    """Return one observation, (targets,) float64; raise unless it is one finite number each."""
    try:
        observed = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"y_t must be {n_targets} number(s), one per target, but it is {value!r}."
        ) from error
    if observed.shape != (n_targets,):
        raise ValueError(
            f"y_t must have one number for each of the {n_targets} target(s), but its shape is "
            f"{np.shape(value)}."
        )
    if not np.isfinite(observed).all():
        raise ValueError(
            f"y_t must be finite, but it is {value!r}. Leave a missing observation out only if "
            "the series has no step there; else fill it first."
        )
    return observed
