"""One layer in one direction over a batch of sequences: the kernels of the public layers.

A row takes the steps it is told to take, in the order of ``steps``: padding, masked steps and the
reverse direction are matters of what is gathered and where results go, not of the recurrence. A
block runs as long as its longest row; rows are put into blocks in the order of their lengths, so a
ragged batch costs what its steps cost.
"""

from typing import Any, NamedTuple

import numpy as np

from ..jit import kernel
from ..parts import subkernel
from ..tile import ROWS, VECTOR_BYTES, lanes
from .cell import Staged
from .gradients import add_chunks, unpack_layer
from .moves import add, copy
from .packing import pack_layer
from .plan import Layer, Places, make_layer, place_cell, place_weights, round_up, steps_at_once
from .recurrent import clear_row, layer_backward, layer_forward
from .stage import h_of_step, output_of_step, set_mask
from .subnormals import flush_subnormals, restore_subnormals
from .team import TICKET, atomic_add, atomic_write, meet
from .training import chunks_of


class SequencePlan(NamedTuple):
    """A layer on its own: its sizes, and where all of it lies."""

    cell: Any  # with the activations and the stage of this layer
    layer: Layer  # reads its inputs from ``layer.tape_below``
    at_once: int
    features: int
    hidden: int
    outs: int  # hidden, or the size of its projection
    has_c: int  # 1 for an LSTM
    dh: int  # work
    dc: int
    dy: int
    dx: int
    n_packed: int
    n_work: int
    n_partial: int


def make_sequence_plan(cell, staged, seq_len, features, hidden, proj_size, params, dtype):
    """Return the ``SequencePlan`` of a layer whose weights begin at ``params``.

    ``cell`` is one of CELLS, with the activations that are wanted; ``staged`` gives it a stage.
    """
    lanes = VECTOR_BYTES // np.dtype(dtype).itemsize
    places = Places.of(lanes)
    _, packed, work, partial = places
    outs = proj_size or hidden
    units, outs_up, inputs = (round_up(n, lanes) for n in (hidden, outs, features))
    # The products with x read whole groups of ROWS inputs.
    x = work.take(seq_len * ROWS * inputs + ROWS)
    layer, end = make_layer(cell, places, seq_len, 0, hidden, outs, params, features, (x, inputs))
    layer = place_weights(cell, places, layer)
    cell, end = place_cell(cell, places, seq_len, layer, end)
    if staged:
        p = 1 if proj_size else 0
        stage = Staged(
            projected=p,
            y=work.take(seq_len * ROWS * outs_up),
            mask=work.take(ROWS * outs_up),
            h=work.take(p * (seq_len + ROWS) * ROWS * units),
            dh=work.take(p * ROWS * units),
            dy=work.take(p * seq_len * ROWS * outs_up),
            params=end,
            w=packed.take(p * hidden * outs_up),
            w_back=packed.take(p * outs_up * units),
            partial=partial.take(p * round_up(hidden, ROWS) * outs_up),
        )
        cell = cell._replace(stage=stage)
    return SequencePlan(
        cell=cell,
        layer=layer,
        at_once=steps_at_once(cell, units, lanes),
        features=features,
        hidden=hidden,
        outs=outs,
        has_c=int(cell.has_c),
        dh=work.take(ROWS * outs_up),
        dc=work.take(ROWS * units),
        dy=work.take(seq_len * ROWS * outs_up),
        dx=work.take(seq_len * ROWS * inputs),
        n_packed=packed.size,
        n_work=work.size + 4 * ROWS * lanes,
        n_partial=round_up(partial.size, 4 * lanes),
    )


