"""Layers to ONNX and back: ONNX Runtime, ONNX's own node tests, what is refused."""

import io
import os
import sys
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lstm_numba import GRU, LSTM, SimpleRNN, interop

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

LAYERS = {"LSTM": LSTM, "GRU": GRU, "RNN": SimpleRNN}
EITHER_CELL = pytest.mark.parametrize("op", LAYERS)
RECURRENT = "test_lstm_", "test_gru_", "test_rnn_", "test_simple_rnn_"


def run(model, **feeds):
    """Return the outputs of a model under ONNX Runtime."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, feeds)


def random_layer(kind, *sizes, **arguments):
    """A layer with random biases and peepholes too."""
    layer = kind(*sizes, random_state=0, **arguments)
    rng = np.random.default_rng(1)
    for weight in layer.weights.values():
        weight[...] = 0.5 * rng.standard_normal(weight.shape)
    return layer


def steps(batch=2, seq_len=7, features=3):
    rng = np.random.default_rng(0)
    return rng.standard_normal((batch, seq_len, features), dtype=np.float32)


def assert_same_outputs(found, y, state, tolerance=1e-5):
    expected = [y, *(part for part in state if part is not None)]
    for own, theirs in zip(expected, found, strict=True):
        assert_allclose(theirs, own, rtol=0, atol=tolerance)


def assert_same_weights(one, other):
    assert list(one.weights) == list(other.weights)
    for name, weight in one.weights.items():
        assert_array_equal(other.weights[name], weight)


# ONNX's own tests of its operators


def node_tests():
    """Return the tests of the ONNX package for its recurrent operators, by name."""
    from onnx.backend.test.case.node import _NodeTestCases, gru, lstm, rnn  # noqa: F401

    return {case.name: case for case in _NodeTestCases if case.name.startswith(RECURRENT)}


NODE_TESTS = node_tests()


def test_there_are_node_tests():
    ops = {case.model.graph.node[0].op_type for case in NODE_TESTS.values()}
    assert ops == set(LAYERS)
    assert len(NODE_TESTS) >= 18


@pytest.mark.parametrize("case", NODE_TESTS.values(), ids=NODE_TESTS)
def test_node_test_of_onnx(case):
    (node,) = case.model.graph.node
    inputs, outputs = case.data_sets[0]
    feeds = dict(zip(filter(None, node.input), inputs, strict=True))
    layer = interop.from_onnx(with_weights(case.model, feeds), return_sequences=True)

    # Where ONNX has layout 1, the batch comes first in states too.
    attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    by_batch = attributes.get("layout", 0) == 1
    state = [feeds[name] for name in ("initial_h", "initial_c") if name in feeds]
    y, final = layer(feeds["X"], state or None, lengths=feeds.get("sequence_lens"))

    y = np.stack(np.split(y, 1 + layer.bidirectional, axis=2), axis=2 if by_batch else 1)
    if layer.go_backwards:
        y = np.flip(y, axis=1 if by_batch else 0)
    found = [y, *(part.swapaxes(0, 1) if by_batch else part for part in final if part is not None)]
    wanted = iter(outputs)
    for own, name in zip(found, node.output, strict=False):
        if name:
            assert_allclose(own, next(wanted), rtol=case.rtol, atol=case.atol)
    assert next(wanted, None) is None


def with_weights(model, feeds):
    """Return a model whose weights are in it; the tests give them as inputs."""
    found = onnx.ModelProto.FromString(model.SerializeToString())
    for value in model.graph.input:
        if value.name in "WRBP":
            found.graph.input.remove(value)
            tensor = onnx.numpy_helper.from_array(feeds[value.name], value.name)
            found.graph.initializer.append(tensor)
    return found


# layers

FORMS = {
    "one layer": {},
    "stack": {"num_layers": 2, "bidirectional": True},
    "last": {"num_layers": 2, "return_sequences": False},
    "last of two directions": {"bidirectional": True, "return_sequences": False},
    "backwards": {"num_layers": 2, "go_backwards": True, "batch_first": False},
    "no bias, clip": {"bias": False, "clip": 0.3},
    "hard": {"activation": "hard_sigmoid_keras2"},
}
OTHER_CELLS = [
    (GRU, {"reset_after": False, "num_layers": 2}),
    (LSTM, {"peephole": True, "bidirectional": True}),
    (LSTM, {"peephole": True, "input_forget": True, "recurrent_activation": "hard_sigmoid"}),
]
ALL_FORMS = [(kind, form) for kind in LAYERS.values() for form in FORMS.values()] + OTHER_CELLS


@pytest.mark.parametrize(
    ("kind", "form"), ALL_FORMS, ids=lambda part: getattr(part, "__name__", str(part))
)
def test_layers_to_onnx_and_back(kind, form):
    layer = random_layer(kind, 3, 5, **form)
    model = interop.to_onnx(layer)
    ops = [node.op_type for node in model.graph.node if node.op_type in LAYERS]
    assert [LAYERS[op] for op in ops] == [kind] * layer.num_layers
    for batch, seq_len in [(2, 7), (3, 1)]:
        x = steps(batch, seq_len)
        assert_same_outputs(run(model, x=x), *layer(x))

    back = interop.from_onnx(model)
    assert repr(back) == repr(layer).replace(", random_state=0", "")
    assert_same_weights(layer, back)


@pytest.mark.parametrize("merge_mode", ["sum", "mul", "ave"])
@pytest.mark.parametrize("return_sequences", [True, False])
def test_merge_modes(merge_mode, return_sequences):
    form = {"merge_mode": merge_mode, "return_sequences": return_sequences, "num_layers": 2}
    layer = random_layer(SimpleRNN, 3, 5, bidirectional=True, **form)
    model = interop.to_onnx(layer)
    assert_same_outputs(run(model, x=steps()), *layer(steps()))
    back = interop.from_onnx(model)
    assert repr(back) == repr(layer).replace(", random_state=0", "")
    assert_same_weights(layer, back)
    assert interop.from_onnx(model, node=0).merge_mode == merge_mode


@pytest.mark.parametrize(
    "name", ["relu", "softplus", "softsign", "elu", "hard_sigmoid", "linear", "sigmoid"]
)
def test_activations_mean_the_same(name):
    layer = random_layer(GRU, 3, 5, activation=name, recurrent_activation="hard_sigmoid")
    model = interop.to_onnx(layer)
    assert_same_outputs(run(model, x=steps()), *layer(steps()))
    back = interop.from_onnx(model)
    assert (back.activation, back.recurrent_activation) == (name, "hard_sigmoid")


@EITHER_CELL
@pytest.mark.parametrize("form", [{"bidirectional": True}, {"go_backwards": True}], ids=str)
def test_initial_state_and_lengths(op, form):
    layer = random_layer(LAYERS[op], 3, 5, 2, **form)
    model = interop.to_onnx(layer, initial_state=True, lengths=True)
    _, state = layer(steps(3))
    feeds = {f"{name}0": part for name, part in state._asdict().items() if part is not None}
    lengths = np.array([7, 2, 5], np.int32)
    found = run(model, x=steps(3), lengths=lengths, **feeds)
    assert_same_outputs(found, *layer(steps(3), state, lengths=lengths))
    assert_same_weights(layer, interop.from_onnx(model))


def test_float64_is_kept():
    layer = random_layer(LSTM, 3, 5, dtype="float64")
    model = interop.to_onnx(layer)
    back = interop.from_onnx(model)
    assert back.dtype == "float64"
    assert_same_weights(layer, back)


# models made elsewhere


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_what_torch_exports(batch_first, bidirectional):
    torch = pytest.importorskip("torch")
    module = torch.nn.GRU(3, 5, 2, batch_first=batch_first, bidirectional=bidirectional).eval()
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (torch.from_numpy(steps()),), file, dynamo=False)
    layer = interop.from_onnx(file.getvalue())
    assert (layer.num_layers, layer.batch_first) == (2, batch_first)
    with torch.no_grad():
        y, h = module(torch.from_numpy(steps()))
    assert_same_outputs([y.numpy(), h.numpy()], *layer(steps()))


def node_model(op="LSTM", hidden=2, name="cell", constants=None, **attributes):
    """A model of one recurrent node with weights of ones and 3 features."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    arrays = {"W": np.ones((1, gates * hidden, 3)), "R": np.ones((1, gates * hidden, hidden))}
    arrays |= constants or {}
    inputs = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
    used = ["X", *(key if key in arrays else "" for key in inputs[1:])]
    node = onnx.helper.make_node(
        op, used, ["Y"], name, hidden_size=attributes.pop("hidden_size", hidden), **attributes
    )
    kinds = {"sequence_lens": np.int32}
    tensors = [
        onnx.numpy_helper.from_array(array.astype(kinds.get(key, np.float32)), key)
        for key, array in arrays.items()
    ]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node],
        "one",
        [value("X", 1, ["time", "batch", 3])],
        [value("Y", 1, None)],
        tensors,
    )
    return onnx.helper.make_model(graph)


