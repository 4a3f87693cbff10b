"""How the directions of an ONNX node are merged, read from the nodes that follow it."""

import io
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lstm_numba import GRU, SimpleRNN, interop

onnx = pytest.importorskip("onnx")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_mean_of_directions_in_single_steps(dtype):
    form = {"bidirectional": True, "merge_mode": "ave", "dtype": dtype}
    model = interop.to_onnx(GRU(3, 5, **form))
    (mean,) = (node for node in model.graph.node if node.op_type == "ReduceMean")
    at, node = list(model.graph.node).index(mean), onnx.helper.make_node
    model.graph.node.remove(mean)
    for one in (
        node("Mul", ["both", "half"], mean.output),
        node("Add", ["forward", "backward"], ["both"]),
        node("Squeeze", ["ahead", mean.input[1]], ["forward"]),
        node("Squeeze", ["back", mean.input[1]], ["backward"]),
        node("Split", mean.input[:1], ["ahead", "back"], axis=1, num_outputs=2),
    ):
        model.graph.node.insert(at, one)
    half = onnx.numpy_helper.from_array(np.array(0.5, dtype), "half")
    model.graph.initializer.append(half)
    onnx.checker.check_model(model)
    assert interop.from_onnx(model).merge_mode == "ave"
    half.raw_data = np.array(0.4, dtype).tobytes()
    model.graph.initializer[-1].CopyFrom(half)
    assert interop.from_onnx(model).merge_mode == "sum"


def test_layers_that_merge_otherwise_than_the_last_are_no_stack():
    form = {"num_layers": 2, "bidirectional": True}
    model = interop.to_onnx(SimpleRNN(3, 5, merge_mode="sum", **form))
    next(node for node in model.graph.node if node.op_type == "ReduceSum").op_type = "ReduceMean"
    with pytest.raises(ValueError, match=r"not one stack.*all of them merged by sum, product or"):
        interop.from_onnx(model)
    found = [interop.from_onnx(model, node=k) for k in range(2)]
    assert [layer.merge_mode for layer in found] == ["ave", "sum"]


def test_what_torch_adds_up():
    torch = pytest.importorskip("torch")

    class Added(torch.nn.GRU):
        def forward(self, x):
            y, h = super().forward(x)
            return y[..., :5] + y[..., 5:] if self.of_steps else h[0] + h[1]

    x = torch.randn(2, 7, 3)
    module = Added(3, 5, batch_first=True, bidirectional=True).eval()
    # The directions of y are side by side before the model goes on; those of h are not.
    for module.of_steps, merge_mode in ((True, "concat"), (False, "sum")):
        file = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(module, (x,), file, dynamo=False)
        layer = interop.from_onnx(file.getvalue())
        assert (layer.merge_mode, layer.return_sequences) == (merge_mode, module.of_steps)
    assert_allclose(layer(x)[0], module(x).detach(), atol=1e-6)
