"""Forecasts for one series, with as little around the arithmetic as possible."""

from ..jit import kernel
from ..tile import ROWS
from .block import reset_states, write_forecast
from .head import head_forward
from .packing import pack_weights
from .passes import begin_passes, end_passes, forward_layers, forward_pass
from .plan import layer_at
from .subnormals import flush_subnormals, restore_subnormals


@kernel
def start_stream(plan, params, packed, work):
    """Pack the weights; set the state to zero."""
    pack_weights(plan, params, packed, 0, 1)
    reset_states(plan, work)


@kernel
def stream_step(plan, params, packed, x, work, out):
    """Advance the state in row 0 of a block by one observation, and forecast from it.

    The other rows of the block are computed along, and not used: one kernel serves streams and
    batches, so their bits agree.

    Parameters
    ----------
    plan : Plan
        Of the network with windows of one step, without skip, shift and scale.
    x : (features,)                 in
    out : (horizon, targets)        out
    """
    mode = flush_subnormals()
    bottom = layer_at(plan, 0)
    for k in range(plan.features):
        work[bottom.tape + bottom.first_x + k] = x[k]
    begin_passes(plan.unit)
    forward_layers(plan.unit, plan, 1, 1, packed, work, False)
    end_passes(plan.unit)
    head_forward(plan, params, 1, work)
    for k in range(len(plan.layers)):
        layer = layer_at(plan, k)
        now, before = layer.tape + ROWS * layer.row + layer.h, layer.tape + layer.h
        for j in range(layer.hidden):
            work[before + j] = work[now + j]
    for d in range(plan.targets):
        for k in range(plan.horizon):
            out[k, d] = work[plan.out + d * plan.steps + k]
    restore_subnormals(mode)


@kernel
def forecast_window(plan, params, packed, windows, work, out):
    """Forecast the first of ``windows`` with weights that are packed; out (1, horizon, targets)."""
    mode = flush_subnormals()
    begin_passes(plan.unit)
    forward_pass(plan, params, packed, windows, 0, 1, work, False)
    end_passes(plan.unit)
    write_forecast(plan, 0, 1, work, out)
    restore_subnormals(mode)
