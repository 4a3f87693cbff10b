"""Layers from and to torch.nn.LSTM, GRU and RNN."""

import itertools
import re
from collections.abc import Mapping

import numpy as np

from .building import (
    CELL_OF_GATES,
    as_array,
    cell_of,
    check_neutral,
    fill,
    make_layer,
    optional,
    suffixes,
)

_WEIGHT = re.compile(r"(.*?)((?:weight_(?:ih|hh|hr)|bias(?:_ih|_hh)?)_l(\d+)(?:_reverse)?)$")
_MODES = "LSTM", "GRU", "RNN_TANH", "RNN_RELU"

# In torch's order.
_KINDS = "weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"

# Values that torch's layers have a place for: of what decides on the weights, and of all else.
_WEIGHTS_NEUTRAL = {"peephole": (False,), "input_forget": (False,), "reset_after": (True,)}
_NEUTRAL = _WEIGHTS_NEUTRAL | {
    "recurrent_activation": ("sigmoid",),
    "input_dropout": (0,),
    "recurrent_dropout": (0,),
    "clip": (None,),
    "kernel_regularizer": (None,),
    "recurrent_regularizer": (None,),
    "bias_regularizer": (None,),
    "activity_regularizer": (None,),
    "kernel_constraint": (None,),
    "recurrent_constraint": (None,),
    "bias_constraint": (None,),
    "return_sequences": (True,),
    "go_backwards": (False,),
    "stateful": (False,),
}


def from_torch(source, *, cell=None, prefix=None, **arguments):
    """Return a layer with the weights of torch.nn.LSTM, GRU or RNN.

    Parameters
    ----------
    source : torch.nn.Module or mapping of str to array or tensor
        A recurrent module, or one that holds a recurrent module; its arguments are read. Or what
        its ``state_dict()`` returned, in torch or as arrays, say from a file: then sizes are those
        of the weights, and what weights do not tell has our defaults (``batch_first=True``).
    cell : {"lstm", "gru", "rnn"}, optional
        By default what the shapes of the weights say.
    prefix : str, optional
        What stands before "weight_ih_l0", for example "encoder.rnn."; needed where a model has
        several recurrent modules.
    **arguments
        Further arguments of the layer, for example ``activation="relu"`` for the weights of a
        torch.nn.RNN of that kind. They count more than those that were read.

    Returns
    -------
    LSTM, GRU or SimpleRNN
        Outputs, states and gradients are those of the module. The two biases that torch adds up
        are one bias here; in a GRU they stay apart.

    Raises
    ------
    TypeError, ValueError
        If there are no weights of a recurrent module, several modules, or some are missing or do
        not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from lstm_numba import interop
    >>> rng = np.random.default_rng(0)
    >>> state_dict = {
    ...     "encoder.weight_ih_l0": rng.standard_normal((9, 5)),
    ...     "encoder.weight_hh_l0": rng.standard_normal((9, 3)),
    ...     "encoder.bias_ih_l0": np.zeros(9),
    ...     "encoder.bias_hh_l0": np.zeros(9),
    ...     "head.weight": np.zeros((1, 3)),
    ... }
    >>> interop.from_torch(state_dict, dtype="float32")
    GRU(5, 3)
    """
    modules = _recurrent_modules(source)
    weights, prefix = _read(source, prefix)
    found = _sizes(weights)
    read = found.pop("cell")
    if cell not in (None, read):
        raise ValueError(
            f"The weights have the shapes of cell={read!r}: {_shapes(weights)}. Got cell={cell!r} "
            "instead."
        )
    module = modules.get(prefix)
    if module is not None:
        names = ("batch_first", "dropout")
        found |= {name: getattr(module, name) for name in names}
        if module.mode == "RNN_RELU":
            found["activation"] = "relu"
    return make_layer(read, found | arguments, _with_our_biases(weights, read), "The weights")


def load_torch(layer, source, *, prefix=None):
    """Copy the weights of a torch module into a layer that exists.

    Parameters
    ----------
    layer : LSTM, GRU or SimpleRNN
    source, prefix :
        As in ``from_torch``.

    Raises
    ------
    TypeError, ValueError
        If a weight is missing, has another shape or does not belong to the layer, which then stays
        as it was.

    Examples
    --------
    >>> from lstm_numba import LSTM, interop
    >>> one, other = LSTM(2, 3, random_state=1), LSTM(2, 3, random_state=2)
    >>> interop.load_torch(one, interop.to_state_dict(other))
    >>> bool((one.weights["weight_ih_l0"] == other.weights["weight_ih_l0"]).all())
    True
    """
    cell = cell_of(layer, "load_torch")
    weights, _ = _read(source, prefix)
    fill(layer, _with_our_biases(weights, cell), "The weights")


def to_state_dict(layer):
    """Return the weights of a layer by torch's names, as arrays.

    Parameters
    ----------
    layer : LSTM, GRU or SimpleRNN

    Returns
    -------
    dict of str to array
        Copies, for ``load_state_dict`` after ``torch.from_numpy``, or to be saved. Where we have
        one bias and torch two, the second is zero.

    Examples
    --------
    >>> from lstm_numba import LSTM, interop
    >>> {name: a.shape for name, a in interop.to_state_dict(LSTM(2, 3)).items()}
    {'weight_ih_l0': (12, 2), 'weight_hh_l0': (12, 3), 'bias_ih_l0': (12,), 'bias_hh_l0': (12,)}
    """
    cell_of(layer, "to_state_dict")
    check_neutral(layer, _WEIGHTS_NEUTRAL, "A state_dict of torch")
    own = layer.weights
    found = {}
    for suffix in itertools.chain(*suffixes(layer)):
        for kind in _KINDS:
            name = f"{kind}{suffix}"
            if name in own:
                found[name] = np.array(own[name], order="C")
            elif f"bias{suffix}" in own and kind.startswith("bias"):
                bias = own[f"bias{suffix}"]
                found[name] = bias.copy() if kind == "bias_ih" else np.zeros_like(bias)
    return found


