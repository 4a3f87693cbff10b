"""Which windows each model takes, turn by turn.

At each turn some models take one batch of windows each, side by side on the device.
"""

from typing import NamedTuple

import numpy as np

from ..updates import adam_rate
from .device import to_device
from .sums import THREADS


class Turn(NamedTuple):
    """One batch of each of ``count`` models."""

    models: object  # (models,) int64 on the device: those that take part come first
    count: int
    at: int  # which turn of the arrays below
    spans: object  # (turns, models, 2) int64 on the device: first window, and windows, 1 at least
    rates: object  # (turns, models, 3) on the device: weight of a loss, Adam's rate and epsilon

    def threads(self, n):
        """Grid and block for one thread per number, ``n`` of each model."""
        return (-(-n // THREADS), self.count), THREADS


def make_turns(network, spans, step=None, steps_done=None):
    """Return a list of ``Turn``.

    Parameters
    ----------
    network : Network
    spans : (turns, models, 2) int64
        First window and number of windows of each batch; a model without windows at one turn has
        none later.
    step : Step, optional
        Of training.
    steps_done : (models,) int, optional
        Steps of Adam that each model has taken.
    """
    spans = np.ascontiguousarray(spans, np.int64)
    taken = spans[:, :, 1] > 0
    models = np.argsort(-taken.sum(axis=0), kind="stable")
    outputs = network.horizon * network.targets
    rates = np.zeros((*taken.shape, 3))
    rates[:, :, 0] = 1.0 / (np.maximum(spans[:, :, 1], 1) * outputs)
    if step is not None:
        # Counted from 1; most models are at the same step.
        steps, which = np.unique(
            np.arange(1, len(spans) + 1)[:, None] + steps_done, return_inverse=True
        )
        adam = step.learning_rate, step.beta1, step.beta2, step.epsilon
        table = [adam_rate(*adam, int(number)) for number in steps]
        rates[:, :, 1:] = np.array(table)[which.reshape(taken.shape)]
    models, spans = to_device(models, np.int64), to_device(spans, np.int64)
    rates = to_device(rates, network.dtype)
    counts = taken.sum(axis=1).tolist()
    return [Turn(models, count, at, spans, rates) for at, count in enumerate(counts)]
