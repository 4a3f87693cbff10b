"""The forecasting network: a recurrent stack over a window, read by a direct multi-step head."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..kernels import load
from ..kernels.cpu import Buffers, Step, Team, Windows
from ..kernels.losses import LOSSES
from .inits import glorot_uniform, orthogonal
from .params import ParamLayout

__all__ = ["Network", "Windows"]


@dataclass(frozen=True)
class Network:
    """A recurrent stack over a window, read by a direct multi-step head.

        h       = LSTM(window), the top layer's state after the newest step
        out[d]  = head.weight[d] h + head.bias[d] + skip.weight window[:, d] + future[:] future.weight[d]

    It describes and holds no arrays: weights are one flat vector, ``layout`` names its parts.

    Parameters
    ----------
    seq_len : int
        Steps of a window.
    features : int
        Columns of the inputs.
    horizon : int
        Steps that the head forecasts, each from the whole window.
    targets : int
        Series that are forecast together. With ``skip`` or ``window_norm`` their own history stands
        in the first columns of the inputs.
    hidden_size, num_layers : int
        Units of a layer, and layers.
    future : int
        Columns at the end of the inputs that are known in advance: their values at the forecast
        steps enter the head.
    skip : bool
        A linear path from each target's window to its forecast, weights shared by the targets
        (NLinear; Zeng et al., 2023).
    window_norm : None, "last" or "level"
        Subtract from each target's window its newest value, or divide by its mean and subtract 1;
        the forecast is scaled back. For ``"level"`` the data must be positive.
    dtype : "float32" or "float64"
    """

    seq_len: int
    features: int
    horizon: int
    targets: int
    hidden_size: int = 64
    num_layers: int = 1
    future: int = 0
    skip: bool = False
    window_norm: str | None = None
    dtype: str = "float32"

    @cached_property
    def layout(self):
        """Names and shapes of the weights as they are stored: inputs x outputs."""
        hidden, outputs = self.hidden_size, self.horizon * self.targets
        shapes = {}
        for k in range(self.num_layers):
            shapes[f"weight_ih_l{k}"] = (hidden if k else self.features, 4 * hidden)
            shapes[f"bias_l{k}"] = (4 * hidden,)
            shapes[f"weight_hh_l{k}"] = (hidden, 4 * hidden)
        shapes["head.bias"] = (outputs,)
        shapes["head.weight"] = (hidden, outputs)
        if self.skip:
            shapes["skip.weight"] = (self.seq_len, self.horizon)
        if self.future:
            shapes["future.weight"] = (self.targets, self.future)
        return ParamLayout(shapes)

    def views(self, flat):
        """Return named views of a flat weight or gradient vector, shaped as torch shapes them.

        ``weight_ih_l{k}`` (4 hidden, in), ``weight_hh_l{k}`` (4 hidden, hidden), ``bias_l{k}``
        (4 hidden,) with gates i, f, g, o; ``head.weight`` (targets horizon, hidden), ``head.bias``
        (targets horizon,), target-major; ``skip.weight`` (horizon, seq_len); ``future.weight``
        (targets, future).
        """
        stored = self.layout.views(flat)
        return {name: view if name == "future.weight" else view.T for name, view in stored.items()}

    def init(self, rng):
        """Draw initial weights: Keras's defaults (glorot, orthogonal, forget bias 1).

        With a skip the recurrent part begins as a correction of zero.
        """
        flat = np.zeros(self.layout.size, self.dtype)
        weights = self.layout.views(flat)
        hidden = self.hidden_size
        for k in range(self.num_layers):
            w_x, w_h = weights[f"weight_ih_l{k}"], weights[f"weight_hh_l{k}"]
            w_x[...] = glorot_uniform(rng, *w_x.shape)
            w_h[...] = orthogonal(rng, *w_h.shape)
            weights[f"bias_l{k}"][hidden : 2 * hidden] = 1
        if not self.skip:
            head = weights["head.weight"]
            head[...] = glorot_uniform(rng, *head.shape)
        return flat

    def predict(self, params, windows, n_threads=1):
        """Return forecasts (n, horizon, targets) of all windows, in the units of the inputs."""
        engine = Engine(self, params, n_threads)
        return engine.forecast(windows)

    def loss_and_gradient(self, params, windows, loss="mse", huber_delta=1.0, n_threads=1):
        """Return the mean loss over all windows, and its gradient as a flat vector."""
        engine = Engine(self, params, n_threads, batch_size=len(windows.starts))
        return engine.loss_and_gradient(windows, loss, huber_delta)


class Engine:
    """A network with the arrays that its kernels work on, and the threads that run them.

    Parameters
    ----------
    network : Network
    params : array, (network.layout.size,)
        Copied; ``params`` of the engine is the copy that training changes.
    n_threads : int
    batch_size : int
        Largest batch to train on; 0 if there is none.
    """

    def __init__(self, network, params, n_threads=1, batch_size=0):
        self._kernels = load("cpu")
        dtype = np.dtype(network.dtype)
        lanes = self._kernels.VECTOR_BYTES // dtype.itemsize
        self._plan, self._table = self._kernels.make_plan(network, lanes)
        self.network, self._n_threads = network, n_threads

        plan, piece = self._plan, self._kernels.PIECE
        trainable = plan.n_params if batch_size else 0
        padded = -(-trainable // piece) * piece
        blocks = -(-batch_size // self._kernels.ROWS)
        self._buffers = Buffers(
            # Products read whole vectors, also at the end.
            params=np.zeros(plan.n_params + 4 * lanes, dtype),
            gradient=np.zeros(padded, dtype),
            mean=np.zeros(padded, dtype),
            square=np.zeros(padded, dtype),
            packed=np.zeros(plan.n_packed, dtype),
            work=np.zeros((n_threads, plan.n_work), dtype),
            partials=np.zeros((min(blocks, self._kernels.MAX_CHUNKS), plan.n_partial), dtype),
            squares=np.zeros(padded // piece * 4 * lanes, dtype),
            losses=np.zeros(self._kernels.MAX_CHUNKS),
        )
        self.params[:] = params

    @property
    def params(self):
        """Flat weights, (network.layout.size,); writing to them changes the network."""
        return self._buffers.params[: self._plan.n_params]

    def _arrays(self, windows):
        """Give the kernels the one array type that they are compiled for."""
        dtype = self.network.dtype
        return Windows(
            *(
                np.require(array, kind, ["C", "W", "A"])
                for array, kind in zip(windows, (dtype, np.int64, dtype, np.int64), strict=True)
            )
        )

    def _infer(self, windows, step, n_losses, n_forecasts):
        """Return losses of the first ``n_losses`` blocks and the first ``n_forecasts`` forecasts."""
        windows = self._arrays(windows)
        plan, order = self._plan, np.arange(len(windows.starts))
        losses = np.empty(n_losses)
        out = np.empty((n_forecasts, plan.horizon, plan.targets), self.network.dtype)
        with Team(self._n_threads) as team:
            team.run(
                lambda rank: self._kernels.infer(
                    plan, self._table, windows, order, step, self._buffers, losses, out,
                    rank, team.size, team.shared
                )
            )  # fmt: skip
        return losses, out

    def forecast(self, windows):
        """Return forecasts (n, horizon, targets) in the units of the inputs."""
        return self._infer(windows, make_step(tape=False), 0, len(windows.starts))[1]

    def loss(self, windows, step):
        """Return the mean loss over all windows."""
        n = len(windows.starts)
        losses, _ = self._infer(windows, step._replace(tape=False), -(-n // self._kernels.ROWS), 0)
        return float(losses.sum()) / (n * self._plan.horizon * self._plan.targets)

    def loss_and_gradient(self, windows, loss, huber_delta):
        """Return the mean loss over all windows and its gradient, (network.layout.size,)."""
        step, n = make_step(loss=loss, huber_delta=huber_delta), len(windows.starts)
        with Team(self._n_threads) as team:
            total = self.trainer(windows, step, team, update=False)(np.arange(n), 0, 1, n, 0)
        return total / n, self._buffers.gradient[: self._plan.n_params].copy()

    def trainer(self, windows, step, team, update=True):
        """Return ``run(order, first, last, batch_size, steps_done)``, which trains on batches and
        returns the sum of the windows' losses."""
        windows = self._arrays(windows)
        values = np.empty(team.size)

        def run(order, first, last, batch_size, steps_done):
            def share(rank):
                values[rank] = self._kernels.train_batches(
                    self._plan, self._table, windows, order, first, last, batch_size, step, steps_done,
                    self._buffers, update, rank, team.size, team.shared
                )  # fmt: skip

            team.run(share)
            return values[0]

        return run


def make_step(
    loss="mse", huber_delta=1.0, learning_rate=1e-3, weight_decay=0.0, clip_norm=None, beta1=0.9, beta2=0.999,
    epsilon=1e-8, tape=True
):  # fmt: skip
    """Return the kernels' ``Step``; ``clip_norm=None`` does not clip."""
    return Step(
        loss=LOSSES[loss],
        huber_delta=float(huber_delta),
        learning_rate=float(learning_rate),
        beta1=float(beta1),
        beta2=float(beta2),
        epsilon=float(epsilon),
        weight_decay=float(weight_decay),
        clip_norm=float("inf") if clip_norm is None else float(clip_norm),
        tape=tape,
    )
