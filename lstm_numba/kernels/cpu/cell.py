"""What tells one recurrent cell from another in the layout of its arrays.

A unit has ``slots`` numbers on the tape: what the backward pass needs of a step, and after it the
gradients of the pre-activations. The products with x fill slots 0 to ``gates`` - 1, those with h
slots ``h_slot`` to ``h_slot + gates`` - 1: the candidate of a GRU needs both parts for itself.

Each cell is a type of its own, and so are its activations and its output stage: kernels are
compiled for what is used.
"""

from typing import Any, NamedTuple

from ..gates import Standard


class Plain(NamedTuple):
    """The output of a step is h as the cell gives it, and h enters the next step."""

    unused: int = 0  # a tuple without fields has no Numba type


class Staged(NamedTuple):
    """h is projected, if ``projected``, to y, and y times ``mask`` enters the next step.

    The projection is that of Sak et al. (2014), the mask the recurrent dropout of Gal & Ghahramani
    (2016). Places in the flat arrays, see ``plan.py``:
    """

    projected: int  # 1 or 0
    y: int  # work: (seq_len, ROWS, outs)
    mask: int  # work: (ROWS, outs)
    h: int  # work: (seq_len + ROWS, ROWS, units), if projected
    dh: int  # work: (ROWS, units), if projected
    dy: int  # work: (seq_len, outs / lanes, ROWS, lanes), if projected
    params: int  # params: (hidden, proj_size)
    w: int  # packed
    w_back: int
    partial: int


class InStep(NamedTuple):
    """A step multiplies what comes from below, x and h with the weights."""

    unused: int = 0


class BeforeStep(NamedTuple):
    """A step finds the products with h and with what comes from below in ``Layer.sums``."""

    unused: int = 0


class LSTM(NamedTuple):
    """Slots i, f, g, o; weights in this order, as in torch and Keras."""

    acts: Any = Standard()
    stage: Any = Plain()
    products: Any = InStep()
    gates: int = 4
    slots: int = 4
    h_slot: int = 0
    x_turn: int = 0  # slot s of x belongs to column (s + x_turn) % gates of the weights
    x_apart: int = 0  # x has a bias of its own, and may fill other slots than h
    h_bias: int = 1  # the products with h have a bias
    has_c: int = 1  # a cell state beside h


class GRU(NamedTuple):
    """Slots n, r, z, u with u the part of h in the candidate n; weights r, z, n as in torch."""

    acts: Any = Standard()
    stage: Any = Plain()
    gates: int = 3
    slots: int = 4
    h_slot: int = 1
    x_turn: int = 2
    x_apart: int = 1
    h_bias: int = 1
    has_c: int = 0


class SimpleRNN(NamedTuple):
    """One slot."""

    acts: Any = Standard()
    stage: Any = Plain()
    gates: int = 1
    slots: int = 1
    h_slot: int = 0
    x_turn: int = 0
    x_apart: int = 0
    h_bias: int = 1
    has_c: int = 0


class GRUResetBefore(NamedTuple):
    """Slots r, z, n; the reset gate comes before the product of the candidate with h.

    That product waits for the reset gates of all units, so it has weights and gradients apart from
    those of r and z, in pieces of what the layer has for all gates of h:
    """

    acts: Any = Standard()
    stage: Any = Plain()
    gates: int = 3
    slots: int = 3
    h_slot: int = 0
    x_turn: int = 0
    x_apart: int = 1
    h_bias: int = 0
    has_c: int = 0
    rh: int = 0  # work: (seq_len, ROWS, units), r·h
    drh: int = 0  # work: (ROWS, units)
    w_rz: int = 0  # packed
    w_n: int = 0
    w_back_n: int = 0
    partial_n: int = 0


class PeepholeLSTM(NamedTuple):
    """An LSTM whose gates i, f, o also see the cell state, each unit its own."""

    acts: Any = Standard()
    stage: Any = Plain()
    gates: int = 4
    slots: int = 4
    h_slot: int = 0
    x_turn: int = 0
    x_apart: int = 0
    h_bias: int = 1
    has_c: int = 1
    peepholes: int = 3  # weights of a unit: those of i, f, o
    peephole_params: int = 0  # params: (peepholes, hidden)
    peephole_w: int = 0  # packed: (gates - 1, units)
    peephole_partial: int = 0  # (peepholes, ROWS, units)


class CoupledLSTM(NamedTuple):
    """Slots i, g, o: the forget gate is 1 - i; with or without peepholes."""

    acts: Any = Standard()
    stage: Any = Plain()
    gates: int = 3
    slots: int = 3
    h_slot: int = 0
    x_turn: int = 0
    x_apart: int = 0
    h_bias: int = 1
    has_c: int = 1
    peepholes: int = 0  # 2, those of i and o, or none: then they are packed as zeros
    peephole_params: int = 0
    peephole_w: int = 0
    peephole_partial: int = 0


CELLS = {
    "lstm": LSTM(),
    "lstm_peephole": PeepholeLSTM(),
    "lstm_coupled": CoupledLSTM(),
    "lstm_coupled_peephole": CoupledLSTM(peepholes=2),
    "gru": GRU(),
    "gru_reset_before": GRUResetBefore(),
    "rnn": SimpleRNN(),
}


class Gates(NamedTuple):
    """Some gates of a cell that lie side by side."""

    gates: int  # how many
    slots: int  # of a unit on the tape
    first: int  # before them in the weights
    of: int  # of a unit in the weights


# The projection of a stage is a matrix of its own, which lies as that of a cell with one gate.
ONE_GATE = Gates(1, 1, 0, 1)
