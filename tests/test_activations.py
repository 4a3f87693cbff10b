"""Sigmoid and tanh over the whole range of their arguments, on floats and on tiles."""

import numpy as np
import pytest
from numba import njit

from lstm_numba.kernels import tile
from lstm_numba.kernels.activations import sigmoid, tanh


@njit
def each_sigmoid(x, y):
    for k in range(x.size):
        y[k] = sigmoid(x[k])


@njit
def each_tanh(x, y):
    for k in range(x.size):
        y[k] = tanh(x[k])


@njit
def tiles_of_sigmoid(x, y):
    lanes = tile.lanes(x)
    for k in range(0, x.size, 2 * lanes):
        tile.store(y, k, lanes, sigmoid(tile.load(x, k, lanes, 2, 1)))


@njit
def tiles_of_tanh(x, y):
    lanes = tile.lanes(x)
    for k in range(0, x.size, 2 * lanes):
        tile.store(y, k, lanes, tanh(tile.load(x, k, lanes, 2, 1)))


def exact_sigmoid(x):
    with np.errstate(over="ignore", under="ignore"):
        return 1 / (1 + np.exp(-x))


EACH = pytest.mark.parametrize(
    ("activation", "on_tiles", "exact"),
    [(each_sigmoid, tiles_of_sigmoid, exact_sigmoid), (each_tanh, tiles_of_tanh, np.tanh)],
    ids=["sigmoid", "tanh"],
)
BOTH_DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def applied(activation, x):
    y = np.empty_like(x)
    activation(x, y)
    return y


def whole_range(dtype):
    """Return numbers of every magnitude and sign, dense where the activations bend."""
    rng = np.random.default_rng(0)
    info = np.finfo(dtype)
    exponents = np.arange(info.minexp - info.nmant, info.maxexp)
    magnitudes = np.ldexp(rng.uniform(1, 2, (64, exponents.size)), exponents).ravel()
    dense = rng.uniform(0, 2 * abs(np.log(info.tiny)), 100_000)
    bend = rng.uniform(0, 1, 100_000)
    x = np.concatenate([magnitudes, dense, bend, [0.0, info.tiny, info.smallest_subnormal]])
    with np.errstate(under="ignore"):
        x = np.concatenate([x, -x]).astype(dtype)
    assert np.all(np.isfinite(x))
    return x[: x.size // 64 * 64]


@EACH
@BOTH_DTYPES
def test_within_four_units_in_the_last_place(activation, on_tiles, exact, dtype):
    wider = np.float64 if dtype == np.float32 else np.longdouble
    if np.finfo(wider).eps == np.finfo(dtype).eps:
        pytest.skip("no number type wider than float64 on this machine")
    x = whole_range(dtype)
    expected = exact(x.astype(wider))
    actual = applied(activation, x)
    normal = np.abs(expected) >= np.finfo(dtype).tiny
    unit = np.spacing(np.abs(expected[normal]).astype(dtype)).astype(wider)
    error = np.abs(actual[normal] - expected[normal]) / unit
    worst = np.argmax(error)
    assert error[worst] <= 4, x[normal][worst]
    assert np.all(np.abs(actual[~normal]) <= np.finfo(dtype).tiny)


@EACH
@BOTH_DTYPES
def test_tiles_and_floats_give_the_same_bits(activation, on_tiles, exact, dtype):
    x = whole_range(dtype)
    assert np.array_equal(applied(activation, x), applied(on_tiles, x))


@BOTH_DTYPES
def test_range_and_fixed_points(dtype):
    x = whole_range(dtype)
    assert np.all(np.abs(applied(each_tanh, x)) <= 1)
    assert np.all(applied(each_sigmoid, x) >= 0)
    assert np.all(applied(each_sigmoid, x) <= 1)
    assert applied(each_tanh, np.zeros(1, dtype))[0] == 0
    assert applied(each_sigmoid, np.zeros(1, dtype))[0] == 0.5


@EACH
@BOTH_DTYPES
def test_infinities_saturate_and_nan_stays_nan(activation, on_tiles, exact, dtype):  # v22
    x = np.resize(np.array([-np.inf, np.inf, np.nan, -np.nan, 0.25], dtype), 320)
    low = 0.0 if exact is exact_sigmoid else -1.0
    for y in (applied(activation, x), applied(on_tiles, x)):
        assert np.all(np.abs(y[x == -np.inf] - low) <= np.finfo(dtype).tiny)
        assert np.all(y[x == np.inf] == 1)
        assert np.array_equal(np.isnan(y), np.isnan(x))


@EACH
def test_float32_is_never_widened(activation, on_tiles, exact):
    x = np.zeros(64, np.float32)
    for function in (activation, on_tiles):
        applied(function, x)
        (signature,) = [s for s in function.signatures if s[0].dtype.bitwidth == 32]
        assert "fpext" not in function.inspect_llvm(signature)
