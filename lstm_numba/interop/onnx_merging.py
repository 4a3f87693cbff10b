"""How an ONNX model goes on from the two directions of a recurrent node: side by side, or merged.

What follows a node is tried on an array in which no two numbers are equal.
"""

import numpy as np

from ..nn.merging import MERGES
from .onnx_read import evaluated

_MOVES = "Identity", "Dropout", "Squeeze", "Unsqueeze", "Reshape", "Transpose"
_PARTS = "Split", "Slice", "Gather", "Concat"
_SUMS = "Add", "Sum", "Mul", "Div", "Mean", "ReduceSum", "ReduceProd", "ReduceMean"


def merge_before(model, node, name):
    """Return the merge mode by which a value holds, at each step, what a node has put out.

    None if it holds anything else.
    """
    y, sides = _example(node, (2, 3), node.layout + 1)
    return _merge_mode(_followed(model, node.y, y).get(name), sides)


def merge_after(model, node):
    """Return the merge mode that a model goes on by from a node: "concat" if it merges nothing."""
    if model.is_used(node.y):
        name, (output, sides) = node.y, _example(node, (2, 3), node.layout + 1)
    else:
        name, (output, sides) = node.y_h, _example(node, (3,), node.layout)
    turned = [side.swapaxes(0, -2) for side in sides]  # rows first where there were steps
    values = _followed(model, name, output).values()
    found = [_merge_mode(value, sides) or _merge_mode(value, turned) for value in values]
    first = next(filter(None, found), "concat")
    return "ave" if first == "sum" and "ave" in found else first


def _example(node, sizes, axis):
    """Return what a node may put out, directions along ``axis``, and of each direction its part."""
    first = node.weights[0]["weight_ih"]
    shape = len(node.weights), *sizes, node.arguments["hidden_size"]
    sides = np.arange(1, 1 + np.prod(shape)).reshape(shape).astype(first.dtype)
    return np.ascontiguousarray(np.moveaxis(sides, 0, axis)), list(sides)


def _followed(model, name, array):
    """Return by name the values that follow from one, which is ``array``, and from constants."""
    values = {name: array}
    for node in model.nodes:
        if node.op_type not in _MOVES + _PARTS + _SUMS or not values.keys() & set(node.input):
            continue
        feeds = {
            one: values[one] if one in values else model.constant(one)
            for one in filter(None, node.input)
        }
        if any(value is None for value in feeds.values()):
            continue
        try:
            values |= zip(node.output, evaluated(node, feeds), strict=False)
        except (ValueError, IndexError, RuntimeError):
            continue  # made for another number of steps or rows
    return values


def _merge_mode(value, sides):
    merged = {"concat": sides[0]}
    if len(sides) == 2:
        merged = {mode: merge.forward(*sides) for mode, merge in MERGES.items()}
    return next((mode for mode, own in merged.items() if np.array_equal(value, own)), None)
