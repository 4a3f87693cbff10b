"""Weights in the order in which the products read them, made once per update."""

from ..jit import subkernel
from ..tile import lanes, load, store
from .plan import layer_at


@subkernel
def _pack_forward(layer, params, packed, part, parts):
    """w: for each block of units all rows of the weight matrix, four gates side by side."""
    width, hidden = lanes(params), layer.hidden
    inputs = layer.below + layer.own
    for block in range(part, layer.units // width, parts):
        j = block * width
        valid = min(width, hidden - j)
        for k in range(inputs):
            for gate in range(4):
                source = layer.params + (k * 4 + gate) * hidden + j
                place = layer.w + (block * inputs + k) * 4 * width + gate * width
                store(packed, place, 0, load(params, source, 0, 1, 1))
                for unused in range(valid, width):
                    packed[place + unused] = 0


@subkernel
def pack_transposed(params, start, row, columns, rows, units, hidden, packed, place, part, parts):
    """Transpose a weight matrix into panels of four, then two and one vectors of columns.

    The matrix has ``columns`` rows of length ``row`` in ``params``; its entries become the rows of
    the panels: ``rows`` groups of ``hidden`` units, each unit block with the groups side by side.
    """
    width = lanes(params)
    padded = -(-columns // width) * width
    n = 0
    while n < padded:
        left = (padded - n) // width
        panel = width * (4 if left >= 4 else 2 if left >= 2 else 1)
        for block in range(part, units // width, parts):
            for gate in range(rows):
                for lane in range(width):
                    j = block * width + lane
                    q = (block * rows + gate) * width + lane
                    to = place + n * rows * units + q * panel
                    for column in range(panel):
                        inside = j < hidden and n + column < columns
                        source = start + (n + column) * row + gate * hidden + j
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
    for k in range(len(plan.layers)):
        layer = layer_at(plan, k)
        row, hidden = 4 * layer.hidden, layer.hidden
        _pack_forward(layer, params, packed, part, parts)
        h_rows = layer.params + (layer.below + layer.own - hidden) * row
        pack_transposed(
            params, h_rows, row, hidden, 4, layer.units, hidden, packed, layer.w_back_h, part, parts
        )
        if layer.below > 0:
            pack_transposed(
                params,
                layer.params,
                row,
                layer.below,
                4,
                layer.units,
                hidden,
                packed,
                layer.w_back_x,
                part,
                parts,
            )
    _pack_head(plan, params, packed, part, parts)
