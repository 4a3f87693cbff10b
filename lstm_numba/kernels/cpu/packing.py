"""Weights in the order in which the products read them, made once per update."""

from ..jit import subkernel
from ..tile import lanes, load, store
from .plan import layer_at


@subkernel
def _pack_forward(cell, layer, params, packed, part, parts):
    """w: for each vector of units all rows of the weight matrix, the gates side by side."""
    width, hidden, gates = lanes(params), layer.hidden, cell.gates
    inputs = layer.below + layer.x + layer.own
    for block in range(part, layer.units // width, parts):
        j = block * width
        valid = min(width, hidden - j)
        for k in range(inputs):
            turn = cell.x_turn if k < layer.below + layer.x else 0
            for slot in range(gates):
                gate = (slot + turn) % gates
                source = layer.params + (k * gates + gate) * hidden + j
                place = layer.w + ((block * inputs + k) * gates + slot) * width
                store(packed, place, 0, load(params, source, 0, 1, 1))
                for unused in range(valid, width):
                    packed[place + unused] = 0


@subkernel
def _pack_transposed(cell, layer, turn, params, start, columns, packed, place, part, parts):
    """w_back: transpose ``columns`` rows of the weight matrix into panels of 4, 2 or 1 vectors."""
    width, hidden, gates = lanes(params), layer.hidden, cell.gates
    padded = -(-columns // width) * width
    n = 0
    while n < padded:
        left = (padded - n) // width
        panel = width * (4 if left >= 4 else 2 if left >= 2 else 1)
        for block in range(part, layer.units // width, parts):
            for slot in range(gates):
                gate = (slot + turn) % gates
                for lane in range(width):
                    j = block * width + lane
                    q = (block * gates + slot) * width + lane
                    to = place + n * gates * layer.units + q * panel
                    for column in range(panel):
                        inside = j < hidden and n + column < columns
                        source = start + ((n + column) * gates + gate) * hidden + j
                        packed[to + column] = params[source] if inside else 0
        n += panel


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
    """Do one of ``parts`` parts of the packing; the parts may run side by side."""
    cell = plan.cell
    for k in range(len(plan.layers)):
        layer = layer_at(plan, k)
        _pack_forward(cell, layer, params, packed, part, parts)
        x, n, to = layer.params, layer.below, layer.w_back_x
        _pack_transposed(cell, layer, cell.x_turn, params, x, n, packed, to, part, parts)
        n, to = layer.hidden, layer.w_back_h
        h = layer.params + (layer.below + layer.x + layer.own - n) * cell.gates * n
        _pack_transposed(cell, layer, 0, params, h, n, packed, to, part, parts)
    _pack_head(plan, params, packed, part, parts)
