"""Layers to keras.layers.LSTM, GRU, SimpleRNN and Bidirectional."""

import itertools

import numpy as np

from ..kernels.activations import ACTIVATIONS
from ..nn.constraints import MaxNorm, MinMaxNorm, NonNeg, UnitNorm, constraint
from ..nn.regularizers import L1, L1L2, L2, regularizer
from .building import cell_of, check_neutral, optional, suffixes
from .keras_weights import to_theirs

# Values that Keras has a place for: of what decides on the weights, and of all else.
_WEIGHTS_NEUTRAL = {"proj_size": (0,), "peephole": (False,), "input_forget": (False,)}
_ACTIVATIONS = tuple(name for name in ACTIVATIONS if name != "hard_sigmoid_keras2")
_NEUTRAL = _WEIGHTS_NEUTRAL | {
    "batch_first": (True,),
    "activation": _ACTIVATIONS,
    "recurrent_activation": _ACTIVATIONS,
    "clip": (None,),
}
_PENALTIES_AND_CONSTRAINTS = (L1, L2, L1L2, MaxNorm, MinMaxNorm, NonNeg, UnitNorm)


def to_keras_weights(layer):
    """Return the weights of a layer as ``get_weights()`` of Keras has them.

    Parameters
    ----------
    layer : LSTM, GRU or SimpleRNN

    Returns
    -------
    list of array
        For ``set_weights`` of a keras.layers.LSTM, GRU or SimpleRNN, or of a Bidirectional; with
        ``num_layers`` above 1 of the layers one after the other, as in a keras.Sequential.

    Raises
    ------
    ValueError
        If the layer has weights that Keras has no place for.

    Examples
    --------
    >>> from lstm_numba import GRU, interop
    >>> [array.shape for array in interop.to_keras_weights(GRU(5, 3))]
    [(5, 9), (3, 9), (2, 9)]
    """
    cell = cell_of(layer, "to_keras_weights")
    check_neutral(layer, _WEIGHTS_NEUTRAL, "Keras")
    own = layer.weights
    return [
        array
        for suffix in itertools.chain(*suffixes(layer))
        for array in to_theirs(own, cell, suffix)
    ]


def to_keras(layer, *, batch_size=None):
    """Return layers of Keras, built and with weights, that compute what a layer computes.

    Parameters
    ----------
    layer : LSTM, GRU or SimpleRNN
    batch_size : int, optional
        Rows of each call, which Keras must know of a layer that is ``stateful``.

    Returns
    -------
    keras.Layer
        A keras.layers.LSTM, GRU or SimpleRNN, or a Bidirectional of it; with ``num_layers`` above 1
        a keras.Sequential of them, with Dropout between them if the layer has ``dropout``.
        Initializers are Keras's own.

    Raises
    ------
    ImportError
        Without Keras.
    ValueError
        If the layer has an argument that Keras's does not have.

    Examples
    --------
    >>> from lstm_numba import LSTM, interop
    >>> keras_layer = interop.to_keras(LSTM(2, 3))  # doctest: +SKIP
    """
    cell_of(layer, "to_keras")
    with optional("keras", "keras"):
        import keras
    check_neutral(layer, _NEUTRAL, "Keras")
    if layer.stateful and batch_size is None:
        raise ValueError(
            "Keras must know the batch size of a layer with stateful=True: give batch_size."
        )
    parts = []
    for k in range(layer.num_layers):
        if k and layer.dropout:
            parts.append(keras.layers.Dropout(layer.dropout))
        parts.append(_one_layer(keras, layer, k))
    whole = keras.Sequential(parts) if len(parts) > 1 else parts[0]
    whole.build((batch_size, None, layer.input_size))
    whole.set_weights(to_keras_weights(layer))
    return whole


def _one_layer(keras, layer, k):
    """Return the Keras layer for layer ``k`` of a stack."""
    cell = cell_of(layer, "to_keras")
    is_last = k == layer.num_layers - 1
    arguments = {
        "units": layer.hidden_size,
        "activation": layer.activation,
        "use_bias": layer.bias,
        "dropout": layer.input_dropout,
        "recurrent_dropout": layer.recurrent_dropout,
        "return_sequences": layer.return_sequences or not is_last,
        # What it puts out begins with the newest step, so only the first layer turns it round.
        "go_backwards": layer.go_backwards and k == 0,
        "stateful": layer.stateful,
        "dtype": np.dtype(layer.dtype).name,
    }
    if cell != "rnn":
        arguments["recurrent_activation"] = layer.recurrent_activation
    if cell == "gru":
        arguments["reset_after"] = layer.reset_after
    if cell == "lstm":
        arguments["unit_forget_bias"] = layer.unit_forget_bias
    arguments |= _penalties_and_constraints(keras, layer, is_last)
    kind = {"lstm": "LSTM", "gru": "GRU", "rnn": "SimpleRNN"}[cell]
    one = getattr(keras.layers, kind)(**arguments)
    return keras.layers.Bidirectional(one, layer.merge_mode) if layer.bidirectional else one


def _penalties_and_constraints(keras, layer, is_last):
    """Return the regularizers and constraints of a layer as Keras's own."""
    two_biases = cell_of(layer, "to_keras") == "gru" and layer.bias and layer.reset_after
    if two_biases and not isinstance(constraint(layer.bias_constraint), NonNeg | None):
        raise ValueError(
            f"Keras has nothing for bias_constraint={layer.bias_constraint!r} of GRU with "
            "reset_after=True: the two biases share a norm there, and have one each here."
        )
    found = {}
    for role in ("kernel", "recurrent", "bias", *(["activity"] if is_last else [])):
        name = f"{role}_regularizer"
        found[name] = _converted(name, regularizer(getattr(layer, name)), keras.regularizers)
    for role in ("kernel", "recurrent", "bias"):
        name = f"{role}_constraint"
        found[name] = _converted(name, constraint(getattr(layer, name)), keras.constraints)
    return found


def _converted(name, value, module):
    """Return Keras's own of our regularizer or constraint."""
    if value is None:
        return None
    if type(value) not in _PENALTIES_AND_CONSTRAINTS:
        raise ValueError(f"Keras has nothing for {name}={value!r}; set it to None to go without.")
    return getattr(module, type(value).__name__)(**vars(value))
