"""The network against torch's recurrent layers and torch.nn.Linear with the same weights."""

import numpy as np
import pytest
from test_network import BOTH_DTYPES, TOLERANCE, assert_close, problem

from lstm_numba.nn.network import Network
from lstm_numba.train.trainer import train

torch = pytest.importorskip("torch")

LOSSES = {
    "mse": torch.nn.MSELoss(),
    "mae": torch.nn.L1Loss(),
    "huber": torch.nn.HuberLoss(delta=0.3),
}


LAYERS = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}


class TorchNetwork(torch.nn.Module):
    """The network as its docstring defines it, out of torch's own layers."""

    def __init__(self, network, params):
        super().__init__()
        self.network = network
        dtype = getattr(torch, network.dtype)
        self.recurrent = LAYERS[network.cell](
            network.features,
            network.hidden_size,
            network.num_layers,
            batch_first=True,
            dtype=dtype,
        )
        outputs = network.horizon * network.targets
        self.head = torch.nn.Linear(network.hidden_size, outputs, dtype=dtype)
        self.skip = torch.nn.Linear(network.seq_len, network.horizon, bias=False, dtype=dtype)
        if network.future:
            self.future = torch.nn.Linear(network.future, network.targets, bias=False, dtype=dtype)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.zero_()
            for name, view in network.views(params).items():
                self.parameter(name).copy_(torch.tensor(view))
        if network.cell != "gru":
            for name, parameter in self.recurrent.named_parameters():
                parameter.requires_grad_(not name.startswith("bias_hh"))

    def parameter(self, name):
        """Return the parameter by our name; torch splits our bias in two, of which one stays 0."""
        if "." in name:
            return self.get_parameter(name)
        return self.recurrent.get_parameter(name.replace("bias_l", "bias_ih_l"))

    def forward(self, windows):
        """Return normalised outputs (n, horizon, targets), and shift and scale (n, 1, targets)."""
        network, targets = self.network, self.network.targets
        x = torch.stack(
            [torch.from_numpy(windows.inputs[s : s + network.seq_len]) for s in windows.starts]
        )
        history = x[:, :, :targets]
        shift, scale = torch.zeros(1, dtype=x.dtype), torch.ones(1, dtype=x.dtype)
        if network.window_norm == "last":
            shift = history[:, -1:]
        if network.window_norm == "level":
            shift = scale = history.mean(1, keepdim=True)
        if network.window_norm is not None:
            x = torch.cat([(history - shift) / scale, x[:, :, targets:]], dim=2)
        y, _ = self.recurrent(x)
        out = self.head(y[:, -1]).unflatten(1, (targets, network.horizon)).transpose(1, 2)
        if network.skip:
            out = out + self.skip(x[:, :, :targets].transpose(1, 2)).transpose(1, 2)
        if network.future:
            first = network.features - network.future
            out = out + self.future(self.rows(windows.inputs[:, first:], windows.target_starts))
        return out, shift, scale

    def rows(self, array, target_starts):
        """Return the ``horizon`` rows of every window, (n, horizon, columns)."""
        steps = range(self.network.horizon)
        return torch.from_numpy(np.stack([array[target_starts + k] for k in steps], axis=1))

    def predict(self, windows):
        """Return forecasts in input units, (n, horizon, targets)."""
        out, shift, scale = self.forward(windows)
        return (out * scale + shift).detach().numpy()

    def loss(self, windows, loss):
        """Return the loss, ready for ``backward``."""
        out, shift, scale = self.forward(windows)
        actual = self.rows(windows.targets, windows.target_starts)
        return LOSSES[loss](out, (actual - shift) / scale)


@BOTH_DTYPES
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("window_norm", [None, "last", "level"])
@pytest.mark.parametrize(("hidden_size", "num_layers", "n"), [(1, 1, 1), (16, 2, 7), (33, 3, 6)])
def test_outputs_and_gradients_equal_torch(hidden_size, num_layers, n, window_norm, loss, dtype):
    network = Network(
        seq_len=9,
        features=4,
        horizon=5,
        targets=2,
        hidden_size=hidden_size,
        num_layers=num_layers,
        future=1,
        skip=True,
        window_norm=window_norm,
        dtype=dtype,
    )
    params, windows = problem(network, n)
    theirs = TorchNetwork(network, params)
    assert_close(network.predict(params, windows), theirs.predict(windows), TOLERANCE[dtype])

    value, gradient = network.loss_and_gradient(params, windows, loss, huber_delta=0.3)
    expected = theirs.loss(windows, loss)
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=TOLERANCE[dtype])
    for name, view in network.views(gradient).items():
        assert_close(view, theirs.parameter(name).grad.numpy(), TOLERANCE[dtype], name)


@BOTH_DTYPES
@pytest.mark.parametrize("cell", LAYERS)
def test_a_plain_stack_equals_torch(cell, dtype):
    network = Network(24, 3, 17, 1, cell=cell, hidden_size=65, num_layers=2, dtype=dtype)
    params, windows = problem(network, 13)
    theirs = TorchNetwork(network, params)
    assert_close(network.predict(params, windows), theirs.predict(windows), TOLERANCE[dtype])
    _, gradient = network.loss_and_gradient(params, windows)
    theirs.loss(windows, "mse").backward()
    for name, view in network.views(gradient).items():
        assert_close(view, theirs.parameter(name).grad.numpy(), TOLERANCE[dtype], name)


@pytest.mark.parametrize(("weight_decay", "clip_norm"), [(0.0, 0.1), (0.3, 1.0)])
@BOTH_DTYPES
def test_training_equals_adamw_of_torch(weight_decay, clip_norm, dtype):
    network = Network(
        5,
        3,
        2,
        1,
        hidden_size=7,
        num_layers=2,
        future=1,
        skip=True,
        window_norm="last",
        dtype=dtype,
    )
    params, windows = problem(network, 23)
    theirs = TorchNetwork(network, params)
    run = train(
        network,
        params,
        windows,
        learning_rate=0.01,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        max_epochs=4,
        batch_size=6,
        rng=np.random.default_rng(7),
    )

    adam = torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=weight_decay)
    rng = np.random.default_rng(7)
    for _ in range(4):
        order = rng.permutation(23)
        for first in range(0, 23, 6):
            rows = order[first : first + 6]
            batch = windows._replace(
                starts=windows.starts[rows], target_starts=windows.target_starts[rows]
            )
            adam.zero_grad()
            theirs.loss(batch, "mse").backward()
            torch.nn.utils.clip_grad_norm_(theirs.parameters(), clip_norm)
            adam.step()
    for name, view in network.views(run.params).items():
        expected = theirs.parameter(name).detach().numpy()
        assert_close(view, expected, 10 * TOLERANCE[dtype], name)
