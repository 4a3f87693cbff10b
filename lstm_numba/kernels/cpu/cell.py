"""What tells one recurrent cell from another in the layout of its arrays.

A unit has ``slots`` numbers on the tape: what the backward pass needs of a step, and after it the
gradients of the pre-activations. The products with x fill slots 0 to ``gates`` - 1, those with h
slots ``h_slot`` to ``h_slot + gates`` - 1: the candidate of a GRU needs both parts for itself.

Each cell is a type of its own, so kernels are compiled for the cell that is used.
"""

from typing import NamedTuple


class LSTM(NamedTuple):
    """Slots i, f, g, o; weights in this order, as in torch and Keras."""

    gates: int = 4
    slots: int = 4
    h_slot: int = 0
    x_turn: int = 0  # slot s of x belongs to column (s + x_turn) % gates of the weights
    x_apart: int = 0  # x fills other slots than h, and has a bias of its own


class GRU(NamedTuple):
    """Slots n, r, z, u with u the part of h in the candidate n; weights r, z, n as in torch."""

    gates: int = 3
    slots: int = 4
    h_slot: int = 1
    x_turn: int = 2
    x_apart: int = 1


class SimpleRNN(NamedTuple):
    """One slot."""

    gates: int = 1
    slots: int = 1
    h_slot: int = 0
    x_turn: int = 0
    x_apart: int = 0


CELLS = {"lstm": LSTM(), "gru": GRU(), "rnn": SimpleRNN()}
