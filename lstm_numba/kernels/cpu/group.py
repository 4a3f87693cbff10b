"""A group of blocks through a layer together, with products on the matrix unit.

What a step does is the cell's, as in ``recurrent.py``. Its products with h and with what comes from
below are taken here for all rows of the group at once, and so are those that go back in time and
those of the weight gradients. Only the few columns of the inputs stay on the vector units.
"""

from numba.extending import register_jitable

from ..jit import subkernel
from ..tile import ROWS, lanes, load, load_like, store, zeros
from . import amx
from .block import block_head, block_head_backward, block_loss, gather, reset_states
from .plan import layer_at, layer_of
from .products import add_weight_gradient
from .recurrent import gates_of, step_backward, step_forward
from .six_products import (
    PARTS,
    TILE,
    add_blocks,
    blocks_of,
    clear_sums,
    read_sums,
    write_a,
    write_pairs,
    write_sums,
)
from .stack import align_stack
from .stage import h_of_step
from .transpose import load_square, transpose

# forward


@register_jitable(forceinline=True)
def _write_rows(work, a, b, source, distance, count):
    """Write ``count`` columns of the rows of block ``b`` as an operand."""
    for k in range(0, count, lanes(work)):
        write_a(work, a, b * ROWS, k, load(work, source + k, distance, ROWS, 1))


