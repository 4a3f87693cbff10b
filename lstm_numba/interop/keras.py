"""Layers from keras.layers.LSTM, GRU, SimpleRNN and Bidirectional."""

import sys
from collections.abc import Sequence

from ..kernels.activations import ACTIVATIONS
from ..nn import constraints, regularizers
from .building import as_array, make_layer
from .keras_weights import sizes, split, to_ours

_CELLS = {"LSTM": "lstm", "GRU": "gru", "SimpleRNN": "rnn"}

# Arguments of Keras by the names that they have here.
_RENAMED = {
    "units": "hidden_size",
    "use_bias": "bias",
    "dropout": "input_dropout",
    "recurrent_dropout": "recurrent_dropout",
    "return_sequences": "return_sequences",
    "go_backwards": "go_backwards",
    "stateful": "stateful",
    "unit_forget_bias": "unit_forget_bias",
    "reset_after": "reset_after",
}
# What has no effect here: how Keras computes, and what the weights began with.
_WITHOUT_EFFECT = {
    "name", "trainable", "dtype", "return_state", "unroll", "implementation", "seed", "use_cudnn",
    "batch_input_shape", "kernel_initializer", "recurrent_initializer", "bias_initializer",
}  # fmt: skip
_REGULARIZERS = {"L1": regularizers.L1, "L2": regularizers.L2, "L1L2": regularizers.L1L2}
_CONSTRAINTS = {
    "MaxNorm": constraints.MaxNorm,
    "NonNeg": constraints.NonNeg,
    "UnitNorm": constraints.UnitNorm,
    "MinMaxNorm": constraints.MinMaxNorm,
}


def from_keras(source, *, cell=None, **arguments):
    """Return a layer with the weights, and from a Keras layer with the arguments, of Keras.

    Parameters
    ----------
    source : Keras layer, list of layers or list of array
        keras.layers.LSTM, GRU, SimpleRNN or Bidirectional of these, built; several on top of each
        other, as a list or a keras.Sequential, with the same arguments and perhaps Dropout between
        them; of a model that has other layers too, ``model.layers[1]``, say. Or what
        ``get_weights()`` of any of these returned: then sizes are those of the weights and all else
        has our defaults, such as ``return_sequences=True``.
    cell : {"lstm", "gru", "rnn"}, optional
        By default the layer's, or what the shapes of the weights say.
    **arguments
        Further arguments of the layer, for example ``bidirectional=True`` for a list of weights.
        They count more than those that were read.

    Returns
    -------
    LSTM, GRU or SimpleRNN

    Raises
    ------
    TypeError, ValueError
        If the layer has an argument that has no equivalent here, is not built, or is no recurrent
        layer; if weights do not fit together.

    Notes
    -----
    ``dropout`` becomes ``input_dropout``; "hard_sigmoid" is that of the version of Keras that made
    the layer. Accepted and without effect are ``implementation``, ``unroll`` and ``use_cudnn``:
    there is one fast way to compute here; ``return_state``: the state is always returned;
    ``seed`` and the initializers: the weights are there.

    Examples
    --------
    >>> import numpy as np
    >>> from lstm_numba import interop
    >>> rng = np.random.default_rng(0)
    >>> weights = [rng.standard_normal(shape) for shape in [(5, 12), (3, 12), (12,)]]
    >>> interop.from_keras(weights, dtype="float32", return_sequences=False)
    LSTM(5, 3, return_sequences=False)
    """
    if hasattr(source, "get_config") and not hasattr(source, "layers"):
        source = [source]
    layers = getattr(source, "layers", source)
    if isinstance(layers, str) or not isinstance(layers, Sequence):
        raise _not_taken(source)
    if layers and not hasattr(layers[0], "get_config"):
        return _from_weights([as_array(array) for array in layers], cell, arguments)
    found, groups = _read_stack(layers)
    if cell not in (None, found["cell"]):
        raise ValueError(f"The layer is of cell={found['cell']!r}. Got cell={cell!r} instead.")
    return _make(found | arguments, groups)


