"""What all imports share: optional packages, a layer from arguments and weights."""

import contextlib

import numpy as np

from ..nn.layers import GRU, LSTM, SimpleRNN

LAYERS = {"lstm": LSTM, "gru": GRU, "rnn": SimpleRNN}
CELL_OF_GATES = {4: "lstm", 3: "gru", 1: "rnn"}


@contextlib.contextmanager
def optional(package, command):
    """Turn the error of a package that is not installed into one that says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ImportError(
            f"This needs {package}, which is not installed: pip install {command}", name=package
        ) from error


def as_array(weight):
    """Return a weight of any library as an array of float32 or float64; half precision grows."""
    if hasattr(weight, "detach"):
        weight = weight.detach().cpu()
        if weight.element_size() < 4:
            weight = weight.float()
    array = np.asarray(weight)
    if array.dtype == np.float64:
        return array
    if array.dtype.kind not in "fiuV":
        raise TypeError(f"Weights must be arrays of real numbers, but one is {array.dtype}.")
    return array.astype(np.float32)


def dtype_of(weights):
    """Return the dtype of a layer that holds all weights without loss."""
    return np.result_type(np.float32, *weights).name


def make_layer(cell, arguments, weights, what):
    """Return a layer of ``cell`` with its weights; see ``fill``."""
    layer = LAYERS[cell](**{"dtype": dtype_of(weights.values())} | arguments)
    fill(layer, weights, what)
    return layer


def fill(layer, weights, what):
    """Copy weights into a layer, all of them or none.

    Parameters
    ----------
    layer : LSTM, GRU or SimpleRNN
    weights : dict of str to array
        By the names of ``layer.weights``.
    what : str
        Where they come from, for messages.

    Raises
    ------
    ValueError
        If a weight is missing, has another shape, or does not belong to the layer.
    """
    own = layer.weights
    missing = [name for name in own if name not in weights]
    unknown = [name for name in weights if name not in own]
    if missing or unknown:
        found = [f"lacks {', '.join(missing)}"] if missing else []
        found += [f"has {', '.join(unknown)} beside them"] if unknown else []
        raise ValueError(
            f"{what} must hold the weights of {layer!r}, that is {', '.join(own)}, but "
            f"{' and '.join(found)}."
        )
    for name, weight in weights.items():
        if weight.shape != own[name].shape:
            raise ValueError(
                f"{what}: {name} must have the shape {own[name].shape} for {layer!r}, but has "
                f"{weight.shape}."
            )
    for name, weight in weights.items():
        own[name][...] = weight


def check_neutral(layer, neutral, target, advice=""):
    """Raise if an argument of a layer has a value that ``target`` has no place for.

    Parameters
    ----------
    layer : LSTM, GRU or SimpleRNN
    neutral : dict of str to tuple
        Arguments, and the values that can be expressed.
    target, advice : str
    """
    for name, values in neutral.items():
        value = getattr(layer, name, values[0])
        if value not in values:
            allowed = " or ".join(repr(one) for one in values)
            raise ValueError(
                f"{target} has nothing for {name}={value!r} of {type(layer).__name__}; only "
                f"{name}={allowed} can be converted.{advice}"
            )


def cell_of(layer, owner):
    """Return "lstm", "gru" or "rnn"; raise if ``layer`` is none of the recurrent layers."""
    for cell, kind in LAYERS.items():
        if isinstance(layer, kind):
            return cell
    raise TypeError(
        f"{owner} takes a layer of lstm_numba: LSTM, GRU or SimpleRNN. Got "
        f"{type(layer).__name__} instead."
    )


def suffixes(layer):
    """Return for each layer of a stack the endings of its weights' names, one per direction."""
    ends = ["", "_reverse"] if layer.bidirectional else [""]
    return [[f"_l{k}{end}" for end in ends] for k in range(layer.num_layers)]
