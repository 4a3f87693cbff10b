"""The LSTM cell and its adjoint, on floats and on tiles; the one with peepholes on floats."""

import numpy as np
import pytest
from numba import njit

from lstm_numba.kernels import tile
from lstm_numba.kernels.activations import ACTIVATIONS
from lstm_numba.kernels.cells import (
    lstm_cell,
    lstm_cell_grad,
    lstm_peephole_cell,
    lstm_peephole_cell_grad,
)
from lstm_numba.kernels.gates import Chosen, Standard

STANDARD = Standard()

BOTH_DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
TOLERANCE = {np.float32: 1e-6, np.float64: 1e-14}


@njit
def step(given, out):
    for k in range(given.shape[1]):
        zi, zf, zg, zo, c_prev = given[0, k], given[1, k], given[2, k], given[3, k], given[4, k]
        i, f, g, o, c, h = lstm_cell(STANDARD, zi, zf, zg, zo, c_prev)
        out[0, k], out[1, k], out[2, k], out[3, k], out[4, k], out[5, k] = i, f, g, o, c, h


@njit
def step_back(given, out):
    for k in range(given.shape[1]):
        i, f, g, o, c_prev = given[0, k], given[1, k], given[2, k], given[3, k], given[4, k]
        c, dh, dc = given[5, k], given[6, k], given[7, k]
        dzi, dzf, dzg, dzo, dc_prev = lstm_cell_grad(STANDARD, i, f, g, o, c_prev, c, dh, dc)
        out[0, k], out[1, k], out[2, k], out[3, k], out[4, k] = dzi, dzf, dzg, dzo, dc_prev


@njit
def tile_at(given, row):
    """One row of ``given``, two vectors wide."""
    return tile.load(given.reshape(-1), row * given.shape[1], 0, 1, 2)


@njit
def put_tile(out, row, value):
    tile.store(out.reshape(-1), row * out.shape[1], 0, value)


@njit
def step_on_tiles(given, out):
    i, f, g, o, c, h = lstm_cell(
        STANDARD,
        tile_at(given, 0),
        tile_at(given, 1),
        tile_at(given, 2),
        tile_at(given, 3),
        tile_at(given, 4),
    )
    put_tile(out, 0, i)
    put_tile(out, 1, f)
    put_tile(out, 2, g)
    put_tile(out, 3, o)
    put_tile(out, 4, c)
    put_tile(out, 5, h)


@njit
def step_back_on_tiles(given, out):
    dzi, dzf, dzg, dzo, dc_prev = lstm_cell_grad(
        STANDARD,
        tile_at(given, 0),
        tile_at(given, 1),
        tile_at(given, 2),
        tile_at(given, 3),
        tile_at(given, 4),
        tile_at(given, 5),
        tile_at(given, 6),
        tile_at(given, 7),
    )
    put_tile(out, 0, dzi)
    put_tile(out, 1, dzf)
    put_tile(out, 2, dzg)
    put_tile(out, 3, dzo)
    put_tile(out, 4, dc_prev)


def units(dtype, seed=0):
    """Return pre-activations of the four gates and c_prev for two vectors of units."""
    lanes = 2 * tile.VECTOR_BYTES // np.dtype(dtype).itemsize
    return np.random.default_rng(seed).normal(0, 2, (5, lanes)).astype(dtype)


def forward(given):
    out = np.zeros((6, given.shape[1]), given.dtype)
    step(given, out)
    return out


def backward(given, dh, dc):
    i, f, g, o, c, _ = forward(given)
    out = np.zeros((5, given.shape[1]), given.dtype)
    saved = np.stack([i, f, g, o, given[4], c, dh, dc])
    step_back(saved, out)
    return out, saved


@BOTH_DTYPES
def test_cell_is_the_equation_of_the_paper(dtype):
    zi, zf, zg, zo, c_prev = units(dtype).astype(np.float64)
    i, f, o = 1 / (1 + np.exp(-np.stack([zi, zf, zo])))
    c = f * c_prev + i * np.tanh(zg)
    expected = np.stack([i, f, np.tanh(zg), o, c, o * np.tanh(c)])
    assert np.max(np.abs(forward(units(dtype)) - expected)) <= TOLERANCE[dtype]


