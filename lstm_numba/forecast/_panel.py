"""Panels in the forecaster: one model for all series, or one small model for each."""

import math
import sys

import numpy as np

from .. import _checks, _future_checks
from ..data import scalers
from ..data.panel import is_panel, panel_of_columns, read_panel
from ..data.tables import Table, read_table
from ..nn.network import Windows
from ..nn.segments import Streams, zero_states
from ._each import EachEstimator
from ._fitting import Problem
from ._forecasting import (
    advance_states,
    compare_with_naive,
    forecast_from_states,
    forecast_steps,
)
from ._preparing import Series, unchanged


class PanelEstimator(EachEstimator):
    """Fits and forecasts many series at once."""

    def _read_panel(self, X, y):
        """Return the data of a fit as a `Panel`; None if they are not to be fitted as one."""
        if y is not None:
            columns = np.shape(y)[1] if np.ndim(y) == 2 else 1
            if is_panel(X) or is_panel(y) or (self.scope == "local" and columns > 1):
                raise ValueError(
                    "Covariates are not supported for panels yet, nor with scope='local' for "
                    "several columns. Call fit with the series alone, or fit each series with its "
                    "covariates on its own."
                )
            return None
        if is_panel(X):
            return read_panel(X, "X")
        if self.scope == "local":
            table = read_table(X, "y")
            return panel_of_columns(table) if table.ndim == 2 else None
        return None

    def _members(self, panel):
        """Return the series of a panel, each with the lengths that are chosen for it."""
        season_length = self.season_length or panel.season_length
        least = self._least_steps()
        _checks.check_all_long_enough(panel.lengths, panel.labels, least, self.horizon)
        if self.scope == "local":
            lengths = [self._choose_lengths(n, season_length) for n in panel.lengths.tolist()]
        else:
            lengths = self._common_lengths(panel, season_length)
        short = [panel.labels[k] for k, (_, n_valid) in enumerate(lengths) if not n_valid]
        if self.early_stopping and short:
            self._warn_no_validation(
                f"{_checks.first_three(short)}: too short to hold a validation part"
            )
        return [
            Series(
                target=Table(panel.series(k), None, None, 1, [panel.labels[k]]),
                covariates=None,
                form=None,
                season_length=season_length,
                seq_len=seq_len,
                n_valid=n_valid,
            )
            for k, (seq_len, n_valid) in enumerate(lengths)
        ]

    def _common_lengths(self, panel, season_length):
        """Return for each series the common length of windows, and its own validation rows."""
        lengths = panel.lengths.tolist()
        seq_len = self.seq_len
        if seq_len is None:
            seq_len, _ = self._choose_lengths(int(np.median(lengths)), season_length)
            # Half the memory for all, if need be, rather than an error for the shortest.
            affordable = min(lengths) - self.horizon
            seq_len = max(min(seq_len, affordable), math.ceil(seq_len / 2))
            least = self._least_steps(seq_len)
            _checks.check_all_long_enough(panel.lengths, panel.labels, least, self.horizon)
        if not self.early_stopping:
            return [(seq_len, 0)] * len(lengths)
        return [(seq_len, self._validation_rows(n, seq_len)) for n in lengths]

    def _fit_panel(self, panel, members):
        """Return the fitted attributes for the ``members`` of a panel; see ``_adopt``."""
        train = self._train_each if self.scope == "local" else self._train_all
        fitted, scaled, problems = train(panel, members)
        return fitted | {
            "season_length_": members[0].season_length,
            "series_ids_": panel.ids,
            "validation_score_": self._score_members(members, scaled, problems, fitted["params_"]),
            "_form": panel.form,
            "_target_scaler": scalers.side_by_side([one.target_scaler for one in scaled]),
            "_covariate_scaler": None,
            "_covariate_names": None,
            "_history": None
            if self.stateful
            else [
                one.inputs[-series.seq_len :].copy()
                for series, one in zip(members, scaled, strict=True)
            ],
            "_states": self._states_after([one.inputs for one in scaled], fitted),
            "_constant": np.concatenate([unchanged(series.target.values) for series in members]),
        }

    def _train_all(self, panel, members):
        """Train one network on the windows of all series; returns as ``_train_each``."""
        turned = self._common_orientation(members)

        def prepare(norm):
            scaled = [self._scale(series, norm, turned) for series in members]
            parts = [
                self._cut(series, one, norm, len(members))
                for series, one in zip(members, scaled, strict=True)
            ]
            return (scaled, parts), _pooled(parts)

        window_norm, (scaled, parts), problem = self._choose_norm(self._norms(members), prepare)
        fitted = self._fit_network(problem)
        fitted |= {"seq_len_": problem.network.seq_len, "window_norm_": window_norm}
        return fitted, scaled, parts

    def _common_orientation(self, members):
        """Whether the farthest value of all series from their means lies below them, (1,) bool.

        One orientation for all: what series have in common must not be upside down in some.
        """
        if self.warm_start and hasattr(self, "_target_scaler"):
            return self._target_scaler.scale[:1] < 0
        low = high = 0.0
        for series in members:
            training = series.target.values[series.training]
            scaled = scalers.fit_standard(training).transform(training)
            low, high = min(low, scaled.min()), max(high, scaled.max())
        return np.array([-low > high])

    def _score_members(self, members, scaled, problems, params):
        """Compare with the seasonal naive forecast on the validation parts of a panel."""
        squares, count = np.zeros(2), 0
        for k, (series, one, problem) in enumerate(zip(members, scaled, problems, strict=True)):
            if problem.validation is None:
                continue
            own = params[k] if isinstance(params, list) else params
            scaler = one.target_scaler
            found = compare_with_naive(
                problem.network,
                own,
                problem.validation,
                scaler,
                series.target.values,
                series.season_length,
            )
            # Series of any size count alike.
            errors = np.ldexp(found[:2], -scaler.exponent) / np.abs(scaler.scale)
            squares += found.windows * errors**2
            count += found.windows
        if not count:
            return None
        own, naive = np.sqrt(squares / count)
        return self._report_validation(own, naive, count, members[0].season_length)

    def _report_validation(self, rmse, naive, windows, season):
        """Return the validation score, and show it."""
        if self.verbose:
            print(
                f"validation RMSE {rmse:.6g}, seasonal naive {naive:.6g} "
                f"({windows} windows, season of {season})",
                file=sys.stderr,
            )
        return {"rmse": float(rmse), "rmse_seasonal_naive": float(naive), "windows": int(windows)}

    def _values(self, steps, covariates=None):
        """Forecast in the units of the data, (steps, columns); None: the steps of the training."""
        if steps is None:
            network = self.network_
            steps = (network[0] if isinstance(network, list) else network).horizon
        scaled = self._forecast(steps, covariates).astype(np.float64)
        values = self._target_scaler.inverse_transform(scaled)
        # A target that has never changed is forecast as it is, to the bit.
        values = np.where(np.isnan(self._constant), values, self._constant)
        _checks.check_forecast_finite(values)
        return values

    def _forecast(self, steps, covariates):
        """Forecast in network units.

        Returns
        -------
        (steps, columns) in the network's dtype; the columns are the series of a panel, else targets
        """
        network, params, history = self.network_, self.params_, self._history
        if self._states is not None:
            found = forecast_from_states(network, params, self._states, steps, covariates)
            return np.hstack(list(found))
        if isinstance(network, list):
            models = zip(network, params, history, strict=True)
            return np.hstack([forecast_steps(n, p, h[np.newaxis], steps)[0] for n, p, h in models])
        if isinstance(history, list):
            return forecast_steps(network, params, np.stack(history), steps)[:, :, 0].T
        return forecast_steps(network, params, history[np.newaxis], steps, covariates)[0]

    def _states_after(self, rows, fitted):
        """Return the states in which series end, given all their rows; None without."""
        network = fitted["network_"]
        if not self.stateful:
            return None
        begin = zero_states(network, len(rows))
        return advance_states(network, fitted["params_"], begin, rows, self._n_threads())

    def _score_panel(self, X, y):
        """Return the mean R² of the series of the panel ``X``, of the steps that follow the fit."""
        if y is not None or not is_panel(X):
            raise ValueError(
                "The forecaster was fitted to a panel, so score needs a panel too, alone: what the "
                "next steps of its series turned out to be."
            )
        truth, places = self._following_panel(X, "X")
        forecast = self._values(int(truth.lengths.max()))
        # Only here, as in scikit-learn's own `score`: its import takes 50 ms of each start.
        from sklearn.metrics import r2_score

        scores = []
        for k, place in enumerate(places):
            observed = truth.series(k)[:, 0]
            scores.append(r2_score(observed, forecast[: len(observed), place]))
        return float(np.mean(scores))

    def _following_panel(self, data, what):
        """Read a panel of the steps that follow; return it and the places of its series."""
        panel = read_panel(data, what, like=self._form)
        places = self.series_ids_.get_indexer(panel.ids)
        if (places < 0).any():
            unknown = [repr(one) for one in panel.ids[places < 0].tolist()]
            raise ValueError(
                f"The series of {what} must be among those of the fit, but "
                f"{_checks.first_three(unknown)} are not. Drop these rows."
            )
        if panel.form.has_times and self._form.has_times:
            for k, place in enumerate(places):
                expected = self._form.calendars[place].future(panel.lengths[k])
                _future_checks.check_future_end(
                    panel.form.calendars[k].last, expected, panel.labels[k]
                )
        return panel, places.tolist()


# What tells where windows and streams lie; of these, what counts rows from the first one.
_PLACES = {Windows: ("starts", "target_starts"), Streams: ("starts", "lengths", "read_from")}
_ROWS = ("starts", "target_starts")


def _pooled(parts):
    """Return the problems of several series, with rows of their own, as one."""
    rows = np.concatenate([part.windows.inputs for part in parts])
    firsts = np.cumsum([0, *(len(part.windows.inputs) for part in parts)])

    def pool(chosen):
        pieces = [(part, first) for part, first in zip(chosen, firsts, strict=False) if part]
        if not pieces:
            return None
        kind, places = type(pieces[0][0]), {}
        for name in _PLACES[kind]:
            of_pieces = [getattr(part, name) + first * (name in _ROWS) for part, first in pieces]
            places[name] = np.concatenate(of_pieces)
        return kind(inputs=rows, targets=rows, **places)

    training, validation = (
        pool([getattr(part, name) for part in parts]) for name in ("windows", "validation")
    )
    return Problem(parts[0].network, training, validation, {})
