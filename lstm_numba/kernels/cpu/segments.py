"""Streams, segment by segment: truncated back-propagation through time.

A row is a segment, the next steps of one stream. Its initial state is read from ``States`` and its
final one written there, so the next segment of the stream, in a later batch and in any row of it,
goes on from there; no gradient crosses that border. Williams & Peng (1990).
"""

from typing import NamedTuple

import numpy as np

from ..jit import kernel
from ..parts import subkernel
from ..tile import ROWS
from .block import layers_backward, reset_states
from .head import (
    add_known,
    head_backward,
    head_forward,
    known_backward,
    no_loss,
    row_loss,
    write_row,
)
from .packing import pack_weights
from .plan import layer_at
from .recurrent import layer_forward
from .subnormals import flush_subnormals, restore_subnormals
from .team import TICKET, atomic_add, atomic_write, meet
from .training import chunks_of, clip_and_update, sum_gradient


class Segments(NamedTuple):
    """Segments as row ranges of flat arrays; nothing is copied.

    A batch holds one segment of each of some streams. Forecasts are made after ``read_from``,
    ``read_from + 1``, ..., ``steps`` steps of a segment: for the rows from there on.
    """

    inputs: np.ndarray  # (time, features)
    targets: np.ndarray  # (time, targets)
    starts: np.ndarray  # (segments,) first row
    steps: np.ndarray  # (segments,) rows, from 0 to seq_len
    read_from: np.ndarray  # (segments,) 1 at least to train on; steps + 1: no forecast
    places: np.ndarray  # (segments,) number of the first forecast
    streams: np.ndarray  # (segments,) whose state it is
    bounds: np.ndarray  # (batches + 1,) batch b has the segments bounds[b] to bounds[b + 1] - 1


class States(NamedTuple):
    """States of streams; c is zero for cells that have none."""

    h: np.ndarray  # (layers, streams, hidden)
    c: np.ndarray


@subkernel
def _gather(plan, segments, first, valid, work):
    """Copy inputs to the tape; return the steps of the longest row.

    What is beyond the end of a row is zero: finite numbers, whose results are not used.
    """
    longest = 0
    for r in range(valid):
        longest = max(longest, segments.steps[first + r])
    bottom = layer_at(plan, 0)
    for r in range(ROWS):
        steps = segments.steps[first + r] if r < valid else 0
        for t in range(longest):
            x = bottom.tape + (t * ROWS + r) * bottom.row + bottom.first_x
            if t >= steps:
                work[x : x + plan.features] = 0
                continue
            row = segments.starts[first + r] + t
            for k in range(plan.features):
                work[x + k] = segments.inputs[row, k]
    work[plan.shift : plan.shift + ROWS * plan.targets] = 0
    work[plan.scale : plan.scale + ROWS * plan.targets] = 1
    return longest


@subkernel
def _load_states(plan, segments, states, first, valid, work):
    """Slot 0 of the tape = the states of the streams."""
    reset_states(plan, work)
    for k in range(len(plan.layers)):
        layer = layer_at(plan, k)
        for r in range(valid):
            stream = segments.streams[first + r]
            h, c = layer.tape + r * layer.row + layer.h, layer.c + r * layer.units
            for j in range(layer.hidden):
                work[h + j] = states.h[k, stream, j]
                work[c + j] = states.c[k, stream, j]


@subkernel
def _store_states(plan, segments, states, first, valid, work):
    """The states of the streams = those after the last step of each row."""
    for k in range(len(plan.layers)):
        layer = layer_at(plan, k)
        for r in range(valid):
            stream, place = segments.streams[first + r], segments.steps[first + r] * ROWS + r
            h, c = layer.tape + place * layer.row + layer.h, layer.c + place * layer.units
            for j in range(layer.hidden):
                states.h[k, stream, j] = work[h + j]
                states.c[k, stream, j] = work[c + j]


@subkernel
def _is_read(segments, first, valid, r, slot):
    """Whether row ``r`` of a block has a forecast after ``slot`` steps."""
    row = first + r
    return r < valid and segments.read_from[row] <= slot <= segments.steps[row]


@subkernel
def _any_read(segments, first, valid, slot):
    found = False
    for r in range(valid):
        found = found or _is_read(segments, first, valid, r, slot)
    return found


@subkernel
def _read(plan, params, segments, first, valid, slot, step, weight, out, total, work):
    """Forecast after ``slot`` steps; write the forecasts to ``out``, or add their loss to total."""
    head_forward(plan, params, slot, work)
    for r in range(ROWS):
        if not _is_read(segments, first, valid, r, slot):
            no_loss(plan, r, work)
            continue
        row = first + r
        origin = segments.starts[row] + slot
        add_known(plan, params, segments.inputs, origin, r, work)
        if len(out) > 0:
            write_row(plan, r, work, out, segments.places[row] + slot - segments.read_from[row])
        else:
            kind, delta = step.loss, step.huber_delta
            total = row_loss(plan, segments.targets, origin, r, kind, delta, weight, total, work)
    return total


