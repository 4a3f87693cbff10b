"""From the partial weight gradients of the chunks to one gradient of all weights, and its norm.

A chunk is a fixed group of blocks, whatever the number of threads, and chunks are added in order:
the bits of a gradient do not depend on who computed which chunk.
"""

import math

from numba.extending import overload, register_jitable

from ..parts import PART, subkernel
from ..tile import ROWS, fma, lanes, load, store, zeros
from .cell import ONE_GATE, CoupledLSTM, Gates, GRUResetBefore, PeepholeLSTM, Plain
from .gru_reset_before import CANDIDATE, RESET_UPDATE
from .moves import copy
from .plan import layer_at

# The sum of squares is taken in pieces of this many numbers, in a fixed order.
PIECE = 1024


@subkernel
def add_chunks(n_partial, partials, chunks, part, parts):
    """partials[0] += partials[1] + partials[2] + ...; one of ``parts`` parts."""
    step = 4 * lanes(partials)
    tiles = n_partial // step
    for tile in range(tiles * part // parts, tiles * (part + 1) // parts):
        acc = load(partials, tile * step, 0, 1, 4)
        for chunk in range(1, chunks):
            acc = acc + load(partials, chunk * n_partial + tile * step, 0, 1, 4)
        store(partials, tile * step, 0, acc)


@subkernel
def _unpack_rows(gates, hidden, turn, partial, start, rows, gradient, to, part, parts):
    """Put rows, which lie as (units / lanes, gates, lanes), into the order of the weights."""
    width, n = lanes(gradient), gates.gates
    units = -(-hidden // width) * width
    for k in range(part, rows, parts):
        for j in range(0, hidden, width):
            for slot in range(n):
                gate = gates.first + (slot + turn) % n
                at = start + n * (k * units + j) + slot * width
                place = to + (gates.of * k + gate) * hidden + j
                copy(partial, at, gradient, place, min(width, hidden - j))


@register_jitable(**PART)
def _unpack_own(cell, layer, partial, gradient, part, parts):
    gates = Gates(cell.gates, cell.slots, 0, cell.gates)
    at, n = layer.partial_own, layer.own
    to = layer.params + (layer.below + layer.x) * cell.gates * layer.hidden
    _unpack_rows(gates, layer.hidden, 0, partial, at, n, gradient, to, part, parts)


@register_jitable(**PART)
def _unpack_reset_before(cell, layer, partial, gradient, part, parts):
    """As ``cell.py`` says, the gradient of n lies apart."""
    hidden, n, at, at_n = layer.hidden, layer.own, layer.partial_own, cell.partial_n
    to = layer.params + (layer.below + layer.x) * cell.gates * hidden
    _unpack_rows(RESET_UPDATE, hidden, 0, partial, at, n, gradient, to, part, parts)
    _unpack_rows(CANDIDATE, hidden, 0, partial, at_n, n, gradient, to, part, parts)


@register_jitable(**PART)
def _unpack_with_peepholes(cell, layer, partial, gradient, part, parts):
    """The gradients of peepholes lie by row of a block."""
    _unpack_own(cell, layer, partial, gradient, part, parts)
    for k in range(part, cell.peepholes, parts):
        at, to = cell.peephole_partial + k * ROWS * layer.units, cell.peephole_params
        for j in range(layer.hidden):
            total = partial[at + j]
            for r in range(1, ROWS):
                total += partial[at + r * layer.units + j]
            gradient[to + k * layer.hidden + j] = total


_UNPACKS = {
    GRUResetBefore: _unpack_reset_before,
    PeepholeLSTM: _unpack_with_peepholes,
    CoupledLSTM: _unpack_with_peepholes,
}


def unpack_h(cell, layer, partial, gradient, part, parts):
    """Put the gradient of what a cell multiplies with h, and with c, into the weights' order."""


@overload(unpack_h, jit_options=PART)
def _unpack_h(cell, layer, partial, gradient, part, parts):
    return _UNPACKS.get(cell.instance_class, _unpack_own)


@subkernel
def unpack_layer(cell, layer, partial, gradient, part, parts):
    """Put the gradient of a layer into the order of its weights; one of ``parts`` parts."""
    gates = Gates(cell.gates, cell.slots, 0, cell.gates)
    hidden, turn = layer.hidden, cell.x_turn
    at, n, to = layer.partial_below, layer.below, layer.params
    _unpack_rows(gates, hidden, turn, partial, at, n, gradient, to, part, parts)
    at, n, to = layer.partial_x, layer.x, to + n * cell.gates * hidden
    _unpack_rows(gates, hidden, turn, partial, at, n, gradient, to, part, parts)
    unpack_h(cell, layer, partial, gradient, part, parts)
    outs = layer.first_own + layer.own - layer.h
    unpack_stage(cell.stage, hidden, outs, partial, gradient, part, parts)


def unpack_stage(stage, hidden, outs, partial, gradient, part, parts):
    """Put the gradient of a projection, (hidden, outs), in its place, if there is one."""


@overload(unpack_stage, jit_options=PART)
def _unpack_stage(stage, hidden, outs, partial, gradient, part, parts):
    def nothing(stage, hidden, outs, partial, gradient, part, parts):
        pass

    def staged(stage, hidden, outs, partial, gradient, part, parts):
        if stage.projected:
            at, to = stage.partial, stage.params
            _unpack_rows(ONE_GATE, outs, 0, partial, at, hidden, gradient, to, part, parts)

    return nothing if stage.instance_class is Plain else staged


@subkernel
def unpack_gradient(plan, partial, gradient, part, parts):
    """Put the sum of all chunks into the order of the weights; one of ``parts`` parts."""
    for k in range(len(plan.layers)):
        unpack_layer(plan.cell, layer_at(plan, k), partial, gradient, part, parts)

    outputs = plan.targets * plan.horizon
    for k in range(part, 1 + plan.hidden, parts):
        for d in range(plan.targets):
            at = plan.partial_head + (k * plan.targets + d) * plan.steps
            to = plan.head + k * outputs + d * plan.horizon
            copy(partial, at, gradient, to, plan.horizon)
    for t in range(part, plan.seq_len if plan.skip else 0, parts):
        at, to = plan.partial_skip + t * plan.steps, plan.skip_params + t * plan.horizon
        copy(partial, at, gradient, to, plan.horizon)
    if part == 0:
        n = plan.targets * plan.future
        copy(partial, plan.partial_future, gradient, plan.future_params, n)


@subkernel
def square_pieces(gradient, n, squares, part, parts):
    """squares[p] = sum of squares of piece p; ``gradient`` is zero beyond ``n``."""
    width = lanes(gradient)
    for piece in range(part, -(-n // PIECE), parts):
        acc = zeros(gradient, 1, 4)
        for k in range(piece * PIECE, (piece + 1) * PIECE, 4 * width):
            g = load(gradient, k, 0, 1, 4)
            acc = fma(g, g, acc)
        store(squares, 4 * width * piece, 0, acc)


@subkernel
def norm_of_pieces(squares, n, width):
    """Euclidean norm of the gradient, from ``square_pieces``."""
    total = 0.0
    for k in range(-(-n // PIECE) * 4 * width):
        total += squares[k]
    return math.sqrt(total)