@register_jitable(forceinline=True)
def _add_sums(gates_tile, unit, layer, j, first, last, inputs, packed, work):
    """Take blocks ``first`` to ``last`` - 1 of ``inputs`` blocks of K, for the units from ``j``."""
    width, gates = lanes(work), unit.cell.gates
    part = PARTS * TILE
    w = layer.w_parts + (j // width * inputs + first) * gates * part
    if first == 0:
        clear_sums(gates_tile)
    add_blocks(gates_tile, last - first, work, unit.a_h + first * part, packed, w)


@subkernel
def group_forward(unit, k, blocks, seq_len, packed, work, keep_tape):
    """Run layer ``k`` over the first ``blocks`` blocks of a group, as ``layer_forward`` does."""
    align_stack()
    cell, first = unit.cell, layer_of(unit.layers[0, k])
    width, units, gates = lanes(work), first.units, cell.gates
    gates_tile, _, _ = gates_of(cell, work)
    below = blocks_of(first.below)
    inputs, a_h = below + blocks_of(units), unit.a_h + below * PARTS * TILE
    for t in range(seq_len):
        for b in range(blocks):
            layer = layer_of(unit.layers[b, k])
            source = layer.tape_below + t * ROWS * layer.row_below
            _write_rows(work, unit.a_h, b, source, layer.row_below, layer.below)
            source = layer.tape + t * ROWS * layer.row + layer.h
            _write_rows(work, a_h, b, source, layer.row, units)
        _add_sums(gates_tile, unit, first, 0, 0, inputs, inputs, packed, work)
        for j in range(0, units, width):
            write_sums(gates_tile, work, unit.sums, gates * width)
            for b in range(blocks):
                # The products of the next vector are under way while this one's gates are taken.
                if j + width < units:
                    share, stop = inputs * b // blocks, inputs * (b + 1) // blocks
                    _add_sums(gates_tile, unit, first, j + width, share, stop, inputs, packed, work)
                layer = layer_of(unit.layers[b, k])
                h_at, h_row = h_of_step(cell.stage, layer, t)
                step_forward(cell, layer, t, j, packed, work, keep_tape, h_at, h_row)


# backward


@register_jitable(forceinline=True)
def _add_panel(sums_tile, tile, unit, rows, blocks, packed, w, work, out, columns):
    """out (ROWS, columns) += dz w for one panel, of as many vectors as the tiles have."""
    distance = TILE // amx.TILE_ROWS * 4
    clear_sums(sums_tile)
    add_blocks(sums_tile, blocks_of(rows), work, unit.a_dz, packed, w)
    write_sums(sums_tile, work, unit.sums, distance)
    for b in range(blocks):
        at = out + b * unit.block
        acc = load_like(tile, work, at, columns)
        acc = acc + load_like(tile, work, unit.sums + b * ROWS * distance, distance)
        store(work, at, columns, acc)


@register_jitable(forceinline=True)
def _add_dz_product(unit, rows, blocks, packed, w, work, columns, out):
    """out (ROWS, columns) += dz w_back for each block, in the panels of ``_pack_panels``."""
    width, n = lanes(work), 0
    step = blocks_of(rows) * PARTS * TILE
    four, two, one = zeros(work, ROWS, 4), zeros(work, ROWS, 2), zeros(work, ROWS, 1)
    while n + 4 * width <= columns:
        _add_panel(four, four, unit, rows, blocks, packed, w, work, out + n, columns)
        n, w = n + 4 * width, w + 4 * step
    if n + 2 * width <= columns:
        _add_panel(two, two, unit, rows, blocks, packed, w, work, out + n, columns)
        n, w = n + 2 * width, w + 2 * step
    if n < columns:
        _add_panel(one, one, unit, rows, blocks, packed, w, work, out + n, columns)


@register_jitable(forceinline=True)
def _write_steps(work, at, part, source, step, distance, t, stop):
    """Write rows of steps t and t + 1 as pairs; zeros for the second at ``stop``."""
    even = load(work, source + t * step, distance, ROWS, 1)
    odd = zeros(work, ROWS, 1)
    if t + 1 < stop:
        odd = load(work, source + (t + 1) * step, distance, ROWS, 1)
    write_pairs(work, at, part, even, odd)


@subkernel
def _write_dz(unit, k, blocks, start, stop, work):
    """b_dz from the dz of steps ``start`` to ``stop`` - 1; zeros for blocks that are not there."""
    align_stack()
    gates, width = unit.cell.gates, lanes(work)
    pairs, units = (stop - start + 1) // 2, layer_of(unit.layers[0, k]).units
    for j in range(0, units, width):
        for pair in range(pairs):
            at = unit.b_dz + (j // width * pairs + pair) * gates * PARTS * TILE
            for gate in range(gates):
                for b in range(blocks):
                    z = layer_of(unit.layers[b, k]).z + j * gates * ROWS + gate * width
                    to = at + gate * TILE + b * ROWS * width
                    _write_steps(
                        work, to, gates * TILE, z, ROWS * gates * units, gates * width,
                        start + 2 * pair, stop
                    )  # fmt: skip
            for tile in range(PARTS * gates):
                missing = at + tile * TILE + blocks * ROWS * width
                work[missing : at + (tile + 1) * TILE] = 0


@subkernel
def _write_inputs(unit, k, blocks, start, stop, is_below, work):
    """a_inputs from what comes from below, or from h, in steps ``start`` to ``stop`` - 1."""
    align_stack()
    width, pairs = lanes(work), (stop - start + 1) // 2
    first = layer_of(unit.layers[0, k])
    for j in range(0, first.below if is_below else first.own, width):
        for pair in range(pairs):
            at = unit.a_inputs + (j // width * pairs + pair) * PARTS * TILE
            for b in range(blocks):
                layer = layer_of(unit.layers[b, k])
                source = layer.tape_below if is_below else layer.tape + layer.h
                row = layer.row_below if is_below else layer.row
                _write_steps(
                    work, at + b * ROWS * width, TILE, source + j, ROWS * row, row,
                    start + 2 * pair, stop
                )  # fmt: skip
            for part in range(PARTS):
                to = at + part * TILE
                store(work, to, width, transpose(load_square(work, to, width)))


@subkernel
def _add_gradient(unit, k, pairs, count, work, partial, start):
    """partial (count, gates units) += a_inputs b_dz"""
    align_stack()
    first, width, gates = layer_of(unit.layers[0, k]), lanes(work), unit.cell.gates
    gates_tile, _, _ = gates_of(unit.cell, work)
    columns = gates * first.units
    for j in range(0, first.units, width):
        dz = unit.b_dz + j // width * pairs * gates * PARTS * TILE
        for m in range(0, count, amx.TILE_ROWS):
            place = start + m * columns + j * gates
            inputs = unit.a_inputs + m // amx.TILE_ROWS * pairs * PARTS * TILE
            read_sums(gates_tile, partial, place, columns)
            add_blocks(gates_tile, pairs, work, inputs, work, dz)
            write_sums(gates_tile, partial, place, columns)


@subkernel
def group_backward(unit, k, blocks, seq_len, packed, work, partial, dh, dc, dy, dy_given):
    """Pull gradients back through layer ``k`` for a group, as ``layer_backward`` does.

    ``dh``, ``dc`` and ``dy`` are the places of the first block.
    """
    align_stack()
    cell, first = unit.cell, layer_of(unit.layers[0, k])
    width, units, gates = lanes(work), first.units, cell.gates
    gates_tile, _, _ = gates_of(cell, work)
    columns = gates * units
    inputs = -(-first.below // width) * width
    for stop in range(seq_len, 0, -unit.steps_at_once):
        start = max(0, stop - unit.steps_at_once)
        for t in range(stop - 1, start - 1, -1):
            for b in range(blocks):
                layer, by = layer_of(unit.layers[b, k]), b * unit.block
                dy_t = dy + by + t * ROWS * units if dy_given else -1
                for j in range(0, units, width):
                    step_backward(cell, layer, t, j, packed, work, dh + by, dc + by, dy_t)
                    z = layer.z + (t * units + j) * gates * ROWS
                    for gate in range(gates):
                        dz = load(work, z + gate * width, gates * width, ROWS, 1)
                        write_a(work, unit.a_dz, b * ROWS, j * gates + gate * width, dz)
            w = first.w_back_h_parts
            _add_dz_product(unit, columns, blocks, packed, w, work, units, dh)
            if inputs:
                dx, w = dy + t * ROWS * inputs, first.w_back_x_parts
                for b in range(blocks):
                    work[dx + b * unit.block : dx + b * unit.block + ROWS * inputs] = 0
                _add_dz_product(unit, columns, blocks, packed, w, work, inputs, dx)

        pairs = (stop - start + 1) // 2
        _write_dz(unit, k, blocks, start, stop, work)
        if inputs:
            _write_inputs(unit, k, blocks, start, stop, True, work)
            _add_gradient(unit, k, pairs, first.below, work, partial, first.partial_below)
        _write_inputs(unit, k, blocks, start, stop, False, work)
        _add_gradient(unit, k, pairs, first.own, work, partial, first.partial_own)
        for b in range(blocks):
            layer = layer_of(unit.layers[b, k])
            add_weight_gradient(
                gates_tile, cell, units, work, layer.tape + layer.first_x, layer.row, layer.x,
                layer.z, start, stop, partial, layer.partial_x
            )  # fmt: skip


# a network


@subkernel
def _block(unit, b, work):
    """The part of ``work`` that belongs to a block."""
    return work[b * unit.block : (b + 1) * unit.block]


@subkernel
def train_group(plan, windows, first, valid, step, weight, buffers, work, partial):
    """Take windows ``first`` to ``first + valid`` - 1 forward and back; return their losses."""
    unit, packed, top = plan.unit, buffers.packed, len(plan.layers) - 1
    blocks = -(-valid // ROWS)
    for b in range(blocks):
        reset_states(plan, _block(unit, b, work))
        rows = min(ROWS, valid - b * ROWS)
        gather(plan, windows, first + b * ROWS, rows, _block(unit, b, work))
    for k in range(top + 1):
        group_forward(unit, k, blocks, plan.seq_len, packed, work, step.tape)

    total = 0.0
    for b in range(blocks):
        own, at, rows = _block(unit, b, work), first + b * ROWS, min(ROWS, valid - b * ROWS)
        block_head(plan, buffers.params, windows, at, rows, own)
        total += block_loss(plan, windows, at, rows, step.loss, step.huber_delta, weight, own)
        block_head_backward(plan, packed, windows, at, rows, own, partial)

    for k in range(top, -1, -1):
        for b in range(blocks):
            own, n = _block(unit, b, work), ROWS * layer_at(plan, k).units
            if k < top:
                own[plan.dh : plan.dh + n] = 0
            own[plan.dc : plan.dc + n] = 0
        group_backward(
            unit, k, blocks, plan.seq_len, packed, work, partial,
            plan.dh, plan.dc, plan.dy, k < top
        )  # fmt: skip
    return total
