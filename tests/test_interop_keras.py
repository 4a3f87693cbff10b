"""Layers from and to Keras: equal weights, equal outputs, and what is refused."""

import os
import sys
import types

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lstm_numba import GRU, LSTM, SimpleRNN, interop
from lstm_numba.kernels.activations import ACTIVATIONS
from lstm_numba.nn import constraints, regularizers

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("torch")
keras = pytest.importorskip("keras")

# Keras itself reads its weights in a way that NumPy deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CELLS = {"LSTM": LSTM, "GRU": GRU, "SimpleRNN": SimpleRNN}
EITHER_CELL = pytest.mark.parametrize("kind", CELLS)
FORMS = {
    "last": {},
    "all": {"return_sequences": True, "go_backwards": True, "use_bias": False},
    "dressed": {
        "return_sequences": True,
        "activation": "softsign",
        "dropout": 0.25,
        "recurrent_dropout": 0.125,
        "kernel_regularizer": keras.regularizers.L1L2(0.5, 0.25),
        "activity_regularizer": keras.regularizers.L2(0.25),
        "recurrent_constraint": keras.constraints.MaxNorm(3, axis=1),
        "bias_constraint": keras.constraints.NonNeg(),
    },
}


def built(layer, batch_size=None, features=3):
    """Build a layer of Keras and give it random weights, biases too."""
    layer.build((batch_size, None, features))
    rng = np.random.default_rng(1)
    layer.set_weights([0.5 * rng.standard_normal(w.shape) for w in layer.get_weights()])
    return layer


def steps(seed=0, dtype="float32"):
    return np.random.default_rng(seed).standard_normal((2, 7, 3)).astype(dtype)


def assert_equal_outputs(layer, theirs, tolerance=1e-5):
    x = steps(dtype=layer.dtype)
    expected = keras.ops.convert_to_numpy(theirs(x))
    assert_allclose(layer(x)[0], expected, rtol=0, atol=tolerance)


def assert_equal_weights(one, other):
    for own, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
        assert_array_equal(own, theirs)


def config(layer):
    """A config without names and initializers, which are not carried over."""
    found = {}
    for name, value in layer.get_config().items():
        if name in ("layer", "backward_layer"):
            value = config(keras.layers.deserialize(value))
        if name != "name" and not name.endswith("_initializer"):
            found[name] = value
    return found


@EITHER_CELL
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_keras_to_ours_to_keras(kind, form):
    theirs = built(getattr(keras.layers, kind)(5, **form))
    layer = interop.from_keras(theirs)
    assert type(layer) is CELLS[kind]
    assert_equal_outputs(layer, theirs)

    back = interop.to_keras(layer)
    assert_equal_weights(back, theirs)
    assert_equal_outputs(layer, back)
    assert config(back) == config(theirs)


def test_penalties_and_constraints_are_ours():
    layer = interop.from_keras(built(keras.layers.GRU(5, **FORMS["dressed"])))
    assert layer.kernel_regularizer == regularizers.L1L2(0.5, 0.25)
    assert layer.recurrent_constraint == constraints.MaxNorm(3, axis=1)
    assert (layer.input_dropout, layer.recurrent_dropout) == (0.25, 0.125)


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave"])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_bidirectional(merge_mode, return_sequences):
    inner = keras.layers.GRU(5, return_sequences=return_sequences)
    theirs = built(keras.layers.Bidirectional(inner, merge_mode=merge_mode))
    layer = interop.from_keras(theirs)
    assert_equal_outputs(layer, theirs)
    back = interop.to_keras(layer)
    assert_equal_weights(back, theirs)
    assert config(back) == config(theirs)


@pytest.mark.parametrize("use_bias", [True, False])
def test_gru_with_the_reset_gate_before_the_product(use_bias):
    theirs = built(keras.layers.GRU(5, reset_after=False, use_bias=use_bias))
    layer = interop.from_keras(theirs)
    assert not layer.reset_after
    assert_equal_outputs(layer, theirs)
    assert_equal_weights(interop.to_keras(layer), theirs)


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_stack(go_backwards, return_sequences):
    stack = [
        keras.layers.LSTM(5, return_sequences=True, go_backwards=go_backwards),
        keras.layers.Dropout(0.25),
        keras.layers.LSTM(5, return_sequences=return_sequences),
    ]
    theirs = built(keras.Sequential(stack))
    layer = interop.from_keras(theirs)
    assert (layer.num_layers, layer.dropout) == (2, 0.25)
    assert_equal_outputs(layer, theirs)
    back = interop.to_keras(layer)
    assert_equal_weights(back, theirs)
    assert [config(one) for one in back.layers] == [config(one) for one in theirs.layers]
    assert_equal_outputs(interop.from_keras(theirs.layers), theirs)


