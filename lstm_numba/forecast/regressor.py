"""Numbers from windows: a recurrent network as a scikit-learn regressor."""

import math
import warnings

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import _checks
from ..nn.network import Network, Windows
from ._fitting import Problem, RecurrentEstimator, features_seen


class LSTMRegressor(RecurrentEstimator):
    """Predict numbers from windows of steps with an LSTM network, or a GRU or a simple RNN.

    A row of X is a window; rows have no order. Scaling is inside, fitted on the training rows.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}, default="lstm"
        Long short-term memory, gated recurrent unit (reset after the product, as in torch), or
        a simple tanh cell.
    hidden_size : int, default=64
    num_layers : int, default=1
    loss : {"mse", "mae", "huber"}, default="mse"
        In units of the scaled target.
    scaler : {"standard", None}, default="standard"
        Mean 0 and standard deviation 1 for each feature (over all windows and steps) and each
        output, or the data as they are.
    learning_rate : float, default=1e-3
    weight_decay : float, default=0.0
    clip_norm : float, default=1.0
        Largest norm of a gradient.
    max_epochs : int, default=200
    batch_size : int, default=64
    early_stopping : bool, default=False
        Hold back the last rows, stop when the loss on them has not improved for
        ``n_iter_no_change`` epochs, and keep the best weights. In windows cut from a series the
        last rows are the newest; rows sorted by anything else should be shuffled first.
    validation_fraction : float, default=0.1
        Part of the rows to hold back.
    n_iter_no_change : int, default=10
    dtype : {"float32", "float64"}, default="float32"
        Of the network. Results are float64.
    n_jobs : int, optional
        Threads, as in scikit-learn; no more than the environment variable ``NUMBA_NUM_THREADS``
        allows, nor than a worker of joblib may have. The result does not depend on it.
    device : {"auto", "cpu", "cuda"}, default="auto"
        "cuda", an NVIDIA GPU, needs the packages of ``lstm_numba[cuda]``; its results differ from
        the CPU's by rounding. "auto" takes it where it can be used and a batch is large: the
        windows of a batch, or of a call of ``predict``, times ``seq_len`` times the number of
        weights reach 10^8. This bound is an estimate, it was not measured.
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
        Begin the next fit with the current weights, when it leads to the same network.
    verbose : int, default=0
        Show each epoch on stderr.

    Attributes
    ----------
    network_, params_ : Network, ndarray
        ``network_.views(params_)`` are the weights by name.
    loss_curve_, validation_loss_curve_ : list of float
        One per epoch.
    best_epoch_, n_iter_ : int
        The epoch whose weights were kept, counted from 0 (-1: none was better than the start),
        and the number of epochs.
    n_features_in_, feature_names_in_ : int, ndarray of str
        As scikit-learn counts: the second axis of X, which is that of the steps.

    See Also
    --------
    lstm_numba.make_windows : Cuts a series into windows.

    Examples
    --------
    >>> import numpy as np
    >>> from lstm_numba import LSTMRegressor, make_windows
    >>> x, y = make_windows(np.sin(np.arange(200) / 3), seq_len=12, horizon=1)
    >>> model = LSTMRegressor(max_epochs=20, random_state=0).fit(x, y[:, 0, 0])
    >>> model.predict(x[-2:]).shape
    (2,)
    """

    def __init__(
        self,
        *,
        cell="lstm",
        hidden_size=64,
        num_layers=1,
        loss="mse",
        scaler="standard",
        learning_rate=1e-3,
        weight_decay=0.0,
        clip_norm=1.0,
        max_epochs=200,
        batch_size=64,
        early_stopping=False,
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
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.loss = loss
        self.scaler = scaler
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

    def fit(self, X, y):
        """Learn from windows and the numbers that belong to them.

        Parameters
        ----------
        X : array of shape (batch, seq_len, features), or (batch, seq_len) for one feature
        y : array of shape (batch,) or (batch, outputs)

        Returns
        -------
        self
            After an error as it was before.

        Raises
        ------
        TypeError, ValueError
            Data that are no finite numbers or have other shapes, a parameter out of range.
        FloatingPointError
            If training diverges.
        RuntimeError, MemoryError
            If there is no GPU for ``device="cuda"``, or it fails, or has too little memory.

        Warns
        -----
        UserWarning
            If there are too few rows for early stopping; if training was interrupted by
            Ctrl-C, which leaves the best weights so far.
        """
        self._check_parameters()
        blank = self._blank()
        _checks.check_axes_of_outputs(y)
        X, y = validate_data(
            blank, X, y, dtype=np.float64, allow_nd=True, multi_output=True, y_numeric=True
        )
        outputs = y.astype(np.float64).reshape(len(y), -1)
        windows = _three_axes(X)
        n_training = len(windows) - self._validation_rows(len(windows))
        batch, seq_len, features = windows.shape

        steps = windows.reshape(batch * seq_len, features)
        input_scaler = self._fit_scaler(steps[: n_training * seq_len])
        output_scaler = self._fit_scaler(outputs[:n_training])
        inputs = self._scaled(input_scaler, steps, "X")
        targets = self._scaled(output_scaler, outputs, "y")
        training, validation = (
            Windows(inputs, rows * seq_len, targets, rows)
            for rows in np.split(np.arange(batch, dtype=np.int64), [n_training])
        )
        network = Network(
            seq_len=seq_len,
            features=features,
            horizon=1,
            targets=outputs.shape[1],
            cell=self.cell,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            dtype=np.dtype(self.dtype).name,
            precision=self.precision,
        )
        if n_training == batch:
            validation = None
        fitted = self._fit_network(Problem(network, training, validation, {}))
        fitted |= {
            "_input_scaler": input_scaler,
            "_output_scaler": output_scaler,
            "_output_ndim": y.ndim,
        }
        return self._adopt(fitted | features_seen(blank))

    def predict(self, X):
        """Predict the numbers that belong to windows.

        Parameters
        ----------
        X : array of shape (batch, seq_len, features), or (batch, seq_len) for one feature
            With the ``seq_len`` and the ``features`` of the fit.

        Returns
        -------
        ndarray of shape (batch,) or (batch, outputs), float64
            In the form of the ``y`` that was fitted.

        Raises
        ------
        NotFittedError
        TypeError, ValueError
            As in ``fit``.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64, allow_nd=True)
        windows = _three_axes(X)
        network = self.network_
        if windows.shape[1:] != (network.seq_len, network.features):
            raise ValueError(
                f"X must have the shape (batch, seq_len={network.seq_len}, "
                f"features={network.features}) that {type(self).__name__} was fitted with, but has "
                f"{X.shape}."
            )
        steps = windows.reshape(-1, network.features)
        inputs = self._scaled(self._input_scaler, steps, "X")
        rows = np.arange(len(windows), dtype=np.int64)
        targets = np.zeros((len(windows), network.targets), dtype=network.dtype)
        found = Windows(inputs, rows * network.seq_len, targets, rows)
        scaled = network.predict(self.params_, found, self._n_threads(), self.device)[:, 0]
        values = self._output_scaler.inverse_transform(scaled.astype(np.float64))
        _checks.check_forecast_finite(values)
        return values[:, 0] if self._output_ndim == 1 else values

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.multi_output = True
        return tags

    def _validation_rows(self, batch):
        """Return how many of the last rows early stopping holds back."""
        if not self.early_stopping:
            return 0
        rows = math.ceil(self.validation_fraction * batch)
        if rows < batch:
            return rows
        warnings.warn(
            f"X has {batch} row(s), too few to hold back {rows} for validation: training runs "
            "without early stopping. Set early_stopping=False to say so.",
            UserWarning,
            stacklevel=3,
        )
        return 0


def _three_axes(X):
    """Return X as (batch, seq_len, features)."""
    if X.ndim == 2:
        return X[:, :, np.newaxis]
    if X.ndim == 3 and 0 not in X.shape:
        return X
    raise ValueError(
        "X must have the shape (batch, seq_len, features), or (batch, seq_len) for one feature, "
        f"with one step and one feature at least, but has {X.shape}."
    )
