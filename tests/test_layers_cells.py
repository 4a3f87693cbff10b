"""Cells of the layers that torch does not have: against twins, differences, Keras, ONNX Runtime."""

import copy
import os
import pickle

import naive_cells
import numpy as np
import pytest

from lstm_numba import GRU, LSTM

LAYERS = {
    "reset before": (GRU, {"reset_after": False}, naive_cells.gru_reset_before_step),
    "peephole": (LSTM, {"peephole": True}, naive_cells.peephole_step),
    "coupled": (LSTM, {"input_forget": True}, naive_cells.coupled_step),
    "both": (LSTM, {"input_forget": True, "peephole": True}, naive_cells.coupled_step),
}
ALL_LAYERS = pytest.mark.parametrize("layer", LAYERS)
SIZES = pytest.mark.parametrize(("hidden", "batch"), [(1, 1), (7, 5), (33, 5)])

FEATURES, SEQ_LEN = 3, 6
LENGTHS = np.array([6, 2, 5, 1, 3])
MASK = np.array(
    [
        [1, 1, 0, 1, 1, 1],
        [0, 0, 1, 0, 1, 0],
        [1, 1, 1, 1, 1, 1],
        [0, 1, 1, 1, 1, 1],
        [1, 1, 0, 0, 1, 0],
    ],
    dtype=bool,
)


def make_layer(name, hidden, dtype="float64", **more):
    """A layer with random weights, all of them of a size that matters."""
    cls, options, _ = LAYERS[name]
    made = cls(FEATURES, hidden, dtype=dtype, random_state=0, **options, **more)
    rng = np.random.default_rng(1)
    for weight in made.weights.values():
        weight[...] = rng.uniform(-1, 1, weight.shape) / np.sqrt(weight.shape[-1])
    return made


def make_input(made, batch):
    """x, and an initial state."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(batch, SEQ_LEN, FEATURES))
    _, end = made(np.zeros_like(x))
    return x, type(end)(*(None if part is None else rng.normal(size=part.shape) for part in end))


def expected(name, made, x, state, taken, **how):
    """What the twin makes of the layer's weights."""
    weights = {k: np.asarray(w, dtype=np.float64) for k, w in made.weights.items()}
    c = np.zeros_like(state.h) if state.c is None else state.c
    y, h, c = naive_cells.run_stack(LAYERS[name][2], weights, x, state.h, c, taken, **how)
    return y, h, None if state.c is None else c


def assert_equal_parts(found, wanted, tolerance):
    for a, b in zip(found, wanted, strict=True):
        if b is None:
            assert a is None
        else:
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@ALL_LAYERS
@SIZES
def test_outputs_and_states_equal_the_twin(layer, hidden, batch):
    assert_equals_the_twin(layer, hidden, batch, "float64", 1e-13)


def test_float32_stays_float32():
    assert_equals_the_twin("reset before", 33, 5, "float32", 2e-6)


def assert_equals_the_twin(layer, hidden, batch, dtype, tolerance):
    made = make_layer(layer, hidden, dtype)
    x, state = make_input(made, batch)
    y, end = made(x, state)
    assert y.dtype == end.h.dtype == dtype
    wanted = expected(layer, made, x, state, np.ones((batch, SEQ_LEN), bool))
    assert_equal_parts((y, end.h, end.c), wanted, tolerance)


@ALL_LAYERS
@pytest.mark.parametrize(
    ("rows", "taken", "directions"),
    [
        ({"lengths": LENGTHS}, np.arange(SEQ_LEN) < LENGTHS[:, None], 2),
        ({"mask": MASK}, MASK, 2),
        ({"mask": MASK}, MASK, 1),
    ],
    ids=["lengths", "mask", "mask in one direction"],
)
def test_ragged_rows_in_stacks_equal_the_twin(layer, rows, taken, directions):
    made = make_layer(layer, 7, num_layers=2, bidirectional=directions == 2)
    x, state = make_input(made, 5)
    y, end = made(x, state, **rows)
    # As in Keras, a mask holds the outputs of one direction.
    hold = directions == 1
    wanted = expected(layer, made, x, state, taken, hold=hold, directions=directions)
    assert_equal_parts((y, end.h, end.c), wanted, 1e-13)


def assert_gradients_equal_differences(made, x, state, **rows):
    """Compare ``backward`` with central differences of a random function of outputs and state.

    Of each array along its gradient, where nothing cancels, and along another direction.
    """
    rng = np.random.default_rng(3)
    x, state = x.copy(), [part for part in state if part is not None]
    run = copy.deepcopy(made)
    y, _ = run(x, state, training=True, **rows)
    dy, dend = rng.normal(size=y.shape), [rng.normal(size=part.shape) for part in state]
    dx, dstate = run.backward(dy, dend)

    def value():
        # A copy draws what the layer would have drawn: each time the same dropout.
        y, end = copy.deepcopy(made)(x, state, training=True, **rows)
        return np.sum(y * dy) + sum(np.sum(a * b) for a, b in zip(end, dend, strict=False))

    arrays = {"x": (x, dx), "h": (state[0], dstate.h)}
    if len(state) == 2:
        arrays["c"] = state[1], dstate.c
    arrays |= {name: (weight, run.grads[name]) for name, weight in made.weights.items()}
    for name, (array, gradient) in arrays.items():
        size = np.linalg.norm(gradient)
        assert size > 0, name
        other = rng.normal(size=array.shape)
        for direction in gradient / size, other / np.linalg.norm(other):
            before, step = array.copy(), 1e-5
            array[...] = before + step * direction
            up = value()
            array[...] = before - step * direction
            down = value()
            array[...] = before
            error = (up - down) / (2 * step) - np.sum(gradient * direction)
            assert abs(error) < 1e-6 * size, name