def _from_weights(arrays, cell, arguments):
    groups, has_bias, bidirectional = split(arrays, arguments.get("bidirectional"))
    found = sizes(groups[0], has_bias)
    if cell not in (None, found["cell"]):
        raise ValueError(
            f"The weights have the shapes of cell={found['cell']!r}. Got cell={cell!r} instead."
        )
    found |= {"bidirectional": bidirectional, "num_layers": len(groups) // (1 + bidirectional)}
    return _make(found | arguments, groups)


def _make(arguments, groups):
    """Return the layer of arguments, among them "cell", and arrays of each layer and direction."""
    cell, ends = arguments.pop("cell"), ["", "_reverse"]
    directions = 1 + arguments["bidirectional"]
    weights = {}
    for at, arrays in enumerate(groups):
        suffix = f"_l{at // directions}{ends[at % directions]}"
        weights |= to_ours(arrays, cell, suffix)
    return make_layer(cell, arguments, weights, "The weights")


# layers and their arguments


def _read_stack(layers):
    """Return the arguments of layers on top of each other, and their weights."""
    found, groups, dropouts = [], [], {}
    for layer in layers:
        kind = type(layer).__name__
        if kind == "InputLayer":
            continue
        if kind == "Dropout" and found and len(found) not in dropouts:
            dropouts[len(found)] = layer.rate
            continue
        arguments, arrays = _read_layer(layer)
        found.append(arguments)
        groups += arrays
    if not found:
        raise ValueError("from_keras takes layers or their weights. Got an empty list instead.")
    _check_stack(found, dropouts)
    whole = found[-1] | {"num_layers": len(found), "input_size": found[0]["input_size"]}
    whole["go_backwards"] = found[0].get("go_backwards", False)
    if dropouts:
        whole["dropout"] = dropouts[1]
    return whole, groups


def _check_stack(found, dropouts):
    """Raise unless one stack of ours computes what the layers compute.

    ``dropouts`` are the rates of Dropout by the number of layers before it.
    """
    expected = {"return_sequences": True, "activity_regularizer": None}
    first = found[0] | {"go_backwards": False}
    for k, arguments in enumerate(found):
        wanted = first | (expected if k < len(found) - 1 else {})
        for name, value in arguments.items():
            free = name == "input_size" or (name == "go_backwards" and k == 0)
            free = free or (name in expected and k == len(found) - 1)
            if not free and value != wanted[name]:
                raise ValueError(
                    "Layers on top of each other become one stack if they have the same "
                    f"arguments, but {name} of layer {k} is {value!r} and must be "
                    f"{wanted[name]!r}. Convert them one by one."
                )
    everywhere = set(dropouts) in (set(), set(range(1, len(found))))
    if not everywhere or len(set(dropouts.values())) > 1:
        raise ValueError(
            "A stack has the same dropout between all its layers and none at its end, but here "
            f"Dropout follows layers {[k - 1 for k in dropouts]} of {len(found)} with the rates "
            f"{list(dropouts.values())}. Convert the layers one by one."
        )


def _read_layer(layer):
    """Return the arguments of a layer, and its weights as arrays of each direction."""
    if type(layer).__name__ != "Bidirectional":
        return _read_direction(layer) | {"bidirectional": False}, [_built_weights(layer)]
    forward, backward = layer.forward_layer, layer.backward_layer
    # Keras itself sets it in both.
    own = {"zero_output_for_mask"}
    found, other = _read_direction(forward, own), _read_direction(backward, own)
    if found["go_backwards"] or not other["go_backwards"]:
        raise ValueError(
            "The first layer of a Bidirectional must have go_backwards=False and the second True, "
            f"but they have {found['go_backwards']} and {other['go_backwards']}."
        )
    for name, value in other.items():
        if name != "go_backwards" and value != found.get(name):
            raise ValueError(
                f"{name} must be the same in both directions of a Bidirectional, but is "
                f"{found.get(name)!r} and {value!r}."
            )
    if layer.merge_mode is None:
        raise ValueError(
            "merge_mode=None of Bidirectional, two outputs side by side, has no equivalent: take "
            "merge_mode='concat' and split y."
        )
    found |= {"bidirectional": True, "merge_mode": layer.merge_mode}
    return found, [_built_weights(forward), _built_weights(backward)]


def _built_weights(layer):
    arrays = [as_array(array) for array in layer.get_weights()]
    if not arrays:
        raise ValueError(
            f"{type(layer).__name__} {layer.name!r} has no weights yet: call it on data, or "
            "build((None, None, features))."
        )
    return arrays


def _read_direction(layer, ignored=frozenset()):
    """Return the cell and our arguments of keras.layers.LSTM, GRU or SimpleRNN."""
    kind = type(layer).__name__
    if kind not in _CELLS:
        raise _not_taken(layer)
    found = {"cell": _CELLS[kind], "input_size": len(_built_weights(layer)[0])}
    for name, value in layer.get_config().items():
        if name in _RENAMED:
            found[_RENAMED[name]] = value
        elif name == "time_major":
            found["batch_first"] = not value
        elif name in ("activation", "recurrent_activation"):
            found[name] = _activation(name, value, layer)
        elif name.endswith("_regularizer"):
            found[name] = _converted(name, value, _REGULARIZERS)
        elif name.endswith("_constraint"):
            found[name] = _converted(name, value, _CONSTRAINTS)
        elif value and name not in _WITHOUT_EFFECT | ignored:
            raise ValueError(f"{name}={value!r} of keras.layers.{kind} has no equivalent here.")
    norms = found["cell"] == "gru" and found.get("reset_after") and found["bias"]
    if norms and not isinstance(found["bias_constraint"], constraints.NonNeg | None):
        raise ValueError(
            "bias_constraint of keras.layers.GRU with reset_after=True has no equivalent: its two "
            "biases share a norm there, and have one each here."
        )
    return found


def _not_taken(source):
    return TypeError(
        "from_keras takes keras.layers.LSTM, GRU, SimpleRNN or Bidirectional of these, or lists of "
        f"them or of their weights. Got {type(source).__name__} instead."
    )


def _activation(name, value, layer):
    """Return our name of an activation."""
    found = {"swish": "silu", None: "linear"}.get(value, value) if _is_plain(value) else value
    if found == "hard_sigmoid" and _version(layer) < 3:
        return "hard_sigmoid_keras2"
    if not _is_plain(value) or found not in ACTIVATIONS:
        raise ValueError(
            f"{name}={value!r} of keras.layers.{type(layer).__name__} has no equivalent here, "
            f"where it may be one of {', '.join(ACTIVATIONS)}."
        )
    return found


def _is_plain(value):
    return value is None or isinstance(value, str)


def _version(layer):
    """Return the major version of the Keras that made a layer."""
    package = type(layer).__module__.partition(".")[0]
    version = getattr(sys.modules.get(package), "__version__", "3")
    return int(version.partition(".")[0])


def _converted(name, value, kinds):
    """Return the regularizer or constraint of a config of Keras."""
    if value is None:
        return None
    if value.get("class_name") not in kinds:
        raise ValueError(
            f"{name}={value!r} has no equivalent here, where it may be one of {', '.join(kinds)}."
        )
    config = {key: float(one) if key != "axis" else one for key, one in value["config"].items()}
    return kinds[value["class_name"]](**config)
