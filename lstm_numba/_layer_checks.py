"""The checks of the recurrent layers, each with its message; see ``_checks.py``."""

import contextlib
import math
import numbers

import numpy as np

from ._checks import InvalidParameterError, check_parameter, flag, one_of, or_none, real, whole

_RATE = real(0, 1, closed_low=True)
_ACTIVATIONS = one_of(
    "tanh", "sigmoid", "hard_sigmoid", "hard_sigmoid_keras2", "relu", "elu", "selu", "softplus",
    "softsign", "silu", "gelu", "exponential", "linear",
)  # fmt: skip

_PARAMETERS = {
    "input_size": whole(1),
    "proj_size": whole(0),
    "bias": flag,
    "batch_first": flag,
    "dropout": _RATE,
    "bidirectional": flag,
    "merge_mode": one_of("concat", "sum", "mul", "ave"),
    "activation": _ACTIVATIONS,
    "recurrent_activation": _ACTIVATIONS,
    "input_dropout": _RATE,
    "recurrent_dropout": _RATE,
    "clip": or_none(real(0, math.inf, closed_low=False)),
    "unit_forget_bias": flag,
    "peephole": flag,
    "input_forget": flag,
    "reset_after": flag,
    "return_sequences": flag,
    "go_backwards": flag,
    "stateful": flag,
    "device": one_of("cpu"),
}

# Read by their own modules.
_PARSED = ("initializer", "regularizer", "constraint")


def check_layer_parameters(values, owner):
    """Check the constructor's arguments, a dict, of the layer class ``owner``."""
    for name, value in values.items():
        if name == "random_state" and isinstance(value, np.random.Generator):
            continue
        if not name.endswith(_PARSED):
            check_parameter(name, value, owner, _PARAMETERS.get(name))
    if values.get("proj_size", 0) >= values["hidden_size"]:
        raise InvalidParameterError(
            f"The 'proj_size' parameter of {owner} must be smaller than hidden_size="
            f"{values['hidden_size']}, or 0 for no projection. Got {values['proj_size']} instead."
        )
    if values["go_backwards"] and values["bidirectional"]:
        raise InvalidParameterError(
            f"{owner} with bidirectional=True runs both ways; go_backwards=True has no meaning "
            "there. Leave one of them out."
        )


def _as_real(array, what):
    """Return an array of floats or ints, never of text, times or complex numbers."""
    try:
        array = np.asarray(array)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ValueError(
            f"{what} must be one array, but its rows have different lengths. Pad them to the same "
            "length, and give lengths to the call."
        ) from None
    if array.dtype == object:
        with contextlib.suppress(TypeError, ValueError):
            array = array.astype(np.float64)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{what} must be an array of real numbers, but has dtype {array.dtype}.")
    return array


def check_layer_input(x, input_size, batch_first, owner):
    """Return x as an array of three axes, and whether it was one sequence, of two."""
    if hasattr(x, "batch_sizes"):
        raise TypeError(
            f"x of {owner} must be an array, but is a {type(x).__name__}. Give a padded array and "
            "lengths=, as pad_packed_sequence returns them."
        )
    x = _as_real(x, f"x of {owner}")
    axes = "(batch, seq_len, features)" if batch_first else "(seq_len, batch, features)"
    add_axis = f" For one feature, add an axis: x[{':, ' * x.ndim}None]."
    if x.ndim not in (2, 3):
        raise ValueError(
            f"x of {owner} must be {axes}, or (seq_len, features) for one sequence, but has the "
            f"shape {x.shape}.{add_axis if x.ndim == 1 else ''}"
        )
    if x.shape[-1] != input_size:
        hint = add_axis if x.ndim == 2 and input_size == 1 else ""
        if x.ndim == 3 and input_size in x.shape:
            hint = " The features are expected last."
        raise ValueError(
            f"x of {owner} must be {axes} with {input_size} features (input_size), but has "
            f"{x.shape[-1]} (shape={x.shape}).{hint}"
        )
    if 0 in x.shape:
        raise ValueError(
            f"x of {owner} must hold at least one row and one step, but its shape is {x.shape}, "
            f"read as {axes[: -len(', features)')]}, features)."
        )
    return (x[None], True) if x.ndim == 2 else (x, False)


def _named(values, found):
    """List the first rows where ``found``, with their values."""
    rows = np.flatnonzero(found)
    more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
    return ", ".join(f"{values[r]} in row {r}" for r in rows[:3]) + more


def check_lengths(lengths, mask, batch, seq_len):
    """Return lengths as an int64 array."""
    if mask is not None:
        raise ValueError("Give lengths or a mask, not both: each says which steps a row takes.")
    lengths = np.asarray(lengths)
    if lengths.dtype.kind not in "iu":
        raise TypeError(f"lengths must be integers, but have dtype {lengths.dtype}.")
    if lengths.shape != (batch,):
        raise ValueError(
            f"lengths must have the shape (batch,) = ({batch},), but have {lengths.shape}."
        )
    outside = (lengths < 1) | (lengths > seq_len)
    if outside.any():
        raise ValueError(
            f"lengths must lie between 1 and seq_len={seq_len}, but are {_named(lengths, outside)}."
        )
    return lengths.astype(np.int64)


