"""Forecasts of a series that goes on: one observation in, the next forecast out."""

import numpy as np

from .. import _future_checks as _checks
from ..nn.stream import StateStream, WindowStream


class Stream:
    """A fitted forecaster that is fed one observation at a time; made by ``LSTMForecaster.stream``.

    A step shifts the window by one observation and runs the network on it; with ``stateful=True``
    it advances the state, at the cost of one step of the network. The forecast is, to the bit, what
    ``update`` and ``predict`` give, and its cost does not depend on how long the series has become.
    Streams are independent of each other and of the forecaster.

    Parameters
    ----------
    forecaster : LSTMForecaster
        Fitted, without covariates.

    Raises
    ------
    ValueError
        If the forecaster was fitted with covariates or on a panel.

    Examples
    --------
    >>> from lstm_numba import LSTMForecaster, datasets
    >>> y = datasets.load_air_passengers()
    >>> model = LSTMForecaster(horizon=3, max_epochs=5, random_state=0).fit(y[:-1])
    >>> model.stream().step(y.iloc[-1]).shape
    (3,)
    """

    def __init__(self, forecaster):
        _checks.check_streamable(hasattr(forecaster, "series_ids_"), forecaster._known_columns())
        self._scaler = forecaster._target_scaler
        self._constant = forecaster._constant.copy()
        network, params = forecaster.network_, forecaster.params_
        if network.stateful:
            self._network = StateStream(network, params, forecaster._states)
        else:
            self._network = WindowStream(network, params, forecaster._history)

    def step(self, y_t):
        """Take the next observation and forecast the steps that follow it.

        Parameters
        ----------
        y_t : float or array of shape (targets,)

        Returns
        -------
        ndarray of shape (horizon,) or (horizon, targets)

        Raises
        ------
        TypeError, ValueError
            If ``y_t`` is not one finite number per target; the stream is as it was.
        """
        observed = _checks.check_observation(y_t, len(self._constant))
        self._constant[self._constant != observed] = np.nan
        scaled = self._network.step(self._scaler.transform(observed[np.newaxis])[0])
        values = self._scaler.inverse_transform(scaled.astype(np.float64))
        values = np.where(np.isnan(self._constant), values, self._constant)
        return values[:, 0] if values.shape[1] == 1 else values
