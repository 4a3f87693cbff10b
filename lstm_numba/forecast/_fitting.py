"""What the estimators share: from checked parameters to a trained network."""

import copy
import math
import os
import sys
import warnings
from dataclasses import dataclass

import numpy as np
from joblib import effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn.base import BaseEstimator, RegressorMixin

from .. import _checks
from ..data import scalers
from ..train.trainer import train


@dataclass(frozen=True)
class Problem:
    """What `RecurrentEstimator._fit_network` works on, in network units.

    Attributes
    ----------
    network : Network
    windows : Windows, or Streams for a network that is ``stateful``
        For training.
    validation : Windows, Streams or None
    start : dict of str to array
        Weights to begin with, by name; the others are drawn.
    """

    network: object
    windows: object
    validation: object
    start: dict

    def begin(self, drawn):
        """Return a copy of the flat weights ``drawn``, with ``start`` in place."""
        params = np.array(drawn)
        weights = self.network.views(params)
        for name, value in self.start.items():
            weights[name][...] = value
        return params


class RecurrentEstimator(RegressorMixin, BaseEstimator):
    """Checks, training and the fitted attributes that all estimators have."""

    def __setattr__(self, name, value):
        # For the constructor and set_params alike; what a clone is given stays as it is.
        super().__setattr__(name, _checks.plain(value))

    def _check_parameters(self):
        _checks.check_parameters(self.get_params(deep=False), type(self).__name__)

    def _n_threads(self):
        """Return the threads that ``n_jobs`` asks for, no more than a worker of joblib may have.

        Its other workers are busy too. It tells those of loky what is left to each in
        ``NUMBA_NUM_THREADS``, and the others nothing.
        """
        threads = effective_n_jobs(self.n_jobs)
        in_worker = get_active_backend()[0].nesting_level
        limit = os.environ.get("NUMBA_NUM_THREADS") or (1 if in_worker else threads)
        return max(1, min(threads, int(limit)))

    def _fit_scaler(self, training, centre=True):
        """Fit the scaler of the columns of ``training``, as the parameter ``scaler`` says."""
        if self.scaler is None:
            return scalers.identity(training.shape[1])
        return scalers.fit_standard(training, centre)

    def _scaled(self, scaler, values, what):
        """Return ``values`` scaled, in the dtype of the network; refuse what it cannot hold."""
        scaled = scaler.transform(values)
        _checks.check_representable(scaled, self.dtype, what)
        return np.ascontiguousarray(scaled, dtype=self.dtype)

    def _training_options(self):
        """Return the parameters that are the trainer's own."""
        names = ("loss", "learning_rate", "weight_decay", "clip_norm", "max_epochs", "batch_size")
        options = {name: getattr(self, name) for name in (*names, "n_iter_no_change")}
        return options | {"n_threads": self._n_threads()}

    def _fit_network(self, problem):
        """Train the network of ``problem`` and return the fitted attributes of it.

        Returns
        -------
        dict of str to object
            For `_adopt`. The estimator itself is left as it was.
        """
        rng = generator(self.random_state)
        network = problem.network
        if self.warm_start and getattr(self, "network_", None) == network:
            params = np.array(self.params_)
        else:
            params = problem.begin(network.init(rng))
        progress = Progress(self.max_epochs) if self.verbose else None
        run = train(
            network,
            params,
            problem.windows,
            problem.validation,
            **self._training_options(),
            rng=rng,
            device=self.device,
            on_epoch=progress,
        )
        if progress:
            progress.close(run.reason)
        if run.reason == "interrupted":
            warnings.warn(
                f"Training interrupted by user after {len(run.train_loss)} epochs; the best "
                "weights so far are kept.",
                UserWarning,
                stacklevel=3,
            )
        return {
            "network_": network,
            "params_": run.params,
            "loss_curve_": run.train_loss,
            "validation_loss_curve_": run.valid_loss,
            "best_epoch_": run.best_epoch,
            "n_iter_": len(run.train_loss),
        }

    def _adopt(self, fitted):
        """Become fitted: nothing of an earlier fit stays, and nothing before this can fail."""
        for name in ("n_features_in_", "feature_names_in_", "series_ids_"):
            vars(self).pop(name, None)
        vars(self).update(fitted)
        return self

    def _blank(self):
        """Return a copy for scikit-learn to write on what it has learnt of X."""
        return copy.copy(self)


def features_seen(blank):
    """Return the attributes that scikit-learn's `validate_data` has written on ``blank``."""
    names = ("n_features_in_", "feature_names_in_")
    return {name: getattr(blank, name) for name in names if hasattr(blank, name)}


def generator(random_state):
    """Return the generator of a ``random_state``, without a touch to global random state."""
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**32, size=4, dtype=np.uint32)
    return np.random.default_rng(random_state)


class Progress:
    """A line on stderr that says how training goes."""

    def __init__(self, total):
        self.total = total
        self.last_line = ""

    def __call__(self, epoch, train_loss, valid_loss):
        line = f"epoch {epoch + 1}/{self.total}  loss {train_loss:.4g}"
        if not math.isnan(valid_loss):
            line += f"  validation {valid_loss:.4g}"
        self._show(line)

    def close(self, reason):
        """Say why training ended and leave the line."""
        self._show(f"{self.last_line}  ({reason})")
        print(file=sys.stderr)

    def _show(self, line):
        sys.stderr.write("\r" + line.ljust(len(self.last_line)))
        sys.stderr.flush()
        self.last_line = line.rstrip()


class ModelProgress(Progress):
    """A line on stderr that says how many models are trained."""

    def __call__(self, models_done):
        self._show(f"model {models_done}/{self.total}")
