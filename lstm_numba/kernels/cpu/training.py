"""The training step, and what else runs over many windows: loss, forecast, gradient.

All threads of a team run these kernels together. A step has six phases, and the team meets after
each: pack the weights; take chunks of the batch forward and back; add the chunks' gradients; put
them in the order of the weights; take their norm; clip and update. Nothing returns to Python in
between.
"""

from typing import NamedTuple

import numpy as np

from ..jit import kernel
from ..parts import subkernel
from ..tile import ROWS, lanes, load, store
from ..updates import adam, adam_rate
from .block import block_head_backward, block_loss, write_forecast
from .gradients import add_chunks, norm_of_pieces, square_pieces, unpack_gradient
from .packing import pack_weights
from .passes import (
    backward_pass,
    begin_passes,
    blocks_together,
    end_passes,
    forward_pass,
    start_of_block,
)
from .subnormals import flush_subnormals, restore_subnormals
from .team import TICKET, atomic_add, atomic_write, meet

# Chunks of a batch, each with partial gradients of its own: enough for many threads to share a
# batch evenly, few enough that adding them up costs little.
MAX_CHUNKS = 16


@subkernel
def chunks_of(n, chunk_rows=2 * ROWS):
    """Number of chunks of ``n`` rows: one for each ``chunk_rows`` begun, at most MAX_CHUNKS."""
    return min(-(-n // chunk_rows), MAX_CHUNKS)


class Windows(NamedTuple):
    """Windows as row ranges of flat arrays; nothing is copied."""

    inputs: np.ndarray  # (time, features)
    starts: np.ndarray  # (windows,) first row in inputs
    targets: np.ndarray  # (time, targets)
    target_starts: np.ndarray  # (windows,) first row in targets, and of covariates known in advance


class Buffers(NamedTuple):
    """What a training step writes to; see ``plan.py``."""

    params: np.ndarray  # (n_params + a vector,)
    gradient: np.ndarray  # (n_params rounded up to whole pieces,)
    mean: np.ndarray  # of Adam
    square: np.ndarray
    packed: np.ndarray  # (n_packed,)
    work: np.ndarray  # (threads, n_work)
    partials: np.ndarray  # (chunks n_partial,)
    squares: np.ndarray
    losses: np.ndarray  # (MAX_CHUNKS,) float64


class Step(NamedTuple):
    """What a step computes, and how weights are updated."""

    loss: int  # a value of LOSSES
    huber_delta: float
    learning_rate: float
    beta1: float
    beta2: float
    epsilon: float
    weight_decay: float
    clip_norm: float  # infinity: no clipping
    tape: bool  # keep what the backward pass needs


@subkernel
def train_chunk(plan, windows, start, n, chunk, chunks, step, buffers, work, partial):
    """Take one chunk of a batch of ``n`` windows forward and back; return its sum of losses."""
    packed, rows = buffers.packed, ROWS * blocks_together(plan.unit)
    passes, weight, total = -(-n // rows), 1.0 / (n * plan.horizon * plan.targets), 0.0
    begin_passes(plan.unit)
    for k in range(chunk * passes // chunks, (chunk + 1) * passes // chunks):
        first, valid = start + k * rows, min(rows, n - k * rows)
        forward_pass(plan, buffers.params, packed, windows, first, valid, work, step.tape)
        blocks = -(-valid // ROWS)
        for b in range(blocks):
            own, at = work[start_of_block(plan.unit, b) :], first + b * ROWS
            there = min(ROWS, valid - b * ROWS)
            total += block_loss(plan, windows, at, there, step, weight, own)
            block_head_backward(plan, packed, windows, at, there, own, partial)
        backward_pass(plan.unit, plan, blocks, packed, work, partial)
    end_passes(plan.unit)
    return total


@subkernel
def sum_gradient(plan, chunks, buffers, rank, size, shared):
    """Put the sum of the gradients of all chunks into ``buffers.gradient``."""
    add_chunks(plan.n_partial, buffers.partials, chunks, rank, size)
    meet(shared, size)
    unpack_gradient(plan, buffers.partials, buffers.gradient, rank, size)


@subkernel
def clip_and_update(plan, step, steps_done, buffers, rank, size, shared):
    """Clip the gradient to a global norm and take one step of Adam."""
    width = lanes(buffers.gradient)
    n = plan.n_params
    square_pieces(buffers.gradient, n, buffers.squares, rank, size)
    meet(shared, size)
    norm = norm_of_pieces(buffers.squares, n, width)

    real = buffers.params.dtype.type
    rate, epsilon = adam_rate(
        step.learning_rate, step.beta1, step.beta2, step.epsilon, steps_done + 1
    )
    # The small constant is that of torch.nn.utils.clip_grad_norm_. A norm that overflows must not
    # pass for a step of length zero.
    clip = real(min(1.0, step.clip_norm / (norm + 1e-6)) if norm < np.inf else np.nan)
    rate, epsilon = real(rate), real(epsilon)
    blend1, blend2 = real(1.0 - step.beta1), real(1.0 - step.beta2)
    decay = real(step.learning_rate * step.weight_decay)
    vectors = -(-n // width)
    for vector in range(vectors * rank // size, vectors * (rank + 1) // size):
        k = vector * width
        weight, mean, square = adam(
            load(buffers.params, k, 0, 1, 1),
            clip * load(buffers.gradient, k, 0, 1, 1),
            load(buffers.mean, k, 0, 1, 1),
            load(buffers.square, k, 0, 1, 1),
            rate,
            blend1,
            blend2,
            epsilon,
            decay,
        )
        store(buffers.params, k, 0, weight)
        store(buffers.mean, k, 0, mean)
        store(buffers.square, k, 0, square)
    meet(shared, size)


@kernel
def train_batches(
    plan,
    windows,
    first,
    last,
    batch_size,
    step,
    steps_done,
    total,
    update,
    buffers,
    rank,
    size,
    shared,
):
    """Train on batches ``first`` to ``last`` - 1; return ``total`` plus the windows' losses.

    Without ``update`` the weights stay as they are: the gradient of the mean loss of the last batch
    is left in ``buffers.gradient``.
    """
    mode = flush_subnormals()
    per_window = 1.0 / (plan.horizon * plan.targets)
    work = buffers.work[rank]
    for batch in range(first, last):
        start = batch * batch_size
        n = min(batch_size, len(windows.starts) - start)
        chunks = chunks_of(n, plan.chunk_rows)

        pack_weights(plan, buffers.params, buffers.packed, rank, size)
        if rank == 0:
            atomic_write(shared, TICKET, 0)
        meet(shared, size)

        chunk = atomic_add(shared, TICKET, 1)
        while chunk < chunks:
            partial = buffers.partials[chunk * plan.n_partial : (chunk + 1) * plan.n_partial]
            partial[:] = 0
            buffers.losses[chunk] = train_chunk(
                plan, windows, start, n, chunk, chunks, step, buffers, work, partial
            )
            chunk = atomic_add(shared, TICKET, 1)
        meet(shared, size)

        sum_gradient(plan, chunks, buffers, rank, size, shared)
        for chunk in range(chunks):
            total += buffers.losses[chunk] * per_window
        meet(shared, size)
        if update:
            clip_and_update(plan, step, steps_done + batch - first, buffers, rank, size, shared)
    restore_subnormals(mode)
    return total


@kernel
def infer(plan, windows, step, losses, out, buffers, rank, size, shared):
    """Forecast all windows, or sum up the losses of their forecasts.

    Parameters
    ----------
    losses : (blocks or 0,)                     out: sum of losses of each block of ROWS windows
    out : (windows or 0, horizon, targets)      out: forecasts in the units of the inputs
    """
    mode = flush_subnormals()
    work = buffers.work[rank]
    pack_weights(plan, buffers.params, buffers.packed, rank, size)
    meet(shared, size)
    n, rows = len(windows.starts), ROWS * blocks_together(plan.unit)
    begin_passes(plan.unit)
    for k in range(rank, -(-n // rows), size):
        first, valid = k * rows, min(rows, n - k * rows)
        forward_pass(plan, buffers.params, buffers.packed, windows, first, valid, work, step.tape)
        for b in range(-(-valid // ROWS)):
            own, at = work[start_of_block(plan.unit, b) :], first + b * ROWS
            there = min(ROWS, valid - b * ROWS)
            if len(out) > 0:
                write_forecast(plan, at, there, own, out)
            if len(losses) > 0:
                losses[at // ROWS] = block_loss(plan, windows, at, there, step, 0.0, own)
    end_passes(plan.unit)
    restore_subnormals(mode)
