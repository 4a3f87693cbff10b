"""What the layers refuse: an error says what must hold, and what was found."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from lstm_numba import GRU, LSTM, SimpleRNN

BATCH, SEQ_LEN = 5, 4
X = np.random.default_rng(0).normal(size=(BATCH, SEQ_LEN, 3))
TURNED = X.swapaxes(1, 2)
OBJECTS = np.full((BATCH, SEQ_LEN, 3), "a", object)

INPUTS = {
    r"x of LSTM must be \(batch, seq_len, features\), .*but has the shape \(3,\)": np.zeros(3),
    r"but has the shape \(1, 5, 4, 3\)": X[None],
    r"but has the shape \(\)": 1.5,
    r"with 3 features \(input_size\), but has 2": X[:, :, :2],
    r"with 3 features .*but has 4 \(shape=\(5, 3, 4\)\). The features are expected last": TURNED,
    r"at least one row and one step, but its shape is \(5, 0, 3\)": X[:, :0],
    r"at least one row and one step, but its shape is \(0, 4, 3\)": X[:0],
    r"at least one row and one step, but its shape is \(0, 3\)": X[0, :0],
    "x of LSTM must be one array, but its rows have different lengths. Pad": [X[0], X[1, :2]],
    "real numbers, but has dtype complex128": X + 1j,
    "real numbers, but has dtype object": OBJECTS,
    "real numbers, but has dtype <U1": OBJECTS.astype("U1"),
    "real numbers, but has dtype datetime64": np.zeros((BATCH, SEQ_LEN, 3), "M8[s]"),
}

LENGTHS = {
    "between 1 and seq_len=4, but are 5 in row 1": [4, 5, 1, 2, 3],
    "between 1 and seq_len=4, but are 0 in row 2": [4, 4, 0, 2, 3],
    "but are -1 in row 0, -2 in row 3": [-1, 4, 1, -2, 3],
    "but are 9 in row 0, 9 in row 1, 9 in row 2 and 2 more": [9] * 5,
    "but are 1099511627776 in row 4": [1, 1, 1, 1, 2**40],
    "but are 18446744073709551615 in row 0": np.array([2**64 - 1, 1, 1, 1, 1], "u8"),
    r"must have the shape \(batch,\) = \(5,\), but have \(3,\)": [1, 2, 3],
    r"must have the shape \(batch,\) = \(5,\), but have \(\)": 4,
    r"but have \(5, 1\)": np.ones((5, 1), int),
    "must be integers, but have dtype float64": [4.0, 4.0, 1.0, 2.0, 3.0],
    "must be integers, but have dtype bool": [True] * 5,
    "must be integers, but have dtype <U1": ["4"] * 5,
    "must be integers, but have dtype object": [2**70] * 5,
}

MASKS = {
    r"mask must have the shape \(batch, seq_len\) = \(5, 4\), but has \(4, 5\)": np.ones(
        (4, 5), bool
    ),
    r"but has \(5,\)": np.ones(5, bool),
    r"but has \(4,\)": np.ones(4, bool),
    r"but has \(5, 4, 1\)": np.ones((5, 4, 1), bool),
    "array of bool, .*but has dtype float64": np.full((5, 4), 0.5),
    "array of bool, .*but has dtype int64": np.full((5, 4), 2),
    "array of bool, .*but has dtype <U1": np.full((5, 4), "x"),
}

H, C = np.zeros((2, BATCH, 6)), np.zeros((2, BATCH, 6))
STATES = {
    r"h of the state must be .* = \(2, 5, 6\), but has the shape \(1, 5, 6\)": (H[:1], C),
    r"c of the state must be .* = \(2, 5, 6\), but has the shape \(2, 4, 6\)": (H, C[:, :4]),
    r"but has the shape \(2, 5, 7\)": (np.zeros((2, 5, 7)), C),
    r"\(5, 2, 6\). States are never batch-first: swap": (H.swapaxes(0, 1), C.swapaxes(0, 1)),
    r"must be \(h, c\), but has 1 part\.": H,
    r"must be \(h, c\), but has 3 parts": (H, C, C),
    r"must be \(h, c\), but has 0 parts": (),
    r"a State or a tuple \(h, c\) of arrays. Got 5 instead": 5,
    r"a State or a tuple \(h, c\) of arrays. Got 'ab' instead": "ab",
    "h of the state must be an array of real numbers, but has dtype <U2": ("hi", C),
}


@pytest.fixture
def lstm():
    """A layer whose state stands after one batch; which is to be the same after the test."""
    layer = LSTM(3, 6, 2, stateful=True, dtype="float64", random_state=0)
    layer(X)
    twin = LSTM(3, 6, 2, stateful=True, dtype="float64", random_state=0)
    twin(X)
    yield layer
    assert_array_equal(layer(X)[0], twin(X)[0])


def refused(message):
    return pytest.raises((TypeError, ValueError), match=message)


@pytest.mark.parametrize("message", INPUTS)
def test_x(lstm, message):  # x01
    with refused(message):
        lstm(INPUTS[message])


def test_x_of_a_layer_that_is_not_batch_first():  # x01
    layer = GRU(3, 6, batch_first=False)
    with refused(r"x of GRU must be \(seq_len, batch, features\) with 3 features"):
        layer(X[:, :, :2])
    with refused(r"its shape is \(0, 4, 3\), read as \(seq_len, batch, features\)"):
        layer(X[:0])


@pytest.mark.parametrize("message", LENGTHS)
def test_lengths(lstm, message):  # x01
    with refused(f"lengths must .*{message}" if "must" not in message else message):
        lstm(X, lengths=LENGTHS[message])


@pytest.mark.parametrize("message", MASKS)
def test_masks(lstm, message):  # x01
    with refused(message):
        lstm(X, mask=MASKS[message])


def test_lengths_beside_a_mask(lstm):
    with refused("Give lengths or a mask, not both"):
        lstm(X, lengths=[4] * 5, mask=np.ones((5, 4), bool))


@pytest.mark.parametrize("message", STATES)
def test_states(lstm, message):  # x01
    with refused(message):
        lstm(X, STATES[message])


def test_the_state_of_one_sequence_has_no_batch():
    layer = SimpleRNN(3, 6)
    with refused(r"\(num_layers \* directions, size\) = \(1, 6\), but has the shape \(1, 1, 6\)"):
        layer(X[0], np.zeros((1, 1, 6)))
    with refused(r"The state of SimpleRNN must be \(h\), but has 2 parts"):
        layer(X[0], (np.zeros((1, 6)), np.zeros((1, 6))))


@pytest.mark.parametrize("cls", [GRU, SimpleRNN])
def test_what_numpy_can_view_is_a_state(cls):
    layer, h = cls(3, 6), np.full((1, 6), 0.3)
    y, final = layer(X[0], pd.DataFrame(h), training=True)
    _, dstate = layer.backward(0, pd.DataFrame(h))
    expected_y, expected_final = layer(X[0], h, training=True)
    assert_array_equal(y, expected_y)
    assert_array_equal(final.h, expected_final.h)
    assert_array_equal(dstate.h, layer.backward(0, h)[1].h)


@pytest.mark.parametrize("other", [X[:4], X[:1], X[0]], ids=["4", "1", "unbatched"])
def test_another_batch_size_keeps_the_state(lstm, other):  # x03
    rows = len(other) if other.ndim == 3 else 1
    with pytest.raises(ValueError, match=f"state for a batch size of 5, but x has {rows} rows"):
        lstm(other)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (5, r"between 0 and 4. Got 5"),
        (-1, r"between 0 and 4. Got -1"),
        ([0, 7], "between 0 and 4"),
        (1.0, "an int, a sequence of int or a bool array of 5 rows"),
        ([True, False], "a bool array of 5 rows"),
        ([[0]], "a sequence of int"),
        ("all", "Got 'all' instead"),
    ],
)
def test_rows_to_reset(lstm, rows, message):
    with refused(message):
        lstm.reset_state(rows)


@pytest.mark.parametrize("training", [True, False])
def test_gradients(lstm, training):
    lstm(X, training=training)
    for dy, message in (
        (np.zeros((5, 4, 5)), r"dy of LSTM must have the shape .*\(5, 4, 6\), but has \(5, 4, 5\)"),
        (1.0, r"must have the shape of its newest output, \(5, 4, 6\), but has \(\)"),
        (np.zeros((5, 4, 6), complex), "dy of LSTM must be an array of real numbers"),
    ):
        with refused(message):
            lstm.backward(dy)
    with refused(r"h of the state must be .* = \(2, 5, 6\)"):
        lstm.backward(0, (H[:1], C))
    assert all(not gradient.any() for gradient in lstm.grads.values())
    lstm.reset_state()
    lstm(X)


def test_a_backward_pass_follows_a_call():
    with pytest.raises(RuntimeError, match=r"backward\(\) of GRU follows a forward pass: call the"):
        GRU(3, 6).backward(0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_size": 0}, r"'input_size' .* of LSTM must be an int in the range \[1, inf"),
        ({"hidden_size": 2.5}, "'hidden_size' .*Got 2.5"),
        ({"num_layers": 0}, "'num_layers'"),
        ({"proj_size": -1}, r"'proj_size' .*\[0, inf"),
        ({"proj_size": 6}, "'proj_size' .*must be smaller than hidden_size=6, .*Got 6"),
        ({"dropout": 1.0}, r"'dropout' .*in the range \[0, 1\)"),
        ({"recurrent_dropout": -0.1}, "'recurrent_dropout'"),
        ({"input_dropout": "much"}, "'input_dropout'"),
        ({"merge_mode": "average"}, "'merge_mode' .*'concat', 'sum', 'mul', 'ave'"),
        ({"activation": "swish"}, "'activation' .*'tanh', .*Got 'swish'"),
        ({"recurrent_activation": None}, "'recurrent_activation'"),
        ({"clip": 0}, "'clip' .*or None"),
        ({"bias": 1}, "'bias'"),
        ({"batch_first": None}, "'batch_first'"),
        ({"device": "tpu"}, "'device'"),
        ({"dtype": "float16"}, "'dtype'"),
        ({"n_jobs": 0}, "'n_jobs'"),
        ({"random_state": "x"}, "'random_state'"),
        ({"bidirectional": True, "go_backwards": True}, "go_backwards=True has no meaning"),
        ({"kernel_initializer": "xavier"}, "An initializer must be one of"),
        ({"bias_initializer": "orthogonal"}, "makes matrices only"),
        ({"bias_regularizer": 0.1}, "A regularizer must be one of"),
        ({"recurrent_constraint": "small"}, "A constraint must be one of"),
    ],
)
def test_parameters(arguments, message):
    with refused(message):
        LSTM(**{"input_size": 3, "hidden_size": 6} | arguments)


@pytest.mark.parametrize("name", ["proj_size", "unit_forget_bias", "reset_after"])
def test_parameters_that_a_cell_does_not_have(name):
    with pytest.raises(TypeError, match=name):
        SimpleRNN(3, 6, **{name: 1})
