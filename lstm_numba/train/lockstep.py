"""Many small models on a GPU, in lockstep: all take their first batch at once, then their second.

One model of a few units keeps a few of a device's multiprocessors busy; a hundred of them take
little longer than one. A model that has stopped, or has fewer batches, leaves its place empty.
"""

import numpy as np

from ..kernels import load
from ..kernels.cpu import Models, shuffle_windows
from ..nn.device import CudaModels


def train_in_lockstep(network, windows, models, schedule, step, on_model=None):
    """Do on an NVIDIA GPU what the kernel ``train_models`` does, but for rounding.

    Parameters
    ----------
    network : Network
    windows : Windows
        Of all models, in native C-ordered arrays; starts are shuffled in place.
    models : Models
        Changed. What a model becomes does not depend on the others.
    schedule : Schedule
    step : Step
    on_model : callable, optional
        Called as ``on_model(models_done)`` after each epoch.
    """
    kernels = load("cuda")
    kernels.check_device()
    rows = min(schedule.batch_size, int(_sizes(models.limits).max()))
    at_once = kernels.models_at_once(network, rows)
    for first in range(0, len(models.limits), at_once):
        some = Models(*(field[first : first + at_once] for field in models))

        def count(models_done, before=first):
            if on_model:
                on_model(before + models_done)

        with CudaModels(network, some.params, rows) as engine:
            try:
                _train(engine, windows, some, schedule, step, count)
            finally:
                some.params[:] = engine.best


def _sizes(limits):
    """Return the numbers of training and of validation windows, (models, 2)."""
    return limits[:, 1::2] - limits[:, ::2]


def _spans(first, n, batch_size):
    """Return the spans (turns, models, 2) of batches of ``n`` windows from ``first`` on."""
    at = batch_size * np.arange(-(-int(n.max()) // batch_size))[:, np.newaxis]
    return np.stack([first + at, np.clip(n - at, 0, batch_size)], axis=2)


def _validate(engine, windows, models, active, batch_size, step):
    """Return the mean validation loss of each active model; 0 where it has no such windows."""
    n = np.where(active, _sizes(models.limits)[:, 1], 0)
    if not n.any():
        return np.zeros(len(n))
    losses = engine.score(windows, _spans(models.limits[:, 2], n, batch_size), step)
    return losses.sum(axis=0) / np.maximum(n, 1)


def _train(engine, windows, models, schedule, step, count):
    """Run the epochs of all models, as ``train.trainer`` runs those of one."""
    size, limits = schedule.batch_size, models.limits
    n, held = _sizes(limits).T
    batches, validated = -(-n // size), held > 0
    active, waited = np.ones(len(n), bool), np.zeros(len(n), np.int64)
    states = np.array(models.seeds)
    best = _validate(engine, windows, models, active, size, step)
    best[~validated] = np.inf
    for epoch in range(schedule.max_epochs):
        shuffle_windows(limits, states, active, windows.starts, windows.target_starts)
        # New arrays: the engine takes one that it has seen before for unchanged.
        shuffled = windows._replace(
            starts=np.array(windows.starts), target_starts=np.array(windows.target_starts)
        )
        spans = _spans(limits[:, 0], np.where(active, n, 0), size)
        train_loss = engine.train(shuffled, spans, step, epoch * batches).sum(axis=0) / n
        valid_loss = _validate(engine, shuffled, models, active, size, step)

        models.train_loss[active, epoch] = train_loss[active]
        models.valid_loss[active & validated, epoch] = valid_loss[active & validated]
        models.epochs[active] = epoch + 1
        better = active & (~validated | (valid_loss < best - schedule.tol))
        waited[active] += 1
        best[better], waited[better], models.best_epoch[better] = valid_loss[better], 0, epoch
        if better.any():
            engine.keep(np.flatnonzero(better))
        active &= (waited < schedule.patience) & np.isfinite(train_loss + valid_loss)
        if not active.any():
            break
        count(np.count_nonzero(~active))
    count(len(n))
