"""What the layers promise: shapes, state, dropout, copies, threads, and numbers at their limits."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lstm_numba import GRU, LSTM, SimpleRNN, State
from lstm_numba.kernels.cpu import backward_sequences, forward_sequences
from lstm_numba.nn.constraints import MaxNorm

CELLS = {"lstm": LSTM, "gru": GRU, "rnn": SimpleRNN}
BOTH_DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
KERNELS = forward_sequences, backward_sequences
EVERY_CELL = pytest.mark.parametrize("cell", CELLS)

X = np.random.default_rng(0).normal(size=(5, 8, 3))


def make(cell, *sizes, **arguments):
    return CELLS[cell](*(sizes or (3, 6)), **{"dtype": "float64", "random_state": 0} | arguments)


def parts(state):
    return [part for part in state if part is not None]


def assert_same(results, others):
    """Compare (y, state) to the bit."""
    assert_array_equal(results[0], others[0])
    for part, other in zip(parts(results[1]), parts(others[1]), strict=True):
        assert_array_equal(part, other)


# shapes


def test_shapes_of_the_first_example():
    lstm = LSTM(10, 20, 6)
    x = np.ones((2, 3, 10), "f4")
    y, hidden = lstm(x)
    assert y.shape == (2, 3, 20)
    assert hidden[0].shape == hidden[1].shape == (6, 2, 20)
    y_next, hidden = lstm(x, hidden)
    assert y_next.shape == (2, 3, 20)
    assert np.any(y_next != y)
    assert y.dtype == hidden[0].dtype == "float32"


def test_shapes_of_the_second_example():
    rnn = LSTM(10, 20, 2, batch_first=False, bidirectional=True)
    h0, c0 = np.random.default_rng(0).normal(size=(2, 4, 3, 20))
    y, (hn, cn) = rnn(np.ones((5, 3, 10)), (h0, c0))
    assert y.shape == (5, 3, 40)
    assert hn.shape == cn.shape == (4, 3, 20)


@EVERY_CELL
def test_shapes_of_weights_are_those_of_torch(cell):
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[cell] * 6
    biases = ["bias_ih", "bias_hh"] if cell == "gru" else ["bias"]
    layer = make(cell, num_layers=2, bidirectional=True)
    expected = {}
    for suffix, inputs in (("_l0", 3), ("_l0_reverse", 3), ("_l1", 12), ("_l1_reverse", 12)):
        expected |= {f"weight_ih{suffix}": (gates, inputs), f"weight_hh{suffix}": (gates, 6)}
        expected |= {f"{bias}{suffix}": (gates,) for bias in biases}
    assert {name: weight.shape for name, weight in layer.weights.items()} == expected
    assert {name: gradient.shape for name, gradient in layer.grads.items()} == expected


def test_shapes_of_a_projection():
    layer = LSTM(3, 6, 2, proj_size=2, merge_mode="sum", bidirectional=True)
    y, state = layer(X)
    assert y.shape == (5, 8, 2)
    assert state.h.shape == (4, 5, 2)
    assert state.c.shape == (4, 5, 6)
    assert layer.weights["weight_hr_l1"].shape == (2, 6)
    assert layer.weights["weight_hh_l1"].shape == (24, 2)
    assert layer.weights["weight_ih_l1"].shape == (24, 2)


# state


@pytest.mark.parametrize("form", [{}, {"num_layers": 2, "return_sequences": False}], ids=str)
@EVERY_CELL
def test_two_halves_are_the_whole(cell, form):
    layer = make(cell, **form)
    y, final = layer(X)
    first, state = layer(X[:, :3])
    second, state = layer(X[:, 3:], state)
    whole = np.concatenate([first, second], axis=1) if layer.return_sequences else second
    assert_same((whole, state), (y, final))
    assert isinstance(state, State)


@EVERY_CELL
def test_a_state_may_be_given_in_several_forms(cell):
    layer = make(cell)
    _, state = layer(X)
    results = layer(X, state)
    assert_same(layer(X, tuple(parts(state))), results)
    assert_same(layer(X, [part.tolist() for part in parts(state)]), results)
    if cell != "lstm":
        assert_same(layer(X, state.h), results)


@EVERY_CELL
def test_a_stateful_layer_goes_on_where_it_ended(cell):
    layer, plain = make(cell, num_layers=2, stateful=True), make(cell, num_layers=2)
    state = None
    for _ in range(3):
        results = plain(X, state)
        _, state = results
        ours = layer(X)
        assert_same(ours, results)
        for part in parts(ours[1]):
            part[...] = 7  # what was returned is not what is kept

    layer.reset_state([1, 3])
    zero = [part.copy() for part in parts(state)]
    for part in zero:
        part[:, [1, 3]] = 0
    assert_same(layer(X), plain(X, zero))
    layer.reset_state(np.array([True] * 4 + [False]))
    layer.reset_state(4)
    assert_same(layer(X), plain(X))
    layer.reset_state()
    assert_same(layer(X[:2]), plain(X[:2]))


@EVERY_CELL
def test_a_given_state_comes_before_the_kept_one(cell):
    layer, plain = make(cell, stateful=True), make(cell)
    _, state = plain(X)
    layer(X[:3])
    assert_same(layer(X, state), plain(X, state))
    assert_same(layer(X), plain(X, plain(X, state)[1]))


@EVERY_CELL
def test_gradients_end_where_a_stateful_call_begins(cell):
    layer, plain = make(cell, stateful=True), make(cell)
    _, state = plain(X)
    layer(X)
    y, _ = layer(X, training=True)
    plain(X, state, training=True)
    dx, dstate = layer.backward(y)
    expected, expected_start = plain.backward(y)
    assert_array_equal(dx, expected)
    assert_array_equal(dstate.h, expected_start.h)
    for name, gradient in plain.grads.items():
        assert_array_equal(layer.grads[name], gradient)


# dropout


@EVERY_CELL
def test_dropout_takes_place_in_training_alone(cell):
    rates = {"num_layers": 2, "dropout": 0.5, "input_dropout": 0.5, "recurrent_dropout": 0.5}
    layer, plain = make(cell, **rates), make(cell, num_layers=2)
    assert_same(layer(X), plain(X))
    first, second = layer(X, training=True)[0], layer(X, training=True)[0]
    assert np.any(first != second)
    assert_same(layer(X), plain(X))


def test_input_dropout_is_the_same_at_all_steps_of_a_row():
    layer = make("lstm", 40, 6, input_dropout=0.3)
    y, _ = layer(np.ones((50, 4, 40)), training=True)
    dx, _ = layer.backward(np.ones_like(y))
    dropped = dx == 0
    assert_array_equal(dropped, np.repeat(dropped[:, :1], 4, axis=1))
    assert abs(dropped[:, 0].mean() - 0.3) < 0.04
    assert len(np.unique(dropped[:, 0], axis=0)) == 50


@pytest.mark.parametrize("rate", ["dropout", "input_dropout", "recurrent_dropout"])
def test_dropout_keeps_the_mean(rate):
    """Of linear units the mean over many masks is the output without one.

    Not of more steps: a row has one mask for all of them.
    """
    layer = make("rnn", 3, 4, num_layers=2, activation="linear", **{rate: 0.4})
    expected = layer(X[:1, :2])[0][0]
    dropped = layer(np.repeat(X[:1, :2], 10000, axis=0), training=True)[0]
    assert np.max(np.abs(dropped.mean(axis=0) - expected)) < 0.05
    assert dropped.std(axis=0)[1].min() > 0.1


# copies


@EVERY_CELL
def test_pickles_and_copies_are_the_layer_again(cell):
    layer = make(cell, num_layers=2, stateful=True, dropout=0.5, recurrent_dropout=0.5)
    layer(X, training=True)
    layer.backward(0)
    pickled = pickle.loads(pickle.dumps(layer))
    copied = copy.deepcopy(layer)
    expected = layer(X, training=True)  # the kept state, and the next numbers that drop out
    for other in (pickled, copied):
        assert repr(other) == repr(layer)
        assert_same(other(X, training=True), expected)
        other.weights["weight_ih_l0"][:] = 0
        assert layer.weights["weight_ih_l0"].any()


def test_a_pickle_holds_no_scratch_memory():
    layer = make("lstm")
    size = len(pickle.dumps(layer))
    layer(np.zeros((200, 100, 3)), training=True)
    assert len(pickle.dumps(layer)) == size


@pytest.mark.parametrize(
    "layer",
    [
        LSTM(3, 6, 2, bidirectional=True, kernel_constraint=MaxNorm(3.0), n_jobs=-1),
        GRU(1, 2, activation="relu", recurrent_dropout=0.25, return_sequences=False),
        SimpleRNN(1, 2, activity_regularizer="l2", dtype="float64", clip=3.0),
    ],
    ids=repr,
)
def test_a_repr_makes_the_layer_again(layer):
    assert repr(eval(repr(layer))) == repr(layer)


def test_a_repr_is_what_was_asked_for():
    assert repr(LSTM(3, 6)) == "LSTM(3, 6)"
    assert repr(GRU(3, 6, 2, merge_mode="sum")) == "GRU(3, 6, num_layers=2, merge_mode='sum')"


# weights


def test_weights_come_from_the_initializer_of_their_role():
    names = {"kernel": 1.0, "recurrent": 2.0, "bias": 3.0}
    arguments = {f"{role}_initializer": value for role, value in names.items()}
    layer = LSTM(3, 6, proj_size=2, unit_forget_bias=False, **arguments)
    values = {name: set(weight.ravel().tolist()) for name, weight in layer.weights.items()}
    assert values == {
        "weight_ih_l0": {1.0}, "weight_hh_l0": {2.0}, "weight_hr_l0": {2.0}, "bias_l0": {3.0}
    }  # fmt: skip
    asked = []
    LSTM(3, 6, bias=False, kernel_initializer=lambda rng, shape: asked.append(shape) or rng.random(
        shape))  # fmt: skip
    assert asked == [(3, 24)]


def test_the_forget_gate_begins_open():
    bias = LSTM(3, 2, 2, bias_initializer=0.5).weights["bias_l1"]
    assert bias.tolist() == [0.5, 0.5, 1, 1, 0.5, 0.5, 0.5, 0.5]
    assert not GRU(3, 2).weights["bias_ih_l0"].any()


@EVERY_CELL
def test_same_random_state_same_bits(cell):  # t01, t02
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    form = {"num_layers": 2, "dropout": 0.5}
    first, second = make(cell, **form), make(cell, **form)
    other = make(cell, random_state=np.random.default_rng(1), **form)
    assert_same(first(X, training=True), second(X, training=True))
    for name, weight in first.weights.items():
        assert_array_equal(weight, second.weights[name])
    assert np.any(first.weights["weight_hh_l0"] != other.weights["weight_hh_l0"])
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_constraints_hold_after_they_are_called_for():
    layer = LSTM(
        3, 6, 2, proj_size=2, kernel_constraint=MaxNorm(0.1), recurrent_constraint="unit_norm",
        bias_constraint="non_neg"
    )  # fmt: skip
    for weight in layer.weights.values():
        weight -= 0.5
    layer.constrain()
    for name, weight in layer.weights.items():
        if name.startswith("bias"):
            assert np.all(weight >= 0)
            assert np.any(weight > 0)
            continue
        # torch's rows are what leads to one gate of one unit.
        norms = np.linalg.norm(weight, axis=1)
        if name.startswith("weight_ih"):
            norms = norms.max() * 10
        assert norms == pytest.approx(1, rel=1e-5), name


# arrays, threads


@EVERY_CELL
def test_arguments_may_lie_anyhow_and_are_left_alone(cell):  # p04, p05
    layer = make(cell, num_layers=2)
    state = [np.ones((2, 5, 6)) for _ in range(2 if cell == "lstm" else 1)]
    lengths = np.array([8, 3, 1, 8, 2])
    y, final = layer(X, state, lengths=lengths, training=True)
    dx, _ = layer.backward(y, final)
    compiled = [len(kernel.signatures) for kernel in KERNELS]
    wide = np.zeros((5, 16, 6))
    wide[:, ::2, ::2] = X
    for x in (np.asfortranarray(X), X[::-1].copy()[::-1], X.astype(">f8"), wide[:, ::2, ::2]):
        arrays = [x, *state, lengths, y]
        before = [array.copy() for array in arrays]
        for array in arrays:
            array.flags.writeable = False
        assert_same(layer(x, state, lengths=lengths, training=True), (y, final))
        assert_array_equal(layer.backward(y, final)[0], dx)
        for array, kept in zip(arrays, before, strict=True):
            assert_array_equal(array, kept)
    assert [len(kernel.signatures) for kernel in KERNELS] == compiled


@BOTH_DTYPES
@EVERY_CELL
def test_bits_do_not_depend_on_the_number_of_threads(cell, dtype, monkeypatch):  # t03
    monkeypatch.setattr("lstm_numba.nn.recurrent.HAND_OFF", 0)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "8")
    x = np.random.default_rng(0).normal(size=(150, 6, 3))
    lengths = np.random.default_rng(1).integers(1, 7, 150)
    results = []
    for n_jobs in (None, 1, 2, 3):
        layer = make(cell, num_layers=2, bidirectional=True, dtype=dtype, n_jobs=n_jobs)
        y, state = layer(x, lengths=lengths, training=True)
        dx, dstart = layer.backward(y, state)
        results.append([y, state.h, dx, dstart.h, *layer.grads.values()])
    for others in results[1:]:
        for array, other in zip(results[0], others, strict=True):
            assert_array_equal(other, array)


# numbers


def test_data_is_cast_once_to_the_dtype_of_the_layer():  # x04
    layer = make("lstm", dtype="float32")
    y, state = layer(X)
    assert y.dtype == state.h.dtype == state.c.dtype == "float32"
    assert_same(layer(X.astype("float32")), (y, state))
    dx, dstate = layer.backward(np.ones(y.shape, "float64"))
    assert dx.dtype == dstate.h.dtype == "float32"
    ones = np.ones((5, 8, 3))
    for x in (ones.astype(int), ones.astype(bool), ones.tolist(), ones.astype(object), ones > 0):
        assert_same(layer(x), layer(ones))


def test_the_smallest_problem_is_exact():  # v20
    layer = make("lstm", 1, 1)
    x, h0, c0 = 0.7, -0.3, 0.4
    w_ih, w_hh, b = (layer.weights[f"{name}_l0"].ravel() for name in
                     ("weight_ih", "weight_hh", "bias"))  # fmt: skip
    b[:] = 0.1, 0.2, 0.3, 0.4
    z = w_ih * x + w_hh * h0 + b
    i, f, o = 1 / (1 + np.exp(-z[[0, 1, 3]]))
    c = f * c0 + i * np.tanh(z[2])
    y, state = layer([[[x]]], ([[[h0]]], [[[c0]]]))
    assert y.item() == state.h.item() == pytest.approx(o * np.tanh(c), rel=1e-14)
    assert state.c.item() == pytest.approx(c, rel=1e-14)


@BOTH_DTYPES
@EVERY_CELL
def test_subnormal_numbers_stay_outside(cell, dtype):  # v21
    layer = make(cell, dtype=dtype)
    y, _ = layer(X * 1e-200, training=True)
    layer.backward(y * 0 + 1e-30)
    assert np.float64(1e-310) * 0.5 != 0
    assert np.float32(1e-40) * np.float32(0.5) != 0


@pytest.mark.parametrize(
    ("dtype", "far"),
    [("float32", 1e4), ("float32", 1e30), ("float64", 1e4), ("float64", 1e300)],
)
@EVERY_CELL
def test_far_numbers_saturate(cell, dtype, far):  # v22
    layer = make(cell, num_layers=2, dtype=dtype)
    y, final = layer(np.sign(X) * far, training=True)
    dx, dstart = layer.backward(np.ones_like(y))
    for array in (y, *parts(final), dx, *parts(dstart), *layer.grads.values()):
        assert np.all(np.isfinite(array))
    assert np.max(np.abs(y)) <= 1
    layer, ends = make("rnn", 1, 1, dtype=dtype, kernel_initializer=1.0), [[[far]], [[-far]]]
    assert layer(ends)[0].ravel().tolist() == [1, -1]
