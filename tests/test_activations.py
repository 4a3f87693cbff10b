"""Activations and their slopes over the whole range of their arguments, on floats and on tiles."""

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose

from lstm_numba.kernels import tile
from lstm_numba.kernels.activations import ACTIVATIONS, activate, activate_slope, sigmoid, tanh

SELU_SCALE = np.longdouble("1.0507009873554804934193349852946")
SELU_ALPHA = np.longdouble("1.6732632423543772848170429916717")


@njit
def on_floats(kind, z, a, slope):
    for k in range(z.size):
        _, slope[k] = activate_slope(kind, z[k])
        a[k] = activate(kind, z[k])


@njit
def on_tiles(kind, z, a, slope):
    lanes = tile.lanes(z)
    for k in range(0, z.size, 2 * lanes):
        x = tile.load(z, k, lanes, 2, 1)
        tile.store(slope, k, lanes, activate_slope(kind, x)[1])
        tile.store(a, k, lanes, activate(kind, x))


@njit
def first_of_pair(kind, z, a):
    lanes = tile.lanes(z)
    for k in range(0, z.size, 2 * lanes):
        tile.store(a, k, lanes, activate_slope(kind, tile.load(z, k, lanes, 2, 1))[0])


@njit
def of_the_cells(z, sigmoids, tanhs):
    lanes = tile.lanes(z)
    for k in range(0, z.size, 2 * lanes):
        x = tile.load(z, k, lanes, 2, 1)
        tile.store(sigmoids, k, lanes, sigmoid(x))
        tile.store(tanhs, k, lanes, tanh(x))


# The exact activations, in the precision of x.


def exact_sigmoid(x):
    return 1 / (1 + np.exp(-x))


def density(x):
    """(2 pi)^(-1/2) e^(-x^2/2), the exponent of each factor exact."""
    rough = x.astype(np.float32).astype(x.dtype)
    root = np.sqrt(8 * np.arctan(x.dtype.type(1)))
    return np.exp(-rough * rough / 2) * np.exp(-(x - rough) * (x + rough) / 2) / root


def upper_tail(t):
    """Q(t) = 1 - Phi(t) for t >= 0: the series of Phi near 0, then the continued fraction."""
    near = np.minimum(t, 2.5)
    term, total = near, near
    for k in range(3, 101, 2):
        term = term * near * near / k
        total = total + term
    far = np.maximum(t, 2.5)
    fraction = far
    for k in range(200, 0, -1):
        fraction = far + k / fraction
    far = np.minimum(far, 1e3)
    half = t.dtype.type(0.5)
    return np.where(t < 2.5, half - density(near) * total, density(far) / fraction)


def exact_gelu(x):
    t = np.abs(x)
    return np.maximum(x, 0) - t * upper_tail(t)


def exact_gelu_slope(x):
    t = np.minimum(np.abs(x), 1e3)
    below = upper_tail(t) - t * density(t)
    return np.where(x > 0, 1 - below, below)


def ramp(half):
    def exact(x):
        return np.clip(x + half, 0, 2 * half) / (2 * half)

    def slope(x):
        return (np.abs(x) < half) / (2 * x.dtype.type(half))

    return exact, slope


def elu(scale, alpha):
    def exact(x):
        return np.where(x > 0, scale * x, scale * alpha * np.expm1(np.minimum(x, 0)))

    def slope(x):
        return np.where(x > 0, scale, scale * alpha * np.exp(np.minimum(x, 0)))

    return exact, slope


EXACT = {
    "linear": (lambda x: x, np.ones_like),
    "tanh": (np.tanh, lambda x: np.cosh(x) ** -2),
    "sigmoid": (exact_sigmoid, lambda x: exact_sigmoid(x) * exact_sigmoid(-x)),
    "hard_sigmoid": ramp(3),
    "hard_sigmoid_keras2": ramp(2.5),
    "relu": (lambda x: np.maximum(x, 0), lambda x: x > 0),
    "elu": elu(1, 1),
    "selu": elu(SELU_SCALE, SELU_ALPHA),
    "softplus": (lambda x: np.logaddexp(0, x), exact_sigmoid),
    "softsign": (lambda x: x / (1 + np.abs(x)), lambda x: (1 + np.abs(x)) ** -2),
    "silu": (
        lambda x: x * exact_sigmoid(x),
        lambda x: exact_sigmoid(x) * (1 + x * exact_sigmoid(-x)),
    ),
    "gelu": (exact_gelu, exact_gelu_slope),
    "exponential": (np.exp, np.exp),
}

