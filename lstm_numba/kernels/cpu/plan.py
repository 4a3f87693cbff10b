"""Where everything lies: sizes and offsets of a network in the flat arrays of the CPU kernels.

A thread takes a block of ROWS rows of the batch through all of time, forward and backward, so a
tape is as small as a block of rows and stays in cache. All arrays are flat:

params   the weights: of each layer a matrix (inputs + biases + hidden, gates hidden) whose rows
         belong to x, to 1 and to h; then head (1 + hidden, targets horizon), skip (seq_len,
         horizon) and future (targets, future)
packed   the same weights in the order in which products read them, made anew after each update
work     one thread's tape and scratch for one block of rows, or for a group of blocks
partial  the weight gradients of one chunk of blocks, in the order in which products write them

Within them, with ``units`` the hidden size rounded up to whole vectors:

tape     (seq_len + ROWS, ROWS, row)    row = [unused | x | 1 | h]: slot t holds x of step t and h
                                        of the step before; a higher layer reads x from the tape
                                        below
c        (seq_len + 1, ROWS, units)
z        (seq_len rounded up to STEPS, units / lanes, ROWS, slots, lanes)    see ``cell.py``
w        (units / lanes, inputs + biases + hidden, gates, lanes)
w_back   (columns / width, gates units, width)    the transpose, for dh and for dx, in panels of
                                                  ``width`` lanes

With the matrix unit w has the rows of x and its bias alone, and ``matrix_unit.py`` has the others.
"""

from typing import Any, NamedTuple

import numpy as np

from ..parts import subkernel
from ..tile import ROWS, VECTOR_BYTES
from .cell import CELLS, BeforeStep, CoupledLSTM, GRUResetBefore, PeepholeLSTM
from .matrix_unit import GROUP_ROWS, STEPS, NoUnit, make_matrix_unit, place_digits, runs_on_unit


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
    w_sizes: int  # for the matrix unit, see ``matrix_unit.py``
    w_digits: int
    w_back_h_digits: int
    w_back_x_digits: int
    sums: int


@subkernel
def layer_of(t):
    """Return the layer that a row of a table holds, so that one type serves any number of them."""
    a = t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11]
    b = t[12], t[13], t[14], t[15], t[16], t[17], t[18], t[19], t[20], t[21], t[22], t[23]
    return Layer(*a, *b, t[24], t[25])


@subkernel
def layer_at(plan, k):
    """Return layer ``k``."""
    return layer_of(plan.layers[k])


class Plan(NamedTuple):
    """A network: its sizes, and where all but the layers lies."""

    cell: Any  # a value of CELLS
    unit: Any  # NoUnit or MatrixUnit
    chunk_rows: int  # rows of a batch that pay for partial gradients of their own
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


