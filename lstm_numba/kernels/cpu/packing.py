"""Weights in the order in which the products read them, made once per update."""

from numba.extending import overload, register_jitable

from ..parts import PART, subkernel
from ..tile import lanes, load, store
from .cell import ONE_GATE, CoupledLSTM, Gates, GRUResetBefore, PeepholeLSTM, Plain
from .gru_reset_before import CANDIDATE, RESET_UPDATE
from .matrix_unit import NoUnit
from .packing_digits import pack_digits, pack_digits_transposed
from .plan import layer_at
from .stack import align_stack
from .transpose import load_square, transpose


@subkernel
def _pack_forward(gates, hidden, inputs, turned, turn, params, start, packed, place, part, parts):
    """w: for each vector of units all ``inputs`` rows of the weight matrix, gates side by side.

    ``turned`` of the rows belong to x, see ``x_turn`` in ``cell.py``.
    """
    width, n = lanes(params), gates.gates
    for block in range(part, -(-hidden // width), parts):
        j = block * width
        valid = min(width, hidden - j)
        for k in range(inputs):
            shift = turn if k < turned else 0
            for slot in range(n):
                gate = gates.first + (slot + shift) % n
                source = start + (k * gates.of + gate) * hidden + j
                to = place + ((block * inputs + k) * n + slot) * width
                store(packed, to, 0, load(params, source, 0, 1, 1))
                for unused in range(valid, width):
                    packed[to + unused] = 0


@subkernel
def _pack_square(params, source, stride, columns, rows, packed, to, width_of_panel):
    """Transpose one vector of columns by one of rows, of which only some may be there."""
    width = lanes(params)
    if columns >= width and rows >= width:
        square = load_square(params, source, stride)
        store(packed, to, width_of_panel, transpose(square))
        return
    for lane in range(width):
        for column in range(width):
            inside = lane < rows and column < columns
            value = params[source + column * stride + lane] if inside else 0
            packed[to + lane * width_of_panel + column] = value


@subkernel
def _pack_transposed(gates, hidden, turn, params, start, columns, packed, place, part, parts):
    """w_back: transpose ``columns`` rows of the weight matrix into panels of 4, 2 or 1 vectors."""
    align_stack()
    width, n_gates, stride = lanes(params), gates.gates, gates.of * hidden
    units, padded = -(-hidden // width) * width, -(-columns // width) * width
    n = 0
    while n < padded:
        left = (padded - n) // width
        panel = width * (4 if left >= 4 else 2 if left >= 2 else 1)
        for block in range(part, units // width, parts):
            j = block * width
            for slot in range(n_gates):
                gate = gates.first + (slot + turn) % n_gates
                to = place + n * n_gates * units + (block * n_gates + slot) * width * panel
                for column in range(n, n + panel, width):
                    source = start + column * stride + gate * hidden + j
                    there = columns - column, hidden - j
                    _pack_square(params, source, stride, *there, packed, to + column - n, panel)
        n += panel


@register_jitable(**PART)
def _pack_whole(cell, layer, params, packed, part, parts):
    """All gates side by side."""
    gates = Gates(cell.gates, cell.slots, 0, cell.gates)
    hidden, outs = layer.hidden, layer.first_own + layer.own - layer.h
    x, turned, inputs = layer.params, layer.below + layer.x, layer.below + layer.x + layer.own
    h = x + (inputs - outs) * cell.gates * hidden
    below, turn = layer.below, cell.x_turn
    _pack_forward(gates, hidden, inputs, turned, turn, params, x, packed, layer.w, part, parts)
    _pack_transposed(gates, hidden, turn, params, x, below, packed, layer.w_back_x, part, parts)
    _pack_transposed(gates, hidden, 0, params, h, outs, packed, layer.w_back_h, part, parts)


@register_jitable(**PART)
def _pack_reset_before(cell, layer, params, packed, part, parts):
    """All gates of x, and of h: r and z, and n apart."""
    gates = Gates(cell.gates, cell.slots, 0, cell.gates)
    hidden, below, own = layer.hidden, layer.below, layer.own
    x, inputs = layer.params, layer.below + layer.x
    h = x + inputs * cell.gates * hidden
    _pack_forward(gates, hidden, inputs, 0, 0, params, x, packed, layer.w, part, parts)
    _pack_forward(RESET_UPDATE, hidden, own, 0, 0, params, h, packed, cell.w_rz, part, parts)
    _pack_forward(CANDIDATE, hidden, own, 0, 0, params, h, packed, cell.w_n, part, parts)
    to_x, to_h, to_rh = layer.w_back_x, layer.w_back_h, cell.w_back_n
    _pack_transposed(gates, hidden, 0, params, x, below, packed, to_x, part, parts)
    _pack_transposed(RESET_UPDATE, hidden, 0, params, h, own, packed, to_h, part, parts)
    _pack_transposed(CANDIDATE, hidden, 0, params, h, own, packed, to_rh, part, parts)


@register_jitable(**PART)
def _pack_with_peepholes(cell, layer, params, packed, part, parts):
    """All gates side by side, and the peepholes; where there are none, zeros."""
    _pack_whole(cell, layer, params, packed, part, parts)
    hidden, units = layer.hidden, layer.units
    for k in range(part, cell.gates - 1, parts):
        to, source = cell.peephole_w + k * units, cell.peephole_params + k * hidden
        for j in range(units):
            seen = k < cell.peepholes and j < hidden
            packed[to + j] = params[source + j] if seen else 0


_PACKS = {
    GRUResetBefore: _pack_reset_before,
    PeepholeLSTM: _pack_with_peepholes,
    CoupledLSTM: _pack_with_peepholes,
}


def pack_cell(cell, layer, params, packed, part, parts):
    """Pack what a cell multiplies with x and h, and with c."""


@overload(pack_cell, jit_options=PART)
def _pack_cell(cell, layer, params, packed, part, parts):
    return _PACKS.get(cell.instance_class, _pack_whole)


@subkernel
def pack_layer(cell, layer, params, packed, part, parts):
    """Do one of ``parts`` parts of the packing of a layer; the parts may run side by side."""
    pack_cell(cell, layer, params, packed, part, parts)
    outs = layer.first_own + layer.own - layer.h
    pack_stage(cell.stage, layer.hidden, outs, params, packed, part, parts)


def pack_stage(stage, hidden, outs, params, packed, part, parts):
    """Pack the weights of a projection, (hidden, outs), if there is one."""


@overload(pack_stage, jit_options=PART)
def _pack_stage(stage, hidden, outs, params, packed, part, parts):
    def nothing(stage, hidden, outs, params, packed, part, parts):
        pass

    def staged(stage, hidden, outs, params, packed, part, parts):
        if stage.projected:
            w, back, start = stage.w, stage.w_back, stage.params
            _pack_forward(ONE_GATE, outs, hidden, 0, 0, params, start, packed, w, part, parts)
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


def pack_for(unit, cell, layer, params, packed, part, parts):
    """Pack the weights of a layer for what multiplies them, the matrix unit or the vector units."""


@overload(pack_for, jit_options=PART)
def _pack_for(unit, cell, layer, params, packed, part, parts):
    def vector_units(unit, cell, layer, params, packed, part, parts):
        pack_layer(cell, layer, params, packed, part, parts)

    def matrix_unit(unit, cell, layer, params, packed, part, parts):
        gates, hidden = Gates(cell.gates, cell.slots, 0, cell.gates), layer.hidden
        below, x = layer.params, layer.params + layer.below * cell.gates * hidden
        h = x + layer.x * cell.gates * hidden
        _pack_forward(gates, hidden, layer.x, 0, 0, params, x, packed, layer.w, part, parts)
        pack_digits(layer, params, packed, part, parts)
        to = layer.w_back_h_digits
        pack_digits_transposed(layer, params, h, layer.own, packed, to, part, parts)
        to = layer.w_back_x_digits
        pack_digits_transposed(layer, params, below, layer.below, packed, to, part, parts)

    return vector_units if unit.instance_class is NoUnit else matrix_unit


@subkernel
def pack_weights(plan, params, packed, part, parts):
    """Do one of ``parts`` parts of the packing of a network."""
    for k in range(len(plan.layers)):
        pack_for(plan.unit, plan.cell, layer_at(plan, k), params, packed, part, parts)
    _pack_head(plan, params, packed, part, parts)
