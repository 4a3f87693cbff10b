"""A stack of recurrent layers as nodes of an ONNX graph."""

import numpy as np

from .building import cell_of, suffixes
from .gates import ONNX, ONNX_PEEPHOLES, our_peepholes, ours, reordered
from .onnx_activations import OF_OURS

_OPS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}
_REDUCTIONS = {"sum": "ReduceSum", "mul": "ReduceProd", "ave": "ReduceMean"}
_STANDARD = {"recurrent_activation": "sigmoid", "activation": "tanh"}


def add_stack(graph, layer, x, h=None, c=None, lengths=""):
    """Add the nodes of a layer.

    Parameters
    ----------
    graph : Graph
    layer : LSTM, GRU or SimpleRNN
    x : str
        (seq_len, batch, features).
    h, c : str, optional
        Initial states (num_layers directions, batch, hidden_size); zeros by default.
    lengths : str
        (batch,) int32; "" for all steps.

    Returns
    -------
    y : str
        (seq_len, batch, outputs); with ``return_sequences=False`` (batch, outputs).
    h, c : str
        Final states; c is None but for an LSTM.
    """
    ends, y = [], x
    first_h, first_c = _split(graph, layer, h), _split(graph, layer, c)
    for k in range(layer.num_layers):
        sequence, *end = _add_layer(graph, layer, k, y, lengths, first_h[k], first_c[k])
        ends.append(end)
        if k < layer.num_layers - 1 or layer.return_sequences:
            y = _merged(graph, layer, sequence, 1)
        else:
            y = _merged(graph, layer, end[0], 0)
    if layer.return_sequences and layer.go_backwards:
        backwards = [graph.ints(n) for n in (-1, np.iinfo(np.int64).min, 0, -1)]
        y = graph.node("Slice", y, *backwards)
    final = [_joined(graph, parts) for parts in zip(*ends, strict=True)]
    return y, *final, *([None] if len(final) == 1 else [])


def _split(graph, layer, state):
    """Return the initial state of each layer of a stack."""
    if state is None or layer.num_layers == 1:
        return [state or ""] * layer.num_layers
    rows = graph.ints(*[1 + layer.bidirectional] * layer.num_layers)
    outputs = [f"l{k}" for k in range(layer.num_layers)]
    return graph.nodes("Split", [state, rows], outputs, axis=0)


def _joined(graph, parts):
    return parts[0] if len(parts) == 1 else graph.node("Concat", *parts, axis=0)


def _merged(graph, layer, value, axis):
    """Return a value with the directions along ``axis`` and the units last, made one."""
    if not layer.bidirectional:
        return graph.node("Squeeze", value, graph.ints(axis))
    if layer.merge_mode in _REDUCTIONS:
        return graph.node(_REDUCTIONS[layer.merge_mode], value, graph.ints(axis), keepdims=0)
    order = [*range(axis), axis + 1, axis, axis + 2]
    value = graph.node("Transpose", value, perm=order)
    return graph.node("Reshape", value, graph.ints(*[0] * (axis + 1), -1))


def _add_layer(graph, layer, k, x, lengths, h, c):
    """Add the node of layer ``k``; return its outputs: all steps, and the final states."""
    cell = cell_of(layer, "to_onnx")
    ends = suffixes(layer)[k]
    arrays = [_arrays(layer, cell, suffix) for suffix in ends]
    W, R, B, P = (
        graph.constant(f"{kind}_l{k}", np.stack([one[kind] for one in arrays]))
        if kind in arrays[0]
        else ""
        for kind in "WRBP"
    )
    inputs = [x, W, R, B, lengths, h, *([c, P] if cell == "lstm" else [])]
    while not inputs[-1]:
        inputs.pop()
    outputs = ["Y", "Y_h", "Y_c"] if cell == "lstm" else ["Y", "Y_h"]
    direction = "reverse" if layer.go_backwards else "forward"
    return graph.nodes(
        _OPS[cell],
        inputs,
        outputs,
        hidden_size=layer.hidden_size,
        direction="bidirectional" if layer.bidirectional else direction,
        clip=layer.clip,
        linear_before_reset=int(layer.reset_after) if cell == "gru" else None,
        input_forget=1 if getattr(layer, "input_forget", False) else None,
        **_activations(layer, cell, len(ends)),
    )


def _arrays(layer, cell, suffix):
    """Return W, R, B and P of one layer in one direction, as far as it has them."""
    own, input_forget = layer.weights, getattr(layer, "input_forget", False)

    def of(name):
        return reordered(own[f"{name}{suffix}"], ours(cell, input_forget), ONNX[cell])

    found = {"W": of("weight_ih"), "R": of("weight_hh")}
    if f"bias_ih{suffix}" in own:
        found["B"] = np.concatenate([of("bias_ih"), of("bias_hh")])
    elif layer.bias:
        found["B"] = np.concatenate([of("bias"), np.zeros_like(of("bias"))])
    if f"weight_ch{suffix}" in own:
        peepholes = own[f"weight_ch{suffix}"]
        found["P"] = reordered(peepholes, our_peepholes(input_forget), ONNX_PEEPHOLES)
    return found


def _activations(layer, cell, directions):
    """Return the attributes that say the activations; none where all are the usual ones."""
    if all(getattr(layer, name) == usual for name, usual in _STANDARD.items()):
        return {}
    gate, candidate = layer.recurrent_activation, layer.activation
    names = {"lstm": [gate, candidate, candidate], "gru": [gate, candidate], "rnn": [candidate]}
    found = [OF_OURS[name] for name in names[cell]] * directions
    alpha, beta = zip(*(one[1:] for one in found), strict=True)
    return {
        "activations": [one.name for one in found],
        "activation_alpha": [a for a in alpha if a is not None] or None,
        "activation_beta": [b for b in beta if b is not None] or None,
    }