def round_up(n, multiple):
    """Return the smallest multiple that is not less than ``n``."""
    return -(-n // multiple) * multiple


class Offsets:
    """Hand out consecutive pieces of a flat array, each on a vector boundary."""

    def __init__(self, lanes):
        self.size, self._lanes = 0, lanes

    def take(self, n):
        """Return where the next ``n`` numbers begin."""
        start = self.size
        self.size += round_up(n, self._lanes)
        return start


class Places(NamedTuple):
    """What is handed out of each flat array so far."""

    lanes: int
    packed: Offsets
    work: Offsets
    partial: Offsets

    @classmethod
    def of(cls, lanes):
        """Return places of which nothing is handed out."""
        return cls(lanes, *(Offsets(lanes) for _ in range(3)))


def steps_at_once(cell, units, lanes):
    """Return after how many steps back the weight gradients are taken."""
    return max(1, _DZ_BYTES // (ROWS * cell.slots * units * (VECTOR_BYTES // lanes)))


def make_layer(cell, places, seq_len, features, hidden, outs, params, below=0, tape_below=(0, 0)):
    """Lay out one layer but its weights; return it, and where the parameters of the next begin.

    Parameters
    ----------
    features, below : int
        Inputs that stand in the layer's own tape, and in another, which is at ``tape_below`` with
        rows of a length given there; one of the two is 0.
    outs : int
        Numbers that a step hands to the next: ``hidden``, or the size of their projection.
    """
    lanes, _, work, partial = places
    units, columns = round_up(hidden, lanes), cell.gates * round_up(hidden, lanes)
    outs_up, h = round_up(outs, lanes), round_up(features + 1, lanes)
    # The bias of an x apart is the same 1, before h, as that of h.
    x, own = (features + 1, 0) if cell.x_apart else (0, features)
    own += cell.h_bias + outs
    layer = Layer(
        below=below,
        x=x,
        own=own,
        hidden=hidden,
        units=units,
        row=h + outs_up,
        first_x=h - 1 - features,
        first_own=h + outs - own,
        h=h,
        tape=work.take((seq_len + ROWS) * ROWS * (h + outs_up)),
        tape_below=tape_below[0],
        row_below=tape_below[1],
        c=work.take((seq_len + 1) * ROWS * units),
        # The matrix unit reads whole blocks of steps.
        z=work.take(round_up(seq_len, STEPS) * ROWS * cell.slots * units),
        w=0,
        w_back_h=0,
        w_back_x=0,
        params=params,
        # The vector units add ROWS rows at once, the matrix unit as many as a vector has lanes.
        partial_below=partial.take(round_up(round_up(below, lanes), ROWS) * columns),
        partial_x=partial.take(round_up(round_up(x, lanes), ROWS) * columns),
        partial_own=partial.take(round_up(round_up(own, lanes), ROWS) * columns),
        w_sizes=0,
        w_digits=0,
        w_back_h_digits=0,
        w_back_x_digits=0,
        sums=0,
    )
    return layer, params + (below + x + own) * cell.gates * hidden


def place_weights(cell, places, layer):
    """Lay out the weights of a layer in ``packed``."""
    take, columns, outs = places.packed.take, cell.gates * layer.units, layer.row - layer.h
    return layer._replace(
        w=take((layer.below + layer.x + layer.own) * columns),
        w_back_h=take(columns * outs),
        w_back_x=take(columns * round_up(layer.below, places.lanes)),
    )


def place_cell(cell, places, seq_len, layer, params):
    """Lay out what a cell has beside its layer; return it, and where the next parameters begin."""
    units = layer.units
    if isinstance(cell, GRUResetBefore):
        cell = cell._replace(
            rh=places.work.take((seq_len * ROWS + 1) * units),
            drh=places.work.take(ROWS * units),
            w_rz=layer.w + 3 * units * (layer.below + layer.x),
            w_n=layer.w + units * (3 * (layer.below + layer.x) + 2 * layer.own),
            w_back_n=layer.w_back_h + 2 * units * units,
            partial_n=layer.partial_own + 2 * units * round_up(layer.own, ROWS),
        )
    elif isinstance(cell, PeepholeLSTM | CoupledLSTM):
        cell = cell._replace(
            peephole_params=params,
            peephole_w=places.packed.take((cell.gates - 1) * units),
            peephole_partial=places.partial.take(cell.peepholes * ROWS * units),
        )
        params += cell.peepholes * layer.hidden
    return cell, params


def make_plan(network, lanes):
    """Return the ``Plan`` of a network, for vectors of ``lanes`` numbers."""
    cell, place = CELLS[network.cell], place_weights
    on_unit = runs_on_unit(network, lanes)
    if on_unit:
        # The unit multiplies h: x and its bias stand apart.
        cell = cell._replace(x_apart=1, h_bias=0, products=BeforeStep())
        place = place_digits
    hidden, seq_len, horizon = network.hidden_size, network.seq_len, network.horizon
    units, steps = round_up(hidden, lanes), round_up(horizon, lanes)
    outputs = horizon * network.targets
    dy_given = network.stateful or network.num_layers > 1
    places = Places.of(lanes)
    _, packed, work, partial = places
    layers, params = [], 0

    for k in range(network.num_layers):
        features, below, tape_below = network.features, 0, (0, 0)
        if k:
            under = layers[-1]
            after_step_0 = under.tape + ROWS * under.row + under.h
            features, below, tape_below = 0, hidden, (after_step_0, under.row)
        layer, params = make_layer(
            cell, places, seq_len, features, hidden, hidden, params, below, tape_below
        )
        layers.append(place(cell, places, layer))

    head = params
    skip = head + (1 + hidden) * outputs
    future = skip + (seq_len * horizon if network.skip else 0)
    head_back = packed.take(units * outputs)
    dh, dc = work.take(ROWS * units), work.take(ROWS * units)
    dy = work.take(seq_len * ROWS * units if dy_given else 0)
    out = work.take(ROWS * network.targets * steps)
    shift, scale = work.take(ROWS * network.targets), work.take(ROWS * network.targets)
    unit = make_matrix_unit(cell, layers, seq_len, work) if on_unit else NoUnit()
    return Plan(
        cell=cell,
        unit=unit,
        chunk_rows=GROUP_ROWS if on_unit else 2 * ROWS,
        seq_len=seq_len,
        features=network.features,
        hidden=hidden,
        horizon=horizon,
        targets=network.targets,
        future=network.future,
        skip=int(network.skip),
        norm=NORMS[network.window_norm],
        steps=steps,
        steps_at_once=steps_at_once(cell, units, lanes),
        head=head,
        skip_params=skip,
        future_params=future,
        n_params=future + network.targets * network.future,
        head_back=head_back,
        n_packed=packed.size,
        dh=dh,
        dc=dc,
        dy=dy,
        out=out,
        shift=shift,
        scale=scale,
        # The work of two threads must not share a cache line.
        n_work=work.size + 4 * ROWS * lanes,
        partial_head=partial.take(round_up(1 + hidden, ROWS) * network.targets * steps),
        partial_skip=partial.take(round_up(seq_len, ROWS) * steps if network.skip else 0),
        partial_future=partial.take(network.targets * network.future),
        n_partial=round_up(partial.size, 4 * lanes),
        layers=np.array(layers, dtype=np.int64),
    )