def test_float64():
    theirs = built(keras.layers.LSTM(5, dtype="float64"))
    layer = interop.from_keras(theirs)
    assert layer.dtype == "float64"
    # Keras computes parts of it in float32.
    assert_equal_outputs(layer, theirs, 1e-6)
    assert interop.to_keras(layer).dtype == "float64"


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "hard_sigmoid_keras2"])
def test_activations_mean_the_same(name):
    # Small weights: a state that is the exponential of the one before soon grows beyond measure.
    small = {"kernel_initializer": "random_uniform", "recurrent_initializer": "random_uniform"}
    small |= {"activation": name, "random_state": 0}
    layer = LSTM(3, 5, recurrent_activation="hard_sigmoid", unit_forget_bias=False, **small)
    assert_equal_outputs(layer, interop.to_keras(layer))
    layer = SimpleRNN(3, 5, **small)
    assert_equal_outputs(interop.from_keras(interop.to_keras(layer)), interop.to_keras(layer))


def test_hard_sigmoid_of_keras_2(monkeypatch):
    # Keras 2 cannot be installed beside Keras 3; what is read of a layer can be stood in for.
    weights = [np.ones(shape, "float32") for shape in [(3, 4), (1, 4), (4,)]]
    settings = {"recurrent_activation": "hard_sigmoid", "activation": "swish", "units": 1}
    settings |= {"use_bias": True, "implementation": 1, "unroll": False, "time_major": True}
    members = {"get_config": lambda self: settings, "get_weights": lambda self: weights}
    module = types.ModuleType("tf_keras")
    module.__version__ = "2.17.0"
    monkeypatch.setitem(sys.modules, "tf_keras", module)
    layer = interop.from_keras(type("LSTM", (), members | {"__module__": "tf_keras.src"})())
    assert layer.recurrent_activation == "hard_sigmoid_keras2"
    assert layer.activation == "silu"
    assert not layer.batch_first


def test_stateful_layers_go_on_alike():
    theirs = built(keras.layers.LSTM(5, return_sequences=True, stateful=True), batch_size=2)
    layer = interop.from_keras(theirs)
    assert layer.stateful
    for batch in (steps(1), steps(2)):
        assert_allclose(layer(batch)[0], keras.ops.convert_to_numpy(theirs(batch)), atol=1e-5)
    assert interop.to_keras(layer, batch_size=2).stateful
    with pytest.raises(ValueError, match="batch_size"):
        interop.to_keras(layer)


def test_masks_mean_the_same():
    mask = np.array([[1, 1, 0, 1, 0, 1, 1], [0, 1, 1, 1, 1, 0, 0]], bool)
    theirs = built(keras.layers.GRU(5, return_sequences=True))
    expected = keras.ops.convert_to_numpy(theirs(steps(), mask=keras.ops.convert_to_tensor(mask)))
    assert_allclose(interop.from_keras(theirs)(steps(), mask=mask)[0], expected, atol=1e-5)


@EITHER_CELL
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_weights_alone(kind, use_bias, bidirectional):
    theirs = getattr(keras.layers, kind)(5, use_bias=use_bias, return_sequences=True)
    theirs = built(keras.layers.Bidirectional(theirs) if bidirectional else theirs)
    weights = theirs.get_weights()
    layer = interop.from_keras(weights)
    assert (type(layer), layer.bias) == (CELLS[kind], use_bias)
    assert_equal_outputs(layer, theirs)
    for own, other in zip(interop.to_keras_weights(layer), weights, strict=True):
        assert_array_equal(own, other)


def test_weights_of_two_layers_or_two_directions():
    layer = LSTM(5, 5, num_layers=2, random_state=0)
    weights = interop.to_keras_weights(layer)
    with pytest.raises(ValueError, match="two directions or of two layers"):
        interop.from_keras(weights)
    again = interop.from_keras(weights, bidirectional=False)
    assert again.num_layers == 2
    assert_array_equal(again.weights["weight_ih_l1"], layer.weights["weight_ih_l1"])
    assert interop.from_keras(weights, bidirectional=True).num_layers == 1


BAD_WEIGHTS = {
    "none": ([], "Got an empty list"),
    "one": ([(3, 20)], "two arrays for each layer"),
    "not matrices": ([(20,), (20,)], "The weights of a layer of Keras are"),
    "no cell": ([(3, 10), (5, 10)], r"Got \(3, 10\), \(5, 10\)"),
    "bias": ([(3, 20), (5, 20), (19,)], "two arrays for each layer"),
    "lstm with two biases": ([(3, 20), (5, 20), (2, 20)], "LSTM has 4 gates"),
    "three directions": ([(3, 20), (5, 20)] * 3, "even number of directions"),
    "second layer": ([(3, 20), (5, 20), (4, 20), (5, 20)], r"weight_ih_l1.*\(20, 5\).*\(20, 4\)"),
}


