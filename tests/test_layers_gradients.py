"""The gradients of the layers against finite differences, for what torch has not."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lstm_numba import GRU, LSTM, SimpleRNN
from lstm_numba.kernels.activations import ACTIVATIONS
from lstm_numba.nn.regularizers import L1, L1L2, L2

CELLS = {"lstm": LSTM, "gru": GRU, "rnn": SimpleRNN}

BATCH, SEQ_LEN, FEATURES, HIDDEN = 4, 5, 2, 3

# Holes, padding on either side, a full row, and one of which nothing is left.
MASK = np.array([[1, 0, 1, 1, 0], [0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool)
ROWS = {"full": {}, "lengths": {"lengths": [3, 5, 1, 4]}, "holes": {"mask": MASK}}

REGULARIZERS = {
    "kernel_regularizer": L2(0.3),
    "recurrent_regularizer": L1L2(0.1, 0.2),
    "bias_regularizer": L1(0.4),
    "activity_regularizer": L2(0.05),
}

FORMS = {
    "dropout": {"num_layers": 3, "dropout": 0.4},
    "input_dropout": {"num_layers": 2, "input_dropout": 0.4},
    "recurrent_dropout": {"num_layers": 2, "recurrent_dropout": 0.4},
    "every dropout": {
        "num_layers": 2, "bidirectional": True, "dropout": 0.3, "input_dropout": 0.3,
        "recurrent_dropout": 0.3,
    },
    "sum": {"num_layers": 2, "bidirectional": True, "merge_mode": "sum"},
    "mul": {"num_layers": 2, "bidirectional": True, "merge_mode": "mul"},
    "ave": {"num_layers": 2, "bidirectional": True, "merge_mode": "ave"},
    "last": {"num_layers": 2, "return_sequences": False},
    "last of two": {"bidirectional": True, "return_sequences": False},
    "last of two, mul": {"bidirectional": True, "merge_mode": "mul", "return_sequences": False},
    "backwards": {"num_layers": 2, "go_backwards": True},
    "last, backwards": {"go_backwards": True, "return_sequences": False},
    "clip": {"num_layers": 2, "clip": 0.5},
    "regularizers": {"num_layers": 2, "bidirectional": True} | REGULARIZERS,
    "regularizers, last": {"return_sequences": False} | REGULARIZERS,
    "time first": {"batch_first": False, "bidirectional": True, "activity_regularizer": "l2"},
}  # fmt: skip

PROJECTED = {
    "projected": {"proj_size": 2, "num_layers": 2, "bidirectional": True},
    "projected, dropout": {"proj_size": 2, "recurrent_dropout": 0.4},
    "projected, mul": {"proj_size": 1, "bidirectional": True, "merge_mode": "mul"},
    "projected, last": {"proj_size": 2, "return_sequences": False, "activation": "softsign"},
}


def make(cell, **arguments):
    """Return a layer with weights that are not small, biases included."""
    layer = CELLS[cell](FEATURES, HIDDEN, dtype="float64", random_state=0, **arguments)
    rng = np.random.default_rng(1)
    for weight in layer.weights.values():
        weight[...] = rng.normal(0, 0.7, weight.shape)
    return layer


class Problem:
    """A layer, what goes in, and a loss: a weighted sum of y and the final state, and the penalty.

    Every evaluation is that of a copy of the layer as it was made: the same numbers drop out.
    """

    def __init__(self, layer, rows, scale=1.0):
        rng = np.random.default_rng(2)
        shape = BATCH, SEQ_LEN, FEATURES
        if not layer.batch_first:
            shape = SEQ_LEN, BATCH, FEATURES
        self.layer, self.rows = layer, rows
        self.x = scale * rng.normal(size=shape)
        _, state = copy.deepcopy(layer)(self.x, **rows)
        self.state = [rng.normal(size=part.shape) for part in state if part is not None]
        y, _ = self.run()[1:]
        self.dy = rng.normal(size=y.shape)
        self.dstate = [rng.normal(size=part.shape) for part in self.state]

    def run(self):
        """Return the copy that ran, and what it returned."""
        layer = copy.deepcopy(self.layer)
        return layer, *layer(self.x, self.state, training=True, **self.rows)

    def loss(self):
        layer, y, final = self.run()
        final = [part for part in final if part is not None]
        of_state = sum(np.sum(d * part) for d, part in zip(self.dstate, final, strict=True))
        return np.sum(self.dy * y) + of_state + layer.penalty

    def slope(self, array, direction):
        """Return the derivative of the loss along a direction of an array; it is left as it was."""
        kept, losses = array.copy(), []
        for step in (1e-6, -1e-6):
            array[...] = kept + step * direction
            losses.append(self.loss())
        array[...] = kept
        return (losses[0] - losses[1]) / 2e-6


def assert_gradients(layer, rows, scale=1.0):
    """Compare the gradient of all that goes in with differences, along random directions."""
    problem = Problem(layer, rows, scale)
    ran, _, _ = problem.run()
    dx, dstart = ran.backward(problem.dy, problem.dstate)
    pairs = {"x": (problem.x, dx)}
    pairs |= {f"{name}0": pair for name, *pair in zip("hc", problem.state, dstart, strict=False)}
    pairs |= {name: (weight, ran.grads[name]) for name, weight in layer.weights.items()}
    rng = np.random.default_rng(3)
    for name, (array, gradient) in pairs.items():
        for _ in range(3):
            direction = rng.normal(size=array.shape)
            error = abs(np.sum(gradient * direction) - problem.slope(array, direction))
            assert error <= 1e-7 * max(1, np.linalg.norm(gradient)), (name, error)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(
    ("cell", "argument"),
    [
        ("lstm", "activation"),
        ("lstm", "recurrent_activation"),
        ("gru", "activation"),
        ("gru", "recurrent_activation"),
        ("rnn", "activation"),
    ],
)
def test_activations(cell, argument, name):
    layer = make(cell, **{argument: name})
    if name == "exponential":
        for weight in layer.weights.values():
            weight *= 0.3  # e to the power of e to the power of ... grows fast
    assert_gradients(layer, ROWS["lengths"])


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cell", CELLS)
def test_forms(cell, form, rows):
    assert_gradients(make(cell, **FORMS[form]), ROWS[rows])


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("form", PROJECTED)
def test_projections(form, rows):
    assert_gradients(make("lstm", **PROJECTED[form]), ROWS[rows])


@pytest.mark.parametrize("cell", CELLS)
def test_a_bound_of_what_gates_are_given_cuts_gradients(cell):
    layer = make(cell, clip=0.5)
    assert_gradients(layer, {}, scale=5.0)
    x = np.full((1, 1, FEATURES), 1e3)
    layer(x, training=True)
    dx, _ = layer.backward(np.ones((1, 1, HIDDEN)))
    assert_array_equal(dx, 0)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("form", [form for form in FORMS if "dropout" not in form])
@pytest.mark.parametrize("cell", CELLS)
def test_a_call_without_training_can_be_pulled_back_too(cell, form, rows):
    layer = make(cell, **FORMS[form])
    problem = Problem(layer, ROWS[rows])
    trained, y, _ = problem.run()
    expected, expected_start = trained.backward(problem.dy, problem.dstate)
    y_again, _ = layer(problem.x, problem.state, **ROWS[rows])
    problem.x[...] = np.nan  # what was given is not read again
    for part in problem.state:
        part[...] = np.nan
    dx, start = layer.backward(problem.dy, problem.dstate)
    assert_array_equal(y_again, y)
    assert_array_equal(dx, expected)
    assert_array_equal(start.h, expected_start.h)
    for name, gradient in trained.grads.items():
        assert_array_equal(layer.grads[name], gradient)


@pytest.mark.parametrize("cell", CELLS)
def test_a_second_backward_pass_adds_the_same(cell):
    layer = make(cell, num_layers=2, dropout=0.5, recurrent_dropout=0.5)
    y, _ = layer(np.ones((BATCH, SEQ_LEN, FEATURES)), training=True)
    dx, _ = layer.backward(y)
    once = {name: gradient.copy() for name, gradient in layer.grads.items()}
    again, _ = layer.backward(y)
    assert_array_equal(again, dx)
    for name, gradient in layer.grads.items():
        assert_array_equal(gradient, 2 * once[name])


@pytest.mark.parametrize("cell", CELLS)
def test_the_gradient_of_x_may_be_left_out(cell):
    layer = make(cell, num_layers=2, bidirectional=True)
    y, _ = layer(np.ones((BATCH, SEQ_LEN, FEATURES)), training=True)
    other = copy.deepcopy(layer)
    other(np.ones((BATCH, SEQ_LEN, FEATURES)), training=True)
    layer.backward(y)
    dx, _ = other.backward(y, input_gradient=False)
    assert dx is None
    for name, gradient in layer.grads.items():
        assert_array_equal(other.grads[name], gradient)


@pytest.mark.parametrize("form", ["regularizers", "last of two, mul"])
def test_results_are_the_callers_to_change(form):
    layer = make("lstm", **FORMS[form])
    problem = Problem(layer, {})
    changed, y, final = problem.run()
    untouched, _, _ = problem.run()
    penalty = changed.penalty
    for array in (y, *final):
        array[...] = 7
    assert changed.penalty == penalty
    expected, _ = untouched.backward(problem.dy, problem.dstate)
    assert_array_equal(changed.backward(problem.dy, problem.dstate)[0], expected)


@pytest.mark.parametrize("which", ["lengths", "mask"])
@pytest.mark.parametrize("proj_size", [0, 1])
def test_a_row_that_has_ended_cannot_overflow(proj_size, which):  # v03b
    """Of its steps nothing is left, though its state would have grown beyond all numbers."""
    layer = LSTM(1, 2, activation="relu", recurrent_activation="linear", proj_size=proj_size)
    for name, weight in layer.weights.items():
        weight[...] = not name.startswith("bias")
    counts = np.array([1, 300, 2])
    rows = {"lengths": counts, "mask": np.arange(300) < counts[:, None]}
    x = np.zeros((3, 300, 1), "float32")
    x[[0, 2], 0] = 1
    y, state = layer(x, training=True, **{which: rows[which]})
    dx, dstart = layer.backward(np.ones_like(y), state)
    for array in (y, dx, *state, *dstart, *layer.grads.values()):
        assert np.all(np.isfinite(array))
