"""The layers against those of Keras with the same weights: outputs and states."""

import os

import numpy as np
import pytest

from lstm_numba import GRU, LSTM, SimpleRNN, padding_mask

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")

# Whatever its layers are told, Keras takes most of its products in float32.
TOLERANCE = 1e-6
KINDS = {
    "lstm": (LSTM, keras.layers.LSTM),
    "gru": (GRU, keras.layers.GRU),
    "rnn": (SimpleRNN, keras.layers.SimpleRNN),
}
GATED = ["lstm", "gru"]

# Ours are named as Keras's; of Keras 2 there is the formula.
ACTIVATIONS = {
    name: name
    for name in (
        "tanh", "sigmoid", "hard_sigmoid", "relu", "elu", "selu", "softplus", "softsign", "silu",
        "gelu", "exponential", "linear",
    )
} | {"hard_sigmoid_keras2": lambda z: keras.ops.clip(0.2 * z + 0.5, 0, 1)}  # fmt: skip

FEATURES, HIDDEN = 3, 5

# Full rows, padding on either side, holes, and a row of which nothing is left.
MASK = np.array(
    [
        [1, 1, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 0, 0, 0],
        [0, 0, 1, 1, 1, 1, 1],
        [0, 1, 0, 0, 1, 1, 0],
        [1, 0, 1, 0, 1, 0, 1],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 1],
    ],
    bool,
)


def as_array(tensor):
    return np.asarray(tensor.detach().cpu())


