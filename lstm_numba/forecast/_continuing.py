"""What comes after the data of a fit: covariates of the next steps, observations made since."""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import _future_checks as _checks
from ..data import scalers
from ..data.panel import PanelForm
from ..data.tables import read_table
from ..nn.segments import States
from ._forecasting import advance_states
from ._panel import PanelEstimator
from ._preparing import read_covariates


@dataclass(frozen=True)
class News:
    """Observations of one series since the fit.

    Attributes
    ----------
    place : int
        Of the series among those of the fit; 0 for the targets of a fit that was not of a panel.
    columns : slice
        Of the series among the columns of a forecast.
    values : (time, targets) float64
    covariates : (time, columns) or None
        Scaled.
    """

    place: int
    columns: slice
    values: np.ndarray
    covariates: np.ndarray | None = None


class ContinuingEstimator(PanelEstimator):
    """Takes what was observed since the fit."""

    def update(self, y_new, X_new=None):
        """Append what has been observed since: forecasts begin after it. Nothing is trained.

        Parameters
        ----------
        y_new : Series, DataFrame or array of shape (time,) or (time, targets)
            The steps that follow, in the columns of the fit, pandas with their index where the
            index is known. After the fit of a panel, a panel of all or some of its series.
        X_new : DataFrame or array of shape (time, covariates), optional
            The covariates of these steps. Needed after a fit with covariates.

        Returns
        -------
        self
            After an error as it was before.

        Raises
        ------
        NotFittedError
        TypeError, ValueError
            Data that are no finite numbers, in other columns, or of other steps than the next.

        Examples
        --------
        >>> from lstm_numba import LSTMForecaster, datasets
        >>> y = datasets.load_air_passengers()
        >>> model = LSTMForecaster(horizon=12, max_epochs=5, random_state=0).fit(y[:-24])
        >>> model.update(y[-24:]).predict().index[0]
        Timestamp('1961-01-01 00:00:00')
        """
        check_is_fitted(self)
        read = self._read_panel_news if isinstance(self._form, PanelForm) else self._read_news
        form, news = read(y_new, X_new)
        vars(self).update(self._after(news), _form=form)
        return self

    def _read_news(self, y_new, X_new):
        """Return the form of the series that goes on, and its `News`."""
        table = read_table(y_new, "y_new")
        _checks.check_new_columns(table.values.shape[1], len(self._constant), "y_new")
        steps, form, covariates = len(table.values), self._form, None
        if table.ndim == form.ndim == 2 and None not in (table.names, form.names):
            _checks.check_new_names(table.names, form.names, "y_new")
        _checks.check_covariates_of_update(self._known_columns(), X_new)
        if X_new is not None:
            covariates = self._read_future(X_new, None)
            _checks.check_covariate_rows(len(covariates), steps, None, None)
        if form.calendar is not None:
            expected = form.calendar.future(steps)
            _checks.check_future_index(table.index, expected, "y_new")
            form = replace(form, calendar=replace(form.calendar, last=expected[-1]))
        if hasattr(self, "series_ids_"):
            columns = [slice(k, k + 1) for k in range(len(self.series_ids_))]
            return form, [News(k, own, table.values[:, own]) for k, own in enumerate(columns)]
        return form, [News(0, slice(None), table.values, covariates)]

    def _read_panel_news(self, y_new, X_new):
        """``_read_news`` for a panel."""
        _checks.check_covariates_of_update([], X_new)
        panel, places = self._following_panel(y_new, "y_new")
        calendars, news = list(self._form.calendars), []
        for k, place in enumerate(places):
            values = panel.series(k)
            calendars[place] = replace(
                calendars[place], last=calendars[place].future(len(values))[-1]
            )
            news.append(News(place, slice(place, place + 1), values))
        return replace(self._form, calendars=calendars), news

    def _after(self, news):
        """Return the fitted attributes that ``news`` change."""
        constant, rows = self._constant.copy(), []
        for one in news:
            own = constant[one.columns]
            own[(one.values != own).any(axis=0)] = np.nan
            scaler = scalers.columns_of(self._target_scaler, one.columns)
            scaled = self._scaled(scaler, one.values, "y_new")
            known = [] if one.covariates is None else [one.covariates]
            rows.append(np.hstack([scaled, *known]))
        places = [one.place for one in news]
        if self._states is not None:
            return {"_constant": constant, "_states": self._read_on(places, rows)}
        history = list(self._history) if isinstance(self._history, list) else [self._history]
        for place, own in zip(places, rows, strict=True):
            window = history[place]
            history[place] = np.concatenate([window, own])[-len(window) :]
        if not isinstance(self._history, list):
            (history,) = history
        return {"_constant": constant, "_history": history}

    def _read_on(self, places, rows):
        """Return all states, after the series at ``places`` have read ``rows``."""
        before = States(*(part[:, places] for part in self._states))
        after = advance_states(self.network_, self.params_, before, rows, self._n_threads())
        states = States(*(part.copy() for part in self._states))
        for part, own in zip(states, after, strict=True):
            part[:, places] = own
        return states

    def _known_columns(self):
        """Return the names of the covariates of the fit."""
        if self._covariate_scaler is None:
            return []
        return self._covariate_names or [f"column {k}" for k in range(self.n_features_in_)]

    def _read_future(self, X, horizon):
        """Return the scaled covariates of the next steps, None without covariates."""
        names = self._known_columns()
        _checks.check_covariates_given(names, X)
        if not names:
            return None
        table = read_covariates(X, self, reset=False)
        if table.names is not None and self._covariate_names is not None:
            _checks.check_covariate_names(table.names, self._covariate_names)
        _checks.check_future_rows(len(table.values), horizon)
        if self._form.calendar is not None:
            expected = self._form.calendar.future(len(table.values))
            _checks.check_future_index(table.index, expected)
        return self._scaled(self._covariate_scaler, table.values, "X")
