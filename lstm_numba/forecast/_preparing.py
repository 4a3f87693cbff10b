"""From the data and the parameters of a forecaster to the network to train."""

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.utils.validation import validate_data

from .. import _checks, _future_checks
from ..data import scalers
from ..data import windows as cut
from ..data.tables import Table, read_table
from ..nn.network import Network, Windows
from ..nn.segments import Streams
from ..train.linear import fit_linear
from ._fitting import Problem, RecurrentEstimator

# Below this ratio of spread to level, a ratio to the level says little that a difference
# does not, in fewer digits.
LEAST_SPREAD_FOR_LEVEL = 0.05


@dataclass(frozen=True)
class Series:
    """What a fit has read and decided before anything is scaled.

    Attributes
    ----------
    target, covariates : Table
        ``covariates`` is None without.
    form : Form
    season_length, seq_len : int
    n_valid : int
        Rows of the validation part; 0: there is none.
    """

    target: Table
    covariates: Table | None
    form: object
    season_length: int
    seq_len: int
    n_valid: int

    @property
    def training(self):
        """The rows that scalers and weights are fitted on."""
        return slice(0, len(self.target.values) - self.n_valid)


@dataclass(frozen=True)
class Scaled:
    """The series in network units, for one choice of ``window_norm``.

    Attributes
    ----------
    target_scaler, covariate_scaler : Scaler
        ``covariate_scaler`` is None without covariates.
    inputs : (time, targets + covariates)
    """

    target_scaler: object
    covariate_scaler: object
    inputs: np.ndarray


