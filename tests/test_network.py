"""The network against its naive twin and finite differences."""

from dataclasses import replace

import naive
import numpy as np
import pytest

from lstm_numba.nn.network import Network, Windows

# A product of two numbers in tf32, of 10 bits of mantissa, is wrong by up to 2^-10.
TOLERANCE = {"tf32": 2e-3, "float32": 1e-5, "float64": 1e-10}
BOTH_DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def problem(network, n, seed=0):
    """Return random params and windows in the network's dtype."""
    rng = np.random.default_rng(seed)
    params = rng.normal(0, 1 / np.sqrt(network.hidden_size), network.layout.size)
    inputs, starts, targets, target_starts = naive.random_windows(network, n, rng)
    windows = Windows(
        inputs.astype(network.dtype), starts, targets.astype(network.dtype), target_starts
    )
    return params.astype(network.dtype), windows


def in_float64(network, params):
    """Return the weights by name, as the twin takes them."""
    return {name: view.astype(np.float64) for name, view in network.views(params).items()}


def assert_close(actual, expected, tolerance, name=""):
    """Compare relative to the largest magnitude of the array."""
    assert actual.shape == expected.shape, name
    error = np.max(np.abs(actual - expected), initial=0.0)
    assert error <= tolerance * np.max(np.abs(expected), initial=0.0), (name, error)


def assert_equals_twin(network, n, loss="mse", huber_delta=1.0, device="cpu"):
    params, windows = problem(network, n)
    weights = in_float64(network, params)
    rounds = network.precision == "tf32" and network.dtype == "float32" and device == "cuda"
    tolerance = TOLERANCE["tf32" if rounds else network.dtype]

    forecasts = network.predict(params, windows, device=device)
    assert forecasts.dtype == network.dtype
    assert_close(forecasts, naive.predict(network, weights, windows), tolerance)

    value, gradient = network.loss_and_gradient(params, windows, loss, huber_delta, device=device)
    expected_value, expected = naive.loss_and_gradient(network, weights, windows, loss, huber_delta)
    assert gradient.dtype == network.dtype
    assert value == pytest.approx(expected_value, rel=tolerance)
    for name, view in network.views(gradient).items():
        assert_close(view, expected[name], tolerance, name)


@BOTH_DTYPES
@pytest.mark.parametrize("n", [1, 2, 5, 6, 7, 13, 30])
@pytest.mark.parametrize("hidden_size", [1, 7, 16, 33, 65])
def test_odd_sizes_equal_the_twin(hidden_size, n, dtype):
    network = Network(3, 3, 5, 2, hidden_size=hidden_size, num_layers=2, dtype=dtype)
    assert_equals_twin(network, n)


@BOTH_DTYPES
@pytest.mark.parametrize(("hidden_size", "num_layers", "n"), [(1, 1, 1), (16, 2, 7), (33, 3, 6)])
@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_other_cells_equal_the_twin(cell, hidden_size, num_layers, n, dtype):
    network = Network(
        seq_len=9,
        features=4,
        horizon=5,
        targets=2,
        cell=cell,
        hidden_size=hidden_size,
        num_layers=num_layers,
        future=1,
        skip=True,
        window_norm="last",
        dtype=dtype,
    )
    assert_equals_twin(network, n)


@BOTH_DTYPES
@pytest.mark.parametrize(
    ("network", "n"),
    [
        (Network(40, 2, 3, 1, hidden_size=65, num_layers=2), 7),
        (Network(2, 1, 1, 1, hidden_size=7), 200),
    ],
)
def test_long_windows_and_large_batches_equal_the_twin(network, n, dtype):
    assert_equals_twin(replace(network, dtype=dtype), n)


@BOTH_DTYPES
@pytest.mark.parametrize("seq_len", [1, 2, 9])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("features", [1, 3, 8])
def test_depths_and_lengths_equal_the_twin(features, num_layers, seq_len, dtype):
    network = Network(seq_len, features, 1, 1, hidden_size=7, num_layers=num_layers, dtype=dtype)
    assert_equals_twin(network, 5)


HEADS = [
    # features, horizon, targets, future, skip
    (1, 1, 1, 0, True),
    (1, 5, 1, 0, False),
    (3, 5, 2, 0, True),
    (3, 1, 2, 1, False),
    (8, 17, 2, 3, True),
    (8, 5, 1, 7, True),
]


@BOTH_DTYPES
@pytest.mark.parametrize(("loss", "huber_delta"), [("mse", 1.0), ("mae", 1.0), ("huber", 0.3)])
@pytest.mark.parametrize("window_norm", [None, "last", "level"])
@pytest.mark.parametrize("head", HEADS)
def test_heads_norms_and_losses_equal_the_twin(head, window_norm, loss, huber_delta, dtype):
    features, horizon, targets, future, skip = head
    network = Network(
        seq_len=9,
        features=features,
        horizon=horizon,
        targets=targets,
        hidden_size=16,
        future=future,
        skip=skip,
        window_norm=window_norm,
        dtype=dtype,
    )
    assert_equals_twin(network, 6, loss, huber_delta)


@BOTH_DTYPES
def test_inputs_may_all_be_known_in_advance_and_be_fewer_than_the_targets(dtype):
    assert_equals_twin(Network(4, 2, 3, 3, hidden_size=5, future=2, dtype=dtype), 4)


@BOTH_DTYPES
def test_targets_may_lie_in_rows_of_their_own(dtype):
    network = Network(4, 2, 1, 3, hidden_size=5, dtype=dtype)
    params, windows = problem(network, 6)
    targets = np.ones((1, 3), dtype)
    windows = windows._replace(targets=targets, target_starts=np.zeros(6, np.int64))
    weights = in_float64(network, params)
    value, gradient = network.loss_and_gradient(params, windows)
    expected_value, expected = naive.loss_and_gradient(network, weights, windows)
    assert value == pytest.approx(expected_value, rel=TOLERANCE[dtype])
    for name, view in network.views(gradient).items():
        assert_close(view, expected[name], TOLERANCE[dtype], name)


@pytest.mark.parametrize(("loss", "huber_delta"), [("mse", 1.0), ("mae", 1.0), ("huber", 0.3)])
@pytest.mark.parametrize("window_norm", [None, "last", "level"])
def test_gradient_equals_finite_differences(window_norm, loss, huber_delta):
    network = Network(
        4,
        4,
        3,
        2,
        hidden_size=3,
        num_layers=2,
        future=1,
        skip=True,
        window_norm=window_norm,
        dtype="float64",
    )
    params, windows = problem(network, 5)
    _, gradient = network.loss_and_gradient(params, windows, loss, huber_delta)
    step = 1e-6
    differences = np.zeros_like(params)
    for k in range(params.size):
        for sign in (1, -1):
            moved = params.copy()
            moved[k] += sign * step
            value, _ = network.loss_and_gradient(moved, windows, loss, huber_delta)
            differences[k] += sign * value / (2 * step)
    assert_close(gradient, differences, 1e-8)
