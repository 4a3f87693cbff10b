"""Training on the matrix unit: its pieces, and the gradients against other engines."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numba import njit

from lstm_numba.kernels.cpu import amx, make_plan
from lstm_numba.kernels.cpu.bfloat16 import three_parts
from lstm_numba.kernels.cpu.matrix_unit import MatrixUnit, NoUnit
from lstm_numba.kernels.tile import load, store
from lstm_numba.nn.engine import Engine, make_step
from lstm_numba.nn.network import Network, Windows

on_unit = pytest.mark.skipif(
    not amx.available(), reason="needs a processor with a matrix unit (AMX), on Linux"
)
full_vectors = pytest.mark.skipif(
    amx.VECTOR_BYTES != amx.TILE_BYTES, reason="needs vectors of 16 floats (AVX-512)"
)

# seq_len, features, hidden, layers, batch: odd sizes, odd steps, groups that are not full, K that
# is not a whole block, panels of four, two and one vectors
SIZES = [
    (5, 1, 96, 1, 16),
    (7, 2, 97, 1, 21),
    (24, 3, 112, 2, 37),
    (13, 1, 144, 1, 33),
    (9, 7, 128, 2, 50),
    (6, 4, 200, 3, 18),
]


@njit
def _in_parts(x, parts):
    x1, x2, x3 = three_parts(load(x, 0, 16, 1, 1))
    store(parts, 0, 16, x1)
    store(parts, 16, 16, x2)
    store(parts, 32, 16, x3)


@full_vectors
def test_three_bfloat16_hold_a_float32():
    rng = np.random.default_rng(0)
    parts = np.empty((3, 16), np.float32)
    for _ in range(200):
        x = (rng.standard_normal(16) * 10.0 ** rng.integers(-30, 30, 16)).astype(np.float32)
        _in_parts(x, parts.reshape(-1))
        assert np.array_equal(parts.sum(0, dtype=np.float64), x)
        assert not (parts.view(np.uint32) & 0xFFFF).any()
        assert (abs(parts[1]) <= 2.0**-8 * abs(parts[0])).all()
        assert (abs(parts[2]) <= 2.0**-8 * abs(parts[1])).all()


@full_vectors
def test_parts_of_what_is_not_finite_are_not_finite():
    parts = np.empty((3, 16), np.float32)
    for value in (np.inf, -np.inf, np.nan):
        _in_parts(np.full(16, value, np.float32), parts.reshape(-1))
        assert not np.isfinite(parts.sum(0)).any()


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


def test_what_is_small_or_asks_for_more_stays_on_the_vector_units():
    wide = Network(4, 1, 1, 1, hidden_size=128)
    others = [
        (wide, 15),
        (Network(4, 1, 1, 1, hidden_size=80), 64),
        (Network(4, 1, 1, 1, hidden_size=128, cell="gru"), 64),
        (Network(4, 1, 1, 1, hidden_size=128, stateful=True), 64),
    ]
    for network, batch_size in others:
        assert isinstance(make_plan(network, 16, batch_size).unit, NoUnit)
    assert isinstance(make_plan(wide, 8, 64).unit, NoUnit)
    assert isinstance(make_plan(wide, 16).unit, NoUnit)


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
