"""The weights of Keras's recurrent layers, by our names and back.

A layer of Keras has a kernel (inputs, gates units), a recurrent kernel (units, gates units) and a
bias (gates units,). The GRU with ``reset_after`` has two biases, (2, gates units).
"""

import numpy as np

from .building import CELL_OF_GATES
from .gates import KERAS, OURS, reordered


def sizes(arrays, has_bias):
    """Return the cell, and the arguments of a layer, that the arrays of one direction tell."""
    shapes = ", ".join(str(array.shape) for array in arrays)
    kernel, recurrent = arrays[:2]
    if any(array.ndim != 2 for array in (kernel, recurrent)):
        raise _no_layer(shapes)
    hidden_size, columns = recurrent.shape
    gates, rest = divmod(columns, hidden_size)
    cell = CELL_OF_GATES.get(gates)
    if rest or cell is None or kernel.shape[1] != columns:
        raise _no_layer(shapes)
    found = {
        "cell": cell,
        "input_size": len(kernel),
        "hidden_size": hidden_size,
        "bias": has_bias,
    }
    if has_bias:
        two = arrays[2].shape == (2, columns)
        if arrays[2].shape != (columns,) and not (two and cell == "gru"):
            raise _no_layer(shapes)
        if cell == "gru" and not two:
            found["reset_after"] = False
    return found


def _no_layer(shapes):
    return ValueError(
        "The weights of a layer of Keras are (inputs, gates units), (units, gates units) and, with "
        "a bias, (gates units,) or for a GRU with reset_after (2, gates units), where an LSTM has "
        f"4 gates, a GRU 3, a SimpleRNN 1. Got {shapes} instead."
    )


def to_ours(arrays, cell, suffix):
    """Return the arrays of one layer in one direction by our names."""
    kinds = dict(zip(("weight_ih", "weight_hh", "bias"), arrays, strict=False))
    if "bias" in kinds and kinds["bias"].ndim == 2:
        kinds["bias_ih"], kinds["bias_hh"] = kinds.pop("bias")
    return {
        f"{kind}{suffix}": reordered(array.T, KERAS[cell], OURS[cell])
        for kind, array in kinds.items()
    }


def to_theirs(weights, cell, suffix):
    """Return the weights of one layer in one direction as ``get_weights`` has them."""
    kinds = ("weight_ih", "weight_hh", "bias", "bias_ih", "bias_hh")
    own = [weights[f"{kind}{suffix}"] for kind in kinds if f"{kind}{suffix}" in weights]
    arrays = [np.array(reordered(one, OURS[cell], KERAS[cell]).T, order="C") for one in own]
    return [*arrays[:2], np.stack(arrays[2:])] if len(arrays) == 4 else arrays


def split(arrays, bidirectional):
    """Return the arrays of each layer and direction, whether there are biases and two directions.

    Parameters
    ----------
    arrays : list of array
        What ``get_weights`` returned: of a layer, a Bidirectional or a stack of either.
    bidirectional : bool or None
        None for what the shapes say.

    Returns
    -------
    groups : list of list of array
    has_bias, bidirectional : bool
    """
    columns = arrays[0].shape[-1] if len(arrays) > 2 and arrays[0].ndim else None
    has_bias = len(arrays) % 3 == 0 and arrays[2].shape in ((columns,), (2, columns))
    size = 3 if has_bias else 2
    if not arrays or len(arrays) % size:
        raise ValueError(
            "The weights must be two arrays for each layer and direction, or three with biases. "
            f"Got {len(arrays)}."
        )
    groups = [arrays[first : first + size] for first in range(0, len(arrays), size)]
    if bidirectional is None:
        bidirectional = _is_bidirectional(groups)
    if bidirectional and len(groups) % 2:
        raise ValueError(
            f"bidirectional=True needs an even number of directions, but there are {len(groups)}."
        )
    return groups, has_bias, bidirectional


def _is_bidirectional(groups):
    """Return whether the second group reads what the first one reads."""
    if len(groups) == 1:
        return False
    inputs, units = (len(array) for array in groups[0][:2])
    if inputs == units == len(groups[1][0]):
        raise ValueError(
            f"With as many inputs as units, {units}, these weights may be those of two directions "
            "or of two layers. Say bidirectional=True or False."
        )
    return len(groups[1][0]) == inputs