EACH = pytest.mark.parametrize("name", ACTIVATIONS)
BOTH_DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
BOTH_FORMS = pytest.mark.parametrize("form", [on_floats, on_tiles])


def applied(form, name, z):
    """Return the activation and its slope."""
    a, slope = np.empty_like(z), np.empty_like(z)
    form(ACTIVATIONS[name], z, a, slope)
    return a, slope


def whole_range(dtype):
    """Return numbers of every magnitude and sign, dense where the activations bend."""
    rng = np.random.default_rng(0)
    info = np.finfo(dtype)
    exponents = np.arange(info.minexp - info.nmant, info.maxexp)
    magnitudes = np.ldexp(rng.uniform(1, 2, (16, exponents.size)), exponents).ravel()
    dense = rng.uniform(0, 2 * abs(np.log(info.tiny)), 30_000)
    tail = rng.uniform(0, np.sqrt(2 * abs(np.log(info.tiny))), 30_000)
    bend = rng.uniform(0, 4, 30_000)
    few = [0.0, 2.5, 3.0, info.tiny, info.smallest_subnormal, 0.9 * info.max]
    x = np.concatenate([magnitudes, dense, tail, bend, few])
    with np.errstate(under="ignore"):
        x = np.concatenate([x, -x]).astype(dtype)
    assert np.all(np.isfinite(x))
    return x[x.size % 64 :]


def exactly(function, x):
    """Return the function of x, computed in a wider precision."""
    wider = np.float64 if x.dtype == np.float32 else np.longdouble
    if np.finfo(wider).eps == np.finfo(x.dtype).eps:
        pytest.skip("no number type wider than float64 on this machine")
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(function(x.astype(wider)), wider)


@EACH
@BOTH_DTYPES
@BOTH_FORMS
def test_activation_within_few_units_in_the_last_place(form, name, dtype):
    x, info = whole_range(dtype), np.finfo(dtype)
    actual, expected = applied(form, name, x)[0], exactly(EXACT[name][0], x)
    huge, tiny = np.abs(expected) > info.max, np.abs(expected) < info.tiny
    assert np.all(actual[huge] == np.inf)
    assert np.all(np.abs(actual[tiny]) <= info.tiny)
    others = ~(huge | tiny)
    expected, actual = expected[others], actual[others]
    error = np.abs(actual - expected) / np.spacing(np.abs(expected).astype(dtype))
    worst = np.argmax(error)
    assert error[worst] <= (5 if name == "gelu" else 4), x[others][worst]


@EACH
@BOTH_DTYPES
@BOTH_FORMS
def test_slope_within_few_epsilons(form, name, dtype):
    x, info = whole_range(dtype), np.finfo(dtype)
    actual, expected = applied(form, name, x)[1], exactly(EXACT[name][1], x)
    huge = np.abs(expected) > info.max
    assert np.all(actual[huge] == np.inf)
    error = np.abs(actual[~huge] - expected[~huge]) / np.maximum(1, np.abs(expected[~huge]))
    worst = np.argmax(error)
    assert error[worst] <= 4 * info.eps, x[~huge][worst]


@EACH
def test_slope_is_the_derivative(name):
    # Away from the kinks at 0, 2.5 and 3.
    z, step = (np.arange(640) - 319.5) / 40, 1e-3
    assert np.all(np.abs(np.abs(z)[:, None] - [0, 2.5, 3]) > 2 * step)
    near = [applied(on_tiles, name, z + k * step)[0] for k in (-2, -1, 1, 2)]
    difference = (near[0] - 8 * near[1] + 8 * near[2] - near[3]) / (12 * step)
    assert_allclose(applied(on_tiles, name, z)[1], difference, rtol=1e-10, atol=1e-10)