@subkernel
def _read_backward(plan, packed, segments, first, valid, slot, work, partial):
    """Add the head's gradients after ``slot`` steps to ``partial``; write dy of that step."""
    dy = plan.dy + (slot - 1) * ROWS * layer_at(plan, 0).units
    head_backward(plan, packed, slot, dy, work, partial)
    for r in range(valid):
        if _is_read(segments, first, valid, r, slot):
            origin = segments.starts[first + r] + slot
            known_backward(plan, segments.inputs, origin, r, work, partial)


@subkernel
def _run_block(
    plan, segments, states, first, valid, step, weight, train, out, total, buffers, work, partial
):
    """Take a block of segments forward and, to train, back; return ``total`` plus its losses."""
    _load_states(plan, segments, states, first, valid, work)
    steps = _gather(plan, segments, first, valid, work)
    for k in range(len(plan.layers)):
        layer_forward(plan.cell, layer_at(plan, k), 0, steps, buffers.packed, work, True)
    _store_states(plan, segments, states, first, valid, work)
    for slot in range(steps + 1):
        if _any_read(segments, first, valid, slot):
            total = _read(
                plan, buffers.params, segments, first, valid, slot, step, weight, out, total, work
            )
            if train:
                _read_backward(plan, buffers.packed, segments, first, valid, slot, work, partial)
        elif train and slot > 0:
            dy, size = plan.dy, ROWS * layer_at(plan, 0).units
            work[dy + (slot - 1) * size : dy + slot * size] = 0
    if train:
        layers_backward(plan, steps, True, buffers.packed, work, partial)
    return total


@subkernel
def _run_chunk(
    plan, segments, states, start, n, chunk, chunks, step, weight, train, out, buffers, work
):
    """Take one chunk of a batch of ``n`` segments; return its sum of losses."""
    size = plan.n_partial if train else 0
    partial = buffers.partials[chunk * size : (chunk + 1) * size]
    partial[:] = 0
    blocks = -(-n // ROWS)
    total = 0.0
    for block in range(chunk * blocks // chunks, (chunk + 1) * blocks // chunks):
        first, valid = start + block * ROWS, min(ROWS, n - block * ROWS)
        total = _run_block(
            plan, segments, states, first, valid, step, weight, train, out, total, buffers, work,
            partial
        )  # fmt: skip
    return total


@subkernel
def _weight(plan, segments, start, n):
    """One over the number of targets of a batch: its loss is a mean."""
    read = 0
    for row in range(start, start + n):
        read += segments.steps[row] + 1 - segments.read_from[row]
    return 1.0 / (max(read, 1) * plan.horizon * plan.targets)


@kernel
def run_segments(
    plan, segments, states, first, last, step, steps_done, total, train, out, buffers, rank, size,
    shared
):  # fmt: skip
    """Take batches ``first`` to ``last`` - 1 forward, and train on them if ``train``.

    Parameters
    ----------
    states : States                                 in and out
    train : bool
        Update the weights after each batch.
    out : (forecasts or 0, horizon, targets)        out: the forecasts; none are scored then

    Returns
    -------
    float
        ``total`` plus the mean losses of all forecasts.
    """
    mode = flush_subnormals()
    per_forecast = 1.0 / (plan.horizon * plan.targets)
    work = buffers.work[rank]
    for batch in range(first, last):
        start = segments.bounds[batch]
        n = segments.bounds[batch + 1] - start
        chunks, weight = chunks_of(n), _weight(plan, segments, start, n)

        if train or batch == first:
            pack_weights(plan, buffers.params, buffers.packed, rank, size)
        if rank == 0:
            atomic_write(shared, TICKET, 0)
        meet(shared, size)

        chunk = atomic_add(shared, TICKET, 1)
        while chunk < chunks:
            buffers.losses[chunk] = _run_chunk(
                plan, segments, states, start, n, chunk, chunks, step, weight, train, out, buffers,
                work
            )  # fmt: skip
            chunk = atomic_add(shared, TICKET, 1)
        meet(shared, size)

        for chunk in range(chunks):
            total += buffers.losses[chunk] * per_forecast
        if train:
            sum_gradient(plan, chunks, buffers, rank, size, shared)
        meet(shared, size)
        if train:
            clip_and_update(plan, step, steps_done + batch - first, buffers, rank, size, shared)
    restore_subnormals(mode)
    return total
