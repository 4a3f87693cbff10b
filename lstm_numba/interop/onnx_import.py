"""Layers from the LSTM, GRU and RNN nodes of ONNX models."""

import itertools

from .building import make_layer
from .onnx_merging import merge_after, merge_before
from .onnx_node import CELLS, name_of, read_node
from .onnx_read import Model, attributes

_DOMAINS = "", "ai.onnx"


def from_onnx(model, node=None, *, weights_only=False, **arguments):
    """Return the layer that an LSTM, GRU or RNN node of an ONNX model is.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
    node : str or int, optional
        Name of the node, or of its first output, or its place among the recurrent nodes. By default
        the only one; nodes on top of each other, as torch exports a stack, are one layer with
        ``num_layers``.
    weights_only : bool, default=False
        Take a node also if its initial state, other than zero, or its lengths are constants in the
        model. They are left out: a layer is given them at each call.
    **arguments
        Further arguments of the layer. They count more than those that were read.

    Returns
    -------
    LSTM, GRU or SimpleRNN
        ``initial_h`` and ``initial_c`` are ``state``, and ``sequence_lens`` is ``lengths`` of its
        call. ``batch_first`` is true for a node with ``layout=1``, or that reads what a Transpose
        of the first two axes gives; ``go_backwards`` for ``direction="reverse"``, whose y begins
        with the newest step here; ``return_sequences`` is false where the model makes no use of Y.
        The directions, an axis of their own in Y, are side by side in y; ``merge_mode`` is "sum",
        "mul" or "ave" where the model goes on with their sum, product or mean.

    Raises
    ------
    ImportError
        Without onnx.
    FileNotFoundError
    TypeError, ValueError
        If the file is no ONNX model, has no recurrent node, or several; if weights are not in it,
        have wrong shapes, or the node has an attribute that has no equivalent here.

    Examples
    --------
    >>> from lstm_numba import LSTM, interop
    >>> lstm = LSTM(2, 3, num_layers=2)
    >>> interop.from_onnx(interop.to_onnx(lstm))  # doctest: +SKIP
    LSTM(2, 3, num_layers=2)
    """
    model = Model(model)
    recurrent = [one for one in model.nodes if one.op_type in CELLS and one.domain in _DOMAINS]
    stack, merge_mode = _chosen(model, recurrent, node)
    if not weights_only:
        _check_no_state(model, stack)
    found = stack[0].arguments | {
        "num_layers": len(stack),
        "batch_first": _is_batch_first(model, stack[0]),
        "return_sequences": model.is_used(stack[-1].y),
        "merge_mode": merge_mode,
    }
    weights = {
        f"{name}_l{k}{'_reverse' if d else ''}": array
        for k, layer in enumerate(stack)
        for d, direction in enumerate(layer.weights)
        for name, array in direction.items()
    }
    cell = found.pop("cell")
    return make_layer(cell, found | arguments, weights, f"Node {stack[0].name!r}")


def _chosen(model, recurrent, node):
    """Return the nodes that become a layer, a list of ``RecurrentNode``, and its merge mode."""
    names = [name_of(one) for one in recurrent]
    listed = ", ".join(repr(name) for name in names)
    if not recurrent:
        kinds = ", ".join(sorted({one.op_type for one in model.nodes}))
        raise ValueError(f"The model has no LSTM, GRU or RNN nodes. It has {kinds}.")
    if node is not None:
        found = [k for k, name in enumerate(names) if node in (k, name)]
        if len(found) != 1 or isinstance(node, bool):
            raise ValueError(
                f"node must be the name or the place of one of the recurrent nodes {listed}. Got "
                f"{node!r} instead."
            )
        recurrent = [recurrent[found[0]]]
    stack = [read_node(model, one) for one in recurrent]
    merges = {merge_after(model, stack[-1])}
    merges |= {_merge_between(model, above, below) for below, above in itertools.pairwise(stack)}
    if len(merges) > 1:
        raise ValueError(
            f"The model has several recurrent nodes, {listed}, that are not one stack of layers: "
            "each to read what the one below puts out, with two directions side by side, or all of "
            "them merged by sum, product or mean. Say which one is meant: node="
        )
    return stack, merges.pop()


def _check_no_state(model, stack):
    for one in stack:
        for key in ("initial_h", "initial_c", "sequence_lens"):
            value = model.constant(one.inputs[key]) if key in one.inputs else None
            if value is not None and value.any():
                what = "lengths=" if key == "sequence_lens" else "state="
                raise ValueError(
                    f"{key} of node {one.name!r} is a constant of the model, which a layer does "
                    f"not hold. Read the layer with weights_only=True and give {what} at each call."
                )


def _is_batch_first(model, node):
    before = model.producer(node.inputs["X"])
    if before is not None and before.op_type == "Transpose":
        return node.layout == 1 or attributes(before).get("perm") == [1, 0, 2]
    return node.layout == 1


def _merge_between(model, above, below):
    """Return how a node reads, at each step, what another one has put out; None if it does not."""
    same = above.arguments | {"input_size": 0} == below.arguments | {"input_size": 0}
    lengths = [one.inputs.get("sequence_lens") for one in (above, below)]
    if not same or lengths[0] != lengths[1] or above.layout != below.layout:
        return None
    return merge_before(model, below, above.inputs["X"])
