"""The training loop: epochs, validation, early stopping, best weights kept."""

import math
from dataclasses import dataclass, field

import numpy as np

from ..nn.device import choose_device, make_engine
from ..nn.engine import make_step
from .epochs import StreamEpochs, WindowEpochs


@dataclass
class TrainingRun:
    """What training left behind.

    Attributes
    ----------
    params : array
        Flat weights: those of the best validation loss, or the last ones without validation.
    train_loss, valid_loss : list of float
        One per epoch; ``valid_loss`` is empty without validation.
    best_epoch : int
        Index into the lists; -1 if no epoch did better than the initial weights.
    reason : str
        Why it ended: ``"max_epochs"``, ``"no improvement"`` or ``"interrupted"``; in ``train_many``
        also ``"diverged"``.
    """

    params: np.ndarray
    train_loss: list = field(default_factory=list)
    valid_loss: list = field(default_factory=list)
    best_epoch: int = -1
    reason: str = "max_epochs"


def train(
    network,
    params,
    windows,
    validation=None,
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
    rng,
    n_threads=1,
    device="cpu",
    on_epoch=None,
):
    """Train a network with Adam, on windows in shuffled order or on streams in that of time.

    Parameters
    ----------
    network : Network
    params : array, (network.layout.size,)
        Where training starts; not changed. With ``validation`` it counts as a candidate for the
        best weights.
    windows, validation : Windows, or Streams for a network that is ``stateful``
        Without ``validation`` all epochs are run. A training stream is read from its first step.
    clip_norm : float or None
        Largest Euclidean norm of the whole gradient.
    n_iter_no_change : int
        Epochs without an improvement of the validation loss by more than ``tol`` before training
        ends.
    rng : numpy.random.Generator
        Shuffles the windows, or which streams share a batch: one permutation per epoch.
    n_threads : int
        Does not change a bit of the result.
    device : "cpu", "cuda" or "auto"
        See ``nn.device``.
    on_epoch : callable, optional
        Called as ``on_epoch(epoch, train_loss, valid_loss)`` after each epoch.

    Returns
    -------
    TrainingRun
        Also after Ctrl-C: then with the best weights so far.

    Raises
    ------
    FloatingPointError
        When the loss is no longer finite.
    """
    step = make_step(loss, huber_delta, learning_rate, weight_decay, clip_norm)
    n = len(windows) if network.stateful else len(windows.starts)
    batch_size = min(int(batch_size), n)
    device = choose_device(device, network, batch_size)
    run = TrainingRun(params=np.array(params))
    waited = 0

    try:
        with make_engine(network, params, n_threads, batch_size, device) as engine:
            if network.stateful:
                epochs = StreamEpochs(engine, network, windows, validation, batch_size)
            else:
                epochs = WindowEpochs(engine, windows, validation, batch_size)
            best_loss = epochs.validate(step) if validation else math.inf
            for epoch in range(max_epochs):
                epochs.begin(rng)
                total, before = 0.0, epoch * epochs.batches
                for first, last in engine.pieces(epochs.batches):
                    total = epochs.train(first, last, step, before + first, total)

                train_loss = total / epochs.n
                valid_loss = epochs.validate(step) if validation else math.nan
                # The last update shows in no loss when there is no validation.
                finite = math.isfinite(train_loss) and np.isfinite(engine.params).all()
                if not finite or (validation and not math.isfinite(valid_loss)):
                    raise FloatingPointError(
                        f"Loss and weights must stay finite, but after epoch {epoch + 1} the "
                        f"training loss is {train_loss} and the validation loss {valid_loss} "
                        f"(learning_rate={learning_rate}). Use a smaller learning_rate or "
                        "clip_norm, or scale the data."
                    )
                run.train_loss.append(train_loss)
                if validation:
                    run.valid_loss.append(valid_loss)
                if not validation or valid_loss < best_loss - tol:
                    best_loss, run.best_epoch, waited = valid_loss, epoch, 0
                    run.params[:] = engine.params
                else:
                    waited += 1
                if on_epoch:
                    on_epoch(epoch, train_loss, valid_loss)
                if waited >= n_iter_no_change:
                    run.reason = "no improvement"
                    break
    except KeyboardInterrupt:
        run.reason = "interrupted"
    return run
