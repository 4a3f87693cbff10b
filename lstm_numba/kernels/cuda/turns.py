"""Which windows each model takes, turn by turn.

At each turn some models take one batch of windows each, side by side. The device counts the turns
itself, so that the launches of all are the same.
"""

import itertools

import numpy as np

from ..updates import adam_rate
from .device import allocate
from .equations import on_device
from .launches import Turn
from .rows import is_first_thread

# The two numbers of ``Turns.counter``: which turn comes next, and which is under way.
NEXT, NOW = 0, 1
# Kinds of turns whose launches are kept.
_MOST_KEPT = 64


@on_device
def begin_turn(counter):
    """Return the turn that begins; kernels that follow find it in ``counter[NOW]``."""
    turn = counter[NEXT]
    if is_first_thread():
        counter[NOW] = turn
    return turn


@on_device
def end_turn(counter):
    """Let another turn begin, with the next ``begin_turn``."""
    if is_first_thread():
        counter[NEXT] = counter[NOW] + 1


class Turns:
    """The turns of a call, in device arrays that stay where they are from call to call.

    Parameters
    ----------
    network : Network
    models : int
    parts : int
        Into which the losses of a turn are summed up.

    Attributes
    ----------
    counter : (2,) int64
    models : (models,) int64
        Those that take part come first.
    spans : (turns, models, 2) int64
        First window, and number of windows, at least 1.
    rates : (turns, models, 3)
        Weight of a loss in the mean, Adam's rate and epsilon.
    losses : (turns, models, parts)
    starts, target_starts : (windows,) int64
    """

    def __init__(self, network, models, parts):
        self._network, self._models, self._parts = network, models, parts
        self._room, self._kept, self._series = (0, 0), {}, (None, None)

    def load(self, windows, spans, step=None, steps_done=None):
        """Begin a call.

        Parameters
        ----------
        windows : Windows
            ``starts`` and ``target_starts`` on the host; arrays that are not changed later.
        spans : (turns, models, 2) int64
            First window and number of windows of each batch; a model without windows at one turn
            has none later.
        step : Step, optional
            Of training.
        steps_done : (models,) int, optional
            Steps of Adam that each model has taken.

        Returns
        -------
        list of (count, turns)
            How many models take part, for how many turns.
        """
        self._make_room(len(spans), len(windows.starts))
        spans = np.ascontiguousarray(spans, np.int64)
        taken = spans[:, :, 1] > 0
        order = np.argsort(-taken.sum(axis=0), kind="stable")
        _copy(np.concatenate([[0, 0], order, spans.ravel()]), self._plan)
        rates = self._rates_of(spans, taken, step, steps_done)
        if not np.array_equal(rates, self._rates):
            _copy(rates, self.rates)
            self._rates = rates
        starts = windows.starts, windows.target_starts
        if not _same(starts, self._starts):
            _copy(starts[0], self.starts)
            _copy(starts[1], self.target_starts)
            self._starts = starts
        self._taken = taken
        counts = taken.sum(axis=1).tolist()
        return [(count, len(list(turns))) for count, turns in itertools.groupby(counts)]

    def _make_room(self, turns, windows):
        """Take larger arrays where these are too small; launches that know them are forgotten."""
        room = tuple(map(max, self._room, (turns, windows)))
        if room == self._room:
            return
        self._kept.clear()
        models, (turns, windows) = self._models, room
        numbers = {"rates": (turns, models, 3), "losses": (turns, models, self._parts)}
        places = {"starts": (windows,), "target_starts": (windows,)}
        # Three in one, since each copy takes the host longer than a graph of launches.
        places["_plan"] = (2 + models + turns * models * 2,)
        vars(self).update(allocate(numbers, self._network.dtype) | allocate(places, np.int64))
        self.counter, self.models = self._plan[:2], self._plan[2 : 2 + models]
        self.spans = self._plan[2 + models :].reshape((turns, models, 2))
        self._room, self._rates, self._starts = room, None, (None, None)

    def _rates_of(self, spans, taken, step, steps_done):
        network = self._network
        rates = np.zeros((*taken.shape, 3))
        rates[:, :, 0] = 1.0 / (np.maximum(spans[:, :, 1], 1) * network.horizon * network.targets)
        if step is not None:
            # Counted from 1; most models are at the same step.
            steps, which = np.unique(
                np.arange(1, len(spans) + 1)[:, None] + steps_done, return_inverse=True
            )
            adam = step.learning_rate, step.beta1, step.beta2, step.epsilon
            table = [adam_rate(*adam, int(number)) for number in steps]
            rates[:, :, 1:] = np.array(table)[which.reshape(taken.shape)]
        return rates

    def turn(self, kind, windows, count, add_launches):
        """Return the ``Turn`` of ``count`` models; a new one gets its launches from the callable.

        Parameters
        ----------
        kind : tuple
            What else than the series tells these launches from others.
        windows : Windows
            Inputs and targets on the device.
        """
        series = windows.inputs, windows.targets
        if not _same(series, self._series) or len(self._kept) == _MOST_KEPT:
            self._kept.clear()
            self._series = series
        if (kind, count) not in self._kept:
            turn = Turn(self.models, count)
            add_launches(turn)
            self._kept[kind, count] = turn
        return self._kept[kind, count]

    def losses_of_call(self):
        """Wait for the device; return the losses of windows, (turns, models) float64.

        A model that takes no part in a turn has 0 there.
        """
        taken, network = self._taken, self._network
        sums = self.losses[: len(taken)].copy_to_host().sum(axis=2, dtype=np.float64)
        return np.where(taken, sums / (network.horizon * network.targets), 0.0)


def _same(arrays, others):
    return all(array is other for array, other in zip(arrays, others, strict=True))


def _copy(array, to):
    """Write to the beginning of a device array."""
    array = np.array(array, to.dtype, order="C")
    to[: len(array)].copy_to_device(array)
