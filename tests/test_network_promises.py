"""What the network promises beside the numbers: names, bits, threads, faulty rows."""

import itertools
import platform
from concurrent.futures import ThreadPoolExecutor

import naive
import numpy as np
import pytest
from numba import typeof
from numpy.testing import assert_array_equal
from test_network import (
    BOTH_DTYPES,
    TOLERANCE,
    assert_close,
    assert_equals_twin,
    in_float64,
    problem,
)

from lstm_numba.kernels.cpu import make_plan
from lstm_numba.nn.network import Network


def test_sizes_may_be_of_any_integer_type():  # x01
    small = Network(np.int8(6), np.int32(5), np.uint8(4), np.int16(2), hidden_size=np.uint8(200))
    plans = make_plan(small, 8), make_plan(Network(6, 5, 4, 2, hidden_size=200), 8)
    assert_array_equal(*(plan.layers for plan in plans))
    assert plans[0].n_params == plans[1].n_params
    assert typeof(plans[0]) == typeof(plans[1])  # of another type kernels would be compiled anew


def test_views_have_torch_names_and_shapes():
    network = Network(6, 5, 4, 2, hidden_size=3, num_layers=2, future=1, skip=True)
    flat = np.arange(network.layout.size, dtype=np.float32)
    views = network.views(flat)
    assert {name: view.shape for name, view in views.items()} == {
        "weight_ih_l0": (12, 5),
        "weight_hh_l0": (12, 3),
        "bias_l0": (12,),
        "weight_ih_l1": (12, 3),
        "weight_hh_l1": (12, 3),
        "bias_l1": (12,),
        "head.weight": (8, 3),
        "head.bias": (8,),
        "skip.weight": (4, 6),
        "future.weight": (2, 1),
    }
    assert all(np.shares_memory(view, flat) for view in views.values())
    every_number = np.concatenate([view.ravel() for view in views.values()])
    assert np.array_equal(np.sort(every_number), flat)
    plain = Network(6, 5, 4, 2, hidden_size=3)
    names = set(plain.views(np.zeros(plain.layout.size, np.float32)))
    assert names == {"weight_ih_l0", "weight_hh_l0", "bias_l0", "head.weight", "head.bias"}


@BOTH_DTYPES
def test_init_is_finite_and_follows_its_generator(dtype):
    network = Network(6, 5, 4, 2, hidden_size=3, num_layers=2, future=1, skip=True, dtype=dtype)
    params = network.init(np.random.default_rng(1))
    assert params.shape == (network.layout.size,)
    assert params.dtype == dtype
    assert np.all(np.isfinite(params))
    assert np.array_equal(params, network.init(np.random.default_rng(1)))
    assert not np.array_equal(params, network.init(np.random.default_rng(2)))


@BOTH_DTYPES
@pytest.mark.parametrize("hidden_size", [7, 33])
def test_every_step_depends_on_every_observation_of_the_window(hidden_size, dtype):
    network = Network(5, 2, 6, 2, hidden_size=hidden_size, dtype=dtype)
    params, windows = problem(network, 1)
    start = int(windows.starts[0])
    before = network.predict(params, windows)
    for row, column in itertools.product(range(start, start + 5), range(2)):
        inputs = windows.inputs.copy()
        inputs[row, column] += 0.5
        after = network.predict(params, windows._replace(inputs=inputs))
        assert np.all(after != before), (row - start, column)


@BOTH_DTYPES
@pytest.mark.parametrize("window_norm", [None, "last", "level"])
def test_nothing_outside_the_window_and_the_known_future_is_read(window_norm, dtype):
    network = Network(
        4, 3, 2, 1, hidden_size=5, future=1, skip=True, window_norm=window_norm, dtype=dtype
    )
    params, windows = problem(network, 1)
    windows = windows._replace(starts=np.array([2]), target_starts=np.array([6]))
    before = network.predict(params, windows)
    inputs = np.full_like(windows.inputs, np.nan)
    inputs[2:6] = windows.inputs[2:6]
    inputs[6:8, 2] = windows.inputs[6:8, 2]
    targets = np.full_like(windows.targets, np.nan)
    after = network.predict(params, windows._replace(inputs=inputs, targets=targets))
    assert np.array_equal(before, after)


