"""The orders in which libraries stack the gates of a cell.

::

                  LSTM          GRU        simple RNN
    lstm_numba    i  f  g  o    r  z  n    h
    torch         i  f  g  o    r  z  n    h
    Keras         i  f  g  o    z  r  n    h
    ONNX          i  o  f  g    z  r  n    h

Keras and ONNX call the candidates g and n "c" and "h". An LSTM with ``input_forget`` has no f here;
in ONNX it has one that is not read. Peepholes are i, f, o here and i, o, f in ONNX.
"""

import numpy as np

OURS = {"lstm": "ifgo", "gru": "rzn", "rnn": "h"}
KERAS = OURS | {"gru": "zrn"}
ONNX = KERAS | {"lstm": "iofg"}
ONNX_PEEPHOLES = "iof"


def ours(cell, input_forget=False):
    """Return the order of the gates of a layer."""
    return "igo" if input_forget else OURS[cell]


def our_peepholes(input_forget=False):
    """Return the order of the peepholes of an LSTM."""
    return "io" if input_forget else "ifo"


def reordered(array, before, after, axis=0):
    """Return an array with the gates along ``axis`` in another order.

    Parameters
    ----------
    array : array
        With as many blocks along ``axis`` as there are letters.
    before, after : str
        A letter for each gate. One that is not in ``after`` is left out, one that is not in
        ``before`` is zero.

    Examples
    --------
    >>> reordered(np.array([1, 2, 3, 4, 5, 6]), "rzn", "zrn")
    array([3, 4, 1, 2, 5, 6])
    """
    blocks = dict(zip(before, np.split(array, len(before), axis), strict=True))
    zero = np.zeros_like(blocks[before[0]])
    return np.concatenate([blocks.get(gate, zero) for gate in after], axis)
