"""Where everything lies: sizes and offsets of a network in the flat arrays of the CPU kernels.

A thread takes a block of ROWS rows of the batch through all of time, forward and backward, so a
tape is as small as a block of rows and stays in cache. All arrays are flat:

params   the weights: of each layer a matrix (inputs + biases + hidden, gates hidden) whose rows
         belong to x, to 1 and to h; then head (1 + hidden, targets horizon), skip (seq_len,
         horizon) and future (targets, future)
packed   the same weights in the order in which products read them, made anew after each update
work     one thread's tape and scratch for one block of rows
partial  the weight gradients of one chunk of blocks, in the order in which products write them

Within them, with ``units`` the hidden size rounded up to whole vectors:

tape     (seq_len + ROWS, ROWS, row)    row = [unused | x | 1 | h]: slot t holds x of step t and h
                                        of the step before; a higher layer reads x from the tape
                                        below
c        (seq_len + 1, ROWS, units)
z        (seq_len, units / lanes, ROWS, slots, lanes)    see ``cell.py``
w        (units / lanes, inputs + biases + hidden, gates, lanes)
w_back   (columns / width, gates units, width)    the transpose, for dh and for dx, in panels of
                                                  ``width`` lanes
"""

from typing import Any, NamedTuple

import numpy as np

from ..jit import subkernel
from ..tile import ROWS, VECTOR_BYTES
from .cell import CELLS


class Layer(NamedTuple):
    """One recurrent layer: its sizes, and where its parts lie."""

    below: int  # inputs read from the tape of the layer below; 0 for the first layer
    x: int  # inputs read from the own tape by the gates of x alone: x and its bias
    own: int  # inputs read from the own tape by the gates of h: 1 and h, and x unless it is apart
    hidden: int
    units: int
    row: int  # length of a tape row
    first_x: int  # columns in a tape row: where ``x`` and ``own`` begin
    first_own: int
    h: int  # column of h in a tape row; 1 stands before it
    tape: int
    tape_below: int  # h of the layer below, after step 0
    row_below: int
    c: int
    z: int
    w: int
    w_back_h: int
    w_back_x: int
    params: int
    partial_below: int
    partial_x: int
    partial_own: int


@subkernel
def layer_at(plan, k):
    """Return layer ``k``; a row of a table, so that one type serves any number of layers."""
    t = plan.layers[k]
    a = t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9]
    b = t[10], t[11], t[12], t[13], t[14], t[15], t[16], t[17], t[18], t[19], t[20]
    return Layer(*a, *b)


class Plan(NamedTuple):
    """A network: its sizes, and where all but the layers lies."""

    cell: Any  # a value of CELLS
    seq_len: int
    features: int
    hidden: int
    horizon: int
    targets: int
    future: int
    skip: int
    norm: int  # a value of NORMS
    steps: int  # horizon rounded up to whole vectors
    steps_at_once: int  # whose dz stay in cache until their weight gradients are taken
    head: int  # params
    skip_params: int
    future_params: int
    n_params: int
    head_back: int  # packed
    n_packed: int
    dh: int  # work
    dc: int
    dy: int
    out: int
    shift: int
    scale: int
    n_work: int
    partial_head: int  # partial
    partial_skip: int
    partial_future: int
    n_partial: int
    layers: np.ndarray  # (layers, fields of Layer) int64


NORMS = {None: 0, "last": 1, "level": 2}

# Bytes of dz that a pass over the weight gradients finds in the second-level cache.
_DZ_BYTES = 1 << 18


def _up(n, multiple):
    return -(-n // multiple) * multiple


class _Offsets:
    """Hand out consecutive pieces of a flat array, each on a vector boundary."""

    def __init__(self, lanes):
        self.size, self._lanes = 0, lanes

    def take(self, n):
        start = self.size
        self.size += _up(n, self._lanes)
        return start


def make_plan(network, lanes):
    """Return the ``Plan`` of a network, for vectors of ``lanes`` numbers."""
    cell = CELLS[network.cell]
    hidden, seq_len, horizon = network.hidden_size, network.seq_len, network.horizon
    units, steps = _up(hidden, lanes), _up(horizon, lanes)
    outputs, columns = horizon * network.targets, cell.gates * units
    itemsize = VECTOR_BYTES // lanes
    packed, work, partial = (_Offsets(lanes) for _ in range(3))
    params, layers = 0, []

    for k in range(network.num_layers):
        below, features = (hidden, 0) if k else (0, network.features)
        # The bias of an x apart is the same 1, before h, as that of h.
        x, own = (features + 1, 0) if cell.x_apart else (0, features)
        own += 1 + hidden
        h = _up(features + 1, lanes)
        rows = below + x + own
        layers.append(
            Layer(
                below=below,
                x=x,
                own=own,
                hidden=hidden,
                units=units,
                row=h + units,
                first_x=h - 1 - features,
                first_own=h + hidden - own,
                h=h,
                tape=work.take((seq_len + ROWS) * ROWS * (h + units)),
                tape_below=layers[-1].tape + ROWS * layers[-1].row + layers[-1].h if k else 0,
                row_below=layers[-1].row if k else 0,
                c=work.take((seq_len + 1) * ROWS * units),
                z=work.take(seq_len * ROWS * cell.slots * units),
                w=packed.take(rows * columns),
                w_back_h=packed.take(columns * units),
                w_back_x=packed.take(columns * _up(below, lanes)),
                params=params,
                partial_below=partial.take(_up(below, ROWS) * columns),
                partial_x=partial.take(_up(x, ROWS) * columns),
                partial_own=partial.take(_up(own, ROWS) * columns),
            )
        )
        params += rows * cell.gates * hidden

    head = params
    skip = head + (1 + hidden) * outputs
    future = skip + (seq_len * horizon if network.skip else 0)
    return Plan(
        cell=cell,
        seq_len=seq_len,
        features=network.features,
        hidden=hidden,
        horizon=horizon,
        targets=network.targets,
        future=network.future,
        skip=int(network.skip),
        norm=NORMS[network.window_norm],
        steps=steps,
        steps_at_once=max(1, _DZ_BYTES // (ROWS * cell.slots * units * itemsize)),
        head=head,
        skip_params=skip,
        future_params=future,
        n_params=future + network.targets * network.future,
        head_back=packed.take(units * outputs),
        n_packed=packed.size,
        dh=work.take(ROWS * units),
        dc=work.take(ROWS * units),
        dy=work.take(seq_len * ROWS * units if network.num_layers > 1 else 0),
        out=work.take(ROWS * network.targets * steps),
        shift=work.take(ROWS * network.targets),
        scale=work.take(ROWS * network.targets),
        # The work of two threads must not share a cache line.
        n_work=work.size + 4 * ROWS * lanes,
        partial_head=partial.take(_up(1 + hidden, ROWS) * network.targets * steps),
        partial_skip=partial.take(_up(seq_len, ROWS) * steps if network.skip else 0),
        partial_future=partial.take(network.targets * network.future),
        n_partial=_up(partial.size, 4 * lanes),
        layers=np.array(layers, dtype=np.int64),
    )
