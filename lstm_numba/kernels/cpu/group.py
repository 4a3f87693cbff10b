"""Groups of blocks: through time together, with products on the matrix unit.

A tile of the matrix unit has 16 rows, a block has ROWS. So GROUP blocks go through time side by
side: the products of a step are taken for all of them at once, then each block takes its gates and
its cell as ``recurrent.py`` has it. Where the vector units would multiply a matrix with one block,
here are the products of h and of what comes from below with the weights, those that go back in time
and those of the weight gradients. Only the forward products of the inputs x and of the bias stay on
the vector units.

``b`` and ``blocks`` count blocks of rows; ``block``, ``inputs`` and ``steps`` count blocks of K
numbers that are summed over, see ``six_products.py``; ``unit.block`` is a distance in ``work``.
"""

from numba.extending import register_jitable

from ..parts import PART, subkernel
from ..tile import ROWS, lanes, load, spread, store, zeros
from .amx import TILE_ROWS
from .digits import larger_size, largest_of_tile, scale_of
from .matrix_unit import GROUP, STEPS
from .plan import layer_of
from .recurrent import step_backward, step_forward
from .six_products import (
    HEAD,
    SUMS,
    K,
    blocks_of,
    largest_of_rows,
    multiply,
    operand_size,
    product,
    transpose_block,
    write_four,
    write_row,
    write_scales,
)
from .stack import align_stack
from .stage import h_of_step

# forward


@register_jitable(**PART)
def _columns_of_block(layer, block, t):
    """Return where row 0 of a block of a_h is read at step t, how far rows are apart, and how many
    columns there are."""
    below = blocks_of(layer.below)
    if block < below:
        at = layer.tape_below + t * ROWS * layer.row_below + block * K
        return at, layer.row_below, min(K, layer.below - block * K)
    first = (block - below) * K
    at = layer.tape + t * ROWS * layer.row + layer.h + first
    return at, layer.row, min(K, layer.units - first)


@register_jitable(**PART)
def _column(work, source, packed, s):
    """One vector of columns times s."""
    return load(work, source, 0, 1, 1) * load(packed, s, 0, 1, 1)


@subkernel
def _write_h(unit, k, blocks, inputs, t, packed, work):
    """a_h, of ``inputs`` blocks, from what comes from below at step t and from h[t].

    Each column times s of ``packing_digits.py``. What is written beyond the columns that are there
    is multiplied with zeros.
    """
    align_stack()
    layer, width = layer_of(unit.layers[0, k]), lanes(work)
    for b in range(blocks):
        largest = zeros(work, ROWS, 1)
        for block in range(inputs):
            at, distance, count = _columns_of_block(layer, block, t)
            for n in range(0, count, width):
                x = load(work, at + b * unit.block + n, distance, ROWS, 1)
                s = load(packed, layer.w_sizes + block * K + n, 0, ROWS, 1)
                largest = larger_size(largest, x * s)
        store(work, unit.sizes + b * ROWS * width, width, largest)
    write_scales(work, unit.a_h, largest_of_rows(work, unit.sizes))
    for block in range(inputs):
        at, distance, _ = _columns_of_block(layer, block, t)
        s = layer.w_sizes + block * K
        for b in range(blocks):
            for r in range(ROWS):
                row, source = b * ROWS + r, at + b * unit.block + r * distance
                write_four(
                    work,
                    unit.a_h,
                    block,
                    row,
                    spread(zeros(work, 1, 1), work, unit.a_h + row),
                    _column(work, source, packed, s),
                    _column(work, source + width, packed, s + width),
                    _column(work, source + 2 * width, packed, s + 2 * width),
                    _column(work, source + 3 * width, packed, s + 3 * width),
                )


