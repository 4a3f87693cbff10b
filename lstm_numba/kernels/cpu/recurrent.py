"""A recurrent layer on a block of ROWS rows: through all of time, forward and backward.

What differs from cell to cell is in ``lstm.py``, ``gru.py`` and ``rnn.py``, one step each:
``step_forward``, ``step_backward`` and ``gate_tile``, chosen by the type of the cell.
"""

from numba.extending import overload

from ..jit import subkernel
from ..tile import ROWS, lanes
from . import gru, lstm, rnn
from .cell import GRU, LSTM, SimpleRNN
from .products import add_dz_product, add_weight_gradient

_CELLS = {LSTM: lstm, GRU: gru, SimpleRNN: rnn}


def step_forward(cell, layer, t, j, packed, work, keep_tape):
    """Compute h of step t + 1, and the tape, for one vector of units from unit ``j`` on."""


def step_backward(cell, layer, t, j, work, dh_at, dc_at, dy_at):
    """Put dz in place of the tape of step t, and what reaches h[t] and c[t] directly in dh, dc.

    ``dy_at`` is the place of a gradient of h[t + 1] to be added to dh, or -1.
    """


def gate_tile(cell, array):
    """Return a tile of zeros: ROWS rows, all gates of one vector of units."""


@overload(step_forward, jit_options={"forceinline": True})
def _step_forward(cell, layer, t, j, packed, work, keep_tape):
    return _CELLS[cell.instance_class].step_forward


@overload(step_backward, jit_options={"forceinline": True})
def _step_backward(cell, layer, t, j, work, dh_at, dc_at, dy_at):
    return _CELLS[cell.instance_class].step_backward


@overload(gate_tile, jit_options={"forceinline": True})
def _gate_tile(cell, array):
    return _CELLS[cell.instance_class].gate_tile


@subkernel
def layer_forward(cell, layer, seq_len, packed, work, keep_tape):
    """Run one layer over a block, oldest step first.

    ``work`` holds x and slot 0 of h and c; the rest is written. Without ``keep_tape`` only h is
    kept for all steps.
    """
    for t in range(seq_len):
        for j in range(0, layer.units, lanes(work)):
            step_forward(cell, layer, t, j, packed, work, keep_tape)


@subkernel
def layer_backward(cell, layer, seq_len, at_once, packed, work, partial, dh, dc, dy, dy_given):
    """Pull gradients back through one layer over a block, newest step first.

        dh[t] += dz[t] w_h^T       dx[t] = dz[t] w_x^T
        dw += sum over t of [x[t], 1, h[t]]^T dz[t]

    Parameters
    ----------
    at_once : int
        Steps after which the weight gradients are taken, from dz that is still in cache.
    dh, dc : int
        Places in ``work`` of (ROWS, units): in, the gradients of the final state; out, those of
        the initial state.
    dy : int
        Place of (seq_len, ROWS, units): in, the gradient of each step's output, if ``dy_given``;
        out, dx for the layer below, if there is one.
    """
    units, tile = layer.units, gate_tile(cell, work)
    z_h = layer.z + cell.h_slot * lanes(work)
    tape_x, tape_own = layer.tape + layer.first_x, layer.tape + layer.first_own
    for last in range(seq_len, 0, -at_once):
        first = max(0, last - at_once)
        for t in range(last - 1, first - 1, -1):
            dy_t, z_t = dy + t * ROWS * units, t * ROWS * cell.slots * units
            for j in range(0, units, lanes(work)):
                step_backward(cell, layer, t, j, work, dh, dc, dy_t if dy_given else -1)
            add_dz_product(cell, units, work, z_h + z_t, packed, layer.w_back_h, units, dh)
            if layer.below > 0:
                work[dy_t : dy_t + ROWS * units] = 0
                z_x = layer.z + z_t
                add_dz_product(cell, units, work, z_x, packed, layer.w_back_x, units, dy_t)

        add_weight_gradient(
            tile, cell, units, work, layer.tape_below, layer.row_below, layer.below,
            layer.z, first, last, partial, layer.partial_below
        )  # fmt: skip
        add_weight_gradient(
            tile, cell, units, work, tape_x, layer.row, layer.x,
            layer.z, first, last, partial, layer.partial_x
        )  # fmt: skip
        add_weight_gradient(
            tile, cell, units, work, tape_own, layer.row, layer.own,
            z_h, first, last, partial, layer.partial_own
        )  # fmt: skip
