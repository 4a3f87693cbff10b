"""What an ONNX model says: its nodes, and the values of it that are constant."""

import os
from pathlib import Path

import numpy as np

from .building import optional


def load(source):
    """Return the ModelProto of a file, of bytes, or itself.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file or the bytes are no ONNX model.
    """
    with optional("onnx", "lstm_numba[interop]"):
        import onnx
    if isinstance(source, onnx.ModelProto):
        return source
    if isinstance(source, str | os.PathLike):
        return _parsed(onnx, Path(source).read_bytes(), f"{os.fspath(source)!r}", source)
    if isinstance(source, bytes):
        return _parsed(onnx, source, "The bytes", None)
    raise TypeError(
        "from_onnx takes the path of an ONNX file, its bytes or an onnx.ModelProto. Got "
        f"{type(source).__name__} instead."
    )


def _parsed(onnx, content, what, path):
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf has several, by version
        raise ValueError(f"{what} is no ONNX model: {error}") from error
    if not model.graph.node:
        raise ValueError(f"{what} is no ONNX model: it holds no nodes.")
    if path is not None:
        # Large weights may lie in files beside it.
        onnx.load_external_data_for_model(model, os.path.dirname(os.fspath(path)) or ".")
    return model


class Model:
    """The graph of an ONNX model, and what in it is constant.

    Parameters
    ----------
    source : path, bytes or onnx.ModelProto

    Attributes
    ----------
    nodes : list of onnx.NodeProto
    outputs : set of str
        Names of the outputs of the model.
    """

    def __init__(self, source):
        graph = load(source).graph
        self.nodes = list(graph.node)
        self.outputs = {value.name for value in graph.output}
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._producers = {name: node for node in self.nodes for name in node.output if name}
        self._values = {}

    def producer(self, name):
        """Return the node that a value is the output of; None for inputs and constants."""
        return self._producers.get(name)

    def is_used(self, name):
        """Whether a value goes into a node, or is an output of the model."""
        if not name:
            return False
        return name in self.outputs or any(name in node.input for node in self.nodes)

    def constant(self, name):
        """Return a value as an array; None if it depends on the inputs of the model."""
        if name not in self._values:
            self._values[name] = self._computed(name)
        return self._values[name]

    def _computed(self, name):
        import onnx

        if name in self._constants:
            return onnx.numpy_helper.to_array(self._constants[name])
        node = self._producers.get(name)
        if node is None:
            return None
        feeds = {name: self.constant(name) for name in node.input if name}
        has_graph = any(one.g.node or one.graphs for one in node.attribute)
        if has_graph or any(value is None for value in feeds.values()):
            return None
        return evaluated(node, feeds)[list(node.output).index(name)]


def evaluated(node, feeds):
    """Return the outputs of a node for arrays by the names of its inputs."""
    from onnx.reference import ReferenceEvaluator

    return [np.asarray(value) for value in ReferenceEvaluator(node).run(None, feeds)]


def attributes(node):
    """Return the attributes of a node by name, text as str."""
    import onnx

    found = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    decoded = {}
    for name, value in found.items():
        if isinstance(value, list):
            decoded[name] = [one.decode() if isinstance(one, bytes) else one for one in value]
        else:
            decoded[name] = value.decode() if isinstance(value, bytes) else value
    return decoded