@pytest.mark.parametrize(("shapes", "message"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_weights_that_do_not_fit(shapes, message):
    with pytest.raises(ValueError, match=message):
        interop.from_keras([np.ones(shape) for shape in shapes])


def test_another_cell_than_asked_for():
    with pytest.raises(ValueError, match=r"cell='gru'.*cell='lstm'"):
        interop.from_keras(built(keras.layers.GRU(5)), cell="lstm")
    with pytest.raises(ValueError, match=r"cell='rnn'.*cell='lstm'"):
        interop.from_keras([np.ones((3, 5)), np.ones((5, 5))], cell="lstm")


def own_activation(x):
    return x


REFUSED = {
    "activation": (keras.layers.LSTM, {"activation": "mish"}, "activation='mish'"),
    "function": (keras.layers.GRU, {"activation": own_activation}, "^activation="),
    "zero_output_for_mask": (keras.layers.LSTM, {"zero_output_for_mask": True}, "zero_output_for"),
    "regularizer": (
        keras.layers.LSTM,
        {"kernel_regularizer": keras.regularizers.OrthogonalRegularizer()},
        "kernel_regularizer=.*L1, L2, L1L2",
    ),
    "bias of a GRU": (keras.layers.GRU, {"bias_constraint": "max_norm"}, "bias_constraint.*share"),
}


@pytest.mark.parametrize(("kind", "argument", "message"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_equivalent_here_is_named(kind, argument, message):
    with pytest.raises(ValueError, match=message):
        interop.from_keras(built(kind(5, **argument)))


def test_layers_that_are_no_stack():
    def stack(*layers):
        return built(keras.Sequential(layers))

    def inner():
        return lstm(5, return_sequences=True)

    lstm = keras.layers.LSTM
    with pytest.raises(ValueError, match="hidden_size of layer 1 is 4"):
        interop.from_keras(stack(inner(), lstm(4)))
    with pytest.raises(ValueError, match="go_backwards of layer 1 is True"):
        interop.from_keras(stack(inner(), lstm(5, go_backwards=True)))
    with pytest.raises(ValueError, match=r"follows layers \[0\] of 3 with the rates \[0\.5\]"):
        interop.from_keras(stack(inner(), keras.layers.Dropout(0.5), inner(), lstm(5)))
    with pytest.raises(ValueError, match=r"follows layers \[0\] of 1"):
        interop.from_keras(stack(lstm(5), keras.layers.Dropout(0.5)))
    with pytest.raises(TypeError, match="Got Dropout"):
        interop.from_keras(stack(keras.layers.Dropout(0.5), lstm(5)))
    with pytest.raises(TypeError, match="Got int"):
        interop.from_keras(5)
    with pytest.raises(TypeError, match="Got str"):
        interop.from_keras("model.keras")
    with pytest.raises(TypeError, match="Got Dense"):
        interop.from_keras(stack(lstm(5), keras.layers.Dense(1)))
    with pytest.raises(ValueError, match="has no weights yet"):
        interop.from_keras(lstm(5))


def test_directions_that_do_not_match():
    pair = keras.layers.Bidirectional(
        keras.layers.LSTM(5), backward_layer=keras.layers.LSTM(5, "relu", go_backwards=True)
    )
    with pytest.raises(ValueError, match="activation must be the same in both directions"):
        interop.from_keras(built(pair))
    apart = keras.layers.Bidirectional(keras.layers.LSTM(5), merge_mode=None)
    with pytest.raises(ValueError, match="merge_mode=None"):
        interop.from_keras(built(apart))


@pytest.mark.parametrize(
    "argument",
    [
        {"proj_size": 2},
        {"clip": 1.0},
        {"peephole": True},
        {"input_forget": True},
        {"batch_first": False},
        {"recurrent_activation": "hard_sigmoid_keras2"},
    ],
    ids=str,
)
def test_what_keras_lacks_is_named(argument):
    (name,) = argument
    with pytest.raises(ValueError, match=f"Keras has nothing for {name}="):
        interop.to_keras(LSTM(3, 5, **argument))


def test_penalties_of_ones_own_are_named():
    class Own(regularizers.L2):
        pass

    class Other:
        def apply(self, w):
            return w

    interop.to_keras(LSTM(3, 5, kernel_regularizer=regularizers.L2(0.5)))
    with pytest.raises(ValueError, match="kernel_regularizer="):
        interop.to_keras(LSTM(3, 5, kernel_regularizer=Own()))
    with pytest.raises(ValueError, match="recurrent_constraint="):
        interop.to_keras(LSTM(3, 5, recurrent_constraint=Other()))
    with pytest.raises(ValueError, match="bias_constraint="):
        interop.to_keras(GRU(3, 5, bias_constraint="unit_norm"))


def test_a_missing_keras_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ImportError, match="pip install keras"):
        interop.to_keras(LSTM(3, 5))