def draw(shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(dtype)


def with_weights(layer):
    """Fill a layer with weights, biases included."""
    rng = np.random.default_rng(7)
    for weight in layer.weights.values():
        weight[...] = rng.normal(0, 0.4, weight.shape)
    return layer


def keras_weights(layer, suffix):
    """Return the weights as Keras stores them; its GRU has the gates z, r, h, ours r, z, n."""
    weights = [w.T for name, w in layer.weights.items() if name.endswith(suffix)]
    if not isinstance(layer, GRU):
        kernel, bias, recurrent = weights
        return [kernel, recurrent, bias]
    turned = []
    for weight in weights:
        r, z, n = np.split(weight, 3, axis=-1)
        turned.append(np.concatenate([z, r, n], axis=-1))
    kernel, bias, recurrent_bias, recurrent = turned
    return [kernel, recurrent, np.stack([bias, recurrent_bias])]


def pair(kind, dtype="float64", batch=None, bidirectional=None, theirs_too=None, **shared):
    """Return one of our layers and Keras's; ``theirs_too`` are arguments of another value there."""
    ours, theirs = KINDS[kind]
    merge = {} if bidirectional is None else {"bidirectional": True, "merge_mode": bidirectional}
    ours = with_weights(ours(FEATURES, HIDDEN, dtype=dtype, **merge, **shared))
    arguments = {"return_sequences": True} | shared | (theirs_too or {})
    theirs = theirs(HIDDEN, return_state=True, dtype=dtype, **arguments)
    if bidirectional is not None:
        theirs = keras.layers.Bidirectional(theirs, merge_mode=bidirectional, dtype=dtype)
    theirs.build((batch, None, FEATURES))
    suffixes = ["_l0"] if bidirectional is None else ["_l0", "_l0_reverse"]
    theirs.set_weights([w for suffix in suffixes for w in keras_weights(ours, suffix)])
    return ours, theirs


def by_keras(theirs, x, state=None, mask=None):
    """Return y, and the final h and perhaps c of each direction."""
    x, *state = map(torch.tensor, [x, *(state or ())])  # of arrays Keras takes the float32
    y, *final = theirs(x, initial_state=state or None, mask=mask)
    return as_array(y), [as_array(part) for part in final]


def assert_close(actual, expected):
    """Compare relative to the largest magnitude of the array."""
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    assert np.all(np.isfinite(expected))
    error = np.max(np.abs(actual - expected))
    assert error <= TOLERANCE * max(1, np.max(np.abs(expected))), error


def assert_equal(ours, theirs, x, state=None, mask=None):
    """Compare y and the final states; ``state`` is (h, c) or (h,), as ours takes it."""
    expected, expected_final = by_keras(theirs, x, state and each_direction(state), mask)
    y, final = ours(x, state, mask=mask)
    assert_close(y, expected)
    for actual, expected in zip(each_direction(final), expected_final, strict=True):
        assert_close(actual, expected)


def each_direction(state):
    """Return h and perhaps c of the first direction, then of the second."""
    parts = [part for part in state if part is not None]
    return [part[d] for d in range(len(parts[0])) for part in parts]


def far(name):
    """Return a few steps that reach beyond an activation's bends, but not to infinity."""
    return draw((7, 3, FEATURES)) * (1 if name == "exponential" else 4)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_activations_equal_keras(kind, name):
    ours, theirs = pair(kind, activation=name, theirs_too={"activation": ACTIVATIONS[name]})
    assert_equal(ours, theirs, far(name))


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("kind", GATED)
def test_recurrent_activations_equal_keras(kind, name):
    theirs_too = {"recurrent_activation": ACTIVATIONS[name]}
    ours, theirs = pair(kind, recurrent_activation=name, theirs_too=theirs_too)
    assert_equal(ours, theirs, far(name))


@pytest.mark.parametrize(
    ("kind", "shared"),
    [("lstm", {}), ("lstm", {"recurrent_activation": "hard_sigmoid"}), ("gru", {}), ("rnn", {})],
)
def test_float32_equals_keras(kind, shared):
    ours, theirs = pair(kind, "float32", **shared)
    assert_equal(ours, theirs, draw((7, 6, FEATURES), "float32"))


@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("go_backwards", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_masks_and_directions_of_time_equal_keras(kind, go_backwards, return_sequences):
    shared = {"go_backwards": go_backwards, "return_sequences": return_sequences}
    ours, theirs = pair(kind, **shared)
    x = draw((*MASK.shape, FEATURES))
    state = [draw((1, len(MASK), HIDDEN), seed=k) for k in range(2 if kind == "lstm" else 1)]
    for given in (None, state):
        assert_equal(ours, theirs, x, given)
        assert_equal(ours, theirs, x, given, MASK)


@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave"])
@pytest.mark.parametrize("kind", KINDS)
def test_merge_modes_equal_keras(kind, merge_mode, return_sequences):
    ours, theirs = pair(kind, bidirectional=merge_mode, return_sequences=return_sequences)
    x = draw((*MASK.shape, FEATURES))
    state = [draw((2, len(MASK), HIDDEN), seed=k) for k in range(2 if kind == "lstm" else 1)]
    assert_equal(ours, theirs, x)
    assert_equal(ours, theirs, x, state, MASK)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_state_from_batch_to_batch_equals_keras(kind, masked):
    ours, theirs = pair(kind, stateful=True, batch=len(MASK))
    mask = MASK if masked else None
    for seed in range(3):
        assert_equal(ours, theirs, draw((*MASK.shape, FEATURES), seed=seed), mask=mask)
    ours.reset_state()
    theirs.reset_state()
    assert_equal(ours, theirs, draw((*MASK.shape, FEATURES), seed=3), mask=mask)


@pytest.mark.parametrize("merge_mode", ["concat", "sum"])
def test_a_masked_stack_equals_keras(merge_mode):
    stack = with_weights(
        LSTM(FEATURES, HIDDEN, 2, bidirectional=True, merge_mode=merge_mode, dtype="float64")
    )
    layers = [
        keras.layers.Bidirectional(
            keras.layers.LSTM(HIDDEN, return_sequences=True, dtype="float64"),
            merge_mode=merge_mode,
            dtype="float64",
        )
        for _ in range(2)
    ]
    x = draw((*MASK.shape, FEATURES))
    x[~MASK] = -1
    theirs = keras.Sequential([keras.layers.Masking(-1, dtype="float64"), *layers])
    theirs.build((None, None, FEATURES))
    theirs.set_weights(
        [
            weight
            for suffix in ("_l0", "_l0_reverse", "_l1", "_l1_reverse")
            for weight in keras_weights(stack, suffix)
        ]
    )
    y, _ = stack(x, mask=padding_mask(x, -1))
    assert_close(y, as_array(theirs(torch.tensor(x))))
