"""One LSTM, GRU or RNN node of an ONNX model: what it says, as arguments and weights of a layer."""

from dataclasses import dataclass

import numpy as np

from .building import as_array
from .gates import ONNX, ONNX_PEEPHOLES, our_peepholes, ours, reordered
from .onnx_activations import DEFAULTS, to_ours
from .onnx_read import attributes

CELLS = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn"}

_INPUTS = "X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"
_USUAL = {"lstm": ["Sigmoid", "Tanh", "Tanh"], "gru": ["Sigmoid", "Tanh"], "rnn": ["Tanh"]}


@dataclass(frozen=True)
class RecurrentNode:
    """What a recurrent node says.

    Attributes
    ----------
    name : str
        Its own, or that of its first output.
    inputs : dict of str to str
        Names of the values that it reads; without those it does not have.
    y : str
        Name of the value that all its steps are; "" if they are nothing.
    y_h : str
        That of the final h.
    layout : int
        1 for batch-first.
    arguments : dict
        Of a layer, and "cell".
    weights : list of dict
        Of each direction, by our names without "_l0".
    """

    name: str
    inputs: dict
    y: str
    y_h: str
    layout: int
    arguments: dict
    weights: list


def read_node(model, node):
    """Return a node of a ``Model`` as a ``RecurrentNode``; raise for what has no equivalent."""
    name = name_of(node)
    cell, found = CELLS[node.op_type], attributes(node)
    inputs = {key: value for key, value in zip(_INPUTS, node.input, strict=False) if value}
    W, R, B, P = (_weight(model, inputs, key, name) for key in "WRBP")
    direction = found.get("direction", "forward")
    directions = 2 if direction == "bidirectional" else 1
    hidden_size = found.get("hidden_size", R.shape[-1])
    _check_shapes(name, cell, directions, hidden_size, W, R, B, P)
    gate, candidate = _activations(found, cell, directions, name)
    arguments = {
        "cell": cell,
        "input_size": W.shape[2],
        "hidden_size": hidden_size,
        "bias": B is not None,
        "bidirectional": directions == 2,
        "go_backwards": direction == "reverse",
        "activation": candidate,
        # Attributes are float32: of all numbers that may have been meant, the shortest.
        "clip": float(str(np.float32(found["clip"]))) if "clip" in found else None,
    }
    if cell != "rnn":
        arguments["recurrent_activation"] = gate
    arguments |= _form(cell, found, P)
    weights = [
        _direction(arguments, W[d], R[d], None if B is None else B[d], None if P is None else P[d])
        for d in range(directions)
    ]
    y, y_h = [*node.output, "", ""][:2]
    return RecurrentNode(name, inputs, y, y_h, found.get("layout", 0), arguments, weights)


def name_of(node):
    """Return the name of a node, or of its first output."""
    return node.name or next((output for output in node.output if output), "")


def _weight(model, inputs, key, name):
    if key not in inputs:
        return None
    array = model.constant(inputs[key])
    if array is None:
        raise ValueError(
            f"{key} of node {name!r}, {inputs[key]!r}, is an input of the model or computed from "
            "one. The weights of a layer must be in the model: as initializers or constants."
        )
    return as_array(array)


def _check_shapes(name, cell, directions, hidden_size, W, R, B, P):
    columns = len(ONNX[cell]) * hidden_size
    wanted = {
        "W": (W, (directions, columns, W.shape[-1])),
        "R": (R, (directions, columns, hidden_size)),
        "B": (B, (directions, 2 * columns)),
        "P": (P, (directions, 3 * hidden_size)),
    }
    for key, (array, shape) in wanted.items():
        if array is not None and array.shape != shape:
            raise ValueError(
                f"{key} of node {name!r} must have the shape {shape}, with hidden_size="
                f"{hidden_size} and {directions} direction(s), but has {array.shape}."
            )


def _activations(found, cell, directions, name):
    """Return our names of the activations of the gates and of the candidate."""
    names = found.get("activations") or _USUAL[cell] * directions
    values = {key: list(found.get(f"activation_{key}") or []) for key in ("alpha", "beta")}
    ours = []
    for one in names:
        default = DEFAULTS.get(one.lower())
        if default is not None:
            default = default._replace(
                **{
                    key: values[key].pop(0)
                    for key in values
                    if values[key] and getattr(default, key) is not None
                }
            )
        ours.append(None if default is None else to_ours(default))
        if ours[-1] is None:
            shown = one if default is None else str(default)
            raise ValueError(
                f"activations={names} of node {name!r} have no equivalent here: {shown} is none of "
                "ours."
            )
    own = ours[: len(_USUAL[cell])]
    if ours != own * directions or (cell == "lstm" and own[1] != own[2]):
        raise ValueError(
            f"activations={names} of node {name!r} have no equivalent here: the directions, and g "
            "and h of an LSTM, share theirs."
        )
    return own[0], own[1] if len(own) > 1 else own[0]


def _form(cell, found, P):
    """Return the arguments that choose among the forms of a cell."""
    if cell == "gru":
        return {"reset_after": bool(found.get("linear_before_reset", 0))}
    if cell == "lstm":
        return {"peephole": P is not None, "input_forget": bool(found.get("input_forget", 0))}
    return {}


def _direction(arguments, W, R, B, P):
    """Return the weights of one direction by our names."""
    cell, input_forget = arguments["cell"], arguments.get("input_forget", False)

    def turned(array):
        return reordered(array, ONNX[cell], ours(cell, input_forget))

    found = {"weight_ih": turned(W), "weight_hh": turned(R)}
    if B is not None:
        of_x, of_h = map(turned, np.split(B, 2))
        if arguments.get("reset_after", False):
            found |= {"bias_ih": of_x, "bias_hh": of_h}
        else:
            found["bias"] = of_x + of_h
    if P is not None:
        found["weight_ch"] = reordered(P, ONNX_PEEPHOLES, our_peepholes(input_forget))
    return found