class PreparingEstimator(RecurrentEstimator):
    """Reads series, chooses what the user left open, and scales."""

    def _check_parameters(self):
        super()._check_parameters()
        if self.stateful:
            _checks.check_stateful(self.scope, self.window_norm)

    @property
    def _has_skip(self):
        # It looks at a whole window, and a network that keeps its state has none.
        return bool(self.linear_skip) and not self.stateful

    def _least_steps(self, otherwise=1):
        """Return the steps that must lie before a horizon; ``otherwise`` if that is left open."""
        return 1 if self.stateful else self.seq_len or otherwise

    def _read(self, X, y, blank):
        """Read and check the data of a fit, and decide on lengths."""
        covariates = None
        if y is None:
            target = read_table(X, "y")
        else:
            target = read_table(y, "y")
            covariates = read_covariates(X, blank, reset=True)
            _future_checks.check_covariate_rows(
                len(covariates.values), len(target.values), covariates.index, target.index
            )
        form = target.form
        season_length = self.season_length
        if season_length is None:
            season_length = form.calendar.season_length() if form.calendar else 1
        n = len(target.values)
        _checks.check_long_enough(n, self._least_steps(), self.horizon)
        seq_len, n_valid = self._choose_lengths(n, season_length)
        if self.early_stopping and not n_valid:
            wanted = cut.validation_size(n, self.horizon, self.validation_fraction)
            self._warn_no_validation(
                f"A series of {n} observations does not hold a validation part of {wanted}"
            )
        return Series(target, covariates, form, season_length, seq_len, n_valid)

    def _choose_lengths(self, n, season_length):
        """Return the window's length and the rows of the validation part of ``n`` rows."""
        n_valid = 0
        if self.early_stopping:
            # A season in the window is worth more than a validation part.
            has_season = n >= season_length + self.horizon
            n_valid = self._validation_rows(n, season_length if has_season else 1)
        if self.seq_len is not None:
            return self.seq_len, n_valid
        return cut.choose_seq_len(n - n_valid, self.horizon, season_length), n_valid

    def _validation_rows(self, n, least):
        """Return the rows to hold back of ``n``: 0 if that leaves no window of ``least`` steps."""
        n_valid = cut.validation_size(n, self.horizon, self.validation_fraction)
        return n_valid if n - n_valid >= self._least_steps(least) + self.horizon else 0

    def _warn_no_validation(self, finding):
        warnings.warn(
            f"{finding} beside a training window and the {self.horizon} steps after it: training "
            "runs without early stopping. Set early_stopping=False to say so, or use a smaller "
            "seq_len or horizon.",
            UserWarning,
            stacklevel=4,
        )

    def _problem(self, series, turned=None):
        """Scale the series, choose its ``window_norm`` and describe the network to train.

        Parameters
        ----------
        series : Series
        turned : (targets,) bool, optional
            Which targets to turn upside down; by default those that lie below their mean.

        Returns
        -------
        window_norm : str or None
        scaled : Scaled
        problem : Problem
        """

        def prepare(norm):
            scaled = self._scale(series, norm, turned)
            return scaled, self._cut(series, scaled, norm)

        return self._choose_norm(self._norms([series]), prepare)

    def _norms(self, members):
        """Return the choices of ``window_norm`` for series that share a network."""
        if self.stateful:
            return [None]
        if self.window_norm == "level":
            for series in members:
                _checks.check_positive(series.target.values, series.target.labels)
        if self.window_norm != "auto":
            return [self.window_norm]
        return [None, "last", *(["level"] if all(map(_has_level, members)) else [])]

    def _choose_norm(self, norms, prepare):
        """Return the norm of the least linear error, and what ``prepare(norm)`` makes of it.

        ``prepare`` returns (scaled, problem); see ``_problem`` for what is returned.
        """
        best, least_error = None, math.inf
        for norm in norms:
            scaled, problem = prepare(norm)
            if not (self._has_skip or len(norms) > 1):
                return norm, scaled, problem
            # All norms measure errors in standard deviations of the training part.
            linear = replace(problem.network, skip=True)
            start, error = fit_linear(linear, problem.windows, problem.validation)
            if best is None or error < least_error:
                problem = replace(problem, start=start if self._has_skip else {})
                best, least_error = (norm, scaled, problem), error
        return best

    def _scale(self, series, window_norm, turned=None):
        # A ratio to the level needs the level, so the scaler must not take it away.
        values = series.target.values
        centre = window_norm != "level"
        target_scaler = self._fit_scaler(values[series.training], centre)
        if centre and self.scaler is not None:
            if turned is None:
                turned = scalers.lies_below(target_scaler, values[series.training])
            target_scaler = scalers.oriented(target_scaler, turned)
        inputs = self._scaled(target_scaler, values, "y")
        covariate_scaler = None
        if series.covariates is not None:
            known = series.covariates.values
            covariate_scaler = self._fit_scaler(known[series.training])
            inputs = np.hstack([inputs, self._scaled(covariate_scaler, known, "X")])
        return Scaled(target_scaler, covariate_scaler, inputs)

    def _cut(self, series, scaled, window_norm, n_series=1):
        """Return the `Problem` of one of ``n_series`` series that train a network together."""
        targets, features = series.target.values.shape[1], scaled.inputs.shape[1]
        network = Network(
            seq_len=series.seq_len,
            features=features,
            horizon=self.horizon,
            targets=targets,
            cell=self.cell,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            future=features - targets,
            skip=self._has_skip,
            window_norm=window_norm,
            stateful=bool(self.stateful),
            dtype=np.dtype(self.dtype).name,
            precision=self.precision,
        )
        own = np.ascontiguousarray(scaled.inputs[:, :targets])
        if self.stateful:
            parts = self._streams(series, scaled.inputs, own, max(1, self.batch_size // n_series))
        else:
            parts = self._windows(series, scaled.inputs, own)
        training, validation = parts
        return Problem(network, training, validation if series.n_valid else None, {})

    def _windows(self, series, inputs, own):
        """Return the windows of the training and of the validation part."""
        starts = cut.window_starts(len(inputs), series.seq_len, self.horizon, series.n_valid)
        return [Windows(inputs, first, own, first + series.seq_len) for first in starts]

    def _streams(self, series, inputs, own, most):
        """Return the training part as up to ``most`` streams, and the series up to its end.

        The second is scored on the validation part, with all that lies before in its state.
        """
        n_training, n = len(inputs) - series.n_valid, len(inputs)
        starts, lengths = cut.training_streams(n_training, series.seq_len, self.horizon, most)
        training = Streams(inputs, own, starts, lengths, np.ones_like(starts))
        whole, begin = np.array([n - self.horizon]), np.zeros(1, np.int64)
        return training, Streams(inputs, own, begin, whole, np.array([n_training]))


def unchanged(values):
    """Return for each column of ``values`` what it holds all the time, NaN if it changes."""
    return np.where((values == values[-1]).all(axis=0), values[-1], np.nan)


def _has_level(series):
    """Whether ratios to the level say something that differences do not."""
    values = series.target.values
    training = scalers.fit_standard(values[series.training])
    varies = training.scale > LEAST_SPREAD_FOR_LEVEL * training.mean
    return values.min() > 0 and varies.all()


def read_covariates(X, estimator, reset):
    """Read covariates as a `Table`; scikit-learn compares or notes names and their number."""
    if isinstance(X, pd.Series):
        X = X.to_frame()
    table = read_table(X, "X")
    if table.ndim == 1:
        raise ValueError(
            "Expected 2D array, got 1D array instead: X must hold one row per time step and one "
            "column per covariate. Reshape your data with X.reshape(-1, 1)."
        )
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    return table