@EACH
@BOTH_DTYPES
@BOTH_FORMS
def test_infinity_is_the_limit_and_nan_stays_nan(form, name, dtype):
    eps = np.finfo(dtype).eps
    z = np.resize(np.array([-np.inf, np.inf, np.nan, -np.nan, 0.25], dtype), 320)
    a, slope = applied(form, name, z)
    selu_floor = -float(SELU_SCALE * SELU_ALPHA)
    floor = {"linear": -np.inf, "tanh": -1, "elu": -1, "softsign": -1, "selu": selu_floor}
    bounded = ("tanh", "sigmoid", "hard_sigmoid", "hard_sigmoid_keras2", "softsign")
    above = {"selu": float(SELU_SCALE), "exponential": np.inf, **dict.fromkeys(bounded, 0)}
    assert_allclose(a[z == -np.inf], floor.get(name, 0), rtol=eps, atol=np.finfo(dtype).tiny)
    assert np.all(a[z == np.inf] == (1 if name in bounded else np.inf))
    assert np.array_equal(np.isnan(a), np.isnan(z))
    assert_allclose(slope[z == -np.inf], 1 if name == "linear" else 0, atol=eps)
    assert_allclose(slope[z == np.inf], above.get(name, 1), rtol=eps)


@BOTH_DTYPES
@BOTH_FORMS
def test_range_and_fixed_points(form, dtype):
    x = whole_range(dtype)
    zeros = np.resize(np.array([0.0, -0.0], dtype), 64)
    assert np.all(np.abs(applied(form, "tanh", x)[0]) <= 1)
    assert np.all(applied(form, "sigmoid", x)[0] >= 0)
    assert np.all(applied(form, "sigmoid", x)[0] <= 1)
    for name in ACTIVATIONS:
        at_zero = {"exponential": 1, "softplus": np.log(dtype(2))}
        expected = at_zero.get(name, 0.5 if "sigmoid" in name else 0)
        assert_allclose(applied(form, name, zeros)[0], expected, rtol=np.finfo(dtype).eps)


@BOTH_DTYPES
@BOTH_FORMS
def test_tanh_is_odd_and_small_numbers_are_their_own_tanh(form, dtype):
    x = whole_range(dtype)
    a = applied(form, "tanh", x)[0]
    assert np.array_equal(applied(form, "tanh", -x)[0], -a)
    small = np.abs(x) < np.sqrt(np.finfo(dtype).eps) / 2
    assert np.array_equal(a[small], x[small])
    assert np.all(np.abs(a[np.abs(x) > np.log(2 / np.finfo(dtype).eps)]) == 1)


@BOTH_DTYPES
def test_activate_gives_the_bits_of_the_cells(dtype):
    x = whole_range(dtype)
    sigmoids, tanhs = np.empty_like(x), np.empty_like(x)
    of_the_cells(x, sigmoids, tanhs)
    assert np.array_equal(applied(on_tiles, "sigmoid", x)[0], sigmoids)
    assert np.array_equal(applied(on_tiles, "tanh", x)[0], tanhs)


@EACH
def test_the_pair_holds_the_activation(name):
    x = whole_range(np.float32)
    a = np.empty_like(x)
    first_of_pair(ACTIVATIONS[name], x, a)
    assert np.array_equal(a, applied(on_tiles, name, x)[0])


@BOTH_FORMS
def test_float32_is_never_widened(form):
    applied(form, "tanh", np.zeros(64, np.float32))
    (signature,) = [s for s in form.signatures if s[1].dtype.bitwidth == 32]
    assert "fpext" not in form.inspect_llvm(signature)


@EACH
def test_torch_agrees_also_at_the_kinks(name):
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    others = {
        "linear": torch.clone,
        # f.hardsigmoid takes 1/6 in float32.
        "hard_sigmoid": lambda x: f.relu6(x + 3) / 6,
        "hard_sigmoid_keras2": lambda x: f.hardtanh(x / 5 + 0.5, 0.0, 1.0),
        "exponential": torch.exp,
    }
    theirs = others.get(name) or getattr(f, name)
    z = np.concatenate([np.linspace(-6, 6, 61), [-3.0, -2.5, -0.0, 2.5]])[:64]
    x = torch.tensor(z, requires_grad=True)
    expected = theirs(x)
    expected.sum().backward()
    a, slope = applied(on_tiles, name, z)
    assert_allclose(a, expected.detach().numpy(), rtol=1e-13, atol=1e-15)
    assert_allclose(slope, x.grad.numpy(), rtol=1e-13, atol=1e-15)
