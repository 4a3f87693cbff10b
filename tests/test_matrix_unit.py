"""The matrix unit: its pieces, and forecasts and gradients against the vector units."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numba import njit

from lstm_numba.kernels.cpu import amx, make_plan
from lstm_numba.kernels.cpu.amx import configure, release
from lstm_numba.kernels.cpu.digits import (
    digits,
    larger_size,
    largest_of_tile,
    scale_of,
    worth_of,
)
from lstm_numba.kernels.cpu.matrix_unit import MatrixUnit, NoUnit
from lstm_numba.kernels.cpu.six_products import (
    SUMS,
    K,
    largest_of_rows,
    multiply,
    operand_size,
    product,
    transpose_block,
    write_four,
    write_scales,
)
from lstm_numba.kernels.tile import ROWS, lanes, load, spread, store, zeros
from lstm_numba.nn.buffers import aligned_zeros
from lstm_numba.nn.engine import Engine, make_step
from lstm_numba.nn.network import Network, Windows
from lstm_numba.nn.stream import StateStream, WindowStream

on_unit = pytest.mark.skipif(
    not amx.available(), reason="needs a processor with a matrix unit (AMX), on Linux"
)
full_vectors = pytest.mark.skipif(
    amx.VECTOR_BYTES != amx.TILE_BYTES, reason="needs vectors of 16 floats (AVX-512)"
)

# seq_len, features, hidden, layers, batch: odd sizes, blocks that are not full, of steps, rows and
# what is summed over, more steps than the weight gradients take at once
SIZES = [
    (5, 1, 96, 1, 16),
    (1, 20, 48, 2, 3),
    (50, 1, 65, 1, 7),
    (7, 2, 97, 1, 21),
    (24, 3, 112, 2, 37),
    (13, 1, 144, 1, 33),
    (9, 7, 128, 2, 50),
    (6, 4, 200, 3, 18),
]


@njit
def _in_digits(x, largest, out):
    m = load(largest, 0, 0, 1, 1)
    store(out, 0, 0, digits(load(x, 0, 0, 1, 1), scale_of(m)))
    store(out, lanes(x), 0, worth_of(m))


@njit
def _sizes(x, out):
    store(out, 0, 0, largest_of_tile(load(x, 0, lanes(x), 4, 1)))


@njit
def _product(a, b, blocks, work, out):
    """Rows of ``a`` (16, K blocks) and of ``b`` (16, K blocks), multiplied with one another."""
    size = operand_size(blocks)
    for operand, source in ((0, a), (size, b)):
        for r in range(16):
            largest = zeros(a, 1, 1)
            for k in range(0, K * blocks, 16):
                largest = larger_size(largest, load(source, r * K * blocks + k, 0, 1, 1))
            store(work, 2 * size + 16 * r, 0, largest)
        write_scales(work, operand, largest_of_rows(work, 2 * size))
        for r in range(16):
            scale = spread(zeros(a, 1, 1), work, operand + r)
            for block in range(blocks):
                at = r * K * blocks + K * block
                x0, x1 = load(source, at, 0, 1, 1), load(source, at + 16, 0, 1, 1)
                x2, x3 = load(source, at + 32, 0, 1, 1), load(source, at + 48, 0, 1, 1)
                write_four(work, operand, block, r, scale, x0, x1, x2, x3)
    for block in range(blocks):
        transpose_block(work, size, block)
    configure()
    multiply(blocks, work, 0, work, size, work, 2 * size)
    release()
    for r in range(0, 16, ROWS):
        store(out, 16 * r, 16, product(work, 2 * size, r, 0, work, size))


@full_vectors
def test_three_digits_hold_a_float32():
    rng = np.random.default_rng(0)
    out = np.empty(32, np.float32)
    for scale in 10.0 ** rng.integers(-25, 35, 200):
        x = (rng.uniform(-1, 1, 16) * scale).astype(np.float32)
        x[:4] = scale, -scale, 0, scale * 2.0**-23
        largest = np.full(16, abs(x).max())
        _in_digits(x, largest, out)
        of_three = out[:16].view(np.int8).reshape(16, 4)[:, :3] @ 256.0 ** np.arange(-1, 2)
        assert (abs(of_three * out[16:] - x) <= largest * 2.0**-22).all()


@full_vectors
def test_the_worth_of_what_is_not_finite_is_not_finite():
    out = np.empty(32, np.float32)
    for value in (np.inf, np.nan):
        _in_digits(np.ones(16, np.float32), np.full(16, value, np.float32), out)
        assert not np.isfinite(out[16:]).any()


@full_vectors
def test_the_largest_size_is_nan_where_there_is_one():
    x = np.tile(np.array([3, -5, 1, 0], np.float32)[:, None], 16)
    x[0, 1], x[3, 2], x[1, 3] = np.nan, np.nan, -np.inf
    out = np.empty(16, np.float32)
    _sizes(x.reshape(-1), out)
    assert np.isnan(out[1:3]).all()
    assert out[3] == np.inf
    assert (out[4:] == 5).all()


@on_unit
@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_products_are_those_of_float32(blocks):
    rng = np.random.default_rng(blocks)
    a, b = rng.standard_normal((2, 16, K * blocks)).astype(np.float32)
    a *= 10.0 ** rng.integers(-20, 20, (16, 1))
    b *= 10.0 ** rng.integers(-3, 3, (16, 1))
    work = aligned_zeros((2 * operand_size(blocks) + SUMS,), np.float32)
    out = np.empty((16, 16), np.float32)
    _product(a.reshape(-1), b.reshape(-1), blocks, work, out.reshape(-1))
    exact = a.astype(np.float64) @ b.T.astype(np.float64)
    sizes = np.outer(abs(a).max(1), abs(b).max(1))
    assert (abs(out - exact) < 2.0**-23 * np.sqrt(K * blocks) * sizes).all()

    # Nor does a product see what else is multiplied.
    a[3:], alone = rng.standard_normal((13, K * blocks)), np.empty((16, 16), np.float32)
    _product(a.reshape(-1), b.reshape(-1), blocks, work, alone.reshape(-1))
    assert np.array_equal(alone[:3], out[:3])


def _problem(size, dtype):
    seq_len, features, hidden, layers, batch = size
    network = Network(seq_len, features, 3, 1, hidden_size=hidden, num_layers=layers, dtype=dtype)
    rng = np.random.default_rng(hidden)
    params = 0.5 * rng.standard_normal(network.layout.size) / np.sqrt(hidden)
    inputs = rng.standard_normal((batch + seq_len + 3, features))
    starts = np.arange(batch)
    windows = Windows(inputs, starts, np.ascontiguousarray(inputs[:, :1]), starts + seq_len)
    return network, params, windows


def _gradient(size, dtype="float32", threads=1):
    network, params, windows = _problem(size, dtype)
    batch = size[-1]
    with Engine(network, params, threads, batch) as engine:
        loss = engine.train(windows, 0, 1, batch, make_step(), 0, update=False)
        return engine, loss, engine.gradient.copy()


@on_unit
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_gradients_are_as_exact_as_those_of_the_vector_units(size, monkeypatch):
    # The reference is float64, which always runs on the vector units.
    _, loss, exact = _gradient(size, "float64")
    engine, loss_on_unit, on_unit = _gradient(size)
    assert isinstance(engine._plan.unit, MatrixUnit)
    monkeypatch.setattr(amx, "available", lambda: False)
    engine, _, on_vectors = _gradient(size)
    assert isinstance(engine._plan.unit, NoUnit)

    assert loss_on_unit == pytest.approx(loss, rel=1e-6)
    largest = abs(exact).max()
    assert abs(on_unit - exact).max() < 2e-6 * largest

    def error(gradient):
        return np.sqrt(np.mean((gradient - exact) ** 2))

    assert error(on_unit) < 4 * error(on_vectors)


@on_unit
def test_bits_do_not_depend_on_the_number_of_threads():
    size = SIZES[4]
    _, loss, gradient = _gradient(size)
    for threads in (2, 3):
        _, other_loss, other = _gradient(size, threads=threads)
        assert other_loss == loss
        assert np.array_equal(other, gradient)


@on_unit
def test_rows_do_not_see_each_other():
    # A group that is not full follows a full one in the same memory.
    size = (9, 2, 96, 1, 16)
    network, params, windows = _problem((*size[:4], 21), "float32")

    def gradient(rows):
        chosen = windows._replace(
            starts=windows.starts[rows], target_starts=windows.target_starts[rows]
        )
        with Engine(network, params, 1, 21) as engine:
            engine.train(windows, 0, 1, 21, make_step(), 0, update=False)
            engine.train(chosen, 0, 1, len(rows), make_step(), 0, update=False)
            return engine.gradient.copy() * len(rows)

    whole, first, last = (gradient(np.arange(*rows)) for rows in ((0, 21), (0, 16), (16, 21)))
    assert np.allclose(first + last, whole, rtol=0, atol=2e-6 * abs(whole).max())


@on_unit
@pytest.mark.parametrize("size", [SIZES[2], SIZES[4]], ids=str)
def test_forecasts_do_not_depend_on_what_is_forecast_along(size):
    network, params, windows = _problem((*size[:4], 21), "float32")
    seq_len = size[0]

    def forecast(windows, threads=1):
        with Engine(network, params, threads) as engine:
            assert isinstance(engine._plan.unit, MatrixUnit)
            return engine.forecast(windows)

    whole = forecast(windows)
    assert np.array_equal(forecast(windows, threads=2), whole)
    rows = windows._replace(
        starts=windows.starts[17:19], target_starts=windows.target_starts[17:19]
    )
    assert np.array_equal(forecast(rows), whole[17:19])

    inputs = windows.inputs.astype(np.float32)
    stream = WindowStream(network, params, inputs[:seq_len])
    for row in range(1, 4):
        assert np.array_equal(stream.step(inputs[row + seq_len - 1]), whole[row])
    stream = StateStream(network, params)
    for t in range(seq_len):
        out = stream.step(inputs[t])
    assert np.array_equal(out, whole[0])


def _as_they_are(network, params):
    return params


def _small_units(network, params):
    """Let half of the units have an h of 1/1000, and large weights make up for it."""
    params, hidden = params.copy(), network.hidden_size
    views, some = network.views(params), slice(hidden // 2)
    gate = slice(3 * hidden, 3 * hidden + hidden // 2)
    views["weight_ih_l0"][gate], views["weight_hh_l0"][gate] = 0, 0
    views["bias_l0"][gate] = np.log(1e-3)
    views["weight_hh_l0"][:, some] *= 1000
    return params


def _small_gradients(network, params):
    """Let a small head leave little of the gradient for the layers."""
    params = params.copy()
    params[network.layout.size - 3 * (1 + network.hidden_size) :] *= 1e-27
    return params


@on_unit
@pytest.mark.parametrize("change", [_as_they_are, _small_units, _small_gradients])
@pytest.mark.parametrize("size", [SIZES[2], SIZES[4]], ids=str)
def test_errors_are_those_of_the_vector_units(size, change, monkeypatch):
    def computed(dtype):
        network, params, windows = _problem(size, dtype)
        params = change(network, params)
        with Engine(network, params, 1, size[-1]) as engine:
            engine.train(windows, 0, 1, size[-1], make_step(), 0, update=False)
            of_layers = engine.gradient[: -3 * (1 + network.hidden_size)].copy()
            return engine.forecast(windows).ravel(), of_layers

    exact = computed("float64")
    on_unit = computed("float32")
    monkeypatch.setattr(amx, "available", lambda: False)
    on_vectors = computed("float32")
    for e, u, v in zip(exact, on_unit, on_vectors, strict=True):
        size = abs(e).max()
        assert np.linalg.norm((u - e) / size) < 4 * np.linalg.norm((v - e) / size)


@on_unit
def test_nan_is_not_hidden():
    network, params, windows = _problem(SIZES[1], "float32")
    for at in (0, network.layout.size // 3):
        broken = params.copy()
        broken[at] = np.nan
        with Engine(network, broken, 1, 3) as engine:
            assert np.isnan(engine.forecast(windows)).any()
            assert np.isnan(engine.train(windows, 0, 1, 3, make_step(), 0, update=False))
            assert np.isnan(engine.gradient).any()


def test_other_networks_stay_on_the_vector_units():
    wide = Network(4, 1, 1, 1, hidden_size=128)
    others = [
        Network(4, 1, 1, 1, hidden_size=47),
        Network(4, 1, 1, 1, hidden_size=8193),
        Network(4, 1, 1, 1, hidden_size=128, cell="gru"),
        Network(4, 1, 1, 1, hidden_size=128, stateful=True),
    ]
    for network in others:
        assert isinstance(make_plan(network, 16).unit, NoUnit)
    assert isinstance(make_plan(wide, 8).unit, NoUnit)


def test_the_unit_can_be_switched_off():
    script = "from lstm_numba.kernels.cpu import amx; print(amx.available())"
    for name, value in (("LSTM_NUMBA_MATRIX_UNIT", "0"), ("NUMBA_CPU_NAME", "generic")):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {name: value},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == "False"
