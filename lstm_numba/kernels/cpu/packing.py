"""Weights in the order in which the products read them, made once per update."""

from numba.extending import overload

from ..jit import subkernel
from ..tile import lanes, load, store
from .cell import ONE_GATE, Plain
from .plan import layer_at


@subkernel
def _pack_forward(cell, hidden, inputs, turned, params, start, packed, place, part, parts):
    """w: for each vector of units all ``inputs`` rows of the weight matrix, gates side by side.

    ``turned`` of the rows belong to x, see ``x_turn`` in ``cell.py``.
    """
    width, gates = lanes(params), cell.gates
    for block in range(part, -(-hidden // width), parts):
        j = block * width
        valid = min(width, hidden - j)
        for k in range(inputs):
            turn = cell.x_turn if k < turned else 0
            for slot in range(gates):
                gate = (slot + turn) % gates
                source = start + (k * gates + gate) * hidden + j
                to = place + ((block * inputs + k) * gates + slot) * width
                store(packed, to, 0, load(params, source, 0, 1, 1))
                for unused in range(valid, width):
                    packed[to + unused] = 0


@subkernel
def _pack_transposed(cell, hidden, turn, params, start, columns, packed, place, part, parts):
    """w_back: transpose ``columns`` rows of the weight matrix into panels of 4, 2 or 1 vectors."""
    width, gates = lanes(params), cell.gates
    units, padded = -(-hidden // width) * width, -(-columns // width) * width
    n = 0
    while n < padded:
        left = (padded - n) // width
        panel = width * (4 if left >= 4 else 2 if left >= 2 else 1)
        for block in range(part, units // width, parts):
            for slot in range(gates):
                gate = (slot + turn) % gates
                for lane in range(width):
                    j = block * width + lane
                    q = (block * gates + slot) * width + lane
                    to = place + n * gates * units + q * panel
                    for column in range(panel):
                        inside = j < hidden and n + column < columns
                        source = start + ((n + column) * gates + gate) * hidden + j
                        packed[to + column] = params[source] if inside else 0
        n += panel


@subkernel
def pack_layer(cell, layer, params, packed, part, parts):
    """Do one of ``parts`` parts of the packing of a layer; the parts may run side by side."""
    hidden, outs = layer.hidden, layer.first_own + layer.own - layer.h
    x, turned, inputs = layer.params, layer.below + layer.x, layer.below + layer.x + layer.own
    h = x + (inputs - outs) * cell.gates * hidden
    below, turn = layer.below, cell.x_turn
    _pack_forward(cell, hidden, inputs, turned, params, x, packed, layer.w, part, parts)
    _pack_transposed(cell, hidden, turn, params, x, below, packed, layer.w_back_x, part, parts)
    _pack_transposed(cell, hidden, 0, params, h, outs, packed, layer.w_back_h, part, parts)
    pack_stage(cell.stage, hidden, outs, params, packed, part, parts)


def pack_stage(stage, hidden, outs, params, packed, part, parts):
    """Pack the weights of a projection, (hidden, outs), if there is one."""


@overload(pack_stage, jit_options={"forceinline": True})
def _pack_stage(stage, hidden, outs, params, packed, part, parts):
    def nothing(stage, hidden, outs, params, packed, part, parts):
        pass

    def staged(stage, hidden, outs, params, packed, part, parts):
        if stage.projected:
            w, back, start = stage.w, stage.w_back, stage.params
            _pack_forward(ONE_GATE, outs, hidden, 0, params, start, packed, w, part, parts)
            _pack_transposed(ONE_GATE, outs, 0, params, start, hidden, packed, back, part, parts)

    return nothing if stage.instance_class is Plain else staged


@subkernel
def _pack_head(plan, params, packed, part, parts):
    """head_back: for each block of units all outputs, for the product dout head^T."""
    width = lanes(params)
    outputs = plan.horizon * plan.targets
    for block in range(part, -(-plan.hidden // width), parts):
        for output in range(outputs):
            place = plan.head_back + (block * outputs + output) * width
            for lane in range(width):
                j = block * width + lane
                source = plan.head + (1 + j) * outputs + output
                packed[place + lane] = params[source] if j < plan.hidden else 0


@subkernel
def pack_weights(plan, params, packed, part, parts):
    """Do one of ``parts`` parts of the packing of a network."""
    for k in range(len(plan.layers)):
        pack_layer(plan.cell, layer_at(plan, k), params, packed, part, parts)
    _pack_head(plan, params, packed, part, parts)