@BOTH_DTYPES
@pytest.mark.parametrize("spoilt", [0, 4, 6, 12])
def test_nan_in_one_row_leaves_the_others_alone(spoilt, dtype):  # v03c
    network = Network(3, 2, 2, 1, hidden_size=7, num_layers=2, dtype=dtype)
    params, windows = problem(network, 13)
    inputs = np.random.default_rng(1).normal(size=(13 * 3, 2)).astype(dtype)
    windows = windows._replace(inputs=inputs, starts=np.arange(13) * 3)
    before = network.predict(params, windows)
    inputs[3 * spoilt + 1, 0] = np.nan
    after = network.predict(params, windows)
    assert np.all(np.isnan(after[spoilt]))
    others = np.arange(13) != spoilt
    assert np.array_equal(after[others], before[others])


@BOTH_DTYPES
def test_a_spoilt_window_shows_in_loss_and_gradient(dtype):
    network = Network(3, 2, 2, 1, hidden_size=7, dtype=dtype)
    params, windows = problem(network, 5)
    windows.inputs[windows.starts[2], 0] = np.nan
    value, gradient = network.loss_and_gradient(params, windows)
    assert np.isnan(value)
    assert np.any(np.isnan(gradient))


@BOTH_DTYPES
@pytest.mark.parametrize("window_norm", [None, "last", "level"])
@pytest.mark.parametrize("hidden_size", [1, 16])
def test_one_row_of_one_step(hidden_size, window_norm, dtype):  # v20
    network = Network(1, 1, 1, 1, hidden_size=hidden_size, window_norm=window_norm, dtype=dtype)
    assert_equals_twin(network, 1)


@BOTH_DTYPES
def test_a_perfect_forecast_has_no_absolute_error_and_no_slope(dtype):
    network = Network(3, 2, 4, 1, hidden_size=5, dtype=dtype)
    params, windows = problem(network, 6)
    perfect = windows._replace(
        targets=network.predict(params, windows).reshape(-1, 1), target_starts=np.arange(6) * 4
    )
    for loss in ("mse", "mae", "huber"):
        value, gradient = network.loss_and_gradient(params, perfect, loss)
        assert value == 0
        assert np.all(gradient == 0)


@pytest.mark.parametrize(
    ("exponent", "dtype"), [(4, "float32"), (30, "float32"), (4, "float64"), (300, "float64")]
)
def test_saturated_gates_stay_finite(exponent, dtype):  # v22
    network = Network(6, 2, 3, 1, hidden_size=9, num_layers=2, dtype=dtype)
    params, windows = problem(network, 8)
    signs = np.random.default_rng(1).choice([-1.0, 1.0], windows.inputs.shape)
    windows = windows._replace(inputs=(signs * 10.0**exponent).astype(dtype))
    assert np.all(np.isfinite(network.predict(params, windows)))
    value, gradient = network.loss_and_gradient(params, windows)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))
    if exponent == 4:
        weights = in_float64(network, params)
        forecasts = naive.predict(network, weights, windows)
        assert_close(network.predict(params, windows), forecasts, TOLERANCE[dtype])


@BOTH_DTYPES
@pytest.mark.parametrize("n_threads", [1, 2])
def test_vanishing_gradients_leave_the_processor_as_it_was(n_threads, dtype):  # v21
    network = Network(200, 1, 2, 1, hidden_size=5, num_layers=2, dtype=dtype)
    params, windows = problem(network, 6)
    for name, view in network.views(params).items():
        if name.startswith("bias"):
            view[5:10] = -20  # a closed forget gate: the gradient dies within a few steps
        if name.startswith("weight_hh"):
            view *= 1e-3
    value, gradient = network.loss_and_gradient(params, windows, n_threads=n_threads)
    network.predict(params, windows, n_threads=n_threads)
    assert np.float64(1e-310) * 0.5 != 0
    assert np.float32(1e-40) * np.float32(0.5) != 0

    weights = in_float64(network, params)
    expected_value, expected = naive.loss_and_gradient(network, weights, windows)
    assert value == pytest.approx(expected_value, rel=TOLERANCE[dtype])
    for name, view in network.views(gradient).items():
        assert_close(view, expected[name], TOLERANCE[dtype], name)


@pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64", "arm64", "aarch64"),
    reason="subnormal numbers are left alone on other processors",
)
@BOTH_DTYPES
def test_subnormal_numbers_are_flushed_inside(dtype):  # v21
    network = Network(3, 2, 1, 1, hidden_size=5, dtype=dtype)
    _, windows = problem(network, 2)
    params = np.zeros(network.layout.size, dtype)
    network.views(params)["head.bias"][:] = np.finfo(dtype).tiny / 2
    assert np.all(params[params != 0] < np.finfo(dtype).tiny)
    assert np.all(network.predict(params, windows) == 0)


@BOTH_DTYPES
@pytest.mark.parametrize("n", [1, 5, 30, 150])
def test_bits_do_not_depend_on_the_number_of_threads(n, dtype):  # t03
    network = Network(
        5,
        3,
        2,
        2,
        hidden_size=17,
        num_layers=2,
        future=1,
        skip=True,
        window_norm="last",
        dtype=dtype,
    )
    params, windows = problem(network, n)
    forecasts = network.predict(params, windows)
    value, gradient = network.loss_and_gradient(params, windows)
    for n_threads in (1, 2, 3, 8):
        assert np.array_equal(network.predict(params, windows, n_threads=n_threads), forecasts)
        again = network.loss_and_gradient(params, windows, n_threads=n_threads)
        assert again[0] == value
        assert np.array_equal(again[1], gradient)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_python_threads_may_share_a_network(n_threads):  # t04, t05
    network = Network(5, 3, 2, 2, hidden_size=17, num_layers=2)
    params, windows = problem(network, 60)
    forecasts = network.predict(params, windows)
    value, gradient = network.loss_and_gradient(params, windows)

    def same(_):
        again = network.loss_and_gradient(params, windows, n_threads=n_threads)
        return (
            np.array_equal(network.predict(params, windows, n_threads=n_threads), forecasts)
            and again[0] == value
            and np.array_equal(again[1], gradient)
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(same, range(24)))


@BOTH_DTYPES
def test_a_forecast_does_not_depend_on_its_batch(dtype):
    network = Network(
        5,
        3,
        2,
        2,
        hidden_size=17,
        num_layers=2,
        future=1,
        skip=True,
        window_norm="level",
        dtype=dtype,
    )
    params, windows = problem(network, 30)
    together = network.predict(params, windows)

    def pick(rows):
        some = windows._replace(
            starts=windows.starts[rows], target_starts=windows.target_starts[rows]
        )
        return network.predict(params, some)

    assert np.array_equal(pick(slice(None, None, -1)), together[::-1])
    for n in (1, 2, 3, 7, 16):
        assert np.array_equal(pick(slice(11, 11 + n)), together[11 : 11 + n]), n


@BOTH_DTYPES
def test_arguments_are_read_only(dtype):  # p04, p05
    network = Network(
        5, 3, 2, 1, hidden_size=7, future=1, skip=True, window_norm="last", dtype=dtype
    )
    params, windows = problem(network, 5)
    forecasts = network.predict(params, windows)
    value, gradient = network.loss_and_gradient(params, windows)
    for array in (params, *windows):
        array.flags.writeable = False
    assert np.array_equal(network.predict(params, windows), forecasts)
    again = network.loss_and_gradient(params, windows)
    assert again[0] == value
    assert np.array_equal(again[1], gradient)


def test_results_are_new_arrays():  # p06
    network = Network(5, 3, 2, 1, hidden_size=7)
    params, windows = problem(network, 5)
    forecasts = network.predict(params, windows)
    _, gradient = network.loss_and_gradient(params, windows)
    kept = forecasts.copy(), gradient.copy()
    params2, windows2 = problem(network, 5, seed=1)
    network.predict(params2, windows2)
    network.loss_and_gradient(params2, windows2)
    assert np.array_equal(forecasts, kept[0])
    assert np.array_equal(gradient, kept[1])
