"""Fitted estimators as ONNX graphs: scaling, the recurrent stack, the head, and back to the data.

Data are float64 outside and the network's dtype inside, as in the estimators.
"""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..data.panel import PanelForm
from ..data.scalers import identity
from ..forecast.forecaster import LSTMForecaster
from ..forecast.regressor import LSTMRegressor
from .building import LAYERS, fill
from .onnx_graph import Graph
from .onnx_stack import add_stack


def estimator_graph(estimator):
    """Return the graph of a fitted ``LSTMRegressor`` or ``LSTMForecaster``."""
    if isinstance(estimator, LSTMRegressor):
        check_is_fitted(estimator)
        return _regressor_graph(estimator)
    if isinstance(estimator, LSTMForecaster):
        check_is_fitted(estimator)
        _check_windows(estimator)
        return _forecaster_graph(estimator)
    raise TypeError(
        "to_onnx takes LSTM, GRU or SimpleRNN, or a fitted LSTMRegressor or LSTMForecaster. Got "
        f"{type(estimator).__name__} instead."
    )


def _check_windows(forecaster):
    """Raise unless a forecast is made from the window before it, in one scale."""
    if forecaster.network_ is not None and isinstance(forecaster.network_, list):
        raise ValueError(
            "scope='local' has one model per series, and cannot be exported to ONNX as one. Fit a "
            "forecaster to one of the series."
        )
    if isinstance(forecaster._form, PanelForm):
        raise ValueError(
            "A forecaster that was fitted to a panel has a scale for each series, and cannot be "
            "exported to ONNX. Fit one to a single series or to a frame of several targets."
        )
    if forecaster.network_.stateful:
        raise ValueError(
            "stateful=True forecasts from the state at the end of a series, not from a window, and "
            "cannot be exported to ONNX. Fit with stateful=False."
        )


def _regressor_graph(regressor):
    network, graph = regressor.network_, Graph()
    shape = ["batch", network.seq_len, network.features]
    x = graph.input("x", np.float64, shape)
    x = _scaled(graph, regressor._input_scaler, x, network.dtype)
    y = _network(graph, network, network.views(regressor.params_), x, None)
    y = _unscaled(graph, regressor._output_scaler, y)
    squeezed = [1, 2] if regressor._output_ndim == 1 else [1]
    y = graph.node("Squeeze", y, graph.ints(*squeezed))
    graph.output("y", y, np.float64, ["batch", network.targets][: regressor._output_ndim])
    return graph


def _forecaster_graph(forecaster):
    network, graph = forecaster.network_, Graph()
    known = forecaster._covariate_scaler or identity(0)
    window = graph.input("x", np.float64, ["batch", network.seq_len, network.features])
    history, covariates = _columns(graph, window, network)
    x = _scaled(graph, forecaster._target_scaler, history, network.dtype)
    future = None
    if network.future:
        future = graph.input("future", np.float64, ["batch", network.horizon, network.future])
        future = _scaled(graph, known, future, network.dtype)
        x = graph.node("Concat", x, _scaled(graph, known, covariates, network.dtype), axis=2)
    y = _network(graph, network, network.views(forecaster.params_), x, future)
    y = _unscaled(graph, forecaster._target_scaler, y)
    y = _as_unchanged(graph, forecaster._constant, history, y)
    graph.output("y", y, np.float64, ["batch", network.horizon, network.targets])
    return graph


# scales


def _scaled(graph, scaler, x, dtype):
    """z = (x / 2**exponent - mean) / scale, in ``dtype``"""
    x = _times_power_of_two(graph, x, -scaler.exponent)
    x = graph.node("Sub", x, graph.constant("mean", scaler.mean))
    x = graph.node("Div", x, graph.constant("scale", scaler.scale))
    return _cast(graph, x, dtype)


