"""The checks of what is known beside and after a series: covariates, its next steps, observations.

See ``_checks.py``.
"""

import numpy as np

from ._checks import first_three


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