def to_torch(layer):
    """Return a torch.nn.LSTM, GRU or RNN that computes what a layer computes.

    Parameters
    ----------
    layer : LSTM, GRU or SimpleRNN

    Returns
    -------
    torch.nn.Module
        In evaluation mode, as a layer is when it is called without ``training=True``.

    Raises
    ------
    ImportError
        Without torch.
    ValueError
        If the layer has an argument that torch's does not have.

    Examples
    --------
    >>> from lstm_numba import LSTM, interop
    >>> module = interop.to_torch(LSTM(2, 3, num_layers=2))  # doctest: +SKIP
    >>> module  # doctest: +SKIP
    LSTM(2, 3, num_layers=2, batch_first=True)
    """
    cell = cell_of(layer, "to_torch")
    with optional("torch", "torch"):
        import torch
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[cell]
    neutral = {"activation": ("tanh", "relu") if cell == "rnn" else ("tanh",)}
    if layer.bidirectional:
        neutral["merge_mode"] = ("concat",)
    check_neutral(layer, _NEUTRAL | neutral, f"torch.nn.{kind.__name__}")
    own = {"lstm": {"proj_size": layer.proj_size}, "rnn": {"nonlinearity": layer.activation}}
    module = kind(
        layer.input_size,
        layer.hidden_size,
        layer.num_layers,
        bias=layer.bias,
        batch_first=layer.batch_first,
        dropout=layer.dropout if layer.num_layers > 1 else 0,
        bidirectional=layer.bidirectional,
        dtype=getattr(torch, np.dtype(layer.dtype).name),
        **own.get(cell, {}),
    )
    weights = to_state_dict(layer).items()
    module.load_state_dict({name: torch.from_numpy(array) for name, array in weights})
    return module.eval()


def _recurrent_modules(source):
    """Return the recurrent modules in a torch module by the prefixes of their weights."""
    if not hasattr(source, "named_modules"):
        return {}
    return {
        f"{name}." if name else "": module
        for name, module in source.named_modules()
        if getattr(module, "mode", None) in _MODES
    }


def _read(source, prefix):
    """Return the weights of one recurrent module as arrays, and their prefix."""
    state_dict = source.state_dict() if hasattr(source, "state_dict") else source
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            "The weights must be a torch.nn.Module or a mapping of names to arrays, as "
            f"state_dict() returns it. Got {type(source).__name__} instead."
        )
    groups = {}
    for name, weight in state_dict.items():
        match = _WEIGHT.match(name)
        if match:
            groups.setdefault(match[1], {})[match[2]] = weight
    groups = {one: weights for one, weights in groups.items() if "weight_ih_l0" in weights}
    found = ", ".join(repr(one) for one in groups)
    if prefix is None and len(groups) > 1:
        raise ValueError(
            f"There are several recurrent modules, with the prefixes {found}: say which one is "
            "meant, prefix="
        )
    if not groups or prefix not in (None, *groups):
        raise ValueError(
            f"No weights of a recurrent module, such as '{prefix or ''}weight_ih_l0'. "
            + (f"Prefixes that have some are {found}." if groups else _listed(state_dict))
        )
    prefix = next(iter(groups)) if prefix is None else prefix
    return {name: as_array(weight) for name, weight in groups[prefix].items()}, prefix


def _listed(state_dict):
    names = [repr(name) for name in state_dict]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"Found {', '.join(names[:5]) or 'nothing'}{more}."


def _shapes(weights):
    return ", ".join(f"{name} {weight.shape}" for name, weight in weights.items())


def _sizes(weights):
    """Return the cell, and the arguments of a layer, that the shapes of weights tell."""
    w_x, w_h = weights.get("weight_ih_l0"), weights.get("weight_hh_l0")
    w_r = weights.get("weight_hr_l0")
    if w_x is None or w_h is None or any(w.ndim != 2 for w in (w_x, w_h, w_r) if w is not None):
        raise ValueError(
            "The weights must hold weight_ih_l0 (gates hidden_size, input_size) and weight_hh_l0 "
            f"(gates hidden_size, hidden_size), but are {_shapes(weights)}."
        )
    hidden_size = (w_h if w_r is None else w_r).shape[1]
    gates, rest = divmod(len(w_x), hidden_size)
    if rest or gates not in CELL_OF_GATES or len(w_h) != len(w_x):
        raise ValueError(
            "weight_ih_l0 and weight_hh_l0 must have 4 (LSTM), 3 (GRU) or 1 (RNN) times as many "
            f"rows as the layer has units, but the weights are {_shapes(weights)}."
        )
    found = {
        "cell": CELL_OF_GATES[gates],
        "input_size": w_x.shape[1],
        "hidden_size": hidden_size,
        "num_layers": 1 + max(int(_WEIGHT.match(name)[3]) for name in weights),
        "bidirectional": any(name.endswith("_reverse") for name in weights),
        "bias": any(name.startswith("bias") for name in weights),
    }
    return found if w_r is None else found | {"proj_size": len(w_r)}


def _with_our_biases(weights, cell):
    """Return weights with the two biases of torch added up, unless the cell keeps them apart."""
    if cell == "gru":
        return weights
    found = dict(weights)
    for name in weights:
        second = name.replace("bias_ih", "bias_hh")
        if name.startswith("bias_ih") and second in weights:
            found[name.replace("bias_ih", "bias")] = found.pop(name) + found.pop(second)
    return found