@ALL_LAYERS
@SIZES
def test_gradients_equal_differences(layer, hidden, batch):
    made = make_layer(layer, hidden)
    assert_gradients_equal_differences(made, *make_input(made, batch))


@ALL_LAYERS
@pytest.mark.parametrize("rows", [{"lengths": LENGTHS}, {"mask": MASK}], ids=["lengths", "mask"])
def test_gradients_of_ragged_stacks_equal_differences(layer, rows):
    made = make_layer(layer, 7, num_layers=2, bidirectional=True, merge_mode="mul")
    assert_gradients_equal_differences(made, *make_input(made, 5), **rows)


# Kernels for these take long to compile: those of peepholes with four gates are left to
# test_cells.py.
@pytest.mark.parametrize("layer", ["reset before", "both"])
def test_gradients_with_dropout_and_other_activations_equal_differences(layer):
    made = make_layer(
        layer, 9, num_layers=2, dropout=0.3, input_dropout=0.2, recurrent_dropout=0.4,
        activation="softsign", recurrent_activation="hard_sigmoid", clip=4.0, go_backwards=True,
    )  # fmt: skip
    assert_gradients_equal_differences(made, *make_input(made, 5), lengths=LENGTHS)


def test_gradients_with_projection_equal_differences():
    made = make_layer("both", 7, proj_size=4, recurrent_dropout=0.4)
    assert_gradients_equal_differences(made, *make_input(made, 5))


# float32 kernels that are compiled for this test alone, so those of "both" are left out.
@pytest.mark.parametrize("layer", ["reset before", "peephole", "coupled"])
def test_float32_gradients_equal_differences_of_the_twin(layer):
    made = make_layer(layer, 33, "float32")
    x, state = make_input(made, 5)
    given = {"x": x, "h": state.h} | ({} if state.c is None else {"c": state.c})
    x, *state = (array.astype("f4") for array in given.values())
    y, _ = made(x, state, training=True)
    rng = np.random.default_rng(3)
    dy, *dend = (rng.normal(size=part.shape).astype("f4") for part in (y, *state))
    dx, dstate = made.backward(dy, dend)
    gradients = {"x": dx, "h": dstate.h, "c": dstate.c} | made.grads

    def value(at):
        c, taken = at.get("c", np.zeros_like(at["h"])), np.ones((5, SEQ_LEN), bool)
        found = naive_cells.run_stack(LAYERS[layer][2], at, at["x"], at["h"], c, taken)
        return sum(np.sum(a * b) for a, b in zip(found, (dy, *dend), strict=False))

    at = dict(zip(given, (x, *state), strict=True)) | made.weights
    at = {name: array.astype("f8") for name, array in at.items()}
    for name, array in at.items():
        gradient = gradients[name]
        assert gradient.dtype == np.float32
        size = np.linalg.norm(gradient)
        for direction in gradient, *rng.normal(size=(3, *array.shape)):
            step = 1e-4 / np.linalg.norm(direction) * direction
            difference = value(at | {name: array + step}) - value(at | {name: array - step})
            error = difference / 2 - np.sum(gradient * step)
            assert abs(error) < 1e-6 * 1e-4 * size, name


def test_long_sequences_take_their_weight_gradients_in_pieces(monkeypatch):
    from lstm_numba.kernels.cpu import sequences

    monkeypatch.setattr(sequences, "steps_at_once", lambda *sizes: 4)
    for layer in LAYERS:
        made = make_layer(layer, 7)
        assert_gradients_equal_differences(made, *make_input(made, 5))


def test_reset_before_equals_keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    made = make_layer("reset before", 9)
    x, state = make_input(made, 5)
    theirs = keras.layers.GRU(9, reset_after=False, return_sequences=True, return_state=True)
    theirs.build(x.shape)
    # Keras has z, r, n.
    of_keras = {
        name: np.split(w, 3)[1::-1] + np.split(w, 3)[2:] for name, w in made.weights.items()
    }
    w = {name: np.concatenate(parts) for name, parts in of_keras.items()}
    theirs.set_weights([w["weight_ih_l0"].T, w["weight_hh_l0"].T, w["bias_l0"]])
    y, end = made(x, state, mask=MASK)
    wanted = theirs(x.astype("f4"), initial_state=state.h[0].astype("f4"), mask=MASK)
    wanted_y, wanted_h = (part.detach().cpu().numpy() for part in wanted)
    np.testing.assert_allclose(end.h[0], wanted_h, rtol=1e-6, atol=1e-6)
    started = np.cumsum(MASK, axis=1) > 0
    np.testing.assert_allclose(y[started], wanted_y[started], rtol=1e-6, atol=1e-6)


