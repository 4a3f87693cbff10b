"""Register tiles: products, cutting and joining, and what LLVM is given."""

import re

import numpy as np
import pytest
from numba import njit

from lstm_numba.kernels.cpu.transpose import load_square, transpose
from lstm_numba.kernels.tile import (
    VECTOR_BYTES,
    halves,
    lanes,
    load,
    outer_add,
    quarters,
    quotient,
    side_by_side,
    store,
    thirds,
    zeros,
)

WIDTH = VECTOR_BYTES // 4
COUNT = 5


@njit
def product_of_one(a, w, out):
    acc = zeros(a, 2, 1)
    for k in range(COUNT):
        acc = outer_add(acc, a, k, COUNT, w, k * lanes(a))
    store(out, 0, lanes(a), acc)


@njit
def product_of_two(a, w, out):
    acc = zeros(a, 2, 2)
    for k in range(COUNT):
        acc = outer_add(acc, a, k, COUNT, w, 2 * k * lanes(a))
    left, right = halves(acc)
    store(out, 0, 2 * lanes(a), left)
    store(out, lanes(a), 2 * lanes(a), right)


@njit
def product_of_three(a, w, out):
    acc = zeros(a, 2, 3)
    for k in range(COUNT):
        acc = outer_add(acc, a, k, COUNT, w, 3 * k * lanes(a))
    left, middle, right = thirds(acc)
    store(out, 0, 3 * lanes(a), side_by_side(left, middle, right))


@njit
def product_of_four(a, w, out):
    acc = zeros(a, 2, 4)
    for k in range(COUNT):
        acc = outer_add(acc, a, k, COUNT, w, 4 * k * lanes(a))
    for part in quarters(acc):
        store(out, 0, 4 * lanes(a), part)
        out = out[lanes(a) :]


PRODUCTS = {1: product_of_one, 2: product_of_two, 3: product_of_three, 4: product_of_four}
ANY_WIDTH = pytest.mark.parametrize("vectors", PRODUCTS)


def operands(vectors):
    rng = np.random.default_rng(0)
    a = rng.normal(size=(2, COUNT)).astype("float32")
    return a, rng.normal(size=(COUNT, vectors * WIDTH)).astype("float32")


@ANY_WIDTH
def test_a_product_is_that_of_numpy(vectors):
    a, w = operands(vectors)
    out = np.zeros((2, vectors * WIDTH), "float32")
    PRODUCTS[vectors](a.ravel(), w.ravel(), out.ravel())
    np.testing.assert_allclose(out, a @ w, rtol=1e-6, atol=1e-6)


@njit
def squares(a, out):
    rows = load(a, 0, 3 * lanes(a), 2, 3)
    store(out, 0, 3 * lanes(a), rows * rows + 1.0)


def test_arithmetic_reaches_every_number_of_three_vectors():
    a = np.random.default_rng(1).normal(size=(2, 3 * WIDTH)).astype("float32")
    out = np.zeros_like(a)
    squares(a.ravel(), out.ravel())
    np.testing.assert_allclose(out, a * a + 1, rtol=1e-6)


@ANY_WIDTH
def test_vectors_have_lengths_that_registers_have(vectors):
    # LLVM takes <48 x float> apart into 48 floats wherever a loop carries it: products of the three
    # gates of a GRU ran 20 times slower than those of the four of an LSTM.
    a, w = operands(vectors)
    function = PRODUCTS[vectors]
    function(a.ravel(), w.ravel(), np.zeros(2 * vectors * WIDTH, "float32"))
    (llvm,) = function.inspect_llvm().values()
    lengths = {int(n) for n in re.findall(r"<(\d+) x float>", llvm)}
    assert lengths
    assert all(n & (n - 1) == 0 for n in lengths)


@njit
def transposed(a, out):
    store(out, 0, lanes(a), transpose(load_square(a, 0, lanes(a) + 1)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_square_tile_is_transposed(dtype):
    n = VECTOR_BYTES // np.dtype(dtype).itemsize
    a = np.arange(n * (n + 1), dtype=dtype).reshape(n, n + 1)
    out = np.zeros((n, n), dtype)
    transposed(a.ravel(), out.ravel())
    np.testing.assert_array_equal(out, a[:, :n].T)


@njit
def quotients(x, y, out):
    for k in range(0, x.size, lanes(x)):
        store(out, k, 0, quotient(load(x, k, 0, 1, 1), load(y, k, 0, 1, 1)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_quotient_is_within_one_unit_in_the_last_place(dtype):
    rng = np.random.default_rng(0)
    x, y = (
        (rng.uniform(1, 2, 1 << 16) * 2.0 ** rng.integers(-60, 60, 1 << 16)).astype(dtype)
        for _ in range(2)
    )
    out = np.zeros_like(x)
    quotients(x, y, out)
    exact = x.astype(np.longdouble) / y
    assert np.all(np.abs(out - exact) <= np.spacing(exact.astype(dtype)))
