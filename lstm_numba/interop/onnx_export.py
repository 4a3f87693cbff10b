"""Layers and fitted estimators to ONNX models."""

import numpy as np

from .building import LAYERS, check_neutral
from .onnx_activations import OF_OURS
from .onnx_estimators import estimator_graph
from .onnx_graph import Graph, write
from .onnx_stack import add_stack

# Values that the recurrent nodes have a place for.
_NEUTRAL = {
    "proj_size": (0,),
    "activation": tuple(OF_OURS),
    "recurrent_activation": tuple(OF_OURS),
}


def to_onnx(model, path=None, *, initial_state=False, lengths=False):
    """Return a layer or a fitted estimator as an ONNX model, with real LSTM, GRU or RNN nodes.

    Parameters
    ----------
    model : LSTM, GRU or SimpleRNN; LSTMRegressor or LSTMForecaster
    path : path-like, optional
        Also write the model to this file. It is written whole or not at all.
    initial_state : bool, default=False
        Of a layer: let the model have inputs "h0" and for an LSTM "c0", where to start.
    lengths : bool, default=False
        Of a layer: let it have an input "lengths", (batch,) int32, the steps that each row takes.

    Returns
    -------
    onnx.ModelProto
        Batch and, for layers, ``seq_len`` may be any. A layer reads "x" and puts out "y", laid out
        as its own, and its final states "h" and "c". An estimator reads "x", float64, and puts out
        "y", float64, both in the units of the data: the regressor what its ``predict`` takes, with
        three axes, and returns; the forecaster windows (batch, ``seq_len_``, columns), of which the
        first are the targets and the others the covariates, and forecasts (batch, horizon, targets)
        of the steps that follow. After a fit with covariates it also reads "future", (batch,
        horizon, covariates), those of these steps.

    Raises
    ------
    ImportError
        Without onnx.
    NotFittedError
    ValueError
        If ONNX has no equivalent for an argument of the layer; for a forecaster with
        ``stateful=True``, ``scope="local"`` or fitted on a panel.

    Notes
    -----
    What acts in training alone (dropout, regularizers, constraints) is left out. A layer of float64
    becomes a model of float64, whose recurrent nodes ONNX Runtime does not run.

    Examples
    --------
    >>> from lstm_numba import LSTM, interop
    >>> model = interop.to_onnx(LSTM(2, 3), "lstm.onnx")  # doctest: +SKIP
    >>> session = onnxruntime.InferenceSession("lstm.onnx")  # doctest: +SKIP
    >>> y, h, c = session.run(None, {"x": np.ones((5, 7, 2), "float32")})  # doctest: +SKIP
    """
    if isinstance(model, tuple(LAYERS.values())):
        found = _layer_graph(model, initial_state, lengths)
    elif initial_state or lengths:
        raise ValueError("initial_state and lengths are for layers; estimators read whole windows.")
    else:
        found = estimator_graph(model)
    found = found.model(type(model).__name__)
    if path is not None:
        write(found, path)
    return found


def _layer_graph(layer, initial_state, lengths):
    check_neutral(layer, _NEUTRAL, "ONNX")
    graph, dtype = Graph(), np.dtype(layer.dtype)
    first = ["batch", "seq_len"] if layer.batch_first else ["seq_len", "batch"]
    states = [(1 + layer.bidirectional) * layer.num_layers, "batch", layer.hidden_size]
    names = ["h", "c"] if isinstance(layer, LAYERS["lstm"]) else ["h"]

    x = graph.input("x", dtype, [*first, layer.input_size])
    starts = {n: graph.input(f"{n}0", dtype, states) for n in names if initial_state}
    counts = graph.input("lengths", np.int32, ["batch"]) if lengths else ""
    if layer.batch_first:
        x = graph.node("Transpose", x, perm=[1, 0, 2])
    y, *final = add_stack(graph, layer, x, **starts, lengths=counts)
    if layer.batch_first and layer.return_sequences:
        y = graph.node("Transpose", y, perm=[1, 0, 2])

    outputs = layer.hidden_size
    if layer.bidirectional and layer.merge_mode == "concat":
        outputs *= 2
    graph.output("y", y, dtype, [*(first if layer.return_sequences else ["batch"]), outputs])
    for name, value in zip(names, final, strict=False):
        graph.output(name, value, dtype, states)
    return graph
