"""Rows of different lengths and with holes: each takes its own steps, and minds no other."""

import naive
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lstm_numba import GRU, LSTM, SimpleRNN

CELLS = {"lstm": LSTM, "gru": GRU, "rnn": SimpleRNN}
BOTH_DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
EVERY_CELL = pytest.mark.parametrize("cell", CELLS)

BATCH, SEQ_LEN, FEATURES, HIDDEN = 13, 9, 3, 7
LENGTHS = np.array([4, 9, 1, 1, 9, 2, 7, 3, 8, 5, 6, 9, 1])


def make(cell, dtype="float64", **arguments):
    """Return a layer with weights that are not small, biases included."""
    layer = CELLS[cell](FEATURES, HIDDEN, dtype=dtype, **arguments)
    rng = np.random.default_rng(1)
    for weight in layer.weights.values():
        weight[...] = rng.normal(0, 0.5, weight.shape)
    return layer


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def holes(seed=0):
    """Return a mask with full, sparse and empty rows."""
    mask = np.random.default_rng(seed).random((BATCH, SEQ_LEN)) < np.linspace(0, 1, BATCH)[:, None]
    assert not mask[0].any()
    mask[-1] = True
    return mask


def there_and_back(layer, x, state=None, **rows):
    """Return everything that a call and its backward pass give, by name."""
    layer.zero_grad()
    y, final = layer(x, state, training=True, **rows)
    rng = np.random.default_rng(3)
    dy, dfinal = rng.normal(size=y.shape), [rng.normal(size=p.shape) for p in parts(final)]
    dx, dstart = layer.backward(dy, dfinal)
    results = {"y": y, "dx": dx}
    results |= {f"final {k}": part for k, part in enumerate(parts(final))}
    results |= {f"start {k}": part for k, part in enumerate(parts(dstart))}
    return results, {name: gradient.copy() for name, gradient in layer.grads.items()}


def parts(state):
    return [part for part in state if part is not None]


def rows_of(name, array, rows):
    """Return some rows of an array of ``there_and_back``."""
    return array[rows] if name in ("y", "dx") else array[:, rows]


def twin_of(cell, layer, x, h0, c0):
    """Return h after each step, and the last c, of one row on its own."""
    h, tape = naive.FORWARD[cell](x, naive.of_layer(layer.weights, 0), h0, c0)
    c = np.concatenate([[c0], tape[0]])[-1] if cell == "lstm" else None
    return h[1:], c


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("which", ["lengths", "mask"])
@EVERY_CELL
def test_each_row_is_that_of_the_twin_on_its_own_steps(cell, which, go_backwards):
    layer = make(cell, go_backwards=go_backwards)
    x, h0, c0 = draw(BATCH, SEQ_LEN, FEATURES), draw(BATCH, HIDDEN), draw(BATCH, HIDDEN, seed=5)
    mask = np.arange(SEQ_LEN) < LENGTHS[:, None] if which == "lengths" else holes()
    rows = {"lengths": LENGTHS} if which == "lengths" else {"mask": mask}
    y, final = layer(x, [part[None] for part in (h0, c0)[: 2 if cell == "lstm" else 1]], **rows)

    for n in range(BATCH):
        order = range(SEQ_LEN)[::-1] if go_backwards else range(SEQ_LEN)
        taken = [t for t in order if mask[n, t]]
        h, c = twin_of(cell, layer, x[n, taken], h0[n], c0[n])
        shown = np.zeros(HIDDEN)
        by_step = iter(h)
        for k, t in enumerate(order):
            if mask[n, t]:
                shown = next(by_step)
            elif which == "lengths":
                shown = np.zeros(HIDDEN)
            assert np.max(np.abs(y[n, k] - shown)) <= 1e-12, (n, t)
        assert np.max(np.abs(final.h[0, n] - [h0[n], *h][-1])) <= 1e-12
        if cell == "lstm":
            assert np.max(np.abs(final.c[0, n] - c)) <= 1e-12


@pytest.mark.parametrize("filling", [np.nan, np.inf, -1e30])
@pytest.mark.parametrize("which", ["lengths", "mask"])
@BOTH_DTYPES
@EVERY_CELL
def test_padding_is_never_read(cell, dtype, which, filling):  # v03b
    layer = make(cell, dtype, num_layers=2, bidirectional=True)
    mask = np.arange(SEQ_LEN) < LENGTHS[:, None] if which == "lengths" else holes()
    rows = {"lengths": LENGTHS} if which == "lengths" else {"mask": mask}
    x = draw(BATCH, SEQ_LEN, FEATURES)
    expected, expected_gradients = there_and_back(layer, x * mask[:, :, None], **rows)
    x[~mask] = filling
    results, gradients = there_and_back(layer, x, **rows)
    for name, array in (results | gradients).items():
        assert np.all(np.isfinite(array)), name
        assert_array_equal(array, (expected | expected_gradients)[name], err_msg=name)
    assert_array_equal(results["dx"][~mask], 0)
    assert_array_equal(results["y"][~mask], 0)


@BOTH_DTYPES
@EVERY_CELL
def test_a_nan_stays_in_its_row_and_its_future(cell, dtype):  # v03c
    layer = make(cell, dtype, num_layers=2)
    x = draw(BATCH, SEQ_LEN, FEATURES)
    expected, _ = there_and_back(layer, x)
    x[4, 6, 1] = np.nan
    results, _ = there_and_back(layer, x)
    others = np.arange(BATCH) != 4
    for name, array in results.items():
        assert_array_equal(rows_of(name, array, others), rows_of(name, expected[name], others))
    assert_array_equal(results["y"][4, :6], expected["y"][4, :6])
    assert np.all(np.isnan(results["y"][4, 6:]))


