"""Many small models at once: each thread trains whole models, one after the other.

A model of 16 units on a hundred windows trains in milliseconds, less than the interpreter needs
for its epochs. Here epochs, validation and early stopping run inside the kernel, and threads never
meet.
"""

from typing import NamedTuple

import numpy as np

from ..jit import kernel
from ..parts import subkernel
from ..tile import ROWS
from .team import ABORTED, TICKET, atomic_add, atomic_read
from .training import Windows, infer, train_batches


class Models(NamedTuple):
    """Models of one network, one row each."""

    limits: np.ndarray  # (models, 4) ranges of training and of validation windows
    params: np.ndarray  # (models, n_params) in: where training starts; out: the best weights
    seeds: np.ndarray  # (models,) uint64, of the shuffling
    train_loss: np.ndarray  # (models, max_epochs) out
    valid_loss: np.ndarray  # (models, max_epochs) out
    epochs: np.ndarray  # (models,) out: epochs run
    best_epoch: np.ndarray  # (models,) out: -1 if none was better than the start


class Schedule(NamedTuple):
    """How long to train."""

    batch_size: int
    max_epochs: int
    patience: int  # epochs without a better validation loss
    tol: float


@subkernel
def _random(state):
    """Next state and number of SplitMix64 (Steele, Lea & Flood, 2014)."""
    state += np.uint64(0x9E3779B97F4A7C15)
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state, z ^ (z >> np.uint64(31))


@subkernel
def _shuffle(state, a, b):
    """Permute two arrays alike, in place (Fisher & Yates)."""
    for k in range(len(a) - 1, 0, -1):
        state, number = _random(state)
        other = np.int64(number % np.uint64(k + 1))
        a[k], a[other] = a[other], a[k]
        b[k], b[other] = b[other], b[k]
    return state


@kernel
def shuffle_windows(limits, states, active, starts, target_starts):
    """Permute the training windows of each model that is ``active``, in place, as ``train_models``.

    Parameters
    ----------
    limits : (models, 4)                        in: see ``Models``
    states : (models,) uint64                   in, out: of the random numbers, at first the seeds
    active : (models,) bool                     in
    starts, target_starts : (windows,)          in, out
    """
    for model in range(len(limits)):
        if active[model]:
            a, b = limits[model, 0], limits[model, 1]
            states[model] = _shuffle(states[model], starts[a:b], target_starts[a:b])


@subkernel
def _mean_loss(plan, windows, step, losses, none, buffers, shared):
    blocks = -(-len(windows.starts) // ROWS)
    infer(plan, windows, step, losses[:blocks], none, buffers, 0, 1, shared)
    total = 0.0
    for block in range(blocks):
        total += losses[block]
    return total / (len(windows.starts) * plan.horizon * plan.targets)


@subkernel
def _copy(source, target, n):
    for k in range(n):
        target[k] = source[k]


@subkernel
def _train_model(
    plan, windows, validation, models, model, schedule, steps, losses, none, buffers, shared, team
):
    """The epochs of one model, as ``train.trainer`` runs them, until the team is told to stop."""
    n, n_params = len(windows.starts), plan.n_params
    step, evaluation = steps
    batches = -(-n // schedule.batch_size)
    validated = len(validation.starts) > 0
    state = models.seeds[model]
    _copy(models.params[model], buffers.params, n_params)
    buffers.mean[:] = 0
    buffers.square[:] = 0
    best, waited = np.inf, 0
    if validated:
        best = _mean_loss(plan, validation, evaluation, losses, none, buffers, shared)

    for epoch in range(schedule.max_epochs):
        state = _shuffle(state, windows.starts, windows.target_starts)
        size, done = schedule.batch_size, epoch * batches
        train_loss = 0.0
        for k in range(batches):
            if atomic_read(team, ABORTED):
                return
            train_loss = train_batches(
                plan,
                windows,
                k,
                k + 1,
                size,
                step,
                done + k,
                train_loss,
                True,
                buffers,
                0,
                1,
                shared,
            )
        models.train_loss[model, epoch] = train_loss / n
        models.epochs[model] = epoch + 1
        loss = 0.0
        if validated:
            loss = _mean_loss(plan, validation, evaluation, losses, none, buffers, shared)
            models.valid_loss[model, epoch] = loss
        if not validated or loss < best - schedule.tol:
            best, waited = loss, 0
            models.best_epoch[model] = epoch
            _copy(buffers.params, models.params[model], n_params)
        else:
            waited += 1
        # Not finite, or no better for long enough: the caller sees the losses.
        if waited >= schedule.patience or not np.isfinite(train_loss + loss):
            break


@kernel
def train_models(
    plan, windows, models, first, stop, schedule, steps, buffers, losses, none, shared, team_shared
):
    """Train models ``first`` to ``stop`` - 1, those that the other threads leave.

    Parameters
    ----------
    windows : Windows
        The windows of all models; a thread shuffles those of the model it trains.
    steps : tuple of two Step
        For training and for evaluation, which keeps no tape.
    buffers : Buffers
        Of this thread alone, as ``losses`` (blocks of validation windows of a model,), ``none``
        (0, horizon, targets) and ``shared``, of a team of one.
    """
    model = first + atomic_add(team_shared, TICKET, 1)
    while model < stop:
        a, b, c, d = models.limits[model]
        starts, target_starts = windows.starts, windows.target_starts
        own = Windows(windows.inputs, starts[a:b], windows.targets, target_starts[a:b])
        held = Windows(windows.inputs, starts[c:d], windows.targets, target_starts[c:d])
        _train_model(
            plan,
            own,
            held,
            models,
            model,
            schedule,
            steps,
            losses,
            none,
            buffers,
            shared,
            team_shared,
        )
        if atomic_read(team_shared, ABORTED):
            return
        model = first + atomic_add(team_shared, TICKET, 1)
