"""An ONNX model that grows node by node."""

import os
import uuid
from pathlib import Path

import numpy as np

from .. import __version__
from .building import optional

# The newest that ONNX Runtime of 2023 reads.
OPSET, IR_VERSION = 18, 8


class Graph:
    """Nodes, constants, inputs and outputs of a model; values are known by their names."""

    def __init__(self):
        with optional("onnx", "lstm_numba[interop]"):
            import onnx
        self._onnx = onnx
        self._nodes, self._constants, self._inputs, self._outputs = [], [], [], []
        self._names = set()

    def _unused(self, name):
        found, k = name, 1
        while found in self._names:
            found, k = f"{name}_{k}", k + 1
        self._names.add(found)
        return found

    def _value(self, name, dtype, shape):
        self._names.add(name)
        return self._onnx.helper.make_tensor_value_info(name, self.type_of(dtype), shape)

    def type_of(self, dtype):
        """Return the number that ONNX has for a dtype."""
        return self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def input(self, name, dtype, shape):
        """Add an input; a dimension is a number, or a name where it may be any. Return ``name``."""
        self._inputs.append(self._value(name, dtype, shape))
        return name

    def output(self, name, value, dtype, shape):
        """Let ``value`` be the output ``name``."""
        self._outputs.append(self._value(name, dtype, shape))
        self._nodes.append(self._onnx.helper.make_node("Identity", [value], [name]))

    def constant(self, name, array):
        """Add a constant; return the name that it has."""
        name = self._unused(name)
        array = np.ascontiguousarray(array)
        self._constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def ints(self, *values):
        """Add a constant of int64; return its name."""
        return self.constant("ints", np.array(values, np.int64))

    def nodes(self, op, inputs, outputs, **attributes):
        """Add a node with several outputs; return their names."""
        name = self._unused(op)
        names = [self._unused(f"{name}.{output}") for output in outputs]
        attributes = {key: value for key, value in attributes.items() if value is not None}
        node = self._onnx.helper.make_node(op, inputs, names, name=name, **attributes)
        self._nodes.append(node)
        return names

    def node(self, op, *inputs, **attributes):
        """Add a node with one output; return its name."""
        return self.nodes(op, inputs, ["out"], **attributes)[0]

    def model(self, name):
        """Return the model, checked."""
        graph = self._onnx.helper.make_graph(
            self._nodes, name, self._inputs, self._outputs, self._constants
        )
        model = self._onnx.helper.make_model(
            graph,
            opset_imports=[self._onnx.helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="lstm_numba",
            producer_version=__version__,
        )
        self._onnx.checker.check_model(model)
        return model


def write(model, path):
    """Write a model to a file: the whole of it, or nothing."""
    path = Path(path)
    partial = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        partial.write_bytes(model.SerializeToString())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
