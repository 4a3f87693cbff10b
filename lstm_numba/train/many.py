"""Train many small models of one network side by side, one series each."""

import contextlib
import threading

import numpy as np

from ..kernels.cpu import (
    ROWS,
    VECTOR_BYTES,
    Models,
    Schedule,
    Team,
    Windows,
    make_plan,
    train_models,
)
from ..kernels.cpu.team import SHARED_SIZE, TICKET
from ..nn.engine import KERNEL_SECONDS, make_buffers, make_step
from .lockstep import train_in_lockstep
from .trainer import TrainingRun


def train_many(
    network,
    params,
    windows,
    limits,
    *,
    loss="mse",
    huber_delta=1.0,
    learning_rate=1e-3,
    weight_decay=0.0,
    clip_norm=1.0,
    max_epochs=100,
    batch_size=64,
    n_iter_no_change=10,
    tol=0.0,
    seeds,
    n_threads=1,
    device="cpu",
    on_model=None,
):
    """Train one model per row of ``params``, each on windows of its own.

    On the CPU a thread trains a model from its first epoch to its last inside one kernel, so models
    of a few units cost arithmetic and not the interpreter; on a GPU all models take their batches
    side by side, see ``lockstep.py``. The result of a model does not depend on the others, nor on
    the number of threads.

    Parameters
    ----------
    network : Network
        Of all models.
    params : array, (models, network.layout.size)
        Where training starts; not changed.
    windows : Windows
        Of all models, in one.
    limits : array of int, (models, 4)
        For each model the range of its training windows and the range of its validation windows;
        an empty range: all epochs are run.
    seeds : array of uint64, (models,)
        Of the shuffling of each model.
    device : "cpu" or "cuda"
    on_model : callable, optional
        Called as ``on_model(models_done)`` several times a second.

    Returns
    -------
    list of TrainingRun
        One per model; see ``trainer.train`` for the other parameters. ``reason`` is
        ``"diverged"`` where the loss did not stay finite, ``"interrupted"`` for models that Ctrl-C
        kept from being trained to the end: with the best weights so far.
    """
    n = len(params)
    step = make_step(loss, huber_delta, learning_rate, weight_decay, clip_norm)
    schedule = Schedule(int(batch_size), int(max_epochs), int(n_iter_no_change), float(tol))
    dtype = np.dtype(network.dtype)
    models = Models(
        limits=np.array(limits, np.int64),
        params=np.array(params, dtype),
        seeds=np.array(seeds, np.uint64),
        train_loss=np.full((n, max_epochs), np.nan),
        valid_loss=np.full((n, max_epochs), np.nan),
        epochs=np.zeros(n, np.int64),
        best_epoch=np.full(n, -1),
    )
    inputs, targets = (np.require(a, dtype, "CAW") for a in (windows.inputs, windows.targets))
    # The kernel shuffles the starts in place.
    starts, target_starts = (np.array(a, np.int64) for a in (windows.starts, windows.target_starts))
    windows = Windows(inputs, starts, targets, target_starts)
    if device == "cuda":
        with contextlib.suppress(KeyboardInterrupt):
            train_in_lockstep(network, windows, models, schedule, step, on_model)
    else:
        _train_on_threads(network, windows, models, schedule, step, n_threads, on_model)
    return [_run_of(models, k, schedule) for k in range(n)]


def _train_on_threads(network, windows, models, schedule, step, n_threads, on_model):
    """Let each thread train one model after the other."""
    n, dtype, batch_size = len(models.limits), np.dtype(network.dtype), schedule.batch_size
    steps = step, step._replace(tape=False)
    plan = make_plan(network, VECTOR_BYTES // dtype.itemsize)
    n_threads = min(n_threads, n)
    validation = int(np.diff(models.limits[:, 2:]).max(initial=0))
    none = np.empty((0, network.horizon, network.targets), dtype)
    own = [
        (
            make_buffers(plan, dtype, 1, batch_size),
            np.empty(-(-validation // ROWS)),
            none,
            np.zeros(SHARED_SIZE, np.int64),
        )
        for _ in range(n_threads)
    ]

    left = threading.Semaphore(0)

    def share(rank):
        if rank:
            try:
                arguments = plan, windows, models, 0, n, schedule, steps, *own[rank - 1]
                train_models(*arguments, team.shared)
            finally:
                left.release()
            return
        # The caller does not train: it can hear Ctrl-C at any time, and tells the others to stop.
        for _ in range(n_threads):
            while not left.acquire(timeout=KERNEL_SECONDS):
                if on_model:
                    on_model(max(0, min(n, int(team.shared[TICKET])) - n_threads))
        if on_model:
            on_model(n)

    with contextlib.suppress(KeyboardInterrupt), Team(n_threads + 1) as team:
        team.run(share)


def _run_of(models, k, schedule):
    """Return what training left of model ``k``."""
    epochs = models.epochs[k]
    train_loss, valid_loss = models.train_loss[k, :epochs], models.valid_loss[k, :epochs]
    validated = models.limits[k, 3] > models.limits[k, 2]
    # The last update shows in no loss when there is no validation.
    last = (models.params[k], train_loss[-1:], valid_loss[-1:] if validated else 0.0)
    if not all(np.isfinite(values).all() for values in last):
        reason = "diverged"
    elif epochs == schedule.max_epochs:
        reason = "max_epochs"
    elif epochs - 1 - models.best_epoch[k] >= schedule.patience:
        reason = "no improvement"
    else:
        reason = "interrupted"
    return TrainingRun(
        params=models.params[k],
        train_loss=train_loss.tolist(),
        valid_loss=valid_loss.tolist() if validated else [],
        best_epoch=int(models.best_epoch[k]),
        reason=reason,
    )