@register_jitable(**PART)
def _multiply_h(unit, layer, inputs, j, first, last, packed, work):
    """Multiply a_h with the weights of gates ``first`` to ``last`` - 1 of the units from ``j``."""
    gates, width = unit.cell.gates, lanes(work)
    for gate in range(first, last):
        w = layer.w_digits + (j // width * gates + gate) * operand_size(inputs)
        multiply(inputs, work, unit.a_h, packed, w, work, unit.products + gate * SUMS)


@register_jitable(**PART)
def _take_sums(unit, layer, inputs, j, blocks, packed, work):
    """sums = the products of all gates of the units from ``j`` on."""
    gates, width = unit.cell.gates, lanes(work)
    for gate in range(gates):
        w = layer.w_digits + (j // width * gates + gate) * operand_size(inputs)
        for row in range(0, blocks * ROWS, ROWS):
            sums = product(work, unit.products + gate * SUMS, row, unit.a_h, packed, w)
            store(work, unit.sums + (row * gates + gate) * width, gates * width, sums)


@subkernel
def group_forward(unit, k, blocks, seq_len, packed, work, keep_tape):
    """Run layer ``k`` over the first ``blocks`` blocks of a group, as ``layer_forward`` does."""
    align_stack()
    cell, first = unit.cell, layer_of(unit.layers[0, k])
    width, units, gates = lanes(work), first.units, cell.gates
    inputs = blocks_of(first.below) + blocks_of(units)
    for t in range(seq_len):
        _write_h(unit, k, blocks, inputs, t, packed, work)
        _multiply_h(unit, first, inputs, 0, 0, gates, packed, work)
        for j in range(0, units, width):
            _take_sums(unit, first, inputs, j, blocks, packed, work)
            for b in range(blocks):
                # The products of the next vector are under way while this one's gates are taken.
                if j + width < units:
                    share, stop = gates * b // blocks, gates * (b + 1) // blocks
                    _multiply_h(unit, first, inputs, j + width, share, stop, packed, work)
                layer = layer_of(unit.layers[b, k])
                h_at, h_row = h_of_step(cell.stage, layer, t)
                step_forward(cell, layer, t, j, packed, work, keep_tape, h_at, h_row)


# backward


@subkernel
def _write_dz(unit, k, blocks, t, work):
    """a_dz from dz of step t, a block for each vector of units; largest sizes for b_dz."""
    align_stack()
    layer, width, gates = layer_of(unit.layers[0, k]), lanes(work), unit.cell.gates
    columns, row = gates * layer.units, gates * width
    for b in range(blocks):
        z = layer.z + t * ROWS * columns + b * unit.block
        largest = zeros(work, ROWS, 1)
        for n in range(0, columns, width):
            dz = load(work, z + n // row * ROWS * row + n % row, row, ROWS, 1)
            largest = larger_size(largest, dz)
            size = larger_size(load(work, unit.dz_sizes + n, 0, 1, 1), largest_of_tile(dz))
            store(work, unit.dz_sizes + n, 0, size)
        store(work, unit.sizes + b * ROWS * width, width, largest)
    write_scales(work, unit.a_dz, largest_of_rows(work, unit.sizes))
    for b in range(blocks):
        for r in range(ROWS):
            z = layer.z + t * ROWS * columns + b * unit.block + r * row
            scale = spread(zeros(work, 1, 1), work, unit.a_dz + b * ROWS + r)
            for block in range(layer.units // width):
                at = z + block * ROWS * row
                write_row(work, unit.a_dz, block, b * ROWS + r, scale, at, width)


@subkernel
def _add_dz_product(unit, vectors, blocks, packed, w, work, columns, out):
    """out (ROWS, columns) += dz w_back for each block of rows."""
    align_stack()
    width = lanes(work)
    for n in range(0, columns, width):
        multiply(vectors, work, unit.a_dz, packed, w, work, unit.products)
        for b in range(blocks):
            at = out + b * unit.block + n
            acc = load(work, at, columns, ROWS, 1)
            acc = acc + product(work, unit.products, b * ROWS, unit.a_dz, packed, w)
            store(work, at, columns, acc)
        w += operand_size(vectors)


@subkernel
def _write_gradient_dz(unit, k, blocks, start, steps, work):
    """b_dz from the dz of ``steps`` blocks of steps from ``start`` on; largest sizes become zero.

    Beyond the newest step, and for blocks of rows that are not there, dz is zero.
    """
    align_stack()
    layer, width, gates = layer_of(unit.layers[0, k]), lanes(work), unit.cell.gates
    columns, row, size = gates * layer.units, gates * width, operand_size(steps)
    for n in range(0, columns, width):
        operand, largest = unit.b_dz + n // width * size, unit.dz_sizes + n
        write_scales(work, operand, load(work, largest, 0, 1, 1))
        store(work, largest, 0, zeros(work, 1, 1))
        if blocks < GROUP:
            work[operand + HEAD : operand + size] = 0
    for j in range(0, layer.units, width):
        for block in range(steps):
            z = layer.z + ((start + STEPS * block) * layer.units + j) * ROWS * gates
            for b in range(blocks):
                for r in range(ROWS):
                    for gate in range(gates):
                        operand = unit.b_dz + (j // width * gates + gate) * size
                        scale = load(work, operand, 0, 1, 1)
                        at = z + b * unit.block + r * row + gate * width
                        write_row(work, operand, block, b * ROWS + r, scale, at, ROWS * columns)


@subkernel
def _write_gradient_inputs(unit, blocks, source, distance, count, start, steps, work):
    """a_inputs from ``count`` columns in ``steps`` blocks of steps from ``start`` on.

    Row 0 of step 0 begins at ``source``, the next row ``distance`` numbers further on. What is
    beyond the newest step is multiplied with zeros.
    """
    align_stack()
    width, step = lanes(work), ROWS * distance
    for j in range(0, count, width):
        operand, largest = unit.a_inputs + j // width * operand_size(steps), zeros(work, ROWS, 1)
        first = source + start * step + j
        for b in range(blocks):
            for t in range(STEPS * steps):
                rows = load(work, first + b * unit.block + t * step, distance, ROWS, 1)
                largest = larger_size(largest, rows)
        largest = largest_of_tile(largest)
        write_scales(work, operand, largest)
        scale = scale_of(largest)
        for block in range(steps):
            for b in range(blocks):
                for r in range(ROWS):
                    at = first + b * unit.block + STEPS * block * step + r * distance
                    write_row(work, operand, block, b * ROWS + r, scale, at, step)
            transpose_block(work, operand, block)


@subkernel
def _add_gradient(
    unit, k, blocks, source, distance, count, start, steps, work, partial, partial_at
):
    """partial (count, gates units) += a_inputs b_dz; see ``_write_gradient_inputs``."""
    align_stack()
    _write_gradient_inputs(unit, blocks, source, distance, count, start, steps, work)
    width, columns = lanes(work), unit.cell.gates * layer_of(unit.layers[0, k]).units
    for n in range(0, columns, width):
        dz = unit.b_dz + n // width * operand_size(steps)
        for m in range(0, count, TILE_ROWS):
            inputs = unit.a_inputs + m // width * operand_size(steps)
            multiply(steps, work, inputs, work, dz, work, unit.products)
            for row in range(0, TILE_ROWS, ROWS):
                at = partial_at + (m + row) * columns + n
                acc = load(partial, at, columns, ROWS, 1)
                acc = acc + product(work, unit.products, row, inputs, work, dz)
                store(partial, at, columns, acc)


@subkernel
def group_backward(plan, k, blocks, packed, work, partial, dy_given):
    """Pull gradients back through layer ``k`` for a group, as ``layer_backward`` does."""
    align_stack()
    unit, cell, first = plan.unit, plan.cell, layer_of(plan.unit.layers[0, k])
    width, units, dh, dc, dy = lanes(work), first.units, plan.dh, plan.dc, plan.dy
    inputs = -(-first.below // width) * width
    for b in range(blocks):
        by = b * unit.block
        if dy_given:
            work[dh + by : dh + by + ROWS * units] = 0
        work[dc + by : dc + by + ROWS * units] = 0
    stop = plan.seq_len
    while stop > 0:
        start = (stop - 1) // unit.steps_at_once * unit.steps_at_once
        for t in range(stop - 1, start - 1, -1):
            for b in range(blocks):
                layer, by = layer_of(unit.layers[b, k]), b * unit.block
                dy_t = dy + by + t * ROWS * units if dy_given else -1
                for j in range(0, units, width):
                    step_backward(cell, layer, t, j, packed, work, dh + by, dc + by, dy_t)
            _write_dz(unit, k, blocks, t, work)
            w = first.w_back_h_digits
            _add_dz_product(unit, units // width, blocks, packed, w, work, units, dh)
            if inputs:
                dx, w = dy + t * ROWS * inputs, first.w_back_x_digits
                for b in range(blocks):
                    work[dx + b * unit.block : dx + b * unit.block + ROWS * inputs] = 0
                _add_dz_product(unit, units // width, blocks, packed, w, work, inputs, dx)

        steps = -(-(stop - start) // STEPS)
        _write_gradient_dz(unit, k, blocks, start, steps, work)
        below, count, at = first.tape_below, first.below, first.partial_below
        _add_gradient(
            unit, k, blocks, below, first.row_below, count, start, steps, work, partial, at
        )
        x, count, at = first.tape + first.first_x, first.x, first.partial_x
        _add_gradient(unit, k, blocks, x, first.row, count, start, steps, work, partial, at)
        h, count, at = first.tape + first.h, first.own, first.partial_own
        _add_gradient(unit, k, blocks, h, first.row, count, start, steps, work, partial, at)
        stop = start