class Sequences(NamedTuple):
    """A batch of sequences, and what each row does."""

    x: np.ndarray  # (batch seq_len features,)
    seq_len: int
    order: np.ndarray  # (batch,) rows in the order of falling counts
    counts: np.ndarray  # (batch,) steps that a row takes
    steps: np.ndarray  # (batch or 1, seq_len) the steps it takes, oldest first
    reverse: int  # 1: newest first
    hold: int  # 1: between the steps that a row takes, its output stays as it is
    x_mask: np.ndarray  # (batch or 0, features) factors of the inputs
    h_mask: np.ndarray  # (batch or 0, outs) factors of what enters a step
    h: np.ndarray  # (batch, outs) initial state
    c: np.ndarray  # (batch, hidden); (batch, 0) without a cell state
    outputs: int  # columns of y, of which those from ``column`` on are this layer's
    column: int


@subkernel
def _step(sequences, n, k):
    """Return the step that row ``n`` takes as its ``k``-th."""
    if sequences.reverse:
        k = sequences.counts[n] - 1 - k
    return sequences.steps[n if len(sequences.steps) > 1 else 0, k]


@subkernel
def _shown(sequences, n, k):
    """Return the range of steps whose output is that of the ``k``-th of row ``n``."""
    t = _step(sequences, n, k)
    if not sequences.hold:
        return t, t + 1
    last = k + 1 == sequences.counts[n]
    if sequences.reverse:
        return (0 if last else _step(sequences, n, k + 1) + 1), t + 1
    return t, (sequences.seq_len if last else _step(sequences, n, k + 1))


@subkernel
def _row(sequences, block, r):
    """Return which row of the batch is row ``r`` of a block; beyond the batch, its last one."""
    return sequences.order[min(block * ROWS + r, len(sequences.order) - 1)]


@subkernel
def _gather(plan, sequences, block, count, work):
    """Put inputs, initial state and mask of a block's rows into the tape."""
    layer = plan.layer
    inputs, slots = layer.row_below, count + 1
    for slot in range(slots * ROWS):
        work[layer.tape + slot * layer.row + layer.h - 1] = 1
    for r in range(ROWS):
        n = _row(sequences, block, r)
        for k in range(count):
            x = layer.tape_below + (k * ROWS + r) * inputs
            if k >= sequences.counts[n]:
                work[x : x + inputs] = 0
                continue
            source = (n * sequences.seq_len + _step(sequences, n, k)) * plan.features
            copy(sequences.x, source, work, x, plan.features)
            if len(sequences.x_mask) > 0:
                for f in range(plan.features):
                    work[x + f] *= sequences.x_mask[n, f]
        h, c = layer.tape + r * layer.row + layer.h, layer.c + r * layer.units
        work[h : h + layer.row - layer.h] = 0
        work[c : c + layer.units] = 0
        for j in range(plan.outs):
            work[h + j] = sequences.h[n, j]
        for j in range(sequences.c.shape[1]):
            work[c + j] = sequences.c[n, j]
        set_mask(plan.cell.stage, layer, sequences.h_mask, n, r, work)


@subkernel
def _next_end(sequences, block, rows, step):
    """Return the fewest steps, more than ``step``, that a row of the block takes."""
    end = 1 << 62
    for r in range(rows):
        count = sequences.counts[_row(sequences, block, r)]
        if count > step:
            end = min(end, count)
    return end


@subkernel
def _put_state(plan, sequences, block, rows, count, work, keep_tape, h_n, c_n):
    """Write the state of the rows that end after ``count`` steps."""
    layer = plan.layer
    slot = layer.c + (count * ROWS * layer.units if keep_tape else 0)
    for r in range(rows):
        n = _row(sequences, block, r)
        if sequences.counts[n] != count:
            continue
        for j in range(plan.outs):
            h_n[n, j] = sequences.h[n, j]
        if count > 0:
            at, row = output_of_step(plan.cell.stage, layer, count - 1)
            for j in range(plan.outs):
                h_n[n, j] = work[at + r * row + j]
        for j in range(c_n.shape[1]):
            c_n[n, j] = work[slot + r * layer.units + j]


@subkernel
def _put_outputs(plan, sequences, block, rows, work, y):
    for r in range(rows):
        n = _row(sequences, block, r)
        for k in range(sequences.counts[n]):
            at, row = output_of_step(plan.cell.stage, plan.layer, k)
            first, last = _shown(sequences, n, k)
            for t in range(first, last):
                to = (n * sequences.seq_len + t) * sequences.outputs + sequences.column
                copy(work, at + r * row, y, to, plan.outs)