def test_activations_that_are_one_of_ours_under_another_name():
    model = node_model(
        activations=["sigmoid", "LeakyRelu", "ThresholdedRelu"], activation_alpha=[0.0, 0.0]
    )
    layer = interop.from_onnx(model)
    assert (layer.recurrent_activation, layer.activation) == ("sigmoid", "relu")
    with pytest.raises(ValueError, match=r"activations=\['LeakyRelu'\].*'cell'.*alpha=0\.01"):
        interop.from_onnx(node_model("RNN", activations=["LeakyRelu"]))
    with pytest.raises(ValueError, match="Cos is none of ours"):
        interop.from_onnx(node_model("RNN", activations=["Cos"]))
    with pytest.raises(ValueError, match="g and h of an LSTM"):
        interop.from_onnx(node_model(activations=["Sigmoid", "Tanh", "Relu"]))


def test_a_model_that_makes_no_use_of_all_steps():
    model = node_model(constants={"initial_h": np.zeros((1, 4, 2))})
    assert interop.from_onnx(model).return_sequences
    model.graph.node[0].output[:] = ["", "Y"]
    assert not interop.from_onnx(model).return_sequences


def test_half_precision_grows_to_float32():
    model = node_model("GRU")
    for tensor in model.graph.initializer:
        half = onnx.numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(half, tensor.name))
    assert interop.from_onnx(model).dtype == "float32"


