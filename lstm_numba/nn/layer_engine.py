"""One layer in one direction, set up to run: the arrays that its kernels work on."""

import functools

import numpy as np

from ..kernels.activations import ACTIVATIONS
from ..kernels.cpu import (
    CELLS,
    ROWS,
    Sequences,
    backward_sequences,
    chunks_of,
    forward_sequences,
    make_sequence_plan,
)
from ..kernels.gates import Chosen
from .buffers import aligned_zeros
from .engine import native

# A running kernel cannot be interrupted: multiply-adds that a thread may take at once, some 0.1 s.
_AT_ONCE = 4_000_000_000

_NO_MASK = np.empty((0, 0))


class LayerEngine:
    """One layer in one direction.

    Parameters
    ----------
    cell : str
        A name of CELLS.
    acts : Chosen or None
        Activations other than tanh and the logistic function.
    features, hidden_size, proj_size : int
    first_param : int
        Where the weights begin in the flat vector of all layers.
    reverse : bool
        Newest step first.
    dtype : "float32" or "float64"
    """

    def __init__(self, cell, acts, features, hidden_size, proj_size, first_param, reverse, dtype):
        self._cell = CELLS[cell] if acts is None else CELLS[cell]._replace(acts=acts)
        self._always_staged = acts is not None or proj_size > 0
        self._reverse = int(reverse)
        self._dtype = np.dtype(dtype)
        sizes = features, hidden_size, proj_size, first_param
        # Of no method: a cycle would keep the scratch memory of a layer that is gone.
        plan_of = functools.partial(_make_plan, self._cell, sizes, self._dtype)
        self._plan_of = functools.lru_cache(maxsize=4)(plan_of)
        self._packed = self._work = np.empty((0, 0), self._dtype)
        self._call = None

    @property
    def has_tape(self):
        """Whether ``backward`` can follow."""
        return self._call is not None

    def drop_tape(self):
        """Forget the newest ``forward``: its scratch memory is about to be written again."""
        self._call = None

    def forward(self, params, x, rows, x_mask, h_mask, h, c, y, column, keep_tape, team):
        """Run the layer over a batch; return the final h and c, each (batch, size).

        Parameters
        ----------
        params : array
            Weights of all layers, and four vectors more that may be read.
        x : array, (batch, seq_len, features)
        rows : Rows
        x_mask, h_mask : array, (batch, features) and (batch, outputs of a step), or None
        h, c : array, (batch, outputs of a step) and (batch, hidden or 0)
            Initial state.
        y : array, (batch, seq_len, outputs)
            Written from ``column`` on, at the steps that rows take.
        keep_tape : bool
            Make ``backward`` possible.
        team : Team
        """
        plan = self._plan_of(int(rows.counts.max()), self._always_staged or h_mask is not None)
        masks = (
            _NO_MASK.astype(self._dtype) if mask is None else native(mask, self._dtype)
            for mask in (x_mask, h_mask)
        )
        sequences = Sequences(
            native(x, self._dtype).reshape(-1),
            x.shape[1],
            rows.order,
            rows.counts,
            rows.steps,
            self._reverse,
            int(rows.hold),
            *masks,
            native(h, self._dtype),
            native(c, self._dtype),
            y.shape[2],
            column,
        )
        tapes = -(-len(x) // ROWS) if keep_tape else team.size
        if self._work.size < tapes * plan.n_work:
            # The pages of a large array cost as much as the work on it: it is kept.
            self._work = aligned_zeros((tapes * plan.n_work,), self._dtype)
        if self._packed.size < plan.n_packed:
            self._packed = aligned_zeros((plan.n_packed,), self._dtype)
        work = self._work[: tapes * plan.n_work].reshape(tapes, plan.n_work)
        h_n, c_n = np.empty_like(sequences.h), np.empty_like(sequences.c)
        before = (
            plan, sequences, params, self._packed, work, keep_tape,
            y.reshape(-1), h_n, c_n
        )  # fmt: skip
        blocks = -(-len(x) // ROWS)
        self._run(forward_sequences, before, blocks, ROWS * x.shape[1] * plan.n_packed, team)
        self._call = (plan, sequences, work) if keep_tape else None
        return h_n, c_n

    def backward(self, dy, dh_n, dc_n, dx, gradient, team):
        """Pull gradients back through the newest ``forward`` that kept its tape.

        Parameters
        ----------
        dy : array, (batch, seq_len, outputs)
            Of which the columns that ``forward`` wrote are read.
        dh_n, dc_n : array, as the final h and c
        dx : array, (batch, seq_len, features) or (0,)
            The gradient of x is added, unless it is empty.
        gradient : array, (weights of all layers,)
            This layer's part is written.
        team : Team

        Returns
        -------
        dh, dc : array, as the initial h and c
        """
        (plan, sequences, work), self._call = self._call, None
        chunks = chunks_of.py_func(len(work) * ROWS)
        partials = aligned_zeros((chunks * plan.n_partial,), self._dtype)
        dh, dc = np.empty_like(sequences.h), np.empty_like(sequences.c)
        before = (
            plan, sequences, self._packed, work, partials,
            native(dy, self._dtype).reshape(-1),
            native(dh_n, self._dtype), native(dc_n, self._dtype),
            dx.reshape(-1), dh, dc, gradient
        )  # fmt: skip
        steps = len(work) * ROWS * sequences.seq_len
        self._run(backward_sequences, before, chunks, steps * plan.n_packed // chunks, team)
        return dh, dc

    def _run(self, kernel, before, n, multiply_adds, team):
        """Run a kernel over ``n`` parts of the batch, each of so many multiply-adds."""
        at_once = max(1, team.size * _AT_ONCE // multiply_adds)
        for first in range(0, n, at_once):
            part = first, min(first + at_once, n)
            team.run(lambda rank, part=part: kernel(*before, *part, rank, team.size, team.shared))


def _make_plan(cell, sizes, dtype, seq_len, staged):
    if staged and not isinstance(cell.acts, Chosen):
        # One kernel for everything that is not standard.
        usual = Chosen(ACTIVATIONS["sigmoid"], ACTIVATIONS["tanh"], float("inf"))
        cell = cell._replace(acts=usual)
    return make_sequence_plan(cell, staged, seq_len, *sizes, dtype)