@pytest.mark.parametrize("form", [{}, {"num_layers": 2, "bidirectional": True}], ids=str)
@BOTH_DTYPES
@EVERY_CELL
def test_a_row_in_a_batch_is_the_row_alone_to_the_bit(cell, dtype, form):
    layer = make(cell, dtype, **form)
    x, mask = draw(BATCH, SEQ_LEN, FEATURES), holes()
    y, final = layer(x, lengths=LENGTHS)
    of_mask, _ = layer(x, mask=mask)
    for n, length in enumerate(LENGTHS):
        alone, alone_final = layer(x[n : n + 1, :length])
        assert_array_equal(y[n, :length], alone[0])
        for part, alone_part in zip(parts(final), parts(alone_final), strict=True):
            assert_array_equal(part[:, n], alone_part[:, 0])
        if mask[n].any():
            assert_array_equal(of_mask[n, mask[n]], layer(x[n, mask[n]])[0])


@BOTH_DTYPES
@EVERY_CELL
def test_gradients_of_a_batch_are_the_sum_of_those_of_its_rows(cell, dtype):
    layer = make(cell, dtype)
    x = draw(BATCH, SEQ_LEN, FEATURES)
    y, _ = layer(x, lengths=LENGTHS, training=True)
    dy = draw(*y.shape)
    dx, _ = layer.backward(dy)
    together = {name: gradient.copy() for name, gradient in layer.grads.items()}
    layer.zero_grad()
    for n, length in enumerate(LENGTHS):
        layer(x[n : n + 1, :length], training=True)
        alone, _ = layer.backward(dy[n : n + 1, :length])
        assert_array_equal(dx[n, :length], alone[0])
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    for name, gradient in layer.grads.items():
        largest = np.max(np.abs(gradient))
        assert np.max(np.abs(together[name] - gradient)) <= tolerance * largest, name


@EVERY_CELL
def test_the_order_of_rows_does_not_matter(cell):
    layer = make(cell, num_layers=2)
    x, order = draw(BATCH, SEQ_LEN, FEATURES), np.random.default_rng(2).permutation(BATCH)
    y, final = layer(x, lengths=LENGTHS)
    turned, turned_final = layer(x[order], lengths=LENGTHS[order])
    assert_array_equal(turned, y[order])
    assert_array_equal(turned_final.h, final.h[:, order])


@pytest.mark.parametrize("form", [{}, {"num_layers": 2, "bidirectional": True}], ids=str)
@EVERY_CELL
def test_a_mask_that_is_true_first_is_lengths(cell, form):
    layer = make(cell, **form)
    x, mask = draw(BATCH, SEQ_LEN, FEATURES), np.arange(SEQ_LEN) < LENGTHS[:, None]
    y, final = layer(x, lengths=LENGTHS, training=True)
    dy = draw(*y.shape) * mask[:, :, None]
    dx, dstart = layer.backward(dy, final)
    gradients = {name: gradient.copy() for name, gradient in layer.grads.items()}

    layer.zero_grad()
    of_mask, final_of_mask = layer(x, mask=mask, training=True)
    dx_of_mask, dstart_of_mask = layer.backward(dy, final)
    assert_array_equal(of_mask[mask], y[mask])
    assert_array_equal(final_of_mask.h, final.h)
    assert_array_equal(dx_of_mask, dx)
    assert_array_equal(dstart_of_mask.h, dstart.h)
    for name, gradient in layer.grads.items():
        assert_array_equal(gradient, gradients[name])


@pytest.mark.parametrize("return_sequences", [True, False])
@EVERY_CELL
def test_a_batch_of_which_nothing_is_left(cell, return_sequences):
    layer = make(cell, return_sequences=return_sequences)
    state = [draw(1, BATCH, HIDDEN)] * (2 if cell == "lstm" else 1)
    nothing = np.zeros((BATCH, SEQ_LEN), bool)
    y, final = layer(draw(BATCH, SEQ_LEN, FEATURES), state, mask=nothing, training=True)
    dx, dstart = layer.backward(np.ones_like(y), state)
    assert_array_equal(y, 0)
    assert_array_equal(dx, 0)
    for part in (*parts(final), *parts(dstart)):
        assert_array_equal(part, state[0])
    assert all(not gradient.any() for gradient in layer.grads.values())


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64", ">i4"])
def test_lengths_may_be_of_any_integer_type(dtype):  # x01
    layer = make("lstm")
    x = draw(BATCH, SEQ_LEN, FEATURES)
    expected, _ = layer(x, lengths=list(LENGTHS))
    assert_array_equal(layer(x, lengths=LENGTHS.astype(dtype))[0], expected)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_masks_may_be_of_zeros_and_ones(dtype):
    layer = make("lstm")
    x, mask = draw(BATCH, SEQ_LEN, FEATURES), holes()
    assert_array_equal(layer(x, mask=mask.astype(dtype))[0], layer(x, mask=mask)[0])


def test_the_mask_of_one_sequence_may_go_without_a_batch():
    layer = make("lstm", batch_first=False)
    x, mask = draw(BATCH, SEQ_LEN, FEATURES), holes()
    of_batch, _ = layer(x.swapaxes(0, 1), mask=mask)
    for n in range(BATCH):
        assert_array_equal(layer(x[n], mask=mask[n])[0], of_batch[:, n])