def check_mask(mask, batch, seq_len):
    """Return a mask as a bool array."""
    mask = np.asarray(mask)
    if mask.dtype != bool and not (mask.dtype.kind in "iuf" and np.isin(mask, (0, 1)).all()):
        raise TypeError(
            f"mask must be an array of bool, true for the steps to take, but has dtype "
            f"{mask.dtype}."
        )
    if mask.shape != (batch, seq_len) and (batch, *mask.shape) != (1, seq_len):
        raise ValueError(
            f"mask must have the shape (batch, seq_len) = ({batch}, {seq_len}), but has "
            f"{mask.shape}."
        )
    return mask.astype(bool).reshape(batch, seq_len)


def check_batch_of_state(kept, batch):
    """Raise unless a kept state of ``kept`` rows fits a batch."""
    if kept != batch:
        raise ValueError(
            f"stateful=True keeps a state for a batch size of {kept}, but x has {batch} rows. Give "
            "the same number of rows in each call, or call reset_state() first. The state was kept."
        )


def check_state(state, sizes, unbatched, owner):
    """Return the parts of a state, one for each of ``sizes``; None for one that has no columns."""
    wanted = [size for size in sizes if size[-1]]
    names = ("h", "c")[: len(wanted)]
    is_array = hasattr(type(state), "__array__")  # of torch too, like the input
    if not is_array and not isinstance(state, (tuple, list)):
        raise TypeError(
            f"The state of {owner} must be a State or a tuple ({', '.join(names)}) of arrays. Got "
            f"{state!r} instead."
        )
    parts = (state,) if is_array else state
    parts = [part for part in parts if part is not None]
    if len(parts) != len(wanted):
        raise ValueError(
            f"The state of {owner} must be ({', '.join(names)}), but has {len(parts)} "
            f"{'part' if len(parts) == 1 else 'parts'}."
        )
    read = []
    for name, part, size in zip(names, parts, wanted, strict=True):
        part = _as_real(part, f"{name} of the state")
        shape, axes = size, "(num_layers * directions, batch, size)"
        if unbatched:
            shape, axes = (size[0], size[2]), "(num_layers * directions, size)"
        if part.shape != shape:
            hint = ""
            if not unbatched and part.shape == (size[1], size[0], size[2]):
                hint = " States are never batch-first: swap the first two axes."
            raise ValueError(
                f"{name} of the state must be {axes} = {shape}, but has the shape {part.shape}."
                + hint
            )
        read.append(part.reshape(size))
    return read + [None] * (len(sizes) - len(wanted))


def check_rows(rows, batch):
    """Return rows of the batch as an index array."""
    index = np.atleast_1d(np.asarray(rows))
    if index.dtype == bool and index.shape == (batch,):
        return np.flatnonzero(index)
    if index.shape == (0,):
        return index.astype(np.int64)  # an empty list has no dtype of its own
    if index.dtype.kind not in "iu" or index.ndim != 1:
        raise TypeError(
            f"rows must be an int, a sequence of int or a bool array of {batch} rows. Got "
            f"{rows!r} instead."
        )
    if ((index < 0) | (index >= batch)).any():
        raise ValueError(f"rows must lie between 0 and {batch - 1}. Got {rows!r} instead.")
    return index


def check_may_be_set(name, free, owner):
    """Raise unless the parameter may be set after the layer was made."""
    if name not in free:
        raise AttributeError(
            f"{name} of {owner} cannot be changed: the weights were made for it. Make a new layer "
            f"with it. What can be changed: {', '.join(free)}."
        )


def check_called(called, is_pulled_back, owner):
    """Raise unless there was a forward pass, and no backward pass since."""
    if not called:
        raise RuntimeError(
            f"backward() of {owner} follows a forward pass: call the layer first, with "
            "training=True."
        )
    if is_pulled_back:
        raise RuntimeError(
            f"backward() of {owner} has been called since the newest forward pass, the only one "
            "that is kept: call the layer again before. To use its weights several times in one "
            "loss, take a copy of the layer for each (copy.deepcopy) and add up their grads."
        )


def check_weight(found, name, value):
    """Raise unless a weight of this name can hold ``value``."""
    if name not in found:
        raise KeyError(f"There is no weight {name!r}. The weights are {', '.join(found)}.")
    if np.shape(value) != found[name].shape:
        raise ValueError(
            f"{name} must have the shape {found[name].shape}, but has {np.shape(value)}."
        )


def check_gradient(dy, shape, owner):
    """Return dy as an array of the shape of y."""
    if isinstance(dy, numbers.Real) and dy == 0:
        return np.zeros(shape)
    dy = _as_real(dy, f"dy of {owner}")
    if dy.shape != shape:
        raise ValueError(
            f"dy of {owner} must have the shape of its newest output, {shape}, but has {dy.shape}."
        )
    return dy