@kernel
def forward_sequences(
    plan,
    sequences,
    params,
    packed,
    work,
    keep_tape,
    y,
    h_n,
    c_n,
    first_block,
    last_block,
    rank,
    size,
    shared,
):
    """Run a layer over blocks ``first_block`` to ``last_block`` - 1 of a batch, from the first on.

    Parameters
    ----------
    work : (blocks, n_work) with ``keep_tape``, for the backward pass, else (threads, n_work)
    y : (batch seq_len outputs,)            out
    h_n, c_n : as h and c of ``Sequences``  out: the state after each row's last step
    """
    mode = flush_subnormals()
    if first_block == 0:
        pack_layer(plan.cell, plan.layer, params, packed, rank, size)
    if rank == 0:
        atomic_write(shared, TICKET, first_block)
    meet(shared, size)
    batch = len(sequences.order)
    block = atomic_add(shared, TICKET, 1)
    while block < last_block:
        tape = work[block if keep_tape else rank]
        rows = min(ROWS, batch - block * ROWS)
        count = sequences.counts[_row(sequences, block, 0)]
        _gather(plan, sequences, block, count, tape)
        _put_state(plan, sequences, block, rows, 0, tape, keep_tape, h_n, c_n)
        first = 0
        while first < count:
            last = _next_end(sequences, block, rows, first)
            layer_forward(plan.cell, plan.layer, first, last, packed, tape, keep_tape)
            _put_state(plan, sequences, block, rows, last, tape, keep_tape, h_n, c_n)
            first = last
        _put_outputs(plan, sequences, block, rows, tape, y)
        block = atomic_add(shared, TICKET, 1)
    restore_subnormals(mode)


@subkernel
def _gather_gradients(plan, sequences, block, rows, count, work, dy, dh_n):
    """Put the gradients of a block's outputs and final hidden states where they are read."""
    outs_up = plan.layer.row - plan.layer.h
    work[plan.dy : plan.dy + count * ROWS * outs_up] = 0
    work[plan.dh : plan.dh + ROWS * outs_up] = 0
    work[plan.dc : plan.dc + ROWS * plan.layer.units] = 0
    for r in range(rows):
        n = _row(sequences, block, r)
        taken = sequences.counts[n]
        for k in range(taken):
            at = plan.dy + (k * ROWS + r) * outs_up
            first, last = _shown(sequences, n, k)
            for t in range(first, last):
                source = (n * sequences.seq_len + t) * sequences.outputs + sequences.column
                add(dy, source, work, at, plan.outs)
        at = plan.dy + ((taken - 1) * ROWS + r) * outs_up
        for j in range(plan.outs if taken > 0 else 0):
            work[at + j] += dh_n[n, j]


@subkernel
def _put_gradients(plan, sequences, block, rows, work, dx, dh_n, dc_n, dh_0, dc_0):
    """Add to dx, and write the gradients of the initial states."""
    layer = plan.layer
    inputs = layer.row_below
    for r in range(rows):
        n = _row(sequences, block, r)
        taken = sequences.counts[n]
        for k in range(taken if len(dx) > 0 else 0):
            at, t = plan.dx + (k * ROWS + r) * inputs, _step(sequences, n, k)
            if len(sequences.x_mask) > 0:
                for f in range(plan.features):
                    work[at + f] *= sequences.x_mask[n, f]
            add(work, at, dx, (n * sequences.seq_len + t) * plan.features, plan.features)
        at = plan.dh + r * (layer.row - layer.h)
        for j in range(plan.outs):
            dh_0[n, j] = work[at + j] if taken > 0 else dh_n[n, j]
        at = plan.dc + r * layer.units
        for j in range(dc_0.shape[1]):
            dc_0[n, j] = work[at + j] if taken > 0 else dc_n[n, j]


