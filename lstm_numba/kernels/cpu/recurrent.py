"""A recurrent layer on a block of ROWS rows: through time, forward and backward.

What differs from cell to cell is in a file for each, chosen by the type of the cell:
``step_forward``, ``step_backward`` and ``gates_of``, and what only some cells have. What may
follow a step is in ``stage.py``. Functions without a body are names, here and in other files: when
a kernel is compiled, ``overload`` puts the one for the types of its arguments in their place.
"""

from numba.extending import overload

from ..parts import PART, subkernel
from ..tile import ROWS, lanes
from . import gru, gru_reset_before, lstm, lstm_coupled, lstm_peephole, rnn
from .cell import GRU, LSTM, CoupledLSTM, GRUResetBefore, PeepholeLSTM, SimpleRNN
from .products import add_dz_product, add_weight_gradient
from .stack import align_stack
from .stage import (
    add_stage_gradient,
    after_step,
    after_step_backward,
    before_step_backward,
    h_of_step,
)

_CELLS = {
    LSTM: lstm,
    PeepholeLSTM: lstm_peephole,
    CoupledLSTM: lstm_coupled,
    GRU: gru,
    GRUResetBefore: gru_reset_before,
    SimpleRNN: rnn,
}


def step_forward(cell, layer, t, j, packed, work, keep_tape, h_at, h_row):
    """Compute h of step t + 1, and the tape, for one vector of units from unit ``j`` on.

    Row r of h goes to ``h_at + r h_row + j``.
    """


def step_backward(cell, layer, t, j, packed, work, dh_at, dc_at, dy_at):
    """Put dz in place of the tape of step t, and what reaches h[t] and c[t] directly in dh, dc.

    ``dy_at`` is the place of a gradient of h[t + 1] to be added to dh, or -1.
    """


def after_all_units(cell, layer, t, packed, work, keep_tape, h_at, h_row):
    """Do what of a step has to wait for ``step_forward`` of all units."""


def after_all_units_backward(cell, layer, t, packed, work, dh):
    """Do what has to wait for ``step_backward`` of all units, before dz[t] w_h^T is added to dh."""


def add_cell_gradient(cell, layer, start, stop, work, partial):
    """Add gradients of weights that only this cell has, over steps ``start`` to ``stop`` - 1."""


def clear_row(cell, layer, t, r, work):
    """Zero what only this cell keeps of row ``r`` of a block at step t."""


def gates_of(cell, array):
    """Return a tile of zeros for all gates of one vector of units, the gates whose products take
    h[t], and a tile of zeros for those."""


@overload(step_forward, jit_options=PART)
def _step_forward(cell, layer, t, j, packed, work, keep_tape, h_at, h_row):
    return _CELLS[cell.instance_class].step_forward


@overload(step_backward, jit_options=PART)
def _step_backward(cell, layer, t, j, packed, work, dh_at, dc_at, dy_at):
    return _CELLS[cell.instance_class].step_backward


@overload(after_all_units, jit_options=PART)
def _after_all_units(cell, layer, t, packed, work, keep_tape, h_at, h_row):
    def nothing(cell, layer, t, packed, work, keep_tape, h_at, h_row):
        pass

    return getattr(_CELLS[cell.instance_class], "after_all_units", nothing)


@overload(after_all_units_backward, jit_options=PART)
def _after_all_units_backward(cell, layer, t, packed, work, dh):
    def nothing(cell, layer, t, packed, work, dh):
        pass

    return getattr(_CELLS[cell.instance_class], "after_all_units_backward", nothing)


@overload(add_cell_gradient, jit_options=PART)
def _add_cell_gradient(cell, layer, start, stop, work, partial):
    def nothing(cell, layer, start, stop, work, partial):
        pass

    return getattr(_CELLS[cell.instance_class], "add_cell_gradient", nothing)


@overload(clear_row, jit_options=PART)
def _clear_row(cell, layer, t, r, work):
    def nothing(cell, layer, t, r, work):
        pass

    return getattr(_CELLS[cell.instance_class], "clear_row", nothing)