def test_adjoint_equals_finite_differences():
    given = units(np.float64)
    dh, dc = np.random.default_rng(1).normal(size=(2, given.shape[1]))
    actual, _ = backward(given, dh, dc)
    differences = np.zeros_like(actual)
    for k in range(5):
        for sign in (1, -1):
            moved = given.copy()
            moved[k] += sign * 1e-6
            out = forward(moved)
            differences[k] += sign * (out[5] * dh + out[4] * dc) / 2e-6
    assert np.max(np.abs(actual - differences)) <= 1e-8


@BOTH_DTYPES
def test_tiles_and_floats_agree(dtype):
    given = units(dtype)
    by_unit, on_tiles = forward(given), np.zeros((6, given.shape[1]), dtype)
    step_on_tiles(given, on_tiles)
    assert np.max(np.abs(by_unit - on_tiles)) <= TOLERANCE[dtype]

    dh, dc = np.random.default_rng(1).normal(size=(2, given.shape[1])).astype(dtype)
    by_unit, saved = backward(given, dh, dc)
    on_tiles = np.zeros_like(by_unit)
    step_back_on_tiles(saved, on_tiles)
    assert np.max(np.abs(by_unit - on_tiles)) <= TOLERANCE[dtype]


@BOTH_DTYPES
def test_a_saturated_cell_keeps_or_drops_its_state(dtype):  # v22
    huge = np.finfo(dtype).max / 4
    given = np.zeros((5, 2), dtype)
    given[:, 0] = -huge, huge, huge, huge, 0.5
    given[:, 1] = huge, -huge, -huge, -huge, 0.5
    out = forward(given)
    tiny = np.finfo(dtype).tiny
    assert np.max(np.abs(out[:, 0] - [0, 1, 1, 1, 0.5, np.tanh(0.5)])) <= np.finfo(dtype).eps
    assert np.max(np.abs(out[:, 1] - [1, 0, -1, 0, -1, 0])) <= tiny
    ones = np.ones(2, dtype)
    gradient, _ = backward(given, ones, ones)
    assert np.all(np.isfinite(gradient))
    assert np.max(np.abs(gradient[:4, 0])) <= 2 * tiny


def test_float32_is_never_widened():
    given = units(np.float32)
    ones = np.ones(given.shape[1], np.float32)
    _, saved = backward(given, ones, ones)
    step_on_tiles(given, np.zeros((6, given.shape[1]), np.float32))
    step_back_on_tiles(saved, np.zeros((5, given.shape[1]), np.float32))
    for function in (step, step_back, step_on_tiles, step_back_on_tiles):
        (signature,) = [s for s in function.signatures if s[0].dtype.bitwidth == 32]
        assert "fpext" not in function.inspect_llvm(signature)


@njit
def peephole_step(acts, given):
    zi, zf, zg, zo, pi, pf, po, c_prev = given
    return lstm_peephole_cell(acts, zi, zf, zg, zo, pi, pf, po, c_prev)


@njit
def peephole_step_back(acts, saved, given, dh, dc):
    i, f, g, o, c, _ = saved
    _, _, _, _, pi, pf, po, c_prev = given
    return lstm_peephole_cell_grad(acts, i, f, g, o, pi, pf, po, c_prev, c, dh, dc)


@pytest.mark.parametrize(
    "acts",
    [STANDARD, Chosen(ACTIVATIONS["softsign"], ACTIVATIONS["gelu"], 2.5)],
    ids=["standard", "chosen"],
)
def test_adjoint_with_peepholes_equals_finite_differences(acts):
    for seed in range(20):
        given = np.random.default_rng(seed).normal(0, 1, 8)
        saved = peephole_step(acts, tuple(given))
        dzi, dzf, dzg, dzo, dc_prev = peephole_step_back(acts, saved, tuple(given), 0.7, -0.4)
        c = saved[4]
        # What the layer makes of dz for the peephole weights.
        actual = [dzi, dzf, dzg, dzo, dzi * given[7], dzf * given[7], dzo * c, dc_prev]
        for k in range(8):
            up, down = given.copy(), given.copy()
            up[k] += 1e-6
            down[k] -= 1e-6
            *_, c_up, h_up = peephole_step(acts, tuple(up))
            *_, c_down, h_down = peephole_step(acts, tuple(down))
            difference = (0.7 * (h_up - h_down) - 0.4 * (c_up - c_down)) / 2e-6
            assert abs(actual[k] - difference) <= 1e-8