@subkernel
def _clear_ended(plan, sequences, block, count, work):
    """Zero the tape of rows that have ended: they went on, perhaps until they overflowed."""
    layer, slots, width = plan.layer, plan.cell.slots, lanes(work)
    for r in range(ROWS):
        for t in range(sequences.counts[_row(sequences, block, r)], count):
            own = layer.tape + ((t + 1) * ROWS + r) * layer.row + layer.h
            work[own : own + layer.row - layer.h] = 0
            h, row = h_of_step(plan.cell.stage, layer, t)
            work[h + r * row : h + r * row + layer.units] = 0
            c = layer.c + ((t + 1) * ROWS + r) * layer.units
            work[c : c + layer.units] = 0
            for j in range(0, layer.units, width):
                z = layer.z + ((t * layer.units + j) * ROWS + r * width) * slots
                work[z : z + slots * width] = 0
            clear_row(plan.cell, layer, t, r, work)


@subkernel
def _backward_block(plan, sequences, block, packed, work, partial, dy, dh_n, dc_n, dx, dh_0, dc_0):
    layer = plan.layer
    rows = min(ROWS, len(sequences.order) - block * ROWS)
    count = sequences.counts[_row(sequences, block, 0)]
    _gather_gradients(plan, sequences, block, rows, count, work, dy, dh_n)
    _clear_ended(plan, sequences, block, count, work)
    last = count
    while last > 0:
        first = 0
        for r in range(rows):
            n = _row(sequences, block, r)
            if sequences.counts[n] == last:
                for j in range(dc_n.shape[1]):
                    work[plan.dc + r * layer.units + j] = dc_n[n, j]
            elif sequences.counts[n] < last:
                first = max(first, sequences.counts[n])
        layer_backward(
            plan.cell, layer, first, last, plan.at_once, packed, work, partial,
            plan.dh, plan.dc, plan.dy, True, plan.dx if len(dx) > 0 else -1
        )  # fmt: skip
        last = first
    _put_gradients(plan, sequences, block, rows, work, dx, dh_n, dc_n, dh_0, dc_0)


@kernel
def backward_sequences(
    plan, sequences, packed, work, partials, dy, dh_n, dc_n, dx, dh_0, dc_0, gradient,
    first_chunk, last_chunk, rank, size, shared
):  # fmt: skip
    """Pull gradients back through a layer, from the tapes that its forward pass has left.

    Takes chunks ``first_chunk`` to ``last_chunk`` - 1 of the batch; with the last one goes the sum.

    Parameters
    ----------
    work : (blocks, n_work)                  in: tapes; they are used up
    partials : (chunks n_partial,)           scratch
    dy : (batch seq_len outputs,)            in
    dh_n, dc_n : as h_n and c_n              in
    dx : (batch seq_len features,)           in, out: what reaches x is added; not if it is empty
    dh_0, dc_0 : as h and c                  out
    gradient : (weights,)                    out: this layer's part is written
    """
    mode = flush_subnormals()
    batch = len(sequences.order)
    blocks, chunks = -(-batch // ROWS), chunks_of(batch)
    if rank == 0:
        atomic_write(shared, TICKET, first_chunk)
    meet(shared, size)
    chunk = atomic_add(shared, TICKET, 1)
    while chunk < last_chunk:
        partial = partials[chunk * plan.n_partial : (chunk + 1) * plan.n_partial]
        partial[:] = 0
        for block in range(chunk * blocks // chunks, (chunk + 1) * blocks // chunks):
            _backward_block(
                plan, sequences, block, packed, work[block], partial,
                dy, dh_n, dc_n, dx, dh_0, dc_0
            )  # fmt: skip
        chunk = atomic_add(shared, TICKET, 1)
    if last_chunk == chunks:
        meet(shared, size)
        add_chunks(plan.n_partial, partials, chunks, rank, size)
        meet(shared, size)
        unpack_layer(plan.cell, plan.layer, partials, gradient, rank, size)
    restore_subnormals(mode)
