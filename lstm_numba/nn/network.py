"""The forecasting network: a recurrent stack over a window, read by a direct multi-step head."""

from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np

from ..kernels.cpu import CELLS, Windows
from .device import choose_device, make_engine
from .engine import make_step
from .inits import glorot_uniform, orthogonal
from .params import ParamLayout, layer_shapes

__all__ = ["Network", "Windows"]


@dataclass(frozen=True)
class Network:
    """A recurrent stack over a window, read by a direct multi-step head.

        h       = the top layer's state after the newest step of the window
        out[d]  = head.weight[d] h + head.bias[d]
                  + skip.weight window[:, d] + future future.weight[d]

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
    cell : "lstm", "gru" or "rnn"
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
    stateful : bool
        Made for streams: the state goes on where it was, and the head reads it after each step; see
        ``Streams``. ``seq_len`` is the number of steps that a gradient reaches back. Without
        ``skip`` and ``window_norm``, which look at a whole window.
    dtype : "float32" or "float64"
    precision : "float32" or "tf32"
        Of products in float32 on a GPU.
    """

    seq_len: int
    features: int
    horizon: int
    targets: int
    cell: str = "lstm"
    hidden_size: int = 64
    num_layers: int = 1
    future: int = 0
    skip: bool = False
    window_norm: str | None = None
    stateful: bool = False
    dtype: str = "float32"
    # Says nothing of what is computed: weights of one precision are as good for another.
    precision: str = field(default="float32", compare=False)

    def __post_init__(self):
        for own in fields(self):
            if own.type is int:
                # Small integers of NumPy overflow, and kernels would be compiled anew for them.
                object.__setattr__(self, own.name, int(getattr(self, own.name)))

    @cached_property
    def layout(self):
        """Names and shapes of the weights as they are stored: inputs x outputs."""
        hidden, outputs = self.hidden_size, self.horizon * self.targets
        shapes = {}
        for k in range(self.num_layers):
            inputs = hidden if k else self.features
            shapes |= layer_shapes(CELLS[self.cell], inputs, hidden, suffix=f"_l{k}")
        shapes["head.bias"] = (outputs,)
        shapes["head.weight"] = (hidden, outputs)
        if self.skip:
            shapes["skip.weight"] = (self.seq_len, self.horizon)
        if self.future:
            shapes["future.weight"] = (self.targets, self.future)
        return ParamLayout(shapes)

    def views(self, flat):
        """Return named views of a flat weight or gradient vector, shaped as torch shapes them.

        ``weight_ih_l{k}`` (gates hidden, in), ``weight_hh_l{k}`` (gates hidden, hidden) and
        ``bias_l{k}`` (gates hidden,); gates i, f, g, o of an LSTM, r, z, n of a GRU, which has
        ``bias_ih_l{k}`` and ``bias_hh_l{k}``; ``head.weight`` (targets horizon, hidden) and
        ``head.bias`` (targets horizon,), target-major; ``skip.weight`` (horizon, seq_len);
        ``future.weight`` (targets, future).
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
            if self.cell == "lstm":
                weights[f"bias_l{k}"][hidden : 2 * hidden] = 1
        if not self.skip:
            head = weights["head.weight"]
            head[...] = glorot_uniform(rng, *head.shape)
        return flat

    def predict(self, params, windows, n_threads=1, device="cpu"):
        """Return forecasts (n, horizon, targets) of all windows, in the units of the inputs."""
        device = choose_device(device, self, len(windows.starts))
        with make_engine(self, params, n_threads, device=device) as engine:
            return engine.forecast(windows)

    def loss_and_gradient(
        self, params, windows, loss="mse", huber_delta=1.0, n_threads=1, device="cpu"
    ):
        """Return the mean loss over all windows, and its gradient as a flat vector."""
        n = len(windows.starts)
        step = make_step(loss=loss, huber_delta=huber_delta)
        with make_engine(self, params, n_threads, batch_size=n, device=device) as engine:
            total = engine.train(windows, 0, 1, n, step, 0, update=False)
            return total / n, engine.gradient.copy()