def onnx_lstm(made, x, **attributes):
    """Run ONNX's LSTM with the weights of a layer, whose batch is the second axis."""
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    hidden, coupled = made.hidden_size, made.input_forget

    def in_order_iofc(w):
        i, *f, g, o = np.split(w, 3 if coupled else 4)
        # What stands in place of the forget gate is not read where it is coupled.
        return np.concatenate([i, o, *(f or [np.full_like(i, 7.0)]), g])[None]

    bias = in_order_iofc(made.weights["bias_l0"])
    given = {
        "W": in_order_iofc(made.weights["weight_ih_l0"]),
        "R": in_order_iofc(made.weights["weight_hh_l0"]),
        "B": np.concatenate([bias, np.zeros_like(bias)], axis=1),
    }
    if made.peephole:
        i, *f, o = np.split(made.weights["weight_ch_l0"], 2 if coupled else 3)
        given["P"] = np.concatenate([i, o, *(f or [np.full_like(i, 7.0)])])[None]
    names = ["X", "W", "R", "B", "", "", "", "P" if made.peephole else ""]
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("LSTM", names, ["Y"], hidden_size=hidden, **attributes)],
        "one_node",
        [helper.make_tensor_value_info("X", float32, x.shape)],
        [helper.make_tensor_value_info("Y", float32, None)],
        [
            helper.make_tensor(name, float32, w.shape, w.astype("f4").ravel())
            for name, w in given.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = runtime.InferenceSession(model.SerializeToString())
    return session.run(None, {"X": x.astype("f4")})[0][:, 0]


@pytest.mark.parametrize(
    ("layer", "clip"), [("peephole", None), ("coupled", None), ("both", None), ("both", 0.3)]
)
def test_lstm_equals_onnx_runtime(layer, clip):
    made = make_layer(layer, 7, batch_first=False, clip=clip)
    x = np.random.default_rng(4).normal(size=(SEQ_LEN, 5, FEATURES))
    attributes = {"input_forget": int(made.input_forget)}
    if clip is not None:
        attributes["clip"] = clip
    wanted = onnx_lstm(made, x, **attributes)
    np.testing.assert_allclose(made(x)[0], wanted, rtol=1e-6, atol=1e-6)


def test_weights_have_the_shapes_of_their_gates():
    shapes = {
        layer: {name: w.shape for name, w in make_layer(layer, 5).weights.items()}
        for layer in LAYERS
    }
    of_three = {"weight_ih_l0": (15, 3), "weight_hh_l0": (15, 5), "bias_l0": (15,)}
    of_four = {"weight_ih_l0": (20, 3), "weight_hh_l0": (20, 5), "bias_l0": (20,)}
    assert shapes == {
        "reset before": of_three,
        "peephole": of_four | {"weight_ch_l0": (15,)},
        "coupled": of_three,
        "both": of_three | {"weight_ch_l0": (10,)},
    }


def test_a_coupled_gate_begins_where_the_forget_bias_would_be():
    bias = LSTM(3, 2, input_forget=True, random_state=0).weights["bias_l0"]
    assert bias.tolist() == [-1, -1, 0, 0, 0, 0]
    without = LSTM(3, 2, input_forget=True, unit_forget_bias=False, random_state=0)
    assert not without.weights["bias_l0"].any()


def test_peepholes_begin_at_zero_and_change_nothing_there():
    x = np.random.default_rng(5).normal(size=(2, 4, FEATURES))
    plain = LSTM(FEATURES, 6, dtype="float64", random_state=0)
    seeing = LSTM(
        FEATURES, 6, peephole=True, dtype="float64", random_state=0,
        recurrent_regularizer="l2", recurrent_constraint="unit_norm",
    )  # fmt: skip
    np.testing.assert_allclose(seeing(x)[0], plain(x)[0], rtol=1e-14, atol=1e-14)
    penalty = seeing.penalty
    seeing.weights["weight_ch_l0"][:] = 3
    assert seeing.penalty == penalty
    seeing.constrain()
    assert (seeing.weights["weight_ch_l0"] == 3).all()


@ALL_LAYERS
def test_a_layer_comes_back_from_a_pickle(layer):
    made = make_layer(layer, 7, bias=False)
    x, state = make_input(made, 2)
    back = pickle.loads(pickle.dumps(made))
    assert repr(back) == repr(made)
    assert not any("bias" in name for name in back.weights)
    np.testing.assert_array_equal(back(x, state)[0], made(x, state)[0])


@pytest.mark.parametrize(
    ("cls", "name"), [(GRU, "reset_after"), (LSTM, "peephole"), (LSTM, "input_forget")]
)
def test_a_flag_must_be_a_bool(cls, name):
    with pytest.raises(ValueError, match=f"'{name}' parameter of {cls.__name__} must be"):
        cls(3, 2, **{name: "yes"})
