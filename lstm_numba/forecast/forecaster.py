"""Forecasts of time series: a recurrent network that corrects a linear forecast."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import _checks, _future_checks
from ..data.panel import PanelForm
from ..data.tables import read_table
from ._continuing import ContinuingEstimator
from ._fitting import features_seen
from ._forecasting import compare_with_naive
from ._preparing import unchanged
from .stream import Stream


class LSTMForecaster(ContinuingEstimator):
    """Forecast one, several or thousands of time series with LSTM networks, GRUs or simple RNNs.

    All ``horizon`` steps come at once from the whole window before them (a direct
    multi-step head), and covariates known in advance enter at the step they belong to.
    With ``linear_skip`` the network begins as the best linear forecast, found in closed form,
    and learns what that misses. Scaling is inside, fitted on the training part alone.

    Parameters
    ----------
    horizon : int, default=1
        Steps that the network forecasts.
    seq_len : int, optional
        Steps in the window it looks at; with ``stateful`` the steps that a gradient reaches back.
        By default whole seasons: at least two, at least the horizon and at least 24 steps, but no
        more than leaves as many training windows as a window has steps, and still one season where
        that is possible. One model of a panel takes what suits the series of median length, or as
        little as half of it for the shortest series. See ``seq_len_``.
    cell : {"lstm", "gru", "rnn"}, default="lstm"
        Long short-term memory, gated recurrent unit (reset after the product, as in torch), or
        a simple tanh cell.
    scope : {"global", "local"}, default="global"
        What one model is for: "global", all series of a panel, or all columns of a frame; "local",
        each series or column has a small model of its own, and no influence on the others.
    hidden_size : int, default=64
    num_layers : int, default=1
    loss : {"mse", "mae", "huber"}, default="mse"
        In units of the scaled target.
    scaler : {"standard", None}, default="standard"
        Mean 0 and standard deviation 1 for each target and covariate, or the data as they are.
    window_norm : {"auto", "last", "level", None}, default="auto"
        Subtract the last value of each window ("last"), divide by its mean ("level", positive
        data only), or neither. "auto" takes the one whose linear forecast has the least error
        on the validation part; "level" takes part when the data are positive and spread by
        more than 5 % of their mean. See ``window_norm_``.
    linear_skip : bool, default=True
        A linear path from each target's window to its forecast, shared by the targets.
    stateful : bool, default=False
        The network has no window but a state that it keeps: it reads each series from its start,
        step after step, forecasts after each, and what it remembers may lie as far back as it
        likes. It trains by truncated back-propagation: the state is carried from one batch to the
        next, the gradient reaches back ``seq_len`` steps, and each epoch begins with a state of
        zero. A long series is cut into streams that train side by side, ``batch_size`` at most and
        each of 50 times ``seq_len`` steps at least. What looks at a whole window has no meaning
        then: ``linear_skip`` is not used, and ``window_norm`` is None. Needs ``scope="global"``.
    season_length : int, optional
        Steps in a season, of all series. By default taken from the frequency of the index
        (hourly 24, daily 7, monthly 12, ...), 1 where there is none.
    learning_rate : float, default=1e-3
    weight_decay : float, default=0.0
    clip_norm : float, default=1.0
        Largest norm of a gradient.
    max_epochs : int, default=100
    batch_size : int, default=64
    early_stopping : bool, default=True
        Hold back the last part of the series, stop when the loss on it has not improved for
        ``n_iter_no_change`` epochs, and keep the best weights. A series too short for that
        is trained without, with a warning.
    validation_fraction : float, default=0.1
        Part of the series to hold back; one horizon at least.
    n_iter_no_change : int, default=10
    dtype : {"float32", "float64"}, default="float32"
        Of the network. Results are float64.
    n_jobs : int, optional
        Threads, as in scikit-learn; no more than the environment variable ``NUMBA_NUM_THREADS``
        allows, nor than a worker of joblib may have. The result does not depend on it.
    device : {"auto", "cpu", "cuda"}, default="auto"
        Where the network is trained and its validation part forecast. "cuda", an NVIDIA GPU, needs
        the packages of ``lstm_numba[cuda]``; its results differ from the CPU's by rounding. "auto"
        takes it where it can be used and a batch is large: ``batch_size`` times ``seq_len`` times
        the number of weights reaches 10^8. This bound is an estimate, it was not measured.
        Forecasts of the next steps and streams are made on the CPU. The models of
        ``scope="local"`` train on the GPU only for "cuda", all of them side by side.
    precision : {"float32", "tf32"}, default="float32"
        How a GPU takes the products of recurrent layers of dtype float32; nothing else looks at
        it. "float32" keeps that accuracy: on tensor cores each product is taken three times, in
        parts. "tf32" takes it once, of factors that are rounded to 10 bits of mantissa, as torch
        lets cuDNN do by default; results differ from those of "float32" by some 0.1 %. The
        products with h are taken so for an LSTM of up to 128 units; of other layers they are
        plain float32. GPUs older than Ampere know float32 alone.
    random_state : int, RandomState or None
        The same int gives the same weights to the bit.
    warm_start : bool, default=False
        Begin the next fit with the current weights. A fit that leads to another network
        (other sizes, another ``window_norm_`` or ``seq_len_``) begins anew.
    verbose : int, default=0
        Show each epoch on stderr, and in the end the error on the validation part beside that of
        the seasonal naive forecast.

    Attributes
    ----------
    seq_len_, season_length_, window_norm_ : int, int, str or None
        What was chosen.
    network_, params_ : Network, ndarray
        ``network_.views(params_)`` are the weights by name.
    loss_curve_, validation_loss_curve_ : list of float
        One per epoch.
    best_epoch_, n_iter_ : int
        The epoch whose weights were kept, counted from 0 (-1: none was better than the start),
        and the number of epochs.
    validation_score_ : dict or None
        "rmse" of the forecasts and "rmse_seasonal_naive", in units of y over all targets,
        steps and "windows" (their number) of the validation part; None without one. The
        weights were chosen on this part, so "rmse" is on the bright side. Of a panel, and with
        ``scope="local"`` of a frame, over all series, each in standard deviations of its training
        part (as it is scaled).
    series_ids_ : Index
        The ids of a panel, or with ``scope="local"`` the columns of a frame. With
        ``scope="local"``, the attributes that describe a model are lists with one item per id:
        ``seq_len_``, ``window_norm_``, ``network_``, ``params_``, ``loss_curve_``,
        ``validation_loss_curve_``, ``best_epoch_``, ``n_iter_``.
    n_features_in_, feature_names_in_ : int, ndarray of str
        Covariates, when there are any; names when all are strings.

    Notes
    -----
    Rows are time steps here, and their order is what a forecast rests on. This rules out three of
    scikit-learn's estimator checks, which fail for that reason alone:

    - ``check_methods_subset_invariance`` and ``check_methods_sample_order_invariance`` predict
      for some rows of X, or for the rows in another order. The rows given to ``predict`` are the
      steps that come next, in their order; fewer or others ask for other forecasts.
    - ``check_regressor_data_not_an_array`` predicts for the pandas rows that were fitted. Their
      index says that they are not the steps that come next, so they are refused.

    Examples
    --------
    >>> from lstm_numba import LSTMForecaster, datasets
    >>> y = datasets.load_air_passengers()
    >>> model = LSTMForecaster(horizon=12, max_epochs=5, random_state=0).fit(y)
    >>> forecast = model.predict()
    >>> forecast.name, forecast.index[0], len(forecast)
    ('passengers', Timestamp('1961-01-01 00:00:00'), 12)

    A panel holds many series, here with a small model for each:

    >>> import pandas as pd
    >>> days = pd.date_range("2024-01-01", periods=60)
    >>> panel = pd.DataFrame({"unique_id": ["a"] * 60 + ["b"] * 40, "ds": [*days, *days[:40]]})
    >>> panel["y"] = panel["ds"].dt.day_of_week + 10.0 * (panel["unique_id"] == "b")
    >>> model = LSTMForecaster(horizon=2, scope="local", hidden_size=8, random_state=0)
    >>> model.fit(panel).predict().round({"y": 1})
      unique_id         ds     y
    0         a 2024-03-01   4.0
    1         a 2024-03-02   5.0
    2         b 2024-02-10  15.0
    3         b 2024-02-11  16.0
    """

    def __init__(
        self,
        horizon=1,
        seq_len=None,
        *,
        cell="lstm",
        scope="global",
        hidden_size=64,
        num_layers=1,
        loss="mse",
        scaler="standard",
        window_norm="auto",
        linear_skip=True,
        stateful=False,
        season_length=None,
        learning_rate=1e-3,
        weight_decay=0.0,
        clip_norm=1.0,
        max_epochs=100,
        batch_size=64,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=10,
        dtype="float32",
        n_jobs=None,
        device="auto",
        precision="float32",
        random_state=None,
        warm_start=False,
        verbose=0,
    ):
        self.horizon = horizon
        self.seq_len = seq_len
        self.cell = cell
        self.scope = scope
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.loss = loss
        self.scaler = scaler
        self.window_norm = window_norm
        self.linear_skip = linear_skip
        self.stateful = stateful
        self.season_length = season_length
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def fit(self, X, y=None):
        """Learn from a series, and from covariates known in advance if there are any.

        Parameters
        ----------
        X : Series, DataFrame or array
            Alone: the series to forecast, of shape (time,) or (time, targets); or a panel, that is
            many series of any lengths: a DataFrame with the columns ``unique_id``, ``y`` and,
            where times are known, ``ds``, or a Series or one-column DataFrame with a MultiIndex of
            id and time. With ``y``: the covariates, of shape (time, covariates), one row per step
            of ``y``; not for panels.
        y : Series, DataFrame or array of shape (time,) or (time, targets), optional
            The series to forecast, when X holds covariates.

        Returns
        -------
        self
            After an error as it was before.

        Raises
        ------
        TypeError
            Data that are not numbers, an index that is no time axis.
        ValueError
            Missing, infinite or complex data, a series shorter than a window and a horizon,
            an index with gaps or out of order, X and y that do not belong together, a
            parameter out of range. For a panel the message names the series.
        FloatingPointError
            If training diverges.
        RuntimeError, MemoryError
            If there is no GPU for ``device="cuda"``, or it fails, or has too little memory.

        Warns
        -----
        UserWarning
            If a series is too short for a validation part; if training was interrupted by
            Ctrl-C, which leaves the best weights so far.
        """
        self._check_parameters()
        panel = self._read_panel(X, y)
        if panel is not None:
            return self._adopt(self._fit_panel(panel, self._members(panel)))
        blank = self._blank()
        series = self._read(X, y, blank)
        window_norm, scaled, problem = self._problem(series, self._orientation_before(series))
        fitted = self._fit_network(problem)
        fitted["validation_score_"] = self._score_validation(series, scaled, problem, fitted)
        fitted |= {
            "seq_len_": series.seq_len,
            "season_length_": series.season_length,
            "window_norm_": window_norm,
            "_form": series.form,
            "_target_scaler": scaled.target_scaler,
            "_covariate_scaler": scaled.covariate_scaler,
            "_covariate_names": None if series.covariates is None else series.covariates.names,
            "_history": None if self.stateful else scaled.inputs[-series.seq_len :].copy(),
            "_states": self._states_after([scaled.inputs], fitted),
            "_constant": unchanged(series.target.values),
        }
        if series.covariates is not None:
            fitted |= features_seen(blank)
        return self._adopt(fitted)

    def predict(self, X=None, *, horizon=None):
        """Forecast the steps that follow the data of the fit.

        Parameters
        ----------
        X : DataFrame or array of shape (steps, covariates), optional
            The covariates of the steps to forecast, one row each, in the columns of the fit;
            a DataFrame with the index of these steps where the index is known. Needed after
            a fit with covariates.
        horizon : int, optional
            Number of steps; by default that of the constructor, or the rows of X. Beyond what
            the network was trained for, forecasts are fed back as observations.

        Returns
        -------
        Series, DataFrame or ndarray of shape (steps,) or (steps, targets)
            In the form of the series that was fitted: pandas with the index of the steps
            and the name or the columns of the series; for a panel series after series, in the
            order in which they first appeared. Rows without times are counted from 0 in ``ds``.

        Raises
        ------
        NotFittedError
        TypeError, ValueError
            Covariates missing, unknown, in other columns or for other steps than the next.
        """
        check_is_fitted(self)
        if horizon is not None:
            owner = f"{type(self).__name__}.predict"
            horizon = _checks.check_parameter("horizon", horizon, owner)
        covariates = self._read_future(X, horizon)
        if covariates is not None:
            horizon = len(covariates)
        return self._form.dress(self._values(horizon, covariates))

    def score(self, X, y=None):
        """Return R² of the forecast of the steps that follow the data of the fit.

        Parameters
        ----------
        X : Series, DataFrame or array
            Alone: what these steps turned out to be; after the fit of a panel, a panel of all
            or some of its series. With ``y``: their covariates.
        y : Series, DataFrame or array, optional
            What the steps turned out to be, when X holds covariates.

        Returns
        -------
        float
            1 for a perfect forecast, 0 for the mean of these steps; the mean over the targets
            or series.

        Raises
        ------
        TypeError, ValueError
            As in ``predict``.
        """
        check_is_fitted(self)
        if isinstance(self._form, PanelForm):
            return self._score_panel(X, y)
        truth = read_table(X if y is None else y, "y")
        steps = len(truth.values)
        if self._form.calendar is not None:
            _future_checks.check_future_index(truth.index, self._form.calendar.future(steps), "y")
        forecast = self.predict(horizon=steps) if y is None else self.predict(X, horizon=steps)
        # Only here, as in scikit-learn's own `score`: its import takes 50 ms of each start.
        from sklearn.metrics import r2_score

        return r2_score(truth.values, np.asarray(forecast).reshape(steps, -1))

    def stream(self):
        """Return a ``Stream`` that takes the observations that follow, one at a time.

        Raises
        ------
        NotFittedError
        ValueError
            After a fit with covariates or on a panel.
        """
        check_is_fitted(self)
        return Stream(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.target_tags.multi_output = True
        # What scikit-learn's checks ask to be predicted is noise in time.
        tags.regressor_tags.poor_score = True
        return tags

    def _orientation_before(self, series):
        """Return which targets the weights of a warm start have seen turned; None: not known."""
        if not (self.warm_start and hasattr(self, "_target_scaler")):
            return None
        turned = self._target_scaler.scale < 0
        return turned if len(turned) == series.target.values.shape[1] else None

    def _score_validation(self, series, scaled, problem, fitted):
        """Compare with the seasonal naive forecast on the validation part."""
        if problem.validation is None:
            return None
        found = compare_with_naive(
            problem.network,
            fitted["params_"],
            problem.validation,
            scaled.target_scaler,
            series.target.values,
            series.season_length,
            self._n_threads(),
            self.device,
        )
        return self._report_validation(*found)
