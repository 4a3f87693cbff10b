"""What can be changed of a layer after it was made, and who may call it when."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lstm_numba import GRU, LSTM
from lstm_numba.nn import layer_engine

X = np.random.default_rng(0).normal(size=(2, 5, 3))


@pytest.fixture
def layer():
    return LSTM(3, 4, dtype="float64", random_state=0)


@pytest.mark.parametrize(
    ("name", "value"), [("hidden_size", 400), ("activation", "relu"), ("return_sequences", False)]
)
def test_what_shapes_the_weights_stays(layer, name, value):
    with pytest.raises(AttributeError, match=rf"{name} of LSTM cannot be changed.*dropout, "):
        setattr(layer, name, value)
    assert_array_equal(copy.deepcopy(layer)(X)[0], layer(X)[0])


def test_rates_and_layout_can_be_set(layer):
    layer.input_dropout = 0.5
    assert not np.array_equal(layer(X, training=True)[0], layer(X)[0])
    layer.batch_first = False
    assert layer(X)[1].h.shape == (1, 5, 4)


def test_what_is_set_is_checked(layer):
    with pytest.raises(ValueError, match=r"'dropout' .*Got 2"):
        layer.dropout = 2
    assert layer.dropout == 0


def test_weights_that_are_assigned_are_copied_in(layer):
    other = LSTM(3, 4, dtype="float64", random_state=1)
    layer.weights.update(other.weights)
    layer.weights["bias_l0"] = bias = np.arange(16.0)
    other.weights["bias_l0"][:] = bias
    assert_array_equal(layer(X)[0], other(X)[0])
    bias[:] = 0
    assert_array_equal(layer(X)[0], other(X)[0])


def test_weights_that_do_not_fit_are_refused(layer):
    before = copy.deepcopy(layer.weights)
    with pytest.raises(ValueError, match=r"bias_l0 must have the shape \(16,\), but has \(4,\)"):
        layer.weights["bias_l0"] = np.zeros(4)
    with pytest.raises(KeyError, match=r"no weight 'bias'\. The weights are weight_ih_l0, "):
        layer.weights["bias"] = np.zeros(16)
    for name, weight in layer.weights.items():
        assert_array_equal(weight, before[name])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda w: pickle.loads(pickle.dumps(w))])
def test_copies_of_weights_are_apart(layer, duplicate):
    kept = duplicate(layer.weights)
    layer.weights["bias_l0"][:] = 7
    assert type(kept) is dict
    assert not (kept["bias_l0"] == 7).any()


@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_pulled_back_once_through_a_call(training):
    gru = GRU(3, 4)
    gru(X, training=training)
    gru.backward(0)
    with pytest.raises(RuntimeError, match=r"since the newest forward pass.*copy"):
        gru.backward(0)
    gru(X, training=training)
    gru.backward(0)


def test_threads_take_turns(layer):  # t02
    inputs = np.random.default_rng(1).normal(size=(8, 40, 30, 3))
    alone = [layer(x)[0] for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda k: layer(inputs[k % 8])[0], range(200)))
    for k, y in enumerate(found):
        assert_array_equal(y, alone[k % 8])


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_long_calls_come_back_to_python(n_jobs, monkeypatch):  # k03
    monkeypatch.setattr("lstm_numba.nn.recurrent.HAND_OFF", 0)
    x = np.random.default_rng(0).normal(size=(50, 6, 3))
    lengths = np.random.default_rng(1).integers(1, 7, 50)

    def results():
        layer = LSTM(3, 4, 2, bidirectional=True, n_jobs=n_jobs, random_state=0)
        y, state = layer(x, lengths=lengths, training=True)
        dx, dstate = layer.backward(y, state)
        return [y, *state, dx, *dstate, *layer.grads.values()]

    at_once, calls = results(), []
    run = layer_engine.LayerEngine._run

    def counted(self, kernel, before, n, *rest):
        calls.append(n)
        run(self, kernel, before, n, *rest)

    monkeypatch.setattr(layer_engine, "_AT_ONCE", 1)
    monkeypatch.setattr(layer_engine.LayerEngine, "_run", counted)
    for one, other in zip(at_once, results(), strict=True):
        assert_array_equal(one, other)
    assert calls == 4 * [13] + 4 * [7]
