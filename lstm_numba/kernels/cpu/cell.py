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


class LSTM(NamedTuple):
    """Slots i, f, g, o; weights in this order, as in torch and Keras."""

    acts: Any = Standard()
    stage: Any = Plain()
    gates: int = 4
    slots: int = 4
    h_slot: int = 0
    x_turn: int = 0  # slot s of x belongs to column (s + x_turn) % gates of the weights
    x_apart: int = 0  # x fills other slots than h, and has a bias of its own
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
    has_c: int = 0


CELLS = {"lstm": LSTM(), "gru": GRU(), "rnn": SimpleRNN()}

# The projection of a stage is a matrix of its own, which lies as that of a cell with one gate.
ONE_GATE = SimpleRNN()
