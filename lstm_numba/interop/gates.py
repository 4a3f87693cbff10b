"""The orders in which libraries stack the gates of a cell.

::

                  LSTM          GRU        simple RNN
    lstm_numba    i  f  g  o    r  z  n    h
    torch         i  f  g  o    r  z  n    h
    Keras         i  f  g  o    z  r  n    h
    ONNX          i  o  f  g    z  r  n    h

Keras and ONNX call the candidates g and n "c" and "h".
"""

import numpy as np

OURS = {"lstm": "ifgo", "gru": "rzn", "rnn": "h"}
KERAS = OURS | {"gru": "zrn"}
ONNX = KERAS | {"lstm": "iofg"}


def reordered(array, before, after, axis=0):
    """Return an array whose gates along ``axis`` stand in another order.

    Parameters
    ----------
    array : array
        With as many blocks along ``axis`` as there are letters.
    before, after : str
        A letter for each gate.

    Examples
    --------
    >>> reordered(np.array([1, 2, 3, 4, 5, 6]), "rzn", "zrn")
    array([3, 4, 1, 2, 5, 6])
    """
    blocks = np.split(array, len(before), axis)
    return np.concatenate([blocks[before.index(gate)] for gate in after], axis)
