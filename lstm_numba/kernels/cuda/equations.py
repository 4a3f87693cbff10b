"""The cells, the losses and the optimizer on the device: the equations of ``kernels/``, not copies.

``cells.py`` is written in terms of σ, φ, ``fma`` and ``like``, which on the CPU work on register
tiles. Here the same functions are compiled with these names bound to their meaning on one float of
one thread, in a standard cell: ``STANDARD`` stands for its ``acts``.
"""

import math
from types import FunctionType

from numba import cuda

from .. import cells, gates, losses, updates
from .registers import reciprocal

on_device = cuda.jit(device=True)


@on_device
def like(x, constant):
    """The constant in the precision of x; a bare literal would turn float32 into float64."""
    return type(x)(constant)


@on_device
def fma(x, y, z):
    """x y + z, which the device's compiler contracts to one instruction."""
    return x * y + z


@on_device
def sigmoid(x):
    """1 / (1 + e^-x)"""
    return reciprocal(type(x)(1) + math.exp(-x))


@on_device
def tanh(x):
    """The device library's, accurate to 2 units in the last place."""
    return math.tanh(x)


# What tells a standard cell from others when a CPU kernel is compiled tells nothing here.
STANDARD = 0


@on_device
def square_root(x):
    """√x"""
    return math.sqrt(x)


_SCALAR = {
    "like": like,
    "fma": fma,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "square_root": square_root,
}


def _for_device(function):
    """Compile a function of ``kernels/`` for the device."""
    names = function.__globals__ | _SCALAR
    return on_device(FunctionType(function.__code__, names, function.__name__))


_SCALAR |= {stub.__name__: _for_device(standard) for stub, standard in gates.STANDARD_GATES.items()}
lstm_cell, lstm_cell_grad = _for_device(cells.lstm_cell), _for_device(cells.lstm_cell_grad)
gru_cell, gru_cell_grad = _for_device(cells.gru_cell), _for_device(cells.gru_cell_grad)
rnn_cell, rnn_cell_grad = _for_device(cells.rnn_cell), _for_device(cells.rnn_cell_grad)
pointwise_loss = _for_device(losses.pointwise_loss)
adam = _for_device(updates.adam)