def _unscaled(graph, scaler, z):
    """x = (z scale + mean) 2**exponent, in float64"""
    z = graph.node("Mul", _cast(graph, z, np.float64), graph.constant("scale", scaler.scale))
    z = graph.node("Add", z, graph.constant("mean", scaler.mean))
    return _times_power_of_two(graph, z, scaler.exponent)


def _times_power_of_two(graph, x, exponent):
    # No more at once than float64 can hold.
    left = np.array(exponent, np.int64)
    while left.any():
        now = np.clip(left, -1000, 1000)
        x = graph.node("Mul", x, graph.constant("power_of_two", np.ldexp(1.0, now)))
        left = left - now
    return x


def _cast(graph, x, dtype):
    return graph.node("Cast", x, to=graph.type_of(dtype))


def _as_unchanged(graph, constant, history, y):
    """Forecast a target that has never changed as it is, where it still has not."""
    if np.isnan(constant).all():
        return y
    value = graph.constant("constant", constant)
    equal = graph.node("Cast", graph.node("Equal", history, value), to=graph.type_of(np.int64))
    unchanged = graph.node("ReduceMin", equal, graph.ints(1), keepdims=1)
    return graph.node("Where", graph.node("Cast", unchanged, to=graph.type_of(bool)), value, y)


# the network


def _columns(graph, x, network):
    """Return the targets' own history in x, and the other columns."""
    if network.targets == network.features:
        return x, None
    sizes = graph.ints(network.targets, network.features - network.targets)
    return graph.nodes("Split", [x, sizes], ["targets", "others"], axis=2)


def _network(graph, network, weights, x, future):
    """Add what ``Network`` describes; return (batch, horizon, targets)."""
    shift, scale = None, None
    own, others = x, None
    if network.skip or network.window_norm:
        own, others = _columns(graph, x, network)
    if network.window_norm:
        shift, scale = _norm(graph, network, own)
        own = graph.node("Sub", own, shift)
        own = graph.node("Div", own, scale) if scale else own
        x = own if others is None else graph.node("Concat", own, others, axis=2)

    y = _head(graph, network, weights, _last_state(graph, network, weights, x))
    if network.skip:
        by_target = graph.node("Transpose", own, perm=[0, 2, 1])
        skip = graph.constant("skip.weight", weights["skip.weight"].T)
        y = graph.node("Add", y, graph.node("MatMul", by_target, skip))
    y = graph.node("Transpose", y, perm=[0, 2, 1])
    if network.future:
        weight = graph.constant("future.weight", weights["future.weight"].T)
        y = graph.node("Add", y, graph.node("MatMul", future, weight))
    y = graph.node("Mul", y, scale) if scale else y
    return graph.node("Add", y, shift) if shift else y


def _norm(graph, network, own):
    """Return the shift of each window, and the scale if it has one, (batch, 1, targets)."""
    if network.window_norm == "last":
        last = network.seq_len - 1
        return graph.node("Slice", own, *map(graph.ints, (last, last + 1, 1))), None
    level = graph.node("ReduceMean", own, graph.ints(1), keepdims=1)
    return level, level


def _last_state(graph, network, weights, x):
    """Return the top layer's state after the newest step, (batch, hidden_size)."""
    layer = LAYERS[network.cell](
        network.features,
        network.hidden_size,
        network.num_layers,
        return_sequences=False,
        dtype=network.dtype,
    )
    own = {name: weight for name, weight in weights.items() if name in layer.weights}
    fill(layer, own, "The network")
    return add_stack(graph, layer, graph.node("Transpose", x, perm=[1, 0, 2]))[0]


def _head(graph, network, weights, h):
    """Return what the head makes of the top layer's state, (batch, targets, horizon)."""
    weight = graph.constant("head.weight", weights["head.weight"])
    bias = graph.constant("head.bias", weights["head.bias"])
    y = graph.node("Gemm", h, weight, bias, transB=1)
    return graph.node("Reshape", y, graph.ints(0, network.targets, network.horizon))