@overload(gates_of, jit_options=PART)
def _gates_of(cell, array):
    return _CELLS[cell.instance_class].gates_of


@subkernel
def layer_forward(cell, layer, first, last, packed, work, keep_tape):
    """Run one layer over a block, from step ``first`` to step ``last`` - 1.

    ``work`` holds x, and slot ``first`` of h and c; the rest is written. Without ``keep_tape`` only
    h is kept for all steps.
    """
    align_stack()
    for t in range(first, last):
        h_at, h_row = h_of_step(cell.stage, layer, t)
        for j in range(0, layer.units, lanes(work)):
            step_forward(cell, layer, t, j, packed, work, keep_tape, h_at, h_row)
        after_all_units(cell, layer, t, packed, work, keep_tape, h_at, h_row)
        after_step(cell.stage, layer, t, packed, work)


@subkernel
def layer_backward(
    cell, layer, first, last, at_once, packed, work, partial, dh, dc, dy, dy_given, dx
):
    """Pull gradients back through one layer over a block, from step ``last`` - 1 to ``first``.

        dh[t] += dz[t] w_h^T       dx[t] = dz[t] w_x^T
        dw += sum over t of [x[t], 1, h[t]]^T dz[t]

    Parameters
    ----------
    at_once : int
        Steps after which the weight gradients are taken, from dz that is still in cache.
    dh, dc : int
        Places in ``work`` of (ROWS, outs) and (ROWS, units): in, the gradients of the state after
        the newest step; out, those of the state before the oldest.
    dy : int
        Place of (seq_len, ROWS, outs): in, the gradient of each step's output, if ``dy_given``.
    dx : int
        Place of (seq_len, ROWS, inputs): out, the gradient of what the layer reads from below, if
        it does; -1 if nobody asks. May be ``dy`` where both have the same size.
    """
    align_stack()
    units, outs = layer.units, layer.row - layer.h
    tile, of_h, tile_of_h = gates_of(cell, work)
    inputs = -(-layer.below // lanes(work)) * lanes(work)
    z_h = layer.z + cell.h_slot * lanes(work)
    tape_x, tape_own = layer.tape + layer.first_x, layer.tape + layer.first_own
    for stop in range(last, first, -at_once):
        start = max(first, stop - at_once)
        for t in range(stop - 1, start - 1, -1):
            dy_t = dy + t * ROWS * outs if dy_given else -1
            dh_t, dy_t = before_step_backward(cell.stage, layer, t, packed, work, dh, dy_t)
            for j in range(0, units, lanes(work)):
                step_backward(cell, layer, t, j, packed, work, dh_t, dc, dy_t)
            after_all_units_backward(cell, layer, t, packed, work, dh)
            z_t = t * ROWS * cell.slots * units
            add_dz_product(of_h, units, work, z_h + z_t, packed, layer.w_back_h, outs, dh)
            after_step_backward(cell.stage, layer, work, dh)
            if layer.below > 0 and dx >= 0:
                dx_t = dx + t * ROWS * inputs
                work[dx_t : dx_t + ROWS * inputs] = 0
                z_x = layer.z + z_t
                add_dz_product(cell, units, work, z_x, packed, layer.w_back_x, inputs, dx_t)

        add_weight_gradient(
            tile, cell, units, work, layer.tape_below, layer.row_below, layer.below,
            layer.z, start, stop, partial, layer.partial_below
        )  # fmt: skip
        add_weight_gradient(
            tile, cell, units, work, tape_x, layer.row, layer.x,
            layer.z, start, stop, partial, layer.partial_x
        )  # fmt: skip
        add_weight_gradient(
            tile_of_h, of_h, units, work, tape_own, layer.row, layer.own,
            z_h, start, stop, partial, layer.partial_own
        )  # fmt: skip
        add_cell_gradient(cell, layer, start, stop, work, partial)
        add_stage_gradient(cell.stage, layer, start, stop, work, partial)