def test_constants_that_belong_to_a_call():
    zero = node_model(constants={"initial_h": np.zeros((1, 4, 2))})
    assert interop.from_onnx(zero).hidden_size == 2
    one = node_model(constants={"initial_c": np.ones((1, 4, 2))})
    with pytest.raises(ValueError, match=r"initial_c of node 'cell'.*state= at each call"):
        interop.from_onnx(one)
    assert interop.from_onnx(one, weights_only=True).hidden_size == 2
    ragged = node_model(constants={"sequence_lens": np.array([1, 2])})
    with pytest.raises(ValueError, match=r"sequence_lens of node 'cell'.*lengths="):
        interop.from_onnx(ragged)


def test_nodes_that_are_no_stack_are_chosen_by_name_or_place():
    one = interop.to_onnx(random_layer(GRU, 3, 3)).graph
    model = interop.to_onnx(random_layer(LSTM, 3, 3))
    for node in one.node:
        node.name = f"other_{node.name}"
        for names in (node.input, node.output):
            names[:] = [f"other_{name}" if name not in ("", "x") else name for name in names]
    for tensor in one.initializer:
        tensor.name = f"other_{tensor.name}"
    model.graph.node.extend(one.node)
    model.graph.initializer.extend(one.initializer)
    with pytest.raises(ValueError, match=r"several recurrent nodes, 'LSTM', 'other_GRU'.*node="):
        interop.from_onnx(model)
    assert isinstance(interop.from_onnx(model, "other_GRU"), GRU)
    assert isinstance(interop.from_onnx(model, 0), LSTM)
    for wrong in ("GRU", 2, True):
        with pytest.raises(ValueError, match="name or the place"):
            interop.from_onnx(model, wrong)


def test_layers_that_do_not_stand_on_each_other_are_no_stack():
    # The second one reads what the first one puts out, with the units of both directions mixed.
    model = interop.to_onnx(random_layer(SimpleRNN, 3, 5, num_layers=2, bidirectional=True))
    turn = next(node for node in model.graph.node if node.op_type == "Reshape")
    turn = next(node for node in model.graph.node if turn.input[0] in node.output)
    turn.attribute[0].ints[:] = [0, 2, 3, 1]
    with pytest.raises(ValueError, match="not one stack"):
        interop.from_onnx(model)
    assert interop.from_onnx(model, node=1).input_size == 10


# what is refused


def test_weights_that_do_not_fit():
    with pytest.raises(ValueError, match=r"R of node 'cell' must have the shape \(1, 12, 3\)"):
        interop.from_onnx(node_model(hidden_size=3, constants={"W": np.ones((1, 12, 3))}))
    with pytest.raises(ValueError, match=r"B of node 'cell'.*\(1, 16\), with hidden_size=2"):
        interop.from_onnx(node_model(constants={"B": np.ones((1, 8))}))
    outside = node_model()
    del outside.graph.initializer[0]
    with pytest.raises(ValueError, match="W of node 'cell', 'W', is an input of the model"):
        interop.from_onnx(outside)


def test_what_is_no_model(tmp_path):
    path = tmp_path / "model.onnx"
    with pytest.raises(FileNotFoundError):
        interop.from_onnx(path)
    for content in (b"", b"not a model", "ä".encode() * 100):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"model\.onnx' is no ONNX model"):
            interop.from_onnx(str(path))
    with pytest.raises(TypeError, match="Got list"):
        interop.from_onnx([1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "none", [], []))
    with pytest.raises(ValueError, match=r"no LSTM, GRU or RNN nodes\. It has Identity"):
        interop.from_onnx(model)


@pytest.mark.parametrize("argument", [{"proj_size": 2}, {"activation": "gelu"}], ids=str)
def test_what_onnx_lacks_is_named(argument):
    (name,) = argument
    with pytest.raises(ValueError, match=f"ONNX has nothing for {name}="):
        interop.to_onnx(LSTM(3, 5, **argument))


def test_a_missing_onnx_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install lstm_numba\[interop\]"):
        interop.to_onnx(LSTM(3, 5))
    with pytest.raises(ImportError, match=r"pip install lstm_numba\[interop\]"):
        interop.from_onnx("model.onnx")


# files


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    layer = random_layer(GRU, 3, 5, 2)
    model = interop.to_onnx(layer, path)
    assert path.read_bytes() == model.SerializeToString()
    assert_same_weights(interop.from_onnx(path), layer)

    def fail(*args):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        interop.to_onnx(random_layer(GRU, 3, 4), path)
    assert path.read_bytes() == model.SerializeToString()
    assert os.listdir(tmp_path) == ["model.onnx"]
